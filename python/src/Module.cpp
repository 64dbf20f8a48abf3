//===- Module.cpp - what Python sees of the runtime -----------------------===//
//
// The module `ktransformers._runtime`: signatures and documentation. What they do is in the other files.
//
//===----------------------------------------------------------------------===//

#include "python/src/Errors.h"
#include "python/src/Model.h"
#include "python/src/TokenGenerator.h"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

namespace kt::python {

namespace {
using namespace nb::literals;

constexpr const char *kRunSignature =
    "def run(self, inputs: collections.abc.Mapping[str, numpy.typing.ArrayLike], outputs: "
    "collections.abc.Mapping[str, typing.Any] | None = None, *, device_outputs: bool = False, stream: typing.Any = "
    "None) -> dict[str, typing.Any]";

/// A CUstream as its number, or an object that has one: torch's, cupy's, and what has `__cuda_stream__`.
uintptr_t streamOf(nb::handle value) {
  if (!value.is_valid() || value.is_none())
    return 0;
  nb::object number = nb::borrow(value);
  if (nb::hasattr(value, "__cuda_stream__"))
    number = value.attr("__cuda_stream__")()[1];
  else if (nb::hasattr(value, "cuda_stream"))
    number = value.attr("cuda_stream");
  else if (nb::hasattr(value, "ptr"))
    number = value.attr("ptr");
  if (!PyLong_Check(number.ptr()))
    throw nb::type_error("expected a CUDA stream or its number");
  auto stream = nb::cast<uintptr_t>(number);
  return stream ? stream : kLegacyStream; // 0 is the default stream
}

template <typename T>
nb::dict runFor(T &self, nb::handle inputs, nb::handle outputs, bool deviceOutputs, nb::handle stream) {
  return self.run(inputs, {outputs, deviceOutputs, streamOf(stream)});
}

constexpr const char *kSubmitSignature =
    "def submit(self, inputs: collections.abc.Mapping[str, numpy.typing.ArrayLike], outputs: "
    "collections.abc.Mapping[str, typing.Any] | None = None, *, device_outputs: bool = False, stream: typing.Any = "
    "None) -> concurrent.futures.Future[dict[str, typing.Any]]";
constexpr const char *kAsyncSignature =
    "def run_async(self, inputs: collections.abc.Mapping[str, numpy.typing.ArrayLike], outputs: "
    "collections.abc.Mapping[str, typing.Any] | None = None, *, device_outputs: bool = False, stream: typing.Any = "
    "None) -> collections.abc.Coroutine[typing.Any, typing.Any, dict[str, typing.Any]]";

/// What a function of ktransformers/_futures.py answers.
template <const char *const &Function>
nb::object inFuture(nb::handle self, nb::handle inputs, nb::handle outputs, bool deviceOutputs, nb::handle stream) {
  return nb::module_::import_("ktransformers._futures").attr(Function)(self, inputs, outputs, deviceOutputs, stream);
}
constexpr const char *kSubmit = "submit", *kRunAsync = "run_async";

/// Runs that another thread does. `_run` and `_cancel_run` are for ktransformers/_futures.py alone.
template <typename T> void bindFutures(nb::class_<T> &c) {
  c.def(
       "_run",
       [](T &self, nb::handle inputs, nb::handle outputs, bool deviceOutputs, nb::handle stream, uint64_t ticket) {
         return self.run(inputs, {outputs, deviceOutputs, streamOf(stream), ticket});
       },
       "inputs"_a, "outputs"_a.none(), "device_outputs"_a, "stream"_a.none(), "ticket"_a)
      .def("_cancel_run", &T::cancelRun, "ticket"_a)
      .def("submit", &inFuture<kSubmit>, "inputs"_a, "outputs"_a.none() = nb::none(), nb::kw_only(),
           "device_outputs"_a = false, "stream"_a.none() = nb::none(), nb::sig(kSubmitSignature),
           "Runs as `run` does in a thread of its own and answers a concurrent.futures.Future of what it returns. Runs "
           "of\none session follow one another as they were asked for. The arrays must stay as they are until the "
           "future is done.\n\n"
           "Future.cancel takes back a run that has not begun; `cancel` of the session ends one that is under way.")
      .def("run_async", &inFuture<kRunAsync>, "inputs"_a, "outputs"_a.none() = nb::none(), nb::kw_only(),
           "device_outputs"_a = false, "stream"_a.none() = nb::none(), nb::sig(kAsyncSignature),
           "The same as a coroutine: `await model.run_async(...)`. Where the task is cancelled, a run that has not "
           "begun never\ndoes, and one that is under way ends before the next instruction of its program, on a GPU "
           "with what the device has been\ngiven; the task ends when the run has, so its arrays are nobody's then.");
}

void bindTensorInfo(nb::module_ &m) {
  nb::class_<TensorInfo>(m, "TensorInfo", "What a model says about an input or output. Immutable and thread-safe.")
      .def_prop_ro(
          "name", [](const TensorInfo &info) { return info.port->info.name; }, "Its name, as run takes and gives it.")
      .def_prop_ro(
          "dtype", [](const TensorInfo &info) { return nb::borrow(info.port->numpyType()); },
          nb::sig("def dtype(self) -> numpy.dtype"),
          "The element type. Types that numpy lacks, such as bfloat16 and float8_e4m3fn, are ml_dtypes'; UsageError\n"
          "where that package is not installed.")
      .def_prop_ro("shape", &TensorInfo::shape, nb::sig("def shape(self) -> tuple[int | str, ...]"),
                   "The dimensions: an int where it is constant, else a str, a name such as \"batch\" that has one "
                   "size in\nthe whole model, or an expression of such names, \"past + seq\". () is a scalar.")
      .def_prop_ro(
          "tied",
          [](const TensorInfo &info) -> std::optional<std::string> {
            if (info.port->info.tied.empty())
              return std::nullopt;
            return info.port->info.tied;
          },
          "Of an output that is one of the inputs with more behind it, as caches are, or its next state: that "
          "input's\nname; of this input the output's. Else None. A session with a capacity keeps such pairs itself.")
      .def("__repr__", &TensorInfo::repr);
}

void bindStatePool(nb::module_ &m) {
  nb::class_<StatePool>(m, "StatePool",
                        "Memory for the states that grow, such as caches, of several sessions of one model: pages of\n"
                        "rows_of_page elements along the dimension that grows, each for one element of the batch and "
                        "all such\nstates. Sessions take pages as they grow and give them back when they are "
                        "truncated, reset or gone, so that\nmemory is for what is held. Keeps the model alive. "
                        "Thread-safe.")
      .def(nb::new_([](PyModel &model, uint64_t pages) {
             auto made = [&] {
               nb::gil_scoped_release released;
               return StatePool::create(model.get(), pages);
             }();
             return take(std::move(made));
           }),
           "model"_a, "pages"_a,
           "Allocates that many pages on the model's device. UsageError for a model without a state that grows, and "
           "for\none with a state that cannot lie in pages.")
      .def_prop_ro("pages", &StatePool::pages, "All pages.")
      .def_prop_ro("unused", &StatePool::unused, "Pages that no session holds.")
      .def_prop_ro("bytes", &StatePool::bytes, "Bytes of all pages.")
      .def_prop_ro_static(
          "rows_of_page", [](nb::handle) { return StatePool::rowsOfPage(); },
          "Elements of a page along the dimension that grows.")
      .def("__repr__", [](const StatePool &pool) {
        return "<ktransformers.StatePool: " + std::to_string(pool.unused()) + " of " + std::to_string(pool.pages()) +
               " pages unused>";
      });
}

/// What Session.state is: the session under the names of its state.
struct State {
  nb::object session; // keeps it alive

