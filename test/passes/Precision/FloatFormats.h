//===- FloatFormats.h - what weights are quantised from -------------------===//

#ifndef KT_TEST_PASSES_PRECISION_FLOATFORMATS_H
#define KT_TEST_PASSES_PRECISION_FLOATFORMATS_H

#include "passes/Precision/QuantizeInt8.h"
#include "llvm/ADT/APFloat.h"

namespace kt::test {

constexpr FloatFormat kFormats[] = {FloatFormat::f32, FloatFormat::f16, FloatFormat::bf16};

inline const llvm::fltSemantics &semanticsOf(FloatFormat f) {
  return f == FloatFormat::f32   ? llvm::APFloat::IEEEsingle()
         : f == FloatFormat::f16 ? llvm::APFloat::IEEEhalf()
                                 : llvm::APFloat::BFloat();
}
inline int64_t bytesOf(FloatFormat f) { return f == FloatFormat::f32 ? 4 : 2; }

} // namespace kt::test

#endif
