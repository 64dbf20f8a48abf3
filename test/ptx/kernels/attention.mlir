// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.attention: p0 batches, p1 queries, p2 keys; operands are [b, s, h, d], or [b, h, s, d] where the maps say so.

#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bjge = affine_map<(b, g, j, e) -> (b, j, g, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>
#bgje = affine_map<(b, g, j, e) -> (b, g, j, e)>
#bhie = affine_map<(b, h, i, e) -> (b, h, i, e)>

kt.kernel @attention_f16_64 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 64] x f16>, %k: !kt.tensor<[p0, p2, 2, 64] x f16>, %v: !kt.tensor<[p0, p2, 2, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 64] x f16>
      -> !kt.tensor<[p0, p1, 2, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 64] x f16>
}

kt.kernel @attention_f16_128_causal ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 128] x f16>, %k: !kt.tensor<[p0, 2, p2, 128] x f16>, %v: !kt.tensor<[p0, 2, p2, 128] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 2 : i64}
      : !kt.tensor<[p0, 4, p1, 128] x f16>, !kt.tensor<[p0, 2, p2, 128] x f16>, !kt.tensor<[p0, 2, p2, 128] x f16>
      -> !kt.tensor<[p0, 4, p1, 128] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    %4 = arith.cmpi sle, %j, %i : index
    %5 = arith.constant 0xFF800000 : f32
    %6 = arith.select %4, %0, %5 : f32
    kt.yield %6 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 128] x f16>
}

kt.kernel @attention_bf16_32_mask ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 32] x bf16>, %k: !kt.tensor<[p0, p2, 2, 32] x bf16>, %v: !kt.tensor<[p0, p2, 2, 32] x bf16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x bf16>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x bf16>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64, zero_empty}
      : !kt.tensor<[p0, p1, 2, 32] x bf16>, !kt.tensor<[p0, p2, 2, 32] x bf16>, !kt.tensor<[p0, p2, 2, 32] x bf16>
      -> !kt.tensor<[p0, p1, 2, 32] x bf16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x bf16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.176776695 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x bf16> -> bf16
    %2 = arith.extf %1 : bf16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 32] x bf16>
}

kt.kernel @attention_f16_80 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 80] x f16>, %k: !kt.tensor<[p0, p2, 2, 80] x f16>, %v: !kt.tensor<[p0, p2, 2, 80] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<80>, #kt.expr<80>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 80] x f16>, !kt.tensor<[p0, p2, 2, 80] x f16>, !kt.tensor<[p0, p2, 2, 80] x f16>
      -> !kt.tensor<[p0, p1, 2, 80] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.111803399 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 80] x f16>
}

kt.kernel @attention_f16_20_unaligned ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 20] x f16>, %k: !kt.tensor<[p0, p2, 2, 20] x f16>, %v: !kt.tensor<[p0, p2, 2, 12] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<20>, #kt.expr<12>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 20] x f16>, !kt.tensor<[p0, p2, 2, 20] x f16>, !kt.tensor<[p0, p2, 2, 12] x f16>
      -> !kt.tensor<[p0, p1, 2, 12] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.223606798 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 12] x f16>
}

kt.kernel @attention_f16_256 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 1, 256] x f16>, %k: !kt.tensor<[p0, p2, 1, 256] x f16>, %v: !kt.tensor<[p0, p2, 1, 256] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<1>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<256>, #kt.expr<256>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 1, 256] x f16>, !kt.tensor<[p0, p2, 1, 256] x f16>, !kt.tensor<[p0, p2, 1, 256] x f16>
      -> !kt.tensor<[p0, p1, 1, 256] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.062500000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 1, 256] x f16>
}

kt.kernel @attention_decode ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x f16>, %k: !kt.tensor<[p0, 1, p2, 64] x f16>, %v: !kt.tensor<[p0, 1, p2, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64}
      : !kt.tensor<[p0, 4, p1, 64] x f16>, !kt.tensor<[p0, 1, p2, 64] x f16>, !kt.tensor<[p0, 1, p2, 64] x f16>
      -> !kt.tensor<[p0, 4, p1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 64] x f16>
}

// Rows of keys are twice as far apart as those of values: a block of as many bytes has fewer of them.
kt.kernel @attention_decode_narrow ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 72] x f16>, %k: !kt.tensor<[p0, 1, p2, 72] x f16>, %v: !kt.tensor<[p0, 1, p2, 56] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<72>, #kt.expr<56>], group = 4 : i64}
      : !kt.tensor<[p0, 4, p1, 72] x f16>, !kt.tensor<[p0, 1, p2, 72] x f16>, !kt.tensor<[p0, 1, p2, 56] x f16>
      -> !kt.tensor<[p0, 4, p1, 56] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.117851131 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 56] x f16>
}

