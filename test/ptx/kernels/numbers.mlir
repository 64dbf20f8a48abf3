// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Numbers and offsets that are parameters: what outlining makes of very many kernels. A number comes in parts of 16 bits, the offset as p2.
// number_TYPE_W: W is what the offset is known to be a multiple of.

kt.kernel @number_f32_8 ["p0", "p1", "p2", "p3", "p4"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i32
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i32
    %w1 = arith.constant 16 : i32
    %h1 = arith.shli %c1, %w1 : i32
    %v1 = arith.ori %c0, %h1 : i32
    %n = arith.bitcast %v1 : i32 to f32
    %off = kt.size <p2 * 8>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x f32> -> f32
    %y = arith.mulf %e, %n : f32
    kt.yield %y : f32
  }
  kt.yield %r : !kt.tensor<[p1] x f32>
}

kt.kernel @number_f32_1 ["p0", "p1", "p2", "p3", "p4"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i32
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i32
    %w1 = arith.constant 16 : i32
    %h1 = arith.shli %c1, %w1 : i32
    %v1 = arith.ori %c0, %h1 : i32
    %n = arith.bitcast %v1 : i32 to f32
    %off = kt.size <p2 * 1>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x f32> -> f32
    %y = arith.mulf %e, %n : f32
    kt.yield %y : f32
  }
  kt.yield %r : !kt.tensor<[p1] x f32>
}

