//===- KernelBuilder.cpp - a GPU kernel under construction ----------------===//

#include "codegen/Gpu/Builder/KernelBuilder.h"
#include "dialects/KT/Schedule/Pages.h"
#include "mlir/Dialect/LLVMIR/LLVMAttrs.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

KernelBuilder::KernelBuilder(KernelOp kernel, StringRef entryName, LaunchBounds bounds)
    : b(kernel.getContext()), loc(UnknownLoc::get(kernel.getContext())), module(ModuleOp::create(loc)), kernel(kernel),
      entry(entryName), bounds(bounds), head(kernel.getContext()) {
  MLIRContext *context = b.getContext();
  i1 = b.getI1Type(), i8 = b.getI8Type(), i16 = b.getIntegerType(16), i32 = b.getI32Type(), i64 = b.getI64Type();
  f16 = b.getF16Type(), bf16 = b.getBF16Type(), f32 = b.getF32Type(), f64 = b.getF64Type();
  globalPtr = LLVM::LLVMPointerType::get(context, 1);
  sharedPtr = LLVM::LLVMPointerType::get(context, 3);

  Block &block = kernel.getBody().front();
  operandCount = block.getNumArguments();
  for (BlockArgument a : block.getArguments())
    bufferTypes.push_back(cast<SymTensorType>(a.getType()));
  for (Type t : block.getTerminator()->getOperandTypes())
    bufferTypes.push_back(cast<SymTensorType>(t));

  b.setInsertionPointToStart(module->getBody());
  LLVM::GlobalOp::create(b, loc, LLVM::LLVMArrayType::get(i8, 0), /*isConstant=*/false, LLVM::Linkage::External, "smem",
                         Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
  bool faults = kernel.reportsFaults();
  unsigned numPointers = bufferTypes.size() + bounds.workspace + bounds.counters + faults + bounds.pages;
  SmallVector<Type> types(numPointers, globalPtr);
  types.append(kernel.getParams().size(), i32);
  SmallVector<NamedAttribute> attributes = {
      b.getNamedAttr("nvvm.kernel", b.getUnitAttr()),
      b.getNamedAttr("nvvm.reqntid", b.getDenseI32ArrayAttr({(int32_t)bounds.threads, 1, 1}))};
  if (bounds.minCtas)
    attributes.push_back(b.getNamedAttr("nvvm.minctasm", b.getI32IntegerAttr(bounds.minCtas)));
  if (bounds.cluster) { // of no size that is known, but a launch without clusters is refused
    attributes.push_back(b.getNamedAttr("nvvm.cluster_dim", b.getDenseI32ArrayAttr({0, 0, 0})));
    attributes.push_back(b.getNamedAttr("nvvm.cluster_max_blocks", b.getI32IntegerAttr(bounds.cluster)));
  }
  function =
      LLVM::LLVMFuncOp::create(b, loc, entry, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types),
                               LLVM::Linkage::External, false, LLVM::CConv::C, SymbolRefAttr(), attributes);
  bool apart =
      !llvm::any_of(kernel.computes(), llvm::IsaPred<UpdateOp>); // a session's state is written where it is read
  for (unsigned i = 0; i < numPointers; ++i) {
    function.setArgAttr(i, "llvm.align", b.getI64IntegerAttr(16));
    if (!apart)
      continue;
    function.setArgAttr(i, "llvm.noalias", b.getUnitAttr());
    if (i < operandCount)
      function.setArgAttr(i, "llvm.readonly", b.getUnitAttr());
  }
  Block *body = function.addEntryBlock(b);
  buffers.assign(body->args_begin(), body->args_begin() + bufferTypes.size());
  if (bounds.workspace)
    workspacePtr = body->getArgument(bufferTypes.size());
  if (bounds.counters)
    countersPtr = body->getArgument(bufferTypes.size() + bounds.workspace);
  if (faults)
    faultsPtr = body->getArgument(numPointers - 1 - bounds.pages);
  if (bounds.pages)
    pagesPtr = body->getArgument(numPointers - 1);
  ints.assign(body->args_begin() + numPointers, body->args_end());
  b.setInsertionPointToStart(body);
  // Constants and sizes are put before this operation, code after it.
  sharedBase = LLVM::AddressOfOp::create(b, loc, sharedPtr, "smem");
  sharedBase = LLVM::PtrToIntOp::create(b, loc, i32, sharedBase);
  head.setInsertionPoint(sharedBase.getDefiningOp());
}

