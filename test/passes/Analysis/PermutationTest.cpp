//===- PermutationTest.cpp - any piece of a transposed tensor -------------===//

#include "passes/Analysis/Permutation.h"
#include <gtest/gtest.h>
#include <numeric>

using llvm::ArrayRef;

namespace kt::test {
namespace {

/// Element by element.
std::vector<char> permuted(ArrayRef<char> from, ArrayRef<int64_t> shape, ArrayRef<int64_t> perm, int64_t width) {
  int64_t rank = shape.size();
  std::vector<int64_t> fromShape(rank), at(rank, 0);
  for (int64_t d = 0; d < rank; ++d)
    fromShape[perm[d]] = shape[d];
  std::vector<char> out;
  for (size_t i = 0; i < from.size() / width; ++i) {
    int64_t place = 0;
    std::vector<int64_t> source(rank);
    for (int64_t d = 0; d < rank; ++d)
      source[perm[d]] = at[d];
    for (int64_t d = 0; d < rank; ++d)
      place = place * fromShape[d] + source[d];
    out.insert(out.end(), from.begin() + place * width, from.begin() + (place + 1) * width);
    for (int64_t d = rank - 1; d >= 0; --d) {
      if (++at[d] < shape[d])
        break;
      at[d] = 0;
    }
  }
  return out;
}

TEST(Permutation, EachPieceIsThatOfTheWhole) {
  struct Case {
    std::vector<int64_t> shape, perm;
  };
  const Case cases[] = {{{7}, {0}},
                        {{70, 131}, {1, 0}},
                        {{1, 5}, {1, 0}},
                        {{3, 70, 5}, {0, 2, 1}},
                        {{3, 66, 5}, {2, 1, 0}},
                        {{4, 3, 65, 2}, {1, 3, 2, 0}},
                        {{2, 3, 4, 5}, {3, 0, 1, 2}}};
  for (const Case &c : cases)
    for (int64_t width : {1, 2, 4, 8}) {
      int64_t elements = std::accumulate(c.shape.begin(), c.shape.end(), int64_t(1), std::multiplies<>());
      std::vector<char> from(elements * width);
      for (size_t i = 0; i < from.size(); ++i)
        from[i] = static_cast<char>(i * 31 + i / 256);
      std::vector<char> expected = permuted(from, c.shape, c.perm, width);
      PermutedBytes bytes(from, Permutation(c.shape, c.perm, width));
      ASSERT_EQ(bytes.size(), expected.size());
      std::vector<char> all(from.size());
      bytes.read(0, all);
      ASSERT_EQ(all, expected);
      for (size_t begin = 0; begin < from.size(); begin += 1 + from.size() / 7)
        for (size_t count : {size_t(1), size_t(bytes.unit()), size_t(3 * bytes.unit() + 1), from.size()}) {
          std::vector<char> out(std::min(count, from.size() - begin));
          bytes.read(begin, out);
          ASSERT_TRUE(std::equal(out.begin(), out.end(), expected.begin() + begin)) << begin << " " << count;
        }
    }
}

} // namespace
} // namespace kt::test
