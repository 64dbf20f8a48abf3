//===- Emit.h - small builders for host kernels ---------------------------===//
//
// Kernels are built as scf loops over arith on scalars, with the LLVM dialect's pointers, loads and stores for memory.
// An Emitter builds one function; a StageEmitter is the function of a stage with its tensors, and hands out tasks.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_HOST_EMIT_H
#define KT_CODEGEN_HOST_EMIT_H

#include "codegen/Common/Body.h"
#include "codegen/Host/SharedCode.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "runtime/artifact/Model.h"
#include <functional>

namespace kt::codegen::host {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;

/// A tensor in memory: dense, row-major.
struct Tensor {
  Value pointer;
  SymTensorType type;
  Value given;            // when set, what bodies read of it: the element is there already
  int64_t pagedAxis = -1; // the dimension along which it is cut into pages
  int64_t rank() const { return type.getRank(); }
  Type element() const { return type.getElementType(); }
  /// Elements between neighbours along `dim`.
  Expr stride(int64_t dim) const;
};

/// Builds straight-line code and loops at `b`'s position. Index arithmetic is on `index` (64 bits) and folds as it is
/// built.
class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc) : b(builder), loc(loc) {}
  mlir::OpBuilder &b;
  mlir::Location loc;

  Type indexType() { return b.getIndexType(); }
  Type pointerType() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }

  template <typename Op, typename... Args> Value op(Args &&...args) {
    return b.createOrFold<Op>(loc, std::forward<Args>(args)...);
  }
  Value idx(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  /// A constant of a float or integer type.
  Value constant(Type type, double value);
  Value add(Value x, Value y) { return op<mlir::arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return op<mlir::arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return op<mlir::arith::MulIOp>(x, y); }
  /// Division of numbers that are not negative by a positive one.
  Value div(Value x, Value y) { return op<mlir::arith::DivUIOp>(x, y); }
  Value rem(Value x, Value y) { return op<mlir::arith::RemUIOp>(x, y); }
  Value ceilDiv(Value x, int64_t y) { return div(add(x, idx(y - 1)), idx(y)); }
  Value min(Value x, Value y) { return op<mlir::arith::MinSIOp>(x, y); }
  Value max(Value x, Value y) { return op<mlir::arith::MaxSIOp>(x, y); }
  Value cmp(mlir::arith::CmpIPredicate p, Value x, Value y) { return op<mlir::arith::CmpIOp>(p, x, y); }
  Value lt(Value x, Value y) { return cmp(mlir::arith::CmpIPredicate::slt, x, y); }
  Value eq(Value x, Value y) { return cmp(mlir::arith::CmpIPredicate::eq, x, y); }
  Value select(Value c, Value x, Value y) { return op<mlir::arith::SelectOp>(c, x, y); }
  Value i64(Value index) { return op<mlir::arith::IndexCastOp>(b.getI64Type(), index); }
  Value toIndex(Value integer) { return op<mlir::arith::IndexCastOp>(indexType(), integer); }

  /// for (i = lo; i < hi; i += step) body(i)
  void loop(Value lo, Value hi, Value step, llvm::function_ref<void(Value)> body);
  void loop(Value lo, Value hi, llvm::function_ref<void(Value)> body) { loop(lo, hi, idx(1), body); }
  /// The same for a loop that is not worth vectorising: that is most of what compiling a kernel costs.
  void coldLoop(Value lo, Value hi, llvm::function_ref<void(Value)> body);
  /// A loop with values carried from one iteration to the next.
  llvm::SmallVector<Value> loop(Value lo, Value hi, Value step, ValueRange inits,
                                llvm::function_ref<llvm::SmallVector<Value>(Value, ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then);
  void ifElse(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise);
  Value choose(Value condition, llvm::function_ref<Value()> then, llvm::function_ref<Value()> otherwise);
  /// while (condition(values)) values = body(values)
  llvm::SmallVector<Value> whileLoop(ValueRange inits, llvm::function_ref<Value(ValueRange)> condition,
                                     llvm::function_ref<llvm::SmallVector<Value>(ValueRange)> body);

  /// Address of element `index` of an array of `element`s (as they are in memory).
  Value at(Value pointer, Type element, Value index);
  Value atBytes(Value pointer, Value bytes);
  /// An element as the scalar that bodies compute with, and back.
  Value load(Value pointer, Type element, Value index);
  void store(Value value, Value pointer, Type element, Value index);
  /// Vectors of consecutive elements; `lanes` elements of memory, converted to `to`.
  Value loadVector(Value pointer, Type element, Value index, int64_t lanes, Type to);
  void storeVector(Value vector, Value pointer, Type element, Value index);
  Value splat(Value scalar, int64_t lanes);
  /// Converts between number types; integers are signed unless `isUnsigned`.
  Value convert(Value value, Type to, bool isUnsigned = false);
};

/// The type that holds `element` in memory: whole bytes, no formats unknown to LLVM.
Type memoryType(Type element);

class StageEmitter : public Emitter {
public:
  using Emitter::Emitter;

  /// Of what the stage computes: operands and results, those of several ops behind one another.
  llvm::SmallVector<Tensor> operands, results;
  Value begin, end, scratch, workspace, externals, faults;
  Value pages; // the session's table, of a kernel for states in pages

  /// The value of an expression over the kernel's parameters, computed once at the function's start.
  Value expr(Expr e);
  Value linear(const Tensor &tensor, ValueRange indices);
  /// The number of the page that has row `row` of element `batch` of the batch.
  Value page(const Tensor &tensor, Value batch, Value row);
  /// How many indices there are along a dimension; where it is cut into pages, how many the table has room for.
  Value extent(const Tensor &tensor, int64_t dim);
  Value read(const Tensor &tensor, ValueRange indices) {
    return load(tensor.pointer, tensor.element(), linear(tensor, indices));
  }
  /// Inlines a region of a compute op whose tensor arguments are operands [first, first + count).
  /// What does not change in `loop` comes before it (see inlineBody).
  Value inlineScalar(mlir::Region &region, ValueRange leading, unsigned first, unsigned count, ValueRange indices,
                     mlir::Operation *loop = nullptr) {
    return inlineAll(region, leading, first, count, indices, loop)[0];
  }
  /// All that such a region yields.
  llvm::SmallVector<Value> inlineAll(mlir::Region &region, ValueRange leading, unsigned first, unsigned count,
                                     ValueRange indices, mlir::Operation *loop = nullptr);
  /// Sees to it that the stage reports a number outside [0, limit), or [-limit, limit) where that `wraps`, if it gets
  /// to see one while `when` (null: always) holds. What it costs in a loop is a minimum and a maximum, which vectorise;
  /// the comparison comes at the stage's end.
  void watch(Value number, Expr limit, int64_t site, bool wraps, Value when = {});
  /// Stack memory of the function.
  Value stack(Type element, int64_t count);
  /// Splits a row-major number into indices over `extents`.
  llvm::SmallVector<Value> delinearize(Value number, llvm::ArrayRef<Value> extents);
  /// for each task in [begin, end)
  void tasks(llvm::function_ref<void(Value)> body) { loop(begin, end, body); }

private:
  friend class KernelBuilder;
  Value evaluate(Expr e);
  void reportFaults();
  /// The least and the largest number seen, in the function's stack memory until that becomes registers.
  struct Watch {
    Value least, largest;
    Expr limit;
    int64_t site;
    bool wraps;
  };
  llvm::SmallVector<Watch> watches;
  llvm::SmallVector<Value> params;
  llvm::DenseMap<mlir::Attribute, Value> known;
  mlir::Operation *anchor = nullptr; // what is computed once goes before it
};

/// What a family decides about one stage, in the kernel's expressions.
struct StagePlan {
  Expr tasks;
  Expr scratch; // bytes; null: none
};

/// A module of functions being built for one instruction set.
class CodeBuilder {
public:
  CodeBuilder(mlir::Location loc, const Isa &isa)
      : isa(isa), loc(loc), module(mlir::ModuleOp::create(loc)), builder(loc.getContext()) {}

  const Isa &isa;
  mlir::Location loc;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::OpBuilder builder;

  mlir::MLIRContext *context() { return loc.getContext(); }
  /// Adds a function that stays a function; `body` gets its arguments and answers its result if it has one.
  mlir::LLVM::LLVMFuncOp function(llvm::StringRef name, llvm::ArrayRef<Type> arguments,
                                  llvm::function_ref<Value(Emitter &, ValueRange)> body, Type result = {},
                                  mlir::LLVM::Linkage linkage = mlir::LLVM::Linkage::Internal);
};

/// A function that kernels share. Its name says all that its code depends on besides the instruction set; `build` adds
/// it under that name to a module of its own, with external linkage.
struct SharedFunction {
  std::string name;
  std::function<void(CodeBuilder &, llvm::StringRef)> build;
};

/// A kernel being built for one instruction set.
class KernelBuilder : public CodeBuilder {
public:
  KernelBuilder(KernelOp kernel, const Isa &isa);
  ~KernelBuilder();

  KernelOp kernel;
  llvm::SmallVector<mlir::Operation *> computes; // what the next stage computes
  llvm::SmallVector<StagePlan> stages;
  Expr workspace; // bytes; null: none
  std::string schedule;
  /// The next stage's tasks are behind those of the last one, in one stage: neither needs what the other makes.
  bool beside = false;
  /// Set by families whose own code (not what they share) differs between instruction sets.
  bool usesIsa = false;
  /// It is built for states in pages.
  bool paged = false;

  Expr constant(int64_t value) { return Expr::constant(context(), value); }
  /// Adds the function of the next stage; `body` fills it.
  void stage(StagePlan plan, llvm::function_ref<void(StageEmitter &)> body);
  /// Declares a function that other kernels call too; it is built if nobody has asked for it before.
  mlir::LLVM::LLVMFuncOp shared(const SharedFunction &function, llvm::ArrayRef<Type> arguments, Type result);
  /// The code of the shared functions for an instruction set.
  llvm::Expected<llvm::SmallVector<const Image *>> sharedImages(const Isa &isa, SharedCode &library);

private:
  llvm::SmallVector<SharedFunction> requests;
  unsigned workers = 0;
  mlir::Operation *call = nullptr; // of the last worker
};

// One function a family: fills `kernel` with stages.
mlir::LogicalResult buildGeneric(KernelBuilder &kernel, GenericOp op);
mlir::LogicalResult buildUpdate(KernelBuilder &kernel, UpdateOp op);
/// Reductions that share a pass.
mlir::LogicalResult buildReduce(KernelBuilder &kernel, llvm::ArrayRef<ReduceOp> ops);
mlir::LogicalResult buildNormalize(KernelBuilder &kernel, NormalizeOp op);
mlir::LogicalResult buildMatmul(KernelBuilder &kernel, MatmulOp op);
mlir::LogicalResult buildConv(KernelBuilder &kernel, ConvOp op);
mlir::LogicalResult buildAttention(KernelBuilder &kernel, AttentionOp op);
mlir::LogicalResult buildSort(KernelBuilder &kernel, SortOp op);
mlir::LogicalResult buildScan(KernelBuilder &kernel, ScanOp op);
mlir::LogicalResult buildScatter(KernelBuilder &kernel, ScatterOp op);
mlir::LogicalResult buildNonzero(KernelBuilder &kernel, NonzeroOp op);
mlir::LogicalResult buildSuppress(KernelBuilder &kernel, SuppressOp op);

/// Lowers a built module to the LLVM dialect.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module);
/// Compiles a lowered module to an object file.
llvm::Expected<Object> compileModule(mlir::ModuleOp module, const Isa &isa);

} // namespace kt::codegen::host

#endif
