//===- ProductMenus.cpp - tiles for matrix products and convolutions ------===//

#include "dialects/KT/Schedule/Structured.h"
#include "passes/Scheduling/Menus.h"

using namespace mlir;
using namespace kt;

namespace {
/// Less depth than this is not worth sharing.
constexpr int64_t kLeastDepth = 512, kLeastDepthOfSimt = 256;

/// Rows, columns and depth, rows and columns of warps, stages, blocks an SM. The smallest come first: of tiles that
/// cost the same the first runs. Every one assembles without spills (test/run.sh ptxas).
constexpr MmaTile kTiles[] = {
    {16, 64, 128, 1, 4, 4, 1},  {32, 64, 128, 1, 4, 3, 1},  {64, 64, 64, 2, 2, 4, 1},   {128, 64, 64, 2, 2, 4, 1},
    {64, 128, 64, 2, 2, 4, 1},  {128, 128, 64, 2, 2, 3, 1}, {128, 128, 32, 2, 4, 3, 1}, {128, 256, 32, 2, 4, 3, 1},
    {256, 128, 32, 4, 2, 3, 1}, {128, 256, 64, 2, 4, 3, 1}, // cards with 163 KB a block
};
/// Of warpgroups, where the target has them.
constexpr MmaTile kWarpgroupTiles[] = {
    {64, 64, 64, 4, 1, 8, 1, true},   {64, 128, 64, 4, 1, 4, 2, true},  {64, 128, 64, 4, 1, 8, 1, true},
    {128, 128, 64, 8, 1, 3, 2, true}, {128, 128, 64, 8, 1, 6, 1, true}, {64, 256, 64, 4, 1, 5, 1, true},
    {128, 256, 64, 8, 1, 4, 1, true},
};
/// The same tile with warps that copy for its warpgroups.
constexpr MmaTile produced(MmaTile tile) {
  tile.producers = 4;
  return tile;
}
/// Of warpgroups with weights in blocks, 64 columns each. Without warps that copy they take 3 to 20 % longer on an
/// H200, since one warpgroup makes fragments while the other one's are multiplied; of halves and of bytes, whose loops
/// have little else to do, those with them are no faster. Fragments and sums of 256 rows leave no registers for four
/// warps more.
constexpr MmaTile kTurnedTiles[] = {
    produced({32, 128, 64, 1, 8, 12, 1, true}), produced({64, 64, 64, 1, 4, 8, 2, true}),
    produced({64, 128, 64, 1, 8, 11, 1, true}), produced({128, 128, 64, 1, 8, 8, 1, true}),
    {256, 128, 64, 1, 8, 4, 1, true},
};
/// Of warpgroups with weights of integers, 64 columns each; as many bytes deep as all others. Where there is little
/// depth most of the time goes into what becomes of the sums: several blocks on a multiprocessor do that at once.
constexpr MmaTile kIntegerTiles[] = {
    {32, 128, 64, 1, 8, 8, 1, true},  {64, 64, 64, 1, 4, 6, 2, true},   {64, 64, 64, 1, 4, 3, 4, true},
    {64, 128, 64, 1, 8, 4, 2, true},  {64, 128, 64, 1, 8, 8, 1, true},  {128, 64, 64, 1, 4, 3, 3, true},
    {128, 128, 64, 1, 8, 3, 2, true}, {128, 128, 64, 1, 8, 6, 1, true}, {256, 64, 64, 1, 4, 5, 1, true},
    {256, 128, 64, 1, 8, 4, 1, true},
};
/// Of convolutions, whose threads keep where their rows lie in the image: few rows each, and shallow slabs.
constexpr MmaTile kConvTiles[] = {{64, 64, 32, 2, 2, 4, 0}, {128, 64, 32, 2, 2, 4, 2}, {128, 128, 32, 2, 2, 3, 1}};
/// Of operands that come an element at a time.
constexpr MmaTile kPlainTile{64, 64, 32, 2, 2, 2, 1}, kElementsTile{64, 64, 32, 2, 2, 4, 0};

/// Of few rows: rows, panels, warps, slots or units ahead.
///
/// On tensor cores what a multiprocessor has on its way decides: of a list the first ring that its shared memory has
/// room for is the one, if there is one, for more rows than `above`. Two panels a warp are fewer reads of the left
/// side, one is twice as many blocks. About ten rings were tried in chains on an H200; smaller ones, for other cards,
/// were not. Of what is small the ring with the fewest slots leaves room for the next launch's: both are on a
/// multiprocessor then, and one reads while the other waits for what comes before it.
struct Rings {
  unsigned above;
  GemvTile tiles[3]; // or fewer
};
constexpr Rings kRings[] = {{0, {{4, 2, 16, 5, true}, {4, 2, 8, 5, true}}},
                            {0, {{4, 1, 16, 8, true}}},
                            {0, {{4, 1, 16, 4, true}}},
                            {4, {{8, 2, 8, 10, true}, {8, 2, 8, 4, true}}},
                            {4, {{8, 1, 16, 8, true}, {8, 1, 16, 3, true}}},
                            {8, {{16, 2, 8, 8, true}, {16, 2, 8, 3, true}}},
                            {16, {{32, 2, 8, 5, true}, {32, 2, 4, 5, true}}}};
/// The same where a block makes the rows. One row is what is generated at a time, and its ring leaves room for the one
/// before it; the others' are as deep as there is room beside the rows. Of more than eight a block would be longer at
/// the rows than a launch of their own.
constexpr Rings kKeptRings[] = {{0, {{1, 2, 16, 4, true}, {1, 2, 8, 5, true}}},
                                {1, {{4, 2, 16, 6, true}, {4, 2, 8, 6, true}}},
                                {4, {{8, 2, 8, 10, true}, {8, 2, 8, 6, true}}}};
/// Of weights in blocks, whose units are longer and which take more arithmetic: as many warps as there can be. A row
/// has little of them, and is asked for behind everything that is on its way: two slots are better than more in whole
/// decoders, of 8 bits where a block makes the row, and of fewer bits always.
constexpr Rings kKeptBlockRings[] = {{0, {{1, 2, 16, 2, true}, {1, 2, 8, 3, true}}}, kKeptRings[1], kKeptRings[2]};
constexpr Rings kBlockRings[] = {{0, {{1, 2, 16, 3, true}, {1, 2, 8, 4, true}, {1, 2, 8, 2, true}}},
                                 {0, {{1, 1, 16, 5, true}, {1, 1, 8, 5, true}}},
                                 {1, {{4, 2, 16, 2, true}, {4, 2, 8, 3, true}}},
                                 {4, {{8, 2, 16, 2, true}, {8, 2, 8, 2, true}}},
                                 {8, {{16, 2, 8, 3, true}, {16, 2, 4, 3, true}}},
                                 {16, {{32, 2, 8, 2, true}, {32, 2, 4, 2, true}}}};
constexpr Rings kNarrowRings[] = {{0, {{1, 2, 16, 2, true}, {1, 2, 8, 3, true}, {1, 2, 8, 2, true}}},
                                  {0, {{1, 1, 16, 2, true}, {1, 1, 8, 3, true}}},
                                  kBlockRings[2],
                                  kBlockRings[3],
                                  kBlockRings[4],
                                  kBlockRings[5]};
constexpr GemvTile kGemvCoreTiles[] = {{1, 1, 8, 2}, {4, 1, 8, 2}, {1, 2, 8, 2}, {8, 2, 8, 1}};

/// Left alone, ptxas saves registers for more blocks than few rows have, and spills.
constexpr SimtTile kFew{16, 64, 32, 2, 4, 4}, kLarge{128, 128, 8, 8, 8}, kSmall{64, 64, 16, 4, 4};

/// A stage that widens all weights pays from some rows on, and takes no more memory than this for them.
constexpr int64_t kFewestWidened = 64, kMostWidenedBytes = 1 << 29;

/// So does one that makes integers of all rows.
constexpr int64_t kFewestQuantised = 64, kMostQuantisedBytes = 1 << 30;
/// What lies between two launches that overlap, and a wait for the row and one for its largest magnitude. Not measured.
constexpr int64_t kQuantisingNanoseconds = 1800;

/// A norm's row by threads that do one after the other and wait for memory each time, and a further row at the same
/// time. Until a block knows that it is the last one: an atomic addition; what blocks that share rows wait for one
/// another: the same, and a look at what others added. A norm of its own finds nothing in caches near to it.
constexpr int64_t kRowNanoseconds = 1200, kFurtherRowNanoseconds = 300, kLastNanoseconds = 1000,
                  kSharingNanoseconds = 1800, kStageNanoseconds = 1500, kKeptNanoseconds = 300;
} // namespace

