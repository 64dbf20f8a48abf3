//===- kt-compile-kernel.cpp - writes the code of textual kernels ---------===//
//
// For each kt.kernel of a file: the PTX (or host images) of its modules and a JSON description with variants, guards
// and geometry, for the PTX interpreter and for ptxas.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Host.h"
#include "codegen/PTX/PTX.h"
#include "dialects/KT/Schedule/Pages.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include <chrono>
#include <optional>

using namespace kt;
using llvm::json::Array;
using llvm::json::Object;

static llvm::cl::opt<std::string> input(llvm::cl::Positional, llvm::cl::Required, llvm::cl::desc("FILE.mlir"));
static llvm::cl::opt<std::string> target("target", llvm::cl::init("sm_89"), llvm::cl::desc("sm_NN or host"));
static llvm::cl::opt<TensorCorePriority>
    tensorCores("tensor-core-priority", llvm::cl::init(TensorCorePriority::high), llvm::cl::desc("use tensor cores"),
                llvm::cl::values(clEnumValN(TensorCorePriority::low, "low", "never"),
                                 clEnumValN(TensorCorePriority::normal, "normal", "for many aligned rows"),
                                 clEnumValN(TensorCorePriority::high, "high", "always")));
static llvm::cl::opt<Variants> variants("variants", llvm::cl::init(Variants::few), llvm::cl::desc("how many variants"),
                                        llvm::cl::values(clEnumValN(Variants::one, "one", "one for all shapes"),
                                                         clEnumValN(Variants::few, "few", "those that may win"),
                                                         clEnumValN(Variants::all, "all", "every one")));
static llvm::cl::opt<bool> lineTables("line-tables", llvm::cl::desc("say in the PTX which lines of builders made it"));
static llvm::cl::opt<std::string> outDir("o", llvm::cl::init("."), llvm::cl::desc("directory"));

static int64_t id(artifact::ExprId e) { return e == artifact::kNone ? -1 : (int64_t)e; }

static Object describe(KernelOp kernel, const codegen::KernelCode &code, const codegen::ExprPool &pool, double ms) {
  Array exprs, ways, buffers;
  for (const artifact::Expr &e : pool.get())
    exprs.push_back(Array{(int64_t)e.op, e.imm, id(e.a), id(e.b), id(e.c)});
  for (const artifact::Variant &v : code.variants) {
    Array stages;
    for (const artifact::Stage &s : v.stages)
      stages.push_back(Object{{"file", kernel.getSymName().str() + "." + std::to_string(s.module) + ".ptx"},
                              {"entry", s.entry},
                              {"grid", Array{id(s.grid[0]), id(s.grid[1]), id(s.grid[2])}},
                              {"block", Array{s.block[0], s.block[1], s.block[2]}},
                              {"shared", id(s.shared)},
                              {"cluster", id(s.cluster)}});
    ways.push_back(Object{{"guard", id(v.guard)},
                          {"cost", id(v.cost)},
                          {"workspace", id(v.workspace)},
                          {"workspaceZeroed", v.workspaceZeroed},
                          {"counters", id(v.counters)},
                          {"paged", v.paged},
                          {"schedule", v.schedule},
                          {"stages", std::move(stages)}});
  }
  Array pages;
  for (int64_t axis : pagesOf(kernel))
    pages.push_back(axis);
  return Object{{"name", kernel.getSymName()},
                {"pages", std::move(pages)},
                {"params", (int64_t)kernel.getParams().size()},
                {"reportsFaults", kernel.reportsFaults()},
                {"ms", ms},
                {"exprs", std::move(exprs)},
                {"variants", std::move(ways)}};
}

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv, "compiles kt.kernel ops\n");
  mlir::MLIRContext context;
  codegen::registerGpuCodegen(context);
  bool host = target == "host";
  if (host)
    codegen::loadHostDialects(context);
  context.loadDialect<mlir::func::FuncDialect>();
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(input, &context);
  if (!module)
    return 1;
  mlir::PassManager passes(&context);
  passes.addPass(createScheduleKernels({{target}, tensorCores, variants}));
  if (mlir::failed(passes.run(*module)))
    return 1;
  // All at once, as the compiler does it.
  auto ops = llvm::to_vector(module->getOps<KernelOp>());
  std::vector<std::optional<Object>> objects(ops.size());
  codegen::SharedCode library;
  mlir::parallelFor(&context, 0, ops.size(), [&](size_t number) {
    KernelOp kernel = ops[number];
    codegen::ExprPool pool;
    auto start = std::chrono::steady_clock::now();
    auto code = host ? codegen::compileHostKernel(kernel, {"host-v3", "host-v4"}, library, pool)
                     : codegen::compileGpuKernel(kernel, target, pool, {lineTables});
    double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (mlir::failed(code))
      return;
    for (auto [i, m] : llvm::enumerate(code->modules)) {
      std::error_code error;
      llvm::raw_fd_ostream out(
          outDir + "/" + kernel.getSymName().str() + "." + std::to_string(i) + (host ? ".bin" : ".ptx"), error);
      out << llvm::StringRef((const char *)m.code.data(), m.code.size());
    }
    objects[number] = describe(kernel, *code, pool, ms);
  });
  Array kernels;
  for (std::optional<Object> &o : objects) {
    if (!o)
      return 1;
    kernels.push_back(std::move(*o));
  }
  std::error_code error;
  llvm::raw_fd_ostream out(outDir + "/kernels.json", error);
  out << llvm::json::Value(std::move(kernels)) << "\n";
  return error ? 1 : 0;
}
