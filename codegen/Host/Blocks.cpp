//===- Blocks.cpp - weights of few bits on the host -----------------------===//

#include "codegen/Host/Blocks.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

unsigned kt::codegen::host::fieldOf(BlocksAttr blocks, unsigned i) {
  return blocks.getFp8() ? 0 : blocks.shiftOf(i) % 16;
}

Value kt::codegen::host::fromFp8(Emitter &e, Value words, unsigned shift) {
  // As the upper bits of a half, whose exponent has another bias: by 8.
  auto type = cast<VectorType>(words.getType());
  auto splat = [&](int64_t v) { return e.constant(type, v); };
  Value byte = shift ? e.op<arith::ShRUIOp>(words, splat(shift)) : words;
  Value sign = e.op<arith::AndIOp>(e.op<arith::ShLIOp>(byte, splat(8)), splat(0x8000));
  Value rest = e.op<arith::AndIOp>(e.op<arith::ShLIOp>(byte, splat(7)), splat(0x3f80));
  Value bits = e.op<arith::OrIOp>(sign, rest);
  Value half = arith::TruncIOp::create(e.b, e.loc, type.clone(e.b.getI16Type()), bits);
  half = arith::BitcastOp::create(e.b, e.loc, type.clone(e.b.getF16Type()), half);
  Value wide = arith::ExtFOp::create(e.b, e.loc, type.clone(e.b.getF32Type()), half);
  return e.op<arith::MulFOp>(wide, e.constant(type.clone(e.b.getF32Type()), 256));
}

std::string kt::codegen::host::nameOf(BlocksAttr blocks) {
  std::string name;
  llvm::raw_string_ostream(name) << (blocks.getFp8() ? "f" : "b") << blocks.getBits() << "g" << blocks.getGroup()
                                 << (blocks.getZeros() ? "z." : ".") << blocks.getScale();
  return name;
}

Value kt::codegen::host::firstOf(Emitter &e, BlocksAttr blocks, Value row) {
  WordOrder order = blocks.order();
  Value rows = e.idx(order.rows()), window = e.op<arith::DivUIOp>(row, rows), inside = e.op<arith::RemUIOp>(row, rows);
  return e.add(e.mul(window, e.idx(order.window())), e.mul(inside, e.idx(2 * order.lanes())));
}

int64_t kt::codegen::host::preparedGroup(BlocksAttr blocks) { return blocks.getGroup() + 1; }

void kt::codegen::host::prepareRow(Emitter &e, BlocksAttr blocks, const RowSource &source, Value depth, Value out) {
  constexpr int64_t kLanes = 16;
  int64_t group = blocks.getGroup();
  WordOrder order = blocks.order();
  Type f32 = e.b.getF32Type();
  bool isUnsigned = source.element.isUnsignedInteger();
  auto type = VectorType::get(kLanes, f32);
  SmallVector<Value> factors; // of a window
  for (int64_t first = 0; first < order.window(); first += kLanes) {
    SmallVector<float> some;
    for (int64_t i = first; i < first + kLanes; ++i)
      some.push_back(1.0f / (1 << fieldOf(blocks, order.numberOf(i))));
    factors.push_back(arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(type, ArrayRef<float>(some))));
  }
  Value zero = e.idx(0), none = e.constant(f32, 0);

  e.loop(zero, e.ceilDiv(depth, group), [&](Value g) {
    Value from = e.mul(g, e.idx(group)), to = e.mul(g, e.idx(preparedGroup(blocks)));
    Value valid = e.min(e.sub(depth, from), e.idx(group));
    // 16 at a time, of which those from `valid` on are zeros.
    auto fill = [&](function_ref<Value(Value)> values) {
      SmallVector<Value> sum =
          e.loop(zero, e.idx(group), e.idx(order.window()), e.constant(type, 0), [&](Value window, ValueRange in) {
            Value all = in[0];
            for (auto [number, factor] : llvm::enumerate(factors)) {
              Value i = e.add(window, e.idx(number * kLanes)), v = values(i);
              e.storeVector(e.op<arith::MulFOp>(v, factor), out, f32, e.add(to, i));
              all = e.op<arith::AddFOp>(all, v);
            }
            return SmallVector<Value>{all};
          });
      Value all = LLVM::vector_reduce_fadd::create(e.b, e.loc, f32, none, sum[0], LLVM::FastmathFlags::reassoc);
      e.store(all, out, f32, e.add(to, e.idx(group)));
    };
    auto oneByOne = [&](Value i) {
      Value v = e.constant(type, 0);
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        Value at = e.add(i, e.idx(lane));
        Value x = e.choose(
            e.lt(at, valid),
            [&] {
              Value raw = e.load(source.pointer, source.element, e.mul(e.add(from, at), source.step));
              return e.convert(raw, f32, isUnsigned);
            },
            [&] { return none; });
        v = LLVM::InsertElementOp::create(
            e.b, e.loc, v, x, LLVM::ConstantOp::create(e.b, e.loc, e.b.getI32Type(), e.b.getI32IntegerAttr(lane)));
      }
      return v;
    };
    if (!source.contiguous)
      return fill(oneByOne);
    auto together = [&](Value i) { return e.loadVector(source.pointer, source.element, e.add(from, i), kLanes, f32); };
    e.ifElse(e.eq(valid, e.idx(group)), [&] { fill(together); }, [&] { fill(oneByOne); });
  });
}

