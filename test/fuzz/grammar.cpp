//===- grammar.cpp - fuzzes what the command line says of sizes and shapes ===//
//
// The first byte chooses the grammar: s for sizes, d for --dim, i for --input, v for values.
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Grammar.h"
#include "tools/ktrun/Elements.h"
#include "tools/ktrun/Inputs.h"

#include <cstdlib>

using namespace kt;

namespace {

void check(bool holds) {
  if (!holds)
    std::abort();
}

void size(const std::string &text) {
  auto bytes = parseSize(text);
  if (!bytes.ok())
    return check(bytes.status().code() == Code::usage);
  check(*bytes > 0 && *bytes <= INT64_MAX);
  check(*parseSize(std::to_string(*bytes)) == *bytes);
}

void dimension(const std::string &text) {
  auto range = parseRange(text);
  if (!range.ok())
    return check(range.status().code() == Code::usage);
  check(!range->name.empty() && range->low >= 0 && range->high >= range->low);
  auto again = parseRange(range->name + "=" + std::to_string(range->low) + ".." + std::to_string(range->high));
  check(again.ok() && again->name == range->name && again->low == range->low && again->high == range->high);
}

void input(const std::string &text) {
  (void)ktrun::filesOf({text});
  auto filled = ktrun::parseFilled(text);
  if (!filled.ok())
    return check(filled.status().code() == Code::usage);
  constexpr uint64_t kMost = 1 << 12;
  if (filled->elements > kMost)
    return;
  auto array = ktrun::fill(*filled);
  if (array.ok())
    check(array->data.size() == filled->elements * byteSize(filled->type) && npz::matches(array->descr, filled->type));
}

void value(const std::string &text) {
  if (text.empty())
    return;
  auto type =
      static_cast<DataType>(static_cast<unsigned char>(text[0]) % (static_cast<unsigned>(DataType::string) + 1));
  std::byte memory[16] = {};
  if (ktrun::fromText(type, text.substr(1), memory)) {
    (void)ktrun::toDouble(type, memory, 0);
    (void)ktrun::toText(type, memory, 0);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  if (bytes == 0)
    return 0;
  std::string text(reinterpret_cast<const char *>(data) + 1, bytes - 1);
  switch (data[0]) {
  case 's':
    size(text);
    break;
  case 'd':
    dimension(text);
    break;
  case 'i':
    input(text);
    break;
  case 'v':
    value(text);
    break;
  }
  return 0;
}
