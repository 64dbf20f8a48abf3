//===- TensorCore.cpp - the tensor-core main loop -------------------------===//
//
// Slabs of both operands arrive in a ring of shared-memory slots; fragments of the next 16 k's are loaded while the
// tensor cores work on the current ones, across slab borders too; one barrier a slab.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"
#include <deque>

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value kt::gpu::swizzle(KernelBuilder &k, unsigned chunks, Value row, Value chunk) {
  Value x = chunks >= 8 ? k.and_(row, 7) : k.and_(k.shr(row, 1), 3);
  return k.shl(k.add(k.mul(row, chunks), k.xor_(chunk, x)), 4);
}

namespace {

/// One thread's ldmatrix addresses.
class Fragments {
public:
  Fragments(KernelBuilder &k, const MmaTile &t, const Factors &factors)
      : k(k), t(t), bLayout(factors.rightLayout), left(factors.fragments.get()) {
    Value lane = k.and_(k.tid(), 31), warp = k.shr(k.tid(), 5);
    Value wr = k.div(warp, t.warpCols), wc = k.rem(warp, t.warpCols);
    unsigned wm = t.bm / t.warpRows, wn = t.bn / t.warpCols;
    unsigned chunks = t.rowBytes() / 16;
    if (!left)
      a = k.add(swizzle(k, chunks, k.add(k.mul(wr, wm), k.and_(lane, 15)), k.shr(lane, 4)), factors.leftAt);
    if (bLayout == Layout::RowMajorK) {
      Value row = k.add(k.and_(lane, 7), k.shl(k.shr(lane, 4), 3)), first = t.turned() ? k.mul(wr, wm) : k.mul(wc, wn);
      b = swizzle(k, chunks, k.add(first, row), k.and_(k.shr(lane, 3), 1));
    } else if (t.elementBytes == 1) {
      Value row = int8Row(k, int8FragmentRow(k)), panel = k.mul(wc, wn / 16);
      b = bLayout == Layout::RowMajorN ? swizzle(k, t.bn / 16, row, panel) : k.shl(k.add(k.mul(panel, t.bk), row), 4);
    } else if (bLayout == Layout::RowMajorN) {
      b = swizzle(k, t.bn / 8, k.and_(lane, 15), k.add(k.mul(wc, wn / 8), k.shr(lane, 4)));
    } else {
      Value half = k.xor_(k.shr(lane, 4), k.and_(k.shr(lane, 2), 1));
      b = k.add(k.mul(k.mul(wc, wn / 16), t.bk * 32), k.add(k.shl(k.and_(lane, 15), 5), k.shl(half, 4)));
    }
    b = k.add(b, factors.rightAt);
  }

  SmallVector<Values> loadA(Value slot, unsigned ks) {
    if (left)
      return left->make(left->fetch(slot, ks), ks);
    Value p = k.sptr(k.xor_(k.add(slot, a), ks * 32));
    SmallVector<Values> all;
    for (unsigned i = 0; i < t.mi(); ++i)
      all.push_back(k.ldmatrix4(k.gep(p, i * 16 * t.rowBytes()), false));
    return all;
  }

  SmallVector<Values> loadB(Value slot, unsigned ks) {
    Value base = k.add(slot, b);
    SmallVector<Values> all;
    unsigned pairs = t.ni() / 2;
    if (bLayout == Layout::RowMajorK) {
      Value p = k.sptr(k.xor_(base, ks * 32));
      for (unsigned j = 0; j < pairs; ++j)
        all.push_back(k.ldmatrix4(k.gep(p, j * 16 * t.rowBytes()), false));
    } else if (bLayout == Layout::RowMajorN) {
      // 16 columns are one chunk of integers or two of halves; a step is 32 or 16 k's.
      unsigned columnBytes = 16 * t.elementBytes;
      for (unsigned j = 0; j < pairs; ++j)
        all.push_back(k.ldmatrix4(k.gep(k.sptr(k.xor_(base, j * columnBytes)), ks * 32 * t.bn), true));
    } else {
      Value p = k.sptr(base);
      for (unsigned j = 0; j < pairs; ++j)
        all.push_back(k.ldmatrix4(k.gep(p, j * t.rowBytes() * 16 + ks * 512), true));
    }
    return all;
  }

