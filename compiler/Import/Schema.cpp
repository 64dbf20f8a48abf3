//===- Schema.cpp - what the standard says of its operators ---------------===//

#include "compiler/Import/Schema.h"
#include "compiler/Import/Proto.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"

using namespace kt::import;
using llvm::StringRef;
using llvm::Twine;

static constexpr char kTable[] =
#include "compiler/Import/Schemas.inc"
    ;

static constexpr StringRef kKinds = "?fistgFISTGpPyY"; // at the number of AttributeProto.AttributeType
static constexpr const char *kKindNames[] = {"nothing", "a float",         "an integer",     "a string", "a tensor",
                                             "a graph", "floats",          "integers",       "strings",  "tensors",
                                             "graphs",  "a sparse tensor", "sparse tensors", "a type",   "types"};

static std::string kindName(int kind) {
  return kind >= 0 && kind < (int)std::size(kKindNames) ? kKindNames[kind] : "kind " + std::to_string(kind);
}

namespace {
/// The fields of a line of the table; scripts/generate-schemas.py says what they are.
Schema parse(llvm::ArrayRef<StringRef> field) {
  Schema s;
  (void)field[1].getAsInteger(10, s.since);
  if ((s.removed = field[2] == "x"))
    return s;
  unsigned *counts[] = {&s.leastInputs, &s.mostInputs, &s.leastOutputs, &s.mostOutputs};
  for (auto [count, text] : llvm::zip(counts, field.slice(2, 4)))
    if (text.getAsInteger(10, *count))
      *count = UINT_MAX;
  auto list = [](StringRef text) {
    llvm::SmallVector<StringRef> parts;
    if (text != ".")
      text.split(parts, ',');
    return parts;
  };
  for (StringRef text : list(field[6])) {
    if ((s.anyAttribute = text == "*"))
      break;
    auto [name, kind] = text.split(':');
    s.attributes.push_back({name, (int)kKinds.find(kind[0]), kind.ends_with("!")});
  }
  auto types = [](StringRef text) {
    uint64_t mask = 0;
    (void)text.getAsInteger(16, mask);
    return mask;
  };
  llvm::StringMap<uint64_t> parameters;
  for (StringRef text : list(field[9]))
    parameters[text.split(':').first] = types(text.split(':').second);
  for (StringRef text : list(field[7])) {
    StringRef type = text.drop_front();
    bool plain = type.consume_front("=");
    s.inputs.push_back({text[0], plain ? StringRef() : type, plain ? types(type) : parameters.lookup(type)});
  }
  s.outputs = field[8] == "." ? StringRef() : field[8];
  return s;
}

/// The mark of formal parameter i, where the last one may be repeated; 0 beyond.
template <typename List, typename Get> char markAt(const List &list, size_t i, Get get) {
  if (i < list.size())
    return get(list[i]);
  char last = list.empty() ? 0 : get(list.back());
  return last == '*' || last == '+' ? last : 0;
}
} // namespace

Schemas::Table::Table() {
  auto [first, rest] = StringRef(kTable).split('\n');
  (void)first.getAsInteger(10, ir);
  while (!rest.empty()) {
    StringRef line;
    std::tie(line, rest) = rest.split('\n');
    llvm::SmallVector<StringRef> fields;
    line.split(fields, ' ');
    if (fields.size() == 10)
      versions[fields[0]].push_back(parse(fields));
  }
}

const Schemas::Table &Schemas::table() {
  static const Table parsed;
  return parsed;
}

std::map<std::string, std::vector<int64_t>> Schemas::versions() {
  std::map<std::string, std::vector<int64_t>> all;
  for (const auto &entry : table().versions)
    for (const Schema &s : entry.second)
      all[entry.first().str()].push_back(s.removed ? -s.since : s.since);
  return all;
}

Schemas::Schemas(mlir::MLIRContext *context) {
  for (int number = 1; number < 64; ++number)
    if (mlir::Type type = elementType(context, number))
      numbers[type] = number;
}

const Schema *Schemas::find(StringRef op, int64_t opset) const {
  auto it = table().versions.find(op);
  if (it == table().versions.end())
    return nullptr;
  // Runtimes had these in the standard's domain before the standard did, and exporters made use of that.
  bool early = op == "LayerNormalization" || op == "MeanVarianceNormalization" || op == "ThresholdedRelu";
  const Schema *found = early ? &it->second.front() : nullptr;
  for (const Schema &s : it->second)
    if (s.since <= opset)
      found = &s;
  return found;
}

