//===- Slice.cpp - operators that cut and join ----------------------------===//
//
// Concatenation, splits, slices and padding: reads at an index that is shifted, or that may fall outside.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

LogicalResult concat(Node &n) {
  SmallVector<Value> parts;
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    Value v = n.in(i);
    if (n.rank(i) != n.rank(0) || n.element(i) != n.element(0))
      return n.error("expected inputs of one rank and type");
    if (!n.type(i).dim(*axis).isConstant(0)) {
      parts.push_back(v);
      continue;
    }
    for (int64_t d = 0; d < n.rank(0); ++d) // Node::concat looks at the others
      if (d != *axis && failed(n.require(n.type(0).dim(d), n.type(i).dim(d), "dimensions of joined tensors")))
        return failure();
  }
  if (parts.empty())
    parts.push_back(n.in(0));
  return n.set(n.concat(parts, *axis));
}

LogicalResult split(Node &n) {
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  Expr total = n.type(0).dim(*axis);
  SmallVector<Expr> sizes;
  if (auto given = n.symbolicIntsOf("split", 1)) {
    sizes = *given;
  } else {
    if (n.has(1))
      return failure();
    // Equal parts; the last is smaller where they do not divide.
    int64_t parts = n.attrInt("num_outputs", n.numOutputs());
    if (parts != (int64_t)n.numOutputs())
      return n.error("num_outputs is " + Twine(parts) + " but the node has " + Twine(n.numOutputs()) + " outputs");
    Expr each = Expr::ceilDiv(total, n.expr(parts));
    for (int64_t i = 0; i < parts; ++i) {
      Expr s = i + 1 == parts ? total - each * (parts - 1) : each;
      sizes.push_back(s);
    }
  }
  if (sizes.size() < n.numOutputs())
    return n.error("expected " + Twine(n.numOutputs()) + " sizes but got " + Twine(sizes.size()));
  Expr start = n.expr(0), sum = n.expr(0);
  for (Expr s : sizes)
    sum = sum + s;
  if (failed(n.require(total, sum, "sum of the parts of a split")))
    return failure();
  for (unsigned i = 0; i < n.numOutputs(); ++i) {
    SmallVector<Expr> starts(n.rank(0), n.expr(0)), out = n.dims(n.in(0));
    starts[*axis] = start;
    out[*axis] = sizes[i];
    if (failed(n.set(i, n.slice(n.in(0), starts, out, SmallVector<int64_t>(n.rank(0), 1)))))
      return failure();
    start = start + sizes[i];
  }
  return success();
}

/// No dimension comes near: starts, ends and steps beyond are as good as these, and sums with them do not overflow.
constexpr int64_t kFar = int64_t(1) << 60;

/// A start or end counted from the beginning of a dimension of size `d`, not yet clamped. Exporters write the ends of
/// the 64-bit and the 32-bit numbers for the ends of the dimension.
Expr fromBeginning(Node &n, Expr e, Expr d) {
  if (auto c = e.asConstant()) {
    if (*c >= kFar || *c == INT32_MAX)
      return d;
    if (*c <= -kFar || *c == INT32_MIN)
      return n.expr(-1);
    return *c < 0 ? d + *c : e;
  }
  if (e.isNonNegative())
    return e;
  // d - k for a constant k >= 0 stays as it is below; a value of unknown sign is decided at run time.
  bool symbolMayBeNegative = false;
  e.forEachSymbol([&](StringRef s) { symbolMayBeNegative |= s.starts_with("?"); });
  Expr shifted = e + d;
  if (!symbolMayBeNegative && (e * -1 - 1).isNonNegative())
    return shifted; // always negative
  return Expr::select(Expr::lt(e, n.expr(0)), shifted, e);
}

