//===- State.cpp - what a session keeps from run to run -------------------===//
//
// Inputs that outputs continue, such as the caches of attention. Each pair lies in one piece of memory with room for
// the session's capacity: a run computes what is new behind what is held, and nothing is copied. Where nothing grows,
// the window that a run writes is in place as well; a state that it replaces has two pieces of memory, which take
// turns. What grows may lie in pages instead (Paging.cpp).
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <algorithm>
#include <utility>

namespace kt::exec {

using namespace artifact;

/// Finds what there is to keep. Before the first run.
Status Executor::keepState(uint64_t room) {
  if (room > static_cast<uint64_t>(INT64_MAX))
    return Status::usage("a capacity of " + std::to_string(room) + " is too large");
  keptBy.assign(m.inputs.size(), kNone);
  for (uint32_t i = 0; i < m.outputs.size(); ++i) {
    const Port &port = m.outputs[i];
    if (port.tied == kNone)
      continue;
    keptBy[port.tied] = static_cast<uint32_t>(kept.size());
    auto keep = [&](BufferId root, DType type, const KeptTensor *tensor) -> Status {
      if (root == kNone || !program.info->planned[root])
        return Status::rejected("output '" + escaped(port.name) + "' continues an input but has no memory of its own");
      kept.push_back({port.tied, i, port.axis, grows(m, port), root, type, tensor});
      return {};
    };
    if (port.kept.empty())
      KT_RETURN_IF_ERROR(keep(program.info->outputRoots[i], port.type, nullptr));
    for (const KeptTensor &tensor : port.kept)
      KT_RETURN_IF_ERROR(keep(tensor.buffer, tensor.type, &tensor));
  }
  if (kept.empty())
    return Status::usage("a capacity is given but the model keeps no state: no output of it continues an input");
  capacity = room;
  for (SymbolId s = 0; s < m.symbols.size(); ++s)
    if (m.symbols[s].kind == Symbol::Kind::Capacity)
      newSymbolValues[s] = pages ? kPageRows : static_cast<int64_t>(room);
  homes.assign(m.buffers.size(), nullptr);
  return {};
}

/// The sizes of what is kept, as far as inputs do not say them: `bindSymbol` takes one.
Status Executor::bindKept(const std::function<Status(size_t, SymbolId, int64_t)> &bindSymbol) {
  for (const Kept &k : kept)
    for (size_t d = 0; d < m.inputs[k.input].dims.size(); ++d) {
      const Expr &e = m.exprs[m.inputs[k.input].dims[d]];
      if (e.op != Expr::Op::Symbol)
        continue;
      SymbolId s = static_cast<SymbolId>(e.imm);
      if (d == k.axis && k.grows)
        KT_RETURN_IF_ERROR(bindSymbol(k.input, s, k.held));
      else if (d == k.axis && !symbolSeen[s]) // the room of a cache of fixed size, if no input says it
        KT_RETURN_IF_ERROR(bindSymbol(k.input, s, static_cast<int64_t>(capacity)));
      else if (!symbolSeen[s] && !k.memory)
        return Status::usage("input '" + escaped(m.inputs[k.input].name) +
                             "' is kept by the session, but no input says " + "what '" + escaped(m.symbols[s].name) +
                             "' is");
      else if (!symbolSeen[s])
        KT_RETURN_IF_ERROR(bindSymbol(k.input, s, k.dims[d]));
    }
  return {};
}

/// Whether what a run adds fits, before anything of it happens; memory for what is kept where there is none yet.
Status Executor::prepareKept() {
  const Kept *inPages = nullptr; // one of them: they are as long as one another
  for (Kept &k : kept) {
    const Port &from = m.inputs[k.input], &to = m.outputs[k.output];
    auto text = [&] { return "input '" + escaped(from.name) + "', which the session keeps"; };
    if (k.lost)
      return Status::usage(text() + ", was written over by a run that failed; reset the session to begin anew");
    std::vector<int64_t> dims;
    for (size_t d = 0; d < from.dims.size(); ++d) {
      int64_t rows = pages ? kPageRows : static_cast<int64_t>(capacity);
      auto dim =
          d == k.axis && k.grows ? Result<int64_t>(rows) : values.get(k.tensor ? k.tensor->dims[d] : from.dims[d]);
      if (!dim.ok())
        return std::move(dim).status().in(text());
      dims.push_back(*dim);
    }
    if (k.grows) {
      auto next = values.get(to.dims[k.axis]);
      if (!next.ok())
        return std::move(next).status().in(text());
      if (*next > static_cast<int64_t>(capacity))
        return Status::usage(text() + ": " + std::to_string(k.held) + " of " + std::to_string(capacity) +
                             " are taken, " + std::to_string(static_cast<int64_t>(capacity) - k.held) +
                             " more fit but this run adds " + std::to_string(*next - k.held));
      k.next = *next;
      if (pages && !inPages)
        inPages = &k;
    }
    if (k.memory && k.dims == dims)
      continue;
    if (k.memory && (k.grows ? k.held > 0 : k.begun)) // an empty one may have another shape
      return Status::usage(text() + ": expected " + shapeText(k.type, k.dims) + " but this run needs " +
                           shapeText(k.type, dims) + "; reset the session to begin with another shape");
    KT_RETURN_IF_ERROR(giveHome(k, dims));
    if (auto bytes = values.get(m.buffers[k.root].bytes);
        k.tensor && bytes.ok() && *bytes > static_cast<int64_t>(k.bytes))
      return Status::rejected(text() + ": kept in " + std::to_string(k.bytes) + " bytes but its buffer has " +
                              std::to_string(*bytes));
  }
  if (!inPages)
    return {};
  KT_RETURN_IF_ERROR(makeTable(static_cast<uint64_t>(inPages->dims[0])));
  return takePages(static_cast<uint64_t>(inPages->held), static_cast<uint64_t>(inPages->next),
                   "input '" + escaped(m.inputs[inPages->input].name) + "', which the session keeps");
}

Status Executor::giveHome(Kept &k, const std::vector<int64_t> &dims) {
  const Port &port = m.inputs[k.input];
  if (k.grows && pages) {
    const PagePool::State *state = pages->stateOf(k.root);
    k.memory = state->memory;
    k.bytes = pages->bytesOf(*state);
    k.dims = dims;
    planned = false;
    return {};
  }
  auto bytes = tensorBytes(k.type, dims);
  if (!bytes)
    return Status::usage("input '" + escaped(port.name) + "', which the session keeps, would be " +
                         shapeText(k.type, dims) + ", which is too large");
  KT_RETURN_IF_ERROR(settle());
  release(k);
  for (void **memory : {&k.memory, &k.other}) {
    if (memory == &k.other && !k.replaced())
      break;
    auto fresh = program.account->allocate(*bytes, "what the session keeps");
    if (!fresh.ok()) { // weights make room
      KT_RETURN_IF_ERROR(program.moveWeights(*bytes));
      fresh = program.account->allocate(*bytes, "what the session keeps");
    }
    if (!fresh.ok())
      return std::move(fresh).status();
    *memory = *fresh;
    k.bytes = *bytes;
  }
  k.dims = dims;
  planned = false;
  // A state begins with zeros. What no run has written of a cache that grows is not read, but for blocks of kernels
  // that reach over the end, which weigh it with zero.
  return stream->zero(k.memory, k.bytes);
}

void Executor::release(Kept &k) {
  if (k.grows && pages)
    return;
  for (void **memory : {&k.memory, &k.other})
    if (*memory)
      program.account->release(std::exchange(*memory, nullptr), k.bytes);
}

/// Both names of what is kept, in the plan at hand. What is kept in another form has nothing under the input's name, of
/// which no element is read then; it is a place all the same.
void Executor::placeKept() {
  for (const Kept &k : kept)
    for (BufferId id : {m.inputs[k.input].buffer, k.root}) {
      homes[id] = id == k.root && k.replaced() ? k.other : k.memory;
      place(id, homes[id]);
      fixed[id].bytes = k.bytes;
      fixed[id].deviceValid = true;
    }
}

/// A run that was enqueued has added to what is kept.
void Executor::advanceKept() {
  for (Kept &k : kept) {
    k.held = k.next;
    k.begun = true;
    ++k.ahead;
    if (k.replaced())
      std::swap(k.memory, k.other);
  }
}

uint64_t Executor::held() const {
  int64_t most = 0;
  for (const Kept &k : kept)
    most = std::max(most, k.held);
  return static_cast<uint64_t>(most);
}

Status Executor::truncate(uint64_t length) {
  if (!capacity)
    return Status::usage("the session keeps no state: it was created without a capacity");
  for (const Kept &k : kept)
    if (k.grows && length > static_cast<uint64_t>(k.held))
      return Status::usage("cannot keep the first " + std::to_string(length) + " of " + std::to_string(k.held));
  for (const Kept &k : kept)
    if (k.replaced() && length && length != held())
      return Status::usage("cannot keep the first " + std::to_string(length) + ": of input '" +
                           escaped(m.inputs[k.input].name) + "' only the latest state is there");
  for (Kept &k : kept) {
    if (k.grows)
      k.held = k.certain = std::min(k.held, static_cast<int64_t>(length));
    else if (length == 0)
      KT_RETURN_IF_ERROR(forget(k));
  }
  return pages ? givePages(length) : Status();
}

/// What does not grow begins anew.
Status Executor::forget(Kept &k) {
  k.begun = k.begunCertain = k.lost = false;
  k.ahead = 0;
  return k.memory ? stream->zero(k.memory, k.bytes) : Status();
}

void Executor::touchKept(BufferId root) {
  for (Kept &k : kept)
    k.touched = k.touched || k.root == root;
}

/// A run has failed on its way, with whatever it had written by then. What grows is as long as before, and where two
/// pieces take turns the latest is whole, but the one before it is not.
void Executor::abandonKept() {
  for (Kept &k : kept) {
    if (!k.touched || k.grows)
      continue;
    if (!k.replaced())
      k.lost = true;
    else if (k.ahead)
      ++k.ahead;
  }
}

/// What was added behind a fault means nothing.
void Executor::settleKept(bool well) {
  for (Kept &k : kept) {
    (well ? k.certain : k.held) = well ? k.held : k.certain;
    (well ? k.begunCertain : k.begun) = well ? k.begun : k.begunCertain;
    bool undone = k.replaced() && k.ahead == 1; // the state before is still there
    if (!well && undone)
      std::swap(k.memory, k.other);
    // A window may have gone anywhere: what faults is an index that is kept inside.
    k.lost = k.lost || (!well && !k.grows && k.ahead && !undone);
    k.ahead = 0;
  }
}

Status Executor::copyKept(Executor &from) {
  KT_RETURN_IF_ERROR(from.wait());
  for (size_t i = 0; i < kept.size(); ++i) {
    const Kept &theirs = from.kept[i];
    Kept &ours = kept[i];
    ours.held = ours.certain = theirs.held;
    ours.begun = ours.begunCertain = theirs.begun;
    ours.lost = theirs.lost;
    if (!theirs.memory)
      continue;
    KT_RETURN_IF_ERROR(giveHome(ours, theirs.dims));
    if (!(ours.grows && pages))
      KT_RETURN_IF_ERROR(stream->copy(ours.memory, theirs.memory, theirs.bytes));
  }
  if (pages)
    KT_RETURN_IF_ERROR(sharePages(from, from.held()));
  return stream->synchronize(); // the other session may go on, or go
}

void Executor::releaseKept() {
  for (Kept &k : kept)
    release(k);
  if (pages)
    releaseTable();
}

} // namespace kt::exec
