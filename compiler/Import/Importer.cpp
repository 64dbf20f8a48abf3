//===- Importer.cpp - ONNX graphs to kt -----------------------------------===//

#include "compiler/Import/Importer.h"
#include "dialects/KT/IR/Blobs.h"
#include "llvm/ADT/StringSet.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

using namespace mlir;
using namespace kt;
using namespace kt::import;

Location import::nodeLocation(MLIRContext *context, StringRef name, StringRef op, int64_t opset) {
  std::string what = (op + ", opset " + Twine(opset)).str();
  return NameLoc::get(StringAttr::get(context, name), NameLoc::get(StringAttr::get(context, what)));
}

/// Every operator's definition.
static const OpTable &definitions() {
  static const OpTable all = [] {
    OpTable table;
    registerElementwise(table);
    registerArithmetic(table);
    registerShape(table);
    registerSlice(table);
    registerData(table);
    registerReduce(table);
    registerContract(table);
    registerQuantize(table);
    registerNBits(table);
    registerBlockTables(table);
    registerControlFlow(table);
    registerRecurrent(table);
    registerAttention(table);
    registerTransformer(table);
    registerResize(table);
    registerSampling(table);
    registerMisc(table);
    registerSelect(table);
    registerSequence(table);
    registerStates(table);
    registerPaged(table);
    registerExperts(table);
    registerRandom(table);
    registerSignal(table);
    return table;
  }();
  return all;
}

std::vector<std::string> import::importedOperators() {
  std::vector<std::string> names;
  for (StringRef name : definitions().keys())
    names.push_back(name.str());
  llvm::sort(names);
  return names;
}

Importer::Importer(MLIRContext *context, ModelFile &file, const ImportOptions &options, BranchChoices &choices)
    : b(context), file(file), options(options), choices(choices), table(definitions()), schemas(context) {}

//===----------------------------------------------------------------------===//
// Names and constants
//===----------------------------------------------------------------------===//

Value Importer::lookup(StringRef name) {
  for (size_t i = scopes.size(); i-- > 0;) {
    if (auto it = scopes[i].values.find(name); it != scopes[i].values.end())
      return it->second;
    if (auto it = scopes[i].initializers.find(name); it != scopes[i].initializers.end()) {
      Value v = tensorConstant(*it->second);
      scopes[i].values[name] = v;
      return v;
    }
    if (scopes[i].isFunction)
      break;
  }
  return {};
}

bool Importer::isTaken(StringRef name) const {
  for (size_t i = scopes.size(); i-- > 0;) {
    if (scopes[i].values.count(name))
      return true;
    if (scopes[i].isFunction)
      break;
  }
  return false;
}

void Importer::define(StringRef name, Value v) { scopes.back().values[name] = v; }

Importer::Level &Importer::levelOf(Value v) {
  for (size_t i = levels.size(); i-- > 1;)
    if (levels[i]->block == v.getParentBlock())
      return *levels[i];
  return *levels.front();
}

void Importer::setKnown(Value v, Contents contents) { levelOf(v).known[v] = std::move(contents); }

const Contents *Importer::known(Value v) {
  auto &known = levelOf(v).known;
  if (auto it = known.find(v); it != known.end())
    return &it->second;
  if (auto constant = v.getDefiningOp<ConstantOp>())
    if (auto contents = import::contentsOf(constant.getResult().getType(), constant.bytes()))
      return &(known[v] = std::move(*contents));
  return nullptr;
}

void Importer::enterRegion(Block *block) {
  levels.push_back(std::make_unique<Level>());
  levels.back()->block = block;
  b.setInsertionPointToEnd(block);
}

void Importer::leaveRegion() {
  levels.pop_back();
  b.setInsertionPointToEnd(levels.back()->block);
}

OpBuilder Importer::builderAt(Value v) {
  OpBuilder at(b.getContext()); // not atBlockEnd, which asks the op around the block: a region may not have one yet
  at.setInsertionPointToEnd(levelOf(v).block);
  return at;
}

