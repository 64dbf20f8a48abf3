// An exact target has instructions of its own. After an older one it keeps only kernels of those or of more shared memory, and only where they win.
// RUN: kt-opt --kt-schedule-kernels=targets=sm_89,sm_90a,host %s | FileCheck %s
// RUN: kt-opt --kt-schedule-kernels=targets=sm_90a %s | FileCheck %s --check-prefix=ALONE
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89,sm_90a variants=one" %s | FileCheck %s --check-prefix=ONE
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89,sm_90a tensor-cores=low" %s | FileCheck %s --check-prefix=LOW
// RUN: kt-opt --kt-schedule-kernels=targets=sm_90,sm_120 %s | FileCheck %s --check-prefix=OTHERS

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// ONE-NOT: "sm_90a"
// LOW-NOT: "sm_90a"
// OTHERS-NOT: "wgmma"

module attributes {kt.bounds = {rows = array<i64: 4096, 8192>}} {

// Thousands of rows: warpgroups, and the older target's tiles not once more.
// CHECK-LABEL: kt.kernel @prefill
// CHECK-SAME: "sm_89" "mma"
// CHECK-NOT: "sm_90a" "mma"
// CHECK-SAME: "sm_90a" "wgmma" {{{.*}} tile = array<i64: 128, 256, 64>, warps = array<i64: 8, 1>}
// CHECK-NOT: "sm_90a" "mma"
// CHECK-SAME: "host-v3"
// ALONE-LABEL: kt.kernel @prefill
// ALONE-SAME: "sm_90a" "wgmma"
kt.kernel @prefill ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[256, 4096, 16] x f16>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f16>
}

// One row: the same kernel with a larger ring, which cards of the older target have no shared memory for.
// CHECK-LABEL: kt.kernel @decode
// CHECK-SAME: "sm_89" "gemv" {ahead = 4 : i64, {{.*}} warps = 16 : i64} if <lt(p0, 5)>
// CHECK-SAME: "sm_90a" "gemv" {ahead = 5 : i64, {{.*}} warps = 16 : i64} if <lt(193535, @shared_per_block) * lt(p0, 5)>
// CHECK-NOT: "sm_90a"
// CHECK: kt.kernel @full
// ALONE-LABEL: kt.kernel @decode
// ALONE-SAME: "sm_90a" "gemv"
kt.kernel @decode ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[256, 4096, 16] x f16>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f16>
}

// Full precision has none.
// CHECK-NOT: "sm_90a"
// CHECK: func.func
// ALONE-LABEL: kt.kernel @full
// ALONE-NOT: "wgmma"
// ALONE: func.func
kt.kernel @full ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f32>, %b: !kt.tensor<[256, 4096, 16] x f32>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f32>, !kt.tensor<[256, 4096, 16] x f32> -> !kt.tensor<[p0, 4096] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f32>
}

func.func @main(%a: !kt.tensor<[rows, 4096] x f16>, %x: !kt.tensor<[1, 4096] x f16>, %w: !kt.tensor<[256, 4096, 16] x f16>,
                %f: !kt.tensor<[rows, 4096] x f32>, %v: !kt.tensor<[256, 4096, 16] x f32>)
    -> (!kt.tensor<[rows, 4096] x f16>, !kt.tensor<[1, 4096] x f16>, !kt.tensor<[rows, 4096] x f32>) {
  %0 = kt.launch @prefill ins(%a, %w : !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x f16>
  %1 = kt.launch @decode ins(%x, %w : !kt.tensor<[1, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16>) ints [#kt.expr<1>] -> !kt.tensor<[1, 4096] x f16>
  %2 = kt.launch @full ins(%f, %v : !kt.tensor<[rows, 4096] x f32>, !kt.tensor<[256, 4096, 16] x f32>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x f32>
  return %0, %1, %2 : !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[1, 4096] x f16>, !kt.tensor<[rows, 4096] x f32>
}
}
