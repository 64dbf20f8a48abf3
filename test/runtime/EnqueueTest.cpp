//===- EnqueueTest.cpp - runs over memory of the caller on the host -------===//
//
// The same calls as on a GPU, where everything is done when they return and all memory is the host's.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModel.h"

#include <cstring>

namespace kt::test {
namespace {

/// y = 2 x and z = y + x over n elements.
ModelBuilder twice() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, 1000));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(2)), b.add(y, x, z, n));
  return b;
}

/// Memory for 16 floats, `offset` floats behind a multiple of 64 bytes.
struct Place {
  explicit Place(size_t offset = 0, float value = 1) : offset(offset) {
    for (float &v : memory)
      v = value;
  }
  float *data() { return memory + offset; }
  std::vector<float> values() { return {data(), data() + 16}; }
  alignas(64) float memory[32];
  size_t offset;
};

std::vector<float> all(float value) { return std::vector<float>(16, value); }
Binding input(float *data) { return Binding::input("x", {"", DataType::f32, {16}, data}); }
Binding output(const char *name, float *data, uint64_t capacity = 64) {
  return Binding::output(name, data, capacity, Memory::host);
}

TEST(Enqueue, UsesMemoryOfTheCaller) {
  auto session = *loadModel(twice().model)->createSession();
  for (size_t offset : {0, 4, 1}) { // in vectors, in smaller ones, in none
    Place x(offset), y(offset, 0), z(offset, 0);
    for (float *to : {y.data(), x.data()}) { // the last in the input's own memory
      Status status = session->enqueue(std::vector{input(x.data()), output("y", to), output("z", z.data())});
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(std::vector<float>(to, to + 16), all(2));
      EXPECT_EQ(z.values(), all(3));
      EXPECT_EQ(session->outputs()[0].data, to);
      EXPECT_EQ(session->outputs()[0].memory, Memory::host);
      EXPECT_TRUE(session->wait().ok());
    }
  }
}

TEST(Enqueue, AllocatesOutputsWhenTheirSizesAreKnown) {
  auto session = *loadModel(twice().model)->createSession();
  for (size_t offset : {0, 1}) { // where the program writes, and where it is copied
    Place x, y(offset, 0), z(0, 0);
    std::string asked;
    auto giving = [&](Place &place) {
      return [&](std::span<const int64_t> dims, uint64_t bytes) -> Result<void *> {
        asked += "[" + std::to_string(dims[0]) + "] " + std::to_string(bytes) + ", ";
        EXPECT_EQ(place.values(), all(0)) << "before anything is computed";
        return place.data();
      };
    };
    Status status =
        session->enqueue(std::vector{input(x.data()), Binding::allocatedOutput("z", giving(z), Memory::host),
                                     Binding::allocatedOutput("y", giving(y), Memory::host)});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(asked, "[16] 64, [16] 64, ");
    EXPECT_EQ(y.values(), all(2));
    EXPECT_EQ(z.values(), all(3));
    EXPECT_EQ(session->outputs()[0].data, y.data());
  }
}

TEST(Enqueue, ProgramsWriteWhereOutputsAreAllocated) {
  ModelBuilder b;
  ExprId n = b.constant(16);
  BufferId x = b.input("x", DType::f32, n), y = b.output("y", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  b.emit(b.scale(x, y, n, b.constant(2)), ReadScalar{s, y, DType::f32, kNone},
         Assert{b.value(s), b.constant(7), "twice is seven"});
  auto session = *loadModel(b.model)->createSession();
  Place in, out(0, 0);
  auto allocate = [&](std::span<const int64_t>, uint64_t) -> Result<void *> { return out.data(); };
  Status status =
      session->enqueue(std::vector{input(in.data()), Binding::allocatedOutput("y", allocate, Memory::host)});
  EXPECT_EQ(status.code(), Code::failed) << "before anything could be copied";
  EXPECT_EQ(out.values(), all(2));
}

TEST(Enqueue, AllocatesOutputsBehindTheRunWhereTheirSizesAreData) {
  ModelBuilder b;
  ExprId n = b.constant(16), four = b.constant(4);
  BufferId x = b.input("x", DType::f32, n);
  SymbolId s = b.symbol("s", Symbol::Kind::Data);
  BufferId y = b.output("y", DType::f32, b.value(s)), z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, z, n, b.constant(5)), ReadScalar{s, z, DType::f32, kNone},
         Copy{x, y, kNone, kNone, b.expr(Op::Mul, b.value(s), four)});
  auto session = *loadModel(b.model)->createSession();
  Place in, z0(0, 0), y0(0, 0);
  bool refuses = false;
  auto allocate = [&](std::span<const int64_t> dims, uint64_t bytes) -> Result<void *> {
    EXPECT_EQ(dims[0], 5);
    EXPECT_EQ(bytes, 20u);
    EXPECT_EQ(z0.values(), all(5)) << "the program has run";
    return refuses ? Result<void *>(Status::usage("no more memory")) : Result<void *>(y0.data());
  };
  std::vector bindings{input(in.data()), output("z", z0.data()), Binding::allocatedOutput("y", allocate, Memory::host)};
  Status status = session->enqueue(bindings);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::vector<float>(y0.data(), y0.data() + 6), (std::vector<float>{1, 1, 1, 1, 1, 0}));
  refuses = true;
  status = session->enqueue(bindings);
  EXPECT_EQ(status.code(), Code::usage);
  EXPECT_EQ(status.message(), "output 'y': no more memory");
  EXPECT_TRUE(session->outputs().empty());
}

