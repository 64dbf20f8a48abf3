//===- Shape.cpp - operators that move or name elements -------------------===//
//
// Reshapes are views; everything else here is a read at a computed index.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

Value import::sizesTensor(Node &n, ArrayRef<Expr> sizes, bool scalar) {
  SmallVector<Expr> shape;
  if (!scalar)
    shape.push_back(n.expr(sizes.size()));
  Type i64 = n.b.getI64Type();
  return n.generic(n.tensor(shape, i64), {}, [&](Body &b) {
    Value v = b.integer(i64, 0);
    for (size_t i = sizes.size(); i-- > 0;) {
      Value s = b.fromIndex(b.size(sizes[i]), i64);
      v = scalar || i + 1 == sizes.size() ? s : b.select(b.cmp(Body::Cmp::eq, b.index(0), b.idx(i)), s, v);
    }
    return v;
  });
}

namespace {

LogicalResult shape(Node &n) {
  int64_t rank = n.rank(0);
  auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  int64_t start = clamp(n.attrInt("start", 0)), end = clamp(n.attrInt("end", rank));
  SmallVector<Expr> d = n.dims(n.in(0));
  return n.set(sizesTensor(n, ArrayRef<Expr>(d).slice(start, std::max<int64_t>(0, end - start)), false));
}
LogicalResult size(Node &n) { return n.set(sizesTensor(n, {n.type(0).numElements()}, true)); }

LogicalResult reshape(Node &n) {
  auto wanted = n.sizesFrom("shape", 1);
  if (!wanted)
    return n.has(1) || n.attr("shape") ? failure() : n.error("expected a shape");
  bool allowZero = n.attrInt("allowzero", 0);
  SmallVector<Expr> in = n.dims(n.in(0));
  int64_t inferred = -1;
  Expr rest = n.expr(1);
  // A size that is read at run time may turn out to be -1 or 0: every such size is then decided by an expression.
  Expr total = n.type(0).numElements();
  for (auto [i, e] : llvm::enumerate(*wanted)) {
    if (e.isConstant(-1)) {
      if (inferred >= 0)
        return n.error("more than one inferred dimension");
      inferred = i;
      continue;
    }
    if (e.isConstant(0) && !allowZero) {
      if (i >= in.size())
        return n.error("dimension " + Twine(i) + " copies the input's, which has rank " + Twine(in.size()));
      e = in[i];
    }
    auto c = e.asConstant();
    if (c && *c < 0)
      return n.error("negative dimension " + Twine(*c));
    if (!e.isNonNegative() && !allowZero && i < in.size())
      e = Expr::select(Expr::eq(e, n.expr(0)), in[i], e);
    rest = rest * e;
  }
  if (inferred >= 0) {
    if (rest.isConstant(0))
      return n.error("cannot infer a dimension beside one of 0");
    (*wanted)[inferred] = Expr::floorDiv(total, rest);
  } else if (llvm::any_of(*wanted, [](Expr e) { return !e.isNonNegative(); })) {
    Expr others = n.expr(1);
    for (Expr e : *wanted)
      if (e.isNonNegative())
        others = others * e;
    unsigned unknown = llvm::count_if(*wanted, [](Expr e) { return !e.isNonNegative(); });
    Expr given = n.expr(1), minus = n.expr(-1); // what there is beside a -1
    for (Expr e : *wanted)
      given = given * Expr::select(Expr::eq(e, minus), n.expr(1), e);
    for (Expr &e : *wanted)
      if (!e.isNonNegative()) // the only unknown one follows from the others, -1 or not
        e = unknown == 1 ? Expr::floorDiv(total, others)
                         : Expr::select(Expr::eq(e, minus), Expr::floorDiv(total, given), e);
  }
  return n.set(n.reshape(n.in(0), *wanted));
}

LogicalResult flatten(Node &n) {
  int64_t rank = n.rank(0), axis = n.attrInt("axis", 1);
  if (axis < -rank || axis > rank)
    return n.error("axis " + Twine(axis) + " is outside [" + Twine(-rank) + ", " + Twine(rank) + "]");
  axis = axis < 0 ? axis + rank : axis;
  Expr outer = n.expr(1), inner = n.expr(1);
  for (int64_t i = 0; i < rank; ++i)
    (i < axis ? outer : inner) = (i < axis ? outer : inner) * n.type(0).dim(i);
  return n.set(n.reshape(n.in(0), {outer, inner}));
}

/// An axes input whose elements only the run knows; null otherwise.
std::optional<SmallVector<Expr>> unknownAxes(Node &n, unsigned i) {
  if (!n.has(i))
    return std::nullopt;
  auto axes = n.sizes(n.in(i), "axes");
  if (!axes || llvm::all_of(*axes, [](Expr e) { return e.asConstant().has_value(); }))
    return std::nullopt;
  return axes;
}

LogicalResult squeeze(Node &n) {
  if (auto axes = unknownAxes(n, 1)) {
    SmallVector<Expr> d = n.dims(n.in(0));
    return n.set(n.reshape(n.in(0), n.unmarked(d, n.marked(*axes, d.size()), axes->size())));
  }
  auto axes = n.intsFrom("axes", 1);
  if (!axes && n.has(1))
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0)), out;
  llvm::SmallBitVector drop(d.size());
  if (axes) {
    for (int64_t a : *axes) {
      auto axis = n.axis(a, d.size());
      if (!axis || failed(n.require(d[*axis], n.expr(1), "squeezed dimension")))
        return failure();
      drop.set(*axis);
    }
  } else {
    for (auto [i, e] : llvm::enumerate(d))
      if (e.isConstant(1))
        drop.set(i);
  }
  for (auto [i, e] : llvm::enumerate(d))
    if (!drop.test(i))
      out.push_back(e);
  return n.set(n.reshape(n.in(0), out));
}

