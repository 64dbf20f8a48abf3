//===- RowNorm.cpp - one row of a norm ------------------------------------===//

#include "codegen/Gpu/Rows/RowNorm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

/// Vectors of a row that no registers hold which a thread reads at a time: it waits for memory once for all of them.
static constexpr unsigned kAhead = 4;

static std::optional<BodyEmitter> emitterOf(KernelBuilder &k, GenericOp op) {
  if (!op)
    return std::nullopt;
  Values operands;
  for (Value v : op.getInputs())
    operands.push_back(k.bufferOf(v));
  return BodyEmitter(k, op.getBody(), 0, operands);
}

SmallVector<std::pair<BodyLanes *, unsigned>> RowNorm::bodies(unsigned first) {
  SmallVector<std::pair<BodyLanes *, unsigned>> all = {{&body, first}, {&epilogue, first}};
  if (maker)
    all.push_back({&*maker, first});
  return all;
}

RowNorm::RowNorm(KernelBuilder &k, NormalizeOp op, Plan plan, Alignment given, const Values &operands, unsigned result)
    : k(k), op(op), plan(plan), result(result), body(k, op.getBody(), 0, operands),
      epilogue(k, op.getEpilogue(), 1, operands), makerOp(makerOfRows(op)), maker(emitterOf(k, makerOp)),
      rank(op.getResult().getType().getRank()), axes(op.getAxes()), rows(extents(0, rank - axes), bodies(0)),
      columns(extents(rank - axes, rank), bodies(rank - axes)),
      type(op.getBody().front().getTerminator()->getOperand(0).getType()), sum(k, ReduceKind::add, type, false),
      largest(k, ReduceKind::max, type, false), alignment(std::move(given)), lanes(alignment.lanes),
      length(columns.count()), itemCount(Expr::constant(op.getContext(), 1)), sharedUsed(plan.shared) {
  for (auto [i, e] : llvm::enumerate(columns.groups))
    itemCount =
        itemCount * (i + 1 == columns.groups.size() ? Expr::ceilDiv(e, Expr::constant(op.getContext(), lanes)) : e);
  slots = plan.perThread / lanes;
  if (std::optional<int64_t> n = itemCount.asConstant(); n && slots)
    slots = std::max<int64_t>(1, (*n + plan.threads - 1) / plan.threads);
}

Values RowNorm::indices(const Row &row, Value item) {
  SmallVector<Expr> groups = columns.groups;
  groups.back() = Expr::ceilDiv(groups.back(), Expr::constant(op.getContext(), lanes));
  Values at = delinearize(k, item, groups);
  at.back() = k.mul(at.back(), lanes);
  Values all = rows.expand(k, row.at);
  all.append(columns.expand(k, at));
  return all;
}

Values RowNorm::read(const Row &row, Value item) {
  Values at = indices(row, item);
  body.given.clear();
  if (maker && !row.made) {
    Values elements = maker->emit({}, at, (int)rank - 1, lanes, alignment);
    k.storeResult(k.resultNumber(makerOp.getResult()), position(row, item), elements);
    for (auto [i, v] : llvm::enumerate(op.getInputs()))
      if (v == makerOp.getResult())
        body.given[i] = elements;
  }
  return body.emit({}, at, (int)rank - 1, lanes, alignment);
}

SmallVector<Values> RowNorm::readSome(const Row &row, Value first, unsigned count, SmallVector<Values> *beside) {
  SmallVector<Type> types(lanes, type);
  if (beside)
    types.append(epilogue.typesAhead(lanes));
  SmallVector<Values> all;
  for (unsigned s = 0; s < count; ++s) {
    Value item = k.add(first, s * plan.threads);
    auto some = [&] {
      Values both = read(row, item);
      if (beside)
        both.append(epilogue.readAhead(indices(row, item), (int)rank - 1, lanes, alignment));
      return both;
    };
    Values both = k.ifElse(k.lt(item, items), types, some,
                           [&] { return llvm::map_to_vector(types, [&](Type t) { return k.zero(t); }); });
    all.emplace_back(ValueRange(both).take_front(lanes));
    if (beside)
      beside->emplace_back(ValueRange(both).drop_front(lanes));
  }
  return all;
}

Value RowNorm::reduce(Row &row, Combiner &combiner, function_ref<Value(Value)> fn) {
  auto add = [&](ArrayRef<Values> vectors, Value first, Value now) {
    for (auto [slot, xs] : llvm::enumerate(vectors)) {
      Value in = k.lt(k.add(first, slot * plan.threads), items);
      Values next = {now};
      for (Value x : xs)
        next = combiner.combine(next, fn(x));
      now = k.sel(in, next[0], now);
    }
    return now;
  };
  Values state = combiner.neutral();
  if (plan.perThread) {
    state = {add(row.values, lane, state[0])};
  } else {
    state = k.forLoop(lane, items, k.c(plan.threads * kAhead), state, [&](Value item, ValueRange now) -> Values {
      return {add(readSome(row, item, kAhead), item, now[0])};
    });
    row.made = true; // and each thread reads again what it has stored itself
  }
  if (plan.threads == 32)
    return combiner.acrossLanes(state)[0];
  int64_t offset = sharedUsed;
  sharedUsed += 32 * combiner.bytes();
  return acrossBlock(k, combiner, state, plan.threads, offset)[0];
}

