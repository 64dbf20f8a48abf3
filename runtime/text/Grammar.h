//===- Grammar.h - sizes and ranges on the command line -------------------===//
//
// One grammar for all tools and config.yaml. Texts are untrusted; numbers that do not fit are errors, never wrapped.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_TEXT_GRAMMAR_H
#define KT_RUNTIME_TEXT_GRAMMAR_H

#include "runtime/include/kt/Status.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace kt {

/// "20GB", "1.5GiB", "512 MiB", "1048576": bytes, at least 1 and below 2^63, a fraction of a byte dropped. KB, MB, GB,
/// TB are powers of 1000; KiB, MiB, GiB, TiB of 1024; B or nothing is bytes. Code::usage otherwise.
Result<uint64_t> parseSize(std::string_view text);

/// "20", "27.5": decibels from 0 to 200 with at most three digits behind the point. Code::usage otherwise.
Result<double> parseDecibels(std::string_view text);
/// The same number as text, as short as it can be.
std::string printDecibels(double decibels);

/// A dimension's name and the sizes that it can have.
struct NamedRange {
  std::string name;
  int64_t low = 0, high = 0;
};

/// "NAME=N" or "NAME=LO..HI" with 0 <= LO <= HI. The name may hold any character, '=' too. Code::usage otherwise.
Result<NamedRange> parseRange(std::string_view text);

/// Digits, nothing else, that fit.
bool parseNumber(std::string_view text, int64_t &value);

} // namespace kt

#endif
