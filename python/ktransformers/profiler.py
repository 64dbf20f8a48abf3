"""Where the time of a model's runs goes, by operator."""

import dataclasses
import difflib
import os
import re
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

from . import _shapes
from ._errors import UsageError
from ._runtime import Model, Session


@dataclasses.dataclass(frozen=True)
class Operator:
    """The launches of one kernel for one node. Fused nodes are one, under the name of one of them."""

    node: str
    """The ONNX node's name, with its scope."""
    kernel: str
    calls: int
    """In all runs."""
    total: float
    """Seconds, of all calls."""
    mean: float
    """Seconds, of one."""
    share: float
    """Of the runs' time, 0 to 1."""
    bytes: int
    """Of what one call reads and writes, as if it touched all of each tensor once."""
    bytes_per_second: float
    placement: str
    """What the code is for: "sm_90a", "host-v4"."""
    slice: int
    schedule: str
    """The variant that was chosen."""


@dataclasses.dataclass(frozen=True)
class Profile:
    """What Profiler.analyze has found; `str` gives it as a table."""

    operators: list[Operator]
    """Those that match, the dearest first."""
    runs: int
    total: float
    """Seconds of all runs, each waited for."""
    outside: float
    """Seconds of them in which no kernel ran: what the host does between launches, and copies of inputs and outputs."""
    kernels: float
    """Seconds of all kernels, also of those that do not match: `kernels + outside` is `total`."""
    device: str
    dims: dict[str, int]
    """The sizes of inputs that were made up; empty where they were given."""

    def __str__(self):
        sizes = "" if not self.dims else " with " + ", ".join(f"{name}={size}" for name, size in self.dims.items())
        lines = [f"{self.runs} runs of {_seconds(self.total / self.runs)} on {self.device}{sizes}"]
        head = ("share", "total", "calls", "mean", "bytes", "GB/s", "placement", "slice", "node", "kernel: schedule")
        rows = [
            (
                f"{o.share:.1%}",
                _seconds(o.total),
                str(o.calls),
                _seconds(o.mean),
                _bytes(o.bytes),
                f"{o.bytes_per_second * 1e-9:.1f}",
                o.placement,
                str(o.slice),
                _printable(o.node),
                f"{_printable(o.kernel)}: {_printable(o.schedule)}",
            )
            for o in self.operators
        ]
        matched = sum(o.total for o in self.operators)
        for what, seconds in (("these operators", matched), ("other operators", self.kernels - matched), ("outside of kernels", self.outside)):
            rows.append((f"{seconds / self.total:.1%}", _seconds(seconds), "", "", "", "", "", "", what, ""))
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        for row in [head, *rows]:
            lines.append("  ".join(cell.ljust(w) if i >= 8 or i == 6 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip())
        return "\n".join(lines)


class Profiler:
    """Measures the runs of a model.

    model: an artifact's path, a Model, or a Session, whose state goes on with each run.
    inputs: what a run takes, as Model.run; None: ones of the sizes that `dims` says, 1 where it does not say one.
    dims: {name: size} of dimensions, for inputs that are made up.

    UsageError for sizes that are no dimension of the model's, or that follow from nothing that is said.
    """

    def __init__(self, model: str | os.PathLike | Model | Session, inputs: Mapping[str, Any] | None = None, *, dims: Mapping[str, int] | None = None):
        if not isinstance(model, (Model, Session)):
            model = Model(model)
        self._model, self._inputs, self._dims = model, inputs, {}
        if inputs is not None and dims:
            raise UsageError("both inputs and dims are given, expected one of them")
        if inputs is None:
            if isinstance(model, Session):
                raise UsageError("a session is given without inputs, which only a model's can be made up for")
            known = _shapes.names(model.inputs)
            unknown = [name for name in dims or {} if name not in known]
            if unknown:
                raise UsageError(f"no dimension is called {', '.join(map(repr, unknown))}, expected {', '.join(map(repr, known)) or 'none'}")
            self._dims = {name: (dims or {}).get(name, 1) for name in known}
            self._inputs = _shapes.inputs(model.inputs, self._dims)

    def analyze(self, pattern: str | None = None, *, runs: int = 10, file: TextIO | None = None) -> Profile:
        """Runs the model `runs` times, after two that are not measured, and prints and returns the time of each operator whose node name, scope or kernel matches.

        pattern: a part of a name, in any case of letters, or all of one where it has * or ?; None: all operators.
        file: where the table goes; None: standard output.

        Kernels are waited for one by one, so a run takes longer than without. UsageError for a pattern that matches nothing, with the names that are nearest.
        """
        if runs < 1:
            raise UsageError(f"{runs} runs, expected one at least")
        session = self._model.session() if isinstance(self._model, Model) else self._model
        for _ in range(2):
            session.run(self._inputs)
        begin = len(session._profile_events(0))
        session._profile(True)
        try:
            start = time.perf_counter()
            for _ in range(runs):
                session.run(self._inputs)
            total = time.perf_counter() - start
        finally:
            session._profile(False)
        made = _profile(session._profile_events(begin), pattern, runs, total, repr(session) if not isinstance(self._model, Model) else self._model.device, self._dims)
        print(made, file=file or sys.stdout)
        return made


def _profile(events, pattern, runs, total, device, dims):
    groups = {}
    for kernel, node, target, schedule, microseconds, size, part in events:
        entry = groups.setdefault((node, kernel, target, schedule, part), [0, 0.0, 0])
        entry[0] += 1
        entry[1] += microseconds * 1e-6
        entry[2] += size
    kernels = sum(seconds for _, seconds, _ in groups.values())
    matches = _matcher(pattern)
    chosen = {key: entry for key, entry in groups.items() if matches(key[0]) or matches(key[1])}
    if pattern is not None and not chosen:
        raise UsageError(f"no operator matches {pattern!r}; {_nearest(pattern, groups)}")
    operators = [
        Operator(node, kernel, calls, seconds, seconds / calls, seconds / total, size // calls, size / seconds if seconds else 0.0, target, part, schedule)
        for (node, kernel, target, schedule, part), (calls, seconds, size) in chosen.items()
    ]
    operators.sort(key=lambda o: -o.total)
    return Profile(operators, runs, total, total - kernels, kernels, device, dims)


def _matcher(pattern):
    if pattern is None:
        return lambda name: True
    if "*" in pattern or "?" in pattern:
        parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
        return re.compile("".join(parts), re.I | re.S).fullmatch
    return lambda name: pattern.casefold() in name.casefold()


def _nearest(pattern, groups):
    names = {}
    for node, kernel, *_ in groups:
        for name in (node, *node.split("/"), kernel):
            if name:
                names.setdefault(name.casefold(), name)
    plain = pattern.replace("*", "").replace("?", "").casefold()
    near = difflib.get_close_matches(plain, names, 5, 0.3) or list(names)[:5]
    return "the nearest names are " + ", ".join(repr(names[n]) for n in near) if near else "the model launches no kernel"


def _printable(text):
    """A name may be anything, and long."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= 80 else f"{text[:38]}...{text[-39:]}"


def _seconds(value):
    return f"{value:.3f} s" if value >= 1 else f"{value * 1e3:.3f} ms" if value >= 1e-3 else f"{value * 1e6:.1f} us"


def _bytes(value):
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
