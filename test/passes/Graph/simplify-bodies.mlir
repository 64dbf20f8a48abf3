// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %t | diff %t -
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies))' %s -o %t.once
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies))' %t.once | diff %t.once -

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

// What the model rounds on purpose stays rounded.
// CHECK-LABEL: @rounds_where_the_model_does
// CHECK: %[[R:.*]] = arith.truncf %{{.*}} {kt.rounds} : f32 to f16
// CHECK-NEXT: arith.extf %[[R]]
func.func @rounds_where_the_model_does(%x: !f) -> !f {
  %r = kt.generic ins(%x : !f) -> !f {
  ^bb0(%X: !f, %i: index):
    %0 = kt.read %X[%i] : !f -> f32
    %1 = math.exp %0 : f32
    %2 = arith.truncf %1 {kt.rounds} : f32 to f16
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

// What is left of the body moves nothing, so that the operand is read in its place, in the same run of the pass.
// CHECK-LABEL: @removes_what_becomes_an_identity
// CHECK-NEXT: return %arg0
func.func @removes_what_becomes_an_identity(%x: !f) -> !f {
  %r = kt.generic ins(%x : !f) -> !f {
  ^bb0(%X: !f, %i: index):
    %0 = kt.read %X[%i] : !f -> f32
    %1 = arith.truncf %0 : f32 to f16
    %2 = arith.extf %1 : f16 to f32
    kt.yield %2 : f32
  }
  return %r : !f
}

// The identity hides a constant of one element, which becomes a number once it is gone.
// CHECK-LABEL: @sees_constants_behind_identities
// CHECK: kt.generic ins(%arg0 : !kt.tensor<[n] x f32>)
// CHECK: arith.constant 2.000000e+00 : f32
func.func @sees_constants_behind_identities(%x: !f) -> !f {
  %two = kt.constant dense<[0, 0, 0, 64]> : tensor<4xi8> : !kt.tensor<[1] x f32>
  %same = kt.generic ins(%two : !kt.tensor<[1] x f32>) -> !kt.tensor<[1] x f32> {
  ^bb0(%T: !kt.tensor<[1] x f32>, %i: index):
    %0 = arith.index_cast %i : index to i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %T[%1] : !kt.tensor<[1] x f32> -> f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%x, %same : !f, !kt.tensor<[1] x f32>) -> !f {
  ^bb0(%X: !f, %S: !kt.tensor<[1] x f32>, %i: index):
    %z = arith.constant 0 : index
    %0 = kt.read %X[%i] : !f -> f32
    %1 = kt.read %S[%z] : !kt.tensor<[1] x f32> -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !f
}

// What broadcasts is clamped to its last row until that has a number. An index below n is no more than n - 1, and one below 7 no more than 6 or 9.
// CHECK-LABEL: @removes_clamps
// CHECK-NOT: arith.minsi
// CHECK: kt.read %{{.*}}[%[[I:.*]]] :
// CHECK: return
func.func @removes_clamps(%x: !f, %y: !kt.tensor<[7] x f32>) -> !kt.tensor<[n, 7] x f32> {
  %r = kt.generic ins(%x, %y : !f, !kt.tensor<[7] x f32>) -> !kt.tensor<[n, 7] x f32> {
  ^bb0(%X: !f, %Y: !kt.tensor<[7] x f32>, %i: index, %j: index):
    %last = kt.size <n + -1>
    %six = arith.constant 6 : index
    %nine = arith.constant 9 : index
    %0 = arith.minsi %i, %last : index
    %1 = arith.minsi %six, %j : index
    %2 = arith.minsi %1, %nine : index
    %3 = kt.read %X[%0] : !f -> f32
    %4 = kt.read %Y[%2] : !kt.tensor<[7] x f32> -> f32
    %5 = arith.addf %3, %4 : f32
    kt.yield %5 : f32
  }
  return %r : !kt.tensor<[n, 7] x f32>
}

// The last but one, another size's last, and what is no index.
// CHECK-LABEL: @keeps_clamps_that_bind
// CHECK-COUNT-4: arith.minsi
func.func @keeps_clamps_that_bind(%x: !f) -> !kt.tensor<[n, m] x f32> {
  %r = kt.generic ins(%x : !f) -> !kt.tensor<[n, m] x f32> {
  ^bb0(%X: !f, %i: index, %j: index):
    %last = kt.size <n + -1>
    %before = kt.size <n + -2>
    %zero = arith.constant 0 : index
    %0 = arith.minsi %i, %before : index
    %1 = arith.minsi %j, %last : index
    %2 = arith.minsi %i, %zero : index
    %3 = arith.addi %i, %j : index
    %4 = arith.minsi %3, %last : index
    %5 = kt.read %X[%0] : !f -> f32
    %6 = kt.read %X[%1] : !f -> f32
    %7 = kt.read %X[%2] : !f -> f32
    %8 = kt.read %X[%4] : !f -> f32
    %9 = arith.addf %5, %6 : f32
    %10 = arith.addf %9, %7 : f32
    %11 = arith.addf %10, %8 : f32
    kt.yield %11 : f32
  }
  return %r : !kt.tensor<[n, m] x f32>
}

// CHECK-LABEL: @mask_in_half
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.0{{.*}} : f32
// CHECK-DAG: %[[LOW:.*]] = arith.constant -6.55{{.*}} : f32
// CHECK: arith.select %{{.*}}, %[[ZERO]], %[[LOW]] : f32
// CHECK-NOT: arith.extf
// CHECK: return
func.func @mask_in_half(%x: !kt.tensor<[n] x i1>) -> !f {
  %r = kt.generic ins(%x : !kt.tensor<[n] x i1>) -> !f {
  ^bb0(%X: !kt.tensor<[n] x i1>, %i: index):
    %zero = arith.constant 0.0 : f16
    %low = arith.constant -65504.0 : f16
    %0 = kt.read %X[%i] : !kt.tensor<[n] x i1> -> i1
    %1 = arith.select %0, %zero, %low : f16
    %2 = arith.extf %1 : f16 to f32
    kt.yield %2 : f32
  }
  return %r : !f
}

// Rows 2 to 15 and then 0 and 1 of one tensor: an element is read once, where it is.
// CHECK-LABEL: @rolled(
// CHECK: kt.generic
// CHECK-COUNT-1: kt.read {{.*}} else
// CHECK-NOT: kt.read
// Where the second read would give another number outside, both stay.
// CHECK-LABEL: @other_outside(
// CHECK-COUNT-2: kt.read {{.*}} else
func.func @rolled(%x: !kt.tensor<[16] x f32>) -> !kt.tensor<[16] x f32> {
  %y = kt.generic ins(%x : !kt.tensor<[16] x f32>) -> !kt.tensor<[16] x f32> {
  ^bb0(%t: !kt.tensor<[16] x f32>, %i: index):
    %outside = arith.constant -1 : index
    %two = arith.constant 2 : index
    %fourteen = arith.constant 14 : index
    %zero = arith.constant 0.0 : f32
    %first = arith.cmpi ult, %i, %fourteen : index
    %up = arith.addi %i, %two : index
    %at = arith.select %first, %up, %outside : index
    %a = kt.read %t[%at] else %zero : f32 : !kt.tensor<[16] x f32> -> f32
    %kept = arith.select %first, %a, %zero : f32
    %down = arith.subi %i, %fourteen : index
    %second = arith.cmpi ult, %down, %two : index
    %from = arith.select %second, %down, %outside : index
    %b = kt.read %t[%from] else %zero : f32 : !kt.tensor<[16] x f32> -> f32
    %v = arith.select %second, %b, %kept : f32
    kt.yield %v : f32
  }
  return %y : !kt.tensor<[16] x f32>
}
func.func @other_outside(%x: !kt.tensor<[16] x f32>) -> !kt.tensor<[20] x f32> {
  %y = kt.generic ins(%x : !kt.tensor<[16] x f32>) -> !kt.tensor<[20] x f32> {
  ^bb0(%t: !kt.tensor<[16] x f32>, %i: index):
    %two = arith.constant 2 : index
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %up = arith.addi %i, %two : index
    %a = kt.read %t[%up] else %zero : f32 : !kt.tensor<[16] x f32> -> f32
    %b = kt.read %t[%i] else %one : f32 : !kt.tensor<[16] x f32> -> f32
    %c = arith.cmpi ult, %i, %two : index
    %v = arith.select %c, %a, %b : f32
    kt.yield %v : f32
  }
  return %y : !kt.tensor<[20] x f32>
}
