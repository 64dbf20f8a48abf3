//===- DecodeIntegers.cpp - few queries over keys and values of 8 bits ----===//

#include "codegen/Gpu/Attention/DecodeIntegers.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Values DecodeIntegers::loadQueries(llvm::function_ref<Value(unsigned, unsigned)> at) {
  Values fragments;
  for (unsigned step = 0; step < padTo16(p.d) / 16; ++step) {
    Values two[2];
    for (unsigned r = 0; r < 2; ++r)
      two[r] = k.loadElements(at(r, step), k.i32, 2);
    fragments.append({two[0][0], two[1][0], two[0][1], two[1][1]});
  }
  return fragments;
}

void DecodeIntegers::multiply(Value slot, ArrayRef<Value> queries, Values &s) {
  Value row = k.add(firstKey, k.add(k.and_(lane, 7), k.shl(k.shr(lane, 4), 3)));
  Value keys = k.add(slot, swizzle(k, tile.chunksD, row, k.and_(k.shr(lane, 3), 1)));
  unsigned steps = padTo16(p.d) / 16;
  for (unsigned step = 0; step < steps; step += 2) {
    Value ofSteps = k.xor_(keys, step * 16);
    for (unsigned first = 0; first < warpKeys / 8; first += 2) {
      // Eight keys' words of two steps, and those of the next eight keys.
      Values words = k.ldmatrix4(k.sptr(k.add(ofSteps, first * 8 * tile.chunksD * 16)), false);
      for (unsigned i = 0; i < 4; ++i) {
        unsigned q = (first + i / 2) * 4, at = step + i % 2;
        if (at == steps) // the last one is alone
          continue;
        Values right = {widenBytes(k, words[i], 0, type), widenBytes(k, words[i], 1, type)};
        llvm::copy(k.mma(queries.slice(at * 4, 4), right, ArrayRef(s).slice(q, 4), type), &s[q]);
      }
    }
  }
}

/// Transposed as halves are, bytes come in pairs of columns: a word has two of one key and two of the next, and of two
/// tiles one has the columns that are even.
void DecodeIntegers::add(Value slot, unsigned part, ArrayRef<Value> left, Values &sums) {
  Value row = k.add(firstKey, k.add(k.and_(lane, 15), part));
  Value v = k.add(k.add(slot, tile.bytesK), swizzle(k, tile.chunksE, row, k.shr(lane, 4)));
  unsigned tiles = padTo16(p.e) / 8;
  for (unsigned first = 0; first < tiles; first += 4) {
    Values words = k.ldmatrix4(k.sptr(k.xor_(v, first * 8)), true);
    for (unsigned i = 0; i < 4 && first + i < tiles; ++i) {
      unsigned q = (first + i) * 4, odd = i % 2;
      Values right;
      for (unsigned half = 0; half < 2; ++half)
        right.push_back(widenBytes(k, words[i / 2 * 2 + half], odd, odd + 2, type));
      llvm::copy(k.mma(left, right, ArrayRef(sums).slice(q, 4), type), &sums[q]);
    }
  }
}

Values DecodeIntegers::neighbours(ArrayRef<Value> sums, unsigned first, unsigned r) {
  Values four;
  for (unsigned i = 0; i < 4; ++i)
    four.push_back(sums[(first + i % 2) * 4 + r * 2 + i / 2]);
  return four;
}

Values DecodeIntegers::loadScales(Value batch, Value group, Value j0, Value end, Value page) {
  Value j = k.add(k.add(j0, firstKey), k.and_(lane, warpKeys - 1)), inside = k.lt(j, end);
  return {scaleOf(k, *p.keyScales, batch, group, j, page, inside),
          scaleOf(k, *p.valueScales, batch, group, j, page, inside)};
}

Values DecodeIntegers::ofColumns(Value ofLane) {
  Values list;
  for (unsigned column = 0; column < warpKeys; column += 8)
    for (unsigned e = 0; e < 2; ++e)
      list.push_back(k.shuffleIdx(ofLane, k.add(k.shl(k.and_(lane, 3), 1), column + e)));
  return list;
}

Value DecodeIntegers::largest(Value ofLane) {
  for (unsigned mask = 1; mask < warpKeys; mask *= 2)
    ofLane = k.maxf(ofLane, k.shuffleXor(ofLane, mask));
  return ofLane;
}
