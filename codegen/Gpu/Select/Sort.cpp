//===- Sort.cpp - sorting and top k ---------------------------------------===//
//
// Rows that fit shared memory are sorted there by a bitonic network over (key, position); in longer rows each element
// counts how many come before it, which is its place.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

class Sorter {
public:
  Sorter(KernelSink &sink, SortOp op, unsigned threads)
      : sink(sink), op(op), type(op.getInput().getType()), k(sink.kernel, sink.entryName(), {threads}),
        threads(threads) {
    scalar = type.scalarType();
    key = scalar.isF16() || scalar.isBF16() ? k.f32 : isa<IntegerType>(scalar) && scalar != k.i64 ? k.i32 : scalar;
    isUnsigned = type.getElementType().isUnsignedInteger();
    length = type.dim(type.getRank() - 1), kept = op.getValues().getType().dim(type.getRank() - 1), rows = sink.one();
    for (int64_t d = 0; d + 1 < type.getRank(); ++d)
      rows = rows * type.dim(d);
  }

  LogicalResult inShared(unsigned capacity) {
    int64_t bytes = elementBytes(key), positions = capacity * bytes;
    Value n = k.size(length), row = k.ctaX();
    auto keyAt = [&](Value i) { return k.at(k.sptr(k.shared()), i, bytes); };
    auto positionAt = [&](Value i) { return k.at(k.sptr(positions), i, 4); };
    k.forLoop(k.tid(), k.c(capacity), k.c(threads), {}, [&](Value i, ValueRange) -> Values {
      Value v = k.ifElse(
          k.lt(i, n), key, [&]() -> Values { return {read(k.add(k.mul(row, n), i))}; },
          [&]() -> Values { return {k.zero(key)}; })[0];
      k.storeElement(v, keyAt(i));
      k.storeElement(i, positionAt(i));
      return {};
    });
    k.barrier();
    k.forLoop(k.c(1), k.c(llvm::Log2_32(capacity) + 1), k.c(1), {}, [&](Value level, ValueRange) -> Values {
      k.forLoop(k.c(0), level, k.c(1), {}, [&](Value step, ValueRange) -> Values {
        Value stride = k.shl(k.c(1), k.sub(k.sub(level, 1), step)), low = k.sub(stride, 1);
        k.forLoop(k.tid(), k.c(capacity / 2), k.c(threads), {}, [&](Value q, ValueRange) -> Values {
          Value i = k.add(k.shl(k.sub(q, k.and_(q, low)), 1), k.and_(q, low)), j = k.add(i, stride);
          Value x = k.loadElement(keyAt(i), key), y = k.loadElement(keyAt(j), key),
                px = k.load(positionAt(i), k.i32, 4), py = k.load(positionAt(j), k.i32, 4);
          Value up = k.cmp(Pred::eq, k.and_(k.shr(i, level), 1), 0);
          Value swap = k.sel(up, before(y, py, x, px, n), before(x, px, y, py, n));
          k.ifThen(swap, [&] {
            k.storeElement(y, keyAt(i));
            k.storeElement(x, keyAt(j));
            k.storeElement(py, positionAt(i));
            k.storeElement(px, positionAt(j));
          });
          return {};
        });
        k.barrier();
        return {};
      });
      return {};
    });
    k.forLoop(k.tid(), k.size(kept), k.c(threads), {}, [&](Value i, ValueRange) -> Values {
      write(row, i, k.loadElement(keyAt(i), key), k.load(positionAt(i), k.i32, 4));
      return {};
    });
    artifact::Variant variant;
    variant.schedule = "sort bitonic " + std::to_string(capacity);
    if (failed(sink.addStage(variant, k, {rows, sink.one(), sink.one()}, capacity * (bytes + 4))))
      return failure();
    sink.addVariant(std::move(variant));
    return success();
  }

  LogicalResult byRank() {
    Value n = k.size(length), item = k.add(k.mul(k.ctaX(), threads), k.tid());
    k.ifThen(k.lt(item, k.size(rows * length)), [&] {
      Value row = k.div(item, n), start = k.mul(row, n), i = k.sub(item, start), x = read(item);
      Value rank = k.forLoop(k.c(0), n, k.c(1), k.c(0), [&](Value j, ValueRange now) -> Values {
        return {k.add(now[0], k.convert(before(read(k.add(start, j)), j, x, i, n), k.i32))};
      })[0];
      k.ifThen(k.lt(rank, k.size(kept)), [&] { write(row, rank, x, i); });
    });
    artifact::Variant variant;
    variant.schedule = "sort by rank";
    if (failed(sink.addStage(variant, k, {Expr::ceilDiv(rows * length, sink.number(threads)), sink.one(), sink.one()})))
      return failure();
    sink.addVariant(std::move(variant));
    return success();
  }

private:
  Value read(Value linear) {
    Value v = k.loadElement(k.at(k.buffer(0), linear, type.elementBytes()), scalar);
    if (isUnsigned && v.getType() != key)
      return arith::ExtUIOp::create(k.b, k.loc, key, v);
    return k.convert(v, key);
  }
  void write(Value row, Value i, Value v, Value position) {
    Value at = k.add(k.mul(row, k.size(kept)), i);
    k.storeResult(0, at, k.convert(v, scalar));
    k.storeResult(1, at, k.sext(position));
  }
  /// Whether x at position px comes before y at py; positions past the end come last.
  Value before(Value x, Value px, Value y, Value py, Value n) {
    if (op.getDescending())
      std::swap(x, y);
    Value less, same;
    if (isa<FloatType>(key)) {
      auto compare = [&](arith::CmpFPredicate p, Value a, Value b) -> Value {
        return arith::CmpFOp::create(k.b, k.loc, p, a, b);
      };
      Value nanX = compare(arith::CmpFPredicate::UNO, x, x), nanY = compare(arith::CmpFPredicate::UNO, y, y);
      less = k.or_(compare(arith::CmpFPredicate::OLT, x, y), k.and_(nanY, k.xor_(nanX, k.cBool(true))));
      same = k.or_(compare(arith::CmpFPredicate::OEQ, x, y), k.and_(nanX, nanY));
    } else {
      less = k.cmp(isUnsigned ? Pred::ult : Pred::slt, x, y), same = k.cmp(Pred::eq, x, y);
    }
    Value first = k.or_(less, k.and_(same, k.lt(px, py)));
    Value endX = k.cmp(Pred::sge, px, n), endY = k.cmp(Pred::sge, py, n);
    return k.and_(k.xor_(endX, k.cBool(true)), k.or_(endY, first));
  }

  KernelSink &sink;
  SortOp op;
  SymTensorType type;
  KernelBuilder k;
  unsigned threads;
  Type scalar, key;
  bool isUnsigned;
  Expr length, kept, rows;
};

} // namespace

LogicalResult kt::gpu::buildSort(KernelSink &sink, SortOp op) {
  if (!sink.has(path::kBitonic))
    return Sorter(sink, op, 128).byRank();
  unsigned capacity = sink.configured("capacity");
  return Sorter(sink, op, capacity / 4).inShared(capacity);
}