/// Whether the field that an attribute's kind says is there. Empty lists are not written.
static bool hasValue(const onnx::AttributeProto &a) {
  switch (a.type()) {
  case onnx::AttributeProto::FLOAT:
    return a.has_f();
  case onnx::AttributeProto::INT:
    return a.has_i();
  case onnx::AttributeProto::STRING:
    return a.has_s();
  case onnx::AttributeProto::TENSOR:
    return a.has_t();
  case onnx::AttributeProto::GRAPH:
    return a.has_g();
  default:
    return true;
  }
}

Complaint Schemas::checkNode(const onnx::NodeProto &node, int64_t opset) const {
  StringRef op = node.op_type();
  auto known = table().versions.find(op);
  if (known == table().versions.end())
    return std::nullopt;
  const Schema *s = find(op, opset);
  auto set = [&] { return " operator set " + std::to_string(opset); };
  if (!s)
    return (op + " is not in" + set() + ": it exists from " + Twine(known->second.front().since) + " on").str();
  if (s->removed)
    return (op + " is not in" + set() + ": it was removed in " + Twine(s->since)).str();

  unsigned inputs = node.input_size(), outputs = node.output_size();
  if (inputs > s->mostInputs)
    return (op + " has " + Twine(inputs) + " inputs: expected at most " + Twine(s->mostInputs) + " in" + set()).str();
  if (outputs > s->mostOutputs)
    return (op + " has " + Twine(outputs) + " outputs: expected at most " + Twine(s->mostOutputs) + " in" + set())
        .str();
  for (unsigned i = 0; i < std::max(inputs, s->leastInputs); ++i) {
    bool needed = i < s->leastInputs || markAt(s->inputs, i, [](const auto &p) { return p.mark; }) == '!';
    bool optional = markAt(s->inputs, i, [](const auto &p) { return p.mark; }) == '?';
    if (i >= inputs || (node.input(i).empty() && needed && !optional))
      return ("input " + Twine(i) + " of " + op + " is missing: the node has " + Twine(inputs) + " inputs").str();
  }
  for (unsigned i = 0; i < std::max(outputs, s->leastOutputs); ++i)
    if (i >= outputs || (node.output(i).empty() && markAt(s->outputs, i, [](char mark) { return mark; }) == '!'))
      return ("output " + Twine(i) + " of " + op + " is missing: the node has " + Twine(outputs) + " outputs").str();

  llvm::StringSet<> seen;
  for (const onnx::AttributeProto &a : node.attribute()) {
    StringRef name = a.name();
    if (!seen.insert(name).second)
      return ("attribute " + name + " of " + op + " is given twice").str();
    if (name.starts_with("__")) // notes of tools
      continue;
    auto it = llvm::find_if(s->attributes, [&](const Schema::Attribute &want) { return want.name == name; });
    if (it == s->attributes.end() && s->anyAttribute)
      continue;
    if (it == s->attributes.end())
      return ("unknown attribute " + name + " of " + op + " in" + set()).str();
    if (a.type() != it->kind)
      return ("attribute " + name + " of " + op + " is " + kindName(a.type()) + ": expected " + kindName(it->kind))
          .str();
    if (a.ref_attr_name().empty() && !hasValue(a))
      return ("attribute " + name + " of " + op + " has no value: expected " + kindName(it->kind)).str();
  }
  for (const Schema::Attribute &want : s->attributes)
    if (want.required && !seen.contains(want.name))
      return ("attribute " + want.name + " of " + op + " is missing").str();
  return std::nullopt;
}

llvm::SmallVector<StringRef> Schemas::required(const onnx::NodeProto &node, int64_t opset) const {
  llvm::SmallVector<StringRef> names;
  if (const Schema *s = find(node.op_type(), opset))
    for (const Schema::Attribute &a : s->attributes)
      if (a.required)
        names.push_back(a.name);
  return names;
}

