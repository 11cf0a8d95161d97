"""Who may ask: whoever has the token. It comes in a header; where a browser reads events, in the address too."""

from __future__ import annotations

import hmac
import re
import secrets
from urllib.parse import parse_qs

from fastapi import Security
from fastapi.params import Depends
from fastapi.security import APIKeyQuery, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agentlab.errors import InputError
from agentlab.serve.problems import Problem

OPEN_PATHS = frozenset({"/healthz", "/openapi.json"})
"""What everybody may read; it tells nothing of the agent."""

_EVENTS = re.compile(r"/v1/runs/[^/]+/events")
_TOKEN_BYTES = 32
_SHORTEST_TOKEN_CHARS = 8

BEARER: Depends = Security(HTTPBearer(auto_error=False, description="The server's token."))
"""Says in the description of a route that it wants the token; the guard has looked at it before."""
TOKEN_IN_QUERY: Depends = Security(
    APIKeyQuery(name="token", auto_error=False, description="The token, for `EventSource`, which sends no headers.")
)


def token_or_new(token: str | None) -> str:
    """The token, or a random one.

    Raises:
        InputError: The token is too short, or no header could carry it.
    """
    if token is None:
        return secrets.token_urlsafe(_TOKEN_BYTES)
    if len(token) < _SHORTEST_TOKEN_CHARS or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InputError(
            f"the token has to be {_SHORTEST_TOKEN_CHARS} or more visible ASCII characters; "
            "leave it out for a random one"
        )
    return token


class TokenGuard:
    """Refuses requests without the token, before anything of them is read."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._is_right(_token_in(scope)):
            await self._app(scope, receive, send)
            return
        told = "the token is missing or wrong: send it as `Authorization: Bearer …`"
        refusal = Problem(401, told, headers={"WWW-Authenticate": "Bearer"})
        await refusal.response()(scope, receive, send)

    def _is_right(self, token: str | None) -> bool:
        return token is not None and hmac.compare_digest(token.encode(), self._token)


def _token_in(scope: Scope) -> str | None:
    kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    if scope["method"] == "GET" and _EVENTS.fullmatch(scope["path"]):
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("token", ())), None)
    return None
