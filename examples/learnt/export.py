#!/usr/bin/env python3
"""Writes the trained model as ONNX, as onnxruntime-genai's builder would for FP16: export.py WEIGHTS OUT [--float32]. WEIGHTS is the folder that train.py wrote; OUT gets
model.onnx, its weights in files of at most 12 MiB beside it, genai_config.json and tokenizer_config.json. Needs onnx and numpy.

Query, key and value are one product; GroupQueryAttention has the caches and the rotation; a residual is added where the next norm is (SkipSimplifiedLayerNormalization);
the embedding is the last product's weight, transposed."""
import json
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tokenizer import END

MOST_BYTES = 12 << 20


class Graph:
    """Nodes, weights and ports as they come."""

    def __init__(self, type):
        self.type, self.nodes, self.weights, self.inputs, self.outputs = type, [], [], [], []
        self.kind = helper.np_dtype_to_tensor_dtype(np.dtype(type))

    def weight(self, name, array, type=None):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=type or self.type), name))
        return name

    def port(self, ports, name, kind, *shape):
        ports.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(self, kind, inputs, name, outputs=None, domain="", **attributes):
        """The first output; it is called after the node unless `outputs` has names."""
        outputs = outputs or [f"{name}/output_0"]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name, domain=domain, **attributes))
        return outputs[0]

    def product(self, x, name, *weights):
        """With PyTorch's weights, [out, in], side by side."""
        return self.op("MatMul", [x, self.weight(f"{name[1:].replace('/', '.')}.weight", np.concatenate(weights).T)], name)


def lengths(g):
    """How many tokens there are in each row but one, and in all, from the mask."""
    g.port(g.inputs, "attention_mask", TensorProto.INT64, "batch_size", "total_sequence_length")
    one, first = g.weight("one", [1], np.int64), g.weight("first", 1, np.int64)
    total = g.op("ReduceSum", ["attention_mask", one], "/model/attn_mask/ReduceSum", keepdims=0)
    behind = g.op("Cast", [g.op("Sub", [total, one], "/model/attn_mask/Sub")], "/model/attn_mask/Cast", to=TensorProto.INT32)
    size = g.op("Gather", [g.op("Shape", ["attention_mask"], "/model/attn_mask/Shape"), first], "/model/attn_mask/Gather", axis=0)
    return behind, g.op("Cast", [size], "/model/attn_mask/Cast_1", to=TensorProto.INT32)


def attention(g, c, w, h, i, sizes):
    at, heads, size = f"/model/layers.{i}/attn", c["num_key_value_heads"], c["head_dim"]
    qkv = g.product(h, f"{at}/qkv_proj/MatMul", *(w[f"layers.{i}.self_attn.{of}_proj.weight"] for of in "qkv"))
    past = [g.port(g.inputs, f"past_key_values.{i}.{of}", g.kind, "batch_size", heads, "past_sequence_length", size) for of in ("key", "value")]
    present = [g.port(g.outputs, f"present.{i}.{of}", g.kind, "batch_size", heads, "total_sequence_length", size) for of in ("key", "value")]
    y = g.op("GroupQueryAttention", [qkv, "", "", *past, *sizes, "cos_cache", "sin_cache"], f"{at}/GroupQueryAttention", [f"{at}/output_0", *present], "com.microsoft",
             num_heads=c["num_attention_heads"], kv_num_heads=heads, scale=size ** -0.5, do_rotary=1, rotary_interleaved=0, local_window_size=-1, softcap=0.0)
    return g.product(y, f"{at}/o_proj/MatMul", w[f"layers.{i}.self_attn.o_proj.weight"])


def mlp(g, w, h, i):
    at = f"/model/layers.{i}/mlp"
    gate, up = (g.product(h, f"{at}/{of}_proj/MatMul", w[f"layers.{i}.mlp.{of}_proj.weight"]) for of in ("gate", "up"))
    silu = g.op("Mul", [gate, g.op("Sigmoid", [gate], f"{at}/act_fn/Sigmoid")], f"{at}/act_fn/Mul")
    return g.product(g.op("Mul", [silu, up], f"{at}/Mul"), f"{at}/down_proj/MatMul", w[f"layers.{i}.mlp.down_proj.weight"])


