//===- Bytes.cpp - products of 8-bit integers on the host -----------------===//

#include "codegen/Host/Bytes.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

std::optional<ByteFactors> ByteFactors::of(Type lhs, Type rhs) {
  if (!lhs.isInteger(8) || !rhs.isInteger(8))
    return std::nullopt;
  return ByteFactors{lhs.isUnsignedInteger(), rhs.isUnsignedInteger()};
}

std::string ByteFactors::name() const {
  return std::string(".") + (lhsUnsigned ? "u" : "s") + (rhsUnsigned ? "u" : "s");
}

static Value bitcast(Emitter &e, Value v, Type element) {
  auto type = cast<VectorType>(v.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  return LLVM::BitcastOp::create(e.b, e.loc, VectorType::get(bits / element.getIntOrFloatBitWidth(), element), v);
}

static Value intrinsic(Emitter &e, StringRef name, Type type, ValueRange args) {
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, type, e.b.getStringAttr(name), args).getResult(0);
}

Value ByteFactors::multiplyAdd(Emitter &e, const Isa &isa, Value x, Value w, Value sum) const {
  bool wide = isa.vectorBytes == 64;
  if (isa.dots) {
    Value rows = bitcast(e, x, e.b.getI8Type()), columns = bitcast(e, w, e.b.getI8Type());
    if (rhsUnsigned) // the unsigned side comes first
      std::swap(rows, columns);
    StringRef name = wide ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256";
    return intrinsic(e, name, sum.getType(), {sum, rows, columns});
  }
  StringRef name = wide ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  Type i16 = e.b.getI16Type();
  return e.add(sum, intrinsic(e, name, sum.getType(), {bitcast(e, x, i16), bitcast(e, w, i16)}));
}

namespace {

constexpr int64_t kGroup = BytePreparation::kGroup;

Value shuffle(Emitter &e, Value a, Value b, ArrayRef<int32_t> mask) {
  return LLVM::ShuffleVectorOp::create(e.b, e.loc, a, b, mask);
}

/// a0 b0 a1 b1 ...
Value interleave(Emitter &e, Value a, Value b) {
  int32_t lanes = cast<VectorType>(a.getType()).getNumElements();
  SmallVector<int32_t> mask;
  for (int32_t i = 0; i < lanes; ++i)
    mask.append({i, lanes + i});
  return shuffle(e, a, b, mask);
}

Value part(Emitter &e, Value v, int64_t from, int64_t count) {
  return shuffle(e, v, v, llvm::to_vector(llvm::seq<int32_t>(from, from + count)));
}

/// Writes panels for one instruction set.
class PanelWriter {
public:
  PanelWriter(Emitter &e, const Isa &isa, ByteFactors factors)
      : e(e), isa(isa), factors(factors), byte(e.b.getI8Type()), i32(e.b.getI32Type()),
        lanes(std::min(kPanel, isa.vectorBytes / 4)) {
    Value bytes = LLVM::ConstantOp::create(e.b, e.loc, e.b.getI64Type(), e.b.getI64IntegerAttr(kGroup * kPanel));
    staged = LLVM::AllocaOp::create(e.b, e.loc, e.pointerType(), byte, bytes, 64);
  }

