//===- CApi.cpp - the C ABI -----------------------------------------------===//
//
// A thin skin over the C++ API.
//
//===----------------------------------------------------------------------===//

#include "kt/Runtime.h"
#include "kt/c_api.h"

#ifndef KT_VERSION
#error "KT_VERSION comes from the build"
#endif

static_assert(static_cast<int>(kt::DataType::string) == KT_STRING &&
              static_cast<int>(kt::DataType::boolean) == KT_BOOL &&
              static_cast<int>(kt::DataType::f8e8m0) == KT_F8E8M0);

struct kt_model {
  std::shared_ptr<kt::Model> model;
  std::string device;
};

struct kt_session {
  std::unique_ptr<kt::Session> session;
  std::vector<kt::TensorView> inputs; // keeps its memory between runs
};

namespace {

thread_local std::string lastError;

int report(const kt::Status &status) {
  lastError = status.message();
  return status.exitStatus();
}

void describe(const std::string &name, kt::DataType type, const std::vector<int64_t> &dims, const void *data,
              kt_tensor *to) {
  *to = {name.c_str(), static_cast<kt_type>(type), static_cast<uint32_t>(dims.size()), dims.data(), data};
}

int port(const std::vector<kt::PortInfo> &ports, uint32_t index, kt_tensor *to) {
  if (index >= ports.size())
    return report(
        kt::Status::usage("port " + std::to_string(index) + " but there are " + std::to_string(ports.size())));
  describe(ports[index].name, ports[index].type, ports[index].dims, nullptr, to);
  return KT_OK;
}

} // namespace

const char *kt_last_error(void) { return lastError.c_str(); }
const char *kt_version(void) { return KT_VERSION; }

int kt_model_load(const char *path, const kt_options *options, kt_model **model) {
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
    return report(loaded.status());
  *model = new kt_model{*loaded, (*loaded)->device()};
  return KT_OK;
}

void kt_model_free(kt_model *model) { delete model; }

uint32_t kt_model_input_count(const kt_model *model) { return static_cast<uint32_t>(model->model->inputs().size()); }
uint32_t kt_model_output_count(const kt_model *model) { return static_cast<uint32_t>(model->model->outputs().size()); }
int kt_model_input(const kt_model *model, uint32_t index, kt_tensor *to) {
  return port(model->model->inputs(), index, to);
}
int kt_model_output(const kt_model *model, uint32_t index, kt_tensor *to) {
  return port(model->model->outputs(), index, to);
}
const char *kt_model_device(const kt_model *model) { return model->device.c_str(); }

int kt_session_create(kt_model *model, kt_session **session) {
  auto created = model->model->createSession();
  if (!created.ok())
    return report(created.status());
  *session = new kt_session{*std::move(created), {}};
  return KT_OK;
}

void kt_session_free(kt_session *session) { delete session; }

int kt_session_run(kt_session *session, const kt_tensor *inputs, uint32_t count) {
  session->inputs.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    kt::TensorView &view = session->inputs[i];
    if (!inputs[i].name || (inputs[i].rank && !inputs[i].dims) || static_cast<unsigned>(inputs[i].type) > KT_STRING)
      return report(kt::Status::usage("input " + std::to_string(i) + " has no name, no dimensions or an unknown type"));
    view.name = inputs[i].name;
    view.type = static_cast<kt::DataType>(inputs[i].type);
    view.dims.assign(inputs[i].dims, inputs[i].dims + inputs[i].rank);
    view.data = inputs[i].data;
  }
  kt::Status status = session->session->run(session->inputs);
  return status.ok() ? KT_OK : report(status);
}

int kt_session_output(const kt_session *session, uint32_t index, kt_tensor *output) {
  auto outputs = session->session->outputs();
  if (index >= outputs.size())
    return report(
        kt::Status::usage("output " + std::to_string(index) + " but there are " + std::to_string(outputs.size())));
  describe(outputs[index].name, outputs[index].type, outputs[index].dims, outputs[index].data, output);
  return KT_OK;
}
