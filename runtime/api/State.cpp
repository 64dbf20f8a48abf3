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
    auto session =
        impl->model->makeSession({.capacity = capacity,
                                  .pool = impl->pool,
                                  .checkNumerics = static_cast<CheckNumerics>(impl->executor->numericsMode())});
    if (!session.ok())
      return std::move(session).status();
    device::CallerContext keep;
    KT_RETURN_IF_ERROR((*session)->impl->executor->copyKept(*impl->executor));
    return session;
  });
}

StatePool::StatePool(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
StatePool::~StatePool() {
  device::CallerContext keep;
  impl->pages.reset();
}

Result<std::shared_ptr<StatePool>> StatePool::create(std::shared_ptr<Model> model, uint64_t pages) {
  return guarded([&]() -> Result<std::shared_ptr<StatePool>> {
    device::CallerContext keep;
    auto pool = exec::PagePool::create(*model->impl->program, pages);
    if (!pool.ok())
      return std::move(pool).status();
    return std::shared_ptr<StatePool>(new StatePool(std::make_unique<Impl>(std::move(model), *std::move(pool))));
  });
}

uint64_t StatePool::pages() const { return impl->pages->pages(); }
uint64_t StatePool::unused() const { return impl->pages->unused(); }
uint64_t StatePool::bytes() const { return impl->pages->bytes(); }
uint64_t StatePool::rowsOfPage() { return artifact::kPageRows; }

} // namespace kt
