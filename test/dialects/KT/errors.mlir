// What verifiers and parsers say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @body_takes_operands_and_indices(%x: !kt.tensor<[n, 8] x f32>) {
  // expected-error @+1 {{'kt.generic' op body expected 3 arguments but got 2}}
  %r = kt.generic ins(%x : !kt.tensor<[n, 8] x f32>) -> !kt.tensor<[n, 8] x f32> {
  ^bb0(%X: !kt.tensor<[n, 8] x f32>, %i: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  }
  return
}

// -----

func.func @body_sees_its_operand(%x: !kt.tensor<[n, 8] x f32>) {
  // expected-error @+1 {{'kt.generic' op body argument 0 expected '!kt.tensor<[n, 8] x f32>' but got '!kt.tensor<[n, 9] x f32>'}}
  %r = kt.generic ins(%x : !kt.tensor<[n, 8] x f32>) -> !kt.tensor<[n] x f32> {
  ^bb0(%X: !kt.tensor<[n, 9] x f32>, %i: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  }
  return
}

// -----

func.func @body_yields_an_element() {
  // expected-error @+1 {{'kt.generic' op body expected to yield 'f32' but yields 'i64'}}
  %r = kt.generic -> !kt.tensor<[n] x f32> {
  ^bb0(%i: index):
    %0 = arith.constant 0 : i64
    kt.yield %0 : i64
  }
  return
}

// -----

func.func @body_yields_one_value() {
  // expected-error @+1 {{'kt.generic' op body expected to end in a kt.yield of one value}}
  %r = kt.generic -> !kt.tensor<[n] x f32> {
  ^bb0(%i: index):
    kt.yield
  }
  return
}

// -----

func.func @read_has_an_index_a_dimension(%x: !kt.tensor<[n, 8] x f32>) {
  %r = kt.generic ins(%x : !kt.tensor<[n, 8] x f32>) -> !kt.tensor<[n] x f32> {
  ^bb0(%X: !kt.tensor<[n, 8] x f32>, %i: index):
    // expected-error @+1 {{'kt.read' op expected 2 indices but got 1}}
    %0 = kt.read %X[%i] : !kt.tensor<[n, 8] x f32> -> f32
    kt.yield %0 : f32
  }
  return
}

// -----

func.func @read_has_the_element_type(%x: !kt.tensor<[n] x i64>) {
  %r = kt.generic ins(%x : !kt.tensor<[n] x i64>) -> !kt.tensor<[n] x f32> {
  ^bb0(%X: !kt.tensor<[n] x i64>, %i: index):
    // expected-error @+1 {{'kt.read' op expected result type 'i64' but got 'f32'}}
    %0 = kt.read %X[%i] : !kt.tensor<[n] x i64> -> f32
    kt.yield %0 : f32
  }
  return
}

// -----

func.func @reshape_keeps_the_elements(%x: !kt.tensor<[4, 8] x f32>) {
  // expected-error @+1 {{'kt.reshape' op expected 32 elements but got 33}}
  %r = kt.reshape %x : !kt.tensor<[4, 8] x f32> -> !kt.tensor<[33] x f32>
  return
}

// -----

func.func @reshape_keeps_the_type(%x: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.reshape' op expected element type 'f32' but got 'i32'}}
  %r = kt.reshape %x : !kt.tensor<[4] x f32> -> !kt.tensor<[4] x i32>
  return
}

// -----

func.func @constant_has_its_bytes() {
  // expected-error @+1 {{'kt.constant' op expected 16 bytes but got 3}}
  %r = kt.constant dense<[1, 2, 3]> : tensor<3xi8> : !kt.tensor<[4] x f32>
  return
}

// -----

func.func @constant_has_a_constant_shape() {
  // expected-error @+1 {{'kt.constant' op expected a constant shape but got '!kt.tensor<[n] x i8>'}}
  %r = kt.constant dense<[1, 2, 3]> : tensor<3xi8> : !kt.tensor<[n] x i8>
  return
}

// -----

func.func @normalize_has_axes(%x: !kt.tensor<[n, k] x f32>) {
  // expected-error @+1 {{'kt.normalize' op expected 1 to 2 axes but got 3}}
  %r = kt.normalize softmax ins(%x : !kt.tensor<[n, k] x f32>) {axes = 3 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[n, k] x f32> {
  ^bb0(%X: !kt.tensor<[n, k] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, k] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[n, k] x f32>, %i: index, %j: index):
    kt.yield %y : f32
  }
  return
}

// -----

func.func @normalize_computes_in_full_precision(%x: !kt.tensor<[n, k] x f16>) {
  // expected-error @+1 {{'kt.normalize' op expected the body to yield f32 or f64 but it yields 'f16'}}
  %r = kt.normalize softmax ins(%x : !kt.tensor<[n, k] x f16>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[n, k] x f16> {
  ^bb0(%X: !kt.tensor<[n, k] x f16>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, k] x f16> -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%y: f16, %X: !kt.tensor<[n, k] x f16>, %i: index, %j: index):
    kt.yield %y : f16
  }
  return
}

// -----

func.func @matmul_maps_fit(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[2, k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op map 1 has 2 results but its tensor has 3 dimensions}}
  %r = kt.matmul %a, %b
       {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[2, k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_maps_are_permutations(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected map 0 to be a projected permutation of 3 dimensions}}
  %r = kt.matmul %a, %b
       {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m + 1, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @matmul_packed_weights_are_panels(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[64, 32] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected packed weights [panels, k, 16] but got '!kt.tensor<[64, 32] x f32>'}}
  %r = kt.matmul %a, %b
       {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[64, 32] x f32> -> !kt.tensor<[m, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @conv_sizes_are_positive(%x: !kt.tensor<[n, 8, 3] x f32>, %w: !kt.tensor<[1, 1, 3, 3, 16] x f32>) {
  // expected-error @+1 {{'kt.conv' op expected 1 positive numbers in strides but got [0]}}
  %r = kt.conv %x, %w {kernel = array<i64: 3>, strides = array<i64: 0>, dilations = array<i64: 1>, input_dilations = array<i64: 1>,
       pads = [#kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 3] x f32>, !kt.tensor<[1, 1, 3, 3, 16] x f32> -> !kt.tensor<[n, 6, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %y: index, %c: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @scan_adds_or_multiplies(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.scan' op expected kind add or mul but got max}}
  %r = kt.scan max %x : !kt.tensor<[n] x f32> -> !kt.tensor<[n] x f32>
  return
}

// -----

func.func @scatter_indices_are_rows(%b: !kt.tensor<[n] x f32>, %i: !kt.tensor<[u] x i64>, %u: !kt.tensor<[u] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected indices [rows, depth] of i64 but got '!kt.tensor<[u] x i64>'}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n] x f32>, !kt.tensor<[u] x i64>, !kt.tensor<[u] x f32> -> !kt.tensor<[n] x f32>
  return
}

// -----

func.func @nonzero_takes_booleans(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.nonzero' op expected a flat i1 tensor but got '!kt.tensor<[n] x f32>'}}
  %p, %c = kt.nonzero %x : !kt.tensor<[n] x f32> -> !kt.tensor<[n] x i64>, !kt.tensor<[1] x i64>
  return
}

// -----

func.func @suppress_takes_four_numbers_a_box(%x: !kt.tensor<[b, n, 5] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected boxes [b, n, 4] and scores [b, c, n] of f32 but got '!kt.tensor<[b, n, 5] x f32>' and '!kt.tensor<[b, c, n] x f32>'}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 5] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, 5] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

// expected-error @+1 {{expected a number, a symbol or '('}}
func.func private @expressions_have_operands(!kt.tensor<[n + ] x f32>)

// -----

func.func @no_index_in_a_bit(%x: !kt.tensor<[n] x i1>) {
  %r = kt.generic ins(%x : !kt.tensor<[n] x i1>) -> !kt.tensor<[n] x i1> {
  ^bb0(%X: !kt.tensor<[n] x i1>, %i: index):
    %0 = kt.read %X[%i] : !kt.tensor<[n] x i1> -> i1
    // expected-error @+1 {{'kt.bounded' op expected an integer of more than 1 bit}}
    %1 = kt.bounded %0 below #kt.expr<n> site 0 : i1
    %2 = kt.read %X[%1] : !kt.tensor<[n] x i1> -> i1
    kt.yield %2 : i1
  }
  return
}

// -----

func.func @sites_are_numbers(%x: !kt.tensor<[n] x f32>) {
  %r = kt.generic ins(%x : !kt.tensor<[n] x f32>) -> !kt.tensor<[n] x f32> {
  ^bb0(%X: !kt.tensor<[n] x f32>, %i: index):
    // expected-error @+1 {{'kt.bounded' op expected a site from 0 to 4294967294 but got -1}}
    %1 = kt.bounded %i below #kt.expr<n> site -1 : index
    %2 = kt.read %X[%1] : !kt.tensor<[n] x f32> -> f32
    kt.yield %2 : f32
  }
  return
}
