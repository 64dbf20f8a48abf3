//===- BlockTables.cpp - rows of tables of few bits -----------------------===//
//
// A table with blocks along the rows that are looked up, which is what embeddings are, is dequantised and gathered
// from: passes leave it in its bits and find the product that has the same numbers. Of any other form a body reads
// numbers and scales where it needs them, so that no table is ever widened.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

/// com.microsoft GatherBlockQuantized: data, indices, scales, zero points of the data's type.
class BlockTable {
public:
  explicit BlockTable(Node &n) : n(n), data(n.in(0)), zeros(n.in(3)) {}

  Value rows() {
    if (failed(check()))
      return {};
    int64_t q = n.rank(1);
    SmallVector<Expr> out(sizes.begin(), sizes.begin() + gatherAxis);
    llvm::append_range(out, n.dims(n.in(1)));
    out.append(sizes.begin() + gatherAxis + 1, sizes.end());
    SymTensorType result = n.tensor(out, n.element(2));
    if (failed(n.requireSome(sizes[gatherAxis], result.numElements(), "a row of the table")))
      return {};
    if (isEmbedding()) {
      if (!dequantised())
        return {};
    } else if (n.element(0).isInteger(4) && constantOf(data) && (!zeros || constantOf(zeros))) {
      // Four bits are a byte in memory otherwise.
      data = inBytes(data);
      zeros = zeros ? inBytes(zeros) : Value();
      packed = true;
    }
    SmallVector<Value> in{data, n.in(1)};
    if (!whole)
      in.push_back(n.in(2));
    if (!whole && zeros)
      in.push_back(zeros);
    return n.generic(result, in, [&](Body &b) {
      SmallVector<Value> all = b.indices(), at(all.begin(), all.begin() + gatherAxis);
      // What is outside is zeros, of no row.
      Value limit = b.size(sizes[gatherAxis]), i = b.toIndex(b.read(1, ArrayRef<Value>(all).slice(gatherAxis, q)));
      i = b.select(b.cmp(Cmp::lt, i, b.idx(0)), b.add(i, limit), i);
      Value inside = b.logicalAnd(b.cmp(Cmp::ge, i, b.idx(0)), b.cmp(Cmp::lt, i, limit));
      at.push_back(b.select(inside, i, b.idx(0)));
      at.append(all.begin() + gatherAxis + q, all.end());
      Value v = whole ? b.toCompute(b.read(0, at), n.element(2)) : element(b, at);
      return b.fromCompute(b.select(inside, v, b.zero(v.getType())), n.element(2));
    });
  }

private:
  bool isFloat() { return isa<FloatType>(n.element(0)); }
  bool isSigned() { return !n.element(0).isUnsignedInteger(); }
  int64_t perByte() const { return 8 / bits; }

  LogicalResult check() {
    int64_t rank = n.rank(0);
    auto gather = n.axis(n.attrInt("gather_axis", 0), rank), quantised = n.axis(n.attrInt("quantize_axis", 1), rank);
    if (!gather || !quantised)
      return failure();
    gatherAxis = *gather, axis = *quantised, block = n.attrInt("block_size", 128);
    Type type = n.element(0);
    bool isByte = type.isInteger(8);
    bits = isByte ? n.attrInt("bits", 4) : isFloat() ? 8 : type.getIntOrFloatBitWidth();
    if (!isFloat() && !isByte && !type.isInteger(4))
      return n.error("unsupported GatherBlockQuantized: expected data of 4 or 8 bits or of narrow floats");
    if (bits != 2 && bits != 4 && bits != 8)
      return n.error("unsupported GatherBlockQuantized: expected 2, 4 or 8 bits but got " + Twine(bits));
    if (block < (isFloat() ? 0 : 1))
      return n.error("unsupported GatherBlockQuantized: expected a block_size of 1 or more but got " + Twine(block));
    packed = isByte && bits < 8;
    if (packed && (gatherAxis == rank - 1 || axis == gatherAxis))
      return n.error("expected other axes for gather_axis " + Twine(gatherAxis) + " and quantize_axis " + Twine(axis) +
                     " of packed data of rank " + Twine(rank));
    if (zeros && (isFloat() || n.element(3) != type))
      return n.error("expected zero points of the data's type, which is of integers");
    sizes = n.dims(data);
    if (packed)
      sizes.back() = sizes.back() * n.expr(perByte());
    if (block == 0 && !sizes[axis].asConstant())
      return n.error("unsupported GatherBlockQuantized: expected a known size of quantize_axis");
    if (block == 0)
      block = std::max<int64_t>(*sizes[axis].asConstant(), 1);
    return checkShapes(rank);
  }

  LogicalResult checkShapes(int64_t rank) {
    if (failed(n.expectRank(2, rank)) || (zeros && failed(n.expectRank(3, rank))))
      return failure();
    for (int64_t d = 0; d < rank; ++d) {
      Expr wanted = d == axis ? Expr::ceilDiv(sizes[d], n.expr(block)) : sizes[d];
      // Those of floats broadcast.
      if ((!isFloat() || !n.type(2).dim(d).isConstant(1)) &&
          failed(n.require(n.type(2).dim(d), wanted, "dimension " + Twine(d) + " of the scales")))
        return failure();
      if (packed && d == rank - 1)
        wanted = Expr::ceilDiv(wanted, n.expr(perByte()));
      if (zeros && failed(n.require(n.type(3).dim(d), wanted, "dimension " + Twine(d) + " of the zero points")))
        return failure();
    }
    return success();
  }

  /// The zero point of what has none given.
  int64_t middle() { return n.element(0).isUnsignedInteger(8) ? 1 << (bits - 1) : 0; }

