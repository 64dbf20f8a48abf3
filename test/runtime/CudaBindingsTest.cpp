//===- CudaBindingsTest.cpp - what may be bound, and what becomes of it ---===//
//
// Outputs that the program cannot write where they are wanted, memory that is used for more than one thing, and
// whatever a caller may get wrong.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

constexpr size_t kCount = 16;
constexpr uint64_t kBytes = kCount * sizeof(float);

enum class Way : uint8_t { given, owned, allocated };

/// Runs `model` on x = 1 with its outputs in memory of the caller, in the session's, and in what the caller allocates
/// when it knows their sizes, and gives all to `check`.
template <typename Check> void runAllWays(const Model &model, const Options &options, Check check) {
  auto loaded = loadModel(model, options);
  ASSERT_TRUE(loaded);
  auto session = *loaded->createSession();
  Caller caller;
  float *x = caller.floats(std::vector<float>(kCount, 1));
  std::vector<std::string> names;
  for (const PortInfo &port : loaded->outputs())
    names.push_back(port.name);
  for (int round = 0; round < 3; ++round)
    for (Way way : {Way::given, Way::owned, Way::allocated}) {
      std::vector<Binding> bindings{Binding::input("x", onDevice("", x, kCount))};
      std::vector<const void *> allocated;
      auto allocate = [&](std::span<const int64_t> dims, uint64_t bytes) -> Result<void *> {
        EXPECT_EQ(bytes, dims[0] * sizeof(float));
        allocated.push_back(caller.floats(std::vector<float>(dims[0], -1)));
        return const_cast<void *>(allocated.back());
      };
      for (const std::string &name : names)
        bindings.push_back(
            way == Way::owned ? Binding::ownedOutput(name, Memory::device)
            : way == Way::allocated
                ? Binding::allocatedOutput(name, allocate, Memory::device)
                : Binding::output(name, caller.floats(std::vector<float>(kCount, -1)), kBytes, Memory::device));
      Status status = session->enqueue(bindings);
      ASSERT_TRUE(status.ok()) << status.message();
      status = session->wait();
      ASSERT_TRUE(status.ok()) << status.message();
      std::vector<std::vector<float>> values;
      for (const TensorView &output : session->outputs()) {
        EXPECT_EQ(output.memory, Memory::device);
        EXPECT_NE(output.data, x) << "a result of its own";
        if (way == Way::allocated)
          EXPECT_NE(std::find(allocated.begin(), allocated.end(), output.data), allocated.end());
        values.push_back(caller.read(output.data, output.dims[0]));
      }
      check(values);
      EXPECT_EQ(caller.read(x, kCount), std::vector<float>(kCount, 1));
    }
}

std::vector<float> all(float value) { return std::vector<float>(kCount, value); }

TEST_P(Cuda, OutputsThatTheProgramDoesNotWriteAreCopied) {
  ModelBuilder b;
  ExprId n = b.constant(kCount), bytes = b.constant(kBytes);
  BufferId x = b.input("x", DType::f32, n), w = b.weight("w", all(9)), y = b.output("y", DType::f32, n);
  BufferId t = b.temporary(bytes), v = b.temporary(bytes);
  b.emit(b.scale(x, y, n, b.constant(2)), b.scale(x, t, n, b.constant(3)), Alias{t, v});
  b.asOutput("again", DType::f32, n, y);  // another name of an output
  b.asOutput("same", DType::f32, n, x);   // the input
  b.asOutput("weight", DType::f32, n, w); // a weight
  b.asOutput("alias", DType::f32, n, v);  // of memory that the program writes
  addGpuCode(b.model, {Entry::scale}, b);
  runAllWays(b.model, kGpu,
             [](const auto &values) { EXPECT_EQ(values, (std::vector{all(2), all(2), all(1), all(9), all(3)})); });
}

