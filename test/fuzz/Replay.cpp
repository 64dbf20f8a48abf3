//===- Replay.cpp - a fuzzer's corpus as a test ---------------------------===//
//
// Feeds every file of the corpus, and every beginning of the small ones, to the fuzzer's function, without libFuzzer.
//
//===----------------------------------------------------------------------===//

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

TEST(Fuzz, Corpus) {
  size_t files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(KT_CORPUS)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream in(entry.path(), std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
    constexpr size_t kSmall = 512;
    for (size_t size = bytes.size() > kSmall ? bytes.size() : 0; size <= bytes.size(); ++size) {
      std::vector<uint8_t> copy(bytes.begin(), bytes.begin() + size); // of its own, so that reading beyond it is seen
      LLVMFuzzerTestOneInput(copy.data(), copy.size());
    }
    ++files;
  }
  EXPECT_GT(files, 0u);
}
