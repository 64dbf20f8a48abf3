// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Attention with what makes its operands (`kt.made`: for queries, keys and values the dimension that each of the attention's runs along): a rotation of queries, and windows of states.
// p0 batches, p1 queries, p2 keys that are seen; p3 and p4 the rows of a state as it was and as it is; p5 and p6 the windows' begin and length; p7 where new rows begin and p8 how many there
// are; p9 what spans begin or end by; p10 positions that there are angles for, the cosines of a row before its sines. Those whose states are where data says (`made_moved`) have
// in p5 whether they keep what they hold, and in p11 the site where positions are looked at.

#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bjge = affine_map<(b, g, j, e) -> (b, j, g, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>
#bgjd = affine_map<(b, g, j, d) -> (b, g, j, d)>
#bgje = affine_map<(b, g, j, e) -> (b, g, j, e)>

// Heads before rows, queries rows before heads.
kt.kernel @made_causal ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"] attributes {kt.pages = array<i64: -1, -1, 2, -1, 2, -1, -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 8, 64] x f16>, %t: !kt.tensor<[p10, 64] x f32>, %ko: !kt.tensor<[p0, 2, p3, 64] x f16>, %kn: !kt.tensor<[p0, p8, 2, 64] x f16>, %vo: !kt.tensor<[p0, 2, p3, 64] x f16>, %vn: !kt.tensor<[p0, p8, 2, 64] x f16>):
  %qr = kt.generic ins(%q, %t : !kt.tensor<[p0, p1, 8, 64] x f16>, !kt.tensor<[p10, 64] x f32>) -> !kt.tensor<[p0, p1, 8, 64] x f16> {
  ^bb0(%Q: !kt.tensor<[p0, p1, 8, 64] x f16>, %T: !kt.tensor<[p10, 64] x f32>, %b: index, %i: index, %h: index, %d: index):
    %by = kt.size #kt.expr<p9>
    %pos = arith.addi %i, %by : index
    %half = arith.constant 32 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %Q[%b, %i, %h, %d] : !kt.tensor<[p0, p1, 8, 64] x f16> -> f16
    %y = kt.read %Q[%b, %i, %h, %across] : !kt.tensor<[p0, p1, 8, 64] x f16> -> f16
    %cos = kt.read %T[%pos, %at] : !kt.tensor<[p10, 64] x f32> -> f32
    %sin = kt.read %T[%pos, %behind] : !kt.tensor<[p10, 64] x f32> -> f32
    %X = arith.extf %x : f16 to f32
    %Y = arith.extf %y : f16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to f16
    kt.yield %made : f16
  }
  %k = kt.update axis 2 from #kt.expr<p5> count #kt.expr<p6> ins(%ko, %kn, %t : !kt.tensor<[p0, 2, p3, 64] x f16>, !kt.tensor<[p0, p8, 2, 64] x f16>, !kt.tensor<[p10, 64] x f32>) -> !kt.tensor<[p0, 2, p4, 64] x f16> {
  ^bb0(%O: !kt.tensor<[p0, 2, p3, 64] x f16>, %N: !kt.tensor<[p0, p8, 2, 64] x f16>, %T: !kt.tensor<[p10, 64] x f32>, %b: index, %g: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %g, %j, %d] else %zero : f16 {check = array<i64: 2>} : !kt.tensor<[p0, 2, p3, 64] x f16> -> f16
    %rows = kt.size #kt.expr<p8>
    %is = arith.cmpi ult, %new, %rows : index
    %first = arith.constant 0 : index
    %there = arith.select %is, %j, %first : index
    %half = arith.constant 32 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %N[%b, %new, %g, %d] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 64] x f16> -> f16
    %y = kt.read %N[%b, %new, %g, %across] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 64] x f16> -> f16
    %cos = kt.read %T[%there, %at] : !kt.tensor<[p10, 64] x f32> -> f32
    %sin = kt.read %T[%there, %behind] : !kt.tensor<[p10, 64] x f32> -> f32
    %X = arith.extf %x : f16 to f32
    %Y = arith.extf %y : f16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to f16
    %is_new = arith.select %is, %made, %old : f16
    kt.yield %is_new : f16
  }
  %v = kt.update axis 2 from #kt.expr<p5> count #kt.expr<p6> ins(%vo, %vn : !kt.tensor<[p0, 2, p3, 64] x f16>, !kt.tensor<[p0, p8, 2, 64] x f16>) -> !kt.tensor<[p0, 2, p4, 64] x f16> {
  ^bb0(%O: !kt.tensor<[p0, 2, p3, 64] x f16>, %N: !kt.tensor<[p0, p8, 2, 64] x f16>, %b: index, %g: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %g, %j, %d] else %zero : f16 {check = array<i64: 2>} : !kt.tensor<[p0, 2, p3, 64] x f16> -> f16
    %is_new = kt.read %N[%b, %new, %g, %d] else %old : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 64] x f16> -> f16
    kt.yield %is_new : f16
  }
  %r = kt.attention %qr, %k, %v
      {maps = [#bihd, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 4 : i64, span_to = #kt.expr<p9 + 1>,
       kt.made = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>, #kt.view<[p0, 2, p2, 64] strides [p4 * 128, p4 * 64, 64, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 8, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>
      -> !kt.tensor<[p0, p1, 8, 64] x f16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %x, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %qr, %k, %v, %r : !kt.tensor<[p0, p1, 8, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>, !kt.tensor<[p0, 2, p4, 64] x f16>, !kt.tensor<[p0, p1, 8, 64] x f16>
}

// Keys have rows before heads and values heads before rows. A row sees 301 keys. The widest heads that there are.
kt.kernel @made_sliding ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"] attributes {kt.pages = array<i64: -1, -1, 1, -1, 2, -1, -1, 1, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 128] x bf16>, %t: !kt.tensor<[p10, 128] x f32>, %ko: !kt.tensor<[p0, p3, 2, 128] x bf16>, %kn: !kt.tensor<[p0, p8, 2, 128] x bf16>, %vo: !kt.tensor<[p0, 2, p3, 128] x bf16>, %vn: !kt.tensor<[p0, p8, 2, 128] x bf16>):
  %qr = kt.generic ins(%q, %t : !kt.tensor<[p0, p1, 4, 128] x bf16>, !kt.tensor<[p10, 128] x f32>) -> !kt.tensor<[p0, 4, p1, 128] x bf16> {
  ^bb0(%Q: !kt.tensor<[p0, p1, 4, 128] x bf16>, %T: !kt.tensor<[p10, 128] x f32>, %b: index, %h: index, %i: index, %d: index):
    %by = kt.size #kt.expr<p9>
    %pos = arith.addi %i, %by : index
    %half = arith.constant 64 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %Q[%b, %i, %h, %d] : !kt.tensor<[p0, p1, 4, 128] x bf16> -> bf16
    %y = kt.read %Q[%b, %i, %h, %across] : !kt.tensor<[p0, p1, 4, 128] x bf16> -> bf16
    %cos = kt.read %T[%pos, %at] : !kt.tensor<[p10, 128] x f32> -> f32
    %sin = kt.read %T[%pos, %behind] : !kt.tensor<[p10, 128] x f32> -> f32
    %X = arith.extf %x : bf16 to f32
    %Y = arith.extf %y : bf16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to bf16
    kt.yield %made : bf16
  }
  %k = kt.update axis 1 from #kt.expr<p5> count #kt.expr<p6> ins(%ko, %kn, %t : !kt.tensor<[p0, p3, 2, 128] x bf16>, !kt.tensor<[p0, p8, 2, 128] x bf16>, !kt.tensor<[p10, 128] x f32>) -> !kt.tensor<[p0, p4, 2, 128] x bf16> {
  ^bb0(%O: !kt.tensor<[p0, p3, 2, 128] x bf16>, %N: !kt.tensor<[p0, p8, 2, 128] x bf16>, %T: !kt.tensor<[p10, 128] x f32>, %b: index, %i: index, %g: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : bf16
    %old = kt.read %O[%b, %j, %g, %d] else %zero : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, p3, 2, 128] x bf16> -> bf16
    %rows = kt.size #kt.expr<p8>
    %is = arith.cmpi ult, %new, %rows : index
    %first = arith.constant 0 : index
    %there = arith.select %is, %j, %first : index
    %half = arith.constant 64 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %N[%b, %new, %g, %d] else %zero : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 128] x bf16> -> bf16
    %y = kt.read %N[%b, %new, %g, %across] else %zero : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 128] x bf16> -> bf16
    %cos = kt.read %T[%there, %at] : !kt.tensor<[p10, 128] x f32> -> f32
    %sin = kt.read %T[%there, %behind] : !kt.tensor<[p10, 128] x f32> -> f32
    %X = arith.extf %x : bf16 to f32
    %Y = arith.extf %y : bf16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to bf16
    %is_new = arith.select %is, %made, %old : bf16
    kt.yield %is_new : bf16
  }
  %v = kt.update axis 2 from #kt.expr<p5> count #kt.expr<p6> ins(%vo, %vn : !kt.tensor<[p0, 2, p3, 128] x bf16>, !kt.tensor<[p0, p8, 2, 128] x bf16>) -> !kt.tensor<[p0, 2, p4, 128] x bf16> {
  ^bb0(%O: !kt.tensor<[p0, 2, p3, 128] x bf16>, %N: !kt.tensor<[p0, p8, 2, 128] x bf16>, %b: index, %g: index, %i: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : bf16
    %old = kt.read %O[%b, %g, %j, %d] else %zero : bf16 {check = array<i64: 2>} : !kt.tensor<[p0, 2, p3, 128] x bf16> -> bf16
    %is_new = kt.read %N[%b, %new, %g, %d] else %old : bf16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 128] x bf16> -> bf16
    kt.yield %is_new : bf16
  }
  %r = kt.attention %qr, %k, %v
      {maps = [#bhid, #bjgd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<128>, #kt.expr<128>], group = 2 : i64, span_from = #kt.expr<p9 + -300>, span_to = #kt.expr<p9 + 1>, zero_empty,
       kt.made = array<i64: 0, 1, 2, 3, 0, 2, 1, 3, 0, 1, 2, 3>,
       views = [#kt.view<none>, #kt.view<[p0, p2, 2, 128] strides [p4 * 256, 256, 128, 1] offset 0>, #kt.view<[p0, 2, p2, 128] strides [p4 * 256, p4 * 128, 128, 1] offset 0>]}
      : !kt.tensor<[p0, 4, p1, 128] x bf16>, !kt.tensor<[p0, p4, 2, 128] x bf16>, !kt.tensor<[p0, 2, p4, 128] x bf16>
      -> !kt.tensor<[p0, p1, 4, 128] x bf16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.088388348 : f32
    %0 = arith.mulf %x, %c : f32
    kt.yield %0 : f32
  }
  kt.yield %qr, %k, %v, %r : !kt.tensor<[p0, 4, p1, 128] x bf16>, !kt.tensor<[p0, p4, 2, 128] x bf16>, !kt.tensor<[p0, 2, p4, 128] x bf16>, !kt.tensor<[p0, p1, 4, 128] x bf16>
}

// Data says for each element of the batch where its rows go; those outside are not stored. Heads are padded, half of one is no whole chunk, and positions are looked at.
kt.kernel @made_moved ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11"] attributes {kt.pages = array<i64: -1, -1, -1, 2, -1, 2, -1, -1, 2, 2, -1>} computes {
^bb0(%q: !kt.tensor<[p0, p1, 4, 24] x f16>, %t: !kt.tensor<[p10, 24] x f32>, %l: !kt.tensor<[p0] x i64>, %ko: !kt.tensor<[p0, 2, p3, 24] x f16>, %kn: !kt.tensor<[p0, p8, 2, 24] x f16>, %vo: !kt.tensor<[p0, 2, p3, 24] x f16>, %vn: !kt.tensor<[p0, p8, 2, 24] x f16>):
  %qr = kt.generic ins(%q, %t, %l : !kt.tensor<[p0, p1, 4, 24] x f16>, !kt.tensor<[p10, 24] x f32>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0, p1, 4, 24] x f16> {
  ^bb0(%Q: !kt.tensor<[p0, p1, 4, 24] x f16>, %T: !kt.tensor<[p10, 24] x f32>, %L: !kt.tensor<[p0] x i64>, %b: index, %i: index, %h: index, %d: index):
    %length = kt.read %L[%b] : !kt.tensor<[p0] x i64> -> i64
    %row = arith.index_cast %i : index to i64
    %begin = arith.addi %length, %row : i64
    %nought = arith.constant 0 : i64
    %position = arith.maxsi %begin, %nought : i64
    %pos = kt.bounded %position below #kt.expr<p10> site 11 : i64
    %half = arith.constant 12 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %Q[%b, %i, %h, %d] : !kt.tensor<[p0, p1, 4, 24] x f16> -> f16
    %y = kt.read %Q[%b, %i, %h, %across] : !kt.tensor<[p0, p1, 4, 24] x f16> -> f16
    %cos = kt.read %T[%pos, %at] : !kt.tensor<[p10, 24] x f32> -> f32
    %sin = kt.read %T[%pos, %behind] : !kt.tensor<[p10, 24] x f32> -> f32
    %X = arith.extf %x : f16 to f32
    %Y = arith.extf %y : f16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to f16
    kt.yield %made : f16
  }
  %k = kt.update axis 2 from #kt.expr<0> count #kt.expr<p6> ins(%ko, %kn, %t, %l : !kt.tensor<[p0, 2, p3, 24] x f16>, !kt.tensor<[p0, p8, 2, 24] x f16>, !kt.tensor<[p10, 24] x f32>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0, 2, p4, 24] x f16> {
  ^bb0(%O: !kt.tensor<[p0, 2, p3, 24] x f16>, %N: !kt.tensor<[p0, p8, 2, 24] x f16>, %T: !kt.tensor<[p10, 24] x f32>, %L: !kt.tensor<[p0] x i64>, %b: index, %g: index, %i: index, %d: index):
    %length = kt.read %L[%b] : !kt.tensor<[p0] x i64> -> i64
    %past = arith.index_cast %length : i64 to index
    %kept = kt.size #kt.expr<p5>
    %none = arith.constant 0 : index
    %keeps = arith.cmpi ne, %kept, %none : index
    %from = arith.select %keeps, %past, %none : index
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %g, %j, %d] else %zero : f16 {check = array<i64: 2>} : !kt.tensor<[p0, 2, p3, 24] x f16> -> f16
    %rows = kt.size #kt.expr<p8>
    %is = arith.cmpi ult, %new, %rows : index
    %first = arith.constant 0 : index
    %inside = arith.maxsi %j, %first : index
    %position = arith.index_cast %inside : index to i64
    %pos = kt.bounded %position below #kt.expr<p10> site 11 when %is : i64
    %there = arith.select %is, %pos, %first : index
    %half = arith.constant 12 : index
    %upper = arith.cmpi sge, %d, %half : index
    %low = arith.subi %d, %half : index
    %high = arith.addi %d, %half : index
    %at = arith.select %upper, %low, %d : index
    %across = arith.select %upper, %low, %high : index
    %behind = arith.addi %at, %half : index
    %x = kt.read %N[%b, %new, %g, %d] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 24] x f16> -> f16
    %y = kt.read %N[%b, %new, %g, %across] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 24] x f16> -> f16
    %cos = kt.read %T[%there, %at] : !kt.tensor<[p10, 24] x f32> -> f32
    %sin = kt.read %T[%there, %behind] : !kt.tensor<[p10, 24] x f32> -> f32
    %X = arith.extf %x : f16 to f32
    %Y = arith.extf %y : f16 to f32
    %along = arith.mulf %X, %cos : f32
    %turned = arith.mulf %Y, %sin : f32
    %minus = arith.negf %turned : f32
    %signed = arith.select %upper, %turned, %minus : f32
    %sum = arith.addf %along, %signed : f32
    %made = arith.truncf %sum : f32 to f16
    %is_new = arith.select %is, %made, %old : f16
    kt.yield %is_new, %from : f16, index
  }
  %v = kt.update axis 2 from #kt.expr<0> count #kt.expr<p6> ins(%vo, %vn, %l : !kt.tensor<[p0, 2, p3, 24] x f16>, !kt.tensor<[p0, p8, 2, 24] x f16>, !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0, 2, p4, 24] x f16> {
  ^bb0(%O: !kt.tensor<[p0, 2, p3, 24] x f16>, %N: !kt.tensor<[p0, p8, 2, 24] x f16>, %L: !kt.tensor<[p0] x i64>, %b: index, %g: index, %i: index, %d: index):
    %length = kt.read %L[%b] : !kt.tensor<[p0] x i64> -> i64
    %past = arith.index_cast %length : i64 to index
    %kept = kt.size #kt.expr<p5>
    %none = arith.constant 0 : index
    %keeps = arith.cmpi ne, %kept, %none : index
    %from = arith.select %keeps, %past, %none : index
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %g, %j, %d] else %zero : f16 {check = array<i64: 2>} : !kt.tensor<[p0, 2, p3, 24] x f16> -> f16
    %is_new = kt.read %N[%b, %new, %g, %d] else %old : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 2, 24] x f16> -> f16
    kt.yield %is_new, %from : f16, index
  }
  %r = kt.attention %qr, %k, %v extras(%l : !kt.tensor<[p0] x i64>)
      {maps = [#bihd, #bgjd, #bgje, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<4>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<24>, #kt.expr<24>], group = 2 : i64, zero_empty,
       kt.made = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3>,
       views = [#kt.view<none>, #kt.view<[p0, 2, p2, 24] strides [p4 * 48, p4 * 24, 24, 1] offset 0>, #kt.view<[p0, 2, p2, 24] strides [p4 * 48, p4 * 24, 24, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 4, 24] x f16>, !kt.tensor<[p0, 2, p4, 24] x f16>, !kt.tensor<[p0, 2, p4, 24] x f16>
      -> !kt.tensor<[p0, p1, 4, 24] x f16> score {
  ^bb0(%x: f32, %L: !kt.tensor<[p0] x i64>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.204124145 : f32
    %0 = arith.mulf %x, %c : f32
    %low = arith.constant 0xFF800000 : f32
    %length = kt.read %L[%b] : !kt.tensor<[p0] x i64> -> i64
    %past = arith.index_cast %length : i64 to index
    %last = arith.addi %i, %past : index
    %sees = arith.cmpi sle, %j, %last : index
    %1 = arith.select %sees, %0, %low : f32
    kt.yield %1 : f32
  }
  kt.yield %qr, %k, %v, %r : !kt.tensor<[p0, p1, 4, 24] x f16>, !kt.tensor<[p0, 2, p4, 24] x f16>, !kt.tensor<[p0, 2, p4, 24] x f16>, !kt.tensor<[p0, p1, 4, 24] x f16>
}

// Queries are made elsewhere.
kt.kernel @made_windows ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"] computes {
^bb0(%ko: !kt.tensor<[p0, p3, 1, 64] x f16>, %kn: !kt.tensor<[p0, p8, 1, 64] x f16>, %vo: !kt.tensor<[p0, p3, 1, 48] x f16>, %vn: !kt.tensor<[p0, p8, 1, 48] x f16>, %q: !kt.tensor<[p0, p1, 8, 64] x f16>, %s: !kt.tensor<[8] x f32>):
  %k = kt.update axis 1 from #kt.expr<p5> count #kt.expr<p6> ins(%ko, %kn : !kt.tensor<[p0, p3, 1, 64] x f16>, !kt.tensor<[p0, p8, 1, 64] x f16>) -> !kt.tensor<[p0, p4, 1, 64] x f16> {
  ^bb0(%O: !kt.tensor<[p0, p3, 1, 64] x f16>, %N: !kt.tensor<[p0, p8, 1, 64] x f16>, %b: index, %i: index, %g: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %j, %g, %d] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p3, 1, 64] x f16> -> f16
    %is_new = kt.read %N[%b, %new, %g, %d] else %old : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 1, 64] x f16> -> f16
    kt.yield %is_new : f16
  }
  %v = kt.update axis 1 from #kt.expr<p5> count #kt.expr<p6> ins(%vo, %vn : !kt.tensor<[p0, p3, 1, 48] x f16>, !kt.tensor<[p0, p8, 1, 48] x f16>) -> !kt.tensor<[p0, p4, 1, 48] x f16> {
  ^bb0(%O: !kt.tensor<[p0, p3, 1, 48] x f16>, %N: !kt.tensor<[p0, p8, 1, 48] x f16>, %b: index, %i: index, %g: index, %d: index):
    %from = kt.size #kt.expr<p5>
    %past = kt.size #kt.expr<p7>
    %j = arith.addi %i, %from : index
    %new = arith.subi %j, %past : index
    %zero = arith.constant 0.0 : f16
    %old = kt.read %O[%b, %j, %g, %d] else %zero : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p3, 1, 48] x f16> -> f16
    %is_new = kt.read %N[%b, %new, %g, %d] else %old : f16 {check = array<i64: 1>} : !kt.tensor<[p0, p8, 1, 48] x f16> -> f16
    kt.yield %is_new : f16
  }
  %r = kt.attention %q, %k, %v extras(%s : !kt.tensor<[8] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<8>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<48>], group = 8 : i64, span_to = #kt.expr<p9 + 1>,
       kt.made = array<i64: 0, 2, 1, 3, 0, 2, 1, 3, 0, 2, 1, 3>,
       views = [#kt.view<none>, #kt.view<[p0, p2, 1, 64] strides [p4 * 64, 64, 64, 1] offset 0>, #kt.view<[p0, p2, 1, 48] strides [p4 * 48, 48, 48, 1] offset 0>]}
      : !kt.tensor<[p0, p1, 8, 64] x f16>, !kt.tensor<[p0, p4, 1, 64] x f16>, !kt.tensor<[p0, p4, 1, 48] x f16>
      -> !kt.tensor<[p0, p1, 8, 48] x f16> score {
  ^bb0(%x: f32, %S: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %x, %c : f32
    kt.yield %0 : f32
  } sink {
  ^bb0(%S: !kt.tensor<[8] x f32>, %b: index, %h: index, %i: index):
    %0 = kt.read %S[%h] : !kt.tensor<[8] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %k, %v, %r : !kt.tensor<[p0, p4, 1, 64] x f16>, !kt.tensor<[p0, p4, 1, 48] x f16>, !kt.tensor<[p0, p1, 8, 48] x f16>
}