unsigned KernelBuilder::resultNumber(Value inKernel) const {
  KernelOp holder = kernel;
  auto yielded = holder.getBody().front().getTerminator()->getOperands();
  return llvm::find(yielded, inKernel) - yielded.begin();
}

Value KernelBuilder::bufferOf(Value inKernel) const {
  if (auto given = dyn_cast<BlockArgument>(inKernel))
    return buffer(given.getArgNumber());
  return result(resultNumber(inKernel));
}

int64_t KernelBuilder::pagedAxis(Value buffer) const {
  ArrayRef<int64_t> axes = pagesOf(kernel);
  size_t number = llvm::find(buffers, buffer) - buffers.begin();
  return bounds.pages && number < axes.size() ? axes[number] : -1;
}

void KernelBuilder::finish() { LLVM::ReturnOp::create(b, loc, ValueRange()); }

Value KernelBuilder::constant(int64_t value, Type type) {
  Value &v = constants[{value, type}];
  if (!v)
    v = arith::ConstantOp::create(head, loc, head.getIntegerAttr(type, value));
  return v;
}

Value KernelBuilder::constantF(double value, Type type) {
  return arith::ConstantOp::create(head, loc, head.getFloatAttr(type, value));
}

Value KernelBuilder::zero(Type type) { return arith::ConstantOp::create(head, loc, head.getZeroAttr(type)); }

Value KernelBuilder::size(Expr e) {
  if (std::optional<int64_t> k = e.asConstant())
    return c(*k);
  if (Value v = sizes.lookup(e.attr()))
    return v;
  auto binary = [&]<typename Op>(Op *, Value x, Value y) { return head.createOrFold<Op>(loc, x, y); };
  auto fold = [&]<typename Op>(Op *tag, int64_t neutral) {
    Value v = size(e.operand(0));
    for (unsigned i = 1; i < e.numOperands(); ++i)
      v = binary(tag, v, size(e.operand(i)));
    return e.imm() == neutral ? v : binary(tag, v, c(e.imm()));
  };
  auto two = [&]<typename Op>(Op *tag) { return binary(tag, size(e.operand(0)), size(e.operand(1))); };
  auto compare = [&](Pred p) -> Value {
    Value x = size(e.operand(0)), y = size(e.operand(1));
    return arith::ExtUIOp::create(head, loc, i32, arith::CmpIOp::create(head, loc, p, x, y));
  };
  Value v;
  switch (e.kind()) {
  case Expr::Kind::Const:
    llvm_unreachable("a constant was handled above");
  case Expr::Kind::Symbol: {
    unsigned number = 0;
    if (e.name().drop_front().getAsInteger(10, number))
      llvm::report_fatal_error("code of a kernel depends on '" + e.name() + "', which is no parameter");
    v = ints[number];
    break;
  }
  case Expr::Kind::Add:
    v = fold((arith::AddIOp *)nullptr, 0);
    break;
  case Expr::Kind::Mul:
    v = fold((arith::MulIOp *)nullptr, 1);
    break;
  case Expr::Kind::FloorDiv:
    v = e.operand(0).isNonNegative() && e.operand(1).isNonNegative() ? two((arith::DivUIOp *)nullptr)
                                                                     : two((arith::FloorDivSIOp *)nullptr);
    break;
  case Expr::Kind::Mod:
    if (e.operand(0).isNonNegative() && e.operand(1).isNonNegative()) {
      v = two((arith::RemUIOp *)nullptr);
    } else {
      Value x = size(e.operand(0)), y = size(e.operand(1));
      v = arith::SubIOp::create(head, loc, x,
                                arith::MulIOp::create(head, loc, arith::FloorDivSIOp::create(head, loc, x, y), y));
    }
    break;
  case Expr::Kind::Min:
    v = two((arith::MinSIOp *)nullptr);
    break;
  case Expr::Kind::Max:
    v = two((arith::MaxSIOp *)nullptr);
    break;
  case Expr::Kind::Eq:
    v = compare(Pred::eq);
    break;
  case Expr::Kind::Lt:
    v = compare(Pred::slt);
    break;
  case Expr::Kind::Select: {
    Value x = size(e.operand(1)), y = size(e.operand(2));
    v = arith::SelectOp::create(head, loc, arith::CmpIOp::create(head, loc, Pred::ne, size(e.operand(0)), c(0)), x, y);
    break;
  }
  case Expr::Kind::Poison: // import lets none through
    llvm_unreachable("a poisoned size");
  }
  return sizes[e.attr()] = v;
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value KernelBuilder::mul(Value x, int64_t y) {
  if (y == 1)
    return x;
  return llvm::isPowerOf2_64(y) ? shl(x, llvm::Log2_64(y)) : mul(x, constant(y, x.getType()));
}

Value KernelBuilder::div(Value x, int64_t y) {
  if (y == 1)
    return x;
  return llvm::isPowerOf2_64(y) ? shr(x, llvm::Log2_64(y)) : div(x, constant(y, x.getType()));
}

Value KernelBuilder::rem(Value x, int64_t y) {
  return llvm::isPowerOf2_64(y) ? and_(x, y - 1) : rem(x, constant(y, x.getType()));
}

Value KernelBuilder::bounded(BoundedOp op, Value value, Value when) {
  // Compared in the width of the data: what is cut to 32 bits first may come to lie inside.
  if (value.getType().isIndex())
    value = fromIndex(value);
  else if (value.getType().getIntOrFloatBitWidth() < 32)
    value = convert(value, i32);
  bool wide = value.getType().getIntOrFloatBitWidth() > 32;
  Value limit = size(op.getLimit()), n = wide ? ext(limit) : limit, i = value;
  if (op.getWraps())
    i = sel(lt(i, constant(0, i.getType())), add(i, n), i);
  Value inside = cmp(Pred::ult, i, n), outside = xor_(inside, cBool(true));
  ifThen(when ? and_(outside, when) : outside, [&] { report(op.getSite(), sext(value), limit); });
  Value at = sel(inside, i, constant(0, i.getType()));
  return wide ? Value(arith::TruncIOp::create(b, loc, i32, at)) : at;
}

void KernelBuilder::report(int64_t site, Value index, Value limit) {
  Value words[] = {arith::TruncIOp::create(b, loc, i32, index),
                   arith::TruncIOp::create(b, loc, i32, shr(index, constant(32, i64))), limit, add(ints[site], 1)};
  Value record = LLVM::UndefOp::create(b, loc, vec(4, i32));
  for (auto [k, word] : llvm::enumerate(words))
    record = LLVM::InsertElementOp::create(b, loc, record, word, c(k));
  store(record, faultsPtr, 16);
}

Value KernelBuilder::toIndex(Value x) { return b.createOrFold<arith::IndexCastOp>(loc, b.getIndexType(), x); }
Value KernelBuilder::fromIndex(Value x) { return b.createOrFold<arith::IndexCastOp>(loc, i32, x); }

Value KernelBuilder::fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }

