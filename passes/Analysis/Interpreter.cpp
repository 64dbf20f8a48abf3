//===- Interpreter.cpp - running bodies on constants ----------------------===//

#include "passes/Analysis/Interpreter.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace kt;

namespace {

constexpr int64_t kLanes = 512;

/// One scalar of each lane. Floats are held as doubles, rounded to their type after every operation; integers
/// sign-extended (i1: 0 or 1).
union Lane {
  int64_t i;
  double f;
};
using Lanes = std::vector<Lane>;

bool isFloat(Type t) { return isa<FloatType>(t); }

int64_t wrap(int64_t v, Type t) {
  unsigned w = t.isIndex() ? 64 : t.getIntOrFloatBitWidth();
  return w == 1 ? (v & 1) : w >= 64 ? v : llvm::SignExtend64(v, w);
}
uint64_t asUnsigned(int64_t v, Type t) {
  unsigned w = t.isIndex() ? 64 : t.getIntOrFloatBitWidth();
  return w >= 64 ? (uint64_t)v : (uint64_t)v & ((uint64_t(1) << w) - 1);
}

/// Conversions between stored floats and doubles; the common widths without APFloat.
struct FloatCodec {
  mutable FloatType type;
  std::vector<double> table; // all values of types of up to 16 bits
  explicit FloatCodec(FloatType type) : type(type) {
    unsigned w = type.getWidth();
    if (w > 16)
      return;
    table.resize(size_t(1) << w);
    for (size_t raw = 0; raw < table.size(); ++raw) {
      llvm::APFloat v(type.getFloatSemantics(), llvm::APInt(w, raw));
      bool lost;
      v.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
      table[raw] = v.convertToDouble();
    }
  }
  double load(const char *at) const {
    if (type.isF32()) {
      float f;
      memcpy(&f, at, 4);
      return f;
    }
    if (type.isF64()) {
      double f;
      memcpy(&f, at, 8);
      return f;
    }
    uint16_t raw = 0;
    memcpy(&raw, at, type.getWidth() > 8 ? 2 : 1);
    return table[raw & (table.size() - 1)];
  }
  uint64_t encode(double v) const {
    if (type.isF32()) {
      float f = (float)v;
      uint32_t raw;
      memcpy(&raw, &f, 4);
      return raw;
    }
    if (type.isF64()) {
      uint64_t raw;
      memcpy(&raw, &v, 8);
      return raw;
    }
    llvm::APFloat f(v);
    bool lost;
    f.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lost);
    return f.bitcastToAPInt().getZExtValue();
  }
  double round(double v) const {
    if (type.isF64())
      return v;
    if (type.isF32())
      return (float)v;
    return table[encode(v) & (table.size() - 1)];
  }
};

class Interpreter {
public:
  Interpreter(GenericOp op, ArrayRef<ArrayRef<char>> inputs) : op(op), inputs(inputs) {}

  std::optional<std::vector<char>> run() {
    SymTensorType type = op.getResult().getType();
    SmallVector<int64_t> shape;
    int64_t total = 1;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      auto c = type.dim(i).asConstant();
      if (!c)
        return std::nullopt;
      shape.push_back(*c);
      total *= *c;
    }
    Block &body = op.getBody().front();
    unsigned count = op.getInputs().size();
    Value yielded = body.getTerminator()->getOperand(0);
    int64_t width = type.elementBytes();
    std::vector<char> out(total * width);
    SmallVector<int64_t> at(shape.size(), 0);
    for (int64_t base = 0; base < total; base += kLanes) {
      lanes = std::min(kLanes, total - base);
      for (size_t d = 0; d < shape.size(); ++d)
        slot(body.getArgument(count + d));
      for (int64_t l = 0; l < lanes; ++l) {
        for (size_t d = 0; d < shape.size(); ++d)
          values[body.getArgument(count + d)][l].i = at[d];
        for (size_t d = shape.size(); d-- > 0;) {
          if (++at[d] < shape[d])
            break;
          at[d] = 0;
        }
      }
      for (Operation &o : body.without_terminator())
        if (!step(&o))
          return std::nullopt;
      const Lanes &result = values[yielded];
      if (auto f = dyn_cast<FloatType>(type.getElementType())) {
        const FloatCodec &codec = codecOf(f);
        for (int64_t l = 0; l < lanes; ++l) {
          uint64_t raw = codec.encode(result[l].f);
          memcpy(out.data() + (base + l) * width, &raw, width);
        }
      } else {
        for (int64_t l = 0; l < lanes; ++l)
          memcpy(out.data() + (base + l) * width, &result[l].i, width);
      }
    }
    return out;
  }

