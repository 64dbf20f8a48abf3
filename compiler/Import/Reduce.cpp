//===- Reduce.cpp - reductions, softmax and norms -------------------------===//

#include "compiler/Import/Proto.h"
#include "compiler/Import/ReduceAxes.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

Value import::softmaxOf(Node &n, Value v, NormKind kind, int64_t axis, bool flat) {
  int64_t rank = n.type(v).getRank();
  auto first = n.axis(axis, std::max<int64_t>(rank, 1));
  if (!first)
    return {};
  Type type = n.type(v).getElementType();
  SmallVector<Expr> shape = n.dims(v);
  if (rank == 0) // one element
    v = n.reshape(v, {n.expr(1)}), rank = 1;
  SmallVector<int64_t> perm, back(rank);
  for (int64_t i = 0; i < rank; ++i)
    if (flat || i != *first)
      perm.push_back(i);
  if (!flat)
    perm.push_back(*first); // moved last
  for (int64_t i = 0; i < rank; ++i)
    back[perm[i]] = i;
  v = n.transpose(v, perm);
  Value r = n.normalize(
      n.type(v), kind, flat ? rank - *first : 1, 0, v,
      [&](Body &b) { return b.toCompute(b.read(0, b.indices()), type); },
      [&](Body &b) { return b.fromCompute(b.scalar(0), type); });
  r = n.transpose(r, back);
  return shape.empty() ? n.reshape(r, {}) : r;
}

Value import::normWith(Node &n, Value x, NormKind kind, int64_t axes, double epsilon, Value scale, Value bias,
                       Type resultElement) {
  if (!x)
    return {};
  Type type = Node::type(x).getElementType();
  SmallVector<Value> in{x};
  if (scale)
    in.push_back(scale);
  if (bias)
    in.push_back(bias);
  return n.normalize(
      n.tensor(n.dims(x), resultElement), kind, axes, epsilon, in,
      [&](Body &b) { return b.toCompute(b.read(0, b.indices()), type); },
      [&](Body &b) {
        Value y = b.scalar(0);
        unsigned next = 1;
        auto operand = [&]() {
          Type t = b.type(next).getElementType();
          return b.convert(b.readBroadcast(next++), t, y.getType());
        };
        if (scale)
          y = b.mul(y, operand());
        if (bias)
          y = b.add(y, operand());
        return b.convert(y, y.getType(), resultElement);
      });
}