Value KernelBuilder::exp2(Value x) {
  return LLVM::CallIntrinsicOp::create(b, loc, f32, b.getStringAttr("llvm.nvvm.ex2.approx.f32"), x).getResult(0);
}

Value KernelBuilder::exp2Flushed(Value x) {
  return LLVM::CallIntrinsicOp::create(b, loc, f32, b.getStringAttr("llvm.nvvm.ex2.approx.ftz.f32"), x).getResult(0);
}

Value KernelBuilder::log2(Value x) {
  return LLVM::CallIntrinsicOp::create(b, loc, f32, b.getStringAttr("llvm.nvvm.lg2.approx.f"), x).getResult(0);
}

Value KernelBuilder::convert(Value x, Type to) {
  Type from = x.getType();
  if (from == to)
    return x;
  unsigned have = from.getIntOrFloatBitWidth(), want = to.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(to)) {
    if (have == want) // f16 and bf16
      return convert(convert(x, f32), to);
    return have < want ? Value(arith::ExtFOp::create(b, loc, to, x)) : Value(arith::TruncFOp::create(b, loc, to, x));
  }
  if (isa<FloatType>(to)) {
    if (have == 1)
      return arith::UIToFPOp::create(b, loc, to, x);
    return arith::SIToFPOp::create(b, loc, to, x);
  }
  if (isa<FloatType>(from))
    return arith::FPToSIOp::create(b, loc, to, x);
  if (have > want)
    return arith::TruncIOp::create(b, loc, to, x);
  return have == 1 ? Value(arith::ExtUIOp::create(b, loc, to, x)) : Value(arith::ExtSIOp::create(b, loc, to, x));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

