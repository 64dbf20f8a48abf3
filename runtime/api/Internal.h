//===- Internal.h - what is behind the handles of the API -----------------===//
//
// Names for ports and owners for sessions; the work is the executor's.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_API_INTERNAL_H
#define KT_RUNTIME_API_INTERNAL_H

#include "kt/Runtime.h"
#include "runtime/api/Guard.h"
#include "runtime/exec/Executor.h"

#include <unordered_map>

namespace kt {

struct Model::Impl {
  std::unique_ptr<exec::Program> program;
  std::vector<PortInfo> inputs, outputs;
  std::unordered_map<std::string, size_t> inputIndex, outputIndex;
};

struct StatePool::Impl {
  std::shared_ptr<Model> model; // declared first: the pages go before the program that they are for
  std::shared_ptr<exec::PagePool> pages;
};

struct Session::Impl {
  /// Forgets the run before.
  void begin();
  Status takeInput(const TensorView &tensor);
  Status takeOutput(const Binding &binding);
  /// Whether each input has been taken.
  Status expectInputs() const;
  /// What the executor has made, under the names of ports.
  void showOutputs();

  std::shared_ptr<Model> model; // declared first: the executor goes before the program it runs
  std::shared_ptr<StatePool> pool;
  std::unique_ptr<exec::Executor> executor;
  std::vector<exec::InputView> views;
  std::vector<exec::OutputRequest> requests;
  std::vector<TensorView> outputs;
  bool valid = false;
};

} // namespace kt

#endif
