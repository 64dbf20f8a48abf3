// Comparisons of indices that come out alike in every case, as kt-simplify-bodies decides them.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-simplify-bodies,canonicalize))' %t | diff %t -

// Is each position next to the one before it? The first one has a number of its own before it.
// CHECK-LABEL: @one_sequence
// CHECK-SAME: (%[[X:.*]]: !kt.tensor<[1, s] x i64>)
// CHECK-NOT: kt.scan
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i64
// CHECK-NEXT: kt.yield %[[ZERO]]
// CHECK-NOT: kt.scan
func.func @one_sequence(%x: !kt.tensor<[1, s] x i64>) -> !kt.tensor<[1, s] x i64> {
  %starts = kt.generic -> !kt.tensor<[1, s] x i64> {
  ^bb0(%b: index, %i: index):
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %one = kt.size <min(1, s)>
    %s = kt.size <s>
    %here = arith.index_cast %i : index to i64
    %front = arith.cmpi ult, %i, %one : index
    %minus = arith.subi %here, %c1 : i64
    %first = arith.select %front, %minus, %c0 : i64
    %j = arith.subi %i, %one : index
    %inside = arith.cmpi ult, %j, %s : index
    %there = arith.index_cast %j : index to i64
    %before = arith.select %inside, %there, %first : i64
    %step = arith.subi %here, %before : i64
    %jumps = arith.cmpi ne, %step, %c1 : i64
    %n = arith.extui %jumps : i1 to i64
    kt.yield %n : i64
  }
  %sequence = kt.scan add %starts : !kt.tensor<[1, s] x i64> -> !kt.tensor<[1, s] x i64>
  return %sequence : !kt.tensor<[1, s] x i64>
}

// The first position alone is another answer, and a number of data is none.
// CHECK-LABEL: @differs
// CHECK: arith.cmpi slt
// CHECK: arith.cmpi eq
func.func @differs(%x: !kt.tensor<[s] x i64>) -> !kt.tensor<[s] x i64> {
  %r = kt.generic ins(%x : !kt.tensor<[s] x i64>) -> !kt.tensor<[s] x i64> {
  ^bb0(%X: !kt.tensor<[s] x i64>, %i: index):
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %here = arith.index_cast %i : index to i64
    %front = arith.cmpi slt, %here, %c1 : i64
    %0 = arith.select %front, %c1, %c0 : i64
    %v = kt.read %X[%i] : !kt.tensor<[s] x i64> -> i64
    %same = arith.cmpi eq, %v, %c0 : i64
    %1 = arith.select %same, %0, %v : i64
    kt.yield %1 : i64
  }
  return %r : !kt.tensor<[s] x i64>
}

// What is below an index is below its extent; an index before the first one is none of an unsigned comparison.
// CHECK-LABEL: @inside
// CHECK-NOT: arith.cmpi
// CHECK: return
func.func @inside() -> !kt.tensor<[n, m] x i64> {
  %r = kt.generic -> !kt.tensor<[n, m] x i64> {
  ^bb0(%i: index, %j: index):
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %n = kt.size <n>
    %low = arith.subi %i, %c1 : index
    %0 = arith.cmpi slt, %low, %n : index
    %1 = arith.subi %low, %i : index
    %2 = arith.cmpi ult, %1, %n : index
    %3 = arith.muli %i, %c2 : index
    %4 = arith.cmpi sge, %3, %i : index
    %5 = arith.andi %0, %4 : i1
    %6 = arith.ori %5, %2 : i1
    %7 = arith.extui %6 : i1 to i64
    kt.yield %7 : i64
  }
  return %r : !kt.tensor<[n, m] x i64>
}
