// What verifiers of weights of few bits say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expected 2, 4 or 8 bits but got 3}}
func.func @bits(%a: !kt.tensor<[m] x f32>) attributes {b = #kt.blocks<bits = 3, group = 32, scale = f16, zeros = false>} { return }

// -----

// expected-error @+1 {{expected groups of a power of two from 16 to 256 but got 48}}
func.func @group(%a: !kt.tensor<[m] x f32>) attributes {b = #kt.blocks<bits = 4, group = 48, scale = f16, zeros = false>} { return }

// -----

// expected-error @+1 {{expected groups of a power of two from 16 to 256 but got 512}}
func.func @long_group(%a: !kt.tensor<[m] x f32>) attributes {b = #kt.blocks<bits = 4, group = 512, scale = f16, zeros = false>} { return }

// -----

// expected-error @+1 {{expected scales of f16, bf16 or f32 but got 'f64'}}
func.func @scale(%a: !kt.tensor<[m] x f32>) attributes {b = #kt.blocks<bits = 4, group = 32, scale = f64, zeros = false>} { return }

// -----

func.func @left_side(%a: !kt.tensor<[m, 64] x f64>, %b: !kt.tensor<[1, 2, 288] x ui8>) {
  // expected-error @+1 {{'kt.matmul' op expected a left side of f16, bf16 or f32 beside weights in blocks but got 'f64'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed,
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
       : !kt.tensor<[m, 64] x f64>, !kt.tensor<[1, 2, 288] x ui8> -> !kt.tensor<[m, 16] x f64> epilogue {
  ^bb0(%acc: f64, %i0: index, %i1: index):
    kt.yield %acc : f64
  }
  return
}

// -----

// 32 bytes of scales, 16 of zero points and 256 of words.
func.func @bytes_of_a_block(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[1, 2, 288] x ui8>) {
  // expected-error @+1 {{'kt.matmul' op expected weights [panels, groups, 304] of ui8 but got '!kt.tensor<[1, 2, 288] x ui8>'}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed,
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = true>}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[1, 2, 288] x ui8> -> !kt.tensor<[m, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @blocks_of_a_column(%a: !kt.tensor<[m, 65] x f32>, %b: !kt.tensor<[1, 2, 288] x ui8>) {
  // expected-error @+1 {{expected dimension 1 of packed weights to be 3 but got 2}}
  %r = kt.matmul %a, %b {depth = #kt.expr<65>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed,
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
       : !kt.tensor<[m, 65] x f32>, !kt.tensor<[1, 2, 288] x ui8> -> !kt.tensor<[m, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @panels(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[1, 2, 288] x ui8>) {
  // expected-error @+1 {{expected dimension 0 of packed weights to be 2 but got 1}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed,
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[1, 2, 288] x ui8> -> !kt.tensor<[m, 17] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @packed(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[16, 64] x f32>) {
  // expected-error @+1 {{'kt.matmul' op expected weights in blocks to be packed}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>],
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[16, 64] x f32> -> !kt.tensor<[m, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @dequantize_bits(%q: !kt.tensor<[3, 2, 16] x ui8>, %s: !kt.tensor<[3, 2] x f16>) {
  // expected-error @+1 {{'kt.dequantize' op expected 2, 4 or 8 bits but got -4}}
  %w = kt.dequantize %q, %s {bits = -4 : i64, group = 32 : i64} : !kt.tensor<[3, 2, 16] x ui8>, !kt.tensor<[3, 2] x f16> -> !kt.tensor<[3, 64] x f16>
  return
}

// -----

func.func @dequantize_result(%q: !kt.tensor<[3, 2, 16] x ui8>, %s: !kt.tensor<[3, 2] x f16>) {
  // expected-error @+1 {{'kt.dequantize' op expected a result of f16, bf16 or f32 but got 'i32'}}
  %w = kt.dequantize %q, %s {bits = 4 : i64, group = 32 : i64} : !kt.tensor<[3, 2, 16] x ui8>, !kt.tensor<[3, 2] x f16> -> !kt.tensor<[3, 64] x i32>
  return
}

// -----

func.func @dequantize_rank(%q: !kt.tensor<[3, 2, 16] x ui8>, %s: !kt.tensor<[3, 2] x f16>) {
  // expected-error @+1 {{'kt.dequantize' op expected a result of rank 2 but got '!kt.tensor<[3, 2, 32] x f16>'}}
  %w = kt.dequantize %q, %s {bits = 4 : i64, group = 32 : i64} : !kt.tensor<[3, 2, 16] x ui8>, !kt.tensor<[3, 2] x f16> -> !kt.tensor<[3, 2, 32] x f16>
  return
}

// -----

func.func @dequantize_numbers(%q: !kt.tensor<[3, 2, 16] x ui8>, %s: !kt.tensor<[3, 2] x f16>) {
  // expected-error @+1 {{expected dimension 1 of numbers to be 3 but got 2}}
  %w = kt.dequantize %q, %s {bits = 4 : i64, group = 32 : i64} : !kt.tensor<[3, 2, 16] x ui8>, !kt.tensor<[3, 2] x f16> -> !kt.tensor<[3, 65] x f16>
  return
}

// -----

func.func @dequantize_zeros(%q: !kt.tensor<[3, 2, 16] x ui8>, %s: !kt.tensor<[3, 2] x f16>, %z: !kt.tensor<[3, 2] x i8>) {
  // expected-error @+1 {{'kt.dequantize' op expected zeros of 'ui8' but got 'i8'}}
  %w = kt.dequantize %q, %s zeros %z : !kt.tensor<[3, 2] x i8> {bits = 4 : i64, group = 32 : i64} : !kt.tensor<[3, 2, 16] x ui8>, !kt.tensor<[3, 2] x f16> -> !kt.tensor<[3, 64] x f16>
  return
}

// -----

func.func @int8_rows_of_few_bits(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[1, 2, 288] x ui8>) {
  // expected-error @+1 {{'kt.matmul' op expected int8_rows beside blocks of integers of 8 bits without zero points but got #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed, int8_rows,
       blocks = #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[1, 2, 288] x ui8> -> !kt.tensor<[m, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @int8_rows_of_panels(%a: !kt.tensor<[m, 64] x f32>, %b: !kt.tensor<[1, 64, 16] x i8>) {
  // expected-error @+1 {{'kt.matmul' op expected int8_rows beside blocks of integers of 8 bits without zero points but got none}}
  %r = kt.matmul %a, %b {depth = #kt.expr<64>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], packed, int8_rows}
       : !kt.tensor<[m, 64] x f32>, !kt.tensor<[1, 64, 16] x i8> -> !kt.tensor<[m, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    kt.yield %acc : f32
  }
  return
}
