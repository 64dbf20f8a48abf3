//===- ScheduleKernels.cpp - the candidates that may win ------------------===//
//
// Of all the ways to run a kernel on a target, those stay that some launch of the model may be run fastest by, on a
// card with any usual number of multiprocessors: launches are sampled, costs evaluated, and what hardly gains is
// dropped.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Threading.h"
#include "passes/Analysis/ExprProgram.h"
#include "passes/Passes.h"
#include "passes/Scheduling/Menus.h"

namespace kt {
#define GEN_PASS_DEF_SCHEDULEKERNELS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Cards as they are sold, from small to large.
constexpr int64_t kSmCounts[] = {16, 24, 32, 46, 56, 68, 76, 84, 108, 114, 128, 132, 144, 170, 188, 256};
/// Of the generation of data centres, which runs code for older ones too.
constexpr int64_t kHopperSmCounts[] = {78, 114, 132};

/// Nanoseconds that the model does not tell apart. Of few rows it tells more: a quarter of a microsecond in each of a
/// decoder's products is 5 % of a token.
constexpr int64_t kUnsure = 500, kUnsureOfSteps = 100;

/// Kilobytes of PTX that a candidate is about, as measured: some for each function, three eighths for each mma, as many
/// again for all of a warpgroup's products, a twentieth for each product of a thread's slab on CUDA cores, two and more
/// for each unit that a tile for few rows has on its way, a few for what adds up splits and for a norm that is a stage.
/// One that blocks go on with has several rows in registers at the same time.
int64_t codeOf(CandidateAttr c) {
  int64_t kilobytes = 10;
  if (std::optional<MmaTile> t = mmaTileOf(c))
    kilobytes += t->warpgroups ? 10 : t->mi() * t->ni() * t->bk / 16 * 3 / 8;
  if (std::optional<SimtTile> t = simtTileOf(c, 4))
    kilobytes += t->tm * t->tn * t->bk / 20;
  if (std::optional<GemvTile> t = gemvTileOf(c, WeightForm()))
    kilobytes += t->mma ? 6 + t->rows * t->panels / 8 : t->ahead * (2 + t->rows * t->panels / 16);
  if (c.getConfig().contains("follow"))
    kilobytes += (Follow)configured(c, "follow") == Follow::stage ? 6 : 30;
  return kilobytes + (c.getSplits() || configured(c, "splits") ? 4 : 0);
}

/// The time that a launch may lose for code that is not there, in percent: the more code a kernel has, the more.
int64_t toleratedLoss(int64_t kilobytes) {
  return kilobytes <= 40 ? 3 : kilobytes <= 60 ? 5 : kilobytes <= 80 ? 8 : kilobytes <= 110 ? 11 : 14;
}

/// Whether machines of `target` run code for `older`.
bool runsOlder(StringRef target, StringRef older) {
  return capabilityOf(older) && capabilityOf(older) <= capabilityOf(target) && !isExact(older);
}

/// The candidates of a kernel for one target and what they cost where.
class Contest {
public:
  /// The first `given` of them are there whatever happens: code for an older target.
  Contest(ArrayRef<CandidateAttr> all, size_t given, const KernelLaunches &launches)
      : all(all), given(given), launches(launches) {
    alive.assign(all.size(), true);
    for (CandidateAttr c : all) {
      guards.push_back(c.getGuard() ? (int)program.add(c.getGuard()) : -1);
      costs.push_back(c.getCost() ? (int)program.add(c.getCost()) : -1);
      codes.push_back(codeOf(c));
      forFewRows.push_back(gemvTileOf(c, WeightForm()).has_value());
    }
  }

  void enter(const KernelLaunches::Sample &sample, unsigned capability, int64_t smCount) {
    llvm::StringMap<int64_t> at = sample.first;
    at[fact::kSmCount] = smCount, at[fact::kCapability] = capability;
    at[fact::kSharedPerBlock] = sharedPerBlock(capability), at[fact::kL2Bytes] = 32 << 20;
    program.run(at);
    Row row(all.size(), kNever);
    for (size_t c = 0; c < all.size(); ++c) {
      ExprProgram::Value fits = guards[c] < 0 ? 1 : program[guards[c]];
      ExprProgram::Value cost = costs[c] < 0 ? 0 : program[costs[c]];
      if (fits && *fits)
        row[c] = std::clamp<int64_t>(cost.value_or(kNever - 1), 0, kNever - 1);
    }
    rows.push_back(std::move(row));
  }

