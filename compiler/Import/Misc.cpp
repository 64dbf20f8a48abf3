//===- Misc.cpp - operators that are families of their own ----------------===//
//
// Einsum, losses, pooling's inverse, selections: each a few ops of the other families.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

/// A tensor whose dimensions have labels; those of an ellipsis are '0', '1', .. from the right.
struct Labelled {
  Value v;
  std::string labels;
};

/// `x` with its dimensions in the order of `labels`; a label that it lacks becomes a dimension of 1.
Value arrange(Node &n, const Labelled &x, StringRef labels) {
  std::string present;
  for (char c : labels)
    if (x.labels.find(c) != std::string::npos)
      present += c;
  SmallVector<int64_t> perm;
  for (char c : present)
    perm.push_back(x.labels.find(c));
  Value v = n.transpose(x.v, perm);
  SmallVector<Expr> dims;
  for (char c : labels) {
    size_t at = present.find(c);
    dims.push_back(at == std::string::npos ? n.expr(1) : n.type(v).dim(at));
  }
  return n.reshape(v, dims);
}

/// Takes the diagonal of repeated labels and sums those that `keep` does not ask for.
Labelled reduceLabels(Node &n, Labelled x, llvm::function_ref<bool(char)> keep) {
  std::string unique;
  for (char c : x.labels)
    if (unique.find(c) == std::string::npos)
      unique += c;
  if (unique != x.labels) {
    SmallVector<Expr> dims;
    for (char c : unique)
      dims.push_back(n.type(x.v).dim(x.labels.find(c)));
    x.v = n.generic(n.tensor(dims, n.type(x.v).getElementType()), x.v, [&](Body &b) {
      SmallVector<Value> at;
      for (char c : x.labels)
        at.push_back(b.index(unique.find(c)));
      return b.read(0, at);
    });
    x.labels = unique;
  }
  SmallVector<int64_t> axes;
  std::string left;
  for (auto [i, c] : llvm::enumerate(x.labels)) {
    if (keep(c))
      left += c;
    else
      axes.push_back(i);
  }
  if (!axes.empty()) {
    Type type = n.type(x.v).getElementType();
    x.v = reduceOver(
        n, x.v, axes, false, ReduceKind::add, type, [](Body &, Value v) { return v; },
        [&](Body &b, Value acc, Expr) { return b.fromCompute(acc, type); });
    x.labels = left;
  }
  return x;
}

/// The product of two, summed over the labels that nothing later needs.
Labelled contract(Node &n, const Labelled &x, const Labelled &y, llvm::function_ref<bool(char)> needed) {
  std::string batch, rows, cols, inner;
  for (char c : x.labels)
    (y.labels.find(c) == std::string::npos ? rows : needed(c) ? batch : inner) += c;
  for (char c : y.labels)
    if (x.labels.find(c) == std::string::npos)
      cols += c;
  Type type = n.type(x.v).getElementType();
  if (inner.empty()) { // no sum: elementwise
    std::string all = batch + rows + cols;
    Value a = arrange(n, x, all), b = arrange(n, y, all);
    return {n.map(type, {a, b}, [](Body &b, ArrayRef<Value> v) { return b.mul(v[0], v[1]); }), all};
  }
  Value lhs = arrange(n, x, batch + rows + inner), rhs = arrange(n, y, batch + inner + cols);
  if (!lhs || !rhs)
    return {};
  auto size = [&](const Labelled &t, StringRef labels, SmallVectorImpl<Expr> *each) {
    Expr product = n.expr(1);
    for (char c : labels) {
      Expr d = n.type(t.v).dim(t.labels.find(c));
      product = product * d;
      if (each)
        each->push_back(d);
    }
    return product;
  };
  SmallVector<Expr> batchDims, out;
  size(x, batch, &batchDims);
  Expr m = size(x, rows, nullptr), k = size(x, inner, nullptr), p = size(y, cols, nullptr);
  SmallVector<Expr> ld(batchDims), rd(batchDims);
  ld.append({m, k});
  rd.append({k, p});
  lhs = n.reshape(lhs, ld);
  rhs = n.reshape(rhs, rd);
  Value r = lhs && rhs ? n.matmul(lhs, rhs) : Value();
  if (!r)
    return {};
  out = batchDims;
  size(x, rows, &out);
  size(y, cols, &out);
  return {n.reshape(r, out), batch + rows + cols};
}

