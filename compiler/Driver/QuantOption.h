//===- QuantOption.h - `--quant` as text ----------------------------------===//

#ifndef KT_COMPILER_DRIVER_QUANTOPTION_H
#define KT_COMPILER_DRIVER_QUANTOPTION_H

#include "passes/Precision/QuantFormat.h"
#include "runtime/include/kt/Status.h"
#include <string>
#include <string_view>

namespace kt {

/// "none", "int8", "int4", "fp8", or with a group such as "int4:g64". Code::usage otherwise.
Result<QuantFormat> parseQuant(std::string_view text);
/// The same as text, with its group.
std::string printQuant(QuantFormat format);

} // namespace kt

#endif
