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

/// Elements [begin, begin + n) of the result of `op`, to `out`, which is as long as they are; `input` has the same
/// elements of the operand. For bodies that read their only operand at their own indices; false as above.
bool interpretElements(GenericOp op, int64_t begin, llvm::ArrayRef<char> input, llvm::MutableArrayRef<char> out);

} // namespace kt

#endif
