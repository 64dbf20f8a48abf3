//===- Status.h - how the runtime reports failure -------------------------===//
//
// Nothing throws across the API: what can fail returns a Status, or a Result that holds a value or a Status.
//
//===----------------------------------------------------------------------===//

#ifndef KT_STATUS_H
#define KT_STATUS_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace kt {

/// The codes are the exit statuses of the command line tools.
enum class Code : int {
  ok = 0,
  failed = 1,   // the machine, the driver, a file, or the run itself
  usage = 2,    // the caller asked for something wrong: an input that does not exist, a shape out of bounds
  differs = 3,  // outputs are not what was expected
  rejected = 4, // the artifact is damaged, hostile, or of another version
};

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Code code, std::string message) : errorCode(code), text(std::move(message)) {}

  static Status failed(std::string message) { return {Code::failed, std::move(message)}; }
  static Status usage(std::string message) { return {Code::usage, std::move(message)}; }
  static Status differs(std::string message) { return {Code::differs, std::move(message)}; }
  static Status rejected(std::string message) { return {Code::rejected, std::move(message)}; }

  bool ok() const { return errorCode == Code::ok; }
  Code code() const { return errorCode; }
  int exitStatus() const { return static_cast<int>(errorCode); }
  /// Lower case, no full stop; empty when ok.
  const std::string &message() const { return text; }

  /// The same failure with `what: ` in front of its message.
  Status in(const std::string &what) && {
    if (!ok())
      text = what + ": " + text;
    return std::move(*this);
  }

private:
  Code errorCode = Code::ok;
  std::string text;
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : held(std::move(value)) {}
  Result(Status failure) : failure(std::move(failure)) { assert(!this->failure.ok() && "a Result needs a value"); }

  bool ok() const { return held.has_value(); }
  const Status &status() const & { return failure; }
  Status status() && { return std::move(failure); }

  T &operator*() & { return *held; }
  const T &operator*() const & { return *held; }
  T &&operator*() && { return std::move(*held); }
  T *operator->() { return &*held; }
  const T *operator->() const { return &*held; }

private:
  std::optional<T> held;
  Status failure;
};

} // namespace kt

/// Hands a failure on to the caller.
#define KT_RETURN_IF_ERROR(expression)                                                                                 \
  do {                                                                                                                 \
    if (::kt::Status ktStatus = (expression); !ktStatus.ok())                                                          \
      return ktStatus;                                                                                                 \
  } while (false)

#endif
