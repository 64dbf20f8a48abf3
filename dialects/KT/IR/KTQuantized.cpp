//===- KTQuantized.cpp - weights of few bits ------------------------------===//

#include "dialects/KT/IR/Verify.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace kt;

static bool isScale(Type type) { return type.isF16() || type.isBF16() || type.isF32(); }

LogicalResult BlocksAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits, int64_t group, Type scale,
                                 bool zeros, bool fp8) {
  if (bits != 2 && bits != 4 && bits != 8)
    return emitError() << "expected 2, 4 or 8 bits but got " << bits;
  if (group < 16 || group > 256 || !llvm::isPowerOf2_64(group))
    return emitError() << "expected groups of a power of two from 16 to 256 but got " << group;
  if (!isScale(scale))
    return emitError() << "expected scales of f16, bf16 or f32 but got " << scale;
  if (fp8 && (bits != 8 || zeros))
    return emitError() << "expected 8 bits and no zero points of FP8 but got " << bits << " bits"
                       << (zeros ? " and zero points" : "");
  return success();
}

int64_t BlocksAttr::zerosAt() const { return kPanel * getScale().getIntOrFloatBitWidth() / 8; }
Expr BlocksAttr::groupsOf(Expr k) const { return Expr::ceilDiv(k, Expr::constant(getContext(), getGroup())); }
Expr BlocksAttr::panelBytes(Expr k) const { return groupsOf(k) * blockBytes(); }

LogicalResult kt::verifyBlocks(Operation *op, BlocksAttr blocks, SymTensorType weights, Type lhs, Expr depth) {
  if (!isScale(lhs))
    return op->emitOpError() << "expected a left side of f16, bf16 or f32 beside weights in blocks but got " << lhs;
  if (!weights.getElementType().isUnsignedInteger(8) || weights.getRank() != 3 ||
      !weights.dim(2).isConstant(blocks.blockBytes()))
    return op->emitOpError() << "expected weights [panels, groups, " << blocks.blockBytes() << "] of ui8 but got "
                             << weights;
  return verifyDim(op, "packed weights", weights, 1, blocks.groupsOf(depth));
}

BlocksAttr DequantizeOp::blocks() {
  return BlocksAttr::get(getContext(), getBits(), getGroup(), getScales().getType().getElementType(), (bool)getZeros(),
                         /*fp8=*/false);
}

LogicalResult DequantizeOp::verify() {
  SymTensorType numbers = getNumbers().getType(), scales = getScales().getType(), result = getResult().getType();
  auto emit = [&] { return emitOpError(); };
  int64_t bits = getBits();
  if (bits != 2 && bits != 4 && bits != 8)
    return emitOpError() << "expected 2, 4 or 8 bits but got " << bits;
  if (failed(BlocksAttr::verify(emit, bits, getGroup(), scales.getElementType(), false, false)))
    return failure();
  if (!isScale(result.getElementType()))
    return emitOpError() << "expected a result of f16, bf16 or f32 but got " << result.getElementType();
  if (result.getRank() != 2)
    return emitOpError() << "expected a result of rank 2 but got " << result;
  Type byte = IntegerType::get(getContext(), 8, IntegerType::Unsigned);
  Expr rows = result.dim(0), groups = Expr::ceilDiv(result.dim(1), Expr::constant(getContext(), getGroup()));
  Expr bytes = Expr::constant(getContext(), getGroup() * getBits() / 8);
  if (failed(verifyElement(*this, "numbers", numbers, byte)) ||
      failed(verifyDims(*this, "numbers", numbers, {rows, groups, bytes})) ||
      failed(verifyDims(*this, "scales", scales, {rows, groups})))
    return failure();
  if (!getZeros())
    return success();
  if (failed(verifyElement(*this, "zeros", getZeros().getType(), byte)))
    return failure();
  return verifyDims(*this, "zeros", getZeros().getType(), {rows, groups});
}
