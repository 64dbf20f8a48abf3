//===- PrecisionDemandTest.cpp - which values may be narrowed -------------===//
//
// Graphs in a few lines each: what a sine, a sort, a comparison, a cast or a sum asks of what was computed before it,
// and where that stops. Every value is [n, 16] x f32 unless it says otherwise; `%NAME` is asked for by its name.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/PrecisionDemand.h"
#include "mlir/Parser/Parser.h"
#include "test/passes/Analysis/Context.h"
#include <gtest/gtest.h>

namespace kt::test {
namespace {

using Demand = PrecisionDemand;

/// The location by which a value is found again.
std::string named(const std::string &r) { return " loc(\"" + r.substr(1) + "\")\n"; }

const std::string kType = "!kt.tensor<[n, 16] x f32>";

/// %r = a product of two tensors, with what its epilogue does to %acc.
std::string product(const std::string &r, const std::string &x, const std::string &w, const std::string &epilogue = "",
                    const std::string &y = "%acc", const std::string &columns = "16") {
  std::string out = "!kt.tensor<[n, " + columns + "] x f32>", rhs = "!kt.tensor<[" + columns + ", 16] x f32>";
  return r + " = kt.matmul " + x + ", " + w +
         " {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, "
         "affine_map<(m, n, k) -> (m, n)>]} : " +
         kType + ", " + rhs + " -> " + out + " epilogue {\n^bb0(%acc: f32, %i: index, %j: index):\n" + epilogue +
         "\nkt.yield " + y + " : f32\n}" + named(r);
}

/// %r = body of elements %0, %1, ... of the operands, yielding %y.
std::string map(const std::string &r, std::vector<std::string> in, const std::string &body,
                const std::string &element = "f32") {
  std::string list, types, args, reads;
  for (size_t i = 0; i < in.size(); ++i) {
    std::string n = std::to_string(i), comma = i ? ", " : "";
    size_t colon = in[i].find(':');
    std::string type = colon == std::string::npos ? kType : "!kt.tensor<[n, 16] x " + in[i].substr(colon + 1) + ">";
    std::string scalar = colon == std::string::npos ? "f32" : in[i].substr(colon + 1);
    list += comma + in[i].substr(0, colon), types += comma + type, args += "%X" + n + ": " + type + ", ";
    reads += "%e" + n + " = kt.read %X" + n + "[%i, %j] : " + type + " -> " + scalar + "\n";
  }
  return r + " = kt.generic ins(" + list + " : " + types + ") -> !kt.tensor<[n, 16] x " + element + "> {\n^bb0(" +
         args + "%i: index, %j: index):\n" + reads + body + "\nkt.yield %y : " + element + "\n}" + named(r);
}

std::string sine(const std::string &r, const std::string &x) { return map(r, {x}, "%y = math.sin %e0 : f32"); }
std::string add(const std::string &r, const std::string &a, const std::string &b) {
  return map(r, {a, b}, "%y = arith.addf %e0, %e1 : f32");
}
std::string norm(const std::string &r, const std::string &x, const std::string &kind = "layer") {
  return r + " = kt.normalize " + kind + " ins(" + x + " : " + kType +
         ") {axes = 1 : i64, epsilon = 1.0e-05 : f64} -> " + kType + " {\n^bb0(%X: " + kType +
         ", %i: index, %j: index):\n%e = kt.read %X[%i, %j] : " + kType +
         " -> f32\nkt.yield %e : f32\n} epilogue {\n^bb0(%v: f32, %X: " + kType +
         ", %i: index, %j: index):\nkt.yield %v : f32\n}" + named(r);
}
std::string sum(const std::string &r, const std::string &x) {
  std::string out = "!kt.tensor<[n] x f32>";
  return r + " = kt.reduce add over [#kt.expr<16>] ins(" + x + " : " + kType + ") -> " + out + " {\n^bb0(%X: " + kType +
         ", %i: index, %j: index):\n%e = kt.read %X[%i, %j] : " + kType +
         " -> f32\nkt.yield %e : f32\n} epilogue {\n^bb0(%v: f32, %X: " + kType +
         ", %i: index):\nkt.yield %v : f32\n}\n";
}
std::string sort(const std::string &x) {
  return "%val, %idx = kt.sort " + x + " {descending = true} : " + kType +
         " -> !kt.tensor<[n, 2] x f32>, !kt.tensor<[n, 2] x i64>\n";
}

class Graph {
public:
  explicit Graph(const std::string &body, const std::string &result = "%r", const std::string &type = kType) {
    std::string w = "!kt.tensor<[16, 16] x f32>";
    std::string text = "func.func @f(%x: " + kType + ", %w: " + w + ", %big: !kt.tensor<[2048, 16] x f32>) -> " + type +
                       " {\n" + body + "return " + result + " : " + type + "\n}\n";
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context());
    if (!module) {
      ADD_FAILURE() << text;
      return;
    }
    module->walk([&](mlir::Operation *op) {
      if (auto name = llvm::dyn_cast<mlir::NameLoc>(op->getLoc()); name && op->getNumResults() > 0)
        values["%" + name.getName().str()] = op->getResult(0);
    });
    module->walk([&](mlir::func::FuncOp func) { demand = std::make_unique<PrecisionDemand>(func); });
  }

