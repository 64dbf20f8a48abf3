//===- Transformer.cpp - com.microsoft's transformer operators ------------===//
//
// What onnxruntime's optimiser and its generative models use: attention with packed projections and caches, embeddings,
// biases.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

Value plusBias(Node &n, Value x, Value bias) {
  return bias ? n.map(n.type(x).getElementType(), {x, bias},
                      [](Body &b, ArrayRef<Value> v) { return b.add(v[0], v[1]); })
              : x;
}

/// Elements [begin, begin + count) of the last dimension.
Value columns(Node &n, Value v, Expr begin, Expr count) {
  if (!v)
    return {};
  if (n.type(v).getRank() == 0) {
    (void)n.error("expected a tensor of rank 1 or more but got a scalar");
    return {};
  }
  SmallVector<Expr> starts(n.type(v).getRank(), n.expr(0)), sizes = n.dims(v);
  starts.back() = begin;
  sizes.back() = count;
  return n.slice(v, starts, sizes, SmallVector<int64_t>(starts.size(), 1));
}

/// Part i of dimension `axis` of five, without it.
Value part(Node &n, Value v, int64_t axis, int64_t i) {
  if (n.type(v).getRank() != 5) {
    (void)n.error("expected a tensor of rank 5 but got rank " + Twine(n.type(v).getRank()));
    return {};
  }
  SmallVector<Expr> out = n.dims(v);
  out.erase(out.begin() + axis);
  return n.generic(n.tensor(out, n.type(v).getElementType()), v, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at.insert(at.begin() + axis, b.idx(i));
    return b.read(0, at);
  });
}

/// The kinds of mask_index: what it adds to a score of key j of query i.
struct KeyMask {
  Value v; // null: none
  Type element;
  int64_t rank = 0;
  bool starts = false; // [2 * batch]: ends, then starts
  double filter = -10000;

  static std::optional<KeyMask> of(Node &n, Value v, Expr batch, double filter) {
    KeyMask m{v, {}, 0, false, filter};
    if (!v)
      return m;
    m.element = n.type(v).getElementType();
    m.rank = n.type(v).getRank();
    if (m.rank > 1 && llvm::all_of(n.dims(v), [](Expr d) { return d.isConstant(1); }))
      return KeyMask{}; // a mask of one element says nothing
    if (m.rank < 1 || m.rank > 3) {
      (void)n.error("unsupported mask of rank " + Twine(m.rank));
      return std::nullopt;
    }
    m.starts = m.rank == 1 && n.type(v).dim(0) == batch * 2 && !(n.type(v).dim(0) == batch);
    if (m.rank == 1 && !m.starts && failed(n.require(n.type(v).dim(0), batch, "lengths of a mask and batch")))
      return std::nullopt;
    return m;
  }
  Value apply(Body &b, Value x, unsigned operand, Expr batch, Expr keys) const {
    Type t = x.getType();
    Value row = b.index(0), j = b.index(3), keep;
    if (rank == 1) {
      keep = b.cmp(Cmp::lt, j, b.toIndex(b.read(operand, row)));
      if (starts)
        keep = b.logicalAnd(keep, b.cmp(Cmp::ge, j, b.toIndex(b.read(operand, b.add(row, b.size(batch))))));
    } else {
      SymTensorType type = b.type(operand);
      auto at = [&](int64_t d, Value i, Expr full) { return b.broadcastIndex(type.dim(d), i, full); };
      SmallVector<Value> where{at(0, row, batch)};
      if (rank == 3)
        where.push_back(b.index(2));
      where.push_back(at(rank - 1, j, keys));
      Value m = b.read(operand, where);
      keep = element.isInteger(1)
                 ? m
                 : b.cmp(Cmp::gt, b.convert(m, element, b.computeType(element)), b.zero(b.computeType(element)));
    }
    return b.add(x, b.select(keep, b.zero(t), b.constant(t, filter)));
  }
};

