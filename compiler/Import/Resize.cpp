//===- Resize.cpp - interpolation at computed positions -------------------===//
//
// Every output element says where it lies in the input, along each axis, and reads its neighbours there: one kernel,
// whatever the mode.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Resize.h"
#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"
#include <cmath>

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

enum class Mode { nearest, linear, cubic };

using Axis = ResizeAxis;

struct Resizer {
  Node &n;
  Mode mode = Mode::nearest;
  std::string transform = "half_pixel", nearest = "round_prefer_floor";
  double cubicA = -0.75, extrapolation = 0;
  bool excludeOutside = false, antialias = false;
  Value scales, roi; // operands when they are read in bodies
  int64_t scalesOperand = -1, roiOperand = -1;

  explicit Resizer(Node &n) : n(n) {}
  Type f32() { return n.b.getF32Type(); }
  Value real(Body &b, Expr e) {
    if (auto c = e.asConstant())
      return b.constant(f32(), (double)*c);
    return b.fromIndex(b.size(e), f32());
  }
  Value scaleOf(Body &b, const Axis &a) {
    if (a.scale)
      return b.constant(f32(), *a.scale);
    if (a.scaleAt >= 0)
      return b.convert(b.read(scalesOperand, b.idx(a.scaleAt)), n.type(scales).getElementType(), f32());
    return a.above ? b.div(real(b, a.above), real(b, a.below)) : b.div(real(b, a.out), real(b, a.in));
  }
  /// The length that the scale gives, before it is cut to a whole number.
  Value lengthOf(Body &b, const Axis &a) { return a.scaled() ? b.mul(scaleOf(b, a), real(b, a.in)) : real(b, a.out); }
  Value position(Body &b, const Axis &a, Value index);
  Value nearestIndex(Body &b, const Axis &a, Value x);
  Value cubicWeight(Body &b, Value distance);
  Value outside(Body &b, const Axis &a, Value x) {
    return b.logicalOr(b.cmp(Cmp::lt, x, b.zero(f32())), b.cmp(Cmp::gt, x, real(b, a.in - 1)));
  }
  Value clampIndex(Body &b, const Axis &a, Value i) { return b.max(b.idx(0), b.min(i, b.size(a.in - 1))); }

  Value run(Value x, ArrayRef<Axis> axes);
  Value filtered(Value x, const Axis &axis);
};

/// Where output index `index` lies along an axis of the input, in f32.
Value Resizer::position(Body &b, const Axis &a, Value index) {
  Value x = b.fromIndex(index, f32()), half = b.constant(f32(), 0.5), one = b.constant(f32(), 1), zero = b.zero(f32());
  if (transform == "asymmetric")
    return b.div(x, scaleOf(b, a));
  if (transform == "tf_half_pixel_for_nn")
    return b.div(b.add(x, half), scaleOf(b, a));
  if (transform == "align_corners") {
    Value length = lengthOf(b, a), only = b.cmp(Cmp::eq, length, one);
    Value span = b.select(only, one, b.sub(length, one));
    return b.select(only, zero, b.div(b.mul(x, real(b, a.in - 1)), span));
  }
  if (transform == "tf_crop_and_resize") {
    auto corner = [&](int64_t k) {
      return b.convert(b.read(roiOperand, b.idx(a.roiAt + k * a.roiCount)), n.type(roi).getElementType(), f32());
    };
    Value start = corner(0), end = corner(1), last = real(b, a.in - 1), length = real(b, a.out);
    Value only = b.cmp(Cmp::le, length, one);
    Value step = b.div(b.mul(b.sub(end, start), last), b.select(only, one, b.sub(length, one)));
    Value along = b.add(b.mul(start, last), b.mul(x, step));
    return b.select(only, b.mul(b.mul(half, b.add(start, end)), last), along);
  }
  Value pixel = b.sub(b.div(b.add(x, half), scaleOf(b, a)), half);
  if (transform == "pytorch_half_pixel")
    return b.select(b.cmp(Cmp::gt, lengthOf(b, a), one), pixel, zero);
  if (transform == "half_pixel_symmetric") {
    Value adjustment = b.div(real(b, a.out), lengthOf(b, a));
    return b.add(b.mul(b.mul(real(b, a.in), half), b.sub(one, adjustment)), pixel);
  }
  return pixel; // half_pixel
}

