//===- Proto.h - reading ONNX files ---------------------------------------===//
//
// Loads a model and gives access to its tensors' bytes, inline or in external files, which are mapped and never copied
// whole.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_PROTO_H
#define KT_COMPILER_IMPORT_PROTO_H

#include "mlir/IR/Builders.h"
#include "onnx.pb.h"
#include "runtime/os/File.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace kt::import {

/// The MLIR element type of an ONNX data type; null for those that tensors here cannot hold (strings, unknown numbers).
mlir::Type elementType(mlir::MLIRContext *context, int onnxType);
/// ONNX's name of a data type, for messages.
std::string typeName(int onnxType);

/// A parsed model and the files that it reads from.
class ModelFile {
public:
  /// Reads `path`. Errors say what is wrong with the file and where.
  static llvm::Expected<std::unique_ptr<ModelFile>> load(llvm::StringRef path);

  /// The same from memory, which is not needed afterwards. External data is looked for beside `path`.
  static llvm::Expected<std::unique_ptr<ModelFile>> parse(llvm::ArrayRef<char> data, llvm::StringRef path);

  const onnx::ModelProto &proto() const { return *model; }

  /// The elements of a tensor, little-endian, one element of sub-byte types a byte. Valid as long as this object.
  /// Checks that the number of bytes is the one that shape and type ask for.
  llvm::Expected<llvm::ArrayRef<char>> bytes(const onnx::TensorProto &tensor);

  /// The files that have been read so far.
  std::vector<const os::MappedFile *> files() const;
  /// Opens all external data that the model names, so that `files` is complete. What cannot be opened is left to
  /// `bytes`, which says so.
  void openExternal();
  /// An error when a file has changed since it was opened: what was read of it may be of two versions.
  llvm::Error unchanged() const;

private:
  llvm::Expected<llvm::ArrayRef<char>> externalBytes(const onnx::TensorProto &tensor);
  llvm::Expected<os::MappedFile *> externalFile(const std::string &location);
  std::string path;
  std::unique_ptr<os::MappedFile> own;
  std::unique_ptr<onnx::ModelProto> model;
  llvm::StringMap<std::unique_ptr<os::MappedFile>> external;
  std::vector<std::unique_ptr<std::vector<char>>> converted; // what was stored in typed fields or packed nibbles
};

} // namespace kt::import

#endif
