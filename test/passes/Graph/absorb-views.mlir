// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-views))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-views))' %t | diff %t -

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#bnk = affine_map<(b, m, n, k) -> (b, n, k)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>
#id = affine_map<(b, h, i, d) -> (b, h, i, d)>

!w = !kt.tensor<[24, 16] x f32>
!n = !kt.tensor<[n, 16] x f32>
!r = !kt.tensor<[n, 24] x f32>

// One of three, behind each other in a row.
// CHECK-LABEL: @selects(
// CHECK-NEXT: kt.matmul %arg0, %arg1
// CHECK-SAME: views = [#kt.view<[n, 16] strides [48, 1] offset 16>, #kt.view<none>]
func.func @selects(%x: !kt.tensor<[n, 3, 16] x f32>, %w: !w) -> !r {
  %s = kt.generic ins(%x : !kt.tensor<[n, 3, 16] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[n, 3, 16] x f32>, %i: index, %j: index):
    %one = arith.constant 1 : index
    %0 = kt.read %X[%i, %one, %j] : !kt.tensor<[n, 3, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// Every second row from the third, and the last s of t rows.
// CHECK-LABEL: @slices_with_steps(
// CHECK-NEXT: kt.matmul %arg0, %arg1
// CHECK-SAME: views = [#kt.view<[n, 16] strides [32, 1] offset 48>, #kt.view<none>]
// CHECK: kt.matmul %arg2, %arg1
// CHECK-SAME: views = [#kt.view<[n, 16] strides [16, 1] offset past * 16>, #kt.view<none>]
func.func @slices_with_steps(%x: !kt.tensor<[n * 2 + 3, 16] x f32>, %w: !w, %y: !kt.tensor<[n + past, 16] x f32>) -> (!r, !r) {
  %s = kt.generic ins(%x : !kt.tensor<[n * 2 + 3, 16] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[n * 2 + 3, 16] x f32>, %i: index, %j: index):
    %two = arith.constant 2 : index
    %three = arith.constant 3 : index
    %0 = arith.muli %i, %two : index
    %1 = arith.addi %0, %three : index
    %2 = kt.read %X[%1, %j] : !kt.tensor<[n * 2 + 3, 16] x f32> -> f32
    kt.yield %2 : f32
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.generic ins(%y : !kt.tensor<[n + past, 16] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[n + past, 16] x f32>, %i: index, %j: index):
    %p = kt.size <past>
    %0 = arith.addi %i, %p : index
    %1 = kt.read %X[%0, %j] : !kt.tensor<[n + past, 16] x f32> -> f32
    kt.yield %1 : f32
  }
  %q = kt.matmul %t, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r, %q : !r, !r
}

// [s, b, h * d] to [b * h, s, d], as PyTorch's multi-head attention does it: the rows are b * h heads, side by side.
// CHECK-LABEL: @merges_batch_and_heads(
// CHECK-NEXT: kt.matmul %arg0, %arg0
// CHECK-SAME: views = [#kt.view<[b * 4, s, 16] strides [16, b * 64, 1] offset 0>, #kt.view<[b * 4, s, 16] strides [16, b * 64, 1] offset 0>]
func.func @merges_batch_and_heads(%x: !kt.tensor<[s, b, 64] x f32>) -> !kt.tensor<[b * 4, s, s] x f32> {
  %v = kt.reshape %x : !kt.tensor<[s, b, 64] x f32> -> !kt.tensor<[s, b * 4, 16] x f32>
  %t = kt.generic ins(%v : !kt.tensor<[s, b * 4, 16] x f32>) -> !kt.tensor<[b * 4, s, 16] x f32> {
  ^bb0(%X: !kt.tensor<[s, b * 4, 16] x f32>, %h: index, %i: index, %j: index):
    %0 = kt.read %X[%i, %h, %j] : !kt.tensor<[s, b * 4, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %t, %t {depth = #kt.expr<16>, maps = [#bmk, #bnk, #bmn]}
       : !kt.tensor<[b * 4, s, 16] x f32>, !kt.tensor<[b * 4, s, 16] x f32> -> !kt.tensor<[b * 4, s, s] x f32> epilogue {
  ^bb0(%acc: f32, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[b * 4, s, s] x f32>
}

// Merged, split and merged again on the way: nothing of it is left. The last transposition turns columns into rows.
// CHECK-LABEL: @sees_through_chains(
// CHECK-NEXT: kt.matmul %arg0, %arg1
// CHECK-SAME: views = [#kt.view<[n, 16] strides [1, n] offset 0>, #kt.view<none>]
// CHECK-NOT: kt.reshape
func.func @sees_through_chains(%x: !kt.tensor<[16, n] x f32>, %w: !w) -> !r {
  %a = kt.reshape %x : !kt.tensor<[16, n] x f32> -> !kt.tensor<[2, 8, n] x f32>
  %b = kt.generic ins(%a : !kt.tensor<[2, 8, n] x f32>) -> !kt.tensor<[n, 2, 8] x f32> {
  ^bb0(%X: !kt.tensor<[2, 8, n] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%j, %k, %i] : !kt.tensor<[2, 8, n] x f32> -> f32
    kt.yield %0 : f32
  }
  %c = kt.reshape %b : !kt.tensor<[n, 2, 8] x f32> -> !kt.tensor<[n, 4, 4] x f32>
  %d = kt.reshape %c : !kt.tensor<[n, 4, 4] x f32> -> !kt.tensor<[1, n, 16] x f32>
  %e = kt.reshape %d : !kt.tensor<[1, n, 16] x f32> -> !n
  %r = kt.matmul %e, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// A matrix for all of a batch, and one row for all rows.
// CHECK-LABEL: @expands(
// CHECK-NEXT: kt.matmul %arg0, %arg1
// CHECK-SAME: views = [#kt.view<none>, #kt.view<[b, 24, 16] strides [0, 16, 1] offset 0>]
// CHECK: kt.matmul %arg2, %arg1
// CHECK-SAME: views = [#kt.view<[n, 16] strides [0, 1] offset 0>, #kt.view<none>]
func.func @expands(%x: !kt.tensor<[b, n, 16] x f32>, %w: !w, %y: !kt.tensor<[1, 16] x f32>) -> (!kt.tensor<[b, n, 24] x f32>, !r) {
  %e = kt.generic ins(%w : !w) -> !kt.tensor<[b, 24, 16] x f32> {
  ^bb0(%X: !w, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%j, %k] : !w -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %x, %e {depth = #kt.expr<16>, maps = [#bmk, #bnk, #bmn]}
       : !kt.tensor<[b, n, 16] x f32>, !kt.tensor<[b, 24, 16] x f32> -> !kt.tensor<[b, n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %f = kt.generic ins(%y : !kt.tensor<[1, 16] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[1, 16] x f32>, %i: index, %j: index):
    %z = arith.constant 0 : index
    %0 = kt.read %X[%z, %j] : !kt.tensor<[1, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %q = kt.matmul %f, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r, %q : !kt.tensor<[b, n, 24] x f32>, !r
}

!q3 = !kt.tensor<[b, s, 96] x f16>
!q = !kt.tensor<[b, 2, s, 16] x f16>

// One product for queries, keys and values, split into three, each into heads.
// CHECK-LABEL: @three_of_one_projection(
// CHECK-NEXT: kt.attention %arg0, %arg0, %arg0
// CHECK-SAME: views = [#kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 0>, #kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 32>, #kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 64>]
func.func @three_of_one_projection(%x: !q3) -> !q {
  %parts = kt.reshape %x : !q3 -> !kt.tensor<[b, s, 3, 2, 16] x f16>
  %q = kt.generic ins(%parts : !kt.tensor<[b, s, 3, 2, 16] x f16>) -> !q {
  ^bb0(%X: !kt.tensor<[b, s, 3, 2, 16] x f16>, %b: index, %h: index, %i: index, %d: index):
    %c = arith.constant 0 : index
    %0 = kt.read %X[%b, %i, %c, %h, %d] : !kt.tensor<[b, s, 3, 2, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  // Keys are cut off before they are split.
  %k0 = kt.generic ins(%x : !q3) -> !kt.tensor<[b, s, 32] x f16> {
  ^bb0(%X: !q3, %b: index, %i: index, %d: index):
    %c = arith.constant 32 : index
    %0 = arith.addi %d, %c : index
    %1 = kt.read %X[%b, %i, %0] : !q3 -> f16
    kt.yield %1 : f16
  }
  %k1 = kt.reshape %k0 : !kt.tensor<[b, s, 32] x f16> -> !kt.tensor<[b, s, 2, 16] x f16>
  %k = kt.generic ins(%k1 : !kt.tensor<[b, s, 2, 16] x f16>) -> !q {
  ^bb0(%X: !kt.tensor<[b, s, 2, 16] x f16>, %b: index, %h: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, s, 2, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  // Values go to the front first, [3, b, h, s, d], as timm has it.
  %v0 = kt.generic ins(%parts : !kt.tensor<[b, s, 3, 2, 16] x f16>) -> !kt.tensor<[3, b, 2, s, 16] x f16> {
  ^bb0(%X: !kt.tensor<[b, s, 3, 2, 16] x f16>, %p: index, %b: index, %h: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %p, %h, %d] : !kt.tensor<[b, s, 3, 2, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  %v = kt.generic ins(%v0 : !kt.tensor<[3, b, 2, s, 16] x f16>) -> !q {
  ^bb0(%X: !kt.tensor<[3, b, 2, s, 16] x f16>, %b: index, %h: index, %i: index, %d: index):
    %c = arith.constant 2 : index
    %0 = kt.read %X[%c, %b, %h, %i, %d] : !kt.tensor<[3, b, 2, s, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  %r = kt.attention %q, %k, %v {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>]} : !q, !q, !q -> !q score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r : !q
}

!g = !kt.tensor<[b, s, 2, 16] x f16>
!h = !kt.tensor<[b, 6, s, 16] x f16>

// Two heads of keys and values, three times each.
// CHECK-LABEL: @groups_of_heads(
// CHECK-NEXT: kt.attention %arg0, %arg1, %arg2
// CHECK-SAME: group = 3 : i64
// CHECK-SAME: views = [#kt.view<none>, #kt.view<[b, 2, s, 16] strides [s * 32, 16, 32, 1] offset 0>, #kt.view<[b, 2, s, 16] strides [s * 32, 16, 32, 1] offset 0>]
func.func @groups_of_heads(%q: !h, %x: !g, %y: !g) -> !h {
  %k0 = kt.generic ins(%x : !g) -> !kt.tensor<[b, 2, 3, s, 16] x f16> {
  ^bb0(%X: !g, %b: index, %h: index, %n: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !g -> f16
    kt.yield %0 : f16
  }
  %k = kt.reshape %k0 : !kt.tensor<[b, 2, 3, s, 16] x f16> -> !h
  %v0 = kt.generic ins(%y : !g) -> !kt.tensor<[b, 2, 3, s, 16] x f16> {
  ^bb0(%X: !g, %b: index, %h: index, %n: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !g -> f16
    kt.yield %0 : f16
  }
  %v = kt.reshape %v0 : !kt.tensor<[b, 2, 3, s, 16] x f16> -> !h
  %r = kt.attention %q, %k, %v {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<6>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>]} : !h, !h, !h -> !h score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r : !h
}

// Keys are repeated three times and values have heads of their own: no group of both. The keys' heads have two modes, and stay.
// CHECK-LABEL: @groups_of_keys_alone(
// CHECK: %[[K:.*]] = kt.reshape
// CHECK: kt.attention %arg0, %[[K]], %arg2
// CHECK-SAME: group = 1 : i64
// CHECK-NOT: views
func.func @groups_of_keys_alone(%q: !h, %x: !g, %v: !h) -> !h {
  %k0 = kt.generic ins(%x : !g) -> !kt.tensor<[b, 2, 3, s, 16] x f16> {
  ^bb0(%X: !g, %b: index, %h: index, %n: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !g -> f16
    kt.yield %0 : f16
  }
  %k = kt.reshape %k0 : !kt.tensor<[b, 2, 3, s, 16] x f16> -> !h
  %r = kt.attention %q, %k, %v {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<6>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>]} : !h, !h, !h -> !h score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r : !h
}

// Two heads of keys three times and three of values twice: no group is both.
// CHECK-LABEL: @groups_that_differ(
// CHECK: %[[K:.*]] = kt.reshape
// CHECK: %[[V:.*]] = kt.reshape
// CHECK: kt.attention %arg0, %[[K]], %[[V]]
// CHECK-SAME: group = 1 : i64
// CHECK-NOT: views
func.func @groups_that_differ(%q: !h, %x: !g, %y: !kt.tensor<[b, s, 3, 16] x f16>) -> !h {
  %k0 = kt.generic ins(%x : !g) -> !kt.tensor<[b, 2, 3, s, 16] x f16> {
  ^bb0(%X: !g, %b: index, %h: index, %n: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !g -> f16
    kt.yield %0 : f16
  }
  %k = kt.reshape %k0 : !kt.tensor<[b, 2, 3, s, 16] x f16> -> !h
  %v0 = kt.generic ins(%y : !kt.tensor<[b, s, 3, 16] x f16>) -> !kt.tensor<[b, 3, 2, s, 16] x f16> {
  ^bb0(%X: !kt.tensor<[b, s, 3, 16] x f16>, %b: index, %h: index, %n: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, s, 3, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  %v = kt.reshape %v0 : !kt.tensor<[b, 3, 2, s, 16] x f16> -> !h
  %r = kt.attention %q, %k, %v {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<6>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>]} : !h, !h, !h -> !h score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r : !h
}

// One head of keys and values for all is a group too: every head's stride is 0.
// CHECK-LABEL: @one_head_for_all(
// CHECK-NEXT: kt.attention %arg0, %arg1, %arg1
// CHECK-SAME: group = 6 : i64
// CHECK-SAME: views = [#kt.view<none>, #kt.view<[b, 1, s, 16] strides [s * 16, 0, 16, 1] offset 0>, #kt.view<[b, 1, s, 16] strides [s * 16, 0, 16, 1] offset 0>]
func.func @one_head_for_all(%q: !h, %x: !kt.tensor<[b, s, 16] x f16>) -> !h {
  %k = kt.generic ins(%x : !kt.tensor<[b, s, 16] x f16>) -> !h {
  ^bb0(%X: !kt.tensor<[b, s, 16] x f16>, %b: index, %h: index, %i: index, %d: index):
    %0 = kt.read %X[%b, %i, %d] : !kt.tensor<[b, s, 16] x f16> -> f16
    kt.yield %0 : f16
  }
  %r = kt.attention %q, %k, %k {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<6>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>]} : !h, !h, !h -> !h score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r : !h
}

// Half of the channels; a packed right side is none of its business.
// CHECK-LABEL: @channels_of_a_convolution(
// CHECK-NEXT: kt.conv %arg0, %arg1
// CHECK-SAME: views = [#kt.view<[n, 9, 16] strides [288, 32, 1] offset 16>]
func.func @channels_of_a_convolution(%x: !kt.tensor<[n, 9, 32] x f16>, %w: !kt.tensor<[1, 1, 3, 16, 16] x f16>) -> !kt.tensor<[n, 7, 16] x f16> {
  %s = kt.generic ins(%x : !kt.tensor<[n, 9, 32] x f16>) -> !kt.tensor<[n, 9, 16] x f16> {
  ^bb0(%X: !kt.tensor<[n, 9, 32] x f16>, %i: index, %p: index, %c: index):
    %k = arith.constant 16 : index
    %0 = arith.addi %c, %k : index
    %1 = kt.read %X[%i, %p, %0] : !kt.tensor<[n, 9, 32] x f16> -> f16
    kt.yield %1 : f16
  }
  %r = kt.conv %s, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>, pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 9, 16] x f16>, !kt.tensor<[1, 1, 3, 16, 16] x f16> -> !kt.tensor<[n, 7, 16] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %p: index, %c: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  return %r : !kt.tensor<[n, 7, 16] x f16>
}

// Channels first: those of a position do not lie side by side.
// CHECK-LABEL: @convolutions_need_channels_side_by_side(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.conv %[[T]]
// CHECK-NOT: views
func.func @convolutions_need_channels_side_by_side(%x: !kt.tensor<[n, 16, 9] x f32>, %w: !kt.tensor<[1, 1, 3, 16, 16] x f32>) -> !kt.tensor<[n, 7, 16] x f32> {
  %s = kt.generic ins(%x : !kt.tensor<[n, 16, 9] x f32>) -> !kt.tensor<[n, 9, 16] x f32> {
  ^bb0(%X: !kt.tensor<[n, 16, 9] x f32>, %i: index, %p: index, %c: index):
    %1 = kt.read %X[%i, %c, %p] : !kt.tensor<[n, 16, 9] x f32> -> f32
    kt.yield %1 : f32
  }
  %r = kt.conv %s, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>, pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 9, 16] x f32>, !kt.tensor<[1, 1, 3, 16, 16] x f32> -> !kt.tensor<[n, 7, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %p: index, %c: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[n, 7, 16] x f32>
}

// Rows that a tensor says are not at a stride.
// CHECK-LABEL: @gathers_stay(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.matmul %[[T]]
// CHECK-NOT: views
func.func @gathers_stay(%x: !n, %rows: !kt.tensor<[n] x i64>, %w: !w) -> !r {
  %s = kt.generic ins(%x, %rows : !n, !kt.tensor<[n] x i64>) -> !n {
  ^bb0(%X: !n, %R: !kt.tensor<[n] x i64>, %i: index, %j: index):
    %0 = kt.read %R[%i] : !kt.tensor<[n] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %X[%1, %j] : !n -> f32
    kt.yield %2 : f32
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// Padding is no element of the tensor; and rows that are shifted by their number modulo something have no stride.
// CHECK-LABEL: @guarded_and_wrapped_reads_stay(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.matmul %[[T]]
// CHECK-NOT: views
// CHECK: %[[U:.*]] = kt.generic
// CHECK: kt.matmul %[[U]]
// CHECK-NOT: views
// CHECK: return
func.func @guarded_and_wrapped_reads_stay(%x: !n, %w: !w) -> (!r, !r) {
  %s = kt.generic ins(%x : !n) -> !n {
  ^bb0(%X: !n, %i: index, %j: index):
    %one = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %0 = arith.addi %i, %one : index
    %1 = kt.read %X[%0, %j] else %zero : f32 : !n -> f32
    kt.yield %1 : f32
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.generic ins(%x : !n) -> !n {
  ^bb0(%X: !n, %i: index, %j: index):
    %n = kt.size <n>
    %one = arith.constant 1 : index
    %0 = arith.addi %i, %one : index
    %1 = arith.remui %0, %n : index
    %2 = kt.read %X[%1, %j] : !n -> f32
    kt.yield %2 : f32
  }
  %q = kt.matmul %t, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r, %q : !r, !r
}

!nh = !kt.tensor<[n, 16] x f16>
!wh = !kt.tensor<[24, 16] x f16>
!rh = !kt.tensor<[n, 24] x f32>

// Copies of 16 bytes need rows that begin at a multiple of 8 elements: an offset of 3 takes that away, one of 8 does not. FP32 has no such copies.
// CHECK-LABEL: @keeps_aligned_copies(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.matmul %[[T]], %arg1
// CHECK-NOT: views
// CHECK: kt.matmul %arg0, %arg1
// CHECK-SAME: #kt.view<[n, 16] strides [32, 1] offset 8>
// CHECK: kt.matmul %arg2, %arg3
// CHECK-SAME: #kt.view<[n, 16] strides [32, 1] offset 3>
func.func @keeps_aligned_copies(%x: !kt.tensor<[n, 32] x f16>, %w: !wh, %y: !kt.tensor<[n, 32] x f32>, %u: !w) -> (!rh, !rh, !r) {
  %s = kt.generic ins(%x : !kt.tensor<[n, 32] x f16>) -> !nh {
  ^bb0(%X: !kt.tensor<[n, 32] x f16>, %i: index, %j: index):
    %c = arith.constant 3 : index
    %0 = arith.addi %j, %c : index
    %1 = kt.read %X[%i, %0] : !kt.tensor<[n, 32] x f16> -> f16
    kt.yield %1 : f16
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !nh, !wh -> !rh epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.generic ins(%x : !kt.tensor<[n, 32] x f16>) -> !nh {
  ^bb0(%X: !kt.tensor<[n, 32] x f16>, %i: index, %j: index):
    %c = arith.constant 8 : index
    %0 = arith.addi %j, %c : index
    %1 = kt.read %X[%i, %0] : !kt.tensor<[n, 32] x f16> -> f16
    kt.yield %1 : f16
  }
  %q = kt.matmul %t, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !nh, !wh -> !rh epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.generic ins(%y : !kt.tensor<[n, 32] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[n, 32] x f32>, %i: index, %j: index):
    %c = arith.constant 3 : index
    %0 = arith.addi %j, %c : index
    %1 = kt.read %X[%i, %0] : !kt.tensor<[n, 32] x f32> -> f32
    kt.yield %1 : f32
  }
  %p = kt.matmul %v, %u {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r, %q, %p : !rh, !rh, !r
}

// A transposed left side of halves would be read an element at a time.
// CHECK-LABEL: @halves_are_transposed_before(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.matmul %[[T]], %arg1
// CHECK-NOT: views
func.func @halves_are_transposed_before(%x: !kt.tensor<[16, n] x f16>, %w: !wh) -> !rh {
  %s = kt.generic ins(%x : !kt.tensor<[16, n] x f16>) -> !nh {
  ^bb0(%X: !kt.tensor<[16, n] x f16>, %i: index, %j: index):
    %1 = kt.read %X[%j, %i] : !kt.tensor<[16, n] x f16> -> f16
    kt.yield %1 : f16
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !nh, !wh -> !rh epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !rh
}

// Rows b * s of [s, b, k] are no stride apart: two modes.
// CHECK-LABEL: @several_modes_stay(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK-SAME: <[b, s, 16] x f32>
// CHECK: %[[R:.*]] = kt.reshape %[[T]]
// CHECK: kt.matmul %[[R]], %arg1
// CHECK-NOT: views
func.func @several_modes_stay(%x: !kt.tensor<[s, b, 16] x f32>, %w: !w) -> !kt.tensor<[b * s, 24] x f32> {
  %t = kt.generic ins(%x : !kt.tensor<[s, b, 16] x f32>) -> !kt.tensor<[b, s, 16] x f32> {
  ^bb0(%X: !kt.tensor<[s, b, 16] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%j, %i, %k] : !kt.tensor<[s, b, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %m = kt.reshape %t : !kt.tensor<[b, s, 16] x f32> -> !kt.tensor<[b * s, 16] x f32>
  %r = kt.matmul %m, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !kt.tensor<[b * s, 16] x f32>, !w -> !kt.tensor<[b * s, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[b * s, 24] x f32>
}

// Weights in panels stay as they are, whatever made them; the left side of such a product does not.
// CHECK-LABEL: @packed_weights_stay(
// CHECK-NEXT: %[[W:.*]] = kt.generic ins(%arg1
// CHECK: kt.matmul %arg0, %[[W]]
// CHECK-SAME: views = [#kt.view<[n, 16] strides [32, 1] offset 16>, #kt.view<none>]
func.func @packed_weights_stay(%x: !kt.tensor<[n, 2, 16] x f32>, %w: !kt.tensor<[16, 2, 16] x f32>) -> !r {
  %s = kt.generic ins(%x : !kt.tensor<[n, 2, 16] x f32>) -> !n {
  ^bb0(%X: !kt.tensor<[n, 2, 16] x f32>, %i: index, %j: index):
    %one = arith.constant 1 : index
    %0 = kt.read %X[%i, %one, %j] : !kt.tensor<[n, 2, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %t = kt.generic ins(%w : !kt.tensor<[16, 2, 16] x f32>) -> !kt.tensor<[2, 16, 16] x f32> {
  ^bb0(%X: !kt.tensor<[16, 2, 16] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%j, %i, %k] : !kt.tensor<[16, 2, 16] x f32> -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %s, %t {packed, depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !kt.tensor<[2, 16, 16] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// From the last row to the first is a step of less than nothing: views have none.
// CHECK-LABEL: @reversed_rows_stay(
// CHECK-NEXT: %[[T:.*]] = kt.generic
// CHECK: kt.matmul %[[T]], %arg1
// CHECK-NOT: views
func.func @reversed_rows_stay(%x: !n, %w: !w) -> !r {
  %s = kt.generic ins(%x : !n) -> !n {
  ^bb0(%X: !n, %i: index, %j: index):
    %last = kt.size <n + -1>
    %0 = arith.subi %last, %i : index
    %1 = kt.read %X[%0, %j] : !n -> f32
    kt.yield %1 : f32
  }
  %r = kt.matmul %s, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !n, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}
