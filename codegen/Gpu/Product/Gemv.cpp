//===- Gemv.cpp - products of few rows ------------------------------------===//
//
// What such a product takes is the time to read its weights, once, so nothing stands between memory and registers: a
// lane loads its part of a panel's rows of k by up to 16 bytes, units of 32 k's a warp, and several units are on their
// way before the first is multiplied. The warps of a block share the depth; their sums meet in shared memory.
//
// On CUDA cores a lane has 16 bytes of neighbouring columns and multiplies them with one element of each row.
//
// On tensor cores the panels are the left factor and the rows the right one. A fragment of mma.m16n8k16 asks lane
// 4g + t for its rows g and g + 8 and four k's. Which columns are rows g and which k's are the t-th is free as long as
// both factors agree, so lane 4g + t loads, in the i-th of eight loads, the g-th of eight groups of columns of
// k = 4i + t: each panel gives whole lines of 128 bytes. Two loads make pairs of k's of one column. The rows come by
// 16 bytes too, 8 k's a lane, and the four lanes of a row exchange them.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// A block's part of the product: from k `first` on, before `end`, all rows and the columns from panel `panel` on.
struct Part {
  Value weights, left; // of the batch
  Value panel, panels; // the first one, and how many the product has
  Value first, end;
};

/// How a warp multiplies units.
class Units {
public:
  Units(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const Part &part)
      : k(k), p(p), t(t), part(part), lane(k.and_(k.tid(), 31)) {}
  virtual ~Units() = default;
  virtual unsigned sumCount() const = 0;
  /// The unit of the k's from `k0` on: its weights, then the rows' elements; zeros behind the end.
  virtual Values loadWeights(Value k0) = 0;
  virtual Values loadRows(Value k0) = 0;
  Values load(Value k0) {
    Values unit = loadWeights(k0);
    unit.append(loadRows(k0));
    return unit;
  }
  virtual void multiply(ValueRange unit, Values &sums) = 0;
  /// Stores the warp's sums of rows that are there as [row][column] from `place` on.
  virtual void store(ValueRange sums, Value place) = 0;

protected:
  static constexpr unsigned kUnit = GemvTile::kUnit;
  /// Where the panel that is `panel` behind the part's first begins, and where its k's end: before the first where the
  /// product has no such panel.
  std::pair<Value, Value> panelAt(Value panel, unsigned bytes) {
    Value number = k.add(part.panel, panel);
    Value at = k.gep(part.weights, k.mul(k.ext(k.mul(number, k.size(p.k))), kPanel * bytes));
    return {at, k.sel(k.lt(number, part.panels), part.end, k.c(0))};
  }

  KernelBuilder &k;
  const GemmProblem &p;
  const GemvTile &t;
  const Part &part;
  Value lane;
};

