//===- QuantizeInt8.h - floats as INT8 with scales ------------------------===//
//
// Symmetric: s = max|w| / 127 of the elements that share it, or 1 where those are all zeros, and q = w / s rounded to
// the nearest, ties to even. All of it is IEEE's arithmetic in single precision, so the bytes are the same wherever and
// by however many threads they are made. What was lost is summed up beside that, in an order of its own for each block.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_PRECISION_QUANTIZEINT8_H
#define KT_PASSES_PRECISION_QUANTIZEINT8_H

#include <algorithm>
#include <compare>
#include <cstdint>

namespace kt {

enum class FloatFormat { f32, f16, bf16 };

/// Columns of a panel of packed weights.
constexpr int64_t kInt8Columns = 16;

/// Which elements of a weight share a scale. Blocks follow one another and have scales of their own, so that they can
/// be quantised in any order and at the same time.
struct Int8Layout {
  /// Panels [rows][16] with a scale a column: those of a group of `channels`, rounded up, then those of the next, or
  /// one of each by turns. The scales are [groups][channels]. What lies beyond a group's channels has the last one's.
  static Int8Layout panels(int64_t groups, int64_t channels, int64_t rows, bool byTurns) {
    return {groups, channels, rows, byTurns, /*inRows=*/false};
  }
  /// Rows of `length` elements with a scale each.
  static Int8Layout rows(int64_t count, int64_t length) { return {1, count, length, false, /*inRows=*/true}; }

  int64_t groups, channels, length;
  bool byTurns, inRows;

  int64_t panelsOfGroup() const { return (channels + kInt8Columns - 1) / kInt8Columns; }
  int64_t blocks() const { return inRows ? channels : groups * panelsOfGroup(); }
  int64_t blockElements() const { return inRows ? length : length * kInt8Columns; }
  int64_t scales() const { return groups * channels; }
  /// The first channel of a block.
  int64_t channelOf(int64_t block) const {
    if (inRows)
      return block;
    int64_t panels = panelsOfGroup(), group = byTurns ? block % groups : block / panels;
    return group * channels + (byTurns ? block / groups : block % panels) * kInt8Columns;
  }
  auto operator<=>(const Int8Layout &) const = default;
};

/// What rounding cost a weight, or some blocks of it: the sums of its elements' squares and of those of the errors w -
/// q * s. Channels are what has a scale, by their scales' numbers.
struct RoundingError {
  double signal = 0, noise = 0;
  double square = 0, squareInSteps = 0;   // of the largest error, and of the largest in steps of its channel's scale
  int64_t worstChannel = -1;              // which has most noise for its signal; -1: none has an error
  double worstSignal = 1, worstNoise = 0; // of that, in a unit of its own

  /// A channel's sums and the square of its largest error, in steps of `scale`.
  void addChannel(int64_t channel, double scale, double squares, double errors, double mostSquared);
  /// The same of a channel that has several scales, in its own unit, and its largest error in steps as well.
  void addColumn(int64_t channel, double squares, double errors, double mostSquared, double mostSquaredInSteps);
  void add(const RoundingError &other);
};

/// Signal to noise in decibels; infinite where there is no error that single precision can tell.
double decibels(double signal, double noise);

/// Quantises block number `block` of a weight of `format`, which is at `from`, to `to`, both of any alignment, and the
/// scales of its channels to `scales`; adds what that cost to `error`. False where an element is infinite or not a
/// number; what is written then means nothing.
bool quantizeBlock(const Int8Layout &layout, FloatFormat format, const char *from, int64_t block, char *to,
                   float *scales, RoundingError &error);

} // namespace kt

#endif
