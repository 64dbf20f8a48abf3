// RUN: kt-opt --split-input-file --kt-solve-sizes %s | FileCheck %s
// A second run changes nothing.
// RUN: kt-opt --split-input-file --kt-solve-sizes %s -o %t
// RUN: kt-opt --split-input-file --kt-solve-sizes %t | diff %t -

// A reshape to one row of 2048, and a broadcast of a multiple of 8.
// CHECK: module
// CHECK-SAME: kt.bounds = {s = array<i64: 0, 9>}
// CHECK-NEXT: func.func @pins_to_numbers(%arg0: !kt.tensor<[1, s] x f32>, %arg1: !kt.tensor<[4, 7] x f32>)
// CHECK-NEXT: return %arg0
module attributes {kt.bounds = {b = array<i64: 0, 8>, s = array<i64: 0, 9>, h = array<i64: 0, 9223372036854775807>, n = array<i64: 0, 9223372036854775807>}} {
  func.func @pins_to_numbers(%x: !kt.tensor<[b, s] x f32>, %y: !kt.tensor<[h, n] x f32>) -> !kt.tensor<[b, s] x f32> {
    kt.assert <b * 2048> equals <2048>, "elements of a reshape are equal"
    kt.assert <select(eq(1, h * 8), 1, eq(32, h * 8))> equals <1>, "dimensions broadcast"
    kt.assert <h * n> equals <h * 7>, "whatever h is"
    return %x : !kt.tensor<[b, s] x f32>
  }
}

// -----

// The later symbol is written by the earlier one, and both limits hold of it.
// CHECK: module
// CHECK-SAME: kt.bounds = {n = array<i64: 2, 5>}
// CHECK-NEXT: func.func @pins_to_other_inputs(%arg0: !kt.tensor<[n] x f32>, %arg1: !kt.tensor<[n] x f32>, %arg2: !kt.tensor<[n * 2 + 1] x f32>)
// CHECK-NEXT: kt.reshape %arg1 : <[n] x f32> -> <[n, 1] x f32>
module attributes {kt.bounds = {m = array<i64: 0, 5>, n = array<i64: 2, 8>}} {
  func.func @pins_to_other_inputs(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>, %z: !kt.tensor<[k] x f32>) -> !kt.tensor<[m, 1] x f32> {
    kt.assert <m> equals <n>, "lengths are equal"
    kt.assert <k> equals <n + m + 1>, "lengths are equal"
    %0 = kt.reshape %y : !kt.tensor<[m] x f32> -> !kt.tensor<[m, 1] x f32>
    return %0 : !kt.tensor<[m, 1] x f32>
  }
}

// -----

// A table of 128 positions.
// CHECK: module
// CHECK-SAME: kt.bounds = {s = array<i64: 0, 128>}
// CHECK-NEXT: func.func @limits(%arg0: !kt.tensor<[s] x f32>) -> !kt.tensor<[s, 1] x f32>
// CHECK-NEXT: kt.reshape %arg0 : <[s] x f32> -> <[s, 1] x f32>
// CHECK-NEXT: return
module attributes {kt.bounds = {s = array<i64: 0, 9223372036854775807>}} {
  func.func @limits(%x: !kt.tensor<[s] x f32>) -> !kt.tensor<[min(128, s), 1] x f32> {
    kt.assert <min(128, s)> equals <s>, "positions"
    %0 = kt.reshape %x : !kt.tensor<[s] x f32> -> !kt.tensor<[min(128, s), 1] x f32>
    return %0 : !kt.tensor<[min(128, s), 1] x f32>
  }
}

// -----

// What two inputs say of each other is checked first, and believed.
// CHECK: func.func @decides_a_minimum(%arg0: !kt.tensor<[s] x f32>, %arg1: !kt.tensor<[t] x f32>)
// CHECK-NEXT: kt.assert <min(s, t)> equals <s>, "no more than"
// CHECK-NEXT: kt.reshape %arg0 : <[s] x f32> -> <[s, 1] x f32>
module {
  func.func @decides_a_minimum(%x: !kt.tensor<[s] x f32>, %y: !kt.tensor<[t] x f32>) -> !kt.tensor<[min(s, t), 1] x f32> {
    %0 = kt.reshape %x : !kt.tensor<[s] x f32> -> !kt.tensor<[min(s, t), 1] x f32>
    kt.assert <min(s, t)> equals <s>, "no more than"
    return %0 : !kt.tensor<[min(s, t), 1] x f32>
  }
}

// -----

