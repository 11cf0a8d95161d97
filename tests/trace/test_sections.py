"""The sections of a trace: every message and step is in one of them, whichever way they are asked for."""

from __future__ import annotations

import pytest

from agentlab.trace._sections import Section, Sections
from agentlab.trace.events import ErrorRaised, EventBase, MessageAdded, StepStarted
from agentlab.trace.trace import Trace
from tests.trace.test_items import traces_of_an_agent


async def traces() -> list[Trace]:
    return [Trace(), *await traces_of_an_agent("memgpt"), *await traces_of_an_agent("native")]


async def test_a_section_is_the_same_by_its_number_as_in_its_turn() -> None:
    for trace in await traces():
        sections = Sections(trace)
        turn = list(sections)
        assert [sections[n] for n in range(len(sections))] == turn
        assert [entry for section in turn for entry in section.entries] == trace.entries
        assert [section.step for section in turn if section.step] == trace.steps
        with pytest.raises(IndexError):
            sections[len(turn)]


async def test_a_part_holds_and_counts_what_a_list_would() -> None:
    for trace in await traces():
        whole = Sections(trace)
        turn = list(whole)
        for first in range(-1, len(turn) + 1):
            for end in (None, -1, len(turn) // 2, len(turn)):
                part, wanted = whole.part(first, end), turn[first:end]
                assert (len(part), list(part)) == (len(wanted), wanted)
                assert part.n_messages == sum(len(section.entries) for section in wanted)
                assert part.n_steps == sum(section.step is not None for section in wanted)


async def test_steps_that_have_begun_since_are_taken_in() -> None:
    for trace in (await traces())[1:]:
        n_events = next(n for n, event in enumerate(trace.events) if event.type == "step_finished")
        grows = Trace(trace.events[:n_events])
        before = Sections(grows)
        n_before = len(before)
        for event in trace.events[n_events:]:
            grows.append(event)
        assert len(before) == n_before
        assert list(before.up_to_now()) == list(Sections(grows))


async def test_the_inherited_history_stands_apart_from_the_input() -> None:
    _, second = await traces_of_an_agent("native")
    early = [section.kind for section in Sections(second) if section.step is None]
    assert sorted(set(early)) == ["history", "input"]
    assert all(section.kind != "step" for section in Sections(second).part(0, len(early)))


async def test_an_error_before_the_first_step_has_a_section_of_its_own() -> None:
    first, _ = await traces_of_an_agent("native")
    error = ErrorRaised(run_id="r", step=0, seq=1, t_ns=1, error_type="E", code="c", message="m")
    assert list(Sections(Trace([first.events[0], error]))) == [Section("input", [], [error])]


async def test_a_message_between_two_steps_goes_with_the_later_one() -> None:
    first, _ = await traces_of_an_agent("native")
    said = next(event for event in first.events if isinstance(event, MessageAdded))

    def at(event: EventBase, step: int, seq: int) -> EventBase:
        return event.model_copy(update={"step": step, "seq": seq})

    starts = [StepStarted(run_id="r", step=n, seq=n, t_ns=n, step_id=f"s{n}") for n in (1, 4)]
    trace = Trace([first.events[0], starts[0], at(said, 1, 2), at(said, 3, 3), starts[1], at(said, 4, 5)])
    sections = Sections(trace)
    assert [[entry.step for entry in section.entries] for section in sections] == [[1], [3, 4]]
    assert [[entry.step for entry in sections[n].entries] for n in (0, 1)] == [[1], [3, 4]]
