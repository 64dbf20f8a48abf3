// What verifiers of bodies, reads, constants and views say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @extents_are_numbers(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.reduce' op expected extent 0 to be 0 or more but got -4}}
  %r = kt.reduce add over [#kt.expr<-4>] -> !kt.tensor<[] x f32> {
  ^bb0(%j: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @extents_are_expressions() {
  // expected-error @+1 {{'kt.reduce' op attribute 'extents' failed to satisfy constraint: array of expressions}}
  %r = kt.reduce add over [4] -> !kt.tensor<[] x f32> {
  ^bb0(%j: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @argmax_gives_a_number() {
  // expected-error @+1 {{'kt.reduce' op epilogue argument 0 expected 'i64' but got 'f32'}}
  %r = kt.reduce argmax over [#kt.expr<4>] -> !kt.tensor<[] x f32> {
  ^bb0(%j: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @the_last_of_winners() {
  // expected-error @+1 {{'kt.reduce' op expected select_last with argmax or argmin but got max}}
  %r = kt.reduce max over [#kt.expr<4>] {select_last} -> !kt.tensor<[] x f32> {
  ^bb0(%j: index):
    %0 = arith.constant 0.0 : f32
    kt.yield %0 : f32
  } epilogue {
  ^bb0(%acc: f32):
    kt.yield %acc : f32
  }
  return
}

// -----

func.func @indices_do_not_combine() {
  // expected-error @+1 {{'kt.reduce' op expected the body to yield an integer or a floating-point number but it yields 'index'}}
  %r = kt.reduce add over [#kt.expr<4>] -> !kt.tensor<[] x i64> {
  ^bb0(%j: index):
    kt.yield %j : index
  } epilogue {
  ^bb0(%acc: index):
    %0 = arith.index_cast %acc : index to i64
    kt.yield %0 : i64
  }
  return
}

// -----

func.func @bodies_are_not_empty() {
  // expected-error @+1 {{'kt.generic' op body expected to end in a kt.yield of one value}}
  %r = kt.generic -> !kt.tensor<[4] x f32> {
  ^bb0(%i: index):
  }
  return
}

// -----

func.func @bodies_hold_no_computation(%x: !kt.tensor<[4] x f32>) {
  %r = kt.generic ins(%x : !kt.tensor<[4] x f32>) -> !kt.tensor<[4] x f32> {
  ^bb0(%X: !kt.tensor<[4] x f32>, %i: index):
    // expected-error @+1 {{'kt.scan' op is not expected in the body of a kt.generic}}
    %0 = kt.scan add %X : !kt.tensor<[4] x f32> -> !kt.tensor<[4] x f32>
    %1 = arith.constant 0.0 : f32
    kt.yield %1 : f32
  }
  return
}

// -----

func.func @reads_are_in_bodies(%x: !kt.tensor<[] x f32>) {
  // expected-error @+1 {{'kt.read' op expected an operand of the computation whose body it is in}}
  %0 = kt.read %x[] : !kt.tensor<[] x f32> -> f32
  return
}

// -----

func.func @checks_are_of_dimensions(%x: !kt.tensor<[4] x f32>) {
  %r = kt.generic ins(%x : !kt.tensor<[4] x f32>) -> !kt.tensor<[4] x f32> {
  ^bb0(%X: !kt.tensor<[4] x f32>, %i: index):
    %z = arith.constant 0.0 : f32
    // expected-error @+1 {{'kt.read' op expected checked dimensions below 1 but got 1}}
    %0 = kt.read %X[%i] else %z : f32 {check = array<i64: 1>} : !kt.tensor<[4] x f32> -> f32
    kt.yield %0 : f32
  }
  return
}

// -----

func.func @reshape_keeps_symbolic_elements(%x: !kt.tensor<[n, 4] x f32>) {
  // expected-error @+1 {{'kt.reshape' op expected n * 4 elements but got n * 4 + 4}}
  %r = kt.reshape %x : !kt.tensor<[n, 4] x f32> -> !kt.tensor<[n + 1, 4] x f32>
  return
}

// -----

func.func @constant_has_a_resource() {
  // expected-error @+1 {{'kt.constant' op expected 4 bytes but got 0}}
  %r = kt.constant dense_resource<missing> : tensor<4xi8> : !kt.tensor<[1] x f32>
  return
}

// -----

func.func @yields_are_in_regions() {
  // expected-error @+1 {{'kt.yield' op expects parent op to be one of 'kt.generic, kt.update, kt.reduce, kt.normalize, kt.matmul, kt.conv, kt.attention, kt.if, kt.loop, kt.kernel'}}
  kt.yield
}
