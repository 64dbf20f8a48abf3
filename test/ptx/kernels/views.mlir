// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Factors that are views: rows that do not go on in each other, parts of wider rows, several factors in one tensor, repetitions, channels. p0, p1, ... are the
// sizes that a case gives, in their order.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#kn = affine_map<(m, n, k) -> (k, n)>
#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#b_nk = affine_map<(b, m, n, k) -> (n, k)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>
#bhmn = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#bhmk = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#bhnk = affine_map<(b, h, m, n, k) -> (b, h, n, k)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>
#bgje = affine_map<(b, g, j, e) -> (b, g, j, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>

// Rows [b, s] of a tensor [s, b, ..]: two strides, of which neither goes on in the other. Some begin inside of wider rows.
kt.kernel @rows_apart_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 48] x f16>, %b: !kt.tensor<[5, 48, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [48, p0 * 48, 1] offset 0>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 48] x f16>, !kt.tensor<[5, 48, 16] x f16> -> !kt.tensor<[p0, p1, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f16>
}

kt.kernel @rows_apart_inside_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 64] x f16>, %b: !kt.tensor<[5, 48, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [64, p0 * 64, 1] offset 8>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 64] x f16>, !kt.tensor<[5, 48, 16] x f16> -> !kt.tensor<[p0, p1, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f16>
}

kt.kernel @rows_apart_unaligned_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 51] x f16>, %b: !kt.tensor<[5, 48, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [51, p0 * 51, 1] offset 3>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 51] x f16>, !kt.tensor<[5, 48, 16] x f16> -> !kt.tensor<[p0, p1, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f16>
}

// So deep that blocks share it.
kt.kernel @rows_apart_deep_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 1536] x f16>, %b: !kt.tensor<[3, 1536, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<1536>, packed,
       views = [#kt.view<[p0, p1, 1536] strides [1536, p0 * 1536, 1] offset 0>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 1536] x f16>, !kt.tensor<[3, 1536, 16] x f16> -> !kt.tensor<[p0, p1, 40] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1, 40] x f16>
}

kt.kernel @rows_apart_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 48] x f32>, %b: !kt.tensor<[5, 48, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [48, p0 * 48, 1] offset 0>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 48] x f32>, !kt.tensor<[5, 48, 16] x f32> -> !kt.tensor<[p0, p1, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f32>
}

kt.kernel @rows_apart_inside_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 64] x f32>, %b: !kt.tensor<[5, 48, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [64, p0 * 64, 1] offset 8>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 64] x f32>, !kt.tensor<[5, 48, 16] x f32> -> !kt.tensor<[p0, p1, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f32>
}

kt.kernel @rows_apart_unaligned_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 51] x f32>, %b: !kt.tensor<[5, 48, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [51, p0 * 51, 1] offset 3>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 51] x f32>, !kt.tensor<[5, 48, 16] x f32> -> !kt.tensor<[p0, p1, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x f32>
}

