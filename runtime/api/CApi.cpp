//===- CApi.cpp - the C ABI -----------------------------------------------===//
//
// A thin skin over the C++ API.
//
//===----------------------------------------------------------------------===//

#include "runtime/api/CInternal.h"

#ifndef KT_VERSION
#error "KT_VERSION comes from the build"
#endif

static_assert(static_cast<int>(kt::DataType::string) == KT_STRING &&
              static_cast<int>(kt::DataType::boolean) == KT_BOOL &&
              static_cast<int>(kt::DataType::f8e8m0) == KT_F8E8M0 &&
              static_cast<int>(kt::Memory::device) == KT_DEVICE &&
              static_cast<int>(kt::Binding::Port::output) == KT_OUTPUT);

/// More than any tensor has.
constexpr uint32_t kMaxRank = 64;

struct kt_session {
  std::shared_ptr<kt::Model> model;
  std::unique_ptr<kt::Session> session;
  // Keep their memory between runs.
  std::vector<kt::TensorView> inputs;
  std::vector<kt::Binding> bindings;
};

struct kt_event {
  std::unique_ptr<kt::Event> event;
};

static thread_local std::string lastError;

int kt::c::report(const Status &status) noexcept {
  try {
    lastError = status.message();
  } catch (...) {
    lastError = "out of memory";
  }
  return status.exitStatus();
}

namespace {

using kt::c::call;
using kt::c::missing;

void describe(const std::string &name, kt::DataType type, const std::vector<int64_t> &dims, const void *data,
              kt_tensor *to) {
  *to = {name.c_str(), static_cast<kt_type>(type), static_cast<uint32_t>(dims.size()), dims.data(), data};
}

int port(const kt_model *model, bool input, uint32_t index, kt_tensor *to) {
  return call([&]() -> kt::Status {
    if (!model || !to)
      return missing(model ? "the port" : "the model");
    const auto &ports = input ? model->model->inputs() : model->model->outputs();
    if (index >= ports.size())
      return kt::Status::usage("port " + std::to_string(index) + " but there are " + std::to_string(ports.size()));
    describe(ports[index].name, ports[index].type, ports[index].dims, nullptr, to);
    return {};
  });
}

/// What a caller says of an input, looked at no further than it has to be there: a rank that the model's input does not
/// have is not believed.
kt::Status take(const kt_session &session, const kt_tensor &from, uint32_t number, kt::TensorView &to) {
  std::string what = "input " + std::to_string(number);
  if (!from.name)
    return missing(what + "'s name");
  if (static_cast<unsigned>(from.type) > KT_STRING)
    return kt::Status::usage(what + " has the unknown type " + std::to_string(static_cast<unsigned>(from.type)));
  to.name = from.name;
  for (const kt::PortInfo &port : session.model->inputs())
    if (port.name == to.name && port.dims.size() != from.rank)
      return kt::Status::usage(what + " ('" + to.name + "') has rank " + std::to_string(from.rank) + ", expected " +
                               std::to_string(port.dims.size()));
  if (from.rank > kMaxRank) // of a name that is no input's
    return kt::Status::usage(what + " has rank " + std::to_string(from.rank) + ", expected at most " +
                             std::to_string(kMaxRank));
  if (from.rank && !from.dims)
    return missing(what + "'s dimensions");
  to.type = static_cast<kt::DataType>(from.type);
  to.dims.assign(from.dims, from.dims + from.rank);
  to.data = from.data;
  to.memory = kt::Memory::host;
  return {};
}

/// The same of a binding.
kt::Status take(const kt_session &session, const kt_binding &from, uint32_t number, kt::Binding &to) {
  std::string what = "binding " + std::to_string(number);
  if (static_cast<unsigned>(from.port) > KT_OUTPUT)
    return kt::Status::usage(what + " is of the unknown port " + std::to_string(static_cast<unsigned>(from.port)));
  if (static_cast<unsigned>(from.memory) > KT_DEVICE)
    return kt::Status::usage(what + " is in the unknown memory " + std::to_string(static_cast<unsigned>(from.memory)));
  to.port = static_cast<kt::Binding::Port>(from.port);
  to.capacity = from.capacity;
  to.owned = from.owned != 0;
  if (from.port == KT_INPUT) {
    KT_RETURN_IF_ERROR(take(session, from.tensor, number, to.tensor));
  } else {
    if (!from.tensor.name)
      return missing(what + "'s name");
    to.tensor.name = from.tensor.name;
    to.tensor.dims.clear();
    to.tensor.data = from.tensor.data;
  }
  to.tensor.memory = static_cast<kt::Memory>(from.memory);
  return {};
}

/// Output `index` of the latest run, where there is one.
kt::Result<const kt::TensorView *> output(const kt_session *session, uint32_t index, const void *to) {
  if (!session || !to)
    return missing(session ? "the output" : "the session");
  auto outputs = session->session->outputs();
  if (index >= outputs.size())
    return kt::Status::usage("output " + std::to_string(index) + " but there are " + std::to_string(outputs.size()));
  return &outputs[index];
}

} // namespace

