//===- Kernel.cpp - stage functions and their parameters ------------------===//
//
// Each stage is an internal function with pointers that do not alias and a small exported entry that unpacks HostArgs
// for it: LLVM takes no-alias facts from parameters.
//
//===----------------------------------------------------------------------===//

#include "codegen/Host/Emit.h"
#include "dialects/KT/Schedule/Pages.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen;
using namespace kt::codegen::host;

//===----------------------------------------------------------------------===//
// StageEmitter
//===----------------------------------------------------------------------===//

Value StageEmitter::expr(Expr e) {
  if (Value v = known.lookup(e.attr()))
    return v;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(anchor);
  Value v = evaluate(e);
  known[e.attr()] = v;
  return v;
}

Value StageEmitter::evaluate(Expr e) {
  auto operand = [&](unsigned i) { return expr(e.operand(i)); };
  // Code that runs for no element must not trap either.
  auto divisor = [&] {
    Value d = operand(1);
    if (auto c = e.operand(1).asConstant(); c && *c != 0)
      return d;
    return select(eq(d, idx(0)), idx(1), d);
  };
  switch (e.kind()) {
  case Expr::Kind::Const:
    return idx(e.imm());
  case Expr::Kind::Symbol: {
    int64_t number = 0;
    bool bad = e.name().drop_front().getAsInteger(10, number);
    assert(!bad && "a kernel's symbols are positional");
    (void)bad;
    return params[number];
  }
  case Expr::Kind::Add:
  case Expr::Kind::Mul: {
    bool isAdd = e.kind() == Expr::Kind::Add;
    Value v = operand(0);
    for (unsigned i = 1; i < e.numOperands(); ++i)
      v = isAdd ? add(v, operand(i)) : mul(v, operand(i));
    return e.imm() == (isAdd ? 0 : 1) ? v : isAdd ? add(v, idx(e.imm())) : mul(v, idx(e.imm()));
  }
  case Expr::Kind::FloorDiv:
  case Expr::Kind::Mod: {
    bool isDiv = e.kind() == Expr::Kind::FloorDiv;
    Value x = operand(0), y = divisor();
    if (e.operand(0).isNonNegative() && e.operand(1).isNonNegative())
      return isDiv ? div(x, y) : rem(x, y);
    Value q = op<arith::FloorDivSIOp>(x, y);
    return isDiv ? q : sub(x, mul(q, y));
  }
  case Expr::Kind::Min:
    return min(operand(0), operand(1));
  case Expr::Kind::Max:
    return max(operand(0), operand(1));
  case Expr::Kind::Eq:
    return op<arith::IndexCastUIOp>(indexType(), eq(operand(0), operand(1)));
  case Expr::Kind::Lt:
    return op<arith::IndexCastUIOp>(indexType(), lt(operand(0), operand(1)));
  case Expr::Kind::Select:
    return select(eq(operand(0), idx(0)), operand(2), operand(1));
  case Expr::Kind::Poison: // import lets none through
    break;
  }
  return {};
}

Value StageEmitter::page(const Tensor &tensor, Value batch, Value row) {
  Value entry = add(mul(div(row, idx(artifact::kPageRows)), expr(tensor.type.dim(0))), batch);
  return toIndex(load(pages, b.getI32Type(), add(entry, idx(1))));
}

Value StageEmitter::linear(const Tensor &tensor, ValueRange indices) {
  SmallVector<Value> at(indices);
  if (int64_t axis = tensor.pagedAxis; axis >= 0) {
    at[0] = page(tensor, at[0], at[axis]);
    at[axis] = rem(at[axis], idx(artifact::kPageRows));
  }
  Value sum = idx(0);
  for (auto [i, v] : llvm::enumerate(at))
    sum = add(sum, mul(v, expr(tensor.stride(i))));
  return sum;
}

Value StageEmitter::extent(const Tensor &tensor, int64_t dim) {
  return tensor.pagedAxis == dim ? toIndex(load(pages, b.getI32Type(), idx(0))) : expr(tensor.type.dim(dim));
}