/// [2, batch, heads, sequence, size] of a key and a value.
Value stackPair(Node &n, Value k, Value v) {
  SmallVector<Expr> d = n.dims(k);
  d.insert(d.begin(), n.expr(1));
  return n.concat({n.reshape(k, d), n.reshape(v, d)}, 0);
}

/// Attention with a causal offset, a key mask and a bias, which are operands in this order.
struct Masks {
  KeyMask key;
  Value bias;
  bool causal = false;
  double scale = 0;

  Heads attend(Node &n, Heads q, Heads k, Heads v, Expr past) const {
    SmallVector<Value> extras;
    if (key.v)
      extras.push_back(key.v);
    if (bias)
      extras.push_back(bias);
    return import::attend(n, q, k, v, extras, false, [&](Body &b, Value product) {
      Value x = scaled(b, product, scale, q.size(), 0);
      unsigned next = 0;
      if (key.v)
        x = key.apply(b, x, next++, q.batch(), k.sequence());
      if (causal) {
        Value seen = b.cmp(Cmp::le, b.index(3), b.add(b.index(2), b.size(past)));
        x = b.select(seen, x, b.add(x, b.constant(x.getType(), key.filter)));
      }
      if (bias)
        x = b.add(x, b.convert(readMask(b, next, k.sequence(), b.zero(b.type(next).scalarType())),
                               n.type(bias).getElementType(), x.getType()));
      return x;
    });
  }
};

/// com.microsoft Attention: input, weights, bias, mask_index, past, attention_bias.
LogicalResult attention(Node &n) {
  int64_t heads = n.attrInt("num_heads", 0);
  if (n.rank(0) != 3 || n.rank(1) != 2 || heads < 1)
    return n.error("expected an input of rank 3, a weight matrix and num_heads");
  Expr total = n.type(1).dim(1);
  SmallVector<Expr> sizes(3, Expr::floorDiv(total, n.expr(3)));
  if (auto given = n.attrInts("qkv_hidden_sizes"); given && given->size() == 3)
    for (int64_t i = 0; i < 3; ++i)
      sizes[i] = n.expr((*given)[i]);
  if (failed(n.require(sizes[0] + sizes[1] + sizes[2], total, "columns of three projections and of the weights")) ||
      (n.has(2) && failed(n.require(n.type(2).numElements(), total, "elements of the bias and columns"))))
    return failure();
  Heads parts[3];
  Expr begin = n.expr(0);
  for (int64_t i = 0; i < 3; ++i) {
    // A product a part: what it yields is then read as heads where it lies.
    Value y = matmulLike(n, n.in(0), columns(n, n.in(1), begin, sizes[i]));
    y = y && n.has(2) ? plusBias(n, y, columns(n, n.in(2), begin, sizes[i])) : y;
    parts[i] = y ? splitHeads(n, y, heads) : Heads();
    if (!parts[i].v)
      return failure();
    begin = begin + sizes[i];
  }
  auto [q, k, v] = parts;
  Expr past = n.expr(0);
  if (n.has(4)) {
    past = n.type(4).dim(3);
    k = {n.concat({part(n, n.in(4), 0, 0), headsFirst(n, k)}, 2), true};
    v = {n.concat({part(n, n.in(4), 0, 1), headsFirst(n, v)}, 2), true};
    if (!k.v || !v.v)
      return failure();
  }
  if (n.wants(1) && failed(n.set(1, stackPair(n, headsFirst(n, k), headsFirst(n, v)))))
    return failure();
  auto mask = KeyMask::of(n, n.in(3), q.batch(), n.attrFloat("mask_filter_value", -10000));
  if (!mask)
    return failure();
  Masks masks{*mask, n.in(5), n.attrInt("unidirectional", 0) != 0, n.attrFloat("scale", 0)};
  Heads y = masks.attend(n, q, k, v, past);
  return y.v ? n.set(n.reshape(y.v, {q.batch(), q.sequence(), q.heads() * v.size()})) : failure();
}

