// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.matmul: packed, strided and batched operands, all types, epilogues. p0, p1, ... are the sizes that a case gives, in their order.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#b_nk = affine_map<(b, m, n, k) -> (n, k)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>
#bnm = affine_map<(b, m, n, k) -> (b, n, m)>
#bmhk = affine_map<(b, h, m, n, k) -> (b, m, h, k)>
#bnhk = affine_map<(b, h, m, n, k) -> (b, n, h, k)>
#bhmn = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#bhmk = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#bkhn = affine_map<(b, h, m, n, k) -> (b, k, h, n)>
#bmhn = affine_map<(b, h, m, n, k) -> (b, m, h, n)>

// Packed weights, rows of any number, bias and residual.
kt.kernel @linear_f16_136_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %b: !kt.tensor<[9, 200, 16] x f16>, %y0: !kt.tensor<[136] x f16>, %y1: !kt.tensor<[p0, 136] x f16>):
  %r = kt.matmul %a, %b extras(%y0, %y1 : !kt.tensor<[136] x f16>, !kt.tensor<[p0, 136] x f16>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[9, 200, 16] x f16> -> !kt.tensor<[p0, 136] x f16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[136] x f16>, %x1: !kt.tensor<[p0, 136] x f16>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[136] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = kt.read %x1[%i0, %i1] : !kt.tensor<[p0, 136] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.addf %2, %4 : f32
    %e = arith.truncf %5 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 136] x f16>
}

kt.kernel @linear_f16_320_576 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 576] x f16>, %b: !kt.tensor<[20, 576, 16] x f16>, %y0: !kt.tensor<[320] x f16>, %y1: !kt.tensor<[p0, 320] x f16>):
  %r = kt.matmul %a, %b extras(%y0, %y1 : !kt.tensor<[320] x f16>, !kt.tensor<[p0, 320] x f16>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<576>, packed}
      : !kt.tensor<[p0, 576] x f16>, !kt.tensor<[20, 576, 16] x f16> -> !kt.tensor<[p0, 320] x f16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[320] x f16>, %x1: !kt.tensor<[p0, 320] x f16>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[320] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = kt.read %x1[%i0, %i1] : !kt.tensor<[p0, 320] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.addf %2, %4 : f32
    %e = arith.truncf %5 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 320] x f16>
}

// So deep that blocks share it.
kt.kernel @linear_f16_72_2048 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 2048] x f16>, %b: !kt.tensor<[5, 2048, 16] x f16>, %y0: !kt.tensor<[72] x f16>, %y1: !kt.tensor<[p0, 72] x f16>):
  %r = kt.matmul %a, %b extras(%y0, %y1 : !kt.tensor<[72] x f16>, !kt.tensor<[p0, 72] x f16>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<2048>, packed}
      : !kt.tensor<[p0, 2048] x f16>, !kt.tensor<[5, 2048, 16] x f16> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[72] x f16>, %x1: !kt.tensor<[p0, 72] x f16>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[72] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = kt.read %x1[%i0, %i1] : !kt.tensor<[p0, 72] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.addf %2, %4 : f32
    %e = arith.truncf %5 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @linear_bf16_72_64 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 64] x bf16>, %b: !kt.tensor<[5, 64, 16] x bf16>, %y0: !kt.tensor<[72] x bf16>, %y1: !kt.tensor<[p0, 72] x bf16>):
  %r = kt.matmul %a, %b extras(%y0, %y1 : !kt.tensor<[72] x bf16>, !kt.tensor<[p0, 72] x bf16>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x bf16>, !kt.tensor<[5, 64, 16] x bf16> -> !kt.tensor<[p0, 72] x bf16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[72] x bf16>, %x1: !kt.tensor<[p0, 72] x bf16>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[72] x bf16> -> bf16
    %1 = arith.extf %0 : bf16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = kt.read %x1[%i0, %i1] : !kt.tensor<[p0, 72] x bf16> -> bf16
    %4 = arith.extf %3 : bf16 to f32
    %5 = arith.addf %2, %4 : f32
    %e = arith.truncf %5 : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x bf16>
}

// A ragged number of columns and of k.
kt.kernel @ragged_41_104 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 104] x f16>, %b: !kt.tensor<[3, 104, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<104>, packed}
      : !kt.tensor<[p0, 104] x f16>, !kt.tensor<[3, 104, 16] x f16> -> !kt.tensor<[p0, 41] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 41] x f16>
}

kt.kernel @ragged_50_99 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 99] x f16>, %b: !kt.tensor<[4, 99, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<99>, packed}
      : !kt.tensor<[p0, 99] x f16>, !kt.tensor<[4, 99, 16] x f16> -> !kt.tensor<[p0, 50] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 50] x f16>
}

// Eight-bit weights with a scale a column.
kt.kernel @int8_f16 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 160] x f16>, %b: !kt.tensor<[5, 160, 16] x i8>, %y0: !kt.tensor<[80] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[80] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<160>, packed}
      : !kt.tensor<[p0, 160] x f16>, !kt.tensor<[5, 160, 16] x i8> -> !kt.tensor<[p0, 80] x f16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[80] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[80] x f32> -> f32
    %1 = arith.mulf %acc, %0 : f32
    %e = arith.truncf %1 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 80] x f16>
}

