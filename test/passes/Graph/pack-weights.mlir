// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-pack-weights))' %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-pack-weights))' %t | diff %t -

!a = !kt.tensor<[m, 2] x i8>
!w = !kt.tensor<[2, 3] x i8>
!wt = !kt.tensor<[3, 2] x i8>
!r = !kt.tensor<[m, 3] x i32>
#lhs = affine_map<(m, n, k) -> (m, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// CHECK: #[[PACKED:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>

// One panel of 16 columns, two rows of K, zeros beyond the third column.
// CHECK-LABEL: @rows_of_k
// CHECK: %[[P:.*]] = kt.constant dense_resource<[[KN:.*]]> : tensor<32xi8> {{.*}}: <[1, 2, 16] x i8>
// CHECK: kt.matmul %arg0, %[[P]] {{.*}}#[[PACKED]], #{{.*}}], packed}
func.func @rows_of_k(%a: !a) -> !r {
  %w = kt.constant dense_resource<w> : tensor<6xi8> : !w
  %r = kt.matmul %a, %w {depth = #kt.expr<2>, maps = [#lhs, affine_map<(m, n, k) -> (k, n)>, #res]} : !a, !w -> !r epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  return %r : !r
}

// CHECK-LABEL: @rows_of_n
// CHECK: kt.constant dense_resource<[[NK:.*]]> : tensor<32xi8> {{.*}}: <[1, 2, 16] x i8>
// CHECK: packed}
func.func @rows_of_n(%a: !a) -> !r {
  %w = kt.constant dense_resource<w> : tensor<6xi8> : !wt
  %r = kt.matmul %a, %w {depth = #kt.expr<2>, maps = [#lhs, affine_map<(m, n, k) -> (n, k)>, #res]} : !a, !wt -> !r epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  return %r : !r
}

// CHECK-LABEL: @leaves_inputs_alone
// CHECK-NOT: packed
// CHECK: return
func.func @leaves_inputs_alone(%a: !a, %w: !w) -> !r {
  %r = kt.matmul %a, %w {depth = #kt.expr<2>, maps = [#lhs, affine_map<(m, n, k) -> (k, n)>, #res]} : !a, !w -> !r epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  return %r : !r
}

// CHECK-DAG: [[KN]]: "0x{{[0-9]*}}0102030000000000000000000000000004050600000000000000000000000000"
// CHECK-DAG: [[NK]]: "0x{{[0-9]*}}0103050000000000000000000000000002040600000000000000000000000000"
{-#
  dialect_resources: { builtin: { w: "0x40000000010203040506" } }
#-}