  /// The groups [from, to) of a panel at `out`, of which `group` answers the bytes [16 columns][four k's], or with
  /// `pairs` two vectors [16][two k's]; adds to the columns' corrections.
  void groups(Value from, Value to, Value out, Value corrections, function_ref<SmallVector<Value>(Value)> group);
  /// Groups from where each byte is asked for: those that are not there are zeros.
  void stagedGroups(Value from, Value to, Value out, Value corrections, Value length, Value columns,
                    function_ref<Value(Value k, Value column)> load);
  /// A panel's corrections before anything is added.
  void begin(Value corrections, Value accumulate);
  /// Four k's of sixteen columns, from vectors of columns.
  SmallVector<Value> ofRows(ArrayRef<Value> rows);
  /// The same from the columns' words.
  SmallVector<Value> ofColumns(Value bytes);
  Value load16(Value pointer, Value at) {
    return LLVM::LoadOp::create(e.b, e.loc, VectorType::get(kPanel, byte), e.at(pointer, byte, at), 1);
  }
  /// Where a panel is [k][16]: a group is sixteen words of four columns, one load where registers are as wide.
  SmallVector<Value> dense(Value pointer, Value at);

private:
  Emitter &e;
  const Isa &isa;
  ByteFactors factors;
  Type byte, i32;
  int64_t lanes;
  Value staged;
};

SmallVector<Value> PanelWriter::ofRows(ArrayRef<Value> rows) {
  Value low = interleave(e, rows[0], rows[1]), high = interleave(e, rows[2], rows[3]);
  if (!isa.dots)
    return {low, high};
  Type i16 = e.b.getI16Type();
  return {bitcast(e, interleave(e, bitcast(e, low, i16), bitcast(e, high, i16)), byte)};
}

SmallVector<Value> PanelWriter::ofColumns(Value bytes) {
  if (isa.dots)
    return {bytes};
  SmallVector<int32_t> low, high;
  for (int32_t c = 0; c < kPanel; ++c) {
    low.append({4 * c, 4 * c + 1});
    high.append({4 * c + 2, 4 * c + 3});
  }
  return {shuffle(e, bytes, bytes, low), shuffle(e, bytes, bytes, high)};
}

SmallVector<Value> PanelWriter::dense(Value pointer, Value at) {
  if (isa.dots && isa.vectorBytes == 64) {
    Value all = LLVM::LoadOp::create(e.b, e.loc, VectorType::get(kGroup * kPanel, byte), e.at(pointer, byte, at), 1);
    SmallVector<int32_t> mask;
    for (int32_t c = 0; c < kPanel; ++c)
      for (int32_t k = 0; k < kGroup; ++k)
        mask.push_back(k * kPanel + c);
    return {shuffle(e, all, all, mask)};
  }
  SmallVector<Value> rows;
  for (int64_t k = 0; k < kGroup; ++k)
    rows.push_back(load16(pointer, e.add(at, e.idx(k * kPanel))));
  return ofRows(rows);
}

void PanelWriter::begin(Value corrections, Value accumulate) {
  if (factors.corrects())
    e.ifElse(
        accumulate, [] {},
        [&] { e.storeVector(e.constant(VectorType::get(kPanel, i32), 0), corrections, i32, e.idx(0)); });
}

void PanelWriter::groups(Value from, Value to, Value out, Value corrections,
                         function_ref<SmallVector<Value>(Value)> group) {
  auto type = VectorType::get(lanes, i32);
  bool sums = isa.dots && factors.corrects();
  int64_t perPanel = kPanel / lanes;
  SmallVector<Value> initial(sums ? perPanel : 0, e.constant(type, 0));
  SmallVector<Value> columns = e.loop(from, to, e.idx(1), initial, [&](Value g, ValueRange in) {
    SmallVector<Value> next, vectors = group(g);
    for (auto [i, v] : llvm::enumerate(vectors)) {
      Value word = e.mul(e.add(e.mul(g, e.idx(vectors.size())), e.idx(i)), e.idx(kPanel));
      if (!isa.dots)
        v = e.convert(v, VectorType::get(2 * kPanel, e.b.getI16Type()), factors.rhsUnsigned);
      e.storeVector(v, out, i32, word);
    }
    // Of a row of ones, the sum is the column's.
    for (int64_t p = 0; p < (int64_t)in.size(); ++p) {
      Value ones = e.constant(VectorType::get(lanes * kGroup, byte), 1);
      Value own = part(e, vectors[0], p * lanes * kGroup, lanes * kGroup);
      next.push_back(factors.multiplyAdd(e, isa, bitcast(e, ones, i32), bitcast(e, own, i32), in[p]));
    }
    return next;
  });
  for (auto [p, sum] : llvm::enumerate(columns)) {
    Value at = e.idx(p * lanes), factor = e.constant(type, factors.lhsUnsigned ? 128 : -128);
    Value old = e.loadVector(corrections, i32, at, lanes, i32);
    e.storeVector(e.add(old, e.mul(sum, factor)), corrections, i32, at);
  }
}

void PanelWriter::stagedGroups(Value from, Value to, Value out, Value corrections, Value length, Value columns,
                               function_ref<Value(Value, Value)> load) {
  groups(from, to, out, corrections, [&](Value g) {
    e.coldLoop(e.idx(0), e.idx(kGroup), [&](Value i) {
      Value k = e.add(e.mul(g, e.idx(kGroup)), i);
      e.coldLoop(e.idx(0), e.idx(kPanel), [&](Value c) {
        Value there = e.op<arith::AndIOp>(e.lt(k, length), e.lt(c, columns));
        Value v = e.choose(there, [&] { return load(k, c); }, [&] { return e.constant(byte, 0); });
        e.store(v, staged, byte, e.add(e.mul(i, e.idx(kPanel)), c));
      });
    });
    SmallVector<Value> rows;
    for (int64_t k = 0; k < kGroup; ++k)
      rows.push_back(load16(staged, e.idx(k * kPanel)));
    return ofRows(rows);
  });
}

SmallVector<Type> rowTypes(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context), index = IndexType::get(context);
  return {pointer, index, index, pointer, index};
}
SmallVector<Type> denseTypes(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context), index = IndexType::get(context);
  return {pointer, index, index, index, pointer, pointer, IntegerType::get(context, 1)};
}
SmallVector<Type> stridedTypes(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context), index = IndexType::get(context);
  return {pointer, index, index, index, index, pointer, pointer, IntegerType::get(context, 1)};
}

