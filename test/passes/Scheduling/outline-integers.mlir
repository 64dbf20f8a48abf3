// RUN: kt-opt --kt-outline-kernels %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels %t | diff %t -

// A copy of 16 bytes is 16 channels of integers and 8 of halves: that kernel knows as much.
// CHECK-LABEL: func.func @chunks
// CHECK: kt.launch @conv_0 {{.*}} ints [#kt.expr<n>, #kt.expr<5>, #kt.expr<3>, #kt.expr<2>, #kt.expr<1>]
// CHECK: kt.launch @conv_1 {{.*}} ints [#kt.expr<n>, #kt.expr<5>, #kt.expr<3>, #kt.expr<4>, #kt.expr<2>]
// CHECK: kt.kernel @conv_0
// CHECK: kt.conv {{.*}}, p3 * 16] x ui8>
// CHECK: kt.kernel @conv_1
// CHECK: kt.conv {{.*}}, p3 * 8] x f16>
!integers = !kt.tensor<[n, 20, 20, 32] x ui8>
!halves = !kt.tensor<[n, 20, 20, 32] x f16>
func.func @chunks(%x: !integers, %w: !kt.tensor<[1, 2, 1, 32, 16] x i8>, %y: !halves, %v: !kt.tensor<[1, 2, 1, 32, 16] x f16>)
    -> (!kt.tensor<[n, 20, 20, 24] x i32>, !kt.tensor<[n, 20, 20, 24] x f32>) {
  %0 = kt.conv %x, %w {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
                       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !integers, !kt.tensor<[1, 2, 1, 32, 16] x i8> -> !kt.tensor<[n, 20, 20, 24] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index, %k: index, %l: index):
    kt.yield %acc : i32
  }
  %1 = kt.conv %y, %v {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
                       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
      : !halves, !kt.tensor<[1, 2, 1, 32, 16] x f16> -> !kt.tensor<[n, 20, 20, 24] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index, %k: index, %l: index):
    kt.yield %acc : f32
  }
  return %0, %1 : !kt.tensor<[n, 20, 20, 24] x i32>, !kt.tensor<[n, 20, 20, 24] x f32>
}