void Menu::products(const Product &p, const CostModel &cost, const TargetModel &model) {
  if (p.left == Product::Left::depthwise)
    return add(path::kDepthwise, makeConfig(context, {}), {}, cost.stream(bytes(), 40));
  gemvProducts(p, cost, model);
  bool elements = p.left == Product::Left::elements;
  // Integers that do not come in whole chunks are left to CUDA cores.
  if (p.onTensorCores() && tensorCores != TensorCorePriority::low &&
      (!elements || (tensorCores == TensorCorePriority::high && p.isHalf())))
    tensorCoreProducts(p, cost, model);
  if (!p.isHalf() || tensorCores != TensorCorePriority::high)
    cudaCoreProducts(p, cost, model);
}

/// `config` with one entry more.
static DictionaryAttr with(DictionaryAttr config, StringRef name, int64_t value) {
  MLIRContext *context = config.getContext();
  SmallVector<NamedAttribute> entries(config.begin(), config.end());
  entries.push_back({StringAttr::get(context, name), IntegerAttr::get(IntegerType::get(context, 64), value)});
  return DictionaryAttr::get(context, entries);
}

NormalizeOp Menu::leftNorm() {
  auto product = dyn_cast<MatmulOp>(kernel.compute());
  return product ? normOfLeft(product) : NormalizeOp();
}

