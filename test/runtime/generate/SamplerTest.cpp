//===- SamplerTest.cpp - one token from logits ----------------------------===//

#include "runtime/generate/Sampler.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

using namespace kt;
using namespace kt::generate;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

/// How often each token is drawn.
std::vector<int> draws(const Sampling &sampling, const std::vector<float> &logits, int count) {
  Sampler sampler(sampling);
  std::vector<int> times(logits.size());
  for (int i = 0; i < count; ++i) {
    auto token = sampler.next(DataType::f32, logits.data(), logits.size());
    EXPECT_TRUE(token.ok()) << token.status().message();
    if (token.ok())
      ++times.at(static_cast<size_t>(*token));
  }
  return times;
}

/// Logits of these probabilities.
std::vector<float> logitsOf(const std::vector<double> &probabilities) {
  std::vector<float> logits;
  for (double p : probabilities)
    logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

void expectShares(const std::vector<int> &times, const std::vector<double> &shares) {
  int all = std::accumulate(times.begin(), times.end(), 0);
  for (size_t i = 0; i < shares.size(); ++i) {
    // Five standard deviations.
    double deviation = std::sqrt(shares[i] * (1 - shares[i]) * all);
    EXPECT_NEAR(times[i], shares[i] * all, 5 * deviation) << "token " << i;
  }
}

TEST(Sampler, draws_with_the_probabilities_of_the_logits) {
  expectShares(draws({.temperature = 1, .seed = 1}, logitsOf({0.1, 0.4, 0.05, 0.45}), 20000), {0.1, 0.4, 0.05, 0.45});
}

TEST(Sampler, a_temperature_flattens_and_sharpens) {
  // p^(1/T), made to sum to one.
  expectShares(draws({.temperature = 0.5F, .seed = 1}, logitsOf({0.2, 0.8}), 20000), {0.04 / 0.68, 0.64 / 0.68});
  expectShares(draws({.temperature = 2, .seed = 1}, logitsOf({0.2, 0.8}), 20000), {1.0 / 3, 2.0 / 3});
}

TEST(Sampler, top_k_leaves_the_likeliest) {
  expectShares(draws({.temperature = 1, .topK = 2, .seed = 1}, logitsOf({0.1, 0.3, 0.1, 0.5}), 20000),
               {0, 0.375, 0, 0.625});
}

TEST(Sampler, top_p_leaves_those_that_reach_the_probability) {
  // 0.5 is too little for 0.6, 0.8 is enough.
  expectShares(draws({.temperature = 1, .topP = 0.6F, .seed = 1}, logitsOf({0.1, 0.3, 0.1, 0.5}), 20000),
               {0, 0.375, 0, 0.625});
  expectShares(draws({.temperature = 1, .topP = 0, .seed = 1}, logitsOf({0.1, 0.3, 0.1, 0.5}), 100), {0, 0, 0, 1});
}

TEST(Sampler, top_p_is_of_what_top_k_leaves) {
  // Of 0.5, 0.3 and 0.1 the first has 0.56, the first two 0.89.
  expectShares(draws({.temperature = 1, .topK = 3, .topP = 0.6F, .seed = 1}, logitsOf({0.1, 0.3, 0.1, 0.5}), 20000),
               {0, 0.375, 0, 0.625});
}

TEST(Sampler, all_tokens_of_a_large_vocabulary_are_drawn) {
  constexpr int kTokens = 300; // sorted in three pieces
  std::vector<float> flat(kTokens, 0.25F);
  for (const Sampling &sampling : {Sampling{.temperature = 1, .seed = 7}, Sampling{.temperature = 1, .topK = kTokens},
                                   Sampling{.temperature = 1, .topP = 0.99999F}}) {
    std::vector<int> times = draws(sampling, flat, 60 * kTokens);
    auto [least, most] = std::minmax_element(times.begin(), times.end());
    EXPECT_GT(*least, 20);
    EXPECT_LT(*most, 110);
  }
  // Of half of them none of the other half, which is less likely by nothing but its place.
  std::vector<int> half = draws({.temperature = 1, .topP = 0.5F}, flat, 20 * kTokens);
  EXPECT_EQ(std::accumulate(half.begin() + kTokens / 2 + 1, half.end(), 0), 0);
  EXPECT_GT(*std::min_element(half.begin(), half.begin() + kTokens / 2), 10);
}

TEST(Sampler, the_same_seed_draws_the_same) {
  std::vector<float> logits(500);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>((i * 7919) % 500) / 100;
  auto sequence = [&](uint64_t seed) {
    Sampler sampler({.temperature = 1, .topP = 0.95F, .seed = seed});
    std::vector<int64_t> tokens;
    for (int i = 0; i < 50; ++i)
      tokens.push_back(*sampler.next(DataType::f32, logits.data(), logits.size()));
    return tokens;
  };
  EXPECT_EQ(sequence(3), sequence(3));
  EXPECT_NE(sequence(3), sequence(4));
}

TEST(Sampler, what_is_no_number_or_cannot_be_is_not_drawn) {
  std::vector<int> times = draws({.temperature = 1}, {kNaN, 0, -kInfinity, 0, kNaN}, 2000);
  EXPECT_EQ(times[0] + times[2] + times[4], 0);
  EXPECT_GT(times[1], 800);
  EXPECT_GT(times[3], 800);
  // The first of those that are infinite.
  EXPECT_EQ(draws({.temperature = 1}, {0, kInfinity, kInfinity}, 10)[1], 10);
}

TEST(Sampler, without_a_number_nothing_is_drawn) {
  std::vector<float> none(3, kNaN);
  for (float temperature : {0.0F, 1.0F})
    EXPECT_FALSE(Sampler({.temperature = temperature}).next(DataType::f32, none.data(), none.size()).ok());
}

TEST(Sampler, the_likeliest_is_the_first_of_equals_in_every_type) {
  std::vector<float> single = {-1, 2, 2, kNaN};
  std::vector<uint16_t> half = {0xbc00, 0x4000, 0x4000, 0x7e00}, brain = {0xbf80, 0x4000, 0x4000, 0x7fc0};
  EXPECT_EQ(*likeliest(DataType::f32, single.data(), 4), 1);
  EXPECT_EQ(*likeliest(DataType::f16, half.data(), 4), 1);
  EXPECT_EQ(*likeliest(DataType::bf16, brain.data(), 4), 1);
  EXPECT_FALSE(likeliest(DataType::f64, single.data(), 2).ok());
}

} // namespace
