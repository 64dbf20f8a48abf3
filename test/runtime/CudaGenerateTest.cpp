//===- CudaGenerateTest.cpp - which models go together --------------------===//
//
// Models that look like language models: what a generator says of them before anything runs. (test/tools/ktrun has
// those that write.)
//
//===----------------------------------------------------------------------===//

#include "kt/Generate.h"
#include "test/runtime/CudaFixture.h"

namespace kt::test {
namespace {

/// Takes tokens, has a state, and says of each token how likely it is.
ModelBuilder speaker(int64_t vocabulary, DType type) {
  ModelBuilder b;
  ExprId one = b.constant(1), count = b.constant(vocabulary), n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 256));
  b.input("input_ids", DType::i64, n);
  b.model.inputs.back().dims = {one, n};
  BufferId x = b.input("x", DType::f32, count), y = b.output("y", DType::f32, count);
  b.model.outputs.back().tied = 1;
  BufferId logits = b.output("logits", DType::f32, count);
  b.model.outputs.back().type = type;
  b.model.outputs.back().dims = {one, count};
  b.emit(b.scale(x, y, count, one), b.scale(y, logits, count, b.constant(2)));
  addGpuCode(b.model, {Entry::scale}, b);
  return b;
}

std::string whyNot(std::shared_ptr<kt::Model> model, std::shared_ptr<kt::Model> draft = nullptr) {
  auto made = Generator::create(std::move(model), {.capacity = 8, .draft = std::move(draft)});
  EXPECT_TRUE(made.ok() || made.status().code() == Code::usage);
  return made.ok() ? "" : made.status().message();
}

TEST_P(Cuda, ADraftGoesWithItsModel) {
  auto onGpu = loadModel(speaker(48, DType::f32).model, kGpu), onHost = loadModel(speaker(48, DType::f32).model);
  EXPECT_EQ(whyNot(onGpu), "");
  EXPECT_EQ(whyNot(onGpu, onHost), "the draft: it runs on host, but the model on cuda:0");
  EXPECT_EQ(whyNot(onHost, onGpu), "the draft: it runs on cuda:0, but the model on host");
  EXPECT_EQ(whyNot(onGpu, loadModel(speaker(47, DType::f32).model, kGpu)),
            "the draft: its vocabulary has 47 tokens, but the model's 48");
  EXPECT_EQ(whyNot(onGpu, loadModel(speaker(48, DType::i32).model, kGpu)),
            "the draft: output 'logits' is i32, expected f32, f16 or bf16");
  EXPECT_EQ(whyNot(onGpu, onGpu),
            "the draft: its state cannot go back to what it was before a guess: each run replaces a part of it");
  EXPECT_EQ(whyNot(loadModel(speaker(48, DType::i32).model)), "output 'logits' is i32, expected f32, f16 or bf16");
  EXPECT_EQ(whyNot(nullptr), "the model is null");
}

} // namespace
} // namespace kt::test
