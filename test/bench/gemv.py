#!/usr/bin/env python3
"""What share of a card's memory bandwidth products of few rows reach, in chains of weights that no cache holds.

    gemv.py --ktc KTC --ktrun KTRUN [--work DIR] [--target sm_90] [--bits 4 --group 128] [--rows 1 4 8 16 32] [--layers 96] [--seconds 0.4] [--tuning FILE]

Measures a kernel that only reads, then a chain of 4096x4096 and one of 4096x14336x4096, in half precision or with weights of fewer bits, for each number of rows: `ktrun --resident
--benchmark` over the bytes of the weights. Results of the last layer are compared with the same chain in double precision, rounded between the layers,
on a few columns. Needs a card, Python and numpy; fails where a result is wrong. So many layers that what lies between two runs is little of one: with 24 a layer takes 0.2 us more. Takes about a minute."""
import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'hostile'), os.path.join(HERE, '..', 'ptx')]
import device
import onnxwire as wire

THREADS, LOADS = 512, 8  # of the reading kernel: threads of a block, and loads of 16 bytes that each has on their way
STEP = 10240             # elements of noise between two layers, whole pages
COLUMNS = 16             # that are compared
TOLERANCE = 0.02         # of the largest number


def reading_kernel():
    """PTX of a kernel whose blocks read `rounds` times LOADS pieces each; it stores only what no data comes to."""
    names = [f'%r{8 + 4 * i + j}' for i in range(LOADS) for j in range(4)]
    loads = '\n'.join(f'ld.global.nc.L1::no_allocate.v4.b32 {{{", ".join(names[4 * i:4 * i + 4])}}}, [%rd1];\nadd.s64 %rd1, %rd1, %rd2;' for i in range(LOADS))
    sums = '\n'.join(f'xor.b32 %r1, %r1, {n};' for n in names)
    return f'''.version 8.0
.target sm_80
.address_size 64
.visible .entry read(.param .u64 from, .param .u64 to, .param .u32 rounds)
.reqntid {THREADS}
{{
.reg .pred %p<2>; .reg .b32 %r<{8 + 4 * LOADS}>; .reg .b64 %rd<6>;
ld.param.u64 %rd1, [from];
ld.param.u64 %rd3, [to];
ld.param.u32 %r2, [rounds];
mov.u32 %r3, %ctaid.x;
mov.u32 %r4, %tid.x;
mad.lo.s32 %r5, %r3, {THREADS}, %r4;
mul.wide.u32 %rd4, %r5, 16;
add.s64 %rd1, %rd1, %rd4;
mov.u32 %r6, %nctaid.x;
mul.wide.u32 %rd2, %r6, {THREADS * 16};
mov.b32 %r1, 0;
$again:
{loads}
{sums}
add.s32 %r2, %r2, -1;
setp.ne.s32 %p1, %r2, 0;
@%p1 bra $again;
setp.ne.s32 %p1, %r1, 305419896;
@%p1 bra $end;
st.global.u32 [%rd3], %r1;
$end:
ret;
}}
'''


