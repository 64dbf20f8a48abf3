// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 variants=all" %s | FileCheck %s
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90a variants=all" %s | FileCheck %s --check-prefix=HOPPER
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90a variants=all" %s -o %t && kt-opt --kt-schedule-kernels="targets=sm_90a variants=all" %t | diff %t -
//
// Products that may round their rows to integers.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Few rows keep halves; others have tiles of bytes, whose weights are as many bits wide as they are.
// CHECK-LABEL: kt.kernel @rounds
// CHECK-SAME: "mma" {async = 1 : i64, blocks = array<i64: 8, 128, 32, 0>, bytes = 1 : i64, int8_rows = 1 : i64, min_ctas = 1 : i64, stages = 4 : i64, tile = array<i64: 64, 64, 128>, warps = array<i64: 2, 2>} if <{{[^"]*}}lt(64, p0){{[^"]*}}>
// HOPPER-LABEL: kt.kernel @rounds
// HOPPER-SAME: "wgmma" {async = 1 : i64, blocks = array<i64: 8, 128, 32, 0>, bytes = 1 : i64, int8_rows = 1 : i64,
// CHECK: kt.yield
kt.kernel @rounds ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1024] x f16>, %b: !kt.tensor<[64, 8, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<1024>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 1024] x f16>, !kt.tensor<[64, 8, 2080] x ui8> -> !kt.tensor<[p0, 1024] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 1024] x f16>
}

// Rows whose integers are no whole chunks of 16.
// CHECK-LABEL: kt.kernel @halves_of_a_window
// CHECK-NOT: int8_rows = 1
// CHECK: kt.yield
kt.kernel @halves_of_a_window ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1032] x f16>, %b: !kt.tensor<[64, 9, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<1032>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 1032] x f16>, !kt.tensor<[64, 9, 2080] x ui8> -> !kt.tensor<[p0, 1024] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 1024] x f16>
}

// Where a run decides the depth, its candidates say that it has to be whole.
// CHECK-LABEL: kt.kernel @any_depth
// CHECK-SAME: int8_rows = 1 : i64, {{[^}]*}}} if <{{[^"]*}}eq(0, (p1 * 8) mod 16) * lt(64, p0)
// CHECK: kt.yield
kt.kernel @any_depth ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1 * 8] x f16>, %b: !kt.tensor<[64, p2, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<p1 * 8>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, p1 * 8] x f16>, !kt.tensor<[64, p2, 2080] x ui8> -> !kt.tensor<[p0, 1024] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 1024] x f16>
}

// FP32 is computed as it is.
// CHECK-LABEL: kt.kernel @single
// CHECK-NOT: int8_rows = 1
kt.kernel @single ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1024] x f32>, %b: !kt.tensor<[64, 8, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<1024>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 1024] x f32>, !kt.tensor<[64, 8, 2080] x ui8> -> !kt.tensor<[p0, 1024] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 1024] x f32>
}
