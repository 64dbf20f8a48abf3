// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// Indices taken from data: the last parameter is the site that a report names.

#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bjgd = affine_map<(b, g, j, d) -> (b, j, g, d)>
#bjge = affine_map<(b, g, j, e) -> (b, j, g, e)>
#bihe = affine_map<(b, h, i, e) -> (b, i, h, e)>

// Rows of a table summed up, by indices that wrap.
kt.kernel @sum_of_rows ["p0", "p1", "p2", "p3"] computes {
^bb0(%x: !kt.tensor<[p0, 5] x f32>, %i: !kt.tensor<[p1, p2] x i64>):
  %r = kt.reduce add over [#kt.expr<p2>] ins(%x, %i : !kt.tensor<[p0, 5] x f32>, !kt.tensor<[p1, p2] x i64>) -> !kt.tensor<[p1, 5] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 5] x f32>, %I: !kt.tensor<[p1, p2] x i64>, %a: index, %c: index, %k: index):
    %0 = kt.read %I[%a, %k] : !kt.tensor<[p1, p2] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 3 {wraps} : i64
    %2 = kt.read %X[%1, %c] : !kt.tensor<[p0, 5] x f32> -> f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%s: f32, %X: !kt.tensor<[p0, 5] x f32>, %I: !kt.tensor<[p1, p2] x i64>, %a: index, %c: index):
    kt.yield %s : f32
  }
  kt.yield %r : !kt.tensor<[p1, 5] x f32>
}

// Keys that a tile has beyond the end are no numbers of data: nothing is reported for them.
kt.kernel @bounded_f16 ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 64] x f16>, %k: !kt.tensor<[p0, p2, 2, 64] x f16>, %v: !kt.tensor<[p0, p2, 2, 64] x f16>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f16>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f16>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 64] x f16>, !kt.tensor<[p0, p2, 2, 64] x f16>
      -> !kt.tensor<[p0, p1, 2, 64] x f16> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f16>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %to = kt.bounded %j below #kt.expr<p2> site 3 : index
    %1 = kt.read %M[%b, %z, %i, %to] : !kt.tensor<[p0, 1, p1, p2] x f16> -> f16
    %2 = arith.extf %1 : f16 to f32
    %3 = arith.addf %0, %2 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 64] x f16>
}

kt.kernel @bounded_f32 ["p0", "p1", "p2", "p3"] computes {
^bb0(%q: !kt.tensor<[p0, p1, 2, 64] x f32>, %k: !kt.tensor<[p0, p2, 2, 64] x f32>, %v: !kt.tensor<[p0, p2, 2, 64] x f32>,
     %m: !kt.tensor<[p0, 1, p1, p2] x f32>):
  %r = kt.attention %q, %k, %v extras(%m : !kt.tensor<[p0, 1, p1, p2] x f32>)
      {maps = [#bihd, #bjgd, #bjge, #bihe],
       sizes = [#kt.expr<p0>, #kt.expr<2>, #kt.expr<p1>, #kt.expr<p2>, #kt.expr<64>, #kt.expr<64>], group = 1 : i64}
      : !kt.tensor<[p0, p1, 2, 64] x f32>, !kt.tensor<[p0, p2, 2, 64] x f32>, !kt.tensor<[p0, p2, 2, 64] x f32>
      -> !kt.tensor<[p0, p1, 2, 64] x f32> score {
  ^bb0(%s: f32, %M: !kt.tensor<[p0, 1, p1, p2] x f32>, %b: index, %h: index, %i: index, %j: index):
    %c = arith.constant 0.125000000 : f32
    %0 = arith.mulf %s, %c : f32
    %z = arith.constant 0 : index
    %to = kt.bounded %j below #kt.expr<p2> site 3 : index
    %1 = kt.read %M[%b, %z, %i, %to] : !kt.tensor<[p0, 1, p1, p2] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p0, p1, 2, 64] x f32>
}

// Rows of a table [p0, width] at [p1] indices; the site is p2.
kt.kernel @gather_f32_8_i64 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>, %i: !kt.tensor<[p1] x i64>):
  %r = kt.generic ins(%x, %i : !kt.tensor<[p0, 8] x f32>, !kt.tensor<[p1] x i64>) -> !kt.tensor<[p1, 8] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 8] x f32>, %I: !kt.tensor<[p1] x i64>, %a: index, %b: index):
    %0 = kt.read %I[%a] : !kt.tensor<[p1] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 {wraps} : i64
    %2 = kt.read %X[%1, %b] : !kt.tensor<[p0, 8] x f32> -> f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p1, 8] x f32>
}

