// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-turn-products))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-turn-products))' %t | diff %t -
// The transposition that is left becomes the product's order, and the reader its epilogue.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-turn-products,kt-absorb-layouts,kt-fuse-epilogues))' %s | FileCheck %s --check-prefix=FUSED

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#b_nk = affine_map<(b, m, n, k) -> (n, k)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>

!x = !kt.tensor<[s * b, 16] x f32>
!w = !kt.tensor<[24, 16] x f32>
!bias = !kt.tensor<[24] x f32>
!c = !kt.tensor<[s * b, 24] x f32>
!v = !kt.tensor<[s, b, 24] x f32>
!y = !kt.tensor<[b, s, 24] x f32>

// Rows s * b are two dimensions then, and the epilogue, which reads by the row, gets the number of it.
// CHECK-LABEL: @sequence_first(
// CHECK-NEXT: %[[P:.*]] = kt.matmul %arg0, %arg1 extras(%arg2 : !kt.tensor<[b * s] x f32>)
// CHECK-SAME: views = [#kt.view<[s, b, 16] strides [b * 16, 16, 1] offset 0>, #kt.view<none>]
// CHECK-SAME: -> <[s, b, 24] x f32> epilogue {
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: !kt.tensor<[b * s] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %{{.*}}: index):
// CHECK: %[[SIZE:.*]] = kt.size <b>
// CHECK: %[[ROW:.*]] = arith.muli %[[I]], %[[SIZE]]
// CHECK: %[[AT:.*]] = arith.addi %[[ROW]], %[[J]]
// CHECK: kt.read %[[E]][%[[AT]]]
// CHECK: %[[T:.*]] = kt.generic ins(%[[P]] : !kt.tensor<[s, b, 24] x f32>) -> <[b, s, 24] x f32>
// CHECK: kt.read %{{.*}}[%[[T1:.*]], %[[T0:.*]], %{{.*}}]
// CHECK: kt.generic ins(%[[T]], %arg3
// CHECK: ^bb0(%{{.*}}, %{{.*}}, %[[R0:.*]]: index, %[[R1:.*]]: index, %[[R2:.*]]: index):
// CHECK: kt.read %{{.*}}[%[[R0]], %[[R1]], %[[R2]]]
// CHECK-NOT: kt.reshape
// FUSED-LABEL: @sequence_first(
// FUSED-NEXT: kt.matmul %arg0, %arg1 extras(%arg2, %arg3
// FUSED-SAME: -> <[b, s, 24] x f32> epilogue {
// FUSED-NOT: kt.generic
// FUSED: return
func.func @sequence_first(%x: !x, %w: !w, %e: !kt.tensor<[s * b] x f32>, %y: !y) -> !y {
  %c = kt.matmul %x, %w extras(%e : !kt.tensor<[s * b] x f32>) {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %E: !kt.tensor<[s * b] x f32>, %i: index, %j: index):
    %0 = kt.read %E[%i] : !kt.tensor<[s * b] x f32> -> f32
    %1 = arith.addf %acc, %0 : f32
    kt.yield %1 : f32
  }
  %v = kt.reshape %c : !c -> !v
  %r = kt.generic ins(%v, %y : !v, !y) -> !y {
  ^bb0(%V: !v, %Y: !y, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    %1 = kt.read %Y[%i, %j, %k] : !y -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !y
}

// A norm of rows reads them in any order too.
// CHECK-LABEL: @norm_of_turned_rows(
// CHECK: kt.matmul %arg0, %arg1
// CHECK-SAME: -> <[s, b, 24] x f32> epilogue {
// CHECK: %[[T:.*]] = kt.generic ins(%{{.*}} : !kt.tensor<[s, b, 24] x f32>) -> <[b, s, 24] x f32>
// CHECK: kt.normalize layer ins(%[[T]], %arg2
// CHECK: ^bb0(%[[V:.*]]: !kt.tensor<[b, s, 24] x f32>, %{{.*}}, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index):
// CHECK: kt.read %[[V]][%[[I]], %[[J]], %[[K]]]
// FUSED-LABEL: @norm_of_turned_rows(
// FUSED: %[[P:.*]] = kt.matmul %arg0, %arg1
// FUSED-SAME: -> <[b, s, 24] x f32> epilogue {
// FUSED-NOT: kt.generic
// FUSED: kt.normalize layer ins(%[[P]], %arg2
func.func @norm_of_turned_rows(%x: !x, %w: !w, %y: !y) -> !y {
  %c = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %c : !c -> !v
  %r = kt.normalize layer ins(%v, %y : !v, !y) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !y {
  ^bb0(%V: !v, %Y: !y, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    %1 = kt.read %Y[%i, %j, %k] : !y -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !v, %Y: !y, %i: index, %j: index, %k: index):
    kt.yield %acc : f32
  }
  return %r : !y
}

// A norm over two dimensions, and one that reads in another order at its end than at its beginning.
// CHECK-LABEL: @leaves_other_norms_alone(
// CHECK-COUNT-2: -> <[b * s, 24] x f32> epilogue
func.func @leaves_other_norms_alone(%x: !x, %w: !w) -> (!y, !kt.tensor<[n, n, 24] x f32>) {
  %c0 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v0 = kt.reshape %c0 : !c -> !v
  %r0 = kt.normalize layer ins(%v0 : !v) {axes = 2 : i64, epsilon = 1.0e-5 : f64} -> !y {
  ^bb0(%V: !v, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !v, %i: index, %j: index, %k: index):
    kt.yield %acc : f32
  }
  %z = kt.reshape %x : !x -> !x
  %c1 = kt.matmul %z, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v1 = kt.reshape %c1 : !c -> !kt.tensor<[n, n, 24] x f32>
  %r1 = kt.normalize layer ins(%v1 : !kt.tensor<[n, n, 24] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[n, n, 24] x f32> {
  ^bb0(%V: !kt.tensor<[n, n, 24] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !kt.tensor<[n, n, 24] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !kt.tensor<[n, n, 24] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%i, %j, %k] : !kt.tensor<[n, n, 24] x f32> -> f32
    %1 = arith.addf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %r0, %r1 : !y, !kt.tensor<[n, n, 24] x f32>
}

// Windows of 7 by 7 of an image, back in the image's order; the left side is a part of wider rows already.
// CHECK-LABEL: @windows(
// CHECK-NEXT: kt.matmul %arg0, %arg1
// CHECK-SAME: packed
// CHECK-SAME: views = [#kt.view<[b, h, w, 7, 7, 16] strides [h * w * 2352, w * 2352, 2352, 336, 48, 1] offset 16>, #kt.view<none>]
// CHECK-SAME: -> <[b, h, w, 7, 7, 24] x f32>
// CHECK: kt.generic ins(%{{.*}}) -> <[b, h, 7, w, 7, 24] x f32>
func.func @windows(%x: !kt.tensor<[b * h * w * 49, 48] x f32>, %w: !kt.tensor<[2, 16, 16] x f32>, %y: !kt.tensor<[b, h, 7, w, 7, 24] x f32>) -> !kt.tensor<[b, h, 7, w, 7, 24] x f32> {
  %c = kt.matmul %x, %w {packed, depth = #kt.expr<16>, maps = [#mk, #nk, #mn], views = [#kt.view<[b * h * w * 49, 16] strides [48, 1] offset 16>, #kt.view<none>]}
       : !kt.tensor<[b * h * w * 49, 48] x f32>, !kt.tensor<[2, 16, 16] x f32> -> !kt.tensor<[b * h * w * 49, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %c : !kt.tensor<[b * h * w * 49, 24] x f32> -> !kt.tensor<[b, h, w, 7, 7, 24] x f32>
  %r = kt.generic ins(%v, %y : !kt.tensor<[b, h, w, 7, 7, 24] x f32>, !kt.tensor<[b, h, 7, w, 7, 24] x f32>) -> !kt.tensor<[b, h, 7, w, 7, 24] x f32> {
  ^bb0(%V: !kt.tensor<[b, h, w, 7, 7, 24] x f32>, %Y: !kt.tensor<[b, h, 7, w, 7, 24] x f32>, %b: index, %h: index, %i: index, %w0: index, %j: index, %n: index):
    %0 = kt.read %V[%b, %h, %w0, %i, %j, %n] : !kt.tensor<[b, h, w, 7, 7, 24] x f32> -> f32
    %1 = kt.read %Y[%b, %h, %i, %w0, %j, %n] : !kt.tensor<[b, h, 7, w, 7, 24] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !kt.tensor<[b, h, 7, w, 7, 24] x f32>
}

// The order of a product that someone else reads too is not one reader's. (Nor is that of a result that leaves the graph.)
// CHECK-LABEL: @leaves_products_of_two_readers_alone(
// CHECK-NEXT: kt.matmul
// CHECK-SAME: -> <[b * s, 24] x f32>
// CHECK: kt.reshape
func.func @leaves_products_of_two_readers_alone(%x: !x, %w: !w) -> (!y, !v) {
  %c = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %c : !c -> !v
  %r = kt.generic ins(%v : !v) -> !y {
  ^bb0(%V: !v, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %r, %v : !y, !v
}

// Readers in the same order, of elements twice, of what may lie outside, with the columns turned.
// CHECK-LABEL: @leaves_other_readers_alone(
// CHECK-COUNT-4: -> <[b * s, 24] x f32> epilogue
func.func @leaves_other_readers_alone(%x: !x, %w: !w) -> (!v, !y, !y, !kt.tensor<[24, b, s] x f32>) {
  %c0 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v0 = kt.reshape %c0 : !c -> !v
  %r0 = kt.generic ins(%v0 : !v) -> !v {
  ^bb0(%V: !v, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%i, %j, %k] : !v -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %c1 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v1 = kt.reshape %c1 : !c -> !v
  %r1 = kt.generic ins(%v1 : !v) -> !y {
  ^bb0(%V: !v, %i: index, %j: index, %k: index):
    %z = arith.constant 0 : index
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    %1 = kt.read %V[%j, %i, %z] : !v -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %c2 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v2 = kt.reshape %c2 : !c -> !v
  %r2 = kt.generic ins(%v2 : !v) -> !y {
  ^bb0(%V: !v, %i: index, %j: index, %k: index):
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %V[%j, %i, %k] else %zero : f32 : !v -> f32
    kt.yield %0 : f32
  }
  %c3 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !x, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v3 = kt.reshape %c3 : !c -> !v
  %r3 = kt.generic ins(%v3 : !v) -> !kt.tensor<[24, b, s] x f32> {
  ^bb0(%V: !v, %k: index, %i: index, %j: index):
    %0 = kt.read %V[%j, %i, %k] : !v -> f32
    kt.yield %0 : f32
  }
  return %r0, %r1, %r2, %r3 : !v, !y, !y, !kt.tensor<[24, b, s] x f32>
}

// A view that splits the columns, and a product that has a batch.
// CHECK-LABEL: @leaves_other_products_alone(
// CHECK: -> <[n, 24] x f32> epilogue
// CHECK: -> <[c, b * s, 24] x f32> epilogue
func.func @leaves_other_products_alone(%x: !kt.tensor<[n, 16] x f32>, %w: !w, %z: !kt.tensor<[c, s * b, 16] x f32>)
    -> (!kt.tensor<[4, n, 6] x f32>, !kt.tensor<[c, b, s, 24] x f32>) {
  %c0 = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !kt.tensor<[n, 16] x f32>, !w -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v0 = kt.reshape %c0 : !kt.tensor<[n, 24] x f32> -> !kt.tensor<[n, 4, 6] x f32>
  %r0 = kt.generic ins(%v0 : !kt.tensor<[n, 4, 6] x f32>) -> !kt.tensor<[4, n, 6] x f32> {
  ^bb0(%V: !kt.tensor<[n, 4, 6] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%j, %i, %k] : !kt.tensor<[n, 4, 6] x f32> -> f32
    kt.yield %0 : f32
  }
  %c1 = kt.matmul %z, %w {depth = #kt.expr<16>, maps = [#bmk, #b_nk, #bmn]} : !kt.tensor<[c, s * b, 16] x f32>, !w -> !kt.tensor<[c, s * b, 24] x f32> epilogue {
  ^bb0(%acc: f32, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v1 = kt.reshape %c1 : !kt.tensor<[c, s * b, 24] x f32> -> !kt.tensor<[c, s, b, 24] x f32>
  %r1 = kt.generic ins(%v1 : !kt.tensor<[c, s, b, 24] x f32>) -> !kt.tensor<[c, b, s, 24] x f32> {
  ^bb0(%V: !kt.tensor<[c, s, b, 24] x f32>, %h: index, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%h, %j, %i, %k] : !kt.tensor<[c, s, b, 24] x f32> -> f32
    kt.yield %0 : f32
  }
  return %r0, %r1 : !kt.tensor<[4, n, 6] x f32>, !kt.tensor<[c, b, s, 24] x f32>
}
