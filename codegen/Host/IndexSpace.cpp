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

IndexSpace::IndexSpace(ArrayRef<Expr> dims, ArrayRef<BodyUse> uses) : rank(dims.size()) {
  for (int64_t d = 0; d < (int64_t)dims.size(); ++d) {
    if (dims[d].isConstant(1))
      continue;
    bool merge = !extents.empty() && llvm::all_of(uses, [&](const BodyUse &use) {
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

Access kt::codegen::host::accessAlong(Region &region, unsigned arg) {
  Access access;
  Value index = region.front().getArgument(arg);
  region.walk([&](ReadOp read) {
    int64_t rank = read.getIndices().size();
    if (rank == 0)
      return;
    // What the last index depends on, through arithmetic.
    auto dependsOn = [&](Value v) {
      SmallVector<Value> stack = {v};
      while (!stack.empty()) {
        Value top = stack.pop_back_val();
        if (top == index)
          return true;
        if (Operation *def = top.getDefiningOp(); def && !isa<ReadOp>(def))
          llvm::append_range(stack, def->getOperands());
      }
      return false;
    };
    int64_t last = rank - 1;
    auto type = cast<SymTensorType>(read.getTensor().getType());
    while (last > 0 && type.dim(last).isConstant(1))
      --last;
    if (dependsOn(read.getIndices()[last]))
      ++access.contiguous;
    else if (llvm::any_of(read.getIndices().take_front(last), dependsOn))
      ++access.strided;
  });
  return access;
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
