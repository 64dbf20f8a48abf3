//===- HostRunner.h - compiles and runs host kernels in tests -------------===//
//
// A kernel comes as text, is compiled for every host level, and what this CPU has of them is mapped and run task by
// task, last task first, so that hidden dependences between tasks show, over buffers that touch protected pages.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_CODEGEN_HOSTRUNNER_H
#define KT_TEST_CODEGEN_HOSTRUNNER_H

#include "codegen/Host/Host.h"
#include "test/codegen/GuardedMemory.h"
#include <random>
#include <string>

namespace kt::test {

class HostKernel {
public:
  static constexpr int kMostThreads = 64; // of a measurement
  /// `text` is the kernel's body in kt syntax: "^bb0(%x: ...): ... kt.yield ..."; `params` says how many p0.. it has.
  HostKernel(const std::string &text, int params);
  ~HostKernel();
  bool ok() const { return !targets.empty(); }
  /// Instruction sets that there is code for and that this CPU has, the narrowest first.
  size_t numTargets() const { return targets.size(); }
  /// Runs all stages. `buffers` are operands, then results; they have exactly the bytes that their types say. Where the
  /// code touches anything else, or an operand changes, the test fails and says which buffer of which kernel it was.
  /// `threads` 0: all tasks in one call. All instruction sets run; results are those of number `shown`.
  void run(const std::vector<void *> &buffers, const std::vector<int64_t> &ints, int threads = 1,
           size_t shown = 0) const;
  /// All tasks over the buffers as they are, without any checks: for measurements.
  void runInPlace(const std::vector<void *> &buffers, const std::vector<int64_t> &ints, size_t target = 0,
                  int threads = 1) const;
  const codegen::KernelCode &getCode() const { return code; }
  mutable artifact::FaultRecord faults; // of the latest run
  double compileMs = 0;

private:
  /// The code for one instruction set.
  struct Target {
    const artifact::Variant *variant = nullptr;
    void *image = nullptr;
    size_t bytes = 0;
  };
  struct Buffer {
    std::string name; // "operand 0"
    artifact::ExprId bytes;
  };
  void runOn(const Target &target, const std::vector<void *> &buffers, const std::vector<int64_t> &ints, int threads,
             Side side) const;
  int64_t evaluate(artifact::ExprId id, const std::vector<int64_t> &ints) const;
  codegen::KernelCode code;
  std::vector<artifact::Expr> exprs;
  std::vector<Target> targets; // v3 first
  std::vector<Buffer> signature;
  size_t numOperands = 0;
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
