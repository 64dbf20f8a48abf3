//===- Npz.cpp - archives of arrays ---------------------------------------===//
//
// A zip reader and writer for what NumPy produces (APPNOTE.TXT 6.3 of PKWARE). Sizes come from the central directory
// and are checked against what is there before memory is taken for them.
//
//===----------------------------------------------------------------------===//

#include "runtime/npz/Internal.h"
#include "runtime/os/Memory.h"
#include "runtime/os/OutputFile.h"

#include <algorithm>
#include <cstring>
#include <zlib.h>

namespace kt::npz {
namespace {

using Bytes = std::span<const std::byte>;

uint64_t little(Bytes bytes, uint64_t at, unsigned count) {
  uint64_t value = 0;
  for (unsigned i = 0; i < count; ++i)
    value |= static_cast<uint64_t>(bytes[at + i]) << 8 * i;
  return value;
}

struct Entry {
  std::string name;
  unsigned method = 0, flags = 0;
  uint64_t compressed = 0, size = 0, offset = 0;
  uint32_t crc = 0;
};

constexpr uint32_t kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50, kCentral = 0x02014b50,
                   kLocal = 0x04034b50;

Status damaged(const std::string &what) { return Status::failed("damaged .npz file: " + what); }

/// Finds the central directory: its place and the number of its entries.
Status findDirectory(Bytes zip, uint64_t &offset, uint64_t &size, uint64_t &count) {
  constexpr uint64_t kEndBytes = 22, kMaxComment = 65535;
  if (zip.size() < kEndBytes)
    return Status::failed("not a .npz file: " + std::to_string(zip.size()) + " bytes are no zip archive");
  uint64_t lowest = zip.size() - kEndBytes > kMaxComment ? zip.size() - kEndBytes - kMaxComment : 0;
  for (uint64_t at = zip.size() - kEndBytes + 1; at-- > lowest;) {
    if (little(zip, at, 4) != kEnd || little(zip, at + 20, 2) != zip.size() - at - kEndBytes)
      continue;
    count = little(zip, at + 10, 2);
    size = little(zip, at + 12, 4);
    offset = little(zip, at + 16, 4);
    if (count == 0xffff || size == 0xffffffff || offset == 0xffffffff) {
      if (at < 20 || little(zip, at - 20, 4) != kLocator64)
        return damaged("the zip64 locator is missing");
      uint64_t end64 = little(zip, at - 12, 8);
      if (zip.size() < 56 || end64 > zip.size() - 56 || little(zip, end64, 4) != kEnd64)
        return damaged("the zip64 directory record is missing");
      count = little(zip, end64 + 32, 8);
      size = little(zip, end64 + 40, 8);
      offset = little(zip, end64 + 48, 8);
    }
    if (offset > zip.size() || size > zip.size() - offset)
      return damaged("the directory is " + std::to_string(size) + " bytes at " + std::to_string(offset) +
                     " but the file has " + std::to_string(zip.size()));
    return {};
  }
  return Status::failed("not a .npz file: no zip directory");
}

/// Takes the 64-bit values of an entry's extra field where the 32-bit ones say so.
Status readExtra64(Bytes extra, Entry &entry) {
  while (extra.size() >= 4) {
    uint64_t id = little(extra, 0, 2), bytes = little(extra, 2, 2);
    if (bytes > extra.size() - 4)
      return damaged("the extra field of '" + entry.name + "' is cut off");
    Bytes field = extra.subspan(4, bytes);
    extra = extra.subspan(4 + bytes);
    if (id != 1)
      continue;
    for (uint64_t *value : {&entry.size, &entry.compressed, &entry.offset}) {
      if (*value != 0xffffffff)
        continue;
      if (field.size() < 8)
        return damaged("the zip64 field of '" + entry.name + "' is cut off");
      *value = little(field, 0, 8);
      field = field.subspan(8);
    }
  }
  return {};
}

Status readDirectory(Bytes zip, std::vector<Entry> &entries) {
  uint64_t offset = 0, size = 0, count = 0;
  KT_RETURN_IF_ERROR(findDirectory(zip, offset, size, count));
  Bytes directory = zip.subspan(offset, size);
  constexpr uint64_t kFixed = 46;
  uint64_t held = 0;
  while (!directory.empty()) {
    if (directory.size() < kFixed || little(directory, 0, 4) != kCentral)
      return damaged("entry " + std::to_string(entries.size()) + " of the directory is malformed");
    Entry entry;
    entry.flags = little(directory, 8, 2);
    entry.method = little(directory, 10, 2);
    entry.crc = little(directory, 16, 4);
    entry.compressed = little(directory, 20, 4);
    entry.size = little(directory, 24, 4);
    entry.offset = little(directory, 42, 4);
    uint64_t nameBytes = little(directory, 28, 2), extra = little(directory, 30, 2), comment = little(directory, 32, 2);
    if (nameBytes + extra + comment > directory.size() - kFixed)
      return damaged("entry " + std::to_string(entries.size()) + " of the directory is cut off");
    entry.name.assign(reinterpret_cast<const char *>(directory.data()) + kFixed, nameBytes);
    KT_RETURN_IF_ERROR(readExtra64(directory.subspan(kFixed + nameBytes, extra), entry));
    // Entries that share their bytes would unfold a small file to a huge one.
    if (entry.compressed > zip.size() - held)
      return damaged("its entries have more bytes than the file's " + std::to_string(zip.size()));
    held += entry.compressed;
    directory = directory.subspan(kFixed + nameBytes + extra + comment);
    entries.push_back(std::move(entry));
  }
  if (entries.size() != count)
    return damaged("the directory has " + std::to_string(entries.size()) + " entries, expected " +
                   std::to_string(count));
  return {};
}

Status inflateEntry(Bytes from, const Entry &entry, std::vector<std::byte> &to) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return Status::failed("zlib cannot start");
  to.resize(entry.size);
  uint64_t in = 0, out = 0;
  int status = Z_OK;
  constexpr uint64_t kPart = 1u << 30;
  std::byte none{};
  while (status == Z_OK) {
    stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(from.data() + in));
    stream.avail_in = static_cast<uInt>(std::min(kPart, from.size() - in));
    stream.next_out = reinterpret_cast<Bytef *>(out < to.size() ? to.data() + out : &none);
    stream.avail_out = static_cast<uInt>(std::min(kPart, to.size() - out));
    uInt inBefore = stream.avail_in, outBefore = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    in += inBefore - stream.avail_in;
    out += outBefore - stream.avail_out;
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || out != to.size())
    return damaged("entry '" + entry.name + "' does not unpack to its " + std::to_string(entry.size) + " bytes");
  return {};
}

