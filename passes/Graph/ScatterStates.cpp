//===- ScatterStates.cpp - caches that are written where data says --------===//
//
//   func(%cache : [slots, 64])               %writer = for each slot the last row that goes there, or -1
//   %next = scatter assign %cache, %i, %u    %place = for each row its slot, or none where a later row has the same one
//   return %next                        ->   %next = update { kept ? u[j] to place[j] : writer[j] >= 0 ? u[writer[j]]
//                                                                                                       : cache[j] }
//
// Pages of caches and caches of fixed size are written at slots that a caller chooses. Where a session keeps the cache,
// only the rows that go into it are computed; where not, the result is made slot by slot. Either table is empty where
// it is not needed. A cache may be seen through views, and through transpositions that bring its slots to the front.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SCATTERSTATES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// Up to so many rows are compared with one another; of more the table of slots says which one is the last.
constexpr int64_t kMostPairs = 1024;

/// A body under construction.
struct Scalars {
  OpBuilder &b;
  Location loc;

  Value index(int64_t v) { return arith::ConstantIndexOp::create(b, loc, v); }
  Value i64(int64_t v) { return arith::ConstantIntOp::create(b, loc, v, 64); }
  Value size(Expr e) { return SizeOp::create(b, loc, e); }
  Value isSet(Expr e) { return cmp(arith::CmpIPredicate::ne, size(e), index(0)); }
  Value cmp(arith::CmpIPredicate p, Value x, Value y) { return arith::CmpIOp::create(b, loc, p, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, loc, c, x, y); }
  Value toIndex(Value v) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), v); }
  Value toI64(Value v) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), v); }
  Value read(Value tensor, ValueRange at) { return ReadOp::create(b, loc, tensor, at); }
  /// The element, or `otherwise` where the index of dimension `check` is outside.
  Value readOr(Value tensor, ValueRange at, Value otherwise, int64_t check) {
    auto read = ReadOp::create(b, loc, tensor, at, otherwise);
    read.setCheckAttr(b.getDenseI64ArrayAttr(check));
    return read;
  }
};

/// A value seen through views and one transposition.
struct Seen {
  Value source; // behind the views
  GenericOp turn;
  SmallVector<int64_t> perm; // of `turn`

  explicit Seen(Value v) : source(throughReshapes(v)) {
    auto generic = source.getDefiningOp<GenericOp>();
    auto found = generic ? asPermutation(generic) : std::nullopt;
    if (!found)
      return;
    turn = generic, perm = *found;
    source = throughReshapes(generic.getInputs()[0]);
  }
};

class ScatterState {
public:
  ScatterState(func::FuncOp func, func::ReturnOp ret, unsigned result)
      : func(func), ret(ret), result(result), b(func.getContext()) {}

  bool run() {
    if (!match())
      return false;
    rewrite();
    return true;
  }

private:
  Expr number(int64_t v) { return Expr::constant(b.getContext(), v); }
  /// `plain` where a session keeps nothing, else `kept`.
  Expr either(Expr plain, Expr kept) {
    return Expr::select(Expr::eq(number(0), Expr::symbol(b.getContext(), kCapacity)), plain, kept);
  }
  SymTensorType numbers(Expr count) { return SymTensorType::get(b.getContext(), {count.attr()}, b.getI64Type()); }

  /// Whether nothing but what this follows reads `v`, an argument or a view of it, on the way to the scatter.
  bool readByScatterAlone(Value v) {
    while (v.hasOneUse()) {
      Operation *user = *v.getUsers().begin();
      if (user == op)
        return op.getBase() == v;
      if (!isa<ReshapeOp, GenericOp>(user))
        return false;
      v = user->getResult(0);
    }
    return false;
  }

  bool match() {
    Seen out(ret.getOperand(result));
    op = out.source.getDefiningOp<ScatterOp>();
    if (!op || op.getKind() != ScatterKind::assign || op->getBlock() != &func.getBody().front())
      return false;
    Seen in(op.getBase());
    argument = dyn_cast<BlockArgument>(in.source);
    depth = *op.getIndices().getType().dim(1).asConstant();
    SymTensorType base = op.getBase().getType();
    // A number that is not a row is written along the last dimension, where threads share what they find out.
    if (!argument || argument.getOwner() != &func.getBody().front() ||
        func.getArgAttr(argument.getArgNumber(), kTied) || argument.getType() != ret.getOperand(result).getType() ||
        depth < 1 || depth == base.getRank() || !readByScatterAlone(argument) || !in.turn != !out.turn)
      return false;
    for (int64_t d = 0; d < depth; ++d)
      slots = d ? slots * base.dim(d) : Expr(base.dim(d));
    if (!in.turn) {
      SmallVector<ExprAttr> dims{slots.attr()};
      dims.append(base.getDims().begin() + depth, base.getDims().end());
      stored = SymTensorType::get(b.getContext(), dims, base.getElementType());
      perm = llvm::to_vector(llvm::seq<int64_t>(0, stored.getRank()));
      return true;
    }
    // What comes out lies as what goes in.
    stored = cast<SymTensorType>(in.turn.getInputs()[0].getType());
    for (auto [i, p] : llvm::enumerate(out.perm))
      if (in.perm[p] != (int64_t)i)
        return false;
    perm = in.perm, turnedBack = out.turn;
    return depth == 1 && stored == argument.getType() && in.turn.getResult() == op.getBase() &&
           out.turn.getInputs()[0] == op.getResult() && out.turn.getResult().getType() == stored &&
           perm[0] != stored.getRank() - 1;
  }

