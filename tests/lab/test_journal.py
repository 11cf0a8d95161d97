from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from agentlab.errors import StoreError
from agentlab.lab.journal import GROUP_LIMIT
from agentlab.lab.lab import Lab
from agentlab.messages.message import FunctionCall, ToolCall, ToolReturn
from agentlab.trace.events import ErrorRaised, ToolReturned, ToolStarted
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, trace_of

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2"


def write(lab: Lab, trace: Trace, *, flush_every: int = 3) -> None:
    journal = lab.journal(trace.run_id)
    for n, event in enumerate(trace, start=1):
        journal.append(event)
        if n % flush_every == 0:
            journal.flush()
    journal.close()


@pytest.mark.parametrize("flush_every", [1, 3, 1000])
def test_what_was_written_is_read_back(flush_every: int, tmp_path: Path) -> None:
    trace = trace_of(8)

    with Lab(tmp_path / "lab.db") as lab:
        write(lab, trace, flush_every=flush_every)

    assert Lab(tmp_path / "lab.db").trace("run-1").events == trace.events


def test_events_are_in_the_buffer_until_they_are_flushed(tmp_path: Path) -> None:
    events = trace_of(2).events
    here, there = Lab(tmp_path / "lab.db"), Lab(tmp_path / "lab.db")
    journal = here.journal("run-1")

    journal.append(events[0])
    assert len(there) == 0

    journal.flush()
    assert there.trace("run-1").events == events[:1]


def test_a_full_buffer_flushes_itself(tmp_path: Path) -> None:
    events = trace_of(40).events
    assert len(events) > GROUP_LIMIT
    lab = Lab(tmp_path / "lab.db")
    journal = lab.journal("run-1")

    for event in events[: GROUP_LIMIT + 5]:
        journal.append(event)

    assert len(Lab(tmp_path / "lab.db").trace("run-1")) == GROUP_LIMIT


def test_a_journal_without_events_makes_no_run() -> None:
    lab = Lab()

    lab.journal("run-1").close()

    assert len(lab) == 0


def test_events_out_of_order_are_refused() -> None:
    events = trace_of(2).events
    journal = Lab().journal("run-1")
    journal.append(events[0])

    with pytest.raises(StoreError, match="event 2 of run-1 is out of order: event 1 of run-1 is next"):
        journal.append(events[2])
    with pytest.raises(StoreError, match="event 1 of run-2 is out of order"):
        journal.append(trace_of(2, "run-2").events[1])


def test_a_closed_journal_takes_nothing_more() -> None:
    journal = Lab().journal("run-1")
    journal.close()
    journal.close()

    with pytest.raises(StoreError, match="the journal of run-1 is closed"):
        journal.append(trace_of(1).events[0])


def test_a_run_has_one_writer(tmp_path: Path) -> None:
    lab, events = Lab(tmp_path / "lab.db"), trace_of(2).events
    journal = lab.journal("run-1")
    journal.append(events[0])
    journal.flush()

    with pytest.raises(StoreError, match=f"run-1 is being written by process {os.getpid()}"):
        Lab(tmp_path / "lab.db").journal("run-1")


def test_a_run_that_was_given_up_can_go_on() -> None:
    lab, events = Lab(), trace_of(3).events
    first = lab.journal("run-1")
    for event in events[:10]:
        first.append(event)
    first.close()
    assert lab.runs()[0].status == "interrupted"

    second = lab.journal("run-1")
    for event in events[10:]:
        second.append(event)
    second.close()

    assert lab.trace("run-1").events == events
    assert lab.runs()[0].status == "finished"
    assert len(lab.messages_df()) == len(Trace(events).entries)


def test_a_flush_that_fails_keeps_its_events(tmp_path: Path) -> None:
    lab, events = Lab(tmp_path / "lab.db"), trace_of(2).events
    journal = lab.journal("run-1")
    journal.append(events[0])
    with lab._store.writing() as db:
        db.execute("ALTER TABLE journal RENAME TO elsewhere")

    with pytest.raises(StoreError, match="no such table: journal"):
        journal.flush()

    with lab._store.writing() as db:
        db.execute("ALTER TABLE elsewhere RENAME TO journal")
    for event in events[1:]:
        journal.append(event)
    journal.close()
    assert lab.trace("run-1").events == events


CRASH = """
import os, signal, sys
from agentlab import Lab
from tests.factories import trace_of
events = trace_of(5).events
journal = Lab(sys.argv[1]).journal("run-1")
for event in events[:20]:
    journal.append(event)
journal.flush()
for event in events[20:30]:
    journal.append(event)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no process can be killed so here")
def test_a_killed_process_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path / "lab.db")], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL

    lab = Lab(tmp_path / "lab.db")

    (run,) = lab.runs()
    assert (run.status, run.stop_reason, run.n_events) == ("interrupted", None, 20)
    trace = lab.trace("run-1")
    assert trace.events == trace_of(5).events[:20]
    assert trace.status == "interrupted"
    assert lab.runs_df()["status"].tolist() == ["interrupted"]
    assert len(lab.messages_df()) == len(trace.entries)


WAIT = """
import sys
from agentlab import Lab
from tests.factories import trace_of
journal = Lab(sys.argv[1]).journal("run-1")
for event in trace_of(5).events[:20]:
    journal.append(event)
