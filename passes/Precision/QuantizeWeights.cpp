//===- QuantizeWeights.cpp - weights stored in INT8 -----------------------===//
//
//   %r = matmul %x, %w {packed} epilogue { acc }   ->   %r = matmul %x, %q {packed} epilogue { acc * s[n] }
//
// Symmetric, a scale an output channel (an innermost row, for tables that are gathered from): s = max|w| / 127, q =
// round(w / s). The kernels widen q; the scale is applied once to the accumulator.
//
// What is to be quantised is found first, then quantised block by block on all threads, then put in its place: weights
// of any size share the threads, and beside a weight and its result nothing is held.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/Blobs.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Passes.h"
#include "passes/Precision/NamePatterns.h"
#include "passes/Precision/QuantizeInt8.h"
#include <atomic>
#include <map>
#include <sys/mman.h>

namespace kt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kMinElements = 256;      // below this the scales cost what the bytes save
constexpr int64_t kTaskElements = 1 << 16; // or a block, if that is larger: some 30 us of work
constexpr size_t kLargePage = 2 << 20;

static_assert(kInt8Columns == kPanel);

std::optional<FloatFormat> formatOf(Type element) {
  return element.isF32()    ? std::optional(FloatFormat::f32)
         : element.isF16()  ? std::optional(FloatFormat::f16)
         : element.isBF16() ? std::optional(FloatFormat::bf16)
                            : std::nullopt;
}

/// The panels of a product's weights; those of its parts take turns.
std::optional<Int8Layout> layoutOf(MatmulOp op) {
  auto constant = op.getRhs().getDefiningOp<ConstantOp>();
  if (!op.getPacked() || !constant || !op.accumulatorType().isF32())
    return std::nullopt;
  SymTensorType type = constant.getResult().getType();
  int64_t panels = *type.dim(0).asConstant(), parts = op.getParts();
  // What verifiers cannot tell, columns of a size that only a run knows, is left alone.
  if (panels % parts != 0)
    return std::nullopt;
  return Int8Layout::panels(parts, panels / parts * kPanel, *type.dim(1).asConstant(), /*byTurns=*/true);
}

/// The panels of a convolution's weights, those of its groups behind one another.
std::optional<Int8Layout> layoutOf(ConvOp op) {
  auto constant = op.getWeights().getDefiningOp<ConstantOp>();
  SymTensorType result = op.getResult().getType();
  std::optional<int64_t> outputs = result.dim(result.getRank() - 1).asConstant();
  if (!constant || !op.accumulatorType().isF32() || !outputs)
    return std::nullopt;
  SymTensorType type = constant.getResult().getType();
  auto size = [&](int64_t d) { return *type.dim(d).asConstant(); };
  if (size(0) == 0 || *outputs % size(0) != 0)
    return std::nullopt;
  auto layout = Int8Layout::panels(size(0), *outputs / size(0), size(2) * size(3), /*byTurns=*/false);
  if (layout.panelsOfGroup() != size(1))
    return std::nullopt;
  return layout;
}

/// A constant that bodies read at a computed first index: an embedding, or the weights of experts. A scale an
/// innermost row.
std::optional<Int8Layout> layoutOfTable(Operation *op, unsigned operand, const PrecisionDemand &demand) {
  unsigned first = firstBodyOperand(op), operands = op->getNumOperands() - first;
  auto constant = op->getOperand(first + operand).getDefiningOp<ConstantOp>();
  if (!constant || constant.getResult().getType().getRank() < 2 || demand.isExactTable(constant.getResult()))
    return std::nullopt;
  SmallVector<ReadOp> reads = readsOf(op, operand);
  bool gathers = !reads.empty() && llvm::all_of(reads, [&](ReadOp r) {
    unsigned leading = cast<BlockArgument>(r.getTensor()).getArgNumber() - operand;
    return !r.getOtherwise() && !plainIndex(r.getIndices()[0], r->getBlock(), leading + operands);
  });
  SymTensorType type = constant.getResult().getType();
  int64_t columns = *type.dim(type.getRank() - 1).asConstant();
  if (!gathers || columns < 8)
    return std::nullopt;
  return Int8Layout::rows(*type.numElements().asConstant() / columns, columns);
}

/// Memory that the threads touch first: a vector would be filled with zeros by one. In large pages where the system has
/// them, since faults of small ones take as long as the arithmetic.
AsmResourceBlob allocate(size_t size) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, alignof(std::max_align_t));
#ifdef MADV_HUGEPAGE
  constexpr uintptr_t kPage = 4096;
  uintptr_t data = reinterpret_cast<uintptr_t>(blob.getData().data());
  uintptr_t begin = llvm::alignTo(data, kPage), end = (data + size) / kPage * kPage;
  if (size >= kLargePage)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE); // a hint, which may be refused
