//===- FuseBodies.cpp - producers inlined into the bodies that read them --===//
//
//   %a = generic { exp(x[i]) }            %r = generic { exp(x[i]) + y[j] }
//   %r = generic { a[i] + y[j] }    ->
//
// Reads are pulls, so inlining a producer is substituting its body at the read's indices.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"
#include "passes/Graph/ViewReads.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_FUSEBODIES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr unsigned kMaxBodyOps = 160; // beyond this a kernel's registers would not hold the body
constexpr unsigned kMaxOperands = 14;
constexpr unsigned kCheapCost = 6;   // may be computed again rather than stored
constexpr int64_t kMostWasted = 4;   // elements for one that a guarded read wants: a part of a head, not one of a cache
constexpr unsigned kMaxTurnOps = 64; // of elements that take turns, where they are moved again
constexpr unsigned kScoreCost = 32;  // may be computed for each score, beside a product of some 64 numbers and more

/// Whether `v` is computed from the argument `on`.
bool dependsOn(Value v, Value on) {
  SmallVector<Value> stack = {v};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!stack.empty()) {
    Value top = stack.pop_back_val();
    if (top == on)
      return true;
    if (Operation *def = top.getDefiningOp(); def && seen.insert(def).second)
      llvm::append_range(stack, def->getOperands());
  }
  return false;
}

/// The index along which the window of a state goes; null: `consumer` has none.
Value windowIndex(Operation *consumer) {
  auto update = dyn_cast<UpdateOp>(consumer);
  return update ? update.getBody().getArgument(update.getInputs().size() + update.getAxis()) : Value();
}

/// What is moved on by a number or a size, as are parts beside one another; in a window by anything, such as the length
/// of a row, that is the same all along it.
Value beforeMoves(Value v, Value window) {
  while (Operation *moved = v.getDefiningOp()) {
    if (!isa<arith::AddIOp, arith::SubIOp>(moved))
      break;
    Value from = moved->getOperand(0), by = moved->getOperand(1);
    if (!isa_and_present<arith::ConstantOp, SizeOp>(by.getDefiningOp()) &&
        !(window && dependsOn(from, window) && !dependsOn(by, window)))
      break;
    v = from;
  }
  return v;
}

/// Every element of the operand is read at most once a body evaluation sweep: the indices are distinct plain indices of
/// the body.
bool isInjective(ReadOp read, Block *block, unsigned firstIndex, unsigned numIndices, Value window) {
  llvm::SmallBitVector seen(numIndices);
  for (Value v : read.getIndices()) {
    auto i = plainIndex(read.getOtherwise() ? beforeMoves(v, window) : v, block, firstIndex);
    if (!i) {
      APInt c;
      if (matchPattern(v, m_ConstantInt(&c)))
        continue;
      return false;
    }
    seen.set(*i);
  }
  // Every index of the body takes part: nothing is read again for another value of a missing one, except where that
  // dimension is 1.
  return seen.count() == numIndices;
}

/// Repeats its operand along result dimensions: what is inlined into it would be computed once for each repetition, and
/// readers that know how to skip the repetition (grouped attention) look for it.
bool isRepetition(GenericOp op) {
  if (!isMovement(op) || op.getInputs().size() != 1)
    return false;
  Block &body = op.getBody().front();
  auto read = cast<ReadOp>(body.getTerminator()->getOperand(0).getDefiningOp());
  llvm::SmallBitVector used(op.getResult().getType().getRank());
  for (Value at : read.getIndices()) {
    if (auto i = plainIndex(at, &body, 1))
      used.set(*i);
    else if (!matchPattern(at, m_Zero()))
      return false;
  }
  return !used.all();
}

/// An attention reads an element for each of its scores, however many others read the same mask: less is moved where
/// what the mask is made of (lengths, padding, truths) is smaller than the mask.
bool isCheaperMade(GenericOp producer) {
  double made = 0;
  for (Value v : producer.getInputs())
    made += typicalBytes(v);
  return bodyCost(producer.getBody()) <= kScoreCost && made < typicalBytes(producer.getResult());
}

