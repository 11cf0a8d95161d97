"""A trace as plain text: for terminals, logs and the `text/plain` of a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from agentlab.trace._fit import Budget, Drawn, fit
from agentlab.trace._items import Called, Decided, Failed, Item, Said, Thought, Told, items_of, without_prefix
from agentlab.trace._sections import Section, Sections, started
from agentlab.trace.safe import beginning, in_one_line, without_secrets
from agentlab.trace.words import MISSING, count, counted, seconds, tokens

if TYPE_CHECKING:
    from agentlab.trace.steps import Step
    from agentlab.trace.trace import Trace

_INDENT = " " * 11
"""Labels stand in these columns, texts beside them."""

_MOST_LINES = 10
_MOST_CHARS = 1_500
_TOLD_CHARS = 200
_MIN_WIDTH = 40


def trace_line(trace: Trace) -> str:
    """The run in one line: agent, model, how it ended, steps, tokens, first token, time."""
    begin = started(trace)
    if begin is None:
        return f"trace without its beginning, {counted(len(trace), 'event')}"
    facts = [
        in_one_line(begin.agent_name),
        in_one_line(begin.model),
        trace.stop_reason or trace.status,
        counted(len(trace.steps), "step"),
        tokens(trace.usage),
        f"TTFT {seconds(trace.steps[0].ttft_s if trace.steps else None)}",
        seconds(trace.duration_s),
    ]
    return " · ".join(facts)


def trace_text(trace: Trace, *, width: int = 100, max_messages: int | None = 50) -> str:
    """The run step by step. A longer one shows its beginning and its last step, and says how much lies between.

    Args:
        trace: What to show.
        width: The most characters in a line.
        max_messages: The most messages in it; None: all.
    """
    width = max(width, _MIN_WIDTH)
    lines = _joined(trace_line(trace).split(" · "), width)
    begin = started(trace)
    if begin is not None:
        virtual = ", virtual time" if begin.clock == "virtual" else ""
        lines.append(f"{in_one_line(begin.run_id)} · {begin.started_at:%Y-%m-%d %H:%M:%S} UTC{virtual}")

    def draw(section: Section, budget: Budget) -> Drawn:
        return _section(section, trace, budget, width)

    body = fit(Sections(trace), draw, _note, lambda: Budget(max_messages, None))
    return "\n\n".join(["\n".join(lines), *(part for part in body if part)])


def _section(section: Section, trace: Trace, budget: Budget, width: int) -> Drawn:
    lines: list[str] = [] if section.step is None else _title(section.step, width)
    if section.kind == "history":
        lines = [f"history, {counted(len(section.entries), 'message')}"]
    messages, complete = 0, True
    for item in items_of(section, trace):
        complete = budget.take(0, item.messages)
        if not complete:
            break
        messages += item.messages
        lines += _item(item, width)
    if not complete and not messages:
        return Drawn("", 0, complete=False)
    return Drawn("\n".join(lines), messages, complete)


def _title(step: Step, width: int) -> list[str]:
    usage = step.usage
    facts = [
        f"step {step.number}",
        tokens(usage),
        f"{count(usage.cached_tokens)} cached",
        f"{count(usage.reasoning_tokens)} reasoning",
        f"TTFT {seconds(step.ttft_s)}",
        seconds(step.duration_s),
    ]
    return _joined(facts, width)


def _item(item: Item, width: int) -> Iterator[str]:
    match item:
        case Said():
            yield from _labelled("user" if item.who == "user" else "says", item.text, width)
        case Thought():
            yield from _labelled("thinks", item.text or f"({item.label})", width)
        case Told():
            text, left = beginning(item.text, _TOLD_CHARS)
            more = f" … {counted(left, 'more character')}" if left else ""
            yield from _labelled("told", f"{item.label}: {text}{more}", width)
        case Called():
            yield from _called(item, width)
        case Decided():
            yield from _decided(item, width)
        case Failed():
            error = item.error
            yield from _labelled("ERROR", f"{in_one_line(error.error_type)} ({error.code}): {error.message}", width)


def _called(item: Called, width: int) -> Iterator[str]:
    heartbeat = " (asks for a heartbeat)" if item.heartbeat else ""
    arguments = f" {without_secrets(item.arguments)}" if item.arguments is not None else ""
    yield from _labelled("calls", f"{in_one_line(item.tool)}{heartbeat}{arguments}", width)
    if item.approval is not None:
        yield from _labelled("approval", item.approval, width)
    facts = [seconds(item.duration_s)] if item.ran else ["never ran"]
    facts += [in_one_line(item.error_type)] if item.error_type else []
    facts += [item.status] if item.status in ("waiting", "running", "unanswered") else []
    facts += [without_secrets(item.returned)] if item.returned is not None else []
    yield from _labelled("FAILED" if item.status == "error" else "returns", " · ".join(facts), width)


def _decided(item: Decided, width: int) -> Iterator[str]:
    decision = item.decision
    facts = [] if decision.go_on else [decision.stop_reason or MISSING]
    facts += [f"({in_one_line(decision.policy)})"]
    facts += [in_one_line(without_prefix(decision.reason), 300)] if decision.reason else []
    yield from _labelled("goes on" if decision.go_on else "stops", " ".join(facts), width)


def _labelled(label: str, text: str, width: int) -> Iterator[str]:
    """The text beside its label, wrapped, its end cut where it is long."""
    head, left = beginning(text, _MOST_CHARS)
    lines = [part for line in head.expandtabs(4).split("\n") for part in _wrapped(line, width)]
    kept = lines[:_MOST_LINES]
    left += sum(map(len, lines[_MOST_LINES:]))
    if left:
        kept.append(f"… {counted(left, 'more character')}")
    for n, line in enumerate(kept):
        margin = f"  {label}".ljust(len(_INDENT)) if n == 0 else _INDENT
        yield f"{margin}{line}".rstrip()


def _wrapped(line: str, width: int) -> list[str]:
    room = width - len(_INDENT)
    first, *more = wrap(line, room, drop_whitespace=False, break_on_hyphens=False) or [""]
    return [first.rstrip(), *(part.strip() for part in more)]


def _joined(facts: list[str], width: int) -> list[str]:
    """Facts beside one another, and on the next line what does not fit."""
    lines = [facts[0]]
    for fact in facts[1:]:
        if len(lines[-1]) + 3 + len(fact) <= width:
            lines[-1] += f" · {fact}"
        else:
            lines.append(f"  {fact}")
    return lines


def _note(messages: int, steps: int) -> str:
    inside = f" in {counted(steps, 'more step')}" if steps else ""
    return f"… {counted(messages, 'more message')}{inside}; `trace_text(trace, max_messages=None)` shows them all"
