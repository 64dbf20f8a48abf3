//===- NextToken.cpp - the next token of a language model -----------------===//
//
// `ktc compile --sample` adds an output behind the logits. The likeliest token is one reduction. A drawn one is one of
// those that top-k and top-p leave, with the probability that it has among them: the largest of logit / temperature and
// a number of Gumbel's distribution is such a draw, so no probabilities are added up for it, and nothing is sorted.
//
// What is left is everything from some logit on, and of those equal to that the first few. Both bounds are found as
// digits of an integer: a pass measures what lies above each of 16 thresholds, and the next pass looks between two of
// them. How many passes there are follows from the type alone, so that the device goes through them without the host.
// Probabilities are added up as integers, whose sums do not depend on the order.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/NextToken.h"
#include "compiler/Import/Importer.h"
#include "compiler/Import/Philox.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// A float's bits as an integer in the order of floats. Both zeros are the same; what is no number comes before all.
Value ordered(Body &b, Value x) {
  Type i32 = b.b.getI32Type();
  auto c = [&](int64_t v) { return b.integer(i32, v); };
  Value bits = arith::BitcastOp::create(b.b, b.loc, i32, x);
  Value key = b.select(b.cmp(Cmp::lt, bits, c(0)), b.math<arith::XOrIOp>(bits, c(INT32_MAX)), bits);
  key = b.select(b.cmp(Cmp::eq, x, b.zero(x.getType())), c(0), key);
  return b.select(b.isNan(x), c(INT32_MIN), key);
}

/// An argmax over the last of `indices` as the result: -1 where even the best is no number. `x` reads operand 0, which
/// is in f32 where it is not.
Value tokenOf(Body &b, Value x) { return b.select(b.isNan(x), b.integer(b.b.getI64Type(), -1), b.scalar(0)); }

/// An element of the logits, the body's first operand.
Value logitAt(Body &b, ValueRange at) { return b.convert(b.read(0, at), b.type(0).getElementType(), b.b.getF32Type()); }

Value likeliest(Node &n, Value logits) {
  SmallVector<Expr> leading = n.dims(logits);
  Expr width = leading.pop_back_val();
  SymTensorType result = n.tensor(leading, n.b.getI64Type());
  if (failed(n.requireSome(width, result.numElements(), "a logit")))
    return {};
  return n.reduce(
      result, ReduceKind::argmax, {width}, logits, [](Body &b) { return ordered(b, logitAt(b, b.indices())); },
      [](Body &b) {
        SmallVector<Value> at = b.indices();
        at.push_back(b.toIndex(b.scalar(0)));
        return tokenOf(b, logitAt(b, at));
      });
}

/// Draws a token behind the last one of each row.
class Draw {
public:
  struct Inputs {
    Value temperature, topK, topP, seed, step;
  };
  Draw(Node &n, Value logits, const Inputs &in)
      : n(n), logits(logits), in(in), i32(n.b.getI32Type()), i64(n.b.getI64Type()), f32(n.b.getF32Type()) {
    SmallVector<Expr> dims = n.dims(logits);
    rows = dims.front(), width = dims.back();
    if (dims.size() == 3)
      tokens = dims[1];
  }
  Value result();

private:
  /// What an element is in a search, and what it weighs there.
  using Scalar = llvm::function_ref<Value(Body &, Value row, Value column)>;
  static constexpr unsigned kDigit = 4, kWays = 1 << kDigit;

  Value logit(Body &b, Value row, Value column);
  Value key(Body &b, Value row, Value column);
  unsigned keyBits() const;
  Value largest();
  Value weight(Body &b, Value row, Value column, unsigned top, unsigned temperature);
  Value search(unsigned bits, ValueRange operands, Scalar key, Scalar weight, Value want);
  Value tally(Value top, Value found);
  Value perRow(Type type, ValueRange operands, llvm::function_ref<Value(Body &, Value row)> fn) {
    return n.generic(n.tensor({rows}, type), operands, [&](Body &b) { return fn(b, b.index(0)); });
  }
  /// Pairs of an integer each, the columns of [rows, 2].
  Value pairs(ValueRange operands, llvm::function_ref<std::pair<Value, Value>(Body &, Value row)> fn) {
    return n.generic(n.tensor({rows, n.expr(2)}, i32), operands, [&](Body &b) {
      auto [x, y] = fn(b, b.index(0));
      return b.select(b.cmp(Cmp::eq, b.index(1), b.idx(0)), x, y);
    });
  }
  Value limits(Value wantK, Value foundK, Value tallyK, Value wantP, Value foundP, Value tallyP);

