//===- ImportedModel.h - bytes as a model, for fuzzers --------------------===//

#ifndef KT_TEST_FUZZ_IMPORTEDMODEL_H
#define KT_TEST_FUZZ_IMPORTEDMODEL_H

#include "compiler/Import/Importer.h"

namespace kt::fuzz {

/// Imports and verifies the bytes of an ONNX model in a context of its own. Aborts where that fails without an error,
/// and where an error has more than one line.
class ImportedModel {
public:
  ImportedModel(const uint8_t *data, size_t size);

  /// Aborts unless an error has been reported.
  void mustHaveSaidWhy() const;

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module; // null: refused

private:
  std::unique_ptr<import::ModelFile> file;
  unsigned errors = 0;
};

} // namespace kt::fuzz

#endif
