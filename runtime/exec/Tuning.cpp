//===- Tuning.cpp - measured times of variants, as a file -----------------===//

#include "runtime/exec/Tuning.h"
#include "runtime/artifact/Container.h"
#include "runtime/artifact/Print.h"
#include "runtime/os/File.h"
#include "runtime/os/OutputFile.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace kt::exec {

using nlohmann::json;

namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kMostBytes = size_t(256) << 20;

std::optional<int64_t> integerOf(const json &object, const char *key, int64_t least = 0) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer())
    return std::nullopt;
  if (found->is_number_unsigned() && found->get<uint64_t>() > uint64_t(INT64_MAX))
    return std::nullopt;
  int64_t value = found->get<int64_t>();
  return value >= least ? std::optional(value) : std::nullopt;
}

std::optional<std::string> textOf(const json &object, const char *key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

/// Nothing where the entry is not a row.
std::optional<TuningRow> rowOf(const json &entry) {
  if (!entry.is_object())
    return std::nullopt;
  auto digest = textOf(entry, "kernel"), name = textOf(entry, "name"), target = textOf(entry, "target"),
       schedule = textOf(entry, "schedule");
  auto variant = integerOf(entry, "variant"), ns = integerOf(entry, "ns"),
       predicted = integerOf(entry, "predicted_ns", -1);
  auto ints = entry.find("ints");
  if (!digest || !name || !target || !schedule || !variant || *variant > UINT32_MAX || !ns || !predicted ||
      ints == entry.end() || !ints->is_array())
    return std::nullopt;
  TuningRow row{*digest, *name, *target, *schedule, static_cast<uint32_t>(*variant), {}, *predicted, *ns};
  for (const json &value : *ints) {
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
      return std::nullopt;
    row.ints.push_back(value.get<int64_t>());
  }
  return row;
}

} // namespace

bool Machine::operator==(const Machine &other) const {
  return kind == other.kind && facts.smCount == other.facts.smCount &&
         facts.computeCapability == other.facts.computeCapability &&
         facts.sharedPerBlock == other.facts.sharedPerBlock && facts.l2Bytes == other.facts.l2Bytes;
}

Result<TuningFile> TuningFile::read(const std::string &path) {
  auto text = os::readText(path, kMostBytes);
  if (!text.ok())
    return std::move(text).status();
  auto rejected = [&](const std::string &why) {
    return Status::rejected("'" + path + "' is no file of measured times: " + why);
  };
  json root = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return rejected("expected a JSON object");
  if (integerOf(root, "version") != kVersion)
    return rejected("expected version " + std::to_string(kVersion));
  TuningFile file;
  auto kind = textOf(root, "machine");
  auto capability = integerOf(root, "capability"), count = integerOf(root, "sm_count"),
       shared = integerOf(root, "shared_per_block"), l2 = integerOf(root, "l2_bytes");
  if (!kind || !capability || !count || !shared || !l2)
    return rejected("expected machine, capability, sm_count, shared_per_block and l2_bytes");
  file.machine = {*kind, {*count, *shared, *capability, *l2}};
  auto rows = root.find("rows");
  if (rows == root.end() || !rows->is_array())
    return rejected("expected a list of rows");
  for (size_t i = 0; i < rows->size(); ++i) {
    std::optional<TuningRow> row = rowOf((*rows)[i]);
    if (!row)
      return rejected("row " + std::to_string(i) +
                      ": expected kernel, name, target, schedule, variant, ints, ns and predicted_ns");
    file.rows.push_back(*std::move(row));
  }
  return file;
}

Status TuningFile::write(const std::string &path) const {
  // One row a line: files of two runs can be compared.
  auto quoted = [](const std::string &s) { return json(s).dump(-1, ' ', true, json::error_handler_t::replace); };
  os::OutputFile file(path);
  file.write("{\"version\": " + std::to_string(kVersion) + ", \"machine\": " + quoted(machine.kind) +
             ", \"capability\": " + std::to_string(machine.facts.computeCapability) +
             ", \"sm_count\": " + std::to_string(machine.facts.smCount) +
             ", \"shared_per_block\": " + std::to_string(machine.facts.sharedPerBlock) +
             ", \"l2_bytes\": " + std::to_string(machine.facts.l2Bytes) + ", \"rows\": [");
  bool first = true;
  for (const TuningRow &row : rows) {
    std::string ints;
    for (int64_t i : row.ints)
      ints += (ints.empty() ? "" : ", ") + std::to_string(i);
    file.write(std::string(first ? "\n" : ",\n") + "{\"kernel\": " + quoted(row.digest) +
               ", \"name\": " + quoted(row.kernel) + ", \"target\": " + quoted(row.target) +
               ", \"schedule\": " + quoted(row.schedule) + ", \"variant\": " + std::to_string(row.variant) +
               ", \"ints\": [" + ints + "], \"ns\": " + std::to_string(row.nanoseconds) +
               ", \"predicted_ns\": " + std::to_string(row.predicted) + "}");
    first = false;
  }
  file.write("\n]}\n");
  return file.finish();
}

std::string kernelDigest(const artifact::Model &model, uint32_t number) {
  const artifact::Kernel &kernel = model.kernels[number];
  std::string all;
  auto add = [&](auto value) { all.append(reinterpret_cast<const char *>(&value), sizeof(value)); };
  auto addText = [&](const std::string &text) { add(uint64_t(text.size())), all += text; };
  for (uint32_t n : {kernel.numBuffers, kernel.numInts, kernel.numResults})
    add(n);
  for (const artifact::Expr &e : kernel.exprs) {
    add(uint8_t(e.op)), add(e.imm);
    for (artifact::ExprId id : {e.a, e.b, e.c})
      add(id);
  }
  for (const artifact::Variant &v : kernel.variants) {
    addText(v.target), addText(v.schedule), add(v.paged);
    for (artifact::ExprId id : {v.guard, v.cost, v.workspace, v.counters})
      add(id);
    for (const artifact::Stage &stage : v.stages) {
      artifact::Digest code = artifact::digestOf(model.modules[stage.module].code);
      add(code.low), add(code.high), add(stage.entryOffset);
      addText(stage.entry);
      for (artifact::ExprId id :
           {stage.grid[0], stage.grid[1], stage.grid[2], stage.shared, stage.scratch, stage.cluster})
        add(id);
      for (uint32_t n : stage.block)
        add(n);
    }
  }
  artifact::Digest digest = artifact::digestOf(std::as_bytes(std::span(all)));
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(digest.high),
                static_cast<unsigned long long>(digest.low));
  return text;
}

} // namespace kt::exec
