// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.matmul of weights in blocks: bits, groups, types of scales, with and without zero points; of two parts, and behind a norm. p0 is the number of rows.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

kt.kernel @blocks_int4_f16_72_320 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 320] x f16>, %b: !kt.tensor<[5, 10, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<320>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 320] x f16>, !kt.tensor<[5, 10, 288] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int4_f16_41_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %b: !kt.tensor<[3, 2, 1072] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, blocks = #kt.blocks<bits = 4, group = 128, scale = f16, zeros = true>}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[3, 2, 1072] x ui8> -> !kt.tensor<[p0, 41] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 41] x f16>
}

kt.kernel @blocks_int4_f16_72_208 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x f16>, %b: !kt.tensor<[5, 13, 176] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed, blocks = #kt.blocks<bits = 4, group = 16, scale = f16, zeros = true>}
      : !kt.tensor<[p0, 208] x f16>, !kt.tensor<[5, 13, 176] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int4_f16_50_99 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 99] x f16>, %b: !kt.tensor<[4, 2, 592] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<99>, packed, blocks = #kt.blocks<bits = 4, group = 64, scale = f32, zeros = true>}
      : !kt.tensor<[p0, 99] x f16>, !kt.tensor<[4, 2, 592] x ui8> -> !kt.tensor<[p0, 50] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 50] x f16>
}

kt.kernel @blocks_int4_f16_72_576 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 576] x f16>, %b: !kt.tensor<[5, 18, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<576>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 576] x f16>, !kt.tensor<[5, 18, 288] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int4_bf16_40_264 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 264] x bf16>, %b: !kt.tensor<[3, 9, 304] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<264>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = bf16, zeros = true>}
      : !kt.tensor<[p0, 264] x bf16>, !kt.tensor<[3, 9, 304] x ui8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x bf16>
}

kt.kernel @blocks_int4_f16_24_1536 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1536] x f16>, %b: !kt.tensor<[2, 12, 1056] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<1536>, packed, blocks = #kt.blocks<bits = 4, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 1536] x f16>, !kt.tensor<[2, 12, 1056] x ui8> -> !kt.tensor<[p0, 24] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 24] x f16>
}

kt.kernel @blocks_int4_f32_75_99 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 99] x f32>, %b: !kt.tensor<[5, 4, 336] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<99>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f32, zeros = true>}
      : !kt.tensor<[p0, 99] x f32>, !kt.tensor<[5, 4, 336] x ui8> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @blocks_int4_f32_72_768 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 768] x f32>, %b: !kt.tensor<[5, 3, 2112] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<768>, packed, blocks = #kt.blocks<bits = 4, group = 256, scale = f32, zeros = false>}
      : !kt.tensor<[p0, 768] x f32>, !kt.tensor<[5, 3, 2112] x ui8> -> !kt.tensor<[p0, 72] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f32>
}

kt.kernel @blocks_int8_f16_72_320 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 320] x f16>, %b: !kt.tensor<[5, 3, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<320>, packed, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 320] x f16>, !kt.tensor<[5, 3, 2080] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int8_f16_40_136 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 136] x f16>, %b: !kt.tensor<[3, 9, 336] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<136>, packed, blocks = #kt.blocks<bits = 8, group = 16, scale = f32, zeros = true>}
      : !kt.tensor<[p0, 136] x f16>, !kt.tensor<[3, 9, 336] x ui8> -> !kt.tensor<[p0, 40] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x f16>
}

kt.kernel @blocks_int8_bf16_40_264 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 264] x bf16>, %b: !kt.tensor<[3, 5, 1072] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<264>, packed, blocks = #kt.blocks<bits = 8, group = 64, scale = bf16, zeros = true>}
      : !kt.tensor<[p0, 264] x bf16>, !kt.tensor<[3, 5, 1072] x ui8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x bf16>
}

kt.kernel @blocks_int8_f32_75_130 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 130] x f32>, %b: !kt.tensor<[5, 3, 1072] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<130>, packed, blocks = #kt.blocks<bits = 8, group = 64, scale = f16, zeros = true>}
      : !kt.tensor<[p0, 130] x f32>, !kt.tensor<[5, 3, 1072] x ui8> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @blocks_int2_f16_72_512 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 512] x f16>, %b: !kt.tensor<[5, 8, 304] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<512>, packed, blocks = #kt.blocks<bits = 2, group = 64, scale = f16, zeros = true>}
      : !kt.tensor<[p0, 512] x f16>, !kt.tensor<[5, 8, 304] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int2_f16_40_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %b: !kt.tensor<[3, 13, 96] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, blocks = #kt.blocks<bits = 2, group = 16, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[3, 13, 96] x ui8> -> !kt.tensor<[p0, 40] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x f16>
}

