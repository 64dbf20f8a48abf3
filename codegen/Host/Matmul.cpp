//===- Matmul.cpp - matrix multiplication on the host ---------------------===//
//
// A task is a block of rows times a block of columns. Sums over a block of k go to a small array in scratch memory;
// after the last block the epilogue reads them row by row. Batches that share the right-hand side become rows.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Blocks.h"
#include "codegen/Host/Combine.h"
#include "codegen/Host/MicroKernel.h"
#include "codegen/Host/Pack.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kRows = 96, kColumns = 256, kDepth = 320; // the most of a block
constexpr int64_t kSpareRows = 16;                          // the micro-kernel's
constexpr int64_t kFewRows = 2;                             // not worth packing for
constexpr int64_t kWork = 2 << 20;                          // multiplications a task, about
// Of bytes: a word is four k's, and what is prepared pays for more rows.
constexpr int64_t kByteRows = 128, kByteWork = 8 << 20;
// Weights of few bits. A few rows are prepared in long pieces: that takes no more room than many in short ones.
constexpr int64_t kPreparedDepth = kDepth / 16 * 17; // with the sums of groups
constexpr int64_t kShallowRows = 8, kDeeper = kRows / kShallowRows;
constexpr int64_t kWidenedRows = 32; // more are worth a copy of the weights in f32

class MatmulEmitter {
public:
  MatmulEmitter(KernelBuilder &kernel, MatmulOp op);
  void build();

private:
  Expr stride(unsigned operand, unsigned dim);
  void task(StageEmitter &e, Value number);
  void fillRowTable(StageEmitter &e, Value firstRow, Value rows, int64_t spare, ArrayRef<Value> outer);
  void blocks(StageEmitter &e, bool widened, Value rhsBase, Value firstRow, Value numRows, Value column0,
              Value numColumns, ArrayRef<Value> outer);
  void fewRows(StageEmitter &e, Value rhsBase, Value firstRow, Value numRows, Value column0, Value numColumns,
               ArrayRef<Value> outer);
  void convertRows(StageEmitter &e, bool prepared, Value rows, Value k0, Value depth);
  void prepareBytes(StageEmitter &e, Value rhsBase, Value column0, Value numColumns, Value k0, Value length);
  void packColumns(StageEmitter &e, Value base, Value column0, Value columns, Value k0, Value depth);
  void finishRow(StageEmitter &e, Value row, Value localRow, Value column0, Value columns, ArrayRef<Value> outer,
                 bool corrected);
  /// Where the copy of a row begins.
  Value rowCopy(StageEmitter &e, Value row) {
    if (bytes)
      return e.atBytes(region(e, rowsAt), e.mul(row, e.idx(BytePreparation::kRowBytes)));
    return e.at(region(e, rowsAt), acc, e.mul(row, format ? e.expr(preparedStride) : e.idx(kDepth)));
  }
  /// Of packed weights.
  Value weightsAt(StageEmitter &e, Value rhsBase, Value column, Value k0) {
    Value panel = e.mul(e.div(column, e.idx(kPanel)), e.expr(depth));
    return e.at(rhsBase, rhsElement, e.mul(e.add(panel, k0), e.idx(kPanel)));
  }
  Value region(StageEmitter &e, int64_t offset) { return e.atBytes(e.scratch, e.idx(offset)); }

  KernelBuilder &kernel;
  MatmulOp op;
  unsigned numBatch, m, n, k;
  Type acc, lhsElement, rhsElement;
  bool packed, copiesRows;
  BlocksAttr format; // of weights of few bits
  std::optional<ByteFactors> bytes;
  std::optional<BytePreparation> preparation; // of bytes
  Value panelsAreThere;                       // words of the task's columns
  int64_t mostRows = kRows, tableRows;        // of a block; with spare ones
  bool fuses, widens;                         // such weights: which of both there is code for
  std::optional<MicroKernel> micro, widenedMicro;
  std::optional<Widening> widening;
  SmallVector<unsigned> rowDims, outerDims; // iteration dimensions; rowDims ends with m
  Expr rows, columns, depth, rowBlocks, rowsPerBlock, columnBlock, columnBlocks, depthBlock, preparedStride;
  // Scratch: row pointers, sums, converted rows, packed columns, corrections of sums of bytes.
  int64_t sumsAt, rowsAt, panelsAt, correctionsAt, scratchBytes;
};

