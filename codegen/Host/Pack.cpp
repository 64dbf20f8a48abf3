//===- Pack.cpp - packing panels at run time ------------------------------===//

#include "codegen/Host/Pack.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

/// Sixteen rows of eight elements become eight rows of sixteen, in registers.
void transpose(Emitter &e, const PackSource &source, Value from, Type acc, Value out, Value to) {
  constexpr int64_t lanes = 8;
  for (int64_t half = 0; half < kPanel; half += lanes) {
    SmallVector<Value> rows;
    for (int64_t j = 0; j < lanes; ++j)
      rows.push_back(
          e.loadVector(source.pointer, source.element, e.add(from, e.mul(e.idx(half + j), source.alongN)), lanes, acc));
    auto shuffle = [&](Value a, Value b, ArrayRef<int32_t> mask) -> Value {
      return LLVM::ShuffleVectorOp::create(e.b, e.loc, a, b, mask);
    };
    // Interleave neighbours, then pairs, then halves: the patterns of unpack, unpack and permute.
    SmallVector<Value> a(lanes), b(lanes);
    for (int64_t i = 0; i < lanes; i += 2) {
      a[i] = shuffle(rows[i], rows[i + 1], {0, 8, 1, 9, 4, 12, 5, 13});
      a[i + 1] = shuffle(rows[i], rows[i + 1], {2, 10, 3, 11, 6, 14, 7, 15});
    }
    for (int64_t i = 0; i < lanes; i += 4)
      for (int64_t h = 0; h < 2; ++h) {
        b[i + 2 * h] = shuffle(a[i + h], a[i + h + 2], {0, 1, 8, 9, 4, 5, 12, 13});
        b[i + 2 * h + 1] = shuffle(a[i + h], a[i + h + 2], {2, 3, 10, 11, 6, 7, 14, 15});
      }
    for (int64_t i = 0; i < 4; ++i) {
      Value low = shuffle(b[i], b[i + 4], {0, 1, 2, 3, 8, 9, 10, 11});
      Value high = shuffle(b[i], b[i + 4], {4, 5, 6, 7, 12, 13, 14, 15});
      e.storeVector(low, out, acc, e.add(to, e.idx(i * kPanel + half)));
      e.storeVector(high, out, acc, e.add(to, e.idx((i + 4) * kPanel + half)));
    }
  }
}

} // namespace

void kt::codegen::host::packPanels(Emitter &e, const PackSource &source, Value columns, Value depth, Type acc,
                                   Value out, Value panelStride) {
  Value width = e.idx(kPanel), zero = e.idx(0), none = e.constant(acc, 0);
  bool isUnsigned = source.element.isUnsignedInteger();
  auto copy = [&](Value from, Value to) {
    e.store(e.convert(e.load(source.pointer, source.element, from), acc, isUnsigned), out, acc, to);
  };
  APInt one;
  bool kContiguous = matchPattern(source.alongK, m_ConstantInt(&one)) && one.isOne();
  bool vectors = kt::elementBytes(acc) == 4;
  e.loop(zero, e.ceilDiv(columns, kPanel), [&](Value p) {
    Value j0 = e.mul(p, width), valid = e.min(e.sub(columns, j0), width);
    Value from = e.mul(j0, source.alongN), to = e.mul(p, panelStride);
    // Element by element, from depth `k0` on.
    auto edge = [&](Value k0) {
      e.coldLoop(k0, depth, [&](Value i) {
        Value at = e.add(from, e.mul(i, source.alongK)), target = e.add(to, e.mul(i, width));
        e.coldLoop(zero, valid, [&](Value j) { copy(e.add(at, e.mul(j, source.alongN)), e.add(target, j)); });
        e.coldLoop(valid, width, [&](Value j) { e.store(none, out, acc, e.add(target, j)); });
      });
    };
    if (source.nContiguous) {
      e.ifElse(
          e.eq(valid, width),
          [&] {
            e.coldLoop(zero, depth, [&](Value i) {
              Value v = e.loadVector(source.pointer, source.element, e.add(from, e.mul(i, source.alongK)), kPanel, acc);
              e.storeVector(v, out, acc, e.add(to, e.mul(i, width)));
            });
          },
          [&] { edge(zero); });
      return;
    }
    if (!kContiguous || !vectors)
      return edge(zero);
    Value whole = e.select(e.eq(valid, width), e.mul(e.div(depth, e.idx(8)), e.idx(8)), zero);
    e.loop(zero, whole, e.idx(8),
           [&](Value k) { transpose(e, source, e.add(from, k), acc, out, e.add(to, e.mul(k, width))); });
    edge(whole);
  });
}
