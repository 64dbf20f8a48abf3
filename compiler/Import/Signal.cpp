//===- Signal.cpp - windows and Fourier transforms ------------------------===//
//
// Windows are functions of the index. A transform is a product with the matrix of the roots of unity, which folds into
// a constant where its length is known: signals in models are frames of some hundred samples.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"
#include <numbers>

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

constexpr double kTurn = 2 * std::numbers::pi;

/// One integer of input i; null after an error.
Expr oneOf(Node &n, unsigned i, StringRef what) { return n.symbolicInt(n.in(i), what).value_or(Expr()); }

/// a - b cos(x) + c cos(2 x) over one turn.
LogicalResult window(Node &n, double a, double b2, double c) {
  Expr size = oneOf(n, 0, "size of a window");
  Type type = elementType(n.context, n.attrInt("output_datatype", 1));
  if (!size || !isa_and_nonnull<FloatType>(type))
    return size ? n.error("unsupported output_datatype " + Twine(n.attrInt("output_datatype", 1))) : failure();
  Expr turn = n.attrInt("periodic", 1) ? size : size - 1;
  Type real = type.isF64() ? type : Type(n.b.getF32Type());
  return n.set(n.generic(n.tensor({size}, type), {}, [&](Body &b) {
    Value steps = b.fromIndex(b.size(Expr::max(turn, n.expr(1))), real);
    Value x = b.div(b.mul(b.constant(real, kTurn), b.fromIndex(b.index(0), real)), steps);
    Value v = b.sub(b.constant(real, a), b.mul(b.constant(real, b2), b.math<math::CosOp>(x)));
    if (c != 0)
      v = b.add(v, b.mul(b.constant(real, c), b.math<math::CosOp>(b.mul(b.constant(real, 2), x))));
    return b.convert(v, real, type);
  }));
}
LogicalResult hann(Node &n) { return window(n, 0.5, 0.5, 0); }
LogicalResult hamming(Node &n) { return window(n, 25.0 / 46, 21.0 / 46, 0); }
LogicalResult blackman(Node &n) { return window(n, 0.42, 0.5, 0.08); }

/// What a transform of `length` samples multiplies with: [parts * samples, 2 * bins], row 2 s + p for the real (p = 0)
/// and imaginary part of sample s, column 2 k + p for those of bin k. `weights` [samples], null for none, scale the
/// rows.
Value roots(Node &n, Expr samples, int64_t parts, Expr bins, Expr length, bool inverse, Type type, Value weights) {
  Type real = type.isF64() ? type : Type(n.b.getF32Type());
  SmallVector<Value> in;
  if (weights)
    in.push_back(weights);
  return n.generic(n.tensor({samples * parts, bins * 2}, type), in, [&](Body &b) {
    auto half = [&](Value i, int64_t by) { return by == 1 ? i : b.math<arith::DivUIOp>(i, b.idx(by)); };
    Value s = half(b.index(0), parts), k = half(b.index(1), 2), size = b.size(length);
    // The angle modulo a turn, and within a quarter of it, while it is an integer: products grow beyond what a float
    // keeps, and what is 0 at a quarter or half a turn stays 0.
    Value step = b.mul(b.math<arith::RemUIOp>(b.mul(s, k), size), b.idx(4));
    Value quarter = b.math<arith::DivUIOp>(step, size), rest = b.math<arith::RemUIOp>(step, size);
    Value angle = b.div(b.mul(b.constant(real, kTurn / 4), b.fromIndex(rest, real)), b.fromIndex(size, real));
    Value x = b.math<math::CosOp>(angle), y = b.math<math::SinOp>(angle); // of the quarter
    auto in = [&](int64_t a, int64_t z) {
      return b.logicalOr(b.cmp(Body::Cmp::eq, quarter, b.idx(a)), b.cmp(Body::Cmp::eq, quarter, b.idx(z)));
    };
    Value turned = in(1, 3), cos = b.select(turned, y, x), sin = b.select(turned, x, y);
    cos = b.select(in(1, 2), b.neg(cos), cos), sin = b.select(in(2, 3), b.neg(sin), sin);
    if (!inverse)
      sin = b.neg(sin);
    // (re + i im)(cos + i sin)
    Value toImaginary = b.cmp(Body::Cmp::eq, b.math<arith::RemUIOp>(b.index(1), b.idx(2)), b.idx(1));
    Value v = b.select(toImaginary, sin, cos);
    if (parts == 2) {
      Value fromImaginary = b.cmp(Body::Cmp::eq, b.math<arith::RemUIOp>(b.index(0), b.idx(2)), b.idx(1));
      v = b.select(fromImaginary, b.select(toImaginary, cos, b.neg(sin)), v);
    }
    if (inverse)
      v = b.div(v, b.fromIndex(size, real));
    if (weights)
      v = b.mul(v, b.convert(b.read(0, s), n.type(weights).getElementType(), real));
    return b.convert(v, real, type);
  });
}

