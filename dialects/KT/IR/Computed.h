//===- Computed.h - constants whose bytes are computed where they are read ===//
//
// Packed, converted and quantised weights follow from bytes of the model, which are mapped from its files. Kept, they
// would be all of a model in memory once more; so a constant may have a recipe for its bytes in place of them. Who
// needs them reads a piece after another, computed each time anew, and the writer of the artifact is one of those.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_IR_COMPUTED_H
#define KT_DIALECTS_KT_IR_COMPUTED_H

#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include <algorithm>
#include <memory>

namespace mlir {
class DialectInterface;
}

namespace kt {

/// A recipe for bytes. Always the same ones; any thread may read them.
class ComputedBytes {
public:
  /// They are made in units of `unit` bytes, of which the last one may be shorter. What is made of few of them, a panel
  /// of weights for example, is a unit: it should be some 10 KB to 1 MB.
  ComputedBytes(uint64_t size, uint64_t unit) : bytes(size), unitBytes(std::max<uint64_t>(unit, 1)) {}
  virtual ~ComputedBytes();
  ComputedBytes(const ComputedBytes &) = delete;
  ComputedBytes &operator=(const ComputedBytes &) = delete;

  uint64_t size() const { return bytes; }
  uint64_t unit() const { return unitBytes; }
  /// Bytes [begin, begin + out.size()). A part of a unit takes as long as all of it, unless a recipe says how to make
  /// any piece.
  virtual void read(uint64_t begin, llvm::MutableArrayRef<char> out) const;

private:
  /// The unit that begins at byte `begin`; `out` is as long as it is and may hold anything.
  virtual void compute(uint64_t begin, llvm::MutableArrayRef<char> out) const = 0;

  uint64_t bytes, unitBytes;
};

/// Bytes in memory or a recipe for them, wherever the value of a constant has them. A handle, valid as long as the
/// context is and, of a recipe, the ComputedConstants.
class ConstantBytes {
public:
  ConstantBytes() = default;
  explicit ConstantBytes(mlir::ElementsAttr value);
  explicit ConstantBytes(std::shared_ptr<const ComputedBytes> recipe) : computed(std::move(recipe)) {}

  uint64_t size() const { return computed ? computed->size() : bytes.size(); }
  bool areComputed() const { return computed != nullptr; }
  /// Pieces of this many bytes, or of a multiple, are read at no loss.
  uint64_t unit() const { return computed ? computed->unit() : 1; }
  /// The same for the same bytes of the model or the same recipe, and different for others that are not empty.
  const void *identity() const { return computed ? static_cast<const void *>(computed.get()) : bytes.data(); }
  /// Bytes [begin, begin + count), where they lie or in `scratch`, until that is used again.
  llvm::ArrayRef<char> read(uint64_t begin, uint64_t count, llvm::SmallVectorImpl<char> &scratch) const;
  /// Bytes [begin, begin + out.size()), computed on all threads of `context`.
  void readInParallel(mlir::MLIRContext *context, uint64_t begin, llvm::MutableArrayRef<char> out) const;

private:
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<const ComputedBytes> computed;
};

/// As long as one is there, computedBlob keeps recipes of large constants rather than their bytes. Without, in tools
/// that print what passes made, they are computed at once. Recipes are dropped with it, hence before the context is.
class ComputedConstants {
public:
  explicit ComputedConstants(mlir::MLIRContext &context);
  ~ComputedConstants();
  ComputedConstants(const ComputedConstants &) = delete;
  ComputedConstants &operator=(const ComputedConstants &) = delete;

private:
  mlir::MLIRContext &context;
};

/// The value of a constant of these bytes, under `name` as in namedBlob: a resource without bytes where they are kept
/// as a recipe.
mlir::DenseResourceElementsAttr computedBlob(mlir::MLIRContext *context, llvm::StringRef name,
                                             std::shared_ptr<const ComputedBytes> bytes);

/// All bytes of a constant in memory, kept there if they were not: for what is small, or has to be seen as a whole.
llvm::ArrayRef<char> bytesInMemory(mlir::ElementsAttr value);

/// What the dialect keeps recipes in.
std::unique_ptr<mlir::DialectInterface> makeRecipeTable(mlir::Dialect *dialect);

} // namespace kt

#endif
