//===- Sizes.cpp - no node makes a size that is no number -----------------===//
//
// Arithmetic on sizes that does not fit in 64 bits, or whose expression would have too many parts, gives poison
// (kt::Expr), and so does the size of a dimension that an input does not have. It is an error of the node that made it;
// nothing behind the import has to know of it.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

static std::optional<Expr::Reason> reasonIn(Attribute attr) {
  if (auto e = dyn_cast_if_present<ExprAttr>(attr))
    return Expr(e).poison();
  if (auto array = dyn_cast_if_present<ArrayAttr>(attr))
    for (Attribute element : array)
      if (auto reason = reasonIn(element))
        return reason;
  return std::nullopt;
}

static std::optional<Expr::Reason> reasonIn(Type type) {
  auto tensor = dyn_cast<SymTensorType>(type);
  if (!tensor)
    return std::nullopt;
  for (ExprAttr dim : tensor.getDims())
    if (auto reason = Expr(dim).poison())
      return reason;
  // Kernels index elements and count bytes.
  return (tensor.numElements() * std::max<int64_t>(tensor.elementBytes(), 8)).poison();
}

static std::optional<Expr::Reason> reasonIn(Operation *op) {
  std::optional<Expr::Reason> found;
  op->walk([&](Operation *inner) {
    for (Type type : inner->getResultTypes())
      found = found ? found : reasonIn(type);
    for (Region &region : inner->getRegions())
      for (Type type : region.empty() ? TypeRange() : TypeRange(region.front().getArgumentTypes()))
        found = found ? found : reasonIn(type);
    // Properties are attributes as well.
    for (NamedAttribute attr : inner->getAttrDictionary())
      found = found ? found : reasonIn(attr.getValue());
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found;
}

LogicalResult Importer::checkSizes(Operation *op, Location loc) {
  switch (reasonIn(op).value_or(Expr::Reason(-1))) {
  case Expr::Reason::overflow:
    return emitError(loc) << "a size does not fit in 64 bits";
  case Expr::Reason::complexity:
    return emitError(loc) << "a size depends on others in a way that takes more than " << Expr::kMaxWeight
                          << " terms to say";
  case Expr::Reason::rank:
    return emitError(loc) << "an input has too few dimensions";
  }
  return success();
}
