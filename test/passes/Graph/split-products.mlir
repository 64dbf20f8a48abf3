// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-split-products))' %s -o %t
// RUN: FileCheck %s < %t
// A second run changes nothing.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-split-products))' %t | diff %t -
// The reader becomes an epilogue, and both products one of parts.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-split-products,kt-fuse-epilogues,kt-merge-products))' %s | FileCheck %s --check-prefix=PARTS

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

!x = !kt.tensor<[s, 2] x f32>
!c = !kt.tensor<[s, 4] x f32>
!r = !kt.tensor<[s, 2] x f32>

// Columns 2 and 3 of the bias belong to the second product.
// CHECK-LABEL: @gate_and_up(
// CHECK: %[[W0:.*]] = kt.constant dense_resource<{{.*}}> : tensor<16xi8> {name = "w"} : <[2, 2] x f32>
// CHECK: %[[G:.*]] = kt.matmul %arg0, %[[W0]] extras(%arg1
// CHECK: %[[W1:.*]] = kt.constant dense_resource<{{.*}}> : tensor<16xi8> : <[2, 2] x f32>
// CHECK: %[[U:.*]] = kt.matmul %arg0, %[[W1]] extras(%arg1
// CHECK: ^bb0(%{{.*}}: f32, %[[B:.*]]: !kt.tensor<[4] x f32>, %{{.*}}: index, %[[J:.*]]: index):
// CHECK: %[[AT:.*]] = arith.addi %[[J]], %c2
// CHECK: kt.read %[[B]][%[[AT]]]
// CHECK: kt.generic ins(%[[G]], %[[U]]
// CHECK: ^bb0(%[[GT:.*]]: !kt.tensor<[s, 2] x f32>, %[[UT:.*]]: !kt.tensor<[s, 2] x f32>, %[[I0:.*]]: index, %[[I1:.*]]: index):
// CHECK-DAG: kt.read %[[GT]][%[[I0]], %[[I1]]]
// CHECK-DAG: kt.read %[[UT]][%[[I0]], %[[I1]]]
// PARTS-LABEL: @gate_and_up(
// PARTS-NOT: kt.generic
// PARTS: kt.matmul {{.*}} parts = 2 {{.*}} -> <[s, 2] x f32>
// PARTS-NOT: kt.generic
// PARTS: return
func.func @gate_and_up(%x: !x, %bias: !kt.tensor<[4] x f32>) -> !r {
  %w = kt.constant dense_resource<w> : tensor<32xi8> {name = "w"} : <[2, 4] x f32>
  %c = kt.matmul %x, %w extras(%bias : !kt.tensor<[4] x f32>) {depth = #kt.expr<2>, maps = [#mk, #kn, #mn]} : !x, !kt.tensor<[2, 4] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %b: !kt.tensor<[4] x f32>, %i: index, %j: index):
    %e = kt.read %b[%j] : <[4] x f32> -> f32
    %y = arith.addf %acc, %e : f32
    kt.yield %y : f32
  }
  %r = kt.generic ins(%c : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %c2 = arith.constant 2 : index
    %at = arith.addi %j, %c2 : index
    %g = kt.read %t[%i, %j] : !c -> f32
    %u = kt.read %t[%i, %at] : !c -> f32
    %y = arith.mulf %g, %u : f32
    kt.yield %y : f32
  }
  return %r : !r
}

// Numbers of few bits stay together: half of their bytes are not half of the columns.
// CHECK-LABEL: @weights_of_few_bits(
// CHECK: kt.matmul {{.*}} -> <[s, 4] x f32>
// CHECK-NOT: kt.matmul
// CHECK: kt.generic
func.func @weights_of_few_bits(%x: !kt.tensor<[s, 16] x f32>) -> !r {
  %q = kt.constant dense_resource<w> : tensor<32xi8> : <[4, 1, 8] x ui8>
  %f = kt.constant dense_resource<f> : tensor<8xi8> : <[4, 1] x f16>
  %w = kt.dequantize %q, %f {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[4, 1, 8] x ui8>, !kt.tensor<[4, 1] x f16> -> !kt.tensor<[4, 16] x f32>
  %c = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#mk, #nk, #mn]} : !kt.tensor<[s, 16] x f32>, !kt.tensor<[4, 16] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%c : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %c2 = arith.constant 2 : index
    %at = arith.addi %j, %c2 : index
    %g = kt.read %t[%i, %j] : !c -> f32
    %u = kt.read %t[%i, %at] : !c -> f32
    %y = arith.mulf %g, %u : f32
    kt.yield %y : f32
  }
  return %r : !r
}

