//===- Recurrent.cpp - LSTM, GRU and RNN ----------------------------------===//
//
// The inputs' share of the gates is one product over all time steps; a loop over the steps adds the recurrent product
// and computes the states.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

struct Activation {
  std::string name;
  double alpha = 0, beta = 0;

  Value apply(Body &b, Value x) const {
    Type t = x.getType();
    auto c = [&](double v) { return b.constant(t, v); };
    Value zero = c(0);
    if (name == "sigmoid")
      return b.sigmoid(x);
    if (name == "tanh")
      return b.math<math::TanhOp>(x);
    if (name == "relu")
      return b.max(x, zero);
    if (name == "affine")
      return b.add(b.mul(c(alpha), x), c(beta));
    if (name == "leakyrelu")
      return b.select(b.cmp(Cmp::lt, x, zero), b.mul(c(alpha), x), x);
    if (name == "thresholdedrelu")
      return b.select(b.cmp(Cmp::gt, x, c(alpha)), x, zero);
    if (name == "scaledtanh")
      return b.mul(c(alpha), b.math<math::TanhOp>(b.mul(c(beta), x)));
    if (name == "hardsigmoid")
      return b.max(zero, b.min(c(1), b.add(b.mul(c(alpha), x), c(beta))));
    if (name == "elu")
      return b.select(b.cmp(Cmp::lt, x, zero), b.mul(c(alpha), b.math<math::ExpM1Op>(x)), x);
    if (name == "softsign")
      return b.div(x, b.add(c(1), b.abs(x)));
    // softplus
    return b.add(b.max(x, zero), b.math<math::Log1pOp>(b.math<math::ExpOp>(b.neg(b.abs(x)))));
  }
};

/// What the three operators share. Gates follow each other in the weights as the specification lists them.
struct Recurrent {
  Node &n;
  int64_t gates;
  unsigned perDirection; // activations of one direction
  Type type, f32;
  Value x;    // [time, batch, input]
  Value w, r; // [directions, gates * hidden, input] and [.., hidden]
  Expr steps, batch, hidden;
  int64_t directions = 1;
  bool reverseOnly = false;
  double clip = 0;
  std::vector<Activation> activations;
  Value lengths; // [batch] or null

  Recurrent(Node &n, int64_t gates, unsigned perDirection) : n(n), gates(gates), perDirection(perDirection) {}

  LogicalResult read(ArrayRef<StringRef> defaults);
  LogicalResult run(bool cell, unsigned outputs);
  LogicalResult readActivations(ArrayRef<StringRef> defaults);
  LogicalResult checkOptional();

  /// Direction d of a [directions, ..] tensor, null for null.
  Value of(Value v, int64_t d);
  /// Part [begin, begin + count) of the rows of a matrix, or elements of a vector.
  Value rows(Value v, Expr begin, Expr count);
  Value limit(Body &b, Value v) {
    return clip > 0 ? b.min(b.max(v, b.constant(v.getType(), -clip)), b.constant(v.getType(), clip)) : v;
  }
  const Activation &act(int64_t direction, unsigned i) { return activations[direction * perDirection + i]; }
  /// The sum over inputs and biases for all steps, [time, batch, gates * hidden].
  Value inputShare(Value w, Value bias);
  /// Step i of direction d: the next states from the states.
  FailureOr<LoopYield> lstm(int64_t d, Value share, Value r, Value peephole, ValueRange states, bool backwards, Expr i);
  FailureOr<LoopYield> gru(int64_t d, Value share, Value r, Value bias, ValueRange states, bool backwards, Expr i);
  FailureOr<LoopYield> rnn(int64_t d, Value share, Value r, ValueRange states, bool backwards, Expr i);

  /// Inside a body over [batch, hidden]: gate g's share at step i, from an operand that holds all steps, in f32.
  Value shared(Body &b, unsigned operand, int64_t g, bool backwards, Expr i, int64_t lengthOperand);
  /// `fresh` where the step is inside the row's sequence, else `old`.
  Value kept(Body &b, Value fresh, Value old, Expr i, int64_t lengthOperand);
};

