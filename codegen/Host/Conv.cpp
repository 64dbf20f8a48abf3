//===- Conv.cpp - convolution on the host ---------------------------------===//
//
// An indirect matrix multiplication: rows are output positions, and a table says for each kernel tap where a position's
// input channels start (a row of zeros where that is outside). Of bytes, what a position reads is copied behind one
// another, as words, where it is none as it is. Depthwise convolutions go over channels directly.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/MicroKernel.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kRows = 96, kColumns = 256, kDepth = 320;
constexpr int64_t kTableRows = kRows + 16; // with the micro-kernel's spare rows
constexpr int64_t kWork = 2 << 20, kByteWork = 8 << 20;

class ConvEmitter {
public:
  ConvEmitter(KernelBuilder &kernel, ConvOp op);
  void build();

private:
  void buildIndirect();
  void buildDepthwise();
  void task(StageEmitter &e, MicroKernel &micro, Value number);
  void depthwisePosition(StageEmitter &e, Value position);
  Value depthwiseWeight(StageEmitter &e, Value tap, Value channel);
  /// Pointers to the input channels of `position` for each tap; `put` stores one.
  void taps(StageEmitter &e, Value position, function_ref<void(Value tap, Value pointer)> put);
  void clearZeroRow(StageEmitter &e);
  /// Words of the bytes that `rows` positions read at some taps and channels.
  void prepareRows(StageEmitter &e, Value rows, Value tap0, Value taps, Value channel0, Value length);
  Value region(StageEmitter &e, int64_t offset) { return e.atBytes(e.scratch, e.idx(offset)); }
  Value zeroRow(StageEmitter &e) { return region(e, zeroAt); }
  SmallVector<Value> resultIndices(StageEmitter &e, Value position, Value channel);
  void finish(StageEmitter &e, Value sum, ArrayRef<Value> indices, Value offset);
  int64_t size(Expr e) { return e.asConstant().value_or(0); }

  KernelBuilder &kernel;
  ConvOp op;
  SymTensorType in, weights, out;
  int64_t spatial, numTaps = 1, groups;
  Type acc, inElement, weightElement;
  Expr groupChannels, groupColumns, positions, channels;
  std::optional<ByteFactors> bytes;
  std::optional<BytePreparation> preparation; // of bytes
  // Scratch: the table, words' table, sums, words of rows and of panels, corrections of their sums, a row of zeros.
  int64_t wordsAt, sumsAt, rowsAt, panelsAt, correctionsAt, zeroAt;
  Expr rowBlocks, rowsPerBlock, columnBlock, columnBlocks;
};

ConvEmitter::ConvEmitter(KernelBuilder &kernel, ConvOp op)
    : kernel(kernel), op(op), in(op.inputType()), weights(op.getWeights().getType()), out(op.getResult().getType()),
      spatial(in.getRank() - 2), groups(op.getGroups()), acc(op.accumulatorType()) {
  inElement = in.getElementType();
  weightElement = weights.getElementType();
  for (int64_t k : op.getKernel())
    numTaps *= k;
  channels = in.dim(in.getRank() - 1);
  groupChannels = weights.dim(3);
  Expr columns = out.dim(out.getRank() - 1), one = kernel.constant(1);
  groupColumns = groups == 1 ? columns : Expr::floorDiv(columns, kernel.constant(groups));
  positions = one;
  for (int64_t d = 0; d <= spatial; ++d)
    positions = positions * out.dim(d);

  rowBlocks = Expr::ceilDiv(positions, kernel.constant(kRows));
  rowsPerBlock = Expr::ceilDiv(positions, Expr::max(rowBlocks, one));
  Expr perColumn = Expr::max(groupChannels * numTaps, one) *
                   Expr::max(Expr::min(positions, kernel.constant(kRows)), kernel.constant(20));
  if (!op.isDepthwise())
    bytes = ByteFactors::of(inElement, weightElement);
  Expr wanted = Expr::floorDiv(kernel.constant(bytes ? kByteWork : kWork), perColumn * 32);
  columnBlock = Expr::min(Expr::max(wanted, kernel.constant(bytes ? 2 : 1)), kernel.constant(kColumns / 32)) * 32;
  columnBlocks = Expr::ceilDiv(groupColumns, columnBlock);
  int64_t size = kt::elementBytes(acc);
  wordsAt = (numTaps * kTableRows * 8 + 63) / 64 * 64;
  sumsAt = wordsAt + (bytes ? kTableRows * 8 : 0);
  rowsAt = sumsAt + kTableRows * kColumns * size;
  panelsAt = rowsAt + (bytes ? kRows * BytePreparation::kRowBytes : 0);
  correctionsAt = panelsAt + (bytes ? kColumns / kPanel * BytePreparation::kPanelBytes : 0);
  zeroAt = correctionsAt + (bytes ? kColumns * size : 0);
}

