//===- QuantizeCaches.cpp - keys and values of 8 bits ---------------------===//
//
//   %all = update { x[b, h, j, d] }               %rows = reduce max over d { |x[b, h, j, d]| } / 127
//   %y = attention %q, %all, ..           ->      %scales = update { rows[b, h, j] }
//   return capacity %all                          %all = update { roundeven(x[b, h, j, d] / rows[b, h, j]) }
//                                                 %y = attention %q, %all, .. scales { scales[b, g, j], .. }
//
// A cache is what a session keeps and attention reads, so its form is theirs to choose: the row of a head, which one
// token adds, has a scale. What the model says of its inputs and outputs stays as it is: a run that keeps nothing
// quantises what it is given, and returns what the model would.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/Schedule/Attention.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace kt {
#define GEN_PASS_DEF_QUANTIZECACHES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

/// The largest magnitude of a row in steps: no row needs -128, so that signs do not matter.
constexpr double kMostSteps = 127;

namespace {

/// A state that grows, made by a window and read by attention alone.
struct Cache {
  UpdateOp update;
  CapacityOp stored;   // the argument with room for more, which the window reads; null where it does not
  CapacityOp returned; // what the graph returns of the window's result
  unsigned result;     // its number
  Value values, scales;
};

/// The number of the operand through which an attention reads a cache, as rows of heads along `axis`.
std::optional<unsigned> readAsRows(OpOperand &use, int64_t axis, AttentionMakers::Dimensions &dims) {
  auto attention = dyn_cast<AttentionOp>(use.getOwner());
  unsigned factor = use.getOperandNumber();
  if (!attention || (factor != 1 && factor != 2) || !attention.getScales().empty() ||
      !findDimensions(attention, factor, dims) || dims[2] != axis)
    return std::nullopt;
  return factor;
}

std::optional<Cache> findCache(func::FuncOp func, func::ReturnOp ret, unsigned result) {
  auto tied = func.getResultAttrOfType<IntegerAttr>(result, kTied);
  auto axis = func.getResultAttrOfType<IntegerAttr>(result, kTiedAxis);
  auto returned = ret.getOperand(result).getDefiningOp<CapacityOp>();
  auto update = returned ? returned.getSource().getDefiningOp<UpdateOp>() : UpdateOp();
  if (!tied || !axis || !update || !returned.getResult().hasOneUse() || update.getAxis() != (uint64_t)axis.getInt() ||
      update->getBlock() != ret->getBlock() || !isa<FloatType>(update.getResult().getType().getElementType()))
    return std::nullopt;
  Cache cache{update, {}, returned, result, {}, {}};
  BlockArgument argument = func.getArgument(tied.getInt());
  for (Operation *user : argument.getUsers()) {
    cache.stored = dyn_cast<CapacityOp>(user);
    if (!argument.hasOneUse() || !cache.stored ||
        llvm::any_of(cache.stored->getUsers(), [&](Operation *reader) { return reader != update; }))
      return std::nullopt;
  }
  AttentionMakers::Dimensions dims;
  for (OpOperand &use : update->getUses())
    if (use.getOwner() != returned &&
        (use.getOwner()->getBlock() != ret->getBlock() || !readAsRows(use, axis.getInt(), dims)))
      return std::nullopt;
  return cache;
}

class Quantizer {
public:
  Quantizer(func::FuncOp func, Cache &cache)
      : func(func), cache(cache), update(cache.update), type(update.getResult().getType()), axis(update.getAxis()),
        last(type.getRank() - 1), b(update), loc(update.getLoc()), f32(b.getF32Type()), inputs(update.getInputs()) {}

