//===- OutputFile.h - files that are written ------------------------------===//
//
// A file is there whole or not at all, and what was there before stays until then. It is written without a name
// (O_TMPFILE), so that nothing is left whatever ends the process; where the file system cannot do that, under a
// temporary name, which signals and errors remove (runtime/os/Process.h). What is no file (a device, a pipe, standard
// output) is written to, never replaced.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_OS_OUTPUTFILE_H
#define KT_RUNTIME_OS_OUTPUTFILE_H

#include "runtime/os/File.h"

#include <string_view>

namespace kt::os {

/// Writes all of `text` to an open file. The message says why not and leaves out the name.
Status writeAll(int descriptor, std::string_view text);
/// Writes a report to standard output.
Status writeOutput(std::string_view text);

/// Remembers the first failure; later writes do nothing. Nothing appears at the path unless `finish` succeeds.
class OutputFile {
public:
  /// Links are followed: what `path` leads to is replaced, the link stays. `unnamed` as false is what file systems that
  /// cannot do otherwise get.
  explicit OutputFile(const std::string &path, bool unnamed = true);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  void write(const void *data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  uint64_t position() const { return offset; }
  /// The first failure so far; buffered bytes may still fail.
  const Status &status() const { return failure; }
  /// Puts the file in place. `durable`: it survives a loss of power, too.
  Status finish(bool durable = false);

private:
  Status error(const char *what);
  void open();
  void openTemporary();
  void flush();
  void put(const char *data, size_t bytes);
  /// Gives the finished file a name; with `over` it replaces what is there.
  bool place(bool over);

  std::string path;      // as given, for messages
  std::string target;    // what is replaced; empty: written to directly
  std::string temporary; // the name until then; empty: it has none
  int slot = -1;         // of `temporary` among those that signals remove
  unsigned mode = 0, owner = 0, group = 0;
  bool there = false; // `target` exists
  bool unnamed;
  Descriptor file;
  std::string buffer;
  uint64_t offset = 0;
  Status failure;
};

/// Removes the temporary files that there are. For signal handlers and sudden ends.
void removeTemporaries();

} // namespace kt::os

#endif
