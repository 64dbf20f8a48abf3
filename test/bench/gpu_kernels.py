#!/usr/bin/env python3
"""Times representative GPU kernels on a real GPU; test/ptx/run_device.py checks that they are right.

gpu_kernels.py compile DIR [kt-compile-kernel]   writes PTX (no GPU needed)
gpu_kernels.py time DIR                          every variant that fits, the one that a run would take first
"""
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


def benchmarks():
    """(name, runs): a run is (ints, buffer bytes, flops, bytes that have to move)."""
    out = []
    for kind, weight, n, k, rows in (('f16', 'f16', 4096, 4096, (1, 16, 128, 1024, 4096)), ('f16', 'f16', 1024, 1024, (128, 1024)),
                                     ('f16', 'i8', 4096, 4096, (1, 16, 1024)), ('f32', 'f32', 4096, 4096, (1, 16, 128, 1024)),
                                     ('f32', 'f32', 768, 768, (128,))):
        name = f'linear_{kind}_{weight}_{n}_{k}'
        e, w = np.dtype(harness.NUMPY[kind]).itemsize, np.dtype(harness.NUMPY[weight]).itemsize
        runs = [((m,), [m * k * e, n * k * w, m * n * e], 2 * m * n * k, m * k * e + n * k * w + m * n * e) for m in rows]
        out.append((name, runs))
    for kind, heads, d, shapes in (('f16', 16, 64, ((8, 512, 512), (1, 128, 128))), ('f16', 32, 128, ((1, 2048, 2048), (1, 1, 4096))), ('f32', 12, 64, ((8, 128, 128),))):
        e = np.dtype(harness.NUMPY[kind]).itemsize
        runs = [((b, i, j), [b * heads * s * d * e for s in (i, j, j, i)], 4 * b * heads * i * j * d, b * heads * (2 * i + 2 * j) * d * e) for b, i, j in shapes]
        out.append((f'attention_{kind}_{heads}_{d}', runs))
    out.append(('add_bias_f16', [((1 << 21,), [1 << 25, 16, 1 << 25], 0, 1 << 26)]))
    out.append(('transpose_f16', [((8, 2048, 1024), [1 << 25, 1 << 25], 0, 1 << 26)]))
    out.append(('softmax_f16_p1', [((16384, 512), [1 << 24, 1024, 1 << 24], 0, 1 << 25), ((2048, 8192), [1 << 25, 1 << 14, 1 << 25], 0, 1 << 26)]))
    out.append(('rows_add_f32', [((16384, 1024), [1 << 26, 1 << 16], 0, 1 << 26), ((4, 1 << 22), [1 << 26, 16], 0, 1 << 26)]))
    out.append(('columns_add', [((8, 2048, 1024), [1 << 26, 1 << 15], 0, 1 << 26)]))
    return out


def main(argv):
    mode, folder = argv[1], argv[2]
    cases = [harness.Case(name, []) for name, _ in benchmarks()]
    if mode == 'compile':
        harness.compile_cases(cases, argv[3] if len(argv) > 3 else 'build/bin/kt-compile-kernel', folder, library=LIBRARY)
        return 0
    from device import Device
    gpu = Device()
    facts = {0: gpu.sms, 1: 227 * 1024, 2: gpu.capability, 3: 50 << 20}
    kernels = harness.load_kernels(cases, folder)
    for name, runs in benchmarks():
        for ints, sizes, flops, moved in runs:
            values = harness.evaluate(kernels[name]['exprs'], ints, facts)
            first = True
            for v in kernels[name]['variants']:
                if v['guard'] >= 0 and not values[v['guard']]:
                    continue
                buffers = [gpu.alloc(s) for s in sizes] + ([gpu.alloc(values[v['workspace']])] if v['workspace'] >= 0 else [])
                args = [ctypes.c_uint64(p) for p in buffers] + [ctypes.c_int32(i) for i in ints]
                launches = []
                for s in v['stages']:
                    shared = values[s['shared']] if s['shared'] >= 0 else 0
                    launches.append((gpu.function(f"{folder}/{s['file']}", s['entry'], shared), args, [values[g] for g in s['grid']], s['block'], shared))
                us = gpu.time(launches)
                rate = f'{flops / us / 1e6:8.1f} TFLOPS' if flops else ''
                print(f"{'*' if first else ' '} {name:28} {str(list(ints)):20} {us:9.1f} us {rate} {moved / us / 1e3:8.0f} GB/s  {v['schedule']}", flush=True)
                first = False
                for p in buffers:
                    gpu.free(p)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
