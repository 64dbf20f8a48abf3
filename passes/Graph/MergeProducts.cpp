//===- MergeProducts.cpp - products of one left side become one -----------===//
//
//   %q = matmul %x, %wq epilogue { acc + bq[j] }        %m = matmul %x, %w epilogue { acc + b[j] }
//   %k = matmul %x, %wk epilogue { acc + bk[j] }   ->   %q = generic { m[i, j] }
//                                                       %k = generic { m[i, j + 768] }
//
// One large product fills a device that small ones leave half empty, and reads its left side once. Weights and whatever
// else differs by column are joined along the columns; what each product resulted in is a slice, which joins its
// readers.
//
//===----------------------------------------------------------------------===//

#include "passes/Analysis/Bodies.h"
#include "passes/Analysis/PrecisionDemand.h"
#include "passes/Graph/PackWeights.h"
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

/// A product with constant weights of its own, and where its columns are.
struct Product {
  mutable MatmulOp op; // a handle
  ConstantFactor weights;
  unsigned column; // result dimension
  unsigned demand; // on the result, see PrecisionDemand
};

/// What an epilogue of several products has in its place: an operation of the first one's body, and in the order of
/// products the constants that take turns along the columns.
struct ByColumn {
  Operation *op;                 // a read of constants at the column, or an arith.constant
  SmallVector<Value> tensors;    // of reads
  SmallVector<Attribute> values; // of constants
  unsigned dim = 0;              // of the tensors, which the column indexes
};

/// A product whose constant weights nothing else reads. One that makes an angle, a number or a choice of experts keeps
/// its precision, which others would have to share.
std::optional<Product> productOf(MatmulOp op, const PrecisionDemand &demand) {
  std::optional<ConstantFactor> weights = constantFactorOf(op);
  if (!weights || op.getViews() || demand.isExactProduct(op) || demand.of(op.getResult()) & PrecisionDemand::Exact)
    return std::nullopt;
  for (Value v = op.getRhs(); v; v = v.getDefiningOp<ReshapeOp>() ? v.getDefiningOp<ReshapeOp>().getSource() : Value())
    if (!v.hasOneUse())
      return std::nullopt;
  unsigned dims = op.getMap(2).getNumDims();
  auto column = op.getMap(2).getResultPosition(getAffineDimExpr(dims - 2, op.getContext()));
  return Product{op, *weights, *column, demand.of(op.getResult())};
}

/// Products that agree in all but their columns.
bool agree(const Product &a, const Product &b) {
  SymTensorType x = a.op.getResult().getType(), y = b.op.getResult().getType();
  if (a.demand != b.demand || a.weights.k != b.weights.k || a.op.getLhs() != b.op.getLhs() ||
      a.op.getMap(0) != b.op.getMap(0) || a.op.getMap(2) != b.op.getMap(2) || a.op.getDepth() != b.op.getDepth() ||
      a.op->getBlock() != b.op->getBlock() ||
      a.op.getRhs().getType().getElementType() != b.op.getRhs().getType().getElementType() ||
      x.getRank() != y.getRank())
    return false;
  for (int64_t d = 0; d < x.getRank(); ++d)
    if (d != a.column && x.dim(d) != y.dim(d))
      return false;
  return true;
}

Type elementOf(const Product &p) { return p.op.getResult().getType().getElementType(); }

BlockArgument columnIndex(const Product &p) {
  Block &body = p.op.getEpilogue().front();
  return body.getArgument(1 + p.op.getExtras().size() + p.column);
}

Value extraOf(const Product &p, ReadOp read) {
  return p.op.getExtras()[cast<BlockArgument>(read.getTensor()).getArgNumber() - 1];
}

/// Constants that differ in dimension `dim` alone, which is as long as each product has columns.
bool joinable(const Product &a, Value x, const Product &b, Value y, unsigned dim) {
  auto s = cast<SymTensorType>(x.getType()), t = cast<SymTensorType>(y.getType());
  if (!throughReshapes(x).getDefiningOp<ConstantOp>() || !throughReshapes(y).getDefiningOp<ConstantOp>() ||
      s.getElementType() != t.getElementType() || s.getRank() != t.getRank())
    return false;
  for (int64_t d = 0; d < s.getRank(); ++d)
    if (d != dim && s.dim(d) != t.dim(d))
      return false;
  return s.dim(dim).isConstant(a.weights.n) && t.dim(dim).isConstant(b.weights.n);
}

