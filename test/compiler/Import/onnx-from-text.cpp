//===- onnx-from-text.cpp - ONNX's textual syntax to a model file ---------===//
//
// onnx-from-text FILE.test OUT.onnx. Lines that begin with '#' are left out, so that a lit test can carry its model.
// Nothing is checked: tests want wrong models too.
//
//===----------------------------------------------------------------------===//

#include <onnx/defs/parser.h>

#include <fstream>
#include <iostream>
#include <sstream>

int main(int argc, char **argv) {
  if (argc != 3) {
    std::cerr << "usage: onnx-from-text FILE OUT.onnx\n";
    return 2;
  }
  std::ifstream in(argv[1]);
  std::string line, text;
  while (std::getline(in, line))
    text += (line.starts_with("#") ? "" : line) + "\n";
  if (text.empty()) {
    std::cerr << "error: cannot read '" << argv[1] << "'\n";
    return 1;
  }
  onnx::ModelProto model;
  onnx::OnnxParser parser(text.c_str());
  if (auto status = parser.Parse(model); !status.IsOK()) {
    std::cerr << argv[1] << ": " << status.ErrorMessage() << "\n";
    return 1;
  }
  std::ofstream out(argv[2], std::ios::binary);
  if (!model.SerializeToOstream(&out) || !out.flush()) {
    std::cerr << "error: cannot write '" << argv[2] << "'\n";
    return 1;
  }
  return 0;
}
