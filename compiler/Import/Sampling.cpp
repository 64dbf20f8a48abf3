//===- Sampling.cpp - reads at positions that tensors give ----------------===//
//
// Grids, regions of interest, crops and blocks put back together.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

Value toInt(Body &b, Value x) { return b.toIndex(b.convert(x, x.getType(), b.b.getI64Type())); }

/// The same, kept inside [0, limit): what is no number at all has passed all comparisons of real ones.
Value toInt(Body &b, Value x, Expr limit) { return b.max(b.idx(0), b.min(toInt(b, x), b.size(limit - 1))); }

/// What is read in spatial dimensions needs something there.
LogicalResult requirePixels(Node &n, ArrayRef<Expr> shape, Expr count) {
  for (auto [i, d] : llvm::enumerate(shape.drop_front(2)))
    if (failed(n.requireSome(d, count, "an element of axis " + Twine(i + 2))))
      return failure();
  return success();
}

/// Folds x into [low, high] as a mirror at both ends does.
Value reflect(Body &b, Value x, Value low, Value high) {
  Type t = x.getType();
  Value range = b.sub(high, low), zero = b.zero(t), none = b.cmp(Cmp::le, range, zero);
  Value period = b.select(none, b.constant(t, 1), b.add(range, range));
  Value u = b.abs(b.sub(x, low));
  u = b.sub(u, b.mul(period, b.math<math::FloorOp>(b.div(u, period))));
  u = b.select(b.cmp(Cmp::gt, u, range), b.sub(period, u), u);
  return b.select(none, low, b.add(low, u));
}

LogicalResult gridSample(Node &n) {
  int64_t rank = n.rank(0), spatial = rank - 2;
  auto mode = n.attrWord("mode", {"linear", "bilinear", "nearest", "cubic", "bicubic"});
  auto padding = n.attrWord("padding_mode", {"zeros", "border", "reflection"});
  if (!mode || !padding)
    return failure();
  bool cubic = *mode == "bicubic" || *mode == "cubic", nearest = *mode == "nearest",
       align = n.attrInt("align_corners", 0);
  if (spatial < 1 || spatial > 3 || n.rank(1) != rank ||
      failed(n.require(n.dims(n.in(1)).back(), n.expr(spatial), "coordinates of a grid")))
    return n.error("expected an input with 1 to 3 spatial dimensions and a grid of its rank");
  SmallVector<Expr> x = n.dims(n.in(0)), g = n.dims(n.in(1)), out{x[0], x[1]};
  out.append(g.begin() + 1, g.end() - 1);
  Type element = n.element(0), grid = n.element(1), f = element.isF64() ? element : Type(n.b.getF32Type());
  if (failed(n.require(g[0], x[0], "grids and images")) ||
      failed(requirePixels(n, x, n.tensor(out, element).numElements())))
    return failure();
  return n.set(n.generic(n.tensor(out, element), {n.in(0), n.in(1)}, [&](Body &b) {
    auto c = [&](double v) { return b.constant(f, v); };
    auto real = [&](Expr e) { return b.fromIndex(b.size(e), f); };
    SmallVector<SmallVector<std::pair<Value, Value>>> taps; // index and weight, an axis
    for (int64_t a = 0; a < spatial; ++a) {
      SmallVector<Value> where{b.index(0)};
      for (int64_t i = 0; i < spatial; ++i)
        where.push_back(b.index(2 + i));
      where.push_back(b.idx(spatial - 1 - a)); // the last coordinate belongs to the first axis
      Value v = b.convert(b.read(1, where), grid, f), length = real(x[a + 2]), last = real(x[a + 2] - 1);
      v = b.add(v, c(1));
      v = align ? b.mul(b.mul(v, c(0.5)), last) : b.mul(b.sub(b.mul(v, length), c(1)), c(0.5));
      Value low = align ? c(0) : c(-0.5), high = align ? last : b.sub(length, c(0.5));
      if (nearest)
        v = b.math<math::RoundEvenOp>(v);
      Value out = b.logicalOr(b.cmp(Cmp::lt, v, low), b.cmp(Cmp::gt, v, high));
      if (padding == "border")
        v = b.select(out, b.max(c(0), b.min(v, last)), v);
      else if (padding == "reflection")
        v = b.select(out, reflect(b, v, low, high), v);
      auto index = [&](Value at) { // of a whole number, in the way that the padding says
        if (padding == "zeros")
          return toInt(b, at);
        if (padding == "reflection")
          at = b.math<math::RoundEvenOp>(reflect(b, at, low, high));
        return toInt(b, at, x[a + 2]);
      };
      auto &list = taps.emplace_back();
      if (nearest) {
        list.push_back({index(b.math<math::RoundEvenOp>(v)), Value()});
        continue;
      }
      Value floor = b.math<math::FloorOp>(v), w = b.sub(v, floor);
      if (!cubic) {
        list.push_back({index(floor), b.sub(c(1), w)});
        list.push_back({index(b.add(floor, c(1))), w});
        continue;
      }
      double A = -0.75;
      for (int64_t k = -1; k <= 2; ++k) {
        Value d = b.abs(b.sub(w, c(k))), d2 = b.mul(d, d), d3 = b.mul(d2, d);
        Value inner = b.add(b.sub(b.mul(c(A + 2), d3), b.mul(c(A + 3), d2)), c(1));
        Value outer = b.sub(b.add(b.sub(b.mul(c(A), d3), b.mul(c(5 * A), d2)), b.mul(c(8 * A), d)), c(4 * A));
        list.push_back({index(b.add(floor, c(k))), k == 0 || k == 1 ? inner : outer});
      }
    }
    SmallVector<Value> at{b.index(0), b.index(1)};
    SmallVector<int64_t> checked;
    for (int64_t a = 0; a < spatial; ++a) {
      at.push_back({});
      checked.push_back(a + 2);
    }
    auto gather = [&](auto &self, int64_t a) -> Value {
      if (a == spatial) {
        Value v = padding == "zeros" ? b.readOr(0, at, b.zero(b.type(0).scalarType()), checked) : b.read(0, at);
        return nearest ? v : b.convert(v, element, f);
      }
      Value sum;
      for (auto [index, w] : taps[a]) {
        at[a + 2] = index;
        Value v = self(self, a + 1);
        v = w ? b.mul(v, w) : v;
        sum = sum ? b.add(sum, v) : v;
      }
      return sum;
    };
    Value v = gather(gather, 0);
    return nearest ? v : b.convert(v, f, element);
  }));
}

