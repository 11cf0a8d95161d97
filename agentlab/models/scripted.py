"""A model that says what it is told to: for tests, tutorials and simulations, without a network.

    model = ScriptedModel([call("search", q="cats"), "Found two."], ttft_s=0.2, gap_s=0.01)

Times pass on the clock in force. In `agentlab.frozen(...)` that is virtual time: a thousand runs take seconds, and
every one repeats to the byte.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from agentlab import clock
from agentlab.errors import ConnectionLostError, InputError, ModelError
from agentlab.messages.message import Message
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.trace.chunks import Chunk, ChunkKind, ToolCallDelta
from agentlab.trace.usage import Usage

_TOKEN = re.compile(r"\s*\S{1,8}|\s+$")
"""What counts as a token here: a word or a piece of one, with the blanks before it."""


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One tool call of a scripted reply."""

    name: str
    arguments: str
    """JSON text, or text that is none, to see what happens."""
    id: str | None = None
    """Drawn from the clock's ids when not given."""


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """One reply: reasoning, then text, then tool calls, in this order. Join two with `+`."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    ttft_s: float | None = None
    """Request to first token [s]; None: the model's own."""
    gap_s: float | None = None
    """From token to token [s]; None: the model's own."""
    usage: bool = True
    """False: the usage report does not come."""
    cut_after: int | None = None
    """The connection breaks after so many tokens."""
    error: ModelError | None = None
    """Raised instead of a reply."""

    def __add__(self, other: ScriptedReply) -> ScriptedReply:
        return replace(
            self,
            text=self.text + other.text,
            reasoning=self.reasoning + other.reasoning,
            calls=self.calls + other.calls,
            ttft_s=self.ttft_s if other.ttft_s is None else other.ttft_s,
            gap_s=self.gap_s if other.gap_s is None else other.gap_s,
            usage=self.usage and other.usage,
            cut_after=self.cut_after if other.cut_after is None else other.cut_after,
            error=other.error or self.error,
        )


Scripted: TypeAlias = str | ScriptedReply
Script: TypeAlias = Callable[[ModelRequest], Scripted]


def say(text: str, *, ttft_s: float | None = None, gap_s: float | None = None, usage: bool = True) -> ScriptedReply:
    """A reply of plain text."""
    return ScriptedReply(text=text, ttft_s=ttft_s, gap_s=gap_s, usage=usage)


def think(reasoning: str) -> ScriptedReply:
    """Native reasoning, before what is added to it: `think("…") + call("…")`."""
    return ScriptedReply(reasoning=reasoning)


def call(
    name: str,
    arguments: dict[str, Any] | str | None = None,
    /,
    *,
    heartbeat: bool | None = None,
    id: str | None = None,  # noqa: A002  # the word of the protocol
    **more: Any,
) -> ScriptedReply:
    """A tool call; add several with `+` for parallel calls.

    Args:
        name: The tool.
        arguments: A dictionary, or the raw text of the arguments, valid JSON or not.
        heartbeat: Sets `request_heartbeat` among the arguments.
        id: The call's id; drawn when not given.
        **more: Further arguments of the tool.
    """
    if isinstance(arguments, str):
        text = arguments
    else:
        values = {**(arguments or {}), **more}
        if heartbeat is not None:
            values["request_heartbeat"] = heartbeat
        text = orjson.dumps(values).decode()
    return ScriptedReply(calls=(ScriptedCall(name, text, id),))


def cut(reply: Scripted, *, after: int) -> ScriptedReply:
    """A reply whose connection breaks after so many tokens."""
    return replace(_as_reply(reply), cut_after=after)


def fail(error: ModelError) -> ScriptedReply:
    """No reply: the call fails with this error."""
    return ScriptedReply(error=error)


def _as_reply(item: Scripted) -> ScriptedReply:
    if isinstance(item, ScriptedReply):
        return item
    if isinstance(item, str):
        return ScriptedReply(text=item)
    raise InputError(f"a script holds texts and replies made by `say`, `call`, `think`; this is {item!r}")


