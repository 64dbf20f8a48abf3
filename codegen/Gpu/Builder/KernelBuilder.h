//===- KernelBuilder.h - a GPU kernel under construction ------------------===//
//
// A thin layer over OpBuilder that emits one kernel function as llvm/nvvm/scf/arith: 32-bit index arithmetic that
// folds, bare pointers, loops and branches from lambdas, vector accesses, shuffles and the tensor-core instructions.
// Kernel families are written on top of it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_CODEGEN_GPU_BUILDER_KERNELBUILDER_H
#define KT_CODEGEN_GPU_BUILDER_KERNELBUILDER_H

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include <source_location>

namespace kt::gpu {
using mlir::ArrayRef;
using mlir::SmallVector;
using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Values = SmallVector<Value>;
using Pred = mlir::arith::CmpIPredicate;

/// The line that builds an instruction; a parameter that is never given. The interpreter of the tests names it.
using Where = std::source_location;

/// What ptxas is told about a kernel.
struct LaunchBounds {
  unsigned threads = 256;
  unsigned minCtas = 0;   // blocks an SM that registers must leave room for; 0: say nothing
  bool workspace = false; // the kernel takes a workspace pointer
  bool counters = false;  // and one to counters, which are zero when it begins and when it ends
  bool pages = false;     // and one to the session's table of pages, in which its states lie
  unsigned cluster = 0;   // most blocks of a cluster, of which launches say how many it has; 0: there are none
};

class KernelBuilder {
public:
  KernelBuilder(KernelOp kernel, llvm::StringRef entry, LaunchBounds bounds);

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  KernelOp kernel;
  std::string entry;
  LaunchBounds bounds;

  /// Ends the function.
  void finish();

  // Types.
  Type i1, i8, i16, i32, i64, f16, bf16, f32, f64, globalPtr, sharedPtr;
  Type vec(int64_t n, Type t) const { return mlir::VectorType::get({n}, t); }

  // Arguments.
  Value buffer(unsigned i) const { return buffers[i]; }
  unsigned numOperands() const { return operandCount; }
  Values operandBuffers() const { return Values(buffers.begin(), buffers.begin() + operandCount); }
  Value result(unsigned i) const { return buffers[operandCount + i]; }
  /// Where a value of the kernel lies: an argument, or what a computation made.
  Value bufferOf(Value inKernel) const;
  /// The number of what a computation made among the kernel's results.
  unsigned resultNumber(Value inKernel) const;
  Value workspace() const { return workspacePtr; }
  Value counters() const { return countersPtr; }
  Value pages() const { return pagesPtr; }
  /// The dimension along which what lies at `buffer`, an argument, is cut into pages; -1 where it is in one piece.
  int64_t pagedAxis(Value buffer) const;
  SymTensorType typeOf(Value buffer) const { return bufferTypes[llvm::find(buffers, buffer) - buffers.begin()]; }
  /// An index in [0, limit) from a number of data; what is outside while `when` (null: always) holds is reported. The
  /// number is signed, an index or an integer; the answer is an i32.
  Value bounded(BoundedOp op, Value value, Value when);
  /// Writes the fault record: `index` (i64) was given where [0, limit) was expected. The last thread that reports wins;
  /// a record is one store, so it is never half of one and half of another.
  void report(int64_t site, Value index, Value limit);
  SymTensorType bufferType(unsigned i) const { return bufferTypes[i]; }
  SymTensorType resultType(unsigned i) const { return bufferTypes[operandCount + i]; }
  /// The value of an expression over the kernel's integers as i32, computed once at the entry.
  Value size(Expr e);

  // Constants sit at the entry, once each.
  Value c(int64_t value) { return constant(value, i32); }
  Value c64(int64_t value) { return constant(value, i64); }
  Value cBool(bool value) { return constant(value, i1); }
  Value constant(int64_t value, Type type);
  Value constantF(double value, Type type);
  Value cf(double value) { return constantF(value, f32); }
  /// Zero of any scalar or vector type.
  Value zero(Type type);