LogicalResult einsum(Node &n) {
  std::string equation;
  for (char c : n.attrString("equation", ""))
    if (c != ' ')
      equation += c;
  auto bad = [&](const Twine &why) { return n.error("unsupported Einsum equation '" + Twine(equation) + "': " + why); };
  size_t arrow = equation.find("->");
  SmallVector<StringRef> terms;
  StringRef(equation).take_front(arrow).split(terms, ',');
  if (terms.size() != n.numInputs())
    return bad("it has " + Twine(terms.size()) + " terms for " + Twine(n.numInputs()) + " inputs");
  std::string ellipsis; // of the longest
  SmallVector<Labelled> operands;
  for (auto [i, term] : llvm::enumerate(terms)) {
    Labelled x{n.in(i), ""};
    int64_t rank = n.rank(i);
    size_t dots = term.find("...");
    std::string letters = term.str();
    if (dots != StringRef::npos) {
      letters.erase(dots, 3);
      int64_t extra = rank - (int64_t)letters.size();
      if (extra < 0 || extra > 9)
        return bad("term " + Twine(i) + " does not fit rank " + Twine(rank));
      std::string own;
      for (int64_t k = extra; k-- > 0;)
        own += (char)('0' + k);
      if (own.size() > ellipsis.size())
        ellipsis = own;
      letters.insert(dots, own);
    }
    if ((int64_t)letters.size() != rank || !llvm::all_of(letters, [](char c) { return llvm::isAlnum(c); }))
      return bad("term " + Twine(i) + " does not fit rank " + Twine(rank));
    x.labels = letters;
    operands.push_back(x);
  }
  std::string result;
  if (arrow != std::string::npos) {
    result = equation.substr(arrow + 2);
    if (size_t dots = result.find("..."); dots != std::string::npos)
      result.replace(dots, 3, ellipsis);
  } else { // the ellipsis, then what occurs once, in alphabetical order
    std::map<char, int> count;
    for (auto &x : operands)
      for (char c : x.labels)
        ++count[c];
    result = ellipsis;
    for (auto [c, k] : count)
      if (k == 1 && llvm::isAlpha(c))
        result += c;
  }
  // A dimension of 1 that another operand has larger is broadcast: one that is known is left out, one that only a run
  // knows is spread.
  std::map<char, SmallVector<SmallVector<Expr>>> each;
  for (auto &x : operands)
    for (auto [i, c] : llvm::enumerate(x.labels))
      each[c].push_back({n.type(x.v).dim(i)});
  std::map<char, Expr> sizes;
  for (auto &[c, list] : each) {
    auto size = n.broadcast(list);
    if (!size)
      return bad(Twine("label '") + Twine(c) + "' has several sizes");
    sizes[c] = size->front();
  }
  for (auto &x : operands) {
    SmallVector<Expr> dims, spread;
    std::string labels;
    for (auto [i, c] : llvm::enumerate(x.labels)) {
      Expr d = n.type(x.v).dim(i);
      if (d.isConstant(1) && !sizes[c].isConstant(1))
        continue;
      dims.push_back(d);
      spread.push_back(sizes[c]);
      labels += c;
    }
    Value v = n.reshape(x.v, dims);
    if (dims != spread)
      v = n.generic(n.tensor(spread, n.type(v).getElementType()), v, [](Body &b) { return b.readBroadcast(0); });
    x = {v, labels};
  }
  for (char c : result)
    if (!sizes.count(c) || llvm::count(result, c) != 1)
      return bad(Twine("output label '") + Twine(c) + "'");
  Labelled acc;
  for (size_t i = 0; i < operands.size(); ++i) {
    auto neededAfter = [&](char c) {
      bool later = result.find(c) != std::string::npos;
      for (size_t k = i + 1; k < operands.size(); ++k)
        later |= operands[k].labels.find(c) != std::string::npos;
      return later;
    };
    Labelled x =
        reduceLabels(n, operands[i], [&](char c) { return neededAfter(c) || acc.labels.find(c) != std::string::npos; });
    acc = acc.v ? contract(n, acc, x, neededAfter) : x;
    if (!acc.v)
      return failure();
    // A label that only the first of two had may be done with now.
    acc = reduceLabels(n, acc, neededAfter);
  }
  return n.set(arrange(n, acc, result));
}

