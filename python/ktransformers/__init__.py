"""Runs neural networks that ktc compiled ahead of time.

    import ktransformers, numpy

    model = ktransformers.Model("model.ktm")
    outputs = model.run({"x": numpy.zeros((2, 3), numpy.float32)})

Running needs no compiler: a GPU needs its driver, a CPU nothing.
"""

from ._errors import Error, FailedError, RejectedError, UsageError
from ._runtime import DeviceArray, Model, Session, State, StatePool, TensorInfo, __version__
from .generation import Generation, Generator, generate
from .profiler import Operator, Profile, Profiler

__all__ = [
    "DeviceArray",
    "Error",
    "FailedError",
    "Generation",
    "Generator",
    "Model",
    "Operator",
    "Profile",
    "Profiler",
    "RejectedError",
    "Session",
    "State",
    "StatePool",
    "TensorInfo",
    "UsageError",
    "__version__",
    "generate",
]

# Tracebacks and help() name these as programs do.
for _class in (DeviceArray, Error, FailedError, Generation, Generator, Model, Operator, Profile, Profiler, RejectedError, Session, State, StatePool, TensorInfo, UsageError):
    _class.__module__ = __name__
del _class