KernelBuilder::At::At(KernelBuilder &k, Where where) : k(k), before(k.loc) {
  // Without what lies before the project's folders, which is different on each machine.
  StringRef file = where.file_name();
  file = file.substr(std::min(file.rfind("codegen/"), file.size()));
  k.loc = FileLineColLoc::get(k.b.getContext(), file, where.line(), where.column());
}

Value KernelBuilder::gep(Value ptr, int64_t bytes) {
  if (!bytes)
    return ptr;
  return LLVM::GEPOp::create(b, loc, ptr.getType(), i8, ptr, ArrayRef<LLVM::GEPArg>{(int32_t)bytes});
}

Value KernelBuilder::gep(Value ptr, Value bytes) {
  return LLVM::GEPOp::create(b, loc, ptr.getType(), i8, ptr, ArrayRef<LLVM::GEPArg>{bytes});
}

Value KernelBuilder::at(Value ptr, Value index, int64_t elementBytes) {
  if (ptr.getType() == sharedPtr)
    return gep(ptr, mul(index, elementBytes));
  return gep(ptr, mul(ext(index), elementBytes));
}

Value KernelBuilder::load(Value ptr, Type type, unsigned align, Where where) {
  At here(*this, where);
  return LLVM::LoadOp::create(b, loc, type, ptr, align);
}

void KernelBuilder::store(Value value, Value ptr, unsigned align, Where where) {
  At here(*this, where);
  LLVM::StoreOp::create(b, loc, value, ptr, align);
}

/// The type that holds an element in memory: bytes for everything below 16 bits.
static Type storageType(KernelBuilder &k, Type scalar) { return scalar.getIntOrFloatBitWidth() <= 8 ? k.i8 : scalar; }

static Value fromStorage(KernelBuilder &k, Value v, Type scalar) {
  unsigned bits = scalar.getIntOrFloatBitWidth();
  if (scalar == k.i1)
    return k.cmp(Pred::ne, v, k.constant(0, k.i8));
  if (bits < 8)
    v = arith::TruncIOp::create(k.b, k.loc, k.b.getIntegerType(bits), v);
  return isa<FloatType>(scalar) && bits <= 8 ? Value(arith::BitcastOp::create(k.b, k.loc, scalar, v)) : v;
}

static Value toStorage(KernelBuilder &k, Value v, bool isSigned = false) {
  Type scalar = v.getType();
  unsigned bits = scalar.getIntOrFloatBitWidth();
  if (bits > 8)
    return v;
  if (isa<FloatType>(scalar))
    v = arith::BitcastOp::create(k.b, k.loc, k.b.getIntegerType(bits), v);
  if (bits == 8)
    return v;
  return isSigned ? Value(arith::ExtSIOp::create(k.b, k.loc, k.i8, v)) : arith::ExtUIOp::create(k.b, k.loc, k.i8, v);
}

Values KernelBuilder::loadElements(Value ptr, Type scalar, unsigned n, Where where) {
  Type storage = storageType(*this, scalar);
  unsigned bytes = elementBytes(storage);
  if (n == 1)
    return {fromStorage(*this, load(ptr, storage, bytes, where), scalar)};
  unsigned piece = std::min(16u / bytes, n);
  Values values;
  for (unsigned at = 0; at < n; at += piece) {
    unsigned size = piece * bytes;
    // 16-bit and smaller elements come as words, which is how the hardware and NVPTX like them.
    Type raw = bytes >= 4 ? vec(piece, storage) : size >= 8 ? vec(size / 4, i32) : Type(b.getIntegerType(size * 8));
    Value v = load(gep(ptr, at * bytes), raw, size, where);
    if (bytes < 4)
      v = LLVM::BitcastOp::create(b, loc, vec(piece, storage), v);
    for (unsigned i = 0; i < piece; ++i)
      values.push_back(fromStorage(*this, LLVM::ExtractElementOp::create(b, loc, v, c(i)), scalar));
  }
  return values;
}