//===----------------------------------------------------------------------===//
// Norms and losses
//===----------------------------------------------------------------------===//

LogicalResult hardmax(Node &n) {
  bool flat = n.opset < 13;
  int64_t rank = n.rank(0);
  auto axis = n.axis(n.attrInt("axis", flat ? 1 : -1), rank);
  if (!axis)
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0));
  Value v = n.in(0);
  int64_t along = *axis;
  if (flat) {
    Expr outer = n.expr(1), inner = n.expr(1);
    for (int64_t i = 0; i < rank; ++i)
      (i < *axis ? outer : inner) = (i < *axis ? outer : inner) * d[i];
    v = n.reshape(v, {outer, inner});
    along = 1;
  }
  Type type = n.element(0);
  Value where = reduceOver(
      n, v, {along}, true, ReduceKind::argmax, n.b.getI64Type(), [](Body &, Value x) { return x; },
      [](Body &, Value x, Expr) { return x; });
  Value y = n.generic(n.type(v), where, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value here = at[along];
    at[along] = b.idx(0);
    Value on = b.cmp(Cmp::eq, b.toIndex(b.read(0, at)), here);
    return b.select(on, b.constant(type, 1), b.zero(type));
  });
  return n.set(n.reshape(y, d));
}

LogicalResult lrn(Node &n) {
  int64_t size = n.attrInt("size", 1), rank = n.rank(0);
  if (size < 1 || rank < 2)
    return n.error("expected a positive size and channels");
  double alpha = n.attrFloat("alpha", 1e-4), beta = n.attrFloat("beta", 0.75), bias = n.attrFloat("bias", 1);
  Type type = n.element(0);
  return n.set(n.reduce(
      n.type(0), ReduceKind::add, {n.expr(size)}, n.in(0),
      [&](Body &b) {
        SmallVector<Value> at = b.indices();
        Value k = at.pop_back_val();
        at[1] = b.sub(b.add(at[1], k), b.idx((size - 1) / 2));
        Value v = b.toCompute(b.readOr(0, at, b.zero(type), {1}), type);
        return b.mul(v, v);
      },
      [&](Body &b) {
        Type t = b.scalar(0).getType();
        Value base = b.add(b.constant(t, bias), b.mul(b.constant(t, alpha / size), b.scalar(0)));
        SmallVector<Value> at;
        for (int64_t i = 0; i < rank; ++i)
          at.push_back(b.index(i));
        return b.fromCompute(b.div(b.toCompute(b.read(0, at), type), b.math<math::PowFOp>(base, b.constant(t, beta))),
                             type);
      }));
}

LogicalResult meanVarianceNormalization(Node &n) {
  auto given = n.axes(n.attrInts("axes").value_or(std::vector<int64_t>{0, 2, 3}), n.rank(0));
  if (!given)
    return failure();
  SmallVector<int64_t> axes = std::move(*given);
  llvm::sort(axes);
  SmallVector<int64_t> perm, back(n.rank(0));
  for (int64_t i = 0; i < n.rank(0); ++i)
    if (!llvm::is_contained(axes, i))
      perm.push_back(i);
  perm.append(axes);
  for (auto [i, p] : llvm::enumerate(perm))
    back[p] = i;
  // The definition adds 1e-9 to the deviation; to its square here.
  Value y = normWith(n, n.transpose(n.in(0), perm), NormKind::layer, axes.size(), 1e-18, {}, {}, n.element(0));
  return n.set(n.transpose(y, back));
}

