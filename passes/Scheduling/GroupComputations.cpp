//===- GroupComputations.cpp - which computations one kernel has ----------===//

#include "passes/Scheduling/GroupComputations.h"
#include "dialects/KT/Schedule/Attention.h"
#include "dialects/KT/Schedule/Products.h"
#include "dialects/KT/Schedule/Structured.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Once.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace kt;

/// Bodies of more ops together are not computed at once: their values would not fit into registers.
constexpr unsigned kMostBodyOps = 160;
/// Longer rows are not made by the norm that reads them: no block holds one, and one alone would make all of it.
constexpr int64_t kLongestRow = 16384;

/// More rows than this are none that a block of a product normalizes itself.
constexpr int64_t kFewRows = 32;

/// No more reductions are looked at for one to share its pass with.
constexpr size_t kMostCandidates = 64;
/// A kernel has no more computations beside one another: each is code that all others' blocks step over.
constexpr size_t kMostBeside = 4;
/// Bodies of more ops than these are more code than a launch is worth.
constexpr unsigned kMostBesideOps = 256;
/// None of them comes earlier than so many computations: what it makes is in memory for longer.
constexpr size_t kMostEarlier = 16;

static int64_t sliceOf(Operation *op) {
  auto slice = op->getAttrOfType<IntegerAttr>("kt.slice");
  return slice ? slice.getInt() : 0;
}

/// Whether weights that `next` reads are loaded where `first` is launched, or soon.
static bool weightsAreLoaded(Operation *first, Operation *next) {
  return sliceOf(next) <= sliceOf(first) + 1 ||
         llvm::none_of(next->getOperands(), [](Value v) { return v.getDefiningOp<ConstantOp>(); });
}

/// Whether all operands of `next` that none of `group` makes are there where the group is launched.
static bool mayJoin(ArrayRef<Operation *> group, Operation *next) {
  Operation *first = group.front();
  return next->getBlock() == first->getBlock() && weightsAreLoaded(first, next) &&
         llvm::all_of(next->getOperands(), [&](Value operand) {
           Operation *def = operand.getDefiningOp();
           return !def || llvm::is_contained(group, def) || def->getBlock() != first->getBlock() ||
                  def->isBeforeInBlock(first);
         });
}

/// Moves computations, and views of what they make, to the one that reads them, where whatever else reads them comes
/// later, through views or not.
static bool moveTo(ArrayRef<Operation *> makers, Operation *reader) {
  SmallVector<Operation *> moved(makers);
  for (size_t i = 0; i < moved.size(); ++i)
    for (Operation *user : moved[i]->getUsers()) {
      Operation *inBlock = reader->getBlock()->findAncestorOpInBlock(*user);
      if (user == reader || (inBlock && reader->isBeforeInBlock(inBlock)))
        continue;
      if (!isa<ReshapeOp, CapacityOp>(user) || user->getBlock() != reader->getBlock())
        return false;
      if (!llvm::is_contained(moved, user))
        moved.push_back(user);
    }
  for (Operation *op : moved)
    op->moveBefore(reader);
  if (Attribute slice = reader->getAttr("kt.slice"))
    for (Operation *maker : makers)
      maker->setAttr("kt.slice", slice);
  return true;
}

/// Elements that a norm makes are written, but not read again, and there is a launch less. What is turned around on
/// the way goes through shared memory, which a kernel of norms does not.
static bool isWorthMaking(GenericOp maker, NormalizeOp norm) {
  unsigned ops = bodyOps(maker.getBody()) + bodyOps(norm.getBody()) + bodyOps(norm.getEpilogue());
  return ops <= kMostBodyOps && !turnedDimension(maker) &&
         normalizedLength(norm).asConstant().value_or(0) <= kLongestRow;
}

/// The product that alone reads what a norm makes, as the rows of its left side, where these may be few: each of its
/// blocks can then make them, while weights are on their way. Many rows are made once, by what comes before.
static MatmulOp productOfRows(NormalizeOp norm) {
  auto matmul = norm.getResult().hasOneUse() ? dyn_cast<MatmulOp>(*norm->user_begin()) : MatmulOp();
  if (!matmul || matmul->getBlock() != norm->getBlock() || matmul.getLhs() != norm.getResult() || norm.getAxes() != 1)
    return {};
  Product p = analyzeMatmul(matmul);
  bool wholeRows = p.batch.empty() && p.lhsRows.empty() && p.lhsOffset.isConstant(0) && p.lhsK.isConstant(1) &&
                   p.lhsM == p.k && p.k == normalizedLength(norm) && p.k.asConstant();
  // What is looked up, such as a table's rows, may lie anywhere and is better read once.
  bool direct = true;
  norm.getBody().walk([&](ReadOp read) { direct = direct && isAtOwnIndices(read); });
  int64_t least = 1;
  for (Expr e : p.mParts)
    least *= std::clamp<int64_t>(e.asConstant().value_or(1), 1, kFewRows + 1);
  return wholeRows && direct && p.packed && p.isHalf() && least <= kFewRows ? matmul : MatmulOp();
}

