//===- LayoutsTest.cpp - modes of dimensions ------------------------------===//
//
// Dimensions of numbers and of symbols are split and merged; whatever comes out names the same elements in the same
// order as before, which is counted for numbers.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Layouts.h"
#include "test/passes/Analysis/Context.h"
#include <gtest/gtest.h>
#include <random>

namespace kt::test {
namespace {

Expr number(int64_t v) { return Expr::constant(&context(), v); }
Expr symbol(llvm::StringRef name) { return Expr::symbol(&context(), name); }

/// Where the elements of all modes lie, in order; of numbers only.
std::vector<int64_t> offsets(llvm::ArrayRef<Mode> modes) {
  std::vector<int64_t> all{0};
  for (const Mode &m : modes) {
    std::vector<int64_t> next;
    for (int64_t base : all)
      for (int64_t i = 0; i < *m.size.asConstant(); ++i)
        next.push_back(base + i * *m.stride.asConstant());
    all = next;
  }
  return all;
}

std::string str(llvm::ArrayRef<Mode> modes) {
  std::string s;
  for (const Mode &m : modes)
    s += "(" + m.size.str() + ", " + m.stride.str() + ")";
  return s;
}

TEST(LayoutsTest, QuotientsAreExactOrNone) {
  Expr b = symbol("b"), s = symbol("s");
  EXPECT_EQ(exactQuotient(number(12), number(4)), number(3));
  EXPECT_FALSE(exactQuotient(number(12), number(5)));
  EXPECT_FALSE(exactQuotient(number(4), number(12)));
  EXPECT_EQ(exactQuotient(number(0), number(7)), number(0));
  EXPECT_FALSE(exactQuotient(number(7), number(0)));
  EXPECT_EQ(exactQuotient(b * s * 64, s * 16), b * 4);
  EXPECT_EQ(exactQuotient(b * s + b * 3, b), s + 3);
  EXPECT_EQ(exactQuotient((s + 1) * b, s + 1), b);
  EXPECT_FALSE(exactQuotient(b * 64, s));
  EXPECT_FALSE(exactQuotient(b * s + 1, s));
  EXPECT_FALSE(exactQuotient(number(1), b));
}

TEST(LayoutsTest, NeighboursAreOneMode) {
  Expr b = symbol("b"), s = symbol("s"), one = number(1), zero = number(0);
  EXPECT_EQ(str(coalesced(Modes{{b, s * 64}, {s, number(64)}, {number(64), one}})), str(Modes{{b * s * 64, one}}));
  EXPECT_EQ(str(coalesced(Modes{{b, number(64)}, {s, b * 64}})), str(Modes{{b, number(64)}, {s, b * 64}}));
  // Modes of one element are none, and do not keep their neighbours apart.
  EXPECT_EQ(str(coalesced(Modes{{s, number(8)}, {one, number(999)}, {number(8), one}})), str(Modes{{s * 8, one}}));
  EXPECT_TRUE(coalesced(Modes{{one, s}, {one, zero}}).empty());
  // Repetitions of repetitions are repetitions; one of rows is not.
  EXPECT_EQ(str(coalesced(Modes{{b, zero}, {s, zero}})), str(Modes{{b * s, zero}}));
  EXPECT_EQ(str(coalesced(Modes{{b, zero}, {s, one}})), str(Modes{{b, zero}, {s, one}}));
  EXPECT_EQ(str(coalesced(Modes{{s, one}, {b, zero}})), str(Modes{{s, one}, {b, zero}}));
}

TEST(LayoutsTest, ModesAreGrouped) {
  Expr b = symbol("b"), s = symbol("s"), one = number(1);
  auto groups = [&](llvm::ArrayRef<Mode> modes, llvm::ArrayRef<Expr> sizes) {
    auto found = regrouped(modes, sizes);
    std::string all;
    for (const Modes &g : found ? *found : llvm::SmallVector<Modes>())
      all += "[" + str(g) + "]";
    return found ? all : "none";
  };
  // Split.
  EXPECT_EQ(groups(Modes{{b * s, number(64)}}, {b, s}), "[(b, s * 64)][(s, 64)]");
  EXPECT_EQ(groups(Modes{{b * 12, number(5)}}, {b, number(3), number(4)}), "[(b, 60)][(3, 20)][(4, 5)]");
  // Merged: as many modes as there were.
  EXPECT_EQ(groups(Modes{{b, s * 64}, {number(4), number(16)}, {s, number(64)}}, {b * 4, s}),
            "[(b, s * 64)(4, 16)][(s, 64)]");
  // Across modes that go on in each other, which neither divides alone.
  EXPECT_EQ(groups(Modes{{number(4), number(6)}, {number(6), one}}, {number(3), number(8)}), "[(3, 8)][(8, 1)]");
  // Not across those that do not.
  EXPECT_EQ(groups(Modes{{number(4), number(7)}, {number(6), one}}, {number(3), number(8)}), "none");
  // Dimensions of one element have no modes, wherever they are.
  EXPECT_EQ(groups(Modes{{one, s}, {b, one}}, {one, b, one}), "[][(b, 1)][]");
  EXPECT_EQ(groups(Modes{}, {one}), "[]");
  // More or fewer elements than there are.
  EXPECT_EQ(groups(Modes{{b, one}}, {}), "none");
  EXPECT_EQ(groups(Modes{{b, one}}, {s}), "none");
  EXPECT_EQ(groups(Modes{{b, one}}, {b, number(2)}), "none");
  EXPECT_EQ(groups(Modes{{b, one}}, {number(2), b}), "none");
}

/// Numbers, in any order: whatever can be said of them says the same elements.
TEST(LayoutsTest, ElementsStayWhereTheyAre) {
  std::mt19937 random(1);
  const int64_t sizes[] = {1, 2, 3, 4, 6};
  unsigned grouped = 0, fewer = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    // Dimensions of a dense tensor in some order, some of them twice as far apart.
    llvm::SmallVector<Mode> modes;
    int64_t stride = 1;
    for (unsigned i = random() % 4; i-- > 0;) {
      int64_t size = sizes[random() % 5];
      modes.insert(modes.begin(), {number(size), number(random() % 8 ? stride : 0)});
      stride *= size * (random() % 4 ? 1 : 2);
    }
    if (random() % 2)
      std::shuffle(modes.begin(), modes.end(), random);
    std::vector<int64_t> before = offsets(modes);
    Modes short_ = coalesced(modes);
    EXPECT_EQ(offsets(short_), before) << str(modes);
    fewer += short_.size() + 1 < modes.size();
    // All ways to write the number of elements as two or three sizes.
    int64_t n = before.size();
    for (int64_t a = 1; a <= n; ++a)
      for (int64_t b = 1; a * b <= n; ++b) {
        if (n % (a * b) != 0)
          continue;
        auto groups = regrouped(modes, {number(a), number(b), number(n / a / b)});
        if (!groups)
          continue;
        ++grouped;
        llvm::SmallVector<Mode> all;
        for (const Modes &g : *groups)
          all.append(g.begin(), g.end());
        ASSERT_EQ(offsets(all), before) << str(modes) << " as " << a << ", " << b << ", " << n / a / b;
        EXPECT_EQ(sizeOf(&context(), (*groups)[0]), number(a));
        EXPECT_EQ(sizeOf(&context(), (*groups)[1]), number(b));
      }
  }
  EXPECT_GT(grouped, 5000u);
  EXPECT_GT(fewer, 100u);
}

TEST(LayoutsTest, ViewsHaveOneStrideADimension) {
  Expr b = symbol("b"), s = symbol("s"), one = number(1);
  Layout layout{{}, {{{b, s * 64}, {s, number(64)}}, {}, {{number(64), one}}}, s * 5};
  auto view = asView(layout, {b * s, one, number(64)});
  ASSERT_TRUE(view);
  EXPECT_EQ(view->offset, s * 5);
  EXPECT_EQ(view->strides[0], number(64));
  EXPECT_EQ(view->strides[1], number(0));
  EXPECT_EQ(view->strides[2], one);
  layout.dims[0] = {{b, number(64)}, {s, b * 64}};
  EXPECT_FALSE(asView(layout, {b * s, one, number(64)}));
}

} // namespace
} // namespace kt::test
