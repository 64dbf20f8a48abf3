//===- KTInterfaces.td - what computations have in common -----------------===//
#ifndef KT_INTERFACES
#define KT_INTERFACES

include "mlir/IR/OpBase.td"

def KT_ComputeOpInterface : OpInterface<"ComputeOpInterface"> {
  let cppNamespace = "::kt";
  let description = [{
    A computation: it becomes one kernel. Its regions are isolated and hold scalar code, whose operands are block arguments. Passes ask this
    interface, not for the names of ops, so that a new op says here what it is.
  }];
  let methods = [
    InterfaceMethod<"The regions of scalar code, in the order in which they run; none if the kernel is all there is to it.",
                    "::llvm::SmallVector<::kt::BodyRef>", "bodies", (ins), "", "return {};">,
    InterfaceMethod<"How many operands only the kernel reads, as the factors of a product; bodies see those that follow.",
                    "unsigned", "numFactors", (ins), "", "return 0;">,
    InterfaceMethod<"The body that makes the element of the result from the one that was accumulated, into which what follows may be fused; or null.",
                    "::mlir::Region *", "epilogueRegion", (ins), "", "return nullptr;">,
    InterfaceMethod<"Whether a result may be kept in a narrower floating-point type than the op computes it in. What has no body moves elements as they are.",
                    "bool", "mayNarrow", (ins), "", "return !$_op.bodies().empty();">,
  ];
  let extraSharedClassDeclaration = [{
    /// Tiled loops over products, the longest kernels to compile.
    bool isProduct() { return $_op.numFactors() > 0; }
    /// Scalar code is all that there is to it: kt.generic, kt.update, kt.reduce, kt.normalize.
    bool isStructured() { return $_op.numFactors() == 0 && !$_op.bodies().empty(); }
  }];
}

#endif
