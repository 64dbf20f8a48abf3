// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.reduce: along rows and columns, all of a tensor, windows. p0, p1, ... are the sizes that a case gives, in their order.

kt.kernel @rows_add_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce add over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @rows_add_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %r = kt.reduce add over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %o0: index):
    kt.yield %v : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @rows_max_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce max over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @rows_max_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %r = kt.reduce max over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %o0: index):
    kt.yield %v : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

kt.kernel @rows_min_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce min over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : f32
  }
  kt.yield %r : !kt.tensor<[p0] x f32>
}

kt.kernel @rows_min_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %r = kt.reduce min over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f16>) -> !kt.tensor<[p0] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f16>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1] x f16>, %o0: index):
    kt.yield %v : f16
  }
  kt.yield %r : !kt.tensor<[p0] x f16>
}

// The inner dimension stays.
kt.kernel @columns_add ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p1, p2] x f32>):
  %r = kt.reduce add over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1, p2] x f32>) -> !kt.tensor<[p0, p2] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1, p2] x f32>, %o0: index, %o1: index, %r0: index):
    %0 = kt.read %X[%o0, %r0, %o1] : !kt.tensor<[p0, p1, p2] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1, p2] x f32>, %o0: index, %o1: index):
    kt.yield %v : f32
  }
  kt.yield %r : !kt.tensor<[p0, p2] x f32>
}

// The first of equals, or the last; a NaN is the largest and the least.
kt.kernel @argmax_0 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmax over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%r0, %o0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p1] x i64>
}

kt.kernel @argmax_1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmax over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

kt.kernel @argmax_0_last ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmax over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f32>) {select_last} -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%r0, %o0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p1] x i64>
}

kt.kernel @argmax_1_last ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmax over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) {select_last} -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

kt.kernel @argmin_0 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmin over [#kt.expr<p0>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p1] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%r0, %o0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p1] x i64>
}

kt.kernel @argmin_1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce argmin over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x f32>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

// Everything to one number: the split form.
kt.kernel @total ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.reduce add over [#kt.expr<p0>, #kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x f32>) -> !kt.tensor<[] x f32> {
  ^bb0(%X: !kt.tensor<[p0, p1] x f32>, %r0: index, %r1: index):
    %0 = kt.read %X[%r0, %r1] : !kt.tensor<[p0, p1] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !kt.tensor<[p0, p1] x f32>):
    kt.yield %v : f32
  }
  kt.yield %r : !kt.tensor<[] x f32>
}

kt.kernel @rows_max_i64 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x i64>):
  %r = kt.reduce max over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x i64>) -> !kt.tensor<[p0] x i64> {
  ^bb0(%X: !kt.tensor<[p0, p1] x i64>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x i64> -> i64
    kt.yield %0 : i64
  } epilogue {
  ^bb0(%v: i64, %X: !kt.tensor<[p0, p1] x i64>, %o0: index):
    kt.yield %v : i64
  }
  kt.yield %r : !kt.tensor<[p0] x i64>
}

kt.kernel @rows_min_i1 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x i1>):
  %r = kt.reduce min over [#kt.expr<p1>] ins(%x : !kt.tensor<[p0, p1] x i1>) -> !kt.tensor<[p0] x i1> {
  ^bb0(%X: !kt.tensor<[p0, p1] x i1>, %o0: index, %r0: index):
    %0 = kt.read %X[%o0, %r0] : !kt.tensor<[p0, p1] x i1> -> i1
    kt.yield %0 : i1
  } epilogue {
  ^bb0(%v: i1, %X: !kt.tensor<[p0, p1] x i1>, %o0: index):
    kt.yield %v : i1
  }
  kt.yield %r : !kt.tensor<[p0] x i1>
}

// Max pooling, channels last, with padding.
kt.kernel @max_pool ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1, p1, 16] x f16>):
  %r = kt.reduce max over [#kt.expr<3>, #kt.expr<3>] ins(%x : !kt.tensor<[p0, p1, p1, 16] x f16>)
      -> !kt.tensor<[p0, (p1 + 1) floordiv 2, (p1 + 1) floordiv 2, 16] x f16> {
  ^bb0(%X: !kt.tensor<[p0, p1, p1, 16] x f16>, %n: index, %h: index, %w: index, %c: index, %i: index, %j: index):
    %two = arith.constant 2 : index
    %one = arith.constant 1 : index
    %a = arith.muli %h, %two : index
    %b = arith.muli %w, %two : index
    %d = arith.addi %a, %i : index
    %e = arith.addi %b, %j : index
    %f = arith.subi %d, %one : index
    %g = arith.subi %e, %one : index
    %z = arith.constant 0xFC00 : f16
    %0 = kt.read %X[%n, %f, %g, %c] else %z : f16 {check = array<i64: 1, 2>} : !kt.tensor<[p0, p1, p1, 16] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %X: !kt.tensor<[p0, p1, p1, 16] x f16>, %n: index, %h: index, %w: index, %c: index):
    kt.yield %v : f16
  }
  kt.yield %r : !kt.tensor<[p0, (p1 + 1) floordiv 2, (p1 + 1) floordiv 2, 16] x f16>
}
