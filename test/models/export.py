#!/usr/bin/env python3
"""Writes small models with random weights as exporters spell them, with inputs of two shapes and what onnxruntime makes of them: export.py FOLDER NAME...
What is in the tree came from:

    timm_vit_dynamo timm_vit_script
    encoder_post_dynamo bert_script bert_mha                      PyTorch 2.15, timm 1.0.31, transformers 4.57.6, onnxruntime 1.32
    optimum_llama, optimum_llama_past, optimum_gpt2_past          optimum-onnx 0.1.0 with transformers 4.57.6, 4.46.3 and 4.40.2
    genai_llama genai_llama_split                                 onnxruntime-genai 0.18.0, transformers 5.24

Each has two layers of 32 numbers in four heads."""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from strip import strip

VOCABULARY = 48  # no other size: genai knows the product over the vocabulary by it
TEXT = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)
WORDS = ("input_ids", "attention_mask", "token_type_ids")
NUMPY = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def weighted(model):
    """Weights of which no two are alike, large enough that every part of a layer shows in the outputs."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            scale = p.mean().round() if p.ndim == 1 else 0
            p.copy_(scale + 0.25 * torch.randn(p.shape, generator=generator))
    return model.eval()


def torch_export(model, example, path, names, sizes, dynamo, opset):
    """`sizes`: the name of each dimension of the inputs that may vary."""
    if dynamo:
        shapes = tuple({d: torch.export.Dim(n) for d, n in sizes.items()} for _ in names)
        torch.onnx.export(model, example, path, input_names=names, dynamic_shapes=shapes, dynamo=True, external_data=False, opset_version=opset)
    else:
        torch.onnx.export(model, example, path, input_names=names, dynamic_axes={n: sizes for n in names}, dynamo=False, opset_version=opset)


def timm_vit(path, dynamo):
    """LayerScale and PyTorch's fused attention with the one exporter, attention step by step with the other."""
    import timm.layers
    from timm.models.vision_transformer import VisionTransformer
    timm.layers.set_fused_attn(dynamo)
    model = VisionTransformer(img_size=16, patch_size=4, embed_dim=32, depth=2, num_heads=4, num_classes=10, mlp_ratio=2, init_values=0.1 if dynamo else None)
    torch_export(weighted(model), (torch.zeros(2, 3, 16, 16),), path, ["x"], {0: "b"}, dynamo, 18)


def encoder(path):
    torch.backends.mha.set_fastpath_enabled(False)  # an operator without an ONNX equivalent
    layer = torch.nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
    model = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    torch_export(weighted(model), (torch.zeros(3, 5, 32),), path, ["x"], {0: "b", 1: "s"}, True, 18)


def bert(path, fused):
    """Norms in steps, as before operator set 17; or with onnxruntime's operators for multi-head attention, norms, embeddings and GELU."""
    model = weighted(transformers.BertModel(transformers.BertConfig(**TEXT, attn_implementation="eager", return_dict=False)))
    words = torch.ones(2, 7, dtype=torch.int64)
    torch_export(model, (words, words, 0 * words), path, list(WORDS), {0: "b", 1: "s"}, False, 14)
    if fused:
        from onnxruntime.transformers import optimizer
        from onnxruntime.transformers.fusion_options import FusionOptions
        options = FusionOptions("bert")
        options.use_multi_head_attention = True
        optimizer.optimize_model(path, "bert", 4, 32, options, opt_level=0).save_model_to_file(path)


def saved(folder, kind):
    """A checkpoint, with the tokenizer that exporters ask for."""
    from tokenizers import Tokenizer, models
    special = dict(bos_token_id=1, eos_token_id=2, pad_token_id=3)
    if kind == "llama":
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT, num_key_value_heads=2, head_dim=16, **special))
    else:
        config = transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, **special)
        model = transformers.GPT2LMHeadModel(config)
    weighted(model).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(folder)
    return folder