void ConvEmitter::build() {
  if (op.isDepthwise())
    buildDepthwise();
  else
    buildIndirect();
}

void ConvEmitter::clearZeroRow(StageEmitter &e) {
  // Stored as bytes: zero is zero bits in every type.
  Value bytes = e.mul(e.expr(channels), e.idx(kt::elementBytes(inElement)));
  Type byte = e.b.getI8Type();
  e.coldLoop(e.idx(0), bytes, [&](Value i) { e.store(e.constant(byte, 0), zeroRow(e), byte, i); });
}

void ConvEmitter::taps(StageEmitter &e, Value position, function_ref<void(Value, Value)> put) {
  SmallVector<Value> extents;
  for (int64_t d = 0; d <= spatial; ++d)
    extents.push_back(e.expr(out.dim(d)));
  SmallVector<Value> at = e.delinearize(position, extents);
  FactorView input = factorView(op, 0);
  Value image = e.add(e.expr(input.offset), e.mul(at[0], e.expr(input.strides[0])));
  std::function<void(int64_t, Value, Value, Value)> nest = [&](int64_t d, Value tap, Value offset, Value inside) {
    if (d == spatial) {
      Value pointer = e.at(e.operands[0].pointer, inElement, offset);
      return put(tap, e.select(inside, pointer, zeroRow(e)));
    }
    Value first = e.sub(e.mul(at[d + 1], e.idx(op.getStrides()[d])), e.expr(cast<ExprAttr>(op.getPads()[d])));
    e.coldLoop(e.idx(0), e.idx(op.getKernel()[d]), [&](Value k) {
      Value x = e.add(first, e.mul(k, e.idx(op.getDilations()[d])));
      Value ok;
      if (int64_t stretch = op.getInputDilations()[d]; stretch != 1) {
        Value q = e.op<arith::DivSIOp>(x, e.idx(stretch));
        ok = e.eq(e.mul(q, e.idx(stretch)), x);
        x = q;
      }
      Value near = e.cmp(arith::CmpIPredicate::ult, x, e.expr(in.dim(d + 1)));
      ok = ok ? e.op<arith::AndIOp>(ok, near) : near;
      nest(d + 1, e.add(e.mul(tap, e.idx(op.getKernel()[d])), k), e.add(offset, e.mul(x, e.expr(input.strides[d + 1]))),
           inside ? e.op<arith::AndIOp>(inside, ok) : ok);
    });
  };
  nest(0, e.idx(0), image, {});
}

SmallVector<Value> ConvEmitter::resultIndices(StageEmitter &e, Value position, Value channel) {
  SmallVector<Value> extents;
  for (int64_t d = 0; d <= spatial; ++d)
    extents.push_back(e.expr(out.dim(d)));
  SmallVector<Value> at = e.delinearize(position, extents);
  at.push_back(channel);
  return at;
}

void ConvEmitter::finish(StageEmitter &e, Value sum, ArrayRef<Value> indices, Value offset) {
  Value v = e.inlineScalar(op.getEpilogue(), sum, 2, op.getExtras().size(), indices);
  e.store(v, e.results[0].pointer, e.results[0].element(), offset);
}

//===----------------------------------------------------------------------===//
// Indirect matrix multiplication
//===----------------------------------------------------------------------===//

void ConvEmitter::buildIndirect() {
  MicroKernelSpec spec{acc, inElement, weightElement};
  if (auto known = positions.asConstant())
    spec.mostRows = *known;
  if (bytes) {
    spec.bytes = bytes;
    spec.rowElement = spec.panelElement = acc;
    preparation.emplace(kernel, *bytes);
  }
  MicroKernel micro(kernel, spec);
  kernel.schedule = bytes ? "conv bytes" : "conv indirect";
  Expr scratch = channels * kt::elementBytes(inElement) + (zeroAt + 64);
  kernel.stage({rowBlocks * columnBlocks * groups, scratch}, [&](StageEmitter &e) {
    clearZeroRow(e);
    e.tasks([&](Value number) { task(e, micro, number); });
  });
}

