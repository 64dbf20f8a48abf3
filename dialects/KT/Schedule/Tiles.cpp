//===- Tiles.cpp - the tiles that product kernels are built of ------------===//

#include "dialects/KT/Schedule/Tiles.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace kt;

int64_t kt::sharedPerBlock(unsigned capability) {
  if (capability >= 90 && capability < 120)
    return 227 * 1024;
  return capability == 80 || capability == 87 ? 163 * 1024 : 99 * 1024;
}

unsigned kt::capabilityOf(llvm::StringRef target) {
  unsigned capability = 0;
  bool named = target.consume_front("sm_") && !target.consumeInteger(10, capability);
  return named && (target.empty() || target == "a") ? capability : 0;
}

namespace {
constexpr unsigned kThreads = 1024, kRegisters = 64 * 1024, kMostRegisters = 255;

/// Collects the first reason against a tile.
struct Checks {
  std::string reason;
  void require(bool holds, const std::string &otherwise) {
    if (!holds && reason.empty())
      reason = otherwise;
  }
  bool ok(std::string *why) {
    if (why)
      *why = reason;
    return reason.empty();
  }
};

std::string number(int64_t v) { return std::to_string(v); }

void checkThreads(Checks &c, unsigned threads, unsigned minCtas) {
  c.require(threads > 0 && threads <= kThreads, number(threads) + " threads, expected 1 to " + number(kThreads));
  c.require(minCtas <= 32, number(minCtas) + " blocks an SM, expected at most 32");
}

/// Threads take chunks of 16 bytes in turn: `chunks` of them a row of a tile of `rows`.
void checkRows(Checks &c, const char *what, unsigned rows, unsigned chunks, unsigned threads) {
  bool divides = chunks <= threads && threads % chunks == 0 && rows % (threads / chunks) == 0;
  c.require(divides, number(threads) + " threads cannot share the " + number(rows) + " rows of " + number(chunks) +
                         " chunks of " + what);
}

/// The same of panels [columns / 16][bk][units], which threads take a whole number of, or whole shares of one.
void checkPanels(Checks &c, unsigned columns, unsigned bk, unsigned threads, unsigned units) {
  unsigned panel = units * bk, all = columns / 16 * panel;
  bool divides = all % threads == 0 && (threads % panel == 0 || panel % threads == 0);
  c.require(divides, number(threads) + " threads cannot share panels of " + number(panel) + " chunks");
}
} // namespace