void RowNorm::load(Row &row) {
  row.at = delinearize(k, row.number, rows.groups);
  row.values = readSome(row, lane, slots, readsAhead() ? &row.beside : nullptr);
}

void RowNorm::compute(Row &row) {
  auto identity = [](Value x) { return x; };
  Value count = k.convert(k.size(length), type), &shift = row.shift, &factor = row.factor;
  bool isSoftmax = op.getKind() == NormKind::softmax || op.getKind() == NormKind::log_softmax;
  if (isSoftmax) {
    shift = reduce(row, largest, identity);
    // The exponentials are kept where the row is: they are the numerators too.
    if (op.getKind() == NormKind::softmax)
      for (Values &xs : row.values)
        for (Value &x : xs)
          x = exp(k.subf(x, shift));
    bool kept = op.getKind() == NormKind::softmax && plan.perThread;
    Value total = reduce(row, sum, [&](Value x) { return kept ? x : exp(k.subf(x, shift)); });
    if (op.getKind() == NormKind::softmax)
      factor = k.divf(number(1), total);
    else
      shift = k.addf(shift, log(total));
  } else {
    if (op.getKind() == NormKind::layer)
      shift = k.divf(reduce(row, sum, identity), count);
    Value squares = reduce(row, sum, [&](Value x) {
      Value d = shift ? k.subf(x, shift) : x;
      return k.mulf(d, d);
    });
    Value variance = k.addf(k.divf(squares, count), number(op.getEpsilon().convertToDouble()));
    factor = k.divf(number(1), math::SqrtOp::create(k.b, k.loc, variance));
  }
}

void RowNorm::store(const Row &row, Value item, ValueRange xs, bool areExponentials, ValueRange beside) {
  SmallVector<Values> leading;
  for (Value x : xs) {
    Value y = row.shift && !areExponentials ? k.subf(x, row.shift) : x;
    if (op.getKind() == NormKind::softmax && !areExponentials)
      y = exp(y);
    leading.push_back({row.factor ? k.mulf(y, row.factor) : y});
  }
  epilogue.giveAhead(beside, lanes);
  Values results = epilogue.emit(leading, indices(row, item), (int)rank - 1, lanes, alignment);
  if (to)
    return to(row.number, k.mul(item, lanes), results);
  k.storeResult(result, position(row, item), results);
}

void RowNorm::store(const Row &row) {
  auto some = [&](ArrayRef<Values> vectors, Value first, bool areExponentials) {
    for (auto [slot, xs] : llvm::enumerate(vectors)) {
      Value item = k.add(first, slot * plan.threads);
      k.ifThen(k.lt(item, items), [&] {
        store(row, item, xs, areExponentials, slot < row.beside.size() ? ValueRange(row.beside[slot]) : ValueRange());
      });
    }
  };
  if (plan.perThread)
    return some(row.values, lane, op.getKind() == NormKind::softmax);
  k.forLoop(lane, items, k.c(plan.threads * kAhead), {}, [&](Value item, ValueRange) -> Values {
    some(readSome(row, item, kAhead), item, false);
    return {};
  });
}

void RowNorm::emit(ArrayRef<Value> numbers, Value threadOfRow, Value end) {
  lane = threadOfRow, items = k.size(itemCount);
  SmallVector<Row, 4> all(numbers.size());
  // A row that is not there is the first one once more, so that all loads come before the first wait for one.
  for (auto [i, number] : llvm::enumerate(numbers))
    all[i].number = i ? k.sel(k.lt(number, end), number, numbers[0]) : number;
  for (Row &row : all)
    load(row);
  for (Row &row : all)
    compute(row);
  for (auto [i, row] : llvm::enumerate(all))
    if (i)
      k.ifThen(k.lt(numbers[i], end), [&] { store(row); });
    else
      store(row);
}

BlockNorm::BlockNorm(KernelBuilder &k, NormalizeOp op, unsigned threads, std::optional<int64_t> most, int64_t shared,
                     Value first, Value end, Alignment given)
    : k(k), op(op), plan(followedRows(op, threads, most)), shared(shared), first(first), end(end),
      alignment(std::move(given)) {
  alignRows(op, alignment);
}

void BlockNorm::emit(Value share, RowNorm::Store to) {
  Values operands, numbers;
  for (Value v : op->getOperands())
    operands.push_back(k.bufferOf(v));
  RowNorm norm(k, op, {plan.threads, plan.held, shared}, alignment, operands, k.resultNumber(op.getResult()));
  norm.to = std::move(to);
  Value row = k.add(first, k.add(k.mul(share, plan.atOnce), k.mul(k.div(k.tid(), plan.threads), plan.each)));
  for (unsigned r = 0; r < plan.each; ++r)
    numbers.push_back(k.add(row, r));
  auto some = [&] { norm.emit(numbers, k.rem(k.tid(), plan.threads), end); };
  // All threads of a row come to its barriers: a block's share has a row.
  if (plan.atOnce == plan.each)
    some();
  else
    k.ifThen(k.lt(row, end), some);
}

void BlockNorm::emitAll(RowNorm::Store to) {
  k.forLoop(k.c(0), shares(), k.c(1), {}, [&](Value share, ValueRange) -> Values {
    emit(share, to);
    k.barrier();
    return {};
  });
}
