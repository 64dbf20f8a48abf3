//===- Attention.cpp - attention and rotary embeddings --------------------===//
//
// Heads are read where they lie, so no transposition surrounds an attention; scale, masks and biases are its score
// region.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

Heads import::splitHeads(Node &n, Value v, int64_t heads) {
  SmallVector<Expr> d = n.dims(v);
  if (d.size() != 3 || heads < 1) {
    (void)n.error("expected a tensor of rank 3 and at least one head but got rank " + Twine(d.size()) + " and " +
                  Twine(heads) + " heads");
    return {};
  }
  return {n.reshape(v, {d[0], d[1], n.expr(heads), Expr::floorDiv(d[2], n.expr(heads))}), false};
}

Value import::headsFirst(Node &n, Heads h) { return h.headsFirst ? h.v : n.transpose(h.v, {0, 2, 1, 3}); }

/// The number of query heads that share a key head, or nothing after an error.
static std::optional<int64_t> groupOf(Node &n, Heads q, Heads k) {
  Expr g = Expr::floorDiv(q.heads(), k.heads());
  auto group = g.asConstant();
  if (q.heads() == k.heads())
    group = 1;
  if (!group || *group < 1 || k.heads() * *group != q.heads()) {
    (void)n.error("expected the query heads to be a multiple of the key heads but got " + q.heads().str() + " and " +
                  k.heads().str());
    return std::nullopt;
  }
  return group;
}

Heads import::attend(Node &n, Heads q, Heads k, Heads v, ValueRange extras, bool zeroEmpty, ScoreFn score,
                     SinkFn sink) {
  for (Value each : {q.v, k.v, v.v}) {
    if (!each)
      return {};
    if (int64_t rank = n.type(each).getRank(); rank != 4) {
      (void)n.error("expected query, key and value heads of rank 4 but got rank " + Twine(rank));
      return {};
    }
  }
  auto group = groupOf(n, q, k);
  if (!group || failed(n.require(q.size(), k.size(), "sizes of query and key heads")) ||
      failed(n.require(q.batch(), k.batch(), "batches of queries and keys")) ||
      failed(n.require(k.batch(), v.batch(), "batches of keys and values")) ||
      failed(n.require(k.sequence(), v.sequence(), "lengths of keys and values")) ||
      failed(n.require(k.heads(), v.heads(), "key and value heads")))
    return {};
  auto map = [&](bool headsFirst) {
    AffineExpr d[4];
    for (unsigned i = 0; i < 4; ++i)
      d[i] = n.b.getAffineDimExpr(headsFirst || i == 0 || i == 3 ? i : 3 - i);
    return AffineMapAttr::get(AffineMap::get(4, 0, d, n.context));
  };
  SmallVector<Expr> out = n.dims(q.v);
  out[3] = v.size();
  SymTensorType result = n.tensor(out, n.type(q.v).getElementType());
  Attribute maps[] = {map(q.headsFirst), map(k.headsFirst), map(v.headsFirst), map(q.headsFirst)};
  SmallVector<Attribute> sizes;
  SmallVector<Expr> space{q.batch(), q.heads(), q.sequence(), k.sequence()};
  for (Expr e : {space[0], space[1], space[2], space[3], q.size(), v.size()})
    sizes.push_back(e.attr());
  auto op =
      AttentionOp::create(n.b, n.loc, result, q.v, k.v, v.v, extras, n.b.getArrayAttr(maps), n.b.getArrayAttr(sizes),
                          n.b.getI64IntegerAttr(*group), zeroEmpty ? n.b.getUnitAttr() : UnitAttr(), ArrayAttr());
  Type f32 = n.b.getF32Type();
  auto fill = [&](Region &region, TypeRange leading, ArrayRef<Expr> extents, llvm::function_ref<Value(Body &)> body) {
    Block *block = addBody(region, leading, extras, extents.size());
    OpBuilder::InsertionGuard guard(n.b);
    n.b.setInsertionPointToStart(block);
    Body b(n.b, n.loc, block, leading.size(), extras.size(), n.tensor(extents, f32));
    YieldOp::create(n.b, n.loc, body(b));
    n.requireReads(region, b, extents);
  };
  fill(op.getScore(), {f32}, space, [&](Body &b) { return score(b, b.scalar(0)); });
  if (sink)
    fill(op.getSink(), {}, ArrayRef(space).drop_back(), sink);
  return {op.getResult(), q.headsFirst};
}