/// On CUDA cores, weights of any type.
class CoreUnits : public Units {
public:
  CoreUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const Part &part)
      : Units(k, p, t, part), bytes(elementBytes(p.rhsType)), columns(16 / bytes), deep(kUnit / bytes) {
    column = k.mul(k.rem(lane, bytes), columns), depth = k.div(lane, bytes);
    for (unsigned q = 0; q < t.panels; ++q) {
      auto [at, end] = panelAt(k.c(q), bytes);
      panels.push_back(k.gep(at, k.ext(k.mul(lane, 16))));
      ends.push_back(end);
    }
    for (unsigned r = 0; r < t.rows; ++r) {
      valid.push_back(k.lt(k.c(r), k.size(p.m)));
      rows.push_back(k.at(part.left, rowOffset(k, p, k.c(r)), elementBytes(p.lhsType)));
    }
  }
  unsigned sumCount() const override { return t.panels * t.rows * columns; }

  Values loadWeights(Value k0) override {
    Values unit;
    for (unsigned i = 0; i < bytes; ++i)
      for (unsigned q = 0; q < t.panels; ++q) {
        Value at = k.gep(panels[q], k.ext(k.mul(k.add(k0, i * deep), kPanel * bytes)));
        unit.append(k.loadWhen(k.lt(k.add(k0, k.add(depth, i * deep)), ends[q]), at, k.i32, 4, true));
      }
    return unit;
  }

  Values loadRows(Value k0) override {
    Values unit;
    unsigned leftBytes = elementBytes(p.lhsType);
    for (unsigned i = 0; i < bytes; ++i) {
      Value kk = k.add(k.add(k0, depth), i * deep), there = k.lt(kk, part.end);
      Value offset = k.mul(k.ext(k.mul(kk, k.size(p.lhsK))), leftBytes);
      for (unsigned r = 0; r < t.rows; ++r)
        unit.append(k.loadWhen(k.and_(there, valid[r]), k.gep(rows[r], offset), p.lhsType, 1, false));
    }
    return unit;
  }

  void multiply(ValueRange unit, Values &sums) override {
    ValueRange left = unit.drop_front(bytes * t.panels * 4);
    for (unsigned i = 0; i < bytes; ++i) {
      Values xs;
      for (unsigned r = 0; r < t.rows; ++r)
        xs.push_back(k.convert(left[i * t.rows + r], k.f32));
      for (unsigned q = 0; q < t.panels; ++q)
        for (auto [c, w] : llvm::enumerate(weights(unit.slice((i * t.panels + q) * 4, 4))))
          for (unsigned r = 0; r < t.rows; ++r) {
            Value &sum = sums[(q * t.rows + r) * columns + c];
            sum = k.fma(xs[r], w, sum);
          }
    }
  }

  void store(ValueRange sums, Value place) override {
    for (unsigned q = 0; q < t.panels; ++q) {
      // Lanes that differ in their k's share the adding: at each exchange a lane gives away half of its sums.
      Values mine(sums.slice(q * t.rows * columns, t.rows * columns));
      Value first = k.c(0), stores = k.cBool(true);
      for (unsigned mask = 16; mask >= bytes; mask /= 2) {
        Value upper = k.cmp(Pred::ne, k.and_(lane, mask), 0);
        unsigned half = mine.size() / 2;
        if (half == 0) {
          mine[0] = k.addf(mine[0], k.shuffleXor(mine[0], mask));
          stores = k.and_(stores, k.xor_(upper, k.cBool(true)));
          continue;
        }
        Values kept;
        for (unsigned e = 0; e < half; ++e) {
          Value given = k.sel(upper, mine[e], mine[half + e]), keep = k.sel(upper, mine[half + e], mine[e]);
          kept.push_back(k.addf(keep, k.shuffleXor(given, mask)));
        }
        first = k.add(first, k.sel(upper, k.c(half), k.c(0)));
        mine = kept;
      }
      for (auto [e, sum] : llvm::enumerate(mine)) {
        Value number = k.add(first, e), row = k.div(number, columns);
        Value at = k.add(k.mul(row, t.pitch()), k.add(k.add(column, k.rem(number, columns)), q * kPanel));
        k.ifThen(k.and_(stores, k.lt(row, k.size(p.m))), [&] { k.storeElement(sum, k.at(place, at, 4)); });
      }
    }
  }

private:
  /// A lane's weights of one k in f32.
  Values weights(ValueRange words) {
    Values all;
    for (Value word : words) {
      unsigned each = 4 / bytes;
      Value some = LLVM::BitcastOp::create(k.b, k.loc, k.vec(each, p.rhsType), word);
      for (unsigned e = 0; e < each; ++e)
        all.push_back(k.convert(LLVM::ExtractElementOp::create(k.b, k.loc, some, k.c(e)), k.f32));
    }
    return all;
  }

  unsigned bytes, columns, deep; // columns of a lane, and k's of one load of a warp
  Value column, depth;           // the first of a lane's columns in a panel, and its first k in a unit
  Values panels, ends, rows, valid;
};

