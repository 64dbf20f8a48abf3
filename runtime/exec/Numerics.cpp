//===- Numerics.cpp - what is not finite among numbers --------------------===//
//
// See Numerics.h. Magnitudes are in the order of their bits, so all that a type is about is where its finite ones end.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Numerics.h"

#include <cmath>
#include <cstdio>
#include <cstring>

namespace kt::exec {

using namespace artifact;

namespace {

struct Format {
  uint64_t magnitude; // the bits without the sign
  uint64_t largest;   // finite magnitude; what is above is infinity or NaN
  uint64_t infinity;  // 0: has none
  unsigned mantissa;  // bits
  int bias;
  bool minusZeroIsNan = false;
};

const Format *formatOf(DType type) {
  static constexpr Format f32{0x7fffffff, 0x7f7fffff, 0x7f800000, 23, 127}, f16{0x7fff, 0x7bff, 0x7c00, 10, 15},
      bf16{0x7fff, 0x7f7f, 0x7f80, 7, 127}, f64{0x7fffffffffffffff, 0x7fefffffffffffff, 0x7ff0000000000000, 52, 1023},
      f8e4m3fn{0x7f, 0x7e, 0, 3, 7}, f8e4m3fnuz{0x7f, 0x7f, 0, 3, 8, true}, f8e5m2{0x7f, 0x7b, 0x7c, 2, 15},
      f8e5m2fnuz{0x7f, 0x7f, 0, 2, 16, true}, f8e8m0{0xff, 0xfe, 0, 0, 127};
  switch (type) {
  case DType::f32:
    return &f32;
  case DType::f16:
    return &f16;
  case DType::bf16:
    return &bf16;
  case DType::f64:
    return &f64;
  case DType::f8e4m3fn:
    return &f8e4m3fn;
  case DType::f8e4m3fnuz:
    return &f8e4m3fnuz;
  case DType::f8e5m2:
    return &f8e5m2;
  case DType::f8e5m2fnuz:
    return &f8e5m2fnuz;
  case DType::f8e8m0:
    return &f8e8m0;
  default:
    return nullptr;
  }
}

double magnitude(const Format &f, uint64_t bits) {
  uint64_t fraction = bits & ((uint64_t(1) << f.mantissa) - 1);
  int exponent = static_cast<int>(bits >> f.mantissa), power = exponent - f.bias - static_cast<int>(f.mantissa);
  bool normal = exponent || !f.mantissa;
  return std::ldexp(static_cast<double>(fraction | uint64_t(normal) << f.mantissa), power + !normal);
}

template <typename Word>
void addWords(NumericsCount &to, const Format &f, const Word *data, uint64_t n, uint64_t first) {
  const Word mask = static_cast<Word>(f.magnitude), last = static_cast<Word>(f.largest);
  constexpr uint64_t kBlock = 4096;
  for (uint64_t begin = 0; begin < n; begin += kBlock) {
    uint64_t end = std::min(n, begin + kBlock);
    // Nearly all blocks are finite, which the largest one alone says; such a loop is vectorised.
    Word most = 0;
    for (uint64_t i = begin; i < end; ++i)
      most = std::max<Word>(most, data[i] & mask);
    if (most <= last && !f.minusZeroIsNan) {
      to.largest = std::max<uint64_t>(to.largest, most);
      continue;
    }
    for (uint64_t i = begin; i < end; ++i) {
      Word bits = data[i] & mask;
      bool negative = bits != data[i];
      if (bits <= last && !(f.minusZeroIsNan && negative && bits == 0)) {
        to.largest = std::max<uint64_t>(to.largest, bits);
      } else if (f.infinity && bits == f.infinity && negative) {
        ++to.minusInfinities;
        to.firstMinus = std::min(to.firstMinus, first + i);
      } else {
        ++(f.infinity && bits == f.infinity ? to.plusInfinities : to.nans);
        to.firstFault = std::min(to.firstFault, first + i);
      }
    }
  }
}

std::string shortest(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

} // namespace

bool NumericsCount::counts(DType type) { return formatOf(type) != nullptr; }

void NumericsCount::add(const void *data, uint64_t count, uint64_t firstNumber) {
  const Format *f = formatOf(type);
  if (!f)
    return;
  elements += count;
  switch (byteSize(type)) {
  case 1:
    return addWords(*this, *f, static_cast<const uint8_t *>(data), count, firstNumber);
  case 2:
    return addWords(*this, *f, static_cast<const uint16_t *>(data), count, firstNumber);
  case 4:
    return addWords(*this, *f, static_cast<const uint32_t *>(data), count, firstNumber);
  default:
    return addWords(*this, *f, static_cast<const uint64_t *>(data), count, firstNumber);
  }
}

std::string NumericsCount::text(Numerics mode, std::span<const int64_t> dims) const {
  auto amount = [](uint64_t n, const char *one, const char *more) {
    return std::to_string(n) + " " + (n == 1 ? one : more);
  };
  std::string place;
  uint64_t rest = first(mode);
  for (size_t d = dims.size(); d-- > 0;) {
    uint64_t size = std::max<uint64_t>(1, static_cast<uint64_t>(dims[d]));
    place = std::to_string(rest % size) + (place.empty() ? "" : ", ") + place;
    rest /= size;
  }
  return amount(nans, "NaN", "NaNs") + " and " + amount(infinities(), "infinity", "infinities") + " among " +
         amount(elements, "element", "elements") + ", the first at [" + place + "]";
}

std::string NumericsCount::largestText() const {
  const Format *f = formatOf(type);
  if (!f)
    return {};
  bool none = nans + infinities() == elements;
  return (none ? "none is finite" : "largest finite " + shortest(magnitude(*f, largest))) + ", " + name(type) +
         (none ? "'s largest is " : "'s is ") + shortest(magnitude(*f, f->largest));
}

} // namespace kt::exec
