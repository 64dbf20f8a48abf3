// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-norms))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-norms))' %t | diff %t -

!x = !kt.tensor<[m, 64] x f32>
!r = !kt.tensor<[m] x f32>
!g = !kt.tensor<[64] x f32>

// x * (1 / sqrt(mean(x^2) + 1e-5)) * gain, as exporters spell an RMS norm.
// CHECK-LABEL: @rms
// CHECK: %[[R:.*]] = kt.normalize{{ +}}rms ins({{.*}}) {axes = 1 : i64, epsilon = {{9.99.*E-6|1.0*E-05|1.0*E-5}} : f64}
// CHECK: } epilogue {
// CHECK: arith.mulf
// CHECK-NOT: kt.generic
// CHECK: return %[[R]]
func.func @rms(%x: !x, %g: !g) -> !x {
  %v = kt.reduce add over [#kt.expr<64>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    %n = arith.constant 64.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %one = arith.constant 1.0 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = arith.addf %0, %eps : f32
    %2 = math.sqrt %1 : f32
    %3 = arith.divf %one, %2 : f32
    kt.yield %3 : f32
  }
  %r = kt.generic ins(%x, %v, %g : !x, !r, !g) -> !x {
  ^bb0(%X: !x, %V: !r, %G: !g, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %V[%i] : !r -> f32
    %2 = arith.mulf %0, %1 : f32
    %3 = kt.read %G[%j] : !g -> f32
    %4 = arith.mulf %2, %3 : f32
    kt.yield %4 : f32
  }
  return %r : !x
}

// (x - mean(x)) / sqrt(mean((x - mean(x))^2) + 1e-5): a layer norm.
// CHECK-LABEL: @layer
// CHECK: %[[R:.*]] = kt.normalize{{ +}}layer ins(%arg0 : !kt.tensor<[m, 64] x f32>)
// CHECK: return %[[R]]
func.func @layer(%x: !x) -> !x {
  %mean = kt.reduce add over [#kt.expr<64>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    %n = arith.constant 64.0 : f32
    %0 = arith.divf %acc, %n : f32
    kt.yield %0 : f32
  }
  %dev = kt.reduce add over [#kt.expr<64>] ins(%x, %mean : !x, !r) -> !r {
  ^bb0(%X: !x, %M: !r, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    %1 = kt.read %M[%i] : !r -> f32
    %2 = arith.subf %0, %1 : f32
    %3 = arith.mulf %2, %2 : f32
    kt.yield %3 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %M: !r, %i: index):
    %n = arith.constant 64.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = arith.addf %0, %eps : f32
    %2 = math.sqrt %1 : f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%x, %mean, %dev : !x, !r, !r) -> !x {
  ^bb0(%X: !x, %M: !r, %D: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %M[%i] : !r -> f32
    %2 = arith.subf %0, %1 : f32
    %3 = kt.read %D[%i] : !r -> f32
    %4 = arith.divf %2, %3 : f32
    kt.yield %4 : f32
  }
  return %r : !x
}

// Divided by 63: a sample's variance, which no norm has.
// CHECK-LABEL: @leaves_another_count_alone
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @leaves_another_count_alone(%x: !x) -> !x {
  %v = kt.reduce add over [#kt.expr<64>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    %n = arith.constant 63.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = arith.addf %0, %eps : f32
    %2 = math.sqrt %1 : f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%x, %v : !x, !r) -> !x {
  ^bb0(%X: !x, %V: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %V[%i] : !r -> f32
    %2 = arith.divf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !x
}

// The deviation of another tensor.
// CHECK-LABEL: @leaves_another_tensor_alone
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @leaves_another_tensor_alone(%x: !x, %y: !x) -> !x {
  %v = kt.reduce add over [#kt.expr<64>] ins(%y : !x) -> !r {
  ^bb0(%X: !x, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    %n = arith.constant 64.0 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = math.sqrt %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%x, %v : !x, !r) -> !x {
  ^bb0(%X: !x, %V: !r, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %V[%i] : !r -> f32
    %2 = arith.divf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !x
}

// What is normalised was made where it was read, in the sum and in the quotient: a row of a table, scaled. It is made in
// the norm.
// CHECK-LABEL: @gathered
// CHECK: %[[R:.*]] = kt.normalize{{ +}}rms ins({{.*}}) {axes = 1 : i64
// CHECK: %[[AT:.*]] = kt.bounded
// CHECK: %[[X:.*]] = kt.read %{{.*}}[%[[AT]], %{{.*}}]
// CHECK: %[[S:.*]] = arith.mulf %[[X]]
// CHECK: kt.yield %[[S]] : f32
// CHECK: } epilogue {
// CHECK-NOT: kt.bounded
// CHECK: kt.yield
// CHECK: return %[[R]]
!ids = !kt.tensor<[1, m] x i64>
!rows = !kt.tensor<[1, m, 64] x f32>
!sums = !kt.tensor<[1, m] x f32>
!table = !kt.tensor<[100, 64] x f32>
func.func @gathered(%ids: !ids, %table: !table) -> !rows {
  %v = kt.reduce add over [#kt.expr<64>] ins(%table, %ids : !table, !ids) -> !sums {
  ^bb0(%T: !table, %I: !ids, %b: index, %i: index, %k: index):
    %half = arith.constant 0.5 : f32
    %0 = kt.read %I[%b, %i] : !ids -> i64
    %1 = kt.bounded %0 below <100> site 0 {wraps} : i64
    %2 = kt.read %T[%1, %k] : !table -> f32
    %3 = arith.mulf %2, %half : f32
    %4 = arith.mulf %3, %3 : f32
    kt.yield %4 : f32
  } epilogue {
  ^bb0(%acc: f32, %T: !table, %I: !ids, %b: index, %i: index):
    %n = arith.constant 64.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = arith.addf %0, %eps : f32
    %2 = math.rsqrt %1 : f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%v, %ids, %table : !sums, !ids, !table) -> !rows {
  ^bb0(%V: !sums, %I: !ids, %T: !table, %b: index, %i: index, %j: index):
    %zero = arith.constant 0 : index
    %half = arith.constant 0.5 : f32
    %0 = kt.read %I[%zero, %i] : !ids -> i64
    %1 = kt.bounded %0 below <100> site 0 {wraps} : i64
    %2 = kt.read %T[%1, %j] : !table -> f32
    %3 = arith.mulf %2, %half : f32
    %4 = kt.read %V[%b, %i] : !sums -> f32
    %5 = arith.mulf %3, %4 : f32
    kt.yield %5 : f32
  }
  return %r : !rows
}

// The squares are of something else.
// CHECK-LABEL: @leaves_another_computation_alone
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @leaves_another_computation_alone(%x: !x) -> !x {
  %v = kt.reduce add over [#kt.expr<64>] ins(%x : !x) -> !r {
  ^bb0(%X: !x, %i: index, %k: index):
    %half = arith.constant 0.5 : f32
    %0 = kt.read %X[%i, %k] : !x -> f32
    %1 = arith.mulf %0, %half : f32
    %2 = arith.mulf %1, %1 : f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    %n = arith.constant 64.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %0 = arith.divf %acc, %n : f32
    %1 = arith.addf %0, %eps : f32
    %2 = math.rsqrt %1 : f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%x, %v : !x, !r) -> !x {
  ^bb0(%X: !x, %V: !r, %i: index, %j: index):
    %quarter = arith.constant 0.25 : f32
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = arith.mulf %0, %quarter : f32
    %2 = kt.read %V[%i] : !r -> f32
    %3 = arith.mulf %1, %2 : f32
    kt.yield %3 : f32
  }
  return %r : !x
}
