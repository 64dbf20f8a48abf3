// RUN: kt-opt --kt-outline-kernels %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels %t | diff %t -

// A kernel that reads and writes states has code for pages where it can reach all of them: it says along which dimension each operand and each result is cut.

!past = !kt.tensor<[b, 2, past, 16] x f16>
!stored = !kt.tensor<[b, 2, select(eq(0, @capacity), past, @capacity), 16] x f16>
!new = !kt.tensor<[b, 2, seq, 16] x f16>
!kept = !kt.tensor<[b, 2, select(eq(0, @capacity), past + seq, @capacity), 16] x f16>
!held = !kt.tensor<[b, 2, past + seq, 16] x f16>
#all = affine_map<(b, h, i, d) -> (b, h, i, d)>

// CHECK-LABEL: @window_and_keys
// CHECK: kt.launch @update_0
// CHECK: kt.launch @attention_0
// Sliced keys begin somewhere in the middle of a page.
// CHECK: kt.launch @attention_1
// CHECK: kt.launch @generic_0
// CHECK: kt.launch @reduce_0
func.func @window_and_keys(%p: !past, %n: !new, %q: !new) -> (!new, !new, !held, !kt.tensor<[b] x f16>) {
  %stored = kt.capacity %p : !past -> !stored
  %kept = kt.update axis 2 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> ins(%stored, %n : !stored, !new) -> !kept {
  ^bb0(%P: !stored, %N: !new, %b: index, %h: index, %i: index, %d: index):
    %from = kt.size <select(eq(0, @capacity), 0, past)>
    %j = arith.addi %i, %from : index
    %zero = arith.constant 0.0 : f16
    %0 = kt.read %P[%b, %h, %j, %d] else %zero : f16 {check = array<i64: 2>} : !stored -> f16
    %past = kt.size <past>
    %k = arith.subi %j, %past : index
    %1 = kt.read %N[%b, %h, %k, %d] else %0 : f16 {check = array<i64: 2>} : !new -> f16
    kt.yield %1 : f16
  }
  %seen = kt.attention %q, %kept, %kept
      {maps = [#all, #all, #all, #all], sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<seq>, #kt.expr<past + seq>, #kt.expr<16>, #kt.expr<16>], group = 1 : i64,
       views = [#kt.view<none>,
                #kt.view<[b, 2, past + seq, 16] strides [32 * select(eq(0, @capacity), past + seq, @capacity), 16 * select(eq(0, @capacity), past + seq, @capacity), 16, 1] offset 0>,
                #kt.view<[b, 2, past + seq, 16] strides [32 * select(eq(0, @capacity), past + seq, @capacity), 16 * select(eq(0, @capacity), past + seq, @capacity), 16, 1] offset 0>]}
      : !new, !kept, !kept -> !new score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  %sliced = kt.attention %q, %kept, %kept
      {maps = [#all, #all, #all, #all], sizes = [#kt.expr<b>, #kt.expr<2>, #kt.expr<seq>, #kt.expr<seq>, #kt.expr<16>, #kt.expr<16>], group = 1 : i64,
       views = [#kt.view<none>,
                #kt.view<[b, 2, seq, 16] strides [32 * select(eq(0, @capacity), past + seq, @capacity), 16 * select(eq(0, @capacity), past + seq, @capacity), 16, 1] offset 16 * past>,
                #kt.view<[b, 2, seq, 16] strides [32 * select(eq(0, @capacity), past + seq, @capacity), 16 * select(eq(0, @capacity), past + seq, @capacity), 16, 1] offset 16 * past>]}
      : !new, !kept, !kept -> !new score {
  ^bb0(%s: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %s : f32
  }
  %held = kt.generic ins(%kept : !kept) -> !held {
  ^bb0(%K: !kept, %b: index, %h: index, %j: index, %d: index):
    %0 = kt.read %K[%b, %h, %j, %d] : !kept -> f16
    %1 = arith.negf %0 : f16
    kt.yield %1 : f16
  }
  %sum = kt.reduce add over [#kt.expr<2>, #kt.expr<past + seq>, #kt.expr<16>] ins(%kept : !kept) -> !kt.tensor<[b] x f16> {
  ^bb0(%K: !kept, %b: index, %h: index, %j: index, %d: index):
    %0 = kt.read %K[%b, %h, %j, %d] : !kept -> f16
    kt.yield %0 : f16
  } epilogue {
  ^bb0(%v: f16, %K: !kept, %b: index):
    kt.yield %v : f16
  }
  return %seen, %sliced, %held, %sum : !new, !new, !held, !kt.tensor<[b] x f16>
}

// Columns are added.
// CHECK-LABEL: @columns
// CHECK: kt.launch @update_1
func.func @columns(%p: !kt.tensor<[b, 16, past] x f16>, %n: !kt.tensor<[b, 16, seq] x f16>) -> !kt.tensor<[b, 16, past + seq] x f16> {
  %stored = kt.capacity %p : <[b, 16, past] x f16> -> <[b, 16, select(eq(0, @capacity), past, @capacity)] x f16>
  %kept = kt.update axis 2 from <select(eq(0, @capacity), 0, past)> count <select(eq(0, @capacity), past + seq, seq)> ins(%n : !kt.tensor<[b, 16, seq] x f16>) -> <[b, 16, select(eq(0, @capacity), past + seq, @capacity)] x f16> {
  ^bb0(%N: !kt.tensor<[b, 16, seq] x f16>, %b: index, %d: index, %i: index):
    %0 = kt.read %N[%b, %d, %i] : !kt.tensor<[b, 16, seq] x f16> -> f16
    kt.yield %0 : f16
  }
  %r = kt.capacity %kept : <[b, 16, select(eq(0, @capacity), past + seq, @capacity)] x f16> -> <[b, 16, past + seq] x f16>
  return %r : !kt.tensor<[b, 16, past + seq] x f16>
}

// CHECK: kt.kernel @update_0 [{{.*}}] attributes {kt.pages = array<i64: 2, -1, 2>} computes
// CHECK: kt.kernel @attention_0 [{{.*}}] attributes {kt.pages = array<i64: -1, 2, 2, -1>} computes
// CHECK: kt.kernel @attention_1 [{{[^{]*}}] computes
// CHECK: kt.kernel @generic_0 [{{.*}}] attributes {kt.pages = array<i64: 2, -1>} computes
// CHECK: kt.kernel @reduce_0 [{{[^{]*}}] computes
// CHECK: kt.kernel @update_1 [{{[^{]*}}] computes
