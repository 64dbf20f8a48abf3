//===- HostThreadsTest.cpp - concurrent and repeatable compilation --------===//

#include "HostRunner.h"
#include <gtest/gtest.h>
#include <thread>

using namespace kt::test;

static std::string text(int which) {
  std::string t = "!kt.tensor<[p0, p1] x f32>";
  const char *ops[] = {"math.exp", "math.tanh", "math.log", "math.erf"};
  if (which % 5 == 4)
    return "^bb0(%x: " + t +
           ", %w: !kt.tensor<[p1, p0] x f32>):\n %y = kt.matmul %x, %w {depth = #kt.expr<p1>, maps = [affine_map<(m, "
           "n, k) -> (m, k)>, "
           "affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]} : " +
           t +
           ", !kt.tensor<[p1, p0] x f32> -> "
           "!kt.tensor<[p0, p0] x f32> epilogue {\n ^bb0(%a: f32, %i: index, %j: index):\n kt.yield %a : f32\n }\n "
           "kt.yield %y : "
           "!kt.tensor<[p0, p0] x f32>";
  return "^bb0(%x: " + t + "):\n %y = kt.generic ins(%x : " + t + ") -> " + t + " {\n ^bb0(%X: " + t +
         ", %i: index, %j: index):\n %0 = kt.read %X[%i, %j] : " + t + " -> f32\n %1 = " + ops[which % 5] +
         " %0 : f32\n kt.yield %1 : f32\n }\n kt.yield %y : " + t;
}

TEST(HostThreads, same_kernels_same_bytes_on_any_thread) {
  constexpr int count = 15;
  std::vector<std::vector<std::byte>> alone(5), together(count);
  for (int i = 0; i < 5; ++i) {
    HostKernel k(text(i), 2);
    for (const auto &m : k.getCode().modules)
      alone[i].insert(alone[i].end(), m.code.begin(), m.code.end());
    ASSERT_FALSE(alone[i].empty());
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (int i = t; i < count; i += 3) {
        HostKernel k(text(i), 2);
        for (const auto &m : k.getCode().modules)
          together[i].insert(together[i].end(), m.code.begin(), m.code.end());
      }
    });
  for (std::thread &t : threads)
    t.join();
  for (int i = 0; i < count; ++i)
    EXPECT_TRUE(together[i] == alone[i % 5]) << "kernel " << i;
}
