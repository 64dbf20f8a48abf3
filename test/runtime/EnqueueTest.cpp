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
  EXPECT_EQ(y.values(), all(1)) << "nothing of that was written";
  auto event = session->record();
  ASSERT_TRUE(event.ok());
  EXPECT_TRUE((*event)->wait().ok());
  EXPECT_EQ((*event)->delay(y.data()).code(), Code::usage);
}

} // namespace
} // namespace kt::test
