//===- Contract.cpp - products and convolutions ---------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

Value import::matmulLike(Node &n, Value lhs, Value rhs, bool transposeLhs, bool transposeRhs, Type result) {
  bool rowVector = n.type(lhs).getRank() == 1, columnVector = n.type(rhs).getRank() == 1;
  if (n.type(lhs).getRank() == 0 || n.type(rhs).getRank() == 0) {
    (void)n.error("expected operands of rank 1 or more");
    return {};
  }
  if (rowVector)
    lhs = n.reshape(lhs, {n.expr(1), n.type(lhs).dim(0)});
  if (columnVector)
    rhs = n.reshape(rhs, {n.type(rhs).dim(0), n.expr(1)});
  Value r = n.matmul(lhs, rhs, transposeLhs, transposeRhs, result);
  if (!r || (!rowVector && !columnVector))
    return r;
  SmallVector<Expr> d = n.dims(r);
  if (columnVector)
    d.pop_back();
  if (rowVector)
    d.erase(d.end() - (columnVector ? 1 : 2));
  return n.reshape(r, d);
}

static constexpr StringRef kAutoPads[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};

std::optional<Window> import::windowOf(Node &n, ArrayRef<Expr> in, ArrayRef<int64_t> kernel) {
  Window w;
  size_t s = in.size();
  w.kernel.assign(kernel.begin(), kernel.end());
  auto strides = n.attrInts("strides", 1, s), dilations = n.attrInts("dilations", 1, s),
       pads = n.attrInts("pads", 0, 2 * s);
  if (!strides || !dilations || !pads)
    return std::nullopt;
  for (size_t i = 0; i < s; ++i)
    if ((*strides)[i] < 1 || (*dilations)[i] < 1 || kernel[i] < 1 || (*strides)[i] > INT32_MAX ||
        (*dilations)[i] > INT32_MAX) {
      (void)n.error("strides, dilations and kernel sizes have to be positive");
      return std::nullopt;
    }
  w.strides = *strides;
  w.dilations = *dilations;
  auto mode = n.attrWord("auto_pad", kAutoPads);
  if (!mode)
    return std::nullopt;
  bool ceil = n.attrInt("ceil_mode", 0);
  for (size_t i = 0; i < s; ++i) {
    Expr k = n.expr((kernel[i] - 1) * w.dilations[i] + 1), stride = n.expr(w.strides[i]);
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      Expr out = Expr::ceilDiv(in[i], stride);
      Expr total = Expr::max((out - 1) * stride + k - in[i], n.expr(0));
      Expr half = Expr::floorDiv(total, n.expr(2));
      w.padBegin.push_back(mode == "SAME_UPPER" ? half : total - half);
      w.padEnd.push_back(total - w.padBegin.back());
      w.out.push_back(out);
      continue;
    }
    bool valid = mode == "VALID";
    w.padBegin.push_back(n.expr(valid ? 0 : (*pads)[i]));
    w.padEnd.push_back(n.expr(valid ? 0 : (*pads)[i + s]));
    Expr span = in[i] + w.padBegin[i] + w.padEnd[i] - k;
    Expr out = (ceil ? Expr::ceilDiv(span, stride) : Expr::floorDiv(span, stride)) + 1;
    if (ceil) // a window that would start in the trailing padding is not there
      out = Expr::select(Expr::lt((out - 1) * stride, in[i] + w.padBegin[i]), out, out - 1);
    auto c = out.asConstant();
    if (c && *c < 1) {
      (void)n.error("a window of " + k.str() + " does not fit the padded input of " +
                    (in[i] + w.padBegin[i] + w.padEnd[i]).str());
      return std::nullopt;
    }
    w.out.push_back(c ? out : Expr::max(out, n.expr(0)));
  }
  return w;
}