  /// A tensor of numbers, one for each of `count` indices. `fill` gets the body's operands and indices.
  Value generic(SymTensorType type, ValueRange inputs, function_ref<Value(Scalars, ValueRange)> fill) {
    auto made = GenericOp::create(b, op.getLoc(), type, inputs);
    Block *block = addBody(made.getBody(), {}, inputs, type.getRank());
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    Value v = fill({inner, op.getLoc()}, block->getArguments());
    YieldOp::create(inner, op.getLoc(), v);
    return made.getResult();
  }

  /// The slot of each of the first `count` rows; `slots` where it has none.
  Value slotsOf(Expr count) {
    return generic(numbers(count), op.getIndices(), [&](Scalars s, ValueRange args) {
      Value slot, inside;
      for (int64_t d = 0; d < depth; ++d) {
        // In 64 bits: an index of a body may have fewer.
        Expr limit = op.getBase().getType().dim(d);
        Value given = s.read(args[0], {args[1], s.index(d)}), size = s.size(limit), wide = s.toI64(size);
        Value negative = s.cmp(arith::CmpIPredicate::slt, given, s.i64(0));
        Value at = s.select(negative, arith::AddIOp::create(s.b, s.loc, given, wide), given);
        Value in = s.cmp(arith::CmpIPredicate::ult, at, wide);
        at = s.toIndex(at);
        if (auto site = op.getSite())
          at = BoundedOp::create(s.b, s.loc, s.b.getIndexType(), given, limit.attr(), *site, Value(), /*wraps=*/true);
        inside = d ? arith::AndIOp::create(s.b, s.loc, inside, in).getResult() : in;
        slot =
            d ? arith::AddIOp::create(s.b, s.loc, arith::MulIOp::create(s.b, s.loc, slot, size), at).getResult() : at;
      }
      return s.toI64(s.select(inside, slot, s.size(slots)));
    });
  }

  /// For each slot the last of `rows` that goes there, or -1; of no slots where it is not needed.
  Value writers(Expr slotCount, Expr rowCount) {
    Value none = generic(numbers(slotCount), {}, [](Scalars s, ValueRange) { return s.i64(-1); });
    Value rows = generic(numbers(rowCount), {}, [](Scalars s, ValueRange args) { return s.toI64(args[0]); });
    SymTensorType column = SymTensorType::get(b.getContext(), {rowCount.attr(), number(1).attr()}, b.getI64Type());
    Value at = ReshapeOp::create(b, op.getLoc(), column, slotsOf(rowCount));
    return ScatterOp::create(b, op.getLoc(), none.getType(), none, at, rows,
                             ScatterKindAttr::get(b.getContext(), ScatterKind::assign), IntegerAttr())
        .getResult();
  }

  /// Where a session keeps the cache, the slot of each row, or `slots` where it has none or a later row has it.
  Value places(Expr rows, Expr pairs, Value writer) {
    Expr count = either(number(0), rows);
    Value all = slotsOf(count);
    if (rows.isConstant(1))
      return all;
    SmallVector<Value> inputs{all, writer};
    auto later = ReduceOp::create(b, op.getLoc(), numbers(count), inputs, ReduceKind::max,
                                  b.getArrayAttr({Expr::select(pairs, rows, number(0)).attr()}));
    Block *body = addBody(later.getBody(), {}, inputs, 2);
    {
      OpBuilder inner = OpBuilder::atBlockEnd(body);
      Scalars s{inner, op.getLoc()};
      Value own = s.read(body->getArgument(0), body->getArgument(2));
      Value other = s.read(body->getArgument(0), body->getArgument(3));
      Value same = s.cmp(arith::CmpIPredicate::eq, own, other);
      YieldOp::create(inner, op.getLoc(), s.select(same, s.toI64(body->getArgument(3)), s.i64(-1)));
    }
    Block *end = addBody(later.getEpilogue(), b.getI64Type(), inputs, 1);
    OpBuilder inner = OpBuilder::atBlockEnd(end);
    Scalars s{inner, op.getLoc()};
    Value row = end->getArgument(3), slot = s.read(end->getArgument(1), row);
    Value listed = s.readOr(end->getArgument(2), s.toIndex(slot), s.i64(-1), 0);
    Value last = s.select(s.isSet(pairs), end->getArgument(0), listed);
    Value isLast = s.cmp(arith::CmpIPredicate::eq, last, s.toI64(row));
    YieldOp::create(inner, op.getLoc(), s.select(isLast, slot, s.toI64(s.size(slots))));
    return later.getResult();
  }

