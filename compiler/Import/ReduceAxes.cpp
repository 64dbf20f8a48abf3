//===- ReduceAxes.cpp - reductions over axes, known or not ----------------===//
//
// Axes that are known leave the result; of those that only the run knows every dimension gets a mark, and loops of one
// step.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/ReduceAxes.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {
/// Unsigned numbers and booleans as signed ones of the same order, which is what max and min compare.
struct Ordered {
  Type i64, from;
  bool widen, flip;
  Ordered(Node &n, ReduceKind kind, Type from) : i64(n.b.getI64Type()), from(from) {
    bool compares = kind != ReduceKind::add && kind != ReduceKind::mul;
    widen = compares && isUnsigned(from);
    flip = widen && from.getIntOrFloatBitWidth() == 64;
    arg = kind == ReduceKind::argmax || kind == ReduceKind::argmin;
  }
  Value enter(Body &b, Value v) {
    return flip ? b.math<arith::XOrIOp>(v, b.integer(i64, INT64_MIN)) : widen ? b.convert(v, from, i64) : v;
  }
  Value leave(Body &b, Value v) {
    if (!widen || arg)
      return v;
    if (from.isInteger(1)) // over nothing, max is the least number of all, which stands for false
      return b.cmp(Body::Cmp::gt, v, b.integer(i64, 0));
    return flip ? b.math<arith::XOrIOp>(v, b.integer(i64, INT64_MIN)) : b.convert(v, i64, from);
  }
  bool arg;
};

/// The reduction over `extents` of the elements that `place` finds from the result's indices and the reduction's.
Value reduceElements(Node &n, Value v, SymTensorType result, ReduceKind kind, ArrayRef<Expr> extents,
                     llvm::function_ref<SmallVector<Value>(Body &)> place,
                     llvm::function_ref<Value(Body &, Value)> element,
                     llvm::function_ref<Value(Body &, Value, Expr)> finish, Expr count, bool selectLast) {
  Type from = Node::type(v).getElementType();
  Ordered order(n, kind, from);
  return n.reduce(
      result, kind, extents, v,
      [&](Body &b) { return order.enter(b, element(b, b.toCompute(b.read(0, place(b)), from))); },
      [&](Body &b) { return finish(b, order.leave(b, b.scalar(0)), count); }, selectLast);
}

} // namespace

Value import::reduceOver(Node &n, Value v, ArrayRef<int64_t> axes, bool keepDims, ReduceKind kind, Type resultElement,
                         llvm::function_ref<Value(Body &, Value)> element,
                         llvm::function_ref<Value(Body &, Value, Expr)> finish, bool selectLast) {
  SmallVector<Expr> d = n.dims(v), out, kept, extents;
  Expr count = n.expr(1);
  for (auto [i, e] : llvm::enumerate(d)) {
    if (llvm::is_contained(axes, i)) {
      extents.push_back(e);
      count = count * e;
      kept.push_back(n.expr(1));
    } else {
      out.push_back(e);
      kept.push_back(e);
    }
  }
  Value r = reduceElements(
      n, v, n.tensor(out, resultElement), kind, extents,
      [&](Body &b) {
        SmallVector<Value> at;
        unsigned o = 0, red = out.size();
        for (size_t i = 0; i < d.size(); ++i)
          at.push_back(llvm::is_contained(axes, i) ? b.index(red++) : b.index(o++));
        return at;
      },
      element, finish, count, selectLast);
  return keepDims ? n.reshape(r, kept) : r;
}

/// The same with axes that only the run knows, as a mark for each dimension: of each either the result's index or the
/// reduction's runs, the other one is 0. `dropped`: how many of them to leave out of the result; nothing: they stay.
static Value reduceUnknown(Node &n, Value v, ArrayRef<Expr> reduced, std::optional<int64_t> dropped, ReduceKind kind,
                           Type resultElement, llvm::function_ref<Value(Body &, Value)> element,
                           llvm::function_ref<Value(Body &, Value, Expr)> finish) {
  SmallVector<Expr> d = n.dims(v), out, extents;
  Expr count = n.expr(1);
  for (auto [e, r] : llvm::zip(d, reduced)) {
    out.push_back(Expr::select(r, n.expr(1), e));
    extents.push_back(Expr::select(r, e, n.expr(1)));
    count = count * extents.back();
  }
  Value r = reduceElements(
      n, v, n.tensor(out, resultElement), kind, extents,
      [&](Body &b) {
        SmallVector<Value> at;
        for (size_t i = 0; i < d.size(); ++i)
          at.push_back(b.add(b.index(i), b.index(d.size() + i)));
        return at;
      },
      element, finish, count, /*selectLast=*/false);
  return dropped ? n.reshape(r, n.unmarked(d, reduced, *dropped)) : r;
}