/// -w[target] * logProbability[target], then none, sum or (weighted) mean.
LogicalResult lossOf(Node &n, Value logs, Value target, Value weight) {
  auto reduction = n.attrWord("reduction", {"mean", "none", "sum"});
  if (!reduction)
    return failure();
  std::optional<int64_t> ignore;
  if (n.attr("ignore_index"))
    ignore = n.attrInt("ignore_index", 0);
  int64_t rank = n.type(logs).getRank();
  if (rank < 2 || n.type(target).getRank() != rank - 1 || (weight && n.type(weight).getRank() != 1))
    return n.error(
        "expected scores of rank 2 or more, targets of one rank less and a vector of weights but got ranks " +
        Twine(rank) + " and " + Twine(n.type(target).getRank()) +
        (weight ? " and " + std::to_string(n.type(weight).getRank()) : ""));
  for (int64_t i = 0; i < rank - 1; ++i)
    if (failed(n.require(n.type(target).dim(i), n.type(logs).dim(i ? i + 1 : 0), "dimensions of scores and targets")))
      return failure();
  if (weight && failed(n.require(n.type(weight).dim(0), n.type(logs).dim(1), "weights and classes")))
    return failure();
  Type type = n.type(logs).getElementType(), i64 = n.b.getI64Type(), targetType = n.type(target).getElementType();
  Expr classes = n.type(logs).dim(1);
  SmallVector<Value> in{logs, target};
  if (weight)
    in.push_back(weight);
  auto weightAt = [&](Body &b, Value cls, Value raw, unsigned operand) {
    Type t = b.computeType(type);
    Value w = weight ? b.toCompute(b.read(operand, cls), type) : b.constant(t, 1);
    if (ignore)
      w = b.select(b.cmp(Cmp::eq, raw, b.integer(i64, *ignore)), b.zero(t), w);
    return w;
  };
  SymTensorType shape = n.tensor(n.dims(target), type);
  for (int64_t i = 0; i + 1 < rank; ++i)
    if (failed(n.require(n.type(target).dim(i), n.type(logs).dim(i ? i + 1 : 0),
                         "dimension " + Twine(i) + " of the targets and the scores")))
      return failure();
  if (weight && failed(n.require(n.type(weight).numElements(), classes, "weights and classes")))
    return failure();
  auto site = n.site(target, classes, "a class", /*wraps=*/false, {0, 1, ignore});
  if (failed(site))
    return failure();
  auto classOf = [&](Body &b, Value raw) {
    Value counts = ignore && site->number >= 0 ? b.cmp(Cmp::ne, raw, b.integer(i64, *ignore)) : Value();
    Value cls = b.bounded(raw, classes, *site, /*wraps=*/false, counts);
    return ignore && site->number < 0 ? b.select(b.cmp(Cmp::eq, raw, b.integer(i64, *ignore)), b.idx(0), cls) : cls;
  };
  Value loss = n.generic(shape, in, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value raw = b.convert(b.read(1, at), targetType, i64), cls = classOf(b, raw);
    at.insert(at.begin() + 1, cls);
    return b.fromCompute(b.neg(b.mul(weightAt(b, cls, raw, 2), b.toCompute(b.read(0, at), type))), type);
  });
  if (reduction == "none")
    return n.set(loss);
  SmallVector<int64_t> all;
  for (int64_t i = 0; i < shape.getRank(); ++i)
    all.push_back(i);
  auto same = [](Body &, Value v) { return v; };
  auto total = [&](Value v) {
    return reduceOver(n, v, all, false, ReduceKind::add, type, same,
                      [&](Body &b, Value acc, Expr) { return b.fromCompute(acc, type); });
  };
  Value sum = total(loss);
  if (reduction == "sum")
    return n.set(sum);
  Expr count = shape.numElements();
  if (!weight && !ignore)
    return n.set(n.map(type, sum, [&](Body &b, ArrayRef<Value> v) {
      return b.div(v[0], b.fromIndex(b.size(count), v[0].getType()));
    }));
  SmallVector<Value> weighing{target};
  if (weight)
    weighing.push_back(weight);
  Value weights = n.generic(shape, weighing, [&](Body &b) {
    Value raw = b.convert(b.read(0, b.indices()), targetType, i64);
    return b.fromCompute(weightAt(b, classOf(b, raw), raw, 1), type);
  });
  return n.set(n.map(type, {sum, total(weights)}, [](Body &b, ArrayRef<Value> v) { return b.div(v[0], v[1]); }));
}

