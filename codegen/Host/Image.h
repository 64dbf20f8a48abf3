//===- Image.h - LLVM IR to a flat image ----------------------------------===//
//
// Optimises a module for one x86-64 level, generates an object in memory and links it into bytes that run at any
// address.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_IMAGE_H
#define KT_CODEGEN_HOST_IMAGE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include <cstddef>
#include <vector>

namespace kt::codegen::host {

/// On functions whose loops ask for conditions that do not change in them: a loop is made for each outcome.
constexpr llvm::StringLiteral kUnswitch = "kt-unswitch";

/// What code may assume of the machine.
struct Isa {
  llvm::StringRef target;   // "host-v3"
  llvm::StringRef cpu;      // "x86-64-v3"
  int64_t vectorBytes;      // width of a register
  int64_t accumulators;     // registers that a micro-kernel may keep sums in
  llvm::StringRef features; // beyond those of `cpu`
  bool dots;                // an instruction multiplies four bytes with four bytes and adds the products (VNNI)
};
/// The level behind a target's name, or null.
const Isa *findIsa(llvm::StringRef target);

struct Image {
  std::vector<std::byte> code;
  llvm::StringMap<uint64_t> entries; // offsets of the functions with external linkage
};

/// A relocatable ELF file in memory.
using Object = llvm::SmallVector<char, 0>;
llvm::Expected<Object> makeObject(llvm::Module &module, const Isa &isa);
/// Functions that `object` only declares are taken from `shared`, whose code is copied into the image.
llvm::Expected<Image> makeImage(const Object &object, llvm::ArrayRef<const Image *> shared = {});

} // namespace kt::codegen::host

#endif
