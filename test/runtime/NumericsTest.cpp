//===- NumericsTest.cpp - who made what is not finite ---------------------===//
//
// Types bit by bit, and sessions on the host that look at what they compute. CudaNumericsTest.cpp has memory of a
// device, test/tools/ktrun/numerics.test states that grow.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Numerics.h"
#include "runtime/artifact/Verifier.h"
#include "test/runtime/TestModel.h"

#include <bit>
#include <cmath>
#include <limits>

namespace kt::test {
namespace {

using exec::Numerics;
using exec::NumericsCount;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

template <typename Word> NumericsCount countOf(DType type, const std::vector<Word> &words) {
  NumericsCount count{type};
  count.add(words.data(), words.size(), 0);
  return count;
}

TEST(Numerics, TypesEndWhereTheyEnd) {
  // The largest number, what comes after it, a NaN and minus infinity, or what stands there.
  auto f32 = countOf<uint32_t>(DType::f32, {0x7f7fffff, 0x7f800000, 0xffc00001, 0xff800000, 0x80000000});
  EXPECT_EQ(f32.text(Numerics::faults, {{5}}), "1 NaN and 2 infinities among 5 elements, the first at [1]");
  EXPECT_EQ(f32.largestText(), "largest finite 3.40282e+38, f32's is 3.40282e+38");
  auto f16 = countOf<uint16_t>(DType::f16, {0xfbff, 0x7c00, 0x7c01, 0xfc00, 0});
  EXPECT_EQ(f16.text(Numerics::faults, {{5}}), "1 NaN and 2 infinities among 5 elements, the first at [1]");
  EXPECT_EQ(f16.largestText(), "largest finite 65504, f16's is 65504");
  auto bf16 = countOf<uint16_t>(DType::bf16, {0x4000, 0x7f80, 0xff81, 0xff80, 0});
  EXPECT_EQ(bf16.text(Numerics::faults, {{5}}), "1 NaN and 2 infinities among 5 elements, the first at [1]");
  EXPECT_EQ(bf16.largestText(), "largest finite 2, bf16's is 3.38953e+38");
  auto f64 = countOf<uint64_t>(DType::f64, {std::bit_cast<uint64_t>(1e300), std::bit_cast<uint64_t>(double(kInf)),
                                            std::bit_cast<uint64_t>(double(kNan)),
                                            std::bit_cast<uint64_t>(-double(kInf)), uint64_t(1) << 63});
  EXPECT_EQ(f64.text(Numerics::faults, {{5}}), "1 NaN and 2 infinities among 5 elements, the first at [1]");
  EXPECT_EQ(f64.largestText(), "largest finite 1e+300, f64's is 1.79769e+308");
  auto e4m3fn = countOf<uint8_t>(DType::f8e4m3fn, {0xfe, 0x7f, 0xff, 0x80});
  EXPECT_EQ(e4m3fn.text(Numerics::faults, {{4}}), "2 NaNs and 0 infinities among 4 elements, the first at [1]");
  EXPECT_EQ(e4m3fn.largestText(), "largest finite 448, f8e4m3fn's is 448");
  auto e5m2 = countOf<uint8_t>(DType::f8e5m2, {0x7b, 0x7c, 0xfd, 0xfc, 0x80});
  EXPECT_EQ(e5m2.text(Numerics::faults, {{5}}), "1 NaN and 2 infinities among 5 elements, the first at [1]");
  EXPECT_EQ(e5m2.largestText(), "largest finite 57344, f8e5m2's is 57344");
  // Their NaN is where others have minus zero.
  auto e4m3fnuz = countOf<uint8_t>(DType::f8e4m3fnuz, {0, 0x80, 0xff});
  EXPECT_EQ(e4m3fnuz.text(Numerics::faults, {{3}}), "1 NaN and 0 infinities among 3 elements, the first at [1]");
  EXPECT_EQ(e4m3fnuz.largestText(), "largest finite 240, f8e4m3fnuz's is 240");
  auto e5m2fnuz = countOf<uint8_t>(DType::f8e5m2fnuz, {0x80, 0x7f});
  EXPECT_EQ(e5m2fnuz.nans, 1u);
  EXPECT_EQ(e5m2fnuz.largestText(), "largest finite 57344, f8e5m2fnuz's is 57344");
  EXPECT_EQ(countOf<uint8_t>(DType::f8e8m0, {0xfe, 0xff}).nans, 1u);
  EXPECT_EQ(countOf<uint16_t>(DType::f16, {0x7e00}).largestText(), "none is finite, f16's largest is 65504");
  EXPECT_EQ(countOf<uint16_t>(DType::f16, {0x0001}).largestText(), "largest finite 5.96046e-08, f16's is 65504");
  EXPECT_FALSE(NumericsCount::counts(DType::i32));
  EXPECT_FALSE(NumericsCount::counts(DType::f4e2m1));
}

TEST(Numerics, TheFirstIsFoundInWhateverBlockItLies) {
  std::vector<float> values(10000, 1);
  values[9000] = -kInf, values[9100] = kNan, values[4096] = 7;
  NumericsCount count{DType::f32};
  count.add(values.data(), 5000, 0);
  EXPECT_FALSE(count.isFaulty(Numerics::all));
  count.add(values.data() + 5000, 5000, 5000);
  EXPECT_EQ(count.first(Numerics::faults), 9100u);
  EXPECT_EQ(count.first(Numerics::all), 9000u);
  EXPECT_EQ(count.text(Numerics::faults, {{100, 100}}),
            "1 NaN and 1 infinity among 10000 elements, the first at [91, 0]");
  EXPECT_EQ(count.largestText(), "largest finite 7, f32's is 3.40282e+38");
}

/// Says of a kernel of the builder's what its last buffers are: floats, as many as its first integer says.
void describe(Model &model) {
  for (Kernel &kernel : model.kernels)
    kernel.results.assign(kernel.numResults, {kernel.name == "shift" ? DType::i64 : DType::f32, {0}});
}

Launch &named(ModelBuilder &b, Instruction &&launch, const std::string &node) {
  b.emit(std::move(launch));
  b.model.nodes.push_back(node);
  Launch &last = std::get<Launch>(b.model.program.instructions.back());
  last.node = b.model.nodes.size() - 1;
  return last;
}

std::unique_ptr<Session> sessionOf(ModelBuilder &b, CheckNumerics mode = CheckNumerics::faults) {
  describe(b.model);
  auto session = loadModel(b.model)->createSession({.checkNumerics = mode});
  EXPECT_TRUE(session.ok()) << session.status().message();
  return *std::move(session);
}

/// t = x + w, then y = 3 t.
ModelBuilder sumAndProduct(std::vector<float> w) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 100)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n), weight = b.weight("w", std::move(w));
  BufferId t = b.temporary(bytes), y = b.output("y", DType::f32, n);
  named(b, b.add(x, weight, t, n), "sum");
  named(b, b.scale(t, y, n, b.constant(3)), "product");
  b.model.kernels[b.kernel(Entry::scale)].variants[0].schedule = "scale tile=16";
  return b;
}