void Menu::addProduct(StringRef path, DictionaryAttr config, const Product &p, const CostModel &cost,
                      const TileShape &tile, Expr guard, const CostModel::ProductCost &expected) {
  Expr time = expected.time, splits = expected.splits;
  if (kernel.computes().size() == 1)
    return add(path, config, guard, time, splits);
  if (NormalizeOp norm = leftNorm()) {
    // A launch of its own, or each block while its first weights are on their way.
    Expr moved = bytesOf(norm), rows = Expr::min(p.m, number(tile.rows));
    int64_t atOnce = followedRows(norm, tile.threads, tile.rows).atOnce;
    return add(path, config, guard,
               time + (config.contains("kept")
                           ? number(kKeptNanoseconds) + Expr::ceilDiv(rows, number(atOnce)) * kFurtherRowNanoseconds
                           : number(kStageNanoseconds) + cost.stream(moved, 80)),
               splits);
  }
  auto norm = cast<NormalizeOp>(kernel.computes()[1]);
  auto following = [&](Follow follow) { return with(config, "follow", (int64_t)follow); };
  Expr moved =
      p.m * p.resultColumns * (2 * elementBytes(cast<SymTensorType>(p.op->getResult(0).getType()).getElementType()));
  if (p.batch.empty()) {
    // The rows of a band of tiles, which all of its blocks share or none.
    Expr rows = Expr::min(p.m, number(tile.rows)), blocks = Expr::ceilDiv(p.n, number(tile.columns));
    auto turns = [&](Expr sharing, std::optional<int64_t> most) {
      FollowedRows plan = followedRows(norm, tile.threads, most);
      int64_t turn = kRowNanoseconds + (plan.each - 1) * kFurtherRowNanoseconds;
      return Expr::ceilDiv(rows, sharing * plan.atOnce) * turn;
    };
    std::optional<int64_t> count = blocks.asConstant(), share;
    if (count)
      share = llvm::divideCeil(tile.rows, *count);
    // Where blocks follow others on a multiprocessor, those wait until these are done with their rows: all of them
    // where blocks share, one or two bands' last blocks else.
    Expr last = turns(number(1), tile.rows) + number(kLastNanoseconds);
    add(path, following(Follow::lastBlock), guard, time + last * Expr::min(expected.turns, number(2)), splits);
    Expr waits = Expr::max(turns(blocks, share), cost.cached(moved)) + number(kSharingNanoseconds);
    add(path, following(Follow::sharing), guard, time + waits * expected.turns, splits);
  }
  add(path, following(Follow::stage), guard, time + number(kStageNanoseconds) + cost.stream(moved, 80), splits);
}

