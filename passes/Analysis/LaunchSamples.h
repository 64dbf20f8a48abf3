//===- LaunchSamples.h - the sizes that a kernel's launches may have ------===//
//
// A kernel knows its parameters only; what they can be stands in the module's launches: constants, expressions over the
// inputs' sizes, which `kt.bounds` limits, and numbers of the run.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_LAUNCHSAMPLES_H
#define KT_PASSES_ANALYSIS_LAUNCHSAMPLES_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace kt {

/// The launches of one kernel that differ in their integers.
class KernelLaunches {
public:
  explicit KernelLaunches(KernelOp kernel) : kernel(kernel) {}
  void add(mlir::ArrayAttr ints) { launches.insert(ints); }
  bool empty() const { return launches.empty(); }
  size_t size() const { return launches.size(); }

  /// Whether a condition over the parameters holds in every run of launch number `launch`, or of all launches;
  /// provably.
  bool always(Expr condition, size_t launch) const;
  bool always(Expr condition) const;
  /// Whether it may hold in some run of some launch.
  bool ever(Expr condition) const;

  /// What the parameters may be, in a number of runs that covers their range; the second number is the launch's.
  /// Without launches every parameter may be anything.
  using Sample = std::pair<llvm::StringMap<int64_t>, size_t>;
  std::vector<Sample> samples(mlir::DictionaryAttr bounds) const;

private:
  Expr of(Expr e, size_t launch) const;
  mutable KernelOp kernel; // accessors of ops are not const
  llvm::SetVector<mlir::Attribute> launches;
};

/// The launches of all kernels of a module.
llvm::MapVector<KernelOp, KernelLaunches> launchesOf(mlir::ModuleOp module);

} // namespace kt

#endif
