//===- Paged.cpp - attention over caches in pages -------------------------===//
//
// com.microsoft PagedAttention: the tokens of several sequences behind one another, keys and values in blocks that a
// table assigns to sequences. New ones go to their slots; then each sequence's blocks are gathered, and its queries
// padded to the longest, for a plain attention. In the layout LATENT there is one cache, of one head: the values are
// the first columns of its keys.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// query, key, value, key_cache, value_cache, cumulative_sequence_length, past_seqlens, block_table, cos_cache,
/// sin_cache, slot_mapping, head_sink, q_norm_weight, k_norm_weight, k_scale, v_scale, attention_metadata.
class Paged {
public:
  explicit Paged(Node &n) : n(n), i64(n.b.getI64Type()) {}
  LogicalResult run();

private:
  LogicalResult checkLayout();
  LogicalResult readInputs();
  LogicalResult readSequences();
  bool findLongest();
  Value turned(Heads x);
  Value slots();
  Value written(unsigned cache, Value fresh, Value to);
  Heads gathered(Value cache, unsigned port);
  Value attended(Heads k, Heads v);

  /// Of the sequence of token t: its number, which is `batch` behind the last one.
  Value rowOf(Body &b, unsigned operand, Value t) { return b.toIndex(b.read(operand, t)); }
  Value inside(Body &b, Value row) { return b.min(row, b.size(batch - 1)); }

  Node &n;
  Type i64, element;
  int64_t heads = 0, kvHeads = 0;
  Heads q, k, v; // [1, tokens, heads, size]
  bool latent = false;
  int64_t valueSize = 0;                        // of a head of LATENT's values
  Expr tokens, batch, pages, blocks, blockSize; // pages: of a sequence
  Expr newLimit, keyLimit;                      // of one sequence
  Expr longest, reach;                          // the most new tokens and keys that a sequence is taken to have
  Value starts, before, counts;                 // [batch]: first token, tokens in the cache, new tokens
  Value rows, positions;                        // [tokens]: number of the sequence, place in it
  Site tableSite;
};

LogicalResult Paged::checkLayout() {
  heads = n.attrInt("num_heads", 0), kvHeads = n.attrInt("kv_num_heads", 0);
  if (heads < 1 || kvHeads < 1 || heads % kvHeads)
    return n.error("expected num_heads and a divisor of it as kv_num_heads but got " + Twine(heads) + " and " +
                   Twine(kvHeads));
  for (auto [name, only] : {std::pair("k_quant_type", "NONE"), std::pair("v_quant_type", "NONE"),
                            std::pair("k_cache_dtype", ""), std::pair("v_cache_dtype", "")})
    if (std::string word = n.attrString(name, only); word != only)
      return n.error("unsupported " + Twine(name) + " = '" + word + "' of PagedAttention: expected '" + only + "'");
  if (n.has(14) || n.has(15))
    return n.error("unsupported scales of quantised caches");
  if (n.has(12) != n.has(13))
    return n.error("expected weights of both norms, of queries and of keys, or none");
  auto layout = n.attrWord("kv_cache_layout", {"SEPARATE", "LATENT"});
  if (!layout)
    return failure();
  latent = *layout == "LATENT";
  valueSize = n.attrInt("v_head_size", 0);
  if (!latent) {
    if (valueSize)
      return n.error("expected v_head_size with kv_cache_layout = 'LATENT' alone but got " + Twine(valueSize));
    if (!n.has(4))
      return n.error("expected a value_cache");
    if (!n.wants(1) || !n.wants(2))
      return n.error("expected outputs for both caches: they are written nowhere else");
    return n.has(1) != n.has(2) ? n.error("expected a key and a value, or neither") : success();
  }
  if (kvHeads != 1)
    return n.error("expected one head of keys with kv_cache_layout = 'LATENT' but got kv_num_heads = " +
                   Twine(kvHeads));
  if (n.has(2) || n.has(4) || n.wants(2))
    return n.error("expected no value and no value_cache with kv_cache_layout = 'LATENT': values are the first columns "
                   "of keys");
  if (!n.has(1))
    return n.error("expected a key with kv_cache_layout = 'LATENT'");
  if (!n.wants(1))
    return n.error("expected an output for the cache: it is written nowhere else");
  return success();
}

