"""Constraints between parameters, such as `hidden_size % n_heads == 0`: read, checked and asked, never run.

A constraint is an expression of numbers, words, lists, names of parameters, `+ - * / // %`, comparisons,
`in`, `and`, `or` and `not`, with Python's precedence and meaning. It is parsed, and walked node by node;
there are no calls, no attributes and no powers in it, so it can do nothing and takes no time.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

LONGEST = 500
"""Characters of a constraint."""
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_KNOWN = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Name, ast.Load, ast.Constant),
    *(ast.List, ast.Tuple, ast.And, ast.Or, ast.Not, ast.USub, *_ARITHMETIC, *_COMPARED),
)


class _AbsentError(Exception):
    """A parameter does not exist at a point."""


@dataclass(frozen=True)
class Rule:
    """One constraint.

    Attributes:
        text: as it was written.
        given: values of names that are not searched.
        prefix: before each name among the parameters of a point.
    """

    text: str
    given: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names in it, each once."""
        found = (node.id for node in ast.walk(parsed(self.text)) if isinstance(node, ast.Name))
        return tuple(dict.fromkeys(found))

    def holds(self, params: Mapping[str, Any]) -> bool:
        """True at a point where the constraint holds, or where a parameter in it does not exist.

        False also where it has no value there: a division by zero, a word that is less than a number.
        """
        try:
            return bool(self._value(parsed(self.text), params))
        except _AbsentError:
            return True
        except (TypeError, ArithmeticError):
            return False

    def _value(self, node: ast.AST, params: Mapping[str, Any]) -> Any:
        match node:
            case ast.Expression(body):
                return self._value(body, params)
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return self._named(name, params)
            case ast.List(items) | ast.Tuple(items):
                return [self._value(item, params) for item in items]
            case ast.BoolOp(ast.And(), parts):
                return all(self._value(part, params) for part in parts)
            case ast.BoolOp(_, parts):
                return any(self._value(part, params) for part in parts)
            case ast.UnaryOp(ast.Not(), part):
                return not self._value(part, params)
            case ast.UnaryOp(_, part):
                return -_number(self._value(part, params))
            case ast.BinOp(left, sign, right):
                one, other = self._value(left, params), self._value(right, params)
                return _ARITHMETIC[type(sign)](_number(one), _number(other))
            case ast.Compare(left, signs, rights):
                values = [self._value(part, params) for part in (left, *rights)]
                pairs = zip(signs, values, values[1:], strict=False)
                return all(_COMPARED[type(sign)](one, other) for sign, one, other in pairs)
        raise TypeError(f"{type(node).__name__} is no part of a constraint")

    def _named(self, name: str, params: Mapping[str, Any]) -> Any:
        if (own := f"{self.prefix}{name}") in params:
            value = params[own]
        elif name in self.given:
            value = self.given[name]
        else:
            raise _AbsentError(name)
        return list(value) if isinstance(value, tuple) else value


@lru_cache(maxsize=256)
def parsed(text: str) -> ast.Expression:
    """The tree of a constraint.

    Raises:
        ValueError: it is none; says what is wrong, and in which column of the text, from 1.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a constraint has at most {LONGEST} characters, but this one has {len(text):,}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        where = f" at its character {column}" if column else ""
        raise ValueError(f"`{text}` is no expression{where}") from None
    for node in ast.walk(tree):
        if not isinstance(node, _KNOWN) or _is_odd(node):
            raise ValueError(f"`{ast.unparse(node)}` is no part of a constraint")
    return tree


def _is_odd(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str)


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value
