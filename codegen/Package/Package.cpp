//===- Package.cpp - a scheduled module as an artifact --------------------===//

#include "codegen/Package/Package.h"
#include "codegen/Host/Host.h"
#include "codegen/Host/Prebuilt/Prebuilt.h"
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
/// The variants of one kernel for one target.
struct Part {
  size_t kernel, target;
  FailureOr<KernelCode> code = failure();
};

/// Puts a part's variants behind those that `kernel` has.
void append(artifact::Kernel &kernel, std::vector<artifact::Module> &modules, ExprPool &exprs, KernelCode part) {
  std::vector<artifact::ExprId> places = exprs.add(part.exprs);
  auto move = [&](artifact::ExprId &id) {
    if (id != artifact::kNone)
      id = places[id];
  };
  for (artifact::Variant &v : part.variants) {
    for (artifact::ExprId *id : {&v.guard, &v.cost, &v.workspace, &v.counters})
      move(*id);
    for (artifact::Stage &s : v.stages) {
      s.module += modules.size();
      for (artifact::ExprId *id : {&s.grid[0], &s.grid[1], &s.grid[2], &s.shared, &s.scratch, &s.cluster})
        move(*id);
    }
    kernel.variants.push_back(std::move(v));
  }
  std::move(part.modules.begin(), part.modules.end(), std::back_inserter(modules));
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

/// What the results are; none where the artifact has no name for a type.
std::vector<artifact::ResultType> resultsOf(KernelOp kernel, ExprPool &pool) {
  std::vector<artifact::ResultType> results;
  for (Type type : kernel.getBody().front().getTerminator()->getOperandTypes()) {
    auto tensor = cast<SymTensorType>(type);
    auto element = codegen::dtypeOf(tensor.getElementType());
    if (!element)
      return {};
    results.push_back({*element, {}});
    for (ExprAttr dim : tensor.getDims())
      results.back().dims.push_back(pool.add(Expr(dim)));
  }
  return results;
}

/// Parts of kernels fail in any order, and one cause may fail many of them. What threads say while they compile one is
/// kept, and of the errors only the first part's first one is told.
class FirstError {
public:
  explicit FirstError(MLIRContext *context)
      : handler(context, [this](Diagnostic &d) {
          std::lock_guard lock(mutex);
          auto at = parts.find(llvm::get_threadid());
          if (d.getSeverity() != DiagnosticSeverity::Error || at == parts.end())
            return failure(); // the next handler's
          if (!error || at->second < part)
            part = at->second, error = std::move(d);
          return success();
        }) {}

  /// This thread compiles part number `i` from here on.
  void enter(size_t i) {
    std::lock_guard lock(mutex);
    parts[llvm::get_threadid()] = i;
  }

  /// After all threads are done: what is left to say. `handler` must be gone, so that somebody else hears it.
  std::optional<Diagnostic> take() { return std::move(error); }

private:
  std::mutex mutex;
  DenseMap<uint64_t, size_t> parts;
  std::optional<Diagnostic> error;
  size_t part = 0;
  ScopedDiagnosticHandler handler;
};

/// What takes long is begun first, so that no thread is left with it at the end: products. Of them the host's code
/// comes last, but for one: what they all call is compiled with it, and the others need not wait for each other.
SmallVector<size_t> inOrder(ArrayRef<Part> parts, ArrayRef<KernelOp> kernels, ArrayRef<std::string> targets) {
  auto turn = [&](size_t i) {
    if (KernelOp kernel = kernels[parts[i].kernel]; !isProduct(kernel.compute()))
      return 2;
    return targets[parts[i].target] == "host" ? 1 : 0;
  };
  auto order = llvm::to_vector(llvm::seq<size_t>(0, parts.size()));
  llvm::stable_sort(order, [&](size_t a, size_t b) { return turn(a) < turn(b); });
  if (auto *host = llvm::find_if(order, [&](size_t i) { return turn(i) == 1; }); host != order.end())
    std::rotate(order.begin(), host, host + 1);
  return order;
}

} // namespace

llvm::FailureOr<artifact::Model> codegen::package(ModuleOp module, const PackageOptions &options) {
  SmallVector<KernelOp> kernels(module.getOps<KernelOp>());
  for (KernelOp kernel : kernels)
    if (!kernel.getCandidates()) {
      kernel.emitError("expected candidates, which kt-schedule-kernels writes");
      return failure();
    }
  std::vector<Part> parts;
  for (size_t k = 0; k < kernels.size(); ++k)
    for (size_t t = 0; t < options.targets.size(); ++t)
      parts.push_back({k, t});
  std::mutex mutex;
  unsigned done = 0;
  SharedCode library(prebuiltCode());
  std::optional<Diagnostic> error;
  {
    FirstError errors(module.getContext());
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.threads));
    for (size_t i : inOrder(parts, kernels, options.targets))
      pool.async([&, i, &part = parts[i]]() {
        errors.enter(i);
        KernelOp kernel = kernels[part.kernel];
        const std::string &target = options.targets[part.target];
        ExprPool exprs;
        part.code =
            target == "host" ? hostCode(kernel, library, exprs) : compileGpuKernel(kernel, target, exprs, options.code);
        if (succeeded(part.code))
          part.code->exprs = exprs.take();
        std::lock_guard lock(mutex);
        ++done;
        if (options.progress)
          options.progress(done, parts.size());
      });
    pool.wait();
    error = errors.take();
  }
  if (error)
    module.getContext()->getDiagEngine().emit(std::move(*error));
  artifact::Model model;
  llvm::StringMap<uint32_t> numbers;
  auto part = parts.begin();
  for (auto [number, kernel] : llvm::enumerate(kernels)) {
    artifact::Kernel out;
    ExprPool exprs;
    for (; part != parts.end() && part->kernel == number; ++part) {
      if (failed(part->code)) {
        if (!error) // every failure says why; this one did not
          kernel.emitError("no code for ") << kernel.compute()->getName();
        return failure();
      }
      append(out, model.modules, exprs, std::move(*part->code));
    }
    out.name = kernel.getSymName().str();
    out.family = kernel.compute()->getName().stripDialect().str();
    out.numResults = kernel.getBody().front().getTerminator()->getNumOperands();
    out.numBuffers = kernel.getBody().getNumArguments() + out.numResults;
    out.numInts = kernel.getParams().size();
    out.reportsFaults = kernel.reportsFaults();
    out.counts = countsOf(kernel, exprs);
    out.results = resultsOf(kernel, exprs);
    out.exprs = exprs.take();
    numbers[kernel.getSymName()] = model.kernels.size();
    model.kernels.push_back(std::move(out));
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
