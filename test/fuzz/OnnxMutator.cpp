//===- OnnxMutator.cpp - changes ONNX models as models --------------------===//
//
// A fuzzer that flips bytes hardly ever makes a model that is still one. This changes the tree: nodes that the
// standard's schemas allow, wiring, types, dimensions, attributes, subgraphs, functions, tensors, and any field of any
// message.
//
//===----------------------------------------------------------------------===//

#include "test/fuzz/OnnxFields.h"
#include "test/fuzz/OnnxVocabulary.h"

#include <algorithm>
#include <cstring>

using llvm::StringRef;

namespace kt::fuzz {
namespace {

class Mutator {
public:
  Mutator(onnx::ModelProto &model, unsigned seed) : model(model), random(seed) {}

  void change() {
    onnx::GraphProto &graph = anyGraph();
    switch (below(random, 16)) {
    case 0:
    case 1:
    case 2:
      return insertNode(graph);
    case 3:
    case 4:
      return rewire(graph);
    case 5:
      return changeAttribute(graph);
    case 6:
      return changeType(graph);
    case 7:
    case 8:
      return changeTensor(graph);
    case 9:
      return addTensor(graph);
    case 10:
      return cut(graph);
    case 11:
      return changeOperator(graph);
    case 12:
      return makeFunction(graph);
    case 13:
      return nest(graph);
    case 14:
      if (auto *sets = model.mutable_opset_import(); sets->size())
        sets->Mutable((int)below(random, sets->size()))
            ->set_version(chance(random, 8) ? number(random) : 1 + below(random, 27));
      return;
    case 15:
      return changeOutputs(graph);
    }
  }

  /// Mostly a mutation leaves what every model has to have.
  void repair() {
    auto *graph = model.mutable_graph();
    std::vector<onnx::GraphProto *> graphs;
    collect(*graph, graphs, 0);
    for (onnx::GraphProto *g : graphs) {
      for (onnx::TensorProto &t : *g->mutable_initializer())
        fit(t);
      std::vector<std::string> names = namesOf(*g, g->node_size());
      for (onnx::ValueInfoProto &out : *g->mutable_output())
        if (!names.empty() && std::find(names.begin(), names.end(), out.name()) == names.end()) {
          out.set_name(names.back());
          out.clear_type();
        }
    }
    if (!model.has_ir_version())
      model.set_ir_version(8);
    if (!model.opset_import_size())
      model.add_opset_import()->set_version(18);
    for (const onnx::NodeProto &node : graph->node())
      if (!node.domain().empty() && std::none_of(model.opset_import().begin(), model.opset_import().end(),
                                                 [&](const auto &set) { return set.domain() == node.domain(); })) {
        auto *set = model.add_opset_import();
        set->set_domain(node.domain());
        set->set_version(1);
      }
  }

private:
  /// The bytes that its type and dimensions ask for, where these are few.
  void fit(onnx::TensorProto &t) {
    uint64_t bytes = bytesOf(t.data_type());
    for (int64_t d : t.dims()) {
      if (d < 0 || d > 4096)
        return;
      bytes *= (uint64_t)d;
    }
    if (bytes > 4096 || (t.has_data_location() && t.data_location() == onnx::TensorProto::EXTERNAL))
      return;
    if (t.int64_data_size() || t.float_data_size() || t.int32_data_size())
      return;
    t.mutable_raw_data()->resize(bytes);
  }

  void collect(onnx::GraphProto &graph, std::vector<onnx::GraphProto *> &out, int depth) {
    out.push_back(&graph);
    if (depth < 6)
      for (onnx::NodeProto &node : *graph.mutable_node())
        for (onnx::AttributeProto &a : *node.mutable_attribute())
          if (a.has_g())
            collect(*a.mutable_g(), out, depth + 1);
  }
  onnx::GraphProto &anyGraph() {
    std::vector<onnx::GraphProto *> graphs;
    collect(*model.mutable_graph(), graphs, 0);
    return chance(random, 2) ? *model.mutable_graph() : *any(random, graphs);
  }
  onnx::NodeProto *anyNode(onnx::GraphProto &graph) {
    return graph.node_size() ? graph.mutable_node((int)below(random, graph.node_size())) : nullptr;
  }

