//===- Quantisation.cpp - integers of 8 bits that floats become and come from ---===//
//
//   %r = roundeven(%x / s) + zero            %q = %x * high + %x * low        s's inverse in two floats
//   %c = clamp %r, low, high            ->   %c = clamp %q, low - zero, high - zero
//   %i = trunci (fptosi %c) : i8             %b = %c + 1.5 * 2^23             its last byte is the rounded quotient
//
// Conversions between floats and integers, and rounding, are a quarter of an addition's rate and less. Added to a
// number whose last place is one, a float is rounded to the nearest integer, ties to even, and its last bits are that
// integer; bits put below such a number are a float that one subtraction makes the integer. What is quantised and
// dequantised at once, as an epilogue does for the addition behind it, never leaves floats.
//
//===----------------------------------------------------------------------===//

#include "codegen/PTX/Lower.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include <array>
#include <cmath>
#include <map>

using namespace mlir;
using namespace kt;

namespace {

/// What numbers below 2^22 are added to, and what bytes are put below.
constexpr float kRound = 0x1.8p23f, kWide = 0x1p23f;
constexpr float kLeastDivisor = 0x1p-60f, kMostDivisor = 0x1p60f;

std::optional<float> constantOf(Value v) {
  APFloat constant(0.0f);
  if (!v.getType().isF32() || !matchPattern(v, m_ConstantFloat(&constant)))
    return std::nullopt;
  return constant.convertToFloat();
}

/// The first operand and the constant second one of an `Op`.
template <typename Op> std::optional<std::pair<Value, float>> withConstant(Value v) {
  auto op = v.getDefiningOp<Op>();
  std::optional<float> constant = op ? constantOf(op->getOperand(1)) : std::nullopt;
  if (!constant)
    return std::nullopt;
  return std::pair(op->getOperand(0), *constant);
}

/// select (x predicate bound), x, bound: what is no number becomes the bound.
std::optional<std::pair<Value, float>> boundedBy(Value v, arith::CmpFPredicate predicate) {
  auto select = v.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : arith::CmpFOp();
  if (!compare || compare.getPredicate() != predicate || compare.getLhs() != select.getTrueValue() ||
      compare.getRhs() != select.getFalseValue())
    return std::nullopt;
  std::optional<float> bound = constantOf(compare.getRhs());
  if (!bound)
    return std::nullopt;
  return std::pair(compare.getLhs(), *bound);
}

/// trunci (fptosi (clamp (roundeven quotient) + zero, low, high)) : i8.
struct Quantised {
  arith::TruncIOp op;
  Value quotient;
  float zero = 0, low, high;

  /// Of the quotient, rounded.
  float least() const { return low - zero; }
  float most() const { return high - zero; }
};

std::optional<Quantised> quantisedBy(arith::TruncIOp op) {
  auto integer = op.getType().isInteger(8) ? op.getIn().getDefiningOp<arith::FPToSIOp>() : arith::FPToSIOp();
  auto above = integer ? boundedBy(integer.getIn(), arith::CmpFPredicate::OLE) : std::nullopt;
  auto below = above ? boundedBy(above->first, arith::CmpFPredicate::OGE) : std::nullopt;
  if (!below)
    return std::nullopt;
  Quantised q{op, below->first, 0, below->second, above->second};
  if (auto shifted = withConstant<arith::AddFOp>(q.quotient))
    std::tie(q.quotient, q.zero) = *shifted;
  auto rounded = q.quotient.getDefiningOp<math::RoundEvenOp>();
  auto isByte = [](float v) { return v == std::rint(v) && std::abs(v) <= 255; };
  bool isUnsigned = q.low == 0 && q.high == 255, isSigned = q.low == -128 && q.high == 127;
  if (!rounded || !rounded.getType().isF32() || !isByte(q.zero) || !(isUnsigned || isSigned))
    return std::nullopt;
  q.quotient = rounded.getOperand();
  return q;
}

/// The inverse of a divisor as a sum of two floats, the second of which is not negative, so that infinities stay what
/// they are. Products with both and quotients are nearly always rounded alike; this one is where it matters.
struct Inverse {
  float high, low;

  explicit Inverse(float divisor) {
    double whole = 1 / (double)divisor;
    high = (float)whole;
    if (high > whole)
      high = std::nextafter(high, 0.0f);
    low = (float)(whole - high);
  }
  float times(float x) const { return low == 0 ? x * high : std::fma(x, high, x * low); }

