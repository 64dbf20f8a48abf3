//===- FuseEpilogues.cpp - elementwise work follows its producer ----------===//
//
//   %c = matmul ... epilogue { acc }        %r = matmul ... epilogue { max(acc + b[j], 0) }
//   %r = generic { max(c[i, j] + b[j], 0) }   ->
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Dominance.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"
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

/// Work on the elements of one shape, done on those of another that has as many in the same order: operands that are
/// read at neighbouring indices of the work's own are reshaped, where these are some of the new shape's; others are
/// read at the position computed back from the new one.
class Reshaped {
public:
  Reshaped(ComputeOpInterface op, SymTensorType to, OpBuilder &b) : op(op), b(b) {
    old = cast<SymTensorType>(op->getResult(0).getType());
    result = SymTensorType::get(b.getContext(), to.getDims(), old.getElementType());
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      addInput(i);
  }

  SymTensorType type() const { return result; }
  ArrayRef<Value> operands() const { return inputs; }

  /// The work of `from`, as the body of an operation with these operands.
  void move(BodyRef from, Region &to) {
    Block &was = from.region->front();
    SmallVector<Type> leading(llvm::to_vector(was.getArgumentTypes()));
    leading.truncate(from.leading);
    Block *block = addBody(to, leading, inputs, result.getRank());
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    IRMapping map;
    unsigned first = from.leading + inputs.size();
    for (unsigned i = 0; i < first; ++i)
      map.map(was.getArgument(i), block->getArgument(i));
    SmallVector<Value> now(block->getArguments().drop_front(first));
    for (auto [i, v] : llvm::enumerate(positionBefore(now)))
      map.map(was.getArgument(first + i), v);
    for (Operation &o : was) {
      auto read = dyn_cast<ReadOp>(o);
      auto range = read ? ranges[cast<BlockArgument>(read.getTensor()).getArgNumber() - from.leading] : std::nullopt;
      if (range) {
        ValueRange at = ValueRange(now).slice(range->first, range->second);
        map.map(read.getResult(), ReadOp::create(b, o.getLoc(), map.lookup(read.getTensor()), at).getResult());
        continue;
      }
      b.clone(o, map);
    }
    eraseDead(*block);
  }

private:
  /// The first dimension and the number of those that something has.
  using Range = std::pair<unsigned, unsigned>;

  void addInput(unsigned number) {
    Value v = op->getOperand(number);
    auto was = cast<SymTensorType>(v.getType());
    std::optional<Range> range = rangeOf(number, was);
    if (range)
      range = newRange(*range);
    if (range) {
      auto type =
          SymTensorType::get(b.getContext(), result.getDims().slice(range->first, range->second), was.getElementType());
      v = throughReshapes(v);
      // Where the tensor is made: who comes before the work may take this in.
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointAfterValue(v);
      v = v.getType() == type ? v : ReshapeOp::create(b, op->getLoc(), type, v).getResult();
    }
    inputs.push_back(v);
    ranges.push_back(range);
  }

  /// The work's own indices at which operand `number` is read, if they are neighbours and it has their dimensions.
  std::optional<Range> rangeOf(unsigned number, SymTensorType type) {
    std::optional<unsigned> first;
    for (BodyRef body : op.bodies())
      for (ReadOp read : readsOf(op, number)) {
        Block *block = &body.region->front();
        if (read->getBlock() != block)
          continue;
        for (auto [d, index] : llvm::enumerate(read.getIndices())) {
          auto at = plainIndex(index, block, body.leading + op->getNumOperands());
          if (!at || *at < d || first.value_or(*at - d) != *at - d || old.dim(*at) != type.dim(d))
            return std::nullopt;
          first = *at - d;
        }
        if (read.getOtherwise())
          return std::nullopt;
      }
    return first ? std::optional(Range(*first, type.getRank())) : std::nullopt;
  }

  /// The dimensions of the new shape that hold the same elements as `range` of the old one.
  std::optional<Range> newRange(Range range) {
    if (range.first == 0 && range.second == old.getRank()) // as many elements, though perhaps only a check says so
      return Range(0, result.getRank());
    auto product = [&](SymTensorType type, unsigned first, unsigned count) {
      Expr all = Expr::constant(b.getContext(), 1);
      for (ExprAttr d : type.getDims().slice(first, count))
        all = all * Expr(d);
      return all;
    };
    std::optional<unsigned> begin, end;
    Expr from = product(old, 0, range.first), to = product(old, 0, range.first + range.second);
    for (unsigned d = 0; d <= result.getRank(); ++d) {
      Expr here = product(result, 0, d);
      if (!begin && here == from)
        begin = d;
      if (begin && here == to)
        end = d;
    }
    // Behind a dimension of no elements all products are alike.
    if (!end || product(old, range.first, range.second) != product(result, *begin, *end - *begin))
      return std::nullopt;
    return Range(*begin, *end - *begin);
  }

  /// Dimensions that lead or trail both shapes alike keep their index; the rest goes through the linear position.
  SmallVector<Value> positionBefore(ArrayRef<Value> now) {
    Location loc = op->getLoc();
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
    return before;
  }

  ComputeOpInterface op;
  OpBuilder &b;
  SymTensorType old, result;
  SmallVector<Value> inputs;
  SmallVector<std::optional<Range>> ranges; // of the new shape, where the operand is reshaped
};

