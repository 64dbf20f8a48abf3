//===- Program.cpp - the instructions of an artifact ----------------------===//

#include "codegen/Package/Program.h"
#include "codegen/Package/Package.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen;
using artifact::BufferId;
using artifact::ExprId;
using artifact::kNone;

std::optional<artifact::DType> codegen::dtypeOf(Type t) {
  using D = artifact::DType;
  if (auto i = dyn_cast<IntegerType>(t)) {
    bool u = i.isUnsigned();
    switch (i.getWidth()) {
    case 1:
      return D::boolean;
    case 2:
      return u ? D::u2 : D::i2;
    case 4:
      return u ? D::u4 : D::i4;
    case 8:
      return u ? D::u8 : D::i8;
    case 16:
      return u ? D::u16 : D::i16;
    case 32:
      return u ? D::u32 : D::i32;
    case 64:
      return u ? D::u64 : D::i64;
    default:
      break;
    }
    return std::nullopt;
  }
  if (t.isF32())
    return D::f32;
  if (t.isF16())
    return D::f16;
  if (t.isBF16())
    return D::bf16;
  if (t.isF64())
    return D::f64;
  if (isa<Float8E4M3FNType>(t))
    return D::f8e4m3fn;
  if (isa<Float8E4M3FNUZType>(t))
    return D::f8e4m3fnuz;
  if (isa<Float8E5M2Type>(t))
    return D::f8e5m2;
  if (isa<Float8E5M2FNUZType>(t))
    return D::f8e5m2fnuz;
  if (isa<Float4E2M1FNType>(t))
    return D::f4e2m1;
  if (isa<Float8E8M0FNUType>(t))
    return D::f8e8m0;
  return std::nullopt;
}

namespace {
/// A constant's recipe, for the writer.
class StoredConstant final : public artifact::WeightSource {
public:
  StoredConstant(MLIRContext *context, ConstantBytes bytes) : context(context), bytes(std::move(bytes)) {}

  uint64_t size() const override { return bytes.size(); }
  uint64_t unit() const override { return bytes.unit(); }
  void read(uint64_t begin, std::span<std::byte> out) const override {
    bytes.readInParallel(context, begin, {reinterpret_cast<char *>(out.data()), out.size()});
  }

private:
  MLIRContext *context;
  ConstantBytes bytes;
};
} // namespace

artifact::SymbolId ProgramBuilder::symbol(StringRef name) {
  auto [it, fresh] = symbols.try_emplace(name, model.symbols.size());
  if (fresh) {
    artifact::Symbol s;
    s.name = name.str();
    s.kind = name == kCapacity ? artifact::Symbol::Kind::Capacity : artifact::Symbol::Kind::Data;
    model.symbols.push_back(s);
  }
  return it->second;
}

ExprId ProgramBuilder::expr(Expr e) {
  return pool.add(e, [&](StringRef name) { return (int64_t)symbol(name); });
}

