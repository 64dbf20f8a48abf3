//===- KTControl.cpp - items, branches and loops --------------------------===//

#include "dialects/KT/IR/Verify.h"

using namespace mlir;
using namespace kt;

LogicalResult ItemOp::verify() {
  SymTensorType type = getSource().getType();
  Expr index = Expr::constant(getContext(), getIndex());
  if ((int64_t)getIndex() < 0 || alwaysBelow(*this, type.numElements(), index + 1))
    return emitOpError() << "expected an index into " << type << " but got " << (int64_t)getIndex();
  if (!type.getElementType().isIntOrFloat())
    return emitOpError() << "expected a tensor of numbers but got " << type;
  return verifySymbol(*this, "the item", getSymbol());
}

/// Symbols that an op sets, with an expression each for where they get their values.
static LogicalResult verifySymbols(Operation *op, ArrayAttr symbols, StringRef where, ArrayAttr values) {
  if (symbols.size() != values.size())
    return op->emitOpError() << "expected " << symbols.size() << " " << where << ", one for each symbol, but got "
                             << values.size();
  return success();
}
static LogicalResult verifyNames(Operation *op, ArrayAttr symbols) {
  llvm::SmallDenseSet<Attribute> seen;
  for (auto name : symbols.getAsRange<StringAttr>()) {
    if (failed(verifySymbol(op, "each of 'symbols'", name.getValue())))
      return failure();
    if (!seen.insert(name).second)
      return op->emitOpError() << "expected each symbol once but got '" << name.getValue() << "' twice";
  }
  return success();
}

namespace {
/// What symbols stand for in a type: `values[i]` for `symbols[i]`.
struct Substitution {
  ArrayAttr symbols, values;
  Expr extra = {}, extraValue = {};

  Expr operator()(Expr e) const {
    if (e.asConstant() || (symbols.empty() && !extra))
      return e;
    return e.substitute([&](StringRef name) -> Expr {
      if (extra && extra.name() == name)
        return extraValue;
      for (auto [symbol, value] : llvm::zip(symbols, values))
        if (cast<StringAttr>(symbol).getValue() == name)
          return cast<ExprAttr>(value);
      return {};
    });
  }
};
} // namespace

/// Checks that a value of type `from` is one of type `to`, with `set` said of the symbols in `to`.
static LogicalResult verifyHandedOver(Operation *op, const Twine &what, Type from, SymTensorType to,
                                      const Substitution &set) {
  auto type = dyn_cast<SymTensorType>(from);
  if (type == to && set.symbols.empty())
    return success();
  bool fits = type && type.getElementType() == to.getElementType() && type.getRank() == to.getRank();
  for (int64_t i = 0; fits && i < to.getRank(); ++i)
    fits = !neverEqual(op, set(to.dim(i)), type.dim(i));
  if (!fits)
    return op->emitOpError() << "expected " << what << " of type " << to << " but got " << from;
  return success();
}

LogicalResult IfOp::verify() {
  if (failed(verifyNames(*this, getSymbols())) ||
      failed(verifySymbols(*this, getSymbols(), "then_sizes", getThenSizes())) ||
      failed(verifySymbols(*this, getSymbols(), "else_sizes", getElseSizes())))
    return failure();
  auto verifyBranch = [&](Region &region, StringRef what, ArrayAttr sizes) -> LogicalResult {
    YieldOp yield = yieldOf(region);
    if (!yield)
      return emitOpError() << "expected the " << what << " region to end in a kt.yield";
    if (yield.getValues().size() != getNumResults())
      return emitOpError() << "expected the " << what << " region to yield " << getNumResults() << " values but got "
                           << yield.getValues().size();
    for (auto [i, v] : llvm::enumerate(yield.getValues()))
      if (failed(verifyHandedOver(*this, "value " + Twine(i) + " of the " + what + " region", v.getType(),
                                  cast<SymTensorType>(getResult(i).getType()), {getSymbols(), sizes})))
        return failure();
    return success();
  };
  if (failed(verifyBranch(getThenRegion(), "then", getThenSizes())))
    return failure();
  return verifyBranch(getElseRegion(), "else", getElseSizes());
}

/// Scan outputs: [iterations, piece..].
static LogicalResult verifyScans(LoopOp op, ValueRange pieces, ValueRange results) {
  MLIRContext *context = op.getContext();
  Expr zero = Expr::constant(context, 0), trips;
  if (op.getTrips() && !op.getCondition()) // a condition may end it earlier
    trips = Expr::max(*op.getTrips(), zero);
  // All pieces have the shape of the first one.
  Substitution first{op.getSymbols(), op.getFirstSizes(), Expr::symbol(context, op.getInduction()), zero};
  for (auto [i, piece, result] : llvm::enumerate(pieces, results)) {
    auto from = dyn_cast<SymTensorType>(piece.getType());
    auto to = cast<SymTensorType>(result.getType());
    bool fits = from && from.getElementType() == to.getElementType() && from.getRank() + 1 == to.getRank() &&
                !(trips && neverEqual(op, to.dim(0), trips));
    for (int64_t d = 0; fits && d < from.getRank(); ++d)
      fits = !neverEqual(op, first(from.dim(d)), to.dim(d + 1));
    if (!fits)
      return op.emitOpError() << "expected scan output " << i << " to be [iterations, piece..] of " << piece.getType()
                              << " but got " << to;
  }
  return success();
}

LogicalResult LoopOp::verify() {
  if (failed(verifySymbol(*this, "'induction'", getInduction())) ||
      failed(verifySymbol(*this, "'iterations'", getIterations())) || failed(verifyNames(*this, getSymbols())) ||
      failed(verifySymbols(*this, getSymbols(), "first_sizes", getFirstSizes())) ||
      failed(verifySymbols(*this, getSymbols(), "next_sizes", getNextSizes())))
    return failure();
  unsigned carried = getInits().size(), scans = getReverse().size();
  if (getNumResults() != carried + scans)
    return emitOpError() << "expected " << carried << " carried values and " << scans
                         << " scan outputs, one for each of 'reverse', but got " << getNumResults() << " results";
  if (llvm::is_contained(getReverse(), true) && !getTrips())
    return emitOpError() << "expected trips where a scan output is stored in reverse";
  if (getBody().getNumArguments() != carried)
    return emitOpError() << "expected a body of " << carried << " arguments but got " << getBody().getNumArguments();
  YieldOp yield = yieldOf(getBody());
  if (!yield || yield.getValues().size() != carried + scans)
    return emitOpError() << "expected the body to end in a kt.yield of " << carried + scans << " values";
  for (unsigned i = 0; i < carried; ++i) {
    auto inside = dyn_cast<SymTensorType>(getBody().getArgument(i).getType());
    if (!inside)
      return emitOpError() << "expected body argument " << i << " to be a tensor but got "
                           << getBody().getArgument(i).getType();
    if (failed(verifyHandedOver(*this, "initial value " + Twine(i), getInits()[i].getType(), inside,
                                {getSymbols(), getFirstSizes()})) ||
        failed(verifyHandedOver(*this, "next value " + Twine(i), yield.getValues()[i].getType(), inside,
                                {getSymbols(), getNextSizes()})) ||
        failed(verifyHandedOver(*this, "result " + Twine(i), getResult(i).getType(), inside,
                                {ArrayAttr::get(getContext(), {}), {}})))
      return failure();
  }
  return verifyScans(*this, yield.getValues().drop_front(carried), getResults().drop_front(carried));
}
