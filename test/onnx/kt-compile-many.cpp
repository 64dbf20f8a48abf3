//===- kt-compile-many.cpp - compiles many models in one process ----------===//
//
// kt-compile-many [TARGET]...: each line of standard input names a model and an artifact, with a tab between them. Each
// is answered by a line: "ok", or "failed", a tab and the first error as ktc prints it. Starting ktc takes longer than
// compiling one of ONNX's node tests, of which there are thousands.
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/Driver.h"
#include "runtime/os/Process.h"

#include <iostream>

int main(int argc, char **argv) {
  kt::os::prepareProcess(/*json=*/false);
  kt::CompileOptions options;
  options.threads = 1; // the caller has a process for each core
  if (argc > 1)
    options.targets.assign(argv + 1, argv + argc);
  for (std::string line; std::getline(std::cin, line);) {
    size_t tab = line.find('\t');
    if (tab == std::string::npos) {
      std::cerr << "usage: kt-compile-many [TARGET]... with lines of MODEL, a tab, ARTIFACT as its input\n";
      return 2;
    }
    std::string error;
    kt::CompileEvents events;
    events.diagnostic = [&](const kt::Diagnostic &d) {
      if (d.severity != "error" || !error.empty())
        return;
      error = d.message;
      if (!d.node.empty() || !d.op.empty())
        error += " (node '" + d.node + "'" + (d.op.empty() ? "" : ", " + d.op) + ")";
    };
    kt::Status status = kt::compile(line.substr(0, tab), line.substr(tab + 1), options, events);
    std::cout << (status.ok() ? "ok" : "failed\t" + kt::os::oneLine(error)) << std::endl;
  }
  return 0;
}
