//===- Generator.cpp - language models, token by token --------------------===//

#include "kt/Generate.h"
#include "runtime/api/Guard.h"
#include "runtime/generate/Roles.h"
#include "runtime/generate/Sampler.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace kt {

using namespace generate;
using Clock = std::chrono::steady_clock;

struct Generator::Impl {
  std::shared_ptr<Model> model;
  Roles roles;
  GeneratorOptions options;
  std::unique_ptr<Session> session;

  uint64_t length = 0; // tokens that the state has
  // Of a model whose caches go in and out: what they are, and what they begin with.
  std::vector<TensorView> carried;
  std::vector<std::vector<std::byte>> zeros;

  std::vector<int64_t> history; // all tokens of the state, and the latest, which the model has yet to read
  std::optional<int64_t> unread;
  std::vector<std::byte> ids, mask, positions, writes, lengths;

  uint64_t held() const { return length; }
  /// Whether a state is one that `which` says.
  bool anyState(bool (*which)(const PortInfo &)) const {
    return std::any_of(roles.states.begin(), roles.states.end(),
                       [&](auto &state) { return which(model->inputs()[state.first]); });
  }
  Status run(std::span<const int64_t> tokens);
  Status forget(uint64_t behind);
  void begin();
  Result<size_t> rows() const;
  Result<int64_t> choose(Sampler &sampler, size_t row) const;
  Result<GenerateResult> generate(const GenerateRequest &request);
  std::vector<int64_t> guess(const GenerateRequest &request, uint64_t most) const;
};

namespace {
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Integers, or ones, in the type that a port has.
template <typename Fn> void fill(std::vector<std::byte> &to, DataType type, size_t count, Fn &&value) {
  to.resize(count * byteSize(type));
  for (size_t i = 0; i < count; ++i) {
    int64_t v = value(i);
    auto put = [&](auto x) { std::memcpy(to.data() + i * sizeof(x), &x, sizeof(x)); };
    switch (type) {
    case DataType::i64:
      put(v);
      break;
    case DataType::i32:
      put(static_cast<int32_t>(v));
      break;
    case DataType::f32:
      put(static_cast<float>(v));
      break;
    case DataType::f16:
      put(static_cast<uint16_t>(v ? 0x3c00 : 0));
      break;
    case DataType::bf16:
      put(static_cast<uint16_t>(v ? 0x3f80 : 0));
      break;
    default:
      put(static_cast<uint8_t>(v != 0));
      break;
    }
  }
}
} // namespace

/// Nothing in the state.
void Generator::Impl::begin() {
  history.clear();
  unread.reset();
  length = 0;
  carried.clear();
  zeros.clear();
  for (auto [input, output] : roles.states) {
    const PortInfo &port = model->inputs()[input];
    TensorView empty{port.name, port.type, port.dims};
    for (int64_t d = 0; d < static_cast<int64_t>(empty.dims.size()); ++d)
      if (empty.dims[d] < 0)
        empty.dims[d] = d == port.grows ? 0 : d == port.written ? static_cast<int64_t>(options.capacity) : 1;
    if (!options.inPlace && port.grows < 0) {
      size_t bytes = byteSize(port.type);
      for (int64_t dim : empty.dims)
        bytes *= static_cast<size_t>(dim);
      empty.data = zeros.emplace_back(bytes).data();
    }
    carried.push_back(std::move(empty));
  }
}