  PySession &get() const { return nb::cast<PySession &>(session); }
};

void bindState(nb::module_ &m) {
  nb::class_<State>(m, "State",
                    "What a session with a capacity keeps from run to run, such as caches, where it is computed; "
                    "Session.state. It is\nthe session's: what one changes, the other has. Thread-safe.")
      .def_prop_ro(
          "held", [](State &state) { return state.get().held(); },
          "Elements along the dimension that grows. Waits for a run under way.")
      .def_prop_ro(
          "capacity", [](State &state) { return state.get().capacity(); }, "What there is room for.")
      .def(
          "truncate", [](State &state, uint64_t length) { state.get().truncate(length); }, "length"_a,
          "Forgets all but the first `length` elements. UsageError where less is held, and for a length between where "
          "runs\nreplace a part of the state.")
      .def(
          "reset", [](State &state) { state.get().truncate(0); },
          "Forgets everything; the next run may then have another batch.")
      .def(
          "fork", [](State &state) { return state.get().fork(); },
          "A session that goes on from a copy of this state. UsageError where its pool has no page for what is not "
          "shared.")
      .def("__repr__", [](State &state) {
        return "<ktransformers.State: " + std::to_string(state.get().held()) + " of " +
               std::to_string(state.get().capacity()) + ">";
      });
}

void bindSession(nb::module_ &m) {
  nb::class_<PySession> session(
      m, "Session", nb::is_weak_referenceable(),
      "Runs of a model one after the other, with memory of their own; Model.session makes one. It "
      "keeps its model\nalive. Sessions run side by side; threads that share one take turns.");
  bindFutures(session);
  session
      .def("run", &runFor<PySession>, "inputs"_a, "outputs"_a.none() = nb::none(), nb::kw_only(),
           "device_outputs"_a = false, "stream"_a.none() = nb::none(), nb::sig(kRunSignature),
           "Runs the model as Model.run does. A session with a capacity neither takes the inputs that it keeps nor "
           "gives\nthe outputs that continue them.")
      .def("_profile", &PySession::profile, "on"_a)
      .def("_profile_events", &PySession::profileEvents, "begin"_a)
      .def("fork", &PySession::fork,
           "A session of its own that goes on from a copy of this one's state; those of a pool share full pages.\n"
           "UsageError for a session without a capacity, and where the pool has no page for the rest.")
      .def("truncate", &PySession::truncate, "length"_a,
           "Forgets all of the state but the first `length` elements along the dimension that grows. UsageError "
           "where less\nis held, and for a length between where runs replace a part of the state.")
      .def(
          "reset", [](PySession &session) { session.truncate(0); },
          "Forgets all of the state; the next run may then have another batch.")
      .def("cancel", &PySession::cancel,
           "Ends the run in progress, or the next one where none is, with FailedError. From any thread; does not "
           "wait.")
      .def_prop_ro("held", &PySession::held,
                   "How much of the state is held: elements along the dimension that grows. 0 without a capacity. "
                   "Waits for a run under way.")
      .def_prop_ro("capacity", &PySession::capacity, "What there is room for; 0 without.")
      .def_prop_ro(
          "state",
          [](nb::handle self) -> std::optional<State> {
            if (!nb::cast<PySession &>(self).capacity())
              return std::nullopt;
            return State{nb::borrow(self)};
          },
          "What the session keeps, a State; None without a capacity.")
      .def("__repr__", &PySession::repr);
}

void bindModel(nb::module_ &m) {
  nb::class_<PyModel> model(
      m, "Model", nb::is_weak_referenceable(),
      "A model that ktc compiled, loaded and ready to run. Immutable; all methods are thread-safe.");
  bindFutures(model);
  model
      // By __new__: an __init__ that is called again would be one of an object that others use.
      .def(
          nb::new_([](const std::filesystem::path &path, const std::string &device,
                      std::optional<uint64_t> deviceMemory, unsigned threads) {
            Options options;
            options.device = device;
            options.deviceMemory = deviceMemory.value_or(0);
            options.threads = threads;
            return std::make_unique<PyModel>(path.string(), options);
          }),
          "path"_a, "device"_a = "auto", "device_memory"_a.none() = nb::none(), "threads"_a = 0,
          "Loads the artifact at `path` (.ktm), verifies it and makes its code ready, without the GIL.\n\n"
          "device: \"auto\" (the GPU when the artifact has code for it and it works, else the host), \"host\", or "
          "\"cuda:N\".\n"
          "device_memory: bytes of device memory for weights; what does not fit is streamed in each run. None: what is "
          "free.\n"
          "threads: of the host's pool, the caller's included; 0: as many as the process may use.\n\n"
          "RejectedError for an artifact that is damaged, hostile or of another version, FailedError for a file that "
          "cannot\nbe read and for a machine that cannot run it, UsageError for a device that has no such name. The "
          "file should stay\nas it is while the model lives.")
      .def_prop_ro("inputs", &PyModel::inputs, nb::sig("def inputs(self) -> tuple[TensorInfo, ...]"),
                   "What the model takes, in its order.")
      .def_prop_ro("outputs", &PyModel::outputs, nb::sig("def outputs(self) -> tuple[TensorInfo, ...]"),
                   "What it gives, in its order.")
      .def_prop_ro("device", &PyModel::device, "The device as people read it: \"host (AVX-512, 8 threads)\".")
      .def("run", &runFor<PyModel>, "inputs"_a, "outputs"_a.none() = nb::none(), nb::kw_only(),
           "device_outputs"_a = false, "stream"_a.none() = nb::none(), nb::sig(kRunSignature),
           "Runs the model and waits for its outputs.\n\n"
           "inputs: each of the model's inputs once, in any order: whatever numpy sees an array in (the array "
           "interface,\nbuffers, DLPack on the CPU). The dtype has to be the input's and is never converted, but "
           "scalars of Python take\nit where they are of its kind (bool; int; float, rounded). Arrays that are "
           "contiguous in C order are read where they\nare, others are copied. They must not be written to "
           "meanwhile.\n\n"
           "outputs: arrays that outputs are written to, of their dtypes and shapes, in C order and writable; they are "
           "returned\nas they are. On the host the model itself writes there where they begin at a multiple of 64 "
           "bytes, "
           "and the result is\ncopied there otherwise, as it is where an output is an input, and where its array lies "
           "in "
           "an input's memory.\n\n"
           "Returns {name: array} in the model's order. Arrays that are not the caller's are new and keep their "
           "memory; on the\nhost the model writes large ones where they are.\n\n"
           "UsageError, before anything runs, for names that are unknown or missing (all of them are named), dtypes "
           "and\nshapes; FailedError for what goes wrong on the way. The GIL is given up while the model runs. Threads "
           "that call this\nat once take turns; a session each lets them run side by side.")
      .def(
          "session",
          [](PyModel &model, uint64_t capacity, std::shared_ptr<StatePool> pool) {
            return model.session({capacity, std::move(pool)});
          },
          nb::kw_only(), "capacity"_a = 0, "pool"_a.none() = nb::none(),
          "A session of its own.\n\n"
          "capacity: not 0: the session keeps its state, the inputs that outputs continue (TensorInfo.tied), and has "
          "room\nfor so many elements along the dimension that grows, or that a window is written along where no input "
          "says its size.\nIt begins with none, or with zeros of what does not grow; each run adds to it in place. "
          "Such inputs are not given to\nruns, and such outputs not returned. A run that would not fit raises "
          "UsageError and changes nothing. UsageError for a\nmodel without state.\n"
          "pool: where what grows lies, in pages; None: memory for all of the capacity is the session's. A run that "
          "finds too\nfew pages raises UsageError, says how much would fit, and changes nothing. The pool is of the "
          "same model. With a\ncapacity of 0 the session has room for as much as the pool has pages.")
      .def("__repr__", &PyModel::repr);
}
} // namespace

NB_MODULE(_runtime, m) {
  nb::set_leak_warnings(false); // threads that still run when the interpreter ends hold what they run
  importNumpy();
  m.attr("__version__") = KT_VERSION;
  bindTensorInfo(m);
  bindHostMemory(m);
  bindDeviceArray(m);
  bindStatePool(m);
  bindState(m);
  bindSession(m);
  bindModel(m);
  bindTokenGenerator(m);
}

} // namespace kt::python