/// Prepares k's [at, at + length) of a row.
void writeRow(Emitter &e, const Isa &isa, ByteFactors factors, ValueRange args) {
  Value source = args[0], step = args[1], length = args[2], out = args[3], at = args[4];
  Type byte = e.b.getI8Type(), element = isa.dots ? byte : e.b.getI16Type();
  Value zero = e.idx(0), one = e.idx(1), end = e.add(at, length);
  auto put = [&](Value i, Value from) {
    Value v = e.load(source, byte, from);
    if (!isa.dots)
      v = e.convert(v, element, factors.lhsUnsigned);
    else if (factors.corrects())
      v = e.op<arith::XOrIOp>(v, e.constant(byte, -128));
    e.store(v, out, element, e.add(at, i));
  };
  e.ifElse(
      e.eq(step, one), [&] { e.loop(zero, length, [&](Value i) { put(i, i); }); },
      [&] { e.coldLoop(zero, length, [&](Value i) { put(i, e.mul(i, step)); }); });
  e.coldLoop(end, e.mul(e.ceilDiv(end, kGroup), e.idx(kGroup)),
             [&](Value i) { e.store(e.constant(element, 0), out, element, i); });
}

SharedFunction rowsFunction(ByteFactors factors) {
  auto build = [factors](CodeBuilder &code, StringRef name) {
    auto body = [&](Emitter &e, ValueRange args) -> Value {
      writeRow(e, code.isa, factors, args);
      return {};
    };
    code.function(name, rowTypes(code.context()), body, {}, LLVM::Linkage::External);
  };
  return {"byterows" + factors.name(), build};
}

SharedFunction asTheyAreFunction(ByteFactors factors) {
  auto build = [factors](CodeBuilder &code, StringRef name) {
    auto body = [&](Emitter &e, ValueRange) -> Value { return e.i64(e.idx(code.isa.dots && !factors.corrects())); };
    code.function(name, {}, body, IndexType::get(code.context()), LLVM::Linkage::External);
  };
  return {"byterowsastheyare" + factors.name(), build};
}

SharedFunction denseFunction(ByteFactors factors) {
  auto build = [factors](CodeBuilder &code, StringRef name) {
    auto body = [&](Emitter &e, ValueRange args) -> Value {
      Value stride = args[1], panels = args[2], length = args[3], corrections = args[5];
      Type byte = e.b.getI8Type();
      PanelWriter writer(e, code.isa, factors);
      Value whole = e.div(length, e.idx(kGroup)), all = e.ceilDiv(length, kGroup);
      e.loop(e.idx(0), panels, [&](Value p) {
        Value source = e.at(args[0], byte, e.mul(p, stride));
        Value out = e.atBytes(args[4], e.mul(p, e.idx(BytePreparation::kPanelBytes)));
        Value own = e.at(corrections, e.b.getI32Type(), e.mul(p, e.idx(kPanel)));
        writer.begin(own, args[6]);
        writer.groups(e.idx(0), whole, out, own,
                      [&](Value g) { return writer.dense(source, e.mul(g, e.idx(kGroup * kPanel))); });
        writer.stagedGroups(whole, all, out, own, length, e.idx(kPanel),
                            [&](Value k, Value c) { return e.load(source, byte, e.add(e.mul(k, e.idx(kPanel)), c)); });
      });
      return {};
    };
    code.function(name, denseTypes(code.context()), body, {}, LLVM::Linkage::External);
  };
  return {"bytepanels" + factors.name(), build};
}