kt.kernel @int8_bf16 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 160] x bf16>, %b: !kt.tensor<[5, 160, 16] x i8>, %y0: !kt.tensor<[80] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[80] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<160>, packed}
      : !kt.tensor<[p0, 160] x bf16>, !kt.tensor<[5, 160, 16] x i8> -> !kt.tensor<[p0, 80] x bf16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[80] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[80] x f32> -> f32
    %1 = arith.mulf %acc, %0 : f32
    %e = arith.truncf %1 : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 80] x bf16>
}

kt.kernel @int8_f32 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 160] x f32>, %b: !kt.tensor<[5, 160, 16] x i8>, %y0: !kt.tensor<[80] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[80] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<160>, packed}
      : !kt.tensor<[p0, 160] x f32>, !kt.tensor<[5, 160, 16] x i8> -> !kt.tensor<[p0, 80] x f32> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[80] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[80] x f32> -> f32
    %1 = arith.mulf %acc, %0 : f32
    %e = arith.addf %1, %1 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 80] x f32>
}

// Two activations, batched: b h (q k^T) from [b, s, h, d], and the product with v.
kt.kernel @scores_f16 ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 2, 32] x f16>, %b: !kt.tensor<[p0, p2, 2, 32] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmhk, #bnhk, #bhmn], depth = #kt.expr<32>}
      : !kt.tensor<[p0, p1, 2, 32] x f16>, !kt.tensor<[p0, p2, 2, 32] x f16> -> !kt.tensor<[p0, 2, p1, p2] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, p2] x f16>
}

kt.kernel @context_f16 ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, 2, p1, p2] x f16>, %b: !kt.tensor<[p0, p2, 2, 32] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bhmk, #bkhn, #bmhn], depth = #kt.expr<p2>}
      : !kt.tensor<[p0, 2, p1, p2] x f16>, !kt.tensor<[p0, p2, 2, 32] x f16> -> !kt.tensor<[p0, p1, 2, 32] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 32] x f16>
}

kt.kernel @scores_f32 ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 2, 32] x f32>, %b: !kt.tensor<[p0, p2, 2, 32] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bmhk, #bnhk, #bhmn], depth = #kt.expr<32>}
      : !kt.tensor<[p0, p1, 2, 32] x f32>, !kt.tensor<[p0, p2, 2, 32] x f32> -> !kt.tensor<[p0, 2, p1, p2] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, p2] x f32>
}

kt.kernel @context_f32 ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, 2, p1, p2] x f32>, %b: !kt.tensor<[p0, p2, 2, 32] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bhmk, #bkhn, #bmhn], depth = #kt.expr<p2>}
      : !kt.tensor<[p0, 2, p1, p2] x f32>, !kt.tensor<[p0, p2, 2, 32] x f32> -> !kt.tensor<[p0, p1, 2, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 32] x f32>
}

// Transposed left side; rank 3 rows merged with packed weights and an epilogue that uses the indices.
kt.kernel @left_transposed_f16 ["p0"] computes {
^bb0(%a: !kt.tensor<[48, p0] x f16>, %b: !kt.tensor<[48, 72] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#km, #kn, #mn], depth = #kt.expr<48>}
      : !kt.tensor<[48, p0] x f16>, !kt.tensor<[48, 72] x f16> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @positions_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 48] x f16>, %b: !kt.tensor<[2, 48, 16] x f16>, %y0: !kt.tensor<[p1, 24] x f16>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[p1, 24] x f16>)
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed}
      : !kt.tensor<[p0, p1, 48] x f16>, !kt.tensor<[2, 48, 16] x f16> -> !kt.tensor<[p0, p1, 24] x f16> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[p1, 24] x f16>, %i0: index, %i1: index, %i2: index):
    %0 = kt.read %x0[%i1, %i2] : !kt.tensor<[p1, 24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 24] x f16>
}

// Batches that are no rows of one matrix, because the result has columns between them.
kt.kernel @columns_first_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 48] x f16>, %b: !kt.tensor<[5, 48, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bnm], depth = #kt.expr<48>, packed}
      : !kt.tensor<[p0, p1, 48] x f16>, !kt.tensor<[5, 48, 16] x f16> -> !kt.tensor<[p0, 72, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72, p1] x f16>
}

kt.kernel @left_transposed_f32 ["p0"] computes {
^bb0(%a: !kt.tensor<[48, p0] x f32>, %b: !kt.tensor<[48, 72] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#km, #kn, #mn], depth = #kt.expr<48>}
      : !kt.tensor<[48, p0] x f32>, !kt.tensor<[48, 72] x f32> -> !kt.tensor<[p0, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f32>
}

kt.kernel @positions_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 48] x f32>, %b: !kt.tensor<[2, 48, 16] x f32>, %y0: !kt.tensor<[p1, 24] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[p1, 24] x f32>)
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed}
      : !kt.tensor<[p0, p1, 48] x f32>, !kt.tensor<[2, 48, 16] x f32> -> !kt.tensor<[p0, p1, 24] x f32> epilogue {
  ^bb0(%acc: f32, %x0: !kt.tensor<[p1, 24] x f32>, %i0: index, %i1: index, %i2: index):
    %0 = kt.read %x0[%i1, %i2] : !kt.tensor<[p1, 24] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 24] x f32>
}

