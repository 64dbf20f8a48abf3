//===- Text.h - reports are made whole, then written ----------------------===//
//
// So that what could not be written is known: standard streams forget it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_TOOLS_KTRUN_TEXT_H
#define KT_TOOLS_KTRUN_TEXT_H

#include <cstdarg>
#include <cstdio>
#include <string>

namespace ktrun {

/// Appends what printf would print.
__attribute__((format(printf, 2, 3))) inline void append(std::string &text, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  if (length > 0) {
    size_t old = text.size();
    text.resize(old + length + 1); // the terminating zero has to fit
    std::vsnprintf(text.data() + old, length + 1, format, again);
    text.resize(old + length);
  }
  va_end(again);
}

} // namespace ktrun

#endif
