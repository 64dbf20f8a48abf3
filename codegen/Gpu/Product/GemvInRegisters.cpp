//===- GemvInRegisters.cpp - products of few rows on CUDA cores -----------===//
//
// Nothing stands between memory and registers: a lane has 16 bytes of neighbouring columns, several units of 32 k's are
// on their way before the first is multiplied, and each of its columns is multiplied with one element of each row.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/GemvUnits.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

GemvUnits::GemvUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile,
                     unsigned columns)
    : columns(columns), k(k), p(p), t(t), end(part.end), lane(k.and_(k.tid(), 31)) {
  Value count = k.shr(k.add(k.size(p.n), 15), 4);
  for (unsigned q = 0; q < t.panels; ++q) {
    numbers.push_back(k.add(k.mul(tile, t.panels), q));
    ends.push_back(k.sel(k.lt(numbers[q], count), end, k.c(0)));
  }
  for (unsigned r = 0; r < t.rows; ++r) {
    valid.push_back(k.lt(k.c(r), k.size(p.m)));
    rows.push_back(k.at(part.left, rowOffset(k, p, k.c(r)), elementBytes(p.lhsType)));
  }
}

Values GemvUnits::leftAt(Value kk) {
  Value there = k.lt(kk, end), offset = k.mul(k.ext(k.mul(kk, k.size(p.lhsK))), elementBytes(p.lhsType));
  Values elements;
  for (unsigned r = 0; r < t.rows; ++r)
    elements.append(k.loadWhen(k.and_(there, valid[r]), k.gep(rows[r], offset), p.lhsType, 1, false));
  return elements;
}

namespace {

/// Of weights that have a type of their own.
class ElementUnits : public GemvUnits {
public:
  ElementUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile)
      : GemvUnits(k, p, t, part, tile, 16 / elementBytes(p.rhsType)), bytes(elementBytes(p.rhsType)),
        deep(t.unit() / bytes), depth(k.div(lane, bytes)) {
    for (Value number : numbers) {
      Value at = k.gep(part.weights, k.mul(k.ext(k.mul(number, k.size(p.k))), kPanel * bytes));
      panels.push_back(k.gep(at, k.ext(k.mul(lane, 16))));
    }
  }

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
    for (unsigned i = 0; i < bytes; ++i)
      unit.append(leftAt(k.add(k.add(k0, depth), i * deep)));
    return unit;
  }

  void multiply(ValueRange unit, Value, Values &sums) override {
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

  unsigned bytes, deep; // k's of one load of a warp
  Value depth;          // a lane's first k in a unit
  Values panels;
};

} // namespace

std::unique_ptr<GemvUnits> kt::gpu::elementUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t,
                                                 const GemvPart &part, Value tile) {
  return std::make_unique<ElementUnits>(k, p, t, part, tile);
}

/// Adds up the sums of lanes that have the same columns, `columns` each of [panel][row], and stores those of rows that
/// are there as [row][column] from `place` on.
static void storeLaneSums(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, unsigned columns, ValueRange sums,
                          Value place) {
  unsigned across = kPanel / columns; // lanes that have a panel's columns
  Value lane = k.and_(k.tid(), 31), column = k.mul(k.rem(lane, across), columns);
  for (unsigned q = 0; q < t.panels; ++q) {
    // Lanes that differ in their k's share the adding: at each exchange a lane gives away half of its sums.
    Values mine(sums.slice(q * t.rows * columns, t.rows * columns));
    Value first = k.c(0), stores = k.cBool(true);
    for (unsigned mask = 16; mask >= across; mask /= 2) {
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

void kt::gpu::emitGemvInRegisters(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                                  Value tile, function_ref<void()> wait) {
  std::unique_ptr<GemvUnits> made = p.blocks ? blockUnits(k, p, t, part, tile) : elementUnits(k, p, t, part, tile);
  GemvUnits &units = *made;
  unsigned step = t.warps * t.unit();
  Value k0 = k.add(part.first, k.mul(k.shr(k.tid(), 5), t.unit()));
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
  Values done = k.forLoop(k.c(0), part.rounds, k.c(t.ahead), state, [&](Value, ValueRange now) -> Values {
    Values sums(now.take_front(units.sumCount())), loaded;
    Value k0 = now.back();
    for (unsigned a = 0; a < t.ahead; ++a) {
      // Registers are free for the next unit when this one is multiplied.
      units.multiply(now.slice(sums.size() + a * size, size), k.add(k0, a * step), sums);
      loaded.append(units.load(k.add(k0, (t.ahead + a) * step)));
    }
    sums.append(loaded);
    sums.push_back(k.add(k0, t.ahead * step));
    return sums;
  });
  done.resize(units.sumCount());
  storeLaneSums(k, p, t, units.columns, done,
                k.gep(k.sptr(k.shared()), k.mul(k.shr(k.tid(), 5), t.rows * t.pitch() * 4)));
}