Value Resizer::nearestIndex(Body &b, const Axis &a, Value x) {
  Value half = b.constant(f32(), 0.5), r;
  if (nearest == "floor")
    r = b.math<math::FloorOp>(x);
  else if (nearest == "ceil")
    r = b.math<math::CeilOp>(x);
  else if (nearest == "round_prefer_ceil")
    r = b.math<math::FloorOp>(b.add(x, half));
  else if (nearest == "simple") // before opset 11: up where it shrinks, else down
    r = b.select(b.cmp(Cmp::lt, scaleOf(b, a), b.constant(f32(), 1)), b.math<math::CeilOp>(x),
                 b.math<math::FloorOp>(x));
  else // round_prefer_floor
    r = b.math<math::CeilOp>(b.sub(x, half));
  return clampIndex(b, a, b.toIndex(b.convert(r, f32(), n.b.getI64Type())));
}

/// Keys' cubic at a distance.
Value Resizer::cubicWeight(Body &b, Value distance) {
  auto c = [&](double v) { return b.constant(f32(), v); };
  double A = cubicA;
  Value x = b.abs(distance), x2 = b.mul(x, x), x3 = b.mul(x2, x);
  Value near = b.add(b.sub(b.mul(c(A + 2), x3), b.mul(c(A + 3), x2)), c(1));
  Value far = b.sub(b.add(b.sub(b.mul(c(A), x3), b.mul(c(5 * A), x2)), b.mul(c(8 * A), x)), c(4 * A));
  Value in1 = b.cmp(Cmp::le, x, c(1)), in2 = b.cmp(Cmp::lt, x, c(2));
  return b.select(in1, near, b.select(in2, far, c(0)));
}

