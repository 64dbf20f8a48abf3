"""Files: nothing that is read is written over, what cannot be written is an error, nothing is left half written, and no odd file makes a
program wait or crash. Each case answers (result, expected status, pattern[, files that must not exist...]); see cases_ktc."""
import os
import signal
import subprocess
import time

import numpy as np

import cases_ktc
import cases_ktrun
from onnxwire import *

X = [value("x", FLOAT, ["n", 4])]
Y = [value("y", FLOAT, ["n", 4])]


def external(location="w.bin", **entries):
    return model([node("Add", ["x", "w"], ["y"])], X, Y, [tensor("w", FLOAT, [4], external={"location": location, **entries})])


def names(b, folder="."):
    return sorted(os.listdir(b.path(folder)))


def relink(b, target, name, link=os.symlink):
    """`name` as a link to `target`, whatever it was before."""
    os.makedirs(os.path.dirname(b.path(name)), exist_ok=True)
    if os.path.lexists(b.path(name)):
        os.unlink(b.path(name))
    link(target, b.path(name))


def content(b, name):
    with open(b.path(name), "rb") as f:
        return f.read()


def outcome(ok, result, status, message, what="a file was not kept"):
    """The result, or a status that no program has when `ok` is false."""
    return result, status if ok else what, message


def cases():
    return [(name, case) for group in (kept(), unwritable(), interrupted(), changing(), hubs(), irregular()) for name, case in group]