std::string Importer::freshName(StringRef hint) {
  std::string clean;
  for (char c : hint)
    clean += llvm::isAlnum(c) || c == '_' ? c : '_';
  if (clean.empty() || !(llvm::isAlpha(clean[0]) || clean[0] == '_'))
    clean = "d" + clean;
  // Words of the expression syntax are not names.
  if (llvm::is_contained({"min", "max", "eq", "lt", "select", "floordiv", "mod", "x"}, clean))
    clean += "_";
  unsigned n = freshCounts[clean]++;
  return n ? clean + "." + std::to_string(n) : clean;
}

Value Importer::constant(SymTensorType type, ArrayRef<char> bytes, StringRef name, bool copy) {
  if (bytes.empty())
    bytes = ArrayRef<char>("", size_t(0)); // no bytes of a null pointer cannot be copied
  auto raw = RankedTensorType::get({(int64_t)bytes.size()}, b.getI8Type());
  AsmResourceBlob blob = copy ? HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64, false)
                              : UnmanagedAsmResourceBlob::allocateWithAlign(bytes, 1);
  auto value = namedBlob(raw, name, std::move(blob));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entry);
  return ConstantOp::create(b, NameLoc::get(b.getStringAttr(name)), type, value,
                            name.empty() ? StringAttr() : b.getStringAttr(name));
}

Value Importer::tensorConstant(const onnx::TensorProto &tensor) {
  Type element = elementType(b.getContext(), tensor.data_type());
  auto loc = NameLoc::get(b.getStringAttr(tensor.name()));
  if (!element) {
    emitError(loc) << "tensor '" << tensor.name() << "': unsupported element type " << typeName(tensor.data_type());
    failed = true;
    return {};
  }
  if (Complaint complaint = checkTensorFields(tensor)) {
    emitError(loc) << *complaint;
    failed = true;
    return {};
  }
  auto bytes = file.bytes(tensor);
  if (!bytes) {
    emitError(loc) << llvm::toString(bytes.takeError());
    failed = true;
    return {};
  }
  SmallVector<ExprAttr> dims;
  for (int64_t d : tensor.dims())
    dims.push_back(Expr::constant(b.getContext(), d).attr());
  return constant(SymTensorType::get(b.getContext(), dims, element), *bytes, tensor.name(), /*copy=*/false);
}

const onnx::AttributeProto *Importer::functionAttr(StringRef name) {
  for (size_t i = scopes.size(); i-- > 0;) {
    if (auto it = scopes[i].attributes.find(name); it != scopes[i].attributes.end())
      return it->second;
    if (scopes[i].isFunction)
      break;
  }
  return nullptr;
}

