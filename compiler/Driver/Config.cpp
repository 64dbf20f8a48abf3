//===- Config.cpp - config.yaml -------------------------------------------===//

#include "compiler/Driver/CommandLine.h"
#include "runtime/os/File.h"
#include "runtime/text/Grammar.h"
#include <algorithm>
#include <yaml-cpp/yaml.h>

using namespace kt;

static std::string where(const std::string &path, const YAML::Mark &mark) {
  return "'" + path + "'" + (mark.line >= 0 ? " line " + std::to_string(mark.line + 1) : "");
}

Status kt::readConfig(const std::string &path, CompileOptions &options, const std::vector<std::string> &given) {
  auto fromCommandLine = [&](const char *key) { return std::find(given.begin(), given.end(), key) != given.end(); };
  constexpr size_t kMostBytes = 1 << 20;
  auto text = os::readText(path, kMostBytes);
  if (!text.ok())
    return text.status();
  try {
    YAML::Node root = YAML::Load(*text);
    if (root.IsNull())
      return {};
    if (!root.IsMap())
      return Status::usage(where(path, root.Mark()) + ": expected a map of sections");
    for (const auto &section : root) {
      std::string name = section.first.as<std::string>();
      if (name != "execution")
        return Status::usage(where(path, section.first.Mark()) + ": unknown key '" + name + "', expected execution");
      if (section.second.IsNull())
        continue;
      if (!section.second.IsMap())
        return Status::usage(where(path, section.second.Mark()) + ": expected a map under execution");
      for (const auto &entry : section.second) {
        std::string key = entry.first.as<std::string>();
        std::string at = where(path, entry.first.Mark()) + ": execution." + key;
        if (!entry.second.IsScalar())
          return Status::usage(at + ": expected one value");
        std::string value = entry.second.as<std::string>();
        if (key == "dynamic_batching") {
          bool dynamic = true;
          if (!YAML::convert<bool>::decode(entry.second, dynamic))
            return Status::usage(at + ": expected true or false but got '" + value + "'");
          options.dynamicBatching = dynamic;
        } else if (key == "max_slice_mem") {
          Result<uint64_t> size = parseSize(value);
          if (!size.ok())
            return Status::usage(at + ": " + size.status().message());
          if (!fromCommandLine("max_slice_mem"))
            options.maxSliceBytes = *size;
        } else if (key == "quant_min_snr") {
          Result<double> decibels = parseDecibels(value);
          if (!decibels.ok())
            return Status::usage(at + ": " + decibels.status().message());
          if (!options.quant)
            return Status::usage(at + ": expected --quant as well");
          if (!fromCommandLine("quant_min_snr"))
            options.quantMinSnr = *decibels;
        } else if (key == "tensor_core_priority") {
          if (value != "low" && value != "normal" && value != "high")
            return Status::usage(at + ": expected low, normal or high but got '" + value + "'");
          options.tensorCores = value == "low"      ? TensorCorePriority::low
                                : value == "normal" ? TensorCorePriority::normal
                                                    : TensorCorePriority::high;
        } else {
          return Status::usage(where(path, entry.first.Mark()) + ": unknown key 'execution." + key +
                               "', expected dynamic_batching, max_slice_mem, quant_min_snr or tensor_core_priority");
        }
      }
    }
    return {};
  } catch (const YAML::Exception &e) {
    return Status::usage(where(path, e.mark) + ": " + e.msg);
  } catch (const std::exception &e) {
    return Status::usage("'" + path + "': " + e.what());
  }
}
