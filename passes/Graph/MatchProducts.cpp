//===- MatchProducts.cpp - products that differ by column only ------------===//

#include "passes/Graph/MatchProducts.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"

using namespace mlir;
using namespace kt;

/// Of more biases and factors than this not each choice is tried.
static constexpr size_t kMostOptional = 4;

std::optional<Product> kt::productOf(MatmulOp op, const PrecisionDemand &demand) {
  std::optional<ConstantFactor> weights = constantFactorOf(op);
  if (!weights || op.getViews() || demand.isExactProduct(op) || demand.of(op.getResult()) & PrecisionDemand::Exact)
    return std::nullopt;
  for (Value v = op.getRhs(); v; v = v.getDefiningOp<ReshapeOp>() ? v.getDefiningOp<ReshapeOp>().getSource() : Value())
    if (!v.hasOneUse())
      return std::nullopt;
  unsigned dims = op.getMap(2).getNumDims();
  auto column = op.getMap(2).getResultPosition(getAffineDimExpr(dims - 2, op.getContext()));
  return Product{op, *weights, *column, demand.of(op.getResult())};
}

bool kt::agree(const Product &a, const Product &b) {
  SymTensorType x = a.op.getResult().getType(), y = b.op.getResult().getType();
  if (a.demand != b.demand || a.weights.k != b.weights.k || a.op.getLhs() != b.op.getLhs() ||
      a.op.getMap(0) != b.op.getMap(0) || a.op.getMap(2) != b.op.getMap(2) || a.op.getDepth() != b.op.getDepth() ||
      a.op->getBlock() != b.op->getBlock() ||
      a.op.getRhs().getType().getElementType() != b.op.getRhs().getType().getElementType() ||
      a.weights.blocks() != b.weights.blocks() || x.getRank() != y.getRank())
    return false;
  for (int64_t d = 0; d < x.getRank(); ++d)
    if (d != a.column && x.dim(d) != y.dim(d))
      return false;
  return true;
}

static BlockArgument columnIndex(const Product &p) {
  Block &body = p.op.getEpilogue().front();
  return body.getArgument(1 + p.op.getExtras().size() + p.column);
}

static Value extraOf(const Product &p, ReadOp read) {
  return p.op.getExtras()[cast<BlockArgument>(read.getTensor()).getArgNumber() - 1];
}

/// Constants that differ in dimension `dim` alone, which is as long as each product has columns.
static bool joinable(const Product &a, Value x, const Product &b, Value y, unsigned dim) {
  auto s = cast<SymTensorType>(x.getType()), t = cast<SymTensorType>(y.getType());
  if (!throughReshapes(x).getDefiningOp<ConstantOp>() || !throughReshapes(y).getDefiningOp<ConstantOp>() ||
      s.getElementType() != t.getElementType() || s.getRank() != t.getRank())
    return false;
  for (int64_t d = 0; d < s.getRank(); ++d)
    if (d != dim && s.dim(d) != t.dim(d))
      return false;
  return s.dim(dim).isConstant(a.weights.n) && t.dim(dim).isConstant(b.weights.n);
}

