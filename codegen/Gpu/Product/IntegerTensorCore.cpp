//===- IntegerTensorCore.cpp - fragments of 8-bit integers ----------------===//
//
// Integers of 8 bits take the main loop of halves (TensorCore.cpp): a fragment is as many bytes, and where neighbours
// in memory are k's ldmatrix loads it as if they were pairs. Where they are columns, in packed weights [n / 16][k][16]
// and right sides [k][n], an instruction wants four k's of a column in a register, and ldmatrix transposes no bytes. It
// does transpose pairs of columns: a lane gets two columns of two rows, whichever rows they are. So the rows of one 8x8
// matrix are the first two of each four k's and those of the next one the last two; two permutations of bytes make of
// both a register of the even column and one of the odd one:
//
//            columns 2g, 2g + 1                      k = 4t .. 4t + 3
//   k = 4t      a0 b0   one                 even      a0 a1 a2 a3
//       4t + 1  a1 b1   register     ->
//       4t + 2  a2 b2   another             odd       b0 b1 b2 b3
//       4t + 3  a3 b3   one
//
// Weights stay as they are packed for all other kernels, copies are asynchronous, and it is half a permutation for each
// instruction of the tensor cores in the largest tiles. A fragment has every other column of sixteen, so that a lane's
// sums of two are of four neighbours. For warpgroups the weights are the left factor: both registers are rows of one
// fragment.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value kt::gpu::int8Row(KernelBuilder &k, Value row) {
  // Rows 0, 1, 4, 5 and 8, 9, 12, 13, which one matrix has, would be in the same banks.
  return k.xor_(row, k.and_(k.shr(row, 2), 2));
}

Value kt::gpu::int8FragmentRow(KernelBuilder &k) {
  Value lane = k.and_(k.tid(), 31), row = k.and_(lane, 7), matrix = k.shr(lane, 3);
  Value four = k.add(k.shl(k.shr(row, 1), 2), k.and_(row, 1));
  return k.add(four, k.add(k.shl(k.and_(matrix, 1), 1), k.shl(k.shr(matrix, 1), 4)));
}

Values kt::gpu::int8Fragments(KernelBuilder &k, ArrayRef<Value> loaded) {
  Values all;
  for (unsigned selector : {0x6420, 0x7531})
    for (unsigned half = 0; half < 2; ++half)
      all.push_back(k.permute(loaded[half * 2], loaded[half * 2 + 1], selector));
  return all;
}

namespace {

/// As a left factor a fragment has the even columns of sixteen in its upper eight rows and the odd ones below.
class PanelFragments : public LeftFragments {
public:
  PanelFragments(KernelBuilder &k, const MmaTile &t, unsigned at) : k(k), t(t) {
    Value panel = k.mul(k.rem(k.shr(k.tid(), 5), t.warpCols), t.mi());
    place = k.add(k.shl(k.add(k.mul(panel, t.bk), int8Row(k, int8FragmentRow(k))), 4), at);
  }
  Values fetch(Value slot, unsigned step) override {
    Value from = k.sptr(k.add(slot, place));
    Values fetched;
    for (unsigned i = 0; i < t.mi(); ++i)
      fetched.append(k.ldmatrix4(k.gep(from, i * t.bk * 16 + step * 512), true));
    return fetched;
  }
  SmallVector<Values> make(ValueRange fetched, unsigned step) override {
    SmallVector<Values> all;
    for (unsigned i = 0; i < t.mi(); ++i) {
      Values f = int8Fragments(k, Values(fetched.slice(i * 4, 4)));
      all.push_back({f[0], f[2], f[1], f[3]});
    }
    return all;
  }

private:
  KernelBuilder &k;
  const MmaTile &t;
  Value place;
};

} // namespace

std::unique_ptr<LeftFragments> kt::gpu::int8PanelFragments(KernelBuilder &k, const MmaTile &t, unsigned at) {
  return std::make_unique<PanelFragments>(k, t, at);
}

bool kt::gpu::columnsTakeTurns(const MmaTile &t, Layout bLayout) {
  return t.elementBytes == 1 && bLayout != Layout::RowMajorK;
}
