"""What a page can copy: the events of a trace, or what one row was made of, as JSON without keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from agentlab.trace._items import Called, Said, Thought, Told
from agentlab.trace.events import EVENT, Event
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace
from agentlab.trace.words import as_json
from agentlab.widgets.rows import Entry, Row

COPY_CHARS = 5_000_000
"""Of a longer trace only the beginning is copied."""


def events_json(events: Iterable[Event]) -> str:
    """The events, one a line, as `to_jsonl` writes them; a part of a very long trace."""
    redactor, lines, n_chars = Redactor(), list[str](), 0
    for event in events:
        line = EVENT.dump_json(event, exclude_none=True)
        text = redactor.json(line).decode() if redactor.suspects(line.decode()) else line.decode()
        n_chars += len(text)
        if n_chars > COPY_CHARS:
            lines.append('{"note": "cut here; `trace.to_jsonl(path)` writes all of it"}')
            break
        lines.append(text)
    return "\n".join(lines)


def row_json(trace: Trace, entry: Entry, row: Row) -> str:
    """What a row is of: the call with its events, the message, or else the row.

    Args:
        trace: The trace.
        entry: What the row was made of.
        row: The row.
    """
    found: Any = row
    if isinstance(entry, Called) and (record := trace.tool_calls.get(entry.call_id)) is not None:
        events = (record.requested, *record.decisions, record.started, record.returned)
        found = [event.model_dump(mode="json", exclude_none=True) for event in events if event is not None]
    elif isinstance(entry, Called | Said | Thought | Told) and entry.message_id:
        messages = (e.message for e in list(trace.entries))
        found = next(m.model_dump(mode="json", exclude_none=True) for m in messages if m.id == entry.message_id)
    return as_json(orjson.loads(Redactor().json(orjson.dumps(found, default=str))))