kt.kernel @rows_apart_deep_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 1536] x f32>, %b: !kt.tensor<[3, 1536, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<1536>, packed,
       views = [#kt.view<[p0, p1, 1536] strides [1536, p0 * 1536, 1] offset 0>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 1536] x f32>, !kt.tensor<[3, 1536, 16] x f32> -> !kt.tensor<[p0, p1, 40] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 40] x f32>
}

// The right side is the middle one of three, [k, n] or [n, k].
kt.kernel @right_columns_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x f16>, %b: !kt.tensor<[p1, 216] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #kn, #mn], depth = #kt.expr<p1>,
       views = [#kt.view<none>, #kt.view<[p1, 72] strides [216, 1] offset 72>]}
      : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1, 216] x f16> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @right_rows_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, 48] x f16>, %b: !kt.tensor<[p1, 144] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<48>,
       views = [#kt.view<none>, #kt.view<[p1, 48] strides [144, 1] offset 48>]}
      : !kt.tensor<[p0, 48] x f16>, !kt.tensor<[p1, 144] x f16> -> !kt.tensor<[p0, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

kt.kernel @right_rows_unaligned_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, 48] x f16>, %b: !kt.tensor<[p1, 145] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<48>,
       views = [#kt.view<none>, #kt.view<[p1, 48] strides [145, 1] offset 49>]}
      : !kt.tensor<[p0, 48] x f16>, !kt.tensor<[p1, 145] x f16> -> !kt.tensor<[p0, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

// Scores of queries and keys that lie in one tensor with values.
kt.kernel @both_in_one_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 192] x f16>, %b: !kt.tensor<[p0, p1, 192] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#bhmk, #bhnk, #bhmn], depth = #kt.expr<32>,
       views = [#kt.view<[p0, 2, p1, 32] strides [p1 * 192, 32, 192, 1] offset 0>, #kt.view<[p0, 2, p1, 32] strides [p1 * 192, 32, 192, 1] offset 64>]}
      : !kt.tensor<[p0, p1, 192] x f16>, !kt.tensor<[p0, p1, 192] x f16> -> !kt.tensor<[p0, 2, p1, p1] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, p1] x f16>
}

kt.kernel @right_columns_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x f32>, %b: !kt.tensor<[p1, 216] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #kn, #mn], depth = #kt.expr<p1>,
       views = [#kt.view<none>, #kt.view<[p1, 72] strides [216, 1] offset 72>]}
      : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1, 216] x f32> -> !kt.tensor<[p0, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f32>
}

kt.kernel @right_rows_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, 48] x f32>, %b: !kt.tensor<[p1, 144] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<48>,
       views = [#kt.view<none>, #kt.view<[p1, 48] strides [144, 1] offset 48>]}
      : !kt.tensor<[p0, 48] x f32>, !kt.tensor<[p1, 144] x f32> -> !kt.tensor<[p0, p1] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @right_rows_unaligned_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, 48] x f32>, %b: !kt.tensor<[p1, 145] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<48>,
       views = [#kt.view<none>, #kt.view<[p1, 48] strides [145, 1] offset 49>]}
      : !kt.tensor<[p0, 48] x f32>, !kt.tensor<[p1, 145] x f32> -> !kt.tensor<[p0, p1] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @both_in_one_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 192] x f32>, %b: !kt.tensor<[p0, p1, 192] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#bhmk, #bhnk, #bhmn], depth = #kt.expr<32>,
       views = [#kt.view<[p0, 2, p1, 32] strides [p1 * 192, 32, 192, 1] offset 0>, #kt.view<[p0, 2, p1, 32] strides [p1 * 192, 32, 192, 1] offset 64>]}
      : !kt.tensor<[p0, p1, 192] x f32>, !kt.tensor<[p0, p1, 192] x f32> -> !kt.tensor<[p0, 2, p1, p1] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, p1] x f32>
}

// Queries, keys and values as one product makes them, side by side.
kt.kernel @attention_qkv_f16 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 384] x f16>, %k: !kt.tensor<[p0, p2, 384] x f16>, %v: !kt.tensor<[p0, p2, 384] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64,
       views = [#kt.view<[p0, 2, p1, 64] strides [p1 * 384, 64, 384, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 64] strides [p2 * 384, 64, 384, 1] offset 128>, 
                #kt.view<[p0, 2, p2, 64] strides [p2 * 384, 64, 384, 1] offset 256>]}
      : !kt.tensor<[p0, p1, 384] x f16>, !kt.tensor<[p0, p2, 384] x f16>, !kt.tensor<[p0, p2, 384] x f16>
      -> !kt.tensor<[p0, p1, 2, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 64] x f16>
}

kt.kernel @attention_qkv_f16_unaligned ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 121] x f16>, %k: !kt.tensor<[p0, p2, 121] x f16>, %v: !kt.tensor<[p0, p2, 121] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<20>, #kt.expr<20>], group = 1 : i64,
       views = [#kt.view<[p0, 2, p1, 20] strides [p1 * 121, 20, 121, 1] offset 1>, 
                #kt.view<[p0, 2, p2, 20] strides [p2 * 121, 20, 121, 1] offset 41>, 
                #kt.view<[p0, 2, p2, 20] strides [p2 * 121, 20, 121, 1] offset 81>]}
      : !kt.tensor<[p0, p1, 121] x f16>, !kt.tensor<[p0, p2, 121] x f16>, !kt.tensor<[p0, p2, 121] x f16>
      -> !kt.tensor<[p0, p1, 2, 20] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.223606798 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 20] x f16>
}

kt.kernel @attention_qkv_f32 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 97] x f32>, %k: !kt.tensor<[p0, p2, 97] x f32>, %v: !kt.tensor<[p0, p2, 97] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 1 : i64,
       views = [#kt.view<[p0, 2, p1, 16] strides [p1 * 97, 16, 97, 1] offset 1>, 
                #kt.view<[p0, 2, p2, 16] strides [p2 * 97, 16, 97, 1] offset 33>, 
                #kt.view<[p0, 2, p2, 16] strides [p2 * 97, 16, 97, 1] offset 65>]}
      : !kt.tensor<[p0, p1, 97] x f32>, !kt.tensor<[p0, p2, 97] x f32>, !kt.tensor<[p0, p2, 97] x f32>
      -> !kt.tensor<[p0, p1, 2, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 16] x f32>
}