LogicalResult Recurrent::readActivations(ArrayRef<StringRef> defaults) {
  const auto *given = n.attr("activations");
  std::vector<std::string> names;
  for (int64_t d = 0; d < directions; ++d)
    for (StringRef s : defaults)
      names.push_back(s.str());
  if (given && given->strings_size()) {
    if (given->strings_size() != (int)names.size())
      return n.error("expected " + Twine(names.size()) + " activations but got " + Twine(given->strings_size()));
    names.assign(given->strings().begin(), given->strings().end());
  }
  auto alphas = n.attrFloats("activation_alpha").value_or(std::vector<float>());
  auto betas = n.attrFloats("activation_beta").value_or(std::vector<float>());
  struct Row {
    const char *name;
    bool alpha, beta;
    double a, b;
  };
  constexpr Row kRows[] = {
      {"sigmoid", false, false, 0, 0},     {"tanh", false, false, 0, 0},         {"relu", false, false, 0, 0},
      {"softsign", false, false, 0, 0},    {"softplus", false, false, 0, 0},     {"affine", true, true, 1, 0},
      {"leakyrelu", true, false, 0.01, 0}, {"elu", true, false, 1, 0},           {"thresholdedrelu", true, false, 1, 0},
      {"scaledtanh", true, true, 1, 1},    {"hardsigmoid", true, true, 0.2, 0.5}};
  size_t nextAlpha = 0, nextBeta = 0; // only activations that have one take one
  for (const std::string &name : names) {
    std::string lower = StringRef(name).lower();
    const Row *row = llvm::find_if(kRows, [&](const Row &r) { return lower == r.name; });
    if (row == std::end(kRows))
      return n.error("unsupported activation '" + name + "'");
    Activation a{lower, row->a, row->b};
    if (row->alpha && nextAlpha < alphas.size())
      a.alpha = alphas[nextAlpha++];
    if (row->beta && nextBeta < betas.size())
      a.beta = betas[nextBeta++];
    activations.push_back(a);
  }
  return success();
}

/// Bias, lengths, first states and peepholes have the sizes that the others give.
LogicalResult Recurrent::checkOptional() {
  Expr all = n.expr(directions);
  bool batchFirst = n.attrInt("layout", 0);
  SmallVector<Expr> state{batchFirst ? batch : all, batchFirst ? all : batch, hidden};
  std::tuple<unsigned, StringRef, SmallVector<Expr>> wanted[] = {{3, "bias", {all, hidden * (2 * gates)}},
                                                                 {4, "sequence_lens", {batch}},
                                                                 {5, "initial_h", state},
                                                                 {6, "initial_c", state},
                                                                 {7, "peepholes", {all, hidden * 3}}};
  for (auto &[input, name, dims] : wanted) {
    if (!n.has(input))
      continue;
    if (n.rank(input) != (int64_t)dims.size())
      return n.error("expected " + name + " of rank " + Twine(dims.size()) + " but got " + Twine(n.rank(input)));
    for (auto [i, d] : llvm::enumerate(dims))
      if (failed(n.require(n.type(input).dim(i), d, "dimension " + Twine(i) + " of " + name)))
        return failure();
  }
  return success();
}

LogicalResult Recurrent::read(ArrayRef<StringRef> defaults) {
  if (!w)
    w = n.in(1), r = n.in(2);
  if (n.rank(0) != 3 || n.type(w).getRank() != 3 || n.type(r).getRank() != 3)
    return n.error("expected input, weights and recurrent weights of rank 3");
  static constexpr std::pair<unsigned, int64_t> kOptional[] = {{3, 2}, {4, 1}, {5, 3}, {6, 3}, {7, 2}};
  for (auto [input, rank] : kOptional) // bias, lengths, initial states, peephole weights
    if (n.has(input) && failed(n.expectRank(input, rank)))
      return failure();
  type = n.element(0);
  f32 = type.isF64() ? type : Type(n.b.getF32Type());
  auto direction = n.attrWord("direction", {"forward", "reverse", "bidirectional"});
  if (!direction)
    return failure();
  directions = *direction == "bidirectional" ? 2 : 1;
  reverseOnly = *direction == "reverse";
  clip = n.attrFloat("clip", 0);
  x = n.attrInt("layout", 0) ? n.transpose(n.in(0), {1, 0, 2}) : n.in(0);
  steps = n.type(x).dim(0);
  batch = n.type(x).dim(1);
  hidden = n.type(r).dim(2);
  if (failed(n.require(n.type(w).dim(0), n.expr(directions), "directions of the weights")) ||
      failed(n.require(n.type(r).dim(0), n.expr(directions), "directions of the recurrent weights")) ||
      failed(n.require(n.type(w).dim(1), hidden * gates, "gates of the weights")) ||
      failed(n.require(n.type(w).dim(2), n.type(x).dim(2), "input size of the weights")) ||
      failed(n.require(n.type(r).dim(0), n.expr(directions), "directions of the recurrent weights")) ||
      failed(n.require(n.type(r).dim(1), hidden * gates, "gates of the recurrent weights")) || failed(checkOptional()))
    return failure();
  if (n.has(4)) {
    // Lengths that are all the full length change nothing.
    const Contents *known = n.known(n.in(4));
    if (!known || !llvm::all_of(*known, [&](const Scalar &s) { return s.isExpr() && s.e == steps; })) {
      auto site = n.site(n.in(4), steps + 1, "the length of a sequence", /*wraps=*/false);
      if (failed(site))
        return failure();
      Type i64 = n.b.getI64Type();
      lengths = n.generic(n.tensor(n.dims(n.in(4)), i64), n.in(4), [&](Body &b) {
        return b.fromIndex(b.bounded(b.read(0, b.indices()), steps + 1, *site, /*wraps=*/false), i64);
      });
    }
  }
  return readActivations(defaults);
}

