//===- SplitK.cpp - splitting the depth of a product over blocks ----------===//
//
// The grid's second dimension is the number of splits. With one, blocks run the epilogue themselves. With more, each
// writes the sums of its part of k to the workspace, [split][m][n padded to 8]; the last block of a tile adds them up
// and runs the epilogue. Both are one function: fewer tiles than multiprocessors is a matter of the shapes of a run.
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

void kt::gpu::setSplitMemory(KernelSink &sink, const GemmProblem &p, artifact::Variant &variant, Expr splits,
                             Expr tiles) {
  Expr none = sink.number(0), isSplit = Expr::lt(sink.one(), splits);
  variant.workspace = sink.pool.add(Expr::select(isSplit, splits * p.m * p.paddedColumns() * 4, none));
  variant.counters = sink.pool.add(tiles * 4);
}

void kt::gpu::finishSplit(KernelBuilder &k, const GemmProblem &p, GemmEpilogue &epilogue, const TileShape &t, Value m0,
                          Value n0, const Alignment &alignment, unsigned lanes) {
  auto addUp = [&] {
    unsigned width = std::max(lanes, 4u), chunks = t.columns / width;
    Value plane = k.mul(k.ext(k.size(p.m * p.paddedColumns())), 4);
    k.forLoop(k.tid(), k.c(t.rows * chunks), k.c(t.threads), {}, [&](Value at, ValueRange) -> Values {
      Value r = k.div(at, chunks), m = k.add(m0, r), n = k.add(n0, k.mul(k.rem(at, chunks), width));
      k.ifThen(k.and_(k.lt(m, k.size(p.m)), k.lt(n, k.size(p.n))), [&] {
        Values inits(width, k.cf(0));
        inits.push_back(partialPlace(k, p, k.workspace(), m, n));
        // In the order of k, whoever comes last: the sums are the same in each run.
        Values sums = k.forLoop(k.c(0), k.gridY(), k.c(1), inits, [&](Value, ValueRange now) {
          Values more = k.loadElements(now[width], k.f32, width), next;
          for (unsigned i = 0; i < width; ++i)
            next.push_back(k.addf(now[i], more[i]));
          next.push_back(k.gep(now[width], plane));
          return next;
        });
        for (unsigned v = 0; v < width; v += lanes) {
          Alignment few = alignment;
          few.lanes = lanes;
          auto emit = [&] { epilogue.emit(ArrayRef(sums).slice(v, lanes), {}, m, k.add(n, v), few); };
          if (v)
            k.ifThen(k.lt(k.add(n, v), k.size(p.n)), emit);
          else
            emit();
        }
      });
      return {};
    });
  };
  k.ifThen(k.lt(k.c(1), k.gridY()), [&] { k.ifThen(k.isLastBlock(k.ctaX(), k.gridY()), addUp); });
}
