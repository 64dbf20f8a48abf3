// Every op reads back as it was printed.
// RUN: kt-opt %s | kt-opt | FileCheck %s

// CHECK-LABEL: @generic
// CHECK: kt.generic ins(%{{.*}}, %{{.*}} : !kt.tensor<[n, 8] x f32>, !kt.tensor<[8] x f32>) -> <[n, 8] x f32>
// CHECK: kt.read %{{.*}}[%{{.*}}, %{{.*}}] : <[n, 8] x f32> -> f32
func.func @generic(%x: !kt.tensor<[n, 8] x f32>, %b: !kt.tensor<[8] x f32>) -> !kt.tensor<[n, 8] x f32> {
  %r = kt.generic ins(%x, %b : !kt.tensor<[n, 8] x f32>, !kt.tensor<[8] x f32>) -> !kt.tensor<[n, 8] x f32> {
  ^bb0(%X: !kt.tensor<[n, 8] x f32>, %B: !kt.tensor<[8] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 8] x f32> -> f32
    %1 = kt.read %B[%j] : !kt.tensor<[8] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !kt.tensor<[n, 8] x f32>
}

// A read that may be outside says what it is then, and which dimensions are in doubt.
// CHECK-LABEL: @guarded_read
// CHECK: kt.size <n + 2>
// CHECK: kt.read %{{.*}}[%{{.*}}] else %{{.*}} : f32 {check = array<i64: 0>} : <[n] x f32> -> f32
func.func @guarded_read(%x: !kt.tensor<[n] x f32>) -> !kt.tensor<[n + 2] x f32> {
  %r = kt.generic ins(%x : !kt.tensor<[n] x f32>) -> !kt.tensor<[n + 2] x f32> {
  ^bb0(%X: !kt.tensor<[n] x f32>, %i: index):
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1 : index
    %size = kt.size <n + 2>
    %last = arith.subi %size, %one : index
    %at = arith.subi %last, %i : index
    %0 = kt.read %X[%at] else %zero : f32 {check = array<i64: 0>} : !kt.tensor<[n] x f32> -> f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[n + 2] x f32>
}

// CHECK-LABEL: @reduce
// CHECK: kt.reduce max over [#kt.expr<k>] ins(%{{.*}}) -> <[n] x f32> {
// CHECK: } epilogue {
func.func @reduce(%x: !kt.tensor<[n, k] x f32>) -> !kt.tensor<[n] x f32> {
  %r = kt.reduce max over [#kt.expr<k>] ins(%x : !kt.tensor<[n, k] x f32>) -> !kt.tensor<[n] x f32> {
  ^bb0(%X: !kt.tensor<[n, k] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, k] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !kt.tensor<[n, k] x f32>, %i: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[n] x f32>
}

// CHECK-LABEL: @normalize
// CHECK: kt.normalize{{ +}}softmax ins(%{{.*}}) {axes = 1 : i64, epsilon = 0.000000e+00 : f64} -> <[n, k] x f32>
func.func @normalize(%x: !kt.tensor<[n, k] x f32>) -> !kt.tensor<[n, k] x f32> {
  %r = kt.normalize softmax ins(%x : !kt.tensor<[n, k] x f32>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[n, k] x f32> {
  ^bb0(%X: !kt.tensor<[n, k] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, k] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %X: !kt.tensor<[n, k] x f32>, %i: index, %j: index):
    kt.yield %y : f32
  }
  return %r : !kt.tensor<[n, k] x f32>
}

// CHECK-LABEL: @matmul
// CHECK: kt.matmul %{{.*}}, %{{.*}} extras(%{{.*}} : !kt.tensor<[n] x f32>) {depth = #kt.expr<k>, maps = [#{{.*}}, #{{.*}}, #{{.*}}]} : <[m, k] x f32>, <[k, n] x f32> -> <[m, n] x f32> epilogue {
func.func @matmul(%a: !kt.tensor<[m, k] x f32>, %b: !kt.tensor<[k, n] x f32>, %c: !kt.tensor<[n] x f32>) -> !kt.tensor<[m, n] x f32> {
  %r = kt.matmul %a, %b extras(%c : !kt.tensor<[n] x f32>)
       {depth = #kt.expr<k>, maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]}
       : !kt.tensor<[m, k] x f32>, !kt.tensor<[k, n] x f32> -> !kt.tensor<[m, n] x f32> epilogue {
  ^bb0(%acc: f32, %C: !kt.tensor<[n] x f32>, %i: index, %j: index):
    %0 = kt.read %C[%j] : !kt.tensor<[n] x f32> -> f32
    %1 = arith.addf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %r : !kt.tensor<[m, n] x f32>
}

// CHECK-LABEL: @conv
// CHECK: kt.conv %{{.*}}, %{{.*}} {dilations = array<i64: 1, 1>, groups = 1 : i64, input_dilations = array<i64: 1, 1>, kernel = array<i64: 3, 3>, pads = [#kt.expr<1>, #kt.expr<1>], strides = array<i64: 2, 2>}
func.func @conv(%x: !kt.tensor<[n, 8, 8, 3] x f32>, %w: !kt.tensor<[1, 1, 9, 3, 16] x f32>) -> !kt.tensor<[n, 4, 4, 16] x f32> {
  %r = kt.conv %x, %w {kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<1>, #kt.expr<1>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 8, 3] x f32>, !kt.tensor<[1, 1, 9, 3, 16] x f32> -> !kt.tensor<[n, 4, 4, 16] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %y: index, %z: index, %c: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[n, 4, 4, 16] x f32>
}

// CHECK-LABEL: @attention_with_a_sink
// CHECK: kt.attention {{.*}} score {
// CHECK: } sink {
// CHECK-NEXT: ^bb0(%{{.*}}: !kt.tensor<[8] x f32>, %{{.*}}: index, %[[H:.*]]: index, %{{.*}}: index):
// CHECK-NEXT: kt.read %{{.*}}[%[[H]]]
func.func @attention_with_a_sink(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %z: !kt.tensor<[8] x f32>) -> !kt.tensor<[b, 8, s, 64] x f16> {
  %r = kt.attention %q, %k, %k extras(%z : !kt.tensor<[8] x f32>)
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, g, j, d) -> (b, g, j, d)>,
                affine_map<(b, g, j, e) -> (b, g, j, e)>, affine_map<(b, h, i, e) -> (b, h, i, e)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16> -> !kt.tensor<[b, 8, s, 64] x f16> score {
  ^bb0(%p: f32, %Z: !kt.tensor<[8] x f32>, %bi: index, %h: index, %i: index, %j: index):
    kt.yield %p : f32
  } sink {
  ^bb0(%Z: !kt.tensor<[8] x f32>, %bi: index, %h: index, %i: index):
    %0 = kt.read %Z[%h] : !kt.tensor<[8] x f32> -> f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[b, 8, s, 64] x f16>
}

// CHECK-LABEL: @attention(
// CHECK: kt.attention %{{.*}}, %{{.*}}, %{{.*}} {group = 2 : i64, {{.*}}, span_from = #kt.expr<s * -1 + t + -127>, span_to = #kt.expr<s * -1 + t + 1>, zero_empty} : {{.*}} score {
func.func @attention(%q: !kt.tensor<[b, 8, s, 64] x f16>, %k: !kt.tensor<[b, 4, t, 64] x f16>, %v: !kt.tensor<[b, 4, t, 64] x f16>) -> !kt.tensor<[b, 8, s, 64] x f16> {
  %r = kt.attention %q, %k, %v
       {maps = [affine_map<(b, h, i, d) -> (b, h, i, d)>, affine_map<(b, g, j, d) -> (b, g, j, d)>,
                affine_map<(b, g, j, e) -> (b, g, j, e)>, affine_map<(b, h, i, e) -> (b, h, i, e)>],
        sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, zero_empty,
        span_from = #kt.expr<t + -1 * s + -127>, span_to = #kt.expr<t + -1 * s + 1>}
       : !kt.tensor<[b, 8, s, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16>, !kt.tensor<[b, 4, t, 64] x f16> -> !kt.tensor<[b, 8, s, 64] x f16> score {
  ^bb0(%p: f32, %bi: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 1.250000e-01 : f32
    %0 = arith.mulf %p, %scale : f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[b, 8, s, 64] x f16>
}

// CHECK-LABEL: @named
// CHECK: kt.sort %{{.*}} {descending = true} : <[n, 100] x f32> -> <[n, 5] x f32>, <[n, 5] x i64>
// CHECK: kt.scan add %{{.*}} {exclusive} : <[n, 5] x i64> -> <[n, 5] x i64>
// CHECK: kt.nonzero %{{.*}} : <[k] x i1> -> <[k] x i64>, <[1] x i64>
// CHECK: kt.item %{{.*}}[0] as "?count" : <[1] x i64>
// CHECK: kt.assert <?count> equals <k>, "all are set"
// CHECK: kt.reshape %{{.*}} : <[n, 5] x f32> -> <[n * 5] x f32>
func.func @named(%x: !kt.tensor<[n, 100] x f32>, %m: !kt.tensor<[k] x i1>) -> (!kt.tensor<[n * 5] x f32>, !kt.tensor<[n, 5] x i64>) {
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n, 100] x f32> -> !kt.tensor<[n, 5] x f32>, !kt.tensor<[n, 5] x i64>
  %s = kt.scan add %i {exclusive} : !kt.tensor<[n, 5] x i64> -> !kt.tensor<[n, 5] x i64>
  %p, %c = kt.nonzero %m : !kt.tensor<[k] x i1> -> !kt.tensor<[k] x i64>, !kt.tensor<[1] x i64>
  kt.item %c[0] as "?count" : !kt.tensor<[1] x i64>
  kt.assert <?count> equals <k>, "all are set"
  %r = kt.reshape %v : !kt.tensor<[n, 5] x f32> -> !kt.tensor<[n * 5] x f32>
  return %r, %s : !kt.tensor<[n * 5] x f32>, !kt.tensor<[n, 5] x i64>
}

// CHECK-LABEL: @suppress
// CHECK: kt.suppress %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} above %{{.*}} : !kt.tensor<[1] x f32> {centred} : <[b, n, 4] x f32>, <[b, c, n] x f32>, <[1] x i64>, <[1] x f32> -> <[b, c, 5] x i64>, <[b, c] x i64>
// CHECK: kt.suppress %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : <[b, n, 4] x f32>, <[b, c, n] x f32>, <[1] x i64>, <[1] x f32> -> <[b, c, n] x i64>, <[b, c] x i64>
func.func @suppress(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>) -> (!kt.tensor<[b, c, 5] x i64>, !kt.tensor<[b, c] x i64>) {
  %a, %n = kt.suppress %x, %s, %m, %o above %o : !kt.tensor<[1] x f32> {centred} : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, 5] x i64>, !kt.tensor<[b, c] x i64>
  %b, %k = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, n] x i64>, !kt.tensor<[b, c] x i64>
  return %a, %k : !kt.tensor<[b, c, 5] x i64>, !kt.tensor<[b, c] x i64>
}

// CHECK-LABEL: @scatter
// CHECK: kt.scatter add %{{.*}}, %{{.*}}, %{{.*}} : <[n, 4] x f32>, <[u, 1] x i64>, <[u, 4] x f32> -> <[n, 4] x f32>
func.func @scatter(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u, 4] x f32>) -> !kt.tensor<[n, 4] x f32> {
  %r = kt.scatter add %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u, 4] x f32> -> !kt.tensor<[n, 4] x f32>
  return %r : !kt.tensor<[n, 4] x f32>
}

// CHECK-LABEL: @control_flow
// CHECK: kt.if <?c> {else_sizes = [#kt.expr<m>], symbols = ["?k"], then_sizes = [#kt.expr<n>]} -> !kt.tensor<[?k] x f32> then {
// CHECK: } else {
// CHECK: kt.loop init(%{{.*}} : !kt.tensor<[n] x f32>) {{.*}}trips = #kt.expr<m>{{.*}} -> !kt.tensor<[n] x f32> do {
func.func @control_flow(%c: !kt.tensor<[1] x i64>, %x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) -> (!kt.tensor<[?k] x f32>, !kt.tensor<[n] x f32>) {
  kt.item %c[0] as "?c" : !kt.tensor<[1] x i64>
  %r = kt.if <?c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  %l = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [], first_sizes = [], next_sizes = [],
       reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a : !kt.tensor<[n] x f32>
  }
  return %r, %l : !kt.tensor<[?k] x f32>, !kt.tensor<[n] x f32>
}

// CHECK-LABEL: @bounded
// CHECK: kt.bounded %{{.*}} below <n> site 3 {wraps} : i64
// CHECK: kt.bounded %{{.*}} below <4> site 4 when %{{.*}} : index
// CHECK: kt.scatter assign {{.*}} {site = 5 : i64}
func.func @bounded(%x: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[k, 1] x i64>, %u: !kt.tensor<[k, 4] x f32>) -> (!kt.tensor<[k] x f32>, !kt.tensor<[n, 4] x f32>) {
  %r = kt.generic ins(%x, %i : !kt.tensor<[n, 4] x f32>, !kt.tensor<[k, 1] x i64>) -> !kt.tensor<[k] x f32> {
  ^bb0(%X: !kt.tensor<[n, 4] x f32>, %I: !kt.tensor<[k, 1] x i64>, %j: index):
    %z = arith.constant 0 : index
    %c = arith.cmpi ne, %j, %z : index
    %0 = kt.read %I[%j, %z] : !kt.tensor<[k, 1] x i64> -> i64
    %1 = kt.bounded %0 below #kt.expr<n> site 3 {wraps} : i64
    %2 = kt.bounded %j below #kt.expr<4> site 4 when %c : index
    %3 = kt.read %X[%1, %2] : !kt.tensor<[n, 4] x f32> -> f32
    kt.yield %3 : f32
  }
  %s = kt.scatter assign %x, %i, %u {site = 5} : !kt.tensor<[n, 4] x f32>, !kt.tensor<[k, 1] x i64>, !kt.tensor<[k, 4] x f32> -> !kt.tensor<[n, 4] x f32>
  return %r, %s : !kt.tensor<[k] x f32>, !kt.tensor<[n, 4] x f32>
}