/// com.microsoft MultiHeadAttention: query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
LogicalResult multiHeadAttention(Node &n) {
  int64_t heads = n.attrInt("num_heads", 0);
  if (heads < 1)
    return n.error("expected num_heads");
  Heads q, k, v;
  Value bias = n.in(3);
  if (n.rank(0) == 5) { // [batch, sequence, heads, 3, size]
    q = {part(n, n.in(0), 3, 0)};
    k = {part(n, n.in(0), 3, 1)};
    v = {part(n, n.in(0), 3, 2)};
  } else {
    q = splitHeads(n, n.in(0), heads);
    if (!n.has(1))
      return n.error("expected a key");
    if (n.rank(1) == 5) { // [batch, sequence, heads, 2, size]
      k = {part(n, n.in(1), 3, 0)};
      v = {part(n, n.in(1), 3, 1)};
    } else if (n.rank(1) == 4) { // a cache of cross attention
      k = {n.in(1), true};
      v = {n.in(2), true};
    } else {
      k = splitHeads(n, n.in(1), heads);
      v = n.has(2) ? splitHeads(n, n.in(2), heads) : Heads();
    }
  }
  if (!q.v || !k.v || !v.v)
    return failure();
  if (bias) {
    Expr begin = n.expr(0), width = begin;
    for (const Heads *h : {&q, &k, &v})
      width = width + h->heads() * h->size();
    if (failed(n.require(n.type(bias).numElements(), width, "elements of the bias and of three projections")))
      return failure();
    for (Heads *h : {&q, &k, &v}) {
      Expr width = h->heads() * h->size();
      if (!h->headsFirst)
        h->v = plusBias(n, h->v, n.reshape(columns(n, bias, begin, width), {h->heads(), h->size()}));
      begin = begin + width;
    }
  }
  Expr past = n.expr(0);
  if (n.has(6) && n.has(7)) {
    past = n.type(6).dim(2);
    k = {n.concat({n.in(6), headsFirst(n, k)}, 2), true};
    v = {n.concat({n.in(7), headsFirst(n, v)}, 2), true};
    if (!k.v || !v.v)
      return failure();
  }
  if (n.wants(3))
    return n.error("unsupported output 3 (qk) of MultiHeadAttention");
  if ((n.wants(1) && failed(n.set(1, headsFirst(n, k)))) || (n.wants(2) && failed(n.set(2, headsFirst(n, v)))))
    return failure();
  auto mask = KeyMask::of(n, n.in(4), q.batch(), n.attrFloat("mask_filter_value", -10000));
  if (!mask)
    return failure();
  Masks masks{*mask, n.in(5), n.attrInt("unidirectional", 0) != 0, n.attrFloat("scale", 0)};
  Heads y = masks.attend(n, q, k, v, past);
  return y.v ? n.set(n.reshape(y.v, {q.batch(), q.sequence(), q.heads() * v.size()})) : failure();
}

/// Caches of `capacity` places that hold the latest tokens from the front, at least as many as the `window` sees. What
/// is beyond is given up so many tokens at once that there is room for the next ones.
struct LatestTokens {
  Node &n;
  Expr batch, capacity;
  int64_t window;
  Value before, after; // [batch]: tokens of a row without the new ones, and with them

