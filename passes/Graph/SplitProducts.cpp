//===- SplitProducts.cpp - halves of a product that are read together -----===//
//
//   %c = matmul %x, %w -> [s, 128]                         %g = matmul %x, %w[.., 0..64] -> [s, 64]
//   %r = generic { silu(c[i, j]) * c[i, j + 64] }    ->    %u = matmul %x, %w[.., 64..128] -> [s, 64]
//                                                          %r = generic { silu(g[i, j]) * u[i, j] }
//
// Exporters keep the weights of a gate and of what it multiplies in one matrix, one behind the other. The block that
// makes an element has to have both sums, which is what kt-merge-products makes of the two products once the reader is
// the epilogue of one of them. Where that is not to be, it puts them together as they were.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/PackWeights.h"
#include "passes/Graph/Slices.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_SPLITPRODUCTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// How far behind index `at` of the body `index` is, if it is that and a constant.
std::optional<int64_t> distance(Value index, BlockArgument at) {
  if (index == at)
    return 0;
  auto add = index.getDefiningOp<arith::AddIOp>();
  if (!add)
    return std::nullopt;
  for (auto [x, by] : {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
    APInt constant;
    if (auto size = by.getDefiningOp<SizeOp>(); x == at && size)
      return Expr(size.getValue()).asConstant();
    if (x == at && matchPattern(by, m_ConstantInt(&constant)))
      return constant.getSExtValue();
  }
  return std::nullopt;
}

/// The first or the second halves of all rows, copied where they are read.
class Halves final : public ComputedBytes {
public:
  Halves(ConstantBytes rows, int64_t count, bool second)
      : ComputedBytes(rows.size() / 2, rows.size() / 2 / std::max<int64_t>(count, 1)), rows(std::move(rows)),
        second(second) {}

  void read(uint64_t begin, MutableArrayRef<char> out) const override {
    while (!out.empty()) {
      uint64_t count = std::min<uint64_t>(unit() - begin % unit(), out.size());
      compute(begin, out.take_front(count));
      out = out.drop_front(count);
      begin += count;
    }
  }

private:
  /// Any piece of a half.
  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    SmallVector<char, 0> scratch;
    uint64_t from = begin + (begin / unit() + second) * unit();
    memcpy(out.data(), rows.read(from, out.size(), scratch).data(), out.size());
  }

  ConstantBytes rows;
  bool second;
};

class Splitter {
public:
  explicit Splitter(MatmulOp op) : op(op), b(op) {}

  void run() {
    auto factor = constantFactorOf(op);
    if (!factor || factor->quantized || op.getViews() || op.getParts() != 1 || factor->n % 2 ||
        !llvm::hasSingleElement(owners()))
      return;
    for (Value v = op.getRhs(); v;
         v = v.getDefiningOp<ReshapeOp>() ? v.getDefiningOp<ReshapeOp>().getSource() : Value())
      if (!v.hasOneUse()) // a copy of what stays as it is would be made
        return;
    AffineMap map = op.getMap(2);
    column = *map.getResultPosition(getAffineDimExpr(map.getNumDims() - 2, op.getContext()));
    half = factor->n / 2;
    auto reader = dyn_cast<GenericOp>(*owners().begin());
    if (!reader || reader->getBlock() != op->getBlock() ||
        reader.getResult().getType().getDims() != withDim(op.getResult().getType(), column, half).getDims() ||
        !readsHalves(reader))
      return;
    Value halves[] = {product(*factor, 0), product(*factor, 1)};
    unsigned numbers[] = {addBodyOperand(reader, halves[0]), addBodyOperand(reader, halves[1])};
    for (auto [read, second] : reads) {
      OpBuilder body(read);
      Value now = ReadOp::create(body, read.getLoc(), reader.getBody().getArgument(numbers[second]),
                                 reader.getBody().getArguments().take_back(op.getResult().getType().getRank()));
      read.replaceAllUsesWith(now);
      read.erase();
    }
    eraseDead(reader.getBody().front());
    cleanBodyOperands(reader);
    op.erase();
  }

private:
  llvm::SmallPtrSet<Operation *, 2> owners() {
    auto users = op.getResult().getUsers();
    return {users.begin(), users.end()};
  }

  /// The reader reads both halves, each at its own position, and nothing else of the product.
  bool readsHalves(GenericOp reader) {
    unsigned rank = op.getResult().getType().getRank(), count = reader.getInputs().size();
    Block &body = reader.getBody().front();
    bool seen[2] = {false, false};
    for (auto [number, v] : llvm::enumerate(reader.getInputs()))
      if (v == op.getResult())
        for (ReadOp read : readsOf(reader, number)) {
          for (auto [d, index] : llvm::enumerate(read.getIndices()))
            if (d != column && index != body.getArgument(count + d))
              return false;
          auto from = distance(read.getIndices()[column], body.getArgument(count + column));
          if (read.getOtherwise() || !from || (*from != 0 && *from != half) || read.getIndices().size() != rank ||
              read->getBlock() != &body)
            return false;
          seen[*from == half] = true;
          reads.push_back({read, *from == half});
        }
    return seen[0] && seen[1];
  }

  /// The product of one half of the columns.
  Value product(ConstantFactor factor, bool second) {
    SymTensorType type = op.getRhs().getType();
    auto bytes = std::make_shared<Halves>(factor.constant.contents(), factor.nIsFirst ? 1 : factor.k, second);
    // The name stays with the first: both together are what it names.
    Value weights = makeConstant(b, factor.constant.getLoc(), withDim(type, factor.nIsFirst ? 0 : 1, half),
                                 std::move(bytes), second ? "" : factor.constant.getName().value_or(""));
    auto made = cast<MatmulOp>(b.clone(*op));
    made.getRhsMutable().assign(weights);
    made.getResult().setType(withDim(op.getResult().getType(), column, half));
    if (second) {
      Block &body = made.getEpilogue().front();
      BlockArgument at = body.getArgument(1 + made.getExtras().size() + column);
      OpBuilder inner = OpBuilder::atBlockBegin(&body);
      Value by = arith::ConstantIndexOp::create(inner, op.getLoc(), half);
      Value moved = arith::AddIOp::create(inner, op.getLoc(), at, by);
      at.replaceAllUsesExcept(moved, moved.getDefiningOp());
      eraseDead(body);
    }
    return made.getResult();
  }

  MatmulOp op;
  OpBuilder b;
  unsigned column = 0;
  int64_t half = 0;
  SmallVector<std::pair<ReadOp, bool>> reads; // and whether of the second half
};

struct SplitProductsPass : kt::impl::SplitProductsBase<SplitProductsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    SmallVector<MatmulOp> ops;
    getOperation()->walk([&](MatmulOp op) { ops.push_back(op); });
    for (MatmulOp op : ops)
      Splitter(op).run();
  }
};

} // namespace