Values KernelBuilder::elementsOf(ValueRange words, Type scalar) {
  Type storage = storageType(*this, scalar);
  unsigned each = 4 / elementBytes(storage);
  Values values;
  for (Value word : words) {
    if (each == 1) {
      values.push_back(storage == i32 ? word : Value(arith::BitcastOp::create(b, loc, storage, word)));
      continue;
    }
    Value v = LLVM::BitcastOp::create(b, loc, vec(each, storage), word);
    for (unsigned i = 0; i < each; ++i)
      values.push_back(fromStorage(*this, LLVM::ExtractElementOp::create(b, loc, v, c(i)), scalar));
  }
  return values;
}

void KernelBuilder::storeElements(ValueRange values, Value ptr, Where where) {
  unsigned n = values.size();
  Type storage = storageType(*this, values[0].getType());
  unsigned bytes = elementBytes(storage);
  if (n == 1)
    return store(toStorage(*this, values[0]), ptr, bytes, where);
  unsigned piece = std::min(16u / bytes, n);
  for (unsigned at = 0; at < n; at += piece) {
    unsigned size = piece * bytes;
    Value v = LLVM::UndefOp::create(b, loc, vec(piece, storage));
    for (unsigned i = 0; i < piece; ++i)
      v = LLVM::InsertElementOp::create(b, loc, v, toStorage(*this, values[at + i]), c(i));
    if (bytes < 4)
      v = LLVM::BitcastOp::create(b, loc, size >= 8 ? vec(size / 4, i32) : Type(b.getIntegerType(size * 8)), v);
    store(v, gep(ptr, at * bytes), size, where);
  }
}

void KernelBuilder::storeResult(unsigned number, Value position, ValueRange values, Where where) {
  Type element = resultType(number).getElementType();
  storeTo(at(result(number), position, kt::elementBytes(element)), element, values, where);
}

void KernelBuilder::storeTo(Value to, Type element, ValueRange values, Where where) {
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer || integer.getWidth() >= 8 || integer.getWidth() == 1 || integer.isUnsigned())
    return storeElements(values, to, where);
  SmallVector<Value> bytes;
  for (Value v : values)
    bytes.push_back(toStorage(*this, v, /*isSigned=*/true));
  storeElements(bytes, to, where);
}

Value KernelBuilder::shared() { return sharedBase; }
Value KernelBuilder::sptr(Value address) { return LLVM::IntToPtrOp::create(b, loc, sharedPtr, address); }

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

void KernelBuilder::barrier(Where where) {
  At here(*this, where);
  NVVM::BarrierOp::create(b, loc);
}

void KernelBuilder::warpBarrier(Where where) {
  At here(*this, where);
  NVVM::SyncWarpOp::create(b, loc, c(-1));
}

void KernelBuilder::clusterArrive(Where where) {
  At here(*this, where);
  // Of an arrival that releases, or a fence of the cluster, ptxas makes one of the device, which waits for global
  // memory as well. What is in shared memory the block's fence has there for whoever reads it: that is what ptxas makes
  // of the fence for such memory alone, which newer PTX has (fence.release.sync_restrict::shared::cta.cluster).
  LLVM::FenceOp::create(b, loc, LLVM::AtomicOrdering::acq_rel, "block");
  NVVM::ClusterArriveRelaxedOp::create(b, loc, /*aligned=*/b.getUnitAttr());
}

void KernelBuilder::clusterWait(Where where) {
  At here(*this, where);
  NVVM::ClusterWaitOp::create(b, loc, /*aligned=*/b.getUnitAttr());
}

void KernelBuilder::fence(Where where) {
  At here(*this, where);
  LLVM::FenceOp::create(b, loc, LLVM::AtomicOrdering::acq_rel, "device");
}

Value KernelBuilder::atomicAdd(Value ptr, Value value, Where where) {
  At here(*this, where);
  return LLVM::AtomicRMWOp::create(b, loc, LLVM::AtomicBinOp::add, ptr, value, LLVM::AtomicOrdering::monotonic,
                                   "device");
}

Value KernelBuilder::atomicLoad(Value ptr, Type type, Where where) {
  At here(*this, where);
  return LLVM::LoadOp::create(b, loc, type, ptr, elementBytes(type), /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/false, /*isInvariantGroup=*/false, LLVM::AtomicOrdering::monotonic,
                              "device");
}

