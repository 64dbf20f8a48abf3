"""Whether outputs are what ONNX's own test runner takes for equal (onnx/backend/test/runner, assert_similar_outputs)."""
import numpy as np


def numbers(array, kind, tables):
    """The numbers that an array of a type stands for; integers of less than 8 bits are their own codes."""
    if kind == "bf16":
        return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if kind in tables:
        return tables[kind][array.view(np.uint8)]
    return array.view({"i": np.int8, "u": np.uint8}[kind[0]]) if array.dtype.kind == "V" else array


def differs(name, got, want, kind, rtol, atol, tables):
    """What is wrong with an output, or None. Both arrays are of the type `kind`."""
    if got.shape != want.shape:
        return f"{name}: expected {list(want.shape)} but got {list(got.shape)}"
    if got.tobytes() == want.tobytes():
        return None
    got, want = numbers(got, kind, tables), numbers(want, kind, tables)
    if kind == "bf16":
        rtol = max(rtol, 2**-6)
    # numpy's allclose takes infinities of one sign and, here, NaNs for equal.
    wide = np.complex128 if kind.startswith("c") else np.float64 if got.dtype.kind == "f" else got.dtype
    with np.errstate(all="ignore"):
        equal = np.isclose(got.astype(wide), want.astype(wide), rtol=rtol, atol=atol, equal_nan=True) if got.dtype.kind in "fc" else close_integers(got, want, rtol, atol)
    if equal.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~equal)[0])
    return f"{name}{list(at)}: got {got[at]}, expected {want[at]}; {int((~equal).sum())} of {equal.size} differ"


def close_integers(got, want, rtol, atol):
    """Differences of integers, exact; the runner holds them to its tolerance, too."""
    if got.dtype.kind == "b":
        return got == want
    far = np.where(got > want, got.astype(object) - want.astype(object), want.astype(object) - got.astype(object)) if got.size else got
    return np.asarray(far <= atol + rtol * abs(want.astype(object)), dtype=bool)
