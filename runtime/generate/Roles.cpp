//===- Roles.cpp - what the ports of a language model are for -------------===//

#include "runtime/generate/Roles.h"

#include <algorithm>

namespace kt::generate {

namespace {
std::optional<size_t> named(const std::vector<PortInfo> &ports, const std::string &name) {
  auto it = std::find_if(ports.begin(), ports.end(), [&](const PortInfo &p) { return p.name == name; });
  return it == ports.end() ? std::nullopt : std::optional<size_t>(it - ports.begin());
}

bool isInteger(DataType type) { return type == DataType::i64 || type == DataType::i32; }

/// The inputs by which `ktc compile --sample drawn` has tokens drawn; all of them or none.
std::optional<SamplingRoles> samplingRoles(const std::vector<PortInfo> &inputs) {
  SamplingRoles roles;
  const std::pair<const char *, std::pair<DataType, size_t *>> ports[] = {
      {"sampling.temperature", {DataType::f32, &roles.temperature}},
      {"sampling.top_k", {DataType::i32, &roles.topK}},
      {"sampling.top_p", {DataType::f32, &roles.topP}},
      {"sampling.seed", {DataType::i64, &roles.seed}},
      {"sampling.step", {DataType::i64, &roles.step}}};
  for (const auto &[name, port] : ports) {
    auto found = named(inputs, name);
    if (!found || inputs[*found].type != port.first || inputs[*found].dims != std::vector<int64_t>{1})
      return std::nullopt;
    *port.second = *found;
  }
  return roles;
}

std::string quoted(const std::string &text) { return "'" + text + "'"; }
} // namespace

Result<Roles> findRoles(const Model &model, const GenerationPorts &ports) {
  const std::vector<PortInfo> &inputs = model.inputs(), &outputs = model.outputs();
  Roles roles;
  auto find = [&](const std::vector<PortInfo> &among, const char *kind, const std::string &given,
                  const char *usual) -> Result<std::optional<size_t>> {
    auto found = named(among, given.empty() ? usual : given);
    if (!found && !given.empty())
      return Status::usage(std::string("the model has no ") + kind + " " + quoted(given));
    return found;
  };
  auto ids = find(inputs, "input", ports.ids, "input_ids"), mask = find(inputs, "input", ports.mask, "attention_mask"),
       positions = find(inputs, "input", ports.positions, "position_ids"),
       logits = find(outputs, "output", ports.logits, "logits");
  for (auto *role : {&ids, &mask, &positions, &logits})
    if (!role->ok())
      return std::move(*role).status();
  if (!*ids)
    return Status::usage("no input is called 'input_ids': it is not known where tokens go");
  if (!*logits)
    return Status::usage("no output is called 'logits': it is not known where the next token is said");
  roles.ids = **ids, roles.logits = **logits, roles.mask = *mask, roles.positions = *positions;
  roles.writes = named(inputs, "write_indices"), roles.lengths = named(inputs, "nonpad_kv_seqlen");
  for (auto port : {std::optional(roles.ids), roles.positions})
    if (port && (!isInteger(inputs[*port].type) || inputs[*port].dims.size() != 2))
      return Status::usage("input " + quoted(inputs[*port].name) + " is " + name(inputs[*port].type) + " of rank " +
                           std::to_string(inputs[*port].dims.size()) + ", expected integers of rank 2");
  for (auto port : {roles.writes, roles.lengths})
    if (port && (inputs[*port].type != DataType::i64 || inputs[*port].dims.size() != 1))
      return Status::usage("input " + quoted(inputs[*port].name) + " is " + name(inputs[*port].type) + " of rank " +
                           std::to_string(inputs[*port].dims.size()) + ", expected i64 of rank 1");
  if (roles.mask && inputs[*roles.mask].dims.size() != 2)
    return Status::usage("input " + quoted(inputs[*roles.mask].name) + " has rank " +
                         std::to_string(inputs[*roles.mask].dims.size()) + ", expected 2");
  size_t rank = outputs[roles.logits].dims.size();
  if (rank < 2 || rank > 3 || outputs[roles.logits].dims.back() < 1)
    return Status::usage("output " + quoted(outputs[roles.logits].name) +
                         " has another shape than [batch, tokens, vocabulary] or [batch, vocabulary]");
  DataType drawn = outputs[roles.logits].type;
  if (drawn != DataType::f32 && drawn != DataType::f16 && drawn != DataType::bf16)
    return Status::usage("output " + quoted(outputs[roles.logits].name) + " is " + name(drawn) +
                         ", expected f32, f16 or bf16");
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i].tied.empty())
      roles.states.emplace_back(*named(inputs, outputs[i].tied), i);
  roles.sampling = samplingRoles(inputs);
  roles.next = named(outputs, "next_token");
  if (roles.next && (outputs[*roles.next].type != inputs[roles.ids].type || outputs[*roles.next].dims.size() != 2))
    roles.next.reset();
  auto isSampling = [&](size_t i) {
    return roles.sampling && (i == roles.sampling->temperature || i == roles.sampling->topK ||
                              i == roles.sampling->topP || i == roles.sampling->seed || i == roles.sampling->step);
  };
  for (size_t i = 0; i < inputs.size(); ++i)
    if (i != roles.ids && !isSampling(i) && i != roles.mask && i != roles.positions && i != roles.writes &&
        i != roles.lengths &&
        std::none_of(roles.states.begin(), roles.states.end(), [&](auto &s) { return s.first == i; }))
      return Status::usage("input " + quoted(inputs[i].name) + " is no tokens, no mask, no positions, and no output " +
                           "continues it: it is not known what to give");
  return roles;
}

} // namespace kt::generate