TEST(Numerics, TheNodeThatOverflowsIsNamed) {
  ModelBuilder b = sumAndProduct({0, 0, 0, 0});
  auto session = sessionOf(b);
  std::vector<float> good{1, 2, 3, 4}, large{1, 2e38f, -2e38f, 4};
  EXPECT_TRUE(session->run(std::vector{tensor("x", good)}).ok());
  for (int run = 0; run < 2; ++run) {
    Status status = session->run(std::vector{tensor("x", large)});
    EXPECT_EQ(status.code(), Code::failed);
    EXPECT_EQ(status.message(),
              "node 'product': kernel 'scale' (host-v3 scale tile=16): result 0, f32[4], has 0 NaNs and "
              "2 infinities among 4 elements, the first at [1], but what it is made of has none; "
              "largest finite 12, f32's is 3.40282e+38");
    EXPECT_TRUE(session->outputs().empty());
    EXPECT_TRUE(session->run(std::vector{tensor("x", good)}).ok());
    EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{3, 6, 9, 12}));
  }
  EXPECT_TRUE(session->numericsWarnings().empty());
  // Only while it is asked for, and it may be asked for later.
  EXPECT_TRUE(session->checkNumerics(CheckNumerics::none).ok());
  EXPECT_TRUE(session->run(std::vector{tensor("x", large)}).ok());
  EXPECT_TRUE(session->checkNumerics(CheckNumerics::all).ok());
  EXPECT_FALSE(session->run(std::vector{tensor("x", large)}).ok());
}