// Four heads of queries, two of keys and of values in one tensor.
kt.kernel @attention_groups_in_one_f16 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 512] x f16>, %k: !kt.tensor<[p0, p2, 512] x f16>, %v: !kt.tensor<[p0, p2, 512] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64,
       views = [#kt.view<[p0, 4, p1, 64] strides [p1 * 512, 64, 512, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 64] strides [p2 * 512, 64, 512, 1] offset 256>, 
                #kt.view<[p0, 2, p2, 64] strides [p2 * 512, 64, 512, 1] offset 384>]}
      : !kt.tensor<[p0, p1, 512] x f16>, !kt.tensor<[p0, p2, 512] x f16>, !kt.tensor<[p0, p2, 512] x f16>
      -> !kt.tensor<[p0, p1, 4, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 64] x f16>
}

kt.kernel @attention_groups_in_one_f32 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 128] x f32>, %k: !kt.tensor<[p0, p2, 128] x f32>, %v: !kt.tensor<[p0, p2, 128] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 2 : i64,
       views = [#kt.view<[p0, 4, p1, 16] strides [p1 * 128, 16, 128, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 16] strides [p2 * 128, 16, 128, 1] offset 64>, 
                #kt.view<[p0, 2, p2, 16] strides [p2 * 128, 16, 128, 1] offset 96>]}
      : !kt.tensor<[p0, p1, 128] x f32>, !kt.tensor<[p0, p2, 128] x f32>, !kt.tensor<[p0, p2, 128] x f32>
      -> !kt.tensor<[p0, p1, 4, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 16] x f32>
}

// Keys that all heads of all batches share, values that all batches share.
kt.kernel @attention_repeated_f16 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 64] x f16>, %k: !kt.tensor<[p2, 64] x f16>, %v: !kt.tensor<[p2, 2, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64,
       views = [#kt.view<[p0, 4, p1, 64] strides [p1 * 256, 64, 256, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 64] strides [0, 0, 64, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 64] strides [0, 64, 128, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 4, 64] x f16>, !kt.tensor<[p2, 64] x f16>, !kt.tensor<[p2, 2, 64] x f16>
      -> !kt.tensor<[p0, p1, 4, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 64] x f16>
}

kt.kernel @attention_repeated_f32 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 16] x f32>, %k: !kt.tensor<[p2, 16] x f32>, %v: !kt.tensor<[p2, 2, 16] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 2 : i64,
       views = [#kt.view<[p0, 4, p1, 16] strides [p1 * 64, 16, 64, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 16] strides [0, 0, 16, 1] offset 0>, 
                #kt.view<[p0, 2, p2, 16] strides [0, 16, 32, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 4, 16] x f32>, !kt.tensor<[p2, 16] x f32>, !kt.tensor<[p2, 2, 16] x f32>
      -> !kt.tensor<[p0, p1, 4, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 16] x f32>
}

// Some of the channels, of which the others are none of its business; and some of the positions.
kt.kernel @conv_channels_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 11, 40] x f16>, %w: !kt.tensor<[1, 2, 9, 16, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64,
       views = [#kt.view<[p0, 9, 11, 16] strides [3960, 440, 40, 1] offset 8>]}
      : !kt.tensor<[p0, 9, 11, 40] x f16>, !kt.tensor<[1, 2, 9, 16, 16] x f16> -> !kt.tensor<[p0, 9, 11, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 9, 11, 24] x f16>
}

kt.kernel @conv_channels_unaligned_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 11, 21] x f16>, %w: !kt.tensor<[1, 2, 9, 16, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64,
       views = [#kt.view<[p0, 9, 11, 16] strides [2079, 231, 21, 1] offset 3>]}
      : !kt.tensor<[p0, 9, 11, 21] x f16>, !kt.tensor<[1, 2, 9, 16, 16] x f16> -> !kt.tensor<[p0, 9, 11, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 9, 11, 24] x f16>
}

kt.kernel @conv_channels_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 19] x f32>, %w: !kt.tensor<[1, 2, 9, 12, 16] x f32>, %b: !kt.tensor<[20] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[20] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64,
       views = [#kt.view<[p0, 7, 7, 12] strides [931, 133, 19, 1] offset 5>]}
      : !kt.tensor<[p0, 7, 7, 19] x f32>, !kt.tensor<[1, 2, 9, 12, 16] x f32> -> !kt.tensor<[p0, 7, 7, 20] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[20] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[20] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 20] x f32>
}

