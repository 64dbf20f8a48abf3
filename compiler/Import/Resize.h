//===- Resize.h - the axes that Resize changes ----------------------------===//

#ifndef KT_COMPILER_IMPORT_RESIZE_H
#define KT_COMPILER_IMPORT_RESIZE_H

#include "compiler/Import/Node.h"

namespace kt::import {

/// One resized axis. The scale is `scale` where it is a number, else element `scaleAt` of the scales, else `above` /
/// `below` where there are such, else out / in.
struct ResizeAxis {
  int64_t dim;
  Expr in, out;
  std::optional<double> scale = std::nullopt;
  int64_t scaleAt = -1;
  Expr above = {}, below = {};
  int64_t roiAt = -1, roiCount = 0; // where the region of interest says something of this axis
  /// There is a scale beside out / in, which out was rounded from.
  bool scaled() const { return scale || scaleAt >= 0 || above; }
};

struct ResizeAxes {
  llvm::SmallVector<ResizeAxis> axes;
  mlir::Value scales; // [axes] where a `scaleAt` refers to it, else null
};

/// What a Resize or, `old`, an Upsample or Resize-10 node says of sizes and scales. Nothing after an error.
std::optional<ResizeAxes> resizeAxes(Node &n, bool old);

} // namespace kt::import

#endif
