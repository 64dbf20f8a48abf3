//===- Attention.cpp - attention on the host ------------------------------===//
//
// A task is a block of query rows of the heads that share keys. It walks the keys in blocks with a running maximum and
// sum, so no row of scores is ever whole. Blocks of keys and values are packed into panels for the micro-kernels; one
// or two rows are not worth that and read them as they are. Keys that none of the rows sees are not walked, and a row's
// loops over a block go over those that it sees. Of integers the scales of a block's keys are multiplied with its
// scores, those of its values with its weights.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Combine.h"
#include "codegen/Host/MicroKernel.h"
#include "codegen/Host/Pack.h"
#include <limits>

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kRows = 48, kKeys = 128, kFewRows = 2;
static_assert(artifact::kPageRows % kKeys == 0);
constexpr int64_t kTableRows = kRows + 16; // with the micro-kernel's spare rows

enum Operand { Query, Key, Values, Result };
enum Size { B, H, I, J, D, E };

class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &kernel, AttentionOp op);
  void build();

private:
  void task(StageEmitter &e, Value number);
  void prepareRows(StageEmitter &e);
  void loadScales(StageEmitter &e, Value j0, Value count);
  void scores(StageEmitter &e, Value j0, Value count, bool few);
  Value softmaxRow(StageEmitter &e, Value r, Value j0, Value count);
  void accumulate(StageEmitter &e, Value j0, Value count, bool few);
  void finish(StageEmitter &e);
  void product(StageEmitter &e, MicroKernel &micro, Value table, Value panels, Value panelStride, Value columns,
               Value depth, Value out, Value ld, bool add);

  Expr size(Size s) { return cast<ExprAttr>(op.getSizes()[s]); }
  Value sizeOf(StageEmitter &e, Size s) { return e.expr(size(s)); }
  FactorView view(Operand operand);
  /// Elements between neighbours along position `i` of the operand's map domain.
  Expr stride(Operand operand, unsigned i);
  Value offset(StageEmitter &e, Operand operand, ArrayRef<Value> at);
  /// Where the keys or values of the task's head from `j0` on begin: as many as a block has, in one page if in any.
  Value block(StageEmitter &e, Operand operand, Value j0);
  Type element(Operand operand) { return cast<SymTensorType>(op->getOperand(operand).getType()).getElementType(); }
  struct Row {
    Value head, query;
  };
  Row row(StageEmitter &e, Value local);
  struct Keys {
    Value begin, end;
  };
  /// What the queries [first, last] see of the keys [0, count) behind `j0`.
  Keys seen(StageEmitter &e, Value first, Value last, Value j0, Value count);

  Value area(StageEmitter &e, Expr at) { return e.atBytes(e.scratch, e.expr(at)); }
  Expr reserve(Expr bytes) {
    Expr at = top;
    top = top + Expr::ceilDiv(bytes, kernel.constant(64)) * 64;
    return at;
  }

  KernelBuilder &kernel;
  AttentionOp op;
  int64_t group;
  Type f32;
  bool copiesQuery, mayBeFew, mayBeMany, scaled;
  Expr rowsAGroup, rowBlocks, width; // width: E rounded up to the micro-kernel's columns
  Expr top, tableAt, weightsTableAt, maximaAt, sumsAt, scoresAt, queryAt, outAt, keysAt, valuesAt, scalesAt;
  std::unique_ptr<MicroKernel> dots;

  // Of the task being built.
  Value batch, keyHead, row0, numRows;
};

AttentionEmitter::AttentionEmitter(KernelBuilder &kernel, AttentionOp op)
    : kernel(kernel), op(op), group(op.getGroup()), f32(Float32Type::get(op.getContext())) {
  rowsAGroup = size(I) * group;
  rowBlocks = Expr::ceilDiv(rowsAGroup, kernel.constant(kRows));
  copiesQuery = element(Query) != f32 || !stride(Query, 3).isConstant(1);
  auto known = rowsAGroup.asConstant();
  mayBeFew = !known || *known % kRows <= kFewRows;
  mayBeMany = !known || *known > kFewRows;
  scaled = !op.getScales().empty();
}

