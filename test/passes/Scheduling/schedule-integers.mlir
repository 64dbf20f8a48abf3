// RUN: kt-opt --kt-schedule-kernels=targets=sm_89 %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-schedule-kernels=targets=sm_89 %t | diff %t -
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 variants=all" %s | FileCheck %s --check-prefix=ALL
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90a variants=all" %s | FileCheck %s --check-prefix=HOPPER
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 tensor-cores=low" %s | FileCheck %s --check-prefix=LOW
//
// Products of 8-bit integers.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// LOW-NOT: "mma"

module attributes {kt.bounds = {rows = array<i64: 4096, 8192>}} {

// Thousands of aligned rows: tiles of tensor cores alone, of the depth that 64 bytes or more are.
// CHECK-LABEL: kt.kernel @aligned
// CHECK-NOT: "simt"
// CHECK: "mma" {async = 1 : i64, bytes = 1 : i64,
// CHECK-NOT: "simt"
// CHECK-LABEL: kt.kernel @any_depth
// ALL-LABEL: kt.kernel @aligned
// ALL-SAME: "mma" {async = 1 : i64, bytes = 1 : i64, min_ctas = 1 : i64, stages = 4 : i64, tile = array<i64: 16, 64, 256>
// ALL-SAME: tile = array<i64: 256, 128, 64>
// Warpgroups have 64 columns each, of slabs of 128 bytes.
// HOPPER-LABEL: kt.kernel @aligned
// HOPPER-NOT: producers
// HOPPER-SAME: "wgmma" {async = 1 : i64, bytes = 1 : i64, min_ctas = 1 : i64, stages = 8 : i64, tile = array<i64: 32, 128, 128>, warps = array<i64: 1, 8>}
kt.kernel @aligned ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x ui8>, %b: !kt.tensor<[256, 4096, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x ui8>, !kt.tensor<[256, 4096, 16] x i8> -> !kt.tensor<[p0, 4096] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x i32>
}

// Rows of 16 bytes are what copies need; others are left to CUDA cores, and no tile takes them an element at a time.
// ALL-LABEL: kt.kernel @any_depth
// ALL-NOT: async = 0
// ALL-SAME: "mma" {async = 1 : i64, bytes = 1 : i64, {{[^}]*}}} if <eq(0, p1 mod 16)>
// ALL-NOT: async = 0
// ALL-SAME: "simt"
kt.kernel @any_depth ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x i8>, %b: !kt.tensor<[5, p1, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<p1>, packed}
      : !kt.tensor<[p0, p1] x i8>, !kt.tensor<[5, p1, 16] x i8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

// Weights that are no 8 bits wide beside integers that are.
// ALL-LABEL: kt.kernel @wider
// ALL-NOT: "mma"
// ALL: kt.yield
kt.kernel @wider ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[5, 64, 16] x i16>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[5, 64, 16] x i16> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

// Taps in chunks of 16 channels, and of 8, which come an element at a time.
// HOPPER-LABEL: kt.kernel @taps
// HOPPER-SAME: "wgmma" {async = 1 : i64, bytes = 1 : i64, {{[^}]*}}tile = array<i64: 128, 64, 128>
// HOPPER-LABEL: kt.kernel @halves_of_chunks
// HOPPER-NOT: "wgmma"
// ALL-LABEL: kt.kernel @taps
// ALL-SAME: "mma" {async = 1 : i64, bytes = 1 : i64, {{[^}]*}}tile = array<i64: 64, 64, 64>
kt.kernel @taps ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 9, p1 * 16] x ui8>, %w: !kt.tensor<[1, 2, 9, p1 * 16, 16] x i8>):
  %r = kt.conv %x, %w {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
                       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 9, p1 * 16] x ui8>, !kt.tensor<[1, 2, 9, p1 * 16, 16] x i8> -> !kt.tensor<[p0, 9, 9, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 9, 9, 32] x i32>
}
// ALL-LABEL: kt.kernel @halves_of_chunks
// ALL-NOT: "mma"
// ALL: kt.yield
kt.kernel @halves_of_chunks ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 9, p1 * 8] x ui8>, %w: !kt.tensor<[1, 2, 9, p1 * 8, 16] x i8>):
  %r = kt.conv %x, %w {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
                       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 9, p1 * 8] x ui8>, !kt.tensor<[1, 2, 9, p1 * 8, 16] x i8> -> !kt.tensor<[p0, 9, 9, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 9, 9, 32] x i32>
}

func.func @launches(%a: !kt.tensor<[rows, 4096] x ui8>, %w: !kt.tensor<[256, 4096, 16] x i8>) -> !kt.tensor<[rows, 4096] x i32> {
  %r = kt.launch @aligned ins(%a, %w : !kt.tensor<[rows, 4096] x ui8>, !kt.tensor<[256, 4096, 16] x i8>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x i32>
  return %r : !kt.tensor<[rows, 4096] x i32>
}
}
