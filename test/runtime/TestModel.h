//===- TestModel.h - hand-made models for the tests -----------------------===//
//
// A few calls to put together a model over the kernels of kernels.c, write it, and run it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TEST_RUNTIME_TESTMODEL_H
#define KT_TEST_RUNTIME_TESTMODEL_H

#include "kt/Runtime.h"
#include "runtime/artifact/Reader.h"
#include "runtime/artifact/Writer.h"

#include <gtest/gtest.h>

namespace kt::test {

using namespace kt::artifact;
using artifact::Model; // not the API's
using Op = Expr::Op;

/// A folder of its own for a test's files.
std::string temporaryPath(const std::string &name);
std::vector<std::byte> readFile(const std::string &path);
void writeFile(const std::string &path, std::span<const std::byte> bytes);

/// Entries of kernels.c.
enum class Entry { add, scale, shift, partial, total, external };

class ModelBuilder {
public:
  ModelBuilder();
  Model model;

  ExprId constant(int64_t value);
  ExprId expr(Expr::Op op, ExprId a, ExprId b, ExprId c = kNone);
  ExprId value(SymbolId symbol);
  SymbolId symbol(const std::string &name, Symbol::Kind kind = Symbol::Kind::Input, int64_t min = 0,
                  int64_t max = INT64_MAX);
  /// `bytes` is an expression.
  BufferId buffer(Buffer::Kind kind, ExprId bytes);
  BufferId temporary(ExprId bytes) { return buffer(Buffer::Kind::Temporary, bytes); }
  /// An input or output of one dimension of `elements`.
  BufferId input(const std::string &name, DType type, ExprId elements);
  BufferId output(const std::string &name, DType type, ExprId elements);
  void asOutput(const std::string &name, DType type, ExprId elements, BufferId buffer);
  BufferId weight(const std::string &name, std::vector<float> values);

  /// Kernels over n elements with 16 a task; created at the first use.
  uint32_t kernel(Entry entry);
  Instruction add(BufferId x, BufferId y, BufferId z, ExprId n);
  Instruction scale(BufferId x, BufferId y, ExprId n, ExprId k);
  Instruction shift(BufferId x, BufferId y, ExprId n, ExprId k);
  Instruction sum(BufferId x, BufferId y, ExprId n);
  /// Appends to the program; a list of instructions for nested blocks is made with `list`.
  template <typename... I> void emit(I &&...instructions) {
    (model.program.instructions.emplace_back(std::move(instructions)), ...);
  }
  template <typename... I> static std::unique_ptr<Block> list(I &&...instructions) {
    auto block = std::make_unique<Block>();
    (block->instructions.emplace_back(std::move(instructions)), ...);
    return block;
  }
  /// Cuts the program at these instructions; each slice gets the weights that it uses.
  void slice(const std::vector<uint32_t> &cuts);

private:
  std::vector<uint32_t> kernels;
};

/// Writes the model under the running test's name and answers the path; fails the test when it cannot.
std::string writeModel(const Model &model);
std::shared_ptr<kt::Model> loadModel(const Model &model, const Options &options = {.device = "host", .threads = 2});

TensorView tensor(const std::string &name, const std::vector<float> &values);
TensorView tensor(const std::string &name, const std::vector<int64_t> &values);
/// `count` floats that lie on the device.
TensorView onDevice(const std::string &name, const void *memory, size_t count);
std::vector<float> floats(const TensorView &tensor);
std::vector<int64_t> integers(const TensorView &tensor);

} // namespace kt::test

#endif
