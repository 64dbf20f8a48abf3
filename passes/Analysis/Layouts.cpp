//===- Layouts.cpp - tensors as strided views of others -------------------===//

#include "passes/Analysis/Layouts.h"
#include "mlir/IR/Matchers.h"
#include "passes/Analysis/Bodies.h"
#include "passes/Graph/ScalarMatch.h"

using namespace mlir;
using namespace kt;

std::optional<Expr> kt::exactQuotient(Expr a, Expr b) {
  if (b.isConstant(0))
    return std::nullopt;
  Expr q = Expr::floorDiv(a, b);
  return !q.poison() && q * b == a ? std::optional(q) : std::nullopt;
}

Expr kt::sizeOf(MLIRContext *context, ArrayRef<Mode> modes) {
  Expr size = Expr::constant(context, 1);
  for (const Mode &m : modes)
    size = size * m.size;
  return size;
}

Modes kt::coalesced(ArrayRef<Mode> modes) {
  Modes result;
  for (const Mode &m : modes) {
    if (m.size.isConstant(1))
      continue;
    if (!result.empty() && result.back().stride == m.stride * m.size)
      result.back() = {result.back().size * m.size, m.stride};
    else
      result.push_back(m);
  }
  return result;
}

std::optional<SmallVector<Modes>> kt::regrouped(ArrayRef<Mode> modes, ArrayRef<Expr> sizes) {
  SmallVector<Mode> left;
  llvm::copy_if(modes, std::back_inserter(left), [](const Mode &m) { return !m.size.isConstant(1); });
  SmallVector<Modes> groups(sizes.size());
  for (unsigned g = sizes.size(); g-- > 0;) {
    Expr wanted = sizes[g];
    while (!wanted.isConstant(1)) {
      if (left.empty())
        return std::nullopt;
      Mode m = left.pop_back_val();
      if (auto q = exactQuotient(wanted, m.size)) {
        groups[g].insert(groups[g].begin(), m);
        wanted = *q;
        continue;
      }
      if (auto q = exactQuotient(m.size, wanted)) {
        groups[g].insert(groups[g].begin(), {wanted, m.stride});
        left.push_back({*q, m.stride * wanted});
        break;
      }
      // Neighbours that go on in each other may be divided where neither alone can be.
      if (left.empty() || left.back().stride != m.stride * m.size)
        return std::nullopt;
      left.back() = {left.back().size * m.size, m.stride};
    }
  }
  if (!left.empty())
    return std::nullopt;
  return groups;
}

