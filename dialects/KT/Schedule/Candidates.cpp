//===- Candidates.cpp - what the candidates of kernels say ----------------===//

#include "dialects/KT/Schedule/Candidates.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace kt;

DictionaryAttr kt::makeConfig(MLIRContext *context, Config entries) {
  Builder b(context);
  SmallVector<NamedAttribute> attrs;
  for (auto [name, values] : entries)
    attrs.push_back(b.getNamedAttr(name, values.size() == 1 ? Attribute(b.getI64IntegerAttr(values[0]))
                                                            : Attribute(b.getDenseI64ArrayAttr(values))));
  return b.getDictionaryAttr(attrs);
}

DictionaryAttr kt::makeConfig(MLIRContext *context, const MmaTile &t, bool async) {
  SmallVector<ConfigEntry> entries = {{"tile", {t.bm, t.bn, t.bk}},
                                      {"warps", {t.warpRows, t.warpCols}},
                                      {"stages", {t.stages}},
                                      {"min_ctas", {t.minCtas}},
                                      {"async", {async}}};
  if (t.form.bits)
    entries.push_back({"blocks", {t.form.bits, t.form.group, t.form.headerBytes, t.form.zeros}});
  if (t.elementBytes != 2)
    entries.push_back({"bytes", {t.elementBytes}});
  if (t.producers)
    entries.push_back({"producers", {t.producers}});
  return makeConfig(context, entries);
}

DictionaryAttr kt::makeConfig(MLIRContext *context, const SimtTile &t, bool vectors) {
  return makeConfig(
      context,
      {{"tile", {t.bm, t.bn, t.bk}}, {"thread", {t.tm, t.tn}}, {"min_ctas", {t.minCtas}}, {"vectors", {vectors}}});
}

DictionaryAttr kt::gemvConfig(MLIRContext *context, const GemvTile &t) {
  SmallVector<ConfigEntry> entries = {
      {"rows", {t.rows}}, {"panels", {t.panels}}, {"warps", {t.warps}}, {"ahead", {t.ahead}}, {"mma", {t.mma}}};
  if (t.kept)
    entries.push_back({"kept", {t.kept}});
  return makeConfig(context, entries);
}

SmallVector<CandidateAttr> kt::candidatesFor(KernelOp kernel, StringRef target) {
  SmallVector<CandidateAttr> found;
  if (std::optional<ArrayAttr> all = kernel.getCandidates())
    for (auto candidate : all->getAsRange<CandidateAttr>())
      if (candidate.getTarget().getValue() == target)
        found.push_back(candidate);
  return found;
}

int64_t kt::configured(CandidateAttr candidate, StringRef name, int64_t otherwise) {
  auto value = candidate.getConfig().getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}

/// The list `name` of `size` sizes; zeros, which no tile has, where there is none.
static SmallVector<unsigned, 3> list(CandidateAttr candidate, StringRef name, size_t size) {
  SmallVector<unsigned, 3> values(size, 0);
  auto array = candidate.getConfig().getAs<DenseI64ArrayAttr>(name);
  for (size_t i = 0; array && (size_t)array.size() == size && i < size; ++i)
    values[i] = std::clamp<int64_t>(array[i], 0, UINT16_MAX);
  return values;
}

static unsigned size(CandidateAttr candidate, StringRef name) {
  return std::clamp<int64_t>(configured(candidate, name), 0, UINT16_MAX);
}

static int64_t sharedFor(CandidateAttr candidate) {
  return sharedPerBlock(capabilityOf(candidate.getTarget().getValue()));
}

std::optional<MmaTile> kt::mmaTileOf(CandidateAttr candidate, std::string *why) {
  auto tile = list(candidate, "tile", 3), warps = list(candidate, "warps", 2), blocks = list(candidate, "blocks", 4);
  MmaTile wanted{tile[0],
                 tile[1],
                 tile[2],
                 warps[0],
                 warps[1],
                 size(candidate, "stages"),
                 size(candidate, "min_ctas"),
                 candidate.getPath().getValue() == path::kWgmma,
                 (unsigned)std::clamp<int64_t>(configured(candidate, "bytes", 2), 0, UINT16_MAX)};
  if (candidate.getConfig().contains("blocks"))
    wanted.form = {0, blocks[0], blocks[1], blocks[2], blocks[3] != 0};
  wanted.producers = size(candidate, "producers");
  return MmaTile::get(wanted, sharedFor(candidate), why);
}

std::optional<SimtTile> kt::simtTileOf(CandidateAttr candidate, unsigned accBytes, std::string *why) {
  auto tile = list(candidate, "tile", 3), thread = list(candidate, "thread", 2);
  SimtTile wanted{tile[0], tile[1], tile[2], thread[0], thread[1], size(candidate, "min_ctas")};
  return SimtTile::get(wanted, accBytes, sharedFor(candidate), why);
}

std::optional<GemvTile> kt::gemvTileOf(CandidateAttr candidate, const WeightForm &form, std::string *why) {
  GemvTile wanted{size(candidate, "rows"),  size(candidate, "panels"),         size(candidate, "warps"),
                  size(candidate, "ahead"), configured(candidate, "mma") != 0, size(candidate, "kept")};
  return GemvTile::get(wanted, form, sharedFor(candidate), why);
}
