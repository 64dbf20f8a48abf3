//===- Driver.h - the library behind ktc ----------------------------------===//
//
// Compiles an ONNX file to an artifact. Plain C++: no MLIR in sight, nothing throws.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_DRIVER_DRIVER_H
#define KT_COMPILER_DRIVER_DRIVER_H

#include "compiler/Import/NextToken.h"
#include "dialects/KT/Schedule/Options.h"
#include "passes/Precision/InputMoments.h"
#include "passes/Precision/QuantFormat.h"
#include "runtime/include/kt/Status.h"
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kt {

enum class Precision { model, fp16, bf16, fp32 };

struct CompileOptions {
  std::vector<std::string> targets{"sm_89", "sm_90a", "host"}; // older GPUs before newer ones
  Precision precision = Precision::model;
  QuantFormat quant;
  /// ONNX nodes and weights that stay as they are, as patterns with `*`, `?` and `[a-z]`; each has to match something.
  std::vector<std::string> quantExclude;
  /// Weights that would be left with less signal to noise, in decibels, are stored in more bits; 0: none. Not set: as
  /// leastSignalToNoise says.
  std::optional<double> quantMinSnr;
  /// Products whose weights are INT8 round their rows to INT8 where there are many, on tensor cores.
  bool int8Activations = false;
  /// Sessions keep keys and values that grow in INT8, with a scale for each head and token; a model without such a
  /// cache is an error.
  bool quantCaches = false;
  /// What a product's errors weigh, measured by a run of this artifact with outputs for it; empty: errors of all
  /// weights are alike.
  std::function<Result<InputMoments>(const std::string &artifact)> calibrate;
  /// A file that says what each weight lost, as JSON where its name ends in ".json"; empty: none.
  std::string accuracyReport;
  uint64_t maxSliceBytes = 0; // 0: fine slices, which the runtime groups for the memory that it finds
  /// Dimension symbols narrowed to [first, second].
  std::map<std::string, std::pair<int64_t, int64_t>> dims;
  /// 0: no fusion, one kernel variant for all shapes. 1: fusion, one variant. 2 and 3: everything.
  int optLevel = 3;
  /// False: the leading dimension that the inputs share is fixed at 1. True: it stays as the model has it, and a
  /// warning names the inputs that fix it. Not set: as the model has it.
  std::optional<bool> dynamicBatching;
  /// Whether the artifact has an output more, `next_token`, chosen from the output `logits`.
  import::NextToken nextToken = import::NextToken::none;
  std::string logits = "logits";
  TensorCorePriority tensorCores = TensorCorePriority::high;
  /// How many variants a kernel has; not set: as `optLevel` says.
  std::optional<Variants> candidates;
  /// Numbers for the model of cost (TargetModel::get); empty: those that are built in.
  std::vector<int64_t> costModel;
  /// Stop after this phase and write its IR as text to the output (empty: write the artifact).
  std::string compileTo;
  /// A folder that gets NN-PHASE.mlir after each phase.
  std::string dumpPhases;
  unsigned threads = 0;
  /// Files that the caller has read and that are not to be written over either.
  std::vector<std::string> alsoRead;
};

struct Diagnostic {
  std::string severity; // "error", "warning", "note"
  std::string message;
  std::string node; // the ONNX node's name, may be empty
  std::string op;   // "Conv, opset 18"
};

struct CompileEvents {
  std::function<void(const Diagnostic &)> diagnostic;
  /// phase, items done, items in all (0: not counted).
  std::function<void(const std::string &, unsigned, unsigned)> progress;
};

/// Names of the phases in their order.
const std::vector<std::string> &phaseNames();

/// Compiles `input` to `output`. On failure `output` is as it was and at least one diagnostic was reported. Nothing
/// that is read is written over: Code::usage when an output is the model, its external data or another output, under
/// any name. The report is in place before `output` is: it may be there without it, but never the other way round.
Status compile(const std::string &input, const std::string &output, const CompileOptions &options,
               const CompileEvents &events);

} // namespace kt

#endif
