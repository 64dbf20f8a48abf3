//===- ConvertFloatsTest.cpp - floats in another type, held against APFloat ===//

#include "passes/Precision/ConvertFloats.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace kt::test {
namespace {

const llvm::fltSemantics &semanticsOf(FloatFormat f) {
  return f == FloatFormat::f32   ? llvm::APFloat::IEEEsingle()
         : f == FloatFormat::f16 ? llvm::APFloat::IEEEhalf()
                                 : llvm::APFloat::BFloat();
}
unsigned bitsOf(FloatFormat f) { return f == FloatFormat::f32 ? 32 : 16; }

llvm::APFloat number(FloatFormat f, uint32_t bits) {
  return llvm::APFloat(semanticsOf(f), llvm::APInt(bitsOf(f), bits));
}

uint32_t expected(FloatFormat from, FloatFormat to, uint32_t bits) {
  llvm::APFloat v = number(from, bits);
  bool lost;
  v.convert(semanticsOf(FloatFormat::f32), llvm::APFloat::rmNearestTiesToEven, &lost);
  if (to == FloatFormat::f16) {
    llvm::APFloat limit(65504.f);
    if (abs(v) > limit)
      v = llvm::APFloat::copySign(limit, v);
  }
  v.convert(semanticsOf(to), llvm::APFloat::rmNearestTiesToEven, &lost);
  return v.bitcastToAPInt().getZExtValue();
}

TEST(ConvertFloats, NumbersBecomeTheNearest) {
  std::mt19937 random(1);
  constexpr FloatFormat formats[] = {FloatFormat::f32, FloatFormat::f16, FloatFormat::bf16};
  for (FloatFormat from : formats)
    for (FloatFormat to : formats) {
      // All halves; of single precision some of everywhere, and what is about where FP16 ends on either side.
      std::vector<uint32_t> all;
      if (from != FloatFormat::f32) {
        for (uint32_t bits = 0; bits < 1 << 16; ++bits)
          all.push_back(bits);
      } else {
        for (int i = 0; i < 100000; ++i)
          all.push_back(random());
        for (uint32_t around :
             {0x477fe000u, 0x47800000u, 0x38800000u, 0x33000000u, 0x33800000u, 0x7f7fffffu, 0u, 0x1000u})
          for (int32_t by = -3000; by <= 3000; ++by)
            for (uint32_t sign : {0u, 0x80000000u})
              all.push_back(((around + by) & 0x7fffffff) | sign);
        for (int i = 0; i < 100000; ++i)
          all.push_back((random() & 0x80001fff) | (0x32000000 + random() % 0x16000000));
      }
      std::erase_if(all, [&](uint32_t bits) { return !number(from, bits).isFinite(); });
      all.resize(all.size() / 16 * 16 + 5, 0); // and a rest
      int64_t width = bitsOf(from) / 8, toWidth = bitsOf(to) / 8;
      std::vector<char> source(1 + all.size() * width), out(1 + all.size() * toWidth + 1, 0x55);
      for (size_t i = 0; i < all.size(); ++i)
        std::memcpy(source.data() + 1 + i * width, &all[i], width);
      ASSERT_TRUE(convertFinite(from, to, source.data() + 1, all.size(), out.data() + 1));
      EXPECT_EQ(out.front(), 0x55);
      EXPECT_EQ(out.back(), 0x55);
      for (size_t i = 0; i < all.size(); ++i) {
        uint32_t got = 0;
        std::memcpy(&got, out.data() + 1 + i * toWidth, toWidth);
        ASSERT_EQ(got, expected(from, to, all[i])) << std::hex << all[i] << " from " << (int)from << " to " << (int)to;
      }
    }
}

TEST(ConvertFloats, WhatIsNoFiniteNumberIsTold) {
  for (uint32_t bits : {0x7f800000u, 0xff800000u, 0x7f800001u, 0xffc00000u})
    for (size_t at : {0, 16, 36}) {
      std::vector<float> source(37, 1.f);
      std::memcpy(&source[at], &bits, sizeof bits);
      std::vector<char> out(37 * 4);
      EXPECT_FALSE(
          convertFinite(FloatFormat::f32, FloatFormat::bf16, reinterpret_cast<char *>(source.data()), 37, out.data()));
      source[at] = 3.e38f;
      EXPECT_TRUE(
          convertFinite(FloatFormat::f32, FloatFormat::bf16, reinterpret_cast<char *>(source.data()), 37, out.data()));
    }
}

} // namespace
} // namespace kt::test
