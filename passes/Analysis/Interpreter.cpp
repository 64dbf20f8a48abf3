//===- Interpreter.cpp - running bodies on constants ----------------------===//

#include "passes/Analysis/Interpreter.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/Permutation.h"
#include "llvm/ADT/TypeSwitch.h"
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

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

int64_t wrap(int64_t v, Type t) {
  unsigned w = t.isIndex() ? 64 : t.getIntOrFloatBitWidth();
  return w == 1 ? (v & 1) : w >= 64 ? v : llvm::SignExtend64(v, w);
}
uint64_t asUnsigned(int64_t v, Type t) {
  unsigned w = t.isIndex() ? 64 : t.getIntOrFloatBitWidth();
  return w >= 64 ? (uint64_t)v : (uint64_t)v & ((uint64_t(1) << w) - 1);
}

/// Conversions between stored floats and doubles; the common types without APFloat.
class FloatCodec {
public:
  /// The codec of a type; one a format and process, since a table takes a while to fill.
  static const FloatCodec &get(FloatType type) {
    static std::mutex mutex;
    static std::map<const llvm::fltSemantics *, std::unique_ptr<FloatCodec>> all;
    std::lock_guard lock(mutex);
    auto &codec = all[&type.getFloatSemantics()];
    if (!codec)
      codec.reset(new FloatCodec(type));
    return *codec;
  }
  double load(const char *at) const {
    if (kind == F32) {
      float f;
      memcpy(&f, at, 4);
      return f;
    }
    if (kind == F64) {
      double f;
      memcpy(&f, at, 8);
      return f;
    }
    uint16_t raw = 0;
    memcpy(&raw, at, bytes);
    return table[raw & (table.size() - 1)];
  }
  uint64_t encode(double v) const {
    if (kind == F32)
      return std::bit_cast<uint32_t>((float)v);
    if (kind == F64)
      return std::bit_cast<uint64_t>(v);
    // What a float holds exactly is rounded once, by the short way.
    if (float f = (float)v; (double)f == v) {
      if (kind == F16)
        return half(f);
      if (kind == BF16) {
        uint32_t raw = std::bit_cast<uint32_t>(f);
        return (raw + 0x7fff + (raw >> 16 & 1)) >> 16;
      }
    }
    llvm::APFloat f(v);
    bool lost;
    f.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &lost);
    return f.bitcastToAPInt().getZExtValue();
  }
  double round(double v) const {
    if (kind == F64)
      return v;
    if (kind == F32)
      return (float)v;
    return table[encode(v) & (table.size() - 1)];
  }

private:
  /// The half-precision number nearest to one that is no NaN, ties to even. The addition of a half rounds where the
  /// result is a denormal, the carry into the exponent everywhere else.
  static uint16_t half(float f) {
    uint32_t raw = std::bit_cast<uint32_t>(f), sign = raw >> 16 & 0x8000;
    raw &= 0x7fffffff;
    if (raw >= 0x47800000) // 2^16
      return sign | 0x7c00;
    if (raw < 0x38800000) // 2^-14
      return sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(raw) + 0.5f) - std::bit_cast<uint32_t>(0.5f));
    return sign | ((raw - 0x38000000 + 0xfff + (raw >> 13 & 1)) >> 13);
  }
  explicit FloatCodec(FloatType type)
      : semantics(type.getFloatSemantics()), bytes(type.getWidth() > 8 ? 2 : 1), kind(type.isF32()    ? F32
                                                                                      : type.isF64()  ? F64
                                                                                      : type.isF16()  ? F16
                                                                                      : type.isBF16() ? BF16
                                                                                                      : Other) {
    unsigned w = type.getWidth();
    if (w > 16)
      return;
    table.resize(size_t(1) << w);
    for (size_t raw = 0; raw < table.size(); ++raw) {
      llvm::APFloat v(semantics, llvm::APInt(w, raw));
      bool lost;
      v.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lost);
      table[raw] = v.convertToDouble();
    }
  }
  const llvm::fltSemantics &semantics;
  unsigned bytes;
  enum { F64, F32, F16, BF16, Other } kind;
  std::vector<double> table; // all values of types of up to 16 bits
};