FactorView AttentionEmitter::view(Operand operand) {
  return operand == Result ? denseView(op.getResult().getType()) : factorView(op, operand);
}

Expr AttentionEmitter::stride(Operand operand, unsigned i) {
  AffineMap map = cast<AffineMapAttr>(op.getMaps()[operand]).getValue();
  for (unsigned r = 0; r < map.getNumResults(); ++r)
    if (map.getDimPosition(r) == i)
      return view(operand).strides[r];
  return kernel.constant(0);
}

Value AttentionEmitter::offset(StageEmitter &e, Operand operand, ArrayRef<Value> at) {
  Value sum = e.expr(view(operand).offset);
  for (auto [i, v] : llvm::enumerate(at))
    sum = e.add(sum, e.mul(v, e.expr(stride(operand, i))));
  return sum;
}

Value AttentionEmitter::block(StageEmitter &e, Operand operand, Value j0) {
  const Tensor &tensor = e.operands[operand];
  SmallVector<Value> at = {batch, keyHead, j0};
  Value start = tensor.pointer;
  if (tensor.pagedAxis >= 0) {
    Value page = e.mul(e.page(tensor, batch, j0), e.expr(tensor.stride(0)));
    start = e.at(start, element(operand), page);
    at = {e.idx(0), keyHead, e.rem(j0, e.idx(artifact::kPageRows))};
  }
  return e.at(start, element(operand), offset(e, operand, at));
}

void AttentionEmitter::build() {
  MicroKernelSpec spec{f32, f32, f32};
  if (auto known = rowsAGroup.asConstant())
    spec.mostRows = *known;
  if (mayBeMany)
    dots = std::make_unique<MicroKernel>(kernel, spec);
  int64_t step = mayBeMany ? MicroKernel::kColumns : kPanel;
  kernel.schedule = "attention rows=" + std::to_string(kRows) + " keys=" + std::to_string(kKeys);
  width = Expr::ceilDiv(size(E), kernel.constant(step)) * step;
  auto floats = [&](Expr count) { return reserve(count * 4); };
  top = kernel.constant(0);
  tableAt = reserve(kernel.constant(kTableRows * 8));
  weightsTableAt = reserve(kernel.constant(kTableRows * 8));
  maximaAt = floats(kernel.constant(kRows));
  sumsAt = floats(kernel.constant(kRows));
  scoresAt = floats(kernel.constant(kTableRows * kKeys));
  outAt = floats(width * kTableRows);
  queryAt = copiesQuery ? floats(size(D) * kRows) : top;
  keysAt = mayBeMany ? floats(size(D) * kKeys) : top;
  valuesAt = mayBeMany ? floats(width * kKeys) : top;
  scalesAt = scaled ? floats(kernel.constant(2 * kKeys)) : top;
  Expr heads = Expr::floorDiv(size(H), kernel.constant(group));
  kernel.stage({size(B) * heads * rowBlocks, top},
               [&](StageEmitter &e) { e.tasks([&](Value number) { task(e, number); }); });
}

AttentionEmitter::Row AttentionEmitter::row(StageEmitter &e, Value local) {
  Value r = e.add(row0, local), rows = sizeOf(e, I);
  if (group == 1)
    return {keyHead, r};
  return {e.add(e.mul(keyHead, e.idx(group)), e.div(r, rows)), e.rem(r, rows)};
}

AttentionEmitter::Keys AttentionEmitter::seen(StageEmitter &e, Value first, Value last, Value j0, Value count) {
  auto inside = [&](Value query, ExprAttr end) {
    Value j = e.sub(e.add(query, e.expr(Expr(end))), j0);
    return e.min(e.max(j, e.idx(0)), count);
  };
  return {op.getSpanFrom() ? inside(first, *op.getSpanFrom()) : e.idx(0),
          op.getSpanTo() ? inside(last, *op.getSpanTo()) : count};
}

