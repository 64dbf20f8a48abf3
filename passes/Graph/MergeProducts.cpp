//===- MergeProducts.cpp - products of one left side become one -----------===//
//
//   %q = matmul %x, %wq epilogue { acc + bq[j] }        %m = matmul %x, %w epilogue { acc + b[j] }
//   %k = matmul %x, %wk epilogue { acc + bk[j] }   ->   %q = generic { m[i, j] }
//                                                       %k = generic { m[i, j + 768] }
//
// One large product fills a device that small ones leave half empty, and reads its left side once. Weights and whatever
// else differs by column are joined along the columns, with -0.0 and 1.0 for biases and factors that some have and some
// do without; what each product resulted in is a slice, which joins its readers.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Graph/MatchProducts.h"
#include "passes/Graph/Slices.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

namespace kt {
#define GEN_PASS_DEF_MERGEPRODUCTS
#include "passes/Passes.h.inc"
} // namespace kt

using namespace mlir;
using namespace kt;

namespace {

/// More weights than this are not joined: kernels count elements in 32 bits.
constexpr int64_t kMostElements = (int64_t(1) << 31) - 1;
/// Nor more products: their results live as long as the last of them is read.
constexpr size_t kMostJoined = 4;

/// "a+b": the names of constants that have become one.
std::string joined(ArrayRef<ConstantOp> constants) {
  SmallVector<StringRef> names;
  for (ConstantOp constant : constants)
    if (auto name = constant.getName())
      names.push_back(*name);
  return llvm::join(names, "+");
}

/// A constant of the weights of several products, packed one behind the other or, as `parts`, by turns.
Value packedWeights(OpBuilder &b, Location loc, ArrayRef<Product> products, bool asParts) {
  SmallVector<ConstantFactor> factors;
  SmallVector<ConstantOp> constants;
  for (const Product &p : products) {
    factors.push_back(p.weights);
    constants.push_back(p.weights.constant);
  }
  return packedConstant(b, loc, factors, asParts, joined(constants));
}

Location fusedLoc(ArrayRef<Product> products) {
  SmallVector<Location> locs;
  for (const Product &p : products)
    locs.push_back(p.op.getLoc());
  return FusedLoc::get(locs[0].getContext(), locs);
}

class Merger {
public:
  explicit Merger(ArrayRef<Product> parts) : parts(parts), b(parts[0].op) {
    for (const Product &p : parts)
      columns += p.weights.n;
  }

  void run(ArrayRef<ByColumn> byColumn) {
    MatmulOp first = parts[0].op;
    loc = fusedLoc(parts);
    Value packed = packedWeights(b, loc, parts, /*asParts=*/false);
    merged = cast<MatmulOp>(b.clone(*first));
    merged->setLoc(loc);
    merged.getResult().setType(withDim(first.getResult().getType(), parts[0].column, columns));
    setPackedRhs(merged, packed, parts[0].weights);
    // The clone's operations are the first's, in order.
    DenseMap<Operation *, Operation *> clones;
    for (auto [x, y] : llvm::zip(first.getEpilogue().front(), merged.getEpilogue().front()))
      clones[&x] = &y;
    for (const ByColumn &entry : byColumn)
      join(entry, clones[entry.op]);
    cleanBodyOperands(merged);
    int64_t begin = 0;
    Slices slices(merged.getResult(), parts[0].column);
    for (const Product &p : parts) {
      slices.replace(p.op.getResult(), begin);
      begin += p.weights.n;
    }
    for (const Product &p : parts)
      p.op.erase();
  }

private:
  /// Makes `op`, of the merged epilogue, read what `entry` says of each product.
  void join(const ByColumn &entry, Operation *op) {
    if (isa<arith::ConstantOp>(op) && llvm::all_equal(entry.values))
      return;
    OpBuilder body(op), before(merged);
    Block &block = merged.getEpilogue().front();
    auto index = [&] { return block.getArgument(1 + merged.getExtras().size() + parts[0].column); };
    if (auto read = dyn_cast<ReadOp>(op)) {
      auto type = cast<SymTensorType>(entry.tensors[0].getType());
      int64_t outer = 1, inner = type.elementBytes();
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (d != entry.dim)
          (d < entry.dim ? outer : inner) *= *type.dim(d).asConstant();
      std::vector<char> bytes;
      SmallVector<ConstantOp> constants;
      for (int64_t o = 0; o < outer; ++o)
        for (auto [part, tensor] : llvm::zip(parts, entry.tensors)) {
          auto constant = throughReshapes(tensor).getDefiningOp<ConstantOp>();
          ArrayRef<char> piece = constant.bytes().slice(o * part.weights.n * inner, part.weights.n * inner);
          bytes.insert(bytes.end(), piece.begin(), piece.end());
          if (o == 0)
            constants.push_back(constant);
        }
      Value whole = makeConstant(before, loc, withDim(type, entry.dim, columns), std::move(bytes), joined(constants));
      unsigned number = addBodyOperand(merged, whole);
      read.getTensorMutable().assign(block.getArgument(1 + number));
      return;
    }
    auto type = op->getResult(0).getType();
    std::vector<char> bytes;
    for (auto [part, value] : llvm::zip(parts, entry.values)) {
      APInt bits = isa<FloatAttr>(value) ? cast<FloatAttr>(value).getValue().bitcastToAPInt()
                                         : cast<IntegerAttr>(value).getValue();
      for (int64_t c = 0; c < part.weights.n; ++c)
        bytes.insert(bytes.end(), reinterpret_cast<const char *>(bits.getRawData()),
                     reinterpret_cast<const char *>(bits.getRawData()) + type.getIntOrFloatBitWidth() / 8);
    }
    auto table = SymTensorType::get(b.getContext(), {Expr::constant(b.getContext(), columns).attr()}, type);
    unsigned number = addBodyOperand(merged, makeConstant(before, loc, table, std::move(bytes), ""));
    Value read = ReadOp::create(body, op->getLoc(), block.getArgument(1 + number), ValueRange{index()});
    op->getResult(0).replaceAllUsesWith(read);
    op->erase();
  }

