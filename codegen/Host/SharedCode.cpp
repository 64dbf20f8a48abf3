//===- SharedCode.cpp - functions that many kernels call ------------------===//

#include "codegen/Host/SharedCode.h"
#include "codegen/Host/Emit.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;
using namespace kt::codegen;
using namespace kt::codegen::host;

llvm::Expected<Object> kt::codegen::host::compileModule(ModuleOp module, const Isa &isa) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel", /*disableVerification=*/true);
  if (!code)
    return llvm::createStringError("could not be translated for the host");
  return makeObject(*code, isa);
}

static llvm::Expected<Image> compile(ModuleOp module, const Isa &isa) {
  if (failed(lowerToLLVM(module)))
    return llvm::createStringError("could not be lowered for the host");
  llvm::Expected<Object> object = compileModule(module, isa);
  if (!object)
    return object.takeError();
  return makeImage(*object);
}

SharedCode::SharedCode(ArrayRef<PrebuiltCode> prebuilt) {
  for (const PrebuiltCode &code : prebuilt) {
    auto result = std::make_shared<Result>();
    auto bytes = llvm::map_range(code.code, [](uint8_t byte) { return std::byte(byte); });
    result->image.code.assign(bytes.begin(), bytes.end());
    result->image.entries[code.name] = code.offset;
    std::promise<std::shared_ptr<Result>> promise;
    promise.set_value(std::move(result));
    results[key(code.isa, code.name)] = promise.get_future().share();
  }
}

llvm::Expected<const Image *> SharedCode::get(StringRef name, const Isa &isa,
                                              llvm::function_ref<OwningOpRef<ModuleOp>()> build) {
  std::promise<std::shared_ptr<Result>> promise;
  std::shared_future<std::shared_ptr<Result>> future;
  bool mine = false;
  {
    std::lock_guard lock(mutex);
    auto [entry, added] = results.try_emplace(key(isa.target, name));
    if (added) {
      entry->second = promise.get_future().share();
      mine = true;
    }
    future = entry->second;
  }
  if (mine) {
    auto result = std::make_shared<Result>();
    OwningOpRef<ModuleOp> module = build();
    if (llvm::Expected<Image> image = compile(*module, isa))
      result->image = std::move(*image);
    else
      result->error = ("shared function '" + name + "': ").str() + llvm::toString(image.takeError());
    promise.set_value(std::move(result));
  }
  const Result &result = *future.get();
  if (!result.error.empty())
    return llvm::createStringError(result.error);
  return &result.image;
}
