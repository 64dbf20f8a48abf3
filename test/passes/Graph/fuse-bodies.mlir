// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fuse-bodies))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fuse-bodies))' %t | diff %t -

!x = !kt.tensor<[n, 8] x f32>
!b = !kt.tensor<[8] x f32>

// CHECK-LABEL: @inlines_the_only_reader
// CHECK: %[[R:.*]] = kt.generic ins(%arg1, %arg0
// CHECK: %[[X:.*]] = kt.read
// CHECK: %[[E:.*]] = math.exp
// CHECK: arith.addf %[[E]]
// CHECK-NOT: kt.generic
// CHECK: return %[[R]]
func.func @inlines_the_only_reader(%x: !x, %b: !b) -> !x {
  %e = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%e, %b : !x, !b) -> !x {
  ^bb0(%E: !x, %B: !b, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = kt.read %B[%j] : !b -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !x
}

// Movement is free, so each reader gets its own.
// CHECK-LABEL: @movement_goes_into_every_reader
// CHECK-COUNT-2: kt.generic ins(%arg0 : !kt.tensor<[n, 8] x f32>) -> <[8, n] x f32>
// CHECK-NOT: kt.generic
// CHECK: return
func.func @movement_goes_into_every_reader(%x: !x) -> (!kt.tensor<[8, n] x f32>, !kt.tensor<[8, n] x f32>) {
  %t = kt.generic ins(%x : !x) -> !kt.tensor<[8, n] x f32> {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%j, %i] : !x -> f32
    kt.yield %0 : f32
  }
  %a = kt.generic ins(%t : !kt.tensor<[8, n] x f32>) -> !kt.tensor<[8, n] x f32> {
  ^bb0(%T: !kt.tensor<[8, n] x f32>, %i: index, %j: index):
    %0 = kt.read %T[%i, %j] : !kt.tensor<[8, n] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%t : !kt.tensor<[8, n] x f32>) -> !kt.tensor<[8, n] x f32> {
  ^bb0(%T: !kt.tensor<[8, n] x f32>, %i: index, %j: index):
    %0 = kt.read %T[%i, %j] : !kt.tensor<[8, n] x f32> -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  return %a, %b : !kt.tensor<[8, n] x f32>, !kt.tensor<[8, n] x f32>
}

// An expensive value with two readers is computed once.
// CHECK-LABEL: @leaves_expensive_shared_work_alone
// CHECK: %[[E:.*]] = kt.generic ins(%arg0
// CHECK: math.erf
// CHECK-COUNT-2: kt.generic ins(%[[E]]
func.func @leaves_expensive_shared_work_alone(%x: !x) -> (!x, !x) {
  %e = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = math.erf %0 : f32
    %2 = math.exp %1 : f32
    %3 = math.tanh %2 : f32
    kt.yield %3 : f32
  }
  %a = kt.generic ins(%e : !x) -> !x {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%e : !x) -> !x {
  ^bb0(%E: !x, %i: index, %j: index):
    %0 = kt.read %E[%i, %j] : !x -> f32
    %1 = math.absf %0 : f32
    kt.yield %1 : f32
  }
  return %a, %b : !x, !x
}

