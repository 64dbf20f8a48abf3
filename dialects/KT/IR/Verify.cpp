//===- Verify.cpp - what the verifiers of the kt ops share ----------------===//

#include "dialects/KT/IR/Verify.h"

using namespace mlir;
using namespace kt;

/// No run may come to `op`.
static bool isConditional(Operation *op) { return op->getParentOfType<IfOp>() || op->getParentOfType<LoopOp>(); }

bool kt::neverEqual(Operation *op, Expr a, Expr b) {
  if (a == b)
    return false;
  if (a.asConstant() && b.asConstant())
    return true;
  return !isConditional(op) && Expr::eq(a, b).isConstant(0);
}

bool kt::alwaysBelow(Operation *op, Expr a, Expr b) {
  if (a == b)
    return false;
  auto ca = a.asConstant(), cb = b.asConstant();
  if (ca && cb)
    return *ca < *cb;
  return !isConditional(op) && Expr::lt(a, b).isConstant(1);
}

LogicalResult kt::verifyDim(Operation *op, const Twine &what, SymTensorType type, int64_t i, Expr expected) {
  if (neverEqual(op, type.dim(i), expected))
    return op->emitOpError() << "expected dimension " << i << " of " << what << " to be " << expected.str()
                             << " but got " << type.dim(i).str();
  return success();
}

LogicalResult kt::verifyDims(Operation *op, const Twine &what, SymTensorType type, ArrayRef<Expr> expected) {
  if (type.getRank() != (int64_t)expected.size())
    return op->emitOpError() << "expected " << what << " to have " << expected.size() << " dimensions but got "
                             << type.getRank();
  for (auto [i, e] : llvm::enumerate(expected))
    if (failed(verifyDim(op, what, type, i, e)))
      return failure();
  return success();
}

LogicalResult kt::verifyElement(Operation *op, const Twine &what, SymTensorType type, Type expected) {
  if (type.getElementType() != expected)
    return op->emitOpError() << "expected " << what << " of " << expected << " but got " << type.getElementType();
  return success();
}

LogicalResult kt::verifySymbol(Operation *op, StringRef what, StringRef name) {
  StringRef plain = name;
  plain.consume_front("?");
  auto isLetter = [](char c) { return llvm::isAlpha(c) || c == '_'; };
  if (plain.empty() || !isLetter(plain.front()) ||
      !llvm::all_of(plain, [&](char c) { return isLetter(c) || llvm::isDigit(c) || c == '.' || c == '$'; }))
    return op->emitOpError() << "expected " << what << " to be the name of a symbol but got '" << name << "'";
  return success();
}

LogicalResult kt::verifySite(Operation *op, int64_t site) {
  if (site < 0 || site > UINT32_MAX - 1)
    return op->emitOpError() << "expected a site from 0 to " << UINT32_MAX - 1 << " but got " << site;
  return success();
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

YieldOp kt::yieldOf(Region &region) {
  return region.empty() || region.front().empty() ? YieldOp() : dyn_cast<YieldOp>(region.front().back());
}

Type kt::bodyYield(Region &region) {
  YieldOp yield = yieldOf(region);
  return yield && yield.getValues().size() == 1 ? yield.getValues()[0].getType() : Type();
}

/// Scalar arithmetic, reads, sizes and indices: what code generators put into their loops.
static LogicalResult verifyBodyOps(Operation *op, Block &block, StringRef what) {
  Dialect *arith = op->getContext()->getLoadedDialect<arith::ArithDialect>(),
          *math = op->getContext()->getLoadedDialect<math::MathDialect>();
  for (Operation &inner : block.without_terminator()) {
    Dialect *dialect = inner.getDialect();
    bool known = dialect && (dialect == arith || dialect == math || isa<ReadOp, SizeOp, BoundedOp>(inner));
    if (!known)
      return inner.emitOpError() << "is not expected in the " << what << " of a " << op->getName();
    for (Type type : inner.getResultTypes())
      if (!type.isIntOrIndexOrFloat())
        return inner.emitOpError() << "expected a scalar in the " << what << " of a " << op->getName() << " but got "
                                   << type;
  }
  return success();
}

LogicalResult kt::verifyBody(Operation *op, Region &region, StringRef what, TypeRange leading, ValueRange operands,
                             unsigned indices, Type yields, unsigned most) {
  Block &block = region.front();
  unsigned expected = leading.size() + operands.size() + indices;
  if (block.getNumArguments() != expected)
    return op->emitOpError() << what << " expected " << expected << " arguments but got " << block.getNumArguments();
  for (auto [i, type] : llvm::enumerate(leading))
    if (block.getArgument(i).getType() != type)
      return op->emitOpError() << what << " argument " << i << " expected " << type << " but got "
                               << block.getArgument(i).getType();
  for (auto [i, v] : llvm::enumerate(operands))
    if (block.getArgument(leading.size() + i).getType() != v.getType())
      return op->emitOpError() << what << " argument " << leading.size() + i << " expected " << v.getType()
                               << " but got " << block.getArgument(leading.size() + i).getType();
  for (unsigned i = 0; i < indices; ++i)
    if (unsigned at = leading.size() + operands.size() + i; !block.getArgument(at).getType().isIndex())
      return op->emitOpError() << what << " argument " << at << " expected 'index' but got "
                               << block.getArgument(at).getType();
  YieldOp yield = yieldOf(region);
  if (!yield || yield.getValues().empty() || yield.getValues().size() > most)
    return op->emitOpError() << what << " expected to end in a kt.yield of one value" << (most > 1 ? " or two" : "");
  if (yields && yield.getValues()[0].getType() != yields)
    return op->emitOpError() << what << " expected to yield " << yields << " but yields "
                             << yield.getValues()[0].getType();
  return verifyBodyOps(op, block, what);
}
