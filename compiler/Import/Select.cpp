//===- Select.cpp - results whose number depends on the data --------------===//
//
// NonMaxSuppression and Unique: flags and the positions of the true ones.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// boxes [b, n, 4], scores [b, c, n], most per class, overlap threshold, score threshold.
LogicalResult nonMaxSuppression(Node &n) {
  if (n.rank(0) != 3 || n.rank(1) != 3)
    return n.error("expected boxes and scores of rank 3");
  SmallVector<Expr> boxes = n.dims(n.in(0)), d = n.dims(n.in(1));
  Type i64 = n.b.getI64Type(), f32 = n.b.getF32Type();
  for (unsigned i : {0u, 1u, 3u, 4u})
    if (n.has(i) && n.element(i).isF64())
      return n.error("unsupported type of NonMaxSuppression: expected f32 but got f64");
  if (failed(n.require(boxes[0], d[0], "batches of boxes and scores")) ||
      failed(n.require(boxes[1], d[2], "boxes and scores")) ||
      failed(n.require(boxes[2], n.expr(4), "numbers of a box")))
    return failure();
  auto limit = [&](unsigned i, Type type) { return n.reshape(n.cast(n.in(i), type), {n.expr(1)}); };
  // Without a number, none are asked for. A number that is known bounds what has room.
  Expr room = d[2];
  if (!n.has(2))
    room = n.expr(0);
  else if (auto bytes = n.bytes(n.in(2)); bytes && bytes->size() == 8 && n.element(2).isInteger(64)) {
    int64_t most;
    memcpy(&most, bytes->data(), 8);
    room = Expr::min(room, n.expr(std::max<int64_t>(most, 0)));
  }
  Value most = n.has(2) ? limit(2, i64) : n.constantInts({0}, i64, {1});
  Value overlap = n.has(3) ? limit(3, f32) : n.constantFloat(0, f32, {1});
  Value score = n.has(4) ? limit(4, f32) : Value();
  if (!most || !overlap || (n.has(4) && !score))
    return failure();
  auto op = SuppressOp::create(n.b, n.loc, n.tensor({d[0], d[1], room}, i64), n.tensor({d[0], d[1]}, i64),
                               n.cast(n.in(0), f32), n.cast(n.in(1), f32), most, overlap, score,
                               n.attrInt("center_point_box", 0) != 0);
  Value flags = n.generic(n.tensor({d[0], d[1], room}, n.b.getI1Type()), op.getCount(), [&](Body &b) {
    return b.cmp(Cmp::lt, b.fromIndex(b.index(2), i64), b.read(0, {b.index(0), b.index(1)}));
  });
  auto [positions, count] = truePositions(n, flags);
  Value selected = op.getSelected();
  return n.set(n.generic(n.tensor({count, n.expr(3)}, i64), {positions, selected}, [&](Body &b) {
    Value linear = b.toIndex(b.read(0, b.index(0))), slots = b.max(b.idx(1), b.size(room)),
          classes = b.max(b.idx(1), b.size(d[1]));
    Value at = b.math<arith::RemUIOp>(linear, slots), rest = b.math<arith::DivUIOp>(linear, slots);
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
  Value values; // in order, where rows are single numbers
  if (width.isConstant(1)) {
    Value line = n.reshape(rows, {count});
    auto sorted =
        SortOp::create(n.b, n.loc, n.tensor({count}, element), n.tensor({count}, i64), line, n.b.getBoolAttr(false));
    order = sorted.getIndices();
    values = sorted.getValues();
  } else {
    order = orderOfRows(n, rows, [&](Body &b, Value p, Value q) { return b.cmp(Cmp::lt, p, q, u); });
  }
  // A row starts a group where it differs from the one before it in any column.
  Type i32 = n.b.getI32Type();
  SymTensorType flagged = n.tensor({count}, n.b.getI1Type());
  auto before = [](Body &b, Value t) { return b.max(b.idx(0), b.sub(t, b.idx(1))); };
  auto begins = [](Body &b, Value t, Value here, Value last) {
    return b.logicalOr(b.cmp(Cmp::eq, t, b.idx(0)), b.cmp(Cmp::ne, here, last));
  };
  Value starts = values ? n.generic(flagged, values,
                                    [&](Body &b) {
                                      Value t = b.index(0);
                                      return begins(b, t, b.read(0, t), b.read(0, before(b, t)));
                                    })
                        : n.reduce(
                              flagged, ReduceKind::max, {width}, {rows, order},
                              [&](Body &b) {
                                Value t = b.index(0), p = b.read(0, {b.toIndex(b.read(1, t)), b.index(1)}),
                                      q = b.read(0, {b.toIndex(b.read(1, before(b, t))), b.index(1)});
                                return b.select(begins(b, t, p, q), b.integer(i32, 1), b.integer(i32, 0));
                              },
                              [&](Body &b) { return b.cmp(Cmp::gt, b.scalar(0), b.integer(i32, 0)); });
  auto [positions, groups] = truePositions(n, starts);
  bool sorted = n.attrInt("sorted", 1);
  if (values && sorted && dims.size() == 1 && !n.wants(1) && !n.wants(2) && !n.wants(3))
    return n.set(n.generic(n.tensor({groups}, element), {values, positions},
                           [&](Body &b) { return b.read(0, b.bounded(b.read(1, b.index(0)), count, Site(), false)); }));
  SymTensorType perGroup = n.tensor({groups}, i64);
  Value begin = n.generic(perGroup, positions, [&](Body &b) { return b.read(0, b.index(0)); });
  Value first = gathered(n, order, begin), counts, inverse;
  if (n.wants(3))
    counts = n.generic(perGroup, begin, [&](Body &b) {
      Value next = b.readOr(0, b.add(b.index(0), b.idx(1)), b.fromIndex(b.size(count), i64), {0});
      return b.sub(next, b.read(0, b.index(0)));
    });
  if (n.wants(2)) {
    Value flags = n.cast(starts, i64);
    Value running = ScanOp::create(n.b, n.loc, flags.getType(), flags, ReduceKindAttr::get(n.context, ReduceKind::add),
                                   UnitAttr(), UnitAttr())
                        .getResult();
    inverse = permuted(n, order, n.generic(n.type(running), running, [&](Body &b) {
      return b.sub(b.read(0, b.indices()), b.integer(i64, 1));
    }));
  }
  if (!sorted) { // groups by their first row
    auto by = SortOp::create(n.b, n.loc, perGroup, perGroup, first, n.b.getBoolAttr(false));
    first = by.getValues();
    if (counts)
      counts = gathered(n, counts, by.getIndices());
    if (inverse) {
      Value numbers = n.generic(perGroup, {}, [&](Body &b) { return b.fromIndex(b.index(0), i64); });
      inverse = gathered(n, permuted(n, by.getIndices(), numbers), inverse);
    }
  }
  dims[*axis] = groups;
  Value y = n.generic(n.tensor(dims, element), {x, first}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at[*axis] = b.bounded(b.read(1, at[*axis]), count, Site(), false);
    return b.read(0, at);
  });
  if (failed(n.set(0, y)) || failed(n.set(1, first)) || (inverse && failed(n.set(2, inverse))))
    return failure();
  return counts ? n.set(3, counts) : success();
}

} // namespace

void import::registerSelect(OpTable &t) {
  t["NonMaxSuppression"] = {nonMaxSuppression, 2};
  t["Unique"] = unique;
}
