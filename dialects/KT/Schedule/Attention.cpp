//===- Attention.cpp - attention as sizes and strides ---------------------===//

#include "dialects/KT/Schedule/Attention.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace kt;

FailureOr<AttentionProblem> kt::analyzeAttention(AttentionOp op) {
  AttentionProblem p;
  p.op = op;
  Expr sizes[6];
  for (auto [i, a] : llvm::enumerate(op.getSizes()))
    sizes[i] = Expr(cast<ExprAttr>(a));
  p.b = sizes[0], p.h = sizes[1], p.i = sizes[2], p.j = sizes[3];
  std::optional<int64_t> d = sizes[4].asConstant(), e = sizes[5].asConstant();
  if (!d || !e)
    return failure();
  p.d = *d, p.e = *e, p.group = op.getGroup(), p.zeroEmpty = op.getZeroEmpty();
  if (auto from = op.getSpanFrom())
    p.from = Expr(*from);
  if (auto to = op.getSpanTo())
    p.to = Expr(*to);
  p.low = op.getSpanLow();
  auto strides = [&](unsigned map, const FactorView &view) {
    AffineMap m = cast<AffineMapAttr>(op.getMaps()[map]).getValue();
    SmallVector<Expr> list(4, Expr::constant(op.getContext(), 0));
    for (unsigned i = 0; i < 4; ++i)
      list[m.getDimPosition(i)] = view.strides[i];
    list.push_back(view.offset);
    return list;
  };
  p.query = strides(0, factorView(op, 0)), p.key = strides(1, factorView(op, 1));
  p.value = strides(2, factorView(op, 2)), p.result = strides(3, denseView(op.getResult().getType()));
  for (unsigned which = 0; which < 2 && !op.getScales().empty(); ++which) {
    AttentionOp::Scales found = op.scalesOf(which);
    AttentionProblem::Scales scales{op.getExtras()[found.extra],
                                    SmallVector<Expr>(5, Expr::constant(op.getContext(), 0))};
    FactorView view = denseView(cast<SymTensorType>(scales.tensor.getType()));
    for (unsigned i = 0; i < 3; ++i)
      scales.strides[i] = view.strides[found.dims[i]];
    (which ? p.valueScales : p.keyScales) = scales;
  }
  return p;
}

bool AttentionProblem::isHalf() const {
  AttentionOp attention = op;
  Type q = attention.getQuery().getType().scalarType(), k = attention.getKey().getType().scalarType(),
       v = attention.getValue().getType().scalarType();
  return (q.isF16() || q.isBF16()) && (scaled() || (q == k && q == v));
}

int64_t AttentionProblem::keyBytes() const {
  return cast<SymTensorType>(AttentionOp(op).getKey().getType()).elementBytes();
}

static bool rowsAligned(ArrayRef<Expr> strides, int64_t columns, Alignment &a) {
  return columns % a.lanes == 0 && strides[3].isConstant(1) && a.multiple(strides[0]) && a.multiple(strides[1]) &&
         a.multiple(strides[2]) && a.multiple(strides[4]);
}

bool AttentionProblem::canAlign(Alignment &copies) const {
  copies.lanes = scaled() ? 16 : 8; // of integers more are 16 bytes; queries have as many elements in a row
  return rowsAligned(query, d, copies) && rowsAligned(key, d, copies) && rowsAligned(value, e, copies);
}

/// The dimensions of an attention op that a kernel makes operands of: four for each factor.
static constexpr llvm::StringLiteral kMade = "kt.made";

SmallVector<Operation *> AttentionMakers::all() const {
  SmallVector<Operation *> list;
  for (Operation *op : std::initializer_list<Operation *>{query, key, value})
    if (op)
      list.push_back(op);
  llvm::sort(list, [](Operation *x, Operation *y) { return x->isBeforeInBlock(y); });
  return list;
}

