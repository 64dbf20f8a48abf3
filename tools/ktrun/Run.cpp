//===- Run.cpp - ktrun MODEL ----------------------------------------------===//
//
// Runs a compiled model, or measures it, from the command line.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Run.h"
#include "runtime/exec/Tuner.h"
#include "runtime/os/OutputFile.h"
#include "runtime/os/Thread.h"
#include "runtime/text/Grammar.h"
#include "tools/ktrun/Benchmark.h"
#include "tools/ktrun/CommandLine.h"
#include "tools/ktrun/Compare.h"
#include "tools/ktrun/Inputs.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>

namespace ktrun {

namespace {

struct Arguments : RunArguments {
  std::string model, expected, format = "text", tune;
  std::vector<std::string> inputs, outputs, dims, carry;
  std::optional<double> atol, rtol;
  double seconds = 0, timeout = 0;
  uint64_t iterations = 1, queued = 1;
  bool benchmark = false, resident = false;
};

kt::Status printOutputs(std::span<const kt::TensorView> outputs) {
  std::string text;
  for (const kt::TensorView &output : outputs) {
    std::string dims;
    for (int64_t dim : output.dims)
      dims += (dims.empty() ? "" : ", ") + std::to_string(dim);
    text += "'" + output.name + "' " + kt::name(output.type) + "[" + dims + "]\n";
  }
  return kt::os::writeOutput(text);
}

/// No output may be what is read, or another output.
kt::Status checkFiles(const Arguments &arguments) {
  kt::os::KeptFiles kept;
  kept.add(arguments.model);
  if (!arguments.tuning.empty())
    kept.add(arguments.tuning);
  for (const std::string &file : filesOf(arguments.inputs))
    kept.add(file);
  if (!arguments.expected.empty())
    kept.add(arguments.expected.substr(arguments.expected[0] == '@'));
  std::vector<std::string> outputs = filesOf(arguments.outputs);
  if (!arguments.trace.empty())
    outputs.push_back(arguments.trace);
  KT_RETURN_IF_ERROR(kept.mayWrite("/dev/stdout"));
  return kept.mayWriteAll(outputs);
}

/// Cancels a session's run that takes too long; a loop may have no end.
class Deadline {
public:
  /// `seconds` 0: none.
  Deadline(kt::Session &session, double seconds) {
    if (seconds <= 0)
      return;
    auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::min(seconds, 1e9));
    watcher = kt::os::Thread::start([this, &session, end] {
      std::unique_lock lock(mutex);
      if (!changed.wait_until(lock, end, [this] { return over; })) {
        expired = true;
        session.cancel();
      }
    });
    impossible = !watcher;
  }
  ~Deadline() { (void)end({}); }
  /// The outcome of what had to end in time.
  kt::Status end(kt::Status outcome) {
    {
      std::lock_guard lock(mutex);
      over = true;
    }
    changed.notify_all();
    watcher.reset();
    return outcome.ok() || !expired ? std::move(outcome) : kt::Status::failed("no result in time (--timeout)");
  }
  bool impossible = false;

private:
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false, expired = false;
  std::unique_ptr<kt::os::Thread> watcher;
};

/// Measures instead of running.
kt::Status tune(const Arguments &arguments) {
  kt::exec::LoadOptions load;
  load.device = arguments.device;
  load.threads = arguments.threads;
  kt::exec::TuneOptions options;
  for (const std::string &text : arguments.dims) {
    auto range = kt::parseRange(text);
    if (!range.ok())
      return std::move(range).status().in("--dim");
    KT_RETURN_IF_ERROR(kt::exec::addTuneDim(options, range->name, range->low, range->high));
  }
  kt::Status printed;
  kt::Status status = kt::exec::tuneFile(arguments.model, load, options, arguments.tune,
                                         [&](const std::string &text) { printed = kt::os::writeOutput(text + "\n"); });
  return status.ok() ? printed : status;
}

kt::Status run(const Arguments &arguments) {
  auto options = arguments.options();
  if (!options.ok())
    return std::move(options).status();
  KT_RETURN_IF_ERROR(checkFiles(arguments));
  auto model = kt::Model::load(arguments.model, *options);
  if (!model.ok())
    return std::move(model).status();
  KT_RETURN_IF_ERROR(checkOutputSpecs(**model, arguments.outputs));
  auto inputs = gatherInputs(**model, arguments.inputs);
  if (!inputs.ok())
    return std::move(inputs).status();
  auto session = (*model)->createSession({.checkNumerics = arguments.checkNumerics()});
  if (!session.ok())
    return std::move(session).status();
  NumericsWarnings warnings(**session);
  auto carries = parseCarries(**model, arguments.carry);
  if (!carries.ok())
    return std::move(carries).status();
  (*session)->profile(!arguments.trace.empty());
  {
    Deadline deadline(**session, arguments.timeout);
    if (deadline.impossible)
      return kt::Status::failed("cannot start a thread for --timeout");
    if (arguments.iterations == 1) {
      KT_RETURN_IF_ERROR(deadline.end((*session)->run(inputs->views)));
    } else {
      auto iterations = Iterations::create(**model, **session, inputs->views, *carries, false);
      if (!iterations.ok())
        return std::move(iterations).status();
      KT_RETURN_IF_ERROR(deadline.end((*iterations)->run(arguments.iterations)));
    }
  }
  KT_RETURN_IF_ERROR(writeOutputs((*session)->outputs(), arguments.outputs));
  if (!arguments.trace.empty())
    KT_RETURN_IF_ERROR(writeTrace(**session, arguments.trace));
  (*session)->profile(false);

  kt::Status outcome;
  if (!arguments.expected.empty())
    outcome = compareOutputs((*session)->outputs(), arguments.expected.substr(arguments.expected[0] == '@'),
                             {arguments.atol, arguments.rtol});
  else if (!arguments.benchmark && arguments.outputs.empty())
    outcome = printOutputs((*session)->outputs());
  if (arguments.benchmark && (outcome.ok() || outcome.code() == kt::Code::differs)) {
    std::string name = arguments.model.substr(arguments.model.rfind('/') + 1);
    KT_RETURN_IF_ERROR(benchmark(**model, **session, inputs->views, name.substr(0, name.rfind('.')),
                                 {arguments.seconds, arguments.resident, arguments.format == "json", *carries,
                                  arguments.iterations, arguments.queued}));
  }
  if (arguments.stats)
    if (kt::Status printed = printStats(**model, **session); !printed.ok())
      return kt::Status::failed("cannot write standard error: " + printed.message());
  return outcome;
}

} // namespace

