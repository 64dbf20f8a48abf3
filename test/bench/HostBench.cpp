//===- HostBench.cpp - speed of host kernels ------------------------------===//
//
// Prints the time of representative kernels on one thread: `HostBench [part of a name]`. Those that wait for weights
// are measured with more copies of them than a cache holds, on each instruction set, on one thread and on two.
//
//===----------------------------------------------------------------------===//

#include "test/codegen/HostRunner.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sstream>

using namespace kt::test;

static const char *filter = "";

/// The thread's own time: other work on the machine counts as little as possible.
static double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/// That of all threads.
static double processTime() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void bench(const std::string &name, const std::string &text, const std::vector<int64_t> &ints,
                  const std::vector<size_t> &bytes, double work, const char *unit) {
  if (name.find(filter) == std::string::npos)
    return;
  HostKernel k(text, ints.size());
  std::vector<std::vector<float>> memory;
  std::vector<void *> buffers;
  for (size_t b : bytes) {
    memory.push_back(randomVector(b / 4 + 64, 0.01, 1));
    buffers.push_back(memory.back().data());
  }
  std::vector<double> times;
  double total = 0;
  while (times.size() < 5 || total < 0.3) {
    double start = now();
    k.runInPlace(buffers, ints);
    times.push_back(now() - start);
    total += times.back();
  }
  double best = *std::min_element(times.begin(), times.end());
  std::printf("%-34s %10.1f us  %8.2f %s  (compile %.0f ms)\n", name.c_str(), best * 1e6, work / best * 1e-9, unit,
              k.compileMs);
}

static void matmul(int64_t m, int64_t n, int64_t k, bool packed, bool transposed = false) {
  std::string l = "!kt.tensor<[p0, p2] x f32>", o = "!kt.tensor<[p0, p1] x f32>";
  std::string r = packed       ? "!kt.tensor<[(p1 + 15) floordiv 16, p2, 16] x f32>"
                  : transposed ? "!kt.tensor<[p1, p2] x f32>"
                               : "!kt.tensor<[p2, p1] x f32>";
  std::string rmap = packed || transposed ? "(n, k)" : "(k, n)";
  bench((packed       ? "matmul "
         : transposed ? "matmul dynamic-t "
                      : "matmul dynamic ") +
            std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k),
        "^bb0(%x: " + l + ", %w: " + r + "):\n %y = kt.matmul %x, %w {" + (packed ? "packed, " : "") +
            "depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> " + rmap +
            ">, affine_map<(m, n, k) -> (m, n)>]} : " + l + ", " + r + " -> " + o +
            " epilogue {\n ^bb0(%a: f32, %i: index, %j: index):\n kt.yield %a : f32\n }\n kt.yield %y : " + o,
        {m, n, k}, {(size_t)(m * k * 4), (size_t)((n + 15) / 16 * 16 * k * 4), (size_t)(m * n * 4)}, 2.0 * m * n * k,
        "GFLOPS");
}