MatmulEmitter::MatmulEmitter(KernelBuilder &kernel, MatmulOp op) : kernel(kernel), op(op) {
  numBatch = op.numBatch();
  m = numBatch, n = numBatch + 1, k = numBatch + 2;
  acc = op.accumulatorType();
  lhsElement = op.getLhs().getType().getElementType();
  rhsElement = op.getRhs().getType().getElementType();
  packed = op.getPacked();
  for (unsigned d = 0; d < numBatch; ++d)
    (packed || stride(1, d).isConstant(0) ? rowDims : outerDims).push_back(d);
  rowDims.push_back(m);
  format = op.getBlocksAttr();
  bytes = ByteFactors::of(lhsElement, rhsElement);
  if (bytes)
    mostRows = kByteRows;
  tableRows = mostRows + kSpareRows;
  copiesRows = format || memoryType(lhsElement) != acc || !stride(0, k).isConstant(1);

  Expr one = kernel.constant(1);
  rows = one;
  for (unsigned d : rowDims)
    rows = rows * op.extent(d);
  columns = op.extent(n); // of all parts, which take turns by panels
  if (op.getParts() > 1)
    columns = Expr::ceilDiv(columns, kernel.constant(kPanel)) * (int64_t)(kPanel * op.getParts());
  depth = op.getDepth();
  rowBlocks = Expr::ceilDiv(rows, kernel.constant(mostRows));
  rowsPerBlock = Expr::ceilDiv(rows, Expr::max(rowBlocks, one));
  // A row streams the weights from memory, which takes as long as about 20 rows of arithmetic.
  Expr perColumn = Expr::max(depth, one) * Expr::max(Expr::min(rows, kernel.constant(mostRows)), kernel.constant(20));
  Expr wanted = Expr::floorDiv(kernel.constant(bytes ? kByteWork : kWork), perColumn * 32);
  columnBlock = Expr::min(Expr::max(wanted, one), kernel.constant(kColumns / 32)) * 32;
  columnBlocks = Expr::ceilDiv(columns, columnBlock);
  Expr deepest = kernel.constant(bytes ? BytePreparation::kDepth : kDepth);
  if (format) {
    Expr few = Expr::lt(rowsPerBlock, kernel.constant(kShallowRows + 1));
    preparedStride = Expr::select(few, kernel.constant(kDeeper * kPreparedDepth), kernel.constant(kPreparedDepth));
    int64_t group = format.getGroup();
    deepest =
        Expr::select(few, kernel.constant(kDeeper * kDepth / group * group), kernel.constant(kDepth / group * group));
  }
  depthBlock = Expr::max(Expr::ceilDiv(depth, Expr::max(Expr::ceilDiv(depth, deepest), one)), one);
  if (format)
    depthBlock = Expr::ceilDiv(depthBlock, kernel.constant(format.getGroup())) * (int64_t)format.getGroup();
  if (bytes)
    depthBlock = Expr::ceilDiv(depthBlock, kernel.constant(BytePreparation::kGroup)) * BytePreparation::kGroup;

  auto known = rows.asConstant();
  fuses = format && (!known || *known <= kWidenedRows);
  widens = format && (!known || *known > kWidenedRows);

  int64_t size = kt::elementBytes(acc);
  int64_t rowBytes = bytes ? BytePreparation::kRowBytes : (format ? kPreparedDepth : kDepth) * size;
  sumsAt = 2 * tableRows * 8;
  rowsAt = sumsAt + tableRows * kColumns * size;
  panelsAt = rowsAt + (copiesRows ? mostRows * rowBytes : 0);
  correctionsAt = panelsAt + (bytes               ? kColumns / kPanel * BytePreparation::kPanelBytes
                              : packed && !widens ? 0
                                                  : kColumns * kDepth * size);
  scratchBytes = correctionsAt + (bytes ? kColumns * size : 0);
}

/// Elements between neighbours along an iteration dimension; 0 where the operand does not have it. Operand 2 is the
/// result.
Expr MatmulEmitter::stride(unsigned operand, unsigned dim) {
  AffineMap map = op.getMap(operand);
  FactorView view = operand == 2 ? denseView(op.getResult().getType()) : factorView(op, operand);
  for (unsigned i = 0; i < map.getNumResults(); ++i)
    if (map.getDimPosition(i) == dim)
      return view.strides[i];
  return Expr::constant(op.getContext(), 0);
}

