//===- Evaluate.h - values of expressions, and what they choose -----------===//
//
// 64-bit arithmetic with the failures kept beside the values: a failing operation poisons its value, which concerns
// only who asks for one that it reaches. Which of a kernel's variants runs is decided here for the runtime and for
// people.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_EVALUATE_H
#define KT_RUNTIME_ARTIFACT_EVALUATE_H

#include "runtime/artifact/Model.h"

#include <optional>

namespace kt::artifact {

/// A value, or why there is none.
struct Value {
  enum class State : uint8_t { ok, unset, overflow, divisionByZero };
  int64_t value = 0;
  State state = State::unset;
  bool ok() const { return state == State::ok; }
};

/// One operation on evaluated operands.
Value apply(Expr::Op op, Value a, Value b, Value c);

/// The values of a whole pool; `symbol` and `fact` answer those of its leaves.
template <typename SymbolValue, typename FactValue>
void evaluate(const std::vector<Expr> &pool, SymbolValue symbol, FactValue fact, std::vector<Value> &values) {
  values.resize(pool.size());
  for (size_t id = 0; id < values.size(); ++id) {
    const Expr &e = pool[id];
    auto operand = [&](ExprId o) { return o == kNone ? Value() : values[o]; };
    values[id] = e.op == Expr::Op::Const    ? Value{e.imm, Value::State::ok}
                 : e.op == Expr::Op::Symbol ? symbol(e.imm)
                 : e.op == Expr::Op::Fact   ? Value{fact(static_cast<Fact>(e.imm)), Value::State::ok}
                                            : apply(e.op, operand(e.a), operand(e.b), operand(e.c));
  }
}

/// Which of several variants runs, by their numbers.
struct Choice {
  std::optional<size_t> best;     // the cheapest that fits, the first of equals
  std::optional<size_t> badGuard; // the first whose guard has no value
  bool certain = false;           // whatever is not set yet
};

/// `variants` for one device, the best target's first; `values` are those of the kernel's expressions there.
template <typename Range, typename VariantOf>
Choice choose(const Range &variants, VariantOf variantOf, const std::vector<Value> &values) {
  constexpr Value::State ok = Value::State::ok;
  auto guardOf = [&](const Variant &v) { return v.guard == kNone ? Value{1, ok} : values[v.guard]; };
  auto costOf = [&](const Variant &v) {
    Value cost = v.cost == kNone ? Value{0, ok} : values[v.cost];
    // A cost that overflows is a large one.
    return cost.ok() || cost.state == Value::State::unset ? cost : Value{INT64_MAX, ok};
  };
  Choice choice;
  Value least;
  size_t number = 0, fitting = 0;
  for (const auto &entry : variants) {
    size_t here = number++;
    Value guard = guardOf(variantOf(entry)), cost = costOf(variantOf(entry));
    if (!guard.ok()) {
      if (!choice.badGuard)
        choice.badGuard = here;
      continue;
    }
    if (!guard.value)
      continue;
    ++fitting;
    if (!choice.best || (cost.ok() && least.ok() && cost.value < least.value))
      choice.best = here, least = cost;
  }
  // What is not set yet cannot win where it is known to cost more, or as much and comes later.
  choice.certain = choice.best && (least.ok() || fitting == 1);
  number = 0;
  for (const auto &entry : variants) {
    size_t here = number++;
    Value guard = guardOf(variantOf(entry)), cost = costOf(variantOf(entry));
    bool doubtful = guard.state == Value::State::unset || (guard.ok() && guard.value && !cost.ok());
    if (!choice.certain || here == *choice.best || !doubtful)
      continue;
    choice.certain =
        cost.ok() && least.ok() && (cost.value > least.value || (cost.value == least.value && here > *choice.best));
  }
  return choice;
}

} // namespace kt::artifact

#endif
