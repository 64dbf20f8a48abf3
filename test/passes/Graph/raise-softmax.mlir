// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-softmax))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-softmax))' %t | diff %t -

!x = !kt.tensor<[s, t] x f32>
!r = !kt.tensor<[s] x f32>

// The scale is made twice, in both readers; what follows the quotient is the epilogue.
// CHECK-LABEL: @spelled_out
// CHECK-NEXT: %[[R:.*]] = kt.normalize softmax ins(%arg0
// CHECK: kt.read
// CHECK: %[[S:.*]] = arith.mulf
// CHECK-NEXT: kt.yield %[[S]]
// CHECK: epilogue
// CHECK: ^bb0(%[[Y:.*]]: f32,
// CHECK: %[[Z:.*]] = arith.addf %[[Y]]
// CHECK-NEXT: kt.yield %[[Z]]
// CHECK: return %[[R]]
func.func @spelled_out(%x: !x) -> !x {
  %m = kt.reduce max over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 2.0 : f32
    %1 = arith.mulf %0, %c : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !x, %i: index):
    kt.yield %a : f32
  }
  %e = kt.generic ins(%x, %m : !x, !r) -> !x {
  ^bb0(%X: !x, %M: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 2.0 : f32
    %1 = arith.mulf %0, %c : f32
    %2 = kt.read %M[%i] : !r -> f32
    %3 = arith.subf %1, %2 : f32
    %4 = math.exp %3 : f32
    kt.yield %4 : f32
  }
  %s = kt.reduce add over [#kt.expr<t>] ins(%e : !x) -> !r {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %E: !x, %i: index):
    kt.yield %a : f32
  }
  %r = kt.generic ins(%e, %s : !x, !r) -> !x {
  ^bb0(%E: !x, %S: !r, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = kt.read %S[%i] : !r -> f32
    %2 = arith.divf %0, %1 : f32
    %c = arith.constant 1.0 : f32
    %3 = arith.addf %2, %c : f32
    kt.yield %3 : f32
  }
  return %r : !x
}

// The maximum is that of other numbers.
// CHECK-LABEL: @leaves_another_maximum_alone
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @leaves_another_maximum_alone(%x: !x) -> !x {
  %m = kt.reduce max over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 3.0 : f32
    %1 = arith.mulf %0, %c : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !x, %i: index):
    kt.yield %a : f32
  }
  %e = kt.generic ins(%x, %m : !x, !r) -> !x {
  ^bb0(%X: !x, %M: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 2.0 : f32
    %1 = arith.mulf %0, %c : f32
    %2 = kt.read %M[%i] : !r -> f32
    %3 = arith.subf %1, %2 : f32
    %4 = math.exp %3 : f32
    kt.yield %4 : f32
  }
  %s = kt.reduce add over [#kt.expr<t>] ins(%e : !x) -> !r {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %E: !x, %i: index):
    kt.yield %a : f32
  }
  %r = kt.generic ins(%e, %s : !x, !r) -> !x {
  ^bb0(%E: !x, %S: !r, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = kt.read %S[%i] : !r -> f32
    %2 = arith.divf %0, %1 : f32
    %c = arith.constant 1.0 : f32
    %3 = arith.addf %2, %c : f32
    kt.yield %3 : f32
  }
  return %r : !x
}

// The sum is that of other numbers.
// CHECK-LABEL: @leaves_another_sum_alone
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @leaves_another_sum_alone(%x: !x) -> !x {
  %m = kt.reduce max over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 2.0 : f32
    %1 = arith.mulf %0, %c : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !x, %i: index):
    kt.yield %a : f32
  }
  %e = kt.generic ins(%x, %m : !x, !r) -> !x {
  ^bb0(%X: !x, %M: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %c = arith.constant 2.0 : f32
    %1 = arith.mulf %0, %c : f32
    %2 = kt.read %M[%i] : !r -> f32
    %3 = arith.subf %1, %2 : f32
    %4 = math.exp %3 : f32
    kt.yield %4 : f32
  }
  %s = kt.reduce add over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %E: !x, %i: index):
    kt.yield %a : f32
  }
  %r = kt.generic ins(%e, %s : !x, !r) -> !x {
  ^bb0(%E: !x, %S: !r, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = kt.read %S[%i] : !r -> f32
    %2 = arith.divf %0, %1 : f32
    %c = arith.constant 1.0 : f32
    %3 = arith.addf %2, %c : f32
    kt.yield %3 : f32
  }
  return %r : !x
}

// A softmax does that itself.
// CHECK-LABEL: @drops_the_maximum
// CHECK-NEXT: %[[R:.*]] = kt.normalize softmax ins(%arg0 : !kt.tensor<[s, t] x f32>)
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[s, t] x f32>, %[[I:.*]]: index, %[[J:.*]]: index):
// CHECK-NEXT: %[[V:.*]] = kt.read %[[X]][%[[I]], %[[J]]]
// CHECK-NEXT: kt.yield %[[V]]
// CHECK: return %[[R]]
func.func @drops_the_maximum(%x: !x) -> !x {
  %m = kt.reduce max over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !x, %i: index):
    kt.yield %a : f32
  }
  %r = kt.normalize softmax ins(%x, %m : !x, !r) {axes = 1 : i64, epsilon = 0.0 : f64} -> !x {
  ^bb0(%X: !x, %M: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %M[%i] : !r -> f32
    %2 = arith.subf %0, %1 : f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !x, %M: !r, %i: index, %j: index):
    kt.yield %y : f32
  }
  return %r : !x
}

// A sum instead of a maximum may be anything, also infinite where no element is.
// CHECK-LABEL: @leaves_the_sum_of_a_row
// CHECK: kt.reduce add
// CHECK: kt.normalize softmax
// CHECK: arith.subf
// CHECK: return
func.func @leaves_the_sum_of_a_row(%x: !x) -> !x {
  %m = kt.reduce add over [#kt.expr<t>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%a: f32, %X: !x, %i: index):
    kt.yield %a : f32
  }
  %r = kt.normalize softmax ins(%x, %m : !x, !r) {axes = 1 : i64, epsilon = 0.0 : f64} -> !x {
  ^bb0(%X: !x, %M: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %M[%i] : !r -> f32
    %2 = arith.subf %0, %1 : f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !x, %M: !r, %i: index, %j: index):
    kt.yield %y : f32
  }
  return %r : !x
}
