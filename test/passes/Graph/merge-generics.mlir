// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-generics))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-generics))' %t | diff %t -

!m = !kt.tensor<[b, s, 12, 16] x f32>
!cos = !kt.tensor<[s, 16] x f32>
!q = !kt.tensor<[b, 8, s, 16] x f32>
!k = !kt.tensor<[b, 2, s, 16] x f32>
!out = !kt.tensor<[b, s, 8, 16] x f32>
#id = affine_map<(b, h, i, j) -> (b, h, i, j)>
#swap = affine_map<(b, h, i, j) -> (b, i, h, j)>

// Rotated queries and keys, heads in front. The key comes first, the values lie behind both; attention reads the two as
// strided views.
// CHECK-LABEL: @rotary
// CHECK: %[[R:.*]] = kt.generic ins(%arg0, %arg1 : {{.*}}) -> <[b, 10, s, 16] x f32> {
// CHECK: kt.read %{{.*}}[%{{.*}}, %[[I:.*]], %[[H:.*]], %{{.*}}] :
// CHECK-NOT: kt.generic
// CHECK: kt.attention %[[R]], %[[R]], %arg0
// CHECK-SAME: #kt.view<[b, 8, s, 16] strides [s * 160, s * 16, 16, 1] offset 0>
// CHECK-SAME: #kt.view<[b, 2, s, 16] strides [s * 160, s * 16, 16, 1] offset s * 128>
// CHECK-NOT: kt.generic
// CHECK: return
func.func @rotary(%m: !m, %cos: !cos) -> !out {
  %k = kt.generic ins(%cos, %m : !cos, !m) -> !k {
  ^bb0(%C: !cos, %M: !m, %b: index, %h: index, %i: index, %d: index):
    %eight = arith.constant 8 : index
    %at = arith.addi %h, %eight : index
    %zero = arith.constant 0.0 : f32
    %far = arith.subi %d, %eight : index
    %0 = kt.read %M[%b, %i, %at, %d] : !m -> f32
    %1 = kt.read %M[%b, %i, %at, %far] else %zero : f32 {check = array<i64: 3>} : !m -> f32
    %2 = kt.read %C[%i, %d] : !cos -> f32
    %3 = arith.mulf %0, %2 : f32
    %4 = arith.addf %3, %1 : f32
    kt.yield %4 : f32
  }
  %q = kt.generic ins(%m, %cos : !m, !cos) -> !q {
  ^bb0(%M: !m, %C: !cos, %b: index, %h: index, %i: index, %d: index):
    %eight = arith.constant 8 : index
    %zero = arith.constant 0.0 : f32
    %far = arith.subi %d, %eight : index
    %0 = kt.read %M[%b, %i, %h, %d] : !m -> f32
    %1 = kt.read %M[%b, %i, %h, %far] else %zero : f32 {check = array<i64: 3>} : !m -> f32
    %2 = kt.read %C[%i, %d] : !cos -> f32
    %3 = arith.mulf %0, %2 : f32
    %4 = arith.addf %3, %1 : f32
    kt.yield %4 : f32
  }
  %r = kt.attention %q, %k, %m {group = 4, maps = [#id, #id, #id, #swap], sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>], views = [#kt.view<none>, #kt.view<none>, #kt.view<[b, 2, s, 16] strides [s * 192, 16, 192, 1] offset 160>]} : !q, !k, !m -> !out score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r : !out
}

!qs = !kt.tensor<[b, s, 8, 16] x f32>
#seq = affine_map<(b, h, i, j) -> (b, i, h, j)>

// Rotated queries in the product's order, and keys with their heads in front for a cache, which finds them in any order.
// CHECK-LABEL: @other_order
// CHECK: %[[R:.*]] = kt.generic ins(%arg0, %arg1 : {{.*}}) -> <[b, s, 10, 16] x f32> {
// CHECK: kt.generic ins(%arg2, %[[R]]
// CHECK: ^bb0(%{{.*}}, %[[K:.*]]: !kt.tensor<[b, s, 10, 16] x f32>, %[[B:.*]]: index, %[[H:.*]]: index, %[[I:.*]]: index, %[[D:.*]]: index):
// CHECK: %[[AT:.*]] = arith.subi %[[I]], %
// CHECK: %[[HEAD:.*]] = arith.addi %[[H]], %
// CHECK: kt.read %[[K]][%[[B]], %[[AT]], %[[HEAD]], %[[D]]] else %{{.*}} {check = array<i64: 1>}
// CHECK: kt.attention %[[R]], %
// CHECK-SAME: #kt.view<[b, s, 8, 16] strides [s * 160, 160, 16, 1] offset 0>
// CHECK-NOT: kt.generic
// CHECK: return
func.func @other_order(%m: !m, %cos: !cos, %past: !kt.tensor<[b, 2, p, 16] x f32>) -> (!out, !kt.tensor<[b, 2, p + s, 16] x f32>) {
  %q = kt.generic ins(%m, %cos : !m, !cos) -> !qs {
  ^bb0(%M: !m, %C: !cos, %b: index, %i: index, %h: index, %d: index):
    %0 = kt.read %M[%b, %i, %h, %d] : !m -> f32
    %1 = kt.read %C[%i, %d] : !cos -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  %k = kt.generic ins(%m, %cos : !m, !cos) -> !k {
  ^bb0(%M: !m, %C: !cos, %b: index, %h: index, %i: index, %d: index):
    %eight = arith.constant 8 : index
    %at = arith.addi %h, %eight : index
    %0 = kt.read %M[%b, %i, %at, %d] : !m -> f32
    %1 = kt.read %C[%i, %d] : !cos -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  %all = kt.generic ins(%past, %k : !kt.tensor<[b, 2, p, 16] x f32>, !k) -> !kt.tensor<[b, 2, p + s, 16] x f32> {
  ^bb0(%P: !kt.tensor<[b, 2, p, 16] x f32>, %K: !k, %b: index, %h: index, %i: index, %d: index):
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %P[%b, %h, %i, %d] else %zero : f32 {check = array<i64: 2>} : !kt.tensor<[b, 2, p, 16] x f32> -> f32
    %p = kt.size #kt.expr<p>
    %at = arith.subi %i, %p : index
    %1 = kt.read %K[%b, %h, %at, %d] else %0 : f32 {check = array<i64: 2>} : !k -> f32
    kt.yield %1 : f32
  }
  %r = kt.attention %q, %all, %all {group = 4, maps = [#seq, #id, #id, #swap], sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<p + s>, #kt.expr<16>, #kt.expr<16>]} : !qs, !kt.tensor<[b, 2, p + s, 16] x f32>, !kt.tensor<[b, 2, p + s, 16] x f32> -> !out score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %all : !out, !kt.tensor<[b, 2, p + s, 16] x f32>
}

!x = !kt.tensor<[n, 6, 4] x f32>
!s4 = !kt.tensor<[n, 4] x f32>
!s2 = !kt.tensor<[n, 2] x f32>
!r4 = !kt.tensor<[n, 4, 4] x f32>
!r2 = !kt.tensor<[n, 2, 4] x f32>

// Sums of squares are merged, then what divides by them, though it reads them through views; then its readers, one of
// which has to keep its slice: it checks the index.
// CHECK-LABEL: @chain
// CHECK: %[[S:.*]] = kt.reduce{{ +}}add over [#kt.expr<4>] ins(%arg0 : {{.*}}) -> <[n, 6] x f32>
// CHECK: %[[V:.*]] = kt.reshape %[[S]] : <[n, 6] x f32> -> <[n, 6, 1] x f32>
// CHECK: %[[D:.*]] = kt.generic ins(%arg0, %[[V]] : {{.*}}) -> <[n, 6, 4] x f32>
// CHECK: arith.divf
// CHECK: %[[P:.*]] = kt.generic ins(%[[D]] : {{.*}}) -> <[n, 2, 4] x f32>
// CHECK: %[[FOUR:.*]] = arith.constant 4 : index
// CHECK: arith.addi %{{.*}}, %[[FOUR]]
// CHECK: kt.generic ins(%[[D]] : {{.*}}) -> <[n, 4, 4] x f32>
// CHECK: math.exp
// CHECK: kt.generic ins(%[[P]] : {{.*}}) -> <[n, 2, 4] x f32>
// CHECK: kt.read {{.*}} else
// CHECK: return
func.func @chain(%x: !x) -> (!r4, !r2) {
  %s = kt.reduce add over [#kt.expr<4>] ins(%x : !x) -> !s4 {
  ^bb0(%X: !x, %i: index, %h: index, %k: index):
    %0 = kt.read %X[%i, %h, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index, %h: index):
    kt.yield %acc : f32
  }
  %t = kt.reduce add over [#kt.expr<4>] ins(%x : !x) -> !s2 {
  ^bb0(%X: !x, %i: index, %h: index, %k: index):
    %four = arith.constant 4 : index
    %at = arith.addi %h, %four : index
    %0 = kt.read %X[%i, %at, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index, %h: index):
    kt.yield %acc : f32
  }
  %vs = kt.reshape %s : !s4 -> !kt.tensor<[n, 4, 1] x f32>
  %vt = kt.reshape %t : !s2 -> !kt.tensor<[n, 2, 1] x f32>
  %a = kt.generic ins(%x, %vs : !x, !kt.tensor<[n, 4, 1] x f32>) -> !r4 {
  ^bb0(%X: !x, %S: !kt.tensor<[n, 4, 1] x f32>, %i: index, %h: index, %d: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%i, %h, %d] : !x -> f32
    %1 = kt.read %S[%i, %h, %zero] : !kt.tensor<[n, 4, 1] x f32> -> f32
    %2 = arith.divf %0, %1 : f32
    kt.yield %2 : f32
  }
  %b = kt.generic ins(%x, %vt : !x, !kt.tensor<[n, 2, 1] x f32>) -> !r2 {
  ^bb0(%X: !x, %S: !kt.tensor<[n, 2, 1] x f32>, %i: index, %h: index, %d: index):
    %zero = arith.constant 0 : index
    %four = arith.constant 4 : index
    %at = arith.addi %h, %four : index
    %0 = kt.read %X[%i, %at, %d] : !x -> f32
    %1 = kt.read %S[%i, %h, %zero] : !kt.tensor<[n, 2, 1] x f32> -> f32
    %2 = arith.divf %0, %1 : f32
    kt.yield %2 : f32
  }
  %c = kt.generic ins(%a : !r4) -> !r4 {
  ^bb0(%A: !r4, %i: index, %h: index, %d: index):
    %0 = kt.read %A[%i, %h, %d] : !r4 -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %e = kt.generic ins(%b : !r2) -> !r2 {
  ^bb0(%B: !r2, %i: index, %h: index, %d: index):
    %one = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %next = arith.addi %h, %one : index
    %0 = kt.read %B[%i, %next, %d] else %zero : f32 {check = array<i64: 1>} : !r2 -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %c, %e : !r4, !r2
}

// A result of the graph; ranges that leave a gap; other arithmetic; what only moves elements.
// CHECK-LABEL: @leaves_alone
// CHECK-COUNT-8: kt.generic ins({{.*}}) -> <[n, {{[124]}}, 4] x f32>
// CHECK: return
func.func @leaves_alone(%x: !x) -> (!r4, !r2, !r2) {
  %a = kt.generic ins(%x : !x) -> !r4 {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %0 = kt.read %X[%i, %h, %d] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%x : !x) -> !r2 {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %four = arith.constant 4 : index
    %at = arith.addi %h, %four : index
    %0 = kt.read %X[%i, %at, %d] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %sa = kt.generic ins(%a : !r4) -> !r4 {
  ^bb0(%A: !r4, %i: index, %h: index, %d: index):
    %0 = kt.read %A[%i, %h, %d] : !r4 -> f32
    %1 = math.sqrt %0 : f32
    kt.yield %1 : f32
  }
  %c = kt.generic ins(%x : !x) -> !r2 {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %0 = kt.read %X[%i, %h, %d] : !x -> f32
    %1 = math.sin %0 : f32
    kt.yield %1 : f32
  }
  %e = kt.generic ins(%x : !x) -> !kt.tensor<[n, 1, 4] x f32> {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %three = arith.constant 3 : index
    %at = arith.addi %h, %three : index
    %0 = kt.read %X[%i, %at, %d] : !x -> f32
    %1 = math.sin %0 : f32
    kt.yield %1 : f32
  }
  %f = kt.generic ins(%x : !x) -> !kt.tensor<[n, 1, 4] x f32> {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %two = arith.constant 2 : index
    %at = arith.addi %h, %two : index
    %0 = kt.read %X[%i, %at, %d] : !x -> f32
    %1 = math.cos %0 : f32
    kt.yield %1 : f32
  }
  %g = kt.generic ins(%x : !x) -> !kt.tensor<[n, 1, 4] x f32> {
  ^bb0(%X: !x, %i: index, %h: index, %d: index):
    %0 = kt.read %X[%i, %h, %d] : !x -> f32
    kt.yield %0 : f32
  }
  %last = kt.generic ins(%c, %e, %f, %g : !r2, !kt.tensor<[n, 1, 4] x f32>, !kt.tensor<[n, 1, 4] x f32>, !kt.tensor<[n, 1, 4] x f32>) -> !r2 {
  ^bb0(%C: !r2, %E: !kt.tensor<[n, 1, 4] x f32>, %F: !kt.tensor<[n, 1, 4] x f32>, %G: !kt.tensor<[n, 1, 4] x f32>, %i: index, %h: index, %d: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %C[%i, %h, %d] : !r2 -> f32
    %1 = kt.read %E[%i, %zero, %d] : !kt.tensor<[n, 1, 4] x f32> -> f32
    %2 = kt.read %F[%i, %zero, %d] : !kt.tensor<[n, 1, 4] x f32> -> f32
    %3 = kt.read %G[%i, %zero, %d] : !kt.tensor<[n, 1, 4] x f32> -> f32
    %4 = arith.addf %0, %1 : f32
    %5 = arith.addf %2, %3 : f32
    %6 = arith.addf %4, %5 : f32
    kt.yield %6 : f32
  }
  return %sa, %b, %last : !r4, !r2, !r2
}
