//===- Warpgroup.cpp - the main loop of Hopper's warpgroups ---------------===//
//
// Four warps multiply 64 rows with all columns of a tile straight from shared memory, asynchronously: while one slab is
// under way, threads copy a later one and begin the next. The tiles are those of the other tensor-core loop, whose
// swizzles are what the instruction's descriptors call 128 bytes for rows along k and 32 bytes for panels. Of weights
// in blocks, and of integers, which the instruction reads along k alone, the warps make fragments in registers, of 64
// columns; the rows are the other factor.
//
// Either all threads copy and meet at a barrier for each slab, or, of weights in blocks, four warps do nothing else and
// the warpgroups drift apart, so that one makes fragments while another one's are multiplied. A slot then has two
// mbarriers, `full` and `read`:
//
//   who copies                          who multiplies
//
//   has slab i, fence      -- full -->  awaits slab i, begins its products
//   awaits, copies slab    <-- read --  those have ended
//   i + stages
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

/// The copies of both factors, from a share's first slab on.
class Copies {
public:
  Copies(KernelBuilder &k, Factors &factors, Value k0)
      : k(k), factors(factors), left(factors.left->start(k0)), right(factors.right->start(k0)) {}

  void copyLeft(Value slot) { copy(*factors.left, left, k.add(slot, factors.leftAt)); }
  void copyRight(Value slot) { copy(*factors.right, right, k.add(slot, factors.rightAt)); }
  /// The first `slabs` of the weights that lie there as they are, or of the other factor, a group of copies each.
  void copyFirst(bool weights, unsigned slabs, bool commit) {
    for (unsigned s = 0; s < slabs; ++s) {
      Value slot = k.add(k.shared(), s * factors.slotBytes);
      weights == weightsAreLeft() ? copyLeft(slot) : copyRight(slot);
      if (commit)
        k.cpAsyncCommit();
    }
  }
  enum class Part { weights, rest, all };
  /// The first `slabs` in a loop: the weights without a group, what there is beside them, or both. `rest` goes on as if
  /// the weights had been copied.
  void loopFirst(Part part, unsigned slabs) {
    bool ofLeft = part == Part::all || (part == Part::weights) == weightsAreLeft(),
         ofRight = part == Part::all || !ofLeft;
    if (part == Part::rest)
      for (unsigned s = 0; s < slabs; ++s)
        (ofLeft ? right : left) = ofLeft ? factors.right->advance(right) : factors.left->advance(left);
    Values inits = state();
    inits.push_back(k.shared());
    goOnFrom(k.forLoop(k.c(0), k.c(slabs), k.c(1), inits, [&](Value, ValueRange args) {
      Value slot = goOnFrom(args)[0];
      if (ofLeft)
        copyLeft(slot);
      if (ofRight)
        copyRight(slot);
      if (part != Part::weights)
        k.cpAsyncCommit();
      Values out = state();
      out.push_back(k.add(slot, factors.slotBytes));
      return out;
    }));
  }

  /// What changes from slab to slab.
  Values state() const {
    Values all = left;
    all.append(right);
    return all;
  }
  /// Goes on from the first of `values`; answers the others.
  ValueRange goOnFrom(ValueRange values) {
    unsigned ofLeft = left.size(), ofRight = right.size();
    left = Values(values.take_front(ofLeft)), right = Values(values.slice(ofLeft, ofRight));
    return values.drop_front(ofLeft + ofRight);
  }

private:
  bool weightsAreLeft() const { return factors.fragments != nullptr; }
  void copy(TileSource &source, Values &state, Value to) {
    source.beginSlab(state);
    SmallVector<Values> fetched;
    for (unsigned i = 0; i < source.count; ++i)
      fetched.push_back(source.fetch(i));
    for (unsigned i = 0; i < source.count; ++i)
      source.put(i, to, fetched[i]);
    state = source.advance(state);
  }

  KernelBuilder &k;
  Factors &factors;
  Values left, right;
};

/// The products of a slab by one warpgroup.
class Products {
public:
  Products(KernelBuilder &k, const MmaTile &t, Factors &factors, const GemmProblem &p)
      : k(k), t(t), factors(factors), p(p), right(rightSide(k, t, factors.rightLayout, factors.rightAt)) {
    if (!factors.fragments)
      left = leftSide(k, t);
  }
  Values zeros() { return Values(t.ni() * 4, k.zero(t.elementBytes == 1 ? k.i32 : k.f32)); }

