//===- NodeOps.cpp - the operations that definitions build ----------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Node.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

static void fill(Node &n, Region &region, TypeRange leading, ValueRange inputs, SymTensorType result, BodyFn fn,
                 ArrayRef<Expr> reduced = {}) {
  SmallVector<Expr> extents;
  for (ExprAttr d : result.getDims())
    extents.push_back(d);
  llvm::append_range(extents, reduced);
  Block *block = addBody(region, leading, inputs, extents.size());
  OpBuilder::InsertionGuard guard(n.b);
  n.b.setInsertionPointToStart(block);
  Body body(n.b, n.loc, block, leading.size(), inputs.size(), result);
  Value v = fn(body);
  YieldOp::create(n.b, n.loc, v);
  n.requireReads(region, body, extents);
}

Value Node::generic(SymTensorType result, ValueRange inputs, BodyFn body) {
  if (!llvm::all_of(inputs, [](Value v) { return (bool)v; }))
    return {};
  auto op = GenericOp::create(b, loc, result, inputs);
  fill(*this, op.getBody(), {}, inputs, result, body);
  return op.getResult();
}

Value Node::reduce(SymTensorType result, ReduceKind kind, ArrayRef<Expr> extents, ValueRange inputs, BodyFn body,
                   BodyFn epilogue, bool selectLast) {
  if (!llvm::all_of(inputs, [](Value v) { return (bool)v; }))
    return {};
  SmallVector<Attribute> attrs;
  for (Expr e : extents)
    attrs.push_back(e.attr());
  auto op = ReduceOp::create(b, loc, result, inputs, ReduceKindAttr::get(context, kind), b.getArrayAttr(attrs),
                             selectLast ? b.getUnitAttr() : UnitAttr());
  fill(*this, op.getBody(), {}, inputs, result, body, extents);
  bool arg = kind == ReduceKind::argmax || kind == ReduceKind::argmin;
  Type acc = arg ? Type(b.getI64Type()) : op.getBody().front().getTerminator()->getOperand(0).getType();
  fill(*this, op.getEpilogue(), {acc}, inputs, result, [&](Body &body) {
    if (epilogue)
      return epilogue(body);
    return acc == result.scalarType() ? body.scalar(0) : body.convert(body.scalar(0), acc, result.getElementType());
  });
  return op.getResult();
}

Value Node::normalize(SymTensorType result, NormKind kind, int64_t axes, double epsilon, ValueRange inputs, BodyFn body,
                      BodyFn epilogue) {
  if (!llvm::all_of(inputs, [](Value v) { return (bool)v; }))
    return {};
  auto op = NormalizeOp::create(b, loc, result, inputs, NormKindAttr::get(context, kind), b.getI64IntegerAttr(axes),
                                b.getF64FloatAttr(epsilon));
  fill(*this, op.getBody(), {}, inputs, result, body);
  Type x = op.getBody().front().getTerminator()->getOperand(0).getType();
  fill(*this, op.getEpilogue(), {x}, inputs, result, [&](Body &body) {
    return epilogue ? epilogue(body) : body.convert(body.scalar(0), x, result.getElementType());
  });
  return op.getResult();
}

Value Node::reshape(Value v, ArrayRef<Expr> dims) {
  if (!v)
    return {};
  SymTensorType to = tensor(dims, type(v).getElementType());
  if (to == type(v))
    return v;
  if (failed(require(type(v).numElements(), to.numElements(), "elements of a reshape")))
    return {};
  return ReshapeOp::create(b, loc, to, v);
}

Value Node::transpose(Value v, ArrayRef<int64_t> perm) {
  if (!v)
    return {};
  if (type(v).getRank() != (int64_t)perm.size()) {
    (void)error("expected a tensor of rank " + Twine(perm.size()) + " but got rank " + Twine(type(v).getRank()));
    return {};
  }
  SmallVector<Expr> out;
  bool identity = true;
  for (auto [i, p] : llvm::enumerate(perm)) {
    out.push_back(type(v).dim(p));
    identity &= (int64_t)i == p;
  }
  if (identity)
    return v;
  return generic(tensor(out, type(v).getElementType()), v, [&](Body &body) {
    SmallVector<Value> at(perm.size());
    for (auto [i, p] : llvm::enumerate(perm))
      at[p] = body.index(i);
    return body.read(0, at);
  });
}

Value Node::cast(Value v, Type element) {
  if (!v)
    return {};
  Type from = type(v).getElementType();
  if (from == element)
    return v;
  return generic(tensor(dims(v), element), v,
                 [&](Body &body) { return body.convert(body.read(0, body.indices()), from, element); });
}

