//===- FlashTiles.cpp - what tensor-core attention kernels share ----------===//

#include "codegen/Gpu/Attention/FlashTiles.h"
#include "codegen/Gpu/Builder/Pages.h"
#include "codegen/Gpu/Product/Gemm.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

unsigned kt::gpu::rowChunks(int64_t n) { return headPitch(n) / 16; }

bool kt::gpu::mayBeLowest(AttentionOp op) {
  return llvm::any_of(op.getScore().front(), [](Operation &o) {
    if (auto read = dyn_cast<ReadOp>(o))
      return isa<FloatType>(read.getType()) && !read.getType().isF16();
    auto constant = dyn_cast<arith::ConstantOp>(o);
    auto f = constant ? dyn_cast<FloatAttr>(constant.getValue()) : FloatAttr();
    return f && f.getValue().isFinite() && f.getValueAsDouble() < -1e38;
  });
}

std::optional<double> kt::gpu::plainScale(AttentionOp op) {
  Block &block = op.getScore().front();
  Value yielded = block.getTerminator()->getOperand(0);
  if (yielded == block.getArgument(0))
    return 1;
  auto product = yielded.getDefiningOp<arith::MulFOp>();
  APFloat factor(0.f);
  if (!product || product.getLhs() != block.getArgument(0) || !matchPattern(product.getRhs(), m_ConstantFloat(&factor)))
    return std::nullopt;
  double scale = factor.convertToDouble();
  return scale > 0 && std::isfinite(scale) ? std::optional(scale) : std::nullopt;
}

HeadRows kt::gpu::headRows(KernelBuilder &k, Value buffer, ArrayRef<Expr> strides, Value b, Value h, Value rows,
                           int64_t columns, Value page, Value first) {
  HeadRows from{headStart(k, buffer, strides, b, h, page), strides[2], strides[3], rows, columns, {}, {}};
  if (k.pagedAxis(buffer) >= 0)
    from.before = firstOfPage(k, first);
  return from;
}

void kt::gpu::copyRows(KernelBuilder &k, const HeadRows &from, Type type, Value first, unsigned count, Value slot,
                       unsigned chunks, bool aligned) {
  unsigned used = padTo16(from.columns) / 8, threads = k.bounds.threads;
  auto copyChunk = [&](Value q, bool all) {
    Value r = k.div(q, used), c = k.rem(q, used), row = k.add(first, r);
    auto copy = [&] {
      Value to = k.sptr(k.add(slot, swizzle(k, chunks, r, c)));
      Value inRow = k.lt(row, from.rows), column = k.shl(c, 3);
      if (from.first)
        inRow = k.and_(inRow, k.cmp(Pred::sge, row, from.first));
      Value offset = k.mul(from.before ? k.sub(row, from.before) : row, k.size(from.rowStride));
      if (aligned) {
        Value inside = k.and_(inRow, k.lt(column, from.columns));
        return k.cpAsync16(to, k.at(from.base, k.add(offset, column), 2), k.sel(inside, k.c(16), k.c(0)));
      }
      Values elements;
      for (unsigned e = 0; e < 8; ++e) {
        Value x = k.add(column, e), inside = k.and_(inRow, k.lt(x, from.columns));
        Value at = k.at(from.base, k.add(offset, k.mul(x, k.size(from.columnStride))), 2);
        elements.push_back(k.ifElse(
            inside, type, [&]() -> Values { return {k.loadElement(at, type)}; },
            [&]() -> Values { return {k.zero(type)}; })[0]);
      }
      k.storeElements(elements, to);
    };
    if (all)
      copy();
    else
      k.ifThen(k.lt(q, count * used), copy);
  };
  // Few threads have many chunks: a loop keeps their addresses out of the registers.
  if (count * used > 8 * threads) {
    k.forLoop(k.tid(), k.c(count * used), k.c(threads), {},
              [&](Value q, ValueRange) -> Values { return copyChunk(q, true), Values(); });
    return;
  }
  for (unsigned at = 0; at < count * used; at += threads)
    copyChunk(k.add(k.tid(), at), at + threads <= count * used);
}

KeysAndValues::KeysAndValues(KernelBuilder &k, const AttentionProblem &p, Value b, Value g, Value begin, Value end,
                             unsigned blockKeys, bool paged)
    : k(k), p(p), b(b), g(g), begin(begin), end(end), blockKeys(blockKeys) {
  if (!paged)
    keys = rowsOf(false, {}, {}), values = rowsOf(true, {}, {});
}

HeadRows KeysAndValues::rowsOf(bool ofValues, Value page, Value j) const {
  AttentionOp op = p.op;
  Value buffer = k.bufferOf(ofValues ? op.getValue() : op.getKey());
  HeadRows rows = headRows(k, buffer, ofValues ? p.value : p.key, b, g, end, ofValues ? p.e : p.d, page, j);
  rows.first = begin;
  return rows;
}

void KeysAndValues::copy(Value j, Value page, Type type, Value slot, const KeyTile &tile, bool aligned) {
  if (page)
    keys = rowsOf(false, page, j), values = rowsOf(true, page, j);
  copyRows(k, keys, type, j, blockKeys, slot, tile.chunksD, aligned);
  copyRows(k, values, type, j, blockKeys, k.add(slot, tile.bytesK), tile.chunksE, aligned);
}

Value kt::gpu::packHalves(KernelBuilder &k, Type type, Value x, Value y) {
  Value v = LLVM::UndefOp::create(k.b, k.loc, k.vec(2, type));
  v = LLVM::InsertElementOp::create(k.b, k.loc, v, k.convert(x, type), k.c(0));
  v = LLVM::InsertElementOp::create(k.b, k.loc, v, k.convert(y, type), k.c(1));
  return LLVM::BitcastOp::create(k.b, k.loc, k.i32, v);
}

Values kt::gpu::takeScores(KernelBuilder &k, MutableArrayRef<Value> scores, RunningRows &rows, Value toPower,
                           bool lowest) {
  Values factor;
  unsigned tiles = scores.size() / 4;
  for (unsigned r = 0; r < 2; ++r) {
    Value m = rows.most[r];
    for (unsigned j = 0; j < tiles; ++j)
      m = k.maxf(k.maxf(m, scores[j * 4 + r * 2]), scores[j * 4 + r * 2 + 1]);
    m = k.maxf(m, k.shuffleXor(m, 1));
    m = k.maxf(m, k.shuffleXor(m, 2));
    Value top = originOf(k, m), shift = k.subf(k.cf(0), k.mulf(top, toPower));
    // Next to the largest, which counts as one, what would be a denormal is nothing.
    auto power = [&](Value x) {
      return k.exp2Flushed(lowest ? k.mulf(k.subf(x, top), toPower) : k.fma(x, toPower, shift));
    };
    factor.push_back(power(rows.most[r]));
    Value total = k.mulf(rows.sum[r], factor[r]);
    for (unsigned j = 0; j < tiles; ++j)
      for (unsigned e = 0; e < 2; ++e) {
        Value &x = scores[j * 4 + r * 2 + e];
        x = power(x);
        total = k.addf(total, x);
      }
    rows.most[r] = m, rows.sum[r] = total;
  }
  return factor;
}
