//===- Schedules.cpp - which variants an artifact's launches get ----------===//

#include "compiler/Driver/Schedules.h"
#include "runtime/artifact/Evaluate.h"
#include "runtime/artifact/Print.h"
#include "runtime/text/Grammar.h"
#include <algorithm>
#include <charconv>
#include <sstream>

using namespace kt;
using namespace kt::artifact;

Status kt::parseFacts(const std::string &text, SchedulesOptions &options) {
  static const std::map<std::string, Fact> names{{"sm", Fact::SmCount},
                                                 {"workers", Fact::SmCount},
                                                 {"shared", Fact::SharedPerBlock},
                                                 {"capability", Fact::ComputeCapability},
                                                 {"l2", Fact::L2Bytes}};
  std::istringstream list(text);
  for (std::string entry; std::getline(list, entry, ',');) {
    size_t equals = entry.find('=');
    auto fact = names.find(entry.substr(0, equals));
    int64_t value = 0;
    bool isNumber = equals != std::string::npos && parseNumber(entry.substr(equals + 1), value);
    if (fact == names.end() || !isNumber)
      return Status::usage("--facts: expected sm, workers, shared, capability or l2 = a number but got '" + entry +
                           "'");
    options.facts[fact->second] = value;
  }
  return {};
}

namespace {

/// The facts that were given, and those of a usual machine: an RTX 4090, or sixteen cores with AVX-512. Cores have
/// VNNI, which no fact says.
class Machine {
public:
  Machine(const Model &m, const SchedulesOptions &options) : facts(options.facts) {
    bool gpu = std::any_of(m.targets.begin(), m.targets.end(), [](auto &t) { return t.rfind("sm_", 0) == 0; });
    for (auto [fact, value] : {std::pair{Fact::SmCount, gpu ? 128 : 16},
                               {Fact::SharedPerBlock, gpu ? 99 << 10 : 0},
                               {Fact::ComputeCapability, gpu ? 89 : 4},
                               {Fact::L2Bytes, gpu ? 72 << 20 : 0}})
      facts.try_emplace(fact, value);
  }
  int64_t operator[](Fact fact) const { return facts.at(fact); }
  /// How well code for a target suits, 0 where it does not run: GPUs run older code, hosts older instruction sets, and
  /// the host stands in for a GPU.
  int rank(const std::string &target) const {
    int have = (int)facts.at(Fact::ComputeCapability), number = 0;
    bool host = target.rfind("host-v", 0) == 0, exact = target.ends_with("a");
    size_t digits = host ? 6 : 3;
    std::from_chars(target.data() + std::min(digits, target.size()), target.data() + target.size(), number);
    if (host) { // of a GPU's host nothing is known
      bool vnni = target.ends_with("-vnni");
      return have >= 10 || number == have || (number < have && !vnni) ? number + 2 * vnni : 0;
    }
    return number == have || (number < have && !exact) ? 2 * number + exact : 0;
  }
  bool isHost() const { return facts.at(Fact::ComputeCapability) < 10; }

private:
  std::map<Fact, int64_t> facts;
};

/// The launches of a program, by kernel.
void collect(const Block &block, std::map<uint32_t, std::vector<const Launch *>> &to) {
  for (const Instruction &i : block.instructions) {
    if (auto *launch = std::get_if<Launch>(&i))
      to[launch->kernel].push_back(launch);
    if (auto *branch = std::get_if<If>(&i))
      collect(*branch->then, to), collect(*branch->otherwise, to);
    if (auto *loop = std::get_if<Loop>(&i))
      collect(*loop->body, to);
  }
}

class SchedulePrinter {
public:
  SchedulePrinter(const Model &m, const SchedulesOptions &options) : m(m), machine(m, options) {
    evaluate(
        m.exprs,
        [&](int64_t id) {
          const Symbol &s = m.symbols[id];
          auto it = options.dims.find(s.name);
          if (it != options.dims.end())
            return Value{it->second, Value::State::ok};
          return s.min == s.max ? Value{s.min, Value::State::ok} : Value();
        },
        [](Fact) { return 0; }, sizes);
    collect(m.program, launches);
  }

