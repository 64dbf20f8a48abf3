//===- Checks.cpp - what a model has to be for an import ------------------===//
//
// Before the import: operators that nobody defines, and nodes that the standard does not allow. During it: the values
// that a node gets and makes.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

std::string import::operatorKey(StringRef domain, StringRef op) {
  return domainOf(domain).empty() ? op.str() : (domain + "." + op).str();
}

/// Calls `fn` for each node of a node list and of the subgraphs in it.
static void forEachNode(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes, int depth,
                        llvm::function_ref<void(const onnx::NodeProto &)> fn) {
  if (depth > kMaxDepth)
    return;
  for (const auto &node : nodes) {
    fn(node);
    for (const auto &attr : node.attribute()) {
      if (attr.has_g())
        forEachNode(attr.g().node(), depth + 1, fn);
      for (const auto &g : attr.graphs())
        forEachNode(g.node(), depth + 1, fn);
    }
  }
}

int64_t Importer::countNodes() const {
  int64_t count = 0;
  auto one = [&](const onnx::NodeProto &) { ++count; };
  forEachNode(file.proto().graph().node(), 0, one);
  for (const auto &function : file.proto().functions())
    forEachNode(function.node(), 0, one);
  return count;
}

bool Importer::checkSupported() {
  std::vector<std::string> missing;
  llvm::StringSet<> visited;
  // Functions wait for their turn: they may call each other more often than the stack is deep.
  std::vector<const onnx::FunctionProto *> waiting;
  auto check = [&](const auto &nodes) {
    forEachNode(nodes, 0, [&](const onnx::NodeProto &node) {
      std::string k = operatorKey(node.domain(), node.op_type());
      if (auto it = functions.find(k); it != functions.end()) {
        if (visited.insert(k).second)
          waiting.push_back(it->second);
      } else if (!table.count(k)) {
        missing.push_back((k + " (node '" + nodeName(node) + "')").str());
      }
    });
  };
  check(file.proto().graph().node());
  while (!waiting.empty()) {
    const onnx::FunctionProto *function = waiting.back();
    waiting.pop_back();
    check(function->node());
  }
  if (missing.empty())
    return true;
  std::string list;
  for (const std::string &m : missing)
    list += (list.empty() ? "" : ", ") + m;
  emitError(UnknownLoc::get(b.getContext())) << "unsupported operators, " << missing.size() << " nodes: " << list;
  return false;
}

bool Importer::checkStandard() {
  bool ok = true;
  auto check = [&](const auto &nodes, const OperatorSets &sets) {
    forEachNode(nodes, 0, [&](const onnx::NodeProto &node) {
      if (!ok || !domainOf(node.domain()).empty() || functions.count(node.op_type()))
        return;
      auto set = sets.find("");
      int64_t opset = set == sets.end() ? 0 : set->second;
      Complaint complaint = set == sets.end() ? Complaint("no operator set of the domain '' is imported")
                                              : schemas.checkNode(node, opset);
      if (!complaint)
        return;
      emitError(nodeLocation(b.getContext(), nodeName(node), node.op_type(), opset)) << *complaint;
      ok = false;
    });
  };
  check(file.proto().graph().node(), opsets.back());
  for (const auto &function : file.proto().functions()) {
    OperatorSets sets = operatorSets(function);
    check(function.node(), sets.empty() ? opsets.back() : sets);
  }
  return ok;
}

/// What the standard asks of the values that a node of its domain is given.
/// As many as numpy's arrays have. Several operators take a time that is quadratic in it.
constexpr int64_t kMostDims = 64;

/// Attributes that are data or ends of slices, which may be any number. Others are sizes, positions and choices, which
/// definitions add and multiply.
static constexpr StringRef kAnyNumber[] = {"value_int", "value_ints", "starts", "ends", "pool_int64s"};

static LogicalResult checkAttributes(Node &node) {
  for (const auto &declared : node.proto.attribute()) {
    const auto *a = node.attr(declared.name()); // as the call of a function gives it
    if (!a || llvm::is_contained(kAnyNumber, declared.name()))
      continue;
    SmallVector<int64_t> numbers(a->ints().begin(), a->ints().end());
    numbers.push_back(a->i());
    for (int64_t v : numbers)
      if (v != (int32_t)v)
        return node.error("attribute " + Twine(declared.name()) + " is " + Twine(v) + ": expected a number of 32 bits");
  }
  return success();
}

LogicalResult Importer::checkInputs(Node &node) {
  if (mlir::failed(checkAttributes(node)))
    return failure();
  for (unsigned i = 0; i < node.numInputs(); ++i)
    if (node.has(i) && !sequence(node.proto.input(i)) && node.in(i) && node.rank(i) > kMostDims)
      return node.error("input " + Twine(i) + " has " + Twine(node.rank(i)) + " dimensions: at most " +
                        Twine(kMostDims) + " are supported");
  if (!domainOf(node.proto.domain()).empty())
    return success();
  SmallVector<Type> elements;
  for (unsigned i = 0; i < node.numInputs(); ++i) {
    Value v = node.has(i) && !sequence(node.proto.input(i)) ? node.in(i) : Value();
    elements.push_back(v ? Node::type(v).getElementType() : Type());
  }
  if (Complaint complaint = schemas.checkTypes(node.proto, node.opset, elements))
    return node.error(*complaint);
  for (StringRef name : schemas.required(node.proto, node.opset)) // one of a function may not be given by its call
    if (!node.attr(name))
      return node.error("attribute " + name + " of " + node.op() + " is missing");
  return success();
}

/// Sizes that follow from attributes may be anything: what no memory holds is refused here, so that nothing later has
/// to fear it.
LogicalResult Importer::checkNew(Block *block, Operation *last, Location loc) {
  constexpr int64_t kMostElements = int64_t(1) << 46;
  for (auto it = last ? std::next(last->getIterator()) : block->begin(); it != block->end(); ++it) {
    if (mlir::failed(checkSizes(&*it, loc)))
      return failure();
    for (Value v : it->getResults()) {
      auto type = dyn_cast<SymTensorType>(v.getType());
      if (!type)
        continue;
      if (type.getRank() > kMostDims)
        return emitError(loc) << "a result has " << type.getRank() << " dimensions: at most " << kMostDims
                              << " are supported";
      int64_t count = 1;
      for (ExprAttr dim : type.getDims()) {
        int64_t size = Expr(dim).asConstant().value_or(1);
        if (size < 0)
          return emitError(loc) << "a result of shape " << type << " has a negative dimension";
        if (size > kMostElements || (size && count > kMostElements / size))
          return emitError(loc) << "a result of shape " << type << " has too many elements";
        count *= std::max<int64_t>(size, 1);
      }
    }
  }
  return success();
}
