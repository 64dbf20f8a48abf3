//===- RaiseDequantize.cpp - weights that were quantised keep their bits --===//
//
//   %w = generic { (q[k, n] - z[n]) * s[k / 32, n] }     %w = dequantize %q', %s', zeros %z' : [n, k]
//   %r = matmul %x, %w                               ->  %r = matmul %x, %w
//   with constant q, s, z
//
// Groups along k are what have a scale in a block, and as long as that takes the fewest bytes: a scale for a column, or
// for all, is one for as many k's as a group may have. Between both there may be views, transpositions and conversions
// of floats. Where scales differ from one k to the next, or in blocks that no group divides, it stays arithmetic.
//
// A table of which bodies read rows that data says is the same, with rows for columns.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Dequantised.h"
#include "passes/Passes.h"
#include <numeric>

namespace kt {
#define GEN_PASS_DEF_RAISEDEQUANTIZE
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kLeastGroup = 16, kMostGroup = 256;

ConstantOp constantOf(Value v) { return throughReshapes(v).getDefiningOp<ConstantOp>(); }

std::optional<SmallVector<int64_t>> sizesOf(SymTensorType type) {
  SmallVector<int64_t> sizes;
  for (ExprAttr d : type.getDims()) {
    auto size = Expr(d).asConstant();
    if (!size || *size < 1)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

/// Where element (i, j) of a matrix lies in a tensor: at rows[i] + columns[j].
struct Places {
  std::vector<int64_t> rows, columns;

  int64_t last() const {
    return *std::max_element(rows.begin(), rows.end()) + *std::max_element(columns.begin(), columns.end());
  }
};

/// The same places as an index of each dimension; nothing where an index of rows and one of columns add up to more than
/// a dimension has.
std::optional<SmallVector<Places>> unravelled(const Places &places, ArrayRef<int64_t> sizes) {
  SmallVector<Places> dims(sizes.size());
  auto split = [&](const std::vector<int64_t> &flat, std::vector<int64_t> Places::*part) {
    for (int64_t place : flat)
      for (size_t d = sizes.size(); d-- > 0; place /= sizes[d])
        (dims[d].*part).push_back(place % sizes[d]);
  };
  split(places.rows, &Places::rows);
  split(places.columns, &Places::columns);
  for (auto [d, size] : llvm::enumerate(sizes))
    if (dims[d].last() >= size)
      return std::nullopt;
  return dims;
}

/// The sum of dims[d] / blocks[d] * strides[d], where that is a sum of one of rows and one of columns.
std::optional<Places> weighed(ArrayRef<Places> dims, const Places &like, const QuantParameter &p,
                              ArrayRef<int64_t> strides) {
  Places out{std::vector<int64_t>(like.rows.size()), std::vector<int64_t>(like.columns.size())};
  for (auto [at, stride] : llvm::zip(p.at, strides)) {
    if (at.dim < 0)
      continue;
    const Places &dim = dims[at.dim];
    auto whole = [block = at.block](const std::vector<int64_t> &part) {
      return llvm::all_of(part, [block](int64_t i) { return i % block == 0; });
    };
    if (!whole(dim.rows) && !whole(dim.columns))
      return std::nullopt;
    for (auto [sum, i] : llvm::zip(out.rows, dim.rows))
      sum += i / at.block * stride;
    for (auto [sum, i] : llvm::zip(out.columns, dim.columns))
      sum += i / at.block * stride;
  }
  return out;
}

SmallVector<int64_t> stridesOf(ArrayRef<int64_t> sizes) {
  SmallVector<int64_t> strides(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;)
    strides[d - 1] = strides[d] * sizes[d];
  return strides;
}

/// A matrix [rows, columns] of dequantised constants; columns are k's.
struct Weights {
  GenericOp op;
  Dequantised parts;
  Places numbers, scales, zeros;

  int64_t rows() const { return numbers.rows.size(); }
  int64_t columns() const { return numbers.columns.size(); }
};

/// Follows the matrix `v` [rows, columns], or its transposition, to what dequantises constants. Dimensions of 1 may be
/// anywhere in it.
std::optional<Weights> weightsOf(Value v, bool rowsFirst) {
  auto sizes = sizesOf(cast<SymTensorType>(v.getType()));
  if (!sizes)
    return std::nullopt;
  if (sizes->size() > 2)
    llvm::erase(*sizes, 1);
  if (sizes->size() != 2)
    return std::nullopt;
  Places places{std::vector<int64_t>((*sizes)[!rowsFirst]), std::vector<int64_t>((*sizes)[rowsFirst])};
  for (int64_t i = 0; int64_t &place : places.rows)
    place = i++ * (rowsFirst ? (*sizes)[1] : 1);
  for (int64_t i = 0; int64_t &place : places.columns)
    place = i++ * (rowsFirst ? 1 : (*sizes)[1]);
  while (true) {
    v = throughReshapes(v);
    auto op = v.getDefiningOp<GenericOp>();
    sizes = sizesOf(cast<SymTensorType>(v.getType()));
    if (!op || !sizes)
      return std::nullopt;
    if (isFloatCast(op)) {
      v = op.getInputs()[0];
      continue;
    }
    auto dims = unravelled(places, *sizes);
    if (!dims)
      return std::nullopt;
    auto sum = [&](const QuantParameter &p) -> std::optional<Places> {
      auto own = sizesOf(cast<SymTensorType>(p.tensor.getType()));
      if (!constantOf(p.tensor) || !own)
        return std::nullopt;
      auto out = weighed(*dims, places, p, stridesOf(*own));
      // The run refuses what is too short.
      int64_t elements = std::accumulate(own->begin(), own->end(), int64_t(1), std::multiplies<int64_t>());
      return out && out->last() < elements ? out : std::nullopt;
    };
    if (auto perm = asPermutation(op)) {
      QuantParameter source; // as if it were a parameter, with dimension perm[i] at index i
      source.at.resize(perm->size());
      for (auto [i, p] : llvm::enumerate(*perm))
        source.at[p] = {(int64_t)i, 1};
      auto own = sizesOf(cast<SymTensorType>(op.getInputs()[0].getType()));
      auto moved = own ? weighed(*dims, places, source, stridesOf(*own)) : std::nullopt;
      if (!moved)
        return std::nullopt;
      places = std::move(*moved);
      v = op.getInputs()[0];
      continue;
    }
    auto parts = dequantisedBy(op);
    if (!parts || !constantOf(parts->numbers))
      return std::nullopt;
    std::optional<Places> scales = sum(parts->scales), zeros = parts->zeros ? sum(*parts->zeros) : Places();
    if (!scales || !zeros)
      return std::nullopt;
    return Weights{op, *parts, std::move(places), std::move(*scales), std::move(*zeros)};
  }
}

/// Packs what `w` says into constants, as kt.dequantize takes them.
class Repacker {
public:
  Repacker(const Weights &w, OpBuilder &b, Location loc) : w(w), b(b), loc(loc), bits(w.parts.bits()) {
    numbers = bytesOf(w.parts.numbers), scales = bytesOf(w.parts.scales.tensor);
    middle = 1u << (bits - 1);
    if (w.parts.zeros)
      zeros = bytesOf(w.parts.zeros->tensor);
    hasZeros = w.parts.zeros ? llvm::any_of(zeros, [&](char z) { return codeOf(z) != middle; }) : codeOf(0) != middle;
  }

  /// In how long groups a product has them: what takes the fewest bytes, the longer of equal ones; 0: in none, or in
  /// more bytes than `wide`, the bytes of an element, would take.
  int64_t group(int64_t wide) const {
    int64_t best = 0, least = w.rows() * w.columns() * wide;
    for (int64_t g = kMostGroup; g >= kLeastGroup && scaleType(); g /= 2) {
      auto format = BlocksAttr::get(b.getContext(), bits, g, scaleType(), hasZeros, /*fp8=*/false);
      int64_t bytes = llvm::divideCeil(w.rows(), kPanel) * llvm::divideCeil(w.columns(), g) * format.blockBytes();
      if (bytes < least && isAlike(w.scales.columns, g) && (!w.parts.zeros || isAlike(w.zeros.columns, g)))
        best = g, least = bytes;
    }
    return best;
  }

  /// [rows, columns] in `element`.
  DequantizeOp dequantize(int64_t group, Type element) {
    int64_t rows = w.rows(), columns = w.columns(), groups = llvm::divideCeil(columns, group);
    int64_t groupBytes = group * bits / 8, scaleBytes = scaleType().getIntOrFloatBitWidth() / 8;
    std::vector<char> packed(rows * groups * groupBytes), factors(rows * groups * scaleBytes),
        points(hasZeros ? rows * groups : 0);
    parallelFor(b.getContext(), 0, rows, [&](size_t row) {
      char *to = packed.data() + row * groups * groupBytes;
      for (int64_t k = 0; k < columns; ++k) {
        unsigned code = codeOf(numbers[w.numbers.rows[row] + w.numbers.columns[k]]);
        to[k * bits / 8] |= (char)(code << k * bits % 8);
      }
      for (int64_t g = 0; g < groups; ++g) {
        int64_t at = row * groups + g, from = w.scales.rows[row] + w.scales.columns[g * group];
        memcpy(factors.data() + at * scaleBytes, scales.data() + from * scaleBytes, scaleBytes);
        if (hasZeros)
          points[at] = (char)codeOf(w.parts.zeros ? zeros[w.zeros.rows[row] + w.zeros.columns[g * group]] : 0);
      }
    });
    Type byte = b.getIntegerType(8, /*isSigned=*/false);
    StringRef name = constantOf(w.parts.numbers).getName().value_or("");
    auto constant = [&](ArrayRef<int64_t> dims, Type type, std::vector<char> bytes, StringRef suffix) -> Value {
      return makeConstant(b, loc, tensor(dims, type), std::move(bytes), name.empty() ? "" : (name + suffix).str());
    };
    Value q = constant({rows, groups, groupBytes}, byte, std::move(packed), "");
    Value s = constant({rows, groups}, scaleType(), std::move(factors), ".scale");
    Value z = hasZeros ? constant({rows, groups}, byte, std::move(points), ".zero") : Value();
    return DequantizeOp::create(b, loc, tensor({rows, columns}, element), q, s, z, bits, group);
  }

private:
  static ArrayRef<char> bytesOf(Value v) { return constantOf(v).bytes(); }

  Type scaleType() const {
    Type type = cast<SymTensorType>(w.parts.scales.tensor.getType()).getElementType();
    return type.isF32() || type.isF16() || type.isBF16() ? type : Type();
  }

  /// Numbers of blocks are from 0 up.
  unsigned codeOf(char number) const {
    return ((uint8_t)number + (w.parts.isSigned() ? middle : 0)) & ((1u << bits) - 1);
  }

  /// Whether the k's of each group have one place.
  static bool isAlike(ArrayRef<int64_t> columns, int64_t group) {
    for (size_t begin = 0; begin < columns.size(); begin += group)
      if (!llvm::all_equal(columns.slice(begin, std::min<size_t>(group, columns.size() - begin))))
        return false;
    return true;
  }

  SymTensorType tensor(ArrayRef<int64_t> dims, Type element) const {
    SmallVector<ExprAttr> sizes;
    for (int64_t d : dims)
      sizes.push_back(Expr::constant(b.getContext(), d).attr());
    return SymTensorType::get(b.getContext(), sizes, element);
  }

  const Weights &w;
  OpBuilder &b;
  Location loc;
  unsigned bits, middle;
  ArrayRef<char> numbers, scales, zeros;
  bool hasZeros;
};

/// Whether a left side was integers of 8 bits: such a product has them on both sides, and import left it as floats
/// because a device multiplies those faster.
bool isOfBytes(Value v) {
  while (auto op = throughReshapes(v).getDefiningOp<GenericOp>()) {
    if (auto parts = dequantisedBy(op))
      return parts->bits() == 8 && !constantOf(parts->numbers);
    if (!isFloatCast(op) && !asPermutation(op))
      return false;
    v = op.getInputs()[0];
  }
  return false;
}

struct RaiseDequantizePass : kt::impl::RaiseDequantizeBase<RaiseDequantizePass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<MatmulOp> products;
    SmallVector<GenericOp> tables;
    getOperation()->walk([&](MatmulOp op) { products.push_back(op); });
    getOperation()->walk([&](GenericOp op) { tables.push_back(op); });
    for (MatmulOp op : products)
      product(op);
    for (GenericOp op : tables)
      table(op);
    if (!done.empty())
      eraseDead(getOperation());
  }

private:
  void product(MatmulOp op) {
    TypedValue<SymTensorType> rhs = op.getRhs();
    AffineMap map = op.getMap(1);
    unsigned dims = map.getNumDims();
    SmallVector<unsigned> order; // of dimensions that are not 1
    for (auto [i, d] : llvm::enumerate(rhs.getType().getDims()))
      if (map.getDimPosition(i) >= dims - 2 || !Expr(d).isConstant(1))
        order.push_back(map.getDimPosition(i));
    bool rowsFirst = order.front() == dims - 2;
    if (op.getPacked() || !op.accumulatorType().isF32() || order.size() != 2 || order[!rowsFirst] != dims - 2 ||
        order[rowsFirst] != dims - 1)
      return;
    auto views = op.getViews();
    if (views && !cast<ViewAttr>((*views)[1]).isNone())
      return;
    std::optional<Weights> w = weightsOf(rhs, rowsFirst);
    if (!w || (w->parts.bits() == 8 && isOfBytes(op.getLhs())))
      return;
    Value raised = dequantized(rhs, rowsFirst, *w);
    if (!raised)
      return;
    op.getRhsMutable().assign(raised);
    SmallVector<Attribute> maps(op.getMaps().begin(), op.getMaps().end());
    Builder b(op.getContext());
    maps[1] = AffineMapAttr::get(
        AffineMap::get(dims, 0, {b.getAffineDimExpr(dims - 2), b.getAffineDimExpr(dims - 1)}, op.getContext()));
    op.setMapsAttr(b.getArrayAttr(maps));
  }

  /// Readers of `op`'s rows.
  void table(GenericOp op) {
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : op.getResult().getUses()) {
      Operation *user = use.getOwner();
      unsigned first = firstBodyOperand(user);
      if (!bodiesOf(user).empty() && use.getOperandNumber() >= first &&
          looksUpRows(user, use.getOperandNumber() - first))
        uses.push_back(&use);
    }
    std::optional<Weights> w = uses.empty() || !dequantisedBy(op) ? std::nullopt : weightsOf(op.getResult(), true);
    Value raised = w ? dequantized(op.getResult(), true, *w) : Value();
    for (OpOperand *use : uses)
      if (raised)
        setBodyOperand(use->getOwner(), use->getOperandNumber() - firstBodyOperand(use->getOwner()), raised);
  }

  Value dequantized(Value v, bool rowsFirst, Weights &w) {
    auto type = cast<SymTensorType>(v.getType());
    Type element = type.getElementType();
    if (!element.isF32() && !element.isF16() && !element.isBF16())
      return {};
    auto [it, isNew] = done.try_emplace({v, rowsFirst});
    if (!isNew)
      return it->second;
    OpBuilder b(w.op);
    Repacker repacker(w, b, w.op.getLoc());
    if (int64_t group = repacker.group(type.elementBytes()))
      it->second = repacker.dequantize(group, element);
    return it->second;
  }

  DenseMap<std::pair<Value, unsigned>, Value> done; // null: it has no such form
};

} // namespace