kt.kernel @attention_decode_mask ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 64] x f16>, %k: !kt.tensor<[p0, p2, 2, 64] x f16>, %v: !kt.tensor<[p0, p2, 2, 48] x f16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f16>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f16>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<48>], group = 1 : i64, zero_empty}
      : !kt.tensor<[p0, p1, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 48] x f16>
      -> !kt.tensor<[p0, p1, 2, 48] x f16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f16> -> f16
    %2 = arith.extf %1 : f16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 48] x f16>
}

kt.kernel @attention_f32 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 64] x f32>, %k: !kt.tensor<[p0, p2, 2, 64] x f32>, %v: !kt.tensor<[p0, p2, 2, 40] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<40>], group = 2 : i64}
      : !kt.tensor<[p0, p1, 4, 64] x f32>, !kt.tensor<[p0, p2, 2, 64] x f32>, !kt.tensor<[p0, p2, 2, 40] x f32>
      -> !kt.tensor<[p0, p1, 4, 40] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 40] x f32>
}

kt.kernel @attention_f32_mask ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 16] x f32>, %k: !kt.tensor<[p0, p2, 2, 16] x f32>, %v: !kt.tensor<[p0, p2, 2, 24] x f32>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f32>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<24>], group = 1 : i64, zero_empty}
      : !kt.tensor<[p0, p1, 2, 16] x f32>, !kt.tensor<[p0, p2, 2, 16] x f32>, !kt.tensor<[p0, p2, 2, 24] x f32>
      -> !kt.tensor<[p0, p1, 2, 24] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 24] x f32>
}

kt.kernel @attention_f32_nan ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 16] x f32>, %k: !kt.tensor<[p0, p2, 2, 16] x f32>, %v: !kt.tensor<[p0, p2, 2, 16] x f32>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f32>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 16] x f32>, !kt.tensor<[p0, p2, 2, 16] x f32>, !kt.tensor<[p0, p2, 2, 16] x f32>
      -> !kt.tensor<[p0, p1, 2, 16] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 16] x f32>
}

kt.kernel @attention_span_causal ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p2, 64] x f16>, %v: !kt.tensor<[p0, 2, p2, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, span_to = #kt.expr<p3 + 1>}
      : !kt.tensor<[p0, 4, p1, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>
      -> !kt.tensor<[p0, 4, p1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 64] x f16>
}

kt.kernel @attention_span_window ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 2, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p2, 64] x f16>, %v: !kt.tensor<[p0, 2, p2, 48] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<48>], group = 1 : i64, span_from = #kt.expr<p3 + -69>, span_to = #kt.expr<p3 + 1>, zero_empty}
      : !kt.tensor<[p0, 2, p1, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>, !kt.tensor<[p0, 2, p2, 48] x f16>
      -> !kt.tensor<[p0, 2, p1, 48] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, 48] x f16>
}

kt.kernel @attention_span_behind ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 2, p1, 32] x bf16>, %k: !kt.tensor<[p0, 2, p2, 32] x bf16>, %v: !kt.tensor<[p0, 2, p2, 32] x bf16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x bf16>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x bf16>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64, span_from = #kt.expr<p3>, zero_empty}
      : !kt.tensor<[p0, 2, p1, 32] x bf16>, !kt.tensor<[p0, 2, p2, 32] x bf16>, !kt.tensor<[p0, 2, p2, 32] x bf16>
      -> !kt.tensor<[p0, 2, p1, 32] x bf16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x bf16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.176776695 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x bf16> -> bf16
    %2 = arith.extf %1 : bf16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, 32] x bf16>
}

kt.kernel @attention_span_f32 ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 16] x f32>, %k: !kt.tensor<[p0, 2, p2, 16] x f32>, %v: !kt.tensor<[p0, 2, p2, 24] x f32>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f32>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f32>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<24>], group = 2 : i64, span_from = #kt.expr<p3 + -40>, span_to = #kt.expr<p3 + 3>}
      : !kt.tensor<[p0, 4, p1, 16] x f32>, !kt.tensor<[p0, 2, p2, 16] x f32>, !kt.tensor<[p0, 2, p2, 24] x f32>
      -> !kt.tensor<[p0, 4, p1, 24] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %1 = kt.read %M[%b, %z, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 24] x f32>
}

kt.kernel @attention_span_f32_causal ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 2, p1, 64] x f32>, %k: !kt.tensor<[p0, 2, p2, 64] x f32>, %v: !kt.tensor<[p0, 2, p2, 40] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<40>], group = 1 : i64, span_to = #kt.expr<p3 + -1 * p2 + 1>}
      : !kt.tensor<[p0, 2, p1, 64] x f32>, !kt.tensor<[p0, 2, p2, 64] x f32>, !kt.tensor<[p0, 2, p2, 40] x f32>
      -> !kt.tensor<[p0, 2, p1, 40] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, 40] x f32>
}

