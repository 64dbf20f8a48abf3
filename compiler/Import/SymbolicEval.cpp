//===- SymbolicEval.cpp - what a small tensor holds, in symbols -----------===//

#include "compiler/Import/SymbolicEval.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

/// Interprets one region for one set of leading values and indices.
class Evaluator {
public:
  Evaluator(MLIRContext *context, Operation *op, llvm::function_ref<const Contents *(Value)> known)
      : context(context), op(op), known(known) {}

  std::optional<Scalar> run(Region &region, ArrayRef<Scalar> leading, ArrayRef<int64_t> indices) {
    values.clear();
    Block &block = region.front();
    unsigned operands = op->getNumOperands();
    firstOperand = leading.size();
    for (auto [i, s] : llvm::enumerate(leading))
      values[block.getArgument(i)] = s;
    for (auto [i, n] : llvm::enumerate(indices))
      values[block.getArgument(leading.size() + operands + i)] = Scalar::of(Expr::constant(context, n));
    for (Operation &o : block.without_terminator()) {
      std::optional<Scalar> s = eval(&o);
      if (!s)
        return std::nullopt;
      values[o.getResult(0)] = *s;
    }
    return values[block.getTerminator()->getOperand(0)];
  }

private:
  std::optional<Scalar> eval(Operation *o);
  std::optional<Scalar> evalRead(ReadOp read);
  static std::optional<double> asDouble(const Scalar &s) {
    if (!s.isExpr())
      return s.f;
    if (auto c = s.e.asConstant())
      return (double)*c;
    return std::nullopt;
  }

  MLIRContext *context;
  Operation *op;
  llvm::function_ref<const Contents *(Value)> known;
  DenseMap<Value, Scalar> values;
  unsigned firstOperand = 0;
};

std::optional<Scalar> Evaluator::evalRead(ReadOp read) {
  unsigned operand = cast<BlockArgument>(read.getTensor()).getArgNumber() - firstOperand;
  SymTensorType type = read.getTensor().getType();
  int64_t linear = 0;
  for (auto [d, v] : llvm::enumerate(read.getIndices())) {
    Scalar at = values[v];
    auto extent = type.dim(d).asConstant();
    auto i = at.isExpr() ? at.e.asConstant() : std::nullopt;
    if (!i || !extent)
      return std::nullopt;
    if (*i < 0 || *i >= *extent) {
      if (!read.getOtherwise())
        return std::nullopt;
      return values[read.getOtherwise()];
    }
    linear = linear * *extent + *i;
  }
  const Contents *contents = known(op->getOperand(operand));
  if (!contents || linear >= (int64_t)contents->size())
    return std::nullopt;
  return (*contents)[linear];
}