void MatmulEmitter::build() {
  MicroKernelSpec spec{acc, copiesRows ? acc : lhsElement, packed ? rhsElement : acc};
  if (auto known = rows.asConstant())
    spec.mostRows = *known;
  if (widens) {
    MicroKernelSpec widened = spec;
    widened.panelElement = acc;
    widenedMicro.emplace(kernel, widened);
    widening.emplace(kernel, format);
  }
  spec.blocks = format;
  if (bytes) {
    spec.bytes = bytes;
    spec.rowElement = spec.panelElement = acc;
    preparation.emplace(kernel, *bytes);
  }
  if (fuses || !format)
    micro.emplace(kernel, spec);
  kernel.schedule = "matmul block=" + std::to_string(mostRows) + "x" + std::to_string(kColumns) + "x" +
                    std::to_string(bytes ? BytePreparation::kDepth : kDepth) + (packed ? " packed" : " packs") +
                    (bytes ? " bytes" : "");
  Expr tasks = rowBlocks * columnBlocks;
  for (unsigned d : outerDims)
    tasks = tasks * op.extent(d);
  kernel.stage({tasks, kernel.constant(scratchBytes)},
               [&](StageEmitter &e) { e.tasks([&](Value number) { task(e, number); }); });
}

void MatmulEmitter::task(StageEmitter &e, Value number) {
  // Neighbouring tasks share a block of columns: its weights stay in the shared cache.
  SmallVector<Value> extents;
  for (unsigned d : outerDims)
    extents.push_back(e.expr(op.extent(d)));
  extents.push_back(e.expr(columnBlocks));
  extents.push_back(e.expr(rowBlocks));
  SmallVector<Value> at = e.delinearize(number, extents);
  if (bytes) { // the task before had the same columns, all k's of which are one block
    Value later = e.op<arith::AndIOp>(e.cmp(arith::CmpIPredicate::ne, at.back(), e.idx(0)),
                                      e.cmp(arith::CmpIPredicate::ne, number, e.begin));
    panelsAreThere = e.op<arith::AndIOp>(later, e.cmp(arith::CmpIPredicate::sle, e.expr(depth), e.expr(depthBlock)));
  }
  Value firstRow = e.mul(at.pop_back_val(), e.expr(rowsPerBlock));
  Value column0 = e.mul(at.pop_back_val(), e.expr(columnBlock));
  ArrayRef<Value> outer = at;
  Value numRows = e.min(e.sub(e.expr(rows), firstRow), e.expr(rowsPerBlock));
  Value numColumns = e.min(e.sub(e.expr(columns), column0), e.expr(columnBlock));
  fillRowTable(e, firstRow, numRows, MicroKernel::kSpareRows, outer);

  Value rhsBase = e.operands[1].pointer;
  if (!packed) {
    Value offset = e.expr(factorView(op, 1).offset);
    for (auto [i, d] : llvm::enumerate(outerDims))
      offset = e.add(offset, e.mul(outer[i], e.expr(stride(1, d))));
    rhsBase = e.at(rhsBase, rhsElement, offset);
  }
  auto withPanels = [&](bool widened) { blocks(e, widened, rhsBase, firstRow, numRows, column0, numColumns, outer); };
  if (fuses && widens)
    return e.ifElse(
        e.cmp(arith::CmpIPredicate::sle, numRows, e.idx(kWidenedRows)), [&] { withPanels(false); },
        [&] { withPanels(true); });
  // Packing pays from a few rows on.
  auto known = rows.asConstant();
  if (packed || (known && *known > kFewRows))
    return withPanels(widens);
  e.ifElse(
      e.cmp(arith::CmpIPredicate::sle, numRows, e.idx(kFewRows)),
      [&] { fewRows(e, rhsBase, firstRow, numRows, column0, numColumns, outer); }, [&] { withPanels(false); });
}