kt.kernel @blocks_int2_bf16_40_320 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 320] x bf16>, %b: !kt.tensor<[3, 10, 176] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<320>, packed, blocks = #kt.blocks<bits = 2, group = 32, scale = bf16, zeros = true>}
      : !kt.tensor<[p0, 320] x bf16>, !kt.tensor<[3, 10, 176] x ui8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x bf16>
}

kt.kernel @blocks_int2_f32_41_90 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 90] x f32>, %b: !kt.tensor<[3, 3, 208] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<90>, packed, blocks = #kt.blocks<bits = 2, group = 32, scale = f32, zeros = true>}
      : !kt.tensor<[p0, 90] x f32>, !kt.tensor<[3, 3, 208] x ui8> -> !kt.tensor<[p0, 41] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 41] x f32>
}

kt.kernel @blocks_fp8_f16_72_320 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 320] x f16>, %b: !kt.tensor<[5, 3, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<320>, packed, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false, fp8 = true>}
      : !kt.tensor<[p0, 320] x f16>, !kt.tensor<[5, 3, 2080] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_fp8_bf16_40_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x bf16>, %b: !kt.tensor<[3, 7, 544] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, blocks = #kt.blocks<bits = 8, group = 32, scale = bf16, zeros = false, fp8 = true>}
      : !kt.tensor<[p0, 200] x bf16>, !kt.tensor<[3, 7, 544] x ui8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x bf16>
}

kt.kernel @blocks_fp8_f32_75_99 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 99] x f32>, %b: !kt.tensor<[5, 7, 320] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<99>, packed, blocks = #kt.blocks<bits = 8, group = 16, scale = f32, zeros = false, fp8 = true>}
      : !kt.tensor<[p0, 99] x f32>, !kt.tensor<[5, 7, 320] x ui8> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 75] x f32>
}

kt.kernel @blocks_int4_parts_f16_72_264 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 264] x f16>, %b: !kt.tensor<[10, 9, 288] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<264>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>, parts = 2 : i64}
      : !kt.tensor<[p0, 264] x f16>, !kt.tensor<[10, 9, 288] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %i0: index, %i1: index):
    %zero = arith.constant 0.0 : f32
    %y = arith.maximumf %gate, %zero : f32
    %acc = arith.mulf %y, %up : f32
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_int8_parts_bf16_40_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x bf16>, %b: !kt.tensor<[6, 2, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, blocks = #kt.blocks<bits = 8, group = 128, scale = bf16, zeros = false>, parts = 2 : i64}
      : !kt.tensor<[p0, 200] x bf16>, !kt.tensor<[6, 2, 2080] x ui8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%gate: f32, %up: f32, %i0: index, %i1: index):
    %zero = arith.constant 0.0 : f32
    %y = arith.maximumf %gate, %zero : f32
    %acc = arith.mulf %y, %up : f32
    %e = arith.truncf %acc : f32 to bf16
    kt.yield %e : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 40] x bf16>
}

kt.kernel @blocks_normed_int4_f16_72_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %s: !kt.tensor<[200] x f16>, %b: !kt.tensor<[5, 7, 288] x ui8>):
  %x = kt.normalize rms ins(%a, %s : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[200] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, 200] x f16> {
  ^bb0(%A: !kt.tensor<[p0, 200] x f16>, %S: !kt.tensor<[200] x f16>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, 200] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !kt.tensor<[p0, 200] x f16>, %S: !kt.tensor<[200] x f16>, %i: index, %j: index):
    %0 = kt.read %S[%j] : !kt.tensor<[200] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.mulf %v, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  %y = kt.matmul %x, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed, blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[5, 7, 288] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[p0, 72] x f16>
}

kt.kernel @blocks_normed_int8_f16_40_328 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 328] x f16>, %s: !kt.tensor<[328] x f16>, %b: !kt.tensor<[3, 3, 2096] x ui8>):
  %x = kt.normalize rms ins(%a, %s : !kt.tensor<[p0, 328] x f16>, !kt.tensor<[328] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, 328] x f16> {
  ^bb0(%A: !kt.tensor<[p0, 328] x f16>, %S: !kt.tensor<[328] x f16>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, 328] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !kt.tensor<[p0, 328] x f16>, %S: !kt.tensor<[328] x f16>, %i: index, %j: index):
    %0 = kt.read %S[%j] : !kt.tensor<[328] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.mulf %v, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  %y = kt.matmul %x, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<328>, packed, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = true>}
      : !kt.tensor<[p0, 328] x f16>, !kt.tensor<[3, 3, 2096] x ui8> -> !kt.tensor<[p0, 40] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 328] x f16>, !kt.tensor<[p0, 40] x f16>
}
