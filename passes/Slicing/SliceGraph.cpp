//===- SliceGraph.cpp - the graph in slices -------------------------------===//
//
// Top-level computations get the number of their slice as the attribute `kt.slice`. A slice's weights and the values
// alive in it fit the limit where one computation does; among the places where a slice could end, the one with the
// fewest live bytes is taken.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SLICEGRAPH
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// What a size that is not known until run time is taken to be.
constexpr int64_t kNominalSize = 128;
/// Without a limit the graph is cut in about this many slices: the runtime groups them for the memory it finds.
constexpr int64_t kFineSlices = 24;

int64_t bytesOf(Value v) {
  auto type = dyn_cast<SymTensorType>(v.getType());
  if (!type)
    return 0;
  Expr n = type.numElements().substitute([&](StringRef) { return Expr::constant(v.getContext(), kNominalSize); });
  return n.asConstant().value_or(kNominalSize) * type.elementBytes();
}

struct SliceGraphPass : kt::impl::SliceGraphBase<SliceGraphPass> {
  using Base::Base;
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    Block &body = getOperation().getBody().front();
    SmallVector<Operation *> ops;
    DenseMap<Operation *, int64_t> position;
    for (Operation &op : body)
      if (!isa<ConstantOp, ReshapeOp, CapacityOp, AssertOp>(op) && !op.hasTrait<OpTrait::IsTerminator>()) {
        position[&op] = ops.size();
        ops.push_back(&op);
      }
    int64_t count = ops.size();
    // Weights an op reads first, and how many bytes are alive between an op and the next.
    std::vector<int64_t> weights(count, 0), live(count + 1, 0); // live: as changes first, summed up below
    llvm::DenseSet<Value> seen;
    int64_t total = 0;
    for (int64_t i = 0; i < count; ++i) {
      ops[i]->walk([&](Operation *inner) {
        for (Value v : inner->getOperands())
          if (auto constant = throughReshapes(v).getDefiningOp<ConstantOp>();
              constant && seen.insert(constant.getResult()).second)
            weights[i] += constant.contents().size();
      });
      total += weights[i];
      for (Value v : ops[i]->getResults()) {
        int64_t last = i;
        std::function<void(Value)> follow = [&](Value x) {
          for (Operation *user : x.getUsers()) {
            if (isa<ReshapeOp, CapacityOp>(user)) {
              follow(user->getResult(0));
              continue;
            }
            Operation *top = body.findAncestorOpInBlock(*user);
            auto it = position.find(top);
            last = std::max(last, it == position.end() ? count - 1 : it->second);
          }
        };
        follow(v);
        int64_t bytes = std::min(bytesOf(v), INT64_MAX / (count + 1)); // sums have to fit
        live[i] += bytes;
        live[last] -= bytes;
      }
    }
    for (int64_t i = 1; i < count; ++i)
      live[i] += live[i - 1];
    int64_t limit = maxBytes ? (int64_t)maxBytes : std::max<int64_t>(total / kFineSlices, 1);
    int64_t number = 0, begin = 0;
    while (begin < count) {
      // The furthest end that fits; always at least one op.
      int64_t end = begin + 1, sum = weights[begin];
      while (end < count && sum + weights[end] + live[end] <= limit)
        sum += weights[end++];
      if (end < count) { // back to the cheapest cut of the last third
        int64_t best = end;
        for (int64_t e = end; e > begin + 1 && e > end - (end - begin) / 3; --e)
          if (live[e - 1] < live[best - 1])
            best = e;
        end = best;
      }
      for (int64_t i = begin; i < end; ++i)
        ops[i]->setAttr("kt.slice", IntegerAttr::get(IntegerType::get(&getContext(), 64), number));
      ++number;
      begin = end;
    }
  }
};

} // namespace
