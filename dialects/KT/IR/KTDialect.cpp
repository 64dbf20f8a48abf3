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
}

//===----------------------------------------------------------------------===//
// Expressions: sum := term ('+' term)*, term := factor (('*' | 'floordiv' | 'mod') factor)*
//===----------------------------------------------------------------------===//

static FailureOr<Expr> parseSum(AsmParser &parser);

static FailureOr<Expr> parseFactor(AsmParser &parser) {
  MLIRContext *context = parser.getContext();
  int64_t value;
  OptionalParseResult integer = parser.parseOptionalInteger(value);
  if (integer.has_value()) {
    if (failed(*integer))
      return failure();
    return Expr::constant(context, value);
  }
  if (succeeded(parser.parseOptionalLParen())) {
    FailureOr<Expr> e = parseSum(parser);
    if (failed(e) || parser.parseRParen())
      return failure();
    return e;
  }
  std::string prefix = succeeded(parser.parseOptionalQuestion()) ? "?" : "";
  StringRef word;
  if (failed(parser.parseOptionalKeyword(&word)))
    return parser.emitError(parser.getCurrentLocation(), "expected a number, a symbol or '('"), failure();
  unsigned arity = llvm::StringSwitch<unsigned>(word).Cases({"min", "max", "eq", "lt"}, 2).Case("select", 3).Default(0);
  if (arity == 0 || failed(parser.parseOptionalLParen()))
    return Expr::symbol(context, prefix + word.str());
  SmallVector<Expr, 3> args;
  for (unsigned i = 0; i < arity; ++i) {
    if (i && parser.parseComma())
      return failure();
    FailureOr<Expr> e = parseSum(parser);
    if (failed(e))
      return failure();
    args.push_back(*e);
  }
  if (parser.parseRParen())
    return failure();
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

static FailureOr<Expr> parseTerm(AsmParser &parser) {
  FailureOr<Expr> e = parseFactor(parser);
  while (succeeded(e)) {
    int op = succeeded(parser.parseOptionalStar())                ? 0
             : succeeded(parser.parseOptionalKeyword("floordiv")) ? 1
             : succeeded(parser.parseOptionalKeyword("mod"))      ? 2
                                                                  : -1;
    if (op < 0)
      break;
    FailureOr<Expr> f = parseFactor(parser);
    if (failed(f))
      return failure();
    e = op == 0 ? *e * *f : op == 1 ? Expr::floorDiv(*e, *f) : Expr::mod(*e, *f);
  }
  return e;
}

static FailureOr<Expr> parseSum(AsmParser &parser) {
  FailureOr<Expr> e = parseTerm(parser);
  while (succeeded(e) && succeeded(parser.parseOptionalPlus())) {
    FailureOr<Expr> f = parseTerm(parser);
    if (failed(f))
      return failure();
    e = *e + *f;
  }
  return e;
}

Attribute ExprAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<Expr> e = parseSum(parser);
  if (failed(e) || parser.parseGreater())
    return {};
  return e->attr();
}

void ExprAttr::print(AsmPrinter &printer) const { printer << "<" << Expr(*this).str() << ">"; }

//===----------------------------------------------------------------------===//
// Tensor types
//===----------------------------------------------------------------------===//

Type SymTensorType::parse(AsmParser &parser) {
  SmallVector<ExprAttr> dims;
  Type element;
  auto parseDim = [&]() -> ParseResult {
    FailureOr<Expr> e = parseSum(parser);
    if (failed(e))
      return failure();
    dims.push_back(e->attr());
    return success();
  };
  if (parser.parseLess() || parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseDim) ||
      parser.parseKeyword("x") || parser.parseType(element) || parser.parseGreater())
    return {};
  return SymTensorType::get(parser.getContext(), dims, element);
}

void SymTensorType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getDims(), printer, [&](ExprAttr e) { printer << Expr(e).str(); });
  printer << "] x " << getElementType() << ">";
}

Expr SymTensorType::dim(int64_t i) const { return getDims()[i]; }

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
