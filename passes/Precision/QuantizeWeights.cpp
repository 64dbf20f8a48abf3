//===- QuantizeWeights.cpp - weights stored in few bits -------------------===//
//
//   %r = matmul %x, %w {packed}                    ->   %r = matmul %x, %q {packed, blocks}
//   %r = conv %x, %w epilogue { acc }              ->   %r = conv %x, %q epilogue { acc * s[n] }
//   %r = matmul %x, %w {packed}                    ->   %r = matmul %x, %q {packed, blocks, int8_rows}
//   generic { read %t[i, j] }                      ->   generic { read %q[i, j] * read %s[i] }
//
// Symmetric: a product's weights are blocks of INT8 or INT4, in which groups along k share a scale. Those of
// convolutions are INT8 with a scale an output channel, applied once to the accumulator, and tables that are gathered
// from with a scale an innermost row. Where products may round what they multiply as well, a column has one scale.
//
// What is to be quantised is found first, then quantised, then put in its place, which what loses too much is not.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "passes/Precision/MeasureInputs.h"
#include "passes/Precision/NamePatterns.h"
#include "passes/Precision/QuantizedWeight.h"
#include "passes/Precision/TiedWeights.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

namespace kt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Multiplies the accumulator of a convolution by the scale of its output channel, the last dimension of the result.
void scaleAccumulator(ConvOp op, Value scales) {
  unsigned number = addBodyOperand(op, scales);
  BodyRef body = bodiesOf(op).back();
  Block &block = body.region->front();
  unsigned extras = op->getNumOperands() - firstBodyOperand(op), channel = op.getResult().getType().getRank() - 1;
  OpBuilder b(op->getContext());
  b.setInsertionPointToStart(&block);
  Value column = block.getArgument(body.leading + extras + channel), acc = block.getArgument(0);
  Value s = ReadOp::create(b, op->getLoc(), block.getArgument(body.leading + number), column);
  auto scaled = arith::MulFOp::create(b, op->getLoc(), acc, s);
  acc.replaceAllUsesExcept(scaled, scaled);
}

class Quantizer {
public:
  Quantizer(QuantFormat format, bool int8Rows, ArrayRef<std::string> exclude, std::optional<double> minSignalToNoise,
            AccuracyReport *report, const InputMoments *moments)
      : format(format), int8Rows(int8Rows), excluded(exclude), minSignalToNoise(minSignalToNoise), report(report),
        moments(moments) {}

  LogicalResult run(func::FuncOp func) {
    PrecisionDemand demand(func);
    func.walk([&](Operation *op) {
      if (!bodiesOf(op).empty())
        for (OpOperand &operand : op->getOpOperands())
          if (std::optional<Int8Place> place = int8PlaceOf(op, operand.getOperandNumber(), demand))
            add(operand, std::move(*place), demand.isBeforeRouter(op));
    });
    if (std::optional<std::string> unknown = excluded.unmatched())
      return emitError(UnknownLoc::get(func.getContext())) << "excluded from quantisation: " << *unknown;
    if (report)
      countConstants(func);
    if (moments)
      addMoments(func);
    findTies();
    // A tied table has what its product has, unless that stays as it is.
    for (bool tied : {false, true}) {
      SmallVector<QuantizedWeight *> some;
      for (const auto &weight : weights)
        if ((weight->tied != nullptr) == tied && !weight->isStoredWithProduct())
          some.push_back(weight.get());
      quantizeAll(func.getContext(), some, minSignalToNoise);
    }
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
    bool beforeRouter;
  };
  /// A weight that some nodes read as it is, and why; of several reasons the first.
  struct Wide {
    Int8Place place;
    NodeNames nodes;
  };

  void add(OpOperand &operand, Int8Place place, bool beforeRouter) {
    Operation *op = operand.getOwner();
    ConstantOp constant = place.constant;
    if (!place.kept)
      if (auto pattern = excluded.match(op->getLoc(), constant.getName().value_or("")))
        place.kept = KeptWide{WideReason::excluded, ("excluded by '" + *pattern + "'").str()};
    std::optional<BlockFormat> blocks;
    if (!place.kept && isa<MatmulOp>(op) && !place.isTable)
      blocks = blocksOf(place, int8Rows && !beforeRouter);
    NodeNames *nodes;
    if (place.kept) {
      nodes = &wide.try_emplace(constant, Wide{std::move(place), {}}).first->second.nodes;
    } else {
      auto [it, isNew] =
          numbers.try_emplace(std::pair<Operation *, Int8Layout>(constant, *place.layout), weights.size());
      if (isNew)
        weights.push_back(std::make_unique<QuantizedWeight>(std::move(place), blocks));
      if (isNew && format.bits == 4 && !blocks)
        weights.back()->moreBits =
            KeptWide{WideReason::place, weights.back()->place.isTable ? "no INT4 for what rows are looked up in"
                                                                      : "no INT4 for convolutions"};
      if (beforeRouter)
        weights[it->second]->widen(
            {WideReason::router, "what it makes reaches a router: rounded to INT4 it would change what is chosen"});
      uses.push_back({op, operand.getOperandNumber(), it->second, beforeRouter});
      nodes = &weights[it->second]->nodes;
    }
    forEachNode(op->getLoc(), [&](StringRef node) { nodes->insert(node); });
  }

