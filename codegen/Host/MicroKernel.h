//===- MicroKernel.h - the inner loops of contractions --------------------===//
//
// A micro-kernel multiplies a strip of rows with columns of packed panels and keeps all sums in registers. Matrix
// multiplication, convolution and attention differ only in where the rows are. How many rows and columns fit into the
// registers depends on the instruction set; the code that calls does not know.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_MICROKERNEL_H
#define KT_CODEGEN_HOST_MICROKERNEL_H

#include "codegen/Host/Bytes.h"

namespace kt::codegen::host {

struct MicroKernelSpec {
  Type acc;                   // f32, f64, i32 or i64
  Type rowElement;            // as in memory; i32 for words
  Type panelElement;          // as in memory: [k][16]; bytes of blocks; i32 for words
  int64_t mostRows = 1 << 20; // rows that can occur; fewer functions are made for less
  BlocksAttr blocks = {};     // panels are these: rows are prepared for them (Blocks.h), and depths are groups
  std::optional<ByteFactors> bytes = {}; // rows and panels are prepared words (Bytes.h), and depths are groups of four
};

struct MicroKernelFunctions {
  SharedFunction height, strip;
};
MicroKernelFunctions functionsOf(MicroKernelSpec spec);
/// What nearly every model's products, convolutions and attention ask for, language models with weights of few bits,
/// and models of 8-bit integers: of these alone there is code for instruction sets that differ in nothing else.
llvm::SmallVector<SharedFunction> usualFunctions(mlir::MLIRContext *context, const Isa &isa);

class MicroKernel {
public:
  /// The widest step over columns: outputs need room for columns rounded up to it.
  static constexpr int64_t kColumns = 2 * kPanel;
  /// Rows that every table and output has to have beyond the last strip: there is no function for every number of rows,
  /// so a strip may compute a few that nobody reads. Their table entries must be valid.
  static constexpr int64_t kSpareRows = 15;

  /// Declares the functions in the kernel's module; their code is shared by all kernels with this `spec`.
  MicroKernel(KernelBuilder &kernel, MicroKernelSpec spec);

  /// The height of strips that cut `numRows` evenly.
  Value stripHeight(Emitter &e, Value numRows);

  struct Call {
    Value numRows;     // 1 .. stripHeight()
    Value table;       // pointer[taps][tableRows]: where each row starts
    Value tableRows;   // row pointers of a tap in the table
    Value rowOffset;   // elements added to each row's start
    Value taps, depth; // the sum runs over taps x depth
    Value panels;      // pointer to the first panel's first element
    Value panelStride; // elements from one panel to the next
    Value numColumns;  // columns to compute: their panels exist
    Value tapStep;     // panel elements from one tap to the next
    Value out, ld;     // acc[numRows][numColumns], rows `ld` apart
    Value accumulate;  // i1: add to what is there
  };
  void call(Emitter &e, const Call &call);

private:
  mlir::LLVM::LLVMFuncOp height, strip;
};

} // namespace kt::codegen::host

#endif
