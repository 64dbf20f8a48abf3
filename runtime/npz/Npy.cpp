//===- Npy.cpp - one array ------------------------------------------------===//
//
// The header is a Python dictionary literal of which three keys are known; anything else in it is an error.
//
//===----------------------------------------------------------------------===//

#include "runtime/npz/Internal.h"
#include "runtime/os/Memory.h"
#include "runtime/os/OutputFile.h"

#include <algorithm>
#include <cstring>

namespace kt::npz {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMagicBytes = 6;

/// Reads the dictionary literal of a header.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}

  Status parse(std::string &descr, bool &fortran, std::vector<int64_t> &shape) {
    bool hasDescr = false, hasOrder = false, hasShape = false;
    if (!take('{'))
      return bad("expected '{'");
    while (!take('}')) {
      std::string key;
      if (!string(key) || !take(':'))
        return bad("expected a key");
      if (key == "descr" && !hasDescr) {
        skip();
        if (at < text.size() && text[at] == '[')
          return Status::failed("structured arrays are not supported");
        hasDescr = string(descr);
      } else if (key == "fortran_order" && !hasOrder) {
        hasOrder = word("True") ? (fortran = true) : word("False") ? !(fortran = false) : false;
      } else if (key == "shape" && !hasShape) {
        hasShape = tuple(shape);
      } else {
        return bad("unexpected key '" + key + "'");
      }
      if (!take(',')) {
        if (take('}'))
          break;
        return bad("expected ',' or '}'");
      }
    }
    skip();
    if (at != text.size())
      return bad("text after the dictionary");
    if (!hasDescr || !hasOrder || !hasShape)
      return bad("descr, fortran_order or shape is missing or malformed");
    return {};
  }

private:
  Status bad(const std::string &what) {
    return Status::failed("malformed .npy header at character " + std::to_string(at) + ": " + what);
  }
  void skip() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t'))
      ++at;
  }
  bool take(char c) {
    skip();
    if (at >= text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  bool word(std::string_view w) {
    skip();
    if (text.substr(at, w.size()) != w)
      return false;
    at += w.size();
    return true;
  }
  bool string(std::string &to) {
    skip();
    if (at >= text.size() || (text[at] != '\'' && text[at] != '"'))
      return false;
    size_t end = text.find(text[at], at + 1);
    if (end == std::string_view::npos || end - at > 256)
      return false;
    to = text.substr(at + 1, end - at - 1);
    at = end + 1;
    return true;
  }
  bool tuple(std::vector<int64_t> &to) {
    if (!take('('))
      return false;
    while (!take(')')) {
      skip();
      int64_t value = 0;
      size_t start = at;
      for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text[at] - '0', &value))
          return false;
      if (at == start || to.size() >= 64)
        return false;
      to.push_back(value);
      (void)word("L"); // Python 2 wrote long integers so
      if (!take(',')) {
        if (take(')'))
          break;
        return false;
      }
    }
    return true;
  }

  std::string_view text;
  size_t at = 0;
};

struct TypeName {
  DataType type;
  const char *descr;
};
constexpr TypeName kTypes[] = {
    {DataType::f32, "<f4"}, {DataType::f16, "<f2"},   {DataType::f64, "<f8"}, {DataType::i8, "|i1"},
    {DataType::u8, "|u1"},  {DataType::i16, "<i2"},   {DataType::u16, "<u2"}, {DataType::i32, "<i4"},
    {DataType::u32, "<u4"}, {DataType::i64, "<i8"},   {DataType::u64, "<u8"}, {DataType::boolean, "|b1"},
    {DataType::c64, "<c8"}, {DataType::c128, "<c16"},
};

/// Bytes of an element of NumPy's type, or a reason why there are none.
Result<uint64_t> elementBytes(const std::string &descr) {
  if (descr.size() < 3 || descr.size() > 12)
    return Status::failed("unsupported array type '" + descr + "'");
  char order = descr[0], kind = descr[1];
  uint64_t count = 0;
  for (char c : descr.substr(2)) {
    if (c < '0' || c > '9')
      return Status::failed("unsupported array type '" + descr + "'");
    count = count * 10 + (c - '0');
  }
  if (order == '>' && count > 1)
    return Status::failed("big-endian arrays ('" + descr + "') are not supported");
  if (!std::strchr("<|=>", order) || !std::strchr("fiubcVUS", kind))
    return Status::failed("unsupported array type '" + descr + "'");
  return kind == 'U' ? count * 4 : count;
}

void transpose(Array &array, uint64_t element) {
  size_t rank = array.dims.size();
  if (rank < 2 || array.data.empty())
    return;
  std::vector<std::byte> result(array.data.size());
  std::vector<uint64_t> strides(rank), index(rank);
  uint64_t stride = element;
  for (size_t d = 0; d < rank; ++d) {
    strides[d] = stride;
    stride *= static_cast<uint64_t>(array.dims[d]);
  }
  uint64_t from = 0;
  for (uint64_t to = 0; to < result.size(); to += element) {
    std::memcpy(&result[to], &array.data[from], element);
    for (size_t d = rank; d-- > 0;) {
      from += strides[d];
      if (++index[d] < static_cast<uint64_t>(array.dims[d]))
        break;
      from -= strides[d] * index[d];
      index[d] = 0;
    }
  }
  array.data = std::move(result);
}

} // namespace

