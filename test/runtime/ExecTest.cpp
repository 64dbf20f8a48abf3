//===- ExecTest.cpp - hand-made models on the host ------------------------===//
//
// Launches, shapes, control flow, scans, and several threads.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModel.h"

#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>
#include <unistd.h>

namespace kt::test {
namespace {

std::vector<float> ramp(size_t n, float start = 0) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), start);
  return values;
}

/// y = (x + w) * 3 over n elements, where w has `most`.
ModelBuilder affine(size_t most) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, most));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), w = b.weight("w", ramp(most));
  BufferId t = b.temporary(b.expr(Op::Mul, n, b.constant(4)));
  b.emit(b.add(x, w, t, n), b.scale(t, y, n, b.constant(3)));
  return b;
}

void expectAffine(Session &session, size_t n) {
  std::vector<float> x = ramp(n, 100);
  Status status = session.run(std::vector{tensor("x", x)});
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(session.outputs().size(), 1u);
  EXPECT_EQ(session.outputs()[0].dims, std::vector<int64_t>{static_cast<int64_t>(n)});
  std::vector<float> y = floats(session.outputs()[0]);
  for (size_t i = 0; i < n; ++i)
    ASSERT_EQ(y[i], (x[i] + i) * 3) << i;
}

TEST(Exec, OneArtifactRunsManyShapesZeroIncluded) {
  auto model = loadModel(affine(2000).model);
  auto session = *model->createSession();
  for (size_t n : {1000, 7, 0, 2000, 1})
    expectAffine(*session, n);
}

TEST(Exec, UnchangedShapesAreNotPlannedAgain) {
  auto model = loadModel(affine(100).model);
  auto session = *model->createSession();
  for (int i = 0; i < 5; ++i)
    expectAffine(*session, 64);
  uint64_t bytes = session->stats().deviceBytes;
  expectAffine(*session, 64);
  EXPECT_EQ(session->stats().plans, 1u);
  EXPECT_EQ(session->stats().deviceBytes, bytes);
  expectAffine(*session, 65);
  EXPECT_EQ(session->stats().plans, 2u);
}

TEST(Exec, SaysWhichInputIsWrongAndHow) {
  auto model = loadModel(affine(100).model);
  auto session = *model->createSession();
  std::vector<float> x(101);
  std::vector<int64_t> wrong(3);
  auto message = [&](const TensorView &view) {
    Status status = session->run(std::vector{view});
    EXPECT_EQ(status.code(), Code::usage);
    EXPECT_TRUE(session->outputs().empty());
    return status.message();
  };
  EXPECT_EQ(message(tensor("x", x)), "input 'x': expected f32[n] but got f32[101]: 'n' is 101, outside 0..100");
  EXPECT_EQ(message(tensor("x", wrong)), "input 'x': expected f32[n] but got i64[3]");
  EXPECT_EQ(message(tensor("z", x)), "no input is called 'z', expected 'x'");
  EXPECT_EQ(message({"x", DataType::f32, {2, 3}, x.data()}), "input 'x': expected f32[n] but got f32[2, 3]");
  EXPECT_EQ(session->run({}).message(), "input 'x' is missing: expected f32[n]");
}

TEST(Exec, TwoInputsHaveToAgreeOnASymbol) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n"));
  BufferId x = b.input("x", DType::f32, n), y = b.input("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.add(x, y, z, n));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> three(3), four(4);
  EXPECT_EQ(session->run(std::vector{tensor("x", three), tensor("y", four)}).message(),
            "input 'y': expected f32[n] but got f32[4]: 'n' is 4 here but 3 in another place");
}

TEST(Exec, ComputedInputDimensionsAreCheckedInEveryRun) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n"));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  b.input("twice", DType::f32, b.expr(Op::Mul, n, b.constant(2)));
  b.emit(b.scale(x, y, n, n));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> two(2), four(4), five(5);
  EXPECT_TRUE(session->run(std::vector{tensor("x", two), tensor("twice", four)}).ok());
  EXPECT_EQ(session->run(std::vector{tensor("x", two), tensor("twice", five)}).message(),
            "input 'twice': expected f32[n * 2] but got f32[5]: dimension 0 is 5 instead of 4");
}

TEST(Exec, StagesShareAZeroedWorkspaceAndHaveScratch) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n"));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, b.constant(1));
  b.emit(b.sum(x, y, n));
  auto session = *loadModel(b.model)->createSession();
  for (int round = 0; round < 3; ++round) {
    std::vector<float> values = ramp(500, round);
    ASSERT_TRUE(session->run(std::vector{tensor("x", values)}).ok());
    EXPECT_EQ(floats(session->outputs()[0])[0], std::accumulate(values.begin(), values.end(), 0.0f));
  }
}