/// On tensor cores: rows of a 16-bit type, whose chunks of 8 k's are aligned, and weights of the same or of 8 bits.
class TensorUnits : public Units {
public:
  TensorUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const Part &part) : Units(k, p, t, part) {
    group = k.shr(lane, 2), third = k.and_(lane, 3);
    // Eight groups of lanes have the panels' columns, twice as many each as there are panels.
    bytes = elementBytes(p.rhsType), words = t.panels * bytes / 2;
    unsigned groups = 8 / t.panels;
    auto [at, behind] = panelAt(k.div(group, groups), bytes);
    Value offset = k.add(k.mul(third, kPanel * bytes), k.mul(k.rem(group, groups), words * 4));
    weights = k.gep(at, k.ext(offset)), end = behind;
    for (unsigned r = 0; r < t.rows; r += 8) {
      Value row = k.add(group, r), there = k.lt(row, k.size(p.m));
      // Rows that are not there begin where the first does.
      rows.push_back(k.at(part.left, k.add(rowOffset(k, p, k.sel(there, row, k.c(0))), k.mul(third, 8)), 2));
      rowEnds.push_back(k.sel(there, part.end, k.c(0)));
    }
  }
  unsigned sumCount() const override { return t.rows / 8 * t.panels * 4; }

  Values loadWeights(Value k0) override {
    Values unit;
    Value at = k.gep(weights, k.ext(k.mul(k0, kPanel * bytes)));
    for (unsigned i = 0; i < kLoads; ++i)
      unit.append(k.loadWhen(k.lt(k.add(k0, i / 2 * 8), end), k.gep(at, i * 4 * kPanel * bytes), k.i32, words, true));
    return unit;
  }

  Values loadRows(Value k0) override {
    Values unit;
    for (auto [row, behind] : llvm::zip(rows, rowEnds))
      unit.append(
          k.loadWhen(k.lt(k.add(k0, k.mul(third, 8)), behind), k.gep(row, k.ext(k.shl(k0, 1))), k.i32, 4, false));
    return unit;
  }

  void multiply(ValueRange unit, Values &sums) override {
    SmallVector<Values> left;
    for (unsigned r = 0; r < t.rows / 8; ++r)
      left.push_back(pairsOfRows(unit.slice(kLoads * words + r * 4, 4)));
    for (unsigned step = 0; step < 2; ++step)
      for (unsigned j = 0; j < t.panels; ++j) {
        Values w = pairsOfWeights(unit, step * 2, j);
        w.append(pairsOfWeights(unit, step * 2 + 1, j));
        for (auto [r, x] : llvm::enumerate(left)) {
          unsigned at = (r * t.panels + j) * 4;
          Values now = k.mma(w, ArrayRef(x).slice(step * 2, 2), ArrayRef(sums).slice(at, 4), p.lhsType);
          llvm::copy(now, sums.begin() + at);
        }
      }
  }

  void store(ValueRange sums, Value place) override {
    // Of each fragment a lane has rows 2t and 2t + 1 of columns 2j and 2j + 1 of its group.
    for (unsigned r = 0; r < t.rows / 8; ++r)
      for (unsigned h = 0; h < 2; ++h) {
        Value row = k.add(k.shl(third, 1), r * 8 + h);
        Values columns;
        for (unsigned j = 0; j < t.panels; ++j)
          for (unsigned c = 0; c < 2; ++c)
            columns.push_back(sums[(r * t.panels + j) * 4 + c * 2 + h]);
        k.ifThen(k.lt(row, k.size(p.m)), [&] {
          k.storeElements(columns, k.at(place, k.add(k.mul(row, t.pitch()), k.mul(group, t.panels * 2)), 4));
        });
      }
  }

