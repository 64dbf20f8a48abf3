// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Several results of one shape: elementwise work and a norm of what it makes, as residual_NORM_TYPE, where the norm may read that again at its end; reductions that share a
// pass, over rows or over columns, of which one may read at its end what another has come to.

kt.kernel @residual_layer_f32 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x f32>, %b: !kt.tensor<[p0, p1] x f32>, %w: !kt.tensor<[p1] x f32>):
  %r = kt.generic ins(%a, %b, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>) -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%A: !kt.tensor<[p0, p1] x f32>, %B: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    %1 = kt.read %B[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    %4 = arith.addf %3, %2 : f32
    kt.yield %4 : f32
  }
  %y = kt.normalize layer ins(%r, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%R: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %1 = kt.read %R[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    %2 = arith.mulf %v, %0 : f32
    %3 = arith.addf %2, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r, %y : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p0, p1] x f32>
}

kt.kernel @residual_rms_f16_768 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 768] x f16>, %b: !kt.tensor<[p0, 768] x f16>, %w: !kt.tensor<[768] x f16>):
  %r = kt.generic ins(%a, %b, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f16>) -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%A: !kt.tensor<[p0, 768] x f16>, %B: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = kt.read %B[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %2 = kt.read %W[%j] : !kt.tensor<[768] x f16> -> f16
    %3 = arith.addf %0, %1 : f16
    %4 = arith.addf %3, %2 : f16
    kt.yield %4 : f16
  }
  %y = kt.normalize rms ins(%r, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%R: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.mulf %v, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  kt.yield %r, %y : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[p0, 768] x f16>
}

kt.kernel @residual_softmax_f16 ["p0", "p1"] computes {
^bb0(%a: !kt.tensor<[p0, p1] x f16>, %b: !kt.tensor<[p0, p1] x f16>, %w: !kt.tensor<[p1] x f16>):
  %r = kt.generic ins(%a, %b, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>) -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%A: !kt.tensor<[p0, p1] x f16>, %B: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %A[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = kt.read %B[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %3 = arith.addf %0, %1 : f16
    %4 = arith.addf %3, %2 : f16
    kt.yield %4 : f16
  }
  %y = kt.normalize softmax ins(%r, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%R: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %R: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.mulf %v, %1 : f32
    %3 = arith.truncf %2 : f32 to f16
    kt.yield %3 : f16
  }
  kt.yield %r, %y : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p0, p1] x f16>
}

kt.kernel @moments_rows_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %mean = kt.reduce add over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %i: index):
    %n = kt.size <p1>
    %0 = arith.index_cast %n : index to i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = arith.divf %v, %1 : f32
    kt.yield %2 : f32
  }
  %var = kt.reduce add over [#kt.expr<p1>] ins(%x, %mean : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %M: !kt.tensor<[p0] x f32>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[p0, p1] x f32> -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %M: !kt.tensor<[p0] x f32>, %i: index):
    %n = kt.size <p1>
    %0 = arith.index_cast %n : index to i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = arith.divf %v, %1 : f32
    %3 = kt.read %M[%i] : !kt.tensor<[p0] x f32> -> f32
    %4 = arith.mulf %3, %3 : f32
    %5 = arith.subf %2, %4 : f32
    kt.yield %5 : f32
  }
  kt.yield %mean, %var : !kt.tensor<[p0] x f32>, !kt.tensor<[p0] x f32>
}

kt.kernel @moments_columns_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %mean = kt.reduce add over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %i: index):
    %n = kt.size <p0>
    %0 = arith.index_cast %n : index to i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = arith.divf %v, %1 : f32
    kt.yield %2 : f32
  }
  %var = kt.reduce add over [#kt.expr<p0>] ins(%x, %mean : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>) -> !kt.tensor<[p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %M: !kt.tensor<[p1] x f32>, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !kt.tensor<[p0, p1] x f32> -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %M: !kt.tensor<[p1] x f32>, %i: index):
    %n = kt.size <p0>
    %0 = arith.index_cast %n : index to i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = arith.divf %v, %1 : f32
    %3 = kt.read %M[%i] : !kt.tensor<[p1] x f32> -> f32
    %4 = arith.mulf %3, %3 : f32
    %5 = arith.subf %2, %4 : f32
    kt.yield %5 : f32
  }
  kt.yield %mean, %var : !kt.tensor<[p1] x f32>, !kt.tensor<[p1] x f32>
}

kt.kernel @extremes_rows_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %least = kt.reduce min over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : f16
  }
  %most = kt.reduce max over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : f16
  }
  %where = kt.reduce argmax over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : i64
  }
  kt.yield %least, %most, %where : !kt.tensor<[p0] x f16>, !kt.tensor<[p0] x f16>, !kt.tensor<[p0] x i64>
}

kt.kernel @extremes_columns_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %least = kt.reduce min over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : f16
  }
  %most = kt.reduce max over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : f16
  }
  %where = kt.reduce argmax over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%k, %i] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f16>, %i: index):
    kt.yield %v : i64
  }
  kt.yield %least, %most, %where : !kt.tensor<[p1] x f16>, !kt.tensor<[p1] x f16>, !kt.tensor<[p1] x i64>
}