LogicalResult unsqueeze(Node &n) {
  if (auto axes = unknownAxes(n, 1)) {
    SmallVector<Expr> d = n.dims(n.in(0)), out;
    Expr place = n.expr(0); // of the next input dimension
    for (Expr added : n.marked(*axes, d.size() + axes->size())) {
      Expr size = n.expr(0);
      for (auto [i, e] : llvm::enumerate(d))
        size = size + Expr::eq(place, n.expr(i)) * e;
      out.push_back(Expr::select(added, n.expr(1), size));
      place = place + 1 - added;
    }
    return n.set(n.reshape(n.in(0), out));
  }
  auto axes = n.intsFrom("axes", 1);
  if (!axes)
    return n.has(1) ? failure() : n.error("expected axes");
  int64_t rank = n.rank(0) + axes->size();
  llvm::SmallBitVector added(rank);
  for (int64_t a : *axes) {
    auto axis = n.axis(a, rank);
    if (!axis)
      return failure();
    if (added.test(*axis))
      return n.error("axis " + Twine(a) + " is given twice");
    added.set(*axis);
  }
  SmallVector<Expr> d = n.dims(n.in(0)), out;
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i)
    out.push_back(added.test(i) ? n.expr(1) : d[next++]);
  return n.set(n.reshape(n.in(0), out));
}

LogicalResult transpose(Node &n) {
  int64_t rank = n.rank(0);
  SmallVector<int64_t> perm;
  if (auto p = n.attrInts("perm"))
    perm.assign(p->begin(), p->end());
  else
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
  llvm::SmallBitVector seen(rank);
  for (int64_t p : perm) {
    if (p < 0 || p >= rank || seen.test(p))
      return n.error("perm is not a permutation of " + Twine(rank) + " dimensions");
    seen.set(p);
  }
  if ((int64_t)perm.size() != rank)
    return n.error("perm has " + Twine(perm.size()) + " entries but the input has rank " + Twine(rank));
  return n.set(n.transpose(n.in(0), perm));
}

