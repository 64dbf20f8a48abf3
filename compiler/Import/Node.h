//===- Node.h - what an operator's definition works with ------------------===//
//
// One ONNX node being imported: its inputs, attributes, what is known of small tensors, and the blocks that results are
// built from. Every operator is a function `LogicalResult (Node &)` in the file of its family, entered in a table.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_NODE_H
#define KT_COMPILER_IMPORT_NODE_H

#include "compiler/Import/Body.h"
#include "compiler/Import/SymbolicEval.h"
#include "onnx.pb.h"
#include "llvm/ADT/StringMap.h"

namespace kt::import {

class Importer;
class Node;

using Lowering = llvm::LogicalResult (*)(Node &);

/// What an operator does, and which inputs it cannot do without: the first few (one unless said), or these. They are
/// there when it is called.
struct Definition {
  static constexpr int kAll = -1; // at least one, and none without a name

  Lowering lower = nullptr;
  uint32_t required = 1; // a bit an input
  bool all = false;
  bool sequence = false; // input 0 is a sequence of tensors
  /// For operators that grow with the runtime that defines them: how many inputs are understood, and which attributes,
  /// as names or `name=number` where only that value is. What a node has beyond is an error. Not set: as ONNX says.
  std::optional<unsigned> inputs;
  llvm::StringRef attributes;

  Definition() = default;
  Definition(Lowering lower) : lower(lower) {}
  Definition(Lowering lower, int leading)
      : lower(lower), required(leading == kAll ? 1 : (1u << leading) - 1), all(leading == kAll) {}
  Definition(Lowering lower, std::initializer_list<unsigned> inputs) : lower(lower), required(0) {
    for (unsigned i : inputs)
      required |= 1u << i;
  }
  Definition ofSequence() const {
    Definition d = *this;
    d.sequence = true;
    return d;
  }
  /// The same of a node that may have more: these attributes and so many inputs are understood.
  Definition understanding(unsigned most, llvm::StringRef names) const {
    Definition d = *this;
    d.inputs = most, d.attributes = names;
    return d;
  }
};
/// Definitions by "domain.Name" ("Name" alone for ONNX's own domain).
using OpTable = llvm::StringMap<Definition>;

/// More operands of one node than this are taken in several kernels: bodies, and what looks at them, stay small.
constexpr size_t kMaxTogether = 64;

// The families; each enters its operators.
void registerElementwise(OpTable &table);
void registerArithmetic(OpTable &table);
void registerShape(OpTable &table);
void registerSlice(OpTable &table);
void registerData(OpTable &table);
void registerReduce(OpTable &table);
void registerContract(OpTable &table);
void registerQuantize(OpTable &table);
void registerNBits(OpTable &table);
void registerBlockTables(OpTable &table);
void registerControlFlow(OpTable &table);
void registerRecurrent(OpTable &table);
void registerAttention(OpTable &table);
void registerTransformer(OpTable &table);
void registerResize(OpTable &table);
void registerSampling(OpTable &table);
void registerMisc(OpTable &table);
void registerSelect(OpTable &table);
void registerSequence(OpTable &table);
void registerStates(OpTable &table);
void registerPaged(OpTable &table);
void registerExperts(OpTable &table);
void registerRandom(OpTable &table);
void registerSignal(OpTable &table);

/// Which elements of a tensor of indices address one dimension: every `step`-th from `first`, but not those that are
/// `ignored`.
struct Column {
  int64_t first = 0, step = 1;
  std::optional<int64_t> ignored;
};

class Node {
public:
  Node(Importer &importer, const onnx::NodeProto &proto, int64_t opset, mlir::Location loc);

  Importer &importer;
  const onnx::NodeProto &proto;
  mlir::Location loc;
  mlir::OpBuilder &b;
  mlir::MLIRContext *context;

  llvm::StringRef op() const { return proto.op_type(); }
  /// Version of the operator set of this node's domain.
  int64_t opset;

  // Inputs. Missing optional ones are null.
  unsigned numInputs() const { return proto.input_size(); }
  unsigned numOutputs() const { return proto.output_size(); }
  bool has(unsigned i) const { return i < numInputs() && !proto.input(i).empty(); }
  bool wants(unsigned i) const { return i < numOutputs() && !proto.output(i).empty(); }
  mlir::Value in(unsigned i);
  SymTensorType type(unsigned i) { return type(in(i)); }
  static SymTensorType type(mlir::Value v) { return mlir::cast<SymTensorType>(v.getType()); }
  mlir::Type element(unsigned i) { return type(i).getElementType(); }
  int64_t rank(unsigned i) { return type(i).getRank(); }
  /// The element type of input i, for messages.
  std::string typeText(unsigned i);

