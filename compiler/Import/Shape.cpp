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

bool import::countsAxes(Node &n, unsigned i) {
  if (!n.has(i) || n.type(i).numElements().asConstant())
    return true;
  (void)n.error("unsupported: the number of axes is not known at compile time, so the result's rank is not either");
  return false;
}

std::optional<SmallVector<Expr>> import::unknownAxes(Node &n, unsigned i) {
  if (!n.has(i))
    return std::nullopt;
  auto axes = n.symbolicInts(n.in(i), "axes");
  if (!axes || llvm::all_of(*axes, [](Expr e) { return e.asConstant().has_value(); }))
    return std::nullopt;
  return axes;
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
  auto wanted = n.symbolicIntsOf("shape", 1);
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

LogicalResult squeeze(Node &n) {
  if (!countsAxes(n, 1))
    return failure();
  if (auto axes = unknownAxes(n, 1)) {
    SmallVector<Expr> d = n.dims(n.in(0));
    return n.set(n.reshape(n.in(0), n.unmarked(d, n.marked(*axes, d.size()), axes->size())));
  }
  auto axes = n.constIntsOf("axes", 1);
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
    // Which dimensions go decides the rank: one that turns out to be 1 in a run would have gone too.
    for (auto [i, e] : llvm::enumerate(d))
      if (Expr one = Expr::eq(e, n.expr(1)); auto known = n.importer.decide(one))
        drop[i] = *known;
      else if (failed(
                   n.require(one, n.expr(0),
                             "sizes of 1 along dimension " + Twine(i) + ", which a Squeeze without axes keeps, and 0")))
        return failure();
  }
  for (auto [i, e] : llvm::enumerate(d))
    if (!drop.test(i))
      out.push_back(e);
  return n.set(n.reshape(n.in(0), out));
}

LogicalResult unsqueeze(Node &n) {
  if (!countsAxes(n, 1))
    return failure();
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
  auto given = n.constIntsOf("axes", 1);
  if (!given)
    return n.has(1) ? failure() : n.error("expected axes");
  int64_t rank = n.rank(0) + given->size();
  auto axes = n.axes(*given, rank);
  if (!axes)
    return failure();
  llvm::SmallBitVector added(rank);
  for (int64_t axis : *axes)
    added.set(axis);
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
  auto target = n.symbolicInts(n.in(1), "shape");
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
  auto repeats = n.symbolicInts(n.in(1), "repeats");
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

LogicalResult constant(Node &n) {
  if (n.proto.attribute_size() > 1)
    return n.error("a Constant has one value but " + Twine(n.proto.attribute_size()) + " are given");
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
  auto shape = n.symbolicInts(n.in(0), "shape");
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
    exact &= isa<IntegerType>(element) || (c && c->size() == 1 && c->front().isExpr());
  }
  if (exact) {
    for (unsigned i = 0; i < 3; ++i) {
      auto e = n.symbolicInt(n.in(i), "range");
      if (!e)
        return failure();
      at.push_back(*e);
    }
    Expr span = at[1] - at[0], zero = n.expr(0);
    if (auto step = at[2].asConstant()) {
      if (*step == 0)
        return n.error("step 0");
      length = *step > 0 ? Expr::max(Expr::ceilDiv(span, at[2]), zero)
                         : Expr::max(Expr::ceilDiv(span * -1, at[2] * -1), zero);
    } else {
      Expr down = Expr::max(Expr::ceilDiv(span * -1, at[2] * -1), zero);
      length = Expr::select(Expr::lt(at[2], zero), down, Expr::max(Expr::ceilDiv(span, at[2]), zero));
    }
  } else {
    auto start = n.constFloat(n.in(0)), limit = n.constFloat(n.in(1)), step = n.constFloat(n.in(2));
    if (start && limit && step && *step != 0) {
      double count = std::ceil((*limit - *start) / *step);
      if (!(count < 0x1p63))
        return n.error("a range of more elements than 64 bits can count");
      length = n.expr(count > 0 ? (int64_t)count : 0);
    } else { // counted by the device and read back
      Type i64 = n.b.getI64Type();
      Value count = n.generic(n.tensor({}, i64), {n.in(0), n.in(1), n.in(2)}, [&](Body &b) {
        auto scalar = [&](unsigned i) {
          return b.toCompute(b.read(i, SmallVector<Value>(b.type(i).getRank(), b.idx(0))), element);
        };
        Value steps = b.math<math::CeilOp>(b.div(b.sub(scalar(1), scalar(0)), scalar(2)));
        return b.max(b.integer(i64, 0), b.convert(steps, steps.getType(), i64));
      });
      auto e = n.symbolicInts(count, "length");
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
  auto mode = n.attrWord("mode", {"DCR", "CRD"});
  if (!mode)
    return failure();
  bool dcr = *mode == "DCR";
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
  auto mode = n.attrWord("mode", {"DCR", "CRD"});
  Value v = mode ? n.reshape(n.in(0), {d[0], d[1], h, b, w, b}) : Value();
  if (!v)
    return failure();
  v = *mode == "DCR" ? n.transpose(v, {0, 3, 5, 1, 2, 4}) : n.transpose(v, {0, 1, 3, 5, 2, 4});
  return n.set(n.reshape(v, {d[0], d[1] * (s * s), h, w}));
}

} // namespace

void import::registerShape(OpTable &t) {
  t["Constant"] = {constant, 0};
  t["ConstantOfShape"] = constantOfShape;
  t["DepthToSpace"] = depthToSpace;
  t["Expand"] = {expand, 2};
  t["Flatten"] = flatten;
  t["Range"] = {range, 3};
  t["Reshape"] = reshape;
  t["Shape"] = shape;
  t["Size"] = size;
  t["SpaceToDepth"] = spaceToDepth;
  t["Squeeze"] = squeeze;
  t["Tile"] = {tile, 2};
  t["Transpose"] = transpose;
  t["Unsqueeze"] = unsqueeze;
}
