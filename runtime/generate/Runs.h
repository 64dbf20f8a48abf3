//===- Runs.h - the runs of a language model ------------------------------===//
//
// One run after the other over the caches: what is bound to the model's ports, and where the tokens are that it says.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_RUNS_H
#define KT_RUNTIME_GENERATE_RUNS_H

#include "runtime/generate/Roles.h"
#include "runtime/generate/Sampler.h"
#include "runtime/generate/Tables.h"

namespace kt::generate {

/// What a run says comes next. The model itself has chosen where `tokens` is set, by its number `output`; else the
/// session's latest outputs have logits.
struct Said {
  std::unique_ptr<Event> done; // null: it is
  const void *tokens = nullptr;
  size_t rows = 0;
};

class Runs {
public:
  Runs(std::shared_ptr<Model> model, Roles roles, const GeneratorOptions &options, std::unique_ptr<Session> session,
       device::Device &device, exec::MemoryAccount &account);

  /// Before the runs of a request, when nothing is under way. `room`: how many tokens there will be at most.
  Status prepare(const GenerateRequest &request, uint64_t room);
  /// Whether the model chooses the request's tokens.
  bool choosesItself() const { return chooses; }
  /// Has the model read tokens behind what the state holds. Where it chooses, what it draws is number `step`, and the
  /// run may be under way yet.
  Status run(std::span<const int64_t> tokens, uint64_t step);
  /// The same of the one token that the latest run has chosen, which stays where it is.
  Status goOn(uint64_t step);
  /// Once, of the latest run.
  Said takeSaid() { return std::move(said); }
  /// The token behind the one of number `row` that the run has read.
  Result<int64_t> token(const Said &of, size_t row, Sampler &sampler);

  uint64_t held() const { return options.inPlace ? session->held() : carriedLength; }
  /// All behind the first `length` tokens; where caches are carried along, everything, unless that is all there is.
  Status forget(uint64_t length);
  void begin();
  Session &get() { return *session; }

private:
  /// Masks and positions for so many tokens.
  Status reserve(uint64_t count);
  Status enqueue(const Binding &ids, int64_t count, uint64_t step);

  std::shared_ptr<Model> model;
  Roles roles;
  GeneratorOptions options;
  std::unique_ptr<Session> session;
  Tables tables; // goes before the model does, and the session's runs over it are done
  bool chooses = false;
  std::vector<std::byte> ids;
  Said said;

  // Of a model whose caches go in and out: what they are and how much they hold.
  std::vector<TensorView> carried;
  uint64_t carriedLength = 0;
};

} // namespace kt::generate

#endif
