//===- Elementwise.cpp - operators that work element by element -----------===//
//
// A row an operator: what an element is, in f32 for the narrow floats. Broadcasting, types and shapes are the table's
// business.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Node.h"
#include "compiler/Import/Proto.h"
#include "compiler/Import/Shared.h"
#include <numbers>

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

Value import::secondOperand(Node &n) {
  Value y = n.in(1);
  bool slopes = n.op() == "PRelu" && n.rank(0) > 1 && n.rank(1) == 1; // one a channel
  if (n.opset >= 7 || (!n.attr("axis") && !slopes))
    return y;
  auto axis = n.axis(n.attrInt("axis", slopes ? 1 : 0), n.rank(0));
  SmallVector<Expr> dims = n.dims(y);
  if (!axis || *axis + (int64_t)dims.size() > n.rank(0))
    return y;
  dims.append(n.rank(0) - *axis - dims.size(), n.expr(1));
  return n.reshape(y, dims);
}

namespace {

using Unary = Value (*)(Body &, Value x, Node &);

template <Unary fn> LogicalResult unary(Node &n) {
  return n.set(n.map(n.element(0), n.in(0), [&](Body &b, ArrayRef<Value> x) { return fn(b, x[0], n); }));
}

template <typename Op> Value mathOp(Body &b, Value x, Node &) { return b.math<Op>(x); }

Value relu(Body &b, Value x, Node &n) { return b.max(x, b.zero(x.getType()), isUnsigned(n.element(0))); }
Value leakyRelu(Body &b, Value x, Node &n) {
  return b.select(b.cmp(Cmp::lt, x, b.zero(x.getType())), b.mul(x, b.constant(x.getType(), n.attrFloat("alpha", 0.01))),
                  x);
}
Value elu(Body &b, Value x, Node &n) {
  Value y = b.mul(b.constant(x.getType(), n.attrFloat("alpha", 1)), b.math<math::ExpM1Op>(x));
  return b.select(b.cmp(Cmp::lt, x, b.zero(x.getType())), y, x);
}
Value celu(Body &b, Value x, Node &n) {
  Value a = b.constant(x.getType(), n.attrFloat("alpha", 1)), zero = b.zero(x.getType());
  return b.add(b.max(zero, x), b.min(zero, b.mul(a, b.math<math::ExpM1Op>(b.div(x, a)))));
}
Value selu(Body &b, Value x, Node &n) {
  Value alpha = b.constant(x.getType(), n.attrFloat("alpha", 1.67326319217681884765625));
  Value gamma = b.constant(x.getType(), n.attrFloat("gamma", 1.05070102214813232421875));
  return b.mul(gamma, b.select(b.cmp(Cmp::gt, x, b.zero(x.getType())), x, b.mul(alpha, b.math<math::ExpM1Op>(x))));
}
Value sigmoid(Body &b, Value x, Node &) { return b.sigmoid(x); }
Value hardSigmoid(Body &b, Value x, Node &n) {
  Type t = x.getType();
  Value y = b.add(b.mul(x, b.constant(t, n.attrFloat("alpha", 0.2))), b.constant(t, n.attrFloat("beta", 0.5)));
  return b.max(b.zero(t), b.min(b.constant(t, 1), y));
}
Value hardSwish(Body &b, Value x, Node &) {
  Type t = x.getType();
  Value y = b.add(b.mul(x, b.constant(t, 1.0 / 6)), b.constant(t, 0.5));
  return b.mul(x, b.max(b.zero(t), b.min(b.constant(t, 1), y)));
}
Value swish(Body &b, Value x, Node &n) { // x * sigmoid(alpha x)
  return b.mul(x, b.sigmoid(b.mul(x, b.constant(x.getType(), n.attrFloat("alpha", 1)))));
}
LogicalResult swiGlu(Node &n) { // swish(gate) * x, of one shape: nothing is broadcast
  if (n.rank(0) != n.rank(1))
    return n.error("expected inputs of one shape but got ranks " + Twine(n.rank(0)) + " and " + Twine(n.rank(1)));
  for (auto [gate, x] : llvm::zip(n.dims(n.in(0)), n.dims(n.in(1))))
    if (failed(n.require(gate, x, "dimensions of the gate and the input")))
      return failure();
  return n.set(n.map(n.element(0), {n.in(0), n.in(1)},
                     [&](Body &b, ArrayRef<Value> v) { return b.mul(swish(b, v[0], n), v[1]); }));
}
Value quickGelu(Body &b, Value x, Node &n) {
  return b.mul(x, b.sigmoid(b.mul(x, b.constant(x.getType(), n.attrFloat("alpha", 1.702)))));
}
Value softplus(Body &b, Value x, Node &) { // max(x, 0) + log1p(exp(-|x|)): no overflow
  return b.add(b.max(x, b.zero(x.getType())), b.math<math::Log1pOp>(b.math<math::ExpOp>(b.neg(b.abs(x)))));
}
Value softsign(Body &b, Value x, Node &) { return b.div(x, b.add(b.constant(x.getType(), 1), b.abs(x))); }
Value mish(Body &b, Value x, Node &n) { return b.mul(x, b.math<math::TanhOp>(softplus(b, x, n))); }
Value thresholdedRelu(Body &b, Value x, Node &n) {
  return b.select(b.cmp(Cmp::gt, x, b.constant(x.getType(), n.attrFloat("alpha", 1))), x, b.zero(x.getType()));
}
Value shrink(Body &b, Value x, Node &n) {
  Type t = x.getType();
  Value lambd = b.constant(t, n.attrFloat("lambd", 0.5)), bias = b.constant(t, n.attrFloat("bias", 0));
  Value low = b.select(b.cmp(Cmp::lt, x, b.neg(lambd)), b.add(x, bias), b.zero(t));
  return b.select(b.cmp(Cmp::gt, x, lambd), b.sub(x, bias), low);
}
Value geluErf(Body &b, Value x) {
  Type t = x.getType();
  Value e = b.math<math::ErfOp>(b.mul(x, b.constant(t, std::numbers::sqrt2 / 2)));
  return b.mul(b.mul(x, b.constant(t, 0.5)), b.add(b.constant(t, 1), e));
}
Value geluTanh(Body &b, Value x) {
  Type t = x.getType();
  Value cube = b.mul(b.mul(x, x), x);
  Value inner = b.mul(b.constant(t, 0.7978845608028654), b.add(x, b.mul(b.constant(t, 0.044715), cube)));
  return b.mul(b.mul(x, b.constant(t, 0.5)), b.add(b.constant(t, 1), b.math<math::TanhOp>(inner)));
}
LogicalResult gelu(Node &n) {
  auto approximate = n.attrWord("approximate", {"none", "tanh"});
  if (!approximate)
    return failure();
  return n.set(n.map(n.element(0), n.in(0), [&](Body &b, ArrayRef<Value> x) {
    return *approximate == "tanh" ? geluTanh(b, x[0]) : geluErf(b, x[0]);
  }));
}
Value reciprocal(Body &b, Value x, Node &) { return b.div(b.constant(x.getType(), 1), x); }
Value negate(Body &b, Value x, Node &) { return b.neg(x); }
Value absolute(Body &b, Value x, Node &n) { return b.abs(x, isUnsigned(n.element(0))); }
Value sign(Body &b, Value x, Node &n) {
  Type t = x.getType();
  bool u = isUnsigned(n.element(0));
  Value zero = b.zero(t);
  Value negative =
      u ? zero : b.select(b.cmp(Cmp::lt, x, zero), b.constant(t, -1), isa<FloatType>(t) ? x : zero); // NaN and -0 stay
  return b.select(b.cmp(Cmp::gt, x, zero, u), b.constant(t, 1), negative);
}
Value logicalNot(Body &b, Value x, Node &) { return b.logicalNot(x); }
Value bitwiseNot(Body &b, Value x, Node &) { return b.math<arith::XOrIOp>(x, b.integer(x.getType(), -1)); }
Value acosh(Body &b, Value x, Node &) { return b.math<math::AcoshOp>(x); }

using Binary = Value (*)(Body &, Value x, Value y, Node &);

template <Binary fn> LogicalResult binary(Node &n) {
  if (n.element(0) != n.element(1))
    return n.error("expected operands of one type but got " + n.typeText(0) + " and " + n.typeText(1));
  return n.set(n.map(n.element(0), {n.in(0), secondOperand(n)},
                     [&](Body &b, ArrayRef<Value> x) { return fn(b, x[0], x[1], n); }));
}
/// A relation: the result is boolean, whatever the operands are.
template <Cmp kind> LogicalResult compare(Node &n) {
  if (n.element(0) != n.element(1))
    return n.error("expected operands of one type but got " + n.typeText(0) + " and " + n.typeText(1));
  return n.set(n.map(n.b.getI1Type(), {n.in(0), secondOperand(n)},
                     [&](Body &b, ArrayRef<Value> x) { return b.cmp(kind, x[0], x[1], isUnsigned(n.element(0))); }));
}
/// All operands, combined from the left, and `finish` of that. A kernel reads kMaxTogether of them at most: more are
/// combined in steps, whose sums stay as wide as within one.
Value foldLeft(Node &n, Binary combine, llvm::function_ref<Value(Body &, Value)> finish) {
  SmallVector<Value> in;
  for (unsigned i = 0; i < n.numInputs(); ++i)
    in.push_back(n.in(i));
  ArrayRef<Value> rest = in;
  Type between = isa<Float16Type, BFloat16Type>(n.element(0)) ? Type(n.b.getF32Type()) : n.element(0);
  SmallVector<Value> step;
  while (!rest.empty()) {
    size_t count = std::min(rest.size(), kMaxTogether - step.size());
    llvm::append_range(step, rest.take_front(count));
    rest = rest.drop_front(count);
    Value folded = n.map(rest.empty() ? n.element(0) : between, step, [&](Body &b, ArrayRef<Value> x) {
      Value acc = x[0];
      for (Value v : x.drop_front())
        acc = combine(b, acc, v, n);
      return rest.empty() ? finish(b, acc) : acc;
    });
    step = {folded};
  }
  return step[0];
}
template <Binary fn> LogicalResult variadic(Node &n) {
  if (n.numInputs() == 1)
    return n.set(n.in(0));
  return n.set(foldLeft(n, fn, [](Body &, Value v) { return v; }));
}

Value add(Body &b, Value x, Value y, Node &) { return b.add(x, y); }
Value sub(Body &b, Value x, Value y, Node &) { return b.sub(x, y); }
Value mul(Body &b, Value x, Value y, Node &) { return b.mul(x, y); }
Value maximum(Body &b, Value x, Value y, Node &n) { return b.max(x, y, isUnsigned(n.element(0))); }
Value minimum(Body &b, Value x, Value y, Node &n) { return b.min(x, y, isUnsigned(n.element(0))); }
Value logicalAnd(Body &b, Value x, Value y, Node &) { return b.logicalAnd(x, y); }
Value logicalOr(Body &b, Value x, Value y, Node &) { return b.logicalOr(x, y); }
Value logicalXor(Body &b, Value x, Value y, Node &) { return b.math<arith::XOrIOp>(x, y); }
Value prelu(Body &b, Value x, Value slope, Node &n) {
  return b.select(b.cmp(Cmp::lt, x, b.zero(x.getType()), isUnsigned(n.element(0))), b.mul(x, slope), x);
}
LogicalResult where(Node &n) {
  if (n.element(1) != n.element(2))
    return n.error("expected operands of one type");
  // Values pass through as they are: no rounding through f32.
  auto shape = n.broadcast({n.dims(n.in(0)), n.dims(n.in(1)), n.dims(n.in(2))});
  if (!shape)
    return failure();
  return n.set(n.generic(n.tensor(*shape, n.element(1)), {n.in(0), n.in(1), n.in(2)},
                         [](Body &b) { return b.select(b.readBroadcast(0), b.readBroadcast(1), b.readBroadcast(2)); }));
}

/// Floats of eight bits and fewer keep to their range unless `saturate` says otherwise.
LogicalResult castTo(Node &n, Type to) {
  Type from = n.element(0);
  auto narrow = dyn_cast<FloatType>(to);
  bool saturate = n.attrInt("saturate", 1);
  Type f32 = n.b.getF32Type();
  auto mode = n.attrWord("round_mode", {"up", "down", "nearest"});
  if (!mode)
    return failure();
  if (isa<Float8E8M0FNUType>(to) && from != to) {
    using Rounding = Body::Rounding;
    Rounding rounding = *mode == "up" ? Rounding::up : *mode == "down" ? Rounding::down : Rounding::nearest;
    return n.set(n.generic(n.tensor(n.dims(n.in(0)), to), n.in(0), [&](Body &b) {
      Value x = b.convert(b.read(0, b.indices()), from, f32);
      return b.convert(b.roundToPower(x, rounding, saturate), f32, to);
    }));
  }
  // What the model rounds stays rounded, however it fuses; what is stored narrow only because the model is may keep
  // more.
  if (auto wide = dyn_cast<FloatType>(from); wide && (to.isF16() || to.isBF16()) && wide.getWidth() > 16)
    return n.set(n.generic(n.tensor(n.dims(n.in(0)), to), n.in(0), [&](Body &b) {
      Value rounded = b.convert(b.read(0, b.indices()), from, to);
      rounded.getDefiningOp()->setAttr(kRounds, n.b.getUnitAttr());
      return rounded;
    }));
  if (!narrow || narrow.getWidth() > 8 || from == to || !saturate)
    return n.set(n.cast(n.in(0), to));
  return n.set(n.generic(n.tensor(n.dims(n.in(0)), to), n.in(0), [&](Body &b) {
    return b.convert(b.saturate(b.convert(b.read(0, b.indices()), from, f32), narrow), f32, to);
  }));
}
LogicalResult cast(Node &n) {
  Type to = elementType(n.context, n.attrInt("to", 0));
  if (!to)
    return n.error("unsupported Cast to " + typeName(n.attrInt("to", 0)));
  return castTo(n, to);
}
LogicalResult bitCast(Node &n) {
  Type to = elementType(n.context, n.attrInt("to", 0)), from = n.element(0);
  bool flags = from.isInteger(1) && to && to.isInteger(8); // a boolean is a byte of 0 or 1
  if (!to || (!flags && to.getIntOrFloatBitWidth() != from.getIntOrFloatBitWidth()))
    return n.error("unsupported BitCast between types of different widths");
  if (flags)
    return n.set(n.cast(n.in(0), to));
  return n.set(n.generic(n.tensor(n.dims(n.in(0)), to), n.in(0), [&](Body &b) {
    Value v = b.read(0, b.indices());
    Type scalar = b.result.scalarType();
    return v.getType() == scalar ? v : Value(arith::BitcastOp::create(b.b, b.loc, scalar, v));
  }));
}
LogicalResult castLike(Node &n) { return castTo(n, n.element(1)); }

LogicalResult identity(Node &n) {
  if (const auto *list = n.importer.sequence(n.proto.input(0))) {
    if (n.wants(0))
      n.importer.defineSequence(n.proto.output(0), SmallVector<Value>(*list));
    return success();
  }
  return n.set(n.in(0));
}

LogicalResult dropout(Node &n) { // inference: the mask is all true
  std::optional<double> training = n.has(2) ? n.constFloat(n.in(2)) : std::nullopt,
                        ratio = n.has(1) ? n.constFloat(n.in(1)) : std::nullopt;
  if (n.has(2) && training != 0 && ratio != 0)
    return n.error("unsupported Dropout in training mode");
  if (n.wants(1) && failed(n.set(1, n.generic(n.tensor(n.dims(n.in(0)), n.b.getI1Type()), {},
                                              [](Body &b) { return b.boolean(true); }))))
    return failure();
  return n.set(n.in(0));
}

LogicalResult clip(Node &n) {
  // Bounds are attributes before opset 11, scalars after; an absent one is no bound.
  SmallVector<Value> in{n.in(0)};
  for (unsigned i : {1u, 2u})
    if (n.has(i))
      in.push_back(n.in(i));
  bool u = isUnsigned(n.element(0));
  return n.set(n.map(n.element(0), in, [&](Body &b, ArrayRef<Value> x) {
    Value v = x[0];
    unsigned next = 1;
    if (n.has(1))
      v = b.max(v, x[next++], u);
    else if (n.attr("min"))
      v = b.max(v, b.constant(v.getType(), n.attrFloat("min", 0)), u);
    if (n.has(2))
      v = b.min(v, x[next++], u);
    else if (n.attr("max"))
      v = b.min(v, b.constant(v.getType(), n.attrFloat("max", 0)), u);
    return v;
  }));
}

LogicalResult isNan(Node &n) {
  return n.set(n.map(n.b.getI1Type(), n.in(0), [](Body &b, ArrayRef<Value> x) { return b.isNan(x[0]); }));
}
LogicalResult isInf(Node &n) {
  return n.set(n.map(n.b.getI1Type(), n.in(0), [&](Body &b, ArrayRef<Value> x) {
    Type t = x[0].getType();
    Value up = b.cmp(Cmp::eq, x[0], b.constant(t, INFINITY)), down = b.cmp(Cmp::eq, x[0], b.constant(t, -INFINITY));
    Value r = b.boolean(false);
    if (n.attrInt("detect_positive", 1))
      r = b.logicalOr(r, up);
    if (n.attrInt("detect_negative", 1))
      r = b.logicalOr(r, down);
    return r;
  }));
}

LogicalResult mean(Node &n) {
  return n.set(
      foldLeft(n, add, [&](Body &b, Value sum) { return b.div(sum, b.constant(sum.getType(), n.numInputs())); }));
}

/// com.microsoft BiasGelu, FastGelu: gelu(x + bias), the bias optional.
template <bool tanh> LogicalResult biasGelu(Node &n) {
  SmallVector<Value> in{n.in(0)};
  if (n.has(1))
    in.push_back(n.in(1));
  return n.set(n.map(n.element(0), in, [&](Body &b, ArrayRef<Value> x) {
    Value v = x.size() > 1 ? b.add(x[0], x[1]) : x[0];
    return tanh ? geluTanh(b, v) : geluErf(b, v);
  }));
}
Value msGelu(Body &b, Value x, Node &) { return geluErf(b, x); }

} // namespace