const char *kt_last_error(void) { return lastError.c_str(); }
const char *kt_version(void) { return KT_VERSION; }

int kt_model_load(const char *path, const kt_options *options, kt_model **model) {
  return call([&]() -> kt::Status {
    if (!path || !model)
      return missing(path ? "where the model goes" : "the path");
    *model = nullptr;
    kt::Options o;
    if (options) {
      if (options->device)
        o.device = options->device;
      o.threads = options->threads;
      o.deviceMemory = options->device_memory;
      o.cudaGraphs = !options->no_graphs;
    }
    auto loaded = kt::Model::load(path, o);
    if (!loaded.ok())
      return std::move(loaded).status();
    *model = new kt_model{*loaded, (*loaded)->device()};
    return {};
  });
}

void kt_model_free(kt_model *model) { delete model; }

uint32_t kt_model_input_count(const kt_model *model) {
  return model ? static_cast<uint32_t>(model->model->inputs().size()) : 0;
}
uint32_t kt_model_output_count(const kt_model *model) {
  return model ? static_cast<uint32_t>(model->model->outputs().size()) : 0;
}
int kt_model_input(const kt_model *model, uint32_t index, kt_tensor *to) { return port(model, true, index, to); }
int kt_model_output(const kt_model *model, uint32_t index, kt_tensor *to) { return port(model, false, index, to); }
const char *kt_model_device(const kt_model *model) { return model ? model->device.c_str() : ""; }

int kt_model_output_state(const kt_model *model, uint32_t index, kt_state *state) {
  return call([&]() -> kt::Status {
    if (!model || !state)
      return missing(model ? "the state" : "the model");
    const std::vector<kt::PortInfo> &inputs = model->model->inputs(), &outputs = model->model->outputs();
    if (index >= outputs.size())
      return kt::Status::usage("port " + std::to_string(index) + " but there are " + std::to_string(outputs.size()));
    const kt::PortInfo &output = outputs[index];
    *state = {-1, static_cast<int32_t>(output.grows), static_cast<int32_t>(output.written)};
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!output.tied.empty() && inputs[i].name == output.tied)
        state->input = static_cast<int32_t>(i);
    return {};
  });
}

int kt_session_create(kt_model *model, kt_session **session) { return kt_session_create_with_state(model, 0, session); }

static int createSession(kt_model *model, const kt::SessionOptions &options, kt_session **session) {
  return call([&]() -> kt::Status {
    if (!model || !session)
      return missing(model ? "where the session goes" : "the model");
    *session = nullptr;
    auto created = model->model->createSession(options);
    if (!created.ok())
      return std::move(created).status();
    *session = new kt_session{model->model, *std::move(created), {}, {}};
    return {};
  });
}

int kt_session_create_with_state(kt_model *model, uint64_t capacity, kt_session **session) {
  return createSession(model, {.capacity = capacity}, session);
}

int kt_session_create_in_pool(kt_model *model, kt_pool *pool, uint64_t capacity, kt_session **session) {
  if (!pool)
    return call([] { return missing("the pool"); });
  return createSession(model, {.capacity = capacity, .pool = pool->pool}, session);
}

int kt_pool_create(kt_model *model, uint64_t pages, kt_pool **pool) {
  return call([&]() -> kt::Status {
    if (!model || !pool)
      return missing(model ? "where the pool goes" : "the model");
    *pool = nullptr;
    auto created = kt::StatePool::create(model->model, pages);
    if (!created.ok())
      return std::move(created).status();
    *pool = new kt_pool{*std::move(created)};
    return {};
  });
}

void kt_pool_free(kt_pool *pool) { delete pool; }
uint64_t kt_pool_pages(const kt_pool *pool) { return pool ? pool->pool->pages() : 0; }
uint64_t kt_pool_unused(const kt_pool *pool) { return pool ? pool->pool->unused() : 0; }
uint64_t kt_pool_bytes(const kt_pool *pool) { return pool ? pool->pool->bytes() : 0; }
uint64_t kt_pool_page_rows(void) { return kt::StatePool::rowsOfPage(); }

void kt_session_free(kt_session *session) { delete session; }

