#!/usr/bin/env python3
"""Wrote the models whose operators no exporter at hand writes: assemble.py FOLDER [NAME]... They have the structure, the operators and the names of ports that exporters give them, and
random weights. Needs onnx 1.22 or newer, whose reference makes the outputs, or onnxruntime where operators are its own: 1.23.2 made those of genai_llama_fp16."""
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HIDDEN, HEADS, KV_HEADS, SIZE, WORDS, POSITIONS, LAYERS = 32, 4, 2, 8, 61, 64, 2
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    """Nodes, weights and ports as they come."""

    def __init__(self, seed):
        self.random, self.nodes, self.weights, self.inputs, self.outputs = np.random.default_rng(seed), [], [], [], []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def drawn(self, name, *shape, scale=0.3):
        return self.weight(name, (self.random.standard_normal(shape) * scale).astype(np.float32))

    def input(self, name, kind, *shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name, kind, *shape):
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(self, kind, inputs, name, outputs=None, **attributes):
        """The first output; it is called as the node unless `outputs` has names."""
        outputs = outputs or [name]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def linear(self, x, name, width, out):
        return self.op("MatMul", [x, self.drawn(f"{name}.weight", width, out, scale=1 / np.sqrt(width))], name)

    def norm(self, x, name, width=HIDDEN):
        return self.op("RMSNormalization", [x, self.weight(f"{name}.weight", (1 + 0.1 * self.random.standard_normal(width)).astype(np.float32))], name, epsilon=1e-6)

    def mlp(self, x, name):
        gate, up = self.linear(x, f"{name}.gate_proj", HIDDEN, 2 * HIDDEN), self.linear(x, f"{name}.up_proj", HIDDEN, 2 * HIDDEN)
        silu = self.op("Mul", [gate, self.op("Sigmoid", [gate], f"{name}.sigmoid")], f"{name}.silu")
        return self.linear(self.op("Mul", [silu, up], f"{name}.mul"), f"{name}.down_proj", 2 * HIDDEN, HIDDEN)

    def model(self, opset):
        graph = helper.make_graph(self.nodes, "main", self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, ir_version=11, opset_imports=[helper.make_opsetid("", opset)])


def embedded(g):
    g.input("input_ids", INT, "batch", "sequence_len")
    g.input("position_ids", INT, "batch", "sequence_len")
    angles = np.outer(np.arange(POSITIONS), 1e4 ** (-np.arange(SIZE // 2) / (SIZE / 2)))
    g.weight("cos_cache", np.cos(angles).astype(np.float32))
    g.weight("sin_cache", np.sin(angles).astype(np.float32))
    return g.op("Gather", [g.drawn("embed_tokens.weight", WORDS, HIDDEN), "input_ids"], "embed_tokens")


def rotated(g, x, name, heads):
    return g.op("RotaryEmbedding", [x, "cos_cache", "sin_cache", "position_ids"], name, num_heads=heads)


def residual(g, x, y, name):
    x = g.op("Add", [x, y], f"{name}.add")
    return g.op("Add", [x, g.mlp(g.norm(x, f"{name}.post_norm"), f"{name}.mlp")], f"{name}.out")


def logits(g, x):
    g.op("MatMul", [g.norm(x, "norm"), g.drawn("lm_head.weight", HIDDEN, WORDS)], "lm_head", ["logits"])
    g.output("logits", FLOAT, "batch", "sequence_len", WORDS)


def projected(g, h, name):
    q = rotated(g, g.linear(h, f"{name}.q_proj", HIDDEN, HEADS * SIZE), f"{name}.q_rotary", HEADS)
    k = rotated(g, g.linear(h, f"{name}.k_proj", HIDDEN, KV_HEADS * SIZE), f"{name}.k_rotary", KV_HEADS)
    return q, k, g.linear(h, f"{name}.v_proj", HIDDEN, KV_HEADS * SIZE)


def grown_attention(g, h, i, name):
    """Attention with caches that grow."""
    q, k, v = projected(g, h, name)
    past = [g.input(f"past_key_values.{i}.{of}", FLOAT, "batch", KV_HEADS, "past_sequence_len", SIZE) for of in ("key", "value")]
    outputs = [f"{name}.y"] + [g.output(f"present.{i}.{of}", FLOAT, "batch", KV_HEADS, "total_sequence_len", SIZE) for of in ("key", "value")]
    return g.op("Attention", [q, k, v, "", *past], name, outputs, q_num_heads=HEADS, kv_num_heads=KV_HEADS, is_causal=1)


def static_attention(g, h, i, name):
    """Attention over caches of fixed size, [batch, positions, heads * size], in which the new tokens lie from write_indices on."""
    q, k, v = projected(g, h, name)
    full = []
    for of, x in (("key", k), ("value", v)):
        cache = g.input(f"{of}_cache.{i}", FLOAT, "batch", "max_seq_len", KV_HEADS * SIZE)
        new = g.output(f"updated_{of}_cache.{i}", FLOAT, "batch", "max_seq_len", KV_HEADS * SIZE)
        full.append(g.op("TensorScatter", [cache, x, "write_indices"], f"{name}.{of}_scatter", [new], axis=1))
    return g.op("Attention", [q, *full, "", "", "", "nonpad_kv_seqlen"], name, q_num_heads=HEADS, kv_num_heads=KV_HEADS, is_causal=1)


def linear_attention(g, h, i, name):
    """A gated delta rule behind a short convolution, each with a state that every run replaces."""
    width = 3 * KV_HEADS * SIZE
    mixed = g.op("Transpose", [g.linear(h, f"{name}.in_proj_qkv", HIDDEN, width)], f"{name}.channels_first", perm=[0, 2, 1])
    state = [g.input(f"past_key_values.{i}.{of}", FLOAT, *shape) for of, shape in
             (("conv_state", ("batch", width, 3)), ("recurrent_state", ("batch", KV_HEADS, SIZE, SIZE)))]
    new = [g.output(f"present.{i}.{of}", FLOAT, *shape) for of, shape in
           (("conv_state", ("batch", width, 3)), ("recurrent_state", ("batch", KV_HEADS, SIZE, SIZE)))]
    conv = g.op("CausalConvWithState", [mixed, g.drawn(f"{name}.conv.weight", width, 1, 4), "", state[0]], f"{name}.conv", [f"{name}.conv.y", new[0]], activation="silu")
    parts = [f"{name}.{of}" for of in "qkv"]
    g.op("Split", [g.op("Transpose", [conv], f"{name}.channels_last", perm=[0, 2, 1])], f"{name}.split", parts, axis=-1, num_outputs=3)
    q, k = (g.op("LpNormalization", [g.op("Reshape", [x, g.weight(f"{name}.{of}.heads", np.array([0, 0, KV_HEADS, SIZE]))], f"{name}.{of}.split")], f"{name}.{of}.unit", axis=-1)
            for of, x in zip("qk", parts))
    q, k = (g.op("Reshape", [x, g.weight(f"{name}.{of}.packed", np.array([0, 0, KV_HEADS * SIZE]))], f"{name}.{of}.join") for of, x in zip("qk", (q, k)))
    decay = g.op("Neg", [g.op("Softplus", [g.linear(h, f"{name}.in_proj_a", HIDDEN, KV_HEADS)], f"{name}.softplus")], f"{name}.decay")
    beta = g.op("Sigmoid", [g.linear(h, f"{name}.in_proj_b", HIDDEN, KV_HEADS)], f"{name}.beta")
    return g.op("LinearAttention", [q, k, parts[2], state[1], decay, beta], name, [f"{name}.y", new[1]], q_num_heads=KV_HEADS, kv_num_heads=KV_HEADS)


def decoder(opset, layers):
    """`layers` are the functions that make their attentions."""
    g = Graph(7)
    x = embedded(g)
    if static_attention in layers:
        g.input("write_indices", INT, "batch")
        g.input("nonpad_kv_seqlen", INT, "batch")
    for i, attention in enumerate(layers):
        width = KV_HEADS * SIZE if attention is linear_attention else HEADS * SIZE
        y = attention(g, g.norm(x, f"layers.{i}.input_norm"), i, f"layers.{i}.attn")
        x = residual(g, x, g.linear(y, f"layers.{i}.o_proj", width, HIDDEN), f"layers.{i}")
    logits(g, x)
    return g.model(opset)


def halved(name):
    """The model of the folder `name` beside this file with all of its floats in half precision, as the builder of onnxruntime-genai writes it for GPUs."""
    model = onnx.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), name, "model.onnx"))
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for port in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if port.type.tensor_type.elem_type == FLOAT:
            port.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


