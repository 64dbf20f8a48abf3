// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// The products and attentions that gpu_kernels.py and decode.py time, as in models: products of p0 rows with packed weights.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bjge = affine_map<(b, g, j, e) -> (b, j, g, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>
#bgje = affine_map<(b, g, j, e) -> (b, g, j, e)>
#bhie = affine_map<(b, h, i, e) -> (b, h, i, e)>

kt.kernel @linear_f16_f16_4096_4096 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[256, 4096, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[256, 4096, 16] x f16> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f16>
}

kt.kernel @linear_f16_f16_1024_1024 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1024] x f16>, %b: !kt.tensor<[64, 1024, 16] x f16>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<1024>, packed}
      : !kt.tensor<[p0, 1024] x f16>, !kt.tensor<[64, 1024, 16] x f16> -> !kt.tensor<[p0, 1024] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 1024] x f16>
}

kt.kernel @linear_f16_i8_4096_4096 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f16>, %b: !kt.tensor<[256, 4096, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f16>, !kt.tensor<[256, 4096, 16] x i8> -> !kt.tensor<[p0, 4096] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f16>
}

kt.kernel @linear_f32_f32_4096_4096 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 4096] x f32>, %b: !kt.tensor<[256, 4096, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<4096>, packed}
      : !kt.tensor<[p0, 4096] x f32>, !kt.tensor<[256, 4096, 16] x f32> -> !kt.tensor<[p0, 4096] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4096] x f32>
}

kt.kernel @linear_f32_f32_768_768 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 768] x f32>, %b: !kt.tensor<[48, 768, 16] x f32>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<768>, packed}
      : !kt.tensor<[p0, 768] x f32>, !kt.tensor<[48, 768, 16] x f32> -> !kt.tensor<[p0, 768] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 768] x f32>
}

kt.kernel @attention_f16_16_64 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 16, 64] x f16>, %k: !kt.tensor<[p0, p2, 16, 64] x f16>, %v: !kt.tensor<[p0, p2, 16, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<16>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 16, 64] x f16>, !kt.tensor<[p0, p2, 16, 64] x f16>, !kt.tensor<[p0, p2, 16, 64] x f16>
      -> !kt.tensor<[p0, p1, 16, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 16, 64] x f16>
}

kt.kernel @attention_f16_32_128 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 32, 128] x f16>, %k: !kt.tensor<[p0, p2, 32, 128] x f16>, %v: !kt.tensor<[p0, p2, 32, 128] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<32>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 32, 128] x f16>, !kt.tensor<[p0, p2, 32, 128] x f16>, !kt.tensor<[p0, p2, 32, 128] x f16>
      -> !kt.tensor<[p0, p1, 32, 128] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 32, 128] x f16>
}

kt.kernel @attention_f32_12_64 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 12, 64] x f32>, %k: !kt.tensor<[p0, p2, 12, 64] x f32>, %v: !kt.tensor<[p0, p2, 12, 64] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<12>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 12, 64] x f32>, !kt.tensor<[p0, p2, 12, 64] x f32>, !kt.tensor<[p0, p2, 12, 64] x f32>
      -> !kt.tensor<[p0, p1, 12, 64] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 12, 64] x f32>
}

kt.kernel @decode_f16_32_8_64 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 32, p1, 64] x f16>, %k: !kt.tensor<[p0, 8, p2, 64] x f16>, %v: !kt.tensor<[p0, 8, p2, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<32>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64}
      : !kt.tensor<[p0, 32, p1, 64] x f16>, !kt.tensor<[p0, 8, p2, 64] x f16>, !kt.tensor<[p0, 8, p2, 64] x f16>
      -> !kt.tensor<[p0, 32, p1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 32, p1, 64] x f16>
}

kt.kernel @decode_f16_32_8_128 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 32, p1, 128] x f16>, %k: !kt.tensor<[p0, 8, p2, 128] x f16>, %v: !kt.tensor<[p0, 8, p2, 128] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<32>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 4 : i64}
      : !kt.tensor<[p0, 32, p1, 128] x f16>, !kt.tensor<[p0, 8, p2, 128] x f16>, !kt.tensor<[p0, 8, p2, 128] x f16>
      -> !kt.tensor<[p0, 32, p1, 128] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 32, p1, 128] x f16>
}
