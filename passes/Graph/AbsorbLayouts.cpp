//===- AbsorbLayouts.cpp - transpositions disappear -----------------------===//
//
// A transposition of a product's factor or result becomes part of its maps; an elementwise op or reduction that a
// transposition reads makes its result in that order, and whoever else reads it reads at permuted indices.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AffineMap.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/Orders.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_ABSORBLAYOUTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// The transposition that defines `v`, with its permutation (result dimension i is source dimension perm[i]).
std::optional<std::pair<Value, SmallVector<int64_t>>> transposed(Value v) {
  auto generic = v.getDefiningOp<GenericOp>();
  if (!generic)
    return std::nullopt;
  auto perm = asPermutation(generic);
  if (!perm)
    return std::nullopt;
  return std::pair{generic.getInputs()[0], *perm};
}

/// A factor read through a transposition: map result i moves to source dimension perm[i].
bool absorbFactor(Operation *op, unsigned operand, unsigned mapIndex) {
  auto t = transposed(op->getOperand(operand));
  auto views = op->getAttrOfType<ArrayAttr>("views");
  if (!t || (views && !cast<ViewAttr>(views[mapIndex]).isNone()))
    return false;
  auto maps = cast<ArrayAttr>(op->getAttr("maps"));
  AffineMap map = cast<AffineMapAttr>(maps[mapIndex]).getValue();
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [i, p] : llvm::enumerate(t->second))
    results[p] = map.getResult(i);
  SmallVector<Attribute> all(maps.begin(), maps.end());
  all[mapIndex] = AffineMapAttr::get(AffineMap::get(map.getNumDims(), 0, results, op->getContext()));
  op->setAttr("maps", ArrayAttr::get(op->getContext(), all));
  op->setOperand(operand, t->first);
  return true;
}

/// The one transposition that reads `v`, if that is its only reader.
GenericOp onlyTransposition(Value v) {
  if (!v.hasOneUse())
    return {};
  auto generic = dyn_cast<GenericOp>(*v.getUsers().begin());
  return generic && asPermutation(generic) ? generic : GenericOp();
}

/// Permutes the result of a product: its result map and the order of its epilogue's (or score's) index arguments.
bool absorbResult(Operation *op, unsigned mapIndex) {
  GenericOp t = onlyTransposition(op->getResult(0));
  if (!t || t->getBlock() != op->getBlock())
    return false;
  SmallVector<int64_t> perm = *asPermutation(t);
  auto maps = cast<ArrayAttr>(op->getAttr("maps"));
  AffineMap map = cast<AffineMapAttr>(maps[mapIndex]).getValue();
  SmallVector<AffineExpr> results;
  for (int64_t p : perm)
    results.push_back(map.getResult(p));
  SmallVector<Attribute> all(maps.begin(), maps.end());
  all[mapIndex] = AffineMapAttr::get(AffineMap::get(map.getNumDims(), 0, results, op->getContext()));
  op->setAttr("maps", ArrayAttr::get(op->getContext(), all));
  if (isa<MatmulOp>(op)) { // an attention's score indices are b, h, i, j whatever the result's order is
    BodyRef body = bodiesOf(op).back();
    Block &block = body.region->front();
    unsigned first = body.leading + op->getNumOperands() - firstBodyOperand(op);
    SmallVector<Value> fresh;
    for (size_t i = 0; i < perm.size(); ++i)
      fresh.push_back(block.addArgument(IndexType::get(op->getContext()), op->getLoc()));
    for (auto [i, p] : llvm::enumerate(perm))
      block.getArgument(first + p).replaceAllUsesWith(fresh[i]);
    block.eraseArguments(first, perm.size());
  }
  op->getResult(0).setType(t.getResult().getType());
  t.replaceAllUsesWith(op->getResult(0));
  t.erase();
  return true;
}

/// The order in which elementwise work after a convolution finds its elements, where it makes its result in another
/// one: in the convolution's own order it can join it.
std::optional<SmallVector<int64_t>> orderOfConvolution(Operation *op) {
  auto generic = dyn_cast<GenericOp>(op);
  if (!generic)
    return std::nullopt;
  unsigned rank = generic.getResult().getType().getRank();
  for (auto [i, operand] : llvm::enumerate(generic.getInputs())) {
    if (!operand.getDefiningOp<ConvOp>() || !operand.hasOneUse())
      continue;
    SmallVector<ReadOp> reads = readsOf(op, i);
    if (reads.size() != 1 || reads[0].getOtherwise() || reads[0].getIndices().size() != rank)
      continue;
    SmallVector<int64_t> order;
    for (Value v : reads[0].getIndices())
      if (auto at = plainIndex(v, reads[0]->getBlock(), generic.getInputs().size());
          at && !llvm::is_contained(order, *at))
        order.push_back(*at);
    if (order.size() == rank && !llvm::is_sorted(order))
      return order;
  }
  return std::nullopt;
}

