//===- Experts.cpp - mixtures of experts ----------------------------------===//
//
// com.microsoft MoE: every expert computes every token, and what the router did not choose weighs nothing.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// input, router_probs, fc1 weights and bias, fc2 weights and bias, fc3 weights and bias.
class Experts {
public:
  explicit Experts(Node &n) : n(n), f32(n.b.getF32Type()) {}
  LogicalResult run();

private:
  LogicalResult readInputs();
  Value weights();
  Value products(Value x, unsigned weight);
  Value hidden(Value x);
  Value gate(Body &b, Value x);

  Node &n;
  Type f32;
  std::string activation;
  int64_t fusion = 0;
  Expr tokens, experts, inner; // inner: width between the two products
};

LogicalResult Experts::readInputs() {
  auto word = n.attrWord("activation_type", {"relu", "gelu", "silu", "swiglu", "identity", "relu2", "geglu"});
  if (!word)
    return failure();
  activation = *word;
  fusion = n.attrInt("swiglu_fusion", 0);
  bool pairs = activation == "swiglu" || activation == "geglu";
  if (fusion < 0 || fusion > 2 || (fusion && !pairs))
    return n.error("expected swiglu_fusion of 0, or of 1 or 2 with swiglu or geglu, but got " + Twine(fusion));
  if (pairs && !fusion && !n.has(6))
    return n.error("expected swiglu_fusion or a third product with activation_type '" + Twine(activation) + "'");
  if (fusion && n.has(6))
    return n.error("expected no third product with swiglu_fusion = " + Twine(fusion));
  if (n.rank(0) < 2 || failed(n.expectRank(1, 2)))
    return n.rank(0) < 2 ? n.error("expected an input of rank 2 or more but got rank " + Twine(n.rank(0))) : failure();
  Expr width = n.type(0).dim(n.rank(0) - 1);
  tokens = n.type(1).dim(0), experts = n.type(1).dim(1);
  if (failed(n.requireSome(experts, tokens, "an expert")))
    return failure();
  for (unsigned i : {2u, 4u, 6u})
    if (n.has(i) && failed(n.expectRank(i, 3)))
      return failure();
  inner = n.type(4).dim(2);
  auto shaped = [&](unsigned i, ArrayRef<Expr> dims) -> LogicalResult {
    if (!n.has(i))
      return success();
    if (failed(n.expectRank(i, dims.size())))
      return failure();
    for (auto [d, e] : llvm::zip(n.dims(n.in(i)), dims))
      if (failed(n.require(d, e, "dimensions of the experts' weights")))
        return failure();
    return success();
  };
  Expr first = fusion ? inner * 2 : inner;
  if (failed(shaped(2, {experts, first, width})) || failed(shaped(3, {experts, first})) ||
      failed(shaped(4, {experts, width, inner})) || failed(shaped(5, {experts, width})) ||
      failed(shaped(6, {experts, inner, width})) || failed(shaped(7, {experts, inner})))
    return failure();
  return success();
}

/// [tokens, experts]: what each expert counts, 0 for all but the k likeliest, the first of equals.
Value Experts::weights() {
  int64_t most = n.attrInt("k", 1);
  Value p = n.cast(softmaxOf(n, n.cast(n.in(1), f32), NormKind::softmax, 1, false), f32);
  if (!p)
    return {};
  SymTensorType type = n.type(p);
  Type i32 = n.b.getI32Type();
  Value rank = n.reduce(n.tensor(n.dims(p), i32), ReduceKind::add, {experts}, p,
                        [&](Body &b) {
                          Value t = b.index(0), e = b.index(1), other = b.index(2);
                          Value x = b.read(0, {t, e}), y = b.read(0, {t, other});
                          Value tie = b.logicalAnd(b.cmp(Cmp::eq, x, y), b.cmp(Cmp::lt, other, e));
                          Value before = b.logicalOr(b.cmp(Cmp::gt, y, x), tie);
                          return b.select(before, b.integer(i32, 1), b.integer(i32, 0));
                        },
                        {});
  auto chosen = [&](Body &b, ArrayRef<Value> at) {
    return b.select(b.cmp(Cmp::lt, b.read(1, at), b.integer(i32, most)), b.read(0, at), b.zero(f32));
  };
  if (!n.attrInt("normalize_routing_weights", 0))
    return n.generic(type, {p, rank}, [&](Body &b) { return chosen(b, b.indices()); });
  Value sum = n.reduce(n.tensor({tokens}, f32), ReduceKind::add, {experts}, {p, rank},
                       [&](Body &b) { return chosen(b, {b.index(0), b.index(1)}); }, {});
  return n.generic(type, {p, rank, sum}, [&](Body &b) { return b.div(chosen(b, b.indices()), b.read(2, b.index(0))); });
}

