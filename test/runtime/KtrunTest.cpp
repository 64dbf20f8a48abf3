//===- KtrunTest.cpp - the command line -----------------------------------===//
//
// Runs the binary: exit statuses, messages, files, comparison rules, benchmark output. And the C ABI, through the
// shared library.
//
//===----------------------------------------------------------------------===//

#include "kt/c_api.h"
#include "runtime/npz/Npz.h"
#include "test/runtime/TestModel.h"
#include "tools/ktrun/Compare.h"
#include "tools/ktrun/Elements.h"
#include "tools/ktrun/Inputs.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

namespace kt::test {
namespace {

struct Outcome {
  int status;
  std::string out, err;
};

Outcome ktrun(const std::string &arguments) {
  std::string out = temporaryPath("out"), err = temporaryPath("err");
  int status = std::system((KT_KTRUN " " + arguments + " > " + out + " 2> " + err).c_str());
  auto text = [](const std::string &path) {
    auto bytes = readFile(path);
    return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  };
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text(out), text(err)};
}

/// y = x * 3
std::string triple() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 100));
  BufferId x = b.input("x", DType::f32, n), y = b.output("y=1:0", DType::f32, n);
  b.emit(b.scale(x, y, n, b.constant(3)));
  return writeModel(b.model);
}

TEST(Ktrun, RunsAndWrites) {
  std::string model = triple(), y = temporaryPath("npy"), all = temporaryPath("npz");
  Outcome r =
      ktrun(model + " --device host --input x=4xf32=1.5 --output 'y=1:0=@" + y + "' --output @" + all + " --stats");
  ASSERT_EQ(r.status, 0) << r.err;
  auto array = npz::readNpy(y);
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(floats({"", DataType::f32, array->dims, array->data.data()}), (std::vector<float>(4, 4.5f)));
  EXPECT_NE(r.err.find("launches"), std::string::npos);
  r = ktrun(model + " --input x=4xf32=1.5 --expected @" + all);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, "'y=1:0' f32[4]: ok, worst at [0]: got 4.5, expected 4.5, error 0 (atol 0.00045, rtol 0.001)\n");
  r = ktrun(model + " --input x=4xf32=1.5,1.5,1.6,1.5 --expected @" + all);
  EXPECT_EQ(r.status, 3) << r.err;
  EXPECT_NE(r.out.find("differs in 1 of 4 elements, worst at [2]: got 4.80000019, expected 4.5"), std::string::npos)
      << r.out;
  EXPECT_EQ(ktrun(model + " --input x=4xf32=1.6 --expected @" + all + " --atol 1 --rtol 0").status, 0);
  EXPECT_EQ(ktrun(model + " --input x=3xf32=1.5 --expected @" + all).status, 3);
}

TEST(Ktrun, ExitStatusesSayWhatHappened) {
  std::string model = triple();
  EXPECT_EQ(ktrun("").status, 2);
  EXPECT_EQ(ktrun("--help").status, 0);
  EXPECT_EQ(ktrun(model + " --nonsense").status, 2);
  EXPECT_EQ(ktrun(model + " --input x=4xf32").status, 2);
  EXPECT_EQ(ktrun(model + " --input z=4xf32=1").status, 2);
  EXPECT_EQ(ktrun(model + " --device-memory 4QB --input x=4xf32=1").status, 2);
  EXPECT_EQ(ktrun(model + " --device tpu --input x=4xf32=1").status, 2);
  EXPECT_EQ(ktrun("/nowhere.ktm").status, 1);
  EXPECT_EQ(ktrun(model + " --input @/nowhere.npz").status, 1);
  std::string bad = temporaryPath("bad.ktm");
  auto bytes = readFile(model);
  bytes[5000] ^= std::byte{1};
  writeFile(bad, bytes);
  Outcome r = ktrun(bad + " --input x=4xf32=1");
  EXPECT_EQ(r.status, 4);
  EXPECT_NE(r.err.find("error: '" + bad + "': "), std::string::npos) << r.err;
  r = ktrun(model + " --input x=4xi64=1");
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.err, "error: input 'x': expected f32[n] but got i64[4]\n");
  EXPECT_EQ(ktrun(model + " --input x=101xf32=1").err,
            "error: input 'x': expected f32[n] but got f32[101]: 'n' is 101, outside 1..100\n");
}

