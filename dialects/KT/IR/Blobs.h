//===- Blobs.h - names for the bytes of constants -------------------------===//

#ifndef KT_DIALECTS_KT_IR_BLOBS_H
#define KT_DIALECTS_KT_IR_BLOBS_H

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace kt {
/// A resource of `blob`'s bytes, or of none yet, under `name` ("constant" where that is empty), with a number behind it
/// where the name is taken. MLIR finds the number by trying all, which is quadratic in constants of one name; this does
/// not.
mlir::DenseResourceElementsAttr namedBlob(mlir::ShapedType type, llvm::StringRef name,
                                          std::optional<mlir::AsmResourceBlob> blob);

/// Memory that the threads touch first: a vector would be filled with zeros by one. In large pages where the system has
/// them, since faults of small ones take as long as the arithmetic.
mlir::AsmResourceBlob untouchedBlob(size_t size);
} // namespace kt

#endif
