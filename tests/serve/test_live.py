"""A reader is told of an event when the journal has it, and not before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentlab import Agent, Lab, ScriptedModel
from agentlab.serve.limits import ServeLimits
from agentlab.serve.live import KeptJournal, LiveRuns
from agentlab.serve.problems import Problem
from agentlab.trace.events import RunPaused
from agentlab.trace.trace import Trace


def event(number: int) -> RunPaused:
    return RunPaused(run_id="run-1", step=0, seq=number, t_ns=0, pending=())


async def test_what_is_not_flushed_is_not_told():
    journal = KeptJournal(Trace(), lambda: None)
    waiting = asyncio.ensure_future(journal.beyond(1))
    journal.append(event(0))
    journal.flush()
    journal.append(event(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (journal.n_kept, waiting.done()) == (1, False)

    journal.flush()

    assert await waiting is True


async def test_the_end_of_a_journal_wakes_those_who_wait_and_lets_go_of_the_run_though_it_cannot_be_written():
    class Full(Trace):
        def close(self) -> None:
            raise OSError("no space left")

    let_go = []
    journal = KeptJournal(Full(), lambda: let_go.append(True))
    waiting = asyncio.ensure_future(journal.beyond(0))
    journal.append(event(0))

    with pytest.raises(OSError, match="no space"):
        journal.close()

    assert await waiting is False
    assert let_go == [True]


async def test_a_server_that_is_closing_ends_its_runs_and_starts_no_more(tmp_path: Path):
    with Lab(tmp_path / "lab.db") as lab:
        agent = Agent(ScriptedModel(["hi"], ttft_s=60))
        live = LiveRuns(agent, lab, limit=ServeLimits().runs)
        run = live.start("hi").run

        await live.close()

        assert run.stop_reason == "cancelled"
        assert len(live) == 0
        with pytest.raises(Problem, match="closing"):
            live.start("hi")
