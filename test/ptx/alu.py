"""Instructions of the PTX interpreter that only touch registers: moves, conversions, arithmetic, bits and predicates."""
import re
import numpy as np
from ptxtypes import FLOAT, INT, bf16_to_f32, f32_to_bf16


class Arithmetic:
    """Needs get, put, floats, put_float, split, n and f of the machine."""

    # ---- moves and conversions
    def op_mov(self, i, mask):
        d, s = i.args
        t = i.parts[-1]
        if d.startswith('{'):
            names = self.split(d)
            wide = np.ascontiguousarray(np.broadcast_to(self.get(s, INT['u' + t[1:]]), self.n))
            parts = wide.view(INT['u%d' % (int(t[1:]) // len(names))]).reshape(self.n, len(names))
            for j, name in enumerate(names):
                self.put(name, parts[:, j].copy(), mask)
            return
        if s.startswith('{'):
            names = self.split(s)
            each = INT['u%d' % (int(t[1:]) // len(names))]
            parts = [np.broadcast_to(self.get(n, each), self.n) for n in names]
            return self.put(d, np.ascontiguousarray(np.stack(parts, 1)).view(INT['u' + t[1:]]).reshape(-1), mask)
        self.put(d, self.get(s, self.f.registers[d]), mask)

    def op_cvta(self, i, mask):
        self.put(i.args[0], self.get(i.args[1], self.f.registers[i.args[0]]), mask)

    def op_cvt(self, i, mask):
        types = [p for p in i.parts[1:] if re.fullmatch(r'[usbf]\d+(x2)?|bf16(x2)?', p)]
        to, of = types[0], types[-1]
        if to.endswith('x2'):
            kind = to[:-2]
            low, high = self.floats(i.args[2], of), self.floats(i.args[1], of)
            low, high = np.broadcast_to(low, self.n), np.broadcast_to(high, self.n)
            pack = (lambda v: f32_to_bf16(v)) if kind == 'bf16' else (lambda v: v.astype(np.float16).view(np.uint16))
            return self.put(i.args[0], np.ascontiguousarray(np.stack([pack(low), pack(high)], 1)).view(np.uint32).reshape(-1), mask)
        to_float, of_float = to in FLOAT or to == 'bf16', of in FLOAT or of == 'bf16'
        if of_float:
            v = np.asarray(self.floats(i.args[1], of))
        else:
            v = np.asarray(self.get(i.args[1], INT[of]))
        if of_float:
            mode = [p for p in i.parts if p in ('rmi', 'rpi', 'rzi', 'rni')]
            if mode:
                v = {'rmi': np.floor, 'rpi': np.ceil, 'rzi': np.trunc, 'rni': np.rint}[mode[0]](v)
        if to_float:
            return self.put_float(i.args[0], v if of_float else v.astype(np.float64 if to == 'f64' else np.float32), to, mask)
        if of_float:
            info = np.iinfo(INT[to])
            w = np.nan_to_num(v.astype(np.float64), nan=0.0, posinf=1e30, neginf=-1e30)
            r = np.where(w >= info.max, info.max, np.where(w <= info.min, info.min, np.clip(w, info.min, np.nextafter(float(info.max), 0)).astype(INT[to])))
            v = r.astype(INT[to])
        elif 'sat' in i.parts:
            info = np.iinfo(INT[to])
            v = np.clip(v.astype(np.int64), info.min, info.max).astype(INT[to])
        else:
            v = v.astype(INT[to])
        if v.dtype.itemsize < np.dtype(self.f.registers[i.args[0]]).itemsize:
            wide = np.dtype(self.f.registers[i.args[0]]).itemsize
            v = v.astype({2: np.int16, 4: np.int32, 8: np.int64}[wide]) if v.dtype.kind == 'i' else v.astype(self.f.registers[i.args[0]])
        self.put(i.args[0], v, mask)

    def op_prmt(self, i, mask):
        a, b = np.broadcast_to(self.get(i.args[1], np.uint32), self.n), np.broadcast_to(self.get(i.args[2], np.uint32), self.n)
        s = np.broadcast_to(self.get(i.args[3], np.uint32), self.n)
        source = np.concatenate([np.ascontiguousarray(a).view(np.uint8).reshape(-1, 4), np.ascontiguousarray(b).view(np.uint8).reshape(-1, 4)], 1)
        out = np.zeros((self.n, 4), np.uint8)
        for j in range(4):
            sel = (s >> np.uint32(4 * j)) & np.uint32(15)
            v = np.take_along_axis(source, (sel & np.uint32(7)).astype(np.int64)[:, None], 1)[:, 0]
            out[:, j] = np.where(sel & np.uint32(8), np.where(v & 0x80, 0xFF, 0), v)
        self.put(i.args[0], out.view(np.uint32).reshape(-1), mask)

    # ---- arithmetic
    def arithmetic(self, i, mask, fn, count):
        t = i.parts[-1]
        if t in ('f16x2', 'bf16x2'):
            kind = t[:-2]
            halves = []
            words = [np.ascontiguousarray(np.broadcast_to(self.get(x, np.uint32), self.n)).view(np.uint16).reshape(-1, 2) for x in i.args[1:1 + count]]
            for j in range(2):
                x = [bf16_to_f32(w[:, j]) if kind == 'bf16' else np.ascontiguousarray(w[:, j]).view(np.float16).astype(np.float32) for w in words]
                r = fn(*x)
                halves.append(f32_to_bf16(r) if kind == 'bf16' else r.astype(np.float16).view(np.uint16))
            return self.put(i.args[0], np.ascontiguousarray(np.stack(halves, 1)).view(np.uint32).reshape(-1), mask)
        if t in FLOAT or t == 'bf16':
            r = fn(*[np.asarray(self.floats(x, t)) for x in i.args[1:1 + count]])
            if 'sat' in i.parts:
                r = np.clip(r, 0, 1)
            return self.put_float(i.args[0], r, t, mask)
        kind = INT[t]
        self.put(i.args[0], np.asarray(fn(*[self.get(x, kind) for x in i.args[1:1 + count]])).astype(kind), mask)

    def op_add(self, i, mask):
        self.arithmetic(i, mask, lambda x, y: x + y, 2)

    def op_sub(self, i, mask):
        self.arithmetic(i, mask, lambda x, y: x - y, 2)

    def product(self, i, t):
        kind = INT[t]
        x, y = self.get(i.args[1], kind), self.get(i.args[2], kind)
        bits = 8 * np.dtype(kind).itemsize
        if 'wide' in i.parts:
            wide = INT[t[0] + str(2 * bits)]
            return np.asarray(x).astype(wide) * np.asarray(y).astype(wide), wide
        if 'hi' in i.parts:
            if bits == 64:
                a, b = np.broadcast_to(x, self.n), np.broadcast_to(y, self.n)
                return np.array([(int(p) * int(q)) >> 64 for p, q in zip(a, b)], dtype=object).astype(kind), kind
            return ((np.asarray(x).astype(np.int64) * np.asarray(y).astype(np.int64)).view(np.int64 if t[0] == 's' else np.uint64) >>
                    (np.int64(bits) if t[0] == 's' else np.uint64(bits))).astype(kind), kind
        return np.asarray(x) * np.asarray(y), kind

    def op_mul(self, i, mask):
        t = i.parts[-1]
        if t in INT:
            return self.put(i.args[0], self.product(i, t)[0], mask)
        self.arithmetic(i, mask, lambda x, y: x * y, 2)

    def op_mad(self, i, mask):
        v, kind = self.product(i, i.parts[-1])
        self.put(i.args[0], (v + self.get(i.args[3], kind)).astype(kind), mask)

    def op_fma(self, i, mask):
        t = i.parts[-1]
        if t == 'f32':  # one rounding
            wide = lambda x, y, z: (x.astype(np.float64) * y.astype(np.float64) + z.astype(np.float64)).astype(np.float32)
            return self.arithmetic(i, mask, wide, 3)
        fn = lambda x, y, z: x * y + z
        self.arithmetic(i, mask, (lambda x, y, z: np.maximum(x * y + z, 0)) if 'relu' in i.parts else fn, 3)

    def op_div(self, i, mask):
        t = i.parts[-1]
        if t in FLOAT or t == 'bf16':
            return self.arithmetic(i, mask, lambda x, y: x / y, 2)

        def quotient(x, y):
            y = np.where(y == 0, np.asarray(1, np.asarray(y).dtype), y)
            q = np.asarray(x) // y
            if t[0] == 's':
                q = q + ((q < 0) & (q * y != x)).astype(q.dtype)
            return q
        self.arithmetic(i, mask, quotient, 2)

    def op_rem(self, i, mask):
        def remainder(x, y):
            y = np.where(y == 0, np.asarray(1, np.asarray(y).dtype), y)
            return np.fmod(x, y)
        self.arithmetic(i, mask, remainder, 2)

    def clamped(self, i, mask, of_integers, of_floats):
        fn = of_integers if 'NaN' in i.parts or i.parts[-1] in INT else of_floats
        self.arithmetic(i, mask, (lambda x, y: np.maximum(fn(x, y), 0)) if 'relu' in i.parts else fn, 2)

    def op_min(self, i, mask):
        self.clamped(i, mask, np.minimum, np.fmin)

    def op_max(self, i, mask):
        self.clamped(i, mask, np.maximum, np.fmax)

    def unary(self, i, mask, fn):
        self.arithmetic(i, mask, fn, 1)

    def op_neg(self, i, mask):
        self.unary(i, mask, lambda x: np.negative(x))

    def op_abs(self, i, mask):
        self.unary(i, mask, np.abs)

    def op_sqrt(self, i, mask):
        self.unary(i, mask, np.sqrt)

    def op_rsqrt(self, i, mask):
        self.unary(i, mask, lambda x: 1 / np.sqrt(x))

    def op_rcp(self, i, mask):
        self.unary(i, mask, lambda x: 1 / x)

    def op_ex2(self, i, mask):
        self.unary(i, mask, np.exp2)

    def op_lg2(self, i, mask):
        self.unary(i, mask, np.log2)

    def op_sin(self, i, mask):
        self.unary(i, mask, np.sin)

    def op_cos(self, i, mask):
        self.unary(i, mask, np.cos)

    def op_tanh(self, i, mask):
        self.unary(i, mask, np.tanh)

    def op_copysign(self, i, mask):
        self.arithmetic(i, mask, lambda x, y: np.copysign(y, x), 2)

    # ---- bits
    def op_and(self, i, mask):
        self.bits(i, mask, lambda x, y: x & y)

    def op_or(self, i, mask):
        self.bits(i, mask, lambda x, y: x | y)

    def op_xor(self, i, mask):
        self.bits(i, mask, lambda x, y: x ^ y)

    def op_not(self, i, mask):
        self.bits(i, mask, lambda x: ~np.asarray(x))

    def bits(self, i, mask, fn):
        t = i.parts[-1]
        kind = np.bool_ if t == 'pred' else INT[t]
        self.put(i.args[0], fn(*[self.get(x, kind) for x in i.args[1:]]), mask)

    def op_shl(self, i, mask):
        kind = INT[i.parts[-1]]
        bits = 8 * np.dtype(kind).itemsize
        x, s = np.asarray(self.get(i.args[1], kind)), np.asarray(self.get(i.args[2], np.uint32))
        self.put(i.args[0], np.where(s >= bits, kind(0), x << np.minimum(s, bits - 1).astype(kind)).astype(kind), mask)

    def op_shr(self, i, mask):
        kind = INT[i.parts[-1]]
        bits = 8 * np.dtype(kind).itemsize
        x, s = np.asarray(self.get(i.args[1], kind)), np.asarray(self.get(i.args[2], np.uint32))
        v = x >> np.minimum(s, bits - 1).astype(kind)
        self.put(i.args[0], (v if i.parts[-1][0] == 's' else np.where(s >= bits, kind(0), v)).astype(kind), mask)

    def op_shf(self, i, mask):
        low, high = (np.asarray(self.get(x, np.uint32)).astype(np.uint64) for x in i.args[1:3])
        s = np.asarray(self.get(i.args[3], np.uint32)).astype(np.uint64)
        s = s & np.uint64(31) if 'wrap' in i.parts else np.minimum(s, np.uint64(32))
        both = (high << np.uint64(32)) | low
        v = (both << s) >> np.uint64(32) if 'l' in i.parts else both >> s
        self.put(i.args[0], v.astype(np.uint32), mask)

    def op_bfe(self, i, mask):
        t = i.parts[-1]
        kind = INT[t]
        bits = 8 * np.dtype(kind).itemsize
        pos, length = int(i.args[2]), int(i.args[3])
        x = np.asarray(self.get(i.args[1], INT['u%d' % bits]))
        v = (x >> x.dtype.type(pos)) & x.dtype.type((1 << length) - 1)
        if t[0] == 's':
            shift = np.array(bits - length).astype(kind)
            v = ((v << shift.view(v.dtype)).view(kind) >> shift)
        self.put(i.args[0], v, mask)

    def op_bfi(self, i, mask):
        kind = INT['u' + i.parts[-1][1:]]
        pos, length = int(i.args[3]), int(i.args[4])
        a, b = np.asarray(self.get(i.args[1], kind)), np.asarray(self.get(i.args[2], kind))
        m = kind(((1 << length) - 1) << pos)
        self.put(i.args[0], ((a << kind(pos)) & m) | (b & ~m), mask)

    def op_popc(self, i, mask):
        x = np.ascontiguousarray(np.broadcast_to(self.get(i.args[1], INT['u' + i.parts[-1][1:]]), self.n))
        self.put(i.args[0], np.unpackbits(x.view(np.uint8).reshape(self.n, -1), axis=1).sum(1).astype(np.uint32), mask)

    def op_clz(self, i, mask):
        bits = int(i.parts[-1][1:])
        x = np.broadcast_to(self.get(i.args[1], INT['u%d' % bits]), self.n)
        self.put(i.args[0], np.array([bits - int(v).bit_length() for v in x], np.uint32), mask)

    def op_lop3(self, i, mask):
        a, b, c = (np.asarray(self.get(x, np.uint32)) for x in i.args[1:4])
        table, v = int(i.args[4], 0), np.uint32(0)
        for n in range(8):
            if table >> n & 1:
                v = v | ((a if n & 4 else ~a) & (b if n & 2 else ~b) & (c if n & 1 else ~c))
        self.put(i.args[0], v, mask)

    # ---- predicates
    def op_setp(self, i, mask):
        how, t = i.parts[1], i.parts[-1]
        if t in FLOAT or t == 'bf16':
            x, y = self.floats(i.args[1], t), self.floats(i.args[2], t)
        else:
            x, y = self.get(i.args[1], INT[t]), self.get(i.args[2], INT[t])
        base = {'hs': 'ge', 'hi': 'gt', 'ls': 'le', 'lo': 'lt'}.get(how, how)
        if base in ('nan', 'num'):
            v = np.isnan(x) | np.isnan(y)
            v = ~v if base == 'num' else v
        else:
            unordered = base.endswith('u') and len(base) == 3
            v = {'eq': np.equal, 'ne': np.not_equal, 'lt': np.less, 'le': np.less_equal, 'gt': np.greater, 'ge': np.greater_equal}[base[:2]](x, y)
            if t in FLOAT or t == 'bf16':
                nan = np.isnan(x) | np.isnan(y)
                v = (v | nan) if unordered else (v & ~nan)
        if i.parts[2] in ('and', 'or', 'xor'):
            q = self.get(i.args[3].lstrip('!'), np.bool_)
            q = ~q if i.args[3][0] == '!' else q
            v = {'and': np.logical_and, 'or': np.logical_or, 'xor': np.logical_xor}[i.parts[2]](v, q)
        self.put(i.args[0].split('|')[0], np.broadcast_to(v, self.n), mask)

    def op_selp(self, i, mask):
        kind = self.f.registers[i.args[0]]
        p = self.get(i.args[3], np.bool_)
        self.put(i.args[0], np.where(p, self.get(i.args[1], kind), self.get(i.args[2], kind)), mask)
