//===- Warpgroup.cpp - the main loop of Hopper's warpgroups ---------------===//
//
// Four warps multiply 64 rows with all columns of a tile straight from shared memory, asynchronously: while one slab is
// under way, threads copy a later one and begin the next. The tiles are those of the other tensor-core loop, whose
// swizzles are what the instruction's descriptors call 128 bytes for rows along k and 32 bytes for panels.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// The fixed part of a descriptor (PTX ISA, "Matrix-descriptor format"): byte distances of repeated cores and the
/// swizzle, 1 for 128 bytes and 3 for 32. Rows of one swizzle have no leading distance; it says 16 then.
int64_t descriptorOf(unsigned leading, unsigned stride, int64_t swizzle) {
  return (int64_t)(leading >> 4) << 16 | (int64_t)(stride >> 4) << 32 | swizzle << 62;
}

/// Where the sides of a slab are for one warpgroup, and what a step of 16 k's adds to an address.
struct Side {
  Value offset; // from the slot
  int64_t fixed;
  unsigned step;
};

Side leftSide(KernelBuilder &k, const MmaTile &t) {
  // One lane speaks for the warp, so that the assembler sees that all have the same.
  Value group = k.shuffleIdx(k.shr(k.tid(), 7), k.c(0));
  return {k.mul(group, 64 * t.bk * 2), descriptorOf(16, 8 * t.bk * 2, 1), 32};
}

Side rightSide(KernelBuilder &k, const MmaTile &t, Layout layout, unsigned start) {
  if (layout == Layout::Panels)
    return {k.c(start), descriptorOf(t.bk * 32, 8 * 32, 3), 16 * 32};
  return {k.c(start), descriptorOf(16, 8 * t.bk * 2, 1), 32};
}

Value descriptor(KernelBuilder &k, const Side &side, Value slot) {
  return k.or_(k.ext(k.shr(k.add(slot, side.offset), 4)), k.c64(side.fixed));
}

} // namespace

SmallVector<Value> kt::gpu::emitWarpgroupLoop(KernelBuilder &k, const MmaTile &t, TileSource &a, TileSource &b,
                                              Layout bLayout, const GemmProblem &p, Value k0, Value slabs,
                                              unsigned staged) {
  unsigned slotBytes = a.tileBytes + b.tileBytes, steps = t.bk / 16, numAcc = t.ni() * 4;
  Value first = k.shared(), end = k.add(first, t.stages * slotBytes);
  Value firstRaw = k.add(first, t.sharedBytes()), endRaw = k.add(firstRaw, staged * b.stagedBytes);
  auto bump = [&](Value slot) {
    Value next = k.add(slot, slotBytes);
    return k.sel(k.cmp(Pred::eq, next, end), first, next);
  };
  auto bumpRaw = [&](Value raw) {
    Value next = k.add(raw, b.stagedBytes);
    return staged ? k.sel(k.cmp(Pred::eq, next, endRaw), firstRaw, next) : raw;
  };
  Side left = leftSide(k, t), right = rightSide(k, t, bLayout, a.tileBytes);
  // A slot is read until the barrier after the next slab was begun, so two fewer than there are stages arrive. What the
  // threads have in registers would have to arrive before the fence; what waits in shared memory does not.
  unsigned ahead = t.stages - 2;
  Values stateA = a.start(k0), stateB = b.start(k0);
  auto stage = [&](Value raw) {
    b.beginSlab(stateB);
    for (unsigned i = 0; i < b.count; ++i)
      b.stage(i, raw);
    stateB = b.advance(stateB);
  };
  auto copySlab = [&](Value slot, Value raw) {
    a.beginSlab(stateA);
    SmallVector<Values> fetched;
    for (unsigned i = 0; i < a.count; ++i)
      fetched.push_back(a.fetch(i));
    for (unsigned i = 0; i < a.count; ++i)
      a.put(i, slot, fetched[i]);
    stateA = a.advance(stateA);
    fetched.clear();
    if (!staged)
      b.beginSlab(stateB);
    for (unsigned i = 0; i < b.count; ++i)
      fetched.push_back(staged ? b.staged(i, raw) : b.fetch(i));
    for (unsigned i = 0; i < b.count; ++i)
      b.put(i, k.add(slot, a.tileBytes), fetched[i]);
    if (staged)
      stage(raw);
    else
      stateB = b.advance(stateB);
    k.cpAsyncCommit();
  };
  for (unsigned s = 0; s < staged; ++s) {
    stage(k.add(firstRaw, s * b.stagedBytes));
    k.cpAsyncCommit();
  }
  Value raw = firstRaw;
  for (unsigned s = 0; s < ahead; ++s) {
    if (staged) // the oldest of as many slabs as there are
      k.cpAsyncWait(staged - 1);
    copySlab(k.add(first, s * slotBytes), raw);
    raw = bumpRaw(raw);
  }
  Values inits(numAcc, k.cf(0));
  inits.append(stateA);
  inits.append(stateB);
  inits.push_back(first);
  inits.push_back(k.add(first, ahead * slotBytes));
  inits.push_back(raw);
  unsigned sizeA = stateA.size(), sizeB = stateB.size();
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value, ValueRange args) {
    Values acc(args.take_front(numAcc));
    ValueRange rest = args.drop_front(numAcc);
    stateA = Values(rest.take_front(sizeA)), stateB = Values(rest.slice(sizeA, sizeB));
    rest = rest.drop_front(sizeA + sizeB);
    Value read = rest[0], write = rest[1], raw = rest[2];
    k.cpAsyncWait(staged ? std::min(ahead, staged) - 1 : ahead - 1);
    k.fenceAsyncProxy();
    k.barrier();
    Value fromA = descriptor(k, left, read), fromB = descriptor(k, right, read);
    k.wgmmaFence();
    for (unsigned s = 0; s < steps; ++s)
      acc = k.wgmma(k.add(fromA, (s * left.step) >> 4), k.add(fromB, (s * right.step) >> 4), bLayout == Layout::Panels,
                    acc, p.lhsType);
    k.wgmmaCommit();
    copySlab(write, raw);
    Values out = k.wgmmaWait(1, acc);
    out.append(stateA);
    out.append(stateB);
    out.append({bump(read), bump(write), bumpRaw(raw)});
    return out;
  });
  k.cpAsyncWait(0);
  return k.wgmmaWait(0, ArrayRef(result).take_front(numAcc));
}
