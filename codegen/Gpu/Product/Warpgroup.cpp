//===- Warpgroup.cpp - the main loop of Hopper's warpgroups ---------------===//
//
// Four warps multiply 64 rows with all columns of a tile straight from shared memory, asynchronously: while one slab is
// under way, threads copy a later one and begin the next. The tiles are those of the other tensor-core loop, whose
// swizzles are what the instruction's descriptors call 128 bytes for rows along k and 32 bytes for panels. Of weights
// in blocks, and of integers, which the instruction reads along k alone, the warps make fragments in registers, of 64
// columns; the rows are the other factor.
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

/// Where the sides of a slab are for one warpgroup, and what a step of 32 bytes of k's adds to an address.
struct Side {
  Value offset; // from the slot
  int64_t fixed = 0;
  unsigned step = 0;
};

Side leftSide(KernelBuilder &k, const MmaTile &t) {
  // One lane speaks for the warp, so that the assembler sees that all have the same.
  Value group = k.shuffleIdx(k.shr(k.tid(), 7), k.c(0));
  return {k.mul(group, 64 * t.rowBytes()), descriptorOf(16, 8 * t.rowBytes(), 1), 32};
}

Side rightSide(KernelBuilder &k, const MmaTile &t, Layout layout, unsigned start) {
  if (layout == Layout::Panels)
    return {k.c(start), descriptorOf(t.bk * 32, 8 * 32, 3), 16 * 32};
  return {k.c(start), descriptorOf(16, 8 * t.rowBytes(), 1), 32};
}

Value descriptor(KernelBuilder &k, const Side &side, Value slot) {
  return k.or_(k.ext(k.shr(k.add(slot, side.offset), 4)), k.c64(side.fixed));
}

} // namespace

SmallVector<Value> kt::gpu::emitWarpgroupLoop(KernelBuilder &k, const MmaTile &t, Factors &factors,
                                              const GemmProblem &p, Value k0, Value slabs, function_ref<void()> wait) {
  TileSource &a = *factors.left, &b = *factors.right;
  unsigned slotBytes = factors.slotBytes, steps = t.steps(), numAcc = t.ni() * 4;
  Value first = k.shared(), end = k.add(first, t.stages * slotBytes);
  auto bump = [&](Value slot) {
    Value next = k.add(slot, slotBytes);
    return k.sel(k.cmp(Pred::eq, next, end), first, next);
  };
  bool columns = factors.rightLayout == Layout::Panels;
  Side left, right = rightSide(k, t, factors.rightLayout, factors.rightAt);
  if (!factors.fragments)
    left = leftSide(k, t);
  // A slot is read until the barrier after the next slab was begun, so two fewer than there are stages arrive.
  unsigned ahead = t.stages - 2;
  Values stateA = a.start(k0), stateB = b.start(k0);
  auto copy = [&](TileSource &source, Values &state, Value to) {
    source.beginSlab(state);
    SmallVector<Values> fetched;
    for (unsigned i = 0; i < source.count; ++i)
      fetched.push_back(source.fetch(i));
    for (unsigned i = 0; i < source.count; ++i)
      source.put(i, to, fetched[i]);
    state = source.advance(state);
  };
  auto copyLeft = [&](Value slot) { copy(a, stateA, k.add(slot, factors.leftAt)); };
  auto copyRight = [&](Value slot) { copy(b, stateB, k.add(slot, factors.rightAt)); };
  // Of weights that lie there as they are.
  bool leftFirst = factors.fragments != nullptr;
  auto copyFirst = [&](bool left, bool commit) {
    for (unsigned s = 0; s < ahead; ++s) {
      Value slot = k.add(first, s * slotBytes);
      left ? copyLeft(slot) : copyRight(slot);
      if (commit)
        k.cpAsyncCommit();
    }
  };
  if (!factors.constantWeights)
    wait();
  copyFirst(leftFirst, false);
  if (factors.constantWeights)
    wait();
  copyFirst(!leftFirst, true);
  bool int8 = t.elementBytes == 1;
  // Of a share that has no slab no barrier below is met, and what is in shared memory is read behind the loop.
  k.barrier();
  Values inits(numAcc, k.zero(int8 ? k.i32 : k.f32));
  inits.append(stateA);
  inits.append(stateB);
  inits.push_back(first);
  inits.push_back(k.add(first, ahead * slotBytes));
  unsigned sizeA = stateA.size(), sizeB = stateB.size();
  // The next launch's weights would be in the way of what this one still has to ask for. Of two blocks on a
  // multiprocessor threads have no register for it, and say so behind the loop.
  bool scarce = t.minCtas > 1;
  auto beginAfter = [&](Value asked) {
    if (!scarce)
      k.ifThen(k.cmp(Pred::sge, asked, slabs), [&] { k.letNextBegin(); });
  };
  beginAfter(k.c(ahead));
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value slab, ValueRange args) {
    Values acc(args.take_front(numAcc));
    ValueRange rest = args.drop_front(numAcc);
    stateA = Values(rest.take_front(sizeA)), stateB = Values(rest.slice(sizeA, sizeB));
    rest = rest.drop_front(sizeA + sizeB);
    Value read = rest[0], write = rest[1];
    k.cpAsyncWait(ahead - 1);
    k.fenceAsyncProxy();
    k.barrier();
    Value fromB = descriptor(k, right, read);
    auto rightOf = [&](unsigned s) { return k.add(fromB, (s * right.step) >> 4); };
    if (factors.fragments) {
      // While other steps are multiplied a step's fragments are made, in the registers that they had a slab before. By
      // the last of these waits the slab before is done with.
      SmallVector<Values> fetched;
      for (unsigned s = 0; s < steps; ++s)
        fetched.push_back(factors.fragments->fetch(read, s));
      for (unsigned s = 0; s < steps; ++s) {
        acc = k.wgmmaWait(steps - 1, acc);
        Values fragment = factors.fragments->make(fetched[s], s)[0];
        k.wgmmaFence();
        acc = int8 ? k.wgmmaInt8(fragment, p.isUnsigned(1), rightOf(s), p.isUnsigned(0), acc)
                   : k.wgmma(fragment, rightOf(s), columns, acc, p.lhsType);
        k.wgmmaCommit();
      }
    } else {
      Value fromA = descriptor(k, left, read);
      k.wgmmaFence();
      for (unsigned s = 0; s < steps; ++s)
        acc = k.wgmma(k.add(fromA, (s * left.step) >> 4), rightOf(s), columns, acc, p.lhsType);
      k.wgmmaCommit();
    }
    copyLeft(write);
    copyRight(write);
    k.cpAsyncCommit();
    beginAfter(k.add(slab, ahead + 1));
    Values out = factors.fragments ? acc : k.wgmmaWait(1, acc);
    out.append(stateA);
    out.append(stateB);
    out.append({bump(read), bump(write)});
    return out;
  });
  if (scarce)
    k.letNextBegin();
  k.cpAsyncWait(0);
  return k.wgmmaWait(0, ArrayRef(result).take_front(numAcc));
}
