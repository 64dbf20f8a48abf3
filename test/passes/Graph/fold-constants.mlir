// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fold-constants,canonicalize))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-fold-constants,canonicalize))' %t | diff %t -

!v = !kt.tensor<[2] x f32>

// CHECK-LABEL: @arithmetic
// CHECK: %[[C:.*]] = kt.constant dense_resource<[[SUM:.*]]> : tensor<8xi8>
// CHECK-NOT: kt.generic
// CHECK: return %[[C]]
func.func @arithmetic() -> !v {
  %a = kt.constant dense_resource<a> : tensor<8xi8> : !v
  %r = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %one = arith.constant 1.0 : f32
    %0 = kt.read %A[%i] : !v -> f32
    %1 = arith.addf %0, %one : f32
    kt.yield %1 : f32
  }
  return %r : !v
}

// CHECK-LABEL: @leaves_inputs_alone
// CHECK: kt.generic ins(%arg0
func.func @leaves_inputs_alone(%a: !v) -> !v {
  %r = kt.generic ins(%a : !v) -> !v {
  ^bb0(%A: !v, %i: index):
    %0 = kt.read %A[%i] : !v -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  return %r : !v
}

// CHECK-LABEL: @leaves_symbolic_sizes_alone
// CHECK: kt.generic
func.func @leaves_symbolic_sizes_alone() -> !kt.tensor<[n] x f32> {
  %r = kt.generic -> !kt.tensor<[n] x f32> {
  ^bb0(%i: index):
    %0 = arith.constant 1.0 : f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[n] x f32>
}

// A repetition of two numbers to four megabytes would only make the artifact larger.
// CHECK-LABEL: @leaves_growth_alone
// CHECK: kt.generic
func.func @leaves_growth_alone() -> !kt.tensor<[524288, 2] x f32> {
  %a = kt.constant dense_resource<a> : tensor<8xi8> : !v
  %r = kt.generic ins(%a : !v) -> !kt.tensor<[524288, 2] x f32> {
  ^bb0(%A: !v, %i: index, %j: index):
    %0 = kt.read %A[%j] : !v -> f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[524288, 2] x f32>
}

// 1, 2 became 2, 3.
// CHECK: [[SUM]]: "0x{{[0-9]*}}0000004000004040"
{-#
  dialect_resources: { builtin: { a: "0x400000000000803F00000040" } }
#-}
