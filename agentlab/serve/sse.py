"""Server-sent events: one value as a frame, and a stream of values as frames with their proper end.

Source: HTML standard, section 9.2, for what a frame is.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any

from pydantic import BaseModel

from agentlab import clock
from agentlab.errors import InputError
from agentlab.serve._json import model_to_json, to_json, whole_characters
from agentlab.serve._pings import with_pings
from agentlab.serve._tokens import shows_token
from agentlab.serve.errors_shown import shown_error
from agentlab.serve.first_token import FirstToken
from agentlab.serve.reporting import forward_to_sentry, report
from agentlab.serve.usage_frame import usage_payload

END = "data: [DONE]\n\n"
"""The frame that ends a stream."""

CANCELLED = 'data: {"error":"Stream failed: CANCELLED: cancelled before its end","code":"CANCELLED"}\n\n'

LATE_USAGE_S = 1.0
"""How long the usage of a stream that failed is waited for [s]."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """A value to send with more than its data. It is sent as it is, even if it reads like the end of the stream."""

    data: object
    event: str | None = None
    """Its name, by which listeners in a browser choose."""
    id: str | int | None = None
    """What a reader that was cut off names when it comes back."""


def format_event(data: object, *, event: str | None = None, id: str | int | None = None) -> str:  # noqa: A002
    """One value as the frame of a server-sent event.

    Text is sent as it is, one `data:` line for each of its lines; every other value as JSON on one line: mappings,
    pydantic models, lists, numbers, times, UUIDs, bytes. A member of an enum is sent as its value. NaN and infinities
    become null.

    Args:
        data: What to send.
        event: The event's name, in one line.
        id: The event's id, in one line.

    Raises:
        InputError: The value has no JSON, or the name or the id has line breaks.
    """
    kind = type(data)
    if kind is dict:
        text = to_json(data)
    elif kind is str:
        text = _lines(data)  # type: ignore[arg-type]  # it is one
    elif (serializer := getattr(kind, "__pydantic_serializer__", None)) is not None:  # `isinstance` takes longer
        text = model_to_json(data, serializer)
    elif isinstance(data, Enum):
        return format_event(data.value, event=event, id=id)
    elif isinstance(data, str):
        text = _lines(str.__str__(data))
    elif kind is ServerEvent:
        return format_event(data.data, event=data.event, id=data.id)  # type: ignore[attr-defined]  # it is one
    else:
        text = to_json(data)
    if event is None and id is None:
        return f"data: {text}\n\n"
    return f"{_field('event', event)}{_field('id', id)}data: {text}\n\n"


def stream_events(
    source: AsyncIterable[object],
    *,
    usage: Awaitable[object] | None = None,
    done: bool = True,
    started_ns: int | None = None,
    model: str | Mapping[str, Any] | BaseModel | None = None,
    ping_s: float | None = None,
) -> FrameStream:
    """The frames of a stream: the source's values as they come, the usage, the end.

    An error of the source or of the usage becomes a frame with its code and text, if it is one of agentlab's or has one
    of its codes; of any other the client learns only that there was one, and the log the rest. The end frame follows in
    each case, once; a source's own `[DONE]` does not end the stream before the usage is sent. A reader that goes away
    (`aclose`, cancelling) gets nothing more and causes no error; source and usage are closed behind it.

    Nothing is read ahead of the reader, but for one frame where pings are sent.

    Args:
        source: What to send; see `format_event`, and `ServerEvent` for names and ids. Closed at the end.
        usage: Gives a `Usage` or another model, when the source has ended. Cancelled when the reader goes away; pass
            `asyncio.shield(...)` of what has to go on.
        done: False: no end frame.
        started_ns: Monotonic clock when the request came [ns]; with it the time to the first token is recorded.
        model: The model's name or settings, for that record.
        ping_s: Send a comment after this long without a frame [s]; None: never.

    Raises:
        InputError: The source is no asynchronous one, or `ping_s` is not above 0.
    """
    if not isinstance(source, AsyncIterable):
        raise InputError(f"a stream needs an asynchronous source, such as an `async def` that yields, not {source!r}")
    if ping_s is not None and not ping_s > 0:
        raise InputError(f"ping_s is {ping_s!r}; it takes seconds above 0, or None for no pings")
    frames = _frames(source, usage, done, started_ns, model)
    return FrameStream(frames if ping_s is None else with_pings(frames, ping_s), usage)


class FrameStream(AsyncGenerator[str, None]):
    """The frames of `stream_events`: an asynchronous generator that may be closed before its first frame, too."""

    __slots__ = ("_frames", "_usage")

    def __init__(self, frames: AsyncGenerator[str, None], usage: Awaitable[object] | None) -> None:
        self._frames, self._usage = frames, usage

    def __anext__(self) -> Any:
        return self._frames.__anext__()

    def asend(self, value: None) -> Any:
        return self._frames.asend(value)

    def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        return self._frames.athrow(typ if val is None else val)

    async def aclose(self) -> None:
        await self._frames.aclose()
        await _let_go(self._usage)


async def _frames(
    source: AsyncIterable[object],
    usage: Awaitable[object] | None,
    done: bool,
    started_ns: int | None,
    model: str | Mapping[str, Any] | BaseModel | None,
) -> AsyncGenerator[str, None]:
    waited_for = FirstToken(started_ns, model) if started_ns is not None else None
    chunks: AsyncIterator[object] | None = None
    failure: str | None = None
    try:
        try:
            chunks = aiter(source)
            async for chunk in chunks:
                try:
                    frame = format_event(chunk)
                except InputError as exc:
                    raise _UnsendableError from exc
                if waited_for is not None and shows_token(chunk.data if type(chunk) is ServerEvent else chunk):
                    waited_for.came()
                    waited_for = None
                if frame == END and done and type(chunk) is not ServerEvent:
                    continue
                yield frame
        except Exception as exc:  # noqa: BLE001 - whatever it is, the client is told that there was something
            failure = _error_frame(exc, "decoder encountered an error")
        except asyncio.CancelledError:
            if _reader_is_cancelled():
                raise
            failure = CANCELLED
        finally:
            if waited_for is not None:
                waited_for.never_came()
            await _close(chunks)
        if failure is not None:
            yield failure
        if usage is not None:
            usage = asyncio.ensure_future(usage)
            last = await _usage_frame(usage) if failure is None else await _late_usage_frame(usage)
            if last is not None:
                yield last
        if done:
            yield END
    finally:
        await _let_go(usage)


class _UnsendableError(Exception):
    """What the program gave cannot be sent: no fault of the client's."""