Value import::scaled(Body &b, Value product, double scale, Expr size, double softcap) {
  Type t = product.getType();
  if (auto c = size.asConstant(); c && scale == 0)
    scale = 1 / std::sqrt((double)*c);
  Value factor = scale != 0 ? b.constant(t, scale) : b.math<math::RsqrtOp>(b.fromIndex(b.size(size), t));
  Value x = b.mul(product, factor);
  return softcap == 0 ? x : b.mul(b.constant(t, softcap), b.math<math::TanhOp>(b.div(x, b.constant(t, softcap))));
}

Value import::readMask(Body &b, unsigned operand, Expr keys, Value outside) {
  SymTensorType type = b.type(operand);
  int64_t rank = type.getRank();
  SmallVector<Value> at;
  for (int64_t i = 0; i < rank; ++i) {
    Expr d = type.dim(i);
    Value index = b.index(4 - rank + i);
    at.push_back(i + 1 == rank ? index : b.broadcastIndex(d, index, b.result.dim(4 - rank + i)));
  }
  return rank == 0 || type.dim(rank - 1) == keys ? b.read(operand, at) : b.readOr(operand, at, outside, {rank - 1});
}

Value import::rotate(Node &n, Heads x, Value cos, Value sin, Value positions, bool interleaved, int64_t rotated) {
  Expr width = rotated ? n.expr(rotated) : x.size(), half = Expr::floorDiv(width, n.expr(2));
  SmallVector<Value> in{x.v, cos, sin};
  if (positions)
    in.push_back(positions);
  SmallVector<Expr> cache = n.dims(cos);
  if (cache.size() != (positions ? 2 : 3) || n.dims(sin).size() != cache.size()) {
    (void)n.error("expected caches of rank " + Twine(positions ? 2 : 3) + " but got rank " + Twine(cache.size()));
    return {};
  }
  if (failed(n.require(cache.back(), half, "half of the rotated size")))
    return {};
  for (auto [c, s] : llvm::zip(cache, n.dims(sin)))
    if (failed(n.require(s, c, "sizes of the caches of sines and cosines")))
      return {};
  Value rows = positions ? positions : cos; // [batch, sequence, ..]
  Expr batch = n.type(rows).dim(0);         // 1: the same for all
  batch = batch == x.batch() ? batch : Expr::select(Expr::eq(batch, n.expr(1)), x.batch(), batch);
  if (failed(n.require(batch, x.batch(), "batches of positions and heads")) ||
      failed(n.require(n.type(rows).dim(1), x.sequence(), "positions and tokens")))
    return {};
  FailureOr<Site> site = positions ? n.site(positions, cache[0], "a position", false) : FailureOr<Site>(Site());
  if (failed(site))
    return {};
  Type element = n.type(x.v).getElementType();
  return n.generic(n.type(x.v), in, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value row = at[0], s = at[x.headsFirst ? 2 : 1], d = at[3];
    Value h = b.size(half), two = b.idx(2);
    // Element d is half of a pair: where its partner lies, which angle is theirs, and which of the two it is.
    Value isSecond, angle, partner;
    if (interleaved) {
      isSecond = b.cmp(Cmp::eq, b.math<arith::RemUIOp>(d, two), b.idx(1));
      angle = b.math<arith::DivUIOp>(d, two);
      partner = b.select(isSecond, b.sub(d, b.idx(1)), b.add(d, b.idx(1)));
    } else {
      isSecond = b.cmp(Cmp::ge, d, h);
      angle = b.select(isSecond, b.sub(d, h), d);
      partner = b.select(isSecond, b.sub(d, h), b.add(d, h));
    }
    Value value = b.read(0, at), inside;
    if (width != x.size()) { // the rest of the head stays as it is
      inside = b.cmp(Cmp::lt, d, b.size(width));
      angle = b.min(angle, b.size(half - 1));
      partner = b.select(inside, partner, d);
    }
    SmallVector<Value> where{row, s, angle};
    if (positions) {
      SymTensorType p = n.type(positions);
      Value batch = p.dim(0) == x.batch() ? row : p.dim(0).isConstant(1) ? b.idx(0) : b.min(row, b.size(p.dim(0) - 1));
      where = {b.bounded(b.read(3, {batch, s}), cache[0], *site, false), angle};
    } else if (cache[0] != x.batch()) {
      where[0] = cache[0].isConstant(1) ? b.idx(0) : b.min(row, b.size(cache[0] - 1));
    }
    SmallVector<Value> other(at);
    other[3] = partner;
    Value v = b.toCompute(value, element), w = b.toCompute(b.read(0, other), element);
    Value c = b.convert(b.read(1, where), n.type(cos).getElementType(), v.getType());
    Value si = b.convert(b.read(2, where), n.type(sin).getElementType(), v.getType());
    Value turn = b.mul(si, w), y = b.add(b.mul(c, v), b.select(isSecond, turn, b.neg(turn)));
    Value result = b.fromCompute(y, element);
    return inside ? b.select(inside, result, value) : result;
  });
}

