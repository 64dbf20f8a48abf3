//===- InterpreterTest.cpp - bodies over constants ------------------------===//
//
// Each scalar type's rounding and wrapping, reads inside and outside, more elements than a block of lanes, and what is
// refused.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "test/passes/Analysis/Context.h"
#include <cmath>
#include <gtest/gtest.h>

namespace kt::test {
namespace {

/// Runs a kt.generic over inputs of `types`; `body` names them %X0, ... and the indices %i0, ...
template <typename R>
std::optional<std::vector<R>> run(const std::string &result, std::vector<std::string> types, unsigned rank,
                                  const std::string &body, std::vector<llvm::ArrayRef<char>> inputs) {
  std::string params, names, blocks, list;
  for (size_t i = 0; i < types.size(); ++i) {
    std::string n = std::to_string(i), type = "!kt.tensor<" + types[i] + ">", comma = i ? ", " : "";
    params += comma + "%x" + n + ": " + type;
    names += comma + "%x" + n;
    list += comma + type;
    blocks += comma + "%X" + n + ": " + type;
  }
  for (unsigned d = 0; d < rank; ++d)
    blocks += (blocks.empty() ? "%i" : ", %i") + std::to_string(d) + ": index";
  std::string type = "!kt.tensor<" + result + ">", ins = types.empty() ? "" : "(" + names + " : " + list + ")";
  std::string text = "func.func @f(" + params + ") -> " + type + " {\n%r = kt.generic ins" + ins + " -> " + type +
                     " {\n^bb0(" + blocks + "):\n" + body + "\n}\nreturn %r : " + type + "\n}";
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context());
  if (!module) {
    ADD_FAILURE() << text;
    return std::nullopt;
  }
  std::optional<std::vector<char>> bytes;
  module->walk([&](GenericOp op) { bytes = interpret(op, inputs); });
  if (!bytes)
    return std::nullopt;
  std::vector<R> out(bytes->size() / sizeof(R));
  memcpy(out.data(), bytes->data(), bytes->size());
  return out;
}

template <typename T> llvm::ArrayRef<char> bytesOf(const std::vector<T> &v) {
  return {(const char *)v.data(), v.size() * sizeof(T)};
}

TEST(InterpreterTest, FloatsRoundToTheirTypeAfterEachOperation) {
  // 2048 + 1 is not a half; in f32 it is a number.
  std::vector<float> x{2048, 1};
  auto half = run<float>("[1] x f32", {"[2] x f32"}, 1, R"(
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = kt.read %X0[%c0] : !kt.tensor<[2] x f32> -> f32
    %b = kt.read %X0[%c1] : !kt.tensor<[2] x f32> -> f32
    %h = arith.truncf %a : f32 to f16
    %g = arith.truncf %b : f32 to f16
    %s = arith.addf %h, %g : f16
    %w = arith.extf %s : f16 to f32
    %t = arith.addf %w, %b : f32
    kt.yield %t : f32)",
                         {bytesOf(x)});
  ASSERT_TRUE(half);
  EXPECT_EQ(half->front(), 2049.0f);
}

TEST(InterpreterTest, NarrowingRoundsToEven) {
  std::vector<float> x{1 + 1.0f / 256, 1 + 3.0f / 256, 1e30f, NAN};
  auto r = run<uint16_t>("[4] x bf16", {"[4] x f32"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[4] x f32> -> f32
    %b = arith.truncf %a : f32 to bf16
    kt.yield %b : bf16)",
                         {bytesOf(x)});
  ASSERT_TRUE(r);
  EXPECT_EQ((*r)[0], 0x3F80); // a tie, down to even
  EXPECT_EQ((*r)[1], 0x3F82); // a tie, up to even
  EXPECT_NEAR(std::log10((double)std::bit_cast<float>((uint32_t)(*r)[2] << 16)), 30, 0.01);
  EXPECT_TRUE(std::isnan(std::bit_cast<float>((uint32_t)(*r)[3] << 16)));
}

TEST(InterpreterTest, IntegersWrapAndKeepTheirSign) {
  std::vector<int8_t> x{127, -128, -1, 5};
  auto sum = run<int8_t>("[4] x i8", {"[4] x i8"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[4] x i8> -> i8
    %one = arith.constant 1 : i8
    %s = arith.addi %a, %one : i8
    kt.yield %s : i8)",
                         {bytesOf(x)});
  EXPECT_EQ(sum, (std::vector<int8_t>{-128, -127, 0, 6}));
  auto wide = run<int32_t>("[4] x i32", {"[4] x i8"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[4] x i8> -> i8
    %s = arith.extsi %a : i8 to i32
    %u = arith.extui %a : i8 to i32
    %k = arith.constant 1000 : i32
    %m = arith.muli %u, %k : i32
    %r = arith.addi %m, %s : i32
    kt.yield %r : i32)",
                           {bytesOf(x)});
  EXPECT_EQ(wide, (std::vector<int32_t>{127127, 128000 - 128, 255000 - 1, 5005}));
  auto compared = run<uint8_t>("[4] x i1", {"[4] x i8"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[4] x i8> -> i8
    %k = arith.constant 100 : i8
    %s = arith.cmpi slt, %a, %k : i8
    %u = arith.cmpi ult, %a, %k : i8
    %r = arith.xori %s, %u : i1
    kt.yield %r : i1)",
                               {bytesOf(x)});
  EXPECT_EQ(compared, (std::vector<uint8_t>{0, 1, 1, 0}));
}