  unsigned of(llvm::StringRef name) { return demand->of(values.lookup(name)); }
  bool isExact(llvm::StringRef name) { return demand->isExactProduct(values.lookup(name).getDefiningOp()); }
  bool isBeforeRouter(llvm::StringRef name) { return demand->isBeforeRouter(values.lookup(name).getDefiningOp()); }

private:
  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::StringMap<mlir::Value> values;
  std::unique_ptr<PrecisionDemand> demand;
};

TEST(PrecisionDemand, AnOrdinaryNetworkIsNarrow) {
  Graph g(product("%a", "%x", "%w") +
          map("%b", {"%a"},
              "%z = arith.constant 0.0 : f32\n"
              "%y = arith.maximumf %e0, %z : f32") +
          product("%c", "%b", "%w") + add("%d", "%c", "%x") + norm("%m", "%d") + product("%r", "%m", "%w"));
  for (const char *v : {"%a", "%b", "%c", "%d", "%m"})
    EXPECT_EQ(g.of(v), 0u) << v;
  EXPECT_FALSE(g.isExact("%a"));
}

TEST(PrecisionDemand, AnglesAreExactThroughProductsAndViews) {
  Graph g(product("%h", "%x", "%w") + product("%a", "%h", "%w") + "%v = kt.reshape %a : " + kType +
          " -> !kt.tensor<[16, n] x f32>\n%u = kt.reshape %v : !kt.tensor<[16, n] x "
          "f32> -> " +
          kType + "\n" + map("%b", {"%u"}, "%y = arith.negf %e0 : f32") + sine("%r", "%b"));
  for (const char *v : {"%a", "%b"})
    EXPECT_TRUE(g.of(v) & Demand::Angle) << v;
  EXPECT_TRUE(g.isExact("%a"));
  EXPECT_TRUE(g.isExact("%h"));
  EXPECT_TRUE(g.of("%h"));
}

TEST(PrecisionDemand, AnAngleInAnEpilogueMakesTheProductExact) {
  Graph g(product("%r", "%x", "%w", "%s = math.cos %acc : f32", "%s"));
  EXPECT_TRUE(g.isExact("%r"));
  EXPECT_EQ(g.of("%r"), 0u); // the cosine itself may be rounded
}

TEST(PrecisionDemand, BranchesAndLoopsPassItOn) {
  std::string body = product("%a", "%x", "%w") + product("%b", "%x", "%w") +
                     "%f = kt.if #kt.expr<n> {symbols = [], then_sizes = [], else_sizes = []} -> " + kType +
                     " then {\nkt.yield %a : " + kType + "\n} else {\nkt.yield %b : " + kType + "\n}\n";
  Graph g(body + sine("%r", "%f"));
  EXPECT_TRUE(g.isExact("%a"));
  EXPECT_TRUE(g.isExact("%b"));

  Graph loop(product("%a", "%x", "%w") + "%l = kt.loop init(%a : " + kType +
             ") {trips = #kt.expr<3>, induction = \"?i\", iterations = \"?t\", symbols = [], first_sizes = [], "
             "next_sizes = [], reverse = array<i1>} -> " +
             kType + " do {\n^bb0(%c: " + kType + "):\n" + product("%d", "%c", "%w") + "kt.yield %d : " + kType +
             "\n}\n" + sine("%r", "%l"));
  EXPECT_TRUE(loop.isExact("%a"));
  EXPECT_TRUE(loop.isExact("%d"));
}

TEST(PrecisionDemand, IntegersStepsAndQuantisedNumbers) {
  for (const char *body : {"%y = arith.fptosi %e0 : f32 to i64", "%q = math.roundeven %e0 : f32\n%y = arith.fptosi %q "
                                                                 ": f32 to i64"}) {
    Graph g(product("%a", "%x", "%w") + map("%r", {"%a"}, body, "i64"), "%r", "!kt.tensor<[n, 16] x i64>");
    EXPECT_TRUE(g.of("%a") & Demand::Number) << body;
    EXPECT_TRUE(g.isExact("%a")) << body;
  }
  // One product back: an image that ends in bytes is narrow before its last layer.
  Graph g(product("%h", "%x", "%w") + product("%a", "%h", "%w") +
              map("%r", {"%a"}, "%y = arith.fptoui %e0 : f32 to i8", "i8"),
          "%r", "!kt.tensor<[n, 16] x i8>");
  EXPECT_TRUE(g.of("%h") & Demand::Factor);
  EXPECT_FALSE(g.isExact("%h"));
}

TEST(PrecisionDemand, ARouterAndTheStreamItReads) {
  // h is a residual stream; the router reads its norm, and so does an expert whose product the choice steers.
  Graph g(product("%p", "%x", "%w") + add("%h", "%p", "%x") + norm("%m", "%h") + product("%logits", "%m", "%w") +
          norm("%s", "%logits", "softmax") + sort("%s") + product("%expert", "%m", "%w") +
          "%gate = kt.generic ins(%val : !kt.tensor<[n, 2] x f32>) -> " + kType +
          " {\n^bb0(%V: !kt.tensor<[n, 2] x f32>, %i: index, %j: index):\n%c = arith.constant 0 : index\n%v = kt.read "
          "%V[%i, %c] : !kt.tensor<[n, 2] x f32> -> f32\nkt.yield %v : f32\n}\n" +
          map("%o", {"%expert", "%gate"}, "%y = arith.mulf %e0, %e1 : f32") + add("%h2", "%h", "%o") +
          product("%r", "%h2", "%w"));
  EXPECT_TRUE(g.isExact("%logits"));
  for (const char *v : {"%m", "%h", "%p"})
    EXPECT_TRUE(g.of(v) & Demand::Stream) << v;
  EXPECT_FALSE(g.isExact("%p"));
  EXPECT_FALSE(g.isExact("%expert"));
  EXPECT_TRUE(g.isBeforeRouter("%p"));
  for (const char *v : {"%logits", "%expert", "%r"})
    EXPECT_FALSE(g.isBeforeRouter(v)) << v;
  for (const char *v : {"%expert", "%o", "%h2"})
    EXPECT_EQ(g.of(v), 0u) << v;
}

TEST(PrecisionDemand, WhatABranchOrALoopMakesReachesARouter) {
  std::string branch = "%f = kt.if #kt.expr<n> {symbols = [], then_sizes = [], else_sizes = []} -> " + kType +
                       " then {\n" + product("%a", "%x", "%w") + "kt.yield %a : " + kType + "\n} else {\n" +
                       product("%b", "%p", "%w") + "kt.yield %b : " + kType + "\n}\n";
  std::string loop = "%l = kt.loop init(%f : " + kType +
                     ") {trips = #kt.expr<3>, induction = \"?i\", iterations = \"?t\", symbols = [], first_sizes = [], "
                     "next_sizes = [], reverse = array<i1>} -> " +
                     kType + " do {\n^bb0(%c: " + kType + "):\n" + product("%d", "%c", "%w") +
                     "kt.yield %d : " + kType + "\n}\n";
  Graph g(product("%p", "%x", "%w") + branch + loop + product("%logits", "%l", "%w") + sort("%logits") +
          "%gate = kt.generic ins(%idx : !kt.tensor<[n, 2] x i64>) -> " + kType +
          " {\n^bb0(%V: !kt.tensor<[n, 2] x i64>, %i: index, %j: index):\n%c = arith.constant 0 : index\n%v = kt.read "
          "%V[%i, %c] : !kt.tensor<[n, 2] x i64> -> i64\n%u = arith.sitofp %v : i64 to f32\nkt.yield %u : f32\n}\n" +
          product("%r", "%gate", "%w"));
  EXPECT_TRUE(g.isExact("%logits"));
  for (const char *v : {"%p", "%a", "%b", "%d"})
    EXPECT_TRUE(g.isBeforeRouter(v)) << v;
  EXPECT_FALSE(g.isBeforeRouter("%r"));
}

TEST(PrecisionDemand, AnAnswerIsNoRouteAndAVocabularyNoChoice) {
  Graph g(product("%p", "%x", "%w") + add("%h", "%p", "%x") + norm("%m", "%h") + product("%logits", "%m", "%w") +
              sort("%logits") + product("%other", "%m", "%w") + "%k = kt.reshape %other : " + kType + " -> " + kType +
              "\n",
          "%idx", "!kt.tensor<[n, 2] x i64>");
  EXPECT_TRUE(g.isExact("%logits"));
  EXPECT_TRUE(g.of("%m") & Demand::Factor);
  EXPECT_EQ(g.of("%h"), 0u);
  EXPECT_FALSE(g.isBeforeRouter("%p"));

  std::string many = "!kt.tensor<[n, 2048] x f32>";
  Graph v(product("%logits", "%x", "%big", "", "%acc", "2048") + "%val, %idx = kt.sort %logits {descending = true} : " +
              many + " -> !kt.tensor<[n, 2] x f32>, !kt.tensor<[n, 2] x i64>\n",
          "%idx", "!kt.tensor<[n, 2] x i64>");
  EXPECT_FALSE(v.isExact("%logits"));
  EXPECT_TRUE(v.of("%logits") & Demand::Order);
}

TEST(PrecisionDemand, ComparisonsThatChooseAndThoseThatJoinPieces) {
  std::string compare = "%z = arith.constant 0.5 : f32\n%c = arith.cmpf ogt, %e0, %z : f32\n";
  Graph relu(product("%a", "%x", "%w") + map("%r", {"%a"}, compare + "%y = arith.select %c, %e0, %z : f32"));
  EXPECT_EQ(relu.of("%a"), 0u);
  Graph other(product("%a", "%x", "%w") + map("%r", {"%a", "%x"}, compare + "%y = arith.select %c, %e1, %z : f32"));
  EXPECT_TRUE(other.of("%a") & Demand::Order);
  EXPECT_TRUE(other.isExact("%a"));
  Graph step(product("%a", "%x", "%w") + map("%r", {"%a"}, compare + "%y = arith.uitofp %c : i1 to f32"));
  EXPECT_TRUE(step.isExact("%a"));
  Graph nan(product("%a", "%x", "%w") +
            map("%r", {"%a", "%x"}, "%c = arith.cmpf uno, %e0, %e0 : f32\n%y = arith.select %c, %e1, %e1 : f32"));
  EXPECT_EQ(nan.of("%a"), 0u);
  // The same without fusion: the mask is a tensor of its own.
  std::string mask = map("%k", {"%a"}, "%z = arith.constant 0.5 : f32\n%y = arith.cmpf ogt, %e0, %z : f32", "i1");
  Graph apart(product("%a", "%x", "%w") + mask + map("%q", {"%a"}, "%y = math.exp %e0 : f32") +
              map("%r", {"%k:i1", "%q", "%a"}, "%y = arith.select %e0, %e2, %e1 : f32"));
  EXPECT_EQ(apart.of("%a"), 0u);
  Graph chosen(product("%a", "%x", "%w") + mask +
               map("%r", {"%k:i1", "%x"},
                   "%z = arith.constant 0.0 : f32\n"
                   "%y = arith.select %e0, %e1, %z : f32"));
  EXPECT_TRUE(chosen.isExact("%a"));
}

TEST(PrecisionDemand, APositionThatIsMultiplied) {
  std::string ids = map("%k", {"%x"}, "%y = arith.fptosi %e0 : f32 to i64", "i64");
  std::string cast = map("%p", {"%k:i64"},
                         "%c = arith.constant 0.5 : f32\n%f = arith.sitofp %e0 : i64 to f32\n"
                         "%y = arith.mulf %f, %c : f32");
  Graph g(ids + cast + product("%a", "%p", "%w") + product("%r", "%a", "%w"));
  EXPECT_TRUE(g.isExact("%a"));
  EXPECT_EQ(g.of("%a"), 0u);
  EXPECT_FALSE(g.isExact("%r"));
  Graph mask(map("%k", {"%x"}, "%y = arith.fptosi %e0 : f32 to i8", "i8") +
             map("%p", {"%k:i8"}, "%y = arith.sitofp %e0 : i8 to f32") + product("%r", "%p", "%w"));
  EXPECT_FALSE(mask.isExact("%r"));
}

TEST(PrecisionDemand, WhatSumsAreMadeOfKeepsItsRange) {
  Graph g(product("%h", "%x", "%w") + map("%q", {"%h"}, "%y = arith.mulf %e0, %e0 : f32") +
              map("%p", {"%q"}, "%y = math.absf %e0 : f32") + sum("%r", "%p"),
          "%r", "!kt.tensor<[n] x f32>");
  EXPECT_TRUE(g.of("%q") & Demand::Range);
  EXPECT_TRUE(g.of("%p") & Demand::Range);
  EXPECT_FALSE(g.isExact("%h"));
  Graph e(map("%q", {"%x"}, "%y = math.exp %e0 : f32") + sum("%s", "%q") +
          map("%r", {"%q"}, "%y = math.log %e0 : f32"));
  EXPECT_TRUE(e.of("%q") & Demand::Range);
  // A sigmoid's exponential is below the line, a squared activation is only a factor.
  Graph bounded(map("%q", {"%x"},
                    "%o = arith.constant 1.0 : f32\n%e = math.exp %e0 : f32\n%d = arith.addf %e, %o : "
                    "f32\n%y = arith.divf %o, %d : f32") +
                map("%s", {"%x"}, "%y = arith.mulf %e0, %e0 : f32") + product("%a", "%s", "%w") +
                add("%r", "%q", "%a"));
  EXPECT_EQ(bounded.of("%q"), 0u);
  EXPECT_EQ(bounded.of("%s"), 0u);
}

} // namespace
} // namespace kt::test
