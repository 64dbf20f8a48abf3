//===- HostRunner.cpp - compiles and runs host kernels in tests -----------===//

#include "HostRunner.h"
#include "dialects/KT/Schedule/Products.h"
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
  // A CPU that has products of bytes in AVX-512's encoding alone runs AVX2's code for them in that encoding.
  bool wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  bool wideVnni = wide && __builtin_cpu_supports("avx512vnni"), vnni = wideVnni || __builtin_cpu_supports("avxvnni");
  codegen::host::Isa narrow = *codegen::host::findIsa("host-v3-vnni");
  if (wideVnni)
    narrow.features = "+avx512vnni,+avx512vl";
  llvm::SmallVector<const codegen::host::Isa *> isas = {codegen::host::findIsa("host-v3"),
                                                        codegen::host::findIsa("host-v4")};
  if (multipliesBytes((*module->getOps<KernelOp>().begin()).compute()))
    isas.append({&narrow, codegen::host::findIsa("host-v4-vnni")});
  auto compiled = codegen::compileHostKernel(*module->getOps<KernelOp>().begin(), isas, library, pool);
  compileMs = now() - start;
  if (mlir::failed(compiled)) {
    ADD_FAILURE() << "kernel does not compile";
    return;
  }
  code = std::move(*compiled);
  KernelOp kernel = *module->getOps<KernelOp>().begin();
  mlir::Block &body = kernel.getBody().front();
  auto add = [&](const char *what, size_t i, mlir::Type type) {
    auto tensor = mlir::cast<SymTensorType>(type);
    signature.push_back({what + std::to_string(i),
                         pool.add(tensor.numElements() * Expr::constant(type.getContext(), tensor.elementBytes()))});
  };
  for (auto [i, type] : llvm::enumerate(body.getArgumentTypes()))
    add("operand ", i, type);
  numOperands = signature.size();
  for (auto [i, type] : llvm::enumerate(body.getTerminator()->getOperandTypes()))
    add("result ", i, type);
  exprs = pool.take();
  auto runs = [&](const std::string &target) {
    return (target.find("v4") == std::string::npos || wide) && (target.find("vnni") == std::string::npos || vnni) &&
           (target != "host-v4-vnni" || wideVnni);
  };
  for (const char *name : {"host-v3", "host-v3-vnni", "host-v4", "host-v4-vnni"})
    for (const artifact::Variant &v : code.variants)
      if (v.target == name && runs(name)) {
        const artifact::Module &m = code.modules[v.stages[0].module];
        Target target{&v, nullptr, m.code.size()};
        target.image = mmap(nullptr, target.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        std::memcpy(target.image, m.code.data(), target.bytes);
        mprotect(target.image, target.bytes, PROT_READ | PROT_EXEC);
        targets.push_back(target);
        break;
      }
}

