//===- Arena.h - places in one piece of memory ----------------------------===//
//
// Gives buffers with known sizes and lifetimes offsets such that no two that live at the same time overlap.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_ARENA_H
#define KT_RUNTIME_EXEC_ARENA_H

#include "runtime/exec/ProgramInfo.h"

namespace kt::exec {

struct ArenaItem {
  uint64_t bytes = 0;
  Lifetime lifetime;   // both ends included
  uint64_t offset = 0; // the answer
};

/// Places all items, larger ones first, each in the smallest gap that holds it; offsets are multiples of 256. Returns
/// the size of the arena; fails when it does not fit in 63 bits.
Result<uint64_t> placeInArena(std::vector<ArenaItem> &items);

} // namespace kt::exec

#endif