private:
  Lanes &slot(Value v) {
    Lanes &l = values[v];
    if (l.empty())
      l.resize(kLanes);
    return l;
  }
  const FloatCodec &codecOf(FloatType t) {
    auto it = codecs.find(t);
    if (it == codecs.end())
      it = codecs.try_emplace(t, std::make_unique<FloatCodec>(t)).first;
    return *it->second;
  }

  bool read(ReadOp r) {
    unsigned number = cast<BlockArgument>(r.getTensor()).getArgNumber();
    SymTensorType type = r.getTensor().getType();
    SmallVector<const Lanes *> at;
    SmallVector<int64_t> extent;
    for (auto [d, v] : llvm::enumerate(r.getIndices())) {
      auto c = type.dim(d).asConstant();
      if (!c)
        return false;
      extent.push_back(*c);
      at.push_back(&slot(v));
    }
    const Lanes *otherwise = r.getOtherwise() ? &slot(r.getOtherwise()) : nullptr;
    ArrayRef<char> data = inputs[number];
    int64_t width = type.elementBytes();
    auto f = dyn_cast<FloatType>(type.getElementType());
    const FloatCodec *codec = f ? &codecOf(f) : nullptr;
    bool zeroExtend = type.getElementType().isUnsignedInteger() || type.getElementType().isInteger(1);
    Type scalar = type.scalarType();
    Lanes &out = slot(r.getResult());
    for (int64_t l = 0; l < lanes; ++l) {
      int64_t linear = 0;
      bool inside = true;
      for (size_t d = 0; d < at.size(); ++d) {
        int64_t i = (*at[d])[l].i;
        inside &= i >= 0 && i < extent[d];
        linear = linear * extent[d] + i;
      }
      if (!inside) {
        if (!otherwise)
          return false;
        out[l] = (*otherwise)[l];
        continue;
      }
      const char *p = data.data() + linear * width;
      if (codec) {
        out[l].f = codec->load(p);
      } else {
        uint64_t raw = 0;
        memcpy(&raw, p, width);
        out[l].i = zeroExtend && width == 8 ? (int64_t)raw : wrap((int64_t)raw, scalar);
      }
    }
    return true;
  }

  template <typename Fn> bool ints(Operation *o, Fn fn) {
    Type t = o->getResult(0).getType();
    Lanes &out = slot(o->getResult(0));
    const Lanes &a = slot(o->getOperand(0)), &b = slot(o->getOperand(o->getNumOperands() > 1 ? 1 : 0));
    for (int64_t l = 0; l < lanes; ++l)
      out[l].i = wrap(fn(a[l].i, b[l].i), t);
    return true;
  }
  template <typename Fn> bool floats(Operation *o, Fn fn) {
    const FloatCodec &codec = codecOf(cast<FloatType>(o->getResult(0).getType()));
    Lanes &out = slot(o->getResult(0));
    const Lanes &a = slot(o->getOperand(0)), &b = slot(o->getOperand(o->getNumOperands() > 1 ? 1 : 0));
    for (int64_t l = 0; l < lanes; ++l)
      out[l].f = codec.round(fn(a[l].f, b[l].f));
    return true;
  }

  bool step(Operation *o);

  GenericOp op;
  ArrayRef<ArrayRef<char>> inputs;
  int64_t lanes = 0;
  DenseMap<Value, Lanes> values;
  DenseMap<Type, std::unique_ptr<FloatCodec>> codecs;
};

