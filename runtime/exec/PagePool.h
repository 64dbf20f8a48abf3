//===- PagePool.h - memory in pages for what sessions keep ----------------===//
//
// The states that grow of all sessions of a model that share a pool. A page is kPageRows rows of one element of the
// batch, in every state: one number stands for a piece of each state's memory. Sessions that have the same tokens so
// far hold the same pages.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_EXEC_PAGEPOOL_H
#define KT_RUNTIME_EXEC_PAGEPOOL_H

#include "runtime/exec/Program.h"

namespace kt::exec {

/// Thread-safe but for its end, which comes before the program's.
class PagePool {
public:
  using Page = artifact::PageTable;

  /// Code::usage where a state of the model cannot lie in pages, with the node that is in the way.
  static Result<std::shared_ptr<PagePool>> create(Program &program, uint64_t pages);
  ~PagePool();

  /// A state's memory, which is in one piece.
  struct State {
    uint32_t output;         // which continues an input
    artifact::BufferId root; // of its memory in a program
    void *memory = nullptr;
    uint64_t pageBytes = 0;
  };
  const std::vector<State> &states() const { return all; }
  const State *stateOf(artifact::BufferId root) const;
  /// With the page that is nobody's.
  uint64_t bytesOf(const State &state) const { return state.pageBytes * (count + 1); }
  uint64_t bytes() const;

  uint64_t pages() const { return count; }
  uint64_t unused() const;
  /// What tables have where there is no page: its numbers mean nothing.
  Page nobodys() const { return static_cast<Page>(count); }

  /// Appends `wanted` pages to `to`, each held once, or none where there are fewer: answers whether there were enough.
  bool take(uint64_t wanted, std::vector<Page> &to);
  void hold(Page page);
  /// One who held it does so no more. All work with it is done.
  void give(Page page);
  bool isShared(Page page) const;

private:
  PagePool(Program &program, uint64_t count) : program(program), count(count) {}
  Status findStates();
  Status allocate();

  Program &program;
  uint64_t count;
  std::vector<State> all;
  mutable std::mutex mutex;
  std::vector<uint32_t> holders; // by page
  std::vector<Page> free;        // the next one to be taken last
};

} // namespace kt::exec

#endif
