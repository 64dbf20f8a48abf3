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
