//===- Orders.h - structured work with its result in another order --------===//

#ifndef KT_PASSES_GRAPH_ORDERS_H
#define KT_PASSES_GRAPH_ORDERS_H

#include "dialects/KT/IR/KTDialect.h"

namespace kt {

/// Has a generic or reduce make its result in another order: dimension i was dimension perm[i]. Its readers do not know
/// yet.
void permuteWork(mlir::Operation *op, llvm::ArrayRef<int64_t> perm);

/// Makes the bodies of `op` read operand `number`, which has become `type`: dimension i was dimension perm[i].
void readPermuted(mlir::Operation *op, unsigned number, llvm::ArrayRef<int64_t> perm, SymTensorType type);

/// Nothing but bodies reads `v`: they can in any order.
bool isReadByBodies(mlir::Value v);

} // namespace kt

#endif