TEST(Exec, HostCodeReachesTheTableOfExternals) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n"));
  BufferId x = b.input("x", DType::i64, n), y = b.output("y", DType::i64, n);
  b.emit(Launch{b.kernel(Entry::external), {x, y}, {b.expr(Op::Mul, n, b.constant(8))}});
  auto session = *loadModel(b.model)->createSession();
  std::vector<int64_t> values{1, -2, INT64_MAX};
  ASSERT_TRUE(session->run(std::vector{tensor("x", values)}).ok());
  EXPECT_EQ(integers(session->outputs()[0]), values);
}

TEST(Exec, CopyMovesPartsAndChecksItsRange) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, b.expr(Op::Mul, n, b.constant(2)));
  b.emit(
      Copy{x, y, kNone, kNone, bytes}, Copy{x, y, b.constant(4), bytes, b.expr(Op::Sub, bytes, b.constant(4))},
      Copy{x, y, b.constant(0), b.expr(Op::Sub, b.expr(Op::Mul, bytes, b.constant(2)), b.constant(4)), b.constant(4)});
  auto session = *loadModel(b.model)->createSession();
  ASSERT_TRUE(session->run(std::vector{tensor("x", std::vector<float>{1, 2, 3})}).ok());
  EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{1, 2, 3, 2, 3, 1}));
  std::vector<float> none;
  EXPECT_EQ(session->run(std::vector{tensor("x", none)}).message(),
            "the size of a copy 'n * 4 - 4' is -4, expected 0 or more");
}

TEST(Exec, AliasSharesMemory) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n), t = b.temporary(bytes), v = b.temporary(bytes), u = b.temporary(bytes);
  b.emit(b.scale(x, t, n, b.constant(2)), Alias{t, v}, b.scale(x, u, n, b.constant(5)));
  BufferId y = b.output("y", DType::f32, n);
  b.emit(b.add(v, u, y, n));
  b.asOutput("seen", DType::f32, n, v);
  auto session = *loadModel(b.model)->createSession();
  ASSERT_TRUE(session->run(std::vector{tensor("x", std::vector<float>{1, 2})}).ok());
  EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{7, 14}));
  EXPECT_EQ(floats(session->outputs()[1]), (std::vector<float>{2, 4}));
}

/// s = x[0]; y = s ? x * 2 over what is computed in the branch : w
TEST(Exec, IfHandsOverWhatItsBranchYields) {
  ModelBuilder b;
  ExprId four = b.constant(4), bytes = b.constant(16);
  BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, four);
  BufferId w = b.weight("w", {9, 8, 7, 6});
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId t = b.temporary(bytes), r = b.temporary(bytes), y = b.output("y", DType::f32, four);
  If branch;
  branch.condition = b.value(s);
  branch.then = b.list(b.scale(x, t, four, b.constant(2)));
  branch.otherwise = b.list();
  branch.results = {r};
  branch.thenYields = {t};
  branch.otherwiseYields = {w};
  b.emit(ReadScalar{s, c, DType::i64, kNone}, std::move(branch), b.add(r, w, y, four));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> values{1, 2, 3, 4};
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(session->run(std::vector{tensor("x", values), tensor("c", std::vector<int64_t>{1})}).ok());
    EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{11, 12, 13, 14}));
    ASSERT_TRUE(session->run(std::vector{tensor("x", values), tensor("c", std::vector<int64_t>{0})}).ok());
    EXPECT_EQ(floats(session->outputs()[0]), (std::vector<float>{18, 16, 14, 12}));
  }
}

/// What the run before has set says nothing about sizes of this one.
TEST(Exec, ABranchMayYieldASizeThatIsSetAfterIt) {
  ModelBuilder b;
  ExprId eight = b.constant(8), four = b.constant(4);
  BufferId c = b.input("c", DType::i64, b.constant(1)), x = b.input("x", DType::f32, eight);
  SymbolId s = b.symbol("s", Symbol::Kind::Data), later = b.symbol("later", Symbol::Kind::Data);
  BufferId t = b.temporary(b.expr(Op::Mul, b.value(s), four)), u = b.temporary(b.expr(Op::Mul, b.value(s), four));
  BufferId r = b.temporary(b.expr(Op::Mul, b.value(later), four));
  If branch;
  branch.condition = b.value(s);
  branch.then = b.list(b.scale(x, t, b.value(s), b.constant(2)));
  branch.otherwise = b.list(b.scale(x, u, b.value(s), b.constant(3)));
  branch.results = {r};
  branch.thenYields = {t};
  branch.otherwiseYields = {u};
  b.emit(ReadScalar{s, c, DType::i64, kNone}, std::move(branch), SetSymbol{later, b.value(s)});
  b.asOutput("y", DType::f32, b.value(later), r);
  auto session = *loadModel(b.model)->createSession();
  for (int64_t size : {8, 2, 0, 5}) {
    Status status = session->run(std::vector{tensor("x", ramp(8, 1)), tensor("c", std::vector<int64_t>{size})});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(session->outputs()[0].dims, std::vector<int64_t>{size});
  }
}

