//===- Internal.h - shared by the .npy and .npz sources -------------------===//
//
// Output files that disappear on failure, and the header of an array.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_NPZ_INTERNAL_H
#define KT_RUNTIME_NPZ_INTERNAL_H

#include "runtime/npz/Npz.h"

#include <cstdio>

namespace kt::npz {

std::string npyHeader(const TensorView &tensor);

/// Remembers the first failure; removed on destruction unless `finish` succeeded.
class OutputFile {
public:
  explicit OutputFile(const std::string &path);
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  void write(const void *data, size_t bytes);
  uint64_t position() const { return offset; }
  Status finish();

private:
  std::string path;
  std::FILE *file;
  bool removable = false; // a regular file; devices and pipes stay whatever happens
  uint64_t offset = 0;
  Status failure;
};

} // namespace kt::npz

#endif
