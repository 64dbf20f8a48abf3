//===- FuseEpilogues.cpp - elementwise work follows its producer ----------===//
//
//   %c = matmul ... epilogue { acc }        %r = matmul ... epilogue { max(acc + b[j], 0) }
//   %r = generic { max(c[i, j] + b[j], 0) }   ->
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Dominance.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr unsigned kMaxEpilogueOps = 120;

/// The only user of `v`, looking through views that have one user; null if there are several. `view` becomes the value
/// that user reads.
GenericOp onlyGenericUser(Value v, Value &view) {
  view = v;
  while (view.hasOneUse()) {
    Operation *user = *view.getUsers().begin();
    if (auto reshape = dyn_cast<ReshapeOp>(user)) {
      view = reshape.getResult();
      continue;
    }
    return dyn_cast<GenericOp>(user);
  }
  // One user that reads it through several operands or reads.
  Operation *first = nullptr;
  for (Operation *user : view.getUsers()) {
    if (first && user != first)
      return {};
    first = user;
  }
  return dyn_cast_or_null<GenericOp>(first);
}

/// Rewrites `consumer`, whose result has another shape than `shape` but as many elements in the same order, to work in
/// `shape`: operands that it reads at its own position are reshaped, others are read at the position computed back from
/// the new one.
GenericOp reshaped(GenericOp consumer, SymTensorType shape, OpBuilder &b) {
  Location loc = consumer.getLoc();
  SymTensorType old = consumer.getResult().getType();
  SymTensorType result = SymTensorType::get(b.getContext(), shape.getDims(), old.getElementType());
  Block &from = consumer.getBody().front();
  unsigned count = consumer.getInputs().size();
  SmallVector<Value> inputs;
  SmallVector<bool> whole;
  for (unsigned i = 0; i < count; ++i) {
    Value v = consumer.getInputs()[i];
    SmallVector<ReadOp> reads = readsOf(consumer, i);
    bool identity = cast<SymTensorType>(v.getType()).getDims() == old.getDims() &&
                    llvm::all_of(reads, [&](ReadOp r) { return isIdentityRead(r, count, old.getRank()); });
    whole.push_back(identity);
    if (identity) {
      auto type =
          SymTensorType::get(b.getContext(), shape.getDims(), cast<SymTensorType>(v.getType()).getElementType());
      Value source = throughReshapes(v);
      v = source.getType() == type ? source : ReshapeOp::create(b, loc, type, source).getResult();
    }
    inputs.push_back(v);
  }
  auto op = GenericOp::create(b, loc, result, inputs);
  Block *block = addBody(op.getBody(), {}, inputs, result.getRank());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(block);
  IRMapping map;
  for (unsigned i = 0; i < count; ++i)
    map.map(from.getArgument(i), block->getArgument(i));
  SmallVector<Value> now(block->getArguments().begin() + count, block->getArguments().end());
  // Dimensions that lead or trail both shapes alike keep their index; the rest goes through the linear position.
  int64_t newRank = result.getRank(), oldRank = old.getRank(), lead = 0, trail = 0;
  while (lead < std::min(newRank, oldRank) && result.dim(lead) == old.dim(lead))
    ++lead;
  while (trail < std::min(newRank, oldRank) - lead && result.dim(newRank - 1 - trail) == old.dim(oldRank - 1 - trail))
    ++trail;
  SmallVector<Value> before(oldRank);
  for (int64_t i = 0; i < lead; ++i)
    before[i] = now[i];
  for (int64_t i = 1; i <= trail; ++i)
    before[oldRank - i] = now[newRank - i];
  auto size = [&](Expr e) -> Value { return SizeOp::create(b, loc, e); };
  Value linear = arith::ConstantIndexOp::create(b, loc, 0);
  for (int64_t i = lead; i < newRank - trail; ++i)
    linear = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, linear, size(result.dim(i))), now[i]);
  for (int64_t i = oldRank - trail; i-- > lead;) {
    if (i == lead) {
      before[i] = linear;
      break;
    }
    before[i] = arith::RemUIOp::create(b, loc, linear, size(old.dim(i)));
    linear = arith::DivUIOp::create(b, loc, linear, size(old.dim(i)));
  }
  for (int64_t i = 0; i < oldRank; ++i)
    map.map(from.getArgument(count + i), before[i]);
  for (Operation &o : from) {
    if (auto read = dyn_cast<ReadOp>(o); read && whole[cast<BlockArgument>(read.getTensor()).getArgNumber()]) {
      map.map(read.getResult(), ReadOp::create(b, loc, map.lookup(read.getTensor()), now).getResult());
      continue;
    }
    b.clone(o, map);
  }
  return op;
}

