"""Sizes of inputs that are made up: the expressions of a model's dimensions for given names."""

import ast
import operator

import numpy as np

from ._errors import UsageError

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod}


def names(ports):
    """The names that inputs' dimensions are, in their order; those that are only parts of expressions are among them."""
    found = {}
    for port in ports:
        for dim in port.shape:
            if isinstance(dim, str):
                tree = _parsed(dim)
                found.update((n.id, None) for n in (ast.walk(tree) if tree else ()) if isinstance(n, ast.Name))
                if tree is None:
                    found[dim] = None
    return list(found)


def size(dim, dims):
    """What a dimension is where the names in it have these sizes. UsageError for one that cannot be said so."""
    if not isinstance(dim, str):
        return dim
    if dim in dims:
        return operator.index(dims[dim])
    tree = _parsed(dim)
    value = _value(tree.body, dims) if tree else None
    if value is None or value < 0:
        raise UsageError(f"the size of '{dim}' is not said: give dims={{{dim!r}: ...}}, or inputs")
    return value


def inputs(ports, dims):
    """An array of ones for each port."""
    return {port.name: np.ones([size(dim, dims) for dim in port.shape], port.dtype) for port in ports}


def _parsed(text):
    try:
        return ast.parse(text.replace(" floordiv ", " // ").replace(" mod ", " % "), mode="eval")
    except (SyntaxError, ValueError):  # a name of the model's own making
        return None


def _value(node, dims):
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return operator.index(dims[node.id]) if node.id in dims else None
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, dims), _value(node.right, dims)
        if left is None or right is None or (right == 0 and isinstance(node.op, (ast.FloorDiv, ast.Mod))):
            return None
        return _OPERATORS[type(node.op)](left, right)
    return None
