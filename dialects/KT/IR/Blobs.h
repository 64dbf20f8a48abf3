//===- Blobs.h - names for the bytes of constants -------------------------===//

#ifndef KT_DIALECTS_KT_IR_BLOBS_H
#define KT_DIALECTS_KT_IR_BLOBS_H

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace kt {
/// A resource of `blob`'s bytes under `name` ("constant" where that is empty), with a number behind it where the name
/// is taken. MLIR finds the number by trying all, which is quadratic in constants of one name; this does not.
mlir::DenseResourceElementsAttr namedBlob(mlir::ShapedType type, llvm::StringRef name, mlir::AsmResourceBlob blob);
} // namespace kt

#endif
