//===- PackWeights.cpp - constant factors as the kernels read them --------===//
//
//   %r = matmul %x, %w                       %p = constant [n ceildiv 16, k, 16]
//   with %w constant, any order of n, k  ->  %r = matmul %x, %p {packed}
//
//   %w = dequantize %q, %s                   %p = constant [n ceildiv 16, k ceildiv group, bytes of a block]
//   %r = matmul %x, %w                   ->  %r = matmul %x, %p {packed, blocks}
//
//   %t = dequantize %q, %s               ->  generic { (read %q[i, j] - 8) * read %s[i, j floordiv group] }
//   generic { read %t[i, j] }, i of data     or, with the %q and %s of a product, the elements of its %p
//
//===----------------------------------------------------------------------===//

#include "passes/Graph/PackWeights.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"
#include "passes/Precision/TiedWeights.h"
#include "llvm/ADT/MapVector.h"

namespace kt {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

bool kt::isConstant(DequantizeOp op) {
  return llvm::all_of(op->getOperands(), [](Value v) { return throughReshapes(v).getDefiningOp<ConstantOp>(); });
}

std::optional<ConstantFactor> kt::constantFactorOf(MatmulOp op) {
  Value source = throughReshapes(op.getRhs());
  auto quantized = source.getDefiningOp<DequantizeOp>();
  if (quantized)
    source = isConstant(quantized) ? throughReshapes(quantized.getNumbers()) : Value();
  auto constant = source ? source.getDefiningOp<ConstantOp>() : ConstantOp();
  SymTensorType type = op.getRhs().getType();
  if (op.getPacked() || !constant || type.getRank() != 2)
    return std::nullopt;
  AffineMap map = op.getMap(1);
  unsigned dims = map.getNumDims();
  bool nIsFirst = map.getDimPosition(0) == dims - 2;
  if (map.getDimPosition(nIsFirst ? 0 : 1) != dims - 2 || map.getDimPosition(nIsFirst ? 1 : 0) != dims - 1)
    return std::nullopt;
  if (quantized && (!nIsFirst || op.getRhs() != quantized.getResult() || !op.accumulatorType().isF32()))
    return std::nullopt;
  return ConstantFactor{constant, *type.dim(nIsFirst ? 0 : 1).asConstant(), *type.dim(nIsFirst ? 1 : 0).asConstant(),
                        nIsFirst, quantized};
}

namespace {

/// Number `i` of `bits` bits each.
unsigned numberAt(const char *numbers, int64_t i, int64_t bits) {
  return (uint8_t)numbers[i * bits / 8] >> i * bits % 8 & ((1u << bits) - 1);
}

ConstantOp constantOf(Value v) { return throughReshapes(v).getDefiningOp<ConstantOp>(); }
ArrayRef<char> bytesOf(Value v) { return constantOf(v).bytes(); }

/// What panels are of.
struct PanelFormat {
  PanelFormat(const ConstantFactor &like, SymTensorType rhs)
      : k(like.k), blocks(like.blocks()), width(rhs.elementBytes()) {}

  int64_t groups() const { return llvm::divideCeil(k, blocks.getGroup()); }
  int64_t panelBytes() const {
    BlocksAttr format = blocks; // attributes are handles whose getters are not const
    return blocks ? groups() * format.blockBytes() : k * kPanel * width;
  }
  /// [panels, k, 16] or, of few bits, [panels, groups, bytes].
  SymTensorType type(int64_t panels, Type element) const {
    MLIRContext *context = element.getContext();
    auto size = [&](int64_t v) { return Expr::constant(context, v).attr(); };
    BlocksAttr format = blocks;
    if (blocks)
      return SymTensorType::get(context, {size(panels), size(groups()), size(format.blockBytes())},
                                IntegerType::get(context, 8, IntegerType::Unsigned));
    return SymTensorType::get(context, {size(panels), size(k), size(kPanel)}, element);
  }