  void run() {
    if (cache.stored)
      hideStored();
    rows = makeRows();
    cache.values = makeUpdate(type.dim(last), b.getI8Type(), quantised);
    // What keys and values have of a kind is side by side, and so may be launched together.
    Operation *reader = firstReader();
    b.setInsertionPoint(reader);
    cache.scales = makeUpdate(number(1), f32, [&](OpBuilder &, Value, Value scale) { return scale; });
    b.setInsertionPointAfter(reader);
    returnPlain();
    for (Value kept : {cache.values, cache.scales})
      keep(kept);
  }

private:
  MLIRContext *context() { return func.getContext(); }
  Expr number(int64_t n) { return Expr::constant(context(), n); }
  /// `plain` where a session keeps nothing, else `kept`.
  Expr either(Expr plain, Expr kept) {
    return Expr::select(Expr::eq(number(0), Expr::symbol(context(), kCapacity)), plain, kept);
  }
  SymTensorType with(SymTensorType from, unsigned dim, Expr size) {
    SmallVector<ExprAttr> dims(from.getDims());
    dims[dim] = size.attr();
    return SymTensorType::get(context(), dims, from.getElementType());
  }
  SymTensorType of(SymTensorType from, Type element) { return SymTensorType::get(context(), from.getDims(), element); }

  Operation *firstReader() {
    Operation *first = nullptr;
    for (Operation *user : update->getUsers())
      if (isa<AttentionOp>(user) && (!first || user->isBeforeInBlock(first)))
        first = user;
    return first;
  }

  /// A session has no memory of the argument's type: there the window reads an argument without rows.
  void hideStored() {
    Value argument = cache.stored.getSource();
    auto was = cast<SymTensorType>(argument.getType());
    OpBuilder at(cache.stored);
    Value plain =
        CapacityOp::create(at, cache.stored.getLoc(), with(was, axis, either(was.dim(axis), number(0))), argument);
    std::replace(inputs.begin(), inputs.end(), Value(cache.stored.getResult()), plain);
    hidden = plain;
  }

  /// Clones the window's body to the end of `block`, whose first arguments are `given`: `inputs` and perhaps others.
  /// The index of the last dimension is `column`, others follow the operands. Yields the element in f32 and by how much
  /// it is moved, null where it is not.
  std::pair<Value, Value> cloneBody(Block *block, unsigned given, Value column) {
    Block &from = update.getBody().front();
    IRMapping map;
    for (unsigned i = 0; i < inputs.size(); ++i)
      map.map(from.getArgument(i), block->getArgument(i));
    for (unsigned d = 0; d <= last; ++d)
      map.map(from.getArgument(inputs.size() + d), d == last ? column : block->getArgument(given + d));
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    for (Operation &op : from.without_terminator()) {
      Operation *copy = inner.clone(op, map);
      auto read = dyn_cast<ReadOp>(copy);
      if (!read || !hidden || !isOf(read, block))
        continue;
      SmallVector<int64_t> checks(read.getCheck().value_or(ArrayRef<int64_t>()));
      if (!read.getOtherwise()) {
        OpBuilder before(read);
        read.getOtherwiseMutable().assign(
            arith::ConstantOp::create(before, loc, before.getZeroAttr(type.scalarType())));
      }
      if (!llvm::is_contained(checks, axis))
        checks.push_back(axis);
      read.setCheckAttr(inner.getDenseI64ArrayAttr(checks));
    }
    OperandRange yielded = cast<YieldOp>(from.getTerminator()).getValues();
    Value element = map.lookup(yielded[0]);
    if (element.getType() != f32)
      element = element.getType().isF64() ? arith::TruncFOp::create(inner, loc, f32, element).getResult()
                                          : arith::ExtFOp::create(inner, loc, f32, element).getResult();
    return {element, yielded.size() == 2 ? map.lookup(yielded[1]) : Value()};
  }
  bool isOf(ReadOp read, Block *block) {
    auto arg = dyn_cast<BlockArgument>(read.getTensor());
    return arg && arg.getOwner() == block && arg.getArgNumber() < inputs.size() && inputs[arg.getArgNumber()] == hidden;
  }

