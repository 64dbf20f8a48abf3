// What verifiers of sort, scan, scatter, nonzero and suppress say.
// RUN: kt-opt %s -split-input-file -verify-diagnostics

func.func @sort_results_have_one_shape(%x: !kt.tensor<[n, 9] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected values and indices of one shape but got '!kt.tensor<[n, 5] x f32>' and '!kt.tensor<[n, 6] x i64>'}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n, 9] x f32> -> !kt.tensor<[n, 5] x f32>, !kt.tensor<[n, 6] x i64>
  return
}

// -----

func.func @sort_has_rows(%x: !kt.tensor<[] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected results of the input's rank, at least 1, but got 0 and 0}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[] x f32> -> !kt.tensor<[] x f32>, !kt.tensor<[] x i64>
  return
}

// -----

func.func @sort_has_enough_elements(%x: !kt.tensor<[n, 9] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected at most 9 sorted elements a row but got 10}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n, 9] x f32> -> !kt.tensor<[n, 10] x f32>, !kt.tensor<[n, 10] x i64>
  return
}

// -----

func.func @sort_has_enough_symbolic_elements(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected at most n sorted elements a row but got n + 1}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n] x f32> -> !kt.tensor<[n + 1] x f32>, !kt.tensor<[n + 1] x i64>
  return
}

// -----

func.func @sort_keeps_the_rows(%x: !kt.tensor<[4, 9] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected dimension 0 of values to be 4 but got 5}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[4, 9] x f32> -> !kt.tensor<[5, 9] x f32>, !kt.tensor<[5, 9] x i64>
  return
}

// -----

func.func @sort_keeps_the_type(%x: !kt.tensor<[n, 9] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected values of 'f32' but got 'f16'}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n, 9] x f32> -> !kt.tensor<[n, 9] x f16>, !kt.tensor<[n, 9] x i64>
  return
}

// -----

func.func @sort_positions_are_i64(%x: !kt.tensor<[n, 9] x f32>) {
  // expected-error @+1 {{'kt.sort' op expected indices of 'i64' but got 'i32'}}
  %v, %i = kt.sort %x {descending = true} : !kt.tensor<[n, 9] x f32> -> !kt.tensor<[n, 9] x f32>, !kt.tensor<[n, 9] x i32>
  return
}

// -----

func.func @scan_keeps_the_type(%x: !kt.tensor<[n] x f32>) {
  // expected-error @+1 {{'kt.scan' op expected result type '!kt.tensor<[n] x f32>' but got '!kt.tensor<[m] x f32>'}}
  %r = kt.scan add %x : !kt.tensor<[n] x f32> -> !kt.tensor<[m] x f32>
  return
}

// -----

func.func @scan_goes_along_a_dimension(%x: !kt.tensor<[] x f32>) {
  // expected-error @+1 {{'kt.scan' op expected a dimension to go along but got '!kt.tensor<[] x f32>'}}
  %r = kt.scan add %x : !kt.tensor<[] x f32> -> !kt.tensor<[] x f32>
  return
}

// -----

func.func @scatter_depth_is_constant(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, d] x i64>, %u: !kt.tensor<[u, 4] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected a constant depth of at most 2 but got d}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, d] x i64>, !kt.tensor<[u, 4] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_depth_fits_the_base(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 3] x i64>, %u: !kt.tensor<[u] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected a constant depth of at most 2 but got 3}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 3] x i64>, !kt.tensor<[u] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_updates_have_the_rank(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected updates to have 2 dimensions but got 1}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_updates_have_the_rows(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[3, 1] x i64>, %u: !kt.tensor<[2, 4] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected dimension 0 of updates to be 3 but got 2}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[3, 1] x i64>, !kt.tensor<[2, 4] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_updates_have_the_rest(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u, 5] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected dimension 1 of updates to be 4 but got 5}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u, 5] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_updates_have_the_type(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u, 4] x f16>) {
  // expected-error @+1 {{'kt.scatter' op expected updates of 'f32' but got 'f16'}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u, 4] x f16> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @scatter_keeps_the_type(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u, 4] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected result type '!kt.tensor<[n, 4] x f32>' but got '!kt.tensor<[n, 5] x f32>'}}
  %r = kt.scatter assign %b, %i, %u : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u, 4] x f32> -> !kt.tensor<[n, 5] x f32>
  return
}