/// Row by row from the right-hand side as it lies: columns together where they are contiguous, else one dot product
/// after the other.
void MatmulEmitter::fewRows(StageEmitter &e, Value rhsBase, Value firstRow, Value numRows, Value column0,
                            Value numColumns, ArrayRef<Value> outer) {
  Value alongK = e.expr(stride(1, k)), alongN = e.expr(stride(1, n)), step = e.expr(stride(0, k)),
        totalDepth = e.expr(depth);
  Value rhs = e.at(rhsBase, rhsElement, e.mul(column0, alongN)), zero = e.idx(0), one = e.idx(1),
        none = e.constant(acc, 0);
  Combine add{ReduceKind::add, acc};
  e.loop(zero, numRows, [&](Value r) {
    Value slot = e.at(e.scratch, e.b.getI64Type(), e.add(r, e.idx(copiesRows ? tableRows : 0)));
    Value row = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), slot, 8);
    Value sums = e.at(region(e, sumsAt), acc, e.mul(r, e.idx(kColumns)));
    auto left = [&](Value i) {
      return e.convert(e.load(row, lhsElement, e.mul(i, step)), acc, lhsElement.isUnsignedInteger());
    };
    auto term = [&](Value x, Value at) {
      Value y = e.convert(e.load(rhs, rhsElement, at), acc, rhsElement.isUnsignedInteger());
      return isa<FloatType>(acc) ? e.op<arith::MulFOp>(x, y) : e.mul(x, y);
    };
    if (stride(1, n).isConstant(1)) {
      e.coldLoop(zero, numColumns, [&](Value j) { e.store(none, sums, acc, j); });
      e.loop(zero, totalDepth, [&](Value i) {
        Value x = left(i), from = e.mul(i, alongK);
        e.loop(zero, numColumns, [&](Value j) {
          e.store(add.apply(e, e.load(sums, acc, j), term(x, e.add(from, j)), false), sums, acc, j);
        });
      });
    } else {
      e.loop(zero, numColumns, [&](Value j) {
        Value from = e.mul(j, alongN);
        Value sum = e.loop(zero, totalDepth, one, none, [&](Value i, ValueRange in) {
          return SmallVector<Value>{add.apply(e, in[0], term(left(i), e.add(from, e.mul(i, alongK))), true)};
        })[0];
        e.store(sum, sums, acc, j);
      });
    }
    finishRow(e, e.add(firstRow, r), r, column0, numColumns, outer, /*corrected=*/false);
  });
}

/// Blocks of k over strips of rows, with the micro-kernel. `widened`: weights of few bits become panels of f32 first.
void MatmulEmitter::blocks(StageEmitter &e, bool widened, Value rhsBase, Value firstRow, Value numRows, Value column0,
                           Value numColumns, ArrayRef<Value> outer) {
  bool fused = format && !widened;
  MicroKernel &inner = widened ? *widenedMicro : *micro;
  Value totalDepth = e.expr(depth), zero = e.idx(0), one = e.idx(1), panelWidth = e.idx(kPanel);
  Value sums = region(e, sumsAt), ld = e.idx(kColumns);
  Value height = inner.stripHeight(e, numRows);
  e.loop(zero, e.max(totalDepth, one), e.expr(depthBlock), [&](Value k0) {
    Value length = e.min(e.sub(totalDepth, k0), e.expr(depthBlock));
    Value isLast = e.cmp(arith::CmpIPredicate::sge, e.add(k0, length), totalDepth);
    Value isLater = e.cmp(arith::CmpIPredicate::ne, k0, zero);
    Value asTheyAre = bytes && stride(0, k).isConstant(1) ? preparation->asTheyAre(e, length) : Value();
    auto copy = [&] { convertRows(e, fused, numRows, k0, length); };
    if (asTheyAre)
      e.ifElse(asTheyAre, [] {}, copy);
    else if (copiesRows)
      copy();
    Value panels = region(e, panelsAt), panelStride = e.idx(kDepth * kPanel);
    Value innerDepth = fused ? e.ceilDiv(length, format.getGroup()) : length;
    if (bytes) {
      e.ifElse(panelsAreThere, [] {}, [&] { prepareBytes(e, rhsBase, column0, numColumns, k0, length); });
      panelStride = e.idx(BytePreparation::kPanelBytes / kt::elementBytes(acc));
      innerDepth = e.ceilDiv(length, BytePreparation::kGroup);
    } else if (packed) {
      // In bytes where weights are of few bits.
      Value stride = format ? e.expr(format.panelBytes(depth)) : e.mul(totalDepth, panelWidth);
      Value step =
          format ? e.mul(e.div(k0, e.idx(format.getGroup())), e.idx(format.blockBytes())) : e.mul(k0, panelWidth);
      Value first = e.at(rhsBase, rhsElement, e.add(e.mul(e.div(column0, panelWidth), stride), step));
      if (widened)
        widening->panels(e, first, e.ceilDiv(numColumns, kPanel), stride, e.ceilDiv(length, format.getGroup()), panels,
                         panelStride);
      else
        panels = first, panelStride = stride;
    } else {
      packColumns(e, rhsBase, column0, numColumns, k0, length);
    }
    e.loop(zero, numRows, height, [&](Value r0) {
      Value stripRows = e.min(e.sub(numRows, r0), height);
      MicroKernel::Call call;
      call.numRows = stripRows;
      call.table = e.at(e.scratch, e.b.getI64Type(), r0);
      call.tableRows = zero;
      call.rowOffset = copiesRows ? zero : k0;
      if (asTheyAre) {
        call.table = e.select(asTheyAre, e.at(call.table, e.b.getI64Type(), e.idx(tableRows)), call.table);
        call.rowOffset = e.select(asTheyAre, e.div(k0, e.idx(BytePreparation::kGroup)), zero);
      }
      call.taps = one;
      call.depth = innerDepth;
      call.panels = panels;
      call.panelStride = panelStride;
      call.numColumns = numColumns;
      call.tapStep = zero;
      call.out = e.at(sums, acc, e.mul(r0, ld));
      call.ld = ld;
      call.accumulate = isLater;
      if (bytes && packed) {
        Value stride = e.mul(totalDepth, panelWidth);
        BytePreparation::fetchNext(e, weightsAt(e, rhsBase, column0, k0), stride, e.ceilDiv(numColumns, kPanel), length,
                                   {r0, numRows, height});
      }
      inner.call(e, call);
      e.ifThen(isLast, [&] {
        e.loop(r0, e.add(r0, stripRows),
               [&](Value r) { finishRow(e, e.add(firstRow, r), r, column0, numColumns, outer, bytes.has_value()); });
      });
    });
  });
}