  std::string print() {
    for (uint32_t k = 0; k < m.kernels.size(); ++k)
      kernel(k);
    return text;
  }

private:
  void kernel(uint32_t number) {
    const Kernel &k = m.kernels[number];
    text += "kernel " + escaped(k.name) + " (" + escaped(k.family) + ")\n";
    std::vector<ExprId> roots;
    for (const Variant &v : k.variants)
      roots.insert(roots.end(), {v.guard, v.cost});
    std::vector<std::pair<std::string, std::string>> shared;
    std::vector<std::string> texts = printShared(k, roots, shared);
    for (auto &[name, value] : shared)
      text += "  let " + name + " = " + value + "\n";
    // Those that the machine runs come in its order, those for GPUs first.
    order.clear();
    for (const Variant &v : k.variants)
      if (machine.rank(v.target) > 0 && !v.paged) // a session that keeps nothing in pages is asked about
        order.push_back(&v);
    auto isGpu = [](const Variant *v) { return v->target.rfind("sm_", 0) == 0; };
    std::stable_sort(order.begin(), order.end(), [&](const Variant *a, const Variant *b) {
      return std::pair(isGpu(a), machine.rank(a->target)) > std::pair(isGpu(b), machine.rank(b->target));
    });
    gpu = std::count_if(order.begin(), order.end(), isGpu);
    for (size_t v = 0; v < k.variants.size(); ++v) {
      text += "  [" + std::to_string(v) + "] " + escaped(k.variants[v].target) + " \"" +
              escaped(k.variants[v].schedule) + "\"";
      if (k.variants[v].guard != kNone)
        text += " if " + texts[2 * v];
      if (k.variants[v].cost != kNone)
        text += " costs " + texts[2 * v + 1];
      text += "\n";
    }
    // Launches that are alike are told once.
    std::vector<std::pair<const Launch *, unsigned>> different;
    for (const Launch *launch : launches[number]) {
      auto same = [&](auto &entry) { return entry.first->ints == launch->ints; };
      auto it = std::find_if(different.begin(), different.end(), same);
      if (it == different.end())
        different.push_back({launch, 1});
      else
        ++it->second;
    }
    for (auto [launch, count] : different)
      tell(k, *launch, count);
  }

  void tell(const Kernel &k, const Launch &launch, unsigned count) {
    std::vector<Value> ints, values;
    text += "  launch";
    for (size_t i = 0; i < launch.ints.size(); ++i) {
      ints.push_back(sizes[launch.ints[i]]);
      text += " i" + std::to_string(i) + "=" +
              (ints[i].ok() ? std::to_string(ints[i].value) : "(" + printExpr(m, launch.ints[i]) + ")");
    }
    if (count > 1)
      text += ", " + std::to_string(count) + " times";
    if (launch.node != kNone)
      text += ", first '" + escaped(m.nodes[launch.node]) + "'";
    text += "\n";
    evaluate(k.exprs, [&](int64_t i) { return ints[i]; }, [&](Fact fact) { return machine[fact]; }, values);
    // The host's code comes in where none for the GPU fits.
    std::span<const Variant *const> all(order), group = all.first(gpu);
    auto self = [](const Variant *v) -> const Variant & { return *v; };
    Choice choice = choose(group, self, values);
    if (!choice.best && !choice.badGuard)
      group = all.subspan(gpu), choice = choose(group, self, values);
    for (size_t v = 0; v < k.variants.size(); ++v) {
      const Variant &variant = k.variants[v];
      if (std::find(group.begin(), group.end(), &variant) == group.end())
        continue;
      Value guard = variant.guard == kNone ? Value{1, Value::State::ok} : values[variant.guard];
      Value cost = variant.cost == kNone ? Value{0, Value::State::ok} : values[variant.cost];
      bool wins = choice.certain && choice.best && group[*choice.best] == &variant;
      text += std::string(wins ? "    > [" : "      [") + std::to_string(v) + "] ";
      if (guard.ok() && !guard.value)
        text += "does not fit\n";
      else
        text += (cost.ok() ? std::to_string(cost.value) + " ns" : "unknown") + splits(variant, values) +
                (guard.ok() ? "" : ", where it fits") + "\n";
    }
  }

  /// How many blocks share a depth or keys, where there are several: the second dimension of the first stage's grid.
  static std::string splits(const Variant &variant, const std::vector<Value> &values) {
    ExprId count = variant.stages.empty() ? kNone : variant.stages.front().grid[1];
    bool several = count != kNone && values[count].ok() && values[count].value > 1;
    return several ? ", " + std::to_string(values[count].value) + " splits" : "";
  }

  const Model &m;
  Machine machine;
  std::vector<Value> sizes;
  std::map<uint32_t, std::vector<const Launch *>> launches;
  std::vector<const Variant *> order; // of the kernel at hand
  size_t gpu = 0;                     // how many of them are for GPUs
  std::string text;
};

} // namespace

std::string kt::printSchedules(const Model &model, const SchedulesOptions &options) {
  return SchedulePrinter(model, options).print();
}