  /// What node number `before` of the graph may read.
  std::vector<std::string> namesOf(const onnx::GraphProto &graph, int before) {
    std::vector<std::string> names;
    for (const auto &i : graph.input())
      names.push_back(i.name());
    for (const auto &i : graph.initializer())
      names.push_back(i.name());
    for (int i = 0; i < std::min(before, graph.node_size()); ++i)
      for (const std::string &o : graph.node(i).output())
        if (!o.empty())
          names.push_back(o);
    return names;
  }
  std::string anyName(const onnx::GraphProto &graph, int before) {
    std::vector<std::string> names = namesOf(graph, before);
    if (&graph != &model.graph() && chance(random, 3))
      names = namesOf(model.graph(), model.graph().node_size());
    if (names.empty())
      return "x";
    return chance(random, 2) ? names.back() : any(random, names); // chains get deep
  }
  std::string fresh() { return "v" + std::to_string(random() % 100000); }

  void fillAttribute(onnx::AttributeProto &a, char kind, StringRef op) {
    switch (kind) {
    case 'i':
      a.set_type(onnx::AttributeProto::INT);
      return a.set_i(a.name() == "to" || a.name() == "dtype" || a.name() == "output_dtype" ? elementNumber(random)
                                                                                           : number(random));
    case 'f':
      a.set_type(onnx::AttributeProto::FLOAT);
      return a.set_f(real(random));
    case 's':
      a.set_type(onnx::AttributeProto::STRING);
      return a.set_s(word(random));
    case 'I':
      a.set_type(onnx::AttributeProto::INTS);
      a.clear_ints();
      for (size_t n = below(random, 6); n; --n)
        a.add_ints(number(random));
      return;
    case 'F':
      a.set_type(onnx::AttributeProto::FLOATS);
      a.clear_floats();
      for (size_t n = below(random, 5); n; --n)
        a.add_floats(real(random));
      return;
    case 'S':
      a.set_type(onnx::AttributeProto::STRINGS);
      a.clear_strings();
      for (size_t n = below(random, 4); n; --n)
        a.add_strings(chance(random, 2) ? "Tanh" : "Sigmoid");
      return;
    case 't':
      a.set_type(onnx::AttributeProto::TENSOR);
      return fillTensor(*a.mutable_t());
    case 'g':
      a.set_type(onnx::AttributeProto::GRAPH);
      return fillGraph(*a.mutable_g(), op);
    default:
      return;
    }
  }

  void fillTensor(onnx::TensorProto &t) {
    t.Clear();
    bool integers = chance(random, 2);
    t.set_data_type(integers ? 7 : elementNumber(random));
    uint64_t count = 1;
    for (size_t rank = below(random, integers ? 2 : 4); rank; --rank) {
      t.add_dims((int64_t)below(random, 5));
      count *= (uint64_t)t.dims(t.dims_size() - 1);
    }
    std::string &raw = *t.mutable_raw_data();
    if (integers) {
      for (uint64_t i = 0; i < count; ++i) {
        int64_t n = number(random);
        raw.append((const char *)&n, sizeof n);
      }
      return;
    }
    raw.resize(count * bytesOf(t.data_type()));
    for (char &c : raw)
      c = chance(random, 3) ? (char)random() : 0;
  }

  /// A body with the inputs that its operator gives it, and a few nodes.
  void fillGraph(onnx::GraphProto &g, StringRef op) {
    g.Clear();
    g.set_name("b");
    auto input = [&](int type, bool scalar) {
      auto *info = g.add_input();
      info->set_name(fresh());
      auto *tensor = info->mutable_type()->mutable_tensor_type();
      tensor->set_elem_type(type);
      if (scalar)
        tensor->mutable_shape();
    };
    if (op == "Loop")
      input(7, true), input(9, true);
    if (op != "If")
      for (size_t n = below(random, 3); n; --n)
        input(elementNumber(random), false);
    if (chance(random, 3) && model.graph().node_size() && model.ByteSizeLong() < 2048) { // a part of the model itself
      for (int i = 0; i < std::min(3, model.graph().node_size()); ++i)
        *g.add_node() = model.graph().node(i);
    } else {
      for (size_t n = 1 + below(random, 2); n; --n)
        insertNode(g, 1);
    }
    if (op == "Loop")
      g.add_output()->set_name(g.input(1).name());
    std::vector<std::string> names = namesOf(g, g.node_size());
    for (size_t n = 1 + below(random, 2); n && !names.empty(); --n)
      g.add_output()->set_name(chance(random, 2) ? names.back() : any(random, names));
  }

