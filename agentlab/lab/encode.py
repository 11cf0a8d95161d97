"""Events as the text and bytes that a lab keeps, and back.

An event is JSON, as in a trace's file, but for the columns of a chunk log: those are bytes in a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import orjson

from agentlab.trace.chunks import ChunkLog
from agentlab.trace.clean import cleaned
from agentlab.trace.events import Event, ModelReplied
from agentlab.trace.reading import read_event
from agentlab.trace.redact import Redactor

_OFFSET_BYTES, _ROW_BYTES = 8, 13


def encode(events: list[Event], redactor: Redactor) -> tuple[list[Event], str]:
    """The events as they are kept, without secrets, and a JSON array of them."""
    clean = cleaned(events, redactor)
    return [event for event, _ in clean], _array(line for _, line in clean)


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


def _array(lines: Iterable[bytes]) -> str:
    return (b"[" + b",".join(lines) + b"]").decode()
