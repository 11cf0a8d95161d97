"""The JSON texts that wrap what a MemGPT-style agent reads, with their type and the local time, and back.

Two-space indent, non-ASCII characters kept, fixed order of keys. The time is written for a person in the given zone:
`2026-01-01 07:04:05 PM PST-0800`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from agentlab import clock
from agentlab.errors import TimezoneError

DEFAULT_TIMEZONE = "UTC"
"""Where nobody names a zone. The host's own zone is never used: a run should not depend on where it ran."""

AUTOMATED = "[This is an automated system message hidden from the user] "
"""Prefix of texts that the loop writes itself."""

HEARTBEAT_SUCCESS = AUTOMATED + "Function called using request_heartbeat=true, returning control"
HEARTBEAT_FAILURE = AUTOMATED + "Function call failed, returning control"


def user_message(
    text: str, *, timezone: str = DEFAULT_TIMEZONE, location: str | None = None, name: str | None = None
) -> str:
    """What a person wrote, wrapped."""
    lines = ['"type": "user_message"', f'"message": {_json(text)}', f'"time": "{_now_text(timezone)}"']
    if location is not None:
        lines.append(f'"location": {_json(location)}')
    if name is not None:
        lines.append(f'"name": {_json(name)}')
    return _object(lines)


def system_alert(text: str, *, timezone: str = DEFAULT_TIMEZONE, kind: str = "system_alert") -> str:
    """A note from the system, wrapped. Text that is such a note already comes back as it is."""
    known = unpack(text)
    if known is not None and known.kind == kind:
        return text
    return _object([f'"type": {_json(kind)}', f'"message": {_json(text)}', f'"time": "{_now_text(timezone)}"'])


def tool_return(text: str | None, *, ok: bool = True, timezone: str = DEFAULT_TIMEZONE) -> str:
    """What a tool gave back, wrapped. None when it gave nothing."""
    status = "OK" if ok else "Failed"
    return f'{{\n  "status": "{status}",\n  "message": {_json(text)},\n  "time": "{_now_text(timezone)}"\n}}'


def heartbeat(reason: str, *, timezone: str = DEFAULT_TIMEZONE, location: str | None = None) -> str:
    """The automated message that gives the agent another step, wrapped."""
    lines = ['"type": "heartbeat"', f'"reason": {_json(reason)}', f'"time": "{_now_text(timezone)}"']
    if location is not None:
        lines.append(f'"location": {_json(location)}')
    return _object(lines)


def heartbeat_reason(*, ok: bool) -> str:
    """The default reason, after a tool that worked or failed."""
    return HEARTBEAT_SUCCESS if ok else HEARTBEAT_FAILURE


def login(*, last_login: str = "Never (first login)", timezone: str = DEFAULT_TIMEZONE) -> str:
    """The note that a person has come, wrapped."""
    time = _now_text(timezone)
    return _object(['"type": "login"', f'"last_login": {_json(last_login)}', f'"time": "{time}"'])


def summary(text: str, *, hidden: int, total: int, timezone: str = DEFAULT_TIMEZONE) -> str:
    """The note that stands in the place of earlier messages, wrapped.

    Args:
        text: What they said, in short.
        hidden: How many messages are no longer shown.
        total: How many messages the conversation has.
        timezone: IANA name of the zone for the time.
    """
    note = f"{hidden} of the {total} messages of this conversation are no longer shown. A summary of them:\n{text}"
    return system_alert(note, timezone=timezone)


def time_text(at: datetime, timezone: str = DEFAULT_TIMEZONE) -> str:
    """An instant as the envelopes write it: 12-hour clock, zone abbreviation and offset without a gap.

    Args:
        at: The instant, with its zone.
        timezone: IANA name of the zone to write it in, such as `Europe/Paris`.

    Raises:
        TimezoneError: There is no such zone.
    """
    return _time_text(timezone, int(at.timestamp() // 1))


class Envelope(NamedTuple):
    """An envelope, opened."""

    kind: str
    """Its `type`; `tool_return` for the envelope of a tool return, which names none."""
    text: str | None
    """The message, or a heartbeat's reason."""
    time: str | None
    ok: bool | None
    """Of a tool return: whether the tool worked."""


def unpack(text: str) -> Envelope | None:
    """What is in an envelope; None when the text is none."""
    data = _read(text)
    if data is None:
        return None
    time = data["time"] if isinstance(data.get("time"), str) else None
    if data.get("status") in ("OK", "Failed") and "message" in data and "type" not in data:
        message = data["message"]
        return Envelope("tool_return", message, time, data["status"] == "OK") if _text_or_none(message) else None
    kind = data.get("type")
    message = data.get("reason" if kind == "heartbeat" else "last_login" if kind == "login" else "message")
    return Envelope(kind, message, time, None) if isinstance(kind, str) and isinstance(message, str) else None


def unpack_user_text(text: str) -> str:
    """What the person wrote: the message inside a user envelope, any other text as it is."""
    if '"user_message"' not in text:
        return text
    data = _read(text)
    if data is None or data.get("type") != "user_message" or not isinstance(data.get("message"), str):
        return text
    message: str = data["message"]
    return message


def _read(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _object(lines: list[str]) -> str:
    return "{\n  " + ",\n  ".join(lines) + "\n}"


def _json(text: str | None) -> str:
    try:
        return orjson.dumps(text).decode()
    except TypeError:
        return json.dumps(text)  # half of a surrogate pair: escaped, as nothing could send it otherwise


def _now_text(timezone: str) -> str:
    return time_text(clock.now(), timezone)


@lru_cache(maxsize=512)
def _time_text(timezone: str, second: int) -> str:
    local = datetime.fromtimestamp(second, UTC).astimezone(_zone(timezone))
    half = "AM" if local.hour < 12 else "PM"  # `%p` follows the process's locale
    return f"{local:%Y-%m-%d %I:%M:%S} {half} {local:%Z%z}"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    if not isinstance(name, str):
        raise TimezoneError(name)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise TimezoneError(name) from exc
