//===- ExpandMath.cpp - mathematics as plain arithmetic -------------------===//

#include "codegen/Common/ExpandMath.h"
#include "codegen/Common/MathBuilder.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace kt::codegen;

namespace {

class Expander {
public:
  Expander(OpBuilder &b, const ExpandMathOptions &options) : b(b), options(options) {}

  /// The value that replaces `op`'s result; null to keep the op.
  Value expand(Operation *op);

private:
  bool isSmall(Type type) const { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 16; }
  bool isSoft(Type type) const { return isSmall(type) || (isa<BFloat16Type>(type) && options.promoteBFloat); }
  bool isPromoted(Type type) const { return isSoft(type) || (type.isF16() && options.promoteHalf); }

  Value extend(Value x, Type to);
  Value truncate(Value x, Type to);
  Value promote(Operation *op);
  Value unary(Operation *op, V (*function)(MathBuilder &, V), bool viaDouble);
  Value binary(Operation *op, V (*function)(MathBuilder &, V, V));
  Value conversion(Operation *op);
  Value division(Operation *op);
  Value power(Value x, Value y, Type type);
  Value integerPower(Value x, Value y);
  Value round(MathBuilder &m, V x);
  template <typename Op> Value classify(Operation *op);

  OpBuilder &b;
  const ExpandMathOptions &options;
  Location loc = b.getUnknownLoc();
};

Value Expander::extend(Value x, Type to) {
  if (x.getType() == to)
    return x;
  if (isSoft(x.getType()))
    return extend(extendSmallFloat(b, loc, x), to);
  return arith::ExtFOp::create(b, loc, to, x);
}

Value Expander::truncate(Value x, Type to) {
  Type from = x.getType(), f32 = b.getF32Type();
  if (from == to)
    return x;
  if (from.isF64() && !to.isF32())
    return truncate(arith::TruncFOp::create(b, loc, f32, x), to);
  if (isSoft(to))
    return truncateToSmallFloat(b, loc, extend(x, f32), to);
  return arith::TruncFOp::create(b, loc, to, x);
}

/// op over f16 -> the same over f32, rounded back.
Value Expander::promote(Operation *op) {
  Type f32 = b.getF32Type();
  IRMapping map;
  for (Value v : op->getOperands())
    if (isPromoted(v.getType()))
      map.map(v, extend(v, f32));
  Operation *wide = b.clone(*op, map);
  Type type = op->getResult(0).getType();
  if (isPromoted(type))
    wide->getResult(0).setType(f32);
  // What was promoted may itself need expanding.
  Value result = wide->getResult(0);
  if (Value expanded = expand(wide)) {
    wide->erase();
    result = expanded;
    b.setInsertionPoint(op);
  } else {
    b.setInsertionPoint(op);
  }
  return isPromoted(type) ? truncate(result, type) : result;
}

Value Expander::unary(Operation *op, V (*function)(MathBuilder &, V), bool viaDouble) {
  Value x = op->getOperand(0);
  Type type = x.getType(), f64 = b.getF64Type();
  if (!viaDouble || type.isF64()) {
    MathBuilder m(b, loc, type);
    return function(m, m.wrap(x)).v;
  }
  MathBuilder m(b, loc, f64);
  return truncate(function(m, m.wrap(extend(x, f64))).v, type);
}

Value Expander::binary(Operation *op, V (*function)(MathBuilder &, V, V)) {
  Type type = op->getResult(0).getType(), f64 = b.getF64Type();
  MathBuilder m(b, loc, f64);
  Value r = function(m, m.wrap(extend(op->getOperand(0), f64)), m.wrap(extend(op->getOperand(1), f64))).v;
  return truncate(r, type);
}

/// pow with the exponents that models use spelled out.
Value Expander::power(Value x, Value y, Type type) {
  MathBuilder m(b, loc, type);
  V v = m.wrap(x);
  FloatAttr constant;
  if (matchPattern(y, m_Constant(&constant))) {
    double e = constant.getValueAsDouble();
    if (e == 1)
      return x;
    if (e == 2)
      return (v * v).v;
    if (e == 3 && !type.isF64())
      return (v * v * v).v;
    if (e == -1)
      return (m.f(1) / v).v;
    if (e == 0.5) // C's pow(-inf, 0.5) is +inf, and pow(-0, 0.5) is +0
      return m.select(m.eq(v, -m.inf()), m.inf(), m.sqrt(v + m.f(0))).v;
  }
  MathBuilder wide(b, loc, b.getF64Type());
  return truncate(mathPow(wide, wide.wrap(extend(x, wide.type)), wide.wrap(extend(y, wide.type)), type.isF64()).v,
                  type);
}

/// Square and multiply; a negative exponent leaves only 1 and -1.
Value Expander::integerPower(Value x, Value y) {
  Type type = x.getType();
  MathBuilder m(b, loc, b.getF32Type());
  V base = m.wrap(x), one = m.constantLike(base, 1), zero = m.constantLike(base, 0);
  V exponent = m.wrap(y), zeroE = m.constantLike(exponent, 0);
  auto loop = scf::WhileOp::create(
      b, loc, TypeRange{type, type, y.getType()}, ValueRange{one.v, x, y},
      [&](OpBuilder &inner, Location, ValueRange args) {
        Value more = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::sgt, args[2], zeroE.v);
        scf::ConditionOp::create(inner, loc, more, args);
      },
      [&](OpBuilder &inner, Location, ValueRange args) {
        MathBuilder n(inner, loc, inner.getF32Type());
        V e = n.wrap(args[2]), odd = n.cmp(arith::CmpIPredicate::ne, e & n.constantLike(e, 1), n.constantLike(e, 0));
        V result = n.select(odd, n.wrap(args[0]) * n.wrap(args[1]), n.wrap(args[0]));
        V square = n.wrap(args[1]) * n.wrap(args[1]);
        scf::YieldOp::create(inner, loc, ValueRange{result.v, square.v, n.shr(e, 1).v});
      });
  b.setInsertionPointAfter(loop);
  V minusOne = m.constantLike(base, -1);
  V odd = m.cmp(arith::CmpIPredicate::ne, exponent & m.constantLike(exponent, 1), zeroE);
  V unit = m.select(odd, minusOne, one);
  V inverse = m.select(m.cmp(arith::CmpIPredicate::eq, base, one), one,
                       m.select(m.cmp(arith::CmpIPredicate::eq, base, minusOne), unit, zero));
  return m.select(m.cmp(arith::CmpIPredicate::slt, exponent, zeroE), inverse, m.wrap(loop.getResult(0))).v;
}