LogicalResult Paged::readInputs() {
  for (auto [input, rank] : {std::pair(0u, 2), std::pair(3u, 4), std::pair(5u, 1), std::pair(6u, 1), std::pair(7u, 2)})
    if (failed(n.expectRank(input, rank)))
      return failure();
  element = n.element(0);
  tokens = n.type(0).dim(0), batch = n.type(7).dim(0), pages = n.type(7).dim(1);
  blocks = n.type(3).dim(0), blockSize = n.type(3).dim(1);
  Expr size = n.type(3).dim(3), one = n.expr(1);
  for (unsigned cache : {3u, 4u}) {
    if (!n.has(cache))
      continue;
    if (failed(n.expectRank(cache, 4)))
      return failure();
    if (n.element(cache) != element)
      return n.error("expected caches of the query's type but got " + n.typeText(cache) + " and " + n.typeText(0));
    for (auto [d, e] : llvm::zip(n.dims(n.in(cache)), SmallVector<Expr>{blocks, blockSize, n.expr(kvHeads), size}))
      if (failed(n.require(d, e, "dimensions of the caches")))
        return failure();
  }
  if (failed(n.require(n.type(5).dim(0), batch + 1, "cumulative lengths and sequences")) ||
      failed(n.require(n.type(6).dim(0), batch, "past lengths and sequences")) ||
      failed(n.requireSome(batch, tokens, "a sequence")) || failed(n.requireSome(pages, tokens, "a block of it")) ||
      failed(n.requireSome(blocks * blockSize, tokens, "a slot")))
    return failure();
  // Columns [begin, begin + count) of heads of an input, as heads.
  auto part = [&](unsigned i, Expr begin, int64_t count) -> Heads {
    if (failed(n.expectRank(i, 2)) || failed(n.require(n.type(i).dim(0), tokens, "tokens of queries, keys and values")))
      return {};
    Value x = n.slice(n.in(i), {n.expr(0), begin}, {tokens, size * count}, {1, 1});
    return splitHeads(n, n.reshape(x, {one, tokens, size * count}), count);
  };
  bool packed = !n.has(1);
  if (failed(n.require(n.type(0).dim(1), size * (packed ? heads + 2 * kvHeads : heads), "columns of the query")))
    return failure();
  for (unsigned i : {1u, 2u})
    if (n.has(i) && failed(n.require(n.type(i).dim(1), size * kvHeads, "columns of keys and values")))
      return failure();
  q = part(0, n.expr(0), heads);
  k = packed ? part(0, size * heads, kvHeads) : part(1, n.expr(0), kvHeads);
  if (!latent)
    v = packed ? part(0, size * (heads + kvHeads), kvHeads) : part(2, n.expr(0), kvHeads);
  if (!q.v || !k.v || (!latent && !v.v))
    return failure();
  if (valueSize) {
    if (failed(n.requireAtMost(n.expr(valueSize), size, "v_head_size and columns of the cache")))
      return failure();
    if (size != n.expr(valueSize) && !n.attr("scale"))
      return n.error("expected a scale, as values have " + Twine(valueSize) + " columns and keys " + size.str());
  }
  for (auto [x, weight] : {std::pair(&q, 12u), std::pair(&k, 13u)})
    if (n.has(weight)) {
      if (failed(n.expectRank(weight, 1)) || failed(n.require(n.type(weight).dim(0), size, "a norm's weights")))
        return failure();
      x->v = normWith(n, x->v, NormKind::rms, 1, n.attrFloat("qk_norm_epsilon", 1e-6), n.in(weight), {}, element);
      if (!x->v)
        return failure();
    }
  newLimit = tokens, keyLimit = pages * blockSize;
  if (!n.has(16) || !n.type(16).numElements().asConstant())
    return success();
  auto limits = n.symbolicInts(n.in(16), "attention_metadata");
  if (!limits)
    return failure();
  if (limits->size() < 2)
    return n.error("expected two limits or more as attention_metadata");
  // What is not above 0 is not known.
  auto limited = [&](Expr limit, Expr all) {
    return Expr::select(Expr::lt(n.expr(0), limit), Expr::min(limit, all), all);
  };
  newLimit = longest = limited((*limits)[0], newLimit);
  keyLimit = reach = limited((*limits)[1], keyLimit);
  return success();
}