void ConvEmitter::task(StageEmitter &e, MicroKernel &micro, Value number) {
  SmallVector<Value> at = e.delinearize(number, {e.idx(groups), e.expr(columnBlocks), e.expr(rowBlocks)});
  Value zero = e.idx(0), one = e.idx(1), width = e.idx(kPanel);
  Value group = at[0], column0 = e.mul(at[1], e.expr(columnBlock)), row0 = e.mul(at[2], e.expr(rowsPerBlock));
  Value numRows = e.min(e.sub(e.expr(positions), row0), e.expr(rowsPerBlock));
  Value numColumns = e.min(e.sub(e.expr(groupColumns), column0), e.expr(columnBlock));
  Type slot = e.b.getI64Type();
  e.loop(zero, e.add(numRows, e.idx(MicroKernel::kSpareRows)), [&](Value r) {
    taps(e, e.add(row0, e.min(r, e.sub(numRows, one))), [&](Value tap, Value pointer) {
      Value entry = e.add(e.mul(tap, e.idx(kTableRows)), r);
      LLVM::StoreOp::create(e.b, e.loc, pointer, e.at(e.scratch, slot, entry), 8);
    });
  });

  if (bytes)
    e.coldLoop(zero, e.add(numRows, e.idx(MicroKernel::kSpareRows)), [&](Value r) {
      Value row = e.mul(e.min(r, e.sub(numRows, one)), e.idx(BytePreparation::kRowBytes));
      LLVM::StoreOp::create(e.b, e.loc, e.atBytes(region(e, rowsAt), row), e.at(region(e, wordsAt), slot, r), 8);
    });

  // A block of the sum is some taps with all channels, or one tap with some channels.
  int64_t deepest = bytes ? BytePreparation::kDepth : kDepth;
  Value depth = e.expr(groupChannels), totalTaps = e.idx(numTaps);
  Value tapBlock = e.max(e.div(e.idx(deepest), e.max(depth, one)), one);
  Value parts = e.max(e.ceilDiv(depth, deepest), one);
  Value depthBlock = e.max(e.div(e.add(depth, e.sub(parts, one)), parts), one);
  Value asTheyAre, sameColumns;
  if (bytes) {
    // As the task before had: if all their weights are one block, its words are there.
    sameColumns = e.op<arith::AndIOp>(e.cmp(arith::CmpIPredicate::ne, at[2], zero),
                                      e.cmp(arith::CmpIPredicate::ne, number, e.begin));
    asTheyAre = preparation->asTheyAre(e, depth);
    depthBlock = e.mul(e.ceilDiv(depthBlock, BytePreparation::kGroup), e.idx(BytePreparation::kGroup));
    // Taps of one line, or whole lines: what prepareRows takes together.
    Value line = e.idx(op.getKernel().back());
    tapBlock = e.max(e.mul(e.div(tapBlock, line), line), one);
  }
  Value tapStep = e.mul(depth, width), panelStride = e.mul(tapStep, totalTaps);
  Value panelsAGroup = e.ceilDiv(e.expr(groupColumns), kPanel);
  Value firstPanel = e.add(e.mul(group, panelsAGroup), e.div(column0, width));
  Value base = e.at(e.operands[1].pointer, weightElement, e.mul(firstPanel, panelStride));
  Value sums = e.atBytes(e.scratch, e.idx(sumsAt)), ld = e.idx(kColumns);
  Value height = micro.stripHeight(e, numRows);
  Value channel0 = e.mul(group, e.expr(groupColumns)), resultChannels = e.expr(out.dim(spatial + 1));

  e.loop(zero, totalTaps, tapBlock, [&](Value t0) {
    Value tapCount = e.min(e.sub(totalTaps, t0), tapBlock);
    e.loop(zero, e.max(depth, one), depthBlock, [&](Value c0) {
      Value length = e.min(e.sub(depth, c0), depthBlock);
      auto ge = arith::CmpIPredicate::sge;
      Value isLast =
          e.op<arith::AndIOp>(e.cmp(ge, e.add(t0, tapCount), totalTaps), e.cmp(ge, e.add(c0, length), depth));
      Value isLater = e.cmp(arith::CmpIPredicate::ne, e.add(t0, c0), zero);
      Value panels = e.at(base, weightElement, e.add(e.mul(t0, tapStep), e.mul(c0, width)));
      Value together = e.mul(tapCount, length);
      if (bytes) {
        e.ifElse(
            asTheyAre, [] {}, [&] { prepareRows(e, numRows, t0, tapCount, e.add(e.mul(group, depth), c0), length); });
        Value only = e.op<arith::AndIOp>(isLast, e.eq(e.add(t0, c0), zero));
        e.ifElse(
            e.op<arith::AndIOp>(sameColumns, only), [] {},
            [&] {
              preparation->panels(e, panels, panelStride, e.ceilDiv(numColumns, kPanel), together, region(e, panelsAt),
                                  region(e, correctionsAt), isLater);
            });
      }
      e.loop(zero, numRows, height, [&](Value r0) {
        Value stripRows = e.min(e.sub(numRows, r0), height);
        MicroKernel::Call call;
        call.numRows = stripRows;
        call.table = e.at(e.scratch, slot, e.add(e.mul(t0, e.idx(kTableRows)), r0));
        call.tableRows = e.idx(kTableRows);
        call.rowOffset = e.add(e.mul(group, depth), c0);
        call.taps = tapCount;
        call.depth = length;
        call.panels = panels;
        call.panelStride = panelStride;
        call.numColumns = numColumns;
        call.tapStep = tapStep;
        if (bytes) {
          // A tap of bytes as they are is as many words of each column.
          constexpr int64_t kGroup = BytePreparation::kGroup;
          call.table = e.select(asTheyAre, call.table, e.at(region(e, wordsAt), slot, r0));
          call.rowOffset = e.select(asTheyAre, e.div(call.rowOffset, e.idx(kGroup)), zero);
          call.taps = e.select(asTheyAre, tapCount, one);
          call.depth = e.ceilDiv(e.select(asTheyAre, length, together), kGroup);
          call.tapStep = e.mul(call.depth, width);
          call.panels = region(e, panelsAt);
          call.panelStride = e.idx(BytePreparation::kPanelBytes / kt::elementBytes(acc));
        }
        call.out = e.at(sums, acc, e.mul(r0, ld));
        call.ld = ld;
        call.accumulate = isLater;
        if (bytes)
          BytePreparation::fetchNext(e, panels, panelStride, e.ceilDiv(numColumns, kPanel), together,
                                     {r0, numRows, height});
        micro.call(e, call);
        e.ifThen(isLast, [&] {
          e.loop(r0, e.add(r0, stripRows), [&](Value r) {
            Value position = e.add(row0, r), first = e.add(channel0, column0);
            SmallVector<Value> indices = resultIndices(e, position, {});
            Value offset = e.add(e.mul(position, resultChannels), first);
            Value row = e.at(sums, acc, e.mul(r, ld));
            e.loop(zero, numColumns, [&](Value j) {
              indices.back() = e.add(first, j);
              Value sum = e.load(row, acc, j);
              if (bytes && bytes->corrects())
                sum = e.add(sum, e.load(region(e, correctionsAt), acc, j));
              finish(e, sum, indices, e.add(offset, j));
            });
          });
        });
      });
    });
  });
}

