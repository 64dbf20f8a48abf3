//===- Evaluate.cpp - values of expressions -------------------------------===//

#include "runtime/artifact/Evaluate.h"

#include <algorithm>

namespace kt::artifact {
namespace {

Value known(int64_t value) { return {value, Value::State::ok}; }
Value truth(bool value) { return known(value); }
Value failure(Value::State state) { return {0, state}; }

int64_t floorDiv(int64_t a, int64_t b) {
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

Value divide(Expr::Op op, int64_t a, int64_t b) {
  if (b == 0)
    return failure(Value::State::divisionByZero);
  if (a == INT64_MIN && b == -1)
    return op == Expr::Op::Mod ? known(0) : failure(Value::State::overflow);
  int64_t q = floorDiv(a, b);
  if (op == Expr::Op::FloorDiv)
    return known(q);
  if (op == Expr::Op::Mod)
    return known(a - q * b);
  return known(q + (a % b != 0));
}

} // namespace

Value apply(Expr::Op op, Value a, Value b, Value c) {
  using Op = Expr::Op;
  if (op == Op::Select)
    return !a.ok() ? a : a.value ? b : c;
  // One side can decide alone.
  if (op == Op::And && ((a.ok() && !a.value) || (b.ok() && !b.value)))
    return truth(false);
  if (op == Op::Or && ((a.ok() && a.value) || (b.ok() && b.value)))
    return truth(true);
  if (!a.ok())
    return a;
  if (!b.ok())
    return b;
  int64_t x = a.value, y = b.value, r = 0;
  switch (op) {
  case Op::Add:
    return __builtin_add_overflow(x, y, &r) ? failure(Value::State::overflow) : known(r);
  case Op::Sub:
    return __builtin_sub_overflow(x, y, &r) ? failure(Value::State::overflow) : known(r);
  case Op::Mul:
    return __builtin_mul_overflow(x, y, &r) ? failure(Value::State::overflow) : known(r);
  case Op::FloorDiv:
  case Op::CeilDiv:
  case Op::Mod:
    return divide(op, x, y);
  case Op::Min:
    return known(std::min(x, y));
  case Op::Max:
    return known(std::max(x, y));
  case Op::Eq:
    return truth(x == y);
  case Op::Ne:
    return truth(x != y);
  case Op::Lt:
    return truth(x < y);
  case Op::Le:
    return truth(x <= y);
  case Op::And:
    return truth(x && y);
  case Op::Or:
    return truth(x || y);
  default:
    return failure(Value::State::unset);
  }
}

} // namespace kt::artifact
