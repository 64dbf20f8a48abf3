//===- Computed.cpp - constants computed where they are read --------------===//

#include "dialects/KT/IR/Computed.h"
#include "dialects/KT/IR/Blobs.h"
#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Threading.h"
#include <mutex>

using namespace mlir;
using namespace kt;

namespace {

/// Less is computed at once: as much as its recipe may take.
constexpr uint64_t kLeastBytes = 64 << 10;

/// The recipes, by the resources that stand for their bytes: MLIR has no place for them beside a resource's name.
class RecipeTable : public DialectInterface::Base<RecipeTable> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RecipeTable)
  explicit RecipeTable(Dialect *dialect) : Base(dialect) {}

  static RecipeTable &of(MLIRContext *context) {
    return *context->getOrLoadDialect<KTDialect>()->getRegisteredInterface<RecipeTable>();
  }

  void keep(bool yes) {
    std::lock_guard lock(mutex);
    isKeeping = yes;
    entries.clear();
  }
  bool keeps() {
    std::lock_guard lock(mutex);
    return isKeeping;
  }

  void add(StringRef key, std::shared_ptr<const ComputedBytes> recipe) {
    std::lock_guard lock(mutex);
    entries[key] = {std::move(recipe), nullptr};
  }
  std::shared_ptr<const ComputedBytes> find(StringRef key) {
    std::lock_guard lock(mutex);
    auto it = entries.find(key);
    return it == entries.end() ? nullptr : it->second.recipe;
  }

  ArrayRef<char> inMemory(StringRef key) {
    std::lock_guard lock(mutex);
    auto it = entries.find(key);
    if (it == entries.end())
      return {};
    Entry &entry = it->second;
    if (!entry.bytes) {
      entry.bytes.reset(new char[entry.recipe->size()]);
      entry.recipe->read(0, {entry.bytes.get(), entry.recipe->size()});
    }
    return {entry.bytes.get(), entry.recipe->size()};
  }

private:
  struct Entry {
    std::shared_ptr<const ComputedBytes> recipe;
    std::unique_ptr<char[]> bytes; // where somebody had to see all of them
  };
  std::mutex mutex;
  bool isKeeping = false;
  llvm::StringMap<Entry> entries;
};

} // namespace

ComputedBytes::~ComputedBytes() = default;

void ComputedBytes::read(uint64_t begin, MutableArrayRef<char> out) const {
  SmallVector<char, 0> scratch;
  for (uint64_t end = begin + out.size(); begin < end;) {
    uint64_t first = begin / unitBytes * unitBytes, last = std::min(first + unitBytes, bytes);
    uint64_t count = std::min(last, end) - begin;
    MutableArrayRef<char> to = out.take_front(count);
    if (count == last - first) {
      compute(first, to);
    } else {
      scratch.resize_for_overwrite(last - first);
      compute(first, scratch);
      memcpy(to.data(), scratch.data() + (begin - first), count);
    }
    out = out.drop_front(count);
    begin += count;
  }
}

ConstantBytes::ConstantBytes(ElementsAttr value) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      bytes = blob->getData();
    else
      computed = RecipeTable::of(value.getContext()).find(resource.getRawHandle().getKey());
  } else if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    bytes = dense.getRawData();
  }
}

ArrayRef<char> ConstantBytes::read(uint64_t begin, uint64_t count, SmallVectorImpl<char> &scratch) const {
  if (!computed)
    return bytes.slice(begin, count);
  scratch.resize_for_overwrite(count);
  computed->read(begin, scratch);
  return scratch;
}

void ConstantBytes::readInParallel(MLIRContext *context, uint64_t begin, MutableArrayRef<char> out) const {
  if (!computed) {
    memcpy(out.data(), bytes.data() + begin, out.size());
    return;
  }
  constexpr uint64_t kTaskBytes = 64 << 10; // or a unit: some 30 us of work
  uint64_t step = std::max<uint64_t>(kTaskBytes / computed->unit(), 1) * computed->unit(), end = begin + out.size();
  parallelFor(context, begin / step, llvm::divideCeil(end, step), [&](size_t i) {
    uint64_t from = std::max<uint64_t>(i * step, begin), to = std::min<uint64_t>((i + 1) * step, end);
    computed->read(from, out.slice(from - begin, to - from));
  });
}

ComputedConstants::ComputedConstants(MLIRContext &context) : context(context) { RecipeTable::of(&context).keep(true); }

ComputedConstants::~ComputedConstants() { RecipeTable::of(&context).keep(false); }

std::unique_ptr<DialectInterface> kt::makeRecipeTable(Dialect *dialect) {
  return std::make_unique<RecipeTable>(dialect);
}

DenseResourceElementsAttr kt::computedBlob(MLIRContext *context, StringRef name,
                                           std::shared_ptr<const ComputedBytes> bytes) {
  auto type = RankedTensorType::get({(int64_t)bytes->size()}, IntegerType::get(context, 8));
  RecipeTable &table = RecipeTable::of(context);
  if (bytes->size() >= kLeastBytes && table.keeps()) {
    auto value = namedBlob(type, name, std::nullopt);
    table.add(value.getRawHandle().getKey(), std::move(bytes));
    return value;
  }
  AsmResourceBlob blob = untouchedBlob(bytes->size());
  ConstantBytes(bytes).readInParallel(context, 0, blob.getMutableData());
  return namedBlob(type, name, std::move(blob));
}

ArrayRef<char> kt::bytesInMemory(ElementsAttr value) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value); resource && !resource.getRawHandle().getBlob())
    return RecipeTable::of(value.getContext()).inMemory(resource.getRawHandle().getKey());
  ConstantBytes bytes(value);
  SmallVector<char, 0> unused;
  return bytes.read(0, bytes.size(), unused);
}
