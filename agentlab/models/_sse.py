"""Bytes of a stream into server-sent events, however the network has cut them.

Source: HTML standard, section 9.2 (event stream interpretation). Two liberties: a last event without the blank line
after it can be had with `finish`, and a field called `error`, which some servers write, is an event of that name.
"""

from __future__ import annotations

from typing import TypeAlias

from agentlab.errors import InvalidReplyError

Event: TypeAlias = tuple[str, bytes]
"""An event's name and data. Nearly always the name is empty; a comment comes as an event named `COMMENT`."""

COMMENT = ":"

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Takes bytes as they come and gives the events that they complete."""

    def __init__(self, max_event_bytes: int = 64 * 2**20) -> None:
        """Take the size above which an event is refused: a stream without line ends must not fill the memory."""
        self._max_event_bytes = max_event_bytes
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete, in order."""
        data = self._one_line_end(data)
        if not data:
            return []
        if b"\n\n" not in data and not self._ends_here(data):
            self._hold(data)
            return []
        data = b"".join((*self._pieces, data))
        end = data.rindex(b"\n\n")
        self._pieces, self._held_bytes = [], 0
        if rest := data[end + 2 :]:
            self._hold(rest)
        events: list[Event] = []
        for block in data[:end].split(b"\n\n"):
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(("", block[6:]))
            else:
                _read_block(block, events)
        return events

    def finish(self) -> list[Event]:
        """What the last bytes would have been, had a blank line followed them."""
        return self.feed(b"\n\n") if self._pieces else []

    def _one_line_end(self, data: bytes) -> bytes:
        """`data` with line feeds for every kind of line end, also one that is cut in two."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _ends_here(self, data: bytes) -> bool:
        """True when a blank line is cut in two between the held bytes and these."""
        return data.startswith(b"\n") and bool(self._pieces) and self._pieces[-1].endswith(b"\n")

    def _hold(self, data: bytes) -> None:
        self._pieces.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > self._max_event_bytes:
            raise InvalidReplyError(
                f"one event of the stream is longer than {self._max_event_bytes / 2**20:g} MiB; "
                "the endpoint does not speak server-sent events as it should"
            )


def _read_block(block: bytes, events: list[Event]) -> None:
    """Read a block of lines the thorough way."""
    name = ""
    data: list[bytes] = []
    for line in block.removeprefix(_BOM).split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"error":
            name = "error"
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif not field and line:
            events.append((COMMENT, value))
    if data:
        events.append((name, b"\n".join(data)))