  int64_t k;
  BlocksAttr blocks;
  int64_t width;
};

/// The columns of factors in panels, of which each is made from the factors' bytes where it is read.
class PackedBytes final : public ComputedBytes {
public:
  PackedBytes(const PanelFormat &format, ArrayRef<ConstantFactor> from, int64_t panels, bool asParts)
      : ComputedBytes(panels * format.panelBytes(), format.panelBytes()), format(format), asParts(asParts) {
    int64_t columns = 0;
    for (const ConstantFactor &f : from) {
      begins.push_back(columns);
      columns += f.n;
      DequantizeOp quantized = f.quantized;
      Value zeros = quantized ? quantized.getZeros() : Value();
      factors.push_back({ConstantOp(f.constant).contents(), f.n, f.nIsFirst,
                         quantized ? constantOf(quantized.getScales()).contents() : ConstantBytes(),
                         zeros ? std::optional(constantOf(zeros).contents()) : std::nullopt});
    }
  }

private:
  struct Factor {
    ConstantBytes numbers;
    int64_t n;
    bool nIsFirst;
    ConstantBytes scales; // of few bits
    std::optional<ConstantBytes> zeros;
  };
  using Scratch = SmallVector<char, 0>;

  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    llvm::fill(out, 0);
    int64_t panel = begin / unit(), count = factors.size();
    if (asParts) {
      const Factor &factor = factors[panel % count];
      int64_t from = panel / count * kPanel;
      return copy(factor, from, std::min(kPanel, factor.n - from), out.data(), 0);
    }
    int64_t first = panel * kPanel, end = std::min(first + kPanel, begins.back() + factors.back().n);
    for (int64_t column = first; column < end;) {
      size_t number = llvm::upper_bound(begins, column) - begins.begin() - 1;
      int64_t own = column - begins[number], some = std::min(factors[number].n - own, end - column);
      copy(factors[number], own, some, out.data(), column - first);
      column += some;
    }
  }

  /// `count` columns from `from` on become those from `at` on.
  void copy(const Factor &factor, int64_t from, int64_t count, char *panel, int64_t at) const {
    Scratch scratch;
    if (format.blocks)
      for (int64_t c = 0; c < count; ++c)
        copyNumbers(factor, from + c, panel, at + c);
    else if (factor.nIsFirst)
      copyRows(factor.numbers.read(from * format.k * format.width, count * format.k * format.width, scratch).data(),
               count, panel + at * format.width);
    else
      for (int64_t kk = 0, width = format.width; kk < format.k; ++kk)
        memcpy(panel + (kk * kPanel + at) * width,
               factor.numbers.read((kk * factor.n + from) * width, count * width, scratch).data(), count * width);
  }

  void copyRows(const char *rows, int64_t count, char *to) const {
    int64_t width = format.width;
    for (int64_t kk = 0; kk < format.k; ++kk, to += kPanel * width)
      for (int64_t c = 0; c < count; ++c)
        memcpy(to + c * width, rows + (c * format.k + kk) * width, width);
  }

  /// Row `row` of the numbers becomes column `at`.
  void copyNumbers(const Factor &from, int64_t row, char *panel, int64_t at) const {
    BlocksAttr blocks = format.blocks; // attributes are handles whose getters are not const
    WordOrder order = blocks.order();
    int64_t bits = blocks.getBits(), group = blocks.getGroup(), perWord = blocks.perWord(), groups = format.groups();
    int64_t scaleBytes = blocks.zerosAt() / kPanel, rowBytes = group * bits / 8;
    Scratch numberScratch, scaleScratch, zeroScratch;
    const char *source = from.numbers.read(row * groups * rowBytes, groups * rowBytes, numberScratch).data();
    const char *scales = from.scales.read(row * groups * scaleBytes, groups * scaleBytes, scaleScratch).data();
    const char *zeros = from.zeros ? from.zeros->read(row * groups, groups, zeroScratch).data() : nullptr;
    for (int64_t g = 0; g < groups; ++g, panel += blocks.blockBytes(), source += rowBytes) {
      memcpy(panel + at * scaleBytes, scales + g * scaleBytes, scaleBytes);
      unsigned zero = blocks.middle();
      if (zeros) {
        zero = (uint8_t)zeros[g];
        panel[blocks.zerosAt() + at] = zero;
      }
      for (int64_t w = 0; w < blocks.wordRows(); ++w) {
        uint32_t word = 0;
        for (int64_t i = 0; i < perWord; ++i) {
          int64_t inside = order.firstOf(w) + order.offsetOf(i);
          unsigned q = numberAt(source, inside, bits);
          // What lies behind the last k is nothing.
          word |= (g * group + inside < format.k ? q : zero & blocks.mask()) << order.shiftOf(i);
        }
        memcpy(panel + blocks.wordsAt() + (w * kPanel + at) * 4, &word, 4);
      }
    }
  }