/// Slice where only the run knows the axes or the steps' direction: every dimension gets its numbers by choice.
LogicalResult sliceUnknown(Node &n, ArrayRef<Expr> starts, ArrayRef<Expr> ends) {
  SmallVector<Expr> d = n.dims(n.in(0)), out, first, stride, axes, steps(starts.size(), n.expr(1));
  Expr zero = n.expr(0), one = n.expr(1);
  for (size_t i = 0; i < starts.size(); ++i)
    axes.push_back(n.expr(i));
  for (auto [input, list] : {std::pair{3u, &axes}, std::pair{4u, &steps}})
    if (n.has(input)) {
      auto given = n.symbolicInts(n.in(input), "axes and steps");
      if (!given)
        return failure();
      *list = *given;
    }
  if (starts.size() != axes.size() || ends.size() != axes.size() || steps.size() != axes.size())
    return n.error("starts, ends, axes and steps differ in length");
  int64_t rank = d.size();
  (void)n.marked(axes, rank);
  for (Expr step : steps)
    if (step.isConstant(0))
      return n.error("step 0");
    else if (failed(n.require(Expr::eq(step, zero), zero, "steps of 0")))
      return failure();
  for (auto [i, size] : llvm::enumerate(d)) {
    Expr s = zero, e = size, step = one;
    for (size_t k = 0; k < axes.size(); ++k) {
      Expr hit = Expr::max(Expr::eq(axes[k], n.expr(i)), Expr::eq(axes[k], n.expr((int64_t)i - rank)));
      s = Expr::select(hit, starts[k], s);
      e = Expr::select(hit, ends[k], e);
      step = Expr::select(hit, Expr::max(Expr::min(steps[k], n.expr(kFar)), n.expr(-kFar)), step);
    }
    Expr back = Expr::lt(step, zero), least = zero - back, most = size - back;
    auto clamp = [&](Expr v) {
      return Expr::min(Expr::max(Expr::select(Expr::lt(v, zero), v + size, v), least), most);
    };
    s = clamp(s);
    e = clamp(e);
    Expr sign = one - back * 2;
    out.push_back(Expr::max(Expr::ceilDiv((e - s) * sign, step * sign), zero));
    first.push_back(s);
    stride.push_back(step);
  }
  return n.set(n.generic(n.tensor(out, n.element(0)), n.in(0), [&](Body &b) {
    SmallVector<Value> at;
    for (size_t i = 0; i < d.size(); ++i)
      at.push_back(b.add(b.size(first[i]), b.mul(b.index(i), b.size(stride[i]))));
    return b.read(0, at);
  }));
}

LogicalResult slice(Node &n) {
  auto starts = n.symbolicIntsOf("starts", 1);
  if (!starts)
    return n.has(1) ? failure() : n.error("expected starts");
  auto ends = n.symbolicIntsOf("ends", 2);
  if (!ends)
    return n.has(2) ? failure() : n.error("expected ends");
  auto unknown = [&](unsigned i) {
    const Contents *c = n.has(i) ? n.known(n.in(i)) : nullptr;
    return n.has(i) && !(c && llvm::all_of(*c, [](const Scalar &s) { return s.isExpr() && s.e.asConstant(); }));
  };
  if (unknown(3) || unknown(4))
    return sliceUnknown(n, *starts, *ends);
  SmallVector<int64_t> axes;
  if (auto a = n.constIntsOf("axes", 3))
    axes = *a;
  else if (n.has(3))
    return failure();
  else
    for (size_t i = 0; i < starts->size(); ++i)
      axes.push_back(i);
  SmallVector<int64_t> steps(axes.size(), 1);
  if (n.has(4)) {
    auto s = n.constInts(n.in(4), "steps");
    if (!s)
      return failure();
    steps = *s;
  }
  if (starts->size() != axes.size() || ends->size() != axes.size() || steps.size() != axes.size())
    return n.error("starts, ends, axes and steps differ in length");
  int64_t rank = n.rank(0);
  SmallVector<Expr> begin(rank, n.expr(0)), out = n.dims(n.in(0));
  SmallVector<int64_t> step(rank, 1);
  auto distinct = n.axes(axes, rank);
  if (!distinct)
    return failure();
  for (auto [i, axis] : llvm::enumerate(*distinct)) {
    if (steps[i] == 0)
      return n.error("step 0");
    Expr d = out[axis], zero = n.expr(0);
    // Negative numbers count from the end; then both are clamped to what the step's direction can reach.
    int64_t by = std::clamp(steps[i], -kFar, kFar);
    Expr s = fromBeginning(n, (*starts)[i], d), e = fromBeginning(n, (*ends)[i], d);
    if (by > 0) {
      s = Expr::min(Expr::max(s, zero), d);
      e = Expr::min(Expr::max(e, zero), d);
      out[axis] = Expr::max(Expr::ceilDiv(e - s, n.expr(by)), zero);
    } else {
      s = Expr::min(Expr::max(s, n.expr(-1)), d - 1);
      e = Expr::min(Expr::max(e, n.expr(-1)), d - 1);
      out[axis] = Expr::max(Expr::ceilDiv(s - e, n.expr(-by)), zero);
    }
    begin[axis] = s;
    step[axis] = by;
  }
  return n.set(n.slice(n.in(0), begin, out, step));
}

