"""Two runs side by side as static HTML: no script, nothing fetched, every text from outside escaped, limited in size.

It reads without its style sheet: a table with a column for each run, and words that differ in `del` and `ins`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from agentlab.trace.safe import as_html, in_one_line
from agentlab.trace.words import counted
from agentlab.widgets.comparison import Comparison, Setting, Shown
from agentlab.widgets.script import style

MAX_BYTES = 150_000
MAX_ROWS = 200

_CONTEXT_ROWS = 2
_ROW_CHARS = 2_000
_SETTING_CHARS = 1_500
_NOTE_BYTES = 300
_ROOT = "agentlab-trace agentlab-compare mathjax_ignore tex2jax_ignore"
_TAGS = {"-": ("<del>", "</del>"), "+": ("<ins>", "</ins>"), "=": ("", "")}
_TONES = {"good": ("al-good", "✓"), "warn": ("al-warn", "!"), "bad": ("al-bad", "✗"), "": ("", "…")}
_LETTERS = ("A", "B")
_BODY_START = '<table class="al-c-static"><tbody>'


def compare_html(found: Comparison, *, max_rows: int | None = MAX_ROWS, max_bytes: int | None = MAX_BYTES) -> str:
    """Both runs as a safe HTML fragment: settings, rows around the differences, totals.

    Args:
        found: The two runs.
        max_rows: The most rows in it; None: all around differences.
        max_bytes: The most bytes of UTF-8 in it; None: no limit.
    """
    head = f'<div class="{_ROOT}"><style>{_style()}</style>{_heads(found)}{_settings(found.settings, found)}'
    foot = f"{_totals(found)}</div>"
    room = (
        None if max_bytes is None else max_bytes - sum(_size(text) for text in (head, foot, _BODY_START)) - _NOTE_BYTES
    )
    return f"{head}{_BODY_START}{''.join(_body(found, max_rows, room))}</tbody></table>{foot}"


@cache
def _style() -> str:
    text = re.sub(r"/\*.*?\*/", "", style("compare_view"), flags=re.DOTALL)
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


def shown_rows(marks: str, context: int = _CONTEXT_ROWS) -> list[int]:
    """The rows that differ and those around them; of two runs that are the same, the first ones."""
    near: set[int] = set()
    for number, mark in enumerate(marks):
        if mark != "=":
            near.update(range(max(0, number - context), min(len(marks), number + context + 1)))
    return sorted(near) or list(range(min(len(marks), 2 * context)))


def _body(found: Comparison, max_rows: int | None, room: int | None) -> Iterator[str]:
    last, n_drawn = -1, 0
    for number in shown_rows(found.marks):
        gap = _gap(number - last - 1)
        text = gap + _row(found.shown_row(number, _ROW_CHARS), is_first=number == found.first)
        size = _size(text)
        if (room is not None and size > room) or n_drawn == max_rows:
            left = sum(mark != "=" for mark in found.marks[last + 1 :])
            told = f"… {counted(left, 'more row')} with differences: <code>run.diff(other)</code> shows them all"
            yield f'<tr><td colspan="2" class="al-c-gap">{told}</td></tr>'
            return
        yield text
        last, n_drawn, room = number, n_drawn + 1, None if room is None else room - size
    yield _gap(len(found.marks) - last - 1)


def _gap(n_rows: int) -> str:
    return f'<tr><td colspan="2" class="al-c-gap">… {counted(n_rows, "same row")}</td></tr>' if n_rows else ""


def _heads(found: Comparison) -> str:
    heads = found.heads()
    runs = "".join(f'<td scope="col">{_head(letter, head)}</td>' for letter, head in zip(_LETTERS, heads, strict=True))
    return (
        f'<div class="al-head"><p class="al-title"><strong class="al-agent">Two runs compared</strong>'
        f'<span class="al-sep"> · </span><span class="al-muted">{found.in_words}</span></p></div>'
        f'<table class="al-c-static al-c-heads"><tbody><tr>{runs}</tr></tbody></table>'
    )


def _head(letter: str, head: Shown) -> str:
    tone, mark = _TONES[head["tone"]]
    badge = f'<strong class="al-badge {tone}">{mark} {as_html(head["status"])}</strong>'
    return (
        f'<strong class="al-c-letter">{letter}</strong> <strong>{_name(head["title"])}</strong> '
        f"<small>{_name(head['model'])}</small> {badge}"
        f"<br><small>{_name(head['note'], 160)}</small>"
    )


def _settings(settings: Sequence[Setting], found: Comparison) -> str:
    if not settings:
        return '<p class="al-c-note al-muted">The same settings.</p>'
    rows = "".join(
        f'<tr><th colspan="2">{_name(each["name"], 120)}</th></tr><tr>{_cell(each, "l")}{_cell(each, "r")}</tr>'
        for each in found.shown_settings(_SETTING_CHARS)[:50]
    )
    more = (
        f'<p class="al-c-note al-muted">… {len(settings) - 50} more settings differ.</p>' if len(settings) > 50 else ""
    )
    return (
        f'<div class="al-c-part"><strong class="al-who">Settings that differ</strong>'
        f'<table class="al-c-settings"><tbody>{rows}</tbody></table>{more}</div>'
    )


def _cell(setting: Shown, side: str) -> str:
    if setting[side] is None:
        return '<td class="al-muted">not set</td>'
    return f"<td>{_pre(setting[side], setting[f'{side}_more'])}</td>"


def _row(row: Shown, *, is_first: bool) -> str:
    kind = " al-c-first" if is_first else ""
    if row["m"] != "=":
        sides = "".join(f'<td class="al-c-{side if side in row else "none"}">{_side(row, side)}</td>' for side in "lr")
        marked = '<strong class="al-c-here">First difference</strong>' if is_first else ""
        head = f'<tr class="al-c-firsthead"><td colspan="2">{marked}</td></tr>' if is_first else ""
        return f'{head}<tr class="al-c-row al-c-{_KINDS[row["m"]]} al-c-k{row["k"]}{kind}">{sides}</tr>'
    if row["k"] == "S" and "l" in row and "r" in row:
        return f'<tr class="al-c-row al-c-same al-c-kS"><td>{_title(row, "l")}</td><td>{_title(row, "r")}</td></tr>'
    side = "l" if "l" in row else "r"
    texts = _fields(row.get("same", []))
    return f'<tr class="al-c-row al-c-same al-c-k{row["k"]}"><td colspan="2">{_title(row, side)}{texts}</td></tr>'


_KINDS = {"~": "differs", "<": "left", ">": "right"}


def _side(row: Shown, side: str) -> str:
    return f"{_title(row, side)}{_fields(row[side].get('fields', []))}" if side in row else ""


def _title(row: Shown, side: str) -> str:
    own, other = row[side], row["r" if side == "l" else "l"] if len({"l", "r"} & row.keys()) == 2 else None
    differs = row["m"] == "~" and other is not None
    tag = "del" if side == "l" else "ins"

    def marked(text: str, wanted: Any) -> str:
        return f"<{tag}>{text}</{tag}>" if differs and wanted else text

    if row["k"] == "S":
        label = f"<strong>{as_html(own['title']).capitalize()}</strong>"
    elif own["title"]:
        code = f"<code>{_name(own['title'])}</code>"
        title = marked(code, other and own["title"] != other["title"])
        label = f'<strong class="al-who">{as_html(row["label"])}</strong> {title}'
    else:
        label = f'<strong class="al-who">{as_html(row["label"])}</strong>'
    flags = "".join(
        f" <small>{marked(as_html(flag), other and flag not in other['flags'])}</small>" for flag in own["flags"]
    )
    facts = f" <small>{as_html(' · '.join(own['facts']))}</small>" if own["facts"] else ""
    return f'<div class="al-c-title">{label}{flags}{facts}</div>'


def _fields(fields: Iterable[Any]) -> str:
    return "".join(
        (f'<small class="al-c-name">{as_html(name)}</small>' if name else "") + _pre(spans, more)
        for name, spans, more in fields
    )


def _pre(spans: Iterable[Any], more: int) -> str:
    text = "".join(_span(op, part) for op, part in spans)
    left = f" <small>… {counted(more, 'more character')}</small>" if more else ""
    return f'<pre style="text-align:left" dir="auto">{text}</pre>{left}'


def _span(op: str, text: str) -> str:
    if op == "…":
        return f"<small>[… {counted(int(text), 'same character')}]</small>"
    before, after = _TAGS[op]
    return f"{before}{as_html(text)}{after}"


def _name(text: str, limit: int = 80) -> str:
    return f"<bdi>{as_html(in_one_line(text, limit))}</bdi>"


def _totals(found: Comparison) -> str:
    rows = "".join(
        f'<tr class="{"al-c-unchanged" if total.same else "al-c-changed"}"><th scope="row">{total.name}</th>'
        f"<td>{as_html(total.left)}</td><td>{as_html(total.right)}</td><td>{as_html(total.difference)}</td></tr>"
        for total in found.totals()
    )
    names = "".join(f'<th scope="col">{name}</th>' for name in ("", "A", "B", "B \N{MINUS SIGN} A"))
    return (
        '<div class="al-c-part"><strong class="al-who">Totals</strong>'
        f'<table class="al-c-totals"><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _size(text: str) -> int:
    return len(text.encode())
