"""What an endpoint's failures are called here, and what their texts say.

Endpoints agree neither on status nor on wording, so status, code, type and text are all looked at. What a server
writes is cleaned and shortened before it is shown, and keys are taken out of it: some servers repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from agentlab.errors import (
    AuthenticationError,
    ConnectionLostError,
    ContextWindowError,
    InvalidReplyError,
    ModelError,
    ModelNotFoundError,
    RateLimitError,
    RequestRefusedError,
    ServerError,
)
from agentlab.models._retry import retry_after_s

_SHOWN_CHARACTERS = 400
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|prompt is too long|(exceeds?|over) the (model'?s )?(maximum )?(number of )?"
    r"(input )?tokens?( limit| allowed)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"(not a valid|invalid|unknown|no such) model\b|\bmodel\b.{0,200}(not found|not exist|unavailable)", re.IGNORECASE
)
_KEYS = re.compile(r"(?i)(bearer|basic)\s+[\w.~+/=-]{6,}|\b(sk|pk|gsk|hf|xai|rk)[-_][\w-]{8,}")
_OVERFLOW_NAMES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_NO_QUOTA_NAMES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_PACE_NAMES = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests"})
_NO_MODEL_NAMES = frozenset({"model_not_found", "unknown_model"})
_SERVER_NAMES = frozenset({"server_error", "internal_error", "internal_server_error", "overloaded_error"})
_AUTH_NAMES = frozenset({"invalid_api_key", "authentication_error", "invalid_authentication"})


class Failures:
    """Turns the failures of one endpoint into errors of ours."""

    def __init__(self, *, model: str, where: str, secrets: Iterable[str]) -> None:
        """Take what the texts name (a model and its endpoint) and what they must never name."""
        self.model = model
        self.where = where
        self._secrets = sorted((s for s in secrets if len(s) >= 4), key=len, reverse=True)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """For a response with an error status."""
        error = self._classified(status, _error_object(body), self._text_of(body))
        error.retry_after_s = retry_after_s(headers)
        return error

    def in_stream(self, body: Any) -> ModelError:
        """For an error event in the middle of a stream."""
        found = body.get("error", body) if isinstance(body, dict) else body
        details = found if isinstance(found, dict) else {"message": found}
        status = details.get("code", details.get("status"))
        known = status if isinstance(status, int) and 400 <= status < 600 else None
        return self._classified(known, details, self._shown(details.get("message") or details))

    def no_connection(self, reason: BaseException) -> ModelError:
        """For a connection that could not be made, or broke before the reply began."""
        said = self._shown(str(reason)) or type(reason).__name__
        return ConnectionLostError(
            f"no connection to {self.where} ({said}); is the server running and `base_url` right?"
        )

    def no_answer(self, waited_s: float) -> ModelError:
        """For an endpoint that took the request and kept silent."""
        return ConnectionLostError(
            f"{self.where} did not answer within {waited_s:g} s; `timeout_s` sets how long to wait"
        )

    def cut(self, n_events: int, n_payload: int, how: str = "closed the connection") -> ModelError:
        """For a stream that ended before the reply did."""
        where = f"{self.where} {self._shown(how)}"
        if n_payload == 0:
            return ConnectionLostError(f"{where} before the first token ({n_events} events had arrived)")
        return ConnectionLostError(
            f"{where} in the middle of the reply, after {n_events} events, {n_payload} of them with text or calls; "
            "not tried again, because a second reply would differ from what has been shown",
            retryable=False,
        )

    def no_stream(self, body: bytes) -> ModelError:
        """For a reply that is something else than a stream."""
        if body.lstrip()[:1] == b"<":
            seen, advice = "a web page", "check `base_url`; it usually ends in /v1"
        else:
            seen, advice = "something that is no event stream", "check that `base_url` is an OpenAI-compatible endpoint"
        return InvalidReplyError(f"{self.where} answered with {seen} ({self._text_of(body)!r}); {advice}")

    def broken_event(self, data: bytes, problem: str) -> ModelError:
        """For an event that is no chunk of a completion."""
        return InvalidReplyError(f"{self.where} sent an event that {problem}: {self._shown(_decoded(data))!r}")

    def _classified(self, status: int | None, details: dict[str, Any], text: str) -> ModelError:
        names = {str(details.get(k) or "").lower() for k in ("code", "type", "status")}
        numbered = "" if status is None else f" (status {status})"
        said = f"{numbered}: {text}" if text else numbered
        where, model = self.where, self.model
        if names & _OVERFLOW_NAMES or (status in (400, 413, 422, None) and _TOO_LONG.search(text)):
            return ContextWindowError(
                f"the conversation is longer than the context window of `{model}` at {where}{said}", status=status
            )
        if names & _NO_QUOTA_NAMES or status == 402:
            return RateLimitError(f"the quota at {where} is used up{said}", status=status, retryable=False)
        if status == 429 or names & _PACE_NAMES:
            return RateLimitError(f"too many requests for {where}{said}", status=status)
        if status == 401 or names & _AUTH_NAMES:
            return AuthenticationError(
                f"{where} refused the key{said}; pass the right `api_key`, or set OPENAI_API_KEY", status=status
            )
        if status == 403:
            return AuthenticationError(f"{where} does not allow this key to use `{model}`{said}", status=status)
        if names & _NO_MODEL_NAMES or (status in (400, 404, 422, None) and _NO_MODEL.search(text)):
            return ModelNotFoundError(f"{where} knows no model `{model}`{said}", status=status)
        if status == 404:
            return RequestRefusedError(
                f"{where} has no chat completions here{said}; check `base_url`, it usually ends in /v1", status=404
            )
        if (status is not None and status >= 500) or names & _SERVER_NAMES:
            return ServerError(f"{where} failed{said}", status=status)
        if status is None:
            return InvalidReplyError(f"{where} sent an error in the middle of the reply{said}")
        # 408, 409 and 425 mean "not now", the other refusals would come again.
        return RequestRefusedError(
            f"{where} refused the request{said}", status=status, retryable=status in (408, 409, 425)
        )

    def _text_of(self, body: bytes) -> str:
        """What a body says, for people."""
        details = _error_object(body)
        if details:
            return self._shown(details.get("message") or details)
        text = _decoded(body)
        if text.lstrip()[:1] == "<":
            title = re.search(r"(?is)<title[^>]*>(.*?)</title", text)
            return self._shown(title[1] if title else "a web page without a title")
        return self._shown(text)

    def _shown(self, value: object) -> str:
        """Text of a server as it may be shown: one line, no control characters, no keys, not too long."""
        text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        text = " ".join("".join(c if c.isprintable() else " " for c in _KEYS.sub("[key]", text)).split())
        return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _error_object(body: bytes) -> dict[str, Any]:
    """The `error` object of a JSON body; empty when there is none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        error = found.get("error") or found.get("detail") or found
        return error if isinstance(error, dict) else {**found, "message": error}
    return {}


def _decoded(data: bytes) -> str:
    return data[:65536].decode("utf-8", "replace")
