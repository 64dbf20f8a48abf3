// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.matmul and kt.conv of 8-bit integers of any sign: packed, strided, batched and convolved; zero points, requantisation, sums beyond 2^24 and 2^31.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#kn = affine_map<(m, n, k) -> (k, n)>
#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#b_nk = affine_map<(b, m, n, k) -> (n, k)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>
#bmhk = affine_map<(b, h, m, n, k) -> (b, m, h, k)>
#bnhk = affine_map<(b, h, m, n, k) -> (b, n, h, k)>
#bhmn = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#bhmk = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#bkhn = affine_map<(b, h, m, n, k) -> (b, k, h, n)>
#bmhn = affine_map<(b, h, m, n, k) -> (b, m, h, n)>

kt.kernel @int8_i8_i8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x i8>, %b: !kt.tensor<[5, 208, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed}
      : !kt.tensor<[p0, 208] x i8>, !kt.tensor<[5, 208, 16] x i8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

kt.kernel @int8_i8_ui8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x i8>, %b: !kt.tensor<[5, 208, 16] x ui8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed}
      : !kt.tensor<[p0, 208] x i8>, !kt.tensor<[5, 208, 16] x ui8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

kt.kernel @int8_ui8_i8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x ui8>, %b: !kt.tensor<[5, 208, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed}
      : !kt.tensor<[p0, 208] x ui8>, !kt.tensor<[5, 208, 16] x i8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

kt.kernel @int8_ui8_ui8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x ui8>, %b: !kt.tensor<[5, 208, 16] x ui8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed}
      : !kt.tensor<[p0, 208] x ui8>, !kt.tensor<[5, 208, 16] x ui8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

// 90 is no multiple of 16: what CUDA cores are left with.
kt.kernel @int8_unaligned ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x i8>, %b: !kt.tensor<[5, 90, 16] x ui8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed}
      : !kt.tensor<[p0, 90] x i8>, !kt.tensor<[5, 90, 16] x ui8> -> !kt.tensor<[p0, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x i32>
}

// A depth that is known in the run alone, and an odd number of columns.
kt.kernel @int8_any_depth ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x ui8>, %b: !kt.tensor<[3, p1, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<p1>, packed}
      : !kt.tensor<[p0, p1] x ui8>, !kt.tensor<[3, p1, 16] x i8> -> !kt.tensor<[p0, 41] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 41] x i32>
}

// Sums beyond 2^24, which single precision does not hold, of a depth that blocks share.
kt.kernel @int8_deep ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 2064] x ui8>, %b: !kt.tensor<[5, 2064, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<2064>, packed}
      : !kt.tensor<[p0, 2064] x ui8>, !kt.tensor<[5, 2064, 16] x i8> -> !kt.tensor<[p0, 70] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 70] x i32>
}

// Sums beyond 2^31, which wrap around.
kt.kernel @int8_wraps ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 33040] x ui8>, %b: !kt.tensor<[1, 33040, 16] x ui8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<33040>, packed}
      : !kt.tensor<[p0, 33040] x ui8>, !kt.tensor<[1, 33040, 16] x ui8> -> !kt.tensor<[p0, 9] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 9] x i32>
}

