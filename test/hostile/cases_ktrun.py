"""What the runner has to refuse; see cases_ktc."""
import os

import numpy as np

import cases_ktc
import onnxwire


def artifact(bench):
    """A small right artifact: y[n, 4] = x[n, 4] + w."""
    path = bench.path("good.ktm")
    if not os.path.exists(path):
        bench.write("add.onnx", cases_ktc.add_model())
        r = bench.run("ktc", "compile", "add.onnx", "-o", path)
        if r.returncode:
            raise SystemExit("cannot make an artifact: " + r.stderr)
    return path


def cases():
    out = []

    def case(name, status, message, *arguments, before=None):
        def run(bench):
            artifact(bench)
            if before:
                before(bench)
            return bench.run("ktrun", "good.ktm", *arguments), status, message, "bad.npz"
        out.append(("ktrun " + name, run))

    def damaged(name, message, change, status=4):
        def run(bench):
            data = bytearray(open(artifact(bench), "rb").read())
            bench.write("bad.ktm", bytes(change(data)))
            return bench.run("ktrun", "bad.ktm", "--device", "host", "--input", "x=2x4xf32=1"), status, message
        out.append(("ktrun " + name, run))

    host = ("--device", "host")
    x = ("--input", "x=2x4xf32=1")
    # Inputs: the name, what was expected, what was given.
    case("works", 0, "", *host, *x)
    case("missing input", 2, r"input 'x' is missing: expected f32\[n, 4\]", *host)
    case("unknown input", 2, r"no input is called 'z', expected 'x'", *host, *x, "--input", "z=1xf32=1")
    case("wrong rank", 2, r"input 'x'.*expected f32\[n, 4\].*got.*\[4\]", *host, "--input", "x=4xf32=1")
    case("wrong dimension", 2, r"input 'x'.*4.*5", *host, "--input", "x=2x5xf32=1")
    case("wrong dtype", 2, r"input 'x': expected f32\[n, 4\] but got.*i64|int64", *host, "--input", "x=2x4xi64=1")
    case("bad shape", 2, r"is no shape and type", *host, "--input", "x=2y4=1")
    case("bad number", 2, r"'one' is no f32", *host, "--input", "x=2x4xf32=one")
    case("larger than memory", 2, r"larger than memory|expected", *host, "--input", "x=9223372036854775807x4xf32=1")
    case("input file missing", 1, r"none.npz", *host, "--input", "@none.npz")
    case("input file is no npz", 1, r"bad.txt", *host, "--input", "@bad.txt", before=lambda b: b.write("bad.txt", "hello"))
    case("truncated npz", 1, r"cut.npz", *host, "--input", "@cut.npz",
         before=lambda b: b.write("cut.npz", open(b.npz("full.npz", x=np.ones((2, 4), np.float32)), "rb").read()[:-40]))
    case("strings", 2, r"input 'x': expected f32\[n, 4\] but got strings", *host, "--input", "@s.npz", before=lambda b: b.npz("s.npz", x=np.array([["a"] * 4])))
    # Types that numpy lacks, as ml_dtypes writes them: one is a float of one byte to numpy, the others are raw; of an int4 the upper bits are zero.
    def small(name, onnx_type, descr, data, want, status=0, message=""):
        def run(bench):
            text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(data)},), }}"
            text += " " * (118 - len(text)) + chr(10)
            bench.write("small.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data)
            bench.write("small.onnx", onnxwire.model([onnxwire.node("Cast", ["x"], ["y"], to=1)], [onnxwire.value("x", onnx_type, ["n"])],
                                                     [onnxwire.value("y", onnxwire.FLOAT, ["n"])], opset=23))
            bench.npz("want.npz", y=np.array(want, np.float32))
            r = bench.run("ktc", "compile", "small.onnx", "-o", "small.ktm")
            return (bench.run("ktrun", "small.ktm", *host, "--input", "x=@small.npy", "--expected", "@want.npz") if r.returncode == 0 else r), status, message
        out.append(("ktrun reads " + name, run))
    small("float8_e5m2", 19, "<f1", b"\x3c\xc0\x01", [1, -2, 2**-16])
    small("float8_e5m2, raw", 19, "|V1", b"\x3c\xc0\x01", [1, -2, 2**-16])
    small("float8_e4m3fn", 17, "<V1", b"\x38\xc0\x01", [1, -2, 2**-9])
    small("int4", 22, "<V1", b"\x0f\x01\x08", [-1, 1, -8])
    small("uint4", 21, "<V1", b"\x0f\x01\x08", [15, 1, 8])
    small("no float8_e5m2 for another", 17, "<f1", b"\x38", [1], 2, "input 'x': expected f8e4m3fn")
    # Outputs.
    case("unknown output", 2, r"no output is called 'z', expected 'y'", *host, *x, "--output", "z=@z.npy")
    case("output folder missing", 1, r"none/out.npz", *host, *x, "--output", "@none/out.npz")
    case("full device", 1, r"cannot write 'full': No space left", *host, *x, "--output", "@full", before=lambda b: b.full_device())
    case("full device, one array", 1, r"cannot write 'full': No space left", *host, *x, "--output", "y=@full", before=lambda b: b.full_device())
    case("other outputs", 3, r"1 of 1 outputs differ", *host, *x, "--expected", "@e.npz", before=lambda b: b.npz("e.npz", y=np.zeros((2, 4), np.float32)))
    case("outputs of another shape", 3, r"1 of 1 outputs differ", *host, *x, "--expected", "@e.npz", before=lambda b: b.npz("e.npz", y=np.zeros((3, 4), np.float32)))
    # Devices.
    case("unknown device", 2, r"tpu", "--device", "tpu", *x)
    case("bad device number", 2, r"cuda:x", "--device", "cuda:x", *x)
    if not os.path.exists("/dev/nvidiactl"):
        case("no GPU", 1, r"cuda|CUDA|GPU", "--device", "cuda:0", *x)
    case("bad memory size", 2, r"--device-memory 'some': expected a size", *host, *x, "--device-memory", "some")
    case("too little memory", 1, r"memory|bytes", *host, *x, "--device-memory", "1")
    # Usage.
    out.append(("ktrun missing file", lambda b: (b.run("ktrun", "none.ktm", *host), 1, r"cannot open 'none.ktm': No such file")))
    out.append(("ktrun no arguments", lambda b: (b.run("ktrun"), 2, r"(?s)model")))
    out.append(("ktrun unknown flag", lambda b: (artifact(b) and b.run("ktrun", "good.ktm", "--frobnicate"), 2, r"(?s)frobnicate")))
    # The artifact.
    damaged("empty artifact", r"0 bytes", lambda d: b"")
    damaged("text", r"not a .ktm file|has 6 bytes", lambda d: b"hello\n")
    damaged("zeros", r"not a .ktm file", lambda d: bytes(len(d)))
    damaged("truncated", r"bytes", lambda d: d[:-1])
    damaged("longer", r"bytes", lambda d: d + b"\0")
    damaged("header only", r"bytes", lambda d: d[:64])
    for i in range(64):
        def flip(data, i=i):
            at = (len(data) - 1) * i // 63
            data[at] ^= 1 << i % 8
            return data
        damaged(f"flipped bit {i} of 64 across the file", "error: ", flip)
    out.append(("ktc inspect of a damaged artifact", lambda b: (b.write("bad.ktm", open(artifact(b), "rb").read()[:-5]) and b.run("ktc", "inspect", "bad.ktm"), 4, r"bad.ktm|bytes")))
    return out
