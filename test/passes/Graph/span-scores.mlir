// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-span-scores))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-span-scores))' %t | diff %t -

!q = !kt.tensor<[b, 4, s, 32] x f32>
!k = !kt.tensor<[b, 4, t, 32] x f32>
!o = !kt.tensor<[b, 4, p + s, 32] x f32>
!m = !kt.tensor<[b, t] x i1>
#m = affine_map<(b, h, i, d) -> (b, h, i, d)>

// Keys up to the row's own; nothing is left of the mask.
// CHECK-LABEL: @causal
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_from
// CHECK-SAME: span_to = #kt.expr<1>
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32,
// CHECK-NEXT: kt.yield %[[X]]
func.func @causal(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %c = arith.cmpi sle, %j, %i : index
    %y = arith.select %c, %x, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// A mask that is added; positions of 64 bits; what masks is said, not what is seen.
// CHECK-LABEL: @added_behind_the_past
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_from
// CHECK-SAME: span_to = #kt.expr<p + 1>
// CHECK: arith.mulf
// CHECK-NEXT: kt.yield
func.func @added_behind_the_past(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0.0 : f32
    %scale = arith.constant 0.125 : f32
    %p = kt.size <p>
    %at = arith.addi %i, %p : index
    %i64 = arith.index_cast %at : index to i64
    %j64 = arith.index_cast %j : index to i64
    %c = arith.cmpi slt, %i64, %j64 : i64
    %mask = arith.select %c, %inf, %zero : f32
    %scaled = arith.mulf %x, %scale : f32
    %y = arith.addf %scaled, %mask : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// A window: the conjunction of two ends, and what data says besides stays.
// CHECK-LABEL: @window_and_padding
// CHECK-NEXT: kt.attention
// CHECK-SAME: span_from = #kt.expr<-127>, span_to = #kt.expr<1>
// CHECK: %[[P:.*]] = kt.read
// CHECK-NEXT: arith.select %[[P]]
func.func @window_and_padding(%q: !q, %k: !k, %v: !k, %m: !m) -> !q {
  %r = kt.attention %q, %k, %v extras(%m : !m) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %M: !m, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %w = arith.constant 128 : index
    %c = arith.cmpi sle, %j, %i : index
    %d = arith.subi %i, %w : index
    %e = arith.cmpi sgt, %j, %d : index
    %f = arith.andi %c, %e : i1
    %pad = kt.read %M[%b, %j] : !m -> i1
    %g = arith.andi %f, %pad : i1
    %y = arith.select %g, %x, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// Both sides of a row.
// CHECK-LABEL: @distance
// CHECK-NEXT: kt.attention
// CHECK-SAME: span_from = #kt.expr<-16>, span_to = #kt.expr<17>
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32,
// CHECK-NEXT: kt.yield %[[X]]
func.func @distance(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %w = arith.constant 16 : index
    %d = arith.subi %i, %j : index
    %a = math.absi %d : index
    %c = arith.cmpi sle, %a, %w : index
    %y = arith.select %c, %x, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// The lowest number is as good as minus infinity where every row sees a key, whose score is not low.
// CHECK-LABEL: @lowest_number
// CHECK-NEXT: kt.attention
// CHECK-SAME: span_to = #kt.expr<1>
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32,
// CHECK-NEXT: kt.yield %[[X]]
func.func @lowest_number(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %one = arith.constant 1.0 : f32
    %low = arith.constant -3.4028234663852886e+38 : f32
    %c = arith.cmpi sle, %j, %i : index
    %seen = arith.uitofp %c : i1 to f32
    %not = arith.subf %one, %seen : f32
    %mask = arith.mulf %not, %low : f32
    %y = arith.addf %x, %mask : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// -10000 is a score like others.
// CHECK-LABEL: @leaves_other_numbers_alone
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_
// CHECK: arith.cmpi
// CHECK: return
func.func @leaves_other_numbers_alone(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %low = arith.constant -10000.0 : f32
    %c = arith.cmpi sle, %j, %i : index
    %y = arith.select %c, %x, %low : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// A row may see nothing: with the lowest number it sees all, then. The mask stays, and kernels look.
// CHECK-LABEL: @looks_for_low_rows
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_from
// CHECK-SAME: span_low, span_to = #kt.expr<0>
// CHECK: arith.cmpi
// CHECK: return
func.func @looks_for_low_rows(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %low = arith.constant -3.4028234663852886e+38 : f32
    %c = arith.cmpi slt, %j, %i : index
    %y = arith.select %c, %x, %low : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// So may one whose keys are all padding. Minus infinities besides are still taken.
// CHECK-LABEL: @looks_for_low_padding
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_from
// CHECK-SAME: span_low, span_to = #kt.expr<1>
// CHECK: arith.cmpi
// CHECK: return
func.func @looks_for_low_padding(%q: !q, %k: !k, %v: !k, %m: !m) -> !q {
  %r = kt.attention %q, %k, %v extras(%m : !m) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %M: !m, %b: index, %h: index, %i: index, %j: index):
    %low = arith.constant -3.4028234663852886e+38 : f32
    %c = arith.cmpi sle, %j, %i : index
    %pad = kt.read %M[%b, %j] : !m -> i1
    %g = arith.andi %c, %pad : i1
    %y = arith.select %g, %x, %low : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// A prefix is seen by all rows.
// CHECK-LABEL: @leaves_disjunctions_alone
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_
// CHECK: arith.cmpi
// CHECK: return
func.func @leaves_disjunctions_alone(%q: !q, %k: !k, %v: !k, %m: !m) -> !q {
  %r = kt.attention %q, %k, %v extras(%m : !m) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %M: !m, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %c = arith.cmpi sle, %j, %i : index
    %prefix = kt.read %M[%b, %j] : !m -> i1
    %g = arith.ori %c, %prefix : i1
    %y = arith.select %g, %x, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// Capped afterwards it is a score again.
// CHECK-LABEL: @leaves_capped_masks_alone
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_
// CHECK: arith.cmpi
// CHECK: return
func.func @leaves_capped_masks_alone(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %c = arith.cmpi sle, %j, %i : index
    %y = arith.select %c, %x, %inf : f32
    %z = math.tanh %y : f32
    kt.yield %z : f32
  }
  return %r : !q
}

// 2 j <= i is no span.
// CHECK-LABEL: @leaves_slopes_alone
// CHECK-NEXT: kt.attention
// CHECK-NOT: span_
// CHECK: arith.cmpi
// CHECK: return
func.func @leaves_slopes_alone(%q: !q, %k: !k, %v: !k) -> !q {
  %r = kt.attention %q, %k, %v {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %two = arith.constant 2 : index
    %jj = arith.muli %j, %two : index
    %c = arith.cmpi sle, %jj, %i : index
    %y = arith.select %c, %x, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

// An index stays inside whatever is seen: the truth is left where reads depend on it.
// CHECK-LABEL: @keeps_indices_inside
// CHECK-NEXT: kt.attention
// CHECK-SAME: span_to = #kt.expr<1>
// CHECK: %[[C:.*]] = arith.cmpi sle
// CHECK-NEXT: %[[AT:.*]] = arith.select %[[C]]
// CHECK-NEXT: kt.read %{{.*}}[%{{.*}}, %[[AT]]]
// CHECK-NOT: 0xFF800000
func.func @keeps_indices_inside(%q: !q, %k: !k, %v: !k, %m: !m) -> !q {
  %r = kt.attention %q, %k, %v extras(%m : !m) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<t>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %M: !m, %b: index, %h: index, %i: index, %j: index):
    %inf = arith.constant 0xFF800000 : f32
    %zero = arith.constant 0 : index
    %c = arith.cmpi sle, %j, %i : index
    %at = arith.select %c, %j, %zero : index
    %bias = kt.read %M[%b, %at] : !m -> i1
    %f = arith.uitofp %bias : i1 to f32
    %z = arith.addf %x, %f : f32
    %y = arith.select %c, %z, %inf : f32
    kt.yield %y : f32
  }
  return %r : !q
}

!q4 = !kt.tensor<[b, 4, min(s, 4), 32] x f32>
!k4 = !kt.tensor<[b, 4, min(t, 4), 32] x f32>

// A table of minus infinities above the diagonal.
// CHECK-LABEL: @triangle
// CHECK: kt.attention %arg0, %arg1, %arg2 {
// CHECK-NOT: span_from
// CHECK-SAME: span_to = #kt.expr<1>
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32,
// CHECK-NEXT: kt.yield %[[X]]
func.func @triangle(%q: !q4, %k: !k4, %v: !k4) -> !q4 {
  %t = kt.constant dense_resource<triangle> : tensor<64xi8> : !kt.tensor<[4, 4] x f32>
  %r = kt.attention %q, %k, %v extras(%t : !kt.tensor<[4, 4] x f32>) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<min(s, 4)>, #kt.expr<min(t, 4)>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q4, !k4, !k4 -> !q4 score {
  ^bb0(%x: f32, %M: !kt.tensor<[4, 4] x f32>, %b: index, %h: index, %i: index, %j: index):
    %m = kt.read %M[%i, %j] : !kt.tensor<[4, 4] x f32> -> f32
    %y = arith.addf %x, %m : f32
    kt.yield %y : f32
  }
  return %r : !q4
}

// One element says otherwise.
// CHECK-LABEL: @leaves_other_tables_alone
// CHECK: kt.attention %arg0, %arg1, %arg2 extras(
// CHECK-NOT: span_
// CHECK: kt.read
// CHECK: return
func.func @leaves_other_tables_alone(%q: !q4, %k: !k4, %v: !k4) -> !q4 {
  %t = kt.constant dense_resource<ragged> : tensor<64xi8> : !kt.tensor<[4, 4] x f32>
  %r = kt.attention %q, %k, %v extras(%t : !kt.tensor<[4, 4] x f32>) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<min(s, 4)>, #kt.expr<min(t, 4)>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q4, !k4, !k4 -> !q4 score {
  ^bb0(%x: f32, %M: !kt.tensor<[4, 4] x f32>, %b: index, %h: index, %i: index, %j: index):
    %m = kt.read %M[%i, %j] : !kt.tensor<[4, 4] x f32> -> f32
    %y = arith.addf %x, %m : f32
    kt.yield %y : f32
  }
  return %r : !q4
}

// What lies outside of a table is another number.
// CHECK-LABEL: @leaves_checked_reads_alone
// CHECK: kt.attention %arg0, %arg1, %arg2 extras(
// CHECK: kt.read
// CHECK: return
func.func @leaves_checked_reads_alone(%q: !q4, %k: !k4, %v: !k4) -> !q4 {
  %t = kt.constant dense_resource<triangle> : tensor<64xi8> : !kt.tensor<[4, 4] x f32>
  %r = kt.attention %q, %k, %v extras(%t : !kt.tensor<[4, 4] x f32>) {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<min(s, 4)>, #kt.expr<min(t, 4)>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !q4, !k4, !k4 -> !q4 score {
  ^bb0(%x: f32, %M: !kt.tensor<[4, 4] x f32>, %b: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %m = kt.read %M[%i, %j] else %zero : f32 {check = array<i64: 1>} : !kt.tensor<[4, 4] x f32> -> f32
    %y = arith.addf %x, %m : f32
    kt.yield %y : f32
  }
  return %r : !q4
}

{-#
  dialect_resources: {
    builtin: {
      triangle: "0x1000000000000000000080FF000080FF000080FF0000000000000000000080FF000080FF000000000000000000000000000080FF00000000000000000000000000000000",
      ragged: "0x100000000000000000000000000080FF000080FF0000000000000000000080FF000080FF000000000000000000000000000080FF00000000000000000000000000000000"
    }
  }
#-}

// FP16's lowest number masks as FP32's does: beside it nothing that FP16 computes with counts. As a limit it is a number.
// CHECK-LABEL: @lowest_of_half
// CHECK: span_to = #kt.expr<1>
// CHECK-NOT: arith.select
// CHECK: return
func.func @lowest_of_half(%q: !kt.tensor<[b, 4, s, 32] x f16>) -> !kt.tensor<[b, 4, s, 32] x f16> {
  %r = kt.attention %q, %q, %q {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !kt.tensor<[b, 4, s, 32] x f16>, !kt.tensor<[b, 4, s, 32] x f16>, !kt.tensor<[b, 4, s, 32] x f16> -> !kt.tensor<[b, 4, s, 32] x f16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0.0 : f32
    %low = arith.constant -65504.0 : f32
    %scale = arith.constant 0.125 : f32
    %c = arith.cmpi sle, %j, %i : index
    %y = arith.mulf %x, %scale : f32
    %m = arith.select %c, %zero, %low : f32
    %z = arith.addf %y, %m : f32
    kt.yield %z : f32
  }
  return %r : !kt.tensor<[b, 4, s, 32] x f16>
}

// CHECK-LABEL: @limit_of_half
// CHECK-NOT: span_to
// CHECK: arith.maximumf %{{.*}}, %[[LOW:.*]] : f32
// CHECK: return
func.func @limit_of_half(%q: !kt.tensor<[b, 4, s, 32] x f16>) -> !kt.tensor<[b, 4, s, 32] x f16> {
  %r = kt.attention %q, %q, %q {maps = [#m, #m, #m, #m],
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<s>, #kt.expr<32>, #kt.expr<32>], group = 1 : i64}
       : !kt.tensor<[b, 4, s, 32] x f16>, !kt.tensor<[b, 4, s, 32] x f16>, !kt.tensor<[b, 4, s, 32] x f16> -> !kt.tensor<[b, 4, s, 32] x f16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    %low = arith.constant -65504.0 : f32
    %y = arith.maximumf %x, %low : f32
    kt.yield %y : f32
  }
  return %r : !kt.tensor<[b, 4, s, 32] x f16>
}
