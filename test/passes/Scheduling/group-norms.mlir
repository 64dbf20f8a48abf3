// RUN: kt-opt --kt-outline-kernels=group %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels=group %t | diff %t -

#mk = affine_map<(b, m, n, k) -> (b, m, k)>
#nk = affine_map<(b, m, n, k) -> (n, k)>
#mn = affine_map<(b, m, n, k) -> (b, m, n)>
!x = !kt.tensor<[batch, n, 64] x f16>
!y = !kt.tensor<[batch, n, 32] x f16>
!g = !kt.tensor<[64] x f16>
!p = !kt.tensor<[2, 64, 16] x f16>

// A norm that one product alone reads, whose rows may be few, is the product's: it is launched where that is.
// CHECK-LABEL: @normed
// CHECK-NEXT: %[[S:.*]] = kt.launch @generic_
// CHECK-NEXT: kt.launch @[[NORMED:matmul_[0-9]+]] ins(%arg0, %arg1, %arg2, %[[S]] : {{.*}} -> !kt.tensor<[batch, n, 64] x f16>, !kt.tensor<[batch, n, 32] x f16>
// CHECK-NEXT: return
func.func @normed(%a: !x, %g: !g, %w: !p, %b: !y) -> !y {
  %x = kt.normalize rms ins(%a, %g : !x, !g) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !x {
  ^bb0(%A: !x, %G: !g, %i: index, %j: index, %k: index):
    %0 = kt.read %A[%i, %j, %k] : !x -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !x, %G: !g, %i: index, %j: index, %k: index):
    %0 = kt.read %G[%k] : !g -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.mulf %v, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  %s = kt.generic ins(%b : !y) -> !y {
  ^bb0(%B: !y, %i: index, %j: index, %k: index):
    %0 = kt.read %B[%i, %j, %k] : !y -> f16
    %1 = math.exp %0 : f16
    kt.yield %1 : f16
  }
  %y = kt.matmul %x, %w extras(%s : !y) {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed} : !x, !p -> !y epilogue {
  ^bb0(%acc: f32, %S: !y, %i: index, %j: index, %k: index):
    %0 = kt.read %S[%i, %j, %k] : !y -> f16
    %1 = arith.truncf %acc : f32 to f16
    %2 = arith.addf %0, %1 : f16
    kt.yield %2 : f16
  }
  return %y : !y
}

// Rows that are many, that others read as well, or that are looked up are made once.
// CHECK-LABEL: @normed_by_itself
// CHECK-NEXT: kt.launch @normalize_
// CHECK-NEXT: kt.launch @matmul_
// CHECK-NEXT: kt.launch @normalize_
// CHECK-NEXT: kt.launch @reduce_
// CHECK-NEXT: kt.launch @matmul_
// CHECK-NEXT: kt.launch @normalize_
// CHECK-NEXT: kt.launch @matmul_
// CHECK-NEXT: return
func.func @normed_by_itself(%a: !kt.tensor<[batch, 197, 64] x f16>, %b: !x, %t: !kt.tensor<[rows, 64] x f16>, %ids: !kt.tensor<[batch, n] x i64>, %w: !p)
    -> (!kt.tensor<[batch, 197, 32] x f16>, !kt.tensor<[batch, n] x f16>, !y, !y) {
  %x = kt.normalize rms ins(%a : !kt.tensor<[batch, 197, 64] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[batch, 197, 64] x f16> {
  ^bb0(%A: !kt.tensor<[batch, 197, 64] x f16>, %i: index, %j: index, %k: index):
    %0 = kt.read %A[%i, %j, %k] : !kt.tensor<[batch, 197, 64] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !kt.tensor<[batch, 197, 64] x f16>, %i: index, %j: index, %k: index):
    %0 = arith.truncf %v : f32 to f16
    kt.yield %0 : f16
  }
  %y = kt.matmul %x, %w {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed} : !kt.tensor<[batch, 197, 64] x f16>, !p -> !kt.tensor<[batch, 197, 32] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %x2 = kt.normalize rms ins(%b : !x) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !x {
  ^bb0(%A: !x, %i: index, %j: index, %k: index):
    %0 = kt.read %A[%i, %j, %k] : !x -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !x, %i: index, %j: index, %k: index):
    %0 = arith.truncf %v : f32 to f16
    kt.yield %0 : f16
  }
  %r = kt.reduce max over [#kt.expr<64>] ins(%x2 : !x) -> !kt.tensor<[batch, n] x f16> {
  ^bb0(%X: !x, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %j, %k] : !x -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !x, %i: index, %j: index):
    kt.yield %v : f16
  }
  %y2 = kt.matmul %x2, %w {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed} : !x, !p -> !y epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %x3 = kt.normalize rms ins(%t, %ids : !kt.tensor<[rows, 64] x f16>, !kt.tensor<[batch, n] x i64>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !x {
  ^bb0(%T: !kt.tensor<[rows, 64] x f16>, %I: !kt.tensor<[batch, n] x i64>, %i: index, %j: index, %k: index):
    %0 = kt.read %I[%i, %j] : !kt.tensor<[batch, n] x i64> -> i64
    %1 = kt.bounded %0 below <rows> site 0 : i64
    %2 = kt.read %T[%1, %k] : !kt.tensor<[rows, 64] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    kt.yield %3 : f32
  } epilogue {
  ^bb0(%v: f32, %T: !kt.tensor<[rows, 64] x f16>, %I: !kt.tensor<[batch, n] x i64>, %i: index, %j: index, %k: index):
    %0 = arith.truncf %v : f32 to f16
    kt.yield %0 : f16
  }
  %y3 = kt.matmul %x3, %w {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed} : !x, !p -> !y epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %y, %r, %y2, %y3 : !kt.tensor<[batch, 197, 32] x f16>, !kt.tensor<[batch, n] x f16>, !y, !y
}

// It keeps the length of its rows.
// CHECK: kt.kernel @[[NORMED]] ["p0", "p1", "p2", "p3"] computes {
// CHECK-NEXT: ^bb0(%[[A:.*]]: !kt.tensor<[p0, p1, 64] x f16>, %[[G:.*]]: !kt.tensor<[64] x f16>, %[[W:.*]]: !kt.tensor<[2, 64, 16] x f16>, %[[B:.*]]: {{.*}}):
// CHECK-NEXT: %[[X:.*]] = kt.normalize rms ins(%[[A]], %[[G]] :
// CHECK: %[[Y:.*]] = kt.matmul %[[X]], %[[W]] extras(%[[B]] :
// CHECK: kt.yield %[[X]], %[[Y]]
