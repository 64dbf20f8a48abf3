// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-products))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-products))' %t | diff %t -

!x = !kt.tensor<[m, 2] x f32>
!w4 = !kt.tensor<[2, 4] x f32>
!w2 = !kt.tensor<[2, 2] x f32>
!b4 = !kt.tensor<[4] x f32>
!b2 = !kt.tensor<[2] x f32>
!r4 = !kt.tensor<[m, 4] x f32>
!r2 = !kt.tensor<[m, 2] x f32>
#lhs = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// Weights in one panel, biases and a factor that differs joined by column, the results slices.
// CHECK-LABEL: @biased
// CHECK: %[[W:.*]] = kt.constant dense_resource<[[WB:.*]]> : tensor<128xi8> {name = "q+k"} : <[1, 2, 16] x f32>
// CHECK-DAG: %[[B:.*]] = kt.constant dense_resource<[[BB:.*]]> : tensor<24xi8> {name = "bq+bk"} : <[6] x f32>
// CHECK-DAG: %[[S:.*]] = kt.constant dense_resource<[[SB:.*]]> : tensor<24xi8> : <[6] x f32>
// CHECK: %[[M:.*]] = kt.matmul %arg0, %[[W]] extras(%[[B]], %[[S]] : {{.*}} packed} {{.*}} -> <[m, 6] x f32> epilogue {
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[BA:.*]]: !kt.tensor<[6] x f32>, %[[SA:.*]]: !kt.tensor<[6] x f32>, %{{.*}}: index, %[[J:.*]]: index):
// CHECK: %[[BIAS:.*]] = kt.read %[[BA]][%[[J]]]
// CHECK: %[[SUM:.*]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK: %[[SCALE:.*]] = kt.read %[[SA]][%[[J]]]
// CHECK: arith.mulf %[[SUM]], %[[SCALE]]
// CHECK: kt.generic ins(%[[M]] : {{.*}} -> <[m, 4] x f32>
// CHECK: kt.read %{{.*}}[%{{.*}}, %{{.*}}]
// CHECK: kt.generic ins(%[[M]] : {{.*}} -> <[m, 2] x f32>
// CHECK: %[[FOUR:.*]] = arith.constant 4 : index
// CHECK: %[[AT:.*]] = arith.addi %{{.*}}, %[[FOUR]]
// CHECK: kt.read %{{.*}}[%{{.*}}, %[[AT]]]
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @biased(%x: !x) -> (!r4, !r2) {
  %wq = kt.constant dense_resource<q> : tensor<32xi8> {name = "q"} : !w4
  %bq = kt.constant dense_resource<bq> : tensor<16xi8> {name = "bq"} : !b4
  %wk = kt.constant dense_resource<k> : tensor<16xi8> {name = "k"} : !w2
  %bk = kt.constant dense_resource<bk> : tensor<8xi8> {name = "bk"} : !b2
  %q = kt.matmul %x, %wq extras(%bq : !b4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %B: !b4, %i: index, %j: index):
    %b = kt.read %B[%j] : !b4 -> f32
    %0 = arith.addf %acc, %b : f32
    %half = arith.constant 0.5 : f32
    %1 = arith.mulf %0, %half : f32
    kt.yield %1 : f32
  }
  %k = kt.matmul %x, %wk extras(%bk : !b2) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %B: !b2, %i: index, %j: index):
    %b = kt.read %B[%j] : !b2 -> f32
    %0 = arith.addf %acc, %b : f32
    %one = arith.constant 1.0 : f32
    %1 = arith.mulf %0, %one : f32
    kt.yield %1 : f32
  }
  %rq = kt.generic ins(%q : !r4) -> !r4 {
  ^bb0(%Q: !r4, %i: index, %j: index):
    %0 = kt.read %Q[%i, %j] : !r4 -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %rk = kt.generic ins(%k : !r2) -> !r2 {
  ^bb0(%K: !r2, %i: index, %j: index):
    %0 = kt.read %K[%i, %j] : !r2 -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %rq, %rk : !r4, !r2
}

// What is read in heads is a slice of a view in heads; weights lie by columns here.
// CHECK-LABEL: @heads
// CHECK: kt.constant dense_resource<[[H:.*]]> : tensor<128xi8> : <[1, 2, 16] x f32>
// CHECK: %[[M:.*]] = kt.matmul
// CHECK: %[[V:.*]] = kt.reshape %[[M]] : <[m, 6] x f32> -> <[m, 3, 2] x f32>
// CHECK: kt.generic ins(%[[V]] : {{.*}} -> <[m, 2, 2] x f32>
// CHECK: kt.generic ins(%[[V]] : {{.*}} -> <[m, 1, 2] x f32>
// CHECK: %[[TWO:.*]] = arith.constant 2 : index
// CHECK: %[[AT:.*]] = arith.addi %{{.*}}, %[[TWO]]
// CHECK: kt.read %{{.*}}[%{{.*}}, %[[AT]], %{{.*}}]
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @heads(%x: !x) -> !kt.tensor<[m, 2, 2] x f32> {
  %wq = kt.constant dense_resource<q> : tensor<32xi8> : !kt.tensor<[4, 2] x f32>
  %wk = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #nk, #res]} : !x, !kt.tensor<[4, 2] x f32> -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #nk, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %qh = kt.reshape %q : !r4 -> !kt.tensor<[m, 2, 2] x f32>
  %kh = kt.reshape %k : !r2 -> !kt.tensor<[m, 1, 2] x f32>
  %r = kt.generic ins(%qh, %kh : !kt.tensor<[m, 2, 2] x f32>, !kt.tensor<[m, 1, 2] x f32>) -> !kt.tensor<[m, 2, 2] x f32> {
  ^bb0(%Q: !kt.tensor<[m, 2, 2] x f32>, %K: !kt.tensor<[m, 1, 2] x f32>, %i: index, %h: index, %d: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %Q[%i, %h, %d] : !kt.tensor<[m, 2, 2] x f32> -> f32
    %1 = kt.read %K[%i, %zero, %d] : !kt.tensor<[m, 1, 2] x f32> -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !kt.tensor<[m, 2, 2] x f32>
}

// Another product reads its factors where they lie.
// CHECK-LABEL: @factors
// CHECK: %[[M:.*]] = kt.matmul
// CHECK-NOT: kt.generic
// CHECK: kt.matmul %[[M]], %[[M]] {{.*}} views = [#kt.view<[m, 4] strides [8, 1] offset 0>, #kt.view<[m, 4] strides [8, 1] offset 4>]
// CHECK: return
func.func @factors(%x: !x) -> !kt.tensor<[m, m] x f32> {
  %wq = kt.constant dense_resource<q> : tensor<32xi8> : !w4
  %wk = kt.constant dense_resource<u> : tensor<32xi8> : !w4
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.matmul %q, %k {depth = #kt.expr<4>, maps = [#lhs, #nk, #res]} : !r4, !r4 -> !kt.tensor<[m, m] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[m, m] x f32>
}

// What only the epilogue of another reads at its own position is a part of that: panels of both by turns, here one of each. Their extras differ.
// CHECK-LABEL: @gate_and_up
// CHECK: %[[W:.*]] = kt.constant dense_resource<[[PB:.*]]> : tensor<256xi8> {name = "q+u"} : <[2, 2, 16] x f32>
// CHECK: kt.matmul %arg0, %[[W]] extras(%{{.*}} : !kt.tensor<[4] x f32>) {{.*}} packed, parts = 2 : i64} {{.*}} -> <[m, 4] x f32> epilogue {
// CHECK: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32, %[[B:.*]]: !kt.tensor<[4] x f32>, %{{.*}}: index, %[[J:.*]]: index):
// CHECK: %[[BIAS:.*]] = kt.read %[[B]][%[[J]]]
// CHECK: %[[G:.*]] = arith.addf %[[GATE]], %[[BIAS]]
// CHECK: arith.mulf %[[UP]], %[[G]]
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @gate_and_up(%x: !x) -> !r4 {
  %wg = kt.constant dense_resource<q> : tensor<32xi8> {name = "q"} : !w4
  %bg = kt.constant dense_resource<bq> : tensor<16xi8> : !b4
  %wu = kt.constant dense_resource<u> : tensor<32xi8> {name = "u"} : !w4
  %g = kt.matmul %x, %wg extras(%bg : !b4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %B: !b4, %i: index, %j: index):
    %b = kt.read %B[%j] : !b4 -> f32
    %0 = arith.addf %acc, %b : f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %x, %wu extras(%g : !r4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %G: !r4, %i: index, %j: index):
    %0 = kt.read %G[%i, %j] : !r4 -> f32
    %1 = arith.mulf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %r : !r4
}

// Somebody else reads the gate as well, or the epilogue reads it elsewhere.
// CHECK-LABEL: @leaves_shared_gates_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_shared_gates_alone(%x: !x) -> (!r4, !r4) {
  %wg = kt.constant dense_resource<q> : tensor<32xi8> : !w4
  %wu = kt.constant dense_resource<u> : tensor<32xi8> : !w4
  %g = kt.matmul %x, %wg {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.matmul %x, %wu extras(%g : !r4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %G: !r4, %i: index, %j: index):
    %0 = kt.read %G[%i, %j] : !r4 -> f32
    %1 = arith.mulf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %g, %r : !r4, !r4
}

// CHECK-LABEL: @leaves_other_positions_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_other_positions_alone(%x: !x) -> !r4 {
  %wg = kt.constant dense_resource<q> : tensor<32xi8> : !w4
  %wu = kt.constant dense_resource<u> : tensor<32xi8> : !w4
  %g = kt.matmul %x, %wg {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.matmul %x, %wu extras(%g : !r4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %G: !r4, %i: index, %j: index):
    %c3 = arith.constant 3 : index
    %at = arith.subi %c3, %j : index
    %0 = kt.read %G[%i, %at] : !r4 -> f32
    %1 = arith.mulf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %r : !r4
}

// Experts are chosen by one of these: its precision is not the other's.
// CHECK-LABEL: @leaves_choices_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_choices_alone(%x: !x) -> (!kt.tensor<[m, 1] x i64>, !r2) {
  %wq = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %wk = kt.constant dense_resource<l> : tensor<16xi8> : !w2
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %e = kt.reduce argmax over [#kt.expr<2>] ins(%q : !r2) -> !kt.tensor<[m, 1] x i64> {
  ^bb0(%Q: !r2, %i: index, %o: index, %j: index):
    %0 = kt.read %Q[%i, %j] : !r2 -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %Q: !r2, %i: index, %o: index):
    kt.yield %v : i64
  }
  %rk = kt.generic ins(%k : !r2) -> !r2 {
  ^bb0(%K: !r2, %i: index, %j: index):
    %0 = kt.read %K[%i, %j] : !r2 -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %e, %rk : !kt.tensor<[m, 1] x i64>, !r2
}

// Epilogues that are not the same computation: a residual is added to one of them.
// CHECK-LABEL: @leaves_other_epilogues_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_other_epilogues_alone(%x: !x, %y: !r2) -> !r2 {
  %wq = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %wk = kt.constant dense_resource<l> : tensor<16xi8> : !w2
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk extras(%y : !r2) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %Y: !r2, %i: index, %j: index):
    %0 = kt.read %Y[%i, %j] : !r2 -> f32
    %1 = arith.addf %acc, %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%q, %k : !r2, !r2) -> !r2 {
  ^bb0(%Q: !r2, %K: !r2, %i: index, %j: index):
    %0 = kt.read %Q[%i, %j] : !r2 -> f32
    %1 = kt.read %K[%j, %i] : !r2 -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !r2
}

// One has no bias and no factor, one no factor: -0.0 is added and 1.0 multiplied with, which changes nothing.
// CHECK-LABEL: @completed
// CHECK-DAG: %[[B:.*]] = kt.constant dense_resource<[[CB:.*]]> : tensor<32xi8> {name = "bq+bk"} : <[8] x f32>
// CHECK-DAG: %[[S:.*]] = kt.constant dense_resource<[[CS:.*]]> : tensor<32xi8> : <[8] x f32>
// CHECK: kt.matmul %arg0, %{{.*}} extras(%[[S]], %[[B]] : {{.*}} -> <[m, 8] x f32> epilogue {
// CHECK: arith.addf
// CHECK: arith.mulf
// CHECK-NOT: arith
// CHECK: kt.yield
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @completed(%x: !x) -> !r2 {
  %wk = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %wv = kt.constant dense_resource<l> : tensor<16xi8> : !w2
  %wq = kt.constant dense_resource<q> : tensor<32xi8> : !w4
  %bv = kt.constant dense_resource<bk> : tensor<8xi8> {name = "bk"} : !b2
  %bq = kt.constant dense_resource<bq> : tensor<16xi8> {name = "bq"} : !b4
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %q = kt.matmul %x, %wq extras(%bq : !b4) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %B: !b4, %i: index, %j: index):
    %half = arith.constant 0.5 : f32
    %b = kt.read %B[%j] : !b4 -> f32
    %0 = arith.addf %acc, %b : f32
    %1 = arith.mulf %0, %half : f32
    kt.yield %1 : f32
  }
  %v = kt.matmul %x, %wv extras(%bv : !b2) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %B: !b2, %i: index, %j: index):
    %b = kt.read %B[%j] : !b2 -> f32
    %0 = arith.addf %acc, %b : f32
    kt.yield %0 : f32
  }
  %r = kt.generic ins(%q, %k, %v : !r4, !r2, !r2) -> !r2 {
  ^bb0(%Q: !r4, %K: !r2, %V: !r2, %i: index, %j: index):
    %0 = kt.read %Q[%i, %j] : !r4 -> f32
    %1 = kt.read %K[%j, %i] : !r2 -> f32
    %2 = kt.read %V[%i, %j] : !r2 -> f32
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.mulf %3, %2 : f32
    kt.yield %4 : f32
  }
  return %r : !r2
}

