from __future__ import annotations

import orjson
import pytest
from hypothesis import given

from agentlab.errors import NewerSchemaError, StoreError
from agentlab.lab.encode import decode, encode, pack_log, split_log, unpack_log
from agentlab.trace.chunks import ChunkLog
from agentlab.trace.events import ContinuationDecided, ModelReplied, RunStarted
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, trace_of, traces


def logs_of(trace: Trace) -> dict[int, bytes]:
    return {event.seq: pack_log(event.chunks) for event in trace if isinstance(event, ModelReplied)}


@given(traces())
def test_events_survive_the_way_to_the_file_and_back(trace: Trace) -> None:
    kept, text = encode(trace.events, Redactor())

    assert kept == trace.events
    assert list(decode(text, logs_of(trace), where="here")) == trace.events


def test_chunk_logs_are_kept_apart_from_the_text() -> None:
    trace = Story().step(reply(n_chunks=50)).end()

    _, text = encode(trace.events, Redactor())

    (replied,) = (raw for raw in orjson.loads(text) if raw["type"] == "model_replied")
    assert replied["chunks"].keys() == {"request_ns", "headers_ns", "close_ns"}


def test_a_log_is_split_where_it_was_joined() -> None:
    log = trace_of(1).model_calls[0].replied.chunks  # type: ignore[union-attr]
    bare = ChunkLog(request_ns=log.request_ns, headers_ns=log.headers_ns, close_ns=log.close_ns)

    assert split_log(pack_log(log)) == (log.offsets, log.kinds, log.sizes)
    assert unpack_log(bare, pack_log(log)) == log
    assert split_log(b"") == (b"", b"", b"")


def test_events_that_need_no_change_are_not_copied() -> None:
    events = trace_of(3).events

    kept, _ = encode(events, Redactor())

    assert all(one is other for one, other in zip(kept, events, strict=True))


def test_only_events_with_a_secret_are_rewritten() -> None:
    trace = Story(question="My key is sk-proj-a1B2c3D4e5F6g7H8.").step(reply()).end()

    kept, text = encode(trace.events, Redactor())

    changed = [one.type for one, other in zip(kept, trace.events, strict=True) if one != other]
    assert changed == ["message_added"]
    assert list(decode(text, logs_of(trace), where="here")) == kept


def test_what_json_cannot_say_is_written_as_it_looks() -> None:
    story = Story()
    story.emit(ContinuationDecided, go_on=False, policy="mine", inputs={"looked_at": {1}})

    _, text = encode(story.events, Redactor())

    (*_, decided) = decode(text, {}, where="here")
    assert isinstance(decided, ContinuationDecided)
    assert decided.inputs["looked_at"] in ([1], "{1}")


def test_events_of_unknown_types_are_left_out() -> None:
    _, text = encode(trace_of(1).events, Redactor())
    raw = orjson.loads(text)
    later = orjson.dumps([raw[0], {**raw[1], "type": "cat_seen", "cat": "Tom"}]).decode()

    assert [event.type for event in decode(later, {}, where="here")] == ["run_started"]


def test_events_of_a_later_schema_are_refused() -> None:
    event = trace_of(1).events[0]
    assert isinstance(event, RunStarted)
    _, text = encode([event.model_copy(update={"schema_version": 99})], Redactor())

    with pytest.raises(NewerSchemaError, match=r"the lab lab\.db, event 0 has schema version 99"):
        list(decode(text, {}, where="the lab lab.db"))


def test_a_broken_event_is_named() -> None:
    with pytest.raises(StoreError, match="here, event 7 is a broken `step_started` event"):
        list(decode('[{"type":"step_started","seq":7}]', {}, where="here"))