SmallVector<Value> StageEmitter::inlineAll(Region &region, ValueRange leading, unsigned first, unsigned count,
                                           ValueRange indices, Operation *loop) {
  auto read = [&](OpBuilder &, unsigned operand, ReadOp op, ArrayRef<Value> at, Value otherwise) -> Value {
    const Tensor &tensor = operands[first + operand];
    if (tensor.given)
      return tensor.given;
    if (!otherwise)
      return this->read(tensor, at);
    SmallVector<int64_t> dims = llvm::to_vector(llvm::seq<int64_t>(0, at.size()));
    if (auto check = op.getCheck())
      dims = llvm::to_vector(*check);
    Value inside;
    for (int64_t d : dims) {
      // One unsigned comparison covers both ends.
      Value ok = cmp(arith::CmpIPredicate::ult, at[d], extent(tensor, d));
      inside = inside ? this->op<arith::AndIOp>(inside, ok) : ok;
    }
    if (!inside)
      return this->read(tensor, at);
    return choose(inside, [&] { return this->read(tensor, at); }, [&] { return otherwise; });
  };
  auto size = [&](OpBuilder &, Expr e) { return expr(e); };
  auto bounded = [&](OpBuilder &, BoundedOp op, Value value, Value when) -> Value {
    Value number = value.getType().isIndex() ? value : toIndex(convert(value, b.getI64Type()));
    watch(number, op.getLimit(), op.getSite(), op.getWraps(), when);
    Value limit = expr(op.getLimit());
    if (op.getWraps())
      number = select(lt(number, idx(0)), add(number, limit), number);
    return select(cmp(arith::CmpIPredicate::ult, number, limit), number, idx(0));
  };
  return inlineBody(b, region, leading, count, indices, {read, size, bounded}, loop);
}

void StageEmitter::watch(Value number, Expr limit, int64_t site, bool wraps, Value when) {
  Type i64 = b.getI64Type();
  auto none = [&](bool least) {
    return LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(least ? INT64_MAX : INT64_MIN));
  };
  auto same = [&](const Watch &w) { return w.limit == limit && w.site == site && w.wraps == wraps; };
  auto *known = llvm::find_if(watches, same);
  if (known == watches.end()) {
    Watch fresh{stack(i64, 1), stack(i64, 1), limit, site, wraps};
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(anchor);
    for (bool least : {true, false})
      LLVM::StoreOp::create(b, loc, none(least), least ? fresh.least : fresh.largest);
    watches.push_back(fresh);
    known = std::prev(watches.end());
  }
  Value seen = this->i64(number);
  for (bool least : {true, false}) {
    Value slot = least ? known->least : known->largest, old = LLVM::LoadOp::create(b, loc, i64, slot);
    Value now = when ? select(when, seen, none(least)) : seen;
    LLVM::StoreOp::create(b, loc, least ? min(old, now) : max(old, now), slot);
  }
}

void StageEmitter::reportFaults() {
  Type i64 = b.getI64Type(), i32 = b.getI32Type();
  for (const Watch &w : watches) {
    Value limit = this->i64(expr(w.limit)), zero = this->i64(idx(0));
    Value least = LLVM::LoadOp::create(b, loc, i64, w.least), largest = LLVM::LoadOp::create(b, loc, i64, w.largest);
    // Where nothing was seen both say nothing: the least is the largest number there is, the largest the least.
    Value below = lt(least, w.wraps ? sub(zero, limit) : zero);
    Value above = op<arith::AndIOp>(cmp(arith::CmpIPredicate::sge, largest, limit),
                                    cmp(arith::CmpIPredicate::sle, least, largest));
    ifThen(op<arith::OrIOp>(below, above), [&] {
      using Record = artifact::FaultRecord;
      auto field = [&](size_t offset) { return atBytes(faults, idx(offset)); };
      Value site = add(op<arith::TruncIOp>(i32, this->i64(params[w.site])), constant(i32, 1));
      Value free = constant(i32, 0);
      Value claimed = LLVM::AtomicCmpXchgOp::create(b, loc, field(offsetof(Record, site)), free, site,
                                                    LLVM::AtomicOrdering::monotonic, LLVM::AtomicOrdering::monotonic);
      ifThen(LLVM::ExtractValueOp::create(b, loc, claimed, 1), [&] {
        Value most = LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(UINT32_MAX));
        LLVM::StoreOp::create(b, loc, select(below, least, largest), field(offsetof(Record, index)), 8);
        LLVM::StoreOp::create(b, loc, op<arith::TruncIOp>(i32, min(limit, most)), field(offsetof(Record, limit)), 4);
      });
    });
  }
}