int run(int argc, char **argv) {
  Arguments a;
  CLI::App app("Runs a compiled model (.ktm). `ktrun generate` has a language model write.", "ktrun");
  CLI::Validator positive(
      [](std::string &text) {
        double value = 0;
        bool ok = CLI::detail::lexical_cast(text, value) && std::isfinite(value) && value >= 0;
        return ok ? "" : "expected a number of at least 0 but got '" + text + "'";
      },
      "NUMBER");
  app.add_option("model", a.model, "the artifact")->required();
  addRunOptions(app, a);
  // One value an option: names may begin with anything, and the model's path may follow.
  app.add_option("--input", a.inputs, "NAME=@x.npy, @all.npz or NAME=2x3xf32=1.5")->expected(1)->take_all();
  app.add_option("--output", a.outputs, "@out.npz or NAME=@y.npy")->expected(1)->take_all();
  app.add_option("--expected", a.expected, "@outputs.npz to compare with")->check(named());
  app.add_option("--atol", a.atol, "absolute tolerance; 1e-4 * max(1, max|expected|) unless given")->check(positive);
  app.add_option("--rtol", a.rtol, "relative tolerance; 1e-3 unless given")->check(positive);
  auto *benchmark =
      app.add_option("--benchmark", a.seconds, "measure, for so many seconds (2)")->expected(0, 1)->check(positive);
  benchmark->default_str("2");
  app.add_flag("--resident", a.resident, "measure with inputs and outputs in memory of the device");
  app.add_option("--carry", a.carry,
                 "OUTPUT=INPUT: each iteration's output is the next one's input, and stays on the device; may be "
                 "repeated")
      ->expected(1)
      ->take_all();
  app.add_option(
         "--iterations", a.iterations,
         "run so many times (1); outputs are those of the last. With --benchmark each is measured, and the first "
         "follows the last")
      ->check(CLI::Range(uint64_t(1), uint64_t(1) << 40));
  app.add_option("--queue", a.queued,
                 "with --benchmark and --resident or --carry: so many runs (1) are enqueued before they are waited for")
      ->check(CLI::Range(uint64_t(1), uint64_t(1) << 16));
  app.add_option("--benchmark-format", a.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--timeout", a.timeout, "fail where the run takes more seconds than this")->check(positive);
  auto *tuneTo = app.add_option("--tune", a.tune, "do not run but measure every variant, and write the times here")
                     ->check(named());
  app.add_option("--dim", a.dims, "with --tune: NAME=N, a size; several of one name are measured one after the other")
      ->expected(1)
      ->take_all()
      ->needs(tuneTo);
  return runCommand(app, argc, argv, "ktrun --help", [&] {
    a.benchmark = benchmark->count() > 0;
    if (a.benchmark && a.seconds <= 0)
      a.seconds = 2;
    return a.tune.empty() ? run(a) : tune(a);
  });
}

} // namespace ktrun
