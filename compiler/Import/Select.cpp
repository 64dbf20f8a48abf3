//===- Select.cpp - results whose number depends on the data --------------===//
//
// NonMaxSuppression and Unique: sorts, flags and the positions of the true ones.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// The only element of operand `i`, whatever its rank.
Value single(Body &b, unsigned i) { return b.read(i, SmallVector<Value>(b.type(i).getRank(), b.idx(0))); }

/// Whether the boxes at two index lists overlap by more than the threshold.
Value overlaps(Body &b, unsigned boxes, Value batch, Value i, Value j, bool centred, Value threshold, Type element) {
  Type f = b.computeType(element);
  Value zero = b.zero(f), area[2], low[2][2], high[2][2];
  for (int box = 0; box < 2; ++box) {
    auto at = [&](int64_t k) { return b.toCompute(b.read(boxes, {batch, box ? j : i, b.idx(k)}), element); };
    for (int axis = 0; axis < 2; ++axis) {
      if (centred) {
        Value half = b.mul(at(axis + 2), b.constant(f, 0.5));
        low[box][axis] = b.sub(at(axis), half);
        high[box][axis] = b.add(at(axis), half);
      } else {
        Value p = at(axis), q = at(axis + 2);
        low[box][axis] = b.min(p, q);
        high[box][axis] = b.max(p, q);
      }
    }
    area[box] = b.mul(b.sub(high[box][0], low[box][0]), b.sub(high[box][1], low[box][1]));
  }
  Value common = b.constant(f, 1);
  for (int axis = 0; axis < 2; ++axis)
    common = b.mul(common, b.max(zero, b.sub(b.min(high[0][axis], high[1][axis]), b.max(low[0][axis], low[1][axis]))));
  Value whole = b.sub(b.add(area[0], area[1]), common);
  Value real = b.cmp(Cmp::gt, common, zero);
  for (Value v : {area[0], area[1], whole})
    real = b.logicalAnd(real, b.cmp(Cmp::gt, v, zero));
  return b.logicalAnd(real, b.cmp(Cmp::gt, b.div(common, whole), threshold));
}

/// boxes [b, n, 4], scores [b, c, n], most per class, overlap threshold, score threshold.
LogicalResult nonMaxSuppression(Node &n) {
  if (n.rank(0) != 3 || n.rank(1) != 3)
    return n.error("expected boxes and scores of rank 3");
  SmallVector<Expr> d = n.dims(n.in(1));
  Type i64 = n.b.getI64Type(), i1 = n.b.getI1Type(), element = n.element(0),
       f = element.isF64() ? element : Type(n.b.getF32Type());
  if (!n.has(2)) // none are asked for
    return n.set(n.generic(n.tensor({n.expr(0), n.expr(3)}, i64), {}, [&](Body &b) { return b.integer(i64, 0); }));
  auto sorted = SortOp::create(n.b, n.loc, n.tensor(d, n.element(1)), n.tensor(d, i64), n.in(1), n.b.getBoolAttr(true));
  Value scores = sorted.getValues(), order = sorted.getIndices();
  Value none = n.generic(n.tensor(d, i1), {}, [](Body &b) { return b.boolean(false); });
  bool centred = n.attrInt("center_point_box", 0);
  constexpr int64_t kSuppressed = int64_t(1) << 32; // above any number of kept boxes
  // Candidate i, best first, is kept unless a kept one overlaps it.
  auto results = loop(n, none, d[2], {}, {}, [&](ValueRange carried, Expr i) -> FailureOr<LoopYield> {
    SmallVector<Value> in{carried[0], order, n.in(0)};
    if (n.has(3))
      in.push_back(n.in(3));
    Value found = n.reduce(
        n.tensor({d[0], d[1]}, i64), ReduceKind::add, {Expr::max(i, n.expr(1))}, in, // before the first none is kept
        [&](Body &b) {
          Value row = b.index(0), cls = b.index(1), j = b.index(2);
          Value kept = b.read(0, {row, cls, j});
          auto box = [&](Value at) { return b.toIndex(b.read(1, {row, cls, at})); };
          Value threshold = n.has(3) ? b.convert(single(b, 3), n.element(3), f) : b.zero(f);
          Value over = overlaps(b, 2, row, box(j), box(b.size(i)), centred, threshold, element);
          Value zero = b.integer(i64, 0);
          return b.select(kept, b.select(over, b.integer(i64, kSuppressed), b.integer(i64, 1)), zero);
        },
        {});
    SmallVector<Value> more{carried[0], found, scores, n.in(2)};
    if (n.has(4))
      more.push_back(n.in(4));
    Value next = n.generic(n.tensor(d, i1), more, [&](Body &b) {
      Value row = b.index(0), cls = b.index(1);
      // The sum tells both: kSuppressed for each overlap, 1 for each box that is kept.
      Value keep = b.cmp(Cmp::lt, b.read(1, {row, cls}), b.convert(single(b, 3), n.element(2), i64));
      keep = b.logicalAnd(keep, b.cmp(Cmp::lt, b.read(1, {row, cls}), b.integer(i64, kSuppressed)));
      if (n.has(4)) {
        Value score = b.convert(b.read(2, b.indices()), n.element(1), f);
        keep = b.logicalAnd(keep, b.cmp(Cmp::gt, score, b.convert(single(b, 4), n.element(4), f)));
      }
      return b.select(b.cmp(Cmp::eq, b.index(2), b.size(i)), keep, b.read(0, b.indices()));
    });
    return LoopYield{{next}, {}, {}};
  });
  if (failed(results))
    return failure();
  auto [positions, count] = truePositions(n, results->front());
  return n.set(n.generic(n.tensor({count, n.expr(3)}, i64), {positions, order}, [&](Body &b) {
    Value linear = b.toIndex(b.read(0, b.index(0))), boxes = b.max(b.idx(1), b.size(d[2])),
          classes = b.max(b.idx(1), b.size(d[1]));
    Value at = b.math<arith::RemUIOp>(linear, boxes), rest = b.math<arith::DivUIOp>(linear, boxes);
    Value cls = b.math<arith::RemUIOp>(rest, classes), row = b.math<arith::DivUIOp>(rest, classes);
    Value box = b.read(1, {row, cls, at});
    return b.select(b.cmp(Cmp::eq, b.index(1), b.idx(0)), b.fromIndex(row, i64),
                    b.select(b.cmp(Cmp::eq, b.index(1), b.idx(1)), b.fromIndex(cls, i64), box));
  }));
}