  /// How many of `total` tokens are held.
  Value held(Body &b, Value total) const {
    Value room = b.size(capacity), step = b.size(capacity - window + 1);
    Value beyond = b.sub(b.add(b.sub(total, room), step), b.idx(1));
    Value given = b.mul(step, b.math<arith::DivUIOp>(beyond, b.max(b.idx(1), step)));
    return b.select(b.cmp(Cmp::le, total, room), total, b.sub(total, given));
  }
  /// The cache after this run, of new tokens [batch, tokens, heads, size] or heads first.
  Value next(Heads fresh, Value cache) const {
    Value tokens = headsFirst(n, fresh);
    return n.generic(n.type(cache), {cache, tokens, before, after}, [&](Body &b) {
      SmallVector<Value> at = b.indices(), from(at), old(at);
      Value past = b.toIndex(b.read(2, at[0])), total = b.toIndex(b.read(3, at[0]));
      Value position = b.add(b.sub(total, held(b, total)), at[2]);
      from[2] = b.sub(position, past);
      old[2] = b.sub(position, b.sub(past, held(b, past)));
      return b.readOr(1, from, b.readOr(0, old, b.zero(b.result.scalarType()), {2}), {2});
    });
  }
  /// The position in its row of key j of a cache and the new tokens behind it; a place that holds none has a position
  /// behind all.
  Value position(Body &b, Value j, Value past) const {
    Value room = b.size(capacity), kept = held(b, past), far = b.idx(int64_t(1) << 30);
    Value old = b.select(b.cmp(Cmp::lt, j, kept), b.add(b.sub(past, kept), j), far);
    return b.select(b.cmp(Cmp::lt, j, room), old, b.add(past, b.sub(j, room)));
  }
};