TEST(InterpreterTest, UnsignedElementsWiden) {
  std::vector<uint8_t> x{200, 3};
  auto r = run<float>("[2] x f32", {"[2] x ui8"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[2] x ui8> -> i8
    %f = arith.uitofp %a : i8 to f32
    kt.yield %f : f32)",
                      {bytesOf(x)});
  EXPECT_EQ(r, (std::vector<float>{200, 3}));
}

TEST(InterpreterTest, ReadsOutsideGiveTheOtherValue) {
  std::vector<float> x{1, 2, 3};
  auto r = run<float>("[5] x f32", {"[3] x f32"}, 1, R"(
    %one = arith.constant 1 : index
    %at = arith.subi %i0, %one : index
    %pad = arith.constant -7.0 : f32
    %a = kt.read %X0[%at] else %pad : f32 : !kt.tensor<[3] x f32> -> f32
    kt.yield %a : f32)",
                      {bytesOf(x)});
  EXPECT_EQ(r, (std::vector<float>{-7, 1, 2, 3, -7}));
  // Without another value such a read has no meaning.
  EXPECT_FALSE(run<float>("[5] x f32", {"[3] x f32"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[3] x f32> -> f32
    kt.yield %a : f32)",
                          {bytesOf(x)}));
}

TEST(InterpreterTest, GathersThroughComputedIndices) {
  std::vector<int64_t> at{2, 0};
  std::vector<float> table{1, 2, 3, 4, 5, 6};
  auto r = run<float>("[2, 2] x f32", {"[2] x i64", "[3, 2] x f32"}, 2, R"(
    %n = kt.read %X0[%i0] : !kt.tensor<[2] x i64> -> i64
    %row = arith.index_cast %n : i64 to index
    %a = kt.read %X1[%row, %i1] : !kt.tensor<[3, 2] x f32> -> f32
    kt.yield %a : f32)",
                      {bytesOf(at), bytesOf(table)});
  EXPECT_EQ(r, (std::vector<float>{5, 6, 1, 2}));
}

TEST(InterpreterTest, MoreElementsThanLanes) {
  std::vector<int32_t> x(1300);
  for (int i = 0; i < 1300; ++i)
    x[i] = i * 7;
  auto r = run<int32_t>("[13, 100] x i32", {"[100, 13] x i32"}, 2, R"(
    %a = kt.read %X0[%i1, %i0] : !kt.tensor<[100, 13] x i32> -> i32
    kt.yield %a : i32)",
                        {bytesOf(x)});
  ASSERT_TRUE(r);
  for (int i = 0; i < 13; ++i)
    for (int j = 0; j < 100; ++j)
      ASSERT_EQ((*r)[i * 100 + j], (j * 13 + i) * 7);
}

TEST(InterpreterTest, MathematicsAndNaNs) {
  std::vector<float> x{0.5f, -2, NAN};
  auto r = run<float>("[3] x f32", {"[3] x f32"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[3] x f32> -> f32
    %e = math.exp %a : f32
    %t = math.tanh %e : f32
    kt.yield %t : f32)",
                      {bytesOf(x)});
  ASSERT_TRUE(r);
  for (int i = 0; i < 2; ++i)
    EXPECT_FLOAT_EQ((*r)[i], std::tanh(std::exp(x[i])));
  EXPECT_TRUE(std::isnan((*r)[2]));
  auto largest = run<float>("[3] x f32", {"[3] x f32"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[3] x f32> -> f32
    %zero = arith.constant 0.0 : f32
    %m = arith.maximumf %a, %zero : f32
    kt.yield %m : f32)",
                            {bytesOf(x)});
  ASSERT_TRUE(largest);
  EXPECT_EQ((*largest)[0], 0.5f);
  EXPECT_EQ((*largest)[1], 0.0f);
  EXPECT_TRUE(std::isnan((*largest)[2]));
}

TEST(InterpreterTest, RefusesWhatItDoesNotKnow) {
  std::vector<float> x{1};
  EXPECT_FALSE(run<float>("[1] x f32", {"[1] x f32"}, 1, R"(
    %a = kt.read %X0[%i0] : !kt.tensor<[1] x f32> -> f32
    %b = math.cbrt %a : f32
    kt.yield %b : f32)",
                          {bytesOf(x)}));
  EXPECT_FALSE(run<float>("[n] x f32", {"[1] x f32"}, 1, R"(
    %z = arith.constant 0 : index
    %a = kt.read %X0[%z] : !kt.tensor<[1] x f32> -> f32
    kt.yield %a : f32)",
                          {bytesOf(x)}));
}

} // namespace
} // namespace kt::test
