//===- Node.cpp - what an operator's definition works with ----------------===//

#include "compiler/Import/Node.h"
#include "compiler/Import/Importer.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

Node::Node(Importer &importer, const onnx::NodeProto &proto, int64_t opset, Location loc)
    : importer(importer), proto(proto), loc(loc), b(importer.b), context(importer.b.getContext()), opset(opset) {}

Value Node::in(unsigned i) { return has(i) ? importer.lookup(proto.input(i)) : Value(); }

LogicalResult Node::error(const Twine &message) {
  emitError(loc) << message;
  return failure();
}

std::nullopt_t Node::refuse(const Twine &message) {
  (void)error(message);
  return std::nullopt;
}

LogicalResult Node::set(unsigned i, Value v) {
  if (!v)
    return failure();
  // Definitions count with the constant sizes that they find.
  if (auto tensor = dyn_cast<SymTensorType>(v.getType()))
    for (auto [d, size] : llvm::enumerate(tensor.getDims()))
      if (auto known = Expr(size).asConstant(); known && *known < 0)
        return error("dimension " + Twine(d) + " of output " + Twine(i) + " would be " + Twine(*known));
  if (wants(i))
    importer.define(proto.output(i), v);
  return success();
}

LogicalResult Node::setState(unsigned i, Value v, unsigned input) {
  if (v && wants(i) && has(input))
    importer.goesOn(in(input), v);
  return set(i, v);
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const onnx::AttributeProto *Node::attr(StringRef name) const {
  for (const auto &a : proto.attribute())
    if (a.name() == name)
      return a.ref_attr_name().empty() ? &a : importer.functionAttr(a.ref_attr_name());
  return nullptr;
}
int64_t Node::attrInt(StringRef name, int64_t otherwise) const {
  const auto *a = attr(name);
  return a ? a->i() : otherwise;
}
double Node::attrFloat(StringRef name, double otherwise) const {
  const auto *a = attr(name);
  return a ? a->f() : otherwise;
}
std::string Node::attrString(StringRef name, StringRef otherwise) const {
  const auto *a = attr(name);
  return a ? a->s() : otherwise.str();
}
std::optional<SmallVector<int64_t>> Node::attrInts(StringRef name, int64_t otherwise, size_t count) {
  auto given = attrInts(name);
  if (!given || given->empty())
    return SmallVector<int64_t>(count, otherwise);
  if (given->size() != count)
    return refuse("expected " + Twine(count) + " " + name + " but got " + Twine(given->size()));
  return SmallVector<int64_t>(given->begin(), given->end());
}
std::optional<std::string> Node::attrWord(StringRef name, ArrayRef<StringRef> words) {
  std::string word = attrString(name, words.front());
  if (llvm::is_contained(words, word))
    return word;
  return refuse("unknown " + name + " '" + word + "', expected one of " + llvm::join(words, ", "));
}
std::optional<std::vector<int64_t>> Node::attrInts(StringRef name) const {
  const auto *a = attr(name);
  if (!a)
    return std::nullopt;
  return std::vector<int64_t>(a->ints().begin(), a->ints().end());
}
std::optional<std::vector<float>> Node::attrFloats(StringRef name) const {
  const auto *a = attr(name);
  if (!a)
    return std::nullopt;
  return std::vector<float>(a->floats().begin(), a->floats().end());
}

//===----------------------------------------------------------------------===//
// What is known
//===----------------------------------------------------------------------===//

const Contents *Node::known(Value v) { return v ? importer.known(v) : nullptr; }

std::optional<SmallVector<Expr>> Node::symbolicInts(Value v, StringRef what) {
  SmallVector<Expr> out;
  auto count = type(v).numElements().asConstant();
  if (const Contents *contents = known(v)) {
    bool all = true;
    for (const Scalar &s : *contents) {
      all &= s.isExpr();
      out.push_back(s.e);
    }
    if (all)
      return out;
    out.clear();
  }
  if (!count || *count > kMaxEvaluated) {
    (void)error("unsupported " + what + ": expected at most " + Twine(kMaxEvaluated) +
                " elements, a number known at compile time");
    return std::nullopt;
  }
  Contents contents;
  for (int64_t i = 0; i < *count; ++i) {
    Expr symbol = freshSymbol("item", /*mayBeNegative=*/true);
    OpBuilder at = importer.builderAt(v);
    ItemOp::create(at, loc, v, b.getI64IntegerAttr(i), b.getStringAttr(symbol.name()));
    out.push_back(symbol);
    contents.push_back(Scalar::of(symbol));
  }
  importer.setKnown(v, std::move(contents)); // the next one who asks gets the same symbols
  return out;
}

std::optional<Expr> Node::symbolicInt(Value v, StringRef what) {
  auto all = symbolicInts(v, what);
  if (!all)
    return std::nullopt;
  if (all->size() != 1)
    return refuse("expected one element for " + what + " but got " + Twine(all->size()));
  return all->front();
}

LogicalResult Node::expectRank(unsigned i, int64_t expected) {
  if (rank(i) != expected)
    return error("expected rank " + Twine(expected) + " of input " + Twine(i) + " but got " + Twine(rank(i)));
  return success();
}

std::optional<SmallVector<int64_t>> Node::constInts(Value v, StringRef what) {
  SmallVector<int64_t> out;
  const Contents *contents = known(v);
  if (!contents) {
    (void)error("unsupported " + what + ": expected a constant");
    return std::nullopt;
  }
  for (const Scalar &s : *contents) {
    auto c = s.isExpr() ? s.e.asConstant() : std::nullopt;
    if (!c) {
      (void)error("unsupported " + what + ": expected constant integers" +
                  (s.isExpr() ? " but got " + s.e.str() : std::string()));
      return std::nullopt;
    }
    out.push_back(*c);
  }
  return out;
}

std::optional<double> Node::constFloat(Value v) {
  const Contents *contents = known(v);
  if (!contents || contents->size() != 1)
    return std::nullopt;
  const Scalar &s = contents->front();
  if (!s.isExpr())
    return s.f;
  auto c = s.e.asConstant();
  return c ? std::optional<double>((double)*c) : std::nullopt;
}

LogicalResult Node::checkUnderstood(const Definition &definition) {
  if (!definition.inputs)
    return success();
  for (unsigned i = *definition.inputs; i < numInputs(); ++i)
    if (has(i))
      return error("unsupported input " + Twine(i) + " of " + op() + ": the first " + Twine(*definition.inputs) +
                   " are supported");
  SmallVector<StringRef> names;
  definition.attributes.split(names, ' ', -1, /*KeepEmpty=*/false);
  for (const onnx::AttributeProto &a : proto.attribute()) {
    auto *it = llvm::find_if(names, [&](StringRef name) { return name.split('=').first == a.name(); });
    if (it == names.end())
      return error("unsupported attribute " + Twine(a.name()) + " of " + op());
    int64_t only = 0;
    if (it->contains('=') && !it->split('=').second.getAsInteger(10, only) && attrInt(a.name(), only) != only)
      return error("unsupported " + Twine(a.name()) + " = " + Twine(attrInt(a.name(), only)) + " of " + op() +
                   ": expected " + Twine(only));
  }
  return success();
}

std::optional<SmallVector<Expr>> Node::symbolicIntsOf(StringRef name, unsigned i) {
  if (has(i))
    return symbolicInts(in(i), name);
  if (auto ints = attrInts(name)) {
    SmallVector<Expr> out;
    for (int64_t v : *ints)
      out.push_back(expr(v));
    return out;
  }
  return std::nullopt;
}

std::optional<SmallVector<int64_t>> Node::constIntsOf(StringRef name, unsigned i) {
  if (has(i))
    return constInts(in(i), name);
  if (auto ints = attrInts(name))
    return SmallVector<int64_t>(ints->begin(), ints->end());
  return std::nullopt;
}

std::optional<ArrayRef<char>> Node::bytes(Value v) {
  if (auto constant = v ? v.getDefiningOp<ConstantOp>() : ConstantOp())
    return constant.bytes();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Sizes, and what they have to satisfy
//===----------------------------------------------------------------------===//

Expr Node::freshSymbol(StringRef hint, bool mayBeNegative) {
  return Expr::symbol(context, (mayBeNegative ? "?" : "") + importer.freshName(hint));
}

SymTensorType Node::tensor(ArrayRef<Expr> dims, Type element) {
  SmallVector<ExprAttr> attrs;
  for (Expr e : dims)
    attrs.push_back(e.attr());
  return SymTensorType::get(context, attrs, element);
}

SmallVector<Expr> Node::dims(Value v) {
  SmallVector<Expr> out;
  if (!v)
    return out;
  for (ExprAttr d : type(v).getDims())
    out.push_back(importer.known(d));
  return out;
}

Expr Node::broadcastDim(Expr x, Expr y) {
  if (x == y || y.isConstant(1))
    return x;
  if (x.isConstant(1))
    return y;
  if (x.asConstant())
    return x;
  if (y.asConstant())
    return y;
  Expr one = expr(1);
  return Expr::select(Expr::eq(x, one), y, x);
}

/// min(d, c) against d, for a constant c other than 1: equal, or an error that the reads' clamping would hide.
void Node::settleMinimum(Expr minimum, Expr d) {
  if (minimum.kind() != Expr::Kind::Min || (minimum.operand(0) != d && minimum.operand(1) != d))
    return;
  Expr limit = minimum.operand(minimum.operand(0) == d);
  if (!limit.asConstant() || limit.isConstant(1))
    return;
  (void)require(minimum, d, "dimensions that are combined");
  importer.learnMinimum(minimum, d);
}

std::optional<SmallVector<Expr>> Node::broadcast(ArrayRef<SmallVector<Expr>> given) {
  SmallVector<SmallVector<Expr>> shapes(given);
  size_t rank = 0;
  for (const auto &s : shapes)
    rank = std::max(rank, s.size());
  // First, as what the columns of a window of a table say settles its rows too.
  for (auto &s : shapes)
    for (auto &t : shapes)
      for (size_t i = 1; i <= std::min(s.size(), t.size()); ++i)
        settleMinimum(importer.known(s[s.size() - i]), importer.known(t[t.size() - i]));
  for (auto &s : shapes)
    for (Expr &d : s)
      d = importer.known(d);
  SmallVector<Expr> out(rank, expr(1));
  for (const auto &s : shapes)
    for (size_t i = 0; i < s.size(); ++i) {
      Expr &slot = out[rank - s.size() + i];
      auto a = slot.asConstant(), c = s[i].asConstant();
      if (a && c && *a != *c && *a != 1 && *c != 1) {
        (void)error("shapes do not broadcast: dimension " + Twine(rank - s.size() + i) + " is " + Twine(*a) + " and " +
                    Twine(*c));
        return std::nullopt;
      }
      slot = broadcastDim(slot, s[i]);
    }
  // What was decided by symbols is checked when they are bound.
  for (const auto &s : shapes)
    for (size_t i = 0; i < s.size(); ++i) {
      Expr slot = out[rank - s.size() + i];
      if (s[i] == slot || s[i].isConstant(1))
        continue;
      Expr fits = Expr::select(Expr::eq(s[i], expr(1)), expr(1), Expr::eq(s[i], slot));
      if (failsAlways(fits)) {
        (void)error("shapes do not broadcast: dimension " + Twine(rank - s.size() + i) + " is " + slot.str() + " and " +
                    s[i].str());
        return std::nullopt;
      }
      if (!fits.isConstant(1))
        AssertOp::create(b, loc, fits.attr(), expr(1).attr(),
                         b.getStringAttr("dimensions broadcast: " + s[i].str() + " against " + slot.str()));
    }
  return out;
}

bool Node::failsAlways(Expr condition) { return importer.decide(condition) == 0 && !importer.mayNotRun(); }

LogicalResult Node::require(Expr x, Expr y, const Twine &what) {
  // Two that are missing are the same expression, but not equal numbers.
  if (x.poison() == Expr::Reason::rank || y.poison() == Expr::Reason::rank)
    return error(what + ": an input has too few dimensions");
  if (x == y)
    return success();
  auto cx = x.asConstant(), cy = y.asConstant();
  if (cx && cy)
    return error(what + ": expected " + Twine(*cx) + " but got " + Twine(*cy));
  if (failsAlways(Expr::eq(x, y)))
    return error(what + ": expected " + x.str() + " but got " + y.str() + ", which it never is");
  AssertOp::create(b, loc, x.attr(), y.attr(),
                   b.getStringAttr(what.str() + " are equal: " + x.str() + " and " + y.str()));
  return success();
}

LogicalResult Node::requireAtMost(Expr x, Expr limit, const Twine &what) {
  if (x.poison() == Expr::Reason::rank || limit.poison() == Expr::Reason::rank)
    return error(what + ": an input has too few dimensions");
  Expr inside = Expr::min(x, limit);
  if (inside == x)
    return success();
  auto cx = x.asConstant(), most = limit.asConstant();
  if (cx && most)
    return error(what + ": expected at most " + Twine(*most) + " but got " + Twine(*cx));
  if (failsAlways(Expr::eq(inside, x)))
    return error(what + ": expected at most " + limit.str() + " but got " + x.str() + ", which it never is");
  AssertOp::create(b, loc, inside.attr(), x.attr(),
                   b.getStringAttr(what.str() + ": expected " + x.str() + " <= " + limit.str()));
  return success();
}

SmallVector<Expr> Node::marked(ArrayRef<Expr> axes, int64_t rank) {
  SmallVector<Expr> marks;
  Expr distinct = expr(0);
  for (Expr a : axes) {
    (void)requireAtMost(a, expr(rank - 1), "the axis given");
    (void)requireAtMost(expr(-rank), a, "the axis given, from the end");
  }
  for (int64_t i = 0; i < rank; ++i) {
    Expr hit = expr(0);
    for (Expr a : axes)
      hit = Expr::max(hit, Expr::max(Expr::eq(a, expr(i)), Expr::eq(a, expr(i - rank))));
    marks.push_back(hit);
    distinct = distinct + hit;
  }
  if (axes.size() > 1)
    (void)require(distinct, expr(axes.size()), "axes that are distinct, and the axes given,");
  return marks;
}

SmallVector<Expr> Node::unmarked(ArrayRef<Expr> dims, ArrayRef<Expr> marks, int64_t count) {
  SmallVector<Expr> out;
  for (int64_t j = 0; j < (int64_t)dims.size() - count; ++j) {
    Expr size = expr(0), place = expr(0); // of dimension i among those that stay
    for (auto [d, m] : llvm::zip(dims, marks)) {
      Expr stays = expr(1) - m;
      size = size + stays * Expr::eq(place, expr(j)) * d;
      place = place + stays;
    }
    out.push_back(size);
  }
  return out;
}

std::optional<int64_t> Node::axis(int64_t value, int64_t rank) {
  if (value < -rank || value >= rank) {
    (void)error("axis " + Twine(value) + " is outside [" + Twine(-rank) + ", " + Twine(rank) + ")");
    return std::nullopt;
  }
  return value < 0 ? value + rank : value;
}

std::optional<SmallVector<int64_t>> Node::axes(ArrayRef<int64_t> values, int64_t rank) {
  SmallVector<int64_t> all;
  llvm::SmallBitVector seen(rank);
  for (int64_t value : values) {
    auto one = axis(value, rank);
    if (!one)
      return std::nullopt;
    if (seen.test(*one))
      return refuse("axis " + Twine(value) + " is given twice");
    seen.set(*one);
    all.push_back(*one);
  }
  return all;
}

std::string Node::typeText(unsigned i) {
  std::string text;
  llvm::raw_string_ostream(text) << element(i);
  return text;
}