/// Half away from zero.
Value Expander::round(MathBuilder &m, V x) {
  V t = m.trunc(x), rest = m.abs(x - t);
  V up = t + m.copysign(m.f(1), x);
  V r = m.select(m.cmp(arith::CmpFPredicate::OGE, rest, m.f(0.5)), up, t);
  return m.copysign(r, x).v;
}

Value Expander::conversion(Operation *op) {
  Type from = op->getOperand(0).getType(), to = op->getResult(0).getType(), f32 = b.getF32Type();
  Value x = op->getOperand(0);
  if (isa<arith::ExtFOp>(op))
    return isSoft(from) ? extend(x, to) : Value();
  if (isa<arith::TruncFOp>(op))
    return isSoft(to) || isSoft(from) || (from.isF64() && to.isF16()) ? truncate(x, to) : Value();
  bool fromFloat = isa<FloatType>(from);
  if (fromFloat ? isPromoted(from) : isPromoted(to)) {
    OperationState state(loc, op->getName());
    state.addOperands(fromFloat ? extend(x, f32) : x);
    state.addTypes(fromFloat ? to : f32);
    Value wide = b.create(state)->getResult(0);
    return fromFloat ? wide : truncate(wide, to);
  }
  return {};
}

/// Rounding divisions, and divisions that must not trap.
Value Expander::division(Operation *op) {
  Value x = op->getOperand(0), y = op->getOperand(1);
  Type type = x.getType();
  bool isSigned = isa<arith::DivSIOp, arith::RemSIOp, arith::FloorDivSIOp, arith::CeilDivSIOp>(op);
  bool rounding = isa<arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op);
  APInt known;
  bool safe = type.isIndex() || (matchPattern(y, m_ConstantInt(&known)) && !known.isZero() && !known.isAllOnes());
  bool guard = options.guardDivision && !safe;
  if (!guard && !rounding)
    return {};
  MathBuilder m(b, loc, b.getF32Type());
  auto constant = [&](const APInt &v) { return m.wrap(arith::ConstantOp::create(b, loc, IntegerAttr::get(type, v))); };
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  V n = m.wrap(x), d = m.wrap(y), zero = constant(APInt(width, 0)), one = constant(APInt(width, 1));
  if (guard) {
    V bad = m.cmp(arith::CmpIPredicate::eq, d, zero);
    if (isSigned && width > 1)
      bad = bad | (m.cmp(arith::CmpIPredicate::eq, d, constant(APInt::getAllOnes(width))) &
                   m.cmp(arith::CmpIPredicate::eq, n, constant(APInt::getSignedMinValue(width))));
    d = m.select(bad, one, d);
  }
  if (isa<arith::RemSIOp>(op))
    return m.op<arith::RemSIOp>(n.v, d.v).v;
  if (isa<arith::RemUIOp>(op))
    return m.op<arith::RemUIOp>(n.v, d.v).v;
  V q = isSigned ? n / d : m.op<arith::DivUIOp>(n.v, d.v);
  if (!rounding)
    return q.v;
  V rest = n - q * d;
  V inexact = m.cmp(arith::CmpIPredicate::ne, rest, zero);
  if (isa<arith::CeilDivUIOp>(op))
    return m.select(inexact, q + one, q).v;
  V differ = m.cmp(arith::CmpIPredicate::slt, rest ^ d, zero);
  if (isa<arith::FloorDivSIOp>(op))
    return m.select(inexact & differ, q - one, q).v;
  V same = m.cmp(arith::CmpIPredicate::sge, rest ^ d, zero);
  return m.select(inexact & same, q + one, q).v;
}

