"""The session of onnxruntime over compiled models: a script changes one import.

    import ktransformers.ort as onnxruntime

    session = onnxruntime.InferenceSession("model.onnx")
    outputs = session.run(None, {"x": x})

What is here behaves as in onnxruntime; what is not raises AttributeError where it is asked for. The path is that of an artifact (.ktm), or of an ONNX model, which the compiler makes one of where it
is installed.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._errors import FailedError, UsageError
from ._runtime import Model, TensorInfo, __version__

__all__ = ["InferenceSession", "IOBinding", "NodeArg", "OrtValue", "SessionOptions", "get_available_providers", "get_device"]

_PROVIDERS = {"CUDAExecutionProvider": "cuda", "CPUExecutionProvider": "host"}
_TYPES = {"float32": "float", "float64": "double", "float8_e4m3fn": "float8e4m3fn", "float8_e4m3fnuz": "float8e4m3fnuz", "float8_e5m2": "float8e5m2", "float8_e5m2fnuz": "float8e5m2fnuz"}


class SessionOptions:
    """What of onnxruntime's options means something here; all others may be set and are kept, and do nothing."""

    def __init__(self):
        self.intra_op_num_threads = 0
        """Threads of the host's pool; 0: as many as the process may use."""


class NodeArg:
    """An input or output as onnxruntime describes it."""

    def __init__(self, info: TensorInfo):
        self.name = info.name
        dtype = info.dtype.name
        self.type = f"tensor({_TYPES.get(dtype, dtype)})"
        """As onnxruntime writes it, such as tensor(float)."""
        self.shape = list(info.shape)
        """An int where a dimension is constant, else a str."""

    def __repr__(self):
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"


class OrtValue:
    """An array under the name that onnxruntime has for one. Its memory is the host's."""

    def __init__(self, array: np.ndarray):
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(numpy_obj: np.ndarray, device_type: str = "cpu", device_id: int = 0) -> "OrtValue":
        _expect_host(device_type)
        return OrtValue(np.ascontiguousarray(numpy_obj) if np.ndim(numpy_obj) else np.asarray(numpy_obj))

    @staticmethod
    def ortvalue_from_shape_and_type(shape: Sequence[int], element_type: Any, device_type: str = "cpu", device_id: int = 0) -> "OrtValue":
        _expect_host(device_type)
        return OrtValue(np.empty(shape, element_type))

    def numpy(self) -> np.ndarray:
        return self._array

    def shape(self) -> list[int]:
        return list(self._array.shape)

    def data_type(self) -> str:
        return f"tensor({_TYPES.get(self._array.dtype.name, self._array.dtype.name)})"

    def device_name(self) -> str:
        return "cpu"

    def data_ptr(self) -> int:
        return self._array.ctypes.data

    def is_tensor(self) -> bool:
        return True

    def has_value(self) -> bool:
        return True

    def __dlpack__(self, *arguments: Any, **options: Any) -> Any:
        return self._array.__dlpack__(*arguments, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


class IOBinding:
    """Inputs and outputs of runs that stay bound from one to the next."""

    def __init__(self, session: "InferenceSession"):
        self._session, self._inputs, self._outputs, self._results = session, {}, {}, {}

    def bind_cpu_input(self, name: str, arr_on_cpu: np.ndarray) -> None:
        """The array is read in each run, as it is then."""
        self._inputs[self._session._known(name, self._session.get_inputs(), "input")] = arr_on_cpu

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        self.bind_cpu_input(name, ortvalue.numpy())

    def bind_output(self, name: str, device_type: str = "cpu", device_id: int = 0, **memory: Any) -> None:
        """The session has memory for it. UsageError for other places than the host, and for memory that is given by its address: bind_ortvalue_output takes an array."""
        _expect_host(device_type)
        if any(value is not None for value in memory.values()):
            raise UsageError("an output is given memory by its address, expected an OrtValue by bind_ortvalue_output")
        self._outputs[self._session._known(name, self._session.get_outputs(), "output")] = None

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Each run writes into it."""
        self._outputs[self._session._known(name, self._session.get_outputs(), "output")] = ortvalue.numpy()

    def get_outputs(self) -> list[OrtValue]:
        """Of the latest run, in the order in which they were bound."""
        return [OrtValue(self._results[name]) for name in self._outputs if name in self._results]

    def copy_outputs_to_cpu(self) -> list[np.ndarray]:
        return [value.numpy() for value in self.get_outputs()]

    def clear_binding_inputs(self) -> None:
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        self._outputs.clear()
        self._results = {}

    def synchronize_inputs(self) -> None:
        """Nothing: inputs are read when a run begins."""

    def synchronize_outputs(self) -> None:
        """Nothing: a run has ended when it returns."""


class InferenceSession:
    """A model that is loaded, as onnxruntime has it. Thread-safe: threads that run at once take turns.

    path_or_bytes: an artifact, or an ONNX model, by its path. A model is compiled by `ktc`, which is found on PATH or in KTC, into the folder for caches
        ($XDG_CACHE_HOME/ktransformers), once for its contents, the files beside it, which may be its external data, and the compiler.
    providers: the first that is available is used: "CUDAExecutionProvider" is a GPU, "CPUExecutionProvider" the host. None: a GPU where there is one that works.

    What ktransformers.Model raises; UsageError for bytes, for an unknown provider, and for an ONNX model without the compiler; FailedError, with what the compiler says, for a model that it refuses.
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, Mapping[str, Any]]] | None = None,
        provider_options: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ):
        if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
            raise UsageError("a model is given as bytes, expected the path of a .ktm or of an .onnx")
        path = os.fspath(path_or_bytes)
        if options:
            raise TypeError(f"unexpected keyword argument {next(iter(options))!r}")
        artifact = path if os.path.splitext(path)[1] == ".ktm" else compiled(path)
        threads = sess_options.intra_op_num_threads if sess_options is not None else 0
        self._model = _load(artifact, _choices(providers, provider_options), threads)
        self._inputs, self._outputs = ([NodeArg(info) for info in infos] for infos in (self._model.inputs, self._model.outputs))
        self._names = [output.name for output in self._outputs]
        self._options = sess_options or SessionOptions()

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, Any], run_options: Any = None) -> list[np.ndarray]:
        """The outputs with these names, in their order; all of them where there are none. UsageError for unknown and missing names, types and shapes."""
        names = [self._known(name, self._outputs, "output") for name in output_names] if output_names else self._names
        results = self._model.run(input_feed)
        return [results[name] for name in names]

    def run_with_iobinding(self, iobinding: IOBinding, run_options: Any = None) -> None:
        """Runs with what is bound. Outputs that are not bound are not kept."""
        given = {name: array for name, array in iobinding._outputs.items() if array is not None}
        results = self._model.run(iobinding._inputs, given or None)
        iobinding._results = {name: results[name] for name in iobinding._outputs}

    def io_binding(self) -> IOBinding:
        return IOBinding(self)

    def get_inputs(self) -> list[NodeArg]:
        return list(self._inputs)

    def get_outputs(self) -> list[NodeArg]:
        return list(self._outputs)

    def get_providers(self) -> list[str]:
        """The one that is used, and the host's, which runs what a GPU has no code for."""
        return ["CPUExecutionProvider"] if self._model.device.startswith("host") else list(_PROVIDERS)

    def get_session_options(self) -> SessionOptions:
        return self._options

    def _known(self, name, ports, what):
        if all(port.name != name for port in ports):
            raise UsageError(f"no {what} is called {name!r}, expected {', '.join(repr(port.name) for port in ports)}")
        return name


