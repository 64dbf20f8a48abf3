//===- ControlFlow.cpp - If, Loop and Scan --------------------------------===//
//
// Conditions and trip counts become expressions, so the program branches without tensors. What changes its size from
// one iteration or branch to the next gets a symbol for it.
//
//===----------------------------------------------------------------------===//

#include "compiler/Import/Importer.h"
#include "compiler/Import/Shared.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

namespace {

/// The symbols that ops in `region` bind: outside they say nothing.
void symbolsBoundIn(Region &region, llvm::StringSet<> &names) {
  region.walk([&](Operation *op) {
    if (auto item = dyn_cast<ItemOp>(op))
      names.insert(item.getSymbol());
    if (auto branch = dyn_cast<IfOp>(op))
      for (Attribute s : branch.getSymbols())
        names.insert(cast<StringAttr>(s).getValue());
    if (auto loop = dyn_cast<LoopOp>(op)) {
      for (Attribute s : loop.getSymbols())
        names.insert(cast<StringAttr>(s).getValue());
      names.insert(loop.getInduction());
      names.insert(loop.getIterations());
    }
  });
}

bool mentions(Expr e, const llvm::StringSet<> &names) {
  bool found = false;
  e.forEachSymbol([&](StringRef s) { found |= names.contains(s); });
  return found;
}

ArrayAttr exprs(Node &n, ArrayRef<Expr> list) {
  SmallVector<Attribute> attrs;
  for (Expr e : list)
    attrs.push_back(e.attr());
  return n.b.getArrayAttr(attrs);
}
ArrayAttr names(Node &n, ArrayRef<Expr> symbols) {
  SmallVector<Attribute> attrs;
  for (Expr e : symbols)
    attrs.push_back(n.b.getStringAttr(e.name()));
  return n.b.getArrayAttr(attrs);
}

/// A truth value, as an expression.
std::optional<Expr> condition(Node &n, Value v) { return n.symbolicInt(v, "condition"); }

LogicalResult setAll(Node &n, ArrayRef<Value> values) {
  if (values.size() < n.numOutputs())
    return n.error("expected " + Twine(n.numOutputs()) + " outputs of the subgraph but got " + Twine(values.size()));
  for (unsigned i = 0; i < n.numOutputs(); ++i)
    if (failed(n.set(i, values[i])))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// A branch's region while it is imported, its results and what is known of them.
struct Branch {
  Region region;
  SmallVector<Value> results;
  SmallVector<std::optional<Contents>> known;
};

LogicalResult importBranch(Node &n, const onnx::GraphProto &graph, Branch &branch) {
  n.importer.enterRegion(&branch.region.emplaceBlock());
  auto results = n.importer.subgraph(graph, {});
  if (succeeded(results)) {
    branch.results = *results;
    for (Value v : *results) {
      const Contents *c = n.known(v);
      branch.known.push_back(c ? std::optional<Contents>(*c) : std::nullopt);
    }
    YieldOp::create(n.b, n.loc, branch.results);
  }
  n.importer.leaveRegion();
  return results;
}

bool squeezes(const onnx::GraphProto &graph) {
  return llvm::any_of(graph.node(), [](const onnx::NodeProto &node) { return node.op_type() == "Squeeze"; });
}

/// Branches that yield tensors of other ranks: the one that the rest of the model is written for, in every run.
LogicalResult oneBranch(Node &n, Expr condition, const onnx::GraphProto &thenGraph, const onnx::GraphProto &elseGraph,
                        const Twine &ambiguous) {
  bool taken = n.importer.choose(n, squeezes(thenGraph) || !squeezes(elseGraph), ambiguous);
  AssertOp::create(n.b, n.loc, Expr::eq(condition, n.expr(0)).attr(), n.expr(taken ? 0 : 1).attr(),
                   n.b.getStringAttr(Twine("the ") + (taken ? "then" : "else") +
                                     " branch runs, for which alone the rest of the model is valid"));
  auto results = n.importer.subgraph(taken ? thenGraph : elseGraph, {});
  return failed(results) ? failure() : setAll(n, *results);
}

LogicalResult ifOp(Node &n) {
  const auto *thenGraph = n.attr("then_branch"), *elseGraph = n.attr("else_branch");
  if (!thenGraph || !elseGraph)
    return n.error("expected then_branch and else_branch");
  auto c = condition(n, n.in(0));
  if (!c)
    return failure();
  if (auto taken = n.importer.decide(*c)) { // the other branch does not exist
    auto results = n.importer.subgraph((*taken ? thenGraph : elseGraph)->g(), {});
    return failed(results) ? failure() : setAll(n, *results);
  }
  Branch yes, no;
  if (failed(importBranch(n, thenGraph->g(), yes)) || failed(importBranch(n, elseGraph->g(), no)))
    return failure();
  if (yes.results.size() != no.results.size())
    return n.error("branches yield " + Twine(yes.results.size()) + " and " + Twine(no.results.size()) + " values");
  for (auto [i, a, b] : llvm::enumerate(yes.results, no.results))
    if (n.type(a).getRank() != n.type(b).getRank())
      return oneBranch(n, *c, thenGraph->g(), elseGraph->g(),
                       "unsupported If: its branches yield tensors of rank " + Twine(n.type(a).getRank()) + " and " +
                           Twine(n.type(b).getRank()) + " for output " + Twine(i) +
                           ", the model goes on with either, and only a run decides " + c->str() +
                           ": fix the size with --dim");
  llvm::StringSet<> inner;
  symbolsBoundIn(yes.region, inner);
  symbolsBoundIn(no.region, inner);
  SmallVector<Expr> symbols, thenSizes, elseSizes;
  SmallVector<Type> types;
  for (auto [i, a, b] : llvm::enumerate(yes.results, no.results)) {
    SymTensorType x = n.type(a), y = n.type(b);
    if (x.getElementType() != y.getElementType() || x.getRank() != y.getRank()) {
      std::string text;
      llvm::raw_string_ostream(text) << x << " and " << y;
      return n.error("unsupported If: branches yield " + text + " for output " + Twine(i));
    }
    SmallVector<Expr> dims;
    for (int64_t d = 0; d < x.getRank(); ++d) {
      if (x.dim(d) == y.dim(d) && !mentions(x.dim(d), inner)) {
        dims.push_back(x.dim(d));
        continue;
      }
      // Equal pairs share a symbol, so that what is one size in both branches stays one.
      auto same = llvm::find_if(llvm::seq<size_t>(0, symbols.size()),
                                [&](size_t s) { return thenSizes[s] == x.dim(d) && elseSizes[s] == y.dim(d); });
      if (same != llvm::seq<size_t>(0, symbols.size()).end()) {
        dims.push_back(symbols[*same]);
        continue;
      }
      symbols.push_back(n.freshSymbol("branch"));
      thenSizes.push_back(x.dim(d));
      elseSizes.push_back(y.dim(d));
      dims.push_back(symbols.back());
    }
    types.push_back(n.tensor(dims, x.getElementType()));
  }
  auto op = IfOp::create(n.b, n.loc, types, c->attr(), names(n, symbols), exprs(n, thenSizes), exprs(n, elseSizes));
  op.getThenRegion().takeBody(yes.region);
  op.getElseRegion().takeBody(no.region);
  for (auto [i, v] : llvm::enumerate(op.getResults())) {
    // Small integers that both branches know are known here, as a choice.
    const auto &a = yes.known[i], &b = no.known[i];
    if (!a || !b || a->size() != b->size())
      continue;
    Contents merged;
    for (auto [x, y] : llvm::zip(*a, *b))
      if (x.isExpr() && y.isExpr() && !mentions(x.e, inner) && !mentions(y.e, inner))
        merged.push_back(Scalar::of(Expr::select(*c, x.e, y.e)));
    if (merged.size() == a->size())
      n.importer.setKnown(v, std::move(merged));
  }
  return setAll(n, SmallVector<Value>(op.getResults()));
}

} // namespace

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> import::loop(Node &n, ValueRange inits, Expr trips, Expr first, ArrayRef<bool> reverse,
                                           LoopBody body) {
  if (first && first.asConstant() && !first.isConstant(0))
    first = {};
  if (trips && !first && trips.isConstant(1)) { // no loop at all
    auto y = body(inits, n.expr(0));
    if (failed(y))
      return failure();
    SmallVector<Value> results(y->carried);
    for (Value piece : y->pieces) {
      SmallVector<Expr> dims = n.dims(piece);
      dims.insert(dims.begin(), n.expr(1));
      results.push_back(n.reshape(piece, dims));
    }
    return results;
  }
  SmallVector<SmallVector<Expr>> dims;
  for (Value v : inits)
    dims.push_back(n.dims(v));
  SmallVector<Expr> symbols, firstSizes;
  SmallVector<std::pair<size_t, size_t>> changing; // (carried value, dimension) of each symbol
  while (true) {
    Region region;
    Block &block = region.emplaceBlock();
    for (auto [v, d] : llvm::zip(inits, dims))
      block.addArgument(n.tensor(d, n.type(v).getElementType()), n.loc);
    Expr induction = n.freshSymbol("i");
    n.importer.enterRegion(&block);
    auto y = body(block.getArguments(), induction);
    if (succeeded(y)) {
      SmallVector<Value> values(y->carried);
      values.append(y->pieces);
      YieldOp::create(n.b, n.loc, values);
    }
    n.importer.leaveRegion();
    if (failed(y))
      return failure();
    if (y->carried.size() != inits.size() || y->pieces.size() != reverse.size())
      return n.error("expected " + Twine(inits.size()) + " carried values and " + Twine(reverse.size()) +
                     " pieces but the body yields " + Twine(y->carried.size()) + " and " + Twine(y->pieces.size()));
    bool stable = true;
    for (auto [i, v] : llvm::enumerate(y->carried)) {
      SymTensorType before = cast<SymTensorType>(block.getArgument(i).getType()), after = n.type(v);
      if (before.getElementType() != after.getElementType() || before.getRank() != after.getRank()) {
        std::string text;
        llvm::raw_string_ostream(text) << before << " becomes " << after;
        return n.error("unsupported loop: carried value " + Twine(i) + " " + text);
      }
      for (int64_t d = 0; d < before.getRank(); ++d)
        if (before.dim(d) != after.dim(d) && !llvm::is_contained(changing, std::pair<size_t, size_t>(i, d))) {
          stable = false;
          changing.push_back({i, d});
          firstSizes.push_back(dims[i][d]);
          symbols.push_back(n.freshSymbol("carried"));
          dims[i][d] = symbols.back();
        }
    }
    if (!stable)
      continue; // this attempt took a size for fixed that is not
    SmallVector<Expr> nextSizes;
    for (auto [i, d] : changing)
      nextSizes.push_back(n.type(y->carried[i]).dim(d));
    llvm::StringSet<> inner;
    symbolsBoundIn(region, inner);
    inner.insert(induction.name());
    for (Expr s : symbols)
      inner.insert(s.name());
    Expr go = first;
    if (y->next && (!y->next.asConstant() || y->next.isConstant(0))) {
      go = n.freshSymbol("go", /*mayBeNegative=*/true);
      symbols.push_back(go);
      firstSizes.push_back(first ? first : n.expr(1));
      nextSizes.push_back(y->next);
    }
    Expr iterations = n.freshSymbol("iterations");
    SmallVector<Type> types(block.getArgumentTypes());
    for (Value piece : y->pieces) {
      SmallVector<Expr> d{trips && !go ? Expr::max(trips, n.expr(0)) : iterations};
      for (Expr e : n.dims(piece)) {
        // All pieces have the shape of the first one.
        e = e.substitute([&](StringRef name) {
          if (name == induction.name())
            return n.expr(0);
          for (auto [symbol, size] : llvm::zip(symbols, firstSizes))
            if (symbol.name() == name)
              return size;
          return Expr();
        });
        if (mentions(e, inner))
          return n.error("unsupported loop: a stacked output has a size that the loop computes, " + e.str());
        d.push_back(e);
      }
      types.push_back(n.tensor(d, n.type(piece).getElementType()));
    }
    auto op =
        LoopOp::create(n.b, n.loc, types, inits, trips ? trips.attr() : ExprAttr(), go ? go.attr() : ExprAttr(),
                       n.b.getStringAttr(induction.name()), n.b.getStringAttr(iterations.name()), names(n, symbols),
                       exprs(n, firstSizes), exprs(n, nextSizes), n.b.getDenseBoolArrayAttr(reverse));
    op.getBody().takeBody(region);
    return SmallVector<Value>(op.getResults());
  }
}

namespace {

LogicalResult loopOp(Node &n) {
  const auto *attr = n.attr("body");
  if (!attr || n.numInputs() < 2)
    return n.error("expected a body, a trip count and a condition");
  const onnx::GraphProto &graph = attr->g();
  Expr trips, first;
  if (n.has(0)) {
    auto e = n.symbolicInt(n.in(0), "trip count");
    if (!e)
      return failure();
    trips = *e;
    if (auto c = trips.asConstant(); c && *c >= INT32_MAX) // exporters' way of writing "while"
      trips = {};
  }
  if (n.has(1)) {
    auto c = condition(n, n.in(1));
    if (!c)
      return failure();
    first = *c;
  }
  SmallVector<Value> inits;
  for (unsigned i = 2; i < n.numInputs(); ++i)
    if (Value v = n.in(i))
      inits.push_back(v);
  int64_t stacked = graph.output_size() - 1 - (int64_t)inits.size();
  if (stacked < 0 || graph.input_size() != (int64_t)inits.size() + 2)
    return n.error("the body has " + Twine(graph.input_size()) + " inputs and " + Twine(graph.output_size()) +
                   " outputs but " + Twine(inits.size()) + " values are carried");
  Value truth = n.constantInts({1}, n.b.getI1Type(), {}); // the condition holds wherever the body runs
  auto results = loop(n, inits, trips, first, SmallVector<bool>(stacked, false),
                      [&](ValueRange carried, Expr i) -> FailureOr<LoopYield> {
                        Value counter = sizesTensor(n, {i}, true);
                        n.importer.setKnown(counter, {Scalar::of(i)});
                        SmallVector<Value> in{counter, truth};
                        llvm::append_range(in, carried);
                        auto out = n.importer.subgraph(graph, in);
                        if (failed(out))
                          return failure();
                        auto next = condition(n, (*out)[0]);
                        if (!next)
                          return failure();
                        LoopYield y;
                        y.next = *next;
                        y.carried.assign(out->begin() + 1, out->begin() + 1 + inits.size());
                        y.pieces.assign(out->begin() + 1 + inits.size(), out->end());
                        return y;
                      });
  return failed(results) ? failure() : setAll(n, *results);
}

/// The tensor at position `at` along `axis`, without that dimension.
Value pieceOf(Node &n, Value v, int64_t axis, Expr at) {
  SmallVector<Expr> out = n.dims(v);
  out.erase(out.begin() + axis);
  return n.generic(n.tensor(out, n.type(v).getElementType()), v, [&](Body &b) {
    SmallVector<Value> where = b.indices();
    where.insert(where.begin() + axis, b.size(at));
    return b.read(0, where);
  });
}

/// One scan: states, then the stacked outputs along the dimension that scan_output_axes says.
FailureOr<SmallVector<Value>> scanOver(Node &n, const onnx::GraphProto &graph, ArrayRef<Value> states,
                                       ArrayRef<Value> inputs, ArrayRef<int64_t> inputAxes,
                                       ArrayRef<int64_t> inputDirections, ArrayRef<int64_t> outputAxes,
                                       ArrayRef<int64_t> outputDirections) {
  SmallVector<int64_t> axes;
  Expr trips;
  for (auto [v, a] : llvm::zip(inputs, inputAxes)) {
    auto axis = n.axis(a, n.type(v).getRank());
    if (!axis)
      return failure();
    axes.push_back(*axis);
    Expr length = n.type(v).dim(*axis);
    if (trips && failed(n.require(trips, length, "lengths of scanned inputs")))
      return failure();
    trips = trips ? trips : length;
  }
  SmallVector<bool> reverse;
  for (int64_t d : outputDirections)
    reverse.push_back(d == 1);
  auto results = loop(n, states, trips, {}, reverse, [&](ValueRange carried, Expr i) -> FailureOr<LoopYield> {
    SmallVector<Value> in(carried);
    for (auto [k, v] : llvm::enumerate(inputs))
      in.push_back(pieceOf(n, v, axes[k], inputDirections[k] == 1 ? trips - 1 - i : i));
    auto out = n.importer.subgraph(graph, in);
    if (failed(out))
      return failure();
    LoopYield y;
    y.carried.assign(out->begin(), out->begin() + states.size());
    y.pieces.assign(out->begin() + states.size(), out->end());
    return y;
  });
  if (failed(results))
    return failure();
  for (auto [k, a] : llvm::enumerate(outputAxes)) {
    Value &v = (*results)[states.size() + k];
    auto axis = n.axis(a, n.type(v).getRank());
    if (!axis)
      return failure();
    SmallVector<int64_t> perm;
    for (int64_t d = 1; d < n.type(v).getRank(); ++d)
      perm.push_back(d);
    perm.insert(perm.begin() + *axis, 0);
    v = n.transpose(v, perm);
  }
  return results;
}

LogicalResult scan(Node &n) {
  const auto *attr = n.attr("body");
  int64_t count = n.attrInt("num_scan_inputs", 0);
  bool batched = n.opset < 9; // a batch dimension in front of everything, and sequence lengths as input 0
  unsigned begin = batched ? 1 : 0;
  int64_t most = (int64_t)n.numInputs() - begin;
  if (!attr || count < 1 || count > most)
    return n.error("expected a body and 1 to " + Twine(most) + " scanned inputs but got " + Twine(count));
  int64_t stateCount = most - count;
  const onnx::GraphProto &graph = attr->g();
  int64_t stacked = graph.output_size() - stateCount;
  if (stacked < 0 || graph.input_size() != stateCount + count)
    return n.error("the body has " + Twine(graph.input_size()) + " inputs and " + Twine(graph.output_size()) +
                   " outputs for " + Twine(stateCount) + " states and " + Twine(count) + " scanned inputs");
  SmallVector<Value> states, inputs;
  for (unsigned i = begin; i < n.numInputs(); ++i) {
    if (!n.has(i))
      return n.error("input " + Twine(i) + " of Scan is missing: only sequence lengths may be");
    ((int64_t)(i - begin) < stateCount ? states : inputs).push_back(n.in(i));
  }
  auto inputAxes = n.attrInts("scan_input_axes", 0, count), outputAxes = n.attrInts("scan_output_axes", 0, stacked);
  auto inputDirections = n.attrInts(batched ? "directions" : "scan_input_directions", 0, count);
  auto outputDirections = n.attrInts("scan_output_directions", 0, stacked);
  if (!inputAxes || !outputAxes || !inputDirections || !outputDirections)
    return failure();
  auto run = [&](ArrayRef<Value> s, ArrayRef<Value> x) {
    return scanOver(n, graph, s, x, *inputAxes, *inputDirections, *outputAxes, *outputDirections);
  };
  if (!batched) {
    auto results = run(states, inputs);
    return failed(results) ? failure() : setAll(n, *results);
  }
  if (n.has(0))
    return n.error("unsupported Scan with sequence lengths");
  for (unsigned i = begin; i < n.numInputs(); ++i)
    if (n.rank(i) == 0)
      return n.error("expected a batch dimension of input " + Twine(i) + " but got rank 0");
  auto results = loop(n, {}, n.type(inputs[0]).dim(0), {}, SmallVector<bool>(stateCount + stacked, false),
                      [&](ValueRange, Expr i) -> FailureOr<LoopYield> {
                        SmallVector<Value> s, x;
                        for (Value v : states)
                          s.push_back(pieceOf(n, v, 0, i));
                        for (Value v : inputs)
                          x.push_back(pieceOf(n, v, 0, i));
                        auto out = run(s, x);
                        if (failed(out))
                          return failure();
                        return LoopYield{{}, *out, {}};
                      });
  return failed(results) ? failure() : setAll(n, *results);
}

} // namespace

void import::registerControlFlow(OpTable &t) {
  t["If"] = ifOp;
  t["Loop"] = {loopOp, 0};
  t["Scan"] = {scan, 0};
}
