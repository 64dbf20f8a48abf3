// What verifiers of items, branches, loops, kernels and launches say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @item_is_inside(%x: !kt.tensor<[4] x i64>) {
  // expected-error @+1 {{'kt.item' op expected an index into '!kt.tensor<[4] x i64>' but got 4}}
  kt.item %x[4] as "?a" : !kt.tensor<[4] x i64>
  return
}

// -----

func.func @item_is_not_negative(%x: !kt.tensor<[n] x i64>) {
  // expected-error @+1 {{'kt.item' op expected an index into '!kt.tensor<[n] x i64>' but got -1}}
  kt.item %x[-1] as "?a" : !kt.tensor<[n] x i64>
  return
}

// -----

func.func @item_of_nothing(%x: !kt.tensor<[0] x i64>) {
  // expected-error @+1 {{'kt.item' op expected an index into '!kt.tensor<[0] x i64>' but got 0}}
  kt.item %x[0] as "?a" : !kt.tensor<[0] x i64>
  return
}

// -----

func.func @item_is_a_symbol(%x: !kt.tensor<[4] x i64>) {
  // expected-error @+1 {{'kt.item' op expected the item to be the name of a symbol but got '?4a'}}
  kt.item %x[0] as "?4a" : !kt.tensor<[4] x i64>
  return
}

// -----

func.func @item_is_one_symbol(%x: !kt.tensor<[4] x i64>) {
  // expected-error @+1 {{'kt.item' op expected the item to be the name of a symbol but got 'a + b'}}
  kt.item %x[0] as "a + b" : !kt.tensor<[4] x i64>
  return
}

// -----

func.func @if_has_a_size_a_symbol(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expected 1 then_sizes, one for each symbol, but got 2}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>, #kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  return
}

// -----

func.func @if_has_an_else_size_a_symbol(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expected 1 else_sizes, one for each symbol, but got 0}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = []} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  return
}

// -----

func.func @if_sets_a_symbol_once(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expected each symbol once but got '?k' twice}}
  %r = kt.if <c> {symbols = ["?k", "?k"], then_sizes = [#kt.expr<n>, #kt.expr<n>], else_sizes = [#kt.expr<m>, #kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  return
}

// -----

func.func @if_branches_yield_results(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expected the then region to yield 1 values but got 0}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  return
}

// -----

func.func @if_branches_end(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expects a non-empty block}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
  ^bb0:
  }
  return
}

// -----

func.func @if_branches_yield_the_sizes(%x: !kt.tensor<[n + 1] x f32>, %y: !kt.tensor<[m] x f32>) {
  // expected-error @+1 {{'kt.if' op expected value 0 of the then region of type '!kt.tensor<[?k] x f32>' but got '!kt.tensor<[n + 1] x f32>'}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n + 1] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f32>
  }
  return
}

// -----

func.func @if_branches_yield_the_type(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m] x f16>) {
  // expected-error @+1 {{'kt.if' op expected value 0 of the else region of type '!kt.tensor<[?k] x f32>' but got '!kt.tensor<[m] x f16>'}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m] x f16>
  }
  return
}

// -----

func.func @if_branches_yield_the_rank(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[m, 1] x f32>) {
  // expected-error @+1 {{'kt.if' op expected value 0 of the else region of type '!kt.tensor<[?k] x f32>' but got '!kt.tensor<[m, 1] x f32>'}}
  %r = kt.if <c> {symbols = ["?k"], then_sizes = [#kt.expr<n>], else_sizes = [#kt.expr<m>]} -> !kt.tensor<[?k] x f32> then {
    kt.yield %x : !kt.tensor<[n] x f32>
  } else {
    kt.yield %y : !kt.tensor<[m, 1] x f32>
  }
  return
}

// -----

func.func @loop_has_the_results(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected 1 carried values and 1 scan outputs, one for each of 'reverse', but got 1 results}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1: false>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_reverses_what_it_counts(%x: !kt.tensor<[n] x f32>, %p: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected trips where a scan output is stored in reverse}}
  %r:2 = kt.loop init(%x : !kt.tensor<[n] x f32>) {induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1: true>} -> !kt.tensor<[n] x f32>, !kt.tensor<[?n, 4] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a, %p : !kt.tensor<[n] x f32>, !kt.tensor<[4] x f32>
  }
  return
}