#endif
  return blob;
}

/// A weight on its way to INT8.
struct Weight {
  ConstantOp constant;
  Int8Layout layout;
  FloatFormat format;
  AsmResourceBlob bytes, scaleBytes;
  std::atomic<bool> finite = true;
  Value values, scales; // once something uses them

  Weight(ConstantOp constant, const Int8Layout &layout, FloatFormat format)
      : constant(constant), layout(layout), format(format) {
    bytes = allocate(layout.blocks() * layout.blockElements());
    scaleBytes = allocate(layout.scales() * sizeof(float));
  }

  void quantize(int64_t begin, int64_t end) {
    const char *from = constant.bytes().data();
    char *to = bytes.getMutableData().data();
    auto *scale = reinterpret_cast<float *>(scaleBytes.getMutableData().data());
    for (int64_t block = begin; block < end && finite.load(std::memory_order_relaxed); ++block)
      if (!quantizeBlock(layout, format, from, block, to, scale))
        finite.store(false, std::memory_order_relaxed);
  }

  void makeConstants() {
    if (values)
      return;
    OpBuilder b(constant->getContext());
    b.setInsertionPointAfter(constant);
    StringRef name = constant.getName().value_or("");
    auto type = SymTensorType::get(b.getContext(), constant.getResult().getType().getDims(), b.getIntegerType(8));
    auto scaleType =
        SymTensorType::get(b.getContext(), {Expr::constant(b.getContext(), layout.scales()).attr()}, b.getF32Type());
    values = makeConstant(b, constant.getLoc(), type, std::move(bytes), name);
    scales = makeConstant(b, constant.getLoc(), scaleType, std::move(scaleBytes),
                          name.empty() ? "" : (name + ".scale").str());
  }
};

/// Quantises all weights at the same time: small ones as well as blocks of large ones are what threads take.
void quantize(MLIRContext *context, ArrayRef<std::unique_ptr<Weight>> weights) {
  struct Task {
    Weight *weight;
    int64_t begin, end;
  };
  std::vector<Task> tasks;
  for (const auto &weight : weights) {
    int64_t blocks = weight->layout.blocks();
    int64_t step = std::max<int64_t>(kTaskElements / weight->layout.blockElements(), 1);
    for (int64_t begin = 0; begin < blocks; begin += step)
      tasks.push_back({weight.get(), begin, std::min(begin + step, blocks)});
  }
  parallelForEach(context, tasks, [](const Task &task) { task.weight->quantize(task.begin, task.end); });
}

/// Multiplies the accumulator of a product by scales[index of result dimension `channel`], those of several parts by
/// scales[part, index].
void scaleAccumulators(Operation *op, Value scales, unsigned channel) {
  unsigned number = addBodyOperand(op, scales);
  BodyRef body = bodiesOf(op).back();
  Block &block = body.region->front();
  Location loc = op->getLoc();
  Value column = block.getArgument(body.leading + op->getNumOperands() - firstBodyOperand(op) + channel);
  OpBuilder b(op->getContext());
  for (unsigned part = 0; part < body.leading; ++part) {
    b.setInsertionPointToStart(&block);
    SmallVector<Value> at{column};
    if (body.leading > 1)
      at.insert(at.begin(), arith::ConstantIndexOp::create(b, loc, part));
    Value s = ReadOp::create(b, loc, block.getArgument(body.leading + number), at);
    Value acc = block.getArgument(part);
    auto scaled = arith::MulFOp::create(b, loc, acc, s);
    acc.replaceAllUsesExcept(scaled, scaled);
  }
}

class Quantizer {
public:
  explicit Quantizer(ArrayRef<std::string> exclude) : excluded(exclude) {}

  LogicalResult run(func::FuncOp func) {
    // A rounded router sends tokens to other experts, for weights that are nothing beside the experts' own.
    PrecisionDemand demand(func);
    func.walk([&](Operation *op) {
      if (bodiesOf(op).empty() || demand.isExactProduct(op))
        return;
      if (auto matmul = dyn_cast<MatmulOp>(op))
        add(matmul.getRhsMutable(), layoutOf(matmul));
      else if (auto conv = dyn_cast<ConvOp>(op))
        add(conv.getWeightsMutable(), layoutOf(conv));
      for (unsigned first = firstBodyOperand(op), i = first; i < op->getNumOperands(); ++i)
        add(op->getOpOperand(i), layoutOfTable(op, i - first, demand));
    });
    if (std::optional<std::string> unknown = excluded.unmatched())
      return emitError(UnknownLoc::get(func.getContext())) << "excluded from quantisation: " << *unknown;
    quantize(func.getContext(), weights);
    for (const Use &use : uses)
      if (weights[use.weight]->finite)
        replace(use, *weights[use.weight]);
    return success();
  }

private:
  /// An operand that becomes a weight in INT8, which several may be.
  struct Use {
    Operation *op;
    unsigned operand;
    size_t weight;
  };

