//===- HostRunner.cpp - compiles and runs host kernels in tests -----------===//

#include "HostRunner.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <thread>

using namespace kt;
using namespace kt::test;

static mlir::MLIRContext &context() {
  static mlir::MLIRContext *shared = [] {
    auto *c = new mlir::MLIRContext();
    codegen::loadHostDialects(*c);
    return c;
  }();
  return *shared;
}

HostKernel::HostKernel(const std::string &text, int params) {
  std::string names;
  for (int i = 0; i < params; ++i)
    names += (i ? ", \"p" : "\"p") + std::to_string(i) + "\"";
  std::string source = "kt.kernel @k [" + names + "] computes {\n" + text + "\n}\n";
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context());
  if (!module) {
    ADD_FAILURE() << "kernel does not parse";
    return;
  }
  codegen::ExprPool pool;
  codegen::SharedCode library;
  // The thread's own time: other work on the machine does not count.
  auto now = [] {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
  };
  double start = now();
  auto compiled =
      codegen::compileHostKernel(*module->getOps<KernelOp>().begin(), {"host-v3", "host-v4"}, library, pool);
  compileMs = now() - start;
  if (mlir::failed(compiled)) {
    ADD_FAILURE() << "kernel does not compile";
    return;
  }
  code = std::move(*compiled);
  exprs = pool.take();
  for (const artifact::Variant &v : code.variants)
    if (v.target == "host-v3")
      variant = &v;
  const artifact::Module &m = code.modules[variant->stages[0].module];
  imageBytes = m.code.size();
  image = mmap(nullptr, imageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::memcpy(image, m.code.data(), imageBytes);
  mprotect(image, imageBytes, PROT_READ | PROT_EXEC);
}

HostKernel::~HostKernel() {
  if (image)
    munmap(image, imageBytes);
}

int64_t HostKernel::evaluate(artifact::ExprId id, const std::vector<int64_t> &ints) const {
  using Op = artifact::Expr::Op;
  const artifact::Expr &e = exprs[id];
  auto a = [&] { return evaluate(e.a, ints); };
  auto b = [&] { return evaluate(e.b, ints); };
  auto floorDiv = [](int64_t x, int64_t y) { return x / y - (x % y != 0 && (x < 0) != (y < 0)); };
  switch (e.op) {
  case Op::Const:
    return e.imm;
  case Op::Symbol:
    return ints[e.imm];
  case Op::Fact:
    return 1;
  case Op::Add:
    return a() + b();
  case Op::Sub:
    return a() - b();
  case Op::Mul:
    return a() * b();
  case Op::FloorDiv:
    return floorDiv(a(), b());
  case Op::CeilDiv:
    return -floorDiv(-a(), b());
  case Op::Mod:
    return a() - floorDiv(a(), b()) * b();
  case Op::Min:
    return std::min(a(), b());
  case Op::Max:
    return std::max(a(), b());
  case Op::Eq:
    return a() == b();
  case Op::Ne:
    return a() != b();
  case Op::Lt:
    return a() < b();
  case Op::Le:
    return a() <= b();
  case Op::And:
    return a() && b();
  case Op::Or:
    return a() || b();
  case Op::Select:
    return a() ? b() : evaluate(e.c, ints);
  }
  return 0;
}

void HostKernel::run(std::vector<void *> buffers, std::vector<int64_t> ints, int threads) const {
  constexpr size_t guard = 4096;
  auto bytes = [&](artifact::ExprId id) { return id == artifact::kNone ? 0 : (size_t)evaluate(id, ints); };
  faults = {};
  size_t workspaceBytes = bytes(variant->workspace);
  void *workspace = std::aligned_alloc(256, (workspaceBytes + guard) / 256 * 256 + 256);
  std::memset(workspace, variant->workspaceZeroed ? 0 : 0xcd, workspaceBytes);
  for (const artifact::Stage &stage : variant->stages) {
    int64_t tasks = evaluate(stage.grid[0], ints);
    size_t scratchBytes = bytes(stage.scratch);
    auto entry = reinterpret_cast<void (*)(const artifact::HostArgs *)>((char *)image + stage.entryOffset);
    auto worker = [&](int64_t begin, int64_t end, bool oneByOne) {
      char *scratch = (char *)std::aligned_alloc(64, (scratchBytes + guard) / 64 * 64 + 64);
      std::memset(scratch, 0xcd, scratchBytes);
      std::memset(scratch + scratchBytes, 0x5a, guard);
      artifact::HostArgs args{buffers.data(), ints.data(), workspace, scratchBytes ? scratch : nullptr,
                              begin,          end,         nullptr,   &faults};
      if (!oneByOne)
        entry(&args);
      else
        for (int64_t t = end; t-- > begin;) {
          args.begin = t;
          args.end = t + 1;
          entry(&args);
        }
      for (size_t i = 0; i < guard; ++i)
        if (scratch[scratchBytes + i] != 0x5a) {
          ADD_FAILURE() << "scratch of " << scratchBytes << " bytes overrun at +" << i;
          break;
        }
      std::free(scratch);
    };
    if (threads == 1) {
      worker(0, tasks, true);
      continue;
    }
    if (threads == 0) { // all tasks in one call
      worker(0, tasks, false);
      continue;
    }
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t)
      pool.emplace_back(worker, tasks * t / threads, tasks * (t + 1) / threads, false);
    for (std::thread &t : pool)
      t.join();
  }
  std::free(workspace);
}

uint16_t kt::test::toHalf(float x) {
  _Float16 h = (_Float16)x;
  uint16_t bits;
  std::memcpy(&bits, &h, 2);
  return bits;
}
float kt::test::fromHalf(uint16_t x) {
  _Float16 h;
  std::memcpy(&h, &x, 2);
  return (float)h;
}
uint16_t kt::test::toBFloat(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
float kt::test::fromBFloat(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

void kt::test::expectClose(const std::vector<float> &actual, const std::vector<float> &expected, double atol,
                           double rtol, const std::string &what) {
  ASSERT_EQ(actual.size(), expected.size());
  size_t bad = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    double a = actual[i], b = expected[i];
    if ((std::isnan(a) && std::isnan(b)) || a == b || std::abs(a - b) <= atol + rtol * std::abs(b))
      continue;
    if (bad++ < 3)
      ADD_FAILURE() << what << ": element " << i << " is " << a << " but should be " << b;
  }
  EXPECT_EQ(bad, 0u) << what << ": wrong elements of " << actual.size();
}
