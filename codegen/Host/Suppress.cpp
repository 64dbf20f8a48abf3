//===- Suppress.cpp - greedy selection of boxes on the host ---------------===//
//
// A task is one class of one image. Candidates above the threshold go into a heap of their ranks, the best leaves it
// and is compared with what is selected already; only as much is sorted as is looked at.
//
//===----------------------------------------------------------------------===//

#include "codegen/Common/Boxes.h"
#include "codegen/Host/Emit.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen;
using namespace kt::codegen::host;

namespace {

constexpr int64_t kWork = 2048; // boxes a task looks at, at least

class SuppressEmitter {
public:
  SuppressEmitter(KernelBuilder &kernel, SuppressOp op) : kernel(kernel), op(op) {
    SymTensorType scores = op.getScores().getType();
    classes = scores.dim(1), boxes = scores.dim(2), rows = scores.dim(0) * classes;
    kept = op.getSelected().getType().dim(2);
  }
  void build();

private:
  void row(StageEmitter &e, Value number);
  Value collect(StageEmitter &e, Value number);
  void sink(StageEmitter &e, Value at, Value count, Value rank);
  Value rankAt(StageEmitter &e, Value i) { return e.load(e.scratch, i64, i); }
  Box keptBox(StageEmitter &e, Value i);

