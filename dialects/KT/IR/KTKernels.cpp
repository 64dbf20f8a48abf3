//===- KTKernels.cpp - kernels and their launches -------------------------===//

#include "dialects/KT/IR/Verify.h"
#include "dialects/KT/Schedule/Candidates.h"
#include "dialects/KT/Schedule/Pages.h"
#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;
using namespace kt;

bool KernelOp::reportsFaults() {
  return getBody()
      .walk([](Operation *op) {
        auto scatter = dyn_cast<ScatterOp>(op);
        return isa<BoundedOp>(op) || (scatter && scatter.getSite()) ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}

SmallVector<Operation *> KernelOp::computes() {
  SmallVector<Operation *> all;
  for (Operation &op : getBody().front())
    if (isa<ComputeOpInterface>(&op))
      all.push_back(&op);
  return all;
}

Operation *KernelOp::compute() {
  SmallVector<Operation *> all = computes();
  auto *says = llvm::find_if(all, llvm::IsaPred<MatmulOp, AttentionOp>);
  if (says == all.end())
    says = llvm::find_if_not(all, llvm::IsaPred<GenericOp>);
  return all.empty() ? nullptr : says == all.end() ? all.front() : *says;
}

/// The first symbol in an op of the kernel, its types and attributes that is no parameter; empty if all are.
static std::string freeSymbol(KernelOp kernel, const llvm::SmallDenseSet<StringRef> &params) {
  std::string found;
  AttrTypeWalker walker; // looks at each attribute and type once
  walker.addWalk([&](ExprAttr e) {
    Expr(e).forEachSymbol([&](StringRef name) {
      if (found.empty() && !params.contains(name))
        found = name.str();
    });
    return found.empty() ? WalkResult::skip() : WalkResult::interrupt();
  });
  kernel.getBody().walk([&](Operation *op) {
    bool known = !walker.walk(op->getAttrDictionary()).wasInterrupted();
    for (Type type : op->getResultTypes())
      known = known && !walker.walk(type).wasInterrupted();
    return known ? WalkResult::advance() : WalkResult::interrupt();
  });
  for (Type type : kernel.getBody().getArgumentTypes())
    if (found.empty())
      (void)walker.walk(type);
  return found;
}

/// Candidates speak of parameters and facts, and of tiles that can be built.
static LogicalResult verifyCandidate(KernelOp kernel, CandidateAttr candidate,
                                     const llvm::SmallDenseSet<StringRef> &params) {
  for (ExprAttr e : {candidate.getSplits(), candidate.getGuard(), candidate.getCost()}) {
    std::string unknown;
    if (e)
      Expr(e).forEachSymbol([&](StringRef name) {
        if (!params.contains(name) && !llvm::is_contained(fact::kAll, name))
          unknown = name.str();
      });
    if (!unknown.empty())
      return kernel.emitOpError() << "expected a candidate's symbols to be parameters or facts of a device but got '"
                                  << unknown << "'";
  }
  std::string why;
  if (candidate.getPath().getValue() == path::kMma || candidate.getPath().getValue() == path::kWgmma) {
    std::optional<MmaTile> tile = mmaTileOf(candidate, &why);
    if (!tile)
      return kernel.emitOpError() << "expected a tile that can be built for " << candidate.getTarget() << " but got "
                                  << why;
    Operation *product = kernel.compute();
    if (!isa<MatmulOp, ConvOp>(product))
      return kernel.emitOpError() << "expected a product for " << candidate.getPath() << " but got "
                                  << product->getName();
    Type left = cast<SymTensorType>(product->getOperand(0).getType()).getElementType(),
         right = cast<SymTensorType>(product->getOperand(1).getType()).getElementType();
    auto matmul = dyn_cast<MatmulOp>(product);
    bool rounds = configured(candidate, "int8_rows");
    if (rounds && (!matmul || !matmul.getInt8Rows()))
      return kernel.emitOpError() << "expected a product with int8_rows for a candidate that rounds its rows";
    if ((rounds || (left.isInteger(8) && right.isInteger(8))) != (tile->elementBytes == 1))
      return kernel.emitOpError() << "expected a tile of " << left << " and " << right << " but got one of elements of "
                                  << tile->elementBytes << " bytes";
  }
  return success();
}

/// What lies in pages is cut between its first and its last dimension, read by what has code for pages, and written by
/// windows.
static LogicalResult verifyPages(KernelOp kernel) {
  Attribute given = kernel->getAttr(kPages);
  if (!given)
    return success();
  SmallVector<Value> buffers(kernel.getBody().getArguments());
  llvm::append_range(buffers, kernel.getBody().front().getTerminator()->getOperands());
  ArrayRef<int64_t> axes = pagesOf(kernel);
  if (!isa<DenseI64ArrayAttr>(given) || axes.size() != buffers.size())
    return kernel.emitOpError() << "expected a dimension in pages, or -1, for each of " << buffers.size()
                                << " operands and results but got " << given;
  for (auto [v, axis] : llvm::zip(buffers, axes)) {
    int64_t rank = cast<SymTensorType>(v.getType()).getRank();
    if (axis != -1 && (axis < 1 || axis + 1 >= rank))
      return kernel.emitOpError() << "expected a dimension in pages between the first and the last of " << rank
                                  << " but got " << axis;
    Operation *made = v.getDefiningOp();
    if (axis != -1 && made && !isa<UpdateOp>(made))
      return kernel.emitOpError() << "expected a result in pages to be that of a kt.update";
  }
  for (Operation *compute : kernel.computes())
    if (!isa<GenericOp, UpdateOp, AttentionOp>(compute))
      return kernel.emitOpError() << "expected elementwise work, windows or attention over pages but got "
                                  << compute->getName();
  return success();
}

LogicalResult KernelOp::verify() {
  llvm::SmallDenseSet<StringRef> params;
  for (auto param : getParams().getAsRange<StringAttr>()) {
    if (failed(verifySymbol(*this, "each parameter", param.getValue())))
      return failure();
    if (!params.insert(param.getValue()).second)
      return emitOpError() << "expected each parameter once but got '" << param.getValue() << "' twice";
  }
  for (Type type : getBody().getArgumentTypes())
    if (!isa<SymTensorType>(type))
      return emitOpError() << "expected tensors as arguments but got " << type;
  // Blocks are verified after the op that holds them: this one may be empty.
  YieldOp yield = yieldOf(getBody());
  Block &block = getBody().front();
  SmallVector<Operation *> all = computes();
  if (!yield || all.empty() || block.getOperations().size() != all.size() + 1)
    return emitOpError() << "expected computations and a kt.yield of their results";
  SmallVector<Value> results, given;
  for (Operation *compute : all) {
    SmallVector<Value> before = given;
    for (Value operand : compute->getOperands())
      if (!llvm::is_contained(results, operand) && !llvm::is_contained(before, operand))
        given.push_back(operand);
    llvm::append_range(results, compute->getResults());
  }
  if (!llvm::equal(yield.getValues(), results))
    return emitOpError() << "expected the kt.yield to have the " << results.size() << " results of the computations";
  if (!llvm::equal(given, block.getArguments(), [](Value operand, BlockArgument arg) { return operand == arg; }))
    return emitOpError() << "expected the operands of the computations to be the " << block.getNumArguments()
                         << " arguments, in order";
  if (std::string name = freeSymbol(*this, params); !name.empty())
    return emitOpError() << "expected every symbol to be a parameter but got '" << name << "'";
  if (std::optional<ArrayAttr> candidates = getCandidates())
    for (auto candidate : candidates->getAsRange<CandidateAttr>())
      if (failed(verifyCandidate(*this, candidate, params)))
        return failure();
  if (failed(verifyPages(*this)))
    return failure();
  int64_t count = getParams().size();
  WalkResult sites = getBody().walk([&](Operation *op) -> WalkResult {
    int64_t site = 0;
    if (auto bounded = dyn_cast<BoundedOp>(op))
      site = bounded.getSite();
    else if (auto scatter = dyn_cast<ScatterOp>(op); scatter && scatter.getSite())
      site = *scatter.getSite();
    else
      return WalkResult::advance();
    if (site >= 0 && site < count)
      return WalkResult::advance();
    return op->emitOpError() << "expected a site that is one of " << count << " parameters but got " << site;
  });
  return failure(sites.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError() << "expected the name of a kernel but got '" << getKernel() << "'";
  ArrayAttr params = kernel.getParams();
  if (params.size() != getInts().size())
    return emitOpError() << "expected " << params.size() << " ints, one for each parameter of '" << getKernel()
                         << "', but got " << getInts().size();
  llvm::SmallDenseMap<StringRef, Expr, 16> values;
  for (auto [param, value] : llvm::zip(params.getAsRange<StringAttr>(), getInts().getAsRange<ExprAttr>()))
    values[param.getValue()] = value;
  YieldOp yield = yieldOf(kernel.getBody());
  TypeRange inputs = kernel.getBody().getArgumentTypes(), results;
  if (yield)
    results = yield->getOperandTypes();
  if (inputs.size() != getInputs().size() || results.size() != getNumResults())
    return emitOpError() << "expected " << inputs.size() << " inputs and " << results.size() << " results of '"
                         << getKernel() << "' but got " << getInputs().size() << " and " << getNumResults();
  auto verifyOne = [&](StringRef what, size_t i, Type inKernel, Type here) -> LogicalResult {
    auto expected = dyn_cast<SymTensorType>(inKernel), type = cast<SymTensorType>(here);
    bool fits = expected && expected.getElementType() == type.getElementType() && expected.getRank() == type.getRank();
    for (int64_t d = 0; fits && d < type.getRank(); ++d)
      if (expected.dim(d) != type.dim(d))
        fits = !neverEqual(*this, expected.dim(d).substitute([&](StringRef name) { return values.lookup(name); }),
                           type.dim(d));
    if (!fits)
      return emitOpError() << "expected " << what << " " << i << " to fit " << inKernel << " of '" << getKernel()
                           << "' but got " << here;
    return success();
  };
  for (auto [i, inKernel, here] : llvm::enumerate(inputs, getInputs().getTypes()))
    if (failed(verifyOne("input", i, inKernel, here)))
      return failure();
  for (auto [i, inKernel, here] : llvm::enumerate(results, getResultTypes()))
    if (failed(verifyOne("result", i, inKernel, here)))
      return failure();
  return success();
}
