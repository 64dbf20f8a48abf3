//===- Data.cpp - gathers, scatters, resizing, sorting --------------------===//

#include "compiler/Import/Proto.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

std::pair<Value, Expr> import::truePositions(Node &n, Value v) {
  Expr total = n.type(v).numElements();
  Value flags = n.reshape(n.cast(v, n.b.getI1Type()), {total});
  Type i64 = n.b.getI64Type();
  auto op = NonzeroOp::create(n.b, n.loc, n.tensor({total}, i64), n.tensor({n.expr(1)}, i64), flags);
  Expr count = n.freshSymbol("nonzero");
  ItemOp::create(n.b, n.loc, op.getCount(), n.b.getI64IntegerAttr(0), n.b.getStringAttr(count.name()));
  return {op.getPositions(), count};
}

namespace {

LogicalResult gather(Node &n) {
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0)), out(d.begin(), d.begin() + *axis);
  int64_t q = n.rank(1);
  llvm::append_range(out, n.dims(n.in(1)));
  out.append(d.begin() + *axis + 1, d.end());
  auto site = n.site(n.in(1), d[*axis], "an index into axis " + Twine(*axis));
  if (failed(site))
    return failure();
  return n.set(n.generic(n.tensor(out, n.element(0)), {n.in(0), n.in(1)}, [&](Body &b) {
    SmallVector<Value> all = b.indices(), at(all.begin(), all.begin() + *axis);
    at.push_back(b.bounded(b.read(1, ArrayRef<Value>(all).slice(*axis, q)), d[*axis], *site));
    at.append(all.begin() + *axis + q, all.end());
    return b.read(0, at);
  }));
}

LogicalResult gatherElements(Node &n) {
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis || failed(n.expectRank(1, n.rank(0))))
    return failure();
  Expr d = n.type(0).dim(*axis);
  auto site = n.site(n.in(1), d, "an index into axis " + Twine(*axis));
  if (failed(site))
    return failure();
  return n.set(n.generic(n.tensor(n.dims(n.in(1)), n.element(0)), {n.in(0), n.in(1)}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at[*axis] = b.bounded(b.read(1, at), d, *site);
    return b.read(0, at);
  }));
}

LogicalResult gatherNd(Node &n) {
  int64_t r = n.rank(0), q = n.rank(1), batch = n.attrInt("batch_dims", 0);
  auto depth = q ? n.type(1).dim(q - 1).asConstant() : std::nullopt;
  if (!depth || batch < 0 || batch + *depth > r || batch >= q)
    return n.error("unsupported GatherND: expected a constant index depth that fits the input's rank");
  SmallVector<Expr> d = n.dims(n.in(0)), i = n.dims(n.in(1)), out(i.begin(), i.end() - 1);
  out.append(d.begin() + batch + *depth, d.end());
  for (int64_t i = 0; i < batch; ++i)
    if (failed(n.require(n.type(1).dim(i), d[i], "batch dimension " + Twine(i) + " of indices and data")))
      return failure();
  SmallVector<Site> sites;
  for (int64_t k = 0; k < *depth; ++k) {
    auto site = n.site(n.in(1), d[batch + k], "an index into axis " + Twine(batch + k), true, {k, *depth, {}});
    if (failed(site))
      return failure();
    sites.push_back(*site);
  }
  return n.set(n.generic(n.tensor(out, n.element(0)), {n.in(0), n.in(1)}, [&](Body &b) {
    SmallVector<Value> all = b.indices(), at(all.begin(), all.begin() + batch);
    for (int64_t k = 0; k < *depth; ++k) {
      SmallVector<Value> where(all.begin(), all.begin() + q - 1);
      where.push_back(b.idx(k));
      at.push_back(b.bounded(b.read(1, where), d[batch + k], sites[k]));
    }
    at.append(all.begin() + q - 1, all.end());
    return b.read(0, at);
  }));
}

std::optional<ScatterKind> scatterKind(Node &n) {
  auto reduction = n.attrWord("reduction", {"none", "add", "mul", "max", "min"});
  if (!reduction)
    return std::nullopt;
  return *reduction == "none" ? ScatterKind::assign : symbolizeScatterKind(*reduction);
}

