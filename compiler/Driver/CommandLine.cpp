//===- CommandLine.cpp - options of ktc and ktransformers-convert ---------===//

#include "compiler/Driver/CommandLine.h"
#include "compiler/Driver/Inspect.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

using namespace kt;

namespace {

constexpr const char *kTargets[] = {"sm_80", "sm_86", "sm_89", "sm_90", "sm_120", "host"};

/// "sm_80, ... <last>host"
std::string listOfTargets(const std::string &last) {
  std::string list;
  for (const char *t : kTargets)
    list += (list.empty() ? "" : t == *std::prev(std::end(kTargets)) ? last : ", ") + std::string(t);
  return list;
}

struct CompileCommand {
  std::string input, output, precision = "model", quant = "none", maxSliceMem, config, diagnostics = "text";
  std::vector<std::string> targets, dims;
  CompileOptions options;
};

/// The options that both tools have.
void addCompileOptions(CLI::App &app, CompileCommand &c) {
  app.add_option("--target", c.targets, "targets in the artifact: " + listOfTargets(", ") + " (default sm_89, host)")
      ->allow_extra_args(false)
      ->delimiter(',');
  app.add_option("--precision", c.precision, "compute in: model (as written), fp16, bf16, fp32")
      ->check(CLI::IsMember({"model", "fp16", "bf16", "fp32"}));
  app.add_option("--quant", c.quant, "store weights as: none, int8")->check(CLI::IsMember({"none", "int8"}));
  app.add_option("--max-slice-mem", c.maxSliceMem, "most memory of one slice, such as 20GB");
  app.add_option("--dim", c.dims, "NAME=N or NAME=LO..HI: sizes that a dimension can have")->allow_extra_args(false);
  app.add_option("--config", c.config, "config.yaml; the command line wins");
  app.add_option("--threads", c.options.threads, "compile on this many threads (default: all)");
  app.add_option("--diagnostics", c.diagnostics, "text or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}));
}

Status finish(CompileCommand &c) {
  CompileOptions &o = c.options;
  o.precision = c.precision == "fp16"   ? Precision::fp16
                : c.precision == "bf16" ? Precision::bf16
                : c.precision == "fp32" ? Precision::fp32
                                        : Precision::model;
  o.quant = c.quant == "int8" ? Quant::int8 : Quant::none;
  std::vector<std::string> given;
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
      if (std::find(o.targets.begin(), o.targets.end(), t) == o.targets.end())
        o.targets.push_back(t);
    }
  }
  // What has no GPU kernel runs on the host, so host code is always there.
  if (std::find(o.targets.begin(), o.targets.end(), "host") == o.targets.end())
    o.targets.push_back("host");
  for (const std::string &d : c.dims) {
    size_t eq = d.find('='), dots = d.find("..", eq);
    int64_t low = 0, high = 0;
    try {
      if (eq == std::string::npos || eq == 0)
        throw std::invalid_argument(d);
      size_t used = 0;
      low = high = std::stoll(d.substr(eq + 1), &used);
      size_t end = eq + 1 + used;
      if (dots != std::string::npos && dots == end) {
        high = std::stoll(d.substr(dots + 2), &used);
        end = dots + 2 + used;
      }
      if (end != d.size())
        throw std::invalid_argument(d);
    } catch (const std::exception &) {
      return Status::usage("--dim: expected NAME=N or NAME=LO..HI but got '" + d + "'");
    }
    if (low < 0 || high < low)
      return Status::usage("--dim: expected 0 <= LO <= HI but got '" + d + "'");
    o.dims[d.substr(0, eq)] = {low, high};
  }
  if (!c.config.empty())
    return readConfig(c.config, o, given);
  return {};
}

void print(const Diagnostic &d, bool json) {
  if (json) {
    nlohmann::json j{{"severity", d.severity}, {"message", d.message}};
    if (!d.node.empty())
      j["node"] = d.node;
    if (!d.op.empty())
      j["op"] = d.op;
    std::cerr << j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  std::cerr << d.severity << ": " << d.message;
  if (!d.node.empty() || !d.op.empty())
    std::cerr << " (node '" << d.node << "'" << (d.op.empty() ? "" : ", " + d.op) << ")";
  std::cerr << "\n";
}

int runCompile(CompileCommand &c) {
  bool json = c.diagnostics == "json";
  if (Status s = finish(c); !s.ok()) {
    print({"error", s.message(), "", ""}, json);
    return s.exitStatus();
  }
  CompileEvents events;
  events.diagnostic = [&](const Diagnostic &d) { print(d, json); };
  bool tty = isatty(2) && !json;
  if (tty)
    events.progress = [](const std::string &phase, unsigned done, unsigned total) {
      std::cerr << "\r\033[K" << phase;
      if (total)
        std::cerr << " " << done << "/" << total;
      std::cerr << std::flush;
    };
  Status s = compile(c.input, c.output, c.options, events);
  if (tty)
    std::cerr << "\r\033[K";
  return s.exitStatus();
}

/// Parses and maps CLI11's own statuses to the contract's: 0 for help, 2 for wrong usage.
template <typename Run> int parseAndRun(CLI::App &app, int argc, char **argv, Run run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return run();
}

} // namespace

int kt::ktcMain(int argc, char **argv) {
  CLI::App app{"ktc compiles ONNX models ahead of time to one .ktm file for one GPU and the host"};
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
  compileApp->add_option("--compile-to", c.options.compileTo, "stop after a phase and write its IR")
      ->check(CLI::IsMember(phaseNames()));
  compileApp->add_option("--dump-phases", c.options.dumpPhases, "write the IR after each phase into this folder");

  InspectOptions inspect;
  CLI::App *inspectApp = app.add_subcommand("inspect", "show what an artifact holds");
  inspectApp->add_option("model", inspect.path, "the artifact")->required();
  inspectApp->add_option("--format", inspect.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  inspectApp->add_option("--extract", inspect.extract, "write every kernel and the program as text into this folder");

  // -O0 to -O3 in the usual spelling, which CLI11 would read as four bundled flags.
  std::vector<std::string> spelled(argv, argv + argc);
  for (std::string &s : spelled)
    if (s.size() == 3 && s.compare(0, 2, "-O") == 0 && s[2] >= '0' && s[2] <= '3')
      s = "--O" + s.substr(2);
  std::vector<char *> args;
  for (std::string &s : spelled)
    args.push_back(s.data());
  return parseAndRun(app, (int)args.size(), args.data(),
                     [&] { return *inspectApp ? runInspect(inspect) : runCompile(c); });
}

int kt::convertMain(int argc, char **argv) {
  CLI::App app{"ktransformers-convert turns an ONNX model into an optimised artifact"};
  CompileCommand c;
  app.add_option("--input", c.input, "the ONNX file")->required();
  app.add_option("--output", c.output, "the artifact to write")->required();
  addCompileOptions(app, c);
  return parseAndRun(app, argc, argv, [&] { return runCompile(c); });
}