/// The order in which the one elementwise op that reads a reduction finds its elements, where it makes its result in
/// another one: in its reader's order the reduction takes it in, as what quantises a pool's result for a convolution.
std::optional<SmallVector<int64_t>> orderOfReader(Operation *op) {
  Value result = op->getResult(0);
  auto reader = isa<ReduceOp>(op) && result.hasOneUse() ? dyn_cast<GenericOp>(*result.getUsers().begin()) : GenericOp();
  if (!reader)
    return std::nullopt;
  OpOperand &use = *result.getUses().begin();
  SmallVector<ReadOp> reads = readsOf(reader, use.getOperandNumber());
  unsigned rank = cast<SymTensorType>(result.getType()).getRank();
  if (reads.size() != 1 || reads[0].getOtherwise() || reader.getResult().getType().getRank() != rank)
    return std::nullopt;
  SmallVector<int64_t> order(rank, -1);
  for (auto [d, v] : llvm::enumerate(reads[0].getIndices())) {
    auto at = plainIndex(v, reads[0]->getBlock(), reader.getInputs().size());
    if (!at || order[*at] >= 0)
      return std::nullopt;
    order[*at] = d;
  }
  return llvm::is_sorted(order) ? std::nullopt : std::optional(order);
}

/// Gives the result of a generic or reduce the order `perm` and every reader but transpositions of that order an
/// inverse one.
bool permuteResult(Operation *op) {
  if (!isa<GenericOp, ReduceOp>(op))
    return false;
  if (auto generic = dyn_cast<GenericOp>(op); generic && isMovement(generic))
    return false; // inlined into its readers anyway
  Value result = op->getResult(0);
  // The order that a transposition among the readers wants; the other readers have to be able to read at any index.
  std::optional<SmallVector<int64_t>> wanted;
  for (Operation *user : result.getUsers()) {
    auto generic = dyn_cast<GenericOp>(user);
    std::optional<SmallVector<int64_t>> perm = generic ? asPermutation(generic) : std::nullopt;
    if (perm && (!wanted || *wanted == *perm)) {
      wanted = perm;
      continue;
    }
    unsigned first = firstBodyOperand(user);
    bool readable = !bodiesOf(user).empty();
    for (unsigned i = 0; i < first && i < user->getNumOperands(); ++i)
      readable &= user->getOperand(i) != result;
    if (!readable)
      return false;
  }
  if (!wanted)
    wanted = orderOfConvolution(op);
  if (!wanted)
    wanted = orderOfReader(op);
  if (!wanted)
    return false;
  SmallVector<int64_t> perm = *wanted;
  permuteWork(op, perm);
  auto type = cast<SymTensorType>(result.getType());
  // Transpositions that wanted the new order have it; everybody else reads at permuted indices.
  SmallVector<OpOperand *> uses(llvm::make_pointer_range(result.getUses()));
  for (OpOperand *use : uses) {
    Operation *user = use->getOwner();
    if (auto generic = dyn_cast<GenericOp>(user); generic && asPermutation(generic) == wanted) {
      generic.replaceAllUsesWith(result);
      generic.erase();
    } else {
      readPermuted(user, use->getOperandNumber() - firstBodyOperand(user), perm, type);
    }
  }
  return true;
}

struct AbsorbLayoutsPass : kt::impl::AbsorbLayoutsBase<AbsorbLayoutsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    // A result is turned once: the transposition back that its other readers get would ask to turn it again.
    llvm::SmallPtrSet<Operation *, 16> turned;
    bool changed = true;
    while (changed) {
      changed = false;
      SmallVector<Operation *> ops;
      getOperation()->walk([&](Operation *op) {
        if (isa<ComputeOpInterface>(op))
          ops.push_back(op);
      });
      // From the end: what a later op wants is known before an earlier one is asked.
      llvm::SmallPtrSet<Operation *, 16> erased;
      for (Operation *op : llvm::reverse(ops)) {
        if (erased.contains(op))
          continue;
        if (isa<MatmulOp, AttentionOp>(op)) {
          unsigned factors = firstBodyOperand(op);
          bool packed = isa<MatmulOp>(op) && cast<MatmulOp>(op).getPacked();
          for (unsigned i = 0; i < factors; ++i)
            if (!(packed && i == 1))
              while (absorbFactor(op, i, i))
                changed = true;
          if (GenericOp t = onlyTransposition(op->getResult(0)))
            if (absorbResult(op, factors)) {
              erased.insert(t);
              changed = true;
            }
          continue;
        }
        if (!turned.contains(op) &&
            permuteResult(op)) { // the transpositions that wanted this order are gone, so the list is stale
          turned.insert(op);
          changed = true;
          break;
        }
        if (auto generic = dyn_cast<GenericOp>(op); generic && generic->use_empty()) {
          erased.insert(op);
          op->erase();
        }
      }
    }
  }
};

} // namespace
