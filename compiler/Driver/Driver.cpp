//===- Driver.cpp - the library behind ktc --------------------------------===//

#include "compiler/Driver/Driver.h"
#include "codegen/Package/Package.h"
#include "compiler/Driver/AccuracyFile.h"
#include "compiler/Driver/QuantOption.h"
#include "compiler/Import/Importer.h"
#include "compiler/Pipeline/Pipeline.h"
#include "mlir/IR/Verifier.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Precision/MeasureInputs.h"
#include "runtime/artifact/Container.h"
#include "runtime/artifact/Writer.h"
#include "runtime/os/OutputFile.h"
#include "runtime/text/Grammar.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"

using namespace mlir;
using namespace kt;

const std::vector<std::string> &kt::phaseNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all{"import"};
    for (Phase phase : allPhases())
      all.push_back(nameOf(phase));
    return all;
  }();
  return names;
}

/// The node and operator that a location names (see nodeLocation).
static void describe(Location loc, kt::Diagnostic &d) {
  if (auto named = dyn_cast<NameLoc>(loc)) {
    d.node = named.getName().str();
    if (auto op = dyn_cast<NameLoc>(named.getChildLoc()))
      d.op = op.getName().str();
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    if (!fused.getLocations().empty())
      describe(fused.getLocations().front(), d);
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    describe(call.getCallee(), d);
  }
}

namespace {
/// LLVM's stream over a file; failures are the file's, which remembers them.
class FileStream : public llvm::raw_ostream {
public:
  explicit FileStream(os::OutputFile &file) : file(file) {}
  ~FileStream() override { flush(); }

private:
  void write_impl(const char *data, size_t size) override { file.write(data, size); }
  uint64_t current_pos() const override { return file.position(); }
  os::OutputFile &file;
};
} // namespace

static Status writeText(const std::string &path, ModuleOp module) {
  os::OutputFile file(path.empty() || path == "-" ? "/dev/stdout" : path);
  if (!file.status().ok())
    return file.status();
  {
    FileStream stream(file);
    module->print(stream);
  }
  return file.finish();
}

/// The file that --dump-phases writes after phase number `number`.
static std::string dumpPath(const std::string &folder, unsigned number) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path,
                          (number < 10 ? "0" : "") + std::to_string(number) + "-" + phaseNames()[number] + ".mlir");
  return path.str().str();
}

/// Nothing that is read may be written, nor anything twice.
static Status checkOutputs(const import::ModelFile &model, const std::string &output, const CompileOptions &options) {
  os::KeptFiles kept;
  for (const os::MappedFile *file : model.files())
    kept.add(file->id(), file->name());
  for (const std::string &path : options.alsoRead)
    kept.add(path);
  std::vector<std::string> outputs{output.empty() || (output == "-" && !options.compileTo.empty()) ? "/dev/stdout"
                                                                                                   : output};
  if (!options.dumpPhases.empty())
    for (unsigned i = 0; i < phaseNames().size(); ++i)
      outputs.push_back(dumpPath(options.dumpPhases, i));
  if (!options.accuracyReport.empty())
    outputs.push_back(options.accuracyReport);
  return kept.mayWriteAll(outputs);
}

/// Bytes of the constants that are stored, by what tells them apart.
static std::map<const void *, uint64_t> constantsOf(ModuleOp module) {
  std::map<const void *, uint64_t> constants;
  module.walk([&](ConstantOp op) {
    if (!op.use_empty())
      constants[op.contents().identity()] = op.contents().size();
  });
  return constants;
}

/// Whether weights are quantised before compilation stops.
static bool reachesWeights(const std::string &compileTo) {
  return compileTo.empty() || (compileTo != phaseNames()[0] && compileTo != nameOf(Phase::graph));
}

static std::string textOf(const artifact::Digest &digest) {
  return llvm::utohexstr(digest.high, true, 16) + llvm::utohexstr(digest.low, true, 16);
}