/// Products of few rows: what they take is the time to read their weights, which have never been read before.
/// `type` is an element type, or "b4 g32 f16": bits, group and scale of blocks.
static void weights(const std::string &type, int64_t m, int64_t n = 4096, int64_t k = 4096) {
  std::string name = "weights " + type + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  if (name.find(filter) == std::string::npos)
    return;
  int bits = 0, group = 0;
  char mark = 0;
  std::string scale, zeros;
  bool blocks = type.find(" g") != std::string::npos; // "b4 g32 f16 zeros"
  if (blocks)
    std::istringstream(type) >> mark >> bits >> mark >> group >> scale >> zeros;
  bool hasZeros = zeros == "zeros";
  int64_t width = type == "f32" ? 4 : type == "f16" ? 2 : 1;
  int64_t blockBytes = (scale == "f32" ? 64 : 32) + (hasZeros ? 16 : 0) + group * bits * 2;
  size_t bytes = blocks ? n / 16 * (k / group) * blockBytes : n * k * width;
  std::string l = "!kt.tensor<[p0, " + std::to_string(k) + "] x f32>",
              o = "!kt.tensor<[p0, " + std::to_string(n) + "] x f32>", panels = std::to_string(n / 16);
  std::string w = blocks ? "!kt.tensor<[" + panels + ", " + std::to_string(k / group) + ", " +
                               std::to_string(blockBytes) + "] x ui8>"
                         : "!kt.tensor<[" + panels + ", " + std::to_string(k) + ", 16] x " + type + ">";
  std::string format = blocks ? "blocks = #kt.blocks<bits = " + std::to_string(bits) +
                                    ", group = " + std::to_string(group) + ", scale = " + scale +
                                    ", zeros = " + (hasZeros ? "true" : "false") + ">, "
                              : "";
  HostKernel kernel(
      "^bb0(%x: " + l + ", %w: " + w + "):\n %y = kt.matmul %x, %w {packed, " + format + "depth = #kt.expr<" +
          std::to_string(k) +
          ">, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, "
          "affine_map<(m, n, k) -> (m, n)>]} : " +
          l + ", " + w + " -> " + o +
          " epilogue {\n ^bb0(%a: f32, %i: index, %j: index):\n kt.yield %a : f32\n }\n kt.yield %y : " + o,
      1);
  std::vector<float> x = randomVector(m * k), y(m * n);
  size_t copies = std::max<size_t>(2, (256 << 20) / bytes);
  std::vector<uint8_t> all(copies * bytes, 0x11);
  for (size_t target = 0; target < kernel.numTargets(); ++target)
    for (int threads : {1, 2}) {
      std::vector<double> times;
      double total = 0;
      for (size_t i = 0; times.size() < 2 * copies || total < 0.3; ++i) {
        double start = processTime();
        kernel.runInPlace({x.data(), &all[i % copies * bytes], y.data()}, {m}, target, threads);
        times.push_back((processTime() - start) / threads);
        total += times.back();
      }
      // Not the best one: now and then some of the weights are in a cache.
      std::nth_element(times.begin(), times.begin() + times.size() / 4, times.end());
      double time = times[times.size() / 4];
      std::printf("%-36s v%zu, %d threads %8.1f us %7.2f GB/s %7.4f ns a weight  (compile %.0f ms)\n", name.c_str(),
                  target + 3, threads, time * 1e6, bytes / time * 1e-9, time * 1e9 / (n * k), kernel.compileMs);
    }
}

/// Products of 8-bit integers, for each instruction set.
static void bytes(const std::string &lhs, int64_t m, int64_t n, int64_t k) {
  std::string name = "bytes " + lhs + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  if (name.find(filter) == std::string::npos)
    return;
  std::string l = "!kt.tensor<[p0, p2] x " + lhs + ">", w = "!kt.tensor<[(p1 + 15) floordiv 16, p2, 16] x i8>",
              o = "!kt.tensor<[p0, p1] x i32>";
  HostKernel kernel(
      "^bb0(%x: " + l + ", %w: " + w +
          "):\n %y = kt.matmul %x, %w {packed, depth = #kt.expr<p2>, maps = [affine_map<(m, n, k) -> (m, "
          "k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]} : " +
          l + ", " + w + " -> " + o +
          " epilogue {\n ^bb0(%a: i32, %i: index, %j: index):\n kt.yield %a : i32\n }\n kt.yield %y : " + o,
      3);
  std::vector<uint8_t> x(m * k, 3), weights((n + 15) / 16 * 16 * k, 5);
  std::vector<int32_t> y(m * n);
  for (size_t target = 0; target < kernel.numTargets(); ++target) {
    double best = 1e9, total = 0;
    while (total < 0.3) {
      double start = now();
      kernel.runInPlace({x.data(), weights.data(), y.data()}, {m, n, k}, target);
      double time = now() - start;
      best = std::min(best, time);
      total += time;
    }
    std::printf("%-30s set %zu %10.1f us  %8.2f GOPS  (compile %.0f ms)\n", name.c_str(), target, best * 1e6,
                2.0 * m * n * k / best * 1e-9, kernel.compileMs);
  }
}

static void elementwise(const std::string &op) {
  std::string t = "!kt.tensor<[p0] x f32>";
  int64_t n = 1 << 16;
  bench(op,
        "^bb0(%x: " + t + "):\n %y = kt.generic ins(%x : " + t + ") -> " + t + " {\n ^bb0(%X: " + t +
            ", %i: index):\n %0 = kt.read %X[%i] : " + t + " -> f32\n %1 = " + op +
            " %0 : f32\n kt.yield %1 : f32\n }\n kt.yield %y : " + t,
        {n}, {(size_t)n * 4, (size_t)n * 4}, n, "G/s");
}

