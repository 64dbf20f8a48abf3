//===- TileSources.cpp - how operand tiles get into shared memory ---------===//

#include "codegen/Gpu/Product/TileSources.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// The chunk of 16 bytes that a thread copies in a row-major tile: `chunks` a row, `step` rows further
/// each time.
struct RowShare {
  unsigned chunks, step;
  Value row, chunk, place;
  RowShare(KernelBuilder &k, unsigned rows, unsigned chunks, const Copiers &by)
      : chunks(chunks), step(by.count / chunks) {
    row = k.div(by.thread, chunks), chunk = k.rem(by.thread, chunks);
    place = swizzle(k, chunks, row, chunk);
  }
};

class AsyncRows : public TileSource {
public:
  AsyncRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by, const OperandView &v)
      : k(k), v(v), bk(bk), share(k, rows, bk / v.chunk(), by) {
    count = rows / share.step, tileBytes = rows * bk * v.bytes;
    left = k.sub(k.sub(v.rows, v.firstRow), share.row);
    depthLeft = k.sub(v.depth, k.mul(share.chunk, v.chunk()));
    if (!v.rowOffset) {
      step = k.mul(v.rowStride, share.step * v.bytes);
      return;
    }
    // Rows that lie anywhere: where is found once. What is beyond the last is not copied.
    Value last = k.max(k.sub(v.rows, 1), 0);
    for (unsigned i = 0; i < count; ++i)
      rowBytes.push_back(
          k.ext(k.mul(v.rowOffset(k.min(k.add(k.add(v.firstRow, share.row), i * share.step), last)), v.bytes)));
  }
  Values start(Value k0) override {
    Value column = k.add(k.mul(share.chunk, v.chunk()), k0);
    if (v.rowOffset)
      return {k.at(v.base, column, v.bytes), k0};
    return {k.at(v.base, k.add(k.mul(k.add(v.firstRow, share.row), v.rowStride), column), v.bytes), k0};
  }
  Values advance(ValueRange s) override { return {k.gep(s[0], bk * v.bytes), k.add(s[1], bk)}; }
  void beginSlab(ValueRange s) override {
    pointer = s[0];
    bytes = v.wholeChunks ? k.sel(k.lt(s[1], depthLeft), k.c(16), k.c(0))
                          : k.min(k.max(k.mul(k.sub(depthLeft, s[1]), v.bytes), 0), 16);
  }
  void put(unsigned i, Value slot, ValueRange) override {
    Value source = v.rowOffset ? k.gep(pointer, rowBytes[i]) : i ? k.gep(pointer, k.ext(k.mul(step, i))) : pointer;
    Value size = k.sel(k.cmp(Pred::sgt, left, i * share.step), bytes, k.c(0));
    k.cpAsync16(k.gep(k.sptr(k.add(slot, share.place)), i * share.step * bk * v.bytes), source, size);
  }

private:
  KernelBuilder &k;
  OperandView v;
  unsigned bk;
  RowShare share;
  Value left, depthLeft, step, pointer, bytes;
  Values rowBytes;
};

class AsyncColumns : public TileSource {
public:
  AsyncColumns(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by, const OperandView &v)
      : k(k), v(v), columns(columns), bk(bk), share(k, bk, columns / v.chunk(), by) {
    count = bk / share.step, tileBytes = columns * bk * v.bytes;
    column = k.add(v.firstRow, k.mul(share.chunk, v.chunk()));
    bytes = k.min(k.max(k.mul(k.sub(v.rows, column), v.bytes), 0), 16);
    step = k.mul(v.kStride, share.step * v.bytes);
    if (v.bytes == 1)
      share.place = swizzle(k, share.chunks, int8Row(k, share.row), share.chunk);
  }
  Values start(Value k0) override {
    Value row = k.add(k0, share.row);
    return {k.at(v.base, k.add(k.mul(row, v.kStride), column), v.bytes), k.sub(v.depth, row)};
  }
  Values advance(ValueRange s) override {
    return {k.gep(s[0], k.ext(k.mul(v.kStride, bk * v.bytes))), k.sub(s[1], bk)};
  }
  void beginSlab(ValueRange s) override { pointer = s[0], left = s[1]; }
  void put(unsigned i, Value slot, ValueRange) override {
    Value source = i ? k.gep(pointer, k.ext(k.mul(step, i))) : pointer;
    Value size = k.sel(k.cmp(Pred::sgt, left, i * share.step), bytes, k.c(0));
    k.cpAsync16(k.gep(k.sptr(k.add(slot, share.place)), i * share.step * columns * v.bytes), source, size);
  }

private:
  KernelBuilder &k;
  OperandView v;
  unsigned columns, bk;
  RowShare share;
  Value column, bytes, step, pointer, left;
};

