// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// A product, as ROWS_TYPE_COLUMNS_DEPTH, and a norm of its rows in one kernel. p0 is the number of rows.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

kt.kernel @rows_f16_200_1536 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1536] x f16>, %b: !kt.tensor<[13, 1536, 16] x f16>, %w: !kt.tensor<[200] x f32>):
  %x = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<1536>, packed}
      : !kt.tensor<[p0, 1536] x f16>, !kt.tensor<[13, 1536, 16] x f16> -> !kt.tensor<[p0, 200] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  %y = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[200] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 200] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 200] x f16>, %W: !kt.tensor<[200] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 200] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, 200] x f16>, %W: !kt.tensor<[200] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[200] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    %2 = arith.truncf %1 : f32 to f16
    kt.yield %2 : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[p0, 200] x f16>
}

kt.kernel @rows_f32_75_300 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 300] x f32>, %b: !kt.tensor<[5, 300, 16] x f32>, %w: !kt.tensor<[75] x f32>):
  %x = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<300>, packed}
      : !kt.tensor<[p0, 300] x f32>, !kt.tensor<[5, 300, 16] x f32> -> !kt.tensor<[p0, 75] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %y = kt.normalize rms ins(%x, %w : !kt.tensor<[p0, 75] x f32>, !kt.tensor<[75] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 75] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 75] x f32>, %W: !kt.tensor<[75] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 75] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, 75] x f32>, %W: !kt.tensor<[75] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[75] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %x, %y : !kt.tensor<[p0, 75] x f32>, !kt.tensor<[p0, 75] x f32>
}

kt.kernel @rows_f32_4104_8 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 8] x f32>, %b: !kt.tensor<[257, 8, 16] x f32>, %w: !kt.tensor<[4104] x f32>):
  %x = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<8>, packed}
      : !kt.tensor<[p0, 8] x f32>, !kt.tensor<[257, 8, 16] x f32> -> !kt.tensor<[p0, 4104] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %y = kt.normalize rms ins(%x, %w : !kt.tensor<[p0, 4104] x f32>, !kt.tensor<[4104] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 4104] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 4104] x f32>, %W: !kt.tensor<[4104] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 4104] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, 4104] x f32>, %W: !kt.tensor<[4104] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[4104] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %x, %y : !kt.tensor<[p0, 4104] x f32>, !kt.tensor<[p0, 4104] x f32>
}
