//===- CudaCore.cpp - the register-tiled main loop ------------------------===//

#include "codegen/Gpu/Product/CudaCore.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Values SlabFetch::four(Value row, Value kk) { return k.loadElements(pointer(row, kk), type, 4); }

namespace {

constexpr unsigned kFmasInARow = 128;

class PanelFetch : public SlabFetch {
public:
  PanelFetch(KernelBuilder &k, Type element, bool isUnsigned, Value base, Value columns, Value depth)
      : SlabFetch(k), base(base), depth(depth) {
    type = element, fromUnsigned = isUnsigned, alongK = false, vector = true;
    padded = k.and_(k.add(columns, 15), -16);
  }
  Value valid(Value row, Value kk) override { return k.and_(k.lt(row, padded), k.lt(kk, depth)); }
  Value pointer(Value row, Value kk) override {
    Value at = k.add(k.shl(k.add(k.mul(k.shr(row, 4), depth), kk), 4), k.and_(row, 15));
    return k.at(base, at, elementBytes(type));
  }

private:
  Value base, depth, padded;
};

/// One operand's way from memory through registers into [k][row] tiles.
class Mover {
public:
  Mover(KernelBuilder &k, SlabFetch &f, unsigned rows, unsigned bk, unsigned pitch, unsigned threads, Type acc)
      : k(k), f(f), rows(rows), bk(bk), pitch(pitch), threads(threads), acc(acc),
        count((rows * bk / 4 + threads - 1) / threads) {}

  /// Chunk `i` of this thread: its first row and k within the tile.
  std::pair<Value, Value> chunk(unsigned i) {
    Value q = k.add(k.tid(), i * threads);
    if (f.alongK)
      return {k.div(q, bk / 4), k.shl(k.rem(q, bk / 4), 2)};
    return {k.shl(k.rem(q, rows / 4), 2), k.div(q, rows / 4)};
  }

  Values fetch(Value row0, Value k0) {
    Values all;
    for (unsigned i = 0; i < count; ++i) {
      auto [r, kk] = chunk(i);
      Value row = k.add(row0, r), at = k.add(k0, kk);
      if (f.vector) {
        all.append(k.ifElse(
            f.valid(row, at), SmallVector<Type>(4, f.type), [&] { return f.four(row, at); },
            [&] { return Values(4, k.zero(f.type)); }));
        continue;
      }
      for (unsigned e = 0; e < 4; ++e) {
        Value re = f.alongK ? row : k.add(row, e), ke = f.alongK ? k.add(at, e) : at;
        all.push_back(k.ifElse(
            f.valid(re, ke), f.type, [&]() -> Values { return {k.loadElement(f.pointer(re, ke), f.type)}; },
            [&]() -> Values { return {k.zero(f.type)}; })[0]);
      }
    }
    return all;
  }

  void put(ValueRange fetched, Value slot) {
    int64_t bytes = elementBytes(acc);
    for (unsigned i = 0; i < count; ++i) {
      auto [r, kk] = chunk(i);
      Values four;
      for (Value v : fetched.slice(i * 4, 4))
        four.push_back(toAccumulator(k, v, f.fromUnsigned, acc));
      Value place = k.at(k.sptr(slot), k.add(k.mul(kk, pitch), r), bytes);
      auto store = [&] {
        if (!f.alongK)
          return k.storeElements(four, place);
        for (unsigned e = 0; e < 4; ++e)
          k.storeElement(four[e], k.gep(place, e * pitch * bytes));
      };
      if ((i + 1) * threads * 4 > rows * bk)
        k.ifThen(k.lt(k.add(k.tid(), i * threads), rows * bk / 4), store);
      else
        store();
    }
  }

private:
  KernelBuilder &k;
  SlabFetch &f;
  unsigned rows, bk, pitch, threads;
  Type acc;
  unsigned count;
};

/// Row (or column) `i` of a thread's register tile: groups of four, spread over the tile.
Value spread(KernelBuilder &k, Value thread, unsigned i, unsigned each, unsigned size) {
  if (each < 4)
    return k.add(k.mul(thread, each), i);
  return k.add(k.shl(thread, 2), i / 4 * (size / (each / 4)) + i % 4);
}
Value spread(KernelBuilder &k, Value thread, Value i, unsigned each, unsigned size) {
  if (each <= 4)
    return k.add(k.mul(thread, each), i);
  return k.add(k.shl(thread, 2), k.add(k.mul(k.div(i, 4), size / (each / 4)), k.rem(i, 4)));
}

} // namespace

