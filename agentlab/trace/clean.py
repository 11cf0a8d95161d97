"""Events made fit to be written down: without keys and tokens, and with nothing in them that UTF-8 has no form for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from pydantic_core import PydanticSerializationError

from agentlab.errors import StoreError
from agentlab.trace.events import EVENT, Event, ModelReplied
from agentlab.trace.redact import Redactor

_LOG_COLUMNS = {"chunks": {"offsets", "kinds", "sizes"}}


def cleaned(events: Iterable[Event], redactor: Redactor) -> list[tuple[Event, bytes]]:
    """Each event as it may be written, and its JSON, but for the columns of a chunk log."""
    encoded = [_to_json(event) for event in events]
    if redactor.suspects(b",".join(line for _, line in encoded).decode()):
        return [_redacted(event, line, redactor) for event, line in encoded]
    return encoded


def as_lines(events: Iterable[Event], redactor: Redactor) -> Iterator[bytes]:
    """Each event on a line of its own, chunk logs and all."""
    for event, line in cleaned(events, redactor):
        whole = line
        if isinstance(event, ModelReplied):
            whole = EVENT.dump_json(event, exclude_none=True, fallback=repr)
        yield whole + b"\n"


@contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """A path beside the target; what is written there takes its place in the end, and not when something fails.

    Raises:
        StoreError: It cannot be written.
    """
    new = target.with_name(f".{target.name}.{os.getpid()}-{time.monotonic_ns()}")
    try:
        yield new
        new.replace(target)
    except OSError as exc:
        raise StoreError(f"{target} cannot be written: {exc}") from exc
    finally:
        new.unlink(missing_ok=True)


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
