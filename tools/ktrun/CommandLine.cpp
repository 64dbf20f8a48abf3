//===- CommandLine.cpp - what all commands of ktrun have in common --------===//

#include "tools/ktrun/CommandLine.h"
#include "runtime/os/OutputFile.h"
#include "runtime/os/Process.h"
#include "runtime/text/Grammar.h"

#include <CLI/CLI.hpp>
#include <sstream>

namespace ktrun {

using kt::Status;

kt::Result<kt::Options> RunArguments::options() const {
  kt::Options options;
  options.device = device;
  options.threads = threads;
  options.cudaGraphs = !noGraphs;
  options.tuning = tuning;
  if (!memory.empty()) {
    auto bytes = kt::parseSize(memory);
    if (!bytes.ok())
      return std::move(bytes).status().in("--device-memory '" + memory + "'");
    options.deviceMemory = *bytes;
  }
  return options;
}

kt::CheckNumerics RunArguments::checkNumerics() const {
  if (numerics.empty())
    return kt::CheckNumerics::none;
  return numerics == "all" ? kt::CheckNumerics::all : kt::CheckNumerics::faults;
}

NumericsWarnings::~NumericsWarnings() {
  for (const std::string &text : session.numericsWarnings())
    (void)kt::os::writeAll(2, "warning: " + kt::os::oneLine(text) + "\n");
}

CLI::Validator named() {
  return CLI::Validator([](std::string &text) { return text.empty() ? "expected a name but got ''" : ""; }, "");
}

void addRunOptions(CLI::App &app, RunArguments &a) {
  app.add_option("--device", a.device, "auto, host or cuda:N");
  app.add_option("--device-memory", a.memory, "bytes of device memory for weights, such as 24GB; the rest is streamed")
      ->check(named());
  app.add_option("--threads", a.threads, "threads of the host's pool; all unless given")->check(CLI::Range(0, 1024));
  app.add_option("--tuning", a.tuning, "measured times, by which variants are chosen")->check(named());
  app.add_flag("--no-graphs", a.noGraphs, "never record repeated runs as graphs");
  // A flag, so that the model's path may follow it.
  app.add_flag("--check-numerics{faults}", a.numerics,
               "fail at the first node that makes a NaN or an infinity out of finite numbers; minus infinity, which "
               "masks are made of, counts with --check-numerics=all. Slow")
      ->check(CLI::IsMember({"faults", "all"}));
  app.add_option("--profile", a.trace, "write a Chrome trace of the launches")->check(named());
  app.add_flag("--stats", a.stats, "print counters to standard error");
}

int runCommand(CLI::App &app, int argc, char **argv, const std::string &help, const std::function<Status()> &run) {
  auto statusOf = [](const Status &status) {
    if (!status.ok())
      (void)kt::os::writeAll(2, "error: " + kt::os::oneLine(status.message()) + "\n");
    return status.exitStatus();
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    std::ostringstream out, err;
    if (app.exit(error, out, err) == 0)
      return statusOf(kt::os::writeOutput(out.str()));
    return statusOf(Status::usage(std::string(error.what()) + " (" + help + " says more)"));
  }
  return statusOf(run());
}

} // namespace ktrun
