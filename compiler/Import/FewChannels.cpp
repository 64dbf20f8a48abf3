//===- FewChannels.cpp - convolutions over an image's few channels --------===//
//
// Tensor cores take channels in chunks of 16 bytes, and an image has three. Where a convolution steps over s positions,
// the s positions of a step are as good as channels:
//
//   y[o, p] = sum x[c, p s + t] w[o, c, t]             x' [c s + d, q]  = x[c, q s + d]
//                                               ->     w'[o, c s + d, t] = w[o, c, t s + d]
//                                                      y[o, p] = sum x'[c', p + t] w'[o, c', t]
//
// A first layer of 7x7 taps in steps of two has 16 taps of 12 channels so, in whole chunks 256 numbers for the 147 that
// there are, where 3 channels in chunks would be 784. What is beyond the kernel or the channels has weights of zero.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

/// Products that there are to be, at most, for one that there is, of integers and of halves: these have kernels for few
/// channels, if slow ones.
constexpr int64_t kMostOfIntegers = 6, kMostOfHalves = 3, kChunkOfHalves = 8;

/// Channels of a chunk that a convolution of both takes; 1 where it takes any number.
int64_t chunkOf(Node &n, Value x, Value w) {
  const ImportOptions &options = n.importer.options;
  Type a = n.type(x).getElementType(), b = n.type(w).getElementType();
  if (a.isInteger(8) && b.isInteger(8))
    return options.integerChunk;
  bool halves = a == b && (a.isF16() || a.isBF16() || (a.isF32() && options.toHalves));
  return halves && options.integerChunk > 1 ? kChunkOfHalves : 1;
}

int64_t product(ArrayRef<int64_t> numbers) {
  int64_t all = 1;
  for (int64_t v : numbers)
    all *= v;
  return all;
}

/// Channel `c` of what has `steps` positions for each of a channel, as the channel and the positions.
SmallVector<Value> splitChannel(Body &b, Value c, ArrayRef<int64_t> steps) {
  SmallVector<Value> parts(steps.size() + 1);
  for (size_t i = steps.size(); i-- > 0;) {
    parts[i + 1] = b.math<arith::RemUIOp>(c, b.idx(steps[i]));
    c = b.math<arith::DivUIOp>(c, b.idx(steps[i]));
  }
  parts[0] = c;
  return parts;
}

} // namespace

void import::fillChannels(Node &n, Value &x, Value &w, Window &window, Value padding) {
  SmallVector<Expr> in = n.dims(x), weights = n.dims(w);
  int64_t chunk = chunkOf(n, x, w);
  if (chunk == 1 || !n.type(w).hasStaticShape() || !n.bytes(w) || n.attrInt("group", 1) != 1)
    return;
  int64_t channels = *weights[1].asConstant(), taps = product(window.kernel);
  bool integers = n.type(x).getElementType().isInteger();
  if (channels < 1 || channels % chunk == 0 || (!integers && channels > chunk))
    return;
  // In steps of one the channels alone are filled up.
  SmallVector<int64_t> ones(window.strides.size(), 1), steps(window.strides);
  auto depthWith = [&](ArrayRef<int64_t> steps) {
    int64_t all = llvm::alignTo(channels * product(steps), chunk);
    for (auto [size, step] : llvm::zip(window.kernel, steps))
      all *= llvm::divideCeil(size, step);
    return all;
  };
  constexpr int64_t kMostStep = 64;
  bool known = llvm::all_of(window.dilations, [](int64_t d) { return d == 1; }) &&
               llvm::all_of(steps, [](int64_t s) { return s <= kMostStep; });
  if (!known || depthWith(steps) > depthWith(ones))
    steps = ones;
  if (depthWith(steps) > (integers ? kMostOfIntegers : kMostOfHalves) * channels * taps)
    return;
  int64_t whole = llvm::alignTo(channels * product(steps), chunk);
  bool inSteps = steps != ones;
  Window after = window;
  SmallVector<Expr> image = in, filter = weights;
  image[1] = filter[1] = n.expr(whole);
  SmallVector<int64_t> checked{1};
  for (auto [i, step] : llvm::enumerate(steps)) {
    if (!inSteps)
      continue;
    after.kernel[i] = llvm::divideCeil(window.kernel[i], step);
    after.strides[i] = 1;
    after.padBegin[i] = after.padEnd[i] = n.expr(0);
    image[i + 2] = window.out[i] + n.expr(after.kernel[i] - 1);
    filter[i + 2] = n.expr(after.kernel[i]);
    checked.push_back(i + 2);
  }
  auto filled = [&](Value v, ArrayRef<Expr> dims, ArrayRef<Expr> before, Value outside) {
    SmallVector<Value> operands{v};
    if (outside)
      operands.push_back(outside);
    return n.generic(n.tensor(dims, n.type(v).getElementType()), operands, [&](Body &b) {
      SmallVector<Value> at = b.indices(), parts = splitChannel(b, at[1], steps);
      at[1] = parts[0];
      for (auto [i, step] : llvm::enumerate(steps))
        if (inSteps)
          at[i + 2] = b.sub(b.add(b.mul(at[i + 2], b.idx(step)), parts[i + 1]), b.size(before[i]));
      Value otherwise =
          outside ? b.read(1, SmallVector<Value>(n.type(outside).getRank(), b.idx(0))) : b.zero(n.type(v).scalarType());
      return b.readOr(0, at, otherwise, checked);
    });
  };
  x = filled(x, image, window.padBegin, padding);
  w = filled(w, filter, SmallVector<Expr>(steps.size(), n.expr(0)), {});
  window = after;
}
