//===- TurnProducts.cpp - products in the order of their reader -----------===//
//
//   %c = matmul %x, %w -> [s * b, n]                      %r = matmul %x, %w {views = [[s, b, k] ..]} -> [b, s, n]
//   %v = reshape %c -> [s, b, n]                      ->  %r' = generic { r[i, j, n] + y[i, j, n] } -> [b, s, n]
//   %r = generic { v[j, i, n] + y[i, j, n] } -> [b, s, n]
//
// The rows of a product may be walked in any order. In its one reader's order that reader can become its epilogue.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AffineMap.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Layouts.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_TURNPRODUCTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// What reads a product's result, behind a view perhaps, and nothing else does.
struct Reader {
  ComputeOpInterface op;      // elementwise work, or a norm of rows
  unsigned operand;           // of `op`
  SmallVector<int64_t> order; // dimension i of its result is dimension order[i] of the view
};

/// The one reader of `v`, if it reads each element once, in another order.
std::optional<Reader> turnedReader(Value v) {
  if (!v.hasOneUse())
    return std::nullopt;
  OpOperand &use = *v.getUses().begin();
  Operation *op = use.getOwner();
  auto norm = dyn_cast<NormalizeOp>(op);
  if (!isa<GenericOp>(op) && !(norm && norm.getAxes() == 1))
    return std::nullopt;
  SymTensorType from = cast<SymTensorType>(v.getType()), to = cast<SymTensorType>(op->getResult(0).getType());
  SmallVector<ReadOp> reads = readsOf(op, use.getOperandNumber());
  if (from.getRank() != to.getRank() || reads.empty())
    return std::nullopt;
  Reader reader{cast<ComputeOpInterface>(op), use.getOperandNumber(), {}};
  for (BodyRef body : bodiesOf(op))
    for (ReadOp read : reads) {
      Block *block = &body.region->front();
      if (read->getBlock() != block)
        continue;
      SmallVector<int64_t> order(to.getRank(), -1);
      for (auto [dim, index] : llvm::enumerate(read.getIndices())) {
        auto i = plainIndex(index, block, body.leading + op->getNumOperands());
        if (!i || order[*i] >= 0 || from.dim(dim) != to.dim(*i))
          return std::nullopt;
        order[*i] = dim;
      }
      if (read.getOtherwise() || (!reader.order.empty() && order != reader.order))
        return std::nullopt;
      reader.order = order;
    }
  return llvm::is_sorted(reader.order) ? std::nullopt : std::optional(reader);
}

/// A product over (m, n, k) that is to have rows [rows..]: those dimensions in place of m.
MatmulOp splitRows(MatmulOp op, ArrayRef<Expr> rows, const FactorView &lhs) {
  OpBuilder b(op);
  MLIRContext *context = op.getContext();
  unsigned count = rows.size(), n = count, k = count + 1, dims = count + 2;
  auto dim = [&](unsigned i) { return getAffineDimExpr(i, context); };
  SmallVector<AffineExpr> left, result;
  for (unsigned i = 0; i < count; ++i)
    left.push_back(dim(i)), result.push_back(dim(i));
  left.push_back(dim(k)), result.push_back(dim(n));
  SmallVector<AffineExpr> right;
  for (AffineExpr e : op.getMap(1).getResults())
    right.push_back(dim(cast<AffineDimExpr>(e).getPosition() + count - 1));
  SmallVector<ExprAttr> size;
  for (Expr e : rows)
    size.push_back(e.attr());
  size.push_back(op.extent(1).attr());
  auto map = [&](ArrayRef<AffineExpr> e) { return AffineMapAttr::get(AffineMap::get(dims, 0, e, context)); };
  auto type = SymTensorType::get(context, size, op.getResult().getType().getElementType());
  auto split = MatmulOp::create(b, op.getLoc(), type, op.getLhs(), op.getRhs(), op.getExtras(),
                                b.getArrayAttr({map(left), map(right), map(result)}), op.getDepthAttr(), op.getPacked(),
                                op.getViewsAttr(), op.getParts(), op.getBlocksAttr());
  setFactor(split, 0, op.getLhs(), lhs);
  // The epilogue's row is a number that the new indices make.
  Block *block = addBody(split.getEpilogue(), {op.accumulatorType()}, op.getExtras(), count + 1);
  b.setInsertionPointToStart(block);
  unsigned first = 1 + op.getExtras().size();
  Value row = block->getArgument(first);
  for (unsigned i = 1; i < count; ++i) {
    Value scaled = arith::MulIOp::create(b, op.getLoc(), row, SizeOp::create(b, op.getLoc(), rows[i]));
    row = arith::AddIOp::create(b, op.getLoc(), scaled, block->getArgument(first + i));
  }
  Block &old = op.getEpilogue().front();
  IRMapping mapping;
  for (unsigned i = 0; i < first; ++i)
    mapping.map(old.getArgument(i), block->getArgument(i));
  mapping.map(old.getArgument(first), row);
  mapping.map(old.getArgument(first + 1), block->getArgument(first + count));
  for (Operation &o : old)
    b.clone(o, mapping);
  return split;
}