/// What a guarded read does not want is computed too and dropped: a part of a head, beside what is not rotated of it,
/// but not what is new beside a cache, which may be anything. A window is what is new where a session keeps the rest;
/// elsewhere that is copied, which waits for memory and leaves time to compute what is dropped.
bool wastesLittle(GenericOp producer, ReadOp read, Operation *consumer, const BodyRef &body) {
  if (bodyCost(producer.getBody()) > kScoreCost)
    return false;
  SmallVector<Expr> extents = extentsOf(consumer, body);
  if (Value window = windowIndex(consumer))
    for (auto [d, v] : llvm::enumerate(read.getIndices()))
      if (dependsOn(v, window))
        extents[cast<UpdateOp>(consumer).getAxis()] = producer.getResult().getType().dim(d);
  Expr all = Expr::constant(consumer->getContext(), 1);
  for (Expr extent : extents)
    all = all * extent;
  auto ratio = exactQuotient(all, producer.getResult().getType().numElements());
  return ratio && ratio->asConstant() && *ratio->asConstant() <= kMostWasted;
}

/// What brings an image into the order of a convolution's chunks reads each element once for all that anybody knows, of
/// about as many as there are: what makes them is computed there instead of being stored for it.
bool bringsToConvolution(GenericOp consumer, GenericOp producer) {
  constexpr int64_t kMostMoved = 2; // elements for one that is made
  Expr made = producer.getResult().getType().numElements(), moved = consumer.getResult().getType().numElements();
  return isMovement(consumer) && llvm::all_of(consumer.getResult().getUsers(), llvm::IsaPred<ConvOp>) &&
         bodyCost(producer.getBody()) <= kScoreCost && (made * kMostMoved - moved).isNonNegative();
}

/// The product or convolution whose epilogue may make what `v` is.
Operation *productBehind(Value v) {
  auto direct = [](Value v) -> Operation * {
    v = throughReshapes(v);
    auto op = v.getDefiningOp<ComputeOpInterface>();
    // What was inlined into its reader is there until the pass ends.
    auto isLive = [](Operation *user) { return !isOpTriviallyDead(user); };
    return op && op.epilogueRegion() && llvm::count_if(v.getUsers(), isLive) == 1 ? op.getOperation() : nullptr;
  };
  if (Operation *op = direct(v))
    return op;
  if (auto generic = throughReshapes(v).getDefiningOp<GenericOp>())
    for (Value input : generic.getInputs())
      if (Operation *op = direct(input))
        return op;
  return nullptr;
}

/// Whether one body alone reads what `op` makes, where it is cheap enough to be made, or is once constants are folded.
bool joinsItsReaders(GenericOp op) {
  return op.getResult().hasOneUse() && bodyCost(op.getBody()) <= 2 * kCheapCost &&
         llvm::all_of(op.getResult().getUses(), [](OpOperand &use) {
           Operation *reader = use.getOwner();
           return !bodiesOf(reader).empty() && use.getOperandNumber() >= firstBodyOperand(reader);
         });
}

/// Integers of 8 bits that a product's epilogue makes are a quarter of the sums that they are made of: those are not
/// stored for the sake of who reads the integers, unless that is the product's epilogue as well. Elementwise work is
/// that of the last product that it reads, a reduction is none's. What widens the integers joins who reads it first.
bool isStoredNarrow(GenericOp producer, Operation *consumer) {
  if (!producer.getResult().getType().getElementType().isInteger(8))
    return false;
  Operation *product = productBehind(producer.getResult());
  Expr elements = producer.getResult().getType().numElements();
  if (!product || cast<SymTensorType>(product->getResult(0).getType()).elementBytes() == 1 ||
      cast<SymTensorType>(product->getResult(0).getType()).numElements() != elements)
    return false;
  auto generic = dyn_cast<GenericOp>(consumer);
  if (!generic || generic.getResult().getType().numElements() != elements || joinsItsReaders(generic))
    return true;
  return llvm::any_of(generic.getInputs(), [&](Value v) {
    Operation *other = productBehind(v);
    return other && other != product && product->isBeforeInBlock(other);
  });
}

