//===- Permutation.cpp - transposed tensors -------------------------------===//

#include "passes/Analysis/Permutation.h"

using namespace kt;

Permutation::Permutation(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> perm, int64_t width)
    : shape(shape), step(shape.size()), width(width) {
  size_t rank = shape.size();
  llvm::SmallVector<int64_t> from(rank), stride(rank);
  for (size_t d = 0; d < rank; ++d)
    from[perm[d]] = shape[d];
  int64_t elements = 1;
  for (size_t d = rank; d-- > 0; elements *= from[d])
    stride[d] = elements;
  for (size_t d = 0; d < rank; ++d)
    step[d] = stride[perm[d]];
  for (int64_t size : llvm::ArrayRef(shape).drop_back())
    count *= size;
}

template <typename T> void Permutation::copyRowsOf(const T *from, int64_t begin, int64_t end, T *to) const {
  // Squares keep to the cache where either side is contiguous.
  constexpr int64_t kSide = 64;
  size_t rank = shape.size();
  int64_t columns = shape[rank - 1], columnStep = step[rank - 1], height = rank > 1 ? shape[rank - 2] : 1,
          rowStep = rank > 1 ? step[rank - 2] : 0;
  for (int64_t row = begin, some; row < end; row += some, to += some * columns) {
    int64_t inside = row % height, rest = row / height;
    some = std::min({kSide, height - inside, end - row});
    const T *source = from + inside * rowStep;
    for (size_t d = rank - 1; d-- > 1; rest /= shape[d - 1])
      source += rest % shape[d - 1] * step[d - 1];
    for (int64_t first = 0; first < columns; first += kSide)
      for (int64_t r = 0; r < some; ++r)
        for (int64_t c = first, last = std::min(first + kSide, columns); c < last; ++c)
          to[r * columns + c] = source[r * rowStep + c * columnStep];
  }
}

void Permutation::copyRows(const char *from, int64_t begin, int64_t end, char *to) const {
  auto as = [&](auto element) {
    using T = decltype(element);
    copyRowsOf(reinterpret_cast<const T *>(from), begin, end, reinterpret_cast<T *>(to));
  };
  if (width == 1)
    as(uint8_t());
  else if (width == 2)
    as(uint16_t());
  else if (width == 4)
    as(uint32_t());
  else
    as(uint64_t());
}

void PermutedBytes::read(uint64_t begin, llvm::MutableArrayRef<char> out) const {
  uint64_t before = std::min<uint64_t>((unit() - begin % unit()) % unit(), out.size());
  ComputedBytes::read(begin, out.take_front(before));
  out = out.drop_front(before);
  uint64_t whole = out.size() / unit() * unit();
  compute(begin + before, out.take_front(whole));
  ComputedBytes::read(begin + before + whole, out.drop_front(whole));
}

void PermutedBytes::compute(uint64_t begin, llvm::MutableArrayRef<char> out) const {
  order.copyRows(from.data(), begin / unit(), (begin + out.size()) / unit(), out.data());
}
