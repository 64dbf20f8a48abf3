//===- Driver.cpp - the library behind ktc --------------------------------===//

#include "compiler/Driver/Driver.h"
#include "codegen/Package/Package.h"
#include "compiler/Import/Importer.h"
#include "compiler/Pipeline/Pipeline.h"
#include "mlir/IR/Verifier.h"
#include "runtime/artifact/Writer.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

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

Result<uint64_t> kt::parseSize(const std::string &text) {
  llvm::StringRef rest = text;
  uint64_t number = 0;
  if (rest.consumeInteger(10, number) || number == 0)
    return Status::usage("expected a size such as 20GB or 512MiB but got '" + text + "'");
  uint64_t unit = llvm::StringSwitch<uint64_t>(rest.trim())
                      .Cases({"", "B"}, 1)
                      .Case("KB", 1000)
                      .Case("MB", 1000000)
                      .Case("GB", 1000000000)
                      .Case("KiB", 1024)
                      .Case("MiB", 1048576)
                      .Case("GiB", 1073741824)
                      .Default(0);
  if (unit == 0 || number > UINT64_MAX / unit)
    return Status::usage("expected a size such as 20GB or 512MiB but got '" + text + "'");
  return number * unit;
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

static Status writeText(const std::string &path, ModuleOp module) {
  if (path.empty() || path == "-") {
    module->print(llvm::outs());
    return {};
  }
  std::error_code ec;
  llvm::ToolOutputFile file(path, ec, llvm::sys::fs::OF_Text);
  if (ec)
    return Status::failed("cannot write '" + path + "': " + ec.message());
  module->print(file.os());
  file.os().close();
  if (file.os().has_error()) {
    Status failure = Status::failed("cannot write '" + path + "': " + file.os().error().message());
    file.os().clear_error(); // reported here; the stream would end the process
    return failure;
  }
  file.keep();
  return {};
}

Status kt::compile(const std::string &input, const std::string &output, const CompileOptions &options,
                   const CompileEvents &events) {
  unsigned errors = 0;
  std::string first;
  auto report = [&](kt::Diagnostic d) {
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

  MLIRContext context;
  context.printOpOnDiagnostic(false);
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
  import::ImportOptions importOptions;
  for (auto &[name, range] : options.dims)
    importOptions.dims[name] = {range.first, range.second};
  importOptions.dynamicBatching = options.dynamicBatching;
  codegen::loadCodegenDialects(context);
  OwningOpRef<ModuleOp> module = import::importModel(&context, **file, importOptions);
  if (!module || mlir::failed(mlir::verify(*module)))
    return failedWith(Status::failed(errors ? first : "import failed"));

  unsigned number = 0;
  auto dump = [&](const std::string &phase) -> Status {
    if (options.dumpPhases.empty())
      return {};
    if (auto ec = llvm::sys::fs::create_directories(options.dumpPhases))
      return Status::failed("cannot create '" + options.dumpPhases + "': " + ec.message());
    llvm::SmallString<128> path(options.dumpPhases);
    llvm::sys::path::append(path, (number < 10 ? "0" : "") + std::to_string(number) + "-" + phase + ".mlir");
    ++number;
    return writeText(path.str().str(), *module);
  };
  if (Status s = dump("import"); !s.ok())
    return failedWith(s);
  auto stop = [&] {
    Status s = writeText(output, *module);
    return s.ok() ? s : failedWith(s);
  };
  if (options.compileTo == "import")
    return stop();

  PipelineOptions pipeline;
  pipeline.precision = options.precision;
  pipeline.quant = options.quant;
  pipeline.maxSliceBytes = options.maxSliceBytes;
  pipeline.optLevel = options.optLevel;
  for (Phase phase : allPhases()) {
    progress(nameOf(phase), 0, 0);
    PassManager pm(&context);
    buildPhase(pm, phase, pipeline);
    if (mlir::failed(pm.run(*module)))
      return failedWith(Status::failed(errors ? first : "phase " + nameOf(phase) + " failed"));
    if (Status s = dump(nameOf(phase)); !s.ok())
      return failedWith(s);
    if (options.compileTo == nameOf(phase))
      return stop();
  }

  codegen::PackageOptions package;
  package.targets = options.targets;
  package.threads = options.threads;
  package.code.tensorCores = options.tensorCores;
  package.code.oneVariant = options.optLevel < 2;
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
                   " quant=" + (options.quant == Quant::none ? "none" : "int8") +
                   " max_slice_mem=" + std::to_string(options.maxSliceBytes) + " O" + std::to_string(options.optLevel) +
                   " dynamic_batching=" +
                   (!options.dynamicBatching   ? "model"
                    : *options.dynamicBatching ? "true"
                                               : "false") +
                   " tensor_core_priority=" +
                   (options.tensorCores == TensorCorePriority::low      ? "low"
                    : options.tensorCores == TensorCorePriority::normal ? "normal"
                                                                        : "high");
  progress("write", 0, 0);
  if (Status s = artifact::write(*model, output); !s.ok())
    return failedWith(s);
  return {};
}