TEST(Numerics, MinusInfinityIsAMask) {
  ModelBuilder b = sumAndProduct({0, 0, 0, 0});
  std::vector<float> low{1, -2e38f, 3, 4}, masked{1, -kInf, 3, 4}, both{1, -kInf, 3e38f, 4};
  auto session = sessionOf(b);
  EXPECT_TRUE(session->run(std::vector{tensor("x", low)}).ok());
  EXPECT_TRUE(session->run(std::vector{tensor("x", masked)}).ok());
  Status status = session->run(std::vector{tensor("x", both)});
  EXPECT_NE(status.message().find("node 'product'"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("2 infinities among 4 elements, the first at [2], but what it is made of has none "
                                  "except minus infinity; largest finite 12"),
            std::string::npos)
      << status.message();
  EXPECT_TRUE(session->numericsWarnings().empty());

  auto strict = sessionOf(b, CheckNumerics::all);
  status = strict->run(std::vector{tensor("x", low)});
  EXPECT_NE(status.message().find("node 'product'"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("0 NaNs and 1 infinity among 4 elements, the first at [1]"), std::string::npos);
  EXPECT_TRUE(strict->run(std::vector{tensor("x", masked)}).ok());
  EXPECT_EQ(strict->numericsWarnings().size(), 1u);
}

TEST(Numerics, WhatWasGivenIsNamedAndBlamesNobody) {
  ModelBuilder b = sumAndProduct({0, 0, 0, 0});
  auto session = sessionOf(b);
  std::vector<float> bad{1, 2e38f, kNan, 4}, large{1, 2e38f, 3, 4};
  for (int run = 0; run < 2; ++run) { // said once
    EXPECT_TRUE(session->run(std::vector{tensor("x", bad)}).ok());
    EXPECT_EQ(session->numericsWarnings(),
              std::vector<std::string>{"input 'x', f32[4], has 1 NaN and 0 infinities among 4 elements, the first at "
                                       "[2]; what follows from it is no fault of a node"});
  }
  EXPECT_FALSE(session->run(std::vector{tensor("x", large)}).ok()); // another run's input is another one

  ModelBuilder c = sumAndProduct({0, kInf, 0, 0});
  auto other = sessionOf(c);
  EXPECT_TRUE(other->run(std::vector{tensor("x", large)}).ok());
  EXPECT_EQ(
      other->numericsWarnings(),
      std::vector<std::string>{"weight 'w', f32[4], has 0 NaNs and 1 infinity among 4 elements, the first at [1]; "
                               "what follows from it is no fault of a node"});
}

TEST(Numerics, WhatIsHandedOnIsRemembered) {
  ModelBuilder b;
  ExprId four = b.constant(4), bytes = b.constant(16), one = b.constant(1), two = b.constant(2);
  BufferId x = b.input("x", DType::f32, four);
  BufferId copied = b.temporary(bytes), aliased = b.temporary(bytes), next = b.temporary(bytes);
  BufferId carried = b.temporary(bytes), result = b.temporary(bytes), scan = b.temporary(b.constant(32));
  BufferId y = b.output("y", DType::f32, four), z = b.output("z", DType::f32, b.constant(8));
  BufferId thenOf = b.temporary(bytes), otherwise = b.temporary(bytes), chosen = b.temporary(bytes);
  b.emit(Copy{x, copied, kNone, kNone, bytes}, Alias{copied, aliased});
  Loop loop;
  loop.trips = two, loop.induction = b.symbol("k", Symbol::Kind::Induction);
  loop.iterations = b.symbol("done", Symbol::Kind::Data);
  loop.init = {aliased}, loop.carried = {carried}, loop.next = {next}, loop.results = {result};
  loop.scanPieces = {next}, loop.scan = {scan}, loop.scanReverse = {0};
  loop.body = b.list(b.scale(carried, next, four, one));
  b.emit(std::move(loop));
  If branch;
  branch.condition = one;
  branch.then = b.list(b.scale(result, thenOf, four, one));
  branch.otherwise = b.list(b.scale(result, otherwise, four, two));
  branch.results = {chosen}, branch.thenYields = {thenOf}, branch.otherwiseYields = {otherwise};
  b.emit(std::move(branch), b.scale(chosen, y, four, two), b.scale(scan, z, b.constant(8), two));
  auto session = sessionOf(b);
  std::vector<float> bad{1, kNan, 3, 4}, good{1, 2, 3, 4};
  for (int run = 0; run < 2; ++run) {
    Status status = session->run(std::vector{tensor("x", bad)});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(std::isnan(floats(session->outputs()[1])[5]));
    status = session->run(std::vector{tensor("x", good)});
    EXPECT_TRUE(status.ok()) << status.message();
  }
  EXPECT_EQ(session->numericsWarnings().size(), 1u);
}

TEST(Numerics, ResultsThatNobodyReadsMayNotHaveBeenWritten) {
  ModelBuilder b;
  ExprId four = b.constant(4), bytes = b.constant(16);
  BufferId x = b.input("x", DType::f32, four), w = b.weight("w", {1, 2, 3, 4});
  BufferId t = b.temporary(bytes), unread = b.temporary(bytes);
  BufferId y = b.output("y", DType::f32, four), z = b.output("z", DType::f32, four);
  // The kernel of the last launch says that it has a result before the one that it writes: where t was.
  b.emit(b.scale(x, t, four, b.constant(2)), b.scale(t, y, four, b.constant(2)));
  Kernel two = b.model.kernels[b.kernel(Entry::scale)];
  two.numBuffers = 3, two.numResults = 2;
  b.model.kernels.push_back(two);
  uint32_t number = b.model.kernels.size() - 1;
  b.emit(Launch{number, {w, z, unread}, {four, b.constant(3)}});
  auto session = sessionOf(b);
  std::vector<float> bad(4, kNan);
  Status status = session->run(std::vector{tensor("x", bad)});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(floats(session->outputs()[1]), (std::vector<float>{3, 6, 9, 12}));
}

TEST(Numerics, StatesOfTheSessionAreNamed) {
  // y = x + step and z = 2 y, where y continues x.
  for (uint32_t axis : {kNone, 0u}) {
    ModelBuilder b;
    ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
    BufferId x = b.input("x", DType::f32, n), step = b.input("step", DType::f32, n);
    BufferId y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
    named(b, b.add(x, step, y, n), "keep");
    named(b, b.scale(y, z, n, b.constant(2)), "twice");
    b.model.outputs[0].tied = 0;
    b.model.outputs[0].axis = axis;
    describe(b.model);
    auto session = *loadModel(b.model)->createSession({.capacity = 4, .checkNumerics = CheckNumerics::faults});
    std::vector<float> good(4, 3e38f), bad(4, kNan);
    EXPECT_TRUE(session->run(std::vector{tensor("step", std::vector<float>(4, 1))}).ok());
    Status status = session->run(std::vector{tensor("step", good)}); // 3e38 is kept, twice it is too much
    EXPECT_NE(status.message().find("node 'twice'"), std::string::npos) << status.message();
    EXPECT_TRUE(session->truncate(0).ok());
    EXPECT_TRUE(session->run(std::vector{tensor("step", bad)}).ok());
    EXPECT_EQ(session->numericsWarnings().size(), 1u);
    auto fork = *session->fork();
    EXPECT_TRUE(fork->run(std::vector{tensor("step", good)}).ok());
    ASSERT_EQ(fork->numericsWarnings().size(), 1u);
    EXPECT_EQ(fork->numericsWarnings()[0],
              "input 'x', which the session keeps, f32[4], has 4 NaNs and 0 infinities among 4 elements, the first at "
              "[0]; what follows from it is no fault of a node");
    EXPECT_TRUE(session->truncate(0).ok());
    EXPECT_FALSE(session->run(std::vector{tensor("step", good)}).ok());
  }
}

TEST(Numerics, OfAStateThatGrowsItsElementsAreLookedAt) {
  // y is x with room for what `more` is long; the kernel writes what `step` has, as where each sequence ends is data.
  ModelBuilder b;
  ExprId past = b.value(b.symbol("past", Symbol::Kind::Input, 0, 100));
  ExprId more = b.value(b.symbol("more", Symbol::Kind::Input, 0, 100));
  ExprId count = b.value(b.symbol("count", Symbol::Kind::Input, 0, 100));
  b.symbol("@capacity", Symbol::Kind::Capacity);
  b.input("x", DType::f32, past);
  b.input("more", DType::f32, more);
  BufferId step = b.input("step", DType::f32, count);
  BufferId y = b.output("y", DType::f32, b.expr(Op::Add, past, more));
  named(b, b.scale(step, y, count, b.constant(2)), "window");
  b.model.outputs[0].tied = b.model.outputs[0].axis = 0;
  describe(b.model);
  auto session = *loadModel(b.model)->createSession({.capacity = 40, .checkNumerics = CheckNumerics::faults});
  auto run = [&](size_t more, const std::vector<float> &step) {
    std::vector<float> zeros(more);
    return session->run(std::vector{tensor("more", zeros), tensor("step", step)});
  };
  // What a run leaves behind the end, which others have then, is nothing to them, whether they write there or not.
  for (size_t kept : {2, 4, 9}) {
    EXPECT_TRUE(run(8, std::vector<float>(8, kNan)).ok());
    EXPECT_TRUE(session->truncate(0).ok());
    Status status = run(kept, {1, 2});
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(session->truncate(0).ok());
  }
  EXPECT_EQ(session->numericsWarnings().size(), 1u);
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(run(3, {1, 2, 3}).ok());
    EXPECT_EQ(session->held(), 3u);
    Status status = run(2, {1, 2, 3, 4, 3e38f});
    EXPECT_NE(status.message().find("node 'window': kernel 'scale' (host-v3): result 0, f32[5], has 0 NaNs and 1 "
                                    "infinity among 5 elements, the first at [4]"),
              std::string::npos)
        << status.message();
    EXPECT_EQ(session->held(), 3u);
    EXPECT_TRUE(session->truncate(0).ok());
  }
  EXPECT_TRUE(run(4, {1, 2, 3, kNan}).ok());
  EXPECT_TRUE(run(2, {}).ok());
  EXPECT_EQ(session->numericsWarnings().back(),
            "input 'x', which the session keeps, f32[4], has 1 NaN and 0 infinities among 4 elements, the first at "
            "[3]; what follows from it is no fault of a node");
}

TEST(Numerics, ArtifactsHaveToSayWhatResultsAre) {
  ModelBuilder b = sumAndProduct({0, 0, 0, 0});
  auto silent = loadModel(b.model)->createSession({.checkNumerics = CheckNumerics::faults});
  EXPECT_EQ(silent.status().code(), Code::usage);
  EXPECT_NE(silent.status().message().find("of an older compiler"), std::string::npos) << silent.status().message();
  describe(b.model);
  EXPECT_TRUE(verifyModel(b.model).ok());
  std::vector<ResultType> &results = b.model.kernels[0].results;
  // What is more than there is in memory.
  results[0].dims = {0, 0};
  auto session = *loadModel(b.model)->createSession({.checkNumerics = CheckNumerics::faults});
  std::vector<float> x(4, 1);
  Status status = session->run(std::vector{tensor("x", x)});
  EXPECT_EQ(status.code(), Code::rejected);
  EXPECT_NE(status.message().find("is said to be f32[4, 4] but its buffer has 16 bytes"), std::string::npos)
      << status.message();
  results[0].dims = {1000};
  EXPECT_NE(verifyModel(b.model).message().find("a dimension of result 0 is expression 1000"), std::string::npos);
  results[0] = {DType::string, {}};
  EXPECT_FALSE(verifyModel(b.model).ok());
  results.assign(2, {DType::f32, {}});
  EXPECT_NE(verifyModel(b.model).message().find("1 results but types of 2"), std::string::npos);
}

} // namespace
} // namespace kt::test
