// RUN: kt-opt --kt-outline-kernels=group %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels=group %t | diff %t -

// Computations beside one another in one launch, of any shapes.

!t = !kt.tensor<[n, 64] x f32>
!u = !kt.tensor<[n, 2] x f32>
!v = !kt.tensor<[n] x f32>
!w = !kt.tensor<[2] x f32>
!i = !kt.tensor<[m] x i64>

// A sum, a window of a state and an index: what two of them read is one operand, and a view comes along.
// CHECK-LABEL: @of_any_shape
// CHECK-NEXT: %[[V:.*]] = kt.reshape %arg0
// CHECK-NEXT: %[[R:.*]]:3 = kt.launch @[[THREE:update_0]] ins(%arg0, %arg1, %[[V]], %arg2 : {{.*}}) ints {{.*}} -> !kt.tensor<[n, 64] x f32>, !kt.tensor<[m] x i64>, !kt.tensor<[n, 64] x f32>
// CHECK-NEXT: return %[[R]]#0, %[[R]]#1, %[[R]]#2
func.func @of_any_shape(%a: !t, %x: !i, %s: !t) -> (!t, !i, !t) {
  %0 = kt.generic ins(%a : !t) -> !t {
  ^bb0(%A: !t, %i: index, %j: index):
    %1 = kt.read %A[%i, %j] : !t -> f32
    %2 = arith.addf %1, %1 : f32
    kt.yield %2 : f32
  }
  %3 = kt.generic ins(%x : !i) -> !i {
  ^bb0(%X: !i, %i: index):
    %1 = kt.read %X[%i] : !i -> i64
    %2 = arith.addi %1, %1 : i64
    kt.yield %2 : i64
  }
  %view = kt.reshape %a : !t -> !kt.tensor<[n * 64] x f32>
  %4 = kt.update axis 0 from #kt.expr<1> count #kt.expr<1> ins(%view, %s : !kt.tensor<[n * 64] x f32>, !t) -> !t {
  ^bb0(%V: !kt.tensor<[n * 64] x f32>, %S: !t, %i: index, %j: index):
    %1 = kt.read %V[%j] : !kt.tensor<[n * 64] x f32> -> f32
    %2 = kt.read %S[%i, %j] : !t -> f32
    %5 = arith.addf %1, %2 : f32
    kt.yield %5 : f32
  }
  return %0, %3, %4 : !t, !i, !t
}

// What reads another, through a view or not, comes behind it; so does what reads what is made between the two.
// CHECK-LABEL: @leaves_what_depends
// CHECK-NEXT: %[[A:.*]]:2 = kt.launch @generic_{{.*}} ins(%arg0, %arg1 :
// CHECK-NEXT: %[[V:.*]] = kt.reshape %[[A]]#0
// CHECK-NEXT: %[[B:.*]] = kt.launch @generic_{{.*}} ins(%[[V]] :
// CHECK-NEXT: return %[[B]], %[[A]]#1
func.func @leaves_what_depends(%a: !v, %x: !i) -> (!v, !i) {
  %0 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %view = kt.reshape %0 : !v -> !kt.tensor<[1, n] x f32>
  %3 = kt.generic ins(%view : !kt.tensor<[1, n] x f32>) -> !v {
  ^bb0(%A: !kt.tensor<[1, n] x f32>, %i: index):
    %zero = arith.constant 0 : index
    %1 = kt.read %A[%zero, %i] : !kt.tensor<[1, n] x f32> -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %4 = kt.generic ins(%x : !i) -> !i {
  ^bb0(%X: !i, %i: index):
    %1 = kt.read %X[%i] : !i -> i64
    %2 = arith.addi %1, %1 : i64
    kt.yield %2 : i64
  }
  return %3, %4 : !v, !i
}

// A check holds for what comes behind it.
// CHECK-LABEL: @leaves_what_is_checked
// CHECK-NEXT: kt.launch
// CHECK-NEXT: kt.assert
// CHECK-NEXT: kt.launch
// CHECK-NEXT: return
func.func @leaves_what_is_checked(%a: !v, %x: !i) -> (!v, !i) {
  %0 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  kt.assert <m> equals <n>, "sizes are equal"
  %3 = kt.generic ins(%x : !i) -> !i {
  ^bb0(%X: !i, %i: index):
    %1 = kt.read %X[%i] : !i -> i64
    %2 = arith.addi %1, %1 : i64
    kt.yield %2 : i64
  }
  return %0, %3 : !v, !i
}

// A branch is taken or not.
// CHECK-LABEL: @leaves_branches
// CHECK: kt.item
// CHECK-NEXT: %[[A:.*]] = kt.launch @generic_{{[0-9]+}} ins(%arg0 :
// CHECK-NEXT: kt.if
// CHECK-NEXT: kt.launch @generic_{{[0-9]+}} ins(%arg1 :
// CHECK: kt.launch @generic_{{[0-9]+}} ins(%arg0 :
// CHECK-NEXT: return
func.func @leaves_branches(%a: !v, %x: !v, %c: !kt.tensor<[1] x i64>) -> (!v, !v, !v) {
  kt.item %c[0] as "?c" : !kt.tensor<[1] x i64>
  %0 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %3 = kt.if <?c> {symbols = [], then_sizes = [], else_sizes = []} -> !v then {
    %4 = kt.generic ins(%x : !v) -> !v {
    ^bb0(%A: !v, %i: index):
      %1 = kt.read %A[%i] : !v -> f32
      %2 = math.exp %1 : f32
      kt.yield %2 : f32
    }
    kt.yield %4 : !v
  } else {
    kt.yield %x : !v
  }
  %5 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.sqrt %1 : f32
    kt.yield %2 : f32
  }
  return %0, %3, %5 : !v, !v, !v
}

