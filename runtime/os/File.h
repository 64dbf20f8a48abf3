//===- File.h - files that are read ---------------------------------------===//
//
// Opens regular files and nothing else: a pipe, a device or a folder is an error at once, never a wait. Everything that
// is said of a file is said of what was opened, not of its name, which may mean another file a moment later.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_OS_FILE_H
#define KT_RUNTIME_OS_FILE_H

#include "runtime/include/kt/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct stat;

namespace kt::os {

/// Which file it is, by whatever name.
struct FileId {
  uint64_t device = 0, inode = 0;
  bool operator==(const FileId &) const = default;
  static FileId of(const struct stat &info);
};

/// An open file, closed with this object.
class Descriptor {
public:
  Descriptor() = default;
  explicit Descriptor(int number) : number(number) {}
  Descriptor(Descriptor &&other) noexcept : number(other.release()) {}
  Descriptor &operator=(Descriptor &&other) noexcept;
  ~Descriptor();
  int get() const { return number; }
  bool isOpen() const { return number >= 0; }
  int release();

private:
  int number = -1;
};

/// Opens a regular file for reading. The message says why not and leaves out the name.
Result<Descriptor> openRegular(const std::string &path);

/// Opens `location`, a name that a model gives for its data, below the folder of `model`'s own name or else the folder
/// of the file that this name leads to: a hub keeps both as links to blobs. Refused are an absolute location, `..`, and
/// links that lead out of these two folders, as Code::usage with "lies outside the model's folder"; what cannot be read
/// is Code::failed. The message says why and leaves out both names.
Result<Descriptor> openBeside(const std::string &model, const std::string &location);

/// A read-only mapping of a whole regular file. Empty files are mapped as no bytes.
class MappedFile {
public:
  /// Fails with Code::failed and a message that names the file.
  static Result<std::unique_ptr<MappedFile>> open(const std::string &path);
  /// Maps a file that is open; `name` is for messages. The message leaves it out.
  static Result<std::unique_ptr<MappedFile>> map(Descriptor file, const std::string &name);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte *>(address), size}; }
  const FileId &id() const { return identity; }
  const std::string &name() const { return text; }
  /// Fails when size or time of change are not what they were when it was opened, or when a part was found gone. A file
  /// that another one has replaced is not changed: the mapping is of the old one.
  Status unchanged() const;

private:
  MappedFile(Descriptor file, const std::string &name) : file(std::move(file)), text(name) {}
  Descriptor file; // closed where many files are open: a process may not have that many
  std::string text, place;
  FileId identity;
  void *address = nullptr;
  size_t size = 0;
  int64_t changedSeconds = 0, changedNanoseconds = 0;
};

/// The mapped file that holds `address`, or null. For signal handlers: takes no lock and no memory.
const char *mappedFileAt(const void *address);

/// From now on, reading a part of a mapped file that is no longer there gives zeros and makes `unchanged` fail, instead
/// of ending the process with SIGBUS. Other faults go to the handler that was there before, so the process should
/// install its own first. For libraries; once is enough. Thread-safe.
void guardMappings();

/// The whole of a regular file of at most `limit` bytes.
Result<std::string> readText(const std::string &path, size_t limit);

/// Files that a program reads, or that it is about to write: neither may be written over.
class KeptFiles {
public:
  /// Of a name that leads to no file nothing is kept.
  void add(const std::string &path);
  void add(const FileId &id, const std::string &name) { files.push_back({id, name}); }
  /// Fails, as Code::usage, when `path` leads to one of the files. Devices and pipes may be written to.
  Status mayWrite(const std::string &path) const;
  /// The same for every output of one run, which also have to differ from one another.
  Status mayWriteAll(std::span<const std::string> paths) const;

private:
  struct Kept {
    FileId id;
    std::string name;
  };
  std::vector<Kept> files;
};

} // namespace kt::os

#endif
