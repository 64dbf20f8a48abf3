//===- EqualBodies.cpp - computations that two bodies share ---------------===//

#include "passes/Analysis/EqualBodies.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"

using namespace mlir;
using namespace kt;

EqualBodies::EqualBodies(Operation *a, Region &bodyOfA, Operation *b, Region &bodyOfB, std::optional<IndexShift> shift)
    : a(sideOf(a, bodyOfA)), b(sideOf(b, bodyOfB)), shift(shift) {}

EqualBodies::Side EqualBodies::sideOf(Operation *op, Region &body) {
  for (BodyRef ref : bodiesOf(op))
    if (ref.region == &body)
      return {op, ref.leading, op->getNumOperands() - firstBodyOperand(op), &body};
  llvm_unreachable("not a body of this op");
}

/// c where `v` is the shifted index + c.
std::optional<int64_t> EqualBodies::offsetOf(Value v, const Side &side) const {
  Value index = side.body->getArgument(side.leading + side.operands + shift->index);
  if (v == index)
    return 0;
  auto add = v.getDefiningOp<arith::AddIOp>();
  APInt c;
  if (!add || add.getLhs() != index || !matchPattern(add.getRhs(), m_ConstantInt(&c)))
    return std::nullopt;
  return c.getSExtValue();
}

bool EqualBodies::same(Value x, Value y) {
  auto [entry, isNew] = known.try_emplace({x, y}, false);
  if (!isNew)
    return entry->second;
  bool result = compare(x, y);
  known[{x, y}] = result;
  return result;
}

bool EqualBodies::compare(Value x, Value y) {
  if (shift) {
    auto from = offsetOf(x, a), to = offsetOf(y, b);
    if (from || to) {
      shifted = true;
      return from && to && *from + shift->by == *to;
    }
  }
  auto p = dyn_cast<BlockArgument>(x), q = dyn_cast<BlockArgument>(y);
  if (p || q) {
    if (!p || !q)
      return false;
    unsigned i = p.getArgNumber(), j = q.getArgNumber();
    if (i < a.leading || j < b.leading)
      return i == j;
    i -= a.leading, j -= b.leading;
    if (i < a.operands && j < b.operands)
      return a.op->getOperand(firstBodyOperand(a.op) + i) == b.op->getOperand(firstBodyOperand(b.op) + j);
    return i >= a.operands && j >= b.operands && i - a.operands == j - b.operands;
  }
  Operation *f = x.getDefiningOp(), *g = y.getDefiningOp();
  if (f->getName() != g->getName() || f->getNumOperands() != g->getNumOperands() ||
      f->getResultTypes() != g->getResultTypes() ||
      f->getDiscardableAttrDictionary() != g->getDiscardableAttrDictionary() ||
      f->getPropertiesAsAttribute() != g->getPropertiesAsAttribute())
    return false;
  auto read = dyn_cast<ReadOp>(f);
  for (unsigned i = 0; i < f->getNumOperands(); ++i) {
    // Where a dimension has one element some read it at 0 and some at their index.
    bool single = read && !read.getOtherwise() && i > 0 && read.getTensor().getType().dim(i - 1).isConstant(1);
    if (!single && !same(f->getOperand(i), g->getOperand(i)))
      return false;
  }
  return true;
}