/// Pointers to the rows' first elements: in the left-hand side, or in their converted copies.
void MatmulEmitter::fillRowTable(StageEmitter &e, Value firstRow, Value numRows, int64_t spare, ArrayRef<Value> outer) {
  Value fixed = e.expr(factorView(op, 0).offset);
  for (auto [i, d] : llvm::enumerate(outerDims))
    fixed = e.add(fixed, e.mul(outer[i], e.expr(stride(0, d))));
  SmallVector<Value> extents;
  for (unsigned d : rowDims)
    extents.push_back(e.expr(op.extent(d)));
  e.coldLoop(e.idx(0), e.add(numRows, e.idx(spare)), [&](Value slot) {
    Value offset = fixed, r = e.min(slot, e.sub(numRows, e.idx(1)));
    SmallVector<Value> at = e.delinearize(e.add(firstRow, r), extents);
    for (auto [i, d] : llvm::enumerate(rowDims))
      offset = e.add(offset, e.mul(at[i], e.expr(stride(0, d))));
    Value source = e.at(e.operands[0].pointer, lhsElement, offset);
    LLVM::StoreOp::create(e.b, e.loc, source,
                          e.at(e.scratch, e.b.getI64Type(), e.add(slot, e.idx(copiesRows ? tableRows : 0))), 8);
    if (copiesRows) {
      LLVM::StoreOp::create(e.b, e.loc, rowCopy(e, r), e.at(e.scratch, e.b.getI64Type(), slot), 8);
    }
  });
}

void MatmulEmitter::convertRows(StageEmitter &e, bool prepared, Value numRows, Value k0, Value length) {
  Value step = e.expr(stride(0, k));
  e.loop(e.idx(0), numRows, [&](Value r) {
    Value slot = e.at(e.scratch, e.b.getI64Type(), e.add(r, e.idx(tableRows)));
    Value source = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), slot, 8), copy = rowCopy(e, r);
    source = e.at(source, lhsElement, e.mul(k0, step));
    if (bytes)
      return preparation->row(e, source, step, length, copy, e.idx(0));
    if (prepared)
      return prepareRow(e, format, {source, lhsElement, step, stride(0, k).isConstant(1)}, length, copy);
    e.loop(e.idx(0), length, [&](Value i) {
      Value x = e.load(source, lhsElement, e.mul(i, step));
      e.store(e.convert(x, acc, lhsElement.isUnsignedInteger()), copy, acc, i);
    });
  });
}

