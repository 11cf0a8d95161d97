"""Two runs side by side as plain text: for terminals, logs and the `text/plain` of a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import shorten

from agentlab.trace.words import counted
from agentlab.widgets.comparison import Comparison, Shown

_MOST_ROWS = 20
_ROW_CHARS = 400
_WIDTH = 100


def compare_text(found: Comparison, *, max_rows: int = _MOST_ROWS) -> str:
    """Settings and rows that differ, `-` the first run and `+` the second, and the totals.

    Args:
        found: The two runs.
        max_rows: The most rows that differ.
    """
    heads = found.heads()
    lines = [
        f"two runs compared: {found.in_words}",
        *(
            f"  {letter}  {head['title']} · {head['model']} · {head['status']} · {head['note']}"
            for letter, head in zip("AB", heads, strict=True)
        ),
    ]
    for setting in found.shown_settings(_ROW_CHARS):
        lines += ["", f"setting {setting['name']}", *_pair(_text(setting["l"]), _text(setting["r"]))]
    differing = [n for n, mark in enumerate(found.marks) if mark != "=" and found.rows[n].line.kind != "S"]
    for number in differing[:max_rows]:
        lines += ["", *_row(found.shown_row(number, _ROW_CHARS))]
    if len(differing) > max_rows:
        lines += ["", f"… {counted(len(differing) - max_rows, 'more row')} with differences"]
    totals = found.totals()
    width = max(len(total.name) for total in totals)
    lines += ["", f"{'':{width}}  {'A':>12}  {'B':>12}  B - A"]
    lines += [f"{t.name:{width}}  {t.left:>12}  {t.right:>12}  {t.difference}".rstrip() for t in totals]
    return "\n".join(lines)


def _row(row: Shown) -> Iterator[str]:
    sides = [row[side] for side in "lr" if side in row]
    steps = " | ".join(
        dict.fromkeys(f"step {side['step']}" if side["step"] else "before the first step" for side in sides)
    )
    yield f"{steps} · {row['label']}"
    yield from _pair(*(_side(row.get(side)) for side in "lr"))


def _side(side: Shown | None) -> str | None:
    if side is None:
        return None
    parts = [side["title"], *side["flags"], *(f"{name} {_text(spans)}".strip() for name, spans, _ in side["fields"])]
    return " · ".join(part for part in parts if part)


def _pair(left: str | None, right: str | None) -> Iterator[str]:
    for mark, text in (("-", left), ("+", right)):
        if text is not None:
            yield f"  {mark} {shorten(text, _WIDTH, placeholder=' …')}"


def _text(spans: list[tuple[str, str]] | None) -> str | None:
    if spans is None:
        return None
    return "".join("…" if op == "…" else text for op, text in spans)
