//===- Random.cpp - tensors of random numbers -----------------------------===//
//
// A number is a hash of its position and the node's seed, so it needs no state, is the same on every target and in
// every run. Nodes without a seed take one from their names: two of them draw different numbers.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/xxhash.h"
#include <numbers>

using namespace mlir;
using namespace kt;
using namespace kt::import;
using Cmp = Body::Cmp;

namespace {

uint32_t seedOf(Node &n) {
  if (n.attr("seed"))
    return llvm::bit_cast<uint32_t>((float)n.attrFloat("seed", 0));
  return (uint32_t)llvm::xxh3_64bits(n.proto.name() + "\n" + (n.numOutputs() ? n.proto.output(0) : ""));
}

/// Murmur3's finaliser: every bit of the result depends on every bit of `x`.
Value mix(Body &b, Value x) {
  Type i32 = x.getType();
  auto fold = [&](Value v, int64_t bits) {
    return b.math<arith::XOrIOp>(v, b.math<arith::ShRUIOp>(v, b.integer(i32, bits)));
  };
  x = b.mul(fold(x, 16), b.integer(i32, (int32_t)0x85ebca6b));
  x = b.mul(fold(x, 13), b.integer(i32, (int32_t)0xc2b2ae35));
  return fold(x, 16);
}

/// A number in [0, 1), in f32, for the body's element; streams are independent of each other.
Value uniform(Body &b, uint32_t seed, uint32_t stream) {
  Type i32 = b.b.getI32Type(), f32 = b.b.getF32Type();
  Value h = mix(b, b.integer(i32, (int32_t)(seed + 0x9e3779b9u * (stream + 1))));
  for (Value i : b.indices())
    h = mix(b, b.add(b.mul(h, b.integer(i32, 31)), b.add(b.fromIndex(i, i32), b.integer(i32, 1))));
  Value top = b.math<arith::ShRUIOp>(h, b.integer(i32, 8)); // as many bits as a float keeps
  return b.mul(b.convert(top, i32, f32), b.constant(f32, 0x1p-24));
}

/// By Box and Muller, with mean 0 and deviation 1.
Value normal(Body &b, uint32_t seed) {
  Type f32 = b.b.getF32Type();
  Value u = b.sub(b.constant(f32, 1), uniform(b, seed, 0)), angle = uniform(b, seed, 1);
  Value radius = b.math<math::SqrtOp>(b.mul(b.constant(f32, -2), b.math<math::LogOp>(u)));
  return b.mul(radius, b.math<math::CosOp>(b.mul(b.constant(f32, 2 * std::numbers::pi), angle)));
}

/// The type that the dtype attribute names, or `otherwise`; null after an error.
Type elementOf(Node &n, Type otherwise) {
  Type type = n.attr("dtype") ? elementType(n.context, n.attrInt("dtype", 0)) : otherwise;
  if (type)
    return type;
  (void)n.error("unsupported dtype " + Twine(n.attrInt("dtype", 0)));
  return {};
}

template <bool isNormal> LogicalResult fill(Node &n, ArrayRef<Expr> dims, Type type) {
  if (!type)
    return failure();
  if (!isa<FloatType>(type))
    return n.error("expected a float type for random numbers");
  uint32_t seed = seedOf(n);
  double base = isNormal ? n.attrFloat("mean", 0) : n.attrFloat("low", 0);
  double span = isNormal ? n.attrFloat("scale", 1) : n.attrFloat("high", 1) - base;
  return n.set(n.generic(n.tensor(dims, type), {}, [&](Body &b) {
    Type f32 = b.b.getF32Type();
    Value v = isNormal ? normal(b, seed) : uniform(b, seed, 0);
    return b.convert(b.add(b.mul(v, b.constant(f32, span)), b.constant(f32, base)), f32, type);
  }));
}

template <bool isNormal> LogicalResult ofShape(Node &n) {
  auto shape = n.attrInts("shape");
  if (!shape)
    return n.error("expected a shape");
  SmallVector<Expr> dims;
  for (int64_t d : *shape)
    dims.push_back(n.expr(d));
  return fill<isNormal>(n, dims, elementOf(n, n.b.getF32Type()));
}

template <bool isNormal> LogicalResult like(Node &n) {
  return fill<isNormal>(n, n.dims(n.in(0)), elementOf(n, n.element(0)));
}

/// True with the probability that the input says.
LogicalResult bernoulli(Node &n) {
  Type from = n.element(0), type = elementOf(n, from), f32 = n.b.getF32Type(), i1 = n.b.getI1Type();
  if (!type)
    return failure();
  uint32_t seed = seedOf(n);
  return n.set(n.generic(n.tensor(n.dims(n.in(0)), type), {n.in(0)}, [&](Body &b) {
    Value p = b.convert(b.read(0, b.indices()), from, f32);
    return b.convert(b.cmp(Cmp::lt, uniform(b, seed, 0), p), i1, type);
  }));
}

} // namespace

void import::registerRandom(OpTable &t) {
  t["RandomNormal"] = {ofShape<true>, 0};
  t["RandomUniform"] = {ofShape<false>, 0};
  t["RandomNormalLike"] = like<true>;
  t["RandomUniformLike"] = like<false>;
  t["Bernoulli"] = bernoulli;
}