std::optional<MmaTile> MmaTile::get(MmaTile t, int64_t shared, std::string *why) {
  Checks c;
  c.require(t.bm && t.bn && t.bk && t.warpRows && t.warpCols, "a size of 0");
  c.require(t.elementBytes == 1 || t.elementBytes == 2,
            "elements of " + number(t.elementBytes) + " bytes, expected 1 or 2");
  c.require(!t.form.bits || ((t.form.bits == 2 || t.form.bits == 4 || t.form.bits == 8) && t.form.group >= 16 &&
                             t.form.group <= 256 && llvm::isPowerOf2_32(t.form.group) && t.form.headerBytes % 16 == 0),
            "blocks of no format");
  c.require(std::max({t.bm, t.bn, t.bk}) <= 1024 && std::max(t.warpRows, t.warpCols) <= 32, "a size beyond 1024");
  if (!c.ok(why))
    return std::nullopt;
  checkThreads(c, t.threads(), t.minCtas);
  // A warp's part is whole fragments, those of the right side in pairs: ldmatrix brings 16 columns.
  c.require(t.bm % (t.warpRows * 16) == 0,
            number(t.bm) + " rows are no whole 16-row fragments of " + number(t.warpRows) + " warps");
  c.require(t.bn % (t.warpCols * 16) == 0,
            number(t.bn) + " columns are no whole 16-column fragments of " + number(t.warpCols) + " warps");
  // Rows of a tile, 64 bytes or more, are swizzled by exclusive or, whose bits must not carry; the last step of a slab
  // copies nothing.
  unsigned least = 64 / t.elementBytes;
  std::string expected = ", expected a power of two from " + number(least);
  c.require(llvm::isPowerOf2_32(t.bk) && t.bk >= least, "slabs of " + number(t.bk) + expected);
  c.require(llvm::isPowerOf2_32(t.bn) && t.bn >= least, number(t.bn) + " columns" + expected);
  unsigned most = t.producers ? 12 : 8;
  c.require(t.stages >= 2 && t.stages <= most, number(t.stages) + " stages, expected 2 to " + number(most));
  if (!c.ok(why))
    return std::nullopt;
  c.require(!t.producers || (t.warpgroups && t.form.bits && t.producers == 4),
            number(t.producers) + " warps that only copy, expected " +
                (t.warpgroups && t.form.bits ? "none or 4" : "none without warpgroups that have weights in blocks"));
  checkRows(c, "the left side", t.bm, t.rowBytes() / 16, t.copying());
  if (t.form.bits) {
    c.require(t.elementBytes == 2 || (t.form.bits == 8 && !t.form.zeros),
              "of weights in blocks those of 8 bits without zero points are multiplied as integers");
    WordOrder order{t.form.bits, t.form.group};
    c.require(t.bk >= order.window(),
              "slabs of " + number(t.bk) + ", expected whole windows of " + number(order.window()) + " weights");
  } else if (t.turned()) {
    checkPanels(c, t.bn, t.bk, t.copying(), 1);
  } else {
    checkRows(c, "the right side", t.bn, t.rowBytes() / 16, t.copying());
    checkRows(c, "a right side of columns", t.bk, t.bn * t.elementBytes / 16, t.copying());
    for (unsigned units = 1; units <= t.elementBytes; ++units) // halves may come from weights of 8 bits
      checkPanels(c, t.bn, t.bk, t.copying(), units);
  }
  // Where a k of integers lies in its tile is said of sixteen.
  c.require(t.elementBytes == 2 || t.form.bits || t.copying() / (t.bn / 16) % 16 == 0,
            number(t.copying()) + " threads take no whole sixteen k's of " + number(t.bn) + " columns at a time");
  if (t.warpgroups) {
    // One instruction takes 64 rows of the left factor, all of the right one and rows of 128 bytes that are swizzled as
    // they lie in the slabs.
    unsigned warps = t.turned() ? t.warpCols : t.warpRows;
    c.require(t.mi() == 1 && warps % 4 == 0 && t.multiplying() == warps * 32,
              t.turned() ? "warpgroups of four warps have 64 columns and all rows"
                         : "warpgroups of four warps have 64 rows and all columns");
    c.require(t.rightRows() <= 256,
              number(t.rightRows()) + (t.turned() ? " rows" : " columns") + " of a warpgroup, expected at most 256");
    unsigned depth = 128 / t.elementBytes;
    c.require(t.bk == depth, "slabs of " + number(t.bk) + " for warpgroups, expected " + number(depth));
    c.require(t.stages >= 3, "a warpgroup reads one slab while the next ones arrive, expected 3 stages or more");
    // Beside the sums a slab's fragments are in registers, or its products wait for one another.
    unsigned wanted = t.registers() + (t.turned() ? t.steps() * 4 : 0), room = kRegisters / t.threads() / 8 * 8;
    c.require(!t.producers || wanted <= room, "about " + number(wanted) + " registers a thread, expected at most " +
                                                  number(room) + " beside warps that only copy");
  }
  unsigned registers = t.registers();
  c.require(registers <= kMostRegisters,
            "about " + number(registers) + " registers a thread, expected at most " + number(kMostRegisters));
  c.require(registers * t.threads() * std::max(1u, t.minCtas) <= kRegisters + kRegisters / 8,
            "about " + number(registers * t.threads()) + " registers a block, for " + number(std::max(1u, t.minCtas)) +
                " blocks an SM of " + number(kRegisters));
  c.require(t.sharedBytes() <= shared,
            number(t.sharedBytes()) + " bytes of shared memory, expected at most " + number(shared));
  return c.ok(why) ? std::optional(t) : std::nullopt;
}

unsigned MmaTile::stagedRows() const {
  if (!turned())
    return 16;
  // As many at a time as the slabs' memory has room for, since all warps wait for one another each time.
  unsigned rows = rightRows();
  while (rows % 32 == 0 && (int64_t)warpRows * rows * stagedPitch() * 4 > stages * slabBytes())
    rows /= 2;
  return rows;
}

int64_t MmaTile::barriersAt() const {
  return std::max<int64_t>(stages * slabBytes(), (int64_t)warpRows * stagedRows() * stagedPitch() * 4);
}

std::string MmaTile::str() const {
  return "tile=" + number(bm) + "x" + number(bn) + "x" + number(bk) + " warps=" + number(warpRows) + "x" +
         number(warpCols) + " stages=" + number(stages) + (warpgroups ? " wgmma" : "") +
         (producers ? " producers=" + number(producers) : "") + (elementBytes == 1 ? " int8" : "") +
         (form.bits ? " int" + number(form.bits) : "");
}