namespace {

LogicalResult matMul(Node &n) {
  if (n.element(0) != n.element(1))
    return n.error("expected operands of one type but got " + n.typeText(0) + " and " + n.typeText(1));
  if (std::optional<Value> product = dequantisedProduct(n, n.in(0), n.in(1), false))
    return n.set(*product);
  return n.set(matmulLike(n, n.in(0), n.in(1)));
}

LogicalResult gemm(Node &n) {
  if (n.rank(0) != 2 || n.rank(1) != 2)
    return n.error("expected matrices but got ranks " + Twine(n.rank(0)) + " and " + Twine(n.rank(1)));
  double alpha = n.attrFloat("alpha", 1), beta = n.attrFloat("beta", 1);
  bool transposeLhs = n.attrInt("transA", 0), transposeRhs = n.attrInt("transB", 0);
  std::optional<Value> ofIntegers;
  if (!transposeLhs)
    ofIntegers = dequantisedProduct(n, n.in(0), n.in(1), transposeRhs);
  Value r = ofIntegers ? *ofIntegers : n.matmul(n.in(0), n.in(1), transposeLhs, transposeRhs);
  if (!r)
    return failure();
  SmallVector<Value> in{r};
  if (n.has(2))
    in.push_back(n.in(2));
  if (in.size() == 1 && alpha == 1)
    return n.set(r);
  Type type = n.element(0);
  // C broadcasts to the product's shape, never the other way round.
  return n.set(n.generic(n.type(r), in, [&](Body &b) {
    Value y = b.toCompute(b.read(0, b.indices()), type);
    if (alpha != 1)
      y = b.mul(y, b.constant(y.getType(), alpha));
    if (in.size() > 1) {
      Value c = b.toCompute(b.readBroadcast(1), type);
      y = b.add(y, beta == 1 ? c : b.mul(c, b.constant(c.getType(), beta)));
    }
    return b.fromCompute(y, type);
  }));
}

/// com.microsoft FusedMatMul: transpositions and a factor.
LogicalResult fusedMatMul(Node &n) {
  Value r = matmulLike(n, n.in(0), n.in(1), n.attrInt("transA", 0), n.attrInt("transB", 0));
  double alpha = n.attrFloat("alpha", 1);
  if (!r || alpha == 1)
    return n.set(r);
  return n.set(n.map(n.element(0), r,
                     [&](Body &b, ArrayRef<Value> x) { return b.mul(x[0], b.constant(x[0].getType(), alpha)); }));
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

SmallVector<int64_t> toChannelsLast(int64_t rank) {
  SmallVector<int64_t> perm{0};
  for (int64_t i = 2; i < rank; ++i)
    perm.push_back(i);
  perm.push_back(1);
  return perm;
}
SmallVector<int64_t> fromChannelsLast(int64_t rank) {
  SmallVector<int64_t> perm{0, rank - 1};
  for (int64_t i = 1; i < rank - 1; ++i)
    perm.push_back(i);
  return perm;
}

/// Weights as kt.conv reads them, [groups, panels, taps, channels, 16], from [o, c/g, k..] (or, for transposed
/// convolution, [c, o/g, k..] with the kernel mirrored).
Value packConv(Node &n, Value w, int64_t groups, ArrayRef<int64_t> kernel, bool transposed) {
  SmallVector<Expr> d = n.dims(w);
  Expr og = transposed ? d[1] : Expr::floorDiv(d[0], n.expr(groups)),
       cg = transposed ? Expr::floorDiv(d[0], n.expr(groups)) : d[1];
  Expr taps = n.expr(1);
  for (int64_t k : kernel)
    taps = taps * n.expr(k);
  // One channel and one output a group: the groups become the columns of the panels.
  bool depthwise = groups > 1 && og.isConstant(1) && cg.isConstant(1);
  if (depthwise) {
    og = n.expr(groups);
    groups = 1;
  }
  SymTensorType type = n.tensor({n.expr(groups), Expr::ceilDiv(og, n.expr(kPanel)), taps, cg, n.expr(kPanel)},
                                n.type(w).getElementType());
  return n.generic(type, w, [&](Body &b) {
    Value g = b.index(0), o = b.add(b.mul(b.index(1), b.idx(kPanel)), b.index(4)), c = b.index(3);
    SmallVector<Value> at(2), tap(kernel.size());
    Value t = b.index(2);
    for (size_t i = kernel.size(); i-- > 0;) {
      tap[i] = i == 0 ? t : b.math<arith::RemUIOp>(t, b.idx(kernel[i]));
      t = b.math<arith::DivUIOp>(t, b.idx(kernel[i]));
      if (transposed)
        tap[i] = b.sub(b.idx(kernel[i] - 1), tap[i]);
    }
    // Lanes beyond the group's outputs are zero: an index of -1 is outside.
    Value inside = b.cmp(Cmp::lt, o, b.size(og));
    if (depthwise) {
      at[0] = b.select(inside, o, b.idx(-1));
      at[1] = c;
    } else if (transposed) {
      at[0] = b.add(b.mul(g, b.size(cg)), c);
      at[1] = b.select(inside, o, b.idx(-1));
    } else {
      at[0] = b.select(inside, b.add(b.mul(g, b.size(og)), o), b.idx(-1));
      at[1] = c;
    }
    at.append(tap);
    return b.readOr(0, at, b.zero(b.result.scalarType()), {transposed && !depthwise ? 1 : 0});
  });
}

/// A channels-last convolution of `x` [n, c, spatial..] with an epilogue that adds the bias; back to channels first.
Value convWith(Node &n, Value x, Value packed, Value bias, Expr outChannels, ArrayRef<Expr> outSpatial,
               ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations,
               ArrayRef<int64_t> inputDilations, ArrayRef<Expr> pads, int64_t groups, Type resultElement) {
  int64_t rank = n.type(x).getRank();
  Value input = n.transpose(x, toChannelsLast(rank));
  SmallVector<Expr> out{n.type(x).dim(0)};
  llvm::append_range(out, outSpatial);
  out.push_back(outChannels);
  SmallVector<Attribute> padAttrs;
  for (Expr e : pads)
    padAttrs.push_back(e.attr());
  SmallVector<Value> extras;
  if (bias)
    extras.push_back(bias);
  SymTensorType result = n.tensor(out, resultElement);
  auto op = ConvOp::create(n.b, n.loc, result, input, packed, extras, kernel, strides, dilations, inputDilations,
                           n.b.getArrayAttr(padAttrs), groups, ArrayAttr());
  Type acc = op.accumulatorType();
  Block *block = addBody(op.getEpilogue(), {acc}, extras, rank);
  OpBuilder::InsertionGuard guard(n.b);
  n.b.setInsertionPointToStart(block);
  Body b(n.b, n.loc, block, 1, extras.size(), result);
  Value y = b.scalar(0);
  if (bias)
    y = b.add(y, b.convert(b.read(0, b.index(rank - 1)), n.type(bias).getElementType(), acc));
  YieldOp::create(n.b, n.loc, b.convert(y, acc, resultElement));
  n.b.setInsertionPointAfter(op);
  n.requireReads(op.getEpilogue(), b, out);
  return n.transpose(op.getResult(), fromChannelsLast(rank));
}

/// `x` with the spatial padding of `w` filled with an element, so that the convolution needs none.
Value padSpatial(Node &n, Value x, Window &w, Value padding) {
  SmallVector<Expr> out = n.dims(x);
  SmallVector<int64_t> padded;
  SmallVector<Expr> before(w.padBegin);
  for (auto [i, begin] : llvm::enumerate(before)) {
    Expr total = begin + w.padEnd[i];
    if (total.isConstant(0) && begin.isConstant(0))
      continue;
    out[i + 2] = out[i + 2] + total;
    padded.push_back(i + 2);
    w.padBegin[i] = w.padEnd[i] = n.expr(0);
  }
  if (padded.empty())
    return x;
  return n.generic(n.tensor(out, n.type(x).getElementType()), {x, padding}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    for (int64_t d : padded)
      at[d] = b.sub(at[d], b.size(before[d - 2]));
    return b.readOr(0, at, b.read(1, SmallVector<Value>(n.type(padding).getRank(), b.idx(0))), padded);
  });
}

/// A bias has one element an output channel.
LogicalResult checkBias(Node &n, Value bias, Expr channels) {
  if (bias && n.type(bias).getRank() != 1)
    return n.error("expected a bias of rank 1 but got rank " + Twine(n.type(bias).getRank()));
  return bias ? n.require(channels, n.type(bias).dim(0), "elements of a bias") : success();
}

} // namespace

