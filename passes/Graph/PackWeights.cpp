//===- PackWeights.cpp - constant factors as the kernels read them --------===//
//
//   %r = matmul %x, %w                       %p = constant [n ceildiv 16, k, 16]
//   with %w constant, any order of n, k  ->  %r = matmul %x, %p {packed}
//
//===----------------------------------------------------------------------===//

#include "passes/Graph/PackWeights.h"
#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

std::optional<ConstantFactor> kt::constantFactorOf(MatmulOp op) {
  auto constant = throughReshapes(op.getRhs()).getDefiningOp<ConstantOp>();
  SymTensorType type = op.getRhs().getType();
  if (op.getPacked() || !constant || type.getRank() != 2)
    return std::nullopt;
  AffineMap map = op.getMap(1);
  unsigned dims = map.getNumDims();
  bool nIsFirst = map.getDimPosition(0) == dims - 2;
  if (map.getDimPosition(nIsFirst ? 0 : 1) != dims - 2 || map.getDimPosition(nIsFirst ? 1 : 0) != dims - 1)
    return std::nullopt;
  return ConstantFactor{constant, *type.dim(nIsFirst ? 0 : 1).asConstant(), *type.dim(nIsFirst ? 1 : 0).asConstant(),
                        nIsFirst};
}

/// Copies the columns [from, from + count) of a factor into a panel of [k][16], the first of them as column `at`.
static void copyColumns(const ConstantFactor &factor, int64_t from, int64_t count, int64_t width, char *panel,
                        int64_t at) {
  auto [constant, n, k, nIsFirst] = factor;
  const char *bytes = constant.bytes().data();
  char *to = panel + at * width;
  for (int64_t kk = 0; kk < k; ++kk, to += kPanel * width)
    if (!nIsFirst)
      memcpy(to, bytes + (kk * n + from) * width, count * width);
    else
      for (int64_t c = 0; c < count; ++c)
        memcpy(to + c * width, bytes + ((from + c) * k + kk) * width, width);
}

std::vector<char> kt::packColumns(MLIRContext *context, ArrayRef<ConstantFactor> factors, int64_t elementBytes) {
  int64_t columns = 0, panelBytes = factors[0].k * kPanel * elementBytes;
  SmallVector<int64_t> begins; // of the factors' columns
  for (const ConstantFactor &f : factors) {
    begins.push_back(columns);
    columns += f.n;
  }
  int64_t panels = (columns + kPanel - 1) / kPanel;
  std::vector<char> out(panels * panelBytes, 0);
  parallelFor(context, 0, panels, [&](size_t p) {
    int64_t begin = p * kPanel, end = std::min<int64_t>(begin + kPanel, columns);
    for (int64_t column = begin; column < end;) {
      size_t of = llvm::upper_bound(begins, column) - begins.begin() - 1;
      int64_t own = column - begins[of], count = std::min(factors[of].n - own, end - column);
      copyColumns(factors[of], own, count, elementBytes, out.data() + p * panelBytes, column - begin);
      column += count;
    }
  });
  return out;
}

std::vector<char> kt::packParts(MLIRContext *context, ArrayRef<ConstantFactor> factors, int64_t elementBytes) {
  int64_t panels = (factors[0].n + kPanel - 1) / kPanel, panelBytes = factors[0].k * kPanel * elementBytes;
  std::vector<char> out(factors.size() * panels * panelBytes, 0);
  parallelFor(context, 0, panels * factors.size(), [&](size_t p) {
    int64_t begin = p / factors.size() * kPanel;
    copyColumns(factors[p % factors.size()], begin, std::min(kPanel, factors[0].n - begin), elementBytes,
                out.data() + p * panelBytes, 0);
  });
  return out;
}

void kt::setPackedRhs(MatmulOp op, Value rhs) {
  Builder b(op.getContext());
  unsigned dims = op.getMap(1).getNumDims();
  op.getRhsMutable().assign(rhs);
  op.setPacked(true);
  SmallVector<Attribute> maps(op.getMaps().begin(), op.getMaps().end());
  maps[1] = AffineMapAttr::get(
      AffineMap::get(dims, 0, {b.getAffineDimExpr(dims - 2), b.getAffineDimExpr(dims - 1)}, op.getContext()));
  op.setMapsAttr(b.getArrayAttr(maps));
}

namespace {

bool packRhs(MatmulOp op, DenseMap<std::pair<Attribute, unsigned>, Value> &done) {
  std::optional<ConstantFactor> factor = constantFactorOf(op);
  if (!factor)
    return false;
  SymTensorType type = op.getRhs().getType();
  ConstantOp constant = factor->constant;
  // Tied weights are packed once.
  Value &packed = done[{constant.getValue(), (unsigned)factor->nIsFirst}];
  auto size = [&](int64_t v) { return Expr::constant(op.getContext(), v).attr(); };
  auto packedType = SymTensorType::get(
      op.getContext(), {size((factor->n + kPanel - 1) / kPanel), size(factor->k), size(kPanel)}, type.getElementType());
  if (!packed || packed.getType() != packedType) {
    OpBuilder b(op.getContext());
    b.setInsertionPointAfter(constant);
    packed = makeConstant(b, constant.getLoc(), packedType, packColumns(op.getContext(), *factor, type.elementBytes()),
                          constant.getName().value_or(""));
  }
  setPackedRhs(op, packed);
  return true;
}

struct PackWeightsPass : kt::impl::PackWeightsBase<PackWeightsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    DenseMap<std::pair<Attribute, unsigned>, Value> done;
    getOperation()->walk([&](MatmulOp op) { packRhs(op, done); });
  }
};

} // namespace
