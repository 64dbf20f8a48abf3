//===- Bands.cpp - constant triangles and bands ---------------------------===//

#include "passes/Analysis/Bands.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

std::optional<Band> kt::bandOf(ConstantOp constant) {
  SymTensorType type = constant.getResult().getType();
  int64_t rank = type.getRank(), bytes = type.elementBytes();
  Type scalar = type.scalarType();
  auto total = type.numElements().asConstant();
  if (rank < 2 || !total || bytes > 8 || (int64_t)constant.contents().size() != *total * bytes ||
      !scalar.isIntOrFloat())
    return std::nullopt;
  int64_t rows = *type.dim(rank - 2).asConstant(), columns = *type.dim(rank - 1).asConstant();
  if (rows * columns != *total || *total < 2)
    return std::nullopt;
  const char *data = constant.bytes().data();
  auto is = [&](int64_t at, int64_t like) { return !memcmp(data + at * bytes, data + like * bytes, bytes); };
  // The two kinds of elements are that of the first and that of the first other one.
  int64_t other = 1;
  while (other < *total && is(other, 0))
    ++other;
  if (other == *total)
    return std::nullopt;
  auto attribute = [&](int64_t at) -> TypedAttr {
    uint64_t raw = 0;
    memcpy(&raw, data + at * bytes, bytes);
    Builder b(constant.getContext());
    APInt bits(scalar.getIntOrFloatBitWidth(), raw, false, true);
    if (auto f = dyn_cast<FloatType>(scalar))
      return b.getFloatAttr(f, APFloat(f.getFloatSemantics(), bits));
    return b.getIntegerAttr(scalar, bits);
  };
  for (auto [in, out] : {std::pair<int64_t, int64_t>{0, other}, {other, 0}}) {
    int64_t from = columns, to = -rows;
    for (int64_t r = 0, at = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c, ++at)
        if (is(at, in))
          from = std::min(from, c - r), to = std::max(to, c - r + 1);
    bool holds = true;
    for (int64_t r = 0, at = 0; r < rows && holds; ++r)
      for (int64_t c = 0; c < columns && holds; ++c, ++at)
        holds = is(at, c - r >= from && c - r < to ? in : out);
    if (!holds)
      continue;
    Band band{rows, columns, from, to, attribute(in), attribute(out)};
    if (from <= 1 - rows)
      band.from.reset();
    if (to >= columns)
      band.to.reset();
    return band;
  }
  return std::nullopt;
}
