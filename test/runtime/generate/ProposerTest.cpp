//===- ProposerTest.cpp - guesses at what a language model will say -------===//

#include "runtime/generate/Proposer.h"

#include <gtest/gtest.h>

using namespace kt::generate;

namespace {

using Tokens = std::vector<int64_t>;

Tokens guess(size_t lookup, const Tokens &history, size_t most) {
  auto guesses = Lookup(lookup).propose(history, most);
  EXPECT_TRUE(guesses.ok());
  return guesses.ok() ? *guesses : Tokens();
}

TEST(Lookup, what_followed_the_same_tokens_follows_again) {
  EXPECT_EQ(guess(2, {1, 2, 3, 4, 5, 1, 2}, 2), (Tokens{3, 4}));
}

TEST(Lookup, the_last_time_counts) { EXPECT_EQ(guess(1, {1, 7, 1, 8, 1}, 1), (Tokens{8})); }

TEST(Lookup, what_is_new_has_no_guess) {
  EXPECT_EQ(guess(2, {1, 2, 3, 4}, 3), Tokens());
  EXPECT_EQ(guess(2, {1, 2}, 3), Tokens());
  EXPECT_EQ(guess(2, {}, 3), Tokens());
  EXPECT_EQ(guess(0, {1, 1, 1}, 3), Tokens());
}

TEST(Lookup, guesses_go_on_where_the_text_ends) {
  EXPECT_EQ(guess(2, {1, 2, 1, 2}, 5), (Tokens{1, 2, 1, 2, 1}));
  EXPECT_EQ(guess(1, {4, 4}, 3), (Tokens{4, 4, 4}));
  EXPECT_EQ(guess(1, {9, 1, 2, 3, 1}, 7), (Tokens{2, 3, 1, 2, 3, 1, 2}));
}

} // namespace
