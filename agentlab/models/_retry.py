"""How long to wait before a model call is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from agentlab import clock

_FIRST_S = 0.5
_LONGEST_S = 8.0


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What the server asks for [s], from `retry-after-ms` or `Retry-After` (seconds or a date); None: nothing."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    asked = headers.get("retry-after")
    if (seconds := _number(asked)) is not None:
        return seconds
    if asked is None:
        return None
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    return max(0.0, (date - clock.now()).total_seconds())


def backoff_s(n_retries: int) -> float:
    """A wait that doubles with each retry, up to a limit, and differs between clients [s]."""
    # The jitter comes from the ids in force, so that a frozen world repeats its waits as well.
    jitter = int(clock.new_uuid()[:8], 16) / 2**32
    return min(_FIRST_S * 2.0**n_retries, _LONGEST_S) * (0.75 + 0.5 * jitter)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
