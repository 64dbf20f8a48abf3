//===- TieStates.cpp - results that go on where arguments end -------------===//
//
//   func(%past : [b, past, 64]) -> (%present : [b, past + seq, 64])
//   %present = generic { j - past < seq ? new[b, j - past, d] : past[b, j, d] }
//
// A cache is an argument and a result with more of the same. Nothing in a graph says so but this: up to some position
// the result is the argument. What is new is a window; who keeps argument and result in one piece of memory computes
// that alone.
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
  Value shift; // a value of the body, which does not depend on the axis or on the last dimension
};

class Tie {
public:
  Tie(func::FuncOp func, func::ReturnOp ret, unsigned result) : func(func), ret(ret), result(result) {}

  bool run() {
    made = ret.getOperand(result).getDefiningOp<GenericOp>();
    if (!made || made->getBlock() != &func.getBody().front())
      return false;
    for (auto [i, v] : llvm::enumerate(made.getInputs()))
      if (auto arg = dyn_cast<BlockArgument>(v); arg && grows(arg)) {
        argument = arg, operand = i;
        if (std::optional<Window> window = match()) {
          rewrite(*window);
          return true;
        }
      }
    return false;
  }

private:
  SymTensorType type() { return made.getResult().getType(); }
  Block &body() { return made.getBody().front(); }
  Value indexArgument(unsigned dim) { return body().getArgument(made.getInputs().size() + dim); }
  MLIRContext *context() { return func.getContext(); }

  /// Whether the result is as large as `arg` but in one dimension, in which the argument is a symbol. Sets `axis`.
  bool grows(BlockArgument arg) {
    auto from = cast<SymTensorType>(arg.getType());
    if (func.getArgAttr(arg.getArgNumber(), kTied) || from.getElementType() != type().getElementType() ||
        from.getRank() != type().getRank())
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

  std::optional<Window> windowAt(Value offset, Expr count) {
    Expr zero = Expr::constant(context(), 0);
    if (auto size = offset.getDefiningOp<SizeOp>())
      return Window{size.getValue(), count, {}};
    if (dependsOn(offset, indexArgument(axis)) || dependsOn(offset, indexArgument(type().getRank() - 1)))
      return std::nullopt;
    return Window{zero, count, offset};
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
        if (Value by = offset(read.getIndices()[checked]))
          found = windowAt(by, read.getTensor().getType().dim(checked));
        v = read.getOtherwise();
      } else if (auto select = v.getDefiningOp<arith::SelectOp>()) {
        auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
        auto bound = compare ? compare.getRhs().getDefiningOp<SizeOp>() : SizeOp();
        if (!bound || compare.getPredicate() != arith::CmpIPredicate::ult)
          return std::nullopt;
        if (Value by = offset(compare.getLhs()))
          found = windowAt(by, bound.getValue());
        v = select.getFalseValue();
      }
      if (!found || window) // one window only
        return std::nullopt;
      window = found;
    }
    // Without a reader of its own an element may be overwritten; where that depends on data nobody may rely on it.
    if (window && window->shift && !argument.hasOneUse())
      return std::nullopt;
    return window;
  }

  /// `plain` where a session keeps nothing, else `kept`.
  Expr either(Expr plain, Expr kept) {
    Expr capacity = Expr::symbol(context(), kCapacity), zero = Expr::constant(context(), 0);
    return Expr::select(Expr::eq(zero, capacity), plain, kept);
  }
  SymTensorType withCapacity(SymTensorType from) {
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
    Value stored = CapacityOp::create(b, loc, withCapacity(was), argument);
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
      begin = arith::SelectOp::create(inner, loc, kept, map.lookup(window.shift),
                                      arith::ConstantIndexOp::create(inner, loc, 0));
      yields.push_back(begin);
    }
    Value index = block->getArgument(inputs.size() + axis);
    map.map(indexArgument(axis), arith::AddIOp::create(inner, loc, index, begin).getResult());
    for (Operation &op : body().without_terminator())
      if (!map.contains(op.getResult(0)))
        inner.clone(op, map);
    yields[0] = map.lookup(body().getTerminator()->getOperand(0));
    YieldOp::create(inner, loc, yields);

    ret.setOperand(result, CapacityOp::create(b, loc, full, update.getResult()));
    if (!made.getResult().use_empty())
      made.getResult().replaceAllUsesWith(heldBy(b, loc, update.getResult(), full));
    cleanBodyOperands(update);
    made.erase();
    if (!argument.hasOneUse()) {
      b.setInsertionPointAfterValue(stored);
      argument.replaceAllUsesExcept(heldBy(b, loc, stored, was), stored.getDefiningOp());
    }
    if (stored.use_empty())
      stored.getDefiningOp()->erase();
    func.setArgAttr(argument.getArgNumber(), kTied, b.getI64IntegerAttr(result));
    func.setResultAttr(result, kTied, b.getI64IntegerAttr(argument.getArgNumber()));
  }

  func::FuncOp func;
  func::ReturnOp ret;
  unsigned result;
  GenericOp made;
  BlockArgument argument;
  unsigned operand = 0; // number of the argument among what is read
  int64_t axis = 0;
};

struct TieStatesPass : kt::impl::TieStatesBase<TieStatesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    auto ret = cast<func::ReturnOp>(getOperation().getBody().front().getTerminator());
    for (unsigned i = 0; i < ret.getNumOperands(); ++i)
      Tie(getOperation(), ret, i).run();
  }
};

} // namespace
