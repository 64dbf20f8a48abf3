//===- OnnxFields.cpp - changes any field of any message ------------------===//
//
// The compiler's message classes are generated without descriptors. The build writes these into a file of their own,
// and messages are made from that.
//
//===----------------------------------------------------------------------===//

#include "test/fuzz/OnnxFields.h"

#include <fstream>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <memory>
#include <random>
#include <vector>

using namespace google::protobuf;

namespace {

struct Schema {
  DescriptorPool pool;
  DynamicMessageFactory factory;
  const Message *model = nullptr;

  Schema() {
    std::ifstream in(KT_ONNX_DESCRIPTORS, std::ios::binary);
    FileDescriptorSet set;
    if (!set.ParseFromIstream(&in))
      return;
    for (const FileDescriptorProto &file : set.file())
      pool.BuildFile(file);
    if (const Descriptor *type = pool.FindMessageTypeByName("onnx.ModelProto"))
      model = factory.GetPrototype(type);
  }
};

class Fields {
public:
  Fields(Message &root, unsigned seed) : random(seed) { collect(root, 0); }

  void change() {
    Message &message = *messages[random() % messages.size()];
    const Descriptor *type = message.GetDescriptor();
    const Reflection *reflection = message.GetReflection();
    std::vector<const FieldDescriptor *> set;
    reflection->ListFields(message, &set);
    const FieldDescriptor *field = !set.empty() && random() % 4
                                       ? set[random() % set.size()]
                                       : type->field((int)(random() % (unsigned)type->field_count()));
    if (field->is_repeated())
      changeRepeated(message, *reflection, field);
    else if (random() % 6 == 0)
      reflection->ClearField(&message, field);
    else
      changeSingle(message, *reflection, field);
  }

private:
  void collect(Message &message, int depth) {
    messages.push_back(&message);
    if (depth > 40)
      return;
    const Reflection *reflection = message.GetReflection();
    std::vector<const FieldDescriptor *> set;
    reflection->ListFields(message, &set);
    for (const FieldDescriptor *field : set) {
      if (field->type() == FieldDescriptor::TYPE_STRING)
        for (int i = 0, n = field->is_repeated() ? reflection->FieldSize(message, field) : 1; i < n; ++i)
          texts.push_back(field->is_repeated() ? reflection->GetRepeatedString(message, field, i)
                                               : reflection->GetString(message, field));
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
        continue;
      if (field->is_repeated())
        for (int i = 0; i < reflection->FieldSize(message, field); ++i)
          collect(*reflection->MutableRepeatedMessage(&message, field, i), depth + 1);
      else
        collect(*reflection->MutableMessage(&message, field), depth + 1);
    }
  }

  int64_t number() {
    static constexpr int64_t kNumbers[] = {
        0, 1, 2, -1, 3, 7, 16, 255, 1 << 20, 1LL << 31, (1LL << 31) - 1, 1LL << 40, INT64_MAX, INT64_MIN};
    return random() % 2 ? kNumbers[random() % std::size(kNumbers)] : (int64_t)(random() % 32);
  }
  std::string text() {
    switch (random() % 6) {
    case 0:
      return "";
    case 1:
      return std::string(1 + random() % 8, (char)random());
    default:
      return texts.empty() ? "x" : texts[random() % texts.size()];
    }
  }
  /// A message of the kind from elsewhere in the tree; null where there is none.
  const Message *another(const Descriptor *type) {
    for (int tries = 0; tries < 20; ++tries)
      if (const Message *m = messages[random() % messages.size()];
          m->GetDescriptor() == type && m->ByteSizeLong() < 1024)
        return m;
    return nullptr;
  }

  void changeSingle(Message &m, const Reflection &r, const FieldDescriptor *f) {
    switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return r.SetInt32(&m, f, (int32_t)number());
    case FieldDescriptor::CPPTYPE_INT64:
      return r.SetInt64(&m, f, number());
    case FieldDescriptor::CPPTYPE_UINT64:
      return r.SetUInt64(&m, f, (uint64_t)number());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return r.SetFloat(&m, f, (float)number());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return r.SetDouble(&m, f, (double)number());
    case FieldDescriptor::CPPTYPE_ENUM:
      return r.SetEnumValue(&m, f, (int)(random() % 28));
    case FieldDescriptor::CPPTYPE_STRING:
      return r.SetString(&m, f, text());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (const Message *other = another(f->message_type())) {
        std::unique_ptr<Message> copy(other->New());
        copy->CopyFrom(*other);
        r.MutableMessage(&m, f)->CopyFrom(*copy);
        messages.assign(1, &m); // what was below is gone
      }
      return;
    default:
      return;
    }
  }

  void changeRepeated(Message &m, const Reflection &r, const FieldDescriptor *f) {
    int size = r.FieldSize(m, f);
    int at = size ? (int)(random() % (unsigned)size) : 0;
    switch (random() % 4) {
    case 0:
      if (size) {
        messages.assign(1, &m);
        r.SwapElements(&m, f, at, size - 1);
        return r.RemoveLast(&m, f);
      }
      [[fallthrough]];
    case 1:
      switch (f->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return r.AddInt32(&m, f, (int32_t)number());
      case FieldDescriptor::CPPTYPE_INT64:
        return r.AddInt64(&m, f, number());
      case FieldDescriptor::CPPTYPE_UINT64:
        return r.AddUInt64(&m, f, (uint64_t)number());
      case FieldDescriptor::CPPTYPE_FLOAT:
        return r.AddFloat(&m, f, (float)number());
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return r.AddDouble(&m, f, (double)number());
      case FieldDescriptor::CPPTYPE_STRING:
        return r.AddString(&m, f, text());
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (const Message *other = another(f->message_type())) {
          std::unique_ptr<Message> copy(other->New());
          copy->CopyFrom(*other);
          r.AddMessage(&m, f)->CopyFrom(*copy);
        }
        return;
      default:
        return;
      }
    case 2:
      if (size)
        r.SwapElements(&m, f, at, (int)(random() % (unsigned)size));
      return;
    case 3:
      if (size)
        switch (f->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32:
          return r.SetRepeatedInt32(&m, f, at, (int32_t)number());
        case FieldDescriptor::CPPTYPE_INT64:
          return r.SetRepeatedInt64(&m, f, at, number());
        case FieldDescriptor::CPPTYPE_FLOAT:
          return r.SetRepeatedFloat(&m, f, at, (float)number());
        case FieldDescriptor::CPPTYPE_STRING:
          return r.SetRepeatedString(&m, f, at, text());
        default:
          return;
        }
    }
  }

  std::mt19937 random;
  std::vector<Message *> messages;
  std::vector<std::string> texts;
};

} // namespace

size_t kt::fuzz::mutateFields(uint8_t *data, size_t size, size_t most, unsigned seed) {
  static Schema &schema = *new Schema;
  if (!schema.model)
    return 0;
  std::unique_ptr<Message> model(schema.model->New());
  if (!model->ParsePartialFromArray(data, (int)size))
    return 0;
  std::mt19937 random(seed);
  for (unsigned n = 1 + random() % 3; n; --n)
    Fields(*model, (unsigned)random()).change();
  size_t bytes = model->ByteSizeLong();
  if (bytes == 0 || bytes > most || !model->SerializePartialToArray(data, (int)bytes))
    return 0;
  return bytes;
}
