"""Kernels of kt.conv (kernels/conv.mlir): strides, dilation, groups, depthwise, transposed, one to three dimensions."""
import itertools
import numpy as np
from cases_matmul import pack
from cases_structured import randn
from harness import BANKS, Case, Tensor


def conv_reference(x, w, kernel_size, strides, dilations, input_dilations, pads, groups, out_size):
    """x [n, s.., c], w [groups, taps, c/g, o/g] -> [n, out.., o], an element of the definition at a time."""
    n, c = x.shape[0], x.shape[-1]
    spatial = len(kernel_size)
    cg, og = c // groups, w.shape[3]
    out = np.zeros((n, *out_size, groups * og))
    for tap, t in enumerate(itertools.product(*map(range, kernel_size))):
        for position in itertools.product(*map(range, out_size)):
            at = []
            for d in range(spatial):
                i = position[d] * strides[d] - pads[d] + t[d] * dilations[d]
                if i % input_dilations[d] or not 0 <= i // input_dilations[d] < x.shape[1 + d]:
                    break
                at.append(i // input_dilations[d])
            if len(at) < spatial:
                continue
            v = x[(slice(None), *at)]
            for g in range(groups):
                out[(slice(None), *position, slice(g * og, (g + 1) * og))] += v[:, g * cg:(g + 1) * cg].astype(np.float64) @ w[g, tap].astype(np.float64)
    return out


def conv_case(name, kind, n, size, c, o, k, strides=None, dilations=None, stretch=None, pad=0, groups=1, weight=None, tolerance=None):
    """`n` is a number of images or several; the other sizes are as in the kernel."""
    spatial = len(size)
    strides, dilations, stretch = strides or [1] * spatial, dilations or [1] * spatial, stretch or [1] * spatial
    weight = weight or kind
    pads = [pad] * spatial
    taps, cg, og = int(np.prod(k)), c // groups, o // groups
    out = [((s - 1) * e + 1 + 2 * pad - (kk - 1) * d - 1) // st + 1 for s, e, kk, d, st in zip(size, stretch, k, dilations, strides)]
    depthwise = groups > 1 and cg == 1 and og == 1  # the groups lie side by side in panels
    bias = Tensor(randn(o), kind)
    ws = Tensor(randn(groups, taps, cg, og) * (20 if weight == 'i8' else 1), weight)
    packed = np.stack([pack(ws.bits[g].reshape(taps * cg, og)) for g in range(groups)]).reshape(groups, -1, taps, cg, 16)
    if depthwise:
        packed = pack(ws.bits.reshape(groups, taps).T).reshape(1, -1, taps, 1, 16)
    p = Tensor.__new__(Tensor)
    p.kind, p.bits = weight, np.ascontiguousarray(packed)
    runs = []
    for images in n if isinstance(n, tuple) else (n,):
        xs = Tensor(randn(images, *size, c), kind)
        want = conv_reference(xs.values, ws.values, k, strides, dilations, stretch, pads, groups, out) + bias.values
        runs.append(((images,), [xs, p, bias], [Tensor(want, kind)]))
    return Case(name, runs, tolerance=tolerance, banks=BANKS if kind != 'f32' and weight == kind else ())


def conv_cases():
    exact = 4e-6
    return [
        conv_case('conv3x3_f16', 'f16', 2, [9, 11], 16, 24, [3, 3], pad=1),
        conv_case('conv_no_batch_f16', 'f16', (1, 0), [9, 11], 16, 24, [3, 3], pad=1),
        conv_case('conv_no_batch_f32', 'f32', (1, 0), [7], 6, 10, [4], pad=1),
        conv_case('conv3x3_bf16', 'bf16', 1, [7, 6], 8, 16, [3, 3], pad=1, strides=[2, 2]),
        conv_case('conv_stem_f16', 'f16', 1, [13, 13], 3, 20, [5, 5], pad=2, strides=[2, 2]),
        conv_case('conv_dilated_f16', 'f16', 1, [12, 12], 8, 40, [3, 3], pad=2, dilations=[2, 2]),
        conv_case('conv_transposed_f16', 'f16', 1, [5, 4], 16, 8, [3, 3], pad=1, stretch=[2, 2]),
        conv_case('conv_groups_f16', 'f16', 2, [6, 6], 32, 64, [3, 3], pad=1, groups=4),
        conv_case('conv_deep_f16', 'f16', 1, [5, 5], 128, 64, [3, 3], pad=1),
        conv_case('conv_int8_f16', 'f16', 1, [6, 6], 16, 16, [3, 3], pad=1, weight='i8'),
        conv_case('conv1x1_f16', 'f16', (2, 1), [5, 5], 24, 32, [1, 1]),
        conv_case('conv1x1_stride_f16', 'f16', 2, [6, 6], 24, 32, [1, 1], strides=[2, 2]),
        conv_case('conv1d_f32', 'f32', 2, [17], 6, 10, [4], pad=1, strides=[2], tolerance=exact),
        conv_case('conv3x3_f32', 'f32', 2, [7, 7], 12, 20, [3, 3], pad=1, tolerance=exact),
        conv_case('conv3d_f32', 'f32', 1, [4, 5, 3], 4, 6, [2, 3, 2], pad=1, tolerance=exact),
        conv_case('conv_groups_f32', 'f32', 1, [6, 6], 6, 9, [3, 3], pad=1, groups=3, tolerance=exact),
        conv_case('conv_transposed_f32', 'f32', 1, [4, 4], 5, 7, [3, 3], pad=1, stretch=[2, 2], tolerance=exact),
        conv_case('depthwise_f16', 'f16', 2, [7, 7], 24, 24, [3, 3], pad=1, groups=24),
        conv_case('depthwise_f32', 'f32', 1, [7, 7], 6, 6, [3, 3], pad=1, strides=[2, 2], groups=6, tolerance=exact),
    ]
