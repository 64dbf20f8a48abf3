// What verifiers of products, convolutions and attention say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @matmul_has_three_maps(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected 3 maps but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_has_m_n_and_k(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected an iteration space of at least 3 dimensions but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (k, m)>, affine_map<(m, k) -> (m, k)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_result_is_without_k(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected the result to have every dimension but k}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, k)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_lhs_has_m_and_k(%a: !kt.tensor<[m, n] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected map 0 to have dimensions 0 and 2 and not 1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, n)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, n] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_rhs_has_n_and_k(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected map 1 to have dimensions 1 and 2 and not 0}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_maps_have_no_symbols(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected map 0 to be a projected permutation of 3 dimensions}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k)[s] -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_lhs_has_the_rows(%a: !kt.tensor<[5, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of lhs to be 4 but got 5}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[5, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[4, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_rhs_has_the_columns(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n + 1] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 1 of rhs to be n but got n + 1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n + 1] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_lhs_has_the_depth(%a: !kt.tensor<[m, 7] x f32>, %b: !kt.tensor<[8, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 1 of lhs to be 8 but got 7}}
  %r = kt.matmul %a, %b {depth = #kt.expr<8>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, 7] x f32>, !kt.tensor<[8, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_rhs_has_the_depth(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k * 2 + 3, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of rhs to be k but got k * 2 + 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k * 2 + 3, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_batches_agree(%a: !kt.tensor<[2, m, k] x f32>, %b: !kt.tensor<[3, k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of rhs to be 2 but got 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, k, n)>, affine_map<(b, m, n, k) -> (b, m, n)>]}
       : !kt.tensor<[2, m, k] x f32>, !kt.tensor<[3, k, n] x f32> -> !kt.tensor<[2, m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_depth_is_a_number(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected a depth of 0 or more but got -1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<-1>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_packed_map(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[2, 64, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected map 1 of packed weights to be affine_map<(d0, d1, d2) -> (d1, d2)> but got affine_map<(d0, d1, d2) -> (d2, d1)>}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], packed}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[2, 64, 16] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_packed_columns(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[2, 64, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of packed weights to be 3 but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[2, 64, 16] x f32> -> !kt.tensor<[m, 33] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_parts_are_two_at_most(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[6, 64, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected 1 part, or up to 2 of packed weights, but got 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed, parts = 3 : i64}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[6, 64, 16] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc0: f32, %acc1: f32, %acc2: f32, %i0: index, %i1: index):
    kt.yield %acc0 : f32
  }
  return
}

// -----

func.func @matmul_parts_are_packed(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[64, 32] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected 1 part, or up to 2 of packed weights, but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], parts = 2 : i64}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[64, 32] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc0: f32, %acc1: f32, %i0: index, %i1: index):
    kt.yield %acc0 : f32
  }
  return
}

// -----

func.func @matmul_parts_have_panels_each(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[3, 64, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 0 of packed weights to be 6 but got 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed, parts = 2 : i64}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[3, 64, 16] x f32> -> !kt.tensor<[m, 33] x f32> epilogue {
  ^bb0(%acc0: f32, %acc1: f32, %i0: index, %i1: index):
    kt.yield %acc0 : f32
  }
  return
}

// -----

func.func @matmul_parts_accumulate_each(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[4, 64, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op epilogue expected 4 arguments but got 3}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed, parts = 2 : i64}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[4, 64, 16] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_packed_depth(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[2, 63, 16] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected dimension 1 of packed weights to be 64 but got 63}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[2, 63, 16] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_factors_accumulate_alike(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x i8>) {
  // expected-error @+1 {{'kt.matmul' op expected factors that accumulate in 'f32' but got 'f32' and 'i8'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x i8> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_integers_accumulate_alike(%a: !kt.tensor<[m, k] x i8>, %b: !kt.tensor<[k, n] x i64>) {
  // expected-error @+1 {{'kt.matmul' op expected factors that accumulate in 'i32' but got 'i8' and 'i64'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x i8>, !kt.tensor<[k, n] x i64> -> !kt.tensor<[m, n] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index):
    kt.yield %acc : i32
  }
  return
}

// -----

func.func @matmul_packed_weights_convert(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[2, 64, 16] x i32>) {
  // expected-error @+1 {{'kt.matmul' op expected factors that accumulate in 'f32' but got 'f32' and 'i32'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[2, 64, 16] x i32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_epilogue_takes_the_sum(%a: !kt.tensor<[m, k] x f16>, %b: !kt.tensor<[k, n] x f16>) {
  // expected-error @+1 {{'kt.matmul' op epilogue argument 0 expected 'f32' but got 'f16'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f16>, !kt.tensor<[k, n] x f16> -> !kt.tensor<[m, n] x f16> epilogue {
  ^bb0(%acc: f16, %i0: index, %i1: index):
    kt.yield %acc : f16
  }
  return
}

// -----

