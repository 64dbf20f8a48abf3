// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.sort, kt.scan, kt.scatter, kt.nonzero and kt.suppress. p0, p1, ... are the sizes that a case gives, in their order.

kt.kernel @sort_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r0, %r1 = kt.sort %x {descending = false} : !kt.tensor<[p0, p1] x f32> -> !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p0, p1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, p1] x f32>, !kt.tensor<[p0, p1] x i64>
}

kt.kernel @topk_f16 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f16>):
  %r0, %r1 = kt.sort %x {descending = true} : !kt.tensor<[p0, p1] x f16> -> !kt.tensor<[p0, 10] x f16>, !kt.tensor<[p0, 10] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, 10] x f16>, !kt.tensor<[p0, 10] x i64>
}

kt.kernel @sort_i64 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x i64>):
  %r0, %r1 = kt.sort %x {descending = true} : !kt.tensor<[p0, p1] x i64> -> !kt.tensor<[p0, p1] x i64>, !kt.tensor<[p0, p1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, p1] x i64>, !kt.tensor<[p0, p1] x i64>
}

kt.kernel @cumsum_f32 ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, p1] x f32> -> !kt.tensor<[p0, p1] x f32>
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @cumsum_i64_exclusive_reverse ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x i64>):
  %r = kt.scan add %x {exclusive, reverse} : !kt.tensor<[p0, p1] x i64> -> !kt.tensor<[p0, p1] x i64>
  kt.yield %r : !kt.tensor<[p0, p1] x i64>
}

kt.kernel @cumprod_f32_reverse ["p0", "p1"] computes {
^bb0(%x: !kt.tensor<[p0, p1] x f32>):
  %r = kt.scan mul %x {reverse} : !kt.tensor<[p0, p1] x f32> -> !kt.tensor<[p0, p1] x f32>
  kt.yield %r : !kt.tensor<[p0, p1] x f32>
}

kt.kernel @scatter_assign ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x f16>, %n: !kt.tensor<[p2, 1] x i64>, %u: !kt.tensor<[p2, 5, p1] x f16>):
  %r = kt.scatter assign %x, %n, %u
      : !kt.tensor<[p0, 5, p1] x f16>, !kt.tensor<[p2, 1] x i64>, !kt.tensor<[p2, 5, p1] x f16> -> !kt.tensor<[p0, 5, p1] x f16>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x f16>
}

kt.kernel @scatter_assign_2 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x i64>, %n: !kt.tensor<[p2, 2] x i64>, %u: !kt.tensor<[p2, p1] x i64>):
  %r = kt.scatter assign %x, %n, %u
      : !kt.tensor<[p0, 5, p1] x i64>, !kt.tensor<[p2, 2] x i64>, !kt.tensor<[p2, p1] x i64> -> !kt.tensor<[p0, 5, p1] x i64>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x i64>
}

kt.kernel @scatter_add ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x f32>, %n: !kt.tensor<[p2, 3] x i64>, %u: !kt.tensor<[p2] x f32>):
  %r = kt.scatter add %x, %n, %u : !kt.tensor<[p0, 5, p1] x f32>, !kt.tensor<[p2, 3] x i64>, !kt.tensor<[p2] x f32> -> !kt.tensor<[p0, 5, p1] x f32>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x f32>
}

kt.kernel @scatter_add_i32 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x i32>, %n: !kt.tensor<[p2, 3] x i64>, %u: !kt.tensor<[p2] x i32>):
  %r = kt.scatter add %x, %n, %u : !kt.tensor<[p0, 5, p1] x i32>, !kt.tensor<[p2, 3] x i64>, !kt.tensor<[p2] x i32> -> !kt.tensor<[p0, 5, p1] x i32>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x i32>
}

kt.kernel @scatter_add_f16 ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x f16>, %n: !kt.tensor<[p2, 1] x i64>, %u: !kt.tensor<[p2, 5, p1] x f16>):
  %r = kt.scatter add %x, %n, %u
      : !kt.tensor<[p0, 5, p1] x f16>, !kt.tensor<[p2, 1] x i64>, !kt.tensor<[p2, 5, p1] x f16> -> !kt.tensor<[p0, 5, p1] x f16>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x f16>
}

kt.kernel @scatter_max ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, 5, p1] x f32>, %n: !kt.tensor<[p2, 2] x i64>, %u: !kt.tensor<[p2, p1] x f32>):
  %r = kt.scatter max %x, %n, %u
      : !kt.tensor<[p0, 5, p1] x f32>, !kt.tensor<[p2, 2] x i64>, !kt.tensor<[p2, p1] x f32> -> !kt.tensor<[p0, 5, p1] x f32>
  kt.yield %r : !kt.tensor<[p0, 5, p1] x f32>
}

kt.kernel @nonzero ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x i1>):
  %r0, %r1 = kt.nonzero %x : !kt.tensor<[p0] x i1> -> !kt.tensor<[p0] x i64>, !kt.tensor<[1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0] x i64>, !kt.tensor<[1] x i64>
}

// p0 batches, p1 classes, p2 boxes.
kt.kernel @suppress ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p2, 4] x f32>, %s: !kt.tensor<[p0, p1, p2] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>,
     %l: !kt.tensor<[1] x f32>):
  %r0, %r1 = kt.suppress %x, %s, %m, %o above %l : !kt.tensor<[1] x f32> : !kt.tensor<[p0, p2, 4] x f32>, !kt.tensor<[p0, p1, p2] x f32>,
      !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>
}

kt.kernel @suppress_all ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p2, 4] x f32>, %s: !kt.tensor<[p0, p1, p2] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>):
  %r0, %r1 = kt.suppress %x, %s, %m, %o : !kt.tensor<[p0, p2, 4] x f32>, !kt.tensor<[p0, p1, p2] x f32>, !kt.tensor<[1] x i64>,
      !kt.tensor<[1] x f32> -> !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, p1, p2] x i64>, !kt.tensor<[p0, p1] x i64>
}

kt.kernel @suppress_centred ["p0", "p1", "p2"] computes {
^bb0(%x: !kt.tensor<[p0, p2, 4] x f32>, %s: !kt.tensor<[p0, p1, p2] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>,
     %l: !kt.tensor<[1] x f32>):
  %r0, %r1 = kt.suppress %x, %s, %m, %o above %l : !kt.tensor<[1] x f32> {centred} : !kt.tensor<[p0, p2, 4] x f32>, !kt.tensor<[p0, p1, p2] x f32>,
      !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[p0, p1, 7] x i64>, !kt.tensor<[p0, p1] x i64>
  kt.yield %r0, %r1 : !kt.tensor<[p0, p1, 7] x i64>, !kt.tensor<[p0, p1] x i64>
}
