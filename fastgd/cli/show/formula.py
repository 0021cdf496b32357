"""Formulas people type, such as ``(w-3)**2``: read, never executed as Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from fastgd.errors import SettingError
from fastgd.rules.registry import unknown_name

__all__ = ["formula"]

Value = Callable[[Any], float]

LONGEST = 500


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)  # ** would make complex numbers


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: _power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "sin": math.sin,
    "cos": math.cos, "tan": math.tan, "tanh": math.tanh, "sinh": math.sinh, "cosh": math.cosh,
    "sigmoid": _sigmoid, "relu": lambda z: max(0.0, z), "max": max, "min": min,
}  # fmt: skip
SEVERAL = ("max", "min")
CONSTANTS = {"pi": math.pi, "e": math.e}


def formula(text: str, n: int) -> Value:
    """Return the function that a formula in w describes.

    Parameters
    ----------
    text : str
        Numbers, w, pi, e, + - * / ** and the functions in `FUNCTIONS`. Several numbers are w[0],
        w[1], ...
    n : int
        How many numbers w is; for 1, w is written without brackets.

    Raises
    ------
    SettingError
        If it is no such formula; the message says where.

    Examples
    --------
    >>> formula("(w-3)**2", 1)(5.0)
    4.0
    >>> formula("w[0]**2 + 10*w[1]**2", 2)([1.0, 2.0])
    41.0
    >>> formula("open('x')", 1)
    Traceback (most recent call last):
    fastgd.errors.SettingError: function "open('x')": it may call abs, exp, log, sqrt, sin, cos, \
tan, tanh, sinh, cosh, sigmoid, relu, max, min; got open
    """
    if len(text) > LONGEST:
        raise SettingError("function", f"must have at most {LONGEST} characters; got {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        problem = f"must be a formula in w such as (w-3)**2; got {text!r}"
        raise SettingError("function", problem) from None
    try:
        return _compile(tree.body, n)
    except ValueError as error:
        raise SettingError("function", f"{text!r}: {error}") from None


def _compile(node: ast.AST, n: int) -> Value:
    """Return what computes a part of a formula."""
    value: Any = getattr(node, "value", None)
    if isinstance(node, ast.Constant) and type(value) in (int, float):
        number = float(value)
        return lambda w: number
    if isinstance(node, ast.Name | ast.Subscript):
        return _compile_name(node, n)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        apply, left = OPERATORS[type(node.op)], _compile(node.left, n)
        right = _compile(node.right, n)
        return lambda w: apply(left(w), right(w))
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        sign, operand = OPERATORS[type(node.op)], _compile(node.operand, n)
        return lambda w: sign(operand(w))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _compile_call(node.func.id, node.args, n)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        raise ValueError(f"powers are written **; got {ast.unparse(node)}")
    raise ValueError(f"only numbers, w, + - * / ** and functions will do; got {ast.unparse(node)}")


def _compile_name(node: ast.Name | ast.Subscript, n: int) -> Value:
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        constant = CONSTANTS[node.id]
        return lambda w: constant
    accepted = ["w"] if n == 1 else [f"w[{k}]" for k in range(n)]
    given = ast.unparse(node)
    if given not in accepted:
        hint = ""
        if given == "w" or given.startswith("w["):
            hint = f" (the start is {n} number{'s' * (n != 1)})"
        accepted += list(CONSTANTS)
        raise ValueError(f"{unknown_name('each name', given, accepted)}{hint}")
    if n == 1:
        return lambda w: float(w)
    k = accepted.index(given)
    return lambda w: float(w[k])


def _compile_call(name: str, arguments: list[ast.expr], n: int) -> Value:
    if name not in FUNCTIONS:
        raise ValueError(f"it may call {', '.join(FUNCTIONS)}; got {name}")
    least = 2 if name in SEVERAL else 1
    if len(arguments) < least or (len(arguments) > 1 and name not in SEVERAL):
        wanted = "two or more numbers" if name in SEVERAL else "one number"
        raise ValueError(f"{name} takes {wanted}; got {len(arguments)}")
    apply, parts = FUNCTIONS[name], [_compile(argument, n) for argument in arguments]
    return lambda w: apply(*(part(w) for part in parts))
