//===- Package.cpp - a scheduled module as an artifact --------------------===//

#include "codegen/Package/Package.h"
#include "codegen/Host/Host.h"
#include "codegen/PTX/PTX.h"
#include "codegen/Package/Program.h"
#include "dialects/KT/Schedule/Candidates.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/Threading.h"
#include <mutex>

using namespace mlir;
using namespace kt;
using namespace kt::codegen;

void codegen::loadCodegenDialects(MLIRContext &context) {
  loadHostDialects(context);
  registerGpuCodegen(context);
}

namespace {
struct Compiled {
  artifact::Kernel kernel;
  std::vector<artifact::Module> modules;
  bool ok = true;
};

void append(Compiled &out, KernelCode code) {
  for (artifact::Variant &v : code.variants) {
    for (artifact::Stage &s : v.stages)
      s.module += out.modules.size();
    out.kernel.variants.push_back(std::move(v));
  }
  std::move(code.modules.begin(), code.modules.end(), std::back_inserter(out.modules));
}

/// The host's variants, which know their instruction sets only, with the costs of their candidates.
FailureOr<KernelCode> hostCode(KernelOp kernel, SharedCode &library, ExprPool &exprs) {
  SmallVector<StringRef> targets;
  for (auto candidate : kernel.getCandidatesAttr().getAsRange<CandidateAttr>())
    if (StringRef name = candidate.getTarget().getValue(); name.starts_with("host"))
      targets.push_back(name);
  FailureOr<KernelCode> code = compileHostKernel(kernel, targets, library, exprs);
  if (succeeded(code))
    for (artifact::Variant &v : code->variants)
      for (CandidateAttr candidate : candidatesFor(kernel, v.target))
        if (ExprAttr cost = candidate.getCost())
          v.cost = exprs.add(cost);
  return code;
}

/// The elements of each buffer that may have very many.
std::vector<artifact::ExprId> countsOf(KernelOp kernel, ExprPool &pool) {
  std::vector<artifact::ExprId> counts;
  auto add = [&](Type type) {
    Expr count = cast<SymTensorType>(type).numElements();
    if (count.asConstant().value_or(INT64_MAX) < int64_t(1) << 31)
      return;
    if (artifact::ExprId id = pool.add(count); !llvm::is_contained(counts, id))
      counts.push_back(id);
  };
  for (Type type : kernel.getBody().front().getArgumentTypes())
    add(type);
  for (Type type : kernel.getBody().front().getTerminator()->getOperandTypes())
    add(type);
  return counts;
}

/// Kernels fail in any order, and one cause may fail many of them. What threads say while they compile a kernel is
/// kept, and of the errors only the first kernel's first one is told.
class FirstError {
public:
  explicit FirstError(MLIRContext *context)
      : handler(context, [this](Diagnostic &d) {
          std::lock_guard lock(mutex);
          auto at = kernels.find(llvm::get_threadid());
          if (d.getSeverity() != DiagnosticSeverity::Error || at == kernels.end())
            return failure(); // the next handler's
          if (!error || at->second < kernel)
            kernel = at->second, error = std::move(d);
          return success();
        }) {}

  /// This thread compiles kernel number `i` from here on.
  void enter(size_t i) {
    std::lock_guard lock(mutex);
    kernels[llvm::get_threadid()] = i;
  }

  /// After all threads are done: what is left to say. `handler` must be gone, so that somebody else hears it.
  std::optional<Diagnostic> take() { return std::move(error); }

private:
  std::mutex mutex;
  DenseMap<uint64_t, size_t> kernels;
  std::optional<Diagnostic> error;
  size_t kernel = 0;
  ScopedDiagnosticHandler handler;
};

} // namespace

llvm::FailureOr<artifact::Model> codegen::package(ModuleOp module, const PackageOptions &options) {
  SmallVector<KernelOp> kernels(module.getOps<KernelOp>());
  std::vector<Compiled> compiled(kernels.size());
  for (KernelOp kernel : kernels)
    if (!kernel.getCandidates()) {
      kernel.emitError("expected candidates, which kt-schedule-kernels writes");
      return failure();
    }
  std::mutex mutex;
  unsigned done = 0;
  SharedCode library;
  std::optional<Diagnostic> error;
  {
    FirstError errors(module.getContext());
    // What takes long is begun first, so that no thread is left with it at the end.
    auto order = llvm::to_vector(llvm::seq<size_t>(0, kernels.size()));
    llvm::stable_sort(
        order, [&](size_t a, size_t b) { return isProduct(kernels[a].compute()) && !isProduct(kernels[b].compute()); });
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.threads));
    for (size_t i : order)
      pool.async([&, i, kernel = kernels[i]]() mutable {
        errors.enter(i);
        Compiled &out = compiled[i];
        ExprPool exprs;
        for (const std::string &target : options.targets) {
          FailureOr<KernelCode> code = target == "host" ? hostCode(kernel, library, exprs)
                                                        : compileGpuKernel(kernel, target, exprs, options.code);
          if (failed(code)) {
            out.ok = false;
            break;
          }
          append(out, std::move(*code));
        }
        out.kernel.counts = countsOf(kernel, exprs);
        out.kernel.exprs = exprs.take();
        std::lock_guard lock(mutex);
        ++done;
        if (options.progress)
          options.progress(done, kernels.size());
      });
    pool.wait();
    error = errors.take();
  }
  if (error)
    module.getContext()->getDiagEngine().emit(std::move(*error));
  artifact::Model model;
  llvm::StringMap<uint32_t> numbers;
  for (auto [kernel, c] : llvm::zip(kernels, compiled)) {
    if (!c.ok) {
      if (!error) // every failure says why; this one did not
        kernel.emitError("no code for ") << kernel.compute()->getName();
      return failure();
    }
    c.kernel.name = kernel.getSymName().str();
    c.kernel.family = kernel.compute()->getName().stripDialect().str();
    c.kernel.numResults = kernel.getBody().front().getTerminator()->getNumOperands();
    c.kernel.numBuffers = kernel.getBody().getNumArguments() + c.kernel.numResults;
    c.kernel.numInts = kernel.getParams().size();
    c.kernel.reportsFaults = kernel.reportsFaults();
    for (artifact::Variant &v : c.kernel.variants)
      for (artifact::Stage &s : v.stages)
        s.module += model.modules.size();
    std::move(c.modules.begin(), c.modules.end(), std::back_inserter(model.modules));
    numbers[kernel.getSymName()] = model.kernels.size();
    model.kernels.push_back(std::move(c.kernel));
  }
  model.targets = options.targets;
  if (auto name = module->getAttrOfType<StringAttr>("kt.name"))
    model.name = name.str();
  auto func = *module.getOps<func::FuncOp>().begin();
  if (failed(ProgramBuilder(model, numbers)
                 .run(func, module->getAttrOfType<DictionaryAttr>("kt.bounds"),
                      module->getAttrOfType<ArrayAttr>("kt.sites"))))
    return failure();
  return model;
}
