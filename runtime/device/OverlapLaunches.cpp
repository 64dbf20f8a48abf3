//===- OverlapLaunches.cpp - code that starts before the last launch ends -===//
//
// See OverlapLaunches.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/OverlapLaunches.h"
#include "runtime/artifact/Model.h"

#include <charconv>
#include <string_view>

namespace kt::device {
namespace {

constexpr int64_t kFirstCapability = 90;

/// No branch is taken there, but ptxas does not know that, and so moves no load from before the wait to behind it.
constexpr std::string_view kWait = "{\n"
                                   ".reg .pred kt_none;\n"
                                   ".reg .b32 kt_sm;\n"
                                   "mov.u32 kt_sm, %smid;\n"
                                   "setp.eq.u32 kt_none, kt_sm, 4294967295;\n"
                                   "@kt_none bra $kt_ready;\n"
                                   "}\n"
                                   "griddepcontrol.wait;\n"
                                   "$kt_ready:\n";

size_t count(std::string_view text, std::string_view what) {
  size_t times = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++times;
  return times;
}

void replace(std::string &text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

constexpr std::string_view kBegin = artifact::kBeginLabel;

/// Whether each entry has places from which on the next launch may begin.
bool beginsInEach(std::string_view ptx) {
  constexpr std::string_view kEntry = ".entry ";
  for (size_t at = ptx.find(kEntry); at != std::string_view::npos;) {
    size_t next = ptx.find(kEntry, at + kEntry.size());
    if (ptx.substr(at, next - at).find(kBegin) == std::string_view::npos)
      return false;
    at = next;
  }
  return true;
}

void replaceBegins(std::string &ptx) {
  constexpr std::string_view kInstruction = "griddepcontrol.launch_dependents;";
  for (size_t at = ptx.find(kBegin); at != std::string::npos; at = ptx.find(kBegin, at + kInstruction.size()))
    ptx.replace(at, ptx.find('\n', at) - at, kInstruction);
}

/// Makes code for older targets code for the first that can; false where it is for none.
bool raiseTarget(std::string &ptx) {
  constexpr std::string_view kTarget = ".target sm_";
  size_t number = ptx.find(kTarget);
  if (number == std::string::npos)
    return false;
  number += kTarget.size();
  int64_t version = 0;
  auto [end, error] = std::from_chars(ptx.data() + number, ptx.data() + ptx.size(), version);
  if (error != std::errc())
    return false;
  if (version < kFirstCapability)
    ptx.replace(number, end - (ptx.data() + number), std::to_string(kFirstCapability));
  return true;
}

} // namespace

bool overlapLaunches(std::string &ptx, int64_t computeCapability) {
  const std::string wait = artifact::kWaitLabel + std::string(":\n");
  size_t entries = count(ptx, ".entry "), waits = count(ptx, wait);
  if (computeCapability < kFirstCapability || !beginsInEach(ptx) || (waits && waits != entries) || !raiseTarget(ptx))
    return false;
  replaceBegins(ptx);
  if (!waits)
    return false;
  replace(ptx, wait, kWait);
  // What launches before this one write is no longer the same for as long as this one runs, and loads that say so could
  // be moved to before the wait.
  replace(ptx, "ld.global.nc.", "ld.global.");
  return true;
}

} // namespace kt::device