std::optional<Scalar> Evaluator::eval(Operation *o) {
  if (auto read = dyn_cast<ReadOp>(o))
    return evalRead(read);
  if (auto size = dyn_cast<SizeOp>(o))
    return Scalar::of(Expr(size.getValue()));
  if (auto constant = dyn_cast<arith::ConstantOp>(o)) {
    if (auto i = dyn_cast<IntegerAttr>(constant.getValue()))
      return Scalar::of(Expr::constant(context, i.getType().isInteger(1) ? i.getValue().getZExtValue() : i.getInt()));
    double f = cast<FloatAttr>(constant.getValue()).getValueAsDouble();
    return Scalar::of(f);
  }
  if (auto bounded = dyn_cast<BoundedOp>(o)) {
    // Only what is inside for certain: a run reports the rest.
    const Scalar &value = values[bounded.getValue()];
    auto i = value.isExpr() ? value.e.asConstant() : std::nullopt, limit = Expr(bounded.getLimit()).asConstant();
    if (!i || !limit)
      return std::nullopt;
    int64_t at = *i < 0 && bounded.getWraps() ? *i + *limit : *i;
    return at >= 0 && at < *limit ? std::optional(Scalar::of(Expr::constant(context, at))) : std::nullopt;
  }
  SmallVector<Scalar> in;
  for (Value v : o->getOperands())
    in.push_back(values[v]);
  auto lift = [&](int64_t v) { return Expr::constant(context, v); };
  /// An integer where it is one of 64 bits, else the number as it is: infinities and NaN stay.
  auto whole = [&](double v) { return std::fabs(v) < 9e18 ? Scalar::of(lift((int64_t)v)) : Scalar::of(v); };

  // Integers, and floats that hold one: exact in symbols.
  bool exprs = llvm::all_of(in, [](const Scalar &s) { return s.isExpr(); });
  if (exprs) {
    auto e = [&](unsigned i) { return in[i].e; };
    std::optional<Expr> r =
        llvm::TypeSwitch<Operation *, std::optional<Expr>>(o)
            .Case<arith::AddIOp, arith::AddFOp>([&](auto) { return e(0) + e(1); })
            .Case<arith::SubIOp, arith::SubFOp>([&](auto) { return e(0) - e(1); })
            .Case<arith::MulIOp, arith::MulFOp>([&](auto) { return e(0) * e(1); })
            .Case<arith::MaxSIOp, arith::MaximumFOp, arith::MaxUIOp>([&](auto) { return Expr::max(e(0), e(1)); })
            .Case<arith::MinSIOp, arith::MinimumFOp, arith::MinUIOp>([&](auto) { return Expr::min(e(0), e(1)); })
            .Case<arith::DivSIOp, arith::DivUIOp>([&](auto) -> std::optional<Expr> {
              auto a = e(0).asConstant(), b = e(1).asConstant();
              if (a && b)
                return *b == 0 ? std::optional<Expr>() : lift(*a / *b);
              if (e(0).isNonNegative() && e(1).isNonNegative())
                return Expr::floorDiv(e(0), e(1));
              return std::nullopt;
            })
            .Case<arith::RemSIOp, arith::RemUIOp>([&](auto) -> std::optional<Expr> {
              auto a = e(0).asConstant(), b = e(1).asConstant();
              if (a && b)
                return *b == 0 ? std::optional<Expr>() : lift(*a % *b);
              if (e(0).isNonNegative() && e(1).isNonNegative())
                return Expr::mod(e(0), e(1));
              return std::nullopt;
            })
            .Case<arith::DivFOp>([&](auto) -> std::optional<Expr> { // only where the quotient is exact
              if (e(1).isConstant(0))
                return std::nullopt;
              if (Expr::mod(e(0), e(1)).isConstant(0))
                return Expr::floorDiv(e(0), e(1));
              return std::nullopt;
            })
            .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) -> std::optional<Expr> {
              using P = arith::CmpIPredicate;
              switch (cmp.getPredicate()) {
              case P::eq:
                return Expr::eq(e(0), e(1));
              case P::ne:
                return Expr::logicalNot(Expr::eq(e(0), e(1)));
              case P::slt:
              case P::ult:
                return Expr::lt(e(0), e(1));
              case P::sle:
              case P::ule:
                return Expr::logicalNot(Expr::lt(e(1), e(0)));
              case P::sgt:
              case P::ugt:
                return Expr::lt(e(1), e(0));
              default:
                return Expr::logicalNot(Expr::lt(e(0), e(1)));
              }
            })
            .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) -> std::optional<Expr> {
              using P = arith::CmpFPredicate;
              switch (cmp.getPredicate()) {
              case P::OEQ:
                return Expr::eq(e(0), e(1));
              case P::UNE:
                return Expr::logicalNot(Expr::eq(e(0), e(1)));
              case P::OLT:
                return Expr::lt(e(0), e(1));
              case P::OLE:
                return Expr::logicalNot(Expr::lt(e(1), e(0)));
              case P::OGT:
                return Expr::lt(e(1), e(0));
              case P::OGE:
                return Expr::logicalNot(Expr::lt(e(0), e(1)));
              default:
                return std::nullopt;
              }
            })
            .Case<arith::SelectOp>([&](auto) { return Expr::select(e(0), e(1), e(2)); })
            .Case<arith::AndIOp>([&](auto) -> std::optional<Expr> {
              if (o->getResult(0).getType().isInteger(1))
                return e(0) * e(1);
              return std::nullopt;
            })
            .Case<arith::OrIOp>([&](auto) -> std::optional<Expr> {
              if (o->getResult(0).getType().isInteger(1))
                return Expr::max(e(0), e(1));
              return std::nullopt;
            })
            .Case<arith::XOrIOp>([&](auto) -> std::optional<Expr> {
              if (o->getResult(0).getType().isInteger(1))
                return Expr::logicalNot(Expr::eq(e(0), e(1)));
              return std::nullopt;
            })
            .Case<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp, arith::ExtUIOp, arith::SIToFPOp,
                  arith::UIToFPOp, arith::FPToSIOp, arith::ExtFOp, arith::TruncFOp, math::FloorOp, math::CeilOp,
                  math::TruncOp, math::RoundEvenOp>([&](auto) { return e(0); })
            .Case<arith::TruncIOp>([&](auto) -> std::optional<Expr> {
              // Sizes fit; a constant is cut to the width it gets.
              if (auto c = e(0).asConstant())
                return lift(llvm::SignExtend64(*c, std::min(64u, o->getResult(0).getType().getIntOrFloatBitWidth())));
              return e(0);
            })
            .Case<arith::NegFOp>([&](auto) { return e(0) * -1; })
            .Case<math::AbsFOp, math::AbsIOp>([&](auto) -> std::optional<Expr> {
              return e(0).isNonNegative() ? std::optional<Expr>(e(0)) : std::nullopt;
            })
            .Default([](auto) { return std::nullopt; });
    if (r)
      return Scalar::of(*r);
  }

  // A choice between floats.
  if (isa<arith::SelectOp>(o) && in[0].isExpr() && in[0].e.asConstant())
    return *in[0].e.asConstant() ? in[1] : in[2];

  // Float constants.
  SmallVector<double> f;
  for (const Scalar &s : in) {
    auto d = asDouble(s);
    if (!d)
      return std::nullopt;
    f.push_back(*d);
  }
  bool single = o->getResult(0).getType().isF32();
  auto rounded = [&](double v) { return Scalar::of(single ? (double)(float)v : v); };
  return llvm::TypeSwitch<Operation *, std::optional<Scalar>>(o)
      .Case<arith::AddFOp>([&](auto) { return rounded(f[0] + f[1]); })
      .Case<arith::SubFOp>([&](auto) { return rounded(f[0] - f[1]); })
      .Case<arith::MulFOp>([&](auto) { return rounded(f[0] * f[1]); })
      .Case<arith::DivFOp>([&](auto) { return rounded(f[0] / f[1]); })
      .Case<arith::NegFOp>([&](auto) { return rounded(-f[0]); })
      .Case<math::SqrtOp>([&](auto) { return rounded(std::sqrt(f[0])); })
      .Case<math::RsqrtOp>([&](auto) { return rounded(1 / std::sqrt(f[0])); })
      .Case<math::ExpOp>([&](auto) { return rounded(std::exp(f[0])); })
      .Case<math::LogOp>([&](auto) { return rounded(std::log(f[0])); })
      .Case<math::PowFOp>([&](auto) { return rounded(std::pow(f[0], f[1])); })
      .Case<arith::MaximumFOp>([&](auto) { return rounded(std::max(f[0], f[1])); })
      .Case<arith::MinimumFOp>([&](auto) { return rounded(std::min(f[0], f[1])); })
      .Case<arith::ExtFOp, arith::SIToFPOp, arith::UIToFPOp>([&](auto) { return rounded(f[0]); })
      .Case<arith::TruncFOp>([&](arith::TruncFOp t) -> std::optional<Scalar> {
        bool lost;
        llvm::APFloat v(f[0]);
        v.convert(cast<FloatType>(t.getType()).getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
        v.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
        return Scalar::of(v.convertToDouble());
      })
      .Case<math::FloorOp>([&](auto) { return whole(std::floor(f[0])); })
      .Case<math::CeilOp>([&](auto) { return whole(std::ceil(f[0])); })
      .Case<arith::FPToSIOp>([&](auto) -> std::optional<Scalar> {
        if (!(std::fabs(f[0]) < 9e18))
          return std::nullopt;
        return Scalar::of(lift((int64_t)f[0]));
      })
      .Case<arith::CmpFOp>([&](arith::CmpFOp cmp) -> std::optional<Scalar> {
        using P = arith::CmpFPredicate;
        switch (cmp.getPredicate()) {
        case P::OEQ:
          return Scalar::of(lift(f[0] == f[1]));
        case P::UNE:
          return Scalar::of(lift(f[0] != f[1]));
        case P::OLT:
          return Scalar::of(lift(f[0] < f[1]));
        case P::OLE:
          return Scalar::of(lift(f[0] <= f[1]));
        case P::OGT:
          return Scalar::of(lift(f[0] > f[1]));
        case P::OGE:
          return Scalar::of(lift(f[0] >= f[1]));
        default:
          return std::nullopt;
        }
      })
      .Default([](auto) { return std::nullopt; });
}

