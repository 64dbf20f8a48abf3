//===- BodyEmitter.cpp - scalar regions for several neighbouring elements -===//

#include "codegen/Gpu/Builder/BodyEmitter.h"
#include "codegen/Common/Body.h"
#include "codegen/Gpu/Builder/Pages.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

BodyEmitter::BodyEmitter(KernelBuilder &k, Region &region, unsigned numLeading, ArrayRef<Value> operands)
    : BodyLanes(region, numLeading), k(k), operands(operands) {}

Values IndexSpace::expand(KernelBuilder &k, ArrayRef<Value> at) const {
  Values all;
  unsigned group = 0;
  for (bool z : zero)
    all.push_back(z ? k.c(0) : at[group++]);
  return all;
}

Value kt::gpu::linearIndex(KernelBuilder &k, SymTensorType type, ArrayRef<Value> at) {
  Value linear = k.c(0);
  for (auto [i, v] : llvm::enumerate(at))
    linear = i == 0 ? v : k.add(k.mul(linear, k.size(type.dim(i))), v);
  return linear;
}

Values kt::gpu::delinearize(KernelBuilder &k, Value linear, ArrayRef<Expr> extents) {
  Values at(extents.size());
  for (unsigned i = extents.size(); i-- > 0;) {
    if (i == 0) {
      at[0] = linear;
      break;
    }
    if (std::optional<int64_t> n = extents[i].asConstant(); n && *n > 0) {
      Value q = k.div(linear, *n);
      at[i] = *n == 1 ? k.c(0) : k.sub(linear, k.mul(q, *n));
      linear = q;
    } else {
      Value size = k.size(extents[i]), q = k.div(linear, size);
      at[i] = k.sub(linear, k.mul(q, size));
      linear = q;
    }
  }
  return at;
}

Value BodyEmitter::inside(ReadOp read, ArrayRef<Value> at) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  Value all;
  for (auto [i, v] : llvm::enumerate(at)) {
    if (!checksDim(read, i))
      continue;
    // One unsigned comparison says both 0 <= v and v < size.
    Value one = k.cmp(Pred::ult, v, extentOf(k, operands[operandOf(read)], type, i));
    all = all ? k.and_(all, one) : one;
  }
  return all;
}

Value BodyEmitter::address(ReadOp read, ArrayRef<Value> at) {
  auto type = cast<SymTensorType>(read.getTensor().getType());
  return elementAt(k, operands[operandOf(read)], type, at);
}

Value BodyEmitter::readOne(ReadOp read, ArrayRef<Value> at, Value otherwise) {
  Type scalar = cast<SymTensorType>(read.getTensor().getType()).scalarType();
  Value in = otherwise ? inside(read, at) : Value();
  if (!in)
    return k.loadElement(address(read, at), scalar);
  return k.ifElse(
      in, scalar, [&]() -> Values { return {k.loadElement(address(read, at), scalar)}; },
      [&]() -> Values { return {otherwise}; })[0];
}

SmallVector<ReadOp> BodyEmitter::readsAhead() {
  SmallVector<ReadOp> found;
  llvm::SmallDenseMap<unsigned, unsigned> times;
  region.walk([&](ReadOp read) { ++times[operandOf(read)]; });
  for (ReadOp read : region.front().getOps<ReadOp>())
    if (times[operandOf(read)] == 1 && !read.getOtherwise() && isAtOwnIndices(read))
      found.push_back(read);
  return found;
}

Values BodyEmitter::readAhead(ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment) {
  unsigned firstIndex = region.front().getNumArguments() - indices.size();
  Values all;
  for (ReadOp read : readsAhead()) {
    Values at;
    for (Value v : read.getIndices())
      at.push_back(indices[cast<BlockArgument>(v).getArgNumber() - firstIndex]);
    if (use(read.getResult(), inner).kind == LaneUse::Uniform) {
      all.append(lanes, readOne(read, at, Value()));
    } else if (lanes > 1 && vectorizable(read, inner, alignment)) {
      all.append(
          k.loadElements(address(read, at), cast<SymTensorType>(read.getTensor().getType()).scalarType(), lanes));
    } else {
      for (unsigned lane = 0; lane < lanes; ++lane) {
        Values there;
        for (auto [v, i] : llvm::zip(read.getIndices(), at))
          there.push_back((int)(cast<BlockArgument>(v).getArgNumber() - firstIndex) == inner ? k.add(i, lane) : i);
        all.push_back(readOne(read, there, Value()));
      }
    }
  }
  return all;
}