  // Integers; they fold. Division and remainder are unsigned, comparisons and min/max signed.
  template <typename Op> Value bin(Value x, Value y) { return b.createOrFold<Op>(loc, x, y); }
  Value add(Value x, Value y) { return bin<mlir::arith::AddIOp>(x, y); }
  Value sub(Value x, Value y) { return bin<mlir::arith::SubIOp>(x, y); }
  Value mul(Value x, Value y) { return bin<mlir::arith::MulIOp>(x, y); }
  Value div(Value x, Value y) { return bin<mlir::arith::DivUIOp>(x, y); }
  Value rem(Value x, Value y) { return bin<mlir::arith::RemUIOp>(x, y); }
  Value and_(Value x, Value y) { return bin<mlir::arith::AndIOp>(x, y); }
  Value or_(Value x, Value y) { return bin<mlir::arith::OrIOp>(x, y); }
  Value xor_(Value x, Value y) { return bin<mlir::arith::XOrIOp>(x, y); }
  Value shl(Value x, Value y) { return bin<mlir::arith::ShLIOp>(x, y); }
  Value shr(Value x, Value y) { return bin<mlir::arith::ShRUIOp>(x, y); }
  Value min(Value x, Value y) { return bin<mlir::arith::MinSIOp>(x, y); }
  Value max(Value x, Value y) { return bin<mlir::arith::MaxSIOp>(x, y); }
  Value add(Value x, int64_t y) { return y ? add(x, constant(y, x.getType())) : x; }
  Value sub(Value x, int64_t y) { return y ? sub(x, constant(y, x.getType())) : x; }
  Value mul(Value x, int64_t y);
  Value div(Value x, int64_t y);
  Value rem(Value x, int64_t y);
  Value and_(Value x, int64_t y) { return and_(x, constant(y, x.getType())); }
  Value xor_(Value x, int64_t y) { return y ? xor_(x, constant(y, x.getType())) : x; }
  Value shl(Value x, int64_t y) { return y ? shl(x, constant(y, x.getType())) : x; }
  Value shr(Value x, int64_t y) { return y ? shr(x, constant(y, x.getType())) : x; }
  Value min(Value x, int64_t y) { return min(x, constant(y, x.getType())); }
  Value max(Value x, int64_t y) { return max(x, constant(y, x.getType())); }
  Value cmp(Pred p, Value x, Value y) { return b.createOrFold<mlir::arith::CmpIOp>(loc, p, x, y); }
  Value cmp(Pred p, Value x, int64_t y) { return cmp(p, x, constant(y, x.getType())); }
  Value lt(Value x, Value y) { return cmp(Pred::slt, x, y); }
  Value lt(Value x, int64_t y) { return cmp(Pred::slt, x, y); }
  Value sel(Value c, Value x, Value y) { return b.createOrFold<mlir::arith::SelectOp>(loc, c, x, y); }
  Value ext(Value x) { return b.createOrFold<mlir::arith::ExtUIOp>(loc, i64, x); }
  Value sext(Value x) { return b.createOrFold<mlir::arith::ExtSIOp>(loc, i64, x); }
  /// Four of the eight bytes of x and y; each digit of `selector` says which, the lowest first, from 4 on y's.
  Value permute(Value x, Value y, unsigned selector);
  /// (x & mask) | bits as one instruction, which the assembler would make two of.
  Value maskedWith(Value x, uint32_t mask, uint32_t bits);
  Value toIndex(Value x);
  Value fromIndex(Value x);

  // Floats.
  Value addf(Value x, Value y) { return bin<mlir::arith::AddFOp>(x, y); }
  Value subf(Value x, Value y) { return bin<mlir::arith::SubFOp>(x, y); }
  Value mulf(Value x, Value y) { return bin<mlir::arith::MulFOp>(x, y); }
  Value divf(Value x, Value y) { return bin<mlir::arith::DivFOp>(x, y); }
  /// NaN when either is.
  Value maxf(Value x, Value y) { return bin<mlir::arith::MaximumFOp>(x, y); }
  Value fma(Value x, Value y, Value z);
  /// 2^x by the special function unit: 2 ulp, denormals kept.
  Value exp2(Value x);
  /// The same in a third of the instructions: what would be a denormal is zero.
  Value exp2Flushed(Value x);
  /// log2(x) by the special function unit: absolute error 2^-22 near 1.
  Value log2(Value x);
  /// Converts between float types, between integer widths (sign), or from integer to float.
  Value convert(Value x, Type to);

