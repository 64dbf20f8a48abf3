//===- ImportTest.cpp - what small ONNX graphs import as ------------------===//
//
// Graphs are built from protobuf messages, written to a file and imported; the tests look at the printed module.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

namespace {

constexpr int kFloat = 1, kInt8 = 3, kUint8 = 2, kInt64 = 7, kBool = 9;

/// A graph under construction. Dimensions are numbers or names.
struct Graph {
  onnx::GraphProto &g;

  onnx::NodeProto &node(const char *op, std::vector<const char *> in, std::vector<const char *> out) {
    auto &n = *g.add_node();
    n.set_op_type(op);
    n.set_name(std::string("the_") + op);
    for (const char *s : in)
      n.add_input(s);
    for (const char *s : out)
      n.add_output(s);
    return n;
  }
  void input(const char *name, int type, std::vector<std::string> dims) { value(*g.add_input(), name, type, dims); }
  void output(const char *name, int type, std::vector<std::string> dims = {}) {
    value(*g.add_output(), name, type, dims);
  }
  void ints(const char *name, std::vector<int64_t> values, bool scalar = false) {
    auto &t = *g.add_initializer();
    t.set_name(name);
    t.set_data_type(kInt64);
    if (!scalar)
      t.add_dims((int64_t)values.size());
    for (int64_t v : values)
      t.add_int64_data(v);
  }
  void truth(const char *name) {
    auto &t = *g.add_initializer();
    t.set_name(name);
    t.set_data_type(kBool);
    t.add_int32_data(1);
  }

private:
  static void value(onnx::ValueInfoProto &v, const char *name, int type, const std::vector<std::string> &dims) {
    v.set_name(name);
    auto &t = *v.mutable_type()->mutable_tensor_type();
    t.set_elem_type(type);
    t.mutable_shape();
    for (const std::string &d : dims) {
      auto &dim = *t.mutable_shape()->add_dim();
      if (isdigit(d[0]))
        dim.set_dim_value(std::stoll(d));
      else
        dim.set_dim_param(d);
    }
  }
};

void attribute(onnx::NodeProto &n, const char *name, int64_t v) {
  auto &a = *n.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(v);
}
void attribute(onnx::NodeProto &n, const char *name, const char *v) {
  auto &a = *n.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::STRING);
  a.set_s(v);
}
Graph subgraph(onnx::NodeProto &n, const char *name) {
  auto &a = *n.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::GRAPH);
  return {*a.mutable_g()};
}

/// The printed module, or the diagnostics after "error: ".
std::string import(llvm::function_ref<void(Graph)> build, int64_t opset = 21) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(opset);
  build({*model.mutable_graph()});
  llvm::SmallString<128> path;
  EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("import", "onnx", path));
  std::string bytes;
  EXPECT_TRUE(model.SerializeToString(&bytes));
  {
    std::error_code code;
    llvm::raw_fd_ostream(path, code) << bytes;
    EXPECT_FALSE(code);
  }
  auto file = kt::import::ModelFile::load(path);
  if (!file)
    return "error: " + llvm::toString(file.takeError());
  llvm::sys::fs::remove(path); // it is in memory now
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  std::string errors, text;
  context.getDiagEngine().registerHandler(
      [&](mlir::Diagnostic &d) { llvm::raw_string_ostream(errors) << "error: " << d << "\n"; });
  kt::import::ImportOptions options;
  auto module = kt::import::importModel(&context, **file, options);
  if (!module || mlir::failed(mlir::verify(*module)))
    return errors;
  llvm::raw_string_ostream out(text);
  module->print(out);
  return text;
}

size_t count(const std::string &text, llvm::StringRef what) { return llvm::StringRef(text).count(what); }

#define HAS(text, what) EXPECT_NE((text).find(what), std::string::npos) << text
#define LACKS(text, what) EXPECT_EQ((text).find(what), std::string::npos) << text

/// y = cond ? x[0:2] : x, with a condition that is `input` or known.
void branches(Graph g, bool known) {
  g.input("x", kFloat, {"n"});
  if (known)
    g.truth("cond");
  else
    g.input("cond", kBool, {});
  g.ints("zero", {0});
  g.ints("two", {2});
  auto &n = g.node("If", {"cond"}, {"y"});
  Graph yes = subgraph(n, "then_branch"), no = subgraph(n, "else_branch");
  yes.node("Slice", {"x", "zero", "two"}, {"part"});
  yes.output("part", kFloat);
  no.node("Identity", {"x"}, {"whole"});
  no.output("whole", kFloat);
  g.output("y", kFloat);
}

TEST(If, ImportsOnlyTheKnownBranch) {
  std::string text = import([](Graph g) { branches(g, true); });
  LACKS(text, "kt.if");
  HAS(text, "[min(2, n)]");
}

TEST(If, GivesSizesThatDifferASymbol) {
  std::string text = import([](Graph g) { branches(g, false); });
  HAS(text, "kt.item");
  HAS(text, "symbols = [\"branch\"]");
  HAS(text, "then_sizes = [#kt.expr<min(2, n)>]");
  HAS(text, "else_sizes = [#kt.expr<n>]");
  HAS(text, "!kt.tensor<[branch] x f32>");
}

/// Five times: state = concat(state, x) or, not growing, state + x; stacks x.
std::string loopOf(bool grows) {
  return import([&](Graph g) {
    g.input("x", kFloat, {"n"});
    g.ints("trips", {5}, true);
    g.truth("go");
    auto &n = g.node("Loop", {"trips", "go", "x"}, {"last", "all"});
    Graph body = subgraph(n, "body");
    body.input("i", kInt64, {});
    body.input("c", kBool, {});
    body.input("s", kFloat, {"k"});
    body.node("Identity", {"c"}, {"c2"});
    auto &step = body.node(grows ? "Concat" : "Add", {"s", "x"}, {"s2"});
    if (grows)
      attribute(step, "axis", int64_t(0));
    body.node("Neg", {"x"}, {"piece"});
    body.output("c2", kBool);
    body.output("s2", kFloat);
    body.output("piece", kFloat);
    g.output("last", kFloat);
    g.output("all", kFloat);
  });
}