  /// How a product's weight is stored first, unless it would be larger for it.
  std::optional<BlockFormat> blocksOf(Int8Place &place, bool perColumn) {
    BlockFormat blocks =
        BlockFormat{format.bits, format.group, true, format.fp8, perColumn}.fitting(place.layout->length);
    int64_t before = place.constant.contents().size() / place.layout->blocks();
    if (int64_t after = blocks.panelBytes(place.layout->length); after >= before) {
      place.kept = KeptWide{WideReason::small, llvm::formatv("too small: a depth of {0} would take {1} bytes for {2}",
                                                             place.layout->length, after, before)};
      return std::nullopt;
    }
    return blocks;
  }

  void addMoments(func::FuncOp func) {
    llvm::DenseMap<Operation *, ArrayRef<float>> sums;
    forEachProduct(func, [&](MatmulOp op, unsigned number) {
      if (auto there = moments->find(number); there != moments->end())
        sums[op] = there->second;
    });
    for (const Use &use : uses)
      if (auto there = sums.find(use.op); there != sums.end() && use.operand < firstBodyOperand(use.op))
        weights[use.weight]->addMoments(there->second);
  }

  void findTies() {
    for (const auto &table : weights)
      for (const auto &product : weights)
        if (table->place.isTable && !table->tied && product->blocks && product->layout.groups == 1 &&
            areTied(table->constant, product->constant))
          table->tied = product.get();
  }

  /// One line for all of them: a network of noise would make as many as it has weights.
  void warnOfLosses(func::FuncOp func) {
    warnOfLosses(func, 4, [](const QuantizedWeight &w) { return w.lessSignalToNoise; });
    warnOfLosses(func, 8, [](const QuantizedWeight &w) {
      bool low = w.kept && w.kept->reason == WideReason::lowSignalToNoise;
      return low ? std::optional(w.signalToNoise()) : std::nullopt;
    });
  }

  void warnOfLosses(func::FuncOp func, unsigned bits,
                    function_ref<std::optional<double>(const QuantizedWeight &)> lossOf) {
    QuantizedWeight *worst = nullptr;
    double least = 0;
    size_t count = 0;
    for (const auto &weight : weights)
      if (std::optional<double> loss = lossOf(*weight)) {
        ++count;
        if (!worst || *loss < least)
          worst = weight.get(), least = *loss;
      }
    if (!worst)
      return;
    const char *words = bits == 4 ? (count == 1 ? " weight is not INT4" : " weights are not INT4")
                                  : (count == 1 ? " weight stays as it is" : " weights stay as they are");
    emitWarning(UnknownLoc::get(func.getContext()))
        << count << words << " because " << (bits == 4 ? "that" : worst->formatName()) << " would leave less than "
        << llvm::formatv("{0:f1}", leastSignalToNoise(bits, minSignalToNoise)).str()
        << " dB of signal to noise, the worst '" << worst->constant.getName().value_or("") << "' with "
        << llvm::formatv("{0:f1}", least).str();
  }