HostKernel::~HostKernel() {
  for (const Target &target : targets)
    munmap(target.image, target.bytes);
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

void HostKernel::run(const std::vector<void *> &buffers, const std::vector<int64_t> &ints, int threads,
                     size_t shown) const {
  ASSERT_EQ(buffers.size(), signature.size()) << "buffers of a kernel";
  std::vector<std::vector<char>> first; // results of the first pass
  for (const Target &target : targets)
    for (Side side : {Side::behind, Side::before}) {
      std::vector<std::unique_ptr<GuardedBuffer>> memory;
      std::vector<void *> pointers;
      for (size_t i = 0; i < buffers.size(); ++i) {
        size_t bytes = evaluate(signature[i].bytes, ints);
        // Kernels rely on no alignment but the elements', which tests' vectors have and whole sizes keep.
        memory.push_back(std::make_unique<GuardedBuffer>(signature[i].name, bytes, 1, side));
        if (bytes)
          std::memcpy(memory.back()->data(), buffers[i], bytes);
        if (i < numOperands)
          memory.back()->protect();
        pointers.push_back(memory.back()->data());
      }
      runOn(target, pointers, ints, threads, side);
      for (auto &buffer : memory)
        if (!buffer->intact())
          ADD_FAILURE() << "kernel '" << target.variant->schedule << "' writes beside a buffer";
      for (size_t i = numOperands; i < buffers.size(); ++i) {
        GuardedBuffer &result = *memory[i];
        if (side == Side::behind)
          first.emplace_back(result.data(), result.data() + result.bytes());
        else if (result.bytes() && std::memcmp(result.data(), first[i - numOperands].data(), result.bytes()) != 0)
          ADD_FAILURE() << target.variant->target << ": " << signature[i].name << " depends on where buffers lie";
        if (result.bytes() && &target == &targets[shown])
          std::memcpy(buffers[i], result.data(), result.bytes());
      }
      if (side == Side::before)
        first.clear();
    }
}

void HostKernel::runInPlace(const std::vector<void *> &buffers, const std::vector<int64_t> &ints, size_t target,
                            int threads) const {
  auto bytes = [&](artifact::ExprId id) { return id == artifact::kNone ? 0 : (size_t)evaluate(id, ints); };
  // Aligned as the runtime's is; it stays, since a run's first look at a page would be measured as well.
  auto room = [](std::vector<char> &memory, size_t size) {
    if (memory.size() < size + 64)
      memory.resize(size + 64);
    return memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63);
  };
  static std::vector<char> workspace, scratch[kMostThreads];
  const Target &code = targets[target];
  faults = {};
  char *work = room(workspace, bytes(code.variant->workspace));
  if (code.variant->workspaceZeroed)
    std::memset(work, 0, bytes(code.variant->workspace));
  for (const artifact::Stage &stage : code.variant->stages) {
    auto entry = reinterpret_cast<void (*)(const artifact::HostArgs *)>((char *)code.image + stage.entryOffset);
    int64_t tasks = evaluate(stage.grid[0], ints);
    auto worker = [&](int t) {
      artifact::HostArgs args{buffers.data(),
                              ints.data(),
                              work,
                              room(scratch[t], bytes(stage.scratch)),
                              tasks * t / threads,
                              tasks * (t + 1) / threads,
                              nullptr,
                              &faults};
      entry(&args);
    };
    std::vector<std::thread> pool;
    for (int t = 1; t < threads; ++t)
      pool.emplace_back(worker, t);
    worker(0);
    for (std::thread &t : pool)
      t.join();
  }
}

void HostKernel::runOn(const Target &target, const std::vector<void *> &buffers, const std::vector<int64_t> &ints,
                       int threads, Side side) const {
  auto bytes = [&](artifact::ExprId id) { return id == artifact::kNone ? 0 : (size_t)evaluate(id, ints); };
  auto tell = [&](const std::string &what) {
    ADD_FAILURE() << "kernel '" << target.variant->schedule << "' (" << target.variant->target << ") " << what;
  };
  faults = {};
  GuardedBuffer workspace("the workspace", bytes(target.variant->workspace), 256, side);
  std::memset(workspace.data(), target.variant->workspaceZeroed ? 0 : 0xcd, workspace.bytes());
  for (const artifact::Stage &stage : target.variant->stages) {
    int64_t tasks = evaluate(stage.grid[0], ints);
    auto entry = reinterpret_cast<void (*)(const artifact::HostArgs *)>((char *)target.image + stage.entryOffset);
    auto worker = [&](int64_t begin, int64_t end, GuardedBuffer &scratch, bool oneByOne) {
      std::memset(scratch.data(), 0xcd, scratch.bytes());
      artifact::HostArgs args{buffers.data(), ints.data(), workspace.data(), scratch.bytes() ? scratch.data() : nullptr,
                              begin,          end,         nullptr,          &faults};
      auto wrong = guarded([&] {
        if (!oneByOne)
          entry(&args);
        else
          for (int64_t t = end; t-- > begin;) {
            args.begin = t;
            args.end = t + 1;
            entry(&args);
          }
      });
      if (wrong)
        tell(*wrong);
      if (!scratch.intact())
        tell("writes behind the end of the scratch of " + std::to_string(scratch.bytes()) + " bytes");
    };
    // Made before the threads begin: buffers come and go while no code runs.
    std::vector<std::unique_ptr<GuardedBuffer>> scratch;
    for (int t = 0; t < std::max(threads, 1); ++t)
      scratch.push_back(std::make_unique<GuardedBuffer>("the scratch", bytes(stage.scratch), 64, side));
    if (threads <= 1) {
      worker(0, tasks, *scratch[0], threads == 1);
      continue;
    }
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t)
      pool.emplace_back(worker, tasks * t / threads, tasks * (t + 1) / threads, std::ref(*scratch[t]), false);
    for (std::thread &t : pool)
      t.join();
  }
  if (!workspace.intact())
    tell("writes behind the end of the workspace of " + std::to_string(workspace.bytes()) + " bytes");
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