  Node &n;
  Value logits;
  Inputs in;
  Type i32, i64, f32;
  Expr rows, tokens, width;
};

Value Draw::logit(Body &b, Value row, Value column) {
  SmallVector<Value> at{row};
  if (tokens)
    at.push_back(b.size(tokens - 1));
  at.push_back(column);
  return logitAt(b, at);
}

/// As many bits as the type's numbers tell apart.
unsigned Draw::keyBits() const {
  Type element = Node::type(logits).getElementType();
  return element.isBF16() ? 16 : element.isF16() ? 19 : 32;
}
Value Draw::key(Body &b, Value row, Value column) {
  Value whole = ordered(b, logit(b, row, column));
  return keyBits() == 32 ? whole : b.math<arith::ShRSIOp>(whole, b.integer(i32, 32 - keyBits()));
}

/// The largest logit of each row; minus infinity where none is a number.
Value Draw::largest() {
  return n.reduce(n.tensor({rows}, f32), ReduceKind::max, {width}, logits,
                  [&](Body &b) {
                    Value x = logit(b, b.index(0), b.index(1));
                    return b.select(b.isNan(x), b.constant(f32, -INFINITY), x);
                  },
                  {});
}

/// exp((logit - largest) / temperature), of which 2^40 are a whole; operands `top` and `temperature` say of what.
Value Draw::weight(Body &b, Value row, Value column, unsigned top, unsigned temperature) {
  Value x = logit(b, row, column), most = b.read(top, row), t = b.read(temperature, b.idx(0));
  Value part = b.math<math::ExpOp>(b.div(b.sub(x, most), b.max(t, b.constant(f32, 0))));
  Value fixed = b.convert(b.mul(part, b.constant(f32, 0x1p40)), f32, i64);
  fixed = b.select(b.cmp(Cmp::eq, x, most), b.integer(i64, int64_t(1) << 40), fixed); // of infinities as well
  return b.select(b.isNan(x), b.integer(i64, 0), fixed);
}

/// For each row the largest number that elements weigh `want` from together, those with such a key or a larger one.
/// Answers pairs of which it is the first. Keys are signed and have `bits` bits.
Value Draw::search(unsigned bits, ValueRange operands, Scalar key, Scalar weight, Value want) {
  unsigned passes = (bits + kDigit - 1) / kDigit;
  // The least that it can be, and how far thresholds are apart. Data, so that all passes are one kernel.
  Value state = pairs({}, [&](Body &b, Value) {
    return std::pair(b.integer(i32, -(int64_t(1) << (bits - 1))),
                     b.integer(i32, int64_t(1) << (kDigit * (passes - 1))));
  });
  SmallVector<Value> with(operands);
  with.push_back({});
  unsigned last = operands.size();
  for (unsigned pass = 0; pass < passes; ++pass) {
    with.back() = state;
    Value measured = n.reduce(n.tensor({rows, n.expr(kWays)}, i64), ReduceKind::add, {width}, with,
                              [&](Body &b) {
                                Value row = b.index(0), way = b.fromIndex(b.index(1), i32), column = b.index(2);
                                Value least = b.read(last, {row, b.idx(0)}), apart = b.read(last, {row, b.idx(1)});
                                Value above = b.cmp(Cmp::ge, key(b, row, column), b.add(least, b.mul(way, apart)));
                                return b.select(above, weight(b, row, column), b.integer(i64, 0));
                              },
                              {});
    state = pairs({measured, want, state}, [&](Body &b, Value row) {
      Value enough = b.integer(i32, 0), apart = b.read(2, {row, b.idx(1)});
      for (unsigned way = 1; way < kWays; ++way) {
        Value reaches = b.cmp(Cmp::ge, b.read(0, {row, b.idx(way)}), b.read(1, row));
        enough = b.add(enough, b.select(reaches, b.integer(i32, 1), b.integer(i32, 0)));
      }
      return std::pair(b.add(b.read(2, {row, b.idx(0)}), b.mul(enough, apart)),
                       b.math<arith::ShRUIOp>(apart, b.integer(i32, kDigit)));
    });
  }
  return state;
}

/// [rows, 4]: how many lie above what was found and what they weigh; how many are equal to it and what those weigh.
Value Draw::tally(Value top, Value found) {
  return n.reduce(n.tensor({rows, n.expr(4)}, i64), ReduceKind::add, {width}, {logits, top, in.temperature, found},
                  [&](Body &b) {
                    Value row = b.index(0), what = b.index(1), column = b.index(2);
                    Value k = key(b, row, column), at = b.read(3, {row, b.idx(0)});
                    Value above = b.cmp(Cmp::lt, what, b.idx(2)), one = b.integer(i64, 1);
                    Value counts = b.cmp(Cmp::eq, b.math<arith::AndIOp>(what, b.idx(1)), b.idx(0));
                    Value is = b.select(above, b.cmp(Cmp::gt, k, at), b.cmp(Cmp::eq, k, at));
                    return b.select(is, b.select(counts, one, weight(b, row, column, 1, 2)), b.integer(i64, 0));
                  },
                  {});
}