/// Has the model read tokens behind what the state holds. Afterwards the session's outputs have the logits.
Status Generator::Impl::run(std::span<const int64_t> tokens) {
  const std::vector<PortInfo> &inputs = model->inputs(), &outputs = model->outputs();
  auto count = static_cast<int64_t>(tokens.size()), before = static_cast<int64_t>(held());
  std::vector<Binding> bindings;
  auto give = [&](size_t port, std::vector<std::byte> &data, int64_t elements, auto &&value) {
    fill(data, inputs[port].type, static_cast<size_t>(elements), value);
    std::vector<int64_t> dims(inputs[port].dims.size(), 1);
    dims.back() = elements;
    bindings.push_back(Binding::input(inputs[port].name, {"", inputs[port].type, dims, data.data()}));
  };
  give(roles.ids, ids, count, [&](size_t i) { return tokens[i]; });
  if (roles.mask)
    give(*roles.mask, mask, before + count, [](size_t) { return 1; });
  if (roles.positions)
    give(*roles.positions, positions, count, [&](size_t i) { return before + static_cast<int64_t>(i); });
  if (roles.writes)
    give(*roles.writes, writes, 1, [&](size_t) { return before; });
  if (roles.lengths)
    give(*roles.lengths, lengths, 1, [&](size_t) { return before + count; });
  bindings.push_back(Binding::ownedOutput(outputs[roles.logits].name, Memory::host));
  bool onHost = model->device().starts_with("host");
  if (!options.inPlace)
    for (size_t i = 0; i < roles.states.size(); ++i) {
      bindings.push_back(Binding::input(inputs[roles.states[i].first].name, carried[i]));
      bindings.push_back(
          Binding::ownedOutput(outputs[roles.states[i].second].name, onHost ? Memory::host : Memory::device));
    }
  KT_RETURN_IF_ERROR(session->enqueue(bindings));
  KT_RETURN_IF_ERROR(session->wait());
  if (!options.inPlace)
    for (size_t i = 0; i < roles.states.size(); ++i)
      carried[i] = session->outputs()[roles.states[i].second];
  length += tokens.size();
  return {};
}

/// All behind the first `behind` tokens.
Status Generator::Impl::forget(uint64_t behind) {
  if (options.inPlace) {
    KT_RETURN_IF_ERROR(session->truncate(behind));
    length = behind;
  } else if (behind != length) {
    begin();
  }
  return {};
}

/// For how many tokens of the latest run there are logits.
Result<size_t> Generator::Impl::rows() const {
  const TensorView &logits = session->outputs()[roles.logits];
  size_t rows = 1;
  for (size_t d = 0; d + 1 < logits.dims.size(); ++d)
    rows *= static_cast<size_t>(logits.dims[d]);
  if (rows == 0)
    return Status::failed("output '" + logits.name + "' is empty");
  return rows;
}

Result<int64_t> Generator::Impl::choose(Sampler &sampler, size_t row) const {
  const TensorView &logits = session->outputs()[roles.logits];
  auto width = static_cast<size_t>(logits.dims.back());
  return sampler.next(logits.type, static_cast<const char *>(logits.data) + row * width * byteSize(logits.type), width);
}

/// What followed the latest tokens when they were there before, the last time.
std::vector<int64_t> Generator::Impl::guess(const GenerateRequest &request, uint64_t most) const {
  size_t n = request.lookup, count = history.size();
  if (n == 0 || count <= n)
    return {};
  for (size_t at = count - n; at-- > 0;)
    if (std::equal(history.begin() + static_cast<ptrdiff_t>(at), history.begin() + static_cast<ptrdiff_t>(at + n),
                   history.end() - static_cast<ptrdiff_t>(n))) {
      size_t end = std::min<size_t>(count, at + n + std::min<uint64_t>(most, request.guesses));
      return {history.begin() + static_cast<ptrdiff_t>(at + n), history.begin() + static_cast<ptrdiff_t>(end)};
    }
  return {};
}

