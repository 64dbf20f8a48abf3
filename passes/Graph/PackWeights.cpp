//===- PackWeights.cpp - constant factors as the kernels read them --------===//
//
//   %r = matmul %x, %w                       %p = constant [n ceildiv 16, k, 16]
//   with %w constant, any order of n, k  ->  %r = matmul %x, %p {packed}
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Threading.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Passes.h"

namespace kt {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// The bytes of element [k, n], n-panel by n-panel, zeros beyond n.
std::vector<char> pack(MLIRContext *context, ArrayRef<char> bytes, int64_t n, int64_t k, bool nIsFirst, int64_t width) {
  int64_t panels = (n + kPanel - 1) / kPanel;
  std::vector<char> out(panels * k * kPanel * width, 0);
  parallelFor(context, 0, panels, [&](size_t p) {
    int64_t column0 = p * kPanel, columns = std::min(kPanel, n - column0);
    char *panel = out.data() + p * k * kPanel * width;
    for (int64_t kk = 0; kk < k; ++kk) {
      char *to = panel + kk * kPanel * width;
      if (!nIsFirst) {
        memcpy(to, bytes.data() + (kk * n + column0) * width, columns * width);
        continue;
      }
      for (int64_t c = 0; c < columns; ++c)
        memcpy(to + c * width, bytes.data() + ((column0 + c) * k + kk) * width, width);
    }
  });
  return out;
}

bool packRhs(MatmulOp op, DenseMap<std::pair<Attribute, unsigned>, Value> &done) {
  if (op.getPacked())
    return false;
  Value rhs = op.getRhs();
  auto constant = throughReshapes(rhs).getDefiningOp<ConstantOp>();
  SymTensorType type = op.getRhs().getType();
  if (!constant || type.getRank() != 2)
    return false;
  unsigned dims = op.getMap(1).getNumDims();
  bool nIsFirst = op.getMap(1).getDimPosition(0) == dims - 2;
  if (op.getMap(1).getDimPosition(nIsFirst ? 0 : 1) != dims - 2 ||
      op.getMap(1).getDimPosition(nIsFirst ? 1 : 0) != dims - 1)
    return false;
  int64_t n = *type.dim(nIsFirst ? 0 : 1).asConstant(), k = *type.dim(nIsFirst ? 1 : 0).asConstant();
  OpBuilder b(op);
  // Tied weights are packed once.
  Value &packed = done[{constant.getValue(), (unsigned)nIsFirst}];
  auto panels = [&](int64_t v) { return Expr::constant(op.getContext(), v).attr(); };
  auto packedType = SymTensorType::get(op.getContext(), {panels((n + kPanel - 1) / kPanel), panels(k), panels(kPanel)},
                                       type.getElementType());
  if (!packed || packed.getType() != packedType) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(constant);
    packed = makeConstant(b, constant.getLoc(), packedType,
                          pack(op.getContext(), constant.bytes(), n, k, nIsFirst, type.elementBytes()),
                          constant.getName().value_or(""));
  }
  op.getRhsMutable().assign(packed);
  op.setPacked(true);
  AffineMap map =
      AffineMap::get(dims, 0, {b.getAffineDimExpr(dims - 2), b.getAffineDimExpr(dims - 1)}, op.getContext());
  SmallVector<Attribute> maps(op.getMaps().begin(), op.getMaps().end());
  maps[1] = AffineMapAttr::get(map);
  op.setMapsAttr(b.getArrayAttr(maps));
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
