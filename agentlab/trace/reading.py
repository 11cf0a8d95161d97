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
        is_newer = kind == "run_started" and raw.get("schema_version", 1) > SCHEMA_VERSION
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise StoreError(f"{where} is no event of a trace: {data[:80]!r}") from exc
    if is_newer:
        raise NewerSchemaError(where, raw["schema_version"], SCHEMA_VERSION)
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        return None
    try:
        return EVENT.validate_python(raw)
    except ValueError as exc:
        raise StoreError(f"{where} is a broken `{kind}` event: {exc}") from exc


def read_lines(source: str, lines: list[bytes]) -> Iterator[Event]:
    """The events of a file of lines, each once, though a line is there twice.

    A half-written last line (a crash) is left out, unknown types are skipped.

    Raises:
        NewerSchemaError: A later agentlab wrote it.
        StoreError: A line is no event, or not the next of its run.
    """
    seen: dict[str, list[bytes]] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{source}, line {number}"
        try:
            event = read_event(line, where=where)
        except NewerSchemaError:
            raise
        except StoreError:
            if number == len(lines) and not line.endswith(b"\n"):
                return
            raise
        if _is_next(line, seen, where) and event is not None:
            yield event


def _is_next(line: bytes, seen: dict[str, list[bytes]], where: str) -> bool:
    """Whether it is the next event of its run, of whatever type; false for one that was there before, word for word."""
    raw = orjson.loads(line)
    run_id, seq = raw.get("run_id"), raw.get("seq")
    before = seen.setdefault(str(run_id), [])
    if seq == len(before):
        before.append(line.strip())
        return True
    if isinstance(seq, int) and 0 <= seq < len(before):
        if before[seq] == line.strip():
            return False
        raise StoreError(f"{where} has another event {seq} of {run_id!r:.80}: two files were mixed, or it was changed")
    raise StoreError(f"{where} has event {seq!r:.40} of {run_id!r:.80} where {len(before)} is next: lines are missing")