  PanelFormat format;
  bool asParts;
  SmallVector<Factor> factors;
  SmallVector<int64_t> begins; // of the factors' columns
};

} // namespace

Value kt::packedConstant(OpBuilder &b, Location loc, ArrayRef<ConstantFactor> factors, bool asParts, StringRef name) {
  const ConstantFactor &first = factors[0];
  auto rhs = cast<SymTensorType>(
      (first.quantized ? DequantizeOp(first.quantized).getResult() : ConstantOp(first.constant).getResult()).getType());
  PanelFormat format(first, rhs);
  int64_t columns = 0;
  for (const ConstantFactor &f : factors)
    columns += f.n;
  int64_t panels =
      asParts ? llvm::divideCeil(first.n, kPanel) * (int64_t)factors.size() : llvm::divideCeil(columns, kPanel);
  return makeConstant(b, loc, format.type(panels, rhs.getElementType()),
                      std::make_shared<PackedBytes>(format, factors, panels, asParts), name);
}

void kt::setPackedRhs(MatmulOp op, Value rhs, const ConstantFactor &factor) {
  Builder b(op.getContext());
  unsigned dims = op.getMap(1).getNumDims();
  op.getRhsMutable().assign(rhs);
  op.setPacked(true);
  if (BlocksAttr blocks = factor.blocks())
    op.setBlocksAttr(blocks);
  SmallVector<Attribute> maps(op.getMaps().begin(), op.getMaps().end());
  maps[1] = AffineMapAttr::get(
      AffineMap::get(dims, 0, {b.getAffineDimExpr(dims - 2), b.getAffineDimExpr(dims - 1)}, op.getContext()));
  op.setMapsAttr(b.getArrayAttr(maps));
}

