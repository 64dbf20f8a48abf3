// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %t | diff %t -

!h = !kt.tensor<[n] x f16>
!f = !kt.tensor<[n] x f32>

// CHECK-LABEL: @keeps_the_accuracy_it_has
// CHECK: %[[E:.*]] = math.exp
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[E]] : f32
// CHECK-NEXT: kt.yield %[[T]]
func.func @keeps_the_accuracy_it_has(%x: !f) -> !f {
  %r = kt.generic ins(%x : !f) -> !f {
  ^bb0(%X: !f, %i: index):
    %0 = kt.read %X[%i] : !f -> f32
    %1 = math.exp %0 : f32
    %2 = arith.truncf %1 : f32 to f16
    %3 = arith.extf %2 : f16 to f32
    %4 = math.tanh %3 : f32
    kt.yield %4 : f32
  }
  return %r : !f
}

// CHECK-LABEL: @leaves_a_stored_narrowing_alone
// CHECK: arith.truncf
// CHECK-NEXT: kt.yield
func.func @leaves_a_stored_narrowing_alone(%x: !f) -> !h {
  %r = kt.generic ins(%x : !f) -> !h {
  ^bb0(%X: !f, %i: index):
    %0 = kt.read %X[%i] : !f -> f32
    %1 = arith.truncf %0 : f32 to f16
    kt.yield %1 : f16
  }
  return %r : !h
}

// CHECK-LABEL: @casts_to_index_and_back
// CHECK: %[[X:.*]] = kt.read %{{.*}}[%{{.*}}]
// CHECK-NOT: index_cast
// CHECK: math.exp %[[X]]
func.func @casts_to_index_and_back(%x: !f) -> !f {
  %r = kt.generic ins(%x : !f) -> !f {
  ^bb0(%X: !f, %i: index):
    %0 = arith.index_cast %i : index to i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %X[%1] : !f -> f32
    %3 = math.exp %2 : f32
    kt.yield %3 : f32
  }
  return %r : !f
}

// A constant of one element is a number of the body, not an operand.
// CHECK-LABEL: @scalars_become_numbers
// CHECK: kt.generic ins(%arg0 : !kt.tensor<[n] x f32>)
// CHECK: arith.constant 2.000000e+00 : f32
func.func @scalars_become_numbers(%x: !f) -> !f {
  %two = kt.constant dense<[0, 0, 0, 64]> : tensor<4xi8> : !kt.tensor<[] x f32>
  %r = kt.generic ins(%x, %two : !f, !kt.tensor<[] x f32>) -> !f {
  ^bb0(%X: !f, %T: !kt.tensor<[] x f32>, %i: index):
    %0 = kt.read %X[%i] : !f -> f32
    %1 = kt.read %T[] : !kt.tensor<[] x f32> -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !f
}
