//===- KTDialect.cpp - types and attributes of the kt dialect -------------===//
//
// The dialect's registration and the textual form of expressions and tensor types.
//
//===----------------------------------------------------------------------===//

#include "dialects/KT/IR/KTDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace kt;

#include "dialects/KT/IR/KTDialect.cpp.inc"
#include "dialects/KT/IR/KTEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/KT/IR/KTAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/KT/IR/KTTypes.cpp.inc"

void KTDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/KT/IR/KTAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/KT/IR/KTTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/KT/IR/KTOps.cpp.inc"
      >();
  addInterface(makeRecipeTable(this));
}

//===----------------------------------------------------------------------===//
// Expressions: sum := term ('+' term)*, term := factor (('*' | 'floordiv' | 'mod') factor)*
//===----------------------------------------------------------------------===//

namespace {
class ExprParser {
public:
  explicit ExprParser(AsmParser &parser) : parser(parser), context(parser.getContext()) {}
  /// A whole expression that is a number.
  FailureOr<Expr> parse();

private:
  FailureOr<Expr> sum();
  FailureOr<Expr> term();
  FailureOr<Expr> factor();
  ParseResult descend();

  AsmParser &parser;
  MLIRContext *context;
  uint32_t depth = 0; // of parentheses
};
} // namespace

/// Each level of what is printed has a part of its own, so nothing that was printed is deeper.
ParseResult ExprParser::descend() {
  if (++depth > Expr::kMaxWeight)
    return parser.emitError(parser.getCurrentLocation(), "expected an expression of at most ")
           << Expr::kMaxWeight << " levels";
  return success();
}

FailureOr<Expr> ExprParser::factor() {
  int64_t value;
  OptionalParseResult integer = parser.parseOptionalInteger(value);
  if (integer.has_value()) {
    if (failed(*integer))
      return failure();
    return Expr::constant(context, value);
  }
  if (succeeded(parser.parseOptionalLParen())) {
    if (descend())
      return failure();
    FailureOr<Expr> e = sum();
    if (failed(e) || parser.parseRParen())
      return failure();
    --depth;
    return e;
  }
  StringAttr fact;
  if (succeeded(parser.parseOptionalSymbolName(fact)))
    return Expr::symbol(context, "@" + fact.getValue().str());
  std::string prefix = succeeded(parser.parseOptionalQuestion()) ? "?" : "";
  StringRef word;
  if (failed(parser.parseOptionalKeyword(&word)))
    return parser.emitError(parser.getCurrentLocation(), "expected a number, a symbol or '('"), failure();
  unsigned arity = llvm::StringSwitch<unsigned>(word).Cases({"min", "max", "eq", "lt"}, 2).Case("select", 3).Default(0);
  if (arity == 0 || !prefix.empty() || failed(parser.parseOptionalLParen()))
    return Expr::symbol(context, prefix + word.str());
  if (descend())
    return failure();
  SmallVector<Expr, 3> args;
  for (unsigned i = 0; i < arity; ++i) {
    if (i && parser.parseComma())
      return failure();
    FailureOr<Expr> e = sum();
    if (failed(e))
      return failure();
    args.push_back(*e);
  }
  if (parser.parseRParen())
    return failure();
  --depth;
  if (word == "min")
    return Expr::min(args[0], args[1]);
  if (word == "max")
    return Expr::max(args[0], args[1]);
  if (word == "eq")
    return Expr::eq(args[0], args[1]);
  if (word == "lt")
    return Expr::lt(args[0], args[1]);
  return Expr::select(args[0], args[1], args[2]);
}

FailureOr<Expr> ExprParser::term() {
  FailureOr<Expr> e = factor();
  while (succeeded(e)) {
    SMLoc loc = parser.getCurrentLocation();
    int op = succeeded(parser.parseOptionalStar())                ? 0
             : succeeded(parser.parseOptionalKeyword("floordiv")) ? 1
             : succeeded(parser.parseOptionalKeyword("mod"))      ? 2
                                                                  : -1;
    if (op < 0)
      break;
    FailureOr<Expr> f = factor();
    if (failed(f))
      return failure();
    if (op != 0 && f->isConstant(0))
      return parser.emitError(loc, "expected a divisor other than 0"), failure();
    e = op == 0 ? *e * *f : op == 1 ? Expr::floorDiv(*e, *f) : Expr::mod(*e, *f);
  }
  return e;
}

FailureOr<Expr> ExprParser::sum() {
  FailureOr<Expr> e = term();
  while (succeeded(e) && succeeded(parser.parseOptionalPlus())) {
    FailureOr<Expr> f = term();
    if (failed(f))
      return failure();
    e = *e + *f;
  }
  return e;
}

FailureOr<Expr> ExprParser::parse() {
  SMLoc loc = parser.getCurrentLocation();
  FailureOr<Expr> e = sum();
  if (failed(e))
    return failure();
  if (auto reason = e->poison()) {
    InFlightDiagnostic error = parser.emitError(loc);
    if (*reason == Expr::Reason::overflow)
      error << "expected an expression that fits in 64 bits";
    else
      error << "expected an expression of at most " << Expr::kMaxWeight << " parts";
    return failure();
  }
  return e;
}

Attribute ExprAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<Expr> e = ExprParser(parser).parse();
  if (failed(e) || parser.parseGreater())
    return {};
  return e->attr();
}

void ExprAttr::print(AsmPrinter &printer) const { printer << "<" << Expr(*this).str() << ">"; }

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

