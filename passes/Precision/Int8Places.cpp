//===- Int8Places.cpp - where weights may be INT8 -------------------------===//
//
// Kernels widen INT8 in packed weights of products and of convolutions, whose sums are multiplied by a scale a column,
// and in tables that bodies gather from, by a scale a row. Anything else that is a weight stays as it is, and a report
// says why.
//
//===----------------------------------------------------------------------===//

#include "passes/Precision/Int8Places.h"
#include "passes/Analysis/Bodies.h"

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kMinElements = 256; // below this the scales cost what the bytes save
constexpr int64_t kMinRow = 8;        // the same of a row

static_assert(kInt8Columns == kPanel);

std::string textOf(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

SmallVector<int64_t> sizesOf(SymTensorType type) {
  SmallVector<int64_t> sizes;
  for (int64_t d = 0; d < type.getRank(); ++d)
    sizes.push_back(*type.dim(d).asConstant());
  return sizes;
}

void keep(Int8Place &place, WideReason reason, const Twine &words) { place.kept = KeptWide{reason, words.str()}; }

void keepSums(Int8Place &place, Type sums) {
  keep(place, WideReason::place, "used in a place that cannot take it: sums of type " + textOf(sums));
}

/// The panels of a product's weights; those of its parts take turns.
void layOut(MatmulOp op, Int8Place &place) {
  SmallVector<int64_t> packed = sizesOf(place.constant.getResult().getType());
  int64_t panels = packed[0], parts = op.getParts();
  unsigned n = op.getMap(2).getNumDims() - 2;
  place.columns = panels / parts * kPanel;
  for (unsigned i = 0; i < op.getMap(2).getNumResults(); ++i)
    if (op.getMap(2).getDimPosition(i) == n)
      place.columns = op.getResult().getType().dim(i).asConstant().value_or(place.columns);
  place.shape = {packed[1], place.columns * parts};
  // What verifiers cannot tell, columns of a size that only a run knows, is left alone.
  if (panels % parts != 0)
    return keep(place, WideReason::place, "used in a place that cannot take it: columns of a size that a run knows");
  if (!op.accumulatorType().isF32())
    return keepSums(place, op.accumulatorType());
  place.layout = Int8Layout::panels(parts, panels / parts * kPanel, packed[1], /*byTurns=*/true);
}

/// The panels of a convolution's weights, those of its groups behind one another.
void layOut(ConvOp op, Int8Place &place) {
  SmallVector<int64_t> packed = sizesOf(place.constant.getResult().getType());
  SymTensorType result = op.getResult().getType();
  std::optional<int64_t> outputs = result.dim(result.getRank() - 1).asConstant();
  if (outputs) {
    place.shape = {*outputs, packed[3]};
    place.shape.append(op.getKernel().begin(), op.getKernel().end());
  }
  int64_t groups = packed[0];
  if (!outputs || groups == 0 || *outputs % groups != 0)
    return keep(place, WideReason::place, "used in a place that cannot take it: outputs of a number that a run knows");
  if (!op.accumulatorType().isF32())
    return keepSums(place, op.accumulatorType());
  auto layout = Int8Layout::panels(groups, *outputs / groups, packed[2] * packed[3], /*byTurns=*/false);
  if (layout.panelsOfGroup() != packed[1])
    return keep(place, WideReason::place, "used in a place that cannot take it: outputs of a number that a run knows");
  place.layout = layout;
}

/// A factor of a product, of a convolution or of attention.
void layOutFactor(Operation *op, unsigned number, Int8Place &place) {
  bool seen = op->getOperand(number) != place.constant.getResult();
  auto matmul = dyn_cast<MatmulOp>(op);
  auto conv = dyn_cast<ConvOp>(op);
  if (!seen && matmul && matmul.getPacked() && !matmul.getBlocks() &&
      number == matmul.getRhsMutable().getOperandNumber())
    layOut(matmul, place);
  else if (!seen && conv && number == conv.getWeightsMutable().getOperandNumber())
    layOut(conv, place);
  else
    keep(place, WideReason::unpacked, "not a weight of a packed product");
}

/// A constant that bodies read at a computed first index: an embedding, or the weights of experts. A scale an innermost
/// row. False where it is none; what cannot be quantised has to be read at places that data says to be called one,
/// since views of biases have computed indices as well.
bool layOutTable(Operation *op, unsigned operand, const PrecisionDemand &demand, Int8Place &place) {
  unsigned operands = op->getNumOperands() - firstBodyOperand(op);
  SymTensorType type = place.constant.getResult().getType();
  bool seen = op->getOperand(firstBodyOperand(op) + operand) != place.constant.getResult();
  if (type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
    return false;
  auto gathers = [&](ReadOp r) {
    unsigned leading = cast<BlockArgument>(r.getTensor()).getArgNumber() - operand;
    return !r.getIndices().empty() && !plainIndex(r.getIndices()[0], r->getBlock(), leading + operands);
  };
  SmallVector<ReadOp> reads = readsOf(op, operand);
  if (llvm::none_of(reads, gathers))
    return false;
  if (demand.isExactTable(place.constant.getResult()))
    keep(place, WideReason::exact, "its rows have to be exact: a choice, an index or an angle is made of them");
  else if (seen)
    keep(place, WideReason::place, "used in a place that cannot take it: read with other dimensions");
  else if (!llvm::all_of(reads, [&](ReadOp r) { return gathers(r) && !r.getOtherwise(); }))
    keep(place, WideReason::place, "used in a place that cannot take it: read in another way than by rows");
  else if (place.shape.back() < kMinRow)
    keep(place, WideReason::small,
         "too small: rows of " + Twine(place.shape.back()) + " elements, fewer than " + Twine(kMinRow));
  else
    place.layout = Int8Layout::rows(*type.numElements().asConstant() / place.shape.back(), place.shape.back());
  return place.layout || llvm::any_of(reads, [&](ReadOp r) { return gathers(r) && comesFromData(r.getIndices()[0]); });
}

} // namespace

std::optional<FloatFormat> kt::floatFormatOf(Type element) {
  return element.isF32()    ? std::optional(FloatFormat::f32)
         : element.isF16()  ? std::optional(FloatFormat::f16)
         : element.isBF16() ? std::optional(FloatFormat::bf16)
                            : std::nullopt;
}

std::optional<Int8Place> kt::int8PlaceOf(Operation *op, unsigned number, const PrecisionDemand &demand) {
  auto constant = throughReshapes(op->getOperand(number)).getDefiningOp<ConstantOp>();
  if (!constant)
    return std::nullopt;
  unsigned first = firstBodyOperand(op);
  SymTensorType type = constant.getResult().getType();
  Int8Place place{constant, number >= first, sizesOf(type), 0, std::nullopt, std::nullopt};
  if (!place.isTable)
    layOutFactor(op, number, place);
  else if (!layOutTable(op, number - first, demand, place))
    return std::nullopt;
  // A rounded router sends tokens to other experts, for weights that are nothing beside the experts' own.
  if (demand.isExactProduct(op))
    keep(place, WideReason::exact, "its product has to be exact: a choice, an index or an angle is made of it");
  int64_t elements = *type.numElements().asConstant();
  if (!place.kept && !floatFormatOf(type.getElementType()))
    keep(place, WideReason::type, "its elements are " + textOf(type.getElementType()));
  if (!place.kept && elements < kMinElements)
    keep(place, WideReason::small,
         "too small: " + Twine(elements) + (place.isTable ? "" : " packed") + " elements, fewer than " +
             Twine(kMinElements));
  if (place.kept)
    place.layout.reset();
  return place;
}
