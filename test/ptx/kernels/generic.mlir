// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.generic: what moves elements, merges dimensions and converts. p0, p1, ... are the sizes that a case gives, in their order.

kt.kernel @add_bias_f32 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>, %b: !kt.tensor<[8] x f32>):
  %r = kt.generic ins(%x, %b : !kt.tensor<[p0, 8] x f32>, !kt.tensor<[8] x f32>) -> !kt.tensor<[p0, 8] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 8] x f32>, %B: !kt.tensor<[8] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 8] x f32> -> f32
    %1 = kt.read %B[%j] : !kt.tensor<[8] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 8] x f32>
}

kt.kernel @add_bias_f16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f16>, %b: !kt.tensor<[8] x f16>):
  %r = kt.generic ins(%x, %b : !kt.tensor<[p0, 8] x f16>, !kt.tensor<[8] x f16>) -> !kt.tensor<[p0, 8] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 8] x f16>, %B: !kt.tensor<[8] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 8] x f16> -> f16
    %1 = kt.read %B[%j] : !kt.tensor<[8] x f16> -> f16
    %2 = arith.addf %0, %1 : f16
    kt.yield %2 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 8] x f16>
}

kt.kernel @add_bias_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x bf16>, %b: !kt.tensor<[8] x bf16>):
  %r = kt.generic ins(%x, %b : !kt.tensor<[p0, 8] x bf16>, !kt.tensor<[8] x bf16>) -> !kt.tensor<[p0, 8] x bf16> {
  ^bb0(%X: !kt.tensor<[p0, 8] x bf16>, %B: !kt.tensor<[8] x bf16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[p0, 8] x bf16> -> bf16
    %1 = kt.read %B[%j] : !kt.tensor<[8] x bf16> -> bf16
    %2 = arith.addf %0, %1 : bf16
    kt.yield %2 : bf16
  }
  kt.yield %r : !kt.tensor<[p0, 8] x bf16>
}

// Fully merged with a partial last vector, and a comparison to booleans.
kt.kernel @less ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1, 3] x f32>, %y: !kt.tensor<[p0, p1, 3] x f32>):
  %r = kt.generic ins(%x, %y : !kt.tensor<[p0, p1, 3] x f32>, !kt.tensor<[p0, p1, 3] x f32>) -> !kt.tensor<[p0, p1, 3] x i1> {
  ^bb0(%X: !kt.tensor<[p0, p1, 3] x f32>, %Y: !kt.tensor<[p0, p1, 3] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %j, %k] : !kt.tensor<[p0, p1, 3] x f32> -> f32
    %1 = kt.read %Y[%i, %j, %k] : !kt.tensor<[p0, p1, 3] x f32> -> f32
    %2 = arith.cmpf olt, %0, %1 : f32
    kt.yield %2 : i1
  }
  kt.yield %r : !kt.tensor<[p0, p1, 3] x i1>
}

// Transposition with a symbolic inner dimension.
kt.kernel @transpose_f32 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, p2] x f32>) -> !kt.tensor<[p0, p2, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %k, %j] : !kt.tensor<[p0, p1, p2] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p2, p1] x f32>
}

kt.kernel @transpose_f16 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1, p2] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, p2] x f16>) -> !kt.tensor<[p0, p2, p1] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f16>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %k, %j] : !kt.tensor<[p0, p1, p2] x f16> -> f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, p2, p1] x f16>
}

kt.kernel @transpose_i8 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1, p2] x i8>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, p2] x i8>) -> !kt.tensor<[p0, p2, p1] x i8> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x i8>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %k, %j] : !kt.tensor<[p0, p1, p2] x i8> -> i8
    kt.yield %0 : i8
  }
  kt.yield %r : !kt.tensor<[p0, p2, p1] x i8>
}

// Heads: [b, s, h, 64] -> [b, h, s, 64] keeps the inner dimension.
kt.kernel @heads ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1, 4, 64] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1, 4, 64] x f16>) -> !kt.tensor<[p0, 4, p1, 64] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1, 4, 64] x f16>, %b: index, %h: index, %s: index, %d: index):
    %0 = kt.read %X[%b, %s, %h, %d] : !kt.tensor<[p0, p1, 4, 64] x f16> -> f16
    kt.yield %0 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 4, p1, 64] x f16>
}

// Concatenation along the inner dimension: guarded reads with offsets.
kt.kernel @concat_8_16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f16>, %y: !kt.tensor<[p0, 16] x f16>):
  %r = kt.generic ins(%x, %y : !kt.tensor<[p0, 8] x f16>, !kt.tensor<[p0, 16] x f16>) -> !kt.tensor<[p0, 24] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 8] x f16>, %Y: !kt.tensor<[p0, 16] x f16>, %i: index, %j: index):
    %c = arith.constant 8 : index
    %q = arith.subi %j, %c : index
    %z = arith.constant 0.0 : f16
    %0 = kt.read %Y[%i, %q] else %z : f16 {check = array<i64: 1>} : !kt.tensor<[p0, 16] x f16> -> f16
    %1 = kt.read %X[%i, %j] else %0 : f16 {check = array<i64: 1>} : !kt.tensor<[p0, 8] x f16> -> f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 24] x f16>
}

