// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Computations beside one another in one launch, of unlike shapes.

// What a layer with caches does with one projection of p1 queries, p2 keys and p2 values of 16 numbers: a product of queries with another tensor, keys that are
// changed on the way into their cache, values that go into theirs. p0 rows; p3, p4 extents along the dimension that grows, as stored; p5, p6 the window's begin and length; p7 what is held.
kt.kernel @beside_caches ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"] computes {
^bb0(%m: !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, %c: !kt.tensor<[p0, 16] x f32>, %kp: !kt.tensor<[p2, p3, 16] x f16>, %vp: !kt.tensor<[p2, p3, 16] x f16>):
  %q = kt.generic ins(%m, %c : !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, !kt.tensor<[p0, 16] x f32>) -> !kt.tensor<[p0, p1, 16] x f16> {
  ^bb0(%M: !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, %C: !kt.tensor<[p0, 16] x f32>, %i: index, %h: index, %d: index):
    %0 = kt.read %M[%i, %h, %d] : !kt.tensor<[p0, p1 + 2 * p2, 16] x f16> -> f16
    %1 = kt.read %C[%i, %d] : !kt.tensor<[p0, 16] x f32> -> f32
    %2 = arith.extf %0 : f16 to f32
    %3 = arith.mulf %2, %1 : f32
    %4 = arith.truncf %3 : f32 to f16
    kt.yield %4 : f16
  }
  %k = kt.update axis 1 from #kt.expr<p5> count #kt.expr<p6> ins(%kp, %m, %c : !kt.tensor<[p2, p3, 16] x f16>, !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, !kt.tensor<[p0, 16] x f32>) -> !kt.tensor<[p2, p4, 16] x f16> {
  ^bb0(%P: !kt.tensor<[p2, p3, 16] x f16>, %M: !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, %C: !kt.tensor<[p0, 16] x f32>, %h: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %j = arith.addi %i, %from : index
    %past = kt.size #kt.expr<p7>
    %new = arith.subi %j, %past : index
    %queries = kt.size #kt.expr<p1>
    %head = arith.addi %h, %queries : index
    %none = arith.constant 0.0 : f16
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %P[%h, %j, %d] else %none : f16 {check = array<i64: 1>} : !kt.tensor<[p2, p3, 16] x f16> -> f16
    %1 = kt.read %M[%new, %head, %d] else %none : f16 {check = array<i64: 0>} : !kt.tensor<[p0, p1 + 2 * p2, 16] x f16> -> f16
    %2 = kt.read %C[%new, %d] else %zero : f32 {check = array<i64: 0>} : !kt.tensor<[p0, 16] x f32> -> f32
    %3 = arith.extf %1 : f16 to f32
    %4 = arith.mulf %3, %2 : f32
    %5 = arith.truncf %4 : f32 to f16
    %rows = kt.size #kt.expr<p0>
    %is = arith.cmpi ult, %new, %rows : index
    %6 = arith.select %is, %5, %0 : f16
    kt.yield %6 : f16
  }
  %v = kt.update axis 1 from #kt.expr<p5> count #kt.expr<p6> ins(%vp, %m : !kt.tensor<[p2, p3, 16] x f16>, !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>) -> !kt.tensor<[p2, p4, 16] x f16> {
  ^bb0(%P: !kt.tensor<[p2, p3, 16] x f16>, %M: !kt.tensor<[p0, p1 + 2 * p2, 16] x f16>, %h: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %j = arith.addi %i, %from : index
    %past = kt.size #kt.expr<p7>
    %new = arith.subi %j, %past : index
    %behind = kt.size #kt.expr<p1 + p2>
    %head = arith.addi %h, %behind : index
    %none = arith.constant 0.0 : f16
    %0 = kt.read %P[%h, %j, %d] else %none : f16 {check = array<i64: 1>} : !kt.tensor<[p2, p3, 16] x f16> -> f16
    %1 = kt.read %M[%new, %head, %d] else %0 : f16 {check = array<i64: 0>} : !kt.tensor<[p0, p1 + 2 * p2, 16] x f16> -> f16
    kt.yield %1 : f16
  }
  kt.yield %q, %k, %v : !kt.tensor<[p0, p1, 16] x f16>, !kt.tensor<[p2, p4, 16] x f16>, !kt.tensor<[p2, p4, 16] x f16>
}

// Four parts, each with lanes of its own: a vector that ends where it wants, columns that have to be a multiple of 4, a number, and an index that is looked at.
kt.kernel @beside_shapes ["p0", "p1", "p2", "p3"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>, %y: !kt.tensor<[p1, p2] x f32>, %z: !kt.tensor<[p2] x f32>, %t: !kt.tensor<[] x i64>, %g: !kt.tensor<[p0] x i64>):
  %a = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = arith.addf %0, %0 : f16
    kt.yield %1 : f16
  }
  %b = kt.generic ins(%y, %z : !kt.tensor<[p1, p2] x f32>, !kt.tensor<[p2] x f32>) -> !kt.tensor<[p1, p2] x f32> {
  ^bb0(%Y: !kt.tensor<[p1, p2] x f32>, %Z: !kt.tensor<[p2] x f32>, %i: index, %j: index):
    %0 = kt.read %Y[%i, %j] : !kt.tensor<[p1, p2] x f32> -> f32
    %1 = kt.read %Z[%j] : !kt.tensor<[p2] x f32> -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  %c = kt.generic ins(%t : !kt.tensor<[] x i64>) -> !kt.tensor<[] x i64> {
  ^bb0(%T: !kt.tensor<[] x i64>):
    %0 = kt.read %T[] : !kt.tensor<[] x i64> -> i64
    %1 = arith.muli %0, %0 : i64
    kt.yield %1 : i64
  }
  %d = kt.generic ins(%z, %g : !kt.tensor<[p2] x f32>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%Z: !kt.tensor<[p2] x f32>, %G: !kt.tensor<[p0] x i64>, %i: index):
    %0 = kt.read %G[%i] : !kt.tensor<[p0] x i64> -> i64
    %at = kt.bounded %0 below #kt.expr<p2> site 3 : i64
    %1 = kt.read %Z[%at] : !kt.tensor<[p2] x f32> -> f32
    kt.yield %1 : f32
  }
  kt.yield %a, %b, %c, %d : !kt.tensor<[p0] x f16>, !kt.tensor<[p1, p2] x f32>, !kt.tensor<[] x i64>, !kt.tensor<[p0] x f32>
}