/// com.microsoft GroupQueryAttention: query, key, value, past_key, past_value, seqlens_k, total_sequence_length,
/// cos_cache, sin_cache, position_ids, attention_bias, head_sink. The caches hold each row's tokens from the front; new
/// ones go behind them.
LogicalResult groupQueryAttention(Node &n) {
  int64_t heads = n.attrInt("num_heads", 0), kvHeads = n.attrInt("kv_num_heads", 0);
  if (heads < 1 || kvHeads < 1 || heads % kvHeads || !n.has(5) || !n.has(6))
    return n.error("expected num_heads, a divisor of it as kv_num_heads, seqlens_k and total_sequence_length");
  for (const char *name : {"k_quant_type", "v_quant_type"})
    if (std::string type = n.attrString(name, "NONE"); type != "NONE")
      return n.error("unsupported " + Twine(name) + " = '" + type + "' of GroupQueryAttention: expected 'NONE'");
  int64_t window = n.attrInt("local_window_size", -1);
  if (window < -1 || window == 0)
    return n.error("expected a positive local_window_size or -1 but got " + Twine(window));
  bool sliding = n.attrInt("sliding_window_cache", 0) != 0;
  if (sliding && (window < 0 || !n.has(3) || !n.has(4)))
    return n.error("expected a local_window_size and caches with sliding_window_cache");
  if (sliding && n.has(10))
    return n.error("unsupported attention_bias with sliding_window_cache");
  if (failed(n.expectRank(0, 3)))
    return failure();
  Value query = n.in(0), key = n.in(1), value = n.in(2);
  if (!key) { // packed: [.., (heads + 2 kv) * size]
    Expr size = Expr::floorDiv(n.type(0).dim(2), n.expr(heads + 2 * kvHeads));
    key = columns(n, n.in(0), size * heads, size * kvHeads);
    value = columns(n, n.in(0), size * (heads + kvHeads), size * kvHeads);
    query = columns(n, n.in(0), n.expr(0), size * heads);
  }
  Heads q = splitHeads(n, query, heads), k = splitHeads(n, key, kvHeads), v = splitHeads(n, value, kvHeads);
  auto total = n.symbolicInt(n.in(6), "total_sequence_length");
  if (!q.v || !k.v || !v.v || !total)
    return failure();
  Type i64 = n.b.getI64Type();
  Expr fresh = q.sequence(), batch = q.batch(), whole = *total;
  Expr past = n.has(3) ? n.type(3).dim(2) : n.expr(0), present = sliding ? whole : Expr::max(past, whole);
  if (failed(n.require(k.sequence(), fresh, "lengths of keys and queries")) ||
      failed(n.require(k.batch(), batch, "batches of keys and queries")) ||
      failed(n.require(v.batch(), batch, "batches of values and queries")) ||
      failed(n.require(v.sequence(), fresh, "lengths of values and queries")) ||
      failed(n.require(v.size(), k.size(), "sizes of value and key heads")))
    return failure();
  for (unsigned i : {3, 4})
    for (auto [d, e] : llvm::enumerate(SmallVector<Expr>{batch, n.expr(kvHeads), past, k.size()}))
      if (n.has(i) && failed(n.require(n.type(i).dim(d), e, "dimension " + Twine(d) + " of a cache")))
        return failure();
  if (sliding && failed(n.requireAtMost(n.expr(window), past, "the window and the caches")))
    return failure();
  auto last = n.site(n.in(5), present, "the last position of a sequence", false);
  if (failed(last))
    return failure();
  // Tokens that a row has before these: none in a prompt, where rows are padded behind their end.
  Value before = n.generic(n.tensor({batch}, i64), n.reshape(n.in(5), {batch}), [&](Body &b) {
    Value at = b.bounded(b.read(0, b.index(0)), present, *last, false);
    Value length = b.add(b.fromIndex(at, i64), b.integer(i64, 1));
    Value prompt = b.cmp(Cmp::eq, b.size(whole), b.size(fresh));
    return b.select(prompt, b.integer(i64, 0),
                    b.max(b.integer(i64, 0), b.sub(length, b.fromIndex(b.size(fresh), i64))));
  });
  if (n.attrInt("do_rotary", 0)) {
    if (!n.has(7) || !n.has(8))
      return n.error("expected cos_cache and sin_cache");
    Value positions = n.has(9) ? n.in(9) : n.generic(n.tensor({batch, fresh}, i64), before, [&](Body &b) {
      return b.add(b.read(0, b.index(0)), b.fromIndex(b.index(1), i64));
    });
    bool interleaved = n.attrInt("rotary_interleaved", 0);
    Expr rotated = n.type(7).dim(1) * 2;
    int64_t width = rotated == q.size() ? 0 : rotated.asConstant().value_or(0);
    q.v = rotate(n, q, n.in(7), n.in(8), positions, interleaved, width);
    k.v = rotate(n, k, n.in(7), n.in(8), positions, interleaved, width);
    if (!q.v || !k.v)
      return failure();
  }
  auto extend = [&](Heads h, Value cache) -> Heads {
    if (!cache && whole == fresh)
      return {headsFirst(n, h), true};
    SmallVector<Value> in{headsFirst(n, h), before};
    if (cache)
      in.push_back(cache);
    return {n.generic(n.tensor({batch, h.heads(), present, h.size()}, n.type(h.v).getElementType()), in,
                      [&](Body &b) {
                        SmallVector<Value> at = b.indices(), here(at);
                        Value start = b.toIndex(b.read(1, at[0]));
                        here[2] = b.sub(at[2], start);
                        Value old = b.zero(b.result.scalarType());
                        if (cache)
                          old = present == past ? b.read(2, at) : b.readOr(2, at, old, {2});
                        return b.readOr(0, here, old, {2});
                      }),
            true};
  };
  LatestTokens latest{n, batch, past, window, before, {}};
  if (sliding) {
    latest.after = n.generic(n.tensor({batch}, i64), n.reshape(n.in(5), {batch}), [&](Body &b) {
      Value at = b.bounded(b.read(0, b.index(0)), present, *last, false);
      return b.add(b.fromIndex(at, i64), b.integer(i64, 1));
    });
    if ((n.wants(1) && failed(n.setState(1, latest.next(k, n.in(3)), 3))) ||
        (n.wants(2) && failed(n.setState(2, latest.next(v, n.in(4)), 4))))
      return failure();
    k = {n.concat({n.in(3), headsFirst(n, k)}, 2), true};
    v = {n.concat({n.in(4), headsFirst(n, v)}, 2), true};
  } else {
    k = extend(k, n.in(3));
    v = extend(v, n.in(4));
    if ((n.wants(1) && failed(n.set(1, k.v))) || (n.wants(2) && failed(n.set(2, v.v))))
      return failure();
  }
  if (n.wants(3))
    return n.error("unsupported output 3 (output_qk) of GroupQueryAttention");
  SmallVector<Value> extras{before};
  Value bias = n.in(10);
  if (bias)
    extras.push_back(bias);
  // A smooth softmax has a sink of zero.
  unsigned sinkAt = extras.size();
  Value sinks = n.in(11);
  if (sinks) {
    if (failed(n.expectRank(11, 1)) || failed(n.require(n.type(11).dim(0), n.expr(heads), "sinks and heads")))
      return failure();
    extras.push_back(sinks);
  }
  auto sink = [&](Body &b) {
    Type f32 = n.b.getF32Type();
    return sinks ? b.convert(b.read(sinkAt, b.index(1)), n.element(11), f32) : b.zero(f32);
  };
  bool smooth = n.attrInt("smooth_softmax", 0) > 0; // -1 and 0 are off
  double scale = n.attrFloat("scale", 0), softcap = n.attrFloat("softcap", 0);
  auto score = [&](Body &b, Value product) {
    Value x = scaled(b, product, scale, q.size(), softcap);
    if (bias)
      x = b.add(x, b.convert(readMask(b, 1, k.sequence(), b.zero(b.type(1).scalarType())),
                             n.type(bias).getElementType(), x.getType()));
    Value held = b.toIndex(b.read(0, b.index(0))), at = b.add(b.index(2), held), j = b.index(3),
          least = b.constant(x.getType(), -INFINITY);
    if (sliding)
      j = latest.position(b, j, held);
    x = b.select(b.cmp(Cmp::le, j, at), x, least);
    // The window counts the query's own token, as in onnxruntime since 1.23.
    return window > 0 ? b.select(b.cmp(Cmp::lt, b.sub(at, j), b.idx(window)), x, least) : x;
  };
  Heads y = attend(n, q, k, v, extras, false, score, sinks || smooth ? SinkFn(sink) : SinkFn());
  return y.v ? n.set(n.reshape(y.v, {batch, fresh, q.heads() * v.size()})) : failure();
}

