//===- Menus.cpp - all the ways to run a computation on a target ----------===//

#include "passes/Scheduling/Menus.h"
#include "dialects/KT/Schedule/Structured.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kt;

Menu::Menu(KernelOp kernel, StringRef target, const KernelLaunches &launches, TensorCorePriority tensorCores)
    : kernel(kernel), context(kernel.getContext()), target(StringAttr::get(context, target)), launches(launches),
      tensorCores(tensorCores) {}

void Menu::add(StringRef path, DictionaryAttr config, Expr guard, Expr cost, Expr splits) {
  // What has too many parts to be said cannot be asked either. Blocks share a tile's work only where that is known to
  // pay: the same tile is there for blocks that do not.
  if ((guard && (guard.poison() || !launches.ever(guard))) || (splits && (splits.poison() || cost.poison())))
    return;
  auto attr = [](Expr e) { return e && !e.poison() ? e.attr() : ExprAttr(); };
  // Without a cost a candidate counts as free.
  if (guard && guard.isConstant(1))
    guard = Expr();
  candidates.push_back(CandidateAttr::get(context, target, StringAttr::get(context, path), config, attr(splits),
                                          attr(guard), attr(cost)));
}

Expr Menu::bytesOf(TypeRange types) {
  Expr all = number(0);
  for (Type type : types) {
    auto tensor = cast<SymTensorType>(type);
    all = all + tensor.numElements() * tensor.elementBytes();
  }
  return all;
}

Expr Menu::bytes() {
  return bytesOf(kernel.getBody().getArgumentTypes()) +
         bytesOf(kernel.getBody().front().getTerminator()->getOperandTypes());
}

SmallVector<Menu::Level> Menu::levels(unsigned most, function_ref<unsigned(Alignment &, unsigned)> align) const {
  SmallVector<Level> all;
  for (unsigned want = most; want > 1; want /= 2) {
    Alignment a;
    unsigned lanes = align(a, want);
    Expr guard = a.condition(context);
    if (lanes < want || !launches.ever(guard))
      continue;
    // What always holds leaves nothing to narrower stores.
    if (launches.always(guard))
      return {{guard, lanes}};
    if (all.empty())
      all.push_back({guard, lanes});
  }
  Alignment provable;
  provable.mayAssume = false;
  unsigned lanes = align(provable, most);
  all.push_back({number(1), lanes});
  return all;
}

//===----------------------------------------------------------------------===//
// Elementwise work, reductions, norms, sorting
//===----------------------------------------------------------------------===//

void Menu::vectored(StringRef path, Config config, function_ref<void(Alignment &)> align, Expr guard, Expr cost,
                    bool fallback) {
  auto with = [&](int64_t vectors) {
    SmallVector<ConfigEntry> entries(config);
    entries.push_back({"vectors", {vectors}});
    return makeConfig(context, entries);
  };
  Alignment a;
  align(a);
  Expr aligned = a.condition(context);
  add(path, with(a.lanes > 1), allOf({guard, aligned}), cost);
  if (fallback && !launches.always(aligned) && !aligned.isConstant(1))
    add(path, with(0), guard, cost * 2);
}

Expr Menu::bytesOf(Operation *op) {
  auto update = dyn_cast<UpdateOp>(op);
  if (!update)
    return bytesOf(op->getOperandTypes()) + bytesOf(op->getResultTypes());
  Expr computed = number(update.getResult().getType().elementBytes() * 2); // read and written
  for (Expr extent : update.window())
    computed = computed * extent;
  return computed;
}

void Menu::elements(Operation *op, const CostModel &cost) {
  SmallVector<Operation *> parts = besideOf(op);
  if (auto generic = dyn_cast<GenericOp>(op); generic && parts.size() == 1 && turnedDimension(generic))
    return add(path::kDirect, makeConfig(context, {}), {}, cost.stream(bytes(), 70));
  Expr computed = number(0), aligned = number(1);
  int64_t vectors = 0;
  for (Operation *part : parts) {
    Alignment a;
    alignElements(part, a);
    computed = computed + bytesOf(part);
    aligned = allOf({aligned, a.condition(context)});
    vectors |= a.lanes > 1;
  }
  Expr time = cost.stream(computed, 80);
  add(path::kFlat, makeConfig(context, {{"vectors", {vectors}}}), aligned, time);
  if (!launches.always(aligned) && !aligned.isConstant(1))
    add(path::kFlat, makeConfig(context, {{"vectors", {0}}}), {}, time * 2);
}