LogicalResult roiAlign(Node &n) { // x, rois, batch_indices
  if (n.rank(0) != 4 || n.rank(1) != 2 || n.rank(2) != 1)
    return n.error("expected an input of rank 4, regions [rois, 4] and their batch indices");
  int64_t height = n.attrInt("output_height", 1), width = n.attrInt("output_width", 1),
          ratio = n.attrInt("sampling_ratio", 0);
  double scale = n.attrFloat("spatial_scale", 1);
  auto mode = n.attrWord("mode", {"avg", "max"});
  auto coordinates = n.attrWord("coordinate_transformation_mode", {"half_pixel", "output_half_pixel"});
  if (!mode || !coordinates)
    return failure();
  bool largest = *mode == "max", half = n.opset >= 16 && *coordinates == "half_pixel";
  SmallVector<Expr> x = n.dims(n.in(0));
  Expr rois = n.type(1).dim(0);
  Type element = n.element(0), f = element.isF64() ? element : Type(n.b.getF32Type()), i64 = n.b.getI64Type();
  auto images = n.site(n.in(2), x[0], "the image of a region", false);
  if (failed(images) || failed(n.require(n.type(2).dim(0), rois, "images of regions and regions")) ||
      failed(n.require(n.type(1).dim(1), n.expr(4), "corners of a region")) || failed(requirePixels(n, x, rois * x[1])))
    return failure();
  // Start and step between bins of region r along y (0) or x (1), from operand `rois`.
  struct Bin {
    Value start, step;
  };
  auto binOf = [&](Body &b, unsigned operand, Value r, int64_t axis) -> Bin {
    auto corner = [&](int64_t k) {
      Value v = b.mul(b.convert(b.read(operand, {r, b.idx(k)}), n.element(1), f), b.constant(f, scale));
      return half ? b.sub(v, b.constant(f, 0.5)) : v;
    };
    Value start = corner(axis == 0 ? 1 : 0), extent = b.sub(corner(axis == 0 ? 3 : 2), start);
    if (!half)
      extent = b.max(extent, b.constant(f, 1));
    return {start, b.div(extent, b.constant(f, axis == 0 ? height : width))};
  };
  // Samples of a bin: a number, or as many as the bin has pixels; then the loop runs to the largest of them.
  auto samples = [&](Body &b, Bin bin) { return ratio > 0 ? b.constant(f, ratio) : b.math<math::CeilOp>(bin.step); };
  SmallVector<Expr> grid(2, n.expr(ratio));
  if (ratio <= 0)
    for (int64_t axis = 0; axis < 2; ++axis) {
      Value most = n.reduce(
          n.tensor({n.expr(1)}, i64), ReduceKind::max, {rois}, n.in(1),
          [&](Body &b) { return b.convert(samples(b, binOf(b, 0, b.index(1), axis)), f, i64); },
          [&](Body &b) { return b.max(b.scalar(0), b.integer(i64, 0)); });
      auto e = n.symbolicInts(most, "samples");
      if (!e)
        return failure();
      grid[axis] = Expr::max(e->front(), n.expr(0));
    }
  return n.set(n.reduce(
      n.tensor({rois, x[1], n.expr(height), n.expr(width)}, element), largest ? ReduceKind::max : ReduceKind::add, grid,
      {n.in(0), n.in(1), n.in(2)},
      [&](Body &b) {
        Value r = b.index(0), none = largest ? b.constant(f, -INFINITY) : b.zero(f), valid, beyond;
        Value low[2], high[2], weight[2];
        for (int64_t a = 0; a < 2; ++a) {
          Bin bin = binOf(b, 1, r, a);
          Value count = samples(b, bin), k = b.fromIndex(b.index(4 + a), f), one = b.constant(f, 1);
          Value inside = b.cmp(Cmp::lt, k, count);
          valid = valid ? b.logicalAnd(valid, inside) : inside;
          Value p = b.add(bin.start, b.mul(b.fromIndex(b.index(2 + a), f), bin.step));
          p = b.add(p, b.div(b.mul(b.add(k, b.constant(f, 0.5)), bin.step), b.max(count, one)));
          Value length = b.fromIndex(b.size(x[2 + a]), f);
          Value out = b.logicalOr(b.cmp(Cmp::lt, p, b.constant(f, -1)), b.cmp(Cmp::gt, p, length));
          beyond = beyond ? b.logicalOr(beyond, out) : out;
          p = b.max(b.zero(f), b.min(p, b.sub(length, one)));
          Value base = b.math<math::FloorOp>(p);
          weight[a] = b.sub(p, base);
          low[a] = toInt(b, base, x[2 + a]);
          high[a] = b.min(b.add(low[a], b.idx(1)), b.size(x[2 + a] - 1));
        }
        Value batch = b.bounded(b.read(2, r), x[0], *images, false), sum;
        for (int64_t k = 0; k < 4; ++k) {
          auto w = [&](int64_t a, bool upper) { return upper ? weight[a] : b.sub(b.constant(f, 1), weight[a]); };
          Value v =
              b.convert(b.read(0, {batch, b.index(1), k & 2 ? high[0] : low[0], k & 1 ? high[1] : low[1]}), element, f);
          v = b.mul(v, b.mul(w(0, k & 2), w(1, k & 1)));
          sum = !sum      ? v
                : largest ? b.max(sum, v)
                          : b.add(sum, v); // the maximum is one of weighted corners, as the reference has it
        }
        return b.select(valid, b.select(beyond, b.zero(f), sum), none);
      },
      [&](Body &b) {
        Value v = b.scalar(0);
        if (largest)
          return b.convert(b.select(b.cmp(Cmp::eq, v, b.constant(f, -INFINITY)), b.zero(f), v), f, element);
        Value count = b.mul(samples(b, binOf(b, 1, b.index(0), 0)), samples(b, binOf(b, 1, b.index(0), 1)));
        return b.convert(b.div(v, b.max(count, b.constant(f, 1))), f, element);
      }));
}