/// com.microsoft EmbedLayerNormalization: ids, segments, words, positions, segment table, gamma, beta, mask, position
/// ids.
LogicalResult embedLayerNorm(Node &n) {
  if (n.rank(0) != 2)
    return n.error("expected token numbers [batch, sequence]");
  Expr batch = n.type(0).dim(0), sequence = n.type(0).dim(1);
  bool segments = n.has(1) && n.has(4);
  if (segments && (failed(n.require(n.type(1).dim(0), batch, "batches of segments and tokens")) ||
                   failed(n.require(n.type(1).dim(1), sequence, "segments and tokens"))))
    return failure();
  SmallVector<Value> in{n.in(0), n.in(2), n.in(3)};
  if (segments)
    in.append({n.in(1), n.in(4)});
  int64_t positionsAt = n.has(8) ? (int64_t)in.size() : -1;
  if (positionsAt >= 0)
    in.push_back(n.in(8));
  Type element = n.element(2);
  // The positions of the tokens themselves must have a row as well.
  auto words = n.site(n.in(0), n.type(2).dim(0), "a token number", false);
  auto places = positionsAt >= 0 ? n.site(n.in(8), n.type(3).dim(0), "a position", false) : Site();
  auto kinds = segments ? n.site(n.in(1), n.type(4).dim(0), "a segment", false) : Site();
  if (failed(words) || failed(places) || failed(kinds))
    return failure();
  if (positionsAt < 0 && failed(n.requireAtMost(sequence, n.type(3).dim(0), "tokens and positions")))
    return failure();
  Value sum = n.generic(n.tensor({batch, sequence, n.type(2).dim(1)}, element), in, [&](Body &b) {
    Value r = b.index(0), s = b.index(1), c = b.index(2);
    auto row = [&](unsigned table, Value at) { return b.toCompute(b.read(table, {at, c}), element); };
    auto chosen = [&](unsigned table, Value at, Site site) {
      return row(table, b.bounded(at, b.type(table).dim(0), site, false));
    };
    Value position =
        positionsAt < 0
            ? row(2, s)
            : chosen(2, b.read(positionsAt, {b.type(positionsAt).dim(0).isConstant(1) ? b.idx(0) : r, s}), *places);
    Value v = b.add(chosen(1, b.read(0, {r, s}), *words), position);
    if (segments)
      v = b.add(v, chosen(4, b.read(3, {r, s}), *kinds));
    return b.fromCompute(v, element);
  });
  if (failed(n.set(2, sum)))
    return failure();
  if (n.wants(1)) { // how many tokens of each row count
    Type i32 = n.b.getI32Type();
    Value counts;
    if (n.has(7)) {
      Type from = n.element(7);
      counts = reduceOver(
          n, n.in(7), {1}, false, ReduceKind::add, i32,
          [&](Body &b, Value x) {
            return b.select(b.cmp(Cmp::eq, b.convert(x, from, i32), b.integer(i32, 1)), b.integer(i32, 1),
                            b.integer(i32, 0));
          },
          [](Body &, Value x, Expr) { return x; });
    } else {
      counts = n.generic(n.tensor({batch}, i32), {}, [&](Body &b) { return b.integer(i32, 0); });
    }
    if (failed(n.set(1, counts)))
      return failure();
  }
  return n.set(normWith(n, sum, NormKind::layer, 1, n.attrFloat("epsilon", 1e-12), n.in(5), n.in(6), element));
}

