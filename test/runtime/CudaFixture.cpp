//===- CudaFixture.cpp - tests over the fake CUDA driver ------------------===//
//
// See CudaFixture.h.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include "runtime/device/Device.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>

namespace kt::test {

namespace {
template <typename F> F *ofDriver(const char *name) {
  static void *library = ::dlopen("libcuda.so.1", RTLD_NOW);
  return reinterpret_cast<F *>(::dlsym(library, name));
}
} // namespace

FakeCudaState &fake() {
  static FakeCudaState *state = ofDriver<decltype(fakeCudaState)>("fakeCudaState")();
  return *state;
}

uint64_t pendingWork() { return ofDriver<decltype(fakeCudaPending)>("fakeCudaPending")(); }

void Cuda::SetUp() {
  FakeCudaState fresh;
  fresh.policy = GetParam().policy;
  fresh.seed = GetParam().seed;
  ofDriver<decltype(fakeCudaReset)>("fakeCudaReset")(&fresh);
}

void Cuda::TearDown() {
  EXPECT_EQ(fake().liveObjects, 0) << "something was not given back";
  EXPECT_EQ(fake().violations, std::vector<std::string>());
  EXPECT_EQ(pendingWork(), 0u) << "something was not waited for";
}

INSTANTIATE_TEST_SUITE_P(Driver, Cuda, ::testing::ValuesIn(kOrders),
                         [](const auto &info) { return std::string(info.param.name); });

namespace {
uint32_t addModule(Model &model, const std::string &target, const std::string &mark) {
  Module module;
  module.kind = Module::Kind::Ptx;
  module.target = target;
  for (char c : ".version 8.0 .target sm_89 // fake " + mark)
    module.code.push_back(static_cast<std::byte>(c));
  model.modules.push_back(module);
  if (std::find(model.targets.begin(), model.targets.end(), target) == model.targets.end())
    model.targets.push_back(target);
  return model.modules.size() - 1;
}

void addVariant(Kernel &kernel, uint32_t module, ExprId guard, const std::string &target) {
  Variant v;
  v.target = target;
  v.guard = guard;
  Stage stage;
  stage.module = module;
  stage.entry = kernel.name;
  // 2 is ceildiv(n, 16).
  stage.grid[0] = 2;
  stage.block = {16, 1, 1};
  v.stages = {stage};
  kernel.variants.insert(kernel.variants.begin(), v);
}
} // namespace

void addGpuVariant(Model &model, uint32_t kernel, const std::string &mark, ExprId guard, const std::string &target) {
  addVariant(model.kernels[kernel], addModule(model, target, mark), guard, target);
}

void addGpuCode(Model &model, const std::vector<Entry> &entries, ModelBuilder &b) {
  uint32_t module = addModule(model, "sm_89", "");
  for (Entry entry : entries)
    addVariant(model.kernels[b.kernel(entry)], module, kNone, "sm_89");
}

ModelBuilder chain(size_t layers, const std::vector<Entry> &onGpu) {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  ExprId bytes = b.expr(Op::Mul, n, b.constant(4)), two = b.constant(2);
  BufferId x = b.input("x", DType::f32, n);
  std::vector<uint32_t> cuts;
  for (size_t i = 0; i < layers; ++i) {
    BufferId w = b.weight("w" + std::to_string(i), std::vector<float>(256, static_cast<float>(i + 1)));
    BufferId t = b.temporary(bytes);
    BufferId y = i + 1 == layers ? b.output("y", DType::f32, n) : b.temporary(bytes);
    if (i)
      cuts.push_back(2 * i);
    b.emit(b.add(x, w, t, n), b.scale(t, y, n, two));
    x = y;
  }
  b.slice(cuts);
  addGpuCode(b.model, onGpu, b);
  return b;
}

void expectChain(Session &session, size_t layers, size_t n, float start) {
  std::vector<float> x(n, start);
  Status status = session.run(std::vector{tensor("x", x)});
  ASSERT_TRUE(status.ok()) << status.message();
  float expected = start;
  for (size_t i = 0; i < layers; ++i)
    expected = (expected + static_cast<float>(i + 1)) * 2;
  EXPECT_EQ(floats(session.outputs()[0]), std::vector<float>(n, expected));
}

Caller::Caller(void *given) : driver(**device::cuda::driver()), context(static_cast<device::cuda::Context>(given)) {
  device::CallerContext keep;
  if (!context) {
    driver.PrimaryCtxRetain(&context, 0);
    driver.PrimaryCtxRelease(0); // a model keeps it
  }
  enter();
  driver.StreamCreate(&stream, device::cuda::kStreamNonBlocking);
}

Caller::~Caller() {
  device::CallerContext keep;
  synchronize();
  driver.StreamDestroy(stream);
  for (float *block : blocks)
    driver.MemFree(reinterpret_cast<device::cuda::DevicePointer>(block));
  for (float *block : pinnedBlocks)
    driver.MemFreeHost(block);
}

float *Caller::floats(const std::vector<float> &values) {
  device::CallerContext keep;
  enter();
  device::cuda::DevicePointer memory = 0;
  driver.MemAlloc(&memory, values.size() * sizeof(float));
  auto *block = reinterpret_cast<float *>(memory); // the fake's device memory is host memory
  std::copy(values.begin(), values.end(), block);
  return blocks.emplace_back(block);
}

float *Caller::pinned(const std::vector<float> &values) {
  device::CallerContext keep;
  enter();
  void *memory = nullptr;
  driver.MemHostAlloc(&memory, values.size() * sizeof(float), 0);
  auto *block = static_cast<float *>(memory);
  std::copy(values.begin(), values.end(), block);
  return pinnedBlocks.emplace_back(block);
}

std::vector<float> Caller::read(const void *memory, size_t count) const {
  const auto *values = static_cast<const float *>(memory);
  return {values, values + count};
}

void Caller::release(float *memory) {
  device::CallerContext keep;
  enter();
  driver.MemFree(reinterpret_cast<device::cuda::DevicePointer>(memory));
  std::erase(blocks, memory);
}

void Caller::copyIn(float *to, const float *from, size_t count) const {
  device::CallerContext keep;
  enter();
  driver.MemcpyHtoDAsync(reinterpret_cast<device::cuda::DevicePointer>(to), from, count * sizeof(float), stream);
}

void Caller::copyOut(float *to, const void *from, size_t count) const {
  device::CallerContext keep;
  enter();
  driver.MemcpyDtoHAsync(to, reinterpret_cast<device::cuda::DevicePointer>(from), count * sizeof(float), stream);
}

void Caller::synchronize() const {
  enter();
  driver.StreamSynchronize(stream);
}

} // namespace kt::test