MODELS = {"mobius_llama": lambda: decoder(24, [grown_attention] * LAYERS), "mobius_llama_static": lambda: decoder(24, [static_attention] * LAYERS),
          "hybrid_linear": lambda: decoder(27, [linear_attention, grown_attention]), "genai_llama_fp16": lambda: halved("genai_llama")}


def value(info, sizes, random):
    """Tokens behind `past` others."""
    tensor, name = info.type.tensor_type, info.name
    shape = [d.dim_value or sizes[d.dim_param] for d in tensor.shape.dim]
    past, new = sizes["past_sequence_len"], sizes["sequence_len"]
    if name == "input_ids":
        return random.integers(0, sizes["words"], shape)
    if name == "position_ids":
        return np.broadcast_to(np.arange(past, past + new), shape).astype(np.int64)
    if name in ("write_indices", "nonpad_kv_seqlen"):
        return np.full(shape, past + (new if name == "nonpad_kv_seqlen" else 0), np.int64)
    if name == "attention_mask":
        return np.ones(shape, np.int64)
    return random.standard_normal(shape).astype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def is_standard(model):
    return all(not o.domain for o in model.opset_import)


def reference(model, inputs):
    if is_standard(model):
        return ReferenceEvaluator(model).run(None, inputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)


def main(out, *names):
    for name in names or MODELS:
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        model = MODELS[name]()
        if is_standard(model):
            onnx.checker.check_model(model, full_check=True)
        onnx.save(model, os.path.join(folder, "model.onnx"))
        # onnxruntime's grouped attention takes several tokens behind others of one sequence alone.
        for number, (batch, new, past, room) in enumerate([(2, 5, 0, 0), (2, 1, 50, 0)] if "genai" in name else [(2, 5, 3, 12), (1, 1, 9, 20)]):
            sizes = {"batch": batch, "sequence_len": new, "past_sequence_len": past, "max_seq_len": room, "words": model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value,
                     "batch_size": batch, "sequence_length": new, "past_sequence_length": past, "total_sequence_length": past + new, "kv_cache_dim": 2 * SIZE}
            random = np.random.default_rng(number)
            inputs = {i.name: value(i, sizes, random) for i in model.graph.input}
            outputs = dict(zip([o.name for o in model.graph.output], reference(model, inputs)))
            suffix = f"-{number + 1}" if number else ""
            np.savez(os.path.join(folder, f"inputs{suffix}.npz"), **inputs)
            np.savez(os.path.join(folder, f"outputs{suffix}.npz"), **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