/// The element counts of `dims`, or nothing when one is symbolic.
std::optional<SmallVector<int64_t>> constants(ArrayRef<Expr> dims) {
  SmallVector<int64_t> out;
  for (Expr d : dims) {
    auto c = d.asConstant();
    if (!c)
      return std::nullopt;
    out.push_back(*c);
  }
  return out;
}

bool advance(SmallVectorImpl<int64_t> &at, ArrayRef<int64_t> shape) {
  for (int64_t i = (int64_t)shape.size() - 1; i >= 0; --i) {
    if (++at[i] < shape[i])
      return true;
    at[i] = 0;
  }
  return false;
}

/// Elements, or some number of more than are evaluated.
int64_t count(ArrayRef<int64_t> shape) {
  constexpr int64_t kMany = kMaxEvaluated * 64;
  int64_t n = 1;
  for (int64_t d : shape)
    n = std::min(n * std::min(d, kMany), kMany);
  return n;
}

} // namespace

std::optional<Contents> import::contentsOf(SymTensorType type, ArrayRef<char> bytes) {
  auto n = type.numElements().asConstant();
  if (!n || *n > kMaxEvaluated)
    return std::nullopt;
  Contents out;
  Type element = type.getElementType();
  unsigned width = type.elementBytes();
  for (int64_t i = 0; i < *n; ++i) {
    const char *at = bytes.data() + i * width;
    if (auto integer = dyn_cast<IntegerType>(element)) {
      uint64_t raw = 0;
      memcpy(&raw, at, width);
      int64_t v = integer.isUnsigned() || element.isInteger(1) ? (int64_t)raw : llvm::SignExtend64(raw, width * 8);
      out.push_back(Scalar::of(Expr::constant(type.getContext(), v)));
    } else if (auto f = dyn_cast<FloatType>(element)) {
      uint64_t raw = 0;
      memcpy(&raw, at, width);
      llvm::APFloat v(f.getFloatSemantics(), llvm::APInt(f.getWidth(), raw));
      bool lost;
      v.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
      double d = v.convertToDouble();
      // A whole number takes part in size arithmetic.
      if (d == std::trunc(d) && std::fabs(d) < 1e9 && !(d == 0 && std::signbit(d)))
        out.push_back(Scalar::of(Expr::constant(type.getContext(), (int64_t)d)));
      else
        out.push_back(Scalar::of(d));
    } else {
      return std::nullopt;
    }
  }
  return out;
}

