// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// A norm and the product that alone reads its rows, as normed_TYPE_COLUMNS_DEPTH. p0 is the number of rows.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

kt.kernel @normed_f16_72_200 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 200] x f16>, %s: !kt.tensor<[200] x f16>, %b: !kt.tensor<[5, 200, 16] x f16>, %c: !kt.tensor<[p0, 72] x f16>):
  %x = kt.normalize rms ins(%a, %s : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[200] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 200] x f16> {
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
  %y = kt.matmul %x, %b extras(%c : !kt.tensor<[p0, 72] x f16>) {maps = [#mk, #nk, #mn], depth = #kt.expr<200>, packed}
      : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[5, 200, 16] x f16> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc: f32, %C: !kt.tensor<[p0, 72] x f16>, %i: index, %j: index):
    %0 = kt.read %C[%i, %j] : !kt.tensor<[p0, 72] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.addf %acc, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 200] x f16>, !kt.tensor<[p0, 72] x f16>
}

// Rows longer than a warp holds, centred, of a sum; weights of 8 bits.
kt.kernel @normed_bf16_40_1544 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 1544] x bf16>, %c: !kt.tensor<[p0, 1544] x f32>, %s: !kt.tensor<[1544] x f32>, %t: !kt.tensor<[1544] x bf16>, %b: !kt.tensor<[3, 1544, 16] x i8>, %d: !kt.tensor<[40] x f32>):
  %x = kt.normalize layer ins(%a, %c, %s, %t : !kt.tensor<[p0, 1544] x bf16>, !kt.tensor<[p0, 1544] x f32>, !kt.tensor<[1544] x f32>, !kt.tensor<[1544] x bf16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, 1544] x bf16> {
  ^bb0(%A: !kt.tensor<[p0, 1544] x bf16>, %C: !kt.tensor<[p0, 1544] x f32>, %S: !kt.tensor<[1544] x f32>, %T: !kt.tensor<[1544] x bf16>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, 1544] x bf16> -> bf16
    %1 = arith.extf %0 : bf16 to f32
    %2 = kt.read %C[%i, %j] : !kt.tensor<[p0, 1544] x f32> -> f32
    %3 = arith.addf %1, %2 : f32
    kt.yield %3 : f32
  } epilogue {
  ^bb0(%v: f32, %A: !kt.tensor<[p0, 1544] x bf16>, %C: !kt.tensor<[p0, 1544] x f32>, %S: !kt.tensor<[1544] x f32>, %T: !kt.tensor<[1544] x bf16>, %i: index, %j: index):
    %0 = kt.read %S[%j] : !kt.tensor<[1544] x f32> -> f32
    %1 = arith.mulf %v, %0 : f32
    %2 = kt.read %T[%j] : !kt.tensor<[1544] x bf16> -> bf16
    %3 = arith.extf %2 : bf16 to f32
    %4 = arith.addf %1, %3 : f32
    %5 = arith.truncf %4 : f32 to bf16
    kt.yield %5 : bf16
  }
  %y = kt.matmul %x, %b extras(%d : !kt.tensor<[40] x f32>) {maps = [#mk, #nk, #mn], depth = #kt.expr<1544>, packed}
      : !kt.tensor<[p0, 1544] x bf16>, !kt.tensor<[3, 1544, 16] x i8> -> !kt.tensor<[p0, 40] x bf16> epilogue {
  ^bb0(%acc: f32, %D: !kt.tensor<[40] x f32>, %i: index, %j: index):
    %0 = kt.read %D[%j] : !kt.tensor<[40] x f32> -> f32
    %1 = arith.mulf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kt.yield %2 : bf16
  }
  kt.yield %x, %y : !kt.tensor<[p0, 1544] x bf16>, !kt.tensor<[p0, 40] x bf16>
}
