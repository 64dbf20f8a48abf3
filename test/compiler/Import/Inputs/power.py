"""power.py write IN | check IN OUT: numbers for power.test, and whether the results are right."""
import decimal
import sys

import numpy as np

decimal.getcontext().prec = 50
if sys.argv[1] == "write":
    rng = np.random.default_rng(3)
    x = np.r_[3, 7, -5, 2, -1, 1, -1, 0, 10, -3, rng.integers(-(2**63), 2**63, 30)].astype(np.int64)
    p = np.r_[34, 20, 27, 63, 2**60 + 1, 2**62, -3, 0, 18, 3, rng.integers(0, 70, 30)].astype(np.int64)
    d = np.r_[1.5, np.exp(rng.uniform(-8, 8, 19)), rng.uniform(0.5, 2, 20)]
    e = np.r_[1000.5, rng.uniform(-80, 80, 19), rng.uniform(-900, 900, 20)]
    np.savez(sys.argv[2], x=x, p=p, d=d, e=e)
    sys.exit()

given, got = np.load(sys.argv[2]), np.load(sys.argv[3])
x, p, d, e = (given[k] for k in "xpde")


def whole(base, exponent, kind):
    if exponent < 0:
        value = {1: 1, -1: -1 if exponent % 2 else 1}.get(base, 0)
    else:
        value = pow(base, exponent, 1 << 64)
    return np.array([value % (1 << 64)], np.uint64).astype(kind)[0]


def same(name, want):
    np.testing.assert_array_equal(got[name], want, name)


def near(name, base, exponent):
    for b, k, v in zip(base, exponent, got[name]):
        right = (decimal.Decimal(float(b)).ln() * decimal.Decimal(float(k))).exp()
        places = abs(decimal.Decimal(float(v)) - right) / decimal.Decimal(float(np.spacing(float(right))))
        assert places < 1, (name, b, k, v, float(places))


same("y", [whole(int(a), int(k), np.int64) for a, k in zip(x, p)])
same("b", [whole(int(a.astype(np.int32)), int(k), np.int32) for a, k in zip(x, p)])
same("u", [whole(int(a), int(k.astype(np.uint64)), np.int64) for a, k in zip(x, p)])
same("seventh", [whole(int(a), 7, np.int64) for a in x])
same("inverse", [whole(int(a), -3, np.int64) for a in x])
near("real", d, e)
near("cube", d, np.full(d.shape, 3.0))
assert got["parity"][4] == -1 and got["parity"][6] == -1, got["parity"]
assert list(got["rooted"][[0, 3, 8]]) == [15, 5, 316], got["rooted"]
