"""Two runs aligned: the common beginning, then step beside step, and what is no difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.trace import Trace
from agentlab.widgets.alignment import Row, align, first_difference
from agentlab.widgets.lines_compared import Line, lines_of
from tests.factories import Story, reply, tool, trace_of, traces


def in_short(rows: list[Row]) -> list[str]:
    return [f"{row.mark}{row.line.kind}" for row in rows]


def told(run_id: str, *answers: str, question: str = "How many cats?", **step: object) -> Trace:
    story = Story(run_id, question=question)
    for answer in answers:
        story.step(reply(calls=["search"]), tool("search", text=answer, **step))  # type: ignore[arg-type]
    return story.step(reply("Done.")).end()


def test_the_same_run_twice_has_no_difference_though_ids_and_times_differ() -> None:
    rows = align(trace_of(8, "run-aaaa1111"), trace_of(8, "run-bbbb2222", minutes=90))

    assert first_difference(rows) is None
    assert len(rows) == len(lines_of(trace_of(8)))


def test_the_first_row_that_differs_is_found_and_what_follows_stands_beside_its_step() -> None:
    rows = align(told("run-1", "two", "three", "four"), told("run-2", "two", "zero", "four"))

    first = first_difference(rows)
    assert first is not None
    assert rows[first].line.step == 2
    assert rows[first].line.title == "search"
    assert [row.line.step for row in rows if row.mark != "="] == [2]


def test_a_step_that_one_run_has_more_stands_alone() -> None:
    rows = align(told("run-1", "two"), told("run-2", "two", "three"))

    assert in_short(rows)[-7:] == ["=S", "~a", "<d", ">c", ">d", ">S", ">a", ">d"][-7:] or rows[-1].mark == ">"
    assert {row.line.step for row in rows if row.mark == ">" and row.line.kind == "S"} == {3}


def test_a_call_that_one_side_lacks_leaves_a_hole_beside_it() -> None:
    one = Story("run-1").step(reply(calls=["search", "add"]), tool("search"), tool("add")).end()
    other = Story("run-2").step(reply(calls=["add"]), tool("add")).end()

    holes = [row for row in align(one, other) if row.right is None]

    assert [row.line.title for row in holes] == ["search"]


def test_a_run_that_went_on_from_the_middle_of_another_is_laid_beside_its_rest() -> None:
    parent = told("run-1", "two", "three")
    inherited = [entry.message for entry in parent.entries if entry.step <= 1]
    story = Story("run-2")
    story.events[1:] = []
    for message in inherited:
        story.say(message.role, source="history", **_fields_of(message))
    child = story.step(reply(calls=["search"]), tool("search", text="nine")).step(reply("Done.")).end()

    rows = align(parent, child)
    first = first_difference(rows)

    assert first is not None
    row = rows[first]
    assert row.left is not None
    assert row.right is not None
    assert (row.left.step, row.right.step, row.line.title) == (2, 1, "search")
    assert in_short(rows[first + 1 :]) == ["=d", "=S", "=a", "=d"]


def _fields_of(message: object) -> dict[str, object]:
    names = ("content", "tool_calls", "tool_call_id", "name", "tool_returns")
    return {name: getattr(message, name) for name in names}


def test_how_arguments_are_ordered_and_how_long_a_tool_took_is_no_difference() -> None:
    assert Line("c", 1, "tool call", "a", (("arguments", "x"),), facts=("1 s",)).key == (
        Line("c", 1, "tool call", "a", (("arguments", "x"),), facts=("2 s",)).key
    )
    one, other = told("run-1", "two", duration_s=0.1), told("run-2", "two", duration_s=9.0)
    assert first_difference(align(one, other)) is None


def test_how_long_a_person_thought_is_no_difference_but_who_decided_what_is() -> None:
    quick, slow = told("run-1", "two", asked_s=0.5), told("run-2", "two", asked_s=70.0)
    nobody = told("run-3", "two")

    assert first_difference(align(quick, slow)) is None
    assert first_difference(align(quick, nobody)) is not None


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("It is 2026-01-02 03:04:05 PM UTC+0000.", "It is 2027-05-06 07:08 AM CET+0100.", True),
        ("made by run-1234567", "made by run-7654321", True),
        ("made by run-1234567", "made by run-9999999", False),
        ("two", "three", False),
    ],
)
def test_times_and_own_ids_in_what_agentlab_wrote_are_no_differences(left: str, right: str, same: bool) -> None:
    one = Line("t", 0, "system alert", "", (("", left),), ids=frozenset({"run-1234567"}))
    other = Line("t", 0, "system alert", "", (("", right),), ids=frozenset({"run-7654321"}))

    assert (one.key == other.key) is same


def test_a_time_in_what_a_tool_returned_is_a_difference() -> None:
    assert first_difference(align(told("run-1", "2026-01-02 03:04"), told("run-2", "2026-01-02 03:05"))) is not None


def test_a_system_message_is_the_first_difference_only_when_nothing_else_differs() -> None:
    one, other = told("run-1", "two"), told("run-2", "two")
    other = Trace([e.model_copy(update={"message": _again(e.message)}) if _is_system(e) else e for e in other.events])
    third = told("run-3", "six")

    only_it = align(one, other)
    also = align(other, third)

    assert first_difference(only_it) == 0
    first = first_difference(also)
    assert first is not None
    assert also[first].line.kind == "c"


def _is_system(event: object) -> bool:
    return getattr(getattr(event, "message", None), "role", None) == "system"


def _again(message: object) -> object:
    part = message.content[0]  # type: ignore[attr-defined]
    return message.model_copy(update={"content": (part.model_copy(update={"text": "You count dogs."}),)})  # type: ignore[attr-defined]


@given(traces("run-1"), traces("run-2"))
def test_any_two_runs_keep_all_their_lines_in_order(one: Trace, other: Trace) -> None:
    rows = align(one, other)

    for side, trace in (("left", one), ("right", other)):
        mine = [line for row in rows if (line := getattr(row, side)) is not None]
        assert [(line.step, line.kind, line.fields) for line in mine] == (
            [(line.step, line.kind, line.fields) for line in lines_of(trace)]
        )
    both = [row for row in rows if row.left is not None and row.right is not None]
    assert all((row.mark == "=") == (row.left.key == row.right.key) for row in both)  # type: ignore[union-attr]
    assert all(row.mark != "~" for row in rows if row not in both)


@given(st.data())
def test_any_run_is_the_same_as_itself(data: st.DataObject) -> None:
    trace = data.draw(traces("run-1"))

    assert first_difference(align(trace, Trace(trace.events))) is None


def test_five_thousand_rows_a_side_are_aligned() -> None:
    one = told("run-1", *(f"result {n}" for n in range(1_700)))
    other = told("run-2", *(f"result {n if n < 800 else -n}" for n in range(1_700)))

    rows = align(one, other)

    assert len(rows) > 5_000
    assert sum(row.mark != "=" for row in rows) == 900
