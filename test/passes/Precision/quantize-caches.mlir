// RUN: kt-opt --split-input-file --pass-pipeline='builtin.module(func.func(kt-quantize-caches,canonicalize))' --verify-diagnostics %s -o %t
// RUN: FileCheck %s < %t

!past = !kt.tensor<[b, 2, past, 64] x f16>
!new = !kt.tensor<[b, 2, seq, 64] x f16>
!all = !kt.tensor<[b, 2, past + seq, 64] x f16>
!state = !kt.tensor<[b, 2, select(eq(0, @capacity), past, @capacity), 64] x f16>
!next = !kt.tensor<[b, 2, select(eq(0, @capacity), past + seq, @capacity), 64] x f16>
!q = !kt.tensor<[b, 4, seq, 64] x f16>

#map = affine_map<(b, h, i, d) -> (b, h, i, d)>
#held = #kt.view<[b, 2, past + seq, 64] strides [select(eq(0, @capacity), past + seq, @capacity) * 128, select(eq(0, @capacity), past + seq, @capacity) * 64, 64, 1] offset 0>

// Keys and values are windows of integers beside windows of scales, and the results of the graph that no caller sees say for which result they are kept. A run that keeps nothing returns what it would
// otherwise; one that does has no rows of the argument's type to read.
// CHECK-LABEL: @both(
// CHECK-SAME: -> (!kt.tensor<[b, 4, seq, 64] x f16>, {{.*}} {kt.tied = 1 : i64, kt.tied_axis = 2 : i64}, {{.*}} {kt.tied = 2 : i64, kt.tied_axis = 2 : i64},
// CHECK-SAME: x i8> {kt.kept_for = 1 : i64}, {{.*}} x f32> {kt.kept_for = 1 : i64}, {{.*}} x i8> {kt.kept_for = 2 : i64}, {{.*}} x f32> {kt.kept_for = 2 : i64})
// CHECK: %[[PAST:.*]] = kt.capacity %arg1 : {{.*}} -> <[b, 2, select(eq(0, @capacity), past, 0), 64] x f16>
// CHECK: %[[ROWS:.*]] = kt.reduce max over [#kt.expr<64>] ins(%[[PAST]], %arg3 :
// CHECK-SAME: -> <[b, 2, select(eq(0, @capacity), past + seq, seq), 1] x f32> {
// CHECK: kt.read %{{.*}} else %{{.*}} : f16 {check = array<i64: 2>} : <[b, 2, select(eq(0, @capacity), past, 0), 64] x f16>
// CHECK: math.absf
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK: %[[KEYS:.*]] = kt.update axis 2 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> ins(%[[PAST]], %arg3, %[[ROWS]] :
// CHECK-SAME: -> <[b, 2, select(eq(0, @capacity), past + seq, @capacity), 64] x i8> {
// CHECK: math.roundeven %{{.*}} {kt.stored}
// CHECK: arith.fptosi %{{.*}} {kt.stored}
// CHECK: %[[VALUES:.*]] = kt.update {{.*}} x i8> {
// CHECK: %[[OFKEYS:.*]] = kt.update axis 2 {{.*}} -> <[b, 2, select(eq(0, @capacity), past + seq, @capacity), 1] x f32> {
// CHECK: %[[OFVALUES:.*]] = kt.update axis 2 {{.*}}, 1] x f32> {
// CHECK: %[[R:.*]] = kt.attention %arg0, %[[KEYS]], %[[VALUES]] extras(%[[OFKEYS]], %[[OFVALUES]] :
// CHECK: } scales {
// CHECK-NEXT: ^bb0(%[[X:.*]]: {{.*}}, %[[Y:.*]]: {{.*}}, %[[B:.*]]: index, %[[G:.*]]: index, %[[J:.*]]: index):
// CHECK: %[[KS:.*]] = kt.read %[[X]][%[[B]], %[[G]], %[[J]], %c0]
// CHECK: %[[VS:.*]] = kt.read %[[Y]][%[[B]], %[[G]], %[[J]], %c0]
// CHECK: kt.yield %[[KS]], %[[VS]] : f32, f32
// CHECK: %[[PLAIN:.*]] = kt.generic {{.*}} -> <[b, 2, select(eq(0, @capacity), past + seq, 0), 64] x f16> {
// CHECK: kt.capacity %{{.*}} : <[b, 2, select(eq(0, @capacity), past + seq, 0), 64] x f16> -> <[b, 2, past + seq, 64] x f16>
// CHECK: return %[[R]], %{{.*}}, %{{.*}}, %[[KEYS]], %[[OFKEYS]], %[[VALUES]], %[[OFVALUES]] :
func.func @both(%q: !q, %pk: !past {kt.tied = 1 : i64}, %pv: !past {kt.tied = 2 : i64}, %nk: !new, %nv: !new)
    -> (!q, !all {kt.tied = 1 : i64, kt.tied_axis = 2 : i64}, !all {kt.tied = 2 : i64, kt.tied_axis = 2 : i64}) {
  %sk = kt.capacity %pk : !past -> !state
  %sv = kt.capacity %pv : !past -> !state
  %k = kt.update axis 2 from #kt.expr<select(eq(0, @capacity), 0, past)> count #kt.expr<select(eq(0, @capacity), past + seq, seq)> ins(%sk, %nk : !state, !new) -> !next {
  ^bb0(%P: !state, %N: !new, %b: index, %h: index, %j: index, %d: index):
    %from = kt.size #kt.expr<select(eq(0, @capacity), 0, past)>
    %past = kt.size #kt.expr<past>
    %at = arith.addi %j, %from : index
    %i = arith.subi %at, %past : index
    %0 = kt.read %P[%b, %h, %at, %d] : !state -> f16
    %1 = kt.read %N[%b, %h, %i, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %v = kt.update axis 2 from #kt.expr<select(eq(0, @capacity), 0, past)> count #kt.expr<select(eq(0, @capacity), past + seq, seq)> ins(%sv, %nv : !state, !new) -> !next {
  ^bb0(%P: !state, %N: !new, %b: index, %h: index, %j: index, %d: index):
    %from = kt.size #kt.expr<select(eq(0, @capacity), 0, past)>
    %past = kt.size #kt.expr<past>
    %at = arith.addi %j, %from : index
    %i = arith.subi %at, %past : index
    %0 = kt.read %P[%b, %h, %at, %d] : !state -> f16
    %1 = kt.read %N[%b, %h, %i, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %ok = kt.capacity %k : !next -> !all
  %ov = kt.capacity %v : !next -> !all
  %r = kt.attention %q, %k, %v {maps = [#map, #map, #map, #map], sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<seq>, #kt.expr<past + seq>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, views = [#kt.view<none>, #held, #held]}
      : !q, !next, !next -> !q score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r, %ok, %ov : !q, !all, !all
}

// -----

!past = !kt.tensor<[b, 2, past, 64] x f16>
!new = !kt.tensor<[b, 2, seq, 64] x f16>
!all = !kt.tensor<[b, 2, past + seq, 64] x f16>
!state = !kt.tensor<[b, 2, select(eq(0, @capacity), past, @capacity), 64] x f16>
!next = !kt.tensor<[b, 2, select(eq(0, @capacity), past + seq, @capacity), 64] x f16>
!q = !kt.tensor<[b, 4, seq, 64] x f16>

#map = affine_map<(b, h, i, d) -> (b, h, i, d)>
#held = #kt.view<[b, 2, past + seq, 64] strides [select(eq(0, @capacity), past + seq, @capacity) * 128, select(eq(0, @capacity), past + seq, @capacity) * 64, 64, 1] offset 0>


// Something else reads what is held of the keys.
// expected-error @below {{--kv-cache: the model keeps no key/value cache that grows and that attention alone reads}}
func.func @read_elsewhere(%q: !q, %pk: !past {kt.tied = 1 : i64}, %pv: !past {kt.tied = 2 : i64}, %nk: !new, %nv: !new)
    -> (!q, !all {kt.tied = 1 : i64, kt.tied_axis = 2 : i64}, !all {kt.tied = 2 : i64, kt.tied_axis = 2 : i64}, !next) {
  %sk = kt.capacity %pk : !past -> !state
  %sv = kt.capacity %pv : !past -> !state
  %k = kt.update axis 2 from #kt.expr<select(eq(0, @capacity), 0, past)> count #kt.expr<select(eq(0, @capacity), past + seq, seq)> ins(%sk, %nk : !state, !new) -> !next {
  ^bb0(%P: !state, %N: !new, %b: index, %h: index, %j: index, %d: index):
    %from = kt.size #kt.expr<select(eq(0, @capacity), 0, past)>
    %past = kt.size #kt.expr<past>
    %at = arith.addi %j, %from : index
    %i = arith.subi %at, %past : index
    %0 = kt.read %P[%b, %h, %at, %d] : !state -> f16
    %1 = kt.read %N[%b, %h, %i, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %v = kt.update axis 2 from #kt.expr<select(eq(0, @capacity), 0, past)> count #kt.expr<select(eq(0, @capacity), past + seq, seq)> ins(%sv, %nv : !state, !new) -> !next {
  ^bb0(%P: !state, %N: !new, %b: index, %h: index, %j: index, %d: index):
    %from = kt.size #kt.expr<select(eq(0, @capacity), 0, past)>
    %past = kt.size #kt.expr<past>
    %at = arith.addi %j, %from : index
    %i = arith.subi %at, %past : index
    %0 = kt.read %P[%b, %h, %at, %d] : !state -> f16
    %1 = kt.read %N[%b, %h, %i, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %ok = kt.capacity %k : !next -> !all
  %ov = kt.capacity %v : !next -> !all
  %r = kt.attention %q, %k, %v {maps = [#map, #map, #map, #map], sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<seq>, #kt.expr<past + seq>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, views = [#kt.view<none>, #held, #held]}
      : !q, !next, !next -> !q score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  %copy = kt.generic ins(%k : !next) -> !next {
  ^bb0(%K: !next, %b: index, %h: index, %j: index, %d: index):
    %0 = kt.read %K[%b, %h, %j, %d] : !next -> f16
    kt.yield %0 : f16
  }
  return %r, %ok, %ov, %copy : !q, !all, !all, !next
}

// -----

!past = !kt.tensor<[b, 2, past, 64] x f16>
!new = !kt.tensor<[b, 2, seq, 64] x f16>
!all = !kt.tensor<[b, 2, past + seq, 64] x f16>
!state = !kt.tensor<[b, 2, select(eq(0, @capacity), past, @capacity), 64] x f16>
!next = !kt.tensor<[b, 2, select(eq(0, @capacity), past + seq, @capacity), 64] x f16>
!q = !kt.tensor<[b, 4, seq, 64] x f16>

#map = affine_map<(b, h, i, d) -> (b, h, i, d)>
#held = #kt.view<[b, 2, past + seq, 64] strides [select(eq(0, @capacity), past + seq, @capacity) * 128, select(eq(0, @capacity), past + seq, @capacity) * 64, 64, 1] offset 0>


// Values stay as they are, and so do the keys.
// expected-error @below {{--kv-cache: the model keeps no key/value cache that grows and that attention alone reads}}
func.func @keys_alone(%q: !q, %pk: !past {kt.tied = 1 : i64}, %v: !all, %nk: !new) -> (!q, !all {kt.tied = 1 : i64, kt.tied_axis = 2 : i64}) {
  %sk = kt.capacity %pk : !past -> !state
  %k = kt.update axis 2 from #kt.expr<select(eq(0, @capacity), 0, past)> count #kt.expr<select(eq(0, @capacity), past + seq, seq)> ins(%sk, %nk : !state, !new) -> !next {
  ^bb0(%P: !state, %N: !new, %b: index, %h: index, %j: index, %d: index):
    %from = kt.size #kt.expr<select(eq(0, @capacity), 0, past)>
    %past = kt.size #kt.expr<past>
    %at = arith.addi %j, %from : index
    %i = arith.subi %at, %past : index
    %0 = kt.read %P[%b, %h, %at, %d] : !state -> f16
    %1 = kt.read %N[%b, %h, %i, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %ok = kt.capacity %k : !next -> !all
  %r = kt.attention %q, %k, %v {maps = [#map, #map, #map, #map], sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<seq>, #kt.expr<past + seq>, #kt.expr<64>, #kt.expr<64>], group = 2 : i64, views = [#kt.view<none>, #held, #kt.view<none>]}
      : !q, !next, !all -> !q score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  return %r, %ok : !q, !all
}
