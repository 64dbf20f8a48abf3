//===- PrecisionDemand.cpp - which values may be narrowed -----------------===//

#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/ScalarDemand.h"

using namespace mlir;
using namespace kt;

namespace {

/// A product with more columns is no choice among a few: the logits of a vocabulary decide as well, but their weights
/// are a large part of a model's, and that order is not what the rest of the model hangs on.
constexpr int64_t kMostChoices = 1024;

bool isChoice(Operation *op) {
  auto matmul = dyn_cast<MatmulOp>(op);
  if (!matmul)
    return true;
  auto n = matmul.extent(matmul.getMap(2).getNumDims() - 2).asConstant();
  return !n || *n <= kMostChoices;
}

bool isBoolean(Value v) { return cast<SymTensorType>(v.getType()).getElementType().isInteger(1); }

/// Views and movements are their source in another place.
bool isMoved(Operation *op) {
  if (isa<ReshapeOp>(op))
    return true;
  auto generic = dyn_cast<GenericOp>(op);
  return generic && isMovement(generic);
}

/// Does a product work on what is made of `op`'s results?
bool steersProducts(Operation *op) {
  SmallVector<Value> work(op->getResults());
  llvm::DenseSet<Value> seen;
  while (!work.empty()) {
    Value v = work.pop_back_val();
    if (!seen.insert(v).second)
      continue;
    for (Operation *user : v.getUsers()) {
      if (isProduct(user))
        return true;
      if (isa<YieldOp>(user))
        user = user->getParentOp();
      else if (auto loop = dyn_cast<LoopOp>(user))
        llvm::append_range(work, loop.getBody().front().getArguments());
      llvm::append_range(work, user->getResults());
    }
  }
  return false;
}

/// Adds the products that `op`'s result is made of. All that is in a branch or a loop counts as used.
void addProductsBefore(Operation *op, llvm::DenseSet<Operation *> &products) {
  SmallVector<Operation *> work{op};
  llvm::DenseSet<Operation *> seen{op};
  auto add = [&](Operation *next) {
    if (next && !isa<func::FuncOp>(next) && seen.insert(next).second)
      work.push_back(next);
  };
  while (!work.empty()) {
    Operation *next = work.pop_back_val();
    if (next != op && isProduct(next))
      products.insert(next);
    for (Value v : next->getOperands())
      if (auto argument = dyn_cast<BlockArgument>(v))
        add(argument.getOwner()->getParentOp());
      else
        add(v.getDefiningOp());
    if (isa<IfOp, LoopOp>(next))
      next->walk(add);
  }
}

/// Only products read it, as a factor: they narrow it anyway.
bool isOnlyFactor(Value v) {
  return llvm::all_of(v.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    if (isa<ReshapeOp>(user))
      return isOnlyFactor(user->getResult(0));
    return isProduct(user) && use.getOperandNumber() < firstBodyOperand(user);
  });
}

} // namespace

/// Sweeps over the function, users before what they use, until nothing is added. Demand only grows, so loops are no
/// more than a reason for another sweep.
class PrecisionDemand::Solver {
public:
  explicit Solver(PrecisionDemand &result) : result(result) {}

  void run(Block &block) {
    do {
      changed = false;
      direct.clear();
      passed.clear();
      open.clear();
      visit(block);
    } while (changed);
  }

private:
  unsigned of(Value v) { return result.demand.lookup(v); }

  /// A use of `v` that demands `kinds` of it whatever else uses it, and `through` if nothing uses it without demand.
  void use(Value v, unsigned kinds, unsigned through = 0) {
    direct[v] |= kinds;
    passed[v] |= through;
    if (!(kinds | through))
      open.insert(v);
  }

  /// All users of `v` have been seen.
  void settle(Value v) {
    unsigned kinds = direct.lookup(v), through = passed.lookup(v);
    Operation *op = throughReshapes(v).getDefiningOp();
    bool leaves = op && mayLeaveRange(op);
    if (!open.contains(v))
      kinds |= through;
    else if (leaves || (op && isCentred(op)))
      kinds |= through & Range;
    if (leaves && !isOnlyFactor(v))
      kinds |= Range;
    // What arithmetic and products make may be out of range; what is gathered or normalised is as it was.
    if (op && !leaves && !isa<GenericOp, MatmulOp>(op))
      kinds &= ~Range;
    if (!kinds)
      return;
    unsigned &known = result.demand[v];
    changed |= (known | kinds) != known;
    known |= kinds;
  }

  void visit(Block &block) {
    for (Operation &op : llvm::reverse(block)) {
      for (Value v : op.getResults())
        settle(v);
      visit(&op);
    }
    for (Value v : block.getArguments())
      settle(v);
  }

