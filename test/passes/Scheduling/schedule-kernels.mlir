// RUN: kt-opt --kt-schedule-kernels=targets=sm_89,host %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-schedule-kernels=targets=sm_89,host %t | diff %t -
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89,host variants=one" %s | FileCheck %s --check-prefix=ONE
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 tensor-cores=low" %s | FileCheck %s --check-prefix=LOW
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90 variants=all" %s | FileCheck %s --check-prefix=ALL
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89 variants=all" %s | FileCheck %s --check-prefix=SMALL

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// LOW-NOT: "mma"

module attributes {kt.bounds = {rows = array<i64: 4096, 8192>}} {

// One row of a decoder: its weights through a ring that every card has room for. What the host can is behind it, the better instructions first.
// CHECK-LABEL: kt.kernel @decode
// CHECK-SAME: candidates = [#kt.candidate<"sm_89" "gemv" {ahead = 4 : i64, mma = 1 : i64, panels = 1 : i64, rows = 4 : i64, warps = 16 : i64}
// CHECK-NOT: "sm_89"
// CHECK-SAME: #kt.candidate<"host-v4" "host" {}
// CHECK-SAME: #kt.candidate<"host-v3" "host" {}
// CHECK-NOT: #kt.candidate
// ONE-LABEL: kt.kernel @decode
// ONE-COUNT-1: "sm_89"
// ONE-SAME: "host-v3"
// ONE-NOT: "host-v4"
// LOW-LABEL: kt.kernel @decode
// LOW-SAME: "gemv" {{{[^}]*}}mma = 0 : i64, {{[^}]*}}rows = 1 : i64
// The first ring of each kind that the target's shared memory has room for, where the card has it too, and one that leaves room; none for more rows than there are.
// ALL-LABEL: kt.kernel @decode
// ALL-SAME: "gemv" {ahead = 5 : i64, mma = 1 : i64, panels = 2 : i64, rows = 4 : i64, warps = 16 : i64} if <lt(193535, @shared_per_block) * lt(p0, 5)>
// ALL-SAME: "gemv" {ahead = 8 : i64, mma = 1 : i64, panels = 1 : i64, rows = 4 : i64, warps = 16 : i64} if <lt(168959, @shared_per_block) * lt(p0, 5)>
// ALL-SAME: "gemv" {ahead = 4 : i64, mma = 1 : i64, panels = 1 : i64, rows = 4 : i64, warps = 16 : i64} if <lt(p0, 5)>
// ALL-NOT: "gemv"
// ALL-SAME: "mma"
// ALL-NOT: mma = 0
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

// The same kernel with thousands of rows: the largest tiles, nothing for few rows and nothing that splits.
// CHECK-LABEL: kt.kernel @prefill
// CHECK-NOT: array<i64: 16,
// CHECK-NOT: array<i64: 32,
// CHECK-NOT: splits
// CHECK-SAME: tile = array<i64: 128, {{128|256}}
// ALL-LABEL: kt.kernel @prefill
// ALL-SAME: array<i64: 16, 64, 128>
// ALL-SAME: array<i64: 16, 64, 128>, warps = array<i64: 1, 4>} splits <
// A tile that only larger cards can hold has to be asked for: the code runs on later ones too, some of which are smaller.
// ALL-SAME: array<i64: 128, 256, 64>, warps = array<i64: 2, 4>} if <lt(147471, @shared_per_block)>
// SMALL-LABEL: kt.kernel @prefill
// SMALL-SAME: array<i64: 256, 128, 32>
// SMALL-NOT: array<i64: 128, 256, 64>
// SMALL: kt.kernel @ragged
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

// Launches whose sizes are multiples of eight need no way for others: known sizes prune guards.
// CHECK-LABEL: kt.kernel @aligned
// CHECK-NOT: async = 0
// CHECK: async = 1
// CHECK-SAME: if <eq(0, p1 mod 8) * eq(0, p2 mod 8)>
// CHECK-NOT: async = 0
// CHECK-LABEL: kt.kernel @ragged
// CHECK-NOT: async = 1
// CHECK-SAME: async = 0
// CHECK-NOT: async = 1
kt.kernel @aligned ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p2] x f16>, %b: !kt.tensor<[p2, p1] x f16>):
  %r = kt.matmul %a, %b {maps = [#mk, #kn, #mn], depth = #kt.expr<p2>}
      : !kt.tensor<[p0, p2] x f16>, !kt.tensor<[p2, p1] x f16> -> !kt.tensor<[p0, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}
kt.kernel @ragged ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p2] x f16>, %b: !kt.tensor<[p2, p1] x f16>):
  %r = kt.matmul %a, %b {maps = [#mk, #kn, #mn], depth = #kt.expr<p2>}
      : !kt.tensor<[p0, p2] x f16>, !kt.tensor<[p2, p1] x f16> -> !kt.tensor<[p0, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

// Nothing is known of a kernel that is not launched here: one candidate takes whatever comes.
// CHECK-LABEL: kt.kernel @alone
// CHECK-SAME: "sm_89" "rows" {block = 128 : i64, held = 32 : i64
// CHECK-SAME: if <eq(0, p1 mod 8) * lt(p1, 1025)>
// CHECK-SAME: "sm_89" "rows" {block = 256 : i64, held = 0 : i64, threads = 256 : i64, vectors = 0 : i64} costs <
kt.kernel @alone ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %r = kt.normalize softmax ins(%x : !kt.tensor<[p0, p1] x f16>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f16>, %i: index, %j: index):
    %0 = arith.truncf %y : f32 to f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

// Nothing for few rows of a right side that is not packed.
// ALL-LABEL: kt.kernel @ragged
// ALL-NOT: "gemv"
// ALL: kt.kernel @alone

// A norm of a product's rows: of a few by the last block, else by all blocks of a band, or by the last one where tiles are so large that bands of them do not come one after the other,
// and never by a launch of its own. Each way is there for each tile.
// CHECK-LABEL: kt.kernel @rows
// CHECK-SAME: "gemv" {{{[^}]*}}follow = 1 : i64, {{[^}]*}}rows = 4 : i64
// CHECK-SAME: "gemv" {{{[^}]*}}follow = 1 : i64, {{[^}]*}}rows = 16 : i64
// CHECK-SAME: "gemv" {{{[^}]*}}follow = 2 : i64, {{[^}]*}}rows = 32 : i64
// CHECK-NOT: "gemv"
// CHECK-SAME: "mma" {async = 1 : i64, follow = 2 : i64, {{[^}]*}} tile = array<i64: 32, 64, 128>,
// CHECK-NOT: follow = {{[01]}}
// CHECK-SAME: follow = 2 : i64, {{[^}]*}} tile = array<i64: 128, 128, 64>,
// CHECK-NOT: follow = {{[02]}}
// CHECK-SAME: follow = 1 : i64, {{[^}]*}} tile = array<i64: 128, 256, 32>,
// CHECK-NOT: follow = {{[012]}}
// CHECK: func.func
// ALL-LABEL: kt.kernel @rows
// ALL-SAME: follow = 1 : i64, {{[^}]*}} tile = array<i64: 128, 256, 64>,
// ALL-SAME: follow = 2 : i64, {{[^}]*}} tile = array<i64: 128, 256, 64>,
// ALL-SAME: follow = 0 : i64, {{[^}]*}} tile = array<i64: 128, 256, 64>,
kt.kernel @rows ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 768] x f16>, %b: !kt.tensor<[48, 768, 16] x f16>, %w: !kt.tensor<[768] x f32>):
  %x = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<768>, packed}
      : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[48, 768, 16] x f16> -> !kt.tensor<[p0, 768] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %y = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[768] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    %2 = arith.truncf %1 : f32 to f16
    kt.yield %2 : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[p0, 768] x f16>
}

