// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights),cse)' %s -o %t
// RUN: FileCheck %s -DBITS=8 -DBYTES=288 --check-prefixes=CHECK,INT8 < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights),cse)' %t | diff %t -
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{bits=4 group=32}),cse)' %s -o %t.4
// RUN: FileCheck %s -DBITS=4 -DBYTES=160 --check-prefixes=CHECK,INT4 < %t.4
// RUN: not kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{bits=3}))' %s 2>&1 | FileCheck %s --check-prefix=THREE
// RUN: not kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{group=48}))' %s 2>&1 | FileCheck %s --check-prefix=GROUP
// THREE: error: bits: expected 4 or 8 but got 3
// GROUP: error: group: expected a power of two from 16 to 256 but got 48

!x = !kt.tensor<[m, 16] x f16>
!w = !kt.tensor<[1, 16, 16] x f16>
!r = !kt.tensor<[m, 16] x f16>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// Column n holds 127 (n + 1) / 64, -(n + 1), (n + 1) / 64 and zeros: in INT8 its scale is (n + 1) / 64. A group is no longer than what there is.
// CHECK-LABEL: @product
// CHECK: %[[Q:.*]] = kt.constant dense_resource<[[QUANTISED:.*]]> : tensor<[[BYTES]]xi8> {{.*}}: <[1, 1, [[BYTES]]] x ui8>
// CHECK: kt.matmul %arg0, %[[Q]] {blocks = #kt.blocks<bits = [[BITS]], group = 16, scale = f16, zeros = false>, {{.*}} packed} : <[m, 16] x f16>, <[1, 1, [[BYTES]]] x ui8> -> <[m, 16] x f16>
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %{{.*}}: index, %{{.*}}: index):
// CHECK-NEXT: arith.truncf %[[ACC]] : f32 to f16
func.func @product(%x: !x) -> !r {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !r
}

// Panels of two parts by turns.
// CHECK-LABEL: @parts
// CHECK: kt.matmul %arg0, %{{.*}} {blocks = #kt.blocks<bits = [[BITS]], group = 16, scale = f16, zeros = false>, {{.*}} parts = 2 : i64} : <[m, 16] x f16>, <[2, 1, [[BYTES]]] x ui8> -> <[m, 16] x f16>
func.func @parts(%x: !x) -> !r {
  %w = kt.constant dense_resource<parts> : tensor<1024xi8> : !kt.tensor<[2, 16, 16] x f16>
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed, parts = 2 : i64} : !x, !kt.tensor<[2, 16, 16] x f16> -> !r epilogue {
  ^bb0(%gate: f32, %up: f32, %i: index, %j: index):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.truncf %0 : f32 to f16
    kt.yield %1 : f16
  }
  return %r : !r
}

// Blocks of so few k's would be larger than halves are.
// CHECK-LABEL: @shallow
// CHECK: kt.matmul {{.*}} <[4, 4, 16] x f16> -> <[m, 32] x f16>
func.func @shallow(%x: !kt.tensor<[m, 4] x f16>) -> !kt.tensor<[m, 32] x f16> {
  %w = kt.constant dense_resource<turns> : tensor<512xi8> : !kt.tensor<[4, 4, 16] x f16>
  %r = kt.matmul %x, %w {depth = #kt.expr<4>, maps = [#lhs, #rhs, #res], packed, parts = 2 : i64} : !kt.tensor<[m, 4] x f16>, !kt.tensor<[4, 4, 16] x f16> -> !kt.tensor<[m, 32] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %i: index, %j: index):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.truncf %0 : f32 to f16
    kt.yield %1 : f16
  }
  return %r : !kt.tensor<[m, 32] x f16>
}

// CHECK-LABEL: @transposed_result
// CHECK: kt.matmul {{.*}} {blocks = #kt.blocks<bits = [[BITS]], group = 16, scale = f16, zeros = false>, {{.*}} <[1, 1, [[BYTES]]] x ui8> -> <[16, m] x f16>
func.func @transposed_result(%x: !x) -> !kt.tensor<[16, m] x f16> {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, affine_map<(m, n, k) -> (n, m)>], packed} : !x, !w -> !kt.tensor<[16, m] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !kt.tensor<[16, m] x f16>
}

