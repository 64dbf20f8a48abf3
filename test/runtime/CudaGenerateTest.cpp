//===- CudaGenerateTest.cpp - language models of a few launches -----------===//
//
// Models that look like language models: what a generator says of them before anything runs, and what it asks of the
// driver for several streams. (test/tools/ktrun has those that write.)
//
//===----------------------------------------------------------------------===//

#include "kt/Generate.h"
#include "test/runtime/CudaFixture.h"

#include <map>

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

/// Says behind each token that it and its position add up to, and keeps a state of fixed size. Both are i64, but small
/// numbers of these are denormal floats of two, which the driver's kernels add and copy exactly.
ModelBuilder counter() {
  ModelBuilder b;
  auto symbol = [&](const char *name) { return b.value(b.symbol(name, Symbol::Kind::Input, 1, 1024)); };
  ExprId one = b.constant(1), two = b.constant(2);
  ExprId batch = symbol("batch"), n = symbol("n"), m = symbol("m"), room = symbol("room");
  ExprId tokens = b.expr(Op::Mul, batch, n), halves = b.expr(Op::Mul, tokens, two);
  auto shape = [&](std::vector<Port> &ports, std::vector<ExprId> dims) { ports.back().dims = std::move(dims); };
  BufferId ids = b.input("input_ids", DType::i64, tokens);
  shape(b.model.inputs, {batch, n});
  b.input("attention_mask", DType::i64, b.expr(Op::Mul, batch, m));
  shape(b.model.inputs, {batch, m});
  BufferId positions = b.input("position_ids", DType::i64, tokens);
  shape(b.model.inputs, {batch, n});
  BufferId x = b.input("x", DType::f32, room), y = b.output("y", DType::f32, room);
  b.model.outputs.back().tied = 3;
  b.model.outputs.back().axis = 0;
  BufferId next = b.output("next_token", DType::i64, tokens);
  shape(b.model.outputs, {batch, n});
  BufferId logits = b.output("logits", DType::f32, halves);
  shape(b.model.outputs, {batch, n, two});
  b.emit(b.scale(x, y, room, one), b.add(ids, positions, next, halves), b.scale(next, logits, halves, one));
  for (int layer = 0; layer < 4; ++layer) // a graph is patched where most of its nodes stay as they are
    b.emit(b.scale(x, b.temporary(b.constant(4096)), room, one));
  addGpuCode(b.model, {Entry::scale, Entry::add}, b);
  return b;
}

using Streams = std::vector<std::vector<int64_t>>;

Streams tokensOf(Generator &generator, const GenerateRequest &request) {
  auto result = generator.generate(request);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? result->tokens : Streams();
}

TEST_P(Cuda, StreamsCostTheLaunchesAndCopiesOfOne) {
  auto model = loadModel(counter().model, kGpu);
  std::map<std::string, size_t> ofOne;
  for (size_t count : {1, 2, 3, 8}) {
    auto generator = *Generator::create(model, {.capacity = 64});
    std::vector<int64_t> wanted = {1};
    while (wanted.size() < 30)
      wanted.push_back(wanted.back() + static_cast<int64_t>(wanted.size()));
    GenerateRequest request{.prompts = Streams(count, {1}), .maxNew = 30};
    EXPECT_EQ(tokensOf(*generator, request), Streams(count, wanted));
    // Tables are filled and the graph is recorded.
    generator->reset();
    fake().calls.clear();
    uint64_t bytes = fake().bytesIn;
    EXPECT_EQ(tokensOf(*generator, request), Streams(count, wanted));
    EXPECT_EQ(fake().bytesIn - bytes, 2 * 8 * count); // the prompts, and the first tokens
    std::map<std::string, size_t> calls;
    for (const std::string &call : fake().calls)
      if (call.find("Memcpy") != std::string::npos || call.find("Launch") != std::string::npos)
        ++calls[call];
      else // a token makes nothing: no memory, no event, no graph
        EXPECT_TRUE(call.find("Alloc") == std::string::npos && call.find("Create") == std::string::npos &&
                    call.find("Instantiate") == std::string::npos)
            << call;
    EXPECT_GT(calls["cuGraphLaunch"], 20u);
    if (count == 1)
      ofOne = calls;
    EXPECT_EQ(calls, ofOne) << count;
  }
}