func.func @main(%x: !kt.tensor<[1, 4096] x f16>, %y: !kt.tensor<[rows, 4096] x f16>, %w: !kt.tensor<[256, 4096, 16] x f16>,
                %a: !kt.tensor<[rows, 512] x f16>, %b: !kt.tensor<[512, 96] x f16>, %c: !kt.tensor<[rows, 50] x f16>, %d: !kt.tensor<[50, 30] x f16>,
                %e: !kt.tensor<[any, 768] x f16>, %f: !kt.tensor<[48, 768, 16] x f16>, %g: !kt.tensor<[768] x f32>)
    -> (!kt.tensor<[1, 4096] x f16>, !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[rows, 96] x f16>, !kt.tensor<[rows, 30] x f16>, !kt.tensor<[any, 768] x f16>) {
  %0 = kt.launch @decode ins(%x, %w : !kt.tensor<[1, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16>) ints [#kt.expr<1>] -> !kt.tensor<[1, 4096] x f16>
  %1 = kt.launch @prefill ins(%y, %w : !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16>) ints [#kt.expr<rows>] -> !kt.tensor<[rows, 4096] x f16>
  %2 = kt.launch @aligned ins(%a, %b : !kt.tensor<[rows, 512] x f16>, !kt.tensor<[512, 96] x f16>) ints [#kt.expr<rows>, #kt.expr<96>, #kt.expr<512>] -> !kt.tensor<[rows, 96] x f16>
  %3 = kt.launch @ragged ins(%c, %d : !kt.tensor<[rows, 50] x f16>, !kt.tensor<[50, 30] x f16>) ints [#kt.expr<rows>, #kt.expr<30>, #kt.expr<50>] -> !kt.tensor<[rows, 30] x f16>
  %4:2 = kt.launch @rows ins(%e, %f, %g : !kt.tensor<[any, 768] x f16>, !kt.tensor<[48, 768, 16] x f16>, !kt.tensor<[768] x f32>) ints [#kt.expr<any>]
      -> !kt.tensor<[any, 768] x f16>, !kt.tensor<[any, 768] x f16>
  return %0, %1, %2, %3, %4#1 : !kt.tensor<[1, 4096] x f16>, !kt.tensor<[rows, 4096] x f16>, !kt.tensor<[rows, 96] x f16>, !kt.tensor<[rows, 30] x f16>, !kt.tensor<[any, 768] x f16>
}
}