namespace {

LogicalResult rotaryEmbedding(Node &n) {
  bool microsoft = n.proto.domain() == "com.microsoft"; // x, positions, cos, sin against x, cos, sin, positions
  Value cos = n.in(microsoft ? 2 : 1), sin = n.in(microsoft ? 3 : 2), positions = n.in(microsoft ? 1 : 3);
  int64_t heads = n.attrInt("num_heads", 0), rotated = n.attrInt("rotary_embedding_dim", 0);
  Heads x;
  if (n.rank(0) == 4) {
    x = {n.in(0), true};
  } else {
    if (!heads && n.rank(0) == 3) { // as many heads as the caches' width makes
      Expr h = Expr::floorDiv(n.type(0).dim(2), n.type(cos).dim(n.type(cos).getRank() - 1) * 2);
      heads = h.asConstant().value_or(0);
    }
    x = splitHeads(n, n.in(0), heads);
  }
  if (!x.v)
    return failure();
  if (positions && n.type(positions).getRank() < 2) { // the position of the first token
    Type i64 = n.b.getI64Type(), from = n.type(positions).getElementType();
    int64_t rank = n.type(positions).getRank();
    positions = n.generic(n.tensor({n.expr(1), x.sequence()}, i64), positions, [&](Body &b) {
      return b.add(b.convert(b.read(0, SmallVector<Value>(rank, b.idx(0))), from, i64), b.fromIndex(b.index(1), i64));
    });
  }
  Value y = rotate(n, x, cos, sin, positions, n.attrInt("interleaved", 0), rotated);
  if (y && microsoft && n.attrFloat("scale", 1) != 1)
    y = n.map(n.element(0), y, [&](Body &b, ArrayRef<Value> v) {
      return b.mul(v[0], b.constant(v[0].getType(), n.attrFloat("scale", 1)));
    });
  return y ? n.set(n.reshape(y, n.dims(n.in(0)))) : failure();
}

/// Scores [batch, heads, queries, keys] in f32 as a tensor, of heads-first queries and keys.
Value scoreTensor(Node &n, Heads q, Heads k) {
  auto group = groupOf(n, q, k);
  if (!group)
    return {};
  Expr g = k.heads(), r = n.expr(*group);
  Value lhs = n.reshape(headsFirst(n, q), {q.batch(), g, r, q.sequence(), q.size()});
  Value rhs = n.reshape(headsFirst(n, k), {k.batch(), g, n.expr(1), k.sequence(), k.size()});
  Value s = lhs && rhs ? n.matmul(lhs, rhs, false, true, n.b.getF32Type()) : Value();
  return s ? n.reshape(s, {q.batch(), q.heads(), q.sequence(), k.sequence()}) : Value();
}

LogicalResult attention(Node &n) { // q, k, v, mask, past_key, past_value, lengths
  int64_t rank = n.rank(0);
  if ((rank != 3 && rank != 4) || n.rank(1) != rank || n.rank(2) != rank)
    return n.error("expected query, key and value of rank 3 or 4");
  auto heads = [&](unsigned i, StringRef count) {
    return rank == 4 ? Heads{n.in(i), true} : splitHeads(n, n.in(i), n.attrInt(count, 0));
  };
  Heads q = heads(0, "q_num_heads"), k = heads(1, "kv_num_heads"), v = heads(2, "kv_num_heads");
  if (!q.v || !k.v || !v.v)
    return failure();
  Expr past = n.expr(0);
  if (n.has(4) != n.has(5))
    return n.error("expected past_key and past_value together");
  if (n.has(4)) {
    if (failed(n.expectRank(4, 4)) || failed(n.expectRank(5, 4)))
      return failure();
    past = n.type(4).dim(2);
    k = {n.concat({n.in(4), headsFirst(n, k)}, 2), true};
    v = {n.concat({n.in(5), headsFirst(n, v)}, 2), true};
    if (!k.v || !v.v)
      return failure();
  }
  if ((n.wants(1) && failed(n.set(1, headsFirst(n, k)))) || (n.wants(2) && failed(n.set(2, headsFirst(n, v)))))
    return failure();
  Value mask = n.in(3), lengths = n.in(6);
  SmallVector<Value> extras;
  if (mask)
    extras.push_back(mask);
  if (lengths)
    extras.push_back(lengths);
  double scale = n.attrFloat("scale", 0), softcap = n.attrFloat("softcap", 0);
  bool causal = n.attrInt("is_causal", 0);
  int64_t left = n.attrInt("left_window_size", -1), right = n.attrInt("right_window_size", -1);
  Expr keys = k.sequence(), queries = q.sequence();
  bool boolMask = mask && n.element(3).isInteger(1);
  // Everything but the scale: operands first + 0.. are the extras.
  auto masked = [&](Body &b, Value x, unsigned first) {
    Value least = b.constant(x.getType(), -INFINITY);
    unsigned next = first;
    if (mask) {
      Value outside = boolMask ? b.boolean(false) : b.constant(b.type(next).scalarType(), -INFINITY);
      Value m = readMask(b, next, keys, outside);
      x = boolMask ? b.select(m, x, least) : b.add(x, b.convert(m, n.element(3), x.getType()));
      ++next;
    }
    Value i = b.index(2), j = b.index(3), offset = b.size(past);
    if (lengths) {
      Value length = b.toIndex(b.read(next, b.index(0)));
      x = b.select(b.cmp(Cmp::lt, j, length), x, least);
      offset = b.sub(length, b.size(queries));
    }
    Value at = b.add(i, offset);
    if (causal)
      x = b.select(b.cmp(Cmp::le, j, at), x, least);
    if (left >= 0)
      x = b.select(b.cmp(Cmp::le, b.sub(at, j), b.idx(left)), x, least);
    if (right >= 0)
      x = b.select(b.cmp(Cmp::le, b.sub(j, at), b.idx(right)), x, least);
    return x;
  };
  Value y;
  if (!n.wants(3)) {
    Heads r = attend(n, q, k, v, extras, /*zeroEmpty=*/true, [&](Body &b, Value product) {
      return masked(b, scaled(b, product, scale, q.size(), softcap), 0);
    });
    y = r.v;
    if (!y)
      return failure();
  } else {
    // The scores are asked for at some point of their way: they exist then.
    Value raw = scoreTensor(n, q, k);
    if (!raw)
      return failure();
    int64_t mode = n.attrInt("qk_matmul_output_mode", 0);
    Type element = n.element(0), f32 = n.b.getF32Type();
    SmallVector<Value> in{raw};
    in.append(extras);
    auto stage = [&](bool cap, bool withMask, Type to) {
      return n.generic(n.tensor(n.dims(raw), to), in, [&](Body &b) {
        Value x = scaled(b, b.read(0, b.indices()), scale, q.size(), cap ? softcap : 0);
        return b.convert(withMask ? masked(b, x, 1) : x, f32, to);
      });
    };
    Value score = stage(true, true, f32);
    Value p = n.normalize(
        n.type(raw), NormKind::softmax, 1, 0, score, [&](Body &b) { return b.read(0, b.indices()); },
        [&](Body &b) { return b.select(b.isNan(b.scalar(0)), b.zero(f32), b.scalar(0)); }); // rows without a key
    Value shown = mode == 0   ? stage(false, false, element)
                  : mode == 1 ? stage(true, false, element)
                  : mode == 2 ? n.cast(score, element)
                              : n.cast(p, element);
    if (failed(n.set(3, shown)))
      return failure();
    int64_t group = *groupOf(n, q, k);
    Value lhs = n.reshape(n.cast(p, element), {q.batch(), k.heads(), n.expr(group), queries, keys});
    Value rhs = n.reshape(headsFirst(n, v), {k.batch(), k.heads(), n.expr(1), keys, v.size()});
    y = n.matmul(lhs, rhs);
    if (!y)
      return failure();
    y = n.reshape(y, {q.batch(), q.heads(), queries, v.size()});
    if (rank == 3)
      y = n.transpose(y, {0, 2, 1, 3});
  }
  return n.set(rank == 4 ? y : n.reshape(y, {q.batch(), queries, q.heads() * v.size()}));
}

} // namespace

void import::registerAttention(OpTable &t) {
  t["Attention"] = {attention, 3};
  t["RotaryEmbedding"] = {rotaryEmbedding, 3};
  t["com.microsoft.RotaryEmbedding"] = Definition{rotaryEmbedding, 4}.understanding(
      4, "interleaved is_packed_batching=0 num_heads rotary_embedding_dim scale");
}
