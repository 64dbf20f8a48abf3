//===- ProgramInfo.h - what a program says before any shape is known ------===//
//
// Worked out once at load: where each buffer is born and last used, which ones can be placed in the arena, and how long
// those live.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_PROGRAMINFO_H
#define KT_RUNTIME_EXEC_PROGRAMINFO_H

#include "runtime/exec/Expressions.h"

namespace kt::exec {

using artifact::BufferId;
using artifact::kNone;

struct BlockInfo;

struct InstructionInfo {
  std::vector<BufferId> defines;  // buffers that come into being by this launch or copy
  std::vector<BufferId> releases; // buffers of this block that nothing after this instruction uses
  uint32_t launch = kNone;        // number of the launch in the whole program
  std::vector<BlockInfo> blocks;  // then, otherwise; or the body
};

struct BlockInfo {
  std::vector<InstructionInfo> instructions;
  std::vector<BufferId> defined; // everything that this block defines
};

/// A buffer's place in time, in numbers of top-level instructions; `begin` -1 is before the first, and what a plan does
/// before its runs lies before that.
struct Lifetime {
  int64_t begin = 0, end = 0;
};
constexpr int64_t kForever = INT64_MAX;

struct ProgramInfo {
  explicit ProgramInfo(const ExprGraph &graph);

  /// Where a buffer lives that the prologue defines, when it does.
  Lifetime lifetimeInPrologue(BufferId id) const;
  /// The same for an instruction.
  int64_t timeInPrologue(int64_t instruction) const {
    return instruction - static_cast<int64_t>(top.instructions.size()) - 1;
  }

  BlockInfo top;
  uint32_t numLaunches = 0;
  /// Temporaries and outputs that the arena holds: defined by a launch or copy at the top level, of a size that input
  /// shapes give.
  std::vector<uint8_t> planned;
  std::vector<Lifetime> lifetimes; // of planned and of input buffers
  /// By launch: its top-level instruction when it is one, else -1.
  std::vector<int64_t> launchAt;
  /// By launch: whether its integers are known once input shapes are.
  std::vector<uint8_t> launchIsEarly;
  /// What a plan does once for all its runs: top-level launches that say so, in order, and the checks of input sizes
  /// that stand before any of them.
  std::vector<uint32_t> prologue;
  /// What those launches compute for the runs. Lives as long as the plan.
  std::vector<BufferId> kept;
  /// By buffer: what those launches compute, kept or not.
  std::vector<uint8_t> definedOnce;
  /// By output: the planned buffer whose memory it is when the program is done, or kNone where that is no such buffer
  /// or an earlier output has it already.
  std::vector<BufferId> outputRoots;
  /// Nothing in the program depends on data: no branch, no loop, no scalar read, everything is planned.
  bool straight = true;
};

} // namespace kt::exec

#endif
