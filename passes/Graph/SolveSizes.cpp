//===- SolveSizes.cpp - what checks say of the inputs' sizes --------------===//
//
//   func @f(%x: [b, s], %y: [n])            func @f(%x: [1, s], %y: [32])
//     kt.assert <b * 2048> equals <2048>  ->
//     kt.assert <n> equals <b * 32>
//
// A check that every run makes is an equation. Exporters freeze sizes in reshapes and leave them symbolic in inputs:
// solved, they are constants in every type, and a wrong one is reported when inputs are bound, by the input's name.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/ExprPoly.h"
#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/ScopeExit.h"
#include <numeric>

namespace kt {
#define GEN_PASS_DEF_SOLVESIZES
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// What stands for `from`, a symbol, a minimum or maximum or a choice, in everything that runs.
struct Substitution {
  Expr from, to;
};

bool contains(Expr e, Expr part) {
  if (e == part)
    return true;
  for (unsigned i = 0; i < e.numOperands(); ++i)
    if (contains(e.operand(i), part))
      return true;
  return false;
}

/// Expressions with one part of them replaced.
class Rewriter {
public:
  explicit Rewriter(const Substitution &s) : s(s) {}
  Expr operator()(Expr e) {
    if (e == s.from)
      return s.to;
    if (!e.numOperands() || !contains(e, s.from))
      return e;
    auto [it, fresh] = known.try_emplace(e.attr());
    if (!fresh)
      return it->second;
    Expr out = e.withOperands([this](Expr part) { return (*this)(part); });
    return known[e.attr()] = out;
  }

private:
  Substitution s;
  llvm::DenseMap<Attribute, Expr> known;
};

class Solver {
public:
  Solver(ModuleOp module, func::FuncOp func) : context(module.getContext()), module(module), func(func) {
    if (auto given = module->getAttrOfType<DictionaryAttr>(kBounds))
      for (NamedAttribute entry : given)
        if (auto range = dyn_cast<DenseI64ArrayAttr>(entry.getValue()))
          bounds[entry.getName()] = {range[0], range[1]};
  }

  void run() {
    // Each round takes one more symbol or bound out of the checks.
    while (solveOne())
      ;
    SmallVector<NamedAttribute> out;
    for (auto &[name, range] : bounds)
      if (inputSymbols().contains(name))
        out.push_back({name, DenseI64ArrayAttr::get(context, {range.first, range.second})});
    if (!out.empty() || module->hasAttr(kBounds))
      module->setAttr(kBounds, DictionaryAttr::get(context, out));
  }

private:
  static constexpr StringRef kBounds = "kt.bounds";
  static constexpr size_t kMostEquations = 1024; // for looking at cases, which goes through all of them again and again
  static constexpr unsigned kMostRounds = 16;

  bool solveOne() {
    inputs = inputSymbols();
    for (auto check : llvm::make_early_inc_range(func.getBody().front().getOps<AssertOp>())) {
      Expr lhs = check.getLhs(), rhs = check.getRhs();
      if (lhs == rhs) {
        erase(check);
        continue;
      }
      if (auto found = solve(lhs, rhs)) {
        apply(*found);
        return true;
      }
      for (auto [a, b] : {std::pair(lhs, rhs), std::pair(rhs, lhs)})
        if (bound(check, a, b) || (a.kind() != Expr::Kind::Select && clamp(check, a, b)))
          return true;
    }
    if (auto found = solveByCases()) {
      apply(*found);
      return true;
    }
    // What a choice says of symbols comes before what it is.
    for (auto check : llvm::make_early_inc_range(func.getBody().front().getOps<AssertOp>()))
      for (auto [a, b] : {std::pair(check.getLhs(), check.getRhs()), std::pair(check.getRhs(), check.getLhs())})
        if (Expr(a).kind() == Expr::Kind::Select && !Expr(b).asConstant() && clamp(check, a, b))
          return true;
    return solveChoice();
  }

  using Equations = SmallVector<std::pair<Expr, Expr>>;
  using Values = llvm::MapVector<Attribute, Expr>; // of symbols