/// Walks the epilogues of `first` and `other` side by side. They are the same computation where all that differs are
/// constants by column, which are added to `found` (for each operation of the first, in order).
bool matchEpilogues(const Product &first, const Product &other, SmallVectorImpl<ByColumn> &found) {
  Block &a = first.op.getEpilogue().front(), &b = other.op.getEpilogue().front();
  if (llvm::range_size(a) != llvm::range_size(b))
    return false;
  IRMapping map; // from first to other
  map.map(a.getArgument(0), b.getArgument(0));
  unsigned rank = first.op.getResult().getType().getRank();
  for (unsigned i = 0; i < rank; ++i)
    map.map(a.getArgument(a.getNumArguments() - rank + i), b.getArgument(b.getNumArguments() - rank + i));
  Value column = columnIndex(first);
  size_t next = 0;
  auto add = [&](ByColumn what) -> ByColumn & {
    if (next == found.size())
      found.push_back(std::move(what));
    return found[next++];
  };
  for (auto [x, y] : llvm::zip(a, b)) {
    if (x.getName() != y.getName() || x.getNumOperands() != y.getNumOperands() ||
        x.getResultTypes() != y.getResultTypes())
      return false;
    for (auto [r, s] : llvm::zip(x.getResults(), y.getResults()))
      map.map(r, s);
    // Each constant has an entry, wanted or not, so that entries are in the order of operations for all products.
    if (auto constant = dyn_cast<arith::ConstantOp>(x)) {
      ByColumn &entry = add({&x, {}, {constant.getValue()}, 0});
      entry.values.push_back(cast<arith::ConstantOp>(y).getValue());
      if (entry.values.back() != entry.values.front() &&
          !(constant.getType().isIntOrFloat() && constant.getType().getIntOrFloatBitWidth() >= 8))
        return false;
      continue;
    }
    auto read = dyn_cast<ReadOp>(x);
    unsigned from = 0;
    if (read) {
      auto twin = cast<ReadOp>(y);
      Value s = extraOf(first, read), t = extraOf(other, twin);
      if (llvm::is_contained(read.getIndices(), column)) {
        unsigned dim = llvm::find(read.getIndices(), column) - read.getIndices().begin();
        if (llvm::count(read.getIndices(), column) != 1 || !joinable(first, s, other, t, dim) || read.getOtherwise())
          return false;
        add({&x, {s}, {}, dim}).tensors.push_back(t);
      } else if (s != t) {
        return false;
      }
      from = 1; // the tensor
    } else if (llvm::is_contained(x.getOperands(), column)) {
      return false; // columns count from 0 in each product
    }
    for (unsigned i = from; i < x.getNumOperands(); ++i)
      if (map.lookupOrDefault(x.getOperand(i)) != y.getOperand(i))
        return false;
    if (x.getDiscardableAttrDictionary() != y.getDiscardableAttrDictionary() ||
        x.getPropertiesAsAttribute() != y.getPropertiesAsAttribute())
      return false;
  }
  return true;
}

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
  MatmulOp first = products[0].op;
  SmallVector<ConstantFactor> factors;
  SmallVector<ConstantOp> constants;
  int64_t columns = 0;
  for (const Product &p : products) {
    factors.push_back(p.weights);
    constants.push_back(p.weights.constant);
    columns += p.weights.n;
  }
  auto panelsOf = [](int64_t n) { return (n + kPanel - 1) / kPanel; };
  int64_t panels = asParts ? panelsOf(products[0].weights.n) * (int64_t)products.size() : panelsOf(columns);
  Type element = first.getRhs().getType().getElementType();
  auto size = [&](int64_t v) { return Expr::constant(b.getContext(), v).attr(); };
  auto type = SymTensorType::get(b.getContext(), {size(panels), first.getDepthAttr(), size(kPanel)}, element);
  auto pack = asParts ? packParts : packColumns;
  return makeConstant(b, loc, type, pack(b.getContext(), factors, type.elementBytes()), joined(constants));
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
    setPackedRhs(merged, packed);
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
  for (const Product &p : candidates.drop_front()) {
    SmallVector<ByColumn> with = byColumn;
    int64_t own = p.weights.n * p.weights.k;
    if (parts.size() < kMostJoined && own <= kMostElements - elements && agree(parts[0], p) &&
        matchEpilogues(parts[0], p, with)) {
      byColumn = std::move(with);
      elements += own;
      parts.push_back(p);
    } else {
      others.push_back(p);
    }
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
  setPackedRhs(op, packedWeights(b, fusedLoc(parts), parts, /*asParts=*/true));
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
