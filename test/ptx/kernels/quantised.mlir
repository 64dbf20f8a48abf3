// RUN: kt-opt %s | kt-opt - -o /dev/null
//
// kt.matmul whose rows may be rounded to integers: depths that are no whole slabs and that a run decides, two parts. p0 is the number of rows.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

kt.kernel @int8_rows_f16_72_336 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 336] x f16>, %b: !kt.tensor<[5, 3, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<336>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 336] x f16>, !kt.tensor<[5, 3, 2080] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc0: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc0 : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @int8_rows_f16_41_128 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 128] x f16>, %b: !kt.tensor<[3, 1, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<128>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 128] x f16>, !kt.tensor<[3, 1, 2080] x ui8> -> !kt.tensor<[p0, 41] x f32> epilogue {
  ^bb0(%acc0: f32, %i0: index, %i1: index):
    kt.yield %acc0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 41] x f32>
}

kt.kernel @int8_rows_bf16_40_2064 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 2064] x bf16>, %b: !kt.tensor<[3, 17, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<2064>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 2064] x bf16>, !kt.tensor<[3, 17, 2080] x ui8> -> !kt.tensor<[p0, 40] x f32> epilogue {
  ^bb0(%acc0: f32, %i0: index, %i1: index):
    kt.yield %acc0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 40] x f32>
}

kt.kernel @int8_rows_parts_f16_72_208 ["p0"] computes {
^bb0(%a: !kt.tensor<[p0, 208] x f16>, %b: !kt.tensor<[10, 2, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<208>, packed, parts = 2, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 208] x f16>, !kt.tensor<[10, 2, 2080] x ui8> -> !kt.tensor<[p0, 72] x f16> epilogue {
  ^bb0(%acc0: f32, %acc1: f32, %i0: index, %i1: index):
    %zero = arith.constant 0.0 : f32
    %relu = arith.maximumf %acc0, %zero : f32
    %both = arith.mulf %relu, %acc1 : f32
    %e = arith.truncf %both : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 72] x f16>
}

kt.kernel @int8_rows_any_depth ["p0", "p1", "p2"] computes {
^bb0(%a: !kt.tensor<[p0, p1 * 8] x f16>, %b: !kt.tensor<[2, p2, 2080] x ui8>):
  %r = kt.matmul %a, %b {maps = [#mk, #nk, #mn], depth = #kt.expr<p1 * 8>, packed, int8_rows, blocks = #kt.blocks<bits = 8, group = 128, scale = f16, zeros = false>}
      : !kt.tensor<[p0, p1 * 8] x f16>, !kt.tensor<[2, p2, 2080] x ui8> -> !kt.tensor<[p0, 24] x f16> epilogue {
  ^bb0(%acc: f32, %i0: index, %i1: index):
    %e = arith.truncf %acc : f32 to f16
    kt.yield %e : f16
  }
  kt.yield %r : !kt.tensor<[p0, 24] x f16>
}

// Quotients that are rounded to integers, by constants.
kt.kernel @rounded_quotients ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0] x f32>) -> !kt.tensor<[p0, 4] x f32> {
  ^bb0(%v: !kt.tensor<[p0] x f32>, %i: index, %j: index):
    %a = arith.constant 0.0456720628 : f32
    %b = arith.constant 1.99999988 : f32
    %c = arith.constant 3.0 : f32
    %d = arith.constant -1.17549435e-10 : f32
    %n = kt.read %v[%i] : !kt.tensor<[p0] x f32> -> f32
    %qa = arith.divf %n, %a : f32
    %qb = arith.divf %n, %b : f32
    %qc = arith.divf %n, %c : f32
    %qd = arith.divf %n, %d : f32
    %ra = math.roundeven %qa : f32
    %rb = math.roundeven %qb : f32
    %rc = math.roundeven %qc : f32
    %rd = math.roundeven %qd : f32
    %one = arith.constant 1 : index
    %two = arith.constant 2 : index
    %zero = arith.constant 0 : index
    %is0 = arith.cmpi eq, %j, %zero : index
    %is1 = arith.cmpi eq, %j, %one : index
    %is2 = arith.cmpi eq, %j, %two : index
    %r2 = arith.select %is2, %rc, %rd : f32
    %r1 = arith.select %is1, %rb, %r2 : f32
    %r0 = arith.select %is0, %ra, %r1 : f32
    kt.yield %r0 : f32
  }
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}