Value Resizer::run(Value x, ArrayRef<Axis> axes) {
  Type element = n.type(x).getElementType();
  SmallVector<Expr> out = n.dims(x);
  for (const Axis &a : axes)
    out[a.dim] = a.out;
  SmallVector<Value> in{x};
  for (auto [v, at] : {std::pair{scales, &scalesOperand}, std::pair{roi, &roiOperand}})
    if (v) {
      *at = in.size();
      in.push_back(v);
    }
  return n.generic(n.tensor(out, element), in, [&](Body &b) {
    // The taps of each axis: an index and a weight (null: 1).
    SmallVector<SmallVector<std::pair<Value, Value>>> taps;
    Value beyond;
    for (const Axis &a : axes) {
      Value p = position(b, a, b.index(a.dim));
      if (transform == "tf_crop_and_resize")
        beyond = beyond ? b.logicalOr(beyond, outside(b, a, p)) : outside(b, a, p);
      auto &list = taps.emplace_back();
      Type i64 = n.b.getI64Type();
      if (mode == Mode::nearest) {
        list.push_back({nearestIndex(b, a, p), Value()});
      } else if (mode == Mode::linear) {
        p = b.max(b.zero(f32()), b.min(p, real(b, a.in - 1)));
        Value low = b.math<math::FloorOp>(p), w = b.sub(p, low), i = b.toIndex(b.convert(low, f32(), i64));
        list.push_back({clampIndex(b, a, i), b.sub(b.constant(f32(), 1), w)});
        list.push_back({clampIndex(b, a, b.add(i, b.idx(1))), w});
      } else {
        Value low = b.math<math::FloorOp>(p), i = b.toIndex(b.convert(low, f32(), i64)), sum;
        for (int64_t k = -1; k <= 2; ++k) {
          Value at = b.add(i, b.idx(k)), w = cubicWeight(b, b.sub(p, b.add(low, b.constant(f32(), (double)k))));
          if (excludeOutside) {
            Value inside = b.cmp(Cmp::lt, at, b.size(a.in), /*isUnsigned=*/true); // a negative index is a huge one
            w = b.select(inside, w, b.zero(f32()));
            sum = sum ? b.add(sum, w) : w;
          }
          list.push_back({clampIndex(b, a, at), w});
        }
        if (excludeOutside)
          for (auto &tap : list)
            tap.second = b.div(tap.second, sum);
      }
    }
    SmallVector<Value> at = b.indices();
    auto gather = [&](auto &self, size_t k) -> Value { // from the innermost axis outwards
      if (k == axes.size()) {
        Value v = b.read(0, at);
        return mode == Mode::nearest ? v : b.toCompute(v, element);
      }
      Value sum;
      for (auto [index, w] : taps[k]) {
        at[axes[k].dim] = index;
        Value v = self(self, k + 1);
        if (w)
          v = b.mul(v, b.convert(w, f32(), v.getType().isF64() ? v.getType() : f32()));
        sum = sum ? b.add(sum, v) : v;
      }
      return sum;
    };
    Type compute = b.computeType(element);
    bool interpolates = mode != Mode::nearest && !isa<FloatType>(element);
    Value result;
    if (interpolates) { // integers are interpolated as floats
      auto read = [&](auto &self, size_t k) -> Value {
        if (k == axes.size())
          return b.convert(b.read(0, at), element, f32());
        Value sum;
        for (auto [index, w] : taps[k]) {
          at[axes[k].dim] = index;
          Value v = b.mul(self(self, k + 1), w);
          sum = sum ? b.add(sum, v) : v;
        }
        return sum;
      };
      result = b.convert(read(read, 0), f32(), element);
    } else {
      result = gather(gather, 0);
      if (mode != Mode::nearest)
        result = b.convert(result, compute, element);
    }
    if (beyond)
      result = b.select(beyond, b.constant(b.result.scalarType(), extrapolation), result);
    return result;
  });
}

/// One axis with a filter as wide as the shrinkage: the weighted sum of all positions under it, normalised.
Value Resizer::filtered(Value x, const Axis &a) {
  double support = mode == Mode::cubic ? 2 : 1;
  // 1 / scale rounded up, as a size: the filter's stretch.
  Expr stretch = a.scale   ? n.expr((int64_t)std::ceil(1 / *a.scale))
                 : a.above ? Expr::ceilDiv(a.below, a.above)
                           : Expr::ceilDiv(a.in, a.out);
  Expr taps = Expr::max(stretch, n.expr(1)) * (int64_t)(2 * support) + 2;
  SmallVector<Expr> out = n.dims(x);
  out[a.dim] = a.out;
  Type element = n.type(x).getElementType();
  auto weightAt = [&](Body &b, Value o, Value t, Value &index) {
    Value p = position(b, a, o), narrow = b.min(scaleOf(b, a), b.constant(f32(), 1));
    Value reach = b.div(b.constant(f32(), support), narrow);
    Value first = b.toIndex(b.convert(b.math<math::FloorOp>(b.sub(p, reach)), f32(), n.b.getI64Type()));
    index = b.add(first, t);
    Value d = b.mul(b.sub(b.fromIndex(index, f32()), p), narrow);
    Value w = mode == Mode::cubic ? cubicWeight(b, d) : b.max(b.zero(f32()), b.sub(b.constant(f32(), 1), b.abs(d)));
    if (excludeOutside)
      w = b.select(b.cmp(Cmp::lt, index, b.size(a.in), true), w, b.zero(f32()));
    return w;
  };
  SmallVector<Value> in;
  auto operands = [&](Value first) {
    in.assign(1, first);
    if (scales) {
      scalesOperand = in.size();
      in.push_back(scales);
    }
  };
  operands(x);
  Value total = n.reduce(n.tensor({a.out}, f32()), ReduceKind::add, {taps}, in,
                         [&](Body &b) {
                           Value index;
                           return weightAt(b, b.index(0), b.index(1), index);
                         },
                         {});
  in.push_back(total);
  unsigned totalAt = in.size() - 1;
  int64_t rank = out.size();
  return n.reduce(
      n.tensor(out, element), ReduceKind::add, {taps}, in,
      [&](Body &b) {
        Value index, w = weightAt(b, b.index(a.dim), b.index(rank), index);
        SmallVector<Value> at = b.indices();
        at.resize(rank);
        at[a.dim] = clampIndex(b, a, index);
        return b.mul(w, b.convert(b.read(0, at), element, f32()));
      },
      [&](Body &b) {
        Value v = b.div(b.scalar(0), b.read(totalAt, b.index(a.dim)));
        if (isa<IntegerType>(element)) {
          unsigned width = element.getIntOrFloatBitWidth();
          bool u = isUnsigned(element);
          v = b.math<math::RoundEvenOp>(v);
          v = b.max(b.constant(f32(), u ? 0 : -std::ldexp(1.0, width - 1)),
                    b.min(v, b.constant(f32(), std::ldexp(1.0, u ? width : width - 1) - 1)));
        }
        return b.convert(v, f32(), element);
      });
}