std::unique_ptr<SlabFetch> kt::gpu::panelFetch(KernelBuilder &k, Type element, bool isUnsigned, Value base,
                                               Value columns, Value depth) {
  return std::make_unique<PanelFetch>(k, element, isUnsigned, base, columns, depth);
}

Value kt::gpu::toAccumulator(KernelBuilder &k, Value element, bool isUnsigned, Type acc) {
  if (isUnsigned && isa<IntegerType>(element.getType()) && element.getType() != acc && isa<IntegerType>(acc))
    return arith::ExtUIOp::create(k.b, k.loc, acc, element);
  return k.convert(element, acc);
}

Values kt::gpu::emitSimtLoop(KernelBuilder &k, const SimtTile &t, SlabFetch &a, SlabFetch &b, Type acc, Value m0,
                             Value n0, Value firstSlab, Value slabs) {
  int64_t bytes = elementBytes(acc), slotBytes = t.slotBytes(elementBytes(acc)),
          offsetB = (int64_t)t.bk * t.pitchA() * bytes;
  Mover moveA(k, a, t.bm, t.bk, t.pitchA(), t.threads(), acc), moveB(k, b, t.bn, t.bk, t.pitchB(), t.threads(), acc);
  Value ty = k.div(k.tid(), t.bn / t.tn), tx = k.rem(k.tid(), t.bn / t.tn);
  Value first = k.shared();
  Value start = k.mul(firstSlab, t.bk);
  moveA.put(moveA.fetch(m0, start), first);
  moveB.put(moveB.fetch(n0, start), k.add(first, offsetB));
  k.barrier();
  Values inits(t.tm * t.tn, k.zero(acc));
  inits.push_back(first);
  bool isFloat = isa<FloatType>(acc);
  Values result = k.forLoop(k.c(0), slabs, k.c(1), inits, [&](Value s, ValueRange args) {
    Values sums(args.drop_back());
    Value slot = args.back(), next = k.sub(k.add(k.shl(first, 1), slotBytes), slot);
    // The last slab fetches what nobody uses, nothing at all past the end.
    Value k0 = k.add(start, k.mul(k.add(s, 1), t.bk));
    Values nextA = moveA.fetch(m0, k0), nextB = moveB.fetch(n0, k0);
    auto load = [&](Value base, unsigned pitch, Value first, unsigned step, Value thread, unsigned each,
                    unsigned size) {
      Values all;
      unsigned group = std::min(each, 4u);
      Value row = k.add(base, k.mul(first, pitch * bytes));
      for (unsigned i = 0; i < each; i += group) {
        Value p = k.at(k.sptr(row), spread(k, thread, i, each, size), bytes);
        all.append(k.loadElements(k.gep(p, step * pitch * bytes), acc, group));
      }
      return all;
    };
    // As many steps in a row as keep a warp busy; all of a slab's would only be more code.
    unsigned steps = std::min(t.bk, std::max(1u, kFmasInARow / (t.tm * t.tn)));
    sums = k.forLoop(k.c(0), k.c(t.bk), k.c(steps), sums, [&](Value first, ValueRange before) {
      Values after(before);
      for (unsigned step = 0; step < steps; ++step) {
        Values x = load(slot, t.pitchA(), first, step, ty, t.tm, t.bm),
               y = load(k.add(slot, offsetB), t.pitchB(), first, step, tx, t.tn, t.bn);
        for (unsigned i = 0; i < t.tm; ++i)
          for (unsigned j = 0; j < t.tn; ++j) {
            Value &sum = after[i * t.tn + j];
            sum = isFloat ? k.fma(x[i], y[j], sum) : k.add(sum, k.mul(x[i], y[j]));
          }
      }
      return after;
    });
    moveA.put(nextA, next);
    moveB.put(nextB, k.add(next, offsetB));
    k.barrier();
    sums.push_back(next);
    return sums;
  });
  result.pop_back();
  return result;
}

