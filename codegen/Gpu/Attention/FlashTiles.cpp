//===- FlashTiles.cpp - what tensor-core attention kernels share ----------===//

#include "codegen/Gpu/Attention/FlashTiles.h"
#include "codegen/Gpu/Builder/Pages.h"
#include "codegen/Gpu/Product/Gemm.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

unsigned kt::gpu::rowChunks(int64_t n, int64_t elementBytes) { return headPitch(n, elementBytes) / 16; }

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
  HeadRows from{headStart(k, buffer, strides, b, h, page),
                k.typeOf(buffer).scalarType(),
                strides[2],
                strides[3],
                rows,
                columns,
                {},
                {}};
  if (k.pagedAxis(buffer) >= 0)
    from.before = firstOfPage(k, first);
  return from;
}

void kt::gpu::copyRows(KernelBuilder &k, const HeadRows &from, Type type, Value first, unsigned count, Value slot,
                       unsigned chunks, bool aligned) {
  unsigned lanes = 16 / elementBytes(type), used = padTo16(from.columns) / lanes, threads = k.bounds.threads;
  int64_t bytes = elementBytes(from.element);
  bool widens = bytes < elementBytes(type);
  // A chunk's place, and where it comes from, if that is inside.
  struct Chunk {
    Value to, at, inside, inRow, column;
  };
  auto chunkOf = [&](Value q) {
    Value r = k.div(q, used), c = k.rem(q, used), row = k.add(first, r);
    Chunk chunk;
    chunk.to = k.sptr(k.add(slot, swizzle(k, chunks, r, c)));
    chunk.inRow = k.lt(row, from.rows), chunk.column = k.mul(c, lanes);
    if (from.first)
      chunk.inRow = k.and_(chunk.inRow, k.cmp(Pred::sge, row, from.first));
    Value offset = k.mul(from.before ? k.sub(row, from.before) : row, k.size(from.rowStride));
    chunk.inside = k.and_(chunk.inRow, k.lt(chunk.column, from.columns));
    chunk.at = k.at(from.base, aligned ? k.add(offset, chunk.column) : offset, bytes);
    return chunk;
  };
  // What is on its way in registers.
  auto fetch = [&](const Chunk &chunk) -> Values {
    if (aligned && widens)
      return k.loadWhen(chunk.inside, chunk.at, k.i32, 2, /*once=*/false);
    if (aligned)
      return k.cpAsync16(chunk.to, chunk.at, k.sel(chunk.inside, k.c(16), k.c(0))), Values();
    Values elements;
    for (unsigned e = 0; e < lanes; ++e) {
      Value x = k.add(chunk.column, e), inside = k.and_(chunk.inRow, k.lt(x, from.columns));
      Value at = k.at(chunk.at, k.mul(x, k.size(from.columnStride)), bytes);
      elements.push_back(k.ifElse(
          inside, from.element, [&]() -> Values { return {k.loadElement(at, from.element)}; },
          [&]() -> Values { return {k.zero(from.element)}; })[0]);
    }
    return elements;
  };
  auto put = [&](const Chunk &chunk, Values fetched) {
    if (aligned && widens) {
      Values words;
      for (Value word : fetched)
        for (unsigned pair : {0, 1})
          words.push_back(widenBytes(k, word, pair, type));
      return k.storeElements(words, chunk.to);
    }
    if (aligned)
      return;
    for (Value &element : fetched)
      if (widens)
        element = k.convert(k.convert(k.convert(element, k.i32), k.f32), type);
    k.storeElements(fetched, chunk.to);
  };
  // Few threads have many chunks: a loop keeps their addresses out of the registers.
  if (count * used > 8 * threads) {
    k.forLoop(k.tid(), k.c(count * used), k.c(threads), {}, [&](Value q, ValueRange) -> Values {
      Chunk chunk = chunkOf(q);
      return put(chunk, fetch(chunk)), Values();
    });
    return;
  }
  SmallVector<std::pair<Chunk, Values>> underWay;
  for (unsigned at = 0; at < count * used; at += threads) {
    Value q = k.add(k.tid(), at);
    if (at + threads > count * used) {
      k.ifThen(k.lt(q, count * used), [&] {
        Chunk chunk = chunkOf(q);
        put(chunk, fetch(chunk));
      });
      continue;
    }
    Chunk chunk = chunkOf(q);
    Values fetched = fetch(chunk);
    if (aligned && widens) // all are asked for before the first is waited for
      underWay.emplace_back(chunk, fetched);
    else
      put(chunk, fetched);
  }
  for (auto &[chunk, fetched] : underWay)
    put(chunk, fetched);
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
