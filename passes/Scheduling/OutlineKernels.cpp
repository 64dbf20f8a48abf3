//===- OutlineKernels.cpp - computations become shared kernels ------------===//

#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace kt {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Sizes up to this stay in kernels: channels of images, spatial leftovers.
constexpr int64_t kSmall = 4;

/// "matmul" for kt.matmul.
StringRef familyOf(Operation *op) { return op->getName().stripDialect(); }

struct OutlineKernelsPass : kt::impl::OutlineKernelsBase<OutlineKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> work;
    for (auto func : module.getOps<func::FuncOp>())
      func.walk([&](Operation *op) {
        if (isCompute(op))
          work.push_back(op);
      });
    OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
    for (Operation *op : work)
      outline(op, atEnd);
  }

  void outline(Operation *op, OpBuilder &atEnd) {
    MLIRContext *context = &getContext();
    // Every symbolic size, in order of appearance, is a parameter.
    llvm::MapVector<Attribute, unsigned> params;
    AttrTypeReplacer replacer;
    // Grouped convolutions are few and their sizes decide how they are done.
    bool general = isa<MatmulOp>(op) || (isa<ConvOp>(op) && cast<ConvOp>(op).getGroups() == 1);
    replacer.addReplacement([&](ExprAttr e) -> std::optional<std::pair<Attribute, WalkResult>> {
      if (auto c = Expr(e).asConstant()) {
        // Products of all sizes share a kernel: it keeps of a size only that it is a multiple of 8 or 4, which is what
        // aligned accesses need.
        int64_t factor = *c % 8 == 0 ? 8 : *c % 4 == 0 ? 4 : 1;
        if (!general || *c <= kSmall)
          return std::pair<Attribute, WalkResult>{e, WalkResult::skip()};
        Attribute quotient = Expr::constant(context, *c / factor).attr();
        unsigned number = params.try_emplace(quotient, params.size()).first->second;
        return std::pair<Attribute, WalkResult>{(Expr::symbol(context, "p" + std::to_string(number)) * factor).attr(),
                                                WalkResult::skip()};
      }
      unsigned number = params.try_emplace(e, params.size()).first->second;
      return std::pair<Attribute, WalkResult>{Expr::symbol(context, "p" + std::to_string(number)).attr(),
                                              WalkResult::skip()};
    });

    Location unknown = UnknownLoc::get(context);
    OwningOpRef<ModuleOp> holder = ModuleOp::create(unknown);
    OpBuilder b = OpBuilder::atBlockEnd(holder->getBody());
    auto kernel = KernelOp::create(b, unknown, "kernel", b.getStrArrayAttr({}), DictionaryAttr());
    Block *body = &kernel.getBody().emplaceBlock();
    IRMapping map;
    for (Value v : op->getOperands())
      map.map(v, body->addArgument(v.getType(), unknown));
    // The same value may come twice: each operand keeps an argument of its own.
    b.setInsertionPointToEnd(body);
    Operation *clone = b.clone(*op, map);
    clone->removeAttr("kt.slice"); // where it runs is the launch's business
    for (auto [i, arg] : llvm::enumerate(body->getArguments()))
      clone->setOperand(i, arg);
    YieldOp::create(b, unknown, clone->getResults());
    replacer.recursivelyReplaceElementsIn(kernel, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
    if (general) { // the format of packed weights is not a size
      Value weights = body->getArgument(1);
      auto was = cast<SymTensorType>(op->getOperand(1).getType()), now = cast<SymTensorType>(weights.getType());
      SmallVector<ExprAttr> dims(now.getDims());
      if (isa<ConvOp>(op))
        dims[2] = was.getDims()[2];
      if (isa<ConvOp>(op) || cast<MatmulOp>(op).getPacked())
        dims.back() = was.getDims().back();
      weights.setType(SymTensorType::get(context, dims, now.getElementType()));
    }
    kernel->walk([&](Operation *inner) {
      inner->setLoc(unknown);
      for (Region &region : inner->getRegions())
        for (Block &block : region)
          for (BlockArgument arg : block.getArguments())
            arg.setLoc(unknown);
    });
    SmallVector<Attribute> ints;
    for (auto &[e, number] : params)
      ints.push_back(e);
    takeSites(kernel, ints);
    SmallVector<std::string> names;
    for (size_t i = 0; i < ints.size(); ++i)
      names.push_back("p" + std::to_string(i));
    SmallVector<StringRef> nameRefs(names.begin(), names.end());
    kernel.setParamsAttr(b.getStrArrayAttr(nameRefs));

    std::string key;
    llvm::raw_string_ostream(key) << kernel;
    auto [it, fresh] = known.try_emplace(key);
    if (fresh) {
      std::string name = (familyOf(op) + "_" + Twine(counts[familyOf(op)]++)).str();
      kernel->remove();
      atEnd.insert(kernel);
      kernel.setSymName(name);
      kernel->setLoc(op->getLoc());
      kernel.compute()->setLoc(op->getLoc());
      it->second = name;
    }
    OpBuilder here(op);
    auto launch =
        LaunchOp::create(here, op->getLoc(), op->getResultTypes(), FlatSymbolRefAttr::get(context, it->second),
                         op->getOperands(), here.getArrayAttr(ints));
    if (Attribute slice = op->getAttr("kt.slice"))
      launch->setAttr("kt.slice", slice);
    op->replaceAllUsesWith(launch.getResults());
    op->erase();
  }

  /// Sites become parameters too, behind the sizes: kernels that differ in them only are one.
  void takeSites(KernelOp kernel, SmallVectorImpl<Attribute> &ints) {
    llvm::SmallDenseMap<int64_t, int64_t> numbers;
    auto parameter = [&](int64_t site) {
      auto [it, fresh] = numbers.try_emplace(site, ints.size());
      if (fresh)
        ints.push_back(Expr::constant(&getContext(), site).attr());
      return it->second;
    };
    kernel->walk([&](Operation *op) {
      if (auto bounded = dyn_cast<BoundedOp>(op))
        bounded.setSite(parameter(bounded.getSite()));
      else if (auto scatter = dyn_cast<ScatterOp>(op); scatter && scatter.getSite())
        scatter.setSite(parameter(*scatter.getSite()));
    });
  }

  llvm::StringMap<std::string> known;
  llvm::StringMap<unsigned> counts;
};

} // namespace