TEST_P(Cuda, OutputsOfTheHostAndOfThePrologueAreBroughtToTheDevice) {
  for (const std::vector<Entry> &onGpu : {std::vector{Entry::add}, std::vector{Entry::add, Entry::scale}}) {
    ModelBuilder b;
    ExprId n = b.constant(kCount);
    BufferId x = b.input("x", DType::f32, n), w = b.weight("w", all(9));
    BufferId y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
    BufferId table = b.output("table", DType::f32, n);
    Instruction once = b.add(w, w, table, n);
    std::get<Launch>(once).once = true;
    b.emit(std::move(once), b.add(x, table, z, n), b.scale(x, y, n, b.constant(2)));
    addGpuCode(b.model, onGpu, b);
    runAllWays(b.model, kGpu, [](const auto &values) { EXPECT_EQ(values, (std::vector{all(2), all(19), all(18)})); });
  }
}

TEST_P(Cuda, OutputsGoToHostMemoryThatIsAllocatedForThem) {
  ModelBuilder b;
  ExprId n = b.constant(kCount);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), w = b.weight("w", all(3));
  b.emit(b.scale(x, y, n, b.constant(2)));
  b.asOutput("z", DType::f32, n, w);
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (int round = 0; round < 3; ++round) {
    std::vector<float> in(kCount, 1.0f + round), memory[2] = {all(0), all(0)};
    auto giving = [&](size_t number) {
      return [&memory, number](std::span<const int64_t>, uint64_t) -> Result<void *> { return memory[number].data(); };
    };
    Status status = session->enqueue(std::vector{Binding::input("x", {"", DataType::f32, {kCount}, in.data()}),
                                                 Binding::allocatedOutput("y", giving(0), Memory::host),
                                                 Binding::allocatedOutput("z", giving(1), Memory::host)});
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(session->wait().ok());
    EXPECT_EQ(memory[0], all(2.0f + 2 * round));
    EXPECT_EQ(memory[1], all(3));
    EXPECT_EQ(session->outputs()[0].data, memory[0].data());
    EXPECT_EQ(session->outputs()[1].data, memory[1].data());
    EXPECT_EQ(session->outputs()[0].memory, Memory::host);
  }
}

TEST_P(Cuda, OutputsWhoseSizeIsDataAreHandedOver) {
  ModelBuilder b;
  ExprId n = b.constant(kCount), four = b.constant(4);
  BufferId x = b.input("x", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  ExprId bytes = b.expr(Op::Mul, b.value(s), four);
  BufferId y = b.output("y", DType::f32, b.expr(Op::Add, b.value(s), b.constant(4)));
  BufferId z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, z, n, b.constant(5)), ReadScalar{s, z, DType::f32, kNone}, Copy{x, y, kNone, kNone, bytes},
         Copy{z, y, kNone, bytes, b.constant(16)});
  addGpuCode(b.model, {Entry::scale}, b);
  runAllWays(b.model, kGpu, [](const auto &values) {
    EXPECT_EQ(values[0], (std::vector<float>{1, 1, 1, 1, 1, 5, 5, 5, 5}));
    EXPECT_EQ(values[1], all(5));
  });
  // How much it is, is known too late to say before the run.
  auto session = *loadModel(b.model, kGpu)->createSession();
  Caller caller;
  float *in = caller.floats(all(1)), *y0 = caller.floats(all(-1));
  Status status = session->enqueue(
      std::vector{Binding::input("x", onDevice("", in, kCount)), Binding::output("y", y0, 32, Memory::device)});
  EXPECT_EQ(status.code(), Code::usage);
  EXPECT_EQ(status.message(), "output 'y' has 36 bytes but the memory for it has 32");
  EXPECT_EQ(caller.read(y0, kCount), all(-1));
}

/// y = x * 2 + x needs x to the end.
TEST_P(Cuda, AnOutputMayTakeTheMemoryOfAnInput) {
  ModelBuilder b;
  ExprId n = b.constant(kCount);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(2)), b.add(y, x, z, n));
  addGpuCode(b.model, {Entry::scale, Entry::add}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  Caller caller;
  float *memory = caller.floats(std::vector<float>(2 * kCount, 1)), *z0 = caller.floats(all(0));
  float expected = 1;
  for (int i = 0; i < 4; ++i) {
    Status status = session->enqueue(std::vector{Binding::input("x", onDevice("", memory, kCount)),
                                                 Binding::output("y", memory, kBytes, Memory::device),
                                                 Binding::output("z", z0, kBytes, Memory::device)});
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(session->wait().ok());
    EXPECT_EQ(caller.read(memory, kCount), all(2 * expected));
    EXPECT_EQ(caller.read(z0, kCount), all(3 * expected));
    expected *= 2;
  }
  // Where they overlap in part as well.
  std::fill_n(memory, 2 * kCount, 1.0f);
  Status status = session->enqueue(std::vector{Binding::input("x", onDevice("", memory, kCount)),
                                               Binding::output("y", memory + 4, kBytes, Memory::device),
                                               Binding::output("z", z0, kBytes, Memory::device)});
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_TRUE(session->wait().ok());
  EXPECT_EQ(caller.read(memory + 4, kCount), all(2));
  EXPECT_EQ(caller.read(z0, kCount), all(3));
}