Expr binsOf(Node &n, Expr length, bool onesided) { return onesided ? Expr::floorDiv(length, n.expr(2)) + 1 : length; }

/// 1 for real and 2 for complex numbers in the last dimension; 0 after an error.
int64_t partsOf(Node &n, Value x) {
  auto parts = n.type(x).getDims().empty() ? std::nullopt : n.dims(x).back().asConstant();
  if (parts && (*parts == 1 || *parts == 2))
    return *parts;
  (void)n.error("expected 1 or 2 numbers a sample in the last dimension");
  return 0;
}

LogicalResult dft(Node &n) {
  Value x = n.in(0);
  int64_t rank = n.rank(0), given = n.attrInt("axis", n.opset < 20 ? 1 : -2);
  if (n.opset >= 20 && n.has(2)) {
    auto list = n.constInts(n.in(2), "axis");
    if (!list || list->size() != 1)
      return list ? n.error("expected one axis") : failure();
    given = list->front();
  }
  auto axis = n.axis(given, rank);
  int64_t parts = axis ? partsOf(n, x) : 0;
  if (!parts)
    return failure();
  if (*axis == rank - 1)
    return n.error("the axis of a transform is the dimension of real and imaginary parts");
  bool inverse = n.attrInt("inverse", 0), onesided = n.attrInt("onesided", 0);
  if (inverse && onesided)
    return n.error("unsupported DFT: inverse and onesided");
  Expr samples = n.type(x).dim(*axis), length = samples;
  if (n.has(1)) {
    length = oneOf(n, 1, "length of a transform");
    if (!length)
      return failure();
  }
  Expr used = Expr::min(samples, length); // the rest is cut off, what is missing is zero
  // [.., axis, parts] as the last two dimensions.
  SmallVector<int64_t> perm, back(rank);
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && d != rank - 1)
      perm.push_back(d);
  perm.append({*axis, rank - 1});
  for (auto [i, d] : llvm::enumerate(perm))
    back[d] = i;
  Value v = n.transpose(x, perm);
  SmallVector<Expr> dims = n.dims(v);
  dims[rank - 2] = used;
  if (used != samples)
    v = n.slice(v, SmallVector<Expr>(rank, n.expr(0)), dims, SmallVector<int64_t>(rank, 1));
  SmallVector<Expr> flat(dims.begin(), dims.end() - 2);
  flat.push_back(used * parts);
  Expr bins = binsOf(n, length, onesided);
  Value y = n.matmul(n.reshape(v, flat), roots(n, used, parts, bins, length, inverse, n.element(0), {}));
  if (!y)
    return failure();
  dims[rank - 2] = bins, dims[rank - 1] = n.expr(2);
  return n.set(n.transpose(n.reshape(y, dims), back));
}

