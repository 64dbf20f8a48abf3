//===- DecodeMakers.cpp - what a block of few queries makes itself --------===//

#include "codegen/Gpu/Attention/DecodeMakers.h"
#include "codegen/Gpu/Builder/Pages.h"
#include "codegen/Gpu/Elementwise/Elements.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

/// Elements of a 16-byte chunk, which a thread makes at a time.
static constexpr unsigned kLanes = 8;

static Values permuted(const AttentionMakers::Dimensions &dims, const Values &at) {
  Values all(4);
  for (auto [d, v] : llvm::zip(dims, at))
    all[d] = v;
  return all;
}

/// A window, and what is known of it in the block's head.
struct DecodeMakers::Window {
  Window(KernelBuilder &k, UpdateOp op, const AttentionMakers::Dimensions &dims, unsigned columns, bool ofValues)
      : op(op), body(k, op.getBody(), 0, operandBuffers(k, op)), dims(dims), columns(columns), ofValues(ofValues) {}

  UpdateOp op;
  BodyEmitter body;
  AttentionMakers::Dimensions dims;
  unsigned columns;
  bool ofValues;
  Value base;         // the row that the window's first one is
  Value begin, count; // the rows of the window that are the block's
};

DecodeMakers::DecodeMakers(KernelBuilder &k, KernelSink &sink, const AttentionProblem &p)
    : k(k), sink(sink), p(p), makers(makersOf(p.op)) {}

/// The first item of a thread where the first one is thread `firstThread`'s: what different warps make is made at the
/// same time.
Value DecodeMakers::firstItem(unsigned firstThread) {
  unsigned threads = k.bounds.threads;
  return k.and_(k.add(k.tid(), threads - firstThread % threads), threads - 1);
}

void DecodeMakers::makeQueries(Value rows, llvm::function_ref<Values(Value)> at, Value slot, unsigned chunks) {
  GenericOp op = makers.query;
  BodyEmitter body(k, op.getBody(), 0, operandBuffers(k, op));
  const AttentionMakers::Dimensions &dims = makers.dims[0];
  Alignment alignment = sink.alignment();
  alignment.lanes = kLanes;
  unsigned used = p.d / kLanes, padded = padTo16(p.d) / kLanes;
  Value step = k.c(k.bounds.threads);
  k.forLoop(k.tid(), k.mul(rows, used), step, {}, [&](Value item, ValueRange) -> Values {
    Value row = k.div(item, used), chunk = k.rem(item, used);
    Values where = at(row);
    where.push_back(k.shl(chunk, 3));
    k.storeElements(body.emit({}, permuted(dims, where), dims[3], kLanes, alignment),
                    k.sptr(k.add(slot, swizzle(k, chunks, row, chunk))));
    return {};
  });
  if (used < padded)
    k.forLoop(k.tid(), rows, step, {}, [&](Value row, ValueRange) -> Values {
      k.storeElements(Values(kLanes, k.zero(op.getResult().getType().scalarType())),
                      k.sptr(k.add(slot, swizzle(k, chunks, row, k.c(used)))));
      return {};
    });
}

void DecodeMakers::makeWindows(Value batch, Value group, const DecodeShare &share) {
  SmallVector<Window, 2> windows;
  windows.emplace_back(k, makers.key, makers.dims[1], p.d, false);
  windows.emplace_back(k, makers.value, makers.dims[2], p.e, true);
  Value isFirst = k.cmp(Pred::eq, k.ctaY(), 0), isLast = k.cmp(Pred::eq, k.add(k.ctaY(), 1), k.gridY()), any;
  for (Window &w : windows) {
    w.base = k.size(w.op.getFrom());
    if (Value moved = w.body.emitSecond(permuted(w.dims, {batch, group, k.c(0), k.c(0)})))
      w.base = k.add(w.base, k.fromIndex(moved));
    // Rows that none of the keys are is the business of the first share and of the last.
    Value all = k.size(w.op.getCount()), begin = k.max(k.sub(share.first, w.base), 0),
          end = k.min(k.sub(share.shareEnd, w.base), all);
    w.begin = k.sel(isFirst, k.c(0), begin);
    w.count = k.sub(k.sel(isLast, all, end), w.begin);
    Value some = k.lt(k.c(0), w.count);
    any = any ? k.or_(any, some) : some;
  }
  k.ifThen(any, [&] {
    k.cpAsyncWait(0);
    k.barrier(); // what the ring gets from memory would come behind what is put there
    // Queries of a step are on the first threads.
    unsigned first = makers.query ? p.group * p.d / kLanes : 0;
    for (Window &w : windows) {
      first = llvm::alignTo(first, 32);
      makeWindow(w, batch, group, share, first);
      first += w.columns / kLanes;
    }
  });
}

void DecodeMakers::makeWindow(Window &w, Value batch, Value group, const DecodeShare &share, unsigned firstThread) {
  Alignment alignment = sink.alignment();
  alignment.lanes = kLanes;
  unsigned used = w.columns / kLanes, axis = w.op.getAxis();
  SymTensorType type = w.op.getResult().getType();
  Value result = k.bufferOf(w.op.getResult());
  Value held = k.min(k.sub(share.end, share.first), k.c(share.slots * share.blockKeys));
  k.forLoop(firstItem(firstThread), k.mul(w.count, used), k.c(k.bounds.threads), {}, [&](Value item, ValueRange) {
    Value row = k.add(w.begin, k.div(item, used)), chunk = k.rem(item, used);
    Values at = permuted(w.dims, {batch, group, row, k.shl(chunk, 3)});
    Values values = w.body.emit({}, at, w.dims[3], kLanes, alignment);
    at[axis] = k.add(row, w.base);
    auto store = [&] { k.storeTo(elementAt(k, result, type, at), type.getElementType(), values); };
    if (w.body.second)
      k.ifThen(k.cmp(Pred::ult, at[axis], extentOf(k, result, type, axis)), store);
    else
      store();
    Value local = k.sub(at[axis], share.first);
    k.ifThen(k.and_(k.cmp(Pred::ult, local, held), k.lt(k.c(0), held)), [&] {
      Value slot = k.add(share.ring, k.mul(k.div(local, share.blockKeys), share.slotBytes));
      if (w.ofValues)
        slot = k.add(slot, share.tile.bytesK);
      // A chunk of the ring is as many elements as its bytes are.
      unsigned shift = type.elementBytes() == 1;
      Value to = swizzle(k, w.ofValues ? share.tile.chunksE : share.tile.chunksD, k.rem(local, share.blockKeys),
                         k.shr(chunk, shift));
      if (shift)
        to = k.add(to, k.shl(k.and_(chunk, 1), 3));
      k.storeElements(values, k.sptr(k.add(slot, to)));
    });
    return Values();
  });
}
