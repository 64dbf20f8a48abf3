//===- Host.cpp - the CPU code generator ----------------------------------===//

#include "codegen/Host/Host.h"
#include "codegen/Host/Emit.h"
#include "dialects/KT/Schedule/Pages.h"
#include "dialects/KT/Schedule/Structured.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen;
using namespace kt::codegen::host;

void kt::codegen::loadHostDialects(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<KTDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect, cf::ControlFlowDialect,
                      LLVM::LLVMDialect>();
}

static LogicalResult buildOne(KernelBuilder &kernel) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(kernel.computes.front())
      .Case([&](GenericOp op) { return buildGeneric(kernel, op); })
      .Case([&](UpdateOp op) { return buildUpdate(kernel, op); })
      .Case([&](ReduceOp op) {
        return buildReduce(kernel,
                           llvm::map_to_vector(kernel.computes, [](Operation *o) { return cast<ReduceOp>(o); }));
      })
      .Case([&](MatmulOp op) { return buildMatmul(kernel, op); })
      .Case([&](NormalizeOp op) { return buildNormalize(kernel, op); })
      .Case([&](ConvOp op) { return buildConv(kernel, op); })
      .Case([&](AttentionOp op) { return buildAttention(kernel, op); })
      .Case([&](SortOp op) { return buildSort(kernel, op); })
      .Case([&](ScanOp op) { return buildScan(kernel, op); })
      .Case([&](ScatterOp op) { return buildScatter(kernel, op); })
      .Case([&](NonzeroOp op) { return buildNonzero(kernel, op); })
      .Case([&](SuppressOp op) { return buildSuppress(kernel, op); })
      .Default([&](Operation *op) { return op->emitOpError("has no host kernel"); });
}

/// Computations of one kernel follow each other, but for those that are done at once: a norm, and what makes
/// its rows; reductions that share a pass.
static SmallVector<SmallVector<Operation *>> stagesOf(KernelOp kernel) {
  SmallVector<SmallVector<Operation *>> stages;
  SmallVector<Operation *> all = kernel.computes();
  if (auto reduce = dyn_cast<ReduceOp>(all[0]); reduce && sharedPass(reduce).size() == all.size())
    return {all};
  for (Operation *compute : all) {
    auto norm = dyn_cast<NormalizeOp>(compute);
    if (norm && !stages.empty() && stages.back().front() == makerOfRows(norm))
      stages.back().insert(stages.back().begin(), norm);
    else
      stages.push_back({compute});
  }
  return stages;
}

static LogicalResult build(KernelBuilder &kernel) {
  std::string schedules;
  SmallVector<Operation *> parts = besideOf(kernel.kernel.computes()[0]);
  for (SmallVector<Operation *> &stage : stagesOf(kernel.kernel)) {
    kernel.computes = stage;
    kernel.beside = parts.size() > 1 && llvm::is_contained(parts, stage.front());
    if (failed(buildOne(kernel)))
      return failure();
    schedules += (schedules.empty() ? "" : ", ") + kernel.schedule;
  }
  kernel.schedule = schedules;
  return success();
}

/// Whether wider vectors pay for a kernel's own code. What only moves and adds numbers waits for memory; the
/// polynomials of exp and its like do not.
static bool gainsFromWidth(KernelOp kernel) {
  return kernel
      .walk([](Operation *op) {
        bool cheap = isa<math::AbsFOp, math::AbsIOp, math::FloorOp, math::CeilOp, math::TruncOp, math::RoundEvenOp,
                         math::SqrtOp, math::FmaOp, math::CopySignOp>(op);
        bool softmax =
            isa<AttentionOp>(op) || (isa<NormalizeOp>(op) && cast<NormalizeOp>(op).getKind() == NormKind::softmax);
        return softmax || (isa<math::MathDialect>(op->getDialect()) && !cheap) ? WalkResult::interrupt()
                                                                               : WalkResult::advance();
      })
      .wasInterrupted();
}

/// Adds a variant for each instruction set that needs one.
static LogicalResult addVariants(KernelCode &code, KernelOp kernel, ArrayRef<const Isa *> isas, bool paged,
                                 SharedCode &library, ExprPool &pool) {
  Operation *compute = kernel.compute();
  std::unique_ptr<KernelBuilder> builder;
  Object object; // the kernel's own code; empty until it is compiled
  auto report = [&](llvm::Error error) { return compute->emitOpError() << llvm::toString(std::move(error)); };
  for (const Isa *isa : isas) {
    if (!builder || builder->usesIsa) {
      builder = std::make_unique<KernelBuilder>(kernel, *isa);
      builder->paged = paged;
      if (failed(build(*builder)))
        return failure();
      if (failed(lowerToLLVM(*builder->module)))
        return compute->emitOpError("could not be lowered for the host");
    }
    llvm::Expected<SmallVector<const Image *>> shared = builder->sharedImages(*isa, library);
    if (!shared)
      return report(shared.takeError());
    bool gains = builder->usesIsa || gainsFromWidth(kernel);
    if (isa != isas.back() && !gains && shared->empty())
      continue; // the code for the next set is as good
    if (object.empty() || gains) {
      llvm::Expected<Object> compiled = compileModule(*builder->module, gains ? *isa : *isas.back());
      if (!compiled)
        return report(compiled.takeError());
      object = std::move(*compiled);
    }
    llvm::Expected<Image> image = makeImage(object, *shared);
    if (!image)
      return report(image.takeError());

    artifact::Variant variant;
    variant.target = isa->target.str();
    variant.schedule = builder->schedule + (paged ? " paged" : "");
    variant.paged = paged;
    if (builder->workspace)
      variant.workspace = pool.add(builder->workspace);
    for (auto [number, plan] : llvm::enumerate(builder->stages)) {
      artifact::Stage stage;
      stage.module = code.modules.size();
      stage.entry = ("entry" + Twine(number)).str();
      stage.entryOffset = image->entries.lookup(stage.entry);
      stage.grid = {pool.add(plan.tasks), pool.constant(1), pool.constant(1)};
      if (plan.scratch)
        stage.scratch = pool.add(plan.scratch);
      variant.stages.push_back(std::move(stage));
    }
    code.variants.push_back(std::move(variant));
    code.modules.push_back({artifact::Module::Kind::HostImage, isa->target.str(), std::move(image->code)});
  }
  return success();
}

FailureOr<KernelCode> kt::codegen::compileHostKernel(KernelOp kernel, ArrayRef<StringRef> targets, SharedCode &library,
                                                     ExprPool &pool) {
  SmallVector<const Isa *> isas;
  for (StringRef target : targets) {
    const Isa *isa = findIsa(target);
    if (!isa)
      return kernel.compute()->emitOpError("unknown host target '") << target << "'";
    isas.push_back(isa);
  }
  return compileHostKernel(kernel, isas, library, pool);
}

FailureOr<KernelCode> kt::codegen::compileHostKernel(KernelOp kernel, ArrayRef<const Isa *> sets, SharedCode &library,
                                                     ExprPool &pool) {
  // The best instruction set comes first: the runtime takes the first variant that fits.
  SmallVector<const Isa *> isas(sets);
  llvm::sort(isas, [](const Isa *a, const Isa *b) {
    return std::pair(a->vectorBytes, a->dots) > std::pair(b->vectorBytes, b->dots);
  });

  KernelCode code;
  if (failed(addVariants(code, kernel, isas, /*paged=*/false, library, pool)))
    return failure();
  // What reads or writes states that may lie in pages is there once more for these.
  if (!pagesOf(kernel).empty() && failed(addVariants(code, kernel, isas, /*paged=*/true, library, pool)))
    return failure();
  return code;
}