/// May `producer` be evaluated at each read of it in `consumer`?
bool shouldInline(GenericOp producer, Operation *consumer, unsigned number, bool onlyUser) {
  unsigned cost = bodyCost(producer.getBody());
  unsigned producerOps = bodyOps(producer.getBody());
  unsigned consumerOps = 0;
  for (BodyRef body : bodiesOf(consumer))
    consumerOps += bodyOps(*body.region);
  SmallVector<ReadOp> reads = readsOf(consumer, number);
  if (consumerOps + producerOps * reads.size() > kMaxBodyOps ||
      consumer->getNumOperands() + producer.getInputs().size() > kMaxOperands)
    return false;
  if (auto generic = dyn_cast<GenericOp>(consumer); generic && isRepetition(generic))
    return false;
  if (isMovement(producer) || producer.getInputs().empty())
    return cost <= 40;
  if (isa<AttentionOp>(consumer) && isCheaperMade(producer))
    return true;
  // What can become the epilogue of a product is worth more there than inlined twice. Epilogues make as many elements
  // as their op: what spreads a row's mean over the row is none.
  Expr elements = producer.getResult().getType().numElements();
  bool epilogue = llvm::any_of(producer.getInputs(), [&](Value v) {
    v = throughReshapes(v);
    auto def = v.getDefiningOp<ComputeOpInterface>();
    return def && def.epilogueRegion() && v.hasOneUse() && cast<SymTensorType>(v.getType()).numElements() == elements;
  });
  if (isStoredNarrow(producer, consumer))
    return false;
  // Reading two tensors where one would do costs more than the arithmetic saves.
  unsigned wholeReads = 0;
  for (Value v : producer.getInputs())
    wholeReads += cast<SymTensorType>(v.getType()).numElements() == elements;
  if (cost <= kCheapCost && reads.size() <= 2 && (onlyUser || (!epilogue && wholeReads <= 1)))
    return true;
  if (!onlyUser)
    return false;
  if (auto generic = dyn_cast<GenericOp>(consumer); generic && !epilogue && bringsToConvolution(generic, producer))
    return true;
  // Computed once either way? Identical reads are merged, so the first stands for all when they agree.
  ReadOp first = reads.front();
  for (ReadOp read : reads)
    if (read->getBlock() != first->getBlock() || read.getIndices() != first.getIndices())
      return false;
  for (BodyRef body : bodiesOf(consumer))
    if (&body.region->front() == first->getBlock()) {
      unsigned firstIndex = body.leading + consumer->getNumOperands() - firstBodyOperand(consumer);
      unsigned indices = body.region->getNumArguments() - firstIndex;
      return isInjective(first, first->getBlock(), firstIndex, indices, windowIndex(consumer)) &&
             (!first.getOtherwise() || (!epilogue && wastesLittle(producer, first, consumer, body)));
    }
  return false;
}

