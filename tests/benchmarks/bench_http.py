"""What a model call costs over HTTP, beside the bare `openai` client on the same server, and how true its times are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import openai

from agentlab.agent.agent import Agent
from agentlab.agent.tools import tool
from agentlab.lab.lab import Lab
from agentlab.messages.message import Message
from agentlab.messages.parts import TextPart
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.openai import OpenAIModel
from agentlab.trace.chunks import PAYLOAD
from tests.benchmarks.figures import Figure
from tests.benchmarks.http_server import BURST_TOKENS

ROUNDS = 5
BATCHES, CALLS = 12, 20
FOUND = "Found two cats. " * 10
PROMPT = "Look for cats, then say what you found."

Work = Callable[[], Awaitable[None]]
BareWork = Callable[[openai.AsyncOpenAI], Awaitable[None]]


def run() -> Iterator[Figure]:
    """CPU per token and per step as ratios to the bare client, connections, and lateness of the first token."""
    with _server() as url:
        yield asyncio.run(_per_token(url))
        yield from asyncio.run(_first_token(url))
        for n_steps, target in ((20, 0.6), (80, 0.25)):
            yield asyncio.run(_per_step(url, n_steps, target))
        yield asyncio.run(_connections(url))


async def _per_token(url: str) -> Figure:
    model = OpenAIModel("burst", base_url=url)

    async def ours() -> None:
        async with aclosing(model.stream(_request(), CallRecord())) as chunks:
            text = "".join([chunk.content async for chunk in chunks])
        assert text.endswith(f" token{BURST_TOKENS - 1}")

    async def theirs(bare: openai.AsyncOpenAI) -> None:
        stream = await bare.chat.completions.create(
            model="burst", messages=[{"role": "user", "content": PROMPT}], stream=True
        )
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
        assert text.endswith(f" token{BURST_TOKENS - 1}")

    ours_s, theirs_s = await _cpu_of_both(ours, theirs, url)
    detail = f"{ours_s / BURST_TOKENS * 1e6:.1f} µs against {theirs_s / BURST_TOKENS * 1e6:.1f} µs"
    return Figure("CPU per streamed token, against the bare client", ours_s / theirs_s, "x", 0.5, False, detail)


async def _first_token(url: str) -> list[Figure]:
    figures = []
    for name, said in (("paced", "after the headers"), ("paced-late", "together with the headers")):
        model = OpenAIModel(name, base_url=url)
        medians = [statistics.median([await _lateness_ms(model, url) for _ in range(CALLS)]) for _ in range(BATCHES)]
        detail = f"least median of {BATCHES} times {CALLS} calls, the largest {max(medians):.2f} ms"
        figures.append(Figure(f"first token {said}, recorded late by", min(medians), "ms", 0.3, False, detail))
    return figures


async def _lateness_ms(model: OpenAIModel, url: str) -> float:
    """From just before the server wrote the first token to its time in the chunk log [ms]."""
    async with aclosing(model.stream(_request(), CallRecord())) as chunks:
        arrived_ns = [chunk.t_ns async for chunk in chunks if chunk.kind & PAYLOAD]
    # The clock is that of the machine: the server's stamps and ours compare.
    return float(arrived_ns[0] - _stats(url)["written_ns"][0]) / 1e6


async def _per_step(url: str, n_steps: int, target: float) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder) / "bench.db")
        agent = _agent(url, n_steps)

        async def ours() -> None:
            finished = await agent.run(PROMPT, lab=lab)
            assert (finished.stop_reason, len(finished.steps)) == ("end_turn", n_steps)

        async def theirs(bare: openai.AsyncOpenAI) -> None:
            assert await _bare_loop(bare, f"talk-{n_steps}") == n_steps

        ours_s, theirs_s = await _cpu_of_both(ours, theirs, url)
        lab.close()
    detail = f"{ours_s / n_steps * 1e3:.2f} ms against {theirs_s / n_steps * 1e3:.2f} ms, journal on"
    return Figure(f"CPU per step, {n_steps} steps, against a bare loop", ours_s / theirs_s, "x", target, False, detail)


async def _connections(url: str) -> Figure:
    before = _stats(url)["connections"]
    await _agent(url, 20).run(PROMPT)
    opened = _stats(url)["connections"] - before - 1  # one is this question's
    return Figure("connections per conversation", opened, "", 1, False, "20 steps")


@tool
def search(query: str) -> str:
    """Find pages.

    Args:
        query: What to look for.
    """
    return FOUND


def _agent(url: str, n_steps: int) -> Agent:
    return Agent(OpenAIModel(f"talk-{n_steps}", base_url=url), tools=[search], max_steps=n_steps, system="You search.")


async def _bare_loop(client: openai.AsyncOpenAI, model: str) -> int:
    """The step loop as one writes it by hand; how many steps it took."""
    messages: list[Any] = [{"role": "system", "content": "You search."}, {"role": "user", "content": PROMPT}]
    tools: list[Any] = [{"type": "function", "function": search.spec.model_dump()}]
    n_steps = 0
    while True:
        n_steps += 1
        text, calls = "", {}
        stream = await client.chat.completions.create(
            model=model, messages=messages, tools=tools, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            if not chunk.choices:
                continue
            delta = chunk.choices[0].delta
            text += delta.content or ""
            for piece in delta.tool_calls or ():
                call = calls.setdefault(piece.index, {"id": piece.id, "name": "", "arguments": ""})
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
        if not calls:
            return n_steps
        functions = [(c["id"], {"name": c["name"], "arguments": c["arguments"]}) for c in calls.values()]
        asked = [{"id": id_, "type": "function", "function": function} for id_, function in functions]
        messages.append({"role": "assistant", "content": text or None, "tool_calls": asked})
        for id_, function in functions:
            json.loads(function["arguments"])
            messages.append({"role": "tool", "tool_call_id": id_, "content": FOUND})


async def _cpu_of_both(ours: Work, theirs: BareWork, url: str) -> tuple[float, float]:
    """Processor time of each [s]: the least of several rounds in turn, after one to warm up."""
    ours_s, theirs_s = [], []
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as bare:
        for _ in range(ROUNDS + 1):
            started = time.process_time()
            await ours()
            between = time.process_time()
            await theirs(bare)
            ours_s.append(between - started)
            theirs_s.append(time.process_time() - between)
    return min(ours_s[1:]), min(theirs_s[1:])


def _request() -> ModelRequest:
    return ModelRequest(messages=[Message(role="user", content=(TextPart(text=PROMPT),))])


def _stats(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/stats") as response:  # noqa: S310  # our own server
        return json.loads(response.read())


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """The server's address, while the block runs."""
    command = [sys.executable, "-m", "tests.benchmarks.http_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()  # the server ends