kt.kernel @attention_span_low ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p2, 64] x f16>, %v: !kt.tensor<[p0, 2, p2, 64] x f16>, %m: !kt.tensor<[p0, p2] x i8>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, p2] x i8>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, span_low, span_to = #kt.expr<p3 + 1>}
      : !kt.tensor<[p0, 4, p1, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>
      -> !kt.tensor<[p0, 4, p1, 64] x f16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, p2] x i8>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %low = arith.constant -3.000000e+38 : f32
    %zero = arith.constant 0 : i8
    %0 = arith.mulf %s, %c : f32
    %1 = kt.read %M[%b, %j] : !kt.tensor<[p0, p2] x i8> -> i8
    %2 = arith.cmpi ne, %1, %zero : i8
    %past = kt.size <p3>
    %at = arith.addi %i, %past : index
    %3 = arith.cmpi sle, %j, %at : index
    %4 = arith.andi %2, %3 : i1
    %5 = arith.select %4, %0, %low : f32
    kt.yield %5 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 64] x f16>
}

kt.kernel @attention_span_low_f32 ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 16] x f32>, %k: !kt.tensor<[p0, 2, p2, 16] x f32>, %v: !kt.tensor<[p0, 2, p2, 16] x f32>, %m: !kt.tensor<[p0, p2] x i8>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, p2] x i8>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 2 : i64, span_low, span_to = #kt.expr<p3 + 1>}
      : !kt.tensor<[p0, 4, p1, 16] x f32>, !kt.tensor<[p0, 2, p2, 16] x f32>, !kt.tensor<[p0, 2, p2, 16] x f32>
      -> !kt.tensor<[p0, 4, p1, 16] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, p2] x i8>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %low = arith.constant -3.000000e+38 : f32
    %zero = arith.constant 0 : i8
    %0 = arith.mulf %s, %c : f32
    %1 = kt.read %M[%b, %j] : !kt.tensor<[p0, p2] x i8> -> i8
    %2 = arith.cmpi ne, %1, %zero : i8
    %past = kt.size <p3>
    %at = arith.addi %i, %past : index
    %3 = arith.cmpi sle, %j, %at : index
    %4 = arith.andi %2, %3 : i1
    %5 = arith.select %4, %0, %low : f32
    kt.yield %5 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 16] x f32>
}

kt.kernel @attention_sink ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p2, 64] x f16>, %v: !kt.tensor<[p0, 2, p2, 64] x f16>,
     %z: !kt.tensor<[4] x f32>):
  %r = kt.attention %q, %k, %v extras(%z : !kt.tensor<[4] x f32>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, zero_empty}
      : !kt.tensor<[p0, 4, p1, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>
      -> !kt.tensor<[p0, 4, p1, 64] x f16> score {
  ^bb0(%s: f32, %Z: !kt.tensor<[4] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } sink {
  ^bb0(%Z: !kt.tensor<[4] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[4] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 64] x f16>
}

kt.kernel @attention_sink_mask ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 32] x bf16>, %k: !kt.tensor<[p0, p2, 2, 32] x bf16>, %v: !kt.tensor<[p0, p2, 2, 48] x bf16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x bf16>, %z: !kt.tensor<[2] x f32>):
  %r = kt.attention %q, %k, %v extras(%m, %z : !kt.tensor<[p0, 1, p1, p2] x bf16>, !kt.tensor<[2] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<32>, #kt.expr<48>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 32] x bf16>, !kt.tensor<[p0, p2, 2, 32] x bf16>, !kt.tensor<[p0, p2, 2, 48] x bf16>
      -> !kt.tensor<[p0, p1, 2, 48] x bf16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x bf16>, %Z: !kt.tensor<[2] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.176776695 : f32
    %0 = arith.mulf %s, %c : f32
    %zero = arith.constant 0 : index
    %1 = kt.read %M[%b, %zero, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x bf16> -> bf16
    %2 = arith.extf %1 : bf16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  } sink {
  ^bb0(%M: !kt.tensor<[p0, 1, p1, p2] x bf16>, %Z: !kt.tensor<[2] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[2] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 48] x bf16>
}

kt.kernel @attention_sink_f32 ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 16] x f32>, %k: !kt.tensor<[p0, p2, 2, 16] x f32>, %v: !kt.tensor<[p0, p2, 2, 24] x f32>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f32>, %z: !kt.tensor<[4] x f32>):
  %r = kt.attention %q, %k, %v extras(%m, %z : !kt.tensor<[p0, 1, p1, p2] x f32>, !kt.tensor<[4] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<24>], group = 2 : i64, zero_empty}
      : !kt.tensor<[p0, p1, 4, 16] x f32>, !kt.tensor<[p0, p2, 2, 16] x f32>, !kt.tensor<[p0, p2, 2, 24] x f32>
      -> !kt.tensor<[p0, p1, 4, 24] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f32>, %Z: !kt.tensor<[4] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    %zero = arith.constant 0 : index
    %1 = kt.read %M[%b, %zero, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    kt.yield %3 : f32
  } sink {
  ^bb0(%M: !kt.tensor<[p0, 1, p1, p2] x f32>, %Z: !kt.tensor<[4] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[4] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 24] x f32>
}

