//===- MergeEqual.cpp - computes equal things once ------------------------===//
//
//   %a = kt.generic(%x) { f }     %a = kt.generic(%x) { f }
//   %b = kt.generic(%x) { f }  ->
//   use %a, %b                    use %a, %a
//
// MLIR's elimination of common subexpressions hashes ops without their regions, so the thousand parts of a Split meet
// in one bucket and are compared each with each. Here a hash of the region is an attribute for as long as that runs.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_MERGEEQUAL
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

static constexpr llvm::StringLiteral kHash = "kt.region_hash";

/// Equal for ops whose regions are equal. Values from outside count as they are, those inside by their number.
static llvm::hash_code hashRegions(Operation *op) {
  llvm::hash_code hash = 0;
  llvm::DenseMap<Value, unsigned> numbers;
  op->walk<WalkOrder::PreOrder>([&](Operation *inner) {
    if (inner != op) {
      hash = llvm::hash_combine(hash, inner->getName(), inner->getAttrDictionary());
      for (Value operand : inner->getOperands()) {
        auto it = numbers.find(operand);
        hash = it == numbers.end() ? llvm::hash_combine(hash, operand) : llvm::hash_combine(hash, it->second);
      }
      for (Value result : inner->getResults())
        numbers.try_emplace(result, numbers.size());
    }
    for (Region &region : inner->getRegions())
      for (Block &block : region)
        for (BlockArgument arg : block.getArguments())
          numbers.try_emplace(arg, numbers.size());
  });
  return hash;
}

namespace {
struct MergeEqualPass : kt::impl::MergeEqualBase<MergeEqualPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    auto i64 = IntegerType::get(&getContext(), 64);
    SmallVector<std::pair<Operation *, Attribute>> hashes;
    func->walk([&](Operation *op) {
      if (op != func && op->getNumRegions())
        hashes.push_back({op, IntegerAttr::get(i64, (int64_t)(size_t)hashRegions(op))});
    });
    for (auto [op, hash] : hashes)
      op->setAttr(kHash, hash);
    IRRewriter rewriter(&getContext());
    DominanceInfo dominance(func);
    eliminateCommonSubExpressions(rewriter, dominance, func);
    func->walk([&](Operation *op) { op->removeAttr(kHash); });
  }
};
} // namespace