int64_t Importer::opsetOf(StringRef domain) {
  auto it = opsets.back().find(domainOf(domain));
  return it == opsets.back().end() ? 1 : it->second;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Importer::importNode(const onnx::NodeProto &proto) {
  std::string k = operatorKey(proto.domain(), proto.op_type());
  int64_t opset = opsetOf(proto.domain());
  Location loc = nodeLocation(b.getContext(), nodeName(proto), proto.op_type(), opset);
  if (budget <= 0) {
    if (budget-- == 0)
      emitError(loc) << "functions and bodies unfold to more than " << kMaxUnfolded << " nodes up to here";
    return failure();
  }
  --budget;
  // A value that its node failed to make is not a second error.
  for (const std::string &input : proto.input())
    if (!input.empty() && !sequence(input) && !lookup(input)) {
      if (!isTaken(input)) {
        emitError(loc) << "input '" << input
                       << "' is not an initializer, a graph input or the output of an earlier node";
        failed = true;
      }
      for (const std::string &output : proto.output())
        if (!output.empty())
          define(output, {});
      return failure();
    }
  for (const std::string &output : proto.output())
    if (!output.empty() && (scopes.back().values.count(output) || scopes.back().sequences.count(output))) {
      emitError(loc) << "output '" << output << "' is defined twice";
      return failure();
    }
  if (auto it = functions.find(k); it != functions.end())
    return inlineFunction(proto, *it->second, loc);
  auto it = table.find(k);
  if (it == table.end()) {
    emitError(loc) << "unsupported operator " << k;
    return failure();
  }
  const Definition &definition = it->second;
  if (mlir::failed(checkSequences(proto, definition, loc))) {
    for (const std::string &output : proto.output())
      if (!output.empty())
        define(output, {});
    return failure();
  }
  for (unsigned i = 0, n = proto.input_size(); i < std::max(32u, n); ++i)
    if ((i < 32 && (definition.required >> i & 1) && i >= n) ||
        (i < n && proto.input(i).empty() && (definition.all || (i < 32 && (definition.required >> i & 1))))) {
      emitError(loc) << "input " << i << " of " << k << " is missing: the node has " << proto.input_size() << " inputs";
      for (const std::string &output : proto.output())
        if (!output.empty())
          define(output, {});
      return failure();
    }
  Node node(*this, proto, opset, loc);
  Block *block = b.getInsertionBlock();
  Operation *last = block->empty() ? nullptr : &block->back();
  LogicalResult result = checkInputs(node);
  if (succeeded(result))
    result = node.checkUnderstood(definition);
  if (succeeded(result))
    result = definition.lower(node);
  if (succeeded(result))
    result = checkNew(block, last, loc);
  if (succeeded(result))
    evaluateNew(block, last);
  if (mlir::failed(result)) {
    if (!choices.said)
      emitError(loc) << "unsupported inputs of " << k;
    for (const std::string &output : proto.output())
      if (!output.empty() && !scopes.back().values.count(output))
        define(output, {});
  }
  return result;
}

/// Evaluates the ops that a node added after `last`, so that later nodes can ask for their elements.
void Importer::evaluateNew(Block *block, Operation *last) {
  auto it = last ? std::next(last->getIterator()) : block->begin();
  for (; it != block->end(); ++it)
    for (Value v : it->getResults())
      if (!levelOf(v).known.count(v))
        if (auto contents = evaluate(&*it, [&](Value x) { return known(x); }))
          setKnown(v, std::move(*contents));
}

LogicalResult Importer::importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes) {
  bool ok = true;
  for (const auto &node : nodes) {
    ok &= succeeded(importNode(node));
    if (budget < 0) // said already
      return failure();
  }
  return success(ok);
}

LogicalResult Importer::inlineFunction(const onnx::NodeProto &node, const onnx::FunctionProto &function, Location loc) {
  if (++depth > kMaxDepth) {
    emitError(loc) << "function " << function.name() << " calls itself or is nested deeper than " << kMaxDepth;
    --depth;
    return failure();
  }
  Scope scope;
  scope.isFunction = true;
  for (int i = 0; i < function.input_size(); ++i)
    if (i < node.input_size() && !node.input(i).empty()) {
      if (const auto *elements = sequence(node.input(i)))
        scope.sequences[function.input(i)] = *elements;
      else
        scope.values[function.input(i)] = lookup(node.input(i));
    }
  for (const auto &attr : node.attribute()) {
    // An attribute of the call may itself refer to one of the calling function.
    const onnx::AttributeProto *a = &attr;
    if (!attr.ref_attr_name().empty())
      a = functionAttr(attr.ref_attr_name());
    if (a)
      scope.attributes[attr.name()] = a;
  }
  // Defaults (FunctionProto.attribute_proto, field 11) are newer than the schema at hand, so they sit among the unknown
  // fields.
  const std::string &unknown = function.unknown_fields();
  google::protobuf::io::CodedInputStream fields((const uint8_t *)unknown.data(), (int)unknown.size());
  using Wire = google::protobuf::internal::WireFormatLite;
  while (uint32_t tag = fields.ReadTag()) {
    uint32_t length = 0;
    std::string text;
    if (tag != Wire::MakeTag(11, Wire::WIRETYPE_LENGTH_DELIMITED)) {
      if (!Wire::SkipField(&fields, tag))
        break;
      continue;
    }
    auto attr = std::make_unique<onnx::AttributeProto>();
    if (!fields.ReadVarint32(&length) || !fields.ReadString(&text, (int)length))
      break;
    if (attr->ParseFromString(text) && !scope.attributes.count(attr->name())) {
      scope.attributes[attr->name()] = attr.get();
      scope.owned.push_back(std::move(attr));
    }
  }
  scopes.push_back(std::move(scope));
  OperatorSets sets = operatorSets(function);
  opsets.push_back(sets.empty() ? opsets.back() : std::move(sets));
  LogicalResult result = importNodes(function.node());
  opsets.pop_back();
  Scope inner = std::move(scopes.back());
  scopes.pop_back();
  --depth;
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty())
      continue;
    StringRef name = i < function.output_size() ? StringRef(function.output(i)) : StringRef();
    if (auto it = inner.sequences.find(name); it != inner.sequences.end()) {
      defineSequence(node.output(i), it->second);
      continue;
    }
    Value v = inner.values.lookup(name);
    if (!v && succeeded(result)) {
      emitError(loc) << "function " << function.name() << " has no output " << i
                     << (name.empty() ? "" : ": none of its nodes and inputs is called '" + name.str() + "'");
      result = failure();
    }
    define(node.output(i), v);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

