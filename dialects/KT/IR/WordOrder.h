//===- WordOrder.h - which weights the words of a block hold --------------===//

#ifndef KT_DIALECTS_KT_IR_WORDORDER_H
#define KT_DIALECTS_KT_IR_WORDORDER_H

#include <algorithm>
#include <cstdint>

namespace kt {

/// In which word the weights of a column are, along k: the order that fragments of a tensor core ask for, so that a
/// lane reads its own weights only. Of 16 k's of a factor's row, or of its column, lane 4g + t has 2t, 2t + 1, 2t + 8
/// and 2t + 9 (PTX ISA, mma.m16n8k16 and wgmma). So of each window of 128 / bits k's there are four words of 32 bits,
/// one for each t, with the window's fragments one after the other. Where a group is shorter, `lanes` lanes share a
/// word. Everything is a power of two.
struct WordOrder {
  unsigned bits;
  int64_t group;

  unsigned perWord() const { return 32 / bits; }
  int64_t window() const { return std::min<int64_t>(128 / bits, group); }
  /// Words of a column in a window, and lanes of a fragment that share one.
  unsigned rows() const { return window() / perWord(); }
  unsigned lanes() const { return 4 / rows(); }
  unsigned perLane() const { return perWord() / lanes(); }
  /// The lowest bit of number `i` of a word: two neighbours along k are the halves of a register to a mask.
  unsigned shiftOf(unsigned i) const { return i / 2 * bits + i % 2 * 16; }

  /// The word that has weight `k` of a group, and which number of it that is.
  int64_t rowOf(int64_t k) const { return k / window() * rows() + k % 8 / (2 * lanes()); }
  unsigned numberOf(int64_t k) const { return k % 8 / 2 % lanes() * perLane() + k % window() / 8 * 2 + k % 2; }
  /// And back: number `i` of word `row` is weight firstOf(row) + offsetOf(i).
  int64_t firstOf(int64_t row) const { return row / rows() * window() + row % rows() * 2 * lanes(); }
  int64_t offsetOf(unsigned i) const { return i % perLane() / 2 * 8 + i / perLane() * 2 + i % 2; }
};

} // namespace kt

#endif