def get_available_providers() -> list[str]:
    """Those that a session may be asked for. Whether a GPU is there that works says the session that asks for it."""
    return list(_PROVIDERS)


def get_device() -> str:
    """What a session without providers may run on."""
    return "GPU" if os.path.exists("/dev/nvidiactl") else "CPU"


def compiled(path: str | os.PathLike) -> str:
    """The artifact of an ONNX model, which is compiled unless the folder for caches has one of its contents. UsageError without the compiler."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FailedError(f"cannot open '{path}': there is no such file")
    compiler = os.environ.get("KTC") or shutil.which("ktc")
    if compiler is None:
        raise UsageError(f"'{path}' is no artifact (.ktm), and ktc, which makes one of it, is not on PATH")
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ktransformers")
    os.makedirs(folder, exist_ok=True)
    artifact = os.path.join(folder, f"{_digest(path, compiler)}.ktm")
    if not os.path.exists(artifact):
        with tempfile.TemporaryDirectory(dir=folder) as work:  # others may compile the same at this time
            made = os.path.join(work, "model.ktm")
            done = subprocess.run([compiler, "compile", os.path.abspath(path), "-o", made], capture_output=True, text=True, errors="backslashreplace")
            if done.returncode:
                raise FailedError(f"'{path}' does not compile: {done.stderr.strip() or f'ktc ended with status {done.returncode}'}")
            os.replace(made, artifact)
    return artifact


def _digest(path, compiler):
    """Of a model's contents, of the files beside it that may be its external data (their size and time), and of the compiler."""
    state = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            state.update(block)
    folder = os.path.dirname(os.path.abspath(path))
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.is_file() and not entry.name.endswith((".onnx", ".ktm", ".npz")):
            state.update(f"{entry.name}\0{entry.stat().st_size}\0{entry.stat().st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    found = os.stat(compiler)
    state.update(f"{folder}\0{__version__}\0{found.st_size}\0{found.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _choices(providers, provider_options):
    """What Model calls the devices that are asked for, in their order."""
    if providers is None:
        return ["auto"]
    choices = []
    for number, provider in enumerate(providers):
        name, given = (provider, {}) if isinstance(provider, str) else provider
        if provider_options is not None and number < len(provider_options):
            given = {**given, **provider_options[number]}
        if name not in _PROVIDERS:
            raise UsageError(f"no provider is called {name!r}, expected {', '.join(map(repr, _PROVIDERS))}")
        choices.append("host" if _PROVIDERS[name] == "host" else f"cuda:{int(given.get('device_id', 0))}")
    return choices or ["auto"]


def _load(artifact, devices, threads):
    for device in devices[:-1]:
        try:
            return Model(artifact, device=device, threads=threads)
        except FailedError:  # the next one
            continue
    return Model(artifact, device=devices[-1], threads=threads)


def _expect_host(device_type):
    if device_type != "cpu":
        raise UsageError(f"memory of '{device_type}' is asked for, expected 'cpu'")
