//===- Expressions.cpp - integer expressions at run time ------------------===//
//
// 64-bit arithmetic with the failures kept beside the values.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Expressions.h"
#include "runtime/artifact/Print.h"
#include "runtime/artifact/Verifier.h"

#include <algorithm>
#include <functional>

namespace kt::exec {

static Value known(int64_t value) { return {value, Value::State::ok}; }
Status valueError(Value value, const std::string &text) {
  switch (value.state) {
  case Value::State::overflow:
    return Status::failed("'" + text + "' does not fit in 64 bits");
  case Value::State::divisionByZero:
    return Status::failed("'" + text + "' divides by zero");
  default:
    return Status::failed("'" + text + "' depends on a symbol that is not set");
  }
}

ExprGraph::ExprGraph(const artifact::Model &model)
    : model(model), early(model.exprs.size()), firstEdge(model.exprs.size() + model.symbols.size() + 1) {
  auto forEachEdge = [&](auto fn) {
    for (ExprId id = 0; id < model.exprs.size(); ++id) {
      const Expr &e = model.exprs[id];
      if (e.op == Expr::Op::Symbol)
        fn(model.exprs.size() + e.imm, id);
      const ExprId operands[] = {e.a, e.b, e.c};
      for (unsigned k = 0; k < artifact::arity(e.op); ++k)
        fn(operands[k], id);
    }
  };
  forEachEdge([&](size_t from, ExprId) { ++firstEdge[from + 1]; });
  for (size_t row = 1; row < firstEdge.size(); ++row)
    firstEdge[row] += firstEdge[row - 1];
  edges.resize(firstEdge.back());
  std::vector<uint32_t> next(firstEdge.begin(), firstEdge.end() - 1);
  forEachEdge([&](size_t from, ExprId id) { edges[next[from]++] = id; });
  for (ExprId id = 0; id < model.exprs.size(); ++id) {
    const Expr &e = model.exprs[id];
    early[id] = e.op != Expr::Op::Symbol || model.symbols[e.imm].isGiven();
    const ExprId operands[] = {e.a, e.b, e.c};
    for (unsigned k = 0; k < artifact::arity(e.op); ++k)
      early[id] = early[id] && early[operands[k]];
  }
}

ExprValues::ExprValues(const ExprGraph &graph)
    : graph(graph), symbols(graph.model.symbols.size()), values(graph.model.exprs.size()) {
  for (ExprId id = 0; id < values.size(); ++id)
    evaluate(id);
  for (SymbolId symbol = 0; symbol < symbols.size(); ++symbol)
    if (!graph.model.symbols[symbol].isGiven())
      late.push_back(symbol);
  for (ExprId id = 0; id < values.size(); ++id)
    if (!graph.early[id])
      lateDependents.push_back(id);
}

void ExprValues::evaluate(ExprId id) {
  const Expr &e = graph.model.exprs[id];
  if (e.op == Expr::Op::Const) {
    values[id] = known(e.imm);
  } else if (e.op == Expr::Op::Symbol) {
    values[id] = symbols[e.imm];
  } else {
    auto operand = [&](ExprId operand) { return operand == artifact::kNone ? Value() : values[operand]; };
    values[id] = apply(e.op, operand(e.a), operand(e.b), operand(e.c));
  }
}

void ExprValues::set(SymbolId symbol, int64_t value) {
  if (symbols[symbol].ok() && symbols[symbol].value == value)
    return;
  symbols[symbol] = known(value);
  // In the order of numbers, operands come before what has them; what does not change is not followed further.
  auto add = [&](std::span<const ExprId> ids) {
    for (ExprId id : ids) {
      waiting.push_back(id);
      std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
    }
  };
  add(graph.uses(symbol));
  for (ExprId last = artifact::kNone; !waiting.empty();) {
    std::pop_heap(waiting.begin(), waiting.end(), std::greater<>());
    ExprId id = waiting.back();
    waiting.pop_back();
    if (id == last)
      continue;
    last = id;
    Value before = values[id];
    evaluate(id);
    if (values[id].value != before.value || values[id].state != before.state)
      add(graph.users(id));
  }
}

void ExprValues::setAll(const std::vector<SymbolId> &which, const std::vector<int64_t> &to) {
  for (size_t i = 0; i < which.size(); ++i)
    symbols[which[i]] = known(to[i]);
  for (ExprId id = 0; id < values.size(); ++id)
    evaluate(id);
}

void ExprValues::forgetLate() {
  for (SymbolId symbol : late)
    symbols[symbol] = {};
  for (ExprId id : lateDependents)
    evaluate(id);
}

Result<int64_t> ExprValues::get(ExprId id) const {
  if (values[id].ok())
    return values[id].value;
  return valueError(values[id], artifact::printExpr(graph.model, id));
}

Result<uint64_t> ExprValues::getSize(ExprId id, const char *what) const {
  auto value = get(id);
  if (!value.ok())
    return std::move(value).status().in(what);
  if (*value < 0)
    return Status::failed(std::string(what) + " '" + artifact::printExpr(graph.model, id) + "' is " +
                          std::to_string(*value) + ", expected 0 or more");
  return static_cast<uint64_t>(*value);
}

void evaluateKernel(const artifact::Kernel &kernel, const std::vector<int64_t> &ints, const device::Facts &facts,
                    std::vector<Value> &values) {
  artifact::evaluate(
      kernel.exprs, [&](int64_t i) { return Value{ints[i], Value::State::ok}; },
      [&](artifact::Fact fact) { return facts.get(fact); }, values);
}

void evaluateKernel(const artifact::Kernel &kernel, const std::vector<Value> &ints, const device::Facts &facts,
                    std::vector<Value> &values) {
  artifact::evaluate(
      kernel.exprs, [&](int64_t i) { return ints[i]; }, [&](artifact::Fact fact) { return facts.get(fact); }, values);
}

} // namespace kt::exec
