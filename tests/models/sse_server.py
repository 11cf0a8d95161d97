"""A small HTTP/1.1 server on a real socket that plays scripted replies, cuts and silences included.

    async with SSEServer() as server:
        server.play(stream(delta(content="Hi"), finish("stop")))
        model = OpenAIModel("m", base_url=server.base_url, api_key="k")

It says what the client did: requests with their bodies, connections, hang-ups, and when each piece was written.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Wait:
    """Go on when the test says so."""

    gate: asyncio.Event


@dataclass(frozen=True)
class Pause:
    """Go on after a while [s]. For benchmarks; tests wait for gates."""

    seconds: float


@dataclass(frozen=True)
class HangUp:
    """Close the connection here; with `reset` rudely."""

    reset: bool = False


@dataclass(frozen=True)
class Silence:
    """Send nothing more until the client hangs up."""


@dataclass(frozen=True)
class Burst:
    """Pieces that leave all at once, each in a transfer chunk of its own."""

    pieces: tuple[bytes, ...]


Step: TypeAlias = bytes | Burst | Wait | Pause | HangUp | Silence


@dataclass(frozen=True)
class Reply:
    """One scripted reply."""

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    chunked: bool = True
    """False: the end of the connection is the end of the reply."""
    piece_bytes: int | None = None
    """Cut what is written into pieces of so many bytes."""
    early_headers: bool = True
    """False: the headers leave together with the first bytes."""


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer: TypeAlias = Callable[[Request], Reply]


class SSEServer:
    """Plays replies in order, or those that `answer` makes."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.asked = asyncio.Event()
        """A request has come."""
        self.hung_up = asyncio.Event()
        """A client has gone away in the middle of a reply."""
        self.written_ns: list[int] = []
        """`perf_counter_ns` just before each piece of a body was written."""
        self.answer = answer or self._next
        self._replies: deque[Reply] = deque()
        self._open: set[asyncio.Task[None]] = set()

    def play(self, *replies: Reply) -> None:
        """Add replies to the script."""
        self._replies.extend(replies)

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The server's own tasks, one for each client that is connected."""
        return frozenset(self._open)

    async def all_closed(self) -> None:
        """Return when no client is connected any more."""
        while self._open:
            await asyncio.wait(self._open)

    async def __aenter__(self) -> SSEServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.host, self.port = host, port
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await self.all_closed()
        await self._server.wait_closed()

    def _next(self, request: Request) -> Reply:
        if not self._replies:
            return error_reply(500, "the test's script has no more replies")
        return self._replies.popleft()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        number, self.connections = self.connections, self.connections + 1
        try:
            while (request := await _read_request(reader, number)) is not None:
                self.requests.append(request)
                self.asked.set()
                if not await self._send(self.answer(request), reader, writer):
                    break
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()
        finally:
            writer.close()
            self._open.discard(task)

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True when the connection may be used again."""
        held = _head(reply)
        if reply.early_headers:
            writer.write(held)
            held = b""
        for step in reply.steps:
            match step:
                case bytes():
                    await self._write(held, step, reply, writer)
                    held = b""
                case Burst(pieces):
                    self.written_ns.append(time.perf_counter_ns())
                    writer.write(held + b"".join(_framed(piece, reply) for piece in pieces))
                    held = b""
                case Wait(gate):
                    await gate.wait()
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Silence():
                    await self._until_gone(reader)
                    return False
                case HangUp(reset):
                    await writer.drain()
                    if reset:
                        _make_close_a_reset(writer)
                    return False
        if reply.chunked:
            writer.write(held + b"0\r\n\r\n")
        await writer.drain()
        return reply.chunked

    async def _write(self, head: bytes, data: bytes, reply: Reply, writer: asyncio.StreamWriter) -> None:
        size = reply.piece_bytes or max(1, len(data))
        for at in range(0, len(data), size):
            self.written_ns.append(time.perf_counter_ns())
            writer.write(head + _framed(data[at : at + size], reply))
            head = b""
            await writer.drain()

    async def _until_gone(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self.hung_up.set()


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body, connection)


def _head(reply: Reply) -> bytes:
    framing = {"Transfer-Encoding": "chunked"} if reply.chunked else {"Connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{k}: {v}" for k, v in {**reply.headers, **framing}.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _framed(piece: bytes, reply: Reply) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if reply.chunked else piece


def _make_close_a_reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def sse(data: object) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def completion(
    delta: Mapping[str, Any] | None = None, *, finish_reason: str | None = None, **more: Any
) -> dict[str, Any]:
    """One chunk of a chat completion."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": choices, **more}


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk whose delta has these fields."""
    return completion(fields, finish_reason=finish_reason)


def finish(reason: str = "stop", **more: Any) -> dict[str, Any]:
    """The chunk with the finish reason."""
    return completion({}, finish_reason=reason, **more)


def piece(index: int | None = 0, *, call_id: str | None = None, **function: object) -> dict[str, Any]:
    """A piece of a tool call, as an element of a delta's `tool_calls`; `function` are its name and arguments."""
    call: dict[str, Any] = {} if index is None else {"index": index}
    if call_id is not None:
        call |= {"id": call_id, "type": "function"}
    return {**call, "function": function}


def usage(prompt: int = 10, output: int = 3, **more: Any) -> dict[str, Any]:
    """The trailing chunk with the token counts."""
    counts = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output, **more}
    return completion(usage=counts)


def stream(*chunks: object, done: bool = True, **reply: Any) -> Reply:
    """A whole streamed reply; bytes and other steps go out as they are."""
    steps = tuple(c if isinstance(c, Step) else sse(c) for c in chunks)
    return Reply(steps=(*steps, DONE) if done else steps, **reply)


def say(text: str) -> Reply:
    """A reply of one word after another, with usage."""
    words = [w + " " for w in text.split(" ")]
    words[-1] = words[-1][:-1]
    pieces: Iterable[object] = (delta(content=w) for w in words)
    return stream(delta(role="assistant", content=None), *pieces, finish(), usage(output=len(words)))


def error_reply(status: int, message: str, **reply: Any) -> Reply:
    """A refusal, in the usual JSON; `code`, `type` and `headers` may be given."""
    error = {"message": message, "type": reply.pop("type", None), "param": None, "code": reply.pop("code", None)}
    headers = {"Content-Type": "application/json", **reply.pop("headers", {})}
    return Reply(steps=(json.dumps({"error": error}).encode(),), status=status, headers=headers, **reply)
