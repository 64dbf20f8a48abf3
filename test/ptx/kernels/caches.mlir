// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.attention of keys and values that are integers with a scale a row (`scales`), which may lie in pages: p0 batches, p1 queries, p2 keys, p3 what spans begin or end by, p4 the rows that there is
// room for, which are those of a page.

#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>

kt.kernel @caches_f16_64 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 8, p1, 64] x f16>, %k: !kt.tensor<[p0, 2, p4, 64] x i8>, %v: !kt.tensor<[p0, 2, p4, 64] x i8>, %x: !kt.tensor<[p0, 2, p4, 1] x f32>, %y: !kt.tensor<[p0, 2, p4, 1] x f32>):
  %r = kt.attention %q, %k, %v extras(%x, %y : !kt.tensor<[p0, 2, p4, 1] x f32>, !kt.tensor<[p0, 2, p4, 1] x f32>)
      {maps = [#bhid, #bgjd, #bgjd, #bhid],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>]}
      : !kt.tensor<[p0, 8, p1, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x i8>, !kt.tensor<[p0, 2, p4, 64] x i8>
      -> !kt.tensor<[p0, 8, p1, 64] x f16> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, 8, p1, 64] x f16>
}

kt.kernel @caches_bf16_window ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 128] x bf16>, %k: !kt.tensor<[p0, 2, p4, 128] x i8>, %v: !kt.tensor<[p0, 2, p4, 96] x i8>, %x: !kt.tensor<[p0, 2, p4, 1] x f32>, %y: !kt.tensor<[p0, 2, p4, 1] x f32>):
  %r = kt.attention %q, %k, %v extras(%x, %y : !kt.tensor<[p0, 2, p4, 1] x f32>, !kt.tensor<[p0, 2, p4, 1] x f32>)
      {maps = [#bhid, #bgjd, #bgjd, #bhid],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<96>], group = 2 : i64, span_from = #kt.expr<p3 + -300>, span_to = #kt.expr<p3 + 1>, zero_empty,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 128] strides [p4 * 256, p4 * 128, 128, 1] offset 0>, #kt.view<[p0, 2, p2, 96] strides [p4 * 192, p4 * 96, 96, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 128] x bf16>, !kt.tensor<[p0, 2, p4, 128] x i8>, !kt.tensor<[p0, 2, p4, 96] x i8>
      -> !kt.tensor<[p0, 4, p1, 96] x bf16> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 96] x bf16>
}

kt.kernel @caches_f16_48 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 1, 1, 1, 1, -1, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 48] x f16>, %k: !kt.tensor<[p0, p4, 4, 48] x i8>, %v: !kt.tensor<[p0, p4, 4, 16] x i8>, %x: !kt.tensor<[p0, p4, 4, 1] x f32>, %y: !kt.tensor<[p0, p4, 4, 1] x f32>, %m: !kt.tensor<[p0, 1, p1, p2] x f16>):
  %r = kt.attention %q, %k, %v extras(%x, %y, %m : !kt.tensor<[p0, p4, 4, 1] x f32>, !kt.tensor<[p0, p4, 4, 1] x f32>, !kt.tensor<[p0, 1, p1, p2] x f16>)
      {maps = [#bihd, #bjgd, #bjgd, #bihd],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<48>, #kt.expr<16>], group = 1 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, p2, 4, 48] strides [p4 * 192, 192, 48, 1] offset 0>, #kt.view<[p0, p2, 4, 16] strides [p4 * 64, 64, 16, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 4, 48] x f16>, !kt.tensor<[p0, p4, 4, 48] x i8>, !kt.tensor<[p0, p4, 4, 16] x i8>
      -> !kt.tensor<[p0, p1, 4, 16] x f16> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, p4, 4, 1] x f32>, %Y: !kt.tensor<[p0, p4, 4, 1] x f32>, %M: !kt.tensor<[p0, 1, p1, p2] x f16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.144337567 : f32
    %0 = arith.mulf %s, %c : f32
    %zero = arith.constant 0 : index
    %1 = kt.read %M[%b, %zero, %i, %j] : !kt.tensor<[p0, 1, p1, p2] x f16> -> f16
    %2 = arith.extf %1 : f16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, p4, 4, 1] x f32>, %Y: !kt.tensor<[p0, p4, 4, 1] x f32>, %M: !kt.tensor<[p0, 1, p1, p2] x f16>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %j, %g, %zero] : !kt.tensor<[p0, p4, 4, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %j, %g, %zero] : !kt.tensor<[p0, p4, 4, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 4, 16] x f16>
}

