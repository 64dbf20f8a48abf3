// RUN: kt-opt --kt-outline-kernels=group %s -o %t
// RUN: FileCheck %s < %t
// RUN: kt-opt --kt-outline-kernels=group %t | diff %t -

// What makes the operands of an attention is in its kernel: `kt.made` says along which of an operand's dimensions each of the attention's runs.

!n = !kt.tensor<[b, s, 2, 16] x f16>
!q = !kt.tensor<[b, s, 4, 16] x f16>
!k = !kt.tensor<[b, 2, room, 16] x f16>
!l = !kt.tensor<[b] x i64>
#bihd = affine_map<(b, h, i, d) -> (b, i, h, d)>
#bhid = affine_map<(b, h, i, d) -> (b, h, i, d)>

// Queries and both windows. Nobody reads the queries that the launch would make.
// CHECK-LABEL: @queries_and_windows
// CHECK-NEXT: %[[R:.*]]:4 = kt.launch @[[ALL:attention_.*]] ins(%arg0, %arg1 :
// CHECK-NEXT: return %[[R]]#3, %[[R]]#1, %[[R]]#2
func.func @queries_and_windows(%q: !q, %n: !n) -> (!q, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !q, !k, !k
}

// By how much rows are moved is data of a batch; values have rows before heads.
// CHECK-LABEL: @moved_by_data
// CHECK-NEXT: %[[R:.*]]:4 = kt.launch @[[MOVED:attention_.*]] ins(%arg0, %arg1, %arg2 :
// CHECK-NEXT: return %[[R]]#3, %[[R]]#1, %[[R]]#2
func.func @moved_by_data(%q: !q, %n: !n, %l: !l) -> (!q, !k, !kt.tensor<[b, room, 2, 16] x f16>) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<0> count #kt.expr<s> ins(%n, %l : !n, !l) -> !k {
  ^bb0(%N: !n, %L: !l, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    %at = kt.read %L[%b] : !l -> i64
    %begin = arith.index_cast %at : i64 to index
    kt.yield %x, %begin : f16, index
  }
  %2 = kt.update axis 1 from #kt.expr<0> count #kt.expr<s> ins(%n, %l : !n, !l) -> !kt.tensor<[b, room, 2, 16] x f16> {
  ^bb0(%N: !n, %L: !l, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    %at = kt.read %L[%b] : !l -> i64
    %begin = arith.index_cast %at : i64 to index
    kt.yield %x, %begin : f16, index
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bihd, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !kt.tensor<[b, room, 2, 16] x f16> -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !q, !k, !kt.tensor<[b, room, 2, 16] x f16>
}

// Queries that something else reads are made before it.
// CHECK-LABEL: @other_reader_of_queries
// CHECK: %[[Q:.*]] = kt.launch @generic_
// CHECK-NEXT: %[[R:.*]]:3 = kt.launch @[[WINDOWS:attention_.*]] ins(%arg1, %[[Q]] :
// CHECK-NEXT: return %[[R]]#2, %[[Q]], %[[R]]#0, %[[R]]#1
func.func @other_reader_of_queries(%q: !q, %n: !n) -> (!q, !q, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %0, %1, %2 : !q, !q, !k, !k
}

// So are queries that are a part of what a computation makes.
// CHECK-LABEL: @part_of_queries
// CHECK: %[[Q:.*]] = kt.launch @generic_
// CHECK-NEXT: %[[R:.*]]:3 = kt.launch @[[PART:attention_.*]] ins(%arg1, %[[Q]] :
func.func @part_of_queries(%q: !kt.tensor<[b, s, 8, 16] x f16>, %n: !n) -> (!q, !k, !k) {
  %0 = kt.generic ins(%q : !kt.tensor<[b, s, 8, 16] x f16>) -> !kt.tensor<[b, s, 8, 16] x f16> {
  ^bb0(%X: !kt.tensor<[b, s, 8, 16] x f16>, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, s, 8, 16] x f16> -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>],
       views = [#kt.view<[b, s, 4, 16] strides [128 * s, 128, 16, 1] offset 0>, #kt.view<none>, #kt.view<none>]} : !kt.tensor<[b, s, 8, 16] x f16>, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !q, !k, !k
}

// A window that is keys and values is one of its own.
// CHECK-LABEL: @one_window
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 16] x f16>{{$}}
// CHECK-NEXT: return
func.func @one_window(%q: !q, %n: !n) -> (!q, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %1 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1 : !q, !k
}