Value import::convOf(Node &n, Value input, Value weights, Value bias, Type resultElement, Value padding) {
  int64_t rank = n.type(input).getRank();
  auto fail = [&](const Twine &message) {
    (void)n.error(message);
    return Value();
  };
  if (rank < 3 || rank > 5 || n.type(weights).getRank() != rank)
    return fail("expected 1 to 3 spatial dimensions but got ranks " + Twine(rank) + " and " +
                Twine(n.type(weights).getRank()));
  SmallVector<Expr> x = n.dims(input), w = n.dims(weights);
  int64_t groups = n.attrInt("group", 1);
  auto o = w[0].asConstant();
  SmallVector<int64_t> kernel;
  for (int64_t i = 2; i < rank; ++i) {
    auto k = w[i].asConstant();
    if (!k)
      return fail("unsupported convolution with a kernel of unknown size");
    kernel.push_back(*k);
  }
  if (auto given = n.attrInts("kernel_shape"); given && llvm::ArrayRef<int64_t>(*given) != ArrayRef<int64_t>(kernel))
    return fail("kernel_shape differs from the weights' shape");
  if (groups < 1 || (o && *o % groups != 0))
    return fail(Twine(groups) + " groups do not divide " + w[0].str() + " outputs");
  if (failed(n.require(w[1] * groups, x[1], "input channels of a convolution")) ||
      failed(n.require(Expr::floorDiv(w[0], n.expr(groups)) * groups, w[0], "output channels of whole groups")) ||
      failed(checkBias(n, bias, w[0])))
    return {};
  auto window = windowOf(n, ArrayRef<Expr>(x).drop_front(2), kernel);
  if (!window)
    return {};
  fillChannels(n, input, weights, *window, padding);
  if (padding)
    input = padSpatial(n, input, *window, padding);
  Value packed = packConv(n, weights, groups, window->kernel, false);
  return convWith(n, input, packed, bias, w[0], window->out, window->kernel, window->strides, window->dilations,
                  SmallVector<int64_t>(kernel.size(), 1), window->padBegin, groups, resultElement);
}