/// Where each sequence's tokens are, and what each token is of which.
LogicalResult Paged::readSequences() {
  SymTensorType perSequence = n.tensor({batch}, i64), perToken = n.tensor({tokens}, i64);
  auto raw = [&](Body &b, unsigned operand, Value i) {
    return b.convert(b.read(operand, i), b.type(operand).getElementType(), i64);
  };
  Value added = n.generic(perSequence, n.in(5), [&](Body &b) {
    return b.sub(raw(b, 0, b.add(b.index(0), b.idx(1))), raw(b, 0, b.index(0)));
  });
  auto first = n.site(n.in(5), n.expr(1), "the first cumulative length", /*wraps=*/false);
  auto ends = n.site(n.in(5), tokens + 1, "a cumulative length", /*wraps=*/false);
  auto lengths = n.site(n.in(6), pages * blockSize + 1, "the past length of a sequence", /*wraps=*/false);
  auto table = n.site(n.in(7), blocks, "a block of a sequence", /*wraps=*/false);
  auto news = n.site(added, newLimit + 1, "the number of new tokens of a sequence", /*wraps=*/false);
  if (failed(first) || failed(ends) || failed(lengths) || failed(table) || failed(news))
    return failure();
  tableSite = *table;
  auto within = [&](Body &b, Value x, Expr most) {
    return b.logicalAnd(b.cmp(Cmp::le, b.integer(i64, 0), x), b.cmp(Cmp::le, x, b.fromIndex(b.size(most), i64)));
  };
  starts = n.generic(perSequence, n.in(5), [&](Body &b) {
    Value i = b.index(0), end = b.read(0, i), isFirst = b.cmp(Cmp::eq, i, b.idx(0));
    Value zero = b.bounded(end, n.expr(1), *first, /*wraps=*/false, isFirst);
    Value start = b.bounded(end, tokens + 1, *ends, /*wraps=*/false, b.logicalNot(isFirst));
    return b.fromIndex(b.select(isFirst, zero, start), i64);
  });
  // Of ends that are outside nothing more is said.
  counts = n.generic(perSequence, {n.in(5), added}, [&](Body &b) {
    Value i = b.index(0), next = b.add(i, b.idx(1)), end = raw(b, 0, next);
    Value last = b.bounded(end, tokens + 1, *ends, /*wraps=*/false);
    Value known = b.logicalAnd(within(b, raw(b, 0, i), tokens), within(b, end, tokens));
    return b.fromIndex(b.min(last, b.bounded(b.read(1, i), newLimit + 1, *news, /*wraps=*/false, known)), i64);
  });
  Value total = n.generic(perSequence, {n.in(6), counts},
                          [&](Body &b) { return b.add(raw(b, 0, b.index(0)), b.read(1, b.index(0))); });
  auto keys = n.site(total, keyLimit + 1, "the number of keys of a sequence", /*wraps=*/false);
  if (failed(keys))
    return failure();
  before = n.generic(perSequence, {n.in(6), total}, [&](Body &b) {
    Value i = b.index(0), past = raw(b, 0, i), known = within(b, past, pages * blockSize);
    Value length = b.bounded(past, pages * blockSize + 1, *lengths, /*wraps=*/false);
    return b.fromIndex(b.min(length, b.bounded(b.read(1, i), keyLimit + 1, *keys, /*wraps=*/false, known)), i64);
  });
  // As many sequences as have ended.
  rows = n.reduce(perToken, ReduceKind::add, {batch}, {starts, counts},
                  [&](Body &b) {
                    Value behind = b.add(b.read(0, b.index(1)), b.read(1, b.index(1)));
                    Value ended = b.cmp(Cmp::le, behind, b.fromIndex(b.index(0), i64));
                    return b.select(ended, b.integer(i64, 1), b.integer(i64, 0));
                  },
                  {});
  positions = n.generic(n.tensor({n.expr(1), tokens}, i64), {rows, starts, before}, [&](Body &b) {
    Value row = rowOf(b, 0, b.index(1)), at = inside(b, row);
    Value position = b.add(b.read(2, at), b.sub(b.fromIndex(b.index(1), i64), b.read(1, at)));
    return b.select(b.cmp(Cmp::lt, row, b.size(batch)), position, b.integer(i64, 0));
  });
  return success();
}

