//===- Process.h - how a tool begins and ends -----------------------------===//
//
// A command line tool ends with an exit status and, when it failed, one error: also when memory runs out in the middle
// of anything, a library gives up, or a file shrinks under its mapping. Libraries do not call this; main functions do.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_OS_PROCESS_H
#define KT_RUNTIME_OS_PROCESS_H

#include <string>
#include <string_view>

namespace kt::os {

/// Sets up the process. Broken pipes and file-size limits become errors of the calls that meet them; Ctrl-C, SIGTERM
/// and SIGHUP remove temporary files and end the process as they always do; running out of memory, exceptions that
/// nobody catches, crashes and shrinking files end in `die`. Closed standard descriptors are opened so that no file of
/// ours becomes one. Sanitisers keep the signals that they report.
///
/// `json`: `die` writes a JSON object, as under `--diagnostics json`.
void prepareProcess(bool json);

/// Whether the arguments ask for `--diagnostics json`: wrong usage is reported so, too.
bool wantsJson(int argc, const char *const *argv);

/// Ends the process with one error, removing temporary files; exit status 1. From any thread; of several calls one is
/// heard. Takes no memory and no lock, so signal handlers may call it.
[[noreturn]] void die(std::string_view message, std::string_view subject = {}) noexcept;

/// `text` without line breaks and other control characters: an error is one line, whatever a file is called.
std::string oneLine(std::string_view text);

} // namespace kt::os

#endif
