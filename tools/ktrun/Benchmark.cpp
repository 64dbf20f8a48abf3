//===- Benchmark.cpp - how fast a model runs ------------------------------===//
//
// Medians over runs that each wait for their outputs. Energy comes from NVML, loaded when it is there.
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Benchmark.h"
#include "runtime/os/OutputFile.h"
#include "tools/ktrun/Text.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <optional>
#include <thread>

namespace ktrun {
namespace {

std::string jsonText(const std::string &text) {
  std::string result = "\"";
  for (unsigned char c : text) {
    char code[8];
    if (c == '"' || c == '\\') {
      result += '\\';
      result += static_cast<char>(c);
    } else if (c < 0x20) {
      std::snprintf(code, sizeof(code), "\\u%04x", c);
      result += code;
    } else {
      result += static_cast<char>(c);
    }
  }
  return result + "\"";
}

/// A GPU's energy counter in millijoules since the driver was loaded.
class EnergyMeter {
public:
  explicit EnergyMeter(const std::string &device) {
    if (device.rfind("cuda:", 0) != 0)
      return;
    library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library)
      return;
    auto init = reinterpret_cast<int (*)()>(::dlsym(library, "nvmlInit_v2"));
    auto find = reinterpret_cast<int (*)(unsigned, void **)>(::dlsym(library, "nvmlDeviceGetHandleByIndex_v2"));
    read = reinterpret_cast<int (*)(void *, unsigned long long *)>(
        ::dlsym(library, "nvmlDeviceGetTotalEnergyConsumption"));
    unsigned ordinal = 0;
    std::from_chars(device.data() + std::min<size_t>(device.size(), 5), device.data() + device.size(), ordinal);
    if (!init || !find || !read || init() != 0 || find(ordinal, &handle) != 0)
      handle = nullptr;
  }
  ~EnergyMeter() {
    if (library)
      ::dlclose(library);
  }
  std::optional<double> millijoules() const {
    unsigned long long value = 0;
    if (!handle || read(handle, &value) != 0)
      return std::nullopt;
    return static_cast<double>(value);
  }

private:
  void *library = nullptr, *handle = nullptr;
  int (*read)(void *, unsigned long long *) = nullptr;
};

double percentile(const std::vector<double> &sorted, double p) {
  double at = p * static_cast<double>(sorted.size() - 1);
  size_t low = static_cast<size_t>(at), high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

} // namespace

kt::Status benchmark(const kt::Model &model, kt::Session &session, std::span<const kt::TensorView> inputs,
                     const std::string &name, const BenchmarkOptions &options) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  std::unique_ptr<Iterations> iterations; // or runs from and to the host
  if (options.resident || !options.carries.empty()) {
    auto made = Iterations::create(model, session, inputs, options.carries, options.resident);
    if (!made.ok())
      return std::move(made).status();
    iterations = *std::move(made);
  }
  uint64_t done = 0, queued = iterations ? options.queued : 1;
  auto run = [&]() -> kt::Status {
    if (!iterations)
      return session.run(inputs);
    for (uint64_t i = 0; i < queued; ++i) {
      if (done++ % options.iterations == 0)
        iterations->restart();
      KT_RETURN_IF_ERROR(iterations->next(/*last=*/false));
    }
    return session.wait();
  };
  // The first run plans, the second records a graph, the third shows caches warm.
  for (int i = 0; i < 3; ++i)
    KT_RETURN_IF_ERROR(run());
  EnergyMeter meter(model.device());
  std::vector<double> times;
  auto energy = meter.millijoules();
  std::clock_t cpu = std::clock();
  auto begin = Clock::now(), end = begin;
  do {
    auto start = Clock::now();
    KT_RETURN_IF_ERROR(run());
    end = Clock::now();
    times.insert(times.end(), queued, Milliseconds(end - start).count() / static_cast<double>(queued));
  } while (times.size() < 5 || Milliseconds(end - begin).count() < options.seconds * 1e3);
  double cpuTime = 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / static_cast<double>(times.size());
  std::optional<double> energyPerRun;
  if (auto after = meter.millijoules(); energy && after)
    energyPerRun = (*after - *energy) / static_cast<double>(times.size());
  double total = Milliseconds(end - begin).count();
  std::sort(times.begin(), times.end());
  double median = percentile(times, 0.5), p90 = percentile(times, 0.9), throughput = 1e3 * times.size() / total;
  kt::Stats stats = session.stats();
  std::string text;
  if (!options.json) {
    append(text,
           "%s on %s: %zu runs, median %.4f ms, p90 %.4f ms, min %.4f ms, %.1f runs/s, peak device memory %llu bytes",
           name.c_str(), model.device().c_str(), times.size(), median, p90, times.front(), throughput,
           static_cast<unsigned long long>(stats.peakDeviceBytes));
    if (energyPerRun)
      append(text, ", %.2f mJ a run", *energyPerRun);
    append(text, "\n");
    return kt::os::writeOutput(text);
  }
  append(text,
         "{\n  \"context\": {\n    \"executable\": \"ktrun\",\n    \"device\": %s,\n    \"num_cpus\": %u,\n"
         "    \"library_build_type\": \"release\"\n  },\n  \"benchmarks\": [\n    {\n",
         jsonText(model.device()).c_str(), std::thread::hardware_concurrency());
  append(text, "      \"name\": %s,\n      \"run_name\": %s,\n      \"run_type\": \"iteration\",\n",
         jsonText(name).c_str(), jsonText(name).c_str());
  append(text,
         "      \"repetitions\": 1,\n      \"repetition_index\": 0,\n      \"threads\": 1,\n"
         "      \"iterations\": %zu,\n      \"real_time\": %.6f,\n      \"cpu_time\": %.6f,\n"
         "      \"time_unit\": \"ms\",\n      \"p90\": %.6f,\n      \"throughput\": %.6f,\n"
         "      \"peak_device_memory\": %llu",
         times.size(), median, cpuTime, p90, throughput, static_cast<unsigned long long>(stats.peakDeviceBytes));
  if (energyPerRun)
    append(text, ",\n      \"energy_mJ\": %.6f", *energyPerRun);
  append(text, "\n    }\n  ]\n}\n");
  return kt::os::writeOutput(text);
}