LogicalResult expand(Node &n) {
  auto target = n.sizes(n.in(1), "shape");
  if (!target)
    return failure();
  auto out = n.broadcast({n.dims(n.in(0)), *target});
  if (!out)
    return failure();
  SymTensorType result = n.tensor(*out, n.element(0));
  if (result == n.type(0))
    return n.set(n.in(0));
  return n.set(n.generic(result, n.in(0), [](Body &b) { return b.readBroadcast(0); }));
}

LogicalResult tile(Node &n) {
  auto repeats = n.sizes(n.in(1), "repeats");
  if (!repeats)
    return failure();
  SmallVector<Expr> d = n.dims(n.in(0)), out;
  if (repeats->size() != d.size())
    return n.error("expected " + Twine(d.size()) + " repeats but got " + Twine(repeats->size()));
  for (auto [e, r] : llvm::zip(d, *repeats))
    out.push_back(e * r);
  return n.set(n.generic(n.tensor(out, n.element(0)), n.in(0), [&](Body &b) {
    SmallVector<Value> at;
    for (auto [i, e] : llvm::enumerate(d))
      at.push_back((*repeats)[i].isConstant(1) ? b.index(i)
                   : e.isConstant(1)           ? b.idx(0)
                                               : b.math<arith::RemUIOp>(b.index(i), b.size(e)));
    return b.read(0, at);
  }));
}

LogicalResult concat(Node &n) {
  SmallVector<Value> parts;
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    Value v = n.in(i);
    if (n.rank(i) != n.rank(0) || n.element(i) != n.element(0))
      return n.error("expected inputs of one rank and type");
    for (int64_t d = 0; d < n.rank(0); ++d)
      if (d != *axis && failed(n.require(n.type(0).dim(d), n.type(i).dim(d), "dimensions of joined tensors")))
        return failure();
    if (!n.type(i).dim(*axis).isConstant(0))
      parts.push_back(v);
  }
  if (parts.empty())
    parts.push_back(n.in(0));
  return n.set(n.concat(parts, *axis));
}

LogicalResult split(Node &n) {
  auto axis = n.axis(n.attrInt("axis", 0), n.rank(0));
  if (!axis)
    return failure();
  Expr total = n.type(0).dim(*axis);
  SmallVector<Expr> sizes;
  if (auto given = n.sizesFrom("split", 1)) {
    sizes = *given;
  } else {
    if (n.has(1))
      return failure();
    // Equal parts; the last is smaller where they do not divide.
    int64_t parts = n.attrInt("num_outputs", n.numOutputs());
    Expr each = Expr::ceilDiv(total, n.expr(parts));
    for (int64_t i = 0; i < parts; ++i) {
      Expr s = i + 1 == parts ? total - each * (parts - 1) : each;
      sizes.push_back(s);
    }
  }
  if (sizes.size() < n.numOutputs())
    return n.error("expected " + Twine(n.numOutputs()) + " sizes but got " + Twine(sizes.size()));
  Expr start = n.expr(0), sum = n.expr(0);
  for (Expr s : sizes)
    sum = sum + s;
  if (failed(n.require(total, sum, "sum of the parts of a split")))
    return failure();
  for (unsigned i = 0; i < n.numOutputs(); ++i) {
    SmallVector<Expr> starts(n.rank(0), n.expr(0)), out = n.dims(n.in(0));
    starts[*axis] = start;
    out[*axis] = sizes[i];
    if (failed(n.set(i, n.slice(n.in(0), starts, out, SmallVector<int64_t>(n.rank(0), 1)))))
      return failure();
    start = start + sizes[i];
  }
  return success();
}