namespace {

/// constant + sum of coefficients * result indices of a body.
struct Affine {
  Expr constant;
  SmallVector<std::pair<unsigned, Expr>> terms;
};

std::optional<Affine> asAffine(Value v, Block *body, unsigned firstIndex) {
  MLIRContext *context = v.getContext();
  if (auto i = plainIndex(v, body, firstIndex))
    return Affine{Expr::constant(context, 0), {{*i, Expr::constant(context, 1)}}};
  APInt c;
  if (matchPattern(v, m_ConstantInt(&c)))
    return Affine{Expr::constant(context, c.getSExtValue()), {}};
  if (auto size = v.getDefiningOp<SizeOp>())
    return Affine{size.getValue(), {}};
  Operation *op = v.getDefiningOp();
  if (!op || !v.getType().isIndex() || !isa<arith::AddIOp, arith::SubIOp, arith::MulIOp>(op))
    return std::nullopt;
  auto a = asAffine(op->getOperand(0), body, firstIndex), b = asAffine(op->getOperand(1), body, firstIndex);
  if (!a || !b)
    return std::nullopt;
  if (isa<arith::MulIOp>(op)) {
    if (!a->terms.empty())
      std::swap(a, b);
    if (!a->terms.empty())
      return std::nullopt;
    b->constant = b->constant * a->constant;
    for (auto &[d, c] : b->terms)
      c = c * a->constant;
    return b;
  }
  int64_t sign = isa<arith::SubIOp>(op) ? -1 : 1;
  a->constant = a->constant + b->constant * sign;
  for (auto &[d, c] : b->terms) {
    auto same = llvm::find_if(a->terms, [d = d](auto &t) { return t.first == d; });
    if (same == a->terms.end())
      a->terms.push_back({d, c * sign});
    else
      same->second = same->second + c * sign;
  }
  llvm::erase_if(a->terms, [](auto &t) { return t.second.isConstant(0); });
  return a;
}

/// Adds what reading source dimension `modes` at `at` contributes to the layout of the result, whose dimensions have
/// the sizes `sizes`; false where that has no strides.
bool addDimension(Layout &to, ArrayRef<Mode> modes, const Affine &at, ArrayRef<Expr> sizes) {
  auto add = [&](unsigned d, Modes contribution) {
    if (to.dims[d].empty()) {
      to.dims[d] = contribution;
      return true;
    }
    // A result index that is read along two dimensions goes along both: a diagonal.
    if (contribution.empty())
      return true;
    if (to.dims[d].size() != 1 || contribution.size() != 1 || to.dims[d][0].size != contribution[0].size)
      return false;
    to.dims[d][0].stride = to.dims[d][0].stride + contribution[0].stride;
    return true;
  };
  MLIRContext *context = at.constant.context();
  // Views only go forward.
  if (!llvm::all_of(at.terms, [](auto &t) { return t.second.isNonNegative(); }))
    return false;
  Modes own = coalesced(modes);
  if (at.terms.size() == 1 && at.terms[0].second.isConstant(1) && at.constant.isConstant(0) &&
      sizes[at.terms[0].first] == sizeOf(context, modes))
    return add(at.terms[0].first, Modes(modes));
  if (own.size() <= 1) {
    Expr stride = own.empty() ? Expr::constant(context, 0) : own[0].stride;
    to.offset = to.offset + at.constant * stride;
    for (auto &[d, c] : at.terms)
      if (!sizes[d].isConstant(1) && !add(d, {{sizes[d], c * stride}}))
        return false;
    return true;
  }
  // A range or one position of a dimension of several modes: whole inner parts of the outermost one.
  Expr inner = sizeOf(context, ArrayRef(own).drop_front());
  auto first = exactQuotient(at.constant, inner);
  if (at.terms.empty()) {
    if (!first)
      return at.constant.isConstant(0);
    to.offset = to.offset + *first * own[0].stride;
    return true;
  }
  if (at.terms.size() != 1 || !at.terms[0].second.isConstant(1) || !first)
    return false;
  unsigned d = at.terms[0].first;
  auto count = exactQuotient(sizes[d], inner);
  if (!count)
    return false;
  to.offset = to.offset + *first * own[0].stride;
  own[0].size = *count;
  if (count->isConstant(1))
    own.erase(own.begin());
  return add(d, own);
}

/// What a body yields: a read, and with `scale` a read times a constant.
ReadOp yieldedRead(Block &body, double *scale) {
  Value v = body.getTerminator()->getOperand(0);
  if (scale) {
    *scale = 1;
    v = stripCasts(v);
    if (auto mul = v.getDefiningOp<arith::MulFOp>()) {
      auto right = constantFloat(mul.getRhs()), left = constantFloat(mul.getLhs());
      if (!right && !left)
        return {};
      *scale = right ? *right : *left;
      v = right ? mul.getLhs() : mul.getRhs();
    } else if (auto div = v.getDefiningOp<arith::DivFOp>()) {
      auto c = constantFloat(div.getRhs());
      if (!c || *c == 0)
        return {};
      *scale = 1 / *c;
      v = div.getLhs();
    }
    v = stripCasts(v);
  }
  return v.getDefiningOp<ReadOp>();
}

/// The layout of the movement's source, seen through the movement's result.
std::optional<Layout> throughMovement(const Layout &source, GenericOp op, double *scale) {
  Block &body = op.getBody().front();
  ReadOp read = yieldedRead(body, scale);
  if (!read || read.getOtherwise() || op.getInputs().size() != 1 ||
      read.getTensor().getType().getElementType() != op.getResult().getType().getElementType())
    return std::nullopt;
  SymTensorType type = op.getResult().getType();
  SmallVector<Expr> sizes = type.sizes();
  Layout result{source.root, SmallVector<Modes>(type.getRank()), source.offset};
  for (auto [dim, index] : llvm::enumerate(read.getIndices())) {
    auto at = asAffine(index, &body, 1);
    if (!at || !addDimension(result, source.dims[dim], *at, sizes))
      return std::nullopt;
  }
  // What is not read along repeats.
  Expr zero = Expr::constant(op.getContext(), 0);
  for (auto [d, size] : llvm::enumerate(sizes))
    if (result.dims[d].empty() && !size.isConstant(1))
      result.dims[d] = {{size, zero}};
  return result;
}

/// `v` in row-major order.
Layout denseLayout(Value v) {
  FactorView view = denseView(cast<SymTensorType>(v.getType()));
  Layout layout{v, {}, view.offset};
  for (auto [d, s] : llvm::zip(view.dims, view.strides))
    layout.dims.push_back(d.isConstant(1) ? Modes() : Modes{{d, s}});
  return layout;
}

} // namespace

Layout kt::layoutOf(Value v, Value stop, SmallVectorImpl<double> *scales) {
  if (v == stop)
    return denseLayout(v);
  SmallVector<double> before;
  auto inner = [&](Value source) { return layoutOf(source, stop, scales ? &before : nullptr); };
  auto keepScales = [&](double own) {
    if (!scales)
      return;
    scales->append(before.begin(), before.end());
    if (own != 1)
      scales->push_back(own);
  };
  if (auto reshape = v.getDefiningOp<ReshapeOp>()) {
    Layout source = inner(reshape.getSource());
    SmallVector<Mode> modes;
    for (const Modes &dim : source.dims)
      modes.append(dim.begin(), dim.end());
    if (auto dims = regrouped(modes, reshape.getResult().getType().sizes())) {
      keepScales(1);
      return {source.root, std::move(*dims), source.offset};
    }
  } else if (auto generic = v.getDefiningOp<GenericOp>(); generic && generic.getInputs().size() == 1) {
    double scale = 1;
    if (auto layout = throughMovement(inner(generic.getInputs()[0]), generic, scales ? &scale : nullptr)) {
      keepScales(scale);
      return *layout;
    }
  }
  return denseLayout(v);
}

std::optional<FactorView> kt::asView(const Layout &layout, ArrayRef<Expr> sizes) {
  FactorView view;
  view.offset = layout.offset;
  for (auto [dim, size] : llvm::zip(layout.dims, sizes)) {
    Modes modes = coalesced(dim);
    if (modes.size() > 1)
      return std::nullopt;
    view.dims.push_back(size);
    view.strides.push_back(modes.empty() ? Expr::constant(size.context(), 0) : modes[0].stride);
  }
  return view;
}