/// The most tokens that a sequence adds and the most keys that one has. Who gives limits for them saves a look at the
/// data before the run goes on, and so does who has but one sequence.
bool Paged::findLongest() {
  if (batch.isConstant(1))
    longest = newLimit;
  if (longest && !reach)
    reach = keyLimit;
  if (longest)
    return true;
  Value most = n.reduce(n.tensor({n.expr(2)}, i64), ReduceKind::max, {batch}, {counts, before},
                        [&](Body &b) {
                          Value count = b.read(0, b.index(1)), keys = b.add(count, b.read(1, b.index(1)));
                          return b.select(b.cmp(Cmp::eq, b.index(0), b.idx(0)), count, keys);
                        },
                        {});
  auto found = most ? n.symbolicInts(most, "the longest sequence") : std::nullopt;
  if (!found)
    return false;
  auto kept = [&](Expr e, Expr limit) { return Expr::max(n.expr(0), Expr::min(e, limit)); };
  longest = kept((*found)[0], newLimit), reach = kept((*found)[1], keyLimit);
  return true;
}

/// Of each token the slot that its key goes to, or, where it goes nowhere, the one behind the last.
Value Paged::slots() {
  Expr all = blocks * blockSize;
  SymTensorType type = n.tensor({tokens, n.expr(1)}, i64);
  if (n.has(10)) {
    if (failed(n.expectRank(10, 1)) || failed(n.require(n.type(10).dim(0), tokens, "slots and tokens")))
      return {};
    auto site = n.site(n.in(10), all, "a slot", /*wraps=*/false);
    if (failed(site))
      return {};
    return n.generic(type, n.in(10), [&](Body &b) {
      Value slot = b.read(0, b.index(0)), there = b.cmp(Cmp::ne, slot, b.integer(slot.getType(), -1));
      Value to = b.bounded(slot, all, *site, /*wraps=*/false, there);
      return b.fromIndex(b.select(there, to, b.size(all)), i64);
    });
  }
  auto site = n.site(positions, pages * blockSize, "the position of a token", /*wraps=*/false);
  if (failed(site))
    return {};
  return n.generic(type, {rows, positions, n.in(7)}, [&](Body &b) {
    Value row = rowOf(b, 0, b.index(0)), there = b.cmp(Cmp::lt, row, b.size(batch));
    Value position = b.bounded(b.read(1, {b.idx(0), b.index(0)}), pages * blockSize, *site, /*wraps=*/false, there);
    Value size = b.max(b.idx(1), b.size(blockSize));
    Value page = b.math<arith::DivUIOp>(position, size), offset = b.math<arith::RemUIOp>(position, size);
    Value block = b.bounded(b.read(2, {inside(b, row), page}), blocks, tableSite, /*wraps=*/false, there);
    return b.fromIndex(b.select(there, b.add(b.mul(block, size), offset), b.size(all)), i64);
  });
}

