"""The three tools of the demonstration: they read a real file and work out real numbers."""

from __future__ import annotations

import ast
import csv
import operator
import statistics
from collections.abc import Callable
from datetime import date
from importlib import resources
from typing import Literal

from agentlab.agent.tools import tool
from agentlab.errors import ToolError

Column = Literal["temperature", "humidity", "pressure", "light"]

_OPERATORS: dict[type[ast.operator | ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "min": min,
    "max": max,
    "sum": sum,
}


@tool
def read_column(column: Column) -> str:
    """Read one column of the weather file.

    Args:
        column: The name of the column.
    """
    text = resources.files("agentlab.demo").joinpath("weather.csv").read_text(encoding="utf-8")
    return ", ".join(row[column] for row in csv.DictReader(text.splitlines()))


@tool
def calculate(expression: str) -> str:
    """Work out an expression with numbers, + - * / and mean, min, max, sum.

    Args:
        expression: Such as `mean(1, 2, 3)`.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        return f"{_value(tree.body):.6g}"
    except (SyntaxError, ZeroDivisionError, OverflowError, RecursionError, statistics.StatisticsError) as exc:
        raise ToolError(f"{expression!r} cannot be worked out: {exc}") from exc


@tool
def days_between(first: date, second: date) -> int:
    """Count the days between two dates.

    Args:
        first: One date.
        second: The other date.
    """
    return abs((second - first).days)


def _value(node: ast.expr) -> float:
    """The value of an arithmetic expression. Nothing else is ever carried out."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
            return float(_FUNCTIONS[name]([_value(arg) for arg in args]))
    raise ToolError(f"only numbers, + - * / and {', '.join(_FUNCTIONS)} are understood here: {ast.unparse(node)}")