/// Copies a block of the right-hand side into panels.
void MatmulEmitter::packColumns(StageEmitter &e, Value base, Value column0, Value numColumns, Value k0, Value length) {
  Value alongK = e.expr(stride(1, k)), alongN = e.expr(stride(1, n));
  Value start = e.at(base, rhsElement, e.add(e.mul(column0, alongN), e.mul(k0, alongK)));
  PackSource source{start, rhsElement, alongK, alongN, stride(1, n).isConstant(1)};
  packPanels(e, source, numColumns, length, acc, region(e, panelsAt), e.idx(kDepth * kPanel));
}

/// Panels of words of a block of k, and what sums over them lack.
void MatmulEmitter::prepareBytes(StageEmitter &e, Value rhsBase, Value column0, Value numColumns, Value k0,
                                 Value length) {
  Value out = region(e, panelsAt), corrections = region(e, correctionsAt);
  Value isLater = e.cmp(arith::CmpIPredicate::ne, k0, e.idx(0));
  if (packed) {
    Value stride = e.mul(e.expr(depth), e.idx(kPanel)), first = weightsAt(e, rhsBase, column0, k0);
    return preparation->panels(e, first, stride, e.ceilDiv(numColumns, kPanel), length, out, corrections, isLater);
  }
  Value alongK = e.expr(stride(1, k)), alongN = e.expr(stride(1, n));
  Value first = e.at(rhsBase, rhsElement, e.add(e.mul(column0, alongN), e.mul(k0, alongK)));
  preparation->pack(e, first, alongK, alongN, numColumns, length, out, corrections, isLater);
}

/// `corrected`: sums are those of words.
void MatmulEmitter::finishRow(StageEmitter &e, Value row, Value localRow, Value column0, Value numColumns,
                              ArrayRef<Value> outer, bool corrected) {
  SmallVector<Value> extents, iteration(numBatch + 2);
  for (unsigned d : rowDims)
    extents.push_back(e.expr(op.extent(d)));
  for (auto [d, v] : llvm::zip(rowDims, e.delinearize(row, extents)))
    iteration[d] = v;
  for (auto [d, v] : llvm::zip(outerDims, outer))
    iteration[d] = v;
  Value offset = e.idx(0);
  for (unsigned d = 0; d <= m; ++d)
    offset = e.add(offset, e.mul(iteration[d], e.expr(stride(2, d))));
  Value sums = e.at(region(e, sumsAt), acc, e.mul(localRow, e.idx(kColumns))), step = e.expr(stride(2, n));
  const Tensor &out = e.results[0];
  AffineMap map = op.getMap(2);
  auto finish = [&](ArrayRef<Value> places, Value column) {
    SmallVector<Value> indices;
    for (unsigned i = 0; i < map.getNumResults(); ++i)
      indices.push_back(map.getDimPosition(i) == n ? column : iteration[map.getDimPosition(i)]);
    SmallVector<Value> leading;
    for (Value place : places) {
      Value sum = e.load(sums, acc, place);
      if (corrected && bytes->corrects())
        sum = e.add(sum, e.load(region(e, correctionsAt), acc, place));
      leading.push_back(sum);
    }
    Value v = e.inlineScalar(op.getEpilogue(), leading, 2, op.getExtras().size(), indices);
    e.store(v, out.pointer, out.element(), e.add(offset, e.mul(column, step)));
  };
  int64_t parts = op.getParts();
  if (parts == 1)
    return e.loop(e.idx(0), numColumns, [&](Value j) { finish({j}, e.add(column0, j)); });
  // A panel of each part makes one of the result, the last of which may not be full.
  e.loop(e.idx(0), numColumns, e.idx(kPanel * parts), [&](Value from) {
    Value first = e.mul(e.div(e.add(column0, from), e.idx(kPanel * parts)), e.idx(kPanel));
    e.loop(e.idx(0), e.min(e.sub(e.expr(op.extent(n)), first), e.idx(kPanel)), [&](Value j) {
      SmallVector<Value> places;
      for (int64_t part = 0; part < parts; ++part)
        places.push_back(e.add(from, e.add(j, e.idx(part * kPanel))));
      finish(places, e.add(first, j));
    });
  });
}

} // namespace

LogicalResult kt::codegen::host::buildMatmul(KernelBuilder &kernel, MatmulOp op) {
  MatmulEmitter(kernel, op).build();
  return success();
}
