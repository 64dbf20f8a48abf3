// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-slice-graph{max-bytes=288}))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-slice-graph{max-bytes=288}))' %t | diff %t -
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-slice-graph{max-bytes=1}))' %s | FileCheck %s --check-prefix=SMALL
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-slice-graph{max-bytes=1000000}))' %s | FileCheck %s --check-prefix=LARGE
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-slice-graph))' %s | FileCheck %s --check-prefix=FINE

!x = !kt.tensor<[4] x f32>
!w = !kt.tensor<[32] x f32>

// Each weight has 128 bytes and what is alive between two computations 16. Two weights fit; one that was read before counts once.
// CHECK-LABEL: @by_weights
// CHECK: kt.constant
// CHECK-NOT: kt.slice
// CHECK: kt.generic ins(%arg0, %[[A:[0-9]+]] : {{.*}}kt.slice = 0
// CHECK: kt.generic {{.*}}kt.slice = 0
// CHECK: kt.generic {{.*}}kt.slice = 1
// CHECK: kt.generic ins(%{{.*}}, %[[A]] : {{.*}}kt.slice = 1
// SMALL-LABEL: @by_weights
// SMALL: kt.slice = 0
// SMALL: kt.slice = 1
// SMALL: kt.slice = 2
// SMALL: kt.slice = 3
// LARGE-LABEL: @by_weights
// LARGE-COUNT-4: kt.slice = 0
// Without a limit slices are fine: a 24th of the weights each, at least one computation.
// FINE-LABEL: @by_weights
// FINE: kt.slice = 0
// FINE: kt.slice = 1
// FINE: kt.slice = 2
// FINE: kt.slice = 3
func.func @by_weights(%x: !x) -> !x {
  %a = kt.constant dense_resource<a> : tensor<128xi8> : !w
  %b = kt.constant dense_resource<b> : tensor<128xi8> : !w
  %c = kt.constant dense_resource<c> : tensor<128xi8> : !w
  %p = kt.generic ins(%x, %a : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %q = kt.generic ins(%p, %b : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %r = kt.generic ins(%q, %c : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %s = kt.generic ins(%r, %a : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %s : !x
}

// A cut is moved back, by up to a third, to where less is alive: not between the wide value and its reader, which does not fit.
// CHECK-LABEL: @where_little_is_alive
// CHECK-COUNT-5: kt.slice = 0 : i64} -> <[4] x f32>
// CHECK-COUNT-3: kt.slice = 1 : i64} -> <[32] x f32>
// CHECK-NOT: kt.slice
func.func @where_little_is_alive(%x: !x) -> !w {
  %a = kt.constant dense_resource<a> : tensor<128xi8> : !w
  %b = kt.constant dense_resource<b> : tensor<128xi8> : !w
  %p = kt.generic ins(%x, %a : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %q = kt.generic ins(%p : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %r = kt.generic ins(%q : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %s = kt.generic ins(%r : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %t = kt.generic ins(%s : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  %wide = kt.generic ins(%t : !x) -> !w {
  ^bb0(%X: !x, %i: index):
    %zero = arith.constant 0 : index
    %0 = kt.read %X[%zero] : !x -> f32
    kt.yield %0 : f32
  }
  %u = kt.generic ins(%wide, %b : !w, !w) -> !w {
  ^bb0(%X: !w, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !w -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  %v = kt.generic ins(%u : !w) -> !w {
  ^bb0(%X: !w, %i: index):
    %0 = kt.read %X[%i] : !w -> f32
    kt.yield %0 : f32
  }
  return %v : !w
}

{-#
  dialect_resources: { builtin: {
    a: "0x400000000000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F",
    b: "0x400000000000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040",
    c: "0x400000000000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040000040400000404000004040" } }
#-}

// A check costs nothing: it goes with what is before it.
// CHECK-LABEL: @checks_have_no_slice
// SMALL-LABEL: @checks_have_no_slice
// SMALL: kt.generic {{.*}}kt.slice = 0
// SMALL: kt.assert <n> equals <4>, "four"{{$}}
// SMALL: kt.generic {{.*}}kt.slice = 1
func.func @checks_have_no_slice(%x: !x) -> !x {
  %a = kt.constant dense_resource<a> : tensor<128xi8> : !w
  %p = kt.generic ins(%x : !x) -> !x {
  ^bb0(%X: !x, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = arith.negf %0 : f32
    kt.yield %1 : f32
  }
  kt.assert <n> equals <4>, "four"
  %q = kt.generic ins(%p, %a : !x, !w) -> !x {
  ^bb0(%X: !x, %W: !w, %i: index):
    %0 = kt.read %X[%i] : !x -> f32
    %1 = kt.read %W[%i] : !w -> f32
    %2 = arith.addf %0, %1 : f32
    kt.yield %2 : f32
  }
  return %q : !x
}