Value Node::slice(Value v, ArrayRef<Expr> starts, ArrayRef<Expr> sizes, ArrayRef<int64_t> steps) {
  if (!v)
    return {};
  if (type(v).getRank() != (int64_t)starts.size()) {
    (void)error("expected a tensor of rank " + Twine(starts.size()) + " but got rank " + Twine(type(v).getRank()));
    return {};
  }
  bool whole = true;
  for (size_t i = 0; i < starts.size(); ++i)
    whole &= starts[i].isConstant(0) && sizes[i] == type(v).dim(i) && steps[i] == 1;
  if (whole)
    return v;
  return generic(tensor(sizes, type(v).getElementType()), v, [&](Body &body) {
    SmallVector<Value> at;
    for (size_t i = 0; i < starts.size(); ++i) {
      Value x = body.index(i);
      if (steps[i] != 1)
        x = body.mul(x, body.idx(steps[i]));
      if (!starts[i].isConstant(0))
        x = body.add(x, body.size(starts[i]));
      at.push_back(x);
    }
    return body.read(0, at);
  });
}

Value Node::concat(ArrayRef<Value> parts, int64_t axis) {
  if (!llvm::all_of(parts, [](Value v) { return (bool)v; }))
    return {};
  if (parts.size() == 1)
    return parts[0];
  if (parts.size() > kMaxTogether) {
    SmallVector<Value> joined;
    for (; !parts.empty(); parts = parts.drop_front(std::min(parts.size(), kMaxTogether)))
      joined.push_back(concat(parts.take_front(std::min(parts.size(), kMaxTogether)), axis));
    return concat(joined, axis);
  }
  SmallVector<Expr> out = dims(parts[0]);
  for (Value v : parts)
    if (type(v).getRank() != (int64_t)out.size() || axis >= (int64_t)out.size()) {
      (void)error("expected tensors of one rank, more than " + Twine(axis) + ", to join but got ranks " +
                  Twine(out.size()) + " and " + Twine(type(v).getRank()));
      return {};
    }
  for (Value v : parts.drop_front()) {
    for (int64_t d = 0; d < (int64_t)out.size(); ++d)
      if (d != axis && failed(require(out[d], type(v).dim(d), "dimensions of joined tensors")))
        return {};
    out[axis] = out[axis] + type(v).dim(axis);
  }
  return generic(tensor(out, type(parts[0]).getElementType()), parts, [&](Body &body) {
    // Parts are tried from the last to the first: outside of its own part a read gives the next choice.
    Value v;
    Expr offset = expr(0);
    for (auto [i, part] : llvm::enumerate(parts)) {
      SmallVector<Value> at = body.indices();
      if (i)
        at[axis] = body.sub(at[axis], body.size(offset));
      v = i == 0 ? body.readOr(0, at, body.zero(type(part).scalarType()), {axis}) : body.readOr(i, at, v, {axis});
      offset = offset + type(part).dim(axis);
    }
    return v;
  });
}

Value Node::map(Type resultElement, ValueRange inputs, llvm::function_ref<Value(Body &, ArrayRef<Value>)> fn) {
  if (!llvm::all_of(inputs, [](Value v) { return (bool)v; }))
    return {};
  SmallVector<SmallVector<Expr>> shapes;
  for (Value v : inputs)
    shapes.push_back(dims(v));
  auto out = broadcast(shapes);
  if (!out)
    return {};
  return generic(tensor(*out, resultElement), inputs, [&](Body &body) {
    SmallVector<Value> xs;
    for (unsigned i = 0; i < inputs.size(); ++i)
      xs.push_back(body.toCompute(body.readBroadcast(i), type(inputs[i]).getElementType()));
    body.broadcasts.clear(); // broadcast() has them checked
    return body.fromCompute(fn(body, xs), resultElement);
  });
}

Value Node::constantInts(ArrayRef<int64_t> values, Type element, ArrayRef<int64_t> shape) {
  SmallVector<Expr> dims;
  for (int64_t d : shape)
    dims.push_back(expr(d));
  SymTensorType t = tensor(dims, element);
  std::vector<char> bytes(values.size() * t.elementBytes());
  for (size_t i = 0; i < values.size(); ++i)
    memcpy(bytes.data() + i * t.elementBytes(), &values[i], t.elementBytes());
  return importer.constant(t, bytes, "", /*copy=*/true);
}

