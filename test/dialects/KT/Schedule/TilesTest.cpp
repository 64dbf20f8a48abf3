//===- TilesTest.cpp - which tiles exist, and why others do not -----------===//

#include "dialects/KT/Schedule/Tiles.h"
#include <gtest/gtest.h>

using namespace kt;

namespace {

constexpr int64_t kAda = 99 * 1024;
constexpr MmaTile kGood{128, 128, 64, 2, 2, 3, 1};

std::string whyNot(const MmaTile &tile, int64_t shared = kAda) {
  std::string why;
  std::optional<MmaTile> made = MmaTile::get(tile, shared, &why);
  EXPECT_EQ(made.has_value(), why.empty());
  return why;
}

TEST(MmaTile, WhatFitsIsMade) {
  EXPECT_EQ(whyNot(kGood), "");
  EXPECT_EQ(kGood.threads(), 128u);
  EXPECT_EQ(kGood.sharedBytes(), 3 * 2 * (128 + 128) * 64 + 16);
  EXPECT_EQ(kGood.str(), "tile=128x128x64 warps=2x2 stages=3");
  EXPECT_EQ(whyNot({16, 64, 128, 1, 4, 4, 1}), "");
}

TEST(MmaTile, EachConstraintIsNamed) {
  auto with = [](auto change) {
    MmaTile t = kGood;
    change(t);
    return t;
  };
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bk = 0; })), "a size of 0");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bm = 1 << 20; })), "a size beyond 1024");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.warpRows = 8, t.warpCols = 8; })), "2048 threads, expected 1 to 1024");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bm = 40; })), "40 rows are no whole 16-row fragments of 2 warps");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.warpCols = 16, t.warpRows = 1; })),
            "128 columns are no whole 16-column fragments of 16 warps");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bk = 48; })), "slabs of 48, expected a power of two from 32");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bk = 16; })), "slabs of 16, expected a power of two from 32");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.bn = 96; })), "96 columns, expected a power of two from 32");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.stages = 1; })), "1 stages, expected 2 to 8");
  EXPECT_EQ(whyNot({32, 32, 32, 2, 2, 2, 1}).substr(0, 28), "128 threads cannot share pan");
  EXPECT_EQ(whyNot({256, 128, 32, 2, 2, 2, 1}), "about 388 registers a thread, expected at most 255");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.minCtas = 4; })),
            "about 29184 registers a block, for 4 blocks an SM of 65536");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.stages = 4; })), "131088 bytes of shared memory, expected at most 101376");
  EXPECT_EQ(whyNot(with([](MmaTile &t) { t.stages = 4; }), sharedPerBlock(90)), "");
}

/// Weights of 4 bits with scales of 16 for groups of 32.
constexpr WeightForm kInt4{0, 4, 32, 32, false};

TEST(MmaTile, BlocksAreTheLeftFactor) {
  MmaTile t = kGood;
  t.bm = 64, t.form = kInt4;
  EXPECT_EQ(whyNot(t), "");
  EXPECT_EQ(t.mi(), 4u); // columns
  EXPECT_EQ(t.ni(), 4u);
  // Rows of 64 halves; of each panel 64 numbers of 16 columns and two headers.
  EXPECT_EQ(t.rowsBytes(), 64u * 128);
  EXPECT_EQ(t.blocksBytes(), 8u * (512 + 2 * 32) + 512);
  EXPECT_EQ(t.str(), "tile=64x128x64 warps=2x2 stages=3 int4");
  t.form.group = 24;
  EXPECT_EQ(whyNot(t), "blocks of no format");
  t.form = {0, 2, 64, 32, false}, t.bk = 32;
  EXPECT_EQ(whyNot(t), "slabs of 32, expected whole windows of 64 weights");
  MmaTile w{256, 128, 64, 1, 8, 4, 1, true, 2, 0, kInt4};
  EXPECT_EQ(whyNot(w, sharedPerBlock(90)), "");
  // All rows of sums at a time where the slabs' memory has room for them, else half of them.
  EXPECT_EQ(w.stagedRows(), 256u);
  EXPECT_EQ(w.sharedBytes(), 4 * w.slabBytes() + 16);
  w.stages = 3;
  EXPECT_EQ(w.stagedRows(), 128u);
  w.bn = 256;
  EXPECT_EQ(whyNot(w, sharedPerBlock(90)), "warpgroups of four warps have 64 columns and all rows");
}

