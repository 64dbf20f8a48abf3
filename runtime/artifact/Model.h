//===- Model.h - what a .ktm file holds, in memory ------------------------===//
//
// The one joint between the compiler and the runtime. The compiler fills a `Model` and hands it to the writer; the
// reader gives the runtime a verified one. It knows no operator: only integer expressions, buffers, kernels,
// instructions. On disk it is FlatBuffers metadata followed by page-aligned segments; see docs/ktm-format.md.
//
//===----------------------------------------------------------------------===//

#ifndef KT_RUNTIME_ARTIFACT_MODEL_H
#define KT_RUNTIME_ARTIFACT_MODEL_H

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace kt::artifact {

/// Element types. Sub-byte types are stored one element a byte, so every element has a whole number of bytes.
enum class DType : uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i8,
  u8,
  i16,
  u16,
  i32,
  u32,
  i64,
  u64,
  boolean,
  f8e4m3fn,
  f8e4m3fnuz,
  f8e5m2,
  f8e5m2fnuz,
  i4,
  u4,
  i2,
  u2,
  f4e2m1,
  f8e8m0,
  c64,
  c128,
  string
};
/// Bytes of one element in memory and in files; strings have none and answer 0.
uint32_t byteSize(DType type);
/// The name used in messages and on the command line: "f32", "i64", "bool".
const char *name(DType type);

/// Index into an expression pool (`Model::exprs`, or `Kernel::exprs` for what a kernel says).
using ExprId = uint32_t;
using SymbolId = uint32_t;
using BufferId = uint32_t;
using WeightId = uint32_t;
constexpr uint32_t kNone = 0xFFFFFFFFu;

/// One node of an integer expression (64-bit, two's complement). Operands have smaller indices than the node.
/// Division rounds to minus infinity; a divisor of zero is an error of the run, as is overflow.
struct Expr {
  enum class Op : uint8_t {
    Const,  // imm
    Symbol, // imm: SymbolId in a model's pool, number of the integer argument in a kernel's pool
    Fact,   // imm: a Fact, only in a kernel's pool
    Add,
    Sub,
    Mul,
    FloorDiv,
    CeilDiv,
    Mod,
    Min,
    Max,
    Eq,
    Ne,
    Lt,
    Le,
    And,
    Or,    // 0 or 1
    Select // a ? b : c
  };
  Op op = Op::Const;
  int64_t imm = 0;
  ExprId a = kNone, b = kNone, c = kNone;
  bool operator==(const Expr &) const = default;
};

/// What a kernel's guards and geometry may ask about the device it is about to run on.
enum class Fact : uint8_t {
  SmCount,           // streaming multiprocessors; workers of the pool on the host
  SharedPerBlock,    // bytes of dynamic shared memory a block may opt in to; 0 on the host
  ComputeCapability, // 89 for sm_89; on the host 3 for x86-64-v3, 4 for x86-64-v4
  L2Bytes
};
constexpr unsigned kFacts = 4;
/// The name in text, "sm_count".
const char *name(Fact fact);

struct Symbol {
  enum class Kind : uint8_t {
    Input,     // bound from the shape of an input
    Data,      // set by a ReadScalar or a SetSymbol while the program runs
    Induction, // the iteration number of a Loop
    Capacity   // elements for which a session has room where its state grows; 0: it keeps none
  };
  /// Whether it has a value before a program runs.
  bool isGiven() const { return kind == Kind::Input || kind == Kind::Capacity; }
  std::string name;
  Kind kind = Kind::Input;
  int64_t min = 0, max = INT64_MAX; // bounds that an input has to keep
};

/// A graph input or output. `dims` of an input are constants or expressions; an input dimension that is a plain Symbol
/// binds it, one that is another expression is checked once all symbols are bound. Outputs are evaluated.
///
/// An output may go on where an input ends. It is what the input holds with more behind it along dimension `axis`, a
/// cache that grows: a session that keeps such state has both in one piece of memory, whose dimension `axis` is the
/// Capacity symbol. Or it is as large as the input and differs from it in a window along `axis` alone, which is then
/// written in place. Or, without an axis, it replaces the input: a session has two pieces of memory that take turns.
/// A tensor that sessions keep in place of what an output continues. `dims` are those of the output, but for the axis
/// along which it grows, where there is room for the symbol of kind Capacity, and for constants.
struct KeptTensor {
  DType type = DType::f32;
  std::vector<ExprId> dims;
  BufferId buffer = kNone; // a temporary that one launch at the top level writes
};