/// The cache with the new elements in their slots.
Value Paged::written(unsigned cache, Value fresh, Value to) {
  Expr all = blocks * blockSize, size = n.type(cache).dim(3);
  Value flat = n.reshape(n.in(cache), {all, n.expr(kvHeads), size});
  Value rows = n.reshape(fresh, {tokens, n.expr(kvHeads), size});
  if (!flat || !rows)
    return {};
  auto next = ScatterOp::create(n.b, n.loc, flat.getType(), flat, to, rows,
                                ScatterKindAttr::get(n.context, ScatterKind::assign), IntegerAttr());
  return n.reshape(next.getResult(), n.dims(n.in(cache)));
}

/// [batch, reach, heads, size]: each sequence's tokens, and zeros behind them.
Heads Paged::gathered(Value cache, unsigned port) {
  Expr size = n.type(port).dim(3);
  return {n.generic(n.tensor({batch, reach, n.expr(kvHeads), size}, element), {cache, n.in(7), before, counts},
                    [&](Body &b) {
                      Value row = b.index(0), j = b.index(1), width = b.max(b.idx(1), b.size(blockSize));
                      Value there = b.cmp(Cmp::lt, b.fromIndex(j, i64), b.add(b.read(2, row), b.read(3, row)));
                      Value page = b.math<arith::DivUIOp>(j, width), offset = b.math<arith::RemUIOp>(j, width);
                      Value block = b.bounded(b.read(1, {row, page}), blocks, tableSite, /*wraps=*/false, there);
                      Value x = b.read(0, {block, offset, b.index(2), b.index(3)});
                      return b.select(there, x, b.zero(b.result.scalarType()));
                    }),
          false};
}

/// [tokens, heads * size]
Value Paged::attended(Heads k, Heads v) {
  Expr size = q.size();
  Heads padded{n.generic(n.tensor({batch, longest, n.expr(heads), size}, element), {q.v, starts},
                         [&](Body &b) {
                           Value t = b.add(b.toIndex(b.read(1, b.index(0))), b.index(1));
                           return b.readOr(0, {b.idx(0), t, b.index(2), b.index(3)}, b.zero(b.result.scalarType()),
                                           {1});
                         }),
               false};
  int64_t window = n.attrInt("local_window_size", -1);
  bool causal = n.attrInt("is_causal", 1) != 0, smooth = n.attrInt("smooth_softmax", 0) > 0;
  SmallVector<Value> extras{before, counts};
  Value sinks = n.in(11);
  if (sinks) {
    if (failed(n.expectRank(11, 1)) || failed(n.require(n.type(11).dim(0), n.expr(heads), "sinks and heads")))
      return {};
    extras.push_back(sinks);
  }
  auto sink = [&](Body &b) {
    Type f32 = n.b.getF32Type();
    return sinks ? b.convert(b.read(2, b.index(1)), n.element(11), f32) : b.zero(f32);
  };
  auto score = [&](Body &b, Value product) {
    Value x = scaled(b, product, n.attrFloat("scale", 0), size, n.attrFloat("softcap", 0));
    Value past = b.toIndex(b.read(0, b.index(0))), at = b.add(b.index(2), past), j = b.index(3);
    Value least = b.constant(x.getType(), -INFINITY);
    x = b.select(b.cmp(Cmp::lt, j, b.add(past, b.toIndex(b.read(1, b.index(0))))), x, least);
    if (causal)
      x = b.select(b.cmp(Cmp::le, j, at), x, least);
    // The window counts the query's own token, as GroupQueryAttention's.
    return window > 0 ? b.select(b.cmp(Cmp::lt, b.sub(at, j), b.idx(window)), x, least) : x;
  };
  Heads y = attend(n, padded, k, v, extras, /*zeroEmpty=*/true, score, sinks || smooth ? SinkFn(sink) : SinkFn());
  if (!y.v)
    return {};
  Value packed = n.generic(n.tensor({tokens, n.expr(heads), v.size()}, element), {y.v, rows, starts}, [&](Body &b) {
    Value row = rowOf(b, 1, b.index(0)), begin = b.toIndex(b.read(2, inside(b, row)));
    Value at = b.select(b.cmp(Cmp::lt, row, b.size(batch)), b.sub(b.index(0), begin), b.idx(-1));
    return b.readOr(0, {inside(b, row), at, b.index(1), b.index(2)}, b.zero(b.result.scalarType()), {1});
  });
  return n.reshape(packed, {tokens, v.size() * heads});
}

