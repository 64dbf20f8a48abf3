//===- KTBase.td - the kt dialect, its types and attributes ---------------===//
#ifndef KT_BASE
#define KT_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def KT_Dialect : Dialect {
  let name = "kt";
  let cppNamespace = "::kt";
  let summary = "Neural-network graphs over tensors with symbolic shapes";
  let description = [{
    A graph is a `func.func` whose values are dense row-major tensors. Every dimension is an integer expression over symbols, so shape
    arithmetic is gone from the graph: it lives in types and attributes. Operators come in three kinds: *structured* (`kt.generic`,
    `kt.reduce`, `kt.normalize`: a scalar body over index arithmetic), *named* (`kt.matmul`, `kt.conv`, `kt.attention`, ...: a
    kernel family of their own) and *structural* (`kt.reshape`, `kt.item`, `kt.if`, `kt.loop`: folded into the program).
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

class KT_Attr<string name, string mn> : AttrDef<KT_Dialect, name> { let mnemonic = mn; }

def KT_ExprAttr : KT_Attr<"Expr", "expr"> {
  let summary = "An integer expression over symbols, in normal form";
  let description = [{
    Uniqued and kept in a normal form (a sum of products), so equal attributes are equal numbers and most equal numbers are equal
    attributes. Build them through `kt::Expr`. A symbol whose name starts with `?` may have any value; others are never negative. One whose name starts
    with `@` is a fact of the device that a kernel is about to run on (`kt::fact`); only candidates speak of those.

    ```mlir
    #kt.expr<seq + 1>   #kt.expr<(batch * seq) floordiv 2>   #kt.expr<min(seq, 512)>   #kt.expr<p0 floordiv @sm_count>
    ```
  }];
  // Weight and sign follow from the rest; they are kept because operands are shared, and walking them again and again would take exponential time.
  let parameters = (ins "int":$kind, "int64_t":$imm, StringRefParameter<>:$symbol,
                        ArrayRefParameter<"::mlir::Attribute">:$operands, "uint32_t":$weight, "bool":$nonNegative);
  let hasCustomAssemblyFormat = 1;
  let skipDefaultBuilders = 0;
}

def KT_CandidateAttr : KT_Attr<"Candidate", "candidate"> {
  let summary = "One way to run a kernel on a target";
  let description = [{
    What `kt-schedule-kernels` leaves on a kernel and code generation builds, one variant each: a path (the kind of kernel), its configuration, the number
    of blocks that share the depth, the condition under which it fits, and the nanoseconds that a launch is expected to take. Expressions are over the
    kernel's parameters and facts of the device. `dialects/KT/Schedule/Candidates.h` lists paths and what configures them.

    ```mlir
    #kt.candidate<"sm_89" "mma" {stages = 3 : i64, tile = array<i64: 128, 128, 64>, warps = array<i64: 2, 2>} splits <...> if <lt(16, p0)> costs <...>>
    ```
  }];
  let parameters = (ins "::mlir::StringAttr":$target, "::mlir::StringAttr":$path, "::mlir::DictionaryAttr":$config,
                        OptionalParameter<"::kt::ExprAttr">:$splits, OptionalParameter<"::kt::ExprAttr">:$guard,
                        OptionalParameter<"::kt::ExprAttr">:$cost);
  let assemblyFormat = "`<` $target $path $config (`splits` $splits^)? (`if` $guard^)? (`costs` $cost^)? `>`";
}

def KT_CandidateArrayAttr : TypedArrayAttrBase<KT_CandidateAttr, "array of candidates">;

def KT_ExprArrayAttr : TypedArrayAttrBase<KT_ExprAttr, "array of expressions">;

def KT_ViewAttr : KT_Attr<"View", "view"> {
  let summary = "Elements of a tensor in an order of their own";
  let description = [{
    Element (i0, i1, ..) of a view lies `offset` + i0 * stride0 + i1 * stride1 + .. elements from the tensor's start; a stride of 0 repeats. `none` is
    the tensor itself.

    ```mlir
    #kt.view<[batch, 12, seq, 64] strides [seq * 2304, 64, 2304, 1] offset 768>   #kt.view<none>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::kt::ExprAttr">:$dims, ArrayRefParameter<"::kt::ExprAttr">:$strides,
                        OptionalParameter<"::kt::ExprAttr">:$offset);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    /// The tensor as it is.
    bool isNone() const { return !getOffset(); }
  }];
}

def KT_ViewArrayAttr : TypedArrayAttrBase<KT_ViewAttr, "array of views">;

def KT_BlocksAttr : KT_Attr<"Blocks", "blocks"> {
  let summary = "How weights of few bits lie in memory";
  let description = [{
    A weight of `bits` bits (2, 4 or 8) is an integer q from 0 up, which stands for (q - zero) * scale. With `fp8` its 8 bits are a number of format E4M3 (OCP
    8-bit floating point: a sign, an exponent of bias 7, three bits of mantissa, no infinities), which stands for that times scale. Along k, `group` weights of a column (a power of two
    from 16 to 256) share a scale and a zero point; those that a last group lacks are zero points, or zero. 16 columns and a group of k's are a block:

        scales[16], zeros[16] (ui8; without `zeros` there are none, and zero points are 2^(bits - 1)), words[group * bits / 32][16] (32 bits, little-endian)

    A word holds 32 / bits weights of one column, in the order of tensor cores' fragments (WordOrder.h): numbers 2i and 2i + 1, which are neighbours along
    k, are the bits from i * bits and from 16 + i * bits on. So a mask takes two of them to the halves of a register, where a tensor core wants them. Blocks
    follow one another along k, then along n. All of it is a multiple of 16 bytes.

    ```mlir
    #kt.blocks<bits = 4, group = 32, scale = f16, zeros = false>
    ```
  }];
  let parameters = (ins "unsigned":$bits, "int64_t":$group, "::mlir::Type":$scale, "bool":$zeros,
                        DefaultValuedParameter<"bool", "false">:$fp8);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    ::kt::WordOrder order() const { return {getBits(), getGroup()}; }
    /// Weights in a word, and words of a column in a block.
    unsigned perWord() const { return order().perWord(); }
    int64_t wordRows() const { return getGroup() / perWord(); }
    /// The lowest bit of weight `i` of a word.
    unsigned shiftOf(unsigned i) const { return order().shiftOf(i); }
    unsigned mask() const { return (1u << getBits()) - 1; }
    /// The zero point where blocks have none; bits that stand for zero.
    unsigned middle() const { return getFp8() ? 0 : 1u << (getBits() - 1); }
    /// Where the parts of a block begin, in bytes, and how long it is.
    int64_t zerosAt() const;
    int64_t wordsAt() const { return zerosAt() + (getZeros() ? kPanel : 0); }
    int64_t blockBytes() const { return wordsAt() + wordRows() * kPanel * 4; }
    /// Blocks of a column, and bytes of a panel of 16, of depth `k`.
    ::kt::Expr groupsOf(::kt::Expr k) const;
    ::kt::Expr panelBytes(::kt::Expr k) const;
  }];
}

def KT_SymTensorType : TypeDef<KT_Dialect, "SymTensor"> {
  let mnemonic = "tensor";
  let summary = "A dense row-major tensor with symbolic dimensions";
  let description = [{
    ```mlir
    !kt.tensor<[batch, seq + past, 64] x f32>   !kt.tensor<[] x i64>
    ```
    Element types are f16, bf16, f32, f64, the f8 and f4 kinds, i1, i2 to i64 (signed) and ui2 to ui64.
  }];
  let parameters = (ins ArrayRefParameter<"::kt::ExprAttr">:$dims, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    int64_t getRank() const { return getDims().size(); }
    /// The dimension as an expression value; poison where there is none.
    ::kt::Expr dim(int64_t i) const;
    /// All dimensions as expression values.
    ::llvm::SmallVector<::kt::Expr> sizes() const;
    /// Product of the dimensions.
    ::kt::Expr numElements() const;
    /// Bytes of one element in memory: sub-byte types and booleans take one.
    int64_t elementBytes() const;
    bool hasStaticShape() const;
    /// Element type of the scalar that kt.read yields: signless integers of the same width.
    ::mlir::Type scalarType() const;
  }];
}

class KT_Enum<string name, list<I32EnumAttrCase> cases> : I32EnumAttr<name, "", cases> {
  let cppNamespace = "::kt";
  let genSpecializedAttr = 0;
}
class KT_EnumAttr<I32EnumAttr e, string mn> : EnumAttr<KT_Dialect, e, mn>;

def KT_ReduceKind : KT_Enum<"ReduceKind", [
  I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"mul", 1>, I32EnumAttrCase<"max", 2>, I32EnumAttrCase<"min", 3>,
  I32EnumAttrCase<"argmax", 4>, I32EnumAttrCase<"argmin", 5>]>;
def KT_ReduceKindAttr : KT_EnumAttr<KT_ReduceKind, "reduce_kind">;

def KT_NormKind : KT_Enum<"NormKind", [
  I32EnumAttrCase<"softmax", 0>, I32EnumAttrCase<"log_softmax", 1>, I32EnumAttrCase<"layer", 2>, I32EnumAttrCase<"rms", 3>]>;
def KT_NormKindAttr : KT_EnumAttr<KT_NormKind, "norm_kind">;

def KT_ScatterKind : KT_Enum<"ScatterKind", [
  I32EnumAttrCase<"assign", 0>, I32EnumAttrCase<"add", 1>, I32EnumAttrCase<"mul", 2>, I32EnumAttrCase<"max", 3>,
  I32EnumAttrCase<"min", 4>]>;
def KT_ScatterKindAttr : KT_EnumAttr<KT_ScatterKind, "scatter_kind">;

#endif