Status readEntry(Bytes zip, const Entry &entry, std::vector<std::byte> &to) {
  constexpr uint64_t kFixed = 30;
  if (entry.flags & 1)
    return Status::failed("entry '" + entry.name + "' is encrypted");
  if (zip.size() < kFixed || entry.offset > zip.size() - kFixed || little(zip, entry.offset, 4) != kLocal)
    return damaged("entry '" + entry.name + "' is not where the directory says");
  uint64_t start = entry.offset + kFixed + little(zip, entry.offset + 26, 2) + little(zip, entry.offset + 28, 2);
  if (start > zip.size() || entry.compressed > zip.size() - start)
    return damaged("entry '" + entry.name + "' has " + std::to_string(entry.compressed) + " bytes at " +
                   std::to_string(start) + " but the file has " + std::to_string(zip.size()));
  Bytes from = zip.subspan(start, entry.compressed);
  KT_RETURN_IF_ERROR(os::expectMemory(entry.size, "entry '" + entry.name + "'"));
  if (entry.method == 0) {
    if (entry.size != entry.compressed)
      return damaged("entry '" + entry.name + "' is stored but its sizes differ");
    to.assign(from.begin(), from.end());
  } else if (entry.method == 8) {
    // Deflate shrinks by no more than 1032.
    if (entry.size / 1040 > entry.compressed)
      return damaged("entry '" + entry.name + "' claims " + std::to_string(entry.size) + " bytes from " +
                     std::to_string(entry.compressed));
    KT_RETURN_IF_ERROR(inflateEntry(from, entry, to));
  } else {
    return Status::failed("entry '" + entry.name + "' is packed by method " + std::to_string(entry.method) +
                          ", expected stored or deflated");
  }
  uint32_t crc = crc32_z(0, reinterpret_cast<const Bytef *>(to.data()), to.size());
  if (crc != entry.crc)
    return damaged("the checksum of entry '" + entry.name + "' is wrong");
  return {};
}

/// Little-endian numbers in a row.
class Record {
public:
  Record &add(uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i)
      text += static_cast<char>(value >> 8 * i);
    return *this;
  }
  Record &add(const std::string &s) {
    text += s;
    return *this;
  }
  std::string text;
};

} // namespace