/// The norm that goes on with the rows of a product, or of elementwise work: over its columns, reading each element
/// at its own place, and else nothing that is not there before.
static NormalizeOp normOfRows(Operation *maker, const llvm::SmallPtrSetImpl<Operation *> &joined) {
  Value made = maker->getResult(0);
  auto type = cast<SymTensorType>(made.getType());
  if (auto product = dyn_cast<MatmulOp>(maker);
      product && product.getMap(2).getDimPosition(type.getRank() - 1) != product.numBatch() + 1)
    return {};
  for (Operation *user : made.getUsers()) {
    auto norm = dyn_cast<NormalizeOp>(user);
    if (norm && isa<MatmulOp>(maker) && productOfRows(norm))
      continue;
    if (!norm || joined.contains(norm) || norm->getBlock() != maker->getBlock() || !readsOwnElements(norm, made))
      continue;
    auto generic = dyn_cast<GenericOp>(maker);
    if (generic ? isWorthMaking(generic, norm) && (mayJoin(maker, norm) || moveTo(maker, norm))
                : norm.getAxes() == 1 && mayJoin(maker, norm))
      return norm;
  }
  return {};
}

/// Reductions that are computed in the pass of `first`: what they read as well is more than what they write, and all
/// walk rows or all walk columns.
static SmallVector<ReduceOp> reductionsOfPass(ReduceOp first, ArrayRef<ReduceOp> all,
                                              const llvm::SmallPtrSetImpl<Operation *> &joined) {
  SmallVector<ReduceOp> found = {first};
  SmallVector<Operation *> group = {first};
  unsigned ops = bodyOps(first.getBody());
  ArrayRef<ReduceOp> later = all.drop_front(llvm::find(all, first) - all.begin() + 1);
  for (ReduceOp next : later.take_front(std::min(later.size(), kMostCandidates))) {
    if (joined.contains(next) || !mayJoin(group, next) || !sharesPass(found, next) ||
        reducesRows(first) != reducesRows(next) || ops + bodyOps(next.getBody()) > kMostBodyOps)
      continue;
    double shared = 0;
    for (Value v : next.getInputs())
      if (llvm::any_of(found, [&](ReduceOp one) { return llvm::is_contained(one.getInputs(), v); }))
        shared += typicalBytes(v);
    if (shared <= typicalBytes(next.getResult()))
      continue;
    ops += bodyOps(next.getBody());
    found.push_back(next);
    group.push_back(next);
  }
  found.erase(found.begin());
  return found;
}

/// Elementwise work and windows, which threads do an element or some neighbours of. What is turned around goes through
/// shared memory, and what is no number has no code for GPUs.
static bool isOfElements(Operation *op) {
  auto plain = [](Type type) { return cast<SymTensorType>(type).getElementType().isIntOrFloat(); };
  auto generic = dyn_cast<GenericOp>(op);
  return (generic ? !turnedDimension(generic) : isa<UpdateOp>(op)) && llvm::all_of(op->getOperandTypes(), plain) &&
         llvm::all_of(op->getResultTypes(), plain);
}

/// Moves what makes an attention's operands element by element to it, and answers with that, the attention last. A
/// block of few queries makes what it needs itself, while the keys that were there before are on their way; more have
/// them made by a launch before.
static SmallVector<Operation *> moveMakers(AttentionOp op) {
  AttentionMakers makers = findMakers(op);
  if (!makers)
    return {};
  FailureOr<AttentionProblem> p = analyzeAttention(op);
  if (failed(p) || !p->isHalf() || std::max(p->d, p->e) > kMostDecodeWidth ||
      p->i.asConstant().value_or(1) > kMostDecodeQueries)
    return {};
  if (makers.query && !isOfElements(makers.query))
    makers.query = {}, makers.dims[0] = {};
  SmallVector<Operation *> group = makers.all();
  unsigned ops = 0;
  for (Operation *maker : group)
    ops += bodyOps(maker->getRegion(0));
  if (ops > kMostBesideOps || !llvm::all_of(group, isOfElements) || !moveTo(group, op))
    return {};
  setMakers(op, makers);
  group.push_back(op);
  return group;
}

/// Computations behind one another that nothing keeps in their order but what they read: no number that a run finds
/// out and no check comes between them.
using Stretch = SmallVector<Operation *>;

static SmallVector<Stretch> stretchesOf(ArrayRef<Operation *> work) {
  llvm::SmallSetVector<Block *, 4> blocks;
  for (Operation *op : work)
    blocks.insert(op->getBlock());
  SmallVector<Stretch> all;
  for (Block *block : blocks) {
    all.emplace_back();
    for (Operation &op : *block)
      if (isa<ComputeOpInterface>(op))
        all.back().push_back(&op);
      else if (isa<ItemOp, AssertOp, IfOp, LoopOp>(op))
        all.emplace_back();
  }
  return all;
}

