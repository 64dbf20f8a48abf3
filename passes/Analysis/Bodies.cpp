//===- Bodies.cpp - what scalar bodies do ---------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;

bool kt::isGraph(func::FuncOp func) {
  auto tensors = [](TypeRange types) { return llvm::all_of(types, [](Type t) { return isa<SymTensorType>(t); }); };
  if (func.isExternal() || !func.getBody().hasOneBlock() || !tensors(func.getBody().getArgumentTypes()))
    return false;
  Dialect *kt = func.getContext()->getLoadedDialect<KTDialect>();
  return !func.getBody()
              .walk<WalkOrder::PreOrder>([&](Operation *op) {
                bool known = (op->getDialect() == kt || isa<func::ReturnOp>(op)) && tensors(op->getOperandTypes()) &&
                             tensors(op->getResultTypes());
                if (!known)
                  return WalkResult::interrupt();
                return isa<ComputeOpInterface>(op) ? WalkResult::skip() : WalkResult::advance(); // bodies are verified
              })
              .wasInterrupted();
}

bool kt::isMovement(GenericOp op) {
  Block &body = op.getBody().front();
  Value yielded = body.getTerminator()->getOperand(0);
  auto read = yielded.getDefiningOp<ReadOp>();
  if (!read)
    return false;
  unsigned reads = 0;
  for (Operation &o : body.without_terminator()) {
    if (isa<ReadOp>(o))
      ++reads;
    else if (!isa<SizeOp, arith::ConstantOp>(o) && !o.getResult(0).getType().isIndex() &&
             !o.getResult(0).getType().isInteger(1))
      return false;
  }
  return reads == 1;
}

std::optional<SmallVector<int64_t>> kt::asPermutation(GenericOp op) {
  if (op.getInputs().size() != 1)
    return std::nullopt;
  Block &body = op.getBody().front();
  auto read = body.getTerminator()->getOperand(0).getDefiningOp<ReadOp>();
  if (!read || read.getOtherwise())
    return std::nullopt;
  int64_t rank = op.getResult().getType().getRank();
  SymTensorType from = read.getTensor().getType();
  if (from.getRank() != rank)
    return std::nullopt;
  SmallVector<int64_t> perm(rank, -1), single;
  for (auto [dim, v] : llvm::enumerate(read.getIndices())) {
    auto i = plainIndex(v, &body, 1);
    if (!i && from.dim(dim).isConstant(1) && matchPattern(v, m_Zero())) {
      single.push_back(dim);
      continue;
    }
    if (!i || perm[*i] >= 0 || from.dim(dim) != op.getResult().getType().dim(*i))
      return std::nullopt;
    perm[*i] = dim;
  }
  // Dimensions of 1 that are read at 0 are those of 1 that are left.
  for (auto [i, p] : llvm::enumerate(perm)) {
    if (p >= 0)
      continue;
    if (single.empty() || !op.getResult().getType().dim(i).isConstant(1))
      return std::nullopt;
    p = single.front();
    single.erase(single.begin());
  }
  return perm;
}

SmallVector<Expr> kt::extentsOf(Operation *op, const BodyRef &body) {
  SmallVector<Expr> extents;
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    for (unsigned i = 0; i < attention.numIndices(*body.region); ++i)
      extents.push_back(cast<ExprAttr>(attention.getSizes()[i]));
    if (body.region == &attention.getScales()) { // of keys
      extents[1] = Expr::floorDiv(extents[1], Expr::constant(op->getContext(), attention.getGroup()));
      extents[2] = cast<ExprAttr>(attention.getSizes()[3]);
    }
    return extents;
  }
  if (auto update = dyn_cast<UpdateOp>(op))
    return update.window();
  extents = cast<SymTensorType>(op->getResult(0).getType()).sizes();
  if (auto reduce = dyn_cast<ReduceOp>(op); reduce && body.region == &reduce.getBody())
    for (Attribute d : reduce.getExtents())
      extents.push_back(cast<ExprAttr>(d));
  return extents;
}

double kt::typicalBytes(Value v) {
  constexpr int64_t kTypicalSize = 256;
  auto type = cast<SymTensorType>(v.getType());
  double bytes = type.elementBytes();
  for (ExprAttr dim : type.getDims()) {
    Expr e = Expr(dim).substitute([&](StringRef) { return Expr::constant(v.getContext(), kTypicalSize); });
    bytes *= e.asConstant().value_or(kTypicalSize);
  }
  return bytes;
}

unsigned kt::bodyCost(Region &region) {
  unsigned cost = 0;
  for (Operation &op : region.front().without_terminator()) {
    if (isa<arith::ConstantOp, SizeOp>(op))
      continue;
    if (isa<ReadOp>(op))
      cost += 2;
    else if (isa<math::MathDialect>(op.getDialect()))
      cost += isa<math::AbsFOp, math::SqrtOp, math::RsqrtOp, math::FloorOp, math::CeilOp, math::RoundEvenOp,
                  math::TruncOp, math::FmaOp>(op)
                  ? 4
                  : 20;
    else if (isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp>(op))
      cost += 5;
    else
      cost += 1;
  }
  return cost;
}

unsigned kt::bodyOps(Region &region) {
  unsigned ops = 0;
  for (Operation &op : region.front())
    ops += isa<math::PowFOp>(op) ? 16 : 1;
  return ops;
}

bool kt::comesFromData(Value number) {
  SmallVector<Value> next = {number};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!next.empty())
    if (Operation *op = next.pop_back_val().getDefiningOp(); op && seen.insert(op).second) {
      if (isa<ReadOp>(op))
        return true;
      llvm::append_range(next, op->getOperands());
    }
  return false;
}

bool kt::looksUpRows(Operation *op, unsigned number) {
  SmallVector<ReadOp> reads = readsOf(op, number);
  return !reads.empty() && llvm::all_of(reads, [](ReadOp r) {
    return !r.getOtherwise() && r.getIndices().size() == 2 && comesFromData(r.getIndices()[0]);
  });
}

void kt::setBodyOperand(Operation *op, unsigned number, Value value) {
  op->setOperand(firstBodyOperand(op) + number, value);
  for (BodyRef body : bodiesOf(op))
    body.region->getArgument(body.leading + number).setType(value.getType());
}

SmallVector<ReadOp> kt::readsOf(Operation *op, unsigned number) {
  SmallVector<ReadOp> reads;
  for (BodyRef body : bodiesOf(op))
    for (Operation *user : body.region->getArgument(body.leading + number).getUsers())
      reads.push_back(cast<ReadOp>(user));
  return reads;
}

void kt::eraseDead(func::FuncOp func) {
  SmallVector<Operation *> all;
  func.walk([&](Operation *op) {
    if (isa<ComputeOpInterface, ReshapeOp>(op))
      all.push_back(op);
  });
  for (Operation *op : llvm::reverse(all))
    if (isOpTriviallyDead(op))
      op->erase();
}

void kt::eraseDead(Block &body) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

Value kt::throughReshapes(Value v) {
  while (auto reshape = v.getDefiningOp<ReshapeOp>())
    v = reshape.getSource();
  return v;
}
