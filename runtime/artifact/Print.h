//===- Print.h - a model as text ------------------------------------------===//
//
// Readable text of expressions, kernels and programs, for `ktc inspect`, for error messages and for people.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_PRINT_H
#define KT_RUNTIME_ARTIFACT_PRINT_H

#include "runtime/artifact/Model.h"

namespace kt::artifact {

/// An expression of the model's pool as infix text: "4 * batch * ceildiv(seq, 64)". "-" for kNone.
std::string printExpr(const Model &model, ExprId id);
/// An expression of a kernel's pool; integer arguments are i0, i1, ..., facts have their names.
std::string printExpr(const Kernel &kernel, ExprId id);
/// Several expressions of a kernel's pool. What they share gets names and is appended to `shared`, each entry in terms
/// of those before it.
std::vector<std::string> printShared(const Kernel &kernel, const std::vector<ExprId> &roots,
                                     std::vector<std::pair<std::string, std::string>> &shared);
/// "f32[batch, 768]"
std::string printPort(const Model &model, const Port &port);
/// A kernel with its variants and stages, several lines.
std::string printKernel(const Model &model, const Kernel &kernel);
/// The instructions with slices and nested blocks, several lines.
std::string printProgram(const Model &model);
/// All of the above, and symbols, buffers, weights and modules.
std::string print(const Model &model);
/// `text` with everything that is not printable ASCII escaped: names come from files.
std::string escaped(const std::string &text);

} // namespace kt::artifact

#endif