/// The least key that is left of each row, and how many of those that have it.
Value Draw::limits(Value wantK, Value foundK, Value tallyK, Value wantP, Value foundP, Value tallyP) {
  return pairs({wantK, foundK, tallyK, wantP, foundP, tallyP, in.topP}, [&](Body &b, Value row) {
    auto of = [&](unsigned operand, int64_t what) { return b.read(operand, {row, b.idx(what)}); };
    Value one = b.integer(i64, 1), keyK = of(1, 0), keyP = of(4, 0);
    Value equalK = b.sub(b.read(0, row), of(2, 0));
    Value each = b.max(one, b.div(of(5, 3), of(5, 2))), lacks = b.sub(b.read(3, row), of(5, 1));
    Value equalP = b.max(one, b.div(b.sub(b.add(lacks, each), one), each));
    equalP = b.min(equalP, b.select(b.cmp(Cmp::eq, keyP, keyK), equalK, of(5, 2)));
    Value limited = b.cmp(Cmp::lt, b.read(6, b.idx(0)), b.constant(f32, 1));
    return std::pair(b.select(limited, keyP, keyK), b.convert(b.select(limited, equalP, equalK), i64, i32));
  });
}

Value Draw::result() {
  // As many as can be added up: each weighs 2^40 at most, and counts are of 32 bits.
  if ((tokens && failed(n.requireSome(tokens, rows, "a token"))) || failed(n.requireSome(width, rows, "a logit")) ||
      failed(n.requireAtMost(width, n.expr(int64_t(1) << 22), "logits to draw from")))
    return {};
  Value top = largest();
  auto keyOf = [&](Body &b, Value row, Value column) { return key(b, row, column); };
  auto countOf = [&](Body &b, Value, Value) { return b.integer(i64, 1); };
  auto weightOf = [&](Body &b, Value row, Value column) { return weight(b, row, column, 1, 2); };
  Value wantK = perRow(i64, in.topK, [&](Body &b, Value) {
    Value k = b.convert(b.read(0, b.idx(0)), i32, i64), all = b.fromIndex(b.size(width), i64);
    return b.select(b.cmp(Cmp::le, k, b.integer(i64, 0)), all, b.min(k, all));
  });
  Value foundK = search(keyBits(), logits, keyOf, countOf, wantK), tallyK = tally(top, foundK);
  Value wantP = perRow(i64, {wantK, tallyK, in.topP}, [&](Body &b, Value row) {
    Type f64 = b.b.getF64Type();
    auto of = [&](int64_t what) { return b.read(1, {row, b.idx(what)}); };
    Value one = b.integer(i64, 1);
    Value all = b.add(of(1), b.mul(b.sub(b.read(0, row), of(0)), b.div(of(3), of(2))));
    Value part = b.mul(b.convert(b.read(2, b.idx(0)), f32, f64), b.convert(all, i64, f64));
    return b.max(one, b.min(all, b.add(b.convert(part, f64, i64), one)));
  });
  Value foundP = search(keyBits(), {logits, top, in.temperature}, keyOf, weightOf, wantP);
  Value limit = limits(wantK, foundK, tallyK, wantP, foundP, tally(top, foundP));
  // Of those equal to the limit the first ones: numbers of columns are searched from the last to the first.
  auto most = width.asConstant();
  unsigned columnBits = most && *most < (int64_t(1) << 30) ? llvm::Log2_64_Ceil(*most) + 1 : 32;
  Value few = perRow(i64, limit, [&](Body &b, Value row) { return b.convert(b.read(0, {row, b.idx(1)}), i32, i64); });
  Value last = search(
      columnBits, {logits, limit},
      [&](Body &b, Value, Value column) { return b.sub(b.integer(i32, -1), b.fromIndex(column, i32)); },
      [&](Body &b, Value row, Value column) {
        Value equal = b.cmp(Cmp::eq, key(b, row, column), b.read(1, {row, b.idx(0)}));
        return b.select(equal, b.integer(i64, 1), b.integer(i64, 0));
      },
      few);
  // Beside a row's only result lie no others, so that blocks walk along rows.
  return n.reduce(
      n.tensor({rows, n.expr(1)}, i64), ReduceKind::argmax, {width},
      {logits, top, in.temperature, in.seed, in.step, limit, last},
      [&](Body &b) {
        Value row = b.index(0), column = b.index(2), x = logit(b, row, column), k = key(b, row, column);
        Value most = b.read(1, row), t = b.read(2, b.idx(0)), least = b.read(5, {row, b.idx(0)});
        auto words = [&](Value wide) -> std::pair<Value, Value> {
          return {b.convert(wide, i64, i32), b.convert(b.math<arith::ShRUIOp>(wide, b.integer(i64, 32)), i64, i32)};
        };
        auto [seedLow, seedHigh] = words(b.read(3, b.idx(0)));
        auto [stepLow, stepHigh] = words(b.read(4, b.idx(0)));
        Value word =
            philox(b, {b.fromIndex(column, i32), b.fromIndex(row, i32), stepLow, stepHigh}, {seedLow, seedHigh});
        Value zero = b.constant(f32, 0), distance = b.div(b.sub(x, most), t);
        distance = b.select(b.cmp(Cmp::eq, x, most), zero, distance); // of infinities as well
        Value score = b.select(b.cmp(Cmp::gt, t, zero), b.add(distance, gumbel(b, word)), x);
        Value first = b.cmp(Cmp::ge, b.sub(b.integer(i32, -1), b.fromIndex(column, i32)), b.read(6, {row, b.idx(0)}));
        Value left = b.logicalOr(b.cmp(Cmp::gt, k, least), b.logicalAnd(b.cmp(Cmp::eq, k, least), first));
        // What is no number has no score either, and comes last.
        return b.select(left, ordered(b, score), b.integer(i32, INT32_MIN));
      },
      [&](Body &b) { return tokenOf(b, logit(b, b.index(0), b.toIndex(b.scalar(0)))); });
}

} // namespace

