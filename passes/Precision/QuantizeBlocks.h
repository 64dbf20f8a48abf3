//===- QuantizeBlocks.h - floats as integers of few bits, in blocks -------===//
//
// Groups of a column's k's share a scale: w is about (q - 2^(bits - 1)) * s, in the layout of `#kt.blocks` without zero
// points. The scale is rounded to the type that it is stored in before anything is divided by it. INT8: s = max|w| /
// 127, of a group or of the whole column. INT4: q - 8 lies in -8 to 7, the scale has the sign that makes the element of
// largest magnitude a negative step, and of several candidates, of which the larger ones cut that element off, the one
// that leaves the least sum of squared errors is taken.
//
// As in QuantizeInt8.h all of it is IEEE's arithmetic in single precision, in an order of its own for each panel.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_PRECISION_QUANTIZEBLOCKS_H
#define KT_PASSES_PRECISION_QUANTIZEBLOCKS_H

#include "passes/Precision/QuantizeInt8.h"

namespace kt {

/// How the panels of a product's weights are stored.
struct BlockFormat {
  unsigned bits = 8;      // 4 or 8
  int64_t group = 128;    // a power of two from 16 to 256
  bool halfScales = true; // of FP16, else of FP32
  bool fp8 = false;       // numbers of E4M3, of 8 bits
  bool perColumn = false; // of 8 bits: all groups of a column have one scale

  int64_t scaleBytes() const { return halfScales ? 2 : 4; }
  int64_t groupsOf(int64_t k) const { return (k + group - 1) / group; }
  int64_t blockBytes() const { return kInt8Columns * (scaleBytes() + group * bits / 8); }
  int64_t panelBytes(int64_t k) const { return groupsOf(k) * blockBytes(); }

  /// The same with groups for which a panel of depth `k` takes the fewest bytes, none larger than these: a last group
  /// is as long as any other in memory.
  BlockFormat fitting(int64_t k) const;
};

enum class Blocked {
  done,
  notFinite, // an element is infinite or not a number; what is written means nothing
  noScale    // FP16 has no number of five digits or more that is near a scale; nor does what is written mean anything
};

/// Quantises a panel [k][16] of `format` at `from` to its blocks at `to`, both of any alignment, and adds what that
/// cost to `error`; its first column is channel `channel`. `importance` has a weight of the squared errors of each k;
/// null: all alike.
Blocked quantizePanel(const BlockFormat &blocks, FloatFormat format, const char *from, int64_t k,
                      const float *importance, char *to, int64_t channel, RoundingError &error);

} // namespace kt

#endif
