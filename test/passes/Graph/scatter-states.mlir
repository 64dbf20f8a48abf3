// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-scatter-states))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-scatter-states))' %t | diff %t -

!pages = !kt.tensor<[blocks, 16, 64] x f16>
!slots = !kt.tensor<[blocks * 16, 64] x f16>
!at = !kt.tensor<[n, 1] x i64>
!new = !kt.tensor<[n, 64] x f16>
!cache = !kt.tensor<[b, 4, room, 64] x f16>
!front = !kt.tensor<[room, b, 4, 64] x f16>
!column = !kt.tensor<[n, b, 4, 64] x f16>
!one = !kt.tensor<[1, 1] x i64>
!cube = !kt.tensor<[room, room, room, 8] x f16>

module attributes {kt.sites = [{node = "s", what = "an index", wraps}]} {

// Without a state each slot asks which row is the last that goes there; with one each row knows its slot, by comparison with all others or, of many, by the same table.
// CHECK-LABEL: @pages(
// CHECK-SAME: {kt.tied = 0 : i64}
// CHECK-SAME: {kt.tied = 0 : i64, kt.tied_axis = 0 : i64}
// CHECK: %[[SLOT:.*]] = kt.generic ins(%arg1 : {{.*}} -> <[n] x i64>
// CHECK: kt.bounded {{.*}} below <blocks * 16> site 0 {wraps} : i64
// CHECK: kt.generic -> <[select(select(eq(0, @capacity), 0, lt(n, 1025)), 0, blocks * 16)] x i64>
// CHECK: kt.generic ins(%[[SLOT]] : {{.*}} -> <[select(select(eq(0, @capacity), 0, lt(n, 1025)), 0, n), 1] x i64>
// CHECK: %[[WRITER:.*]] = kt.scatter assign {{.*}} -> <[select(select(eq(0, @capacity), 0, lt(n, 1025)), 0, blocks * 16)] x i64>
// CHECK: %[[PLACE:.*]] = kt.reduce max over [#kt.expr<select(select(eq(0, @capacity), 0, lt(n, 1025)), n, 0)>] ins(%[[SLOT]], {{.*}} -> <[select(eq(0, @capacity), 0, n)] x i64>
// CHECK: %[[CACHE:.*]] = kt.reshape %arg0 : {{.*}} -> <[blocks * 16, 64] x f16>
// CHECK: %[[NEXT:.*]] = kt.update axis 0 from <0> count <select(eq(0, @capacity), blocks * 16, n)> ins(%[[CACHE]], %arg2, %[[WRITER]], %[[PLACE]] :
// CHECK: kt.yield %{{[0-9]+}}, %{{[0-9]+}} : f16, index
// CHECK: kt.reshape %[[NEXT]] : {{.*}} -> <[blocks, 16, 64] x f16>
func.func @pages(%cache: !pages, %at: !at, %new: !new) -> !pages {
  %flat = kt.reshape %cache : !pages -> !slots
  %s = kt.scatter assign %flat, %at, %new {site = 0 : i64} : !slots, !at, !new -> !slots
  %next = kt.reshape %s : !slots -> !pages
  return %next : !pages
}

// The slots are not in front, and who else reads the result reads it where it lies. One row is the last one wherever it goes.
// CHECK-LABEL: @turned(
// CHECK-SAME: kt.tied_axis = 2 : i64
// CHECK-NOT: kt.reduce
// CHECK: %[[NEXT:.*]] = kt.update axis 2 from <0> count <select(eq(0, @capacity), room, 1)> ins(%arg0, %arg2,
// CHECK: %[[FRONT:.*]] = kt.generic ins(%[[NEXT]] : {{.*}} -> <[room, b, 4, 64] x f16>
// CHECK: kt.generic ins(%[[FRONT]] :
// CHECK: return %[[NEXT]],
func.func @turned(%cache: !cache, %at: !one, %new: !kt.tensor<[1, b, 4, 64] x f16>) -> (!cache, !front) {
  %front = kt.generic ins(%cache : !cache) -> !front {
  ^bb0(%C: !cache, %j: index, %b: index, %h: index, %d: index):
    %0 = kt.read %C[%b, %h, %j, %d] : !cache -> f16
    kt.yield %0 : f16
  }
  %s = kt.scatter assign %front, %at, %new {site = 0 : i64} : !front, !one, !kt.tensor<[1, b, 4, 64] x f16> -> !front
  %next = kt.generic ins(%s : !front) -> !cache {
  ^bb0(%S: !front, %b: index, %h: index, %j: index, %d: index):
    %0 = kt.read %S[%j, %b, %h, %d] : !front -> f16
    kt.yield %0 : f16
  }
  %twice = kt.generic ins(%s : !front) -> !front {
  ^bb0(%S: !front, %j: index, %b: index, %h: index, %d: index):
    %0 = kt.read %S[%j, %b, %h, %d] : !front -> f16
    %1 = arith.addf %0, %0 : f16
    kt.yield %1 : f16
  }
  return %next, %twice : !cache, !front
}

// Single elements, of whose indices one is data and the others count: each batch has slots of its own, which all of its heads and columns share. Where those that share
// may be none, nothing is looked at.
// CHECK-LABEL: @column(
// CHECK-SAME: kt.tied_axis = 2 : i64
// CHECK: kt.generic ins(%{{.*}} : !kt.tensor<[b, h, n, 8, 4] x i64>) -> <[b, select(eq(0, h), 0, n)] x i64> {
// CHECK: ^bb0(%[[AT:.*]]: {{.*}}, %[[B:.*]]: index, %[[T:.*]]: index):
// CHECK: %[[C0:.*]] = arith.constant 0
// CHECK: %[[C2:.*]] = arith.constant 2
// CHECK: kt.read %[[AT]][%[[B]], %{{.*}}, %[[T]], %{{.*}}, %[[C2]]]
// CHECK: kt.scatter assign {{.*}} -> <[b, select(select(eq(0, @capacity), 0, lt(select(eq(0, h), 0, n), 1025)), 0, room)] x i64>
// CHECK: kt.reduce max {{.*}} -> <[b, select(eq(0, @capacity), 0, select(eq(0, h), 0, n))] x i64>
// CHECK: kt.update axis 2 from <0> count <select(eq(0, @capacity), room, select(eq(0, h), 0, n))>
func.func @column(%cache: !kt.tensor<[b, h, room, 8] x f16>, %at: !kt.tensor<[b, n] x i64>, %new: !kt.tensor<[b, h, n, 8] x f16>) -> !kt.tensor<[b, h, room, 8] x f16> {
  %i = kt.generic ins(%at : !kt.tensor<[b, n] x i64>) -> !kt.tensor<[b, h, n, 8, 4] x i64> {
  ^bb0(%A: !kt.tensor<[b, n] x i64>, %b: index, %h: index, %t: index, %d: index, %k: index):
    %0 = kt.read %A[%b, %t] : !kt.tensor<[b, n] x i64> -> i64
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %i0 = arith.index_cast %b : index to i64
    %i1 = arith.index_cast %h : index to i64
    %i3 = arith.index_cast %d : index to i64
    %is0 = arith.cmpi eq, %k, %c0 : index
    %is1 = arith.cmpi eq, %k, %c1 : index
    %is3 = arith.cmpi eq, %k, %c3 : index
    %1 = arith.select %is0, %i0, %0 : i64
    %2 = arith.select %is1, %i1, %1 : i64
    %3 = arith.select %is3, %i3, %2 : i64
    kt.yield %3 : i64
  }
  %rows = kt.reshape %i : !kt.tensor<[b, h, n, 8, 4] x i64> -> !kt.tensor<[b * h * n * 8, 4] x i64>
  %flat = kt.reshape %new : !kt.tensor<[b, h, n, 8] x f16> -> !kt.tensor<[b * h * n * 8] x f16>
  %next = kt.scatter assign %cache, %rows, %flat {site = 0 : i64} : !kt.tensor<[b, h, room, 8] x f16>, !kt.tensor<[b * h * n * 8, 4] x i64>, !kt.tensor<[b * h * n * 8] x f16>
    -> !kt.tensor<[b, h, room, 8] x f16>
  return %next : !kt.tensor<[b, h, room, 8] x f16>
}

// What comes out is turned once more, not back.
// CHECK-LABEL: @turned_on(
// CHECK-NOT: kt.update
// CHECK: return
func.func @turned_on(%cache: !cube, %at: !at, %new: !kt.tensor<[n, room, room, 8] x f16>) -> !cube {
  %turned = kt.generic ins(%cache : !cube) -> !cube {
  ^bb0(%C: !cube, %i: index, %j: index, %k: index, %d: index):
    %0 = kt.read %C[%k, %i, %j, %d] : !cube -> f16
    kt.yield %0 : f16
  }
  %s = kt.scatter assign %turned, %at, %new : !cube, !at, !kt.tensor<[n, room, room, 8] x f16> -> !cube
  %next = kt.generic ins(%s : !cube) -> !cube {
  ^bb0(%S: !cube, %i: index, %j: index, %k: index, %d: index):
    %0 = kt.read %S[%k, %i, %j, %d] : !cube -> f16
    kt.yield %0 : f16
  }
  return %next : !cube
}

// The slot is another one for each column.
// CHECK-LABEL: @of_each_column(
// CHECK-NOT: kt.update
// CHECK: return
func.func @of_each_column(%cache: !kt.tensor<[room, 8] x f16>, %at: !kt.tensor<[n, 8] x i64>, %new: !kt.tensor<[n * 8] x f16>) -> !kt.tensor<[room, 8] x f16> {
  %i = kt.generic ins(%at : !kt.tensor<[n, 8] x i64>) -> !kt.tensor<[n, 8, 2] x i64> {
  ^bb0(%A: !kt.tensor<[n, 8] x i64>, %t: index, %d: index, %k: index):
    %0 = kt.read %A[%t, %d] : !kt.tensor<[n, 8] x i64> -> i64
    %c0 = arith.constant 0 : index
    %i1 = arith.index_cast %d : index to i64
    %is0 = arith.cmpi eq, %k, %c0 : index
    %1 = arith.select %is0, %0, %i1 : i64
    kt.yield %1 : i64
  }
  %rows = kt.reshape %i : !kt.tensor<[n, 8, 2] x i64> -> !kt.tensor<[n * 8, 2] x i64>
  %next = kt.scatter assign %cache, %rows, %new : !kt.tensor<[room, 8] x f16>, !kt.tensor<[n * 8, 2] x i64>, !kt.tensor<[n * 8] x f16> -> !kt.tensor<[room, 8] x f16>
  return %next : !kt.tensor<[room, 8] x f16>
}

// Something else reads the cache as it was, before the scatter or beside it; a sum; a result in another order; single numbers; what is no argument.
// CHECK-LABEL: @leaves_alone(
// CHECK-NOT: kt.tied
// CHECK-NOT: kt.update
// CHECK: return
func.func @leaves_alone(%read: !slots, %cache: !slots, %square: !kt.tensor<[room, room, 8] x f16>, %numbers: !slots, %at: !at, %pairs: !kt.tensor<[n, 2] x i64>, %new: !new,
    %row: !kt.tensor<[n, room, 8] x f16>, %number: !kt.tensor<[n] x f16>)
    -> (!slots, !slots, !slots, !kt.tensor<[room, room, 8] x f16>, !slots, !slots) {
  %0 = kt.scatter assign %read, %at, %new : !slots, !at, !new -> !slots
  %1 = kt.generic ins(%read : !slots) -> !slots {
  ^bb0(%S: !slots, %j: index, %d: index):
    %v = kt.read %S[%j, %d] : !slots -> f16
    %w = arith.addf %v, %v : f16
    kt.yield %w : f16
  }
  %2 = kt.scatter add %cache, %at, %new : !slots, !at, !new -> !slots
  %3 = kt.scatter assign %square, %at, %row : !kt.tensor<[room, room, 8] x f16>, !at, !kt.tensor<[n, room, 8] x f16> -> !kt.tensor<[room, room, 8] x f16>
  %4 = kt.generic ins(%3 : !kt.tensor<[room, room, 8] x f16>) -> !kt.tensor<[room, room, 8] x f16> {
  ^bb0(%S: !kt.tensor<[room, room, 8] x f16>, %i: index, %j: index, %d: index):
    %v = kt.read %S[%j, %i, %d] : !kt.tensor<[room, room, 8] x f16> -> f16
    kt.yield %v : f16
  }
  %5 = kt.scatter assign %numbers, %pairs, %number : !slots, !kt.tensor<[n, 2] x i64>, !kt.tensor<[n] x f16> -> !slots
  %6 = kt.scatter assign %1, %at, %new : !slots, !at, !new -> !slots
  return %0, %1, %2, %4, %5, %6 : !slots, !slots, !slots, !kt.tensor<[room, room, 8] x f16>, !slots, !slots
}

}