void AttentionEmitter::task(StageEmitter &e, Value number) {
  Expr heads = Expr::floorDiv(size(H), kernel.constant(group));
  SmallVector<Value> at = e.delinearize(number, {sizeOf(e, B), e.expr(heads), e.expr(rowBlocks)});
  batch = at[0], keyHead = at[1], row0 = e.mul(at[2], e.idx(kRows));
  numRows = e.min(e.sub(e.expr(rowsAGroup), row0), e.idx(kRows));
  // Rows of several heads are all queries from a head's last ones on to the next one's first.
  Value rows = sizeOf(e, I), first = e.rem(row0, rows), last = e.sub(e.add(first, numRows), e.idx(1));
  Value oneHead = e.lt(last, rows);
  Keys keys = seen(e, e.select(oneHead, first, e.idx(0)), e.select(oneHead, last, e.sub(rows, e.idx(1))), e.idx(0),
                   sizeOf(e, J));
  Value few = e.cmp(arith::CmpIPredicate::sle, numRows, e.idx(kFewRows));
  // What differs between few rows and many is built twice, softmax once.
  auto eitherWay = [&](llvm::function_ref<void(bool)> build) {
    if (mayBeFew && mayBeMany)
      e.ifElse(few, [&] { build(true); }, [&] { build(false); });
    else
      build(!mayBeMany);
  };
  auto walkKeys = [&](Value begin, Value end) {
    prepareRows(e);
    if (kernel.paged) // a block lies in one page
      begin = e.mul(e.div(begin, e.idx(kKeys)), e.idx(kKeys));
    e.loop(begin, end, e.idx(kKeys), [&](Value j0) {
      Value count = e.min(e.sub(end, j0), e.idx(kKeys));
      if (scaled)
        loadScales(e, j0, count);
      eitherWay([&](bool few) { scores(e, j0, count, few); });
      Value nothing = e.constant(e.b.getI1Type(), 0);
      Value any = e.loop(e.idx(0), numRows, e.idx(1), nothing, [&](Value r, ValueRange seen) {
        return SmallVector<Value>{e.op<arith::OrIOp>(seen[0], softmaxRow(e, r, j0, count))};
      })[0];
      e.ifThen(any, [&] { eitherWay([&](bool few) { accumulate(e, j0, count, few); }); });
    });
  };
  if (!op.getSpanLow()) {
    walkKeys(keys.begin, keys.end);
  } else {
    // A second time, over all keys, where a row has seen nothing but very low scores.
    e.loop(e.idx(0), e.idx(2), [&](Value time) {
      Value first = e.eq(time, e.idx(0)), maxima = area(e, maximaAt);
      Value low = e.choose(
          first, [&] { return e.constant(e.b.getI1Type(), 1); },
          [&] {
            Value none = e.constant(e.b.getI1Type(), 0);
            return e.loop(e.idx(0), numRows, e.idx(1), none, [&](Value r, ValueRange seen) {
              Value seesOne =
                  e.op<arith::CmpFOp>(arith::CmpFPredicate::OGT, e.load(maxima, f32, r), e.constant(f32, kSeenScore));
              Value any = e.op<arith::OrIOp>(seen[0], e.select(seesOne, none, e.constant(e.b.getI1Type(), 1)));
              return SmallVector<Value>{any};
            })[0];
          });
      Value begin = e.select(first, keys.begin, e.idx(0)), end = e.select(first, keys.end, sizeOf(e, J));
      e.ifThen(low, [&] { walkKeys(begin, end); });
    });
  }
  finish(e);
}

