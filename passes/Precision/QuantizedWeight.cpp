//===- QuantizedWeight.cpp - weights on their way to few bits -------------===//

#include "passes/Precision/QuantizedWeight.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <sys/mman.h>

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kTaskElements = 1 << 16; // or a block, if that is larger: some 30 us of work
constexpr size_t kLargePage = 2 << 20;
constexpr uintptr_t kPage = 4096;

/// Memory that the threads touch first: a vector would be filled with zeros by one. In large pages where the system has
/// them, since faults of small ones take as long as the arithmetic.
AsmResourceBlob allocateUntouched(size_t size) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, alignof(std::max_align_t));
#ifdef MADV_HUGEPAGE
  uintptr_t data = reinterpret_cast<uintptr_t>(blob.getData().data());
  uintptr_t begin = llvm::alignTo(data, kPage), end = (data + size) / kPage * kPage;
  if (size >= kLargePage)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE); // a hint, which may be refused
#endif
  return blob;
}

} // namespace

QuantizedWeight::QuantizedWeight(Int8Place &&found, std::optional<BlockFormat> blocks)
    : place(std::move(found)), constant(place.constant), layout(*place.layout), blocks(blocks),
      format(*floatFormatOf(constant.getResult().getType().getElementType())) {}

void QuantizedWeight::begin() {
  error = {};
  if (blocks) {
    bytes = allocateUntouched(count() * blocks->panelBytes(layout.length));
    return;
  }
  bytes = allocateUntouched(count() * elements());
  scaleBytes = allocateUntouched(layout.scales() * sizeof(float));
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

void QuantizedWeight::quantize(int64_t begin, int64_t end, RoundingError &cost) {
  ArrayRef<char> from = constant.bytes();
  char *to = bytes.getMutableData().data();
  if (!blocks) {
    auto *scale = reinterpret_cast<float *>(scaleBytes.getMutableData().data());
    for (int64_t block = begin; block < end && finite.load(std::memory_order_relaxed); ++block)
      if (!quantizeBlock(layout, format, from.data(), block, to, scale, cost))
        finite.store(false, std::memory_order_relaxed);
    return;
  }
  const float *weights = importance.empty() ? nullptr : importance.data();
  int64_t panelBytes = blocks->panelBytes(layout.length), fromBytes = from.size() / count();
  for (int64_t panel = begin;
       panel < end && finite.load(std::memory_order_relaxed) && scalesFit.load(std::memory_order_relaxed); ++panel) {
    Blocked done = quantizePanel(*blocks, format, from.data() + panel * fromBytes, layout.length, weights,
                                 to + panel * panelBytes, layout.channelOf(panel), cost);
    if (done == Blocked::notFinite)
      finite.store(false, std::memory_order_relaxed);
    if (done == Blocked::noScale)
      scalesFit.store(false, std::memory_order_relaxed);
  }
}

void QuantizedWeight::giveBack() const {
#ifdef MADV_DONTNEED
  // The blob lives as long as the context does, and what it was made of may be in it, too: pages are taken out of it.
  ArrayRef<char> old = ConstantOp(constant).bytes();
  uintptr_t data = reinterpret_cast<uintptr_t>(old.data());
  uintptr_t begin = llvm::alignTo(data, kPage), end = (data + old.size()) / kPage * kPage;
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED); // a hint, which may be refused
#endif
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
    w.calibrated = blocks->bits == 4 && !importance.empty();
  }
  if (moreBits)
    w.reason = moreBits->reason, w.words = moreBits->words;
  w.data.clear();
  for (Value v : {values, scales})
    if (v)
      w.data.push_back(v.getDefiningOp<ConstantOp>().bytes().data());
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
    values = makeConstant(b, constant.getLoc(), type, std::move(bytes), name);
    return;
  }
  auto type = SymTensorType::get(b.getContext(), constant.getResult().getType().getDims(), b.getIntegerType(8));
  auto scaleType = SymTensorType::get(b.getContext(), {size(layout.scales())}, b.getF32Type());
  values = makeConstant(b, constant.getLoc(), type, std::move(bytes), name);
  scales =
      makeConstant(b, constant.getLoc(), scaleType, std::move(scaleBytes), name.empty() ? "" : (name + ".scale").str());
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
    task.weight->quantize(task.begin, task.end, cost);
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
