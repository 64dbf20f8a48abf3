// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.generic: mathematics. p0, p1, ... are the sizes that a case gives, in their order.

kt.kernel @exp ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.exp %0 : f32
    %2 = kt.size #kt.expr<p0>
    %3 = arith.index_cast %2 : index to i32
    %4 = arith.sitofp %3 : i32 to f32
    %5 = arith.divf %1, %4 : f32
    kt.yield %5 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_log_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.log %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_log1p_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.log1p %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_tanh_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_erf_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.erf %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_sin_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.sin %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_cos_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.cos %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_atan_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.atan %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_exp2_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.exp2 %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_rsqrt_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.rsqrt %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_sqrt_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.sqrt %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_floor_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.floor %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_ceil_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.ceil %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_roundeven_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.roundeven %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_absf_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.absf %0 : f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @math_log_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.log %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_tanh_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.tanh %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_erf_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.erf %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_exp2_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.exp2 %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_sqrt_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.sqrt %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_floor_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = math.floor %0 : f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @math_log_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.log %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @math_tanh_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.tanh %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @math_erf_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.erf %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @math_exp2_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.exp2 %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @math_sqrt_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.sqrt %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @math_floor_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = math.floor %0 : bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}