kt.kernel @attention_decode_alone ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 2, p1, 128] x bf16>, %k: !kt.tensor<[p0, 2, p2, 128] x bf16>, %v: !kt.tensor<[p0, 2, p2, 128] x bf16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 1 : i64, zero_empty}
      : !kt.tensor<[p0, 2, p1, 128] x bf16>, !kt.tensor<[p0, 2, p2, 128] x bf16>, !kt.tensor<[p0, 2, p2, 128] x bf16>
      -> !kt.tensor<[p0, 2, p1, 128] x bf16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, 128] x bf16>
}

kt.kernel @attention_decode_sink ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 128] x f16>, %k: !kt.tensor<[p0, 2, p2, 128] x f16>, %v: !kt.tensor<[p0, 2, p2, 128] x f16>,
     %z: !kt.tensor<[8] x f32>):
  %r = kt.attention %q, %k, %v extras(%z : !kt.tensor<[8] x f32>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 4 : i64, zero_empty}
      : !kt.tensor<[p0, 8, p1, 128] x f16>, !kt.tensor<[p0, 2, p2, 128] x f16>, !kt.tensor<[p0, 2, p2, 128] x f16>
      -> !kt.tensor<[p0, 8, p1, 128] x f16> score {
  ^bb0(%s: f32, %Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } sink {
  ^bb0(%Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[8] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 128] x f16>
}

kt.kernel @attention_decode_seven ["p0", "p1", "p2"] computes {
^bb0(%q: !kt.tensor<[p0, 14, p1, 96] x f16>, %k: !kt.tensor<[p0, 2, p2, 96] x f16>, %v: !kt.tensor<[p0, 2, p2, 96] x f16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f16>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f16>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<14>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<96>, #kt.expr<96>], group = 7 : i64, zero_empty}
      : !kt.tensor<[p0, 14, p1, 96] x f16>, !kt.tensor<[p0, 2, p2, 96] x f16>, !kt.tensor<[p0, 2, p2, 96] x f16>
      -> !kt.tensor<[p0, 14, p1, 96] x f16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.102062073 : f32
    %0 = arith.mulf %s, %c : f32
    %zero = arith.constant 0 : index
    %1 = kt.read %M[%b, %zero, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f16> -> f16
    %2 = arith.extf %1 : f16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 14, p1, 96] x f16>
}

kt.kernel @attention_decode_eight ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 64] x bf16>, %k: !kt.tensor<[p0, 1, p2, 64] x bf16>, %v: !kt.tensor<[p0, 1, p2, 64] x bf16>,
     %z: !kt.tensor<[8] x f32>):
  %r = kt.attention %q, %k, %v extras(%z : !kt.tensor<[8] x f32>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 8 : i64, span_to = #kt.expr<p3 + 1>}
      : !kt.tensor<[p0, 8, p1, 64] x bf16>, !kt.tensor<[p0, 1, p2, 64] x bf16>, !kt.tensor<[p0, 1, p2, 64] x bf16>
      -> !kt.tensor<[p0, 8, p1, 64] x bf16> score {
  ^bb0(%s: f32, %Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } sink {
  ^bb0(%Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[8] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 64] x bf16>
}

kt.kernel @attention_decode_window ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p2, 64] x f16>, %v: !kt.tensor<[p0, 2, p2, 64] x f16>,
     %z: !kt.tensor<[8] x f32>):
  %r = kt.attention %q, %k, %v extras(%z : !kt.tensor<[8] x f32>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64, zero_empty, span_from = #kt.expr<p3 + -300>, span_to = #kt.expr<p3 + 1>}
      : !kt.tensor<[p0, 8, p1, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>, !kt.tensor<[p0, 2, p2, 64] x f16>
      -> !kt.tensor<[p0, 8, p1, 64] x f16> score {
  ^bb0(%s: f32, %Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } sink {
  ^bb0(%Z: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[8] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 64] x f16>
}

kt.kernel @attention_decode_cache ["p0", "p1", "p2", "p3"] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p3, 64] x f16>, %v: !kt.tensor<[p0, 2, p3, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p3 * 128, p3 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 64] strides [p3 * 128, p3 * 64, 64, 1] offset 0>]}
      : !kt.tensor<[p0, 8, p1, 64] x f16>, !kt.tensor<[p0, 2, p3, 64] x f16>, !kt.tensor<[p0, 2, p3, 64] x f16>
      -> !kt.tensor<[p0, 8, p1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 64] x f16>
}
