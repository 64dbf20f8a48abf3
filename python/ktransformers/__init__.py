"""Runs neural networks that ktc compiled ahead of time.

    import ktransformers, numpy

    model = ktransformers.Model("model.ktm")
    outputs = model.run({"x": numpy.zeros((2, 3), numpy.float32)})

Running needs no compiler: a GPU needs its driver, a CPU nothing.
"""

from ._errors import Error, FailedError, RejectedError, UsageError
from ._runtime import Model, Session, StatePool, TensorInfo, __version__

__all__ = ["Error", "FailedError", "Model", "RejectedError", "Session", "StatePool", "TensorInfo", "UsageError", "__version__"]

# Tracebacks and help() name these as programs do.
for _class in (Error, FailedError, Model, RejectedError, Session, StatePool, TensorInfo, UsageError):
    _class.__module__ = __name__
del _class
