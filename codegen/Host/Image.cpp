//===- Image.cpp - LLVM IR to a flat image --------------------------------===//
//
// JITLink places text and read-only data one after the other and resolves what is relative to the program counter;
// anything absolute, writable or external is refused, so the bytes can be mapped anywhere.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Image.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/SymbolStringPool.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/IndVarSimplify.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopDeletion.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/LoopRotation.h"
#include "llvm/Transforms/Scalar/SimpleLoopUnswitch.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Mem2Reg.h"
#include "llvm/Transforms/Vectorize/LoopVectorize.h"
#include <map>
#include <mutex>

using namespace llvm;
using namespace llvm::jitlink;
using namespace kt::codegen::host;

const Isa *kt::codegen::host::findIsa(StringRef target) {
  static const Isa isas[] = {{"host-v3", "x86-64-v3", 32, 12, "", false},
                             {"host-v3-vnni", "x86-64-v3", 32, 12, "+avxvnni", true},
                             {"host-v4", "x86-64-v4", 64, 16, "", false},
                             {"host-v4-vnni", "x86-64-v4", 64, 16, "+avx512vnni", true}};
  for (const Isa &isa : isas)
    if (isa.target == target)
      return &isa;
  return nullptr;
}

namespace {

/// Addresses are relative to this during the link; it must not be null, and nothing of it stays in the image.
constexpr uint64_t kBase = 0x10000;

class FlatMemory final : public JITLinkMemoryManager {
public:
  explicit FlatMemory(Image &image) : image(image) {}
  using JITLinkMemoryManager::allocate;
  using JITLinkMemoryManager::deallocate;

  void allocate(const JITLinkDylib *, LinkGraph &graph, OnAllocatedFunction done) override {
    BasicLayout layout(graph);
    uint64_t offset = 0;
    SmallVector<std::pair<BasicLayout::Segment *, uint64_t>> placed;
    for (bool text : {true, false}) {
      for (auto &entry : layout.segments()) {
        orc::MemProt prot = entry.first.getMemProt();
        if (((prot & orc::MemProt::Exec) != orc::MemProt::None) != text)
          continue;
        BasicLayout::Segment &segment = entry.second;
        if ((prot & orc::MemProt::Write) != orc::MemProt::None || segment.ZeroFillSize)
          return done(createStringError("writable data in a host image"));
        offset = alignTo(offset, std::max<uint64_t>(64, segment.Alignment.value()));
        placed.push_back({&segment, offset});
        offset += segment.ContentSize;
      }
    }
    image.code.assign(offset, std::byte{0});
    for (auto [segment, at] : placed) {
      segment->Addr = orc::ExecutorAddr(kBase + at);
      segment->WorkingMem = reinterpret_cast<char *>(image.code.data()) + at;
    }
    if (Error e = layout.apply())
      return done(std::move(e));
    done(std::make_unique<Allocation>());
  }

  void deallocate(std::vector<FinalizedAlloc> allocations, OnDeallocatedFunction done) override {
    for (FinalizedAlloc &a : allocations)
      a.release();
    done(Error::success());
  }

private:
  struct Allocation final : InFlightAlloc {
    void abandon(OnAbandonedFunction done) override { done(Error::success()); }
    void finalize(OnFinalizedFunction done) override { done(FinalizedAlloc(orc::ExecutorAddr(kBase))); }
  };
  Image &image;
};

class FlatContext final : public JITLinkContext {
public:
  FlatContext(Image &image, std::string &error, ArrayRef<const Image *> shared)
      : JITLinkContext(nullptr), image(image), error(error), shared(shared), memory(image) {}

  JITLinkMemoryManager &getMemoryManager() override { return memory; }
  void notifyFailed(Error e) override { error = toString(std::move(e)); }

  void lookup(const LookupMap &symbols, std::unique_ptr<JITLinkAsyncLookupContinuation> done) override {
    if (symbols.empty())
      return done->run(AsyncLookupResult());
    std::string names;
    for (auto &symbol : symbols)
      names += " " + std::string(*symbol.first);
    done->run(createStringError("host code calls external functions:" + names));
  }

  Error notifyResolved(LinkGraph &graph) override {
    for (Symbol *symbol : graph.defined_symbols())
      if (symbol->hasName() && symbol->getScope() != Scope::Local)
        image.entries[*symbol->getName()] = symbol->getAddress().getValue() - kBase;
    return Error::success();
  }

  void notifyFinalized(JITLinkMemoryManager::FinalizedAlloc allocation) override { allocation.release(); }

  Error modifyPassConfig(LinkGraph &, PassConfiguration &config) override {
    // Shared functions become blocks of this graph before anything asks whether they are external.
    config.PrePrunePasses.push_back([this](LinkGraph &graph) -> Error {
      SmallVector<Symbol *> symbols = to_vector(graph.external_symbols());
      // A graph has them in an order that differs from one process to the next.
      llvm::sort(symbols, [](Symbol *a, Symbol *b) { return *a->getName() < *b->getName(); });
      for (Symbol *symbol : symbols)
        for (const Image *other : shared)
          if (auto entry = other->entries.find(*symbol->getName()); entry != other->entries.end())
            define(graph, *symbol, *other, entry->second);
      return Error::success();
    });
    // An absolute address would bake kBase into the image.
    config.PreFixupPasses.push_back([](LinkGraph &graph) -> Error {
      for (Block *block : graph.blocks())
        for (Edge &edge : block->edges())
          if (StringRef(graph.getEdgeKindName(edge.getKind())).starts_with("Pointer") &&
              block->getSection().getMemLifetime() != orc::MemLifetime::NoAlloc)
            return createStringError("absolute relocation in a host image");
      return Error::success();
    });
    return Error::success();
  }

private:
  void define(LinkGraph &graph, Symbol &symbol, const Image &code, uint64_t offset) {
    Section *section = graph.findSectionByName("shared");
    if (!section)
      section = &graph.createSection("shared", orc::MemProt::Read | orc::MemProt::Exec);
    ArrayRef<char> bytes(reinterpret_cast<const char *>(code.code.data()), code.code.size());
    // The layout assigns the address that counts, and puts blocks in the order of those that they have.
    constexpr uint64_t kApart = uint64_t(1) << 32;
    auto address = orc::ExecutorAddr(kApart * ++defined);
    Block &block = graph.createContentBlock(*section, bytes, address, /*Alignment=*/64, 0);
    graph.makeDefined(symbol, block, offset, bytes.size() - offset, Linkage::Strong, Scope::Local, /*IsLive=*/false);
  }

