// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-equal))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-equal))' %t | diff %t -

!x = !kt.tensor<[n] x f32>

// CHECK-LABEL: @merges_what_is_equal
// CHECK-COUNT-1: kt.generic
// CHECK-NOT: kt.generic
// CHECK-NOT: region_hash
// CHECK: return %[[A:.*]], %[[A]]
func.func @merges_what_is_equal(%x: !x) -> (!x, !x) {
  %a = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %j: index):
    %0 = kt.read %X[%j] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %a, %b : !x, !x
}

// Bodies that differ in one operation, one constant or one operand.
// CHECK-LABEL: @leaves_what_differs_alone
// CHECK-COUNT-4: kt.generic
// CHECK: return
func.func @leaves_what_differs_alone(%x: !x, %y: !x) -> (!x, !x, !x, !x) {
  %a = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %c = arith.constant 1.0 : f32
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.addf %0, %c : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %c = arith.constant 2.0 : f32
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.addf %0, %c : f32
    kt.yield %1 : f32
  }
  %d = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %c = arith.constant 1.0 : f32
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.subf %0, %c : f32
    kt.yield %1 : f32
  }
  %e = kt.generic ins(%y : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %c = arith.constant 1.0 : f32
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.addf %0, %c : f32
    kt.yield %1 : f32
  }
  return %a, %b, %d, %e : !x, !x, !x, !x
}

// Each checks numbers of its own: neither speaks for the other.
// CHECK-LABEL: @leaves_other_sites_alone
// CHECK-COUNT-2: kt.bounded
// CHECK: return
func.func @leaves_other_sites_alone(%x: !x, %at: !kt.tensor<[k] x i64>) -> (!kt.tensor<[k] x f32>, !kt.tensor<[k] x f32>) {
  %a = kt.generic ins(%x, %at : !x, !kt.tensor<[k] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !x, %I: !kt.tensor<[k] x i64>, %i: index):
    %0 = kt.read %I[%i] : !kt.tensor<[k] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 0 : i64
    %2 = kt.read %X[%1] : !x -> f32
    kt.yield %2 : f32
  }
  %b = kt.generic ins(%x, %at : !x, !kt.tensor<[k] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !x, %I: !kt.tensor<[k] x i64>, %i: index):
    %0 = kt.read %I[%i] : !kt.tensor<[k] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 1 : i64
    %2 = kt.read %X[%1] : !x -> f32
    kt.yield %2 : f32
  }
  return %a, %b : !kt.tensor<[k] x f32>, !kt.tensor<[k] x f32>
}

// What was checked before holds; inside of a branch as well, but not behind it.
// CHECK-LABEL: @checks_once
// CHECK-NEXT: kt.assert <n> equals <m>, "first"
// CHECK-NEXT: kt.assert <n> equals <k>, "another"
// CHECK-NEXT: kt.if
// CHECK-NEXT: kt.assert <m> equals <k>, "inside"
// CHECK-NEXT: kt.yield
// CHECK: kt.assert <m> equals <k>, "behind"
// CHECK-NEXT: return
func.func @checks_once(%x: !x, %y: !kt.tensor<[m] x f32>, %z: !kt.tensor<[k] x f32>) -> !x {
  kt.assert <n> equals <m>, "first"
  kt.assert <n> equals <k>, "another"
  kt.assert <n> equals <m>, "second"
  %r = kt.if <m> {symbols = [], then_sizes = [], else_sizes = []} -> !x then {
    kt.assert <n> equals <k>, "again"
    kt.assert <m> equals <k>, "inside"
    kt.yield %x : !x
  } else {
    kt.yield %x : !x
  }
  kt.assert <m> equals <k>, "behind"
  return %r : !x
}

// CHECK-LABEL: @drops_what_only_dead_ops_use
// CHECK-NEXT: return
func.func @drops_what_only_dead_ops_use(%x: !x) -> !x {
  %a = kt.reshape %x : !x -> !kt.tensor<[n, 1] x f32>
  %b = kt.reshape %a : !kt.tensor<[n, 1] x f32> -> !kt.tensor<[1, n] x f32>
  return %x : !x
}
