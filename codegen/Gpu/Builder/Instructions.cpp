//===- Instructions.cpp - single instructions of the hardware -------------===//
//
// What kernels use by name: asynchronous copies, tensor cores, permutations of bytes, loads under a condition.
//
//===----------------------------------------------------------------------===//

#include "codegen/Gpu/Builder/KernelBuilder.h"
#include "runtime/artifact/Model.h"

using namespace mlir;
using namespace kt;
using namespace kt::gpu;

Value KernelBuilder::permute(Value x, Value y, unsigned selector) {
  return LLVM::CallIntrinsicOp::create(b, loc, i32, b.getStringAttr("llvm.nvvm.prmt"), ValueRange{x, y, c(selector)})
      .getResult(0);
}

Value KernelBuilder::maskedWith(Value x, uint32_t mask, uint32_t bits) {
  std::string text = "lop3.b32 $0, $1, " + std::to_string(mask) + ", " + std::to_string(bits) + ", 234;";
  return LLVM::InlineAsmOp::create(b, loc, TypeRange(i32), ValueRange{x}, text, "=r,r", /*has_side_effects=*/false,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                   ArrayAttr())
      ->getResult(0);
}

Values KernelBuilder::loadWhen(Value when, Value ptr, Type scalar, unsigned n, bool once, Where where) {
  At here(*this, where);
  unsigned bits = scalar.getIntOrFloatBitWidth();
  // Registers become zero before the address is read, so none of them may be the address.
  std::string text, list, constraints, size = ".b" + std::to_string(bits);
  for (unsigned i = 0; i < n; ++i) {
    std::string name = "$" + std::to_string(i);
    text += "mov" + size + " " + name + ", 0; ";
    list += (i ? ", " : "") + name;
    constraints += bits == 16 ? "=&h," : "=&r,";
  }
  text += "@$" + std::to_string(n + 1) + " ld.global.nc" + (once ? ".L1::no_allocate.L2::256B" : "") +
          (n > 1 ? ".v" + std::to_string(n) : "") + size + (n > 1 ? " {" + list + "}" : " " + list) + ", [$" +
          std::to_string(n) + "];";
  Type one = b.getIntegerType(bits);
  Type type = n == 1 ? one : LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(n, one));
  auto op = LLVM::InlineAsmOp::create(b, loc, TypeRange(type), ValueRange{ptr, when}, text, constraints + "l,b",
                                      /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                      LLVM::AsmDialectAttr(), ArrayAttr());
  Values results;
  for (unsigned i = 0; i < n; ++i) {
    Value v = n == 1 ? op->getResult(0) : Value(LLVM::ExtractValueOp::create(b, loc, op->getResult(0), i));
    results.push_back(scalar == one ? v : Value(arith::BitcastOp::create(b, loc, scalar, v)));
  }
  return results;
}

/// A label that nothing jumps to, where nothing passes. A dollar of LLVM's text is two.
static void addLabel(KernelBuilder &k, const std::string &label) {
  LLVM::InlineAsmOp::create(k.b, k.loc, TypeRange(), ValueRange(), "$" + label + ":", "~{memory}",
                            /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                            LLVM::AsmDialectAttr(), ArrayAttr());
}

void KernelBuilder::waitForLaunches() { addLabel(*this, artifact::kWaitLabel); }

void KernelBuilder::letNextBegin() { addLabel(*this, artifact::kBeginLabel + std::string("_${:uid}")); }

void KernelBuilder::cpAsync16(Value dst, Value src, Value bytes, Where where) {
  At here(*this, where);
  NVVM::CpAsyncOp::create(b, loc, dst, src, 16, NVVM::LoadCacheModifierKind::CG, bytes);
}
void KernelBuilder::cpAsync16When(Value when, Value dst, Value src, Value bytes, Where where) {
  At here(*this, where);
  assembly("@$3 cp.async.cg.shared.global [$0], [$1], 16, $2;", "r,l,r,b", {dst, src, bytes, when}, {});
}
void KernelBuilder::cpAsyncCommit(Where where) {
  At here(*this, where);
  NVVM::CpAsyncCommitGroupOp::create(b, loc);
}
void KernelBuilder::cpAsyncWait(unsigned pending, Where where) {
  At here(*this, where);
  NVVM::CpAsyncWaitGroupOp::create(b, loc, pending);
}

