//===- KTProducts.cpp - products, convolutions and attention --------------===//

#include "dialects/KT/IR/ExprPoly.h"
#include "dialects/KT/IR/Verify.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

static Type accumulatorFor(Type element) {
  Builder b(element.getContext());
  if (isa<IntegerType>(element))
    return element.getIntOrFloatBitWidth() > 32 ? b.getI64Type() : b.getI32Type();
  return element.isF64() ? Type(b.getF64Type()) : Type(b.getF32Type());
}

/// Factors accumulate in one type; packed weights may be narrower than it, where they convert to it.
static LogicalResult verifyFactors(Operation *op, SymTensorType lhs, SymTensorType rhs, bool packed) {
  Type a = lhs.getElementType(), b = rhs.getElementType(), acc = accumulatorFor(a);
  bool fits = isa<IntegerType>(a) == isa<IntegerType>(b) && acc == accumulatorFor(b);
  if (!fits && packed && isa<FloatType>(acc))
    fits = isa<FloatType>(b) ? !b.isF64() : b.isSignlessInteger(8);
  if (!fits)
    return op->emitOpError() << "expected factors that accumulate in " << acc << " but got " << a << " and " << b;
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

AffineMap MatmulOp::getMap(unsigned i) { return cast<AffineMapAttr>(getMaps()[i]).getValue(); }

Expr MatmulOp::extent(unsigned dim) {
  AffineMap map = getMap(2);
  if (dim == map.getNumDims() - 1)
    return getDepth();
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getDimPosition(i) == dim)
      return getResult().getType().dim(i);
  return {};
}

Type MatmulOp::accumulatorType() { return accumulatorFor(getLhs().getType().getElementType()); }

/// Checks that a factor has dimension `row` and k, and not `other`, which is the other factor's alone.
static LogicalResult verifyFactorMap(MatmulOp op, unsigned i, unsigned row, unsigned other) {
  AffineMap map = op.getMap(i);
  unsigned k = map.getNumDims() - 1;
  auto has = [&](unsigned d) { return map.getResultPosition(getAffineDimExpr(d, op.getContext())).has_value(); };
  if (!has(row) || !has(k) || has(other))
    return op.emitOpError() << "expected map " << i << " to have dimensions " << row << " and " << k << " and not "
                            << other;
  return success();
}