  /// The scale of each row in the window.
  Value makeRows() {
    SymTensorType result = of(with(with(type, axis, update.getCount()), last, number(1)), f32);
    auto op = ReduceOp::create(b, loc, result, inputs, ReduceKind::max, b.getArrayAttr({type.getDims()[last]}));
    Block *block = addBody(op.getBody(), {}, inputs, last + 2);
    Value element = cloneBody(block, inputs.size(), block->getArguments().back()).first;
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    YieldOp::create(inner, loc, math::AbsFOp::create(inner, loc, element).getResult());
    Block *end = addBody(op.getEpilogue(), f32, inputs, last + 1);
    inner = OpBuilder::atBlockEnd(end);
    Value steps = arith::ConstantOp::create(inner, loc, inner.getFloatAttr(f32, kMostSteps));
    YieldOp::create(inner, loc, arith::DivFOp::create(inner, loc, end->getArgument(0), steps).getResult());
    cleanBodyOperands(op);
    return op.getResult();
  }

  using Make = llvm::function_ref<Value(OpBuilder &, Value element, Value scale)>;
  Value makeUpdate(Expr columns, Type element, Make make) {
    SmallVector<Value> all(inputs);
    all.push_back(rows);
    auto op = UpdateOp::create(b, loc, of(with(type, last, columns), element), all, axis, update.getFromAttr(),
                               update.getCountAttr());
    Block *block = addBody(op.getBody(), {}, all, last + 1);
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    SmallVector<Value> at(block->getArguments().drop_front(all.size()));
    auto [x, shift] = cloneBody(block, all.size(), at[last]);
    at[last] = arith::ConstantIndexOp::create(inner, loc, 0);
    Value scale = ReadOp::create(inner, loc, block->getArgument(inputs.size()), at);
    SmallVector<Value> yields{make(inner, x, scale)};
    if (shift)
      yields.push_back(shift);
    YieldOp::create(inner, loc, yields);
    return op.getResult();
  }

  /// The nearest step, of two the even one. A row of zeros has no scale, and one with what is not finite none that is
  /// a number, by which its elements are none either.
  static Value quantised(OpBuilder &b, Value x, Value scale) {
    Location loc = x.getLoc();
    Type f32 = x.getType();
    auto constant = [&](double v) -> Value { return arith::ConstantOp::create(b, loc, b.getFloatAttr(f32, v)); };
    auto stored = [&](Value v) {
      v.getDefiningOp()->setAttr(kStored, b.getUnitAttr());
      return v;
    };
    auto within = [&](arith::CmpFPredicate when, Value v, Value bound) -> Value {
      return arith::SelectOp::create(b, loc, stored(arith::CmpFOp::create(b, loc, when, v, bound)), v, bound);
    };
    Value steps = stored(math::RoundEvenOp::create(b, loc, arith::DivFOp::create(b, loc, x, scale)));
    steps = within(arith::CmpFPredicate::OGE, steps, constant(-kMostSteps));
    steps = within(arith::CmpFPredicate::OLE, steps, constant(kMostSteps));
    Value wide = stored(arith::FPToSIOp::create(b, loc, b.getI32Type(), steps));
    return arith::TruncIOp::create(b, loc, b.getI8Type(), wide);
  }

  /// What a run without a session's state returns: all of it, in the model's own type.
  void returnPlain() {
    SymTensorType full = cache.returned.getResult().getType();
    auto plain = GenericOp::create(b, loc, with(full, axis, either(full.dim(axis), number(0))), inputs);
    Block *block = addBody(plain.getBody(), {}, inputs, last + 1);
    Value element = cloneBody(block, inputs.size(), block->getArguments().back()).first;
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    if (Type narrow = full.scalarType(); narrow != f32)
      element = narrow.isF64() ? arith::ExtFOp::create(inner, loc, narrow, element).getResult()
                               : arith::TruncFOp::create(inner, loc, narrow, element).getResult();
    YieldOp::create(inner, loc, element);
    cleanBodyOperands(plain);
    cache.returned.getSourceMutable().assign(plain.getResult());
    cache.returned->moveAfter(plain);
  }