  void insertNode(onnx::GraphProto &graph, int depth = 0) {
    const Operator &op = any(random, operators());
    int at = chance(random, 3) ? (int)below(random, graph.node_size() + 1) : graph.node_size();
    onnx::NodeProto node;
    node.set_op_type(op.name.str());
    if (!op.domain.empty())
      node.set_domain(op.domain.str());
    size_t inputs = op.leastInputs + below(random, std::max(op.leastInputs, op.mostInputs) - op.leastInputs + 1);
    for (size_t i = 0; i < inputs; ++i) {
      if (i && chance(random, 3)) { // axes, shapes, pads: integers that are known
        auto *t = graph.add_initializer();
        fillTensor(*t);
        t->set_name(fresh());
        node.add_input(t->name());
      } else {
        node.add_input(chance(random, 8) ? "" : anyName(graph, at));
      }
    }
    size_t outputs = op.leastOutputs + below(random, std::max(op.leastOutputs, op.mostOutputs) - op.leastOutputs + 1);
    for (size_t i = 0; i < std::max<size_t>(outputs, 1); ++i)
      node.add_output(fresh());
    for (auto [name, kind] : op.attributes)
      if (kind == 'g' ? depth < 2 : chance(random, 2)) {
        auto *a = node.add_attribute();
        a->set_name(name.str());
        fillAttribute(*a, kind, op.name);
      }
    bool last = at == graph.node_size();
    *graph.add_node() = node;
    for (int i = graph.node_size() - 1; i > at; --i)
      graph.mutable_node()->SwapElements(i, i - 1);
    if (last && graph.output_size() && chance(random, 2)) {
      auto *out = graph.mutable_output((int)below(random, graph.output_size()));
      out->set_name(node.output(0));
      out->clear_type();
    } else if (!last && chance(random, 2) && at + 1 < graph.node_size() && graph.node(at + 1).input_size()) {
      auto *next = graph.mutable_node(at + 1);
      next->set_input((int)below(random, next->input_size()), node.output(0));
    }
  }

  void rewire(onnx::GraphProto &graph) {
    if (!graph.node_size())
      return;
    int at = (int)below(random, graph.node_size());
    onnx::NodeProto &node = *graph.mutable_node(at);
    switch (below(random, 6)) {
    case 0:
      node.add_input(anyName(graph, at));
      return;
    case 1:
      if (node.input_size())
        node.mutable_input()->RemoveLast();
      return;
    case 2:
      node.add_output(fresh());
      return;
    default:
      if (node.input_size())
        node.set_input((int)below(random, node.input_size()), chance(random, 8) ? "" : anyName(graph, at));
    }
  }

  void changeAttribute(onnx::GraphProto &graph) {
    onnx::NodeProto *node = anyNode(graph);
    if (!node)
      return;
    for (const Operator &op : operators())
      if (op.name == node->op_type() && !op.attributes.empty() && (chance(random, 3) || !node->attribute_size())) {
        auto [name, kind] = any(random, op.attributes);
        onnx::AttributeProto *found = nullptr;
        for (auto &a : *node->mutable_attribute())
          if (a.name() == name)
            found = &a;
        if (!found)
          found = node->add_attribute();
        found->set_name(name.str());
        return fillAttribute(*found, kind, op.name);
      }
    if (!node->attribute_size())
      return;
    int index = (int)below(random, node->attribute_size());
    onnx::AttributeProto &a = *node->mutable_attribute(index);
    if (a.type() == onnx::AttributeProto::INTS && a.ints_size())
      return a.set_ints((int)below(random, a.ints_size()), number(random));
    if (chance(random, 6)) {
      node->mutable_attribute()->DeleteSubrange(index, 1);
      return;
    }
    fillAttribute(a, "?fistgFIS"[std::min<int>(a.type(), 8)], node->op_type());
  }

