//===- GemvUnits.h - what a lane has of a unit in registers ---------------===//

#ifndef KT_CODEGEN_GPU_PRODUCT_GEMVUNITS_H
#define KT_CODEGEN_GPU_PRODUCT_GEMVUNITS_H

#include "codegen/Gpu/Product/Gemv.h"

namespace kt::gpu {

/// How a warp multiplies units of weights on CUDA cores. Weights are what kinds of units differ in: each has the words
/// of `columns` neighbouring columns of a panel a lane.
class GemvUnits {
public:
  GemvUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part, Value tile,
            unsigned columns);
  virtual ~GemvUnits() = default;

  const unsigned columns;
  /// [panel][row][column].
  unsigned sumCount() const { return t.panels * t.rows * columns; }
  /// The unit of the k's from `k0` on: its weights, then those of the rows' elements that are on their way with them;
  /// zeros behind the end.
  Values load(Value k0) {
    Values unit = loadWeights(k0);
    unit.append(loadRows(k0));
    return unit;
  }
  virtual Values loadWeights(Value k0) = 0;
  virtual Values loadRows(Value k0) { return {}; }
  virtual void multiply(ValueRange unit, Value k0, Values &sums) = 0;

protected:
  /// One element of each row, as it is.
  Values leftAt(Value kk);

  KernelBuilder &k;
  const GemmProblem &p;
  const GemvTile &t;
  Value end, lane;
  Values numbers, ends; // of the tile's panels, and where their k's end: nowhere for those that are not there

private:
  Values rows, valid;
};

std::unique_ptr<GemvUnits> elementUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                                        Value tile);
std::unique_ptr<GemvUnits> blockUnits(KernelBuilder &k, const GemmProblem &p, const GemvTile &t, const GemvPart &part,
                                      Value tile);

} // namespace kt::gpu

#endif
