//===- Model.cpp - element types ------------------------------------------===//
//
// Sizes and names of the element types of an artifact.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Model.h"

namespace kt::artifact {
namespace {
struct TypeInfo {
  const char *name;
  uint32_t bytes;
};
// In the order of DType.
constexpr TypeInfo kTypes[] = {
    {"f32", 4},        {"f16", 2},    {"bf16", 2},       {"f64", 8},   {"i8", 1},     {"u8", 1},   {"i16", 2},
    {"u16", 2},        {"i32", 4},    {"u32", 4},        {"i64", 8},   {"u64", 8},    {"bool", 1}, {"f8e4m3fn", 1},
    {"f8e4m3fnuz", 1}, {"f8e5m2", 1}, {"f8e5m2fnuz", 1}, {"i4", 1},    {"u4", 1},     {"i2", 1},   {"u2", 1},
    {"f4e2m1", 1},     {"f8e8m0", 1}, {"c64", 8},        {"c128", 16}, {"string", 0},
};
static_assert(std::size(kTypes) == static_cast<size_t>(DType::string) + 1);
} // namespace

const char *name(Fact fact) {
  switch (fact) {
  case Fact::SmCount:
    return "sm_count";
  case Fact::SharedPerBlock:
    return "shared_per_block";
  case Fact::ComputeCapability:
    return "compute_capability";
  case Fact::L2Bytes:
    return "l2_bytes";
  }
  return "unknown_fact";
}

uint32_t byteSize(DType type) {
  auto i = static_cast<size_t>(type);
  return i < std::size(kTypes) ? kTypes[i].bytes : 0;
}

const char *name(DType type) {
  auto i = static_cast<size_t>(type);
  return i < std::size(kTypes) ? kTypes[i].name : "unknown";
}

} // namespace kt::artifact
