//===- ComputedTest.cpp - constants that are computed where they are read -===//

#include "dialects/KT/IR/Computed.h"
#include "dialects/KT/IR/KTDialect.h"
#include <gtest/gtest.h>
#include <numeric>

using namespace mlir;

namespace kt::test {
namespace {

char byteAt(uint64_t i) { return static_cast<char>(i * 7 + i / 251); }

/// Bytes that follow from where they are, made in whole units only.
class Counted final : public ComputedBytes {
public:
  using ComputedBytes::ComputedBytes;
  mutable std::atomic<int> made = 0;

private:
  void compute(uint64_t begin, MutableArrayRef<char> out) const override {
    EXPECT_EQ(begin % unit(), 0u);
    EXPECT_EQ(out.size(), std::min(unit(), size() - begin));
    for (uint64_t i = 0; i < out.size(); ++i)
      out[i] = byteAt(begin + i);
    ++made;
  }
};

struct Computed : testing::Test {
  MLIRContext context{MLIRContext::Threading::ENABLED};
  Computed() { context.getOrLoadDialect<KTDialect>(); }

  static void expectBytes(ArrayRef<char> bytes, uint64_t begin) {
    for (uint64_t i = 0; i < bytes.size(); ++i)
      ASSERT_EQ(bytes[i], byteAt(begin + i)) << begin << " + " << i;
  }
};

TEST_F(Computed, AnyPieceIsMadeOfTheUnitsThatItIsIn) {
  auto recipe = std::make_shared<Counted>(1003, 100);
  ConstantBytes bytes(recipe);
  SmallVector<char> scratch;
  for (uint64_t begin : {0, 1, 99, 100, 101, 950, 1002, 1003})
    for (uint64_t count : {0, 1, 53, 100, 101, 250, 1003})
      if (begin + count <= 1003) {
        ArrayRef<char> piece = bytes.read(begin, count, scratch);
        ASSERT_EQ(piece.size(), count);
        expectBytes(piece, begin);
      }
  recipe->made = 0;
  (void)bytes.read(100, 200, scratch);
  EXPECT_EQ(recipe->made, 2);
}

TEST_F(Computed, ThreadsReadThemInPiecesOfWholeUnits) {
  // Units that are smaller and larger than what a thread takes, and pieces that begin inside one.
  for (uint64_t unit : {100, 70000, 1 << 20}) {
    auto recipe = std::make_shared<Counted>(1000000, unit);
    ConstantBytes bytes(recipe);
    for (uint64_t begin : {uint64_t(0), uint64_t(12345), 2 * unit % 1000000}) {
      std::vector<char> out(1000000 - begin);
      bytes.readInParallel(&context, begin, out);
      expectBytes(out, begin);
    }
    recipe->made = 0;
    std::vector<char> all(1000000);
    bytes.readInParallel(&context, 0, all);
    EXPECT_EQ(recipe->made, (1000000 + (int)unit - 1) / (int)unit);
  }
}

TEST_F(Computed, RecipesAreKeptWhereSomebodySaysSo) {
  auto recipe = std::make_shared<Counted>(200000, 1000);
  {
    ComputedConstants kept(context);
    DenseResourceElementsAttr value = computedBlob(&context, "w", recipe);
    EXPECT_EQ(recipe->made, 0);
    ConstantBytes bytes(value);
    EXPECT_TRUE(bytes.areComputed());
    EXPECT_EQ(bytes.size(), 200000u);
    EXPECT_EQ(bytes.identity(), recipe.get());
    SmallVector<char> scratch;
    expectBytes(bytes.read(1500, 3000, scratch), 1500);
    // Another of the same recipe has another name, and is the same.
    DenseResourceElementsAttr again = computedBlob(&context, "w", recipe);
    EXPECT_NE(value, again);
    EXPECT_EQ(ConstantBytes(again).identity(), bytes.identity());
    // Whole, they are made once.
    recipe->made = 0;
    expectBytes(bytesInMemory(value), 0);
    EXPECT_EQ(bytesInMemory(value).data(), bytesInMemory(value).data());
    EXPECT_EQ(recipe->made, 200);
    EXPECT_TRUE(ConstantBytes(value).areComputed());
    // What is small is made at once.
    auto small = std::make_shared<Counted>(1000, 1000);
    DenseResourceElementsAttr inMemory = computedBlob(&context, "s", small);
    EXPECT_FALSE(ConstantBytes(inMemory).areComputed());
    expectBytes(bytesInMemory(inMemory), 0);
  }
  // Nobody does any more.
  std::weak_ptr<Counted> left = recipe;
  recipe.reset();
  EXPECT_TRUE(left.expired());
}

TEST_F(Computed, OtherwiseBytesAreThereAtOnce) {
  auto recipe = std::make_shared<Counted>(200001, 1000);
  DenseResourceElementsAttr value = computedBlob(&context, "w", recipe);
  EXPECT_EQ(recipe->made, 201);
  ConstantBytes bytes(value);
  EXPECT_FALSE(bytes.areComputed());
  SmallVector<char> scratch;
  expectBytes(bytes.read(0, 200001, scratch), 0);
  EXPECT_TRUE(scratch.empty());
  EXPECT_EQ(bytes.identity(), bytesInMemory(value).data());
}

} // namespace
} // namespace kt::test