def optimum(path, kind, task):
    from optimum.exporters.onnx import main_export
    with tempfile.TemporaryDirectory() as work:
        main_export(saved(f"{work}/{kind}", kind), work, task=task, do_validation=False, no_post_process=True)
        os.replace(f"{work}/model.onnx", path)


def genai(path, *options):
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", saved(f"{work}/llama", "llama"), "-o", work, "-p", "fp32", "-e", "cpu"]
        subprocess.run([*command, "-c", work, *options], check=True)
        onnx.save(onnx.load(f"{work}/model.onnx"), path)


MODELS = {
    "timm_vit_dynamo": lambda path: timm_vit(path, True),
    "timm_vit_script": lambda path: timm_vit(path, False),
    "encoder_post_dynamo": encoder,
    "bert_script": lambda path: bert(path, False),
    "bert_mha": lambda path: bert(path, True),
    "optimum_llama": lambda path: optimum(path, "llama", "text-generation"),
    "optimum_llama_past": lambda path: optimum(path, "llama", "text-generation-with-past"),
    "optimum_gpt2_past": lambda path: optimum(path, "gpt2", "text-generation-with-past"),
    "genai_llama": genai,
    "genai_llama_split": lambda path: genai(path, "--extra_options", "disable_qkv_fusion=true"),
}


def values(name, shape, kind, past, random, padded):
    if name == "attention_mask":
        mask = np.ones(shape, kind)
        mask[1:, :1] = not padded
        return mask
    if name == "position_ids":
        return np.broadcast_to(np.arange(past, past + shape[1]), shape).astype(kind)
    if name == "token_type_ids":
        return random.integers(0, 2, shape).astype(kind)
    if kind == np.int64:
        return random.integers(4, VOCABULARY, shape).astype(kind)
    return random.standard_normal(shape).astype(kind)


def add_references(folder, name):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
    # Batch, new tokens, cached ones. A block of several tokens has no cache with genai, and one batch.
    runs = [(2, 5, 0), (2, 1, 6)] if name.startswith("genai") else [(2, 5, 3), (1, 9, 0)]
    for number, (batch, tokens, past) in enumerate(runs):
        past = past if "past" in name or "genai" in name else 0
        sizes = dict(b=batch, s=tokens, batch_size=batch, sequence_length=tokens, past_sequence_length=past, total_sequence_length=past + tokens, kv_cache_dim=16)
        random = np.random.default_rng(number)
        inputs = {}
        for i in session.get_inputs():
            shape = [d if isinstance(d, int) else sum(sizes[part] for part in d.split(" + ")) for d in i.shape]
            inputs[i.name] = values(i.name, shape, NUMPY[i.type], past, random, padded="genai" not in name)
        suffix = "-2" if number else ""
        np.savez(f"{folder}/inputs{suffix}.npz", **inputs)
        np.savez(f"{folder}/outputs{suffix}.npz", **{o.name: v for o, v in zip(session.get_outputs(), session.run(None, inputs))})


def shorten(graph):
    """Other names than the graph's inputs, outputs and weights: they are half of a small model."""
    kept = {x.name for x in [*graph.input, *graph.output, *graph.initializer]}
    short = {name: f"v{i}" for i, name in enumerate(dict.fromkeys(o for n in graph.node for o in n.output if o and o not in kept))}
    for i, node in enumerate(graph.node):
        node.name = f"n{i}"
        for field in (node.input, node.output):
            field[:] = [short.get(name, name) for name in field]
    del graph.value_info[:]


def main(out, *names):
    for name in names:
        folder = f"{out}/{name}"
        os.makedirs(folder, exist_ok=True)
        MODELS[name](f"{folder}/model.onnx")
        model = onnx.load(f"{folder}/model.onnx")
        strip(model)
        shorten(model.graph)
        with open(f"{folder}/model.onnx", "wb") as f:
            f.write(model.SerializeToString(deterministic=True))
        add_references(folder, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
