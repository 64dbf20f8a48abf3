#!/usr/bin/env python3
"""Compiles every model of models_bounds.py and says how long each took and how much memory. Exits 1 when one takes more than the bounds.

    bounds.py --bin DIR [--scale 1.0] [--seconds 10] [--megabytes 1024] [NAME]"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile

import models_bounds


def measure(command, folder, seconds):
    """Runs it for at most so many seconds of CPU time: (exit status, standard error, CPU seconds, megabytes)."""
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with open(os.path.join(folder, "stderr"), "w+b") as err:
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=err, preexec_fn=limit)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        text = err.read().decode(errors="replace")
    return child.returncode, text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True)
    p.add_argument("--scale", type=float, default=1.0)
    p.add_argument("--seconds", type=int, default=10)
    p.add_argument("--megabytes", type=int, default=1024)
    p.add_argument("--keep", help="write the models that fail into this folder")
    p.add_argument("--slow", type=float, default=0.0, help="print only what takes longer")
    p.add_argument("only", nargs="?", default="")
    a = p.parse_args()
    ktc, bad, count = os.path.abspath(os.path.join(a.bin, "ktc")), 0, 0
    with tempfile.TemporaryDirectory(prefix="kt-bounds-") as folder:
        for group, (models, most) in models_bounds.groups().items():
            for name, make in models.items():
                if a.only not in f"{group}: {name}":
                    continue
                data = make(max(2, int(most * a.scale)))
                with open(os.path.join(folder, "m.onnx"), "wb") as f:
                    f.write(data)
                status, text, seconds, megabytes = measure([ktc, "compile", "m.onnx", "-o", "m.ktm"], folder, 6 * a.seconds)
                said = [line for line in text.splitlines() if line.startswith("error:")]
                wrong = status not in (0, 1) or seconds > a.seconds or megabytes > a.megabytes or (status == 1 and not said)
                bad, count = bad + wrong, count + 1
                if wrong or seconds >= a.slow:
                    print(f"{'BAD' if wrong else 'ok ':3} {seconds:6.2f} s {megabytes:5} MB status {status:3} {len(data):8} bytes  {group}: {name}: {(said or text.splitlines() or [''])[0][:140]}", flush=True)
                if wrong and a.keep:
                    os.makedirs(a.keep, exist_ok=True)
                    with open(os.path.join(a.keep, name.replace(" ", "-").replace("/", "-") + ".onnx"), "wb") as f:
                        f.write(data)
    print(f"{count} models, {bad} beyond the bounds")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
