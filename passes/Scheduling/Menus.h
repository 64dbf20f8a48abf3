//===- Menus.h - all the ways to run a computation on a target ------------===//
//
// What each family of kernels can be built as, with guards and costs; `kt-schedule-kernels` keeps what may win.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_SCHEDULING_MENUS_H
#define KT_PASSES_SCHEDULING_MENUS_H

#include "dialects/KT/Schedule/Options.h"
#include "passes/Analysis/CostModel.h"
#include "passes/Analysis/LaunchSamples.h"

namespace kt {

/// Collects the candidates of one kernel for one target, best first; the last takes what all others leave.
class Menu {
public:
  Menu(KernelOp kernel, llvm::StringRef target, const KernelLaunches &launches, TensorCorePriority tensorCores);
  /// For targets that are GPUs.
  void fill(const TargetModel &model);
  /// The host's: its instruction sets.
  void fillHost();
  llvm::SmallVector<CandidateAttr> take() { return std::move(candidates); }

private:
  struct TileShape {
    unsigned rows, columns, threads;
  };
  struct Level {
    Expr guard;
    unsigned lanes;
  };
  void products(const Product &p, const CostModel &cost, const TargetModel &model);
  /// A product's candidate; where a norm goes on with its rows, one for each way to do that.
  void addProduct(llvm::StringRef path, mlir::DictionaryAttr config, const Product &p, const CostModel &cost,
                  const TileShape &tile, Expr guard, const CostModel::ProductCost &expected);
  /// The norm that makes the rows of the kernel's product; null: none.
  NormalizeOp leftNorm();
  void tensorCoreProducts(const Product &p, const CostModel &cost, const TargetModel &model);
  /// Of few rows by panels.
  void gemvProducts(const Product &p, const CostModel &cost, const TargetModel &model);
  void cudaCoreProducts(const Product &p, const CostModel &cost, const TargetModel &model);
  void attention(AttentionOp op, const CostModel &cost);
  void reduce(ReduceOp op, const CostModel &cost);
  void normalize(NormalizeOp op, const CostModel &cost);
  /// Elementwise work and windows, one or several beside one another.
  void elements(mlir::Operation *op, const CostModel &cost);
  void sort(SortOp op, const CostModel &cost);
  /// How wide a thread may store under which conditions: `align` fills an alignment for at most so many columns.
  llvm::SmallVector<Level> levels(unsigned most, llvm::function_ref<unsigned(Alignment &, unsigned)> align) const;
  /// Two candidates, with vectors where `align` lets them be and without, the second only where the first may not fit.
  void vectored(llvm::StringRef path, Config config, llvm::function_ref<void(Alignment &)> align, Expr guard, Expr cost,
                bool fallback);
  void add(llvm::StringRef path, mlir::DictionaryAttr config, Expr guard, Expr cost, Expr splits = {});
  Expr number(int64_t v) const { return Expr::constant(context, v); }
  /// Bytes of all operands and results.
  Expr bytes();
  Expr bytesOf(mlir::TypeRange types);
  /// Those that one computation of the kernel reads and writes: of a tensor with a window, the window.
  Expr bytesOf(mlir::Operation *op);

  KernelOp kernel;
  mlir::MLIRContext *context;
  mlir::StringAttr target;
  const KernelLaunches &launches;
  TensorCorePriority tensorCores;
  llvm::SmallVector<CandidateAttr> candidates;
};

} // namespace kt

#endif