void Menu::reduce(ReduceOp op, const CostModel &cost) {
  Expr outputs = op.getResult().getType().numElements(), length = reducedLength(op), time = cost.stream(bytes(), 80);
  if (!reducesRows(op)) {
    std::optional<int64_t> n = length.asConstant();
    int64_t across = n && *n <= 16 ? 1 : 8;
    return vectored(
        path::kColumns, {{"across", {across}}}, [&](Alignment &a) { alignColumns(op, a); }, number(1), time, true);
  }
  auto align = [&](Alignment &a) { alignRows(op, a); };
  // Few long rows leave most of the device idle: blocks share them, of which the last waits for its counter and the
  // others' results. Short ones are a warp's.
  Expr few = Expr::lt(outputs, number(64)) * Expr::lt(number(16383), length), brief = Expr::lt(length, number(2049));
  constexpr int64_t kShares = 64;
  Alignment a;
  align(a);
  auto turns = [&](int64_t blocks) { return Expr::ceilDiv(length, number(256 * a.lanes * blocks)); };
  vectored(path::kRows, {{"threads", {256}}, {"splits", {kShares}}}, align, few, time + cost.waits(turns(kShares) + 3),
           false);
  vectored(path::kRows, {{"threads", {32}}}, align, brief, time, false);
  vectored(path::kRows, {{"threads", {256}}}, align, number(1), time + cost.waits(turns(1)) + 500, true);
}

void Menu::normalize(NormalizeOp op, const CostModel &cost) {
  // A warp or a block holds a row in registers, the narrowest that can; longer rows are read three times.
  struct Plan {
    int64_t block, threads, held, minCtas;
  };
  Expr length = normalizedLength(op), time = cost.stream(bytes(), 80);
  auto align = [&](Alignment &a) { alignRows(op, a); };
  int64_t later = 0;
  for (Plan plan : {Plan{128, 32, 32, 4}, Plan{256, 256, 16, 0}, Plan{512, 512, 32, 0}, Plan{512, 512, 0, 0}}) {
    Expr fits = plan.held ? Expr::lt(length, number(plan.held * plan.threads + 1)) : number(1);
    vectored(
        path::kRows,
        {{"block", {plan.block}}, {"threads", {plan.threads}}, {"held", {plan.held}}, {"min_ctas", {plan.minCtas}}},
        align, fits, (plan.held ? time : time * 2) + later, false);
    later += 300;
    if (fits.isConstant(1)) // a row of known length takes one of them
      break;
  }
  Alignment a;
  align(a);
  if (!launches.always(a.condition(context)))
    add(path::kRows, makeConfig(context, {{"block", {256}}, {"threads", {256}}, {"held", {0}}, {"vectors", {0}}}), {},
        time * 4);
}

void Menu::sort(SortOp op, const CostModel &cost) {
  SymTensorType type = op.getInput().getType();
  Expr length = type.dim(type.getRank() - 1), time = cost.stream(bytes(), 10);
  for (int64_t capacity : {512, 4096}) {
    Expr fits = Expr::lt(length, number(capacity + 1));
    add(path::kBitonic, makeConfig(context, {{"capacity", {capacity}}}), fits, time + capacity);
    if (fits.isConstant(1))
      return;
  }
  add(path::kDirect, makeConfig(context, {}), {}, time * length + 8192);
}