struct Port {
  std::string name;
  DType type = DType::f32;
  std::vector<ExprId> dims;
  BufferId buffer = kNone;
  uint32_t tied = kNone; // outputs: number of the input that it continues
  uint32_t axis = kNone;
  std::vector<KeptTensor> kept; // of outputs that grow, in another form than theirs; empty: as they are
};

/// Bytes that instructions read and write. Every tensor is dense and row-major; reshaped tensors share a buffer.
struct Buffer {
  enum class Kind : uint8_t { Temporary, Input, Output, Weight };
  Kind kind = Kind::Temporary;
  ExprId bytes = kNone;
  WeightId weight = kNone; // Kind::Weight only
};

/// Bytes that are made where they are written rather than kept in memory: the same ones each time.
class WeightSource {
public:
  virtual ~WeightSource() = default;
  virtual uint64_t size() const = 0;
  /// Pieces of this many bytes, or of a multiple, are made at no loss. At least 1.
  virtual uint64_t unit() const = 0;
  /// Makes bytes [begin, begin + out.size()).
  virtual void read(uint64_t begin, std::span<std::byte> out) const = 0;
};

/// Constant bytes, stored once however often used, the way the kernels read them. `bytes` is borrowed by the writer
/// and, in a loaded model, points into the mapped file; `keep` owns what needs an owner.
struct Weight {
  std::string name; // the ONNX initializer, for people
  DType type = DType::f32;
  std::vector<int64_t> dims; // as stored
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> keep;
  bool lookedUp = false;                                // runs read of it what data says, such as rows of an embedding
  std::shared_ptr<const WeightSource> source = nullptr; // of a weight to be written, in place of `bytes`; else null

  uint64_t size() const { return source ? source->size() : bytes.size(); }
};

/// Labels in entries of PTX that nothing jumps to, in whose places GPUs that can overlap launches get instructions.
/// From a label that begins with `kBeginLabel` on, of which each entry has one at least, blocks of the next launch may
/// come. An entry with `kWaitLabel` may be such a next launch: only behind the label it reads what launches of the same
/// run have written before, and writes itself.
constexpr char kBeginLabel[] = "$kt_begin", kWaitLabel[] = "$kt_wait";

/// Code for one target. The bytes are PTX text (no terminating zero), a cubin, or a flat position-independent x86-64
/// image without relocations whose entries are offsets.
struct Module {
  enum class Kind : uint8_t { Ptx, Cubin, HostImage };
  Kind kind = Kind::Ptx;
  std::string target; // "sm_89", "host-v3", "host-v4-vnni"
  std::vector<std::byte> code;
};

/// Most blocks of a cluster that every GPU with clusters takes, and the first compute capability that has them.
constexpr int64_t kMostClusterBlocks = 8, kFirstClusterCapability = 90;

/// One launch of a variant. On a GPU the entry gets the buffer addresses (u64 each), the workspace address (u64, only
/// when the variant has one), the address of the fault record (u64, only when the kernel reports faults), that of the
/// session's table of pages (u64, only when the variant is paged), then the integer arguments (i32 each; a value that
/// does not fit is an error of the run). On the host see HostArgs.
struct Stage {
  uint32_t module = kNone;
  std::string entry;        // PTX: the .entry name
  uint64_t entryOffset = 0; // host image: offset of the function
  std::array<ExprId, 3> grid{kNone, kNone,
                             kNone};      // blocks; on the host grid[0] is the number of tasks. A zero skips the stage
  std::array<uint32_t, 3> block{1, 1, 1}; // threads a block (GPU)
  ExprId shared = kNone;                  // bytes of dynamic shared memory (GPU); kNone: none
  ExprId scratch = kNone;                 // bytes of private memory a worker, 64-byte aligned (host); kNone: none
  /// Blocks of a cluster, neighbours along the grid's second dimension, which they divide: they run at the same time
  /// and reach one another's shared memory. 1 to kMostClusterBlocks, on GPUs that have clusters; kNone: there are none.
  ExprId cluster = kNone;
};