bool kt::findDimensions(AttentionOp op, unsigned factor, AttentionMakers::Dimensions &found) {
  FactorView view = factorView(op, factor), whole = denseView(cast<SymTensorType>(op->getOperand(factor).getType()));
  AffineMap map = cast<AffineMapAttr>(op.getMaps()[factor]).getValue();
  if (whole.strides.size() != 4 || map.getNumResults() != 4 || !view.offset.isConstant(0))
    return false;
  llvm::SmallBitVector taken(4);
  for (unsigned r = 0; r < 4; ++r) {
    // Of keys a state may have room for more than are seen.
    bool ofKeys = factor > 0 && map.getDimPosition(r) == 2;
    auto fits = [&](unsigned d) {
      bool sameDim =
          whole.dims[d] == view.dims[r]; // of one element, such as a single head of keys, strides say nothing
      return whole.strides[d] == view.strides[r] ? sameDim || ofKeys : sameDim && view.dims[r].isConstant(1);
    };
    unsigned d = 0;
    while (d < 4 && (taken[d] || !fits(d)))
      ++d;
    if (d == 4)
      return false;
    taken.set(d);
    found[map.getDimPosition(r)] = d;
  }
  return found[3] == 3;
}

/// Whether a window holds what a factor sees. By how much it is moved is the same for all rows of a head.
static bool holdsFactor(UpdateOp update, AttentionOp op, const AttentionMakers::Dimensions &dims) {
  if (update->getBlock() != op->getBlock() || update.getAxis() != dims[2])
    return false;
  OperandRange yielded = cast<YieldOp>(update.getBody().front().getTerminator()).getValues();
  BodyLanes body(update.getBody(), 0);
  for (Value moved : yielded.drop_front())
    for (unsigned index : {dims[2], dims[3]})
      if (body.use(moved, index).kind != LaneUse::Uniform)
        return false;
  return true;
}

/// Whether what is made is one operand of an attention and no other one, through views or not: a block has those rows
/// of a window alone that are in its share of the keys.
static bool isOneOperand(AttentionOp op, Operation *made) {
  return llvm::count_if(op->getOperands(), [&](Value v) {
           Operation *def = v.getDefiningOp();
           while (isa_and_nonnull<ReshapeOp, CapacityOp>(def))
             def = def->getOperand(0).getDefiningOp();
           return def == made;
         }) == 1;
}

AttentionMakers kt::findMakers(AttentionOp op) {
  AttentionMakers makers;
  auto key = op.getKey().getDefiningOp<UpdateOp>(), value = op.getValue().getDefiningOp<UpdateOp>();
  if (!key || !value || !isOneOperand(op, key) || !isOneOperand(op, value) || !findDimensions(op, 1, makers.dims[1]) ||
      !findDimensions(op, 2, makers.dims[2]) || !holdsFactor(key, op, makers.dims[1]) ||
      !holdsFactor(value, op, makers.dims[2]))
    return {};
  makers.key = key, makers.value = value;
  auto query = op.getQuery().getDefiningOp<GenericOp>();
  if (query && query->getBlock() == op->getBlock() && query.getResult().hasOneUse() &&
      findDimensions(op, 0, makers.dims[0]))
    makers.query = query;
  else
    makers.dims[0] = {};
  return makers;
}

void kt::setMakers(AttentionOp op, const AttentionMakers &makers) {
  SmallVector<int64_t> dims;
  for (const AttentionMakers::Dimensions &of : makers.dims)
    dims.append(of.begin(), of.end());
  op->setAttr(kMade, DenseI64ArrayAttr::get(op.getContext(), dims));
}

AttentionMakers kt::makersOf(AttentionOp op) {
  auto dims = op->getAttrOfType<DenseI64ArrayAttr>(kMade);
  if (!dims || dims.size() != 12 || llvm::any_of(dims.asArrayRef(), [](int64_t d) { return d < 0 || d > 3; }))
    return {};
  AttentionMakers makers{op.getQuery().getDefiningOp<GenericOp>(), op.getKey().getDefiningOp<UpdateOp>(),
                         op.getValue().getDefiningOp<UpdateOp>()};
  for (auto [i, d] : llvm::enumerate(dims.asArrayRef()))
    makers.dims[i / 4][i % 4] = d;
  return makers.key && makers.value ? makers : AttentionMakers();
}

unsigned kt::headPitch(int64_t columns, int64_t elementBytes) {
  return std::max<unsigned>(64, llvm::PowerOf2Ceil(llvm::alignTo(columns, 16) * elementBytes));
}

unsigned kt::decodeKeys(const AttentionProblem &p) {
  return headPitch(p.d, p.keyBytes()) + headPitch(p.e, p.keyBytes()) > 256 ? 64 : 128;
}
