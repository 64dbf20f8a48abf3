//===- LaunchSamples.cpp - the sizes that a kernel's launches may have ----===//

#include "passes/Analysis/LaunchSamples.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Analysis/ExprProgram.h"

using namespace mlir;
using namespace kt;

/// Enough for the range of one or two sizes; more of them are drawn from.
static constexpr size_t kMostSamples = 256, kMostOfALaunch = 48;
/// One of so many samples.
static constexpr size_t kSmall = 4;
/// Sizes of which nothing is known: small numbers, powers of two and what lies between.
static constexpr int64_t kUsual[] = {1,   2,   3,   4,   8,   12,   16,   17,   32,   50,   64,   77,    100,   128,
                                     197, 256, 384, 512, 768, 1000, 1024, 1500, 2048, 4096, 9000, 32768, 131072};

Expr KernelLaunches::of(Expr e, size_t launch) const {
  llvm::StringMap<Expr> values;
  for (auto [name, value] :
       llvm::zip(kernel.getParams().getAsRange<StringAttr>(), cast<ArrayAttr>(launches[launch]).getAsRange<ExprAttr>()))
    values[name.getValue()] = value;
  return e.substitute([&](StringRef name) { return values.lookup(name); });
}

bool KernelLaunches::always(Expr condition, size_t launch) const {
  std::optional<int64_t> known = condition.asConstant();
  if (!known)
    known = of(condition, launch).asConstant();
  return known && *known;
}

bool KernelLaunches::always(Expr condition) const {
  if (std::optional<int64_t> known = condition.asConstant())
    return *known;
  for (size_t i = 0; i < launches.size(); ++i)
    if (!always(condition, i))
      return false;
  return !empty();
}

bool KernelLaunches::ever(Expr condition) const {
  if (std::optional<int64_t> known = condition.asConstant())
    return *known;
  for (size_t i = 0; i < launches.size(); ++i)
    if (!of(condition, i).isConstant(0))
      return true;
  return empty();
}

/// Sizes from the usual ones that lie within bounds, and the bounds; `?` numbers may be anything and are taken as
/// sizes.
static SmallVector<int64_t> valuesOf(StringRef symbol, DictionaryAttr bounds) {
  int64_t least = 0, most = INT64_MAX;
  if (auto range = bounds ? bounds.getAs<DenseI64ArrayAttr>(symbol) : DenseI64ArrayAttr(); range && range.size() == 2)
    least = range[0], most = range[1];
  SmallVector<int64_t> values;
  auto add = [&](int64_t v) {
    if (v >= least && v <= most && !llvm::is_contained(values, v))
      values.push_back(v);
  };
  add(std::max<int64_t>(least, 1));
  for (int64_t v : kUsual)
    add(v);
  if (most <= 1 << 20)
    add(most);
  if (values.empty())
    values.push_back(least);
  return values;
}

std::vector<KernelLaunches::Sample> KernelLaunches::samples(DictionaryAttr bounds) const {
  std::vector<Sample> all;
  auto params = llvm::to_vector(kernel.getParams().getAsRange<StringAttr>());
  SmallVector<SmallVector<Expr>> given(std::max<size_t>(1, launches.size()));
  for (auto [i, list] : llvm::enumerate(given))
    for (auto [p, name] : llvm::enumerate(params))
      list.push_back(empty() ? Expr::symbol(kernel.getContext(), name.getValue())
                             : Expr(cast<ExprAttr>(cast<ArrayAttr>(launches[i])[p])));
  size_t each = std::clamp<size_t>(kMostSamples / given.size(), 4, kMostOfALaunch);
  for (auto [number, list] : llvm::enumerate(given)) {
    ExprProgram program;
    SmallVector<unsigned> places;
    llvm::MapVector<StringRef, SmallVector<int64_t>> symbols;
    size_t combinations = 1;
    for (Expr e : list) {
      places.push_back(program.add(e));
      e.forEachSymbol([&](StringRef name) {
        if (symbols.contains(name))
          return;
        combinations = std::min<size_t>(combinations * (symbols[name] = valuesOf(name, bounds)).size(), 1 << 20);
      });
    }
    // All combinations where they are few, else some of them, the same in every compilation: a part of them with the
    // least of all sizes but one, which are a decoder's steps and would hardly be drawn.
    uint64_t random = 1;
    size_t small = combinations > each ? each / kSmall : 0;
    for (size_t s = 0; s < std::min(combinations, each); ++s) {
      llvm::StringMap<int64_t> at, sample;
      size_t rest = s;
      for (auto [i, symbol] : llvm::enumerate(symbols)) {
        auto &[name, values] = symbol;
        size_t pick = rest % values.size();
        rest /= values.size();
        if (s < small) {
          pick = s && (s - 1) % symbols.size() == i ? std::min(1 + (s - 1) / symbols.size(), values.size() - 1) : 0;
        } else if (combinations > each) {
          random = random * 6364136223846793005u + 1442695040888963407u;
          pick = (random >> 33) % values.size();
        }
        at[name] = values[pick];
      }
      program.run(at);
      bool whole = true;
      for (auto [name, place] : llvm::zip(params, places)) {
        ExprProgram::Value v = program[place];
        whole &= v && *v >= 0 && *v < int64_t(1) << 31;
        if (v)
          sample[name.getValue()] = *v;
      }
      if (whole)
        all.push_back({std::move(sample), number});
    }
  }
  return all;
}

llvm::MapVector<KernelOp, KernelLaunches> kt::launchesOf(ModuleOp module) {
  llvm::MapVector<KernelOp, KernelLaunches> all;
  llvm::StringMap<KernelOp> names;
  for (auto kernel : module.getOps<KernelOp>()) {
    all.insert({kernel, KernelLaunches(kernel)});
    names[kernel.getSymName()] = kernel;
  }
  for (auto func : module.getOps<func::FuncOp>())
    func.walk([&](LaunchOp launch) {
      if (KernelOp kernel = names.lookup(launch.getKernel()))
        all.find(kernel)->second.add(launch.getInts());
    });
  return all;
}