// One lacks the bias, and computes something else besides.
// CHECK-LABEL: @leaves_what_lacks_more_alone
// CHECK: kt.matmul {{.*}} epilogue {
// CHECK-NEXT: ^bb0
// CHECK-NEXT: arith.negf
// CHECK-NEXT: kt.yield
// CHECK: kt.matmul
// CHECK: return
func.func @leaves_what_lacks_more_alone(%x: !x) -> !r2 {
  %wk = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %wv = kt.constant dense_resource<l> : tensor<16xi8> : !w2
  %bv = kt.constant dense_resource<bk> : tensor<8xi8> {name = "bk"} : !b2
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.negf %acc : f32
    kt.yield %0 : f32
  }
  %v = kt.matmul %x, %wv extras(%bv : !b2) {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %B: !b2, %i: index, %j: index):
    %b = kt.read %B[%j] : !b2 -> f32
    %0 = arith.addf %acc, %b : f32
    %1 = math.absf %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%k, %v : !r2, !r2) -> !r2 {
  ^bb0(%K: !r2, %V: !r2, %i: index, %j: index):
    %0 = kt.read %K[%j, %i] : !r2 -> f32
    %1 = kt.read %V[%i, %j] : !r2 -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !r2
}

// A slice of it would be a copy.
// CHECK-LABEL: @leaves_results_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_results_alone(%x: !x) -> (!r4, !r2) {
  %wq = kt.constant dense_resource<q> : tensor<32xi8> : !w4
  %wk = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w4 -> !r4 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %q, %k : !r4, !r2
}

