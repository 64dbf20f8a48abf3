//===- OnnxVocabulary.cpp - what mutated models are made of ---------------===//

#include "test/fuzz/OnnxVocabulary.h"
#include "compiler/Import/Node.h"

using namespace kt::import;
using namespace kt::fuzz;
using llvm::StringRef;

static constexpr char kTable[] =
#include "compiler/Import/Schemas.inc"
    ;

const std::vector<Operator> &kt::fuzz::operators() {
  static const std::vector<Operator> all = [] {
    std::vector<Operator> list;
    static OpTable table;
    for (auto add : {registerElementwise, registerArithmetic, registerShape, registerSlice, registerData,
                     registerReduce, registerContract, registerQuantize, registerControlFlow, registerRecurrent,
                     registerAttention, registerTransformer, registerResize, registerSampling, registerMisc,
                     registerSelect, registerSequence, registerRandom, registerSignal})
      add(table);
    llvm::SmallVector<StringRef> lines;
    StringRef(kTable).split(lines, '\n');
    llvm::StringMap<bool> standard;
    for (StringRef line : lines) {
      llvm::SmallVector<StringRef> field;
      line.split(field, ' ');
      if (field.size() != 10 || field[2] == "x" || !table.count(field[0]))
        continue;
      standard[field[0]] = true;
      Operator op;
      op.name = field[0];
      unsigned *counts[] = {&op.leastInputs, &op.mostInputs, &op.leastOutputs, &op.mostOutputs};
      for (auto [count, text] : llvm::zip(counts, llvm::ArrayRef(field).slice(2, 4)))
        if (text.getAsInteger(10, *count))
          *count = 5;
      llvm::SmallVector<StringRef> attributes;
      field[6].split(attributes, ',');
      for (StringRef a : attributes)
        if (a.contains(':'))
          op.attributes.push_back({a.split(':').first, a.split(':').second[0]});
      list.push_back(std::move(op));
    }
    for (const auto &entry : table) // the other domains', whose attributes no table tells
      if (!standard.count(entry.getKey())) {
        Operator op;
        auto [domain, name] = StringRef(entry.getKey()).rsplit('.');
        op.name = name.empty() ? domain : name, op.domain = name.empty() ? StringRef() : domain;
        op.mostInputs = 6, op.mostOutputs = 3;
        for (StringRef a : llvm::split(entry.second.attributes, ' '))
          op.attributes.push_back({a.split('=').first, 'i'});
        list.push_back(std::move(op));
      }
    return list;
  }();
  return all;
}

static constexpr int64_t kNumbers[] = {
    -1,        0,         1,         2,         3,         4,         5,           7,       8,
    16,        64,        255,       1024,      65536,     -2,        -3,          1 << 20, (1LL << 31) - 1,
    1LL << 31, 1LL << 32, 1LL << 40, 1LL << 62, INT64_MAX, INT64_MIN, -(1LL << 31)};

int64_t kt::fuzz::number(Random &random) {
  // Mostly what a model could have.
  return chance(random, 4) ? any(random, kNumbers) : (int64_t)below(random, 7) - 1;
}

float kt::fuzz::real(Random &random) {
  static constexpr float kReals[] = {0,      1,      -1,       0.5f,      2,   3,   1e-5f, 1e30f,
                                     -1e30f, 1e-40f, INFINITY, -INFINITY, NAN, 127, 256};
  return any(random, kReals);
}

int kt::fuzz::elementNumber(Random &random) {
  static constexpr int kUsual[] = {1, 1, 1, 6, 7, 7, 9, 10, 11, 2, 3, 16};
  return chance(random, 5) ? (int)below(random, 27) : any(random, kUsual);
}

size_t kt::fuzz::bytesOf(int type) {
  switch (type) {
  case 1:
  case 6:
  case 12:
    return 4;
  case 7:
  case 11:
  case 13:
  case 14:
    return 8;
  case 4:
  case 5:
  case 10:
  case 16:
    return 2;
  case 15:
    return 16;
  default:
    return 1;
  }
}

const char *kt::fuzz::word(Random &random) {
  // clang-format off: as many in a line as fit
  static constexpr const char *kWords[] = {
    "constant", "reflect", "edge", "wrap", "linear", "nearest", "cubic", "bilinear", "half_pixel", "align_corners",
    "asymmetric", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET", "forward", "reverse", "bidirectional", "add",
    "mul", "max", "min", "none", "sum", "mean", "DCR", "CRD", "floor", "ceil", "round_prefer_floor",
    "tf_crop_and_resize", "ij,jk->ik", "...ij,...jk->...ik", "ii->i", "ij->", "bij,bjk->bik", "tanh", "zeros",
    "border", "avg", "erf", "half_pixel_symmetric", "stretch", "not_larger", "RIGHT", "LEFT", ""
  };
  // clang-format on
  return any(random, kWords);
}

size_t kt::fuzz::store(const onnx::ModelProto &model, uint8_t *data, size_t size, size_t most) {
  size_t bytes = model.ByteSizeLong();
  if (bytes > most || bytes == 0 || !model.SerializePartialToArray(data, (int)bytes))
    return size;
  return bytes;
}
