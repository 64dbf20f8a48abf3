//===- Candidates.h - what the candidates of kernels say ------------------===//
//
// A candidate is an attribute of names and numbers; this is what the names mean. The scheduler makes candidates and
// code generation reads them, both through here, so that neither knows the other.
//
//===----------------------------------------------------------------------===//

#ifndef KT_DIALECTS_KT_SCHEDULE_CANDIDATES_H
#define KT_DIALECTS_KT_SCHEDULE_CANDIDATES_H

#include "dialects/KT/IR/KTDialect.h"
#include "dialects/KT/Schedule/Tiles.h"

namespace kt {

/// Facts of the device that a kernel is about to run on, as symbols; their names are those of artifact::Fact.
namespace fact {
constexpr llvm::StringLiteral kSmCount = "@sm_count", kSharedPerBlock = "@shared_per_block",
                              kCapability = "@compute_capability", kL2Bytes = "@l2_bytes";
constexpr llvm::StringLiteral kAll[] = {kSmCount, kSharedPerBlock, kCapability, kL2Bytes};
} // namespace fact

/// Kinds of kernels.
namespace path {
constexpr llvm::StringLiteral kMma = "mma", // products on tensor cores: `tile` (m, n, k), `warps` (rows, columns),
                                            // `stages`, `min_ctas`, `async` (copies of 16 aligned bytes), `bytes`
                                            // (1 of an element, of integers; else 2); what stages before it make:
                                            // `widened` weights, `int8_rows`
    kWgmma = "wgmma",                       // the same by warpgroups of four warps; `producers`, warps that copy
                                            // for them
    kSimt = "simt",                         // products and attention on CUDA cores; products: `tile`, `thread` (rows,
                                            // columns), `min_ctas`, `vectors`
    kGemv = "gemv",                         // products of few rows: `rows`, `panels`, `warps`, `ahead`, `mma`,
                                            // `kept`
    kDepthwise = "depthwise",               // convolutions of one channel a group
                                            // products with a norm of their rows: `follow`, a Follow
    kFlash = "flash",                       // attention on tensor cores: `warps`, `async`
    kDecode = "decode",                     // the same of few queries, a tile for all heads that share keys;
                                            // `cluster` of blocks that share a tile's keys
    kRows = "rows",                         // reductions and norms: `threads` a row, `vectors`; norms: `held` elements
                                            // a thread and `block` threads
    kColumns = "columns",                   // reductions of columns: `across` threads each, `vectors`
    kFlat = "flat",                         // elementwise work: `vectors`
    kBitonic = "bitonic",                   // sorting `capacity` elements in shared memory
    kDirect = "direct",                     // the one way that a family has, or its last resort
    kHost = "host";                         // the host's code
} // namespace path

/// Who computes the norm of a product's rows: a launch of its own, the last block of a band of tiles side by side, or
/// all blocks of the band that run when its last one begins.
enum class Follow : int64_t { stage = 0, lastBlock = 1, sharing = 2 };

using ConfigEntry = std::pair<llvm::StringRef, llvm::SmallVector<int64_t, 3>>;
using Config = llvm::ArrayRef<ConfigEntry>;
/// Numbers alone and lists of numbers by name.
mlir::DictionaryAttr makeConfig(mlir::MLIRContext *context, Config entries);
mlir::DictionaryAttr makeConfig(mlir::MLIRContext *context, const MmaTile &tile, bool async);
mlir::DictionaryAttr makeConfig(mlir::MLIRContext *context, const SimtTile &tile, bool vectors);
mlir::DictionaryAttr gemvConfig(mlir::MLIRContext *context, const GemvTile &tile);

/// A kernel's candidates for one target, best first.
llvm::SmallVector<CandidateAttr> candidatesFor(KernelOp kernel, llvm::StringRef target);
/// What a candidate's configuration has under `name`; `otherwise` where it has nothing.
int64_t configured(CandidateAttr candidate, llvm::StringRef name, int64_t otherwise = 0);
/// The tile of a candidate for a product, checked; nothing, and `why`, where it says none that can be built.
std::optional<MmaTile> mmaTileOf(CandidateAttr candidate, std::string *why = nullptr);
std::optional<SimtTile> simtTileOf(CandidateAttr candidate, unsigned accBytes, std::string *why = nullptr);
std::optional<GemvTile> gemvTileOf(CandidateAttr candidate, const WeightForm &form, std::string *why = nullptr);

} // namespace kt

#endif