/// Replaces `read` of consumer operand by the producer's body. `numbers` maps the producer's operands to body operands
/// of the consumer.
void inlineAt(ReadOp read, GenericOp producer, ArrayRef<Value> operands) {
  OpBuilder b(read);
  Location loc = read.getLoc();
  Block &body = producer.getBody().front();
  SymTensorType type = producer.getResult().getType();
  IRMapping map;
  for (auto [i, v] : llvm::enumerate(operands))
    map.map(body.getArgument(i), v);
  for (auto [i, v] : llvm::enumerate(read.getIndices()))
    map.map(body.getArgument(operands.size() + i), v);

  // A guarded read evaluates the producer only where its index is inside: elsewhere the producer's own reads are turned
  // away by an index of -1, and its checks of indices say nothing.
  Value inside;
  if (read.getOtherwise()) {
    SmallVector<int64_t> dims;
    if (auto check = read.getCheck())
      dims.assign(check->begin(), check->end());
    else
      for (int64_t d = 0; d < type.getRank(); ++d)
        dims.push_back(d);
    for (int64_t d : dims) {
      Value size = SizeOp::create(b, loc, type.dim(d));
      // One unsigned comparison covers both ends.
      Value in = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, read.getIndices()[d], size);
      inside = inside ? arith::AndIOp::create(b, loc, inside, in).getResult() : in;
    }
  }
  Value minusOne;
  if (inside)
    minusOne = arith::ConstantIndexOp::create(b, loc, -1);
  for (Operation &op : body.without_terminator()) {
    if (auto bounded = dyn_cast<BoundedOp>(op); bounded && inside) {
      Value when = inside;
      if (Value own = bounded.getWhen())
        when = arith::AndIOp::create(b, loc, inside, map.lookup(own));
      auto guarded = BoundedOp::create(b, loc, b.getIndexType(), map.lookup(bounded.getValue()), bounded.getLimit(),
                                       bounded.getSite(), when, bounded.getWraps());
      map.map(bounded.getResult(), guarded.getResult());
      continue;
    }
    auto inner = dyn_cast<ReadOp>(op);
    if (!inner || !inside || inner.getIndices().empty()) {
      b.clone(op, map);
      continue;
    }
    SmallVector<Value> at;
    for (Value v : inner.getIndices())
      at.push_back(map.lookup(v));
    at[0] = arith::SelectOp::create(b, loc, inside, at[0], minusOne);
    SmallVector<int64_t> check{0};
    Value otherwise;
    if (inner.getOtherwise()) {
      otherwise = map.lookup(inner.getOtherwise());
      check.clear();
      if (inner.getCheck())
        check.assign(inner.getCheck()->begin(), inner.getCheck()->end());
      else
        for (size_t d = 0; d < at.size(); ++d)
          check.push_back(d);
      if (!llvm::is_contained(check, 0))
        check.push_back(0);
      llvm::sort(check);
    } else {
      otherwise = arith::ConstantOp::create(b, loc, b.getZeroAttr(inner.getType()));
    }
    auto guarded = ReadOp::create(b, loc, map.lookup(inner.getTensor()), at, otherwise);
    guarded.setCheckAttr(b.getDenseI64ArrayAttr(check));
    map.map(inner.getResult(), guarded.getResult());
  }
  Value v = map.lookup(body.getTerminator()->getOperand(0));
  if (inside)
    v = arith::SelectOp::create(b, loc, inside, v, read.getOtherwise());
  read.replaceAllUsesWith(v);
  read.erase();
}

/// Skips views that only have other dimensions of one element.
Value throughUnitViews(Value v) {
  auto kept = [](Value v) {
    SmallVector<ExprAttr> dims(cast<SymTensorType>(v.getType()).getDims());
    llvm::erase_if(dims, [](ExprAttr d) { return Expr(d).isConstant(1); });
    return dims;
  };
  while (auto reshape = v.getDefiningOp<ReshapeOp>()) {
    if (kept(reshape.getSource()) != kept(v))
      break;
    v = reshape.getSource();
  }
  return v;
}

bool isChecked(ReadOp read, int64_t dim) {
  return read.getOtherwise() && (!read.getCheck() || llvm::is_contained(*read.getCheck(), dim));
}

