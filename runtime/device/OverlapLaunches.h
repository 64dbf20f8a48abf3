//===- OverlapLaunches.h - code that starts before the last launch ends ---===//
//
// From compute capability 9.0 on, the blocks of a launch may be started while the one before it ends: what they do
// first, up to where they need its results, costs no time then (CUDA C++ Programming Guide, programmatic dependent
// launch; PTX ISA, griddepcontrol). Code is compiled once for all GPUs, so it has labels in these places, and gets the
// instructions here.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_DEVICE_OVERLAPLAUNCHES_H
#define KT_RUNTIME_DEVICE_OVERLAPLAUNCHES_H

#include <cstdint>
#include <string>

namespace kt::device {

/// Puts instructions where the labels for overlapping launches are (such as begin with artifact::kBeginLabel, in each
/// entry; artifact::kWaitLabel once in each or in none). True where the entries wait for the launch before them
/// themselves. The text stays as it is where the labels are others or the GPU has no such instructions.
bool overlapLaunches(std::string &ptx, int64_t computeCapability);

} // namespace kt::device

#endif