Value Recurrent::of(Value v, int64_t d) {
  if (!v)
    return {};
  SmallVector<Expr> dims = n.dims(v), out(dims.begin() + 1, dims.end());
  if (directions == 1)
    return n.reshape(v, out);
  SmallVector<Expr> starts(dims.size(), n.expr(0)), sizes(dims);
  starts[0] = n.expr(d);
  sizes[0] = n.expr(1);
  return n.reshape(n.slice(v, starts, sizes, SmallVector<int64_t>(dims.size(), 1)), out);
}

Value Recurrent::rows(Value v, Expr begin, Expr count) {
  SmallVector<Expr> starts(n.type(v).getRank(), n.expr(0)), sizes = n.dims(v);
  starts[0] = begin;
  sizes[0] = count;
  return n.slice(v, starts, sizes, SmallVector<int64_t>(starts.size(), 1));
}

Value Recurrent::inputShare(Value w, Value bias) {
  // One product of [time * batch, input] rows; the sums stay in f32 as the gates need them.
  Value flat = n.reshape(x, {steps * batch, n.type(x).dim(2)});
  Value y = n.matmul(flat, w, false, true, f32);
  if (!y)
    return {};
  Expr width = hidden * gates;
  if (bias)
    y = n.generic(n.type(y), {y, bias}, [&](Body &b) {
      auto at = [&](Value i) { return b.convert(b.read(1, i), type, f32); };
      Value both = b.add(at(b.index(1)), at(b.add(b.index(1), b.size(width))));
      return b.add(b.read(0, b.indices()), both);
    });
  return n.reshape(y, {steps, batch, width});
}

Value Recurrent::shared(Body &b, unsigned operand, int64_t g, bool backwards, Expr i, int64_t lengthOperand) {
  Value t = b.size(i), row = b.index(0);
  if (backwards && lengthOperand >= 0) { // a row runs from the end of its own sequence
    Value length = b.toIndex(b.read(lengthOperand, row));
    t = b.max(b.idx(0), b.sub(b.sub(length, b.idx(1)), t));
  } else if (backwards) {
    t = b.size(steps - 1 - i);
  }
  Value column = g == 0 ? b.index(1) : b.add(b.index(1), b.size(hidden * g));
  return b.read(operand, {t, row, column});
}

Value Recurrent::kept(Body &b, Value fresh, Value old, Expr i, int64_t lengthOperand) {
  if (lengthOperand < 0)
    return fresh;
  Value inside = b.cmp(Cmp::lt, b.size(i), b.toIndex(b.read(lengthOperand, b.index(0))));
  return b.select(inside, fresh, old);
}

