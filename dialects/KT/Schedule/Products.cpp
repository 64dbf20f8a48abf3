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

/// Strides of a factor or result along the iteration dimensions; zero where it does not have one.
static SmallVector<Expr> stridesAlong(AffineMap map, const FactorView &view) {
  SmallVector<Expr> strides(map.getNumDims(), Expr::constant(view.offset.context(), 0));
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    strides[map.getDimPosition(i)] = view.strides[i];
  return strides;
}

/// The one stride of rows that go on through all parts.
static std::optional<Expr> oneStride(ArrayRef<Expr> parts, ArrayRef<Expr> strides) {
  std::optional<Expr> inner;
  Expr rows;
  for (unsigned i = parts.size(); i-- > 0;) {
    if (parts[i].isConstant(1))
      continue;
    if (inner && strides[i] != *inner * rows)
      return std::nullopt;
    rows = inner ? rows * parts[i] : parts[i];
    if (!inner)
      inner = strides[i];
  }
  return inner ? inner : std::optional(strides.back());
}

bool kt::multipliesBytes(Operation *op) {
  auto ofBytes = [](SymTensorType a, SymTensorType b) {
    return a.getElementType().isInteger(8) && b.getElementType().isInteger(8);
  };
  if (auto product = dyn_cast<MatmulOp>(op))
    return !product.getBlocks() && ofBytes(product.getLhs().getType(), product.getRhs().getType());
  auto conv = dyn_cast<ConvOp>(op);
  return conv && !conv.isDepthwise() && ofBytes(conv.getInput().getType(), conv.getWeights().getType());
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
  p.blocks = op.getBlocksAttr();
  p.int8Rows = op.getInt8Rows();
  unsigned numBatch = op.numBatch(), m = numBatch, n = m + 1, k = m + 2;
  p.m = op.extent(m), p.n = op.extent(n), p.k = op.getDepth();
  p.parts = op.getParts(), p.resultColumns = p.n;
  if (p.parts > 1)
    p.n = Expr::ceilDiv(p.n, p.number(kPanel)) * (int64_t)(kPanel * p.parts);
  FactorView lhsView = factorView(op, 0);
  SmallVector<Expr> lhs = stridesAlong(op.getMap(0), lhsView);
  SmallVector<Expr> rhs(numBatch + 3, p.number(0));
  p.lhsOffset = lhsView.offset, p.rhsOffset = p.number(0);
  if (!p.packed) {
    FactorView rhsView = factorView(op, 1);
    rhs = stridesAlong(op.getMap(1), rhsView);
    p.rhsOffset = rhsView.offset;
  }
  SmallVector<Expr> res = stridesAlong(op.getMap(2), denseView(op.getResult().getType()));
  p.lhsK = lhs[k], p.rhsN = rhs[n], p.rhsK = rhs[k], p.resN = res[n];
  // Batch dimensions that share the right side and whose rows go on in the result are rows of one larger matrix.
  AffineMap map = op.getMap(2);
  SmallVector<unsigned> rows, parts;
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (unsigned d = map.getDimPosition(i); d != n && (d == m || rhs[d].isConstant(0)))
      rows.push_back(d);
  p.m = p.number(1);
  while (!rows.empty()) {
    unsigned d = rows.back();
    if (!parts.empty() && !p.m.isConstant(1) && res[d] != p.resM * p.m)
      break;
    if (parts.empty() || p.m.isConstant(1))
      p.resM = res[d];
    p.m = p.m * op.extent(d);
    parts.insert(parts.begin(), rows.pop_back_val());
  }
  // The rows of the right side's own dimension are rows in any case.
  if (!llvm::is_contained(parts, m)) {
    parts = {m};
    p.m = op.extent(m), p.resM = res[m];
  }
  for (unsigned d : parts)
    p.mParts.push_back(op.extent(d)), p.lhsRows.push_back(lhs[d]);
  if (auto stride = oneStride(p.mParts, p.lhsRows)) {
    p.lhsM = *stride;
    p.lhsRows.clear();
  }
  SmallVector<int> batchNumber(numBatch, -1);
  for (unsigned d = 0; d < numBatch; ++d) {
    if (llvm::is_contained(parts, d))
      continue;
    batchNumber[d] = p.batch.size();
    p.batch.push_back(op.extent(d));
    p.lhsBatch.push_back(lhs[d]);
    p.rhsBatch.push_back(rhs[d]);
    p.resBatch.push_back(res[d]);
  }
  for (unsigned i = 0; i < map.getNumResults(); ++i) {
    unsigned d = map.getDimPosition(i);
    auto *part = llvm::find(parts, d);
    p.resultIndex.push_back(d == n ? -1 : part == parts.end() ? -2 - batchNumber[d] : (int)(part - parts.begin()));
  }
  return p;
}

int Product::columnIndex() const {
  const auto *it = llvm::find(resultIndex, -1);
  return it == resultIndex.end() ? -1 : it - resultIndex.begin();
}

WeightForm Product::weightForm() const {
  return blocks ? WeightForm::of(blocks) : WeightForm::ofElements(elementBytes(rhsType));
}

Expr Product::rightBytes() const {
  if (blocks)
    return Expr::ceilDiv(n, number(kPanel)) * BlocksAttr(blocks).panelBytes(k);
  return n * k * elementBytes(rhsType);
}

Product Product::widened() const {
  Product product = *this;
  product.blocks = BlocksAttr(), product.rhsType = lhsType;
  return product;
}

Product Product::withQuantisedRows() const {
  Product product = *this;
  product.quantised = true;
  product.lhsType = IntegerType::get(m.context(), 8);
  product.lhsM = k, product.lhsK = number(1), product.lhsOffset = number(0);
  product.lhsRows.clear();
  return product;
}

