//===- MicroKernel.cpp - the inner loops of contractions ------------------===//

#include "codegen/Host/Blocks.h"
#include "codegen/Host/RowTile.h"

using namespace mlir;
using namespace kt;
using namespace kt::codegen::host;

SmallVector<Value> RowTile::begin(Emitter &e, Value out, Value ld, Value accumulate) const {
  SmallVector<Type> types(sums(), vector());
  Value zero = e.constant(vector(), 0);
  auto initial = scf::IfOp::create(e.b, e.loc, types, accumulate, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(initial.thenBlock());
  SmallVector<Value> loaded;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      loaded.push_back(e.loadVector(out, acc, e.add(e.mul(e.idx(r), ld), e.idx(v * lanes)), lanes, acc));
  scf::YieldOp::create(e.b, e.loc, loaded);
  e.b.setInsertionPointToStart(initial.elseBlock());
  scf::YieldOp::create(e.b, e.loc, SmallVector<Value>(sums(), zero));
  return llvm::to_vector_of<Value>(initial.getResults());
}

void RowTile::store(Emitter &e, ValueRange sums, Value out, Value ld) const {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      e.storeVector(sums[r * vectors + v], out, acc, e.add(e.mul(e.idx(r), ld), e.idx(v * lanes)));
}

namespace {

/// Writes the functions of a spec for one instruction set.
class SpecBuilder {
public:
  SpecBuilder(CodeBuilder &code, const MicroKernelSpec &spec);
  void height(StringRef name);
  void strip(StringRef name);

private:
  void emitRows(Emitter &e, const RowArgs &args, const RowTile &tile);
  CodeBuilder &code;
  MicroKernelSpec spec;
  static constexpr int64_t kMostRows = 8;
  int64_t lanes, panels, vectors; // vectors: registers a row
  SmallVector<int64_t> counts;    // of rows that there is code for
};

SpecBuilder::SpecBuilder(CodeBuilder &code, const MicroKernelSpec &spec) : code(code), spec(spec) {
  lanes = code.isa.vectorBytes / kt::elementBytes(spec.acc);
  int64_t perPanel = std::max<int64_t>(1, kPanel / lanes);
  // Two adjacent panels where one leaves too few independent sums.
  panels = perPanel == 1 && !spec.blocks ? 2 : 1;
  vectors = panels * perPanel;
  int64_t most = std::min({kMostRows, code.isa.accumulators / vectors, std::max<int64_t>(1, spec.mostRows)});
  if (most == spec.mostRows)
    counts = {most};
  else
    for (int64_t rows : {int64_t(1), int64_t(2), int64_t(3), int64_t(4), int64_t(6), kMostRows})
      if (rows == most || (rows < most && rows != 3))
        counts.push_back(rows);
}

void SpecBuilder::height(StringRef name) {
  Type index = IndexType::get(code.context());
  auto body = [&](Emitter &e, ValueRange args) -> Value {
    Value numRows = args[0], strips = e.ceilDiv(numRows, counts.back());
    Value even = e.div(e.add(numRows, e.sub(strips, e.idx(1))), strips);
    // Only the last strip may be lower than what its function computes: the rows after the others are not theirs.
    Value height = e.idx(counts.back());
    for (int64_t count : llvm::reverse(llvm::drop_end(counts)))
      height = e.select(e.cmp(arith::CmpIPredicate::sle, even, e.idx(count)), e.idx(count), height);
    return e.i64(height);
  };
  code.function(name, {index}, body, index, LLVM::Linkage::External);
}

/// One function a row count, and one that chooses among them and walks the columns.
void SpecBuilder::strip(StringRef name) {
  Type pointer = LLVM::LLVMPointerType::get(code.context()), index = IndexType::get(code.context());
  Type i1 = IntegerType::get(code.context(), 1);
  SmallVector<Type> types = {pointer, index, index, index, index, pointer, pointer, index, pointer, index, i1};
  SmallVector<LLVM::LLVMFuncOp> functions;
  for (int64_t rows : counts)
    functions.push_back(code.function(("rows" + Twine(rows)).str(), types, [&](Emitter &e, ValueRange args) -> Value {
      RowTile tile{spec.acc, rows, panels, vectors, lanes, code.isa.accumulators};
      spec.blocks ? emitBlockRows(e, spec, tile, RowArgs(args)) : emitRows(e, RowArgs(args), tile);
      return {};
    }));
  auto body = [&](Emitter &e, ValueRange args) -> Value {
    Value numRows = args[0], base = args[6], panelStride = args[7], numColumns = args[8], out = args[10];
    Value zero = e.idx(0), width = e.idx(kPanel), depth = args[5];
    if (spec.bytes) // groups are one word, or two
      depth = e.mul(depth, e.idx(code.isa.dots ? 1 : 2));
    Value last = e.mul(e.sub(e.ceilDiv(numColumns, kPanel), e.idx(1)), panelStride);
    e.loop(zero, numColumns, e.idx(panels * kPanel), [&](Value j) {
      Value panel = e.mul(e.div(j, width), panelStride), next = e.min(e.add(panel, panelStride), last);
      SmallVector<Value> rest = {args[1],
                                 e.i64(args[2]),
                                 e.i64(args[3]),
                                 e.i64(args[4]),
                                 e.i64(depth),
                                 e.at(base, spec.panelElement, panel),
                                 e.at(base, spec.panelElement, next),
                                 e.i64(args[9]),
                                 e.at(out, spec.acc, j),
                                 e.i64(args[11]),
                                 args[12]};
      std::function<void(size_t)> choose = [&](size_t i) {
        auto call = [&] { LLVM::CallOp::create(e.b, e.loc, functions[i], rest); };
        if (i + 1 == counts.size())
          return call();
        e.ifElse(e.cmp(arith::CmpIPredicate::sle, numRows, e.idx(counts[i])), call, [&] { choose(i + 1); });
      };
      choose(0);
    });
    return {};
  };
  SmallVector<Type> all = {index, pointer, index, index,   index, index, pointer,
                           index, index,   index, pointer, index, i1};
  code.function(name, all, body, {}, LLVM::Linkage::External);
}

void SpecBuilder::emitRows(Emitter &e, const RowArgs &args, const RowTile &tile) {
  Type acc = spec.acc, pointer = e.pointerType();
  bool isFloat = isa<FloatType>(acc);
  int64_t rows = tile.rows, sums = tile.sums(), perPanel = tile.perPanel();
  // Few sums cannot hide the multiplication's latency: then several k go to sums of their own.
  int64_t unroll = std::max<int64_t>(1, sums <= 4 ? 8 / sums : 1);
  Value zero = e.idx(0), zeros = e.constant(tile.vector(), 0);
  SmallVector<Value> initial = tile.begin(e, args.out, args.ld, args.accumulate);

  auto result = e.loop(zero, args.taps, e.idx(1), initial, [&](Value tap, ValueRange carried) {
    SmallVector<Value> starts;
    for (int64_t r = 0; r < rows; ++r) {
      Value slot = e.add(e.mul(tap, args.tableRows), e.idx(r));
      Value start = LLVM::LoadOp::create(e.b, e.loc, pointer, e.at(args.table, e.b.getI64Type(), slot), 8);
      starts.push_back(e.at(start, spec.rowElement, args.rowOffset));
    }
    Value panelBase = e.mul(tap, args.tapStep);
    auto step = [&](Value k, ValueRange in) {
      SmallVector<Value> columns;
      for (int64_t p = 0; p < panels; ++p)
        for (int64_t v = 0; v < perPanel; ++v) {
          Value at = e.add(e.add(panelBase, e.mul(k, e.idx(kPanel))), e.idx(v * lanes));
          columns.push_back(e.loadVector(p ? args.nextPanel : args.panel, spec.panelElement, at, lanes, acc));
        }
      SmallVector<Value> next;
      for (int64_t r = 0; r < rows; ++r) {
        Value scalar = e.load(starts[r], spec.rowElement, k);
        Value x = e.splat(e.convert(scalar, acc, spec.rowElement.isUnsignedInteger()), lanes);
        for (int64_t v = 0; v < vectors; ++v) {
          Value sum = in[r * vectors + v];
          if (spec.bytes)
            next.push_back(spec.bytes->multiplyAdd(e, code.isa, x, columns[v], sum));
          else
            next.push_back(isFloat ? Value(LLVM::FMAOp::create(e.b, e.loc, x, columns[v], sum))
                                   : e.add(sum, e.mul(x, columns[v])));
        }
      }
      return next;
    };
    SmallVector<Value> values(carried);
    Value from = zero;
    if (unroll > 1) {
      SmallVector<Value> inits = values;
      inits.append(sums * (unroll - 1), zeros);
      Value whole = e.mul(e.div(args.depth, e.idx(unroll)), e.idx(unroll));
      SmallVector<Value> wide = e.loop(zero, whole, e.idx(unroll), inits, [&](Value k, ValueRange in) {
        SmallVector<Value> next;
        for (int64_t u = 0; u < unroll; ++u)
          llvm::append_range(next, step(e.add(k, e.idx(u)), in.slice(u * sums, sums)));
        return next;
      });
      values.assign(wide.begin(), wide.begin() + sums);
      for (int64_t u = 1; u < unroll; ++u)
        for (int64_t s = 0; s < sums; ++s)
          values[s] =
              isFloat ? e.op<arith::AddFOp>(values[s], wide[u * sums + s]) : e.add(values[s], wide[u * sums + s]);
      from = whole;
    }
    return e.loop(from, args.depth, e.idx(1), values, [&](Value k, ValueRange in) { return step(k, in); });
  });
  tile.store(e, result, args.out, args.ld);
}

} // namespace

MicroKernelFunctions kt::codegen::host::functionsOf(MicroKernelSpec spec) {
  // More rows than this make no difference.
  spec.mostRows = std::min<int64_t>(spec.mostRows, MicroKernel::kSpareRows + 1);
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "." << spec.mostRows << "." << spec.acc << "." << spec.rowElement << "." << spec.panelElement;
  if (spec.blocks)
    stream << "." << nameOf(spec.blocks);
  if (spec.bytes)
    stream << spec.bytes->name();
  return {{"height" + name, [spec](CodeBuilder &code, StringRef name) { SpecBuilder(code, spec).height(name); }},
          {"strip" + name, [spec](CodeBuilder &code, StringRef name) { SpecBuilder(code, spec).strip(name); }}};
}

SmallVector<SharedFunction> kt::codegen::host::usualFunctions(MLIRContext *context, const Isa &isa) {
  Type f32 = Float32Type::get(context), f16 = Float16Type::get(context), bf16 = BFloat16Type::get(context);
  Type byte = IntegerType::get(context, 8, IntegerType::Unsigned), word = IntegerType::get(context, 32);
  SmallVector<MicroKernelSpec> specs;
  SmallVector<SharedFunction> all;
  for (bool lhsUnsigned : {true, false}) {
    MicroKernelSpec spec{word, word, word};
    spec.bytes = {lhsUnsigned, /*rhsUnsigned=*/false};
    specs.push_back(spec);
    llvm::append_range(all, preparations(*spec.bytes));
  }
  if (!isa.dots) {
    specs.push_back({f32, f32, f32});
    for (Type half : {f16, bf16}) {
      specs.push_back({f32, f32, half});
      specs.push_back({f32, half, half});
    }
    for (auto [bits, group] : {std::pair<unsigned, int64_t>{4, 32}, {4, 128}, {8, 128}}) {
      MicroKernelSpec spec{f32, f32, byte};
      spec.blocks = BlocksAttr::get(context, bits, group, f16, /*zeros=*/false, /*fp8=*/false);
      specs.push_back(spec);
      all.push_back(widening(spec.blocks));
    }
  }
  for (const MicroKernelSpec &spec : specs) {
    MicroKernelFunctions functions = functionsOf(spec);
    all.append({functions.height, functions.strip});
  }
  return all;
}

MicroKernel::MicroKernel(KernelBuilder &kernel, MicroKernelSpec spec) {
  Type pointer = LLVM::LLVMPointerType::get(kernel.context()), index = IndexType::get(kernel.context());
  Type i1 = IntegerType::get(kernel.context(), 1);
  MicroKernelFunctions functions = functionsOf(spec);
  height = kernel.shared(functions.height, {index}, index);
  strip =
      kernel.shared(functions.strip,
                    {index, pointer, index, index, index, index, pointer, index, index, index, pointer, index, i1}, {});
}

void MicroKernel::call(Emitter &e, const Call &c) {
  SmallVector<Value> args = {e.i64(c.numRows),
                             c.table,
                             e.i64(c.tableRows),
                             e.i64(c.rowOffset),
                             e.i64(c.taps),
                             e.i64(c.depth),
                             c.panels,
                             e.i64(c.panelStride),
                             e.i64(c.numColumns),
                             e.i64(c.tapStep),
                             c.out,
                             e.i64(c.ld),
                             c.accumulate};
  LLVM::CallOp::create(e.b, e.loc, strip, args);
}

Value MicroKernel::stripHeight(Emitter &e, Value numRows) {
  return e.toIndex(LLVM::CallOp::create(e.b, e.loc, height, ValueRange{e.i64(numRows)}).getResult());
}