/// One group of one panel: sixteen columns of each k, in vectors.
static void widenBlock(Emitter &e, BlocksAttr blocks, int64_t lanes, Value from, Value out) {
  Type f32 = e.b.getF32Type(), i32 = e.b.getI32Type(),
       byte = IntegerType::get(e.b.getContext(), 8, IntegerType::Unsigned);
  auto floats = VectorType::get(lanes, f32), ints = VectorType::get(lanes, i32);
  for (int64_t column = 0; column < kPanel; column += lanes) {
    Value scale = e.loadVector(from, blocks.getScale(), e.idx(column), lanes, f32);
    Value zero = blocks.getZeros()
                     ? e.loadVector(e.atBytes(from, e.idx(blocks.zerosAt())), byte, e.idx(column), lanes, f32)
                     : e.constant(floats, blocks.middle());
    e.loop(e.idx(0), e.idx(blocks.wordRows()), [&](Value row) {
      Value first = firstOf(e, blocks, row);
      Value at = e.atBytes(from, e.idx(blocks.wordsAt()));
      Value words = e.loadVector(at, i32, e.add(e.mul(row, e.idx(kPanel)), e.idx(column)), lanes, i32);
      for (unsigned i = 0; i < blocks.perWord(); ++i) {
        Value q;
        if (blocks.getFp8()) {
          q = fromFp8(e, words, blocks.shiftOf(i));
        } else {
          q = e.op<arith::ShRUIOp>(words, e.constant(ints, blocks.shiftOf(i)));
          q = e.op<arith::SIToFPOp>(floats, e.op<arith::AndIOp>(q, e.constant(ints, blocks.mask())));
          q = e.op<arith::SubFOp>(q, zero);
        }
        Value w = e.op<arith::MulFOp>(q, scale);
        Value k = e.add(first, e.idx(blocks.order().offsetOf(i)));
        e.storeVector(w, out, f32, e.add(e.mul(k, e.idx(kPanel)), e.idx(column)));
      }
    });
  }
}

static SmallVector<Type> wideningTypes(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context), index = IndexType::get(context);
  return {pointer, index, index, index, pointer, index};
}

SharedFunction kt::codegen::host::widening(BlocksAttr blocks) {
  auto build = [blocks](CodeBuilder &code, StringRef name) {
    int64_t lanes = std::min(kPanel, code.isa.vectorBytes / 4);
    auto body = [&](Emitter &e, ValueRange args) -> Value {
      Value from = args[0], panels = args[1], panelBytes = args[2], groups = args[3], out = args[4], stride = args[5];
      e.loop(e.idx(0), panels, [&](Value p) {
        Value panel = e.atBytes(from, e.mul(p, panelBytes)), to = e.at(out, e.b.getF32Type(), e.mul(p, stride));
        e.loop(e.idx(0), groups, [&](Value g) {
          widenBlock(e, blocks, lanes, e.atBytes(panel, e.mul(g, e.idx(blocks.blockBytes()))),
                     e.at(to, e.b.getF32Type(), e.mul(g, e.idx(blocks.getGroup() * kPanel))));
        });
      });
      return {};
    };
    code.function(name, wideningTypes(code.context()), body, {}, LLVM::Linkage::External);
  };
  return {"widen." + nameOf(blocks), build};
}

Widening::Widening(KernelBuilder &kernel, BlocksAttr blocks)
    : function(kernel.shared(widening(blocks), wideningTypes(kernel.context()), {})) {}

void Widening::panels(Emitter &e, Value blocks, Value panels, Value panelBytes, Value groups, Value out,
                      Value panelStride) {
  LLVM::CallOp::create(e.b, e.loc, function,
                       ValueRange{blocks, e.i64(panels), e.i64(panelBytes), e.i64(groups), out, e.i64(panelStride)});
}