Value StageEmitter::stack(Type element, int64_t count) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(anchor);
  Value n = LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(count));
  return LLVM::AllocaOp::create(b, loc, pointerType(), memoryType(element), n, 64);
}

SmallVector<Value> StageEmitter::delinearize(Value number, ArrayRef<Value> extents) {
  SmallVector<Value> indices(extents.size());
  for (size_t i = extents.size(); i-- > 0;) {
    indices[i] = i == 0 ? number : rem(number, extents[i]);
    if (i != 0)
      number = div(number, extents[i]);
  }
  return indices;
}

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(KernelOp kernel, const Isa &isa) : CodeBuilder(kernel.getLoc(), isa), kernel(kernel) {}
KernelBuilder::~KernelBuilder() = default;

/// An index is passed as 64 bits.
static LLVM::LLVMFunctionType functionType(OpBuilder &b, ArrayRef<Type> arguments, Type result) {
  auto passed = [&](Type t) -> Type { return t.isIndex() ? b.getI64Type() : t; };
  Type returned = result ? passed(result) : LLVM::LLVMVoidType::get(b.getContext());
  return LLVM::LLVMFunctionType::get(returned, llvm::map_to_vector(arguments, passed));
}

LLVM::LLVMFuncOp KernelBuilder::shared(const SharedFunction &function, ArrayRef<Type> arguments, Type result) {
  if (auto known = module->lookupSymbol<LLVM::LLVMFuncOp>(function.name))
    return known;
  requests.push_back(function);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module->getBody());
  return LLVM::LLVMFuncOp::create(builder, loc, function.name, functionType(builder, arguments, result));
}

llvm::Expected<SmallVector<const Image *>> KernelBuilder::sharedImages(const Isa &isa, SharedCode &library) {
  SmallVector<const Image *> images;
  for (const SharedFunction &request : requests) {
    llvm::Expected<const Image *> image = library.get(request.name, isa, [&] {
      CodeBuilder code(UnknownLoc::get(context()), isa);
      request.build(code, request.name);
      return std::move(code.module);
    });
    if (!image)
      return image.takeError();
    images.push_back(*image);
  }
  return images;
}

LLVM::LLVMFuncOp CodeBuilder::function(StringRef name, ArrayRef<Type> arguments,
                                       function_ref<Value(Emitter &, ValueRange)> body, Type result,
                                       LLVM::Linkage linkage) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module->getBody());
  auto func = LLVM::LLVMFuncOp::create(builder, loc, name, functionType(builder, arguments, result), linkage);
  func.setNoInline(true);
  Block *entry = func.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  Emitter emitter(builder, loc);
  SmallVector<Value> values;
  for (auto [i, t] : llvm::enumerate(arguments)) {
    if (llvm::isa<LLVM::LLVMPointerType>(t))
      func.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
    values.push_back(t.isIndex() ? emitter.toIndex(entry->getArgument(i)) : entry->getArgument(i));
  }
  Value answer = body(emitter, values);
  LLVM::ReturnOp::create(builder, loc, answer ? ValueRange(answer) : ValueRange());
  return func;
}