/// Gates i, o, f, c. States: hidden, cell.
FailureOr<LoopYield> Recurrent::lstm(int64_t d, Value share, Value r, Value peephole, ValueRange states, bool backwards,
                                     Expr i) {
  Value rec = n.matmul(states[0], r, false, true, f32);
  if (!rec)
    return failure();
  const Activation &f = act(d, 0), &g = act(d, 1), &h = act(d, 2);
  bool coupled = n.attrInt("input_forget", 0);
  auto gate = [&](Body &b, int64_t k, int64_t len) {
    Value column = k == 0 ? b.index(1) : b.add(b.index(1), b.size(hidden * k));
    return b.add(shared(b, 0, k, backwards, i, len), b.read(1, {b.index(0), column}));
  };
  auto peep = [&](Body &b, unsigned operand, int64_t k, Value v, Value cell) {
    Value at = k == 0 ? b.index(1) : b.add(b.index(1), b.size(hidden * k));
    return b.add(v, b.mul(b.convert(b.read(operand, at), type, f32), cell));
  };
  SymTensorType state = n.tensor({batch, hidden}, type);
  SmallVector<Value> in{share, rec, states[1]};
  int64_t peepAt = peephole ? (int64_t)in.size() : -1;
  if (peephole)
    in.push_back(peephole);
  int64_t len = lengths ? (int64_t)in.size() : -1;
  if (lengths)
    in.push_back(lengths);
  Value cell = n.generic(state, in, [&](Body &b) {
    Value old = b.read(2, b.indices()), c = b.convert(old, type, f32);
    Value gi = gate(b, 0, len), gf = gate(b, 2, len), gc = gate(b, 3, len);
    if (peepAt >= 0)
      gi = peep(b, peepAt, 0, gi, c), gf = peep(b, peepAt, 2, gf, c);
    Value input = f.apply(b, limit(b, gi));
    Value forget = coupled ? b.sub(b.constant(f32, 1), input) : f.apply(b, limit(b, gf));
    Value fresh = b.add(b.mul(forget, c), b.mul(input, g.apply(b, limit(b, gc))));
    return kept(b, b.convert(fresh, f32, type), old, i, len);
  });
  SmallVector<Value> more{share, rec, cell, states[0]};
  int64_t peepAt2 = peephole ? (int64_t)more.size() : -1;
  if (peephole)
    more.push_back(peephole);
  int64_t len2 = lengths ? (int64_t)more.size() : -1;
  if (lengths)
    more.push_back(lengths);
  Value next = n.generic(state, more, [&](Body &b) {
    Value c = b.convert(b.read(2, b.indices()), type, f32), go = gate(b, 1, len2);
    if (peepAt2 >= 0)
      go = peep(b, peepAt2, 1, go, c);
    Value fresh = b.mul(f.apply(b, limit(b, go)), h.apply(b, c));
    return kept(b, b.convert(fresh, f32, type), b.read(3, b.indices()), i, len2);
  });
  return LoopYield{{next, cell}, {next}, {}};
}

/// Gates z, r, h. Biases: Wb of all gates is in `share`, and Rb of all but h where the reset comes after the product.
FailureOr<LoopYield> Recurrent::gru(int64_t d, Value share, Value r, Value bias, ValueRange states, bool backwards,
                                    Expr i) {
  bool after = n.attrInt("linear_before_reset", 0);
  const Activation &f = act(d, 0), &g = act(d, 1);
  SymTensorType state = n.tensor({batch, hidden}, type);
  Value h = states[0];
  Value rec = n.matmul(h, after ? r : rows(r, n.expr(0), hidden * 2), false, true, f32);
  if (!rec)
    return failure();
  auto column = [&](Body &b, int64_t k) { return k == 0 ? b.index(1) : b.add(b.index(1), b.size(hidden * k)); };
  auto gate = [&](Body &b, int64_t k, int64_t len) {
    return f.apply(b, limit(b, b.add(shared(b, 0, k, backwards, i, len), b.read(1, {b.index(0), column(b, k)}))));
  };
  Value candidate; // the recurrent share of gate h
  if (!after) {
    SmallVector<Value> in{share, rec, h};
    int64_t len = lengths ? 3 : -1;
    if (lengths)
      in.push_back(lengths);
    Value reset = n.generic(state, in, [&](Body &b) {
      return b.convert(b.mul(gate(b, 1, len), b.convert(b.read(2, b.indices()), type, f32)), f32, type);
    });
    candidate = n.matmul(reset, rows(r, hidden * 2, hidden), false, true, f32);
  }
  SmallVector<Value> in{share, rec, h};
  int64_t candidateAt = candidate ? (int64_t)in.size() : -1;
  if (candidate)
    in.push_back(candidate);
  int64_t biasAt = after && bias ? (int64_t)in.size() : -1;
  if (biasAt >= 0)
    in.push_back(bias);
  int64_t len = lengths ? (int64_t)in.size() : -1;
  if (lengths)
    in.push_back(lengths);
  Value next = n.generic(state, in, [&](Body &b) {
    Value old = b.read(2, b.indices()), oldF = b.convert(old, type, f32), z = gate(b, 0, len);
    Value v = shared(b, 0, 2, backwards, i, len);
    if (after) {
      Value product = b.read(1, {b.index(0), column(b, 2)});
      if (biasAt >= 0) // Rb of h: gates + 2 blocks into the biases
        product = b.add(product, b.convert(b.read(biasAt, b.add(b.index(1), b.size(hidden * 5))), type, f32));
      v = b.add(v, b.mul(gate(b, 1, len), product));
    } else {
      v = b.add(v, b.read(candidateAt, b.indices()));
    }
    v = g.apply(b, limit(b, v));
    Value fresh = b.add(b.mul(b.sub(b.constant(f32, 1), z), v), b.mul(z, oldF));
    return kept(b, b.convert(fresh, f32, type), old, i, len);
  });
  return LoopYield{{next}, {next}, {}};
}