/// A tile of panels [columns / 16][bk][16]; the halves of four k's at a time swap places, which spreads ldmatrix over
/// all banks.
class Panels : public TileSource {
public:
  /// `units` chunks a (panel, k): two of 16-bit elements, one of 8-bit ones.
  Panels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by, const OperandView &v, unsigned units)
      : k(k), v(v), bk(bk), units(units) {
    unsigned perPanel = units * bk;
    count = columns / 16 * perPanel / by.count, tileBytes = columns * bk * 2;
    unit = k.rem(by.thread, units), k0Thread = k.rem(k.div(by.thread, units), bk);
    panel = k.div(by.thread, perPanel);
    for (unsigned i = 0; i < count; ++i) {
      if (by.count >= perPanel)
        offsets.push_back({i * (by.count / perPanel), 0});
      else
        offsets.push_back({i / (perPanel / by.count), i % (perPanel / by.count) * (by.count / units)});
    }
    Value first = k.add(k.shr(v.firstRow, 4), panel);
    base = first;
    panelsLeft = k.sub(k.shr(k.add(v.rows, 15), 4), first);
    panelBytes = k.mul(v.depth, units * 16);
  }
  Values start(Value k0) override {
    Value row = k.add(k0, k0Thread);
    Value at = k.add(k.mul(k.add(k.mul(base, v.depth), row), units), unit);
    return {k.at(v.base, at, 16), k.sub(v.depth, row)};
  }
  Values advance(ValueRange s) override { return {k.gep(s[0], bk * units * 16), k.sub(s[1], bk)}; }
  void beginSlab(ValueRange s) override { pointer = s[0], left = s[1]; }

protected:
  Value source(unsigned i) {
    auto [p, dk] = offsets[i];
    Value at = k.gep(pointer, dk * units * 16);
    return p ? k.gep(at, k.ext(k.mul(panelBytes, p))) : at;
  }
  Value valid(unsigned i) {
    auto [p, dk] = offsets[i];
    return k.and_(k.cmp(Pred::sgt, left, dk), k.cmp(Pred::sgt, panelsLeft, p));
  }
  /// Byte offset of this thread's (panel, k) in the tile; chunks lie at it, XOR 16 for the other half.
  Value place(unsigned i) {
    auto [p, dk] = offsets[i];
    Value at = k.shl(k.add(k.mul(panel, bk), k0Thread), 5);
    return k.add(at, (p * bk + dk) * 32);
  }
  Value half() { return k.shl(k.and_(k.shr(k0Thread, 2), 1), 4); }

  KernelBuilder &k;
  OperandView v;
  unsigned bk, units;
  Value unit, k0Thread, panel, base, panelsLeft, panelBytes, pointer, left;
  SmallVector<std::pair<unsigned, unsigned>> offsets;
};

class AsyncPanels : public Panels {
public:
  AsyncPanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by, const OperandView &v)
      : Panels(k, columns, bk, by, v, 2) {}
  void put(unsigned i, Value slot, ValueRange) override {
    Value to = k.add(place(i), k.xor_(k.shl(unit, 4), half()));
    k.cpAsync16(k.sptr(k.add(slot, to)), source(i), k.sel(valid(i), k.c(16), k.c(0)));
  }
};

/// A tile of panels [columns / 16][bk][16] of bytes, in the order of int8Row.
class BytePanels : public Panels {
public:
  BytePanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by, const OperandView &v)
      : Panels(k, columns, bk, by, v, 1) {
    tileBytes = columns * bk;
    first = k.shl(k.add(k.mul(panel, bk), int8Row(k, k0Thread)), 4);
  }
  void put(unsigned i, Value slot, ValueRange) override {
    auto [p, dk] = offsets[i];
    Value to = k.add(k.add(slot, first), (p * bk + dk) * 16);
    k.cpAsync16(k.sptr(to), source(i), k.sel(valid(i), k.c(16), k.c(0)));
  }

private:
  Value first;
};

class Int8Panels : public Panels {
public:
  Int8Panels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by, const OperandView &v, Type type)
      : Panels(k, columns, bk, by, v, 1), type(type) {
    lookahead = 1;
  }
  Values fetch(unsigned i) override {
    Type four = k.vec(4, k.i32);
    return k.ifElse(
        valid(i), four, [&]() -> Values { return {k.load(source(i), four, 16)}; },
        [&]() -> Values { return {k.zero(four)}; });
  }
  void put(unsigned i, Value slot, ValueRange fetched) override {
    Value to = k.add(k.add(slot, place(i)), half());
    Values words;
    for (unsigned w = 0; w < 4; ++w) {
      Value word = LLVM::ExtractElementOp::create(k.b, k.loc, fetched[0], k.c(w));
      for (unsigned pair = 0; pair < 2; ++pair)
        words.push_back(widenBytes(k, word, pair, type));
    }
    for (unsigned h = 0; h < 2; ++h) {
      ArrayRef<Value> part = ArrayRef(words).slice(h * 4, 4);
      k.storeElements(part, k.sptr(h ? k.xor_(to, 16) : to));
    }
  }