/// carried = carried + 1 for `trips` rounds, collected forwards and backwards.
ModelBuilder counting(bool withLimit) {
  ModelBuilder b;
  ExprId one = b.constant(1), eight = b.constant(8);
  BufferId trips = b.input("trips", DType::i64, one), x = b.input("x", DType::i64, one);
  SymbolId t = b.symbol("t", Symbol::Kind::Data), k = b.symbol("k", Symbol::Kind::Induction);
  SymbolId done = b.symbol("done", Symbol::Kind::Data), last = b.symbol("last", Symbol::Kind::Data);
  b.emit(ReadScalar{t, trips, DType::i64, kNone}, SetSymbol{last, b.constant(0)});
  BufferId carried = b.temporary(eight), next = b.temporary(eight), result = b.temporary(eight);
  ExprId collected = b.expr(Op::Mul, b.value(done), eight);
  BufferId forward = b.temporary(collected), backward = b.temporary(collected);
  Loop loop;
  if (withLimit)
    loop.condition = b.expr(Op::Lt, b.value(last), b.constant(12)); // until a value of 12 has been seen
  loop.trips = b.value(t);
  loop.induction = k;
  loop.iterations = done;
  loop.init = {x};
  loop.carried = {carried};
  loop.next = {next};
  loop.results = {result};
  loop.scanPieces = {next};
  loop.scan = {forward};
  loop.scanReverse = {0};
  if (!withLimit) {
    loop.scanPieces.push_back(carried);
    loop.scan.push_back(backward);
    loop.scanReverse.push_back(1);
  }
  // The sum of the iteration numbers, to see that they are right.
  loop.body =
      b.list(b.shift(carried, next, one, b.expr(Op::Add, b.value(k), one)), ReadScalar{last, next, DType::i64, kNone});
  b.emit(std::move(loop));
  b.asOutput("result", DType::i64, one, result);
  b.asOutput("forward", DType::i64, b.value(done), forward);
  if (!withLimit)
    b.asOutput("backward", DType::i64, b.value(done), backward);
  return b;
}

TEST(Exec, LoopCarriesAndScans) {
  auto session = *loadModel(counting(false).model)->createSession();
  for (int64_t trips : {4, 0, 3, -2}) {
    std::vector<int64_t> x{10}, expectedForward, expectedBackward;
    int64_t value = 10;
    for (int64_t i = 0; i < trips; ++i) {
      expectedBackward.insert(expectedBackward.begin(), value);
      expectedForward.push_back(value += i + 1);
    }
    Status status = session->run(std::vector{tensor("trips", std::vector<int64_t>{trips}), tensor("x", x)});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(integers(session->outputs()[0]), std::vector<int64_t>{value});
    EXPECT_EQ(integers(session->outputs()[1]), expectedForward);
    EXPECT_EQ(integers(session->outputs()[2]), expectedBackward);
  }
}

TEST(Exec, LoopStopsAtItsCondition) {
  auto session = *loadModel(counting(true).model)->createSession();
  ASSERT_TRUE(
      session->run(std::vector{tensor("trips", std::vector<int64_t>{100}), tensor("x", std::vector<int64_t>{1})}).ok());
  EXPECT_EQ(integers(session->outputs()[1]), (std::vector<int64_t>{2, 4, 7, 11, 16}));
  EXPECT_EQ(integers(session->outputs()[0]), std::vector<int64_t>{16});
}

TEST(Exec, ALoopWithoutEndIsCancelled) {
  std::vector<int64_t> few{3}, x{1};
  ModelBuilder b = counting(true);
  Loop &loop = std::get<Loop>(b.model.program.instructions.back());
  loop.condition = kNone, loop.trips = kNone;
  loop.scan.clear(), loop.scanPieces.clear(), loop.scanReverse.clear();
  b.model.outputs.resize(1);
  auto endless = *loadModel(b.model)->createSession();
  for (int round = 0; round < 2; ++round) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      endless->cancel();
    });
    Status status = endless->run(std::vector{tensor("trips", few), tensor("x", x)});
    other.join();
    EXPECT_EQ(status.code(), Code::failed);
    EXPECT_EQ(status.message(), "the run was cancelled");
  }
}

