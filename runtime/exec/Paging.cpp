//===- Paging.cpp - a session's pages -------------------------------------===//
//
// What a session keeps in a pool: pages are taken before a run that needs them, and given back where the state ends
// before them. Forks share the full ones; who writes in a page that others hold gets a copy of it first. The table of
// pages lies on the device at one address, so that graphs know it, and changes only with the pages.
//
//===----------------------------------------------------------------------===//

#include "runtime/artifact/Print.h"
#include "runtime/exec/Executor.h"

#include <algorithm>

namespace kt::exec {

using namespace artifact;

static uint64_t blocksOf(uint64_t rows) { return (rows + kPageRows - 1) / kPageRows; }

/// A table for `batch` elements, without a page yet.
Status Executor::makeTable(uint64_t batch) {
  if (table.memory && table.batch == batch)
    return {};
  KT_RETURN_IF_ERROR(settle());
  releaseTable();
  uint64_t entries = 0;
  if (__builtin_mul_overflow(blocksOf(capacity), batch, &entries) || entries >= uint64_t(1) << 31)
    return Status::usage("a table of pages for " + std::to_string(capacity) + " rows of " + std::to_string(batch) +
                         " is too large");
  uint64_t bytes = (entries + 1) * sizeof(PagePool::Page);
  auto staging = program.device->allocateStaging(bytes);
  if (!staging.ok())
    return std::move(staging).status();
  table.copy = {static_cast<PagePool::Page *>(*staging), entries + 1};
  std::fill(table.copy.begin(), table.copy.end(), pages->nobodys());
  table.copy[0] = static_cast<PagePool::Page>(std::min<uint64_t>(capacity, INT32_MAX));
  auto fresh = program.account->allocate(bytes, "a table of pages");
  if (!fresh.ok())
    return std::move(fresh).status();
  table.memory = static_cast<PagePool::Page *>(*fresh);
  table.batch = batch;
  graphIsStale = true;
  return stream->copyIn(table.memory, table.copy.data(), bytes);
}

void Executor::releaseTable() {
  for (uint64_t i = 0; i < table.blocks * table.batch; ++i)
    pages->give(table.copy[i + 1]);
  if (table.memory)
    program.account->release(table.memory, table.copy.size_bytes());
  if (!table.copy.empty())
    program.device->releaseStaging(table.copy.data());
  table = {};
}

/// Tells the device what has changed of the entries [begin, end).
Status Executor::sendTable(uint64_t begin, uint64_t end) {
  if (begin >= end)
    return {};
  return stream->copyIn(table.memory + 1 + begin, table.copy.data() + 1 + begin,
                        (end - begin) * sizeof(PagePool::Page));
}

/// Sees to it that rows [held, next) have pages that nobody else holds, before anything of a run happens. What others
/// have left in them stays there: kernels read no row that is not held.
Status Executor::takePages(uint64_t held, uint64_t next, const std::string &text) {
  uint64_t batch = table.batch, begin = table.blocks * batch, end = std::max(begin, blocksOf(next) * batch);
  std::vector<uint64_t> shared; // entries that the run writes
  for (uint64_t i = held / kPageRows * batch; next > held && i < std::min(begin, blocksOf(next) * batch); ++i)
    if (pages->isShared(table.copy[i + 1]))
      shared.push_back(i);
  uint64_t wanted = end - begin + shared.size();
  if (wanted == 0)
    return {};
  std::vector<PagePool::Page> fresh;
  if (!pages->take(wanted, fresh)) {
    uint64_t unused = pages->unused(), left = unused < shared.size() ? 0 : (unused - shared.size()) / batch;
    uint64_t rows = unused < shared.size() ? held : (table.blocks + left) * kPageRows;
    return Status::usage(text + ": " + std::to_string(unused) + " of the pool's " + std::to_string(pages->pages()) +
                         " pages are free, so that " + std::to_string(std::min(rows, capacity) - held) +
                         " more fit but this run adds " + std::to_string(next - held));
  }
  // What is under way reads the table, and copies to it come out of ours.
  Status status = settle();
  for (size_t k = 0; k < shared.size() && status.ok(); ++k)
    status = copyPage(table.copy[shared[k] + 1], fresh[k]);
  if (status.ok() && !shared.empty())
    status = settle(); // who holds the others may write in them from now on
  if (!status.ok()) {
    for (PagePool::Page page : fresh)
      pages->give(page);
    return status;
  }
  for (size_t k = 0; k < shared.size(); ++k)
    pages->give(std::exchange(table.copy[shared[k] + 1], fresh[k]));
  std::copy(fresh.begin() + static_cast<ptrdiff_t>(shared.size()), fresh.end(),
            table.copy.begin() + 1 + static_cast<ptrdiff_t>(begin));
  table.blocks = end / std::max<uint64_t>(batch, 1);
  return sendTable(shared.empty() ? begin : shared.front(), end);
}

/// Gives back what lies behind the first `rows`.
Status Executor::givePages(uint64_t rows) {
  uint64_t begin = blocksOf(rows) * table.batch, end = table.blocks * table.batch;
  if (begin >= end)
    return {};
  KT_RETURN_IF_ERROR(settle());
  for (uint64_t i = begin; i < end; ++i)
    pages->give(std::exchange(table.copy[i + 1], pages->nobodys()));
  table.blocks = blocksOf(rows);
  return sendTable(begin, end);
}

Status Executor::copyPage(PagePool::Page from, PagePool::Page to) {
  for (const PagePool::State &state : pages->states()) {
    char *memory = static_cast<char *>(state.memory);
    KT_RETURN_IF_ERROR(stream->copy(memory + to * state.pageBytes, memory + from * state.pageBytes, state.pageBytes));
  }
  return {};
}

/// Shares the full pages of another session, which has `held` rows, and copies those that it may go on in.
Status Executor::sharePages(Executor &from, uint64_t held) {
  if (!from.table.memory)
    return {};
  KT_RETURN_IF_ERROR(makeTable(from.table.batch));
  uint64_t batch = table.batch, full = held / kPageRows * batch, all = blocksOf(held) * batch;
  std::vector<PagePool::Page> fresh;
  if (!pages->take(all - full, fresh))
    return Status::usage("no page is free for a fork: " + std::to_string(all - full) + " are needed, and " +
                         std::to_string(pages->unused()) + " of the pool's " + std::to_string(pages->pages()) +
                         " are free");
  for (uint64_t i = 0; i < all; ++i) {
    PagePool::Page theirs = from.table.copy[i + 1];
    table.copy[i + 1] = i < full ? theirs : fresh[i - full];
    if (i < full)
      pages->hold(theirs);
  }
  table.blocks = blocksOf(held);
  for (uint64_t i = full; i < all; ++i)
    KT_RETURN_IF_ERROR(copyPage(from.table.copy[i + 1], table.copy[i + 1]));
  return sendTable(0, all);
}

} // namespace kt::exec
