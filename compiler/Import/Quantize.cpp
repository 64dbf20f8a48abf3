//===- Quantize.cpp - quantised tensors and their arithmetic --------------===//
//
// Scales and zero points become scalar bodies around the operators on real numbers; products of integers stay integers,
// exactly.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

/// The element of a scale or zero point that belongs to the result's element at the body's indices.
static Value parameter(Node &n, Body &b, unsigned operand, QuantAxis at) {
  SymTensorType type = b.type(operand);
  SmallVector<Value> where;
  if (at.block > 0) {
    where = b.indices();
    where[at.axis] = b.math<arith::DivUIOp>(where[at.axis], b.idx(at.block));
  } else if (type.getRank() == 1 && !type.dim(0).isConstant(1)) {
    where.push_back(b.index(at.axis));
  } else {
    where.assign(type.getRank(), b.idx(0));
  }
  return b.read(operand, where);
}

/// Checks that scale and zero point fit `x`; answers the axis counted from the front.
static std::optional<QuantAxis> checkParameters(Node &n, Value x, Value scale, Value zero, QuantAxis at) {
  int64_t rank = n.type(x).getRank();
  SmallVector<Value> parameters{scale};
  if (zero)
    parameters.push_back(zero);
  for (Value v : parameters) {
    SymTensorType type = n.type(v);
    bool one = llvm::all_of(n.dims(v), [](Expr d) { return d.isConstant(1); });
    if (at.block > 0 ? type.getRank() != rank : !one && type.getRank() != 1) {
      (void)n.error("expected " + (at.block > 0 ? "scales of rank " + Twine(rank) : Twine("a scalar or a vector")) +
                    " for scale and zero point but got rank " + Twine(type.getRank()));
      return std::nullopt;
    }
    if (one && at.block == 0)
      continue;
    auto axis = n.axis(at.axis, rank);
    if (!axis)
      return std::nullopt;
    at.axis = *axis;
    Expr expected = n.type(x).dim(at.axis);
    if (at.block > 0)
      expected = Expr::ceilDiv(expected, n.expr(at.block));
    if (failed(n.require(expected, type.dim(at.block > 0 ? at.axis : 0), "scales along the axis")))
      return std::nullopt;
    for (int64_t d = 0; at.block > 0 && d < rank; ++d)
      if (d != at.axis && failed(n.require(n.type(x).dim(d), type.dim(d), "dimension " + Twine(d) + " of the scales")))
        return std::nullopt;
  }
  return at;
}

Value import::dequantize(Node &n, Value x, Value scale, Value zero, Type element, QuantAxis at) {
  auto where = checkParameters(n, x, scale, zero, at);
  if (!where)
    return {};
  Type from = n.type(x).getElementType(), f32 = n.b.getF32Type(), i32 = n.b.getI32Type();
  if (from.isIntOrIndex() && from.getIntOrFloatBitWidth() > 32) {
    (void)n.error("unsupported quantised type of 64 bits");
    return {};
  }
  SmallVector<Value> in{x, scale};
  bool isInteger = isa<IntegerType>(from);
  if (zero && isInteger)
    in.push_back(zero);
  return n.generic(n.tensor(n.dims(x), element), in, [&](Body &b) {
    Value v = b.read(0, b.indices());
    if (isInteger) {
      v = b.convert(v, from, i32);
      if (in.size() > 2)
        v = b.sub(v, b.convert(parameter(n, b, 2, *where), n.type(zero).getElementType(), i32));
      v = b.convert(v, i32, f32);
    } else {
      v = b.convert(v, from, f32);
    }
    v = b.mul(v, b.convert(parameter(n, b, 1, *where), n.type(scale).getElementType(), f32));
    return b.convert(v, f32, element);
  });
}

