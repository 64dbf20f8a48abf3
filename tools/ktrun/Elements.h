//===- Elements.h - elements as numbers -----------------------------------===//
//
// Conversions between the element types of tensors and doubles or 64-bit integers, for comparison, printing and
// filling.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_ELEMENTS_H
#define KT_TOOLS_KTRUN_ELEMENTS_H

#include "kt/Runtime.h"

#include <optional>

namespace ktrun {

/// Integers and bools, which compare exactly.
bool isInteger(kt::DataType type);
/// Scalars an element has: 2 for complex numbers.
unsigned scalarsOf(kt::DataType type);
/// Scalar number `index` of a tensor's memory; exact for every type but 64-bit integers.
double toDouble(kt::DataType type, const void *data, uint64_t index);
/// An integer element as text, or a float with enough digits.
std::string toText(kt::DataType type, const void *data, uint64_t index);
/// Parses "1.5", "-3", "true" and stores it; false when the text is no value of the type.
bool fromText(kt::DataType type, const std::string &text, void *to);
/// "f32" -> DataType::f32. Numpy's long names are taken as well.
std::optional<kt::DataType> typeFromName(const std::string &text);

} // namespace ktrun

#endif
