//===- ArtifactTest.cpp - the file format ---------------------------------===//
//
// Round trips, determinism, and files that are damaged or hostile.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Container.h"
#include "runtime/artifact/Print.h"
#include "runtime/artifact/Verifier.h"
#include "runtime/artifact/ktm_generated.h"
#include "runtime/exec/ProgramInfo.h"
#include "test/runtime/TestModel.h"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <sys/resource.h>

namespace kt::test {
namespace {

/// One of everything.
ModelBuilder everything() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 1, 8)), four = b.constant(4), one = b.constant(1);
  ExprId bytes = b.expr(Op::Mul, n, four);
  BufferId x = b.input("in:0/x", DType::f32, n), c = b.input("c", DType::i64, one);
  BufferId w = b.weight("w", {1, 2, 3, 4, 5, 6, 7, 8}), same = b.weight("same", {1, 2, 3, 4, 5, 6, 7, 8});
  BufferId large = b.weight("large", std::vector<float>(2000, 1.5f));
  SymbolId s = b.symbol("s", Symbol::Kind::Data), k = b.symbol("k", Symbol::Kind::Induction);
  SymbolId done = b.symbol("done", Symbol::Kind::Data);
  BufferId t = b.temporary(bytes), u = b.temporary(bytes), r = b.temporary(bytes), v = b.temporary(bytes);
  b.model.nodes = {"/a", "/b"};
  b.model.options = "-O2";
  b.emit(ReadScalar{s, c, DType::i64, kNone}, SetSymbol{done, b.constant(0)},
         Assert{b.value(s), b.value(s), "always \"true\"", 1}, b.add(x, w, t, n), b.add(t, same, u, n));
  If branch;
  branch.condition = b.value(s);
  BufferId inner = b.temporary(bytes);
  branch.then = b.list(b.scale(u, inner, n, n));
  branch.otherwise = b.list();
  branch.results = {r};
  branch.thenYields = {inner};
  branch.otherwiseYields = {u};
  b.emit(std::move(branch));
  Loop loop;
  BufferId carried = b.temporary(bytes), next = b.temporary(bytes), result = b.temporary(bytes);
  BufferId scan = b.temporary(b.expr(Op::Mul, b.value(done), bytes));
  loop.trips = four;
  loop.induction = k;
  loop.iterations = done;
  loop.init = {r};
  loop.carried = {carried};
  loop.next = {next};
  loop.results = {result};
  loop.scanPieces = {carried};
  loop.scan = {scan};
  loop.scanReverse = {1};
  loop.body = b.list(b.scale(carried, next, n, b.value(k)));
  b.emit(std::move(loop), Alias{result, v});
  BufferId y = b.output("out y", DType::f32, n), z = b.output("z", DType::f32, n),
           head = b.output("head", DType::f32, one);
  b.emit(b.add(v, v, y, n), b.add(large, w, z, n), Copy{large, head, four, kNone, four},
         b.sum(x, b.temporary(four), n));
  b.slice({4, 6});
  // The writer wants the slices to name what instructions use; the loop uses no weight.
  return b;
}

