//===- CommandLine.h - what all commands of ktrun have in common ----------===//

#ifndef KT_TOOLS_KTRUN_COMMANDLINE_H
#define KT_TOOLS_KTRUN_COMMANDLINE_H

#include "kt/Runtime.h"

#include <functional>

namespace CLI {
class App;
class Validator;
} // namespace CLI

namespace ktrun {

/// Where and how a model runs, and what is told of it.
struct RunArguments {
  std::string device = "auto", memory, tuning, trace, numerics;
  unsigned threads = 0;
  bool noGraphs = false, stats = false;

  /// Code::usage where the memory is no size.
  kt::Result<kt::Options> options() const;
  kt::CheckNumerics checkNumerics() const;
};

/// Of the names of files and such: an empty one is a variable that was not set, and taking it for no option at all
/// would lose what was asked for.
CLI::Validator named();

/// --device, --device-memory, --threads, --tuning, --no-graphs, --check-numerics, --profile and --stats.
void addRunOptions(CLI::App &app, RunArguments &arguments);

/// Writes what --check-numerics has to say of what a session was given, however its runs end.
class NumericsWarnings {
public:
  explicit NumericsWarnings(const kt::Session &session) : session(session) {}
  ~NumericsWarnings();
  NumericsWarnings(const NumericsWarnings &) = delete;
  NumericsWarnings &operator=(const NumericsWarnings &) = delete;

private:
  const kt::Session &session;
};

/// Parses, then runs; answers the exit status. Messages are written; those about the command line name `help`, which
/// says more.
int runCommand(CLI::App &app, int argc, char **argv, const std::string &help, const std::function<kt::Status()> &run);

} // namespace ktrun

#endif
