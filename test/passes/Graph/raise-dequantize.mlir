// Products whose right side stands for constant integers have kt.dequantize, in groups that take the fewest bytes, through views, transpositions and conversions; so do tables of which rows are read that data says.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-dequantize))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-raise-dequantize))' %t | diff %t -

#lhs = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>
!x = !kt.tensor<[m, 32] x f32>
!w = !kt.tensor<[32, 16] x f32>
!r = !kt.tensor<[m, 16] x f32>

// Numbers from -8 to 7 with a scale for 16 k's of a column. The first column's first group is -8, -6, ...: 0, 2, ... less 8.
// CHECK-LABEL: @blocks
// CHECK-DAG: %[[Q:.*]] = kt.constant dense_resource<[[NUMBERS:[a-z0-9_]+]]> {{.*}} {name = "w"} : <[16, 2, 8] x ui8>
// CHECK-DAG: %[[S:.*]] = kt.constant dense_resource<[[SCALES:[a-z0-9_.]+]]> {{.*}} {name = "w.scale"} : <[16, 2] x f32>
// CHECK: %[[W:.*]] = kt.dequantize %[[Q]], %[[S]] {bits = 4 : i64, group = 16 : i64}
// CHECK: kt.matmul %arg0, %[[W]] {{{.*}}maps = [#map, #map1, #map2]}
func.func @blocks(%x: !x) -> !r {
  %q = kt.constant dense_resource<q> : tensor<512xi8> {name = "w"} : !kt.tensor<[32, 16] x i4>
  %s = kt.constant dense_resource<s> : tensor<128xi8> : !kt.tensor<[2, 16] x f32>
  %w = kt.generic ins(%q, %s : !kt.tensor<[32, 16] x i4>, !kt.tensor<[2, 16] x f32>) -> !w {
  ^bb0(%Q: !kt.tensor<[32, 16] x i4>, %S: !kt.tensor<[2, 16] x f32>, %k: index, %n: index):
    %0 = kt.read %Q[%k, %n] : !kt.tensor<[32, 16] x i4> -> i4
    %1 = arith.extsi %0 : i4 to i32
    %2 = arith.sitofp %1 : i32 to f32
    %c16 = arith.constant 16 : index
    %3 = arith.divui %k, %c16 : index
    %4 = kt.read %S[%3, %n] : !kt.tensor<[2, 16] x f32> -> f32
    %5 = arith.mulf %2, %4 : f32
    kt.yield %5 : f32
  }
  %r = kt.matmul %x, %w {depth = #kt.expr<32>, maps = [#lhs, #kn, #res]} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// One scale and a zero point of unsigned numbers, behind a transposition and a conversion; the table of rows that data says is the same in its own order.
// CHECK-LABEL: @turned
// CHECK: %[[T:.*]] = kt.dequantize %{{.*}}, %{{.*}} zeros %{{.*}} : !kt.tensor<[16, 1] x ui8> {bits = 8 : i64, group = 32 : i64} : <[16, 1, 32] x ui8>, <[16, 1] x f16> -> <[16, 32] x f32>
// CHECK: %[[ROWS:.*]] = kt.dequantize {{.*}} {bits = 8 : i64, group = 32 : i64} : <[16, 1, 32] x ui8>, <[16, 1] x f16> -> <[16, 32] x f16>
// CHECK: kt.matmul %arg0, %[[T]]
// CHECK: kt.generic ins(%[[ROWS]], %arg1
func.func @turned(%x: !x, %ids: !kt.tensor<[m] x i64>) -> (!r, !kt.tensor<[m, 32] x f16>) {
  %q = kt.constant dense_resource<q> : tensor<512xi8> {name = "w"} : !kt.tensor<[16, 32] x ui8>
  %s = kt.constant dense_resource<one> : tensor<2xi8> : !kt.tensor<[] x f16>
  %z = kt.constant dense_resource<z> : tensor<1xi8> : !kt.tensor<[1] x ui8>
  %w = kt.generic ins(%q, %s, %z : !kt.tensor<[16, 32] x ui8>, !kt.tensor<[] x f16>, !kt.tensor<[1] x ui8>) -> !kt.tensor<[16, 32] x f16> {
  ^bb0(%Q: !kt.tensor<[16, 32] x ui8>, %S: !kt.tensor<[] x f16>, %Z: !kt.tensor<[1] x ui8>, %n: index, %k: index):
    %c0 = arith.constant 0 : index
    %0 = kt.read %Q[%n, %k] : !kt.tensor<[16, 32] x ui8> -> i8
    %1 = arith.extui %0 : i8 to i32
    %2 = kt.read %Z[%c0] : !kt.tensor<[1] x ui8> -> i8
    %3 = arith.extui %2 : i8 to i32
    %4 = arith.subi %1, %3 : i32
    %5 = arith.sitofp %4 : i32 to f32
    %6 = kt.read %S[] : !kt.tensor<[] x f16> -> f16
    %7 = arith.extf %6 : f16 to f32
    %8 = arith.mulf %5, %7 : f32
    %9 = arith.truncf %8 : f32 to f16
    kt.yield %9 : f16
  }
  %v = kt.generic ins(%w : !kt.tensor<[16, 32] x f16>) -> !kt.tensor<[16, 32] x f32> {
  ^bb0(%W: !kt.tensor<[16, 32] x f16>, %n: index, %k: index):
    %0 = kt.read %W[%n, %k] : !kt.tensor<[16, 32] x f16> -> f16
    %1 = arith.extf %0 : f16 to f32
    kt.yield %1 : f32
  }
  %t = kt.generic ins(%v : !kt.tensor<[16, 32] x f32>) -> !w {
  ^bb0(%V: !kt.tensor<[16, 32] x f32>, %k: index, %n: index):
    %0 = kt.read %V[%n, %k] : !kt.tensor<[16, 32] x f32> -> f32
    kt.yield %0 : f32
  }
  %r = kt.matmul %x, %t {depth = #kt.expr<32>, maps = [#lhs, #kn, #res]} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %rows = kt.generic ins(%w, %ids : !kt.tensor<[16, 32] x f16>, !kt.tensor<[m] x i64>) -> !kt.tensor<[m, 32] x f16> {
  ^bb0(%W: !kt.tensor<[16, 32] x f16>, %I: !kt.tensor<[m] x i64>, %i: index, %j: index):
    %0 = kt.read %I[%i] : !kt.tensor<[m] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %W[%1, %j] : !kt.tensor<[16, 32] x f16> -> f16
    kt.yield %2 : f16
  }
  return %r, %rows : !r, !kt.tensor<[m, 32] x f16>
}

// A scale for each k is in no group.
// CHECK-LABEL: @leaves_scales_of_rows
// CHECK-NOT: kt.dequantize
func.func @leaves_scales_of_rows(%x: !x) -> !r {
  %q = kt.constant dense_resource<q> : tensor<512xi8> : !kt.tensor<[32, 16] x i8>
  %s = kt.constant dense_resource<rows> : tensor<64xi8> : !kt.tensor<[32] x f16>
  %w = kt.generic ins(%q, %s : !kt.tensor<[32, 16] x i8>, !kt.tensor<[32] x f16>) -> !w {
  ^bb0(%Q: !kt.tensor<[32, 16] x i8>, %S: !kt.tensor<[32] x f16>, %k: index, %n: index):
    %0 = kt.read %Q[%k, %n] : !kt.tensor<[32, 16] x i8> -> i8
    %1 = arith.extsi %0 : i8 to i32
    %2 = arith.sitofp %1 : i32 to f32
    %3 = kt.read %S[%k] : !kt.tensor<[32] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.mulf %2, %4 : f32
    kt.yield %5 : f32
  }
  %r = kt.matmul %x, %w {depth = #kt.expr<32>, maps = [#lhs, #kn, #res]} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// Where the left side was integers of 8 bits as well, import would have multiplied integers if that were faster.
// CHECK-LABEL: @leaves_integers_on_both_sides
// CHECK-NOT: kt.dequantize
func.func @leaves_integers_on_both_sides(%x: !kt.tensor<[m, 32] x i8>) -> !r {
  %q = kt.constant dense_resource<q> : tensor<512xi8> : !kt.tensor<[32, 16] x i8>
  %s = kt.constant dense_resource<one> : tensor<2xi8> : !kt.tensor<[] x f16>
  %w = kt.generic ins(%q, %s : !kt.tensor<[32, 16] x i8>, !kt.tensor<[] x f16>) -> !w {
  ^bb0(%Q: !kt.tensor<[32, 16] x i8>, %S: !kt.tensor<[] x f16>, %k: index, %n: index):
    %0 = kt.read %Q[%k, %n] : !kt.tensor<[32, 16] x i8> -> i8
    %1 = arith.extsi %0 : i8 to i32
    %2 = arith.sitofp %1 : i32 to f32
    %3 = kt.read %S[] : !kt.tensor<[] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.mulf %2, %4 : f32
    kt.yield %5 : f32
  }
  %d = kt.generic ins(%x, %s : !kt.tensor<[m, 32] x i8>, !kt.tensor<[] x f16>) -> !x {
  ^bb0(%X: !kt.tensor<[m, 32] x i8>, %S: !kt.tensor<[] x f16>, %i: index, %k: index):
    %0 = kt.read %X[%i, %k] : !kt.tensor<[m, 32] x i8> -> i8
    %1 = arith.extsi %0 : i8 to i32
    %2 = arith.sitofp %1 : i32 to f32
    %3 = kt.read %S[] : !kt.tensor<[] x f16> -> f16
    %4 = arith.extf %3 : f16 to f32
    %5 = arith.mulf %2, %4 : f32
    kt.yield %5 : f32
  }
  %r = kt.matmul %d, %w {depth = #kt.expr<32>, maps = [#lhs, #kn, #res]} : !x, !w -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// Columns lie one after the other, and so do the scales of each.
// CHECK-DAG: [[NUMBERS]]: "0x{{........}}2064A8EC2064A8EC2064A8EC2064A8ECEFCDEFCDEFCDEFCDEFCDEFCDEFCDEFCD
// CHECK-DAG: [[SCALES]]: "0x{{........}}000020410000A041000030410000A841

{-#
  dialect_resources: { builtin: {
    q: "0x40000000F807F807F807F807F807F807F807F807FA06FA06FA06FA06FA06FA06FA06FA06FC05FC05FC05FC05FC05FC05FC05FC05FE04FE04FE04FE04FE04FE04FE04FE0400070007000700070007000700070007020602060206020602060206020602060405040504050405040504050405040506040604060406040604060406040604F807F807F807F807F807F807F807F807FA06FA06FA06FA06FA06FA06FA06FA06FC05FC05FC05FC05FC05FC05FC05FC05FE04FE04FE04FE04FE04FE04FE04FE0400070007000700070007000700070007020602060206020602060206020602060405040504050405040504050405040506040604060406040604060406040604F807F807F807F807F807F807F807F807FA06FA06FA06FA06FA06FA06FA06FA06FC05FC05FC05FC05FC05FC05FC05FC05FE04FE04FE04FE04FE04FE04FE04FE0400070007000700070007000700070007020602060206020602060206020602060405040504050405040504050405040506040604060406040604060406040604F807F807F807F807F807F807F807F807FA06FA06FA06FA06FA06FA06FA06FA06FC05FC05FC05FC05FC05FC05FC05FC05FE04FE04FE04FE04FE04FE04FE04FE0400070007000700070007000700070007020602060206020602060206020602060405040504050405040504050405040506040604060406040604060406040604",
    s: "0x40000000000020410000304100004041000050410000604100007041000080410000884100009041000098410000A0410000A8410000B0410000B8410000C0410000C8410000A0410000A8410000B0410000B8410000C0410000C8410000D0410000D8410000E0410000E8410000F0410000F84100000042000004420000084200000C42",
    one: "0x40000000003C",
    z: "0x4000000003",
    rows: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C"
  } }
#-}