  /// Drops, one after the other, what costs least time for its code to be without.
  void prune() {
    while (true) {
      findWinners();
      int64_t code = 0;
      for (size_t c = given; c < all.size(); ++c)
        code += alive[c] ? codes[c] : 0;
      std::optional<size_t> drop;
      double least = 0;
      for (size_t c = given; c < all.size(); ++c) {
        int64_t loss = alive[c] ? lossWithout(c) : kNever;
        if (loss > toleratedLoss(code) * 100)
          continue;
        // Of equals, what is more code goes first, then what comes later.
        double price = (double)(loss + 1) / (double)codes[c];
        if (!drop || price <= least)
          drop = c, least = price;
      }
      if (!drop)
        return;
      alive[*drop] = false;
    }
  }

  /// Leaves the one that takes every launch and does best.
  void keepOne() {
    std::optional<size_t> best;
    int64_t least = 0;
    for (size_t c = 0; c < all.size(); ++c) {
      if (all[c].getGuard() && !launches.always(Expr(all[c].getGuard())))
        continue;
      int64_t total = 0;
      for (const Row &row : rows)
        total += std::min(row[c], kNever / 1024) / (int64_t)std::max<size_t>(1, rows.size());
      if (!best || total < least)
        best = c, least = total;
    }
    for (size_t c = 0; c < all.size(); ++c)
      alive[c] = c == best;
  }

  /// Every launch has to find a way whatever its sizes: samples prove nothing.
  void cover() {
    for (size_t l = 0; l < std::max<size_t>(1, launches.size()); ++l) {
      auto takes = [&](CandidateAttr c) {
        return !c.getGuard() || (!launches.empty() && launches.always(Expr(c.getGuard()), l));
      };
      bool covered = false;
      for (size_t c = 0; c < all.size(); ++c)
        covered |= alive[c] && takes(all[c]);
      for (size_t c = all.size(); c-- > 0 && !covered;)
        if (takes(all[c]))
          covered = alive[c] = true;
    }
  }

  void keep(SmallVectorImpl<Attribute> &to) const {
    for (size_t c = given; c < all.size(); ++c)
      if (alive[c])
        to.push_back(all[c]);
  }

private:
  using Row = SmallVector<int64_t>;
  static constexpr int64_t kNever = INT64_MAX / 4;
  static constexpr size_t kRare = 50; // one in so many samples counts half
  /// Products of few rows are a decoder's steps: a loss there is one in each token.
  static constexpr int64_t kStepsWeigh = 3;

  struct Winners {
    int64_t best = kNever;                   // of all, dropped or not
    int64_t first = kNever, second = kNever; // of those alive
    size_t winner = SIZE_MAX;                // whose `first` is
    bool isStep = false;                     // `best` is for few rows
  };

  /// The two cheapest that are alive, for each sample; all that `lossWithout` asks of the others.
  void findWinners() {
    winners.assign(rows.size(), {});
    for (auto [row, w] : llvm::zip_equal(rows, winners))
      for (size_t c = 0; c < all.size(); ++c) {
        if (row[c] < w.best)
          w.best = row[c], w.isStep = forFewRows[c];
        if (!alive[c] || row[c] >= w.second)
          continue;
        w.second = row[c];
        if (w.second < w.first)
          std::swap(w.first, w.second), w.winner = c;
      }
  }

