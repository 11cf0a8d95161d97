"""An OpenAI-compatible endpoint: where it is, its key, and one client for each event loop."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

import anyio.lowlevel
import anyio.streams.tls  # the HTTP client would load it after the first call's clock has started
import h11  # noqa: F401  # the same
import httpx2
import openai
from pydantic import SecretStr

from agentlab.errors import AuthenticationError, InputError
from agentlab.models._arrival import mark_request

_OPENAI_URL = "https://api.openai.com/v1"
_CONNECT_S = 10.0
_IDLE_S = 60.0
"""How long an idle connection is kept: tools work between two calls of a conversation [s]."""
_NO_KEY = "none"
"""What servers on this machine are told, which seldom ask for a key."""


class Endpoint:
    """Sends requests to one endpoint. Nothing of it shows the key."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str | None,
        headers: Mapping[str, str] | None,
        timeout_s: float,
        keep_alive: bool,
    ) -> None:
        url = base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"base_url is {url!r}; it takes an address such as 'http://localhost:8000/v1'")
        self._url = url
        self._password = parts.password or ""
        self._api_key = None if api_key is None else SecretStr(api_key)
        self._headers = _checked_headers(headers or {})
        self.timeout_s = timeout_s
        self._keep_alive = keep_alive
        self._clients: _Clients = weakref.WeakKeyDictionary()
        self.host = parts.hostname
        self.where = parts.netloc.rpartition("@")[2]
        """Host and port, as error texts name it."""
        self.url = urlunsplit((parts.scheme, self.where, parts.path, "", ""))
        """The address without what may be secret in it."""

    @property
    def is_openai(self) -> bool:
        """True for OpenAI's own service."""
        return self.host == "api.openai.com"

    def secrets(self) -> list[str]:
        """What no text may show."""
        return [self._given_key(), self._password, *self._headers.values()]

    async def post(self, body: bytes) -> httpx2.Response:
        """The response to a chat completions request, its headers read and its body not.

        Raises:
            AuthenticationError: There is no key, or one that cannot be sent.
            openai.OpenAIError: The request failed.
        """
        key = self._key()
        client = await self._client(key)
        client.api_key = key  # it may have been set in the environment since the client was made
        response = await client.post(
            "/chat/completions",
            content=body,
            cast_to=httpx2.Response,
            stream=True,
            stream_cls=openai.AsyncStream[Any],
        )
        return cast("httpx2.Response", response)

    async def aclose(self) -> None:
        """Close the connections of the running event loop. Calling again afterwards opens new ones."""
        held = self._clients.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held.until_loop_ends.aclose()

    async def _client(self, key: str) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        held = self._clients.get(loop)
        if held is None:
            client = self._new_client(key)
            held = self._clients[loop] = _LoopClient(client, _closing(client, weakref.ref(self._clients)))
            await anext(held.until_loop_ends)
            weakref.finalize(self, _close_soon, weakref.ref(loop), held.until_loop_ends).atexit = False
            await anyio.lowlevel.checkpoint()  # loads what anyio needs for this kind of loop, before a clock starts
        return held.client

    def _new_client(self, key: str) -> openai.AsyncOpenAI:
        timeout = httpx2.Timeout(self.timeout_s, connect=min(self.timeout_s, _CONNECT_S))
        kept = None if self._keep_alive else 0
        trust_env = not _is_loopback(self.host)  # a proxy for the world knows nothing of this machine
        http = httpx2.AsyncClient(
            verify=_tls(trust_env=trust_env),
            timeout=timeout,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=kept, keepalive_expiry=_IDLE_S),
            follow_redirects=True,
            event_hooks={"request": [mark_request]},
            headers={"Accept-Encoding": "identity"},  # a compressed stream arrives in lumps
            trust_env=trust_env,
        )
        return openai.AsyncOpenAI(
            api_key=key,
            base_url=self._url,
            max_retries=0,
            timeout=timeout,
            default_headers=self._headers,
            http_client=http,
        )

    def _key(self) -> str:
        key = self._given_key()
        if not key:
            if _is_loopback(self.host) or any(name.lower() == "authorization" for name in self._headers):
                return _NO_KEY
            raise AuthenticationError(f"no key for {self.where}; pass `api_key`, or set OPENAI_API_KEY")
        if not (key.isascii() and key.isprintable()):
            raise AuthenticationError(
                f"the key for {self.where} has characters that cannot be sent, such as a line break; "
                "check `api_key` or OPENAI_API_KEY"
            )
        return key

    def _given_key(self) -> str:
        given = os.environ.get("OPENAI_API_KEY", "") if self._api_key is None else self._api_key.get_secret_value()
        return given.strip()


@dataclass(frozen=True, slots=True)
class _LoopClient:
    """A client, and what closes it when its event loop ends or nobody needs it any more."""

    client: openai.AsyncOpenAI
    until_loop_ends: AsyncGenerator[None, None]


_Clients: TypeAlias = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClient]


async def _closing(client: openai.AsyncOpenAI, clients: weakref.ref[_Clients]) -> AsyncGenerator[None, None]:
    """Waits, and closes the client when closed itself.

    An event loop closes the generators that wait in it before it ends, and those that nobody holds any more: the
    client's connections outlive neither their loop nor their model.
    """
    try:
        yield
    finally:
        held = clients()  # a weak reference, because in a cycle the sockets could go before this runs
        if held is not None:
            held.pop(asyncio.get_running_loop(), None)
        await client.close()


def _close_soon(of: weakref.ref[asyncio.AbstractEventLoop], until_loop_ends: AsyncGenerator[None, None]) -> None:
    """Close the client of an endpoint that is gone; held until then, it is not collected unclosed along with it."""
    loop = of()
    if loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(lambda: loop.create_task(until_loop_ends.aclose()))


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise InputError(f"the header {name!r} has characters that cannot be sent, such as a line break")
    return dict(headers)


@functools.cache
def _tls(*, trust_env: bool) -> ssl.SSLContext:
    """TLS settings, shared: reading the certificates takes longer than a call's whole overhead."""
    return httpx2.create_ssl_context(trust_env=trust_env)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
