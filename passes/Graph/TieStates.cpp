//===- TieStates.cpp - results that go on where arguments end -------------===//
//
//   func(%past : [b, past, 64]) -> (%present : [b, past + seq, 64])
//   %present = generic { j - past < seq ? new[b, j - past, d] : past[b, j, d] }
//
// A cache is an argument and a result with more of the same. Nothing in a graph says so but this: up to some position
// the result is the argument. What is new is a window; who keeps argument and result in one piece of memory computes
// that alone. In a cache of fixed size the window is written over what was there. A state that each run replaces is one
// by the operator that makes it, or by the names of both.
//
//===----------------------------------------------------------------------===//

#include "mlir/Analysis/SliceAnalysis.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_TIESTATES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Where a body makes something else than the argument's own elements: `count` elements from `from` on, and from
/// `shift` further on where that is set.
struct Window {
  Expr from, count;
  Value shift;       // a value of the body, which does not depend on the axis or on the last dimension
  bool ring = false; // what would lie behind the end lies at the begin
};

void tie(func::FuncOp func, unsigned argument, unsigned result) {
  Builder b(func.getContext());
  func.setArgAttr(argument, kTied, b.getI64IntegerAttr(result));
  func.setResultAttr(result, kTied, b.getI64IntegerAttr(argument));
}

class Tie {
public:
  Tie(func::FuncOp func, func::ReturnOp ret, unsigned result) : func(func), ret(ret), result(result) {}

  bool run() {
    made = ret.getOperand(result).getDefiningOp<GenericOp>();
    if (!made || made->getBlock() != &func.getBody().front())
      return false;
    for (auto [i, v] : llvm::enumerate(made.getInputs())) {
      argument = dyn_cast<BlockArgument>(v), operand = i;
      if (!argument || isTied(argument))
        continue;
      fixed = argument.getType() == type();
      std::optional<Window> window;
      if (fixed)
        for (axis = 0; axis < type().getRank() && !(window = match());)
          ++axis;
      else if (grows(argument))
        window = match();
      if (window) {
        rewrite(*window);
        return true;
      }
    }
    return false;
  }

private:
  bool isTied(BlockArgument arg) { return (bool)func.getArgAttr(arg.getArgNumber(), kTied); }
  SymTensorType type() { return made.getResult().getType(); }
  Block &body() { return made.getBody().front(); }
  Value indexArgument(unsigned dim) { return body().getArgument(made.getInputs().size() + dim); }
  MLIRContext *context() { return func.getContext(); }

  /// Whether the result is as large as `arg` but in one dimension, in which the argument is a symbol. Sets `axis`.
  bool grows(BlockArgument arg) {
    auto from = cast<SymTensorType>(arg.getType());
    if (from.getElementType() != type().getElementType() || from.getRank() != type().getRank())
      return false;
    unsigned differ = 0;
    for (int64_t d = 0; d < from.getRank(); ++d)
      if (from.dim(d) != type().dim(d))
        axis = d, ++differ;
    return differ == 1 && from.dim(axis).kind() == Expr::Kind::Symbol;
  }

  bool dependsOn(Value v, Value on) {
    if (v == on)
      return true;
    Operation *op = v.getDefiningOp();
    return op && llvm::any_of(op->getOperands(), [&](Value x) { return dependsOn(x, on); });
  }

  /// The index along the axis less something: that.
  Value offset(Value index) {
    auto sub = index.getDefiningOp<arith::SubIOp>();
    return sub && sub.getLhs() == indexArgument(axis) ? sub.getRhs() : Value();
  }

  /// A size, or a number that was one; null where it is neither.
  std::optional<Expr> sizeOf(Value v) {
    APInt constant;
    if (matchPattern(v, m_ConstantInt(&constant)) && constant.isNonNegative())
      return Expr::constant(context(), constant.getSExtValue());
    auto size = v.getDefiningOp<SizeOp>();
    return size ? std::optional<Expr>(size.getValue()) : std::nullopt;
  }