TEST_P(Cuda, WhatIsBoundWrongly) {
  auto session = *loadModel(chain(2, {Entry::add, Entry::scale}).model, kGpu)->createSession();
  Caller caller;
  float *x = caller.floats(all(1)), *y = caller.floats(all(0)), *pinned = caller.pinned(all(0));
  std::vector<float> host = all(1);
  TensorView good = onDevice("", x, kCount);
  auto message = [&](std::vector<Binding> bindings, void *stream = nullptr) {
    Status status = session->enqueue(bindings, stream);
    EXPECT_EQ(status.code(), Code::usage) << status.message();
    EXPECT_TRUE(session->outputs().empty());
    return status.message();
  };
  auto in = [&](const TensorView &view) { return Binding::input("x", view); };
  auto out = [&](void *data, uint64_t capacity = kBytes, Memory memory = Memory::device) {
    return Binding::output("y", data, capacity, memory);
  };
  // Names.
  EXPECT_EQ(message({Binding::input("z", good)}), "no input is called 'z', expected 'x'");
  EXPECT_EQ(message({in(good), Binding::output("z", y, kBytes, Memory::device)}),
            "no output is called 'z', expected 'y'");
  EXPECT_EQ(message({in(good), in(good)}), "input 'x' is given twice");
  EXPECT_EQ(message({in(good), out(y), Binding::ownedOutput("y", Memory::device)}), "output 'y' is given twice");
  EXPECT_EQ(message({}), "input 'x' is missing: expected f32[n]");
  // Shapes and sizes.
  EXPECT_EQ(message({in({"", DataType::f32, {300}, x, Memory::device})}),
            "input 'x': expected f32[n] but got f32[300]: 'n' is 300, outside 1..256");
  EXPECT_EQ(message({in({"", DataType::i64, {16}, x, Memory::device})}), "input 'x': expected f32[n] but got i64[16]");
  EXPECT_EQ(message({in(good), out(y, kBytes - 1)}), "output 'y' has 64 bytes but the memory for it has 63");
  EXPECT_EQ(message({in(good), out(y, 0)}), "output 'y' has 64 bytes but the memory for it has 0");
  EXPECT_EQ(message({in(good), out(nullptr, 0)}), "output 'y' has 64 bytes but the memory for it has 0");
  // Pointers.
  EXPECT_EQ(message({in(onDevice("", nullptr, kCount))}), "input 'x' has no data");
  EXPECT_EQ(message({in(good), out(nullptr)}), "output 'y' has no memory");
  EXPECT_EQ(message({in(onDevice("", x + 1, kCount - 1))}),
            "input 'x': its address is 4 behind a multiple of 16, expected such a multiple");
  EXPECT_EQ(message({in(good), out(y + 2, kBytes - 8)}),
            "output 'y': its address is 8 behind a multiple of 16, expected such a multiple");
  EXPECT_EQ(message({in(onDevice("", host.data(), kCount))}),
            "input 'x': the driver knows of no memory there, it may have been freed");
  EXPECT_EQ(message({in(onDevice("", pinned, kCount))}),
            "input 'x': it is memory of the host, expected memory of cuda:0");
  EXPECT_EQ(message({in(good), out(pinned)}), "output 'y': it is memory of the host, expected memory of cuda:0");
  EXPECT_EQ(message({in(good), out(host.data(), kBytes, Memory::host)}),
            "output 'y' is given memory of the host, expected memory of the device, or none for an output that the "
            "session owns");
  Binding both = Binding::ownedOutput("y", Memory::device);
  both.tensor.data = y;
  EXPECT_EQ(message({in(good), both}), "output 'y' is to be the session's but is given memory");
  float *freed = caller.floats(all(1));
  caller.release(freed);
  EXPECT_EQ(message({in(onDevice("", freed, kCount))}),
            "input 'x': the driver knows of no memory there, it may have been freed");
  // None of it stands in the way of a run.
  expectChain(*session, 2, 16, 1);
}

