//===- main.cpp - ktrun ---------------------------------------------------===//

#include "runtime/os/Process.h"
#include "tools/ktrun/Generate.h"
#include "tools/ktrun/Run.h"

#include <string_view>

int main(int argc, char **argv) {
  kt::os::prepareProcess(/*json=*/false);
  if (argc > 1 && std::string_view(argv[1]) == "generate")
    return ktrun::generate(argc - 1, argv + 1);
  return ktrun::run(argc, argv);
}
