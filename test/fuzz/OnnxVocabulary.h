//===- OnnxVocabulary.h - what mutated models are made of -----------------===//

#ifndef KT_TEST_FUZZ_ONNXVOCABULARY_H
#define KT_TEST_FUZZ_ONNXVOCABULARY_H

#include "onnx.pb.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <random>
#include <vector>

namespace kt::fuzz {

using Random = std::mt19937;
inline size_t below(Random &random, size_t n) { return n ? random() % n : 0; }
inline bool chance(Random &random, unsigned of) { return random() % of == 0; }
template <typename List> auto &any(Random &random, List &list) { return list[(int)below(random, std::size(list))]; }

/// What is known of an operator: a line of the standard's table, or what the importer understands of it.
struct Operator {
  llvm::StringRef name, domain;
  unsigned leastInputs = 1, mostInputs = 2, leastOutputs = 1, mostOutputs = 1;
  llvm::SmallVector<std::pair<llvm::StringRef, char>> attributes; // with the letter of the kind: i f s t g I F S
};

/// All that the importer has definitions for.
const std::vector<Operator> &operators();

/// Values with which something may go wrong, among those that a model could have.
int64_t number(Random &random);
float real(Random &random);
const char *word(Random &random);

/// A number of onnx::TensorProto::DataType, mostly a usual one, and the bytes of an element of it.
int elementNumber(Random &random);
size_t bytesOf(int type);

/// Puts the model into `data` if it takes at most `most` bytes; answers its bytes, or `size` if it does not.
size_t store(const onnx::ModelProto &model, uint8_t *data, size_t size, size_t most);

} // namespace kt::fuzz

#endif
