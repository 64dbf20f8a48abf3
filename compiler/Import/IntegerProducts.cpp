//===- IntegerProducts.cpp - products of quantised tensors, exactly -------===//
//
// Kernels multiply integers of 8 bits as they are. What zero points take is added up apart: sums of the other side's
// columns and rows times them, of which those of weights are constants. Weights that have one, and are 8 bits wide
// without it as well, are stored without it, which leaves no rows to add up.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

bool isZero(Node &n, Value v) {
  if (!v)
    return true;
  auto bytes = n.bytes(v);
  return bytes && llvm::all_of(*bytes, [](char c) { return c == 0; });
}

template <typename T> SmallVector<int64_t> numbersOf(ArrayRef<char> bytes) {
  ArrayRef<T> all(reinterpret_cast<const T *>(bytes.data()), bytes.size());
  return SmallVector<int64_t>(all.begin(), all.end());
}

/// Constant weights less their zero points, one or one for each index along `axis`, where these are 8 bits wide: all
/// that are symmetric and stored with an offset, and most others.
Value centred(Node &n, Value weights, Value zero, int64_t axis) {
  auto bytes = n.bytes(weights), zeroBytes = n.bytes(zero);
  SymTensorType type = n.type(weights);
  Type element = type.getElementType();
  if (!bytes || !zeroBytes || !element.isInteger(8) || n.type(zero).getElementType() != element)
    return {};
  SmallVector<int64_t> zeros =
      element.isUnsignedInteger() ? numbersOf<uint8_t>(*zeroBytes) : numbersOf<int8_t>(*zeroBytes);
  int64_t size = *type.dim(axis).asConstant(), inner = 1;
  if (zeros.size() != 1 && (n.type(zero).getRank() != 1 || (int64_t)zeros.size() != size))
    return {};
  for (int64_t d = axis + 1; d < type.getRank(); ++d)
    inner *= *type.dim(d).asConstant();
  int64_t least = 0, most = 0;
  auto each = [&](llvm::function_ref<void(size_t, int64_t)> take) {
    for (size_t i = 0; i < bytes->size(); ++i) {
      int64_t w = element.isUnsignedInteger() ? (int64_t)(uint8_t)(*bytes)[i] : (int64_t)(int8_t)(*bytes)[i];
      take(i, w - zeros[zeros.size() == 1 ? 0 : i / inner % size]);
    }
  };
  each([&](size_t, int64_t w) { least = std::min(least, w), most = std::max(most, w); });
  bool asSigned = least >= INT8_MIN && most <= INT8_MAX;
  if (!asSigned && (least < 0 || most > UINT8_MAX))
    return {};
  std::vector<char> out(bytes->size());
  each([&](size_t i, int64_t w) { out[i] = (char)w; });
  Type narrow = IntegerType::get(n.context, 8, asSigned ? IntegerType::Signless : IntegerType::Unsigned);
  StringRef name = weights.getDefiningOp<ConstantOp>().getName().value_or("");
  return n.importer.constant(n.tensor(n.dims(weights), narrow), out, name, /*copy=*/true);
}

/// Whether a convolution of 8-bit integers, in one group, is worth keeping so: a second one, with one output, is a part
/// of what wider weights take.
bool convolvesBytes(Node &n, Value x, Value w) {
  bool bytes = n.type(x).getElementType().isInteger(8) && n.type(w).getElementType().isInteger(8);
  bool known = n.type(w).hasStaticShape() && n.type(w).getRank() > 2;
  return bytes && known && n.attrInt("group", 1) == 1 &&
         *n.type(w).dim(1).asConstant() % n.importer.options.integerChunk == 0;
}

/// Weights with one output that is the sum of what `w` reads.
Value onesLike(Node &n, Value w) {
  SmallVector<Expr> dims = n.dims(w);
  dims[0] = n.expr(1);
  SymTensorType type = n.tensor(dims, n.b.getI8Type());
  return n.importer.constant(type, std::vector<char>(*type.numElements().asConstant(), 1), "", /*copy=*/true);
}

} // namespace

Value import::alongRows(Node &n, Value zero, bool lhs) {
  if (n.type(zero).getRank() != 1 || n.type(zero).dim(0).isConstant(1))
    return n.type(zero).getRank() == 1 ? n.reshape(zero, {}) : zero;
  return lhs ? n.reshape(zero, {n.type(zero).dim(0), n.expr(1)}) : zero;
}

