//===- Sequence.cpp - sequences of tensors --------------------------------===//
//
// A sequence is a list of values that the importer keeps: its length is known, and nothing of it is left at run time.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

const SmallVector<Value> *Importer::sequence(StringRef name) {
  for (size_t i = scopes.size(); i-- > 0;) {
    if (auto it = scopes[i].sequences.find(name); it != scopes[i].sequences.end())
      return &it->second;
    if (scopes[i].isFunction)
      break;
  }
  return nullptr;
}

void Importer::defineSequence(StringRef name, ArrayRef<Value> elements) {
  scopes.back().sequences[name].assign(elements.begin(), elements.end());
}

/// Sequences go where they are expected, and tensors elsewhere.
LogicalResult Importer::checkSequences(const onnx::NodeProto &node, const Definition &definition, Location loc) {
  for (auto [i, input] : llvm::enumerate(node.input())) {
    bool given = sequence(input), either = i == 0 && node.op_type() == "Identity";
    if (given != (i == 0 && definition.sequence) && !either)
      return emitError(loc) << "input " << i << " of " << node.op_type() << ", '" << input << "', is "
                            << (given ? "a sequence of tensors; expected a tensor"
                                      : "a tensor; expected a sequence of tensors"),
             failure();
  }
  return success();
}

namespace {

ArrayRef<Value> elements(Node &n) { return *n.importer.sequence(n.proto.input(0)); }

LogicalResult setSequence(Node &n, ArrayRef<Value> list) {
  if (n.wants(0))
    n.importer.defineSequence(n.proto.output(0), list);
  return success();
}

/// Input i as a position in [0, count); negative ones count from `length`.
std::optional<size_t> position(Node &n, unsigned i, size_t length, size_t count) {
  auto at = n.constInts(n.in(i), "position in a sequence");
  if (!at)
    return std::nullopt;
  int64_t p = at->size() == 1 ? at->front() : INT64_MIN;
  if (p < 0 && p != INT64_MIN)
    p += (int64_t)length;
  if (p < 0 || p >= (int64_t)count) {
    (void)n.error("expected one position inside a sequence of " + Twine(length));
    return std::nullopt;
  }
  return p;
}

LogicalResult construct(Node &n) {
  SmallVector<Value> list;
  for (unsigned i = 0; i < n.numInputs(); ++i)
    list.push_back(n.in(i));
  return setSequence(n, list);
}

LogicalResult empty(Node &n) { return setSequence(n, {}); }

LogicalResult insert(Node &n) {
  SmallVector<Value> list(elements(n));
  size_t at = list.size();
  if (n.has(2)) {
    auto given = position(n, 2, list.size(), list.size() + 1);
    if (!given)
      return failure();
    at = *given;
  }
  list.insert(list.begin() + at, n.in(1));
  return setSequence(n, list);
}

LogicalResult erase(Node &n) {
  SmallVector<Value> list(elements(n));
  if (list.empty())
    return n.error("expected an element to erase but the sequence is empty");
  size_t at = list.size() - 1;
  if (n.has(1)) {
    auto given = position(n, 1, list.size(), list.size());
    if (!given)
      return failure();
    at = *given;
  }
  list.erase(list.begin() + at);
  return setSequence(n, list);
}

LogicalResult at(Node &n) {
  ArrayRef<Value> list = elements(n);
  auto where = position(n, 1, list.size(), list.size());
  return where ? n.set(list[*where]) : failure();
}

LogicalResult length(Node &n) { return n.set(sizesTensor(n, {n.expr(elements(n).size())}, true)); }

/// Parts along an axis: of sizes in a list, of one size and a smaller last one, or, without sizes, single entries.
LogicalResult split(Node &n) {
  constexpr int64_t kMostParts = 65536;
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  Expr total = n.type(0).dim(*axis);
  SmallVector<Expr> sizes;
  bool keep = true;
  if (n.has(1) && n.rank(1) > 0) {
    auto given = n.symbolicInts(n.in(1), "sizes of the parts");
    if (!given)
      return failure();
    sizes = *given;
  } else {
    int64_t each = 1;
    if (n.has(1)) {
      auto given = n.constInts(n.in(1), "size of the parts");
      if (!given)
        return failure();
      each = given->front();
    } else {
      keep = n.attrInt("keepdims", 1);
    }
    auto count = total.asConstant();
    if (!count || each < 1 || *count / each >= kMostParts)
      return n.error("unsupported SplitToSequence: expected a number of parts that is known at compile time but got " +
                     total.str() + " in parts of " + Twine(each));
    for (int64_t done = 0; done < *count; done += each)
      sizes.push_back(n.expr(std::min(each, *count - done)));
  }
  Expr start = n.expr(0);
  SmallVector<Value> list;
  for (Expr size : sizes) {
    SmallVector<Expr> starts(n.rank(0), n.expr(0)), out = n.dims(n.in(0));
    starts[*axis] = start;
    out[*axis] = size;
    Value part = n.slice(n.in(0), starts, out, SmallVector<int64_t>(n.rank(0), 1));
    if (!keep) {
      out.erase(out.begin() + *axis);
      part = n.reshape(part, out);
    }
    list.push_back(part);
    start = start + size;
  }
  if (failed(n.require(total, start, "sum of the parts of a split")))
    return failure();
  return setSequence(n, list);
}

LogicalResult concat(Node &n) {
  SmallVector<Value> parts(elements(n));
  if (parts.empty())
    return n.error("expected a tensor to concatenate but the sequence is empty");
  bool stack = n.attrInt("new_axis", 0);
  int64_t rank = n.type(parts[0]).getRank();
  auto axis = n.axis(n.attrInt("axis", 0), rank + stack);
  if (!axis)
    return failure();
  for (Value &part : parts) {
    SymTensorType type = n.type(part), first = n.type(parts[0]);
    if (type.getElementType() != first.getElementType() || type.getRank() != rank)
      return n.error("tensors of a sequence differ in type or rank");
    for (int64_t d = 0; d < rank; ++d)
      if ((stack || d != *axis) &&
          failed(n.require(type.dim(d), n.type(elements(n)[0]).dim(d), "dimensions of a sequence's tensors")))
        return failure();
  }
  if (stack)
    for (Value &part : parts) {
      SmallVector<Expr> dims = n.dims(part);
      dims.insert(dims.begin() + *axis, n.expr(1));
      part = n.reshape(part, dims);
    }
  return n.set(n.concat(parts, *axis));
}

} // namespace

void import::registerSequence(OpTable &t) {
  t["SequenceConstruct"] = {construct, Definition::kAll};
  t["SequenceEmpty"] = {empty, 0};
  t["SequenceInsert"] = Definition{insert, 2}.ofSequence();
  t["SequenceErase"] = Definition{erase, 1}.ofSequence();
  t["SequenceAt"] = Definition{at, 2}.ofSequence();
  t["SequenceLength"] = Definition{length, 1}.ofSequence();
  t["SplitToSequence"] = split;
  t["ConcatFromSequence"] = Definition{concat, 1}.ofSequence();
}