  /// A check that holds if a symbol is 1, or else if it is not, decides nothing alone. What all checks together say of
  /// another symbol, the same in both cases, is so.
  std::optional<Substitution> solveByCases() {
    Equations equations;
    llvm::SetVector<Attribute> maybeOne;
    llvm::DenseSet<std::pair<Attribute, Attribute>> seen;
    for (auto check : func.getBody().front().getOps<AssertOp>()) {
      Expr lhs = check.getLhs(), rhs = check.getRhs();
      if (!onlyInputs(lhs) || !onlyInputs(rhs) || !seen.insert({lhs.attr(), rhs.attr()}).second)
        continue;
      equations.push_back({lhs, rhs});
      for (Expr side : {lhs, rhs})
        if (side.kind() == Expr::Kind::Select && side.operand(0).kind() == Expr::Kind::Eq)
          for (unsigned i : {0u, 1u})
            if (Expr x = side.operand(0).operand(i);
                x.kind() == Expr::Kind::Symbol && side.operand(0).operand(1 - i).isConstant(1))
              maybeOne.insert(x.attr());
    }
    if (equations.size() > kMostEquations)
      return std::nullopt;
    Expr zero = Expr::constant(context, 0), one = Expr::constant(context, 1);
    for (Attribute attr : maybeOne) {
      Expr x(cast<ExprAttr>(attr));
      std::optional<Values> is = follow(equations, {x, one}), isNot = follow(equations, {Expr::eq(x, one), zero});
      if (!is && !isNot)
        continue; // no run passes the checks, which say so
      for (auto &[symbol, value] : is ? *is : *isNot) {
        if (is && isNot && (!isNot->contains(symbol) || isNot->lookup(symbol) != value))
          continue;
        if (auto found = pin(Expr(cast<ExprAttr>(symbol)), value))
          return found;
      }
    }
    return std::nullopt;
  }

  /// What the equations say of symbols where `assumed` is so; nothing where they contradict it. What they say of bounds
  /// meanwhile is not kept.
  std::optional<Values> follow(Equations equations, Substitution assumed) {
    auto saved = bounds;
    auto restore = llvm::make_scope_exit([&] { bounds = saved; });
    Values values;
    if (assumed.from.kind() == Expr::Kind::Symbol)
      values[assumed.from.attr()] = assumed.to;
    for (unsigned round = 0; round < kMostRounds; ++round) {
      Rewriter rewrite(assumed);
      for (auto &[lhs, rhs] : equations)
        lhs = rewrite(lhs), rhs = rewrite(rhs);
      for (auto &[symbol, value] : values)
        value = rewrite(value);
      std::optional<Substitution> next;
      for (auto &[lhs, rhs] : equations) {
        auto a = lhs.asConstant(), b = rhs.asConstant();
        if (a && b && *a != *b)
          return std::nullopt;
        if (!next && lhs != rhs)
          next = solve(lhs, rhs);
      }
      if (!next)
        break;
      values[next->from.attr()] = next->to;
      assumed = *next;
    }
    return values;
  }

  /// select(x == 1, y, x), as dimensions that broadcast are written, is x if checks say that y is 1 where x is. A mask
  /// of `total` columns against past + s of them is none of 1 column where a product needs past + s of what they make.
  bool solveChoice() {
    Equations equations;
    for (auto check : func.getBody().front().getOps<AssertOp>())
      if (onlyInputs(check.getLhs()) && onlyInputs(check.getRhs()))
        equations.push_back({check.getLhs(), check.getRhs()});
    if (equations.empty() || equations.size() > kMostEquations)
      return false;
    llvm::SetVector<Attribute> choices = choicesOutsideChecks();
    std::optional<Substitution> found;
    for (auto &[lhs, rhs] : equations)
      if (!found)
        found = solveForChoice(lhs, rhs, choices);
    for (Attribute attr : choices) {
      Expr choice(cast<ExprAttr>(attr)), x = choice.operand(2);
      if (!found && choice.operand(0) == Expr::eq(x, Expr::constant(context, 1)) &&
          sayOne(equations, x, choice.operand(1)))
        found = Substitution{choice, x};
    }
    if (!found)
      return false;
    OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
    kept.insert(AssertOp::create(b, func.getLoc(), found->from.attr(), found->to.attr(), "dimensions broadcast"));
    apply(*found);
    return true;
  }

  /// A choice that is there once, beside sizes of inputs: ±choice + the rest == 0.
  std::optional<Substitution> solveForChoice(Expr lhs, Expr rhs, const llvm::SetVector<Attribute> &choices) {
    Poly poly = primitive(lhs, rhs);
    for (auto &[atoms, c] : poly) {
      if (atoms.size() != 1 || (c != 1 && c != -1) || !choices.contains(atoms[0].attr()))
        continue;
      Poly rest = poly, value;
      rest.erase(atoms);
      if (llvm::any_of(rest, [](auto &term) {
            return llvm::any_of(term.first, [](Expr e) { return e.kind() != Expr::Kind::Symbol; });
          }))
        continue;
      addTo(value, rest, -c);
      if (Expr to = fromPoly(context, value); !to.poison() && to.isNonNegative())
        return Substitution{atoms[0], to};
    }
    return std::nullopt;
  }