  /// Whether products round to the same integers as quotients by `divisor`, in [least, most]. Both grow with x, so that
  /// is so if both pass from an integer to the next at the same x.
  bool roundsLike(float divisor, float least, float most) const {
    constexpr int kBeside = 4;
    for (int n = (int)least; n < (int)most; ++n) {
      float x = ((float)n + 0.5f) * divisor;
      for (int i = 0; i < kBeside; ++i)
        x = std::nextafter(x, -INFINITY);
      for (int i = -kBeside; i <= kBeside; ++i, x = std::nextafter(x, INFINITY)) {
        float exact = std::nearbyint(x / divisor);
        bool passed = i == -kBeside ? exact == (float)n : i == kBeside ? exact == (float)(n + 1) : true;
        if (!passed || exact != std::nearbyint(times(x)))
          return false;
      }
    }
    return true;
  }
};

/// An integer in single precision, in [least, most], times `scale`.
struct Term {
  Value integer;
  float scale;
  int least, most;
};

/// Factors of a and b whose sum rounds to the same integers as a quotient of what two terms are, each rounded.
struct Factors {
  float first, second;
};

/// What becomes of a quotient between two integers: the sum of kRound and the integer that it is rounded to.
float roundedIn(float v, float least, float most) { return std::min(std::max(v, least), most) + kRound; }

bool sumsRoundLike(const Term &a, const Term &b, float divisor, float least, float most, Factors factors) {
#pragma clang fp contract(off)
  // Middle ones first: those at the ends are often cut off.
  for (int i = 0, n = a.most - a.least + 1; i < n; ++i) {
    float x = (float)(a.least + (i + n / 2) % n), scaled = x * a.scale;
    for (int j = b.least; j <= b.most; ++j) {
      float y = (float)j, sum = scaled + y * b.scale;
      if (roundedIn(sum / divisor, least, most) !=
          roundedIn(std::fma(x, factors.first, y * factors.second), least, most))
        return false;
    }
  }
  return true;
}

/// All pairs are tried for each two factors near to the quotients: of some 65,000 a few are so near to a half that it
/// depends on the last place.
std::optional<Factors> factorsOf(const Term &a, const Term &b, float divisor, float least, float most) {
  constexpr int kBeside = 3;
  auto near = [&](float scale, int places) {
    float v = (float)((double)scale / divisor);
    for (int i = 0; i < std::abs(places); ++i)
      v = std::nextafter(v, places < 0 ? 0.0f : INFINITY);
    return v;
  };
  for (int beside = 0; beside <= kBeside; ++beside)
    for (int i = -beside; i <= beside; ++i)
      for (int j = -beside; j <= beside; ++j) {
        Factors factors{near(a.scale, i), near(b.scale, j)};
        if (std::max(std::abs(i), std::abs(j)) == beside && sumsRoundLike(a, b, divisor, least, most, factors))
          return factors;
      }
  return std::nullopt;
}

class Shortener {
public:
  explicit Shortener(ModuleOp module) : b(module.getContext()) {
    module.walk([&](arith::TruncIOp op) {
      if (std::optional<Quantised> q = quantisedBy(op))
        found.push_back(*q);
    });
    module.walk([&](arith::SIToFPOp op) { widened.push_back(op); });
  }

