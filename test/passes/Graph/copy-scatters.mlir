// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-copy-scatters))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-copy-scatters))' %t | diff %t -

!x = !kt.tensor<[s + 2, n] x f32>
!u = !kt.tensor<[s, n] x f32>

// x[2:, :] = u
// CHECK-LABEL: @rows_from_two(
// CHECK-NEXT: kt.generic ins(%arg0, %arg1 : !kt.tensor<[s + 2, n] x f32>, !kt.tensor<[s, n] x f32>)
// CHECK: ^bb0(%[[X:.*]]: !kt.tensor<[s + 2, n] x f32>, %[[U:.*]]: !kt.tensor<[s, n] x f32>, %[[I:.*]]: index, %[[J:.*]]: index):
// CHECK: %[[KEPT:.*]] = kt.read %[[X]][%[[I]], %[[J]]]
// CHECK: %[[TWO:.*]] = kt.size <2>
// CHECK: %[[ROW:.*]] = arith.subi %[[I]], %[[TWO]]
// CHECK: kt.read %[[U]][%[[ROW]], %[[J]]] else %[[KEPT]] : f32 {check = array<i64: 0>}
// CHECK-NOT: kt.scatter
func.func @rows_from_two(%x: !x, %u: !u) -> !x {
  %i = kt.generic -> !kt.tensor<[s, n, 2] x i64> {
  ^bb0(%r: index, %c: index, %k: index):
    %c0 = arith.constant 0 : index
    %c2 = arith.constant 2 : i64
    %is = arith.cmpi eq, %k, %c0 : index
    %row = arith.index_cast %r : index to i64
    %at = arith.addi %row, %c2 : i64
    %column = arith.index_cast %c : index to i64
    %v = arith.select %is, %at, %column : i64
    kt.yield %v : i64
  }
  %rows = kt.reshape %i : !kt.tensor<[s, n, 2] x i64> -> !kt.tensor<[s * n, 2] x i64>
  %flat = kt.reshape %u : !u -> !kt.tensor<[s * n] x f32>
  %y = kt.scatter assign %x, %rows, %flat {site = 0 : i64} : !x, !kt.tensor<[s * n, 2] x i64>, !kt.tensor<[s * n] x f32> -> !x
  return %y : !x
}

// Constant rows 1 and 2, whole columns.
// CHECK-LABEL: @constants(
// CHECK: kt.generic ins(%arg0, %arg1
// CHECK: kt.size <1>
// CHECK-NOT: kt.scatter
func.func @constants(%x: !kt.tensor<[4, n] x f32>, %u: !kt.tensor<[2, n] x f32>) -> !kt.tensor<[4, n] x f32> {
  %i = kt.constant dense_resource<onetwo> : tensor<16xi8> : <[2, 1] x i64>
  %y = kt.scatter assign %x, %i, %u : !kt.tensor<[4, n] x f32>, !kt.tensor<[2, 1] x i64>, !kt.tensor<[2, n] x f32> -> !kt.tensor<[4, n] x f32>
  return %y : !kt.tensor<[4, n] x f32>
}

// Rows 2 and 1, a sum, indices that are data, and rows that may be outside.
// CHECK-LABEL: @leaves_alone(
// CHECK-COUNT-4: kt.scatter
func.func @leaves_alone(%x: !kt.tensor<[4, n] x f32>, %u: !kt.tensor<[2, n] x f32>, %data: !kt.tensor<[2, 1] x i64>, %short: !kt.tensor<[t, n] x f32>)
    -> (!kt.tensor<[4, n] x f32>, !kt.tensor<[4, n] x f32>, !kt.tensor<[4, n] x f32>, !kt.tensor<[t, n] x f32>) {
  %back = kt.constant dense_resource<twoone> : tensor<16xi8> : <[2, 1] x i64>
  %i = kt.constant dense_resource<onetwo> : tensor<16xi8> : <[2, 1] x i64>
  %0 = kt.scatter assign %x, %back, %u : !kt.tensor<[4, n] x f32>, !kt.tensor<[2, 1] x i64>, !kt.tensor<[2, n] x f32> -> !kt.tensor<[4, n] x f32>
  %1 = kt.scatter add %x, %i, %u : !kt.tensor<[4, n] x f32>, !kt.tensor<[2, 1] x i64>, !kt.tensor<[2, n] x f32> -> !kt.tensor<[4, n] x f32>
  %2 = kt.scatter assign %x, %data, %u : !kt.tensor<[4, n] x f32>, !kt.tensor<[2, 1] x i64>, !kt.tensor<[2, n] x f32> -> !kt.tensor<[4, n] x f32>
  %3 = kt.scatter assign %short, %i, %u : !kt.tensor<[t, n] x f32>, !kt.tensor<[2, 1] x i64>, !kt.tensor<[2, n] x f32> -> !kt.tensor<[t, n] x f32>
  return %0, %1, %2, %3 : !kt.tensor<[4, n] x f32>, !kt.tensor<[4, n] x f32>, !kt.tensor<[4, n] x f32>, !kt.tensor<[t, n] x f32>
}

{-#
  dialect_resources: {
    builtin: {
      onetwo: "0x0800000001000000000000000200000000000000",
      twoone: "0x0800000002000000000000000100000000000000"
    }
  }
#-}