  void changeType(onnx::GraphProto &graph) {
    onnx::ValueInfoProto *info = graph.input_size() && !chance(random, 4)
                                     ? graph.mutable_input((int)below(random, graph.input_size()))
                                 : graph.output_size() ? graph.mutable_output((int)below(random, graph.output_size()))
                                                       : graph.add_input();
    auto *tensor = info->mutable_type()->mutable_tensor_type();
    auto *shape = tensor->mutable_shape();
    switch (below(random, 4)) {
    case 0:
      return tensor->set_elem_type(elementNumber(random));
    case 1:
      if (shape->dim_size())
        return shape->mutable_dim()->RemoveLast();
      [[fallthrough]];
    case 2:
      shape->add_dim()->set_dim_value((int64_t)below(random, 5));
      return;
    case 3:
      if (shape->dim_size()) {
        auto *dim = shape->mutable_dim((int)below(random, shape->dim_size()));
        if (chance(random, 2))
          dim->set_dim_param(std::string(1, "nmk"[below(random, 3)]));
        else
          dim->set_dim_value(number(random));
      }
    }
  }

  void changeTensor(onnx::GraphProto &graph) {
    if (!graph.initializer_size())
      return addTensor(graph);
    onnx::TensorProto &t = *graph.mutable_initializer((int)below(random, graph.initializer_size()));
    std::string name = t.name();
    switch (below(random, 6)) {
    case 0:
      fillTensor(t);
      t.set_name(name);
      return;
    case 1:
      return t.set_data_type(elementNumber(random));
    case 2:
      if (t.dims_size())
        return t.set_dims((int)below(random, t.dims_size()), number(random));
      return t.add_dims(number(random));
    default:
      if (!t.raw_data().empty() && t.data_type() == 7 && t.raw_data().size() >= 8) {
        int64_t n = number(random);
        std::memcpy(&(*t.mutable_raw_data())[below(random, t.raw_data().size() / 8) * 8], &n, 8);
      } else if (t.int64_data_size()) {
        t.set_int64_data((int)below(random, t.int64_data_size()), number(random));
      } else if (!t.raw_data().empty()) {
        (*t.mutable_raw_data())[below(random, t.raw_data().size())] = (char)random();
      }
    }
  }

  void addTensor(onnx::GraphProto &graph) {
    onnx::TensorProto *t = graph.add_initializer();
    fillTensor(*t);
    t->set_name(fresh());
    if (onnx::NodeProto *node = anyNode(graph); node && node->input_size())
      node->set_input((int)below(random, node->input_size()), t->name());
  }

  void cut(onnx::GraphProto &graph) {
    if (!graph.node_size())
      return;
    int at = (int)below(random, graph.node_size());
    switch (below(random, 3)) {
    case 0: { // what it made is what it read
      std::string in = graph.node(at).input_size() ? graph.node(at).input(0) : "",
                  out = graph.node(at).output_size() ? graph.node(at).output(0) : "";
      graph.mutable_node()->DeleteSubrange(at, 1);
      for (auto &node : *graph.mutable_node())
        for (auto &input : *node.mutable_input())
          if (input == out)
            input = in;
      return;
    }
    case 1: { // twice
      onnx::NodeProto node = graph.node(at);
      for (auto &o : *node.mutable_output())
        if (!o.empty())
          o = fresh();
      *graph.add_node() = node;
      return;
    }
    case 2:
      graph.mutable_node()->SwapElements(at, (int)below(random, graph.node_size()));
    }
  }

  void changeOperator(onnx::GraphProto &graph) {
    if (onnx::NodeProto *node = anyNode(graph)) {
      const Operator &op = any(random, operators());
      node->set_op_type(op.name.str());
      node->set_domain(op.domain.str());
      if (chance(random, 2))
        node->clear_attribute();
    }
  }