// Two unknowns in two terms, a broadcast that may be of 1, a difference that may be negative, numbers of the run, limits that contradict.
// CHECK: func.func @leaves_alone(%arg0: !kt.tensor<[b, s, h] x f32>, %arg1: !kt.tensor<[1] x i64>, %arg2: !kt.tensor<[p] x f32>)
// CHECK-COUNT-5: kt.assert
module attributes {kt.bounds = {p = array<i64: 3, 9>}} {
  func.func @leaves_alone(%x: !kt.tensor<[b, s, h] x f32>, %c: !kt.tensor<[1] x i64>, %y: !kt.tensor<[p] x f32>) -> !kt.tensor<[b, s, h] x f32> {
    kt.item %c[0] as "?n" : !kt.tensor<[1] x i64>
    kt.assert <b * s> equals <s + h>, "two unknowns"
    kt.assert <select(eq(1, h), 1, eq(32, h))> equals <1>, "dimensions broadcast"
    kt.assert <b + h> equals <5>, "a difference"
    kt.assert <?n> equals <b>, "a number of the run"
    kt.assert <p> equals <2>, "outside its limits"
    return %x : !kt.tensor<[b, s, h] x f32>
  }
}

// -----

// PyTorch's attention over a sequence of batches compares b * s with 1: a selection of one of two numbers that are the same where it is made.
// CHECK: func.func @broadcasts_of_products(%arg0: !kt.tensor<[b, s] x f32>) -> !kt.tensor<[b * s] x f32>
// CHECK-NEXT: kt.reshape %arg0 : <[b, s] x f32> -> <[b * s] x f32>
// CHECK-NEXT: return
module {
  func.func @broadcasts_of_products(%x: !kt.tensor<[b, s] x f32>) -> !kt.tensor<[select(eq(1, b * s), s, b * s)] x f32> {
    kt.assert <select(eq(1, b * s), s, b * s)> equals <s * b>, "dimensions broadcast"
    %0 = kt.reshape %x : !kt.tensor<[b, s] x f32> -> !kt.tensor<[select(eq(1, b * s), s, b * s)] x f32>
    return %0 : !kt.tensor<[select(eq(1, b * s), s, b * s)] x f32>
  }
}

// -----

// Whether s is 1 or not, b is: it is one symbol less. What s is stays open.
// CHECK: func.func @both_cases_say_the_same(%arg0: !kt.tensor<[1, s] x f32>)
// CHECK-NEXT: kt.reshape %arg0 : <[1, s] x f32> -> <[s] x f32>
module {
  func.func @both_cases_say_the_same(%x: !kt.tensor<[b, s] x f32>) -> !kt.tensor<[b * s] x f32> {
    kt.assert <select(eq(1, s), b, b * 7)> equals <select(eq(1, s), 1, 7)>, "dimensions broadcast"
    %0 = kt.reshape %x : !kt.tensor<[b, s] x f32> -> !kt.tensor<[b * s] x f32>
    return %0 : !kt.tensor<[b * s] x f32>
  }
}

// -----

// Where s is 1 the first check fails. So it is not, and h is 5.
// CHECK: func.func @a_case_that_contradicts(%arg0: !kt.tensor<[s, 5] x f32>, %arg1: !kt.tensor<[s * 2] x f32>)
module {
  func.func @a_case_that_contradicts(%x: !kt.tensor<[s, h] x f32>, %y: !kt.tensor<[n] x f32>) -> !kt.tensor<[s, h] x f32> {
    kt.assert <select(eq(1, s), 3, h)> equals <select(eq(1, s), 4, 5)>, "dimensions broadcast"
    kt.assert <s * 2> equals <n>, "lengths are equal"
    return %x : !kt.tensor<[s, h] x f32>
  }
}

// -----

// h is 6 where s is 1 and 3 where it is not: no number is right in all runs.
// CHECK: func.func @cases_that_differ(%arg0: !kt.tensor<[s, h] x f32>)
// CHECK-NEXT: kt.assert <select(eq(1, s), h, h * 2)> equals <6>
module {
  func.func @cases_that_differ(%x: !kt.tensor<[s, h] x f32>) -> !kt.tensor<[s, h] x f32> {
    kt.assert <select(eq(1, s), h, h * 2)> equals <6>, "dimensions broadcast"
    return %x : !kt.tensor<[s, h] x f32>
  }
}

// -----

// That b is not 1 contradicts the check: it is, whatever s is.
// CHECK: func.func @only_one_case_holds(%arg0: !kt.tensor<[1, s] x f32>)
// CHECK-NOT: kt.assert
module {
  func.func @only_one_case_holds(%x: !kt.tensor<[b, s] x f32>) -> !kt.tensor<[b, s] x f32> {
    kt.assert <select(eq(1, b), 2, 3)> equals <2>, "dimensions broadcast"
    return %x : !kt.tensor<[b, s] x f32>
  }
}

