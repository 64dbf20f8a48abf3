//===- NamePatternsTest.cpp -----------------------------------------------===//

#include "passes/Precision/NamePatterns.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace kt;

namespace {

/// As the importer has them: a node's name over its operator's.
Location node(Builder &b, StringRef name) {
  return NameLoc::get(b.getStringAttr(name), NameLoc::get(b.getStringAttr("MatMul, opset 17")));
}

TEST(NamePatterns, NodesOfFusedOpsAndWeights) {
  MLIRContext context;
  Builder b(&context);
  Location both = b.getFusedLoc({node(b, "/layers.0/q_proj/MatMul"), node(b, "/layers.0/k_proj/MatMul")});
  NamePatterns patterns({"*/k_proj/*", "lm_head.weight", "emb[e-f]d*", "layer?"});
  EXPECT_TRUE(patterns.match(both, ""));
  EXPECT_FALSE(patterns.match(node(b, "/layers.0/v_proj/MatMul"), "onnx::MatMul_17"));
  EXPECT_TRUE(patterns.match(node(b, "/lm_head/MatMul"), "lm_head.weight"));
  EXPECT_TRUE(patterns.match(UnknownLoc::get(&context), "embed_tokens"));
  // Not the operators' names, nor a part of a name.
  EXPECT_FALSE(patterns.match(node(b, "MatMul_3"), "model.layer1"));
  EXPECT_EQ(patterns.unmatched(),
            "'layer?' matches no node and no weight; the nearest are 'MatMul_3', 'model.layer1', 'embed_tokens'");
  EXPECT_TRUE(patterns.match(node(b, "layer1"), ""));
  EXPECT_EQ(patterns.unmatched(), std::nullopt);
}

TEST(NamePatterns, OperatorsAreNoNodes) {
  MLIRContext context;
  Builder b(&context);
  NamePatterns patterns({"MatMul*"});
  EXPECT_FALSE(patterns.match(node(b, "/lm_head"), ""));
  EXPECT_EQ(patterns.unmatched(), "'MatMul*' matches no node and no weight; the nearest are '/lm_head'");
}

TEST(NamePatterns, NoneMatchNothing) {
  MLIRContext context;
  NamePatterns patterns({});
  EXPECT_FALSE(patterns.match(UnknownLoc::get(&context), "w"));
  EXPECT_EQ(patterns.unmatched(), std::nullopt);
  EXPECT_EQ(NamePatterns::errorIn("a*"), std::nullopt);
  EXPECT_EQ(NamePatterns::errorIn("[a"), "invalid glob pattern, unmatched '['");
}

} // namespace