  void visit(Operation *op) {
    if (auto branch = dyn_cast<IfOp>(op)) {
      for (Region *region : {&branch.getThenRegion(), &branch.getElseRegion()}) {
        for (auto [from, to] : llvm::zip(region->front().getTerminator()->getOperands(), branch.getResults()))
          use(from, of(to));
        visit(region->front());
      }
    } else if (auto loop = dyn_cast<LoopOp>(op)) {
      Block &body = loop.getBody().front();
      auto carried = [&](size_t i) { return i < body.getNumArguments() ? of(body.getArgument(i)) : 0; };
      for (auto [i, v] : llvm::enumerate(body.getTerminator()->getOperands()))
        use(v, of(loop.getResult(i)) | carried(i));
      visit(body);
      for (auto [i, v] : llvm::enumerate(loop.getInits()))
        use(v, of(loop.getResult(i)) | carried(i));
    } else if (isa<ReshapeOp, CapacityOp>(op)) {
      Value v = op->getResult(0);
      use(op->getOperand(0), direct.lookup(v), of(v) & ~direct.lookup(v));
    } else if (isa<SortOp, NonzeroOp, ItemOp>(op)) {
      use(op->getOperand(0), chosenBy(op));
    } else if (isa<SuppressOp>(op)) {
      for (Value v : op->getOperands())
        use(v, chosenBy(op));
    } else if (isa<ScanOp, ScatterOp>(op)) {
      for (Value v : op->getOperands())
        use(v, of(op->getResult(0)));
    } else if (isa<ComputeOpInterface>(op)) {
      compute(op);
    } else if (!isa<YieldOp>(op)) { // those of regions belong to the operators around them
      // A mask that leaves the graph is a decision; numbers may be rounded on their way out.
      for (Value v : op->getOperands())
        use(v, isBoolean(v) ? Order : 0);
    }
  }

  unsigned chosenBy(Operation *op) {
    auto [it, isNew] = choices.try_emplace(op, 0u);
    if (isNew)
      it->second = Order | (steersProducts(op) ? Route : 0u);
    return it->second;
  }

  void compute(Operation *op) {
    unsigned kinds = of(op->getResult(0)), first = firstBodyOperand(op);
    SmallVector<BodyRef> bodies = bodiesOf(op);
    SmallVector<unsigned> read(op->getNumOperands());
    auto follow = [&](BodyRef body, unsigned yielded) {
      DenseMap<Value, unsigned> scalars = scalarDemand(op, body, yielded);
      for (unsigned i = first; i < op->getNumOperands(); ++i)
        for (Operation *user : body.region->getArgument(body.leading + i - first).getUsers())
          read[i] |= scalars.lookup(user->getResult(0));
      return body.leading ? scalars.lookup(body.region->getArgument(0)) : 0;
    };
    // What a factor or a term of a sum was made of is demanded no further than elementwise arithmetic goes; a stream
    // goes on through the epilogues that add to it.
    unsigned yielded = isa<GenericOp, UpdateOp>(op) ? kinds
                       : isa<AttentionOp>(op)       ? kinds & (Exact | Origin)
                                                    : kinds & (Exact | Stream | Origin);
    unsigned combined = follow(bodies.back(), yielded);
    if (isa<AttentionOp>(op)) {
      combined |= yielded;
      for (BodyRef body : ArrayRef(bodies).drop_back())
        follow(body, yielded);
    }
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      ReduceKind kind = reduce.getKind();
      bool sums = kind == ReduceKind::add || kind == ReduceKind::mul;
      bool chooses = kind == ReduceKind::argmax || kind == ReduceKind::argmin;
      follow(bodies[0], chooses ? chosenBy(op) : (combined & (Exact | Origin)) | (sums ? Range : 0));
    } else if (auto norm = dyn_cast<NormalizeOp>(op)) {
      // A softmax takes the exponentials of what it reads; a norm reads what is stored between layers.
      bool exponents = norm.getKind() == NormKind::softmax || norm.getKind() == NormKind::log_softmax;
      follow(bodies[0], (combined & (Exact | Stream | Origin)) | (exponents ? Range : 0));
    }
    bool angle = combined & (Angle | Origin);
    bool exact = isProduct(op) && (angle || (combined & Number) || ((combined & (Order | Route)) && isChoice(op)));
    exact |= isProduct(op) && llvm::any_of(op->getOperands().take_front(first), isMadeOfIntegers);
    if (exact)
      result.exactProducts.insert(op);
    if (exact && (combined & Route))
      result.routers.insert(op);
    for (unsigned i = 0; i < first; ++i)
      use(op->getOperand(i), exact ? Factor | (combined & Route ? Stream : 0u) : 0u, angle ? Origin : 0u);
    unsigned own = Exact | Stream | (isMoved(op) ? direct.lookup(op->getResult(0)) : 0);
    for (unsigned i = first; i < op->getNumOperands(); ++i)
      use(op->getOperand(i), read[i] & own, read[i] & ~own);
  }

  PrecisionDemand &result;
  DenseMap<Value, unsigned> direct, passed;
  llvm::DenseSet<Value> open;
  DenseMap<Operation *, unsigned> choices;
  bool changed = false;
};

PrecisionDemand::PrecisionDemand(func::FuncOp func) {
  Solver(*this).run(func.getBody().front());
  for (Operation *router : routers)
    addProductsBefore(router, beforeRouters);
}