/// Weights are used where they are mapped.
TEST(Exec, AFileThatChangesIsAnError) {
  Model model = affine(4096).model;
  for (bool cut : {true, false}) {
    std::string path = writeModel(model);
    auto loaded = *kt::Model::load(path, {.device = "host"});
    auto session = *loaded->createSession();
    expectAffine(*session, 4096);
    if (cut) {
      ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(20)); // as fine as times of files are
      auto bytes = readFile(path);
      bytes[bytes.size() / 2] ^= std::byte{1};
      writeFile(path, bytes);
    }
    std::vector<float> x(4096, 1);
    Status status = session->run(std::vector{tensor("x", x)});
    EXPECT_EQ(status.code(), Code::failed);
    EXPECT_EQ(status.message(), "'" + path + "' changed after it was loaded");
  }
  // Another file under the same name is not this one.
  std::string path = writeModel(model);
  auto loaded = *kt::Model::load(path, {.device = "host"});
  auto session = *loaded->createSession();
  ASSERT_EQ(::unlink(path.c_str()), 0);
  writeFile(path, {});
  expectAffine(*session, 4096);
}

TEST(Exec, SteadyStateLoopsTakeNoNewMemory) {
  auto session = *loadModel(counting(false).model)->createSession();
  std::vector<TensorView> inputs;
  std::vector<int64_t> trips{50}, x{1};
  inputs = {tensor("trips", trips), tensor("x", x)};
  ASSERT_TRUE(session->run(inputs).ok());
  ASSERT_TRUE(session->run(inputs).ok());
  uint64_t bytes = session->stats().peakDeviceBytes;
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(session->run(inputs).ok());
  EXPECT_EQ(session->stats().peakDeviceBytes, bytes);
}

/// The number of elements is data: a buffer of the pool.
TEST(Exec, DataDependentSizes) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), four = b.constant(4);
  BufferId count = b.input("count", DType::i64, b.constant(1)), x = b.input("x", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId y = b.output("y", DType::f32, b.value(s));
  b.emit(ReadScalar{s, count, DType::i64, kNone}, Copy{x, y, kNone, kNone, b.expr(Op::Mul, b.value(s), four)});
  b.model.nodes = {"/check"};
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> values{1, 2, 3};
  for (int64_t k : {2, 0, 3}) {
    ASSERT_TRUE(session->run(std::vector{tensor("x", values), tensor("count", std::vector<int64_t>{k})}).ok());
    EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(values.begin(), values.begin() + k));
  }
  Status status = session->run(std::vector{tensor("x", values), tensor("count", std::vector<int64_t>{4})});
  EXPECT_EQ(status.message(), "a copy reads 16 bytes at 0 of buffer 1, which has 12 bytes");
  EXPECT_EQ(status.code(), Code::failed);
}

TEST(Exec, AssertNamesTheNodeAndBothValues) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n"));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  b.model.nodes = {"/layer/Reshape"};
  b.emit(Assert{b.expr(Op::Mod, n, b.constant(2)), b.constant(0), "odd length", 0}, b.scale(x, y, n, n));
  auto session = *loadModel(b.model)->createSession();
  EXPECT_TRUE(session->run(std::vector{tensor("x", std::vector<float>{1, 2})}).ok());
  EXPECT_EQ(session->run(std::vector{tensor("x", std::vector<float>{1})}).message(),
            "node '/layer/Reshape': odd length: 'n % 2' is 1 but '0' is 0");
}

/// A division by zero matters only where its value is used.
TEST(Exec, UnusedFailuresOfExpressionsAreSilent) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n")), zero = b.constant(0), one = b.constant(1);
  ExprId broken = b.expr(Op::FloorDiv, one, n);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), t = b.temporary(b.constant(4));
  If branch;
  branch.condition = b.expr(Op::Lt, zero, n);
  branch.then = b.list(b.scale(x, t, one, broken));
  branch.otherwise = b.list();
  b.emit(std::move(branch), b.scale(x, y, n, b.expr(Op::Select, branch.condition, broken, one)));
  BufferId z = b.output("z", DType::f32, one);
  b.emit(b.scale(x, z, b.expr(Op::Min, n, one), b.expr(Op::Select, b.expr(Op::Lt, n, b.constant(5)), one, broken)));
  auto session = *loadModel(b.model)->createSession();
  std::vector<float> none, two{1, 2};
  EXPECT_TRUE(session->run(std::vector{tensor("x", none)}).ok());
  EXPECT_TRUE(session->run(std::vector{tensor("x", two)}).ok());
}

TEST(Exec, SessionsRunSideBySide) {
  auto model = loadModel(affine(3000).model, {.device = "host", .threads = 3});
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto session = *model->createSession();
      for (size_t round = 0; round < 100; ++round)
        expectAffine(*session, 500 * t + round);
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST(Exec, RefusesADeviceThatIsNotThere) {
  std::string path = writeModel(affine(4).model);
  EXPECT_EQ(kt::Model::load(path, {.device = "tpu"}).status().message(),
            "unknown device 'tpu', expected auto, host or cuda:N");
  EXPECT_EQ(kt::Model::load(path, {.device = "tpu"}).status().code(), Code::usage);
}

} // namespace
} // namespace kt::test
