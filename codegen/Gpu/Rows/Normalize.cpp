//===- Normalize.cpp - softmax and norms ----------------------------------===//
//
// A warp or a block holds a row in registers: one pass over memory. Rows longer than the registers of a block are read
// three times.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/Kernels.h"
#include "codegen/Gpu/Rows/RowNorm.h"
#include "dialects/KT/Schedule/Structured.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

NormPlan kt::gpu::normPlan(Expr length) {
  int64_t n = length.asConstant().value_or(INT64_MAX);
  for (NormPlan plan : {NormPlan{128, 32, 32, 4}, NormPlan{256, 256, 16}, NormPlan{512, 512, 32}})
    if (n <= int64_t(plan.threads) * plan.perThread)
      return plan;
  return {512, 512, 0};
}

LogicalResult kt::gpu::addNormStage(KernelSink &sink, artifact::Variant &variant, NormalizeOp op, const NormPlan &plan,
                                    Alignment alignment) {
  unsigned rowsPerBlock = plan.block / plan.threads;
  // All stages of a variant get the same arguments.
  bool workspace = variant.workspace != artifact::kNone, counters = variant.counters != artifact::kNone;
  KernelBuilder k(sink.kernel, sink.entryName(), {plan.block, plan.minCtas, workspace, counters});
  Values operands;
  for (Value v : op->getOperands())
    operands.push_back(k.bufferOf(v));
  RowNorm norm(k, op, {plan.threads, plan.perThread}, std::move(alignment), operands, k.resultNumber(op.getResult()));
  Value row = k.add(k.mul(k.ctaX(), rowsPerBlock), k.div(k.tid(), plan.threads));
  k.ifThen(k.lt(row, k.size(norm.rowCount())), [&] { norm.emit({row}, k.rem(k.tid(), plan.threads)); });
  variant.schedule += (variant.schedule.empty() ? "" : ", ") + ("normalize threads=" + std::to_string(plan.block)) +
                      " row=" + std::to_string(plan.threads) + " registers=" + std::to_string(norm.held()) +
                      " lanes=" + std::to_string(norm.vectorLanes()) + (makerOfRows(op) ? " results=2" : "");
  return sink.addStage(variant, k, {Expr::ceilDiv(norm.rowCount(), sink.number(rowsPerBlock)), sink.one(), sink.one()},
                       norm.sharedBytes());
}

LogicalResult kt::gpu::buildNormalize(KernelSink &sink, NormalizeOp op) {
  auto number = [&](StringRef name) { return (unsigned)sink.configured(name); };
  Alignment alignment = sink.alignment();
  if (sink.configured("vectors"))
    alignRows(op, alignment);
  artifact::Variant variant;
  if (failed(addNormStage(sink, variant, op, {number("block"), number("threads"), number("held"), number("min_ctas")},
                          alignment)))
    return failure();
  sink.addVariant(std::move(variant));
  return success();
}
