//===- Options.h - what code generation is told ---------------------------===//
//
// Plain C++, so that the command line can speak of it. Options choose among kernels; none changes what is computed.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_OPTIONS_H
#define KT_CODEGEN_COMMON_OPTIONS_H

namespace kt {

/// Which half-precision products, convolutions and attentions run on tensor cores.
enum class TensorCorePriority {
  low,    // none
  normal, // those of more than 16 rows whose operands are copied asynchronously, 16 aligned bytes at a time
  high    // all
};

struct CodeOptions {
  TensorCorePriority tensorCores = TensorCorePriority::high;
  /// One variant a kernel and target, which takes every shape, instead of one for each kind of shape.
  bool oneVariant = false;
  /// PTX says of each access to memory and each barrier which line of the kernel's builder made it.
  bool lineTables = false;
};

} // namespace kt

#endif