  /// Those that nothing reads are not stored.
  void countConstants(func::FuncOp func) {
    llvm::DenseSet<const void *> listed, seen;
    for (const auto &weight : weights)
      listed.insert(weight->constant.contents().identity());
    for (auto &[constant, entry] : wide)
      listed.insert(entry.place.constant.contents().identity());
    uint64_t all = 0, others = 0;
    func.walk([&](ConstantOp op) {
      ConstantBytes bytes = op.contents();
      if (op.use_empty() || !seen.insert(bytes.identity()).second)
        return;
      all += bytes.size();
      others += listed.contains(bytes.identity()) ? 0 : bytes.size();
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
    w.bytesBefore = constant.contents().size();
    w.data = {constant.contents().identity()};
    if (place.kept)
      w.reason = place.kept->reason, w.words = place.kept->words;
    return w;
  }

  void fillReport() {
    std::vector<WeightAccuracy> all;
    for (const auto &weight : weights) {
      WeightAccuracy w = describe(weight->place, weight->nodes);
      const QuantizedWeight &stored = weight->isStoredWithProduct() ? *weight->tied : *weight;
      w.accuracy = stored.accuracy();
      if (stored.kept)
        w.reason = stored.kept->reason, w.words = stored.kept->words;
      else
        stored.describe(w);
      all.push_back(std::move(w));
    }
    for (auto &[constant, entry] : wide)
      all.push_back(describe(entry.place, entry.nodes));
    report->add(std::move(all));
  }

  void replace(const Use &use, QuantizedWeight &weight) {
    if (weight.isStoredWithProduct()) {
      weight.tied->makeConstants();
      return tiedTable(use.op, use.operand - firstBodyOperand(use.op), *weight.tied);
    }
    weight.makeConstants();
    if (use.operand >= firstBodyOperand(use.op))
      table(use.op, use.operand - firstBodyOperand(use.op), weight);
    else if (auto matmul = dyn_cast<MatmulOp>(use.op))
      product(matmul, weight, use.beforeRouter);
    else
      convolution(cast<ConvOp>(use.op), weight);
  }

  void product(MatmulOp op, QuantizedWeight &weight, bool beforeRouter) {
    op.getRhsMutable().assign(weight.values);
    op.setBlocksAttr(weight.blocksAttr());
    op.setInt8Rows(weight.takesInt8Rows() && !beforeRouter);
  }

  void convolution(ConvOp op, QuantizedWeight &weight) {
    op.getWeightsMutable().assign(weight.values);
    scaleAccumulator(op, weight.scales);
  }

  /// A table's body operand, which is read from the blocks of a product.
  void tiedTable(Operation *op, unsigned operand, QuantizedWeight &product) {
    Operation *constant = product.values.getDefiningOp();
    constant->moveBefore(&op->getParentOfType<func::FuncOp>().getBody().front().front());
    SmallVector<ReadOp> reads = readsOf(op, operand);
    setBodyOperand(op, operand, product.values);
    for (ReadOp read : reads) {
      OpBuilder b(read);
      replaceBy(read, readBlocks(b, read.getLoc(), product.blocksAttr(), read.getTensor(), read.getIndices()[0],
                                 read.getIndices()[1]));
    }
  }

  /// A read of a table by its element in single precision.
  static void replaceBy(ReadOp read, Value element) {
    OpBuilder b(read);
    Type old = read.getResult().getType();
    if (old != b.getF32Type())
      element = arith::TruncFOp::create(b, read.getLoc(), old, element);
    read.replaceAllUsesWith(element);
    read.erase();
  }

  /// Body operand `operand`, which is widened where it is read.
  void table(Operation *op, unsigned operand, QuantizedWeight &weight) {
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
      unsigned leading = cast<BlockArgument>(read.getTensor()).getArgNumber() - operand;
      Value tensor = read->getBlock()->getArgument(leading + scale);
      Value value = ReadOp::create(b, read.getLoc(), read.getTensor(), read.getIndices());
      Value s = ReadOp::create(b, read.getLoc(), tensor, read.getIndices().drop_back());
      Value wide = arith::SIToFPOp::create(b, read.getLoc(), b.getF32Type(), value);
      replaceBy(read, arith::MulFOp::create(b, read.getLoc(), wide, s));
    }
  }

  QuantFormat format;
  bool int8Rows; // of products
  NamePatterns excluded;
  std::optional<double> minSignalToNoise;
  AccuracyReport *report;      // null: nobody asks
  const InputMoments *moments; // null: nobody knows
  std::vector<std::unique_ptr<QuantizedWeight>> weights;
  std::map<std::pair<Operation *, Int8Layout>, size_t> numbers; // of weights
  std::vector<Use> uses;
  llvm::MapVector<Operation *, Wide> wide;
};

struct QuantizeWeightsPass : kt::impl::QuantizeWeightsBase<QuantizeWeightsPass> {
  using Base::Base;
  AccuracyReport *report = nullptr;
  const InputMoments *moments = nullptr;

  void runOnOperation() override {
    for (const std::string &pattern : exclude)
      if (std::optional<std::string> wrong = NamePatterns::errorIn(pattern)) {
        getOperation()->emitError("exclude: '" + pattern + "': " + *wrong);
        return signalPassFailure();
      }
    if (bits != 4 && bits != 8) {
      emitError(UnknownLoc::get(&getContext()), "bits: expected 4 or 8 but got ") << bits.getValue();
      return signalPassFailure();
    }
    if (fp8 && bits != 8) {
      emitError(UnknownLoc::get(&getContext()), "fp8: expected 8 bits but got ") << bits.getValue();
      return signalPassFailure();
    }
    if (group < 16 || group > 256 || !llvm::isPowerOf2_64(group)) {
      emitError(UnknownLoc::get(&getContext()), "group: expected a power of two from 16 to 256 but got ")
          << group.getValue();
      return signalPassFailure();
    }
    if (int8Rows && (bits != 8 || fp8)) {
      emitError(UnknownLoc::get(&getContext()), "int8-rows: expected integers of 8 bits but got ")
          << (fp8 ? "fp8" : "4 bits");
      return signalPassFailure();
    }
    std::optional<double> least = minSnr < 0 ? std::nullopt : std::optional<double>(minSnr);
    Quantizer quantizer({bits, group, fp8}, int8Rows, llvm::to_vector(exclude), least, report, moments);
    if (isGraph(getOperation()) && failed(quantizer.run(getOperation())))
      signalPassFailure();
  }
};

} // namespace

std::unique_ptr<Pass> kt::createQuantizeWeights(QuantizeWeightsOptions options, AccuracyReport *report,
                                                const InputMoments *moments) {
  auto pass = std::make_unique<QuantizeWeightsPass>(std::move(options));
  pass->report = report;
  pass->moments = moments;
  return pass;
}