/// [a, b] read as [b, a].
static void transpose(int64_t rows, int64_t n) {
  std::string in = "!kt.tensor<[p0, p1] x f32>", out = "!kt.tensor<[p1, p0] x f32>";
  bench("transpose " + std::to_string(rows) + "x" + std::to_string(n),
        "^bb0(%x: " + in + "):\n %y = kt.generic ins(%x : " + in + ") -> " + out + " {\n ^bb0(%X: " + in +
            ", %i: index, %j: index):\n %0 = kt.read %X[%j, %i] : " + in +
            " -> f32\n kt.yield %0 : f32\n }\n kt.yield %y : " + out,
        {rows, n}, {(size_t)(rows * n * 4), (size_t)(rows * n * 4)}, rows * n, "G/s");
}

static void addBias(int64_t rows, int64_t n) {
  std::string t = "!kt.tensor<[p0, p1] x f32>", b = "!kt.tensor<[p1] x f32>";
  bench("add bias " + std::to_string(rows) + "x" + std::to_string(n),
        "^bb0(%x: " + t + ", %b: " + b + "):\n %y = kt.generic ins(%x, %b : " + t + ", " + b + ") -> " + t +
            " {\n ^bb0(%X: " + t + ", %B: " + b + ", %i: index, %j: index):\n %0 = kt.read %X[%i, %j] : " + t +
            " -> f32\n %1 = kt.read %B[%j] : " + b +
            " -> f32\n %2 = arith.addf %0, %1 : f32\n kt.yield %2 : f32\n }\n kt.yield %y : " + t,
        {rows, n}, {(size_t)(rows * n * 4), (size_t)(n * 4), (size_t)(rows * n * 4)}, rows * n, "G/s");
}

static void softmax(int64_t rows, int64_t n) {
  std::string t = "!kt.tensor<[p0, p1] x f32>";
  bench("softmax " + std::to_string(rows) + "x" + std::to_string(n),
        "^bb0(%x: " + t + "):\n %y = kt.normalize softmax ins(%x : " + t + ") {axes = 1, epsilon = 0.0} -> " + t +
            " {\n ^bb0(%X: " + t + ", %i: index, %j: index):\n %0 = kt.read %X[%i, %j] : " + t +
            " -> f32\n kt.yield %0 : f32\n } epilogue {\n ^bb0(%v: f32, %X: " + t +
            ", %i: index, %j: index):\n kt.yield %v : f32\n }\n kt.yield %y : " + t,
        {rows, n}, {(size_t)(rows * n * 4), (size_t)(rows * n * 4)}, rows * n, "G/s");
}

static void reduceSum(int64_t rows, int64_t n, bool columns) {
  std::string t = "!kt.tensor<[p0, p1] x f32>", o = columns ? "!kt.tensor<[p1] x f32>" : "!kt.tensor<[p0] x f32>";
  bench(std::string("sum of ") + (columns ? "columns" : "rows"),
        "^bb0(%x: " + t + "):\n %y = kt.reduce add over [#kt.expr<" + (columns ? "p0" : "p1") + ">] ins(%x : " + t +
            ") -> " + o + " {\n ^bb0(%X: " + t + ", %i: index, %r: index):\n %0 = kt.read %X[" +
            (columns ? "%r, %i" : "%i, %r") + "] : " + t +
            " -> f32\n kt.yield %0 : f32\n } epilogue {\n ^bb0(%v: f32, %X: " + t +
            ", %i: index):\n kt.yield %v : f32\n }\n kt.yield %y : " + o,
        {rows, n}, {(size_t)(rows * n * 4), (size_t)(rows + n) * 4}, rows * n, "G/s");
}

static void conv(int64_t h, int64_t c, int64_t o, int64_t k, int64_t stride, int64_t groups) {
  int64_t pad = k / 2, oh = (h + 2 * pad - k) / stride + 1, cg = c / groups, og = o / groups;
  auto s = [](int64_t v) { return std::to_string(v); };
  std::string in = "!kt.tensor<[p0, " + s(h) + ", " + s(h) + ", " + s(c) + "] x f32>";
  std::string w =
      "!kt.tensor<[" + s(groups) + ", " + s((og + 15) / 16) + ", " + s(k * k) + ", " + s(cg) + ", 16] x f32>";
  std::string out = "!kt.tensor<[p0, " + s(oh) + ", " + s(oh) + ", " + s(o) + "] x f32>";
  auto two = [&](int64_t v) { return "array<i64: " + s(v) + ", " + s(v) + ">"; };
  bench("conv " + s(h) + "x" + s(h) + "x" + s(c) + " -> " + s(o) + " k" + s(k) + " s" + s(stride) + " g" + s(groups),
        "^bb0(%x: " + in + ", %w: " + w + "):\n %y = kt.conv %x, %w {kernel = " + two(k) +
            ", strides = " + two(stride) +
            ", dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>, pads = [#kt.expr<" + s(pad) +
            ">, #kt.expr<" + s(pad) + ">], groups = " + s(groups) + " : i64} : " + in + ", " + w + " -> " + out +
            " epilogue {\n ^bb0(%a: f32, %n: index, %i: index, %j: index, %l: index):\n kt.yield %a : f32\n }\n "
            "kt.yield %y : " +
            out,
        {1},
        {(size_t)(h * h * c * 4), (size_t)(groups * ((og + 15) / 16) * k * k * cg * 16 * 4), (size_t)(oh * oh * o * 4)},
        2.0 * oh * oh * o * k * k * cg, "GFLOPS");
}

