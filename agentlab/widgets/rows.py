"""The rows of a trace view: what there is to show, one row a message or event, grouped by step.

A row is made of an item of the trace when a page asks for it; of the others only their kind and tool are told. Texts
are cut: the whole of one is sent when somebody wants to read it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from agentlab.errors import InputError
from agentlab.trace._items import Called, Decided, Failed, Item, Said, Thought, Told, items_of, without_prefix
from agentlab.trace._sections import Section, Sections, step_failed
from agentlab.trace.safe import beginning, in_one_line, pretty_beginning, visible
from agentlab.trace.steps import Step
from agentlab.trace.trace import Trace
from agentlab.trace.words import MISSING, counted, seconds, tokens

if TYPE_CHECKING:
    import pandas as pd

TEXT_CHARS = 4_000
"""Longer texts are cut, and the rest sent on demand."""

Row: TypeAlias = dict[str, Any]
Entry: TypeAlias = "Item | Section"
"""What a row is made of; a section makes the heading of its rows."""
Texts: TypeAlias = tuple[str, ...]
"""What can be found in a row."""

LETTERS: dict[type, str] = {Section: "S", Thought: "r", Told: "t", Called: "c", Decided: "d", Failed: "e"}
"""The kind of a row in one letter; what somebody said is `u` or `a`, by who it was."""


class Rows:
    """The rows of one trace, from its beginning; `renew` makes the last ones again when more has happened.

    What a row was made of is made again when it is asked for: all that is kept is how many rows a section has and of
    what kind they are. Millions of small objects would keep Python's collector busy for seconds.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._sections = Sections(trace)
        self._firsts: list[int] = []
        """The first row of each section."""
        self._steps: list[int] = []
        """The step of each section, never falling."""
        self.kinds = ""
        """A letter for each row."""
        self._last: list[Entry] = []
        """What the last section holds, as its rows were made: it may go on."""
        self._looked_at: tuple[int, list[Entry]] = (-1, [])
        """Another section, and what it holds: who asks for one of its rows asks for all."""
        self._texts: list[Texts] = []
        """What can be found in each of the first rows, once somebody seeks something."""
        self._calls: list[int] = []
        """The rows of calls."""
        self._call_tools: list[int] = []
        """The tool of each of them, a place in `_tools`."""
        self._tools: dict[str, int] = {}
        """The name of each tool, and its place."""
        self._tool_rows: list[int] = []
        """The first row of each tool."""
        self.renew(0)

    def __len__(self) -> int:
        return len(self.kinds)

    def renew(self, step: int) -> int:
        """Make the rows from this step on again; the number of the first of them."""
        kept = bisect.bisect_left(self._steps, step)
        first = self._firsts[kept] if kept < len(self._firsts) else len(self.kinds)
        self._sections = self._sections.up_to_now() if step else Sections(self._trace)
        if kept == len(self._sections):
            return first  # the step has not begun
        del self._firsts[kept:], self._steps[kept:], self._texts[first:]
        self._forget_tools(first)
        if self._looked_at[0] >= kept:
            self._looked_at = -1, []
        letters, row = [self.kinds[:first]], first
        for section in self._sections.part(kept):
            self._last = _entries_of(section, self._trace)
            self._firsts.append(row)
            self._steps.append(section.step.number if section.step else 0)
            letters += map(_letter, self._last)
            self._take_tools(row)
            row += len(self._last)
        self.kinds = "".join(letters)
        return first

    def _forget_tools(self, first: int) -> None:
        kept = bisect.bisect_left(self._calls, first)
        del self._calls[kept:], self._call_tools[kept:]
        while self._tool_rows and self._tool_rows[-1] >= first:
            self._tool_rows.pop()
            self._tools.popitem()

    def _take_tools(self, first: int) -> None:
        """The tools of the last section, whose first row this is."""
        for number, entry in enumerate(self._last, start=first):
            if isinstance(entry, Called):
                name = in_one_line(entry.tool)
                if name not in self._tools:
                    self._tools[name] = len(self._tools)
                    self._tool_rows.append(number)
                self._calls.append(number)
                self._call_tools.append(self._tools[name])

    def rows(self, first: int, last: int) -> list[Row]:
        """The rows from one number up to, and without, another."""
        return [self.row(number) for number in range(max(first, 0), min(last, len(self)))]

    def row(self, number: int) -> Row:
        """One row, its texts cut."""
        row = row_of(self.entry(number), TEXT_CHARS)
        row["step"] = self.step_of(number)
        return row

    def entry(self, number: int) -> Entry:
        """What a row is made of.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        place = self._place(number)
        entries = self._entries(place)
        return entries[min(number - self._firsts[place], len(entries) - 1)]  # fewer, where a call has failed meanwhile

    def read_texts(self, limit: int) -> bool:
        """Read the texts of so many rows more; whether those of all rows are read."""
        first = len(self._texts)
        self._texts += [_texts_of(self.entry(number)) for number in range(first, min(first + limit, len(self)))]
        return len(self._texts) == len(self)

    def texts(self) -> list[Texts]:
        """The texts of all rows that are read, as they are now."""
        return self._texts[:]

    def step_of(self, number: int) -> int:
        """The step of a row; 0 before the first."""
        return self._steps[self._place(number)]

    def _place(self, number: int) -> int:
        """The section of a row."""
        return bisect.bisect_right(self._firsts, number) - 1

    def _entries(self, place: int) -> list[Entry]:
        if place == len(self._firsts) - 1:
            return self._last
        if self._looked_at[0] != place:
            self._looked_at = place, _entries_of(self._sections[place], self._trace)
        return self._looked_at[1]

    def tools(self, first: int) -> tuple[list[str], list[tuple[int, int]]]:
        """The names of all tools, and for each row of a call, from a number on, which it is."""
        begin = bisect.bisect_left(self._calls, first)
        return list(self._tools), list(zip(self._calls[begin:], self._call_tools[begin:], strict=True))

    def first_of_step(self, step: int) -> int:
        """The first row of a step; 0 where it has none."""
        place = bisect.bisect_left(self._steps, step)
        return self._firsts[place] if place < len(self._steps) and self._steps[place] == step else 0

    def of_frame_row(self, row: Mapping[str, Any] | pd.Series) -> int:
        """The number of the row that shows what a row of a frame is about: a message, a call or a step.

        Args:
            row: A row of `messages_df`, `tool_calls_df`, `approvals_df`, `steps_df` or `chunks_df`.

        Raises:
            InputError: It is no row of a frame, is of another run, or names nothing that is here.
        """
        if not hasattr(row, "get"):
            raise InputError(f"`at` takes a row of a frame, such as `run.messages_df().iloc[0]`, not {row!r:.80}")
        run_id = row.get("run_id", self._trace.run_id)
        if run_id != self._trace.run_id:
            raise InputError(f"this row is of run {run_id!r}; the trace is of `{self._trace.run_id}`")
        for name in ("message_id", "call_id"):
            wanted = row.get(name)
            if isinstance(wanted, str) and wanted:
                for number in self._rows_from(row.get("step")):
                    if getattr(self.entry(number), name, "") == wanted:
                        return number
        return self.of_step(row.get("step"))

    def _rows_from(self, step: object) -> Iterator[int]:
        """All rows, those of a step first and what comes after it: whatever is sought is most likely there."""
        try:
            begin = self.of_step(step)
        except InputError:
            begin = 0
        yield from range(begin, len(self))
        yield from range(begin)

    def of_step(self, step: object) -> int:
        """The first row of a step.

        Raises:
            InputError: There is no such step.
        """
        try:
            number = int(step)  # type: ignore[call-overload]  # whatever a frame holds
        except (TypeError, ValueError):
            raise InputError(f"{step!r} is no step: give a row of a frame of this run") from None
        place = bisect.bisect_left(self._steps, number)
        if place == len(self._steps) or self._steps[place] != number:
            raise InputError(f"there is no step {number} in run `{self._trace.run_id}`")
        return self._firsts[place]


def search_in(rows: Iterable[Texts], text: str, limit: int) -> tuple[list[int], bool]:
    """The numbers of the rows in which a text stands, whatever its case; whether there are more than the limit."""
    wanted, found = text.casefold(), list[int]()
    for number, texts in enumerate(rows):
        if any(wanted in part.casefold() for part in texts):
            if len(found) == limit:
                return found, True
            found.append(number)
    return found, False


def row_of(entry: Entry, limit_chars: int | None) -> Row:
    """What a page draws of an entry."""
    match entry:
        case Section():
            return _heading(entry)
        case Said():
            row: Row = {"k": "u" if entry.who == "user" else "a", "label": entry.who}
            return row | _cut("text", entry.text, limit_chars)
        case Thought():
            return {"k": "r", "label": entry.label} | _cut("text", entry.text, limit_chars)
        case Told():
            return {"k": "t", "label": entry.label} | _cut("text", entry.text, limit_chars)
        case Called():
            return _call(entry, limit_chars)
        case Decided():
            return _decision(entry, limit_chars)
        case Failed():
            row = {"k": "e", "label": in_one_line(entry.error.code), "error": in_one_line(entry.error.error_type)}
            return row | _cut("text", entry.error.message, limit_chars)


def _call(call: Called, limit_chars: int | None) -> Row:
    row: Row = {"k": "c", "id": f"call {call.call_id}", "title": in_one_line(call.tool), "status": call.status}
    if call.arguments is not None:
        row |= _cut_json("args", call.arguments, limit_chars)
    if call.returned is not None:
        row |= _cut_json("ret", call.returned, limit_chars)
    if call.error_type:
        row["error"] = in_one_line(call.error_type)
    if call.duration_s is not None:
        row["facts"] = [["took", seconds(call.duration_s)]]
    if call.approval:
        row["approval"] = visible(call.approval)
    if not call.ran and call.returned is not None:
        row["note"] = "never ran"
    if call.heartbeat:
        row["heartbeat"] = True
    return row


def _decision(item: Decided, limit_chars: int | None) -> Row:
    decision = item.decision
    label = "goes on" if decision.go_on else f"stops: {decision.stop_reason or MISSING}"
    row: Row = {"k": "d", "label": label, "note": in_one_line(decision.policy)}
    if decision.wait_s:
        row["facts"] = [["waits", seconds(decision.wait_s)]]
    return row | (_cut("text", without_prefix(decision.reason), limit_chars) if decision.reason else {})


def _heading(section: Section) -> Row:
    step = section.step
    if step is None:
        return {"k": "S", "title": "History", "facts": [["", counted(len(section.entries), "message")]]}
    row: Row = {"k": "S", "title": f"Step {step.number}", "facts": _step_facts(step)}
    if step_failed(step):
        row["status"] = "error"
    return row


def _step_facts(step: Step) -> list[list[str]]:
    facts = [
        ["tokens", tokens(step.usage).removesuffix(" tokens"), "input → output"],
        ["TTFT", seconds(step.ttft_s), "request to first token"],
        ["took", seconds(step.duration_s), "the whole step"],
    ]
    if step.side_calls:
        facts.insert(0, ["", counted(len(step.side_calls), "side call"), "a model judged or summed up"])
    return facts


def _entries_of(section: Section, trace: Trace) -> list[Entry]:
    items = items_of(section, trace)
    return list(items) if section.kind == "input" else [section, *items]


def _letter(entry: Entry) -> str:
    if isinstance(entry, Said):
        return "u" if entry.who == "user" else "a"
    return LETTERS[type(entry)]


def _cut(field: str, text: str, limit_chars: int | None) -> Row:
    return _shown(field, *beginning(text, limit_chars))


def _cut_json(field: str, text: str, limit_chars: int | None) -> Row:
    return _shown(field, *pretty_beginning(text, limit_chars))


def _shown(field: str, head: str, left: int) -> Row:
    return {field: head, f"{field}_more": left} if left else {field: head}


def _texts_of(entry: Entry) -> Texts:
    match entry:
        case Section():
            return ()
        case Called():
            return entry.tool, entry.arguments or "", entry.returned or "", entry.approval or ""
        case Decided():
            return (entry.decision.reason or "",)
        case Failed():
            return entry.error.error_type, entry.error.code, entry.error.message
        case _:
            return (entry.text,)
