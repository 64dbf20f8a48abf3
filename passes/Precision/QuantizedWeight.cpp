//===- QuantizedWeight.cpp - weights on their way to few bits -------------===//

#include "passes/Precision/QuantizedWeight.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kTaskElements = 1 << 16; // or a block, if that is larger: some 30 us of work
/// A weight with a scale a column that has less signal to noise, in decibels, has scales for its groups, and its
/// products' rows are not rounded: about what rows of Gaussian numbers lose is 40.
constexpr double kLeastPerColumn = 30;

using Scratch = SmallVector<char, 0>;

/// A product's weights in blocks, a panel at a time.
class BlockBytes final : public ComputedBytes {
public:
  BlockBytes(ConstantBytes from, FloatFormat format, const Int8Layout &layout, const BlockFormat &blocks,
             std::vector<float> importance)
      : ComputedBytes(layout.blocks() * blocks.panelBytes(layout.length), blocks.panelBytes(layout.length)),
        from(std::move(from)), format(format), layout(layout), blocks(blocks), importance(std::move(importance)) {}

private:
  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    int64_t panel = begin / unit(), fromBytes = from.size() / layout.blocks();
    Scratch scratch;
    RoundingError known;
    quantizePanel(blocks, format, from.read(panel * fromBytes, fromBytes, scratch).data(), layout.length,
                  importance.empty() ? nullptr : importance.data(), out.data(), layout.channelOf(panel), known);
  }

  ConstantBytes from;
  FloatFormat format;
  Int8Layout layout;
  BlockFormat blocks;
  std::vector<float> importance;
};

/// Weights in INT8 with a scale for each channel, a panel or a row at a time.
class Int8Bytes final : public ComputedBytes {
public:
  Int8Bytes(ConstantBytes from, FloatFormat format, const Int8Layout &layout)
      : ComputedBytes(layout.blocks() * layout.blockElements(), layout.blockElements()), from(std::move(from)),
        format(format), layout(layout) {}

private:
  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    int64_t block = begin / unit(), fromBytes = from.size() / layout.blocks();
    Scratch scratch;
    float scales[kInt8Columns];
    RoundingError known;
    quantizeBlock(layout, format, from.read(block * fromBytes, fromBytes, scratch).data(), block, out.data(), scales,
                  known);
  }

  ConstantBytes from;
  FloatFormat format;
  Int8Layout layout;
};

} // namespace

QuantizedWeight::QuantizedWeight(Int8Place &&found, std::optional<BlockFormat> blocks)
    : place(std::move(found)), constant(place.constant), layout(*place.layout), blocks(blocks),
      format(*floatFormatOf(constant.getResult().getType().getElementType())), from(constant.contents()) {}

void QuantizedWeight::begin() {
  error = {};
  scaleOf.resize(blocks ? 0 : layout.scales());
}

void QuantizedWeight::addMoments(ArrayRef<float> sums) {
  double total = 0;
  for (float sum : sums)
    total += sum;
  if (!blocks || (int64_t)sums.size() != layout.length || !(total > 0) || !std::isfinite(total))
    return;
  // Samples do not show all: what is always zero in them counts for a tenth of what there is on average.
  constexpr double kLeast = 0.1;
  importance.resize(sums.size());
  for (auto [k, sum] : llvm::enumerate(sums))
    importance[k] += float(sum / total * (double)sums.size() + kLeast);
}

void QuantizedWeight::widen(KeptWide why) {
  if (!blocks || blocks->bits == 8)
    return;
  QuantFormat wider = QuantFormat::int8();
  blocks = BlockFormat{wider.bits, wider.group}.fitting(layout.length);
  moreBits = std::move(why);
}

void QuantizedWeight::measure(int64_t begin, int64_t end, RoundingError &cost) {
  const float *weights = importance.empty() ? nullptr : importance.data();
  int64_t fromBytes = from.size() / count();
  Scratch scratch, to;
  to.resize_for_overwrite(blocks ? blocks->panelBytes(layout.length) : elements());
  for (int64_t block = begin;
       block < end && finite.load(std::memory_order_relaxed) && scalesFit.load(std::memory_order_relaxed); ++block) {
    const char *bytes = from.read(block * fromBytes, fromBytes, scratch).data();
    int64_t channel = layout.channelOf(block);
    Blocked done = Blocked::done;
    if (blocks)
      done = quantizePanel(*blocks, format, bytes, layout.length, weights, to.data(), channel, cost);
    else if (!quantizeBlock(layout, format, bytes, block, to.data(), scaleOf.data() + channel, cost))
      done = Blocked::notFinite;
    if (done == Blocked::notFinite)
      finite.store(false, std::memory_order_relaxed);
    if (done == Blocked::noScale)
      scalesFit.store(false, std::memory_order_relaxed);
  }
}

