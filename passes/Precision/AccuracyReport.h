//===- AccuracyReport.h - what weights lost by being stored in few bits ---===//
//
// Plain numbers and names, which passes fill in and the driver prints. What a weight became is known where it is
// quantised; where its bytes are in the end, later passes decide, so they say when they put others in their place.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_PRECISION_ACCURACYREPORT_H
#define KT_PASSES_PRECISION_ACCURACYREPORT_H

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace kt {

/// Why a weight stays as it is, or has more bits than a user asks for.
enum class WideReason { excluded, small, notFinite, exact, type, unpacked, place, lowSignalToNoise, router };

/// What rounding cost a weight.
struct RoundingLoss {
  double signalToNoise = 0; // in decibels; infinite: no error
  double largestError = 0, largestErrorInSteps = 0;
  int64_t worstChannel = -1; // a column of a product, an output of a convolution, a row; -1: none has an error
  double worstSignalToNoise = 0;
};

/// One weight, whichever nodes use it.
struct WeightAccuracy {
  enum class Form { wide, int8PerChannel, int8PerRow, blocks };

  std::string name;               // the initializer's, several joined by "+"; may be empty
  std::vector<std::string> nodes; // ONNX nodes that use it
  std::vector<int64_t> shape;     // [k, n] of a product's
  std::string type;               // that it had
  Form form = Form::wide;
  unsigned bits = 0;                    // of an element then; 0: as before
  bool fp8 = false;                     // which is no integer then
  int64_t group = 0;                    // of blocks, along k
  bool halfScales = false;              // of blocks: in FP16
  bool int8Rows = false;                // of blocks: a scale a column, and what is multiplied may be INT8 as well
  bool calibrated = false;              // of blocks: by what products were given
  bool isTable = false;                 // rows are looked up in it
  std::optional<WideReason> reason;     // where it stayed as it was, or has more bits than it should
  std::string words;                    // that reason
  std::optional<RoundingLoss> accuracy; // where it was quantised, also if it then stayed as it was
  uint64_t bytesBefore = 0, bytesAfter = 0;
  std::optional<std::string> storedWith; // the weight whose elements stand for these, so that they are stored once
  std::vector<const void *> data;        // constants that it is stored in, elements first
};

class AccuracyReport {
public:
  // For passes, on any thread.
  void add(std::vector<WeightAccuracy> some);
  /// Bytes of all constants as they are before, and of those among them that are no weights.
  void addConstants(uint64_t all, uint64_t others);
  /// A constant took the place of another one for some of its readers.
  void replace(const void *data, const void *by);

  /// Forgets everything.
  void clear();
  /// Looks up each weight in the constants that there are in the end, by what tells them apart
  /// (ConstantBytes::identity), and sorts: the least signal to noise comes first, then what was not quantised.
  void settle(const std::map<const void *, uint64_t> &constants);

  std::vector<WeightAccuracy> weights;
  /// Of all constants, the weights' and others', each counted once.
  uint64_t bytesBefore = 0, bytesAfter = 0;
  /// Of those that are no weights.
  uint64_t otherBefore = 0, otherAfter = 0;

private:
  std::mutex mutex;
  std::multimap<const void *, const void *> replaced;
};

} // namespace kt

#endif