std::optional<SimtTile> SimtTile::get(SimtTile t, unsigned accBytes, int64_t shared, std::string *why) {
  Checks c;
  c.require(t.bm && t.bn && t.bk && t.tm && t.tn, "a size of 0");
  c.require(std::max({t.bm, t.bn, t.bk, t.tm, t.tn}) <= 1024, "a size beyond 1024");
  if (!c.ok(why))
    return std::nullopt;
  c.require(t.bm % t.tm == 0 && t.bn % t.tn == 0, "threads' parts do not divide the tile");
  // Columns are stored four at a time; rows of a thread lie together or in groups of four.
  c.require(t.tn % 4 == 0 && (t.tm < 4 || t.tm % 4 == 0),
            number(t.tm) + "x" + number(t.tn) + " a thread, expected groups of four columns and rows");
  c.require(t.bm % 4 == 0 && t.bn % 4 == 0 && t.bk % 4 == 0, "sides that are no multiples of 4");
  if (!c.ok(why))
    return std::nullopt;
  checkThreads(c, t.threads(), t.minCtas);
  unsigned registers = (t.tm * t.tn + t.tm + t.tn) * std::max(1u, accBytes / 4);
  c.require(registers <= kMostRegisters - 64, "about " + number(registers) + " registers a thread");
  c.require(t.sharedBytes(accBytes) <= shared,
            number(t.sharedBytes(accBytes)) + " bytes of shared memory, expected at most " + number(shared));
  // One pass of the epilogue holds at least a row a thread.
  c.require((int64_t)t.bm / t.tm * (t.bn + 4) * accBytes <= t.sharedBytes(accBytes),
            "shared memory too small for the epilogue");
  return c.ok(why) ? std::optional(t) : std::nullopt;
}

std::string SimtTile::str() const {
  return "tile=" + number(bm) + "x" + number(bn) + "x" + number(bk) + " thread=" + number(tm) + "x" + number(tn);
}

WeightForm WeightForm::of(BlocksAttr blocks) {
  return {0, blocks.getBits(), (unsigned)blocks.getGroup(), (unsigned)blocks.wordsAt(), blocks.getZeros()};
}

std::optional<GemvTile> GemvTile::get(GemvTile t, const WeightForm &form, int64_t shared, std::string *why) {
  Checks c;
  t.form = form;
  c.require(t.rows && t.panels && t.warps && t.ahead, "a size of 0");
  c.require(std::max({t.rows, t.panels, t.ahead}) <= 32, "a size beyond 32");
  if (!c.ok(why))
    return std::nullopt;
  checkThreads(c, t.threads(), 0);
  c.require(llvm::isPowerOf2_32(t.rows), number(t.rows) + " rows, expected a power of two");
  // Eight lanes share the columns of the panels, each at least 4 bytes and at most 16.
  if (t.mma) {
    c.require(form.bytes <= 2, "tensor cores take weights of 1 or 2 bytes, not of " + number(form.bytes));
    c.require(form.bits || t.panels * form.bytes >= 2, "a panel of 8-bit weights is too narrow for a warp");
    c.require(t.ahead >= 2, "a ring of one slot");
    unsigned most = form.bits ? 2 : 4;
    c.require(llvm::isPowerOf2_32(t.panels) && t.panels <= most,
              number(t.panels) + " panels, expected a power of two up to " + number(most));
  }
  c.require(!t.kept || (t.mma && t.warps > 1 && t.kept % 8 == 0 && t.kept <= 1 << 16),
            number(t.kept) + " k's kept, expected a multiple of 8 for several warps on tensor cores");
  unsigned registers = t.registers();
  c.require(registers <= kMostRegisters,
            "about " + number(registers) + " registers a thread, expected at most " + number(kMostRegisters));
  c.require(registers * t.threads() <= kRegisters, "about " + number(registers * t.threads()) + " registers a block");
  c.require(t.sharedBytes() <= shared,
            number(t.sharedBytes()) + " bytes of shared memory, expected at most " + number(shared));
  return c.ok(why) ? std::optional(t) : std::nullopt;
}

int64_t GemvTile::sumBytes() const { return std::max<int64_t>((int64_t)sumPlaces() * sumPlaceBytes(), 4096); }

int64_t GemvTile::sharedBytes() const {
  return sumBytes() + (mma ? (int64_t)warps * ahead * slotBytes() : 0) + keptBytes();
}

unsigned GemvTile::registers() const {
  unsigned fragments = (rows + 7) / 8;
  if (form.bits) {
    // A group's sums beside those of all, and the weights of 32 k's; in registers what is on its way and the left side
    // of a word's k's.
    if (mma)
      return 2 * panels * fragments * 4 + panels * 16 + fragments * 4 + 48;
    return panels * rows * 4 + rows + rows * (32 / form.bits) + panels * ahead * 9 + 48;
  }
  unsigned weights = panels * unit() * 16 * form.bytes / 128;
  if (mma)
    return panels * fragments * 4 + weights + fragments * 4 + 36;
  return panels * rows * 16 / form.bytes + ahead * (weights + rows * form.bytes) + 48;
}

std::string GemvTile::str() const {
  return "gemv rows=" + number(rows) + " panels=" + number(panels) + " warps=" + number(warps) +
         " ahead=" + number(ahead) + (mma ? " mma" : "") + (kept ? " norm" : "");
}