FailureOr<Value> Importer::nextToken(const onnx::GraphProto &graph, SmallVectorImpl<Type> &types,
                                     SmallVectorImpl<std::string> &names) {
  auto label = b.getStringAttr("next_token");
  Location loc = NameLoc::get(label, NameLoc::get(b.getStringAttr("ktc compile --sample")));
  auto isOutput = [&](StringRef name) {
    return llvm::any_of(graph.output(), [&](const auto &info) { return info.name() == name; });
  };
  Value logits = isOutput(options.logits) ? lookup(options.logits) : Value();
  if (!logits) {
    std::string known;
    for (const auto &info : graph.output())
      known += (known.empty() ? "" : ", ") + info.name();
    return emitError(loc) << "no output is called '" << options.logits
                          << "' to choose tokens from; there are: " << known;
  }
  SymTensorType type = Node::type(logits);
  if (!isa<FloatType>(type.getElementType()) || type.getRank() < 2 || type.getRank() > 3)
    return emitError(loc) << "expected output '" << options.logits
                          << "' to be floats of [batch, tokens, vocabulary] or [batch, vocabulary] but got " << type;
  if (isOutput("next_token"))
    return emitError(loc) << "the model has an output 'next_token' already";
  onnx::NodeProto proto;
  proto.set_op_type("next_token");
  Node node(*this, proto, kNewestOpset, loc);
  Block *block = b.getInsertionBlock();
  Operation *before = block->empty() ? nullptr : &block->back();
  auto input = [&](StringRef name, Type element) -> Value {
    names.push_back(name.str());
    types.push_back(node.tensor({node.expr(1)}, element));
    return entry->addArgument(types.back(), loc);
  };
  Value token;
  if (options.nextToken == NextToken::greedy) {
    token = likeliest(node, logits);
    if (token && type.getRank() == 2)
      token = node.reshape(token, {type.dim(0), node.expr(1)});
  } else {
    Draw::Inputs in;
    in.temperature = input("sampling.temperature", b.getF32Type());
    in.topK = input("sampling.top_k", b.getI32Type());
    in.topP = input("sampling.top_p", b.getF32Type());
    in.seed = input("sampling.seed", b.getI64Type());
    in.step = input("sampling.step", b.getI64Type());
    for (const std::string &name : ArrayRef(names).take_back(5))
      if (isTaken(name))
        return emitError(loc) << "the model has a value '" << name << "' already";
    token = Draw(node, logits, in).result();
  }
  // What a run chooses is what the next one reads.
  if (Value ids = lookup("input_ids"); token && ids && isa<BlockArgument>(ids))
    if (Type element = Node::type(ids).getElementType(); element.isInteger(32))
      token = node.cast(token, element);
  if (!token || mlir::failed(checkNew(block, before, loc)))
    return failure();
  return token;
}
