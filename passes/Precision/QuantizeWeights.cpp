//===- QuantizeWeights.cpp - weights stored in INT8 -----------------------===//
//
//   %r = matmul %x, %w {packed} epilogue { acc }   ->   %r = matmul %x, %q {packed} epilogue { acc * s[n] }
//
// Symmetric, a scale an output channel (an innermost row, for tables that are gathered from): s = max|w| / 127, q =
// round(w / s). The kernels widen q; the scale is applied once to the accumulator.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Passes.h"
#include <cmath>

namespace kt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kMinElements = 256; // below this the scales cost what the bytes save

struct Quantized {
  Value weights, scales;
};

std::optional<std::vector<float>> floatsOf(ConstantOp op) {
  auto element = dyn_cast<FloatType>(op.getResult().getType().getElementType());
  if (!element || (!element.isF32() && !element.isF16() && !element.isBF16()))
    return std::nullopt;
  ArrayRef<char> bytes = op.bytes();
  size_t width = element.getWidth() / 8, n = bytes.size() / width;
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) {
    uint32_t raw = 0;
    memcpy(&raw, bytes.data() + i * width, width);
    if (element.isF32()) {
      memcpy(&out[i], &raw, 4);
    } else {
      APFloat v(element.getFloatSemantics(), APInt(16, raw));
      out[i] = v.convertToFloat();
    }
    if (!std::isfinite(out[i]))
      return std::nullopt;
  }
  return out;
}

/// Quantises with `channelOf` an element's channel, of `channels` in all.
std::optional<Quantized> quantize(ConstantOp op, int64_t channels, llvm::function_ref<int64_t(int64_t)> channelOf) {
  auto values = floatsOf(op);
  if (!values || (int64_t)values->size() < kMinElements)
    return std::nullopt;
  std::vector<float> scales(channels, 0);
  for (int64_t i = 0; i < (int64_t)values->size(); ++i)
    scales[channelOf(i)] = std::max(scales[channelOf(i)], std::fabs((*values)[i]));
  for (float &s : scales)
    s = s > 0 ? s / 127 : 1;
  std::vector<char> q(values->size());
  for (int64_t i = 0; i < (int64_t)values->size(); ++i)
    q[i] = (char)std::lrint((*values)[i] / scales[channelOf(i)]);
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  SymTensorType type = op.getResult().getType();
  StringRef name = op.getName().value_or("");
  auto weights = makeConstant(b, op.getLoc(), SymTensorType::get(op.getContext(), type.getDims(), b.getIntegerType(8)),
                              std::move(q), name);
  auto scaleType =
      SymTensorType::get(op.getContext(), {Expr::constant(op.getContext(), channels).attr()}, b.getF32Type());
  auto *raw = reinterpret_cast<const char *>(scales.data());
  std::vector<char> scaleBytes(raw, raw + scales.size() * sizeof(float));
  auto scale =
      makeConstant(b, op.getLoc(), scaleType, std::move(scaleBytes), name.empty() ? "" : (name + ".scale").str());
  return Quantized{weights.getResult(), scale.getResult()};
}

/// Multiplies the accumulator of a product by scales[index of result dimension `channel`], those of several parts by
/// scales[part, index].
void scaleAccumulators(Operation *op, Value scales, unsigned channel) {
  unsigned number = addBodyOperand(op, scales);
  BodyRef body = bodiesOf(op).back();
  Block &block = body.region->front();
  Location loc = op->getLoc();
  Value column = block.getArgument(body.leading + op->getNumOperands() - firstBodyOperand(op) + channel);
  OpBuilder b(op->getContext());
  for (unsigned part = 0; part < body.leading; ++part) {
    b.setInsertionPointToStart(&block);
    SmallVector<Value> at{column};
    if (body.leading > 1)
      at.insert(at.begin(), arith::ConstantIndexOp::create(b, loc, part));
    Value s = ReadOp::create(b, loc, block.getArgument(body.leading + number), at);
    Value acc = block.getArgument(part);
    auto scaled = arith::MulFOp::create(b, loc, acc, s);
    acc.replaceAllUsesExcept(scaled, scaled);
  }
}

