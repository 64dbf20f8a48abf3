//===- Inputs.cpp - types and symbols of graph inputs ---------------------===//

#include "compiler/Import/Importer.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace kt;
using namespace kt::import;

static bool isLiteral(const onnx::TensorShapeProto::Dimension &dim) {
  return dim.has_dim_value() && dim.dim_value() > 0;
}

/// The name of a symbolic dimension; empty where it has none of its own.
static StringRef nameOf(const onnx::TensorShapeProto::Dimension &dim) {
  StringRef param = dim.has_dim_param() ? StringRef(dim.dim_param()) : StringRef();
  return param == "?" || param == "None" ? StringRef() : param;
}

/// Without dynamic batching the batch is one: it is the named dimension that leads most inputs, the first of several,
/// or all unnamed leading dimensions where none has a name. With it, a model that leaves no choice is worth a warning.
void Importer::settleBatch(ArrayRef<const onnx::ValueInfoProto *> inputs) {
  if (!options.dynamicBatching)
    return;
  llvm::MapVector<StringRef, unsigned> leading;
  std::string fixed;
  for (const onnx::ValueInfoProto *info : inputs) {
    const auto &shape = info->type().tensor_type().shape();
    if (shape.dim_size() == 0)
      continue;
    if (isLiteral(shape.dim(0)))
      fixed += (fixed.empty() ? "'" : ", '") + info->name() + "' at " + std::to_string(shape.dim(0).dim_value());
    else
      ++leading[nameOf(shape.dim(0))];
  }
  if (*options.dynamicBatching) {
    if (leading.empty() && !fixed.empty())
      emitWarning(b.getUnknownLoc()) << "dynamic_batching is true, but the model fixes the first dimension of every "
                                     << "input: " << fixed;
    return;
  }
  for (auto &[name, count] : leading)
    if (!batchOfOne || batchOfOne->empty() || (!name.empty() && count > leading[*batchOfOne]))
      batchOfOne = name.str();
}

SymTensorType Importer::inputType(const onnx::ValueInfoProto &info) {
  auto loc = NameLoc::get(b.getStringAttr(info.name()));
  if (!info.type().has_tensor_type()) {
    emitError(loc) << "input '" << info.name()
                   << "' is not a tensor: sequences, maps and optionals are not supported as inputs";
    return {};
  }
  const auto &tensor = info.type().tensor_type();
  Type element = elementType(b.getContext(), tensor.elem_type());
  if (!element) {
    emitError(loc) << "input '" << info.name() << "': unsupported element type " << typeName(tensor.elem_type());
    return {};
  }
  if (!tensor.has_shape()) {
    emitError(loc) << "input '" << info.name() << "' has no shape: its rank has to be known";
    return {};
  }
  SmallVector<ExprAttr> dims;
  for (int i = 0; i < tensor.shape().dim_size(); ++i) {
    const auto &dim = tensor.shape().dim(i);
    if (dim.has_dim_value() && dim.dim_value() < -1) {
      emitError(loc) << "input '" << info.name() << "': negative dimension " << dim.dim_value();
      return {};
    }
    if (isLiteral(dim)) {
      dims.push_back(Expr::constant(b.getContext(), dim.dim_value()).attr());
      continue;
    }
    // Named dimensions are one symbol wherever the name occurs; unnamed ones are each their own.
    StringRef param = nameOf(dim);
    bool anonymous = param.empty();
    std::string name = anonymous ? freshName(info.name() + "_d" + std::to_string(i)) : std::string();
    if (!anonymous) {
      auto [it, fresh] = symbolOfParam.try_emplace(param, "");
      if (fresh)
        it->second = freshName(param);
      name = it->second;
    }
    DimRange range;
    if (batchOfOne && param == *batchOfOne && (!anonymous || i == 0))
      range = {1, 1};
    for (StringRef key : {param, StringRef(name)})
      if (auto it = options.dims.find(key); it != options.dims.end())
        range = it->second, usedDims.insert(it->getKey());
    if (range.min == range.max) {
      dims.push_back(Expr::constant(b.getContext(), range.min).attr());
      continue;
    }
    bounds[name] = range;
    dims.push_back(Expr::symbol(b.getContext(), name).attr());
  }
  return SymTensorType::get(b.getContext(), dims, element);
}