def kept():
    out = []

    def compile_case(name, output, *flags, model_name="keep/m.onnx", prepare=None, message="would be written over", files=("keep/m.onnx", "keep/w.bin", "keep/c.yaml")):
        def run(b):
            b.write("keep/m.onnx", external())
            b.write("keep/w.bin", bytes(16))
            b.write("keep/c.yaml", "execution:\n  dynamic_batching: true\n")
            if prepare:
                prepare(b)
            before = [content(b, f) for f in files]
            r = b.run("ktc", "compile", model_name, "-o", output, *flags)
            return outcome(before == [content(b, f) for f in files], r, 2, message)
        out.append(("ktc keeps " + name, run))
    compile_case("its model", "keep/m.onnx")
    compile_case("its model, through ..", "keep/../keep/m.onnx")
    compile_case("its model behind a link", "alias.ktm", prepare=lambda b: relink(b, "keep/m.onnx", "alias.ktm"))
    compile_case("its model behind links", "alias2.ktm", prepare=lambda b: (relink(b, "keep/m.onnx", "alias.ktm"), relink(b, "alias.ktm", "alias2.ktm")))
    compile_case("its model, a hard link", "hard.ktm", prepare=lambda b: relink(b, b.path("keep/m.onnx"), "hard.ktm", os.link))
    compile_case("its model, named through a link", "keep/m.onnx", model_name="other.onnx",
                 prepare=lambda b: (relink(b, "keep/m.onnx", "other.onnx")))
    compile_case("its data", "keep/w.bin")
    compile_case("its data, text", "keep/w.bin", "--compile-to=import")
    compile_case("its data, a hard link", "hard.ktm", prepare=lambda b: relink(b, b.path("keep/w.bin"), "hard.ktm", os.link))
    compile_case("its config", "keep/c.yaml", "--config", "keep/c.yaml")
    compile_case("its model from --dump-phases", "bad.ktm", "--dump-phases=dump",
                 prepare=lambda b: relink(b, b.path("keep/m.onnx"), "dump/01-graph.mlir", os.link))
    compile_case("an output that is two", "dump/00-import.mlir", "--dump-phases=dump", "--compile-to=import", message="is given for two outputs", prepare=lambda b: (
        b.write("dump/x", ""), [os.unlink(b.path("dump/" + f)) for f in names(b, "dump")]))

    def convert(b):
        data = cases_ktc.add_model()
        b.write("m.onnx", data)
        r = b.run("ktransformers-convert", "--input", "m.onnx", "--output", "./m.onnx")
        return outcome(content(b, "m.onnx") == data, r, 2, "would be written over")
    out.append(("ktransformers-convert keeps its model", convert))

    def extract(b):
        data = content(b, cases_ktrun.artifact(b))
        b.run("ktc", "inspect", "good.ktm", "--extract=extract")
        file = [f for f in names(b, "extract") if f.endswith(".bin")][0]
        relink(b, b.path("good.ktm"), "extract/" + file, os.link)
        r = b.run("ktc", "inspect", "good.ktm", "--extract=extract")
        return outcome(content(b, "good.ktm") == data, r, 2, "would be written over")
    out.append(("ktc inspect --extract keeps the artifact", extract))

    def run_case(name, *arguments, message="would be written over", prepare=None, status=2):
        def run(b):
            files = [cases_ktrun.artifact(b), b.npz("in.npz", x=np.ones((2, 4), np.float32)), b.npz("want.npz", y=np.ones((2, 4), np.float32))]
            if prepare:
                prepare(b)
            before = [content(b, f) for f in files]
            r = b.run("ktrun", "good.ktm", "--device", "host", "--input", "@in.npz", *arguments)
            return outcome(before == [content(b, f) for f in files], r, status, message)
        out.append(("ktrun keeps " + name, run))
    run_case("its artifact", "--output", "@good.ktm")
    run_case("its artifact from one array", "--output", "y=@./good.ktm")
    run_case("its artifact, a hard link", "--output", "@hard.npz", prepare=lambda b: relink(b, b.path("good.ktm"), "hard.npz", os.link))
    run_case("its input", "--output", "@in.npz")
    run_case("its input, a link", "--output", "y=@l.npy", prepare=lambda b: relink(b, "in.npz", "l.npy"))
    run_case("what is expected", "--expected", "@want.npz", "--output", "@want.npz")
    run_case("its artifact from --profile", "--profile", "good.ktm")
    run_case("its input from --profile", "--profile", "in.npz")
    run_case("two outputs apart", "--output", "@o.npz", "--output", "y=@./o.npz", message="is given for two outputs")
    run_case("outputs and the profile apart", "--output", "@o.npz", "--profile", "o.npz", message="is given for two outputs")

    def link_stays(b):
        b.write("good.onnx", cases_ktc.add_model())
        b.write("store/real.ktm", "old")
        relink(b, "store/real.ktm", "named.ktm")
        r = b.run("ktc", "compile", "good.onnx", "-o", "named.ktm")
        return outcome(os.path.islink(b.path("named.ktm")) and content(b, "store/real.ktm")[1:4] == b"KTM", r, 0, "", "the link was replaced")
    out.append(("ktc writes through a link", link_stays))

    def appended(b):
        data = content(b, cases_ktrun.artifact(b))
        r = b.shell("ktc inspect good.ktm >> good.ktm")
        return outcome(content(b, "good.ktm") == data, r, 2, "would be written over")
    out.append(("ktc inspect does not print into the artifact", appended))

    def devices(b):
        cases_ktrun.artifact(b)
        r = b.shell("ktrun good.ktm --device host --input x=2x4xf32=1 --output @/dev/null --output y=@/dev/null --profile /dev/null && "
                    "ktc compile add.onnx -o /dev/null && ktc compile add.onnx -o /dev/stdout | cmp - good.ktm && "
                    "{ echo before; ktc compile add.onnx -o /dev/stdout; } > both && tail -c +8 both | cmp - good.ktm && "
                    "rm -f pipe && mkfifo pipe && { cat pipe > piped & ktc compile add.onnx -o pipe; } && wait && cmp piped good.ktm && test -p pipe")
        return r, 0, ""
    out.append(("devices and pipes are written to", devices))
    return out


