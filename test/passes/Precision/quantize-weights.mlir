// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights),cse)' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights),cse)' %t | diff %t -

!x = !kt.tensor<[m, 16] x f16>
!w = !kt.tensor<[1, 16, 16] x f16>
!r = !kt.tensor<[m, 16] x f16>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// Column n holds 127 (n + 1) / 64, -(n + 1), (n + 1) / 64 and zeros: its scale is (n + 1) / 64.
// CHECK-LABEL: @product
// CHECK-DAG: %[[Q:.*]] = kt.constant dense_resource<[[QUANTISED:.*]]> : tensor<256xi8> {{.*}}: <[1, 16, 16] x i8>
// CHECK-DAG: %[[S:.*]] = kt.constant dense_resource<[[SCALES:.*]]> : tensor<64xi8> {{.*}}: <[16] x f32>
// CHECK: kt.matmul %arg0, %[[Q]] extras(%[[S]] : !kt.tensor<[16] x f32>) {{.*}} packed} : <[m, 16] x f16>, <[1, 16, 16] x i8> -> <[m, 16] x f16>
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[A:.*]]: !kt.tensor<[16] x f32>, %{{.*}}: index, %[[N:.*]]: index):
// CHECK-NEXT: %[[SCALE:.*]] = kt.read %[[A]][%[[N]]]
// CHECK-NEXT: %[[SCALED:.*]] = arith.mulf %[[ACC]], %[[SCALE]] : f32
// CHECK-NEXT: arith.truncf %[[SCALED]] : f32 to f16
func.func @product(%x: !x) -> !r {
  %w = kt.constant dense_resource<w> : tensor<512xi8> : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !r
}

// Panels of two parts by turns: a scale a column of each.
// CHECK-LABEL: @parts
// CHECK: kt.constant dense_resource<[[PARTSCALES:.*]]> : tensor<128xi8> {{.*}}: <[32] x f32>
// CHECK: %[[S:.*]] = kt.reshape %{{.*}} : <[32] x f32> -> <[2, 16] x f32>
// CHECK: kt.matmul %arg0, %{{.*}} extras(%[[S]] : !kt.tensor<[2, 16] x f32>) {{.*}} <[2, 16, 16] x i8> -> <[m, 16] x f16>
// CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32, %[[A:.*]]: !kt.tensor<[2, 16] x f32>, %{{.*}}: index, %[[N:.*]]: index):
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[S1:.*]] = kt.read %[[A]][%[[ONE]], %[[N]]]
// CHECK-DAG: %[[U:.*]] = arith.mulf %[[UP]], %[[S1]] : f32
// CHECK-DAG: %[[S0:.*]] = kt.read %[[A]][%[[ZERO]], %[[N]]]
// CHECK-DAG: %[[G:.*]] = arith.mulf %[[GATE]], %[[S0]] : f32
// CHECK: arith.mulf %[[G]], %[[U]] : f32
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

// Each part has two panels, which take turns with the other's; its scales lie together.
// CHECK-LABEL: @turns
// CHECK: kt.constant dense_resource<[[TURNSCALES:.*]]> : tensor<256xi8> {{.*}}: <[64] x f32>
// CHECK: kt.reshape %{{.*}} : <[64] x f32> -> <[2, 32] x f32>
func.func @turns(%x: !kt.tensor<[m, 4] x f16>) -> !kt.tensor<[m, 32] x f16> {
  %w = kt.constant dense_resource<turns> : tensor<512xi8> : !kt.tensor<[4, 4, 16] x f16>
  %r = kt.matmul %x, %w {depth = #kt.expr<4>, maps = [#lhs, #rhs, #res], packed, parts = 2 : i64} : !kt.tensor<[m, 4] x f16>, !kt.tensor<[4, 4, 16] x f16> -> !kt.tensor<[m, 32] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %i: index, %j: index):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.truncf %0 : f32 to f16
    kt.yield %1 : f16
  }
  return %r : !kt.tensor<[m, 32] x f16>
}

// A result in the other order: the scale follows the column.
// CHECK-LABEL: @transposed_result
// CHECK: kt.matmul {{.*}} <[1, 16, 16] x i8> -> <[16, m] x f16>
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[A:.*]]: !kt.tensor<[16] x f32>, %[[N:.*]]: index, %{{.*}}: index):
// CHECK-NEXT: kt.read %[[A]][%[[N]]]
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
// CHECK-COUNT-1: tensor<256xi8>
// CHECK-NOT: tensor<256xi8>
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

