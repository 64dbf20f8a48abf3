//===- Importer.h - ONNX graphs to kt -------------------------------------===//
//
// Walks graphs in their order, gives each node to its operator's definition and keeps what is known of small tensors.
// Dimensions become expressions on the way, so the imported graph has no shape arithmetic left.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_IMPORTER_H
#define KT_COMPILER_IMPORT_IMPORTER_H

#include "compiler/Import/NextToken.h"
#include "compiler/Import/Node.h"
#include "compiler/Import/Proto.h"
#include "compiler/Import/Schema.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"

namespace kt::import {

/// A dimension symbol's range from the command line: `--dim batch=1..8`.
struct DimRange {
  int64_t min = 0, max = INT64_MAX;
};

struct ImportOptions {
  llvm::StringMap<DimRange> dims;
  /// False: the leading dimension that the inputs share is 1 unless `dims` has it. True: warn where none is symbolic.
  std::optional<bool> dynamicBatching;
  /// Whether the graph has an output more, `next_token`, and the name of the output that it is chosen from.
  NextToken nextToken = NextToken::none;
  std::string logits = "logits";
  /// Products of what was dequantised are those of its integers where their depth, or a convolution's channels, come in
  /// whole chunks of so many: tensor cores want 16.
  int64_t integerChunk = 16;
  /// Floats of single precision will be halves.
  bool toHalves = false;
};

/// Imports the model: one func.func @main whose arguments and results carry `kt.name`, with the module attributes
/// `kt.name`, `kt.bounds` (symbol -> [min, max]) and `kt.sites` (what checks of indices report). Errors are reported as
/// diagnostics at the nodes' locations; all unsupported nodes are listed in one. The module's constants borrow the
/// file's bytes.
mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext *context, ModelFile &file,
                                              const ImportOptions &options);

/// The newest operator set of the standard whose operators are known here.
constexpr int64_t kNewestOpset = 28;
/// How deep subgraphs may be nested that become regions, as deep as artifacts nest blocks.
constexpr size_t kMaxRegions = 32;
/// How deep subgraphs and functions may be nested.
constexpr int kMaxDepth = 64;

/// How many nodes calls of functions may unfold to, and bodies that are imported again: each counts as often as it is
/// imported. What the file itself holds comes on top, a few times.
constexpr int64_t kMaxUnfolded = 100000;

/// What import defines: every operator by its name in the table of definitions, in order.
std::vector<std::string> importedOperators();

/// The name of an operator in the table of definitions.
std::string operatorKey(llvm::StringRef domain, llvm::StringRef op);

/// The location of a node: a NameLoc with its name over a NameLoc with "Op, opset N".
mlir::Location nodeLocation(mlir::MLIRContext *context, llvm::StringRef name, llvm::StringRef op, int64_t opset);

/// The Ifs whose branches yield tensors of other ranks and whose condition only a run knows.
struct BranchChoices {
  struct Open {
    const onnx::NodeProto *node;
    bool taken; // the branch that the import took
    mlir::Location loc;
    std::string text; // the error, if nothing decides
  };
  llvm::DenseMap<const onnx::NodeProto *, bool> pinned; // settled: true, the then branch
  std::vector<Open> open;
  unsigned said = 0;         // diagnostics so far
  bool declaredRanks = true; // the graph's outputs have the ranks that the model declares
};

class Importer {
public:
  /// `choices` says which branches are settled and gets those that are not.
  Importer(mlir::MLIRContext *context, ModelFile &file, const ImportOptions &options, BranchChoices &choices);
  mlir::OwningOpRef<mlir::ModuleOp> run();

  // For definitions of operators.
  mlir::OpBuilder b;
  ModelFile &file;
  const ImportOptions &options;

  /// The value of a name in the innermost scope that knows it; null when nothing does or its node failed.
  mlir::Value lookup(llvm::StringRef name);
  void define(llvm::StringRef name, mlir::Value v);
  /// The elements of a name that is a sequence of tensors; null when it is not. How many there are is always known.
  const llvm::SmallVector<mlir::Value> *sequence(llvm::StringRef name);
  void defineSequence(llvm::StringRef name, llvm::ArrayRef<mlir::Value> elements);
  const Contents *known(mlir::Value v);
  /// What is known of a value is forgotten with the region that defines it.
  void setKnown(mlir::Value v, Contents contents);
  mlir::Value constant(SymTensorType type, llvm::ArrayRef<char> bytes, llvm::StringRef name, bool copy);
  mlir::Value tensorConstant(const onnx::TensorProto &tensor);
  std::string freshName(llvm::StringRef hint);
  /// The number of a site in `kt.sites`; see Node::site.
  int64_t siteOf(mlir::Value indices, Expr limit, llvm::StringRef what, bool wraps, mlir::Location loc);
  const onnx::AttributeProto *functionAttr(llvm::StringRef name);