// Integers of 8 bits that floats become: behind an activation, with a sign and an odd zero point, and as what an
// addition quantises of what was quantised before.
kt.kernel @bytes_of_floats ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, 8] x f32>) -> !kt.tensor<[p0, 8] x ui8> {
  ^bb0(%v: !kt.tensor<[p0, 8] x f32>, %i: index, %j: index):
    %step = arith.constant 0.0456720628 : f32
    %low = arith.constant 0.0 : f32
    %high = arith.constant 255.0 : f32
    %n = kt.read %v[%i, %j] : !kt.tensor<[p0, 8] x f32> -> f32
    %p = arith.maximumf %n, %low : f32
    %q = arith.divf %p, %step : f32
    %e = math.roundeven %q : f32
    %z = arith.addf %e, %low : f32
    %a = arith.cmpf oge, %z, %low : f32
    %b = arith.select %a, %z, %low : f32
    %c = arith.cmpf ole, %b, %high : f32
    %d = arith.select %c, %b, %high : f32
    %w = arith.fptosi %d : f32 to i32
    %t = arith.trunci %w : i32 to i8
    kt.yield %t : i8
  }
  kt.yield %r : !kt.tensor<[p0, 8] x ui8>
}

kt.kernel @signed_bytes_of_floats ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>):
  %r = kt.generic ins(%x : !kt.tensor<[p0, 8] x f32>) -> !kt.tensor<[p0, 8] x i8> {
  ^bb0(%v: !kt.tensor<[p0, 8] x f32>, %i: index, %j: index):
    %step = arith.constant 3.0 : f32
    %zero = arith.constant -7.0 : f32
    %low = arith.constant -128.0 : f32
    %high = arith.constant 127.0 : f32
    %n = kt.read %v[%i, %j] : !kt.tensor<[p0, 8] x f32> -> f32
    %q = arith.divf %n, %step : f32
    %e = math.roundeven %q : f32
    %z = arith.addf %e, %zero : f32
    %a = arith.cmpf oge, %z, %low : f32
    %b = arith.select %a, %z, %low : f32
    %c = arith.cmpf ole, %b, %high : f32
    %d = arith.select %c, %b, %high : f32
    %w = arith.fptosi %d : f32 to i32
    %t = arith.trunci %w : i32 to i8
    kt.yield %t : i8
  }
  kt.yield %r : !kt.tensor<[p0, 8] x i8>
}

kt.kernel @bytes_of_bytes ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>, %y: !kt.tensor<[p0, 8] x i8>):
  %r = kt.generic ins(%x, %y : !kt.tensor<[p0, 8] x f32>, !kt.tensor<[p0, 8] x i8>) -> !kt.tensor<[p0, 8] x ui8> {
  ^bb0(%v: !kt.tensor<[p0, 8] x f32>, %u: !kt.tensor<[p0, 8] x i8>, %i: index, %j: index):
    %step = arith.constant 0.0441665091 : f32
    %other = arith.constant 0.0536787435 : f32
    %last = arith.constant 0.125 : f32
    %zero = arith.constant 127.0 : f32
    %even = arith.constant 136.0 : f32
    %low = arith.constant 0.0 : f32
    %high = arith.constant 255.0 : f32
    %c127 = arith.constant 127 : i32
    %c5 = arith.constant 5 : i32
    %n = kt.read %v[%i, %j] : !kt.tensor<[p0, 8] x f32> -> f32
    %q = arith.divf %n, %step : f32
    %e = math.roundeven %q : f32
    %z = arith.addf %e, %zero : f32
    %a = arith.cmpf oge, %z, %low : f32
    %b = arith.select %a, %z, %low : f32
    %c = arith.cmpf ole, %b, %high : f32
    %d = arith.select %c, %b, %high : f32
    %w = arith.fptosi %d : f32 to i32
    %t = arith.trunci %w : i32 to i8
    %tw = arith.extui %t : i8 to i32
    %tz = arith.subi %tw, %c127 : i32
    %tf = arith.sitofp %tz : i32 to f32
    %ts = arith.mulf %tf, %step : f32
    %byte = kt.read %u[%i, %j] : !kt.tensor<[p0, 8] x i8> -> i8
    %bw = arith.extsi %byte : i8 to i32
    %bz = arith.subi %bw, %c5 : i32
    %bf = arith.sitofp %bz : i32 to f32
    %bs = arith.mulf %bf, %other : f32
    %s = arith.addf %ts, %bs : f32
    %q2 = arith.divf %s, %last : f32
    %e2 = math.roundeven %q2 : f32
    %z2 = arith.addf %e2, %even : f32
    %a2 = arith.cmpf oge, %z2, %low : f32
    %b2 = arith.select %a2, %z2, %low : f32
    %c2 = arith.cmpf ole, %b2, %high : f32
    %d2 = arith.select %c2, %b2, %high : f32
    %w2 = arith.fptosi %d2 : f32 to i32
    %t2 = arith.trunci %w2 : i32 to i8
    %both = arith.xori %t, %t2 : i8
    kt.yield %both : i8
  }
  kt.yield %r : !kt.tensor<[p0, 8] x ui8>
}