  /// In a ring, `offset` with one turn more where it is negative: what is to become of it.
  Value ringOffset(Value index) {
    auto select = index.getDefiningOp<arith::SelectOp>();
    auto turn = select ? select.getTrueValue().getDefiningOp<arith::AddIOp>() : arith::AddIOp();
    auto compare = select ? select.getCondition().getDefiningOp<arith::CmpIOp>() : arith::CmpIOp();
    Value by = select ? select.getFalseValue() : Value();
    if (!turn || turn.getLhs() != by || sizeOf(turn.getRhs()) != Expr(type().dim(axis)) || !compare ||
        compare.getPredicate() != arith::CmpIPredicate::slt || compare.getLhs() != by ||
        !matchPattern(compare.getRhs(), m_Zero()))
      return {};
    return offset(by);
  }

  std::optional<Window> windowAt(Value offset, Expr count) {
    Expr zero = Expr::constant(context(), 0);
    if (auto size = offset.getDefiningOp<SizeOp>())
      return Window{size.getValue(), count, {}};
    if (dependsOn(offset, indexArgument(axis)) || dependsOn(offset, indexArgument(type().getRank() - 1)))
      return std::nullopt;
    return Window{zero, count, offset};
  }

  /// Where a body makes something else where `index`, as it computes it, is below `count`.
  std::optional<Window> windowOf(Value index, Expr count) {
    if (Value by = offset(index))
      return windowAt(by, count);
    Value by = fixed ? ringOffset(index) : Value();
    auto found = by ? windowAt(by, count) : std::nullopt;
    if (!found || !found->shift) // what begins at a size is no window that could be moved
      return std::nullopt;
    found->ring = true;
    return found;
  }

  /// Reads the argument where the result's element is.
  bool readsOwn(ReadOp read) {
    if (read.getTensor() != body().getArgument(operand))
      return false;
    for (auto [d, v] : llvm::enumerate(read.getIndices()))
      if (v != indexArgument(d) && !(type().dim(d).isConstant(1) && matchPattern(v, m_Zero())))
        return false;
    return true;
  }

  /// Follows what a body yields past what is new to the argument's own element.
  std::optional<Window> match() {
    std::optional<Window> window;
    Value v = body().getTerminator()->getOperand(0);
    while (true) {
      std::optional<Window> found;
      if (auto read = v.getDefiningOp<ReadOp>()) {
        if (readsOwn(read))
          break;
        if (!read.getOtherwise() || !read.getCheck() || read.getCheck()->size() != 1)
          return std::nullopt;
        int64_t checked = read.getCheck()->front();
        Value index = read.getIndices()[checked];
        Expr count = read.getTensor().getType().dim(checked);
        found = windowOf(index, count);
        if (!found && fixed && index == indexArgument(axis))
          found = Window{Expr::constant(context(), 0), count, {}};
        v = read.getOtherwise();
      } else if (auto select = v.getDefiningOp<arith::SelectOp>()) {
        auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
        auto bound = compare ? sizeOf(compare.getRhs()) : std::nullopt;
        if (!bound || compare.getPredicate() != arith::CmpIPredicate::ult)
          return std::nullopt;
        found = windowOf(compare.getLhs(), *bound);
        v = select.getFalseValue();
      }
      if (!found || window) // one window only
        return std::nullopt;
      window = found;
    }
    // Without a reader of its own an element may be overwritten; where that depends on data, or is so in any case,
    // nobody may rely on it.
    if (window && (fixed || window->shift) && !argument.hasOneUse())
      return std::nullopt;
    return window;
  }