kt.kernel @number_f64_8 ["p0", "p1", "p2", "p3", "p4", "p5", "p6"] computes {
^bb0(%x: !kt.tensor<[p0] x f64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f64>) -> !kt.tensor<[p1] x f64> {
  ^bb0(%X: !kt.tensor<[p0] x f64>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i64
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i64
    %w1 = arith.constant 16 : i64
    %h1 = arith.shli %c1, %w1 : i64
    %v1 = arith.ori %c0, %h1 : i64
    %s2 = kt.size <p5>
    %c2 = arith.index_cast %s2 : index to i64
    %w2 = arith.constant 32 : i64
    %h2 = arith.shli %c2, %w2 : i64
    %v2 = arith.ori %v1, %h2 : i64
    %s3 = kt.size <p6>
    %c3 = arith.index_cast %s3 : index to i64
    %w3 = arith.constant 48 : i64
    %h3 = arith.shli %c3, %w3 : i64
    %v3 = arith.ori %v2, %h3 : i64
    %n = arith.bitcast %v3 : i64 to f64
    %off = kt.size <p2 * 8>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x f64> -> f64
    %y = arith.mulf %e, %n : f64
    kt.yield %y : f64
  }
  kt.yield %r : !kt.tensor<[p1] x f64>
}

kt.kernel @number_f64_1 ["p0", "p1", "p2", "p3", "p4", "p5", "p6"] computes {
^bb0(%x: !kt.tensor<[p0] x f64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f64>) -> !kt.tensor<[p1] x f64> {
  ^bb0(%X: !kt.tensor<[p0] x f64>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i64
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i64
    %w1 = arith.constant 16 : i64
    %h1 = arith.shli %c1, %w1 : i64
    %v1 = arith.ori %c0, %h1 : i64
    %s2 = kt.size <p5>
    %c2 = arith.index_cast %s2 : index to i64
    %w2 = arith.constant 32 : i64
    %h2 = arith.shli %c2, %w2 : i64
    %v2 = arith.ori %v1, %h2 : i64
    %s3 = kt.size <p6>
    %c3 = arith.index_cast %s3 : index to i64
    %w3 = arith.constant 48 : i64
    %h3 = arith.shli %c3, %w3 : i64
    %v3 = arith.ori %v2, %h3 : i64
    %n = arith.bitcast %v3 : i64 to f64
    %off = kt.size <p2 * 1>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x f64> -> f64
    %y = arith.mulf %e, %n : f64
    kt.yield %y : f64
  }
  kt.yield %r : !kt.tensor<[p1] x f64>
}

kt.kernel @number_i32_8 ["p0", "p1", "p2", "p3", "p4"] computes {
^bb0(%x: !kt.tensor<[p0] x i32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i32>) -> !kt.tensor<[p1] x i32> {
  ^bb0(%X: !kt.tensor<[p0] x i32>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i32
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i32
    %w1 = arith.constant 16 : i32
    %h1 = arith.shli %c1, %w1 : i32
    %v1 = arith.ori %c0, %h1 : i32
    %off = kt.size <p2 * 8>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x i32> -> i32
    %y = arith.muli %e, %v1 : i32
    kt.yield %y : i32
  }
  kt.yield %r : !kt.tensor<[p1] x i32>
}

kt.kernel @number_i32_1 ["p0", "p1", "p2", "p3", "p4"] computes {
^bb0(%x: !kt.tensor<[p0] x i32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i32>) -> !kt.tensor<[p1] x i32> {
  ^bb0(%X: !kt.tensor<[p0] x i32>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i32
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i32
    %w1 = arith.constant 16 : i32
    %h1 = arith.shli %c1, %w1 : i32
    %v1 = arith.ori %c0, %h1 : i32
    %off = kt.size <p2 * 1>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x i32> -> i32
    %y = arith.muli %e, %v1 : i32
    kt.yield %y : i32
  }
  kt.yield %r : !kt.tensor<[p1] x i32>
}

kt.kernel @number_i64_8 ["p0", "p1", "p2", "p3", "p4", "p5", "p6"] computes {
^bb0(%x: !kt.tensor<[p0] x i64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i64>) -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0] x i64>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i64
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i64
    %w1 = arith.constant 16 : i64
    %h1 = arith.shli %c1, %w1 : i64
    %v1 = arith.ori %c0, %h1 : i64
    %s2 = kt.size <p5>
    %c2 = arith.index_cast %s2 : index to i64
    %w2 = arith.constant 32 : i64
    %h2 = arith.shli %c2, %w2 : i64
    %v2 = arith.ori %v1, %h2 : i64
    %s3 = kt.size <p6>
    %c3 = arith.index_cast %s3 : index to i64
    %w3 = arith.constant 48 : i64
    %h3 = arith.shli %c3, %w3 : i64
    %v3 = arith.ori %v2, %h3 : i64
    %off = kt.size <p2 * 8>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x i64> -> i64
    %y = arith.muli %e, %v3 : i64
    kt.yield %y : i64
  }
  kt.yield %r : !kt.tensor<[p1] x i64>
}

kt.kernel @number_i64_1 ["p0", "p1", "p2", "p3", "p4", "p5", "p6"] computes {
^bb0(%x: !kt.tensor<[p0] x i64>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x i64>) -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0] x i64>, %i: index):
    %s0 = kt.size <p3>
    %c0 = arith.index_cast %s0 : index to i64
    %s1 = kt.size <p4>
    %c1 = arith.index_cast %s1 : index to i64
    %w1 = arith.constant 16 : i64
    %h1 = arith.shli %c1, %w1 : i64
    %v1 = arith.ori %c0, %h1 : i64
    %s2 = kt.size <p5>
    %c2 = arith.index_cast %s2 : index to i64
    %w2 = arith.constant 32 : i64
    %h2 = arith.shli %c2, %w2 : i64
    %v2 = arith.ori %v1, %h2 : i64
    %s3 = kt.size <p6>
    %c3 = arith.index_cast %s3 : index to i64
    %w3 = arith.constant 48 : i64
    %h3 = arith.shli %c3, %w3 : i64
    %v3 = arith.ori %v2, %h3 : i64
    %off = kt.size <p2 * 1>
    %j = arith.addi %i, %off : index
    %e = kt.read %X[%j] : !kt.tensor<[p0] x i64> -> i64
    %y = arith.muli %e, %v3 : i64
    kt.yield %y : i64
  }
  kt.yield %r : !kt.tensor<[p1] x i64>
}
