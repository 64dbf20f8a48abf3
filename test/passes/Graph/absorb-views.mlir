// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-views))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-absorb-views))' %t | diff %t -

!r = !kt.tensor<[b, 10, s, 16] x f32>
!k = !kt.tensor<[b, 2, t, 16] x f32>
!rk = !kt.tensor<[b, 8, t, 16] x f32>
!out = !kt.tensor<[b, s, 8, 16] x f32>
#id = affine_map<(b, h, i, j) -> (b, h, i, j)>
#swap = affine_map<(b, h, i, j) -> (b, i, h, j)>

// Keys and values that were repeated for groups of heads are read where they lie, though the query is a view already.
// CHECK-LABEL: @groups
// CHECK-NOT: kt.generic
// CHECK: kt.attention %arg0, %arg1, %arg2
// CHECK-SAME: group = 4
// CHECK-SAME: views = [#kt.view<[b, 8, s, 16] strides [s * 160, s * 16, 16, 1] offset 0>,
// CHECK: return
func.func @groups(%r: !r, %k: !k, %v: !k) -> !out {
  %rk = kt.generic ins(%k : !k) -> !kt.tensor<[b, 2, 4, t, 16] x f32> {
  ^bb0(%K: !k, %b: index, %h: index, %g: index, %i: index, %d: index):
    %0 = kt.read %K[%b, %h, %i, %d] : !k -> f32
    kt.yield %0 : f32
  }
  %k8 = kt.reshape %rk : !kt.tensor<[b, 2, 4, t, 16] x f32> -> !rk
  %rv = kt.generic ins(%v : !k) -> !kt.tensor<[b, 2, 4, t, 16] x f32> {
  ^bb0(%V: !k, %b: index, %h: index, %g: index, %i: index, %d: index):
    %0 = kt.read %V[%b, %h, %i, %d] : !k -> f32
    kt.yield %0 : f32
  }
  %v8 = kt.reshape %rv : !kt.tensor<[b, 2, 4, t, 16] x f32> -> !rk
  %o = kt.attention %r, %k8, %v8 {group = 1, maps = [#id, #id, #id, #swap], sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<s>, #kt.expr<t>, #kt.expr<16>, #kt.expr<16>], views = [#kt.view<[b, 8, s, 16] strides [s * 160, s * 16, 16, 1] offset 0>, #kt.view<none>, #kt.view<none>]} : !r, !rk, !rk -> !out score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %o : !out
}

// What is scaled on its way has another value.
// CHECK-LABEL: @leaves_arithmetic_alone
// CHECK: kt.generic
// CHECK: kt.attention %{{[0-9]*}}, %arg1, %arg2
// CHECK: return
func.func @leaves_arithmetic_alone(%q: !rk, %k: !rk, %v: !rk) -> !kt.tensor<[b, t, 8, 16] x f32> {
  %n = kt.generic ins(%q : !rk) -> !rk {
  ^bb0(%Q: !rk, %b: index, %h: index, %i: index, %d: index):
    %0 = kt.read %Q[%b, %h, %i, %d] : !rk -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %o = kt.attention %n, %k, %v {group = 1, maps = [#id, #id, #id, #swap], sizes = [#kt.expr<b>, #kt.expr<8>, #kt.expr<t>, #kt.expr<t>, #kt.expr<16>, #kt.expr<16>]} : !rk, !rk, !rk -> !kt.tensor<[b, t, 8, 16] x f32> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %o : !kt.tensor<[b, t, 8, 16] x f32>
}
