//===- NBits.cpp - products with weights of few bits ----------------------===//
//
// What such weights stand for is told by kt.dequantize, from which products get blocks. Weights that are no constants,
// and forms that blocks have not, are computed like any other tensor.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

/// com.microsoft MatMulNBits: a [.., k], b ui8 [n, blocks, bytes] of packed numbers, scales [n * blocks], zero points
/// (packed, or of the scales' type), -, bias.
class NBits {
public:
  NBits(Node &n, int64_t columns, int64_t depth, int64_t bits, int64_t group)
      : n(n), columns(columns), depth(depth), bits(bits), group(group), groups(llvm::divideCeil(depth, group)),
        packedZeros(n.has(3) && n.element(3).isInteger(8)) {}

  /// [n, k] in the type of a; null after an error.
  Value weights() {
    Value numbers = n.reshape(n.in(1), {n.expr(columns), n.expr(groups), n.expr(group * bits / 8)}),
          scales = n.reshape(n.in(2), {n.expr(columns), n.expr(groups)});
    int64_t zerosARow = packedZeros ? llvm::divideCeil(groups, perByte()) : groups;
    Value zeros = n.has(3) ? n.reshape(n.in(3), {n.expr(columns), n.expr(zerosARow)}) : Value();
    if (!numbers || !scales || (n.has(3) && !zeros))
      return {};
    if (!staysQuantized())
      return computed(numbers, scales, zeros);
    if (zeros)
      zeros = unpackedZeros();
    return DequantizeOp::create(n.b, n.loc, n.tensor({n.expr(columns), n.expr(depth)}, n.element(0)), numbers, scales,
                                zeros, bits, group);
  }

private:
  int64_t perByte() const { return 8 / bits; }

  /// Weights of a model in a form that products take.
  bool staysQuantized() {
    bool constant = n.bytes(n.in(1)) && n.bytes(n.in(2)) && (!n.has(3) || n.bytes(n.in(3)));
    auto isFloat = [&](Type type) { return type.isF16() || type.isBF16() || type.isF32(); };
    return constant && (!n.has(3) || packedZeros) && llvm::isPowerOf2_64(group) && group >= 16 && group <= 256 &&
           isFloat(n.element(0)) && isFloat(n.element(2));
  }

  /// A byte each.
  Value unpackedZeros() {
    ArrayRef<char> packed = *n.bytes(n.in(3));
    int64_t rowBytes = llvm::divideCeil(groups, perByte());
    std::vector<char> zeros(columns * groups);
    for (int64_t row = 0; row < columns; ++row)
      for (int64_t g = 0; g < groups; ++g)
        zeros[row * groups + g] =
            ((uint8_t)packed[row * rowBytes + g / perByte()] >> g % perByte() * bits) & ((1 << bits) - 1);
    auto type = n.tensor({n.expr(columns), n.expr(groups)}, n.element(3));
    return n.importer.constant(type, zeros, "", /*copy=*/true);
  }

  Value computed(Value numbers, Value scales, Value zeros) {
    SmallVector<Value> in{numbers, scales};
    if (zeros)
      in.push_back(zeros);
    Type element = n.element(0), i32 = n.b.getI32Type(), f32 = n.b.getF32Type(),
         u8 = IntegerType::get(n.context, 8, IntegerType::Unsigned);
    return n.generic(n.tensor({n.expr(columns), n.expr(depth)}, element), in, [&](Body &b) {
      auto number = [&](unsigned operand, ArrayRef<Value> at, Value which) { // the bits of one number in a byte
        Value byte = b.convert(b.read(operand, at), u8, i32);
        if (bits == 8)
          return byte;
        Value shift = b.fromIndex(b.mul(b.math<arith::RemUIOp>(which, b.idx(perByte())), b.idx(bits)), i32);
        return b.math<arith::AndIOp>(b.math<arith::ShRUIOp>(byte, shift), b.integer(i32, (1 << bits) - 1));
      };
      Value row = b.index(0), k = b.index(1);
      Value at = b.math<arith::DivUIOp>(k, b.idx(group)), inside = b.math<arith::RemUIOp>(k, b.idx(group));
      Value q = number(0, {row, at, b.math<arith::DivUIOp>(inside, b.idx(perByte()))}, inside);
      if (!zeros)
        q = b.convert(b.sub(q, b.integer(i32, 1 << (bits - 1))), i32, f32);
      else if (packedZeros)
        q = b.convert(b.sub(q, number(2, {row, b.math<arith::DivUIOp>(at, b.idx(perByte()))}, at)), i32, f32);
      else
        q = b.sub(b.convert(q, i32, f32), b.convert(b.read(2, {row, at}), n.element(3), f32));
      return b.convert(b.mul(q, b.convert(b.read(1, {row, at}), n.element(2), f32)), f32, element);
    });
  }

  Node &n;
  int64_t columns, depth, bits, group, groups;
  bool packedZeros;
};

LogicalResult matMulNBits(Node &n) {
  int64_t depth = n.attrInt("K", 0), columns = n.attrInt("N", 0), bits = n.attrInt("bits", 4),
          group = n.attrInt("block_size", 0);
  if (depth < 1 || columns < 1 || group < 1 || !(bits == 2 || bits == 4 || bits == 8))
    return n.error("unsupported MatMulNBits: expected K, N and block_size, and 2, 4 or 8 bits but got " + Twine(bits));
  if (n.has(4) && !n.type(4).numElements().isConstant(0))
    return n.error("unsupported MatMulNBits with g_idx");
  Value w = NBits(n, columns, depth, bits, group).weights();
  Value y = w ? matmulLike(n, n.in(0), w, false, true) : Value();
  if (y && n.has(5))
    y = n.map(n.element(0), {y, n.in(5)}, [](Body &b, ArrayRef<Value> v) { return b.add(v[0], v[1]); });
  return n.set(y);
}

} // namespace

void import::registerNBits(OpTable &t) {
  t["com.microsoft.MatMulNBits"] =
      Definition{matMulNBits, 3}.understanding(6, "K N accuracy_level bits block_size weight_prepacked=0");
}
