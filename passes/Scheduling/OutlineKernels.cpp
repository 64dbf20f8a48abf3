//===- OutlineKernels.cpp - computations become shared kernels ------------===//

#include "dialects/KT/IR/ExprPoly.h"
#include "dialects/KT/Schedule/Pages.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "passes/Passes.h"
#include "passes/Scheduling/GroupComputations.h"
#include "llvm/ADT/MapVector.h"

namespace kt {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Sizes up to this stay in kernels: channels of images, spatial leftovers. Offsets too.
constexpr int64_t kSmall = 4;

/// More kernels than this are not worth compiling: where sizes and numbers alone tell apart more, they are parameters
/// of elementwise work and reductions too. It costs those divisions by numbers that are not known.
constexpr size_t kMostSpecialised = 256;

/// "matmul" for kt.matmul.
StringRef familyOf(Operation *op) { return op->getName().stripDialect(); }

class Outliner {
public:
  Outliner(MLIRContext *context, bool group) : context(context), mayGroup(group) {}

  void run(ModuleOp module) {
    SmallVector<Operation *> work;
    for (auto func : module.getOps<func::FuncOp>())
      func.walk([&](Operation *op) {
        if (isa<ComputeOpInterface>(op))
          work.push_back(op);
      });
    if (mayGroup)
      followers = groupComputations(work);
    SmallVector<Operation *> apart(work);
    Followers ofApart(followers);
    if (mayGroup)
      joinBeside(work, followers);
    // Where there are many kernels, pairs of them may be more.
    if (!collect(work)) {
      work = apart, followers = ofApart;
      if (!collect(work)) {
        anyNumbers = true;
        collect(work);
      }
    }
    OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
    llvm::StringMap<unsigned> counts;
    for (Different &d : different) {
      KernelOp kernel = *d.holder->getOps<KernelOp>().begin();
      StringRef family = familyOf(kernel.compute());
      std::string name = (family + "_" + Twine(counts[family]++)).str();
      kernel->remove();
      atEnd.insert(kernel);
      kernel.setSymName(name);
      kernel->setLoc(d.first->getLoc());
      for (auto [compute, op] : llvm::zip_equal(kernel.computes(), groupOf(d.first)))
        compute->setLoc(op->getLoc());
      d.symbol = FlatSymbolRefAttr::get(context, name);
    }
    for (auto [op, launch] : llvm::zip_equal(work, launches))
      replace(op, launch);
  }

private:
  /// What is computed together, `op` first.
  SmallVector<Operation *> groupOf(Operation *op) const {
    SmallVector<Operation *> all = {op};
    llvm::append_range(all, followers.lookup(op));
    return all;
  }

  /// The operands of a group that none of it makes; what an earlier op has as well comes once.
  static SmallVector<Value> operandsOf(ArrayRef<Operation *> group) {
    SmallVector<Value> given, made;
    for (Operation *op : group) {
      SmallVector<Value> before = given;
      for (Value v : op->getOperands())
        if (!llvm::is_contained(made, v) && !llvm::is_contained(before, v))
          given.push_back(v);
      llvm::append_range(made, op->getResults());
    }
    return given;
  }

  /// A kernel and the first computation that is it.
  struct Different {
    OwningOpRef<ModuleOp> holder;
    Operation *first;
    FlatSymbolRefAttr symbol;
  };
  /// What computes an operation: a number of `different`, and its parameters.
  struct Launch {
    unsigned kernel;
    SmallVector<Attribute> ints;
  };

  /// Fills `different` and `launches`; false when there are too many different kernels.
  bool collect(ArrayRef<Operation *> work) {
    different.clear();
    launches.clear();
    llvm::StringMap<unsigned> known;
    for (Operation *op : work) {
      Launch launch;
      OwningOpRef<ModuleOp> holder = kernelOf(op, launch.ints);
      std::string key;
      llvm::raw_string_ostream(key) << *holder->getOps<KernelOp>().begin();
      auto [it, fresh] = known.try_emplace(key, different.size());
      if (fresh)
        different.push_back({std::move(holder), op, {}});
      if (!anyNumbers && different.size() > kMostSpecialised)
        return false;
      launch.kernel = it->second;
      launches.push_back(std::move(launch));
    }
    return true;
  }

