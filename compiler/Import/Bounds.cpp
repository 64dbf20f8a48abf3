//===- Bounds.cpp - where data becomes an index ---------------------------===//
//
// What is known at compile time is decided here: constants outside are an error of the model, constants inside need no
// check. Everything else gets a site, an entry in the module's `kt.sites`, which a run that meets a number outside
// names.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

/// The least and the largest of a constant's integers at `column.first`, and every `column.step` from there; nothing
/// for other values.
static std::optional<std::pair<int64_t, int64_t>> rangeOf(Value v, Column column) {
  auto constant = v.getDefiningOp<ConstantOp>();
  auto type = dyn_cast<IntegerType>(Node::type(v).getElementType());
  if (!constant || !type)
    return std::nullopt;
  ArrayRef<char> bytes = constant.bytes();
  unsigned width = Node::type(v).elementBytes();
  std::pair<int64_t, int64_t> range{INT64_MAX, INT64_MIN};
  for (size_t at = column.first * width; at + width <= bytes.size(); at += column.step * width) {
    uint64_t raw = 0;
    memcpy(&raw, bytes.data() + at, width);
    int64_t x = type.isUnsigned() ? (int64_t)raw : llvm::SignExtend64(raw, width * 8);
    if (x != column.ignored)
      range = {std::min(range.first, x), std::max(range.second, x)};
  }
  return range;
}

/// False where all is known to be inside; an error where some is known to be outside, unless no run may come to it.
static FailureOr<bool> needsCheck(Node &n, Value indices, Expr limit, StringRef text, bool wraps, Column column) {
  std::optional<int64_t> known = limit.asConstant();
  if (Node::type(indices).numElements().isConstant(0))
    return false;
  auto range = rangeOf(indices, column);
  if (!range || !known)
    return true;
  if (range->first > range->second) // nothing but ignored ones
    return false;
  int64_t low = wraps ? -*known : 0;
  for (int64_t x : {range->first, range->second}) {
    if (x >= low && x < *known)
      continue;
    if (n.importer.mayNotRun())
      return true;
    return n.error(*known ? text + " is " + Twine(x) + ", expected " + Twine(low) + " to " + Twine(*known - 1)
                          : text + " is " + Twine(x) + ", but there is nothing to choose from");
  }
  return false;
}

LogicalResult Node::requireSome(Expr limit, Expr count, const Twine &what) {
  if ((limit - 1).isNonNegative())
    return success();
  Expr wrong = Expr::select(Expr::eq(limit, expr(0)), Expr::min(count, expr(1)), expr(0));
  if (wrong.isConstant(1) && !importer.mayNotRun())
    return error(what + " is asked for, but there is nothing to choose from");
  if (!wrong.isConstant(0))
    AssertOp::create(b, loc, wrong.attr(), expr(0).attr(),
                     b.getStringAttr(what.str() + " is asked for where there is nothing to choose from"));
  return success();
}

void Node::requireReads(Region &region, const Body &body, ArrayRef<Expr> extents) {
  Block &block = region.front();
  unsigned first = block.getNumArguments() - extents.size();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(region.getParentOp());
  llvm::SmallDenseSet<std::pair<Attribute, Attribute>> seen;
  auto belong = [&](Expr is, Expr expected, Expr size, Expr extent) {
    if (is == expected || importer.decide(Expr::eq(is, expected)) == 1)
      return;
    std::string text = size.str() + " elements where " + extent.str() + " are read";
    if (failsAlways(Expr::eq(is, expected)))
      (void)error("sizes of operands do not belong together: " + text);
    else
      AssertOp::create(b, loc, is.attr(), expected.attr(),
                       b.getStringAttr("sizes of operands that belong together: " + text));
  };
  region.walk([&](ReadOp read) {
    SymTensorType from = type(read.getTensor());
    auto checked = read.getCheck();
    for (auto [i, at] : llvm::enumerate(read.getIndices())) {
      auto index = dyn_cast<BlockArgument>(at);
      if (!index || index.getOwner() != &block || index.getArgNumber() < first ||
          (checked && llvm::is_contained(*checked, (int64_t)i)))
        continue;
      Expr extent = extents[index.getArgNumber() - first], size = from.dim(i);
      if (extent == size || !seen.insert({extent.attr(), size.attr()}).second)
        continue;
      belong(Expr::min(extent, size), extent, size, extent);
    }
  });
  for (auto [size, extent] : body.broadcasts)
    if (seen.insert({extent.attr(), size.attr()}).second)
      belong(Expr::select(Expr::eq(size, expr(1)), extent, size), extent, size, extent);
}

FailureOr<Site> Node::site(Value indices, Expr limit, const Twine &what, bool wraps, Column column) {
  std::string text = what.str();
  FailureOr<bool> needed = needsCheck(*this, indices, limit, text, wraps, column);
  if (failed(needed))
    return failure();
  if (!*needed)
    return Site();
  // Nothing is inside an empty range: no kernel may come to read there.
  if (failed(requireSome(limit, type(indices).numElements(), text)))
    return failure();
  return Site{importer.siteOf(indices, limit, text, wraps, loc)};
}

FailureOr<Site> Node::scatterSite(Value indices, ArrayRef<Expr> limits, const Twine &what) {
  std::string text = what.str();
  bool all = true;
  for (auto [k, limit] : llvm::enumerate(limits)) {
    FailureOr<bool> needed = needsCheck(*this, indices, limit, text, true, {(int64_t)k, (int64_t)limits.size(), {}});
    if (failed(needed))
      return failure();
    all &= !*needed;
  }
  // What each axis allows is part of the kernel's own report.
  return all ? Site() : Site{importer.siteOf(indices, expr(0), text, true, loc)};
}

int64_t Importer::siteOf(Value indices, Expr limit, StringRef what, bool wraps, Location loc) {
  std::string key;
  llvm::raw_string_ostream(key) << indices.getAsOpaquePointer() << " " << limit.str() << " " << wraps << " " << what;
  auto [it, fresh] = siteNumbers.try_emplace(key, sites.size());
  if (fresh) {
    auto node = dyn_cast<NameLoc>(loc);
    SmallVector<NamedAttribute> fields{{b.getNamedAttr("node", node ? node.getName() : b.getStringAttr("")),
                                        b.getNamedAttr("what", b.getStringAttr(what))}};
    if (wraps)
      fields.push_back(b.getNamedAttr("wraps", b.getUnitAttr()));
    sites.push_back(b.getDictionaryAttr(fields));
  }
  return it->second;
}