  /// What sampled launches would lose, in hundredths of a percent of what they take at best: the most, where the few
  /// that lose still more count half. Those are sizes just behind the end of a round, on one card or two.
  int64_t lossWithout(size_t without) const {
    losses.clear();
    for (const Winners &w : winners) {
      if (w.best == kNever)
        continue;
      int64_t left = w.winner == without ? w.second : w.first;
      if (left == kNever)
        return kNever;
      int64_t lost = std::max<int64_t>(0, left - w.best - (w.isStep ? kUnsureOfSteps : kUnsure));
      losses.push_back((int64_t)((double)lost * 10'000.0 / (double)std::max<int64_t>(1, w.best)));
      if (w.isStep)
        losses.back() *= kStepsWeigh;
    }
    if (losses.empty())
      return 0;
    auto most = losses.end() - 1 - (ptrdiff_t)(losses.size() / kRare);
    std::nth_element(losses.begin(), most, losses.end());
    return std::max(*most, *std::max_element(most, losses.end()) / 2);
  }

  ArrayRef<CandidateAttr> all;
  size_t given;
  const KernelLaunches &launches;
  ExprProgram program;
  std::vector<int> guards, costs; // places in the program; -1: none
  std::vector<int64_t> codes;     // kilobytes
  std::vector<bool> forFewRows;
  std::vector<Row> rows;        // a sample each
  std::vector<Winners> winners; // of each
  mutable std::vector<int64_t> losses;
  std::vector<bool> alive;
};

struct ScheduleKernelsPass : kt::impl::ScheduleKernelsBase<ScheduleKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    if (!costModel.empty() && !TargetModel::accepts(llvm::to_vector(costModel))) {
      getOperation()->emitError("cost-model: expected seven constants, and nine numbers for each of known cards");
      return signalPassFailure();
    }
    auto bounds = getOperation()->getAttrOfType<DictionaryAttr>("kt.bounds");
    auto kernels = launchesOf(getOperation());
    parallelForEach(&getContext(), kernels, [&](auto &each) {
      auto &[kernel, launches] = each;
      SmallVector<Attribute> kept;
      SmallVector<CandidateAttr> offered;
      std::vector<KernelLaunches::Sample> samples = launches.samples(bounds);
      for (const std::string &target : targets)
        if (target == "host")
          scheduleHost(kernel, launches, kept);
        else
          schedule(kernel, target, launches, samples, offered, kept);
      KernelOp scheduled = kernel;
      scheduled.setCandidatesAttr(ArrayAttr::get(&getContext(), kept));
    });
  }

  void scheduleHost(KernelOp kernel, const KernelLaunches &launches, SmallVectorImpl<Attribute> &kept) {
    Menu menu(kernel, "host", launches, tensorCores);
    menu.fillHost();
    SmallVector<CandidateAttr> all = menu.take();
    // The oldest instruction set runs everywhere; the best one comes first.
    ArrayRef<CandidateAttr> some = all;
    for (CandidateAttr c : variants == Variants::one ? some.take_back() : some)
      kept.push_back(c);
  }

  /// `offered` are the candidates that targets before this one had to choose from.
  void schedule(KernelOp kernel, StringRef target, const KernelLaunches &launches,
                ArrayRef<KernelLaunches::Sample> samples, SmallVectorImpl<CandidateAttr> &offered,
                SmallVectorImpl<Attribute> &kept) {
    std::optional<TargetModel> model = TargetModel::get(target, llvm::to_vector(costModel));
    if (!model)
      return;
    Menu menu(kernel, target, launches, tensorCores);
    menu.fill(*model);
    // Code for an older target runs there too: what that one could have had was decided with it.
    SmallVector<CandidateAttr> all;
    for (Attribute attr : kept)
      if (auto older = cast<CandidateAttr>(attr); runsOlder(target, older.getTarget()))
        all.push_back(older);
    size_t given = all.size();
    // Clusters were not measured on a card: those who ask for all candidates can have them tried there.
    auto isTried = [&](CandidateAttr c) { return variants == Variants::all || !c.getConfig().contains("cluster"); };
    for (CandidateAttr c : menu.take())
      if (isTried(c) && llvm::none_of(offered, [&](CandidateAttr older) {
            return runsOlder(target, older.getTarget()) && older.getPath() == c.getPath() &&
                   older.getConfig() == c.getConfig() && !older.getSplits() == !c.getSplits();
          }))
        all.push_back(c);
    offered.append(all.begin() + given, all.end());
    if (variants == Variants::one && given)
      return;
    Contest contest(all, given, launches);
    if (variants != Variants::all && all.size() > 1) {
      bool exact = isExact(target);
      for (const KernelLaunches::Sample &sample : samples) {
        for (int64_t count : exact ? ArrayRef(kHopperSmCounts) : ArrayRef(kSmCounts))
          contest.enter(sample, model->capability(), count);
        if (model->capability() < 90)
          for (int64_t count : kHopperSmCounts)
            contest.enter(sample, 90, count);
      }
      if (variants == Variants::one) {
        contest.keepOne();
      } else {
        contest.prune();
        contest.cover();
      }
    }
    contest.keep(kept);
  }
};

} // namespace