// -----

// h and s may both be 1 or both be 32, and t is 1 or h: what broadcasts stays what it is.
// CHECK: func.func @both_values_remain(%arg0: !kt.tensor<[h, s, t] x f32>)
// CHECK-COUNT-2: kt.assert
module {
  func.func @both_values_remain(%x: !kt.tensor<[h, s, t] x f32>) -> !kt.tensor<[h, s, t] x f32> {
    kt.assert <select(eq(1, h), 1, eq(32, h))> equals <1>, "dimensions broadcast"
    kt.assert <select(eq(1, t), 1, eq(h, t))> equals <1>, "dimensions broadcast"
    return %x : !kt.tensor<[h, s, t] x f32>
  }
}

// -----

// No run passes both: nothing is said of h, and the run is told.
// CHECK: func.func @no_case_holds(%arg0: !kt.tensor<[h, n] x f32>)
// CHECK-COUNT-3: kt.assert
module {
  func.func @no_case_holds(%x: !kt.tensor<[h, n] x f32>) -> !kt.tensor<[h, n] x f32> {
    kt.assert <select(eq(1, h), 2, 3)> equals <4>, "dimensions broadcast"
    kt.assert <select(eq(1, h), 6, 5)> equals <4>, "dimensions broadcast"
    kt.assert <select(eq(1, h), 1, eq(n, h))> equals <1>, "dimensions broadcast"
    return %x : !kt.tensor<[h, n] x f32>
  }
}

// -----

// A mask of n keys is cut to those that there are, and broadcast. That the result has as many as there are is checked first, and believed: n itself may be
// larger, or 1.
// CHECK: func.func @decides_a_choice(%arg0: !kt.tensor<[p, s] x f32>, %arg1: !kt.tensor<[n] x f32>)
// CHECK-SAME: -> !kt.tensor<[p + s, 1] x f32>
// CHECK-NEXT: kt.assert <select(eq(1, p + s), min(n, p + s), p + s)> equals <p + s>
// CHECK-NEXT: kt.assert <select(eq(1, min(n, p + s)), 1, eq(p + s, min(n, p + s)))> equals <1>
// CHECK-NEXT: kt.generic -> <[p + s, 1] x f32>
module {
  func.func @decides_a_choice(%x: !kt.tensor<[p, s] x f32>, %y: !kt.tensor<[n] x f32>)
      -> !kt.tensor<[select(eq(1, p + s), min(n, p + s), p + s), 1] x f32> {
    kt.assert <select(eq(1, min(n, p + s)), 1, eq(min(n, p + s), select(eq(1, p + s), min(n, p + s), p + s)))> equals <1>, "dimensions broadcast"
    %0 = kt.generic -> !kt.tensor<[select(eq(1, p + s), min(n, p + s), p + s), 1] x f32> {
    ^bb0(%i: index, %j: index):
      %one = arith.constant 1.0 : f32
      kt.yield %one : f32
    }
    kt.assert <select(eq(1, p + s), min(n, p + s), p + s)> equals <p + s>, "inner dimensions are equal"
    return %0 : !kt.tensor<[select(eq(1, p + s), min(n, p + s), p + s), 1] x f32>
  }
}

// -----

// Positions of what was and of what is now come from one table of 64: neither is more.
// CHECK: module
// CHECK-SAME: kt.bounds = {p = array<i64: 0, 64>, s = array<i64: 1, 9>}
// CHECK-NEXT: func.func @limits_parts_of_a_sum(%arg0: !kt.tensor<[p, s] x f32>) -> !kt.tensor<[p, s] x f32>
// CHECK-NEXT: kt.assert <min(64, p + s)> equals <p + s>
// CHECK-NEXT: kt.reshape %arg0 : <[p, s] x f32> -> <[p, s] x f32>
module attributes {kt.bounds = {p = array<i64: 0, 9223372036854775807>, s = array<i64: 1, 9>}} {
  func.func @limits_parts_of_a_sum(%x: !kt.tensor<[p, s] x f32>) -> !kt.tensor<[min(64, p), min(64, p + s) + min(64, p) * -1] x f32> {
    kt.assert <min(64, p + s)> equals <p + s>, "positions"
    %0 = kt.reshape %x : !kt.tensor<[p, s] x f32> -> !kt.tensor<[min(64, p), min(64, p + s) + min(64, p) * -1] x f32>
    return %0 : !kt.tensor<[min(64, p), min(64, p + s) + min(64, p) * -1] x f32>
  }
}

// -----