namespace {

using ElementFn = Value (*)(Body &, Value);
using FinishFn = Value (*)(Body &, Value, Expr count);

Value same(Body &, Value x) { return x; }
/// The element is that of the body's first operand.
Value absolute(Body &b, Value x) { return b.abs(x, isUnsigned(b.type(0).getElementType())); }
Value square(Body &b, Value x) { return b.mul(x, x); }
Value plain(Body &, Value acc, Expr) { return acc; }
Value average(Body &b, Value acc, Expr count) {
  return b.div(acc, b.fromIndex(b.size(count), acc.getType()), isUnsigned(b.result.getElementType()));
}
Value root(Body &b, Value acc, Expr) { return b.math<math::SqrtOp>(acc); }
Value logarithm(Body &b, Value acc, Expr) { return b.math<math::LogOp>(acc); }

/// What is reduced, and in which type: roots and logarithms of whole numbers are those of the doubles, and their mean
/// is inside the type where their sum is not.
enum class Within { own, real, wide };
Value inputOf(Node &n, Within within) {
  auto whole = dyn_cast<IntegerType>(n.element(0));
  if (!whole || within == Within::own || (within == Within::wide && whole.getWidth() == 64))
    return n.in(0);
  return n.cast(n.in(0), within == Within::real ? Type(n.b.getF64Type()) : Type(n.b.getI64Type()));
}

template <ReduceKind kind, ElementFn element, FinishFn finish, Within within = Within::own>
LogicalResult reduceOp(Node &n) {
  auto axes = reducedAxes(n);
  if (!axes)
    return failure();
  Value v = inputOf(n, within);
  Type type = n.type(v).getElementType();
  Value r;
  if (axes->none()) // nothing to combine, but the element's function still applies
    r = n.map(type, v, [&](Body &b, ArrayRef<Value> x) { return finish(b, element(b, x[0]), n.expr(1)); });
  else
    r = reduceAxes(n, v, *axes, n.attrInt("keepdims", 1), kind, type, element,
                   [&](Body &b, Value acc, Expr count) { return b.fromCompute(finish(b, acc, count), type); });
  return r ? n.set(n.cast(r, n.element(0))) : failure();
}

/// log(sum(exp(x))), kept in range by the largest element.
LogicalResult reduceLogSumExp(Node &n) {
  auto axes = reducedAxes(n);
  if (!axes)
    return failure();
  Value v = inputOf(n, Within::real);
  Type type = n.type(v).getElementType();
  Value top = reduceAxes(n, v, *axes, true, ReduceKind::max, type, same, [&](Body &b, Value acc, Expr) {
    // An infinite maximum would make inf - inf.
    Value finite = b.cmp(Body::Cmp::lt, b.abs(acc), b.constant(acc.getType(), INFINITY));
    return b.fromCompute(b.select(finite, acc, b.zero(acc.getType())), type);
  });
  Value shifted =
      n.map(type, {v, top}, [](Body &b, ArrayRef<Value> x) { return b.math<math::ExpOp>(b.sub(x[0], x[1])); });
  Value sum = reduceAxes(n, shifted, *axes, true, ReduceKind::add, type, same,
                         [&](Body &b, Value acc, Expr) { return b.fromCompute(b.math<math::LogOp>(acc), type); });
  Value result = n.map(type, {sum, top}, [](Body &b, ArrayRef<Value> x) { return b.add(x[0], x[1]); });
  if (!n.attrInt("keepdims", 1)) {
    SmallVector<Expr> out, d = n.dims(n.in(0));
    for (auto [i, e] : llvm::enumerate(d))
      if (!llvm::is_contained(axes->fixed, i))
        out.push_back(e);
    if (!axes->marks.empty())
      out = n.unmarked(d, axes->marks, axes->count);
    result = n.reshape(result, out);
  }
  return result ? n.set(n.cast(result, n.element(0))) : failure();
}

/// There is no greatest of no elements: where the result has elements, the axis has some.
LogicalResult notEmpty(Node &n, int64_t axis) {
  Expr results = n.expr(1);
  for (auto [i, e] : llvm::enumerate(n.dims(n.in(0))))
    if ((int64_t)i != axis)
      results = results * e;
  Expr none = Expr::eq(n.type(0).dim(axis), n.expr(0));
  if (none.isConstant(1) && results.asConstant() && !results.isConstant(0))
    return n.error(n.op() + " over axis " + Twine(axis) + ", which has no elements");
  return n.require(Expr::select(Expr::eq(results, n.expr(0)), n.expr(0), none), n.expr(0),
                   "results of " + n.op() + " over an axis without elements");
}

template <ReduceKind kind> LogicalResult argOp(Node &n) {
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis || failed(notEmpty(n, *axis)))
    return failure();
  return n.set(reduceOver(
      n, n.in(0), {*axis}, n.attrInt("keepdims", 1), kind, n.b.getI64Type(), same,
      [](Body &, Value acc, Expr) { return acc; }, n.attrInt("select_last_index", 0)));
}

/// Before opset 13 softmax means all dimensions from `axis`.
template <NormKind kind> LogicalResult softmax(Node &n) {
  bool flat = n.opset < 13;
  return n.set(softmaxOf(n, n.in(0), kind, n.attrInt("axis", flat ? 1 : -1), flat));
}

/// Mean and standard deviation's inverse over the last `axes` dimensions, as LayerNormalization's optional results ask
/// for.
std::pair<Value, Value> momentsOf(Node &n, Value v, int64_t axes, double epsilon, Type stat) {
  SmallVector<int64_t> over;
  for (int64_t i = n.type(v).getRank() - axes; i < n.type(v).getRank(); ++i)
    over.push_back(i);
  Value mean = reduceOver(n, v, over, true, ReduceKind::add, stat, same,
                          [&](Body &b, Value acc, Expr count) { return b.fromCompute(average(b, acc, count), stat); });
  Value centred = n.map(stat, {v, mean}, [](Body &b, ArrayRef<Value> x) { return b.sub(x[0], x[1]); });
  Value inverse =
      reduceOver(n, centred, over, true, ReduceKind::add, stat, square, [&](Body &b, Value acc, Expr count) {
        Value var = average(b, acc, count);
        return b.fromCompute(b.math<math::RsqrtOp>(b.add(var, b.constant(var.getType(), epsilon))), stat);
      });
  return {mean, inverse};
}