/// Heads with what the caches of sines and cosines say turned, from a column on; those before it, and those behind,
/// stay.
Value Paged::turned(Heads x) {
  int64_t first = n.attrInt("rotary_offset", 0);
  Expr size = x.size(), rotated = n.type(8).dim(1) * 2, rest = size - first;
  if (first < 0 || first % 8)
    return (void)n.error("expected a multiple of 8 as rotary_offset but got " + Twine(first)), Value();
  if (failed(n.requireAtMost(rotated + first, size, "rotated columns and columns of a head")))
    return {};
  int64_t width = rotated == rest ? 0 : rotated.asConstant().value_or(0);
  bool interleaved = n.attrInt("rotary_interleaved", 0) != 0;
  if (!first)
    return rotate(n, x, n.in(8), n.in(9), positions, interleaved, width);
  SmallVector<Expr> sizes = n.dims(x.v), begin(4, n.expr(0));
  sizes[3] = rest, begin[3] = n.expr(first);
  Heads end{n.slice(x.v, begin, sizes, {1, 1, 1, 1}), x.headsFirst};
  end.v = rotate(n, end, n.in(8), n.in(9), positions, interleaved, width);
  if (!end.v)
    return {};
  return n.generic(n.type(x.v), {x.v, end.v}, [&](Body &b) {
    SmallVector<Value> at = b.indices(), behind(at);
    behind[3] = b.sub(at[3], b.idx(first));
    return b.readOr(1, behind, b.read(0, at), {3});
  });
}

LogicalResult Paged::run() {
  if (failed(checkLayout()) || failed(readInputs()) || failed(readSequences()))
    return failure();
  if (n.attrInt("do_rotary", 0)) {
    if (!n.has(8) || !n.has(9))
      return n.error("expected cos_cache and sin_cache");
    if (failed(n.expectRank(8, 2)))
      return failure();
    for (Heads *x : {&q, &k}) {
      x->v = turned(*x);
      if (!x->v)
        return failure();
    }
  }
  Value to = slots(), keys = to ? written(3, k.v, to) : Value(), values;
  if (keys && !latent)
    values = written(4, v.v, to);
  if (!keys || (!latent && !values) || !findLongest())
    return failure();
  Heads ofKeys = gathered(keys, 3), ofValues = ofKeys;
  if (!latent)
    ofValues = gathered(values, 4);
  else if (valueSize)
    ofValues.v = n.slice(ofKeys.v, SmallVector<Expr>(4, n.expr(0)), {batch, reach, n.expr(kvHeads), n.expr(valueSize)},
                         {1, 1, 1, 1});
  Value y = attended(ofKeys, ofValues);
  if (!y || failed(n.set(0, y)) || failed(n.setState(1, keys, 3)))
    return failure();
  return latent ? success() : n.setState(2, values, 4);
}

} // namespace

void import::registerPaged(OpTable &t) {
  auto run = [](Node &n) { return Paged(n).run(); };
  t["com.microsoft.PagedAttention"] = Definition{Lowering(run), {0, 3, 5, 6, 7}}.understanding(
      17, "do_rotary is_causal k_cache_dtype k_quant_type kv_cache_bit_width kv_cache_layout kv_num_heads "
          "local_window_size num_heads qk_norm_epsilon rotary_interleaved rotary_offset scale smooth_softmax softcap "
          "v_cache_dtype v_head_size v_quant_type");
}
