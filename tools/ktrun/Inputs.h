//===- Inputs.h - what --input and --output say ---------------------------===//
//
// Gathers a run's inputs from files and from the command line, and writes its outputs.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_INPUTS_H
#define KT_TOOLS_KTRUN_INPUTS_H

#include "runtime/npz/Npz.h"

namespace ktrun {

/// Owns the memory of a run's inputs.
struct InputSet {
  std::vector<kt::npz::Array> arrays;
  std::vector<kt::TensorView> views;
};

/// `specs` are the values of --input: "@all.npz", "NAME=@x.npy", "NAME=2x3xf32=1.5". A later one replaces an earlier of
/// the same name; entries of an archive that the model does not know are an error.
kt::Result<InputSet> gatherInputs(const kt::Model &model, const std::vector<std::string> &specs);

/// `specs` are the values of --output: "@out.npz", "NAME=@y.npy".
kt::Status writeOutputs(std::span<const kt::TensorView> outputs, const std::vector<std::string> &specs);
/// Says before the run what is wrong with --output.
kt::Status checkOutputSpecs(const kt::Model &model, const std::vector<std::string> &specs);

/// What "NAME=2x3xf32=1.5" says.
struct Filled {
  std::string spec, name, values;
  kt::DataType type = kt::DataType::f32;
  std::vector<int64_t> dims;
  uint64_t elements = 0;
};
/// Takes no memory for the tensor. Code::usage when it is malformed or larger than any memory.
kt::Result<Filled> parseFilled(const std::string &spec);
/// One value for all elements, or as many as there are, separated by commas. Code::failed when there is not enough
/// memory.
kt::Result<kt::npz::Array> fill(const Filled &filled);

/// The files that --input and --output name, for seeing that none is written over.
std::vector<std::string> filesOf(const std::vector<std::string> &specs);

} // namespace ktrun

#endif