/// Row pointers, cleared results, no maximum yet.
void AttentionEmitter::prepareRows(StageEmitter &e) {
  Value lowest = e.constant(f32, -std::numeric_limits<double>::infinity()), none = e.constant(f32, 0);
  Type slot = e.b.getI64Type();
  e.loop(e.idx(0), numRows, [&](Value r) {
    Row at = row(e, r);
    Value source = e.at(e.operands[Query].pointer, element(Query), offset(e, Query, {batch, at.head, at.query}));
    Value pointer = source;
    if (copiesQuery) {
      pointer = e.at(area(e, queryAt), f32, e.mul(r, sizeOf(e, D)));
      e.coldLoop(e.idx(0), sizeOf(e, D), [&](Value d) {
        Value x = e.load(source, element(Query), e.mul(d, e.expr(stride(Query, 3))));
        e.store(e.convert(x, f32), pointer, f32, d);
      });
    }
    LLVM::StoreOp::create(e.b, e.loc, pointer, e.at(area(e, tableAt), slot, r), 8);
    Value weights = e.at(area(e, scoresAt), f32, e.mul(r, e.idx(kKeys)));
    LLVM::StoreOp::create(e.b, e.loc, weights, e.at(area(e, weightsTableAt), slot, r), 8);
    e.store(lowest, area(e, maximaAt), f32, r);
    e.store(none, area(e, sumsAt), f32, r);
    Value out = e.at(area(e, outAt), f32, e.mul(r, e.expr(width)));
    e.coldLoop(e.idx(0), e.expr(width), [&](Value i) { e.store(none, out, f32, i); });
  });
  if (!dots)
    return;
  // Spare rows repeat the first.
  e.coldLoop(numRows, e.add(numRows, e.idx(MicroKernel::kSpareRows)), [&](Value r) {
    for (Value table : {area(e, tableAt), area(e, weightsTableAt)}) {
      Value first = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), table, 8);
      LLVM::StoreOp::create(e.b, e.loc, first, e.at(table, slot, r), 8);
    }
  });
}

/// Those of a block's keys, and behind them those of its values: rows read them one after the other.
void AttentionEmitter::loadScales(StageEmitter &e, Value j0, Value count) {
  Value keys = area(e, scalesAt), values = e.at(keys, f32, e.idx(kKeys));
  e.coldLoop(e.idx(0), count, [&](Value j) {
    SmallVector<Value> both = e.inlineAll(op.getScales(), {}, 3, op.getExtras().size(), {batch, keyHead, e.add(j0, j)});
    e.store(both[0], keys, f32, j);
    e.store(both[1], values, f32, j);
  });
}

void AttentionEmitter::product(StageEmitter &e, MicroKernel &micro, Value table, Value panels, Value panelStride,
                               Value columns, Value depth, Value out, Value ld, bool add) {
  Value zero = e.idx(0), height = micro.stripHeight(e, numRows);
  e.loop(zero, numRows, height, [&](Value r0) {
    MicroKernel::Call call;
    call.numRows = e.min(e.sub(numRows, r0), height);
    call.table = e.at(table, e.b.getI64Type(), r0);
    call.tableRows = call.rowOffset = call.tapStep = zero;
    call.taps = e.idx(1);
    call.depth = depth;
    call.panels = panels;
    call.panelStride = panelStride;
    call.numColumns = columns;
    call.out = e.at(out, f32, e.mul(r0, ld));
    call.ld = ld;
    call.accumulate = e.constant(e.b.getI1Type(), add);
    micro.call(e, call);
  });
}

/// scores[r][j] = query r . key j0 + j
void AttentionEmitter::scores(StageEmitter &e, Value j0, Value count, bool few) {
  Value depth = sizeOf(e, D), out = area(e, scoresAt);
  Value alongJ = e.expr(stride(Key, 2)), alongD = e.expr(stride(Key, 3));
  Value keys = block(e, Key, j0);
  if (!few) {
    PackSource source{keys, element(Key), alongD, alongJ, stride(Key, 2).isConstant(1)};
    Value panelStride = e.mul(depth, e.idx(kPanel));
    packPanels(e, source, count, depth, f32, area(e, keysAt), panelStride);
    product(e, *dots, area(e, tableAt), area(e, keysAt), panelStride, count, depth, out, e.idx(kKeys), false);
    return;
  }
  e.loop(e.idx(0), numRows, [&](Value r) {
    Value query = LLVM::LoadOp::create(e.b, e.loc, e.pointerType(), e.at(area(e, tableAt), e.b.getI64Type(), r), 8);
    e.loop(e.idx(0), count, [&](Value j) {
      Value key = e.at(keys, element(Key), e.mul(j, alongJ));
      Value sum = e.loop(e.idx(0), depth, e.idx(1), e.constant(f32, 0), [&](Value d, ValueRange acc) {
        Value x = e.convert(e.load(key, element(Key), e.mul(d, alongD)), f32);
        Value term = e.op<arith::MulFOp>(x, e.load(query, f32, d));
        return SmallVector<Value>{Combine{ReduceKind::add, f32}.apply(e, acc[0], term, true)};
      })[0];
      e.store(sum, out, f32, e.add(e.mul(r, e.idx(kKeys)), j));
    });
  });
}

