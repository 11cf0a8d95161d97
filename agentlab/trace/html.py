"""A trace as static HTML: what a notebook shows, keeps when it is reopened, and GitHub and `nbconvert` show too.

No script, nothing fetched, and every text that agentlab did not write goes through `as_html`. It reads without its
style sheet, which many places drop: `details`, tables and strong words carry the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agentlab.trace._fit import Budget, Drawn, fit
from agentlab.trace._html_items import fold_html, item_html, name_html, short_html
from agentlab.trace._items import Said, items_of
from agentlab.trace._sections import Section, Sections, started, step_failed
from agentlab.trace.events import RunStarted
from agentlab.trace.safe import as_html, in_one_line
from agentlab.trace.words import MISSING, as_json, count, counted, seconds, tokens

if TYPE_CHECKING:
    from agentlab.trace.steps import ModelCall, Step
    from agentlab.trace.trace import Trace

_ROOT = "agentlab-trace mathjax_ignore tex2jax_ignore"
"""The last two keep a notebook from reading `$…$` in a model's text as a formula."""

_TONES = {
    "running": ("", "…"),
    "paused": ("al-warn", "…"),
    "interrupted": ("al-warn", "!"),
    "end_turn": ("al-good", "✓"),
    "max_steps": ("al-warn", "!"),
    "cancelled": ("al-warn", "!"),
}
_NOTE_BYTES = 400
"""Room that is kept for the note on what was left out."""

_SEP = '<span class="al-sep"> · </span>'
"""Parts facts where there is no style sheet."""

_KEY = (
    '<span class="al-key"><span class="al-wait" title="to first token"></span>'
    '<span class="al-stream" title="streaming"></span><span class="al-tools" title="tools"></span></span>'
)
"""What the colours of the bars mean; like the bars, only the style sheet shows it."""

_NAMED_TOOLS = 4
_SETTINGS_CHARS = 4_000

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PAGE_STYLE = (
    "body{margin:0;padding:24px 16px;color:#1f2328;background:#fff}"
    ".agentlab-trace{margin:0 auto}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}}"
)


def trace_html(trace: Trace, *, max_messages: int | None = 200, max_bytes: int | None = 150_000) -> str:
    """The run as a safe HTML fragment: head, input, then each step folded with its calls, tokens and times.

    A longer run shows its beginning and its last step, and says how much lies between.

    Args:
        trace: What to show.
        max_messages: The most messages in it; None: all.
        max_bytes: The most bytes of UTF-8 in it, style sheet included; None: no limit, and long texts stay whole.
    """
    return _Fragment(trace, max_messages, max_bytes).html()