/// A float as an element of a quantised type: rounded to even and kept in range. `zero` is a float or null.
static Value toQuantised(Body &b, Value v, Value zero, Type element, bool saturate) {
  Type t = v.getType();
  if (auto f = dyn_cast<FloatType>(element)) {
    if (zero) // it is 0, and makes 0 of -0
      v = b.add(v, zero);
    if (saturate && f.getWidth() <= 8)
      v = b.saturate(v, f);
    return b.convert(v, t, element);
  }
  unsigned width = element.getIntOrFloatBitWidth();
  bool u = isUnsigned(element);
  double low = u ? 0 : -std::ldexp(1.0, width - 1), high = std::ldexp(1.0, u ? width : width - 1) - 1;
  v = b.math<math::RoundEvenOp>(v);
  if (zero)
    v = b.add(v, zero);
  Value least = b.constant(t, low), most = b.constant(t, high);
  if (width > 16)
    return b.convert(b.min(b.max(v, least), most), t, element);
  // In range, and no NaN: nothing is left for the conversion to guard.
  v = b.select(b.cmp(Cmp::ge, v, least), v, least);
  v = b.select(b.cmp(Cmp::le, v, most), v, most);
  Type narrow = b.b.getIntegerType(width);
  Value wide = arith::FPToSIOp::create(b.b, b.loc, b.b.getI32Type(), v);
  return arith::TruncIOp::create(b.b, b.loc, narrow, wide);
}

Value import::quantize(Node &n, Value x, Value scale, Value zero, Type element, QuantAxis at, bool saturate) {
  auto where = checkParameters(n, x, scale, zero, at);
  if (!where)
    return {};
  Type from = n.type(x).getElementType(), f32 = n.b.getF32Type();
  SmallVector<Value> in{x, scale};
  if (zero)
    in.push_back(zero);
  return n.generic(n.tensor(n.dims(x), element), in, [&](Body &b) {
    Value v = b.convert(b.read(0, b.indices()), from, f32);
    v = b.div(v, b.convert(parameter(n, b, 1, *where), n.type(scale).getElementType(), f32));
    Value z = zero ? b.convert(parameter(n, b, 2, *where), n.type(zero).getElementType(), f32) : Value();
    return toQuantised(b, v, z, element, saturate);
  });
}