// Tied weights would be there twice.
// CHECK-LABEL: @leaves_tied_weights_alone
// CHECK-COUNT-2: kt.matmul
// CHECK: return
func.func @leaves_tied_weights_alone(%x: !x, %i: !kt.tensor<[m] x i64>) -> !r2 {
  %wq = kt.constant dense_resource<k> : tensor<16xi8> : !w2
  %wk = kt.constant dense_resource<l> : tensor<16xi8> : !w2
  %q = kt.matmul %x, %wq {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i0: index, %j0: index):
    kt.yield %acc : f32
  }
  %k = kt.matmul %x, %wk {depth = #kt.expr<2>, maps = [#lhs, #kn, #res]} : !x, !w2 -> !r2 epilogue {
  ^bb0(%acc: f32, %i0: index, %j0: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%q, %k, %wq : !r2, !r2, !w2) -> !r2 {
  ^bb0(%Q: !r2, %K: !r2, %T: !w2, %i0: index, %j0: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %Q[%i0, %j0] : !r2 -> f32
    %1 = kt.read %K[%i0, %j0] : !r2 -> f32
    %2 = kt.read %T[%zero, %j0] : !w2 -> f32
    %3 = arith.mulf %0, %1 : f32
    %4 = arith.mulf %3, %2 : f32
    kt.yield %4 : f32
  }
  return %r : !r2
}

// q is 1 to 8 as [2, 4], k 9 to 12 as [2, 2]: rows 1 2 3 4 9 10 and 5 6 7 8 11 12; biases behind one another.
// CHECK-DAG: [[WB]]: "0x{{[0-9]*}}0000803F0000004000004040000080400000104100002041{{0*}}0000A0400000C0400000E040000000410000304100004041{{0*}}"
// CHECK-DAG: [[BB]]: "0x{{[0-9]*}}0000803F0000004000004040000080400000A0400000C040"
// CHECK-DAG: [[SB]]: "0x{{[0-9]*}}0000003F0000003F0000003F0000003F0000803F0000803F"
// Of the three in order: -0.0, bq and bk; 1.0, 0.5 and 1.0.
// CHECK-DAG: [[CB]]: "0x{{[0-9]*}}00000080000000800000803F0000004000004040000080400000A0400000C040"
// CHECK-DAG: [[CS]]: "0x{{[0-9]*}}0000803F0000803F0000003F0000003F0000003F0000003F0000803F0000803F"
// Panels of q and of u, each of rows 1 2 3 4 and 5 6 7 8, the second negative.
// CHECK-DAG: [[PB]]: "0x{{[0-9]*}}0000803F000000400000404000008040{{0*}}0000A0400000C0400000E04000000041{{0*}}000080BF000000C0000040C0000080C0{{0*}}0000A0C00000C0C00000E0C0000000C1{{0*}}"
// q is [4, 2] here: rows 1 3 5 7 9 11 and 2 4 6 8 10 12.
// CHECK-DAG: [[H]]: "0x{{[0-9]*}}0000803F000040400000A0400000E0400000104100003041{{0*}}00000040000080400000C04000000041000020410000404{{1?0*}}"
{-#
  dialect_resources: {
    builtin: {
      q: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      k: "0x0400000000001041000020410000304100004041",
      l: "0x0400000000001041000020410000304100004041",
      u: "0x04000000000080BF000000C0000040C0000080C00000A0C00000C0C00000E0C0000000C1",
      bq: "0x040000000000803F000000400000404000008040",
      bk: "0x040000000000A0400000C040"
    }
  }
#-}
