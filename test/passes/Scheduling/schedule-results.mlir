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

// Parts of a grid: 12 bytes for each element of the one, 8 of a window of the other, however large that is. Vectors where columns are whole ones.
// CHECK: kt.kernel @beside ["p0", "p1", "p2"] attributes {candidates = [#kt.candidate<"sm_89" "flat" {vectors = 1 : i64} if <eq(0, p1 mod 4)> costs <((((p0 * p1 * 12000 + p1 * 8000)
// CHECK-SAME: "flat" {vectors = 0 : i64} costs
kt.kernel @beside ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %y: !kt.tensor<[p1] x f32>):
  %a = kt.generic ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0, p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    %1 = arith.fptosi %0 : f32 to i64
    kt.yield %1 : i64
  }
  %b = kt.update axis 0 from #kt.expr<p2> count #kt.expr<1> ins(%y : !kt.tensor<[p1] x f32>) -> !kt.tensor<[p2 + 1, p1] x f32> {
  ^bb0(%Y: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %Y[%j] : !kt.tensor<[p1] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %a, %b : !kt.tensor<[p0, p1] x i64>, !kt.tensor<[p2 + 1, p1] x f32>
}

// A norm that a product of few rows reads is made by each of its blocks, one row before several; of many it is a launch before.
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
!h = !kt.tensor<[p0, 512] x f16>
// CHECK: kt.kernel @normed ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "gemv" {{{[^}]*}}kept = 512 : i64, {{[^}]*}}rows = 1 : i64, {{[^}]*}}} if <lt(p0, 2)>
// CHECK-SAME: "gemv" {{{[^}]*}}kept = 512 : i64, {{[^}]*}}rows = 4 : i64, {{[^}]*}}} if <lt(1, p0) * lt(p0, 5)>
// CHECK-NOT: follow
// CHECK-NOT: kept = 512 : i64, {{[^}]*}}splits
// CHECK: kt.yield
kt.kernel @normed ["p0"] computes {
^bb0(%a: !h, %w: !kt.tensor<[256, 512, 16] x f16>):
  %x = kt.normalize rms ins(%a : !h) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !h {
  ^bb0(%A: !h, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !h -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !h, %i: index, %j: index):
    %0 = arith.truncf %v : f32 to f16
    kt.yield %0 : f16
  }
  %y = kt.matmul %x, %w {maps = [#mk, #nk, #mn], depth = #kt.expr<512>, packed} : !h, !kt.tensor<[256, 512, 16] x f16> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %x, %y : !h, !kt.tensor<[p0, 4096] x f16>
}
