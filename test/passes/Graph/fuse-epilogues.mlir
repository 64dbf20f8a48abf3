// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fuse-epilogues))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fuse-epilogues))' %t | diff %t -

!a = !kt.tensor<[m, 64] x f32>
!w = !kt.tensor<[64, 32] x f32>
!c = !kt.tensor<[m, 32] x f32>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (k, n)>
#res = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: @bias_and_activation_follow_the_product
// CHECK: %[[R:.*]] = kt.matmul %arg0, %arg1 extras(%arg2 : !kt.tensor<[32] x f32>)
// CHECK: ^bb0(%[[ACC:.*]]: f32,
// CHECK: %[[S:.*]] = arith.addf %[[ACC]]
// CHECK: arith.maximumf %[[S]]
// CHECK-NOT: kt.generic
// CHECK: return %[[R]]
func.func @bias_and_activation_follow_the_product(%a: !a, %w: !w, %b: !kt.tensor<[32] x f32>) -> !c {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%p, %b : !c, !kt.tensor<[32] x f32>) -> !c {
  ^bb0(%P: !c, %B: !kt.tensor<[32] x f32>, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %0 = kt.read %P[%i, %j] : !c -> f32
    %1 = kt.read %B[%j] : !kt.tensor<[32] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    %3 = arith.maximumf %2, %zero : f32
    kt.yield %3 : f32
  }
  return %r : !c
}