TEST_P(Cuda, MemoryAndStreamsOfOthersAreTold) {
  auto session = *loadModel(chain(2, {Entry::add, Entry::scale}).model, kGpu)->createSession();
  int near = 0, far = 0;
  fake().contexts = {{&near, 0}, {&far, 1}};
  Caller caller, beside(&near), away(&far);
  float *x = caller.floats(all(1));
  auto message = [&](const TensorView &view, void *stream) {
    Status status = session->enqueue(std::vector{Binding::input("x", view)}, stream);
    EXPECT_EQ(status.code(), Code::usage);
    return status.message();
  };
  EXPECT_EQ(message(onDevice("", beside.floats(all(1)), kCount), nullptr),
            "input 'x': it is memory of another context of cuda:0, expected the primary one");
  EXPECT_EQ(message(onDevice("", away.floats(all(1)), kCount), nullptr),
            "input 'x': it is memory of cuda:1, expected cuda:0");
  EXPECT_EQ(message(onDevice("", x, kCount), beside.stream),
            "the stream is of another context of cuda:0, expected the primary one");
  EXPECT_EQ(message(onDevice("", x, kCount), away.stream), "the stream is of another device, expected cuda:0");
  fake().failing = "cuStreamGetCtx";
  EXPECT_EQ(message(onDevice("", x, kCount), caller.stream),
            "the stream is none of the driver's: cuStreamGetCtx: CUDA_ERROR_UNKNOWN (as the fake was told)");
  fake().failing.clear();
  caller.driver.StreamBeginCapture(caller.stream, device::cuda::kCaptureThreadLocal);
  EXPECT_EQ(message(onDevice("", x, kCount), caller.stream),
            "the stream is being captured, which runs do not take part in");
  device::cuda::Graph graph = nullptr;
  caller.driver.StreamEndCapture(caller.stream, &graph);
  if (graph)
    caller.driver.GraphDestroy(graph);
  auto event = *session->record();
  EXPECT_EQ(event->delay(away.stream).code(), Code::usage);
}

TEST_P(Cuda, OutputsDoNotShareMemory) {
  ModelBuilder b;
  ExprId n = b.constant(kCount);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(2)), b.scale(x, z, n, b.constant(3)));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  Caller caller;
  float *memory = caller.floats(std::vector<float>(2 * kCount));
  std::vector<float> values = all(1);
  for (float *second : {memory, memory + 4, memory + kCount}) {
    Status status = session->enqueue(std::vector{Binding::input("x", tensor("", values)),
                                                 Binding::output("y", memory, kBytes, Memory::device),
                                                 Binding::output("z", second, kBytes, Memory::device)});
    if (second == memory + kCount)
      EXPECT_TRUE(status.ok()) << status.message();
    else
      EXPECT_EQ(status.message(), "output 'z' and output 'y' are given memory that overlaps");
  }
  EXPECT_TRUE(session->wait().ok());
  EXPECT_EQ(caller.read(memory, kCount), all(2));
  EXPECT_EQ(caller.read(memory + kCount, kCount), all(3));
}

/// Tensors without elements need no memory.
TEST_P(Cuda, NothingIsBoundToNothing) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, 256));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(2)));
  addGpuCode(b.model, {Entry::scale}, b);
  auto session = *loadModel(b.model, kGpu)->createSession();
  for (int i = 0; i < 3; ++i) {
    Status status = session->enqueue(
        std::vector{Binding::input("x", onDevice("", nullptr, 0)), Binding::output("y", nullptr, 0, Memory::device)});
    EXPECT_TRUE(status.ok()) << status.message();
    status = session->enqueue(
        std::vector{Binding::input("x", onDevice("", nullptr, 0)), Binding::ownedOutput("y", Memory::device)});
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(session->outputs()[0].dims, std::vector<int64_t>{0});
  }
  EXPECT_TRUE(session->wait().ok());
}

} // namespace
} // namespace kt::test