Result<std::vector<Array>> parseNpz(Bytes zip) {
  std::vector<Entry> entries;
  KT_RETURN_IF_ERROR(readDirectory(zip, entries));
  std::vector<Array> arrays;
  std::vector<std::byte> bytes;
  for (const Entry &entry : entries) {
    constexpr std::string_view kSuffix = ".npy";
    std::string name = entry.name;
    if (name.size() >= kSuffix.size() && name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0)
      name.resize(name.size() - kSuffix.size());
    KT_RETURN_IF_ERROR(readEntry(zip, entry, bytes));
    auto array = parseNpy(bytes);
    if (!array.ok())
      return std::move(array).status().in("entry '" + entry.name + "'");
    array->name = name;
    arrays.push_back(*std::move(array));
  }
  return arrays;
}

Result<std::vector<Array>> readNpz(const std::string &path) {
  auto file = os::MappedFile::open(path);
  if (!file.ok())
    return std::move(file).status();
  auto arrays = parseNpz((*file)->bytes());
  if (!arrays.ok())
    return std::move(arrays).status().in("'" + path + "'");
  return arrays;
}

Result<Array> readNpy(const std::string &path) {
  auto file = os::MappedFile::open(path);
  if (!file.ok())
    return std::move(file).status();
  auto array = parseNpy((*file)->bytes());
  if (!array.ok())
    return std::move(array).status().in("'" + path + "'");
  return array;
}

Status writeNpz(const std::string &path, std::span<const TensorView> tensors) {
  os::OutputFile file(path);
  Record directory;
  constexpr uint64_t kLimit = 0xffffffff;
  constexpr unsigned kDate = 0x21; // 1 January 1980, the first that zip knows
  for (const TensorView &tensor : tensors) {
    if (tensor.type == DataType::string)
      return Status::failed("output '" + tensor.name + "' holds strings, which are not supported");
    std::string header = npyHeader(tensor), entry = tensor.name + ".npy";
    if (entry.size() > 0xffff)
      return Status::failed("an output's name has " + std::to_string(tensor.name.size()) + " bytes");
    uint64_t size = header.size() + tensor.bytes(), offset = file.position();
    uint32_t crc = crc32_z(0, reinterpret_cast<const Bytef *>(header.data()), header.size());
    if (tensor.bytes())
      crc = crc32_z(crc, static_cast<const Bytef *>(tensor.data), tensor.bytes());
    bool big = size >= kLimit, far = offset >= kLimit;
    Record extra, local;
    if (big)
      extra.add(1, 2).add(16, 2).add(size, 8).add(size, 8);
    local.add(kLocal, 4).add(big ? 45 : 20, 2).add(0x800, 2).add(0, 2).add(0, 2).add(kDate, 2).add(crc, 4);
    local.add(big ? kLimit : size, 4).add(big ? kLimit : size, 4).add(entry.size(), 2).add(extra.text.size(), 2);
    local.add(entry).add(extra.text);
    file.write(local.text.data(), local.text.size());
    file.write(header.data(), header.size());
    file.write(tensor.data, tensor.bytes());

    Record extra64;
    if (big || far) {
      extra64.add(1, 2).add((big ? 16 : 0) + (far ? 8 : 0), 2);
      if (big)
        extra64.add(size, 8).add(size, 8);
      if (far)
        extra64.add(offset, 8);
    }
    directory.add(kCentral, 4).add(45, 2).add(big || far ? 45 : 20, 2).add(0x800, 2).add(0, 2).add(0, 2).add(kDate, 2);
    directory.add(crc, 4).add(big ? kLimit : size, 4).add(big ? kLimit : size, 4).add(entry.size(), 2);
    directory.add(extra64.text.size(), 2).add(0, 2).add(0, 2).add(0, 2).add(0, 4).add(far ? kLimit : offset, 4);
    directory.add(entry).add(extra64.text);
  }
  uint64_t at = file.position(), count = tensors.size(), size = directory.text.size();
  Record end;
  bool wide = at >= kLimit || size >= kLimit || count >= 0xffff;
  if (wide) {
    end.add(kEnd64, 4).add(44, 8).add(45, 2).add(45, 2).add(0, 4).add(0, 4).add(count, 8).add(count, 8);
    end.add(size, 8).add(at, 8);
    end.add(kLocator64, 4).add(0, 4).add(at + size, 8).add(1, 4);
  }
  end.add(kEnd, 4).add(0, 2).add(0, 2).add(wide ? 0xffff : count, 2).add(wide ? 0xffff : count, 2);
  end.add(wide ? kLimit : size, 4).add(wide ? kLimit : at, 4).add(0, 2);
  file.write(directory.text.data(), size);
  file.write(end.text.data(), end.text.size());
  return file.finish();
}

} // namespace kt::npz
