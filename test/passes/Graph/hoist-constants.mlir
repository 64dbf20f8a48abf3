// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-hoist-constants),canonicalize,cse)' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-hoist-constants),canonicalize,cse)' %t | diff %t -

!x = !kt.tensor<[n, 2] x f32>
!c = !kt.tensor<[2] x f32>

// A batch norm: gamma = [1, 2], beta = [0, 1], mean = [0, 3], variance = [4, 16]. Its scale is [0.5, 0.5], its shift [0, -0.5].
// CHECK-LABEL: @batch_norm
// CHECK-SAME: %[[X:.*]]: !kt.tensor<[n, 2] x f32>
// CHECK-DAG: %[[SCALE:.*]] = kt.constant dense_resource<[[A:.*]]> : tensor<8xi8>
// CHECK-DAG: %[[SHIFT:.*]] = kt.constant dense_resource<[[B:.*]]> : tensor<8xi8>
// CHECK: kt.generic ins(%[[X]], %{{.*}}, %{{.*}} : !kt.tensor<[n, 2] x f32>, !kt.tensor<[2] x f32>, !kt.tensor<[2] x f32>)
// CHECK-NOT: math.sqrt
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NEXT: kt.yield
func.func @batch_norm(%x: !x) -> !x {
  %gamma = kt.constant dense_resource<gamma> : tensor<8xi8> : !c
  %beta = kt.constant dense_resource<beta> : tensor<8xi8> : !c
  %mean = kt.constant dense_resource<mean> : tensor<8xi8> : !c
  %variance = kt.constant dense_resource<variance> : tensor<8xi8> : !c
  %r = kt.generic ins(%x, %gamma, %beta, %mean, %variance : !x, !c, !c, !c, !c) -> !x {
  ^bb0(%X: !x, %G: !c, %B: !c, %M: !c, %V: !c, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %v = kt.read %V[%j] : !c -> f32
    %root = math.sqrt %v : f32
    %g = kt.read %G[%j] : !c -> f32
    %scale = arith.divf %g, %root : f32
    %m = kt.read %M[%j] : !c -> f32
    %ms = arith.mulf %m, %scale : f32
    %b = kt.read %B[%j] : !c -> f32
    %shift = arith.subf %b, %ms : f32
    %1 = arith.mulf %0, %scale : f32
    %2 = arith.addf %1, %shift : f32
    kt.yield %2 : f32
  }
  return %r : !x
}

// What is read as it is stays, and so does what depends on an input.
// CHECK-LABEL: @nothing_to_gain
// CHECK: kt.generic ins(%arg0, %arg1, %{{.*}} : !kt.tensor<[n, 2] x f32>, !kt.tensor<[2] x f32>, !kt.tensor<[2] x f32>)
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @nothing_to_gain(%x: !x, %s: !c) -> !x {
  %beta = kt.constant dense_resource<beta> : tensor<8xi8> : !c
  %r = kt.generic ins(%x, %s, %beta : !x, !c, !c) -> !x {
  ^bb0(%X: !x, %S: !c, %B: !c, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !x -> f32
    %1 = kt.read %S[%j] : !c -> f32
    %2 = arith.mulf %0, %1 : f32
    %3 = kt.read %B[%j] : !c -> f32
    %4 = arith.addf %2, %3 : f32
    kt.yield %4 : f32
  }
  return %r : !x
}

// CHECK: {-#
// CHECK-DAG: [[A]]: "0x{{[0-9A-F]+}}0000003F0000003F"
// CHECK-DAG: [[B]]: "0x{{[0-9A-F]+}}00000000000000BF"
{-#
  dialect_resources: {
    builtin: {
      gamma: "0x040000000000803F00000040",
      beta: "0x04000000000000000000803F",
      mean: "0x040000000000000000004040",
      variance: "0x040000000000804000008041"
    }
  }
#-}
