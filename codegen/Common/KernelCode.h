//===- KernelCode.h - what a code generator makes of one kernel -----------===//
//
// Each target's generator turns a kt.kernel into variants and modules in the artifact's terms; the packager puts them
// together.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_KERNELCODE_H
#define KT_CODEGEN_COMMON_KERNELCODE_H

#include "codegen/Common/Options.h"
#include "dialects/KT/IR/KTDialect.h"
#include "runtime/artifact/Model.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace kt::codegen {

/// Interns artifact expressions: equal nodes are stored once, operands come before their users.
class ExprPool {
public:
  artifact::ExprId constant(int64_t value);
  artifact::ExprId symbol(int64_t id);
  artifact::ExprId fact(artifact::Fact fact);
  artifact::ExprId op(artifact::Expr::Op op, artifact::ExprId a, artifact::ExprId b,
                      artifact::ExprId c = artifact::kNone);
  /// Translates `e`; `symbolId` numbers its symbols (in a kernel: p7 -> 7).
  artifact::ExprId add(Expr e, llvm::function_ref<int64_t(llvm::StringRef)> symbolId);
  /// For a kernel's expressions, whose symbols are p0, p1, ...
  artifact::ExprId add(Expr e);
  /// Adds another pool's nodes; the place of each in this one.
  std::vector<artifact::ExprId> add(llvm::ArrayRef<artifact::Expr> others);
  std::vector<artifact::Expr> take() { return std::move(nodes); }
  const std::vector<artifact::Expr> &get() const { return nodes; }

private:
  std::vector<artifact::Expr> nodes;
  std::map<std::array<int64_t, 5>, artifact::ExprId> known;
};

/// A kernel on one target family. Stage::module counts within `modules`; expressions are over the kernel's integer
/// arguments.
struct KernelCode {
  std::vector<artifact::Variant> variants;
  std::vector<artifact::Module> modules;
  std::vector<artifact::Expr> exprs; // that `variants` refer to
};

} // namespace kt::codegen

#endif