private:
  static constexpr unsigned kLoads = 8; // of four k's each

  /// Of the lane's columns 2j and 2j + 1, the two k's of loads 2 pair and 2 pair + 1.
  Values pairsOfWeights(ValueRange unit, unsigned pair, unsigned j) {
    unsigned word = j * bytes / 2;
    Value x = unit[2 * pair * words + word], y = unit[(2 * pair + 1) * words + word];
    if (bytes == 1) {
      Value both = k.permute(x, y, j % 2 ? 0x7362 : 0x5140);
      return {widenBytes(k, both, 0, p.lhsType), widenBytes(k, both, 1, p.lhsType)};
    }
    return {k.permute(x, y, 0x5410), k.permute(x, y, 0x7632)};
  }

  /// From 8 neighbouring k's a lane to the pairs that its weights have: k = 8s + t and 8s + t + 4 for s = 0, .., 3.
  Values pairsOfRows(ValueRange eight) {
    Values all; // those of lane t', for t' = 0, .., 3; s is this lane's t
    for (unsigned to = 0; to < 4; ++to)
      all.push_back(k.permute(eight[to / 2], eight[2 + to / 2], to % 2 ? 0x7632 : 0x5410));
    for (unsigned bit : {1, 2}) {
      Value upper = k.cmp(Pred::ne, k.and_(lane, bit), 0);
      for (unsigned to = 0; to < 4; ++to) {
        if (to & bit)
          continue;
        Value got = k.shuffleXor(k.sel(upper, all[to], all[to | bit]), bit);
        Value low = k.sel(upper, got, all[to]), high = k.sel(upper, all[to | bit], got);
        all[to] = low, all[to | bit] = high;
      }
    }
    return all;
  }

  unsigned bytes, words; // of a weight, and in each load
  Value group, third;    // g and t
  Value weights, end;
  Values rows, rowEnds;
};

/// The warp's sums of the block's rounds, a unit for each warp in each. `wait` comes before anything is touched that
/// launches before this one may still use.
Values emitLoop(KernelBuilder &k, const GemvTile &t, Units &units, Value begin, Value rounds,
                function_ref<void()> wait) {
  unsigned step = t.warps * GemvTile::kUnit;
  Value k0 = k.add(begin, k.mul(k.shr(k.tid(), 5), GemvTile::kUnit));
  Values state(units.sumCount(), k.cf(0));
  unsigned size = 0;
  // Nothing that runs writes weights: they are on their way while launches before this one end.
  SmallVector<Values> first;
  for (unsigned a = 0; a < t.ahead; ++a)
    first.push_back(units.loadWeights(k.add(k0, a * step)));
  wait();
  for (unsigned a = 0; a < t.ahead; ++a) {
    first[a].append(units.loadRows(k.add(k0, a * step)));
    size = first[a].size();
    state.append(first[a]);
  }
  state.push_back(k0);
  Values done = k.forLoop(k.c(0), rounds, k.c(t.ahead), state, [&](Value, ValueRange now) -> Values {
    Values sums(now.take_front(units.sumCount())), loaded;
    Value k0 = now.back();
    for (unsigned a = 0; a < t.ahead; ++a) {
      // Registers are free for the next unit when this one is multiplied.
      units.multiply(now.slice(sums.size() + a * size, size), sums);
      loaded.append(units.load(k.add(k0, (t.ahead + a) * step)));
    }
    sums.append(loaded);
    sums.push_back(k.add(k0, t.ahead * step));
    return sums;
  });
  done.resize(units.sumCount());
  return done;
}