GenericOp reshaped(GenericOp consumer, SymTensorType shape, OpBuilder &b) {
  Reshaped work(cast<ComputeOpInterface>(*consumer), shape, b);
  auto op = GenericOp::create(b, consumer.getLoc(), work.type(), work.operands());
  work.move(bodiesOf(consumer).front(), op.getBody());
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

/// Whether another product's result that `consumer` alone reads is wider than `result`, such as sums beside what was
/// quantised: that product takes the work, so that they are not stored.
bool isForAnother(GenericOp consumer, Value result) {
  auto type = cast<SymTensorType>(result.getType());
  return llvm::any_of(consumer.getInputs(), [&](Value v) {
    auto other = v.getDefiningOp<ComputeOpInterface>();
    auto wide = cast<SymTensorType>(v.getType());
    return other && other.epilogueRegion() && v.hasOneUse() && wide.elementBytes() > type.elementBytes() &&
           wide.numElements() == type.numElements() && isa<MatmulOp, ConvOp>(other);
  });
}

bool fuse(Operation *producer) {
  Value result = producer->getResult(0), view;
  GenericOp consumer = onlyGenericUser(result, view);
  if (!consumer || consumer->getBlock() != producer->getBlock())
    return false;
  if (cast<SymTensorType>(result.getType()).getElementType().isInteger(8) && isForAnother(consumer, result))
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

void replaceReshaped(NormalizeOp norm, Reshaped &work, OpBuilder &b) {
  auto turned = NormalizeOp::create(b, norm.getLoc(), work.type(), work.operands(), norm.getKindAttr(),
                                    norm.getAxesAttr(), norm.getEpsilonAttr());
  work.move(bodiesOf(norm).front(), turned.getBody());
  work.move(bodiesOf(norm).back(), turned.getEpilogue());
  cleanBodyOperands(turned);
  norm.replaceAllUsesWith(
      ReshapeOp::create(b, norm.getLoc(), norm.getResult().getType(), turned.getResult()).getResult());
  norm.erase();
}

/// A norm of a product's rows that takes them through a view works in the product's shape, where the product's kernel
/// may go on with it (kt-outline-kernels).
///
///   %v = reshape %product -> [b, s, 64]         %n = normalize { %product } -> [b * s, 64]
///   %n = normalize { %v } -> [b, s, 64]     ->  %r = reshape %n -> [b, s, 64]
bool turnNorm(MatmulOp product) {
  SymTensorType shape = product.getResult().getType();
  for (Operation *user : product.getResult().getUsers()) {
    auto view = dyn_cast<ReshapeOp>(user);
    if (!view)
      continue;
    for (Operation *reader : view.getResult().getUsers()) {
      auto norm = dyn_cast<NormalizeOp>(reader);
      if (!norm || norm.getAxes() != 1 || norm->getBlock() != product->getBlock())
        continue;
      SymTensorType old = norm.getResult().getType();
      if (old.getDims() != view.getResult().getType().getDims() || shape.getRank() < 1 ||
          shape.getDims().back() != old.getDims().back())
        continue;
      OpBuilder b(norm);
      Reshaped work(cast<ComputeOpInterface>(*norm), shape, b);
      replaceReshaped(norm, work, b);
      return true;
    }
  }
  return false;
}

/// A norm of rows that a view has merged, of a tensor that lies otherwise (heads of a part of a projection), has rows
/// of as many dimensions as it takes to read the tensor itself.
///
///   %k = generic { m[b, s, 64 + n] } -> [b, s, 32]         %v = reshape %k -> [b, s, 2, 16]
///   %v = reshape %k -> [b, s * 2, 16]                  ->  %n = normalize { %v } -> [b, s, 2, 16]
///   %n = normalize { %v } -> [b, s * 2, 16]                %r = reshape %n -> [b, s * 2, 16]
bool splitRows(NormalizeOp norm) {
  SymTensorType old = norm.getResult().getType();
  if (norm.getAxes() != 1)
    return false;
  for (Value v : norm.getInputs()) {
    if (cast<SymTensorType>(v.getType()).getDims() != old.getDims() || !v.getDefiningOp<ReshapeOp>() ||
        !throughReshapes(v).getDefiningOp<GenericOp>())
      continue;
    Layout layout = layoutOf(v);
    if (throughReshapes(layout.root) == throughReshapes(v)) // nothing is moved
      continue;
    SmallVector<ExprAttr> dims;
    for (auto [d, modes] : llvm::enumerate(layout.dims)) {
      Modes parts = coalesced(modes);
      if (parts.size() < 2 || (int64_t)d + 1 == old.getRank())
        dims.push_back(old.getDims()[d]);
      else
        for (const Mode &part : parts)
          dims.push_back(part.size.attr());
    }
    if (dims.size() == layout.dims.size())
      continue;
    OpBuilder b(norm);
    Reshaped work(cast<ComputeOpInterface>(*norm), SymTensorType::get(b.getContext(), dims, old.getElementType()), b);
    replaceReshaped(norm, work, b);
    return true;
  }
  return false;
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
    for (Operation *op : producers)
      if (auto product = dyn_cast<MatmulOp>(op))
        while (turnNorm(product))
          ;
    SmallVector<NormalizeOp> norms(getOperation().getOps<NormalizeOp>());
    for (NormalizeOp norm : norms)
      splitRows(norm);
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