  void run() {
    // What is read comes before what is made of it: sums of both are looked for.
    for (arith::SIToFPOp op : SmallVector<arith::SIToFPOp>(widened))
      if (!isMade(op))
        widen(op);
    for (Quantised &q : found)
      shorten(q);
    for (arith::SIToFPOp op : widened)
      if (op)
        widen(op);
  }

private:
  Value f(float v) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(v)); }
  Value add(Value x, float y) { return y == 0 ? x : arith::AddFOp::create(b, loc, x, f(y)).getResult(); }
  Value bitsOf(Value x) { return arith::BitcastOp::create(b, loc, b.getI32Type(), x); }

  void at(Operation *op) {
    b.setInsertionPoint(op);
    loc = op->getLoc();
  }

  void shorten(Quantised &q) {
    at(q.op);
    float least = q.least();
    Value quotient = multiplied(q, least);
    if (!quotient) // multiplyRoundedQuotients corrects it
      return;
    // Of a number and what is none the instruction takes the number.
    Value clamped = arith::MaxNumFOp::create(b, loc, quotient, f(least));
    clamped = arith::MinNumFOp::create(b, loc, clamped, f(q.most()));
    SmallVector<arith::SIToFPOp> again;
    bool asByte = false;
    for (Operation *user : q.op->getUsers())
      asByte |= !widenings(q, user, again);
    // An even number may be added at once: ties go where they went.
    bool once = again.empty() && std::fmod(q.zero, 2.0f) == 0;
    Value rounded = add(clamped, once ? kRound + q.zero : kRound);
    for (arith::SIToFPOp op : again) {
      Value back = add(rounded, -kRound);
      at(op);
      float zero = zeroOf(op);
      Value integer = add(back, q.zero - zero);
      integers[integer] = {(int)(q.low - zero), (int)(q.high - zero)};
      op.replaceAllUsesWith(integer);
      erase(op);
      at(q.op);
    }
    if (asByte) {
      Value integer = bitsOf(once ? rounded : add(rounded, q.zero));
      q.op.replaceAllUsesWith(arith::TruncIOp::create(b, loc, b.getI8Type(), integer).getResult());
      q.op.erase();
    }
  }

  /// The quotient without its division where that is known to round alike, else null, and without an activation that
  /// the lower bound repeats, or says then. What is divided by no constant is as it was.
  Value multiplied(const Quantised &q, float &least) {
    auto divided = withConstant<arith::DivFOp>(q.quotient);
    if (!divided || !(divided->second >= kLeastDivisor && divided->second <= kMostDivisor))
      return q.quotient;
    auto [x, divisor] = *divided;
    Value activated = x;
    if (auto positive = withConstant<arith::MaximumFOp>(x); positive && positive->second == 0)
      x = positive->first;
    if (auto sum = x.getDefiningOp<arith::AddFOp>()) {
      // Integers are numbers, so what an activation cuts off is below zero.
      float bound = activated == x ? least : std::max(least, 0.0f);
      if (Value v = summed(sum, divisor, bound, q.most())) {
        least = bound;
        return v;
      }
    }
    if (least < 0)
      x = activated;
    Inverse inverse(divisor);
    if (!inverse.roundsLike(divisor, least, q.most()))
      return {};
    Value high = f(inverse.high);
    if (inverse.low == 0)
      return arith::MulFOp::create(b, loc, x, high);
    return math::FmaOp::create(b, loc, x, high, arith::MulFOp::create(b, loc, x, f(inverse.low)));
  }

  std::optional<Term> termOf(Value v) {
    auto scaled = withConstant<arith::MulFOp>(v);
    auto range = scaled ? integers.find(scaled->first) : integers.end();
    if (range == integers.end() || !(scaled->second >= kLeastDivisor && scaled->second <= kMostDivisor))
      return std::nullopt;
    return Term{scaled->first, scaled->second, range->second.first, range->second.second};
  }

  /// The quotient of a sum of what was dequantised, from the integers; null where that rounds otherwise.
  Value summed(arith::AddFOp sum, float divisor, float least, float most) {
    std::optional<Term> x = termOf(sum.getLhs()), y = termOf(sum.getRhs());
    if (!x || !y)
      return {};
    auto [it, fresh] =
        factors.try_emplace({x->scale, y->scale, divisor, least, most, (float)x->least, (float)y->least});
    if (fresh)
      it->second = factorsOf(*x, *y, divisor, least, most);
    if (!it->second)
      return {};
    Value second = arith::MulFOp::create(b, loc, y->integer, f(it->second->second));
    return math::FmaOp::create(b, loc, x->integer, f(it->second->first), second);
  }

  /// Whether `op` widens an integer that is among those found.
  bool isMade(arith::SIToFPOp op) {
    Value v = op.getIn();
    if (auto less = v.getDefiningOp<arith::SubIOp>())
      v = less.getLhs();
    Operation *extend = v.getDefiningOp();
    return isa_and_nonnull<arith::ExtUIOp, arith::ExtSIOp>(extend) &&
           llvm::any_of(found, [&](const Quantised &q) { return q.op == extend->getOperand(0).getDefiningOp(); });
  }

  /// Takes into `all` what makes floats of the integers that `user` widens; false where `user` does something else.
  bool widenings(const Quantised &q, Operation *user, SmallVector<arith::SIToFPOp> &all) {
    if (!(q.low == 0 ? isa<arith::ExtUIOp>(user) : isa<arith::ExtSIOp>(user)) ||
        !user->getResult(0).getType().isInteger(32))
      return false;
    SmallVector<arith::SIToFPOp> here;
    for (Operation *next : user->getUsers()) {
      auto less = dyn_cast<arith::SubIOp>(next);
      SmallVector<Operation *> last{next};
      if (less && less.getLhs() == user->getResult(0) && matchPattern(less.getRhs(), m_Constant()))
        last = SmallVector<Operation *>(less->getUsers());
      for (Operation *op : last) {
        auto wide = dyn_cast<arith::SIToFPOp>(op);
        if (!wide || !wide.getType().isF32())
          return false;
        here.push_back(wide);
      }
    }
    all.append(here);
    return true;
  }

  /// What is taken off an integer before it becomes a float.
  static float zeroOf(arith::SIToFPOp op) {
    APInt zero;
    auto less = op.getIn().getDefiningOp<arith::SubIOp>();
    return less && matchPattern(less.getRhs(), m_ConstantInt(&zero)) ? (float)zero.getSExtValue() : 0;
  }

  /// float (byte - zero): the byte below a power of two, less both.
  void widen(arith::SIToFPOp op) {
    constexpr float kMostZero = 0x1p20f;
    Value v = op.getIn();
    float zero = zeroOf(op);
    if (auto less = v.getDefiningOp<arith::SubIOp>()) {
      if (!matchPattern(less.getRhs(), m_Constant()))
        return;
      v = less.getLhs();
    }
    Operation *extend = v.getDefiningOp();
    if (!isa_and_nonnull<arith::ExtUIOp, arith::ExtSIOp>(extend) || !extend->getOperand(0).getType().isInteger(8) ||
        !op.getType().isF32() || std::abs(zero) > kMostZero)
      return;
    at(op);
    bool isSigned = isa<arith::ExtSIOp>(extend);
    Value bits = placed(extend->getOperand(0), isSigned);
    Value wide = arith::BitcastOp::create(b, loc, b.getF32Type(), bits);
    Value integer = add(wide, -(kWide + (isSigned ? 128 : 0) + zero));
    integers[integer] = {(isSigned ? -128 : 0) - (int)zero, (isSigned ? 127 : 255) - (int)zero};
    op.replaceAllUsesWith(integer);
    erase(op);
  }

  /// `byte`, less its sign's meaning, below kWide's bits: of a word that was loaded, by one permutation.
  Value placed(Value byte, bool isSigned) {
    auto i32 = [&](uint32_t v) {
      return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr((int32_t)v)).getResult();
    };
    uint32_t above = llvm::bit_cast<uint32_t>(kWide);
    auto element = byte.getDefiningOp<LLVM::ExtractElementOp>();
    auto cast = element ? element.getVector().getDefiningOp<LLVM::BitcastOp>() : LLVM::BitcastOp();
    APInt place;
    if (cast && matchPattern(element.getPosition(), m_ConstantInt(&place))) {
      Value word = cast.getArg();
      uint64_t at = place.getZExtValue();
      if (auto words = dyn_cast<VectorType>(word.getType()); words && words.getElementType().isInteger(32))
        word = LLVM::ExtractElementOp::create(b, loc, word, i32(at / 4));
      if (word.getType().isInteger(32)) {
        if (isSigned)
          word = arith::XOrIOp::create(b, loc, word, i32(0x80808080));
        return LLVM::CallIntrinsicOp::create(b, loc, b.getI32Type(), b.getStringAttr("llvm.nvvm.prmt"),
                                             ValueRange{word, i32(above), i32(0x7440 | at % 4)})
            .getResult(0);
      }
    }
    Value wide = arith::ExtUIOp::create(b, loc, b.getI32Type(), byte);
    if (isSigned)
      wide = arith::XOrIOp::create(b, loc, wide, i32(0x80));
    return arith::OrIOp::create(b, loc, wide, i32(above));
  }

  void erase(arith::SIToFPOp op) {
    for (arith::SIToFPOp &other : widened)
      if (other == op)
        other = {};
    op.erase();
  }

  OpBuilder b;
  Location loc = b.getUnknownLoc();
  SmallVector<Quantised> found;
  SmallVector<arith::SIToFPOp> widened;
  llvm::DenseMap<Value, std::pair<int, int>> integers; // in single precision, and where they lie
  std::map<std::array<float, 7>, std::optional<Factors>> factors;
};

} // namespace

void kt::gpu::shortenQuantisation(ModuleOp module) { Shortener(module).run(); }