/// As deep a ring as there is room for beside the left side's rows, if that is deep enough.
static std::optional<GemvTile> keepingRows(GemvTile tile, const Product &p, int64_t shared) {
  unsigned most = tile.ahead;
  tile.kept = *p.k.asConstant();
  for (; tile.ahead * 2 > most; --tile.ahead)
    if (std::optional<GemvTile> found = GemvTile::get(tile, p.weightForm(), shared))
      return found;
  return std::nullopt;
}

void Menu::gemvProducts(const Product &p, const CostModel &cost, const TargetModel &model) {
  WeightForm form = p.weightForm();
  unsigned bytes = form.bytes;
  bool floats = isa<FloatType>(p.lhsType) && elementBytes(p.lhsType) <= 4;
  bool weights = p.blocks || p.rhsType.isInteger(8) || (isa<FloatType>(p.rhsType) && (bytes == 2 || bytes == 4));
  if (!p.packed || p.left != Product::Left::strided || !p.accType.isF32() || !floats || !weights)
    return;
  // For more rows than `above`.
  auto tryTile = [&](const GemvTile &wanted, Expr guard, unsigned above) {
    std::optional<GemvTile> tile = GemvTile::get(wanted, form, model.sharedPerBlock());
    Expr few = Expr::lt(p.m, number(wanted.rows + 1));
    if (above)
      few = allOf({Expr::lt(number(above), p.m), few});
    // Parts have their panels by turns: a block has all of a column's.
    if (!tile || tile->panels % p.parts != 0)
      return;
    if (tile->sharedBytes() > sharedPerBlock(0))
      guard = allOf({guard, Expr::lt(number(tile->sharedBytes() - 1), Expr::symbol(context, fact::kSharedPerBlock))});
    // For up to eight rows there are rings of few columns instead.
    bool deep = p.canSplit(kLeastDepth) && tile->panels <= 2 && (tile->mma ? tile->rows > 8 : tile->warps == 8);
    // Of rows that a block makes it makes all.
    for (bool mayShare : {false, true})
      if (!mayShare || (deep && !tile->kept))
        addProduct(path::kGemv, gemvConfig(context, *tile), p, cost, {tile->rows, tile->columns(), tile->threads()},
                   allOf({guard, few}), cost.product(p, *tile, mayShare));
  };
  Alignment copies;
  bool tensor = p.isHalf() && tensorCores == TensorCorePriority::high,
       aligned = tensor && p.canAlign(copies) && copies.multiple(p.k);
  Expr copied = copies.condition(context);
  if (aligned && launches.ever(copied)) {
    if (leftNorm())
      for (const Rings &rings : p.blocks ? kKeptBlockRings : kKeptRings)
        for (const GemvTile &tile : rings.tiles)
          if (std::optional<GemvTile> kept = keepingRows(tile, p, model.sharedPerBlock())) {
            tryTile(*kept, copied, rings.above);
            break;
          }
    ArrayRef<Rings> lists = !p.blocks       ? ArrayRef(kRings)
                            : form.bits < 8 ? ArrayRef(kNarrowRings)
                                            : ArrayRef(kBlockRings);
    for (const Rings &rings : lists)
      for (const GemvTile &tile : rings.tiles)
        if (GemvTile::get(tile, form, model.sharedPerBlock())) {
          tryTile(tile, copied, rings.above);
          break;
        }
  }
  if (!aligned || !launches.always(copied))
    for (const GemvTile &tile : kGemvCoreTiles)
      tryTile(tile, number(1), 0);
}

