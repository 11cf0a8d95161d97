"""The server under load, killed in the middle, and as a command."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import openai

from agentlab import Agent, Lab, ScriptedModel, call
from agentlab.messages.envelopes import unpack_user_text
from tests.serve.serving import HEADERS, TOKEN, frames_in, look_up, serving, told_in, until

ROOT = Path(__file__).resolve().parents[2]
N_RUNS = 200


def echo() -> Agent:
    """Says what the user said, after a look-up, word by word."""

    def answer(request):
        said = unpack_user_text(next(m.text for m in reversed(request.messages) if m.role == "user"))
        return call("look_up", word=said) if request.turn == 0 else f"You said: {said} " + "and on and on " * 5

    return Agent(ScriptedModel(answer, gap_s=0.002), [look_up])


def slow_agent() -> Agent:
    """Takes steps without end, a few a second."""
    return Agent(ScriptedModel(lambda request: call("look_up", word="cat"), ttft_s=0.02), [look_up], max_steps=10_000)


async def test_two_hundred_streamed_runs_at_once_are_neither_lost_nor_mixed_up_nor_left_over(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with Lab(tmp_path / "lab.db") as lab:
        async with serving(echo(), lab=lab) as served:
            limits = httpx2.Limits(max_connections=None)
            async with httpx2.AsyncClient(base_url=served.url, headers=HEADERS, timeout=120, limits=limits) as client:

                async def one(n: int) -> str:
                    asked = {"stream": True, "messages": [{"role": "user", "content": f"number {n}."}]}
                    answer = await client.post("/v1/chat/completions", json=asked)
                    frames = frames_in(answer.text)
                    assert frames[-1][1] == "[DONE]"
                    assert frames[-2][1]["usage"]["total_tokens"] > 0
                    assert len({value["id"] for _, value in frames[:-1]}) == 1
                    assert told_in(answer.text) == f"You said: number {n}. " + "and on and on " * 5
                    return frames[0][1]["id"]

                ids = await asyncio.gather(*map(one, range(N_RUNS)))
            await until(lambda: not served.live.all())
            await until(lambda: not [task for task in asyncio.all_tasks() if (task.get_name()).startswith("run-")])
        infos = lab.runs()
    assert len(set(ids)) == len(infos) == N_RUNS
    assert {info.status for info in infos} == {"finished"}
    gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert TOKEN not in caplog.text


@asynccontextmanager
async def command(
    *more: str, agent: str = "slow_agent", **settings: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`agentlab serve` as a process of its own, and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from agentlab.cli import main; main()", "serve", "--port", "0"),
        *("--agent", f"tests.serve.test_app_sockets:{agent}", *more),
        cwd=ROOT,
        env={**os.environ, "AGENTLAB_TOKEN": TOKEN, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        first = (await process.stdout.readline()).decode()
        found = re.fullmatch(r"agent at (http://127\.0\.0\.1:\d+)/v1\n", first)
        assert found, first + (await process.stderr.read()).decode()
        yield process, found[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_reader_gets_every_event_once_though_the_server_is_killed_in_between(tmp_path):
    path = tmp_path / "lab.db"
    async with command("--lab", str(path)) as (process, url), httpx2.AsyncClient(headers=HEADERS) as client:
        run_id = (await client.post(f"{url}/v1/runs", json={"input": "go"})).json()["id"]
        before = []
        try:
            async with client.stream("GET", f"{url}/v1/runs/{run_id}/events") as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        before.append(int(line[4:]))
                    if len(before) == 30:
                        process.send_signal(signal.SIGKILL)
        except httpx2.HTTPError:
            pass
    with Lab(path) as lab:
        kept = lab.trace(run_id)
        assert kept.status == "interrupted"

    async with command("--lab", str(path)) as (_, url), httpx2.AsyncClient(headers=HEADERS) as client:
        events = f"{url}/v1/runs/{run_id}/events"
        rest = await client.get(events, headers={"Last-Event-ID": str(before[-2])})
        end = await client.get(events, headers={"Last-Event-ID": str(len(kept) - 1)})
        status = (await client.get(f"{url}/v1/runs/{run_id}")).json()["status"]

    after = [number for number, _ in frames_in(rest.text) if number is not None]
    assert before[:-1] + after == list(range(len(kept)))
    assert len(before) >= 30
    assert (status, end.status_code) == ("interrupted", 204)


async def test_the_command_prints_the_token_once_logs_no_request_and_ends_its_runs_when_interrupted(tmp_path):
    path = tmp_path / "lab.db"
    async with command("--lab", str(path)) as (process, url), httpx2.AsyncClient(headers=HEADERS) as client:
        run_id = (await client.post(f"{url}/v1/runs", json={"input": "go"})).json()["id"]
        async with client.stream("GET", f"{url}/v1/runs/{run_id}/events?token={TOKEN}") as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            process.send_signal(signal.SIGINT)
            rest = [line async for line in lines if line]
        out, err = await process.communicate()

    assert '"stop_reason":"cancelled"' in rest[-2]
    assert rest[-1] == "data: [DONE]"
    assert out.decode() == f"token: {TOKEN}\n"
    assert err.decode() == ""
    assert process.returncode == 0
    with Lab(path) as lab:
        assert lab.trace(run_id).stop_reason == "cancelled"


async def test_the_openai_client_talks_with_the_command():
    async with command(agent="echo") as (_, url), openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN) as client:
        stream = await client.chat.completions.create(
            model="agent", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        chunks = [chunk async for chunk in stream]

    assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("You said: hi")
    assert chunks[-1].usage.total_tokens > 0
