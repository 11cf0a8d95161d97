"""Events read from JSON, one by one or a file of lines."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from agentlab.errors import NewerSchemaError, StoreError
from agentlab.trace.events import EVENT, EVENT_TYPES, SCHEMA_VERSION, Event


def read_event(data: bytes | str, *, where: str) -> Event | None:
    """One event from its JSON; None for a type that this version does not know.

    Raises:
        NewerSchemaError: It starts a run that a later agentlab wrote.
        StoreError: It is no event.
    """
    try:
        raw = orjson.loads(data)
        kind = raw["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise StoreError(f"{where} is no event of a trace: {data[:80]!r}") from exc
    if kind == "run_started" and raw.get("schema_version", 1) > SCHEMA_VERSION:
        raise NewerSchemaError(where, raw["schema_version"], SCHEMA_VERSION)
    if kind not in EVENT_TYPES:
        return None
    try:
        return EVENT.validate_python(raw)
    except ValueError as exc:
        raise StoreError(f"{where} is a broken `{kind}` event: {exc}") from exc


def read_lines(source: str, lines: list[bytes]) -> Iterator[Event]:
    """The events of a file of lines. A half-written last line (a crash) is left out, unknown types are skipped.

    Raises:
        NewerSchemaError: A later agentlab wrote it.
        StoreError: A line is no event.
    """
    for number, line in enumerate(lines, start=1):
        try:
            event = read_event(line, where=f"{source}, line {number}")
            if event is not None:
                yield event
        except NewerSchemaError:
            raise
        except StoreError:
            if number == len(lines) and not line.endswith(b"\n"):
                return
            raise