FailureOr<LoopYield> Recurrent::rnn(int64_t d, Value share, Value r, ValueRange states, bool backwards, Expr i) {
  Value rec = n.matmul(states[0], r, false, true, f32);
  if (!rec)
    return failure();
  SmallVector<Value> in{share, rec, states[0]};
  int64_t len = lengths ? 3 : -1;
  if (lengths)
    in.push_back(lengths);
  Value next = n.generic(n.tensor({batch, hidden}, type), in, [&](Body &b) {
    Value v = b.add(shared(b, 0, 0, backwards, i, len), b.read(1, b.indices()));
    return kept(b, b.convert(act(d, 0).apply(b, limit(b, v)), f32, type), b.read(2, b.indices()), i, len);
  });
  return LoopYield{{next}, {next}, {}};
}

LogicalResult Recurrent::run(bool cell, unsigned outputs) {
  bool batchFirst = n.attrInt("layout", 0);
  auto initial = [&](unsigned input, int64_t d) -> Value {
    SymTensorType state = n.tensor({batch, hidden}, type);
    if (!n.has(input))
      return n.generic(state, {}, [&](Body &b) { return b.zero(type); });
    return of(batchFirst ? n.transpose(n.in(input), {1, 0, 2}) : n.in(input), d);
  };
  SmallVector<Value> sequences, lastHidden, lastCell;
  for (int64_t d = 0; d < directions; ++d) {
    bool backwards = reverseOnly || d == 1;
    Value weights = of(w, d), recurrent = of(r, d), bias = of(n.in(3), d), peephole = cell ? of(n.in(7), d) : Value();
    // Where the GRU resets after its product, the recurrent bias of h is reset with it; those of z and r join the
    // share.
    bool lateBias = gates == 3 && n.attrInt("linear_before_reset", 0);
    Value early = bias;
    if (bias && lateBias)
      early = n.generic(n.type(bias), bias, [&](Body &b) {
        Value v = b.read(0, b.indices());
        return b.select(b.cmp(Cmp::ge, b.index(0), b.size(hidden * 5)), b.zero(type), v);
      });
    Value share = weights ? inputShare(weights, early) : Value();
    if (!share)
      return failure();
    SmallVector<Value> inits{initial(5, d)};
    if (cell)
      inits.push_back(initial(6, d));
    if (llvm::is_contained(inits, Value()))
      return failure();
    auto results = loop(n, inits, steps, {}, {backwards && !lengths}, [&](ValueRange states, Expr i) {
      return gates == 4   ? lstm(d, share, recurrent, peephole, states, backwards, i)
             : gates == 3 ? gru(d, share, recurrent, bias, states, backwards, i)
                          : rnn(d, share, recurrent, states, backwards, i);
    });
    if (failed(results))
      return failure();
    lastHidden.push_back((*results)[0]);
    if (cell)
      lastCell.push_back((*results)[1]);
    Value y = results->back();
    if (lengths) // each row's own order, and nothing behind its end
      y = n.generic(n.type(y), {y, lengths}, [&](Body &b) {
        Value t = b.index(0), length = b.toIndex(b.read(1, b.index(1)));
        Value from = backwards ? b.sub(b.sub(length, b.idx(1)), t) : t;
        from = b.select(b.cmp(Cmp::lt, t, length), from, b.idx(-1));
        return b.readOr(0, {from, b.index(1), b.index(2)}, b.zero(type), {0});
      });
    sequences.push_back(y);
  }
  // [.., directions, ..] at dimension `axis`.
  auto stacked = [&](ArrayRef<Value> parts, int64_t axis) {
    SmallVector<Value> whole;
    for (Value v : parts) {
      SmallVector<Expr> dims = n.dims(v);
      dims.insert(dims.begin() + axis, n.expr(1));
      whole.push_back(n.reshape(v, dims));
    }
    return n.concat(whole, axis);
  };
  if (n.wants(0)) {
    Value y = stacked(sequences, 1);
    if (failed(n.set(0, batchFirst ? n.transpose(y, {2, 0, 1, 3}) : y)))
      return failure();
  }
  for (auto [i, parts] : {std::pair{1u, &lastHidden}, std::pair{2u, &lastCell}})
    if (i < outputs && n.wants(i)) {
      Value v = stacked(*parts, 0);
      if (failed(n.set(i, batchFirst ? n.transpose(v, {1, 0, 2}) : v)))
        return failure();
    }
  return success();
}

