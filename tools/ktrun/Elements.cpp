//===- Elements.cpp - elements as numbers ---------------------------------===//
//
// Small floating-point formats are decoded from their widths and biases (OCP 8-bit and MX formats; the fnuz kinds as in
// ONNX).
//
//===----------------------------------------------------------------------===//

#include "tools/ktrun/Elements.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace ktrun {

using kt::DataType;

namespace {

template <typename T> T load(const void *data, uint64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + index * sizeof(T), sizeof(T));
  return value;
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct SmallFormat {
  unsigned exponent, mantissa;
  int bias;
  enum {
    ieee,
    finite,
    fnuz,
    plain
  } kind; // finite: only all ones are NaN; fnuz: only minus zero is; plain: no NaN at all
};

double decodeSmall(unsigned bits, SmallFormat f) {
  unsigned width = f.exponent + f.mantissa;
  unsigned sign = bits >> width & 1, exponent = bits >> f.mantissa & ((1u << f.exponent) - 1);
  unsigned mantissa = bits & ((1u << f.mantissa) - 1), top = (1u << f.exponent) - 1;
  if (f.kind == SmallFormat::fnuz && sign && !exponent && !mantissa)
    return kNaN;
  if (f.kind == SmallFormat::ieee && exponent == top)
    return mantissa ? kNaN : sign ? -kInfinity : kInfinity;
  if (f.kind == SmallFormat::finite && exponent == top && mantissa == (1u << f.mantissa) - 1)
    return kNaN;
  double value = exponent ? std::ldexp(1.0 + std::ldexp(mantissa, -int(f.mantissa)), int(exponent) - f.bias)
                          : std::ldexp(mantissa, 1 - f.bias - int(f.mantissa));
  return sign ? -value : value;
}

std::optional<SmallFormat> smallFormat(DataType type) {
  switch (type) {
  case DataType::f16:
    return SmallFormat{5, 10, 15, SmallFormat::ieee};
  case DataType::bf16:
    return SmallFormat{8, 7, 127, SmallFormat::ieee};
  case DataType::f8e4m3fn:
    return SmallFormat{4, 3, 7, SmallFormat::finite};
  case DataType::f8e4m3fnuz:
    return SmallFormat{4, 3, 8, SmallFormat::fnuz};
  case DataType::f8e5m2:
    return SmallFormat{5, 2, 15, SmallFormat::ieee};
  case DataType::f8e5m2fnuz:
    return SmallFormat{5, 2, 16, SmallFormat::fnuz};
  case DataType::f4e2m1:
    return SmallFormat{2, 1, 1, SmallFormat::plain};
  default:
    return std::nullopt;
  }
}

/// The nearest value of a small format by search over all of them, ties to the even code: exact and used for single
/// values only.
unsigned encodeSmall(double value, SmallFormat f) {
  unsigned width = f.exponent + f.mantissa + 1, best = 0;
  double bestError = kInfinity;
  for (unsigned code = 0; code < (1u << width); ++code) {
    double candidate = decodeSmall(code, f);
    if (std::isnan(value) ? std::isnan(candidate)
                          : candidate == value && std::signbit(candidate) == std::signbit(value))
      return code;
    double error = std::fabs(candidate - value);
    if (error < bestError || (error == bestError && code % 2 == 0)) {
      best = code;
      bestError = error;
    }
  }
  return best;
}

bool isSigned(DataType type) {
  switch (type) {
  case DataType::i8:
  case DataType::i16:
  case DataType::i32:
  case DataType::i64:
  case DataType::i4:
  case DataType::i2:
    return true;
  default:
    return false;
  }
}

/// The bits of an integer element, sign-extended where its type is signed.
int64_t loadInteger(DataType type, const void *data, uint64_t index) {
  switch (kt::byteSize(type)) {
  case 1:
    return isSigned(type) ? load<int8_t>(data, index) : load<uint8_t>(data, index);
  case 2:
    return isSigned(type) ? load<int16_t>(data, index) : load<uint16_t>(data, index);
  case 4:
    return isSigned(type) ? int64_t(load<int32_t>(data, index)) : int64_t(load<uint32_t>(data, index));
  default:
    return load<int64_t>(data, index);
  }
}

template <typename T> bool parseInto(const std::string &text, T &value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

} // namespace

bool isInteger(DataType type) {
  return isSigned(type) || type == DataType::boolean || type == DataType::u8 || type == DataType::u16 ||
         type == DataType::u32 || type == DataType::u64 || type == DataType::u4 || type == DataType::u2;
}

unsigned scalarsOf(DataType type) { return type == DataType::c64 || type == DataType::c128 ? 2 : 1; }

double toDouble(DataType type, const void *data, uint64_t index) {
  if (auto format = smallFormat(type))
    return decodeSmall(kt::byteSize(type) == 2 ? load<uint16_t>(data, index) : load<uint8_t>(data, index), *format);
  switch (type) {
  case DataType::f32:
  case DataType::c64:
    return load<float>(data, index);
  case DataType::f64:
  case DataType::c128:
    return load<double>(data, index);
  case DataType::f8e8m0: {
    uint8_t code = load<uint8_t>(data, index);
    return code == 255 ? kNaN : std::ldexp(1.0, int(code) - 127);
  }
  case DataType::u64:
    return static_cast<double>(load<uint64_t>(data, index));
  default:
    return static_cast<double>(loadInteger(type, data, index));
  }
}

std::string toText(DataType type, const void *data, uint64_t index) {
  if (type == DataType::boolean)
    return load<uint8_t>(data, index) ? "true" : "false";
  if (type == DataType::u64)
    return std::to_string(load<uint64_t>(data, index));
  if (isInteger(type))
    return std::to_string(loadInteger(type, data, index));
  char text[40];
  int digits = type == DataType::f64 || type == DataType::c128 ? 17 : type == DataType::f32 ? 9 : 6;
  std::snprintf(text, sizeof(text), "%.*g", digits, toDouble(type, data, index));
  return text;
}

bool fromText(DataType type, const std::string &text, void *to) {
  if (type == DataType::string || scalarsOf(type) != 1)
    return false;
  if (isInteger(type)) {
    int64_t value = 0;
    uint64_t large = 0;
    if (type == DataType::boolean && (text == "true" || text == "false"))
      value = text == "true";
    else if (type == DataType::u64 && parseInto(text, large))
      value = static_cast<int64_t>(large);
    else if (!parseInto(text, value))
      return false;
    std::memcpy(to, &value, kt::byteSize(type)); // little-endian: the low bytes come first
    return type == DataType::u64 || loadInteger(type, to, 0) == value;
  }
  char *end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end)
    return false;
  if (auto format = smallFormat(type)) {
    unsigned code = encodeSmall(value, *format);
    std::memcpy(to, &code, kt::byteSize(type));
  } else if (type == DataType::f32) {
    float narrow = static_cast<float>(value);
    std::memcpy(to, &narrow, sizeof(narrow));
  } else if (type == DataType::f64) {
    std::memcpy(to, &value, sizeof(value));
  } else {
    int exponent = 0;
    if (!(value > 0) || std::frexp(value, &exponent) != 0.5 || exponent + 126 < 0 || exponent + 126 > 254)
      return false; // f8e8m0 holds powers of two only
    *static_cast<uint8_t *>(to) = static_cast<uint8_t>(exponent + 126);
  }
  return true;
}

std::optional<DataType> typeFromName(const std::string &text) {
  for (unsigned i = 0; i <= static_cast<unsigned>(DataType::c128); ++i)
    if (text == kt::name(static_cast<DataType>(i)))
      return static_cast<DataType>(i);
  static const std::pair<const char *, DataType> kLong[] = {
      {"float32", DataType::f32}, {"float16", DataType::f16}, {"bfloat16", DataType::bf16}, {"float64", DataType::f64},
      {"int8", DataType::i8},     {"uint8", DataType::u8},    {"int16", DataType::i16},     {"uint16", DataType::u16},
      {"int32", DataType::i32},   {"uint32", DataType::u32},  {"int64", DataType::i64},     {"uint64", DataType::u64}};
  for (auto &[longName, type] : kLong)
    if (text == longName)
      return type;
  return std::nullopt;
}

} // namespace ktrun