// One constant has other columns for a product of two parts than for one of one part: it is quantised for each.
// CHECK-LABEL: @shared_by_parts
// CHECK: kt.constant dense_resource<[[TWO:.*]]> : tensor<256xi8> {{.*}}: <[64] x f32>
// CHECK: kt.constant dense_resource<[[ONE:.*]]> : tensor<256xi8> {{.*}}: <[64] x f32>
// CHECK: kt.matmul %arg0, %{{.*}} extras(%{{.*}} : !kt.tensor<[64] x f32>)
// CHECK: kt.matmul %arg0, %{{.*}} extras(%{{.*}} : !kt.tensor<[2, 32] x f32>)
func.func @shared_by_parts(%x: !kt.tensor<[m, 4] x f16>) -> (!kt.tensor<[m, 64] x f16>, !kt.tensor<[m, 32] x f16>) {
  %w = kt.constant dense_resource<turns> : tensor<512xi8> : !kt.tensor<[4, 4, 16] x f16>
  %r = kt.matmul %x, %w {depth = #kt.expr<4>, maps = [#lhs, #rhs, #res], packed} : !kt.tensor<[m, 4] x f16>, !kt.tensor<[4, 4, 16] x f16> -> !kt.tensor<[m, 64] x f16> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  %s = kt.matmul %x, %w {depth = #kt.expr<4>, maps = [#lhs, #rhs, #res], packed, parts = 2 : i64} : !kt.tensor<[m, 4] x f16>, !kt.tensor<[4, 4, 16] x f16> -> !kt.tensor<[m, 32] x f16> epilogue {
  ^bb0(%gate: f32, %up: f32, %i: index, %j: index):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.truncf %0 : f32 to f16
    kt.yield %1 : f16
  }
  return %r, %s : !kt.tensor<[m, 64] x f16>, !kt.tensor<[m, 32] x f16>
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

// CHECK-DAG: [[QUANTISED]]: "0x{{[0-9]*}}7F7F7F7F7F7F7F7F7F7F7F7F7F7F7F7FC0C0C0C0C0C0C0C0C0C0C0C0C0C0C0C00101010101010101010101010101010100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
// CHECK-DAG: [[PARTSCALES]]: "0x{{[0-9]*}}0000803C0000003D0000403D0000803D0000A03D0000C03D0000E03D0000003E0000103E0000203E0000303E0000403E0000503E0000603E0000703E0000803E0000003D0000803D0000C03D0000003E0000203E0000403E0000603E0000803E0000903E0000A03E0000B03E0000C03E0000D03E0000E03E0000F03E0000003F"
// CHECK-DAG: [[ONE]]: "0x{{[0-9]*}}0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041"
// CHECK-DAG: [[TWO]]: "0x{{[0-9]*}}0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041"
// CHECK-DAG: [[TURNSCALES]]: "0x{{[0-9]*}}0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041000000410000004100000041"
// CHECK-DAG: [[GROUPSCALES]]: "0x{{[0-9]*}}0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F000000400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000008040000080400000804000000041"
// CHECK-DAG: [[SCALES]]: "0x{{[0-9]*}}0000803C0000003D0000403D0000803D0000A03D0000C03D0000E03D0000003E0000103E0000203E0000303E0000403E0000503E0000603E0000703E0000803E"
{-#
  dialect_resources: { builtin: {
    w: "0x40000000F03FF043F445F047F648F449F24AF04B774CF64C754DF44D734EF24E714FF04F00BC00C000C200C400C500C600C700C880C800C980C900CA80CA00CB80CB00CC00240028002A002C002D002E002F0030803000318031003280320033803300340000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    parts: "0x40000000F03FF043F445F047F648F449F24AF04B774CF64C754DF44D734EF24E714FF04F00BC00C000C200C400C500C600C700C880C800C980C900CA80CA00CB80CB00CC00240028002A002C002D002E002F0030803000318031003280320033803300340000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000F043F047F449F04BF64CF44DF24EF04F7750F6507551F4517352F2527153F05300C000C400C600C800C900CA00CB00CC80CC00CD80CD00CE80CE00CF80CF00D00028002C002E00300031003200330034803400358035003680360037803700380000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    turns: "0x40000000F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05BF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063F063",
    groups: "0x40000000F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F057F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05B000000000000000000000000000000000000000000000000000000000000F05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF05FF063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000F063000000000000000000000000000000000000000000000000000000000000",
    infinite: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C007C",
    small: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C" } }
#-}