void ConvEmitter::prepareRows(StageEmitter &e, Value rows, Value tap0, Value taps, Value channel0, Value length) {
  Value one = e.idx(1);
  e.loop(e.idx(0), rows, [&](Value r) {
    Value words = e.atBytes(region(e, rowsAt), e.mul(r, e.idx(BytePreparation::kRowBytes)));
    auto start = [&](Value tap) -> Value {
      Value entry = e.at(e.scratch, e.b.getI64Type(), e.add(e.mul(e.add(tap0, tap), e.idx(kTableRows)), r));
      return e.at(LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), entry, 8), inElement, channel0);
    };
    // Neighbours of a line of the kernel often are neighbours in memory. If the first and the last are, all are.
    Value line = e.idx(op.getKernel().back());
    e.loop(e.idx(0), taps, line, [&](Value t0) {
      Value count = e.min(e.sub(taps, t0), line), last = e.sub(count, one), first = start(t0);
      auto address = [&](Value p) -> Value {
        return e.toIndex(LLVM::PtrToIntOp::create(e.b, e.loc, e.b.getI64Type(), p));
      };
      Value sideBySide = e.eq(e.sub(address(start(e.add(t0, last))), address(first)), e.mul(last, length));
      e.ifElse(
          sideBySide, [&] { preparation->row(e, first, one, e.mul(count, length), words, e.mul(t0, length)); },
          [&] {
            e.loop(t0, e.add(t0, count),
                   [&](Value t) { preparation->row(e, start(t), one, length, words, e.mul(t, length)); });
          });
    });
  });
}

//===----------------------------------------------------------------------===//
// Depthwise
//===----------------------------------------------------------------------===//

