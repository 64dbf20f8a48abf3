//===- Emit.cpp - small builders for host kernels -------------------------===//

#include "codegen/Host/Emit.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

Expr Tensor::stride(int64_t dim) const {
  Expr n = Expr::constant(type.getContext(), 1);
  for (int64_t i = dim + 1; i < rank(); ++i)
    n = n * type.dim(i);
  return n;
}

Type kt::codegen::host::memoryType(Type element) {
  MLIRContext *context = element.getContext();
  if (isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(element))
    return element;
  return IntegerType::get(context, kt::elementBytes(element) * 8);
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void Emitter::loop(Value lo, Value hi, Value step, function_ref<void(Value)> body) {
  auto forOp = scf::ForOp::create(b, loc, lo, hi, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forOp.getBody());
  body(forOp.getInductionVar());
}

void Emitter::coldLoop(Value lo, Value hi, function_ref<void(Value)> body) {
  auto forOp = scf::ForOp::create(b, loc, lo, hi, idx(1));
  MLIRContext *context = b.getContext();
  auto off = LLVM::LoopVectorizeAttr::get(context, b.getBoolAttr(true), {}, {}, {}, {}, {}, {});
  forOp->setDiscardableAttr("loop_annotation", LLVM::LoopAnnotationAttr::get(context, {}, off, {}, {}, {}, {}, {}, {},
                                                                             {}, {}, {}, {}, {}, {}, {}));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forOp.getBody());
  body(forOp.getInductionVar());
}

SmallVector<Value> Emitter::loop(Value lo, Value hi, Value step, ValueRange inits,
                                 function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto forOp = scf::ForOp::create(b, loc, lo, hi, step, inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forOp.getBody());
  SmallVector<Value> next = body(forOp.getInductionVar(), forOp.getRegionIterArgs());
  if (!inits.empty()) // otherwise the loop comes with its terminator
    scf::YieldOp::create(b, loc, next);
  return llvm::to_vector_of<Value>(forOp.getResults());
}

void Emitter::ifThen(Value condition, function_ref<void()> then) {
  auto ifOp = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  then();
}

void Emitter::ifElse(Value condition, function_ref<void()> then, function_ref<void()> otherwise) {
  auto ifOp = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  then();
  b.setInsertionPointToStart(ifOp.elseBlock());
  otherwise();
}

Value Emitter::choose(Value condition, function_ref<Value()> then, function_ref<Value()> otherwise) {
  auto build = [&](function_ref<Value()> side) {
    return [&, side](OpBuilder &inner, Location) {
      OpBuilder::InsertionGuard guard(b);
      b.restoreInsertionPoint(inner.saveInsertionPoint());
      Value v = side();
      scf::YieldOp::create(b, loc, v);
    };
  };
  return scf::IfOp::create(b, loc, condition, build(then), build(otherwise)).getResult(0);
}

SmallVector<Value> Emitter::whileLoop(ValueRange inits, function_ref<Value(ValueRange)> condition,
                                      function_ref<SmallVector<Value>(ValueRange)> body) {
  auto whileOp = scf::WhileOp::create(
      b, loc, TypeRange(inits), inits,
      [&](OpBuilder &inner, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        Value c = condition(args);
        scf::ConditionOp::create(b, loc, c, args);
      },
      [&](OpBuilder &inner, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        SmallVector<Value> next = body(args);
        scf::YieldOp::create(b, loc, next);
      });
  return llvm::to_vector_of<Value>(whileOp.getResults());
}

//===----------------------------------------------------------------------===//
// Memory and numbers
//===----------------------------------------------------------------------===//