/// x + bias + skip, the bias along the last dimension.
LogicalResult biasAdd(Node &n) {
  return n.set(n.map(n.element(0), {n.in(0), n.in(1), n.in(2)},
                     [](Body &b, ArrayRef<Value> v) { return b.add(b.add(v[0], v[1]), v[2]); }));
}

/// With y = x + bias, the first half of y times gelu of the second.
LogicalResult biasSplitGelu(Node &n) {
  Value y = plusBias(n, n.in(0), n.in(1));
  Expr half = Expr::floorDiv(n.type(0).dim(n.rank(0) - 1), n.expr(2));
  return n.set(
      n.map(n.element(0), {columns(n, y, n.expr(0), half), columns(n, y, half, half)}, [](Body &b, ArrayRef<Value> v) {
        Type t = v[1].getType();
        Value e = b.math<math::ErfOp>(b.mul(v[1], b.constant(t, 0.70710678118654752)));
        return b.mul(v[0], b.mul(b.mul(v[1], b.constant(t, 0.5)), b.add(b.constant(t, 1), e)));
      }));
}

} // namespace

void import::registerTransformer(OpTable &t) {
  t["com.microsoft.Attention"] =
      Definition{attention, 2}.understanding(6, "do_rotary=0 mask_filter_value num_heads past_present_share_buffer=0 "
                                                "qkv_hidden_sizes rotary_embedding_dim scale unidirectional");
  t["com.microsoft.BiasAdd"] = Definition{biasAdd, 3}.understanding(3, "");
  t["com.microsoft.BiasSplitGelu"] = Definition{biasSplitGelu, 2}.understanding(2, "");
  t["com.microsoft.EmbedLayerNormalization"] =
      Definition{embedLayerNorm, {0, 2, 3, 5, 6}}.understanding(9, "epsilon mask_index_type");
  t["com.microsoft.GroupQueryAttention"] = Definition{groupQueryAttention, {0, 5, 6}}.understanding(
      12, "causal=1 do_rotary k_quant_type kv_cache_bit_width kv_num_heads local_window_size num_heads qk_norm_epsilon "
          "qk_output=0 rotary_interleaved scale sliding_window_cache smooth_softmax softcap v_quant_type");
  t["com.microsoft.MultiHeadAttention"] =
      Definition(multiHeadAttention).understanding(8, "mask_filter_value num_heads scale unidirectional");
}
