// RUN: kt-opt --kt-outline-kernels %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels %t | diff %t -

!a = !kt.tensor<[batch, 8] x f32>
!b = !kt.tensor<[seq * 2, 8] x f32>

// Computations that differ in the names of sizes share one kernel; sizes are arguments in order of appearance.
// CHECK-LABEL: @shares
// CHECK-NEXT: kt.launch @generic_0 ins(%arg0 : !kt.tensor<[batch, 8] x f32>) ints [#kt.expr<batch>] -> !kt.tensor<[batch, 8] x f32>
// CHECK-NEXT: kt.launch @generic_0 ins(%arg1 : !kt.tensor<[seq * 2, 8] x f32>) ints [#kt.expr<seq * 2>] -> !kt.tensor<[seq * 2, 8] x f32>
// CHECK-NEXT: return
func.func @shares(%a: !a, %b: !b) -> (!a, !b) {
  %0 = kt.generic ins(%a : !a) -> !a {
  ^bb0(%X: !a, %i: index, %j: index):
    %x = kt.read %X[%i, %j] : !a -> f32
    %y = math.exp %x : f32
    kt.yield %y : f32
  }
  %1 = kt.generic ins(%b : !b) -> !b {
  ^bb0(%X: !b, %i: index, %j: index):
    %x = kt.read %X[%i, %j] : !b -> f32
    %y = math.exp %x : f32
    kt.yield %y : f32
  }
  return %0, %1 : !a, !b
}

// CHECK-LABEL: @another_body
// CHECK-NEXT: kt.launch @generic_1
func.func @another_body(%a: !a) -> !a {
  %0 = kt.generic ins(%a : !a) -> !a {
  ^bb0(%X: !a, %i: index, %j: index):
    %x = kt.read %X[%i, %j] : !a -> f32
    %y = math.tanh %x : f32
    kt.yield %y : f32
  }
  return %0 : !a
}

// Inside branches too.
// CHECK-LABEL: @branches
// CHECK: then {
// CHECK-NEXT: kt.launch @generic_0
// CHECK-NOT: kt.generic
// CHECK: return
func.func @branches(%c: !kt.tensor<[1] x i64>, %a: !a) -> !a {
  kt.item %c[0] as "?c" : !kt.tensor<[1] x i64>
  %r = kt.if <?c> {symbols = [], then_sizes = [], else_sizes = []} -> !a then {
    %0 = kt.generic ins(%a : !a) -> !a {
    ^bb0(%X: !a, %i: index, %j: index):
      %x = kt.read %X[%i, %j] : !a -> f32
      %y = math.exp %x : f32
      kt.yield %y : f32
    }
    kt.yield %0 : !a
  } else {
    kt.yield %a : !a
  }
  return %r : !a
}

// Views compute nothing.
// CHECK-LABEL: @leaves_views_alone
// CHECK-NEXT: kt.reshape
func.func @leaves_views_alone(%a: !a) -> !kt.tensor<[batch, 2, 4] x f32> {
  %0 = kt.reshape %a : !a -> !kt.tensor<[batch, 2, 4] x f32>
  return %0 : !kt.tensor<[batch, 2, 4] x f32>
}

// Sites are parameters: what differs in them only is one kernel.
// CHECK-LABEL: @shares_across_sites
// CHECK: kt.launch @[[GATHER:.*]] ins({{.*}}) ints [#kt.expr<n>, #kt.expr<k>, #kt.expr<7>]
// CHECK: kt.launch @[[GATHER]] ins({{.*}}) ints [#kt.expr<n>, #kt.expr<k>, #kt.expr<9>]
func.func @shares_across_sites(%x: !kt.tensor<[n] x f32>, %i: !kt.tensor<[k] x i64>) -> (!kt.tensor<[k] x f32>, !kt.tensor<[k] x f32>) {
  %a = kt.generic ins(%x, %i : !kt.tensor<[n] x f32>, !kt.tensor<[k] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !kt.tensor<[n] x f32>, %I: !kt.tensor<[k] x i64>, %j: index):
    %0 = kt.read %I[%j] : !kt.tensor<[k] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 7 : i64
    %2 = kt.read %X[%1] : !kt.tensor<[n] x f32> -> f32
    kt.yield %2 : f32
  }
  %b = kt.generic ins(%x, %i : !kt.tensor<[n] x f32>, !kt.tensor<[k] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !kt.tensor<[n] x f32>, %I: !kt.tensor<[k] x i64>, %j: index):
    %0 = kt.read %I[%j] : !kt.tensor<[k] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 9 : i64
    %2 = kt.read %X[%1] : !kt.tensor<[n] x f32> -> f32
    kt.yield %2 : f32
  }
  return %a, %b : !kt.tensor<[k] x f32>, !kt.tensor<[k] x f32>
}