  /// Begins those of the slab at `slot` and answers the sums that they make of `acc`. Where fragments are made, `done`
  /// comes when those of the slab before have ended.
  Values begin(Value slot, Values acc, function_ref<void()> done) {
    bool int8 = t.elementBytes == 1, columns = factors.rightLayout == Layout::Panels;
    Value fromB = descriptor(k, right, slot);
    auto rightOf = [&](unsigned s) { return k.add(fromB, (s * right.step) >> 4); };
    unsigned steps = t.steps();
    if (!factors.fragments) {
      Value fromA = descriptor(k, left, slot);
      k.wgmmaFence();
      for (unsigned s = 0; s < steps; ++s)
        acc = k.wgmma(k.add(fromA, (s * left.step) >> 4), rightOf(s), columns, acc, p.lhsType);
      k.wgmmaCommit();
      return acc;
    }
    // While other steps are multiplied a step's fragments are made, in the registers that they had a slab before. By
    // the last of these waits the slab before has ended.
    SmallVector<Values> fetched;
    for (unsigned s = 0; s < steps; ++s)
      fetched.push_back(factors.fragments->fetch(slot, s));
    for (unsigned s = 0; s < steps; ++s) {
      acc = k.wgmmaWait(steps - 1, acc);
      if (s + 1 == steps)
        done();
      Values fragment = factors.fragments->make(fetched[s], s)[0];
      k.wgmmaFence();
      acc = int8 ? k.wgmmaInt8(fragment, p.isUnsigned(1), rightOf(s), p.isUnsigned(0), acc)
                 : k.wgmma(fragment, rightOf(s), columns, acc, p.lhsType);
      k.wgmmaCommit();
    }
    return acc;
  }
  /// Comes behind what else there is to do meanwhile.
  Values end(const Values &acc) { return factors.fragments ? acc : k.wgmmaWait(1, acc); }

private:
  KernelBuilder &k;
  const MmaTile &t;
  Factors &factors;
  const GemmProblem &p;
  Side left, right;
};

/// The slots of a ring in turn, and the mbarriers of each: one for slabs that are there, and one for those that were
/// read, whose phases' parity changes each time around.
class SlotRing {
public:
  static constexpr unsigned kSize = 3, kRead = 8;
  SlotRing(KernelBuilder &k, const MmaTile &t, unsigned slotBytes)
      : k(k), slotBytes(slotBytes), first(k.shared()), end(k.add(first, t.stages * slotBytes)),
        barriers(k.add(first, t.barriersAt())), stages(t.stages) {}

  void makeBarriers(unsigned producers, unsigned consumers) {
    k.ifThen(k.cmp(Pred::eq, k.tid(), 0), [&] {
      for (unsigned slot = 0; slot < stages; ++slot) {
        k.mbarrierInit(k.add(barriers, slot * 16), producers);
        k.mbarrierInit(k.add(barriers, slot * 16 + kRead), consumers);
      }
    });
  }
  /// Of slab `number`, less than there are stages: where it is, its barriers, and a parity.
  Values at(unsigned number, unsigned parity) {
    return {k.add(first, number * slotBytes), k.add(barriers, number * 16), k.c(parity)};
  }
  Values next(ValueRange place) {
    Value slot = k.add(place[0], slotBytes), around = k.cmp(Pred::eq, slot, end);
    return {k.sel(around, first, slot), k.sel(around, barriers, k.add(place[1], 16)),
            k.sel(around, k.xor_(place[2], 1), place[2])};
  }

private:
  KernelBuilder &k;
  unsigned slotBytes;
  Value first, end, barriers;
  unsigned stages;
};

/// All lanes of this warp have done what comes before; one of them says so, if `when` holds (null: always).
void arrive(KernelBuilder &k, Value barrier, Value when = {}) {
  k.warpBarrier();
  Value one = k.cmp(Pred::eq, k.and_(k.tid(), 31), 0);
  k.mbarrierArriveWhen(when ? k.and_(one, when) : one, barrier);
}

/// What the warps do that copy; the first `first` slabs are on their way, a group of copies each.
void emitProducers(KernelBuilder &k, SlotRing &ring, Copies &copies, Value slabs, unsigned first, unsigned ahead) {
  // The oldest slab on its way becomes visible to products; `behind` follow it.
  auto hand = [&](ValueRange place, unsigned behind) {
    k.cpAsyncWait(behind);
    k.fenceAsyncProxy();
    arrive(k, place[1]);
    return ring.next(place);
  };
  // Of a share of fewer slabs nobody asks for the others.
  Values oldest = ring.at(0, 0);
  for (unsigned behind = first - 1; behind >= ahead; --behind)
    oldest = hand(oldest, behind);
  Value next = k.c(first - ahead), further = k.max(k.sub(slabs, ahead), next);
  Values inits = copies.state();
  inits.append(oldest);
  // Slots that no slab was in yet are free: of parity 1 the phase before the first one has ended.
  inits.append(ring.at(first, 1));
  Values now = k.forLoop(next, further, k.c(1), inits, [&](Value, ValueRange args) {
    ValueRange places = copies.goOnFrom(args), write = places.drop_front(SlotRing::kSize);
    k.mbarrierWait(k.add(write[1], SlotRing::kRead), write[2]);
    copies.copyLeft(write[0]);
    copies.copyRight(write[0]);
    k.cpAsyncCommit();
    Values out = copies.state(), handed = hand(places.take_front(SlotRing::kSize), ahead);
    out.append(handed);
    out.append(ring.next(write));
    return out;
  });
  // The next launch's weights would be in the way of what this one still had to ask for.
  k.letNextBegin();
  oldest = Values(ArrayRef(now).slice(copies.state().size(), SlotRing::kSize));
  k.forLoop(further, slabs, k.c(1), oldest, [&](Value, ValueRange place) {
    k.cpAsyncCommit(); // of nothing: what is behind the oldest slab counts as many groups as before
    return hand(place, ahead);
  });
  k.cpAsyncWait(0);
}