Value import::integerProduct(Node &n, Value lhs, Value lhsZero, Value rhs, Value rhsZero, bool transposeRhs) {
  Type i32 = n.b.getI32Type();
  bool vectors = n.type(lhs).getRank() < 2 || n.type(rhs).getRank() < 2;
  lhsZero = isZero(n, lhsZero) ? Value() : lhsZero;
  rhsZero = isZero(n, rhsZero) ? Value() : rhsZero;
  if (rhsZero && !vectors)
    if (Value weights = centred(n, rhs, rhsZero, transposeRhs ? 0 : n.type(rhs).getRank() - 1))
      rhs = weights, rhsZero = {};
  if (transposeRhs)
    rhs = n.transpose(rhs, {1, 0});
  if (!rhs)
    return {};
  Value product = matmulLike(n, lhs, rhs, false, false, i32);
  if (!product)
    return {};
  if (!lhsZero && !rhsZero)
    return product;
  if (vectors) { // seldom: subtract first
    auto centred = [&](Value v, Value zero) {
      return zero ? n.map(i32, {n.cast(v, i32), n.cast(zero, i32)},
                          [](Body &b, ArrayRef<Value> x) { return b.sub(x[0], x[1]); })
                  : n.cast(v, i32);
    };
    lhs = centred(lhs, lhsZero);
    rhs = centred(rhs, rhsZero);
    return lhs && rhs ? matmulLike(n, lhs, rhs, false, false, i32) : Value();
  }
  auto sum = [&](Value v, int64_t axis) {
    Type from = n.type(v).getElementType();
    return reduceOver(
        n, v, {axis}, true, ReduceKind::add, i32, [&](Body &b, Value x) { return b.convert(x, from, i32); },
        [](Body &, Value x, Expr) { return x; });
  };
  SmallVector<Value> in{product};
  if (lhsZero) {
    in.push_back(alongRows(n, lhsZero, true));
    in.push_back(sum(rhs, n.type(rhs).getRank() - 2)); // a column's sum
  }
  if (rhsZero) {
    in.push_back(alongRows(n, rhsZero, false));
    in.push_back(sum(lhs, n.type(lhs).getRank() - 1)); // a row's sum
  }
  Expr depth = n.dims(lhs).back();
  return n.generic(n.type(product), in, [&](Body &b) {
    auto operand = [&](unsigned i) { return b.convert(b.readBroadcast(i), n.type(in[i]).getElementType(), i32); };
    Value v = b.read(0, b.indices());
    unsigned next = 1;
    Value za;
    if (lhsZero) {
      za = operand(next++);
      v = b.sub(v, b.mul(za, operand(next++)));
    }
    if (rhsZero) {
      Value zb = operand(next++);
      v = b.sub(v, b.mul(zb, operand(next++)));
      if (za)
        v = b.add(v, b.mul(b.fromIndex(b.size(depth), i32), b.mul(za, zb)));
    }
    return v;
  });
}

