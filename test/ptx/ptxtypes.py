"""PTX types as numpy's, and bf16."""
import numpy as np


class PtxError(Exception):
    pass


REG = {'b16': np.uint16, 'b32': np.uint32, 'b64': np.uint64, 'f32': np.uint32, 'f64': np.uint64, 'pred': np.bool_,
       's32': np.uint32, 'u32': np.uint32, 's64': np.uint64, 'u64': np.uint64, 's16': np.uint16, 'u16': np.uint16}
INT = {'u8': np.uint8, 's8': np.int8, 'b8': np.uint8, 'u16': np.uint16, 's16': np.int16, 'b16': np.uint16,
       'u32': np.uint32, 's32': np.int32, 'b32': np.uint32, 'u64': np.uint64, 's64': np.int64, 'b64': np.uint64}
FLOAT = {'f32': np.float32, 'f64': np.float64, 'f16': np.float16}
DEVICE = ('gpu', 'gl', 'sys')  # how far a fence reaches that orders blocks
SIZE = {'8': 1, '16': 2, '32': 4, '64': 8}


def size_of(t):
    return SIZE[t.lstrip('usbf')]


def bf16_to_f32(bits):
    return (np.asarray(bits, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def f32_to_bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint64(16)).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FFF), rounded)