  /// `plain` where a session keeps nothing, else `kept`.
  Expr either(Expr plain, Expr kept) {
    Expr capacity = Expr::symbol(context(), kCapacity), zero = Expr::constant(context(), 0);
    return Expr::select(Expr::eq(zero, capacity), plain, kept);
  }
  SymTensorType withCapacity(SymTensorType from) {
    if (fixed)
      return from;
    SmallVector<ExprAttr> dims(from.getDims());
    dims[axis] = either(from.dim(axis), Expr::symbol(context(), kCapacity)).attr();
    return SymTensorType::get(context(), dims, from.getElementType());
  }

  /// What a tensor with room for more holds.
  static Value heldBy(OpBuilder &b, Location loc, Value stored, SymTensorType type) {
    auto held = GenericOp::create(b, loc, type, stored);
    Block *block = addBody(held.getBody(), {}, stored, type.getRank());
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    Value element = ReadOp::create(inner, loc, block->getArgument(0), block->getArguments().drop_front());
    YieldOp::create(inner, loc, element);
    return held.getResult();
  }

  void rewrite(const Window &window) {
    Location loc = made.getLoc();
    auto was = cast<SymTensorType>(argument.getType());
    SymTensorType full = type();
    OpBuilder b(context());
    b.setInsertionPointToStart(&func.getBody().front());
    Value stored = argument;
    if (!fixed)
      stored = CapacityOp::create(b, loc, withCapacity(was), argument);
    Expr zero = Expr::constant(context(), 0);
    b.setInsertionPoint(made);
    SmallVector<Value> inputs(made.getInputs());
    inputs[operand] = stored;
    auto update = UpdateOp::create(b, loc, withCapacity(full), inputs, axis, either(zero, window.from).attr(),
                                   either(full.dim(axis), window.count).attr());
    Block *block = addBody(update.getBody(), {}, inputs, full.getRank());
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    IRMapping map;
    for (auto [from, to] : llvm::zip_equal(body().getArguments(), block->getArguments()))
      map.map(from, to);
    // The window's begin comes before what is computed of an index in it.
    SmallVector<Value> yields(1);
    Value begin = SizeOp::create(inner, loc, Expr(update.getFrom()));
    if (window.shift) {
      for (Operation &op : body().without_terminator())
        if (dependsOn(window.shift, op.getResult(0)))
          inner.clone(op, map);
      Value kept = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::ne,
                                         SizeOp::create(inner, loc, either(zero, zero + 1)),
                                         arith::ConstantIndexOp::create(inner, loc, 0));
      Value shift = map.lookup(window.shift);
      if (window.ring) { // Whatever the shift is: where two come to one place, the body makes the same of both.
        Value room = SizeOp::create(inner, loc, full.dim(axis));
        Value place = arith::AddIOp::create(inner, loc, block->getArgument(inputs.size() + axis), shift);
        Value over = arith::CmpIOp::create(inner, loc, arith::CmpIPredicate::sge, place, room);
        shift = arith::SelectOp::create(inner, loc, over, arith::SubIOp::create(inner, loc, shift, room), shift);
      }
      begin = arith::SelectOp::create(inner, loc, kept, shift, arith::ConstantIndexOp::create(inner, loc, 0));
      yields.push_back(begin);
    }
    Value index = block->getArgument(inputs.size() + axis);
    map.map(indexArgument(axis), arith::AddIOp::create(inner, loc, index, begin).getResult());
    for (Operation &op : body().without_terminator()) {
      if (map.contains(op.getResult(0)))
        continue;
      Operation *copy = inner.clone(op, map);
      // A place that data says may be outside; nothing is stored there, nor read.
      if (auto read = dyn_cast<ReadOp>(copy);
          read && window.shift && !read.getOtherwise() && read.getTensor() == block->getArgument(operand)) {
        inner.setInsertionPoint(read);
        Value zero = arith::ConstantOp::create(inner, loc, inner.getZeroAttr(full.scalarType()));
        read.getOtherwiseMutable().assign(zero);
        read.setCheckAttr(inner.getDenseI64ArrayAttr(axis));
        inner.setInsertionPointAfter(read);
      }
    }
    yields[0] = map.lookup(body().getTerminator()->getOperand(0));
    YieldOp::create(inner, loc, yields);

