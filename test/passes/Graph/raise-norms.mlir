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
