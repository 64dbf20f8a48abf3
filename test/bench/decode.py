#!/usr/bin/env python3
"""How much of a plain read's bandwidth attention of one query reaches, 32 heads on 8 in half precision, as in the steps of a decoder.

decode.py compile DIR [kt-compile-kernel]   writes PTX (no GPU needed)
decode.py time DIR                          every variant that fits, `*` for the one that a run would take, and a read of as many bytes
decode.py shares DIR                        the kernel for few queries with other numbers of blocks that share the keys of a head

Keys and values are other ones in each launch, so that none is in the second-level cache. Every result is compared with numpy's."""
import ctypes
import glob
import os
import sys
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'ptx'))
import harness
import kernels

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = kernels.Library([f'{HERE}/gpu_kernels.mlir', *sorted(glob.glob(f'{kernels.FOLDER}/*.mlir'))])
HEADS, KEY_HEADS, WIDTHS = 32, 8, (128, 64)
SHAPES = ((1, 32768), (16, 1024), (1, 1024))  # streams, keys of each
SWEEP = (1, 2, 3, 4, 8, 12, 16, 24, 32, 48, 64)
COLD = 512 << 20  # bytes that go through the cache before the same are read again
TOLERANCE = 3e-3


def read_kernel():
    """PTX that reads parameter 2 times 16 bytes from parameter 0 on, eight of a thread on their way at a time."""
    loads = '\n'.join(f'''  setp.lt.u32 %p1, %r8, %r1;
  mul.wide.u32 %d3, %r8, 16;
  add.u64 %d3, %d1, %d3;
  @%p1 ld.global.v4.u32 {{%v{4 * i}, %v{4 * i + 1}, %v{4 * i + 2}, %v{4 * i + 3}}}, [%d3];
  add.u32 %r8, %r8, %r6;''' for i in range(8))
    adds = '\n'.join(f'  xor.b32 %r7, %r7, %v{i};' for i in range(32))
    zeros = '\n'.join(f'  mov.u32 %v{i}, 0;' for i in range(32))
    return f'''.version 7.8
.target sm_80
.address_size 64
.visible .entry read(.param .u64 read_param_0, .param .u64 read_param_1, .param .u32 read_param_2)
.reqntid 256
{{
  .reg .pred %p<3>;
  .reg .b32 %r<9>;
  .reg .b32 %v<32>;
  .reg .b64 %d<4>;
  ld.param.u64 %d1, [read_param_0];
  ld.param.u64 %d2, [read_param_1];
  ld.param.u32 %r1, [read_param_2];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r8, %r2, %r3, %r4;
  mov.u32 %r6, %nctaid.x;
  mul.lo.u32 %r6, %r6, %r3;
  mov.u32 %r7, 0;
$L__LOOP:
{zeros}
{loads}
{adds}
  setp.lt.u32 %p2, %r8, %r1;
  @%p2 bra $L__LOOP;
  setp.ne.u32 %p2, %r7, 305419896;
  @%p2 bra $L__END;
  st.global.u32 [%d2], %r7;
$L__END:
  ret;
}}
'''


def name_of(width):
    return f'decode_f16_{HEADS}_{KEY_HEADS}_{width}'


def expected(q, k, v):
    """[streams, HEADS, width] of q likewise and k, v [streams, KEY_HEADS, keys, width]."""
    groups = q.astype(np.float32).reshape(len(q), KEY_HEADS, HEADS // KEY_HEADS, -1)
    scores = groups @ k.astype(np.float32).swapaxes(2, 3) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True) @ v.astype(np.float32)).reshape(q.shape)