/// What those do that multiply.
Values emitConsumers(KernelBuilder &k, SlotRing &ring, Products &products, Value slabs) {
  Values inits = products.zeros();
  unsigned sums = inits.size();
  inits.append(ring.at(0, 0));
  inits.push_back(inits[sums + 1]);
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value slab, ValueRange args) {
    ValueRange place = args.drop_front(sums);
    Value before = place[SlotRing::kSize];
    k.mbarrierWait(place[1], place[2]);
    auto release = [&] { arrive(k, k.add(before, SlotRing::kRead), k.cmp(Pred::ne, slab, 0)); };
    Values out = products.begin(place[0], Values(args.take_front(sums)), release);
    out.append(ring.next(place));
    out.push_back(place[1]);
    return out;
  });
  return k.wgmmaWait(0, ArrayRef(result).take_front(sums));
}

/// Warps that copy beside warpgroups that multiply.
Values emitWithProducers(KernelBuilder &k, const MmaTile &t, Factors &factors, const GemmProblem &p, Value k0,
                         Value slabs, function_ref<void()> wait) {
  // A slot is read until the products of the next slab were begun: all but two may be full or on their way. With more
  // on their way than those, producers would wait for a slab to be read that nobody reaches without the next one.
  unsigned first = t.stages - 2, ahead = t.onTheWay();
  SlotRing ring(k, t, factors.slotBytes);
  ring.makeBarriers(t.producers, t.multiplying() / 32);
  // One lane speaks for the warp, so that the assembler sees that all go the same way.
  Value multiplies = k.lt(k.shuffleIdx(k.shr(k.tid(), 5), k.c(0)), t.multiplying() / 32);
  bool early = factors.constantWeights;
  if (early) {
    Value copies = k.xor_(multiplies, k.cBool(true));
    k.ifThen(copies, [&] { Copies(k, factors, k0).loopFirst(Copies::Part::weights, first); });
  }
  // By all threads: whoever finishes the tile reads what earlier launches have written.
  wait();
  k.barrier();
  Products products(k, t, factors, p);
  Values none = products.zeros();
  return k.ifElse(
      multiplies, ValueRange(none).getTypes(), [&] { return emitConsumers(k, ring, products, slabs); },
      [&] {
        Copies copies(k, factors, k0);
        copies.loopFirst(early ? Copies::Part::rest : Copies::Part::all, first);
        emitProducers(k, ring, copies, slabs, first, ahead);
        return none;
      });
}

} // namespace

SmallVector<Value> kt::gpu::emitWarpgroupLoop(KernelBuilder &k, const MmaTile &t, Factors &factors,
                                              const GemmProblem &p, Value k0, Value slabs, function_ref<void()> wait) {
  if (t.producers)
    return emitWithProducers(k, t, factors, p, k0, slabs, wait);
  unsigned slotBytes = factors.slotBytes;
  Value first = k.shared(), end = k.add(first, t.stages * slotBytes);
  auto bump = [&](Value slot) {
    Value next = k.add(slot, slotBytes);
    return k.sel(k.cmp(Pred::eq, next, end), first, next);
  };
  Products products(k, t, factors, p);
  Copies copies(k, factors, k0);
  // A slot is read until the barrier after the next slab was begun, so two fewer than there are stages arrive.
  unsigned ahead = t.onTheWay();
  if (!factors.constantWeights)
    wait();
  copies.copyFirst(true, ahead, false);
  if (factors.constantWeights)
    wait();
  copies.copyFirst(false, ahead, true);
  // Of a share that has no slab no barrier below is met, and what is in shared memory is read behind the loop.
  k.barrier();
  Values inits = products.zeros();
  unsigned sums = inits.size();
  inits.append(copies.state());
  inits.push_back(first);
  inits.push_back(k.add(first, ahead * slotBytes));
  // The next launch's weights would be in the way of what this one still has to ask for. Of two blocks on a
  // multiprocessor threads have no register for it, and say so behind the loop.
  bool scarce = t.minCtas > 1;
  auto beginAfter = [&](Value asked) {
    if (!scarce)
      k.ifThen(k.cmp(Pred::sge, asked, slabs), [&] { k.letNextBegin(); });
  };
  beginAfter(k.c(ahead));
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value slab, ValueRange args) {
    ValueRange slots = copies.goOnFrom(args.drop_front(sums));
    Value read = slots[0], write = slots[1];
    k.cpAsyncWait(ahead - 1);
    k.fenceAsyncProxy();
    k.barrier();
    Values out = products.begin(read, Values(args.take_front(sums)), [] {});
    copies.copyLeft(write);
    copies.copyRight(write);
    k.cpAsyncCommit();
    beginAfter(k.add(slab, ahead + 1));
    out = products.end(out);
    out.append(copies.state());
    out.append({bump(read), bump(write)});
    return out;
  });
  if (scarce)
    k.letNextBegin();
  k.cpAsyncWait(0);
  return k.wgmmaWait(0, ArrayRef(result).take_front(sums));
}
