"""The items of a trace as HTML, one function a kind. `html.py` puts them together."""

from __future__ import annotations

from agentlab.trace._items import Called, Decided, Failed, Item, Said, Thought, Told, without_prefix
from agentlab.trace.safe import NAME_CHARS, as_html, beginning, in_one_line, pretty_beginning
from agentlab.trace.words import MISSING, counted, seconds

_LIMITS_CHARS = {"said": 8_000, "thought": 6_000, "told": 4_000, "json": 4_000}
_FOLD_OVER_CHARS = 160
_MARKS = {
    "success": ("al-good", "✓"),
    "error": ("al-bad", "✗"),
    "running": ("", "…"),
    "waiting": ("al-warn", "…"),
    "unanswered": ("al-warn", "?"),
}


def item_html(item: Item, *, whole: bool) -> str:
    """One item.

    Args:
        item: What to draw.
        whole: True: long texts are not cut.
    """
    match item:
        case Said():
            return _said(item, whole)
        case Thought():
            return _thought(item, whole)
        case Told():
            return _told(item, whole)
        case Called():
            return _called(item, whole)
        case Decided():
            return _decided(item)
        case Failed():
            return _failed(item)


def short_html(text: str, limit_chars: int = NAME_CHARS) -> str:
    """A short text from outside, on one line; its direction stays its own."""
    return f"<bdi>{as_html(in_one_line(text, limit_chars))}</bdi>"


def name_html(name: str) -> str:
    """A name that a model gave, in code type."""
    return f"<code>{short_html(name)}</code>"


def _said(item: Said, whole: bool) -> str:
    kind, who = ("al-agentsaid", "Agent") if item.who == "agent" else ("al-usersaid", "User")
    text = _lines(item.text, None if whole else _LIMITS_CHARS["said"])
    quote = f'<blockquote dir="auto">{text}</blockquote>'
    return f'<div class="al-said {kind}"><strong class="al-who">{who}</strong>{quote}</div>'


def _thought(item: Thought, whole: bool) -> str:
    limit = None if whole else _LIMITS_CHARS["thought"]
    label = item.label.capitalize()
    if not item.text:
        return f'<p class="al-next"><em>{label}</em></p>'
    if item.label == "inner thoughts":
        return f'<p class="al-thought" dir="auto"><em class="al-who">{label}: </em>{_lines(item.text, limit)}</p>'
    return fold_html(label, item.text, limit, kind="al-prose")


def _told(item: Told, whole: bool) -> str:
    label = item.label.capitalize()
    if len(item.text) <= _FOLD_OVER_CHARS and "\n" not in item.text:
        return f'<p class="al-next"><strong>{label}:</strong> <bdi>{as_html(item.text)}</bdi></p>'
    return fold_html(label, item.text, None if whole else _LIMITS_CHARS["told"])


def fold_html(label: str, text: str, limit_chars: int | None, *, kind: str = "al-told") -> str:
    """A long text behind its label; the label is ours."""
    size = counted(len(text), "character")
    return (
        f'<details class="{kind}"><summary>{label} <small>· {size}</small></summary>'
        f"{_pre(*beginning(text, limit_chars), 'al-long')}</details>"
    )


def _called(item: Called, whole: bool) -> str:
    tone, mark = _MARKS[item.status]
    verdict = short_html(item.error_type or "failed") if item.status == "error" else item.status
    extra = "" if item.ran else " <small>never ran</small>"
    if item.heartbeat:
        extra += " <small>asks for a heartbeat</small>"
    limit = None if whole else _LIMITS_CHARS["json"]
    rows = ""
    if item.arguments is not None:
        rows += _json("arguments", item.arguments, limit)
    if item.approval is not None:
        rows += _row("approval", *beginning(item.approval, limit))
    if item.returned is not None:
        rows += _json("error" if item.status == "error" else "returned", item.returned, limit)
    table = f'<table class="al-io"><tbody>{rows}</tbody></table>' if rows else ""
    return (
        f'<div class="al-call {tone}"><div class="al-callhead">{name_html(item.tool)} '
        f"<small>{seconds(item.duration_s)}</small>{extra} "
        f'<strong class="al-badge {tone}">{mark} {verdict}</strong></div>'
        f"{table}</div>"
    )


def _json(label: str, text: str, limit: int | None) -> str:
    return _row(label, *pretty_beginning(text, limit))


def _row(label: str, head: str, left: int) -> str:
    return f'<tr><th scope="row">{label}</th><td>{_pre(head, left)}</td></tr>'


def _decided(item: Decided) -> str:
    decision = item.decision
    verdict = "↻ goes on" if decision.go_on else f"■ stops: {decision.stop_reason or MISSING}"
    reason = f": {short_html(without_prefix(decision.reason), 300)}" if decision.reason else ""
    why = f'<span class="al-muted">({short_html(decision.policy)}){reason}</span>'
    return f'<p class="al-next"><strong>{verdict}</strong> {why}</p>'


def _failed(item: Failed) -> str:
    error = item.error
    return (
        f'<div class="al-error"><strong class="al-fail">✗ {short_html(error.error_type)}</strong> '
        f"{name_html(error.code)}<br>{_lines(error.message, _LIMITS_CHARS['told'])}</div>"
    )


def _lines(text: str, limit: int | None) -> str:
    """Text whose line ends stay, with and without the style sheet."""
    head, left = beginning(text, limit)
    return as_html(head).replace("\n", "<br>") + _left(left)


def _pre(head: str, left: int, kind: str = "") -> str:
    # the style is for JupyterLab without the style sheet, which puts table cells to the right
    look = f'class="{kind}"' if kind else 'style="text-align:left"'
    return f'<pre {look} dir="auto">{as_html(head)}</pre>{_left(left)}'


def _left(characters: int) -> str:
    return f" <small>… {counted(characters, 'more character')}</small>" if characters else ""