class ScriptedModel:
    """Gives the first reply of its script to the first turn of a conversation, the second to the second, and so on.

    The place in the script is the request's `turn`, so one model may serve a thousand runs at once, and a fork
    goes on where it branched.

    Args:
        script: Replies in order, or a function from the request to a reply. A list in the place of a reply holds
            one for each attempt: `[fail(error), "at the second try"]`.
        ttft_s: Request to first token [s].
        gap_s: From token to token [s].
        name: The model's name in traces.
    """

    provider = "scripted"

    def __init__(
        self,
        script: Iterable[Scripted | Sequence[Scripted]] | Script,
        *,
        ttft_s: float = 0.0,
        gap_s: float = 0.0,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.ttft_s = ttft_s
        self.gap_s = gap_s
        self.requests: list[ModelRequest] = []
        """Every request that came, for tests to look at."""
        self._choose = script if callable(script) else _in_order([_as_attempts(item) for item in script])

    def __repr__(self) -> str:
        return f"ScriptedModel(name={self.name!r}, ttft_s={self.ttft_s}, gap_s={self.gap_s})"

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the next reply.

        Raises:
            ModelError: The script says so, or has come to its end.
        """
        self.requests.append(request)
        record.request_ns = clock.monotonic_ns()
        reply = _as_reply(self._choose(request))
        if reply.error is not None:
            raise reply.error
        record.headers_ns = record.request_ns
        yield Chunk(clock.monotonic_ns(), ChunkKind.ROLE)
        pieces = list(_pieces(reply))
        for n, piece in enumerate(pieces):
            if n == reply.cut_after:
                raise ConnectionLostError(f"the scripted connection was cut after {n} tokens", retryable=False)
            await _pause(_first_set(reply.gap_s, self.gap_s) if n else _first_set(reply.ttft_s, self.ttft_s))
            yield replace(piece, t_ns=clock.monotonic_ns())
        yield Chunk(clock.monotonic_ns(), ChunkKind.DONE, finish_reason="tool_calls" if reply.calls else "stop")
        if reply.usage:
            yield Chunk(clock.monotonic_ns(), ChunkKind.USAGE, usage=_count(request, reply, len(pieces)))
        record.close_ns = clock.monotonic_ns()


def _as_attempts(item: Scripted | Sequence[Scripted]) -> list[ScriptedReply]:
    return [_as_reply(part) for part in item] if isinstance(item, (list, tuple)) and item else [_as_reply(item)]  # type: ignore[arg-type]


def _in_order(replies: Sequence[Sequence[ScriptedReply]]) -> Script:
    def choose(request: ModelRequest) -> ScriptedReply:
        if request.turn >= len(replies):
            raise ModelError(
                f"the script of {len(replies)} replies has come to its end: turn {request.turn + 1} has no answer; "
                "add a reply, or stop the run earlier"
            )
        attempts = replies[request.turn]
        return attempts[min(request.attempt, len(attempts) - 1)]

    return choose


def _first_set(own: float | None, default: float) -> float:
    return default if own is None else own


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await clock.sleep(seconds)


def _pieces(reply: ScriptedReply) -> Iterator[Chunk]:
    for token in _tokens(reply.reasoning):
        yield Chunk(0, ChunkKind.REASONING, reasoning=token)
    for token in _tokens(reply.text):
        yield Chunk(0, ChunkKind.CONTENT, content=token)
    for index, item in enumerate(reply.calls):
        delta = ToolCallDelta(index, item.id or clock.new_call_id(), item.name)
        yield Chunk(0, ChunkKind.TOOL_NAME, tool_calls=(delta,))
        for token in _tokens(item.arguments):
            yield Chunk(0, ChunkKind.TOOL_ARGS, tool_calls=(ToolCallDelta(index, arguments=token),))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _count(request: ModelRequest, reply: ScriptedReply, output_tokens: int) -> Usage:
    texts = itertools.chain.from_iterable(_texts(m) for m in request.messages)
    input_tokens = sum(len(_tokens(text)) for text in texts)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=len(_tokens(reply.reasoning)),
        total_tokens=input_tokens + output_tokens,
        source="provider",
    )


def _texts(message: Message) -> Iterator[str]:
    yield message.text
    for item in message.tool_calls or ():
        yield item.function.arguments
