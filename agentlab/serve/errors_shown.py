"""What a client may read of an error: code and text, where they were made to be read; else that there was one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agentlab.errors import InputError, ModelError, RunError
from agentlab.serve.reporting import redactor

CODES = frozenset({
    "CANCELLED",
    "CONFLICT",
    "CONTEXT_WINDOW_EXCEEDED",
    "EXPIRED",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PENDING_APPROVAL",
    "PERMISSION_DENIED",
    "RATE_LIMIT_EXCEEDED",
    "TIMEOUT",
    "UNAUTHENTICATED",
})  # fmt: skip
"""The codes by which an error that is not agentlab's own says that its text may be read."""

TEXT_CHARS = 2_000
"""A longer text is cut."""

_READ_CHARS = 50_000
"""What is looked through for keys, before the cut."""


@dataclass(frozen=True, slots=True)
class ShownError:
    """An error as a client reads it."""

    code: str
    text: str


def shown_error(exc: BaseException) -> ShownError | None:
    """Code and text of an error, without keys and traceback. None: nothing of it may be shown."""
    code = _code(exc)
    if code is None:
        return None
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001 - an error that cannot say what it is
        return None
    return ShownError(code, _readable(text.removeprefix(f"{code}: ")))


def _code(exc: BaseException) -> str | None:
    match exc:
        case ModelError():
            return exc.code
        case RunError():
            return "CONFLICT"
        case InputError():
            return "INVALID_ARGUMENT"
    code = getattr(exc, "code", None)
    code = code.value if isinstance(code, Enum) else code
    return code if isinstance(code, str) and code in CODES else None


def _readable(text: str) -> str:
    text = redactor().text(text[:_READ_CHARS]).partition("Traceback (most recent call last)")[0].rstrip()
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
