//===- Blocks.cpp - weights of few bits in kernels ------------------------===//

#include "codegen/Gpu/Product/Blocks.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value Blocks::panelOffset(Value panel, Expr depth) {
  return k.mul(k.ext(panel), k.ext(k.size(BlocksAttr(format).panelBytes(depth))));
}

Value Blocks::firstOf(Value row) {
  WordOrder order = this->order();
  return k.add(k.mul(k.div(row, order.rows()), order.window()), k.mul(k.rem(row, order.rows()), 2 * order.lanes()));
}

Value Blocks::wordOffset(Value inside) {
  WordOrder order = this->order();
  Value row = k.add(k.mul(k.div(inside, order.window()), order.rows()), k.div(k.rem(inside, 8), 2 * order.lanes()));
  return k.add(k.mul(row, kPanel * 4), wordsAt());
}

Value Blocks::shiftOf(Value inside) {
  WordOrder order = this->order();
  Value lane = k.rem(k.shr(inside, 1), order.lanes()), pair = k.shr(k.rem(inside, order.window()), 3);
  pair = k.add(k.mul(lane, order.perLane() / 2), pair);
  return k.add(k.mul(pair, bits()), k.shl(k.and_(inside, 1), 4));
}

Value Blocks::turned(Value at) { return order().rows() == 4 ? k.xor_(at, k.shr(k.and_(at, 128), 2)) : at; }

Value Blocks::ownPart(Value word, Value third) {
  unsigned lanes = order().lanes();
  return lanes > 1 ? k.shr(word, k.mul(k.rem(third, lanes), 16 / lanes)) : word;
}

Values Blocks::scales(Value at, unsigned count) {
  Values all;
  for (Value s : k.loadElements(at, scale(), count))
    all.push_back(k.convert(s, k.f32));
  return all;
}

Values Blocks::zeros(Value at, unsigned count) {
  Values all;
  if (hasZeros())
    for (Value z : k.loadElements(at, k.i8, count))
      all.push_back(arith::ExtUIOp::create(k.b, k.loc, k.i32, z));
  return all;
}

Values Blocks::scalesOf(Value block, Value column, unsigned count) {
  return scales(k.at(block, column, scaleBytes()), count);
}

Values Blocks::zerosOf(Value block, Value column, unsigned count) {
  return zeros(k.gep(k.at(block, column, 1), zerosAt()), count);
}

/// What an exponent of E4M3 lacks, whose bias is 7, where its bits are taken for those of a wider format.
static constexpr double kHalfBias = 1 << (15 - 7), kFloatBias = 0x1p120; // 127 - 7

Value Blocks::single(Value word, Value shift, Value zero) {
  if (BlocksAttr(format).getFp8()) {
    // Also of subnormal ones: below the exponent their bits count units of the same size.
    Value byte = k.shr(word, shift), sign = k.shl(k.and_(byte, 0x80), 24), rest = k.shl(k.and_(byte, 0x7f), 20);
    Value bits = LLVM::BitcastOp::create(k.b, k.loc, k.f32, k.or_(sign, rest));
    return k.mulf(bits, k.cf(kFloatBias));
  }
  Value q = k.and_(k.shr(word, shift), BlocksAttr(format).mask());
  return k.convert(k.sub(q, zero ? zero : k.c(BlocksAttr(format).middle())), k.f32);
}

Value Blocks::splat(double value, Type type) {
  auto pair = cast<ShapedType>(k.vec(2, type));
  return arith::ConstantOp::create(k.b, k.loc, DenseElementsAttr::get(pair, k.b.getFloatAttr(type, value).getValue()));
}

/// The exponent of 1024 in both halves of a register, or of the power of two whose mantissa has bit `low` for ones.
static uint32_t exponentOf(unsigned low) { return (0x6400 - low * 0x400) * 0x10001u; }

/// In halves bits below such an exponent are what they say and the power of two.
Value Blocks::withExcess(Value word, unsigned pair) {
  unsigned low = lowBit(pair);
  if (bits() == 8)
    return k.permute(word, k.c(exponentOf(low)), pair ? 0x5351 : 0x5250);
  uint32_t mask = BlocksAttr(format).mask() << low;
  return k.maskedWith(pair * bits() >= 8 ? k.shr(word, 8) : word, mask | mask << 16, exponentOf(low));
}

Value Blocks::lessExcess(unsigned pair) {
  return asRegister(splat(-(double)(1024 >> lowBit(pair)) - BlocksAttr(format).middle(), k.f16));
}

