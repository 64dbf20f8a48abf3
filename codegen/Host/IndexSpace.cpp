//===- IndexSpace.cpp - the loops around a scalar body --------------------===//

#include "codegen/Host/IndexSpace.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

static Expr strideOf(SymTensorType type, int64_t dim) {
  Expr n = Expr::constant(type.getContext(), 1);
  for (int64_t i = dim + 1; i < type.getRank(); ++i)
    n = n * type.dim(i);
  return n;
}

/// The position at which `read` uses `index` alone and unchecked, or -1.
static int64_t plainPosition(ReadOp read, Value index) {
  int64_t at = -1;
  for (auto [i, v] : llvm::enumerate(read.getIndices())) {
    if (v != index)
      continue;
    if (at >= 0)
      return -1;
    at = i;
  }
  if (at >= 0 && read.getOtherwise()) {
    auto check = read.getCheck();
    if (!check || llvm::is_contained(*check, at))
      return -1;
  }
  return at;
}

/// True when each read steps over `outer` as it would by walking off the end of `inner`.
static bool canMerge(Region &region, Value outer, Value inner, Expr innerExtent) {
  auto fits = [&](Operation *user) {
    auto read = dyn_cast<ReadOp>(user);
    if (!read)
      return false;
    int64_t a = plainPosition(read, outer), c = plainPosition(read, inner);
    auto type = cast<SymTensorType>(read.getTensor().getType());
    return a >= 0 && c >= 0 && strideOf(type, a) == innerExtent * strideOf(type, c);
  };
  return llvm::all_of(outer.getUsers(), fits) && llvm::all_of(inner.getUsers(), fits);
}

IndexSpace::IndexSpace(ArrayRef<Expr> dims, ArrayRef<BodyUse> uses, bool mayMerge) : rank(dims.size()) {
  for (int64_t d = 0; d < (int64_t)dims.size(); ++d) {
    if (dims[d].isConstant(1))
      continue;
    bool merge = mayMerge && !extents.empty() && llvm::all_of(uses, [&](const BodyUse &use) {
                   Block &block = use.region->front();
                   return canMerge(*use.region, block.getArgument(use.firstIndex + carriers.back()),
                                   block.getArgument(use.firstIndex + d), dims[d]);
                 });
    if (merge) {
      extents.back() = extents.back() * dims[d];
      carriers.back() = d;
    } else {
      extents.push_back(dims[d]);
      carriers.push_back(d);
    }
  }
  if (extents.empty()) {
    MLIRContext *context = uses.front().region->getContext();
    extents.push_back(Expr::constant(context, 1));
    carriers.push_back(-1);
  }
}

Expr IndexSpace::total() const {
  Expr n = extents.front();
  for (Expr e : llvm::drop_begin(extents))
    n = n * e;
  return n;
}

SmallVector<Value> IndexSpace::indices(Emitter &e, ValueRange loopIndices) const {
  SmallVector<Value> all(rank, e.idx(0));
  for (auto [loop, dim] : llvm::enumerate(carriers))
    if (dim >= 0)
      all[dim] = loopIndices[loop];
  return all;
}

/// True when `v` is computed from `index` without reading memory.
static bool dependsOn(Value v, Value index) {
  SmallVector<Value> stack = {v};
  while (!stack.empty()) {
    Value top = stack.pop_back_val();
    if (top == index)
      return true;
    if (Operation *def = top.getDefiningOp(); def && !isa<ReadOp>(def))
      llvm::append_range(stack, def->getOperands());
  }
  return false;
}

/// The last dimension of a read's tensor that is not known to be 1, or -1.
static int64_t lastDim(ReadOp read) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  int64_t last = type.getRank() - 1;
  while (last > 0 && type.dim(last).isConstant(1))
    --last;
  return last;
}

Access kt::codegen::host::accessAlong(Region &region, unsigned arg) {
  Access access;
  Value index = region.front().getArgument(arg);
  region.walk([&](ReadOp read) {
    int64_t last = lastDim(read);
    if (last < 0)
      return;
    if (dependsOn(read.getIndices()[last], index))
      ++access.contiguous;
    else if (llvm::any_of(read.getIndices().take_front(last), [&](Value v) { return dependsOn(v, index); }))
      ++access.strided;
  });
  return access;
}

bool kt::codegen::host::readsAcross(Region &region, unsigned fast, unsigned slow) {
  Value fastIndex = region.front().getArgument(fast), slowIndex = region.front().getArgument(slow);
  bool found = false;
  region.walk([&](ReadOp read) {
    int64_t last = lastDim(read);
    found |= last > 0 && dependsOn(read.getIndices()[last], slowIndex) &&
             !dependsOn(read.getIndices()[last], fastIndex) &&
             llvm::any_of(read.getIndices().take_front(last), [&](Value v) { return dependsOn(v, fastIndex); });
  });
  return found;
}

int64_t kt::codegen::host::bodyCost(Region &region) {
  int64_t cost = 1;
  region.walk([&](Operation *op) {
    if (isa<math::MathDialect>(op->getDialect()))
      cost += 8;
    else if (isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::FloorDivSIOp,
                 arith::RemFOp>(op))
      cost += 4;
    else
      cost += 1;
  });
  return cost;
}
