//===- ExprProgram.h - many expressions evaluated at many points ----------===//
//
// Expressions translated once into a list of operations, each shared part once, for the scheduler's thousands of
// samples.
//
//===----------------------------------------------------------------------===//

#ifndef KT_PASSES_ANALYSIS_EXPRPROGRAM_H
#define KT_PASSES_ANALYSIS_EXPRPROGRAM_H

#include "dialects/KT/IR/KTDialect.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace kt {

class ExprProgram {
public:
  /// A number, or none: what overflows or divides by zero has none, nor has what is computed with it.
  using Value = std::optional<int64_t>;

  /// The place of the expression's value.
  unsigned add(Expr e);
  /// Evaluates all expressions; symbols that `symbols` does not have have no value.
  void run(const llvm::StringMap<int64_t> &symbols);
  Value operator[](unsigned place) const { return values[place]; }

private:
  struct Node {
    Expr::Kind kind;
    int64_t imm;
    std::string name;
    llvm::SmallVector<unsigned, 3> operands;
  };
  Value evaluate(const Node &n, const llvm::StringMap<int64_t> &symbols) const;
  std::vector<Node> nodes;
  std::vector<Value> values;
  llvm::DenseMap<mlir::Attribute, unsigned> places;
};

} // namespace kt

#endif