kt.kernel @gather_f16_16_i32 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 16] x f16>, %i: !kt.tensor<[p1] x i32>):
  %r = kt.generic ins(%x, %i : !kt.tensor<[p0, 16] x f16>, !kt.tensor<[p1] x i32>) -> !kt.tensor<[p1, 16] x f16> {
  ^bb0(%X: !kt.tensor<[p0, 16] x f16>, %I: !kt.tensor<[p1] x i32>, %a: index, %b: index):
    %0 = kt.read %I[%a] : !kt.tensor<[p1] x i32> -> i32
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 {wraps} : i32
    %2 = kt.read %X[%1, %b] : !kt.tensor<[p0, 16] x f16> -> f16
    kt.yield %2 : f16
  }
  kt.yield %r : !kt.tensor<[p1, 16] x f16>
}

kt.kernel @gather_f32_3_i64 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 3] x f32>, %i: !kt.tensor<[p1] x i64>):
  %r = kt.generic ins(%x, %i : !kt.tensor<[p0, 3] x f32>, !kt.tensor<[p1] x i64>) -> !kt.tensor<[p1, 3] x f32> {
  ^bb0(%X: !kt.tensor<[p0, 3] x f32>, %I: !kt.tensor<[p1] x i64>, %a: index, %b: index):
    %0 = kt.read %I[%a] : !kt.tensor<[p1] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 {wraps} : i64
    %2 = kt.read %X[%1, %b] : !kt.tensor<[p0, 3] x f32> -> f32
    kt.yield %2 : f32
  }
  kt.yield %r : !kt.tensor<[p1, 3] x f32>
}

// An index for each element, in vectors: every lane is looked at; `when` keeps one still.
kt.kernel @elements ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>, %i: !kt.tensor<[p1] x i64>):
  %r = kt.generic ins(%x, %i : !kt.tensor<[p0] x f32>, !kt.tensor<[p1] x i64>) -> !kt.tensor<[p1] x f32> {
  ^bb0(%X: !kt.tensor<[p0] x f32>, %I: !kt.tensor<[p1] x i64>, %a: index):
    %0 = kt.read %I[%a] : !kt.tensor<[p1] x i64> -> i64
    %c = arith.constant -100 : i64
    %z = arith.constant 0.0 : f32
    %w = arith.cmpi ne, %0, %c : i64
    %1 = kt.bounded %0 below #kt.expr<p0> site 2 when %w : i64
    %2 = kt.read %X[%1] : !kt.tensor<[p0] x f32> -> f32
    %3 = arith.select %w, %2, %z : f32
    kt.yield %3 : f32
  }
  kt.yield %r : !kt.tensor<[p1] x f32>
}

kt.kernel @scatter_site_assign_f32 ["p0", "p1", "p2", "p3"] computes {
^bb0(%b: !kt.tensor<[p0, p1, 3] x f32>, %i: !kt.tensor<[p2, 2] x i64>, %u: !kt.tensor<[p2, 3] x f32>):
  %r = kt.scatter assign %b, %i, %u {site = 3} : !kt.tensor<[p0, p1, 3] x f32>, !kt.tensor<[p2, 2] x i64>, !kt.tensor<[p2, 3] x f32>
      -> !kt.tensor<[p0, p1, 3] x f32>
  kt.yield %r : !kt.tensor<[p0, p1, 3] x f32>
}

kt.kernel @scatter_site_add_f32 ["p0", "p1", "p2", "p3"] computes {
^bb0(%b: !kt.tensor<[p0, p1, 3] x f32>, %i: !kt.tensor<[p2, 2] x i64>, %u: !kt.tensor<[p2, 3] x f32>):
  %r = kt.scatter add %b, %i, %u {site = 3} : !kt.tensor<[p0, p1, 3] x f32>, !kt.tensor<[p2, 2] x i64>, !kt.tensor<[p2, 3] x f32>
      -> !kt.tensor<[p0, p1, 3] x f32>
  kt.yield %r : !kt.tensor<[p0, p1, 3] x f32>
}

kt.kernel @scatter_site_mul_i64 ["p0", "p1", "p2", "p3"] computes {
^bb0(%b: !kt.tensor<[p0, p1, 3] x i64>, %i: !kt.tensor<[p2, 2] x i64>, %u: !kt.tensor<[p2, 3] x i64>):
  %r = kt.scatter mul %b, %i, %u {site = 3} : !kt.tensor<[p0, p1, 3] x i64>, !kt.tensor<[p2, 2] x i64>, !kt.tensor<[p2, 3] x i64>
      -> !kt.tensor<[p0, p1, 3] x i64>
  kt.yield %r : !kt.tensor<[p0, p1, 3] x i64>
}