  /// A node becomes a call of a function that holds it, or one more call.
  void makeFunction(onnx::GraphProto &graph) {
    onnx::NodeProto *node = anyNode(graph);
    if (!node || model.functions_size() > 4)
      return;
    if (model.functions_size() && chance(random, 2)) {
      const auto &f = model.functions((int)below(random, model.functions_size()));
      node->set_op_type(f.name());
      node->set_domain(f.domain());
      return;
    }
    auto *f = model.add_functions();
    f->set_name("F" + std::to_string(model.functions_size()));
    f->set_domain("local");
    *f->add_opset_import() = model.opset_import_size() ? model.opset_import(0) : onnx::OperatorSetIdProto();
    *f->add_node() = *node;
    for (const auto &i : node->input())
      f->add_input(i);
    for (const auto &o : node->output())
      f->add_output(o);
    for (auto &a : *f->mutable_node(0)->mutable_attribute())
      if (chance(random, 3)) {
        f->add_attribute(a.name());
        a.set_ref_attr_name(a.name());
        a.clear_i(), a.clear_f(), a.clear_s(), a.clear_ints();
      }
    node->set_op_type(f->name());
    node->set_domain("local");
  }

  /// Nodes move into the branch of an If or the body of a Loop.
  void nest(onnx::GraphProto &graph) {
    onnx::NodeProto *old = anyNode(graph);
    if (!old || model.ByteSizeLong() > 3000)
      return;
    onnx::NodeProto inner = *old;
    bool loop = chance(random, 2);
    old->clear_attribute();
    old->clear_input();
    old->clear_domain();
    old->set_op_type(loop ? "Loop" : "If");
    auto *flag = graph.add_initializer();
    flag->set_name(fresh());
    flag->set_data_type(loop ? 7 : 9);
    flag->mutable_raw_data()->assign(loop ? 8 : 1, 0);
    (*flag->mutable_raw_data())[0] = (char)below(random, 4);
    old->add_input(chance(random, 2) ? flag->name() : anyName(graph, graph.node_size()));
    if (loop)
      old->add_input("");
    for (int i = 0; i < (loop ? 1 : 2); ++i) {
      auto *a = old->add_attribute();
      a->set_name(loop ? "body" : i ? "else_branch" : "then_branch");
      a->set_type(onnx::AttributeProto::GRAPH);
      auto *g = a->mutable_g();
      g->set_name("g");
      if (loop) {
        for (int k = 0; k < 2; ++k) {
          g->add_input()->set_name(fresh());
          g->mutable_input(k)->mutable_type()->mutable_tensor_type()->set_elem_type(k ? 9 : 7);
          g->mutable_input(k)->mutable_type()->mutable_tensor_type()->mutable_shape();
        }
        g->add_output()->set_name(g->input(1).name());
      }
      *g->add_node() = inner;
      for (auto &o : *g->mutable_node(0)->mutable_output()) {
        if (!o.empty())
          o = fresh();
        g->add_output()->set_name(o);
      }
    }
  }

  void changeOutputs(onnx::GraphProto &graph) {
    if (graph.output_size() > 1 && chance(random, 3))
      return graph.mutable_output()->RemoveLast();
    auto *out = chance(random, 2) || !graph.output_size()
                    ? graph.add_output()
                    : graph.mutable_output((int)below(random, graph.output_size()));
    out->Clear();
    out->set_name(anyName(graph, graph.node_size()));
  }

  onnx::ModelProto &model;
  Random random;
};

/// libFuzzer's custom mutator: changes the model in `data` in place, at most `most` bytes; answers its new size.
size_t mutateOnnx(uint8_t *data, size_t size, size_t most, unsigned seed) {
  if (seed % 8 == 0)
    if (size_t bytes = mutateFields(data, size, most, seed))
      return bytes;
  onnx::ModelProto model;
  if (!model.ParsePartialFromArray(data, (int)size))
    model.Clear();
  Mutator mutator(model, seed);
  for (unsigned n = 1 + seed / 8 % 4; n; --n)
    mutator.change();
  if (seed / 64 % 8)
    mutator.repair();
  return store(model, data, size, most);
}

} // namespace
} // namespace kt::fuzz

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  if (seed % 32 == 0) // what is not even a model
    return LLVMFuzzerMutate(data, size, most);
  return kt::fuzz::mutateOnnx(data, size, most, seed / 32);
}