TEST_P(Cuda, PadsAreNoPositions) {
  auto generator = *Generator::create(loadModel(counter().model, kGpu), {.capacity = 64});
  for (size_t piece : {0, 2}) {
    GenerateRequest request{.prompts = {{1, 0, 1}, {1}}, .pad = true, .maxNew = 4, .piece = piece};
    EXPECT_EQ(tokensOf(*generator, request), (Streams{{3, 6, 10, 15}, {1, 2, 4, 7}}));
    EXPECT_EQ(generator->held(), 6u);
    auto fork = *generator->fork();
    for (Generator *one : {generator.get(), fork.get()})
      EXPECT_EQ(tokensOf(*one, {.maxNew = 2}), (Streams{{21, 28}, {11, 16}}));
    generator->reset();
    EXPECT_EQ(tokensOf(*generator, {.prompts = {{1}, {0}}, .pad = true, .maxNew = 3}), (Streams{{1, 2, 4}, {0, 1, 3}}));
    generator->reset();
  }
}

TEST_P(Cuda, StreamsHavePositionsOfTheirOwn) {
  auto generator = *Generator::create(loadModel(counter().model, kGpu), {.capacity = 64});
  for (bool ahead : {false, true}) {
    std::vector<std::pair<size_t, int64_t>> seen;
    auto onToken = [&](size_t stream, int64_t token) {
      seen.emplace_back(stream, token);
      return token != 4;
    };
    // The second stream has two tokens when the first one's prompt has been read.
    GenerateRequest request{.prompts = {{1, 0, 1}, {1}}, .maxNew = 4, .ahead = ahead, .onToken = onToken};
    EXPECT_EQ(tokensOf(*generator, request), (Streams{{3, 6, 10, 15}, {1, 2, 4}}));
    EXPECT_EQ(seen,
              (std::vector<std::pair<size_t, int64_t>>{{1, 1}, {1, 2}, {0, 3}, {1, 4}, {0, 6}, {0, 10}, {0, 15}}));
    // What the longer stream has behind the end of the other one is read again with what follows.
    EXPECT_EQ(generator->held(), 3u);
    EXPECT_EQ(generator->streams(), 2u);
    EXPECT_EQ(tokensOf(*generator, {.prompts = {{}, {0}}, .maxNew = 2, .ahead = ahead}), (Streams{{21, 28}, {4, 9}}));
    EXPECT_EQ(generator->held(), 6u);
    EXPECT_EQ(generator->generate({.prompts = {{1}}}).status().message(),
              "there are 1 prompts, but the state has 2 streams");
    auto fork = *generator->fork();
    for (Generator *one : {generator.get(), fork.get()})
      EXPECT_EQ(tokensOf(*one, {.maxNew = 1, .ahead = ahead}), (Streams{{36}, {15}}));
    EXPECT_TRUE(generator->truncate(2).ok());
    EXPECT_EQ(generator->generate({.prompts = {{1}, {}}, .maxNew = 1}).status().message(),
              "prompt 1: the prompt has no tokens");
    EXPECT_EQ(tokensOf(*generator, {.prompts = {{1, 1}, {0, 1}}, .maxNew = 2}), (Streams{{4, 8}, {4, 8}}));
    generator->reset();
    EXPECT_EQ(generator->streams(), 0u);
    EXPECT_EQ(tokensOf(*generator, {.prompts = {{1}}, .maxNew = 3}), (Streams{{1, 2, 4}}));
    generator->reset();
  }
}

} // namespace
} // namespace kt::test