kt.kernel @concat_5_6 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 5] x f16>, %y: !kt.tensor<[p0, 6] x f16>):
  %r = kt.generic ins(%x, %y : !kt.tensor<[p0, 5] x f16>, !kt.tensor<[p0, 6] x f16>) -> !kt.tensor<[p0, 11] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 5] x f16>, %Y: !kt.tensor<[p0, 6] x f16>, %i: index, %j: index):
    %c = arith.constant 5 : index
    %q = arith.subi %j, %c : index
    %z = arith.constant 0.0 : f16
    %0 = kt.read %Y[%i, %q] else %z : f16 {check = array<i64: 1>} : !kt.tensor<[p0, 6] x f16> -> f16
    %1 = kt.read %X[%i, %j] else %0 : f16 {check = array<i64: 1>} : !kt.tensor<[p0, 5] x f16> -> f16
    kt.yield %1 : f16
  }
  kt.yield %r : !kt.tensor<[p0, 11] x f16>
}

// Rows by an i64 tensor, with a symbolic inner dimension.
kt.kernel @gather ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>, %n: !kt.tensor<[p2] x i64>):
  %r = kt.generic ins(%x, %n : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p2] x i64>) -> !kt.tensor<[p2, p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %N: !kt.tensor<[p2] x i64>, %i: index, %j: index):
    %0 = kt.read %N[%i] : !kt.tensor<[p2] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %X[%1, %j] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p2, p1] x f32>
}

// Padding by one of 7.
kt.kernel @pad ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0 + 2, p1 + 2] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %i: index, %j: index):
    %c = arith.constant 1 : index
    %a = arith.subi %i, %c : index
    %b = arith.subi %j, %c : index
    %z = arith.constant 7.0 : f32
    %0 = kt.read %X[%a, %b] else %z : f32 : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  }
  kt.yield %r : !kt.tensor<[p0 + 2, p1 + 2] x f32>
}

kt.kernel @to_bf16 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x i32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i32>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x i32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x i32> -> i32
    %1 = arith.sitofp %0 : i32 to bf16
    kt.yield %1 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @bf16_to_i64 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = arith.fptosi %0 : bf16 to i64
    kt.yield %1 : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

kt.kernel @f16_to_f64 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f16>) -> !kt.tensor<[p0] x f64> {
  ^bb0(%X: !kt.tensor<[p0] x f16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f16> -> f16
    %1 = arith.extf %0 : f16 to f64
    kt.yield %1 : f64
  }
  kt.yield %r : !kt.tensor<[p0] x f64>
}

kt.kernel @bf16_ops ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x bf16>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x bf16>) -> !kt.tensor<[p0] x bf16> {
  ^bb0(%X: !kt.tensor<[p0] x bf16>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x bf16> -> bf16
    %1 = arith.mulf %0, %0 : bf16
    %2 = arith.maximumf %1, %0 : bf16
    %3 = arith.divf %2, %1 : bf16
    kt.yield %3 : bf16
  }
  kt.yield %r : !kt.tensor<[p0] x bf16>
}

kt.kernel @remainder ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = arith.constant 0.75 : f32
    %2 = arith.remf %0, %1 : f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @power ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f32> -> f32
    %1 = math.absf %0 : f32
    %2 = math.powf %1, %0 : f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @power_f64 ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f64>) -> !kt.tensor<[p0] x f64> {
  ^bb0(%X: !kt.tensor<[p0] x f64>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x f64> -> f64
    %1 = math.absf %0 : f64
    %2 = math.powf %1, %0 : f64
    kt.yield %2 : f64
  }
  kt.yield %r : !kt.tensor<[p0] x f64>
}

kt.kernel @whole_power ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x i64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i64>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0] x i64>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x i64> -> i64
    %1 = arith.constant 7 : i64
    %2 = arith.andi %0, %1 : i64
    %3 = math.ipowi %0, %2 : i64
    kt.yield %3 : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

kt.kernel @negative ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x i8>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i8>) -> !kt.tensor<[p0] x i32> {
  ^bb0(%X: !kt.tensor<[p0] x i8>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x i8> -> i8
    %1 = arith.extsi %0 : i8 to i32
    kt.yield %1 : i32
  }
  kt.yield %r : !kt.tensor<[p0] x i32>
}

kt.kernel @bits ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x i1>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i1>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x i1>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[p0] x i1> -> i1
    %1 = arith.uitofp %0 : i1 to f32
    kt.yield %1 : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @scalar [] computes {
^bb0(%x: !kt.tensor<[] x i64>):
  %r = kt.generic ins(%x : !kt.tensor<[] x i64>) -> !kt.tensor<[] x i64> {
  ^bb0(%X: !kt.tensor<[] x i64>):
    %0 = kt.read %X[] : !kt.tensor<[] x i64> -> i64
    %1 = arith.muli %0, %0 : i64
    kt.yield %1 : i64
  }
  kt.yield %r : !kt.tensor<[] x i64>
}
