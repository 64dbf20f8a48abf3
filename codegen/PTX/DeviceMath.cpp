//===- DeviceMath.cpp - math functions through PTX's special functions ----===//
//
// exp, exp2 and rsqrt have fast instructions that only need a little care for full FP32 accuracy; half precision goes
// through f32. Everything else is left to the target-neutral expansions.
//
//===----------------------------------------------------------------------===//

#include "codegen/PTX/Lower.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;
using namespace kt;

namespace {

struct Expander {
  OpBuilder b;
  Location loc;
  Expander(Operation *op) : b(op), loc(op->getLoc()) {}

  Value f(double v) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(v)); }
  Value special(StringRef name, Value x) {
    return LLVM::CallIntrinsicOp::create(b, loc, b.getF32Type(), b.getStringAttr(name), x).getResult(0);
  }
  Value exp2(Value x) { return special("llvm.nvvm.ex2.approx.f32", x); }

  /// e^x = 2^t (1 + ln2 e), where t = x log2(e) rounded and e is what the rounding lost: 2 ulp.
  Value exp(Value x) {
    constexpr double log2e = 1.4426950408889634, hi = 1.44269502162933349609375, lo = log2e - hi,
                     ln2 = 0.6931471805599453;
    x = arith::MinimumFOp::create(b, loc, arith::MaximumFOp::create(b, loc, x, f(-104)), f(89));
    Value t = arith::MulFOp::create(b, loc, x, f(hi));
    Value e = math::FmaOp::create(b, loc, x, f(hi), arith::NegFOp::create(b, loc, t));
    e = math::FmaOp::create(b, loc, x, f(lo), e);
    Value p = exp2(t);
    // Infinity times a correction that rounds to zero would be NaN, so the correction is a factor near one.
    return arith::MulFOp::create(b, loc, p, math::FmaOp::create(b, loc, e, f(ln2), f(1)));
  }
  Value rsqrt(Value x) { return special("llvm.nvvm.rsqrt.approx.f", x); }
};

} // namespace

void kt::gpu::expandDeviceMath(ModuleOp module) {
  SmallVector<Operation *> work;
  module.walk([&](Operation *op) {
    if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
      work.push_back(op);
  });
  for (Operation *op : work) {
    Type type = op->getResult(0).getType();
    bool half = type.isF16() || type.isBF16();
    if (!half && !type.isF32())
      continue;
    Expander e(op);
    Value x = op->getOperand(0);
    if (half &&
        isa<math::ExpOp, math::Exp2Op, math::RsqrtOp, math::SqrtOp, math::FloorOp, math::CeilOp, math::RoundEvenOp>(op))
      x = arith::ExtFOp::create(e.b, e.loc, e.b.getF32Type(), x);
    Value r;
    if (isa<math::ExpOp>(op))
      r = half ? e.exp2(arith::MulFOp::create(e.b, e.loc, x, e.f(1.4426950408889634))) : e.exp(x);
    else if (isa<math::Exp2Op>(op))
      r = e.exp2(x);
    else if (isa<math::RsqrtOp>(op))
      r = e.rsqrt(x);
    else if (half && isa<math::SqrtOp, math::FloorOp, math::CeilOp, math::RoundEvenOp>(op))
      r = e.b.create(e.loc, op->getName().getIdentifier(), x, e.b.getF32Type())->getResult(0);
    else
      continue;
    if (half)
      r = arith::TruncFOp::create(e.b, e.loc, type, r);
    op->getResult(0).replaceAllUsesWith(r);
    op->erase();
  }
}

void kt::gpu::multiplyRoundedQuotients(ModuleOp module) {
  constexpr float kLeast = 0x1p-60f, kMost = 0x1p60f, kSafe = 0x1p127f;
  module.walk([&](arith::DivFOp op) {
    APFloat constant(0.0f);
    if (!op.getType().isF32() || !matchPattern(op.getRhs(), m_ConstantFloat(&constant)) || !op->hasOneUse() ||
        !isa<math::RoundEvenOp>(*op->user_begin()))
      return;
    float divisor = constant.convertToFloat();
    if (!(std::abs(divisor) >= kLeast && std::abs(divisor) <= kMost))
      return;
    Expander e(op);
    Value x = op.getLhs(), inverse = e.f(1 / divisor), less = e.f(-divisor);
    Value first = arith::MulFOp::create(e.b, e.loc, x, inverse), q = first;
    for (unsigned step = 0; step < 2; ++step)
      q = math::FmaOp::create(e.b, e.loc, math::FmaOp::create(e.b, e.loc, less, q, x), inverse, q);
    // What is infinite, or no number, leaves nothing to be corrected.
    Value magnitude = math::AbsFOp::create(e.b, e.loc, first);
    Value finite = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OLT, magnitude, e.f(kSafe));
    op.replaceAllUsesWith(arith::SelectOp::create(e.b, e.loc, finite, q, first).getResult());
    op.erase();
  });
}

bool kt::gpu::isContinuous(ModuleOp module) {
  WalkResult found = module.walk([](Operation *op) {
    bool decides = isa<arith::CmpFOp, arith::FPToSIOp, arith::FPToUIOp, arith::RemFOp, arith::BitcastOp, math::FloorOp,
                       math::CeilOp, math::RoundOp, math::RoundEvenOp, math::TruncOp>(op);
    return decides ? WalkResult::interrupt() : WalkResult::advance();
  });
  return !found.wasInterrupted();
}

void kt::gpu::approximateDivisions(ModuleOp module) {
  module.walk([](arith::DivFOp op) {
    if (!op.getType().isF32())
      return;
    OpBuilder b(op);
    auto quotient = LLVM::CallIntrinsicOp::create(b, op.getLoc(), b.getF32Type(), b.getStringAttr("llvm.nvvm.div.full"),
                                                  ValueRange{op.getLhs(), op.getRhs()});
    op.replaceAllUsesWith(quotient.getResult(0));
    op.erase();
  });
}
