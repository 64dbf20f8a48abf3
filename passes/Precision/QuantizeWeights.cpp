//===- QuantizeWeights.cpp - weights stored in INT8 -----------------------===//
//
//   %r = matmul %x, %w {packed} epilogue { acc }   ->   %r = matmul %x, %q {packed} epilogue { acc * s[n] }
//
// Symmetric, a scale an output channel (an innermost row, for tables that are gathered from): s = max|w| / 127, q =
// round(w / s). The kernels widen q; the scale is applied once to the accumulator.
//
// What is to be quantised is found first, then quantised block by block on all threads, then put in its place: weights
// of any size share the threads, and beside a weight and its result nothing is held. What rounding costs is known then:
// a weight that loses too much is not put in its place.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/Blobs.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "passes/Precision/Int8Places.h"
#include "passes/Precision/NamePatterns.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <atomic>
#include <cmath>
#include <map>
#include <sys/mman.h>

namespace kt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kTaskElements = 1 << 16; // or a block, if that is larger: some 30 us of work
constexpr size_t kLargePage = 2 << 20;

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

/// The names of the nodes that use a weight, each once.
using NodeNames = llvm::SetVector<StringRef>;

/// A weight on its way to INT8.
struct Weight {
  Int8Place place;
  ConstantOp constant;
  Int8Layout layout;
  FloatFormat format;
  AsmResourceBlob bytes, scaleBytes;
  std::atomic<bool> finite = true;
  Int8Error error;
  std::optional<KeptWide> kept; // why it stays as it is after all
  NodeNames nodes;
  Value values, scales; // once something uses them

  explicit Weight(Int8Place &&found)
      : place(std::move(found)), constant(place.constant), layout(*place.layout),
        format(*floatFormatOf(constant.getResult().getType().getElementType())) {
    bytes = allocate(layout.blocks() * layout.blockElements());
    scaleBytes = allocate(layout.scales() * sizeof(float));
  }

  void quantize(int64_t begin, int64_t end, Int8Error &cost) {
    const char *from = constant.bytes().data();
    char *to = bytes.getMutableData().data();
    auto *scale = reinterpret_cast<float *>(scaleBytes.getMutableData().data());
    for (int64_t block = begin; block < end && finite.load(std::memory_order_relaxed); ++block)
      if (!quantizeBlock(layout, format, from, block, to, scale, cost))
        finite.store(false, std::memory_order_relaxed);
  }

  double signalToNoise() const { return decibels(error.signal, error.noise); }

