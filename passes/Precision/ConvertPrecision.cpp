//===- ConvertPrecision.cpp - compute and storage types -------------------===//
//
//   %r = matmul %x, %w : f32                 %r = matmul %x, %w16 : f16, f16 -> f16
//   %s = generic { r[i] + 1.0 }        ->    %s = generic { truncf(extf(r[i]) + 1.0) }
//
// What is stored narrows; arithmetic inside bodies and accumulators stay f32. Inputs and results of the graph keep
// their types, and so does what PrecisionDemand names: angles, positions, routing scores, what is quantised, squares
// and exponentials on their way into sums.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AsmState.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Interpreter.h"
#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Passes.h"
#include "passes/Precision/ConvertFloats.h"
#include "passes/Precision/Int8Places.h"

namespace kt {
#define GEN_PASS_DEF_CONVERTPRECISION
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kTableElements = 4096; // smaller constants are not worth narrowing

SymTensorType withElement(SymTensorType type, Type element) {
  return SymTensorType::get(type.getContext(), type.getDims(), element);
}

/// A converted scalar. Narrowing keeps finite numbers finite: what f16 cannot hold becomes its largest.
Value convertScalar(OpBuilder &b, Location loc, Value v, Type to) {
  auto from = cast<FloatType>(v.getType()), target = cast<FloatType>(to);
  if (from == target)
    return v;
  if (from.getWidth() < target.getWidth())
    return arith::ExtFOp::create(b, loc, to, v);
  if (from.getWidth() == target.getWidth())
    return convertScalar(b, loc, arith::ExtFOp::create(b, loc, b.getF32Type(), v), to);
  if (target.isF16()) {
    auto bound = [&](double x) { return arith::ConstantOp::create(b, loc, b.getFloatAttr(from, x)); };
    Value limited = arith::MinimumFOp::create(b, loc, v, bound(65504));
    // Infinities are meant: only finite values are kept in range.
    limited = arith::MaximumFOp::create(b, loc, limited, bound(-65504));
    Value magnitude = math::AbsFOp::create(b, loc, v);
    Value infinite = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, magnitude, bound(INFINITY));
    v = arith::SelectOp::create(b, loc, infinite, v, limited);
  }
  return arith::TruncFOp::create(b, loc, to, v);
}

/// A constant in another type, converted where it is read. The interpreter converts what is not finite, and is what the
/// rest is as if it were converted by, so that it means the same as everywhere else.
class ConvertedBytes final : public ComputedBytes {
public:
  ConvertedBytes(ConstantBytes from, Location loc, SymTensorType wide, Type to)
      : ComputedBytes(from.size() / wide.elementBytes() * widthOf(to),
                      unitOf(from) / wide.elementBytes() * widthOf(to)),
        from(std::move(from)), fromWidth(wide.elementBytes()), toWidth(widthOf(to)),
        formats{floatFormatOf(wide.getElementType()), floatFormatOf(to)} {
    OpBuilder b(loc.getContext());
    b.setInsertionPointToStart(&holder);
    generic = GenericOp::create(b, loc, withElement(wide, to), holder.addArgument(wide, loc));
    Block *body = addBody(generic.getBody(), {}, generic.getInputs(), wide.getRank());
    b.setInsertionPointToStart(body);
    Value x = ReadOp::create(b, loc, body->getArgument(0), body->getArguments().drop_front(1));
    YieldOp::create(b, loc, convertScalar(b, loc, x, to));
  }

private:
  static int64_t widthOf(Type type) { return type.getIntOrFloatBitWidth() / 8; }
  /// Of bytes in memory, a piece that the second cache holds.
  static uint64_t unitOf(const ConstantBytes &from) { return from.areComputed() ? from.unit() : 64 << 10; }

  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    SmallVector<char, 0> scratch;
    int64_t first = begin / toWidth, count = out.size() / toWidth;
    ArrayRef<char> source = from.read(first * fromWidth, count * fromWidth, scratch);
    bool done =
        (formats[0] && formats[1] && convertFinite(*formats[0], *formats[1], source.data(), count, out.data())) ||
        interpretElements(generic, first, source, out);
    assert(done && "conversions are interpreted");
    (void)done;
  }

  ConstantBytes from;
  int64_t fromWidth, toWidth;
  std::optional<FloatFormat> formats[2];
  Block holder; // of the conversion, which is part of no graph
  GenericOp generic;
};

class Converter {
public:
  Converter(func::FuncOp func, Type to, AccuracyReport *report)
      : func(func), to(to), report(report), b(func.getContext()) {
    if (cast<FloatType>(to).getWidth() < 32) // widening loses nothing
      demand.emplace(func);
  }