bool Interpreter::step(Operation *o) {
  for (Value v : o->getResults())
    slot(v); // before references into the map are taken
  Type in = o->getNumOperands() ? o->getOperand(o->getNumOperands() - 1).getType() : Type();
  using I = int64_t;
  return llvm::TypeSwitch<Operation *, bool>(o)
      .Case<ReadOp>([&](ReadOp r) { return read(r); })
      .Case<SizeOp>([&](SizeOp s) {
        auto c = Expr(s.getValue()).asConstant();
        for (Lane &l : slot(s.getResult()))
          l.i = c.value_or(0);
        return c.has_value();
      })
      .Case<arith::ConstantOp>([&](arith::ConstantOp c) {
        Lane v;
        if (auto i = dyn_cast<IntegerAttr>(c.getValue()))
          v.i = wrap(i.getType().isIndex() ? i.getInt() : i.getValue().getSExtValue(), i.getType());
        else
          v.f = cast<FloatAttr>(c.getValue()).getValueAsDouble();
        for (Lane &l : slot(c.getResult()))
          l = v;
        return true;
      })
      .Case<arith::AddIOp>([&](auto) { return ints(o, [](I a, I b) { return (I)((uint64_t)a + (uint64_t)b); }); })
      .Case<arith::SubIOp>([&](auto) { return ints(o, [](I a, I b) { return (I)((uint64_t)a - (uint64_t)b); }); })
      .Case<arith::MulIOp>([&](auto) { return ints(o, [](I a, I b) { return (I)((uint64_t)a * (uint64_t)b); }); })
      .Case<arith::AndIOp>([&](auto) { return ints(o, [](I a, I b) { return a & b; }); })
      .Case<arith::OrIOp>([&](auto) { return ints(o, [](I a, I b) { return a | b; }); })
      .Case<arith::XOrIOp>([&](auto) { return ints(o, [](I a, I b) { return a ^ b; }); })
      .Case<arith::MaxSIOp>([&](auto) { return ints(o, [](I a, I b) { return std::max(a, b); }); })
      .Case<arith::MinSIOp>([&](auto) { return ints(o, [](I a, I b) { return std::min(a, b); }); })
      .Case<arith::ShLIOp>([&](auto) { return ints(o, [](I a, I b) { return b > 63 ? 0 : (I)((uint64_t)a << b); }); })
      .Case<arith::ShRUIOp>(
          [&](auto) { return ints(o, [&](I a, I b) { return b > 63 ? 0 : (I)(asUnsigned(a, in) >> b); }); })
      .Case<arith::ShRSIOp>([&](auto) { return ints(o, [](I a, I b) { return a >> std::min<I>(b, 63); }); })
      .Case<arith::DivSIOp>([&](auto) { return ints(o, [](I a, I b) { return b == 0    ? 0
                                                                             : b == -1 ? -a
                                                                                       : a / b; }); })
      .Case<arith::RemSIOp>([&](auto) { return ints(o, [](I a, I b) { return b == 0 || b == -1 ? 0 : a % b; }); })
      .Case<arith::DivUIOp>([&](auto) {
        return ints(o, [&](I a, I b) { return b == 0 ? 0 : (I)(asUnsigned(a, in) / asUnsigned(b, in)); });
      })
      .Case<arith::RemUIOp>([&](auto) {
        return ints(o, [&](I a, I b) { return b == 0 ? 0 : (I)(asUnsigned(a, in) % asUnsigned(b, in)); });
      })
      .Case<arith::CmpIOp>([&](arith::CmpIOp c) {
        using P = arith::CmpIPredicate;
        P p = c.getPredicate();
        return ints(o, [&](I a, I b) -> I {
          uint64_t ua = asUnsigned(a, in), ub = asUnsigned(b, in);
          switch (p) {
          case P::eq:
            return a == b;
          case P::ne:
            return a != b;
          case P::slt:
            return a < b;
          case P::sle:
            return a <= b;
          case P::sgt:
            return a > b;
          case P::sge:
            return a >= b;
          case P::ult:
            return ua < ub;
          case P::ule:
            return ua <= ub;
          case P::ugt:
            return ua > ub;
          case P::uge:
            return ua >= ub;
          }
          return 0;
        });
      })
      .Case<arith::CmpFOp>([&](arith::CmpFOp c) {
        using P = arith::CmpFPredicate;
        P p = c.getPredicate();
        Lanes &out = slot(o->getResult(0));
        const Lanes &x = slot(o->getOperand(0)), &y = slot(o->getOperand(1));
        for (int64_t l = 0; l < lanes; ++l) {
          double a = x[l].f, b = y[l].f;
          bool unordered = std::isnan(a) || std::isnan(b);
          bool r = p == P::OEQ   ? a == b
                   : p == P::UNE ? unordered || a != b
                   : p == P::ONE ? !unordered && a != b
                   : p == P::OLT ? a < b
                   : p == P::OLE ? a <= b
                   : p == P::OGT ? a > b
                   : p == P::OGE ? a >= b
                   : p == P::UNO ? unordered
                                 : !unordered;
          if (p != P::OEQ && p != P::UNE && p != P::ONE && p != P::OLT && p != P::OLE && p != P::OGT && p != P::OGE &&
              p != P::UNO && p != P::ORD)
            return false;
          out[l].i = r;
        }
        return true;
      })
      .Case<arith::SelectOp>([&](auto) {
        Lanes &out = slot(o->getResult(0));
        const Lanes &c = slot(o->getOperand(0)), &x = slot(o->getOperand(1)), &y = slot(o->getOperand(2));
        for (int64_t l = 0; l < lanes; ++l)
          out[l] = c[l].i ? x[l] : y[l];
        return true;
      })
      .Case<arith::IndexCastOp, arith::TruncIOp, arith::ExtSIOp>([&](auto) {
        bool isSigned = !in.isInteger(1) || !isa<arith::ExtSIOp>(o);
        return ints(o, [&](I a, I) { return isSigned ? a : -a; });
      })
      .Case<arith::IndexCastUIOp, arith::ExtUIOp>(
          [&](auto) { return ints(o, [&](I a, I) { return (I)asUnsigned(a, in); }); })
      .Case<arith::SIToFPOp, arith::UIToFPOp>([&](auto) {
        const FloatCodec &codec = codecOf(cast<FloatType>(o->getResult(0).getType()));
        Lanes &out = slot(o->getResult(0));
        const Lanes &x = slot(o->getOperand(0));
        bool isSigned = isa<arith::SIToFPOp>(o);
        for (int64_t l = 0; l < lanes; ++l)
          out[l].f = codec.round(isSigned ? (double)x[l].i : (double)asUnsigned(x[l].i, in));
        return true;
      })
      .Case<arith::FPToSIOp>([&](auto) {
        Type t = o->getResult(0).getType();
        Lanes &out = slot(o->getResult(0));
        const Lanes &x = slot(o->getOperand(0));
        for (int64_t l = 0; l < lanes; ++l)
          out[l].i = std::fabs(x[l].f) < 9.3e18 ? wrap((I)x[l].f, t) : 0;
        return true;
      })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](auto) { return floats(o, [](double a, double) { return a; }); })
      .Case<arith::AddFOp>([&](auto) { return floats(o, [](double a, double b) { return a + b; }); })
      .Case<arith::SubFOp>([&](auto) { return floats(o, [](double a, double b) { return a - b; }); })
      .Case<arith::MulFOp>([&](auto) { return floats(o, [](double a, double b) { return a * b; }); })
      .Case<arith::DivFOp>([&](auto) { return floats(o, [](double a, double b) { return a / b; }); })
      .Case<arith::NegFOp>([&](auto) { return floats(o, [](double a, double) { return -a; }); })
      .Case<arith::MaximumFOp>([&](auto) {
        return floats(o, [](double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); });
      })
      .Case<arith::MinimumFOp>([&](auto) {
        return floats(o, [](double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b); });
      })
      .Case<math::SqrtOp>([&](auto) { return floats(o, [](double a, double) { return std::sqrt(a); }); })
      .Case<math::RsqrtOp>([&](auto) { return floats(o, [](double a, double) { return 1 / std::sqrt(a); }); })
      .Case<math::AbsFOp>([&](auto) { return floats(o, [](double a, double) { return std::fabs(a); }); })
      .Case<math::FloorOp>([&](auto) { return floats(o, [](double a, double) { return std::floor(a); }); })
      .Case<math::CeilOp>([&](auto) { return floats(o, [](double a, double) { return std::ceil(a); }); })
      .Case<math::RoundEvenOp>([&](auto) { return floats(o, [](double a, double) { return std::nearbyint(a); }); })
      .Case<math::ExpOp>([&](auto) { return floats(o, [](double a, double) { return std::exp(a); }); })
      .Case<math::LogOp>([&](auto) { return floats(o, [](double a, double) { return std::log(a); }); })
      .Case<math::SinOp>([&](auto) { return floats(o, [](double a, double) { return std::sin(a); }); })
      .Case<math::CosOp>([&](auto) { return floats(o, [](double a, double) { return std::cos(a); }); })
      .Case<math::TanhOp>([&](auto) { return floats(o, [](double a, double) { return std::tanh(a); }); })
      .Case<math::ErfOp>([&](auto) { return floats(o, [](double a, double) { return std::erf(a); }); })
      .Case<math::PowFOp>([&](auto) { return floats(o, [](double a, double b) { return std::pow(a, b); }); })
      .Default([](Operation *) { return false; });
}

} // namespace

std::optional<std::vector<char>> kt::interpret(GenericOp op, ArrayRef<ArrayRef<char>> inputs) {
  return Interpreter(op, inputs).run();
}