  KernelBuilder &kernel;
  SuppressOp op;
  Expr classes, boxes, rows, kept;
  Type i32, i64, f32;
  Value keptBoxes; // five numbers each
};

void SuppressEmitter::build() {
  MLIRContext *context = op.getContext();
  i32 = IntegerType::get(context, 32), i64 = IntegerType::get(context, 64), f32 = Float32Type::get(context);
  Expr one = kernel.constant(1);
  Expr share = Expr::max(Expr::floorDiv(kernel.constant(kWork), Expr::max(boxes, one)), one);
  kernel.schedule = "suppress";
  kernel.stage({Expr::ceilDiv(rows, share), boxes * 8 + kept * 20 + 64}, [&](StageEmitter &e) {
    keptBoxes = e.atBytes(e.scratch, e.expr(boxes * 8));
    e.tasks([&](Value task) {
      Value lo = e.mul(task, e.expr(share)), hi = e.min(e.add(lo, e.expr(share)), e.expr(rows));
      e.loop(lo, hi, [&](Value number) { row(e, number); });
    });
  });
}

/// Ranks of the candidates, in any order; answers how many.
Value SuppressEmitter::collect(StageEmitter &e, Value number) {
  Value n = e.expr(boxes), base = e.mul(number, n);
  Value least = op.getLeast() ? e.load(e.operands[4].pointer, f32, e.idx(0)) : Value();
  return e.loop(e.idx(0), n, e.idx(1), e.idx(0), [&](Value i, ValueRange found) {
    Value score = e.load(e.operands[1].pointer, f32, e.add(base, i));
    auto put = [&] {
      Value position = arith::IndexCastOp::create(e.b, e.loc, i32, i);
      e.store(rankOf(e.b, e.loc, score, position), e.scratch, i64, found[0]);
      return e.add(found[0], e.idx(1));
    };
    if (!least)
      return SmallVector<Value>{put()};
    return SmallVector<Value>{
        e.choose(e.op<arith::CmpFOp>(arith::CmpFPredicate::OGT, score, least), put, [&] { return found[0]; })};
  })[0];
}

/// Puts `rank` at place `at` of the heap of `count`, below all that are larger.
void SuppressEmitter::sink(StageEmitter &e, Value at, Value count, Value rank) {
  Value one = e.idx(1);
  auto larger = [&](Value place) {
    Value left = e.add(e.mul(place, e.idx(2)), one), right = e.add(left, one);
    Value second = e.select(e.lt(right, count), right, left);
    return e.select(e.lt(rankAt(e, left), rankAt(e, second)), second, left);
  };
  Value place = e.whileLoop(
      at,
      [&](ValueRange v) {
        return e.choose(
            e.lt(e.add(e.mul(v[0], e.idx(2)), one), count), [&] { return e.lt(rank, rankAt(e, larger(v[0]))); },
            [&] { return e.constant(e.b.getI1Type(), 0); });
      },
      [&](ValueRange v) {
        Value child = larger(v[0]);
        e.store(rankAt(e, child), e.scratch, i64, v[0]);
        return SmallVector<Value>{child};
      })[0];
  e.store(rank, e.scratch, i64, place);
}

Box SuppressEmitter::keptBox(StageEmitter &e, Value i) {
  Value start = e.mul(i, e.idx(5));
  auto number = [&](int64_t k) { return e.load(keptBoxes, f32, e.add(start, e.idx(k))); };
  return {{number(0), number(1)}, {number(2), number(3)}, number(4)};
}

void SuppressEmitter::row(StageEmitter &e, Value number) {
  Value zero = e.idx(0), one = e.idx(1), two = e.idx(2), slots = e.expr(kept);
  Value most = e.toIndex(e.load(e.operands[2].pointer, i64, zero));
  most = e.max(zero, e.min(most, slots));
  Value threshold = e.load(e.operands[3].pointer, f32, zero), out = e.mul(number, slots);
  Value image = e.mul(e.div(number, e.expr(classes)), e.expr(boxes));
  // Nothing is looked at where nothing is asked for.
  Value candidates = e.choose(e.lt(zero, most), [&] { return collect(e, number); }, [&] { return zero; });
  Value half = e.div(candidates, two);
  e.coldLoop(zero, half, [&](Value i) {
    Value at = e.sub(e.sub(half, one), i);
    sink(e, at, candidates, rankAt(e, at));
  });
  Value count = e.whileLoop(
      {candidates, zero}, [&](ValueRange v) { return e.op<arith::AndIOp>(e.lt(zero, v[0]), e.lt(v[1], most)); },
      [&](ValueRange v) {
        Value left = e.sub(v[0], one), best = rankAt(e, zero);
        e.ifThen(e.lt(zero, left), [&] { sink(e, zero, left, rankAt(e, left)); });
        Value box = arith::IndexCastUIOp::create(e.b, e.loc, e.indexType(), numberOf(e.b, e.loc, best));
        Value start = e.mul(e.add(image, box), e.idx(4));
        std::array<Value, 4> numbers;
        for (int64_t k = 0; k < 4; ++k)
          numbers[k] = e.load(e.operands[0].pointer, f32, e.add(start, e.idx(k)));
        Box candidate = boxOf(e.b, e.loc, numbers, op.getCentred());
        Value met = e.whileLoop(
            zero,
            [&](ValueRange w) {
              return e.choose(
                  e.lt(w[0], v[1]),
                  [&] {
                    Value over = overlap(e.b, e.loc, keptBox(e, w[0]), candidate, threshold);
                    return e.op<arith::XOrIOp>(over, e.constant(e.b.getI1Type(), 1));
                  },
                  [&] { return e.constant(e.b.getI1Type(), 0); });
            },
            [&](ValueRange w) { return SmallVector<Value>{e.add(w[0], one)}; })[0];
        Value isKept = e.eq(met, v[1]);
        e.ifThen(isKept, [&] {
          Value to = e.mul(v[1], e.idx(5));
          Value parts[] = {candidate.low[0], candidate.low[1], candidate.high[0], candidate.high[1], candidate.area};
          for (auto [k, part] : llvm::enumerate(parts))
            e.store(part, keptBoxes, f32, e.add(to, e.idx(k)));
          e.store(e.i64(box), e.results[0].pointer, i64, e.add(out, v[1]));
        });
        return SmallVector<Value>{left, e.select(isKept, e.add(v[1], one), v[1])};
      })[1];
  e.coldLoop(count, slots, [&](Value i) { e.store(e.constant(i64, 0), e.results[0].pointer, i64, e.add(out, i)); });
  e.store(e.i64(count), e.results[1].pointer, i64, number);
}

} // namespace

LogicalResult kt::codegen::host::buildSuppress(KernelBuilder &kernel, SuppressOp op) {
  SuppressEmitter(kernel, op).build();
  return success();
}
