// RUN: kt-opt --kt-schedule-kernels=targets=sm_89,host %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-schedule-kernels=targets=sm_89,host %t | diff %t -

// Of several computations one says how the kernel is run, and what they share counts once: two operands and two results of a row of 2 KB here.
!t = !kt.tensor<[p0, 512] x f32>
!v = !kt.tensor<[p0] x f32>
// CHECK: kt.kernel @residual ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "rows" {block = 128 : i64, held = 32 : i64, {{.*}} costs <{{[(]+}}p0 * 8192000)
// CHECK-SAME: "host-v4" "host" {} costs <(p0 * 8192) floordiv 10>
kt.kernel @residual ["p0"] computes {
^bb0(%a: !t, %b: !t):
  %r = kt.generic ins(%a, %b : !t, !t) -> !t {
  ^bb0(%A: !t, %B: !t, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !t -> f32
    %1 = kt.read %B[%i, %j] : !t -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %y = kt.normalize rms ins(%r : !t) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !t {
  ^bb0(%R: !t, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !t, %i: index, %j: index):
    kt.yield %v : f32
  }
  kt.yield %r, %y : !t, !t
}

// One walk over a row of 2 KB for two numbers.
// CHECK: kt.kernel @extremes ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "rows" {threads = 32 : i64, vectors = 1 : i64} costs <{{[(]+}}p0 * 2056000)
// CHECK-SAME: "host-v4" "host" {} costs <(p0 * 2056) floordiv 10>
kt.kernel @extremes ["p0"] computes {
^bb0(%x: !t):
  %a = kt.reduce min over [#kt.expr<512>] ins(%x : !t) -> !v {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%s: f32, %X: !t, %i: index):
    kt.yield %s : f32
  }
  %b = kt.reduce max over [#kt.expr<512>] ins(%x : !t) -> !v {
  ^bb0(%X: !t, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !t -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%s: f32, %X: !t, %i: index):
    kt.yield %s : f32
  }
  kt.yield %a, %b : !v, !v
}