  // Attributes.
  const onnx::AttributeProto *attr(llvm::StringRef name) const;
  int64_t attrInt(llvm::StringRef name, int64_t otherwise) const;
  double attrFloat(llvm::StringRef name, double otherwise) const;
  std::string attrString(llvm::StringRef name, llvm::StringRef otherwise) const;
  /// One of `words`, the first of them where the node does not say; an error for any other.
  std::optional<std::string> attrWord(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> words);
  std::optional<std::vector<int64_t>> attrInts(llvm::StringRef name) const;
  /// A list of `count` numbers, all of them `otherwise` where there is none or an empty one; an error for other
  /// lengths.
  std::optional<llvm::SmallVector<int64_t>> attrInts(llvm::StringRef name, int64_t otherwise, size_t count);
  std::optional<std::vector<float>> attrFloats(llvm::StringRef name) const;
  /// An error where the node has more than its definition understands.
  llvm::LogicalResult checkUnderstood(const Definition &definition);

  /// Where elements of `indices` become numbers in [0, limit), or, where that `wraps`, in [-limit, limit): for
  /// Body::bounded. `what` names one of them in messages: "an index into axis 0". Readers of the same tensor for the
  /// same purpose share a site.
  llvm::FailureOr<Site> site(mlir::Value indices, Expr limit, const llvm::Twine &what, bool wraps = true,
                             Column column = {});
  /// The same for rows that address the dimensions `limits` each.
  llvm::FailureOr<Site> scatterSite(mlir::Value indices, llvm::ArrayRef<Expr> limits, const llvm::Twine &what);

  // What is known of a tensor's elements.
  const Contents *known(mlir::Value v);
  /// The elements as integer expressions: known, or read at run time (kt.item) where their number is static and at most
  /// kMaxEvaluated. Null after an error.
  std::optional<llvm::SmallVector<Expr>> symbolicInts(mlir::Value v, llvm::StringRef what);
  /// The only element, the same way.
  std::optional<Expr> symbolicInt(mlir::Value v, llvm::StringRef what);
  /// An error unless input i has `rank` dimensions. Definitions index dimensions and trust this.
  llvm::LogicalResult expectRank(unsigned i, int64_t rank);
  /// The elements as constant integers; an error when they are not.
  std::optional<llvm::SmallVector<int64_t>> constInts(mlir::Value v, llvm::StringRef what);
  std::optional<double> constFloat(mlir::Value v);
  /// Attribute `name` (older operator sets) or input `i` (newer ones) as integer expressions; null and no error when
  /// neither is there.
  std::optional<llvm::SmallVector<Expr>> symbolicIntsOf(llvm::StringRef name, unsigned i);
  /// The same as constants.
  std::optional<llvm::SmallVector<int64_t>> constIntsOf(llvm::StringRef name, unsigned i);
  /// Constant bytes of a value, or nothing.
  std::optional<llvm::ArrayRef<char>> bytes(mlir::Value v);

  // Results.
  llvm::LogicalResult set(unsigned i, mlir::Value v);
  llvm::LogicalResult set(mlir::Value v) { return set(0, v); }
  /// The same of a result that is the next state of an input, which may not be there.
  llvm::LogicalResult setState(unsigned i, mlir::Value v, unsigned input);
  /// Reports an error on this node.
  llvm::LogicalResult error(const llvm::Twine &message);
  /// The same where the answer is an optional one.
  std::nullopt_t refuse(const llvm::Twine &message);