Complaint Schemas::checkTypes(const onnx::NodeProto &node, int64_t opset, llvm::ArrayRef<mlir::Type> elements) const {
  const Schema *s = find(node.op_type(), opset);
  if (!s || s->inputs.empty())
    return std::nullopt;
  llvm::StringMap<std::pair<unsigned, int>> bound; // type parameters: by which input, to which type
  for (auto [i, element] : llvm::enumerate(elements)) {
    auto number = numbers.find(element);
    if (!element || number == numbers.end())
      continue;
    const Schema::Parameter &p = s->inputs[std::min<size_t>(i, s->inputs.size() - 1)];
    std::string input = "input " + std::to_string(i) + " of " + node.op_type() + " is " + typeName(number->second);
    if (!(p.types >> number->second & 1)) {
      std::string allowed;
      for (int k = 1; k < 64; ++k)
        if (p.types >> k & 1 && elementType(element.getContext(), k))
          allowed += (allowed.empty() ? "" : ", ") + typeName(k);
      return input + ": expected " + allowed + " in operator set " + std::to_string(opset);
    }
    if (p.parameter.empty() || p.mark == '+')
      continue;
    auto [it, fresh] = bound.try_emplace(p.parameter, i, number->second);
    if (!fresh && it->second.second != number->second)
      return input + ": expected " + typeName(it->second.second) + ", the type of input " +
             std::to_string(it->second.first);
  }
  return std::nullopt;
}

Complaint kt::import::checkTensorFields(const onnx::TensorProto &tensor) {
  struct Field {
    const char *name;
    int count;
  };
  const Field fields[] = {{"float_data", tensor.float_data_size()},   {"int32_data", tensor.int32_data_size()},
                          {"string_data", tensor.string_data_size()}, {"int64_data", tensor.int64_data_size()},
                          {"double_data", tensor.double_data_size()}, {"uint64_data", tensor.uint64_data_size()},
                          {"raw_data", (int)tensor.raw_data().size()}};
  StringRef expected = "int32_data";
  switch (tensor.data_type()) {
  case onnx::TensorProto::FLOAT:
  case onnx::TensorProto::COMPLEX64:
    expected = "float_data";
    break;
  case onnx::TensorProto::DOUBLE:
  case onnx::TensorProto::COMPLEX128:
    expected = "double_data";
    break;
  case onnx::TensorProto::INT64:
    expected = "int64_data";
    break;
  case onnx::TensorProto::UINT32:
  case onnx::TensorProto::UINT64:
    expected = "uint64_data";
    break;
  case onnx::TensorProto::STRING:
    expected = "string_data";
    break;
  default:
    break;
  }
  bool external = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  const char *found = external ? "external data" : nullptr;
  for (const Field &f : fields) {
    if (f.count == 0)
      continue;
    auto complain = [&](const Twine &what) { return ("tensor '" + tensor.name() + "' " + what).str(); };
    if (found)
      return complain(Twine("has values in ") + found + " and in " + f.name);
    found = f.name;
    if (f.name != expected && (StringRef(f.name) != "raw_data" || tensor.data_type() == onnx::TensorProto::STRING))
      return complain("of " + typeName(tensor.data_type()) + " has its values in " + f.name +
                      ": expected raw_data or " + expected);
  }
  return std::nullopt;
}

Complaint kt::import::checkVersions(const onnx::ModelProto &model, int64_t newestIr) {
  if (!model.has_ir_version() || model.ir_version() < 1)
    return "the model has no IR version";
  if (model.ir_version() > newestIr)
    return ("unsupported IR version " + Twine(model.ir_version()) + ": expected 1 to " + Twine(newestIr)).str();
  if (model.ir_version() >= 3 && model.opset_import_size() == 0)
    return ("the model imports no operator set, which IR version " + Twine(model.ir_version()) + " asks for").str();
  auto conflicting = [](const auto &imports) -> Complaint {
    OperatorSets sets;
    for (const auto &set : imports) {
      StringRef domain = domainOf(set.domain());
      auto [it, fresh] = sets.try_emplace(domain, set.version());
      if (!fresh && it->second != set.version())
        return ("operator sets " + Twine(it->second) + " and " + Twine(set.version()) + " of domain '" + domain +
                "' are both imported")
            .str();
    }
    return std::nullopt;
  };
  if (Complaint c = conflicting(model.opset_import()))
    return c;
  for (const auto &function : model.functions())
    if (Complaint c = conflicting(function.opset_import()))
      return *c + " by function " + function.name();
  return std::nullopt;
}