LogicalResult affineGrid(Node &n) { // theta [n, d, d + 1], size [n, c, spatial..]
  auto size = n.symbolicInts(n.in(1), "size");
  if (!size || size->size() < 4 || n.rank(0) != 3)
    return size ? n.error("expected matrices and a size of 4 or 5 entries") : failure();
  int64_t spatial = size->size() - 2;
  for (auto [i, e] : llvm::enumerate(SmallVector<Expr>{size->front(), n.expr(spatial), n.expr(spatial + 1)}))
    if (failed(n.require(n.type(0).dim(i), e, "dimension " + Twine(i) + " of the matrices")))
      return failure();
  bool align = n.attrInt("align_corners", 0);
  SmallVector<Expr> out{(*size)[0]};
  out.append(size->begin() + 2, size->end());
  out.push_back(n.expr(spatial));
  Type element = n.element(0);
  return n.set(n.generic(n.tensor(out, element), n.in(0), [&](Body &b) {
    Value row = b.index(spatial + 1), sum;
    for (int64_t k = 0; k <= spatial; ++k) { // coordinate k is x, y, z: the last axis first
      Value v = b.toCompute(b.read(0, {b.index(0), row, b.idx(k)}), element);
      if (k < spatial) {
        Type t = v.getType();
        Value i = b.fromIndex(b.index(spatial - k), t), length = b.fromIndex(b.size(out[spatial - k]), t),
              one = b.constant(t, 1);
        Value step = align ? b.max(b.sub(length, one), one) : length;
        Value twice = b.add(i, i);
        Value at = b.sub(b.div(align ? twice : b.add(twice, one), step), one);
        v = b.mul(v, at);
      }
      sum = sum ? b.add(sum, v) : v;
    }
    return b.fromCompute(sum, element);
  }));
}

