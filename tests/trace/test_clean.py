from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from agentlab.errors import StoreError
from agentlab.trace import trace as trace_module
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool, trace_of, traces

KEY = "sk-proj-abcdefghijklmnop1234567890"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traces())
def test_a_file_reads_back_as_the_trace(tmp_path: Path, trace: Trace) -> None:
    assert Trace.from_jsonl(trace.to_jsonl(tmp_path / "run.jsonl")).events == trace.events


def test_a_file_holds_no_keys_and_keeps_its_chunk_logs(tmp_path: Path) -> None:
    trace = Story(question=f"My key is {KEY}.").step(reply("Two.", n_chunks=3)).end()

    path = trace.to_jsonl(tmp_path / "run.jsonl")

    assert KEY not in path.read_text()
    back = Trace.from_jsonl(path)
    assert back.messages[1].text == "My key is [redacted]."
    assert back.steps[0].ttft_s == trace.steps[0].ttft_s
    assert KEY in str(trace.messages[1].text)


def test_secrets_of_ones_own_are_taken_out(tmp_path: Path) -> None:
    trace = Story(question="The box is behind the green door.").end()

    path = trace.to_jsonl(tmp_path / "run.jsonl", redactor=Redactor(extra=["green door"]))

    assert "green door" not in path.read_text()


def test_half_of_a_surrogate_pair_is_spelt_out(tmp_path: Path) -> None:
    trace = Story(question="What is caf\udce9.txt?").step(reply(calls=["read"]), tool("read", text="\ud800")).end()

    back = Trace.from_jsonl(trace.to_jsonl(tmp_path / "run.jsonl"))

    assert back.messages[1].text == r"What is caf\udce9.txt?"
    assert len(back) == len(trace)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trace_of(2).to_jsonl(tmp_path / "run.jsonl")
    before = path.read_bytes()

    def fail(*_: object) -> Iterator[bytes]:
        yield b"the first line"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trace_module, "as_lines", fail)
    with pytest.raises(StoreError, match=r"run\.jsonl cannot be written: .*No space left"):
        trace_of(3).to_jsonl(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        trace_of(1).to_jsonl(tmp_path / "no" / "run.jsonl")