kt.kernel @bytes_of_activated_bytes ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 8] x f32>, %y: !kt.tensor<[p0, 8] x i8>):
  %r = kt.generic ins(%x, %y : !kt.tensor<[p0, 8] x f32>, !kt.tensor<[p0, 8] x i8>) -> !kt.tensor<[p0, 8] x ui8> {
  ^bb0(%v: !kt.tensor<[p0, 8] x f32>, %u: !kt.tensor<[p0, 8] x i8>, %i: index, %j: index):
    %step = arith.constant 0.0441665091 : f32
    %other = arith.constant 0.0536787435 : f32
    %last = arith.constant 0.0813 : f32
    %zero = arith.constant 127.0 : f32
    %even = arith.constant 136.0 : f32
    %low = arith.constant 0.0 : f32
    %high = arith.constant 255.0 : f32
    %c127 = arith.constant 127 : i32
    %c5 = arith.constant 5 : i32
    %n = kt.read %v[%i, %j] : !kt.tensor<[p0, 8] x f32> -> f32
    %q = arith.divf %n, %step : f32
    %e = math.roundeven %q : f32
    %z = arith.addf %e, %zero : f32
    %a = arith.cmpf oge, %z, %low : f32
    %b = arith.select %a, %z, %low : f32
    %c = arith.cmpf ole, %b, %high : f32
    %d = arith.select %c, %b, %high : f32
    %w = arith.fptosi %d : f32 to i32
    %t = arith.trunci %w : i32 to i8
    %tw = arith.extui %t : i8 to i32
    %tz = arith.subi %tw, %c127 : i32
    %tf = arith.sitofp %tz : i32 to f32
    %ts = arith.mulf %tf, %step : f32
    %byte = kt.read %u[%i, %j] : !kt.tensor<[p0, 8] x i8> -> i8
    %bw = arith.extsi %byte : i8 to i32
    %bz = arith.subi %bw, %c5 : i32
    %bf = arith.sitofp %bz : i32 to f32
    %bs = arith.mulf %bf, %other : f32
    %s = arith.addf %ts, %bs : f32
    %above = arith.maximumf %s, %low : f32
    %q2 = arith.divf %above, %last : f32
    %e2 = math.roundeven %q2 : f32
    %z2 = arith.addf %e2, %even : f32
    %a2 = arith.cmpf oge, %z2, %low : f32
    %b2 = arith.select %a2, %z2, %low : f32
    %c2 = arith.cmpf ole, %b2, %high : f32
    %d2 = arith.select %c2, %b2, %high : f32
    %w2 = arith.fptosi %d2 : f32 to i32
    %t2 = arith.trunci %w2 : i32 to i8
    %both = arith.xori %t, %t2 : i8
    kt.yield %both : i8
  }
  kt.yield %r : !kt.tensor<[p0, 8] x ui8>
}