LogicalResult layerNorm(Node &n) {
  auto axis = n.axis(n.attrInt("axis", -1), n.rank(0));
  if (!axis)
    return failure();
  int64_t axes = n.rank(0) - *axis;
  double epsilon = n.attrFloat("epsilon", 1e-5);
  if (n.wants(1) || n.wants(2)) {
    Type stat = elementType(n.context, n.attrInt("stash_type", 1));
    if (!isa_and_nonnull<FloatType>(stat))
      return n.error("unsupported stash_type " + Twine(n.attrInt("stash_type", 1)));
    auto [mean, inverse] = momentsOf(n, n.in(0), axes, epsilon, stat);
    if (failed(n.set(1, mean)) || failed(n.set(2, inverse)))
      return failure();
  }
  return n.set(normWith(n, n.in(0), NormKind::layer, axes, epsilon, n.in(1), n.in(2), n.element(0)));
}

LogicalResult rmsNorm(Node &n) {
  auto axis = n.axis(n.attrInt("axis", -1), n.rank(0));
  if (!axis)
    return failure();
  Type out = n.in(1) ? n.element(1) : n.element(0);
  return n.set(normWith(n, n.in(0), NormKind::rms, n.rank(0) - *axis, n.attrFloat("epsilon", 1e-5), n.in(1), {}, out));
}

/// com.microsoft SkipLayerNormalization(input, skip, gamma, beta, bias) and its RMS kin; output 3 is the sum.
template <NormKind kind> LogicalResult skipNorm(Node &n) {
  SmallVector<Value> terms{n.in(0), n.in(1)};
  bool rms = kind == NormKind::rms;
  Value gamma = n.in(2), beta = rms ? Value() : n.in(3), bias = n.in(rms ? 3 : 4);
  if (bias)
    terms.push_back(bias);
  Value sum = n.map(n.element(0), terms, [](Body &b, ArrayRef<Value> x) {
    Value acc = x[0];
    for (Value v : x.drop_front())
      acc = b.add(acc, v);
    return acc;
  });
  if (!sum || failed(n.set(3, sum)))
    return failure();
  if (n.wants(1) || n.wants(2))
    return n.error("unsupported: mean and inverse deviation results of " + n.op());
  return n.set(normWith(n, sum, kind, 1, n.attrFloat("epsilon", 1e-12), gamma, beta, n.element(0)));
}

/// Per-sample norms over channels groups: InstanceNormalization (a group a channel) and GroupNormalization.
LogicalResult groupNormWith(Node &n, Expr groups, Value scale, Value bias, double epsilon, bool scalePerGroup) {
  SmallVector<Expr> d = n.dims(n.in(0));
  if (d.size() < 3)
    return n.error("expected an input with spatial dimensions but got rank " + Twine(d.size()));
  Expr perGroup = Expr::floorDiv(d[1], groups), rest = n.expr(1);
  for (size_t i = 2; i < d.size(); ++i)
    rest = rest * d[i];
  for (Value parameter : {scale, bias})
    if (failed(
            n.require(n.type(parameter).numElements(), scalePerGroup ? groups : d[1],
                      scalePerGroup ? "elements of a parameter and groups" : "elements of a parameter and channels")))
      return failure();
  Value v = n.reshape(n.in(0), {d[0], groups, perGroup, rest});
  if (!v)
    return failure();
  Type type = n.element(0);
  Value r = n.normalize(
      n.type(v), NormKind::layer, 2, epsilon, {v, scale, bias},
      [&](Body &b) { return b.toCompute(b.read(0, b.indices()), type); },
      [&](Body &b) {
        Value c = scalePerGroup ? b.index(1) : b.add(b.mul(b.index(1), b.size(perGroup)), b.index(2));
        Value y = b.mul(b.scalar(0), b.toCompute(b.read(1, c), b.type(1).getElementType()));
        return b.fromCompute(b.add(y, b.toCompute(b.read(2, c), b.type(2).getElementType())), type);
      });
  return n.set(n.reshape(r, d));
}
LogicalResult instanceNorm(Node &n) {
  return groupNormWith(n, n.type(0).dim(1), n.in(1), n.in(2), n.attrFloat("epsilon", 1e-5), false);
}
LogicalResult groupNorm(Node &n) {
  // Before opset 21 scale and bias had one element a group.
  return groupNormWith(n, n.expr(n.attrInt("num_groups", 1)), n.in(1), n.in(2), n.attrFloat("epsilon", 1e-5),
                       n.opset < 21);
}

