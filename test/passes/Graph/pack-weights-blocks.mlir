// Weights of few bits are packed as blocks: those of one product, of two that are merged, and by turns where a product has two parts; what reads them otherwise gets a constant.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-merge-products,kt-pack-weights))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-pack-weights))' %t | diff %t -

#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>
!x = !kt.tensor<[m, 18] x f32>
!r = !kt.tensor<[m, 2] x f32>

// Two columns of 18 k's in groups of 16, of which the second has two and 14 zero points.
// CHECK-LABEL: @one
// CHECK: %[[P:.*]] = kt.constant dense_resource<[[ONE:[a-z0-9_]+]]> {{.*}}: <[1, 2, 176] x ui8>
// CHECK: kt.matmul %arg0, %[[P]] {blocks = #kt.blocks<bits = 4, group = 16, scale = f16, zeros = true>, {{.*}}packed}
// CHECK-NOT: kt.dequantize
func.func @one(%x: !x) -> !r {
  %q = kt.constant dense_resource<q> : tensor<32xi8> : <[2, 2, 8] x ui8>
  %s = kt.constant dense_resource<s> : tensor<8xi8> : <[2, 2] x f16>
  %z = kt.constant dense_resource<z> : tensor<4xi8> : <[2, 2] x ui8>
  %w = kt.dequantize %q, %s zeros %z : !kt.tensor<[2, 2] x ui8> {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  %r = kt.matmul %x, %w {depth = #kt.expr<18>, maps = [#lhs, #rhs, #res]} : !x, !kt.tensor<[2, 18] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  return %r : !r
}

// One panel has both products' columns, unless their formats differ.
// CHECK-LABEL: @merged
// CHECK: %[[P:.*]] = kt.constant dense_resource<[[BOTH:[a-z0-9_]+]]> {{.*}}: <[1, 2, 176] x ui8>
// CHECK: kt.matmul %arg0, %[[P]] {blocks = #kt.blocks<bits = 4, group = 16, scale = f16, zeros = true>, {{.*}}packed} {{.*}} -> <[m, 4] x f32>
// CHECK-NOT: kt.matmul
// CHECK: return
func.func @merged(%x: !x) -> (!r, !r) {
  %q = kt.constant dense_resource<q> : tensor<32xi8> : <[2, 2, 8] x ui8>
  %s = kt.constant dense_resource<s> : tensor<8xi8> : <[2, 2] x f16>
  %z = kt.constant dense_resource<z> : tensor<4xi8> : <[2, 2] x ui8>
  %w = kt.dequantize %q, %s zeros %z : !kt.tensor<[2, 2] x ui8> {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  %v = kt.dequantize %q, %s zeros %z : !kt.tensor<[2, 2] x ui8> {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  %r = kt.matmul %x, %w {depth = #kt.expr<18>, maps = [#lhs, #rhs, #res]} : !x, !kt.tensor<[2, 18] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.matmul %x, %v {depth = #kt.expr<18>, maps = [#lhs, #rhs, #res]} : !x, !kt.tensor<[2, 18] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %a = kt.generic ins(%r : !r) -> !r {
  ^bb0(%R: !r, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !r -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%t : !r) -> !r {
  ^bb0(%T: !r, %i: index, %j: index):
    %0 = kt.read %T[%i, %j] : !r -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %a, %b : !r, !r
}

// CHECK-LABEL: @other_formats
// CHECK-COUNT-2: kt.matmul {{.*}}packed
func.func @other_formats(%x: !x) -> (!r, !r) {
  %q = kt.constant dense_resource<q> : tensor<32xi8> : <[2, 2, 8] x ui8>
  %s = kt.constant dense_resource<s> : tensor<8xi8> : <[2, 2] x f16>
  %z = kt.constant dense_resource<z> : tensor<4xi8> : <[2, 2] x ui8>
  %w = kt.dequantize %q, %s zeros %z : !kt.tensor<[2, 2] x ui8> {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  %v = kt.dequantize %q, %s {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  %r = kt.matmul %x, %w {depth = #kt.expr<18>, maps = [#lhs, #rhs, #res]} : !x, !kt.tensor<[2, 18] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %t = kt.matmul %x, %v {depth = #kt.expr<18>, maps = [#lhs, #rhs, #res]} : !x, !kt.tensor<[2, 18] x f32> -> !r epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  %a = kt.generic ins(%r : !r) -> !r {
  ^bb0(%R: !r, %i: index, %j: index):
    %0 = kt.read %R[%i, %j] : !r -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  %b = kt.generic ins(%t : !r) -> !r {
  ^bb0(%T: !r, %i: index, %j: index):
    %0 = kt.read %T[%i, %j] : !r -> f32
    %1 = math.exp %0 : f32
    kt.yield %1 : f32
  }
  return %a, %b : !r, !r
}

// (1 - 3) * 1 and (2 - 3) * 1 begin the first row.
// CHECK-LABEL: @as_they_are
// CHECK: %[[W:.*]] = kt.constant dense_resource<[[WIDE:[a-z0-9_]+]]> {{.*}}: <[2, 18] x f32>
// CHECK: return %[[W]]
func.func @as_they_are() -> !kt.tensor<[2, 18] x f32> {
  %q = kt.constant dense_resource<q> : tensor<32xi8> : <[2, 2, 8] x ui8>
  %s = kt.constant dense_resource<s> : tensor<8xi8> : <[2, 2] x f16>
  %z = kt.constant dense_resource<z> : tensor<4xi8> : <[2, 2] x ui8>
  %w = kt.dequantize %q, %s zeros %z : !kt.tensor<[2, 2] x ui8> {bits = 4 : i64, group = 16 : i64} : !kt.tensor<[2, 2, 8] x ui8>, !kt.tensor<[2, 2] x f16> -> !kt.tensor<[2, 18] x f32>
  return %w : !kt.tensor<[2, 18] x f32>
}

// Scales of the first block, its zero points, and the words of both columns: numbers 0, 1, 8, 9 of a row and 2, 3, 10, 11, of which two neighbours are half a word apart. Scales of the second; what is behind its
// two numbers are zero points, 5 and 6.
// CHECK-DAG: [[ONE]]: "0x10000000003C0040000000000000000000000000000000000000000000000000000000000304000000000000000000000000000091B3A2C4A2C491B30000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000D5F7E608E608D5F700000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000040004200000000000000000000000000000000000000000000000000000000050600000000000000000000000000005155525562666166
// CHECK-DAG: [[BOTH]]: "0x10000000003C0040003C00400000000000000000000000000000000000000000000000000304030400000000000000000000000091B3A2C4A2C491B391B3A2C4A2C491B3
// CHECK-DAG: [[WIDE]]: "0x10000000000000C0000080BF00000000
{-#
  dialect_resources: { builtin: {
    q: "0x4000000021436587A9CBED0F2100000000000000123456789ABCDEF01200000000000000",
    s: "0x40000000003C004000400042",
    z: "0x4000000003050406"
  } }
#-}
