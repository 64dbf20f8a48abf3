//===- Widening.cpp - panels of what blocks stand for ---------------------===//
//
// A product of many rows reads each weight again and again, and what widens it each time takes shared memory's time
// from the products. One stage before it makes all panels once: it takes as long as memory does.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Blocks.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

constexpr unsigned kThreads = 256;

/// Words of a column that have a weight.
Expr wordRows(const GemmProblem &p, const Blocks &blocks) {
  WordOrder order = blocks.order();
  return Expr::ceilDiv(p.k, p.number(order.window())) * order.rows();
}

/// The word of four columns of a panel, by threads side by side: the columns, then the words along k.
void emitWord(KernelBuilder &k, const GemmProblem &p, Blocks &blocks, Value weights, Value number) {
  unsigned perWord = blocks.perWord();
  Value words = k.size(wordRows(p, blocks));
  Value column = k.shl(k.and_(number, 3), 2), row = k.shr(number, 2), panel = k.div(row, words);
  Value first = blocks.firstOf(k.sub(row, k.mul(panel, words))), inside = k.rem(first, blocks.group());
  Value block = blocks.blockAt(weights, panel, first, p.k);
  Values four = k.loadElements(k.gep(block, k.ext(k.add(blocks.wordOffset(inside), k.shl(column, 2)))), k.i32, 4);
  Values scales = blocks.scalesOf(block, column, 4), zeros = blocks.zerosOf(block, column, 4);
  Value to = k.gep(k.workspace(), k.mul(k.ext(k.add(k.mul(panel, k.size(p.k)), first)), kPanel * 2));
  to = k.at(to, column, 2);
  for (unsigned pair = 0; pair < perWord / 2; ++pair) {
    Values both; // k's of each column
    for (unsigned c = 0; c < 4; ++c)
      both.push_back(blocks.scaledPair(four[c], pair, zeros.empty() ? Value() : zeros[c], scales[c], p.lhsType));
    for (unsigned e = 0; e < 2; ++e) {
      unsigned selector = e ? 0x7632 : 0x5410;
      Values stored = {k.permute(both[0], both[1], selector), k.permute(both[2], both[3], selector)};
      unsigned offset = blocks.order().offsetOf(pair * 2 + e);
      auto store = [&] { k.storeElements(stored, k.gep(to, offset * kPanel * 2)); };
      k.ifThen(k.lt(k.add(first, offset), k.size(p.k)), store);
    }
  }
}

} // namespace

LogicalResult kt::gpu::addWideningStage(KernelSink &sink, artifact::Variant &variant, const GemmProblem &p) {
  // All stages of a variant get the same arguments.
  bool workspace = variant.workspace != artifact::kNone, counters = variant.counters != artifact::kNone;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads, 0, workspace, counters});
  Blocks blocks(k, p.widenedFrom);
  Expr words = Expr::ceilDiv(p.n, p.number(kPanel)) * wordRows(p, blocks) * 4;
  Value number = k.add(k.mul(k.ctaX(), kThreads), k.tid());
  k.ifThen(k.lt(number, k.size(words)), [&] { emitWord(k, p, blocks, k.bufferOf(p.op->getOperand(1)), number); });
  return sink.addStage(variant, k, {Expr::ceilDiv(words, sink.number(kThreads)), sink.one(), sink.one()});
}
