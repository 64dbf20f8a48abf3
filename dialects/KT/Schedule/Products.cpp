//===- Products.cpp - products and convolutions as one contraction --------===//

#include "dialects/KT/Schedule/Products.h"

using namespace mlir;
using namespace kt;

Expr Product::batches() const {
  Expr n = number(1);
  for (Expr e : batch)
    n = n * e;
  return n;
}

/// Strides of a tensor along the iteration dimensions; zero where it does not have one.
static SmallVector<Expr> stridesAlong(AffineMap map, SymTensorType type) {
  Expr zero = Expr::constant(type.getContext(), 0), stride = Expr::constant(type.getContext(), 1);
  SmallVector<Expr> strides(map.getNumDims(), zero);
  for (unsigned i = map.getNumResults(); i-- > 0;) {
    strides[map.getDimPosition(i)] = stride;
    stride = stride * type.dim(i);
  }
  return strides;
}

Product kt::analyzeMatmul(MatmulOp op) {
  Product p;
  p.op = op;
  p.epilogue = &op.getEpilogue();
  p.numExtras = op.getExtras().size();
  p.lhsType = op.getLhs().getType().scalarType();
  p.rhsType = op.getRhs().getType().scalarType();
  p.accType = op.accumulatorType();
  p.packed = op.getPacked();
  unsigned numBatch = op.numBatch(), m = numBatch, n = m + 1, k = m + 2;
  p.m = op.extent(m), p.n = op.extent(n), p.k = op.getDepth();
  SmallVector<Expr> lhs = stridesAlong(op.getMap(0), op.getLhs().getType());
  SmallVector<Expr> rhs(numBatch + 3, p.number(0));
  if (!p.packed)
    rhs = stridesAlong(op.getMap(1), op.getRhs().getType());
  SmallVector<Expr> res = stridesAlong(op.getMap(2), op.getResult().getType());
  p.lhsM = lhs[m], p.lhsK = lhs[k], p.rhsN = rhs[n], p.rhsK = rhs[k], p.resM = res[m], p.resN = res[n];
  p.mParts = {p.m};
  // Batch dimensions whose rows simply go on are rows of one larger matrix, when all share the right side.
  unsigned left = numBatch;
  for (; left > 0; --left) {
    unsigned d = left - 1;
    Expr extent = op.extent(d);
    bool single = p.m.isConstant(1);
    if (!rhs[d].isConstant(0) || (!single && (lhs[d] != p.lhsM * p.m || res[d] != p.resM * p.m)))
      break;
    if (single)
      p.lhsM = lhs[d], p.resM = res[d];
    p.m = p.m * extent;
    p.mParts.insert(p.mParts.begin(), extent);
  }
  for (unsigned d = 0; d < left; ++d) {
    p.batch.push_back(op.extent(d));
    p.lhsBatch.push_back(lhs[d]);
    p.rhsBatch.push_back(rhs[d]);
    p.resBatch.push_back(res[d]);
  }
  AffineMap map = op.getMap(2);
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    unsigned d = map.getDimPosition(i);
    p.resultIndex.push_back(d == n ? -1 : d < left ? -2 - (int)d : (int)(d - left));
  }
  return p;
}

int Product::columnIndex() const {
  auto it = llvm::find(resultIndex, -1);
  return it == resultIndex.end() ? -1 : it - resultIndex.begin();
}

bool Product::isHalf() const {
  bool half = lhsType.isF16() || lhsType.isBF16();
  return half && (rhsType == lhsType || (packed && rhsType.isInteger(8)));
}

bool Product::canSplit(int64_t least) const {
  std::optional<int64_t> depth = k.asConstant();
  return batch.empty() && accType.isF32() && (!depth || *depth >= least);
}

bool Product::canAlign(Alignment &alignment) const {
  alignment.lanes = 8;
  auto all = [&](ArrayRef<Expr> list) { return llvm::all_of(list, [&](Expr e) { return alignment.multiple(e); }); };
  if (left != Left::strided)
    return true;
  bool lhs = lhsK.isConstant(1) && (m.isConstant(1) || alignment.multiple(lhsM)) && all(lhsBatch);
  if (!lhs || packed)
    return lhs;
  bool rowsOfK = rhsK.isConstant(1) && alignment.multiple(rhsN);
  return (rowsOfK || (rhsN.isConstant(1) && alignment.multiple(rhsK))) && all(rhsBatch);
}

