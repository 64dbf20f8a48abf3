//===- Npz.h - NumPy's array files ----------------------------------------===//
//
// Reads and writes .npy and .npz (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html; zip archives
// of stored or deflated entries, zip64 included). Files are untrusted.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_NPZ_NPZ_H
#define KT_RUNTIME_NPZ_NPZ_H

#include "kt/Runtime.h"

#include <cstddef>

namespace kt::npz {

/// An array in C order. Arrays that were stored in Fortran order have been transposed.
struct Array {
  std::string name;
  std::string descr; // NumPy's type: "<f4", "|V2", "<U7"
  std::vector<int64_t> dims;
  std::vector<std::byte> data;
};

/// NumPy's type for an element type; |V1, |V2, ... for those that it lacks, empty for strings.
std::string descrOf(DataType type);
/// Whether an array of type `descr` can be taken for elements of `type`.
bool matches(const std::string &descr, DataType type);
/// Brings elements of less than a byte, and bools, to the form that tensors have: a byte each, sign-extended where the
/// type has a sign. ml_dtypes leaves the upper bits of an int4 zero and ignores them when it reads. Other types stay as
/// they are. `type` is one that the array matches.
void normalise(Array &array, DataType type);
/// "float32[2, 3]" for messages.
std::string describe(const Array &array);

Result<Array> readNpy(const std::string &path);
Result<std::vector<Array>> readNpz(const std::string &path);
/// Parses the bytes of a .npy file.
Result<Array> parseNpy(std::span<const std::byte> bytes);
/// Parses the bytes of a .npz file.
Result<std::vector<Array>> parseNpz(std::span<const std::byte> bytes);

/// The file is there whole or not at all (runtime/os/OutputFile.h); it may be a device or a pipe.
Status writeNpy(const std::string &path, const TensorView &tensor);
/// Stored entries, zip64 only where sizes need it; the same tensors give the same bytes.
Status writeNpz(const std::string &path, std::span<const TensorView> tensors);

} // namespace kt::npz

#endif
