//===- TiedWeights.cpp - tables whose rows are a product's columns --------===//

#include "passes/Precision/TiedWeights.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include <atomic>

using namespace mlir;
using namespace kt;

constexpr static int64_t kLeastBytes = 1 << 20;

bool kt::areTied(ConstantOp table, ConstantOp panels) {
  SymTensorType type = table.getResult().getType(), packed = panels.getResult().getType();
  if (type.getRank() != 2 || (int64_t)table.contents().size() < kLeastBytes || packed.getRank() != 3 ||
      type.getElementType() != packed.getElementType())
    return false;
  int64_t rows = *type.dim(0).asConstant(), columns = *type.dim(1).asConstant(), width = type.elementBytes();
  int64_t count = llvm::divideCeil(rows, kPanel);
  if (!packed.dim(0).isConstant(count) || !packed.dim(1).isConstant(columns) || !packed.dim(2).isConstant(kPanel))
    return false;
  ConstantBytes t = table.contents(), p = panels.contents();
  std::atomic<bool> same = true;
  parallelFor(table.getContext(), 0, count, [&](size_t panel) {
    if (!same.load(std::memory_order_relaxed))
      return;
    int64_t first = panel * kPanel, own = std::min(kPanel, rows - first);
    SmallVector<char, 0> rowScratch, panelScratch;
    const char *all = t.read(first * columns * width, own * columns * width, rowScratch).data();
    const char *there = p.read(panel * columns * kPanel * width, columns * kPanel * width, panelScratch).data();
    for (int64_t r = 0; r < own && same.load(std::memory_order_relaxed); ++r) {
      const char *row = all + r * columns * width, *column = there + r * width;
      for (int64_t c = 0; c < columns; ++c, row += width, column += kPanel * width)
        if (memcmp(row, column, width) != 0) {
          same = false;
          break;
        }
    }
  });
  return same;
}

bool kt::areTied(DequantizeOp table, DequantizeOp product) {
  SymTensorType rows = table.getResult().getType(), columns = product.getResult().getType();
  auto bytesOf = [](Value v) -> ArrayRef<char> {
    auto constant = v ? throughReshapes(v).getDefiningOp<ConstantOp>() : ConstantOp();
    return constant ? constant.bytes() : ArrayRef<char>();
  };
  ArrayRef<char> numbers = bytesOf(table.getNumbers());
  return table.blocks() == product.blocks() && rows.getDims() == columns.getDims() &&
         (int64_t)numbers.size() >= kLeastBytes && numbers == bytesOf(product.getNumbers()) &&
         bytesOf(table.getScales()) == bytesOf(product.getScales()) &&
         bytesOf(table.getZeros()) == bytesOf(product.getZeros());
}

namespace {

/// Arithmetic on indices and integers.
struct Numbers {
  OpBuilder &b;
  Location loc;

  Value number(Type type, int64_t v) const { return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, v)); }
  Value div(Value v, int64_t by) const { return arith::DivUIOp::create(b, loc, v, number(v.getType(), by)); }
  Value rem(Value v, int64_t by) const { return arith::RemUIOp::create(b, loc, v, number(v.getType(), by)); }
  Value mul(Value v, int64_t by) const { return arith::MulIOp::create(b, loc, v, number(v.getType(), by)); }
  Value add(Value v, int64_t to) const { return arith::AddIOp::create(b, loc, v, number(v.getType(), to)); }
  Value add(Value v, Value to) const { return arith::AddIOp::create(b, loc, v, to); }
  Value widen(Value v, Type type) const { return arith::ExtUIOp::create(b, loc, type, v); }

  /// What the number of `byte` whose bits begin at `bit` of its column's stands for; without `zero` the middle is 0.
  Value integerIn(Value byte, Value bit, BlocksAttr blocks, Value zero, Value scale) const {
    Type i32 = b.getI32Type(), f32 = b.getF32Type();
    if (blocks.getBits() < 8) {
      Value shift = arith::IndexCastOp::create(b, loc, i32, rem(bit, 8));
      byte = arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, byte, shift), number(i32, blocks.mask()));
    }
    Value q = arith::SubIOp::create(b, loc, byte, zero ? zero : number(i32, blocks.middle()));
    return arith::MulFOp::create(b, loc, arith::SIToFPOp::create(b, loc, f32, q), scale);
  }
};

} // namespace

