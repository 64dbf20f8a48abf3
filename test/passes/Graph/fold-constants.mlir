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

// What zero points take of quantised weights: a column's sum, which wraps around no sooner than its type.
// CHECK-LABEL: @sums_of_columns
// CHECK: kt.constant dense_resource<[[COLUMNS:.*]]> : tensor<8xi8> {{.*}}<[2] x i32>
// CHECK: kt.constant dense_resource<[[ROWS:.*]]> : tensor<12xi8> {{.*}}<[3] x i32>
// CHECK-NOT: kt.reduce
// CHECK: return
func.func @sums_of_columns() -> (!kt.tensor<[2] x i32>, !kt.tensor<[3] x i32>) {
  %w = kt.constant dense_resource<w> : tensor<6xi8> {name = "w"} : !kt.tensor<[3, 2] x ui8>
  %r = kt.reduce add over [#kt.expr<3>] ins(%w : !kt.tensor<[3, 2] x ui8>) -> !kt.tensor<[2] x i32> {
  ^bb0(%W: !kt.tensor<[3, 2] x ui8>, %i: index, %k: index):
    %0 = kt.read %W[%k, %i] : !kt.tensor<[3, 2] x ui8> -> i8
    %1 = arith.extui %0 : i8 to i32
    kt.yield %1 : i32
  } epilogue {
  ^bb0(%sum: i32, %W: !kt.tensor<[3, 2] x ui8>, %i: index):
    kt.yield %sum : i32
  }
  %v = kt.constant dense_resource<w> : tensor<6xi8> {name = "w"} : !kt.tensor<[3, 2] x i8>
  %s = kt.reduce add over [#kt.expr<2>] ins(%v : !kt.tensor<[3, 2] x i8>) -> !kt.tensor<[3] x i32> {
  ^bb0(%V: !kt.tensor<[3, 2] x i8>, %i: index, %k: index):
    %0 = kt.read %V[%i, %k] : !kt.tensor<[3, 2] x i8> -> i8
    %1 = arith.extsi %0 : i8 to i32
    kt.yield %1 : i32
  } epilogue {
  ^bb0(%sum: i32, %V: !kt.tensor<[3, 2] x i8>, %i: index):
    kt.yield %sum : i32
  }
  return %r, %s : !kt.tensor<[2] x i32>, !kt.tensor<[3] x i32>
}

// Other reductions are left: a maximum, sums of one row three times, of two rows of three, and one that is doubled.
// CHECK-LABEL: @leaves_other_reductions
// CHECK: kt.reduce max
// CHECK-COUNT-3: kt.reduce add
func.func @leaves_other_reductions() -> (!kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>) {
  %w = kt.constant dense_resource<w> : tensor<6xi8> {name = "w"} : !kt.tensor<[3, 2] x i8>
  %0 = kt.reduce max over [#kt.expr<3>] ins(%w : !kt.tensor<[3, 2] x i8>) -> !kt.tensor<[2] x i32> {
  ^bb0(%W: !kt.tensor<[3, 2] x i8>, %i: index, %k: index):
    %1 = kt.read %W[%k, %i] : !kt.tensor<[3, 2] x i8> -> i8
    %2 = arith.extsi %1 : i8 to i32
    kt.yield %2 : i32
  } epilogue {
  ^bb0(%sum: i32, %W: !kt.tensor<[3, 2] x i8>, %i: index):
    kt.yield %sum : i32
  }
  %3 = kt.reduce add over [#kt.expr<3>] ins(%w : !kt.tensor<[3, 2] x i8>) -> !kt.tensor<[2] x i32> {
  ^bb0(%W: !kt.tensor<[3, 2] x i8>, %i: index, %k: index):
    %c0 = arith.constant 0 : index
    %1 = kt.read %W[%c0, %i] : !kt.tensor<[3, 2] x i8> -> i8
    %2 = arith.extsi %1 : i8 to i32
    kt.yield %2 : i32
  } epilogue {
  ^bb0(%sum: i32, %W: !kt.tensor<[3, 2] x i8>, %i: index):
    kt.yield %sum : i32
  }
  %4 = kt.reduce add over [#kt.expr<2>] ins(%w : !kt.tensor<[3, 2] x i8>) -> !kt.tensor<[2] x i32> {
  ^bb0(%W: !kt.tensor<[3, 2] x i8>, %i: index, %k: index):
    %1 = kt.read %W[%k, %i] : !kt.tensor<[3, 2] x i8> -> i8
    %2 = arith.extsi %1 : i8 to i32
    kt.yield %2 : i32
  } epilogue {
  ^bb0(%sum: i32, %W: !kt.tensor<[3, 2] x i8>, %i: index):
    kt.yield %sum : i32
  }
  %5 = kt.reduce add over [#kt.expr<3>] ins(%w : !kt.tensor<[3, 2] x i8>) -> !kt.tensor<[2] x i32> {
  ^bb0(%W: !kt.tensor<[3, 2] x i8>, %i: index, %k: index):
    %1 = kt.read %W[%k, %i] : !kt.tensor<[3, 2] x i8> -> i8
    %2 = arith.extsi %1 : i8 to i32
    kt.yield %2 : i32
  } epilogue {
  ^bb0(%sum: i32, %W: !kt.tensor<[3, 2] x i8>, %i: index):
    %1 = arith.addi %sum, %sum : i32
    kt.yield %1 : i32
  }
  return %0, %3, %4, %5 : !kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>, !kt.tensor<[2] x i32>
}

// 1, 2 became 2, 3.
// CHECK: [[SUM]]: "0x{{[0-9]*}}0000004000004040"
// [[255, 1], [255, 2], [128, 3]]: 638 and 6 of unsigned columns; 0, 1 and -125 of signed rows.
// CHECK-DAG: [[COLUMNS]]: "0x{{[0-9]*}}7E02000006000000"
// CHECK-DAG: [[ROWS]]: "0x{{[0-9]*}}000000000100000083FFFFFF"
{-#
  dialect_resources: { builtin: { a: "0x400000000000803F00000040", w: "0x01000000FF01FF028003" } }
#-}