// FP32 with packed FP32 weights; f64; integers.
kt.kernel @simt_f32 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x f32>, %b: !kt.tensor<[5, 90, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x f32>, !kt.tensor<[5, 90, 16] x f32> -> !kt.tensor<[p0, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f32>
}

kt.kernel @simt_f32_f16 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x f32>, %b: !kt.tensor<[5, 90, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x f32>, !kt.tensor<[5, 90, 16] x f16> -> !kt.tensor<[p0, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f32>
}

kt.kernel @simt_f64 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x f64>, %b: !kt.tensor<[5, 90, 16] x f64>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x f64>, !kt.tensor<[5, 90, 16] x f64> -> !kt.tensor<[p0, 72] x f64> epilogue {
  ^bb0(%acc: f64, %i0: index, %i1: index):
    kt.yield %acc : f64
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f64>
}

kt.kernel @simt_i32 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x i32>, %b: !kt.tensor<[5, 90, 16] x i32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x i32>, !kt.tensor<[5, 90, 16] x i32> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

kt.kernel @simt_u8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x ui8>, %b: !kt.tensor<[5, 90, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x ui8>, !kt.tensor<[5, 90, 16] x i8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

kt.kernel @simt_split ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 300] x f32>, %b: !kt.tensor<[5, 300, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<300>, packed}
      : !kt.tensor<[p0, 300] x f32>, !kt.tensor<[5, 300, 16] x f32> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @simt_deep ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1536] x f32>, %b: !kt.tensor<[5, 1536, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<1536>, packed}
      : !kt.tensor<[p0, 1536] x f32>, !kt.tensor<[5, 1536, 16] x f32> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @simt_large [] computes {
^bb0(%a: !kt.tensor<[256, 64] x f32>, %b: !kt.tensor<[16, 64, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed}
      : !kt.tensor<[256, 64] x f32>, !kt.tensor<[16, 64, 16] x f32> -> !kt.tensor<[256, 256] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[256, 256] x f32>
}

// Two products of one left side in panels by turns, and one epilogue of both: whole and ragged numbers of columns, shallow and deep.
kt.kernel @parts_f16_136_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %b: !kt.tensor<[18, 200, 16] x f16>, %y0: !kt.tensor<[136] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[136] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[18, 200, 16] x f16> -> !kt.tensor<[p0, 136] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[136] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[136] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    %e = arith.truncf %3 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 136] x f16>
}

kt.kernel @parts_f16_41_576 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 576] x f16>, %b: !kt.tensor<[6, 576, 16] x f16>, %y0: !kt.tensor<[41] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[41] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<576>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 576] x f16>, !kt.tensor<[6, 576, 16] x f16> -> !kt.tensor<[p0, 41] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[41] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[41] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    %e = arith.truncf %3 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 41] x f16>
}

kt.kernel @parts_bf16_72_104 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 104] x bf16>, %b: !kt.tensor<[10, 104, 16] x bf16>, %y0: !kt.tensor<[72] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[72] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<104>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 104] x bf16>, !kt.tensor<[10, 104, 16] x bf16> -> !kt.tensor<[p0, 72] x bf16> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[72] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[72] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    %e = arith.truncf %3 : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x bf16>
}

kt.kernel @parts_int8_f16_80_160 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 160] x f16>, %b: !kt.tensor<[10, 160, 16] x i8>, %y0: !kt.tensor<[80] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[80] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<160>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 160] x f16>, !kt.tensor<[10, 160, 16] x i8> -> !kt.tensor<[p0, 80] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[80] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[80] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    %e = arith.truncf %3 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 80] x f16>
}

kt.kernel @parts_f32_75_300 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 300] x f32>, %b: !kt.tensor<[10, 300, 16] x f32>, %y0: !kt.tensor<[75] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[75] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<300>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 300] x f32>, !kt.tensor<[10, 300, 16] x f32> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[75] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[75] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @parts_f32_256_64 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 64] x f32>, %b: !kt.tensor<[32, 64, 16] x f32>, %y0: !kt.tensor<[256] x f32>):
  %r = kt.matmul %a, %b extras(%y0 : !kt.tensor<[256] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<64>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 64] x f32>, !kt.tensor<[32, 64, 16] x f32> -> !kt.tensor<[p0, 256] x f32> epilogue {
  ^bb0(%gate: f32, %up: f32, %x0: !kt.tensor<[256] x f32>, %i0: index, %i1: index):
    %0 = kt.read %x0[%i1] : !kt.tensor<[256] x f32> -> f32
    %1 = arith.addf %gate, %0 : f32
    %2 = arith.maximumf %1, %0 : f32
    %3 = arith.mulf %2, %up : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 256] x f32>
}