def model(c, w, type, graph=Graph):
    g = graph(type)
    g.port(g.inputs, "input_ids", TensorProto.INT64, "batch_size", "sequence_length")
    pairs = np.arange(0, c["head_dim"], 2) / c["head_dim"]
    angles = np.outer(np.arange(c["max_position_embeddings"]), c["rope_theta"] ** -pairs)
    g.weight("cos_cache", np.cos(angles))
    g.weight("sin_cache", np.sin(angles))
    sizes = lengths(g)
    words = g.weight("lm_head.MatMul.weight", w["embed_tokens.weight"].T)
    table = g.op("Transpose", [words], "/model/embed_tokens/Transpose", perm=[1, 0])
    x = g.op("Gather", [table, "input_ids"], "/model/embed_tokens/Gather")
    h = g.op("SimplifiedLayerNormalization", [x, g.weight("model.layers.0.input_layernorm.weight", w["layers.0.input_layernorm.weight"])],
             "/model/layers.0/input_layernorm/LayerNorm", axis=-1, epsilon=c["rms_norm_eps"], stash_type=1)

    def add_and_norm(x, y, weight, name, last=False):
        outputs = [f"{name}/output_0"] + ([] if last else ["", "", f"{name}/output_3"])
        g.op("SkipSimplifiedLayerNormalization", [x, y, g.weight(f"{name[1:].replace('/', '.')}.weight", w[weight])], f"{name}/SkipLayerNorm", outputs, "com.microsoft",
             epsilon=c["rms_norm_eps"])
        return outputs[0], outputs[-1]

    layers = c["num_hidden_layers"]
    for i in range(layers):
        h, x = add_and_norm(x, attention(g, c, w, h, i, sizes), f"layers.{i}.post_attention_layernorm.weight", f"/model/layers.{i}/post_attention_layernorm")
        last = i + 1 == layers
        h, x = add_and_norm(x, mlp(g, w, h, i), "norm.weight" if last else f"layers.{i + 1}.input_layernorm.weight",
                            f"/model/layers.{i + 1}/" + ("final_norm_layernorm" if last else "input_layernorm"), last)
    g.op("MatMul", [h, words], "/lm_head/MatMul", ["logits"])
    g.outputs.insert(0, helper.make_tensor_value_info("logits", g.kind, ("batch_size", "sequence_length", c["vocab_size"])))
    main = helper.make_graph(g.nodes, "main_graph", g.inputs, g.outputs, g.weights)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(main, ir_version=10, opset_imports=opsets)


def write(model, out):
    """Tensors of more than a kilobyte go into model.onnx.data, model.onnx.data.1, ..., one behind the other, each at a multiple of 64 bytes."""
    files, data = 0, bytearray()

    def flush():
        with open(os.path.join(out, name()), "wb") as file:
            file.write(data)

    def name():
        return "model.onnx.data" + (f".{files}" if files else "")

    for tensor in model.graph.initializer:
        raw = tensor.raw_data
        if len(raw) <= 1024:
            continue
        if data and len(data) + len(raw) > MOST_BYTES:
            flush()
            files, data = files + 1, bytearray()
        data += bytes(-len(data) % 64)
        for key, value in (("location", name()), ("offset", len(data)), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))
        tensor.data_location = TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        data += raw
    flush()
    with open(os.path.join(out, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


def genai_config(c):
    caches = {f"{when}_{of}_names": f"{port}.%d.{of}" for when, port in (("past", "past_key_values"), ("present", "present")) for of in ("key", "value")}
    inputs = {"input_ids": "input_ids", "attention_mask": "attention_mask", **{k: v for k, v in caches.items() if k.startswith("past")}}
    outputs = {"logits": "logits", **{k: v for k, v in caches.items() if k.startswith("present")}}
    decoder = {"session_options": {"log_id": "onnxruntime-genai", "provider_options": []}, "filename": "model.onnx", "head_size": c["head_dim"],
               "hidden_size": c["hidden_size"], "inputs": inputs, "outputs": outputs, "num_attention_heads": c["num_attention_heads"],
               "num_hidden_layers": c["num_hidden_layers"], "num_key_value_heads": c["num_key_value_heads"]}
    length = c["max_position_embeddings"]
    return {"model": {"bos_token_id": 0, "context_length": length, "decoder": decoder, "eos_token_id": 0, "pad_token_id": 0, "type": "llama", "vocab_size": c["vocab_size"]},
            "search": {"do_sample": False, "max_length": length, "past_present_share_buffer": True, "temperature": 1.0, "top_k": 50, "top_p": 1.0}}


def main(weights, out, *options):
    with open(os.path.join(weights, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    arrays = dict(np.load(os.path.join(weights, "weights.npz")))
    os.makedirs(out, exist_ok=True)
    write(model(config, arrays, np.float32 if "--float32" in options else np.float16), out)
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END}
    for name, value in ("genai_config.json", genai_config(config)), ("tokenizer_config.json", tokenizer):
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