/// What products are given when the model runs on sample inputs: a copy of it in its own precision, with outputs that
/// say so, is compiled for the host and run.
static Result<InputMoments> calibrate(ModuleOp graph, const PipelineOptions &asked, const CompileOptions &options) {
  OwningOpRef<ModuleOp> copy = graph.clone();
  for (auto func : copy->getOps<func::FuncOp>())
    if (isGraph(func))
      measureInputs(func);
  PipelineOptions pipeline;
  pipeline.optLevel = std::min(asked.optLevel, 1);
  pipeline.targets = {"host"};
  for (Phase phase : allPhases()) {
    PassManager pm(copy->getContext());
    pm.enableVerifier(false);
    if (phase != Phase::graph)
      buildPhase(pm, phase, pipeline);
    if (mlir::failed(pm.run(*copy)) || mlir::failed(mlir::verify(*copy)))
      return Status::failed("phase " + nameOf(phase) + " failed");
  }
  codegen::PackageOptions package;
  package.targets = pipeline.targets;
  package.threads = options.threads;
  auto model = codegen::package(*copy, package);
  if (mlir::failed(model))
    return Status::failed("code generation failed");
  llvm::SmallString<128> path;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("calibrate", "ktm", path))
    return Status::failed("cannot create a temporary file: " + error.message());
  llvm::FileRemover remove(path);
  if (Status s = artifact::write(*model, path.str().str()); !s.ok())
    return s;
  return options.calibrate(path.str().str());
}

/// Bodies are fused for as long as that makes different kernels that are worth their time, a hundredth of a second and
/// more each: one for so many bytes of model, and some.
static size_t mostKernels(const import::ModelFile &model) {
  size_t bytes = 0;
  for (const os::MappedFile *file : model.files())
    bytes += file->bytes().size();
  return 500 + bytes / (16 << 10);
}

/// What compiling the kernels of a module costs, in those of elementwise work; parts of one kernel are code each.
static size_t costOfKernels(ModuleOp module) {
  size_t cost = 0;
  for (KernelOp kernel : module.getOps<KernelOp>())
    cost += isProduct(kernel.compute()) ? 4 : kernel.computes().size();
  return cost;
}

