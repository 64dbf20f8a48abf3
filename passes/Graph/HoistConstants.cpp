//===- HoistConstants.cpp - what bodies compute of constants --------------===//
//
//   y = x * (g[c] / sqrt(v[c] + eps))     with g and v constant
//   becomes
//   y = x * t[c]                          with t constant
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Interpreter.h"
#include "passes/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace kt {
#define GEN_PASS_DEF_HOISTCONSTANTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kMostBytes = 1 << 16; // of a new table: enough for what belongs to channels

/// The values of one body that depend on constants and on the body's indices only.
class Body {
public:
  Body(Operation *op, Region &region, unsigned leading)
      : op(op), block(region.front()), leading(leading), firstOperand(firstBodyOperand(op)) {}

  /// Moves one value to a table; false where there is none (left).
  bool hoist() {
    known.clear();
    for (Operation &o : block.without_terminator())
      for (Value v : o.getResults())
        if (isWorthIt(v) && toTable(v))
          return true;
    return false;
  }

private:
  using Indices = SmallVector<BlockArgument, 4>;

  unsigned numOperands() { return op->getNumOperands() - firstOperand; }
  bool isIndex(Value v) {
    auto a = dyn_cast<BlockArgument>(v);
    return a && a.getOwner() == &block && a.getArgNumber() >= leading + numOperands();
  }
  /// The constant that a read takes its element from.
  ConstantOp constantOf(ReadOp read) {
    auto tensor = dyn_cast<BlockArgument>(read.getTensor());
    if (!tensor || tensor.getOwner() != &block)
      return {};
    return throughReshapes(operandOf(tensor)).getDefiningOp<ConstantOp>();
  }
  Value operandOf(BlockArgument tensor) { return op->getOperand(firstOperand + tensor.getArgNumber() - leading); }

  /// The indices that a value depends on, or nothing when it depends on anything that is not constant.
  std::optional<Indices> indicesOf(Value v) {
    if (auto entry = known.find(v); entry != known.end())
      return entry->second;
    std::optional<Indices> found = compute(v);
    known[v] = found;
    return found;
  }
  std::optional<Indices> compute(Value v) {
    Operation *o = v.getDefiningOp();
    if (!o || o->getNumRegions() != 0)
      return std::nullopt;
    Indices all;
    auto add = [&](BlockArgument a) {
      if (!llvm::is_contained(all, a))
        all.push_back(a);
    };
    if (auto read = dyn_cast<ReadOp>(o)) {
      if (read.getOtherwise() || !constantOf(read))
        return std::nullopt;
      for (Value i : read.getIndices()) {
        if (isIndex(i))
          add(cast<BlockArgument>(i));
        else if (!i.getDefiningOp<arith::ConstantOp>())
          return std::nullopt;
      }
      return all;
    }
    if (!isa<arith::ArithDialect, math::MathDialect>(o->getDialect()))
      return std::nullopt;
    for (Value x : o->getOperands()) {
      std::optional<Indices> from = indicesOf(x);
      if (!from)
        return std::nullopt;
      for (BlockArgument a : *from)
        add(a);
    }
    return all;
  }

  /// Something computes the value, and something that is no part of a table uses it.
  bool isWorthIt(Value v) {
    Operation *o = v.getDefiningOp();
    if (isa<ReadOp, arith::ConstantOp, arith::ExtFOp, arith::TruncFOp, arith::IndexCastOp>(o) ||
        !v.getType().isIntOrFloat())
      return false;
    std::optional<Indices> indices = indicesOf(v);
    return indices && !indices->empty() && llvm::any_of(v.getUsers(), [&](Operation *user) {
             return user->getNumResults() != 1 || !indicesOf(user->getResult(0));
           });
  }

  bool toTable(Value v) {
    Indices indices = *indicesOf(v);
    // What computes it, in order, and the operands that it reads.
    llvm::SetVector<Operation *> slice;
    llvm::SetVector<Value> tensors;
    SmallVector<int64_t> extents(indices.size(), INT64_MAX);
    std::function<void(Value)> collect = [&](Value x) {
      Operation *o = x.getDefiningOp();
      if (!o || slice.contains(o))
        return;
      for (Value operand : o->getOperands())
        collect(operand);
      slice.insert(o);
      auto read = dyn_cast<ReadOp>(o);
      if (!read)
        return;
      tensors.insert(read.getTensor());
      for (auto [d, i] : llvm::enumerate(read.getIndices()))
        for (auto [n, a] : llvm::enumerate(indices))
          if (i == a)
            extents[n] = std::min(extents[n], read.getTensor().getType().dim(d).asConstant().value_or(INT64_MAX));
    };
    collect(v);
    int64_t bytes = kt::elementBytes(v.getType());
    for (int64_t n : extents)
      if (n <= 0 || n > kMostBytes || (bytes *= n) > kMostBytes)
        return false;

    OpBuilder b(op);
    MLIRContext *context = op->getContext();
    SmallVector<ExprAttr> dims;
    for (int64_t n : extents)
      dims.push_back(Expr::constant(context, n).attr());
    auto type = SymTensorType::get(context, dims, v.getType());
    SmallVector<Value> inputs;
    SmallVector<ArrayRef<char>> data;
    for (Value t : tensors) {
      inputs.push_back(operandOf(cast<BlockArgument>(t)));
      data.push_back(throughReshapes(inputs.back()).getDefiningOp<ConstantOp>().bytes());
    }
    // The interpreter computes it, so it means the same as everywhere else.
    auto generic = GenericOp::create(b, op->getLoc(), type, inputs);
    Block *body = addBody(generic.getBody(), {}, inputs, indices.size());
    IRMapping map;
    for (auto [i, t] : llvm::enumerate(tensors))
      map.map(t, body->getArgument(i));
    for (auto [i, a] : llvm::enumerate(indices))
      map.map(a, body->getArgument(inputs.size() + i));
    b.setInsertionPointToStart(body);
    for (Operation *o : slice)
      b.clone(*o, map);
    YieldOp::create(b, op->getLoc(), map.lookup(v));
    auto result = interpret(generic, data);
    generic.erase();
    if (!result)
      return false;

    b.setInsertionPoint(op);
    Value table = makeConstant(b, op->getLoc(), type, std::move(*result), "").getResult();
    unsigned number = addBodyOperand(op, table);
    b.setInsertionPoint(v.getDefiningOp());
    SmallVector<Value> at(indices.begin(), indices.end());
    v.replaceAllUsesWith(ReadOp::create(b, v.getLoc(), block.getArgument(leading + number), at));
    return true;
  }

  Operation *op;
  Block &block;
  unsigned leading, firstOperand;
  DenseMap<Value, std::optional<Indices>> known;
};

struct HoistConstantsPass : kt::impl::HoistConstantsBase<HoistConstantsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      bool constant =
          llvm::all_of(op->getOperands(), [](Value v) { return throughReshapes(v).getDefiningOp<ConstantOp>(); });
      if (!constant && !bodiesOf(op).empty())
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      bool changed = false;
      for (BodyRef ref : bodiesOf(op)) {
        Body body(op, *ref.region, ref.leading);
        while (body.hoist())
          changed = true;
        // Later operations use earlier ones.
        SmallVector<Operation *> all;
        for (Operation &o : ref.region->front().without_terminator())
          all.push_back(&o);
        for (Operation *o : llvm::reverse(all))
          if (o->use_empty())
            o->erase();
      }
      if (changed)
        cleanBodyOperands(op);
    }
  }
};

} // namespace
