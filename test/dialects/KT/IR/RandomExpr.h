//===- RandomExpr.h - random expressions with their values ----------------===//
//
// Expressions built through the public operations beside what they have to be worth for a number of assignments of
// their symbols, computed without them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_DIALECTS_KT_IR_RANDOMEXPR_H
#define KT_TEST_DIALECTS_KT_IR_RANDOMEXPR_H

#include "dialects/KT/IR/KTDialect.h"
#include <algorithm>
#include <random>

namespace kt::test {

inline constexpr int kAssignments = 12;
inline const char *const kSymbols[] = {"a", "b", "seq", "?n"};

inline mlir::MLIRContext &exprContext() {
  static mlir::MLIRContext *shared = [] {
    auto *c = new mlir::MLIRContext();
    c->loadDialect<KTDialect>();
    return c;
  }();
  return *shared;
}

/// Floor division and its remainder for positive divisors.
inline int64_t floorDivided(int64_t x, int64_t y) { return x / y - (x % y < 0); }

struct Valued {
  Expr e;
  std::array<int64_t, kAssignments> at; // values under each assignment
};

class RandomExpr {
public:
  explicit RandomExpr(unsigned seed) : random(seed) {
    for (auto &values : symbols)
      for (int64_t &v : values)
        v = pick(0, 6);
    for (int64_t &v : symbols[3]) // a leading '?' may be negative
      v = pick(-6, 6);
  }
  /// The value of symbol `name` under assignment `i`.
  int64_t symbol(llvm::StringRef name, int i) const {
    for (unsigned s = 0; s < 4; ++s)
      if (name == kSymbols[s])
        return symbols[s][i];
    return INT64_MIN;
  }

  Valued make(int depth) {
    mlir::MLIRContext *c = &exprContext();
    if (depth == 0 || pick(0, 5) == 0) {
      Valued v;
      if (int64_t s = pick(0, 6); s < 4) {
        v.e = Expr::symbol(c, kSymbols[s]);
        v.at = symbols[s];
      } else {
        int64_t number = pick(-4, 9);
        v.e = Expr::constant(c, number);
        v.at.fill(number);
      }
      return v;
    }
    Valued x = make(depth - 1), y = make(depth - 1);
    switch (pick(0, 10)) {
    case 0:
    case 1:
      return both(x, y, x.e + y.e, [](int64_t p, int64_t q) { return p + q; });
    case 2:
      return both(x, y, x.e - y.e, [](int64_t p, int64_t q) { return p - q; });
    case 3:
      return both(x, y, x.e * y.e, [](int64_t p, int64_t q) { return p * q; });
    case 4:
    case 5:
    case 6: {
      Valued d = divisor();
      int which = pick(0, 2);
      return which == 0 ? both(x, d, Expr::floorDiv(x.e, d.e), floorDivided)
             : which == 1
                 ? both(x, d, Expr::ceilDiv(x.e, d.e), [](int64_t p, int64_t q) { return -floorDivided(-p, q); })
                 : both(x, d, Expr::mod(x.e, d.e), [](int64_t p, int64_t q) { return p - q * floorDivided(p, q); });
    }
    case 7:
      return both(x, y, Expr::min(x.e, y.e), [](int64_t p, int64_t q) { return std::min(p, q); });
    case 8:
      return both(x, y, Expr::max(x.e, y.e), [](int64_t p, int64_t q) { return std::max(p, q); });
    case 9:
      return condition(x, y);
    default: {
      Valued c = condition(make(depth - 1), make(depth - 1)), v;
      v.e = Expr::select(c.e, x.e, y.e);
      for (int i = 0; i < kAssignments; ++i)
        v.at[i] = c.at[i] ? x.at[i] : y.at[i];
      return v;
    }
    }
  }
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

private:
  template <typename Fn> static Valued both(const Valued &x, const Valued &y, Expr e, Fn fn) {
    Valued v{e, {}};
    for (int i = 0; i < kAssignments; ++i)
      v.at[i] = fn(x.at[i], y.at[i]);
    return v;
  }
  Valued condition(const Valued &x, const Valued &y) {
    return pick(0, 1) ? both(x, y, Expr::eq(x.e, y.e), [](int64_t p, int64_t q) { return int64_t(p == q); })
                      : both(x, y, Expr::lt(x.e, y.e), [](int64_t p, int64_t q) { return int64_t(p < q); });
  }
  /// Positive: a number, or a size and one.
  Valued divisor() {
    Valued v;
    if (pick(0, 1)) {
      int64_t number = pick(1, 8);
      v.e = Expr::constant(&exprContext(), number);
      v.at.fill(number);
      return v;
    }
    int64_t s = pick(0, 2);
    v.e = Expr::symbol(&exprContext(), kSymbols[s]) + 1;
    for (int i = 0; i < kAssignments; ++i)
      v.at[i] = symbols[s][i] + 1;
    return v;
  }

  std::mt19937 random;
  std::array<std::array<int64_t, kAssignments>, 4> symbols;
};

} // namespace kt::test

#endif
