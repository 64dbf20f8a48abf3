//===- Attempts.cpp - which branch a model was written for ----------------===//
//
// Exporters write PyTorch's squeeze(dim) as an If: "if the size is 1, squeeze, else nothing". Its branches yield
// tensors of other ranks, and a graph here has one rank for every value. Where the size is only known at run time the
// rest of the model mostly says which branch it was written for: with the other one it is not valid. So the rest is
// imported with either, and what nothing decides is refused rather than guessed.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

/// Every open choice costs an import.
static constexpr size_t kMostOpen = 16;

namespace {
/// One import, and what it said.
struct Attempt {
  OwningOpRef<ModuleOp> module;
  std::vector<Diagnostic> said;
  BranchChoices choices;
  bool failed = false; // it said an error

  /// How far it came: 0 failed, 1 imported, 2 also with the ranks that the model declares for its outputs.
  int merit() const { return !module ? 0 : choices.declaredRanks ? 2 : 1; }
};

Attempt attempt(MLIRContext *context, ModelFile &file, const ImportOptions &options, const BranchChoices &pinned) {
  Attempt a;
  a.choices.pinned = pinned.pinned;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    // One cause may show in several elements of a node.
    bool again = !a.said.empty() && a.said.back().getLocation() == diagnostic.getLocation() &&
                 a.said.back().str() == diagnostic.str();
    a.failed |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
    ++a.choices.said;
    if (!again)
      a.said.push_back(std::move(diagnostic));
    return success();
  });
  a.module = Importer(context, file, options, a.choices).run();
  if (a.failed)
    a.module = {};
  return a;
}

OwningOpRef<ModuleOp> settle(MLIRContext *context, Attempt &a) {
  for (Diagnostic &diagnostic : a.said)
    context->getDiagEngine().emit(std::move(diagnostic));
  return std::move(a.module);
}
} // namespace

OwningOpRef<ModuleOp> import::importModel(MLIRContext *context, ModelFile &file, const ImportOptions &options) {
  context->loadDialect<KTDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect>();
  BranchChoices pinned;
  while (true) {
    Attempt first = attempt(context, file, options, pinned);
    if (first.choices.open.size() > kMostOpen) {
      emitError(first.choices.open[kMostOpen].loc)
          << "unsupported: more than " << kMostOpen << " If nodes whose branches yield tensors of other ranks";
      return {};
    }
    bool again = false;
    for (const BranchChoices::Open &open : first.choices.open) {
      BranchChoices other = pinned;
      other.pinned[open.node] = !open.taken;
      Attempt second = attempt(context, file, options, other);
      if (first.merit() && first.merit() == second.merit()) {
        emitError(open.loc) << open.text;
        return {};
      }
      again = second.merit() > first.merit();
      pinned.pinned[open.node] = again ? !open.taken : open.taken;
      if (again)
        break; // the choices after it may look different now
    }
    if (!again)
      return settle(context, first);
  }
}

bool Importer::choose(Node &n, bool likely, const Twine &ambiguous) {
  if (auto it = choices.pinned.find(&n.proto); it != choices.pinned.end())
    return it->second;
  if (llvm::none_of(choices.open, [&](const BranchChoices::Open &o) { return o.node == &n.proto; }))
    choices.open.push_back({&n.proto, likely, n.loc, ambiguous.str()});
  return likely;
}

std::optional<int64_t> Importer::decide(Expr e) {
  if (auto c = e.asConstant())
    return c;
  auto limits = [](const DimRange &r) { return r.min > 0 || r.max < INT64_MAX; };
  if (llvm::none_of(bounds, [&](const auto &entry) { return limits(entry.second); }))
    return std::nullopt;
  // A symbol stands for any number from 0 on: written as its distance from a bound, it says what the bound says.
  for (bool fromAbove : {false, true}) {
    Expr moved = e.substitute([&](StringRef name) -> Expr {
      auto it = bounds.find(name);
      if (it == bounds.end())
        return {};
      Expr distance = Expr::symbol(b.getContext(), name);
      if (fromAbove)
        return it->second.max < INT64_MAX ? distance * -1 + it->second.max : Expr();
      return distance + it->second.min;
    });
    if (auto c = moved.asConstant())
      return c;
  }
  return std::nullopt;
}