/// A tensor [n] with `updates` written at the positions `at`, a permutation.
Value permuted(Node &n, Value at, Value updates) {
  Expr size = n.type(at).dim(0);
  Type i64 = n.b.getI64Type();
  Value zeros = n.generic(n.tensor({size}, i64), {}, [&](Body &b) { return b.integer(i64, 0); });
  return ScatterOp::create(n.b, n.loc, zeros.getType(), zeros, n.reshape(at, {size, n.expr(1)}), updates,
                           ScatterKindAttr::get(n.context, ScatterKind::assign), IntegerAttr())
      .getResult();
}
Value gathered(Node &n, Value v, Value at) {
  Expr size = n.type(v).dim(0);
  return n.generic(n.tensor(n.dims(at), n.type(v).getElementType()), {v, at},
                   [&](Body &b) { return b.read(0, b.bounded(b.read(1, b.indices()), size, Site(), false)); });
}

/// For rows [n, m]: where each row goes in lexicographic order (as `order`, row numbers from the least), equal ones as
/// they come. Quadratic.
Value orderOfRows(Node &n, Value rows, llvm::function_ref<Value(Body &, Value, Value)> less) {
  Expr count = n.type(rows).dim(0), width = n.type(rows).dim(1);
  Type i64 = n.b.getI64Type(), i32 = n.b.getI32Type();
  // The first column in which rows i and j differ; 0 where they are equal.
  Value differ = n.reduce(n.tensor({count, count}, i64), ReduceKind::argmax, {width}, rows,
                          [&](Body &b) {
                            Value x = b.read(0, {b.index(0), b.index(2)}), y = b.read(0, {b.index(1), b.index(2)});
                            return b.select(b.cmp(Cmp::ne, x, y), b.integer(i32, 1), b.integer(i32, 0));
                          },
                          {});
  Value rank = n.reduce(n.tensor({count}, i64), ReduceKind::add, {count}, {rows, differ},
                        [&](Body &b) {
                          Value i = b.index(0), j = b.index(1), c = b.toIndex(b.read(1, {i, j}));
                          Value x = b.read(0, {i, c}), y = b.read(0, {j, c});
                          Value before =
                              b.logicalOr(less(b, y, x), b.logicalAnd(b.cmp(Cmp::eq, x, y), b.cmp(Cmp::lt, j, i)));
                          return b.select(before, b.integer(i64, 1), b.integer(i64, 0));
                        },
                        {});
  Value numbers = n.generic(n.tensor({count}, i64), {}, [&](Body &b) { return b.fromIndex(b.index(0), i64); });
  return permuted(n, rank, numbers);
}

