//===- kt-prebuild.cpp - shared functions as a C++ source -----------------===//
//
// kt-prebuild > Prebuilt.cpp
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Host.h"
#include "codegen/Host/MicroKernel.h"

using namespace mlir;
using namespace kt::codegen;
using namespace kt::codegen::host;

int main() {
  MLIRContext context;
  loadHostDialects(context);
  SharedCode library;
  std::string arrays, rows;
  for (StringRef target : {"host-v3", "host-v3-vnni", "host-v4", "host-v4-vnni"}) {
    const Isa *isa = findIsa(target);
    for (const SharedFunction &function : usualFunctions(&context, *isa)) {
      llvm::Expected<const Image *> image = library.get(function.name, *isa, [&] {
        CodeBuilder code(UnknownLoc::get(&context), *isa);
        function.build(code, function.name);
        return std::move(code.module);
      });
      if (!image) {
        llvm::errs() << llvm::toString(image.takeError()) << "\n";
        return 1;
      }
      std::string array = "code" + std::to_string(llvm::count(rows, '\n'));
      arrays += "const uint8_t " + array + "[] = {";
      for (auto [i, byte] : llvm::enumerate((*image)->code))
        arrays += (i % 32 ? "" : "\n") + std::to_string(std::to_integer<int>(byte)) + ",";
      arrays += "};\n";
      rows += "    {\"" + target.str() + "\", \"" + function.name + "\", " +
              std::to_string((*image)->entries.lookup(function.name)) + ", " + array + "},\n";
    }
  }
  llvm::outs() << "// Written by kt-prebuild.\n#include \"codegen/Host/Prebuilt/Prebuilt.h\"\n\nnamespace {\n"
               << arrays << "const kt::codegen::PrebuiltCode kPrebuilt[] = {\n"
               << rows << "};\n} // namespace\n\n"
               << "llvm::ArrayRef<kt::codegen::PrebuiltCode> kt::codegen::prebuiltCode() { return kPrebuilt; }\n";
  return 0;
}
