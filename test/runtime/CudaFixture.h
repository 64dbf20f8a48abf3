//===- CudaFixture.h - tests over the fake CUDA driver --------------------===//
//
// A fixture that starts from a fresh driver and sees that nothing is left behind, and a model with GPU code.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_CUDAFIXTURE_H
#define KT_TEST_RUNTIME_CUDAFIXTURE_H

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

inline const Options kGpu{.device = "cuda:0", .threads = 2};

} // namespace kt::test

#endif