Value KernelBuilder::isLastBlock(Value counter, Value count, Where where) {
  At here(*this, where);
  fence(where);
  barrier(where);
  Value slot = sptr(int64_t(0)), place = at(countersPtr, counter, 4), mine = cmp(Pred::eq, tid(), 0);
  ifThen(mine, [&] {
    Value before = atomicAdd(place, c(1), where);
    Value last = cmp(Pred::eq, before, sub(count, 1));
    store(sel(last, c(1), c(0)), slot, 4, where);
    // Nobody comes after the last: the counter is as it was found.
    ifThen(last, [&] { store(c(0), place, 4, where); });
  });
  barrier(where);
  Value last = cmp(Pred::ne, load(slot, i32, 4, where), 0);
  fence(where);
  return last;
}

Value KernelBuilder::shuffleBits(Value value, function_ref<Value(Value)> one) {
  Type type = value.getType();
  unsigned bits = type.getIntOrFloatBitWidth();
  if (type == i32 || type == f32)
    return one(value);
  if (bits == 64) {
    Value v = type == i64 ? value : Value(arith::BitcastOp::create(b, loc, i64, value));
    Value low = one(arith::TruncIOp::create(b, loc, i32, v));
    Value high = one(arith::TruncIOp::create(b, loc, i32, shr(v, 32)));
    v = or_(ext(low), shl(ext(high), 32));
    return type == i64 ? v : Value(arith::BitcastOp::create(b, loc, type, v));
  }
  Type integer = b.getIntegerType(bits);
  Value v = type == integer ? value : Value(arith::BitcastOp::create(b, loc, integer, value));
  v = arith::TruncIOp::create(b, loc, integer, one(arith::ExtUIOp::create(b, loc, i32, v)));
  return type == integer ? v : Value(arith::BitcastOp::create(b, loc, type, v));
}

Value KernelBuilder::shuffle(Value value, int64_t operand, NVVM::ShflKind kind, Where where) {
  At here(*this, where);
  return shuffleBits(value, [&](Value v) -> Value {
    return NVVM::ShflOp::create(b, loc, v.getType(), c(-1), v, c(operand), c(kind == NVVM::ShflKind::up ? 0 : 31), kind,
                                UnitAttr());
  });
}

Value KernelBuilder::shuffleIdx(Value value, Value lane, Where where) {
  At here(*this, where);
  return shuffleBits(value, [&](Value v) -> Value {
    return NVVM::ShflOp::create(b, loc, v.getType(), c(-1), v, lane, c(31), NVVM::ShflKind::idx, UnitAttr());
  });
}

//===----------------------------------------------------------------------===//
// Regions
//===----------------------------------------------------------------------===//

Values KernelBuilder::forLoop(Value lo, Value hi, Value step, ValueRange inits,
                              function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, loc, lo, hi, step, inits, [&](OpBuilder &, Location, Value iv, ValueRange args) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(iv.getParentBlock());
    Values next = body(iv, args);
    scf::YieldOp::create(b, loc, next);
  });
  MLIRContext *context = b.getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(context, b.getBoolAttr(true), {}, {}, {}, {}, {}, {});
  loop->setAttr("loop_annotation",
                LLVM::LoopAnnotationAttr::get(context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}));
  return Values(loop.getResults());
}

Values KernelBuilder::whileLoop(ValueRange inits, function_ref<Value(ValueRange)> goesOn,
                                function_ref<Values(ValueRange)> body) {
  auto loop = scf::WhileOp::create(
      b, loc, inits.getTypes(), inits,
      [&](OpBuilder &inside, Location, ValueRange now) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(inside.getBlock());
        scf::ConditionOp::create(b, loc, goesOn(now), now);
      },
      [&](OpBuilder &inside, Location, ValueRange now) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(inside.getBlock());
        Values next = body(now);
        scf::YieldOp::create(b, loc, next);
      });
  return Values(loop.getResults());
}

void KernelBuilder::ifThen(Value condition, function_ref<void()> then) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
}

Values KernelBuilder::ifElse(Value condition, TypeRange types, function_ref<Values()> then,
                             function_ref<Values()> otherwise) {
  auto op = scf::IfOp::create(b, loc, types, condition, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  for (bool first : {true, false}) {
    Block *block = first ? op.thenBlock() : op.elseBlock();
    if (!block->empty()) // without results the branches come with their ends
      block->back().erase();
    b.setInsertionPointToStart(block);
    Values values = first ? then() : otherwise();
    scf::YieldOp::create(b, loc, values);
  }
  return Values(op.getResults());
}
