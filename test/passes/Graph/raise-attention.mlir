// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-attention))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-attention))' %t | diff %t -

!q = !kt.tensor<[b, 4, s, 32] x f32>
!k = !kt.tensor<[b, 4, t, 32] x f32>
!s = !kt.tensor<[b, 4, s, t] x f32>
!m = !kt.tensor<[s, t] x f32>
#q = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#k = affine_map<(b, h, m, n, k) -> (b, h, n, k)>
#s = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#p = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#v = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#o = affine_map<(b, h, m, n, k) -> (b, h, m, n)>

// The scale and the mask become the score region.
// CHECK-LABEL: @scaled_and_masked
// CHECK-NEXT: %[[R:.*]] = kt.attention %arg0, %arg1, %arg2 extras(%arg3 : !kt.tensor<[s, t] x f32>)
// CHECK-SAME: sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>]
// CHECK-SAME: score {
// CHECK: ^bb0(%[[ACC:.*]]: f32,
// CHECK: arith.mulf %[[ACC]]
// CHECK: arith.addf
// CHECK-NOT: kt.normalize
// CHECK: return %[[R]]
func.func @scaled_and_masked(%q: !q, %k: !k, %v: !k, %m: !m) -> !q {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s, %m : !s, !m) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %M: !m, %b: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 0.176776692 : f32
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    %1 = arith.mulf %0, %scale : f32
    %2 = kt.read %M[%i, %j] : !m -> f32
    %3 = arith.addf %1, %2 : f32
    kt.yield %3 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %M: !m, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

