//===- AccuracyFile.cpp - the report of what few bits cost, as a file -----===//
//
// Nothing in it depends on where or when it was made: equal inputs give equal bytes. Names come from the model, so that
// in the table a line is a line whatever they hold.
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver/AccuracyFile.h"
#include "compiler/Driver/QuantOption.h"
#include "runtime/os/Process.h"
#include "runtime/text/Grammar.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <array>
#include <cmath>

using namespace kt;
using llvm::formatv;

namespace {

using Form = WeightAccuracy::Form;

const char *nameOf(WideReason reason) {
  switch (reason) {
  case WideReason::excluded:
    return "excluded";
  case WideReason::small:
    return "small";
  case WideReason::notFinite:
    return "not_finite";
  case WideReason::exact:
    return "exact";
  case WideReason::type:
    return "type";
  case WideReason::unpacked:
    return "unpacked";
  case WideReason::place:
    return "place";
  case WideReason::lowSignalToNoise:
    return "low_snr";
  case WideReason::router:
    return "router";
  }
  return "";
}

/// What has a scale.
const char *scalesOf(const WeightAccuracy &w) {
  return w.form == Form::int8PerRow ? "row" : w.form == Form::blocks && !w.int8Rows ? "group" : "channel";
}

/// A name of the model's as a part of a line.
std::string plain(const std::string &name) { return llvm::json::fixUTF8(os::oneLine(name)); }

std::string shapeOf(const WeightAccuracy &w) {
  return llvm::join(llvm::map_range(w.shape, [](int64_t d) { return std::to_string(d); }), "x");
}

/// How many weights have integers of so many bits, or floats; 0: what they had before.
size_t countOf(const AccuracyReport &report, unsigned bits, bool fp8 = false) {
  return llvm::count_if(report.weights, [&](const WeightAccuracy &w) { return w.bits == bits && w.fp8 == fp8; });
}

/// The share of bytes that is left; of nothing, all.
double shareOf(const AccuracyReport &report) {
  return report.bytesBefore ? (double)report.bytesAfter / (double)report.bytesBefore : 1;
}

class Json {
public:
  explicit Json(llvm::raw_ostream &out) : json(out, /*IndentSize=*/2) {}

  void write(const AccuracyReport &report, const AskedAccuracy &asked) {
    json.object([&] {
      json.attribute("version", 1);
      json.attribute("quant", printQuant(asked.format));
      number("min_snr_db", printDecibels(asked.least(asked.format.bits)));
      number("min_snr_db_int8", printDecibels(asked.least(8)));
      json.attributeArray("weights", [&] {
        for (const WeightAccuracy &w : report.weights)
          json.object([&] { weight(w); });
      });
      json.attributeObject("totals", [&] {
        json.attribute("weights", report.weights.size());
        json.attribute("int4_weights", countOf(report, 4));
        json.attribute("int8_weights", countOf(report, 8));
        json.attribute("fp8_weights", countOf(report, 8, true));
        json.attribute("bytes_before", report.bytesBefore);
        json.attribute("bytes_after", report.bytesAfter);
        json.attribute("other_bytes_before", report.otherBefore);
        json.attribute("other_bytes_after", report.otherAfter);
        number("share", formatv("{0:f4}", shareOf(report)));
      });
    });
  }

private:
  void number(llvm::StringRef key, const std::string &text) {
    json.attributeBegin(key);
    json.rawValue(text);
    json.attributeEnd();
  }
  /// JSON has no infinity: null says that there is no error.
  void decibels(llvm::StringRef key, double value) {
    number(key, std::isfinite(value) ? formatv("{0:f2}", value).str() : "null");
  }

  void weight(const WeightAccuracy &w) {
    json.attribute("name", llvm::json::fixUTF8(w.name));
    json.attributeArray("nodes", [&] {
      for (const std::string &node : w.nodes)
        json.value(llvm::json::fixUTF8(node));
    });
    json.attributeArray("shape", [&] {
      for (int64_t d : w.shape)
        json.value(d);
    });
    json.attribute("type", w.type);
    json.attribute("quantised", w.form != Form::wide);
    if (w.form != Form::wide) {
      json.attribute("bits", w.bits);
      json.attribute("fp8", w.fp8);
      json.attribute("scales", scalesOf(w));
    }
    if (w.form == Form::blocks) {
      json.attribute("group", w.group);
      json.attribute("scale_type", w.halfScales ? "f16" : "f32");
      json.attribute("calibrated", w.calibrated);
      json.attribute("activations", w.int8Rows ? "int8" : "model");
    }
    json.attribute("bytes_before", w.bytesBefore);
    json.attribute("bytes_after", w.bytesAfter);
    if (w.storedWith)
      json.attribute("stored_with", llvm::json::fixUTF8(*w.storedWith));
    if (w.reason) {
      json.attribute("reason", nameOf(*w.reason));
      json.attribute("reason_text", llvm::json::fixUTF8(w.words));
    }
    if (!w.accuracy)
      return;
    decibels("snr_db", w.accuracy->signalToNoise);
    number("largest_error", formatv("{0:e6}", w.accuracy->largestError));
    number("largest_error_steps", formatv("{0:f4}", w.accuracy->largestErrorInSteps));
    if (w.accuracy->worstChannel >= 0)
      json.attributeObject("worst_channel", [&] {
        json.attribute("index", w.accuracy->worstChannel);
        decibels("snr_db", w.accuracy->worstSignalToNoise);
      });
  }