kt::Status writeTrace(const kt::Session &session, const std::string &path) {
  kt::os::OutputFile file(path);
  std::string text = "{\"traceEvents\":[";
  bool first = true;
  for (const kt::ProfileEvent &e : session.profileEvents()) {
    append(
        text,
        "%s\n{\"name\":%s,\"cat\":%s,\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":1,\"tid\":1,\"args\":{\"node\":%s,"
        "\"schedule\":%s}}",
        first ? "" : ",", jsonText(e.kernel).c_str(), jsonText(e.target).c_str(), e.startMicroseconds, e.microseconds,
        jsonText(e.node).c_str(), jsonText(e.schedule).c_str());
    first = false;
    file.write(text);
    text.clear();
  }
  file.write(text + "\n]}\n");
  return file.finish();
}

kt::Status printStats(const kt::Model &model, const kt::Session &session) {
  kt::Stats s = session.stats();
  std::string text;
  auto line = [&](const char *what, uint64_t value) {
    append(text, "%-24s %llu\n", what, static_cast<unsigned long long>(value));
  };
  append(text, "%-24s %s\n", "device", model.device().c_str());
  line("runs", s.runs);
  line("plans", s.plans);
  line("launches", s.launches);
  line("  once a plan", s.onceLaunches);
  line("graph replays", s.graphReplays);
  line("graph recordings", s.graphRecordings);
  line("graph patches", s.graphPatches);
  line("graph failures", s.graphFailures);
  line("arena bytes", s.arenaBytes);
  line("pages held", s.pages);
  line("resident weight bytes", s.residentWeightBytes);
  line("looked-up weight bytes", s.lookedUpWeightBytes);
  line("streamed weight bytes", s.streamedWeightBytes);
  line("streamed bytes so far", s.streamedBytes);
  line("device bytes", s.deviceBytes);
  line("peak device bytes", s.peakDeviceBytes);
  uint64_t total = 0;
  for (auto &[name, count] : s.hostFallbacks)
    total += count;
  line("host fallback launches", total);
  for (auto &[name, count] : s.hostFallbacks)
    append(text, "  %s: %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  append(text, "schedules\n");
  for (auto &[name, count] : s.schedules)
    append(text, "  %s: %llu\n", name.c_str(), static_cast<unsigned long long>(count));
  return kt::os::writeAll(2, text);
}

} // namespace ktrun
