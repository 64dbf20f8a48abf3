//===- Permutation.h - transposed tensors, some rows at a time ------------===//

#ifndef KT_PASSES_ANALYSIS_PERMUTATION_H
#define KT_PASSES_ANALYSIS_PERMUTATION_H

#include "dialects/KT/IR/Computed.h"

namespace kt {

/// A tensor in another order of its dimensions: out[i] has the element whose index along perm[d] is i[d].
class Permutation {
public:
  /// `shape`, of one dimension at least, is the result's; elements have `width` bytes, 1, 2, 4 or 8.
  Permutation(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> perm, int64_t width);

  /// Rows lie along the result's last dimension.
  int64_t rows() const { return count; }
  int64_t rowBytes() const { return shape.back() * width; }
  /// Makes rows [begin, end) of the tensor at `from`, the first of them at `to`.
  void copyRows(const char *from, int64_t begin, int64_t end, char *to) const;

private:
  template <typename T> void copyRowsOf(const T *from, int64_t begin, int64_t end, T *to) const;

  llvm::SmallVector<int64_t> shape, step; // step: in the source, along each dimension of the result
  int64_t width, count = 1;
};

/// A constant in memory in another order, made where it is read.
class PermutedBytes final : public ComputedBytes {
public:
  /// `from` is in memory as long as these are.
  PermutedBytes(llvm::ArrayRef<char> from, const Permutation &order)
      : ComputedBytes(from.size(), order.rowBytes()), from(from), order(order) {}

  /// Rows that are next to each other are made together: what they are made of is, too.
  void read(uint64_t begin, llvm::MutableArrayRef<char> out) const override;

private:
  void compute(uint64_t begin, llvm::MutableArrayRef<char> out) const override;

  llvm::ArrayRef<char> from;
  Permutation order;
};

} // namespace kt

#endif
