//===- kt-opt.cpp - runs kt passes on textual IR --------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

/// MLIR's parser recurses with the nesting of what it reads. Parentheses are those of expressions, which the printer
/// nests as deep as they have parts; regions, lists and types nest by a few.
static constexpr unsigned kMaxParentheses = kt::Expr::kMaxWeight + 64, kMaxBrackets = 256;

/// The number of the line where brackets nest too deep; 0 if none do. Strings and comments are skipped.
static unsigned tooDeepAt(llvm::StringRef text) {
  unsigned line = 1, parentheses = 0, brackets = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i], next = i + 1 < text.size() ? text[i + 1] : 0;
    if (c == '\n') {
      ++line;
    } else if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (c == '/' && next == '/') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '-' && next == '>') {
      ++i;
    } else if (c == '(') {
      ++parentheses;
    } else if (c == ')') {
      parentheses -= parentheses > 0;
    } else if (c == '[' || c == '{' || c == '<') {
      ++brackets;
    } else if (c == ']' || c == '}' || c == '>') {
      brackets -= brackets > 0;
    }
    if (parentheses > kMaxParentheses || brackets > kMaxBrackets)
      return line;
  }
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  mlir::DialectRegistry registry;
  registry.insert<kt::KTDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                  mlir::scf::SCFDialect>();
  mlir::registerTransformsPasses();
  kt::registerKTPasses();
  auto [input, output] = mlir::registerAndParseCLIOptions(argc, argv, "kt pass driver\n", registry);
  mlir::MlirOptMainConfig config = mlir::MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, input, output, registry));
  std::string error;
  auto file = mlir::openInputFile(input, &error);
  auto out = file ? mlir::openOutputFile(output, &error) : nullptr;
  if (!out) {
    llvm::errs() << error << "\n";
    return 1;
  }
  if (unsigned line = tooDeepAt(file->getBuffer())) {
    llvm::errs() << input << ":" << line << ": error: expected brackets that nest at most " << kMaxBrackets
                 << " deep and parentheses at most " << kMaxParentheses << "\n";
    return 1;
  }
  if (failed(mlir::MlirOptMain(out->os(), std::move(file), registry, config)))
    return 1;
  out->keep();
  return 0;
}
