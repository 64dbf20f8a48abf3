// What parsers of expressions and types say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expected a dimension of 0 or more but got -1}}
func.func private @dimensions_are_sizes(!kt.tensor<[3 + -4] x f32>)

// -----

// expected-error @+1 {{expected a divisor other than 0}}
func.func private @divisors_are_not_zero(!kt.tensor<[n floordiv 0] x f32>)

// -----

// expected-error @+1 {{expected a divisor other than 0}}
func.func private @remainders_are_of_something(!kt.tensor<[n mod (m + -1 * m)] x f32>)

// -----

// expected-error @+1 {{expected an expression that fits in 64 bits}}
func.func private @numbers_fit(!kt.tensor<[9223372036854775807 + 1] x f32>)

// -----

// expected-error @+1 {{integer value too large}}
func.func private @literals_fit(!kt.tensor<[99999999999999999999999999] x f32>)

// -----

// expected-error @+1 {{expected a tensor whose bytes can be counted: their number does not fit in 64 bits}}
func.func private @bytes_fit(!kt.tensor<[4294967296, 4294967296] x f32>)

// -----

// expected-error @+1 {{expected an element type, a number that kt knows}}
func.func private @elements_are_numbers(!kt.tensor<[n] x vector<2xf32>>)

// -----

// expected-error @+1 {{expected an element type, a number that kt knows}}
func.func private @elements_have_known_widths(!kt.tensor<[n] x i128>)

// -----

// expected-error @+1 {{expected ','}}
func.func private @arguments_are_separated(!kt.tensor<[min(a b)] x f32>)
