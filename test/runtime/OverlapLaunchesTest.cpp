//===- OverlapLaunchesTest.cpp - launches that begin before the last ends -===//

#include "test/runtime/CudaFixture.h"

#include <algorithm>

namespace kt::test {
namespace {

TEST_P(Cuda, LaunchesOverlapWhereTheGpuAndTheCodeCan) {
  auto entry = [](const std::string &labels) {
    return ".visible .entry add(\n)\n{\n.reg .b32 %r<2>;\n" + labels + "ret;\n}\n";
  };
  const std::string kHead = ".version 8.0\n.target sm_89\n", kBegin = "$kt_begin:\n", kWait = "$kt_wait:\n",
                    kDependents = "griddepcontrol.launch_dependents;\n";
  struct {
    std::string code;
    int capability;
    bool starts, overlaps;
  } cases[] = {{kHead + entry(kBegin + "ld.global.nc.b32 %r1,[%rd1];\n" + kWait), 90, true, true},
               {kHead + entry(kBegin + kWait), 120, true, true},
               {kHead + entry(kBegin), 90, true, false},
               {kHead + entry(kBegin + kWait), 89, false, false},
               {kHead + entry(""), 90, false, false},
               {kHead + entry(kWait), 90, false, false},
               {kHead + entry(kBegin + kWait) + entry(kBegin), 90, false, false},
               {kHead + entry(kBegin + kWait) + entry(""), 90, false, false}};
  for (auto &[code, capability, starts, overlaps] : cases) {
    fake().computeCapability = capability;
    fake().loaded.clear();
    fake().calls.clear();
    ModelBuilder b = chain(1, {Entry::add, Entry::scale});
    for (artifact::Module &module : b.model.modules)
      if (module.kind == artifact::Module::Kind::Ptx)
        module.code.assign((const std::byte *)code.data(), (const std::byte *)code.data() + code.size());
    auto model = loadModel(b.model, kGpu);
    ASSERT_TRUE(model);
    auto session = *model->createSession();
    for (int i = 0; i < 3; ++i) // as launches, while recorded, as a graph
      expectChain(*session, 1, 3, static_cast<float>(i));
    for (const std::string &text : fake().loaded) {
      if (!starts)
        EXPECT_EQ(text, code);
      EXPECT_EQ(text.find(".target sm_90\n") != std::string::npos, starts) << text;
      EXPECT_EQ(text.find(kDependents) != std::string::npos, starts) << text;
      EXPECT_EQ(text.find("griddepcontrol.wait;\n") != std::string::npos, overlaps) << text;
      EXPECT_FALSE(overlaps && text.find(".nc") != std::string::npos) << text;
    }
    // Of two launches, which are made twice: a run's first one comes when the run before has ended.
    EXPECT_EQ(std::count(fake().calls.begin(), fake().calls.end(), "cuLaunchKernelEx"), overlaps ? 2 : 0) << code;
  }
}

} // namespace
} // namespace kt::test
