//===- importer.cpp - fuzzes what reads ONNX models -----------------------===//
//
// A model is imported and verified, or refused with an error.
//
//===----------------------------------------------------------------------===//

#include "test/fuzz/ImportedModel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  kt::fuzz::ImportedModel model(data, size);
  return 0;
}