struct QuantizeWeightsPass : kt::impl::QuantizeWeightsBase<QuantizeWeightsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    // A rounded router sends tokens to other experts, for weights that are nothing beside the experts' own.
    PrecisionDemand demand(getOperation());
    exact = &demand;
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (!bodiesOf(op).empty() && !demand.isExactProduct(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto matmul = dyn_cast<MatmulOp>(op))
        product(matmul);
      else if (auto conv = dyn_cast<ConvOp>(op))
        convolution(conv);
      table(op);
    }
  }

  std::optional<Quantized> once(ConstantOp op, int64_t channels, llvm::function_ref<int64_t(int64_t)> channelOf) {
    auto it = done.find(op);
    if (it == done.end())
      it = done.try_emplace(op, quantize(op, channels, channelOf)).first;
    return it->second;
  }

  void product(MatmulOp op) {
    auto constant = op.getRhs().getDefiningOp<ConstantOp>();
    if (!op.getPacked() || !constant || !op.accumulatorType().isF32())
      return;
    SymTensorType type = constant.getResult().getType();
    int64_t k = *type.dim(1).asConstant(), channels = *type.dim(0).asConstant() * kPanel, parts = op.getParts();
    // Panels of the parts take turns; their scales lie one part after the other.
    auto q = once(constant, channels, [&](int64_t i) {
      int64_t panel = i / (k * kPanel);
      return panel % parts * (channels / parts) + panel / parts * kPanel + i % kPanel;
    });
    if (!q)
      return;
    op.getRhsMutable().assign(q->weights);
    Value scales = q->scales;
    if (parts > 1) {
      OpBuilder b(op);
      auto size = [&](int64_t v) { return Expr::constant(op.getContext(), v).attr(); };
      auto byPart = SymTensorType::get(op.getContext(), {size(parts), size(channels / parts)}, b.getF32Type());
      scales = ReshapeOp::create(b, op.getLoc(), byPart, scales);
    }
    unsigned n = op.getMap(2).getNumDims() - 2;
    for (unsigned i = 0; i < op.getMap(2).getNumResults(); ++i)
      if (op.getMap(2).getDimPosition(i) == n)
        scaleAccumulators(op, scales, i);
  }

  void convolution(ConvOp op) {
    auto constant = op.getWeights().getDefiningOp<ConstantOp>();
    if (!constant || !op.accumulatorType().isF32())
      return;
    SymTensorType type = constant.getResult().getType();
    auto size = [&](int64_t d) { return *type.dim(d).asConstant(); };
    int64_t outputs = *op.getResult().getType().dim(op.getResult().getType().getRank() - 1).asConstant();
    int64_t perGroup = outputs / size(0), block = size(2) * size(3) * kPanel;
    auto q = once(constant, outputs, [&](int64_t i) {
      int64_t panel = i / block % size(1), o = panel * kPanel + i % kPanel;
      // Lanes beyond a group's outputs are zeros: any channel will do.
      return std::min(i / (block * size(1)) * perGroup + std::min(o, perGroup - 1), outputs - 1);
    });
    if (!q)
      return;
    op.getWeightsMutable().assign(q->weights);
    scaleAccumulators(op, q->scales, op.getResult().getType().getRank() - 1);
  }

  /// A constant that bodies read at a computed first index: an embedding, or the weights of experts. A scale an
  /// innermost row.
  void table(Operation *op) {
    unsigned first = firstBodyOperand(op);
    for (unsigned i = 0; i < op->getNumOperands() - first; ++i) {
      auto constant = op->getOperand(first + i).getDefiningOp<ConstantOp>();
      if (!constant || constant.getResult().getType().getRank() < 2 || exact->isExactTable(constant.getResult()))
        continue;
      SymTensorType type = constant.getResult().getType();
      SmallVector<ReadOp> reads = readsOf(op, i);
      unsigned operands = op->getNumOperands() - first;
      bool gathers = !reads.empty() && llvm::all_of(reads, [&](ReadOp r) {
        unsigned leading = cast<BlockArgument>(r.getTensor()).getArgNumber() - i;
        return !r.getOtherwise() && !plainIndex(r.getIndices()[0], r->getBlock(), leading + operands);
      });
      int64_t columns = *type.dim(type.getRank() - 1).asConstant();
      if (!gathers || columns < 8)
        continue;
      auto q = once(constant, *type.numElements().asConstant() / columns, [&](int64_t e) { return e / columns; });
      if (!q)
        continue;
      op->setOperand(first + i, q->weights);
      for (BodyRef body : bodiesOf(op))
        body.region->getArgument(body.leading + i).setType(q->weights.getType());
      OpBuilder outside(op);
      auto scaleType = SymTensorType::get(op->getContext(), type.getDims().drop_back(), outside.getF32Type());
      Value scales = q->scales;
      if (scaleType != scales.getType())
        scales = ReshapeOp::create(outside, op->getLoc(), scaleType, scales);
      unsigned scale = addBodyOperand(op, scales);
      for (ReadOp read : reads) {
        OpBuilder b(read);
        Block *block = read->getBlock();
        Type old = read.getResult().getType();
        unsigned leading = cast<BlockArgument>(read.getTensor()).getArgNumber() - i;
        Value value = ReadOp::create(b, read.getLoc(), read.getTensor(), read.getIndices());
        Value s = ReadOp::create(b, read.getLoc(), block->getArgument(leading + scale), read.getIndices().drop_back());
        Value wide = arith::SIToFPOp::create(b, read.getLoc(), b.getF32Type(), value);
        Value result = arith::MulFOp::create(b, read.getLoc(), wide, s);
        if (old != b.getF32Type())
          result = arith::TruncFOp::create(b, read.getLoc(), old, result);
        read.replaceAllUsesWith(result);
        read.erase();
      }
    }
  }

  const PrecisionDemand *exact = nullptr;
  DenseMap<Operation *, std::optional<Quantized>> done;
};

} // namespace