void Menu::tensorCoreProducts(const Product &given, const CostModel &cost, const TargetModel &model) {
  bool everywhere = tensorCores == TensorCorePriority::high, deep = given.canSplit(kLeastDepth);
  Expr many = everywhere ? number(1) : Expr::lt(number(16), given.m);
  auto tryTile = [&](const Product &p, MmaTile wanted, bool async, Expr guard, unsigned lanes, bool mayShare) {
    // The same bytes hold twice the depth of integers. Left alone, ptxas saves registers for a fifth block of a first
    // convolution's many taps, and spills.
    if (p.isInt8())
      wanted.bk *= 2, wanted.elementBytes = 1, wanted.minCtas = wanted.minCtas ? wanted.minCtas : 4;
    if (p.blocks)
      wanted.form = p.weightForm();
    std::optional<MmaTile> tile = MmaTile::get(wanted, model.sharedPerBlock());
    // Beside 128 sums a thread has no registers for the scales of its rows, nor beside 64 where blocks share them.
    if (!tile || (p.quantised && tile->mi() * tile->ni() * 4 >= (tile->minCtas > 1 ? 64u : 128u)))
      return;
    bool widened = p.blocks != given.blocks;
    // Newer cards of another kind may have less: what the target's own has is not what the run meets.
    int64_t shared = tile->sharedBytes();
    if (shared > sharedPerBlock(0))
      guard = allOf({guard, Expr::lt(number(shared - 1), Expr::symbol(context, fact::kSharedPerBlock))});
    CostModel::ProductCost expected = cost.product(p, *tile, async, lanes, mayShare);
    DictionaryAttr config = makeConfig(context, *tile, async);
    if (widened) {
      expected.time = expected.time + number(kStageNanoseconds) + cost.stream(given.rightBytes() + p.rightBytes(), 100);
      config = with(config, "widened", 1);
    }
    if (p.quantised) {
      // Halves in, which the launch before has left in the second-level cache, and integers out.
      expected.time = expected.time + number(kQuantisingNanoseconds) + cost.cached(p.m * p.k * 3);
      config = with(config, "int8_rows", 1);
    }
    addProduct(tile->warpgroups ? path::kWgmma : path::kMma, config, p, cost, {tile->bm, tile->bn, tile->threads()},
               guard, expected);
  };
  const Product &p = given;
  Alignment copies;
  bool aligned = p.canAlign(copies);
  Expr copied = copies.condition(context);
  // The epilogue's vectors.
  auto stores = [&](Alignment &a, unsigned want) {
    unsigned lanes = p.storeLanes(a, want);
    if (lanes > 1)
      BodyLanes(*p.epilogue, p.parts).assumeAligned(p.columnIndex(), a);
    return lanes;
  };
  if (aligned && launches.ever(copied))
    for (const Level &level : levels(8, stores)) {
      ArrayRef<MmaTile> tiles = p.left == Product::Left::strided  ? ArrayRef(kTiles)
                                : p.left == Product::Left::chunks ? ArrayRef(kConvTiles)
                                                                  : ArrayRef(kElementsTile);
      SmallVector<MmaTile> all(tiles);
      // A warpgroup reads columns of its right side from panels only.
      bool warpgroups = isExact(target) && model.capability() == 90 && p.left != Product::Left::elements &&
                        (p.packed || (p.isHalf() && p.rhsK.isConstant(1)));
      auto tryAll = [&](const Product &p, ArrayRef<MmaTile> tiles, Expr guard) {
        for (const MmaTile &tile : tiles) {
          tryTile(p, tile, true, guard, level.lanes, false);
          // Where tiles as large as the last ones are few, smaller ones fill the device without adding up.
          if (deep && tile.bm * tile.bn <= 128 * 128)
            tryTile(p, tile, true, guard, level.lanes, true);
        }
      };
      Expr guard = allOf({copied, level.guard, many});
      // Of blocks the others are slower throughout: a warp makes fragments between its products there.
      if (!warpgroups || !p.blocks)
        tryAll(p, tiles, guard);
      if (warpgroups)
        tryAll(p,
               p.blocks     ? ArrayRef(kTurnedTiles)
               : p.isInt8() ? ArrayRef(kIntegerTiles)
                            : ArrayRef(kWarpgroupTiles),
               guard);
      // Of many rows a stage widens all weights first, where their halves are no more than a part of a card's memory.
      if (p.blocks && p.batch.empty()) {
        Product widened = p.widened();
        guard = allOf(
            {guard, Expr::lt(number(kFewestWidened), p.m), Expr::lt(widened.rightBytes(), number(kMostWidenedBytes))});
        tryAll(widened, tiles, guard);
        if (warpgroups)
          tryAll(widened, kWarpgroupTiles, guard);
      }
      Product quantised = p.withQuantisedRows();
      Alignment windows;
      if (p.int8Rows && p.batch.empty() && quantised.canAlign(windows)) {
        guard = allOf({copied, windows.condition(context), level.guard, many, Expr::lt(number(kFewestQuantised), p.m),
                       Expr::lt(p.m * p.k, number(kMostQuantisedBytes))});
        tryAll(quantised, tiles, guard);
        if (warpgroups)
          tryAll(quantised, kIntegerTiles, guard);
      }
    }
  // Whatever the guards above leave: rows that are not aligned to 16 bytes.
  if (everywhere && p.isHalf() && p.left == Product::Left::strided && !(aligned && launches.always(copied)))
    tryTile(p, kPlainTile, false, number(1), 1, false);
}

