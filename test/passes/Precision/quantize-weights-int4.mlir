// What loses too much in INT4 is INT8, and what loses too much in that as well stays as it is. Numbers from 1 to 16 are an eighth of the largest one apart at best.
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{bits=4 group=16 min-snr=30}))' %s 2>&1 | FileCheck %s --check-prefixes=CHECK,THIRTY
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{bits=4 group=16 min-snr=60}))' %s 2>&1 | FileCheck %s --check-prefixes=CHECK,SIXTY
// RUN: kt-opt --pass-pipeline='builtin.module(func.func(kt-quantize-weights{bits=4 group=16}))' %s 2>&1 | FileCheck %s --check-prefixes=CHECK,TWELVE

// THIRTY: warning: 1 weight is not INT4 because that would leave less than 30.0 dB of signal to noise, the worst 'ramp' with 2{{[0-9.]*}}
// SIXTY: warning: 1 weight is not INT4 because that would leave less than 60.0 dB of signal to noise, the worst 'ramp' with 2{{[0-9.]*}}
// SIXTY: warning: 1 weight stays as it is because INT8 would leave less than 60.0 dB of signal to noise, the worst 'ramp' with 4{{[0-9.]*}}
// TWELVE-NOT: warning

!x = !kt.tensor<[m, 16] x f16>
!w = !kt.tensor<[1, 16, 16] x f16>
#lhs = affine_map<(m, n, k) -> (m, k)>
#rhs = affine_map<(m, n, k) -> (n, k)>
#res = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: @ramp
// TWELVE: kt.matmul {{.*}}blocks = #kt.blocks<bits = 4, group = 16, scale = f16, zeros = false>{{.*}} <[1, 1, 160] x ui8>
// THIRTY: kt.matmul {{.*}}blocks = #kt.blocks<bits = 8, group = 16, scale = f16, zeros = false>{{.*}} <[1, 1, 288] x ui8>
// SIXTY: kt.matmul {{.*}} <[1, 16, 16] x f16>
func.func @ramp(%x: !x) -> !x {
  %w = kt.constant dense_resource<ramp> : tensor<512xi8> {name = "ramp"} : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !x epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !x
}

// FP16 has no numbers of five digits for steps of an eighth of 2^-20.
// CHECK-LABEL: @tiny
// CHECK: kt.matmul {{.*}}blocks = #kt.blocks<bits = 4, group = 16, scale = f32, zeros = false>{{.*}} <[1, 1, 192] x ui8>
func.func @tiny(%x: !x) -> !x {
  %w = kt.constant dense_resource<tiny> : tensor<512xi8> {name = "tiny"} : !w
  %r = kt.matmul %x, %w {depth = #kt.expr<16>, maps = [#lhs, #rhs, #res], packed} : !x, !w -> !x epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    %0 = arith.truncf %acc : f32 to f16
    kt.yield %0 : f16
  }
  return %r : !x
}

// Tables and convolutions are INT8.
// CHECK-LABEL: @table
// CHECK: kt.generic {{.*}}!kt.tensor<[16, 16] x i8>
func.func @table(%ids: !kt.tensor<[m] x i64>) -> !x {
  %t = kt.constant dense_resource<tiny> : tensor<512xi8> : !kt.tensor<[16, 16] x f16>
  %x = kt.generic ins(%ids, %t : !kt.tensor<[m] x i64>, !kt.tensor<[16, 16] x f16>) -> !x {
  ^bb0(%I: !kt.tensor<[m] x i64>, %T: !kt.tensor<[16, 16] x f16>, %i: index, %j: index):
    %0 = kt.read %I[%i] : !kt.tensor<[m] x i64> -> i64
    %1 = arith.index_cast %0 : i64 to index
    %2 = kt.read %T[%1, %j] : !kt.tensor<[16, 16] x f16> -> f16
    kt.yield %2 : f16
  }
  return %x : !x
}

{-#
  dialect_resources: { builtin: {
    ramp: "0x40000000003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C003C0040004000400040004000400040004000400040004000400040004000400040004200420042004200420042004200420042004200420042004200420042004200440044004400440044004400440044004400440044004400440044004400440045004500450045004500450045004500450045004500450045004500450045004600460046004600460046004600460046004600460046004600460046004600470047004700470047004700470047004700470047004700470047004700470048004800480048004800480048004800480048004800480048004800480048804880488048804880488048804880488048804880488048804880488048804800490049004900490049004900490049004900490049004900490049004900498049804980498049804980498049804980498049804980498049804980498049004A004A004A004A004A004A004A004A004A004A004A004A004A004A004A004A804A804A804A804A804A804A804A804A804A804A804A804A804A804A804A804A004B004B004B004B004B004B004B004B004B004B004B004B004B004B004B004B804B804B804B804B804B804B804B804B804B804B804B804B804B804B804B804B004C004C004C004C004C004C004C004C004C004C004C004C004C004C004C004C",
    tiny: "0x400000001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000100010001000"
  } }
#-}