  /// Number `at` of operand `operand`, in i32.
  Value number(Body &b, unsigned operand, SmallVector<Value> at) {
    Type i32 = n.b.getI32Type(), element = b.type(operand).getElementType();
    if (!packed)
      return b.convert(b.read(operand, at), element, i32);
    Value inside = b.math<arith::RemUIOp>(at.back(), b.idx(perByte()));
    at.back() = b.math<arith::DivUIOp>(at.back(), b.idx(perByte()));
    Value byte = b.convert(b.read(operand, at), IntegerType::get(n.context, 8, IntegerType::Unsigned), i32);
    Value shifted = b.math<arith::ShRUIOp>(byte, b.fromIndex(b.mul(inside, b.idx(bits)), i32));
    Value q = b.math<arith::AndIOp>(shifted, b.integer(i32, (1 << bits) - 1));
    if (!isSigned())
      return q;
    Value sign = b.integer(i32, 1 << (bits - 1)); // of numbers of so many bits
    return b.sub(b.math<arith::XOrIOp>(q, sign), sign);
  }

  /// Element `at` of the table: numbers, indices, scales and zero points are operands.
  Value element(Body &b, ArrayRef<Value> at) {
    Type f32 = n.b.getF32Type(), i32 = n.b.getI32Type();
    SmallVector<Value> own(at), scale(at);
    scale[axis] = b.math<arith::DivUIOp>(scale[axis], b.idx(block));
    for (auto [d, i] : llvm::enumerate(scale))
      if (isFloat() && n.type(2).dim(d).isConstant(1))
        i = b.idx(0);
    Value s = b.convert(b.read(2, scale), n.element(2), f32);
    if (isFloat())
      return b.mul(b.convert(b.read(0, own), n.element(0), f32), s);
    Value q = number(b, 0, own), zero = zeros ? number(b, 3, scale) : b.integer(i32, middle());
    return b.mul(b.convert(b.sub(q, zero), i32, f32), s);
  }

  /// Whether it is a matrix of constants with blocks along its rows that groups of kt.dequantize divide.
  bool isEmbedding() {
    constexpr int64_t kLeastGroup = 16;
    return !isFloat() && n.rank(0) == 2 && gatherAxis == 0 && axis == 1 && block % kLeastGroup == 0 &&
           constantOf(data) && constantOf(n.in(2)) && (!zeros || constantOf(zeros)) &&
           !constantOf(data).bytes().empty();
  }

  /// A byte for each number of packed ones, of which a row has `count`.
  Value unpacked(Value v, Expr count) {
    if (!packed)
      return v;
    ArrayRef<char> bytes = constantOf(v).bytes();
    int64_t rows = *n.type(v).dim(0).asConstant(), columns = *count.asConstant(), rowBytes = bytes.size() / rows;
    std::vector<char> out(rows * columns);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < columns; ++c) {
        int q = (uint8_t)bytes[row * rowBytes + c / perByte()] >> c % perByte() * bits & ((1 << bits) - 1);
        out[row * columns + c] = (char)(isSigned() && q >> (bits - 1) ? q - (1 << bits) : q);
      }
    auto type = n.tensor({n.type(v).dim(0), count},
                         IntegerType::get(n.context, bits, isSigned() ? IntegerType::Signless : IntegerType::Unsigned));
    StringRef name = constantOf(v).getName().value_or("");
    return n.importer.constant(type, out, name, /*copy=*/true);
  }

  /// Two numbers in a byte along the last dimension.
  Value inBytes(Value v) {
    ArrayRef<char> bytes = constantOf(v).bytes();
    SmallVector<Expr> dims = n.dims(v);
    int64_t columns = *dims.back().asConstant(), width = llvm::divideCeil(columns, perByte());
    int64_t rows = columns ? bytes.size() / columns : 0;
    std::vector<char> out(rows * width, 0);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < columns; ++c)
        out[row * width + c / perByte()] |=
            (char)((bytes[row * columns + c] & ((1 << bits) - 1)) << c % perByte() * bits);
    dims.back() = n.expr(width);
    auto type = n.tensor(dims, IntegerType::get(n.context, 8, IntegerType::Unsigned));
    return n.importer.constant(type, out, constantOf(v).getName().value_or(""), /*copy=*/true);
  }

  /// Exporters reshape weights that they share.
  static ConstantOp constantOf(Value v) {
    while (auto reshape = v.getDefiningOp<ReshapeOp>())
      v = reshape.getSource();
    return v.getDefiningOp<ConstantOp>();
  }

  /// Makes `data` what it stands for; false after an error.
  bool dequantised() {
    Expr groups = n.type(2).dim(1);
    Value zero = zeros ? unpacked(zeros, groups) : Value();
    data = unpacked(data, sizes[1]);
    if (!zero && middle()) {
      SymTensorType type = n.tensor({n.type(2).dim(0), groups}, n.type(data).getElementType());
      zero = n.importer.constant(type, std::vector<char>(*type.numElements().asConstant(), (char)middle()), "",
                                 /*copy=*/true);
    }
    data = dequantize(n, data, n.in(2), zero, n.element(2), {axis, block});
    whole = true;
    return data != nullptr;
  }

  Node &n;
  Value data, zeros;
  SmallVector<Expr> sizes; // of the table, unpacked
  int64_t gatherAxis = 0, axis = 0, block = 0, bits = 0;
  bool packed = false, whole = false; // several numbers in a byte; dequantised
};

LogicalResult gatherBlockQuantized(Node &n) { return n.set(BlockTable(n).rows()); }

} // namespace

void import::registerBlockTables(OpTable &t) {
  t["com.microsoft.GatherBlockQuantized"] =
      Definition{gatherBlockQuantized, 3}.understanding(4, "bits block_size gather_axis quantize_axis");
}
