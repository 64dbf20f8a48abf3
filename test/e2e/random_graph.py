"""One random ONNX graph, as the text that onnx-from-text reads, with inputs for it. The seed decides everything."""
import collections
import random

import numpy as np

Value = collections.namedtuple("Value", "name shape kind bound exact")  # kind: f, i (int64), b; |elements| <= bound


class Graph:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.sizes = {"n": self.r.choice([0, 1, 2, 3, 5]), "m": self.r.choice([1, 2, 4, 7]), "k": self.r.choice([1, 3, 8, 17])}
        self.lines, self.values, self.count, self.inputs = [], [], 0, []
        for i in range(self.r.randint(1, 3)):
            rank = self.r.choice([0, 1, 2, 3, 3, 4, 4])
            dims = [self.r.choice(["n", "m", "k", "1", "2", "3", "4", "6"]) for _ in range(rank)]
            shape = tuple(self.sizes.get(d) if d in self.sizes else int(d) for d in dims)
            v = Value(f"x{i}", shape, "f", 4, True)
            self.inputs.append((v, dims))
            self.values.append(v)

    def fresh(self):
        self.count += 1
        return f"v{self.count}"

    def emit(self, text, shape, kind="f", bound=1e30, exact=False):
        v = Value(self.fresh(), tuple(int(s) for s in shape), kind, bound, exact and bound < 1 << 20)
        self.lines.append(f"{v.name} = {text}")
        self.values.append(v)
        return v

    def ints(self, values, shape=None):
        name = self.fresh()
        shape = f"[{len(values)}]" if shape is None else shape
        self.lines.append(f"{name} = Constant <value = int64{shape} {{{', '.join(map(str, values))}}}> ()")
        return name

    def floats(self, shape):
        """A constant of small multiples of a quarter."""
        name, total = self.fresh(), int(np.prod(shape))
        data = ", ".join(repr(self.r.randint(-4, 4) / 4) for _ in range(total))
        dims = f"[{','.join(map(str, shape))}]" if shape else ""
        self.lines.append(f"{name} = Constant <value = float{dims} {{{data}}}> ()")
        return Value(name, tuple(shape), "f", 1, True)

    def pick(self, kind="f", rank=0, test=lambda v: True):
        found = [v for v in self.values if v.kind == kind and len(v.shape) >= rank and np.prod(v.shape) < 20000 and test(v)]
        found = found[-6:] if found and self.r.random() < .7 else found
        return self.r.choice(found) if found else None

    def broadcastable(self, v):
        def fits(w):
            return all(a == b or a == 1 or b == 1 for a, b in zip(v.shape[::-1], w.shape[::-1]))

        w = self.pick(test=fits)
        if w is None or self.r.random() < .3:
            shape = [s if self.r.random() < .6 else 1 for s in v.shape][self.r.randint(0, len(v.shape)):]
            w = self.floats([max(s, 1) if s != 0 else 1 for s in shape])
        return w

    @staticmethod
    def together(a, b):
        return np.broadcast_shapes(a.shape, b.shape)

    def tame(self, v):
        """What is small enough for products and exponentials."""
        return v if v.bound <= 64 else self.emit(f"Tanh({v.name})", v.shape, bound=1)

    # --- ops: each returns whether it made something ---
    def unary(self):
        v = self.pick()
        op = self.r.choice(["Neg", "Abs", "Relu", "Sigmoid", "Tanh", "Floor", "Exp", "Softplus", "Erf", "Sign", "Identity", "Cos"])
        v = self.tame(v) if op in ("Exp", "Cos", "Softplus") else v
        if op in ("Floor", "Sign") and not v.exact:
            op = "Sigmoid"
        if op == "Exp":
            v = self.emit(f"Tanh({v.name})", v.shape, bound=1)
        keep = op in ("Neg", "Abs", "Relu", "Identity", "Floor", "Sign")
        return self.emit(f"{op}({v.name})", v.shape, bound=v.bound + 1 if keep or op == "Softplus" else 3, exact=keep and v.exact)

    def binary(self):
        v = self.pick()
        w = self.broadcastable(v)
        op = self.r.choice(["Add", "Sub", "Mul", "Max", "Min", "Div"])
        if self.r.random() < .5:
            v, w = w, v
        if op == "Mul":
            v, w = self.tame(v), self.tame(w)
        if op == "Div":
            d = self.emit(f"Abs({w.name})", w.shape, bound=w.bound, exact=w.exact)
            one = self.floats([])
            w = self.emit(f"Max({d.name}, {self.emit(f'Exp({one.name})', [], bound=3).name})", w.shape, bound=w.bound + 3)
            return self.emit(f"Div({v.name}, {w.name})", self.together(v, w), bound=v.bound * 3)
        bound = v.bound * w.bound if op == "Mul" else v.bound + w.bound
        return self.emit(f"{op}({v.name}, {w.name})", self.together(v, w), bound=bound, exact=v.exact and w.exact)

    def transpose(self):
        v = self.pick(rank=2)
        if v is None:
            return None
        perm = list(range(len(v.shape)))
        self.r.shuffle(perm)
        return self.emit(f"Transpose <perm = {perm}> ({v.name})", [v.shape[p] for p in perm], bound=v.bound, exact=v.exact)

    def reshape(self):
        v = self.pick()
        total, kind = int(np.prod(v.shape)), self.r.random()
        if kind < .35 and v.shape and total:
            shape, text = (total,), self.ints([-1])
        elif kind < .7 and len(v.shape) >= 2 and total:
            i = self.r.randrange(len(v.shape) - 1)
            shape = v.shape[:i] + (v.shape[i] * v.shape[i + 1],) + v.shape[i + 2:]
            text = self.ints([0] * i + [-1] + list(v.shape[i + 2:])) if self.r.random() < .5 else self.ints(list(shape))
            if any(d == 0 for d in shape):
                return None
        else:
            axis = self.r.randint(0, len(v.shape))
            shape = v.shape[:axis] + (1,) + v.shape[axis:]
            return self.emit(f"Unsqueeze({v.name}, {self.ints([axis])})", shape, bound=v.bound, exact=v.exact)
        if self.r.random() < .3:  # shape arithmetic, as exporters leave it
            axis = self.r.randrange(len(v.shape)) if v.shape else 0
            first = self.fresh()
            self.lines.append(f"{first}s = Shape({v.name})")
            self.lines.append(f"{first} = Slice({first}s, {self.ints([axis])}, {self.ints([axis + 1])})")
            if not v.shape or v.shape[axis] == 0:
                return None
            text = self.fresh()
            self.lines.append(f"{text} = Concat <axis = 0> ({first}, {self.ints([-1])})")
            shape = (v.shape[axis], total // v.shape[axis])
        return self.emit(f"Reshape({v.name}, {text})", shape, bound=v.bound, exact=v.exact)

    def concat(self):
        v = self.pick(rank=1)
        if v is None:
            return None
        axis = self.r.randrange(len(v.shape))
        w = self.pick(rank=1, test=lambda w: len(w.shape) == len(v.shape) and all(
            a == b for i, (a, b) in enumerate(zip(v.shape, w.shape)) if i != axis))
        shape = list(v.shape)
        shape[axis] += w.shape[axis]
        return self.emit(f"Concat <axis = {axis}> ({v.name}, {w.name})", shape, bound=max(v.bound, w.bound), exact=v.exact and w.exact)

    def slice(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        axis, step = self.r.randrange(len(v.shape)), self.r.choice([1, 1, 2, -1, -2])
        start, end = self.r.choice([0, 1, -1, -2]), self.r.choice([1, 2, -1, 1 << 40, -(1 << 40)])
        length = len(range(v.shape[axis])[start if start >= 0 or -start <= v.shape[axis] else (0 if step > 0 else None):end:step]) \
            if not (start < 0 and -start > v.shape[axis]) else None
        if length is None:
            return None
        shape = list(v.shape)
        shape[axis] = length
        args = ", ".join(self.ints([a]) for a in (start, end, axis, step))
        return self.emit(f"Slice({v.name}, {args})", shape, bound=v.bound, exact=v.exact)

    def pad(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        before = [self.r.choice([0, 0, 1]) for _ in v.shape]
        after = [self.r.choice([0, 0, 1, 2]) for _ in v.shape]
        mode = self.r.choice(["constant", "edge"])
        return self.emit(f'Pad <mode = "{mode}"> ({v.name}, {self.ints(before + after)})',
                         [s + a + b for s, a, b in zip(v.shape, before, after)], bound=v.bound, exact=v.exact)

    def gather(self):
        v = self.pick(rank=1)
        if v is None:
            return None
        axis = self.r.randrange(len(v.shape))
        if v.shape[axis] == 0:
            return None
        at = [self.r.randrange(-v.shape[axis], v.shape[axis]) for _ in range(self.r.randint(1, 4))]
        scalar = self.r.random() < .3
        index = self.ints(at[:1], "") if scalar else self.ints(at)
        shape = v.shape[:axis] + (() if scalar else (len(at),)) + v.shape[axis + 1:]
        return self.emit(f"Gather <axis = {axis}> ({v.name}, {index})", shape, bound=v.bound, exact=v.exact)

    def reduce(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        op = self.r.choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd", "ReduceLogSumExp"])
        if op in ("ReduceProd", "ReduceL2", "ReduceLogSumExp"):
            v = self.emit(f"Tanh({v.name})", v.shape, bound=1)
        axes = sorted(self.r.sample(range(len(v.shape)), self.r.randint(1, len(v.shape))))
        keep = self.r.randint(0, 1)
        shape = [1 if i in axes else s for i, s in enumerate(v.shape) if keep or i not in axes]
        many = int(np.prod([v.shape[a] for a in axes]))
        bound = v.bound if op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd") else v.bound * many + many
        return self.emit(f"{op} <keepdims = {keep}> ({v.name}, {self.ints(axes)})", shape, bound=bound,
                         exact=v.exact and op in ("ReduceSum", "ReduceMax", "ReduceMin"))

    def norm(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        v = self.tame(v)
        axis = self.r.randrange(len(v.shape))
        kind = self.r.choice(["Softmax", "LogSoftmax", "Layer", "Spelled"])
        if kind == "Layer":
            scale = self.floats(v.shape[axis:])
            return self.emit(f"LayerNormalization <axis = {axis}, epsilon = 0.01> ({v.name}, {scale.name})", v.shape, bound=100)
        if kind == "Spelled":  # a root mean square, as exporters spell it
            w = self.emit(f"Mul({v.name}, {v.name})", v.shape, bound=4096)
            axes = self.ints([len(v.shape) - 1])
            m = self.emit(f"ReduceMean <keepdims = 1> ({w.name}, {axes})", v.shape[:-1] + (1,), bound=4096)
            one = self.emit(f"Exp({self.floats([]).name})", [], bound=3)
            e = self.emit(f"Add({m.name}, {one.name})", m.shape, bound=5000)
            s = self.emit(f"Sqrt({e.name})", m.shape, bound=100)
            return self.emit(f"Div({v.name}, {s.name})", v.shape, bound=100)
        return self.emit(f"{kind} <axis = {axis}> ({v.name})", v.shape, bound=1 if kind == "Softmax" else 200)

    def matmul(self):
        v = self.pick(rank=1)
        if v is None:
            return None
        v = self.tame(v)
        k, n = v.shape[-1], self.r.choice([1, 2, 16, 17, 33])
        rows = v.shape[-2:-1]
        w = self.pick(rank=2, test=lambda w: len(w.shape) == 2 and w.shape[0] == k)
        if w is None or self.r.random() < .6:
            if k == 0:
                return None
            w = self.floats([k, n])
        w = self.tame(w)
        if len(v.shape) == 2 and self.r.random() < .3:
            c = self.floats([w.shape[1]]) if w.shape[1] else None
            return self.emit(f"Gemm({v.name}, {w.name}{', ' + c.name if c else ''})", (v.shape[0], w.shape[1]),
                             bound=v.bound * w.bound * max(k, 1) + 1, exact=v.exact and w.exact)
        return self.emit(f"MatMul({v.name}, {w.name})", v.shape[:-2] + rows + (w.shape[1],), bound=v.bound * w.bound * max(k, 1),
                         exact=v.exact and w.exact)

    def attention(self):
        q = self.pick(rank=3, test=lambda v: 0 not in v.shape[1:])
        if q is None:
            return None
        q = self.tame(q)
        k = self.pick(rank=3, test=lambda v: v.shape[:-2] == q.shape[:-2] and v.shape[-1] == q.shape[-1] and 0 not in v.shape[1:]) or q
        k = self.tame(k)
        perm = list(range(len(k.shape) - 2)) + [len(k.shape) - 1, len(k.shape) - 2]
        t = self.emit(f"Transpose <perm = {perm}> ({k.name})", [k.shape[p] for p in perm], bound=k.bound)
        s = self.emit(f"MatMul({q.name}, {t.name})", q.shape[:-1] + (k.shape[-2],), bound=q.bound * k.bound * q.shape[-1])
        s = self.emit(f"Mul({s.name}, {self.floats([]).name})", s.shape, bound=s.bound)
        if self.r.random() < .5:
            s = self.emit(f"Add({s.name}, {self.floats([s.shape[-1]]).name})", s.shape, bound=s.bound + 1)
        p = self.emit(f"Softmax <axis = -1> ({s.name})", s.shape, bound=1)
        return self.emit(f"MatMul({p.name}, {k.name})", q.shape[:-1] + (k.shape[-1],), bound=k.bound)

    def conv(self):
        v = self.pick(rank=3, test=lambda v: len(v.shape) in (3, 4, 5) and 0 not in v.shape[1:])
        if v is None:
            return None
        v = self.tame(v)
        c, spatial = v.shape[1], v.shape[2:]
        g = self.r.choice([1, c, 2 if c % 2 == 0 else 1])
        kernel = [self.r.choice([1, 2, 3]) for _ in spatial]
        strides = [self.r.choice([1, 1, 2]) for _ in spatial]
        dil = [self.r.choice([1, 1, 2]) for _ in spatial]
        o = g * self.r.choice([1, 1, 2, 17])
        if self.r.random() < .3:
            w = self.floats([c, o // g] + kernel)
            out = [(s - 1) * t + (k - 1) * d + 1 for s, t, k, d in zip(spatial, strides, kernel, dil)]
            op, many = "ConvTranspose", c * int(np.prod(kernel))
            pads = [0] * (2 * len(spatial))
        else:
            w = self.floats([o, c // g] + kernel)
            pads = [self.r.choice([0, 1, 2]) for _ in spatial] * 2
            out = [(s + 2 * p - (k - 1) * d - 1) // t + 1
                   for s, p, k, d, t in zip(spatial, pads, kernel, dil, strides)]
            op, many = "Conv", c * int(np.prod(kernel))
        if any(s < 1 for s in out):
            return None
        bias = f", {self.floats([o]).name}" if self.r.random() < .5 else ""
        return self.emit(f"{op} <group = {g}, kernel_shape = {kernel}, strides = {strides}, dilations = {dil}, pads = {pads}> "
                         f"({v.name}, {w.name}{bias})", (v.shape[0], o, *out), bound=v.bound * many + 1, exact=v.exact)

    def pool(self):
        v = self.pick(rank=3, test=lambda v: len(v.shape) in (3, 4) and 0 not in v.shape[1:])
        if v is None:
            return None
        op = self.r.choice(["MaxPool", "AveragePool", "GlobalAveragePool"])
        if op == "GlobalAveragePool":
            return self.emit(f"{op}({v.name})", v.shape[:2] + (1,) * (len(v.shape) - 2), bound=v.bound)
        kernel = [self.r.choice([1, 2]) for _ in v.shape[2:]]
        out = [s - k + 1 for s, k in zip(v.shape[2:], kernel)]
        if any(s < 1 for s in out):
            return None
        return self.emit(f"{op} <kernel_shape = {kernel}> ({v.name})", v.shape[:2] + tuple(out), bound=v.bound,
                         exact=v.exact and op == "MaxPool")

    def choose(self):
        v = self.pick(test=lambda v: v.exact)
        if v is None:
            return None
        w = self.broadcastable(v)
        if not w.exact:
            return None
        c = self.emit(f"{self.r.choice(['Less', 'Greater', 'Equal'])}({v.name}, {w.name})", self.together(v, w), "b", 1, True)
        return self.emit(f"Where({c.name}, {v.name}, {w.name})", c.shape, bound=max(v.bound, w.bound), exact=True)

    def order(self):
        v = self.pick(rank=1, test=lambda v: v.exact and 0 not in v.shape)
        if v is None:
            return None
        axis, kind = self.r.randrange(len(v.shape)), self.r.random()
        if kind < .4:
            op = self.r.choice(["ArgMax", "ArgMin"])
            last = self.r.randint(0, 1)
            return self.emit(f"{op} <axis = {axis}, keepdims = 0, select_last_index = {last}> ({v.name})",
                             v.shape[:axis] + v.shape[axis + 1:], "i", v.shape[axis], True)
        if kind < .7:
            k = self.r.randint(1, v.shape[axis])
            a, b = self.fresh(), self.fresh()
            self.lines.append(f"{a}, {b} = TopK <axis = {axis}, largest = {self.r.randint(0, 1)}> ({v.name}, {self.ints([k])})")
            shape = v.shape[:axis] + (k,) + v.shape[axis + 1:]
            self.values += [Value(a, shape, "f", v.bound, True), Value(b, shape, "i", v.shape[axis], True)]
            return self.values[-2]
        return self.emit(f"CumSum <exclusive = {self.r.randint(0, 1)}, reverse = {self.r.randint(0, 1)}> "
                         f"({v.name}, {self.ints([axis], '')})", v.shape, bound=v.bound * v.shape[axis], exact=True)

    def scatter(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        depth, rows = self.r.randint(1, len(v.shape)), self.r.randint(1, 3)
        at = [self.r.randrange(v.shape[d]) for _ in range(rows) for d in range(depth)]
        updates = self.floats([rows, *v.shape[depth:]])
        how = self.r.choice(["none", "add", "max"])
        return self.emit(f'ScatterND <reduction = "{how}"> ({v.name}, {self.ints(at, f"[{rows},{depth}]")}, {updates.name})', v.shape,
                         bound=v.bound + 3, exact=v.exact)

    def integers(self):
        v = self.pick("i")
        if v is None:
            v = self.pick(test=lambda v: v.exact)
            return v and self.emit(f"Cast <to = 7> ({v.name})", v.shape, "i", v.bound, True)
        if self.r.random() < .4:
            return self.emit(f"Cast <to = 1> ({v.name})", v.shape, bound=v.bound, exact=True)
        return self.emit(f"{self.r.choice(['Add', 'Sub', 'Mod'])}({v.name}, {self.ints([self.r.choice([2, 3, -5])], '')})", v.shape, "i",
                         v.bound + 5, True)

    def expand(self):
        v = self.pick()
        shape = [s if s != 1 else self.r.choice([1, 2, 3]) for s in v.shape]
        if self.r.random() < .5:
            shape.insert(0, 2)
        return self.emit(f"Expand({v.name}, {self.ints(shape)})", shape, bound=v.bound, exact=v.exact)

    def branch(self):
        v = self.pick(rank=1, test=lambda v: len(v.shape) >= 1)
        if v is None:
            return None
        a = self.fresh()
        self.lines += [f"{a}s = Shape({v.name})", f"{a}d = Gather({a}s, {self.ints([0], '')})",
                       f"{a}c = Greater({a}d, {self.ints([self.r.choice([1, 2, 3])], '')})"]
        return self.emit(f"If ({a}c) <then_branch = t{a} () => (float u{a}) {{ u{a} = Neg({v.name}) }}, "
                         f"else_branch = e{a} () => (float w{a}) {{ w{a}r = Relu({v.name}) w{a} = Add(w{a}r, {v.name}) }}>",
                         v.shape, bound=2 * v.bound, exact=v.exact)

    def loop(self):
        v = self.pick()
        trips, a = self.r.choice([0, 1, 3]), self.fresh()
        v = self.tame(v)
        name, stack = self.fresh(), self.fresh()
        self.lines.append(f"{name}, {stack} = Loop ({self.ints([trips], '')}, , {v.name}) <body = b{a} (int64 i{a}, bool g{a}, float c{a}) => "
                          f"(bool h{a}, float o{a}, float p{a}) {{ h{a} = Identity(g{a}) o{a} = Add(c{a}, {v.name}) p{a} = Neg(o{a}) }}>")
        bound = v.bound * (trips + 1)
        self.values += [Value(name, v.shape, "f", bound, v.exact), Value(stack, (trips, *v.shape), "f", bound, v.exact)]
        return self.values[-1]

    def heads(self):
        """Attention as exporters spell it: split heads, keys repeated for groups, rotated, masked."""
        v = self.pick(rank=3, test=lambda v: len(v.shape) == 3 and 0 not in v.shape)
        if v is None:
            return None
        v = self.tame(v)
        b, t, c = v.shape
        h, d, g = self.r.choice([(2, 4, 1), (4, 2, 2), (2, 8, 2), (1, 3, 1)])

        def project(heads):
            w = self.floats([c, heads * d])
            x = self.emit(f"MatMul({v.name}, {w.name})", (b, t, heads * d), bound=v.bound * c)
            x = self.emit(f"Reshape({x.name}, {self.ints([0, 0, heads, d])})", (b, t, heads, d), bound=x.bound)
            return self.emit(f"Transpose <perm = [0, 2, 1, 3]> ({x.name})", (b, heads, t, d), bound=x.bound)

        def rotate(x):
            if d % 2:
                return x
            half, far = d // 2, self.ints([1 << 62])
            lo = self.emit(f"Slice({x.name}, {self.ints([0])}, {self.ints([half])}, {self.ints([3])})", x.shape[:3] + (half,), bound=x.bound)
            hi = self.emit(f"Slice({x.name}, {self.ints([half])}, {far}, {self.ints([3])})", x.shape[:3] + (half,), bound=x.bound)
            hi = self.emit(f"Neg({hi.name})", hi.shape, bound=x.bound)
            turned = self.emit(f"Concat <axis = 3> ({hi.name}, {lo.name})", x.shape, bound=x.bound)
            c, s = self.floats([t, d]), self.floats([t, d])
            x, y = self.emit(f"Mul({x.name}, {c.name})", x.shape, bound=x.bound), self.emit(f"Mul({turned.name}, {s.name})", x.shape, bound=x.bound)
            return self.emit(f"Add({x.name}, {y.name})", x.shape, bound=2 * x.bound)

        def repeat(x):
            if g == 1:
                return x
            y = self.emit(f"Unsqueeze({x.name}, {self.ints([2])})", (b, h // g, 1, t, d), bound=x.bound)
            y = self.emit(f"Expand({y.name}, {self.ints([b, h // g, g, t, d])})", (b, h // g, g, t, d), bound=x.bound)
            return self.emit(f"Reshape({y.name}, {self.ints([b, h, t, d])})", (b, h, t, d), bound=x.bound)

        q, k, x = project(h), project(h // g), repeat(project(h // g))
        if self.r.random() < 0.5:
            q, k = rotate(q), rotate(k)
        k = repeat(k)
        k = self.emit(f"Transpose <perm = [0, 1, 3, 2]> ({k.name})", (b, h, d, t), bound=k.bound)
        s = self.emit(f"MatMul({q.name}, {k.name})", (b, h, t, t), bound=1e9)
        how = self.r.randint(0, 2)
        if how == 1:
            s = self.emit(f"Div({s.name}, {self.emit(f'Exp({self.floats([]).name})', [], bound=3).name})", s.shape, bound=1e9)
        if how == 2:  # causal
            mask = self.emit(f"Trilu <upper = 0> ({self.floats([t, t]).name})", (t, t), bound=1, exact=True)
            zero = self.emit(f"Sub({mask.name}, {mask.name})", (t, t), bound=1, exact=True)
            c = self.emit(f"Equal({mask.name}, {zero.name})", (t, t), "b", 1, True)
            s = self.emit(f"Where({c.name}, {self.floats([]).name}, {s.name})", s.shape, bound=1e9)
        p = self.emit(f"Softmax <axis = -1> ({s.name})", s.shape, bound=1)
        y = self.emit(f"MatMul({p.name}, {x.name})", (b, h, t, d), bound=x.bound)
        y = self.emit(f"Transpose <perm = [0, 2, 1, 3]> ({y.name})", (b, t, h, d), bound=x.bound)
        return self.emit(f"Reshape({y.name}, {self.ints([0, 0, -1])})", (b, t, h * d), bound=x.bound)

    def batch_norm(self):
        v = self.pick(rank=3, test=lambda v: 0 not in v.shape[1:])
        if v is None:
            return None
        c = v.shape[1]
        spread = self.emit(f"Exp({self.floats([c]).name})", (c,), bound=3)
        return self.emit(f"BatchNormalization({v.name}, {self.floats([c]).name}, {self.floats([c]).name}, {self.floats([c]).name}, "
                         f"{spread.name})", v.shape, bound=2 * v.bound + 4)

    def instance_norm(self):
        v = self.pick(rank=3, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        c = v.shape[1]
        return self.emit(f"InstanceNormalization <epsilon = 0.5> ({self.tame(v).name}, {self.floats([c]).name}, {self.floats([c]).name})", v.shape,
                         bound=100)

    def split(self):
        v = self.pick(rank=1, test=lambda v: max(v.shape) > 1)
        if v is None:
            return None
        axis = self.r.choice([i for i, s in enumerate(v.shape) if s > 1])
        first = self.r.randint(1, v.shape[axis] - 1)
        a, b = self.fresh(), self.fresh()
        self.lines.append(f"{a}, {b} = Split <axis = {axis}> ({v.name}, {self.ints([first, v.shape[axis] - first])})")
        for name, size in ((a, first), (b, v.shape[axis] - first)):
            self.values.append(Value(name, v.shape[:axis] + (size,) + v.shape[axis + 1:], "f", v.bound, v.exact))
        return self.values[-1]

    def tile(self):
        v = self.pick(rank=1)
        if v is None:
            return None
        times = [self.r.choice([1, 1, 2]) for _ in v.shape]
        return self.emit(f"Tile({v.name}, {self.ints(times)})", [s * t for s, t in zip(v.shape, times)], bound=v.bound, exact=v.exact)

    def elements(self):
        v = self.pick(rank=1, test=lambda v: 0 not in v.shape)
        if v is None:
            return None
        axis, rows = self.r.randrange(len(v.shape)), self.r.randint(1, 3)
        shape = v.shape[:axis] + (rows,) + v.shape[axis + 1:]
        if self.r.random() < 0.5:
            at = self.ints([self.r.randrange(-v.shape[axis], v.shape[axis]) for _ in range(int(np.prod(shape)))], f"[{','.join(map(str, shape))}]")
            return self.emit(f"GatherElements <axis = {axis}> ({v.name}, {at})", shape, bound=v.bound, exact=v.exact)
        rows = min(rows, v.shape[axis])
        shape = v.shape[:axis] + (rows,) + v.shape[axis + 1:]
        order = self.r.sample(range(v.shape[axis]), rows)  # no element is written twice
        at = np.broadcast_to(np.reshape(order, [-1 if i == axis else 1 for i in range(len(shape))]), shape)
        index = self.ints(list(at.ravel()), f"[{','.join(map(str, shape))}]")
        return self.emit(f"ScatterElements <axis = {axis}> ({v.name}, {index}, {self.floats(shape).name})", v.shape, bound=v.bound + 1, exact=v.exact)

    def einsum(self):
        v = self.pick(rank=2, test=lambda v: len(v.shape) in (2, 3) and 0 not in v.shape)
        if v is None:
            return None
        v = self.tame(v)
        letters = "abc"[:len(v.shape)]
        w = self.floats([v.shape[-1], v.shape[0], 3])
        out = list(letters + "z")
        self.r.shuffle(out)
        out = [x for x in out if x != letters[-1]]
        sizes = dict(zip(letters, v.shape), z=3)
        return self.emit(f'Einsum <equation = "{letters},{letters[-1]}{letters[0]}z->{"".join(out)}"> ({v.name}, {w.name})', [sizes[x] for x in out],
                         bound=v.bound * v.shape[-1], exact=v.exact)

    def resize(self):
        v = self.pick(rank=3, test=lambda v: len(v.shape) in (3, 4) and 0 not in v.shape)
        if v is None:
            return None
        sizes = list(v.shape[:2]) + [s * self.r.choice([1, 2]) for s in v.shape[2:]]
        mode = self.r.choice(["nearest", "linear"])
        return self.emit(f'Resize <mode = "{mode}"> ({v.name}, , , {self.ints(sizes)})', sizes, bound=v.bound, exact=v.exact and mode == "nearest")

    def nonzero(self):
        """Sizes that only the run knows."""
        v = self.pick(rank=1, test=lambda v: v.exact and len(v.shape) <= 3)
        if v is None:
            return None
        at = self.fresh()
        self.lines += [f"{at} = NonZero({v.name})", f"{at}t = Transpose <perm = [1, 0]> ({at})"]
        name = self.fresh()
        self.lines += [f"{name} = GatherND({v.name}, {at}t)", f"{name}r = ReduceSum <keepdims = 0> ({name})"]
        return self.emit(f"Identity({name}r)", (), bound=v.bound * max(1, int(np.prod(v.shape))), exact=True)

    def clip(self):
        v = self.pick()
        lo, hi = self.floats([]), self.emit(f"Exp({self.floats([]).name})", [], bound=3)
        return self.emit(f"Clip({v.name}, {lo.name}, {hi.name})", v.shape, bound=min(v.bound, 4))

    def build(self):
        ops = [self.unary, self.binary, self.binary, self.transpose, self.reshape, self.concat, self.slice, self.pad, self.gather,
               self.reduce, self.norm, self.matmul, self.matmul, self.attention, self.conv, self.pool, self.choose, self.order, self.scatter,
               self.integers, self.expand, self.branch, self.loop, self.heads, self.heads, self.batch_norm, self.instance_norm, self.split,
               self.tile, self.elements, self.einsum, self.resize, self.nonzero, self.clip]
        steps = self.r.choice([3, 8, 16, 30])
        for _ in range(steps):
            self.r.choice(ops)()
        made = [v for v in self.values if not v.name.startswith("x")] or [self.unary()]
        self.outputs = list({v.name: v for v in made[-1:] + self.r.sample(made, min(len(made), self.r.randint(0, 2)))}.values())
        ins = ", ".join(f"float[{','.join(dims)}] {v.name}" if dims else f"float {v.name}" for v, dims in self.inputs)
        types = {"f": "float", "i": "int64", "b": "bool"}
        outs = ", ".join(f"{types[v.kind]}{'[' + ','.join(f'o{i}_{j}' for j in range(len(v.shape))) + ']' if v.shape else ''} {v.name}"
                         for i, v in enumerate(self.outputs))
        body = "\n  ".join(self.lines)
        return f'<ir_version: 9, opset_import: ["" : 18]>\ng ({ins}) => ({outs})\n{{\n  {body}\n}}\n'

    def feed(self):
        r = np.random.default_rng(self.r.randrange(1 << 30))
        return {v.name: (r.integers(-16, 17, v.shape) / 4).astype(np.float32) for v, _ in self.inputs}