  // Memory. Offsets are in bytes.
  Value gep(Value ptr, int64_t bytes);
  Value gep(Value ptr, Value bytes);
  /// The address of element `index` (i32, never negative) of an array of `elementBytes` bytes each.
  Value at(Value ptr, Value index, int64_t elementBytes);
  Value load(Value ptr, Type type, unsigned align = 0, Where where = Where::current());
  void store(Value value, Value ptr, unsigned align = 0, Where where = Where::current());
  /// n neighbouring elements of a scalar type, which may be a boolean or sub-byte one: by accesses of up to 16 bytes.
  Values loadElements(Value ptr, Type scalar, unsigned n, Where where = Where::current());
  void storeElements(ValueRange values, Value ptr, Where where = Where::current());
  /// The elements of a scalar type, of at most 32 bits, that lie in words of 32 bits as in memory.
  Values elementsOf(ValueRange words, Type scalar);
  Value loadElement(Value ptr, Type scalar, Where where = Where::current()) {
    return loadElements(ptr, scalar, 1, where)[0];
  }
  void storeElement(Value value, Value ptr, Where where = Where::current()) { storeElements(value, ptr, where); }
  /// `n` neighbours (1, 2 or 4, aligned together) of 16 or 32 bits in memory that no thread of the launch writes; zeros
  /// where `when` does not hold. No branch keeps the next load from being on its way as well. `once`: no thread reads
  /// them again, so the first-level cache keeps nothing.
  Values loadWhen(Value when, Value ptr, Type scalar, unsigned n, bool once, Where where = Where::current());
  /// What the launches before this one have written is there from here on. Before it only what no other launch of the
  /// run writes may be read; all threads come here, once. For kernels that read much of that, or have few blocks: one
  /// that says nothing is started when the launch before it is done, and its blocks are spread better over the
  /// multiprocessors.
  void waitForLaunches();
  /// The next launch's blocks may come once each block of this one has been here, or has ended; without it they may
  /// come when all have begun. What they read would delay what this one waits for.
  void letNextBegin();
  /// Elements of result `number` from its element `at` on. What is narrower than a byte fills one, with its sign if its
  /// type has one.
  void storeResult(unsigned number, Value at, ValueRange values, Where where = Where::current());
  /// The same where the address is known.
  void storeTo(Value address, Type element, ValueRange values, Where where = Where::current());
  /// The start of dynamic shared memory as an i32 address, and a pointer made of one.
  Value shared();
  Value sptr(Value address);
  Value sptr(int64_t offset) { return gep(sptr(shared()), offset); }

  // Threads.
  Value tid() { return special<mlir::NVVM::ThreadIdXOp>(); }
  Value ctaX() { return special<mlir::NVVM::BlockIdXOp>(); }
  Value ctaY() { return special<mlir::NVVM::BlockIdYOp>(); }
  Value gridX() { return special<mlir::NVVM::GridDimXOp>(); }
  Value gridY() { return special<mlir::NVVM::GridDimYOp>(); }
  void barrier(Where where = Where::current());
  /// The same for the lanes of a warp.
  void warpBarrier(Where where = Where::current());
  /// Orders what this thread stored and loaded before with what it does after, for all threads of the device.
  void fence(Where where = Where::current());
  /// Adds to a number that other blocks add to as well and answers what it was; orders nothing else.
  Value atomicAdd(Value ptr, Value value, Where where = Where::current());
  /// Reads such a number.
  Value atomicLoad(Value ptr, Type type, Where where = Where::current());
  /// Whether this block is the last of `count` to come here, by counter number `counter` (i32 each): then all that the
  /// others stored before they came is seen by it. Every thread of the block comes; what the first four bytes of shared
  /// memory held is lost.
  Value isLastBlock(Value counter, Value count, Where where = Where::current());
  /// A barrier of the cluster in two halves, each for all threads of all its blocks: what they did in shared memory
  /// before they came is seen by who has waited. It is there for as long as its block is, so nobody leaves before the
  /// last one has read it.
  void clusterArrive(Where where = Where::current());
  void clusterWait(Where where = Where::current());
  /// Where block `rank` of the cluster has what is at `address` (i32) in the shared memory of this one.
  Value ofCluster(Value address, Value rank);
  /// `n` neighbours of f32 (2 or 4, aligned together) at such an address.
  Values loadOfCluster(Value address, unsigned n, Where where = Where::current());
  /// The value of the lane whose number differs in the bits of `mask`.
  Value shuffleXor(Value value, int64_t mask, Where where = Where::current()) {
    return shuffle(value, mask, mlir::NVVM::ShflKind::bfly, where);
  }
  Value shuffleUp(Value value, int64_t delta, Where where = Where::current()) {
    return shuffle(value, delta, mlir::NVVM::ShflKind::up, where);
  }
  Value shuffleIdx(Value value, Value lane, Where where = Where::current());

