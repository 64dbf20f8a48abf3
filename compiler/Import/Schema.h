//===- Schema.h - what the standard says of its operators -----------------===//
//
// A table of every operator of ONNX's own domain in every version, generated from the standard's own definitions
// (scripts/generate-schemas.py), and the checks that the standard's checker makes with it.
//
//===----------------------------------------------------------------------===//

#ifndef KT_COMPILER_IMPORT_SCHEMA_H
#define KT_COMPILER_IMPORT_SCHEMA_H

#include "mlir/IR/Types.h"
#include "onnx.pb.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kt::import {

/// A domain as it is compared: the standard's has two names.
inline llvm::StringRef domainOf(llvm::StringRef name) { return name == "ai.onnx" ? llvm::StringRef() : name; }

/// The versions that a model or a function imports, by domain.
using OperatorSets = llvm::StringMap<int64_t>;
template <typename Proto> OperatorSets operatorSets(const Proto &proto) {
  OperatorSets sets;
  for (const auto &set : proto.opset_import())
    sets[domainOf(set.domain())] = set.version();
  return sets;
}

/// By which name messages call a node: its own or its first output's.
inline llvm::StringRef nodeName(const onnx::NodeProto &node) {
  return node.name().empty() && node.output_size() ? llvm::StringRef(node.output(0)) : llvm::StringRef(node.name());
}

/// What is wrong, or nothing.
using Complaint = std::optional<std::string>;

/// One operator from one operator set on.
struct Schema {
  struct Attribute {
    llvm::StringRef name;
    int kind; // AttributeProto.AttributeType
    bool required;
  };
  struct Parameter {
    char mark;                 // '!' required, '?' optional, '*' repeated, '+' repeated, each of its own type
    llvm::StringRef parameter; // of its type, empty: none
    uint64_t types;            // a bit for a TensorProto.DataType; bit 0: what is no tensor
  };
  int64_t since = 1;
  bool removed = false;
  bool anyAttribute = false; // others than these are left alone
  unsigned leastInputs = 0, mostInputs = 0, leastOutputs = 0, mostOutputs = 0;
  llvm::SmallVector<Attribute> attributes;
  llvm::SmallVector<Parameter> inputs;
  llvm::StringRef outputs; // a mark each
};

class Schemas {
public:
  explicit Schemas(mlir::MLIRContext *context);

  /// The newest version of the file format.
  int64_t newestIr() const { return table().ir; }
  /// Every operator of the standard's domain and the operator sets that it changed in, oldest first; where it was
  /// removed, as a negative number.
  static std::map<std::string, std::vector<int64_t>> versions();
  /// What is wrong with a node of the standard's domain whatever its inputs are: an operator that the operator set does
  /// not have, counts of inputs and outputs, attributes. Operators that the standard never had pass.
  Complaint checkNode(const onnx::NodeProto &node, int64_t opset) const;
  /// What is wrong with the types of its inputs; null: not there, or no tensor.
  Complaint checkTypes(const onnx::NodeProto &node, int64_t opset, llvm::ArrayRef<mlir::Type> elements) const;
  /// The attributes that it has to have.
  llvm::SmallVector<llvm::StringRef> required(const onnx::NodeProto &node, int64_t opset) const;

private:
  /// The table, parsed once in a process: several imports of a model need it, and many at a time may.
  struct Table {
    int64_t ir = 0;
    llvm::StringMap<llvm::SmallVector<Schema, 4>> versions; // oldest first
    Table();
  };
  static const Table &table();
  /// The version that an operator set has; null where it has none.
  const Schema *find(llvm::StringRef op, int64_t opset) const;

  llvm::DenseMap<mlir::Type, int> numbers; // element types as TensorProto.DataType
};

/// What is wrong with the fields of a tensor: values in a field of another type, or in several.
Complaint checkTensorFields(const onnx::TensorProto &tensor);
/// What is wrong with a model's version and operator sets. Conflicting ones only: the same one twice says nothing
/// wrong.
Complaint checkVersions(const onnx::ModelProto &model, int64_t newestIr);

} // namespace kt::import

#endif