namespace {

LogicalResult conv(Node &n) {
  if (std::optional<Value> y = dequantisedConv(n, n.in(0), n.in(1), n.in(2)))
    return n.set(*y);
  return n.set(convOf(n, n.in(0), n.in(1), n.in(2), n.element(0)));
}

LogicalResult convTranspose(Node &n) {
  int64_t rank = n.rank(0), spatial = rank - 2;
  if (rank < 3 || rank > 5 || n.rank(1) != rank)
    return n.error("expected 1 to 3 spatial dimensions but got ranks " + Twine(rank) + " and " + Twine(n.rank(1)));
  SmallVector<Expr> x = n.dims(n.in(0)), w = n.dims(n.in(1));
  int64_t groups = n.attrInt("group", 1);
  SmallVector<int64_t> kernel;
  for (int64_t i = 2; i < rank; ++i) {
    auto k = w[i].asConstant();
    if (!k)
      return n.error("unsupported convolution with a kernel of unknown size");
    kernel.push_back(*k);
  }
  auto c = w[0].asConstant();
  if (groups < 1 || (c && *c % groups != 0))
    return n.error(Twine(groups) + " groups do not divide " + w[0].str() + " inputs");
  if (failed(n.require(w[0], x[1], "input channels of a transposed convolution")) ||
      failed(n.require(Expr::floorDiv(w[0], n.expr(groups)) * groups, w[0], "input channels of whole groups")) ||
      failed(checkBias(n, n.in(2), w[1] * groups)))
    return failure();
  auto strides = n.attrInts("strides", 1, spatial), dilations = n.attrInts("dilations", 1, spatial),
       pads = n.attrInts("pads", 0, 2 * spatial), extra = n.attrInts("output_padding", 0, spatial);
  auto shape = n.attrInts("output_shape");
  auto mode = n.attrWord("auto_pad", kAutoPads);
  if (!strides || !dilations || !pads || !extra || !mode)
    return failure();
  if (mode == "VALID")
    pads->assign(2 * spatial, 0);
  SmallVector<Expr> out, begin;
  for (int64_t i = 0; i < spatial; ++i) {
    if ((*strides)[i] < 1 || (*dilations)[i] < 1)
      return n.error("strides and dilations have to be positive");
    Expr full = (x[i + 2] - 1) * (*strides)[i] + (*extra)[i] + ((kernel[i] - 1) * (*dilations)[i] + 1);
    Expr padBegin = n.expr((*pads)[i]), o = full - (*pads)[i] - (*pads)[i + spatial];
    if (shape || mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      if (shape && (int64_t)shape->size() != spatial)
        return n.error("expected " + Twine(spatial) + " entries in output_shape");
      o = shape ? n.expr((*shape)[i]) : x[i + 2] * (*strides)[i];
      Expr total = Expr::max(full - o, n.expr(0)), half = Expr::floorDiv(total, n.expr(2));
      padBegin = mode == "SAME_UPPER" ? half : total - half;
    }
    out.push_back(o);
    // The same sum as a convolution of the stretched input with the mirrored kernel.
    begin.push_back(n.expr((kernel[i] - 1) * (*dilations)[i]) - padBegin);
  }
  Value packed = packConv(n, n.in(1), groups, kernel, true);
  return n.set(convWith(n, n.in(0), packed, n.in(2), w[1] * groups, out, kernel, SmallVector<int64_t>(spatial, 1),
                        *dilations, *strides, begin, groups, n.element(0)));
}

} // namespace

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