/// Adds up the warps' sums of each column and runs the epilogue, or stores the block's share of them.
void emitColumns(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, GemmEpilogue &epilogue,
                 ArrayRef<Value> batch, Value n0, Alignment &alignment, Value partial) {
  unsigned across = t.columns() / p.parts, plane = t.rows * t.pitch() * 4;
  Value total = k.mul(k.min(k.size(p.m), t.rows), across), firstColumn = p.parts == 1 ? n0 : k.div(n0, p.parts);
  k.forLoop(k.tid(), total, k.c(t.threads()), {}, [&](Value at, ValueRange) -> Values {
    Value m = k.div(at, across), own = k.rem(at, across), c = firstPart(k, p, own), n = k.add(firstColumn, own);
    k.ifThen(k.lt(n, k.size(p.resultColumns)), [&] {
      Value from = k.at(k.sptr(k.shared()), k.add(k.mul(m, t.pitch()), c), 4);
      Values sums;
      for (unsigned q = 0; q < p.parts; ++q) {
        Value sum = k.cf(0);
        for (unsigned w = 0; w < t.warps; ++w)
          sum = k.addf(sum, k.load(k.gep(from, w * plane + q * kPanel * 4), k.f32, 4));
        sums.push_back(sum);
      }
      auto store = [&] {
        for (unsigned q = 0; q < p.parts; ++q)
          k.storeElement(sums[q], partialPlace(k, p, partial, m, k.add(k.add(n0, c), q * kPanel)));
      };
      ifSplit(k, partial, store, [&] { epilogue.emit(sums, batch, m, n, alignment); });
    });
    return {};
  });
}

} // namespace

LogicalResult kt::gpu::buildGemv(KernelSink &sink, const GemmProblem &p, StringRef family) {
  std::string why;
  std::optional<GemvTile> tile = gemvTileOf(sink.candidate, elementBytes(p.rhsType), &why);
  if (!tile)
    return p.op->emitError() << "no kernel for " << sink.candidate << ": " << why;
  const GemvTile &t = *tile;
  bool split = (bool)sink.candidate.getSplits();
  TileShape shape{t.rows, t.columns(), t.threads()};
  // Left alone, ptxas saves registers for a second block where many rows leave no room for it, and spills.
  unsigned minCtas = t.rows > 16 ? 1 : 0;
  KernelBuilder k(sink.kernel, sink.entryName(),
                  {t.threads(), minCtas, split, split || followOf(sink, p) != Follow::stage});
  GemmEpilogue epilogue(k, p);
  Alignment alignment = sink.alignment();

  Value pid = k.ctaX(), m0 = k.c(0), first = k.c(0), partial;
  Values batch;
  if (!p.batch.empty()) {
    Value columnTiles = k.size(Expr::ceilDiv(p.n, p.number(t.columns()))), number = k.div(pid, columnTiles);
    pid = k.sub(pid, k.mul(number, columnTiles));
    batch = delinearize(k, number, p.batch);
  }
  unsigned step = t.warps * GemvTile::kUnit;
  Value rounds = k.size(Expr::ceilDiv(p.k, p.number(step)));
  if (split) {
    partial = splitRange(k, p, rounds, first);
    first = k.mul(first, step);
  }
  Value n0 = k.mul(pid, t.columns());
  Part part{factorBase(k, p, 1, batch),
            factorBase(k, p, 0, batch),
            k.mul(pid, t.panels),
            k.shr(k.add(k.size(p.n), 15), 4),
            first,
            k.min(k.add(first, k.mul(rounds, step)), k.size(p.k))};
  std::unique_ptr<Units> units;
  if (t.mma)
    units = std::make_unique<TensorUnits>(k, p, t, part);
  else
    units = std::make_unique<CoreUnits>(k, p, t, part);
  Values sums = emitLoop(k, t, *units, first, rounds, [&] {
    k.waitForLaunches();
    startRows(k, sink, p, shape, m0);
  });
  units->store(sums, k.gep(k.sptr(k.shared()), k.mul(k.shr(k.tid(), 5), t.rows * t.pitch() * 4)));
  k.barrier();
  emitColumns(k, p, t, epilogue, batch, n0, alignment, partial);
  finishTile(k, sink, p, epilogue, shape, split, m0, n0, alignment, 1);
  return addProduct(sink, p, k, family.str() + " " + t.str(), shape, t.sharedBytes());
}
