//===- State.cpp - sessions that keep what they computed ------------------===//

#include "runtime/api/Internal.h"

namespace kt {

uint64_t Session::held() const { return impl->executor->held(); }
uint64_t Session::capacity() const { return impl->executor->stateCapacity(); }

Status Session::truncate(uint64_t length) {
  device::CallerContext keep;
  return impl->executor->truncate(length);
}

Result<std::unique_ptr<Session>> Session::fork() {
  return guarded([&]() -> Result<std::unique_ptr<Session>> {
    uint64_t capacity = impl->executor->stateCapacity();
    if (!capacity)
      return Status::usage("the session keeps no state: it was created without a capacity");
    auto session = impl->model->makeSession({.capacity = capacity});
    if (!session.ok())
      return std::move(session).status();
    device::CallerContext keep;
    KT_RETURN_IF_ERROR((*session)->impl->executor->copyKept(*impl->executor));
    return session;
  });
}

} // namespace kt