namespace {

/// Marks for a list of axes whose length only the run knows: the device counts how often each dimension is meant.
std::optional<ReducedAxes> countedAxes(Node &n) {
  Value list = n.in(1);
  if (n.type(list).getRank() != 1)
    return n.refuse("expected axes of rank 1 but got " + Twine(n.type(list).getRank()));
  if (!n.attrInt("keepdims", 1))
    return n.refuse("unsupported: the number of axes is not known at compile time, so with keepdims = 0 the result's "
                    "rank is not either");
  int64_t rank = n.rank(0);
  ReducedAxes axes;
  Expr length = n.type(list).numElements(), distinct = n.expr(0);
  if (rank == 0)
    return n.require(length, n.expr(0), "axes of a scalar").succeeded() ? std::optional(axes) : std::nullopt;
  Type i64 = n.b.getI64Type();
  Value hits = n.reduce(n.tensor({n.expr(rank)}, i64), ReduceKind::add, {length}, list,
                        [&](Body &b) {
                          Value axis = b.toIndex(b.read(0, b.index(1))), at = b.index(0);
                          Value hit = b.logicalOr(b.cmp(Body::Cmp::eq, axis, at),
                                                  b.cmp(Body::Cmp::eq, axis, b.sub(at, b.idx(rank))));
                          return b.convert(hit, n.b.getI1Type(), i64);
                        },
                        {});
  auto counts = n.symbolicInts(hits, "axes");
  if (!counts)
    return std::nullopt;
  Expr empty = Expr::eq(length, n.expr(0)), all = n.expr(n.attrInt("noop_with_empty_axes", 0) ? 0 : 1);
  for (Expr c : *counts) {
    Expr hit = Expr::eq(c, n.expr(1));
    distinct = distinct + hit;
    axes.marks.push_back(Expr::select(empty, all, hit));
  }
  if (failed(n.require(distinct, length, "axes that are distinct and inside the rank, and the axes given,")))
    return std::nullopt;
  return axes;
}

} // namespace

std::optional<ReducedAxes> import::reducedAxes(Node &n) {
  ReducedAxes axes;
  if (n.has(1) && !n.type(1).numElements().asConstant())
    return countedAxes(n);
  std::optional<SmallVector<Expr>> given = n.symbolicIntsOf("axes", 1);
  if (!given && n.has(1))
    return std::nullopt;
  SmallVector<int64_t> constants;
  for (Expr a : given.value_or(SmallVector<Expr>()))
    if (auto c = a.asConstant())
      constants.push_back(*c);
  auto known = n.axes(constants, n.rank(0));
  if (!known)
    return std::nullopt;
  if (given && constants.size() < given->size()) {
    axes.marks = n.marked(*given, n.rank(0));
    axes.count = given->size();
  } else {
    axes.fixed = std::move(*known);
  }
  llvm::sort(axes.fixed);
  if (axes.none() && !n.attrInt("noop_with_empty_axes", 0))
    for (int64_t i = 0; i < n.rank(0); ++i)
      axes.fixed.push_back(i);
  return axes;
}

Value import::reduceAxes(Node &n, Value v, const ReducedAxes &axes, bool keepDims, ReduceKind kind, Type resultElement,
                         llvm::function_ref<Value(Body &, Value)> element,
                         llvm::function_ref<Value(Body &, Value, Expr)> finish) {
  if (axes.marks.empty())
    return reduceOver(n, v, axes.fixed, keepDims, kind, resultElement, element, finish);
  return reduceUnknown(n, v, axes.marks, keepDims ? std::nullopt : std::optional(axes.count), kind, resultElement,
                       element, finish);
}