  /// Choices between inputs' sizes in types and attributes of what is computed.
  llvm::SetVector<Attribute> choicesOutsideChecks() {
    llvm::SetVector<Attribute> found;
    AttrTypeWalker walker;
    walker.addWalk([&](ExprAttr attr) {
      SmallVector<Expr> open{Expr(attr)};
      while (!open.empty()) {
        Expr e = open.pop_back_val();
        if (e.kind() == Expr::Kind::Select && onlyInputs(e))
          found.insert(e.attr());
        for (unsigned i = 0; i < e.numOperands(); ++i)
          open.push_back(e.operand(i));
      }
    });
    func.walk([&](Operation *op) {
      if (isa<AssertOp, func::FuncOp>(op))
        return;
      walker.walk(op->getAttrDictionary());
      for (Type type : op->getResultTypes())
        walker.walk(type);
    });
    return found;
  }

  /// Whether equations say that y is 1 where x is.
  bool sayOne(Equations equations, Expr x, Expr y) {
    for (unsigned round = 0; x && round < kMostRounds; ++round) {
      Rewriter rewrite({x, Expr::constant(context, 1)});
      y = rewrite(y);
      if (y.isConstant(1))
        return true;
      x = Expr();
      for (auto &[lhs, rhs] : equations) {
        lhs = rewrite(lhs), rhs = rewrite(rhs);
        if (!x)
          x = onlyOne(lhs, rhs);
      }
    }
    return false;
  }

  /// What has to be 1 for an equation to hold: c * z == c, and z also where select(z == 1, any, z) is 1.
  Expr onlyOne(Expr lhs, Expr rhs) {
    Poly poly = primitive(lhs, rhs);
    auto constant = poly.find(Atoms());
    if (poly.size() != 2 || constant == poly.end())
      return {};
    auto &[atoms, c] = *(poly.begin() == constant ? std::next(poly.begin()) : poly.begin());
    if (atoms.size() != 1 || c + constant->second != 0)
      return {};
    Expr z = atoms[0], one = Expr::constant(context, 1);
    while (z.kind() == Expr::Kind::Select && z.operand(0) == Expr::eq(z.operand(2), one))
      z = z.operand(2);
    return z;
  }

  /// Symbols that are a dimension of an input, numbered in order of appearance: binding inputs gives them values.
  llvm::StringMap<unsigned> inputSymbols() {
    llvm::StringMap<unsigned> symbols;
    for (Type type : func.getArgumentTypes())
      for (ExprAttr d : cast<SymTensorType>(type).getDims())
        if (Expr(d).kind() == Expr::Kind::Symbol)
          symbols.try_emplace(Expr(d).name(), symbols.size());
    return symbols;
  }
  bool onlyInputs(Expr e) {
    bool only = true;
    e.forEachSymbol([&](StringRef name) { only &= inputs.contains(name); });
    return only;
  }
  std::pair<int64_t, int64_t> rangeOf(StringRef name) {
    auto *it = bounds.find(StringAttr::get(context, name));
    return it == bounds.end() ? std::pair<int64_t, int64_t>(0, INT64_MAX) : it->second;
  }

  std::optional<Substitution> solve(Expr lhs, Expr rhs) {
    // 1 or c, and not 1: a dimension that broadcasts.
    for (auto [a, b] : {std::pair(lhs, rhs), std::pair(rhs, lhs)})
      if (auto broadcast = solveBroadcast(a, b))
        return broadcast;
    for (auto [a, b] : {std::pair(lhs, rhs), std::pair(rhs, lhs)})
      if (a.kind() == Expr::Kind::Eq && b.isConstant(1))
        return solve(a.operand(0), a.operand(1));
    Poly poly = primitive(lhs, rhs);
    if (poly.empty())
      return std::nullopt;
    if (auto ones = solveProductOfOne(poly))
      return ones;
    return solveLinear(poly);
  }

  /// lhs - rhs without factors that all terms have; empty where that is no equation.
  Poly primitive(Expr lhs, Expr rhs) {
    Poly poly = toPoly(lhs);
    addTo(poly, toPoly(rhs), -1);
    int64_t content = 0;
    for (auto &[atoms, c] : poly)
      content = std::gcd(content, c);
    if (poly.poison || content == 0 || content == INT64_MIN)
      return {};
    for (auto &[atoms, c] : poly)
      c /= content;
    dropCommonFactors(poly);
    return poly;
  }

