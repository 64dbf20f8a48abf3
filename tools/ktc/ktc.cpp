//===- ktc.cpp - the compiler's command line ------------------------------===//

#include "compiler/Driver/CommandLine.h"

int main(int argc, char **argv) { return kt::ktcMain(argc, argv); }