def traces_html(traces: Sequence[Trace], *, max_messages: int = 200, max_bytes: int = 150_000) -> str:
    """Several runs as one safe HTML fragment, one below the other; limits are those of all of them together.

    Args:
        traces: What to show.
        max_messages: The most messages in it.
        max_bytes: The most bytes of UTF-8 in it.
    """
    if not traces:
        return ""
    share = max(0, max_bytes - _size(_style())) // len(traces)
    fragments = [_Fragment(trace, max_messages // len(traces), share, style="") for trace in traces]
    return f"<style>{_style()}</style>{''.join(fragment.html() for fragment in fragments)}"


def trace_page(trace: Trace, *, max_messages: int | None = 200, max_bytes: int | None = 150_000) -> str:
    """The run as a page of its own, light or dark as its reader likes; its policy lets no script run.

    Arguments as in `trace_html`.
    """
    begin = started(trace)
    title = "Trace" if begin is None else f"{in_one_line(begin.agent_name)}: {trace.stop_reason or trace.status}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_PAGE_POLICY}">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{as_html(title)}</title><style>{_PAGE_STYLE}</style></head>\n<body>"
        f"{trace_html(trace, max_messages=max_messages, max_bytes=max_bytes)}</body></html>\n"
    )


@cache
def _style() -> str:
    text = Path(__file__).with_name("trace.css").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", text)).strip()


class _Fragment:
    """One drawing of one trace."""

    def __init__(
        self, trace: Trace, max_messages: int | None, max_bytes: int | None, *, style: str | None = None
    ) -> None:
        self._trace = trace
        self._look = f"<style>{_style()}</style>" if style is None else style
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._sections = Sections(trace)
        self._open = _step_to_open(trace)
        span = [trace.events[0].t_ns, trace.events[-1].t_ns] if trace.events else [0, 0]
        self._begin_ns, self._length_ns = span[0], span[1] - span[0]

    def html(self) -> str:
        head = f'<div class="{_ROOT}">{self._look}{_head(self._trace)}'
        foot = f"{self._ending()}</div>"
        room = None
        if self._max_bytes is not None:
            room = max(0, self._max_bytes - _size(head) - _size(foot) - 2 * _NOTE_BYTES)
        body = fit(self._sections, self._section, _note, lambda: Budget(self._max_messages, room))
        return "".join([head, *body, foot])

    def _section(self, section: Section, budget: Budget) -> Drawn:
        top, bottom = self._frame(section)
        if not budget.take(_size(top) + _size(bottom)):
            return Drawn("", 0, complete=False)
        inside, after = [top], list[str]()
        messages, complete = 0, True
        for item in items_of(section, self._trace):
            text = item_html(item, whole=self._max_bytes is None)
            complete = budget.take(_size(text), item.messages)
            if not complete:
                break
            messages += item.messages
            reply = section.kind == "step" and isinstance(item, Said) and item.who == "agent"
            (after if reply else inside).append(text)  # a reply is seen with its step folded
        return Drawn("".join([*inside, bottom, *after]), messages, complete)

    def _frame(self, section: Section) -> tuple[str, str]:
        step = section.step
        if step is None:
            if section.kind == "input":
                return '<div class="al-intro">', "</div>"
            size = counted(len(section.entries), "message")
            head = f'<details class="al-fold"><summary>History <small>· {size}</small></summary>'
            return f'{head}<div class="al-in">', "</div></details>"
        is_open = " open" if step is self._open else ""
        head = f'<details class="al-step"{is_open}><summary>{_step_title(step, self._bar(step))}</summary>'
        return f'{head}<div class="al-in">{_model_calls(step)}', "</div></details>"

    def _bar(self, step: Step) -> str:
        """Where the step's time went, on the time axis of the run. Only the style sheet shows it."""
        if self._length_ns <= 0:
            return ""
        spans = "".join(self._bar_span(*span) for span in _spans(step))
        return f'<span class="al-bar" aria-hidden="true">{spans}</span>'

    def _bar_span(self, kind: str, begin_ns: int, end_ns: int) -> str:
        left = min(99.0, 100 * (begin_ns - self._begin_ns) / self._length_ns)  # the last one is seen, too
        width = 100 * (end_ns - begin_ns) / self._length_ns
        return f'<span class="{kind}" style="left:{left:.2f}%;width:{width:.2f}%"></span>'

    def _ending(self) -> str:
        if self._trace.status == "finished":
            return ""
        told = {
            "running": "still running when this was drawn",
            "paused": "waits for decisions; it goes on when it is resumed",
            "interrupted": "its process ended before the run did; this is all that was recorded",
        }
        return f'<p class="al-more"><strong>{self._trace.status}:</strong> {told[self._trace.status]}</p>'


def _step_to_open(trace: Trace) -> Step | None:
    """The last step that failed, else the last one."""
    return next((step for step in reversed(trace.steps) if step_failed(step)), trace.steps[-1] if trace.steps else None)


def _head(trace: Trace) -> str:
    begin = started(trace)
    if begin is None:
        return '<div class="al-head"><p><strong>A trace without its beginning</strong></p></div>'
    ended = trace.stop_reason or trace.status
    tone, mark = _TONES.get(ended, ("al-bad", "✗"))
    clock = " · virtual time" if begin.clock == "virtual" else ""
    return (
        '<div class="al-head"><p class="al-title">'
        f'<strong class="al-agent">{short_html(begin.agent_name)}</strong>{_SEP}'
        f'<span class="al-muted">{short_html(begin.model)} · {begin.protocol}</span>{_SEP}'
        f'<strong class="al-badge {tone}">{mark} {ended}</strong></p>{_sums(trace)}<p class="al-muted">{_KEY}'
        f"{short_html(begin.run_id)} · {begin.started_at:%Y-%m-%d %H:%M:%S} UTC{clock}</p></div>{_settings(begin)}"
    )


def _sums(trace: Trace) -> str:
    usage, unknown = trace.usage, _unreported(trace)
    source = "" if usage.source in ("provider", "missing") else f", {usage.source}"
    failed = sum(call.status == "error" for call in trace.tool_calls.values())
    cells = (
        ("Steps", count(len(trace.steps)), ""),
        ("Tool calls", count(len(trace.tool_calls)), f"{count(failed)} failed"),
        ("Input tokens", count(usage.input_tokens), unknown or f"{count(usage.cached_tokens)} cached{source}"),
        ("Output tokens", count(usage.output_tokens), unknown or f"{count(usage.reasoning_tokens)} reasoning{source}"),
        ("TTFT", seconds(trace.steps[0].ttft_s if trace.steps else None), "first step"),
        ("Duration", seconds(trace.duration_s), ""),
        *_aside(trace),
    )
    names = "".join(f'<th scope="col">{name}</th>' for name, _, _ in cells)
    values = "".join(f"<td>{value}{f' <small>{_SEP}{more}</small>' if more else ''}</td>" for _, value, more in cells)
    return f'<table class="al-sums"><thead><tr>{names}</tr></thead><tbody><tr>{values}</tr></tbody></table>'


def _aside(trace: Trace) -> list[tuple[str, str, str]]:
    """What judging tool calls and summing up took; nothing, where nobody did."""
    calls = trace.side_calls
    return [("Aside", tokens(trace.side_usage), counted(len(calls), "call"))] if calls else []


def _unreported(trace: Trace) -> str:
    """Why the sum of tokens is missing; nothing where it is not."""
    calls = trace.model_calls
    unknown = sum(call.usage.source == "missing" for call in calls)
    return f"{unknown} of {counted(len(calls), 'call')} unreported" if unknown else ""


def _settings(begin: RunStarted) -> str:
    """What the run was started with, folded."""
    facts: dict[str, object] = {"provider": begin.provider, **begin.settings}
    if begin.parent_run_id:
        facts["parent_run_id"] = begin.parent_run_id
    if begin.tags:
        facts["tags"] = begin.tags
    facts["tools"] = {tool.name: tool.description.partition("\n")[0] for tool in begin.tools}
    return fold_html(
        f"Settings and {counted(len(begin.tools), 'tool')}", as_json(facts), _SETTINGS_CHARS, kind="al-fold"
    )


def _step_title(step: Step, bar: str) -> str:
    tools = [name_html(call.tool) for call in step.tool_calls[:_NAMED_TOOLS]]
    if len(step.tool_calls) > _NAMED_TOOLS:
        tools.append(f"+ {len(step.tool_calls) - _NAMED_TOOLS}")
    failed = sum(call.status == "error" for call in step.tool_calls) + len(step.errors)
    fail = f'<span class="al-fail">✗ {failed} failed</span> ' if failed else ""
    return (
        f"<strong>Step {step.number}</strong> {' '.join(tools)} {fail}"
        f'<span class="al-nums">{_SEP}<span class="al-tokens">{tokens(step.usage)}</span>'
        f'{_SEP}<span class="al-first">TTFT {seconds(step.ttft_s)}</span>'
        f"{_SEP}<span>{seconds(step.duration_s)}</span>{bar}</span>"
    )


def _model_calls(step: Step) -> str:
    if not step.model_calls:
        return ""
    names = ("input", "cached", "output", "reasoning", "TTFT", "last token", "finish", "retries")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _model_call(call))}</tr>" for call in step.model_calls)
    return f'<table class="al-calls"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _model_call(call: ModelCall) -> Iterator[str]:
    usage, instants, replied = call.usage, call.instants, call.replied
    yield from map(count, (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens))
    yield seconds(None if instants is None else instants.ttft_s)
    yield seconds(None if instants is None else instants.e2e_s)
    if replied is None:
        yield from (MISSING, MISSING)
        return
    yield short_html(replied.finish_reason or MISSING) if replied.complete else '<span class="al-fail">cut</span>'
    yield str(replied.retries)


def _spans(step: Step) -> Iterator[tuple[str, int, int]]:
    for call in step.model_calls:
        if call.replied is None:
            continue
        begin, end = call.called.t_ns, call.replied.t_ns
        first = None if call.instants is None else call.instants.first_token_ns
        first_ns = end if first is None else min(end, max(begin, call.replied.chunks.request_ns + first))
        yield "al-wait", begin, first_ns
        if first_ns < end:
            yield "al-stream", first_ns, end
    for tool in step.tool_calls:
        if tool.interval_ns is not None:
            yield "al-tools", *tool.interval_ns


def _note(messages: int, steps: int) -> str:
    inside = f" in {counted(steps, 'more step')}" if steps else ""
    return (
        f'<p class="al-more">… {counted(messages, "more message")}{inside}. '
        "<code>agentlab.trace.html.trace_page(trace, max_messages=None, max_bytes=None)</code> draws them all.</p>"
    )


def _size(text: str) -> int:
    return len(text.encode())