void KernelBuilder::stage(StagePlan plan, function_ref<void(StageEmitter &)> body) {
  Expr first = constant(0);
  bool joins = beside && !stages.empty();
  if (joins) {
    first = stages.back().tasks;
    stages.back().tasks = first + plan.tasks;
  } else {
    stages.push_back(plan);
  }
  auto yield = cast<YieldOp>(kernel.getBody().front().getTerminator());
  unsigned numBuffers = kernel.getBody().getNumArguments() + yield.getValues().size();
  unsigned numParams = kernel.getParams().size();
  Type pointer = LLVM::LLVMPointerType::get(context()), index = builder.getIndexType();

  // Buffers, scratch, workspace, externals, faults, pages where there are any, parameters, begin, end.
  SmallVector<Type> types(numBuffers + 4 + paged, pointer);
  ArrayRef<int64_t> axes = paged ? pagesOf(kernel) : ArrayRef<int64_t>();
  types.append(numParams + 2, index);
  LLVM::LLVMFuncOp worker =
      function(("worker" + Twine(workers++)).str(), types, [&](Emitter &outer, ValueRange args) -> Value {
        StageEmitter e(outer.b, computes.front()->getLoc());
        unsigned next = numBuffers;
        e.scratch = args[next++];
        e.workspace = args[next++];
        e.externals = args[next++];
        e.faults = args[next++];
        if (paged)
          e.pages = args[next++];
        for (unsigned i = 0; i < numParams; ++i)
          e.params.push_back(args[next++]);
        e.begin = args[next++];
        e.end = args[next++];
        auto tensor = [&](Value v) -> Tensor {
          unsigned number = kernel.getBody().getNumArguments();
          if (auto given = dyn_cast<BlockArgument>(v))
            number = given.getArgNumber();
          else
            number += llvm::find(yield.getValues(), v) - yield.getValues().begin();
          return {args[number], cast<SymTensorType>(v.getType()), {}, number < axes.size() ? axes[number] : -1};
        };
        for (Operation *compute : computes) {
          for (Value v : compute->getOperands())
            e.operands.push_back(tensor(v));
          for (Value v : compute->getResults())
            e.results.push_back(tensor(v));
        }
        e.anchor = e.idx(0).getDefiningOp();
        if (beside) { // of the tasks of all, its own
          e.begin = e.max(e.sub(e.begin, e.expr(first)), e.idx(0));
          e.end = e.min(e.sub(e.end, e.expr(first)), e.expr(plan.tasks));
        }
        body(e);
        e.reportFaults();
        return {};
      });

  if (joins) {
    Operation *also = call->clone();
    cast<LLVM::CallOp>(also).setCallee(worker.getName());
    call->getBlock()->getOperations().insertAfter(call->getIterator(), also);
    call = also;
    return;
  }

  // The entry: HostArgs in, the worker's parameters out. Offsets follow artifact::HostArgs.
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module->getBody());
  Location loc = kernel.getLoc();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context()), {pointer});
  auto entry = LLVM::LLVMFuncOp::create(builder, loc, ("entry" + Twine(stages.size() - 1)).str(), type);
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  Emitter e(builder, loc);
  Type i64 = builder.getI64Type();
  auto field = [&](Value base, int64_t offset, Type t) -> Value {
    return LLVM::LoadOp::create(builder, loc, t, e.atBytes(base, e.idx(offset)), 8);
  };
  Value host = block->getArgument(0);
  using Args = artifact::HostArgs;
  Value buffers = field(host, offsetof(Args, buffers), pointer), ints = field(host, offsetof(Args, ints), pointer);
  SmallVector<Value> values;
  for (unsigned i = 0; i < numBuffers; ++i)
    values.push_back(field(buffers, 8 * i, pointer));
  values.push_back(field(host, offsetof(Args, scratch), pointer));
  values.push_back(field(host, offsetof(Args, workspace), pointer));
  values.push_back(field(host, offsetof(Args, externals), pointer));
  values.push_back(field(host, offsetof(Args, faults), pointer));
  if (paged)
    values.push_back(field(host, offsetof(Args, pages), pointer));
  for (unsigned i = 0; i < numParams; ++i)
    values.push_back(field(ints, 8 * i, i64));
  values.push_back(field(host, offsetof(Args, begin), i64));
  values.push_back(field(host, offsetof(Args, end), i64));
  call = LLVM::CallOp::create(builder, loc, worker, values);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
}
