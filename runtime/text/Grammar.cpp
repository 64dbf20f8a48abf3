//===- Grammar.cpp - sizes and ranges on the command line -----------------===//

#include "runtime/text/Grammar.h"

#include <charconv>
#include <utility>

namespace kt {
namespace {

constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", 1000000000000},
    {"KiB", uint64_t(1) << 10},
    {"MiB", uint64_t(1) << 20},
    {"GiB", uint64_t(1) << 30},
    {"TiB", uint64_t(1) << 40},
};

std::string_view takeDigits(std::string_view &text) {
  size_t n = 0;
  while (n < text.size() && text[n] >= '0' && text[n] <= '9')
    ++n;
  std::string_view digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

} // namespace

bool parseNumber(std::string_view text, int64_t &value) {
  // from_chars takes a sign.
  if (text.empty() || text[0] == '-')
    return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Result<uint64_t> parseSize(std::string_view text) {
  Status bad = Status::usage("expected a size such as 20GB or 512MiB but got '" + std::string(text) + "'");
  std::string_view rest = text;
  int64_t whole = 0;
  if (!parseNumber(takeDigits(rest), whole))
    return bad;
  std::string_view fraction;
  if (!rest.empty() && rest[0] == '.') {
    rest.remove_prefix(1);
    fraction = takeDigits(rest);
    if (fraction.empty())
      return bad;
  }
  while (!rest.empty() && rest[0] == ' ')
    rest.remove_prefix(1);
  for (auto [name, unit] : kUnits) {
    if (rest != name)
      continue;
    // A digit of the fraction is worth a tenth of the one before it; below a byte there is nothing.
    __uint128_t bytes = static_cast<__uint128_t>(whole) * unit, scaled = 0;
    uint64_t power = 1;
    for (char c : fraction.substr(0, 15)) {
      scaled = scaled * 10 + static_cast<unsigned>(c - '0');
      power *= 10;
    }
    bytes += scaled * unit / power;
    if (bytes == 0 || bytes > INT64_MAX)
      return bad;
    return static_cast<uint64_t>(bytes);
  }
  return bad;
}

Result<double> parseDecibels(std::string_view text) {
  constexpr int64_t kMost = 200;
  Status bad = Status::usage("expected decibels from 0 to " + std::to_string(kMost) + " such as 27.5 but got '" +
                             std::string(text) + "'");
  std::string_view rest = text, whole = takeDigits(rest), fraction;
  if (!rest.empty() && rest[0] == '.') {
    rest.remove_prefix(1);
    fraction = takeDigits(rest);
    if (fraction.empty())
      return bad;
  }
  // In thousandths, so that one text is one number.
  int64_t thousandths = 0;
  if (!rest.empty() || whole.empty() || whole.size() > 3 || fraction.size() > 3 ||
      !parseNumber(std::string(whole) + std::string(fraction) + std::string(3 - fraction.size(), '0'), thousandths) ||
      thousandths > kMost * 1000)
    return bad;
  return static_cast<double>(thousandths) / 1000;
}

std::string printDecibels(double decibels) {
  char text[32];
  auto [end, error] = std::to_chars(text, text + sizeof(text), decibels);
  return {text, end};
}

Result<NamedRange> parseRange(std::string_view text) {
  NamedRange range;
  size_t equal = text.rfind('=');
  std::string_view sizes = equal == std::string_view::npos ? std::string_view() : text.substr(equal + 1);
  size_t dots = sizes.find("..");
  std::string_view low = sizes.substr(0, dots), high = dots == std::string_view::npos ? low : sizes.substr(dots + 2);
  auto negative = [](std::string_view number) {
    int64_t value = 0;
    return number.size() > 1 && number[0] == '-' && parseNumber(number.substr(1), value);
  };
  if (equal != 0 && equal != std::string_view::npos && (negative(low) || negative(high)))
    return Status::usage("expected 0 <= LO <= HI but got '" + std::string(text) + "'");
  if (equal == 0 || !parseNumber(low, range.low) || !parseNumber(high, range.high))
    return Status::usage("expected NAME=N or NAME=LO..HI but got '" + std::string(text) + "'");
  if (range.high < range.low)
    return Status::usage("expected 0 <= LO <= HI but got '" + std::string(text) + "'");
  range.name = text.substr(0, equal);
  return range;
}

} // namespace kt