  /// Sizes of inputs that are factors of every term: b * s * 64 == s * 64 says that b is 1. It need not be where s is
  /// 0, but a batch is not frozen for runs over nothing: such a run is refused with the others.
  void dropCommonFactors(Poly &poly) {
    for (Expr factor : Atoms(poly.begin()->first)) {
      if (factor.kind() != Expr::Kind::Symbol || !inputs.contains(factor.name()))
        continue;
      Poly divided;
      for (auto &[atoms, c] : poly) {
        auto rest = divideAtoms(atoms, {factor});
        if (!rest)
          break;
        divided[*rest] = c;
      }
      if (divided.size() == poly.size())
        poly = divided;
    }
  }

  /// a * b == 1: of numbers that are not negative each is 1.
  std::optional<Substitution> solveProductOfOne(const Poly &poly) {
    auto constant = poly.find(Atoms());
    if (poly.size() != 2 || constant == poly.end())
      return std::nullopt;
    auto &[atoms, c] = *(poly.begin() == constant ? std::next(poly.begin()) : poly.begin());
    if (c + constant->second != 0 || !llvm::all_of(atoms, [](Expr a) { return a.isNonNegative(); }))
      return std::nullopt;
    Expr one = Expr::constant(context, 1);
    for (Expr a : atoms)
      if (a.kind() == Expr::Kind::Symbol || atoms.size() > 1) // one alone is what was asked
        if (auto found = a.kind() == Expr::Kind::Symbol ? pin(a, one) : solve(a, one))
          return found;
    return std::nullopt;
  }

  /// A symbol that is there once: ±s + the rest == 0. The last that will do is expressed by those before it.
  std::optional<Substitution> solveLinear(const Poly &poly) {
    SmallVector<std::pair<unsigned, const Atoms *>> candidates;
    for (auto &[atoms, c] : poly)
      if (atoms.size() == 1 && atoms[0].kind() == Expr::Kind::Symbol && (c == 1 || c == -1))
        if (auto number = inputs.find(atoms[0].name()); number != inputs.end())
          candidates.push_back({number->second, &atoms});
    llvm::sort(candidates, [](auto &a, auto &b) { return a.first > b.first; });
    for (auto &[number, atoms] : candidates) {
      Poly rest = poly, value;
      rest.erase(*atoms);
      addTo(value, rest, -poly.at(*atoms));
      Expr symbol = atoms->front(), to = fromPoly(context, value);
      if (!contains(to, symbol))
        if (auto found = pin(symbol, to))
          return found;
    }
    return std::nullopt;
  }

  /// select(x == 1, 1, x == c) == 1, as a dimension that broadcasts is checked, where x is not 1 or has to be.
  std::optional<Substitution> solveBroadcast(Expr a, Expr b) {
    if (a.kind() != Expr::Kind::Select || !b.isConstant(1) || !a.operand(1).isConstant(1) ||
        a.operand(0).kind() != Expr::Kind::Eq || a.operand(2).kind() != Expr::Kind::Eq)
      return std::nullopt;
    Expr isOne = a.operand(0), fits = a.operand(2);
    for (unsigned i : {0u, 1u}) {
      Expr x = isOne.operand(i);
      if (!isOne.operand(1 - i).isConstant(1))
        continue;
      if (isNeverOne(x))
        return solve(fits.operand(0), fits.operand(1));
      // x is 1, or it is not and then the rest says that it is.
      if (x.kind() != Expr::Kind::Symbol)
        continue;
      Rewriter otherwise({isOne, Expr::constant(context, 0)});
      auto saved = bounds;
      auto found = solve(otherwise(fits.operand(0)), otherwise(fits.operand(1)));
      bounds = saved;
      if (found && found->from == x && found->to.isConstant(1))
        return pin(x, found->to);
    }
    return std::nullopt;
  }
  bool isNeverOne(Expr x) {
    if (x.kind() == Expr::Kind::Symbol)
      return rangeOf(x.name()).first > 1;
    int64_t content = 0;
    for (auto &[atoms, c] : toPoly(x))
      content = std::gcd(content, c);
    return content > 1;
  }

  /// An input's symbol may be written as `to` if nothing that was known of it is lost.
  std::optional<Substitution> pin(Expr symbol, Expr to) {
    if (to.poison() || !inputs.contains(symbol.name()) || !onlyInputs(to) || !to.isNonNegative())
      return std::nullopt;
    auto [least, most] = rangeOf(symbol.name());
    if (auto number = to.asConstant()) {
      if (*number < least || *number > most)
        return std::nullopt; // the check fails in every run, and says so
    } else if (to.kind() == Expr::Kind::Symbol) {
      auto &range = bounds.try_emplace(StringAttr::get(context, to.name()), rangeOf(to.name())).first->second;
      auto both = std::pair(std::max(range.first, least), std::min(range.second, most));
      if (both.first > both.second)
        return std::nullopt;
      range = both;
    } else if (least > 0 || most < INT64_MAX) {
      return std::nullopt;
    }
    return Substitution{symbol, to};
  }

