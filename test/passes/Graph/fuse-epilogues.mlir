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