static void attention(int64_t heads, int64_t i, int64_t j, int64_t d) {
  auto s = [](int64_t v) { return std::to_string(v); };
  std::string q = "!kt.tensor<[1, " + s(heads) + ", p0, " + s(d) + "] x f32>",
              k = "!kt.tensor<[1, " + s(heads) + ", p1, " + s(d) + "] x f32>";
  std::string map = "affine_map<(b, h, s, d) -> (b, h, s, d)>", e = "#kt.expr<";
  bench("attention " + s(heads) + "x" + s(i) + "x" + s(j) + "x" + s(d),
        "^bb0(%q: " + q + ", %k: " + k + ", %v: " + k + "):\n %y = kt.attention %q, %k, %v {maps = [" + map + ", " +
            map + ", " + map + ", " + map + "], sizes = [" + e + "1>, " + e + s(heads) + ">, " + e + "p0>, " + e +
            "p1>, " + e + s(d) + ">, " + e + s(d) + ">], group = 1 : i64} : " + q + ", " + k + ", " + k + " -> " + q +
            " score {\n ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):\n %c = arith.constant 0.125 : f32\n "
            "%0 = arith.mulf %s, %c : f32\n"
            " kt.yield %0 : f32\n }\n kt.yield %y : " +
            q,
        {i, j},
        {(size_t)(heads * i * d * 4), (size_t)(heads * j * d * 4), (size_t)(heads * j * d * 4),
         (size_t)(heads * i * d * 4)},
        4.0 * heads * i * j * d, "GFLOPS");
}

int main(int argc, char **argv) {
  filter = argc > 1 ? argv[1] : "";
  matmul(1024, 1024, 1024, true);
  matmul(128, 768, 768, true);
  matmul(128, 3072, 768, true);
  matmul(1, 768, 3072, true);
  matmul(1, 4096, 4096, true);
  matmul(200, 512, 64, true);
  for (const char *type :
       {"f32", "f16", "i8", "b8 g32 f16", "b4 g32 f16", "b4 g32 f16 zeros", "b4 g128 f16", "b2 g32 f16"})
    weights(type, 1);
  for (int64_t rows : {2, 4, 8, 128})
    for (const char *type : {"f32", "i8", "b4 g32 f16"})
      weights(type, rows);
  for (const char *type : {"ui8", "i8"}) {
    bytes(type, 128, 768, 768);
    bytes(type, 128, 3072, 768);
    bytes(type, 128, 768, 3072);
    bytes(type, 1, 768, 768);
  }
  matmul(512, 512, 512, false);
  matmul(512, 512, 512, false, true);
  matmul(1, 4096, 1024, false);
  matmul(1, 4096, 1024, false, true);
  conv(56, 64, 64, 3, 1, 1);
  conv(14, 256, 256, 3, 1, 1);
  conv(56, 64, 256, 1, 1, 1);
  conv(224, 3, 64, 7, 2, 1);
  conv(56, 96, 96, 3, 1, 96);
  attention(12, 128, 128, 64);
  attention(8, 512, 512, 64);
  attention(32, 1, 1024, 128);
  for (const char *op : {"arith.negf", "math.exp", "math.tanh", "math.erf", "math.log", "math.sin"})
    elementwise(op);
  transpose(512, 512);
  transpose(300, 700);
  transpose(50000, 3);
  addBias(512, 768);
  addBias(60000, 4);
  softmax(512, 512);
  reduceSum(512, 768, false);
  reduceSum(512, 768, true);
  return 0;
}
