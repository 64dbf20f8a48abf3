//===- GenaiConfig.h - what genai_config.json says ------------------------===//

#ifndef KT_TOOLS_KTRUN_GENAICONFIG_H
#define KT_TOOLS_KTRUN_GENAICONFIG_H

#include "kt/Generate.h"

#include <optional>

namespace ktrun {

/// The part of a folder's genai_config.json (onnxruntime-genai) that generating tokens needs. What is not said keeps
/// its default; what is not known is nobody's business here.
struct GenaiConfig {
  std::string artifact; // the folder's .ktm
  kt::GenerationPorts ports;
  kt::Sampling sampling;
  std::vector<int64_t> stop;
  std::optional<uint64_t> contextLength, maxLength;
};

/// Code::usage where the file is no JSON, a field has another type than it should, or the folder has no artifact.
kt::Result<GenaiConfig> readGenaiConfig(const std::string &folder);

} // namespace ktrun

#endif
