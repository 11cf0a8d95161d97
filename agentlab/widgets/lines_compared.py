"""What a run shows, line by line and in a form that two runs can be compared by: without ids, times and durations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from agentlab.trace._items import Called, Decided, Failed, Item, Said, Thought, Told, items_of, without_prefix
from agentlab.trace._sections import Section, Sections
from agentlab.trace.trace import Trace
from agentlab.trace.words import MISSING, pretty, seconds, tokens

_ID_LIKE = re.compile(r"(?=[\w-]*\d)[\w-]{6,}")
WALL_TIME = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?: ?[AP]M)?(?: ?[A-Z]{3,5})?(?:Z|[+-]\d\d:?\d\d)?"
"""A regular expression: a time as envelopes and system messages write it."""

_TIME = re.compile(WALL_TIME)

_WAITED = re.compile(r" after (?:< )?[\d.,]+ (?:ms|s|min|h)(?: \d\d (?:s|min))?(?=$|[:;,])")
_SOME_ID, _SOME_TIME = "\0id", "\0time"


@dataclass(frozen=True)
class Line:
    """One line of a run. Lines are the same when their `key` is."""

    kind: str
    """A letter: S step, u user, a agent, r reasoning, t told, c tool call, d decision, e error."""
    step: int
    label: str
    title: str
    """A tool's name, or the number of the step."""
    fields: tuple[tuple[str, str], ...] = ()
    """Texts by name, the way they are shown."""
    flags: tuple[str, ...] = ()
    """Short facts that are compared."""
    facts: tuple[str, ...] = ()
    """Short facts that are not: they differ from run to run."""
    ids: frozenset[str] = frozenset()
    """The ids of its run."""
    inherited: bool = False
    """It comes from the history of an earlier run, which keeps neither steps nor decisions."""

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What is compared."""
        texts = tuple((name, self.plain(text)) for name, text in self.fields if name != "approval" or self.step)
        return self.kind, self.label, "" if self.kind == "S" else self.title, texts, self.flags

    @property
    def anchor(self) -> tuple[str, str, str]:
        """What makes two lines the same kind of thing: a call of the same tool, a message of the same role."""
        return self.kind, self.label, self.title

    @property
    def is_silent(self) -> bool:
        """True for what an inherited history does not hold, or holds in another form."""
        return self.kind in "Sd" or (self.inherited and self.label == "heartbeat")

    def plain(self, text: str) -> str:
        """The text with ids of its run, and times where agentlab wrote them, all alike."""
        if self.ids:
            text = _ID_LIKE.sub(lambda match: _SOME_ID if match[0] in self.ids else match[0], text)
        if self.kind == "t":
            text = _TIME.sub(_SOME_TIME, text)
        return text


def lines_of(trace: Trace) -> list[Line]:
    """All lines of a run, in order."""
    ids = _ids_of(trace)
    return [line for section in Sections(trace) for line in _section(section, trace, ids)]


def _ids_of(trace: Trace) -> frozenset[str]:
    found = set(trace.tool_calls)
    for entry in trace.entries:
        found.add(entry.message.id)
        found.update(call.id for call in entry.message.tool_calls or ())
    found.update(step.step_id for step in trace.steps)
    found.update(event.run_id for event in trace.events[:1])
    return frozenset(found)


def _section(section: Section, trace: Trace, ids: frozenset[str]) -> Iterator[Line]:
    step, number = section.step, section.step.number if section.step else 0
    if step is not None:
        facts = (tokens(step.usage), f"TTFT {seconds(step.ttft_s)}", seconds(step.duration_s))
        yield Line("S", number, "step", f"step {number}", facts=facts)
    for item in items_of(section, trace):
        yield _line(item, number, ids, inherited=section.kind == "history")


def _line(item: Item, step: int, ids: frozenset[str], *, inherited: bool) -> Line:
    match item:
        case Said():
            kind, label, title = ("u", "user", "") if item.who == "user" else ("a", "agent", "")
            fields: tuple[tuple[str, str], ...] = (("", item.text),)
        case Thought():
            kind, label, title, fields = "r", item.label, "", (("", item.text),)
        case Told():
            kind, label, title, fields = "t", item.label, "", (("", item.text),)
        case Called():
            return _call(item, step, ids, inherited=inherited)
        case Decided():
            return _decision(item, step, ids)
        case Failed():
            error = item.error
            kind, label, title, fields = "e", "error", error.error_type, (("", f"{error.code}: {error.message}"),)
    return Line(kind, step, label, title, fields, ids=ids, inherited=inherited)


def _call(item: Called, step: int, ids: frozenset[str], *, inherited: bool) -> Line:
    fields = [] if item.arguments is None else [("arguments", _canonical(item.arguments))]
    if item.approval is not None:
        fields.append(("approval", _WAITED.sub("", item.approval)))
    if item.returned is not None:
        fields.append(("error" if item.status == "error" else "returned", pretty(item.returned)))
    flags = [item.error_type or "failed" if item.status == "error" and not inherited else item.status]
    if not item.ran:
        flags.append("never ran")
    if item.heartbeat:
        flags.append("asks for a heartbeat")
    return Line(
        "c", step, "tool call", item.tool, tuple(fields), tuple(flags), (seconds(item.duration_s),), ids, inherited
    )


def _decision(item: Decided, step: int, ids: frozenset[str]) -> Line:
    decision = item.decision
    verdict = "goes on" if decision.go_on else f"stops: {decision.stop_reason or MISSING}"
    reason = without_prefix(decision.reason or "")
    return Line("d", step, "continuation", "", (("", reason),) if reason else (), (verdict, decision.policy), ids=ids)


def _canonical(arguments: str) -> str:
    """Arguments with their keys in order: how a model ordered or spaced them is no difference."""
    try:
        return pretty(json.dumps(json.loads(arguments), ensure_ascii=False, sort_keys=True))
    except (ValueError, RecursionError):
        return arguments