// Zero points of both sides, a row and a column each, and a result that is quantised again.
kt.kernel @int8_requantised ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 160] x ui8>, %b: !kt.tensor<[5, 160, 16] x i8>, %y0: !kt.tensor<[p0, 1] x i32>, %y1: !kt.tensor<[80] x i32>, %y2: !kt.tensor<[80] x i32>, %y3: !kt.tensor<[p0, 1] x i32>, %y4: !kt.tensor<[80] x f32>):
  %r = kt.matmul %a, %b extras(%y0, %y1, %y2, %y3, %y4 : !kt.tensor<[p0, 1] x i32>, !kt.tensor<[80] x i32>, !kt.tensor<[80] x i32>, !kt.tensor<[p0, 1] x i32>, !kt.tensor<[80] x f32>)
      {maps = [#mk, #nk, #mn], depth = #kt.expr<160>, packed}
      : !kt.tensor<[p0, 160] x ui8>, !kt.tensor<[5, 160, 16] x i8> -> !kt.tensor<[p0, 80] x ui8> epilogue {
  ^bb0(%acc: i32, %x0: !kt.tensor<[p0, 1] x i32>, %x1: !kt.tensor<[80] x i32>, %x2: !kt.tensor<[80] x i32>, %x3: !kt.tensor<[p0, 1] x i32>, %x4: !kt.tensor<[80] x f32>, %i0: index, %i1: index):
    %c0 = arith.constant 0 : index
    %za = kt.read %x0[%i0, %c0] : !kt.tensor<[p0, 1] x i32> -> i32
    %sb = kt.read %x1[%i1] : !kt.tensor<[80] x i32> -> i32
    %zb = kt.read %x2[%i1] : !kt.tensor<[80] x i32> -> i32
    %sa = kt.read %x3[%i0, %c0] : !kt.tensor<[p0, 1] x i32> -> i32
    %depth = arith.constant 160 : i32
    %0 = arith.muli %za, %sb : i32
    %1 = arith.subi %acc, %0 : i32
    %2 = arith.muli %zb, %sa : i32
    %3 = arith.subi %1, %2 : i32
    %4 = arith.muli %za, %zb : i32
    %5 = arith.muli %4, %depth : i32
    %6 = arith.addi %3, %5 : i32
    %7 = arith.sitofp %6 : i32 to f32
    %scale = kt.read %x4[%i1] : !kt.tensor<[80] x f32> -> f32
    %8 = arith.mulf %7, %scale : f32
    %9 = math.roundeven %8 : f32
    %zero = arith.constant 1.0e+02 : f32
    %10 = arith.addf %9, %zero : f32
    %low = arith.constant 0.0 : f32
    %high = arith.constant 2.55e+02 : f32
    %11 = arith.maximumf %10, %low : f32
    %12 = arith.minimumf %11, %high : f32
    %13 = arith.fptosi %12 : f32 to i32
    %14 = arith.trunci %13 : i32 to i8
    kt.yield %14 : i8
  }
  kt.yield %r : !kt.tensor<[p0, 80] x ui8>
}

// Two parts, and an epilogue of both.
kt.kernel @int8_parts ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 96] x ui8>, %b: !kt.tensor<[6, 96, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #nk, #mn], depth = #kt.expr<96>, packed, parts = 2 : i64}
      : !kt.tensor<[p0, 96] x ui8>, !kt.tensor<[6, 96, 16] x i8> -> !kt.tensor<[p0, 44] x i32> epilogue {
  ^bb0(%gate: i32, %up: i32, %i0: index, %i1: index):
    %0 = arith.muli %gate, %gate : i32
    %1 = arith.subi %0, %up : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 44] x i32>
}

// Two activations, batched: right sides whose neighbours are k's, and columns.
kt.kernel @int8_scores ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1, 2, 64] x ui8>, %b: !kt.tensor<[p0, p2, 2, 64] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#bmhk, #bnhk, #bhmn], depth = #kt.expr<64>}
      : !kt.tensor<[p0, p1, 2, 64] x ui8>, !kt.tensor<[p0, p2, 2, 64] x i8> -> !kt.tensor<[p0, 2, p1, p2] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 2, p1, p2] x i32>
}

kt.kernel @int8_context ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, 2, p1, p2] x ui8>, %b: !kt.tensor<[p0, p2, 2, 48] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#bhmk, #bkhn, #bmhn], depth = #kt.expr<p2>}
      : !kt.tensor<[p0, 2, p1, p2] x ui8>, !kt.tensor<[p0, p2, 2, 48] x i8> -> !kt.tensor<[p0, p1, 2, 48] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 48] x i32>
}

