//===- Interpreter.h - running bodies on constants ------------------------===//
//
// Computes a kt.generic over bytes known at compile time, a block of elements at a time, operation by operation: fast
// enough for weights, and without compiling anything. It is also what code generators can be held against.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_INTERPRETER_H
#define KT_PASSES_ANALYSIS_INTERPRETER_H

#include "dialects/KT/IR/KTDialect.h"
#include <vector>

namespace kt {

/// The bytes of the result, or nothing when the body has an operation that is not interpreted or a size that is not
/// constant.
std::optional<std::vector<char>> interpret(GenericOp op, llvm::ArrayRef<llvm::ArrayRef<char>> inputs);

} // namespace kt

#endif