  void add(OpOperand &operand, std::optional<Int8Layout> layout) {
    if (!layout)
      return;
    auto constant = operand.get().getDefiningOp<ConstantOp>();
    SymTensorType type = constant.getResult().getType();
    std::optional<FloatFormat> format = formatOf(type.getElementType());
    if (!format || *type.numElements().asConstant() < kMinElements)
      return;
    if (excluded.match(operand.getOwner()->getLoc(), constant.getName().value_or("")))
      return;
    auto [it, isNew] = numbers.try_emplace(std::pair<Operation *, Int8Layout>(constant, *layout), weights.size());
    if (isNew)
      weights.push_back(std::make_unique<Weight>(constant, *layout, *format));
    uses.push_back({operand.getOwner(), operand.getOperandNumber(), it->second});
  }

  void replace(const Use &use, Weight &weight) {
    weight.makeConstants();
    if (use.operand >= firstBodyOperand(use.op))
      table(use.op, use.operand - firstBodyOperand(use.op), weight);
    else if (auto matmul = dyn_cast<MatmulOp>(use.op))
      product(matmul, weight);
    else
      convolution(cast<ConvOp>(use.op), weight);
  }

  void product(MatmulOp op, Weight &weight) {
    op.getRhsMutable().assign(weight.values);
    Value scales = weight.scales;
    // Those of several parts lie one part after the other.
    if (int64_t parts = op.getParts(); parts > 1) {
      OpBuilder b(op);
      auto size = [&](int64_t v) { return Expr::constant(op.getContext(), v).attr(); };
      auto byPart = SymTensorType::get(op.getContext(), {size(parts), size(weight.layout.channels)}, b.getF32Type());
      scales = ReshapeOp::create(b, op.getLoc(), byPart, scales);
    }
    unsigned n = op.getMap(2).getNumDims() - 2;
    for (unsigned i = 0; i < op.getMap(2).getNumResults(); ++i)
      if (op.getMap(2).getDimPosition(i) == n)
        scaleAccumulators(op, scales, i);
  }

  void convolution(ConvOp op, Weight &weight) {
    op.getWeightsMutable().assign(weight.values);
    scaleAccumulators(op, weight.scales, op.getResult().getType().getRank() - 1);
  }

  /// Body operand `operand`, which is widened where it is read.
  void table(Operation *op, unsigned operand, Weight &weight) {
    SmallVector<ReadOp> reads = readsOf(op, operand);
    setBodyOperand(op, operand, weight.values);
    OpBuilder outside(op);
    auto dims = weight.constant.getResult().getType().getDims();
    auto scaleType = SymTensorType::get(op->getContext(), dims.drop_back(), outside.getF32Type());
    Value scales = weight.scales;
    if (scaleType != scales.getType())
      scales = ReshapeOp::create(outside, op->getLoc(), scaleType, scales);
    unsigned scale = addBodyOperand(op, scales);
    for (ReadOp read : reads) {
      OpBuilder b(read);
      Block *block = read->getBlock();
      Type old = read.getResult().getType();
      unsigned leading = cast<BlockArgument>(read.getTensor()).getArgNumber() - operand;
      Value value = ReadOp::create(b, read.getLoc(), read.getTensor(), read.getIndices());
      Value s = ReadOp::create(b, read.getLoc(), block->getArgument(leading + scale), read.getIndices().drop_back());
      Value wide = arith::SIToFPOp::create(b, read.getLoc(), b.getF32Type(), value);
      Value result = arith::MulFOp::create(b, read.getLoc(), wide, s);
      if (old != b.getF32Type())
        result = arith::TruncFOp::create(b, read.getLoc(), old, result);
      read.replaceAllUsesWith(result);
      read.erase();
    }
  }

  NamePatterns excluded;
  std::vector<std::unique_ptr<Weight>> weights;
  std::map<std::pair<Operation *, Int8Layout>, size_t> numbers; // of weights
  std::vector<Use> uses;
};

struct QuantizeWeightsPass : kt::impl::QuantizeWeightsBase<QuantizeWeightsPass> {
  using Base::Base;

  void runOnOperation() override {
    for (const std::string &pattern : exclude)
      if (std::optional<std::string> wrong = NamePatterns::errorIn(pattern)) {
        getOperation()->emitError("exclude: '" + pattern + "': " + *wrong);
        return signalPassFailure();
      }
    if (isGraph(getOperation()) && failed(Quantizer(llvm::to_vector(exclude)).run(getOperation())))
      signalPassFailure();
  }
};

} // namespace
