//===- Passes.td - kt to kt passes ----------------------------------------===//
#ifndef KT_PASSES
#define KT_PASSES

include "mlir/Pass/PassBase.td"

def OutlineKernels : Pass<"kt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Turns every computation into a launch of a shared kernel";
  let description = [{
    **Requires** compute ops anywhere in functions. **Guarantees** none is left there: each is a `kt.kernel` beside the functions and a `kt.launch`. In a
    kernel every symbolic size is a positional parameter, so computations that differ only in sizes' names share one. **Does not** look into
    what they compute.

    ```mlir
    %r = kt.generic ins(%x : !kt.tensor<[batch, 8] x f32>) -> ...
    // becomes
    kt.kernel @generic_0 ["p0"] computes { ^bb0(%X: !kt.tensor<[p0, 8] x f32>): ... }
    %r = kt.launch @generic_0 ins(%x) ints [#kt.expr<batch>] -> ...
    ```
  }];
}

#endif