/// signal [batch, samples, parts], step, window, length -> [batch, frames, bins, 2].
LogicalResult stft(Node &n) {
  Value x = n.in(0), weights = n.in(2);
  if (n.rank(0) == 2) {
    SmallVector<Expr> dims = n.dims(x);
    dims.push_back(n.expr(1));
    x = n.reshape(x, dims);
  }
  int64_t parts = partsOf(n, x);
  Expr step = oneOf(n, 1, "frame step");
  if (!parts || !step)
    return failure();
  if (n.type(x).getRank() != 3 || (!weights && !n.has(3)))
    return n.error("expected a signal of rank 2 or 3 and a window or a frame length");
  Expr length = n.has(3) ? oneOf(n, 3, "frame length") : Expr();
  if (n.has(3) && !length)
    return failure();
  if (weights && (n.type(weights).getRank() != 1 ||
                  (length && failed(n.require(n.type(weights).dim(0), length, "length of the window")))))
    return n.type(weights).getRank() == 1 ? failure() : n.error("expected a window of rank 1");
  if (!length)
    length = n.type(weights).dim(0);
  Expr batch = n.type(x).dim(0), samples = n.type(x).dim(1);
  Expr frames = Expr::floorDiv(samples - length, step) + 1, bins = binsOf(n, length, n.attrInt("onesided", 1));
  Value cut = n.generic(n.tensor({batch, frames, length * parts}, n.element(0)), x, [&](Body &b) {
    Value i = b.index(2), s = parts == 1 ? i : b.math<arith::DivUIOp>(i, b.idx(parts));
    Value part = parts == 1 ? b.idx(0) : b.math<arith::RemUIOp>(i, b.idx(parts));
    return b.read(0, {b.index(0), b.add(b.mul(b.index(1), b.size(step)), s), part});
  });
  Value y = n.matmul(cut, roots(n, length, parts, bins, length, false, n.element(0), weights));
  return y ? n.set(n.reshape(y, {batch, frames, bins, n.expr(2)})) : failure();
}

/// Triangles over the bins of a transform, evenly spaced in mels: [bins, mels].
LogicalResult melWeights(Node &n) {
  Expr mels = oneOf(n, 0, "number of mels"), length = oneOf(n, 1, "length of a transform"),
       rate = oneOf(n, 2, "sample rate");
  Type type = elementType(n.context, n.attrInt("output_datatype", 1)), f32 = n.b.getF32Type();
  if (!mels || !length || !rate || !isa_and_nonnull<FloatType>(type))
    return mels && length && rate ? n.error("unsupported output_datatype " + Twine(n.attrInt("output_datatype", 1)))
                                  : failure();
  Value low = n.reshape(n.cast(n.in(3), f32), {}), high = n.reshape(n.cast(n.in(4), f32), {});
  Expr bins = Expr::floorDiv(length, n.expr(2)) + 1;
  // The bin of each of the mels + 2 corners of the triangles.
  Value corners = n.generic(n.tensor({mels + 2}, f32), {low, high}, [&](Body &b) {
    auto c = [&](double v) { return b.constant(f32, v); };
    auto mel = [&](Value hertz) {
      return b.mul(c(2595 / std::numbers::ln10), b.math<math::LogOp>(b.add(c(1), b.div(hertz, c(700)))));
    };
    auto number = [&](Expr e) { return b.fromIndex(b.size(e), f32); };
    Value from = mel(b.read(0, {})), step = b.div(b.sub(mel(b.read(1, {})), from), number(mels + 2));
    Value at = b.add(b.mul(b.fromIndex(b.index(0), f32), step), from);
    Value hertz = b.mul(c(700), b.sub(b.math<math::ExpOp>(b.mul(at, c(std::numbers::ln10 / 2595))), c(1)));
    return b.math<math::FloorOp>(b.div(b.mul(number(length + 1), hertz), number(rate)));
  });
  return n.set(n.generic(n.tensor({bins, mels}, type), corners, [&](Body &b) {
    Value k = b.fromIndex(b.index(0), f32), zero = b.zero(f32), one = b.constant(f32, 1);
    Value left = b.read(0, b.index(1)), middle = b.read(0, b.add(b.index(1), b.idx(1))),
          right = b.read(0, b.add(b.index(1), b.idx(2)));
    Value rise = b.sub(middle, left), fall = b.sub(right, middle);
    Value up = b.select(b.cmp(Body::Cmp::eq, rise, zero), one, b.div(b.sub(k, left), rise));
    Value down = b.select(b.cmp(Body::Cmp::eq, fall, zero), zero, b.div(b.sub(right, k), fall));
    Value v = b.select(b.cmp(Body::Cmp::le, k, middle), up, down);
    Value inside = b.logicalAnd(b.cmp(Body::Cmp::ge, k, left), b.cmp(Body::Cmp::lt, k, right));
    inside = b.logicalOr(inside, b.cmp(Body::Cmp::eq, k, middle));
    return b.convert(b.select(inside, v, zero), f32, type);
  }));
}

} // namespace

void import::registerSignal(OpTable &t) {
  t["HannWindow"] = hann;
  t["HammingWindow"] = hamming;
  t["BlackmanWindow"] = blackman;
  t["DFT"] = dft;
  t["MelWeightMatrix"] = {melWeights, 5};
  t["STFT"] = {stft, 2};
}
