//===- Expressions.h - integer expressions at run time --------------------===//
//
// Values of a model's expressions as its symbols are set, and one-off evaluation of a kernel's. A failing operation
// poisons its value; the failure is reported only by whoever asks for a value that it reaches.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_EXPRESSIONS_H
#define KT_RUNTIME_EXEC_EXPRESSIONS_H

#include "runtime/artifact/Evaluate.h"
#include "runtime/device/Device.h"
#include "runtime/include/kt/Status.h"

namespace kt::exec {

using artifact::Expr;
using artifact::ExprId;
using artifact::SymbolId;

using artifact::apply;
using artifact::Value;

/// The failure of a value that is not ok; `text` is the expression as people read it.
Status valueError(Value value, const std::string &text);

/// What the pool of a model says about itself once and for all. Its size is that of the pool.
class ExprGraph {
public:
  explicit ExprGraph(const artifact::Model &model);
  const artifact::Model &model;
  /// The expressions that have `id` as an operand, ascending.
  std::span<const ExprId> users(ExprId id) const { return between(id); }
  /// The expressions that are `symbol` itself.
  std::span<const ExprId> uses(SymbolId symbol) const { return between(model.exprs.size() + symbol); }
  /// Whether the expression depends on nothing but input symbols.
  std::vector<bool> early;

private:
  std::span<const ExprId> between(size_t row) const {
    return {edges.data() + firstEdge[row], edges.data() + firstEdge[row + 1]};
  }
  std::vector<uint32_t> firstEdge; // by expression, then by symbol
  std::vector<ExprId> edges;
};

/// The values of one session. Not thread-safe.
class ExprValues {
public:
  explicit ExprValues(const ExprGraph &graph);

  /// Sets a symbol and evaluates again what depends on it.
  void set(SymbolId symbol, int64_t value);
  /// Sets several symbols and evaluates the dependents of all of them once.
  void setAll(const std::vector<SymbolId> &which, const std::vector<int64_t> &to);
  /// Forgets every symbol that is not an input's.
  void forgetLate();

  Value peek(ExprId id) const { return values[id]; }
  Result<int64_t> get(ExprId id) const;
  /// The value of an offset or size: not negative.
  Result<uint64_t> getSize(ExprId id, const char *what) const;

private:
  void evaluate(ExprId id);
  const ExprGraph &graph;
  std::vector<Value> symbols;
  std::vector<Value> values;
  std::vector<SymbolId> late;
  std::vector<ExprId> lateDependents;
  std::vector<ExprId> waiting; // a heap of what set() has still to evaluate
};

/// Evaluates a kernel's whole pool for one launch into `values`, which keeps its memory.
void evaluateKernel(const artifact::Kernel &kernel, const std::vector<int64_t> &ints, const device::Facts &facts,
                    std::vector<Value> &values);
/// The same where some integers may be unknown: values that they do not decide are known all the same.
void evaluateKernel(const artifact::Kernel &kernel, const std::vector<Value> &ints, const device::Facts &facts,
                    std::vector<Value> &values);

} // namespace kt::exec

#endif
