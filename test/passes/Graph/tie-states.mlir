// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-tie-states))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-tie-states))' %t | diff %t -

!past = !kt.tensor<[b, past, 64] x f16>
!new = !kt.tensor<[b, seq, 64] x f16>
!all = !kt.tensor<[b, past + seq, 64] x f16>
!length = !kt.tensor<[b] x i64>

// A concatenation as import leaves it. The window begins where the argument ends, and who else reads the result sees what
// is held.
// CHECK-LABEL: @concat(
// CHECK-SAME: {kt.tied = 0 : i64}, %arg1
// CHECK-SAME: -> ({{.*}} {kt.tied = 0 : i64, kt.tied_axis = 1 : i64},
// CHECK: %[[STORED:.*]] = kt.capacity %arg0 : {{.*}} -> <[b, select(eq(0, @capacity), past, @capacity), 64] x f16>
// CHECK: %[[ALL:.*]] = kt.update axis 1 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> ins(%[[STORED]], %arg1 :
// CHECK-SAME: -> <[b, select(eq(0, @capacity), past + seq, @capacity), 64] x f16> {
// CHECK: ^bb0(%{{.*}}, %[[N:.*]]: {{.*}}, %[[B:.*]]: index, %[[I:.*]]: index, %[[D:.*]]: index):
// CHECK: %[[FROM:.*]] = kt.size <select(eq(0, @capacity), 0, past)>
// CHECK: %[[J:.*]] = arith.addi %[[I]], %[[FROM]]
// CHECK: kt.yield %{{[0-9]+}} : f16
// CHECK: %[[OUT:.*]] = kt.capacity %[[ALL]] : {{.*}} -> <[b, past + seq, 64] x f16>
// CHECK: %[[HELD:.*]] = kt.generic ins(%[[ALL]] : {{.*}}) -> <[b, past + seq, 64] x f16> {
// CHECK: kt.reduce add {{.*}}ins(%[[HELD]] :
// CHECK: return %[[OUT]], %
func.func @concat(%past: !past, %new: !new) -> (!all, !length) {
  %r = kt.generic ins(%past, %new : !past, !new) -> !all {
  ^bb0(%P: !past, %N: !new, %b: index, %j: index, %d: index):
    %zero = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !past -> f16
    %size = kt.size #kt.expr<past>
    %i = arith.subi %j, %size : index
    %1 = kt.read %N[%b, %i, %d] else %0 : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  %sum = kt.reduce add over [#kt.expr<past + seq>, #kt.expr<64>] ins(%r : !all) -> !length {
  ^bb0(%R: !all, %b: index, %j: index, %d: index):
    %0 = kt.read %R[%b, %j, %d] : !all -> f16
    %1 = arith.fptosi %0 : f16 to i64
    kt.yield %1 : i64
  } epilogue {
  ^bb0(%v: i64, %R: !all, %b: index):
    kt.yield %v : i64
  }
  return %r, %sum : !all, !length
}

// A choice by comparison, and what is new computed in the body: two results, each with an argument of its own.
// CHECK-LABEL: @chosen(
// CHECK-SAME: {kt.tied = 1 : i64}, {{.*}}{kt.tied = 0 : i64}
// CHECK-COUNT-2: kt.update axis 1 from <select(eq(0, @capacity), 0, past)>
// CHECK-NOT: kt.generic
func.func @chosen(%keys: !past, %values: !past, %new: !new) -> (!all, !all) {
  %v = kt.generic ins(%new, %values : !new, !past) -> !all {
  ^bb0(%N: !new, %P: !past, %b: index, %j: index, %d: index):
    %size = kt.size #kt.expr<past>
    %count = kt.size #kt.expr<seq>
    %zero = arith.constant 0.0 : f16
    %i = arith.subi %j, %size : index
    %is = arith.cmpi ult, %i, %count : index
    %0 = kt.read %N[%b, %i, %d] else %zero : f16 {check = array<i64: 1>} : !new -> f16
    %1 = arith.addf %0, %0 : f16
    %2 = kt.read %P[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !past -> f16
    %3 = arith.select %is, %1, %2 : f16
    kt.yield %3 : f16
  }
  %k = kt.generic ins(%new, %keys : !new, !past) -> !all {
  ^bb0(%N: !new, %P: !past, %b: index, %j: index, %d: index):
    %size = kt.size #kt.expr<past>
    %count = kt.size #kt.expr<seq>
    %zero = arith.constant 0.0 : f16
    %i = arith.subi %j, %size : index
    %is = arith.cmpi ult, %i, %count : index
    %0 = kt.read %N[%b, %i, %d] else %zero : f16 {check = array<i64: 1>} : !new -> f16
    %1 = kt.read %P[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !past -> f16
    %2 = arith.select %is, %0, %1 : f16
    kt.yield %2 : f16
  }
  return %v, %k : !all, !all
}

// Where each sequence ends is data: elements move by what the body says.
// CHECK-LABEL: @lengths(
// CHECK: kt.update axis 1 from <0> count <select(eq(0, @capacity), past + seq, seq)>
// CHECK: %[[KEPT:.*]] = kt.size <select(eq(0, @capacity), 0, 1)>
// CHECK: %[[IS:.*]] = arith.cmpi ne, %[[KEPT]]
// CHECK: %[[MOVED:.*]] = arith.select %[[IS]]
// CHECK: kt.yield %{{[0-9]+}}, %[[MOVED]] : f16, index
func.func @lengths(%past: !past, %new: !new, %lengths: !length) -> !all {
  %r = kt.generic ins(%past, %new, %lengths : !past, !new, !length) -> !all {
  ^bb0(%P: !past, %N: !new, %L: !length, %b: index, %j: index, %d: index):
    %zero = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !past -> f16
    %length = kt.read %L[%b] : !length -> i64
    %at = arith.index_cast %length : i64 to index
    %i = arith.subi %j, %at : index
    %1 = kt.read %N[%b, %i, %d] else %0 : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  return %r : !all
}

// Not up to some position the argument: in another place, with another element, or behind what is new.
// CHECK-LABEL: @moved(
// CHECK-NOT: kt.update
func.func @moved(%past: !past, %new: !new) -> !all {
  %r = kt.generic ins(%past, %new : !past, !new) -> !all {
  ^bb0(%P: !past, %N: !new, %b: index, %j: index, %d: index):
    %zero = arith.constant 0.0 : f16
    %0 = kt.read %N[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !new -> f16
    %twice = arith.addf %0, %0 : f16
    %size = kt.size #kt.expr<seq>
    %i = arith.subi %j, %size : index
    %1 = kt.read %P[%b, %i, %d] else %twice : f16 {check = array<i64: 1>} : !past -> f16
    kt.yield %1 : f16
  }
  return %r : !all
}

// CHECK-LABEL: @changed(
// CHECK-NOT: kt.update
func.func @changed(%past: !past, %new: !new) -> !all {
  %r = kt.generic ins(%past, %new : !past, !new) -> !all {
  ^bb0(%P: !past, %N: !new, %b: index, %j: index, %d: index):
    %zero = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %j, %d] else %zero : f16 {check = array<i64: 1>} : !past -> f16
    %scaled = arith.addf %0, %0 : f16
    %size = kt.size #kt.expr<past>
    %i = arith.subi %j, %size : index
    %1 = kt.read %N[%b, %i, %d] else %scaled : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  return %r : !all
}

!cache = !kt.tensor<[b, room, 64] x f16>

// A cache of fixed size: data says where the window is, and it is all that is computed where a session has the cache in place. Who else reads the result reads it.
// CHECK-LABEL: @window(
// CHECK-SAME: {kt.tied = 0 : i64}, {{.*}} -> ({{.*}} {kt.tied = 0 : i64, kt.tied_axis = 1 : i64},
// CHECK-NOT: kt.capacity
// CHECK: %[[ALL:.*]] = kt.update axis 1 from <0> count <select(eq(0, @capacity), room, seq)> ins(%arg0, %arg1, %arg2 :
// CHECK: kt.yield %{{[0-9]+}}, %{{[0-9]+}} : f16, index
// CHECK: kt.reduce add {{.*}}ins(%[[ALL]] :
// CHECK: return %[[ALL]], %
func.func @window(%past: !cache, %new: !new, %at: !length) -> (!cache, !length) {
  %r = kt.generic ins(%past, %new, %at : !cache, !new, !length) -> !cache {
  ^bb0(%P: !cache, %N: !new, %A: !length, %b: index, %j: index, %d: index):
    %0 = kt.read %P[%b, %j, %d] : !cache -> f16
    %from = kt.read %A[%b] : !length -> i64
    %at_ = arith.index_cast %from : i64 to index
    %i = arith.subi %j, %at_ : index
    %1 = kt.read %N[%b, %i, %d] else %0 : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  %sum = kt.reduce add over [#kt.expr<room>, #kt.expr<64>] ins(%r : !cache) -> !length {
  ^bb0(%R: !cache, %b: index, %j: index, %d: index):
    %0 = kt.read %R[%b, %j, %d] : !cache -> f16
    %1 = arith.fptosi %0 : f16 to i64
    kt.yield %1 : i64
  } epilogue {
  ^bb0(%v: i64, %R: !cache, %b: index):
    kt.yield %v : i64
  }
  return %r, %sum : !cache, !length
}

// What would lie behind the end lies at the begin: the window's place is what the body makes the window's element of.
// CHECK-LABEL: @ring(
// CHECK: kt.update axis 1 from <0> count <select(eq(0, @capacity), room, seq)>
// CHECK: ^bb0({{.*}}, %{{.*}}: index, %[[I:.*]]: index, %{{.*}}: index):
// CHECK: %[[BY:.*]] = arith.index_cast
// CHECK: %[[ROOM:.*]] = kt.size <room>
// CHECK: %[[PLACE:.*]] = arith.addi %[[I]], %[[BY]]
// CHECK: %[[OVER:.*]] = arith.cmpi sge, %[[PLACE]], %[[ROOM]]
// CHECK: %[[BACK:.*]] = arith.subi %[[BY]], %[[ROOM]]
// CHECK: %[[SHIFT:.*]] = arith.select %[[OVER]], %[[BACK]], %[[BY]]
// CHECK: %[[BEGIN:.*]] = arith.select %{{.*}}, %[[SHIFT]], %
// CHECK: kt.read %{{.*}}[{{.*}}] else %{{.*}} {check = array<i64: 1>} : <[b, room, 64] x f16>
// CHECK: kt.yield %{{[0-9]+}}, %[[BEGIN]] : f16, index
func.func @ring(%past: !cache, %new: !new, %at: !length) -> !cache {
  %r = kt.generic ins(%past, %new, %at : !cache, !new, !length) -> !cache {
  ^bb0(%P: !cache, %N: !new, %A: !length, %b: index, %j: index, %d: index):
    %c0 = arith.constant 0 : index
    %from = kt.read %A[%b] : !length -> i64
    %at_ = arith.index_cast %from : i64 to index
    %room = kt.size <room>
    %by = arith.subi %j, %at_ : index
    %before = arith.cmpi slt, %by, %c0 : index
    %turned = arith.addi %by, %room : index
    %i = arith.select %before, %turned, %by : index
    %0 = kt.read %P[%b, %j, %d] : !cache -> f16
    %1 = kt.read %N[%b, %i, %d] else %0 : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  return %r : !cache
}

// The window is at the begin, along the last dimension.
// CHECK-LABEL: @first(
// CHECK-SAME: kt.tied_axis = 2 : i64
// CHECK: kt.update axis 2 from <0> count <select(eq(0, @capacity), 64, 7)>
func.func @first(%past: !cache, %new: !kt.tensor<[b, room, 7] x f16>) -> !cache {
  %r = kt.generic ins(%past, %new : !cache, !kt.tensor<[b, room, 7] x f16>) -> !cache {
  ^bb0(%P: !cache, %N: !kt.tensor<[b, room, 7] x f16>, %b: index, %j: index, %d: index):
    %0 = kt.read %P[%b, %j, %d] : !cache -> f16
    %1 = kt.read %N[%b, %j, %d] else %0 : f16 {check = array<i64: 2>} : !kt.tensor<[b, room, 7] x f16> -> f16
    kt.yield %1 : f16
  }
  return %r : !cache
}

// Who reads the cache as it was would find it changed.
// CHECK-LABEL: @read_elsewhere(
// CHECK-NOT: kt.update
func.func @read_elsewhere(%past: !cache, %new: !new) -> (!cache, !cache) {
  %r = kt.generic ins(%past, %new : !cache, !new) -> !cache {
  ^bb0(%P: !cache, %N: !new, %b: index, %j: index, %d: index):
    %0 = kt.read %P[%b, %j, %d] : !cache -> f16
    %1 = kt.read %N[%b, %j, %d] else %0 : f16 {check = array<i64: 1>} : !new -> f16
    kt.yield %1 : f16
  }
  %twice = kt.generic ins(%past : !cache) -> !cache {
  ^bb0(%P: !cache, %b: index, %j: index, %d: index):
    %0 = kt.read %P[%b, %j, %d] : !cache -> f16
    %1 = arith.addf %0, %0 : f16
    kt.yield %1 : f16
  }
  return %r, %twice : !cache, !cache
}

// All of it is replaced: the operator says whose next state it is, or both names do. Not where nothing of the argument is in the result, nor
// where the result is the argument: nobody else would give that.
// CHECK-LABEL: @replaced(
// CHECK-SAME: {kt.name = "s", kt.tied = 0 : i64}
// CHECK-SAME: {kt.name = "past_key_values.0.conv_state", kt.tied = 1 : i64}
// CHECK-SAME: {kt.name = "past_other"}
// CHECK-SAME: {kt.name = "past_plain"}
// CHECK-SAME: {kt.name = "past_encoder"}
// CHECK-SAME: -> ({{.*}} {kt.name = "t", kt.next_of = 0 : i64, kt.tied = 0 : i64}, {{.*}} {kt.name = "present.0.conv_state", kt.tied = 1 : i64}, {{.*}} {kt.name = "present_other"}, {{.*}} {kt.name = "plain"}, {{.*}} {kt.name = "present_encoder"})
func.func @replaced(%s: !length {kt.name = "s"}, %c: !length {kt.name = "past_key_values.0.conv_state"}, %o: !length {kt.name = "past_other"},
    %p: !length {kt.name = "past_plain"}, %e: !length {kt.name = "past_encoder"}) -> (!length {kt.name = "t", kt.next_of = 0 : i64}, !length {kt.name = "present.0.conv_state"},
    !length {kt.name = "present_other"}, !length {kt.name = "plain"}, !length {kt.name = "present_encoder"}) {
  %0 = kt.generic ins(%s : !length) -> !length {
  ^bb0(%S: !length, %b: index):
    %v = kt.read %S[%b] : !length -> i64
    %w = arith.addi %v, %v : i64
    kt.yield %w : i64
  }
  %1 = kt.generic ins(%c, %p : !length, !length) -> !length {
  ^bb0(%C: !length, %P: !length, %b: index):
    %v = kt.read %C[%b] : !length -> i64
    %u = kt.read %P[%b] : !length -> i64
    %w = arith.addi %v, %u : i64
    kt.yield %w : i64
  }
  return %0, %1, %1, %0, %e : !length, !length, !length, !length, !length
}
