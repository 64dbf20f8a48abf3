//===- IterationsTest.cpp - ktrun's iterations on a GPU -------------------===//
//
// --carry and --resident over the fake driver; test/tools/ktrun/carry.test has them on the host.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Iterations.h"
#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

uint64_t copies() {
  return std::count_if(fake().calls.begin(), fake().calls.end(),
                       [](const std::string &call) { return call.rfind("cuMemcpy", 0) == 0; });
}

/// y = x * 2, z = y + w.
std::shared_ptr<kt::Model> doubling() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  BufferId x = b.input("x", DType::f32, n), w = b.input("w", DType::f32, n);
  BufferId y = b.output("y", DType::f32, n), z = b.output("z", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(2)), b.add(y, w, z, n));
  addGpuCode(b.model, {Entry::add, Entry::scale}, b);
  return loadModel(b.model, kGpu);
}

TEST_P(Cuda, IterationsCarryOnTheDevice) {
  auto model = doubling();
  std::vector<float> x(20, 1), w(20, 100);
  std::vector<TensorView> inputs{tensor("w", w), tensor("x", x)};
  auto carries = ktrun::parseCarries(*model, {"y=x"});
  ASSERT_TRUE(carries.ok()) << carries.status().message();
  for (bool resident : {false, true}) {
    auto session = *model->createSession();
    auto runs = ktrun::Iterations::create(*model, *session, inputs, *carries, resident);
    ASSERT_TRUE(runs.ok()) << runs.status().message();
    for (int round = 0; round < 2; ++round) { // begins anew
      fake().calls.clear();
      Status status = (*runs)->run(6);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(floats(session->outputs()[0]), std::vector<float>(20, 64));
      EXPECT_EQ(floats(session->outputs()[1]), std::vector<float>(20, 164));
      // What is given comes from the host unless it is there; what is carried never does; the last results go there.
      EXPECT_EQ(copies(), 2u + (resident ? 0 : 1 + 6));
    }
    EXPECT_EQ(session->stats().graphRecordings, 1u);
  }
}

TEST_P(Cuda, ResidentRunsCopyNothing) {
  auto model = doubling();
  std::vector<float> x(20, 1), w(20, 100);
  auto session = *model->createSession();
  auto runs = ktrun::Iterations::create(*model, *session, std::vector{tensor("x", x), tensor("w", w)}, {}, true);
  ASSERT_TRUE(runs.ok()) << runs.status().message();
  fake().calls.clear();
  uint64_t patches = 0;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE((*runs)->next(false).ok());
    ASSERT_TRUE(session->wait().ok());
    if (i == 1)
      patches = fake().patches;
  }
  EXPECT_EQ(copies(), 0u);
  EXPECT_EQ(fake().patches, patches) << "all stays where it is";
  EXPECT_EQ(static_cast<const float *>(session->outputs()[1].data)[19], 102);
}

TEST_P(Cuda, CarriesNameAnOutputAndAnInput) {
  ModelBuilder b;
  ExprId n = b.constant(4);
  BufferId x = b.input("b=c", DType::f32, n), y = b.output("a=b", DType::f32, n);
  b.input("c", DType::f32, n);
  b.emit(b.scale(x, y, n, n));
  addGpuCode(b.model, {Entry::scale}, b);
  auto model = loadModel(b.model, kGpu);
  auto message = [&](const std::vector<std::string> &specs) {
    auto carries = ktrun::parseCarries(*model, specs);
    return carries.ok() ? std::to_string(carries->size()) : carries.status().message();
  };
  EXPECT_EQ(message({"a=b=b=c"}), "1");
  EXPECT_EQ(message({"a=b=c"}), "1");
  EXPECT_EQ(message({"a=b=b=c", "a=b=c"}), "2");
  EXPECT_EQ(message({"a=b=c", "a=b=c"}), "--carry 'a=b=c': another output is carried to this input");
  for (const char *spec : {"", "=", "a=b", "b=c", "c=a=b", "a=b=", "=c"})
    EXPECT_EQ(message({spec}),
              "--carry '" + std::string(spec) + "': expected OUTPUT=INPUT, names of an output and of an input");
}

} // namespace
} // namespace kt::test