LogicalResult negativeLogLikelihood(Node &n) { return lossOf(n, n.in(0), n.in(1), n.in(2)); }
LogicalResult softmaxCrossEntropy(Node &n) {
  Value logs = softmaxOf(n, n.in(0), NormKind::log_softmax, 1, false);
  if (!logs || failed(n.set(1, logs)))
    return failure();
  return lossOf(n, logs, n.in(1), n.in(2));
}

//===----------------------------------------------------------------------===//
// Moving elements
//===----------------------------------------------------------------------===//

LogicalResult maxUnpool(Node &n) { // x, indices into the output, output shape
  SmallVector<Expr> x = n.dims(n.in(0));
  auto kernel = n.attrInts("kernel_shape");
  size_t s = x.size() < 2 ? 0 : x.size() - 2;
  if (s == 0 || !kernel || kernel->size() != s)
    return n.error("expected spatial dimensions and a kernel_shape of as many sizes");
  SmallVector<Expr> pooled{x[0], x[1]};
  auto strides = n.attrInts("strides", 1, s), pads = n.attrInts("pads", 0, 2 * s);
  if (!strides || !pads)
    return failure();
  for (size_t i = 0; i < s; ++i)
    pooled.push_back((x[i + 2] - 1) * (*strides)[i] + ((*kernel)[i] - (*pads)[i] - (*pads)[i + s]));
  // The indices count in the tensor that was pooled; output_shape may ask for a larger one around it.
  SymTensorType result = n.tensor(pooled, n.element(0));
  Expr total = result.numElements(), count = n.type(0).numElements();
  Value zeros = n.generic(n.tensor({total}, n.element(0)), {}, [&](Body &b) { return b.zero(b.result.scalarType()); });
  Value rows = n.reshape(n.cast(n.in(1), n.b.getI64Type()), {count, n.expr(1)}), updates = n.reshape(n.in(0), {count});
  if (!rows || !updates)
    return failure();
  auto site = n.scatterSite(n.in(1), total, "a position of the pooled tensor");
  if (failed(site))
    return failure();
  Value flat = ScatterOp::create(n.b, n.loc, zeros.getType(), zeros, rows, updates,
                                 ScatterKindAttr::get(n.context, ScatterKind::assign),
                                 site->number < 0 ? IntegerAttr() : n.b.getI64IntegerAttr(site->number))
                   .getResult();
  Value y = n.reshape(flat, pooled);
  if (!n.has(2))
    return n.set(y);
  auto given = n.symbolicInts(n.in(2), "output_shape");
  if (!given || given->size() != x.size())
    return given ? n.error("expected " + Twine(x.size()) + " sizes but got " + Twine(given->size())) : failure();
  if (ArrayRef<Expr>(*given) == ArrayRef<Expr>(pooled))
    return n.set(y);
  SmallVector<int64_t> all;
  for (size_t i = 0; i < x.size(); ++i)
    all.push_back(i);
  return n.set(n.generic(n.tensor(*given, n.element(0)), y,
                         [&](Body &b) { return b.readOr(0, b.indices(), b.zero(b.result.scalarType()), all); }));
}