namespace {

QuantAxis axisOf(Node &n) { return {n.attrInt("axis", 1), n.attrInt("block_size", 0)}; }

/// What output_dtype says, else `otherwise`.
Type outputType(Node &n, Type otherwise) {
  int64_t code = n.attrInt("output_dtype", 0);
  return code ? elementType(n.context, code) : otherwise;
}

LogicalResult quantizeLinear(Node &n) {
  Type element = n.has(2) ? n.element(2) : outputType(n, IntegerType::get(n.context, 8, IntegerType::Unsigned));
  if (!element || n.type(n.in(0)).getElementType().isF64())
    return n.error("unsupported type of QuantizeLinear");
  return n.set(quantize(n, n.in(0), n.in(1), n.in(2), element, axisOf(n), n.attrInt("saturate", 1)));
}

LogicalResult dequantizeLinear(Node &n) {
  Type element = outputType(n, n.element(1));
  if (!element)
    return n.error("unsupported output_dtype");
  return n.set(dequantize(n, n.in(0), n.in(1), n.in(2), element, axisOf(n)));
}

/// Scale and zero point that fit a float tensor's range, with zero in it, into ui8; and the tensor in them.
std::array<Value, 3> quantizeDynamically(Node &n, Value x) {
  Type f32 = n.b.getF32Type(), u8 = IntegerType::get(n.context, 8, IntegerType::Unsigned);
  Value flat = n.reshape(x, {n.type(x).numElements()});
  auto extreme = [&](ReduceKind kind) {
    return reduceOver(
        n, flat, {0}, false, kind, f32, [](Body &, Value v) { return v; }, [](Body &, Value v, Expr) { return v; });
  };
  Value low = extreme(ReduceKind::min), high = extreme(ReduceKind::max);
  Value scale = n.map(f32, {low, high}, [&](Body &b, ArrayRef<Value> v) {
    Value zero = b.zero(f32), span = b.sub(b.max(v[1], zero), b.min(v[0], zero));
    return b.select(b.cmp(Cmp::eq, span, zero), b.constant(f32, 1), b.div(span, b.constant(f32, 255)));
  });
  Value zero = n.generic(n.tensor({}, u8), {low, scale}, [&](Body &b) {
    Value least = b.min(b.read(0, {}), b.zero(f32));
    return toQuantised(b, b.div(b.sub(b.zero(f32), least), b.read(1, {})), {}, u8, true);
  });
  return {quantize(n, x, scale, zero, u8), scale, zero};
}

LogicalResult dynamicQuantizeLinear(Node &n) {
  auto [y, scale, zero] = quantizeDynamically(n, n.in(0));
  return failed(n.set(0, y)) || failed(n.set(1, scale)) ? failure() : n.set(2, zero);
}

//===----------------------------------------------------------------------===//
// Products of integers (IntegerProducts.cpp)
//===----------------------------------------------------------------------===//

LogicalResult matMulInteger(Node &n) { return n.set(integerProduct(n, n.in(0), n.in(2), n.in(1), n.in(3))); }

LogicalResult convInteger(Node &n) { return n.set(integerConv(n, n.in(0), n.in(2), n.in(1), n.in(3))); }

/// An i32 sum as a quantised value: round(sum * (xScale * wScale / yScale)) + yZero. Scales lie along `axis` of the
/// result, or, for rows and columns of a product, as they broadcast.
Value requantize(Node &n, Value sum, Value xScale, Value wScale, Value yScale, Value yZero, Type element,
                 std::optional<int64_t> axis) {
  SmallVector<Value> in{sum, xScale, wScale, yScale};
  if (yZero)
    in.push_back(yZero);
  Type f32 = n.b.getF32Type(), i32 = n.b.getI32Type();
  return n.generic(n.tensor(n.dims(sum), element), in, [&](Body &b) {
    auto operand = [&](unsigned i) {
      bool one = llvm::all_of(n.dims(in[i]), [](Expr d) { return d.isConstant(1); });
      Value v = one || axis ? parameter(n, b, i, {axis.value_or(0), 0}) : b.readBroadcast(i);
      return b.convert(v, n.type(in[i]).getElementType(), f32);
    };
    Value v = b.convert(b.read(0, b.indices()), i32, f32);
    v = b.mul(v, b.div(b.mul(operand(1), operand(2)), operand(3)));
    return toQuantised(b, v, yZero ? operand(4) : Value(), element, true);
  });
}

LogicalResult qLinearMatMul(Node &n) { // a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero
  Value sum = integerProduct(n, n.in(0), n.in(2), n.in(3), n.in(5));
  if (!sum)
    return failure();
  return n.set(requantize(n, sum, alongRows(n, n.in(1), true), alongRows(n, n.in(4), false), n.in(6), n.in(7),
                          n.element(7), std::nullopt));
}

LogicalResult qLinearConv(Node &n) { // x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias
  Value sum = integerConv(n, n.in(0), n.in(2), n.in(3), n.in(5));
  if (!sum)
    return failure();
  Value bias = n.in(8);
  if (bias && failed(n.require(n.type(bias).numElements(), n.type(sum).dim(1), "elements of a bias")))
    return failure();
  if (bias)
    sum = n.generic(n.type(sum), {sum, bias},
                    [&](Body &b) { return b.add(b.read(0, b.indices()), b.read(1, b.index(1))); });
  return n.set(requantize(n, sum, n.in(1), n.in(4), n.in(6), n.in(7), n.element(7), 1));
}

/// com.microsoft QGemm: a, a_scale, a_zero, b, b_scale, b_zero, c (i32), y_scale, y_zero; floats without y_scale.
LogicalResult qGemm(Node &n) {
  Value a = n.attrInt("transA", 0) ? n.transpose(n.in(0), {1, 0}) : n.in(0);
  Value sum = a ? integerProduct(n, a, n.in(2), n.in(3), n.in(5), n.attrInt("transB", 0)) : Value();
  if (!sum)
    return failure();
  if (Value c = n.in(6))
    sum = n.generic(n.type(sum), {sum, c}, [](Body &b) { return b.add(b.read(0, b.indices()), b.readBroadcast(1)); });
  Type f32 = n.b.getF32Type();
  Value alpha = n.constantFloat(n.attrFloat("alpha", 1), f32);
  Value scale = n.map(f32, {n.in(1), alpha}, [](Body &b, ArrayRef<Value> v) { return b.mul(v[0], v[1]); });
  if (n.has(7))
    return n.set(requantize(n, sum, scale, n.in(4), n.in(7), n.in(8), n.element(n.has(8) ? 8 : 0), 1));
  return n.set(n.map(f32, {sum, scale, n.in(4)}, [&](Body &b, ArrayRef<Value> v) {
    return b.mul(b.convert(v[0], n.b.getI32Type(), f32), b.mul(v[1], v[2]));
  }));
}

/// scale * sum + bias, as floats.
Value scaledSum(Node &n, Value sum, Value lhsScale, Value rhsScale, Value bias) {
  SmallVector<Value> in{sum, lhsScale, alongRows(n, rhsScale, false)};
  if (bias)
    in.push_back(bias);
  Type element = n.type(rhsScale).getElementType();
  return n.map(element, in, [&](Body &b, ArrayRef<Value> v) {
    Value y = b.mul(b.convert(v[0], n.b.getI32Type(), v[1].getType()), b.mul(v[1], v[2]));
    return v.size() > 3 ? b.add(y, v[3]) : y;
  });
}

LogicalResult dynamicQuantizeMatMul(Node &n) { // a (float), b, b_scale, b_zero, bias
  auto [a, scale, zero] = quantizeDynamically(n, n.in(0));
  Value sum = a ? integerProduct(n, a, zero, n.in(1), n.in(3)) : Value();
  return sum ? n.set(scaledSum(n, sum, scale, n.in(2), n.in(4))) : failure();
}

LogicalResult matMulIntegerToFloat(Node &n) { // a, b, a_scale, b_scale, a_zero, b_zero, bias
  Value sum = integerProduct(n, n.in(0), n.in(4), n.in(1), n.in(5));
  return sum ? n.set(scaledSum(n, sum, alongRows(n, n.in(2), true), n.in(3), n.in(6))) : failure();
}

//===----------------------------------------------------------------------===//
// com.microsoft: operators between a dequantisation and a quantisation
//===----------------------------------------------------------------------===//

/// Inputs i, i + 1, i + 2 (element, scale, zero point) as f32.
Value real(Node &n, unsigned i) { return dequantize(n, n.in(i), n.in(i + 1), n.in(i + 2), n.b.getF32Type()); }
/// `v` in the scale and zero point of inputs i, i + 1; the type is that of input 0 where there is no zero point.
LogicalResult setQuantised(Node &n, Value v, unsigned i) {
  return v ? n.set(quantize(n, v, n.in(i), n.in(i + 1), n.has(i + 1) ? n.element(i + 1) : n.element(0))) : failure();
}

template <bool product> LogicalResult qLinearBinary(Node &n) {
  Value x = real(n, 0), y = real(n, 3);
  if (!x || !y)
    return failure();
  Value v = n.map(n.b.getF32Type(), {x, y},
                  [](Body &b, ArrayRef<Value> v) { return product ? b.mul(v[0], v[1]) : b.add(v[0], v[1]); });
  return setQuantised(n, v, 6);
}

LogicalResult qLinearUnary(Node &n, llvm::function_ref<Value(Body &, Value)> fn) {
  Value x = real(n, 0);
  return x ? setQuantised(n, n.map(n.b.getF32Type(), x, [&](Body &b, ArrayRef<Value> v) { return fn(b, v[0]); }), 3)
           : failure();
}
LogicalResult qLinearSigmoid(Node &n) {
  return qLinearUnary(n, [](Body &b, Value x) { return b.sigmoid(x); });
}
LogicalResult qLinearLeakyRelu(Node &n) {
  return qLinearUnary(n, [&](Body &b, Value x) {
    return b.select(b.cmp(Cmp::lt, x, b.zero(x.getType())),
                    b.mul(x, b.constant(x.getType(), n.attrFloat("alpha", 0.01))), x);
  });
}
LogicalResult qLinearSoftmax(Node &n) {
  Value x = real(n, 0);
  return x ? setQuantised(n, softmaxOf(n, x, NormKind::softmax, n.attrInt("axis", -1), n.attrInt("opset", 13) < 13), 3)
           : failure();
}

/// Runs `fn` on the input with its channels first.
LogicalResult qLinearPool(Node &n, llvm::function_ref<Value(Value)> fn) {
  Value x = real(n, 0);
  if (!x)
    return failure();
  bool last = n.attrInt("channels_last", 0);
  int64_t rank = n.rank(0);
  if (rank < 3)
    return n.error("expected an input with spatial dimensions but got rank " + Twine(rank));
  SmallVector<int64_t> toFirst{0, rank - 1}, toLast{0};
  for (int64_t i = 1; i < rank - 1; ++i)
    toFirst.push_back(i), toLast.push_back(i + 1);
  toLast.push_back(1);
  Value y = fn(last ? n.transpose(x, toFirst) : x);
  return y ? setQuantised(n, last ? n.transpose(y, toLast) : y, 3) : failure();
}
LogicalResult qLinearAveragePool(Node &n) {
  return qLinearPool(n, [&](Value x) { return poolOf(n, x, Pool::average); });
}
LogicalResult qLinearGlobalAveragePool(Node &n) {
  return qLinearPool(n, [&](Value x) {
    SmallVector<int64_t> axes;
    for (int64_t i = 2; i < n.rank(0); ++i)
      axes.push_back(i);
    return reduceOver(
        n, x, axes, true, ReduceKind::add, n.b.getF32Type(), [](Body &, Value v) { return v; },
        [](Body &b, Value v, Expr count) { return b.div(v, b.fromIndex(b.size(count), v.getType())); });
  });
}

LogicalResult qLinearConcat(Node &n) { // y_scale, y_zero, then (x, scale, zero point)s
  SmallVector<Value> parts;
  for (unsigned i = 2; i + 2 < n.numInputs(); i += 3) {
    if (!n.has(i) || !n.has(i + 1))
      return n.error("input " + Twine(n.has(i) ? i + 1 : i) + " of QLinearConcat is missing");
    Value x = real(n, i);
    Value y = x ? quantize(n, x, n.in(0), n.in(1), n.element(1)) : Value();
    if (!y)
      return failure();
    parts.push_back(y);
  }
  auto axis = parts.empty() ? std::nullopt : n.axis(n.attrInt("axis", 0), n.type(parts[0]).getRank());
  return axis ? n.set(n.concat(parts, *axis)) : failure();
}

} // namespace