bool QuantizedWeight::tryAgain(std::optional<double> asked) {
  unsigned bits = blocks ? blocks->bits : 8;
  double least = leastSignalToNoise(bits, asked);
  if (!finite) {
    kept = KeptWide{WideReason::notFinite, "an element is infinite or not a number"};
  } else if (!scalesFit) {
    scalesFit = true;
    blocks->halfScales = false;
    return true;
  } else if (blocks && blocks->perColumn && signalToNoise() < std::max(kLeastPerColumn, least)) {
    blocks->perColumn = false, blocks->halfScales = true;
    return true;
  } else if (signalToNoise() < least) {
    std::string words =
        llvm::formatv("{0} loses too much: {1:f1} dB, less than {2:f1}", formatName(), signalToNoise(), least);
    if (bits == 8) {
      kept = KeptWide{WideReason::lowSignalToNoise, words};
      return false;
    }
    lessSignalToNoise = signalToNoise();
    widen(KeptWide{WideReason::lowSignalToNoise, words});
    return true;
  }
  return false;
}

std::optional<RoundingLoss> QuantizedWeight::accuracy() const {
  if (!finite)
    return std::nullopt;
  RoundingLoss a{signalToNoise(), std::sqrt(error.square), std::sqrt(error.squareInSteps), error.worstChannel,
                 decibels(error.worstSignal, error.worstNoise)};
  // Parts of a product have scales for whole panels.
  if (place.columns && a.worstChannel >= 0)
    a.worstChannel = a.worstChannel / layout.channels * place.columns + a.worstChannel % layout.channels;
  return a;
}

void QuantizedWeight::describe(WeightAccuracy &w) const {
  w.bits = 8;
  w.form = layout.inRows ? WeightAccuracy::Form::int8PerRow : WeightAccuracy::Form::int8PerChannel;
  if (blocks) {
    w.form = WeightAccuracy::Form::blocks;
    w.bits = blocks->bits, w.fp8 = blocks->fp8, w.group = blocks->group, w.halfScales = blocks->halfScales;
    w.int8Rows = takesInt8Rows();
    w.calibrated = blocks->bits == 4 && !importance.empty();
  }
  if (moreBits)
    w.reason = moreBits->reason, w.words = moreBits->words;
  w.data.clear();
  for (Value v : {values, scales})
    if (v)
      w.data.push_back(v.getDefiningOp<ConstantOp>().contents().identity());
}

BlocksAttr QuantizedWeight::blocksAttr() const {
  Builder b(constant->getContext());
  Type scale = blocks->halfScales ? (Type)b.getF16Type() : b.getF32Type();
  return BlocksAttr::get(b.getContext(), blocks->bits, blocks->group, scale, /*zeros=*/false, blocks->fp8);
}

void QuantizedWeight::makeConstants() {
  if (values)
    return;
  OpBuilder b(constant->getContext());
  b.setInsertionPointAfter(constant);
  StringRef name = constant.getName().value_or("");
  auto size = [&](int64_t v) { return Expr::constant(b.getContext(), v).attr(); };
  if (blocks) {
    auto type = SymTensorType::get(b.getContext(),
                                   {size(count()), size(blocks->groupsOf(layout.length)), size(blocks->blockBytes())},
                                   b.getIntegerType(8, /*isSigned=*/false));
    values = makeConstant(b, constant.getLoc(), type,
                          std::make_shared<BlockBytes>(from, format, layout, *blocks, importance), name);
    return;
  }
  auto type = SymTensorType::get(b.getContext(), constant.getResult().getType().getDims(), b.getIntegerType(8));
  auto scaleType = SymTensorType::get(b.getContext(), {size(layout.scales())}, b.getF32Type());
  values = makeConstant(b, constant.getLoc(), type, std::make_shared<Int8Bytes>(from, format, layout), name);
  auto *raw = reinterpret_cast<const char *>(scaleOf.data());
  scales = makeConstant(b, constant.getLoc(), scaleType, std::vector<char>(raw, raw + scaleOf.size() * sizeof(float)),
                        name.empty() ? "" : (name + ".scale").str());
}

/// Once each.
static void quantizeOnce(MLIRContext *context, ArrayRef<QuantizedWeight *> weights) {
  struct Task {
    QuantizedWeight *weight;
    int64_t begin, end;
    RoundingError cost;
  };
  std::vector<Task> tasks;
  for (QuantizedWeight *weight : weights) {
    weight->begin();
    int64_t blocks = weight->count();
    int64_t step = std::max<int64_t>(kTaskElements / weight->elements(), 1);
    for (int64_t begin = 0; begin < blocks; begin += step)
      tasks.push_back({weight, begin, std::min(begin + step, blocks), {}});
  }
  parallelForEach(context, tasks, [](Task &task) {
    RoundingError cost; // not where other threads' are, a row or a panel at a time
    task.weight->measure(task.begin, task.end, cost);
    task.cost = cost;
  });
  for (const Task &task : tasks)
    task.weight->error.add(task.cost);
}

void kt::quantizeAll(MLIRContext *context, SmallVector<QuantizedWeight *> weights,
                     std::optional<double> minSignalToNoise) {
  while (!weights.empty()) {
    quantizeOnce(context, weights);
    llvm::erase_if(weights, [&](QuantizedWeight *w) { return !w->tryAgain(minSignalToNoise); });
  }
}