  void rewrite() {
    b.setInsertionPoint(op);
    Location loc = op.getLoc();
    Expr rows = op.getIndices().getType().dim(0), one = number(1);
    Expr pairs = either(number(0), Expr::lt(rows, number(kMostPairs + 1)));
    if (rows.isConstant(1))
      pairs = either(number(0), one);
    Value writer = writers(Expr::select(pairs, number(0), slots), Expr::select(pairs, number(0), rows));
    Value place = places(rows, pairs, writer);
    Value cache = argument;
    if (cache.getType() != stored)
      cache = ReshapeOp::create(b, loc, stored, cache);
    int64_t axis = perm[0], rank = stored.getRank();
    SmallVector<Value> inputs{cache, op.getUpdates(), writer, place};
    auto update = UpdateOp::create(b, loc, stored, inputs, axis, number(0).attr(), either(slots, rows).attr());
    Block *block = addBody(update.getBody(), {}, inputs, rank);
    OpBuilder inner = OpBuilder::atBlockEnd(block);
    Scalars s{inner, loc};
    SmallVector<Value> at(block->getArguments().drop_front(inputs.size())), from;
    Value index = at[axis], kept = s.isSet(either(number(0), one)), none = s.index(-1);
    Value plain = s.select(kept, none, index);
    Value row = s.toIndex(s.readOr(block->getArgument(2), plain, s.i64(-1), 0));
    for (int64_t d : perm)
      from.push_back(at[d]);
    from[0] = s.select(kept, index, row);
    at[axis] = plain;
    Value zero = arith::ConstantOp::create(inner, loc, inner.getZeroAttr(stored.scalarType()));
    Value old = s.readOr(block->getArgument(0), at, zero, axis);
    Value element = s.readOr(block->getArgument(1), from, old, 0);
    Value slot = s.toIndex(s.readOr(block->getArgument(3), s.select(kept, index, none), s.i64(0), 0));
    Value moved = s.select(kept, arith::SubIOp::create(inner, loc, slot, index), s.index(0));
    YieldOp::create(inner, loc, ValueRange{element, moved});
    replaceBy(update.getResult());
    func.setArgAttr(argument.getArgNumber(), kTied, b.getI64IntegerAttr(result));
    func.setResultAttr(result, kTied, b.getI64IntegerAttr(argument.getArgNumber()));
    func.setResultAttr(result, kTiedAxis, b.getI64IntegerAttr(axisOfArgument()));
  }

  void replaceBy(Value update) {
    SymTensorType type = op.getResult().getType();
    if (!turnedBack) {
      Value view = update;
      if (type != stored)
        view = ReshapeOp::create(b, op.getLoc(), type, update);
      op.getResult().replaceAllUsesWith(view);
    } else {
      turnedBack.getResult().replaceAllUsesWith(update);
      turnedBack.erase();
      if (!op.getResult().use_empty())
        op.getResult().replaceAllUsesWith(generic(type, update, [&](Scalars s, ValueRange args) {
          SmallVector<Value> at(perm.size());
          for (auto [i, p] : llvm::enumerate(perm))
            at[p] = args[1 + i];
          return s.read(args[0], at);
        }));
    }
    op.erase();
  }

  /// The dimension of the argument that has its slots, or, of several that do, the last one of unknown size.
  int64_t axisOfArgument() {
    if (turnedBack)
      return perm[0];
    auto type = cast<SymTensorType>(argument.getType());
    int64_t axis = 0;
    Expr all = number(1);
    for (int64_t d = 0; d < type.getRank() && all != slots; ++d) {
      all = all * type.dim(d);
      axis = type.dim(d).kind() == Expr::Kind::Symbol ? d : axis;
    }
    return axis;
  }

  func::FuncOp func;
  func::ReturnOp ret;
  unsigned result;
  OpBuilder b;
  ScatterOp op;
  BlockArgument argument;
  int64_t depth = 0; // of the indices
  Expr slots;        // that a row may go to
  SymTensorType stored;
  SmallVector<int64_t> perm; // dimension i of what is scattered is dimension perm[i] of what is stored
  GenericOp turnedBack;      // gives the result the argument's order
};

struct ScatterStatesPass : kt::impl::ScatterStatesBase<ScatterStatesPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    auto ret = cast<func::ReturnOp>(getOperation().getBody().front().getTerminator());
    bool any = false;
    for (unsigned i = 0; i < ret.getNumOperands(); ++i)
      any |= ScatterState(getOperation(), ret, i).run();
    if (any)
      eraseDead(getOperation()); // what turned the caches
  }
};

} // namespace
