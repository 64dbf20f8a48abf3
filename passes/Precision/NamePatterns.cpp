//===- NamePatterns.cpp - nodes and weights that a user names -------------===//

#include "passes/Precision/NamePatterns.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace mlir;
using namespace kt;

void kt::forEachNode(Location loc, llvm::function_ref<void(StringRef)> visit) {
  loc->walk([&](Location inner) {
    auto node = dyn_cast<NameLoc>(inner);
    if (!node)
      return WalkResult::advance();
    visit(node.getName());
    return WalkResult::skip(); // what is inside is the operator's name
  });
}

std::optional<std::string> NamePatterns::errorIn(StringRef text) {
  llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(text);
  if (glob)
    return std::nullopt;
  return llvm::toString(glob.takeError());
}

NamePatterns::NamePatterns(ArrayRef<std::string> texts) {
  // A compiled pattern may point into its text, so that texts must not move.
  patterns.reserve(texts.size());
  for (const std::string &text : texts) {
    patterns.push_back({text, {}, false});
    patterns.back().glob = llvm::cantFail(llvm::GlobPattern::create(patterns.back().text));
  }
}

void NamePatterns::matchName(StringRef name, size_t &first) {
  if (name.empty())
    return;
  names.insert(name);
  for (size_t i = 0; i < patterns.size(); ++i)
    if (patterns[i].glob.match(name)) {
      patterns[i].matched = true;
      first = std::min(first, i);
    }
}

std::optional<StringRef> NamePatterns::match(Location nodes, StringRef weight) {
  if (patterns.empty())
    return std::nullopt;
  size_t first = patterns.size();
  matchName(weight, first);
  forEachNode(nodes, [&](StringRef node) { matchName(node, first); });
  return first < patterns.size() ? std::optional<StringRef>(patterns[first].text) : std::nullopt;
}

std::optional<std::string> NamePatterns::unmatched() const {
  constexpr size_t kShown = 3;
  for (const Pattern &pattern : patterns) {
    if (pattern.matched)
      continue;
    std::vector<std::pair<unsigned, StringRef>> near;
    for (const auto &name : names)
      near.push_back({StringRef(pattern.text).edit_distance(name.getKey()), name.getKey()});
    llvm::sort(near);
    std::string message = "'" + pattern.text + "' matches no node and no weight";
    for (size_t i = 0; i < std::min(kShown, near.size()); ++i)
      message += (i ? ", '" : "; the nearest are '") + near[i].second.str() + "'";
    return message;
  }
  return std::nullopt;
}
