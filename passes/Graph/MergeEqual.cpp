//===- MergeEqual.cpp - computes equal things once ------------------------===//
//
//   %a = kt.generic(%x) { f }     %a = kt.generic(%x) { f }
//   %b = kt.generic(%x) { f }  ->
//   use %a, %b                    use %a, %a
//
// What nothing uses goes, and so do checks of what was checked before.
//
// MLIR's elimination of common subexpressions hashes ops without their regions, so the thousand parts of a Split meet
// in one bucket and are compared each with each.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "passes/Passes.h"
#include "llvm/ADT/ScopedHashTable.h"

namespace kt {
#define GEN_PASS_DEF_MERGEEQUAL
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

/// Equal for ops whose regions are equal. Values from outside count as they are, those inside by their number.
static llvm::hash_code hashRegions(Operation *op) {
  llvm::hash_code hash = 0;
  llvm::SmallDenseMap<Value, unsigned, 32> numbers;
  op->walk<WalkOrder::PreOrder>([&](Operation *inner) {
    if (inner != op) {
      hash = llvm::hash_combine(hash, inner->getName(), inner->getRawDictionaryAttrs(), inner->hashProperties());
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

static llvm::hash_code hashOf(Operation *op) {
  llvm::hash_code hash =
      OperationEquivalence::computeHash(op, OperationEquivalence::directHashValue,
                                        OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations);
  return op->getNumRegions() ? llvm::hash_combine(hash, hashRegions(op)) : hash;
}

namespace {

/// An op with its hash, which is not computed again when the table grows.
struct Computation {
  Operation *op;
  unsigned hash;
};

struct ComputationInfo {
  static Computation getEmptyKey() { return {llvm::DenseMapInfo<Operation *>::getEmptyKey(), 0}; }
  static Computation getTombstoneKey() { return {llvm::DenseMapInfo<Operation *>::getTombstoneKey(), 0}; }
  static unsigned getHashValue(const Computation &c) { return c.hash; }
  static bool isEqual(const Computation &a, const Computation &b) {
    return a.op == b.op || (isOp(a) && isOp(b) && a.hash == b.hash &&
                            OperationEquivalence::isEquivalentTo(a.op, b.op, OperationEquivalence::IgnoreLocations));
  }
  static bool isOp(const Computation &c) { return c.op != getEmptyKey().op && c.op != getTombstoneKey().op; }
};

using Computations = llvm::ScopedHashTable<Computation, Operation *, ComputationInfo>;
/// What was asserted to be equal. The first to say so gives the message.
using Assertions = llvm::ScopedHashTable<std::pair<Attribute, Attribute>, AssertOp>;

} // namespace

/// `known` and `asserted` hold what the surrounding regions have computed and checked before.
static void mergeEqual(Region &region, Computations &known, Assertions &asserted) {
  if (!region.hasOneBlock())
    return;
  Computations::ScopeTy scope(known);
  Assertions::ScopeTy assertions(asserted);
  // From the end: what only dead ops use is dead.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(region.front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  for (Operation &op : llvm::make_early_inc_range(region.front())) {
    if (auto assertion = dyn_cast<AssertOp>(op)) {
      std::pair<Attribute, Attribute> sides(assertion.getLhs(), assertion.getRhs());
      if (asserted.count(sides))
        op.erase();
      else
        asserted.insert(sides, assertion);
      continue;
    }
    bool isolated = op.hasTrait<OpTrait::IsIsolatedFromAbove>();
    for (Region &inner : op.getRegions()) {
      Computations own;
      mergeEqual(inner, isolated ? own : known, asserted);
    }
    if (op.hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(&op))
      continue;
    Computation computation{&op, (unsigned)(size_t)hashOf(&op)};
    if (Operation *first = known.lookup(computation)) {
      op.replaceAllUsesWith(first);
      op.erase();
    } else {
      known.insert(computation, &op);
    }
  }
}

namespace {
struct MergeEqualPass : kt::impl::MergeEqualBase<MergeEqualPass> {
  void runOnOperation() override {
    Computations known;
    Assertions asserted;
    mergeEqual(getOperation().getBody(), known, asserted);
  }
};
} // namespace