Value Blocks::halves(Value word, unsigned pair, Value zero) {
  if (BlocksAttr(format).getFp8())
    return halvesOfFp8(word, pair);
  Value v = asPair(withExcess(word, pair), k.f16);
  if (!zero)
    return asRegister(k.addf(v, asPair(lessExcess(pair), k.f16)));
  unsigned low = lowBit(pair);
  Value less = k.or_(k.shl(k.or_(zero, k.shl(zero, 16)), low), k.c(exponentOf(low)));
  return asRegister(k.subf(v, asPair(less, k.f16)));
}

/// The bytes of two numbers as the upper ones of two halves.
Value Blocks::upperBytes(Value word, unsigned pair) { return k.permute(word, k.c(0), pair ? 0x3414 : 0x2404); }

/// A number's bits are the upper ones of a half whose exponent has another bias, also where it is subnormal.
Value Blocks::halvesOfFp8(Value word, unsigned pair) {
  Value upper = upperBytes(word, pair);
  Value bits = k.or_(k.and_(upper, k.c((int32_t)0x80008000)), k.and_(k.shr(upper, 1), 0x3f803f80));
  return asRegister(k.mulf(asPair(bits, k.f16), splat(kHalfBias, k.f16)));
}

/// In bfloats, whose mantissa has seven bits: below the exponent of 128 they are 128 and what they say. Their eighth
/// bit says whether 256 or 128 is too much. All are multiplied and added at once, which older cards can as well.
Value Blocks::bfloats(Value word, unsigned pair, Value zero) {
  constexpr int64_t k128 = 0x43004300;
  auto constant = [&](uint32_t bits) { return k.c((int32_t)bits); };
  Value one = splat(1, k.bf16);
  if (BlocksAttr(format).getFp8()) {
    Value upper = upperBytes(word, pair);
    Value bits = k.or_(k.and_(upper, constant(0x80008000)), k.and_(k.shr(upper, 4), constant(0x07f007f0)));
    return asRegister(k.fma(asPair(bits, k.bf16), splat(kFloatBias, k.bf16), splat(-0.0, k.bf16)));
  }
  if (bits() == 8) {
    auto centred = [&](Value bytes) { // less 128
      Value rest = k.maskedWith(bytes, 0x007f007f, k128);
      Value less = k.xor_(k.and_(bytes, constant(0x00800080)), constant(0xc380c380)); // -256, or -128
      return k.fma(asPair(rest, k.bf16), one, asPair(less, k.bf16));
    };
    Value v = centred(pair ? k.shr(word, 8) : word);
    if (zero)
      v = k.fma(centred(k.or_(zero, k.shl(zero, 16))), splat(-1, k.bf16), v);
    return asRegister(v);
  }
  unsigned first = pair * bits(), mask = BlocksAttr(format).mask();
  Value raw = k.maskedWith(first ? k.shr(word, first) : word, mask | mask << 16, k128);
  Value less = zero ? asPair(k.or_(k.or_(zero, k.shl(zero, 16)), constant(0xc300c300)), k.bf16)
                    : splat(-128.0 - BlocksAttr(format).middle(), k.bf16);
  return asRegister(k.fma(asPair(raw, k.bf16), one, less));
}

Value Blocks::pair(Value word, unsigned pair, Value zero, Type type) {
  return type == k.f16 ? halves(word, pair, zero) : bfloats(word, pair, zero);
}

Value Blocks::scaledPair(Value word, unsigned pair, Value zero, Value scale, Type type) {
  Value numbers = asPair(this->pair(word, pair, zero, type), type),
        v = LLVM::UndefOp::create(k.b, k.loc, k.vec(2, type));
  if (this->scale() == type) { // what the scale's digits and the number's make is rounded once
    Value factor = k.convert(scale, type);
    for (unsigned e = 0; e < 2; ++e)
      v = LLVM::InsertElementOp::create(k.b, k.loc, v, factor, k.c(e));
    return asRegister(type == k.f16 ? k.mulf(numbers, v) : k.fma(numbers, v, splat(-0.0, type)));
  }
  for (unsigned e = 0; e < 2; ++e) {
    Value number = k.convert(LLVM::ExtractElementOp::create(k.b, k.loc, numbers, k.c(e)), k.f32);
    v = LLVM::InsertElementOp::create(k.b, k.loc, v, k.convert(k.mulf(number, scale), type), k.c(e));
  }
  return asRegister(v);
}
