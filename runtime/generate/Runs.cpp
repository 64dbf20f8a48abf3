//===- Runs.cpp - the runs of a language model ----------------------------===//

#include "runtime/generate/Runs.h"

#include <algorithm>
#include <cstring>

namespace kt::generate {

Runs::Runs(std::shared_ptr<Model> model, Roles roles, const GeneratorOptions &options, std::unique_ptr<Session> session,
           device::Device &device, exec::MemoryAccount &account)
    : model(std::move(model)), roles(std::move(roles)), options(options), session(std::move(session)),
      tables(device, account) {
  begin();
}

/// Nothing in the state.
void Runs::begin() {
  length = 0;
  carried.clear();
  zeros.clear();
  for (auto [input, output] : roles.states) {
    const PortInfo &port = model->inputs()[input];
    TensorView empty{port.name, port.type, port.dims};
    for (int64_t d = 0; d < static_cast<int64_t>(empty.dims.size()); ++d)
      if (empty.dims[d] < 0)
        empty.dims[d] = d == port.grows     ? 0
                        : d == port.written ? static_cast<int64_t>(options.capacity)
                                            : static_cast<int64_t>(pads.size());
    if (!options.inPlace && port.grows < 0) {
      size_t bytes = byteSize(port.type);
      for (int64_t dim : empty.dims)
        bytes *= static_cast<size_t>(dim);
      empty.data = zeros.emplace_back(bytes).data();
    }
    carried.push_back(std::move(empty));
  }
}

Status Runs::takes(uint64_t count) const {
  for (auto port : {std::optional(roles.ids), roles.mask, roles.positions, roles.writes, roles.lengths})
    if (int64_t batch = port ? model->inputs()[*port].dims[0] : -1; batch >= 0 && static_cast<uint64_t>(batch) != count)
      return Status::usage("the model is made for " + std::to_string(batch) + (batch == 1 ? " prompt" : " prompts") +
                           " at once but got " + std::to_string(count) + ": input '" + model->inputs()[*port].name +
                           "' has a fixed batch");
  return {};
}

Status Runs::prepare(const std::vector<uint64_t> &ofPads, const Sampling &sampling, bool guessed, uint64_t room) {
  if (pads != ofPads) {
    pads = ofPads;
    begin();
  }
  // One that draws says only what comes behind the last token, one that does not what is likeliest.
  chooses = roles.next && (roles.sampling ? !guessed : sampling.temperature <= 0);
  if (options.inPlace) // nobody says how long the others become
    KT_RETURN_IF_ERROR(reserve(room));
  device::CallerContext keep;
  return roles.sampling ? tables.setSampling(sampling) : Status();
}

Status Runs::reserve(uint64_t count) {
  const std::vector<PortInfo> &inputs = model->inputs();
  device::CallerContext keep;
  return tables.reserve(count, pads, roles.mask ? inputs[*roles.mask].type : DataType::i64,
                        roles.positions ? inputs[*roles.positions].type : DataType::i64,
                        [&] { return session->wait(); });
}

Status Runs::run(std::span<const int64_t> tokens, uint64_t step) {
  const PortInfo &port = model->inputs()[roles.ids];
  ids.resize(tokens.size() * byteSize(port.type));
  for (size_t i = 0; i < tokens.size(); ++i)
    putNumber(ids.data() + i * byteSize(port.type), port.type, tokens[i]);
  auto rows = static_cast<int64_t>(pads.size()), count = static_cast<int64_t>(tokens.size()) / rows;
  return enqueue(Binding::input(port.name, {"", port.type, {rows, count}, ids.data()}), count, step);
}

Status Runs::readAll(std::span<const int64_t> tokens, uint64_t piece) {
  size_t most = piece ? piece : tokens.size();
  for (size_t at = 0; at < tokens.size(); at += std::min(most, tokens.size() - at))
    KT_RETURN_IF_ERROR(run(tokens.subspan(at, std::min(most, tokens.size() - at)), 0));
  return {};
}

Status Runs::goOn(uint64_t step) {
  return enqueue(Binding::input(model->inputs()[roles.ids].name, session->outputs()[*roles.next]), 1, step);
}

Status Runs::enqueue(const Binding &tokens, int64_t count, uint64_t step) {
  if (cancelled.load())
    return Status::failed("the run was cancelled");
  const std::vector<PortInfo> &inputs = model->inputs(), &outputs = model->outputs();
  auto before = static_cast<int64_t>(held()), rows = static_cast<int64_t>(pads.size());
  KT_RETURN_IF_ERROR(reserve(std::max<uint64_t>(static_cast<uint64_t>(before + count), step) + 1));
  std::vector<Binding> bindings = {tokens};
  auto give = [&](size_t port, std::vector<int64_t> dims, const void *data) {
    bindings.push_back(
        Binding::input(inputs[port].name, {"", inputs[port].type, std::move(dims), data, tables.memory()}));
  };
  if (roles.mask && !padded())
    give(*roles.mask, {rows, before + count}, tables.ones());
  else if (roles.mask) // rows that begin with zeros are other memory for each length
    bindings.push_back(maskOf(inputs[*roles.mask], before + count));
  if (roles.positions && (rows == 1 || count == 1))
    give(*roles.positions, {rows, count}, tables.positionsFrom(static_cast<uint64_t>(before)));
  else if (roles.positions) // of prompts, which are copied themselves
    bindings.push_back(countUp(inputs[*roles.positions], before, count));
  if (roles.writes)
    give(*roles.writes, {rows}, tables.numbersFrom(static_cast<uint64_t>(before)));
  if (roles.lengths)
    give(*roles.lengths, {rows}, tables.numbersFrom(static_cast<uint64_t>(before + count)));
  if (const std::optional<SamplingRoles> &s = roles.sampling) {
    give(s->temperature, {1}, tables.temperature());
    give(s->topK, {1}, tables.topK());
    give(s->topP, {1}, tables.topP());
    give(s->seed, {1}, tables.seed());
    give(s->step, {1}, tables.numbersFrom(step));
  }
  if (chooses) {
    bindings.push_back(Binding::ownedOutput(outputs[*roles.next].name, tables.memory()));
    bindings.back().copied = true;
  } else {
    bindings.push_back(Binding::ownedOutput(outputs[roles.logits].name, Memory::host));
  }
  if (!options.inPlace)
    for (size_t i = 0; i < roles.states.size(); ++i) {
      bindings.push_back(Binding::input(inputs[roles.states[i].first].name, carried[i]));
      bindings.push_back(Binding::ownedOutput(outputs[roles.states[i].second].name, tables.memory()));
    }
  KT_RETURN_IF_ERROR(session->enqueue(bindings));
  said = {};
  size_t port = chooses ? *roles.next : roles.logits;
  if (chooses) {
    std::unique_ptr<Event> &end = ends[other];
    auto done = session->record(std::move(end));
    if (!done.ok())
      return std::move(done).status();
    end = *std::move(done);
    other = !other;
    said.done = end.get();
    said.tokens = session->copyOf(port);
  } else {
    KT_RETURN_IF_ERROR(session->wait());
  }
  const TensorView &made = session->outputs()[port];
  said.rows = 1;
  for (size_t d = 0; d + (chooses ? 0 : 1) < made.dims.size(); ++d)
    said.rows *= static_cast<size_t>(made.dims[d]);
  said.rows /= pads.size();
  if (said.rows == 0)
    return Status::failed("output '" + made.name + "' is empty");
  if (!options.inPlace)
    for (size_t i = 0; i < roles.states.size(); ++i)
      carried[i] = session->outputs()[roles.states[i].second];
  length += static_cast<uint64_t>(count);
  return {};
}

bool Runs::padded() const {
  return std::any_of(pads.begin(), pads.end(), [](uint64_t n) { return n > 0; });
}

/// A zero for each pad, ones behind them: so many together for each stream.
Binding Runs::maskOf(const PortInfo &port, int64_t count) {
  auto rows = static_cast<int64_t>(pads.size());
  hidden.resize(static_cast<size_t>(rows * count) * byteSize(port.type));
  for (int64_t i = 0; i < rows * count; ++i)
    putNumber(hidden.data() + static_cast<size_t>(i) * byteSize(port.type), port.type,
              static_cast<uint64_t>(i % count) >= pads[static_cast<size_t>(i / count)]);
  return Binding::input(port.name, {"", port.type, {rows, count}, hidden.data()});
}

/// The positions of `count` tokens of each stream behind `before` of them.
Binding Runs::countUp(const PortInfo &port, int64_t before, int64_t count) {
  auto rows = static_cast<int64_t>(pads.size());
  places.resize(static_cast<size_t>(rows * count) * byteSize(port.type));
  for (int64_t i = 0; i < rows * count; ++i)
    putNumber(places.data() + static_cast<size_t>(i) * byteSize(port.type), port.type,
              std::max<int64_t>(0, before + i % count - static_cast<int64_t>(pads[static_cast<size_t>(i / count)])));
  return Binding::input(port.name, {"", port.type, {rows, count}, places.data()});
}

Result<int64_t> Runs::token(const Said &of, size_t stream, size_t row, Sampler &sampler) {
  row += stream * of.rows;
  if (!of.tokens) {
    const TensorView &logits = session->outputs()[roles.logits];
    auto width = static_cast<size_t>(logits.dims.back());
    return sampler.next(logits.type, static_cast<const char *>(logits.data) + row * width * byteSize(logits.type),
                        width);
  }
  if (Status status = of.done->wait(); !status.ok()) {
    Status said = session->wait(); // says which index it was
    return said.ok() ? status : said;
  }
  int64_t token = 0;
  if (model->outputs()[*roles.next].type == DataType::i64) {
    std::memcpy(&token, static_cast<const int64_t *>(of.tokens) + row, sizeof(token));
  } else {
    int32_t narrow = 0;
    std::memcpy(&narrow, static_cast<const int32_t *>(of.tokens) + row, sizeof(narrow));
    token = narrow;
  }
  if (token < 0)
    return noNumber();
  return token;
}

Result<std::vector<float>> Runs::lastLogits(const Said &of) const {
  const TensorView &logits = session->outputs()[roles.logits];
  auto width = static_cast<size_t>(logits.dims.back());
  std::vector<float> values;
  KT_RETURN_IF_ERROR(widen(logits.type,
                           static_cast<const char *>(logits.data) + (of.rows - 1) * width * byteSize(logits.type),
                           width, values));
  return values;
}

Status Runs::forget(uint64_t behind) {
  if (options.inPlace) {
    KT_RETURN_IF_ERROR(session->truncate(behind));
    length = behind;
  } else if (behind != length) {
    begin();
  }
  return {};
}

bool Runs::goesBack() const {
  return std::none_of(roles.states.begin(), roles.states.end(), [&](auto &state) {
    const PortInfo &port = model->inputs()[state.first];
    if (port.grows >= 0)
      return false;
    // With fewer places than there may be tokens it is a ring, in which new ones lie where old ones were.
    int64_t places = port.written < 0 ? 0 : port.dims[static_cast<size_t>(port.written)];
    return places >= 0 && static_cast<uint64_t>(places) < options.capacity;
  });
}

bool Runs::onlyGrows() const {
  return std::none_of(roles.states.begin(), roles.states.end(),
                      [&](auto &state) { return model->inputs()[state.first].grows < 0; });
}

} // namespace kt::generate