TEST(Ktrun, BenchmarksAsGoogleBenchmarkDoes) {
  Outcome r = ktrun(triple() + " --device host --input x=4xf32=1.5 --benchmark=0.02 --benchmark-format=json");
  ASSERT_EQ(r.status, 0) << r.err;
  auto json = nlohmann::json::parse(r.out);
  auto &b = json["benchmarks"][0];
  EXPECT_TRUE(b["name"].is_string());
  EXPECT_GT(b["real_time"].get<double>(), 0);
  EXPECT_GE(b["p90"].get<double>(), b["real_time"].get<double>());
  EXPECT_EQ(b["time_unit"], "ms");
  EXPECT_GT(b["throughput"].get<double>(), 0);
  EXPECT_GT(b["peak_device_memory"].get<double>(), 0);
  EXPECT_EQ(ktrun(triple() + " --input x=4xf32=1.5 --benchmark=0.01").status, 0);
}

TEST(Ktrun, WritesATrace) {
  std::string trace = temporaryPath("json");
  ASSERT_EQ(ktrun(triple() + " --input x=4xf32=1.5 --profile " + trace).status, 0);
  auto bytes = readFile(trace);
  auto json = nlohmann::json::parse(std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
  EXPECT_EQ(json["traceEvents"][0]["name"], "scale");
  EXPECT_TRUE(json["traceEvents"][0]["args"]["schedule"].is_string());
}

npz::Array expectedArray(const std::string &descr, std::vector<int64_t> dims, const void *data, size_t bytes) {
  npz::Array array{"y", descr, std::move(dims), {}};
  array.data.resize(bytes);
  if (bytes)
    std::memcpy(array.data.data(), data, bytes);
  return array;
}

TEST(Compare, FollowsTheRules) {
  std::string line;
  const float nan = NAN, infinity = INFINITY;
  auto check = [&](std::vector<float> a, std::vector<float> b) {
    TensorView output{"y", DataType::f32, {static_cast<int64_t>(a.size())}, a.data()};
    return ktrun::compareOutput(output, expectedArray("<f4", output.dims, b.data(), b.size() * 4), {}, line);
  };
  EXPECT_TRUE(check({nan, 1, infinity}, {nan, 1, infinity}));
  EXPECT_FALSE(check({nan}, {1}));
  EXPECT_FALSE(check({1}, {nan}));
  EXPECT_FALSE(check({infinity}, {1}));
  EXPECT_FALSE(check({1}, {infinity}));
  EXPECT_FALSE(check({infinity}, {-infinity}));
  // The largest value widens the absolute tolerance: 1e-4 * 1000.
  EXPECT_TRUE(check({1000, 0.09f}, {1000, 0}));
  EXPECT_FALSE(check({1000, 0.11f}, {1000, 0}));
  EXPECT_TRUE(check({0.00009f}, {0}));
  EXPECT_FALSE(check({0.00011f}, {0}));
  EXPECT_TRUE(check({}, {}));
  int64_t a[] = {1, INT64_MAX}, b[] = {1, INT64_MAX - 1};
  TensorView integers{"y", DataType::i64, {1, 2}, a};
  EXPECT_FALSE(ktrun::compareOutput(integers, expectedArray("<i8", {1, 2}, b, 16), {}, line));
  EXPECT_EQ(line, "'y' i64[1, 2]: differs in 1 of 2 elements, worst at [0, 1]: got 9223372036854775807, expected "
                  "9223372036854775806, error 0");
  EXPECT_FALSE(ktrun::compareOutput(integers, expectedArray("<i8", {2}, b, 16), {}, line));
  EXPECT_EQ(line, "'y' i64[1, 2]: differs: expected i64[2]");
}

TEST(Elements, ConvertToAndFro) {
  struct {
    DataType type;
    const char *text;
    double value;
  } cases[] = {{DataType::f16, "65504", 65504},  {DataType::f16, "1e-7", 0x1p-23},   {DataType::bf16, "1.5", 1.5},
               {DataType::f8e4m3fn, "448", 448}, {DataType::f8e5m2, "-0.25", -0.25}, {DataType::f4e2m1, "6", 6},
               {DataType::f8e8m0, "4", 4},       {DataType::i8, "-128", -128},       {DataType::boolean, "true", 1},
               {DataType::u64, "7", 7},          {DataType::f8e4m3fnuz, "240", 240}, {DataType::i4, "-3", -3}};
  for (auto &c : cases) {
    std::byte memory[16] = {};
    ASSERT_TRUE(ktrun::fromText(c.type, c.text, memory)) << c.text;
    EXPECT_EQ(ktrun::toDouble(c.type, memory, 0), c.value) << name(c.type);
  }
  std::byte memory[16];
  EXPECT_FALSE(ktrun::fromText(DataType::i8, "128", memory));
  EXPECT_FALSE(ktrun::fromText(DataType::f32, "1.5x", memory));
  EXPECT_FALSE(ktrun::fromText(DataType::i32, "1.5", memory));
}

TEST(CApi, LoadsRunsAndReports) {
  kt_model *model = nullptr;
  EXPECT_EQ(kt_model_load("/nowhere.ktm", nullptr, &model), KT_FAILED);
  EXPECT_NE(std::string(kt_last_error()).find("/nowhere.ktm"), std::string::npos);
  kt_options options = {};
  options.device = "host";
  ASSERT_EQ(kt_model_load(triple().c_str(), &options, &model), KT_OK) << kt_last_error();
  kt_tensor port;
  ASSERT_EQ(kt_model_input_count(model), 1u);
  ASSERT_EQ(kt_model_input(model, 0, &port), KT_OK);
  EXPECT_STREQ(port.name, "x");
  EXPECT_EQ(port.dims[0], -1);
  EXPECT_EQ(kt_model_output(model, 1, &port), KT_USAGE);
  kt_session *session = nullptr;
  ASSERT_EQ(kt_session_create(model, &session), KT_OK);
  kt_model_free(model);
  float x[] = {1, 2};
  int64_t dims[] = {2};
  kt_tensor input = {"x", KT_F32, 1, dims, x}, output;
  ASSERT_EQ(kt_session_run(session, &input, 1), KT_OK) << kt_last_error();
  ASSERT_EQ(kt_session_output(session, 0, &output), KT_OK);
  EXPECT_EQ(static_cast<const float *>(output.data)[1], 6);
  EXPECT_EQ(kt_session_run(session, &input, 0), KT_USAGE);
  EXPECT_EQ(kt_session_output(session, 0, &output), KT_USAGE);
  kt_session_free(session);
}

TEST(CApi, EnqueuesOverMemoryOfTheCaller) {
  kt_options options = {};
  options.device = "host";
  kt_model *model = nullptr;
  kt_session *session = nullptr;
  ASSERT_EQ(kt_model_load(triple().c_str(), &options, &model), KT_OK) << kt_last_error();
  ASSERT_EQ(kt_session_create(model, &session), KT_OK);
  kt_model_free(model);
  float x[] = {1, 2}, y[] = {0, 0};
  int64_t dims[] = {2};
  kt_binding bindings[] = {{KT_INPUT, KT_HOST, {"x", KT_F32, 1, dims, x}, 0, 0},
                           {KT_OUTPUT, KT_HOST, {"y=1:0", KT_F32, 0, nullptr, y}, sizeof(y), 0}};
  ASSERT_EQ(kt_session_enqueue(session, bindings, 2, nullptr), KT_OK) << kt_last_error();
  kt_event *event = nullptr;
  ASSERT_EQ(kt_session_record(session, &event), KT_OK);
  EXPECT_EQ(kt_event_wait(event), KT_OK);
  EXPECT_EQ(kt_event_delay(event, x), KT_USAGE);
  EXPECT_EQ(kt_session_wait(session), KT_OK);
  EXPECT_EQ(y[1], 6);
  // An output of one run is an input of the next.
  bindings[1].owned = 1;
  EXPECT_EQ(kt_session_enqueue(session, bindings, 2, nullptr), KT_USAGE) << "memory of its own and of the caller";
  bindings[1].tensor.data = nullptr;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(kt_session_enqueue(session, bindings, 2, nullptr), KT_OK) << kt_last_error();
    ASSERT_EQ(kt_session_output_binding(session, 0, &bindings[0]), KT_OK);
    EXPECT_EQ(bindings[0].capacity, sizeof(y));
    EXPECT_EQ(bindings[0].memory, KT_HOST);
    bindings[0].tensor.name = "x";
  }
  EXPECT_EQ(static_cast<const float *>(bindings[0].tensor.data)[1], 2.0f * 27);

  auto with = [&](auto change) {
    kt_binding changed[] = {bindings[0], bindings[1]};
    change(changed);
    return kt_session_enqueue(session, changed, 2, nullptr);
  };
  EXPECT_EQ(with([](kt_binding *) {}), KT_OK) << kt_last_error();
  EXPECT_EQ(with([](kt_binding *b) { b[0].port = static_cast<kt_port>(7); }), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "binding 0 is of the unknown port 7");
  EXPECT_EQ(with([](kt_binding *b) { b[1].memory = static_cast<kt_memory>(7); }), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "binding 1 is in the unknown memory 7");
  EXPECT_EQ(with([](kt_binding *b) { b[1].tensor.name = nullptr; }), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "binding 1's name is null");
  EXPECT_EQ(with([](kt_binding *b) { b[0].tensor.name = nullptr; }), KT_USAGE);
  EXPECT_EQ(with([](kt_binding *b) { b[0].tensor.rank = 4000000000u; }), KT_USAGE);
  EXPECT_EQ(with([](kt_binding *b) { b[0].memory = KT_DEVICE; }), KT_USAGE);
  EXPECT_EQ(kt_session_enqueue(session, bindings, 4000000000u, nullptr), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "expected at most 2 bindings but got 4000000000");
  EXPECT_EQ(kt_session_enqueue(session, nullptr, 1, nullptr), KT_USAGE);
  EXPECT_EQ(kt_session_enqueue(nullptr, bindings, 2, nullptr), KT_USAGE);
  EXPECT_EQ(kt_session_wait(nullptr), KT_USAGE);
  EXPECT_EQ(kt_session_record(session, nullptr), KT_USAGE);
  EXPECT_EQ(kt_session_record(nullptr, &event), KT_USAGE);
  EXPECT_EQ(kt_session_output_binding(session, 0, nullptr), KT_USAGE);
  EXPECT_EQ(kt_event_wait(nullptr), KT_USAGE);
  EXPECT_EQ(kt_event_delay(nullptr, nullptr), KT_USAGE);
  kt_event_free(nullptr);
  kt_session_free(session);
  EXPECT_EQ(kt_event_wait(event), KT_OK) << "an event may outlive its session";
  kt_event_free(event);
}

