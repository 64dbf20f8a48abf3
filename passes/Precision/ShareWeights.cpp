//===- ShareWeights.cpp - tied weights, stored once -----------------------===//
//
//   %t = constant [v, d], gathered from                  %p = constant [v ceildiv 16, d, 16]
//   %p = constant [v ceildiv 16, d, 16] of a product  ->  read %p[r floordiv 16, c, r mod 16]
//   with t[r, c] = p[r / 16, c, r % 16]
//
// A language model's embedding and the weights that make its logits are often the same numbers, a quarter of a small
// model. Exporters write them once, or twice in two orders; what tells is what is stored. It is asked last, when both
// have the type that they keep: a scale of INT8 is a row's in the table and a column's of the product, which is one.
//
// A row's elements are 16 apart then, so that each is a sector of memory of its own: nothing beside the product that
// reads all rows, and too much for tables that save little.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "passes/Precision/TiedWeights.h"

namespace kt {
#define GEN_PASS_DEF_SHAREWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// The reads of a table, where bodies read it and nobody else does.
std::optional<SmallVector<ReadOp>> allReadsOf(ConstantOp table) {
  SmallVector<ReadOp> all;
  for (OpOperand &use : table.getResult().getUses()) {
    Operation *op = use.getOwner();
    if (bodiesOf(op).empty() || use.getOperandNumber() < firstBodyOperand(op))
      return std::nullopt;
    for (ReadOp read : readsOf(op, use.getOperandNumber() - firstBodyOperand(op))) {
      if (read.getOtherwise())
        return std::nullopt;
      all.push_back(read);
    }
  }
  return all;
}

struct ShareWeightsPass : kt::impl::ShareWeightsBase<ShareWeightsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    // Those of one product: the panels of several are not one table's rows.
    DenseMap<SymTensorType, SmallVector<ConstantOp>> panels;
    getOperation()->walk([&](MatmulOp op) {
      auto constant = op.getRhs().getDefiningOp<ConstantOp>();
      if (op.getPacked() && !op.getBlocks() && op.getParts() == 1 && constant)
        panels[constant.getResult().getType()].push_back(constant);
    });
    SmallVector<ConstantOp> tables;
    getOperation()->walk([&](ConstantOp op) {
      if (op.getResult().getType().getRank() == 2)
        tables.push_back(op);
    });
    for (ConstantOp table : tables) {
      SymTensorType type = table.getResult().getType();
      auto size = [&](int64_t v) { return Expr::constant(&getContext(), v).attr(); };
      int64_t rows = *type.dim(0).asConstant(), columns = *type.dim(1).asConstant();
      auto packed = SymTensorType::get(&getContext(), {size((rows + kPanel - 1) / kPanel), size(columns), size(kPanel)},
                                       type.getElementType());
      std::optional<SmallVector<ReadOp>> reads = allReadsOf(table);
      auto there = panels.find(packed);
      if (!reads || reads->empty() || there == panels.end())
        continue;
      for (ConstantOp other : there->second)
        if (areTied(table, other)) {
          replace(table, other, *reads);
          break;
        }
    }
  }

  void replace(ConstantOp table, ConstantOp panels, ArrayRef<ReadOp> reads) {
    for (ReadOp read : reads) {
      OpBuilder b(read);
      Location loc = read.getLoc();
      Value row = read.getIndices()[0];
      auto sixteen = arith::ConstantOp::create(b, loc, b.getIntegerAttr(row.getType(), kPanel));
      Value panel = arith::DivUIOp::create(b, loc, row, sixteen), inside = arith::RemUIOp::create(b, loc, row, sixteen);
      read.getIndicesMutable().assign({panel, read.getIndices()[1], inside});
    }
    if (report)
      report->replace(table.contents().identity(), panels.contents().identity());
    panels->moveBefore(&getOperation().getBody().front().front());
    for (OpOperand &use : llvm::make_early_inc_range(table.getResult().getUses())) {
      Operation *op = use.getOwner();
      setBodyOperand(op, use.getOperandNumber() - firstBodyOperand(op), panels.getResult());
    }
    table.erase();
  }

  AccuracyReport *report = nullptr;
};

} // namespace

std::unique_ptr<Pass> kt::createShareWeights(AccuracyReport *report) {
  auto pass = std::make_unique<ShareWeightsPass>();
  pass->report = report;
  return pass;
}
