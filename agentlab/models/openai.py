"""Models behind any OpenAI-compatible endpoint: OpenAI itself, vLLM, Ollama, LM Studio, llama-server, and so on.

    model = OpenAIModel("qwen3:8b", base_url="http://localhost:11434/v1")

The `openai` client brings keys, headers and connections; the stream is decoded here, which is faster, keeps arrival
times, and understands more dialects.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal

import httpx2
import openai

from agentlab import clock
from agentlab.errors import InputError, ModelError
from agentlab.models._arrival import CALL_MARKS, ArrivalStamps, CallMarks, HandOver
from agentlab.models._decode import ChunkDecoder
from agentlab.models._endpoint import Endpoint
from agentlab.models._errors import Failures
from agentlab.models._pump import Pump
from agentlab.models._reply_reader import CONNECTION_ERRORS, ReplyReader
from agentlab.models._retry import backoff_s
from agentlab.models._wire import KEPT_BYTES, RequestWriter
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.tool_schema import SchemaTools
from agentlab.trace.chunks import PAYLOAD, Chunk, ChunkKind

_BEGINS = int(PAYLOAD | ChunkKind.DONE)
"""Kinds of chunks after which a reply has begun; what comes before shows nothing and may come again."""


class OpenAIModel:
    """A model behind an OpenAI-compatible endpoint.

    May be used from several event loops, each with connections of its own; they are closed with the loop.

    Args:
        name: The model's name, as the endpoint knows it.
        base_url: The endpoint, such as `http://localhost:8000/v1`; None: OPENAI_BASE_URL, else OpenAI.
        api_key: None: OPENAI_API_KEY. An endpoint on this machine needs none.
        provider: Who serves the model, for traces; None: `openai`, or the endpoint's host.
        max_retries: How often a call that failed before its first token is tried again, where that may help.
        max_wait_s: The longest wait for another try that a server may ask for [s]; asked for more, the call fails.
        timeout_s: The longest silence of the endpoint, before and in the reply [s].
        keep_alive: Whether the next call uses the connection again.
        tool_mode: `native` offers tools in the endpoint's own way. `schema` makes every reply follow a JSON schema of
            the tools, for models that call tools badly; a `SchemaTools` does that with its settings.
        send_reasoning: Whether the model gets its earlier reasoning back; OpenAI refuses it, some need it.
        headers: Further HTTP headers.
        extra_body: Further fields of every request; None takes a field out, for endpoints that refuse it.

    Raises:
        InputError: A setting cannot be used; the text says which.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        provider: str | None = None,
        max_retries: int = 2,
        max_wait_s: float = 60.0,
        timeout_s: float = 600.0,
        keep_alive: bool = True,
        tool_mode: Literal["native", "schema"] | SchemaTools = "native",
        send_reasoning: bool = False,
        headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if tool_mode not in ("native", "schema") and not isinstance(tool_mode, SchemaTools):
            raise InputError(f"tool_mode is {tool_mode!r}; it takes 'native', 'schema' or a SchemaTools")
        self._name = name
        self._endpoint = Endpoint(
            base_url=base_url, api_key=api_key, headers=headers, timeout_s=timeout_s, keep_alive=keep_alive
        )
        self._provider = provider or ("openai" if self._endpoint.is_openai else self._endpoint.host)
        self._max_retries = max_retries
        self._max_wait_s = max_wait_s
        self._schema = SchemaTools() if tool_mode == "schema" else tool_mode if tool_mode != "native" else None
        self._writer = RequestWriter(
            name,
            max_tokens_field="max_completion_tokens" if self._endpoint.is_openai else "max_tokens",
            reasoning=send_reasoning,
            extra_body=extra_body,
            kept_bytes=KEPT_BYTES if self._schema is None else 0,  # a schema's messages are made anew for each call
        )

    @property
    def name(self) -> str:
        """The model's name, as the endpoint knows it."""
        return self._name

    @property
    def provider(self) -> str:
        """Who serves it."""
        return self._provider

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name!r}, base_url={self._endpoint.url!r}, provider={self._provider!r})"

    async def aclose(self) -> None:
        """Close the connections of the running event loop. Rarely needed: they are closed with the loop."""
        await self._endpoint.aclose()

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the reply. Closing this early cancels the call.

        A call that fails before the first token is tried again, where that may help. Nothing is tried again once a
        part of the reply has been handed out.

        Raises:
            ModelError: The call failed; the subclass says how.
        """
        body, translated = self._prepared(request)
        failures = Failures(model=self._name, where=self._endpoint.where, secrets=self._endpoint.secrets())
        for n_tries in itertools.count(1):
            translate, handed = translated(), HandOver(record)
            has_begun = False
            held: list[Chunk] = []
            try:
                async with aclosing(self._one_try(body, record, failures)) as chunks:
                    async for raw in chunks:
                        chunk = translate(raw)
                        if has_begun:
                            handed.note(chunk)
                            yield chunk
                            continue
                        held.append(chunk)
                        if chunk.kind & _BEGINS:
                            has_begun = True
                            for early in held:
                                handed.note(early)
                                yield early
            except ModelError as exc:
                error = exc
            else:
                return
            finally:
                handed.write()
            wait_s = None if has_begun else self._wait_s(error, n_tries)
            if wait_s is None:
                for early in [] if has_begun else held:
                    yield early
                error.retryable = error.retryable and not has_begun
                raise error
            record.retries = n_tries
            await clock.sleep(wait_s)

    def _prepared(self, request: ModelRequest) -> tuple[bytes, Callable[[], Callable[[Chunk], Chunk]]]:
        """The request's body, and what makes the translator of each try's chunks."""
        schema = self._schema
        if schema is None or not request.tools:
            return self._writer.body(request), lambda: _as_it_is
        plain, extra = schema.request(request)
        return self._writer.body(plain, extra), lambda: schema.translator(request).feed

    def _one_try(self, body: bytes, record: CallRecord, failures: Failures) -> AsyncGenerator[Chunk, None]:
        return Pump(lambda pump: self._read(pump, body, record, failures)).chunks()

    async def _read(self, pump: Pump, body: bytes, record: CallRecord, failures: Failures) -> None:
        stamps = ArrivalStamps()
        CALL_MARKS.set(CallMarks(record, stamps))
        response = await self._opened(body, failures)
        try:
            if record.headers_ns is None:  # a transport without trace hooks
                record.headers_ns = stamps.stamp()
            await ReplyReader(ChunkDecoder(record, failures), stamps, failures, pump).read(response)
        finally:
            await response.aclose()
            record.close_ns = clock.monotonic_ns()

    async def _opened(self, body: bytes, failures: Failures) -> httpx2.Response:
        # Errors are raised without their cause: it shows what the server wrote, and some servers repeat the key.
        try:
            return await self._endpoint.post(body)
        except openai.APIStatusError as exc:
            raise failures.refused(exc.status_code, exc.response.headers, exc.response.content) from None
        except openai.APITimeoutError as exc:
            if isinstance(exc.__cause__, httpx2.ConnectTimeout):
                raise failures.no_connection(exc.__cause__) from None
            raise failures.no_answer(self._endpoint.timeout_s) from None
        except openai.OpenAIError as exc:
            raise failures.no_connection(exc.__cause__ or exc) from None
        except CONNECTION_ERRORS as exc:  # while the text of a refusal arrived
            raise failures.no_connection(exc) from None

    def _wait_s(self, error: ModelError, n_tries: int) -> float | None:
        """How long to wait before the next try [s]; None: there is none."""
        if not error.retryable:
            return None
        asked_s = error.retry_after_s
        if asked_s is not None and asked_s > self._max_wait_s:
            error.message += f"; it asks to wait {asked_s:g} s, and `max_wait_s` is {self._max_wait_s:g}"
            return None
        if n_tries > self._max_retries:
            error.message += f"; tried {n_tries} times" if n_tries > 1 else ""
            return None
        return backoff_s(n_tries - 1) if asked_s is None else asked_s


def _as_it_is(chunk: Chunk) -> Chunk:
    return chunk
