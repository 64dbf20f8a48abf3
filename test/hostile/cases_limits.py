"""Absurd numbers, odd texts and little memory: each ends with one clear error, as a JSON object under --diagnostics json; see cases_files."""
import json
import os
import subprocess

import cases_ktc
import cases_ktrun
from cases_files import outcome


def cases():
    out = []

    def usage(name, command, message, status=2):
        def run(b):
            cases_ktrun.artifact(b)
            return b.run(*command), status, message
        out.append((name, run))
    compile_add = ("ktc", "compile", "add.onnx", "-o", "bad.ktm")
    host = ("ktrun", "good.ktm", "--device", "host", "--input", "x=2x4xf32=1")
    for threads in ("100000", "-1", "4294967297", "1.5", "many", ""):
        usage(f"ktc --threads {threads}", (*compile_add, f"--threads={threads}"), "threads")
        usage(f"ktrun --threads {threads}", (*host, f"--threads={threads}"), "threads")
    usage("ktrun --threads 1000", (*host, "--threads", "1000"), "", status=0)
    for option in ("config", "dump-phases", "max-slice-mem"):
        usage(f"ktc --{option} of nothing", (*compile_add, f"--{option}", ""), f"--{option}: expected a name")
    for option in ("profile", "expected", "device-memory"):
        usage(f"ktrun --{option} of nothing", (*host, f"--{option}", ""), f"--{option}: expected a name")
    for number in ("nan", "inf", "-1", "x"):
        usage(f"ktrun --benchmark {number}", (*host, f"--benchmark={number}"), "benchmark")
        usage(f"ktrun --rtol {number}", (*host, f"--rtol={number}"), "rtol")
    for size in ("0", "-1GB", "1e30", "99999999999GB", "1.GB", "nan", "GB", "1 G B", "9223372036854775808", "0x10"):
        usage(f"ktc --max-slice-mem {size}", (*compile_add, f"--max-slice-mem={size}"), "max-slice-mem: expected a size")
        usage(f"ktrun --device-memory {size}", (*host, f"--device-memory={size}"), "expected a size")
    for dim in ("n=99999999999999999999", "n=-1", "n=1..", "n=..2", "n=1...2", "=1", "n= 1", "n=+1", "n=2..1", "n"):
        usage(f"ktc --dim {dim}", (*compile_add, "--dim", dim), "--dim: expected")
    for spec in ("x=", "x=2x4xf32", "=2x4xf32=1", "x=-2x4xf32=1", "x=2x4xf33=1", "x=2xx4xf32=1", "x=2x4xf32=", "x=2x4xf32=1,2", "x=2x4x=1", "x=99999999999999999999x4xf32=1",
                 "x=4294967296x4294967296x4294967296xf32=1", "x=" + "1x" * 1000 + "f32=1"):
        usage(f"ktrun --input {spec[:30]}", ("ktrun", "good.ktm", "--device", "host", "--input", spec), "--input")
    usage("an input of 40 GB in 6 GB", ("ktrun", "good.ktm", "--device", "host", "--input", "x=100000x100000xf32=1"),
          r"needs 40000000000 bytes of memory but \d+ are available|expected", status=1)

    yaml = {"nested lists": "[" * 10000, "nested maps": "{a: " * 10000, "indented": "".join(" " * i + "a:\n" for i in range(1000)),
            "an alias of nothing": "execution: *x\n", "an alias to itself": "&x execution: *x\n", "a bomb": "a: &a [1,1]\n" + "".join(
                f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)}]\n" for i in range(20)),
            "a list as key": "? [execution]\n: 1\n", "a map as key": "execution:\n  ? {a: b}\n  : 1\n", "binary": "\0\1\2\xff\xfe",
            "a tag": "!!python/object:os.system execution: 1\n", "two documents": "--- 1\n--- 2\n", "a number": "5\n", "a quote": "\"\\x\n", "large": "#" + "x" * (2 << 20)}
    for name, text in yaml.items():
        def config(b, text=text, name=name):
            b.write("add.onnx", cases_ktc.add_model())
            b.write("c.yaml", text)
            return b.run("ktc", "compile", "add.onnx", "-o", "bad.ktm", "--config", "c.yaml"), 1 if name == "large" else 2, r"'c.yaml'", "bad.ktm"
        out.append(("config.yaml: " + name, config))

    for name, command in {"no command": ["ktc"], "unknown flag": ["ktc", "compile", "--frob"], "missing model": ["ktc", "compile", "none.onnx", "-o", "bad.ktm"],
                          "bad value": [*compile_add, "--quant", "int3"], "bad size": [*compile_add, "--max-slice-mem", "x"], "itself": ["ktc", "compile", "add.onnx", "-o", "add.onnx"],
                          "bad decibels": [*compile_add, "--quant", "int8", "--quant-min-snr", "1e999"],
                          "a report over the model": [*compile_add, "--quant", "int8", "--accuracy-report", "add.onnx"],
                          "inspect": ["ktc", "inspect", "none.ktm"], "convert": ["ktransformers-convert"]}.items():
        def diagnostics(b, command=command):
            cases_ktrun.artifact(b)
            r = b.run(*command, "--diagnostics", "json")
            lines = r.stderr.splitlines()
            try:
                ok = len(lines) == 1 and json.loads(lines[0])["severity"] == "error" and json.loads(lines[0])["message"]
            except (ValueError, KeyError):
                ok = False
            return outcome(ok and r.returncode in (1, 2), subprocess.CompletedProcess(command, 0, "", r.stderr), 0, "", "no JSON object alone")
        out.append(("--diagnostics json: " + name, diagnostics))

    def newline(b):
        return b.run("ktc", "compile", "a\nerror: b.onnx", "-o", "bad.ktm"), 1, r"cannot read 'a\\x0aerror: b.onnx'"
    out.append(("ktc: an error is one line whatever the file is called", newline))

    for name, command in (("ktc", compile_add), ("ktrun", host), ("ktc inspect", ("ktc", "inspect", "good.ktm"))):
        def memory(b, command=command, name=name):
            if b.memory is None:
                return "skip"
            cases_ktrun.artifact(b)
            program = (10 << 20) + os.path.getsize(os.path.join(b.bin, command[0]))
            # From what the program needs to be loaded to what it needs to finish.
            for megabytes in [*range(2, 40, 2), *range(40, 400, 20), *range(400, 2000, 100)]:
                r = b.run(*command, memory=megabytes << 20)
                errors = [line for line in r.stderr.splitlines() if line.startswith("error:")]
                loader = r.returncode == 127 and "shared libraries" in r.stderr
                none = r.returncode == -11 and not r.stderr and megabytes << 20 < program  # the kernel could not even map it
                if not (r.returncode == 0 or r.returncode == 1 and len(errors) == 1 and "internal" not in r.stderr or loader or none):
                    return r, f"0 or one error with {megabytes} MB", ""
                if r.returncode == 0:
                    return r, 0, ""
            return r, 0, ""
        out.append((f"{name}: little memory", memory))
    return out
