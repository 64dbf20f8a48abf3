//===- Internal.h - shared by the .npy and .npz sources -------------------===//
//
// The header of an array.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_NPZ_INTERNAL_H
#define KT_RUNTIME_NPZ_INTERNAL_H

#include "runtime/npz/Npz.h"

namespace kt::npz {

std::string npyHeader(const TensorView &tensor);

} // namespace kt::npz

#endif