/// The mean of x or of its squared distance from `center` over everything but the channels.
Value channelMean(Node &n, Value x, Value center, Type element) {
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < n.type(x).getRank(); ++i)
    if (i != 1)
      axes.push_back(i);
  if (center) {
    Type type = n.type(x).getElementType();
    x = n.generic(n.tensor(n.dims(x), element), {x, center}, [&](Body &b) {
      Value d = b.sub(b.toCompute(b.read(0, b.indices()), type), b.toCompute(b.read(1, b.index(1)), element));
      return b.fromCompute(b.mul(d, d), element);
    });
  }
  return x ? reduceOver(n, x, axes, false, ReduceKind::add, element, same,
                        [&](Body &b, Value acc, Expr count) { return b.fromCompute(average(b, acc, count), element); })
           : Value();
}

LogicalResult batchNorm(Node &n) {
  double epsilon = n.attrFloat("epsilon", 1e-5);
  Type type = n.element(0);
  if (n.rank(0) > 1)
    for (unsigned i = 1; i < 5; ++i)
      if (failed(n.require(n.type(i).numElements(), n.type(0).dim(1), "elements of a parameter and channels")))
        return failure();
  Value mean = n.in(3), variance = n.in(4);
  if (n.attrInt("training_mode", 0)) { // standardised weights of convolutions are written so, too
    if (n.rank(0) < 2)
      return n.error("expected an input with channels but got rank " + Twine(n.rank(0)));
    double momentum = n.attrFloat("momentum", 0.9);
    mean = channelMean(n, n.in(0), {}, n.element(3));
    variance = channelMean(n, n.in(0), mean, n.element(4));
    for (auto [i, now] : {std::pair(1u, mean), std::pair(2u, variance)}) {
      Type running = n.element(i + 2);
      auto blend = [&](Body &b, ArrayRef<Value> x) {
        return b.add(b.mul(x[0], b.constant(x[0].getType(), momentum)),
                     b.mul(x[1], b.constant(x[1].getType(), 1 - momentum)));
      };
      if (n.wants(i) && failed(n.set(i, n.map(running, {n.in(i + 2), now}, blend))))
        return failure();
    }
  }
  return n.set(n.generic(n.type(0), {n.in(0), n.in(1), n.in(2), mean, variance}, [&](Body &b) {
    Value c = n.rank(0) > 1 ? b.index(1) : b.idx(0);
    auto at = [&](unsigned i) { return b.convert(b.read(i, c), n.element(i), b.computeType(type)); };
    Value x = b.toCompute(b.read(0, b.indices()), type);
    Value inverse =
        b.div(b.constant(x.getType(), 1), b.math<math::SqrtOp>(b.add(at(4), b.constant(x.getType(), epsilon))));
    Value scale = b.mul(at(1), inverse);
    return b.fromCompute(b.add(b.mul(x, scale), b.sub(at(2), b.mul(at(3), scale))), type);
  }));
}

