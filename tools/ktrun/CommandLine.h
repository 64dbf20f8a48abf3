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
  std::string device = "auto", memory, tuning, trace;
  unsigned threads = 0;
  bool noGraphs = false, stats = false;

  /// Code::usage where the memory is no size.
  kt::Result<kt::Options> options() const;
};

/// Of the names of files and such: an empty one is a variable that was not set, and taking it for no option at all
/// would lose what was asked for.
CLI::Validator named();

/// --device, --device-memory, --threads, --tuning, --no-graphs, --profile and --stats.
void addRunOptions(CLI::App &app, RunArguments &arguments);

/// Parses, then runs; answers the exit status. Messages are written; those about the command line name `help`, which
/// says more.
int runCommand(CLI::App &app, int argc, char **argv, const std::string &help, const std::function<kt::Status()> &run);

} // namespace ktrun

#endif
