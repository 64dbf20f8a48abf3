//===- ScalarDemand.cpp - demand inside a body ----------------------------===//

#include "passes/Analysis/ScalarDemand.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/PrecisionDemand.h"

using namespace mlir;
using namespace kt;

namespace {

using Demand = PrecisionDemand;

bool isBoolean(Type t) { return t.isInteger(1); }
bool isConstantScalar(Value v) { return matchPattern(v, m_Constant()); }

bool isWhole(Operation &op) {
  return isa<math::FloorOp, math::CeilOp, math::RoundOp, math::RoundEvenOp, math::TruncOp>(op);
}

/// What an operation makes of its operand if that is where the operand's rounding is no longer small: an integer, a
/// step or an angle.
unsigned madeBy(Operation &op) {
  if (op.hasAttr(kStored))
    return 0;
  if (isa<math::SinOp, math::CosOp, math::SincosOp, math::TanOp, arith::RemFOp>(op))
    return Demand::Angle;
  auto narrow = dyn_cast<arith::TruncFOp>(op);
  bool quantises = narrow && cast<FloatType>(narrow.getType()).getWidth() <= 8;
  return quantises || isWhole(op) || isa<arith::FPToSIOp, arith::FPToUIOp>(op) ? Demand::Number : 0u;
}

/// A comparison that rounding could turn: not a test for NaN or infinity.
bool canTurn(arith::CmpFOp op) {
  using P = arith::CmpFPredicate;
  P p = op.getPredicate();
  if (p == P::UNO || p == P::ORD || op.getLhs() == op.getRhs() || op->hasAttr(kStored))
    return false;
  for (Value v : op->getOperands()) {
    APFloat c(0.0);
    if (matchPattern(v, m_ConstantFloat(&c)) && !c.isFinite())
      return false;
  }
  return true;
}

/// Everything that a scalar is computed from in its body.
void slice(Value v, llvm::SmallPtrSetImpl<Operation *> &into) {
  Operation *op = v.getDefiningOp();
  if (!op || !into.insert(op).second)
    return;
  for (Value operand : op->getOperands())
    slice(operand, into);
}

/// The tensor outside that a read of `op`'s body reads.
Value outsideOf(Operation *op, ReadOp read, unsigned leading) {
  return op->getOperand(firstBodyOperand(op) + cast<BlockArgument>(read.getTensor()).getArgNumber() - leading);
}

/// What decides a choice and what is chosen come from one value: then the choice joins two pieces of a function of
/// that value, like a ReLU, and rounding it moves the result a little rather than to something else.
class Choices {
public:
  Choices(Operation *op, unsigned leading) : op(op), leading(leading) {}

  bool joinsPieces(arith::SelectOp select) {
    llvm::SmallPtrSet<Operation *, 16> condition, chosen;
    slice(select.getCondition(), condition);
    slice(select.getTrueValue(), chosen);
    slice(select.getFalseValue(), chosen);
    llvm::SmallDenseSet<Value> compared, made;
    for (Operation *o : condition) {
      if (auto cmp = dyn_cast<arith::CmpFOp>(o)) {
        for (Value v : cmp->getOperands())
          for (Operation *p : piecesOf(v))
            if (chosen.contains(p) || llvm::any_of(chosen, [&](Operation *c) { return sameRead(p, c); }))
              return true;
      } else if (auto read = dyn_cast<ReadOp>(o); read && isBoolean(read.getType())) {
        comparedBy(outsideOf(op, read, leading), compared);
      }
    }
    if (compared.empty())
      return false;
    for (Operation *o : chosen)
      if (auto read = dyn_cast<ReadOp>(o))
        madeOf(outsideOf(op, read, leading), made, kSteps);
    return llvm::any_of(compared, [&](Value v) { return made.contains(v); });
  }

private:
  static constexpr unsigned kSteps = 6; // unfused operators between a value and the pieces that are chosen from

  /// The value itself and, if it is arithmetic on it, what that reads: |x| < 1 is about x.
  SmallVector<Operation *> piecesOf(Value v) {
    llvm::SmallPtrSet<Operation *, 16> all;
    slice(v, all);
    SmallVector<Operation *> reads;
    for (Operation *o : all)
      if (isa<ReadOp>(o))
        reads.push_back(o);
    if (Operation *def = v.getDefiningOp(); def && !isConstantScalar(v))
      reads.push_back(def);
    return reads;
  }

