//===- States.cpp - operators with caches and states of fixed size --------===//
//
// TensorScatter, CausalConvWithState and LinearAttention: a result goes on where an input of the same shape ends.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// past_cache, update, write_indices: each batch's update lies in its cache from its index on, the rest is the past.
LogicalResult tensorScatter(Node &n) {
  int64_t rank = n.rank(0);
  auto axis = n.axis(n.attrInt("axis", -2), rank);
  auto mode = n.attrWord("mode", {"linear", "circular"});
  if (!axis || !mode)
    return failure();
  if (*axis == 0)
    return n.error("expected an axis behind the batches but got " + Twine(n.attrInt("axis", -2)));
  if (n.element(1) != n.element(0))
    return n.error("expected an update of the cache's type but got " + n.typeText(1) + " and " + n.typeText(0));
  if (failed(n.expectRank(1, rank)))
    return failure();
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && failed(n.require(n.type(1).dim(d), n.type(0).dim(d), "dimensions of the cache and the update")))
      return failure();
  Expr room = n.type(0).dim(*axis), fresh = n.type(1).dim(*axis);
  if (failed(n.requireAtMost(fresh, room, "lengths of the update and the cache")))
    return failure();
  SmallVector<Value> in{n.in(0), n.in(1)};
  bool circular = *mode == "circular";
  Site site;
  if (Value indices = n.in(2)) {
    if (failed(n.expectRank(2, 1)) ||
        failed(n.require(n.type(2).dim(0), n.type(0).dim(0), "write_indices and batches")))
      return failure();
    in.push_back(indices);
    if (!circular) { // the whole update has to fit; in a ring every index means something
      auto found = n.site(indices, room - fresh + 1, "a write index", /*wraps=*/false);
      if (failed(found))
        return failure();
      site = *found;
    }
  }
  Value present = n.generic(n.type(0), in, [&](Body &b) {
    SmallVector<Value> at = b.indices(), from(at);
    if (in.size() == 3) {
      Value start = b.read(2, at[0]);
      if (circular) {
        Value size = b.fromIndex(b.size(room), start.getType()), zero = b.integer(start.getType(), 0);
        Value rest = b.math<arith::RemSIOp>(start, b.max(size, b.integer(start.getType(), 1)));
        start = b.toIndex(b.select(b.cmp(Cmp::lt, rest, zero), b.add(rest, size), rest));
      } else {
        start = b.bounded(start, room - fresh + 1, site, /*wraps=*/false);
      }
      Value by = b.sub(at[*axis], start);
      from[*axis] = circular ? b.select(b.cmp(Cmp::lt, by, b.idx(0)), b.add(by, b.size(room)), by) : by;
    }
    return b.readOr(1, from, b.read(0, at), {*axis});
  });
  return n.setState(0, present, 0);
}

/// input [batch, channels, length], weight [channels, 1, taps], bias, past_state [batch, channels, (taps - 1) *
/// dilation]: each channel convolved with what came before it. The next state is the end of what was read.
LogicalResult causalConv(Node &n) {
  auto activation = n.attrWord("activation", {"none", "silu", "swish"});
  int64_t dilation = n.attrInt("dilation", 1), rank = n.rank(0);
  bool channelsLast = n.attrInt("channels_last", 0) != 0; // [batch, length, channels..], states as well
  if (!activation || failed(n.expectRank(1, 3)) || (!channelsLast && failed(n.expectRank(0, 3))))
    return failure();
  if (rank < 3)
    return n.error("expected an input of rank 3 or more but got rank " + Twine(rank));
  auto taps = n.type(1).dim(2).asConstant();
  if (!taps || *taps < 1 || *taps > (int64_t)kMaxTogether || dilation < 1 || dilation > (1 << 20))
    return n.error("expected a dilation of 1 or more and 1 to " + Twine(kMaxTogether) + " taps but got " +
                   Twine(dilation) + " and " + n.type(1).dim(2).str());
  int64_t length = channelsLast ? 1 : 2, channel = channelsLast ? 2 : 1;
  Value x = n.in(0), weight = n.in(1), bias = n.in(2), past = n.in(3);
  SmallVector<Expr> whole = n.dims(x), held(whole); // as the caller has them
  Expr channels = n.expr(1), before = n.expr((*taps - 1) * dilation), fresh = whole[length];
  for (Expr d : ArrayRef(whole).drop_front(channelsLast ? 2 : 1).take_front(channelsLast ? rank - 2 : 1))
    channels = channels * d;
  held[length] = before;
  if (failed(n.require(n.type(1).dim(0), channels, "channels of the weight and the input")) ||
      failed(n.require(n.type(1).dim(1), n.expr(1), "channels of a group")) ||
      (bias && failed(n.require(n.type(2).numElements(), channels, "elements of the bias and channels"))))
    return failure();
  if (past) {
    if (failed(n.expectRank(3, rank)))
      return failure();
    for (auto [d, e] : llvm::zip(n.dims(past), held))
      if (failed(n.require(d, e, "dimensions of the state")))
        return failure();
  }
  auto flat = [&](Expr size) {
    return channelsLast ? SmallVector<Expr>{whole[0], size, channels} : SmallVector<Expr>{whole[0], channels, size};
  };
  Type element = n.element(0);
  x = n.reshape(x, flat(fresh));
  SmallVector<Value> in{x};
  if (past)
    in.push_back(n.reshape(past, flat(before)));
  // Element `at` of the state with the input behind it.
  auto read = [&](Body &b, SmallVector<Value> at) {
    Value old = past ? b.readOr(1, at, b.zero(element), {length}) : b.zero(element);
    at[length] = b.sub(at[length], b.size(before));
    return b.readOr(0, at, old, {length});
  };
  unsigned weightAt = in.size();
  SmallVector<Value> operands(in);
  operands.push_back(weight);
  if (bias)
    operands.push_back(bias);
  Value y = n.generic(n.type(x), operands, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value sum;
    for (int64_t j = 0; j < *taps; ++j) {
      SmallVector<Value> from(at);
      from[length] = b.add(at[length], b.idx(j * dilation));
      Value w = b.toCompute(b.read(weightAt, {at[channel], b.idx(0), b.idx(j)}), element);
      Value product = b.mul(b.toCompute(read(b, from), element), w);
      sum = sum ? b.add(sum, product) : product;
    }
    if (bias)
      sum = b.add(sum, b.toCompute(b.read(weightAt + 1, at[channel]), element));
    if (*activation != "none")
      sum = b.mul(sum, b.sigmoid(sum));
    return b.fromCompute(sum, element);
  });
  Value state = n.generic(n.tensor(flat(before), element), in, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at[length] = b.add(at[length], b.size(fresh));
    return read(b, at);
  });
  return failed(n.set(0, n.reshape(y, whole))) ? failure() : n.setState(1, n.reshape(state, held), 3);
}

