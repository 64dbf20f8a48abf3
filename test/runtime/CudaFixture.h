//===- CudaFixture.h - tests over the fake CUDA driver --------------------===//
//
// A fixture that starts from a fresh driver and sees that nothing is left behind, and a model with GPU code.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_CUDAFIXTURE_H
#define KT_TEST_RUNTIME_CUDAFIXTURE_H

#include "runtime/device/CudaDriver.h"
#include "test/runtime/FakeCuda.h"
#include "test/runtime/TestModel.h"

namespace kt::test {

FakeCudaState &fake();

/// When the driver runs work: a policy, with its seed where it is one.
struct Order {
  const char *name;
  FakeCudaPolicy policy;
  unsigned seed = 1;
};

inline constexpr Order kOrders[] = {
    {"early", FakeCudaPolicy::early},           {"late", FakeCudaPolicy::late},
    {"firstEarly", FakeCudaPolicy::firstEarly}, {"secondEarly", FakeCudaPolicy::secondEarly},
    {"random1", FakeCudaPolicy::random, 1},     {"random2", FakeCudaPolicy::random, 2}};

/// Every test runs under every order that a driver may choose.
class Cuda : public ::testing::TestWithParam<Order> {
protected:
  void SetUp() override;
  void TearDown() override;
};
/// Work that was enqueued and has not run.
uint64_t pendingWork();

/// Gives a kernel a variant for `target` with a module of its own, whose text has `mark` in it, before the variants
/// that it has. `guard` is an expression of the kernel.
void addGpuVariant(Model &model, uint32_t kernel, const std::string &mark, ExprId guard = kNone,
                   const std::string &target = "sm_89");

/// Gives kernels of the model GPU variants that share a module.
void addGpuCode(Model &model, const std::vector<Entry> &entries, ModelBuilder &b);

/// y = ((x + w0) * 2 + w1) * 2 + ..., a slice for each weight of 256 floats.
ModelBuilder chain(size_t layers, const std::vector<Entry> &onGpu);

void expectChain(Session &session, size_t layers, size_t n, float start);

/// A program that uses the GPU beside the runtime: memory and a stream of its own, in the primary context unless
/// another one is asked for.
class Caller {
public:
  explicit Caller(void *context = nullptr);
  ~Caller();
  Caller(const Caller &) = delete;
  Caller &operator=(const Caller &) = delete;

  /// Memory of the device that holds these numbers.
  float *floats(const std::vector<float> &values);
  /// The same of pinned memory.
  float *pinned(const std::vector<float> &values);
  /// What lies on the device once the runtime's work is waited for.
  std::vector<float> read(const void *memory, size_t count) const;
  void release(float *memory);
  /// Copies on the caller's stream, without waiting.
  void copyIn(float *to, const float *from, size_t count) const;
  void copyOut(float *to, const void *from, size_t count) const;
  void synchronize() const;
  device::cuda::Stream stream = nullptr;
  const device::cuda::Driver &driver;

private:
  void enter() const { driver.CtxSetCurrent(context); }
  device::cuda::Context context;
  std::vector<float *> blocks, pinnedBlocks;
};

inline const Options kGpu{.device = "cuda:0", .threads = 2};

} // namespace kt::test

#endif