  /// What an instruction takes, of what loadB brought.
  SmallVector<Values> operandsOf(ArrayRef<Values> loaded) {
    if (!columnsTakeTurns(t, bLayout))
      return SmallVector<Values>(loaded);
    SmallVector<Values> all;
    for (const Values &four : loaded)
      all.push_back(int8Fragments(k, four));
    return all;
  }

private:
  KernelBuilder &k;
  const MmaTile &t;
  Layout bLayout;
  LeftFragments *left;
  Value a, b;
};

/// What a loop has in registers of slabs that it has fetched and not put yet, as values that it carries.
class Fetched {
public:
  /// Fetches the source's next `lookahead` slabs, from `state` on, which moves behind them.
  Fetched(TileSource &source, Values &state, unsigned lookahead);
  /// From what a loop carries.
  Values carried() const;
  void assign(ValueRange values);
  unsigned size() const;
  /// Answers the oldest slab's chunks and fetches the next slab's: those of `state`, which moves behind it.
  SmallVector<Values> next(Values &state);

private:
  SmallVector<Values> fetch(Values &state);
  TileSource &source;
  std::deque<SmallVector<Values>> slabs;
};

Fetched::Fetched(TileSource &source, Values &state, unsigned lookahead) : source(source) {
  for (unsigned slab = 0; slab < lookahead; ++slab)
    slabs.push_back(fetch(state));
}

SmallVector<Values> Fetched::fetch(Values &state) {
  source.beginSlab(state);
  SmallVector<Values> chunks;
  for (unsigned i = 0; i < source.count; ++i)
    chunks.push_back(source.fetch(i));
  state = source.advance(state);
  return chunks;
}

SmallVector<Values> Fetched::next(Values &state) {
  slabs.push_back(fetch(state));
  SmallVector<Values> oldest = std::move(slabs.front());
  slabs.pop_front();
  return oldest;
}

Values Fetched::carried() const {
  Values all;
  for (const SmallVector<Values> &slab : slabs)
    for (const Values &chunk : slab)
      all.append(chunk);
  return all;
}

void Fetched::assign(ValueRange values) {
  for (SmallVector<Values> &slab : slabs)
    for (Values &chunk : slab)
      for (Value &v : chunk)
        v = values.front(), values = values.drop_front();
}

unsigned Fetched::size() const { return carried().size(); }

void append(Values &to, const SmallVector<Values> &from) {
  for (const Values &v : from)
    to.append(v);
}

SmallVector<Values> regroup(ValueRange flat, unsigned each) {
  SmallVector<Values> groups;
  for (unsigned i = 0; i < flat.size(); i += each)
    groups.push_back(Values(flat.slice(i, each)));
  return groups;
}

} // namespace

