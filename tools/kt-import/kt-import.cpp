//===- kt-import.cpp - prints what an ONNX model imports as ---------------===//

#include "compiler/Import/Importer.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include <set>

static int usage() {
  llvm::errs() << "usage: kt-import model.onnx [--dim NAME=N|LO..HI]...\n       kt-import --operators\n";
  return 2;
}

/// A line for each operator of the standard and of what import defines: whether it does, the name, and the operator
/// sets of the standard that it changed in.
static int printOperators() {
  std::map<std::string, std::vector<int64_t>> all = kt::import::Schemas::versions();
  std::set<std::string> defined;
  for (const std::string &name : kt::import::importedOperators())
    all[name], defined.insert(name);
  for (const auto &[name, versions] : all) {
    llvm::outs() << (defined.count(name) ? "+ " : "- ") << name;
    for (int64_t version : versions)
      llvm::outs() << " " << version;
    llvm::outs() << "\n";
  }
  return 0;
}

int main(int argc, char **argv) {
  llvm::StringRef path;
  kt::import::ImportOptions options;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef arg = argv[i];
    if (arg == "--operators" && argc == 2) {
      return printOperators();
    } else if (arg == "--dim") {
      auto [name, range] = llvm::StringRef(++i < argc ? argv[i] : "").split('=');
      auto [low, high] = range.contains("..") ? range.split("..") : std::pair(range, range);
      kt::import::DimRange r;
      if (name.empty() || low.getAsInteger(10, r.min) || high.getAsInteger(10, r.max))
        return usage();
      options.dims[name] = r;
    } else if (path.empty() && !arg.starts_with("-")) {
      path = arg;
    } else {
      return usage();
    }
  }
  if (path.empty())
    return usage();
  auto file = kt::import::ModelFile::load(path);
  if (!file) {
    llvm::errs() << "error: " << llvm::toString(file.takeError()) << "\n";
    return 1;
  }
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.getDiagEngine().registerHandler([](mlir::Diagnostic &d) {
    llvm::errs() << (d.getSeverity() == mlir::DiagnosticSeverity::Error ? "error: " : "note: ") << d;
    if (auto node = llvm::dyn_cast<mlir::NameLoc>(d.getLocation()))
      llvm::errs() << " (node '" << node.getName().getValue() << "'"
                   << (llvm::isa<mlir::NameLoc>(node.getChildLoc())
                           ? ", " + llvm::cast<mlir::NameLoc>(node.getChildLoc()).getName().getValue().str()
                           : "")
                   << ")";
    llvm::errs() << "\n";
  });
  auto module = kt::import::importModel(&context, **file, options);
  if (!module || mlir::failed(mlir::verify(*module)))
    return 1;
  mlir::OpPrintingFlags flags;
  flags.elideLargeResourceString(0);
  flags.elideLargeElementsAttrs(0);
  module->print(llvm::outs(), flags);
  llvm::outs() << "\n";
  return 0;
}