LogicalResult lpNormalization(Node &n) {
  auto axis = n.axis(n.attrInt("axis", -1), n.rank(0));
  int64_t p = n.attrInt("p", 2);
  if (!axis || (p != 1 && p != 2))
    return axis ? n.error("unsupported p " + Twine(p)) : failure();
  Type type = n.element(0);
  Value norm = reduceOver(
      n, n.in(0), {*axis}, true, ReduceKind::add, type, p == 1 ? absolute : square,
      [&](Body &b, Value acc, Expr) { return b.fromCompute(p == 1 ? acc : b.math<math::SqrtOp>(acc), type); });
  return n.set(n.map(type, {n.in(0), norm}, [](Body &b, ArrayRef<Value> x) {
    Value zero = b.zero(x[0].getType());
    return b.select(b.cmp(Body::Cmp::eq, x[1], zero), zero, b.div(x[0], x[1]));
  }));
}

LogicalResult globalPool(Node &n, ReduceKind kind, FinishFn finish) {
  SmallVector<int64_t> axes;
  for (int64_t i = 2; i < n.rank(0); ++i)
    axes.push_back(i);
  Type type = n.element(0);
  return n.set(reduceOver(n, n.in(0), axes, true, kind, type, same,
                          [&](Body &b, Value acc, Expr count) { return b.fromCompute(finish(b, acc, count), type); }));
}
LogicalResult globalAveragePool(Node &n) { return globalPool(n, ReduceKind::add, average); }
LogicalResult globalMaxPool(Node &n) { return globalPool(n, ReduceKind::max, plain); }
LogicalResult globalLpPool(Node &n) {
  SmallVector<int64_t> axes;
  for (int64_t i = 2; i < n.rank(0); ++i)
    axes.push_back(i);
  Type type = n.element(0);
  double p = n.attrFloat("p", 2); // a float before opset 2
  if (const auto *given = n.attr("p"); given && given->type() == onnx::AttributeProto::INT)
    p = given->i();
  auto power = [](Body &b, Value v, double to) { return b.math<math::PowFOp>(v, b.constant(v.getType(), to)); };
  return n.set(reduceOver(
      n, n.in(0), axes, true, ReduceKind::add, type, [&](Body &b, Value v) { return power(b, b.abs(v), p); },
      [&](Body &b, Value acc, Expr) { return b.fromCompute(power(b, acc, 1 / p), type); }));
}

} // namespace

void import::registerReduce(OpTable &t) {
  using K = ReduceKind;
  t["ReduceSum"] = reduceOp<K::add, same, plain>;
  t["ReduceMean"] = reduceOp<K::add, same, average, Within::wide>;
  t["ReduceMax"] = reduceOp<K::max, same, plain>;
  t["ReduceMin"] = reduceOp<K::min, same, plain>;
  t["ReduceProd"] = reduceOp<K::mul, same, plain>;
  t["ReduceL1"] = reduceOp<K::add, absolute, plain>;
  t["ReduceL2"] = reduceOp<K::add, square, root, Within::real>;
  t["ReduceSumSquare"] = reduceOp<K::add, square, plain>;
  t["ReduceLogSum"] = reduceOp<K::add, same, logarithm, Within::real>;
  t["ReduceLogSumExp"] = reduceLogSumExp;
  t["ArgMax"] = argOp<K::argmax>;
  t["ArgMin"] = argOp<K::argmin>;
  t["Softmax"] = softmax<NormKind::softmax>;
  t["LogSoftmax"] = softmax<NormKind::log_softmax>;
  t["LayerNormalization"] = {layerNorm, 2};
  t["RMSNormalization"] = {rmsNorm, 2};
  t["SimplifiedLayerNormalization"] = {rmsNorm, 2};
  t["com.microsoft.SimplifiedLayerNormalization"] = Definition{rmsNorm, 2}.understanding(2, "axis epsilon stash_type");
  t["com.microsoft.SkipLayerNormalization"] = Definition{skipNorm<NormKind::layer>, 3}.understanding(5, "epsilon");
  t["com.microsoft.SkipSimplifiedLayerNormalization"] =
      Definition{skipNorm<NormKind::rms>, 3}.understanding(4, "epsilon");
  t["InstanceNormalization"] = {instanceNorm, 3};
  t["GroupNormalization"] = {groupNorm, 3};
  t["BatchNormalization"] = {batchNorm, 5};
  t["LpNormalization"] = lpNormalization;
  t["GlobalAveragePool"] = globalAveragePool;
  t["GlobalMaxPool"] = globalMaxPool;
  t["GlobalLpPool"] = globalLpPool;
}
