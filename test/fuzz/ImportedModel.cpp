//===- ImportedModel.cpp - bytes as a model, for fuzzers ------------------===//

#include "test/fuzz/ImportedModel.h"
#include "mlir/IR/Verifier.h"

#include <cstdlib>

using namespace mlir;
using namespace kt;

static void check(bool holds) {
  if (!holds)
    std::abort();
}

fuzz::ImportedModel::ImportedModel(const uint8_t *data, size_t size) : context(MLIRContext::Threading::DISABLED) {
  context.printOpOnDiagnostic(false);
  context.getDiagEngine().registerHandler([this](Diagnostic &said) {
    std::string text = said.str();
    if (said.getSeverity() == DiagnosticSeverity::Error) {
      ++errors;
      check(!text.empty());
    }
    return success();
  });
  auto parsed = import::ModelFile::parse({reinterpret_cast<const char *>(data), size}, "/nonexistent/model.onnx");
  if (!parsed) {
    check(!llvm::toString(parsed.takeError()).empty());
    return;
  }
  file = std::move(*parsed);
  module = import::importModel(&context, *file, {});
  if (module && failed(mlir::verify(*module)))
    module = {};
  if (!module)
    mustHaveSaidWhy();
}

void fuzz::ImportedModel::mustHaveSaidWhy() const { check(errors > 0); }
