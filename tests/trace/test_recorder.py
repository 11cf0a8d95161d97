"""Readers of a run: who asks misses nothing from then on, and who goes leaves nothing behind."""

from __future__ import annotations

import gc

import pytest

from agentlab.trace.events import ModelDelta, RunPaused
from agentlab.trace.recorder import Recorder
from agentlab.trace.trace import Trace


@pytest.fixture
def recorder() -> Recorder:
    return Recorder("run-1", Trace(live=True))


async def test_a_reader_is_told_of_what_happens_between_asking_and_reading(recorder):
    recorder.emit(RunPaused, pending=("before",))
    reader = recorder.follow()
    recorder.announce(ModelDelta, kind=4, content="between")
    recorder.emit(RunPaused, pending=("after",))
    recorder.close()

    events = [event async for event in reader]

    assert [event.type for event in events] == ["run_paused", "model_delta", "run_paused"]
    assert [event async for event in reader] == []


async def test_a_reader_that_is_forgotten_is_written_to_no_more(recorder):
    reader = recorder.follow()
    assert recorder.has_readers

    del reader
    gc.collect()

    assert not recorder.has_readers


async def test_a_reader_that_closes_reads_no_more(recorder):
    recorder.emit(RunPaused, pending=())
    reader = recorder.follow()

    await reader.aclose()
    recorder.emit(RunPaused, pending=())

    assert [event async for event in reader] == []