// Columns of a mask against past + s of them, which a product has to find: where past + s is 1, t is. That is checked first.
// CHECK: func.func @choices_that_products_decide(
// CHECK-NEXT: kt.assert <select(eq(1, past + s), t, past + s)> equals <past + s>, "dimensions broadcast"
// CHECK: kt.reshape %{{.*}} : <[past + s] x f32> -> <[past + s, 1] x f32>
module {
  func.func @choices_that_products_decide(%x: !kt.tensor<[past, s, 4] x f32>, %m: !kt.tensor<[t] x f32>, %sum: !kt.tensor<[past + s] x f32>) -> !kt.tensor<[select(eq(1, past + s), t, past + s), 1] x f32> {
    kt.assert <select(eq(1, t), 1, eq(t, select(eq(1, past + s), t, past + s)))> equals <1>, "dimensions broadcast"
    kt.assert <select(eq(1, select(eq(1, past + s), t, past + s)), min(t, past + s), select(eq(1, past + s), t, past + s))> equals <past + s>, "inner dimensions of a product are equal"
    %0 = kt.reshape %sum : !kt.tensor<[past + s] x f32> -> !kt.tensor<[select(eq(1, past + s), t, past + s), 1] x f32>
    return %0 : !kt.tensor<[select(eq(1, past + s), t, past + s), 1] x f32>
  }
}

// -----

// Where s is 1 there is 1 position, because a reshape further on has s rows.
// CHECK: func.func @choices_that_reshapes_decide(
// CHECK-NEXT: kt.assert <select(eq(1, s), max(0, past * -1 + t), s)> equals <s>, "dimensions broadcast"
// CHECK: kt.reshape %{{.*}} : <[s] x f32> -> <[s, 1] x f32>
module {
  func.func @choices_that_reshapes_decide(%x: !kt.tensor<[b, s] x f32>, %y: !kt.tensor<[past, t] x f32>, %z: !kt.tensor<[s] x f32>) -> !kt.tensor<[select(eq(1, s), max(0, past * -1 + t), s), 1] x f32> {
    kt.assert <b * select(eq(1, max(0, past * -1 + t)), s, max(0, past * -1 + t)) * 48> equals <b * s * 48>, "elements of a reshape are equal"
    %0 = kt.reshape %z : !kt.tensor<[s] x f32> -> !kt.tensor<[select(eq(1, s), max(0, past * -1 + t), s), 1] x f32>
    return %0 : !kt.tensor<[select(eq(1, s), max(0, past * -1 + t), s), 1] x f32>
  }
}

// -----

// Whether y broadcasts is not known: t may be anything where s is 1.
// CHECK: func.func @choices_that_nothing_decides(
// CHECK-NOT: equals <s>
// CHECK: kt.reshape %{{.*}} -> <[select(eq(1, s), t, s), 1] x f32>
module {
  func.func @choices_that_nothing_decides(%x: !kt.tensor<[s] x f32>, %y: !kt.tensor<[t] x f32>, %z: !kt.tensor<[select(eq(1, s), t, s)] x f32>) -> !kt.tensor<[select(eq(1, s), t, s), 1] x f32> {
    kt.assert <select(eq(1, t), 1, eq(t, select(eq(1, s), t, s)))> equals <1>, "dimensions broadcast"
    %0 = kt.reshape %z : !kt.tensor<[select(eq(1, s), t, s)] x f32> -> !kt.tensor<[select(eq(1, s), t, s), 1] x f32>
    return %0 : !kt.tensor<[select(eq(1, s), t, s), 1] x f32>
  }
}

// -----

// A mask's columns, t or what t broadcasts against, that a reshape makes those of past + s keys.
// CHECK: func.func @choices_that_are_sums(
// CHECK-NEXT: kt.assert <select(eq(1, t), past + s, t)> equals <past + s>, "dimensions broadcast"
// CHECK: kt.reshape %{{.*}} : <[past + s] x f32> -> <[past + s, 1] x f32>
module {
  func.func @choices_that_are_sums(%x: !kt.tensor<[b, past, s] x f32>, %m: !kt.tensor<[t] x f32>, %sum: !kt.tensor<[past + s] x f32>) -> !kt.tensor<[select(eq(1, t), past + s, t), 1] x f32> {
    kt.assert <b * select(eq(1, t), past + s, t) * 4> equals <b * past * 4 + b * s * 4>, "elements of a reshape are equal"
    %0 = kt.reshape %sum : !kt.tensor<[past + s] x f32> -> !kt.tensor<[select(eq(1, t), past + s, t), 1] x f32>
    return %0 : !kt.tensor<[select(eq(1, t), past + s, t), 1] x f32>
  }
}