  void decide(double minSignalToNoise) {
    if (!finite)
      kept = KeptWide{WideReason::notFinite, "an element is infinite or not a number"};
    else if (signalToNoise() < minSignalToNoise)
      kept = KeptWide{WideReason::lowSignalToNoise,
                      llvm::formatv("loses too much: {0:f1} dB, less than {1:f1}", signalToNoise(), minSignalToNoise)};
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

/// Quantises all weights at the same time: small ones as well as blocks of large ones are what threads take. Which
/// blocks go together follows from sizes alone, and so does the order in which what they cost is summed up.
void quantize(MLIRContext *context, ArrayRef<std::unique_ptr<Weight>> weights) {
  struct Task {
    Weight *weight;
    int64_t begin, end;
    Int8Error cost;
  };
  std::vector<Task> tasks;
  for (const auto &weight : weights) {
    int64_t blocks = weight->layout.blocks();
    int64_t step = std::max<int64_t>(kTaskElements / weight->layout.blockElements(), 1);
    for (int64_t begin = 0; begin < blocks; begin += step)
      tasks.push_back({weight.get(), begin, std::min(begin + step, blocks), {}});
  }
  parallelForEach(context, tasks, [](Task &task) {
    Int8Error cost; // not where other threads' are, a row or a panel at a time
    task.weight->quantize(task.begin, task.end, cost);
    task.cost = cost;
  });
  for (const Task &task : tasks)
    task.weight->error.add(task.cost);
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
  Quantizer(ArrayRef<std::string> exclude, double minSignalToNoise, AccuracyReport *report)
      : excluded(exclude), minSignalToNoise(minSignalToNoise), report(report) {}

  LogicalResult run(func::FuncOp func) {
    PrecisionDemand demand(func);
    func.walk([&](Operation *op) {
      if (!bodiesOf(op).empty())
        for (OpOperand &operand : op->getOpOperands())
          if (std::optional<Int8Place> place = int8PlaceOf(op, operand.getOperandNumber(), demand))
            add(operand, std::move(*place));
    });
    if (std::optional<std::string> unknown = excluded.unmatched())
      return emitError(UnknownLoc::get(func.getContext())) << "excluded from quantisation: " << *unknown;
    if (report)
      countConstants(func);
    quantize(func.getContext(), weights);
    for (const auto &weight : weights)
      weight->decide(minSignalToNoise);
    warnOfLosses(func);
    for (const Use &use : uses)
      if (!weights[use.weight]->kept)
        replace(use, *weights[use.weight]);
    if (report)
      fillReport();
    return success();
  }

private:
  /// An operand that becomes a weight in INT8, which several may be.
  struct Use {
    Operation *op;
    unsigned operand;
    size_t weight;
  };
  /// A weight that some nodes read as it is, and why; of several reasons the first.
  struct Wide {
    Int8Place place;
    NodeNames nodes;
  };

  void add(OpOperand &operand, Int8Place place) {
    Operation *op = operand.getOwner();
    ConstantOp constant = place.constant;
    if (!place.kept)
      if (auto pattern = excluded.match(op->getLoc(), constant.getName().value_or("")))
        place.kept = KeptWide{WideReason::excluded, ("excluded by '" + *pattern + "'").str()};
    NodeNames *nodes;
    if (place.kept) {
      nodes = &wide.try_emplace(constant, Wide{std::move(place), {}}).first->second.nodes;
    } else {
      auto [it, isNew] =
          numbers.try_emplace(std::pair<Operation *, Int8Layout>(constant, *place.layout), weights.size());
      if (isNew)
        weights.push_back(std::make_unique<Weight>(std::move(place)));
      uses.push_back({op, operand.getOperandNumber(), it->second});
      nodes = &weights[it->second]->nodes;
    }
    forEachNode(op->getLoc(), [&](StringRef node) { nodes->insert(node); });
  }

  /// One line for all of them: a network of noise would make as many as it has weights.
  void warnOfLosses(func::FuncOp func) {
    Weight *worst = nullptr;
    size_t count = 0;
    for (const auto &weight : weights)
      if (weight->kept && weight->kept->reason == WideReason::lowSignalToNoise) {
        ++count;
        if (!worst || weight->signalToNoise() < worst->signalToNoise())
          worst = weight.get();
      }
    if (worst)
      emitWarning(UnknownLoc::get(func.getContext()))
          << count << (count == 1 ? " weight stays as it is" : " weights stay as they are")
          << " because INT8 would leave less than " << llvm::formatv("{0:f1}", minSignalToNoise).str()
          << " dB of signal to noise, the worst '" << worst->constant.getName().value_or("") << "' with "
          << llvm::formatv("{0:f1}", worst->signalToNoise()).str();
  }

  /// Those that nothing reads are not stored.
  void countConstants(func::FuncOp func) {
    llvm::DenseSet<const char *> listed, seen;
    for (const auto &weight : weights)
      listed.insert(weight->constant.bytes().data());
    for (auto &[constant, entry] : wide)
      listed.insert(entry.place.constant.bytes().data());
    uint64_t all = 0, others = 0;
    func.walk([&](ConstantOp op) {
      const char *data = op.bytes().data();
      if (op.use_empty() || !seen.insert(data).second)
        return;
      all += op.bytes().size();
      others += listed.contains(data) ? 0 : op.bytes().size();
    });
    report->addConstants(all, others);
  }

  static WeightAccuracy describe(const Int8Place &place, const NodeNames &nodes) {
    WeightAccuracy w;
    ConstantOp constant = place.constant;
    w.name = constant.getName().value_or("").str();
    for (StringRef node : nodes)
      w.nodes.push_back(node.str());
    w.shape.assign(place.shape.begin(), place.shape.end());
    llvm::raw_string_ostream(w.type) << constant.getResult().getType().getElementType();
    w.isTable = place.isTable;
    w.bytesBefore = constant.bytes().size();
    w.data = {constant.bytes().data()};
    if (place.kept)
      w.reason = place.kept->reason, w.words = place.kept->words;
    return w;
  }

  static Int8Accuracy accuracyOf(const Weight &weight) {
    const Int8Error &error = weight.error;
    Int8Accuracy a{weight.signalToNoise(), std::sqrt(error.square), std::sqrt(error.squareInSteps), error.worstChannel,
                   decibels(error.worstSignal, error.worstNoise)};
    // Parts of a product have scales for whole panels.
    int64_t channels = weight.layout.channels;
    if (weight.place.columns && a.worstChannel >= 0)
      a.worstChannel = a.worstChannel / channels * weight.place.columns + a.worstChannel % channels;
    return a;
  }

  void fillReport() {
    std::vector<WeightAccuracy> all;
    for (const auto &weight : weights) {
      WeightAccuracy w = describe(weight->place, weight->nodes);
      if (weight->finite)
        w.accuracy = accuracyOf(*weight);
      if (weight->kept) {
        w.reason = weight->kept->reason, w.words = weight->kept->words;
      } else {
        w.form = weight->layout.inRows ? WeightAccuracy::Form::int8PerRow : WeightAccuracy::Form::int8PerChannel;
        w.data = {weight->values.getDefiningOp<ConstantOp>().bytes().data(),
                  weight->scales.getDefiningOp<ConstantOp>().bytes().data()};
      }
      all.push_back(std::move(w));
    }
    for (auto &[constant, entry] : wide)
      all.push_back(describe(entry.place, entry.nodes));
    report->add(std::move(all));
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
  double minSignalToNoise;
  AccuracyReport *report; // null: nobody asks
  std::vector<std::unique_ptr<Weight>> weights;
  std::map<std::pair<Operation *, Int8Layout>, size_t> numbers; // of weights
  std::vector<Use> uses;
  llvm::MapVector<Operation *, Wide> wide;
};

struct QuantizeWeightsPass : kt::impl::QuantizeWeightsBase<QuantizeWeightsPass> {
  using Base::Base;
  AccuracyReport *report = nullptr;

  void runOnOperation() override {
    for (const std::string &pattern : exclude)
      if (std::optional<std::string> wrong = NamePatterns::errorIn(pattern)) {
        getOperation()->emitError("exclude: '" + pattern + "': " + *wrong);
        return signalPassFailure();
      }
    if (isGraph(getOperation()) && failed(Quantizer(llvm::to_vector(exclude), minSnr, report).run(getOperation())))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> kt::createQuantizeWeights(QuantizeWeightsOptions options, AccuracyReport *report) {
  auto pass = std::make_unique<QuantizeWeightsPass>(std::move(options));
  pass->report = report;
  return pass;
}
