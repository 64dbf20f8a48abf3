//===- ArenaTest.cpp - nothing alive is overwritten -----------------------===//
//
// Random lifetimes against the placement, and random programs against an interpreter that gives every buffer memory of
// its own.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Arena.h"
#include "test/runtime/TestModel.h"

#include <map>
#include <random>

namespace kt::test {
namespace {

TEST(Arena, LiveItemsNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<exec::ArenaItem> items(1 + random() % 60);
    uint64_t sum = 0;
    for (auto &item : items) {
      item.bytes = random() % 5 == 0 ? 0 : random() % 5000;
      // Short programs, and long ones in which values live through a stretch or many.
      int64_t scale = round % 3 ? 1 : 50, begin = (static_cast<int64_t>(random() % 40) - 1) * scale;
      item.lifetime = {begin,
                       random() % 10 == 0 ? exec::kForever : begin + static_cast<int64_t>(random() % 10) * scale};
      sum += (item.bytes + 255) / 256 * 256;
    }
    auto total = exec::placeInArena(items);
    ASSERT_TRUE(total.ok());
    EXPECT_LE(*total, sum);
    for (size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ(items[i].offset % 256, 0u);
      EXPECT_LE(items[i].offset + items[i].bytes, *total);
      for (size_t k = 0; k < i; ++k) {
        bool together =
            items[i].lifetime.begin <= items[k].lifetime.end && items[k].lifetime.begin <= items[i].lifetime.end;
        bool apart =
            items[i].offset + items[i].bytes <= items[k].offset || items[k].offset + items[k].bytes <= items[i].offset;
        ASSERT_TRUE(!together || apart) << "items " << i << " and " << k << " in round " << round;
      }
    }
  }
}

TEST(Arena, AChainNeedsTwoPlaces) {
  std::vector<exec::ArenaItem> items;
  for (int64_t i = 0; i < 20; ++i)
    items.push_back({1000, {i, i + 1}});
  EXPECT_EQ(*exec::placeInArena(items), 2048u);
}

TEST(Arena, RefusesWhatCannotBe) {
  std::vector<exec::ArenaItem> items{{uint64_t(1) << 63, {0, 1}}};
  EXPECT_FALSE(exec::placeInArena(items).ok());
}

/// Makes a random program and, beside it, what each output should be.
class RandomProgram {
public:
  explicit RandomProgram(unsigned seed) : random(seed) {
    n = b.value(b.symbol("n"));
    bytes = b.expr(Op::Mul, n, b.constant(4));
    one = b.constant(1);
    for (int i = 0; i < 2; ++i) {
      inputs.push_back(b.input("x" + std::to_string(i), DType::f32, n));
      std::vector<float> values;
      for (int k = 0; k < kElements; ++k)
        values.push_back(static_cast<float>(static_cast<int>(random() % 7) - 3));
      data.push_back(values);
      reference[inputs.back()] = values;
    }
    BufferId w = b.weight("w", std::vector<float>(kElements, 2));
    reference[w] = std::vector<float>(kElements, 2);
    std::vector<BufferId> visible = inputs;
    visible.push_back(w);
    Block block = body(visible, 15 + random() % 25, 0);
    b.model.program = std::move(block);
    for (int i = 0; i < 3; ++i) {
      BufferId id = visible[random() % visible.size()];
      b.asOutput("y" + std::to_string(i), DType::f32, n, id);
      outputs.push_back(id);
    }
  }

  void check() {
    auto model = loadModel(b.model);
    ASSERT_TRUE(model);
    auto session = *model->createSession();
    for (int round = 0; round < 2; ++round) {
      Status status = session->run(std::vector{tensor("x0", data[0]), tensor("x1", data[1])});
      ASSERT_TRUE(status.ok()) << status.message();
      for (size_t i = 0; i < outputs.size(); ++i)
        ASSERT_EQ(floats(session->outputs()[i]), reference[outputs[i]]) << "output " << i;
    }
  }

private:
  static constexpr int kElements = 100;

  BufferId fresh() { return b.temporary(bytes); }

  /// Appends instructions that read `visible` and add to it; every value is computed for the reference at once.
  Block body(std::vector<BufferId> &visible, unsigned count, unsigned depth) {
    Block block;
    for (unsigned i = 0; i < count; ++i) {
      auto pick = [&] { return visible[visible.size() - 1 - random() % std::min<size_t>(visible.size(), 8)]; };
      BufferId x = pick(), y = pick(), result = fresh();
      std::vector<float> values(kElements);
      switch (random() % (depth < 2 ? 8 : 6)) {
      case 0:
      case 1:
      case 2:
        block.instructions.push_back(b.add(x, y, result, n));
        for (int k = 0; k < kElements; ++k)
          values[k] = reference[x][k] + reference[y][k];
        break;
      case 3: {
        int64_t factor = static_cast<int64_t>(random() % 3) - 1;
        block.instructions.push_back(b.scale(x, result, n, b.constant(factor)));
        for (int k = 0; k < kElements; ++k)
          values[k] = reference[x][k] * static_cast<float>(factor);
        break;
      }
      case 4:
        block.instructions.emplace_back(Alias{x, result});
        values = reference[x];
        break;
      case 5:
        block.instructions.emplace_back(Copy{x, result, kNone, kNone, bytes});
        values = reference[x];
        break;
      case 6: {
        bool taken = random() % 2;
        If branch;
        branch.condition = b.constant(taken);
        for (bool side : {true, false}) {
          std::vector<BufferId> inner = visible;
          Block nested = body(inner, random() % 5, depth + 1);
          BufferId yield = inner[inner.size() - 1 - random() % std::min<size_t>(inner.size(), 4)];
          (side ? branch.then : branch.otherwise) = std::make_unique<Block>(std::move(nested));
          (side ? branch.thenYields : branch.otherwiseYields) = {yield};
          if (side == taken)
            values = reference[yield];
        }
        branch.results = {result};
        block.instructions.emplace_back(std::move(branch));
        break;
      }
      default: {
        // next = carried + x, a number of times; x may be anything around.
        int64_t trips = random() % 4;
        BufferId carried = fresh(), sum = fresh(), next = fresh();
        Loop loop;
        loop.trips = b.constant(trips);
        loop.init = {y};
        loop.carried = {carried};
        loop.next = {next};
        loop.results = {result};
        loop.body = ModelBuilder::list(b.add(carried, x, sum, n), Instruction(Alias{sum, next}));
        block.instructions.emplace_back(std::move(loop));
        values = reference[y];
        for (int64_t t = 0; t < trips; ++t)
          for (int k = 0; k < kElements; ++k)
            values[k] += reference[x][k];
        break;
      }
      }
      reference[result] = values;
      visible.push_back(result);
    }
    return block;
  }

  std::mt19937 random;
  ModelBuilder b;
  ExprId n, bytes, one;
  std::vector<BufferId> inputs, outputs;
  std::vector<std::vector<float>> data;
  std::map<BufferId, std::vector<float>> reference;
};

TEST(Arena, RandomProgramsComputeWhatAnInterpreterDoes) {
  for (unsigned seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomProgram(seed).check();
    if (::testing::Test::HasFatalFailure())
      return;
  }
}

} // namespace
} // namespace kt::test
