"""Cuts the text of a reply into tool calls and plain text while it arrives, however the pieces are split.

The text is one JSON object `{"name": ..., "arguments": {...}}`, several after one another, or an array of them. What
is no such JSON comes out as plain text, and what was cut comes out as far as it came: nothing is swallowed.
"""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import dataclass, field

from agentlab import clock
from agentlab.models._json_scan import BLANK, ObjectScan, StringDecoder
from agentlab.trace.chunks import ToolCallDelta


@dataclass(slots=True)
class Cut:
    """What one piece of text held."""

    content: str = ""
    calls: list[ToolCallDelta] = field(default_factory=list)

    def open_call(self, index: int, name: str) -> None:
        """A call begins."""
        self.calls.append(ToolCallDelta(index, clock.new_call_id(), name))

    def add_arguments(self, index: int, text: str) -> None:
        """More arguments of the newest call."""
        last = self.calls.pop() if self.calls else ToolCallDelta(index)
        self.calls.append(ToolCallDelta(index, last.id, last.name, last.arguments + text))


class CallCutter:
    """Turns pieces of text into tool-call deltas and plain text."""

    def __init__(self, tools: Set[str], text_call: str) -> None:
        """Take the names of the tools on offer, and the name under which plain text is written as a call."""
        self.n_calls = 0
        self.tools = tools
        self.text_call = text_call
        self._object: _Object | None = None
        self._begun = False
        self._between = ""
        self._plain = False

    def feed(self, text: str) -> Cut:
        """What this piece completes."""
        cut = Cut()
        for n, char in enumerate(text):
            if self._plain:
                cut.content += text[n:]
                break
            self._take(char, cut)
        return cut

    def finish(self) -> str:
        """The text that was held back and will not become a call: no more comes."""
        held = "" if self._begun else self._between.strip(BLANK)
        if self._object is not None:
            held = self._object.unclaimed("")
        self._object, self._between = None, ""
        return held

    def _take(self, char: str, cut: Cut) -> None:
        if self._object is None:
            if char != "{":
                self._between += char
                if char not in BLANK + "[],":
                    self._plain, self._begun = True, True
                    cut.content += self._between.lstrip(BLANK)
                return
            self._object, self._begun, self._between = _Object(self, self._between), True, ""
        scan = self._object.take(char, cut)
        if scan.broken or scan.done:
            cut.content += self._object.unclaimed(char if scan.broken else "")
            self._object, self._plain = None, scan.broken


class _Object:
    """One JSON object of the text, on its way to become a call, plain text, or neither."""

    def __init__(self, cutter: CallCutter, before: str) -> None:
        self._cutter = cutter
        self._raw = before
        self._scan = ObjectScan()
        self._name_json = self._early = ""
        self._name: str | None = None
        self._index: int | None = None
        self._reply: _Reply | None = None

    def take(self, char: str, cut: Cut) -> ObjectScan:
        """Read one character; the state of the scan tells whether the object is over."""
        if self._index is None and self._reply is None:
            self._raw += char
        inside, key = self._scan.take(char), self._scan.key
        if key == "name" and self._name is None:
            self._name_json += char if inside else ""
            if self._scan.value_ended:
                self._named(cut)
        elif key == "arguments" and inside:
            self._argument(char, cut)
        return self._scan

    def unclaimed(self, last: str) -> str:
        """The text, when the object is over, of which nothing was made; `last` is the character that broke it."""
        if self._reply is not None:
            return self._reply.finish() + last
        return self._raw if self._index is None else last

    def _named(self, cut: Cut) -> None:
        try:
            name = json.loads(self._name_json)
        except ValueError:
            return
        if not isinstance(name, str):
            return
        self._name = name
        if name == self._cutter.text_call:
            self._reply = _Reply()
        elif name in self._cutter.tools:
            self._open(name, cut)
        early, self._early = self._early, ""
        for char in early:
            self._argument(char, cut)

    def _argument(self, char: str, cut: Cut) -> None:
        if self._reply is not None:
            cut.content += self._reply.take(char)
        elif self._name is None:
            self._early += char
        else:
            # A name that was not offered, with arguments: a call all the same, and the loop says that it is unknown.
            index = self._open(self._name, cut) if self._index is None else self._index
            cut.add_arguments(index, char)

    def _open(self, name: str, cut: Cut) -> int:
        self._index = index = self._cutter.n_calls
        self._cutter.n_calls += 1
        cut.open_call(index, name)
        return index


class _Reply:
    """The arguments of a reply: `{"content": "..."}`, decoded as it comes; anything else is passed on as it is."""

    def __init__(self) -> None:
        self._scan = ObjectScan()
        self._decoder = StringDecoder()
        self._raw = ""
        self._begun = self._string = False

    def take(self, char: str) -> str:
        if self._scan.broken:
            return char
        self._raw += "" if self._begun else char
        inside = self._scan.take(char)
        if self._scan.broken:
            return self.finish()
        if not inside or self._scan.key != "content":
            return ""
        if not self._begun:
            self._begun, self._string = True, char == '"'
            return "" if self._string else char
        if not self._string:
            return char
        return "" if self._scan.value_ended else self._decoder.take(char)

    def finish(self) -> str:
        """The text as it came, where it was no `content` at all."""
        raw, self._raw = self._raw, ""
        return "" if self._begun or not raw.strip(BLANK + "{}") else raw
