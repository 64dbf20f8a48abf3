// Shares of the keys of few queries are the blocks of a cluster in code for GPUs that have clusters, beside the way of all others, for who asks for all.
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89,sm_90a,host variants=all" %s | FileCheck %s
// RUN: kt-opt --kt-schedule-kernels="targets=sm_90 variants=all" %s | FileCheck %s --check-prefix=ALONE
// RUN: kt-opt --kt-schedule-kernels="targets=sm_80,sm_89 variants=all" %s | FileCheck %s --check-prefix=OLDER
// RUN: kt-opt --kt-schedule-kernels="targets=sm_89,sm_90a,host" %s | FileCheck %s --check-prefix=OLDER

// CHECK-LABEL: kt.kernel @few
// CHECK-SAME: "sm_89" "decode" {} splits <
// CHECK-SAME: "sm_90a" "decode" {cluster = 1 : i64} splits <min(8, max(1, min(64,
// ALONE-LABEL: kt.kernel @few
// ALONE-SAME: "sm_90" "decode" {cluster = 1 : i64}
// OLDER-NOT: cluster =

#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>

module attributes {kt.bounds = {keys = array<i64: 512, 4096>}} {
kt.kernel @few ["p0"] computes {
^bb0(%q: !kt.tensor<[1, 32, 1, 64] x f16>, %k: !kt.tensor<[1, 8, p0, 64] x f16>, %v: !kt.tensor<[1, 8, p0, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgjd, #bhid],
       sizes = [#kt.expr<1>, #kt.expr<32>, #kt.expr<1>, #kt.expr<p0>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64}
      : !kt.tensor<[1, 32, 1, 64] x f16>, !kt.tensor<[1, 8, p0, 64] x f16>, !kt.tensor<[1, 8, p0, 64] x f16>
      -> !kt.tensor<[1, 32, 1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[1, 32, 1, 64] x f16>
}

func.func @main(%q: !kt.tensor<[1, 32, 1, 64] x f16>, %k: !kt.tensor<[1, 8, keys, 64] x f16>, %v: !kt.tensor<[1, 8, keys, 64] x f16>) -> !kt.tensor<[1, 32, 1, 64] x f16> {
  %0 = kt.launch @few ins(%q, %k, %v : !kt.tensor<[1, 32, 1, 64] x f16>, !kt.tensor<[1, 8, keys, 64] x f16>, !kt.tensor<[1, 8, keys, 64] x f16>) ints [#kt.expr<keys>]
      -> !kt.tensor<[1, 32, 1, 64] x f16>
  return %0 : !kt.tensor<[1, 32, 1, 64] x f16>
}
}
