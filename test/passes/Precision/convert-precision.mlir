// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-convert-precision{to=fp16}))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-convert-precision{to=fp16}))' %t | diff %t -
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-convert-precision{to=bf16}))' %s | FileCheck %s --check-prefix=BF16
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-convert-precision{to=fp32}))' %t | FileCheck %s --check-prefix=BACK
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-convert-precision{to=bf16}))' %t | FileCheck %s --check-prefix=OTHER

!x = !kt.tensor<[m, 2] x f32>
!w = !kt.tensor<[1, 2, 16] x f32>
!r = !kt.tensor<[m, 16] x f32>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// Weights are narrowed at compile time, an input before it is multiplied; what is finite stays finite. The accumulator and the graph's
// result are f32.
// CHECK-LABEL: @product
// CHECK-SAME: (%[[X:.*]]: !kt.tensor<[m, 2] x f32>) -> !kt.tensor<[m, 16] x f32>
// CHECK: %[[W:.*]] = kt.constant dense_resource<[[HALF:.*]]> : tensor<64xi8> {{.*}}: <[1, 2, 16] x f16>
// CHECK: %[[N:.*]] = kt.generic ins(%[[X]] : !kt.tensor<[m, 2] x f32>) -> <[m, 2] x f16>
// CHECK: %[[V:.*]] = kt.read
// CHECK: arith.constant 6.550400e+04 : f32
// CHECK: arith.minimumf %[[V]]
// CHECK: arith.truncf {{.*}} f32 to f16
// CHECK: kt.matmul %[[N]], %[[W]] {{.*}} : <[m, 2] x f16>, <[1, 2, 16] x f16> -> <[m, 16] x f32>
// CHECK-NEXT: ^bb0(%{{.*}}: f32,
// BF16-LABEL: @product
// BF16: kt.constant dense_resource<[[BRAIN:.*]]> : tensor<64xi8> {{.*}}: <[1, 2, 16] x bf16>
// BF16-NOT: arith.minimumf
// BF16: kt.matmul {{.*}} : <[m, 2] x bf16>, <[1, 2, 16] x bf16> -> <[m, 16] x f32>
// OTHER-LABEL: @activation
// OTHER: kt.matmul {{.*}} -> <[m, 16] x bf16>
// OTHER: kt.generic {{.*}} -> <[m, 16] x bf16>
// BACK-LABEL: @product
// BACK: kt.matmul {{.*}} : <[m, 2] x f32>, <[1, 2, 16] x f32> -> <[m, 16] x f32>
func.func @product(%x: !x) -> !r {
  %w = kt.constant dense_resource<w> : tensor<128xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<2>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// What is stored between two products is narrow; the arithmetic of the body in between is not.
// CHECK-LABEL: @activation
// CHECK: kt.matmul {{.*}} -> <[m, 16] x f16>
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: %[[A:.*]] = kt.generic {{.*}} -> <[m, 16] x f16>
// CHECK: %[[V:.*]] = kt.read {{.*}} -> f16
// CHECK-NEXT: %[[E:.*]] = arith.extf %[[V]] : f16 to f32
// CHECK-NEXT: math.tanh %[[E]] : f32
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: kt.matmul %[[A]], %[[A]] {{.*}} : <[m, 16] x f16>, <[m, 16] x f16> -> <[m, m] x f32>
// BACK-LABEL: @activation
// BACK: kt.matmul {{.*}} -> <[m, 16] x f32>
// BACK: kt.generic {{.*}} -> <[m, 16] x f32>
// BACK: %[[V:.*]] = kt.read {{.*}} -> f32
// BACK-NEXT: arith.truncf %[[V]] : f32 to f16
func.func @activation(%x: !x) -> !kt.tensor<[m, m] x f32> {
  %w = kt.constant dense_resource<w> : tensor<128xi8> : !w
  %p = kt.matmul %x, %w {depth = #kt.expr<2>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %a = kt.generic ins(%p : !r) -> !r {
  ^bb0(%P: !r, %i: index, %j: index):
    %0 = kt.read %P[%i, %j] : !r -> f32
    %1 = math.tanh %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.matmul %a, %a {depth = #kt.expr<16>, maps = [#lhs, affine_map<(m, n, k) -> (n, k)>, #res]} : !r, !r -> !kt.tensor<[m, m] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[m, m] x f32>
}

// Positions and what is computed from them are exact, though an activation reads them; an activation that the graph returns as well is
// not narrowed.
// CHECK-LABEL: @leaves_positions_and_results_alone
// CHECK: %[[ANGLE:.*]] = kt.generic ins(%arg1 : !kt.tensor<[m] x i64>) -> <[m] x f32>
// CHECK: %[[Y:.*]] = kt.generic ins(%arg0, %[[ANGLE]] : !kt.tensor<[m, 2] x f32>, !kt.tensor<[m] x f32>) -> <[m, 2] x f32>
// CHECK-NOT: f16
// CHECK: return
func.func @leaves_positions_and_results_alone(%x: !x, %p: !kt.tensor<[m] x i64>) -> !x {
  %a = kt.generic ins(%p : !kt.tensor<[m] x i64>) -> !kt.tensor<[m] x f32> {
  ^bb0(%P: !kt.tensor<[m] x i64>, %i: index):
    %0 = kt.read %P[%i] : !kt.tensor<[m] x i64> -> i64
    %1 = arith.sitofp %0 : i64 to f32
    %2 = math.sin %1 : f32
    kt.yield %2 : f32
  }
  %y = kt.generic ins(%x, %a : !x, !kt.tensor<[m] x f32>) -> !x {
  ^bb0(%X: !x, %A: !kt.tensor<[m] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %A[%i] : !kt.tensor<[m] x f32> -> f32
    %2 = arith.mulf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %y : !x
}

// A product that makes an angle reads its factors as they are; the cosine is an activation again.
// CHECK-LABEL: @angle
// CHECK: kt.matmul %arg0, %{{.*}} packed} : <[m, 2] x f32>, <[1, 2, 16] x f32> -> <[m, 16] x f32>
// CHECK: kt.generic ins(%{{.*}} : !kt.tensor<[m, 16] x f32>) -> <[m, 16] x f16>
// CHECK: math.cos %{{.*}} : f32
func.func @angle(%x: !x) -> !kt.tensor<[m, m] x f32> {
  %w = kt.constant dense_resource<w> : tensor<128xi8> : !w
  %p = kt.matmul %x, %w {depth = #kt.expr<2>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %a = kt.generic ins(%p : !r) -> !r {
  ^bb0(%P: !r, %i: index, %j: index):
    %0 = kt.read %P[%i, %j] : !r -> f32
    %1 = math.cos %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.matmul %a, %a {depth = #kt.expr<16>, maps = [#lhs, affine_map<(m, n, k) -> (n, k)>, #res]} : !r, !r -> !kt.tensor<[m, m] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !kt.tensor<[m, m] x f32>
}

// CHECK: [[HALF]]: "0x{{[0-9]*}}003CFF7B007C003C003C003C003C003C003C003C003C003C003C003C003C003C003CFF7B007C003C003C003C003C003C003C003C003C003C003C003C003C003C"
// BF16: [[BRAIN]]: "0x{{[0-9]*}}803F7449807F803F803F803F803F803F803F803F803F803F803F803F803F803F803F7449807F803F803F803F803F803F803F803F803F803F803F803F803F803F"
{-#
  dialect_resources: { builtin: { w: "0x400000000000803F002474490000807F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F002474490000807F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F" } }
#-}
