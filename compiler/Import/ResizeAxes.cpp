//===- ResizeAxes.cpp - sizes and scales of Resize ------------------------===//
//
// Sizes follow from scales or scales from sizes, known or not; both are settled here, an axis at a time.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Resize.h"
#include <cmath>

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

/// The fraction of least denominator among the numbers whose nearest float is `scale`; nothing where that is out of
/// reach.
std::optional<std::pair<int64_t, int64_t>> simplestFraction(float scale) {
  constexpr double kLargest = 0x1p31;
  double low = (scale + (double)std::nextafterf(scale, 0)) / 2;
  double high = (scale + (double)std::nextafterf(scale, INFINITY)) / 2;
  // The continued fractions of both ends agree up to the term where the simplest number between them ends.
  double p0 = 0, q0 = 1, p1 = 1, q1 = 0;
  for (bool ends = false; !ends;) {
    double whole = std::floor(low);
    ends = whole == low || whole + 1 < high;
    double term = ends && whole != low ? whole + 1 : whole;
    double p = term * p1 + p0, q = term * q1 + q0;
    if (!(p < kLargest && q < kLargest))
      return std::nullopt;
    p0 = p1, q0 = q1, p1 = p, q1 = q;
    double next = 1 / (high - whole);
    high = 1 / (low - whole);
    low = next;
  }
  if ((float)(p1 / q1) != scale)
    return std::nullopt;
  return std::pair((int64_t)p1, (int64_t)q1);
}

/// floor(in * scale) in single precision, which is what a run computes, as an expression: for a symbol the scale
/// becomes a fraction. Null where no fraction gives the same for all sizes.
Expr scaledSize(Node &n, Expr in, float scale) {
  if (auto c = in.asConstant())
    return n.expr((int64_t)std::floor((float)*c * scale));
  auto fraction = simplestFraction(scale);
  if (!fraction)
    return {};
  auto [p, q] = *fraction;
  constexpr int64_t kCompared = int64_t(1) << 20;
  for (int64_t i = 1; i < kCompared && !llvm::isPowerOf2_64(q); ++i)
    if (i * p / q != (int64_t)((float)i * scale))
      return {};
  return Expr::floorDiv(in * p, n.expr(q));
}

/// One scale for all axes: that of the axis whose wanted / in is least or greatest, as a fraction. Sizes are rounded.
LogicalResult keepAspect(Node &n, MutableArrayRef<ResizeAxis> all, ArrayRef<Expr> wanted, StringRef policy) {
  if (policy != "not_larger" && policy != "not_smaller")
    return n.error("unsupported keep_aspect_ratio_policy '" + policy +
                   "', expected stretch, not_larger or not_smaller");
  Expr p = wanted[0], q = all[0].in;
  for (size_t i = 1; i < all.size(); ++i) {
    Expr ours = wanted[i] * q, theirs = p * all[i].in;
    Expr take = policy == "not_larger" ? Expr::lt(ours, theirs) : Expr::lt(theirs, ours);
    p = Expr::select(take, wanted[i], p);
    q = Expr::select(take, all[i].in, q);
  }
  for (ResizeAxis &a : all) {
    a.out = Expr::floorDiv(p * a.in * 2 + q, q * 2);
    if (auto cp = p.asConstant(), cq = q.asConstant(); cp && cq)
      a.scale = (float)*cp / (float)*cq;
    else
      a.above = p, a.below = q;
  }
  return success();
}

/// floor(in * scale) of every axis, computed by the device and read back.
std::optional<SmallVector<Expr>> sizesOfRun(Node &n, ArrayRef<ResizeAxis> all, Value scales) {
  Type i64 = n.b.getI64Type(), f32 = n.b.getF32Type(), from = n.type(scales).getElementType();
  Value computed = n.generic(n.tensor({n.expr(all.size())}, i64), scales, [&](Body &b) {
    Value in = b.idx(0);
    for (auto [i, a] : llvm::enumerate(all))
      in = b.select(b.cmp(Body::Cmp::eq, b.index(0), b.idx(i)), b.size(a.in), in);
    Value s = b.convert(b.read(0, b.index(0)), from, f32);
    return b.convert(b.math<math::FloorOp>(b.mul(s, b.fromIndex(in, f32))), f32, i64);
  });
  auto sizes = n.symbolicInts(computed, "sizes");
  if (sizes)
    for (Expr &e : *sizes)
      e = Expr::max(e, n.expr(0));
  return sizes;
}

