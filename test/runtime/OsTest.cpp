//===- OsTest.cpp - files, memory, threads --------------------------------===//
//
// What has to hold of files whatever happens: whole or not there, never one that is read, never a wait.
//
//===----------------------------------------------------------------------===//

#include "runtime/os/File.h"
#include "runtime/os/Memory.h"
#include "runtime/os/OutputFile.h"
#include "runtime/os/Process.h"
#include "runtime/os/Thread.h"
#include "runtime/text/Grammar.h"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kt::os {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kt-os-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string at(const std::string &name) const { return folder + "/" + name; }
  void put(const std::string &name, const std::string &text) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    std::ofstream(at(name), std::ios::binary) << text;
  }
  std::string get(const std::string &name) const {
    std::ifstream in(at(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  size_t count() const { return std::distance(fs::directory_iterator(folder), fs::directory_iterator()); }

  std::string folder;
};

/// Both ways to write: without a name until the end, and under a temporary one.
class Output : public Files, public ::testing::WithParamInterface<bool> {
protected:
  Status save(const std::string &name, const std::string &text) const {
    OutputFile file(at(name), GetParam());
    file.write(text);
    return file.finish();
  }
};
INSTANTIATE_TEST_SUITE_P(Unnamed, Output, ::testing::Bool());

TEST_P(Output, IsThereWholeOrNotAtAll) {
  {
    OutputFile file(at("a"), GetParam());
    file.write("half");
    EXPECT_FALSE(fs::exists(at("a")));
  }
  EXPECT_EQ(count(), 0u);
  ASSERT_TRUE(save("a", "one").ok());
  {
    OutputFile file(at("a"), GetParam());
    file.write("half");
    EXPECT_EQ(get("a"), "one");
  }
  EXPECT_EQ(get("a"), "one");
  ASSERT_TRUE(save("a", std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(get("a").size(), 1u << 20);
  EXPECT_EQ(count(), 1u);
}

TEST_P(Output, KeepsModeAndFollowsLinks) {
  ASSERT_TRUE(save("a", "one").ok());
  mode_t mask = ::umask(0);
  ::umask(mask);
  EXPECT_EQ(static_cast<unsigned>(fs::status(at("a")).permissions()), 0666u & ~mask);
  ::chmod(at("a").c_str(), 0640);
  fs::create_symlink("a", at("b"));
  fs::create_symlink("new", at("c"));
  ASSERT_TRUE(save("b", "two").ok());
  ASSERT_TRUE(save("c", "three").ok());
  EXPECT_TRUE(fs::is_symlink(at("b")));
  EXPECT_EQ(get("a"), "two");
  EXPECT_EQ(get("new"), "three");
  EXPECT_EQ(static_cast<unsigned>(fs::status(at("a")).permissions()), 0640u);
}

TEST_P(Output, SaysWhyNot) {
  fs::create_directory(at("folder"));
  fs::create_symlink("loop", at("loop"));
  EXPECT_NE(save("folder", "").message().find("Is a directory"), std::string::npos);
  EXPECT_NE(save("none/a", "").message().find("No such file"), std::string::npos);
  EXPECT_NE(save("loop", "").message().find("symbolic links"), std::string::npos);
  EXPECT_FALSE(save("none/", "").ok());
  EXPECT_FALSE(save(std::string(300, 'n'), "").ok());
  EXPECT_EQ(OutputFile("/dev/full").finish().code(), Code::ok) << "nothing was written";
  OutputFile full("/dev/full");
  full.write("x");
  EXPECT_NE(full.finish().message().find("No space left"), std::string::npos);
  EXPECT_EQ(count(), 2u);
}

TEST_P(Output, AFileSizeLimitKeepsTheOldFile) {
  put("a", "precious");
  pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    _exit(save("a", std::string(1 << 20, 'x')).message().find("File too large") == std::string::npos);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(get("a"), "precious");
  EXPECT_EQ(count(), 1u);
}

TEST_P(Output, SignalsLeaveNothing) {
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    pid_t child = ::fork();
    if (child == 0) {
      ::signal(signal, SIG_DFL); // who starts the tests may ignore it, as a shell does for what it runs beside itself
      ::alarm(30);
      prepareProcess(false);
      OutputFile file(at("a"), GetParam());
      file.write(std::string(1 << 20, 'x'));
      (void)!::write(pipe[1], "", 1);
      for (;;)
        ::pause();
    }
    char ready;
    ASSERT_EQ(::read(pipe[0], &ready, 1), 1);
    EXPECT_EQ(count(), GetParam() ? 0u : 1u);
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal);
    EXPECT_EQ(count(), 0u);
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
}

TEST_F(Files, OnlyRegularFilesAreOpened) {
  put("file", "text");
  ::mkfifo(at("pipe").c_str(), 0600);
  EXPECT_EQ(*readText(at("file"), 10), "text");
  EXPECT_FALSE(readText(at("file"), 3).ok());
  EXPECT_NE(openRegular(at("pipe")).status().message().find("a pipe"), std::string::npos);
  EXPECT_NE(openRegular("/dev/zero").status().message().find("a device"), std::string::npos);
  EXPECT_NE(openRegular(folder).status().message().find("a folder"), std::string::npos);
  EXPECT_NE(openRegular(at("none")).status().message().find("No such file"), std::string::npos);
  EXPECT_FALSE(openRegular(std::string("a\0b", 3)).ok());
}

TEST_F(Files, DataStaysInTheFoldersOfTheModel) {
  put("blobs/1", "model");
  put("blobs/2", "data");
  put("secret", "secret");
  fs::create_directories(at("snapshot"));
  fs::create_symlink("../blobs/1", at("snapshot/m.onnx"));
  fs::create_symlink("../blobs/2", at("snapshot/m.data"));
  fs::create_symlink("../secret", at("snapshot/bad"));
  fs::create_symlink("..", at("snapshot/up"));
  auto open = [&](const char *location) { return openBeside(at("snapshot/m.onnx"), location); };
  EXPECT_TRUE(open("m.data").ok());
  EXPECT_TRUE(open("./m.data").ok());
  EXPECT_TRUE(open("2").ok()) << "beside the model's real path";
  EXPECT_EQ(open("none").status().code(), Code::failed);
  for (const char *location : {"bad", "../secret", "up/secret", "", "/etc/passwd", "x/../m.data", ".."})
    EXPECT_EQ(open(location).status().code(), Code::usage) << location;
  // Beside the file itself the link leads out.
  put("snapshot/own.onnx", "model");
  EXPECT_EQ(openBeside(at("snapshot/own.onnx"), "m.data").status().code(), Code::usage);
}

TEST_F(Files, AChangeIsSeen) {
  put("a", "four");
  auto file = MappedFile::open(at("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->unchanged().ok());
  EXPECT_EQ(mappedFileAt((*file)->bytes().data()), (*file)->name().c_str());
  fs::resize_file(at("a"), 3);
  EXPECT_FALSE((*file)->unchanged().ok());
  // Touching what is gone ends with an error that names the file, not with a signal.
  EXPECT_EXIT(
      {
        prepareProcess(false);
        fs::resize_file(at("a"), 0);
        volatile auto byte = (*file)->bytes()[0];
        (void)byte;
      },
      ::testing::ExitedWithCode(1), "error: a file became shorter while it was read: .*/a\n");
}

TEST_F(Files, ManyFilesNeedFewDescriptors) {
  std::vector<std::unique_ptr<MappedFile>> files;
  struct rlimit limit;
  ::getrlimit(RLIMIT_NOFILE, &limit);
  struct rlimit few = {256, limit.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int i = 0; i < 400; ++i) {
    put(std::to_string(i), "text");
    auto file = MappedFile::open(at(std::to_string(i)));
    ASSERT_TRUE(file.ok()) << file.status().message();
    files.push_back(*std::move(file));
  }
  for (auto &file : files)
    EXPECT_TRUE(file->unchanged().ok());
  fs::resize_file(at("399"), 1);
  EXPECT_FALSE(files[399]->unchanged().ok());
  fs::remove(at("398"));
  EXPECT_TRUE(files[398]->unchanged().ok());
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(Files, WhatIsReadIsNotWritten) {
  put("a", "");
  put("b", "");
  fs::create_symlink("a", at("link"));
  fs::create_hard_link(at("a"), at("hard"));
  KeptFiles kept;
  kept.add(at("link"));
  for (const char *name : {"a", "link", "hard", "../"})
    EXPECT_EQ(kept.mayWrite(at(name)).ok(), name[0] == '.') << name;
  EXPECT_FALSE(kept.mayWrite(at("../" + fs::path(folder).filename().string() + "/a")).ok());
  EXPECT_TRUE(kept.mayWrite(at("b")).ok());
  EXPECT_TRUE(kept.mayWrite(at("new")).ok());
  using Names = std::vector<std::string>;
  EXPECT_FALSE(kept.mayWriteAll(Names{at("new"), at("./new")}).ok());
  EXPECT_FALSE(kept.mayWriteAll(Names{at("b"), at("a")}).ok());
  EXPECT_TRUE(kept.mayWriteAll(Names{at("b"), at("new"), "/dev/null", "/dev/null"}).ok());
  fs::create_symlink("new", at("to-new"));
  EXPECT_FALSE(kept.mayWriteAll(Names{at("new"), at("to-new")}).ok());
}

TEST(Process, EndsWithOneError) {
  EXPECT_EXIT((prepareProcess(false), die("a\nb", "c")), ::testing::ExitedWithCode(1), "^error: a bc\n$");
  EXPECT_EXIT((prepareProcess(true), die("say \"no\"")), ::testing::ExitedWithCode(1),
              R"(^\{"message":"say \\"no\\"","severity":"error"\})");
  const char *arguments[] = {"ktc", "--diagnostics", "json"};
  EXPECT_TRUE(wantsJson(3, arguments));
  EXPECT_FALSE(wantsJson(2, arguments));
  EXPECT_EQ(oneLine("a\nb"), "a\\x0ab");
}

TEST(Memory, WhatCannotBeHadIsAnError) {
  EXPECT_TRUE(expectMemory(1, "x").ok());
  EXPECT_NE(expectMemory(UINT64_MAX, "the input").message().find("the input needs 18446744073709551615 bytes"),
            std::string::npos);
  EXPECT_GT(availableMemory(), 1u << 20);
}

TEST(Thread, IsJoined) {
  std::atomic<int> done{0};
  {
    auto thread = Thread::start([&] { done = 1; });
  }
  EXPECT_EQ(done, 1);
}

TEST(Grammar, Sizes) {
  std::pair<const char *, uint64_t> right[] = {{"24GB", 24000000000u},
                                               {"1.5KiB", 1536},
                                               {"12", 12},
                                               {"20 GB", 20000000000u},
                                               {"0.5KB", 500},
                                               {"1TiB", uint64_t(1) << 40},
                                               {"9223372036854775807", INT64_MAX},
                                               {"3B", 3}};
  for (auto &[text, bytes] : right)
    EXPECT_EQ(*parseSize(text), bytes) << text;
  for (const char *text : {"GB", "-1KB", "0", "0.1", "1.GB", ".5GB", "1e3", "inf", "nan", "0x10", "9223372036854775808",
                           "1 G B", " 1", "1GB ", ""})
    EXPECT_EQ(parseSize(text).status().code(), Code::usage) << text;
}

TEST(Grammar, Decibels) {
  std::pair<const char *, double> right[] = {{"20", 20},       {"0", 0},     {"27.5", 27.5},
                                             {"0.125", 0.125}, {"200", 200}, {"007.0", 7}};
  for (auto &[text, decibels] : right)
    EXPECT_EQ(*parseDecibels(text), decibels) << text;
  for (const char *text : {"", ".5", "1.", "-1", "+1", "200.001", "1000", "99999999999999999999", "1e2", "inf", "nan",
                           "0x10", " 1", "1 ", "1dB", "1,5", "0.0001", "1.2.3"})
    EXPECT_EQ(parseDecibels(text).status().code(), Code::usage) << text;
  EXPECT_EQ(printDecibels(27.5), "27.5");
  EXPECT_EQ(printDecibels(25), "25");
  EXPECT_EQ(printDecibels(0), "0");
}

TEST(Grammar, Ranges) {
  auto range = parseRange("a=b=2..7");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->name, "a=b");
  EXPECT_EQ(range->low, 2);
  EXPECT_EQ(range->high, 7);
  EXPECT_EQ(parseRange("n=0")->high, 0);
  for (const char *text :
       {"n", "=1", "n=", "n=1..", "n=..1", "n=1...2", "n=2..1", "n=-1", "n=+1", "n= 1", "n=9223372036854775808", ""})
    EXPECT_EQ(parseRange(text).status().code(), Code::usage) << text;
}

} // namespace
} // namespace kt::os