// -----

func.func @loop_body_takes_the_carried(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected a body of 1 arguments but got 0}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0():
    kt.yield %x : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_body_takes_tensors(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected body argument 0 to be a tensor but got 'f32'}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: f32):
    kt.yield %x : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_body_yields(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected the body to end in a kt.yield of 1 values}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield
  }
  return
}

// -----

func.func @loop_has_a_first_size_a_symbol(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected 1 first_sizes, one for each symbol, but got 0}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = ["?s"],
       first_sizes = [], next_sizes = [#kt.expr<n>], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_has_a_next_size_a_symbol(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected 1 next_sizes, one for each symbol, but got 0}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = ["?s"],
       first_sizes = [#kt.expr<n>], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_symbols_are_names(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected 'induction' to be the name of a symbol but got ''}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a : !kt.tensor<[n] x f32>
  }
  return
}

// -----

func.func @loop_begins_as_it_says(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected initial value 0 of type '!kt.tensor<[?s] x f32>' but got '!kt.tensor<[n] x f32>'}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = ["?s"],
       first_sizes = [#kt.expr<n + 1>], next_sizes = [#kt.expr<?s>], reverse = array<i1>} -> !kt.tensor<[?s] x f32> do {
  ^bb0(%a: !kt.tensor<[?s] x f32>):
    kt.yield %a : !kt.tensor<[?s] x f32>
  }
  return
}

// -----

func.func @loop_goes_on_as_it_says(%x: !kt.tensor<[n] x f32>, %y: !kt.tensor<[n + 1] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected next value 0 of type '!kt.tensor<[n] x f32>' but got '!kt.tensor<[n + 1] x f32>'}}
  %r = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[n] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %y : !kt.tensor<[n + 1] x f32>
  }
  return
}

// -----

func.func @loop_ends_as_it_says(%x: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected result 0 of type '!kt.tensor<[4] x f32>' but got '!kt.tensor<[5] x f32>'}}
  %r = kt.loop init(%x : !kt.tensor<[4] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1>} -> !kt.tensor<[5] x f32> do {
  ^bb0(%a: !kt.tensor<[4] x f32>):
    kt.yield %a : !kt.tensor<[4] x f32>
  }
  return
}

// -----

func.func @loop_stacks_pieces(%x: !kt.tensor<[n] x f32>, %p: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected scan output 0 to be [iterations, piece..] of '!kt.tensor<[4] x f32>' but got '!kt.tensor<[?n, 5] x f32>'}}
  %r:2 = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1: false>} -> !kt.tensor<[n] x f32>, !kt.tensor<[?n, 5] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a, %p : !kt.tensor<[n] x f32>, !kt.tensor<[4] x f32>
  }
  return
}

// -----

func.func @loop_stacks_a_dimension(%x: !kt.tensor<[n] x f32>, %p: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected scan output 0 to be [iterations, piece..] of '!kt.tensor<[4] x f32>' but got '!kt.tensor<[4] x f32>'}}
  %r:2 = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<m>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1: false>} -> !kt.tensor<[n] x f32>, !kt.tensor<[4] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a, %p : !kt.tensor<[n] x f32>, !kt.tensor<[4] x f32>
  }
  return
}

// -----

func.func @loop_stacks_an_iteration_each(%x: !kt.tensor<[n] x f32>, %p: !kt.tensor<[4] x f32>) {
  // expected-error @+1 {{'kt.loop' op expected scan output 0 to be [iterations, piece..] of '!kt.tensor<[4] x f32>' but got '!kt.tensor<[6, 4] x f32>'}}
  %r:2 = kt.loop init(%x : !kt.tensor<[n] x f32>) {trips = #kt.expr<5>, induction = "?i", iterations = "?n", symbols = [],
       first_sizes = [], next_sizes = [], reverse = array<i1: false>} -> !kt.tensor<[n] x f32>, !kt.tensor<[6, 4] x f32> do {
  ^bb0(%a: !kt.tensor<[n] x f32>):
    kt.yield %a, %p : !kt.tensor<[n] x f32>, !kt.tensor<[4] x f32>
  }
  return
}