/// Has `read` read `tensor`, of which what it reads is a view of other dimensions of one element.
void readThroughView(ReadOp read, Value tensor) {
  OpBuilder b(read);
  Location loc = read.getLoc();
  SymTensorType type = cast<SymTensorType>(tensor.getType()), view = read.getTensor().getType();
  SmallVector<int64_t> dims, check; // of the view, with more than one element
  Value inside;                     // of those with one
  for (int64_t d = 0; d < view.getRank(); ++d) {
    if (!view.dim(d).isConstant(1)) {
      dims.push_back(d);
    } else if (isChecked(read, d) && !matchPattern(read.getIndices()[d], m_Zero())) {
      Value zero = arith::ConstantIndexOp::create(b, loc, 0);
      Value in = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, read.getIndices()[d], zero);
      inside = inside ? arith::AndIOp::create(b, loc, inside, in).getResult() : in;
    }
  }
  SmallVector<Value> at;
  for (int64_t d = 0, next = 0; d < type.getRank(); ++d) {
    if (type.dim(d).isConstant(1)) {
      at.push_back(arith::ConstantIndexOp::create(b, loc, 0));
      continue;
    }
    int64_t from = dims[next++];
    if (isChecked(read, from))
      check.push_back(d);
    at.push_back(read.getIndices()[from]);
  }
  if (inside) {
    Value outside = arith::ConstantIndexOp::create(b, loc, -1);
    at[0] = arith::SelectOp::create(b, loc, inside, at[0], outside);
    if (!llvm::is_contained(check, 0))
      check.insert(check.begin(), 0);
  }
  auto direct = ReadOp::create(b, loc, tensor, at, check.empty() ? Value() : read.getOtherwise());
  if (!check.empty())
    direct.setCheckAttr(b.getDenseI64ArrayAttr(check));
  read.replaceAllUsesWith(direct.getResult());
  read.erase();
}

/// The movement whose result `v` shows with its last dimensions, of known sizes, merged or split; null where it is not
/// read so alone. Elements that take turns, as in rotations of neighbours, are stacked and then seen as one dimension.
GenericOp turnsBehind(Value v) {
  auto view = v.getDefiningOp<ReshapeOp>();
  auto producer = view ? view.getSource().getDefiningOp<GenericOp>() : GenericOp();
  if (!producer || !v.hasOneUse() || !view.getSource().hasOneUse() || bodyOps(producer.getBody()) > kMaxTurnOps)
    return {};
  for (Operation &op : producer.getBody().front())
    if (!isa<ReadOp, SizeOp, YieldOp, arith::ConstantOp, arith::SelectOp, arith::AddIOp, arith::SubIOp, arith::MulIOp,
             arith::CmpIOp, arith::AndIOp, arith::NegFOp>(op))
      return {};
  return producer;
}

/// How many leading dimensions two shapes have in common, if all others are known and there are some.
std::optional<unsigned> commonLead(SymTensorType a, SymTensorType b) {
  unsigned lead = 0, least = std::min(a.getRank(), b.getRank());
  while (lead < least && a.dim(lead) == b.dim(lead))
    ++lead;
  for (SymTensorType type : {a, b})
    for (int64_t d = lead; d < type.getRank(); ++d)
      if (!type.dim(d).asConstant() || type.dim(d).isConstant(0))
        return std::nullopt;
  return lead < least ? std::optional(lead) : std::nullopt;
}

/// Has a body read what is behind a view of other last dimensions.
bool readTurns(GenericOp consumer, unsigned number) {
  Value v = consumer.getInputs()[number];
  GenericOp producer = turnsBehind(v);
  if (!producer || producer->getBlock() != consumer->getBlock())
    return false;
  auto view = cast<SymTensorType>(v.getType());
  SymTensorType type = producer.getResult().getType();
  auto lead = commonLead(view, type);
  SmallVector<ReadOp> reads = readsOf(consumer, number);
  if (!lead || reads.size() != 1 || reads[0].getOtherwise() ||
      bodyOps(consumer.getBody()) + bodyOps(producer.getBody()) > kMaxBodyOps ||
      consumer.getInputs().size() + 1 + producer.getInputs().size() > kMaxOperands)
    return false;
  ReadOp read = reads[0];
  OpBuilder b(read);
  Location loc = read.getLoc();
  auto constant = [&](int64_t c) -> Value { return arith::ConstantIndexOp::create(b, loc, c); };
  SmallVector<Value> at(read.getIndices().take_front(*lead)), reversed;
  Value linear = read.getIndices()[*lead];
  for (int64_t d = *lead + 1; d < view.getRank(); ++d)
    linear = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, linear, constant(*view.dim(d).asConstant())),
                                   read.getIndices()[d]);
  for (int64_t d = type.getRank(); d-- > *lead + 1;) {
    Value size = constant(*type.dim(d).asConstant());
    reversed.push_back(arith::RemUIOp::create(b, loc, linear, size));
    linear = arith::DivUIOp::create(b, loc, linear, size);
  }
  reversed.push_back(linear);
  at.append(reversed.rbegin(), reversed.rend());
  unsigned direct = addBodyOperand(consumer, producer.getResult());
  auto now = ReadOp::create(b, loc, consumer.getBody().getArgument(direct), at);
  read.replaceAllUsesWith(now.getResult());
  read.erase();
  // Each element is read once, as it was.
  SmallVector<unsigned> numbers;
  for (Value input : producer.getInputs())
    numbers.push_back(addBodyOperand(consumer, input));
  SmallVector<Value> operands;
  for (unsigned n : numbers)
    operands.push_back(consumer.getBody().getArgument(n));
  inlineAt(now, producer, operands);
  return true;
}

