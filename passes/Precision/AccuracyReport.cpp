//===- AccuracyReport.cpp - what weights lost in few bits -----------------===//

#include "passes/Precision/AccuracyReport.h"
#include <algorithm>
#include <limits>
#include <tuple>

using namespace kt;

void AccuracyReport::add(std::vector<WeightAccuracy> some) {
  std::lock_guard lock(mutex);
  std::move(some.begin(), some.end(), std::back_inserter(weights));
}

void AccuracyReport::addConstants(uint64_t all, uint64_t others) {
  std::lock_guard lock(mutex);
  bytesBefore += all, otherBefore += others;
}

void AccuracyReport::replace(const void *data, const void *by) {
  std::lock_guard lock(mutex);
  if (data != by)
    replaced.emplace(data, by);
}

void AccuracyReport::clear() {
  weights.clear(), replaced.clear();
  bytesBefore = bytesAfter = otherBefore = otherAfter = 0;
}

void AccuracyReport::settle(const std::map<const void *, uint64_t> &constants) {
  bytesAfter = 0;
  for (auto [data, bytes] : constants)
    bytesAfter += bytes;
  otherAfter = bytesAfter;
  std::map<const void *, const WeightAccuracy *> owners;
  auto lookUp = [&](WeightAccuracy &w) {
    w.bytesAfter = 0;
    // What replaced something may have been replaced in turn, but never comes back.
    std::vector<const void *> data = w.data;
    for (size_t i = 0; i < data.size(); ++i) {
      auto [first, last] = replaced.equal_range(data[i]);
      for (; first != last; ++first)
        data.push_back(first->second);
      auto there = constants.find(data[i]);
      if (there == constants.end())
        continue;
      if (auto [owner, fresh] = owners.try_emplace(data[i], &w); fresh) {
        w.bytesAfter += there->second;
        otherAfter -= there->second;
      } else if (owner->second != &w) {
        w.storedWith = owner->second->name;
      }
    }
  };
  // Bytes of two weights belong to the one that reads all of them, which a table does not.
  for (bool tables : {false, true})
    for (WeightAccuracy &w : weights)
      if (w.isTable == tables)
        lookUp(w);
  auto order = [](const WeightAccuracy &w) {
    double ratio = w.accuracy ? w.accuracy->signalToNoise : std::numeric_limits<double>::infinity();
    return std::tuple(!w.accuracy, ratio, w.name, w.nodes, w.shape, w.words);
  };
  std::sort(weights.begin(), weights.end(),
            [&](const WeightAccuracy &a, const WeightAccuracy &b) { return order(a) < order(b); });
}
