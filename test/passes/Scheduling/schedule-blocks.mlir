// Weights in blocks: rings for few rows, tiles that make fragments of them, and from 64 rows on a stage that widens all weights first, where those are no more than 512 MB.
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 variants=all" %s | FileCheck %s
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90a variants=all" %s | FileCheck %s --check-prefix=EXACT
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89" %s | FileCheck %s --check-prefix=FEW

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

module attributes {kt.bounds = {rows = array<i64: 1, 4096>}} {

// CHECK-LABEL: kt.kernel @int4
// CHECK-SAME: "sm_89" "gemv" {ahead = 2 : i64, mma = 1 : i64, panels = 2 : i64, rows = 1 : i64, warps = 16 : i64} if <lt(p0, 2)>
// CHECK-SAME: "sm_89" "gemv" {{{.*}}mma = 1 : i64, panels = 2 : i64, rows = 4 : i64, {{.*}} if <lt(1, p0) * lt(p0, 5)>
// CHECK-SAME: "sm_89" "mma" {{{.*}} tile = array<i64: 64, 64, 64>, warps = array<i64: 2, 2>}
// CHECK-SAME: "sm_89" "mma" {{{.*}} widened = 1 : i64} {{.*}}if <{{.*}}lt(64, p0)
// EXACT-LABEL: kt.kernel @int4
// EXACT-SAME: "sm_90a" "gemv" {ahead = 2 : i64, mma = 1 : i64, panels = 2 : i64, rows = 1 : i64, warps = 16 : i64}
// Weights are the left factor, of 64 columns a warpgroup.
// Warps that only copy come with all tiles that have registers for them.
// EXACT-SAME: "sm_90a" "wgmma" {{{.*}} blocks = array<i64: 4, 32, 32, 0>, min_ctas = 1 : i64, producers = 4 : i64, stages = 8 : i64, tile = array<i64: 128, 128, 64>, warps = array<i64: 1, 8>}
// EXACT-SAME: "sm_90a" "wgmma" {{{.*}} blocks = array<i64: 4, 32, 32, 0>, min_ctas = 1 : i64, stages = 4 : i64, tile = array<i64: 256, 128, 64>, warps = array<i64: 1, 8>}
// EXACT-SAME: "sm_90a" "wgmma" {{{.*}} widened = 1 : i64}
// FEW-LABEL: kt.kernel @int4
// FEW-SAME: "sm_89" "gemv" {{{.*}} rows = 1 : i64
kt.kernel @int4 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[256, 128, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[256, 128, 288] x ui8> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f16>
}

// 525 million weights: a gigabyte of halves.
// CHECK-LABEL: kt.kernel @logits
// CHECK-NOT: widened
// CHECK-LABEL: kt.kernel @full
// CHECK-SAME: "sm_89" "gemv" {{{.*}}mma = 0 : i64
// CHECK-NOT: mma = 1 : i64
// CHECK-SAME: "sm_89" "simt"
kt.kernel @logits ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[8016, 128, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[8016, 128, 288] x ui8> -> !kt.tensor<[p0, 128256] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 128256] x f16>
}

kt.kernel @full ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f32>, %b: !kt.tensor<[256, 128, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 4096] x f32>, !kt.tensor<[256, 128, 288] x ui8> -> !kt.tensor<[p0, 4096] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f32>
}

func.func @graph(%a: !kt.tensor<[rows, 4096] x f16>, %b: !kt.tensor<[256, 128, 288] x ui8>, %c: !kt.tensor<[8016, 128, 288] x ui8>, %d: !kt.tensor<[rows, 4096] x f32>) {
  %0 = kt.launch @int4 ins(%a, %b : !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[256, 128, 288] x ui8>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x f16>
  %1 = kt.launch @logits ins(%a, %c : !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[8016, 128, 288] x ui8>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 128256] x f16>
  %2 = kt.launch @full ins(%d, %b : !kt.tensor<[rows, 4096] x f32>, !kt.tensor<[256, 128, 288] x ui8>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x f32>
  return
}
}
