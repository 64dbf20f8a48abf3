//===- CostModelFile.cpp - numbers of the model of cost, as a file --------===//
//
//   {"launch": 2000000, "arrival": 1000000, "barrier": 40000, "overlap": 40, "between": 1650000, "hidden": 30,
//    "left": 400000,
//    "cards": {"90": {"mma": 4886, "fma": 500, "shared": 224, "l2": 70, "dram": 26, "latency": 800000, "step": 23000,
//                    "wgmma": 7000}}}
//
// What is left out is as built in. passes/Analysis/TargetModel.h says what the numbers mean;
// test/bench/fit_cost_model.py fits them to measured times.
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/CommandLine.h"
#include "passes/Analysis/TargetModel.h"
#include "runtime/os/File.h"
#include <nlohmann/json.hpp>

using namespace kt;
using nlohmann::json;

static constexpr const char *kConstantNames[] = {"launch",  "arrival", "barrier", "overlap",
                                                 "between", "hidden",  "left"};
static constexpr const char *kRateNames[] = {"mma", "fma", "shared", "l2", "dram", "latency", "step", "wgmma"};

/// The number that `object` gives for one of `names`, put into `to` beside them.
static Status take(const json &object, const std::string &where, llvm::ArrayRef<const char *> names,
                   llvm::MutableArrayRef<int64_t> to, bool cards) {
  constexpr int64_t kMost = 100'000'000;
  for (auto &[key, value] : object.items()) {
    if (cards && key == "cards")
      continue;
    const auto *name = llvm::find(names, llvm::StringRef(key));
    if (name == names.end())
      return Status::usage(where + ": unknown key '" + key + "'");
    if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 || value.get<uint64_t>() > kMost)
      return Status::usage(where + ": " + key + ": expected a whole number from 1 to " + std::to_string(kMost));
    to[name - names.begin()] = value.get<int64_t>();
  }
  return {};
}

Status kt::readCostModel(const std::string &path, std::vector<int64_t> &numbers) {
  constexpr size_t kMostBytes = 1 << 20;
  auto text = os::readText(path, kMostBytes);
  if (!text.ok())
    return text.status();
  json root = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  std::string where = "'" + path + "'";
  if (!root.is_object())
    return Status::usage(where + ": expected a JSON object");
  llvm::SmallVector<int64_t> all = TargetModel::builtIn();
  llvm::MutableArrayRef<int64_t> rest(all);
  if (Status s = take(root, where, kConstantNames, rest.take_front(TargetModel::kConstants), true); !s.ok())
    return s;
  auto cards = root.find("cards");
  if (cards != root.end()) {
    if (!cards->is_object())
      return Status::usage(where + ": expected cards by capability");
    for (auto &[capability, card] : cards->items()) {
      bool found = false;
      for (auto r = rest.drop_front(TargetModel::kConstants); !r.empty(); r = r.drop_front(TargetModel::kRates)) {
        if (std::to_string(r[0]) != capability)
          continue;
        found = true;
        if (!card.is_object())
          return Status::usage(where + ": card " + capability + ": expected an object");
        if (Status s =
                take(card, where + ": card " + capability, kRateNames, r.slice(1, TargetModel::kRates - 1), false);
            !s.ok())
          return s;
      }
      if (!found)
        return Status::usage(where + ": unknown card '" + capability + "'");
    }
  }
  numbers.assign(all.begin(), all.end());
  return {};
}
