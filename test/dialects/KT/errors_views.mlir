// What verifiers say of views.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @one_for_each_factor(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected 2 views but got 1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @one_for_each_factor_only(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected 2 views but got 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<none>, #kt.view<none>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @convolutions_have_one(%x: !kt.tensor<[n, 9, 32] x f32>, %w: !kt.tensor<[1, 1, 3, 16, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 view but got 2}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>, pads = [#kt.expr<0>], groups = 1 : i64,
       views = [#kt.view<none>, #kt.view<none>]} : !kt.tensor<[n, 9, 32] x f32>, !kt.tensor<[1, 1, 3, 16, 16] x f32> -> !kt.tensor<[n, 7, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %p: index, %c: index):
    kt.yield %acc : f32
  }
  return
}

// -----

#id = affine_map<(b, h, i, d) -> (b, h, i, d)>

func.func @attention_has_three(%x: !kt.tensor<[b, s, 96] x f32>) {
  // expected-error @+1 {{'kt.attention' op expected 3 views but got 2}}
  %r = kt.attention %x, %x, %x {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>],
       views = [#kt.view<none>, #kt.view<none>]}
       : !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32> -> !kt.tensor<[b, 2, s, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return
}

// -----

func.func @a_stride_for_each_dimension(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       // expected-error @+1 {{expected a stride for each of 2 dimensions but got 1}}
       views = [#kt.view<[n, 16] strides [32] offset 0>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @as_many_dimensions_as_the_map(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op map 0 has 2 results but its tensor has 3 dimensions}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 2, 8] strides [32, 8, 1] offset 0>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @dimensions_of_the_product(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 1 of lhs to be 16 but got 8}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 8] strides [32, 1] offset 0>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @rows_of_the_product(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of rhs to be 24 but got 25}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset 0>, #kt.view<[25, 16] strides [8, 1] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @strides_go_forward(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected view 0 to have no negative dimension or stride but got #kt.view<[n, 16] strides [-32, 1] offset n * 32 + -32>}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [-32, 1] offset n * 32 + -32>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @dimensions_count(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected view 1 to have no negative dimension or stride but got #kt.view<[24, -1] strides [16, 1] offset 0>}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<none>, #kt.view<[24, -1] strides [16, 1] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @views_start_inside(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected view 0 to start at 0 or later but got -1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset -1>, #kt.view<none>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @views_end_inside(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op view 1 reaches element 384 of a tensor that has 384}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset 0>, #kt.view<[24, 16] strides [16, 1] offset 1>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @steps_end_inside(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op view 1 reaches element 398 of a tensor that has 384}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset 0>, #kt.view<[24, 16] strides [16, 2] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @elements_can_be_counted(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[24, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected view 1 to reach elements that can be counted but got}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[n, 16] strides [32, 1] offset 0>, #kt.view<[24, 16] strides [4611686018427387904, 1] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[24, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @packed_weights_are_themselves(%a: !kt.tensor<[n, 32] x f32>, %b: !kt.tensor<[2, 16, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected packed weights themselves but got a view of them}}
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       packed, views = [#kt.view<[n, 16] strides [32, 1] offset 0>, #kt.view<[2, 16, 16] strides [16, 32, 1] offset 0>]} : !kt.tensor<[n, 32] x f32>, !kt.tensor<[2, 16, 16] x f32> -> !kt.tensor<[n, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @channels_lie_side_by_side(%x: !kt.tensor<[n, 9, 32] x f32>, %w: !kt.tensor<[1, 1, 3, 16, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected the channels of a position to lie side by side}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>, pads = [#kt.expr<0>], groups = 1 : i64,
       views = [#kt.view<[n, 9, 16] strides [288, 32, 2] offset 0>]} : !kt.tensor<[n, 9, 32] x f32>, !kt.tensor<[1, 1, 3, 16, 16] x f32> -> !kt.tensor<[n, 7, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %p: index, %c: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @convolutions_have_their_rank(%x: !kt.tensor<[n, 9, 32] x f32>, %w: !kt.tensor<[1, 1, 3, 16, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected the result to have rank 4 but got 3}}
  %r = kt.conv %x, %w {kernel = array<i64: 3, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>, pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64,
       views = [#kt.view<[n, 3, 3, 16] strides [288, 96, 32, 1] offset 0>]} : !kt.tensor<[n, 9, 32] x f32>, !kt.tensor<[1, 1, 3, 16, 16] x f32> -> !kt.tensor<[n, 7, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %p: index, %c: index):
    kt.yield %acc : f32
  }
  return
}

// -----

#id = affine_map<(b, h, i, d) -> (b, h, i, d)>

func.func @attention_has_four_dimensions(%x: !kt.tensor<[b, s, 96] x f32>) {
  // expected-error @+1 {{'kt.attention' op expected map 1 to be a permutation of 4 dimensions}}
  %r = kt.attention %x, %x, %x {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>],
       views = [#kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 0>, #kt.view<[b * 2, s, 16] strides [s * 48, 96, 1] offset 32>, #kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 64>]}
       : !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32> -> !kt.tensor<[b, 2, s, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return
}

// -----

#id = affine_map<(b, h, i, d) -> (b, h, i, d)>

func.func @attention_reads_its_sizes(%x: !kt.tensor<[b, s, 96] x f32>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 1 of value to be 2 but got 1}}
  %r = kt.attention %x, %x, %x {group = 1 : i64, maps = [#id, #id, #id, #id],
       sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<s>, #kt.expr<s>, #kt.expr<16>, #kt.expr<16>],
       views = [#kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 0>, #kt.view<[b, 2, s, 16] strides [s * 96, 16, 96, 1] offset 32>, #kt.view<[b, 1, s, 16] strides [s * 96, 16, 96, 1] offset 64>]}
       : !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32>, !kt.tensor<[b, s, 96] x f32> -> !kt.tensor<[b, 2, s, 16] x f32> score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return
}

// -----

// Nothing is read of what has no elements, and what repeats does not reach further.
func.func @empty_and_repeated(%a: !kt.tensor<[1, 16] x f32>, %b: !kt.tensor<[0, 16] x f32>) {
  %r = kt.matmul %a, %b {depth = #kt.expr<16>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       views = [#kt.view<[7, 16] strides [0, 1] offset 0>, #kt.view<[0, 16] strides [16, 1] offset 32>]}
       : !kt.tensor<[1, 16] x f32>, !kt.tensor<[0, 16] x f32> -> !kt.tensor<[7, 0] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}