// Weights as [n, k]: each half is one piece.
// CHECK-LABEL: @rows_of_weights(
// CHECK-COUNT-2: kt.matmul {{.*}} <[2, 2] x f32> -> <[s, 2] x f32>
func.func @rows_of_weights(%x: !x) -> !r {
  %w = kt.constant dense_resource<v> : tensor<32xi8> : <[4, 2] x f32>
  %c = kt.matmul %x, %w {depth = #kt.expr<2>, maps = [#mk, #nk, #mn]} : !x, !kt.tensor<[4, 2] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r = kt.generic ins(%c : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %c2 = arith.constant 2 : index
    %at = arith.addi %j, %c2 : index
    %g = kt.read %t[%i, %at] : !c -> f32
    %u = kt.read %t[%i, %j] : !c -> f32
    %y = arith.subf %g, %u : f32
    kt.yield %y : f32
  }
  return %r : !r
}

// One half alone, another distance, and weights that something else reads.
// CHECK-LABEL: @leaves_alone(
// CHECK-COUNT-3: kt.matmul {{.*}} -> <[s, 4] x f32>
// CHECK-NOT: kt.matmul
func.func @leaves_alone(%x: !x) -> (!r, !r, !r, !kt.tensor<[2, 4] x f32>) {
  %w0 = kt.constant dense_resource<w0> : tensor<32xi8> : <[2, 4] x f32>
  %w1 = kt.constant dense_resource<w1> : tensor<32xi8> : <[2, 4] x f32>
  %w2 = kt.constant dense_resource<w2> : tensor<32xi8> : <[2, 4] x f32>
  %c0 = kt.matmul %x, %w0 {depth = #kt.expr<2>, maps = [#mk, #kn, #mn]} : !x, !kt.tensor<[2, 4] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r0 = kt.generic ins(%c0 : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %g = kt.read %t[%i, %j] : !c -> f32
    kt.yield %g : f32
  }
  %c1 = kt.matmul %x, %w1 {depth = #kt.expr<2>, maps = [#mk, #kn, #mn]} : !x, !kt.tensor<[2, 4] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r1 = kt.generic ins(%c1 : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %c1i = arith.constant 1 : index
    %at = arith.addi %j, %c1i : index
    %g = kt.read %t[%i, %j] : !c -> f32
    %u = kt.read %t[%i, %at] : !c -> f32
    %y = arith.mulf %g, %u : f32
    kt.yield %y : f32
  }
  %c2 = kt.matmul %x, %w2 {depth = #kt.expr<2>, maps = [#mk, #kn, #mn]} : !x, !kt.tensor<[2, 4] x f32> -> !c epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %r2 = kt.generic ins(%c2 : !c) -> !r {
  ^bb0(%t: !c, %i: index, %j: index):
    %c2i = arith.constant 2 : index
    %at = arith.addi %j, %c2i : index
    %g = kt.read %t[%i, %j] : !c -> f32
    %u = kt.read %t[%i, %at] : !c -> f32
    %y = arith.mulf %g, %u : f32
    kt.yield %y : f32
  }
  return %r0, %r1, %r2, %w2 : !r, !r, !r, !kt.tensor<[2, 4] x f32>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      v: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      w0: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      w1: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      w2: "0x040000000000803F0000004000004040000080400000A0400000C0400000E04000000041",
      f: "0x04000000003C003C003C003C"
    }
  }
#-}