Values KernelBuilder::ldmatrix4(Value ptr, bool transpose, Where where) {
  At here(*this, where);
  Type four = LLVM::LLVMStructType::getLiteral(b.getContext(), {i32, i32, i32, i32});
  StringRef name =
      transpose ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16" : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16";
  Value all = LLVM::CallIntrinsicOp::create(b, loc, four, b.getStringAttr(name), ptr).getResult(0);
  Values values;
  for (int64_t i = 0; i < 4; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, loc, all, i));
  return values;
}

Values KernelBuilder::mma(ArrayRef<Value> a, ArrayRef<Value> bs, ArrayRef<Value> acc, Type type, Where where) {
  At here(*this, where);
  Type four = LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  Values args;
  for (ArrayRef<Value> list : {a, bs})
    for (Value v : list)
      args.push_back(type == f16 ? Value(LLVM::BitcastOp::create(b, loc, vec(2, f16), v)) : v);
  args.append(acc.begin(), acc.end());
  StringRef name = type == f16 ? "llvm.nvvm.mma.m16n8k16.row.col.f32.f32" : "llvm.nvvm.mma.m16n8k16.row.col.bf16";
  Value all = LLVM::CallIntrinsicOp::create(b, loc, four, b.getStringAttr(name), args).getResult(0);
  Values values;
  for (int64_t i = 0; i < 4; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, loc, all, i));
  return values;
}

Values KernelBuilder::mmaInt8(ArrayRef<Value> a, bool aUnsigned, ArrayRef<Value> bs, bool bUnsigned,
                              ArrayRef<Value> acc, Where where) {
  At here(*this, where);
  Type four = LLVM::LLVMStructType::getLiteral(b.getContext(), {i32, i32, i32, i32});
  Values args(a);
  args.append(bs.begin(), bs.end());
  args.append(acc.begin(), acc.end());
  std::string name = std::string("llvm.nvvm.mma.m16n8k32.row.col.") + (aUnsigned ? "u8" : "s8");
  if (aUnsigned != bUnsigned)
    name += bUnsigned ? ".u8" : ".s8";
  Value all = LLVM::CallIntrinsicOp::create(b, loc, four, b.getStringAttr(name), args).getResult(0);
  Values values;
  for (int64_t i = 0; i < 4; ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, loc, all, i));
  return values;
}

void KernelBuilder::fenceAsyncProxy(Where where) {
  At here(*this, where);
  assembly("fence.proxy.async.shared::cta;", "", {}, {});
}
void KernelBuilder::wgmmaFence(Where where) {
  At here(*this, where);
  NVVM::WgmmaFenceAlignedOp::create(b, loc);
}
void KernelBuilder::wgmmaCommit(Where where) {
  At here(*this, where);
  NVVM::WgmmaGroupSyncAlignedOp::create(b, loc);
}

void KernelBuilder::mbarrierInit(Value at, unsigned arrivals, Where where) {
  At here(*this, where);
  assembly("mbarrier.init.shared::cta.b64 [$0], " + std::to_string(arrivals) + ";", "r", {at}, {});
}
void KernelBuilder::mbarrierArriveWhen(Value when, Value at, Where where) {
  At here(*this, where);
  assembly("@$1 mbarrier.arrive.shared::cta.b64 _, [$0];", "r,b", {at, when}, {});
}
void KernelBuilder::mbarrierWait(Value at, Value parity, Where where) {
  At here(*this, where);
  assembly("{ .reg .pred p; $$kt_phase_${:uid}: mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1; "
           "@!p bra $$kt_phase_${:uid}; }",
           "r,r", {at, parity}, {});
}

/// Operands `from` on of inline PTX.
static std::string list(size_t from, size_t count) {
  std::string text;
  for (size_t i = from; i < from + count; ++i)
    text += (i > from ? ", $" : "$") + std::to_string(i);
  return text;
}

// Pointers into the cluster's window have 64 bits where those to shared memory have 32, so these are no operations.
Value KernelBuilder::ofCluster(Value address, Value rank) {
  return LLVM::InlineAsmOp::create(b, loc, TypeRange(i32), ValueRange{address, rank},
                                   "mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r", /*has_side_effects=*/false,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                   ArrayAttr())
      ->getResult(0);
}