class Setting:
    """Buffers of one shape: queries, results, and pairs of keys and values, all alike and more than the cache holds."""

    def __init__(self, gpu, streams, keys, width, cold=COLD):
        rng = np.random.default_rng(keys + width)
        noise = rng.standard_normal(1 << 20, np.float32).astype(np.float16)
        count = streams * KEY_HEADS * keys * width
        # Each row begins elsewhere in the noise, or all would be alike.
        pair = np.resize(np.concatenate([noise, noise[:7919]]), 2 * count).reshape(2, streams, KEY_HEADS, keys, width)
        self.gpu, self.ints, self.bytes = gpu, (streams, 1, keys), pair.nbytes
        self.q = rng.standard_normal((streams, HEADS, width), np.float32).astype(np.float16)
        self.want = expected(self.q, *pair)
        self.pairs = [gpu.alloc(pair.nbytes) for _ in range(max(2, -(-cold // pair.nbytes)))]
        for p in self.pairs:
            gpu.upload(p, pair)
        self.queries, self.result = gpu.alloc(self.q.nbytes), gpu.alloc(self.q.nbytes)
        gpu.upload(self.queries, self.q)

    def launches_of(self, variant, values, folder, shares=0):
        """For each pair what one run of the variant launches, and buffers that it needs; with `shares` splits if that is not left to the variant."""
        own = []
        if variant['workspace'] >= 0:
            floats = shares * self.ints[0] * HEADS * (self.q.shape[-1] + 16)
            own.append(self.gpu.alloc(max(values[variant['workspace']], floats * 4)))
        if variant['counters'] >= 0:
            own.append(self.gpu.alloc(values[variant['counters']]))
            self.gpu.upload(own[-1], np.zeros(values[variant['counters']], np.uint8))
        launches = []
        for p in self.pairs:
            buffers = [self.queries, p, p + self.bytes // 2, self.result, *own]
            args = [ctypes.c_uint64(b) for b in buffers] + [ctypes.c_int32(i) for i in self.ints]
            for s in variant['stages']:
                shared = values[s['shared']] if s['shared'] >= 0 else 0
                function = self.gpu.function(f"{folder}/{s['file']}", s['entry'], shared)
                grid = [values[g] for g in s['grid']]
                launches.append((function, args, [grid[0], shares or grid[1], grid[2]], s['block'], shared))
        return launches, own

    def difference(self, launches):
        """How far off the first run's result is."""
        self.gpu.upload(self.result, np.full(self.q.shape, np.nan, np.float16))
        for launch in launches[:len(launches) // len(self.pairs)]:
            self.gpu.launch(*launch)
        self.gpu.sync()
        got = np.zeros_like(self.q)
        self.gpu.download(got, self.result)
        return np.abs(got.astype(np.float32) - self.want).max()

    def read(self, folder):
        function = self.gpu.function(f'{folder}/read.ptx', 'read', 0)
        integers = [ctypes.c_int32(self.bytes // 16)]
        return [(function, [ctypes.c_uint64(p), ctypes.c_uint64(self.result), *integers], [self.gpu.sms * 8, 1, 1], [256, 1, 1], 0) for p in self.pairs]

    def rate(self, launches):
        """Gigabytes a second of running them all, one behind the other."""
        return len(self.pairs) * self.bytes / self.gpu.time(launches) / 1e3

    def free(self):
        for p in (*self.pairs, self.queries, self.result):
            self.gpu.free(p)


def time_all(gpu, folder, shapes=SHAPES, cold=COLD, sweep=(0,)):
    """Prints a line for each variant, or for each number of splits of those that can have any; answers how many were wrong."""
    facts = {0: gpu.sms, 1: 227 * 1024, 2: gpu.capability, 3: 50 << 20}
    described = harness.load_kernels([harness.Case(name_of(w), []) for w in WIDTHS], folder)
    wrong = 0
    for width in WIDTHS:
        kernel = described[name_of(width)]
        for streams, keys in shapes:
            setting = Setting(gpu, streams, keys, width, cold)
            plain = setting.rate(setting.read(folder))
            print(f'{streams} x {keys}, {HEADS} heads on {KEY_HEADS} of {width}: a read of {setting.bytes >> 20} MiB reaches {plain:.0f} GB/s', flush=True)
            values = harness.evaluate(kernel['exprs'], setting.ints, facts)
            fitting = [v for v in kernel['variants'] if v['guard'] < 0 or values[v['guard']]]
            best = min(fitting, key=lambda v: values[v['cost']])
            for v, shares in [(v, n) for v in fitting for n in sweep if not n or ' decode ' in v['schedule']]:
                launches, own = setting.launches_of(v, values, folder, shares)
                off = setting.difference(launches)
                rate, shares = setting.rate(launches), launches[0][2][1]
                right = off <= TOLERANCE
                wrong += not right
                print(f"{'*' if v is best else ' '} {rate:6.0f} GB/s {rate / plain:5.0%} {setting.bytes / rate / 1e3:8.1f} us, {values[v['cost']] / 1e3:.1f} expected, {shares} splits  "
                      f"{v['schedule']}{'' if right else f', WRONG by {off}'}", flush=True)
                for p in own:
                    gpu.free(p)
            setting.free()
    return wrong


def main(argv):
    mode, folder = argv[1], argv[2]
    if mode == 'compile':
        cases = [harness.Case(name_of(w), []) for w in WIDTHS]
        harness.compile_cases(cases, argv[3] if len(argv) > 3 else 'build/bin/kt-compile-kernel', folder, more=['--variants=all'], library=LIBRARY)
        with open(f'{folder}/read.ptx', 'w') as f:
            f.write(read_kernel())
        return 0
    from device import Device
    return time_all(Device(), folder, sweep=SWEEP if mode == 'shares' else (0,))


if __name__ == '__main__':
    sys.exit(main(sys.argv))