/// query, key, value [batch, tokens, heads * size], past_state [batch, kvHeads, dk, dv], decay, beta. With S the state
/// of a head, for each token: S *= exp(decay); v = beta * (v - S^T k) where the rule has a delta; S += k v^T; y = scale
/// * S^T q. The state is kept in f32 on the way.
LogicalResult linearAttention(Node &n) {
  auto rule = n.attrWord("update_rule", {"gated_delta", "linear", "gated", "delta"});
  int64_t qHeads = n.attrInt("q_num_heads", 0), heads = n.attrInt("kv_num_heads", 0);
  if (!rule)
    return failure();
  if (qHeads < 1 || heads < 1 || (qHeads % heads && heads % qHeads))
    return n.error("expected heads of queries and keys that divide one another but got " + Twine(qHeads) + " and " +
                   Twine(heads));
  bool gated = rule->starts_with("gated"), delta = rule->ends_with("delta");
  for (auto [input, name, wanted] : {std::tuple(4u, "decay", gated), std::tuple(5u, "beta", delta)})
    if (n.has(input) != wanted)
      return n.error("expected " + Twine(wanted ? "a " : "no ") + name + " with update_rule '" + *rule + "'");
  Heads q = splitHeads(n, n.in(0), qHeads), k = splitHeads(n, n.in(1), heads), v = splitHeads(n, n.in(2), heads);
  if (!q.v || !k.v || !v.v)
    return failure();
  Expr batch = q.batch(), tokens = q.sequence(), dk = k.size(), dv = v.size();
  for (auto [h, name] : {std::pair(k, "keys"), std::pair(v, "values")})
    if (failed(n.require(h.batch(), batch, "batches of queries and " + Twine(name))) ||
        failed(n.require(h.sequence(), tokens, "lengths of queries and " + Twine(name))))
      return failure();
  if (failed(n.require(q.size(), dk, "sizes of query and key heads")))
    return failure();
  Type element = n.element(0), f32 = n.b.getF32Type();
  SymTensorType state = n.tensor({batch, n.expr(heads), dk, dv}, f32);
  // [batch, tokens, heads or 1, numbers of a head or 1]
  auto perHead = [&](unsigned i, Expr wide) -> Value {
    if (!n.has(i))
      return {};
    if (failed(n.expectRank(i, 3)) || failed(n.require(n.type(i).dim(0), batch, "batches of gates and queries")) ||
        failed(n.require(n.type(i).dim(1), tokens, "lengths of gates and queries")))
      return {};
    Expr width = n.type(i).dim(2), one = n.expr(1), count = width == one ? one : n.expr(heads), each = one;
    if (wide && width != count) {
      if (failed(n.require(width, wide * heads, "columns of the decay and of the keys")))
        return {};
      each = wide;
    } else if (failed(n.require(width, count, "columns of a gate and heads"))) {
      return {};
    }
    return n.reshape(n.in(i), {batch, tokens, count, each});
  };
  Value decay = perHead(4, dk), beta = perHead(5, {});
  if ((gated && !decay) || (delta && !beta))
    return failure();
  Value start = n.in(3);
  Type kept = start ? n.element(3) : element;
  if (start) {
    if (failed(n.expectRank(3, 4)))
      return failure();
    for (auto [d, e] : llvm::zip(n.dims(start), state.getDims()))
      if (failed(n.require(d, Expr(e), "dimensions of the state")))
        return failure();
    start = n.reshape(n.cast(start, f32), {batch, n.expr(heads), dk, dv});
  } else {
    start = n.generic(state, {}, [&](Body &b) { return b.zero(f32); });
  }
  int64_t outHeads = std::max(qHeads, heads);
  // The number of head `h` of `from` heads among `to`.
  auto shared = [](Body &b, Value h, int64_t from, int64_t to) {
    return from == to ? h : b.math<arith::DivUIOp>(h, b.idx(from / to));
  };
  auto results = loop(n, start, tokens, {}, {false}, [&](ValueRange carried, Expr i) -> FailureOr<LoopYield> {
    auto token = [&](Body &b, unsigned operand, Value head, Value d) {
      return b.toCompute(b.read(operand, {b.index(0), b.size(i), head, d}), b.type(operand).getElementType());
    };
    auto gate = [&](Body &b, unsigned operand, Value head, Value d) {
      SymTensorType type = b.type(operand);
      return token(b, operand, type.dim(2).isConstant(1) ? b.idx(0) : head, type.dim(3).isConstant(1) ? b.idx(0) : d);
    };
    // Element (d, m) of the state after the decay; operand 0 is the state, `gateAt` the decay.
    auto decayed = [&](Body &b, Value h, Value d, Value m, unsigned gateAt) {
      Value s = b.read(0, {b.index(0), h, d, m});
      return gated ? b.mul(s, b.math<math::ExpOp>(gate(b, gateAt, h, d))) : s;
    };
    SmallVector<Value> in{carried[0], k.v};
    Value news = v.v; // what is written for the key, [batch, tokens, heads, dv] or, of this token, [batch, heads, dv]
    if (delta) {
      in.append({v.v, beta});
      if (gated)
        in.push_back(decay);
      news = n.reduce(
          n.tensor({batch, n.expr(heads), dv}, f32), ReduceKind::add, {dk}, in,
          [&](Body &b) {
            Value h = b.index(1), m = b.index(2), d = b.index(3);
            return b.mul(decayed(b, h, d, m, 4), token(b, 1, h, d));
          },
          [&](Body &b) {
            Value h = b.index(1), rest = b.sub(token(b, 2, h, b.index(2)), b.scalar(0));
            return b.mul(gate(b, 3, h, b.idx(0)), rest);
          });
    }
    in = {carried[0], k.v, news};
    if (gated)
      in.push_back(decay);
    Value next = n.generic(state, in, [&](Body &b) {
      Value h = b.index(1), d = b.index(2), m = b.index(3);
      Value value = delta ? b.read(2, {b.index(0), h, m}) : token(b, 2, h, m);
      return b.add(decayed(b, h, d, m, 3), b.mul(token(b, 1, h, d), value));
    });
    Value y = n.reduce(
        n.tensor({batch, n.expr(outHeads), dv}, element), ReduceKind::add, {dk}, {next, q.v},
        [&](Body &b) {
          Value h = b.index(1), m = b.index(2), d = b.index(3);
          Value s = b.read(0, {b.index(0), shared(b, h, outHeads, heads), d, m});
          return b.mul(s, token(b, 1, shared(b, h, outHeads, qHeads), d));
        },
        [&](Body &b) { return b.fromCompute(scaled(b, b.scalar(0), n.attrFloat("scale", 0), dk, 0), element); });
    return LoopYield{{next}, {y}, {}};
  });
  if (failed(results))
    return failure();
  Value y = n.transpose((*results)[1], {1, 0, 2, 3});
  return failed(n.set(0, n.reshape(y, {batch, tokens, dv * outHeads}))) ? failure()
                                                                        : n.setState(1, n.cast((*results)[0], kept), 3);
}

} // namespace

void import::registerStates(OpTable &t) {
  t["TensorScatter"] = {tensorScatter, 2};
  t["CausalConvWithState"] = {causalConv, 2};
  t["com.microsoft.CausalConvWithState"] =
      Definition{causalConv, 2}.understanding(4, "activation channels_last dilation input_channel_offset=0 "
                                                 "input_channels=0 ndim=1 state_channels_last=-1 state_length=0 "
                                                 "state_update_capacity=0 state_window=0");
  t["LinearAttention"] = {linearAttention, 3};
  t["com.microsoft.LinearAttention"] = Definition{linearAttention, 3}.understanding(
      6, "chunk_size kv_num_heads q_num_heads scale state_window=0 update_rule");
}