/// Rows of a page of a state that grows: a multiple of the rows that kernels take at a time.
constexpr int64_t kPageRows = 128;
/// Where a session's states lie that are kept in pages, in numbers of 32 bits: how many rows there is room for, then
/// for each kPageRows rows the page of each element of the batch. The Capacity symbol is kPageRows then, and a state's
/// buffer is a pool of [page, ..., kPageRows, ...], whose page n of that begins n such pieces behind its start.
using PageTable = int32_t;

/// One way to run a kernel on a target, which fits when its guard is not zero (kNone: always). Of those that fit the
/// cheapest is run, the first of equals.
struct Variant {
  std::string target; // "sm_89", "host-v3", "host-v4"
  ExprId guard = kNone;
  ExprId cost = kNone;          // nanoseconds that the compiler expects a launch to take; kNone: 0
  ExprId workspace = kNone;     // bytes of memory shared by all blocks or tasks, 256-byte aligned; kNone: none
  bool workspaceZeroed = false; // must be zero at the start of the first stage
  /// Bytes of the session's counters that the launch uses; kNone: none. They are zero before each launch and after it,
  /// so that nothing has to clear them. On a GPU only.
  ExprId counters = kNone;
  /// For sessions whose states lie in pages, and only these: it gets their PageTable. Kernels that read or write such a
  /// state have such variants beside the others, or cannot be used in pages.
  bool paged = false;
  std::vector<Stage> stages;
  std::string schedule; // the decisions, for `ktc inspect`: "matmul tile=128x128x32 warps=2x4 stages=3"
};

/// What a result of a kernel is, its dimensions in the kernel's pool. Where a session keeps a state this is not how
/// much of it holds anything.
struct ResultType {
  DType type = DType::f32;
  std::vector<ExprId> dims;
};

/// A computation with its variants. All buffer arguments come first (results last among them), then integers.
struct Kernel {
  std::string name;   // "matmul_3"
  std::string family; // "matmul", "conv", "generic", ...
  uint32_t numBuffers = 0, numInts = 0;
  uint32_t numResults = 1;    // the last numResults buffers are written, the others are read
  bool reportsFaults = false; // it gets the run's FaultRecord; integer arguments tell it the numbers of its sites
  std::vector<Expr> exprs;
  /// Elements of the buffers, as far as they may be many. GPU code counts in 32 bits: where one of these is 2^31 or
  /// more, the kernel runs on the host.
  std::vector<ExprId> counts;
  /// What the results are, in their order, for whoever looks at them; nothing runs by it. None in artifacts of
  /// compilers that did not say it.
  std::vector<ResultType> results = {};
  std::vector<Variant> variants;
};

struct Block;

/// Run a kernel.
struct Launch {
  uint32_t kernel = 0;
  std::vector<BufferId> buffers;
  std::vector<ExprId> ints;
  uint32_t node = kNone; // index into Model::nodes, for messages and profiles
  /// What it computes follows from sizes of inputs and from weights: a plan for these sizes may do it once for all its
  /// runs. Only at the top level; it reads weights and what others such write, and nothing else writes its results.
  bool once = false;
};
/// dst[dstOffset ..] = src[srcOffset ..], `bytes` of them.
struct Copy {
  BufferId src = kNone, dst = kNone;
  ExprId srcOffset = kNone, dstOffset = kNone, bytes = kNone; // offsets kNone: 0
};
/// symbol = integer element `index` of the buffer, sign- or zero-extended, bool as 0 or 1, floats truncated. Waits for
/// the device.
struct ReadScalar {
  SymbolId symbol = 0;
  BufferId buffer = kNone;
  DType type = DType::i64;
  ExprId index = kNone;
};
struct SetSymbol {
  SymbolId symbol = 0;
  ExprId value = kNone;
};
/// The run fails with `message` and both values unless lhs == rhs.
struct Assert {
  ExprId lhs = kNone, rhs = kNone;
  std::string message;
  uint32_t node = kNone;
};
/// Runs one of two blocks; then result i is the buffer that the block yields (no copy is implied: the runtime may hand
/// over the memory or copy it). Buffers that a block defines are temporaries of that block.
struct If {
  ExprId condition = kNone;
  std::unique_ptr<Block> then, otherwise;
  std::vector<BufferId> results, thenYields, otherwiseYields;
};
/// Runs the body while iteration < trips (kNone: no bound) and the condition holds. Before the first iteration
/// carried[i] = init[i]; after each, carried[i] = next[i], whose size may differ. `condition` is an expression
/// evaluated before each iteration, kNone: always true (a body sets its symbol with ReadScalar). Scan outputs collect
/// one piece an iteration, in order, into scan[i], whose size is trips * piece when trips bounds it exactly, and else
/// is known only afterwards: then `iterations` is set first and Buffer::bytes of scan[i] depends on it.
struct Loop {
  ExprId trips = kNone, condition = kNone;
  SymbolId induction = kNone;  // 0, 1, 2, ... in the body
  SymbolId iterations = kNone; // set to the number of iterations done, after the loop
  std::vector<BufferId> init, carried, next;
  std::vector<BufferId> results; // as carried after the last iteration
  std::vector<BufferId> scanPieces, scan;
  std::vector<uint8_t> scanReverse; // 1: pieces are stored from the last to the first (needs trips)
  std::unique_ptr<Block> body;
};
/// The buffer `result` has the bytes of `source`: nothing is moved, both names live.
struct Alias {
  BufferId source = kNone, result = kNone;
};

