//===- CInternal.h - what is behind the handles of the C ABI --------------===//

#ifndef KT_RUNTIME_API_CINTERNAL_H
#define KT_RUNTIME_API_CINTERNAL_H

#include "kt/Runtime.h"
#include "kt/c_api.h"
#include "runtime/api/Guard.h"

struct kt_model {
  std::shared_ptr<kt::Model> model;
  std::string device;
};

struct kt_pool {
  std::shared_ptr<kt::StatePool> pool;
};

namespace kt::c {

/// Keeps the message for kt_last_error; answers the status.
int report(const Status &status) noexcept;

/// What every call that can fail goes through: no exception comes out of C.
template <typename Fn> int call(Fn &&fn) noexcept {
  Status status = guarded(fn);
  return status.ok() ? KT_OK : report(status);
}

inline Status missing(const std::string &what) { return Status::usage(what + " is null"); }

} // namespace kt::c

#endif
