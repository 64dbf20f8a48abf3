//===- Memory.h - how much memory can be had ------------------------------===//
//
// The system promises more memory than there is and kills who takes it, so large requests that come from outside are
// held against what is there before they are made.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_OS_MEMORY_H
#define KT_RUNTIME_OS_MEMORY_H

#include "runtime/include/kt/Status.h"

#include <cstdint>

namespace kt::os {

/// Bytes that this process can still use: of the machine, of its control group, and of its address space. An estimate.
uint64_t availableMemory();

/// Fails when `bytes` cannot be had; `what` needs them. Small amounts are not looked at.
Status expectMemory(uint64_t bytes, const std::string &what);

} // namespace kt::os

#endif
