//===- CommandLine.cpp - options of ktc and ktransformers-convert ---------===//

#include "compiler/Driver/CommandLine.h"
#include "compiler/Driver/Calibrate.h"
#include "compiler/Driver/Inspect.h"
#include "compiler/Driver/QuantOption.h"
#include "passes/Precision/NamePatterns.h"
#include "runtime/exec/Tuner.h"
#include "runtime/os/OutputFile.h"
#include "runtime/os/Process.h"
#include "runtime/text/Grammar.h"
#include "llvm/Support/ErrorHandling.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unistd.h>

using namespace kt;

namespace {

constexpr const char *kTargets[] = {"sm_80", "sm_86", "sm_89", "sm_90", "sm_90a", "sm_120", "host"};

/// "sm_80, ... <last>host"
std::string listOfTargets(const std::string &last) {
  std::string list;
  for (const char *t : kTargets)
    list += (list.empty() ? "" : t == *std::prev(std::end(kTargets)) ? last : ", ") + std::string(t);
  return list;
}

struct CompileCommand {
  std::string input, output, precision = "model", quant = "none", activations = "model", kvCache = "model", quantMinSnr,
                             maxSliceMem, config, candidates, costModel, sample, diagnostics = "text";
  std::vector<std::string> targets, dims, samples;
  CompileOptions options;
};

/// An empty name is a variable that was not set; taking it for no option at all would lose what was asked for.
const CLI::Validator named([](std::string &text) { return text.empty() ? "expected a name but got ''" : ""; }, "");

/// The options that both tools have.
void addCompileOptions(CLI::App &app, CompileCommand &c) {
  app.add_option("--target", c.targets,
                 "targets in the artifact: " + listOfTargets(", ") + " (default sm_89, sm_90a, host)")
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--precision", c.precision, "compute in: model (as written), fp16, bf16, fp32")
      ->check(CLI::IsMember({"model", "fp16", "bf16", "fp32"}));
  app.add_option(
         "--quant", c.quant,
         "store weights as: none, int8, int4, fp8; weights of products with a scale for each 16, 32, 64, 128 or 256 "
         "along k if one writes int8:g64 or the like (default int8:g128, int4:g32, fp8:g128)")
      ->check(named);
  app.add_option(
         "--quant-exclude", c.options.quantExclude,
         "nodes or weights that stay as they are, as a pattern such as '*/lm_head/*'; may be given several times")
      ->allow_extra_args(false)
      ->check(named);
  app.add_option(
         "--quant-min-snr", c.quantMinSnr,
         "with --quant: weights that would have less signal to noise, in dB, are stored in more bits (default " +
             printDecibels(leastSignalToNoise(4)) + " in int4, " + printDecibels(leastSignalToNoise(8)) +
             " in int8; 0: none)")
      ->check(named);
  app.add_option(
         "--calibrate", c.samples,
         "with --quant int4: @inputs.npz, inputs on which the model is run on this machine, so that errors weigh "
         "as much as what they are multiplied by; may be given several times")
      ->allow_extra_args(false)
      ->check(named);
  app.add_option("--activations", c.activations,
                 "products of many rows on GPUs multiply: model (as written), int8 (rows as well as weights, each row "
                 "with a scale; weights are INT8 then, with a scale a column)")
      ->check(CLI::IsMember({"model", "int8"}));
  app.add_option("--accuracy-report", c.options.accuracyReport,
                 "with --quant: write what each weight lost into this file, as JSON if it ends in .json")
      ->check(named);
  app.add_option("--kv-cache", c.kvCache,
                 "sessions keep keys and values as: model (as written), int8 (with a scale for each head and token)")
      ->check(CLI::IsMember({"model", "int8"}));
  app.add_option("--max-slice-mem", c.maxSliceMem, "most memory of one slice, such as 20GB")->check(named);
  app.add_option("--dim", c.dims, "NAME=N or NAME=LO..HI: sizes that a dimension can have")->allow_extra_args(false);
  app.add_option("--config", c.config, "config.yaml; the command line wins")->check(named);
  app.add_option("--threads", c.options.threads, "compile on this many threads (default: all)")
      ->check(CLI::Range(0, 1024));
  app.add_option("--diagnostics", c.diagnostics, "text or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}));
}

Status finish(CompileCommand &c) {
  CompileOptions &o = c.options;
  o.precision = c.precision == "fp16"   ? Precision::fp16
                : c.precision == "bf16" ? Precision::bf16
                : c.precision == "fp32" ? Precision::fp32
                                        : Precision::model;
  if (!c.candidates.empty())
    o.candidates = c.candidates == "all" ? Variants::all : c.candidates == "few" ? Variants::few : Variants::one;
  if (!c.sample.empty())
    o.nextToken = c.sample == "greedy" ? import::NextToken::greedy : import::NextToken::drawn;
  Result<QuantFormat> quant = parseQuant(c.quant);
  if (!quant.ok())
    return std::move(quant).status().in("--quant");
  o.quant = *quant;
  o.int8Activations = c.activations == "int8";
  if (o.int8Activations && !o.quant)
    o.quant = QuantFormat::int8();
  if (o.int8Activations && (o.quant.bits != 8 || o.quant.fp8))
    return Status::usage("--activations int8: expected --quant int8 but got '" + c.quant + "'");
  o.quantCaches = c.kvCache == "int8";
  for (auto [given, option] :
       {std::pair(!o.quantExclude.empty(), "--quant-exclude"), std::pair(!c.quantMinSnr.empty(), "--quant-min-snr"),
        std::pair(!o.accuracyReport.empty(), "--accuracy-report")})
    if (given && !o.quant)
      return Status::usage(std::string(option) + ": expected --quant as well");
  for (const std::string &pattern : o.quantExclude)
    if (std::optional<std::string> wrong = NamePatterns::errorIn(pattern))
      return Status::usage("--quant-exclude '" + pattern + "': " + *wrong);
  if (!c.samples.empty() && o.quant.bits != 4)
    return Status::usage("--calibrate: expected --quant int4 as well");
  for (const std::string &sample : c.samples) {
    if (sample.size() < 2 || sample[0] != '@')
      return Status::usage("--calibrate: expected @FILE.npz but got '" + sample + "'");
    o.alsoRead.push_back(sample.substr(1));
  }
  if (!c.samples.empty())
    o.calibrate = [&c](const std::string &artifact) { return measureMoments(artifact, c.samples, c.options.threads); };
  std::vector<std::string> given;
  if (!c.quantMinSnr.empty()) {
    Result<double> decibels = parseDecibels(c.quantMinSnr);
    if (!decibels.ok())
      return Status::usage("--quant-min-snr: " + decibels.status().message());
    o.quantMinSnr = *decibels;
    given.push_back("quant_min_snr");
  }
  if (!c.maxSliceMem.empty()) {
    Result<uint64_t> size = parseSize(c.maxSliceMem);
    if (!size.ok())
      return Status::usage("--max-slice-mem: " + size.status().message());
    o.maxSliceBytes = *size;
    given.push_back("max_slice_mem");
  }
  if (!c.targets.empty()) {
    o.targets.clear();
    for (const std::string &t : c.targets) {
      if (std::find(std::begin(kTargets), std::end(kTargets), t) == std::end(kTargets))
        return Status::usage("--target: unknown target '" + t + "', expected " + listOfTargets(" or "));
    }
    // Older ones first, whose code newer ones need not have again.
    for (const char *t : kTargets)
      if (std::find(c.targets.begin(), c.targets.end(), t) != c.targets.end())
        o.targets.push_back(t);
  }
  // What has no GPU kernel runs on the host, so host code is always there.
  if (std::find(o.targets.begin(), o.targets.end(), "host") == o.targets.end())
    o.targets.push_back("host");
  for (const std::string &d : c.dims) {
    Result<NamedRange> range = parseRange(d);
    if (!range.ok())
      return std::move(range).status().in("--dim");
    o.dims[range->name] = {range->low, range->high};
  }
  if (!c.costModel.empty()) {
    o.alsoRead.push_back(c.costModel);
    if (Status s = readCostModel(c.costModel, o.costModel); !s.ok())
      return std::move(s).in("--cost-model");
  }
  if (c.config.empty())
    return {};
  o.alsoRead.push_back(c.config);
  return readConfig(c.config, o, given);
}

/// One line on standard error, in one piece: threads and other processes write there, too. That it cannot be written is
/// nothing that could be said anywhere; the exit status says the rest.
void print(const Diagnostic &d, bool json) {
  std::string line;
  if (json) {
    nlohmann::json j{{"severity", d.severity}, {"message", d.message}};
    if (!d.node.empty())
      j["node"] = d.node;
    if (!d.op.empty())
      j["op"] = d.op;
    line = j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    line = d.severity + ": " + d.message;
    if (!d.node.empty() || !d.op.empty())
      line += " (node '" + d.node + "'" + (d.op.empty() ? "" : ", " + d.op) + ")";
    line = os::oneLine(line);
  }
  (void)os::writeAll(2, line + "\n");
}

int fail(const Status &status, bool json) {
  print({"error", status.message(), "", ""}, json);
  return status.exitStatus();
}

int runCompile(CompileCommand &c) {
  bool json = c.diagnostics == "json";
  if (Status s = finish(c); !s.ok())
    return fail(s, json);
  CompileEvents events;
  events.diagnostic = [&](const Diagnostic &d) { print(d, json); };
  bool tty = isatty(2) && !json;
  constexpr const char *kClearLine = "\r\033[K";
  if (tty)
    events.progress = [](const std::string &phase, unsigned done, unsigned total) {
      std::string count = total ? " " + std::to_string(done) + "/" + std::to_string(total) : "";
      (void)os::writeAll(2, kClearLine + phase + count);
    };
  Status s = compile(c.input, c.output, c.options, events);
  if (tty)
    (void)os::writeAll(2, kClearLine);
  return s.exitStatus();
}

int runInspect(const InspectOptions &options, const CompileCommand &c) {
  Status s = inspect(options);
  return s.ok() ? 0 : fail(s, c.diagnostics == "json");
}

struct TuneCommand {
  std::string model, output;
  std::vector<std::string> dims;
  exec::LoadOptions load;
};

int runTune(const TuneCommand &t, bool json) {
  exec::TuneOptions options;
  for (const std::string &d : t.dims) {
    Result<NamedRange> range = parseRange(d);
    if (!range.ok())
      return fail(std::move(range).status().in("--dim"), json);
    if (Status s = exec::addTuneDim(options, range->name, range->low, range->high); !s.ok())
      return fail(s, json);
  }
  Status printed;
  Status s = exec::tuneFile(t.model, t.load, options, t.output.empty() ? t.model + ".tune.json" : t.output,
                            [&](const std::string &text) { printed = os::writeOutput(text + "\n"); });
  if (s.ok())
    s = printed;
  return s.ok() ? 0 : fail(s, json);
}

/// What `inspect --schedules` is told of the device and of sizes.
Status parseDevice(const std::string &facts, const std::vector<std::string> &dims, SchedulesOptions &device) {
  for (const std::string &d : dims) {
    Result<NamedRange> range = parseRange(d);
    if (!range.ok())
      return std::move(range).status().in("--dim");
    if (range->low != range->high)
      return Status::usage("--dim: expected one size but got '" + d + "'");
    device.dims[range->name] = range->low;
  }
  return parseFacts(facts, device);
}

void llvmGivesUp(void *, const char *reason, bool) { os::die(reason); }
void llvmLacksMemory(void *, const char *, bool) { os::die("out of memory"); }

/// Sets up the process, parses, runs, and answers the contract's exit status. Exceptions end here.
template <typename Run> int parseAndRun(CLI::App &app, int argc, char **argv, Run run) {
  bool json = os::wantsJson(argc, argv);
  os::prepareProcess(json);
  llvm::install_fatal_error_handler(llvmGivesUp);
  llvm::install_bad_alloc_error_handler(llvmLacksMemory);
  try {
    app.parse(argc, argv);
    return run();
  } catch (const CLI::ParseError &e) {
    std::ostringstream out, err;
    if (app.exit(e, out, err) != 0)
      return fail(Status::usage(std::string(e.what()) + " (" + app.get_name() + " --help says more)"), json);
    Status written = os::writeOutput(out.str());
    return written.ok() ? 0 : fail(written, json);
  } catch (const std::exception &e) {
    return fail(Status::failed(std::string("internal error: ") + e.what()), json);
  }
}

} // namespace

int kt::ktcMain(int argc, char **argv) {
  CLI::App app{"ktc compiles ONNX models ahead of time to one .ktm file for one GPU and the host", "ktc"};
  app.set_version_flag("--version", "ktc " KT_VERSION);
  app.require_subcommand(1);

  CompileCommand c;
  CLI::App *compileApp = app.add_subcommand("compile", "compile an ONNX model to an artifact");
  compileApp->add_option("model", c.input, "the ONNX file")->required();
  compileApp->add_option("-o,--output", c.output, "the artifact to write")->required();
  addCompileOptions(*compileApp, c);
  const char *levels[] = {"no fusion, one kernel variant for all shapes", "fuse; one kernel variant for all shapes",
                          "everything (the same as -O3 at present)", "everything: variants by shape (default)"};
  // Callbacks: CLI11 sets an integer to zero, not to its default, when its flag is not given.
  for (int level = 0; level <= 3; ++level)
    compileApp->add_flag_callback(
        "--O" + std::to_string(level), [&c, level] { c.options.optLevel = level; }, levels[level]);
  compileApp
      ->add_option("--candidates", c.candidates,
                   "variants of each kernel: one for all shapes, few that may win, or all, to be measured")
      ->check(CLI::IsMember({"one", "few", "all"}));
  CLI::Option *sample =
      compileApp
          ->add_option(
              "--sample", c.sample,
              "an output next_token: greedy, the likeliest token behind each, or drawn, one behind the last as "
              "inputs sampling.* say")
          ->check(CLI::IsMember({"greedy", "drawn"}));
  compileApp->add_option("--logits", c.options.logits, "with --sample: the output that tokens are chosen from (logits)")
      ->check(named)
      ->needs(sample);
  compileApp->add_option("--cost-model", c.costModel, "numbers of the model of cost, in place of those built in")
      ->check(named);
  compileApp->add_option("--compile-to", c.options.compileTo, "stop after a phase and write its IR")
      ->check(CLI::IsMember(phaseNames()));
  compileApp->add_option("--dump-phases", c.options.dumpPhases, "write the IR after each phase into this folder")
      ->check(named);

  InspectOptions inspect;
  CLI::App *inspectApp = app.add_subcommand("inspect", "show what an artifact holds");
  inspectApp->add_option("model", inspect.path, "the artifact")->required();
  inspectApp->add_option("--format", inspect.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  inspectApp->add_option("--extract", inspect.extract, "write every kernel and the program as text into this folder")
      ->check(named);
  std::string facts;
  std::vector<std::string> inspectDims;
  inspectApp->add_flag("--schedules", inspect.schedules, "show what each variant costs and which one launches get");
  inspectApp->add_option("--facts", facts, "with --schedules: the device, sm=N,shared=N,capability=N,l2=N");
  inspectApp->add_option("--dim", inspectDims, "with --schedules: NAME=N, a size")->allow_extra_args(false);
  inspectApp->add_option("--diagnostics", c.diagnostics, "text or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}));

  TuneCommand tune;
  CLI::App *tuneApp = app.add_subcommand("tune", "measure every variant of an artifact's kernels on this machine");
  tuneApp->add_option("model", tune.model, "the artifact")->required();
  tuneApp->add_option("-o,--output", tune.output, "the times, for ktrun --tuning (default: MODEL.tune.json)")
      ->check(named);
  tuneApp->add_option("--device", tune.load.device, "auto, host or cuda:N");
  tuneApp->add_option("--dim", tune.dims, "NAME=N, a size; several of one name are measured one after the other")
      ->allow_extra_args(false);
  tuneApp->add_option("--threads", tune.load.threads, "threads of the host's pool; all unless given")
      ->check(CLI::Range(0, 1024));
  tuneApp->add_option("--diagnostics", c.diagnostics, "text or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}));

  // -O0 to -O3 in the usual spelling, which CLI11 would read as four bundled flags.
  std::vector<std::string> spelled(argv, argv + argc);
  for (std::string &s : spelled)
    if (s.size() == 3 && s.compare(0, 2, "-O") == 0 && s[2] >= '0' && s[2] <= '3')
      s = "--O" + s.substr(2);
  std::vector<char *> args;
  for (std::string &s : spelled)
    args.push_back(s.data());
  return parseAndRun(app, (int)args.size(), args.data(), [&] {
    if (*tuneApp)
      return runTune(tune, c.diagnostics == "json");
    if (!*inspectApp)
      return runCompile(c);
    Status s = parseDevice(facts, inspectDims, inspect.device);
    return s.ok() ? runInspect(inspect, c) : fail(s, c.diagnostics == "json");
  });
}

int kt::convertMain(int argc, char **argv) {
  CLI::App app{"ktransformers-convert turns an ONNX model into an optimised artifact", "ktransformers-convert"};
  CompileCommand c;
  app.add_option("--input", c.input, "the ONNX file")->required();
  app.add_option("--output", c.output, "the artifact to write")->required();
  addCompileOptions(app, c);
  return parseAndRun(app, argc, argv, [&] { return runCompile(c); });
}
