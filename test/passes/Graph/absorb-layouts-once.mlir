// A result is turned at most once: readers that want different orders would turn it back and forth, and the pass would not end. A run of
// its own later may turn the result for another reader.
// RUN: timeout 60 kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-layouts),cse)' %s | FileCheck %s

// One reader has the layout that it wants, the other's transposition starts from there.
// CHECK-LABEL: @readers_that_disagree
// CHECK: %[[E:.*]] = kt.generic ins(%arg0 : !kt.tensor<[a, b, c] x f32>) -> <[b, a, c] x f32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[a, b, c] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index):
// CHECK-NEXT: kt.read %[[X]][%[[J]], %[[I]], %[[K]]]
// CHECK: %[[S:.*]] = kt.generic ins(%[[E]] : !kt.tensor<[b, a, c] x f32>) -> <[c, b, a] x f32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: !kt.tensor<[b, a, c] x f32>, %[[I:.*]]: index, %[[J:.*]]: index, %[[K:.*]]: index):
// CHECK-NEXT: kt.read %[[X]][%[[J]], %[[K]], %[[I]]]
// CHECK-NOT: kt.generic
// CHECK: kt.normalize{{ +}}softmax ins(%[[S]]
// CHECK: kt.normalize{{ +}}softmax ins(%[[E]]
func.func @readers_that_disagree(%x: !kt.tensor<[a, b, c] x f32>) -> (!kt.tensor<[c, b, a] x f32>, !kt.tensor<[b, a, c] x f32>) {
  %e = kt.generic ins(%x : !kt.tensor<[a, b, c] x f32>) -> !kt.tensor<[a, b, c] x f32> {
  ^bb0(%X: !kt.tensor<[a, b, c] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %X[%i, %j, %k] : !kt.tensor<[a, b, c] x f32> -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %s = kt.generic ins(%e : !kt.tensor<[a, b, c] x f32>) -> !kt.tensor<[c, b, a] x f32> {
  ^bb0(%E: !kt.tensor<[a, b, c] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %E[%k, %j, %i] : !kt.tensor<[a, b, c] x f32> -> f32
    kt.yield %0 : f32
  }
  %t = kt.generic ins(%e : !kt.tensor<[a, b, c] x f32>) -> !kt.tensor<[b, a, c] x f32> {
  ^bb0(%E: !kt.tensor<[a, b, c] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %E[%j, %i, %k] : !kt.tensor<[a, b, c] x f32> -> f32
    kt.yield %0 : f32
  }
  %p = kt.normalize softmax ins(%s : !kt.tensor<[c, b, a] x f32>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[c, b, a] x f32> {
  ^bb0(%S: !kt.tensor<[c, b, a] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %S[%i, %j, %k] : !kt.tensor<[c, b, a] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %S: !kt.tensor<[c, b, a] x f32>, %i: index, %j: index, %k: index):
    kt.yield %v : f32
  }
  %q = kt.normalize softmax ins(%t : !kt.tensor<[b, a, c] x f32>) {axes = 1 : i64, epsilon = 0.0 : f64} -> !kt.tensor<[b, a, c] x f32> {
  ^bb0(%T: !kt.tensor<[b, a, c] x f32>, %i: index, %j: index, %k: index):
    %0 = kt.read %T[%i, %j, %k] : !kt.tensor<[b, a, c] x f32> -> f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%v: f32, %T: !kt.tensor<[b, a, c] x f32>, %i: index, %j: index, %k: index):
    kt.yield %v : f32
  }
  return %p, %q : !kt.tensor<[c, b, a] x f32>, !kt.tensor<[b, a, c] x f32>
}
