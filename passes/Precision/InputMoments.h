//===- InputMoments.h - what products have on their left, in numbers ------===//

#ifndef KT_PASSES_PRECISION_INPUTMOMENTS_H
#define KT_PASSES_PRECISION_INPUTMOMENTS_H

#include <map>
#include <vector>

namespace kt {

/// The sum of squares of the left side's elements for each k, as sample inputs make them, by the number that a product
/// has among all products of a graph.
using InputMoments = std::map<unsigned, std::vector<float>>;

/// An output with this name and a product's number behind it has its sums.
constexpr const char *kMomentsOutput = "kt.moments.";

} // namespace kt

#endif