namespace {

/// What a packed constant is made of: tied weights are packed once.
using Source = std::tuple<Operation *, Attribute, unsigned, SymTensorType>;

bool packRhs(MatmulOp op, llvm::MapVector<Source, Value> &done) {
  std::optional<ConstantFactor> factor = constantFactorOf(op);
  if (!factor)
    return false;
  ConstantOp constant = factor->constant;
  SymTensorType type = op.getRhs().getType();
  Value &packed = done[{factor->quantized, constant.getValue(), factor->nIsFirst,
                        SymTensorType::get(op.getContext(), type.getDims(), type.getElementType())}];
  if (!packed) {
    OpBuilder b(op.getContext());
    Operation *source = factor->quantized ? (Operation *)factor->quantized : constant;
    b.setInsertionPointAfter(source);
    packed = packedConstant(b, constant.getLoc(), *factor, /*asParts=*/false, constant.getName().value_or(""));
  }
  setPackedRhs(op, packed, *factor);
  return true;
}

/// What reads weights of few bits otherwise has them as they are in its precision.
void replaceByConstant(DequantizeOp op) {
  SymTensorType type = op.getResult().getType();
  int64_t n = *type.dim(0).asConstant(), k = *type.dim(1).asConstant();
  BlocksAttr blocks = op.blocks();
  auto toFloat = [](Type type, const char *at) {
    APInt bits(type.getIntOrFloatBitWidth(), 0);
    memcpy(const_cast<uint64_t *>(bits.getRawData()), at, type.getIntOrFloatBitWidth() / 8);
    APFloat value(cast<FloatType>(type).getFloatSemantics(), bits);
    return value.convertToDouble();
  };
  int64_t groups = llvm::divideCeil(k, blocks.getGroup()), bits = blocks.getBits(), width = type.elementBytes(),
          scaleBytes = blocks.zerosAt() / kPanel;
  ArrayRef<char> numbers = bytesOf(op.getNumbers()), scales = bytesOf(op.getScales());
  std::vector<char> out(n * k * width);
  parallelFor(op.getContext(), 0, n, [&](size_t row) {
    for (int64_t kk = 0; kk < k; ++kk) {
      int64_t g = row * groups + kk / blocks.getGroup();
      int q = numberAt(numbers.data(), g * blocks.getGroup() + kk % blocks.getGroup(), bits);
      int zero = op.getZeros() ? (uint8_t)bytesOf(op.getZeros())[g] : blocks.middle();
      float w = (float)(q - zero) * (float)toFloat(blocks.getScale(), scales.data() + g * scaleBytes);
      APFloat value(w);
      bool lost;
      value.convert(cast<FloatType>(type.getElementType()).getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
      memcpy(out.data() + (row * k + kk) * width, value.bitcastToAPInt().getRawData(), width);
    }
  });
  OpBuilder b(op);
  auto name = throughReshapes(op.getNumbers()).getDefiningOp<ConstantOp>().getName();
  op.replaceAllUsesWith(makeConstant(b, op.getLoc(), type, std::move(out), name.value_or("")).getResult());
}

/// Products' weights of few bits and what they are packed in.
using Packed = SmallVector<std::pair<DequantizeOp, Value>>;

/// Rows that are looked up are read where they lie in few bits: in a product's weights, if those are the same numbers.
void readTable(Operation *op, unsigned operand, DequantizeOp table, const Packed &packed) {
  const auto *tied = llvm::find_if(packed, [&](auto &p) { return areTied(table, p.first); });
  SmallVector<ReadOp> reads = readsOf(op, operand);
  unsigned scales = 0, zeros = 0;
  if (tied != packed.end()) {
    tied->second.getDefiningOp()->moveBefore(&op->getParentOfType<func::FuncOp>().getBody().front().front());
    setBodyOperand(op, operand, tied->second);
  } else {
    setBodyOperand(op, operand, table.getNumbers());
    scales = addBodyOperand(op, table.getScales());
    zeros = table.getZeros() ? addBodyOperand(op, table.getZeros()) : 0;
  }
  for (ReadOp read : reads) {
    OpBuilder b(read);
    Location loc = read.getLoc();
    Block *body = read->getBlock();
    Value row = read.getIndices()[0], column = read.getIndices()[1];
    unsigned leading = cast<BlockArgument>(read.getTensor()).getArgNumber() - operand;
    auto argument = [&](unsigned number) -> Value { return body->getArgument(leading + number); };
    Value element = tied != packed.end() ? readBlocks(b, loc, table.blocks(), read.getTensor(), row, column)
                                         : readRows(b, loc, table.blocks(), read.getTensor(), argument(scales),
                                                    table.getZeros() ? argument(zeros) : Value(), row, column);
    Type old = read.getResult().getType();
    if (old != b.getF32Type())
      element = arith::TruncFOp::create(b, loc, old, element);
    read.replaceAllUsesWith(element);
    read.erase();
  }
}

struct PackWeightsPass : kt::impl::PackWeightsBase<PackWeightsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    llvm::MapVector<Source, Value> done;
    getOperation()->walk([&](MatmulOp op) { packRhs(op, done); });
    SmallVector<DequantizeOp> left;
    getOperation()->walk([&](DequantizeOp op) { left.push_back(op); });
    Packed packed;
    for (auto &[source, value] : done)
      if (auto quantized = dyn_cast_or_null<DequantizeOp>(std::get<0>(source)))
        packed.push_back({quantized, value});
    for (DequantizeOp op : left) {
      SmallVector<std::pair<Operation *, unsigned>> lookups; // reading them adds operands
      for (OpOperand &use : op.getResult().getUses()) {
        Operation *user = use.getOwner();
        unsigned first = firstBodyOperand(user);
        if (isConstant(op) && !bodiesOf(user).empty() && use.getOperandNumber() >= first &&
            looksUpRows(user, use.getOperandNumber() - first))
          lookups.push_back({user, use.getOperandNumber() - first});
      }
      for (auto [user, operand] : lookups)
        readTable(user, operand, op, packed);
    }
    for (DequantizeOp op : left) {
      if (!op.use_empty())
        replaceByConstant(op);
      op.erase();
    }
  }
};

} // namespace