LogicalResult reverseSequence(Node &n) {
  int64_t batch = n.attrInt("batch_axis", 1), time = n.attrInt("time_axis", 0);
  if (n.rank(0) < 2 || !((batch == 0 && time == 1) || (batch == 1 && time == 0)))
    return n.error("expected rank 2 or more and 0 and 1 as batch_axis and time_axis but got rank " + Twine(n.rank(0)) +
                   ", " + Twine(batch) + " and " + Twine(time));
  if (failed(n.expectRank(1, 1)) || failed(n.require(n.type(1).dim(0), n.type(0).dim(batch), "lengths and sequences")))
    return failure();
  Expr most = n.type(0).dim(time) + 1;
  if (failed(n.require(n.type(1).numElements(), n.type(0).dim(batch), "lengths and sequences")))
    return failure();
  auto site = n.site(n.in(1), most, "the length of a sequence", /*wraps=*/false);
  if (failed(site))
    return failure();
  return n.set(n.generic(n.type(0), {n.in(0), n.in(1)}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value length = b.bounded(b.read(1, at[batch]), most, *site, /*wraps=*/false), t = at[time];
    at[time] = b.select(b.cmp(Cmp::lt, t, length), b.max(b.idx(0), b.sub(b.sub(length, b.idx(1)), t)), t);
    return b.read(0, at);
  }));
}

LogicalResult biasDropout(Node &n) { // x, bias, residual, ratio, training_mode
  if (std::optional<double> training = n.has(4) ? n.constFloat(n.in(4)) : 0; !training || *training != 0)
    return n.error("unsupported BiasDropout in training mode");
  if (n.wants(1) && failed(n.set(1, n.generic(n.tensor(n.dims(n.in(0)), n.b.getI1Type()), {},
                                              [](Body &b) { return b.boolean(true); }))))
    return failure();
  SmallVector<Value> in{n.in(0), n.in(1)};
  if (n.has(2))
    in.push_back(n.in(2));
  return n.set(n.map(n.element(0), in, [](Body &b, ArrayRef<Value> v) {
    Value y = b.add(v[0], v[1]);
    return v.size() > 2 ? b.add(y, v[2]) : y;
  }));
}

/// The activation that com.microsoft's fused operators name.
Value activated(Node &n, Value v) {
  std::string name = n.attrString("activation", "");
  auto parameters = n.attrFloats("activation_params").value_or(std::vector<float>());
  auto parameter = [&](size_t i, StringRef attr, double otherwise) {
    return i < parameters.size() ? parameters[i] : n.attrFloat(attr, otherwise);
  };
  if (!v || name.empty())
    return v;
  if (!llvm::is_contained({"Relu", "Tanh", "Sigmoid", "LeakyRelu", "Clip", "HardSigmoid", "HardSwish"}, name)) {
    (void)n.error("unsupported fused activation '" + name + "'");
    return {};
  }
  return n.map(n.type(v).getElementType(), v, [&](Body &b, ArrayRef<Value> in) {
    Value x = in[0];
    Type t = x.getType();
    auto c = [&](double value) { return b.constant(t, value); };
    if (name == "Relu")
      return b.max(x, c(0));
    if (name == "Tanh")
      return b.math<math::TanhOp>(x);
    if (name == "Sigmoid")
      return b.sigmoid(x);
    if (name == "LeakyRelu")
      return b.select(b.cmp(Cmp::lt, x, c(0)), b.mul(x, c(parameter(0, "activation_alpha", 0.01))), x);
    if (name == "Clip")
      return b.min(b.max(x, c(parameter(0, "activation_min", -INFINITY))), c(parameter(1, "activation_max", INFINITY)));
    bool swish = name == "HardSwish";
    double alpha = swish ? 1.0 / 6 : parameter(0, "activation_alpha", 0.2),
           beta = swish ? 0.5 : parameter(1, "activation_beta", 0.5);
    Value y = b.max(c(0), b.min(c(1), b.add(b.mul(x, c(alpha)), c(beta))));
    return swish ? b.mul(x, y) : y;
  });
}

