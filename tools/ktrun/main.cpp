//===- main.cpp - ktrun ---------------------------------------------------===//
//
// Runs a compiled model from the command line.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Benchmark.h"
#include "tools/ktrun/Compare.h"
#include "tools/ktrun/Inputs.h"

#include <CLI/CLI.hpp>

namespace {

struct Arguments {
  std::string model, device = "auto", expected, memory, format = "text", trace;
  std::vector<std::string> inputs, outputs;
  std::optional<double> atol, rtol;
  double seconds = 0;
  unsigned threads = 0;
  bool benchmark = false, stats = false, noGraphs = false, resident = false;
};

void printOutputs(std::span<const kt::TensorView> outputs) {
  for (const kt::TensorView &output : outputs) {
    std::string dims;
    for (int64_t dim : output.dims)
      dims += (dims.empty() ? "" : ", ") + std::to_string(dim);
    std::printf("'%s' %s[%s]\n", output.name.c_str(), kt::name(output.type), dims.c_str());
  }
}

kt::Status run(const Arguments &arguments) {
  kt::Options options;
  options.device = arguments.device;
  options.threads = arguments.threads;
  options.cudaGraphs = !arguments.noGraphs;
  if (!arguments.memory.empty()) {
    auto bytes = ktrun::parseSize(arguments.memory);
    if (!bytes || *bytes == 0)
      return kt::Status::usage("--device-memory '" + arguments.memory + "': expected a size such as 24GB or 512MiB");
    options.deviceMemory = *bytes;
  }
  auto model = kt::Model::load(arguments.model, options);
  if (!model.ok())
    return std::move(model).status();
  KT_RETURN_IF_ERROR(ktrun::checkOutputSpecs(**model, arguments.outputs));
  auto inputs = ktrun::gatherInputs(**model, arguments.inputs);
  if (!inputs.ok())
    return std::move(inputs).status();
  auto session = (*model)->createSession();
  if (!session.ok())
    return std::move(session).status();
  (*session)->profile(!arguments.trace.empty());
  KT_RETURN_IF_ERROR((*session)->run(inputs->views));
  KT_RETURN_IF_ERROR(ktrun::writeOutputs((*session)->outputs(), arguments.outputs));
  if (!arguments.trace.empty())
    KT_RETURN_IF_ERROR(ktrun::writeTrace(**session, arguments.trace));
  (*session)->profile(false);

  kt::Status outcome;
  if (!arguments.expected.empty())
    outcome = ktrun::compareOutputs((*session)->outputs(), arguments.expected.substr(arguments.expected[0] == '@'),
                                    {arguments.atol, arguments.rtol});
  else if (!arguments.benchmark && arguments.outputs.empty())
    printOutputs((*session)->outputs());
  if (arguments.benchmark && (outcome.ok() || outcome.code() == kt::Code::differs)) {
    std::string name = arguments.model.substr(arguments.model.rfind('/') + 1);
    KT_RETURN_IF_ERROR(ktrun::benchmark(**model, **session, inputs->views, name.substr(0, name.rfind('.')),
                                        arguments.seconds, arguments.resident, arguments.format == "json"));
  }
  if (arguments.stats)
    ktrun::printStats(**model, **session);
  return outcome;
}

} // namespace

int main(int argc, char **argv) {
  Arguments a;
  CLI::App app("Runs a compiled model (.ktm).", "ktrun");
  app.add_option("model", a.model, "the artifact")->required();
  app.add_option("--device", a.device, "auto, host or cuda:N");
  // One value an option: names may begin with anything, and the model's path may follow.
  app.add_option("--input", a.inputs, "NAME=@x.npy, @all.npz or NAME=2x3xf32=1.5")->expected(1)->take_all();
  app.add_option("--output", a.outputs, "@out.npz or NAME=@y.npy")->expected(1)->take_all();
  app.add_option("--expected", a.expected, "@outputs.npz to compare with");
  app.add_option("--atol", a.atol, "absolute tolerance; 1e-4 * max(1, max|expected|) unless given");
  app.add_option("--rtol", a.rtol, "relative tolerance; 1e-3 unless given");
  app.add_option("--device-memory", a.memory, "bytes of device memory for weights, such as 24GB; the rest is streamed");
  auto *benchmark = app.add_option("--benchmark", a.seconds, "measure, for so many seconds (2)")->expected(0, 1);
  benchmark->default_str("2");
  app.add_flag("--resident", a.resident, "measure with inputs and outputs left on the device");
  app.add_option("--benchmark-format", a.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--profile", a.trace, "write a Chrome trace of one run's launches");
  app.add_option("--threads", a.threads, "threads of the host's pool; all unless given");
  app.add_flag("--stats", a.stats, "print counters to standard error");
  app.add_flag("--no-graphs", a.noGraphs, "never record repeated runs as graphs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(kt::Code::usage);
  }
  a.benchmark = benchmark->count() > 0;
  if (a.benchmark && a.seconds <= 0)
    a.seconds = 2;
  kt::Status status = run(a);
  if (!status.ok())
    std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return status.exitStatus();
}
