//===- Guard.h - no exception leaves the API ------------------------------===//
//
// The runtime throws nothing itself; the C++ library below it does when memory runs out. Destructors clean up on the
// way, and here it becomes a Status.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_API_GUARD_H
#define KT_RUNTIME_API_GUARD_H

#include "runtime/include/kt/Status.h"

#include <exception>
#include <new>

namespace kt {

/// What `fn` answers, a Status or a Result, or a failure where it throws.
template <typename Fn> auto guarded(Fn &&fn) noexcept -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::bad_alloc &) {
    return Status::failed("out of memory"); // short enough to take none
  } catch (const std::exception &) {
    return Status::failed("internal error");
  } catch (...) {
    return Status::failed("internal error");
  }
}

} // namespace kt

#endif