uint32_t ProgramBuilder::node(Location loc) {
  StringRef name;
  loc->walk([&](Location l) {
    if (auto named = dyn_cast<NameLoc>(l); named && name.empty()) {
      name = named.getName();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return node(name);
}

uint32_t ProgramBuilder::node(StringRef name) {
  if (name.empty())
    return kNone;
  auto [it, fresh] = nodes.try_emplace(name, model.nodes.size());
  if (fresh)
    model.nodes.push_back(name.str());
  return it->second;
}

BufferId ProgramBuilder::temporary(Value v) {
  auto type = cast<SymTensorType>(v.getType());
  artifact::Buffer buffer;
  buffer.bytes = expr(type.numElements() * type.elementBytes());
  model.buffers.push_back(buffer);
  return buffers[v] = model.buffers.size() - 1;
}

BufferId ProgramBuilder::bufferOf(Value v) {
  if (auto it = buffers.find(v); it != buffers.end())
    return it->second;
  if (isa_and_present<ReshapeOp, CapacityOp>(v.getDefiningOp()))
    return buffers[v] = bufferOf(v.getDefiningOp()->getOperand(0));
  auto constant = v.getDefiningOp<ConstantOp>();
  assert(constant && "a value is used before it is computed");
  ConstantBytes bytes = constant.contents();
  auto type = cast<SymTensorType>(v.getType());
  auto [it, fresh] = weights.try_emplace(bytes.identity(), model.weights.size());
  if (fresh || bytes.size() == 0) {
    artifact::Weight w;
    w.name = constant.getName().value_or("").str();
    w.type = dtypeOf(type.getElementType()).value_or(artifact::DType::u8);
    for (int64_t i = 0; i < type.getRank(); ++i)
      w.dims.push_back(*type.dim(i).asConstant());
    if (bytes.areComputed())
      w.source = std::make_shared<StoredConstant>(v.getContext(), bytes);
    else
      w.bytes = std::as_bytes(std::span(constant.bytes()));
    w.lookedUp = true;
    it->second = model.weights.size();
    model.weights.push_back(std::move(w));
  }
  artifact::Weight &weight = model.weights[it->second]; // also of others with these bytes
  weight.lookedUp = weight.lookedUp && constant.getLookedUp();
  artifact::Buffer buffer;
  buffer.kind = artifact::Buffer::Kind::Weight;
  buffer.weight = it->second;
  buffer.bytes = pool.constant(bytes.size());
  model.buffers.push_back(buffer);
  return buffers[v] = model.buffers.size() - 1;
}

void ProgramBuilder::setSymbols(ArrayAttr names, ArrayAttr values, artifact::Block &to) {
  for (auto [name, value] : llvm::zip(names, values))
    to.instructions.push_back(
        artifact::SetSymbol{symbol(cast<StringAttr>(name).getValue()), expr(cast<ExprAttr>(value))});
}

LogicalResult ProgramBuilder::ifOp(IfOp op, artifact::Block &to) {
  artifact::If instruction;
  instruction.condition = expr(op.getCondition());
  instruction.then = std::make_unique<artifact::Block>();
  instruction.otherwise = std::make_unique<artifact::Block>();
  auto branch = [&](Region &region, ArrayAttr sizes, artifact::Block &into,
                    std::vector<BufferId> &yields) -> LogicalResult {
    if (failed(block(region.front(), into)))
      return failure();
    setSymbols(op.getSymbols(), sizes, into);
    for (Value v : region.front().getTerminator()->getOperands())
      yields.push_back(bufferOf(v));
    return success();
  };
  if (failed(branch(op.getThenRegion(), op.getThenSizes(), *instruction.then, instruction.thenYields)) ||
      failed(branch(op.getElseRegion(), op.getElseSizes(), *instruction.otherwise, instruction.otherwiseYields)))
    return failure();
  for (Value v : op.getResults())
    instruction.results.push_back(temporary(v));
  to.instructions.push_back(std::move(instruction));
  return success();
}

LogicalResult ProgramBuilder::loopOp(LoopOp op, artifact::Block &to) {
  artifact::Loop instruction;
  Block &body = op.getBody().front();
  unsigned carried = op.getInits().size();
  setSymbols(op.getSymbols(), op.getFirstSizes(), to);
  if (op.getTrips())
    instruction.trips = expr(*op.getTrips());
  if (op.getCondition())
    instruction.condition = expr(*op.getCondition());
  instruction.induction = symbol(op.getInduction());
  model.symbols[instruction.induction].kind = artifact::Symbol::Kind::Induction;
  instruction.iterations = symbol(op.getIterations());
  instruction.body = std::make_unique<artifact::Block>();
  for (Value v : op.getInits())
    instruction.init.push_back(bufferOf(v));
  for (BlockArgument arg : body.getArguments())
    instruction.carried.push_back(temporary(arg));
  if (failed(block(body, *instruction.body)))
    return failure();
  auto yielded = body.getTerminator()->getOperands();
  for (unsigned i = 0; i < yielded.size(); ++i)
    (i < carried ? instruction.next : instruction.scanPieces).push_back(bufferOf(yielded[i]));
  setSymbols(op.getSymbols(), op.getNextSizes(), *instruction.body);
  for (unsigned i = 0; i < op.getNumResults(); ++i)
    (i < carried ? instruction.results : instruction.scan).push_back(temporary(op.getResult(i)));
  for (bool reverse : op.getReverse())
    instruction.scanReverse.push_back(reverse);
  to.instructions.push_back(std::move(instruction));
  return success();
}

LogicalResult ProgramBuilder::block(Block &from, artifact::Block &to) {
  for (Operation &op : from) {
    if (&to == &model.program)
      if (auto slice = op.getAttrOfType<IntegerAttr>("kt.slice")) {
        sliceOf.resize(to.instructions.size(), -1);
        sliceOf.push_back(slice.getInt());
      }
    if (auto launch = dyn_cast<LaunchOp>(op)) {
      artifact::Launch l;
      l.kernel = kernels.lookup(launch.getKernel());
      for (Value v : launch.getInputs())
        l.buffers.push_back(bufferOf(v));
      for (Value v : launch.getResults())
        l.buffers.push_back(buffers.count(v) ? buffers[v] : temporary(v));
      for (Attribute e : launch.getInts())
        l.ints.push_back(expr(cast<ExprAttr>(e)));
      l.node = node(op.getLoc());
      l.once = launch.getOnce();
      to.instructions.push_back(std::move(l));
    } else if (auto item = dyn_cast<ItemOp>(op)) {
      auto type = dtypeOf(item.getSource().getType().getElementType());
      if (!type)
        return op.emitError() << "unsupported element type " << item.getSource().getType().getElementType();
      to.instructions.push_back(artifact::ReadScalar{symbol(item.getSymbol()), bufferOf(item.getSource()), *type,
                                                     pool.constant(item.getIndex())});
    } else if (auto check = dyn_cast<AssertOp>(op)) {
      to.instructions.push_back(
          artifact::Assert{expr(check.getLhs()), expr(check.getRhs()), check.getMessage().str(), node(op.getLoc())});
    } else if (auto branch = dyn_cast<IfOp>(op)) {
      if (failed(ifOp(branch, to)))
        return failure();
    } else if (auto loop = dyn_cast<LoopOp>(op)) {
      if (failed(loopOp(loop, to)))
        return failure();
    } else if (!isa<ConstantOp, ReshapeOp, CapacityOp, YieldOp, func::ReturnOp>(op)) {
      return op.emitError() << "expected only launches and structural ops when packaging, got " << op.getName();
    }
  }
  return success();
}

LogicalResult ProgramBuilder::run(func::FuncOp func, DictionaryAttr bounds, ArrayAttr sites) {
  for (Attribute attr : sites ? sites.getValue() : ArrayRef<Attribute>()) {
    auto site = dyn_cast<DictionaryAttr>(attr);
    auto name = site ? site.getAs<StringAttr>("node") : StringAttr(),
         what = site ? site.getAs<StringAttr>("what") : StringAttr();
    if (!name || !what)
      return func.emitError() << "expected a node and what it reads in kt.sites but got " << attr;
    model.sites.push_back({node(name.getValue()), what.str(), site.contains("wraps")});
  }
  Block &body = func.getBody().front();
  // Inputs bind symbols, so they are numbered first.
  for (BlockArgument arg : body.getArguments()) {
    auto type = cast<SymTensorType>(arg.getType());
    artifact::Port port;
    port.name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "kt.name").str();
    auto dtype = dtypeOf(type.getElementType());
    if (!dtype)
      return func.emitError() << "input '" << port.name << "': unsupported element type " << type.getElementType();
    port.type = *dtype;
    for (ExprAttr d : type.getDims()) {
      Expr e(d);
      if (e.kind() == Expr::Kind::Symbol) {
        artifact::Symbol &s = model.symbols[symbol(e.name())];
        s.kind = artifact::Symbol::Kind::Input;
        if (auto range = bounds ? bounds.getAs<DenseI64ArrayAttr>(e.name()) : DenseI64ArrayAttr()) {
          s.min = range[0];
          s.max = range[1];
        }
      }
      port.dims.push_back(expr(e));
    }
    port.buffer = temporary(arg);
    model.buffers[port.buffer].kind = artifact::Buffer::Kind::Input;
    model.inputs.push_back(std::move(port));
  }
  // A result that a launch computes is written in place; any other (an input, a weight, the same value twice) is
  // copied.
  auto ret = cast<func::ReturnOp>(body.getTerminator());
  SmallVector<std::pair<Value, BufferId>> copies;
  auto keptFor = [&](unsigned i) { return func.getResultAttrOfType<IntegerAttr>(i, kKeptFor); };
  for (auto [i, v] : llvm::enumerate(ret.getOperands())) {
    if (keptFor(i))
      continue;
    auto type = cast<SymTensorType>(v.getType());
    artifact::Port port;
    port.name = func.getResultAttrOfType<StringAttr>(i, "kt.name").str();
    auto dtype = dtypeOf(type.getElementType());
    if (!dtype)
      return func.emitError() << "output '" << port.name << "': unsupported element type " << type.getElementType();
    port.type = *dtype;
    for (ExprAttr d : type.getDims())
      port.dims.push_back(expr(d));
    Value source = v;
    while (isa_and_present<ReshapeOp, CapacityOp>(source.getDefiningOp()))
      source = source.getDefiningOp()->getOperand(0);
    bool inPlace = source.getDefiningOp<LaunchOp>() && source.getParentBlock() == &body && !buffers.count(source);
    artifact::Buffer buffer;
    buffer.kind = artifact::Buffer::Kind::Output;
    // What is written in place and then reshaped may be written before the numbers in its final shape are known.
    auto written = inPlace ? cast<SymTensorType>(source.getType()) : type;
    buffer.bytes = expr(written.numElements() * written.elementBytes());
    model.buffers.push_back(buffer);
    port.buffer = model.buffers.size() - 1;
    if (auto tied = func.getResultAttrOfType<IntegerAttr>(i, kTied)) {
      port.tied = tied.getInt();
      if (auto axis = func.getResultAttrOfType<IntegerAttr>(i, kTiedAxis))
        port.axis = axis.getInt();
    }
    if (inPlace)
      buffers[source] = port.buffer;
    else
      copies.push_back({v, port.buffer});
    model.outputs.push_back(std::move(port));
  }
  if (failed(block(body, model.program)))
    return failure();
  for (auto [v, to] : copies)
    model.program.instructions.push_back(artifact::Copy{bufferOf(v), to, kNone, kNone, model.buffers[to].bytes});
  for (auto [i, v] : llvm::enumerate(ret.getOperands()))
    if (IntegerAttr port = keptFor(i)) { // behind the results that callers see
      auto type = cast<SymTensorType>(v.getType());
      artifact::KeptTensor kept;
      kept.type = *dtypeOf(type.getElementType());
      for (ExprAttr d : type.getDims())
        kept.dims.push_back(expr(d));
      kept.buffer = bufferOf(v);
      model.outputs[port.getInt()].kept.push_back(std::move(kept));
    }
  model.exprs = pool.take();
  makeSlices();
  return success();
}

/// Calls `fn` with every buffer that an instruction or what is nested in it touches.
static void forEachBuffer(const artifact::Instruction &instruction, llvm::function_ref<void(BufferId)> fn) {
  auto all = [&](const std::vector<BufferId> &list) {
    for (BufferId b : list)
      fn(b);
  };
  auto nested = [&](const std::unique_ptr<artifact::Block> &block) {
    for (const artifact::Instruction &inner : block->instructions)
      forEachBuffer(inner, fn);
  };
  if (auto *launch = std::get_if<artifact::Launch>(&instruction)) {
    all(launch->buffers);
  } else if (auto *copy = std::get_if<artifact::Copy>(&instruction)) {
    fn(copy->src);
    fn(copy->dst);
  } else if (auto *read = std::get_if<artifact::ReadScalar>(&instruction)) {
    fn(read->buffer);
  } else if (auto *alias = std::get_if<artifact::Alias>(&instruction)) {
    fn(alias->source);
    fn(alias->result);
  } else if (auto *branch = std::get_if<artifact::If>(&instruction)) {
    for (auto *list : {&branch->results, &branch->thenYields, &branch->otherwiseYields})
      all(*list);
    nested(branch->then);
    nested(branch->otherwise);
  } else if (auto *loop = std::get_if<artifact::Loop>(&instruction)) {
    for (auto *list : {&loop->init, &loop->carried, &loop->next, &loop->results, &loop->scanPieces, &loop->scan})
      all(*list);
    nested(loop->body);
  }
}

/// Slices as numbered in the IR; `sliceOf` has the number of each instruction's op, or -1 for what belongs to the slice
/// before it.
void ProgramBuilder::makeSlices() {
  for (uint32_t i = 0; i < model.program.instructions.size(); ++i) {
    if (model.slices.empty() || (i < sliceOf.size() && sliceOf[i] >= 0 && sliceOf[i] != lastSlice)) {
      artifact::Slice slice;
      slice.begin = i;
      model.slices.push_back(slice);
    }
    if (i < sliceOf.size() && sliceOf[i] >= 0)
      lastSlice = sliceOf[i];
    artifact::Slice &slice = model.slices.back();
    slice.end = i + 1;
    forEachBuffer(model.program.instructions[i], [&](BufferId b) {
      artifact::WeightId w = model.buffers[b].weight;
      if (model.buffers[b].kind == artifact::Buffer::Kind::Weight && !llvm::is_contained(slice.weights, w))
        slice.weights.push_back(w);
    });
  }
}
