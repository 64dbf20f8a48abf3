//===- NamePatterns.cpp - nodes and weights that a user names -------------===//

#include "passes/Precision/NamePatterns.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace mlir;
using namespace kt;

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

bool NamePatterns::matchName(StringRef name) {
  if (name.empty())
    return false;
  names.insert(name);
  bool any = false;
  for (Pattern &pattern : patterns)
    if (pattern.glob.match(name))
      pattern.matched = any = true;
  return any;
}

bool NamePatterns::match(Location nodes, StringRef weight) {
  if (patterns.empty())
    return false;
  bool any = matchName(weight);
  nodes->walk([&](Location loc) {
    auto node = dyn_cast<NameLoc>(loc);
    if (!node)
      return WalkResult::advance();
    any |= matchName(node.getName());
    return WalkResult::skip(); // what is inside is the operator's name
  });
  return any;
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
