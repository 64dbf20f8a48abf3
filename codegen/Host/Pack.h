//===- Pack.h - packing panels at run time --------------------------------===//

#ifndef KT_CODEGEN_HOST_PACK_H
#define KT_CODEGEN_HOST_PACK_H

#include "codegen/Host/Emit.h"

namespace kt::codegen::host {

/// A strided matrix [k][n] in memory.
struct PackSource {
  Value pointer;
  Type element;
  Value alongK, alongN; // elements between neighbours
  bool nContiguous;     // alongN is 1
};

/// Copies columns x depth of `source` into panels [columns / 16][depth][16] of `acc` at `out`, padded with zeros;
/// panels are `panelStride` elements apart.
void packPanels(Emitter &e, const PackSource &source, Value columns, Value depth, Type acc, Value out,
                Value panelStride);

} // namespace kt::codegen::host

#endif
