//===- SharedCodeTest.cpp - functions that many kernels call --------------===//

#include "codegen/Host/Emit.h"
#include "codegen/Host/Host.h"
#include "codegen/Host/MicroKernel.h"
#include "codegen/Host/Prebuilt/Prebuilt.h"
#include <atomic>
#include <gtest/gtest.h>
#include <thread>

using namespace kt;
using namespace kt::codegen;
using namespace kt::codegen::host;

namespace {

class SharedCodeTest : public testing::Test {
protected:
  SharedCodeTest() { loadHostDialects(context); }

  /// name(i) = i + 1, counting how often it is built.
  mlir::OwningOpRef<mlir::ModuleOp> increment(const Isa &isa, llvm::StringRef name) {
    ++builds;
    CodeBuilder code(mlir::UnknownLoc::get(&context), isa);
    mlir::Type index = mlir::IndexType::get(&context);
    code.function(
        name, {index}, [](Emitter &e, ValueRange args) -> Value { return e.i64(e.add(args[0], e.idx(1))); }, index,
        mlir::LLVM::Linkage::External);
    return std::move(code.module);
  }
  const Image *get(llvm::StringRef name, const Isa &isa) {
    llvm::Expected<const Image *> image = library.get(name, isa, [&] { return increment(isa, name); });
    if (image)
      return *image;
    ADD_FAILURE() << llvm::toString(image.takeError());
    return nullptr;
  }

  mlir::MLIRContext context;
  SharedCode library;
  std::atomic<int> builds = 0;
  const Isa &v3 = *findIsa("host-v3"), &v4 = *findIsa("host-v4");
};

TEST_F(SharedCodeTest, is_built_once_a_name_and_instruction_set) {
  const Image *first = get("a", v3);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->entries.count("a"), 1u);
  EXPECT_FALSE(first->code.empty());
  EXPECT_EQ(get("a", v3), first);
  EXPECT_EQ(builds, 1);
  EXPECT_NE(get("a", v4), first);
  EXPECT_NE(get("b", v3), first);
  EXPECT_EQ(builds, 3);
}

TEST_F(SharedCodeTest, threads_that_ask_at_once_share_one_build) {
  std::vector<const Image *> images(4);
  std::vector<std::thread> threads;
  for (const Image *&image : images)
    threads.emplace_back([&] { image = get("a", v3); });
  for (std::thread &t : threads)
    t.join();
  EXPECT_EQ(builds, 1);
  for (const Image *image : images)
    EXPECT_EQ(image, images[0]);
}

TEST_F(SharedCodeTest, what_cannot_be_linked_is_an_error_for_everybody_who_asks) {
  auto build = [&] {
    ++builds;
    CodeBuilder code(mlir::UnknownLoc::get(&context), v3);
    auto type = mlir::LLVM::LLVMFunctionType::get(mlir::LLVM::LLVMVoidType::get(&context), {});
    code.builder.setInsertionPointToEnd(code.module->getBody());
    auto missing = mlir::LLVM::LLVMFuncOp::create(code.builder, code.loc, "missing", type);
    code.function(
        "caller", {},
        [&](Emitter &e, ValueRange) -> Value {
          mlir::LLVM::CallOp::create(e.b, e.loc, missing, ValueRange());
          return {};
        },
        {}, mlir::LLVM::Linkage::External);
    return std::move(code.module);
  };
  for (int i = 0; i < 2; ++i) {
    llvm::Expected<const Image *> image = library.get("caller", v3, build);
    ASSERT_FALSE(bool(image));
    std::string error = llvm::toString(image.takeError());
    EXPECT_NE(error.find("'caller'"), std::string::npos) << error;
    EXPECT_NE(error.find("missing"), std::string::npos) << error;
  }
  EXPECT_EQ(builds, 1);
}

TEST_F(SharedCodeTest, what_was_built_before_is_what_would_be_built_now) {
  SharedCode prebuilt(prebuiltCode());
  unsigned compared = 0;
  for (const Isa *isa : {&v3, findIsa("host-v3-vnni"), &v4, findIsa("host-v4-vnni")})
    for (const SharedFunction &function : usualFunctions(&context, *isa)) {
      auto build = [&] {
        ++builds;
        CodeBuilder code(mlir::UnknownLoc::get(&context), *isa);
        function.build(code, function.name);
        return std::move(code.module);
      };
      llvm::Expected<const Image *> before = prebuilt.get(function.name, *isa, build);
      ASSERT_TRUE(bool(before));
      EXPECT_EQ(builds, compared) << function.name; // none for the first of the two
      llvm::Expected<const Image *> now = library.get(function.name, *isa, build);
      ASSERT_TRUE(bool(now));
      EXPECT_EQ((*before)->code, (*now)->code) << function.name;
      EXPECT_EQ((*before)->entries.lookup(function.name), (*now)->entries.lookup(function.name));
      ++compared;
    }
  EXPECT_EQ(compared, prebuiltCode().size());
}

} // namespace
