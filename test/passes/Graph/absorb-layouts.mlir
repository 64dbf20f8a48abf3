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