  void run() {
    markActivations();
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) {
      if (isa<ComputeOpInterface>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      for (Value v : op->getResults())
        if (narrows(v))
          convertResult(op);
      unifyFactors(op);
    }
    func.walk([&](ConstantOp op) { convertTable(op); });
  }

private:
  bool isSource(Type element) {
    return isa<FloatType>(element) && element != to && !element.isF64() && cast<FloatType>(element).getWidth() >= 16;
  }
  Type elementOf(Value v) { return cast<SymTensorType>(v.getType()).getElementType(); }

  /// What is an activation: results of products and norms, rows gathered from tables, and what is computed elementwise
  /// from those and from the graph's floating-point inputs. Masks, positions and angles are not: they stay exact.
  void markActivations() {
    Block &entry = func.getBody().front();
    for (BlockArgument arg : entry.getArguments())
      if (isa<FloatType>(elementOf(arg)))
        activations.insert(arg);
    func.walk([&](Operation *op) {
      bool active = isProduct(op) || isa<NormalizeOp>(op);
      if (isa<GenericOp, UpdateOp, ReshapeOp, CapacityOp>(op))
        for (Value v : op->getOperands())
          active |= activations.contains(v);
      if (auto generic = dyn_cast<GenericOp>(op))
        for (auto [i, v] : llvm::enumerate(generic.getInputs()))
          if (isTable(v) && llvm::any_of(readsOf(generic, i), [&](ReadOp r) {
                return !plainIndex(r.getIndices()[0], r->getBlock(), generic.getInputs().size());
              }))
            active = true;
      if (active)
        for (Value v : op->getResults())
          activations.insert(v);
    });
  }

  bool isTable(Value v) {
    auto constant = throughReshapes(v).getDefiningOp<ConstantOp>();
    return constant && isa<FloatType>(elementOf(v)) && cast<SymTensorType>(v.getType()).getRank() >= 2 &&
           *constant.getResult().getType().numElements().asConstant() >= kTableElements;
  }

  /// Results that somebody needs in their own type: the graph's results, control flow, and ops that move elements of
  /// one type only.
  bool isPinned(Value v) {
    for (Operation *user : v.getUsers()) {
      if (isa<func::ReturnOp, YieldOp, LoopOp, ItemOp, CapacityOp>(user) ||
          (isa<ComputeOpInterface>(user) && bodiesOf(user).empty()))
        return true;
      if (auto reshape = dyn_cast<ReshapeOp>(user); reshape && isPinned(reshape.getResult()))
        return true;
    }
    return false;
  }

  bool narrows(Value v) {
    auto op = v.getDefiningOp<ComputeOpInterface>();
    return op && op.mayNarrow() && isSource(elementOf(v)) && activations.contains(v) && !isPinned(v) &&
           !(demand && demand->of(v));
  }