func.func @matmul_epilogue_takes_its_indices(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op epilogue expected 3 arguments but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_epilogue_indices(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op epilogue argument 2 expected 'index' but got 'i64'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: i64):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @body_holds_scalars(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  %r = kt.matmul %a, %b {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    // expected-error @+1 {{'arith.constant' op expected a scalar in the epilogue of a kt.matmul but got 'vector<2xf32>'}}
    %v = arith.constant dense<0.0> : vector<2xf32>
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_has_spatial_dimensions(%x: !kt.tensor<[n, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 to 3 spatial dimensions but got 0}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_result_has_the_rank(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected the result to have rank 3 but got 4}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 1, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_has_a_kernel_size_a_dimension(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 positive numbers in kernel but got [3, 1]}}
  %r = kt.conv %x, %w {kernel = array<i64: 3, 1>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_dilations_are_positive(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 positive numbers in dilations but got [-1]}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: -1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_input_dilations_are_positive(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 positive numbers in input_dilations but got [0]}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 0>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_has_a_pad_a_dimension(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 pads but got 2}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_pads_are_expressions(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op attribute 'pads' failed to satisfy constraint: array of expressions}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [0 : i64], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_has_groups(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected at least one group but got 0}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 0 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_taps_are_countable(%x: !kt.tensor<[n, 8, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected a kernel whose taps can be counted but got [4294967296, 4294967296]}}
  %r = kt.conv %x, %w {kernel = array<i64: 4294967296, 4294967296>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index, %i3: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_weights_are_packed(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 8] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected packed weights [groups, panels, taps, channels, 16] but got '!kt.tensor<[1, 1, 3, 4, 8] x f32>'}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 8] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_weights_have_the_groups(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[3, 1, 3, 2, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected packed weights of 2 groups but got '!kt.tensor<[3, 1, 3, 2, 16] x f32>'}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 2 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[3, 1, 3, 2, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_groups_divide_the_channels(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 3 groups to divide the input channels but got 4}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 3 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_groups_divide_the_outputs(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 4 groups to divide the outputs but got 6}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 4 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 6] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_weights_have_the_panels(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected dimension 1 of packed weights to be 2 but got 1}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 17] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_weights_have_the_taps(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected dimension 2 of packed weights to be 5 but got 3}}
  %r = kt.conv %x, %w {kernel = array<i64: 5>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_weights_have_the_channels(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 3, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected dimension 3 of packed weights to be 4 but got 3}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 3, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_depthwise_weights(%x: !kt.tensor<[n, 8, 16] x f32>, %w: !kt.tensor<[1, 1, 3, 1, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected dimension 2 of input to be 8 but got 16}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 8 : i64}
       : !kt.tensor<[n, 8, 16] x f32>, !kt.tensor<[1, 1, 3, 1, 16] x f32> -> !kt.tensor<[n, 6, 8] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_keeps_the_batch(%x: !kt.tensor<[n, 8, 4] x f32>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected dimension 0 of result to be n but got n + 1}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x f32>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n + 1, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_factors_accumulate_alike(%x: !kt.tensor<[n, 8, 4] x i8>, %w: !kt.tensor<[1, 1, 3, 4, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected factors that accumulate in 'i32' but got 'i8' and 'f32'}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 4] x i8>, !kt.tensor<[1, 1, 3, 4, 16] x f32> -> !kt.tensor<[n, 6, 16] x i32> epilogue {
  ^bb0(%acc: i32, %i0: index, %i1: index, %i2: index):
    kt.yield %acc : i32
  }
  return
}

// -----

func.func @attention_has_four_maps_and_six_sizes(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected 4 maps and 6 sizes but got 4 and 5}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_maps_are_permutations(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected map 1 to be a permutation of 4 dimensions}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, h, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_groups_hold_heads(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected a group of at least one head but got 0}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 0 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_groups_divide_the_heads(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected groups of 3 to divide the heads but got 8}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 3 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_sink_sees_no_key(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op sink expected 3 arguments but got 4}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  } sink {
  ^bb0(%bi: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    kt.yield %zero : f32
  }
  return
}

// -----

func.func @attention_key_has_the_heads(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 8, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 1 of key to be 4 but got 8}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 8, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_key_has_the_depth(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 32] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 3 of key to be 64 but got 32}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_query_has_its_length(%q: !kt.tensor<[b, 8, s + 1, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 2 of query to be s but got s + 1}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s + 1, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_spans_are_differences_of_sizes(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected span_to to be a difference of sizes but got ?n + 1}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64, span_to = #kt.expr<?n + 1>}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_spans_fit_indices(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected span_from to be a difference of sizes but got s + -1073741824}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64, span_from = #kt.expr<s + -1073741824>}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_spans_have_an_end(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected span_from or span_to with span_low}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64, span_low}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_value_has_the_keys(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t + 4, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 2 of value to be t but got t + 4}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t + 4, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_batches_agree(%q: !kt.tensor<[2, 8, s, 64] x f16>, %k: !kt.tensor<[1, 4, t, 64] x f16>, %v: !kt.tensor<[2, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 0 of key to be 2 but got 1}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<2>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[2, 8, s, 64] x f16>, !kt.tensor<[1, 4, t, 64] x f16>, !kt.tensor<[2, 4, t, 32] x f16> -> !kt.tensor<[2, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_result_has_the_values(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op expected dimension 3 of result to be 32 but got 64}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 64] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_is_of_floats(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x i8>) {
  // expected-error @+1 {{'kt.attention' op expected value of a floating-point type but got 'i8'}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x i8> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  }
  return
}

// -----

func.func @attention_scores_are_wide(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 32] x f16>) {
  // expected-error @+1 {{'kt.attention' op score expected to yield 'f32' but yields 'f16'}}
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, h, i, d) -> (b, h, i, d)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<32>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 32] x f16> -> !kt.tensor<[b, 8, s, 32] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    %0 = arith.truncf %p : f32 to f16
    kt.yield %0 : f16
  }
  return
}