bool turn(MatmulOp op) {
  // Behind a view that splits the rows, which a plain product has in one dimension.
  Value result = op.getResult();
  ReshapeOp reshape;
  if (result.hasOneUse())
    reshape = dyn_cast<ReshapeOp>(*result.getUsers().begin());
  if (!reshape || op.getParts() != 1 || op.numBatch() != 0 || op.getMap(2).getDimPosition(0) != 0 ||
      op.getMap(0).getDimPosition(0) != 0)
    return false;
  auto reader = turnedReader(reshape.getResult());
  SymTensorType type = reshape.getResult().getType();
  if (!reader || reader->op->getBlock() != op->getBlock() || type.dim(type.getRank() - 1) != op.extent(1) ||
      reader->order.back() != type.getRank() - 1)
    return false;
  SmallVector<Expr> rows;
  for (int64_t d = 0; d + 1 < type.getRank(); ++d)
    rows.push_back(type.dim(d));
  FactorView now = factorView(op, 0), lhs;
  lhs.offset = now.offset;
  auto parts = regrouped(Modes{{now.dims[0], now.strides[0]}}, rows);
  if (!parts)
    return false;
  for (auto [size, modes] : llvm::zip(rows, *parts)) {
    Modes one = coalesced(modes);
    lhs.dims.push_back(size);
    lhs.strides.push_back(one.empty() ? Expr::constant(op.getContext(), 0) : one[0].stride);
  }
  lhs.dims.push_back(now.dims[1]), lhs.strides.push_back(now.strides[1]);
  MatmulOp split = splitRows(op, rows, lhs);
  // Now a transposition of its result is all that is between them.
  OpBuilder b(reader->op);
  SmallVector<ExprAttr> size;
  for (int64_t d : reader->order)
    size.push_back(type.getDims()[d]);
  auto turned = GenericOp::create(b, op.getLoc(), SymTensorType::get(op.getContext(), size, type.getElementType()),
                                  ValueRange(split.getResult()));
  Block *block = addBody(turned.getBody(), {}, ValueRange(split.getResult()), size.size());
  SmallVector<Value> at(size.size());
  for (auto [i, d] : llvm::enumerate(reader->order))
    at[d] = block->getArgument(1 + i);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    YieldOp::create(b, op.getLoc(), ReadOp::create(b, op.getLoc(), block->getArgument(0), at).getResult());
  }
  // The reader finds its elements at its own position.
  reader->op->setOperand(reader->operand, turned.getResult());
  for (BodyRef body : reader->op.bodies()) {
    Block &block = body.region->front();
    Value argument = block.getArgument(body.leading + reader->operand);
    argument.setType(turned.getResult().getType());
    for (Operation *user : argument.getUsers())
      cast<ReadOp>(user).getIndicesMutable().assign(
          block.getArguments().drop_front(body.leading + reader->op->getNumOperands()));
  }
  reshape.erase();
  op.erase();
  return true;
}

struct TurnProductsPass : kt::impl::TurnProductsBase<TurnProductsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<MatmulOp> ops;
    getOperation()->walk([&](MatmulOp op) { ops.push_back(op); });
    for (MatmulOp op : ops)
      turn(op);
  }
};

} // namespace
