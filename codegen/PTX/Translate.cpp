//===- Translate.cpp - the llvm dialect to PTX text -----------------------===//

#include "codegen/PTX/Lower.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/ModuleTranslation.h"
#include "runtime/artifact/Model.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace mlir;
using namespace kt;

static const llvm::Target *nvptx() {
  static std::once_flag once;
  static const llvm::Target *target;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    std::string error;
    target = llvm::TargetRegistry::lookupTarget(llvm::Triple("nvptx64-nvidia-cuda"), error);
  });
  return target;
}

/// Whether a warpgroup multiplies signed integers and unsigned ones, which came later than all other products of them.
static bool multipliesBothSigns(ModuleOp module) {
  WalkResult found = module.walk([](LLVM::InlineAsmOp op) {
    StringRef text = op.getAsmString();
    return text.contains(".s32.u8.s8") || text.contains(".s32.s8.u8") ? WalkResult::interrupt() : WalkResult::advance();
  });
  return found.wasInterrupted();
}

/// The oldest PTX that has all that kernels use and knows the target: older drivers compile it too.
static StringRef ptxVersion(StringRef target, ModuleOp module) {
  unsigned capability = 0;
  target.drop_front(target.find('_') + 1).consumeInteger(10, capability);
  return capability >= 120             ? "+ptx87"
         : capability >= 100           ? "+ptx86"
         : multipliesBothSigns(module) ? "+ptx84"
                                       : "+ptx80";
}

/// The same program without what only people need: comments, blank lines, columns. A sixth of the text is that.
static std::string withoutPadding(StringRef ptx) {
  std::string brief;
  brief.reserve(ptx.size());
  SmallVector<StringRef> lines;
  ptx.split(lines, '\n');
  for (StringRef line : lines) {
    if (!line.contains('"')) // names of files are as they are
      line = line.take_front(line.find("//"));
    line = line.trim();
    if (line.empty())
      continue;
    for (size_t i = 0; i < line.size(); ++i) {
      bool space = line[i] == ' ' || line[i] == '\t';
      if (!space)
        brief += line[i];
      else if (brief.back() != ' ' && brief.back() != ',')
        brief += ' ';
    }
    brief += '\n';
  }
  return brief;
}

/// The same entry with a label at its start (artifact::kBeginLabel), where it has none of its own.
static std::string withLabel(std::string ptx) {
  size_t at = ptx.find("\n{\n");
  if (at == std::string::npos || ptx.find(std::string("\n") + artifact::kBeginLabel) != std::string::npos)
    return ptx;
  at += 3;
  auto declares = [&](StringRef line) {
    return line.starts_with(".reg") || line.starts_with(".local") || line.starts_with(".shared");
  };
  while (declares(StringRef(ptx).drop_front(at)))
    at = ptx.find('\n', at) + 1;
  return ptx.insert(at, artifact::kBeginLabel + std::string(":\n"));
}

FailureOr<std::string> kt::gpu::lowerToPtx(ModuleOp module, StringRef targetName, LowerOptions lowering) {
  if (failed(lowerToLLVMDialect(module, lowering.halfResults)))
    return failure();
  if (lowering.lineTables)
    addLineTables(module);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel", /*disableVerification=*/true);
  const llvm::Target *target = nvptx();
  if (!code || !target)
    return failure();
  llvm::TargetOptions options;
  options.MCOptions.ABIName = "shortptr"; // 32-bit shared memory addresses
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(llvm::Triple("nvptx64-nvidia-cuda"), targetName, ptxVersion(targetName, module),
                                  options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());

  llvm::LoopAnalysisManager lam;
  llvm::FunctionAnalysisManager fam;
  llvm::CGSCCAnalysisManager cgam;
  llvm::ModuleAnalysisManager mam;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  llvm::PassBuilder builder(machine.get(), tuning);
  builder.registerModuleAnalyses(mam);
  builder.registerCGSCCAnalyses(cgam);
  builder.registerFunctionAnalyses(fam);
  builder.registerLoopAnalyses(lam);
  builder.crossRegisterProxies(lam, fam, cgam, mam);
  // What builders emit is tight already: there is nothing to inline, to unroll or to vectorise, and the code generator
  // reassociates addresses and removes what is computed twice once more.
  llvm::ModulePassManager pipeline;
  if (llvm::Error error = builder.parsePassPipeline(
          pipeline, "function(early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg<hoist-common-insts;"
                    "sink-common-insts>,loop-mssa(licm),early-cse<memssa>,simplifycfg,adce)")) {
    llvm::consumeError(std::move(error));
    return failure();
  }
  pipeline.run(*code, mam);

  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile,
                                   /*DisableVerify=*/true))
    return failure();
  passes.run(*code);
  return withLabel(withoutPadding(text));
}
