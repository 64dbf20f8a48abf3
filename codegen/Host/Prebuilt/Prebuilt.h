//===- Prebuilt.h - shared functions compiled with ktc --------------------===//
//
// Nearly every model multiplies in FP32 on the host, and most of those that compute in FP16 keep weights in it: the
// inner loops for that are the same in all of them. kt-prebuild compiles them when ktc is built, with the code that
// would do it later, so that artifacts are the same bytes.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_PREBUILT_PREBUILT_H
#define KT_CODEGEN_HOST_PREBUILT_PREBUILT_H

#include "codegen/Host/SharedCode.h"

namespace kt::codegen {

/// The functions, of static storage.
llvm::ArrayRef<PrebuiltCode> prebuiltCode();

} // namespace kt::codegen

#endif