  // Building blocks. Of a null value, which an error leaves, they make null.
  Expr expr(int64_t v) { return Expr::constant(context, v); }
  /// A fresh symbol with `hint` in its name; `mayBeNegative` for values that are not sizes.
  Expr freshSymbol(llvm::StringRef hint, bool mayBeNegative = false);
  SymTensorType tensor(llvm::ArrayRef<Expr> dims, mlir::Type element);
  llvm::SmallVector<Expr> dims(mlir::Value v);
  mlir::Value generic(SymTensorType result, mlir::ValueRange inputs, BodyFn body);
  /// `body` may use the reduction indices (after the result's); `epilogue` gets the combined value as scalar(0), null:
  /// converts it.
  mlir::Value reduce(SymTensorType result, ReduceKind kind, llvm::ArrayRef<Expr> extents, mlir::ValueRange inputs,
                     BodyFn body, BodyFn epilogue, bool selectLast = false);
  mlir::Value normalize(SymTensorType result, NormKind kind, int64_t axes, double epsilon, mlir::ValueRange inputs,
                        BodyFn body, BodyFn epilogue);
  mlir::Value reshape(mlir::Value v, llvm::ArrayRef<Expr> dims);
  /// result dimension i is v's dimension perm[i].
  mlir::Value transpose(mlir::Value v, llvm::ArrayRef<int64_t> perm);
  mlir::Value cast(mlir::Value v, mlir::Type element);
  /// Elements [start, start + result size) with a step, along every dimension; `starts` may be anything inside.
  mlir::Value slice(mlir::Value v, llvm::ArrayRef<Expr> starts, llvm::ArrayRef<Expr> sizes,
                    llvm::ArrayRef<int64_t> steps);
  /// Joined along `axis`, kMaxTogether at a time.
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t axis);
  /// lhs [.., m, k] times rhs [.., k, n] with numpy's broadcasting of batches; `transpose*` swap the last two
  /// dimensions.
  mlir::Value matmul(mlir::Value lhs, mlir::Value rhs, bool transposeLhs = false, bool transposeRhs = false,
                     mlir::Type resultElement = {});
  /// A tensor of known integers.
  mlir::Value constantInts(llvm::ArrayRef<int64_t> values, mlir::Type element, llvm::ArrayRef<int64_t> shape);
  mlir::Value constantFloat(double value, mlir::Type element, llvm::ArrayRef<int64_t> shape = {});
  /// numpy's broadcasting of shapes; an error when constant dimensions disagree.
  std::optional<llvm::SmallVector<Expr>> broadcast(llvm::ArrayRef<llvm::SmallVector<Expr>> shapes);
  Expr broadcastDim(Expr a, Expr b);
  /// Of a minimum and what it is one of, where no other broadcasts: from here on it is that.
  void settleMinimum(Expr minimum, Expr d);
  /// No run of the model can meet the condition: refused here rather than in each. Not so in a region that may not run.
  bool failsAlways(Expr condition);
  /// The run fails unless a == b; what can never be equal is an error now.
  llvm::LogicalResult require(Expr a, Expr b, const llvm::Twine &what);
  /// The run fails unless a <= b.
  llvm::LogicalResult requireAtMost(Expr a, Expr b, const llvm::Twine &what);
  /// The run fails where a dimension of `limit` is empty and `count` elements, more than none, are read from it: there
  /// is no index that a body could be kept to. `what` names one of them.
  llvm::LogicalResult requireSome(Expr limit, Expr count, const llvm::Twine &what);
  /// The run fails where a region, whose last arguments are indices below `extents`, reads beyond an operand at them:
  /// operands whose sizes do not belong together, or that do not broadcast as `body` took them to. (Indices that a body
  /// computes are kept inside where they are made.)
  void requireReads(mlir::Region &region, const Body &body, llvm::ArrayRef<Expr> extents);
  /// An elementwise result: operands are broadcast, computed in `computeType`, rounded to `resultElement`.
  mlir::Value map(mlir::Type resultElement, mlir::ValueRange inputs,
                  llvm::function_ref<mlir::Value(Body &, llvm::ArrayRef<mlir::Value>)> fn);
  /// For axes that only the run knows: for each of `rank` dimensions 1 if it is among them, else 0. The run fails
  /// unless they are distinct and inside the rank.
  llvm::SmallVector<Expr> marked(llvm::ArrayRef<Expr> axes, int64_t rank);
  /// The dimensions that are not marked; `count` of them are.
  llvm::SmallVector<Expr> unmarked(llvm::ArrayRef<Expr> dims, llvm::ArrayRef<Expr> marks, int64_t count);
  /// Negative axes count from the end; an error outside [-rank, rank).
  std::optional<int64_t> axis(int64_t value, int64_t rank);
  /// The same of several, which have to differ.
  std::optional<llvm::SmallVector<int64_t>> axes(llvm::ArrayRef<int64_t> values, int64_t rank);
};

} // namespace kt::import

#endif