LogicalResult MatmulOp::verify() {
  if (getMaps().size() != 3)
    return emitOpError() << "expected 3 maps but got " << getMaps().size();
  unsigned dims = getMap(0).getNumDims(), n = dims - 2;
  if (dims < 3)
    return emitOpError() << "expected an iteration space of at least 3 dimensions but got " << dims;
  if (failed(verifyViews(*this, 2)))
    return failure();
  SymTensorType types[] = {getLhs().getType(), getRhs().getType(), getResult().getType()};
  FactorView factors[] = {factorView(*this, 0), factorView(*this, 1)};
  for (unsigned i = 0; i < 3; ++i) {
    if (getMap(i).getNumDims() != dims || !getMap(i).isProjectedPermutation())
      return emitOpError() << "expected map " << i << " to be a projected permutation of " << dims << " dimensions";
    if (getPacked() && i == 1)
      continue;
    size_t rank = i < 2 ? factors[i].dims.size() : types[i].getRank();
    if (getMap(i).getNumResults() != rank)
      return emitOpError() << "map " << i << " has " << getMap(i).getNumResults() << " results but its tensor has "
                           << rank << " dimensions";
  }
  AffineExpr k = getAffineDimExpr(dims - 1, getContext());
  if (getMap(2).getNumResults() != dims - 1 || getMap(2).getResultPosition(k))
    return emitOpError() << "expected the result to have every dimension but k";
  if (failed(verifyFactorMap(*this, 0, dims - 3, n)))
    return failure();
  StringRef names[] = {"lhs", "rhs"};
  auto verifyExtents = [&](unsigned factor) -> LogicalResult {
    for (unsigned i = 0; i < getMap(factor).getNumResults(); ++i)
      if (failed(verifyViewDim(*this, names[factor], factors[factor], i, extent(getMap(factor).getDimPosition(i)))))
        return failure();
    return success();
  };
  Expr zero = Expr::constant(getContext(), 0);
  if (alwaysBelow(*this, getDepth(), zero))
    return emitOpError() << "expected a depth of 0 or more but got " << Expr(getDepth()).str();
  if (failed(verifyExtents(0)))
    return failure();
  if (getParts() < 1 || getParts() > kMostParts || (getParts() > 1 && !getPacked()))
    return emitOpError() << "expected 1 part, or up to " << kMostParts << " of packed weights, but got " << getParts();
  if (getPacked()) {
    if (getViews() && !cast<ViewAttr>((*getViews())[1]).isNone())
      return emitOpError() << "expected packed weights themselves but got a view of them";
    AffineMap expected = AffineMap::get(dims, 0, {getAffineDimExpr(n, getContext()), k}, getContext());
    if (getMap(1) != expected)
      return emitOpError() << "expected map 1 of packed weights to be " << AffineMapAttr::get(expected) << " but got "
                           << getMaps()[1];
    Expr panels = Expr::ceilDiv(extent(n), Expr::constant(getContext(), kPanel)) * (int64_t)getParts();
    if (auto blocks = getBlocksAttr()) {
      if (failed(verifyBlocks(*this, blocks, types[1], types[0].getElementType(), getDepth())))
        return failure();
    } else if (types[1].getRank() != 3 || !types[1].dim(2).isConstant(kPanel)) {
      return emitOpError() << "expected packed weights [panels, k, " << kPanel << "] but got " << types[1];
    } else if (failed(verifyDim(*this, "packed weights", types[1], 1, getDepth()))) {
      return failure();
    }
    if (failed(verifyDim(*this, "packed weights", types[1], 0, panels)))
      return failure();
  } else if (getBlocks()) {
    return emitOpError() << "expected weights in blocks to be packed";
  } else if (failed(verifyFactorMap(*this, 1, n, dims - 3)) || failed(verifyExtents(1))) {
    return failure();
  }
  if (!getBlocks() && failed(verifyFactors(*this, types[0], types[1], getPacked())))
    return failure();
  auto blocks = getBlocksAttr();
  if (getInt8Rows() && (!blocks || blocks.getBits() != 8 || blocks.getZeros() || blocks.getFp8())) {
    InFlightDiagnostic error = emitOpError() << "expected int8_rows beside blocks of integers of 8 bits without zero "
                                                "points but got ";
    return blocks ? error << blocks : error << "none";
  }
  SmallVector<Type> accumulators(getParts(), accumulatorType());
  return verifyBody(*this, getEpilogue(), "epilogue", accumulators, getExtras(), types[2].getRank(),
                    types[2].scalarType());
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

SymTensorType ConvOp::inputType() {
  SmallVector<ExprAttr> dims;
  for (Expr d : factorView(*this, 0).dims)
    dims.push_back(d.attr());
  return SymTensorType::get(getContext(), dims, getInput().getType().getElementType());
}

Type ConvOp::accumulatorType() { return accumulatorFor(getInput().getType().getElementType()); }

/// Weights [groups, (o / groups) ceildiv 16, taps, c / groups, 16]; [1, groups ceildiv 16, taps, 1, 16] where each
/// group has one channel and one output.
static LogicalResult verifyConvWeights(ConvOp op) {
  SymTensorType in = op.inputType(), w = op.getWeights().getType(), out = op.getResult().getType();
  MLIRContext *context = op.getContext();
  auto number = [&](int64_t v) { return Expr::constant(context, v); };
  int64_t groups = op.getGroups(), taps = 1;
  for (int64_t k : op.getKernel())
    if (__builtin_mul_overflow(taps, k, &taps))
      return op.emitOpError() << "expected a kernel whose taps can be counted but got [" << op.getKernel() << "]";
  if (w.getRank() != 5 || !w.dim(4).isConstant(kPanel))
    return op.emitOpError() << "expected packed weights [groups, panels, taps, channels, " << kPanel << "] but got "
                            << w;
  Expr c = in.dim(in.getRank() - 1), o = out.dim(out.getRank() - 1);
  for (auto [what, size] : {std::pair<StringRef, Expr>{"input channels", c}, {"outputs", o}})
    if (auto known = size.asConstant(); known && *known % groups != 0)
      return op.emitOpError() << "expected " << groups << " groups to divide the " << what << " but got " << *known;
  bool depthwise = op.isDepthwise();
  if (!depthwise && !w.dim(0).isConstant(groups))
    return op.emitOpError() << "expected packed weights of " << groups << " groups but got " << w;
  Expr outputs = depthwise ? o : Expr::floorDiv(o, number(groups));
  if (depthwise && (failed(verifyDim(op, "input", in, in.getRank() - 1, number(groups))) ||
                    failed(verifyDim(op, "result", out, out.getRank() - 1, number(groups)))))
    return failure();
  if (failed(verifyDim(op, "packed weights", w, 1, Expr::ceilDiv(outputs, number(kPanel)))) ||
      failed(verifyDim(op, "packed weights", w, 2, number(taps))) ||
      failed(verifyDim(op, "packed weights", w, 3, depthwise ? number(1) : Expr::floorDiv(c, number(groups)))))
    return failure();
  return success();
}

LogicalResult ConvOp::verify() {
  if (failed(verifyViews(*this, 1)))
    return failure();
  SymTensorType in = inputType(), out = getResult().getType();
  int64_t spatial = in.getRank() - 2;
  if (spatial < 1 || spatial > 3)
    return emitOpError() << "expected 1 to 3 spatial dimensions but got " << spatial;
  if (out.getRank() != in.getRank())
    return emitOpError() << "expected the result to have rank " << in.getRank() << " but got " << out.getRank();
  for (auto [what, list] : {std::pair<StringRef, ArrayRef<int64_t>>{"kernel", getKernel()},
                            {"strides", getStrides()},
                            {"dilations", getDilations()},
                            {"input_dilations", getInputDilations()}})
    if ((int64_t)list.size() != spatial || llvm::any_of(list, [](int64_t v) { return v < 1; }))
      return emitOpError() << "expected " << spatial << " positive numbers in " << what << " but got [" << list << "]";
  if (!factorView(*this, 0).strides.back().isConstant(1) && !in.dim(in.getRank() - 1).isConstant(1))
    return emitOpError() << "expected the channels of a position to lie side by side";
  if ((int64_t)getPads().size() != spatial)
    return emitOpError() << "expected " << spatial << " pads but got " << getPads().size();
  if ((int64_t)getGroups() < 1)
    return emitOpError() << "expected at least one group but got " << (int64_t)getGroups();
  // The spatial sizes of the result say what the trailing padding is: any are possible.
  if (failed(verifyDim(*this, "result", out, 0, in.dim(0))) || failed(verifyConvWeights(*this)) ||
      failed(verifyFactors(*this, in, getWeights().getType(), /*packed=*/true)))
    return failure();
  return verifyBody(*this, getEpilogue(), "epilogue", {accumulatorType()}, getExtras(), out.getRank(),
                    out.scalarType());
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Finds what reads a tensor of rank 4 at the block's three indices, each once, and 0.
static std::optional<AttentionOp::Scales> findScales(Value v, Block &block, unsigned numExtras) {
  auto read = v.getDefiningOp<ReadOp>();
  if (!read || read.getOtherwise() || read.getIndices().size() != 4)
    return std::nullopt;
  AttentionOp::Scales found{cast<BlockArgument>(read.getTensor()).getArgNumber(), {}};
  unsigned seen = 0;
  for (auto [d, index] : llvm::enumerate(read.getIndices())) {
    std::optional<unsigned> i = plainIndex(index, &block, numExtras);
    if (i)
      found.dims[*i] = d, seen |= 1u << *i;
    else if (!matchPattern(index, m_Zero()))
      return std::nullopt;
  }
  return seen == 7 ? std::optional(found) : std::nullopt;
}

AttentionOp::Scales AttentionOp::scalesOf(unsigned which) {
  Block &block = getScales().front();
  return *findScales(block.getTerminator()->getOperand(which), block, getExtras().size());
}

LogicalResult AttentionOp::verify() {
  if (getMaps().size() != 4 || getSizes().size() != 6)
    return emitOpError() << "expected 4 maps and 6 sizes but got " << getMaps().size() << " and " << getSizes().size();
  if ((int64_t)getGroup() < 1)
    return emitOpError() << "expected a group of at least one head but got " << (int64_t)getGroup();
  enum { B, H, I, J, D, E };
  auto size = [&](unsigned s) -> Expr { return cast<ExprAttr>(getSizes()[s]); };
  if (auto heads = size(H).asConstant(); heads && *heads % (int64_t)getGroup() != 0)
    return emitOpError() << "expected groups of " << getGroup() << " to divide the heads but got " << *heads;
  Expr keyHeads = Expr::floorDiv(size(H), Expr::constant(getContext(), getGroup()));
  struct Operand {
    StringRef name;
    SymTensorType type;
    Expr extents[4];
  };
  const Operand operands[] = {{"query", getQuery().getType(), {size(B), size(H), size(I), size(D)}},
                              {"key", getKey().getType(), {size(B), keyHeads, size(J), size(D)}},
                              {"value", getValue().getType(), {size(B), keyHeads, size(J), size(E)}},
                              {"result", getResult().getType(), {size(B), size(H), size(I), size(E)}}};
  if (failed(verifyViews(*this, 3)))
    return failure();
  for (auto [i, operand] : llvm::enumerate(operands)) {
    AffineMap map = cast<AffineMapAttr>(getMaps()[i]).getValue();
    FactorView view = i < 3 ? factorView(*this, i) : denseView(operand.type);
    if (map.getNumDims() != 4 || !map.isPermutation() || view.dims.size() != 4)
      return emitOpError() << "expected map " << i << " to be a permutation of 4 dimensions";
    Type element = operand.type.getElementType();
    if ((i == 1 || i == 2) && !getScales().empty()) {
      if (!element.isSignlessInteger(8))
        return emitOpError() << "expected " << operand.name << " of i8 beside scales but got " << element;
    } else if (!isa<FloatType>(element))
      return emitOpError() << "expected " << operand.name << " of a floating-point type but got "
                           << operand.type.getElementType();
    for (unsigned d = 0; d < 4; ++d)
      if (failed(verifyViewDim(*this, operand.name, view, d, operand.extents[map.getDimPosition(d)])))
        return failure();
  }
  for (auto [name, end] : {std::pair{"span_from", getSpanFrom()}, std::pair{"span_to", getSpanTo()}})
    if (end && !asDifference(Expr(*end)))
      return emitOpError() << "expected " << name << " to be a difference of sizes but got " << Expr(*end).str();
  if (getSpanLow() && !getSpanFrom() && !getSpanTo())
    return emitOpError() << "expected span_from or span_to with span_low";
  Type f32 = Float32Type::get(getContext());
  if (!getSink().empty() && failed(verifyBody(*this, getSink(), "sink", {}, getExtras(), 3, f32)))
    return failure();
  if (!getScales().empty()) {
    if (failed(verifyBody(*this, getScales(), "scales", {}, getExtras(), 3, f32, 2)))
      return failure();
    OperandRange both = cast<YieldOp>(getScales().front().getTerminator()).getValues();
    if (both.size() != 2 || both[1].getType() != f32)
      return emitOpError() << "expected scales to yield two f32: a key's and a value's";
    for (Value v : both)
      if (!findScales(v, getScales().front(), getExtras().size()))
        return emitOpError() << "expected scales to be read at b, g, j and 0";
  }
  return verifyBody(*this, getScore(), "score", {f32}, getExtras(), 4, f32);
}