  /// Gives v a new element type; its readers convert back what they read.
  void retype(Value v, Type element) {
    Type old = cast<SymTensorType>(v.getType()).scalarType();
    v.setType(withElement(cast<SymTensorType>(v.getType()), element));
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : v.getUses())
      uses.push_back(&use);
    for (OpOperand *use : uses) {
      Operation *user = use->getOwner();
      if (auto reshape = dyn_cast<ReshapeOp>(user)) {
        retype(reshape.getResult(), element);
        continue;
      }
      unsigned first = firstBodyOperand(user);
      if (bodiesOf(user).empty() || use->getOperandNumber() < first)
        continue;
      for (BodyRef body : bodiesOf(user)) {
        BlockArgument arg = body.region->getArgument(body.leading + use->getOperandNumber() - first);
        arg.setType(v.getType());
        for (Operation *reader : llvm::make_early_inc_range(arg.getUsers())) {
          auto read = cast<ReadOp>(reader);
          if (read.getResult().getType() == element)
            continue;
          b.setInsertionPoint(read);
          if (read.getOtherwise())
            read.getOtherwiseMutable().assign(convertScalar(b, read.getLoc(), read.getOtherwise(), element));
          read.getResult().setType(element);
          SmallVector<OpOperand *> readers;
          for (OpOperand &reader : read.getResult().getUses())
            readers.push_back(&reader);
          b.setInsertionPointAfter(read);
          // A plain narrowing: its widening, which follows where a body computes in f32, then cancels it.
          bool wider = cast<FloatType>(element).getWidth() > cast<FloatType>(old).getWidth();
          Value v = wider ? arith::TruncFOp::create(b, read.getLoc(), old, read.getResult())
                          : convertScalar(b, read.getLoc(), read.getResult(), old);
          for (OpOperand *reader : readers)
            reader->set(v);
        }
      }
    }
  }

  void convertResult(Operation *op) {
    Value v = op->getResult(0);
    if (!isa<AttentionOp>(op)) { // an attention converts its f32 result itself
      Operation *yield = bodiesOf(op).back().region->front().getTerminator();
      b.setInsertionPoint(yield);
      yield->setOperand(0, convertScalar(b, op->getLoc(), yield->getOperand(0), to));
    }
    retype(v, to);
  }

  /// The factors of a product have one type: the narrow one as soon as one has it, or its result has.
  void unifyFactors(Operation *op) {
    unsigned factors = firstBodyOperand(op);
    if (factors == 0 || (demand && demand->isExactProduct(op)))
      return;
    for (unsigned i = 0; i < factors; ++i) {
      Value v = op->getOperand(i);
      Type element = elementOf(v);
      if (!isSource(element))
        continue;
      if (auto constant = throughReshapes(v).getDefiningOp<ConstantOp>()) {
        op->setOperand(i, narrowed(constant, cast<SymTensorType>(v.getType())));
        continue;
      }
      Value &cast = casts[v];
      if (!cast || cast.getParentBlock() != op->getBlock()) {
        b.setInsertionPoint(op);
        auto type = withElement(llvm::cast<SymTensorType>(v.getType()), to);
        auto generic = GenericOp::create(b, op->getLoc(), type, v);
        Block *body = addBody(generic.getBody(), {}, v, type.getRank());
        b.setInsertionPointToStart(body);
        Value x = ReadOp::create(b, op->getLoc(), body->getArgument(0), body->getArguments().drop_front(1));
        YieldOp::create(b, op->getLoc(), convertScalar(b, op->getLoc(), x, to));
        cast = generic.getResult();
      }
      op->setOperand(i, cast);
    }
  }

  /// A constant in the narrow type, seen with the dimensions of `type`.
  Value narrowed(ConstantOp constant, SymTensorType type) {
    auto key = std::pair<Attribute, Type>{constant.getValue(), withElement(type, to)};
    Value &v = constants[key];
    if (v)
      return v;
    b.setInsertionPointAfter(constant);
    auto bytes = std::make_shared<ConvertedBytes>(constant.contents(), constant.getLoc(),
                                                  withElement(type, elementOf(constant.getResult())), to);
    v = makeConstant(b, constant.getLoc(), withElement(type, to), std::move(bytes), constant.getName().value_or(""))
            .getResult();
    if (report)
      report->replace(constant.contents().identity(), v.getDefiningOp<ConstantOp>().contents().identity());
    return v;
  }

  /// A table that bodies read.
  void convertTable(ConstantOp op) {
    Value v = op.getResult();
    bool exact = demand && demand->isExactTable(v);
    if (!isSource(elementOf(v)) || !isTable(v) || v.use_empty() || exact)
      return;
    std::function<bool(Value)> onlyBodies = [&](Value x) {
      return llvm::all_of(x.getUses(), [&](OpOperand &use) {
        if (auto reshape = dyn_cast<ReshapeOp>(use.getOwner()))
          return onlyBodies(reshape.getResult());
        return !bodiesOf(use.getOwner()).empty() && use.getOperandNumber() >= firstBodyOperand(use.getOwner());
      });
    };
    if (!onlyBodies(v))
      return;
    Value narrow = narrowed(op, op.getResult().getType());
    // Retyping the old value converts its readers; then they are given the new one.
    retype(v, to);
    v.replaceAllUsesWith(narrow);
    op.erase();
  }

  func::FuncOp func;
  Type to;
  AccuracyReport *report;
  OpBuilder b;
  std::optional<PrecisionDemand> demand;
  llvm::DenseSet<Value> activations;
  DenseMap<Value, Value> casts;
  DenseMap<std::pair<Attribute, Type>, Value> constants;
};

struct ConvertPrecisionPass : kt::impl::ConvertPrecisionBase<ConvertPrecisionPass> {
  using Base::Base;
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    Builder b(&getContext());
    Type type = to == "fp16" ? Type(b.getF16Type()) : to == "bf16" ? Type(b.getBF16Type()) : Type(b.getF32Type());
    Converter(getOperation(), type, report).run();
  }
  AccuracyReport *report = nullptr;
};

} // namespace

std::unique_ptr<Pass> kt::createConvertPrecision(ConvertPrecisionOptions options, AccuracyReport *report) {
  auto pass = std::make_unique<ConvertPrecisionPass>(std::move(options));
  pass->report = report;
  return pass;
}
