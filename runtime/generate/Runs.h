//===- Runs.h - the runs of a language model ------------------------------===//
//
// One run after the other over the caches: what is bound to the model's ports, and where the tokens are that it says.
// The streams that a model reads side by side are its batch, and each run adds equally many tokens to all of them.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_GENERATE_RUNS_H
#define KT_RUNTIME_GENERATE_RUNS_H

#include "runtime/generate/Roles.h"
#include "runtime/generate/Sampler.h"
#include "runtime/generate/Tables.h"

#include <atomic>

namespace kt::generate {

/// What a run says comes next. The model itself has chosen where `tokens` is set, by its number `output`; else the
/// session's latest outputs have logits.
struct Said {
  Event *done = nullptr; // of Runs, until the run after the next as `tokens` are; null: it is
  const void *tokens = nullptr;
  size_t rows = 0; // of each stream: the tokens that were read, or the last one alone
};

class Runs {
public:
  Runs(std::shared_ptr<Model> model, Roles roles, const GeneratorOptions &options, std::unique_ptr<Session> session,
       device::Device &device, exec::MemoryAccount &account);

  /// Before the runs of a request, when nothing is under way. `pads`: how many tokens each stream begins with that the
  /// mask hides and positions do not count; they and the streams are as before unless nothing is held. `guessed`: the
  /// tokens behind each one that is read are wanted, not only those behind the last. `room`: how many tokens a stream
  /// will have at most.
  Status prepare(const std::vector<uint64_t> &pads, const Sampling &sampling, bool guessed, uint64_t room);
  /// Code::usage where the model is made for another number of streams.
  Status takes(uint64_t streams) const;
  /// Whether the model chooses the request's tokens.
  bool choosesItself() const { return chooses; }
  /// Has the model read tokens behind what the state holds: equally many of each stream, one stream's behind another's.
  /// Where it chooses, what it draws is number `step`, and the run may be under way yet.
  Status run(std::span<const int64_t> tokens, uint64_t step);
  /// The same of one stream's prompt, of which at most `piece` tokens are read in one run; 0: all.
  Status readAll(std::span<const int64_t> tokens, uint64_t piece);
  /// The same as `run` of the one token of each stream that the latest run has chosen, which stays where it is.
  Status goOn(uint64_t step);
  /// The run in progress, or the next one, fails. From any thread.
  void cancel() {
    cancelled.store(true);
    session->cancel();
  }
  /// What nobody has heeded is over.
  void endCancel() { cancelled.store(false); }
  /// Once, of the latest run.
  Said takeSaid() { return std::move(said); }
  /// The token behind the one of number `row` that the run has read of a stream.
  Result<int64_t> token(const Said &of, size_t stream, size_t row, Sampler &sampler);

  /// The logits behind the last token of the only stream, where the model has not chosen.
  Result<std::vector<float>> lastLogits(const Said &of) const;
  /// Whether there is a mask, which may hide tokens.
  bool hasMask() const { return roles.mask.has_value(); }

  /// Tokens that the model knows.
  uint64_t vocabulary() const { return static_cast<uint64_t>(model->outputs()[roles.logits].dims.back()); }
  /// The tokens that the state has of each stream.
  uint64_t held() const { return length; }
  /// Whether a state in place can be again what it was some tokens before: no run replaces a part of it, or writes over
  /// what is older.
  bool goesBack() const;
  /// Whether nothing of a state is written over.
  bool onlyGrows() const;
  /// All behind the first `behind` tokens; where caches are carried along, everything, unless that is all there is.
  Status forget(uint64_t behind);
  void begin();
  /// The session has been forked from that of `other`.
  void goOnFrom(const Runs &other) { length = other.length, pads = other.pads; }
  Session &get() { return *session; }
  const std::shared_ptr<Model> &of() const { return model; }

private:
  /// Masks and positions for so many tokens.
  Status reserve(uint64_t count);
  Status enqueue(const Binding &ids, int64_t count, uint64_t step);
  Binding countUp(const PortInfo &port, int64_t before, int64_t count);
  Binding maskOf(const PortInfo &port, int64_t count);
  bool padded() const;

  std::shared_ptr<Model> model;
  Roles roles;
  GeneratorOptions options;
  std::unique_ptr<Session> session;
  Tables tables;                      // goes before the model does, and the session's runs over it are done
  std::atomic<bool> cancelled{false}; // the session's own is for its calls one by one
  bool chooses = false;
  std::vector<std::byte> ids, places, hidden; // what the latest run was given of the host's
  Said said;
  std::unique_ptr<Event> ends[2]; // of the latest run and the one before
  bool other = false;             // which of them is next

  uint64_t length = 0;
  std::vector<uint64_t> pads = {0}; // of each stream
  // Of a model whose caches go in and out: what they are, and what those begin with that are not empty.
  std::vector<TensorView> carried;
  std::vector<std::vector<std::byte>> zeros;
};

} // namespace kt::generate

#endif