TEST(CApi, BelievesNothing) {
  kt_model *model = nullptr;
  kt_session *session = nullptr;
  kt_tensor port;
  EXPECT_EQ(kt_model_load(nullptr, nullptr, &model), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "the path is null");
  EXPECT_EQ(kt_model_load("x.ktm", nullptr, nullptr), KT_USAGE);
  EXPECT_EQ(kt_model_input_count(nullptr), 0u);
  EXPECT_EQ(kt_model_output_count(nullptr), 0u);
  EXPECT_EQ(kt_model_input(nullptr, 0, &port), KT_USAGE);
  EXPECT_EQ(kt_model_output(nullptr, 0, nullptr), KT_USAGE);
  EXPECT_STREQ(kt_model_device(nullptr), "");
  EXPECT_EQ(kt_session_create(nullptr, &session), KT_USAGE);
  EXPECT_EQ(kt_session_run(nullptr, nullptr, 0), KT_USAGE);
  EXPECT_EQ(kt_session_output(nullptr, 0, &port), KT_USAGE);
  kt_session_cancel(nullptr);
  kt_session_free(nullptr);
  kt_model_free(nullptr);

  kt_options options = {};
  options.device = "host";
  options.threads = 4000000000u;
  ASSERT_EQ(kt_model_load(triple().c_str(), &options, &model), KT_OK) << kt_last_error();
  EXPECT_EQ(kt_model_input(model, 0, nullptr), KT_USAGE);
  EXPECT_EQ(kt_session_create(model, nullptr), KT_USAGE);
  ASSERT_EQ(kt_session_create(model, &session), KT_OK);
  float x[] = {1, 2};
  int64_t dims[] = {2}, huge[] = {INT64_MAX};
  kt_tensor input = {"x", KT_F32, 1, dims, x};
  auto with = [&](auto change) {
    kt_tensor t = input;
    change(t);
    return kt_session_run(session, &t, 1);
  };
  EXPECT_EQ(kt_session_run(session, nullptr, 1), KT_USAGE);
  EXPECT_EQ(kt_session_run(session, &input, 4000000000u), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "expected 1 inputs but got 4000000000");
  EXPECT_EQ(with([](kt_tensor &t) { t.rank = 4000000000u; }), KT_USAGE);
  EXPECT_STREQ(kt_last_error(), "input 0 ('x') has rank 4000000000, expected 1");
  EXPECT_EQ(with([](kt_tensor &t) { t.name = "nobody", t.rank = 4000000000u; }), KT_USAGE);
  EXPECT_EQ(with([](kt_tensor &t) { t.name = nullptr; }), KT_USAGE);
  EXPECT_EQ(with([](kt_tensor &t) { t.dims = nullptr; }), KT_USAGE);
  EXPECT_EQ(with([](kt_tensor &t) { t.data = nullptr; }), KT_USAGE);
  EXPECT_EQ(with([](kt_tensor &t) { t.type = static_cast<kt_type>(99); }), KT_USAGE);
  EXPECT_EQ(with([&](kt_tensor &t) { t.dims = huge; }), KT_USAGE) << kt_last_error();
  EXPECT_EQ(kt_session_output(session, 0, nullptr), KT_USAGE);
  EXPECT_EQ(with([](kt_tensor &) {}), KT_OK) << kt_last_error();
  kt_session_cancel(session); // nothing runs: the next run hears of it
  EXPECT_EQ(with([](kt_tensor &) {}), KT_FAILED);
  EXPECT_STREQ(kt_last_error(), "the run was cancelled");
  EXPECT_EQ(with([](kt_tensor &) {}), KT_OK);
  kt_session_free(session);
  kt_model_free(model);
}

} // namespace
} // namespace kt::test
