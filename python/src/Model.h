//===- Model.h - models of Python -----------------------------------------===//

#ifndef KT_PYTHON_MODEL_H
#define KT_PYTHON_MODEL_H

#include "python/src/Session.h"

namespace kt::python {

/// What Model.inputs and Model.outputs hold.
struct TensorInfo {
  std::shared_ptr<Ports> ports; // what `port` belongs to
  Port *port;

  nb::tuple shape() const;
  std::string repr() const;
};

class PyModel {
public:
  PyModel(const std::string &path, const Options &options);

  nb::tuple inputs();
  nb::tuple outputs();
  std::string device() const { return model->device(); }
  /// In a session of the model's own, which the first run makes.
  nb::dict run(nb::handle inputs, const RunOptions &options);
  void cancelRun(uint64_t ticket);
  std::unique_ptr<PySession> session(const SessionOptions &options);
  const std::shared_ptr<kt::Model> &get() const { return model; }
  std::string repr();

private:
  std::string path;
  std::shared_ptr<kt::Model> model;
  std::shared_ptr<Ports> ports;
  std::mutex mutex; // for `own`, waited for without the GIL as PySession's
  std::shared_ptr<PySession> own;
};

} // namespace kt::python

#endif
