//===- MicroKernel.h - the inner loops of contractions --------------------===//
//
// A micro-kernel multiplies up to rows() rows with columns() columns of packed panels and keeps all sums in registers.
// Matrix multiplication, convolution and attention differ only in where the rows are.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_MICROKERNEL_H
#define KT_CODEGEN_HOST_MICROKERNEL_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

struct MicroKernelSpec {
  Type acc;                   // f32, f64, i32 or i64
  Type rowElement;            // as in memory
  Type panelElement;          // as in memory: [k][16]
  int64_t mostRows = 1 << 20; // rows that can occur; fewer functions are made for less
};

class MicroKernel {
public:
  /// Declares the function in the kernel's module; its code is shared by all kernels with this `spec`.
  MicroKernel(KernelBuilder &kernel, MicroKernelSpec spec);

  int64_t rows() const { return counts.back(); }
  /// Rows that every table and output has to have beyond the last strip: there is no function for every number of rows,
  /// so a strip may compute a few that nobody reads. Their table entries must be valid.
  int64_t spareRows() const { return counts.back() - 1; }
  /// The height of strips that cut `numRows` evenly.
  Value stripHeight(Emitter &e, Value numRows);
  int64_t columns() const { return panels * kPanel; }

  struct Call {
    Value numRows;     // 1 .. stripHeight()
    Value table;       // pointer[taps][tableRows]: where each row starts
    Value tableRows;   // row pointers of a tap in the table
    Value rowOffset;   // elements added to each row's start
    Value taps, depth; // the sum runs over taps x depth
    Value panel;       // pointer to the first panel's first element
    Value nextPanel;   // pointer to the second one's (any valid one if there is none)
    Value tapStep;     // panel elements from one tap to the next
    Value out, ld;     // acc[numRows][columns()], rows `ld` apart
    Value accumulate;  // i1: add to what is there
  };
  void call(Emitter &e, const Call &call);

private:
  void build(CodeBuilder &code, llvm::StringRef name);
  void emitRows(Emitter &e, ValueRange args, int64_t rows);
  MicroKernelSpec spec;
  int64_t lanes, panels, vectors;    // vectors: registers a row
  llvm::SmallVector<int64_t> counts; // of rows that there is code for
  llvm::SmallVector<Type> types;     // of the arguments after the number of rows
  mlir::LLVM::LLVMFuncOp function;
};

} // namespace kt::codegen::host

#endif