// What is added to an index is a parameter, of which the kernel knows whether it is a multiple of 8 or 4; small ones, and what an index is multiplied
// with, stay.
// CHECK-LABEL: @shares_across_offsets
// CHECK: kt.launch @[[SLICE:.*]] ins(%arg0 : !kt.tensor<[n, 64] x f32>) ints [#kt.expr<n>, #kt.expr<2>]
// CHECK: kt.launch @[[SLICE]] ins(%arg0 : !kt.tensor<[n, 64] x f32>) ints [#kt.expr<n>, #kt.expr<4>]
// CHECK: kt.launch @[[ODD:.*]] ins(%arg0 : !kt.tensor<[n, 64] x f32>) ints [#kt.expr<n>, #kt.expr<9>]
!x = !kt.tensor<[n, 64] x f32>
!y = !kt.tensor<[n, 4] x f32>
func.func @shares_across_offsets(%x: !x) -> (!y, !y, !y) {
  %a = kt.generic ins(%x : !x) -> !y {
  ^bb0(%X: !x, %i: index, %j: index):
    %c = arith.constant 16 : index
    %k = arith.addi %j, %c : index
    %v = kt.read %X[%i, %k] : !x -> f32
    kt.yield %v : f32
  }
  %b = kt.generic ins(%x : !x) -> !y {
  ^bb0(%X: !x, %i: index, %j: index):
    %c = arith.constant 32 : index
    %k = arith.addi %j, %c : index
    %v = kt.read %X[%i, %k] : !x -> f32
    kt.yield %v : f32
  }
  %c = kt.generic ins(%x : !x) -> !y {
  ^bb0(%X: !x, %i: index, %j: index):
    %c = arith.constant 9 : index
    %two = arith.constant 2 : index
    %k = arith.muli %j, %c : index
    %l = arith.addi %k, %two : index
    %m = arith.addi %l, %c : index
    %v = kt.read %X[%i, %m] : !x -> f32
    kt.yield %v : f32
  }
  return %a, %b, %c : !y, !y, !y
}

// Ends of a span are two parameters where they are differences, since parameters are never negative.
// CHECK-LABEL: func.func @spans
// CHECK: kt.launch @attention_0 ins({{.*}}) ints [#kt.expr<b>, #kt.expr<s>, #kt.expr<t>, #kt.expr<s + 7>, #kt.expr<t + 1>]
#h = affine_map<(b, h, i, d) -> (b, h, i, d)>
!q = !kt.tensor<[b, 4, s, 32] x f32>
!k = !kt.tensor<[b, 4, t, 32] x f32>
func.func @spans(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#h, #h, #h, #h], sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>],
       group = 1 : i64, span_from = #kt.expr<t + -1 * s + -7>, span_to = #kt.expr<t + -1 * s + 1>} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r : !q
}

// CHECK: kt.kernel @generic_0 ["p0"] computes {
// CHECK-NEXT: ^bb0(%{{.*}}: !kt.tensor<[p0, 8] x f32>):
// CHECK-NEXT: kt.generic
// CHECK: math.exp
// CHECK: kt.kernel @generic_1 ["p0"] computes {
// CHECK: math.tanh
// CHECK: kt.kernel @[[GATHER]] ["p0", "p1", "p2"] computes {
// CHECK: kt.bounded %{{.*}} below <p0> site 2
// CHECK: kt.kernel @[[SLICE]] ["p0", "p1"] computes {
// CHECK: kt.size <p1 * 8>
// CHECK: kt.kernel @[[ODD]] ["p0", "p1"] computes {
// CHECK-DAG: %[[NINE:.*]] = arith.constant 9
// CHECK-DAG: %[[TWO:.*]] = arith.constant 2
// CHECK-DAG: %[[OFFSET:.*]] = kt.size <p1>
// CHECK: arith.muli %{{.*}}, %[[NINE]]
// CHECK: arith.addi %{{.*}}, %[[TWO]]
// CHECK: arith.addi %{{.*}}, %[[OFFSET]]
// CHECK-NOT: kt.kernel
// CHECK: kt.kernel @attention_0 ["p0", "p1", "p2", "p3", "p4"]
// CHECK: span_from = #kt.expr<p2 + p3 * -1>, span_to = #kt.expr<p1 * -1 + p4>
