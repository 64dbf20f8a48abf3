//===- CopyScatters.cpp - scatters whose indices count --------------------===//
//
//   %i = generic { k == 0 ? row + 2 : column } -> [r, c, 2]
//   %v = reshape %i -> [r * c, 2]                             %y = generic { row - 2 < r ? u[row - 2, column] : x[..] }
//   %y = scatter assign %x, %v, %u                       ->
//
// Exporters write `x[2:, :] = u` so, and with it the causal masks of most decoders. As a scatter it is an operation of
// its own that each run repeats; as a choice it joins its readers, attention sees what it masks, and constants fold.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/IndexCounts.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_COPYSCATTERS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// The choice that a scatter is, if its indices are counts and none of its rows writes what another one does.
bool copy(ScatterOp op) {
  SymTensorType base = op.getBase().getType(), rows = op.getIndices().getType();
  auto depth = rows.dim(1).asConstant();
  if (op.getKind() != ScatterKind::assign || !depth || *depth > base.getRank())
    return false;
  Value indices = throughReshapes(op.getIndices());
  auto type = cast<SymTensorType>(indices.getType());
  if (type.getRank() < 2 || !type.dim(type.getRank() - 1).isConstant(*depth))
    indices = op.getIndices(), type = rows;
  MLIRContext *context = op.getContext();
  if (type.getRank() - 1 > kMostGridDims)
    return false;
  SmallVector<Expr> grid;
  for (ExprAttr d : type.getDims().drop_back())
    grid.push_back(d);
  SmallVector<Count> counts, at;
  for (unsigned d = 0; d < grid.size(); ++d)
    at.push_back(Count::index(context, d));
  llvm::SmallDenseMap<unsigned, unsigned> baseOf; // dimensions of the grid that a dimension of the base counts along
  Expr one = Expr::constant(context, 1);
  for (int64_t k = 0; k < *depth; ++k) {
    at.push_back(Count::number(Expr::constant(context, k)));
    Count count = countOver(grid, indices, at);
    at.pop_back();
    if (!count.known || !count.first.isNonNegative() || (count.dim && !baseOf.try_emplace(*count.dim, k).second) ||
        !(base.dim(k) - count.first - (count.dim ? grid[*count.dim] : one)).isNonNegative())
      return false;
    counts.push_back(count);
  }
  for (unsigned d = 0; d < grid.size(); ++d)
    if (!grid[d].isConstant(1) && !baseOf.count(d))
      return false;

  OpBuilder b(op);
  Location loc = op.getLoc();
  SmallVector<ExprAttr> dims(type.getDims().drop_back());
  dims.append(base.getDims().begin() + *depth, base.getDims().end());
  SymTensorType shape = SymTensorType::get(context, dims, base.getElementType());
  Value updates = throughReshapes(op.getUpdates());
  if (updates.getType() != shape)
    updates = ReshapeOp::create(b, loc, shape, updates);
  auto choice = GenericOp::create(b, loc, base, ValueRange{op.getBase(), updates});
  Block *body = addBody(choice.getBody(), {}, choice.getInputs(), base.getRank());
  b.setInsertionPointToStart(body);
  ValueRange own = body->getArguments().drop_front(2);
  Value kept = ReadOp::create(b, loc, body->getArgument(0), own), written;
  SmallVector<Value> from(grid.size());
  SmallVector<int64_t> check;
  for (auto [k, count] : llvm::enumerate(counts)) {
    if (count.dim && grid[*count.dim] == Expr(base.dim(k))) { // all of it
      from[*count.dim] = own[k];
      continue;
    }
    Value first = SizeOp::create(b, loc, count.first);
    if (count.dim) {
      from[*count.dim] = arith::SubIOp::create(b, loc, own[k], first);
      check.push_back(*count.dim);
      continue;
    }
    if (base.dim(k).isConstant(1))
      continue;
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, own[k], first);
    written = written ? arith::AndIOp::create(b, loc, written, here).getResult() : here;
  }
  for (Value &v : from)
    if (!v)
      v = arith::ConstantIndexOp::create(b, loc, 0);
  from.append(own.begin() + *depth, own.end());
  if (written) { // where not, an index that is outside
    Value outside = arith::ConstantIndexOp::create(b, loc, -1);
    from[0] = arith::SelectOp::create(b, loc, written, from[0], outside);
    if (!llvm::is_contained(check, 0))
      check.push_back(0);
  }
  llvm::sort(check);
  Value update = check.empty() ? ReadOp::create(b, loc, body->getArgument(1), from).getResult()
                               : ReadOp::create(b, loc, body->getArgument(1), from, kept).getResult();
  if (!check.empty())
    update.getDefiningOp<ReadOp>().setCheckAttr(b.getDenseI64ArrayAttr(check));
  YieldOp::create(b, loc, update);
  op.replaceAllUsesWith(choice.getResult());
  op.erase();
  return true;
}

struct CopyScattersPass : kt::impl::CopyScattersBase<CopyScattersPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<ScatterOp> ops;
    getOperation()->walk([&](ScatterOp op) { ops.push_back(op); });
    bool any = false;
    for (ScatterOp op : ops)
      any |= copy(op);
    if (any)
      eraseDead(getOperation()); // the indices
  }
};

} // namespace
