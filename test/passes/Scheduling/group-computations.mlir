// RUN: kt-opt --kt-outline-kernels=group %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels=group %t | diff %t -
// RUN: kt-opt --kt-outline-kernels %s | FileCheck %s --check-prefix=ALONE

// Kernels of several results: what belongs to one kernel is one launch. Without the option nothing does.
// ALONE-NOT: kt.launch {{.*}} -> {{.*}}, !kt

!t = !kt.tensor<[n, 64] x f32>
!v = !kt.tensor<[n] x f32>
!w = !kt.tensor<[64] x f32>

// A residual that a norm and somebody else read: what both read comes once.
// CHECK-LABEL: @residual
// CHECK-NEXT: %[[R:.*]]:2 = kt.launch @[[NORM:normalize_0]] ins(%arg0, %arg1, %arg2 : {{.*}}) ints [#kt.expr<n>] -> !kt.tensor<[n, 64] x f32>, !kt.tensor<[n, 64] x f32>
// CHECK-NEXT: return %[[R]]#0, %[[R]]#1
func.func @residual(%a: !t, %b: !t, %w: !w) -> (!t, !t) {
  %r = kt.generic ins(%a, %b, %w : !t, !t, !w) -> !t {
  ^bb0(%A: !t, %B: !t, %W: !w, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !t -> f32
    %1 = kt.read %B[%i, %j] : !t -> f32
    %2 = kt.read %W[%j] : !w -> f32
    %3 = arith.addf %0, %1 : f32
    %4 = arith.addf %3, %2 : f32
    kt.yield %4 : f32
  }
  %y = kt.normalize layer ins(%r, %w : !t, !w) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !t {
  ^bb0(%R: !t, %W: !w, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !t, %W: !w, %i: index, %j: index):
    %0 = kt.read %W[%j] : !w -> f32
    %1 = arith.mulf %v, %0 : f32
    kt.yield %1 : f32
  }
  return %r, %y : !t, !t
}

// What the norm reads besides is made between the two: the residual is computed there, since nobody reads it before.
// CHECK-LABEL: @made_where_it_is_read
// CHECK-NEXT: %[[E:.*]] = kt.launch @generic_0 ins(%arg1 :
// CHECK-NEXT: %[[R:.*]]:2 = kt.launch @normalize_1 ins(%arg0, %[[E]] :
// CHECK-NEXT: %[[V:.*]] = kt.reshape %[[R]]#0
// CHECK-NEXT: return %[[V]], %[[R]]#1
func.func @made_where_it_is_read(%a: !t, %b: !w) -> (!kt.tensor<[n * 64] x f32>, !t) {
  %r = kt.generic ins(%a : !t) -> !t {
  ^bb0(%A: !t, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !t -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  }
  %view = kt.reshape %r : !t -> !kt.tensor<[n * 64] x f32>
  %e = kt.generic ins(%b : !w) -> !w {
  ^bb0(%B: !w, %j: index):
    %0 = kt.read %B[%j] : !w -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %y = kt.normalize rms ins(%r, %e : !t, !w) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !t {
  ^bb0(%R: !t, %W: !w, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !t, %W: !w, %i: index, %j: index):
    %0 = kt.read %W[%j] : !w -> f32
    %1 = arith.mulf %v, %0 : f32
    kt.yield %1 : f32
  }
  return %view, %y : !kt.tensor<[n * 64] x f32>, !t
}

// A norm that goes on with one residual reads another at its end, and is launched with the first: the other one stays where it is.
// CHECK-LABEL: @leaves_what_a_group_reads
// CHECK-NEXT: %[[S:.*]] = kt.launch @generic_{{.*}} ins(%arg1 :
// CHECK-NEXT: %[[R:.*]]:2 = kt.launch @normalize_{{.*}} ins(%arg0, %[[S]] :
// CHECK-NEXT: return %[[S]], %[[R]]#0, %[[R]]#1
func.func @leaves_what_a_group_reads(%a: !t, %b: !t) -> (!t, !t, !t) {
  %s = kt.generic ins(%b : !t) -> !t {
  ^bb0(%B: !t, %i: index, %j: index):
    %c = arith.constant 63 : index
    %k = arith.subi %c, %j : index
    %0 = kt.read %B[%i, %k] : !t -> f32
    kt.yield %0 : f32
  }
  %r = kt.generic ins(%a : !t) -> !t {
  ^bb0(%A: !t, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !t -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  }
  %y = kt.normalize rms ins(%r, %s : !t, !t) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !t {
  ^bb0(%R: !t, %S: !t, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !t, %S: !t, %i: index, %j: index):
    %c = arith.constant 63 : index
    %k = arith.subi %c, %j : index
    %0 = kt.read %S[%i, %k] : !t -> f32
    %1 = arith.addf %v, %0 : f32
    kt.yield %1 : f32
  }
  return %s, %r, %y : !t, !t, !t
}

// The norm reads another place than its own.
// CHECK-LABEL: @leaves_other_places_alone
// CHECK-COUNT-2: kt.launch
// CHECK-NEXT: return
func.func @leaves_other_places_alone(%a: !t) -> (!t, !t) {
  %r = kt.generic ins(%a : !t) -> !t {
  ^bb0(%A: !t, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !t -> f32
    %1 = arith.addf %0, %0 : f32
    kt.yield %1 : f32
  }
  %y = kt.normalize rms ins(%r : !t) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !t {
  ^bb0(%R: !t, %i: index, %j: index):
    %c = arith.constant 63 : index
    %k = arith.subi %c, %j : index
    %0 = kt.read %R[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !t, %i: index, %j: index):
    kt.yield %v : f32
  }
  return %r, %y : !t, !t
}

// A row that no block holds is not made by one block alone.
// CHECK-LABEL: @leaves_long_rows_alone
// CHECK-COUNT-2: kt.launch
// CHECK-NEXT: return
!long = !kt.tensor<[n, 16385] x f32>
func.func @leaves_long_rows_alone(%a: !long) -> (!long, !long) {
  %r = kt.generic ins(%a : !long) -> !long {
  ^bb0(%A: !long, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !long -> f32
    %1 = arith.addf %0, %0 : f32
    kt.yield %1 : f32
  }
  %y = kt.normalize rms ins(%r : !long) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !long {
  ^bb0(%R: !long, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !long -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !long, %i: index, %j: index):
    kt.yield %v : f32
  }
  return %r, %y : !long, !long
}

// Sums of one pass, the second of which reads at its end what the first has come to; columns of the same tensor walk another way, and a sum of what
// differs from the mean needs the mean first.
// CHECK-LABEL: @reductions
// CHECK-NEXT: %[[S:.*]]:2 = kt.launch @reduce_0 ins(%arg0 : {{.*}} -> !kt.tensor<[n] x f32>, !kt.tensor<[n] x f32>
// CHECK-NEXT: %[[C:.*]] = kt.launch @reduce_1 ins(%arg0 : {{.*}} -> !kt.tensor<[64] x f32>
// CHECK-NEXT: %[[D:.*]] = kt.launch @reduce_2 ins(%arg0, %[[S]]#0 : {{.*}} -> !kt.tensor<[n] x f32>
// CHECK-NEXT: return %[[S]]#0, %[[S]]#1, %[[C]], %[[D]]
func.func @reductions(%x: !t) -> (!v, !v, !w, !v) {
  %s = kt.reduce add over [#kt.expr<64>] ins(%x : !t) -> !v {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %i: index):
    kt.yield %a : f32
  }
  %q = kt.reduce add over [#kt.expr<64>] ins(%x, %s : !t, !v) -> !v {
  ^bb0(%X: !t, %S: !v, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %S: !v, %i: index):
    %0 = kt.read %S[%i] : !v -> f32
    %1 = arith.subf %a, %0 : f32
    kt.yield %1 : f32
  }
  %c = kt.reduce max over [#kt.expr<n>] ins(%x : !t) -> !w {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %i: index):
    kt.yield %a : f32
  }
  %d = kt.reduce add over [#kt.expr<64>] ins(%x, %s : !t, !v) -> !v {
  ^bb0(%X: !t, %S: !v, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    %1 = kt.read %S[%i] : !v -> f32
    %2 = arith.subf %0, %1 : f32
    %3 = math.absf %2 : f32
    kt.yield %3 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %S: !v, %i: index):
    kt.yield %a : f32
  }
  return %s, %q, %c, %d : !v, !v, !w, !v
}

// Sums of two tensors share nothing.
// CHECK-LABEL: @leaves_other_tensors_alone
// CHECK-COUNT-2: kt.launch
// CHECK-NEXT: return
func.func @leaves_other_tensors_alone(%x: !t, %y: !t) -> (!v, !v) {
  %s = kt.reduce add over [#kt.expr<64>] ins(%x : !t) -> !v {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %i: index):
    kt.yield %a : f32
  }
  %m = kt.reduce max over [#kt.expr<64>] ins(%y : !t) -> !v {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !t, %i: index):
    kt.yield %a : f32
  }
  return %s, %m : !v, !v
}

// CHECK: kt.kernel @[[NORM]] ["p0"] computes {
// CHECK-NEXT: ^bb0(%[[A:.*]]: !kt.tensor<[p0, 64] x f32>, %[[B:.*]]: !kt.tensor<[p0, 64] x f32>, %[[W:.*]]: !kt.tensor<[64] x f32>):
// CHECK: %[[MADE:.*]] = kt.generic ins(%[[A]], %[[B]], %[[W]] :
// CHECK: %[[Y:.*]] = kt.normalize layer ins(%[[MADE]], %[[W]] :
// CHECK: kt.yield %[[MADE]], %[[Y]] :
