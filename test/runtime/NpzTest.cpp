//===- NpzTest.cpp - NumPy's array files ----------------------------------===//
//
// Round trips, what NumPy itself writes, and files that are damaged or hostile.
//
//===----------------------------------------------------------------------===//

#include "runtime/npz/Npz.h"
#include "test/runtime/TestModel.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <zlib.h>

namespace kt::test {
namespace {

std::vector<std::byte> bytesOf(const std::string &text) {
  const auto *data = reinterpret_cast<const std::byte *>(text.data());
  return {data, data + text.size()};
}

std::vector<std::byte> npy(const std::string &dict, const std::string &data, unsigned version = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  for (unsigned i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += static_cast<char>(dict.size() >> 8 * i);
  return bytesOf(text + dict + data);
}

TEST(Npy, ReadsWhatNumpyWrites) {
  auto array = npz::parseNpy(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }  \n", {"\1\0\2\0", 4}));
  ASSERT_TRUE(array.ok()) << array.status().message();
  EXPECT_EQ(array->descr, "<i2");
  EXPECT_EQ(array->dims, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(array->data.size(), 4u);
  EXPECT_TRUE(
      npz::parseNpy(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", std::string(8, 'x'), 2)).ok());
  EXPECT_TRUE(npz::parseNpy(npy("{'descr': '|V1', 'fortran_order': False, 'shape': (3,), }", "abc", 3)).ok());
  auto text = npz::parseNpy(npy("{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", std::string(8, 'x')));
  ASSERT_TRUE(text.ok());
  EXPECT_FALSE(npz::matches(text->descr, DataType::i64));
}

// As ml_dtypes 0.4 to 0.6 write them.
TEST(Npy, TypesOfMlDtypes) {
  auto read = [](const char *descr, const std::string &data) {
    return *npz::parseNpy(
        npy("{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (3,), }", data));
  };
  npz::Array e5m2 = read("<f1", "<<<"), other = read("<V1", "888"), bfloat = read("<V2", "\x80?\x80?\x80?");
  EXPECT_TRUE(npz::matches(e5m2.descr, DataType::f8e5m2));
  for (DataType type : {DataType::f8e4m3fn, DataType::f8e5m2fnuz, DataType::f8e8m0, DataType::i8, DataType::f16})
    EXPECT_FALSE(npz::matches(e5m2.descr, type)) << name(type);
  EXPECT_EQ(npz::describe(e5m2), std::string(name(DataType::f8e5m2)) + "[3]");
  for (DataType type : {DataType::f8e4m3fn, DataType::f8e4m3fnuz, DataType::f8e5m2, DataType::f8e5m2fnuz,
                        DataType::f8e8m0, DataType::f4e2m1, DataType::i4, DataType::u4, DataType::i2, DataType::u2})
    EXPECT_TRUE(npz::matches(other.descr, type)) << name(type);
  EXPECT_FALSE(npz::matches(other.descr, DataType::i8));
  EXPECT_TRUE(npz::matches(bfloat.descr, DataType::bf16));
  EXPECT_FALSE(npz::matches(bfloat.descr, DataType::f16));
  // -1, 1, -2: the upper bits are zero.
  npz::Array four = read("<V1", "\x0f\x01\x0e");
  npz::normalise(four, DataType::i4);
  EXPECT_EQ(four.data, bytesOf("\xff\x01\xfe"));
  npz::normalise(four, DataType::i4);
  EXPECT_EQ(four.data, bytesOf("\xff\x01\xfe"));
  npz::normalise(four, DataType::u4);
  EXPECT_EQ(four.data, bytesOf("\x0f\x01\x0e"));
}

TEST(Npy, TransposesFortranOrder) {
  // [[1, 2, 3], [4, 5, 6]] by columns.
  auto array = npz::parseNpy(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", "\1\4\2\5\3\6"));
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->data, bytesOf("\1\2\3\4\5\6"));
}

TEST(Npy, SaysWhatIsMalformed) {
  struct {
    std::vector<std::byte> bytes;
    const char *message;
  } cases[] = {
      {bytesOf("hello, world"), "not a .npy array"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "1234"), "has 4 bytes, expected 12"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "1234567890123"), "has 13 bytes, expected 12"},
      {npy("{'descr': '<f4', 'shape': (3,)}", ""), "fortran_order or shape is missing"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", ""),
       "structured arrays are not supported"},
      {npy("{'descr': '>f4', 'fortran_order': False, 'shape': ()}", "1234"), "big-endian"},
      {npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}", ""), "unsupported array type '|O'"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807)}", ""),
       "larger than memory"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", ""), "malformed"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "1234"), "expected ',' or '}'"},
      {npy("", "", 9), "unsupported .npy version 9"},
  };
  for (auto &c : cases) {
    auto array = npz::parseNpy(c.bytes);
    ASSERT_FALSE(array.ok()) << c.message;
    EXPECT_NE(array.status().message().find(c.message), std::string::npos) << array.status().message();
  }
}

std::vector<TensorView> sample() {
  static const float f[] = {1, -2, 3.5f, 0, 0, 9};
  static const uint16_t h[] = {0x3f80, 0x4000};
  static const bool yes = true;
  static const int64_t none = 0;
  return {{"a/b:0", DataType::f32, {2, 3}, f},
          {"half", DataType::bf16, {2}, h},
          {"flag", DataType::boolean, {}, &yes},
          {"empty", DataType::i64, {0, 4}, &none}};
}

TEST(Npz, RoundTrip) {
  std::string path = temporaryPath("npz");
  ASSERT_TRUE(npz::writeNpz(path, sample()).ok());
  auto arrays = npz::readNpz(path);
  ASSERT_TRUE(arrays.ok()) << arrays.status().message();
  ASSERT_EQ(arrays->size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    TensorView expected = sample()[i];
    const npz::Array &array = (*arrays)[i];
    EXPECT_EQ(array.name, expected.name);
    EXPECT_EQ(array.dims, expected.dims);
    EXPECT_TRUE(npz::matches(array.descr, expected.type)) << array.descr;
    ASSERT_EQ(array.data.size(), expected.bytes());
    if (expected.bytes())
      EXPECT_EQ(std::memcmp(array.data.data(), expected.data, expected.bytes()), 0);
  }
  EXPECT_EQ((*arrays)[1].descr, "|V2");
  std::string again = temporaryPath("npz2");
  ASSERT_TRUE(npz::writeNpz(again, sample()).ok());
  EXPECT_EQ(readFile(path), readFile(again));
}

TEST(Npz, EntriesDoNotShareBytes) {
  // Two entries of the directory for one array: a small file could so unfold to a huge one.
  std::string path = temporaryPath("npz");
  std::vector<uint8_t> data(1000, 7);
  ASSERT_TRUE(npz::writeNpz(path, std::vector<TensorView>{{"a", DataType::u8, {1000}, data.data()}}).ok());
  std::vector<std::byte> bytes = readFile(path);
  auto number = [&](size_t at) { return static_cast<unsigned>(bytes[at]) | static_cast<unsigned>(bytes[at + 1]) << 8; };
  size_t end = bytes.size() - 22, size = number(end + 12), directory = end - size;
  std::vector<std::byte> twice(bytes.begin(), bytes.begin() + end);
  twice.insert(twice.end(), bytes.begin() + directory, bytes.begin() + end);
  twice.insert(twice.end(), bytes.begin() + end, bytes.end());
  twice[twice.size() - 22 + 8] = twice[twice.size() - 22 + 10] = std::byte{2};
  twice[twice.size() - 22 + 12] = static_cast<std::byte>(2 * size);
  EXPECT_NE(npz::parseNpz(twice).status().message().find("more bytes than the file"), std::string::npos);
}

TEST(Npz, OneArray) {
  std::string path = temporaryPath("npy");
  ASSERT_TRUE(npz::writeNpy(path, sample()[0]).ok());
  auto array = npz::readNpy(path);
  ASSERT_TRUE(array.ok()) << array.status().message();
  EXPECT_EQ(npz::describe(*array), "f32[2, 3]");
  EXPECT_FALSE(npz::writeNpy("/nowhere/x.npy", sample()[0]).ok());
}

/// A zip archive with one deflated entry, its sizes in a zip64 field.
std::vector<std::byte> deflatedZip64(const std::string &name, std::vector<std::byte> content, uint64_t claimed = 0) {
  std::string packed(compressBound(content.size()) + 64, '\0');
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef *>(content.data());
  stream.avail_in = content.size();
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = packed.size();
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  uint32_t crc = crc32_z(0, reinterpret_cast<const Bytef *>(content.data()), content.size());
  auto put = [](std::string &to, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i)
      to += static_cast<char>(value >> 8 * i);
  };
  uint64_t size = claimed ? claimed : content.size();
  std::string extra, local, central, end;
  put(extra, 1, 2), put(extra, 16, 2), put(extra, size, 8), put(extra, packed.size(), 8);
  put(local, 0x04034b50, 4), put(local, 45, 2), put(local, 0, 2), put(local, 8, 2), put(local, 0, 4),
      put(local, crc, 4);
  put(local, 0xffffffff, 4), put(local, 0xffffffff, 4), put(local, name.size(), 2), put(local, extra.size(), 2);
  local += name + extra + packed;
  put(central, 0x02014b50, 4), put(central, 45, 2), put(central, 45, 2), put(central, 0, 2), put(central, 8, 2);
  put(central, 0, 4), put(central, crc, 4), put(central, 0xffffffff, 4), put(central, 0xffffffff, 4);
  put(central, name.size(), 2), put(central, extra.size(), 2), put(central, 0, 2), put(central, 0, 2),
      put(central, 0, 2);
  put(central, 0, 4), put(central, 0, 4);
  central += name + extra;
  put(end, 0x06064b50, 4), put(end, 44, 8), put(end, 45, 2), put(end, 45, 2), put(end, 0, 8), put(end, 1, 8),
      put(end, 1, 8);
  put(end, central.size(), 8), put(end, local.size(), 8);
  put(end, 0x07064b50, 4), put(end, 0, 4), put(end, local.size() + central.size(), 8), put(end, 1, 4);
  put(end, 0x06054b50, 4), put(end, 0, 4), put(end, 0xffff, 2), put(end, 0xffff, 2), put(end, 0xffffffff, 4);
  put(end, 0xffffffff, 4), put(end, 0, 2);
  return bytesOf(local + central + end);
}

TEST(Npz, ReadsDeflatedEntriesAndZip64) {
  auto content = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (5000,)}", std::string(5000, 'z'));
  auto arrays = npz::parseNpz(deflatedZip64("x.npy", content));
  ASSERT_TRUE(arrays.ok()) << arrays.status().message();
  EXPECT_EQ((*arrays)[0].name, "x");
  EXPECT_EQ((*arrays)[0].data, std::vector<std::byte>(5000, std::byte{'z'}));
}

TEST(Npz, ClaimsAreNotBelieved) {
  auto content = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (50,)}", std::string(50, 'z'));
  for (uint64_t claimed : {uint64_t(1) << 62, uint64_t(5000), uint64_t(10)}) {
    auto arrays = npz::parseNpz(deflatedZip64("x.npy", content, claimed));
    ASSERT_FALSE(arrays.ok());
    EXPECT_NE(arrays.status().message().find("entry 'x.npy'"), std::string::npos) << arrays.status().message();
  }
  EXPECT_FALSE(npz::parseNpz({}).ok());
  EXPECT_FALSE(npz::parseNpz(bytesOf(std::string(1000, 'P'))).ok());
}

