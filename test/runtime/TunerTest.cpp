//===- TunerTest.cpp - measuring variants, and choosing by what was measured ===//
//
// On the fake driver a block takes a microsecond, so that what is measured is known.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/CudaFixture.h"

#include "runtime/exec/Tuner.h"

#include <fstream>

namespace kt::test {
namespace {

/// `add` in blocks of 16 elements, which comes first, and of 256.
ModelBuilder twoWays() {
  ModelBuilder b = chain(1, {Entry::add, Entry::scale});
  uint32_t add = b.kernel(Entry::add);
  Kernel &kernel = b.model.kernels[add];
  addGpuVariant(b.model, add, "large");
  Variant large = kernel.variants.front();
  kernel.variants.erase(kernel.variants.begin());
  ExprId block = static_cast<ExprId>(kernel.exprs.size());
  kernel.exprs.push_back({Op::Const, 256});
  kernel.exprs.push_back({Op::CeilDiv, 0, 0, block});
  large.stages[0].grid[0] = block + 1;
  large.stages[0].block = {256, 1, 1};
  large.schedule = "large";
  kernel.variants.front().schedule = "small";
  kernel.variants.insert(kernel.variants.begin() + 1, large);
  return b;
}

std::string saved(const Model &model, const std::string &name) {
  std::string path = temporaryPath(name);
  Status status = artifact::write(model, path);
  EXPECT_TRUE(status.ok()) << status.message();
  return path;
}

Result<exec::TuningFile> tuned(const std::string &path, std::vector<int64_t> sizes) {
  auto program = exec::Program::load(path, {.device = "cuda:0", .threads = 2});
  if (!program.ok())
    return std::move(program).status();
  exec::TuneOptions options;
  options.dims["n"] = std::move(sizes);
  options.repetitions = 1;
  options.leastFlushed = 1;
  exec::TuneGaps gaps;
  return exec::tune(**program, options, gaps);
}

/// What a session makes of `add` for n elements.
std::string wayOf(const std::string &path, const std::string &tuning, size_t n) {
  auto model = kt::Model::load(path, {.device = "cuda:0", .threads = 2, .tuning = tuning});
  if (!model.ok())
    return model.status().message();
  auto session = *(*model)->createSession();
  expectChain(*session, 1, n, 3);
  std::string way;
  for (auto &[name, count] : session->stats().schedules)
    if (name.rfind("add", 0) == 0)
      way += name.substr(name.rfind(' ') + 1);
  return way;
}

TEST_P(Cuda, MeasuresEveryVariantThatFits) {
  std::string path = saved(twoWays().model, "tune.ktm");
  auto file = tuned(path, {100, 200});
  ASSERT_TRUE(file.ok()) << file.status().message();
  std::map<std::pair<std::string, int64_t>, int64_t> times;
  for (const exec::TuningRow &row : file->rows)
    if (row.kernel == "add")
      times[{row.schedule, row.ints[0]}] = row.nanoseconds;
  EXPECT_EQ(times,
            (std::map<std::pair<std::string, int64_t>, int64_t>{
                {{"small", 100}, 7000}, {{"large", 100}, 1000}, {{"small", 200}, 13000}, {{"large", 200}, 1000}}));
  EXPECT_EQ(file->machine.kind, "Fake GPU");
}

TEST_P(Cuda, MeasuredTimesChoose) {
  std::string path = saved(twoWays().model, "choose.ktm"), times = temporaryPath("choose.json");
  auto file = tuned(path, {100});
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_TRUE(file->write(times).ok());
  EXPECT_EQ(wayOf(path, "", 100), "small");
  EXPECT_EQ(wayOf(path, times, 100), "large");
  EXPECT_EQ(wayOf(path, times, 101), "small"); // nothing was measured
  // Another card's times say nothing.
  file->machine.facts.smCount += 1;
  ASSERT_TRUE(file->write(times).ok());
  EXPECT_EQ(wayOf(path, times, 100), "small");
}

TEST_P(Cuda, TimesOnlyPropose) {
  ModelBuilder b = twoWays();
  Kernel &kernel = b.model.kernels[b.kernel(Entry::add)];
  kernel.exprs.push_back({Op::Const, 0});
  kernel.variants[1].guard = static_cast<ExprId>(kernel.exprs.size() - 1);
  std::string path = saved(b.model, "guard.ktm"), times = temporaryPath("guard.json");
  auto file = tuned(path, {100});
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (exec::TuningRow row : std::vector(file->rows))
    if (row.kernel == "add")
      for (uint32_t variant : {1u, 2u, 1000u}) { // a guard that does not hold, the host's, and none
        row.variant = variant, row.nanoseconds = 0;
        file->rows.push_back(row);
      }
  ASSERT_TRUE(file->write(times).ok());
  EXPECT_EQ(wayOf(path, times, 100), "small");
}

TEST_P(Cuda, RejectsWhatIsNoFileOfTimes) {
  std::string path = saved(twoWays().model, "bad.ktm"), times = temporaryPath("bad.json");
  const std::string head = R"({"version": 1, "machine": "x", "capability": 90, "sm_count": 1, "shared_per_block": 0, )"
                           R"("l2_bytes": 0, "rows": )";
  const std::string row = R"("kernel": "", "name": "", "target": "", "schedule": "", "predicted_ns": 0, )";
  for (const std::string &text :
       {std::string(), std::string("[]"), std::string("{"), std::string(R"({"version": 2})"), head + "1}",
        head + "[1]}", head + "[{" + row + R"("variant": -1, "ints": [], "ns": 1}]})",
        head + "[{" + row + R"("variant": 0, "ints": [1.5], "ns": 1}]})",
        head + "[{" + row + R"("variant": 0, "ints": [], "ns": 18446744073709551615}]})", std::string(100000, '[')}) {
    std::ofstream(times) << text;
    auto model = kt::Model::load(path, {.device = "cuda:0", .threads = 2, .tuning = times});
    ASSERT_FALSE(model.ok()) << text;
    EXPECT_EQ(model.status().code(), Code::rejected) << model.status().message();
  }
  EXPECT_NE(wayOf(path, times + ".gone", 100).find("'" + times + ".gone'"), std::string::npos);
}

TEST_P(Cuda, SaysWhichSizeIsMissing) {
  std::string path = saved(twoWays().model, "sizes.ktm");
  auto program = exec::Program::load(path, {.device = "cuda:0", .threads = 2});
  ASSERT_TRUE(program.ok());
  auto say = [&](std::map<std::string, std::vector<int64_t>> dims) {
    exec::TuneGaps gaps;
    return exec::tune(**program, {.dims = std::move(dims)}, gaps).status().message();
  };
  EXPECT_EQ(say({}), "--dim: no size is given for 'n'");
  EXPECT_EQ(say({{"n", {257}}}), "--dim: 'n' is 257, outside 1..256");
  EXPECT_EQ(say({{"n", {1}}, {"m", {1}}}), "--dim: the model has no dimension 'm'");
}

TEST_P(Cuda, AFailingMeasurementLeavesNothing) {
  std::string path = saved(twoWays().model, "fails.ktm");
  for (const char *call : {"cuLaunchKernel", "cuEventCreate", "cuEventRecord", "cuEventElapsedTime", "cuMemAlloc"}) {
    auto program = exec::Program::load(path, {.device = "cuda:0", .threads = 2});
    ASSERT_TRUE(program.ok());
    fake().failing = call;
    exec::TuneGaps gaps;
    auto file = exec::tune(**program, {.dims = {{"n", {100}}}, .repetitions = 1, .leastFlushed = 1}, gaps);
    fake().failing.clear();
    ASSERT_FALSE(file.ok()) << call;
    EXPECT_NE(file.status().message().find(call), std::string::npos) << file.status().message();
  }
}

} // namespace
} // namespace kt::test
