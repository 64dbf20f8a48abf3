#!/usr/bin/env python3
"""Whole models on an NVIDIA GPU beside PyTorch eager, in one run.

    gpu_models.py --ktc KTC --ktrun KTRUN [--work DIR] [matmul bert resnet50 llama]

Each model is made here with random weights, exported or written as FP16 ONNX, compiled, run, compared with PyTorch's result and timed:
ktrun with inputs and outputs on the device (--resident), PyTorch with CUDA events around eager calls, both as medians. Needs torch,
transformers, torchvision, onnx, onnxscript."""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper


def eager_ms(fn, seconds=1.5):
    for _ in range(5):
        fn()
    torch.cuda.synchronize()
    times, t0 = [], time.time()
    while time.time() - t0 < seconds or len(times) < 10:
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        fn()
        b.record()
        torch.cuda.synchronize()
        times.append(a.elapsed_time(b))
    return float(np.median(times))


def matmul(work):
    n = 4096
    w = (torch.randn(n, n, device="cuda") / 64).half()
    x = torch.randn(n, n, device="cuda").half()
    g = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "matmul")], "matmul",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["m", n])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["m", n])],
        [onnx.numpy_helper.from_array(w.cpu().numpy(), "w")])
    path = os.path.join(work, "matmul.onnx")
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path, {"x": x}, lambda: torch.matmul(x, w), 2 * n**3


class Only(torch.nn.Module):
    """The first result of a model, with fixed keyword arguments."""

    def __init__(self, model, **kwargs):
        super().__init__()
        self.model, self.kwargs = model, kwargs

    def forward(self, x):
        r = self.model(x, **self.kwargs)
        return r if isinstance(r, torch.Tensor) else r[0]


def export(work, name, model, x, input_name, dynamic):
    path = os.path.join(work, name + ".onnx")
    with torch.no_grad():
        torch.onnx.export(model, (x,), path, input_names=[input_name], output_names=["y"], dynamo=True, external_data=True,
                          dynamic_shapes=(dynamic,), opset_version=18, verbose=False, optimize=False)
    return path, {input_name: x}, lambda: model(x), 0


def bert(work):
    from transformers import BertConfig, BertModel
    config = BertConfig(vocab_size=30522, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                        attn_implementation="sdpa")
    model = Only(BertModel(config, add_pooling_layer=False).eval().half().cuda(), return_dict=False)
    x = torch.randint(0, 30522, (8, 128), device="cuda")
    return export(work, "bert", model, x, "input_ids", {0: "batch", 1: "seq"})


def resnet50(work):
    import torchvision
    model = torchvision.models.resnet50(weights=None).eval().half().cuda()
    x = torch.randn(8, 3, 224, 224, device="cuda").half()
    return export(work, "resnet50", model, x, "image", {0: "batch"})


def llama(work):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = LlamaConfig(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                         num_key_value_heads=8, head_dim=64, max_position_embeddings=4096, rope_theta=500000.0, tie_word_embeddings=True,
                         attn_implementation="sdpa")
    torch.set_default_dtype(torch.float16)
    with torch.device("cuda"):
        llama_model = LlamaForCausalLM(config).eval()
    torch.set_default_dtype(torch.float32)
    model = Only(llama_model, use_cache=False, return_dict=False)
    x = torch.randint(0, 128256, (1, 512), device="cuda")
    return export(work, "llama", model, x, "input_ids", {0: "batch", 1: "seq"})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("models", nargs="*")
    p.add_argument("--ktc", required=True)
    p.add_argument("--ktrun", required=True)
    p.add_argument("--work", default="gpu-bench")
    p.add_argument("--quick", action="store_true", help="short measurements")
    p.add_argument("--profile", action="store_true", help="time by kernel of each model")
    a = p.parse_args()
    os.makedirs(a.work, exist_ok=True)
    rows = []
    for make in (matmul, bert, resnet50, llama):
        name = make.__name__
        if a.models and name not in a.models:
            continue
        try:
            t0 = time.time()
            path, inputs, run, flops = make(a.work)
            export_s = time.time() - t0
            with torch.no_grad():
                want = run().float().cpu().numpy()
                eager = eager_ms(run)
            np.savez(os.path.join(a.work, "in.npz"), **{k: v.cpu().numpy() for k, v in inputs.items()})
            ktm = os.path.join(a.work, name + ".ktm")
            t0 = time.time()
            r = subprocess.run([a.ktc, "compile", path, "-o", ktm], capture_output=True, text=True)
            compile_s = time.time() - t0
            if r.returncode:
                raise RuntimeError("compile: " + r.stderr[:600])
            out = os.path.join(a.work, "out.npz")
            cmd = [a.ktrun, ktm, "--device", "cuda:0", "--input", "@" + os.path.join(a.work, "in.npz"), "--output", "@" + out, "--stats",
                   "--benchmark", "0.5" if a.quick else "2", "--resident", "--benchmark-format", "json"]
            if a.profile:
                cmd += ["--profile", os.path.join(a.work, name + ".trace.json")]
            r = subprocess.run(cmd, capture_output=True, text=True)
            if r.returncode:
                raise RuntimeError("run: " + r.stderr[:600])
            start = r.stdout.index("{\n")
            b = json.loads(r.stdout[start:r.stdout.rindex("}") + 1])["benchmarks"][0]
            got = np.load(out)[np.load(out).files[0]].astype(np.float32)
            err = float(np.linalg.norm(got - want) / np.linalg.norm(want))
            ms = b["real_time"]
            stats = " ".join(l.strip() for l in r.stderr.splitlines() if "fallback" in l or "replays" in l or l.startswith("  "))
            rows.append(f"{name:10} ktc {ms:8.3f} ms  eager {eager:8.3f} ms  ratio {eager / ms:5.2f}  error {err:.1e}  compile {compile_s:.1f} s"
                        + (f"  {flops / ms / 1e9:.0f} TFLOPS, {eager / ms * 100:.0f}% of cuBLAS" if flops else "") + "  | " + stats)
        except Exception as e:  # one model's failure is a row, not the end of the table
            rows.append(f"{name:10} failed: {str(e)[:700]}")
        print(rows[-1], flush=True)
        torch.cuda.empty_cache()
        if a.profile and os.path.exists(os.path.join(a.work, name + ".trace.json")):
            events = json.load(open(os.path.join(a.work, name + ".trace.json")))
            events = events["traceEvents"] if isinstance(events, dict) else events
            total = {}
            for e in events:
                key = e.get("name", "?")
                n, t = total.get(key, (0, 0))
                total[key] = (n + 1, t + e.get("dur", 0))
            for key, (n, t) in sorted(total.items(), key=lambda kv: -kv[1][1])[:14]:
                print(f"    {key:40} {n:5} x {t / max(n, 1):8.1f} us = {t / 1e3:8.3f} ms", flush=True)
    print("\n".join(["", "summary"] + rows))


if __name__ == "__main__":
    sys.exit(main())