  /// Between these two, ops are added to `block`, the entry of a region of an op that does not exist yet; the builder
  /// then goes back to the end of the block outside.
  void enterRegion(mlir::Block *block);
  void leaveRegion();
  /// The builder at the end of the block that is being imported and defines `v`: what is added there is not repeated by
  /// a loop further inside.
  mlir::OpBuilder builderAt(mlir::Value v);

  /// Which branch of the If node `n` the rest of the model is imported for: as settled, else the `likely` one (true:
  /// then), and it is open. `ambiguous` is the error if the rest is valid with either.
  bool choose(Node &n, bool likely, const llvm::Twine &ambiguous);
  /// The value of an expression that the bounds of its symbols decide, or nothing.
  std::optional<int64_t> decide(Expr e);

  /// A check before whatever is imported from here on says that `minimum`, of a constant and `x`, is x.
  void learnMinimum(Expr minimum, Expr x);
  /// A size with what was learnt. Layer after layer says the same of it, and would in terms of what the last one said.
  Expr known(Expr size) const;

  /// `present` is the next state of `past`, should these be a result and an argument of the model.
  void goesOn(mlir::Value past, mlir::Value present) { nextStates[present] = past; }

  /// Inside a branch or a loop: what is imported runs only if the region does.
  bool mayNotRun() const { return levels.size() > 1; }

  /// Imports a subgraph's nodes at the builder, in a scope of its own, with `inputs` for its inputs; answers the values
  /// of its outputs.
  llvm::FailureOr<llvm::SmallVector<mlir::Value>> subgraph(const onnx::GraphProto &graph, mlir::ValueRange inputs);

private:
  /// Whether a name stands for a value or for one that a node failed to make.
  bool isTaken(llvm::StringRef name) const;
  struct Scope {
    llvm::StringMap<mlir::Value> values;
    llvm::StringMap<const onnx::TensorProto *> initializers;
    llvm::StringMap<llvm::SmallVector<mlir::Value>> sequences;
    bool isFunction = false; // names outside are not visible
    llvm::StringMap<const onnx::AttributeProto *> attributes;
    std::vector<std::unique_ptr<onnx::AttributeProto>> owned;
    Scope() = default;
    Scope(Scope &&) = default;
    Scope &operator=(Scope &&) = default;
  };
  llvm::LogicalResult importNodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto> &nodes);
  llvm::LogicalResult importNode(const onnx::NodeProto &node);
  llvm::LogicalResult inlineFunction(const onnx::NodeProto &node, const onnx::FunctionProto &function,
                                     mlir::Location loc);
  llvm::LogicalResult importGraph(const onnx::GraphProto &graph);
  llvm::LogicalResult addInitializers(const onnx::GraphProto &graph);
  bool checkSupported();
  /// Nodes in the file, with those of subgraphs and functions.
  int64_t countNodes() const;
  /// What the standard asks of every node, also of those that nothing runs.
  bool checkStandard();
  llvm::LogicalResult checkInputs(Node &node);
  llvm::LogicalResult checkSequences(const onnx::NodeProto &node, const Definition &definition, mlir::Location loc);
  int64_t opsetOf(llvm::StringRef domain);
  SymTensorType inputType(const onnx::ValueInfoProto &info);
  /// The output that `options.nextToken` asks for; types and names of the inputs that it needs are added
  /// (NextToken.cpp).
  llvm::FailureOr<mlir::Value> nextToken(const onnx::GraphProto &graph, llvm::SmallVectorImpl<mlir::Type> &types,
                                         llvm::SmallVectorImpl<std::string> &names);
  void settleBatch(llvm::ArrayRef<const onnx::ValueInfoProto *> inputs);
  void evaluateNew(mlir::Block *block, mlir::Operation *last);
  llvm::LogicalResult checkSizes(mlir::Operation *op, mlir::Location loc);
  llvm::LogicalResult checkNew(mlir::Block *block, mlir::Operation *last, mlir::Location loc);

  BranchChoices &choices;
  const OpTable &table;
  Schemas schemas;
  std::vector<Scope> scopes;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  std::vector<OperatorSets> opsets;
  /// A block being imported and what is known of its values.
  struct Level {
    mlir::Block *block = nullptr;
    llvm::DenseMap<mlir::Value, Contents> known;
    llvm::SmallVector<std::pair<Expr, Expr>> minima; // that checks of this block have decided, and what they are
  };
  Level &levelOf(mlir::Value v);
  std::vector<std::unique_ptr<Level>> levels;
  llvm::StringMap<unsigned> freshCounts;
  llvm::StringMap<DimRange> bounds;
  llvm::StringMap<std::string> symbolOfParam;
  llvm::StringSet<> usedDims;
  std::optional<std::string> batchOfOne; // the dimension that dynamic_batching fixes; empty: every unnamed leading one
  llvm::StringMap<int64_t> siteNumbers;
  llvm::SmallVector<mlir::Attribute> sites;
  llvm::DenseMap<mlir::Value, mlir::Value> nextStates; // to what they follow
  mlir::Block *entry = nullptr;
  int depth = 0;
  int64_t budget = 0; // of nodes to import
  bool failed = false;
};

} // namespace kt::import

#endif