std::string descrOf(DataType type) {
  for (const TypeName &t : kTypes)
    if (t.type == type)
      return t.descr;
  return type == DataType::string ? "" : "|V" + std::to_string(byteSize(type));
}

bool matches(const std::string &descr, DataType type) {
  std::string own = descrOf(type);
  if (own.empty() || descr.size() < 2)
    return false;
  // Byte order says nothing about single bytes.
  if (descr[0] == '>' && byteSize(type) != 1)
    return false;
  // ml_dtypes, from which arrays of these types come, calls one of them a float of NumPy's.
  if (type == DataType::f8e5m2 && descr.substr(1) == "f1")
    return true;
  return descr.substr(1) == own.substr(1);
}

void normalise(Array &array, DataType type) {
  unsigned bits = type == DataType::i2 || type == DataType::u2                               ? 2
                  : type == DataType::i4 || type == DataType::u4 || type == DataType::f4e2m1 ? 4
                  : type == DataType::boolean                                                ? 1
                                                                                             : 8;
  if (bits == 8)
    return;
  bool isSigned = type == DataType::i4 || type == DataType::i2;
  for (std::byte &element : array.data) {
    auto value = static_cast<unsigned char>(element);
    if (type == DataType::boolean)
      value = value != 0;
    else if (isSigned && value >> (bits - 1) & 1)
      value |= 0xff << bits;
    else
      value &= (1u << bits) - 1;
    element = static_cast<std::byte>(value);
  }
}

std::string describe(const Array &array) {
  std::string type = "'" + array.descr + "'";
  for (const TypeName &t : kTypes)
    if (matches(array.descr, t.type))
      type = name(t.type);
  if (matches(array.descr, DataType::f8e5m2) && array.descr[1] == 'f')
    type = name(DataType::f8e5m2);
  for (size_t i = 0; i < array.dims.size(); ++i)
    type += (i ? ", " : "[") + std::to_string(array.dims[i]);
  return type + (array.dims.empty() ? "[]" : "]");
}

Result<Array> parseNpy(std::span<const std::byte> bytes) {
  auto text = [&](size_t from, size_t count) {
    return std::string_view(reinterpret_cast<const char *>(bytes.data()) + from, count);
  };
  if (bytes.size() < 10 || text(0, kMagicBytes) != std::string_view(kMagic, kMagicBytes))
    return Status::failed("not a .npy array");
  unsigned version = static_cast<unsigned>(bytes[6]);
  if (version < 1 || version > 3)
    return Status::failed("unsupported .npy version " + std::to_string(version));
  size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start)
    return Status::failed("the .npy header is cut off");
  size_t length = 0;
  for (size_t i = 8; i < start; ++i)
    length |= static_cast<size_t>(bytes[i]) << 8 * (i - 8);
  if (length > bytes.size() - start)
    return Status::failed("the .npy header has " + std::to_string(length) + " bytes but " +
                          std::to_string(bytes.size() - start) + " are there");
  Array array;
  bool fortran = false;
  KT_RETURN_IF_ERROR(HeaderParser(text(start, length)).parse(array.descr, fortran, array.dims));
  auto element = elementBytes(array.descr);
  if (!element.ok())
    return std::move(element).status();
  uint64_t total = *element;
  for (int64_t dim : array.dims)
    if (__builtin_mul_overflow(total, static_cast<uint64_t>(dim), &total))
      return Status::failed("the array is larger than memory");
  uint64_t there = bytes.size() - start - length;
  if (total != there)
    return Status::failed("the array " + describe(array) + " has " + std::to_string(there) + " bytes, expected " +
                          std::to_string(total));
  KT_RETURN_IF_ERROR(os::expectMemory(total, "the array"));
  auto data = bytes.subspan(start + length);
  array.data.assign(data.begin(), data.end());
  if (fortran) {
    KT_RETURN_IF_ERROR(os::expectMemory(total, "the array's transposition"));
    transpose(array, *element);
  }
  return array;
}

std::string npyHeader(const TensorView &tensor) {
  std::string dict = "{'descr': '" + descrOf(tensor.type) + "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : tensor.dims)
    dict += std::to_string(dim) + (tensor.dims.size() == 1 ? "," : ", ");
  if (tensor.dims.size() > 1)
    dict.resize(dict.size() - 2);
  dict += "), }";
  // Data starts at a multiple of 64.
  size_t total = (10 + dict.size() + 1 + 63) / 64 * 64;
  dict.append(total - 10 - dict.size() - 1, ' ');
  dict += '\n';
  std::string header(kMagic, kMagicBytes);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(dict.size() & 255);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

Status writeNpy(const std::string &path, const TensorView &tensor) {
  if (tensor.type == DataType::string)
    return Status::failed("output '" + tensor.name + "' holds strings, which are not supported");
  os::OutputFile file(path);
  std::string header = npyHeader(tensor);
  file.write(header.data(), header.size());
  file.write(tensor.data, tensor.bytes());
  return file.finish();
}

} // namespace kt::npz