void kt::gpu::emitSimtEpilogue(KernelBuilder &k, const SimtTile &t, const GemmProblem &p, GemmEpilogue &epilogue,
                               ArrayRef<Value> acc, ArrayRef<Value> batch, Value m0, Value n0, Alignment &alignment,
                               unsigned lanes, Value partial) {
  // The epilogue can be long, so there is one of it, in loops: over passes of as many rows as shared memory holds, and
  // over the groups of columns of a pass.
  Type type = p.accType;
  int64_t bytes = elementBytes(type);
  unsigned pitch = t.bn + 4, across = t.bm / t.tm, each = t.tm; // rows of a thread in one pass
  while ((int64_t)across * each * pitch * bytes > t.sharedBytes(elementBytes(type)))
    each /= 2;
  unsigned passes = t.tm / each, rows = across * each, threads = t.threads();
  Value ty = k.div(k.tid(), t.bn / t.tn), tx = k.rem(k.tid(), t.bn / t.tn), base = k.sptr(k.shared());
  auto pass = [&](Value q) {
    if (passes > 1)
      k.barrier();
    for (unsigned i = 0; i < each; ++i) {
      Value row = k.add(k.mul(ty, each), i);
      for (unsigned j = 0; j < t.tn; j += 4) {
        Values sums;
        for (unsigned l = 0; l < 4; ++l) {
          Value sum = acc[i * t.tn + j + l];
          for (unsigned later = 1; later < passes; ++later)
            sum = k.sel(k.cmp(Pred::eq, q, later), acc[(later * each + i) * t.tn + j + l], sum);
          sums.push_back(sum);
        }
        k.storeElements(sums, k.at(base, k.add(k.mul(row, pitch), spread(k, tx, j, t.tn, t.bn)), bytes));
      }
    }
    k.barrier();
    // Calls `put` with the sums of `width` columns, part by part, their row, their first column of the result, and
    // where the first part has that.
    auto walk = [&](unsigned width, llvm::function_ref<void(ValueRange, Value, Value, Value)> put) {
      unsigned chunks = t.bn / p.parts / width, total = rows * chunks;
      Value firstColumn = p.parts == 1 ? n0 : k.div(n0, p.parts);
      k.forLoop(k.tid(), k.c(total), k.c(threads), {}, [&](Value at, ValueRange) -> Values {
        Value r = k.div(at, chunks), own = k.mul(k.rem(at, chunks), width), c = firstPart(k, p, own);
        // Local row r is row i of the r / each-th thread down.
        Value i = k.add(k.mul(q, each), k.rem(r, each));
        Value m = k.add(m0, spread(k, k.div(r, each), i, t.tm, t.bm)), n = k.add(firstColumn, own);
        k.ifThen(k.and_(k.lt(m, k.size(p.m)), k.lt(n, k.size(p.resultColumns))), [&] {
          Values sums;
          for (unsigned part = 0; part < p.parts; ++part)
            sums.append(
                k.loadElements(k.at(base, k.add(k.add(k.mul(r, pitch), c), part * kPanel), bytes), type, width));
          put(sums, m, n, k.add(n0, c));
        });
        return {};
      });
    };
    // The partial sums are padded to whole groups of eight columns.
    auto part = [&] {
      walk(4, [&](ValueRange sums, Value m, Value, Value column) {
        for (unsigned part = 0; part < p.parts; ++part)
          k.storeElements(sums.slice(part * 4, 4), partialPlace(k, p, partial, m, k.add(column, part * kPanel)));
      });
    };
    auto whole = [&] {
      walk(lanes, [&](ValueRange sums, Value m, Value n, Value) { epilogue.emit(sums, batch, m, n, alignment); });
    };
    ifSplit(k, partial, part, whole);
  };
  if (passes == 1)
    return pass(k.c(0));
  k.forLoop(k.c(0), k.c(passes), k.c(1), {}, [&](Value q, ValueRange) -> Values {
    pass(q);
    return {};
  });
}
