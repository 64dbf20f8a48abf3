//===- Generic.cpp - elementwise host kernels -----------------------------===//
//
// A task is a run of the result's elements in memory order, so the split is even whatever the shape. Rows are cut at
// the run's ends. Bodies that read across rows (transpositions) go tile by tile instead, so that lines of the cache are
// used up once loaded.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/IndexSpace.h"
#include "dialects/KT/Schedule/Pages.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kTile = 16, kTileRow = 16; // of the dimension that is contiguous in the source, and in the result

class GenericEmitter {
public:
  GenericEmitter(KernelBuilder &kernel, GenericOp op)
      : kernel(kernel), op(op), numInputs(op.getInputs().size()),
        space(dims(op), BodyUse{&op.getBody(), numInputs}, !(kernel.paged && readsPages(kernel.kernel, op))) {}
  void build();

private:
  static SmallVector<Expr> dims(GenericOp op) {
    SmallVector<Expr> all;
    for (ExprAttr d : op.getResult().getType().getDims())
      all.push_back(d);
    return all;
  }
  /// The loop to tile with the innermost one, or -1.
  int64_t crossLoop();
  void runs(int64_t chunk);
  void tiles(int64_t chunk, int64_t cross);
  void element(StageEmitter &e, ValueRange loops, Value position) {
    Value v = e.inlineScalar(op.getBody(), {}, 0, numInputs, space.indices(e, loops));
    e.store(v, e.results[0].pointer, e.results[0].element(), position);
  }

  KernelBuilder &kernel;
  GenericOp op;
  unsigned numInputs;
  IndexSpace space;
};

int64_t GenericEmitter::crossLoop() {
  int64_t inner = space.innermostDim();
  for (int64_t i = (int64_t)space.loops().size() - 2; i >= 0; --i) {
    auto known = space.loops()[i].asConstant();
    if ((!known || *known >= 8) && readsAcross(op.getBody(), numInputs + inner, numInputs + space.dimOf(i)))
      return i;
  }
  return -1;
}

void GenericEmitter::build() {
  int64_t chunk = bodyCost(op.getBody()) > 16 ? 16384 : 32768, cross = crossLoop();
  kernel.schedule = "generic loops=" + std::to_string(space.loops().size()) + " chunk=" + std::to_string(chunk);
  if (cross < 0)
    return runs(chunk);
  kernel.schedule += " tile=" + std::to_string(kTile) + "x" + std::to_string(kTileRow);
  tiles(chunk, cross);
}

void GenericEmitter::runs(int64_t chunk) {
  forEachInRuns(kernel, space.loops(), chunk,
                [&](StageEmitter &e, ValueRange loops, Value position) { element(e, loops, position); });
}

void GenericEmitter::tiles(int64_t chunk, int64_t cross) {
  // Units are tiles: all loops, with the two tiled ones counted in tiles.
  unsigned inner = space.loops().size() - 1;
  SmallVector<Expr> counts(space.loops());
  counts[cross] = Expr::ceilDiv(counts[cross], kernel.constant(kTile));
  counts[inner] = Expr::ceilDiv(counts[inner], kernel.constant(kTileRow));
  Expr units = kernel.constant(1);
  for (Expr c : counts)
    units = units * c;
  int64_t share = chunk / (kTile * kTileRow);
  kernel.stage({Expr::ceilDiv(units, kernel.constant(share)), {}}, [&](StageEmitter &e) {
    SmallVector<Value> extents, sizes;
    for (auto [count, size] : llvm::zip(counts, space.loops())) {
      extents.push_back(e.expr(count));
      sizes.push_back(e.expr(size));
    }
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.idx(share)), hi = e.min(e.add(lo, e.idx(share)), e.expr(units));
      e.loop(lo, hi, [&](Value unit) {
        SmallVector<Value> loops = e.delinearize(unit, extents);
        Value r0 = e.mul(loops[cross], e.idx(kTile)), r1 = e.min(e.add(r0, e.idx(kTile)), sizes[cross]);
        Value j0 = e.mul(loops[inner], e.idx(kTileRow)), j1 = e.min(e.add(j0, e.idx(kTileRow)), sizes[inner]);
        e.loop(r0, r1, [&](Value r) {
          loops[cross] = r;
          Value start = e.idx(0);
          for (unsigned i = 0; i < inner; ++i)
            start = e.add(e.mul(start, sizes[i]), loops[i]);
          start = e.mul(start, sizes[inner]);
          e.loop(j0, j1, [&](Value j) {
            loops[inner] = j;
            element(e, loops, e.add(start, j));
          });
        });
      });
    });
  });
}

} // namespace

void kt::codegen::host::forEachInRuns(KernelBuilder &kernel, ArrayRef<Expr> loops, int64_t chunk,
                                      function_ref<void(StageEmitter &, ValueRange, Value)> element) {
  Expr total = kernel.constant(1);
  for (Expr extent : loops)
    total = total * extent;
  kernel.stage({Expr::ceilDiv(total, kernel.constant(chunk)), {}}, [&](StageEmitter &e) {
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.idx(chunk)), hi = e.min(e.add(lo, e.idx(chunk)), e.expr(total));
      if (loops.size() == 1)
        return e.loop(lo, hi, [&](Value i) { element(e, i, i); });
      Value row = e.expr(loops.back());
      SmallVector<Value> outer;
      for (Expr extent : loops.drop_back())
        outer.push_back(e.expr(extent));
      Value first = e.div(lo, row), last = e.div(e.add(hi, e.sub(row, e.idx(1))), row);
      e.loop(first, last, [&](Value r) {
        Value start = e.mul(r, row);
        SmallVector<Value> at = e.delinearize(r, outer);
        at.push_back({});
        e.loop(e.max(e.sub(lo, start), e.idx(0)), e.min(e.sub(hi, start), row), [&](Value j) {
          at.back() = j;
          element(e, at, e.add(start, j));
        });
      });
    });
  });
}

LogicalResult kt::codegen::host::buildGeneric(KernelBuilder &kernel, GenericOp op) {
  GenericEmitter(kernel, op).build();
  return success();
}