// A scale an output channel, channels last.
// CHECK-LABEL: @convolution
// CHECK: kt.conv %arg0, %{{.*}} extras(%{{.*}} : !kt.tensor<[16] x f32>) {{.*}} : <[n, 8, 8, 16] x f16>, <[1, 1, 1, 16, 16] x i8> -> <[n, 8, 8, 16] x f16>
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[A:.*]]: !kt.tensor<[16] x f32>, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %[[C:.*]]: index):
// CHECK-NEXT: %[[SCALE:.*]] = kt.read %[[A]][%[[C]]]
// CHECK-NEXT: arith.mulf %[[ACC]], %[[SCALE]] : f32
func.func @convolution(%x: !kt.tensor<[n, 8, 8, 16] x f16>) -> !kt.tensor<[n, 8, 8, 16] x f16> {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !kt.tensor<[1, 1, 1, 16, 16] x f16>
  %r = kt.conv %x, %w {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 8, 16] x f16>, !kt.tensor<[1, 1, 1, 16, 16] x f16> -> !kt.tensor<[n, 8, 8, 16] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %y: index, %z: index, %c: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !kt.tensor<[n, 8, 8, 16] x f16>
}

// Groups of 17 outputs, two panels each: the other lanes of the second have no scale.
// CHECK-LABEL: @groups
// CHECK: kt.constant dense_resource<[[GROUPSCALES:.*]]> : tensor<136xi8> {{.*}}: <[34] x f32>
// CHECK: kt.conv %arg0, %{{.*}} extras(%{{.*}} : !kt.tensor<[34] x f32>) {{.*}} <[2, 2, 1, 4, 16] x i8> -> <[n, 8, 8, 34] x f16>
func.func @groups(%x: !kt.tensor<[n, 8, 8, 8] x f16>) -> !kt.tensor<[n, 8, 8, 34] x f16> {
  %w = kt.constant dense_resource<groups> : tensor<512xi8> : !kt.tensor<[2, 2, 1, 4, 16] x f16>
  %r = kt.conv %x, %w {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 2 : i64}
       : !kt.tensor<[n, 8, 8, 8] x f16>, !kt.tensor<[2, 2, 1, 4, 16] x f16> -> !kt.tensor<[n, 8, 8, 34] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %y: index, %z: index, %c: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !kt.tensor<[n, 8, 8, 34] x f16>
}

// A table that is gathered from has a scale a row, applied where an element is read.
// CHECK-LABEL: @table
// CHECK: kt.generic ins(%arg0, %{{.*}}, %{{.*}} : !kt.tensor<[n] x i64>, !kt.tensor<[32, 8] x i8>, !kt.tensor<[32] x f32>)
// CHECK-NEXT: ^bb0(%{{.*}}, %[[T:.*]]: !kt.tensor<[32, 8] x i8>, %[[A:.*]]: !kt.tensor<[32] x f32>, %{{.*}}: index, %[[C:.*]]: index):
// CHECK: %[[ROW:.*]] = arith.index_cast
// CHECK-NEXT: %[[V:.*]] = kt.read %[[T]][%[[ROW]], %[[C]]] : {{.*}} -> i8
// CHECK-NEXT: %[[S:.*]] = kt.read %[[A]][%[[ROW]]] : {{.*}} -> f32
// CHECK-NEXT: %[[WIDE:.*]] = arith.sitofp %[[V]] : i8 to f32
// CHECK-NEXT: %[[REAL:.*]] = arith.mulf %[[WIDE]], %[[S]] : f32
// CHECK-NEXT: %[[NARROW:.*]] = arith.truncf %[[REAL]] : f32 to f16
// CHECK-NEXT: kt.yield %[[NARROW]]
func.func @table(%ids: !kt.tensor<[n] x i64>) -> !kt.tensor<[n, 8] x f16> {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !kt.tensor<[32, 8] x f16>
  %r = kt.generic ins(%ids, %w : !kt.tensor<[n] x i64>, !kt.tensor<[32, 8] x f16>) -> !kt.tensor<[n, 8] x f16> {
  ^bb0(%I: !kt.tensor<[n] x i64>, %W: !kt.tensor<[32, 8] x f16>, %i: index, %j: index):
    %0 = kt.read %I[%i] : !kt.tensor<[n] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %W[%1, %j] : !kt.tensor<[32, 8] x f16> -> f16
    kt.yield %2 : f16
  }
  return %r : !kt.tensor<[n, 8] x f16>
}

// Weights that two products share are quantised once.
// CHECK-LABEL: @tied
// CHECK-COUNT-1: tensor<[[BYTES]]xi8>
// CHECK-NOT: tensor<[[BYTES]]xi8>
// CHECK: return
func.func @tied(%x: !x, %y: !x) -> (!r, !r) {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %s = kt.matmul %y, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r, %s : !r, !r
}

