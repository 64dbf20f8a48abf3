// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-mark-lookups))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-mark-lookups))' %t | diff %t -

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
!t = !kt.tensor<[2, 3] x f32>
!ids = !kt.tensor<[n] x i64>
!r = !kt.tensor<[n, 3] x f32>

// An embedding's rows are looked up; what is read at a body's own places, or at computed ones that no data has a part in, is read as a whole.
// CHECK-LABEL: @reads
// CHECK: kt.constant {{.*}} {looked_up, name = "embedding"}
// CHECK-NEXT: kt.constant {{.*}} {name = "bias"}
// CHECK-NEXT: kt.constant {{.*}} {name = "turned"}
func.func @reads(%ids: !ids) -> !r {
  %t = kt.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32> {name = "embedding"} : !t
  %b = kt.constant dense<[4.0, 8.0, 9.0]> : tensor<3xf32> {name = "bias"} : !kt.tensor<[3] x f32>
  %c = kt.constant dense<[5.0, 8.0, 9.0]> : tensor<3xf32> {name = "turned"} : !kt.tensor<[3] x f32>
  %r = kt.generic ins(%t, %ids, %b, %c : !t, !ids, !kt.tensor<[3] x f32>, !kt.tensor<[3] x f32>) -> !r {
  ^bb0(%T: !t, %I: !ids, %B: !kt.tensor<[3] x f32>, %C: !kt.tensor<[3] x f32>, %i: index, %j: index):
    %0 = kt.read %I[%i] : !ids -> i64
    %1 = kt.bounded %0 below <2> site 0 : i64
    %2 = kt.read %T[%1, %j] : !t -> f32
    %3 = kt.read %B[%j] : !kt.tensor<[3] x f32> -> f32
    %two = arith.constant 2 : index
    %last = arith.subi %two, %j : index
    %4 = kt.read %C[%last] : !kt.tensor<[3] x f32> -> f32
    %5 = arith.addf %2, %3 : f32
    %6 = arith.addf %5, %4 : f32
    kt.yield %6 : f32
  }
  return %r : !r
}

// One that a product has as well is read as a whole, and so is what the graph gives.
// CHECK-LABEL: @tied
// CHECK: kt.constant {{.*}} {name = "tied"}
// CHECK-NEXT: kt.constant {{.*}} {name = "given"}
func.func @tied(%ids: !ids, %x: !r) -> (!r, !kt.tensor<[n, 2] x f32>, !t) {
  %t = kt.constant dense<[[2.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32> {looked_up, name = "tied"} : !t
  %g = kt.constant dense<[[3.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32> {name = "given"} : !t
  %r = kt.generic ins(%t, %g, %ids : !t, !t, !ids) -> !r {
  ^bb0(%T: !t, %G: !t, %I: !ids, %i: index, %j: index):
    %0 = kt.read %I[%i] : !ids -> i64
    %1 = kt.bounded %0 below <2> site 0 : i64
    %2 = kt.read %T[%1, %j] : !t -> f32
    %3 = kt.read %G[%1, %j] : !t -> f32
    %4 = arith.addf %2, %3 : f32
    kt.yield %4 : f32
  }
  %y = kt.matmul %x, %t {maps = [#mk, #nk, #mn], depth = #kt.expr<3>} : !r, !t -> !kt.tensor<[n, 2] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r, %y, %g : !r, !kt.tensor<[n, 2] x f32>, !t
}