// CHECK-LABEL: @through_a_view
// CHECK: kt.matmul
// CHECK: math.tanh
// CHECK: %[[V:.*]] = kt.reshape
// CHECK: return %[[V]]
func.func @through_a_view(%a: !a, %w: !w) -> !kt.tensor<[m, 4, 8] x f32> {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %p : !c -> !kt.tensor<[m, 4, 8] x f32>
  %r = kt.generic ins(%v : !kt.tensor<[m, 4, 8] x f32>) -> !kt.tensor<[m, 4, 8] x f32> {
  ^bb0(%P: !kt.tensor<[m, 4, 8] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %P[%i, %j, %k] : !kt.tensor<[m, 4, 8] x f32> -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  return %r : !kt.tensor<[m, 4, 8] x f32>
}

// CHECK-LABEL: @leaves_a_shared_product_alone
// CHECK: %[[P:.*]] = kt.matmul
// CHECK: %[[R:.*]] = kt.generic ins(%[[P]]
// CHECK: return %[[P]], %[[R]]
func.func @leaves_a_shared_product_alone(%a: !a, %w: !w) -> (!c, !c) {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%p : !c) -> !c {
  ^bb0(%P: !c, %i: index, %j: index):
    %0 = kt.read %P[%i, %j] : !c -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  return %p, %r : !c, !c
}

// CHECK-LABEL: @leaves_reads_elsewhere_alone
// CHECK: %[[P:.*]] = kt.matmul
// CHECK: kt.generic ins(%[[P]]
func.func @leaves_reads_elsewhere_alone(%a: !a, %w: !w) -> !c {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%p : !c) -> !c {
  ^bb0(%P: !c, %i: index, %j: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %P[%i, %zero] : !c -> f32
    %1 = kt.read %P[%i, %j] : !c -> f32
    %2 = arith.subf %1, %0 : f32
    kt.yield %2 : f32
  }
  return %r : !c
}

!flat = !kt.tensor<[b * s, 64] x f32>
!flat32 = !kt.tensor<[b * s, 32] x f32>
!rows = !kt.tensor<[b, s, 32] x f32>
!g = !kt.tensor<[32] x f32>

// A bias that is seen as heads is read by the column: it has no rows of its own to count.
// CHECK-LABEL: @bias_of_heads
// CHECK: %[[B:.*]] = kt.reshape %arg2 : <[4, 8] x f32> -> <[32] x f32>
// CHECK: kt.matmul %arg0, %arg1 extras(%[[B]] : !kt.tensor<[32] x f32>)
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[E:.*]]: !kt.tensor<[32] x f32>, %{{.*}}: index, %[[J:.*]]: index):
// CHECK-NEXT: kt.read %[[E]][%[[J]]]
// CHECK-NOT: arith.divui
// CHECK: return
func.func @bias_of_heads(%a: !a, %w: !w, %b: !kt.tensor<[4, 8] x f32>) -> !kt.tensor<[m, 4, 8] x f32> {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %p : !c -> !kt.tensor<[m, 4, 8] x f32>
  %r = kt.generic ins(%v, %b : !kt.tensor<[m, 4, 8] x f32>, !kt.tensor<[4, 8] x f32>) -> !kt.tensor<[m, 4, 8] x f32> {
  ^bb0(%P: !kt.tensor<[m, 4, 8] x f32>, %B: !kt.tensor<[4, 8] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %P[%i, %j, %k] : !kt.tensor<[m, 4, 8] x f32> -> f32
    %1 = kt.read %B[%j, %k] : !kt.tensor<[4, 8] x f32> -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %r : !kt.tensor<[m, 4, 8] x f32>
}

// A norm follows the rows of a product in the product's shape. What else it reads is seen so before the product, where a kernel of both has it; an index
// of rows (a table of positions) is made of the row's number.
// CHECK-LABEL: @norm_of_rows_behind_a_view
// CHECK-NEXT: %[[Y:.*]] = kt.reshape %arg2 : <[b, s, 32] x f32> -> <[b * s, 32] x f32>
// CHECK-NEXT: %[[P:.*]] = kt.matmul
// CHECK: %[[N:.*]] = kt.normalize layer ins(%[[P]], %[[Y]], %arg3, %arg4 {{.*}} -> <[b * s, 32] x f32> {
// CHECK: ^bb0(%[[A:.*]]: !kt.tensor<[b * s, 32] x f32>, %[[R:.*]]: !kt.tensor<[b * s, 32] x f32>, %{{.*}}, %[[T:.*]]: !kt.tensor<[s, 32] x f32>, %[[I:.*]]: index, %[[J:.*]]: index):
// CHECK: kt.read %[[A]][%[[I]], %[[J]]]
// CHECK: kt.read %[[R]][%[[I]], %[[J]]]
// CHECK: %[[V:.*]] = kt.reshape %[[N]] : <[b * s, 32] x f32> -> <[b, s, 32] x f32>
// CHECK: return %[[V]]
func.func @norm_of_rows_behind_a_view(%a: !flat, %w: !w, %y: !rows, %g: !g, %t: !kt.tensor<[s, 32] x f32>) -> !rows {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !flat, !w -> !flat32 epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %p : !flat32 -> !rows
  %n = kt.normalize layer ins(%v, %y, %g, %t : !rows, !rows, !g, !kt.tensor<[s, 32] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !rows {
  ^bb0(%V: !rows, %Y: !rows, %G: !g, %T: !kt.tensor<[s, 32] x f32>, %b: index, %s: index, %j: index):
    %0 = kt.read %V[%b, %s, %j] : !rows -> f32
    %1 = kt.read %Y[%b, %s, %j] : !rows -> f32
    %2 = kt.read %T[%s, %j] : !kt.tensor<[s, 32] x f32> -> f32
    %3 = arith.addf %0, %1 : f32
    %4 = arith.addf %3, %2 : f32
    kt.yield %4 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !rows, %Y: !rows, %G: !g, %T: !kt.tensor<[s, 32] x f32>, %b: index, %s: index, %j: index):
    %0 = kt.read %G[%j] : !g -> f32
    %1 = arith.mulf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %n : !rows
}

// The norm of each head is none of the product's rows.
// CHECK-LABEL: @leaves_norms_of_parts_of_rows_alone
// CHECK: kt.reshape
// CHECK: kt.normalize rms {{.*}} -> <[m, 4, 8] x f32>
func.func @leaves_norms_of_parts_of_rows_alone(%a: !a, %w: !w) -> !kt.tensor<[m, 4, 8] x f32> {
  %p = kt.matmul %a, %w {depth = #kt.expr<64>, maps = [#lhs, #rhs, #res]} : !a, !w -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %v = kt.reshape %p : !c -> !kt.tensor<[m, 4, 8] x f32>
  %n = kt.normalize rms ins(%v : !kt.tensor<[m, 4, 8] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !kt.tensor<[m, 4, 8] x f32> {
  ^bb0(%V: !kt.tensor<[m, 4, 8] x f32>, %i: index, %h: index, %j: index):
    %0 = kt.read %V[%i, %h, %j] : !kt.tensor<[m, 4, 8] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !kt.tensor<[m, 4, 8] x f32>, %i: index, %h: index, %j: index):
    kt.yield %acc : f32
  }
  return %n : !kt.tensor<[m, 4, 8] x f32>
}

!qkv = !kt.tensor<[b, s, 64] x f32>
!part = !kt.tensor<[b, s, 32] x f32>
!heads = !kt.tensor<[b, s * 2, 16] x f32>

// Norms of heads that were merged with the rows: a part of a projection has them apart, and is read where it lies then.
// CHECK-LABEL: @norm_of_heads_of_a_part
// CHECK: %[[K:.*]] = kt.generic ins(%arg0 : {{.*}}) -> <[b, s, 32] x f32>
// CHECK: %[[V:.*]] = kt.reshape %[[K]] : <[b, s, 32] x f32> -> <[b, s, 2, 16] x f32>
// CHECK: %[[N:.*]] = kt.normalize rms ins(%[[V]], %arg1 {{.*}} -> <[b, s, 2, 16] x f32>
// CHECK: %[[R:.*]] = kt.reshape %[[N]] : <[b, s, 2, 16] x f32> -> <[b, s * 2, 16] x f32>
// CHECK: return %[[R]]
func.func @norm_of_heads_of_a_part(%m: !qkv, %g: !kt.tensor<[16] x f32>) -> !heads {
  %k = kt.generic ins(%m : !qkv) -> !part {
  ^bb0(%M: !qkv, %b: index, %i: index, %j: index):
    %c = arith.constant 32 : index
    %at = arith.addi %j, %c : index
    %0 = kt.read %M[%b, %i, %at] : !qkv -> f32
    kt.yield %0 : f32
  }
  %v = kt.reshape %k : !part -> !heads
  %n = kt.normalize rms ins(%v, %g : !heads, !kt.tensor<[16] x f32>) {axes = 1 : i64, epsilon = 1.0e-5 : f64} -> !heads {
  ^bb0(%V: !heads, %G: !kt.tensor<[16] x f32>, %b: index, %i: index, %j: index):
    %0 = kt.read %V[%b, %i, %j] : !heads -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %V: !heads, %G: !kt.tensor<[16] x f32>, %b: index, %i: index, %j: index):
    %0 = kt.read %G[%j] : !kt.tensor<[16] x f32> -> f32
    %1 = arith.mulf %acc, %0 : f32
    kt.yield %1 : f32
  }
  return %n : !heads
}

// As many elements, but only a check says so.
// CHECK-LABEL: @through_a_view_of_other_sizes
// CHECK: %[[R:.*]] = kt.reduce add
// CHECK: math.log
// CHECK: %[[V:.*]] = kt.reshape %[[R]] : <[p, q] x f32> -> <[r] x f32>
// CHECK-NEXT: return %[[V]]
func.func @through_a_view_of_other_sizes(%x: !kt.tensor<[p, q, 8] x f32>) -> !kt.tensor<[r] x f32> {
  %s = kt.reduce add over [#kt.expr<8>] ins(%x : !kt.tensor<[p, q, 8] x f32>) -> !kt.tensor<[p, q] x f32> {
  ^bb0(%X: !kt.tensor<[p, q, 8] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %j, %k] : !kt.tensor<[p, q, 8] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32, %X: !kt.tensor<[p, q, 8] x f32>, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.assert <p * q> equals <r>, "elements of a reshape are equal"
  %v = kt.reshape %s : !kt.tensor<[p, q] x f32> -> !kt.tensor<[r] x f32>
  %l = kt.generic ins(%v : !kt.tensor<[r] x f32>) -> !kt.tensor<[r] x f32> {
  ^bb0(%V: !kt.tensor<[r] x f32>, %i: index):
    %0 = kt.read %V[%i] : !kt.tensor<[r] x f32> -> f32
    %1 = math.log %0 : f32
    kt.yield %1 : f32
  }
  return %l : !kt.tensor<[r] x f32>
}