LogicalResult unique(Node &n) {
  Value x = n.in(0);
  Type element = n.element(0), i64 = n.b.getI64Type();
  bool flat = !n.attr("axis");
  if (flat)
    x = n.reshape(x, {n.type(0).numElements()});
  auto axis = n.axis(n.attrInt("axis", 0), n.type(x).getRank());
  if (!axis)
    return failure();
  // Slices as rows [count, width].
  SmallVector<Expr> dims = n.dims(x);
  Expr count = dims[*axis], width = n.expr(1);
  SmallVector<int64_t> perm{*axis};
  for (int64_t i = 0; i < (int64_t)dims.size(); ++i)
    if (i != *axis) {
      perm.push_back(i);
      width = width * dims[i];
    }
  Value rows = n.reshape(n.transpose(x, perm), {count, width}), order;
  if (!rows)
    return failure();
  bool u = isUnsigned(element);
  if (width.isConstant(1)) {
    Value line = n.reshape(rows, {count});
    auto sorted =
        SortOp::create(n.b, n.loc, n.tensor({count}, element), n.tensor({count}, i64), line, n.b.getBoolAttr(false));
    order = sorted.getIndices();
  } else {
    order = orderOfRows(n, rows, [&](Body &b, Value p, Value q) { return b.cmp(Cmp::lt, p, q, u); });
  }
  // A row starts a group where it differs from the one before it in any column.
  Type i32 = n.b.getI32Type();
  Value starts = n.reduce(
      n.tensor({count}, n.b.getI1Type()), ReduceKind::max, {width}, {rows, order},
      [&](Body &b) {
        Value t = b.index(0), before = b.max(b.idx(0), b.sub(t, b.idx(1)));
        Value p = b.read(0, {b.toIndex(b.read(1, t)), b.index(1)}),
              q = b.read(0, {b.toIndex(b.read(1, before)), b.index(1)});
        Value first = b.logicalOr(b.cmp(Cmp::eq, t, b.idx(0)), b.cmp(Cmp::ne, p, q));
        return b.select(first, b.integer(i32, 1), b.integer(i32, 0));
      },
      [&](Body &b) { return b.cmp(Cmp::gt, b.scalar(0), b.integer(i32, 0)); });
  auto [positions, groups] = truePositions(n, starts);
  Value flags = n.cast(starts, i64);
  Value running = ScanOp::create(n.b, n.loc, flags.getType(), flags, ReduceKindAttr::get(n.context, ReduceKind::add),
                                 UnitAttr(), UnitAttr())
                      .getResult();
  Value groupOf =
      n.generic(n.type(running), running, [&](Body &b) { return b.sub(b.read(0, b.indices()), b.integer(i64, 1)); });
  SymTensorType perGroup = n.tensor({groups}, i64);
  Value begin = n.generic(perGroup, positions, [&](Body &b) { return b.read(0, b.index(0)); });
  Value first = gathered(n, order, begin);
  Value counts = n.generic(perGroup, begin, [&](Body &b) {
    Value next = b.readOr(0, b.add(b.index(0), b.idx(1)), b.fromIndex(b.size(count), i64), {0});
    return b.sub(next, b.read(0, b.index(0)));
  });
  Value inverse = permuted(n, order, groupOf);
  if (!n.attrInt("sorted", 1)) { // groups by their first row
    auto by = SortOp::create(n.b, n.loc, perGroup, perGroup, first, n.b.getBoolAttr(false));
    Value numbers = n.generic(perGroup, {}, [&](Body &b) { return b.fromIndex(b.index(0), i64); });
    Value place = permuted(n, by.getIndices(), numbers);
    first = by.getValues();
    counts = gathered(n, counts, by.getIndices());
    inverse = gathered(n, place, inverse);
  }
  dims[*axis] = groups;
  Value y = n.generic(n.tensor(dims, element), {x, first}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at[*axis] = b.bounded(b.read(1, at[*axis]), count, Site(), false);
    return b.read(0, at);
  });
  return failed(n.set(0, y)) || failed(n.set(1, first)) || failed(n.set(2, inverse)) ? failure() : n.set(3, counts);
}

} // namespace

void import::registerSelect(OpTable &t) {
  t["NonMaxSuppression"] = {nonMaxSuppression, 2};
  t["Unique"] = unique;
}