  /// min(s, 128) == s: a bound of s.
  bool bound(AssertOp check, Expr a, Expr b) {
    bool below = a.kind() == Expr::Kind::Min, above = a.kind() == Expr::Kind::Max;
    if ((!below && !above) || b.kind() != Expr::Kind::Symbol || !inputs.contains(b.name()))
      return false;
    for (unsigned i : {0u, 1u}) {
      auto limit = a.operand(1 - i).asConstant();
      if (a.operand(i) != b || !limit)
        continue;
      auto &range = bounds.try_emplace(StringAttr::get(context, b.name()), rangeOf(b.name())).first->second;
      auto narrowed = range;
      (below ? narrowed.second : narrowed.first) =
          below ? std::min(range.second, *limit) : std::max(range.first, *limit);
      if (narrowed.first > narrowed.second)
        return false;
      range = narrowed;
      erase(check);
      apply({a, b});
      return true;
    }
    return false;
  }

  /// min(x, y) == x, or select(c, x, y) == x, holds of inputs: it is x in all that follows. The check stays, before
  /// anything else.
  bool clamp(AssertOp check, Expr a, Expr b) {
    bool choice = a.kind() == Expr::Kind::Select;
    if ((!choice && a.kind() != Expr::Kind::Min && a.kind() != Expr::Kind::Max) || !onlyInputs(a) || !onlyInputs(b) ||
        (a.operand(choice) != b && a.operand(choice + 1) != b) || !kept.insert(check))
      return false;
    if (!llvm::all_of(llvm::make_range(func.getBody().front().begin(), check->getIterator()),
                      [](Operation &before) { return isa<AssertOp>(before); }))
      check->moveBefore(&func.getBody().front(), func.getBody().front().begin());
    apply({a, b});
    if (a.kind() == Expr::Kind::Min)
      boundTerms(a.operand(a.operand(0) == b), b);
    return true;
  }

  /// A sum of at most 64 has parts of at most 64: min(past + s, 64) == past + s says what min(past, 64) is.
  void boundTerms(Expr limit, Expr sum) {
    auto most = limit.asConstant();
    if (!most)
      return;
    sum.forEachSymbol([&](StringRef name) {
      Expr part = Expr::symbol(context, name);
      auto [first, last] = rangeOf(name);
      if (part == sum || !(sum - part).isNonNegative() || first > *most)
        return;
      bounds[StringAttr::get(context, name)] = {first, std::min(last, *most)};
      apply({Expr::min(limit, part), part});
    });
  }

  void erase(AssertOp check) {
    kept.remove(check);
    check.erase();
  }

  void apply(const Substitution &s) {
    Rewriter rewrite(s);
    AttrTypeReplacer replacer;
    replacer.addReplacement(
        [&](ExprAttr e) -> std::pair<Attribute, WalkResult> { return {rewrite(Expr(e)).attr(), WalkResult::skip()}; });
    // What a check that stays says is what the others were simplified by.
    SmallVector<std::array<Attribute, 2>> sides;
    for (AssertOp check : kept)
      sides.push_back({check.getLhsAttr(), check.getRhsAttr()});
    replacer.recursivelyReplaceElementsIn(func, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
    if (s.from.kind() != Expr::Kind::Symbol)
      for (auto [given, side] : llvm::zip_equal(kept, sides)) {
        AssertOp check = given;
        check.setLhsAttr(cast<ExprAttr>(side[0]));
        check.setRhsAttr(cast<ExprAttr>(side[1]));
      }
  }

  MLIRContext *context;
  ModuleOp module;
  func::FuncOp func;
  llvm::MapVector<StringAttr, std::pair<int64_t, int64_t>> bounds;
  llvm::StringMap<unsigned> inputs;
  llvm::SetVector<AssertOp> kept;
};

struct SolveSizesPass : kt::impl::SolveSizesBase<SolveSizesPass> {
  void runOnOperation() override {
    auto functions = llvm::to_vector(getOperation().getOps<func::FuncOp>());
    if (functions.size() == 1 && isGraph(functions[0]))
      Solver(getOperation(), functions[0]).run();
  }
};

} // namespace