Value Node::constantFloat(double value, Type element, ArrayRef<int64_t> shape) {
  SmallVector<Expr> dims;
  int64_t n = 1;
  for (int64_t d : shape) {
    dims.push_back(expr(d));
    n *= d;
  }
  SymTensorType t = tensor(dims, element);
  llvm::APFloat v(value);
  bool lost;
  v.convert(llvm::cast<FloatType>(element).getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
  uint64_t raw = v.bitcastToAPInt().getZExtValue();
  std::vector<char> bytes(n * t.elementBytes());
  for (int64_t i = 0; i < n; ++i)
    memcpy(bytes.data() + i * t.elementBytes(), &raw, t.elementBytes());
  return importer.constant(t, bytes, "", /*copy=*/true);
}

Value Node::matmul(Value lhs, Value rhs, bool transposeLhs, bool transposeRhs, Type resultElement) {
  if (!lhs || !rhs)
    return {};
  SmallVector<Expr> l = dims(lhs), r = dims(rhs);
  if (l.size() < 2 || r.size() < 2) {
    (void)error("expected matrices but got ranks " + Twine(l.size()) + " and " + Twine(r.size()));
    return {};
  }
  Expr m = l[l.size() - (transposeLhs ? 1 : 2)], kl = l[l.size() - (transposeLhs ? 2 : 1)];
  Expr n = r[r.size() - (transposeRhs ? 2 : 1)], kr = r[r.size() - (transposeRhs ? 1 : 2)];
  if (failed(require(kl, kr, "inner dimensions of a product")))
    return {};
  SmallVector<Expr> lb(l.begin(), l.end() - 2), rb(r.begin(), r.end() - 2);
  auto batch = broadcast({lb, rb});
  if (!batch)
    return {};
  // A batch dimension that is 1 on one side and only known at run time to be so would need a stride of 0: made whole
  // first.
  auto expand = [&](Value v, ArrayRef<Expr> own) -> Value {
    bool needed = false;
    SmallVector<Expr> full = dims(v);
    int64_t shift = batch->size() - own.size();
    for (size_t i = 0; i < own.size(); ++i)
      if (!own[i].isConstant(1) && own[i] != (*batch)[i + shift]) {
        needed = true;
        full[i] = (*batch)[i + shift];
      }
    if (!needed)
      return v;
    return generic(tensor(full, type(v).getElementType()), v, [](Body &body) { return body.readBroadcast(0); });
  };
  lhs = expand(lhs, lb);
  rhs = expand(rhs, rb);
  unsigned nb = batch->size(), nd = nb + 3;
  // Batch dimensions of 1 are dropped from an operand by a reshape and are then missing from its map.
  auto mapOf = [&](Value &v, bool transposed, unsigned row, unsigned col) {
    SmallVector<Expr> d = dims(v), kept;
    SmallVector<AffineExpr> results;
    unsigned shift = nb + 2 - d.size();
    for (unsigned i = 0; i + 2 < d.size(); ++i)
      if (!(d[i].isConstant(1) && !(*batch)[i + shift].isConstant(1))) {
        kept.push_back(d[i]);
        results.push_back(b.getAffineDimExpr(i + shift));
      }
    kept.push_back(d[d.size() - 2]);
    kept.push_back(d[d.size() - 1]);
    results.push_back(b.getAffineDimExpr(transposed ? col : row));
    results.push_back(b.getAffineDimExpr(transposed ? row : col));
    v = reshape(v, kept);
    return AffineMap::get(nd, 0, results, context);
  };
  AffineMap lm = mapOf(lhs, transposeLhs, nb, nb + 2), rm = mapOf(rhs, transposeRhs, nb + 2, nb + 1);
  SmallVector<AffineExpr> om;
  for (unsigned i = 0; i < nb + 2; ++i)
    om.push_back(b.getAffineDimExpr(i));
  SmallVector<Expr> out(*batch);
  out.push_back(m);
  out.push_back(n);
  Type element = resultElement ? resultElement : type(lhs).getElementType();
  SymTensorType result = tensor(out, element);
  Attribute maps[] = {AffineMapAttr::get(lm), AffineMapAttr::get(rm),
                      AffineMapAttr::get(AffineMap::get(nd, 0, om, context))};
  auto op = MatmulOp::create(b, loc, result, lhs, rhs, ValueRange(), b.getArrayAttr(maps), kl.attr(), /*packed=*/false,
                             ArrayAttr(), /*parts=*/1, BlocksAttr());
  Type acc = op.accumulatorType();
  fill(*this, op.getEpilogue(), {acc}, {}, result,
       [&](Body &body) { return body.convert(body.scalar(0), acc, element); });
  return op.getResult();
}
