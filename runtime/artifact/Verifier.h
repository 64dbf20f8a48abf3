//===- Verifier.h - what a sound model is ---------------------------------===//
//
// Everything that the runtime relies on without asking again. Both the writer and the reader run it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_VERIFIER_H
#define KT_RUNTIME_ARTIFACT_VERIFIER_H

#include "runtime/artifact/Model.h"
#include "runtime/include/kt/Status.h"

namespace kt::artifact {

/// Checks every index, the order of expressions, arities, sizes of weights, kernels' stages, slices, and that the
/// program defines symbols and buffers before it uses them. Fails with Code::rejected and a message that names the
/// place.
Status verifyModel(const Model &model);

/// The part about the program: scopes, definitions before uses, who may write what, and which slice needs which weight.
/// Expects the tables to be verified.
Status verifyProgram(const Model &model);

/// How many operands an operation has, 0 to 3.
unsigned arity(Expr::Op op);

/// Whether ReadScalar can read an element of this type.
bool isReadable(DType type);

} // namespace kt::artifact

#endif