def unwritable():
    out = []
    reports = {"ktc --help": "", "ktc --version": "", "ktc compile --help": "", "ktrun --help": "", "ktransformers-convert --help": "",
               "ktc inspect good.ktm": "", "ktc inspect good.ktm --format=json": "", "ktc compile add.onnx -o - --compile-to=import": "",
               "ktc compile add.onnx -o /dev/stdout": "", "ktrun good.ktm --device host --input x=2x4xf32=1": "",
               "ktrun good.ktm --device host --input x=2x4xf32=1 --expected @want.npz": "",
               "ktrun good.ktm --device host --input x=2x4xf32=1 --output @/dev/stdout": "",
               "ktrun good.ktm --device host --input x=2x4xf32=1 --benchmark 0.01": "",
               "ktrun good.ktm --device host --input x=2x4xf32=1 --benchmark 0.01 --benchmark-format=json": ""}
    ends = {"a full device": ("> /dev/full", "No space left on device"), "a closed descriptor": (">&-", "Bad file descriptor"),
            "a closed pipe": ("> >(exec true; ) ", "Broken pipe")}
    for command in reports:
        for end, (redirection, reason) in ends.items():
            def run(b, command=command, redirection=redirection, reason=reason, end=end):
                cases_ktrun.artifact(b)
                b.npz("want.npz", y=np.array([[2, 3, 4, 5]] * 2, np.float32))
                if end == "a closed pipe":
                    read, write = os.pipe()
                    os.close(read)
                    r = b.run(*command.split(), stdout=write)
                    os.close(write)
                else:
                    r = b.shell(command + " " + redirection)
                return r, 1, reason
            out.append((f"{command}: {end}", run))

    def stats(b):
        cases_ktrun.artifact(b)
        r = b.shell("ktrun good.ktm --device host --input x=2x4xf32=1 --stats 2> /dev/full")
        return r, 1, "(?s)"
    out.append(("ktrun --stats: a full device", stats))

    def protected(b):
        if os.geteuid() == 0:
            return "skip"
        b.write("good.onnx", cases_ktc.add_model())
        os.chmod(b.write("protected.ktm", "precious"), 0o444)
        return outcome(content(b, "protected.ktm") == b"precious", b.run("ktc", "compile", "good.onnx", "-o", "protected.ktm"), 1, "Permission denied")
    out.append(("ktc keeps a protected file", protected))
    for command in ("ktc compile good.onnx -o", "ktrun good.ktm --device host --input x=2x4xf32=1 --profile", "ktc compile good.onnx --compile-to=import -o"):
        def folder(b, command=command):
            cases_ktrun.artifact(b)
            b.write("good.onnx", cases_ktc.add_model())
            os.makedirs(b.path("folder"), exist_ok=True)
            return b.run(*command.split(), "folder"), 1, "cannot create 'folder': Is a directory"
        out.append((f"{command} a folder", folder))
    return out


