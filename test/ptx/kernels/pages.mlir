// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.attention of keys and values, and elementwise work on states, that may lie in pages (`kt.pages`: by operand and result the dimension that is cut, or -1): p0 batches, p1 queries, p2 keys, p3 what
// spans begin or end by, p4 the rows that there is room for, which are those of a page.

#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bjge = affine_map<(b, g, j, e) -> (b, j, g, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>
#bgje = affine_map<(b, g, j, e) -> (b, g, j, e)>
#bhie = affine_map<(b, h, i, e) -> (b, h, i, e)>

kt.kernel @pages_causal ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p4, 64] x f16>, %v: !kt.tensor<[p0, 2, p4, 64] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>]}
      : !kt.tensor<[p0, 8, p1, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>
      -> !kt.tensor<[p0, 8, p1, 64] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 64] x f16>
}

kt.kernel @pages_window ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x bf16>, %k: !kt.tensor<[p0, 2, p4, 64] x bf16>, %v: !kt.tensor<[p0, 2, p4, 48] x bf16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<48>], group = 2 : i64, span_from = #kt.expr<p3 + -300>, span_to = #kt.expr<p3 + 1>, zero_empty,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 48] strides [p4 * 96, p4 * 48, 48, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 64] x bf16>, !kt.tensor<[p0, 2, p4, 64] x bf16>, !kt.tensor<[p0, 2, p4, 48] x bf16>
      -> !kt.tensor<[p0, 4, p1, 48] x bf16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 48] x bf16>
}

kt.kernel @pages_wide ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 2, p1, 256] x f16>, %k: !kt.tensor<[p0, 2, p4, 256] x f16>, %v: !kt.tensor<[p0, 2, p4, 256] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<256>, #kt.expr<256>], group = 1 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 256] strides [p4 * 512, p4 * 256, 256, 1] offset 0>, #kt.view<[p0, 2, p2, 256] strides [p4 * 512, p4 * 256, 256, 1] offset 0>]}
      : !kt.tensor<[p0, 2, p1, 256] x f16>, !kt.tensor<[p0, 2, p4, 256] x f16>, !kt.tensor<[p0, 2, p4, 256] x f16>
      -> !kt.tensor<[p0, 2, p1, 256] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.062500000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, 256] x f16>
}

kt.kernel @pages_unaligned ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 1, 1, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 20] x f16>, %k: !kt.tensor<[p0, p4, 1, 20] x f16>, %v: !kt.tensor<[p0, p4, 1, 12] x f16>):
  %r = kt.attention %q, %k, %v
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<20>, #kt.expr<12>], group = 2 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, p2, 1, 20] strides [p4 * 20, 20, 20, 1] offset 0>, #kt.view<[p0, p2, 1, 12] strides [p4 * 12, 12, 12, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 2, 20] x f16>, !kt.tensor<[p0, p4, 1, 20] x f16>, !kt.tensor<[p0, p4, 1, 12] x f16>
      -> !kt.tensor<[p0, p1, 2, 12] x f16> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.223606798 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 12] x f16>
}

kt.kernel @pages_f32 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 16] x f32>, %k: !kt.tensor<[p0, 2, p4, 16] x f32>, %v: !kt.tensor<[p0, 2, p4, 24] x f32>):
  %r = kt.attention %q, %k, %v
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<24>], group = 2 : i64, span_from = #kt.expr<p3 + -40>, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 16] strides [p4 * 32, p4 * 16, 16, 1] offset 0>, #kt.view<[p0, 2, p2, 24] strides [p4 * 48, p4 * 24, 24, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 16] x f32>, !kt.tensor<[p0, 2, p4, 16] x f32>, !kt.tensor<[p0, 2, p4, 24] x f32>
      -> !kt.tensor<[p0, 4, p1, 24] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 24] x f32>
}

kt.kernel @pages_low ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p4, 64] x f16>, %v: !kt.tensor<[p0, 2, p4, 64] x f16>, %m: !kt.tensor<[p0, p2] x i8>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, p2] x i8>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, span_low, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>
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

kt.kernel @pages_low_f32 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, -1, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 16] x f32>, %k: !kt.tensor<[p0, 2, p4, 16] x f32>, %v: !kt.tensor<[p0, 2, p4, 16] x f32>, %m: !kt.tensor<[p0, p2] x i8>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, p2] x i8>)
      {maps = [#bhid, #bgjd, #bgje, #bhie],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<16>], group = 2 : i64, span_low, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 16] strides [p4 * 32, p4 * 16, 16, 1] offset 0>, #kt.view<[p0, 2, p2, 16] strides [p4 * 32, p4 * 16, 16, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 16] x f32>, !kt.tensor<[p0, 2, p4, 16] x f32>, !kt.tensor<[p0, 2, p4, 16] x f32>
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

// Elementwise work reads a state: rows of 8, whose dimensions are one where they lie in one piece.
kt.kernel @pages_read ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: 2, -1, -1>} computes {
^bb0(%k: !kt.tensor<[p0, 2, p4, 8] x f16>, %s: !kt.tensor<[p0, 2, p2, 8] x f16>):
  %r = kt.generic ins(%k, %s : !kt.tensor<[p0, 2, p4, 8] x f16>, !kt.tensor<[p0, 2, p2, 8] x f16>) -> !kt.tensor<[p0, 2, p2, 8] x f16> {
  ^bb0(%K: !kt.tensor<[p0, 2, p4, 8] x f16>, %S: !kt.tensor<[p0, 2, p2, 8] x f16>, %b: index, %h: index, %j: index, %d: index):
    %0 = kt.read %K[%b, %h, %j, %d] : !kt.tensor<[p0, 2, p4, 8] x f16> -> f16
    %1 = kt.read %S[%b, %h, %j, %d] : !kt.tensor<[p0, 2, p2, 8] x f16> -> f16
    %2 = arith.subf %0, %1 : f16
    kt.yield %2 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 2, p2, 8] x f16>
}

// So does what permutes alone.
kt.kernel @pages_turned ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: 2, -1>} computes {
^bb0(%k: !kt.tensor<[p0, 2, p4, 40] x f16>):
  %r = kt.generic ins(%k : !kt.tensor<[p0, 2, p4, 40] x f16>) -> !kt.tensor<[p0, 2, 40, p2] x f16> {
  ^bb0(%K: !kt.tensor<[p0, 2, p4, 40] x f16>, %b: index, %h: index, %d: index, %j: index):
    %0 = kt.read %K[%b, %h, %j, %d] : !kt.tensor<[p0, 2, p4, 40] x f16> -> f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 2, 40, p2] x f16>
}