LogicalResult pad(Node &n) {
  auto pads = n.symbolicIntsOf("pads", 1);
  if (!pads)
    return n.has(1) ? failure() : n.error("expected pads");
  if (n.has(3) && !n.type(3).numElements().asConstant())
    return n.error("unsupported axes: expected a number of them known at compile time");
  int64_t rank = n.rank(0);
  SmallVector<int64_t> axes;
  if (auto unknown = unknownAxes(n, 3)) { // each dimension sums what is meant for it
    SmallVector<Expr> all(2 * rank, n.expr(0));
    if (pads->size() != 2 * unknown->size())
      return n.error("expected " + Twine(2 * unknown->size()) + " pads but got " + Twine(pads->size()));
    for (size_t k = 0; k < unknown->size(); ++k)
      for (auto [i, hit] : llvm::enumerate(n.marked((*unknown)[k], rank))) {
        all[i] = all[i] + hit * (*pads)[k];
        all[i + rank] = all[i + rank] + hit * (*pads)[k + unknown->size()];
      }
    pads = all;
    for (int64_t i = 0; i < rank; ++i)
      axes.push_back(i);
  } else if (n.has(3)) {
    auto a = n.constInts(n.in(3), "axes");
    if (!a)
      return failure();
    auto all = n.axes(*a, rank);
    if (!all)
      return failure();
    axes = std::move(*all);
  } else {
    for (int64_t i = 0; i < rank; ++i)
      axes.push_back(i);
  }
  if (pads->size() != 2 * axes.size())
    return n.error("expected " + Twine(2 * axes.size()) + " pads but got " + Twine(pads->size()));
  auto given = n.attrWord("mode", {"constant", "reflect", "edge", "wrap"});
  if (!given)
    return failure();
  std::string mode = *given;
  SmallVector<Expr> d = n.dims(n.in(0)), out = d, before(rank, n.expr(0));
  SmallVector<int64_t> touched;
  for (auto [i, a] : llvm::enumerate(axes)) {
    before[a] = (*pads)[i];
    out[a] = d[a] + (*pads)[i] + (*pads)[i + axes.size()];
    if (out[a] != d[a] || !before[a].isConstant(0))
      touched.push_back(a);
  }
  if (touched.empty())
    return n.set(n.in(0));
  SymTensorType type = n.tensor(out, n.element(0));
  if (mode != "constant")
    for (int64_t a : touched)
      if (failed(n.requireSome(d[a], type.numElements(), "an element to pad axis " + Twine(a) + " with")))
        return failure();
  SmallVector<Value> in{n.in(0)};
  if (n.has(2))
    in.push_back(n.in(2));
  return n.set(n.generic(type, in, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    for (int64_t a : touched) {
      Value i = b.sub(at[a], b.size(before[a])), last = b.size(d[a] - 1);
      if (mode == "edge") {
        i = b.max(b.idx(0), b.min(i, last));
      } else if (mode == "wrap") {
        Value m = b.size(d[a]), r = b.math<arith::RemSIOp>(i, m);
        i = b.select(b.cmp(Body::Cmp::lt, r, b.idx(0)), b.add(r, m), r);
      } else if (mode == "reflect") { // fold into a period of 2 (d - 1), then mirror its second half
        Value period = b.max(b.idx(1), b.mul(last, b.idx(2))), r = b.math<arith::RemSIOp>(i, period);
        r = b.select(b.cmp(Body::Cmp::lt, r, b.idx(0)), b.add(r, period), r);
        i = b.min(r, b.sub(period, r));
        i = b.select(b.cmp(Body::Cmp::eq, last, b.idx(0)), b.idx(0), i);
      }
      at[a] = i;
    }
    if (mode != "constant")
      return b.read(0, at);
    Value fill = in.size() > 1 ? b.read(1, SmallVector<Value>(n.rank(2), b.idx(0)))
                               : b.constant(b.result.scalarType(), n.attrFloat("value", 0));
    return b.readOr(0, at, fill, touched);
  }));
}
} // namespace

void import::registerSlice(OpTable &t) {
  t["Concat"] = {concat, Definition::kAll};
  t["Pad"] = pad;
  t["Slice"] = slice;
  t["Split"] = split;
}
