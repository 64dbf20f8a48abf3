//===- ktransformers-convert.cpp - ONNX to an optimised artifact ----------===//

#include "compiler/Driver/CommandLine.h"

int main(int argc, char **argv) { return kt::convertMain(argc, argv); }
