#!/usr/bin/env python3
"""Trains the model: train.py TEXT OUT [--minutes 5] [--device cuda]. TEXT is the folder that text.sh wrote; OUT gets weights.npz in FP16 and config.json.

Needs PyTorch and numpy. The text is read many times, each time cut into windows at other places; what was best on held-out text is kept. The order depends on --seed alone,
and so does the rate of learning, unless --minutes ends it earlier than --epochs would."""
import argparse
import dataclasses
import json
import math
import os
import time

import numpy as np
import torch

from model import Config, Llama
from tokenizer import Tokenizer


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("text")
    p.add_argument("out")
    p.add_argument("--minutes", type=float, default=5)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--epochs", type=float, default=40)
    p.add_argument("--window", type=int, default=1024)
    p.add_argument("--batch", type=int, default=16, help="windows a step")
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--decay", type=float, default=0.1)
    p.add_argument("--dropout", type=float, default=0.2)
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"):
        p.add_argument("--" + name.replace("_", "-"), type=int, default=getattr(Config, name))
    return p.parse_args()


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return torch.tensor(Tokenizer(os.path.join(folder, "tokenizer.json")).chapters(file.read()))


def epochs(tokens, window, batch, seed):
    """Batches of windows without end; each epoch cuts the text at other places and has its windows in another order."""
    random = torch.Generator().manual_seed(seed)
    while True:
        begin = int(torch.randint(window, (1,), generator=random))
        count = (len(tokens) - begin - 1) // window
        places = begin + window * torch.randperm(count, generator=random)[:count // batch * batch]
        for chosen in places.split(batch):
            yield torch.stack([tokens[p:p + window + 1] for p in chosen])


def held_out_loss(model, tokens, window, batch):
    model.eval()
    count = (len(tokens) - 1) // window
    windows = torch.stack([tokens[i * window:(i + 1) * window + 1] for i in range(count)])
    with torch.no_grad():
        total = sum(float(model.loss(part)) * len(part) for part in windows.split(batch))
    model.train()
    return total / count


def write(folder, config, weights):
    os.makedirs(folder, exist_ok=True)
    np.savez(os.path.join(folder, "weights.npz"), **{name: w.to(torch.float16).cpu().numpy() for name, w in weights.items()})
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(dataclasses.asdict(config), file, indent=1)


def main():
    a = arguments()
    torch.manual_seed(a.seed)
    torch.set_float32_matmul_precision("high")
    config = Config(**{f.name: getattr(a, f.name, f.default) for f in dataclasses.fields(Config)})
    model = Llama(config, a.dropout).to(a.device)
    text, held_out = read(a.text, "train.txt"), read(a.text, "held-out.txt").to(a.device)
    steps = int(a.epochs * len(text) / (a.window * a.batch))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(text)} tokens, {len(held_out)} held out, {steps} steps", flush=True)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    groups = [{"params": matrices, "weight_decay": a.decay}, {"params": [p for p in model.parameters() if p.ndim != 2], "weight_decay": 0}]
    adam = torch.optim.AdamW(groups, lr=a.rate, betas=(0.9, 0.95))
    batches = epochs(text, a.window, a.batch, a.seed)
    begin, best, kept, done, step, warm = time.time(), math.inf, {}, 0.0, 0, max(1, min(100, steps // 10))
    while done < 1:
        rate = a.rate * min(1, (step + 1) / warm) * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)
        for group in adam.param_groups:
            group["lr"] = rate
        with torch.autocast(a.device.split(":")[0], torch.bfloat16, enabled=a.device != "cpu"):
            loss = model.loss(next(batches).to(a.device))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        step += 1
        seconds = time.time() - begin
        done = max(step / steps, seconds / (60 * a.minutes))
        if step % max(1, steps // 40) == 0 or done >= 1:
            now = held_out_loss(model, held_out, a.window, a.batch)
            print(f"step {step} {seconds:.0f} s: perplexity {math.exp(loss.item()):.2f} of the text, {math.exp(now):.2f} of what is held out", flush=True)
            if now < best:
                best, kept = now, {name: w.detach().clone() for name, w in model.state_dict().items()}
    write(a.out, config, kept)
    print(f"kept: perplexity {math.exp(best):.3f} of what is held out")


if __name__ == "__main__":
    main()
