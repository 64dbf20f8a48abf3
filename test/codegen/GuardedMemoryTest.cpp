//===- GuardedMemoryTest.cpp - overruns of host kernels are told ----------===//
//
// The tests of host kernels are worth what their buffers find: an access outside fails the test that made it, with the
// kernel and the buffer.
//
//===----------------------------------------------------------------------===//

#include "HostRunner.h"
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

using namespace kt::test;

namespace {

/// y[i] = x[i + first], out of `n` elements.
void runShifted(int64_t first) {
  std::string x = "!kt.tensor<[p0] x f32>";
  HostKernel k("^bb0(%x: " + x + "):\n %y = kt.generic ins(%x : " + x + ") -> " + x + " {\n ^bb0(%X: " + x +
                   ", %i: index):\n %c = arith.constant " + std::to_string(first) +
                   " : index\n %s = arith.addi %i, %c : index\n %0 = kt.read %X[%s] : " + x +
                   " -> f32\n kt.yield %0 : f32\n }\n kt.yield %y : " + x,
               1);
  std::vector<float> in(24, 1), out(24);
  k.run({in.data(), out.data()}, {24});
}

} // namespace

TEST(GuardedMemory, says_what_a_kernel_reads_outside_of_which_buffer) {
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&failures);
    runShifted(1);
    runShifted(-2);
  }
  auto told = [&](const std::string &what) {
    for (int i = 0; i < failures.size(); ++i)
      if (std::string(failures.GetTestPartResult(i).message()).find(what) != std::string::npos)
        return true;
    return false;
  };
  EXPECT_TRUE(told("(host-v3) reads 0 bytes behind the end of operand 0 of 96 bytes"));
  EXPECT_TRUE(told("(host-v3) reads 8 bytes before operand 0 of 96 bytes"));
  EXPECT_TRUE(told("kernel 'generic"));
}

TEST(GuardedMemory, stops_each_side_and_protects_what_is_read) {
  for (Side side : {Side::behind, Side::before}) {
    GuardedBuffer buffer("it", 100, 4, side);
    char *data = buffer.data();
    EXPECT_EQ(guarded([&] { std::fill(data, data + 100, 1); }), std::nullopt);
    EXPECT_TRUE(buffer.intact());
    size_t page = 4096, over = side == Side::behind ? 100 : page; // the first byte behind that is not accessible
    EXPECT_EQ(guarded([&] { data[over] = 1; }),
              "writes " + std::to_string(over - 100) + " bytes behind the end of it of 100 bytes");
    if (side == Side::before)
      EXPECT_EQ(guarded([&] { data[-1] = 1; }), "writes 1 bytes before it of 100 bytes");
    buffer.protect();
    EXPECT_EQ(guarded([&] { data[7] = 1; }), "writes at 7 of it of 100 bytes, which may only be read");
  }
  GuardedBuffer odd("it", 100, 64, Side::behind); // 28 bytes are left to its end
  odd.data()[100] = 1;
  EXPECT_FALSE(odd.intact());
}