SmallVector<Type> BodyEmitter::typesAhead(unsigned lanes) {
  SmallVector<Type> types;
  for (ReadOp read : readsAhead())
    types.append(lanes, cast<SymTensorType>(read.getTensor().getType()).scalarType());
  return types;
}

void BodyEmitter::giveAhead(ValueRange elements, unsigned lanes) {
  given.clear();
  if (!elements.empty())
    for (auto [i, read] : llvm::enumerate(readsAhead()))
      given[operandOf(read)] = Values(elements.slice(i * lanes, lanes));
}

/// Words that `lanes` elements of a tensor are.
static unsigned wordsOf(ReadOp read, unsigned lanes) {
  return lanes * elementBytes(cast<SymTensorType>(read.getTensor().getType()).scalarType()) / 4;
}

bool BodyEmitter::comesInWords(ReadOp read, int inner, unsigned lanes, Alignment &alignment) {
  Type scalar = cast<SymTensorType>(read.getTensor().getType()).scalarType();
  return scalar.getIntOrFloatBitWidth() >= 8 && lanes * elementBytes(scalar) % 4 == 0 &&
         vectorizable(read, inner, alignment);
}

SmallVector<ReadOp> BodyEmitter::wholeReadsAhead(int inner, unsigned lanes, Alignment &alignment) {
  constexpr unsigned kMostWords = 4; // of a load
  SmallVector<ReadOp> found;
  unsigned firstIndex = numLeading + numTensors, indices = region.front().getNumArguments() - firstIndex;
  for (ReadOp read : readsAhead()) {
    bool inOrder = read.getIndices().size() == indices;
    for (auto [i, v] : llvm::enumerate(read.getIndices()))
      inOrder = inOrder && cast<BlockArgument>(v).getArgNumber() == firstIndex + i;
    if (inOrder && wordsOf(read, lanes) <= kMostWords && comesInWords(read, inner, lanes, alignment))
      found.push_back(read);
  }
  return found;
}

unsigned BodyEmitter::wordsAhead(int inner, unsigned lanes, Alignment &alignment) {
  unsigned words = 0;
  for (ReadOp read : wholeReadsAhead(inner, lanes, alignment))
    words += wordsOf(read, lanes);
  return words;
}

Values BodyEmitter::loadAhead(Value when, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment) {
  Values all;
  for (ReadOp read : wholeReadsAhead(inner, lanes, alignment))
    all.append(k.loadWhen(when, address(read, indices), k.i32, wordsOf(read, lanes), /*once=*/false));
  return all;
}

SmallVector<ReadOp> BodyEmitter::columnReads(int inner, unsigned lanes, Alignment &alignment) {
  constexpr unsigned kMostWords = 20;
  SmallVector<ReadOp> found;
  unsigned firstIndex = numLeading + numTensors, words = 0;
  for (ReadOp read : readsAhead()) {
    bool ofColumn = !read.getIndices().empty() && llvm::all_of(read.getIndices(), [&](Value v) {
      return (int)(cast<BlockArgument>(v).getArgNumber() - firstIndex) == inner;
    });
    if (!ofColumn || words + wordsOf(read, lanes) > kMostWords || !comesInWords(read, inner, lanes, alignment))
      continue;
    words += wordsOf(read, lanes);
    found.push_back(read);
  }
  return found;
}

Values BodyEmitter::loadColumns(Value when, ArrayRef<Value> indices, int inner, unsigned lanes, Alignment &alignment) {
  constexpr unsigned kMost = 4; // words of a load
  Values all;
  for (ReadOp read : columnReads(inner, lanes, alignment)) {
    Value from = address(read, Values(read.getIndices().size(), indices[inner]));
    for (unsigned at = 0, words = wordsOf(read, lanes); at < words; at += kMost)
      all.append(k.loadWhen(when, k.gep(from, at * 4), k.i32, std::min(kMost, words - at), /*once=*/false));
  }
  return all;
}

void BodyEmitter::giveWords(ValueRange words, ValueRange columns, int inner, unsigned lanes, Alignment &alignment) {
  given.clear();
  auto give = [&](ValueRange from, ArrayRef<ReadOp> reads) {
    for (ReadOp read : from.empty() ? ArrayRef<ReadOp>() : reads) {
      unsigned count = wordsOf(read, lanes);
      given[operandOf(read)] =
          k.elementsOf(from.take_front(count), cast<SymTensorType>(read.getTensor().getType()).scalarType());
      from = from.drop_front(count);
    }
  };
  if (!words.empty())
    give(words, wholeReadsAhead(inner, lanes, alignment));
  if (!columns.empty())
    give(columns, columnReads(inner, lanes, alignment));
}

