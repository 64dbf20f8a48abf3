// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-layouts),cse)' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-layouts),cse)' %t | diff %t -

!x = !kt.tensor<[k, m] x f32>
!xt = !kt.tensor<[m, k] x f32>
!w = !kt.tensor<[k, n] x f32>
!r = !kt.tensor<[m, n] x f32>

// CHECK-DAG: #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-DAG: #[[RHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[RES:.*]] = affine_map<(d0, d1, d2) -> (d1, d0)>

// CHECK-LABEL: @factor
// CHECK-NEXT: kt.matmul %arg0, %arg1 {{.*}}maps = [#[[LHS]], #[[RHS]],
func.func @factor(%x: !x, %w: !w) -> !r {
  %t = kt.generic ins(%x : !x) -> !xt {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%j, %i] : !x -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %t, %w {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !xt, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// CHECK-LABEL: @result
// CHECK-NEXT: %[[R:.*]] = kt.matmul %arg0, %arg1 {{.*}}, #[[RES]]]} : {{.*}} -> <[n, m] x f32> epilogue
// CHECK: return %[[R]]
func.func @result(%x: !xt, %w: !w) -> !kt.tensor<[n, m] x f32> {
  %r = kt.matmul %x, %w {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !xt, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.generic ins(%r : !r) -> !kt.tensor<[n, m] x f32> {
  ^bb0(%X: !r, %i: index, %j: index):
    %0 = kt.read %X[%j, %i] : !r -> f32
    kt.yield %0 : f32
  }
  return %t : !kt.tensor<[n, m] x f32>
}

// The activation makes its result in the order that is wanted.
// CHECK-LABEL: @elementwise_result
// CHECK: %[[E:.*]] = kt.generic ins(%arg0 {{.*}} -> <[m, k] x f32>
// CHECK: kt.read %{{.*}}[%[[J:.*]], %[[I:.*]]]
// CHECK: math.exp
// CHECK-NOT: kt.generic
// CHECK: return %[[E]]
func.func @elementwise_result(%x: !x) -> !xt {
  %e = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %t = kt.generic ins(%e : !x) -> !xt {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%j, %i] : !x -> f32
    kt.yield %0 : f32
  }
  return %t : !xt
}

// CHECK-LABEL: @leaves_a_shared_product_alone
// CHECK: %[[R:.*]] = kt.matmul {{.*}} -> <[m, n] x f32>
// CHECK: %[[T:.*]] = kt.generic ins(%[[R]]
// CHECK: return %[[R]], %[[T]]
func.func @leaves_a_shared_product_alone(%x: !xt, %w: !w) -> (!r, !kt.tensor<[n, m] x f32>) {
  %r = kt.matmul %x, %w {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !xt, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.generic ins(%r : !r) -> !kt.tensor<[n, m] x f32> {
  ^bb0(%X: !r, %i: index, %j: index):
    %0 = kt.read %X[%j, %i] : !r -> f32
    kt.yield %0 : f32
  }
  return %r, %t : !r, !kt.tensor<[n, m] x f32>
}

// An activation between a convolution and a pooling that count in another order makes its result in the convolution's, which it can join;
// the pooling reads at permuted indices, and what it checks moves along.
// CHECK-LABEL: @after_a_convolution
// CHECK: %[[C:.*]] = kt.conv
// CHECK: %[[E:.*]] = kt.generic ins(%[[C]] : !kt.tensor<[n, h, w, 8] x f32>) -> <[n, h, w, 8] x f32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[n, h, w, 8] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index, %[[L:.*]]: index):
// CHECK-NEXT: kt.read %[[X]][%[[I]], %[[J]], %[[K]], %[[L]]]
// CHECK: kt.reduce max over [#kt.expr<2>] ins(%[[E]]
// CHECK-NEXT: ^bb0(%[[Y:.*]]: !kt.tensor<[n, h, w, 8] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index, %[[L:.*]]: index, %[[R:.*]]: index):
// CHECK: %[[AT:.*]] = arith.addi %[[K]], %[[R]]
// CHECK: kt.read %[[Y]][%[[I]], %[[AT]], %[[L]], %[[J]]] else %{{.*}} : f32 {check = array<i64: 1>}
func.func @after_a_convolution(%x: !kt.tensor<[n, h, w, 4] x f32>, %w: !kt.tensor<[1, 1, 1, 4, 16] x f32>) -> !kt.tensor<[n, 8, h, w] x f32> {
  %c = kt.conv %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, input_dilations = array<i64: 1, 1>, kernel = array<i64: 1, 1>,
                       pads = [#kt.expr<0>, #kt.expr<0>], strides = array<i64: 1, 1>}
       : !kt.tensor<[n, h, w, 4] x f32>, !kt.tensor<[1, 1, 1, 4, 16] x f32> -> !kt.tensor<[n, h, w, 8] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index, %l: index):
    kt.yield %acc : f32
  }
  %e = kt.generic ins(%c : !kt.tensor<[n, h, w, 8] x f32>) -> !kt.tensor<[n, 8, h, w] x f32> {
  ^bb0(%X: !kt.tensor<[n, h, w, 8] x f32>, %i: index, %j: index, %k: index, %l: index):
    %0 = kt.read %X[%i, %k, %l, %j] : !kt.tensor<[n, h, w, 8] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %p = kt.reduce max over [#kt.expr<2>] ins(%e : !kt.tensor<[n, 8, h, w] x f32>) -> !kt.tensor<[n, 8, h, w] x f32> {
  ^bb0(%E: !kt.tensor<[n, 8, h, w] x f32>, %i: index, %j: index, %k: index, %l: index, %r: index):
    %none = arith.constant 0.0 : f32
    %at = arith.addi %k, %r : index
    %0 = kt.read %E[%i, %j, %at, %l] else %none : f32 {check = array<i64: 2>} : !kt.tensor<[n, 8, h, w] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %E: !kt.tensor<[n, 8, h, w] x f32>, %i: index, %j: index, %k: index, %l: index):
    kt.yield %v : f32
  }
  return %p : !kt.tensor<[n, 8, h, w] x f32>
}

// A pool whose one reader makes its result in another order works in that order, where its reader can join it.
// CHECK-LABEL: @before_what_reads_it_turned
// CHECK: %[[P:.*]] = kt.reduce max over [#kt.expr<2>] ins(%{{.*}}) -> <[n, h, w, 8] x f32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[n, h, w, 8] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index, %[[L:.*]]: index, %[[R:.*]]: index):
// CHECK: %[[AT:.*]] = arith.addi %[[J]], %[[R]]
// CHECK: kt.read %[[X]][%[[I]], %[[AT]], %[[K]], %[[L]]]
// CHECK: kt.generic ins(%[[P]]
// CHECK-NEXT: ^bb0(%[[Y:.*]]: !kt.tensor<[n, h, w, 8] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index, %[[L:.*]]: index):
// CHECK-NEXT: kt.read %[[Y]][%[[I]], %[[J]], %[[K]], %[[L]]]
func.func @before_what_reads_it_turned(%x: !kt.tensor<[n, h, w, 8] x f32>) -> !kt.tensor<[n, h, w, 8] x f32> {
  %p = kt.reduce max over [#kt.expr<2>] ins(%x : !kt.tensor<[n, h, w, 8] x f32>) -> !kt.tensor<[n, 8, h, w] x f32> {
  ^bb0(%X: !kt.tensor<[n, h, w, 8] x f32>, %i: index, %c: index, %k: index, %l: index, %r: index):
    %none = arith.constant 0.0 : f32
    %at = arith.addi %k, %r : index
    %0 = kt.read %X[%i, %at, %l, %c] else %none : f32 {check = array<i64: 1>} : !kt.tensor<[n, h, w, 8] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[n, h, w, 8] x f32>, %i: index, %c: index, %k: index, %l: index):
    kt.yield %v : f32
  }
  %e = kt.generic ins(%p : !kt.tensor<[n, 8, h, w] x f32>) -> !kt.tensor<[n, h, w, 8] x f32> {
  ^bb0(%P: !kt.tensor<[n, 8, h, w] x f32>, %i: index, %k: index, %l: index, %c: index):
    %0 = kt.read %P[%i, %c, %k, %l] : !kt.tensor<[n, 8, h, w] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %e : !kt.tensor<[n, h, w, 8] x f32>
}

// With a second reader it stays.
// CHECK-LABEL: @before_two_readers
// CHECK: kt.reduce add over [#kt.expr<2>] ins(%{{.*}}) -> <[8, n] x f32>
func.func @before_two_readers(%x: !kt.tensor<[n, 8, 2] x f32>) -> (!kt.tensor<[n, 8] x f32>, !kt.tensor<[8, n] x f32>) {
  %p = kt.reduce add over [#kt.expr<2>] ins(%x : !kt.tensor<[n, 8, 2] x f32>) -> !kt.tensor<[8, n] x f32> {
  ^bb0(%X: !kt.tensor<[n, 8, 2] x f32>, %c: index, %i: index, %r: index):
    %0 = kt.read %X[%i, %c, %r] : !kt.tensor<[n, 8, 2] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[n, 8, 2] x f32>, %c: index, %i: index):
    kt.yield %v : f32
  }
  %e = kt.generic ins(%p : !kt.tensor<[8, n] x f32>) -> !kt.tensor<[n, 8] x f32> {
  ^bb0(%P: !kt.tensor<[8, n] x f32>, %i: index, %c: index):
    %0 = kt.read %P[%c, %i] : !kt.tensor<[8, n] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %e, %p : !kt.tensor<[n, 8] x f32>, !kt.tensor<[8, n] x f32>
}