Value kt::readBlocks(OpBuilder &b, Location loc, BlocksAttr blocks, Value weights, Value row, Value column) {
  Numbers k{b, loc};
  Type i32 = b.getI32Type(), f32 = b.getF32Type(), scaleType = blocks.getScale();
  Value panel = k.div(row, kPanel), own = k.rem(row, kPanel);
  Value group = k.div(column, blocks.getGroup()), inside = k.rem(column, blocks.getGroup());
  auto byteAt = [&](Value byte) -> Value {
    Value at[] = {panel, group, byte};
    return ReadOp::create(b, loc, weights, at);
  };
  // The scale's bytes, the lowest first.
  int64_t width = scaleType.getIntOrFloatBitWidth() / 8;
  Type integer = b.getIntegerType(8 * width);
  Value bits;
  for (int64_t i = 0; i < width; ++i) {
    Value byte = k.widen(byteAt(k.add(k.mul(own, width), i)), integer);
    if (i)
      byte = arith::ShLIOp::create(b, loc, byte, k.number(integer, 8 * i));
    bits = bits ? arith::OrIOp::create(b, loc, bits, byte) : byte;
  }
  Value scale = arith::BitcastOp::create(b, loc, scaleType, bits);
  if (scaleType != f32)
    scale = arith::ExtFOp::create(b, loc, f32, scale);
  // Pair i of a word is the bits from i * bits on and those 16 further: two bytes.
  WordOrder order = blocks.order();
  Value lane = k.div(k.rem(inside, 8), 2);
  Value word = k.add(k.mul(k.div(inside, order.window()), order.rows()), k.div(lane, order.lanes()));
  Value pair = k.add(k.mul(k.rem(lane, order.lanes()), order.perLane() / 2), k.div(k.rem(inside, order.window()), 8));
  Value low = k.mul(pair, blocks.getBits());
  Value byte = k.add(k.mul(k.add(k.mul(word, kPanel), own), 4), blocks.wordsAt());
  byte = k.add(byte, k.add(k.mul(k.rem(inside, 2), 2), k.div(low, 8)));
  Value q = k.widen(byteAt(byte), i32);
  if (blocks.getFp8()) {
    // As the upper bits of single precision, whose exponent has another bias.
    auto part = [&](int64_t mask, int64_t shift) -> Value {
      return arith::ShLIOp::create(b, loc, arith::AndIOp::create(b, loc, q, k.number(i32, mask)), k.number(i32, shift));
    };
    Value upper = arith::OrIOp::create(b, loc, part(0x80, 24), part(0x7f, 20));
    Value v = arith::BitcastOp::create(b, loc, f32, upper);
    v = arith::MulFOp::create(b, loc, v, arith::ConstantOp::create(b, loc, b.getF32FloatAttr(0x1p120f)));
    return arith::MulFOp::create(b, loc, v, scale);
  }
  Value zero = blocks.getZeros() ? k.widen(byteAt(k.add(own, blocks.zerosAt())), i32) : Value();
  return k.integerIn(q, low, blocks, zero, scale);
}

Value kt::readRows(OpBuilder &b, Location loc, BlocksAttr blocks, Value numbers, Value scales, Value zeros, Value row,
                   Value column) {
  Numbers k{b, loc};
  Type i32 = b.getI32Type(), f32 = b.getF32Type();
  Value group = k.div(column, blocks.getGroup()), inside = k.rem(column, blocks.getGroup());
  auto readAt = [&](Value tensor, std::initializer_list<Value> at) -> Value {
    return ReadOp::create(b, loc, tensor, llvm::to_vector(at));
  };
  Value bit = k.mul(inside, blocks.getBits());
  Value q = k.widen(readAt(numbers, {row, group, k.div(bit, 8)}), i32);
  Value zero = zeros ? k.widen(readAt(zeros, {row, group}), i32) : Value();
  Value scale = readAt(scales, {row, group});
  if (scale.getType() != f32)
    scale = arith::ExtFOp::create(b, loc, f32, scale);
  return k.integerIn(q, bit, blocks, zero, scale);
}