private:
  Type type;
};

class PlainRows : public TileSource {
public:
  PlainRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by, const OperandView &v, Type type)
      : k(k), v(v), bk(bk), share(k, rows, bk / 8, by), type(type) {
    count = rows / share.step, tileBytes = rows * bk * 2;
    left = k.sub(k.sub(v.rows, v.firstRow), share.row);
  }
  Values start(Value k0) override { return {k.add(k0, k.mul(share.chunk, 8))}; }
  Values advance(ValueRange s) override { return {k.add(s[0], bk)}; }
  void beginSlab(ValueRange s) override { at = s[0]; }
  Values fetch(unsigned i) override {
    Value row = k.add(k.add(v.firstRow, share.row), i * share.step);
    Value inside = k.cmp(Pred::sgt, left, i * share.step),
          start = v.rowOffset ? v.rowOffset(row) : k.mul(row, v.rowStride);
    Values elements;
    for (unsigned e = 0; e < 8; ++e) {
      Value kk = k.add(at, e);
      Value valid = k.and_(inside, k.lt(kk, v.depth));
      elements.push_back(k.ifElse(
          valid, type,
          [&]() -> Values { return {k.loadElement(k.at(v.base, k.add(start, k.mul(kk, v.kStride)), 2), type)}; },
          [&]() -> Values { return {k.zero(type)}; })[0]);
    }
    return elements;
  }
  void put(unsigned i, Value slot, ValueRange fetched) override {
    k.storeElements(fetched, k.gep(k.sptr(k.add(slot, share.place)), i * share.step * bk * 2));
  }

private:
  KernelBuilder &k;
  OperandView v;
  unsigned bk;
  RowShare share;
  Type type;
  Value left, at;
};

} // namespace

Copiers::Copiers(KernelBuilder &k, const MmaTile &t)
    : thread(t.producers ? k.and_(k.tid(), t.copying() - 1) : k.tid()), count(t.copying()) {}

Value kt::gpu::widenBytes(KernelBuilder &k, Value word, unsigned pair, Type type) {
  return widenBytes(k, word, pair * 2, pair * 2 + 1, type);
}

Value kt::gpu::widenBytes(KernelBuilder &k, Value word, unsigned first, unsigned second, Type type) {
  if (type == k.f16) {
    // The byte plus 128 below the exponent of 1024 is 1152 plus the value.
    Value biased = k.xor_(word, k.c((int32_t)0x80808080));
    Value bits = k.permute(biased, k.c(0x64646464), 0x4040 | second << 8 | first);
    Value v = LLVM::BitcastOp::create(k.b, k.loc, k.vec(2, k.f16), bits);
    Value offset = arith::ConstantOp::create(
        k.b, k.loc, DenseElementsAttr::get(cast<ShapedType>(k.vec(2, k.f16)), k.b.getF16FloatAttr(1152).getValue()));
    return LLVM::BitcastOp::create(k.b, k.loc, k.i32, k.subf(v, offset));
  }
  Value v = LLVM::UndefOp::create(k.b, k.loc, k.vec(2, type));
  const unsigned bytes[] = {first, second};
  for (auto [e, at] : llvm::enumerate(bytes)) {
    Value byte = arith::TruncIOp::create(k.b, k.loc, k.i8, k.shr(word, at * 8));
    v = LLVM::InsertElementOp::create(k.b, k.loc, v, k.convert(k.convert(k.convert(byte, k.i32), k.f32), type), k.c(e));
  }
  return LLVM::BitcastOp::create(k.b, k.loc, k.i32, v);
}

std::unique_ptr<TileSource> kt::gpu::asyncRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by,
                                               const OperandView &v) {
  return std::make_unique<AsyncRows>(k, rows, bk, by, v);
}
std::unique_ptr<TileSource> kt::gpu::asyncColumns(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                                  const OperandView &v) {
  return std::make_unique<AsyncColumns>(k, columns, bk, by, v);
}
std::unique_ptr<TileSource> kt::gpu::asyncPanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                                 const OperandView &v) {
  return std::make_unique<AsyncPanels>(k, columns, bk, by, v);
}
std::unique_ptr<TileSource> kt::gpu::bytePanels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                                const OperandView &v) {
  return std::make_unique<BytePanels>(k, columns, bk, by, v);
}
std::unique_ptr<TileSource> kt::gpu::int8Panels(KernelBuilder &k, unsigned columns, unsigned bk, const Copiers &by,
                                                const OperandView &v, Type type) {
  return std::make_unique<Int8Panels>(k, columns, bk, by, v, type);
}
std::unique_ptr<TileSource> kt::gpu::plainRows(KernelBuilder &k, unsigned rows, unsigned bk, const Copiers &by,
                                               const OperandView &v, Type type) {
  return std::make_unique<PlainRows>(k, rows, bk, by, v, type);
}