/// The scales as numbers, or nothing.
std::optional<SmallVector<float>> knownScales(Node &n, Value scales) {
  if (!scales) {
    auto attr = n.attrFloats("scales");
    return attr ? std::optional(SmallVector<float>(attr->begin(), attr->end())) : std::nullopt;
  }
  const Contents *c = n.known(scales);
  if (!c)
    return std::nullopt;
  SmallVector<float> known;
  for (const Scalar &s : *c) {
    auto constant = s.isExpr() ? s.e.asConstant() : std::nullopt;
    if (s.isExpr() && !constant)
      return std::nullopt;
    known.push_back(constant ? (float)*constant : (float)s.f);
  }
  return known;
}

LogicalResult scaleAll(Node &n, ResizeAxes &r, Value scales) {
  size_t count = r.axes.size();
  if (auto known = knownScales(n, scales)) {
    if (known->size() != count)
      return n.error("expected " + Twine(count) + " scales or sizes but got " + Twine(known->size()));
    bool computed = false;
    for (auto [a, s] : llvm::zip(r.axes, *known)) {
      if (!(s > 0 && s < 1e9f)) // NaN is none
        return n.error("expected scales above 0 and below 1e9 but got " + Twine(std::to_string(s)));
      a.scale = s;
      a.out = scaledSize(n, a.in, s);
      computed |= !a.out;
    }
    if (!computed)
      return success();
    if (!scales) {
      ArrayRef<char> bytes((const char *)known->data(), count * sizeof(float));
      scales = n.importer.constant(n.tensor({n.expr(count)}, n.b.getF32Type()), bytes, "", /*copy=*/true);
    }
    auto sizes = sizesOfRun(n, r.axes, scales);
    if (!sizes)
      return failure();
    for (auto [a, size] : llvm::zip(r.axes, *sizes))
      if (!a.out)
        a.out = size;
    return success();
  }
  if (!scales || !n.type(scales).numElements().isConstant(count))
    return n.error("expected " + Twine(count) + " scales or sizes");
  auto sizes = sizesOfRun(n, r.axes, scales);
  if (!sizes)
    return failure();
  for (auto [i, a] : llvm::enumerate(r.axes)) {
    a.out = (*sizes)[i];
    a.scaleAt = i;
  }
  r.scales = scales;
  return success();
}

} // namespace

std::optional<ResizeAxes> import::resizeAxes(Node &n, bool old) {
  SmallVector<Expr> d = n.dims(n.in(0));
  SmallVector<int64_t> dims;
  if (auto given = n.attrInts("axes")) {
    auto all = n.axes(*given, d.size());
    if (!all)
      return std::nullopt;
    dims = std::move(*all);
  } else {
    llvm::append_range(dims, llvm::seq<int64_t>(0, d.size()));
  }
  ResizeAxes r;
  for (auto [i, dim] : llvm::enumerate(dims)) {
    ResizeAxis a{dim, d[dim], d[dim]};
    a.roiAt = i;
    a.roiCount = dims.size();
    r.axes.push_back(a);
  }
  auto given = [&](unsigned i) {
    return !old && n.has(i) && !n.type(i).numElements().isConstant(0) ? n.in(i) : Value();
  };
  Value sizes = given(3), scales = old ? (n.has(1) ? n.in(1) : Value()) : given(2);
  auto policy = n.attrWord("keep_aspect_ratio_policy", {"stretch", "not_larger", "not_smaller"});
  if (!policy)
    return std::nullopt;
  if (!sizes)
    return failed(scaleAll(n, r, scales)) ? std::nullopt : std::optional(std::move(r));
  auto wanted = n.symbolicInts(sizes, "sizes");
  if (!wanted)
    return std::nullopt;
  if (wanted->size() != r.axes.size())
    return n.refuse("expected " + Twine(r.axes.size()) + " sizes but got " + Twine(wanted->size()));
  if (*policy != "stretch" && !r.axes.empty())
    return failed(keepAspect(n, r.axes, *wanted, *policy)) ? std::nullopt : std::optional(std::move(r));
  for (auto [a, w] : llvm::zip(r.axes, *wanted))
    a.out = w;
  return r;
}
