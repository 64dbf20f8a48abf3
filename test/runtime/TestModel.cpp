//===- TestModel.cpp - hand-made models for the tests ---------------------===//
//
// See TestModel.h.
//
//===----------------------------------------------------------------------===//

#include "test/runtime/TestModel.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace kt::test {

std::string temporaryPath(const std::string &name) {
  static const std::string folder = [] {
    std::string pattern = ::testing::TempDir() + "ktm-test-XXXXXX";
    return std::string(::mkdtemp(pattern.data()));
  }();
  const auto *info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string test = std::string(info->test_suite_name()) + "." + info->name();
  std::replace(test.begin(), test.end(), '/', '.'); // of tests with parameters
  return folder + "/" + test + "." + name;
}

std::vector<std::byte> readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto *bytes = reinterpret_cast<const std::byte *>(text.data());
  return {bytes, bytes + text.size()};
}

void writeFile(const std::string &path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

ModelBuilder::ModelBuilder() : kernels(6, kNone) {
  model.producer = "test";
  model.name = "hand-made";
  model.targets = {"host-v3"};
  Module module;
  module.kind = Module::Kind::HostImage;
  module.target = "host-v3";
  module.code = readFile(KT_TEST_IMAGE);
  model.modules.push_back(std::move(module));
}

ExprId ModelBuilder::constant(int64_t value) {
  model.exprs.push_back({Expr::Op::Const, value});
  return model.exprs.size() - 1;
}
ExprId ModelBuilder::expr(Expr::Op op, ExprId a, ExprId b, ExprId c) {
  model.exprs.push_back({op, 0, a, b, c});
  return model.exprs.size() - 1;
}
ExprId ModelBuilder::value(SymbolId symbol) {
  model.exprs.push_back({Expr::Op::Symbol, symbol});
  return model.exprs.size() - 1;
}
SymbolId ModelBuilder::symbol(const std::string &name, Symbol::Kind kind, int64_t min, int64_t max) {
  model.symbols.push_back({name, kind, min, max});
  return model.symbols.size() - 1;
}
BufferId ModelBuilder::buffer(Buffer::Kind kind, ExprId bytes) {
  model.buffers.push_back({kind, bytes});
  return model.buffers.size() - 1;
}
BufferId ModelBuilder::input(const std::string &name, DType type, ExprId elements) {
  BufferId id = buffer(Buffer::Kind::Input, expr(Expr::Op::Mul, elements, constant(byteSize(type))));
  model.inputs.push_back({name, type, {elements}, id});
  return id;
}
BufferId ModelBuilder::output(const std::string &name, DType type, ExprId elements) {
  BufferId id = buffer(Buffer::Kind::Output, expr(Expr::Op::Mul, elements, constant(byteSize(type))));
  asOutput(name, type, elements, id);
  return id;
}
void ModelBuilder::asOutput(const std::string &name, DType type, ExprId elements, BufferId buffer) {
  model.outputs.push_back({name, type, {elements}, buffer});
}

BufferId ModelBuilder::weight(const std::string &name, std::vector<float> values) {
  auto keep = std::make_shared<std::vector<float>>(std::move(values));
  Weight weight;
  weight.name = name;
  weight.dims = {static_cast<int64_t>(keep->size())};
  weight.bytes = std::as_bytes(std::span(*keep));
  weight.keep = keep;
  model.weights.push_back(weight);
  BufferId id = buffer(Buffer::Kind::Weight, constant(weight.bytes.size()));
  model.buffers[id].weight = model.weights.size() - 1;
  return id;
}

uint32_t ModelBuilder::kernel(Entry entry) {
  uint32_t &number = kernels[static_cast<size_t>(entry)];
  if (number != kNone)
    return number;
  static const char *names[] = {"add", "scale", "shift", "sum", "total", "external"};
  Kernel k;
  k.name = names[static_cast<size_t>(entry)];
  k.family = "test";
  k.numBuffers = entry == Entry::add ? 3 : 2;
  k.numInts = entry == Entry::scale || entry == Entry::shift ? 2 : 1;
  k.exprs = {{Expr::Op::Symbol, 0}, {Expr::Op::Const, 16},    {Expr::Op::CeilDiv, 0, 0, 1}, // 2: tasks
             {Expr::Op::Const, 4},  {Expr::Op::Mul, 0, 2, 3},                               // 4: workspace
             {Expr::Op::Const, 64}, {Expr::Op::Const, 1}};
  Variant v;
  v.target = "host-v3";
  Stage stage;
  stage.module = 0;
  stage.entryOffset = 1024 * static_cast<uint64_t>(entry);
  stage.grid[0] = entry == Entry::external ? 6 : 2;
  if (entry == Entry::partial) {
    v.workspace = 4;
    v.workspaceZeroed = true;
    stage.scratch = 5;
    v.stages.push_back(stage);
    stage = Stage();
    stage.module = 0;
    stage.entryOffset = 1024 * static_cast<uint64_t>(Entry::total);
    stage.grid[0] = 6;
  }
  v.stages.push_back(stage);
  k.variants.push_back(v);
  model.kernels.push_back(k);
  return number = model.kernels.size() - 1;
}

Instruction ModelBuilder::add(BufferId x, BufferId y, BufferId z, ExprId n) {
  return Launch{kernel(Entry::add), {x, y, z}, {n}};
}
Instruction ModelBuilder::scale(BufferId x, BufferId y, ExprId n, ExprId k) {
  return Launch{kernel(Entry::scale), {x, y}, {n, k}};
}
Instruction ModelBuilder::shift(BufferId x, BufferId y, ExprId n, ExprId k) {
  return Launch{kernel(Entry::shift), {x, y}, {n, k}};
}
Instruction ModelBuilder::sum(BufferId x, BufferId y, ExprId n) { return Launch{kernel(Entry::partial), {x, y}, {n}}; }

namespace {
void collectWeights(const Model &model, const Instruction &instruction, std::set<WeightId> &to) {
  auto add = [&](BufferId id) {
    if (model.buffers[id].kind == Buffer::Kind::Weight)
      to.insert(model.buffers[id].weight);
  };
  if (auto *launch = std::get_if<Launch>(&instruction))
    std::for_each(launch->buffers.begin(), launch->buffers.end(), add);
  else if (auto *copy = std::get_if<Copy>(&instruction))
    add(copy->src);
  else if (auto *branch = std::get_if<If>(&instruction)) {
    for (auto &i : branch->then->instructions)
      collectWeights(model, i, to);
    for (auto &i : branch->otherwise->instructions)
      collectWeights(model, i, to);
    std::for_each(branch->thenYields.begin(), branch->thenYields.end(), add);
    std::for_each(branch->otherwiseYields.begin(), branch->otherwiseYields.end(), add);
  }
}
} // namespace

void ModelBuilder::slice(const std::vector<uint32_t> &cuts) {
  uint32_t begin = 0;
  std::vector<uint32_t> ends = cuts;
  ends.push_back(model.program.instructions.size());
  for (uint32_t end : ends) {
    std::set<WeightId> weights;
    for (uint32_t i = begin; i < end; ++i)
      collectWeights(model, model.program.instructions[i], weights);
    model.slices.push_back({begin, end, {weights.begin(), weights.end()}});
    begin = end;
  }
}

std::string writeModel(const Model &model) {
  std::string path = temporaryPath("ktm");
  Status status = artifact::write(model, path);
  EXPECT_TRUE(status.ok()) << status.message();
  return path;
}

std::shared_ptr<kt::Model> loadModel(const Model &model, const Options &options) {
  auto loaded = kt::Model::load(writeModel(model), options);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? *loaded : nullptr;
}

TensorView tensor(const std::string &name, const std::vector<float> &values) {
  return {name, DataType::f32, {static_cast<int64_t>(values.size())}, values.data()};
}
TensorView tensor(const std::string &name, const std::vector<int64_t> &values) {
  return {name, DataType::i64, {static_cast<int64_t>(values.size())}, values.data()};
}
TensorView onDevice(const std::string &name, const void *memory, size_t count) {
  return {name, DataType::f32, {static_cast<int64_t>(count)}, memory, Memory::device};
}
std::vector<float> floats(const TensorView &tensor) {
  const auto *data = static_cast<const float *>(tensor.data);
  return {data, data + tensor.bytes() / 4};
}
std::vector<int64_t> integers(const TensorView &tensor) {
  const auto *data = static_cast<const int64_t *>(tensor.data);
  return {data, data + tensor.bytes() / 8};
}

} // namespace kt::test