  static bool sameRead(Operation *a, Operation *b) {
    auto x = dyn_cast<ReadOp>(a), y = dyn_cast<ReadOp>(b);
    return x && y && x.getTensor() == y.getTensor() && x.getIndices() == y.getIndices();
  }

  /// A tensor without views and movements.
  static Value root(Value v) {
    while (true) {
      v = throughReshapes(v);
      auto generic = v.getDefiningOp<GenericOp>();
      if (!generic || !isMovement(generic))
        return v;
      auto read = cast<ReadOp>(generic.getBody().front().getTerminator()->getOperand(0).getDefiningOp());
      v = outsideOf(generic, read, 0);
    }
  }

  /// The tensors that a mask was made from by comparing.
  void comparedBy(Value mask, llvm::SmallDenseSet<Value> &into) {
    auto generic = root(mask).getDefiningOp<GenericOp>();
    if (!generic)
      return;
    generic.getBody().walk([&](ReadOp read) {
      Value v = outsideOf(generic, read, 0);
      if (isBoolean(read.getType()) && v != mask)
        comparedBy(v, into);
      else if (isa<FloatType>(read.getType()))
        into.insert(root(v));
    });
  }

  void madeOf(Value v, llvm::SmallDenseSet<Value> &into, unsigned steps) {
    v = root(v);
    if (!into.insert(v).second || steps == 0)
      return;
    if (auto generic = v.getDefiningOp<GenericOp>())
      for (Value input : generic.getInputs())
        madeOf(input, into, steps - 1);
  }

  Operation *op;
  unsigned leading;
};

/// Is the scalar out of range by what the body does? A whole number is as soon as it has more digits than a narrow
/// type: it is a position, or half of the difference to what it was rounded from.
class RangeOf {
public:
  bool leaves(Value v) {
    Operation *op = v.getDefiningOp();
    if (!op || !isa<FloatType>(v.getType()))
      return false;
    auto [it, isNew] = known.try_emplace(v, false);
    if (!isNew)
      return it->second;
    bool is = computed(op);
    return known[v] = is;
  }

private:
  bool computed(Operation *op) {
    if (isa<math::ExpOp, math::Exp2Op, math::ExpM1Op, math::CoshOp, math::SinhOp>(op))
      return !isBoundedAbove(op->getOperand(0));
    if (auto power = dyn_cast<math::PowFOp>(op)) {
      APFloat e(0.0);
      if (matchPattern(power.getRhs(), m_ConstantFloat(&e))) {
        bool lost;
        e.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
        if (e.convertToDouble() <= 1)
          return false;
      }
      return true;
    }
    if (isa<math::FPowIOp>(op))
      return true;
    if (isWhole(*op) || (isa<arith::MulFOp>(op) && op->getOperand(0) == op->getOperand(1)))
      return true;
    if (auto division = dyn_cast<arith::DivFOp>(op)) // a sigmoid's exponential is below the line
      return leaves(division.getLhs());
    if (auto select = dyn_cast<arith::SelectOp>(op)) {
      // An exponential linear unit uses it on one side only, where it is small.
      Value a = select.getTrueValue(), b = select.getFalseValue();
      return (leaves(a) || isConstantScalar(a)) && (leaves(b) || isConstantScalar(b)) && (leaves(a) || leaves(b));
    }
    if (isa<arith::MinimumFOp, arith::MinNumFOp>(op) && llvm::any_of(op->getOperands(), isConstantScalar))
      return false;
    if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp, arith::ExtFOp, arith::TruncFOp,
            arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp, math::AbsFOp, math::FmaOp>(op))
      return llvm::any_of(op->getOperands(), [&](Value v) { return leaves(v); });
    return false; // roots, logarithms and what is bounded
  }

  bool isBoundedAbove(Value v) {
    Operation *op = v.getDefiningOp();
    return op && isa<arith::MinimumFOp, arith::MinNumFOp>(op) && llvm::any_of(op->getOperands(), isConstantScalar);
  }

