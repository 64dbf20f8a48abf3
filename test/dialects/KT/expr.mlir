// Expressions are kept in one normal form: equal numbers print alike, whoever wrote them.
// RUN: kt-opt %s | FileCheck %s
// RUN: kt-opt %s | kt-opt | FileCheck %s

// CHECK-LABEL: @constants_fold
// CHECK-SAME: [7, 2, 1, 1, 1, 3]
func.func private @constants_fold(!kt.tensor<[3 + 4, 17 floordiv 8, 17 mod 8, 3 + -3 floordiv 2, -3 mod 2, min(3, 9)] x f32>)

// CHECK-LABEL: @terms_are_ordered
// CHECK-SAME: <[batch + seq, batch + seq] x f32>
func.func private @terms_are_ordered(!kt.tensor<[seq + batch, batch + seq] x f32>)

// CHECK-LABEL: @products_distribute
// CHECK-SAME: <[batch * past + batch * seq] x f32>
func.func private @products_distribute(!kt.tensor<[(past + seq) * batch] x f32>)

// CHECK-LABEL: @terms_cancel
// CHECK-SAME: <[seq, 0] x f32>
func.func private @terms_cancel(!kt.tensor<[seq + past + -1 * past, seq + -1 * seq] x f32>)

// CHECK-LABEL: @exact_divisions_vanish
// CHECK-SAME: <[batch * seq, h] x f32>
func.func private @exact_divisions_vanish(!kt.tensor<[(batch * seq * 64) floordiv 64, ((seq + past) * h) floordiv (seq + past)] x f32>)

// CHECK-LABEL: @divisions_split
// CHECK-SAME: <[batch + seq floordiv 4, seq mod 4] x f32>
func.func private @divisions_split(!kt.tensor<[(batch * 4 + seq) floordiv 4, (batch * 4 + seq) mod 4] x f32>)

// Sizes are never negative, so these are decided.
// CHECK-LABEL: @bounds_decide
// CHECK-SAME: <[seq, seq + 1, seq, 0, 1, 0] x f32>
func.func private @bounds_decide(!kt.tensor<[max(seq, 0), max(seq, seq + 1), min(seq, seq + past), eq(seq + 1, 0), lt(seq, seq + 1), lt(seq, 0)] x f32>)

// A symbol that begins with '?' may be negative: nothing is decided.
// CHECK-LABEL: @unknowns_stay
// CHECK-SAME: <[max(0, ?n), lt(?n, 0)] x f32>
func.func private @unknowns_stay(!kt.tensor<[max(?n, 0), lt(?n, 0)] x f32>)

// No number is larger than the largest one; any other is a bound like all.
// CHECK-LABEL: @huge_bounds
// CHECK-SAME: <[seq, min(2147483647, seq), min(4294967296, seq)] x f32>
func.func private @huge_bounds(!kt.tensor<[min(seq, 9223372036854775807), min(2147483647, seq), min(seq, 4294967296)] x f32>)

// CHECK-LABEL: @selections_fold
// CHECK-SAME: <[a, b, eq(a, b), b] x f32>
func.func private @selections_fold(!kt.tensor<[select(1, a, b), select(0, a, b), select(eq(a, b), 1, 0), select(eq(a, b), a, b)] x f32>)

// A symbol that begins with '@' is a fact of a device, never negative.
// CHECK-LABEL: @facts
// CHECK-SAME: <[seq floordiv @sm_count, @l2_bytes] x f32>
func.func private @facts(!kt.tensor<[seq floordiv @sm_count, max(@l2_bytes, 0)] x f32>)