void import::registerQuantize(OpTable &t) {
  t["ConvInteger"] = {convInteger, 2};
  t["DequantizeLinear"] = {dequantizeLinear, 2};
  t["DynamicQuantizeLinear"] = dynamicQuantizeLinear;
  t["MatMulInteger"] = {matMulInteger, 2};
  t["QLinearConv"] = {qLinearConv, 8};
  t["QLinearMatMul"] = {qLinearMatMul, 8};
  t["QuantizeLinear"] = {quantizeLinear, 2};
  t["com.microsoft.DequantizeLinear"] = Definition{dequantizeLinear, 2}.understanding(3, "axis");
  t["com.microsoft.QuantizeLinear"] = Definition{quantizeLinear, 2}.understanding(3, "axis");
  t["com.microsoft.DynamicQuantizeMatMul"] = Definition{dynamicQuantizeMatMul, 3}.understanding(5, "");
  t["com.microsoft.MatMulIntegerToFloat"] = Definition{matMulIntegerToFloat, 4}.understanding(7, "");
  t["com.microsoft.QGemm"] = Definition{qGemm, {0, 1, 3, 4}}.understanding(9, "alpha transA transB");
  t["com.microsoft.QLinearAdd"] = Definition{qLinearBinary<false>, {0, 1, 3, 4, 6}}.understanding(8, "");
  t["com.microsoft.QLinearAveragePool"] = Definition{qLinearAveragePool, {0, 1, 3}}.understanding(
      5, "auto_pad ceil_mode channels_last count_include_pad kernel_shape pads strides");
  t["com.microsoft.QLinearConcat"] = Definition{qLinearConcat, 4}.understanding(~0u, "axis");
  t["com.microsoft.QLinearGlobalAveragePool"] =
      Definition{qLinearGlobalAveragePool, {0, 1, 3}}.understanding(5, "channels_last");
  t["com.microsoft.QLinearLeakyRelu"] = Definition{qLinearLeakyRelu, {0, 1, 3}}.understanding(5, "alpha");
  t["com.microsoft.QLinearMul"] = Definition{qLinearBinary<true>, {0, 1, 3, 4, 6}}.understanding(8, "");
  t["com.microsoft.QLinearSigmoid"] = Definition{qLinearSigmoid, {0, 1, 3}}.understanding(5, "");
  t["com.microsoft.QLinearSoftmax"] = Definition{qLinearSoftmax, {0, 1, 3}}.understanding(5, "axis opset");
}
