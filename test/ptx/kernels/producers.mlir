// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Products that warps which only copy feed, of any depth: p0 rows, p1 times 8 deep; p2 groups of weights in blocks. Their epilogues read a tensor beside. One with a norm of rows
// that all threads of a block share.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

kt.kernel @producers_int8_blocks ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1 * 8] x f16>, %b: !kt.tensor<[5, p2, 2080] x ui8>, %x: !kt.tensor<[p0, 72] x f16>):
  %r = kt.matmul %a, %b extras(%x : !kt.tensor<[p0, 72] x f16>) {maps = [#mk, #nk, #mn], depth = #kt.expr<p1 * 8>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, p1 * 8] x f16>, !kt.tensor<[5, p2, 2080] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %X: !kt.tensor<[p0, 72] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 72] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @producers_int4_blocks ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1 * 8] x f16>, %b: !kt.tensor<[5, p2, 304] x ui8>, %x: !kt.tensor<[p0, 72] x f16>):
  %r = kt.matmul %a, %b extras(%x : !kt.tensor<[p0, 72] x f16>) {maps = [#mk, #nk, #mn], depth = #kt.expr<p1 * 8>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = true>}
      : !kt.tensor<[p0, p1 * 8] x f16>, !kt.tensor<[5, p2, 304] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %X: !kt.tensor<[p0, 72] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 72] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @producers_rows_int8_2056_8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 8] x f16>, %b: !kt.tensor<[129, 1, 2080] x ui8>, %w: !kt.tensor<[2056] x f32>):
  %x = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<8>, packed, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 8] x f16>, !kt.tensor<[129, 1, 2080] x ui8> -> !kt.tensor<[p0, 2056] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  %y = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, 2056] x f16>, !kt.tensor<[2056] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 2056] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 2056] x f16>, %W: !kt.tensor<[2056] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 2056] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, 2056] x f16>, %W: !kt.tensor<[2056] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[2056] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    %2 = arith.truncf %1 : f32 to f16
    kt.yield %2 : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 2056] x f16>, !kt.tensor<[p0, 2056] x f16>
}
