// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.update: windows of caches. p0 and p1 are rows and heads; p2 and p3 the extents along the dimension that grows, as stored; p4 and p5 the window's begin
// and length; with pages (`kt.pages`: by operand and result the dimension that is cut) p2 and p3 are the rows of one; p6 what is held (of those with lengths: whether it is kept); p7 what is new.

kt.kernel @window_f16 ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"] attributes {kt.pages = array<i64: 2, -1, 2>} computes {
^bb0(%p: !kt.tensor<[p0, p1, p2, 64] x f16>, %n: !kt.tensor<[p0, p7, p1, 64] x f16>):
  %r = kt.update axis 2 from #kt.expr<p4> count #kt.expr<p5> ins(%p, %n : !kt.tensor<[p0, p1, p2, 64] x f16>, !kt.tensor<[p0, p7, p1, 64] x f16>) -> !kt.tensor<[p0, p1, p3, 64] x f16> {
  ^bb0(%P: !kt.tensor<[p0, p1, p2, 64] x f16>, %N: !kt.tensor<[p0, p7, p1, 64] x f16>, %b: index, %h: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p4>
    %j = arith.addi %i, %from : index
    %past = kt.size #kt.expr<p6>
    %k = arith.subi %j, %past : index
    %none = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %h, %j, %d] else %none : f16 {check = array<i64: 2>} : !kt.tensor<[p0, p1, p2, 64] x f16> -> f16
    %1 = kt.read %N[%b, %k, %h, %d] else %0 : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p7, p1, 64] x f16> -> f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, p3, 64] x f16>
}

kt.kernel @window_f32_odd ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"] attributes {kt.pages = array<i64: 2, -1, 2>} computes {
^bb0(%p: !kt.tensor<[p0, p1, p2, 5] x f32>, %n: !kt.tensor<[p0, p7, p1, 5] x f32>):
  %r = kt.update axis 2 from #kt.expr<p4> count #kt.expr<p5> ins(%p, %n : !kt.tensor<[p0, p1, p2, 5] x f32>, !kt.tensor<[p0, p7, p1, 5] x f32>) -> !kt.tensor<[p0, p1, p3, 5] x f32> {
  ^bb0(%P: !kt.tensor<[p0, p1, p2, 5] x f32>, %N: !kt.tensor<[p0, p7, p1, 5] x f32>, %b: index, %h: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p4>
    %j = arith.addi %i, %from : index
    %past = kt.size #kt.expr<p6>
    %k = arith.subi %j, %past : index
    %none = arith.constant 0.0 : f32
    %0 = kt.read %P[%b, %h, %j, %d] else %none : f32 {check = array<i64: 2>} : !kt.tensor<[p0, p1, p2, 5] x f32> -> f32
    %1 = kt.read %N[%b, %k, %h, %d] else %0 : f32 {check = array<i64: 1>} : !kt.tensor<[p0, p7, p1, 5] x f32> -> f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, p3, 5] x f32>
}

kt.kernel @window_bf16_lengths ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"] attributes {kt.pages = array<i64: 2, -1, -1, 2>} computes {
^bb0(%p: !kt.tensor<[p0, p1, p2, 64] x bf16>, %n: !kt.tensor<[p0, p7, p1, 64] x bf16>, %l: !kt.tensor<[p0] x i64>):
  %r = kt.update axis 2 from #kt.expr<0> count #kt.expr<p5> ins(%p, %n, %l : !kt.tensor<[p0, p1, p2, 64] x bf16>, !kt.tensor<[p0, p7, p1, 64] x bf16>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0, p1, p3, 64] x bf16> {
  ^bb0(%P: !kt.tensor<[p0, p1, p2, 64] x bf16>, %N: !kt.tensor<[p0, p7, p1, 64] x bf16>, %L: !kt.tensor<[p0] x i64>, %b: index, %h: index, %i: index, %d: index):
    %length = kt.read %L[%b] : !kt.tensor<[p0] x i64> -> i64
    %at = arith.index_cast %length : i64 to index
    %kept = kt.size #kt.expr<p6>
    %zero = arith.constant 0 : index
    %is = arith.cmpi ne, %kept, %zero : index
    %from = arith.select %is, %at, %zero : index
    %j = arith.addi %i, %from : index
    %k = arith.subi %j, %at : index
    %none = arith.constant 0.0 : bf16
    %0 = kt.read %P[%b, %h, %j, %d] else %none : bf16 {check = array<i64: 2>} : !kt.tensor<[p0, p1, p2, 64] x bf16> -> bf16
    %1 = kt.read %N[%b, %k, %h, %d] else %0 : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, p7, p1, 64] x bf16> -> bf16
    kt.yield %1, %from : bf16, index
  }
  kt.yield %r : !kt.tensor<[p0, p1, p3, 64] x bf16>
}

// Columns are added.
kt.kernel @window_columns ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"] computes {
^bb0(%p: !kt.tensor<[p0, p1, p2] x f16>, %n: !kt.tensor<[p0, p1, p7] x f16>):
  %r = kt.update axis 2 from #kt.expr<p4> count #kt.expr<p5> ins(%p, %n : !kt.tensor<[p0, p1, p2] x f16>, !kt.tensor<[p0, p1, p7] x f16>) -> !kt.tensor<[p0, p1, p3] x f16> {
  ^bb0(%P: !kt.tensor<[p0, p1, p2] x f16>, %N: !kt.tensor<[p0, p1, p7] x f16>, %b: index, %h: index, %i: index):
    %from = kt.size #kt.expr<p4>
    %j = arith.addi %i, %from : index
    %past = kt.size #kt.expr<p6>
    %k = arith.subi %j, %past : index
    %none = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %h, %j] else %none : f16 {check = array<i64: 2>} : !kt.tensor<[p0, p1, p2] x f16> -> f16
    %1 = kt.read %N[%b, %h, %k] else %0 : f16 {check = array<i64: 2>} : !kt.tensor<[p0, p1, p7] x f16> -> f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, p3] x f16>
}

// Each row goes where data says: p0 rows into p1 places. What is outside is not stored.
kt.kernel @window_places ["p0", "p1"] computes {
^bb0(%n: !kt.tensor<[p0, 3, 64] x f16>, %at: !kt.tensor<[p0] x i64>):
  %r = kt.update axis 0 from #kt.expr<0> count #kt.expr<p0> ins(%n, %at : !kt.tensor<[p0, 3, 64] x f16>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p1, 3, 64] x f16> {
  ^bb0(%N: !kt.tensor<[p0, 3, 64] x f16>, %A: !kt.tensor<[p0] x i64>, %i: index, %h: index, %d: index):
    %0 = kt.read %N[%i, %h, %d] : !kt.tensor<[p0, 3, 64] x f16> -> f16
    %1 = kt.read %A[%i] : !kt.tensor<[p0] x i64> -> i64
    %place = arith.index_cast %1 : i64 to index
    %moved = arith.subi %place, %i : index
    kt.yield %0, %moved : f16, index
  }
  kt.yield %r : !kt.tensor<[p1, 3, 64] x f16>
}
