//===- PrintTest.cpp - models as people read them -------------------------===//

#include "runtime/artifact/Print.h"
#include "test/runtime/TestModel.h"

namespace kt::test {
namespace {

struct PrintTest : testing::Test {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), m = b.value(b.symbol("m")), two = b.constant(2);
  std::string text(Op op, ExprId x, ExprId y, ExprId z = kNone) { return printExpr(b.model, b.expr(op, x, y, z)); }
};

TEST_F(PrintTest, ParenthesesFollowPrecedence) {
  ExprId sum = b.expr(Op::Add, n, m), product = b.expr(Op::Mul, n, m), difference = b.expr(Op::Sub, n, m);
  EXPECT_EQ(text(Op::Mul, sum, two), "(n + m) * 2");
  EXPECT_EQ(text(Op::Mul, two, sum), "2 * (n + m)");
  EXPECT_EQ(text(Op::Add, product, two), "n * m + 2");
  // Operators bind to the left: only a right operand of the same precedence needs them.
  EXPECT_EQ(text(Op::Sub, difference, two), "n - m - 2");
  EXPECT_EQ(text(Op::Sub, two, difference), "2 - (n - m)");
  EXPECT_EQ(text(Op::Mod, two, product), "2 % (n * m)");
  ExprId less = b.expr(Op::Lt, sum, two), equal = b.expr(Op::Eq, n, m);
  EXPECT_EQ(text(Op::And, less, equal), "n + m < 2 and n == m");
  ExprId both = b.expr(Op::And, less, equal), either = b.expr(Op::Or, less, equal);
  EXPECT_EQ(text(Op::Or, both, less), "n + m < 2 and n == m or n + m < 2");
  EXPECT_EQ(text(Op::And, either, equal), "(n + m < 2 or n == m) and n == m");
}

TEST_F(PrintTest, CallsNeedNone) {
  ExprId sum = b.expr(Op::Add, n, m);
  EXPECT_EQ(text(Op::CeilDiv, sum, two), "ceildiv(n + m, 2)");
  EXPECT_EQ(text(Op::Mul, b.expr(Op::FloorDiv, n, two), m), "floordiv(n, 2) * m");
  EXPECT_EQ(text(Op::Select, b.expr(Op::Le, n, m), n, b.expr(Op::Max, m, two)), "select(n <= m, n, max(m, 2))");
  EXPECT_EQ(printExpr(b.model, kNone), "-");
}

TEST_F(PrintTest, KernelsHaveArgumentsAndFacts) {
  Kernel k;
  k.exprs = {{Op::Symbol, 3}, {Op::Fact, (int64_t)Fact::SmCount}, {Op::Lt, 0, 0, 1}};
  EXPECT_EQ(printExpr(k, 2), "i3 < sm_count");
}

TEST_F(PrintTest, SharedOperandsDoNotExplode) {
  ExprId e = n; // 2^64 characters if all of it were written
  for (int i = 0; i < 64; ++i)
    e = b.expr(Op::Add, e, e);
  std::string text = printExpr(b.model, e);
  EXPECT_LE(text.size(), 4200u);
  EXPECT_EQ(text.substr(text.size() - 3), "...");
}

TEST_F(PrintTest, DeepExpressionsEnd) {
  ExprId e = n;
  for (int i = 0; i < 200000; ++i)
    e = b.expr(i % 2 ? Op::Add : Op::Mul, e, two);
  EXPECT_LE(printExpr(b.model, e).size(), 4200u);
}

TEST_F(PrintTest, NamesFromFilesAreEscaped) {
  EXPECT_EQ(escaped("a/b c"), "a/b c");
  EXPECT_EQ(escaped("\x1b[31m\n\\\xff"), "\\x1b[31m\\x0a\\x5c\\xff");
  ExprId bad = b.value(b.symbol("x\ny"));
  EXPECT_EQ(printExpr(b.model, bad), "x\\x0ay");
}

TEST_F(PrintTest, Ports) {
  Port port;
  port.type = DType::f16;
  port.dims = {n, b.constant(768)};
  EXPECT_EQ(printPort(b.model, port), "f16[n, 768]");
  port.dims.clear();
  EXPECT_EQ(printPort(b.model, port), "f16[]");
}

TEST_F(PrintTest, Programs) {
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), w = b.weight("w", {1, 2});
  b.model.nodes = {"/add\t1"};
  If branch;
  branch.condition = n;
  branch.then = b.list(b.add(x, w, y, n));
  branch.otherwise = b.list(Copy{x, y, two, kNone, m});
  b.emit(Assert{n, two, "is \"two\"", 0}, std::move(branch));
  b.slice({1});
  EXPECT_EQ(printProgram(b.model), R"(slice 0 weights()
  assert n == 2 "is "two""  // /add\x091
slice 1 weights(w0)
  if n {
    %1 = add(%0, %2; n)
    yield 
  } else {
    copy %1 = %0[2], m bytes
    yield 
  }
)");
}

TEST_F(PrintTest, HostAndGpuStagesDiffer) {
  Kernel k = b.model.kernels[b.kernel(Entry::add)];
  std::string host = printKernel(b.model, k);
  EXPECT_NE(host.find("kernel add (test) 2 -> 1 buffers, 1 integers\n  variant host-v3"), std::string::npos) << host;
  EXPECT_NE(host.find("module 0 +0 tasks ceildiv(i0, 16)"), std::string::npos) << host;
  Module ptx;
  ptx.kind = Module::Kind::Ptx;
  b.model.modules.push_back(ptx);
  Variant &v = k.variants.front();
  v.target = "sm_89", v.schedule = "tile", v.guard = 0, v.cost = 6;
  Stage &s = v.stages.front();
  s.module = 1, s.entry = "add_0", s.block = {128, 1, 1}, s.grid = {2, 6, 6}, s.shared = 5;
  std::string gpu = printKernel(b.model, k);
  EXPECT_NE(
      gpu.find(
          "variant sm_89 if i0 \"tile\" costs 1\n    module 1 add_0 grid ceildiv(i0, 16) x 1 x 1 block 128 x 1 x 1 "
          "shared 64\n"),
      std::string::npos)
      << gpu;
  s.cluster = 6;
  gpu = printKernel(b.model, k);
  EXPECT_NE(gpu.find("block 128 x 1 x 1 cluster 1 x 1 x 1 shared 64\n"), std::string::npos) << gpu;
}

} // namespace
} // namespace kt::test
