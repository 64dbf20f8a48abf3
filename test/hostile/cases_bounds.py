"""Time and memory are bounded by the model's size: models of models_bounds.py, smaller than in bounds.py, with what is asked of a megabyte."""
import subprocess

import bounds
import models_bounds
from cases_files import outcome

# What was quadratic or worse once, by group: each has to stay far below the bounds at this size.
CHOSEN = {
    "chains": (2000, ("a chain of Pow of itself", "a chain of Concat doubling", "a chain of QuantizeLinear", "a chain of Where")),
    "shapes": (2000, ("sizes through every kind", "sizes through themselves", "sizes through Mod", "sizes through many symbols", "sizes through Concat doubling a shape")),
    "wide": (3000, ("many inputs and outputs", "many dimensions", "many axes of a Transpose", "many errors", "many unsupported operators", "many readers of one value", "many weights",
                     "many inputs of a Sum", "many inputs of a Concat", "many outputs of a Split", "many Split and Concat", "many products with a number", "many different bodies", "many different transpositions")),
    "nested": (1000, ("nested: Ifs in Ifs", "nested: Ifs in a row", "nested: functions that call two", "nested: functions that call ten", "nested: a sequence in 10^9 parts")),
}
SECONDS, MEGABYTES = 10, 1024


def cases():
    out = []
    for group, (size, names) in CHOSEN.items():
        for name in names:
            def run(b, make=models_bounds.groups()[group][0][name], size=size):
                b.write("m.onnx", make(size))
                seconds = SECONDS if b.memory else 10 * SECONDS  # sanitisers are slow
                status, text, took, megabytes = bounds.measure(b.command("ktc", "compile", "m.onnx", "-o", "m.out"), b.dir, seconds)
                said = sum(line.startswith("error:") for line in text.splitlines())
                ok = status == 0 or status == 1 and said and "internal" not in text
                result = subprocess.CompletedProcess([], 0, "", text)
                return outcome(ok and (megabytes <= MEGABYTES or not b.memory), result, 0, "", f"status {status}, {took:.1f} s, {megabytes} MB")
            out.append((f"bounds: {name}", run))

    def chain(b):  # functions may call each other more often than the stack is deep
        from onnxwire import FLOAT, function, model, node, value
        n = 20000
        functions = [function(f"F{i}", ["a"], ["b"], [node(f"F{i + 1}" if i < n - 1 else "Neg", ["a"], ["b"], domain="local" if i < n - 1 else "")]) for i in range(n)]
        b.write("bad.onnx", model([node("F0", ["x"], ["y"], domain="local")], [value("x", FLOAT, ["n"])], [value("y", FLOAT, ["n"])], functions=functions))
        return b.run("ktc", "compile", "bad.onnx", "-o", "bad.ktm"), 1, "nested deeper than"
    out.append(("bounds: a chain of 20000 functions", chain))
    return out