LogicalResult lstm(Node &n) {
  Recurrent r(n, 4, 3);
  return failed(r.read({"Sigmoid", "Tanh", "Tanh"})) ? failure() : r.run(true, 3);
}

/// Input i, 8-bit [directions, size, gates], as numbers [directions, gates, size]; inputs `at` and at + 1 are scales
/// and zero points, one a direction or one a direction and gate.
Value wide(Node &n, unsigned i, unsigned at, Type type) {
  SymTensorType from = n.type(i);
  if (from.getRank() != 3 || !from.getElementType().isInteger(8) || n.rank(at) < 1 || n.rank(at) > 2 ||
      n.rank(at + 1) != n.rank(at)) {
    (void)n.error("expected 8-bit weights of rank 3 with scales and zero points of rank 1 or 2 but got " +
                  n.typeText(i) + " of rank " + Twine(from.getRank()));
    return {};
  }
  for (unsigned k : {at, at + 1})
    for (auto [dim, of] : llvm::zip(n.dims(n.in(k)), ArrayRef<Expr>{from.dim(0), from.dim(2)}))
      if (failed(n.require(dim, of, "scales and zero points of the weights")))
        return {};
  Type i32 = n.b.getI32Type(), f32 = n.b.getF32Type();
  return n.generic(n.tensor({from.dim(0), from.dim(2), from.dim(1)}, type), {n.in(i), n.in(at), n.in(at + 1)},
                   [&](Body &b) {
                     SmallVector<Value> gate{b.index(0), b.index(1)};
                     ArrayRef<Value> where = ArrayRef(gate).take_front(b.type(1).getRank());
                     Value v = b.convert(b.read(0, {b.index(0), b.index(2), b.index(1)}), from.getElementType(), i32);
                     v = b.sub(v, b.convert(b.read(2, where), b.type(2).getElementType(), i32));
                     v = b.mul(b.convert(v, i32, f32), b.convert(b.read(1, where), b.type(1).getElementType(), f32));
                     return b.convert(v, f32, type);
                   });
}

/// com.microsoft DynamicQuantizeLSTM: LSTM with 8-bit weights. Inputs and states keep their type, which is nearer to
/// the model that was quantised than to round them to 8 bits in every step.
LogicalResult dynamicQuantizeLstm(Node &n) {
  Recurrent r(n, 4, 3);
  r.w = wide(n, 1, 8, n.element(0));
  r.r = r.w ? wide(n, 2, 10, n.element(0)) : Value();
  return !r.r || failed(r.read({"Sigmoid", "Tanh", "Tanh"})) ? failure() : r.run(true, 3);
}

LogicalResult gru(Node &n) {
  Recurrent r(n, 3, 2);
  return failed(r.read({"Sigmoid", "Tanh"})) ? failure() : r.run(false, 2);
}
LogicalResult rnn(Node &n) {
  Recurrent r(n, 1, 1);
  return failed(r.read({"Tanh"})) ? failure() : r.run(false, 2);
}

} // namespace

void import::registerRecurrent(OpTable &t) {
  t["GRU"] = {gru, 3};
  t["LSTM"] = {lstm, 3};
  t["RNN"] = {rnn, 3};
  t["com.microsoft.DynamicQuantizeLSTM"] = Definition{dynamicQuantizeLstm, {0, 1, 2, 8, 9, 10, 11}}.understanding(
      12, "activation_alpha activation_beta activations clip direction hidden_size input_forget=0");
}
