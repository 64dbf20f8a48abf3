//===- KnownSizes.cpp - what checks have decided of sizes -----------------===//
//
// A window of a table of 64 rows has min(64, past + s) - min(64, past) of them. Where a check says that min(64, past +
// s) is past + s, that is s. kt-solve-sizes knows as well, but sizes of each layer would be made of the last one's
// until then.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

static Expr replaced(Expr e, Expr from, Expr to) {
  if (e == from)
    return to;
  return e.numOperands() ? e.withOperands([&](Expr part) { return replaced(part, from, to); }) : e;
}

void Importer::learnMinimum(Expr minimum, Expr x) {
  auto &minima = levels.back()->minima;
  Expr limit = minimum.operand(minimum.operand(0) == x);
  minima.push_back({minimum, x});
  // A sum of at most 64 has parts of at most 64.
  x.forEachSymbol([&](StringRef name) {
    Expr part = Expr::symbol(b.getContext(), name);
    if (part != x && (x - part).isNonNegative())
      minima.push_back({Expr::min(limit, part), part});
  });
}

Expr Importer::known(Expr size) const {
  for (const auto &level : levels)
    for (auto [minimum, x] : level->minima)
      size = replaced(size, minimum, x);
  return size;
}