TEST(Enqueue, MemoryOfTheModelOutlivesWhoMadeIt) {
  std::weak_ptr<kt::Model> gone;
  std::shared_ptr<void> memory;
  {
    auto model = loadModel(twice().model);
    gone = model;
    auto session = *model->createSession();
    uint64_t before = session->stats().deviceBytes;
    memory = *model->allocate(64);
    std::shared_ptr<void> none = *model->allocate(0);
    EXPECT_GE(session->stats().deviceBytes, before + 64);
    Place x;
    float *y = static_cast<float *>(memory.get());
    ASSERT_TRUE(session->enqueue(std::vector{input(x.data()), output("y", y)}).ok());
    ASSERT_TRUE(session->wait().ok());
    Result<std::shared_ptr<void>> much = model->allocate(uint64_t(1) << 60);
    EXPECT_EQ(much.status().code(), Code::failed);
  }
  EXPECT_EQ(*static_cast<float *>(memory.get()), 2);
  EXPECT_FALSE(gone.expired());
  memory.reset();
  EXPECT_TRUE(gone.expired());
}

TEST(Enqueue, OutputsGoOnAsInputs) {
  auto session = *loadModel(twice().model)->createSession();
  Place x;
  TensorView value = {"", DataType::f32, {16}, x.data()};
  float expected = 1;
  for (int i = 0; i < 6; ++i) {
    Status status = session->enqueue(std::vector{Binding::input("x", value), Binding::ownedOutput("y", Memory::host)});
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(floats(value), all(expected)) << "what the run before has left is unharmed";
    value = session->outputs()[0];
    expected *= 2;
    EXPECT_EQ(floats(value), all(expected));
    EXPECT_EQ(session->outputs()[1].data, nullptr);
  }
  uint64_t bytes = session->stats().peakDeviceBytes;
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(session->enqueue(std::vector{input(x.data()), Binding::ownedOutput("y", Memory::host)}).ok());
  EXPECT_EQ(session->stats().peakDeviceBytes, bytes);
}

TEST(Enqueue, SaysWhatTheHostHasNot) {
  auto session = *loadModel(twice().model)->createSession();
  Place x, y;
  auto message = [&](const std::vector<Binding> &bindings, void *stream = nullptr) {
    Status status = session->enqueue(bindings, stream);
    EXPECT_EQ(status.code(), Code::usage);
    return status.message();
  };
  Binding far = input(x.data());
  far.tensor.memory = Memory::device;
  EXPECT_EQ(message({far}), "input 'x': it is said to be memory of a device, but the session runs on the host");
  EXPECT_EQ(message({input(x.data()), Binding::output("y", y.data(), 64, Memory::device)}),
            "output 'y' is wanted in memory of a device, but the session runs on the host");
  EXPECT_EQ(message({input(x.data()), Binding::ownedOutput("y", Memory::device)}),
            "output 'y' is wanted in memory of a device, but the session runs on the host");
  EXPECT_EQ(message({input(x.data())}, y.data()), "the session runs on the host, where there are no streams");
  EXPECT_EQ(message({input(x.data()), output("y", y.data(), 63)}),
            "output 'y' has 64 bytes but the memory for it has 63");
  EXPECT_EQ(message({input(x.data()), output("y", nullptr)}), "output 'y' has no memory");
  EXPECT_EQ(message({input(x.data()), output("y", y.data()), output("z", y.data() + 8)}),
            "output 'z' and output 'y' are given memory that overlaps");
  auto giving = [](void *memory) {
    return [memory](std::span<const int64_t>, uint64_t) -> Result<void *> { return memory; };
  };
  auto allocated = [&](const char *name, void *memory) {
    return Binding::allocatedOutput(name, giving(memory), Memory::host);
  };
  EXPECT_EQ(message({input(x.data()), allocated("y", nullptr)}), "output 'y' has no memory");
  EXPECT_EQ(message({input(x.data()), allocated("z", y.data() + 8), output("y", y.data())}),
            "output 'z' and output 'y' are given memory that overlaps");
  Binding both = output("y", y.data());
  both.allocate = giving(y.data());
  EXPECT_EQ(message({input(x.data()), both}),
            "output 'y' is given memory, expected none for an output that is to be allocated");
  both = Binding::ownedOutput("y", Memory::host);
  both.allocate = giving(y.data());
  EXPECT_EQ(message({input(x.data()), both}), "output 'y' is to be the session's but is given memory");
  EXPECT_EQ(session->stats().runs, 0u);
  auto event = session->record();
  ASSERT_TRUE(event.ok());
  EXPECT_TRUE((*event)->wait().ok());
  EXPECT_EQ((*event)->delay(y.data()).code(), Code::usage);
}

} // namespace
} // namespace kt::test
