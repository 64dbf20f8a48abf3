//===- CommandLine.h - options of ktc and ktransformers-convert -----------===//
//
// What the tools' main functions call. Plain C++ with exceptions (CLI11, yaml-cpp), which stay inside.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_DRIVER_COMMANDLINE_H
#define KT_COMPILER_DRIVER_COMMANDLINE_H

#include "compiler/Driver/Driver.h"

namespace kt {

/// `ktc compile | inspect ...`; answers the exit status.
int ktcMain(int argc, char **argv);
/// `ktransformers-convert --input model.onnx --output model.ktm [--quant int4:g32] ...`.
int convertMain(int argc, char **argv);

/// Reads config.yaml into `options`; an unknown key or a wrong value is an error that names it. Keys in `given` were
/// set on the command line and stay.
Status readConfig(const std::string &path, CompileOptions &options, const std::vector<std::string> &given);

/// Reads the numbers of the model of cost (CostModelFile.cpp); what the file leaves out is as built in.
Status readCostModel(const std::string &path, std::vector<int64_t> &numbers);

} // namespace kt

#endif