LogicalResult Importer::addInitializers(const onnx::GraphProto &graph) {
  if (graph.sparse_initializer_size()) {
    emitError(UnknownLoc::get(b.getContext()))
        << "unsupported sparse initializer '" << graph.sparse_initializer(0).values().name() << "'";
    return failure();
  }
  for (const auto &tensor : graph.initializer()) {
    if (Complaint complaint = checkTensorFields(tensor))
      return emitError(NameLoc::get(b.getStringAttr(tensor.name()))) << *complaint;
    scopes.back().initializers[tensor.name()] = &tensor;
  }
  return success();
}

FailureOr<SmallVector<Value>> Importer::subgraph(const onnx::GraphProto &graph, ValueRange inputs) {
  if (levels.size() > kMaxRegions + 1)
    return emitError(b.getUnknownLoc()) << "subgraphs are nested deeper than " << kMaxRegions, failure();
  if (++depth > kMaxDepth) {
    --depth;
    return emitError(b.getUnknownLoc()) << "subgraphs are nested deeper than " << kMaxDepth, failure();
  }
  scopes.emplace_back();
  LogicalResult result = addInitializers(graph);
  for (auto [info, v] : llvm::zip(graph.input(), inputs))
    define(info.name(), v);
  if (succeeded(result))
    result = importNodes(graph.node());
  SmallVector<Value> outputs;
  for (const auto &info : graph.output()) {
    outputs.push_back(lookup(info.name()));
    if (!outputs.back()) {
      if (succeeded(result))
        emitError(b.getUnknownLoc()) << "graph '" << graph.name() << "': output '" << info.name() << "' is "
                                     << (sequence(info.name()) ? "a sequence of tensors; expected a tensor"
                                                               : "not defined");
      result = failure();
    }
  }
  scopes.pop_back();
  --depth;
  if (mlir::failed(result))
    return failure();
  return outputs;
}