  DenseMap<Value, bool> known;
};

} // namespace

DenseMap<Value, unsigned> kt::scalarDemand(Operation *op, BodyRef body, unsigned yielded) {
  DenseMap<Value, unsigned> demand;
  Choices choices(op, body.leading);
  Block &block = body.region->front();
  for (Value v : block.getTerminator()->getOperands())
    demand[v] |= yielded;
  for (Operation &o : llvm::reverse(block.without_terminator())) {
    unsigned own = 0;
    for (Value v : o.getResults())
      own |= demand.lookup(v);
    auto add = [&](Value v, unsigned kinds) {
      if (kinds)
        demand[v] |= kinds;
    };
    if (auto read = dyn_cast<ReadOp>(o)) {
      if (read.getOtherwise())
        add(read.getOtherwise(), own);
    } else if (auto cmp = dyn_cast<arith::CmpFOp>(o)) {
      if ((own & Demand::Exact) && canTurn(cmp))
        for (Value v : o.getOperands())
          add(v, Demand::Order);
    } else if (auto select = dyn_cast<arith::SelectOp>(o)) {
      add(select.getTrueValue(), own);
      add(select.getFalseValue(), own);
      // Choosing between booleans is logic: it matters where the result does.
      bool logic = isBoolean(select.getType());
      if (logic ? (own & Demand::Exact) : !choices.joinsPieces(select))
        add(select.getCondition(), Demand::Order);
    } else if (unsigned made = madeBy(o)) {
      for (Value v : o.getOperands())
        add(v, made);
    } else {
      for (Value v : o.getOperands()) {
        // A boolean made into a number is a step.
        bool step = isBoolean(v.getType()) && !isBoolean(o.getResult(0).getType());
        add(v, step ? unsigned(Demand::Order) : isBoolean(v.getType()) ? own & Demand::Exact : own);
      }
    }
  }
  return demand;
}

bool kt::mayLeaveRange(Operation *op) {
  SmallVector<BodyRef> bodies = bodiesOf(op);
  return !bodies.empty() && !isa<AttentionOp>(op) &&
         RangeOf().leaves(bodies.back().region->front().getTerminator()->getOperand(0));
}

bool kt::isCentred(Operation *op) {
  SmallVector<BodyRef> bodies = bodiesOf(op);
  if (bodies.empty() || isa<AttentionOp>(op))
    return false;
  bool found = false;
  bodies.back().region->walk([&](arith::SubFOp sub) {
    llvm::SmallPtrSet<Operation *, 16> from;
    slice(sub.getRhs(), from);
    for (Operation *o : from)
      if (auto read = dyn_cast<ReadOp>(o)) {
        Operation *def = throughReshapes(outsideOf(op, read, bodies.back().leading)).getDefiningOp();
        found |= def && isa<ReduceOp>(def);
      }
  });
  return found;
}

bool kt::isMadeOfIntegers(Value v) {
  auto generic = throughReshapes(v).getDefiningOp<GenericOp>();
  if (!generic)
    return false;
  llvm::SmallPtrSet<Operation *, 16> all;
  slice(generic.getBody().front().getTerminator()->getOperand(0), all);
  bool moves = isMovement(generic);
  return llvm::any_of(all, [&](Operation *o) {
    if (auto read = dyn_cast<ReadOp>(o); read && moves && isMadeOfIntegers(outsideOf(generic, read, 0)))
      return true;
    if (!isa<arith::SIToFPOp, arith::UIToFPOp>(o) || o->getOperand(0).getType().getIntOrFloatBitWidth() < 32)
      return false;
    llvm::SmallPtrSet<Operation *, 16> integers;
    slice(o->getOperand(0), integers);
    return llvm::any_of(integers, [&](Operation *i) {
      auto read = dyn_cast<ReadOp>(i);
      if (!read || !read.getType().isIntOrIndex() || read.getType().getIntOrFloatBitWidth() < 32)
        return false;
      Value from = throughReshapes(outsideOf(generic, read, 0));
      return !isa_and_nonnull<MatmulOp, ConvOp>(from.getDefiningOp());
    });
  });
}
