//===- Conv.cpp - convolutions over channels-last tensors -----------------===//
//
// An implicit matrix product: rows are output positions, k runs over (tap, channel), and the copies of the left side
// compute where a tap of a position lies in the input. A 1x1 convolution is a plain product; depthwise ones run one
// thread a few neighbouring channels.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/CudaCore.h"
#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

namespace {

/// Where taps of output positions lie in the input.
class Geometry {
public:
  Geometry(KernelBuilder &k, ConvOp op)
      : k(k), op(op), in(factorView(op, 0)), out(op.getResult().getType()), rank(in.dims.size() - 2) {}

  struct Row {
    Values origin; // input coordinate of tap 0, a spatial dimension
    Value image;   // number in the batch
    Value inside;  // the position exists
  };
  Row row(Value m, Expr rows) {
    SmallVector<Expr> extents;
    for (unsigned d = 0; d <= rank; ++d)
      extents.push_back(out.dim(d));
    Row r;
    r.inside = k.lt(m, k.size(rows));
    Values at = delinearize(k, m, extents);
    r.image = at[0];
    for (unsigned d = 0; d < rank; ++d)
      r.origin.push_back(k.sub(k.mul(at[d + 1], op.getStrides()[d]), k.size(Expr(cast<ExprAttr>(op.getPads()[d])))));
    return r;
  }
  /// Offsets of tap number `tap` along the spatial dimensions.
  Values tapOffsets(Value tap) {
    SmallVector<Expr> extents;
    for (int64_t n : op.getKernel())
      extents.push_back(Expr::constant(op.getContext(), n));
    Values at = delinearize(k, tap, extents);
    for (unsigned d = 0; d < rank; ++d)
      at[d] = k.mul(at[d], op.getDilations()[d]);
    return at;
  }
  /// Element offset of channel `channel` at a tap of a row, and whether it is inside.
  std::pair<Value, Value> at(const Row &r, ArrayRef<Value> tap, Value channel) {
    Value valid = r.inside, place = k.add(k.size(in.offset), k.mul(r.image, k.size(in.strides[0])));
    for (unsigned d = 0; d < rank; ++d) {
      Value x = k.add(r.origin[d], tap[d]), size = k.size(in.dims[d + 1]);
      int64_t stretch = op.getInputDilations()[d];
      if (stretch > 1) {
        Value nonNegative = k.cmp(Pred::sge, x, 0), q = k.div(k.max(x, 0), stretch);
        valid = k.and_(valid, k.and_(nonNegative, k.cmp(Pred::eq, k.mul(q, stretch), x)));
        x = q;
      }
      valid = k.and_(valid, k.cmp(Pred::ult, x, size));
      place = k.add(place, k.mul(x, k.size(in.strides[d + 1])));
    }
    return {valid, k.add(place, k.mul(channel, k.size(in.strides[rank + 1])))};
  }

private:
  KernelBuilder &k;
  ConvOp op;
  FactorView in;
  SymTensorType out;
  unsigned rank;
};

/// Tiles of the implicit left side: the channels of one tap a chunk by asynchronous copies, or any 8 k's one at a time.
class ConvTiles : public TileSource {
public:
  ConvTiles(KernelBuilder &k, ConvOp op, const MmaTile &t, const Copiers &by, Value m0, Value firstChannel,
            Expr channels, Expr rows, Expr depth, bool chunks)
      : k(k), geometry(k, op), bk(t.bk), bytes(t.elementBytes), chunkCount(t.rowBytes() / 16),
        step(by.count / chunkCount), channels(channels), chunks(chunks), firstChannel(firstChannel),
        depth(k.size(depth)), type(op.getInput().getType().scalarType()) {
    count = t.bm / step, tileBytes = t.bm * t.rowBytes();
    Value first = k.div(by.thread, chunkCount);
    chunk = k.rem(by.thread, chunkCount);
    place = swizzle(k, chunkCount, first, chunk);
    for (unsigned i = 0; i < count; ++i)
      rowsHere.push_back(geometry.row(k.add(k.add(m0, first), i * step), rows));
  }
  Values start(Value k0) override { return {k.add(k0, k.mul(chunk, 16 / bytes))}; }
  Values advance(ValueRange s) override { return {k.add(s[0], bk)}; }
  void beginSlab(ValueRange s) override {
    at = s[0];
    if (chunks)
      split(at, tap, channel);
  }
  Values fetch(unsigned i) override {
    Values elements;
    for (unsigned e = 0; !chunks && e < 8; ++e) {
      Values t;
      Value c;
      split(k.add(at, e), t, c);
      auto [valid, offset] = geometry.at(rowsHere[i], t, c);
      valid = k.and_(valid, k.lt(k.add(at, e), depth));
      Value p = k.at(k.buffer(0), k.sel(valid, offset, k.c(0)), 2);
      elements.push_back(k.ifElse(
          valid, type, [&]() -> Values { return {k.loadElement(p, type)}; },
          [&]() -> Values { return {k.zero(type)}; })[0]);
    }
    return elements;
  }
  void put(unsigned i, Value slot, ValueRange fetched) override {
    Value to = k.gep(k.sptr(k.add(slot, place)), i * step * bk * bytes);
    if (!chunks)
      return k.storeElements(fetched, to);
    auto [valid, offset] = geometry.at(rowsHere[i], tap, channel);
    valid = k.and_(valid, k.lt(at, depth));
    k.cpAsync16(to, k.at(k.buffer(0), k.sel(valid, offset, k.c(0)), bytes), k.sel(valid, k.c(16), k.c(0)));
  }

private:
  void split(Value kk, Values &taps, Value &c) {
    Values both = delinearize(k, kk, {Expr::constant(k.b.getContext(), 1), channels});
    taps = geometry.tapOffsets(both[0]);
    c = k.add(firstChannel, both[1]);
  }
  KernelBuilder &k;
  Geometry geometry;
  unsigned bk, bytes, chunkCount, step;
  Expr channels;
  bool chunks;
  Value firstChannel, depth, chunk, place, at, channel;
  Values tap;
  Type type;
  SmallVector<Geometry::Row> rowsHere;
};

class ConvFetch : public SlabFetch {
public:
  ConvFetch(KernelBuilder &k, ConvOp op, Value firstChannel, Expr channels, Expr rows, Expr depth, bool vectors)
      : SlabFetch(k), geometry(k, op), firstChannel(firstChannel), channels(channels), rows(rows), depth(depth) {
    type = op.getInput().getType().scalarType();
    fromUnsigned = op.getInput().getType().getElementType().isUnsignedInteger();
    vector = vectors && channels.isMultipleOf(4) && hasAlignedChannels(op, 4);
  }
  Value valid(Value row, Value kk) override { return k.and_(locate(row, kk).first, k.lt(kk, k.size(depth))); }
  Value pointer(Value row, Value kk) override { return k.at(k.buffer(0), locate(row, kk).second, elementBytes(type)); }

private:
  std::pair<Value, Value> locate(Value row, Value kk) {
    Values both = delinearize(k, kk, {Expr::constant(k.b.getContext(), 1), channels});
    return geometry.at(geometry.row(row, rows), geometry.tapOffsets(both[0]), k.add(firstChannel, both[1]));
  }
  Geometry geometry;
  Value firstChannel;
  Expr channels, rows, depth;
};

/// One channel in, one out, a group: a thread computes neighbouring channels of one position.
LogicalResult buildDepthwise(KernelSink &sink, ConvOp op, const GemmProblem &p, unsigned lanes) {
  constexpr unsigned kThreads = 128;
  KernelBuilder k(sink.kernel, sink.entryName(), {kThreads});
  Geometry geometry(k, op);
  Values pointers;
  for (unsigned i = 0; i < p.numExtras; ++i)
    pointers.push_back(k.buffer(2 + i));
  BodyEmitter epilogue(k, op.getEpilogue(), 1, pointers);
  SymTensorType out = op.getResult().getType();
  unsigned rank = out.getRank();
  Expr channels = out.dim(rank - 1), chunks = Expr::ceilDiv(channels, sink.number(lanes));
  int64_t taps = 1;
  for (int64_t n : op.getKernel())
    taps *= n;
  Type type = op.getInput().getType().scalarType(), weight = op.getWeights().getType().scalarType(), acc = p.accType;
  Value item = k.add(k.mul(k.ctaX(), kThreads), k.tid());
  k.ifThen(k.lt(item, k.size(p.m * chunks)), [&] {
    Values at = delinearize(k, item, {p.m, chunks});
    Value c = k.mul(at[1], lanes);
    Geometry::Row row = geometry.row(at[0], p.m);
    // Channels are the columns of the panels; the lanes of a thread lie in one panel.
    Value panel = k.div(c, kPanel);
    Value weights = k.at(k.buffer(1), k.add(k.mul(panel, taps * kPanel), k.rem(c, kPanel)), elementBytes(weight));
    Values sums = k.forLoop(k.c(0), k.c(taps), k.c(1), Values(lanes, k.zero(acc)), [&](Value tap, ValueRange now) {
      auto [valid, offset] = geometry.at(row, geometry.tapOffsets(tap), c);
      Value place = offset;
      Values x = k.ifElse(
          valid, SmallVector<Type>(lanes, type),
          [&] { return k.loadElements(k.at(k.buffer(0), place, elementBytes(type)), type, lanes); },
          [&] { return Values(lanes, k.zero(type)); });
      Values next;
      Value w = k.at(weights, k.mul(tap, kPanel), elementBytes(weight));
      for (unsigned v = 0; v < lanes; ++v) {
        Value a = toAccumulator(k, x[v], p.isUnsigned(0), acc);
        Value b = toAccumulator(k, k.loadElement(k.gep(w, v * elementBytes(weight)), weight), p.isUnsigned(1), acc);
        next.push_back(isa<FloatType>(acc) ? k.fma(a, b, now[v]) : k.add(now[v], k.mul(a, b)));
      }
      return next;
    });
    Values indices = delinearize(k, at[0], p.mParts);
    indices.push_back(c);
    SmallVector<Values> leading;
    for (Value v : sums)
      leading.push_back({v});
    Alignment alignment;
    alignment.lanes = lanes;
    Values results = epilogue.emit(leading, indices, rank - 1, lanes, alignment);
    k.storeResult(0, k.mul(item, lanes), results);
  });
  artifact::Variant variant;
  variant.schedule = "conv depthwise lanes=" + std::to_string(lanes);
  if (failed(sink.addStage(variant, k, {Expr::ceilDiv(p.m * chunks, sink.number(kThreads)), sink.one(), sink.one()})))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}

} // namespace