// Scores read all of a window, of which a block has a part.
// CHECK-LABEL: @window_in_scores
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 16] x f16>{{$}}
// CHECK-NEXT: return
func.func @window_in_scores(%q: !q, %n: !n) -> (!q, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %flat = kt.reshape %1 : !k -> !kt.tensor<[b, 2, room * 16] x f16>
  %r = kt.attention %0, %1, %2 extras(%flat : !kt.tensor<[b, 2, room * 16] x f16>) {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %W: !kt.tensor<[b, 2, room * 16] x f16>, %b: index, %h: index, %i: index, %j: index):
    %zero = arith.constant 0 : index
    %y = kt.read %W[%b, %zero, %j] : !kt.tensor<[b, 2, room * 16] x f16> -> f16
    %z = arith.extf %y : f16 to f32
    %s = arith.addf %x, %z : f32
    kt.yield %s : f32
  }
  return %r, %1, %2 : !q, !k, !k
}

// Each row goes where data says: a block does not know which are its own.
// CHECK-LABEL: @moved_by_rows
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 16] x f16>{{$}}
// CHECK-NEXT: return
func.func @moved_by_rows(%q: !q, %n: !n, %l: !l) -> (!q, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<0> count #kt.expr<s> ins(%n, %l : !n, !l) -> !k {
  ^bb0(%N: !n, %L: !l, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    %at = kt.read %L[%b] : !l -> i64
    %begin = arith.index_cast %at : i64 to index
    %moved = arith.muli %begin, %i : index
    kt.yield %x, %moved : f16, index
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !q, !k, !k
}

// What a window holds is read before.
// CHECK-LABEL: @read_before
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 16] x f16>{{$}}
// CHECK-NEXT: return
func.func @read_before(%q: !q, %n: !n) -> (!q, !k, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %3 = kt.generic ins(%1 : !k) -> !k {
  ^bb0(%K: !k, %b: index, %h: index, %j: index, %d: index):
    %x = kt.read %K[%b, %h, %j, %d] : !k -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2, %3 : !q, !k, !k, !k
}

// Of two that read the same windows the first makes them.
// CHECK-LABEL: @two_readers
// CHECK: %[[R:.*]]:4 = kt.launch @[[ALL]] ins(%arg0, %arg1 :
// CHECK-NEXT: %[[S:.*]] = kt.launch @attention_{{.*}} ins(%arg0, %[[R]]#1, %[[R]]#2 :
// CHECK-NEXT: return %[[R]]#3, %[[S]], %[[R]]#1, %[[R]]#2
func.func @two_readers(%q: !q, %n: !n) -> (!q, !q, !k, !k) {
  %0 = kt.generic ins(%q : !q) -> !q {
  ^bb0(%X: !q, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !q -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  %s = kt.attention %q, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !q, !k, !k -> !q score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %s, %1, %2 : !q, !q, !k, !k
}

// There are no kernels for few queries in single precision,
// CHECK-LABEL: @single_precision
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 16] x f32>{{$}}
// CHECK-NEXT: return
func.func @single_precision(%q: !kt.tensor<[b, s, 4, 16] x f32>, %n: !kt.tensor<[b, s, 2, 16] x f32>) -> (!kt.tensor<[b, s, 4, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32>) {
  %0 = kt.generic ins(%q : !kt.tensor<[b, s, 4, 16] x f32>) -> !kt.tensor<[b, s, 4, 16] x f32> {
  ^bb0(%X: !kt.tensor<[b, s, 4, 16] x f32>, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, s, 4, 16] x f32> -> f32
    %y = arith.negf %x : f32
    kt.yield %y : f32
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !kt.tensor<[b, s, 2, 16] x f32>) -> !kt.tensor<[b, 2, room, 16] x f32> {
  ^bb0(%N: !kt.tensor<[b, s, 2, 16] x f32>, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !kt.tensor<[b, s, 2, 16] x f32> -> f32
    kt.yield %x : f32
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !kt.tensor<[b, s, 2, 16] x f32>) -> !kt.tensor<[b, 2, room, 16] x f32> {
  ^bb0(%N: !kt.tensor<[b, s, 2, 16] x f32>, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !kt.tensor<[b, s, 2, 16] x f32> -> f32
    kt.yield %x : f32
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !kt.tensor<[b, s, 4, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32> -> !kt.tensor<[b, s, 4, 16] x f32> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !kt.tensor<[b, s, 4, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32>, !kt.tensor<[b, 2, room, 16] x f32>
}

// of wider heads,
// CHECK-LABEL: @wide_heads
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, s, 4, 136] x f16>{{$}}
// CHECK-NEXT: return
func.func @wide_heads(%q: !kt.tensor<[b, s, 4, 136] x f16>, %n: !kt.tensor<[b, s, 2, 136] x f16>) -> (!kt.tensor<[b, s, 4, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16>) {
  %0 = kt.generic ins(%q : !kt.tensor<[b, s, 4, 136] x f16>) -> !kt.tensor<[b, s, 4, 136] x f16> {
  ^bb0(%X: !kt.tensor<[b, s, 4, 136] x f16>, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, s, 4, 136] x f16> -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !kt.tensor<[b, s, 2, 136] x f16>) -> !kt.tensor<[b, 2, room, 136] x f16> {
  ^bb0(%N: !kt.tensor<[b, s, 2, 136] x f16>, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !kt.tensor<[b, s, 2, 136] x f16> -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !kt.tensor<[b, s, 2, 136] x f16>) -> !kt.tensor<[b, 2, room, 136] x f16> {
  ^bb0(%N: !kt.tensor<[b, s, 2, 136] x f16>, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !kt.tensor<[b, s, 2, 136] x f16> -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<s>, #kt.expr<room>, #kt.expr<136>, #kt.expr<136>]} : !kt.tensor<[b, s, 4, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16> -> !kt.tensor<[b, s, 4, 136] x f16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !kt.tensor<[b, s, 4, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16>, !kt.tensor<[b, 2, room, 136] x f16>
}

// and of more than 16.
// CHECK-LABEL: @many_queries
// CHECK: kt.launch @attention_{{.*}} -> !kt.tensor<[b, 17, 4, 16] x f16>{{$}}
// CHECK-NEXT: return
func.func @many_queries(%q: !kt.tensor<[b, 17, 4, 16] x f16>, %n: !n) -> (!kt.tensor<[b, 17, 4, 16] x f16>, !k, !k) {
  %0 = kt.generic ins(%q : !kt.tensor<[b, 17, 4, 16] x f16>) -> !kt.tensor<[b, 17, 4, 16] x f16> {
  ^bb0(%X: !kt.tensor<[b, 17, 4, 16] x f16>, %b: index, %i: index, %h: index, %d: index):
    %x = kt.read %X[%b, %i, %h, %d] : !kt.tensor<[b, 17, 4, 16] x f16> -> f16
    %y = arith.negf %x : f16
    kt.yield %y : f16
  }
  %1 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %2 = kt.update axis 2 from #kt.expr<past> count #kt.expr<s> ins(%n : !n) -> !k {
  ^bb0(%N: !n, %b: index, %h: index, %i: index, %d: index):
    %x = kt.read %N[%b, %i, %h, %d] : !n -> f16
    kt.yield %x : f16
  }
  %r = kt.attention %0, %1, %2 {maps = [#bihd, #bhid, #bhid, #bihd], group = 2 : i64,
       sizes = [#kt.expr<b>, #kt.expr<4>, #kt.expr<17>, #kt.expr<room>, #kt.expr<16>, #kt.expr<16>]} : !kt.tensor<[b, 17, 4, 16] x f16>, !k, !k -> !kt.tensor<[b, 17, 4, 16] x f16> score {
  ^bb0(%x: f32, %b: index, %h: index, %i: index, %j: index):
    kt.yield %x : f32
  }
  return %r, %1, %2 : !kt.tensor<[b, 17, 4, 16] x f16>, !k, !k
}

// CHECK: kt.kernel @[[ALL]] [
// CHECK: kt.generic
// CHECK: kt.update
// CHECK: kt.update
// CHECK: kt.attention {{.*}} kt.made = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3>
// CHECK: kt.kernel @[[MOVED]] [
// CHECK: kt.attention {{.*}} kt.made = array<i64: 0, 2, 1, 3, 0, 1, 2, 3, 0, 2, 1, 3>
// CHECK: kt.kernel @[[WINDOWS]] [
// CHECK-NOT: kt.generic
// CHECK: kt.attention {{.*}} kt.made =
// CHECK: kt.kernel @[[PART]] [
// CHECK-NOT: kt.generic
// CHECK: kt.attention {{.*}} kt.made =