Result<GenerateResult> Generator::Impl::generate(const GenerateRequest &request) {
  Clock::time_point start = Clock::now();
  if (request.prompt.empty() && !unread)
    return Status::usage("the prompt has no tokens");
  if (request.guesses && (request.sampling.temperature > 0 || !options.inPlace))
    return Status::usage("guesses need a temperature of 0 and caches in place");
  if (request.guesses && anyState([](const PortInfo &p) { return p.grows < 0 && p.written < 0; }))
    return Status::usage("guesses need a state that can go back to what it was before them, but each run replaces "
                         "a part of this model's");
  std::vector<int64_t> prompt;
  if (unread)
    prompt.push_back(*unread);
  prompt.insert(prompt.end(), request.prompt.begin(), request.prompt.end());
  uint64_t before = held();
  // The last of the new tokens is not read.
  uint64_t needs = prompt.size() + (request.maxNew ? request.maxNew - 1 : 0);
  if (options.inPlace && needs > options.capacity - before)
    return Status::usage("the prompt of " + std::to_string(prompt.size()) + " tokens and " +
                         std::to_string(request.maxNew) + " new ones do not fit: there is room for " +
                         std::to_string(options.capacity - before) + " of " + std::to_string(options.capacity));
  std::vector<int64_t> historyBefore = history;
  GenerateResult result;
  Sampler sampler(request.sampling);
  auto all = [&]() -> Status {
    size_t piece = request.piece ? request.piece : prompt.size();
    for (size_t at = 0; at < prompt.size(); at += piece)
      KT_RETURN_IF_ERROR(run(std::span(prompt).subspan(at, std::min(piece, prompt.size() - at))));
    history.insert(history.end(), request.prompt.begin(), request.prompt.end());
    unread.reset();
    if (request.maxNew == 0)
      return {};
    auto more = [&](int64_t token) {
      if (result.tokens.empty())
        result.secondsToFirst = since(start);
      result.tokens.push_back(token);
      history.push_back(token);
      unread = token;
      bool wanted = !request.onToken || request.onToken(token);
      return wanted && result.tokens.size() < request.maxNew &&
             std::find(request.stop.begin(), request.stop.end(), token) == request.stop.end();
    };
    auto last = rows();
    if (!last.ok())
      return std::move(last).status();
    auto token = choose(sampler, *last - 1);
    if (!token.ok())
      return std::move(token).status();
    while (more(*token)) {
      std::vector<int64_t> tokens = {*token};
      // One token comes of what is read for sure; guesses may make it more, up to the last that is wanted.
      for (int64_t guessed :
           request.guesses ? guess(request, request.maxNew - result.tokens.size() - 1) : std::vector<int64_t>())
        tokens.push_back(guessed);
      uint64_t known = held();
      KT_RETURN_IF_ERROR(run(tokens));
      ++result.runs;
      auto count = rows();
      if (!count.ok())
        return std::move(count).status();
      if (*count < tokens.size() && tokens.size() > 1)
        return Status::usage("guesses need logits for all tokens, but the model gives them for the last one only");
      size_t right = 0;
      bool goesOn = true;
      while (goesOn) {
        token = choose(sampler, tokens.size() == 1 ? *count - 1 : right);
        if (!token.ok())
          return std::move(token).status();
        if (right + 1 >= tokens.size() || *token != tokens[right + 1])
          break;
        ++right, ++result.accepted;
        goesOn = more(*token);
      }
      if (right + 1 < tokens.size() || !goesOn)
        KT_RETURN_IF_ERROR(forget(known + right + (goesOn ? 1 : 0)));
      if (!goesOn)
        break;
    }
    return {};
  };
  if (Status status = all(); !status.ok()) {
    // As it was, as far as caches that are carried along, and states that do not grow, can be.
    bool goesBack = !anyState([](const PortInfo &p) { return p.grows < 0; });
    KT_RETURN_IF_ERROR(forget(goesBack ? before : 0));
    history = std::move(historyBefore);
    unread = history.empty() ? std::nullopt : std::optional(history.back());
    return status;
  }
  result.seconds = since(start);
  return result;
}

Generator::Generator(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Generator::~Generator() = default;

Result<std::unique_ptr<Generator>> Generator::create(std::shared_ptr<Model> model, const GeneratorOptions &options) {
  return guarded([&]() -> Result<std::unique_ptr<Generator>> {
    auto impl = std::make_unique<Impl>();
    auto roles = findRoles(*model, options.ports);
    if (!roles.ok())
      return std::move(roles).status();
    impl->roles = *std::move(roles);
    impl->options = options;
    if (impl->roles.states.empty())
      return Status::usage("the model has no caches: no output continues an input");
    auto session = model->createSession({.capacity = options.inPlace ? options.capacity : 0});
    if (!session.ok())
      return std::move(session).status();
    impl->session = *std::move(session);
    impl->model = std::move(model);
    impl->begin();
    return std::unique_ptr<Generator>(new Generator(std::move(impl)));
  });
}

Result<GenerateResult> Generator::generate(const GenerateRequest &request) {
  return guarded([&] { return impl->generate(request); });
}

uint64_t Generator::held() const { return impl->held(); }

void Generator::reset() {
  (void)impl->forget(0); // the first none of what is held are always there
  impl->begin();
}

Session &Generator::session() { return *impl->session; }

} // namespace kt