    if (!fixed)
      ret.setOperand(result, CapacityOp::create(b, loc, full, update.getResult()));
    if (!made.getResult().use_empty())
      made.getResult().replaceAllUsesWith(fixed ? update.getResult() : heldBy(b, loc, update.getResult(), full));
    cleanBodyOperands(update);
    made.erase();
    if (!fixed && !argument.hasOneUse()) {
      b.setInsertionPointAfterValue(stored);
      argument.replaceAllUsesExcept(heldBy(b, loc, stored, was), stored.getDefiningOp());
    }
    if (stored.use_empty() && stored != argument)
      stored.getDefiningOp()->erase();
    tie(func, argument.getArgNumber(), result);
    func.setResultAttr(result, kTiedAxis, b.getI64IntegerAttr(axis));
  }

  func::FuncOp func;
  func::ReturnOp ret;
  unsigned result;
  GenericOp made;
  BlockArgument argument;
  unsigned operand = 0; // number of the argument among what is read
  bool fixed = false;   // the argument is as large as the result
  int64_t axis = 0;
};

/// Whether `v` is computed from `from`. `seen` are values that are not.
bool comesFrom(Value v, Value from, llvm::DenseSet<Value> &seen) {
  if (v == from)
    return true;
  Operation *op = v.getDefiningOp();
  if (!op || !seen.insert(v).second)
    return false;
  bool found = false;
  op->walk([&](Operation *inner) {
    found = found || llvm::any_of(inner->getOperands(), [&](Value x) { return comesFrom(x, from, seen); });
  });
  return found;
}

/// "past_conv" and "present_conv", "past_key_values.0.conv_state" and "present.0.conv_state".
bool arePastAndPresent(StringRef past, StringRef present) {
  for (StringRef word : {"past_key_values", "past"}) {
    auto [before, behind] = past.split(word);
    if (before.size() < past.size() && present == (before + "present" + behind).str())
      return true;
  }
  return false;
}

/// The argument of which a result is the whole next state.
std::optional<unsigned> replacedBy(func::FuncOp func, func::ReturnOp ret, unsigned result) {
  Value made = ret.getOperand(result);
  while (auto reshape = made.getDefiningOp<ReshapeOp>())
    made = reshape.getOperand();
  if (isa<BlockArgument>(made)) // handed through, such as what a decoder knows of its encoder: callers give that
    return std::nullopt;
  auto next = func.getResultAttrOfType<IntegerAttr>(result, kNextOf);
  auto name = func.getResultAttrOfType<StringAttr>(result, "kt.name");
  for (BlockArgument arg : func.getArguments()) {
    unsigned i = arg.getArgNumber();
    auto of = func.getArgAttrOfType<StringAttr>(i, "kt.name");
    bool named = name && of && arePastAndPresent(of.getValue(), name.getValue());
    if ((!named && !(next && next.getInt() == i)) || func.getArgAttr(i, kTied) ||
        arg.getType() != ret.getOperand(result).getType())
      continue;
    // What does not follow from the argument may be computed once for all runs, which then do not hand it on.
    llvm::DenseSet<Value> seen;
    if (comesFrom(ret.getOperand(result), arg, seen))
      return i;
  }
  return std::nullopt;
}

struct TieStatesPass : kt::impl::TieStatesBase<TieStatesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    auto ret = cast<func::ReturnOp>(getOperation().getBody().front().getTerminator());
    for (unsigned i = 0; i < ret.getNumOperands(); ++i)
      if (!Tie(getOperation(), ret, i).run() && !getOperation().getResultAttr(i, kTied))
        if (std::optional<unsigned> argument = replacedBy(getOperation(), ret, i))
          tie(getOperation(), *argument, i);
  }
};

} // namespace