Values KernelBuilder::loadOfCluster(Value address, unsigned n, Where where) {
  At here(*this, where);
  std::string constraints;
  for (unsigned i = 0; i < n; ++i)
    constraints += "=f,";
  std::string text =
      "ld.shared::cluster.v" + std::to_string(n) + ".b32 {" + list(0, n) + "}, [$" + std::to_string(n) + "];";
  Type type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(n, f32));
  auto op = LLVM::InlineAsmOp::create(b, loc, TypeRange(type), ValueRange{address}, text, constraints + "r,~{memory}",
                                      /*has_side_effects=*/true, /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                      LLVM::AsmDialectAttr(), ArrayAttr());
  Values results;
  for (unsigned i = 0; i < n; ++i)
    results.push_back(LLVM::ExtractValueOp::create(b, loc, op->getResult(0), i));
  return results;
}

Values KernelBuilder::wgmmaInt8(ValueRange a, bool aUnsigned, Value bs, bool bUnsigned, ValueRange acc, Where where) {
  At here(*this, where);
  auto element = [](bool isUnsigned) { return isUnsigned ? ".u8" : ".s8"; };
  std::string text = "{ .reg .pred p; setp.eq.u32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" +
                     std::to_string(2 * acc.size()) + "k32.s32" + element(aUnsigned) + element(bUnsigned) + " {" +
                     list(0, acc.size()) + "}, {" + list(acc.size(), a.size()) + "}, $" +
                     std::to_string(acc.size() + a.size()) + ", p; }";
  Values operands(a);
  operands.push_back(bs);
  return assembly(text, "r,r,r,r,l", operands, acc);
}

Values KernelBuilder::wgmma(ValueRange a, Value bs, bool columns, ValueRange acc, Type type, Where where) {
  At here(*this, where);
  std::string element = type == f16 ? "f16" : "bf16", columnsOfB = std::to_string(2 * acc.size());
  bool registers = a.size() > 1;
  std::string left = list(acc.size(), a.size()), right = "$" + std::to_string(acc.size() + a.size());
  std::string text = "{ .reg .pred p; setp.eq.u32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" + columnsOfB +
                     "k16.f32." + element + "." + element + " {" + list(0, acc.size()) + "}, " +
                     (registers ? "{" + left + "}" : left) + ", " + right + ", p, 1, 1, " + (registers ? "" : "0, ") +
                     (columns ? "1" : "0") + "; }";
  Values operands(a);
  operands.push_back(bs);
  return assembly(text, registers ? "r,r,r,r,l" : "l,l", operands, acc);
}

Values KernelBuilder::wgmmaWait(unsigned pending, ValueRange acc, Where where) {
  At here(*this, where);
  return assembly("wgmma.wait_group.sync.aligned " + std::to_string(pending) + ";", "", {}, acc);
}

Values KernelBuilder::assembly(StringRef text, StringRef inputs, ValueRange values, ValueRange updated) {
  // Updated registers are results and, tied to them, the last operands.
  std::string constraints, tied;
  for (size_t i = 0; i < updated.size(); ++i)
    constraints += updated[i].getType() == f32 ? "=f," : "=r,", tied += std::to_string(i) + ",";
  constraints += inputs.str() + (inputs.empty() ? "" : ",") + tied + "~{memory}";
  Values operands(values);
  operands.append(updated.begin(), updated.end());
  SmallVector<Type> types(updated.getTypes());
  Type type = types.empty()       ? Type(LLVM::LLVMVoidType::get(b.getContext()))
              : types.size() == 1 ? types[0]
                                  : LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  auto op = LLVM::InlineAsmOp::create(b, loc, types.empty() ? TypeRange() : TypeRange(type), operands, text,
                                      constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
                                      LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  Values results;
  if (types.size() == 1)
    results.push_back(op->getResult(0));
  for (size_t i = 0; i < types.size() && types.size() > 1; ++i)
    results.push_back(LLVM::ExtractValueOp::create(b, loc, op->getResult(0), i));
  return results;
}