def read_bandwidth(work, size=2 << 30):
    """Bytes a nanosecond of the fastest of some grids, and the card's name."""
    gpu = device.Device()
    path = f'{work}/read.ptx'
    with open(path, 'w') as f:
        f.write(reading_kernel())
    function = gpu.function(path, 'read', 0)
    source, sink = gpu.alloc(size), gpu.alloc(16)
    gpu.call('cuMemsetD32_v2', ctypes.c_uint64(source), ctypes.c_uint(0x3C5A2B17), ctypes.c_size_t(size // 4))
    best = 0
    for blocks in (gpu.sms * 2, gpu.sms * 4, gpu.sms * 8) * 3:  # a card that was idle takes a while to be at its fastest
        piece = blocks * THREADS * 16 * LOADS
        rounds = size // piece
        arguments = [ctypes.c_uint64(source), ctypes.c_uint64(sink), ctypes.c_uint32(rounds)]
        microseconds = gpu.time([(function, arguments, (blocks, 1, 1), (THREADS, 1, 1), 0)], repeats=10)
        best = max(best, piece * rounds / microseconds / 1000)
    gpu.free(source)
    gpu.free(sink)
    return best, gpu.name


class Halves:
    """Half-precision weights [k, n]."""

    def __init__(self, k, n, elements, number):
        self.k, self.n, self.offset, self.number = k, n, number * STEP * 2, number
        self.elements = elements[number * STEP:][:k * n].reshape(k, n)
        self.bytes = self.elements.nbytes

    def values(self, columns=slice(None)):
        return self.elements[:, columns].astype(np.float32)

    def add(self, x, y, nodes, initializers):
        where = {'location': f'noise{self.k}', 'offset': self.offset, 'length': self.bytes}
        initializers.append(wire.tensor(f'w{y}', wire.FLOAT16, [self.k, self.n], external=where))
        nodes.append(wire.node('MatMul', [x, f'w{y}'], [y], f'n{y}'))


class Numbers:
    """Weights of few bits as MatMulNBits has them: rows [n, groups, bytes] of numbers, and scales in half precision."""

    def __init__(self, k, n, elements, number, bits, group):
        self.k, self.n, self.number, self.bits, self.group = k, n, number, bits, group
        groups = k // group
        self.offset = number * STEP * 2
        self.rows = elements.view(np.uint8)[self.offset:][:n * k * bits // 8].reshape(n, groups, group * bits // 8)
        self.scales = self.scales_of(n, groups)
        self.bytes = self.rows.nbytes + self.scales.nbytes

    def scales_of(self, n, groups):
        """Of both signs: numbers are half a step less than nothing on average, which many layers would make much of."""
        rng = np.random.default_rng(self.number)
        return (rng.uniform(0.5, 1.4, (n, groups)) * rng.choice([-1, 1], (n, groups)) * np.sqrt(12 / self.k) / (1 << self.bits)).astype(np.float16)

    def values(self, columns=slice(None)):
        rows, scales = self.rows[columns], self.scales[columns].astype(np.float32)
        q = np.stack([rows >> shift & ((1 << self.bits) - 1) for shift in range(0, 8, self.bits)], -1) if self.bits < 8 else rows
        w = (q.reshape(*rows.shape[:2], self.group).astype(np.float32) - (1 << (self.bits - 1))) * scales[:, :, None]
        return w.reshape(len(rows), self.k).T

    def add(self, x, y, nodes, initializers):
        where = {'location': f'noise{self.k}', 'offset': self.offset, 'length': self.rows.nbytes}
        initializers.append(wire.tensor(f'w{y}', wire.UINT8, self.rows.shape, external=where))
        initializers.append(wire.tensor(f's{y}', wire.FLOAT16, self.scales.shape, raw=self.scales.tobytes()))
        nodes.append(wire.node('MatMulNBits', [x, f'w{y}', f's{y}'], [y], f'n{y}', 'com.microsoft', K=self.k, N=self.n, bits=self.bits, block_size=self.group))


class Chain:
    """A chain of products through these widths, again and again. Weights are windows of one file of noise for each depth: they differ, and are written
    in no time."""

    def __init__(self, widths, layers, folder, bits, group):
        sizes = [widths[layer % (len(widths) - 1):][:2] for layer in range(layers)]
        noise = np.random.default_rng(5).standard_normal(1 << 24, np.float32)
        longest = max(k * n for k, n in sizes) + layers * STEP
        of_depth = {k: np.resize((noise / np.sqrt(k, dtype=np.float32)).astype(np.float16), longest) for k in widths[:-1]}
        if bits < 16:  # numbers of all sizes rather than halves of few exponents
            of_depth = {k: np.resize(np.random.default_rng(k).integers(0, 1 << 16, 1 << 24, np.uint16), longest) for k in widths[:-1]}
        for k, elements in of_depth.items():
            elements.tofile(f'{folder}/noise{k}')
        self.weights = [Halves(k, n, of_depth[k], i) if bits == 16 else Numbers(k, n, of_depth[k], i, bits, group) for i, (k, n) in enumerate(sizes)]
        self.bytes = sum(w.bytes for w in self.weights)

    def model(self):
        nodes, initializers, x = [], [], 'x'
        for i, weights in enumerate(self.weights):
            weights.add(x, f'y{i}', nodes, initializers)
            x = f'y{i}'
        ends = [wire.value(name, wire.FLOAT16, ['rows', size]) for name, size in (('x', self.weights[0].k), (x, self.weights[-1].n))]
        return wire.model(nodes, ends[:1], ends[1:], initializers, domains=['com.microsoft']), x

    def expected(self, x):
        for w in self.weights[:-1]:
            # Products of halves are exact in single precision, whose sums are far more exact than the rounding behind them.
            x = (x.astype(np.float32) @ w.values()).astype(np.float16)
        columns = np.linspace(0, self.weights[-1].n - 1, COLUMNS).astype(int)
        return columns, x.astype(np.float64) @ self.weights[-1].values(columns).astype(np.float64)


def measure(args, work, chain, label, read):
    model, name = chain.model()
    with open(f'{work}/{label}.onnx', 'wb') as f:
        f.write(model)
    start = time.time()
    subprocess.run([args.ktc, 'compile', f'{work}/{label}.onnx', '-o', f'{work}/{label}.ktm', '--target', args.target], check=True)
    print(f'{label}: {len(chain.weights)} layers, {chain.bytes / 1e6:.0f} MB, compiled in {time.time() - start:.1f} s', flush=True)
    x = np.random.default_rng(6).standard_normal((max(args.rows), chain.weights[0].k)).astype(np.float16)
    columns, want = chain.expected(x)
    wrong = 0
    for rows in args.rows:
        np.save(f'{work}/x.npy', x[:rows])
        more = ['--tuning', args.tuning] if args.tuning else []
        done = subprocess.run([args.ktrun, f'{work}/{label}.ktm', '--device', 'cuda:0', '--input', f'x=@{work}/x.npy', '--output', f'{name}=@{work}/y.npy', '--resident', '--queue', '8',
                               '--benchmark', str(args.seconds), '--benchmark-format', 'json', '--profile', f'{work}/trace.json', *more], check=True, capture_output=True, text=True)
        nanoseconds = json.loads(done.stdout)['benchmarks'][0]['real_time'] * 1e6
        got = np.load(f'{work}/y.npy').astype(np.float64)[:, columns]
        error = np.abs(got - want[:rows]).max() / np.abs(want[:rows]).max()
        right = bool(error <= TOLERANCE)
        wrong += not right
        rate = chain.bytes / nanoseconds
        with open(f'{work}/trace.json') as f:
            ran = sorted({e['args']['schedule'] for e in json.load(f)['traceEvents']})
        print(f'{label:>18} {rows:5} {nanoseconds / 1000:10.1f} {nanoseconds / 1000 / len(chain.weights):9.2f} {rate:8.0f} {100 * rate / read:6.1f} % {error:9.1e}  {", ".join(ran)}{"" if right else "  WRONG"}', flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ktc', required=True)
    parser.add_argument('--ktrun', required=True)
    parser.add_argument('--work')
    parser.add_argument('--target', default='sm_90')
    parser.add_argument('--rows', type=int, nargs='+', default=[1, 4, 8, 16, 32])
    parser.add_argument('--layers', type=int, default=96, help='4096x4096 ones; the other chain has about as many bytes')
    parser.add_argument('--seconds', type=float, default=0.4, help='of each measurement')
    parser.add_argument('--bits', type=int, default=16, choices=(16, 8, 4, 2), help='of a weight')
    parser.add_argument('--group', type=int, default=128, help='k\'s that share a scale, where weights have fewer bits than 16')
    parser.add_argument('--tuning', help='measured times, by which variants are chosen')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        read, name = read_bandwidth(work)
        print(f'{name}: a plain read gives {read:.0f} GB/s')
        print(f'{"chain":>18} {"rows":>5} {"us":>10} {"us/layer":>9} {"GB/s":>8} {"of read":>8} {"error":>9}  variants')
        wrong = measure(args, work, Chain((4096, 4096), args.layers, work, args.bits, args.group), '4096x4096', read)
        wrong += measure(args, work, Chain((4096, 14336, 4096), max(2, args.layers // 7 * 2), work, args.bits, args.group), '4096x14336x4096', read)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