  void keep(Value kept) {
    Operation *ret = func.getBody().front().getTerminator();
    auto attributes = b.getDictionaryAttr(b.getNamedAttr(kKeptFor, b.getI64IntegerAttr(cache.result)));
    LogicalResult added = func.insertResult(func.getNumResults(), kept.getType(), attributes);
    assert(succeeded(added));
    (void)added;
    ret->insertOperands(ret->getNumOperands(), kept);
  }

  func::FuncOp func;
  Cache &cache;
  UpdateOp update;
  SymTensorType type;
  int64_t axis;
  unsigned last;
  OpBuilder b;
  Location loc;
  Type f32;
  SmallVector<Value> inputs;
  Value hidden, rows;
};

struct QuantizeCachesPass : kt::impl::QuantizeCachesBase<QuantizeCachesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (!isGraph(func))
      return;
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    llvm::MapVector<Operation *, Cache> caches; // by window
    for (unsigned i = 0, n = ret.getNumOperands(); i < n; ++i)
      if (std::optional<Cache> cache = findCache(func, ret, i))
        caches.insert({cache->update, *cache});
    // Keys and values have one form: who reads one cache reads another one, or none is changed.
    auto isAlone = [&](auto &entry) {
      return llvm::any_of(entry.first->getUsers(), [&](Operation *user) {
        auto attention = dyn_cast<AttentionOp>(user);
        return attention && (!caches.contains(attention.getKey().getDefiningOp()) ||
                             !caches.contains(attention.getValue().getDefiningOp()));
      });
    };
    for (size_t before = 0; before != caches.size();) {
      before = caches.size();
      caches.remove_if(isAlone);
    }
    caches.remove_if([](auto &entry) { return llvm::none_of(entry.first->getUsers(), llvm::IsaPred<AttentionOp>); });
    if (caches.empty()) {
      func.emitError() << "--kv-cache: the model keeps no key/value cache that grows and that attention alone reads";
      return signalPassFailure();
    }
    for (auto &[window, cache] : caches)
      Quantizer(func, cache).run();
    SmallVector<AttentionOp> readers;
    func.walk([&](AttentionOp op) {
      if (caches.contains(op.getKey().getDefiningOp()))
        readers.push_back(op);
    });
    for (AttentionOp op : readers)
      read(op, caches.find(op.getKey().getDefiningOp())->second, caches.find(op.getValue().getDefiningOp())->second);
    for (auto &[window, cache] : caches) {
      window->erase();
      if (cache.stored && cache.stored->use_empty())
        cache.stored->erase();
    }
  }

  static void read(AttentionOp op, const Cache &keys, const Cache &values) {
    AttentionMakers::Dimensions dims[2];
    for (unsigned i : {0, 1}) {
      bool found = findDimensions(op, i + 1, dims[i]);
      assert(found);
      (void)found;
    }
    op.getKeyMutable().assign(keys.values);
    op.getValueMutable().assign(values.values);
    Block *block = addBody(op.getScales(), {}, op.getExtras(), 3);
    OpBuilder b = OpBuilder::atBlockEnd(block);
    Value zero = arith::ConstantIndexOp::create(b, op.getLoc(), 0);
    SmallVector<Value> both;
    for (unsigned i : {0, 1}) {
      unsigned number = addBodyOperand(op, i ? values.scales : keys.scales);
      SmallVector<Value> at(4, zero);
      for (unsigned d = 0; d < 3; ++d)
        at[dims[i][d]] = block->getArguments().take_back(3)[d];
      both.push_back(ReadOp::create(b, op.getLoc(), block->getArgument(number), at));
    }
    YieldOp::create(b, op.getLoc(), both);
    cleanBodyOperands(op);
  }
};

} // namespace