LogicalResult kt::gpu::buildConv(KernelSink &sink, ConvOp op) {
  GemmProblem p(analyzeConv(op));
  int64_t groups = op.getGroups();
  if (p.left == Product::Left::depthwise) {
    unsigned lanes = p.isHalf() ? 8 : 4;
    while (lanes > 1 && (groups % lanes != 0 || !hasAlignedChannels(op, lanes)))
      lanes /= 2;
    return buildDepthwise(sink, op, p, lanes);
  }
  if (p.left != Product::Left::strided) {
    Expr channels = op.getWeights().getType().dim(3);
    auto firstChannel = [channels](KernelBuilder &k, ArrayRef<Value> batch) {
      return batch.empty() ? k.c(0) : k.mul(batch[0], k.size(channels));
    };
    bool chunks = p.left == Product::Left::chunks;
    p.lhsTiles = [=, m = p.m, depth = p.k](KernelBuilder &k, const MmaTile &t, const Copiers &by, Value m0,
                                           ArrayRef<Value> batch) -> std::unique_ptr<TileSource> {
      return std::make_unique<ConvTiles>(k, op, t, by, m0, firstChannel(k, batch), channels, m, depth, chunks);
    };
    p.lhsFetch = [=, m = p.m, depth = p.k](KernelBuilder &k, ArrayRef<Value> batch,
                                           bool vectors) -> std::unique_ptr<SlabFetch> {
      return std::make_unique<ConvFetch>(k, op, firstChannel(k, batch), channels, m, depth, vectors);
    };
  }
  return buildProduct(sink, p, "conv");
}
