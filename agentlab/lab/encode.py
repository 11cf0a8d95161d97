"""Events as the text and bytes that a lab keeps, and back.

An event is JSON, as in a trace's file, but for the columns of a chunk log: those are bytes in a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from pydantic_core import PydanticSerializationError

from agentlab.trace.chunks import ChunkLog
from agentlab.trace.events import EVENT, Event, ModelReplied
from agentlab.trace.reading import read_event
from agentlab.trace.redact import Redactor

_OFFSET_BYTES, _ROW_BYTES = 8, 13
_LOG_COLUMNS = {"chunks": {"offsets", "kinds", "sizes"}}


def encode(events: list[Event], redactor: Redactor) -> tuple[list[Event], str]:
    """The events as they are kept, without secrets, and a JSON array of them."""
    encoded = [_to_json(event) for event in events]
    text = _array(line for _, line in encoded)
    if redactor.suspects(text):
        encoded = [_redacted(event, line, redactor) for event, line in encoded]
        text = _array(line for _, line in encoded)
    return [event for event, _ in encoded], text


def decode(text: str, logs: Mapping[int, bytes], *, where: str) -> Iterator[Event]:
    """The events of a JSON array, each with the chunk log that belongs to its number.

    Types that this version does not know are left out.

    Raises:
        NewerSchemaError: A later agentlab wrote them.
        StoreError: One of them is no event.
    """
    for raw in orjson.loads(text):
        event = read_event(orjson.dumps(raw), where=f"{where}, event {raw.get('seq')}")
        if isinstance(event, ModelReplied):
            yield event.model_copy(update={"chunks": unpack_log(event.chunks, logs.get(event.seq, b""))})
        elif event is not None:
            yield event


def pack_log(log: ChunkLog) -> bytes:
    """A chunk log's columns in one piece."""
    return log.offsets + log.kinds + log.sizes


def split_log(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Offsets, kinds and sizes, out of what `pack_log` joined."""
    n_rows = len(data) // _ROW_BYTES
    kinds_at = n_rows * _OFFSET_BYTES
    sizes_at = kinds_at + n_rows
    return data[:kinds_at], data[kinds_at:sizes_at], data[sizes_at:]


def unpack_log(log: ChunkLog, data: bytes) -> ChunkLog:
    """The log with its columns."""
    offsets, kinds, sizes = split_log(data)
    return log.model_copy(update={"offsets": offsets, "kinds": kinds, "sizes": sizes})


def writable(text: str) -> str:
    """The text with each half of a surrogate pair spelt out: UTF-8, and so every file, has no form for those."""
    return text.encode("utf-8", "backslashreplace").decode()


def _to_json(event: Event) -> tuple[Event, bytes]:
    serializer = type(event).__pydantic_serializer__
    exclude: Any = _LOG_COLUMNS if type(event) is ModelReplied else None
    try:
        return event, serializer.to_json(event, exclude_none=True, exclude=exclude, fallback=repr)
    except PydanticSerializationError:  # half of a surrogate pair, as some file names have
        line = orjson.dumps(_mended(event.model_dump(exclude_none=True, exclude=exclude)), default=repr)
        return _restored(line, event), line


def _redacted(event: Event, line: bytes, redactor: Redactor) -> tuple[Event, bytes]:
    if not redactor.suspects(line.decode()):
        return event, line
    clean = redactor.json(line)
    return _restored(clean, event), clean


def _mended(value: object) -> object:
    match value:
        case str():
            return writable(value)
        case dict():
            return {str(_mended(key)): _mended(item) for key, item in value.items()}
        case list() | tuple():
            return [_mended(item) for item in value]
        case _:
            return value


def _restored(line: bytes, event: Event) -> Event:
    """The event as it is stored, with the chunk log that its JSON lacks."""
    stored = EVENT.validate_json(line)
    if isinstance(stored, ModelReplied) and isinstance(event, ModelReplied):
        return stored.model_copy(update={"chunks": event.chunks})
    return stored


def _array(lines: Iterable[bytes]) -> str:
    return (b"[" + b",".join(lines) + b"]").decode()