bool fuseInto(Operation *consumer) {
  bool changed = false;
  for (unsigned number = 0; number < consumer->getNumOperands() - firstBodyOperand(consumer); ++number)
    changed |= readThroughViews(consumer, number);
  if (auto generic = dyn_cast<GenericOp>(consumer); generic && !isMovement(generic))
    for (unsigned number = 0; number < generic.getInputs().size(); ++number)
      changed |= readTurns(generic, number);
  for (unsigned number = 0; number < consumer->getNumOperands() - firstBodyOperand(consumer); ++number) {
    Value v = consumer->getOperand(firstBodyOperand(consumer) + number), source = throughUnitViews(v);
    auto producer = source.getDefiningOp<GenericOp>();
    if (!producer || producer->getBlock() != consumer->getBlock())
      continue;
    SmallVector<ReadOp> reads = readsOf(consumer, number);
    if (reads.empty() || (source != v && cast<SymTensorType>(source.getType()).getRank() == 0))
      continue;
    bool onlyUser = true;
    for (Value x = v;; x = x.getDefiningOp<ReshapeOp>().getSource()) {
      onlyUser &= llvm::all_of(x.getUsers(), [&](Operation *user) {
        return user == consumer || (x != v && isa<ReshapeOp>(user) && x.hasOneUse());
      });
      // A factor that only the kernel reads stays.
      for (unsigned i = 0; i < firstBodyOperand(consumer); ++i)
        onlyUser &= consumer->getOperand(i) != x;
      if (x == source)
        break;
    }
    if (!shouldInline(producer, consumer, number, onlyUser))
      continue;
    if (source != v) {
      unsigned direct = addBodyOperand(consumer, source);
      for (ReadOp read : reads)
        for (BodyRef body : bodiesOf(consumer))
          if (&body.region->front() == read->getBlock())
            readThroughView(read, body.region->getArgument(body.leading + direct));
      reads = readsOf(consumer, direct);
    }
    SmallVector<unsigned> numbers;
    for (Value input : producer.getInputs())
      numbers.push_back(addBodyOperand(consumer, input));
    for (ReadOp read : reads) {
      SmallVector<Value> operands;
      for (BodyRef body : bodiesOf(consumer))
        if (&body.region->front() == read->getBlock())
          for (unsigned n : numbers)
            operands.push_back(body.region->getArgument(body.leading + n));
      inlineAt(read, producer, operands);
    }
    changed = true;
  }
  if (changed)
    cleanBodyOperands(consumer);
  return changed;
}

struct FuseBodiesPass : kt::impl::FuseBodiesBase<FuseBodiesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    // In program order, so that producers are complete when they are inlined.
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<ReshapeOp>(op) || !bodiesOf(op).empty())
        ops.push_back(op);
    });
    for (Operation *op : ops)
      while (fuseInto(op))
        ;
    // Producers, and views of them, that nothing reads any more.
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }
};

} // namespace