def interrupted():
    """Whatever ends a program, nothing is left beside the output and a file that was there stays."""
    out = []
    big = lambda: model([node("MatMul", ["x", "w"], ["y"])], [value("x", FLOAT, ["n", 1024])], Y, [tensor("w", FLOAT, [1024, 1024], floats=[0.5] * (1 << 20))])

    def left(b, folder):
        return names(b, folder) == ["out.ktm"] and content(b, folder + "/out.ktm") == b"precious"

    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        for name, command in (("ktc", "ktc compile big.onnx -o stop/out.ktm"), ("ktrun", "ktrun big.ktm --device host --input x=20000x1024xf32=1 --output @stop/out.ktm")):
            def run(b, which=which, command=command, name=name):
                if not os.path.exists(b.path("big.ktm")):
                    b.write("big.onnx", big())
                    if b.run("ktc", "compile", "big.onnx", "-o", "big.ktm").returncode:
                        return b.run("ktc", "compile", "big.onnx", "-o", "big.ktm"), 0, ""
                b.write("stop/out.ktm", "")
                if b.run(*command.split()).returncode:
                    return b.run(*command.split()), 0, ""
                whole = content(b, "stop/out.ktm")
                for delay in (0.02, 0.1, 0.3, 0.5, 0.8):
                    b.write("stop/out.ktm", "precious")
                    p = subprocess.Popen(b.command(*command.split()), cwd=b.dir, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                    time.sleep(delay)
                    p.send_signal(which)
                    p.wait()
                    # The signal may come when the file is in place already.
                    if names(b, "stop") != ["out.ktm"] or content(b, "stop/out.ktm") not in (whole, b"precious"):
                        return subprocess.CompletedProcess(command, "left " + str(names(b, "stop")), "", ""), 0, ""
                return subprocess.CompletedProcess(command, 0, "", ""), 0, ""
            out.append((f"{name}: {which.name} leaves nothing", run))

    for name, command in {"ktc": "ktc compile add.onnx -o limit/out.ktm", "ktc text": "ktc compile add.onnx --compile-to=import -o limit/out.ktm",
                          "ktrun": "ktrun good.ktm --device host --input x=2000x4xf32=1 --output @limit/out.ktm",
                          "ktrun, one array": "ktrun good.ktm --device host --input x=2000x4xf32=1 --output y=@limit/out.ktm",
                          "ktrun --profile": "ktrun good.ktm --device host --input x=2x4xf32=1 --profile limit/out.ktm"}.items():
        def run(b, command=command):
            cases_ktrun.artifact(b)
            b.write("limit/out.ktm", "precious")
            r = b.run(*command.split(), file_bytes=100, default_signals=True)
            return outcome(left(b, "limit"), r, 1, "cannot write 'limit/out.ktm': File too large")
        out.append((f"{name}: a limit of file sizes leaves nothing", run))
    return out


def changing():
    """External data that changes under the compiler: an error, never a signal, never half of the one and half of the other."""
    out = []
    size = 64 << 20

    def case(name, change):
        def run(b):
            b.write("change/m.onnx", model([node("MatMul", ["x", "w"], ["y"])], [value("x", FLOAT, ["n", 4096])], Y,
                                           [tensor("w", FLOAT, [4096, 4096], external={"location": "w.bin"})]))
            seen = set()
            for delay in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6):
                with open(b.path("change/w.bin"), "wb") as f:
                    f.truncate(size)
                p = subprocess.Popen(b.command("ktc", "compile", "change/m.onnx", "-o", "change/out.ktm", "--target", "host"), cwd=b.dir, stderr=subprocess.PIPE, text=True)
                time.sleep(delay)
                change(b.path("change/w.bin"))
                err = p.communicate()[1]
                if p.returncode not in (0, 1) or p.returncode and ("error:" not in err or "internal" in err):
                    return subprocess.CompletedProcess("", p.returncode, "", err), 1, ""
                seen.add(p.returncode)
            return outcome(1 in seen, subprocess.CompletedProcess("", 0, "", ""), 0, "", "the change was never seen")
        out.append(("external data that " + name, run))
    case("becomes shorter", lambda path: os.truncate(path, 4096))
    case("becomes empty", lambda path: os.truncate(path, 0))
    case("grows", lambda path: os.truncate(path, size + 4096))

    def touch(path):
        with open(path, "r+b") as f:
            f.seek(size // 2)
            f.write(b"other")
    case("is written to", touch)
    return out


def hubs():
    out = []

    def accepted(name, prepare, model_name):
        def run(b):
            prepare(b)
            return b.run("ktc", "compile", model_name, "-o", "hub.ktm"), 0, ""
        out.append(("external data: " + name, run))

    def refused(name, prepare, model_name, message="lies outside the model's folder"):
        def run(b):
            prepare(b)
            return b.run("ktc", "compile", model_name, "-o", "bad.ktm"), 1, message, "bad.ktm"
        out.append(("external data: " + name, run))

    def hub(b):
        b.write("hub/blobs/aaaa", external("model.onnx_data"))
        b.write("hub/blobs/bbbb", bytes(16))
        relink(b, "../../blobs/aaaa", "hub/snapshots/1/model.onnx")
        relink(b, "../../blobs/bbbb", "hub/snapshots/1/model.onnx_data")
    accepted("the layout of a hub", hub, "hub/snapshots/1/model.onnx")

    def hub_below(b):
        b.write("hub2/blobs/aaaa", external("data/w.bin"))
        b.write("hub2/blobs/bbbb", bytes(16))
        relink(b, "../../../blobs/aaaa", "hub2/snapshots/1/onnx/model.onnx")
        relink(b, "../../../../blobs/bbbb", "hub2/snapshots/1/onnx/data/w.bin")
    accepted("the layout of a hub, data in a folder below", hub_below, "hub2/snapshots/1/onnx/model.onnx")

    def linked_model(b):
        b.write("store/real.onnx", external())
        b.write("store/w.bin", bytes(16))
        relink(b, "../store/real.onnx", "elsewhere/m.onnx")
    accepted("beside the file that the model's name leads to", linked_model, "elsewhere/m.onnx")

    def linked_folder(b):
        linked_model(b)
        relink(b, "store", "store-link")
    accepted("through a folder that is a link", linked_folder, "store-link/real.onnx")

    def inner(b):
        b.write("inner/m.onnx", external("link.bin"))
        b.write("inner/deep/w.bin", bytes(16))
        relink(b, "deep/w.bin", "inner/link.bin")
    accepted("a link within the folder", inner, "inner/m.onnx")

    def outside(location, target=None):
        def prepare(b):
            b.write("secret/w.bin", bytes(16))
            b.write("out/m.onnx", external(location))
            b.write("out/sub/x", "")
            if target:
                relink(b, target, "out/link")
        return prepare
    refused("a link out of the folder", outside("link", "../secret/w.bin"), "out/m.onnx")
    refused("an absolute link out of the folder", outside("link", "/etc/passwd"), "out/m.onnx")
    refused("a folder that is a link out", outside("link/w.bin", "../secret"), "out/m.onnx")
    refused(".. behind a folder", outside("sub/../../secret/w.bin"), "out/m.onnx")
    refused(".. that comes back", outside("sub/../w.bin"), "out/m.onnx")
    refused("..", outside(".."), "out/m.onnx")
    refused("through /proc", outside("link/root/etc/passwd", "/proc/self"), "out/m.onnx")

    def hub_and_more(b):
        hub(b)
        b.write("secret/w.bin", bytes(16))
        relink(b, "../../../secret/w.bin", "hub/snapshots/1/model.onnx_data")
    refused("the layout of a hub, data a link to elsewhere", hub_and_more, "hub/snapshots/1/model.onnx")
    for name, entries in {"an offset beyond the end": dict(offset=17, length=0), "a length beyond the end": dict(offset=8, length=16),
                          "offset and length that overflow": dict(offset=2**64 - 8, length=16), "a length of 2^64": dict(length=2**64),
                          "a negative offset": dict(offset=-1), "a length that does not fit": dict(length=12)}.items():
        def numbers(b, entries=entries):
            b.write("numbers/m.onnx", external(**entries))
            b.write("numbers/w.bin", bytes(16))
        refused(name, numbers, "numbers/m.onnx", "tensor 'w': ")
    return out


def irregular():
    """A pipe, a device, a socket or a folder as anything that is read: one error at once."""
    out = []
    kinds = {"pipe": "a pipe", "device": "a device", "socket": "a socket", "folder": "a folder", "loop": "symbolic links"}

    def make(b, kind, name):
        os.makedirs(os.path.dirname(b.path(name)), exist_ok=True)
        if os.path.lexists(b.path(name)):
            return
        if kind == "pipe":
            os.mkfifo(b.path(name))
        elif kind == "device":
            os.symlink("/dev/zero", b.path(name))
        elif kind == "socket":
            import socket
            socket.socket(socket.AF_UNIX).bind(os.path.relpath(b.path(name)))
        elif kind == "folder":
            os.mkdir(b.path(name))
        else:
            os.symlink(os.path.basename(name), b.path(name))

    def external_device(b, kind):
        b.write(f"odd/{kind}.onnx", external(kind + ".bin"))
        make(b, kind, f"odd/{kind}.bin")
        return b.run("ktc", "compile", f"odd/{kind}.onnx", "-o", "bad.ktm")
    uses = {
        "model": lambda b, f: b.run("ktc", "compile", f, "-o", "bad.ktm"),
        "config": lambda b, f: b.run("ktc", "compile", "add.onnx", "-o", "bad.ktm", "--config", f),
        "artifact": lambda b, f: b.run("ktrun", f),
        "artifact of inspect": lambda b, f: b.run("ktc", "inspect", f),
        "input archive": lambda b, f: b.run("ktrun", "good.ktm", "--device", "host", "--input", "@" + f),
        "input array": lambda b, f: b.run("ktrun", "good.ktm", "--device", "host", "--input", "x=@" + f),
        "expected": lambda b, f: b.run("ktrun", "good.ktm", "--device", "host", "--input", "x=1x4xf32=1", "--expected", "@" + f),
    }
    for kind, words in kinds.items():
        for use, run in uses.items():
            def case(b, kind=kind, run=run, words=words):
                cases_ktrun.artifact(b)
                make(b, kind, "irregular/" + kind)
                return run(b, "irregular/" + kind), 1, words
            out.append((f"{kind} as {use}", case))
        def data(b, kind=kind, words=words):
            return external_device(b, kind), 1, r"lies outside" if kind == "device" else words, "bad.ktm"
        out.append((f"{kind} as external data", data))
    return out
