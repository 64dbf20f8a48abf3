//===- PackageTest.cpp - kernels compiled side by side --------------------===//

#include "codegen/Package/Package.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace kt;

namespace {

/// A kernel that the host has no code for: a division of 128 bits is a library's.
std::string kernel(const std::string &name, const std::string &node) {
  std::string t = "!kt.tensor<[8] x f32>";
  return "kt.kernel @" + name + " [] attributes {candidates = [#kt.candidate<\"host-v3\" \"host\" {}>]} computes {\n^bb0(%x: " + t + "):\n%r = kt.generic ins(%x : " + t + ") -> " + t +
         " {\n^bb0(%X: " + t + ", %i: index):\n%0 = kt.read %X[%i] : " + t +
         " -> f32\n%1 = arith.fptosi %0 : f32 to i64\n%2 = arith.extsi %1 : i64 to i128\n%3 = arith.divsi %2, %2 : "
         "i128\n"
         "%4 = arith.trunci %3 : i128 to i64\n%5 = arith.sitofp %4 : i64 to f32\nkt.yield %5 : f32\n} loc(\"" +
         node + "\")\nkt.yield %r : " + t + "\n}\n";
}

/// What is said while a module of these kernels fails to be packaged.
std::vector<std::string> errorsOf(const std::vector<std::string> &kernels, unsigned threads) {
  mlir::MLIRContext context;
  codegen::loadCodegenDialects(context);
  context.loadDialect<mlir::func::FuncDialect>();
  std::string t = "!kt.tensor<[8] x f32>",
              text = "func.func @main(%v0: " + t + " {kt.name = \"x\"}) -> (" + t + " {kt.name = \"y\"}) {\n";
  for (size_t i = 0; i < kernels.size(); ++i)
    text += "%v" + std::to_string(i + 1) + " = kt.launch @" + kernels[i] + " ins(%v" + std::to_string(i) + " : " + t +
            ") ints [] {kt.slice = 0 : i64} -> " + t + "\n";
  text += "return %v" + std::to_string(kernels.size()) + " : " + t + "\n}\n";
  for (const std::string &name : kernels)
    text += kernel(name, "node " + name);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return {"the text is wrong"};
  std::vector<std::string> said;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &d) {
    std::string text;
    llvm::raw_string_ostream(text) << d.getLocation() << ": " << d.str();
    said.push_back(std::move(text));
    return mlir::success();
  });
  codegen::PackageOptions options;
  options.targets = {"host"};
  options.threads = threads;
  EXPECT_TRUE(mlir::failed(codegen::package(*module, options)));
  return said;
}

TEST(Package, kernels_that_fail_give_one_error) {
  for (unsigned threads : {1u, 4u})
    for (int round = 0; round < 5; ++round) {
      std::vector<std::string> said = errorsOf({"a", "b", "c", "d"}, threads);
      ASSERT_EQ(said.size(), 1u);
      EXPECT_NE(said[0].find("node a"), std::string::npos) << said[0];
    }
}

} // namespace