Attribute ViewAttr::parse(AsmParser &parser, Type) {
  MLIRContext *context = parser.getContext();
  if (parser.parseLess())
    return {};
  if (succeeded(parser.parseOptionalKeyword("none")))
    return parser.parseGreater() ? Attribute() : ViewAttr::get(context, {}, {}, ExprAttr());
  SmallVector<ExprAttr> dims, strides;
  auto parseInto = [&](SmallVector<ExprAttr> &list) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() -> ParseResult {
      FailureOr<Expr> e = ExprParser(parser).parse();
      if (failed(e))
        return failure();
      list.push_back(e->attr());
      return success();
    });
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parseInto(dims) || parser.parseKeyword("strides") || parseInto(strides) || parser.parseKeyword("offset"))
    return {};
  FailureOr<Expr> offset = ExprParser(parser).parse();
  if (failed(offset) || parser.parseGreater())
    return {};
  if (dims.size() != strides.size())
    return parser.emitError(loc, "expected a stride for each of ")
               << dims.size() << " dimensions but got " << strides.size(),
           Attribute();
  return ViewAttr::get(context, dims, strides, offset->attr());
}

void ViewAttr::print(AsmPrinter &printer) const {
  if (isNone()) {
    printer << "<none>";
    return;
  }
  auto list = [&](ArrayRef<ExprAttr> exprs) {
    printer << "[";
    llvm::interleaveComma(exprs, printer, [&](ExprAttr e) { printer << Expr(e).str(); });
    printer << "]";
  };
  printer << "<";
  list(getDims());
  printer << " strides ";
  list(getStrides());
  printer << " offset " << Expr(getOffset()).str() << ">";
}

//===----------------------------------------------------------------------===//
// Tensor types
//===----------------------------------------------------------------------===//

/// What a tensor can hold: see the type's description. All are single words, so nothing nests.
static Type elementNamed(MLIRContext *context, StringRef word) {
  auto signedness = IntegerType::Signless;
  StringRef digits = word;
  if (digits.consume_front("u"))
    signedness = IntegerType::Unsigned;
  unsigned width = 0;
  if (digits.consume_front("i") && !digits.starts_with("0") && !digits.getAsInteger(10, width)) {
    bool known =
        llvm::is_contained({2u, 4u, 8u, 16u, 32u, 64u}, width) || (width == 1 && signedness == IntegerType::Signless);
    return known ? IntegerType::get(context, width, signedness) : Type();
  }
  for (FloatType type : std::initializer_list<FloatType>{
           Float16Type::get(context), BFloat16Type::get(context), Float32Type::get(context), Float64Type::get(context),
           Float8E4M3FNType::get(context), Float8E4M3FNUZType::get(context), Float8E5M2Type::get(context),
           Float8E5M2FNUZType::get(context), Float8E8M0FNUType::get(context), Float4E2M1FNType::get(context)}) {
    llvm::SmallString<16> name;
    llvm::raw_svector_ostream(name) << type;
    if (name == word)
      return type;
  }
  return {};
}

Type SymTensorType::parse(AsmParser &parser) {
  SmallVector<ExprAttr> dims;
  Type element;
  auto parseDim = [&]() -> ParseResult {
    SMLoc loc = parser.getCurrentLocation();
    FailureOr<Expr> e = ExprParser(parser).parse();
    if (failed(e))
      return failure();
    if (auto size = e->asConstant(); size && *size < 0)
      return parser.emitError(loc, "expected a dimension of 0 or more but got ") << *size;
    dims.push_back(e->attr());
    return success();
  };
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseDim) ||
      parser.parseKeyword("x"))
    return {};
  SMLoc loc = parser.getCurrentLocation();
  StringRef word;
  if (succeeded(parser.parseOptionalKeyword(&word)))
    element = elementNamed(parser.getContext(), word);
  if (!element)
    return parser.emitError(loc, "expected an element type, a number that kt knows"), Type();
  if (parser.parseGreater())
    return {};
  SymTensorType type = SymTensorType::get(parser.getContext(), dims, element);
  // Kernels index elements and count bytes.
  if (auto reason = (type.numElements() * std::max<int64_t>(type.elementBytes(), 8)).poison()) {
    parser.emitError(loc, "expected a tensor whose bytes can be counted: ")
        << (*reason == Expr::Reason::overflow ? "their number does not fit in 64 bits"
                                              : "their number has too many parts");
    return {};
  }
  return type;
}

void SymTensorType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getDims(), printer, [&](ExprAttr e) { printer << Expr(e).str(); });
  printer << "] x " << getElementType() << ">";
}

Expr SymTensorType::dim(int64_t i) const {
  return i >= 0 && i < getRank() ? Expr(getDims()[i]) : Expr::poisoned(getContext(), Expr::Reason::rank);
}

SmallVector<Expr> SymTensorType::sizes() const {
  return llvm::map_to_vector(getDims(), [](ExprAttr d) { return Expr(d); });
}

Expr SymTensorType::numElements() const {
  Expr n = Expr::constant(getContext(), 1);
  for (ExprAttr d : getDims())
    n = n * Expr(d);
  return n;
}

bool SymTensorType::hasStaticShape() const {
  return llvm::all_of(getDims(), [](ExprAttr d) { return Expr(d).asConstant().has_value(); });
}

int64_t kt::elementBytes(Type type) {
  if (type.isIntOrFloat())
    return std::max<int64_t>(1, (type.getIntOrFloatBitWidth() + 7) / 8);
  if (auto c = dyn_cast<ComplexType>(type))
    return 2 * elementBytes(c.getElementType());
  return 0;
}

int64_t SymTensorType::elementBytes() const { return kt::elementBytes(getElementType()); }

Type SymTensorType::scalarType() const {
  if (auto i = dyn_cast<IntegerType>(getElementType()))
    return IntegerType::get(getContext(), i.getWidth());
  return getElementType();
}
