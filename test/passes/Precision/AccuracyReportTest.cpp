//===- AccuracyReportTest.cpp ---------------------------------------------===//

#include "passes/Precision/AccuracyReport.h"
#include <gtest/gtest.h>

namespace kt::test {
namespace {

const char bytes[8] = {}; // where constants lie, for their addresses alone

WeightAccuracy weight(const char *name, std::optional<double> decibels, std::vector<const void *> data) {
  WeightAccuracy w;
  w.name = name;
  w.data = std::move(data);
  if (decibels)
    w.accuracy = RoundingLoss{.signalToNoise = *decibels};
  return w;
}

std::vector<std::string> names(const AccuracyReport &report) {
  std::vector<std::string> all;
  for (const WeightAccuracy &w : report.weights)
    all.push_back(w.name);
  return all;
}

TEST(AccuracyReport, TheWorstComesFirst) {
  AccuracyReport report;
  report.add({weight("kept", std::nullopt, {}), weight("good", 43, {})});
  report.add({weight("b", 12, {}), weight("a", 12, {}), weight("also kept", std::nullopt, {}), weight("bad", 3, {})});
  report.settle({});
  EXPECT_EQ(names(report), (std::vector<std::string>{"bad", "a", "b", "good", "also kept", "kept"}));
}

TEST(AccuracyReport, BytesAreThoseOfWhatIsStored) {
  AccuracyReport report;
  report.addConstants(1000, 100);
  report.add({weight("int8", 40, {bytes, bytes + 1}), weight("gone", 41, {bytes + 2}),
              weight("narrowed", std::nullopt, {bytes + 3})});
  // Half precision took its place, for some readers, and something else its in turn.
  report.replace(bytes + 3, bytes + 4);
  report.replace(bytes + 3, bytes + 5);
  report.replace(bytes + 5, bytes + 6);
  report.settle({{bytes, 64}, {bytes + 1, 16}, {bytes + 4, 8}, {bytes + 6, 4}, {bytes + 7, 100}});
  EXPECT_EQ(report.bytesAfter, 192u);
  EXPECT_EQ(report.otherAfter, 100u);
  ASSERT_EQ(names(report), (std::vector<std::string>{"int8", "gone", "narrowed"}));
  EXPECT_EQ(report.weights[0].bytesAfter, 80u);
  EXPECT_EQ(report.weights[1].bytesAfter, 0u);
  EXPECT_EQ(report.weights[2].bytesAfter, 12u);
  EXPECT_EQ(report.bytesBefore, 1000u);
  EXPECT_EQ(report.otherBefore, 100u);
  report.clear();
  report.settle({});
  EXPECT_TRUE(report.weights.empty());
  EXPECT_EQ(report.bytesBefore + report.bytesAfter + report.otherBefore + report.otherAfter, 0u);
}

TEST(AccuracyReport, TiedWeightsAreStoredOnceWithTheProduct) {
  AccuracyReport report;
  WeightAccuracy table = weight("embed", 40, {bytes, bytes + 1});
  table.isTable = true;
  report.add({table, weight("lm_head", 40, {bytes + 2, bytes + 3})});
  report.replace(bytes, bytes + 2);
  report.settle({{bytes + 1, 4}, {bytes + 2, 64}, {bytes + 3, 4}});
  ASSERT_EQ(names(report), (std::vector<std::string>{"embed", "lm_head"}));
  EXPECT_EQ(report.weights[0].bytesAfter, 4u);
  EXPECT_EQ(report.weights[0].storedWith, "lm_head");
  EXPECT_EQ(report.weights[1].bytesAfter, 68u);
  EXPECT_EQ(report.weights[1].storedWith, std::nullopt);
  EXPECT_EQ(report.otherAfter, 0u);
}

} // namespace
} // namespace kt::test