template <typename Op> Value Expander::classify(Operation *op) {
  MathBuilder m(b, loc, op->getOperand(0).getType());
  V x = m.wrap(op->getOperand(0)), a = m.abs(x);
  if constexpr (std::is_same_v<Op, math::IsNaNOp>)
    return m.isNan(x).v;
  if constexpr (std::is_same_v<Op, math::IsInfOp>)
    return m.eq(a, m.inf()).v;
  return m.lt(a, m.inf()).v;
}

Value Expander::expand(Operation *op) {
  loc = op->getLoc();
  b.setInsertionPoint(op);
  if (op->getNumResults() != 1 || isa<VectorType>(op->getResult(0).getType()))
    return {};
  if (isa<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp, arith::FPToUIOp>(op))
    return conversion(op);
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::FloorDivSIOp, arith::CeilDivSIOp,
          arith::CeilDivUIOp>(op))
    return division(op);
  bool arithmetic = isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::NegFOp, arith::MaximumFOp,
                        arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp, arith::CmpFOp, arith::RemFOp>(op);
  bool isMath = isa<math::MathDialect>(op->getDialect());
  if (!arithmetic && !isMath)
    return {};
  // Arithmetic stays in f16 where the target has it; functions do not.
  for (Value v : op->getOperands())
    if (isPromoted(v.getType()) || (isMath && isa<Float16Type, BFloat16Type>(v.getType())) ||
        (isa<arith::RemFOp>(op) && v.getType().isF16())) {
      ExpandMathOptions all = options;
      all.promoteHalf = all.promoteBFloat = true;
      return Expander(b, all).promote(op);
    }
  if (!isMath)
    return isa<arith::RemFOp>(op) ? binary(op, mathFmod) : Value();

  Type type = op->getResult(0).getType();
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return unary(op, mathExp, false); })
      .Case([&](math::Exp2Op) { return unary(op, mathExp2, false); })
      .Case([&](math::ExpM1Op) { return unary(op, mathExpm1, false); })
      .Case([&](math::LogOp) { return unary(op, mathLog, false); })
      .Case([&](math::Log2Op) { return unary(op, mathLog2, false); })
      .Case([&](math::Log10Op) { return unary(op, mathLog10, false); })
      .Case([&](math::Log1pOp) { return unary(op, mathLog1p, false); })
      .Case([&](math::TanhOp) { return unary(op, mathTanh, false); })
      .Case([&](math::ErfOp) { return unary(op, mathErf, false); })
      .Case([&](math::ErfcOp) { return unary(op, mathErfc, true); })
      .Case([&](math::SinOp) { return unary(op, mathSin, true); })
      .Case([&](math::CosOp) { return unary(op, mathCos, true); })
      .Case([&](math::TanOp) { return unary(op, mathTan, true); })
      .Case([&](math::AtanOp) { return unary(op, mathAtan, true); })
      .Case([&](math::AsinOp) { return unary(op, mathAsin, true); })
      .Case([&](math::AcosOp) { return unary(op, mathAcos, true); })
      .Case([&](math::SinhOp) { return unary(op, mathSinh, true); })
      .Case([&](math::CoshOp) { return unary(op, mathCosh, true); })
      .Case([&](math::AsinhOp) { return unary(op, mathAsinh, true); })
      .Case([&](math::AcoshOp) { return unary(op, mathAcosh, true); })
      .Case([&](math::AtanhOp) { return unary(op, mathAtanh, true); })
      .Case([&](math::CbrtOp) { return unary(op, mathCbrt, true); })
      .Case([&](math::Atan2Op) { return binary(op, mathAtan2); })
      .Case([&](math::PowFOp) { return power(op->getOperand(0), op->getOperand(1), type); })
      .Case([&](math::FPowIOp) {
        Value e = arith::SIToFPOp::create(b, loc, type, op->getOperand(1));
        return power(op->getOperand(0), e, type);
      })
      .Case([&](math::IPowIOp) { return integerPower(op->getOperand(0), op->getOperand(1)); })
      .Case([&](math::RsqrtOp) {
        MathBuilder m(b, loc, type);
        return (m.f(1) / m.sqrt(m.wrap(op->getOperand(0)))).v;
      })
      .Case([&](math::RoundOp) {
        MathBuilder m(b, loc, type);
        return round(m, m.wrap(op->getOperand(0)));
      })
      .Case([&](math::IsNaNOp) { return classify<math::IsNaNOp>(op); })
      .Case([&](math::IsInfOp) { return classify<math::IsInfOp>(op); })
      .Case([&](math::IsFiniteOp) { return classify<math::IsFiniteOp>(op); })
      .Default([](Operation *) { return Value(); });
}

struct ExpandMathPass final : PassWrapper<ExpandMathPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)
  explicit ExpandMathPass(ExpandMathOptions options) : options(options) {}
  StringRef getArgument() const override { return "kt-expand-math"; }
  StringRef getDescription() const override { return "Rewrites math operations as plain arithmetic"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect, scf::SCFDialect>();
  }
  void runOnOperation() override {
    if (failed(expandMath(getOperation(), options)))
      signalPassFailure();
  }
  ExpandMathOptions options;
};

} // namespace

LogicalResult kt::codegen::expandMath(Operation *root, const ExpandMathOptions &options) {
  SmallVector<Operation *> work;
  root->walk([&](Operation *op) {
    if (isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()))
      work.push_back(op);
  });
  OpBuilder b(root->getContext());
  for (Operation *op : work) {
    Value replacement = Expander(b, options).expand(op);
    if (!replacement)
      continue;
    op->getResult(0).replaceAllUsesWith(replacement);
    op->erase();
  }
  return success();
}

std::unique_ptr<Pass> kt::codegen::createExpandMathPass(ExpandMathOptions options) {
  return std::make_unique<ExpandMathPass>(options);
}