bool Product::isHalf() const {
  bool half = lhsType.isF16() || lhsType.isBF16();
  return half && (rhsType == lhsType || blocks || (packed && rhsType.isInteger(8)));
}

bool Product::isInt8() const {
  return quantised || (accType.isInteger(32) && lhsType.isInteger(8) && rhsType.isInteger(8));
}

bool Product::isUnsigned(unsigned factor) const {
  return !quantised && cast<SymTensorType>(op->getOperand(factor).getType()).getElementType().isUnsignedInteger();
}

bool Product::canSplit(int64_t least) const {
  std::optional<int64_t> depth = k.asConstant();
  return batch.empty() && (accType.isF32() || accType.isInteger(32)) && (!depth || *depth >= least);
}

bool Product::canAlign(Alignment &alignment) const {
  alignment.lanes = chunk();
  auto all = [&](ArrayRef<Expr> list) { return llvm::all_of(list, [&](Expr e) { return alignment.multiple(e); }); };
  if (left != Left::strided)
    return true;
  bool lhs =
      lhsK.isConstant(1) && (m.isConstant(1) || all(rowStrides())) && all(lhsBatch) && alignment.multiple(lhsOffset);
  if (!lhs || packed)
    return lhs;
  bool rowsOfK = rhsK.isConstant(1) && alignment.multiple(rhsN);
  return (rowsOfK || (rhsN.isConstant(1) && alignment.multiple(rhsK))) && all(rhsBatch) &&
         alignment.multiple(rhsOffset);
}

static bool multiples(Alignment &alignment, ArrayRef<Expr> list) {
  return llvm::all_of(list, [&](Expr e) { return alignment.multiple(e); });
}

bool Product::leftAlongK() const { return !lhsRows.empty() || !lhsM.isConstant(1) || lhsK.isConstant(1); }

SmallVector<Expr> Product::rowStrides() const { return lhsRows.empty() ? SmallVector<Expr>{lhsM} : lhsRows; }

bool Product::vectorLeft(Alignment &alignment) const {
  bool neighbours = leftAlongK() ? lhsK.isConstant(1) && multiples(alignment, rowStrides()) && multiples(alignment, {k})
                                 : multiples(alignment, {lhsK, m});
  return neighbours && multiples(alignment, lhsBatch) && multiples(alignment, {lhsOffset});
}

bool Product::vectorRight(Alignment &alignment) const {
  bool alongK = !rhsN.isConstant(1);
  return (alongK ? rhsK.isConstant(1) && multiples(alignment, {rhsN, k}) : multiples(alignment, {rhsK, n})) &&
         multiples(alignment, rhsBatch) && multiples(alignment, {rhsOffset});
}

unsigned Product::storeLanes(Alignment &alignment, unsigned want) const {
  if (!resN.isConstant(1))
    return 1;
  for (; want > 1; want /= 2) {
    Alignment trial;
    trial.lanes = want, trial.mayAssume = alignment.mayAssume, trial.given = alignment.given;
    bool fits = trial.multiple(resultColumns) && trial.multiple(resM) && (!groupWidth || trial.multiple(groupWidth));
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

bool kt::hasAlignedChannels(ConvOp op, int64_t lanes) {
  FactorView in = factorView(op, 0);
  return in.strides.back().isConstant(1) && in.offset.isMultipleOf(lanes) &&
         llvm::all_of(ArrayRef(in.strides).drop_back(), [&](Expr s) { return s.isMultipleOf(lanes); });
}

/// The left side of a convolution: a plain product where each position reads itself alone.
static Product::Left leftOf(ConvOp op, Expr channels, int64_t taps, int64_t chunk) {
  SymTensorType out = op.getResult().getType();
  FactorView in = factorView(op, 0);
  auto allOnes = [](ArrayRef<int64_t> list) { return llvm::all_of(list, [](int64_t v) { return v == 1; }); };
  auto isZero = [](Attribute a) { return Expr(cast<ExprAttr>(a)).isConstant(0); };
  bool plain = taps == 1 && op.getGroups() == 1 && allOnes(op.getStrides()) && allOnes(op.getInputDilations()) &&
               llvm::all_of(op.getPads(), isZero);
  for (int64_t d = 1; d + 1 < out.getRank(); ++d)
    plain &= in.dims[d] == out.dim(d) && in.strides[d - 1] == in.strides[d] * in.dims[d];
  return plain                                                           ? Product::Left::strided
         : op.isDepthwise()                                              ? Product::Left::depthwise
         : channels.isMultipleOf(chunk) && hasAlignedChannels(op, chunk) ? Product::Left::chunks
                                                                         : Product::Left::elements;
}

Product kt::analyzeConv(ConvOp op) {
  SymTensorType in = op.inputType(), w = op.getWeights().getType(), out = op.getResult().getType();
  FactorView input = factorView(op, 0);
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
  p.n = p.resultColumns = outputs, p.k = channels * taps;
  p.lhsM = input.strides[rank - 2], p.lhsK = input.strides[rank - 1], p.rhsN = p.number(0), p.rhsK = p.number(0);
  p.lhsOffset = input.offset, p.rhsOffset = p.number(0);
  p.resM = out.dim(rank - 1), p.resN = one;
  if (groups > 1) {
    p.batch = {p.number(groups)};
    p.lhsBatch = {channels}, p.resBatch = {outputs};
    p.rhsBatch = {Expr::ceilDiv(outputs, p.number(16)) * p.k * 16};
    p.groupWidth = outputs;
  }
  p.left = leftOf(op, channels, taps, p.chunk());
  return p;
}