// What decides a routing keeps its type.
// CHECK-LABEL: @leaves_a_router_alone
// CHECK: kt.matmul {{.*}} <[1, 16, 16] x f16> -> <[m, 16] x f16>
// CHECK-NOT: i8>
// CHECK: kt.sort
func.func @leaves_a_router_alone(%x: !x) -> !kt.tensor<[m, 2] x i64> {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %v, %i = kt.sort %r {descending = true} : !r -> !kt.tensor<[m, 2] x f16>, !kt.tensor<[m, 2] x i64>
  return %i : !kt.tensor<[m, 2] x i64>
}

// Nor those of a convolution with a number of outputs that only a run knows, which is the number of scales.
// CHECK-LABEL: @leaves_unknown_outputs_alone
// CHECK: kt.conv {{.*}} <[1, 1, 1, 16, 16] x f16> -> <[n, 8, 8, o] x f16>
func.func @leaves_unknown_outputs_alone(%x: !kt.tensor<[n, 8, 8, 16] x f16>) -> !kt.tensor<[n, 8, 8, o] x f16> {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !kt.tensor<[1, 1, 1, 16, 16] x f16>
  %r = kt.conv %x, %w {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, input_dilations = array<i64: 1, 1>,
       pads = [#kt.expr<0>, #kt.expr<0>], groups = 1 : i64}
       : !kt.tensor<[n, 8, 8, 16] x f16>, !kt.tensor<[1, 1, 1, 16, 16] x f16> -> !kt.tensor<[n, 8, 8, o] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %y: index, %z: index, %c: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !kt.tensor<[n, 8, 8, o] x f16>
}

// CHECK-LABEL: @leaves_small_and_computed_weights_alone
// CHECK: kt.matmul {{.*}} <[1, 2, 16] x f16> -> <[m, 16] x f16>
// CHECK: kt.matmul %arg0, %arg1 {{.*}} <[1, 16, 16] x f16> -> <[m, 16] x f16>
func.func @leaves_small_and_computed_weights_alone(%x: !x, %w: !w, %y: !kt.tensor<[m, 2] x f16>) -> (!r, !r) {
  %c = kt.constant dense_resource<small> : tensor<64xi8> : !kt.tensor<[1, 2, 16] x f16>
  %r = kt.matmul %y, %c {depth = #kt.expr<2>, maps = [#lhs, #rhs, #res], packed} : !kt.tensor<[m, 2] x f16>, !kt.tensor<[1, 2, 16] x f16> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %s = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r, %s : !r, !r
}

// Nor weights that have no scale: the last one is infinite.
// CHECK-LABEL: @leaves_infinite_weights_alone
// CHECK: kt.matmul {{.*}} <[1, 16, 16] x f16> -> <[m, 16] x f16>
func.func @leaves_infinite_weights_alone(%x: !x) -> !r {
  %w = kt.constant dense_resource<infinite> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !r
}

// Of 16 k's a word has 0, 8, 1 and 9, the next one 2, 10, 3 and 11, the lowest bits first; in INT4, of 32, one has 0, 8, 16, 24, 1 and so on. 80 and 8 are nothing.
// INT8-DAG: [[QUANTISED]]: "0x{{[0-9]*}}00240028002A002C002D002E002F003080300031803100328032003380330034FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080FF804080818080808180808081808080818080808180808081808080818080808180808081808080818080808180808081808080818080808180808081808080818080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080"
// INT4-DAG: [[QUANTISED]]: "0x{{[0-9]*}}{{([0-9A-F]{64})}}80888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8880888C8888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888888"
// CHECK-DAG: [[GROUPSCALES]]: "0x{{[0-9]*}}0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F000000400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000000041"
{-#
  dialect_resources: { builtin: {
    w: "0x40000000F03FF043F445F047F648F449F24AF04B774CF64C754DF44D734EF24E714FF04F00BC00C000C200C400C500C600C700C880C800C980C900CA80CA00CB80CB00CC00240028002A002C002D002E002F0030803000318031003280320033803300340000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    parts: "0x40000000F03FF043F445F047F648F449F24AF04B774CF64C754DF44D734EF24E714FF04F00BC00C000C200C400C500C600C700C880C800C980C900CA80CA00CB80CB00CC00240028002A002C002D002E002F0030803000318031003280320033803300340000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000F043F047F449F04BF64CF44DF24EF04F7750F6507551F4517352F2527153F05300C000C400C600C800C900CA00CB00CC80CC00CD80CD00CE80CE00CF80CF00D00028002C002E00300031003200330034803400358035003680360037803700380000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    turns: "0x40000000F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063",
    groups: "0x40000000F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000",
    infinite: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C007C",
    small: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C" } }
#-}
