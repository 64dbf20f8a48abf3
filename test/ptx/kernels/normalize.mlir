// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.normalize: over rows with a scale, as NORM_TYPE_COLUMNS. p0, p1, ... are the sizes that a case gives, in their order.

kt.kernel @softmax_f32_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %w: !kt.tensor<[p1] x f32>):
  %r = kt.normalize softmax ins(%x, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %3 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %4 = arith.mulf %y, %3 : f32
    kt.yield %4 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @softmax_f16_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>, %w: !kt.tensor<[p1] x f16>):
  %r = kt.normalize softmax ins(%x, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

kt.kernel @softmax_f16_768 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, 768] x f16>, %w: !kt.tensor<[768] x f16>):
  %r = kt.normalize softmax ins(%x, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[768] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 768] x f16>
}

kt.kernel @log_softmax_f32_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %w: !kt.tensor<[p1] x f32>):
  %r = kt.normalize log_softmax ins(%x, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %3 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %4 = arith.mulf %y, %3 : f32
    kt.yield %4 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @log_softmax_f16_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>, %w: !kt.tensor<[p1] x f16>):
  %r = kt.normalize log_softmax ins(%x, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

kt.kernel @layer_f32_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %w: !kt.tensor<[p1] x f32>):
  %r = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %3 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %4 = arith.mulf %y, %3 : f32
    kt.yield %4 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @layer_f16_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>, %w: !kt.tensor<[p1] x f16>):
  %r = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

kt.kernel @layer_f16_768 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, 768] x f16>, %w: !kt.tensor<[768] x f16>):
  %r = kt.normalize layer ins(%x, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[768] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 768] x f16>
}

kt.kernel @rms_f32_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %w: !kt.tensor<[p1] x f32>):
  %r = kt.normalize rms ins(%x, %w : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p1] x f32>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f32>, %W: !kt.tensor<[p1] x f32>, %i: index, %j: index):
    %3 = kt.read %W[%j] : !kt.tensor<[p1] x f32> -> f32
    %4 = arith.mulf %y, %3 : f32
    kt.yield %4 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @rms_f16_p1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>, %w: !kt.tensor<[p1] x f16>):
  %r = kt.normalize rms ins(%x, %w : !kt.tensor<[p0, p1] x f16>, !kt.tensor<[p1] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, p1] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, p1] x f16>, %W: !kt.tensor<[p1] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[p1] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p1] x f16>
}

kt.kernel @rms_f16_768 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, 768] x f16>, %w: !kt.tensor<[768] x f16>):
  %r = kt.normalize rms ins(%x, %w : !kt.tensor<[p0, 768] x f16>, !kt.tensor<[768] x f16>)
      {axes = 1 : i64, epsilon = 1.0e-5 : f64}
      -> !kt.tensor<[p0, 768] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 768] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[p0, 768] x f16>, %W: !kt.tensor<[768] x f16>, %i: index, %j: index):
    %2 = kt.read %W[%j] : !kt.tensor<[768] x f16> -> f16
    %3 = arith.extf %2 : f16 to f32
    %5 = arith.mulf %y, %3 : f32
    %4 = arith.truncf %5 : f32 to f16
    kt.yield %4 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 768] x f16>
}