Values BodyEmitter::emit(ArrayRef<Values> leading, ArrayRef<Value> indices, int inner, unsigned lanes,
                         Alignment &alignment) {
  struct Seen {
    Values values; // a lane each, or one for all
    Value in;      // inside, of a checked vector read
  };
  llvm::DenseMap<Operation *, Seen> seen;
  Values results;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    Values at;
    for (auto [i, v] : llvm::enumerate(indices))
      at.push_back(k.toIndex((int)i == inner ? k.add(v, lane) : v));
    auto read = [&](OpBuilder &, unsigned, ReadOp op, ArrayRef<Value> indexValues, Value otherwise) -> Value {
      if (auto known = given.find(operandOf(op)); known != given.end())
        return known->second[lane];
      Values position;
      for (Value v : indexValues)
        position.push_back(k.fromIndex(v));
      if (lanes == 1)
        return readOne(op, position, otherwise);
      auto [it, fresh] = seen.try_emplace(op);
      if (fresh) {
        bool uniform = use(op.getResult(), inner).kind == LaneUse::Uniform;
        if (uniform) {
          seen[op].values = {readOne(op, position, otherwise)};
        } else if (vectorizable(op, inner, alignment)) {
          Type scalar = cast<SymTensorType>(op.getTensor().getType()).scalarType();
          Value in = otherwise ? inside(op, position) : Value();
          // A branch answers whole words where they are: fewer registers, and what is in them is taken out at once.
          unsigned words = scalar.getIntOrFloatBitWidth() >= 8 ? wordsOf(op, lanes) : 0,
                   perWord = words ? lanes / words : 0;
          bool whole = in && words && lanes % words == 0 && perWord > 1;
          Type moved = whole ? k.i32 : scalar;
          unsigned count = whole ? words : lanes;
          auto loads = [&] { return k.loadElements(address(op, position), moved, count); };
          Seen now;
          now.in = in;
          now.values =
              in ? k.ifElse(in, SmallVector<Type>(count, moved), loads, [&] { return Values(count, k.zero(moved)); })
                 : loads();
          if (whole)
            now.values = k.elementsOf(now.values, scalar);
          seen[op] = now;
        }
      }
      Seen &s = seen[op];
      if (s.values.empty())
        return readOne(op, position, otherwise);
      Value v = s.values.size() == 1 ? s.values[0] : s.values[lane];
      // Elements outside are zeros already.
      bool zero = s.in && (matchPattern(otherwise, m_Zero()) || matchPattern(otherwise, m_PosZeroFloat()));
      return s.in && !zero ? k.sel(s.in, v, otherwise) : v;
    };
    auto size = [&](OpBuilder &, Expr e) { return k.toIndex(k.size(e)); };
    auto bounded = [&](OpBuilder &, BoundedOp op, Value value, Value when) -> Value {
      if (lanes == 1 || use(op.getResult(), inner).kind != LaneUse::Uniform)
        return k.toIndex(k.bounded(op, value, when));
      Values &once = seen[op].values;
      if (once.empty())
        once = {k.toIndex(k.bounded(op, value, when))};
      return once[0];
    };
    Values first = leading.empty() ? Values() : leading[lane];
    Values yielded(codegen::inlineBody(k.b, region, first, operands.size(), at, {read, size, bounded}));
    results.push_back(yielded[0]);
    if (lane == 0)
      second = yielded.size() > 1 ? yielded[1] : Value();
  }
  return results;
}

Value BodyEmitter::emitSecond(ArrayRef<Value> indices) {
  OperandRange yielded = cast<YieldOp>(region.front().getTerminator()).getValues();
  if (yielded.size() < 2)
    return {};
  Values at;
  for (Value v : indices)
    at.push_back(k.toIndex(v));
  auto read = [&](OpBuilder &, unsigned, ReadOp op, ArrayRef<Value> indexValues, Value otherwise) -> Value {
    Values position;
    for (Value v : indexValues)
      position.push_back(k.fromIndex(v));
    return readOne(op, position, otherwise);
  };
  auto size = [&](OpBuilder &, Expr e) { return k.toIndex(k.size(e)); };
  auto bounded = [&](OpBuilder &, BoundedOp op, Value value, Value when) {
    return k.toIndex(k.bounded(op, value, when));
  };
  return codegen::inlineOne(k.b, region, 1, at, {read, size, bounded});
}

Value BodyEmitter::emit(ValueRange leading, ArrayRef<Value> indices) {
  Alignment none;
  Values first(leading);
  return emit(ArrayRef<Values>(first), indices, -1, 1, none)[0];
}