void Menu::cudaCoreProducts(const Product &p, const CostModel &cost, const TargetModel &model) {
  unsigned accBytes = elementBytes(p.accType);
  bool deep = p.canSplit(kLeastDepthOfSimt);
  auto tryTile = [&](const SimtTile &wanted, bool vectors, Expr guard, unsigned lanes, bool mayShare) {
    std::optional<SimtTile> tile = SimtTile::get(wanted, accBytes, model.sharedPerBlock());
    if (!tile)
      return;
    addProduct(path::kSimt, makeConfig(context, *tile, vectors), p, cost, {tile->bm, tile->bn, tile->threads()}, guard,
               cost.product(p, *tile, vectors, lanes, mayShare));
  };
  // Vectors of operands and of results; what cannot be assumed of operands is read an element at a time.
  unsigned lanes = 1;
  auto align = [&](Alignment &a) {
    Alignment loads = a;
    loads.lanes = 4;
    if (p.left == Product::Left::strided)
      (void)p.vectorLeft(loads);
    if (!p.packed)
      (void)p.vectorRight(loads);
    lanes = p.storeLanes(a, 4);
    if (lanes > 1)
      BodyLanes(*p.epilogue, p.parts).assumeAligned(p.columnIndex(), a);
    return allOf({loads.condition(context), a.condition(context)});
  };
  Alignment assumed;
  Expr guard = align(assumed);
  for (const SimtTile &tile : {kFew, kSmall, kLarge}) {
    if (accBytes == 8 && tile.bm == kLarge.bm) // its accumulators are more than the registers
      continue;
    tryTile(tile, true, guard, lanes, false);
    if (deep && tile.bm != kLarge.bm)
      tryTile(tile, true, guard, lanes, true);
  }
  if (!launches.always(guard))
    tryTile(kSmall, false, {}, 1, false);
}
