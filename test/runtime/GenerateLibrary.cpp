//===- GenerateLibrary.cpp - ktrun generate inside of another program -----===//
//
// For test/ptx/run_generate.py, whose process has the driver that runs kernels in the interpreter.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Generate.h"

/// The tool's exit status; what it prints goes where the process prints.
extern "C" __attribute__((visibility("default"))) int ktrunGenerate(int argc, char **argv) {
  return ktrun::generate(argc, argv);
}