LogicalResult fusedConv(Node &n) { // x, w, bias, sum
  Value y = convOf(n, n.in(0), n.in(1), n.in(2), n.element(0));
  if (y && n.has(3))
    y = n.map(n.element(0), {y, n.in(3)}, [](Body &b, ArrayRef<Value> v) { return b.add(v[0], v[1]); });
  return n.set(activated(n, y));
}

LogicalResult fusedGemm(Node &n) {
  double alpha = n.attrFloat("alpha", 1), beta = n.attrFloat("beta", 1);
  Value r = n.matmul(n.in(0), n.in(1), n.attrInt("transA", 0), n.attrInt("transB", 0));
  if (!r)
    return failure();
  SmallVector<Value> in{r};
  if (n.has(2))
    in.push_back(n.in(2));
  r = n.map(n.element(0), in, [&](Body &b, ArrayRef<Value> v) {
    Value y = b.mul(v[0], b.constant(v[0].getType(), alpha));
    return v.size() > 1 ? b.add(y, b.mul(v[1], b.constant(y.getType(), beta))) : y;
  });
  return n.set(activated(n, r));
}

LogicalResult isAllFinite(Node &n) {
  Value ok;
  Type i32 = n.b.getI32Type(), i1 = n.b.getI1Type();
  bool infOnly = n.attrInt("isinf_only", 0), nanOnly = n.attrInt("isnan_only", 0);
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    SmallVector<int64_t> all;
    for (int64_t k = 0; k < n.rank(i); ++k)
      all.push_back(k);
    Value bad = reduceOver(
        n, n.in(i), all, false, ReduceKind::max, i32,
        [&](Body &b, Value x) {
          Value inf = b.cmp(Cmp::eq, b.abs(x), b.constant(x.getType(), INFINITY)), nan = b.isNan(x);
          Value wrong = infOnly ? inf : nanOnly ? nan : b.logicalOr(inf, nan);
          return b.select(wrong, b.integer(i32, 1), b.integer(i32, 0));
        },
        [](Body &, Value v, Expr) { return v; });
    Value good = n.map(i1, bad, [&](Body &b, ArrayRef<Value> v) { return b.cmp(Cmp::le, v[0], b.integer(i32, 0)); });
    ok = ok ? n.map(i1, {ok, good}, [](Body &b, ArrayRef<Value> v) { return b.logicalAnd(v[0], v[1]); }) : good;
  }
  return n.set(ok);
}

} // namespace

void import::registerMisc(OpTable &t) {
  t["Einsum"] = {einsum, Definition::kAll};
  t["Hardmax"] = hardmax;
  t["LRN"] = lrn;
  t["MaxUnpool"] = {maxUnpool, 2};
  t["MeanVarianceNormalization"] = meanVarianceNormalization;
  t["NegativeLogLikelihoodLoss"] = {negativeLogLikelihood, 2};
  t["ReverseSequence"] = {reverseSequence, 2};
  t["SoftmaxCrossEntropyLoss"] = {softmaxCrossEntropy, 2};
  t["com.microsoft.BiasDropout"] = Definition{biasDropout, 2}.understanding(5, "seed");
  t["com.microsoft.FusedConv"] = Definition{fusedConv, 2}.understanding(
      4, "activation activation_params auto_pad dilations group kernel_shape pads strides");
  t["com.microsoft.FusedGemm"] = Definition{fusedGemm, 2}.understanding(
      3, "activation activation_alpha activation_beta activation_gamma alpha beta transA transB");
  t["com.microsoft.IsAllFinite"] =
      Definition{isAllFinite, Definition::kAll}.understanding(~0u, "isinf_only isnan_only");
}