  ArrayRef<Product> parts;
  OpBuilder b; // at the first product: all that is read is known there, and nothing of it has been read
  Location loc = UnknownLoc::get(b.getContext());
  int64_t columns = 0;
  MatmulOp merged;
};

/// Merges the first of `candidates`, all of one left side, with whichever fit it; answers the others.
SmallVector<Product> mergeFirst(ArrayRef<Product> candidates) {
  SmallVector<Product> parts{candidates[0]}, others;
  SmallVector<ByColumn> byColumn;
  int64_t elements = parts[0].weights.n * parts[0].weights.k;
  auto fits = [&](const Product &p) { return p.weights.n * p.weights.k <= kMostElements - elements; };
  // The one that does the most is what the others are completed to.
  for (const Product &p : candidates.drop_front())
    if (fits(p) && agree(parts[0], p))
      completeEpilogue(parts[0], p);
  for (const Product &p : candidates.drop_front()) {
    SmallVector<ByColumn> with = byColumn;
    bool joins = parts.size() < kMostJoined && fits(p) && agree(parts[0], p) &&
                 (matchEpilogues(parts[0], p, with) ||
                  (completeEpilogue(p, parts[0]) && matchEpilogues(parts[0], p, with = byColumn)));
    if (!joins) {
      others.push_back(p);
      continue;
    }
    byColumn = std::move(with);
    elements += p.weights.n * p.weights.k;
    parts.push_back(p);
  }
  if (parts.size() > 1)
    Merger(parts).run(byColumn);
  return others;
}

/// Makes `reader` of two parts where its epilogue is all that reads `other`, at its own position.
bool takeIn(const Product &other, const Product &reader) {
  MatmulOp op = reader.op, from = other.op;
  if (!agree(other, reader) || other.weights.n != reader.weights.n || op.getLhs() == from.getResult() ||
      other.weights.n * other.weights.k > kMostElements / 2 || !from.getResult().hasOneUse())
    return false;
  unsigned number = from.getResult().use_begin()->getOperandNumber() - firstBodyOperand(op);
  unsigned rank = op.getResult().getType().getRank(), firstIndex = 1 + op.getExtras().size();
  SmallVector<ReadOp> reads = readsOf(op, number);
  if (llvm::any_of(reads, [&](ReadOp read) { return !isIdentityRead(read, firstIndex, rank); }))
    return false;
  OpBuilder b(op);
  const Product parts[] = {other, reader};
  setPackedRhs(op, packedWeights(b, fusedLoc(parts), parts, /*asParts=*/true), other.weights);
  op->setLoc(fusedLoc(parts));
  SmallVector<unsigned> numbers;
  for (Value extra : from.getExtras())
    numbers.push_back(addBodyOperand(op, extra));
  // The sums of `from` come first, then those that the reader had alone.
  Block &into = op.getEpilogue().front(), &body = from.getEpilogue().front();
  into.insertArgument(0u, op.accumulatorType(), op.getLoc());
  op.setParts(2);
  IRMapping map;
  map.map(body.getArgument(0), into.getArgument(0));
  for (auto [i, n] : llvm::enumerate(numbers))
    map.map(body.getArgument(1 + i), into.getArgument(2 + n));
  for (unsigned i = 0; i < rank; ++i)
    map.map(body.getArgument(body.getNumArguments() - rank + i), into.getArgument(into.getNumArguments() - rank + i));
  b.setInsertionPointToStart(&into);
  for (Operation &inner : body.without_terminator())
    b.clone(inner, map);
  for (ReadOp read : reads) {
    read.replaceAllUsesWith(map.lookup(body.getTerminator()->getOperand(0)));
    read.erase();
  }
  cleanBodyOperands(op);
  from.erase();
  return true;
}

/// The products of a function, by their left sides.
using ByLeftSide = llvm::MapVector<Value, SmallVector<Product>>;

struct MergeProductsPass : kt::impl::MergeProductsBase<MergeProductsPass> {
  void runOnOperation() override {
    if (!isGraph(getOperation()))
      return;
    PrecisionDemand demand(getOperation());
    ByLeftSide products;
    getOperation()->walk([&](MatmulOp op) {
      if (std::optional<Product> p = productOf(op, demand))
        products[op.getLhs()].push_back(*p);
    });
    for (auto &[lhs, candidates] : products) {
      takeParts(candidates);
      llvm::erase_if(candidates, [](const Product &p) { return !takesSlices(p.op.getResult()); });
      while (candidates.size() > 1)
        candidates = mergeFirst(candidates);
    }
  }

  /// Removes from `candidates` what has become a product of parts, or one of those.
  void takeParts(SmallVectorImpl<Product> &candidates) {
    for (size_t reader = 0; reader < candidates.size(); ++reader)
      for (size_t other = 0; other < candidates.size(); ++other) {
        if (other == reader ||
            !llvm::is_contained(candidates[reader].op.getExtras(), candidates[other].op.getResult()) ||
            !takeIn(candidates[other], candidates[reader]))
          continue;
        candidates.erase(candidates.begin() + std::max(other, reader));
        candidates.erase(candidates.begin() + std::min(other, reader));
        return takeParts(candidates);
      }
  }
};

} // namespace