  Image &image;
  std::string &error;
  ArrayRef<const Image *> shared;
  uint64_t defined = 0; // of them, in this graph
  FlatMemory memory;
};

} // namespace

static void prepare(Module &module, const Isa &isa, TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(PICLevel::BigPIC);
  for (Function &f : module) {
    if (f.isDeclaration()) {
      if (!f.isIntrinsic())
        f.setVisibility(GlobalValue::HiddenVisibility); // a direct call, no table of addresses
      continue;
    }
    f.addFnAttr(Attribute::NoUnwind);
    f.addFnAttr("no-builtins");
    f.addFnAttr("target-cpu", isa.cpu);
    if (!isa.features.empty())
      f.addFnAttr("target-features", isa.features);
    // The level's own tuning halves 512-bit vectors.
    std::string bits = std::to_string(isa.vectorBytes * 8);
    f.addFnAttr("prefer-vector-width", bits);
    f.addFnAttr("min-legal-vector-width", bits);
    if (!f.hasLocalLinkage())
      f.setVisibility(GlobalValue::HiddenVisibility);
  }
}

namespace {
/// A loop for each outcome of a condition that it does not change, where the function's code asks for it: a row of a
/// window that is copied from one place or from another is no more than a copy then.
struct UnswitchMarked : PassInfoMixin<UnswitchMarked> {
  PreservedAnalyses run(Loop &loop, LoopAnalysisManager &manager, LoopStandardAnalysisResults &results,
                        LPMUpdater &updater) {
    if (!loop.getHeader()->getParent()->hasFnAttribute(kUnswitch))
      return PreservedAnalyses::all();
    return SimpleLoopUnswitchPass(/*NonTrivial=*/true).run(loop, manager, results, updater);
  }
};
} // namespace

/// The part of LLVM's O2 that matters here, once: there is nothing to inline, loops come in a normal form, and what
/// lies on the stack is arrays or, of checks of indices, single numbers. A third of the standard pipeline's time for
/// the same code.
static FunctionPassManager functionPasses() {
  FunctionPassManager passes;
  passes.addPass(PromotePass());
  passes.addPass(EarlyCSEPass());
  passes.addPass(SimplifyCFGPass());
  passes.addPass(InstCombinePass());
  LoopPassManager hoist;
  hoist.addPass(LoopRotatePass());
  hoist.addPass(LICMPass(LICMOptions()));
  hoist.addPass(UnswitchMarked());
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(hoist), /*UseMemorySSA=*/true));
  LoopPassManager induction;
  induction.addPass(IndVarSimplifyPass());
  induction.addPass(LoopDeletionPass());
  passes.addPass(createFunctionToLoopPassAdaptor(std::move(induction)));
  passes.addPass(EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(SimplifyCFGPass());
  passes.addPass(LoopVectorizePass());
  passes.addPass(InstCombinePass());
  passes.addPass(SimplifyCFGPass());
  passes.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), /*UseMemorySSA=*/true));
  return passes;
}

static void optimize(Module &module, TargetMachine &machine) {
  PassBuilder builder(&machine);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  TargetLibraryInfoImpl none(machine.getTargetTriple());
  none.disableAllFunctions();
  functions.registerPass([&] { return TargetLibraryAnalysis(none); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  ModulePassManager passes;
  passes.addPass(createModuleToFunctionPassAdaptor(functionPasses()));
  passes.run(module, modules);
}

Expected<Object> kt::codegen::host::makeObject(Module &module, const Isa &isa) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return createStringError(error);
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, isa.cpu, isa.features, TargetOptions(), Reloc::PIC_, CodeModel::Small, CodeGenOptLevel::Default));
  prepare(module, isa, *machine);
  optimize(module, *machine);

  Object object;
  {
    raw_svector_ostream stream(object);
    legacy::PassManager passes;
    if (machine->addPassesToEmitFile(passes, stream, nullptr, CodeGenFileType::ObjectFile, /*DisableVerify=*/true))
      return createStringError("the x86-64 target cannot write objects");
    passes.run(module);
  }
  return object;
}

Expected<Image> kt::codegen::host::makeImage(const Object &object, ArrayRef<const Image *> shared) {
  auto strings = std::make_shared<orc::SymbolStringPool>();
  auto graph = createLinkGraphFromObject(MemoryBufferRef(StringRef(object.data(), object.size()), "kernel"), strings);
  if (!graph)
    return graph.takeError();
  for (Symbol *symbol : (*graph)->defined_symbols())
    if (symbol->hasName() && symbol->getScope() != Scope::Local)
      symbol->setLive(true); // hidden symbols are no roots by themselves
  Image image;
  std::string error;
  link(std::move(*graph), std::make_unique<FlatContext>(image, error, shared));
  if (!error.empty())
    return createStringError(error);
  return image;
}
