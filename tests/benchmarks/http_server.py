"""The server that the HTTP benchmarks call, in a process of its own: `python -m tests.benchmarks.http_server`.

What it plays is told by the model's name in the request; `GET /v1/stats` says how many connections there were and when
the last reply's pieces were written. It prints its address and ends when its input closes.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys

from tests.models.sse_server import (
    DONE,
    Burst,
    Pause,
    Reply,
    Request,
    SSEServer,
    Step,
    delta,
    finish,
    piece,
    sse,
    usage,
)

BURST_TOKENS = 2000
PAUSE_S = 0.005
TOOL_STEPS = {"talk-20": 19, "talk-80": 79}
"""How many steps with a tool call a conversation has before the answer, by model name."""


def main() -> None:
    asyncio.run(_serve())


async def _serve() -> None:
    async with SSEServer() as server:
        server.answer = functools.partial(_answer, server)
        print(server.base_url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _answer(server: SSEServer, request: Request) -> Reply:
    if request.path.endswith("/stats"):
        stats = {"connections": server.connections, "written_ns": server.written_ns}
        return Reply(steps=(json.dumps(stats).encode(),), headers={"Content-Type": "application/json"})
    server.written_ns = []
    name = request.json["model"]
    if name == "burst":
        return _burst()
    if name.startswith("paced"):
        return _paced(early_headers=name == "paced")
    n_done = request.body.count(b'"tool_call_id"')
    return _tool_call(n_done) if n_done < TOOL_STEPS[name] else _said()


@functools.cache
def _burst() -> Reply:
    tokens = [delta(content=f" token{n}") for n in range(BURST_TOKENS)]
    return _at_once(delta(role="assistant", content=None), *tokens, finish(), usage(output=BURST_TOKENS))


@functools.cache
def _paced(*, early_headers: bool) -> Reply:
    steps: tuple[Step, ...] = (Pause(PAUSE_S), sse(delta(content="first")), Pause(PAUSE_S), sse(finish()), DONE)
    return Reply(steps=steps, early_headers=early_headers)


@functools.cache
def _tool_call(n: int) -> Reply:
    arguments = ['{"query":', ' "cats', " and", f' dogs {n}"', "}"]
    return _at_once(
        delta(role="assistant", content=None),
        delta(tool_calls=[piece(0, call_id=f"call_{n:024x}", name="search", arguments="")]),
        *(delta(tool_calls=[piece(0, arguments=a)]) for a in arguments),
        finish("tool_calls"),
        usage(500 + 60 * n, 20),
    )


@functools.cache
def _said() -> Reply:
    return _at_once(delta(role="assistant", content=None), delta(content="Two cats."), finish(), usage())


def _at_once(*chunks: object) -> Reply:
    return Reply(steps=(Burst((*map(sse, chunks), DONE)),), early_headers=False)


if __name__ == "__main__":
    main()
