"""`where=`: which rows of a frame are wanted, as plain data or as an Arrow expression. Nothing in it is run as code.

    {"role": "tool"}                             the value
    {"tool": ["search", "fetch"]}                one of these
    {"text": None}                               not known
    {"step": (">=", 3)}                          compared
    {"t_s": [(">", 1.0), ("<", 5.0)]}            all of these
    pyarrow.compute.field("step") > 3            anything else

All conditions must hold. A value that is not known meets no condition but `None`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.column import FLAG, Column
from agentlab.errors import InputError

Where: TypeAlias = Mapping[str, Any]
"""Conditions by column; an Arrow expression is one too."""

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda field, value: field == value,
    "!=": lambda field, value: field != value,
    "<": lambda field, value: field < value,
    "<=": lambda field, value: field <= value,
    ">": lambda field, value: field > value,
    ">=": lambda field, value: field >= value,
}
_AMONG = ("in", "not in")
_IN_TEXT = ("contains",)
_OPERATORS = (*_COMPARED, *_AMONG, *_IN_TEXT)

_RUN_ID = "run_id"


@dataclass(frozen=True)
class Filter:
    """Which rows are wanted."""

    expression: Any
    """Over the columns of the frame; None: all rows."""
    columns: tuple[Column, ...]
    """What the expression may look at."""
    of_runs: Any
    """Over `run_id` alone; None: all runs."""

    @classmethod
    def of(cls, where: Where | Any | None, declared: Sequence[Column]) -> Filter:
        """The filter of a frame with these columns.

        Raises:
            InputError: A column, an operator or a value does not fit.
        """
        if where is None:
            return cls(None, (), None)
        if isinstance(where, pc.Expression):
            return cls(_checked(where, declared), tuple(declared), None, is_free=True)
        if not isinstance(where, Mapping):
            raise InputError(f"`where` takes conditions by column or an Arrow expression, not {where!r:.80}")
        known = {column.name: column for column in declared}
        if unknown := [name for name in where if not isinstance(name, str) or name not in known]:
            raise InputError(f"`where` names no column of this frame: {unknown[0]!r:.80}; there are {', '.join(known)}")
        conditions = {name: _conditions(known[name], asked) for name, asked in where.items()}
        of_runs = conditions.pop(_RUN_ID, None)
        others = list(conditions.values())
        return cls(reduce(and_, others) if others else None, tuple(known[name] for name in conditions), of_runs)

    is_free: bool = False
    """Whether it is an expression of the caller, which may fail over some values."""

    def rows(self, table: pa.Table) -> pa.Table:
        """The rows that are wanted.

        Raises:
            InputError: The expression fails over a value, as a cast may.
        """
        if self.expression is None:
            return table
        try:
            return table.filter(self.expression)
        except (pa.ArrowException, ValueError, TypeError) as exc:
            raise InputError(f"`where` cannot be told of all rows: {exc}") from exc

    def runs(self, run_ids: list[str]) -> Iterable[str]:
        """The runs that are wanted."""
        if self.of_runs is None:
            return run_ids
        kept: list[str] = pa.table({_RUN_ID: pa.array(run_ids, pa.string())}).filter(self.of_runs)[_RUN_ID].to_pylist()
        return kept


def _conditions(column: Column, asked: Any) -> Any:
    """What is asked of one column."""
    asked = _listed(asked)
    if _is_comparison(asked):
        return _compared(column, *asked)
    if _looks_like_comparison(asked):
        raise InputError(f"`{column.name}`: {asked[0]!r} is no operator; there are {', '.join(_OPERATORS)}")
    if isinstance(asked, list | tuple | set | frozenset):
        if asked and all(_is_comparison(each) for each in asked):
            return reduce(and_, [_compared(column, *each) for each in asked])
        return _among(column, asked)
    return _among(column, [asked])


def _is_comparison(asked: Any) -> bool:
    return isinstance(asked, tuple) and len(asked) == 2 and isinstance(asked[0], str) and asked[0] in _OPERATORS


def _looks_like_comparison(asked: Any) -> bool:
    """A pair that begins with signs, which no value of a frame does."""
    return isinstance(asked, tuple) and len(asked) == 2 and isinstance(asked[0], str) and set(asked[0]) <= set("<>=!~")


def _compared(column: Column, operator: str, value: Any) -> Any:
    field, value = pc.field(column.name), _listed(value)
    if operator in _AMONG:
        if not isinstance(value, list | tuple | set | frozenset):
            raise InputError(f"`{column.name}`: {operator!r} takes a list of values, not {value!r:.80}")
        return _among(column, value) if operator == "in" else ~_among(column, value) & field.is_valid()
    if operator in _IN_TEXT:
        if column.arrow_type != pa.string() or not isinstance(value, str):
            raise InputError(f"`{column.name}`: {operator!r} looks for a text in texts, not for {value!r:.80}")
        return pc.match_substring(field, _scalar(column, value).as_py())
    if value is None:
        return {"==": field.is_null, "!=": field.is_valid}.get(operator, lambda: _refuse(column, value))()
    return _COMPARED[operator](field, _scalar(column, value))


def _among(column: Column, values: Iterable[Any]) -> Any:
    asked = [_listed(value) for value in values]
    known = [_scalar(column, value) for value in asked if value is not None]
    field, kind = pc.field(column.name), column.arrow_type
    # A number that no row can have is left out: Arrow would cut off its fraction.
    found = field.isin(pa.array([scalar.as_py() for scalar in known if scalar.type == kind], kind))
    return found | field.is_null() if len(known) < len(asked) else found


def _listed(asked: Any) -> Any:
    """A series or an array as a list, a number of numpy as a plain one; anything else as it is."""
    if isinstance(asked, type) or not hasattr(asked, "tolist"):
        return asked
    values = asked.tolist()
    return [None if _is_missing(value) else value for value in values] if isinstance(values, list) else values


def _is_missing(value: Any) -> bool:
    return value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _scalar(column: Column, value: Any) -> pa.Scalar:
    """The value in the type of the column."""
    if column.words is not None and not (isinstance(value, str) and value in column.words):
        raise InputError(f"`{column.name}` is never {value!r:.80}; it is one of {', '.join(column.words)}")
    kind = column.arrow_type
    if isinstance(value, bool) is not (kind == FLAG):
        _refuse(column, value)
    try:
        fraction = isinstance(value, float) and pa.types.is_integer(kind) and not value.is_integer()
        compared = pa.float64() if fraction else kind
        return pa.scalar(value, compared)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as exc:
        raise InputError(f"`{column.name}` is {kind} and cannot be compared with {value!r:.80}") from exc


def _refuse(column: Column, value: Any) -> Any:
    raise InputError(f"`{column.name}` is {column.arrow_type} and cannot be compared with {value!r:.80}")


def _checked(expression: Any, declared: Sequence[Column]) -> Any:
    """The expression, when it fits the columns."""
    nothing = pa.schema([(column.name, column.arrow_type) for column in declared]).empty_table()
    try:
        nothing.filter(expression)
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as exc:
        names = ", ".join(column.name for column in declared)
        raise InputError(f"`where` does not fit the columns {names}: {exc}") from exc
    return expression