Value import::poolOf(Node &n, Value input, Pool kind, Value *where) {
  int64_t rank = n.type(input).getRank(), spatial = rank - 2;
  auto kernel = n.attrInts("kernel_shape");
  if (spatial < 1 || !kernel || (int64_t)kernel->size() != spatial)
    return (void)n.error("expected a kernel_shape of " + Twine(spatial) + " sizes"), Value();
  SmallVector<Expr> x = n.dims(input), extents;
  auto w = windowOf(n, ArrayRef<Expr>(x).drop_front(2), *kernel);
  if (!w)
    return {};
  SmallVector<Expr> out{x[0], x[1]};
  llvm::append_range(out, w->out);
  for (int64_t k : *kernel)
    extents.push_back(n.expr(k));
  Type type = n.type(input).getElementType();
  SmallVector<int64_t> checked;
  for (int64_t i = 0; i < spatial; ++i)
    if (!w->padBegin[i].isConstant(0) || !w->padEnd[i].isConstant(0) || n.attrInt("ceil_mode", 0))
      checked.push_back(i + 2);
  auto position = [&](Body &b, int64_t i) { // along spatial dimension i, in the input
    Value at = b.mul(b.index(i + 2), b.idx(w->strides[i]));
    Value tap = b.index(rank + i);
    at = b.add(at, w->dilations[i] == 1 ? tap : b.mul(tap, b.idx(w->dilations[i])));
    return w->padBegin[i].isConstant(0) ? at : b.sub(at, b.size(w->padBegin[i]));
  };
  auto element = [&](Body &b) {
    SmallVector<Value> at{b.index(0), b.index(1)};
    for (int64_t i = 0; i < spatial; ++i)
      at.push_back(position(b, i));
    Type scalar = b.type(0).scalarType();
    Value outside = b.zero(scalar);
    if (kind == Pool::max)
      outside = isa<FloatType>(scalar) ? b.constant(scalar, -INFINITY)
                : type.isUnsignedInteger()
                    ? b.integer(scalar, 0)
                    : b.integer(scalar, llvm::APInt::getSignedMinValue(scalar.getIntOrFloatBitWidth()).getSExtValue());
    Value v = checked.empty() ? b.read(0, at) : b.readOr(0, at, outside, checked);
    return v;
  };
  bool includePad = n.attrInt("count_include_pad", 0);
  double p = n.attrInt("p", 2);
  ReduceKind combine = kind == Pool::max ? ReduceKind::max : ReduceKind::add;
  bool widen = kind == Pool::max && type.isUnsignedInteger(); // compared as signed numbers
  Value r = n.reduce(
      n.tensor(out, type), combine, extents, input,
      [&](Body &b) {
        Value v = element(b);
        if (widen)
          return b.convert(v, type, b.b.getIntegerType(64));
        v = b.toCompute(v, type);
        return kind == Pool::lp ? b.math<math::PowFOp>(b.abs(v), b.constant(v.getType(), p)) : v;
      },
      [&](Body &b) {
        Value acc = b.scalar(0);
        if (widen)
          return b.convert(acc, b.b.getIntegerType(64), type);
        if (kind == Pool::lp)
          acc = b.math<math::PowFOp>(acc, b.constant(acc.getType(), 1 / p));
        if (kind == Pool::average) {
          // How many positions count: those inside the input, or inside the padded input.
          Value count;
          for (int64_t i = 0; i < spatial; ++i) {
            Value start = b.sub(b.mul(b.index(i + 2), b.idx(w->strides[i])), b.size(w->padBegin[i]));
            Value span = b.idx((*kernel)[i]);
            Value c = span;
            Value low = includePad ? b.sub(b.idx(0), b.size(w->padBegin[i])) : b.idx(0);
            Value high = b.size(includePad ? x[i + 2] + w->padEnd[i] : x[i + 2]);
            if (!checked.empty()) {
              Value d = b.idx(w->dilations[i]);
              // taps t with low <= start + t d < high
              Value first = b.max(b.idx(0), b.div(b.add(b.sub(low, start), b.sub(d, b.idx(1))), d));
              Value last = b.min(span, b.div(b.add(b.max(b.idx(0), b.sub(high, start)), b.sub(d, b.idx(1))), d));
              c = b.max(b.idx(0), b.sub(last, b.min(first, last)));
            }
            count = count ? b.mul(count, c) : c;
          }
          acc = b.div(acc, b.fromIndex(count, acc.getType()));
        }
        return b.fromCompute(acc, type);
      });
  if (!where)
    return r;
  // The flat index of each maximum in the input tensor (storage_order 1: column-major within a plane).
  bool columnMajor = n.attrInt("storage_order", 0);
  *where = n.reduce(
      n.tensor(out, n.b.getI64Type()), ReduceKind::argmax, extents, input,
      [&](Body &b) {
        return widen ? b.convert(element(b), type, b.b.getIntegerType(64)) : b.toCompute(element(b), type);
      },
      [&](Body &b) {
        Value taps = b.toIndex(b.scalar(0));
        SmallVector<Value> at(spatial);
        for (int64_t i = spatial; i-- > 0;) {
          Value t = b.math<arith::RemUIOp>(taps, b.idx((*kernel)[i]));
          taps = b.math<arith::DivUIOp>(taps, b.idx((*kernel)[i]));
          at[i] = b.sub(b.add(b.mul(b.index(i + 2), b.idx(w->strides[i])), b.mul(t, b.idx(w->dilations[i]))),
                        b.size(w->padBegin[i]));
        }
        Value flat = b.add(b.mul(b.index(0), b.size(x[1])), b.index(1));
        for (int64_t k = 0; k < spatial; ++k) {
          int64_t i = columnMajor ? spatial - 1 - k : k;
          flat = b.add(b.mul(flat, b.size(x[i + 2])), at[i]);
        }
        return b.fromIndex(flat, b.b.getI64Type());
      });
  return r;
}

template <Pool kind> static LogicalResult pool(Node &n) { return n.set(poolOf(n, n.in(0), kind)); }

static LogicalResult maxPool(Node &n) {
  Value where;
  Value r = poolOf(n, n.in(0), Pool::max, n.wants(1) ? &where : nullptr);
  return failed(n.set(0, r)) || (where && failed(n.set(1, where))) ? failure() : success();
}

void import::registerContract(OpTable &t) {
  t["MatMul"] = {matMul, 2};
  t["Gemm"] = {gemm, 2};
  t["com.microsoft.FusedMatMul"] =
      Definition{fusedMatMul, 2}.understanding(2, "alpha transA transB transBatchA=0 transBatchB=0");
  t["Conv"] = {conv, 2};
  t["ConvTranspose"] = {convTranspose, 2};
  t["MaxPool"] = maxPool;
  t["AveragePool"] = pool<Pool::average>;
  t["LpPool"] = pool<Pool::lp>;
}