// No mask at all.
// CHECK-LABEL: @plain
// CHECK-NEXT: %[[R:.*]] = kt.attention %arg0, %arg1, %arg2 {
// CHECK: return %[[R]]
func.func @plain(%q: !q, %k: !k, %v: !k) -> !q {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 0.176776692 : f32
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    %1 = arith.mulf %0, %scale : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

// The scores are a result: they have to exist.
// CHECK-LABEL: @leaves_visible_scores_alone
// CHECK-NOT: kt.attention
// CHECK: return
func.func @leaves_visible_scores_alone(%q: !q, %k: !k, %v: !k) -> (!q, !s) {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 0.176776692 : f32
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    %1 = arith.mulf %0, %scale : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o, %s : !q, !s
}

// So are the weights here.
// CHECK-LABEL: @leaves_visible_weights_alone
// CHECK-NOT: kt.attention
// CHECK: return
func.func @leaves_visible_weights_alone(%q: !q, %k: !k, %v: !k) -> (!q, !s) {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 0.176776692 : f32
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    %1 = arith.mulf %0, %scale : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o, %p : !q, !s
}

// A softmax over rows and columns together is no attention.
// CHECK-LABEL: @leaves_another_axis_alone
// CHECK-NOT: kt.attention
// CHECK: return
func.func @leaves_another_axis_alone(%q: !q, %k: !k, %v: !k) -> !q {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 2 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %scale = arith.constant 0.176776692 : f32
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    %1 = arith.mulf %0, %scale : f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

!m3 = !kt.tensor<[b * 4, s, 32] x f32>
!m3s = !kt.tensor<[b * 4, s, s] x f32>
#mq = affine_map<(b, m, n, k) -> (b, m, k)>
#mk = affine_map<(b, m, n, k) -> (b, n, k)>
#mv = affine_map<(b, m, n, k) -> (b, k, n)>
#mo = affine_map<(b, m, n, k) -> (b, m, n)>

// Batch and heads in one dimension of [s, b * h, d]: what its reader makes of the result says how many heads there are.
// CHECK-LABEL: @merged_batch_and_heads
// CHECK-NEXT: %[[R:.*]] = kt.attention %arg0, %arg0, %arg0
// CHECK-SAME: sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<32>, #kt.expr<32>]
// CHECK-SAME: views = [#kt.view<[b, 4, s, 32] strides [128, 32, b * 128, 1] offset 0>
// CHECK: %[[M:.*]] = kt.reshape %[[R]] : <[b, 4, s, 32] x f32> -> <[b * 4, s, 32] x f32>
// CHECK: kt.reshape %[[M]] : <[b * 4, s, 32] x f32> -> <[b, 4, s, 32] x f32>
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @merged_batch_and_heads(%x: !kt.tensor<[s, b, 128] x f32>) -> !kt.tensor<[b, 4, s, 32] x f32> {
  %x4 = kt.reshape %x : !kt.tensor<[s, b, 128] x f32> -> !kt.tensor<[s, b * 4, 32] x f32>
  %h = kt.generic ins(%x4 : !kt.tensor<[s, b * 4, 32] x f32>) -> !m3 {
  ^bb0(%X: !kt.tensor<[s, b * 4, 32] x f32>, %b: index, %i: index, %j: index):
    %0 = kt.read %X[%i, %b, %j] : !kt.tensor<[s, b * 4, 32] x f32> -> f32
    kt.yield %0 : f32
  }
  %s = kt.matmul %h, %h {depth = #kt.expr<32>, maps = [#mq, #mk, #mo]} : !m3, !m3 -> !m3s epilogue {
  ^bb0(%acc: f32, %b: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !m3s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !m3s {
  ^bb0(%S: !m3s, %b: index, %i: index, %j: index):
    %0 = kt.read %S[%b, %i, %j] : !m3s -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !m3s, %b: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %h {depth = #kt.expr<s>, maps = [#mq, #mv, #mo]} : !m3s, !m3 -> !m3 epilogue {
  ^bb0(%acc: f32, %b: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.reshape %o : !m3 -> !kt.tensor<[b, 4, s, 32] x f32>
  return %r : !kt.tensor<[b, 4, s, 32] x f32>
}

// Scores are [b * h, i, j] where they are made and weighed and [b, h, i, j] where a mask is added that has no heads.
// CHECK-LABEL: @scores_reshaped_between
// CHECK: kt.attention %arg0, %arg0, %arg0 extras(%arg1 : !kt.tensor<[b, s] x f32>)
// CHECK-SAME: sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<32>, #kt.expr<32>]
// CHECK: ^bb0(%{{.*}}: f32, %[[M:.*]]: !kt.tensor<[b, s] x f32>, %[[B:.*]]: index, %{{.*}}: index, %{{.*}}: index, %[[J:.*]]: index):
// CHECK: kt.read %[[M]][%[[B]], %[[J]]]
// CHECK-NOT: kt.normalize
// CHECK: return
func.func @scores_reshaped_between(%x: !m3, %m: !kt.tensor<[b, s] x f32>) -> !m3 {
  %s = kt.matmul %x, %x {depth = #kt.expr<32>, maps = [#mq, #mk, #mo]} : !m3, !m3 -> !m3s epilogue {
  ^bb0(%acc: f32, %b: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %s : !m3s -> !kt.tensor<[b, 4, s, s] x f32>
  %p = kt.normalize softmax ins(%v, %m : !kt.tensor<[b, 4, s, s] x f32>, !kt.tensor<[b, s] x f32>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[b, 4, s, s] x f32> {
  ^bb0(%S: !kt.tensor<[b, 4, s, s] x f32>, %M: !kt.tensor<[b, s] x f32>, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %S[%b, %h, %i, %j] : !kt.tensor<[b, 4, s, s] x f32> -> f32
    %1 = kt.read %M[%b, %j] : !kt.tensor<[b, s] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !kt.tensor<[b, 4, s, s] x f32>, %M: !kt.tensor<[b, s] x f32>, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %w = kt.reshape %p : !kt.tensor<[b, 4, s, s] x f32> -> !m3s
  %o = kt.matmul %w, %x {depth = #kt.expr<s>, maps = [#mq, #mv, #mo]} : !m3s, !m3 -> !m3 epilogue {
  ^bb0(%acc: f32, %b: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !m3
}

// Two heads of keys, expanded and merged to four: read as they are, by two heads of queries each.
// CHECK-LABEL: @grouped_by_expand_and_reshape
// CHECK-NEXT: kt.attention %arg0, %arg1, %arg1
// CHECK-SAME: group = 2 : i64
// CHECK-NOT: views
// CHECK-NOT: kt.generic
// CHECK: return
func.func @grouped_by_expand_and_reshape(%q: !q, %x: !kt.tensor<[b, 2, t, 32] x f32>) -> !q {
  %e = kt.generic ins(%x : !kt.tensor<[b, 2, t, 32] x f32>) -> !kt.tensor<[b, 2, 2, t, 32] x f32> {
  ^bb0(%X: !kt.tensor<[b, 2, t, 32] x f32>, %b: index, %h: index, %n: index, %i: index, %j: index):
    %0 = kt.read %X[%b, %h, %i, %j] : !kt.tensor<[b, 2, t, 32] x f32> -> f32
    kt.yield %0 : f32
  }
  %k = kt.reshape %e : !kt.tensor<[b, 2, 2, t, 32] x f32> -> !k
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %k {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

// The key is scaled on its way, the query where it is made: one multiplication of the scores does for both.
// CHECK-LABEL: @takes_scales_of_both
// CHECK: %[[Q:.*]] = kt.generic ins(%arg0 : {{.*}} {
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK-NEXT: kt.yield %[[SUM]]
// CHECK: kt.attention %[[Q]], %arg1, %arg2 {
// CHECK: %[[C:.*]] = arith.constant 1.250000e-01 : f32
// CHECK-NEXT: %[[S:.*]] = arith.mulf %{{.*}}, %[[C]]
// CHECK-NEXT: kt.yield %[[S]]
// CHECK: return
func.func @takes_scales_of_both(%x: !q, %k: !k, %v: !k) -> !q {
  %q = kt.generic ins(%x : !q) -> !q {
  ^bb0(%X: !q, %b: index, %h: index, %i: index, %d: index):
    %quarter = arith.constant 0.25 : f32
    %0 = kt.read %X[%b, %h, %i, %d] : !q -> f32
    %1 = math.sin %0 : f32
    %2 = arith.addf %0, %1 : f32
    %3 = arith.mulf %2, %quarter : f32
    kt.yield %3 : f32
  }
  %ks = kt.generic ins(%k : !k) -> !k {
  ^bb0(%K: !k, %b: index, %h: index, %i: index, %d: index):
    %half = arith.constant 0.5 : f32
    %0 = kt.read %K[%b, %h, %i, %d] : !k -> f32
    %1 = arith.mulf %0, %half : f32
    kt.yield %1 : f32
  }
  %s = kt.matmul %q, %ks {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

// Something else reads the scaled query.
// CHECK-LABEL: @leaves_the_scale_of_what_others_read
// CHECK: kt.generic ins(%arg0 : {{.*}} {
// CHECK: arith.addf
// CHECK-NEXT: arith.mulf
// CHECK: kt.attention
// CHECK: arith.constant 5.000000e-01 : f32
// CHECK: return
func.func @leaves_the_scale_of_what_others_read(%x: !q, %k: !k, %v: !k) -> (!q, !q) {
  %q = kt.generic ins(%x : !q) -> !q {
  ^bb0(%X: !q, %b: index, %h: index, %i: index, %d: index):
    %quarter = arith.constant 0.25 : f32
    %0 = kt.read %X[%b, %h, %i, %d] : !q -> f32
    %1 = math.sin %0 : f32
    %2 = arith.addf %0, %1 : f32
    %3 = arith.mulf %2, %quarter : f32
    kt.yield %3 : f32
  }
  %ks = kt.generic ins(%k : !k) -> !k {
  ^bb0(%K: !k, %b: index, %h: index, %i: index, %d: index):
    %half = arith.constant 0.5 : f32
    %0 = kt.read %K[%b, %h, %i, %d] : !k -> f32
    %1 = arith.mulf %0, %half : f32
    kt.yield %1 : f32
  }
  %s = kt.matmul %q, %ks {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s : !s) {axes = 1 : i64, epsilon = 0.0 : f64} -> !s {
  ^bb0(%S: !s, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %S[%b, %h, %i, %j] : !s -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %o = kt.matmul %p, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o, %q : !q, !q
}

!w = !kt.tensor<[b, 4, s, t + 1] x f32>
!z = !kt.tensor<[4] x f32>

// A column behind the scores takes part in the softmax and is dropped: it is the sink.
// CHECK-LABEL: @a_score_more
// CHECK: %[[R:.*]] = kt.attention %arg0, %arg1, %arg2 extras(%arg3 : !kt.tensor<[4] x f32>)
// CHECK: ^bb0(%[[ACC:.*]]: f32,
// CHECK-NEXT: kt.yield %[[ACC]] : f32
// CHECK-NEXT: } sink {
// CHECK-NEXT: ^bb0(%[[Z:.*]]: !kt.tensor<[4] x f32>, %{{.*}}: index, %[[H:.*]]: index, %{{.*}}: index):
// CHECK: %[[SINK:.*]] = kt.read %[[Z]][%[[H]]] : <[4] x f32> -> f32
// CHECK: kt.yield %[[SINK]] : f32
// CHECK-NOT: kt.normalize
// CHECK: return %[[R]]
func.func @a_score_more(%q: !q, %k: !k, %v: !k, %z: !z) -> !q {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s, %z : !s, !z) {axes = 1 : i64, epsilon = 0.0 : f64} -> !w {
  ^bb0(%S: !s, %Z: !z, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %Z[%h] : !z -> f32
    %1 = kt.read %S[%b, %h, %i, %j] else %0 : f32 {check = array<i64: 3>} : !s -> f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %Z: !z, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %c = kt.generic ins(%p : !w) -> !s {
  ^bb0(%P: !w, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %P[%b, %h, %i, %j] : !w -> f32
    kt.yield %0 : f32
  }
  %o = kt.matmul %c, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}

// What is dropped is the first score, what is left has the column behind them in it.
// CHECK-LABEL: @leaves_another_slice_alone
// CHECK-NOT: kt.attention
// CHECK: kt.normalize
// CHECK: return
func.func @leaves_another_slice_alone(%q: !q, %k: !k, %v: !k, %z: !z) -> !q {
  %s = kt.matmul %q, %k {depth = #kt.expr<32>, maps = [#q, #k, #s]} : !q, !k -> !s epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %p = kt.normalize softmax ins(%s, %z : !s, !z) {axes = 1 : i64, epsilon = 0.0 : f64} -> !w {
  ^bb0(%S: !s, %Z: !z, %b: index, %h: index, %i: index, %j: index):
    %0 = kt.read %Z[%h] : !z -> f32
    %1 = kt.read %S[%b, %h, %i, %j] else %0 : f32 {check = array<i64: 3>} : !s -> f32
    kt.yield %1 : f32
  } epilogue {
  ^bb0(%y: f32, %S: !s, %Z: !z, %b: index, %h: index, %i: index, %j: index):
    kt.yield %y : f32
  }
  %c = kt.generic ins(%p : !w) -> !s {
  ^bb0(%P: !w, %b: index, %h: index, %i: index, %j: index):
    %one = arith.constant 1 : index
    %1 = arith.addi %j, %one : index
    %0 = kt.read %P[%b, %h, %i, %1] : !w -> f32
    kt.yield %0 : f32
  }
  %o = kt.matmul %c, %v {depth = #kt.expr<t>, maps = [#p, #v, #o]} : !s, !k -> !q epilogue {
  ^bb0(%acc: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %o : !q
}
