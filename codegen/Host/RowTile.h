//===- RowTile.h - what a micro-kernel keeps in registers -----------------===//

#ifndef KT_CODEGEN_HOST_ROWTILE_H
#define KT_CODEGEN_HOST_ROWTILE_H

#include "codegen/Host/MicroKernel.h"

namespace kt::codegen::host {

/// The sums of some rows and of the columns of one panel or two, in vectors of `lanes`.
struct RowTile {
  Type acc;
  int64_t rows, panels, vectors, lanes; // vectors of a row
  int64_t room;                         // registers that sums may take

  int64_t sums() const { return rows * vectors; }
  int64_t perPanel() const { return vectors / panels; }
  mlir::VectorType vector() const { return mlir::VectorType::get(lanes, acc); }
  /// What lies at `out`, rows `ld` apart, if `accumulate`; else zeros.
  llvm::SmallVector<Value> begin(Emitter &e, Value out, Value ld, Value accumulate) const;
  void store(Emitter &e, ValueRange sums, Value out, Value ld) const;
};

/// What the function for a number of rows is called with.
struct RowArgs {
  explicit RowArgs(ValueRange args)
      : table(args[0]), tableRows(args[1]), rowOffset(args[2]), taps(args[3]), depth(args[4]), panel(args[5]),
        nextPanel(args[6]), tapStep(args[7]), out(args[8]), ld(args[9]), accumulate(args[10]) {}
  Value table, tableRows, rowOffset, taps, depth, panel, nextPanel, tapStep, out, ld, accumulate;
};

/// The body of that function where panels are blocks of few bits.
void emitBlockRows(Emitter &e, const MicroKernelSpec &spec, const RowTile &tile, const RowArgs &args);

} // namespace kt::codegen::host

#endif