LogicalResult centerCropPad(Node &n) {
  auto shape = n.symbolicInts(n.in(1), "shape");
  if (!shape)
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0)), out = d, start(d.size(), n.expr(0));
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, d.size())), padded;
  if (auto given = n.attrInts("axes")) {
    auto all = n.axes(*given, d.size());
    if (!all)
      return failure();
    axes = std::move(*all);
  }
  if (axes.size() != shape->size())
    return n.error("expected " + Twine(axes.size()) + " sizes but got " + Twine(shape->size()));
  for (auto [axis, t] : llvm::zip(axes, *shape)) {
    Expr zero = n.expr(0), two = n.expr(2), more = Expr::max(t - d[axis], zero), less = Expr::max(d[axis] - t, zero);
    out[axis] = t;
    start[axis] = Expr::floorDiv(less, two) - Expr::floorDiv(more, two);
    if (!more.isConstant(0))
      padded.push_back(axis);
  }
  return n.set(n.generic(n.tensor(out, n.element(0)), n.in(0), [&](Body &b) {
    SmallVector<Value> at = b.indices();
    for (auto [i, e] : llvm::enumerate(start))
      if (!e.isConstant(0))
        at[i] = b.add(at[i], b.size(e));
    return padded.empty() ? b.read(0, at) : b.readOr(0, at, b.zero(b.result.scalarType()), padded);
  }));
}

LogicalResult col2Im(Node &n) { // x [n, c * block, positions], image_shape, block_shape
  auto image = n.symbolicInts(n.in(1), "image_shape"), block = n.symbolicInts(n.in(2), "block_shape");
  if (!image || !block || n.rank(0) != 3 || image->size() != block->size())
    return image && block ? n.error("expected an input of rank 3 and shapes of one length") : failure();
  size_t s = image->size();
  auto dilations = n.attrInts("dilations", 1, s), pads = n.attrInts("pads", 0, 2 * s),
       strides = n.attrInts("strides", 1, s);
  if (!dilations || !pads || !strides)
    return failure();
  Expr taps = n.expr(1);
  SmallVector<Expr> positions;
  for (size_t i = 0; i < s; ++i) {
    if ((*strides)[i] < 1 || (*dilations)[i] < 1)
      return n.error("strides and dilations have to be positive");
    taps = taps * (*block)[i];
    Expr span = (*image)[i] + ((*pads)[i] + (*pads)[i + s]) - ((*block)[i] - 1) * (*dilations)[i] - 1;
    positions.push_back(Expr::floorDiv(span, n.expr((*strides)[i])) + 1);
  }
  SmallVector<Expr> out{n.type(0).dim(0), Expr::floorDiv(n.type(0).dim(1), taps)};
  llvm::append_range(out, *image);
  Expr count = n.expr(1);
  for (Expr p : positions)
    count = count * Expr::max(p, n.expr(0));
  if (failed(n.require(n.type(0).dim(2), count, "columns and positions of the block")) ||
      failed(n.require(out[1] * taps, n.type(0).dim(1), "channels of whole blocks")))
    return failure();
  Type element = n.element(0);
  return n.set(n.reduce(n.tensor(out, element), ReduceKind::add, *block, n.in(0),
                        [&](Body &b) {
                          Value channel = b.index(1), at = b.idx(0), inside = b.boolean(true);
                          for (size_t i = 0; i < s; ++i) {
                            Value tap = b.index(2 + s + i);
                            channel = b.add(b.mul(channel, b.size((*block)[i])), tap);
                            Value p =
                                b.sub(b.add(b.index(2 + i), b.idx((*pads)[i])), b.mul(tap, b.idx((*dilations)[i])));
                            Value q = (*strides)[i] == 1 ? p : b.math<arith::DivSIOp>(p, b.idx((*strides)[i]));
                            inside = b.logicalAnd(inside, b.cmp(Cmp::ge, p, b.idx(0)));
                            inside = b.logicalAnd(inside, b.cmp(Cmp::lt, q, b.size(positions[i])));
                            if ((*strides)[i] != 1)
                              inside = b.logicalAnd(inside, b.cmp(Cmp::eq, b.mul(q, b.idx((*strides)[i])), p));
                            at = b.add(b.mul(at, b.size(positions[i])), q);
                          }
                          Value v = b.readOr(0, {b.index(0), channel, b.select(inside, at, b.idx(-1))},
                                             b.zero(b.type(0).scalarType()), {2});
                          return b.toCompute(v, element);
                        },
                        {}));
}

} // namespace

void import::registerSampling(OpTable &t) {
  t["AffineGrid"] = {affineGrid, 2};
  t["CenterCropPad"] = {centerCropPad, 2};
  t["Col2Im"] = {col2Im, 3};
  t["GridSample"] = {gridSample, 2};
  t["RoiAlign"] = {roiAlign, 3};
}
