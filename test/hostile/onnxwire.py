"""Writes ONNX models byte by byte (protobuf's wire format), right or wrong as a test wants them; needs no onnx package."""
import struct

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16 = 1, 2, 3, 6, 7, 8, 9, 10


WARP = None  # a random generator: now and then another number or name is written than was asked for
EXTREMES = (0, 1, 2, 3, 5, 7, 16, 255, -1, -2, -3, -5, 1 << 20, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 62), (1 << 63) - 1, -(1 << 63))


def warped(make, rng):
    """The model that `make` writes, with a few numbers and names replaced by others."""
    global WARP
    right = make()
    WARP = rng
    try:
        while (wrong := make()) == right:
            pass
        return wrong
    finally:
        WARP = None


def warp_number(n):
    if WARP is None or WARP.random() > 0.02:
        return n
    return WARP.choice(EXTREMES) if WARP.random() < 0.7 else n + WARP.choice((-1, 1))


def warp_name(name):
    return WARP.choice(("", "x", "y", "w", "s", "b", "a")) if WARP is not None and WARP.random() < 0.01 else name


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    n = warp_number(n)
    return varint(field << 3) + varint(n)


def chunk(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    """An int, a float, a string, a list of ints or of floats, a tensor or graph (bytes, tagged by a tuple)."""
    if isinstance(value, bool) or isinstance(value, int):
        body = number(3, value) + number(20, 2)
    elif isinstance(value, float):
        body = varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    elif isinstance(value, str):
        body = chunk(4, value) + number(20, 3)
    elif isinstance(value, tuple):
        kind, data = value
        body = chunk({"tensor": 5, "graph": 6}[kind], data) + number(20, {"tensor": 4, "graph": 5}[kind])
    elif value and isinstance(value[0], float):
        body = b"".join(varint(7 << 3 | 5) + struct.pack("<f", v) for v in value) + number(20, 6)
    else:
        body = b"".join(number(8, v) for v in value) + number(20, 7)
    return chunk(1, name) + body


def node(op, inputs, outputs, name="", domain="", **attributes):
    out = b"".join(chunk(1, warp_name(i)) for i in inputs) + b"".join(chunk(2, warp_name(o)) for o in outputs)
    out += chunk(3, name or op.lower()) + chunk(4, op)
    out += b"".join(chunk(5, attribute(k, v)) for k, v in attributes.items())
    return out + (chunk(7, domain) if domain else b"")


def tensor(name, kind, dims, raw=None, floats=None, ints=None, external=None):
    out = b"".join(number(1, d) for d in dims) + number(2, kind) + chunk(8, name)
    if floats is not None:
        raw = struct.pack(f"<{len(floats)}f", *floats)
    if ints is not None:
        raw = struct.pack(f"<{len(ints)}q", *map(warp_number, ints))
    if raw is not None:
        out += chunk(9, raw)
    if external is not None:
        out += b"".join(chunk(13, chunk(1, k) + chunk(2, str(v))) for k, v in external.items()) + number(14, 1)
    return out


def value(name, kind, dims):
    """A graph input or output; a dimension is a number or a symbol."""
    shape = b"".join(chunk(1, chunk(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return chunk(1, name) + chunk(2, chunk(1, number(1, kind) + chunk(2, shape)))


def graph(nodes, inputs, outputs, initializers=(), name="g"):
    out = b"".join(chunk(1, n) for n in nodes) + chunk(2, name)
    out += b"".join(chunk(5, t) for t in initializers)
    return out + b"".join(chunk(11, i) for i in inputs) + b"".join(chunk(12, o) for o in outputs)


def model(nodes, inputs, outputs, initializers=(), opset=18, functions=(), domains=()):
    opsets = chunk(8, chunk(1, "") + number(2, opset)) + b"".join(chunk(8, chunk(1, domain) + number(2, 1)) for domain in ("local", *domains))
    return number(1, 8) + chunk(7, graph(nodes, inputs, outputs, initializers)) + opsets + b"".join(chunk(25, f) for f in functions)


def function(name, inputs, outputs, nodes):
    out = chunk(1, name) + b"".join(chunk(4, i) for i in inputs) + b"".join(chunk(5, o) for o in outputs)
    return out + b"".join(chunk(7, n) for n in nodes) + chunk(9, chunk(1, "") + number(2, 18)) + chunk(10, "local")