// -----

// expected-error @+1 {{'kt.kernel' op expected each parameter to be the name of a symbol but got '0'}}
kt.kernel @parameters_are_names ["0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected each parameter once but got 'p0' twice}}
kt.kernel @parameters_are_different ["p0", "p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected every symbol to be a parameter but got 'p0'}}
kt.kernel @symbols_are_parameters [] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected tensors as arguments but got 'f32'}}
kt.kernel @kernels_take_tensors ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>, %y: f32):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected the kt.yield to have the 2 results of the computations}}
kt.kernel @kernels_yield_all_results ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  %s = kt.scan add %r : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %s : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected computations and a kt.yield of their results}}
kt.kernel @kernels_compute ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  kt.yield %x : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected the kt.yield to have the 1 results of the computation}}
kt.kernel @kernels_yield_their_results ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %x : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected the operands of the computations to be the 2 arguments, in order}}
kt.kernel @kernels_use_their_arguments ["p0"] computes {
^bb0(%x: !kt.tensor<[p0] x f32>, %y: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

kt.kernel @sites_are_parameters ["p0"] computes {
^bb0(%b: !kt.tensor<[p0] x f32>, %i: !kt.tensor<[p0, 1] x i64>, %u: !kt.tensor<[p0] x f32>):
  // expected-error @+1 {{'kt.scatter' op expected a site that is one of 1 parameters but got 1}}
  %r = kt.scatter add %b, %i, %u {site = 1} : !kt.tensor<[p0] x f32>, !kt.tensor<[p0, 1] x i64>, !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_are_of_kernels(%x: !kt.tensor<[n, 4] x f32>) {
  // expected-error @+1 {{'kt.launch' op expected the name of a kernel but got 'launches_are_of_kernels'}}
  %r = kt.launch @launches_are_of_kernels ins(%x : !kt.tensor<[n, 4] x f32>) ints [#kt.expr<n>] -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_have_an_int_a_parameter(%x: !kt.tensor<[n, 4] x f32>) {
  // expected-error @+1 {{'kt.launch' op expected 1 ints, one for each parameter of 'k', but got 2}}
  %r = kt.launch @k ins(%x : !kt.tensor<[n, 4] x f32>) ints [#kt.expr<n>, #kt.expr<n>] -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_have_the_inputs(%x: !kt.tensor<[n, 4] x f32>) {
  // expected-error @+1 {{'kt.launch' op expected 1 inputs and 1 results of 'k' but got 0 and 1}}
  %r = kt.launch @k ints [#kt.expr<n>] -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_have_the_shapes(%x: !kt.tensor<[n, 5] x f32>) {
  // expected-error @+1 {{'kt.launch' op expected input 0 to fit '!kt.tensor<[p0, 4] x f32>' of 'k' but got '!kt.tensor<[n, 5] x f32>'}}
  %r = kt.launch @k ins(%x : !kt.tensor<[n, 5] x f32>) ints [#kt.expr<n>] -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_have_the_sizes(%x: !kt.tensor<[n, 4] x f32>) {
  // expected-error @+1 {{'kt.launch' op expected result 0 to fit '!kt.tensor<[p0, 4] x f32>' of 'k' but got '!kt.tensor<[n + 1, 4] x f32>'}}
  %r = kt.launch @k ins(%x : !kt.tensor<[n, 4] x f32>) ints [#kt.expr<n>] -> !kt.tensor<[n + 1, 4] x f32>
  return
}

// -----

kt.kernel @k ["p0"] computes {
^bb0(%x: !kt.tensor<[p0, 4] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0, 4] x f32> -> !kt.tensor<[p0, 4] x f32>
  kt.yield %r : !kt.tensor<[p0, 4] x f32>
}
func.func @launches_have_the_types(%x: !kt.tensor<[n, 4] x f16>) {
  // expected-error @+1 {{'kt.launch' op expected input 0 to fit '!kt.tensor<[p0, 4] x f32>' of 'k' but got '!kt.tensor<[n, 4] x f16>'}}
  %r = kt.launch @k ins(%x : !kt.tensor<[n, 4] x f16>) ints [#kt.expr<n>] -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a candidate's symbols to be parameters or facts of a device but got 'seq'}}
kt.kernel @candidates_know_parameters_and_facts ["p0"]
    attributes {candidates = [#kt.candidate<"sm_89" "direct" {} if <lt(p0, @sm_count)> costs <seq>>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got 147472 bytes of shared memory, expected at most 101376}}
kt.kernel @tiles_can_be_built ["p0"]
    attributes {candidates = [#kt.candidate<"sm_89" "mma" {tile = array<i64: 128, 256, 64>, warps = array<i64: 2, 4>, stages = 3}>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_90a" but got 3 warps that only copy, expected none without warpgroups that have weights in blocks}}
kt.kernel @whole_warpgroups_copy ["p0"]
    attributes {candidates = [#kt.candidate<"sm_90a" "wgmma" {tile = array<i64: 64, 128, 64>, warps = array<i64: 4, 1>, stages = 8, producers = 3}>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got 4 warps that only copy, expected none without warpgroups that have weights in blocks}}
kt.kernel @warps_copy_for_themselves ["p0"]
    attributes {candidates = [#kt.candidate<"sm_89" "mma" {tile = array<i64: 64, 64, 64>, warps = array<i64: 2, 2>, stages = 4, producers = 4}>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile of 'f16' and 'i8' but got one of elements of 1 bytes}}
kt.kernel @integers_have_tiles_of_bytes ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 1 : i64, tile = array<i64: 64, 64, 128>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x f16>, %b: !kt.tensor<[2, 64, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x f16>, !kt.tensor<[2, 64, 16] x i8> -> !kt.tensor<[p0, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a product with int8_rows for a candidate that rounds its rows}}
kt.kernel @who_may_not_round ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 1 : i64, int8_rows = 1 : i64, tile = array<i64: 64, 64, 128>, warps = array<i64: 2, 2>, stages = 4, blocks = array<i64: 8, 64, 32, 0>}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x f16>, %b: !kt.tensor<[2, 1, 1056] x ui8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed, blocks = #kt.blocks<bits = 8, group = 64, scale = f16, zeros = false>}
      : !kt.tensor<[p0, 64] x f16>, !kt.tensor<[2, 1, 1056] x ui8> -> !kt.tensor<[p0, 32] x f32> epilogue {
  ^bb0(%acc: f32, %i: index, %j: index):
    kt.yield %acc : f32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile of 'ui8' and 'i8' but got one of elements of 2 bytes}}
kt.kernel @halves_have_tiles_of_halves ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {tile = array<i64: 64, 64, 64>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[2, 64, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[2, 64, 16] x i8> -> !kt.tensor<[p0, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x i32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile of 'ui8' and 'i16' but got one of elements of 1 bytes}}
kt.kernel @both_sides_are_bytes ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 1 : i64, tile = array<i64: 64, 64, 128>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[2, 64, 16] x i16>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[2, 64, 16] x i16> -> !kt.tensor<[p0, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x i32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got elements of 3 bytes, expected 1 or 2}}
kt.kernel @elements_have_one_or_two_bytes ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 3 : i64, tile = array<i64: 64, 64, 128>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[2, 64, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[2, 64, 16] x i8> -> !kt.tensor<[p0, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x i32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got 32 columns, expected a power of two from 64}}
kt.kernel @columns_of_bytes_are_64 ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 1 : i64, tile = array<i64: 64, 32, 128>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[2, 64, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[2, 64, 16] x i8> -> !kt.tensor<[p0, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x i32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got 128 threads take no whole sixteen k's of 256 columns at a time}}
kt.kernel @rows_of_bytes_come_by_sixteen ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {bytes = 1 : i64, tile = array<i64: 64, 256, 64>, warps = array<i64: 1, 4>, stages = 2}>]} computes {
^bb0(%a: !kt.tensor<[p0, 64] x ui8>, %b: !kt.tensor<[2, 64, 16] x i8>):
  %r = kt.matmul %a, %b {maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], depth = #kt.expr<64>, packed}
      : !kt.tensor<[p0, 64] x ui8>, !kt.tensor<[2, 64, 16] x i8> -> !kt.tensor<[p0, 32] x i32> epilogue {
  ^bb0(%acc: i32, %i: index, %j: index):
    kt.yield %acc : i32
  }
  kt.yield %r : !kt.tensor<[p0, 32] x i32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a product for "mma" but got kt.scan}}
kt.kernel @tiles_are_of_products ["p0"]
    attributes {candidates = [#kt.candidate<"sm_89" "mma" {tile = array<i64: 64, 64, 64>, warps = array<i64: 2, 2>, stages = 4}>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a tile that can be built for "sm_89" but got a size of 0}}
kt.kernel @tiles_have_sizes ["p0"] attributes {candidates = [#kt.candidate<"sm_89" "mma" {}>]} computes {
^bb0(%x: !kt.tensor<[p0] x f32>):
  %r = kt.scan add %x : !kt.tensor<[p0] x f32> -> !kt.tensor<[p0] x f32>
  kt.yield %r : !kt.tensor<[p0] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a dimension in pages, or -1, for each of 2 operands and results but got array<i64: 1>}}
kt.kernel @pages_count ["p0"] attributes {kt.pages = array<i64: 1>} computes {
^bb0(%a: !kt.tensor<[p0, 4, 8] x f32>):
  %0 = kt.generic ins(%a : !kt.tensor<[p0, 4, 8] x f32>) -> !kt.tensor<[p0, 4, 8] x f32> {
  ^bb0(%A: !kt.tensor<[p0, 4, 8] x f32>, %i: index, %j: index, %k: index):
    %x = kt.read %A[%i, %j, %k] : !kt.tensor<[p0, 4, 8] x f32> -> f32
    kt.yield %x : f32
  }
  kt.yield %0 : !kt.tensor<[p0, 4, 8] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a dimension in pages between the first and the last of 3 but got 2}}
kt.kernel @pages_last ["p0"] attributes {kt.pages = array<i64: 2, -1>} computes {
^bb0(%a: !kt.tensor<[p0, 4, 8] x f32>):
  %0 = kt.generic ins(%a : !kt.tensor<[p0, 4, 8] x f32>) -> !kt.tensor<[p0, 4, 8] x f32> {
  ^bb0(%A: !kt.tensor<[p0, 4, 8] x f32>, %i: index, %j: index, %k: index):
    %x = kt.read %A[%i, %j, %k] : !kt.tensor<[p0, 4, 8] x f32> -> f32
    kt.yield %x : f32
  }
  kt.yield %0 : !kt.tensor<[p0, 4, 8] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected a result in pages to be that of a kt.update}}
kt.kernel @pages_result ["p0"] attributes {kt.pages = array<i64: 1, 1>} computes {
^bb0(%a: !kt.tensor<[p0, 4, 8] x f32>):
  %0 = kt.generic ins(%a : !kt.tensor<[p0, 4, 8] x f32>) -> !kt.tensor<[p0, 4, 8] x f32> {
  ^bb0(%A: !kt.tensor<[p0, 4, 8] x f32>, %i: index, %j: index, %k: index):
    %x = kt.read %A[%i, %j, %k] : !kt.tensor<[p0, 4, 8] x f32> -> f32
    kt.yield %x : f32
  }
  kt.yield %0 : !kt.tensor<[p0, 4, 8] x f32>
}

// -----

// expected-error @+1 {{'kt.kernel' op expected elementwise work, windows or attention over pages but got kt.reduce}}
kt.kernel @pages_reduced ["p0"] attributes {kt.pages = array<i64: 1, -1>} computes {
^bb0(%a: !kt.tensor<[p0, 4, 8] x f32>):
  %0 = kt.reduce add over [#kt.expr<4>, #kt.expr<8>] ins(%a : !kt.tensor<[p0, 4, 8] x f32>) -> !kt.tensor<[p0] x f32> {
  ^bb0(%A: !kt.tensor<[p0, 4, 8] x f32>, %i: index, %j: index, %k: index):
    %x = kt.read %A[%i, %j, %k] : !kt.tensor<[p0, 4, 8] x f32> -> f32
    kt.yield %x : f32
  } epilogue {
  ^bb0(%v: f32, %A: !kt.tensor<[p0, 4, 8] x f32>, %i: index):
    kt.yield %v : f32
  }
  kt.yield %0 : !kt.tensor<[p0] x f32>
}