/// Appends the body of `consumer`, which reads `producer` at its own position, to the producer's epilogue.
void absorb(Operation *producer, GenericOp consumer, Value view) {
  Region &epilogue = *cast<ComputeOpInterface>(producer).epilogueRegion();
  unsigned leading = bodiesOf(producer).back().leading;
  DenseMap<unsigned, unsigned> numbers;
  for (auto [i, v] : llvm::enumerate(consumer.getInputs()))
    if (v != view)
      numbers[i] = addBodyOperand(producer, v);
  Block &into = epilogue.front(), &from = consumer.getBody().front();
  Operation *yield = into.getTerminator();
  Value value = yield->getOperand(0);
  OpBuilder b(yield);
  IRMapping map;
  unsigned count = consumer.getInputs().size(),
           firstIndex = leading + producer->getNumOperands() - firstBodyOperand(producer);
  for (auto [i, n] : numbers)
    map.map(from.getArgument(i), into.getArgument(leading + n));
  for (int64_t i = 0; i < consumer.getResult().getType().getRank(); ++i)
    map.map(from.getArgument(count + i), into.getArgument(firstIndex + i));
  for (Operation &o : from.without_terminator()) {
    if (auto read = dyn_cast<ReadOp>(o); read && !numbers.count(cast<BlockArgument>(read.getTensor()).getArgNumber())) {
      map.map(read.getResult(), value);
      continue;
    }
    b.clone(o, map);
  }
  yield->setOperand(0, map.lookup(from.getTerminator()->getOperand(0)));
  producer->getResult(0).setType(consumer.getResult().getType());
  // It now stands where all that it reads is known.
  producer->moveBefore(consumer);
  producer->setLoc(FusedLoc::get(producer->getContext(), {producer->getLoc(), consumer.getLoc()}));
  consumer.replaceAllUsesWith(producer->getResult(0));
  consumer.erase();
  cleanBodyOperands(producer);
}

bool fuse(Operation *producer) {
  Value result = producer->getResult(0), view;
  GenericOp consumer = onlyGenericUser(result, view);
  if (!consumer || consumer->getBlock() != producer->getBlock())
    return false;
  if (llvm::range_size(cast<ComputeOpInterface>(producer).epilogueRegion()->front()) +
              llvm::range_size(consumer.getBody().front()) >
          kMaxEpilogueOps ||
      producer->getNumOperands() + consumer.getInputs().size() > 14)
    return false;
  SymTensorType viewType = cast<SymTensorType>(view.getType());
  if (consumer.getResult().getType().getDims() != viewType.getDims())
    return false;
  unsigned count = consumer.getInputs().size();
  for (auto [i, v] : llvm::enumerate(consumer.getInputs()))
    if (v == view)
      for (ReadOp read : readsOf(consumer, i))
        if (!isIdentityRead(read, count, viewType.getRank()))
          return false;
  // A convolution's or reduction's own operands may be read by the consumer as well; only its result must not be.
  if (view != result) {
    OpBuilder b(consumer);
    GenericOp moved = reshaped(consumer, cast<SymTensorType>(result.getType()), b);
    b.setInsertionPointAfter(moved);
    Value back = ReshapeOp::create(b, consumer.getLoc(), consumer.getResult().getType(), moved.getResult());
    consumer.replaceAllUsesWith(back);
    consumer.erase();
    consumer = moved;
    view = result;
  }
  absorb(producer, consumer, view);
  return true;
}

struct FuseEpiloguesPass : kt::impl::FuseEpiloguesBase<FuseEpiloguesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<Operation *> producers;
    getOperation()->walk([&](ComputeOpInterface op) {
      if (op.epilogueRegion())
        producers.push_back(op);
    });
    for (Operation *op : producers)
      while (fuse(op))
        ;
    // Views left without a reader.
    SmallVector<Operation *> dead;
    getOperation()->walk([&](ReshapeOp op) {
      if (op->use_empty())
        dead.push_back(op);
    });
    for (Operation *op : llvm::reverse(dead))
      if (op->use_empty())
        op->erase();
  }
};

} // namespace
