//===- HostDeviceTest.cpp - which code the CPU prefers --------------------===//

#include "runtime/device/HostDevice.h"

#include <gtest/gtest.h>

using kt::device::HostDevice;

namespace {

/// Those of a kernel's variants that a CPU runs, the best first.
std::vector<std::string> order(const HostDevice &device) {
  std::vector<std::string> targets = {"sm_89", "host-v3", "host-v4", "host-v3-vnni", "host-v4-vnni", "host-v5"}, runs;
  for (const std::string &target : targets)
    if (device.preference(target) > 0)
      runs.push_back(target);
  std::sort(runs.begin(), runs.end(),
            [&](const std::string &a, const std::string &b) { return device.preference(a) > device.preference(b); });
  return runs;
}

using Targets = std::vector<std::string>;

} // namespace

TEST(HostDevice, prefers_products_of_bytes_where_it_has_them) {
  EXPECT_EQ(order(HostDevice(1, 0, true)), Targets());
  EXPECT_EQ(order(HostDevice(1, 3, false)), Targets({"host-v3"}));
  EXPECT_EQ(order(HostDevice(1, 3, true)), Targets({"host-v3-vnni", "host-v3"}));
  EXPECT_EQ(order(HostDevice(1, 4, false)), Targets({"host-v4", "host-v3"}));
  // AVX-512 with VNNI does not say whether there is AVX-VNNI, whose encoding is another.
  EXPECT_EQ(order(HostDevice(1, 4, true)), Targets({"host-v4-vnni", "host-v4", "host-v3"}));
}

TEST(HostDevice, has_no_vnni_below_avx2) { EXPECT_FALSE(kt::device::hostHasVnni(0)); }
