//===- Options.h - what code generation is told ---------------------------===//
//
// What is built is the scheduler's choice; these change how it is written.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_COMMON_OPTIONS_H
#define KT_CODEGEN_COMMON_OPTIONS_H

namespace kt {

struct CodeOptions {
  /// PTX says of each access to memory and each barrier which line of the kernel's builder made it.
  bool lineTables = false;
};

} // namespace kt

#endif