TEST(Loop, KeepsTheTypeOfWhatDoesNotChange) {
  std::string text = loopOf(false);
  EXPECT_EQ(count(text, "kt.loop"), 1u);
  HAS(text, "symbols = []");
  HAS(text, "!kt.tensor<[5, n] x f32>");
  LACKS(text, "condition ="); // the body's condition is the one it was given
}

TEST(Loop, GivesGrowingValuesASymbol) {
  std::string text = loopOf(true);
  EXPECT_EQ(count(text, "kt.loop"), 1u); // the first attempt is gone
  HAS(text, "first_sizes = [#kt.expr<n>]");
  HAS(text, "next_sizes = [#kt.expr<carried + n>]");
}

TEST(Loop, ReadsAConditionOfATensorInsideIt) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"n"});
    g.ints("trips", {5}, true);
    g.truth("go");
    auto &n = g.node("Loop", {"trips", "go", "x"}, {"last"});
    Graph body = subgraph(n, "body");
    body.input("i", kInt64, {});
    body.input("c", kBool, {});
    body.input("s", kFloat, {"k"});
    body.node("ReduceMax", {"s"}, {"most"});
    body.node("Squeeze", {"most"}, {"one"});
    attribute(body.node("Cast", {"one"}, {"again"}), "to", int64_t(kBool));
    auto &branch = body.node("If", {"again"}, {"s2"});
    Graph yes = subgraph(branch, "then_branch"), no = subgraph(branch, "else_branch");
    yes.node("Neg", {"s"}, {"less"});
    yes.output("less", kFloat);
    no.node("Abs", {"s"}, {"more"});
    no.output("more", kFloat);
    body.node("Identity", {"c"}, {"c2"});
    body.output("c2", kBool);
    body.output("s2", kFloat);
    g.output("last", kFloat);
  });
  // The element is read in the loop, before the branch.
  size_t loop = text.find("kt.loop"), item = text.find("kt.item"), branch = text.find("kt.if");
  EXPECT_TRUE(loop < item && item < branch && branch != std::string::npos) << text;
}

TEST(Recurrent, RunsOneProductBeforeTheLoop) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"time", "batch", "4"});
    g.input("w", kFloat, {"1", "32", "4"});
    g.input("r", kFloat, {"1", "32", "8"});
    auto &n = g.node("LSTM", {"x", "w", "r"}, {"y"});
    attribute(n, "hidden_size", int64_t(8));
    g.output("y", kFloat);
  });
  EXPECT_EQ(count(text, "kt.matmul"), 2u);
  HAS(text, "-> <[batch * time, 32] x f32>");
  HAS(text, "!kt.tensor<[time, 1, batch, 8] x f32>");
}

TEST(Quantize, CorrectsAnIntegerProductByColumnSums) {
  std::string text = import([](Graph g) {
    g.input("a", kUint8, {"m", "16"});
    g.input("b", kInt8, {"16", "8"});
    g.input("zero", kUint8, {});
    g.node("MatMulInteger", {"a", "b", "zero"}, {"y"});
    g.output("y", 6);
  });
  HAS(text, "kt.matmul");
  EXPECT_EQ(count(text, "kt.reduce"), 1u); // the other zero point is absent
}

TEST(Resize, KeepsSizesSymbolic) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"1", "3", "h", "w"});
    auto &t = *g.g.add_initializer();
    t.set_name("scales");
    t.set_data_type(kFloat);
    t.add_dims(4);
    for (float v : {1.f, 1.f, 2.f, 0.5f})
      t.add_float_data(v);
    auto &n = g.node("Resize", {"x", "", "scales"}, {"y"});
    attribute(n, "mode", "linear");
    g.output("y", kFloat);
  });
  HAS(text, "[1, 3, h * 2, w floordiv 2]");
  LACKS(text, "kt.item");
}

TEST(Reduce, TakesAxesThatOnlyTheRunKnows) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"2", "3"});
    g.input("axes", kInt64, {"1"});
    g.node("ReduceSum", {"x", "axes"}, {"y"});
    g.output("y", kFloat);
  });
  HAS(text, "kt.item");
  HAS(text, "select(max(eq(-2, ?item), eq(0, ?item)), 1, 2)");
}

TEST(Errors, NameTheEquation) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"2", "3"});
    attribute(g.node("Einsum", {"x"}, {"y"}), "equation", "ijk->i");
    g.output("y", kFloat);
  });
  EXPECT_EQ(text, "error: unsupported Einsum equation 'ijk->i': term 0 does not fit rank 2\n");
}

TEST(Errors, SayThatBranchesDiffer) {
  std::string text = import([](Graph g) {
    g.input("x", kFloat, {"n"});
    g.input("cond", kBool, {});
    auto &n = g.node("If", {"cond"}, {"y"});
    Graph yes = subgraph(n, "then_branch"), no = subgraph(n, "else_branch");
    yes.node("Identity", {"x"}, {"a"});
    yes.output("a", kFloat);
    no.node("IsNaN", {"x"}, {"b"});
    no.output("b", kBool);
    g.output("y", kFloat);
  });
  EXPECT_EQ(text,
            "error: unsupported If: branches yield !kt.tensor<[n] x f32> and !kt.tensor<[n] x i1> for output 0\n");
}

} // namespace