SmallVector<Value> kt::gpu::emitMainLoop(KernelBuilder &k, const MmaTile &t, Factors &factors, const GemmProblem &p,
                                         Value k0, Value slabs, function_ref<void()> wait) {
  TileSource &a = *factors.left, &b = *factors.right;
  unsigned slotBytes = factors.slotBytes, copies = a.count + b.count, steps = t.steps();
  auto multiply = [&](const Values &x, ArrayRef<Value> y, const Values &sums) {
    return t.elementBytes == 1 ? k.mmaInt8(x, p.isUnsigned(0), y, p.isUnsigned(1), sums) : k.mma(x, y, sums, p.lhsType);
  };
  Value first = k.shared(), end = k.add(first, t.stages * slotBytes);
  auto bump = [&](Value slot) {
    Value next = k.add(slot, slotBytes);
    return k.sel(k.cmp(Pred::eq, next, end), first, next);
  };
  Fragments fragments(k, t, factors);
  Values stateA = a.start(k0), stateB = b.start(k0);
  auto put = [&](Value slot, unsigned from, unsigned to, ArrayRef<Values> fetched) {
    for (unsigned i = from; i < std::min(to, copies); ++i) {
      if (i < a.count)
        a.put(i, k.add(slot, factors.leftAt), fetched[i]);
      else
        b.put(i - a.count, k.add(slot, factors.rightAt), fetched[i]);
    }
  };
  if (!factors.constantWeights)
    wait();
  // Weights first.
  std::optional<Fetched> leftFetched, rightFetched;
  auto putFirst = [&](bool left, bool commit) {
    Fetched &from = left ? leftFetched.emplace(a, stateA, a.lookahead) : rightFetched.emplace(b, stateB, b.lookahead);
    for (unsigned s = 0; s + 1 < t.stages; ++s) {
      SmallVector<Values> fetched(left ? 0 : a.count);
      llvm::append_range(fetched, from.next(left ? stateA : stateB));
      put(k.add(first, s * slotBytes), left ? 0 : a.count, left ? a.count : copies, fetched);
      if (commit)
        k.cpAsyncCommit();
    }
  };
  bool leftFirst = factors.fragments != nullptr;
  putFirst(leftFirst, false);
  if (factors.constantWeights)
    wait();
  putFirst(!leftFirst, true);
  Fetched &fromA = *leftFetched, &fromB = *rightFetched;
  auto fetch = [&] {
    SmallVector<Values> all = fromA.next(stateA);
    llvm::append_range(all, fromB.next(stateB));
    return all;
  };
  k.cpAsyncWait(t.stages - 2);
  k.barrier();
  SmallVector<Values> fa = fragments.loadA(first, 0), fb = fragments.loadB(first, 0);
  unsigned mi = t.mi(), ni = t.ni(), numAcc = mi * ni * 4, numA = mi * 4, numB = ni / 2 * 4;
  Values inits(numAcc, k.zero(t.elementBytes == 1 ? k.i32 : p.accType));
  append(inits, fa);
  append(inits, fb);
  inits.append(stateA);
  inits.append(stateB);
  inits.append(fromA.carried());
  inits.append(fromB.carried());
  inits.push_back(first);
  inits.push_back(k.add(first, (t.stages - 1) * slotBytes));
  unsigned sizeA = stateA.size(), sizeB = stateB.size(), perStep = (copies + steps - 2) / std::max(1u, steps - 1);

  // The next launch's weights would be in the way of what this one still has to ask for. Where slabs are in registers
  // there is none for it, and it is said behind the loop.
  bool scarce = a.lookahead || b.lookahead;
  auto beginAfter = [&](Value asked) {
    if (!scarce)
      k.ifThen(k.cmp(Pred::sge, asked, slabs), [&] { k.letNextBegin(); });
  };
  beginAfter(k.c(t.stages - 1));
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value slab, ValueRange args) {
    SmallVector<Values> acc = regroup(args.take_front(numAcc), 4);
    ValueRange rest = args.drop_front(numAcc);
    SmallVector<Values> fa = regroup(rest.take_front(numA), 4), fb = regroup(rest.slice(numA, numB), 4);
    rest = rest.drop_front(numA + numB);
    auto take = [&](unsigned size) {
      ValueRange some = rest.take_front(size);
      rest = rest.drop_front(size);
      return some;
    };
    stateA = Values(take(sizeA)), stateB = Values(take(sizeB));
    fromA.assign(take(fromA.size())), fromB.assign(take(fromB.size()));
    Value read = rest[0], write = rest[1];
    SmallVector<Values> fetched = fetch();
    for (unsigned ks = 0; ks < steps; ++ks) {
      if (ks == steps - 1) {
        k.cpAsyncWait(t.stages - 2);
        k.barrier();
        read = bump(read);
      } else {
        put(write, ks * perStep, (ks + 1) * perStep, fetched);
        if (ks + 2 == steps) {
          k.cpAsyncCommit();
          beginAfter(k.add(slab, t.stages));
        }
      }
      SmallVector<Values> nextB = fragments.loadB(read, (ks + 1) % steps),
                          nextA = fragments.loadA(read, (ks + 1) % steps);
      SmallVector<Values> right = fragments.operandsOf(fb);
      // Back and forth over the warp tile, so that a fragment is used twice in a row.
      for (unsigned i = 0; i < mi; ++i)
        for (unsigned jj = 0; jj < ni; ++jj) {
          unsigned j = i % 2 ? ni - 1 - jj : jj;
          acc[i * ni + j] = multiply(fa[i], ArrayRef(right[j / 2]).slice(j % 2 * 2, 2), acc[i * ni + j]);
        }
      fa = nextA, fb = nextB;
    }
    Values out;
    append(out, acc);
    append(out, fa);
    append(out, fb);
    out.append(stateA);
    out.append(stateB);
    out.append(fromA.carried());
    out.append(fromB.carried());
    out.push_back(read);
    out.push_back(bump(write));
    return out;
  });
  if (scarce)
    k.letNextBegin();
  k.cpAsyncWait(0);
  return Values(ArrayRef(result).take_front(numAcc));
}
