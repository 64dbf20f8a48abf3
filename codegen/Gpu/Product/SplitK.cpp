//===- SplitK.cpp - splitting the depth of a product over blocks ----------===//
//
// The grid's second dimension is the number of splits. With one, blocks run the epilogue themselves. With more, each
// writes the sums of its part of k to the workspace, [split][m][n padded to 8]; a second stage adds them up and runs
// the epilogue. Both are one function: fewer tiles than multiprocessors is a matter of the shapes of a run.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Product/Gemm.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

void kt::gpu::ifSplit(KernelBuilder &k, Value partial, llvm::function_ref<void()> part,
                      llvm::function_ref<void()> whole) {
  if (!partial)
    return whole();
  auto nothing = [](llvm::function_ref<void()> f) {
    return [f]() -> Values {
      f();
      return {};
    };
  };
  k.ifElse(k.lt(k.c(1), k.gridY()), ArrayRef<Type>(), nothing(part), nothing(whole));
}

Value kt::gpu::splitRange(KernelBuilder &k, const GemmProblem &p, Value &slabs, Value &first) {
  Value splits = k.gridY(), each = k.div(k.sub(k.add(slabs, splits), 1), splits);
  first = k.mul(k.ctaY(), each);
  slabs = k.max(k.min(each, k.sub(slabs, first)), 0);
  return k.gep(k.workspace(), k.mul(k.mul(k.ext(k.size(p.m * p.paddedColumns())), k.ext(k.ctaY())), 4));
}

Value kt::gpu::partialPlace(KernelBuilder &k, const GemmProblem &p, Value partial, Value m, Value n) {
  return k.at(partial, k.add(k.mul(m, k.size(p.paddedColumns())), n), 4);
}

LogicalResult kt::gpu::addSplitReduction(KernelSink &sink, const GemmProblem &p, artifact::Variant &variant,
                                         Expr splits, const Alignment &alignment) {
  KernelBuilder k(sink.kernel, sink.entryName(), {128, 0, true});
  GemmEpilogue epilogue(k, p);
  unsigned lanes = alignment.lanes;
  Expr chunks = Expr::ceilDiv(p.n, p.number(4)), padded = p.paddedColumns();
  // The grid's second dimension says how many splits there are; its blocks share the work all the same.
  Value block = k.add(k.mul(k.ctaY(), k.gridX()), k.ctaX()), item = k.add(k.mul(block, 128), k.tid());
  k.ifThen(k.lt(item, k.size(p.m * chunks)), [&] {
    Values at = delinearize(k, item, {p.m, chunks});
    Value n = k.shl(at[1], 2), place = k.add(k.mul(at[0], k.size(padded)), n);
    Value plane = k.mul(k.ext(k.size(p.m * padded)), 4);
    Values inits(4, k.cf(0));
    inits.push_back(k.at(k.workspace(), place, 4));
    Values sums = k.forLoop(k.c(0), k.gridY(), k.c(1), inits, [&](Value, ValueRange now) {
      Values more = k.loadElements(now[4], k.f32, 4), next;
      for (unsigned i = 0; i < 4; ++i)
        next.push_back(k.addf(now[i], more[i]));
      next.push_back(k.gep(now[4], plane));
      return next;
    });
    sums.pop_back();
    unsigned step = std::min(lanes, 4u);
    for (unsigned v = 0; v < 4; v += step)
      k.ifThen(k.lt(k.add(n, v), k.size(p.n)), [&] {
        Alignment four = alignment;
        four.lanes = step;
        epilogue.emit(ArrayRef(sums).slice(v, step), {}, at[0], k.add(n, v), four);
      });
  });
  Expr one = sink.one(), none = sink.number(0), isSplit = Expr::lt(one, splits);
  Expr blocks = Expr::select(isSplit, Expr::ceilDiv(p.m * chunks, splits * 128), none);
  variant.workspace = sink.pool.add(Expr::select(isSplit, splits * p.m * padded * 4, none));
  return sink.addStage(variant, k, {blocks, splits, one});
}