Value Emitter::constant(Type type, double value) {
  if (type.isIndex())
    return idx((int64_t)value);
  Type scalar = getElementTypeOrSelf(type);
  TypedAttr attr = isa<FloatType>(scalar) ? TypedAttr(b.getFloatAttr(scalar, value))
                                          : TypedAttr(b.getIntegerAttr(scalar, (int64_t)value));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

Value Emitter::at(Value pointer, Type element, Value index) {
  APInt known;
  if (matchPattern(index, m_ConstantInt(&known)) && known.isZero())
    return pointer;
  return LLVM::GEPOp::create(b, loc, pointerType(), memoryType(element), pointer, ValueRange(i64(index)));
}

Value Emitter::atBytes(Value pointer, Value bytes) { return at(pointer, b.getI8Type(), bytes); }

Value Emitter::load(Value pointer, Type element, Value index) {
  Type memory = memoryType(element);
  Value v = LLVM::LoadOp::create(b, loc, memory, at(pointer, element, index), kt::elementBytes(element));
  unsigned width = element.getIntOrFloatBitWidth();
  if (auto integer = dyn_cast<IntegerType>(element)) {
    if (width != memory.getIntOrFloatBitWidth())
      v = op<arith::TruncIOp>(b.getIntegerType(width), v);
    return v;
  }
  if (memory == element)
    return v;
  if (width != memory.getIntOrFloatBitWidth())
    v = op<arith::TruncIOp>(b.getIntegerType(width), v);
  return op<arith::BitcastOp>(element, v);
}

void Emitter::store(Value value, Value pointer, Type element, Value index) {
  Type memory = memoryType(element);
  unsigned width = element.getIntOrFloatBitWidth();
  if (!isa<IntegerType>(element) && memory != element)
    value = op<arith::BitcastOp>(b.getIntegerType(width), value);
  if (width != memory.getIntOrFloatBitWidth()) {
    bool isSigned = !element.isInteger(1) && isa<IntegerType>(element) && !element.isUnsignedInteger();
    value = isSigned ? op<arith::ExtSIOp>(memory, value) : op<arith::ExtUIOp>(memory, value);
  }
  LLVM::StoreOp::create(b, loc, value, at(pointer, element, index), kt::elementBytes(element));
}

Value Emitter::splat(Value scalar, int64_t lanes) {
  auto type = VectorType::get(lanes, scalar.getType());
  Value v = LLVM::PoisonOp::create(b, loc, type);
  Value zero = LLVM::ConstantOp::create(b, loc, b.getI32Type(), b.getI32IntegerAttr(0));
  v = LLVM::InsertElementOp::create(b, loc, v, scalar, zero);
  return LLVM::ShuffleVectorOp::create(b, loc, v, v, SmallVector<int32_t>(lanes, 0));
}

Value Emitter::loadVector(Value pointer, Type element, Value index, int64_t lanes, Type to) {
  // Numbers in bf16 are widened as bits: what keeps them in a register would be a call where the processor has none.
  bool asBits = element.isBF16() && to.isF32();
  auto type = VectorType::get(lanes, asBits ? b.getI16Type() : memoryType(element));
  Value v = LLVM::LoadOp::create(b, loc, type, at(pointer, element, index), kt::elementBytes(element));
  if (asBits) {
    auto words = VectorType::get(lanes, b.getI32Type());
    Value high = op<arith::ShLIOp>(op<arith::ExtUIOp>(words, v), constant(words, 16));
    return op<arith::BitcastOp>(VectorType::get(lanes, to), high);
  }
  return convert(v, VectorType::get(lanes, to), element.isUnsignedInteger());
}

void Emitter::storeVector(Value vector, Value pointer, Type element, Value index) {
  LLVM::StoreOp::create(b, loc, vector, at(pointer, element, index), kt::elementBytes(element));
}

Value Emitter::convert(Value value, Type to, bool isUnsigned) {
  Type from = value.getType();
  if (from == to)
    return value;
  Type f = getElementTypeOrSelf(from), t = getElementTypeOrSelf(to);
  unsigned fw = f.isIndex() ? 64 : f.getIntOrFloatBitWidth(), tw = t.isIndex() ? 64 : t.getIntOrFloatBitWidth();
  if (f.isIndex())
    return convert(i64(value), to);
  if (t.isIndex())
    return toIndex(convert(value, b.getI64Type(), isUnsigned));
  if (isa<FloatType>(f) && isa<FloatType>(t)) {
    if (fw < tw)
      return op<arith::ExtFOp>(to, value);
    if (fw > tw)
      return op<arith::TruncFOp>(to, value);
    return convert(op<arith::ExtFOp>(b.getF32Type(), value), to);
  }
  if (isa<FloatType>(f))
    return isUnsigned ? op<arith::FPToUIOp>(to, value) : op<arith::FPToSIOp>(to, value);
  if (isa<FloatType>(t))
    return isUnsigned || f.isInteger(1) ? op<arith::UIToFPOp>(to, value) : op<arith::SIToFPOp>(to, value);
  if (fw > tw)
    return op<arith::TruncIOp>(to, value);
  return isUnsigned || f.isInteger(1) ? op<arith::ExtUIOp>(to, value) : op<arith::ExtSIOp>(to, value);
}