bool kt::matchEpilogues(const Product &first, const Product &other, SmallVectorImpl<ByColumn> &found) {
  Block &a = first.op.getEpilogue().front(), &b = other.op.getEpilogue().front();
  if (llvm::range_size(a) != llvm::range_size(b))
    return false;
  IRMapping map; // from first to other
  map.map(a.getArgument(0), b.getArgument(0));
  unsigned rank = first.op.getResult().getType().getRank();
  for (unsigned i = 0; i < rank; ++i)
    map.map(a.getArgument(a.getNumArguments() - rank + i), b.getArgument(b.getNumArguments() - rank + i));
  Value column = columnIndex(first);
  size_t next = 0;
  auto add = [&](ByColumn what) -> ByColumn & {
    if (next == found.size())
      found.push_back(std::move(what));
    return found[next++];
  };
  for (auto [x, y] : llvm::zip(a, b)) {
    if (x.getName() != y.getName() || x.getNumOperands() != y.getNumOperands() ||
        x.getResultTypes() != y.getResultTypes())
      return false;
    for (auto [r, s] : llvm::zip(x.getResults(), y.getResults()))
      map.map(r, s);
    // Each constant has an entry, wanted or not, so that entries are in the order of operations for all products.
    if (auto constant = dyn_cast<arith::ConstantOp>(x)) {
      ByColumn &entry = add({&x, {}, {constant.getValue()}, 0});
      entry.values.push_back(cast<arith::ConstantOp>(y).getValue());
      if (entry.values.back() != entry.values.front() &&
          !(constant.getType().isIntOrFloat() && constant.getType().getIntOrFloatBitWidth() >= 8))
        return false;
      continue;
    }
    auto read = dyn_cast<ReadOp>(x);
    unsigned from = 0;
    if (read) {
      auto twin = cast<ReadOp>(y);
      Value s = extraOf(first, read), t = extraOf(other, twin);
      if (llvm::is_contained(read.getIndices(), column)) {
        unsigned dim = llvm::find(read.getIndices(), column) - read.getIndices().begin();
        if (llvm::count(read.getIndices(), column) != 1 || !joinable(first, s, other, t, dim) || read.getOtherwise())
          return false;
        add({&x, {s}, {}, dim}).tensors.push_back(t);
      } else if (s != t) {
        return false;
      }
      from = 1; // the tensor
    } else if (llvm::is_contained(x.getOperands(), column)) {
      return false; // columns count from 0 in each product
    }
    for (unsigned i = from; i < x.getNumOperands(); ++i)
      if (map.lookupOrDefault(x.getOperand(i)) != y.getOperand(i))
        return false;
    if (x.getDiscardableAttrDictionary() != y.getDiscardableAttrDictionary() ||
        x.getPropertiesAsAttribute() != y.getPropertiesAsAttribute())
      return false;
  }
  return true;
}

/// What some epilogues have and others do without: the addition of a bias by column, or a multiplication with a
/// constant, with all that only it uses.
struct OptionalOp {
  Operation *op;
  unsigned kept; // operand of `op` that it would be replaced by
  SmallVector<Operation *, 4> all;
};

static SmallVector<OptionalOp> optionalOps(const Product &p) {
  SmallVector<OptionalOp> found;
  for (Operation &op : p.op.getEpilogue().front()) {
    if (!isa<arith::AddFOp, arith::MulFOp>(op))
      continue;
    for (unsigned kept = 0; kept < 2; ++kept) {
      OptionalOp optional{&op, kept, {&op}};
      Value v = op.getOperand(1 - kept);
      for (; v.hasOneUse() && isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(v.getDefiningOp());
           v = v.getDefiningOp()->getOperand(0))
        optional.all.push_back(v.getDefiningOp());
      Operation *made = v.getDefiningOp();
      auto read = dyn_cast_or_null<ReadOp>(made);
      bool neutral = isa<arith::AddFOp>(op)
                         ? read && !read.getOtherwise() && llvm::count(read.getIndices(), columnIndex(p)) == 1 &&
                               throughReshapes(extraOf(p, read)).getDefiningOp<ConstantOp>()
                         : isa_and_nonnull<arith::ConstantOp>(made);
      if (!neutral || !v.hasOneUse())
        continue;
      optional.all.push_back(made);
      found.push_back(std::move(optional));
      break;
    }
  }
  return found;
}

/// -0.0 as often as `p` has columns, in the place of `like`, which has it along dimension `dim`.
static Value noBias(const Product &p, Value like, unsigned dim) {
  OpBuilder b(p.op);
  auto type = cast<SymTensorType>(like.getType());
  SmallVector<ExprAttr> dims(type.getDims());
  dims[dim] = Expr::constant(b.getContext(), p.weights.n).attr();
  type = SymTensorType::get(b.getContext(), dims, type.getElementType());
  APInt zero =
      APFloat::getZero(cast<FloatType>(type.getElementType()).getFloatSemantics(), /*Negative=*/true).bitcastToAPInt();
  auto *raw = reinterpret_cast<const char *>(zero.getRawData());
  std::vector<char> bytes;
  for (int64_t i = 0, n = *type.numElements().asConstant(); i < n; ++i)
    bytes.insert(bytes.end(), raw, raw + type.elementBytes());
  return makeConstant(b, p.op.getLoc(), type, std::move(bytes), "");
}