Value import::integerConv(Node &n, Value x, Value xZero, Value w, Value wZero) {
  Type i32 = n.b.getI32Type(), i16 = n.b.getI16Type();
  auto fits = [&](Value zero, Expr each, StringRef what) {
    if (!zero || n.type(zero).numElements().isConstant(1))
      return true;
    if (each && n.type(zero).getRank() == 1)
      return succeeded(n.require(each, n.type(zero).dim(0), what));
    (void)n.error("expected one element" + Twine(each ? " or one an output channel" : "") + " for " + what);
    return false;
  };
  if (n.type(w).getRank() == 0) {
    (void)n.error("expected weights but got a scalar");
    return {};
  }
  if (!fits(wZero, n.type(w).dim(0), "zero points of the weights") || !fits(xZero, {}, "the zero point of the input"))
    return {};
  bool takenOff = false; // the weights' zero point, from sums of the input at each position
  if (Value weights = isZero(n, wZero) ? w : centred(n, w, wZero, 0)) {
    w = weights;
  } else if (convolvesBytes(n, x, w)) {
    takenOff = true;
  } else {
    Value zero = n.type(wZero).getRank() == 1 ? wZero : n.reshape(wZero, {n.expr(1)});
    Type wide = n.type(w).getElementType(), zeroType = n.type(wZero).getElementType();
    bool one = n.type(zero).dim(0).isConstant(1);
    w = n.generic(n.tensor(n.dims(w), i16), {w, zero}, [&](Body &b) {
      return b.sub(b.convert(b.read(0, b.indices()), wide, i16),
                   b.convert(b.read(1, one ? b.idx(0) : b.index(0)), zeroType, i16));
    });
  }
  bool shifted = !isZero(n, xZero);
  Value padding = shifted ? xZero : Value(), y = convOf(n, x, w, {}, i32, padding);
  if (!y || !(shifted || takenOff))
    return y;
  SmallVector<Value> in{y};
  if (shifted) {
    SmallVector<int64_t> taps;
    for (int64_t i = 1; i < n.type(w).getRank(); ++i)
      taps.push_back(i);
    Type element = n.type(w).getElementType();
    in.push_back(reduceOver(
        n, w, taps, false, ReduceKind::add, i32, [&](Body &b, Value v) { return b.convert(v, element, i32); },
        [](Body &, Value v, Expr) { return v; }));
    in.push_back(xZero);
  }
  if (takenOff) {
    Value sums = convOf(n, x, onesLike(n, w), {}, i32, padding);
    if (!sums)
      return {};
    in.push_back(sums);
    in.push_back(wZero);
  }
  return n.generic(n.type(y), in, [&](Body &b) {
    unsigned next = 1;
    auto zeroOf = [&](unsigned i, bool each) {
      SmallVector<Value> at(n.type(in[i]).getRank(), b.idx(0));
      if (each)
        at[0] = b.index(1);
      return b.convert(b.read(i, at), n.type(in[i]).getElementType(), i32);
    };
    Value v = b.read(0, b.indices()), xz;
    if (shifted) {
      xz = zeroOf(next + 1, false);
      v = b.sub(v, b.mul(xz, b.read(next, b.index(1))));
      next += 2;
    }
    if (takenOff) {
      SmallVector<Value> position(b.indices());
      position[1] = b.idx(0);
      Value wz = zeroOf(next + 1, !n.type(wZero).numElements().isConstant(1));
      v = b.sub(v, b.mul(wz, b.read(next, position)));
      SmallVector<Expr> dims = n.dims(w);
      Expr depth = n.expr(1);
      for (Expr e : ArrayRef(dims).drop_front())
        depth = depth * e;
      if (shifted)
        v = b.add(v, b.mul(b.fromIndex(b.size(depth), i32), b.mul(xz, wz)));
    }
    return v;
  });
}

//===----------------------------------------------------------------------===//
// Products of what was dequantised
//===----------------------------------------------------------------------===//

namespace {

/// What DequantizeLinear made of integers of 8 bits: (x - zero) * scale in single precision, with one scale or one for
/// each index along `axis`.
struct Dequantised {
  Value x, scale, zero;
  std::optional<int64_t> axis;
};

/// The number of the operand that `v` is an element of, behind what widens it; -1 where it is no such element.
int64_t operandOf(Value v, ReadOp &read) {
  if (Operation *widen = v.getDefiningOp(); isa_and_nonnull<arith::ExtSIOp, arith::ExtUIOp>(widen))
    v = widen->getOperand(0);
  read = v.getDefiningOp<ReadOp>();
  return read && !read.getOtherwise() ? (int64_t)cast<BlockArgument>(read.getTensor()).getArgNumber() : -1;
}

/// What `dequantize` has built; any other computation is none.
std::optional<Dequantised> dequantisedOf(Node &n, Value v) {
  auto op = v.getDefiningOp<GenericOp>();
  if (!op || op.getInputs().size() < 2 || op.getInputs().size() > 3 || !n.type(v).getElementType().isF32() ||
      !n.type(op.getInputs()[0]).getElementType().isInteger(8))
    return std::nullopt;
  Block &body = op.getBody().front();
  auto scaled = body.getTerminator()->getOperand(0).getDefiningOp<arith::MulFOp>();
  auto asFloat = scaled ? scaled.getLhs().getDefiningOp<arith::SIToFPOp>() : arith::SIToFPOp();
  ReadOp scale, x, zero;
  if (!asFloat || operandOf(scaled.getRhs(), scale) != 1)
    return std::nullopt;
  Value number = asFloat.getIn();
  auto less = number.getDefiningOp<arith::SubIOp>();
  if (less ? operandOf(less.getLhs(), x) != 0 || operandOf(less.getRhs(), zero) != 2 : operandOf(number, x) != 0)
    return std::nullopt;
  unsigned first = op.getInputs().size();
  if (!llvm::equal(x.getIndices(), body.getArguments().drop_front(first), [](Value a, Value b) { return a == b; }))
    return std::nullopt;
  Dequantised d{op.getInputs()[0], op.getInputs()[1], less ? op.getInputs()[2] : Value(), std::nullopt};
  for (ReadOp read : {scale, zero}) {
    if (!read || llvm::all_of(read.getIndices(), [](Value i) { return isConstantIntValue(i, 0); }))
      continue;
    auto index = dyn_cast<BlockArgument>(read.getIndices()[0]);
    if (read.getIndices().size() != 1 || !index || (d.axis && *d.axis != (int64_t)index.getArgNumber() - first))
      return std::nullopt;
    d.axis = index.getArgNumber() - first;
  }
  return d;
}

/// As many products of two differences of 8-bit integers have a sum of 31 bits.
constexpr int64_t kMostDepth = INT32_MAX / (255 * 255);

/// Channels that there are to be, at most, for one that there is.
constexpr int64_t kMostPadding = 6;

/// Both sides of a product, if these are integers with one scale on the left and constants on the right with one or
/// with one for each output, which are along `outputs`.
std::optional<std::pair<Dequantised, Dequantised>> dequantisedSides(Node &n, Value lhs, Value rhs, int64_t outputs) {
  std::optional<Dequantised> a = dequantisedOf(n, lhs), b = dequantisedOf(n, rhs);
  if (!a || !b || a->axis || (b->axis && *b->axis != outputs) || !n.bytes(b->x))
    return std::nullopt;
  return std::pair(*a, *b);
}

} // namespace