TEST(Npz, AChecksumThatIsWrongIsTold) {
  std::string path = temporaryPath("npz");
  ASSERT_TRUE(npz::writeNpz(path, sample()).ok());
  std::vector<std::byte> bytes = readFile(path);
  const float number = 3.5f; // of the first entry
  auto *pattern = reinterpret_cast<const std::byte *>(&number);
  auto found = std::search(bytes.begin(), bytes.end(), pattern, pattern + sizeof(number));
  ASSERT_NE(found, bytes.end());
  *found ^= std::byte{1};
  auto arrays = npz::parseNpz(bytes);
  ASSERT_FALSE(arrays.ok());
  EXPECT_NE(arrays.status().message().find("the checksum of entry 'a/b:0.npy' is wrong"), std::string::npos)
      << arrays.status().message();
}

TEST(Npz, DamageIsFoundOrHarmless) {
  std::string path = temporaryPath("npz");
  ASSERT_TRUE(npz::writeNpz(path, sample()).ok());
  std::vector<std::byte> good = readFile(path);
  auto packed =
      deflatedZip64("x.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (50,)}", std::string(50, 'z')));
  std::mt19937 random(5);
  for (const auto &file : {good, packed}) {
    for (size_t length = 0; length < file.size(); ++length)
      EXPECT_FALSE(npz::parseNpz(std::span(file).first(length)).ok());
    for (int round = 0; round < 20000; ++round) {
      auto bytes = file;
      for (unsigned k = 0; k <= random() % 3; ++k)
        bytes[random() % bytes.size()] = static_cast<std::byte>(random());
      (void)npz::parseNpz(bytes); // sanitizers watch
    }
  }
}

} // namespace
} // namespace kt::test