kt.kernel @int8_columns ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, 96] x i8>, %b: !kt.tensor<[96, p1] x ui8>):
  %r = kt.matmul %a, %b
      {maps = [#mk, #kn, #mn], depth = #kt.expr<96>}
      : !kt.tensor<[p0, 96] x i8>, !kt.tensor<[96, p1] x ui8> -> !kt.tensor<[p0, p1] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x i32>
}

// Rows [b, s] of a tensor [s, b, ..].
kt.kernel @int8_rows_apart ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p1, p0, 48] x ui8>, %b: !kt.tensor<[5, 48, 16] x i8>):
  %r = kt.matmul %a, %b
      {maps = [#bmk, #b_nk, #bmn], depth = #kt.expr<48>, packed,
       views = [#kt.view<[p0, p1, 48] strides [48, p0 * 48, 1] offset 0>, #kt.view<none>]}
      : !kt.tensor<[p1, p0, 48] x ui8>, !kt.tensor<[5, 48, 16] x i8> -> !kt.tensor<[p0, p1, 72] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 72] x i32>
}

// Convolutions: channels in whole chunks of 16, in groups, of one position, in parts of a chunk, and one a group.
kt.kernel @conv_int8 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 11, 16] x ui8>, %w: !kt.tensor<[1, 2, 9, 16, 16] x i8>, %b: !kt.tensor<[24] x i32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x i32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 11, 16] x ui8>, !kt.tensor<[1, 2, 9, 16, 16] x i8> -> !kt.tensor<[p0, 9, 11, 24] x i32> epilogue {
  ^bb0(%acc: i32, %B: !kt.tensor<[24] x i32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x i32> -> i32
    %1 = arith.addi %acc, %0 : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 9, 11, 24] x i32>
}

kt.kernel @conv_int8_groups ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 6, 6, 64] x i8>, %w: !kt.tensor<[2, 2, 9, 32, 16] x ui8>, %b: !kt.tensor<[64] x i32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[64] x i32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 2 : i64}
      : !kt.tensor<[p0, 6, 6, 64] x i8>, !kt.tensor<[2, 2, 9, 32, 16] x ui8> -> !kt.tensor<[p0, 3, 3, 64] x i32> epilogue {
  ^bb0(%acc: i32, %B: !kt.tensor<[64] x i32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[64] x i32> -> i32
    %1 = arith.addi %acc, %0 : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 3, 3, 64] x i32>
}

kt.kernel @conv_int8_1x1 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5, 5, 48] x i8>, %w: !kt.tensor<[1, 2, 1, 48, 16] x i8>, %b: !kt.tensor<[32] x i32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[32] x i32>)
      {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !kt.tensor<[p0, 5, 5, 48] x i8>, !kt.tensor<[1, 2, 1, 48, 16] x i8> -> !kt.tensor<[p0, 5, 5, 32] x i32> epilogue {
  ^bb0(%acc: i32, %B: !kt.tensor<[32] x i32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[32] x i32> -> i32
    %1 = arith.addi %acc, %0 : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 32] x i32>
}

kt.kernel @conv_int8_stem ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 9, 9, 3] x ui8>, %w: !kt.tensor<[1, 2, 9, 3, 16] x ui8>, %b: !kt.tensor<[20] x i32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[20] x i32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
      : !kt.tensor<[p0, 9, 9, 3] x ui8>, !kt.tensor<[1, 2, 9, 3, 16] x ui8> -> !kt.tensor<[p0, 5, 5, 20] x i32> epilogue {
  ^bb0(%acc: i32, %B: !kt.tensor<[20] x i32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[20] x i32> -> i32
    %1 = arith.addi %acc, %0 : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 5, 5, 20] x i32>
}

kt.kernel @conv_int8_depthwise ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 7, 7, 24] x ui8>, %w: !kt.tensor<[1, 2, 9, 1, 16] x ui8>, %b: !kt.tensor<[24] x i32>):
  %r = kt.conv %x, %w extras(%b : !kt.tensor<[24] x i32>)
      {kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 24 : i64}
      : !kt.tensor<[p0, 7, 7, 24] x ui8>, !kt.tensor<[1, 2, 9, 1, 16] x ui8> -> !kt.tensor<[p0, 7, 7, 24] x i32> epilogue {
  ^bb0(%acc: i32, %B: !kt.tensor<[24] x i32>, %i0: index, %i1: index, %i2: index, %i3: index):
    %0 = kt.read %B[%i3] : !kt.tensor<[24] x i32> -> i32
    %1 = arith.addi %acc, %0 : i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0, 7, 7, 24] x i32>
}