  // Copies and tensor cores.
  void cpAsync16(Value dst, Value src, Value bytes, Where where = Where::current());
  /// The same of threads for which `when` holds, without a branch; `dst` is an i32 address.
  void cpAsync16When(Value when, Value dst, Value src, Value bytes, Where where = Where::current());
  void cpAsyncCommit(Where where = Where::current());
  void cpAsyncWait(unsigned pending, Where where = Where::current());
  Values ldmatrix4(Value ptr, bool transpose, Where where = Where::current());
  /// 16x8x16 with four f32 accumulators; the fragments are i32 registers of two `type` elements.
  Values mma(ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> acc, Type type, Where where = Where::current());
  /// 16x8x32 with four i32 accumulators, which wrap around; the fragments are i32 registers of four 8-bit integers,
  /// unsigned ones where it is said.
  Values mmaInt8(ArrayRef<Value> a, bool aUnsigned, ArrayRef<Value> b, bool bUnsigned, ArrayRef<Value> acc,
                 Where where = Where::current());

  // Products of a warpgroup, which read shared memory on their own while threads go on (PTX ISA, "Asynchronous
  // warpgroup level matrix instructions"). What threads wrote there before is seen behind `fenceAsyncProxy` and a
  // barrier; accumulators may be touched again when the wait for their group has given them back.
  void fenceAsyncProxy(Where where = Where::current());
  void wgmmaFence(Where where = Where::current());
  /// 64 x (2 acc.size()) x 16 with f32 accumulators; the sides are shared-memory descriptors, or the left one four
  /// registers, which are the product's until the wait for its group. `columns`: neighbours of the right side in memory
  /// are its columns.
  Values wgmma(ValueRange a, Value b, bool columns, ValueRange acc, Type type, Where where = Where::current());
  /// 64 x (2 acc.size()) x 32 of 8-bit integers with i32 accumulators, which wrap around: four registers of four, and a
  /// descriptor of columns along k; unsigned ones where it is said.
  Values wgmmaInt8(ValueRange a, bool aUnsigned, Value b, bool bUnsigned, ValueRange acc,
                   Where where = Where::current());
  void wgmmaCommit(Where where = Where::current());
  /// Waits until at most `pending` groups are under way.
  Values wgmmaWait(unsigned pending, ValueRange acc, Where where = Where::current());

  // Barriers in shared memory at an i32 address, a multiple of 8, for threads that do different things (PTX ISA,
  // "mbarrier"). A phase ends with its last arrival, and the next one begins. Who has waited for a phase sees what was
  // done before its arrivals.
  /// Makes one, of so many arrivals a phase; others may use it behind a barrier.
  void mbarrierInit(Value at, unsigned arrivals, Where where = Where::current());
  /// Of threads for which `when` holds, without a branch.
  void mbarrierArriveWhen(Value when, Value at, Where where = Where::current());
  /// Waits for the end of the phase at hand, or of the one before it, whichever is of this parity: 0 for the first
  /// phase. Of parity 1 there was one before the first, which has ended.
  void mbarrierWait(Value at, Value parity, Where where = Where::current());

  // Regions.
  Values forLoop(Value lo, Value hi, Value step, ValueRange inits,
                 llvm::function_ref<Values(Value iv, ValueRange args)> body);
  /// Runs `body` on what it answered before, first on `inits`, for as long as `goesOn`.
  Values whileLoop(ValueRange inits, llvm::function_ref<Value(ValueRange)> goesOn,
                   llvm::function_ref<Values(ValueRange)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then);
  Values ifElse(Value condition, mlir::TypeRange types, llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);

private:
  template <typename Op> Value special() { return Op::create(b, loc, i32); }
  Value shuffle(Value value, int64_t operand, mlir::NVVM::ShflKind kind, Where where);
  /// Sets `loc` for as long as it lives.
  struct At {
    At(KernelBuilder &k, Where where);
    ~At() { k.loc = before; }
    KernelBuilder &k;
    mlir::Location before;
  };
  /// PTX that stands as it is; `updated` registers are read and written.
  Values assembly(mlir::StringRef text, mlir::StringRef inputs, ValueRange values, ValueRange updated);
  Value shuffleBits(Value value, llvm::function_ref<Value(Value)> one);

  mlir::OpBuilder head;
  mlir::LLVM::LLVMFuncOp function;
  Values buffers, ints;
  SmallVector<SymTensorType> bufferTypes;
  unsigned operandCount = 0;
  Value countersPtr, workspacePtr, faultsPtr, pagesPtr, sharedBase;
  llvm::DenseMap<std::pair<int64_t, Type>, Value> constants;
  llvm::DenseMap<mlir::Attribute, Value> sizes;
};

} // namespace kt::gpu

#endif