/// Slice where only the run knows the axes or the steps' direction: every dimension gets its numbers by choice.
LogicalResult sliceUnknown(Node &n, ArrayRef<Expr> starts, ArrayRef<Expr> ends) {
  SmallVector<Expr> d = n.dims(n.in(0)), out, first, stride, axes, steps(starts.size(), n.expr(1));
  Expr zero = n.expr(0), one = n.expr(1);
  for (size_t i = 0; i < starts.size(); ++i)
    axes.push_back(n.expr(i));
  for (auto [input, list] : {std::pair{3u, &axes}, std::pair{4u, &steps}})
    if (n.has(input)) {
      auto given = n.sizes(n.in(input), "axes and steps");
      if (!given)
        return failure();
      *list = *given;
    }
  if (starts.size() != axes.size() || ends.size() != axes.size() || steps.size() != axes.size())
    return n.error("starts, ends, axes and steps differ in length");
  int64_t rank = d.size();
  for (auto [i, size] : llvm::enumerate(d)) {
    Expr s = zero, e = size, step = one;
    for (size_t k = 0; k < axes.size(); ++k) {
      Expr hit = Expr::max(Expr::eq(axes[k], n.expr(i)), Expr::eq(axes[k], n.expr((int64_t)i - rank)));
      s = Expr::select(hit, starts[k], s);
      e = Expr::select(hit, ends[k], e);
      step = Expr::select(hit, steps[k], step);
    }
    Expr back = Expr::lt(step, zero), least = zero - back, most = size - back;
    auto clamp = [&](Expr v) {
      return Expr::min(Expr::max(Expr::select(Expr::lt(v, zero), v + size, v), least), most);
    };
    s = clamp(s);
    e = clamp(e);
    Expr sign = one - back * 2;
    out.push_back(Expr::max(Expr::ceilDiv((e - s) * sign, step * sign), zero));
    first.push_back(s);
    stride.push_back(step);
  }
  return n.set(n.generic(n.tensor(out, n.element(0)), n.in(0), [&](Body &b) {
    SmallVector<Value> at;
    for (size_t i = 0; i < d.size(); ++i)
      at.push_back(b.add(b.size(first[i]), b.mul(b.index(i), b.size(stride[i]))));
    return b.read(0, at);
  }));
}

LogicalResult slice(Node &n) {
  auto starts = n.sizesFrom("starts", 1), ends = n.sizesFrom("ends", 2);
  if (!starts || !ends)
    return n.error("expected starts and ends");
  auto unknown = [&](unsigned i) {
    const Contents *c = n.has(i) ? n.known(n.in(i)) : nullptr;
    return n.has(i) && !(c && llvm::all_of(*c, [](const Scalar &s) { return s.isExpr() && s.e.asConstant(); }));
  };
  if (unknown(3) || unknown(4))
    return sliceUnknown(n, *starts, *ends);
  SmallVector<int64_t> axes;
  if (auto a = n.intsFrom("axes", 3))
    axes = *a;
  else if (n.has(3))
    return failure();
  else
    for (size_t i = 0; i < starts->size(); ++i)
      axes.push_back(i);
  SmallVector<int64_t> steps(axes.size(), 1);
  if (n.has(4)) {
    auto s = n.constInts(n.in(4), "steps");
    if (!s)
      return failure();
    steps = *s;
  }
  if (starts->size() != axes.size() || ends->size() != axes.size() || steps.size() != axes.size())
    return n.error("starts, ends, axes and steps differ in length");
  int64_t rank = n.rank(0);
  SmallVector<Expr> begin(rank, n.expr(0)), out = n.dims(n.in(0));
  SmallVector<int64_t> step(rank, 1);
  for (auto [i, a] : llvm::enumerate(axes)) {
    auto axis = n.axis(a, rank);
    if (!axis)
      return failure();
    if (steps[i] == 0)
      return n.error("step 0");
    Expr d = out[*axis], zero = n.expr(0);
    // Negative numbers count from the end; then both are clamped to what the step's direction can reach.
    auto absolute = [&](Expr e) {
      auto c = e.asConstant();
      if (c)
        return *c < 0 ? (*c <= -(int64_t(1) << 31) ? n.expr(-1) - d : d + *c) : e;
      if (e.isNonNegative())
        return e;
      // d - k for a constant k >= 0 stays as it is below; a value of unknown sign is decided at run time.
      bool symbolMayBeNegative = false;
      e.forEachSymbol([&](StringRef s) { symbolMayBeNegative |= s.starts_with("?"); });
      Expr shifted = e + d;
      if (!symbolMayBeNegative && (e * -1 - 1).isNonNegative())
        return shifted; // always negative
      return Expr::select(Expr::lt(e, zero), shifted, e);
    };
    Expr s = absolute((*starts)[i]), e = absolute((*ends)[i]);
    if (steps[i] > 0) {
      s = Expr::min(Expr::max(s, zero), d);
      e = Expr::min(Expr::max(e, zero), d);
      out[*axis] = Expr::max(Expr::ceilDiv(e - s, n.expr(steps[i])), zero);
    } else {
      s = Expr::min(Expr::max(s, n.expr(-1)), d - 1);
      e = Expr::min(Expr::max(e, n.expr(-1)), d - 1);
      out[*axis] = Expr::max(Expr::ceilDiv(s - e, n.expr(-steps[i])), zero);
    }
    begin[*axis] = s;
    step[*axis] = steps[i];
  }
  return n.set(n.slice(n.in(0), begin, out, step));
}

