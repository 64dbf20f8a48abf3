//===- NamePatterns.h - nodes and weights that a user names ---------------===//

#ifndef KT_PASSES_PRECISION_NAMEPATTERNS_H
#define KT_PASSES_PRECISION_NAMEPATTERNS_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/GlobPattern.h"
#include <optional>
#include <string>
#include <vector>

namespace kt {

/// Calls `visit` with the names of the ONNX nodes that a location has, in their order.
void forEachNode(mlir::Location loc, llvm::function_ref<void(llvm::StringRef)> visit);

/// Patterns with `*`, `?` and `[a-z]`, and whether each has matched something. For one thread.
class NamePatterns {
public:
  /// What is wrong with `text` as a pattern, if anything is.
  static std::optional<std::string> errorIn(llvm::StringRef text);

  /// Of patterns without errors.
  explicit NamePatterns(llvm::ArrayRef<std::string> texts);
  /// The first pattern that matches one of the ONNX nodes that a location names, or the weight's name, which may be
  /// empty.
  std::optional<llvm::StringRef> match(mlir::Location nodes, llvm::StringRef weight);
  /// Says of the first pattern that has matched nothing so far what it is and which names are nearest to it.
  std::optional<std::string> unmatched() const;

private:
  void matchName(llvm::StringRef name, size_t &first);
  struct Pattern {
    std::string text;
    llvm::GlobPattern glob;
    bool matched = false;
  };
  std::vector<Pattern> patterns;
  llvm::StringSet<> names; // that were asked for
};

} // namespace kt

#endif