uint64_t kt_session_held(const kt_session *session) { return session ? session->session->held() : 0; }
uint64_t kt_session_capacity(const kt_session *session) { return session ? session->session->capacity() : 0; }
int kt_session_reset(kt_session *session) { return kt_session_truncate(session, 0); }

int kt_session_truncate(kt_session *session, uint64_t length) {
  return call([&]() -> kt::Status { return session ? session->session->truncate(length) : missing("the session"); });
}

int kt_session_fork(kt_session *session, kt_session **fork) {
  return call([&]() -> kt::Status {
    if (!session || !fork)
      return missing(session ? "where the fork goes" : "the session");
    *fork = nullptr;
    auto forked = session->session->fork();
    if (!forked.ok())
      return std::move(forked).status();
    *fork = new kt_session{session->model, *std::move(forked), {}, {}};
    return {};
  });
}

int kt_session_run(kt_session *session, const kt_tensor *inputs, uint32_t count) {
  return call([&]() -> kt::Status {
    if (!session || (!inputs && count))
      return missing(session ? "the list of inputs" : "the session");
    if (size_t expected = session->model->inputs().size(); count > expected)
      return kt::Status::usage("expected " + std::to_string(expected) + " inputs but got " + std::to_string(count));
    session->inputs.resize(count);
    for (uint32_t i = 0; i < count; ++i)
      KT_RETURN_IF_ERROR(take(*session, inputs[i], i, session->inputs[i]));
    return session->session->run(session->inputs);
  });
}

void kt_session_cancel(kt_session *session) {
  if (session)
    session->session->cancel();
}

int kt_session_check_numerics(kt_session *session, kt_numerics mode) {
  return call([&]() -> kt::Status {
    if (!session)
      return missing("the session");
    if (static_cast<unsigned>(mode) > KT_NUMERICS_ALL)
      return kt::Status::usage("there is no kt_numerics " + std::to_string(static_cast<unsigned>(mode)));
    return session->session->checkNumerics(static_cast<kt::CheckNumerics>(mode));
  });
}

const char *kt_session_numerics_warning(const kt_session *session, uint32_t index) {
  if (!session)
    return "";
  const std::vector<std::string> &warnings = session->session->numericsWarnings();
  return index < warnings.size() ? warnings[index].c_str() : "";
}

int kt_session_enqueue(kt_session *session, const kt_binding *bindings, uint32_t count, void *stream) {
  return call([&]() -> kt::Status {
    if (!session || (!bindings && count))
      return missing(session ? "the list of bindings" : "the session");
    if (size_t most = session->model->inputs().size() + session->model->outputs().size(); count > most)
      return kt::Status::usage("expected at most " + std::to_string(most) + " bindings but got " +
                               std::to_string(count));
    session->bindings.resize(count);
    for (uint32_t i = 0; i < count; ++i)
      KT_RETURN_IF_ERROR(take(*session, bindings[i], i, session->bindings[i]));
    return session->session->enqueue(session->bindings, stream);
  });
}

int kt_session_wait(kt_session *session) {
  return call([&]() -> kt::Status { return session ? session->session->wait() : missing("the session"); });
}

int kt_session_record(kt_session *session, kt_event **event) {
  return call([&]() -> kt::Status {
    if (!session || !event)
      return missing(session ? "where the event goes" : "the session");
    *event = nullptr;
    auto recorded = session->session->record();
    if (!recorded.ok())
      return std::move(recorded).status();
    *event = new kt_event{*std::move(recorded)};
    return {};
  });
}

int kt_event_wait(kt_event *event) {
  return call([&]() -> kt::Status { return event ? event->event->wait() : missing("the event"); });
}

int kt_event_delay(kt_event *event, void *stream) {
  return call([&]() -> kt::Status { return event ? event->event->delay(stream) : missing("the event"); });
}

void kt_event_free(kt_event *event) { delete event; }

int kt_session_output(const kt_session *session, uint32_t index, kt_tensor *to) {
  return call([&]() -> kt::Status {
    auto found = output(session, index, to);
    if (!found.ok())
      return std::move(found).status();
    describe((*found)->name, (*found)->type, (*found)->dims, (*found)->data, to);
    return {};
  });
}

int kt_session_output_binding(const kt_session *session, uint32_t index, kt_binding *to) {
  return call([&]() -> kt::Status {
    auto found = output(session, index, to);
    if (!found.ok())
      return std::move(found).status();
    *to = {KT_INPUT, static_cast<kt_memory>((*found)->memory), {}, (*found)->bytes(), 0};
    describe((*found)->name, (*found)->type, (*found)->dims, (*found)->data, &to->tensor);
    return {};
  });
}