TEST(Artifact, ComesBackAsItWas) {
  ModelBuilder b = everything();
  std::string path = writeModel(b.model);
  auto loaded = artifact::read(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const Model &model = (*loaded)->model;
  EXPECT_EQ(print(model), print(b.model));
  EXPECT_EQ(model.exprs, b.model.exprs);
  ASSERT_EQ(model.weights.size(), b.model.weights.size());
  for (size_t i = 0; i < model.weights.size(); ++i) {
    auto a = model.weights[i].bytes, e = b.model.weights[i].bytes;
    ASSERT_EQ(a.size(), e.size());
    EXPECT_EQ(std::memcmp(a.data(), e.data(), a.size()), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % (a.size() >= kPage ? kPage : kSmallAlignment), 0u);
  }
  EXPECT_EQ(model.modules[0].code, b.model.modules[0].code);
  std::string text = print(model);
  EXPECT_NE(text.find("loop k trips 4 carrying"), std::string::npos) << text;
}

TEST(Artifact, WeightsWithoutDimensionsComeBack) { // FlatBuffers puts vectors without elements anywhere
  for (size_t length = 1; length <= 8; ++length) {
    ModelBuilder b;
    ExprId one = b.constant(1), four = b.constant(4);
    BufferId w = b.weight(std::string(length, 'w'), {1}), y = b.output("y", DType::f32, one);
    b.model.weights.back().dims.clear();
    b.emit(Copy{w, y, b.constant(0), b.constant(0), four});
    auto loaded = artifact::read(writeModel(b.model));
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_TRUE((*loaded)->model.weights[0].dims.empty());
  }
}

TEST(Artifact, EqualWeightsAreStoredOnceAndEqualModelsAreEqualFiles) {
  ModelBuilder b = everything();
  auto loaded = artifact::read(writeModel(b.model));
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ((*loaded)->model.weights[0].bytes.data(), (*loaded)->model.weights[1].bytes.data());
  std::string first = temporaryPath("1"), second = temporaryPath("2");
  ASSERT_TRUE(artifact::write(b.model, first).ok());
  ASSERT_TRUE(artifact::write(everything().model, second).ok());
  EXPECT_EQ(readFile(first), readFile(second));
  // What has been read writes the same file again.
  ASSERT_TRUE(artifact::write((*loaded)->model, second).ok());
  EXPECT_EQ(readFile(first), readFile(second));
}

/// Makes bytes that it has, and sees that it is asked for whole units and few at a time.
class MadeBytes final : public WeightSource {
public:
  explicit MadeBytes(std::span<const std::byte> bytes) : bytes(bytes.begin(), bytes.end()) {}
  uint64_t size() const override { return bytes.size(); }
  uint64_t unit() const override { return 3000; }
  void read(uint64_t begin, std::span<std::byte> out) const override {
    EXPECT_EQ(begin % unit(), 0u);
    EXPECT_TRUE(out.size() % unit() == 0 || begin + out.size() == size());
    EXPECT_LE(out.size(), 32u << 20);
    std::ranges::copy(std::span(bytes).subspan(begin, out.size()), out.begin());
  }

private:
  std::vector<std::byte> bytes;
};

TEST(Artifact, WeightsThatAreMadeAreWhatTheyWouldBeInMemory) {
  // Small ones, one of many parts, and twins of which none, one or both are made.
  auto build = [](unsigned made) {
    ModelBuilder b = everything();
    std::vector<float> many(9 << 20), some(5000), other(5000);
    std::iota(many.begin(), many.end(), 0.f);
    std::iota(some.begin(), some.end(), 1.f);
    std::iota(other.begin(), other.end(), 1.f);
    other.back() = 0;
    size_t first = b.model.weights.size();
    for (const auto &values : {std::vector<float>{1, 2, 3}, some, many, some, other, std::vector<float>{1, 2, 3}, many})
      b.weight("w", values);
    for (size_t i = first; i < b.model.weights.size(); ++i)
      if (Weight &w = b.model.weights[i]; made >> (i - first) & 1) {
        w.source = std::make_shared<MadeBytes>(w.bytes);
        w.bytes = {};
      }
    return writeModel(b.model);
  };
  std::vector<std::byte> expected = readFile(build(0));
  for (unsigned made : {0x7f, 0x0a, 0x60})
    EXPECT_EQ(readFile(build(made)), expected) << made;
}

TEST(Artifact, EveryFlippedByteIsNoticed) {
  std::vector<std::byte> bytes = readFile(writeModel(everything().model));
  for (size_t i = 0; i < bytes.size(); ++i)
    for (std::byte mask : {std::byte{1}, std::byte{0x80}}) {
      bytes[i] ^= mask;
      auto loaded = artifact::readBytes(bytes);
      ASSERT_FALSE(loaded.ok()) << "byte " << i;
      ASSERT_EQ(loaded.status().code(), Code::rejected);
      bytes[i] ^= mask;
    }
  EXPECT_TRUE(artifact::readBytes(bytes).ok());
}

TEST(Artifact, EveryTruncationIsNoticed) {
  std::vector<std::byte> bytes = readFile(writeModel(everything().model));
  std::span<const std::byte> all(bytes);
  for (size_t length = 0; length < bytes.size(); length += length < 300 ? 1 : 97) {
    auto loaded = artifact::readBytes(all.first(length));
    ASSERT_FALSE(loaded.ok()) << length;
    ASSERT_EQ(loaded.status().code(), Code::rejected);
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(artifact::readBytes(bytes).ok());
}

/// Makes the digests of a changed file right again, as an attacker would.
void reseal(std::vector<std::byte> &bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header.metadata = digestOf(std::span<const std::byte>(bytes).subspan(sizeof(Header), header.metadataBytes));
  header.header = digestOf({reinterpret_cast<const std::byte *>(&header), offsetof(Header, header)});
  std::memcpy(bytes.data(), &header, sizeof(header));
}

TEST(Artifact, FilesOfTheVersionBeforeAreRead) {
  std::vector<std::byte> bytes = readFile(writeModel(everything().model));
  auto message = [&](uint32_t version) {
    std::memcpy(bytes.data() + offsetof(Header, version), &version, sizeof(version));
    reseal(bytes);
    return artifact::readBytes(bytes).status().message();
  };
  EXPECT_EQ(message(5), "");
  EXPECT_EQ(message(6), "");
  EXPECT_NE(message(4).find("format version 4 but this runtime reads versions 5 to 6"), std::string::npos)
      << message(4);
  EXPECT_NE(message(7).find("format version 7 but this runtime reads versions 5 to 6"), std::string::npos)
      << message(7);
}

TEST(Artifact, HostileMetadataWithRightDigestsDoesNoHarm) {
  const std::vector<std::byte> good = readFile(writeModel(everything().model));
  Header header;
  std::memcpy(&header, good.data(), sizeof(header));
  std::mt19937 random(3);
  size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes = good;
    for (unsigned k = 0; k <= random() % 3; ++k) {
      size_t at = sizeof(Header) + random() % header.metadataBytes;
      static const unsigned char interesting[] = {0, 1, 2, 0x7f, 0x80, 0xff};
      bytes[at] = static_cast<std::byte>(random() % 2 ? interesting[random() % 6] : random());
    }
    reseal(bytes);
    auto loaded = artifact::readBytes(bytes, {false});
    if (!loaded.ok()) {
      ASSERT_EQ(loaded.status().code(), Code::rejected);
      continue;
    }
    // What has been accepted can be printed and analysed.
    ++accepted;
    (void)print((*loaded)->model);
    exec::ExprGraph graph((*loaded)->model);
    exec::ProgramInfo info(graph);
  }
  EXPECT_GT(accepted, 100u); // names and sizes may be anything
}

TEST(Artifact, MisalignedVectorsAreRefused) {
  ModelBuilder b;
  ExprId one = b.constant(1), four = b.constant(4);
  BufferId x = b.input("x", DType::f32, one), y = b.output("y", DType::f32, one);
  b.emit(Copy{x, y, b.constant(0), b.constant(0), four});
  const std::vector<std::byte> good = readFile(writeModel(b.model));
  Header header;
  std::memcpy(&header, good.data(), sizeof(header));
  std::vector<std::byte> metadata(good.begin() + sizeof(header), good.begin() + sizeof(header) + header.metadataBytes);
  // Once more at the end, where its length is aligned for eight bytes, and its elements are not.
  const auto *model = reinterpret_cast<const flatbuffers::Table *>(fb::GetModel(metadata.data()));
  const auto *exprs = fb::GetModel(metadata.data())->exprs();
  std::vector<std::byte> copy(4 + exprs->size() * sizeof(fb::Expr));
  std::memcpy(copy.data(), static_cast<const void *>(exprs), copy.size());
  size_t field = model->GetAddressOf(fb::Model::VT_EXPRS) - reinterpret_cast<const uint8_t *>(metadata.data());
  metadata.resize(alignUp(metadata.size(), 8));
  uint32_t offset = metadata.size() - field;
  std::memcpy(metadata.data() + field, &offset, sizeof(offset));
  metadata.insert(metadata.end(), copy.begin(), copy.end());
  uint64_t segments = header.segmentBase;
  header = makeHeader(metadata);
  std::vector<std::byte> bytes(header.segmentBase);
  std::ranges::copy(metadata, bytes.begin() + sizeof(header));
  bytes.insert(bytes.end(), good.begin() + segments, good.end());
  seal(header, bytes.size());
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::string message = artifact::readBytes(bytes, {false}).status().message();
  EXPECT_NE(message.find("misaligned vectors"), std::string::npos) << message;
}

TEST(Artifact, NothingIsLeftWhenTheDiskIsFull) {
  ModelBuilder b = everything();
  std::string folder = temporaryPath("folder");
  std::filesystem::create_directory(folder);
  std::string path = folder + "/model.ktm";
  ASSERT_TRUE(artifact::write(b.model, path).ok());
  auto before = readFile(path);
  b.weight("more", std::vector<float>(100000));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  rlimit limit = {20000, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  Status status = artifact::write(b.model, path);
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(status.code(), Code::failed);
  EXPECT_EQ(readFile(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  EXPECT_NE(artifact::write(b.model, "/nowhere/model.ktm").message().find("cannot create '/nowhere/model.ktm'"),
            std::string::npos);
}

TEST(Artifact, ReadingSaysWhatIsWrongWithTheFile) {
  EXPECT_EQ(artifact::read("/nowhere").status().code(), Code::failed);
  std::string path = temporaryPath("x");
  writeFile(path, std::vector<std::byte>(200, std::byte{7}));
  auto loaded = artifact::read(path);
  EXPECT_EQ(loaded.status().code(), Code::rejected);
  EXPECT_NE(loaded.status().message().find("not a .ktm file"), std::string::npos);
}

/// Each change makes the model unsound in one way; the message names it.
TEST(Verifier, RejectsUnsoundModels) {
  using M = Model;
  auto launch = [](M &m, size_t i) -> Launch & { return std::get<Launch>(m.program.instructions[i]); };
  struct {
    const char *message;
    std::function<void(M &)> spoil;
  } cases[] = {
      {"expected a smaller number than its own", [](M &m) { m.exprs.push_back({Op::Add, 0, 999, 0}); }},
      {"expected a smaller number than its own",
       [](M &m) { m.exprs.push_back({Op::Add, 0, static_cast<ExprId>(m.exprs.size()), 0}); }},
      {"is symbol 99 but there are", [](M &m) { m.exprs.push_back({Op::Symbol, 99}); }},
      {"has the unknown operation 77", [](M &m) { m.exprs.push_back({static_cast<Op>(77)}); }},
      {"operands or more, expected 0", [](M &m) { m.exprs.push_back({Op::Const, 1, 0}); }},
      {"is a device fact", [](M &m) { m.exprs.push_back({Op::Fact, 0}); }},
      {"has the bounds 5..4", [](M &m) { m.symbols[0].min = 5, m.symbols[0].max = 4; }},
      {"no input's shape binds symbol 'q'", [](M &m) { m.symbols.push_back({"q"}); }},
      {"two inputs are called 'c'", [](M &m) { m.inputs[0].name = "c"; }},
      {"is in buffer 500 but there are", [](M &m) { m.outputs[0].buffer = 500; }},
      {"the size of buffer 0 is expression 4000", [](M &m) { m.buffers[0].bytes = 4000; }},
      {"bytes but weight 0 has 32", [](M &m) { m.buffers[2].bytes = 1; }},
      {"is weight 77 but there are 3", [](M &m) { m.buffers[2].weight = 77; }},
      {"holds strings", [](M &m) { m.inputs[0].type = DType::string; }},
      {"kernel 'add': 9 results but 3 buffers", [](M &m) { m.kernels[0].numResults = 9; }},
      {"a stage is in module 9", [](M &m) { m.kernels[0].variants[0].stages[0].module = 9; }},
      {"an entry is at 99999999 but module 0 has",
       [](M &m) { m.kernels[0].variants[0].stages[0].entryOffset = 99999999; }},
      {"an entry is at ", [](M &m) { m.kernels[0].variants[0].stages[0].entryOffset = m.modules[0].code.size(); }},
      {"a stage has no grid", [](M &m) { m.kernels[0].variants[0].stages[0].grid[0] = kNone; }},
      {"the cluster is expression 50", [](M &m) { m.kernels[0].variants[0].stages[0].cluster = 50; }},
      {"a stage for 'host-v3' has clusters of blocks, which GPUs have from sm_90 on",
       [](M &m) { m.kernels[0].variants[0].stages[0].cluster = 0; }},
      {"a stage for 'sm_89' has clusters of blocks, which GPUs have from sm_90 on",
       [](M &m) {
         Variant &v = m.kernels[0].variants[0];
         v.target = "sm_89", v.stages[0].module = m.modules.size(), v.stages[0].cluster = 0;
         m.modules.push_back({Module::Kind::Ptx, "sm_89", {std::byte{' '}}});
       }},
      {"the guard is expression 50", [](M &m) { m.kernels[0].variants[0].guard = 50; }},
      {"the cost is expression 50", [](M &m) { m.kernels[0].variants[0].cost = 50; }},
      {"which is for 'host-v3'", [](M &m) { m.kernels[0].variants[0].target = "host-v4"; }},
      {"has the wrong kind of code", [](M &m) { m.modules[0].target = "sm_89"; }},
      {"is launched with 2 buffers and 1 integers, expected 3 and 1", [&](M &m) { launch(m, 3).buffers.pop_back(); }},
      {"buffer 7 is used before it is defined", [&](M &m) { launch(m, 3).buffers[0] = 7; }},
      {"is written but is read-only", [&](M &m) { launch(m, 3).buffers[2] = 2; }},
      {"which it also reads or writes under another name",
       [&](M &m) { launch(m, 4).buffers[2] = launch(m, 4).buffers[0]; }},
      {"site 0 is at node 9 but there are 2", [](M &m) { m.sites.push_back({9, "an index", false}); }},
      {"kernel 60 but there are", [&](M &m) { launch(m, 3).kernel = 60; }},
      {"node 40 but there are 2", [&](M &m) { launch(m, 3).node = 40; }},
      {"weight 0 is used but slice 0 does not name it", [](M &m) { m.slices[0].weights.clear(); }},
      {"slice 1 is [5, 6) but the one before it ends at 4", [](M &m) { m.slices[1].begin = 5; }},
      {"the last slice ends at 6 but the program has", [](M &m) { m.slices.pop_back(); }},
      {"depends on symbol 's', which is not set on every path",
       [](M &m) { m.program.instructions[0] = Alias{0, 40}, m.buffers.resize(41, m.buffers[5]); }},
      {"depends on symbol 's', which is not set on every path",
       [](M &m) {
         ExprId s = 0;
         while (m.exprs[s].op != Op::Symbol || m.symbols[m.exprs[s].imm].name != "s")
           ++s;
         m.exprs.push_back({Op::Add, 0, s, s});
         std::get<SetSymbol>(m.program.instructions[1]).value = m.exprs.size() - 1;
         std::swap(m.program.instructions[0], m.program.instructions[1]);
       }},
      {"is set but is not of the kind", [](M &m) { std::get<SetSymbol>(m.program.instructions[1]).symbol = 0; }},
      {"a branch has 1 results but its blocks yield 0 and 1",
       [](M &m) { std::get<If>(m.program.instructions[5]).thenYields.clear(); }},
      {"has 1 scan outputs but 2 pieces",
       [](M &m) { std::get<Loop>(m.program.instructions[6]).scanPieces.push_back(0); }},
      {"stored in reverse but", [](M &m) { std::get<Loop>(m.program.instructions[6]).trips = kNone; }},
      {"is defined twice", [](M &m) { std::get<Alias>(m.program.instructions[7]).result = 5; }},
      {"which the program does not define", [](M &m) { m.program.instructions.resize(8), m.slices[2].end = 8; }},
  };
  for (auto &c : cases) {
    ModelBuilder b = everything();
    c.spoil(b.model);
    Status status = verifyModel(b.model);
    EXPECT_EQ(status.code(), Code::rejected) << c.message;
    EXPECT_NE(status.message().find(c.message), std::string::npos)
        << "expected '" << c.message << "' in '" << status.message() << "'";
  }
}

/// y = x + u, where u = t + t and t = w * 2 are done once a plan.
ModelBuilder onceAPlan() {
  ModelBuilder b;
  ExprId n = b.value(b.symbol("n", Symbol::Kind::Input, 0, 8)), bytes = b.expr(Op::Mul, n, b.constant(4));
  BufferId x = b.input("x", DType::f32, n), w = b.weight("w", std::vector<float>(8, 1));
  BufferId t = b.temporary(bytes), u = b.temporary(bytes), y = b.output("y", DType::f32, n);
  b.emit(b.scale(w, t, n, b.constant(2)), b.add(t, t, u, n), b.add(x, u, y, n));
  for (size_t i : {0, 1})
    std::get<Launch>(b.model.program.instructions[i]).once = true;
  return b;
}

TEST(Verifier, WhatIsDoneOnceAPlanDependsOnNoRun) {
  EXPECT_TRUE(verifyModel(onceAPlan().model).ok());
  auto launch = [](ModelBuilder &b, size_t i) -> Launch & { return std::get<Launch>(b.model.program.instructions[i]); };
  struct {
    const char *message;
    std::function<void(ModelBuilder &)> spoil;
  } cases[] = {
      {"reads buffer 0, which may differ from run to run", [&](ModelBuilder &b) { launch(b, 0).buffers[0] = 0; }},
      {"reads buffer 2, which may differ from run to run", [&](ModelBuilder &b) { launch(b, 0).once = false; }},
      {"buffer 3 is written but is read-only", [&](ModelBuilder &b) { launch(b, 2).buffers = {0, 2, 3}; }},
      {"but buffer 2 has been written before",
       [&](ModelBuilder &b) {
         auto &all = b.model.program.instructions;
         all.insert(all.begin(), b.scale(1, 2, launch(b, 0).ints[0], launch(b, 0).ints[1]));
       }},
      {"but may report faults", [&](ModelBuilder &b) { b.model.kernels[launch(b, 0).kernel].reportsFaults = true; }},
      {"but not at the top level",
       [&](ModelBuilder &b) {
         If branch;
         branch.condition = b.constant(1);
         branch.then = b.list(b.scale(1, b.temporary(b.constant(32)), b.constant(8), b.constant(2)));
         std::get<Launch>(branch.then->instructions[0]).once = true;
         branch.otherwise = b.list();
         b.emit(std::move(branch));
       }},
      {"an integer argument does not follow from the sizes of inputs",
       [&](ModelBuilder &b) {
         SymbolId data = b.symbol("d", Symbol::Kind::Data);
         launch(b, 0).ints[1] = b.value(data);
         auto &all = b.model.program.instructions;
         all.insert(all.begin(), SetSymbol{data, b.constant(2)});
       }},
      {"the size of buffer 2 is not one of inputs",
       [&](ModelBuilder &b) {
         SymbolId data = b.symbol("d", Symbol::Kind::Data);
         b.model.buffers[2].bytes = b.value(data);
         auto &all = b.model.program.instructions;
         all.insert(all.begin(), SetSymbol{data, b.constant(32)});
       }},
  };
  for (auto &c : cases) {
    ModelBuilder b = onceAPlan();
    c.spoil(b);
    Status status = verifyModel(b.model);
    EXPECT_EQ(status.code(), Code::rejected) << c.message;
    EXPECT_NE(status.message().find(c.message), std::string::npos)
        << "expected '" << c.message << "' in '" << status.message() << "'";
  }
}

TEST(Verifier, NestingIsBounded) {
  for (uint32_t depth : {kMaxNesting, kMaxNesting + 1}) {
    ModelBuilder b;
    ExprId one = b.constant(1);
    auto block = b.list();
    for (uint32_t i = 0; i < depth; ++i) {
      If branch;
      branch.condition = one;
      branch.then = std::move(block);
      branch.otherwise = b.list();
      block = b.list(std::move(branch));
    }
    b.model.program = std::move(*block);
    std::string path = temporaryPath("nested");
    EXPECT_EQ(artifact::write(b.model, path).ok(), depth == kMaxNesting);
    if (depth == kMaxNesting)
      EXPECT_TRUE(artifact::read(path).ok()) << artifact::read(path).status().message();
  }
}

TEST(Verifier, ALoopMustNotOverwriteWhatItCarriesOn) {
  ModelBuilder b;
  ExprId one = b.constant(1), four = b.constant(4);
  BufferId x = b.input("x", DType::f32, one), t = b.temporary(four), carried = b.temporary(four), r = b.temporary(four);
  Loop loop;
  loop.trips = four;
  loop.init = {x};
  loop.carried = {carried};
  loop.next = {t};
  loop.results = {r};
  loop.body = b.list(b.scale(carried, t, one, four));
  b.emit(b.scale(x, t, one, one), std::move(loop));
  EXPECT_NE(verifyModel(b.model).message().find("is carried on and also written by the body"), std::string::npos);
}

} // namespace
} // namespace kt::test