/// What was added to an epilogue.
struct Added {
  Operation *op;
  Value kept;  // what was read in place of its result before, if anything
  Value zeros; // the operand that it reads, if any
};

/// Adds to the epilogue of `p` the operations of `like` that `missing` has, each where it is there. False where the two
/// differ in more.
static bool addMissing(const Product &p, const Product &like, ArrayRef<const OptionalOp *> missing,
                       SmallVectorImpl<Added> &added) {
  Block &from = like.op.getEpilogue().front(), &to = p.op.getEpilogue().front();
  unsigned rank = p.op.getResult().getType().getRank();
  IRMapping map;
  map.map(from.getArgument(0), to.getArgument(0));
  for (unsigned i = 0; i < rank; ++i)
    map.map(from.getArgument(from.getNumArguments() - rank + i), to.getArgument(to.getNumArguments() - rank + i));
  auto optionalOf = [&](Operation &x) {
    const auto *it = llvm::find_if(missing, [&](const OptionalOp *o) { return llvm::is_contained(o->all, &x); });
    return it == missing.end() ? nullptr : *it;
  };
  auto next = to.begin();
  for (Operation &x : from) {
    const OptionalOp *optional = optionalOf(x);
    if (!optional) {
      if (next == to.end() || next->getResultTypes() != x.getResultTypes())
        return false;
      map.map(x.getResults(), next->getResults());
      ++next;
      continue;
    }
    OpBuilder b(&to, next);
    Value zeros;
    if (auto read = dyn_cast<ReadOp>(x)) {
      unsigned dim = llvm::find(read.getIndices(), columnIndex(like)) - read.getIndices().begin();
      zeros = noBias(p, extraOf(like, read), dim);
      unsigned number = addBodyOperand(p.op, zeros);
      map.map(read.getTensor(), to.getArgument(1 + number));
    }
    Operation *clone = b.clone(x, map);
    if (isa<arith::ConstantOp>(clone))
      clone->setAttr("value", b.getFloatAttr(clone->getResult(0).getType(), 1.0));
    added.push_back({clone, Value(), zeros});
    if (&x == optional->op) {
      // What came before is now read through it.
      Value kept = clone->getOperand(optional->kept);
      if (kept.getType() != clone->getResult(0).getType())
        return false;
      added.back().kept = kept;
      kept.replaceUsesWithIf(clone->getResult(0), [&](OpOperand &use) {
        return use.getOwner() != clone && clone->isBeforeInBlock(use.getOwner());
      });
    }
  }
  return next == to.end();
}

bool kt::completeEpilogue(const Product &p, const Product &like) {
  SmallVector<OptionalOp> optional = optionalOps(like);
  if (optional.size() > kMostOptional)
    return false;
  size_t own = llvm::range_size(p.op.getEpilogue().front()), wanted = llvm::range_size(like.op.getEpilogue().front());
  for (unsigned chosen = 1; chosen < 1u << optional.size(); ++chosen) {
    SmallVector<const OptionalOp *> missing;
    size_t count = own;
    for (auto [i, o] : llvm::enumerate(optional))
      if (chosen >> i & 1) {
        missing.push_back(&o);
        count += o.all.size();
      }
    if (count != wanted)
      continue;
    SmallVector<Added> added;
    SmallVector<ByColumn> found;
    if (addMissing(p, like, missing, added) && matchEpilogues(like, p, found))
      return true;
    for (Added &a : llvm::reverse(added)) {
      if (a.kept)
        a.op->getResult(0).replaceAllUsesWith(a.kept);
      a.op->erase();
    }
    cleanBodyOperands(p.op);
    for (Added &a : added)
      if (a.zeros)
        a.zeros.getDefiningOp()->erase();
  }
  return false;
}