LogicalResult Importer::importGraph(const onnx::GraphProto &graph) {
  if (mlir::failed(addInitializers(graph)))
    return failure();
  SmallVector<const onnx::ValueInfoProto *> inputs;
  SmallVector<Type> types;
  for (const auto &info : graph.input())
    if (!scopes.back().initializers.count(info.name()))
      inputs.push_back(&info); // the others are weights, which ONNX before IR 4 lists among the inputs
  settleBatch(inputs);
  for (const onnx::ValueInfoProto *info : inputs) {
    SymTensorType type = inputType(*info);
    if (!type)
      return failure();
    types.push_back(type);
  }
  for (const auto &entry : options.dims)
    if (!usedDims.count(entry.getKey())) {
      std::string known;
      for (const auto &p : symbolOfParam)
        known += (known.empty() ? "" : ", ") + p.getKey().str();
      emitError(b.getUnknownLoc()) << "--dim names '" << entry.getKey()
                                   << "', but the model's dimensions are: " << known;
      return failure();
    }
  auto func = func::FuncOp::create(b, b.getUnknownLoc(), "main", b.getFunctionType(types, {}));
  entry = func.addEntryBlock();
  levels.front()->block = entry;
  b.setInsertionPointToStart(entry);
  SmallVector<std::string> inputNames, outputNames;
  for (const onnx::ValueInfoProto *info : inputs)
    inputNames.push_back(info->name());
  for (auto [info, arg] : llvm::zip(inputs, entry->getArguments())) {
    if (scopes.back().values.count(info->name()))
      return emitError(b.getUnknownLoc()) << "graph input '" << info->name() << "' is defined twice";
    define(info->name(), arg);
  }
  if (mlir::failed(importNodes(graph.node())))
    return failure();
  SmallVector<Value> results;
  SmallVector<Type> resultTypes;
  for (const auto &info : graph.output()) {
    if (sequence(info.name()))
      return emitError(b.getUnknownLoc())
             << "graph output '" << info.name()
             << "' is not a tensor: sequences, maps and optionals are not supported as outputs";
    Value v = lookup(info.name());
    if (!v)
      return emitError(b.getUnknownLoc()) << "graph output '" << info.name() << "' is not defined by any node";
    if (info.type().has_tensor_type() && info.type().tensor_type().elem_type()) {
      Type declared = elementType(b.getContext(), info.type().tensor_type().elem_type());
      Type actual = Node::type(v).getElementType();
      if (declared != actual)
        return emitError(b.getUnknownLoc())
               << "graph output '" << info.name() << "' is declared as "
               << typeName(info.type().tensor_type().elem_type()) << " but computed as " << actual;
    }
    if (info.type().has_tensor_type() && info.type().tensor_type().has_shape())
      choices.declaredRanks &= info.type().tensor_type().shape().dim_size() == Node::type(v).getRank();
    results.push_back(v);
    resultTypes.push_back(v.getType());
    outputNames.push_back(info.name());
  }
  if (options.nextToken != NextToken::none) {
    FailureOr<Value> token = nextToken(graph, types, inputNames);
    if (mlir::failed(token))
      return failure();
    results.push_back(*token);
    resultTypes.push_back(token->getType());
    outputNames.push_back("next_token");
  }
  func::ReturnOp::create(b, b.getUnknownLoc(), results);
  func.setFunctionType(b.getFunctionType(types, resultTypes));
  // All at once: each set of them is kept as long as the context.
  auto named = [&](ArrayRef<std::string> names) {
    SmallVector<DictionaryAttr> all;
    for (const std::string &name : names)
      all.push_back(b.getDictionaryAttr(b.getNamedAttr("kt.name", b.getStringAttr(name))));
    return all;
  };
  func.setAllArgAttrs(named(inputNames));
  func.setAllResultAttrs(named(outputNames));
  for (auto [i, v] : llvm::enumerate(results))
    if (auto past = dyn_cast_or_null<BlockArgument>(nextStates.lookup(v)); past && past.getOwner() == entry)
      func.setResultAttr(i, kNextOf, b.getI64IntegerAttr(past.getArgNumber()));
  return success();
}

OwningOpRef<ModuleOp> Importer::run() {
  const onnx::ModelProto &model = file.proto();
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getUnknownLoc());
  if (Complaint complaint = checkVersions(model, schemas.newestIr())) {
    emitError(b.getUnknownLoc()) << *complaint;
    return {};
  }
  OperatorSets sets = operatorSets(model);
  if (model.opset_import_size() == 0) // before IR 3
    sets[""] = 1;
  opsets.push_back(std::move(sets));
  int64_t onnxSet = opsetOf("");
  if (opsets.back().count("") && (onnxSet < 1 || onnxSet > kNewestOpset)) {
    emitError(b.getUnknownLoc()) << "unsupported operator set " << onnxSet << ": expected 1 to " << kNewestOpset;
    return {};
  }
  for (const auto &function : model.functions())
    functions[operatorKey(function.domain(), function.name())] = &function;
  if (!checkSupported() || !checkStandard())
    return {};
  budget = kMaxUnfolded + 4 * countNodes();
  scopes.emplace_back();
  levels.push_back(std::make_unique<Level>());
  b.setInsertionPointToStart(module->getBody());
  if (mlir::failed(importGraph(model.graph())) || failed)
    return {};
  (*module)->setAttr("kt.name", b.getStringAttr(model.graph().name()));
  SmallVector<NamedAttribute> boundAttrs;
  for (const auto &entry : bounds)
    boundAttrs.push_back(b.getNamedAttr(entry.getKey(), b.getDenseI64ArrayAttr({entry.second.min, entry.second.max})));
  (*module)->setAttr("kt.bounds", b.getDictionaryAttr(boundAttrs));
  if (!sites.empty())
    (*module)->setAttr("kt.sites", b.getArrayAttr(sites));
  return module;
}
