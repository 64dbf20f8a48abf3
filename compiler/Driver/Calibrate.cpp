//===- Calibrate.cpp - runs of a model on sample inputs -------------------===//

#include "compiler/Driver/Calibrate.h"
#include "runtime/npz/Npz.h"
#include "runtime/text/Grammar.h"
#include <algorithm>
#include <cstring>
#include <string_view>

using namespace kt;

namespace {

Status runOn(const Model &model, Session &session, const std::string &sample) {
  Result<std::vector<npz::Array>> arrays = npz::readNpz(sample.substr(1));
  if (!arrays.ok())
    return std::move(arrays).status();
  std::vector<TensorView> views;
  for (npz::Array &array : *arrays) {
    auto port = std::find_if(model.inputs().begin(), model.inputs().end(),
                             [&](const PortInfo &p) { return p.name == array.name; });
    if (port == model.inputs().end())
      return Status::usage("no input is called '" + array.name + "'");
    if (!npz::matches(array.descr, port->type))
      return Status::usage("input '" + array.name + "': expected " + name(port->type) + " but got " +
                           npz::describe(array));
    npz::normalise(array, port->type);
    views.push_back({array.name, port->type, array.dims, array.data.data()});
  }
  return session.run(views);
}

/// Adds what a run has measured.
void addOutputs(const Session &session, InputMoments &moments) {
  std::string_view prefix = kMomentsOutput;
  for (const TensorView &output : session.outputs()) {
    int64_t number = 0;
    if (!output.name.starts_with(prefix) || !parseNumber(output.name.substr(prefix.size()), number))
      continue;
    std::vector<float> &sums = moments[(unsigned)number];
    sums.resize(output.bytes() / sizeof(float));
    for (size_t i = 0; i < sums.size(); ++i) {
      float sum;
      memcpy(&sum, (const char *)output.data + i * sizeof sum, sizeof sum);
      sums[i] += sum;
    }
  }
}

} // namespace

Result<InputMoments> kt::measureMoments(const std::string &artifact, const std::vector<std::string> &samples,
                                        unsigned threads) {
  Options options;
  options.device = "host";
  options.threads = threads;
  Result<std::shared_ptr<Model>> model = Model::load(artifact, options);
  if (!model.ok())
    return std::move(model).status();
  Result<std::unique_ptr<Session>> session = (*model)->createSession();
  if (!session.ok())
    return std::move(session).status();
  InputMoments moments;
  for (const std::string &sample : samples) {
    if (Status s = runOn(**model, **session, sample); !s.ok())
      return std::move(s).in("'" + sample.substr(1) + "'");
    addOutputs(**session, moments);
  }
  return moments;
}