LogicalResult resize(Node &n) {
  bool upsample = n.op() == "Upsample", old = upsample || n.opset < 11;
  Resizer r(n);
  auto mode = n.attrWord("mode", {"nearest", "linear", "bilinear", "cubic"});
  if (!mode)
    return failure();
  r.mode = *mode == "nearest" ? Mode::nearest : *mode == "cubic" ? Mode::cubic : Mode::linear;
  auto transform = n.attrWord("coordinate_transformation_mode",
                              {"half_pixel", "asymmetric", "tf_half_pixel_for_nn", "align_corners",
                               "tf_crop_and_resize", "pytorch_half_pixel", "half_pixel_symmetric"});
  auto nearest = n.attrWord("nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"});
  if (!transform || !nearest)
    return failure();
  r.transform = old ? "asymmetric" : *transform;
  r.nearest = old ? "simple" : *nearest;
  r.cubicA = n.attrFloat("cubic_coeff_a", -0.75);
  r.extrapolation = n.attrFloat("extrapolation_value", 0);
  r.excludeOutside = n.attrInt("exclude_outside", 0);
  r.antialias = n.attrInt("antialias", 0);
  auto axes = resizeAxes(n, old);
  if (!axes)
    return failure();
  r.scales = axes->scales;
  SmallVector<Axis> all = std::move(axes->axes);
  if (r.transform == "tf_crop_and_resize") {
    r.roi = n.in(1);
    if (!r.roi || n.type(r.roi).getRank() != 1)
      return n.error("expected a region of interest");
    if (r.antialias && r.mode != Mode::nearest)
      return n.error("unsupported antialias with tf_crop_and_resize");
  }
  // Axes that stay as they are need no arithmetic.
  llvm::erase_if(all, [&](const Axis &a) {
    return a.in == a.out && (!a.scaled() || a.scale == 1.0) && r.transform != "tf_crop_and_resize";
  });
  if (all.empty())
    return n.set(n.in(0));
  Value x = n.in(0);
  SmallVector<Expr> out = n.dims(x);
  for (const Axis &a : all)
    out[a.dim] = a.out;
  Expr count = n.tensor(out, n.element(0)).numElements();
  for (const Axis &a : all)
    if (failed(n.requireSome(a.in, count, "an element of axis " + Twine(a.dim))))
      return failure();
  if (!r.antialias || r.mode == Mode::nearest)
    return n.set(r.run(x, all));
  for (const Axis &a : all)
    x = r.filtered(x, a);
  return n.set(x);
}

} // namespace

void import::registerResize(OpTable &t) {
  t["Resize"] = resize;
  t["Upsample"] = resize;
}