/// `site` reports rows that address nothing.
Value scatter(Node &n, Value base, Value indices, Value updates, ScatterKind kind, Site site) {
  return ScatterOp::create(n.b, n.loc, base.getType(), base, indices, updates, ScatterKindAttr::get(n.context, kind),
                           site.number < 0 ? IntegerAttr() : n.b.getI64IntegerAttr(site.number))
      .getResult();
}

LogicalResult scatterNd(Node &n) {
  auto kind = scatterKind(n);
  if (!kind)
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0)), i = n.dims(n.in(1)), u = n.dims(n.in(2));
  auto depth = i.empty() ? std::nullopt : i.back().asConstant();
  if (!depth || *depth > (int64_t)d.size())
    return n.error("unsupported ScatterND: expected a constant index depth of at most the input's rank");
  Expr rows = n.expr(1);
  for (Expr e : ArrayRef<Expr>(i).drop_back())
    rows = rows * e;
  SmallVector<Expr> flat{rows};
  flat.append(d.begin() + *depth, d.end());
  Value indices = n.reshape(n.cast(n.in(1), n.b.getI64Type()), {rows, n.expr(*depth)}),
        updates = n.reshape(n.in(2), flat);
  if (!indices || !updates)
    return failure();
  auto site = n.scatterSite(n.in(1), ArrayRef(d).take_front(*depth), "an index");
  return failed(site) ? failure() : n.set(scatter(n, n.in(0), indices, updates, *kind, *site));
}

LogicalResult scatterElements(Node &n) {
  auto kind = scatterKind(n);
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!kind || !axis || failed(n.expectRank(1, n.rank(0))) || failed(n.expectRank(2, n.rank(0))))
    return failure();
  for (int64_t i = 0; i < n.rank(0); ++i)
    if (failed(n.require(n.type(1).dim(i), n.type(2).dim(i), "dimension " + Twine(i) + " of indices and updates")))
      return failure();
  // Every element becomes a row that addresses all dimensions.
  int64_t rank = n.rank(0);
  SmallVector<Expr> d = n.dims(n.in(1)), full = d;
  full.push_back(n.expr(rank));
  Type i64 = n.b.getI64Type();
  Value rows = n.generic(n.tensor(full, i64), n.in(1), [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value k = at.pop_back_val();
    Value v = b.convert(b.read(0, at), n.element(1), i64);
    for (int64_t i = 0; i < rank; ++i)
      if (i != *axis)
        v = b.select(b.cmp(Cmp::eq, k, b.idx(i)), b.fromIndex(at[i], i64), v);
    return v;
  });
  Expr count = n.type(1).numElements();
  Value indices = n.reshape(rows, {count, n.expr(rank)}), updates = n.reshape(n.in(2), {count});
  if (!indices || !updates)
    return failure();
  auto site = n.scatterSite(n.in(1), n.type(0).dim(*axis), "an index into axis " + Twine(*axis));
  return failed(site) ? failure() : n.set(scatter(n, n.in(0), indices, updates, *kind, *site));
}

LogicalResult oneHot(Node &n) {
  auto depth = n.symbolicInt(n.in(1), "depth");
  auto axis = n.axis(n.attrInt("axis", -1), n.rank(0) + 1);
  if (!depth || !axis || failed(n.expectRank(2, 1)))
    return failure();
  SmallVector<Expr> out = n.dims(n.in(0));
  out.insert(out.begin() + *axis, *depth);
  Type i64 = n.b.getI64Type();
  return n.set(n.generic(n.tensor(out, n.element(2)), {n.in(0), n.in(2)}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    Value here = at[*axis];
    at.erase(at.begin() + *axis);
    Value i = b.convert(b.toCompute(b.read(0, at), n.element(0)), b.computeType(n.element(0)), i64);
    Value size = b.fromIndex(b.size(*depth), i64);
    i = b.select(b.cmp(Cmp::lt, i, b.integer(i64, 0)), b.add(i, size), i);
    return b.select(b.cmp(Cmp::eq, i, b.fromIndex(here, i64)), b.read(1, b.idx(1)), b.read(1, b.idx(0)));
  }));
}

