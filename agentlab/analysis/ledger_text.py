"""A ledger to look at: totals by model and purpose, as text and as a table for notebooks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from agentlab.trace.safe import as_html, in_one_line
from agentlab.trace.words import MISSING

_HEAD = ("model", "for", "calls", "input", "of it cached", "output", "of it reasoning", "cost [USD]", "source")
_N_WORDS = 2
"""Columns that are words at the left."""


def ledger_text(title: str, totals: pd.DataFrame, n_problems: int) -> str:
    """Totals by model in lines. What is not known is a dash; "at least" comes before what some calls lack."""
    table = [_HEAD, *(_cells(row) for row in totals.to_dict("records"))]
    widths = [max(len(row[n]) for row in table) for n in range(len(_HEAD))]
    lines = [
        "  ".join(_padded(cell, width, n) for n, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in table
    ]
    return "\n".join([title, *lines, *_remarks(totals, n_problems)])


def ledger_html(title: str, totals: pd.DataFrame, n_problems: int) -> str:
    """The same as a table. Every text in it is escaped; it reads without a style sheet."""
    head = "".join(f'<th style="text-align:left">{as_html(name)}</th>' for name in _HEAD)
    rows = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{as_html(cell)}</td>' for cell in _cells(row)) + "</tr>"
        for row in totals.to_dict("records")
    )
    caption = f'<caption style="text-align:left">{as_html(title)}</caption>'
    remarks = "".join(f"<p>{as_html(line)}</p>" for line in _remarks(totals, n_problems))
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remarks}"


def _cells(row: dict[Hashable, Any]) -> tuple[str, ...]:
    return (
        in_one_line(f"{row['provider']}/{row['model']}"),
        str(row["purpose"]),
        f"{row['n_calls']:,}",
        _at_least(row, "input_tokens", ",.0f"),
        _number(row["cached_tokens"], ",.0f"),
        _at_least(row, "output_tokens", ",.0f"),
        _number(row["reasoning_tokens"], ",.0f"),
        _at_least(row, "cost_usd", ",.6f"),
        str(row["usage_source"]),
    )


def _at_least(row: dict[Hashable, Any], name: str, form: str) -> str:
    if pd.isna(row[name]) and not pd.isna(row[f"known_{name}"]):
        return f"at least {_number(row[f'known_{name}'], form)}"
    return _number(row[name], form)


def _number(value: Any, form: str) -> str:
    return MISSING if pd.isna(value) else format(value, form)


def _padded(cell: str, width: int, n: int) -> str:
    return cell.ljust(width) if n < _N_WORDS or n == len(_HEAD) - 1 else cell.rjust(width)


def _remarks(totals: pd.DataFrame, n_problems: int) -> Iterator[str]:
    n_missing, n_unpriced = int(totals["n_missing"].sum()), int(totals["n_unpriced"].sum())
    if n_missing:
        yield f"Calls without known input or output: {n_missing:,}."
    if n_unpriced:
        yield f"Calls without a known cost: {n_unpriced:,}."
    for name, word in (("cost_source", "Prices"), ("cost_note", "Note")):
        parts = [part for text in totals[name].dropna() for part in str(text).split("; ")]
        for part in dict.fromkeys(parts):
            yield f"{word}: {in_one_line(part, 160)}"
    if n_problems:
        yield f"Checks that do not hold: {n_problems:,}; `problems` lists them."
