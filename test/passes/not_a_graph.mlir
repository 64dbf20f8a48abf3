// Passes leave what is no graph as it is: declarations, calls, foreign ops on tensors, scalars, several blocks.
// RUN: kt-opt %s | FileCheck %s
// RUN: kt-opt %s -o %t.before
// RUN: kt-opt %s --pass-pipeline="builtin.module(func.func(kt-absorb-layouts,kt-fuse-bodies,kt-fuse-epilogues,kt-hoist-constants,kt-fold-constants,kt-simplify-bodies,kt-raise-norms,kt-raise-attention,kt-pack-weights,kt-quantize-weights,kt-convert-precision{to=fp16},kt-slice-graph))" -o %t.after
// RUN: diff %t.before %t.after
// RUN: kt-opt %s --pass-pipeline="builtin.module(func.func(kt-convert-precision{to=fp32}))" -o %t.wide
// RUN: diff %t.before %t.wide

// CHECK: func.func private @declared
func.func private @declared(!kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32>

func.func @calls(%x: !kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32> {
  %r = kt.generic ins(%x : !kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32> {
  ^bb0(%X: !kt.tensor<[n, 4] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 4] x f32> -> f32
    kt.yield %0 : f32
  }
  %y = func.call @declared(%r) : (!kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32>
  return %y : !kt.tensor<[n, 4] x f32>
}

func.func @selects(%c: i1, %x: !kt.tensor<[n, 4] x f32>, %y: !kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32> {
  %z = arith.select %c, %x, %y : !kt.tensor<[n, 4] x f32>
  %r = kt.generic ins(%z : !kt.tensor<[n, 4] x f32>) -> !kt.tensor<[n, 4] x f32> {
  ^bb0(%X: !kt.tensor<[n, 4] x f32>, %i: index, %j: index):
    %0 = kt.read %X[%i, %j] : !kt.tensor<[n, 4] x f32> -> f32
    kt.yield %0 : f32
  }
  return %r : !kt.tensor<[n, 4] x f32>
}

func.func @scalar(%x: f32) -> f32 {
  return %x : f32
}

func.func @blocks() {
  return
^bb1:
  return
}
