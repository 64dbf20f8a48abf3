//===- Bytes.h - products of 8-bit integers on the host -------------------===//
//
// Instruction sets multiply integers of 8 bits in words of 32 that hold neighbouring k's. Both sides are prepared for
// that, a block of k at a time, and the micro-kernel then goes over words:
//
//     dots    four bytes a word, of a row times a column, where there is an instruction for it (VNNI). It takes one
//             side unsigned and the other signed: a row whose sign is that of the weights has 128 added to or taken
//             from each element, and what this adds to a sum follows from the column's, a correction.
//     pairs   two integers of 16 bits a word elsewhere: exact as they are. (What AVX2 has for bytes saturates.)
//
// A row is words[k], a panel words[k][16]; what fills up the last four k's is zero in both. Weights stay as they are
// stored, [k][16] bytes, since their columns become words while a block is on its way to the nearest cache anyway.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_BYTES_H
#define KT_CODEGEN_HOST_BYTES_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

/// The signs of both sides of a product of 8-bit integers.
struct ByteFactors {
  bool lhsUnsigned, rhsUnsigned;

  /// Null where kernels widen the numbers instead.
  static std::optional<ByteFactors> of(Type lhs, Type rhs);
  /// In names of shared functions.
  std::string name() const;
  /// Whether sums lack the corrections of their columns.
  bool corrects() const { return lhsUnsigned == rhsUnsigned; }

  /// sum + x w, of vectors of words.
  Value multiplyAdd(Emitter &e, const Isa &isa, Value x, Value w, Value sum) const;
};

/// The functions that prepare both sides, in a kernel. Their code is shared, and what they write depends on the
/// instruction set; the code that calls does not know.
class BytePreparation {
public:
  /// The most k's of a block, and k's that count as one depth of the micro-kernel.
  static constexpr int64_t kDepth = 1024, kGroup = 4;
  /// Room for a row of a block and from one panel to the next: no power of two, which would share few cache lines.
  static constexpr int64_t kRowBytes = 2 * kDepth + 64, kPanelBytes = 2 * kDepth * kPanel + 64;

  BytePreparation(KernelBuilder &kernel, ByteFactors factors) : kernel(kernel), factors(factors) {}

  /// k's [at, at + length) of the prepared row at `out` from bytes that are `step` apart.
  void row(Emitter &e, Value source, Value step, Value length, Value out, Value at);
  /// Whether `length` bytes that are contiguous are words as they are: then nobody prepares them.
  Value asTheyAre(Emitter &e, Value length);
  /// `panels` panels at `out` from bytes [length][16], `stride` bytes apart. Corrections i32[panels * 16], if there are
  /// any, are added to what there is if `accumulate`.
  void panels(Emitter &e, Value source, Value stride, Value panels, Value length, Value out, Value corrections,
              Value accumulate);
  /// The same from bytes of a strided matrix.
  void pack(Emitter &e, Value source, Value alongK, Value alongN, Value columns, Value length, Value out,
            Value corrections, Value accumulate);

  /// A strip of rows, of those that a block of weights is multiplied with.
  struct Strip {
    Value first, rows, height;
  };
  /// The panels behind `panels` ones at `weights` are the next columns'. They come from memory, a part with each strip:
  /// words are made of all at once, and would wait.
  static void fetchNext(Emitter &e, Value weights, Value stride, Value panels, Value length, const Strip &strip);

private:
  KernelBuilder &kernel;
  ByteFactors factors;
};

/// The functions behind it.
llvm::SmallVector<SharedFunction> preparations(ByteFactors factors);

} // namespace kt::codegen::host

#endif