void ConvEmitter::buildDepthwise() {
  kernel.usesIsa = true;
  kernel.schedule = "conv depthwise";
  int64_t total = numTaps * groups;
  int64_t share = std::max<int64_t>(1, 65536 / std::max<int64_t>(total, 1));
  sumsAt = (numTaps * 8 + 63) / 64 * 64; // of one position
  zeroAt = sumsAt + groups * kt::elementBytes(acc);
  kernel.stage(
      {Expr::ceilDiv(positions, kernel.constant(share)), channels * kt::elementBytes(inElement) + (zeroAt + 64)},
      [&](StageEmitter &e) {
        clearZeroRow(e);
        e.tasks([&](Value task) {
          Value lo = e.mul(task, e.idx(share)), hi = e.min(e.add(lo, e.idx(share)), e.expr(positions));
          e.loop(lo, hi, [&](Value position) { depthwisePosition(e, position); });
        });
      });
}

/// x * w + sum, of numbers or vectors.
static Value multiplyAdd(StageEmitter &e, Value x, Value w, Value sum) {
  if (isa<FloatType>(getElementTypeOrSelf(x.getType())))
    return LLVM::FMAOp::create(e.b, e.loc, x, w, sum);
  return LLVM::AddOp::create(e.b, e.loc, LLVM::MulOp::create(e.b, e.loc, x, w), sum);
}

/// Where the weight of a channel and a tap lies: channels are the columns of the panels.
Value ConvEmitter::depthwiseWeight(StageEmitter &e, Value tap, Value channel) {
  Value panel = e.div(channel, e.idx(kPanel));
  Value row = e.add(e.mul(panel, e.idx(numTaps)), tap);
  return e.add(e.mul(row, e.idx(kPanel)), e.sub(channel, e.mul(panel, e.idx(kPanel))));
}

void ConvEmitter::depthwisePosition(StageEmitter &e, Value position) {
  Type slot = e.b.getI64Type();
  taps(e, position,
       [&](Value tap, Value pointer) { LLVM::StoreOp::create(e.b, e.loc, pointer, e.at(e.scratch, slot, tap), 8); });
  Value sums = e.atBytes(e.scratch, e.idx(sumsAt)), zero = e.idx(0);
  int64_t lanes = kernel.isa.vectorBytes / kt::elementBytes(acc), done = 0;
  // Four registers of channels at a time, then one, then single channels.
  for (int64_t registers : {4, 1}) {
    int64_t step = registers * lanes, until = done + (groups - done) / step * step;
    if (until > done)
      e.loop(e.idx(done), e.idx(until), e.idx(step), [&](Value c) {
        Value zeros = e.constant(VectorType::get(lanes, acc), 0);
        auto result =
            e.loop(zero, e.idx(numTaps), e.idx(1), SmallVector<Value>(registers, zeros), [&](Value tap, ValueRange in) {
              Value row = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), e.at(e.scratch, slot, tap), 8);
              SmallVector<Value> next;
              for (int64_t v = 0; v < registers; ++v) {
                Value at = e.add(c, e.idx(v * lanes));
                Value x = e.loadVector(row, inElement, at, lanes, acc);
                Value w = e.loadVector(e.operands[1].pointer, weightElement, depthwiseWeight(e, tap, at), lanes, acc);
                next.push_back(multiplyAdd(e, x, w, in[v]));
              }
              return next;
            });
        for (int64_t v = 0; v < registers; ++v)
          e.storeVector(result[v], sums, acc, e.add(c, e.idx(v * lanes)));
      });
    done = until;
  }
  e.loop(e.idx(done), e.idx(groups), [&](Value c) {
    Value sum = e.loop(zero, e.idx(numTaps), e.idx(1), e.constant(acc, 0), [&](Value tap, ValueRange in) {
      Value row = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), e.at(e.scratch, slot, tap), 8);
      Value x = e.convert(e.load(row, inElement, c), acc, inElement.isUnsignedInteger());
      Value w = e.load(e.operands[1].pointer, weightElement, depthwiseWeight(e, tap, c));
      w = e.convert(w, acc, weightElement.isUnsignedInteger());
      return SmallVector<Value>{multiplyAdd(e, x, w, in[0])};
    })[0];
    e.store(sum, sums, acc, c);
  });
  SmallVector<Value> indices = resultIndices(e, position, {});
  Value offset = e.mul(position, e.idx(groups));
  e.loop(zero, e.idx(groups), [&](Value c) {
    indices.back() = c;
    finish(e, e.load(sums, acc, c), indices, e.add(offset, c));
  });
}

} // namespace

LogicalResult kt::codegen::host::buildConv(KernelBuilder &kernel, ConvOp op) {
  ConvEmitter(kernel, op).build();
  return success();
}