SharedFunction stridedFunction(ByteFactors factors) {
  auto build = [factors](CodeBuilder &code, StringRef name) {
    auto body = [&](Emitter &e, ValueRange args) -> Value {
      Value alongK = args[1], alongN = args[2], columns = args[3], length = args[4], corrections = args[6];
      Type byte = e.b.getI8Type(), i32 = e.b.getI32Type();
      PanelWriter writer(e, code.isa, factors);
      Value zero = e.idx(0), one = e.idx(1), group = e.idx(kGroup), all = e.ceilDiv(length, kGroup);
      e.loop(zero, e.ceilDiv(columns, kPanel), [&](Value p) {
        Value first = e.mul(p, e.idx(kPanel)), valid = e.min(e.sub(columns, first), e.idx(kPanel));
        Value source = e.at(args[0], byte, e.mul(first, alongN));
        Value out = e.atBytes(args[5], e.mul(p, e.idx(BytePreparation::kPanelBytes)));
        Value own = e.at(corrections, i32, first);
        writer.begin(own, args[7]);
        Value full = e.eq(valid, e.idx(kPanel)), whole = e.select(full, e.div(length, group), zero);
        // Where neither side is contiguous, all is staged.
        Value byRows = e.select(e.eq(alongN, one), whole, zero);
        writer.groups(zero, byRows, out, own, [&](Value g) {
          SmallVector<Value> rows;
          for (int64_t k = 0; k < kGroup; ++k)
            rows.push_back(writer.load16(source, e.mul(e.add(e.mul(g, group), e.idx(k)), alongK)));
          return writer.ofRows(rows);
        });
        Value byColumns = e.select(e.eq(alongK, one), whole, byRows);
        writer.groups(byRows, byColumns, out, own, [&](Value g) {
          Value words = LLVM::PoisonOp::create(e.b, e.loc, VectorType::get(kPanel, i32));
          for (int64_t c = 0; c < kPanel; ++c) {
            Value at = e.add(e.mul(e.idx(c), alongN), e.mul(g, group));
            Value word = LLVM::LoadOp::create(e.b, e.loc, i32, e.at(source, byte, at), 1);
            words = LLVM::InsertElementOp::create(e.b, e.loc, words, word,
                                                  LLVM::ConstantOp::create(e.b, e.loc, i32, e.b.getI32IntegerAttr(c)));
          }
          return writer.ofColumns(bitcast(e, words, byte));
        });
        writer.stagedGroups(byColumns, all, out, own, length, valid, [&](Value k, Value c) {
          return e.load(source, byte, e.add(e.mul(k, alongK), e.mul(c, alongN)));
        });
      });
      return {};
    };
    code.function(name, stridedTypes(code.context()), body, {}, LLVM::Linkage::External);
  };
  return {"bytepack" + factors.name(), build};
}

} // namespace

SmallVector<SharedFunction> kt::codegen::host::preparations(ByteFactors factors) {
  return {rowsFunction(factors), asTheyAreFunction(factors), denseFunction(factors), stridedFunction(factors)};
}

/// Calls a function that kernels share.
static LLVM::CallOp call(Emitter &e, KernelBuilder &kernel, const SharedFunction &function, ArrayRef<Type> types,
                         ArrayRef<Value> args, Type result = {}) {
  SmallVector<Value> passed;
  for (Value v : args)
    passed.push_back(v.getType().isIndex() ? e.i64(v) : v);
  return LLVM::CallOp::create(e.b, e.loc, kernel.shared(function, types, result), passed);
}

void BytePreparation::row(Emitter &e, Value source, Value step, Value length, Value out, Value at) {
  call(e, kernel, rowsFunction(factors), rowTypes(kernel.context()), {source, step, length, out, at});
}

Value BytePreparation::asTheyAre(Emitter &e, Value length) {
  Value answer = call(e, kernel, asTheyAreFunction(factors), {}, {}, e.indexType()).getResult();
  Value whole = e.eq(e.rem(length, e.idx(kGroup)), e.idx(0));
  return e.op<arith::AndIOp>(whole, e.cmp(arith::CmpIPredicate::ne, e.toIndex(answer), e.idx(0)));
}

void BytePreparation::panels(Emitter &e, Value source, Value stride, Value panels, Value length, Value out,
                             Value corrections, Value accumulate) {
  call(e, kernel, denseFunction(factors), denseTypes(kernel.context()),
       {source, stride, panels, length, out, corrections, accumulate});
}

void BytePreparation::pack(Emitter &e, Value source, Value alongK, Value alongN, Value columns, Value length, Value out,
                           Value corrections, Value accumulate) {
  call(e, kernel, stridedFunction(factors), stridedTypes(kernel.context()),
       {source, alongK, alongN, columns, length, out, corrections, accumulate});
}

void BytePreparation::fetchNext(Emitter &e, Value weights, Value stride, Value panels, Value length,
                                const Strip &strip) {
  constexpr int64_t kLine = 64;
  auto ceilDiv = [&](Value x, Value y) { return e.div(e.add(x, e.sub(y, e.idx(1))), y); };
  Value lines = e.ceilDiv(e.mul(length, e.idx(kPanel)), kLine);
  Value each = ceilDiv(lines, ceilDiv(strip.rows, strip.height)), from = e.mul(e.div(strip.first, strip.height), each);
  Value next = e.atBytes(weights, e.mul(panels, stride));
  e.coldLoop(e.idx(0), panels, [&](Value p) {
    e.coldLoop(from, e.min(e.add(from, each), lines), [&](Value line) {
      Value at = e.atBytes(next, e.add(e.mul(p, stride), e.mul(line, e.idx(kLine))));
      LLVM::Prefetch::create(e.b, e.loc, at, /*rw=*/0, /*hint=*/2, /*cache=*/1);
    });
  });
}