void import::registerElementwise(OpTable &t) {
  t["Abs"] = unary<absolute>;
  t["Acos"] = unary<mathOp<math::AcosOp>>;
  t["Acosh"] = unary<acosh>;
  t["Asin"] = unary<mathOp<math::AsinOp>>;
  t["Asinh"] = unary<mathOp<math::AsinhOp>>;
  t["Atan"] = unary<mathOp<math::AtanOp>>;
  t["Atanh"] = unary<mathOp<math::AtanhOp>>;
  t["Ceil"] = unary<mathOp<math::CeilOp>>;
  t["Celu"] = unary<celu>;
  t["Cos"] = unary<mathOp<math::CosOp>>;
  t["Cosh"] = unary<mathOp<math::CoshOp>>;
  t["Elu"] = unary<elu>;
  t["Erf"] = unary<mathOp<math::ErfOp>>;
  t["Exp"] = unary<mathOp<math::ExpOp>>;
  t["Floor"] = unary<mathOp<math::FloorOp>>;
  t["Gelu"] = gelu;
  t["HardSigmoid"] = unary<hardSigmoid>;
  t["HardSwish"] = unary<hardSwish>;
  t["LeakyRelu"] = unary<leakyRelu>;
  t["Log"] = unary<mathOp<math::LogOp>>;
  t["Mish"] = unary<mish>;
  t["Neg"] = unary<negate>;
  t["Not"] = unary<logicalNot>;
  t["BitwiseNot"] = unary<bitwiseNot>;
  t["Reciprocal"] = unary<reciprocal>;
  t["Relu"] = unary<relu>;
  t["Round"] = unary<mathOp<math::RoundEvenOp>>;
  t["Selu"] = unary<selu>;
  t["Shrink"] = unary<shrink>;
  t["Sigmoid"] = unary<sigmoid>;
  t["Sign"] = unary<sign>;
  t["Sin"] = unary<mathOp<math::SinOp>>;
  t["Sinh"] = unary<mathOp<math::SinhOp>>;
  t["Softplus"] = unary<softplus>;
  t["Softsign"] = unary<softsign>;
  t["Sqrt"] = unary<mathOp<math::SqrtOp>>;
  t["SwiGLU"] = {swiGlu, 2};
  t["Swish"] = unary<swish>;
  t["Tan"] = unary<mathOp<math::TanOp>>;
  t["Tanh"] = unary<mathOp<math::TanhOp>>;
  t["ThresholdedRelu"] = unary<thresholdedRelu>;
  t["com.microsoft.Gelu"] = Definition(unary<msGelu>).understanding(1, "");
  t["com.microsoft.QuickGelu"] = Definition(unary<quickGelu>).understanding(1, "alpha");
  t["com.microsoft.BiasGelu"] = Definition{biasGelu<false>, 2}.understanding(2, "");
  t["com.microsoft.FastGelu"] = Definition(biasGelu<true>).understanding(2, "");

  t["Add"] = {binary<add>, 2};
  t["Sub"] = {binary<sub>, 2};
  t["Mul"] = {binary<mul>, 2};
  t["PRelu"] = {binary<prelu>, 2};
  t["And"] = t["BitwiseAnd"] = {binary<logicalAnd>, 2};
  t["Or"] = t["BitwiseOr"] = {binary<logicalOr>, 2};
  t["Xor"] = t["BitwiseXor"] = {binary<logicalXor>, 2};
  t["Max"] = {variadic<maximum>, Definition::kAll};
  t["Min"] = {variadic<minimum>, Definition::kAll};
  t["Sum"] = {variadic<add>, Definition::kAll};
  t["Mean"] = {mean, Definition::kAll};
  t["Equal"] = {compare<Cmp::eq>, 2};
  t["Less"] = {compare<Cmp::lt>, 2};
  t["LessOrEqual"] = {compare<Cmp::le>, 2};
  t["Greater"] = {compare<Cmp::gt>, 2};
  t["GreaterOrEqual"] = {compare<Cmp::ge>, 2};

  t["Where"] = {where, 3};
  t["BitCast"] = bitCast;
  t["Cast"] = cast;
  t["CastLike"] = {castLike, 2};
  t["Clip"] = clip;
  t["Dropout"] = dropout;
  t["Identity"] = identity;
  t["IsInf"] = isInf;
  t["IsNaN"] = isNan;
}
