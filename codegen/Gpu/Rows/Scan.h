//===- Scan.h - prefix combinations over a block --------------------------===//

#ifndef KT_CODEGEN_GPU_ROWS_SCAN_H
#define KT_CODEGEN_GPU_ROWS_SCAN_H

#include "codegen/Gpu/Rows/Combine.h"

namespace kt::gpu {

struct Prefix {
  Values exclusive; // of the threads before this one
  Values total;     // of the whole block
};
/// Combines one state a thread in thread order. Uses 32 states of shared memory at offset 0 and ends with a barrier
/// behind its reads.
Prefix scanBlock(KernelBuilder &k, Combiner &combiner, ValueRange state, unsigned threads);

} // namespace kt::gpu

#endif
