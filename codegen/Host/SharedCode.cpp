//===- SharedCode.cpp - functions that many kernels call ------------------===//

#include "codegen/Host/SharedCode.h"
#include "codegen/Host/Emit.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;
using namespace kt::codegen;
using namespace kt::codegen::host;

llvm::Expected<Image> kt::codegen::host::compileModule(ModuleOp module, const Isa &isa,
                                                       llvm::ArrayRef<const Image *> shared) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel", /*disableVerification=*/true);
  if (!code)
    return llvm::createStringError("could not be translated for the host");
  return makeImage(*code, isa, shared);
}

llvm::Expected<const Image *> SharedCode::get(StringRef name, const Isa &isa,
                                              llvm::function_ref<OwningOpRef<ModuleOp>()> build) {
  std::promise<std::shared_ptr<Result>> promise;
  std::shared_future<std::shared_ptr<Result>> future;
  bool mine = false;
  {
    std::lock_guard lock(mutex);
    auto [entry, added] = results.try_emplace((isa.target + "/" + name).str());
    if (added) {
      entry->second = promise.get_future().share();
      mine = true;
    }
    future = entry->second;
  }
  if (mine) {
    auto result = std::make_shared<Result>();
    OwningOpRef<ModuleOp> module = build();
    if (failed(lowerToLLVM(*module))) {
      result->error = ("shared function '" + name + "' could not be lowered for the host").str();
    } else if (llvm::Expected<Image> image = compileModule(*module, isa)) {
      result->image = std::move(*image);
    } else {
      result->error = llvm::toString(image.takeError());
    }
    promise.set_value(std::move(result));
  }
  const Result &result = *future.get();
  if (!result.error.empty())
    return llvm::createStringError(result.error);
  return &result.image;
}