static bool multiples(Alignment &alignment, ArrayRef<Expr> list) {
  return llvm::all_of(list, [&](Expr e) { return alignment.multiple(e); });
}

bool Product::vectorLeft(Alignment &alignment) const {
  bool alongK = !lhsM.isConstant(1) || lhsK.isConstant(1);
  return (alongK ? lhsK.isConstant(1) && multiples(alignment, {lhsM, k}) : multiples(alignment, {lhsK, m})) &&
         multiples(alignment, lhsBatch);
}

bool Product::vectorRight(Alignment &alignment) const {
  bool alongK = !rhsN.isConstant(1);
  return (alongK ? rhsK.isConstant(1) && multiples(alignment, {rhsN, k}) : multiples(alignment, {rhsK, n})) &&
         multiples(alignment, rhsBatch);
}

unsigned Product::storeLanes(Alignment &alignment, unsigned want) const {
  if (!resN.isConstant(1))
    return 1;
  for (; want > 1; want /= 2) {
    Alignment trial;
    trial.lanes = want, trial.mayAssume = alignment.mayAssume, trial.given = alignment.given;
    bool fits = trial.multiple(n) && trial.multiple(resM) && (!groupWidth || trial.multiple(groupWidth));
    for (Expr e : resBatch)
      fits &= trial.multiple(e);
    if (!fits)
      continue;
    alignment.lanes = want;
    for (Attribute a : trial.assumed)
      alignment.assumed.insert(a);
    return want;
  }
  return 1;
}

/// The left side of a convolution: a plain product where each position reads itself alone.
static Product::Left leftOf(ConvOp op, Expr channels, int64_t taps) {
  SymTensorType in = op.getInput().getType(), out = op.getResult().getType();
  auto allOnes = [](ArrayRef<int64_t> list) { return llvm::all_of(list, [](int64_t v) { return v == 1; }); };
  auto isZero = [](Attribute a) { return Expr(cast<ExprAttr>(a)).isConstant(0); };
  bool plain = taps == 1 && op.getGroups() == 1 && allOnes(op.getStrides()) && allOnes(op.getInputDilations()) &&
               llvm::all_of(op.getPads(), isZero);
  for (int64_t d = 1; d + 1 < out.getRank(); ++d)
    plain &= in.dim(d) == out.dim(d);
  return plain                      ? Product::Left::strided
         : op.isDepthwise()         ? Product::Left::depthwise
         : channels.isMultipleOf(8) ? Product::Left::chunks
                                    : Product::Left::elements;
}

Product kt::analyzeConv(ConvOp op) {
  SymTensorType in = op.getInput().getType(), w = op.getWeights().getType(), out = op.getResult().getType();
  unsigned rank = out.getRank();
  int64_t groups = op.getGroups(), taps = 1;
  for (int64_t n : op.getKernel())
    taps *= n;
  Expr one = Expr::constant(op.getContext(), 1), channels = w.dim(3),
       outputs = Expr::floorDiv(out.dim(rank - 1), Expr::constant(op.getContext(), groups));
  Product p;
  p.op = op;
  p.epilogue = &op.getEpilogue();
  p.numExtras = op.getExtras().size();
  p.lhsType = in.scalarType(), p.rhsType = w.scalarType(), p.accType = op.accumulatorType();
  p.packed = true;
  p.m = one;
  for (unsigned d = 0; d + 1 < rank; ++d) {
    p.m = p.m * out.dim(d);
    p.mParts.push_back(out.dim(d));
    p.resultIndex.push_back(d);
  }
  p.resultIndex.push_back(-1);
  p.n = outputs, p.k = channels * taps;
  p.lhsM = channels, p.lhsK = one, p.rhsN = p.number(0), p.rhsK = p.number(0);
  p.resM = out.dim(rank - 1), p.resN = one;
  if (groups > 1) {
    p.batch = {p.number(groups)};
    p.lhsBatch = {channels}, p.resBatch = {outputs};
    p.rhsBatch = {Expr::ceilDiv(outputs, p.number(16)) * p.k * 16};
    p.groupWidth = outputs;
  }
  p.left = leftOf(op, channels, taps);
  return p;
}