/// Applies the score region, updates the row's maximum and sum, turns its scores into weights and rescales what was
/// summed up before. Answers whether any weight is not zero.
Value AttentionEmitter::softmaxRow(StageEmitter &e, Value r, Value j0, Value count) {
  Row at = row(e, r);
  Value weights = e.at(area(e, scoresAt), f32, e.mul(r, e.idx(kKeys)));
  Combine max{ReduceKind::max, f32}, add{ReduceKind::add, f32};
  Keys keys{e.idx(0), count};
  if (!op.getSpanLow())
    keys = seen(e, at.query, at.query, j0, count);
  Value best = e.loop(keys.begin, keys.end, e.idx(1), max.neutral(e), [&](Value j, ValueRange acc) {
    Value dot = e.load(weights, f32, j);
    if (scaled)
      dot = e.op<arith::MulFOp>(dot, e.load(area(e, scalesAt), f32, j));
    Value s = e.inlineScalar(op.getScore(), dot, 3, op.getExtras().size(), {batch, at.head, at.query, e.add(j0, j)});
    e.store(s, weights, f32, j);
    return SmallVector<Value>{max.apply(e, acc[0], s, true)};
  })[0];
  Value none = e.constant(f32, 0), lowest = max.neutral(e);
  Value any = e.op<arith::CmpFOp>(arith::CmpFPredicate::UNE, best, lowest);
  e.ifElse(
      any,
      [&] {
        Value before = e.load(area(e, maximaAt), f32, r), now = max.apply(e, before, best, false);
        Value factor = e.op<math::ExpOp>(e.op<arith::SubFOp>(before, now));
        if (op.getSpanFrom() && !op.getSpanLow())
          e.coldLoop(e.idx(0), keys.begin, [&](Value j) { e.store(none, weights, f32, j); });
        if (op.getSpanTo() && !op.getSpanLow())
          e.coldLoop(keys.end, count, [&](Value j) { e.store(none, weights, f32, j); });
        Value total = e.loop(keys.begin, keys.end, e.idx(1), none, [&](Value j, ValueRange acc) {
          Value w = e.op<math::ExpOp>(e.op<arith::SubFOp>(e.load(weights, f32, j), now));
          Value weight = w;
          if (scaled)
            weight = e.op<arith::MulFOp>(w, e.load(area(e, scalesAt), f32, e.add(j, e.idx(kKeys))));
          e.store(weight, weights, f32, j);
          return SmallVector<Value>{add.apply(e, acc[0], w, true)};
        })[0];
        Value sum = e.op<arith::MulFOp>(e.load(area(e, sumsAt), f32, r), factor);
        e.store(e.op<arith::AddFOp>(sum, total), area(e, sumsAt), f32, r);
        e.store(now, area(e, maximaAt), f32, r);
        Value out = e.at(area(e, outAt), f32, e.mul(r, e.expr(width)));
        e.loop(e.idx(0), e.expr(width),
               [&](Value i) { e.store(e.op<arith::MulFOp>(e.load(out, f32, i), factor), out, f32, i); });
      },
      [&] { e.coldLoop(e.idx(0), count, [&](Value j) { e.store(none, weights, f32, j); }); });
  return any;
}

