//===- QuantOption.cpp - `--quant` as text --------------------------------===//

#include "compiler/Driver/QuantOption.h"

using namespace kt;

static std::string nameOf(QuantFormat format) { return (format.fp8 ? "fp" : "int") + std::to_string(format.bits); }

static constexpr int64_t kGroups[] = {16, 32, 64, 128, 256};

Result<QuantFormat> kt::parseQuant(std::string_view text) {
  if (text == "none")
    return QuantFormat{};
  for (QuantFormat format : {QuantFormat::int8(), QuantFormat::int4(), QuantFormat::ofFp8()}) {
    std::string name = nameOf(format);
    if (text == name)
      return format;
    for (int64_t group : kGroups)
      if (text == name + ":g" + std::to_string(group))
        return QuantFormat{format.bits, group, format.fp8};
  }
  return Status::usage(
      "expected none, int8, int4 or fp8, or one of them with groups of 16, 32, 64, 128 or 256 weights such "
      "as int4:g32, but got '" +
      std::string(text) + "'");
}

std::string kt::printQuant(QuantFormat format) {
  return format ? nameOf(format) + ":g" + std::to_string(format.group) : "none";
}