// -----

func.func @scatter_sites_are_numbers(%b: !kt.tensor<[n, 4] x f32>, %i: !kt.tensor<[u, 1] x i64>, %u: !kt.tensor<[u, 4] x f32>) {
  // expected-error @+1 {{'kt.scatter' op expected a site from 0 to 4294967294 but got -1}}
  %r = kt.scatter assign %b, %i, %u {site = -1} : !kt.tensor<[n, 4] x f32>, !kt.tensor<[u, 1] x i64>, !kt.tensor<[u, 4] x f32> -> !kt.tensor<[n, 4] x f32>
  return
}

// -----

func.func @nonzero_has_a_position_an_element(%x: !kt.tensor<[8] x i1>) {
  // expected-error @+1 {{'kt.nonzero' op expected dimension 0 of positions to be 8 but got 7}}
  %p, %c = kt.nonzero %x : !kt.tensor<[8] x i1> -> !kt.tensor<[7] x i64>, !kt.tensor<[1] x i64>
  return
}

// -----

func.func @nonzero_positions_are_i64(%x: !kt.tensor<[8] x i1>) {
  // expected-error @+1 {{'kt.nonzero' op expected positions of 'i64' but got 'i32'}}
  %p, %c = kt.nonzero %x : !kt.tensor<[8] x i1> -> !kt.tensor<[8] x i32>, !kt.tensor<[1] x i64>
  return
}

// -----

func.func @nonzero_positions_are_flat(%x: !kt.tensor<[8] x i1>) {
  // expected-error @+1 {{'kt.nonzero' op expected positions to have 1 dimensions but got 2}}
  %p, %c = kt.nonzero %x : !kt.tensor<[8] x i1> -> !kt.tensor<[8, 1] x i64>, !kt.tensor<[1] x i64>
  return
}

// -----

func.func @nonzero_has_one_count(%x: !kt.tensor<[8] x i1>) {
  // expected-error @+1 {{'kt.nonzero' op expected dimension 0 of count to be 1 but got 2}}
  %p, %c = kt.nonzero %x : !kt.tensor<[8] x i1> -> !kt.tensor<[8] x i64>, !kt.tensor<[2] x i64>
  return
}

// -----

func.func @suppress_has_a_score_a_box(%x: !kt.tensor<[b, 10, 4] x f32>, %s: !kt.tensor<[b, c, 9] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected dimension 2 of scores to be 10 but got 9}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, 10, 4] x f32>, !kt.tensor<[b, c, 9] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_batches_agree(%x: !kt.tensor<[1, n, 4] x f32>, %s: !kt.tensor<[2, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected dimension 0 of scores to be 1 but got 2}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[1, n, 4] x f32>, !kt.tensor<[2, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_has_one_most(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[2] x i64>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected dimension 0 of most to be 1 but got 2}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[2] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_most_is_i64(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i32>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected most of 'i64' but got 'i32'}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i32>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_overlap_is_one_number(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected overlap to have 1 dimensions but got 0}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_least_is_f32(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>, %l: !kt.tensor<[1] x f64>) {
  // expected-error @+1 {{'kt.suppress' op expected least of 'f32' but got 'f64'}}
  %a, %n = kt.suppress %x, %s, %m, %o above %l : !kt.tensor<[1] x f64> : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, c] x i64>
  return
}

// -----

func.func @suppress_counts_each_class(%x: !kt.tensor<[b, n, 4] x f32>, %s: !kt.tensor<[b, c, n] x f32>, %m: !kt.tensor<[1] x i64>, %o: !kt.tensor<[1] x f32>) {
  // expected-error @+1 {{'kt.suppress' op expected results [b, c, k] and [b, c] of i64 but got '!kt.tensor<[b, c, k] x i64>' and '!kt.tensor<[b, d] x i64>'}}
  %a, %n = kt.suppress %x, %s, %m, %o : !kt.tensor<[b, n, 4] x f32>, !kt.tensor<[b, c, n] x f32>, !kt.tensor<[1] x i64>, !kt.tensor<[1] x f32> -> !kt.tensor<[b, c, k] x i64>, !kt.tensor<[b, d] x i64>
  return
}
