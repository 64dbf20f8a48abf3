//===- SharedCode.h - functions that many kernels call --------------------===//
//
// The inner loops of contractions do not depend on the kernel around them. They are compiled once an instruction set
// and linked into the image of every kernel that calls them. Those of the usual types are compiled when ktc is built
// (Prebuilt/).
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_SHAREDCODE_H
#define KT_CODEGEN_HOST_SHAREDCODE_H

#include "codegen/Host/Image.h"
#include "mlir/IR/BuiltinOps.h"
#include <future>
#include <mutex>
#include <string_view>

namespace kt::codegen {

/// What SharedCode::get answers without building anything.
struct PrebuiltCode {
  std::string_view isa, name; // "host-v3", the entry
  uint64_t offset;            // of the entry
  llvm::ArrayRef<uint8_t> code;
};

/// The functions compiled so far. Thread-safe; references stay valid as long as the object.
class SharedCode {
public:
  explicit SharedCode(llvm::ArrayRef<PrebuiltCode> prebuilt = {});

  /// The image that `build` makes for `isa`, with an entry `name`. The name stands for the code: whoever asks for it
  /// again gets the first answer, and waits for it if another thread is at it.
  llvm::Expected<const host::Image *> get(llvm::StringRef name, const host::Isa &isa,
                                          llvm::function_ref<mlir::OwningOpRef<mlir::ModuleOp>()> build);

private:
  struct Result {
    host::Image image;
    std::string error;
  };
  static std::string key(llvm::StringRef isa, llvm::StringRef name) { return (isa + "/" + name).str(); }
  std::mutex mutex;
  llvm::StringMap<std::shared_future<std::shared_ptr<Result>>> results;
};

} // namespace kt::codegen

#endif
