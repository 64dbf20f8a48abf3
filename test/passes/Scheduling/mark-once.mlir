// RUN: kt-opt --kt-outline-kernels --kt-mark-once %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-mark-once %t | diff %t -

!x = !kt.tensor<[n, 8] x f32>
!row = !kt.tensor<[8] x f32>
!w = !kt.tensor<[8] x f32>

// A table of positions, and what is made of it and of a weight, but not what reads the input.
// CHECK-LABEL: @tables
// CHECK: %[[T:.*]] = kt.launch @generic_{{.*}} {once}
// CHECK: %[[V:.*]] = kt.reshape %[[T]]
// CHECK: %[[U:.*]] = kt.launch @generic_{{.*}} ins(%[[V]], %{{.*}} {once}
// CHECK: kt.launch @generic_{{.*}} ins(%arg0, %[[U]]
// CHECK-NOT: {once}
// CHECK: return
func.func @tables(%x: !x) -> !x {
  %w = kt.constant dense_resource<w> : tensor<32xi8> : !w
  %t = kt.generic -> !kt.tensor<[n * 8] x f32> {
  ^bb0(%i: index):
    %p = arith.index_cast %i : index to i32
    %0 = arith.sitofp %p : i32 to f32
    %1 = math.sin %0 : f32
    kt.yield %1 : f32
  }
  %v = kt.reshape %t : !kt.tensor<[n * 8] x f32> -> !x
  %u = kt.generic ins(%v, %w : !x, !w) -> !x {
  ^bb0(%V: !x, %W: !w, %i: index, %j: index):
    %0 = kt.read %V[%i, %j] : !x -> f32
    %1 = kt.read %W[%j] : !w -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  %y = kt.generic ins(%x, %u : !x, !x) -> !x {
  ^bb0(%X: !x, %U: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %U[%i, %j] : !x -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %y : !x
}

// How large it is follows from data.
// CHECK-LABEL: @of_data
// CHECK: kt.launch
// CHECK-NOT: {once}
// CHECK: return
func.func @of_data(%c: !kt.tensor<[1] x i64>) -> !kt.tensor<[?c] x i64> {
  kt.item %c[0] as "?c" : !kt.tensor<[1] x i64>
  %t = kt.generic -> !kt.tensor<[?c] x i64> {
  ^bb0(%i: index):
    %0 = arith.index_cast %i : index to i64
    kt.yield %0 : i64
  }
  return %t : !kt.tensor<[?c] x i64>
}

// A run that reads nothing else still has to hear of an index that is outside.
// CHECK-LABEL: @faults
// CHECK: kt.launch
// CHECK-NOT: {once}
// CHECK: return
func.func @faults(%x: !x) -> !kt.tensor<[n] x f32> {
  %w = kt.constant dense_resource<w> : tensor<32xi8> : !w
  %t = kt.generic ins(%w : !w) -> !kt.tensor<[n] x f32> {
  ^bb0(%W: !w, %i: index):
    %j = kt.bounded %i below #kt.expr<8> site 0 : index
    %0 = kt.read %W[%j] : !w -> f32
    kt.yield %0 : f32
  }
  return %t : !kt.tensor<[n] x f32>
}

// Inside of a branch nothing is marked: whether it is taken is the run's business.
// CHECK-LABEL: @branches
// CHECK: then {
// CHECK: kt.launch
// CHECK-NOT: {once}
// CHECK: return
func.func @branches(%c: !kt.tensor<[1] x i64>, %x: !x) -> !x {
  kt.item %c[0] as "?c" : !kt.tensor<[1] x i64>
  %r = kt.if <?c> {symbols = [], then_sizes = [], else_sizes = []} -> !x then {
    %0 = kt.generic -> !x {
    ^bb0(%i: index, %j: index):
      %one = arith.constant 1.0 : f32
      kt.yield %one : f32
    }
    kt.yield %0 : !x
  } else {
    kt.yield %x : !x
  }
  return %r : !x
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x010000000000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F"
    }
  }
#-}