// What follows from sizes is computed once for all runs, and not with what each of them has to compute.
// CHECK-LABEL: @leaves_what_is_done_once
// CHECK-NEXT: %[[O:.*]]:2 = kt.launch @generic_{{[0-9]+}} ints
// CHECK-NEXT: %[[R:.*]] = kt.launch @generic_{{[0-9]+}} ins(%arg0 :
// CHECK-NEXT: return %[[O]]#0, %[[R]], %[[O]]#1
func.func @leaves_what_is_done_once(%a: !v, %x: !i) -> (!v, !v, !i) {
  %0 = kt.generic -> !v {
  ^bb0(%i: index):
    %1 = arith.index_cast %i : index to i64
    %2 = arith.sitofp %1 : i64 to f32
    kt.yield %2 : f32
  }
  %3 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %4 = kt.generic -> !i {
  ^bb0(%i: index):
    %1 = arith.index_cast %i : index to i64
    kt.yield %1 : i64
  }
  return %0, %3, %4 : !v, !v, !i
}

// Weights of the next slice may be loaded sooner, those of a later one stay.
// CHECK-LABEL: @leaves_weights_of_later_slices
// CHECK: kt.launch @generic_{{[0-9]+}} ins(%arg0, %{{.*}} : {{.*}} {kt.slice = 3 : i64} -> !kt.tensor<[n] x f32>, !kt.tensor<[n, 2] x f32>
// CHECK-NEXT: kt.launch @generic_{{[0-9]+}} ins(%{{.*}}, %arg0 : {{.*}} {kt.slice = 5 : i64} -> !kt.tensor<[2] x f32>
// CHECK-NEXT: return
func.func @leaves_weights_of_later_slices(%a: !v) -> (!v, !u, !w) {
  %c = kt.constant dense<[1.0, 2.0]> : tensor<2xf32> {name = "w"} : !w
  %0 = kt.generic ins(%a : !v) {kt.slice = 3 : i64} -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %3 = kt.generic ins(%c, %a : !w, !v) {kt.slice = 4 : i64} -> !u {
  ^bb0(%C: !w, %A: !v, %i: index, %j: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = kt.read %C[%j] : !w -> f32
    %4 = arith.addf %1, %2 : f32
    kt.yield %4 : f32
  }
  %5 = kt.generic ins(%c, %a : !w, !v) {kt.slice = 5 : i64} -> !w {
  ^bb0(%C: !w, %A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = kt.read %C[%i] : !w -> f32
    %4 = arith.mulf %1, %2 : f32
    kt.yield %4 : f32
  }
  return %0, %3, %5 : !v, !u, !w
}

// A transposition goes through shared memory.
// CHECK-LABEL: @leaves_what_turns
// CHECK-COUNT-2: kt.launch
// CHECK-NEXT: return
func.func @leaves_what_turns(%a: !v, %b: !kt.tensor<[n, m] x f32>) -> (!v, !kt.tensor<[m, n] x f32>) {
  %0 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %3 = kt.generic ins(%b : !kt.tensor<[n, m] x f32>) -> !kt.tensor<[m, n] x f32> {
  ^bb0(%B: !kt.tensor<[n, m] x f32>, %i: index, %j: index):
    %1 = kt.read %B[%j, %i] : !kt.tensor<[n, m] x f32> -> f32
    kt.yield %1 : f32
  }
  return %0, %3 : !v, !kt.tensor<[m, n] x f32>
}

// Four are the most.
// CHECK-LABEL: @four_at_the_most
// CHECK-NEXT: kt.launch {{.*}} -> !kt.tensor<[n] x f32>, !kt.tensor<[n] x f32>, !kt.tensor<[n] x f32>, !kt.tensor<[n] x f32>{{$}}
// CHECK-NEXT: kt.launch {{.*}} -> !kt.tensor<[n] x f32>{{$}}
func.func @four_at_the_most(%a: !v, %b: !v, %c: !v, %d: !v, %e: !v) -> (!v, !v, !v, !v, !v) {
  %0 = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %3 = kt.generic ins(%b : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %4 = kt.generic ins(%c : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %5 = kt.generic ins(%d : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  %6 = kt.generic ins(%e : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %1 = kt.read %A[%i] : !v -> f32
    %2 = math.exp %1 : f32
    kt.yield %2 : f32
  }
  return %0, %3, %4, %5, %6 : !v, !v, !v, !v, !v
}

// CHECK: kt.kernel @[[THREE]] ["p0", "p1", "p2"] computes {
// CHECK-NEXT: ^bb0(%[[A:.*]]: !kt.tensor<[p0, 64] x f32>, %[[X:.*]]: !kt.tensor<[p1] x i64>, %[[V:.*]]: !kt.tensor<[p2] x f32>, %[[S:.*]]: !kt.tensor<[p0, 64] x f32>):
// CHECK: kt.generic ins(%[[A]] :
// CHECK: kt.generic ins(%[[X]] :
// CHECK: kt.update axis 0 {{.*}} ins(%[[V]], %[[S]] :