LogicalResult trilu(Node &n) {
  Expr k = n.expr(0);
  if (n.has(1)) {
    auto e = n.symbolicInt(n.in(1), "k");
    if (!e)
      return failure();
    k = *e;
  }
  bool upper = n.attrInt("upper", 1);
  int64_t rank = n.rank(0);
  if (rank < 2)
    return n.error("expected matrices but got rank " + Twine(rank));
  return n.set(n.generic(n.type(0), n.in(0), [&](Body &b) {
    Value x = b.read(0, b.indices());
    Value shifted = b.add(b.index(rank - 2), b.size(k));
    Value keep = b.cmp(upper ? Cmp::ge : Cmp::le, b.index(rank - 1), shifted);
    return b.select(keep, x, b.zero(x.getType()));
  }));
}

LogicalResult eyeLike(Node &n) {
  Type element = n.attr("dtype") ? elementType(n.context, n.attrInt("dtype", 1)) : n.element(0);
  int64_t k = n.attrInt("k", 0);
  if (n.rank(0) != 2 || !element)
    return n.error("expected a matrix and a known dtype");
  return n.set(n.generic(n.tensor(n.dims(n.in(0)), element), {}, [&](Body &b) {
    Type scalar = b.result.scalarType();
    Value on = b.cmp(Cmp::eq, b.index(1), b.add(b.index(0), b.idx(k)));
    return b.select(on, b.constant(scalar, 1), b.zero(scalar));
  }));
}

/// Moves `axis` last, runs `fn`, and moves it back in each of its results.
template <typename Fn> LogicalResult alongLast(Node &n, int64_t axis, Fn fn) {
  int64_t rank = n.rank(0);
  SmallVector<int64_t> perm, back(rank);
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      perm.push_back(i);
  perm.push_back(axis);
  for (int64_t i = 0; i < rank; ++i)
    back[perm[i]] = i;
  SmallVector<Value> results = fn(n.transpose(n.in(0), perm));
  for (auto [i, v] : llvm::enumerate(results))
    if (failed(n.set(i, v ? n.transpose(v, back) : v)))
      return failure();
  return success();
}

LogicalResult topK(Node &n) {
  Expr k = n.expr(n.attrInt("k", 1));
  if (n.has(1)) {
    auto e = n.symbolicInt(n.in(1), "k");
    if (!e)
      return failure();
    k = *e;
  }
  auto axis = n.axis(n.attrInt("axis", -1), n.rank(0));
  if (!axis)
    return failure();
  auto c = k.asConstant(), d = n.type(0).dim(*axis).asConstant();
  if (c && d && (*c > *d || *c < 0))
    return n.error("k is " + Twine(*c) + " but the axis has " + Twine(*d) + " elements");
  if (!(c && d)) { // 0 <= k <= size
    Expr size = n.type(0).dim(*axis);
    if (failed(n.requireAtMost(n.expr(0), k, "k")) || failed(n.requireAtMost(k, size, "k and the axis")))
      return failure();
  }
  return alongLast(n, *axis, [&](Value v) -> SmallVector<Value> {
    SmallVector<Expr> out = n.dims(v);
    out.back() = k;
    auto op = SortOp::create(n.b, n.loc, n.tensor(out, n.type(v).getElementType()), n.tensor(out, n.b.getI64Type()), v,
                             n.b.getBoolAttr(n.attrInt("largest", 1)));
    return {op.getValues(), op.getIndices()};
  });
}

/// A cumulative sum along an axis that only the run knows: each element reduces the part of its line before it.
LogicalResult cumulativeUnknown(Node &n, ReduceKind kind, Expr axis) {
  SmallVector<Expr> d = n.dims(n.in(0)), marks = n.marked(axis, d.size());
  Expr length = n.expr(0);
  for (auto [e, m] : llvm::zip(d, marks))
    length = length + m * e;
  bool exclusive = n.attrInt("exclusive", 0), reverse = n.attrInt("reverse", 0);
  Type type = n.element(0);
  return n.set(n.reduce(n.type(0), kind, {length}, n.in(0),
                        [&](Body &b) {
                          SmallVector<Value> at = b.indices();
                          Value k = at.pop_back_val(), here = b.idx(0);
                          for (size_t i = 0; i < d.size(); ++i) {
                            Value along = b.cmp(Cmp::ne, b.size(marks[i]), b.idx(0));
                            here = b.select(along, at[i], here);
                            at[i] = b.select(along, k, at[i]);
                          }
                          Value in = reverse ? b.cmp(exclusive ? Cmp::gt : Cmp::ge, k, here)
                                             : b.cmp(exclusive ? Cmp::lt : Cmp::le, k, here);
                          Value v = b.toCompute(b.read(0, at), type);
                          return b.select(in, v, b.constant(v.getType(), kind == ReduceKind::mul ? 1 : 0));
                        },
                        {}));
}