TEST(MmaTile, IntegersAreTheLeftFactorOfWarpgroups) {
  MmaTile t{128, 128, 128, 1, 8, 6, 1, true, 1};
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "");
  EXPECT_TRUE(t.turned());
  EXPECT_EQ(t.mi(), 1u);
  EXPECT_EQ(t.ni(), 16u);
  EXPECT_EQ(t.blocksBytes(), 128u * 128);
  EXPECT_EQ(t.str(), "tile=128x128x128 warps=1x8 stages=6 wgmma int8");
  t.bk = 64;
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "slabs of 64 for warpgroups, expected 128");
  // Of blocks no scale of a group comes along.
  t.bk = 128, t.form = {0, 8, 128, 32, false};
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "");
  EXPECT_EQ(t.blocksBytes(), 128u * 128);
  EXPECT_EQ(t.str(), "tile=128x128x128 warps=1x8 stages=6 wgmma int8 int8");
  t.form.zeros = true;
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)),
            "of weights in blocks those of 8 bits without zero points are multiplied as integers");
  t.form = {0, 4, 128, 32, false};
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)),
            "of weights in blocks those of 8 bits without zero points are multiplied as integers");
}

TEST(MmaTile, WarpsThatOnlyCopyComeByFours) {
  MmaTile t{128, 128, 64, 1, 8, 6, 1, true, 2, 4, kInt4};
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "");
  EXPECT_EQ(t.threads(), 384u);
  EXPECT_EQ(t.multiplying(), 256u);
  EXPECT_EQ(t.copying(), 128u);
  // Two mbarriers a slot.
  EXPECT_EQ(t.barriersAt(), 6 * t.slabBytes());
  EXPECT_EQ(t.sharedBytes(), 6 * t.slabBytes() + 6 * 16 + 16);
  EXPECT_EQ(t.str(), "tile=128x128x64 warps=1x8 stages=6 wgmma producers=4 int4");
  EXPECT_EQ(t.onTheWay(), 2u);
  t.producers = 0;
  EXPECT_EQ(t.onTheWay(), 4u);
  EXPECT_EQ(t.threads(), 256u);
  EXPECT_EQ(t.copying(), 256u);
  EXPECT_EQ(t.sharedBytes(), 6 * t.slabBytes() + 16);
  t.producers = 2;
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "2 warps that only copy, expected none or 4");
  // Rings may be deeper.
  t = {64, 64, 64, 1, 4, 12, 1, true, 2, 4, kInt4};
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "");
  EXPECT_EQ(t.onTheWay(), 6u);
  t.stages = 13;
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "13 stages, expected 2 to 12");
  t.stages = 3;
  EXPECT_EQ(whyNot(t, sharedPerBlock(90)), "");
  EXPECT_EQ(t.onTheWay(), 1u);
  MmaTile alone = kGood;
  alone.producers = 4;
  EXPECT_EQ(whyNot(alone), "4 warps that only copy, expected none without warpgroups that have weights in blocks");
  EXPECT_EQ(whyNot({128, 128, 64, 8, 1, 6, 1, true, 2, 4}, sharedPerBlock(90)),
            "4 warps that only copy, expected none without warpgroups that have weights in blocks");
  EXPECT_EQ(whyNot({256, 128, 64, 1, 8, 4, 1, true, 2, 4, kInt4}, sharedPerBlock(90)),
            "about 180 registers a thread, expected at most 168 beside warps that only copy");
}

TEST(SimtTile, EachConstraintIsNamed) {
  std::string why;
  EXPECT_TRUE(SimtTile::get({16, 64, 32, 2, 4, 4}, 4, kAda, &why)) << why;
  EXPECT_FALSE(SimtTile::get({16, 64, 32, 3, 4, 4}, 4, kAda, &why));
  EXPECT_EQ(why, "threads' parts do not divide the tile");
  EXPECT_FALSE(SimtTile::get({64, 64, 16, 4, 2, 0}, 4, kAda, &why));
  EXPECT_EQ(why, "4x2 a thread, expected groups of four columns and rows");
  EXPECT_FALSE(SimtTile::get({128, 128, 8, 16, 16, 0}, 4, kAda, &why));
  EXPECT_EQ(why, "about 288 registers a thread");
  EXPECT_FALSE(SimtTile::get({128, 128, 128, 8, 8, 0}, 8, kAda, &why));
  EXPECT_EQ(why, "540672 bytes of shared memory, expected at most 101376");
}

TEST(Targets, CapabilitiesHaveTheirMemory) {
  EXPECT_EQ(capabilityOf("sm_89"), 89u);
  EXPECT_EQ(capabilityOf("host-v3"), 0u);
  EXPECT_EQ(sharedPerBlock(80), 163 * 1024);
  EXPECT_EQ(sharedPerBlock(86), 99 * 1024);
  EXPECT_EQ(sharedPerBlock(90), 227 * 1024);
  EXPECT_EQ(sharedPerBlock(120), 99 * 1024);
}

} // namespace