static std::optional<Contents> evaluateOp(Operation *op, llvm::function_ref<const Contents *(Value)> known) {
  if (auto constant = dyn_cast<ConstantOp>(op))
    return contentsOf(constant.getResult().getType(), constant.bytes());
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    const Contents *from = known(reshape.getSource());
    return from ? std::optional<Contents>(*from) : std::nullopt;
  }
  auto generic = dyn_cast<GenericOp>(op);
  auto reduce = dyn_cast<ReduceOp>(op);
  if (!generic && !reduce)
    return std::nullopt;
  auto type = cast<SymTensorType>(op->getResult(0).getType());
  SmallVector<Expr> dims;
  for (int64_t i = 0; i < type.getRank(); ++i)
    dims.push_back(type.dim(i));
  auto shape = constants(dims);
  if (!shape || count(*shape) > kMaxEvaluated)
    return std::nullopt;
  SmallVector<int64_t> extents;
  if (reduce) {
    SmallVector<Expr> es;
    for (Attribute a : reduce.getExtents())
      es.push_back(cast<ExprAttr>(a));
    auto c = constants(es);
    if (!c || count(*c) > kMaxEvaluated)
      return std::nullopt;
    extents = *c;
  }
  Evaluator eval(type.getContext(), op, known);
  Contents out;
  if (count(*shape) == 0)
    return out;
  SmallVector<int64_t> at(shape->size(), 0);
  do {
    if (generic) {
      auto s = eval.run(generic.getBody(), {}, at);
      if (!s)
        return std::nullopt;
      out.push_back(*s);
      continue;
    }
    std::optional<Expr> acc;
    SmallVector<int64_t> red(extents.size(), 0);
    if (count(extents) == 0)
      return std::nullopt;
    do {
      SmallVector<int64_t> all(at);
      all.append(red);
      auto s = eval.run(reduce.getBody(), {}, all);
      if (!s || !s->isExpr())
        return std::nullopt;
      switch (reduce.getKind()) {
      case ReduceKind::add:
        acc = acc ? *acc + s->e : s->e;
        break;
      case ReduceKind::mul:
        acc = acc ? *acc * s->e : s->e;
        break;
      case ReduceKind::max:
        acc = acc ? Expr::max(*acc, s->e) : s->e;
        break;
      case ReduceKind::min:
        acc = acc ? Expr::min(*acc, s->e) : s->e;
        break;
      default:
        return std::nullopt;
      }
    } while (advance(red, extents));
    auto s = eval.run(reduce.getEpilogue(), {Scalar::of(*acc)}, at);
    if (!s)
      return std::nullopt;
    out.push_back(*s);
  } while (advance(at, *shape));
  return out;
}

std::optional<Contents> import::evaluate(Operation *op, llvm::function_ref<const Contents *(Value)> known) {
  std::optional<Contents> contents = evaluateOp(op, known);
  // What would be too heavy to say in symbols, or no 64-bit number, is left to the run, which computes it like any
  // other tensor and gives it a symbol of its own.
  if (contents && llvm::any_of(*contents, [](const Scalar &s) { return s.isExpr() && s.e.poison(); }))
    return std::nullopt;
  return contents;
}
