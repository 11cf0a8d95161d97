from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agentlab import Agent, ScriptedModel, call, tool
from agentlab.analysis.usage import ledger
from agentlab.lab.lab import Lab
from agentlab.trace.events import ContinuationDecided, ModelCalled, ModelReplied
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE, Usage
from tests.analysis.test_frames import rows
from tests.factories import Story, reply, tokens, trace_of


def problems(source: Any) -> list[tuple[Any, ...]]:
    return rows(ledger(source).problems, "run_id", "step", "call", "check", "found", "against")


def called(usage: Usage) -> Trace:
    """A run whose second step has this usage."""
    return Story().step(reply(usage=tokens(100, 10))).step(reply(usage=usage)).end()


@pytest.mark.parametrize(
    ("usage", "check", "found", "against"),
    [
        (tokens(100, 10, cached_tokens=101), "cached_tokens <= input_tokens", 101, 100),
        (tokens(100, 10, cache_write_tokens=102), "cache_write_tokens <= input_tokens", 102, 100),
        (
            tokens(100, 10, cached_tokens=60, cache_write_tokens=41),
            "cached_tokens + cache_write_tokens <= input_tokens",
            101,
            100,
        ),
        (tokens(100, 10, reasoning_tokens=11), "reasoning_tokens <= output_tokens", 11, 10),
        (tokens(100, None, cached_tokens=-1), "cached_tokens >= 0", -1, 0),
        (
            Usage(input_tokens=100, output_tokens=10, total_tokens=111, source="provider"),
            "total_tokens = input_tokens + output_tokens",
            111,
            110,
        ),
        (tokens(100, 10, source="missing"), "counts without a source = 0", 3, 0),
        (Usage(source="provider"), "counts with a source >= 1", 0, 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_hold_is_told_with_run_step_and_numbers(
    usage: Usage, check: str, found: int, against: int
) -> None:
    trace = called(usage)

    assert problems(trace) == [("run-1", 2, 1, check, found, against)]
    assert ledger(trace).by("call")["input_tokens"].astype(object).tolist()[1] in (usage.input_tokens, pd.NA)


@pytest.mark.parametrize(
    "usage",
    [
        NO_USAGE,
        tokens(100, 10, cached_tokens=100, reasoning_tokens=10),
        tokens(100, 10, cached_tokens=60, cache_write_tokens=40),
        tokens(0, 0),
        tokens(None, 10, reasoning_tokens=3),
        Usage(total_tokens=7, source="estimated"),
    ],
)
def test_what_is_at_its_limit_or_not_known_is_no_problem(usage: Usage) -> None:
    assert problems(called(usage)) == []


def test_a_response_that_is_booked_twice_is_told() -> None:
    trace = with_updates(called(tokens(100, 10)), ModelReplied, response_id="resp-1")

    assert problems(trace) == [("run-1", 2, 1, "bookings of a response = 1", 2, 1)]
    assert problems([called(tokens(1, 1)), renamed(trace)]) == [("run-2", 2, 1, "bookings of a response = 1", 2, 1)]


def test_calls_that_do_not_add_up_to_what_the_run_had_counted_are_told() -> None:
    story = (
        Story()
        .step(reply(usage=tokens(100, 10)))
        .step(reply(purpose="approval", usage=tokens(5, 1)), reply(usage=NO_USAGE))
    )
    story.step(reply(usage=tokens(200, 20)))
    counted = iter((110, 116, 300))
    story.events = [
        event.model_copy(update={"inputs": {"known_tokens": next(counted)}})
        if isinstance(event, ContinuationDecided)
        else event
        for event in story.events
    ]
    trace = story.end()

    assert problems(trace) == [("run-1", 3, None, "sum of calls = run", 336, 300)]
    assert problems([renamed(trace), trace])[0][0] == "run-2"
    shorter = Trace(trace.events[:-3])
    assert len(problems([renamed(trace), shorter, trace])) == 2, "of two copies of a run the longer one counts, once"


def test_a_prompt_of_other_messages_than_were_sent_is_told() -> None:
    trace = with_updates(called(tokens(1, 1)), ModelCalled, n_messages=3)

    assert problems(trace) == [("run-1", 1, 1, "messages of the prompt = messages sent", 2, 3)]


async def test_a_run_of_an_agent_has_no_problems_in_memory_nor_in_a_lab() -> None:
    @tool
    def look(q: str) -> str:
        """Look.

        Args:
            q: What for.
        """
        return q

    with Lab() as lab:
        script = ScriptedModel([call("look", q="cats") + call("look", q="dogs"), call("look", q="fish"), "Done."])
        run = await Agent(script, [look]).run("?", lab=lab)

        assert run.trace.steps[0].decision is not None
        assert run.trace.steps[0].decision.inputs["known_tokens"] > 0
        assert problems(run) == problems(lab) == []


def test_no_problems_of_nothing_and_the_same_columns() -> None:
    nothing, something = ledger(Lab()).problems, ledger(called(tokens(1, 1, cached_tokens=2))).problems

    assert len(nothing) == 0
    pd.testing.assert_series_equal(nothing.dtypes.astype(str), something.dtypes.astype(str))
    assert ledger(trace_of(20)).problems.empty


def test_the_ledger_says_that_something_does_not_hold() -> None:
    assert "Checks that do not hold: 1; `problems` lists them." in str(ledger(called(tokens(1, 1, cached_tokens=2))))


def with_updates(trace: Trace, kind: type, **update: Any) -> Trace:
    return Trace(event.model_copy(update=update) if isinstance(event, kind) else event for event in trace)


def renamed(trace: Trace) -> Trace:
    return with_updates(trace, object, run_id="run-2")
