//===- OnnxFields.h - changes any field of any message --------------------===//

#ifndef KT_TEST_FUZZ_ONNXFIELDS_H
#define KT_TEST_FUZZ_ONNXFIELDS_H

#include <cstddef>
#include <cstdint>

namespace kt::fuzz {

/// Changes some fields of the model in `data`, whatever they mean, in place; answers its new size, or 0 where it is
/// none or has become larger than `most`.
size_t mutateFields(uint8_t *data, size_t size, size_t most, unsigned seed);

} // namespace kt::fuzz

#endif