void Menu::attention(AttentionOp op, const CostModel &cost) {
  FailureOr<AttentionProblem> p = analyzeAttention(op);
  if (failed(p))
    return;
  bool flash = p->isHalf() && p->d <= 256 && p->e <= 256 && tensorCores != TensorCorePriority::low;
  bool everywhere = tensorCores == TensorCorePriority::high;
  // What makes its operands is a launch before, or for few queries each block's business.
  SmallVector<Operation *> makers = makersOf(op).all();
  Expr made = number(0), makersAligned = number(1);
  for (Operation *maker : makers) {
    Alignment a;
    alignElements(maker, a);
    made = made + bytesOf(maker);
    makersAligned = allOf({makersAligned, a.condition(context)});
  }
  Expr before = makers.empty() ? number(0) : cost.stream(made, 80);
  if (flash) {
    Alignment copies;
    bool aligned = p->canAlign(copies);
    Expr guard = allOf({copies.condition(context), makersAligned}),
         many = everywhere ? number(1) : Expr::lt(number(16), p->i);
    auto config = [&](int64_t warps, bool async) {
      return makeConfig(context, {{"warps", {warps}}, {"async", {async}}});
    };
    if (aligned) {
      Expr splits = cost.keySplits(*p, 1), shares = cost.decodeShares(*p);
      Expr few = Expr::lt(p->i, number(kMostDecodeQueries + 1));
      if (!makers.empty()) // without queries there is no block, and windows are made all the same
        few = allOf({few, Expr::lt(number(0), p->i)});
      if (everywhere && p->d <= kMostDecodeWidth && p->e <= kMostDecodeWidth) {
        Expr first = cost.waits(number(makers.empty() ? 0 : 1));
        add(path::kDecode, makeConfig(context, {}), allOf({guard, few}), cost.decode(*p, shares) + first, shares);
        Expr ofCluster = Expr::min(number(kMostClusterShares), shares);
        if (hasClusters(target))
          add(path::kDecode, makeConfig(context, {{"cluster", {1}}}), allOf({guard, few}),
              cost.decodeInCluster(*p, ofCluster) + first, ofCluster);
      }
      if (everywhere)
        add(path::kFlash, config(1, true), allOf({guard, Expr::lt(number(511), p->j)}),
            before + cost.flash(*p, 1, true, splits), splits);
      add(path::kFlash, config(4, true), allOf({guard, many}), before + cost.flash(*p, 4, true, {}));
    }
    if (everywhere && (!aligned || !launches.always(guard)))
      add(path::kFlash, config(4, false), {}, before + cost.flash(*p, 4, false, {}));
  }
  if (!flash || !everywhere)
    add(path::kSimt, makeConfig(context, {}), {}, before + cost.attention(*p));
}

//===----------------------------------------------------------------------===//
// Targets
//===----------------------------------------------------------------------===//

void Menu::fill(const TargetModel &model) {
  CostModel cost(context, model);
  llvm::TypeSwitch<Operation *>(kernel.compute())
      .Case([&](MatmulOp op) { products(analyzeMatmul(op), cost, model); })
      .Case([&](ConvOp op) { products(analyzeConv(op), cost, model); })
      .Case([&](AttentionOp op) { attention(op, cost); })
      .Case([&](ReduceOp op) { reduce(op, cost); })
      .Case([&](NormalizeOp op) { normalize(op, cost); })
      .Case<GenericOp, UpdateOp>([&](Operation *op) { elements(op, cost); })
      .Case([&](SortOp op) { sort(op, cost); })
      .Default([&](Operation *) { add(path::kDirect, makeConfig(context, {}), {}, cost.stream(bytes(), 20)); });
}

void Menu::fillHost() {
  // Wider vectors pay where there is arithmetic; where there is none, the better set is taken and costs the same.
  Expr workers = Expr::max(number(1), Expr::symbol(context, fact::kSmCount)), flops = number(0);
  llvm::TypeSwitch<Operation *>(kernel.compute())
      .Case([&](MatmulOp op) {
        Product p = analyzeMatmul(op);
        flops = p.batches() * p.m * p.n * p.k * 2;
      })
      .Case([&](ConvOp op) {
        Product p = analyzeConv(op);
        flops = p.batches() * p.m * p.n * p.k * 2;
      });
  bool ofBytes = multipliesBytes(kernel.compute());
  struct Level {
    StringRef name;
    int64_t perNanosecond; // additions and multiplications
    bool vnni;
  };
  for (const Level &level : {Level{"host-v4-vnni", 450, true},
                             {"host-v4", 150, false},
                             {"host-v3-vnni", 240, true},
                             {"host-v3", 80, false}}) {
    if (level.vnni && !ofBytes)
      continue;
    target = StringAttr::get(context, level.name);
    Expr cost = Expr::floorDiv(flops, workers * level.perNanosecond) + Expr::floorDiv(bytes(), number(10));
    add(path::kHost, makeConfig(context, {}), {}, cost);
  }
}