using Instruction = std::variant<Launch, Copy, ReadScalar, SetSymbol, Assert, If, Loop, Alias>;
struct Block {
  std::vector<Instruction> instructions;
};

/// A place where data becomes an index. A number outside fails the run, with a message that names the node.
struct Site {
  uint32_t node = kNone; // index into Model::nodes
  std::string what;      // "an index into axis 0"
  bool wraps = false;    // [-limit, limit) is inside; else [0, limit)
};

/// What a kernel writes when it meets such a number; zero before. The last or the first of several stays.
struct FaultRecord {
  int64_t index = 0;
  uint32_t limit = 0; // 2^32 - 1 stands for that and more
  uint32_t site = 0;  // number in Model::sites + 1; 0: no fault
};

/// A run of top-level instructions [begin, end): the unit in which weights are kept on the device or streamed. Slices
/// follow one another and cover the program.
struct Slice {
  uint32_t begin = 0, end = 0;
  std::vector<WeightId> weights;
};

struct Model {
  std::string producer; // "ktc 0.1.0"
  std::string name;     // the ONNX graph's name
  std::vector<std::string> targets;
  std::vector<Expr> exprs;
  std::vector<Symbol> symbols;
  std::vector<Buffer> buffers;
  std::vector<Port> inputs, outputs;
  std::vector<Weight> weights;
  std::vector<Module> modules;
  std::vector<Kernel> kernels;
  std::vector<std::string> nodes;
  std::vector<Site> sites;
  Block program;
  std::vector<Slice> slices;
  std::string options; // the compile options as text, for `ktc inspect`
};

/// What a host kernel gets: `void entry(const HostArgs *)`. It does the tasks [begin, end) of the stage's grid[0]; the
/// pool calls it from several threads with disjoint ranges. All pointers are borrowed for the call.
struct HostArgs {
  void *const *buffers; // the launch's buffers
  const int64_t *ints;
  void *workspace; // shared by all tasks, or null
  void *scratch;   // of this worker alone, or null
  int64_t begin, end;
  const void *const *externals; // functions that the code may call; see HostExternal
  FaultRecord *faults;          // of the session; never null
  const PageTable *pages;       // of a variant that is paged; else null
};

/// Slots of HostArgs::externals: C functions that an image without relocations cannot reach by itself.
enum class HostExternal : uint32_t {
  memcpy, // void *(void *, const void *, size_t)
  memset,
  fmod, // double (double, double)
  pow,  // double (double, double)
  count
};

/// Whether `output`, which continues an input along an axis, is larger than that.
inline bool grows(const Model &m, const Port &output) {
  return output.axis != kNone &&
         !(m.exprs[m.inputs[output.tied].dims[output.axis]] == m.exprs[output.dims[output.axis]]);
}

} // namespace kt::artifact

#endif
