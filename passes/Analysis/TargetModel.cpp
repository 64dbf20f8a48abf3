//===- TargetModel.cpp - how fast a target's machines are -----------------===//

#include "passes/Analysis/TargetModel.h"

using namespace mlir;
using namespace kt;

/// By capability. 90 is fitted to kernels measured on an H200 of 132 multiprocessors (test/bench/README.md). The others
/// are published figures; `latency` and `step` are 90's, scaled by clocks.
static constexpr CardModel kCards[] = {
    // capability, mma, fma, shared, l2, dram, latency, step, wgmma, shared an SM, threads an SM
    {80, 2890, 180, 180, 40, 18, 560'000, 28'000, 1, 164 * 1024, 2048},
    {86, 870, 430, 217, 30, 11, 480'000, 24'000, 1, 100 * 1024, 1536},
    {89, 1290, 640, 322, 40, 8, 480'000, 18'000, 1, 100 * 1024, 1536},
    {90, 4886, 500, 224, 90, 28, 640'000, 23'000, 7000, 228 * 1024, 2048},
    {120, 1230, 610, 307, 40, 10, 480'000, 18'000, 1, 100 * 1024, 1536},
};

int64_t CardModel::resident(int64_t sharedBytes, unsigned threads, unsigned registers) const {
  int64_t blocks = std::min<int64_t>(threadsPerSm / threads, 64 * 1024 / (registers * threads));
  if (sharedBytes)
    blocks = std::min(blocks, sharedPerSm / (sharedBytes + 1024)); // 1 KB a block is the driver's
  return std::clamp<int64_t>(blocks, 1, 16);
}

/// What a file of numbers may change of a card, in its order.
static std::array<int64_t *, TargetModel::kRates - 1> ratesOf(CardModel &card) {
  return {&card.mma, &card.fma, &card.shared, &card.l2, &card.dram, &card.latency, &card.step, &card.wgmma};
}

std::optional<TargetModel> TargetModel::get(StringRef target, ArrayRef<int64_t> numbers) {
  TargetModel model;
  model.own = capabilityOf(target);
  if (!model.own)
    return std::nullopt;
  // The generation that the target belongs to is the last one not newer than it.
  const CardModel *first = kCards;
  for (const CardModel &card : kCards)
    if (card.capability <= model.own)
      first = &card;
  model.models.assign(first, isExact(target) ? first + 1 : std::end(kCards));
  if (numbers.empty())
    return model;
  model.general = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]};
  for (ArrayRef<int64_t> rest = numbers.drop_front(kConstants); !rest.empty(); rest = rest.drop_front(kRates))
    for (CardModel &card : model.models)
      if (card.capability == rest[0])
        for (auto [field, value] : llvm::zip(ratesOf(card), rest.slice(1, kRates - 1)))
          *field = value;
  return model;
}

bool TargetModel::accepts(ArrayRef<int64_t> numbers) {
  constexpr int64_t kMost = 100'000'000;
  if (numbers.size() < kConstants || (numbers.size() - kConstants) % kRates != 0)
    return false;
  for (int64_t n : numbers)
    if (n < 0 || n > kMost)
      return false;
  for (size_t i = kConstants; i < numbers.size(); i += kRates) {
    if (llvm::none_of(kCards, [&](const CardModel &card) { return card.capability == numbers[i]; }))
      return false;
    // Rates are divided by.
    if (llvm::is_contained(numbers.slice(i, kRates), 0))
      return false;
  }
  return true;
}

SmallVector<int64_t> TargetModel::builtIn() {
  CostConstants c;
  SmallVector<int64_t> numbers{c.launch, c.arrival, c.barrier, c.overlap, c.between, c.hidden, c.left};
  for (CardModel card : kCards) {
    numbers.push_back(card.capability);
    for (int64_t *field : ratesOf(card))
      numbers.push_back(*field);
  }
  return numbers;
}

Expr TargetModel::pick(MLIRContext *context, function_ref<int64_t(const CardModel &)> of) const {
  Expr capability = Expr::symbol(context, fact::kCapability), value;
  for (size_t i = models.size(); i-- > 0;) {
    Expr here = Expr::constant(context, of(models[i]));
    value = value ? Expr::select(Expr::lt(capability, Expr::constant(context, models[i + 1].capability)), here, value)
                  : here;
  }
  return value;
}