/// [experts, tokens, columns]: x [1 or experts, tokens, rows] times each expert's transposed weights, with the bias
/// behind them.
Value Experts::products(Value x, unsigned weight) {
  Value y = n.matmul(x, n.in(weight), false, true, f32);
  if (!y || !n.has(weight + 1))
    return y;
  Type from = n.element(weight + 1);
  return n.generic(n.type(y), {y, n.in(weight + 1)}, [&](Body &b) {
    return b.add(b.read(0, b.indices()), b.convert(b.read(1, {b.index(0), b.index(2)}), from, f32));
  });
}

Value Experts::gate(Body &b, Value x) {
  if (activation == "relu" || activation == "relu2") {
    Value y = b.max(x, b.zero(f32));
    return activation == "relu" ? y : b.mul(y, y);
  }
  if (activation == "gelu" || activation == "geglu") { // by its tanh, as onnxruntime has it
    Value cube = b.mul(b.mul(x, x), b.mul(x, b.constant(f32, 0.044715)));
    Value t = b.math<math::TanhOp>(b.mul(b.constant(f32, std::sqrt(2 / M_PI)), b.add(x, cube)));
    return b.mul(b.mul(x, b.constant(f32, 0.5)), b.add(b.constant(f32, 1), t));
  }
  if (activation == "identity")
    return x;
  double alpha = activation == "swiglu" ? n.attrFloat("activation_alpha", 1) : 1;
  return b.mul(x, b.sigmoid(b.mul(b.constant(f32, alpha), x)));
}

/// What goes into the second product, [experts, tokens, inner].
Value Experts::hidden(Value x) {
  Value first = products(x, 2), third = n.has(6) ? products(x, 6) : Value();
  if (!first || (n.has(6) && !third))
    return {};
  SmallVector<Value> in{first};
  if (third)
    in.push_back(third);
  bool swiglu = activation == "swiglu", limited = swiglu && n.attr("swiglu_limit");
  double limit = n.attrFloat("swiglu_limit", 0), beta = swiglu ? n.attrFloat("activation_beta", 0) : 0;
  return n.generic(n.tensor({experts, tokens, inner}, n.element(0)), in, [&](Body &b) {
    SmallVector<Value> at = b.indices(), up(at);
    Value g, l;
    if (fusion == 1) { // pairs
      at[2] = b.mul(at[2], b.idx(2));
      up[2] = b.add(at[2], b.idx(1));
    } else if (fusion == 2) { // halves
      up[2] = b.add(at[2], b.size(inner));
    }
    g = b.read(0, at);
    if (third || fusion)
      l = b.read(third ? 1 : 0, up);
    if (limited) {
      Value most = b.constant(f32, limit), least = b.constant(f32, -limit);
      g = b.min(g, most);
      l = b.max(b.min(l, most), least);
    }
    Value y = gate(b, g);
    if (l)
      y = b.mul(y, beta == 0 ? l : b.add(l, b.constant(f32, beta)));
    return b.convert(y, f32, n.element(0));
  });
}

LogicalResult Experts::run() {
  if (failed(readInputs()))
    return failure();
  Expr width = n.type(0).dim(n.rank(0) - 1);
  Value x = n.reshape(n.in(0), {n.expr(1), tokens, width}), weight = x ? weights() : Value();
  Value inner = weight ? hidden(x) : Value(), y = inner ? products(inner, 4) : Value();
  if (!y)
    return failure();
  Value sum = n.reduce(
      n.tensor({tokens, width}, n.element(0)), ReduceKind::add, {experts}, {y, weight},
      [&](Body &b) {
        Value t = b.index(0), e = b.index(2);
        return b.mul(b.read(0, {e, t, b.index(1)}), b.read(1, {t, e}));
      },
      [&](Body &b) { return b.convert(b.scalar(0), f32, n.element(0)); });
  return n.set(n.reshape(sum, n.dims(n.in(0))));
}

} // namespace

void import::registerExperts(OpTable &t) {
  auto run = [](Node &n) { return Experts(n).run(); };
  t["com.microsoft.MoE"] = Definition{Lowering(run), {0, 1, 2, 4}}.understanding(
      8, "activation_alpha activation_beta activation_type k normalize_routing_weights swiglu_fusion swiglu_limit "
         "swiglu_limit_after_activation=0 use_sparse_mixer=0");
}