  /// What a launch gives -> the number under which the kernel knows it.
  using Parameters = llvm::MapVector<Attribute, unsigned>;
  Expr parameter(Parameters &params, Attribute given) {
    unsigned number = params.try_emplace(given, params.size()).first->second;
    return Expr::symbol(context, "p" + std::to_string(number));
  }
  Expr parameter(Parameters &params, int64_t given) { return parameter(params, Expr::constant(context, given).attr()); }
  /// Of a known number the kernel keeps only that it is a multiple of `most`, 8 or 4, which is what aligned accesses
  /// need.
  Expr multiple(Parameters &params, int64_t number, int64_t most = 8) {
    int64_t factor = number % most == 0 ? most : number % 8 == 0 ? 8 : number % 4 == 0 ? 4 : 1;
    return parameter(params, number / factor) * factor;
  }

  /// A module with the kernel that computes `op`, and the parameters with which it does.
  OwningOpRef<ModuleOp> kernelOf(Operation *op, SmallVectorImpl<Attribute> &ints) {
    SmallVector<Operation *> group = groupOf(op);
    // Every symbolic size, in order of appearance, is a parameter.
    Parameters params;
    AttrTypeReplacer replacer;
    ExprAttr lengthOfRows;
    if (auto *norm = llvm::find_if(group, llvm::IsaPred<NormalizeOp>); group.size() > 1 && norm != group.end())
      lengthOfRows = cast<SymTensorType>((*norm)->getResult(0).getType()).getDims().back();
    // Grouped convolutions are few and their sizes decide how they are done.
    auto *product = llvm::find_if(group, [](Operation *one) {
      return isa<MatmulOp>(one) || (isa<ConvOp>(one) && cast<ConvOp>(one).getGroups() == 1);
    });
    bool isProduct = product != group.end();
    // 16 bytes are so many elements of a product's left side.
    Value left = isProduct ? (*product)->getOperand(0) : Value();
    int64_t chunk = left && cast<SymTensorType>(left.getType()).scalarType().isInteger(8) ? 16 : 8;
    bool structured = llvm::all_of(group, [](Operation *one) { return cast<ComputeOpInterface>(one).isStructured(); });
    bool general = isProduct || (anyNumbers && structured);
    replacer.addReplacement([&](ExprAttr e) -> std::optional<std::pair<Attribute, WalkResult>> {
      if (auto c = Expr(e).asConstant()) {
        // Products of all sizes share a kernel, but the rows of a norm keep their length.
        if (!general || *c <= kSmall || e == lengthOfRows)
          return std::pair<Attribute, WalkResult>{e, WalkResult::skip()};
        return std::pair<Attribute, WalkResult>{multiple(params, *c, chunk).attr(), WalkResult::skip()};
      }
      return std::pair<Attribute, WalkResult>{parameter(params, e).attr(), WalkResult::skip()};
    });

    Location unknown = UnknownLoc::get(context);
    OwningOpRef<ModuleOp> holder = ModuleOp::create(unknown);
    OpBuilder b = OpBuilder::atBlockEnd(holder->getBody());
    auto kernel = KernelOp::create(b, unknown, "kernel", b.getStrArrayAttr({}), ArrayAttr());
    Block *body = &kernel.getBody().emplaceBlock();
    b.setInsertionPointToEnd(body);
    SmallVector<Value> results;
    IRMapping inside; // the group's operands and results
    for (Operation *one : group) {
      // The same value may come twice to one op: each operand keeps an argument of its own.
      SmallVector<Value> operands;
      for (Value v : one->getOperands())
        operands.push_back(inside.contains(v) ? inside.lookup(v) : body->addArgument(v.getType(), unknown));
      Operation *copy = b.clone(*one);
      copy->setOperands(operands);
      copy->removeAttr("kt.slice"); // where it runs is the launch's business
      for (auto [outer, inner] : llvm::zip_equal(one->getOperands(), operands))
        if (!inside.contains(outer))
          inside.map(outer, inner);
      for (auto [outer, inner] : llvm::zip_equal(one->getResults(), copy->getResults()))
        inside.map(outer, inner);
      llvm::append_range(results, copy->getResults());
    }
    auto attention = dyn_cast<AttentionOp>(body->back());
    if (attention) { // below
      attention.removeSpanFromAttr();
      attention.removeSpanToAttr();
    }
    YieldOp::create(b, unknown, results);
    replacer.recursivelyReplaceElementsIn(kernel, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
    if (isProduct) { // the format of packed weights is not a size
      Value weights = inside.lookup((*product)->getOperand(1));
      auto was = cast<SymTensorType>((*product)->getOperand(1).getType()), now = cast<SymTensorType>(weights.getType());
      SmallVector<ExprAttr> dims(now.getDims());
      if (isa<ConvOp>(*product))
        dims[2] = was.getDims()[2];
      if (isa<ConvOp>(*product) || cast<MatmulOp>(*product).getPacked())
        dims.back() = was.getDims().back();
      weights.setType(SymTensorType::get(context, dims, now.getElementType()));
    }
    if (attention) { // parameters are never negative: a difference is two
      auto end = [&](std::optional<ExprAttr> given) -> ExprAttr {
        if (!given)
          return {};
        auto [plus, minus] = *asDifference(Expr(*given));
        auto known = [&](Expr e) { return e.asConstant() ? e : parameter(params, e.attr()); };
        return (known(plus) - known(minus)).attr();
      };
      auto was = cast<AttentionOp>(group.back());
      attention.setSpanFromAttr(end(was.getSpanFrom()));
      attention.setSpanToAttr(end(was.getSpanTo()));
    }
    kernel->walk([&](Operation *inner) {
      inner->setLoc(unknown);
      for (Region &region : inner->getRegions())
        for (Block &block : region)
          for (BlockArgument arg : block.getArguments())
            arg.setLoc(unknown);
    });
    takeOffsets(kernel, params);
    if (anyNumbers)
      takeNumbers(kernel, params);
    for (auto &[e, number] : params)
      ints.push_back(e);
    takeSites(kernel, ints);
    if (auto axes = findPages(group, operandsOf(group)))
      setPages(kernel, *axes);
    SmallVector<std::string> names;
    for (size_t i = 0; i < ints.size(); ++i)
      names.push_back("p" + std::to_string(i));
    SmallVector<StringRef> nameRefs(names.begin(), names.end());
    kernel.setParamsAttr(b.getStrArrayAttr(nameRefs));
    return holder;
  }

  void replace(Operation *op, const Launch &what) {
    OpBuilder b(op);
    SmallVector<Operation *> group = groupOf(op);
    SmallVector<Type> types;
    SmallVector<Location> locs;
    for (Operation *one : group) {
      llvm::append_range(types, one->getResultTypes());
      locs.push_back(one->getLoc());
    }
    Location loc = group.size() > 1 ? FusedLoc::get(context, locs) : locs[0];
    auto launch =
        LaunchOp::create(b, loc, types, different[what.kernel].symbol, operandsOf(group), b.getArrayAttr(what.ints));
    if (Attribute slice = op->getAttr("kt.slice"))
      launch->setAttr("kt.slice", slice);
    ResultRange made = launch.getResults();
    for (Operation *one : group) {
      one->replaceAllUsesWith(made.take_front(one->getNumResults()));
      made = made.drop_front(one->getNumResults());
    }
    for (Operation *one : group)
      one->erase();
  }

  /// What is added to an index becomes a parameter too: the parts of a split, or the steps of a recurrence that was
  /// written out, are one kernel.
  void takeOffsets(KernelOp kernel, Parameters &params) {
    kernel->walk([&](arith::ConstantIndexOp constant) {
      int64_t value = constant.value();
      if (value <= kSmall)
        return;
      auto isOffset = [](OpOperand &use) {
        return isa<arith::AddIOp, arith::SubIOp>(use.getOwner()) ||
               (isa<ReadOp>(use.getOwner()) && use.getOperandNumber() > 0);
      };
      if (llvm::none_of(constant->getUses(), isOffset))
        return;
      OpBuilder b(constant);
      Value offset = SizeOp::create(b, constant.getLoc(), multiple(params, value));
      constant.getResult().replaceUsesWithIf(offset, isOffset);
      if (constant->use_empty())
        constant->erase();
    });
  }

  /// The numbers that a body computes with become parameters as well, but for those that say what is computed.
  /// Parameters are never negative and may be held in 32 bits: a number comes in parts of 16.
  void takeNumbers(KernelOp kernel, Parameters &params) {
    SmallVector<arith::ConstantOp> constants;
    kernel->walk([&](arith::ConstantOp constant) { constants.push_back(constant); });
    for (arith::ConstantOp constant : constants) {
      Type type = constant.getType();
      auto f = dyn_cast<FloatAttr>(constant.getValue());
      auto i = dyn_cast<IntegerAttr>(constant.getValue());
      if (!type.isIntOrFloat() || type.getIntOrFloatBitWidth() < 16)
        continue;
      if (f && (!f.getValue().isFinite() || llvm::is_contained({0.0, 0.5, 1.0, 2.0}, std::abs(f.getValueAsDouble()))))
        continue;
      if (i && i.getInt() >= -kSmall && i.getInt() <= kSmall)
        continue;
      APInt bits = f ? f.getValue().bitcastToAPInt() : i.getValue();
      OpBuilder b(constant);
      Location loc = constant.getLoc();
      Type whole = b.getIntegerType(bits.getBitWidth());
      Value v;
      for (unsigned at = 0; at < bits.getBitWidth(); at += 16) {
        Value x = SizeOp::create(b, loc, parameter(params, (int64_t)bits.extractBitsAsZExtValue(16, at)));
        x = arith::IndexCastOp::create(b, loc, whole, x);
        if (at)
          x = arith::ShLIOp::create(b, loc, x, arith::ConstantIntOp::create(b, loc, whole, at));
        v = v ? arith::OrIOp::create(b, loc, v, x).getResult() : x;
      }
      if (f)
        v = arith::BitcastOp::create(b, loc, type, v);
      constant.getResult().replaceAllUsesWith(v);
      constant->erase();
    }
  }

  /// Sites become parameters too, behind the sizes: kernels that differ in them only are one.
  void takeSites(KernelOp kernel, SmallVectorImpl<Attribute> &ints) {
    llvm::SmallDenseMap<int64_t, int64_t> numbers;
    auto parameter = [&](int64_t site) {
      auto [it, fresh] = numbers.try_emplace(site, ints.size());
      if (fresh)
        ints.push_back(Expr::constant(context, site).attr());
      return it->second;
    };
    kernel->walk([&](Operation *op) {
      if (auto bounded = dyn_cast<BoundedOp>(op))
        bounded.setSite(parameter(bounded.getSite()));
      else if (auto scatter = dyn_cast<ScatterOp>(op); scatter && scatter.getSite())
        scatter.setSite(parameter(*scatter.getSite()));
    });
  }

  MLIRContext *context;
  bool mayGroup;
  Followers followers;
  bool anyNumbers = false; // see kMostSpecialised
  std::vector<Different> different;
  std::vector<Launch> launches;
};

struct OutlineKernelsPass : kt::impl::OutlineKernelsBase<OutlineKernelsPass> {
  using Base::Base;
  void runOnOperation() override { Outliner(&getContext(), group).run(getOperation()); }
};

} // namespace
