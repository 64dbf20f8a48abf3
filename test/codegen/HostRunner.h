//===- HostRunner.h - compiles and runs host kernels in tests -------------===//
//
// A kernel comes as text, is compiled for every host level, and its v3 image is mapped and run task by task, last task
// first, so that hidden dependences between tasks show.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_CODEGEN_HOSTRUNNER_H
#define KT_TEST_CODEGEN_HOSTRUNNER_H

#include "codegen/Host/Host.h"
#include <random>
#include <string>

namespace kt::test {

class HostKernel {
public:
  /// `text` is the kernel's body in kt syntax: "^bb0(%x: ...): ... kt.yield ..."; `params` says how many p0.. it has.
  HostKernel(const std::string &text, int params);
  ~HostKernel();
  bool ok() const { return image != nullptr; }
  /// Runs all stages. `buffers` are operands, then results.
  void run(std::vector<void *> buffers, std::vector<int64_t> ints, int threads = 1) const;
  const codegen::KernelCode &getCode() const { return code; }
  mutable artifact::FaultRecord faults; // of the latest run
  double compileMs = 0;

private:
  int64_t evaluate(artifact::ExprId id, const std::vector<int64_t> &ints) const;
  codegen::KernelCode code;
  std::vector<artifact::Expr> exprs;
  const artifact::Variant *variant = nullptr; // the v3 one
  void *image = nullptr;
  size_t imageBytes = 0;
};

/// Uniform numbers in [lo, hi).
template <typename T = float> std::vector<T> randomVector(size_t n, double lo = -1, double hi = 1, unsigned seed = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> distribution(lo, hi);
  std::vector<T> v(n);
  for (T &x : v)
    x = (T)distribution(engine);
  return v;
}

uint16_t toHalf(float x);
float fromHalf(uint16_t x);
uint16_t toBFloat(float x);
float fromBFloat(uint16_t x);

/// Fails the test unless |a - b| <= atol + rtol |b| everywhere, with NaN equal to NaN.
void expectClose(const std::vector<float> &actual, const std::vector<float> &expected, double atol, double rtol,
                 const std::string &what);

} // namespace kt::test

#endif