class Interpreter {
public:
  /// Of inputs that are read at the body's own indices there are the elements from `origin` on.
  Interpreter(GenericOp op, ArrayRef<ArrayRef<char>> inputs, ArrayRef<int64_t> shape, int64_t origin = 0)
      : op(op), inputs(inputs), shape(shape), origin(origin) {}

  /// Computes elements [begin, end) of the result, in row-major order, to `out`, where element `origin` lies. False
  /// where something is not interpreted.
  bool run(int64_t begin, int64_t end, char *out) {
    Block &body = op.getBody().front();
    unsigned count = op.getInputs().size();
    Value yielded = body.getTerminator()->getOperand(0);
    SymTensorType type = op.getResult().getType();
    int64_t width = type.elementBytes();
    auto f = dyn_cast<FloatType>(type.getElementType());
    const FloatCodec *codec = f ? &codecOf(f) : nullptr;
    SmallVector<int64_t> at(shape.size(), 0);
    for (int64_t d = shape.size(), rest = begin; d-- > 0; rest /= shape[d])
      at[d] = rest % shape[d];
    // Reads of the element itself need no indices, which take as long to count as all the rest.
    bool needsIndices = false;
    for (size_t d = 0; d < shape.size(); ++d)
      for (Operation *user : body.getArgument(count + d).getUsers()) {
        auto read = dyn_cast<ReadOp>(user);
        needsIndices |= !read || !readsItself(read);
      }
    for (base = begin; base < end; base += kLanes) {
      lanes = std::min(kLanes, end - base);
      for (size_t d = 0; d < shape.size(); ++d)
        slot(body.getArgument(count + d));
      for (int64_t l = 0; needsIndices && l < lanes; ++l) {
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
          return false;
      const Lanes &result = values[yielded];
      for (int64_t l = 0; l < lanes; ++l) {
        uint64_t raw = codec ? codec->encode(result[l].f) : (uint64_t)result[l].i;
        memcpy(out + (base - origin + l) * width, &raw, width);
      }
    }
    return true;
  }

private:
  Lanes &slot(Value v) {
    Lanes &l = values[v];
    if (l.empty())
      l.resize(kLanes);
    return l;
  }
  const FloatCodec &codecOf(FloatType t) {
    const FloatCodec *&codec = codecs[t];
    if (!codec)
      codec = &FloatCodec::get(t);
    return *codec;
  }

  /// The element with the result's own indices, of a tensor of its shape.
  bool readsItself(ReadOp r) {
    SymTensorType type = r.getTensor().getType();
    if (!isIdentityRead(r, op.getInputs().size(), shape.size()))
      return false;
    for (auto [d, n] : llvm::enumerate(shape))
      if (!type.dim(d).isConstant(n))
        return false;
    return true;
  }

  bool read(ReadOp r) {
    SymTensorType type = r.getTensor().getType();
    Lanes &out = slot(r.getResult());
    // Where each lane's element lies; negative outside.
    places.resize(lanes);
    if (readsItself(r)) {
      for (int64_t l = 0; l < lanes; ++l)
        places[l] = base - origin + l;
    } else {
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
      for (int64_t l = 0; l < lanes; ++l) {
        int64_t linear = 0;
        bool inside = true;
        for (size_t d = 0; d < at.size(); ++d) {
          int64_t i = (*at[d])[l].i;
          inside &= i >= 0 && i < extent[d];
          linear = linear * extent[d] + i;
        }
        places[l] = inside ? linear : -1;
        if (inside)
          continue;
        if (!otherwise)
          return false;
        out[l] = (*otherwise)[l];
      }
    }
    const char *data = inputs[cast<BlockArgument>(r.getTensor()).getArgNumber()].data();
    int64_t width = type.elementBytes();
    if (auto f = dyn_cast<FloatType>(type.getElementType())) {
      const FloatCodec &codec = codecOf(f);
      for (int64_t l = 0; l < lanes; ++l)
        if (places[l] >= 0)
          out[l].f = codec.load(data + places[l] * width);
      return true;
    }
    bool zeroExtend = type.getElementType().isUnsignedInteger() || type.getElementType().isInteger(1);
    Type scalar = type.scalarType();
    for (int64_t l = 0; l < lanes; ++l)
      if (places[l] >= 0) {
        uint64_t raw = 0;
        memcpy(&raw, data + places[l] * width, width);
        out[l].i = zeroExtend && width == 8 ? (int64_t)raw : wrap((int64_t)raw, scalar);
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
  ArrayRef<int64_t> shape;        // of the result
  int64_t origin;                 // of the elements that are there
  int64_t base = 0, lanes = 0;    // the elements at hand
  SmallVector<int64_t, 0> places; // of a read's elements
  DenseMap<Value, Lanes> values;
  DenseMap<Type, const FloatCodec *> codecs;
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
      .Case<BoundedOp>([&](BoundedOp bounded) {
        auto limit = Expr(bounded.getLimit()).asConstant();
        const Lanes &value = slot(bounded.getValue());
        const Lanes *when = bounded.getWhen() ? &slot(bounded.getWhen()) : nullptr;
        Lanes &out = slot(bounded.getResult());
        for (int64_t l = 0; limit && l < lanes; ++l) {
          int64_t i = value[l].i;
          out[l].i = i < 0 && bounded.getWraps() ? i + *limit : i;
          if (out[l].i >= 0 && out[l].i < *limit)
            continue;
          if (!when || (*when)[l].i)
            return false; // the run is to report it
          out[l].i = 0;
        }
        return limit.has_value();
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

/// Its dimensions; nothing where they are not constant.
static std::optional<SmallVector<int64_t>> shapeOf(SymTensorType type) {
  SmallVector<int64_t> shape;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    auto c = type.dim(i).asConstant();
    if (!c)
      return std::nullopt;
    shape.push_back(*c);
  }
  return shape;
}

bool kt::interpretElements(GenericOp op, int64_t begin, ArrayRef<char> input, MutableArrayRef<char> out) {
  SymTensorType type = op.getResult().getType();
  auto shape = shapeOf(type);
  int64_t count = out.size() / type.elementBytes();
  return shape && Interpreter(op, input, *shape, begin).run(begin, begin + count, out.data());
}

std::optional<std::vector<char>> kt::interpret(GenericOp op, ArrayRef<ArrayRef<char>> inputs) {
  SymTensorType type = op.getResult().getType();
  auto shape = shapeOf(type);
  if (!shape)
    return std::nullopt;
  int64_t total = *type.numElements().asConstant(), width = type.elementBytes();
  std::vector<char> out(total * width);
  if (total == 0)
    return out;
  MLIRContext *context = op.getContext();
  if (auto perm = asPermutation(op); perm && !shape->empty() && (int64_t)inputs[0].size() == total * width) {
    Permutation order(*shape, *perm, width);
    constexpr int64_t kRows = 64;
    parallelFor(context, 0, llvm::divideCeil(order.rows(), kRows), [&](size_t i) {
      int64_t begin = i * kRows, end = std::min(begin + kRows, order.rows());
      order.copyRows(inputs[0].data(), begin, end, out.data() + begin * order.rowBytes());
    });
    return out;
  }
  constexpr int64_t kChunk = 64 * kLanes;
  std::atomic<bool> known = true;
  parallelFor(context, 0, (total + kChunk - 1) / kChunk, [&](size_t i) {
    int64_t begin = i * kChunk;
    if (known && !Interpreter(op, inputs, *shape).run(begin, std::min(begin + kChunk, total), out.data()))
      known = false;
  });
  if (!known)
    return std::nullopt;
  return out;
}