// Each element would be computed once for every row that reads it.
// CHECK-LABEL: @leaves_repeated_expensive_work_alone
// CHECK: math.erf
// CHECK: kt.yield
// CHECK: kt.generic
func.func @leaves_repeated_expensive_work_alone(%b: !b) -> !x {
  %e = kt.generic ins(%b : !b) -> !b {
  ^bb0(%B: !b, %j: index):
    %0 = kt.read %B[%j] : !b -> f32
    %1 = math.erf %0 : f32
    %2 = math.exp %1 : f32
    %3 = math.tanh %2 : f32
    kt.yield %3 : f32
  }
  %r = kt.generic ins(%e : !b) -> !x {
  ^bb0(%E: !b, %i: index, %j: index):
    %0 = kt.read %E[%j] : !b -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  return %r : !x
}

// A guarded read (padding) hands its guard to the reads of what is inlined.
// CHECK-LABEL: @guards_go_along
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: arith.select %[[IN]], %{{.*}}, %c-1
// CHECK: kt.read %{{.*}} else
// CHECK: math.absf
// CHECK: arith.select %[[IN]]
func.func @guards_go_along(%b: !b) -> !kt.tensor<[10] x f32> {
  %e = kt.generic ins(%b : !b) -> !b {
  ^bb0(%B: !b, %j: index):
    %0 = kt.read %B[%j] : !b -> f32
    %1 = math.absf %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%e : !b) -> !kt.tensor<[10] x f32> {
  ^bb0(%E: !b, %j: index):
    %one = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %at = arith.subi %j, %one : index
    %0 = kt.read %E[%at] else %zero : f32 : !b -> f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[10] x f32>
}

// What a guarded read does not ask for is not reported either.
// CHECK-LABEL: @guards_checks_of_indices
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: kt.bounded %{{.*}} below <n> site 0 when %[[IN]] {wraps} : i64
// CHECK-NOT: kt.generic
// CHECK: return
func.func @guards_checks_of_indices(%x: !kt.tensor<[n] x f32>, %i: !kt.tensor<[k] x i64>) -> !kt.tensor<[k + 2] x f32> {
  %g = kt.generic ins(%x, %i : !kt.tensor<[n] x f32>, !kt.tensor<[k] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !kt.tensor<[n] x f32>, %I: !kt.tensor<[k] x i64>, %a: index):
    %0 = kt.read %I[%a] : !kt.tensor<[k] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 0 {wraps} : i64
    %2 = kt.read %X[%1] : !kt.tensor<[n] x f32> -> f32
    kt.yield %2 : f32
  }
  %p = kt.generic ins(%g : !kt.tensor<[k] x f32>) -> !kt.tensor<[k + 2] x f32> {
  ^bb0(%G: !kt.tensor<[k] x f32>, %a: index):
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %G[%a] else %zero : f32 : !kt.tensor<[k] x f32> -> f32
    kt.yield %0 : f32
  }
  return %p : !kt.tensor<[k + 2] x f32>
}

!q = !kt.tensor<[b, 4, s, 8] x f32>
!pad = !kt.tensor<[b, s] x i64>
!mask = !kt.tensor<[b, s, s] x f32>
!view = !kt.tensor<[b, 1, s, s] x f32>
#h = affine_map<(b, h, i, d) -> (b, h, i, d)>

// However many attentions read a mask: what it is made of has fewer bytes. A view that only has another dimension of one element is no obstacle.
// CHECK-LABEL: @masks_are_made_where_they_are_read
// CHECK-NOT: kt.generic
// CHECK-COUNT-2: kt.attention {{.*}} extras(%arg1 : !kt.tensor<[b, s] x i64>)
// CHECK-NOT: kt.generic
// CHECK: return
func.func @masks_are_made_where_they_are_read(%q: !q, %p: !pad) -> !q {
  %m = kt.generic ins(%p : !pad) -> !mask {
  ^bb0(%P: !pad, %b: index, %i: index, %j: index):
    %zero = arith.constant 0 : i64
    %none = arith.constant 0.0 : f32
    %inf = arith.constant 0xFF800000 : f32
    %0 = kt.read %P[%b, %j] : !pad -> i64
    %1 = arith.cmpi ne, %0, %zero : i64
    %2 = arith.cmpi sle, %j, %i : index
    %3 = arith.index_cast %i : index to i64
    %4 = arith.cmpi sge, %3, %0 : i64
    %5 = arith.andi %1, %2 : i1
    %6 = arith.ori %5, %4 : i1
    %7 = arith.select %6, %none, %inf : f32
    kt.yield %7 : f32
  }
  %v = kt.reshape %m : !mask -> !view
  %r0 = kt.attention %q, %q, %q extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  %r1 = kt.attention %r0, %r0, %r0 extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  return %r1 : !q
}

// What it is made of is no smaller.
// CHECK-LABEL: @leaves_masks_of_large_operands_alone
// CHECK: kt.generic
// CHECK-COUNT-2: kt.attention
func.func @leaves_masks_of_large_operands_alone(%q: !q, %p: !view, %o: !view) -> !q {
  %v = kt.generic ins(%p, %o : !view, !view) -> !view {
  ^bb0(%P: !view, %O: !view, %b: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %inf = arith.constant 0xFF800000 : f32
    %0 = kt.read %P[%b, %h, %i, %j] : !view -> f32
    %1 = kt.read %O[%b, %h, %i, %j] : !view -> f32
    %2 = arith.cmpf olt, %0, %1 : f32
    %3 = arith.addf %0, %1 : f32
    %4 = arith.select %2, %3, %inf : f32
    kt.yield %4 : f32
  }
  %r0 = kt.attention %q, %q, %q extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  %r1 = kt.attention %r0, %r0, %r0 extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  return %r1 : !q
}

// A logarithm for each score is more than an element of a bias.
// CHECK-LABEL: @leaves_expensive_biases_alone
// CHECK: kt.generic
// CHECK-COUNT-2: kt.attention
func.func @leaves_expensive_biases_alone(%q: !q, %p: !pad) -> !q {
  %v = kt.generic ins(%p : !pad) -> !view {
  ^bb0(%P: !pad, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %P[%b, %j] : !pad -> i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = math.log %1 : f32
    %3 = math.exp %2 : f32
    kt.yield %3 : f32
  }
  %r0 = kt.attention %q, %q, %q extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  %r1 = kt.attention %r0, %r0, %r0 extras(%v : !view) {maps = [#h, #h, #h, #h],
        sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<8>, #kt.expr<8>], group = 1 : i64} : !q, !q, !q -> !q score {
  ^bb0(%x: f32, %M: !view, %b: index, %h: index, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %M[%b, %z, %i, %j] : !view -> f32
    %1 = arith.addf %x, %0 : f32
    kt.yield %1 : f32
  }
  return %r1 : !q
}

// Views that only some sizes allow are read as they are.
// CHECK-LABEL: @view_of_some_sizes
// CHECK: %[[V:.*]] = kt.reshape
// CHECK: kt.generic ins(%[[V]] :
// CHECK: return
func.func @view_of_some_sizes() -> !kt.tensor<[n, n] x f32> {
  %t = kt.generic -> !kt.tensor<[n * 8] x f32> {
  ^bb0(%i: index):
    %0 = arith.index_cast %i : index to i32
    %1 = arith.sitofp %0 : i32 to f32
    kt.yield %1 : f32
  }
  %v = kt.reshape %t : !kt.tensor<[n * 8] x f32> -> !kt.tensor<[n, n] x f32>
  %r = kt.generic ins(%v : !kt.tensor<[n, n] x f32>) -> !kt.tensor<[n, n] x f32> {
  ^bb0(%V: !kt.tensor<[n, n] x f32>, %i: index, %j: index):
    %0 = kt.read %V[%i, %j] : !kt.tensor<[n, n] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %r : !kt.tensor<[n, n] x f32>
}

!rows = !kt.tensor<[n, 3, 8] x f32>
!part = !kt.tensor<[n, 1, 8] x f32>

// Behind views of movements the tensor itself is read, at indices that its strides make.
// CHECK-LABEL: @reads_through_views_of_movements
// CHECK-NEXT: %[[E:.*]] = kt.normalize
// CHECK: %[[V:.*]] = kt.reshape %[[E]] : <[n, 3, 8] x f32> -> <[n, 24] x f32>
// CHECK-NEXT: kt.generic ins(%[[V]], %arg1 : !kt.tensor<[n, 24] x f32>, !kt.tensor<[n, 1, 8] x f32>) -> <[n, 1, 8] x f32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[n, 24] x f32>, %{{[^:]*}}: !kt.tensor<[n, 1, 8] x f32>, %[[I:.*]]: index, %{{.*}}: index, %[[J:.*]]: index):
// CHECK: %[[C:.*]] = arith.constant 16 : index
// CHECK: %[[AT:.*]] = arith.addi %[[J]], %[[C]]
// CHECK: kt.read %[[X]][%[[I]], %[[AT]]]
// CHECK-NOT: kt.generic
// CHECK: return
func.func @reads_through_views_of_movements(%x: !rows, %y: !part) -> !part {
  %e = kt.normalize softmax ins(%x : !rows) {axes = 1 : i64, epsilon = 0.0 : f64} -> !rows {
  ^bb0(%X: !rows, %i: index, %p: index, %j: index):
    %0 = kt.read %X[%i, %p, %j] : !rows -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %X: !rows, %i: index, %p: index, %j: index):
    kt.yield %v : f32
  }
  %s = kt.generic ins(%e : !rows) -> !x {
  ^bb0(%E: !rows, %i: index, %j: index):
    %two = arith.constant 2 : index
    %0 = kt.read %E[%i, %two, %j] : !rows -> f32
    kt.yield %0 : f32
  }
  %v = kt.reshape %s : !x -> !part
  %r = kt.generic ins(%v, %y : !part, !part) -> !part {
  ^bb0(%V: !part, %Y: !part, %i: index, %p: index, %j: index):
    %0 = kt.read %V[%i, %p, %j] : !part -> f32
    %1 = kt.read %Y[%i, %p, %j] : !part -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !part
}

!t = !kt.tensor<[4, 3] x f32>
!u = !kt.tensor<[2, 1, 3] x f32>

// Elements 5 to 10 of four rows of 3 begin inside of a row: what is read there has no indices of its own, and what makes the rows cannot be asked for them.
// CHECK-LABEL: @views_across_rows_stay
// CHECK: %[[T:.*]] = kt.generic ins(%arg0, %arg1
// CHECK: %[[F:.*]] = kt.reshape %[[T]] : <[4, 3] x f32> -> <[12] x f32>
// CHECK: kt.generic ins(%arg2, %[[F]] : !kt.tensor<[2, 1, 3] x f32>, !kt.tensor<[12] x f32>) -> <[2, 1, 3] x f32>
func.func @views_across_rows_stay(%x: !kt.tensor<[4] x f32>, %z: !kt.tensor<[3] x f32>, %y: !u) -> (!t, !u) {
  %t = kt.generic ins(%x, %z : !kt.tensor<[4] x f32>, !kt.tensor<[3] x f32>) -> !t {
  ^bb0(%X: !kt.tensor<[4] x f32>, %Z: !kt.tensor<[3] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i] : !kt.tensor<[4] x f32> -> f32
    %1 = kt.read %Z[%j] : !kt.tensor<[3] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %f = kt.reshape %t : !t -> !kt.tensor<[12] x f32>
  %s = kt.generic ins(%f : !kt.tensor<[12] x f32>) -> !kt.tensor<[6] x f32> {
  ^bb0(%X: !kt.tensor<[12] x f32>, %i: index):
    %five = arith.constant 5 : index
    %0 = arith.addi %i, %five : index
    %1 = kt.read %X[%0] : !kt.tensor<[12] x f32> -> f32
    kt.yield %1 : f32
  }
  %v = kt.reshape %s : !kt.tensor<[6] x f32> -> !u
  %r = kt.generic ins(%v, %y : !u, !u) -> !u {
  ^bb0(%V: !u, %Y: !u, %i: index, %j: index, %k: index):
    %0 = kt.read %V[%i, %j, %k] : !u -> f32
    %1 = kt.read %Y[%i, %j, %k] : !u -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %t, %r : !t, !u
}

!qkv = !kt.tensor<[b, s, 24] x f32>
!third = !kt.tensor<[b, s, 8] x f32>
!heads = !kt.tensor<[b, s, 2, 4] x f32>

// Parts of rows, seen as heads, are heads of the rows: how many rows there are does not matter. All that read some read one view.
// CHECK-LABEL: @reads_heads_of_parts
// CHECK-NEXT: %[[V:.*]] = kt.reshape %arg0 : <[b, s, 24] x f32> -> <[b, s, 6, 4] x f32>
// CHECK-NOT: kt.reshape
// CHECK: kt.generic ins(%[[V]] :
// CHECK: ^bb0({{.*}}, %{{.*}}: index, %{{.*}}: index, %[[H:.*]]: index, %{{.*}}: index):
// CHECK: %[[C:.*]] = arith.constant 2 : index
// CHECK: arith.addi %[[H]], %[[C]]
// CHECK: kt.generic ins(%[[V]] :
// CHECK: ^bb0({{.*}}, %{{.*}}: index, %{{.*}}: index, %[[G:.*]]: index, %{{.*}}: index):
// CHECK: %[[D:.*]] = arith.constant 4 : index
// CHECK: arith.addi %[[G]], %[[D]]
// CHECK: return
func.func @reads_heads_of_parts(%m: !qkv) -> (!heads, !heads) {
  %k = kt.generic ins(%m : !qkv) -> !third {
  ^bb0(%M: !qkv, %b: index, %i: index, %j: index):
    %eight = arith.constant 8 : index
    %at = arith.addi %j, %eight : index
    %0 = kt.read %M[%b, %i, %at] : !qkv -> f32
    kt.yield %0 : f32
  }
  %v = kt.generic ins(%m : !qkv) -> !third {
  ^bb0(%M: !qkv, %b: index, %i: index, %j: index):
    %sixteen = arith.constant 16 : index
    %at = arith.addi %j, %sixteen : index
    %0 = kt.read %M[%b, %i, %at] : !qkv -> f32
    kt.yield %0 : f32
  }
  %k4 = kt.reshape %k : !third -> !heads
  %v4 = kt.reshape %v : !third -> !heads
  %r = kt.generic ins(%k4 : !heads) -> !heads {
  ^bb0(%K: !heads, %b: index, %i: index, %h: index, %d: index):
    %0 = kt.read %K[%b, %i, %h, %d] : !heads -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %t = kt.generic ins(%v4 : !heads) -> !heads {
  ^bb0(%V: !heads, %b: index, %i: index, %h: index, %d: index):
    %0 = kt.read %V[%b, %i, %h, %d] : !heads -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  return %r, %t : !heads, !heads
}

!row = !kt.tensor<[n] x f32>

// What is centred is not stored for its two readers: a mean that is spread over its row could be no epilogue of the sum.
// CHECK-LABEL: @spreads_means_where_they_are_read
// CHECK: %[[M:.*]] = kt.reduce add
// CHECK: kt.reduce add over [{{.*}}] ins(%arg0, %[[M]]
// CHECK: kt.generic ins(%arg0, %[[M]]
// CHECK-NOT: kt.generic
// CHECK: return
func.func @spreads_means_where_they_are_read(%x: !x) -> (!row, !x) {
  %m = kt.reduce add over [#kt.expr<8>] ins(%x : !x) -> !row {
  ^bb0(%X: !x, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !x -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !x, %i: index):
    kt.yield %acc : f32
  }
  %c = kt.generic ins(%x, %m : !x, !row) -> !x {
  ^bb0(%X: !x, %M: !row, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %M[%i] : !row -> f32
    %2 = arith.subf %0, %1 : f32
    kt.yield %2 : f32
  }
  %v = kt.reduce add over [#kt.expr<8>] ins(%c : !x) -> !row {
  ^bb0(%C: !x, %i: index, %k: index):
    %0 = kt.read %C[%i, %k] : !x -> f32
    %1 = arith.mulf %0, %0 : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%acc: f32, %C: !x, %i: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%c : !x) -> !x {
  ^bb0(%C: !x, %i: index, %j: index):
    %0 = kt.read %C[%i, %j] : !x -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %v, %r : !row, !x
}

!head = !kt.tensor<[n, 16] x f32>
!part8 = !kt.tensor<[n, 8] x f32>
!past = !kt.tensor<[p, 8] x f32>
!all8 = !kt.tensor<[p + n, 8] x f32>

// The half of a head that is rotated is made where it is put beside the other one: it is half of all. Beside a cache that may be any part of it.
// CHECK-LABEL: @makes_parts_of_heads_where_they_are_joined
// CHECK: kt.generic ins(%arg0 : {{.*}}) -> <[n, 8] x f32>
// CHECK: kt.generic ins(%arg0 : {{.*}}) -> <[n, 16] x f32>
// CHECK-COUNT-6: arith.mulf
// CHECK: kt.generic ins(%arg1, %{{.*}}) -> <[n + p, 8] x f32>
// CHECK: return
func.func @makes_parts_of_heads_where_they_are_joined(%x: !head, %past: !past) -> (!head, !all8) {
  %a = kt.generic ins(%x : !head) -> !part8 {
  ^bb0(%X: !head, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !head -> f32
    %1 = arith.mulf %0, %0 : f32
    %2 = arith.mulf %1, %1 : f32
    %3 = arith.mulf %2, %2 : f32
    %4 = arith.mulf %3, %3 : f32
    %5 = arith.mulf %4, %4 : f32
    %6 = arith.mulf %5, %5 : f32
    kt.yield %6 : f32
  }
  %b = kt.generic ins(%x : !head) -> !part8 {
  ^bb0(%X: !head, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !head -> f32
    %1 = arith.subf %0, %0 : f32
    %2 = arith.subf %1, %0 : f32
    %3 = arith.subf %2, %0 : f32
    %4 = arith.subf %3, %0 : f32
    %5 = arith.subf %4, %0 : f32
    %6 = arith.subf %5, %0 : f32
    kt.yield %6 : f32
  }
  %r = kt.generic ins(%x, %a : !head, !part8) -> !head {
  ^bb0(%X: !head, %A: !part8, %i: index, %j: index):
    %eight = arith.constant 8 : index
    %0 = kt.read %X[%i, %j] : !head -> f32
    %at = arith.subi %j, %eight : index
    %1 = kt.read %A[%i, %at] else %0 : f32 {check = array<i64: 1>} : !part8 -> f32
    kt.yield %1 : f32
  }
  %s = kt.generic ins(%past, %b : !past, !part8) -> !all8 {
  ^bb0(%P: !past, %B: !part8, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %P[%i, %j] else %zero : f32 {check = array<i64: 0>} : !past -> f32
    %p = kt.size #kt.expr<p>
    %at = arith.subi %i, %p : index
    %1 = kt.read %B[%at, %j] else %0 : f32 {check = array<i64: 0>} : !part8 -> f32
    kt.yield %1 : f32
  }
  return %r, %s : !head, !all8
}

// What is new of a cache is computed in its window, wherever that begins: a session that keeps the rest computes nothing else.
// CHECK-LABEL: @into_its_window
// CHECK-NEXT: kt.update axis 1 {{.*}} ins(%arg0, %arg1 :
// CHECK-NEXT: ^bb0(%[[P:.*]]: !kt.tensor<[2, room, 8] x f32>, %[[M:.*]]: !kt.tensor<[seq, 6, 8] x f32>, %[[H:.*]]: index, %[[I:.*]]: index, %[[D:.*]]: index):
// CHECK: %[[NEW:.*]] = arith.subi
// CHECK: %[[IS:.*]] = arith.cmpi ult, %[[NEW]], %{{.*}} : index
// CHECK: %[[AT:.*]] = arith.select %[[IS]], %[[NEW]], %{{.*}} : index
// CHECK: kt.read %[[M]][%[[AT]],
// CHECK: arith.mulf
func.func @into_its_window(%past: !kt.tensor<[2, room, 8] x f32>, %m: !kt.tensor<[seq, 6, 8] x f32>) -> !kt.tensor<[2, more, 8] x f32> {
  %k = kt.generic ins(%m : !kt.tensor<[seq, 6, 8] x f32>) -> !kt.tensor<[seq, 2, 8] x f32> {
  ^bb0(%M: !kt.tensor<[seq, 6, 8] x f32>, %i: index, %h: index, %d: index):
    %c2 = arith.constant 2 : index
    %head = arith.addi %h, %c2 : index
    %x = kt.read %M[%i, %head, %d] : !kt.tensor<[seq, 6, 8] x f32> -> f32
    %a = math.exp %x : f32
    %b = arith.mulf %a, %x : f32
    kt.yield %b : f32
  }
  %r = kt.update axis 1 from #kt.expr<from> count #kt.expr<count> ins(%past, %k : !kt.tensor<[2, room, 8] x f32>, !kt.tensor<[seq, 2, 8] x f32>) -> !kt.tensor<[2, more, 8] x f32> {
  ^bb0(%P: !kt.tensor<[2, room, 8] x f32>, %K: !kt.tensor<[seq, 2, 8] x f32>, %h: index, %i: index, %d: index):
    %from = kt.size #kt.expr<from>
    %j = arith.addi %i, %from : index
    %zero = arith.constant 0.0 : f32
    %old = kt.read %P[%h, %j, %d] else %zero : f32 {check = array<i64: 1>} : !kt.tensor<[2, room, 8] x f32> -> f32
    %held = kt.size #kt.expr<past>
    %new = arith.subi %j, %held : index
    %x = kt.read %K[%new, %h, %d] else %old : f32 {check = array<i64: 0>} : !kt.tensor<[seq, 2, 8] x f32> -> f32
    kt.yield %x : f32
  }
  return %r : !kt.tensor<[2, more, 8] x f32>
}

// Rows that end where data says are no different, but each head's element would be computed for all of them here.
// CHECK-LABEL: @into_rows_of_a_window
// CHECK-NEXT: %[[L:.*]] = kt.generic ins(%arg2 :
// CHECK: kt.update axis 2 {{.*}} ins(%arg0, %[[L]], %arg3, %arg1 :
// CHECK: kt.yield %{{.*}}, %{{.*}} : f32, index
func.func @into_rows_of_a_window(%past: !kt.tensor<[b, 16, room, 8] x f32>, %m: !kt.tensor<[b, seq, 16, 8] x f32>, %t: !kt.tensor<[b, seq, 8] x f32>, %l: !kt.tensor<[b] x i64>) -> !kt.tensor<[b, 16, more, 8] x f32> {
  %k = kt.generic ins(%m : !kt.tensor<[b, seq, 16, 8] x f32>) -> !kt.tensor<[b, 16, seq, 8] x f32> {
  ^bb0(%M: !kt.tensor<[b, seq, 16, 8] x f32>, %n: index, %h: index, %i: index, %d: index):
    %x = kt.read %M[%n, %i, %h, %d] : !kt.tensor<[b, seq, 16, 8] x f32> -> f32
    %a = math.exp %x : f32
    %b = arith.mulf %a, %x : f32
    kt.yield %b : f32
  }
  %once = kt.generic ins(%t : !kt.tensor<[b, seq, 8] x f32>) -> !kt.tensor<[b, seq, 8] x f32> {
  ^bb0(%T: !kt.tensor<[b, seq, 8] x f32>, %n: index, %i: index, %d: index):
    %x = kt.read %T[%n, %i, %d] : !kt.tensor<[b, seq, 8] x f32> -> f32
    %a = math.exp %x : f32
    %b = arith.mulf %a, %x : f32
    kt.yield %b : f32
  }
  %r = kt.update axis 2 from #kt.expr<0> count #kt.expr<count> ins(%past, %k, %once, %l : !kt.tensor<[b, 16, room, 8] x f32>, !kt.tensor<[b, 16, seq, 8] x f32>, !kt.tensor<[b, seq, 8] x f32>, !kt.tensor<[b] x i64>) -> !kt.tensor<[b, 16, more, 8] x f32> {
  ^bb0(%P: !kt.tensor<[b, 16, room, 8] x f32>, %K: !kt.tensor<[b, 16, seq, 8] x f32>, %O: !kt.tensor<[b, seq, 8] x f32>, %L: !kt.tensor<[b] x i64>, %n: index, %h: index, %i: index, %d: index):
    %length = kt.read %L[%n] : !kt.tensor<[b] x i64> -> i64
    %at = arith.index_cast %length : i64 to index
    %j = arith.addi %i, %at : index
    %zero = arith.constant 0.0 : f32
    %old = kt.read %P[%n, %h, %j, %d] else %zero : f32 {check = array<i64: 2>} : !kt.tensor<[b, 16, room, 8] x f32> -> f32
    %new = arith.subi %j, %at : index
    %x = kt.read %K[%n, %h, %new, %d] else %old : f32 {check = array<i64: 2>} : !kt.tensor<[b, 16, seq, 8] x f32> -> f32
    %o = kt.read %O[%n, %new, %d] else %zero : f32 {check = array<i64: 1>} : !kt.tensor<[b, seq, 8] x f32> -> f32
    %s = arith.addf %x, %o : f32
    kt.yield %s, %at : f32, index
  }
  return %r : !kt.tensor<[b, 16, more, 8] x f32>
}

// Every other element twice, put side by side again: the dimension of one element that tells which is which is compared with 0.
// CHECK-LABEL: @stacked(
// CHECK-NEXT: kt.generic ins(%arg0 : !kt.tensor<[16] x f32>) -> <[8, 2] x f32>
// CHECK: ^bb0(%{{.*}}: !kt.tensor<[16] x f32>, %[[I:.*]]: index, %[[J:.*]]: index):
// CHECK: arith.cmpi eq, %[[J]], %{{.*}} : index
// CHECK: kt.yield
// CHECK-NEXT: }
// CHECK-NEXT: return
func.func @stacked(%x: !kt.tensor<[16] x f32>) -> !kt.tensor<[8, 2] x f32> {
  %even = kt.generic ins(%x : !kt.tensor<[16] x f32>) -> !kt.tensor<[8] x f32> {
  ^bb0(%t: !kt.tensor<[16] x f32>, %i: index):
    %two = arith.constant 2 : index
    %at = arith.muli %i, %two : index
    %v = kt.read %t[%at] : !kt.tensor<[16] x f32> -> f32
    kt.yield %v : f32
  }
  %odd = kt.generic ins(%x : !kt.tensor<[16] x f32>) -> !kt.tensor<[8] x f32> {
  ^bb0(%t: !kt.tensor<[16] x f32>, %i: index):
    %one = arith.constant 1 : index
    %two = arith.constant 2 : index
    %twice = arith.muli %i, %two : index
    %at = arith.addi %twice, %one : index
    %v = kt.read %t[%at] : !kt.tensor<[16] x f32> -> f32
    kt.yield %v : f32
  }
  %a = kt.reshape %even : !kt.tensor<[8] x f32> -> !kt.tensor<[8, 1] x f32>
  %b = kt.reshape %odd : !kt.tensor<[8] x f32> -> !kt.tensor<[8, 1] x f32>
  %y = kt.generic ins(%a, %b : !kt.tensor<[8, 1] x f32>, !kt.tensor<[8, 1] x f32>) -> !kt.tensor<[8, 2] x f32> {
  ^bb0(%s: !kt.tensor<[8, 1] x f32>, %t: !kt.tensor<[8, 1] x f32>, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1 : index
    %first = kt.read %s[%i, %j] else %zero : f32 {check = array<i64: 1>} : !kt.tensor<[8, 1] x f32> -> f32
    %at = arith.subi %j, %one : index
    %v = kt.read %t[%i, %at] else %first : f32 {check = array<i64: 1>} : !kt.tensor<[8, 1] x f32> -> f32
    kt.yield %v : f32
  }
  return %y : !kt.tensor<[8, 2] x f32>
}

// Neighbours that change places, one of them negated, are stacked and then seen as one dimension again: the reader finds each by its own number.
// CHECK-LABEL: @turned_neighbours(
// CHECK-NEXT: kt.generic ins(%arg0
// CHECK: ^bb0(%{{.*}}: !kt.tensor<[n, 8, 2] x f32>, %[[I:.*]]: index, %[[J:.*]]: index):
// CHECK: %[[SECOND:.*]] = arith.remui %[[J]], %c2
// CHECK: %[[PAIR:.*]] = arith.divui %[[J]], %c2
// CHECK: %[[OTHER:.*]] = arith.subi %{{.*}}, %[[SECOND]]
// CHECK: kt.read %{{.*}}[%[[I]], %[[PAIR]], %[[OTHER]]]
// CHECK: math.exp
// CHECK-NOT: kt.generic
// What is computed is not moved into its reader so.
// CHECK-LABEL: @computed_behind_a_view(
// CHECK: math.tanh
// CHECK: kt.reshape
// CHECK: kt.generic
func.func @turned_neighbours(%x: !kt.tensor<[n, 8, 2] x f32>) -> !kt.tensor<[n, 16] x f32> {
  %t = kt.generic ins(%x : !kt.tensor<[n, 8, 2] x f32>) -> !kt.tensor<[n, 8, 2] x f32> {
  ^bb0(%a: !kt.tensor<[n, 8, 2] x f32>, %i: index, %p: index, %k: index):
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %other = arith.subi %one, %k : index
    %v = kt.read %a[%i, %p, %other] : !kt.tensor<[n, 8, 2] x f32> -> f32
    %minus = arith.negf %v : f32
    %first = arith.cmpi eq, %k, %zero : index
    %y = arith.select %first, %minus, %v : f32
    kt.yield %y : f32
  }
  %r = kt.reshape %t : !kt.tensor<[n, 8, 2] x f32> -> !kt.tensor<[n, 16] x f32>
  %y = kt.generic ins(%r : !kt.tensor<[n, 16] x f32>) -> !kt.tensor<[n, 16] x f32> {
  ^bb0(%a: !kt.tensor<[n, 16] x f32>, %i: index, %j: index):
    %v = kt.read %a[%i, %j] : !kt.tensor<[n, 16] x f32> -> f32
    %e = math.exp %v : f32
    kt.yield %e : f32
  }
  return %y : !kt.tensor<[n, 16] x f32>
}
func.func @computed_behind_a_view(%x: !kt.tensor<[n, 8, 2] x f32>) -> !kt.tensor<[n, 16] x f32> {
  %t = kt.generic ins(%x : !kt.tensor<[n, 8, 2] x f32>) -> !kt.tensor<[n, 8, 2] x f32> {
  ^bb0(%a: !kt.tensor<[n, 8, 2] x f32>, %i: index, %p: index, %k: index):
    %v = kt.read %a[%i, %p, %k] : !kt.tensor<[n, 8, 2] x f32> -> f32
    %y = math.tanh %v : f32
    kt.yield %y : f32
  }
  %r = kt.reshape %t : !kt.tensor<[n, 8, 2] x f32> -> !kt.tensor<[n, 16] x f32>
  %y = kt.generic ins(%r : !kt.tensor<[n, 16] x f32>) -> !kt.tensor<[n, 16] x f32> {
  ^bb0(%a: !kt.tensor<[n, 16] x f32>, %i: index, %j: index):
    %v = kt.read %a[%i, %j] : !kt.tensor<[n, 16] x f32> -> f32
    %e = math.exp %v : f32
    kt.yield %e : f32
  }
  return %y : !kt.tensor<[n, 16] x f32>
}

// What brings about as many elements as there are into the order of a convolution computes them where it reads them, though no index is
// one of its own; where it reads each several times they stay stored.
// CHECK-LABEL: @into_what_a_convolution_reads
// CHECK: %[[R:.*]] = kt.generic ins(%{{.*}} : !kt.tensor<[n, 6] x f32>) -> <[n, 4, 2] x f32>
// CHECK: math.exp
// CHECK: kt.conv %[[R]]
func.func @into_what_a_convolution_reads(%x: !kt.tensor<[n, 6] x f32>, %w: !kt.tensor<[1, 1, 1, 2, 16] x f32>) -> !kt.tensor<[n, 4, 8] x f32> {
  %e = kt.generic ins(%x : !kt.tensor<[n, 6] x f32>) -> !kt.tensor<[n, 6] x f32> {
  ^bb0(%X: !kt.tensor<[n, 6] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 6] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%e : !kt.tensor<[n, 6] x f32>) -> !kt.tensor<[n, 4, 2] x f32> {
  ^bb0(%E: !kt.tensor<[n, 6] x f32>, %i: index, %j: index, %s: index):
    %none = arith.constant 0.0 : f32
    %two = arith.constant 2 : index
    %from = arith.muli %j, %two : index
    %at = arith.addi %from, %s : index
    %0 = kt.read %E[%i, %at] else %none : f32 {check = array<i64: 1>} : !kt.tensor<[n, 6] x f32> -> f32
    kt.yield %0 : f32
  }
  %c = kt.conv %r, %w {dilations = array<i64: 1>, groups = 1 : i64, input_dilations = array<i64: 1>, kernel = array<i64: 1>, pads = [#kt.expr<0>], strides = array<i64: 1>}
       : !kt.tensor<[n, 4, 2] x f32>, !kt.tensor<[1, 1, 1, 2, 16] x f32> -> !kt.tensor<[n, 4, 8] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index):
    kt.yield %acc : f32
  }
  return %c : !kt.tensor<[n, 4, 8] x f32>
}

// CHECK-LABEL: @leaves_what_is_read_often
// CHECK: kt.generic ins(%{{.*}} : !kt.tensor<[n, 6] x f32>) -> <[n, 6] x f32>
// CHECK: math.exp
// CHECK: kt.generic ins(%{{.*}} : !kt.tensor<[n, 6] x f32>) -> <[n, 7, 2] x f32>
func.func @leaves_what_is_read_often(%x: !kt.tensor<[n, 6] x f32>, %w: !kt.tensor<[1, 1, 1, 2, 16] x f32>) -> !kt.tensor<[n, 7, 8] x f32> {
  %e = kt.generic ins(%x : !kt.tensor<[n, 6] x f32>) -> !kt.tensor<[n, 6] x f32> {
  ^bb0(%X: !kt.tensor<[n, 6] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 6] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%e : !kt.tensor<[n, 6] x f32>) -> !kt.tensor<[n, 7, 2] x f32> {
  ^bb0(%E: !kt.tensor<[n, 6] x f32>, %i: index, %j: index, %s: index):
    %none = arith.constant 0.0 : f32
    %at = arith.addi %j, %s : index
    %0 = kt.read %E[%i, %at] else %none : f32 {check = array<i64: 1>} : !kt.tensor<[n, 6] x f32> -> f32
    kt.yield %0 : f32
  }
  %c = kt.conv %r, %w {dilations = array<i64: 1>, groups = 1 : i64, input_dilations = array<i64: 1>, kernel = array<i64: 1>, pads = [#kt.expr<0>], strides = array<i64: 1>}
       : !kt.tensor<[n, 7, 2] x f32>, !kt.tensor<[1, 1, 1, 2, 16] x f32> -> !kt.tensor<[n, 7, 8] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index):
    kt.yield %acc : f32
  }
  return %c : !kt.tensor<[n, 7, 8] x f32>
}