LogicalResult pad(Node &n) {
  auto pads = n.sizesFrom("pads", 1);
  if (!pads)
    return n.error("expected pads");
  int64_t rank = n.rank(0);
  SmallVector<int64_t> axes;
  if (auto unknown = unknownAxes(n, 3)) { // each dimension sums what is meant for it
    SmallVector<Expr> all(2 * rank, n.expr(0));
    if (pads->size() != 2 * unknown->size())
      return n.error("expected " + Twine(2 * unknown->size()) + " pads but got " + Twine(pads->size()));
    for (size_t k = 0; k < unknown->size(); ++k)
      for (auto [i, hit] : llvm::enumerate(n.marked((*unknown)[k], rank))) {
        all[i] = all[i] + hit * (*pads)[k];
        all[i + rank] = all[i + rank] + hit * (*pads)[k + unknown->size()];
      }
    pads = all;
    for (int64_t i = 0; i < rank; ++i)
      axes.push_back(i);
  } else if (n.has(3)) {
    auto a = n.constInts(n.in(3), "axes");
    if (!a)
      return failure();
    for (int64_t v : *a) {
      auto axis = n.axis(v, rank);
      if (!axis)
        return failure();
      axes.push_back(*axis);
    }
  } else {
    for (int64_t i = 0; i < rank; ++i)
      axes.push_back(i);
  }
  if (pads->size() != 2 * axes.size())
    return n.error("expected " + Twine(2 * axes.size()) + " pads but got " + Twine(pads->size()));
  std::string mode = n.attrString("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return n.error("unsupported Pad mode '" + mode + "'");
  SmallVector<Expr> d = n.dims(n.in(0)), out = d, before(rank, n.expr(0));
  SmallVector<int64_t> touched;
  for (auto [i, a] : llvm::enumerate(axes)) {
    before[a] = (*pads)[i];
    out[a] = d[a] + (*pads)[i] + (*pads)[i + axes.size()];
    if (out[a] != d[a] || !before[a].isConstant(0))
      touched.push_back(a);
  }
  if (touched.empty())
    return n.set(n.in(0));
  SmallVector<Value> in{n.in(0)};
  if (n.has(2))
    in.push_back(n.in(2));
  return n.set(n.generic(n.tensor(out, n.element(0)), in, [&](Body &b) {
    SmallVector<Value> at = b.indices();
    for (int64_t a : touched) {
      Value i = b.sub(at[a], b.size(before[a])), last = b.size(d[a] - 1);
      if (mode == "edge") {
        i = b.max(b.idx(0), b.min(i, last));
      } else if (mode == "wrap") {
        Value m = b.size(d[a]), r = b.math<arith::RemSIOp>(i, m);
        i = b.select(b.cmp(Body::Cmp::lt, r, b.idx(0)), b.add(r, m), r);
      } else if (mode == "reflect") { // fold into a period of 2 (d - 1), then mirror its second half
        Value period = b.max(b.idx(1), b.mul(last, b.idx(2))), r = b.math<arith::RemSIOp>(i, period);
        r = b.select(b.cmp(Body::Cmp::lt, r, b.idx(0)), b.add(r, period), r);
        i = b.min(r, b.sub(period, r));
        i = b.select(b.cmp(Body::Cmp::eq, last, b.idx(0)), b.idx(0), i);
      }
      at[a] = i;
    }
    if (mode != "constant")
      return b.read(0, at);
    Value fill = in.size() > 1 ? b.read(1, SmallVector<Value>(n.rank(2), b.idx(0)))
                               : b.constant(b.result.scalarType(), n.attrFloat("value", 0));
    return b.readOr(0, at, fill, touched);
  }));
}

LogicalResult constant(Node &n) {
  for (const auto &a : n.proto.attribute()) {
    const auto *attr = n.attr(a.name());
    if (!attr)
      continue;
    if (a.name() == "value")
      return n.set(n.importer.tensorConstant(attr->t()));
    if (a.name() == "value_int")
      return n.set(n.constantInts({attr->i()}, n.b.getI64Type(), {}));
    if (a.name() == "value_float")
      return n.set(n.constantFloat(attr->f(), n.b.getF32Type()));
    if (a.name() == "value_ints")
      return n.set(n.constantInts(SmallVector<int64_t>(attr->ints().begin(), attr->ints().end()), n.b.getI64Type(),
                                  {attr->ints_size()}));
    if (a.name() == "value_floats") {
      ArrayRef<char> bytes((const char *)attr->floats().data(), attr->floats_size() * sizeof(float));
      return n.set(n.importer.constant(n.tensor({n.expr(attr->floats_size())}, n.b.getF32Type()), bytes, "", true));
    }
    return n.error("unsupported Constant attribute '" + a.name() + "'");
  }
  return n.error("Constant without a value");
}

LogicalResult constantOfShape(Node &n) {
  auto shape = n.sizes(n.in(0), "shape");
  if (!shape)
    return failure();
  const auto *value = n.attr("value");
  Value fill = value ? n.importer.tensorConstant(value->t()) : n.constantFloat(0, n.b.getF32Type(), {1});
  if (!fill)
    return failure();
  int64_t rank = n.type(fill).getRank();
  return n.set(n.generic(n.tensor(*shape, n.type(fill).getElementType()), fill,
                         [&](Body &b) { return b.read(0, SmallVector<Value>(rank, b.idx(0))); }));
}

LogicalResult range(Node &n) {
  Type element = n.element(0);
  Expr length;
  SmallVector<Expr> at;
  bool exact = true;
  for (unsigned i = 0; i < 3; ++i) {
    const Contents *c = n.known(n.in(i));
    exact &= isa<IntegerType>(element) || (c && c->front().isExpr());
  }
  if (exact) {
    for (unsigned i = 0; i < 3; ++i) {
      auto e = n.sizes(n.in(i), "range");
      if (!e || e->size() != 1)
        return failure();
      at.push_back(e->front());
    }
    Expr span = at[1] - at[0], zero = n.expr(0);
    if (auto step = at[2].asConstant()) {
      if (*step == 0)
        return n.error("step 0");
      length = *step > 0 ? Expr::max(Expr::ceilDiv(span, at[2]), zero)
                         : Expr::max(Expr::ceilDiv(span * -1, n.expr(-*step)), zero);
    } else {
      Expr down = Expr::max(Expr::ceilDiv(span * -1, at[2] * -1), zero);
      length = Expr::select(Expr::lt(at[2], zero), down, Expr::max(Expr::ceilDiv(span, at[2]), zero));
    }
  } else {
    auto start = n.constFloat(n.in(0)), limit = n.constFloat(n.in(1)), step = n.constFloat(n.in(2));
    if (start && limit && step && *step != 0) {
      length = n.expr(std::max<int64_t>(0, (int64_t)std::ceil((*limit - *start) / *step)));
    } else { // counted by the device and read back
      Type i64 = n.b.getI64Type();
      Value count = n.generic(n.tensor({}, i64), {n.in(0), n.in(1), n.in(2)}, [&](Body &b) {
        auto scalar = [&](unsigned i) {
          return b.toCompute(b.read(i, SmallVector<Value>(b.type(i).getRank(), b.idx(0))), element);
        };
        Value steps = b.math<math::CeilOp>(b.div(b.sub(scalar(1), scalar(0)), scalar(2)));
        return b.max(b.integer(i64, 0), b.convert(steps, steps.getType(), i64));
      });
      auto e = n.sizes(count, "length");
      if (!e)
        return failure();
      length = Expr::max(e->front(), n.expr(0));
    }
  }
  return n.set(n.generic(n.tensor({length}, element), {n.in(0), n.in(2)}, [&](Body &b) {
    auto scalar = [&](unsigned i) {
      return b.toCompute(b.read(i, SmallVector<Value>(b.type(i).getRank(), b.idx(0))), element);
    };
    Value start = scalar(0), step = scalar(1);
    Value i = b.fromIndex(b.index(0), start.getType());
    return b.fromCompute(b.add(start, b.mul(i, step)), element);
  }));
}

/// Blocks of pixels to channels and back, as reshapes around a transposition.
LogicalResult depthToSpace(Node &n) {
  int64_t s = n.attrInt("blocksize", 0);
  if (n.rank(0) != 4 || s < 1)
    return n.error("expected a 4-dimensional input and a positive blocksize");
  SmallVector<Expr> d = n.dims(n.in(0));
  Expr b = n.expr(s), c = Expr::floorDiv(d[1], n.expr(s * s));
  bool dcr = n.attrString("mode", "DCR") == "DCR";
  Value v = dcr ? n.reshape(n.in(0), {d[0], b, b, c, d[2], d[3]}) : n.reshape(n.in(0), {d[0], c, b, b, d[2], d[3]});
  if (!v)
    return failure();
  v = dcr ? n.transpose(v, {0, 3, 4, 1, 5, 2}) : n.transpose(v, {0, 1, 4, 2, 5, 3});
  return n.set(n.reshape(v, {d[0], c, d[2] * s, d[3] * s}));
}
LogicalResult spaceToDepth(Node &n) {
  int64_t s = n.attrInt("blocksize", 0);
  if (n.rank(0) != 4 || s < 1)
    return n.error("expected a 4-dimensional input and a positive blocksize");
  SmallVector<Expr> d = n.dims(n.in(0));
  Expr b = n.expr(s), h = Expr::floorDiv(d[2], b), w = Expr::floorDiv(d[3], b);
  Value v = n.reshape(n.in(0), {d[0], d[1], h, b, w, b});
  if (!v)
    return failure();
  return n.set(n.reshape(n.transpose(v, {0, 3, 5, 1, 2, 4}), {d[0], d[1] * (s * s), h, w}));
}

} // namespace

void import::registerShape(OpTable &t) {
  t["Concat"] = {concat, Definition::kAll};
  t["Constant"] = {constant, 0};
  t["ConstantOfShape"] = constantOfShape;
  t["DepthToSpace"] = depthToSpace;
  t["Expand"] = {expand, 2};
  t["Flatten"] = flatten;
  t["Pad"] = pad;
  t["Range"] = {range, 3};
  t["Reshape"] = reshape;
  t["Shape"] = shape;
  t["Size"] = size;
  t["Slice"] = slice;
  t["SpaceToDepth"] = spaceToDepth;
  t["Split"] = split;
  t["Squeeze"] = squeeze;
  t["Tile"] = {tile, 2};
  t["Transpose"] = transpose;
  t["Unsqueeze"] = unsqueeze;
}