kt.kernel @conv_channels_groups_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 48] x f16>, %w: !kt.tensor<[4, 1, 9, 8, 16] x f16>, %b: !kt.tensor<[64] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[64] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 4 : i64,
       views = [#kt.view<[p0, 6, 6, 32] strides [1728, 288, 48, 1] offset 8>]}
      : !kt.tensor<[p0, 6, 6, 48] x f16>, !kt.tensor<[4, 1, 9, 8, 16] x f16> -> !kt.tensor<[p0, 6, 6, 64] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[64] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[64] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 6, 6, 64] x f16>
}

kt.kernel @conv_channels_groups_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 10] x f32>, %w: !kt.tensor<[3, 1, 9, 2, 16] x f32>, %b: !kt.tensor<[9] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[9] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 3 : i64,
       views = [#kt.view<[p0, 6, 6, 6] strides [360, 60, 10, 1] offset 3>]}
      : !kt.tensor<[p0, 6, 6, 10] x f32>, !kt.tensor<[3, 1, 9, 2, 16] x f32> -> !kt.tensor<[p0, 6, 6, 9] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[9] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[9] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 6, 6, 9] x f32>
}

kt.kernel @depthwise_channels_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 40] x f16>, %w: !kt.tensor<[1, 2, 9, 1, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 24 : i64,
       views = [#kt.view<[p0, 7, 7, 24] strides [1960, 280, 40, 1] offset 8>]}
      : !kt.tensor<[p0, 7, 7, 40] x f16>, !kt.tensor<[1, 2, 9, 1, 16] x f16> -> !kt.tensor<[p0, 7, 7, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 24] x f16>
}

kt.kernel @depthwise_channels_unaligned_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 29] x f16>, %w: !kt.tensor<[1, 2, 9, 1, 16] x f16>, %b: !kt.tensor<[24] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x f16>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 24 : i64,
       views = [#kt.view<[p0, 7, 7, 24] strides [1421, 203, 29, 1] offset 5>]}
      : !kt.tensor<[p0, 7, 7, 29] x f16>, !kt.tensor<[1, 2, 9, 1, 16] x f16> -> !kt.tensor<[p0, 7, 7, 24] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[24] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 24] x f16>
}

kt.kernel @depthwise_channels_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 11] x f32>, %w: !kt.tensor<[1, 1, 9, 1, 16] x f32>, %b: !kt.tensor<[6] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[6] x f32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 6 : i64,
       views = [#kt.view<[p0, 7, 7, 6] strides [539, 77, 11, 1] offset 3>]}
      : !kt.tensor<[p0, 7, 7, 11] x f32>, !kt.tensor<[1, 1, 9, 1, 16] x f32> -> !kt.tensor<[p0, 4, 4, 6] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[6] x f32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[6] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, 4, 6] x f32>
}

kt.kernel @conv1x1_channels_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5, 5, 40] x f16>, %w: !kt.tensor<[1, 2, 1, 24, 16] x f16>, %b: !kt.tensor<[32] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x f16>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64,
       views = [#kt.view<[p0, 5, 5, 24] strides [1000, 200, 40, 1] offset 8>]}
      : !kt.tensor<[p0, 5, 5, 40] x f16>, !kt.tensor<[1, 2, 1, 24, 16] x f16> -> !kt.tensor<[p0, 5, 5, 32] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[32] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 32] x f16>
}

kt.kernel @conv1x1_crop_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 8, 24] x f16>, %w: !kt.tensor<[1, 2, 1, 24, 16] x f16>, %b: !kt.tensor<[32] x f16>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x f16>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64,
       views = [#kt.view<[p0, 5, 6, 24] strides [1344, 192, 24, 1] offset 216>]}
      : !kt.tensor<[p0, 7, 8, 24] x f16>, !kt.tensor<[1, 2, 1, 24, 16] x f16> -> !kt.tensor<[p0, 5, 6, 32] x f16> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[32] x f16>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %e = arith.truncf %2 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 5, 6, 32] x f16>
}

kt.kernel @conv1d_crop_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 19, 6] x f32>, %w: !kt.tensor<[1, 1, 4, 6, 16] x f32>, %b: !kt.tensor<[10] x f32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[10] x f32>)
      {kernel = array<i64: 4>, strides = array<i64: 2>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<1>], groups = 1 : i64,
       views = [#kt.view<[p0, 17, 6] strides [114, 6, 1] offset 6>]}
      : !kt.tensor<[p0, 19, 6] x f32>, !kt.tensor<[1, 1, 4, 6, 16] x f32> -> !kt.tensor<[p0, 8, 10] x f32> epilogue {
  ^bb0(%acc: f32, %B: !kt.tensor<[10] x f32>, %i0: index, %i1: index, %i2: index):
    %0 = kt.read %B[%i2] : !kt.tensor<[10] x f32> -> f32
    %e = arith.addf %acc, %0 : f32
    kt.yield %e : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, 10] x f32>
}