std::optional<Value> import::dequantisedProduct(Node &n, Value lhs, Value rhs, bool transposeRhs) {
  if (n.type(lhs).getRank() < 2 || n.type(rhs).getRank() != 2)
    return std::nullopt;
  auto sides = dequantisedSides(n, lhs, rhs, transposeRhs ? 0 : 1);
  std::optional<int64_t> depth = n.type(rhs).dim(transposeRhs ? 1 : 0).asConstant();
  if (!sides || !depth || *depth % n.importer.options.integerChunk != 0 || *depth > kMostDepth)
    return std::nullopt;
  auto [a, b] = *sides;
  Value sum = integerProduct(n, a.x, a.zero, b.x, b.zero, transposeRhs);
  if (!sum)
    return Value();
  Type f32 = n.b.getF32Type(), i32 = n.b.getI32Type();
  SmallVector<Value> in{sum, a.scale, alongRows(n, b.scale, false)};
  return n.generic(n.tensor(n.dims(sum), f32), in, [&](Body &body) {
    Value one = body.read(1, SmallVector<Value>(body.type(1).getRank(), body.idx(0)));
    return body.mul(body.convert(body.read(0, body.indices()), i32, f32), body.mul(one, body.readBroadcast(2)));
  });
}

std::optional<Value> import::dequantisedConv(Node &n, Value x, Value w, Value bias) {
  // What is wrong with the bias is said where there are no integers.
  if (n.type(w).getRank() < 3 || (bias && n.dims(bias) != ArrayRef<Expr>{n.type(w).dim(0)}))
    return std::nullopt;
  auto sides = dequantisedSides(n, x, w, 0);
  if (!sides)
    return std::nullopt;
  int64_t channels = *n.type(w).dim(1).asConstant(), depth = channels;
  for (int64_t d = 2; d < n.type(w).getRank(); ++d)
    depth *= *n.type(w).dim(d).asConstant();
  if (depth > kMostDepth)
    return std::nullopt;
  auto [a, b] = *sides;
  if (int64_t chunk = n.importer.options.integerChunk; channels % chunk != 0) {
    // Others are filled up (fillChannels): an image's three, say.
    if ((int64_t)llvm::alignTo(channels, chunk) > kMostPadding * channels || !isZero(n, b.zero) ||
        n.attrInt("group", 1) != 1)
      return std::nullopt;
  }
  Value sum = integerConv(n, a.x, a.zero, b.x, b.zero);
  if (!sum)
    return Value();
  Type f32 = n.b.getF32Type(), i32 = n.b.getI32Type();
  SmallVector<Value> in{sum, a.scale, b.scale};
  if (bias)
    in.push_back(bias);
  return n.generic(n.tensor(n.dims(sum), f32), in, [&](Body &body) {
    auto one = [&](unsigned i) { return body.read(i, SmallVector<Value>(body.type(i).getRank(), body.idx(0))); };
    Value scale = body.mul(one(1), b.axis ? body.read(2, body.index(1)) : one(2));
    Value y = body.mul(body.convert(body.read(0, body.indices()), i32, f32), scale);
    return bias ? body.add(y, body.read(3, body.index(1))) : y;
  });
}