kt.kernel @caches_f16_256 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 1, p1, 256] x f16>, %k: !kt.tensor<[p0, 1, p4, 256] x i8>, %v: !kt.tensor<[p0, 1, p4, 256] x i8>, %x: !kt.tensor<[p0, 1, p4, 1] x f32>, %y: !kt.tensor<[p0, 1, p4, 1] x f32>):
  %r = kt.attention %q, %k, %v extras(%x, %y : !kt.tensor<[p0, 1, p4, 1] x f32>, !kt.tensor<[p0, 1, p4, 1] x f32>)
      {maps = [#bhid, #bgjd, #bgjd, #bhid],
       sizes = [#kt.expr<p0>, #kt.expr<1>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<256>, #kt.expr<256>], group = 1 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 1, p2, 256] strides [p4 * 256, p4 * 256, 256, 1] offset 0>, #kt.view<[p0, 1, p2, 256] strides [p4 * 256, p4 * 256, 256, 1] offset 0>]}
      : !kt.tensor<[p0, 1, p1, 256] x f16>, !kt.tensor<[p0, 1, p4, 256] x i8>, !kt.tensor<[p0, 1, p4, 256] x i8>
      -> !kt.tensor<[p0, 1, p1, 256] x f16> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, 1, p4, 1] x f32>, %Y: !kt.tensor<[p0, 1, p4, 1] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.062500000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, 1, p4, 1] x f32>, %Y: !kt.tensor<[p0, 1, p4, 1] x f32>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %g, %j, %zero] : !kt.tensor<[p0, 1, p4, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %g, %j, %zero] : !kt.tensor<[p0, 1, p4, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, 1, p1, 256] x f16>
}

kt.kernel @caches_unaligned ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 1, 1, 1, 1, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 20] x f16>, %k: !kt.tensor<[p0, p4, 1, 20] x i8>, %v: !kt.tensor<[p0, p4, 1, 12] x i8>, %x: !kt.tensor<[p0, p4, 1, 1] x f32>, %y: !kt.tensor<[p0, p4, 1, 1] x f32>):
  %r = kt.attention %q, %k, %v extras(%x, %y : !kt.tensor<[p0, p4, 1, 1] x f32>, !kt.tensor<[p0, p4, 1, 1] x f32>)
      {maps = [#bihd, #bjgd, #bjgd, #bihd],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<20>, #kt.expr<12>], group = 2 : i64, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, p2, 1, 20] strides [p4 * 20, 20, 20, 1] offset 0>, #kt.view<[p0, p2, 1, 12] strides [p4 * 12, 12, 12, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 2, 20] x f16>, !kt.tensor<[p0, p4, 1, 20] x i8>, !kt.tensor<[p0, p4, 1, 12] x i8>
      -> !kt.tensor<[p0, p1, 2, 12] x f16> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, p4, 1, 1] x f32>, %Y: !kt.tensor<[p0, p4, 1, 1] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.223606798 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, p4, 1, 1] x f32>, %Y: !kt.tensor<[p0, p4, 1, 1] x f32>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %j, %g, %zero] : !kt.tensor<[p0, p4, 1, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %j, %g, %zero] : !kt.tensor<[p0, p4, 1, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 12] x f16>
}

kt.kernel @caches_f32 ["p0", "p1", "p2", "p3", "p4"] attributes {kt.pages = array<i64: -1, 2, 2, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, 4, p1, 16] x f32>, %k: !kt.tensor<[p0, 2, p4, 16] x i8>, %v: !kt.tensor<[p0, 2, p4, 24] x i8>, %x: !kt.tensor<[p0, 2, p4, 1] x f32>, %y: !kt.tensor<[p0, 2, p4, 1] x f32>):
  %r = kt.attention %q, %k, %v extras(%x, %y : !kt.tensor<[p0, 2, p4, 1] x f32>, !kt.tensor<[p0, 2, p4, 1] x f32>)
      {maps = [#bhid, #bgjd, #bgjd, #bhid],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<16>, #kt.expr<24>], group = 2 : i64, span_from = #kt.expr<p3 + -40>, span_to = #kt.expr<p3 + 1>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 16] strides [p4 * 32, p4 * 16, 16, 1] offset 0>, #kt.view<[p0, 2, p2, 24] strides [p4 * 48, p4 * 24, 24, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 16] x f32>, !kt.tensor<[p0, 2, p4, 16] x i8>, !kt.tensor<[p0, 2, p4, 24] x i8>
      -> !kt.tensor<[p0, 4, p1, 24] x f32> score {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.250000000 : f32
    %0 = arith.mulf %s, %c : f32
    kt.yield %0 : f32
  } scales {
  ^bb0(%X: !kt.tensor<[p0, 2, p4, 1] x f32>, %Y: !kt.tensor<[p0, 2, p4, 1] x f32>, %b: index, %g: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    %1 = kt.read %Y[%b, %g, %j, %zero] : !kt.tensor<[p0, 2, p4, 1] x f32> -> f32
    kt.yield %0, %1 : f32, f32
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 24] x f32>
}