journal.flush()
print("written", flush=True)
input()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the kernel lists no processes here")
def test_a_run_is_running_while_its_process_lives(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(tmp_path / "lab.db")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    lab = Lab(tmp_path / "lab.db")

    assert lab.runs()[0].status == lab.trace("run-1").status == "running"
    assert lab.steps_df()["run_id"].tolist() == ["run-1"] * 2
    with pytest.raises(StoreError, match=f"being written by process {writer.pid}"):
        lab.journal("run-1")
    with pytest.raises(StoreError, match="run-1 is still being written"):
        lab.delete("run-1")

    writer.kill()
    writer.communicate()
    assert lab.runs()[0].status == lab.trace("run-1").status == "interrupted"
    lab.delete("run-1")
    assert len(lab) == 0


def _write_many(path: Path, name: str, start: Any) -> None:
    start.wait()
    with Lab(path) as lab:
        for n in range(10):
            write(lab, trace_of(4, f"run-{name}-{n}"), flush_every=1)


def test_processes_that_make_and_write_a_lab_at_once_lose_nothing(tmp_path: Path) -> None:
    path, context = tmp_path / "lab.db", multiprocessing.get_context("spawn")
    start = context.Event()
    children = [context.Process(target=_write_many, args=(path, name, start)) for name in "ab"]
    for child in children:
        child.start()

    start.set()
    for child in children:
        child.join()

    assert [child.exitcode for child in children] == [0, 0]
    lab = Lab(path)
    assert len(lab) == 20
    for run in lab:
        assert lab.trace(run).events == trace_of(4, run.run_id).events
    assert len(lab.messages_df()) == 20 * len(trace_of(4).entries)


def bytes_on_disk(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(path.name + "*")))


def leaky_story(key: str) -> Trace:
    """A key in every place into which a key can get."""
    story = Story(question=f"My key is {key}.", tags={"note": key})
    story.step(reply(calls=["fetch"]))
    arguments = f'{{"url":"https://example.org","headers":{{"Authorization":"Bearer {key}"}}}}'
    call = ToolCall(id="call-1", function=FunctionCall(name="fetch", arguments=arguments))
    story.say("assistant", "I use " + key, source="model", tool_calls=(call,))
    story.emit(ToolStarted, call_id="call-1", tool="fetch", arguments=arguments)
    story.emit(ToolReturned, call_id="call-1", tool="fetch", status="success", text=f"export OPENAI_API_KEY={key}")
    answer = ToolReturn(tool_call_id="call-1", status="success", func_response=f"line\n{key}")
    story.say("tool", f"line\n{key}", source="tool", tool_call_id="call-1", tool_returns=(answer,))
    story.emit(ErrorRaised, error_type="AuthenticationError", code="UNAUTHENTICATED", message=f"bad key: {key}")
    return story.end("llm_api_error")


def test_a_key_never_reaches_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    lab = Lab(path)
    trace = leaky_story(KEY)
    assert str(trace.events).count(KEY) >= 9

    write(lab, trace)

    assert KEY.encode() not in bytes_on_disk(path)
    stored = lab.trace("run-1")
    assert [event.type for event in stored] == [event.type for event in trace]
    assert stored.events[2].message.text == "My key is [redacted]."  # type: ignore[union-attr]
    assert "[redacted]" in lab.runs()[0].title  # type: ignore[operator]
    assert lab.chunks_df().equals(trace_frames(trace))
    lab.rebuild()
    lab.close()
    assert KEY.encode() not in bytes_on_disk(path)


def trace_frames(trace: Trace) -> Any:
    from agentlab.analysis.frames import chunks_df

    return chunks_df(trace)


def test_a_key_of_ones_own_shape_never_reaches_the_file_either(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"

    with Lab(path, redactor=Redactor(extra=[r"ACME/\d+"])) as lab:
        write(lab, leaky_story("ACME/123456"))

    assert b"ACME/123456" not in bytes_on_disk(path)


def test_half_of_a_surrogate_pair_does_not_stop_a_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab.db")
    trace = Story(question="What is caf\udce9.txt?").step(reply("It is \ud83d.", ttft_s=0.1)).end()

    write(lab, trace)

    assert lab.trace("run-1").entries[1].message.text == r"What is caf\udce9.txt?"
    assert lab.messages_df()["text"].tolist() == ["You count cats.", r"What is caf\udce9.txt?", r"It is \ud83d."]
    assert trace_frames(trace).equals(lab.chunks_df())


def test_runs_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab.db")
    traces = [trace_of(6, f"run-{n}") for n in range(4)]
    threads = [threading.Thread(target=write, args=(lab, trace), kwargs={"flush_every": 1}) for trace in traces]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [lab.trace(trace.run_id).events for trace in traces] == [trace.events for trace in traces]


def test_closing_a_lab_writes_what_its_journals_hold(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab.db")
    journal = lab.journal("run-1")
    journal.append(trace_of(1).events[0])

    lab.close()

    assert len(Lab(tmp_path / "lab.db").trace("run-1")) == 1