/// out[r] += weights[r] . values
void AttentionEmitter::accumulate(StageEmitter &e, Value j0, Value count, bool few) {
  Value alongJ = e.expr(stride(Values, 2)), alongE = e.expr(stride(Values, 3)), columns = sizeOf(e, E);
  Value values = block(e, Values, j0);
  Value out = area(e, outAt);
  if (!few) {
    PackSource source{values, element(Values), alongJ, alongE, stride(Values, 3).isConstant(1)};
    Value panelStride = e.idx(kKeys * kPanel);
    packPanels(e, source, columns, count, f32, area(e, valuesAt), panelStride);
    product(e, *dots, area(e, weightsTableAt), area(e, valuesAt), panelStride, columns, count, out, e.expr(width),
            true);
    return;
  }
  e.loop(e.idx(0), numRows, [&](Value r) {
    Value target = e.at(out, f32, e.mul(r, e.expr(width)));
    e.loop(e.idx(0), count, [&](Value j) {
      Value w = e.load(area(e, scoresAt), f32, e.add(e.mul(r, e.idx(kKeys)), j));
      Value value = e.at(values, element(Values), e.mul(j, alongJ));
      e.loop(e.idx(0), columns, [&](Value i) {
        Value x = e.convert(e.load(value, element(Values), e.mul(i, alongE)), f32);
        e.store(e.op<math::FmaOp>(w, x, e.load(target, f32, i)), target, f32, i);
      });
    });
  });
}

void AttentionEmitter::finish(StageEmitter &e) {
  const Tensor &result = e.results[0];
  e.loop(e.idx(0), numRows, [&](Value r) {
    Row at = row(e, r);
    Value sum = e.load(area(e, sumsAt), f32, r), base = offset(e, Result, {batch, at.head, at.query});
    Value none = e.constant(f32, 0), rescaled = e.constant(f32, 1);
    if (!op.getSink().empty()) { // one more score of the row, without a value
      Value sink = e.inlineScalar(op.getSink(), {}, 3, op.getExtras().size(), {batch, at.head, at.query});
      Value before = e.load(area(e, maximaAt), f32, r);
      Value now = Combine{ReduceKind::max, f32}.apply(e, before, sink, false);
      // Without any key, or any that is seen, what was summed up is nothing, and so is minus infinity less itself.
      Value any = e.op<arith::CmpFOp>(arith::CmpFPredicate::UNE, before, Combine{ReduceKind::max, f32}.neutral(e));
      rescaled = e.select(any, e.op<math::ExpOp>(e.op<arith::SubFOp>(before, now)), none);
      any = e.op<arith::CmpFOp>(arith::CmpFPredicate::UNE, sink, Combine{ReduceKind::max, f32}.neutral(e));
      Value own = e.select(any, e.op<math::ExpOp>(e.op<arith::SubFOp>(sink, now)), none);
      sum = e.op<arith::AddFOp>(e.op<arith::MulFOp>(sum, rescaled), own);
    }
    Value factor = e.op<arith::DivFOp>(rescaled, sum);
    Value empty = e.op<arith::CmpFOp>(arith::CmpFPredicate::OEQ, sum, none);
    // Where all scores are minus infinity, 0 * inf is the NaN that is asked for; without keys it is a sum over nothing.
    if (!op.getZeroEmpty())
      empty = e.op<arith::AndIOp>(empty, e.cmp(arith::CmpIPredicate::eq, sizeOf(e, J), e.idx(0)));
    factor = e.select(empty, none, factor);
    Value out = e.at(area(e, outAt), f32, e.mul(r, e.expr(width)));
    e.loop(e.idx(0), sizeOf(e, E), [&](Value i) {
      Value y = e.op<arith::MulFOp>(e.load(out, f32, i), factor);
      Value to = e.add(base, e.mul(i, e.expr(stride(Result, 3))));
      e.store(e.convert(y, result.type.scalarType()), result.pointer, result.element(), to);
    });
  });
}

} // namespace

LogicalResult kt::codegen::host::buildAttention(KernelBuilder &kernel, AttentionOp op) {
  AttentionEmitter(kernel, op).build();
  return success();
}