LogicalResult cumulative(Node &n, ReduceKind kind) {
  if (auto e = n.symbolicInts(n.in(1), "axis"); !e || e->size() != 1)
    return e ? n.error("expected one axis") : failure();
  else if (!e->front().asConstant())
    return cumulativeUnknown(n, kind, e->front());
  auto a = n.constInts(n.in(1), "axis");
  auto axis = a && a->size() == 1 ? n.axis(a->front(), n.rank(0)) : std::nullopt;
  if (!axis)
    return failure();
  return alongLast(n, *axis, [&](Value v) -> SmallVector<Value> {
    auto unit = [&](StringRef name) { return n.attrInt(name, 0) ? n.b.getUnitAttr() : UnitAttr(); };
    return {ScanOp::create(n.b, n.loc, v.getType(), v, ReduceKindAttr::get(n.context, kind), unit("exclusive"),
                           unit("reverse"))
                .getResult()};
  });
}
LogicalResult cumSum(Node &n) { return cumulative(n, ReduceKind::add); }
LogicalResult cumProd(Node &n) { return cumulative(n, ReduceKind::mul); }

LogicalResult nonZero(Node &n) {
  auto [positions, count] = truePositions(n, n.in(0));
  SmallVector<Expr> d = n.dims(n.in(0));
  Type i64 = n.b.getI64Type();
  return n.set(n.generic(n.tensor({n.expr(std::max<size_t>(1, d.size())), count}, i64), positions, [&](Body &b) {
    Value linear = b.toIndex(b.read(0, b.index(1))), v = b.idx(0), stride = b.idx(1);
    for (size_t i = d.size(); i-- > 0;) {
      Value coordinate = b.math<arith::RemUIOp>(b.math<arith::DivUIOp>(linear, stride), b.max(b.idx(1), b.size(d[i])));
      v = b.select(b.cmp(Cmp::eq, b.index(0), b.idx(i)), coordinate, v);
      stride = b.mul(stride, b.max(b.idx(1), b.size(d[i])));
    }
    return b.fromIndex(v, i64);
  }));
}

LogicalResult compress(Node &n) {
  auto [positions, count] = truePositions(n, n.in(1));
  bool flat = !n.attr("axis");
  Value data = flat ? n.reshape(n.in(0), {n.type(0).numElements()}) : n.in(0);
  auto axis = flat ? std::optional<int64_t>(0) : n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  SmallVector<Expr> out = n.dims(data);
  Expr d = out[*axis];
  out[*axis] = count;
  auto site = n.site(positions, d, "the number of a condition that holds along axis " + Twine(*axis), false);
  if (failed(site))
    return failure();
  return n.set(n.generic(n.tensor(out, n.element(0)), {data, positions}, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    at[*axis] = b.bounded(b.read(1, at[*axis]), d, *site);
    return b.read(0, at);
  }));
}

} // namespace

void import::registerData(OpTable &t) {
  t["Compress"] = {compress, 2};
  t["CumProd"] = {cumProd, 2};
  t["CumSum"] = {cumSum, 2};
  t["EyeLike"] = eyeLike;
  t["Gather"] = {gather, 2};
  t["GatherElements"] = {gatherElements, 2};
  t["GatherND"] = {gatherNd, 2};
  t["NonZero"] = nonZero;
  t["OneHot"] = {oneHot, 3};
  t["Scatter"] = {scatterElements, 3};
  t["ScatterElements"] = {scatterElements, 3};
  t["ScatterND"] = {scatterNd, 3};
  t["TopK"] = topK;
  t["Trilu"] = trilu;
  t["com.microsoft.Trilu"] = Definition(trilu).understanding(2, "upper");
}