namespace {
/// Joins what is left alone by other rules to what comes before it.
class Besides {
public:
  explicit Besides(Followers &followers) : followers(followers) {
    for (auto &[op, group] : followers)
      joined.insert_range(group);
  }

  void run(SmallVectorImpl<Operation *> &work) {
    for (Stretch &stretch : stretchesOf(work))
      for (auto [i, first] : llvm::enumerate(stretch))
        if (isAlone(first) && isOfElements(first))
          join(first, ArrayRef(stretch).drop_front(i + 1).take_front(kMostEarlier));
    llvm::erase_if(work, [&](Operation *op) { return launched.contains(op); });
  }

private:
  bool isAlone(Operation *op) const { return !joined.contains(op) && !followers.contains(op); }
  bool isOnce(Operation *op) {
    auto graph = op->getParentOfType<func::FuncOp>();
    return graph && facts.try_emplace(graph, graph).first->second.isOnce(op);
  }

  void join(Operation *first, ArrayRef<Operation *> later) {
    SmallVector<Operation *> found;
    unsigned ops = bodyOps(first->getRegion(0));
    for (Operation *next : later) {
      if (found.size() + 1 == kMostBeside)
        break;
      if (!isAlone(next) || !isOfElements(next) || !weightsAreLoaded(first, next) || isOnce(first) != isOnce(next) ||
          ops + bodyOps(next->getRegion(0)) > kMostBesideOps || !bringViews(first, next))
        continue;
      ops += bodyOps(next->getRegion(0));
      found.push_back(next);
      launched[next] = first;
      joined.insert(next);
    }
    if (!found.empty())
      followers[first] = found;
  }

  /// Whether `v` is made, in its block or around it, before `first` is launched.
  bool isThere(Value v, Operation *first) const {
    Operation *def = v.getDefiningOp();
    if (Operation *with = def ? launched.lookup(def) : nullptr)
      def = with;
    return !def || def->getBlock() != first->getBlock() || def->isBeforeInBlock(first);
  }

  /// Has the views that `next` reads before `first`; answers false, and leaves all as it is, where what they are of is
  /// made later.
  bool bringViews(Operation *first, Operation *next) {
    for (Value v : next->getOperands()) {
      while (!isThere(v, first) && v.getDefiningOp<ReshapeOp>())
        v = v.getDefiningOp<ReshapeOp>().getSource();
      if (!isThere(v, first))
        return false;
    }
    for (OpOperand &operand : next->getOpOperands()) {
      SmallVector<Operation *> views;
      for (Value v = operand.get(); !isThere(v, first); v = v.getDefiningOp<ReshapeOp>().getSource())
        views.push_back(v.getDefiningOp());
      // A move would have all of the block numbered again.
      for (Operation *view : llvm::reverse(views)) {
        view->replaceAllUsesWith(OpBuilder(first).clone(*view));
        view->erase();
      }
    }
    return true;
  }

  Followers &followers;
  llvm::SmallPtrSet<Operation *, 16> joined;         // by whatever rule
  llvm::DenseMap<Operation *, Operation *> launched; // beside which one
  llvm::DenseMap<Operation *, OnceFacts> facts;      // of each graph
};
} // namespace

Followers kt::groupComputations(SmallVectorImpl<Operation *> &work) {
  Followers followers;
  llvm::SmallPtrSet<Operation *, 16> joined;
  // Followers are behind the first one, in its block.
  llvm::MapVector<Block *, SmallVector<ReduceOp>> reductions;
  for (Operation *op : work)
    if (auto reduce = dyn_cast<ReduceOp>(op))
      reductions[op->getBlock()].push_back(reduce);
  for (Operation *op : work)
    if (auto attention = dyn_cast<AttentionOp>(op))
      if (SmallVector<Operation *> group = moveMakers(attention); !group.empty()) {
        followers[group.front()].assign(group.begin() + 1, group.end());
        joined.insert_range(ArrayRef(group).drop_front());
      }
  for (Operation *op : work) {
    if (joined.contains(op) || followers.contains(op))
      continue;
    auto join = [&](Operation *next) {
      followers[op].push_back(next);
      joined.insert(next);
    };
    if (auto reduce = dyn_cast<ReduceOp>(op)) {
      for (ReduceOp next : reductionsOfPass(reduce, reductions[op->getBlock()], joined))
        join(next);
    } else if (isa<MatmulOp, GenericOp>(op)) {
      if (NormalizeOp norm = normOfRows(op, joined))
        join(norm);
    } else if (auto norm = dyn_cast<NormalizeOp>(op)) {
      if (MatmulOp product = productOfRows(norm)) {
        norm->moveBefore(product);
        if (Attribute slice = product->getAttr("kt.slice"))
          norm->setAttr("kt.slice", slice);
        join(product);
      }
    }
  }
  llvm::erase_if(work, [&](Operation *op) { return joined.contains(op); });
  return followers;
}

void kt::joinBeside(SmallVectorImpl<Operation *> &work, Followers &followers) { Besides(followers).run(work); }