  llvm::json::OStream json;
};

/// A table whose columns are as wide as what they hold; numbers to the right.
class Table {
public:
  static constexpr size_t kColumns = 10;
  using Row = std::array<std::string, kColumns>;
  static constexpr size_t kNumbers = 7; // columns that do

  void add(Row row) { rows.push_back(std::move(row)); }
  std::string print() const {
    std::array<size_t, kColumns> widths{};
    for (const Row &row : rows)
      for (size_t c = 0; c < kColumns; ++c)
        widths[c] = std::max(widths[c], row[c].size());
    std::string text;
    for (const Row &row : rows) {
      std::string line;
      for (size_t c = 0; c < kColumns; ++c) {
        std::string space(widths[c] - row[c].size(), ' ');
        line += (c ? "  " : "") + (c < kNumbers ? space + row[c] : row[c] + space);
      }
      text += llvm::StringRef(line).rtrim(' ').str() + "\n";
    }
    return text;
  }

private:
  std::vector<Row> rows;
};

std::string decibelsOf(double value) { return std::isfinite(value) ? formatv("{0:f1}", value).str() : "exact"; }

/// The names of the first nodes, and how many more there are.
std::string nodesOf(const WeightAccuracy &w) {
  constexpr size_t kShown = 3;
  llvm::ArrayRef<std::string> shown = llvm::ArrayRef(w.nodes).take_front(kShown);
  std::string text = llvm::join(shown, ", ");
  if (w.nodes.size() > kShown)
    text += ", and " + std::to_string(w.nodes.size() - kShown) + " more";
  return text;
}

std::string becameOf(const WeightAccuracy &w) {
  std::string text = w.type;
  if (w.form != Form::wide)
    text = (w.fp8 ? "fp" : "int") + std::to_string(w.bits) + " per " + scalesOf(w);
  if (w.form == Form::blocks)
    text += (w.int8Rows ? ", activations int8" : " of " + std::to_string(w.group)) +
            (w.halfScales ? "" : ", f32 scales") + (w.calibrated ? ", calibrated" : "");
  if (!w.words.empty())
    text += ": " + w.words;
  if (w.storedWith)
    text += ", stored with '" + *w.storedWith + "'";
  return text;
}

std::string asTable(const AccuracyReport &report, const AskedAccuracy &asked) {
  Table table;
  table.add({"dB", "worst", "channel", "error", "steps", "before", "after", "shape", "weight", "became; nodes"});
  for (const WeightAccuracy &w : report.weights) {
    Table::Row row{"-",
                   "-",
                   "-",
                   "-",
                   "-",
                   std::to_string(w.bytesBefore),
                   std::to_string(w.bytesAfter),
                   shapeOf(w),
                   w.name.empty() ? "-" : plain(w.name),
                   plain(becameOf(w) + "; " + nodesOf(w))};
    if (w.accuracy) {
      row[0] = decibelsOf(w.accuracy->signalToNoise);
      if (w.accuracy->worstChannel >= 0)
        row[1] = decibelsOf(w.accuracy->worstSignalToNoise), row[2] = std::to_string(w.accuracy->worstChannel);
      row[3] = formatv("{0:e2}", w.accuracy->largestError), row[4] = formatv("{0:f3}", w.accuracy->largestErrorInSteps);
    }
    table.add(row);
  }
  std::string text =
      "What weights lose in few bits, the worst first. dB: 10 log10 of the sum of w^2 over that of (w - q s)^2, of\n"
      "the weight and of its worst channel; error: the largest one, and in steps of its scale; bytes before and "
      "after.\n\n";
  text += table.print();
  size_t int4 = countOf(report, 4), int8 = countOf(report, 8);
  text += formatv("\n{0} weight{1}: ", report.weights.size(), report.weights.size() == 1 ? "" : "s");
  std::string limit = printDecibels(asked.least(8)) + " dB";
  if (asked.format.bits == 4) {
    text += formatv("{0} in int4, ", int4);
    limit = printDecibels(asked.least(4)) + " dB in int4, " + limit + " in int8";
  }
  if (asked.format.fp8)
    text += formatv("{0} in fp8, ", countOf(report, 8, true));
  text += formatv("{0} in int8, {1} as before; least signal to noise {2}\n", int8, countOf(report, 0), limit);
  text += formatv("bytes: {0} before, {1} after ({2:f1} %); of other constants {3} before, {4} after\n",
                  report.bytesBefore, report.bytesAfter, 100 * shareOf(report), report.otherBefore, report.otherAfter);
  return text;
}

} // namespace

std::string kt::printAccuracy(const AccuracyReport &report, const AskedAccuracy &asked, const std::string &path) {
  if (!llvm::StringRef(path).ends_with(".json"))
    return asTable(report, asked);
  std::string text;
  llvm::raw_string_ostream out(text);
  Json(out).write(report, asked);
  return text + "\n";
}