async def _usage_frame(usage: Awaitable[object]) -> str:
    try:
        found = await usage
        try:
            return format_event(usage_payload(found))
        except InputError as exc:
            raise _UnsendableError from exc
    except asyncio.CancelledError:
        if _reader_is_cancelled():
            raise
        return CANCELLED
    except Exception as exc:  # noqa: BLE001 - as above
        return _error_frame(exc, "internal error occurred")


async def _late_usage_frame(usage: Awaitable[object]) -> str | None:
    """The usage of a stream that failed, if it can be had: no second error is told."""
    try:
        return format_event(usage_payload(await clock.within(usage, LATE_USAGE_S)))
    except asyncio.CancelledError:
        if _reader_is_cancelled():
            raise
        return None
    except Exception:  # noqa: BLE001 - the client has been told already
        return None


def _error_frame(exc: Exception, otherwise: str) -> str:
    shown = shown_error(exc)
    if shown is None:
        report(exc)
        return format_event({"error": f"Stream failed ({otherwise})"})
    forward_to_sentry(exc)
    return format_event({"error": f"Stream failed: {shown.code}: {shown.text}", "code": shown.code})


def _reader_is_cancelled() -> bool:
    """False when the source was cancelled by itself: the reader is there, and is told."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _close(chunks: AsyncIterator[object] | None) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        try:
            await close()
        except Exception as exc:  # noqa: BLE001 - what goes wrong behind a reader is not the reader's
            report(exc)


async def _let_go(usage: Awaitable[object] | None) -> None:
    """Leave no task behind, and no error that nobody has looked at."""
    if inspect.iscoroutine(usage):
        if inspect.getcoroutinestate(usage) == inspect.CORO_CREATED:
            usage.close()
    elif isinstance(usage, asyncio.Future):
        if not usage.done():
            usage.cancel()
            await asyncio.wait({usage})
        if not usage.cancelled():
            usage.exception()


def _lines(text: str) -> str:
    """Text behind a `data: `; each of its lines on one."""
    if "\n" in text or "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\ndata: ")
    return whole_characters(text)


def _field(name: str, value: str | int | None) -> str:
    if value is None:
        return ""
    text = str(value)
    if any(c in text for c in "\n\r\0"):
        raise InputError(f"the {name} of a server-sent event is one line of text, and this one is {text!r}")
    return f"{name}: {whole_characters(text)}\n"
