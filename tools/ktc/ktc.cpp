//===- ktc.cpp - the compiler's command line ------------------------------===//
//
// Called by the name of ktransformers-convert it is that: a distribution carries one compiler and a link.
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/CommandLine.h"
#include <string_view>

int main(int argc, char **argv) {
  std::string_view name = argv[0];
  name.remove_prefix(name.rfind('/') + 1);
  return name == "ktransformers-convert" ? kt::convertMain(argc, argv) : kt::ktcMain(argc, argv);
}
