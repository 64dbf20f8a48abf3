//===- Proto.cpp - reading ONNX files -------------------------------------===//

#include "compiler/Import/Proto.h"
#include "mlir/IR/BuiltinTypes.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace kt::import;
using llvm::ArrayRef;
using llvm::StringRef;
using llvm::Twine;

static llvm::Error fail(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

namespace {
struct TypeRow {
  int number;
  const char *name;
  unsigned storedBits; // bits of an element in raw_data; 0: not a number
};
// onnx.proto, TensorProto.DataType; numbers above 16 are newer than the schema that the classes come from.
constexpr TypeRow kTypes[] = {{1, "float", 32},        {2, "uint8", 8},
                              {3, "int8", 8},          {4, "uint16", 16},
                              {5, "int16", 16},        {6, "int32", 32},
                              {7, "int64", 64},        {8, "string", 0},
                              {9, "bool", 8},          {10, "float16", 16},
                              {11, "double", 64},      {12, "uint32", 32},
                              {13, "uint64", 64},      {14, "complex64", 64},
                              {15, "complex128", 128}, {16, "bfloat16", 16},
                              {17, "float8e4m3fn", 8}, {18, "float8e4m3fnuz", 8},
                              {19, "float8e5m2", 8},   {20, "float8e5m2fnuz", 8},
                              {21, "uint4", 4},        {22, "int4", 4},
                              {23, "float4e2m1", 4},   {24, "float8e8m0", 8},
                              {25, "uint2", 2},        {26, "int2", 2}};

const TypeRow *row(int number) {
  for (const TypeRow &r : kTypes)
    if (r.number == number)
      return &r;
  return nullptr;
}
} // namespace

std::string kt::import::typeName(int onnxType) {
  const TypeRow *r = row(onnxType);
  return r ? r->name : "type " + std::to_string(onnxType);
}

mlir::Type kt::import::elementType(mlir::MLIRContext *context, int onnxType) {
  mlir::Builder b(context);
  auto integer = [&](unsigned bits, bool isUnsigned) -> mlir::Type {
    return isUnsigned ? mlir::IntegerType::get(context, bits, mlir::IntegerType::Unsigned) : b.getIntegerType(bits);
  };
  switch (onnxType) {
  case 1:
    return b.getF32Type();
  case 2:
    return integer(8, true);
  case 3:
    return integer(8, false);
  case 4:
    return integer(16, true);
  case 5:
    return integer(16, false);
  case 6:
    return integer(32, false);
  case 7:
    return integer(64, false);
  case 9:
    return b.getI1Type();
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return integer(32, true);
  case 13:
    return integer(64, true);
  case 16:
    return b.getBF16Type();
  case 17:
    return mlir::Float8E4M3FNType::get(context);
  case 18:
    return mlir::Float8E4M3FNUZType::get(context);
  case 19:
    return mlir::Float8E5M2Type::get(context);
  case 20:
    return mlir::Float8E5M2FNUZType::get(context);
  case 21:
    return integer(4, true);
  case 22:
    return integer(4, false);
  case 23:
    return mlir::Float4E2M1FNType::get(context);
  case 24:
    return mlir::Float8E8M0FNUType::get(context);
  case 25:
    return integer(2, true);
  case 26:
    return integer(2, false);
  }
  return {};
}

llvm::Expected<std::unique_ptr<ModelFile>> ModelFile::load(StringRef path) {
  auto opened = os::openRegular(path.str());
  auto mapped = opened.ok() ? os::MappedFile::map(*std::move(opened), path.str()) : std::move(opened).status();
  if (!mapped.ok())
    return fail("cannot read '" + path + "': " + mapped.status().message());
  std::unique_ptr<os::MappedFile> own = *std::move(mapped);
  ArrayRef<char> data(reinterpret_cast<const char *>(own->bytes().data()), own->bytes().size());
  auto file = parse(data, path);
  if (file)
    (*file)->own = std::move(own);
  return file;
}

llvm::Expected<std::unique_ptr<ModelFile>> ModelFile::parse(ArrayRef<char> data, StringRef path) {
  auto file = std::make_unique<ModelFile>();
  file->path = path.str();
  file->model = std::make_unique<onnx::ModelProto>();
  if (data.empty())
    return fail("'" + path + "' is empty");
  if (data.size() > INT_MAX)
    return fail("'" + path + "' has " + Twine(data.size()) +
                " bytes, but a protobuf file ends at 2147483647: store the weights as external data");
  google::protobuf::LogSilencer silence; // its parse errors go to the caller, not to stderr
  google::protobuf::io::ArrayInputStream stream(data.data(), (int)data.size());
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetRecursionLimit(200);
  if (!file->model->ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return fail("'" + path + "' is not an ONNX model or is damaged: parsing stopped at byte " +
                Twine(coded.CurrentPosition()) + " of " + Twine(data.size()));
  if (!file->model->has_graph())
    return fail("'" + path + "' is not an ONNX model: it has no graph");
  return file;
}

llvm::Expected<kt::os::MappedFile *> ModelFile::externalFile(const std::string &location) {
  auto &slot = external[location];
  if (!slot) {
    auto opened = os::openBeside(path, location);
    if (!opened.ok() && opened.status().code() == Code::usage)
      return fail("external data '" + location + "' " + opened.status().message());
    auto mapped = opened.ok() ? os::MappedFile::map(*std::move(opened), location) : std::move(opened).status();
    if (!mapped.ok())
      return fail("cannot read external data '" + location + "': " + mapped.status().message());
    slot = *std::move(mapped);
  }
  return slot.get();
}

std::vector<const kt::os::MappedFile *> ModelFile::files() const {
  std::vector<const os::MappedFile *> all;
  if (own)
    all.push_back(own.get());
  for (const auto &entry : external)
    if (entry.second)
      all.push_back(entry.second.get());
  return all;
}

llvm::Error ModelFile::unchanged() const {
  for (const os::MappedFile *file : files())
    if (Status status = file->unchanged(); !status.ok())
      return fail(status.message());
  return llvm::Error::success();
}

void ModelFile::openExternal() {
  auto tensor = [&](const onnx::TensorProto &t) {
    for (const auto &entry : t.external_data())
      if (entry.key() == "location")
        if (auto file = externalFile(entry.value()); !file)
          llvm::consumeError(file.takeError());
  };
  // Graphs nest; a list of what is left to do needs no stack for that.
  std::vector<const onnx::GraphProto *> graphs{&model->graph()};
  auto nodes = [&](const auto &list) {
    for (const onnx::NodeProto &node : list)
      for (const onnx::AttributeProto &attribute : node.attribute()) {
        tensor(attribute.t());
        llvm::for_each(attribute.tensors(), tensor);
        if (attribute.has_g())
          graphs.push_back(&attribute.g());
        for (const onnx::GraphProto &graph : attribute.graphs())
          graphs.push_back(&graph);
      }
  };
  for (const onnx::FunctionProto &function : model->functions())
    nodes(function.node());
  while (!graphs.empty()) {
    const onnx::GraphProto *graph = graphs.back();
    graphs.pop_back();
    llvm::for_each(graph->initializer(), tensor);
    nodes(graph->node());
  }
}

llvm::Expected<ArrayRef<char>> ModelFile::externalBytes(const onnx::TensorProto &tensor) {
  StringRef location;
  uint64_t offset = 0, length = UINT64_MAX;
  for (const auto &entry : tensor.external_data()) {
    StringRef value = entry.value();
    bool bad = false;
    if (entry.key() == "location")
      location = value;
    else if (entry.key() == "offset")
      bad = value.getAsInteger(10, offset);
    else if (entry.key() == "length")
      bad = value.getAsInteger(10, length);
    if (bad)
      return fail("tensor '" + tensor.name() + "': external " + entry.key() + " '" + value + "' is not a number");
  }
  if (location.empty())
    return fail("tensor '" + tensor.name() + "': external data without a location");
  auto file = externalFile(location.str());
  if (!file)
    return fail("tensor '" + tensor.name() + "': " + llvm::toString(file.takeError()));
  uint64_t size = (*file)->bytes().size();
  if (length == UINT64_MAX)
    length = offset <= size ? size - offset : 0;
  if (offset > size || length > size - offset)
    return fail("tensor '" + tensor.name() + "': external data '" + location + "' has " + Twine(size) +
                " bytes, but bytes " + Twine(offset) + " to " + Twine(offset) + "+" + Twine(length) + " are asked for");
  return ArrayRef<char>(reinterpret_cast<const char *>((*file)->bytes().data()) + offset, length);
}

/// The values of a typed field, narrowed to the element's width.
template <typename Field> static std::vector<char> narrow(const Field &field, unsigned bytes) {
  std::vector<char> out(field.size() * bytes);
  for (int i = 0; i < field.size(); ++i) {
    auto value = field.Get(i);
    memcpy(out.data() + (size_t)i * bytes, &value, bytes);
  }
  return out;
}

llvm::Expected<ArrayRef<char>> ModelFile::bytes(const onnx::TensorProto &tensor) {
  const TypeRow *type = row(tensor.data_type());
  if (!type || type->storedBits == 0)
    return fail("tensor '" + tensor.name() + "': expected numbers but got elements of " + typeName(tensor.data_type()));
  uint64_t count = 1;
  for (int64_t d : tensor.dims()) {
    if (d < 0)
      return fail("tensor '" + tensor.name() + "': negative dimension " + Twine(d));
    if (d != 0 && count > (uint64_t(1) << 46) / (uint64_t)d)
      return fail("tensor '" + tensor.name() + "': too many elements");
    count *= (uint64_t)d;
  }
  uint64_t stored = (count * type->storedBits + 7) / 8;
  unsigned width = std::max(1u, type->storedBits / 8);
  ArrayRef<char> data;
  auto keep = [&](std::vector<char> bytes) {
    converted.push_back(std::make_unique<std::vector<char>>(std::move(bytes)));
    data = *converted.back();
  };
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    auto e = externalBytes(tensor);
    if (!e)
      return e.takeError();
    data = *e;
  } else if (tensor.has_raw_data()) {
    data = ArrayRef<char>(tensor.raw_data().data(), tensor.raw_data().size());
  } else if (tensor.float_data_size()) {
    keep(narrow(tensor.float_data(), 4));
  } else if (tensor.double_data_size()) {
    keep(narrow(tensor.double_data(), 8));
  } else if (tensor.int64_data_size()) {
    keep(narrow(tensor.int64_data(), 8));
  } else if (tensor.uint64_data_size()) {
    keep(narrow(tensor.uint64_data(), std::min(8u, width)));
  } else if (tensor.int32_data_size()) {
    keep(narrow(tensor.int32_data(), std::min(4u, width)));
  }
  if (data.size() != stored)
    return fail("tensor '" + tensor.name() + "': expected " + Twine(stored) + " bytes for " + Twine(count) +
                " elements of " + type->name + " but got " + Twine(data.size()));
  if (type->storedBits < 8) { // unpack, sign-extending the signed kinds
    std::vector<char> wide(count);
    unsigned bits = type->storedBits, per = 8 / bits, mask = (1u << bits) - 1;
    bool isSigned = StringRef(type->name).starts_with("int");
    for (uint64_t i = 0; i < count; ++i) {
      unsigned v = ((unsigned char)data[i / per] >> (i % per * bits)) & mask;
      wide[i] = (char)(isSigned && (v >> (bits - 1)) ? v | ~mask : v);
    }
    keep(std::move(wide));
  }
  return data;
}