Status kt::compile(const std::string &input, const std::string &output, const CompileOptions &options,
                   const CompileEvents &events) {
  unsigned errors = 0;
  std::string first;
  auto report = [&](const kt::Diagnostic &d) {
    if (d.severity == "error" && errors++ == 0)
      first = d.message;
    if (events.diagnostic)
      events.diagnostic(d);
  };
  auto failedWith = [&](Status status) {
    if (errors == 0)
      report({"error", status.message(), "", ""});
    return status;
  };
  auto progress = [&](const std::string &phase, unsigned done, unsigned total) {
    if (events.progress)
      events.progress(phase, done, total);
  };

  // Passes and kernels are given the same number of threads.
  llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.threads));
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.setThreadPool(pool);
  context.printOpOnDiagnostic(false);
  // Text has the bytes of all constants.
  std::optional<ComputedConstants> computed;
  if (options.compileTo.empty() && options.dumpPhases.empty())
    computed.emplace(context);
  ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diag) {
    kt::Diagnostic d;
    switch (diag.getSeverity()) {
    case DiagnosticSeverity::Error:
      d.severity = "error";
      break;
    case DiagnosticSeverity::Warning:
      d.severity = "warning";
      break;
    default:
      d.severity = "note";
    }
    d.message = diag.str();
    describe(diag.getLocation(), d);
    report(std::move(d));
    return success();
  });

  progress("import", 0, 0);
  auto file = import::ModelFile::load(input);
  if (!file)
    return failedWith(Status::failed(llvm::toString(file.takeError())));
  (*file)->openExternal();
  if (Status s = checkOutputs(**file, output, options); !s.ok())
    return failedWith(s);
  // Opened at once: that it cannot be written is said before the work is done.
  std::optional<os::OutputFile> accuracy;
  if (!options.accuracyReport.empty()) {
    if (!reachesWeights(options.compileTo))
      return failedWith(Status::usage("--accuracy-report: weights are not quantised before phase " +
                                      nameOf(Phase::precision) + ", but compilation stops after " + options.compileTo));
    accuracy.emplace(options.accuracyReport);
    if (!accuracy->status().ok())
      return failedWith(accuracy->status());
  }
  // What was read is what is in the artifact only if it stayed the same.
  auto unchanged = [&]() -> Status {
    if (llvm::Error changed = (*file)->unchanged())
      return Status::failed(llvm::toString(std::move(changed)));
    return {};
  };
  import::ImportOptions importOptions;
  for (auto &[name, range] : options.dims)
    importOptions.dims[name] = {range.first, range.second};
  importOptions.dynamicBatching = options.dynamicBatching;
  importOptions.nextToken = options.nextToken;
  importOptions.logits = options.logits;
  // A CPU takes any number.
  if (llvm::all_of(options.targets, [](StringRef t) { return t == "host"; }))
    importOptions.integerChunk = 1;
  importOptions.toHalves = options.precision == Precision::fp16 || options.precision == Precision::bf16;
  codegen::loadCodegenDialects(context);
  OwningOpRef<ModuleOp> module = import::importModel(&context, **file, importOptions);
  if (!module || mlir::failed(mlir::verify(*module)))
    return failedWith(Status::failed(errors ? first : "import failed"));

  unsigned number = 0;
  auto dump = [&]() -> Status {
    if (options.dumpPhases.empty())
      return {};
    if (auto ec = llvm::sys::fs::create_directories(options.dumpPhases))
      return Status::failed("cannot create '" + options.dumpPhases + "': " + ec.message());
    return writeText(dumpPath(options.dumpPhases, number++), *module);
  };
  if (Status s = dump(); !s.ok())
    return failedWith(s);
  AccuracyReport accuracyReport;
  auto writeAccuracy = [&]() -> Status {
    if (!accuracy)
      return {};
    accuracyReport.settle(constantsOf(*module));
    accuracy->write(printAccuracy(accuracyReport, {options.quant, options.quantMinSnr}, options.accuracyReport));
    return accuracy->finish();
  };
  auto stop = [&] {
    Status s = unchanged();
    if (s.ok())
      s = writeAccuracy();
    return s.ok() ? writeText(output, *module) : s;
  };
  if (options.compileTo == "import") {
    Status s = stop();
    return s.ok() ? s : failedWith(s);
  }

  PipelineOptions pipeline;
  pipeline.precision = options.precision;
  pipeline.quant = options.quant;
  pipeline.quantExclude = options.quantExclude;
  pipeline.quantMinSnr = options.quantMinSnr;
  pipeline.int8Activations = options.int8Activations;
  pipeline.quantCaches = options.quantCaches;
  pipeline.report = accuracy ? &accuracyReport : nullptr;
  pipeline.maxSliceBytes = options.maxSliceBytes;
  pipeline.optLevel = options.optLevel;
  pipeline.targets = options.targets;
  pipeline.tensorCores = options.tensorCores;
  pipeline.candidates = options.candidates;
  pipeline.costModel = options.costModel;
  InputMoments moments;
  bool stopped = false;
  auto lower = [&]() -> Status {
    for (Phase phase : allPhases()) {
      if (phase == Phase::precision && options.calibrate) {
        progress("calibrate", 0, 0);
        Result<InputMoments> measured = calibrate(*module, pipeline, options);
        if (!measured.ok())
          return std::move(measured).status().in("--calibrate");
        moments = *std::move(measured);
        pipeline.moments = &moments;
      }
      progress(nameOf(phase), 0, 0);
      // Verified once a phase: after each of its passes would be a quarter of the time that large models take.
      PassManager pm(&context);
      pm.enableVerifier(false);
      buildPhase(pm, phase, pipeline);
      if (!pm.empty() && (mlir::failed(pm.run(*module)) || mlir::failed(mlir::verify(*module))))
        return Status::failed(errors ? first : "phase " + nameOf(phase) + " failed");
      if (Status s = dump(); !s.ok())
        return s;
      if (options.compileTo == nameOf(phase)) {
        stopped = true;
        return stop();
      }
    }
    return {};
  };
  if (Status s = lower(); !s.ok())
    return failedWith(s);
  if (stopped)
    return {};
  size_t kernels = costOfKernels(*module), most = mostKernels(**file);
  if (kernels > most && pipeline.optLevel > 0) {
    emitWarning(UnknownLoc::get(&context))
        << kernels << " different kernels (products count as four) are more than " << most
        << ", which is what a model of this size may have: compiled without fusion, as by -O0";
    pipeline.optLevel = 0;
    number = 1; // the phases' dumps begin anew
    accuracyReport.clear();
    module = import::importModel(&context, **file, importOptions);
    if (!module)
      return failedWith(Status::failed(errors ? first : "import failed"));
    if (Status s = lower(); !s.ok())
      return failedWith(s);
    kernels = costOfKernels(*module);
  }
  if (kernels > 2 * most)
    return failedWith(Status::failed("the model needs " + std::to_string(kernels) +
                                     " different kernels (products count as four): at most " +
                                     std::to_string(2 * most) + " are compiled for a model of its size"));

  codegen::PackageOptions package;
  package.targets = options.targets;
  package.threads = options.threads;
  package.progress = [&](unsigned done, unsigned total) { progress("kernels", done, total); };
  auto model = codegen::package(*module, package);
  if (mlir::failed(model))
    return failedWith(Status::failed(errors ? first : "code generation failed"));
  model->producer = "ktc " KT_VERSION;
  model->options = "precision=" +
                   std::string(options.precision == Precision::model  ? "model"
                               : options.precision == Precision::fp16 ? "fp16"
                               : options.precision == Precision::bf16 ? "bf16"
                                                                      : "fp32") +
                   " quant=" + printQuant(options.quant) + " max_slice_mem=" + std::to_string(options.maxSliceBytes) +
                   " O" + std::to_string(pipeline.optLevel) + " dynamic_batching=" +
                   (!options.dynamicBatching   ? "model"
                    : *options.dynamicBatching ? "true"
                                               : "false") +
                   " tensor_core_priority=" +
                   (options.tensorCores == TensorCorePriority::low      ? "low"
                    : options.tensorCores == TensorCorePriority::normal ? "normal"
                                                                        : "high");
  if (options.int8Activations)
    model->options += " activations=int8";
  if (options.quantCaches)
    model->options += " kv_cache=int8";
  for (const std::string &pattern : options.quantExclude)
    model->options += " quant_exclude=" + pattern;
  // What is said by default is not said of INT4, whose limit is another for what has to be INT8.
  if (options.quantMinSnr && (options.quant.bits == 4 || *options.quantMinSnr != leastSignalToNoise(8)))
    model->options += " quant_min_snr=" + printDecibels(*options.quantMinSnr);
  if (pipeline.moments) {
    std::string bytes;
    for (auto &[number, sums] : moments)
      bytes.append(reinterpret_cast<const char *>(sums.data()), sums.size() * sizeof(float));
    model->options += " calibrate=" + textOf(artifact::digestOf(std::as_bytes(std::span(bytes))));
  }
  if (!options.costModel.empty()) {
    artifact::Digest digest = artifact::digestOf(std::as_bytes(std::span(options.costModel)));
    model->options += " cost_model=" + textOf(digest);
  }
  if (options.candidates)
    model->options += std::string(" candidates=") + (*options.candidates == Variants::all   ? "all"
                                                     : *options.candidates == Variants::few ? "few"
                                                                                            : "one");
  if (options.nextToken != import::NextToken::none)
    model->options += std::string(" sample=") + (options.nextToken == import::NextToken::greedy ? "greedy" : "drawn");
  progress("write", 0, 0);
  if (Status s = unchanged(); !s.ok())
    return failedWith(s);
  if (Status s = writeAccuracy(); !s.ok())
    return failedWith(s);
  if (Status s = artifact::write(*model, output, unchanged); !s.ok())
    return failedWith(s);
  return {};
}
