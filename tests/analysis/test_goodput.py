from __future__ import annotations

from typing import Any

import pytest

from agentlab.analysis.goodput import Goodput, goodput
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests.analysis.definition_cases import CASES, Case, trace_of_case
from tests.factories import Story, reply, tokens, tool, trace_of
from tests.lab.test_lab import keep


def verdict(case: Case | str, **settings: Any) -> tuple[int, int, int]:
    """Good, failed and unknown calls of a run of one call."""
    found = goodput(trace_of_case(CASES[case] if isinstance(case, str) else case), **settings)
    return found.n_good, found.n_failed, found.n_unknown


GOOD, LATE, FAILED, UNKNOWN = (1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1)

# ours: ttft 30 ms, itl 15 ms, e2e 90 ms; vLLM: 10, tpot 20.5, 92; aiperf as ours
JUDGED = {
    "at its limit": ({"ttft_s": 0.030}, GOOD),
    "a nanosecond over": ({"ttft_s": 0.029999999}, LATE),
    "all at their limits": ({"ttft_s": 0.030, "itl_mean_s": 0.015, "e2e_s": 0.090}, GOOD),
    "one of three over": ({"ttft_s": 0.030, "itl_mean_s": 0.015, "e2e_s": 0.0899}, LATE),
    "vLLM stops its clock with the role": ({"ttft_s": 0.010, "definition": "vllm"}, GOOD),
    "vLLM at all limits": ({"ttft_s": 0.010, "tpot_s": 0.0205, "e2e_s": 0.092, "definition": "vllm"}, GOOD),
    "vLLM over its tpot": ({"ttft_s": 0.010, "tpot_s": 0.0204, "e2e_s": 0.092, "definition": "vllm"}, LATE),
    "aiperf at all limits": ({"ttft_s": 0.030, "itl_mean_s": 0.015, "e2e_s": 0.09, "definition": "aiperf"}, GOOD),
    "aiperf over": ({"ttft_s": 0.010, "definition": "aiperf"}, LATE),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_call_is_good_when_it_keeps_every_limit(name: str) -> None:
    settings, expected = JUDGED[name]

    assert verdict("a role-only first chunk", **settings) == expected


def test_a_call_that_was_cut_is_not_good_however_fast_it_was() -> None:
    assert verdict("a stream that was cut, without usage", ttft_s=9.0) == FAILED


def test_a_call_that_was_never_answered_is_not_good() -> None:
    trace = Story().step(reply(comes=False), finished=False).trace()

    assert (goodput(trace, ttft_s=9.0).n_failed, goodput(trace, ttft_s=9.0).n_good) == (1, 0)


ONE_TOKEN = {"agentlab": GOOD, "vllm": GOOD, "aiperf": UNKNOWN}


@pytest.mark.parametrize("definition", ONE_TOKEN)
def test_one_token_keeps_a_limit_of_the_time_between_tokens_but_not_for_aiperf(definition: Any) -> None:
    name = "tpot_s" if definition == "vllm" else "itl_mean_s"

    assert verdict("one token", definition=definition, **{name: 0.001}) == ONE_TOKEN[definition]


def test_an_unknown_number_of_tokens_is_not_one_token() -> None:
    unknown = goodput(Story().step(reply(usage=NO_USAGE)).end(), itl_mean_s=9.0)
    none_came = goodput(trace_of_case(CASES["a role and an end"]), itl_mean_s=9.0)

    assert (unknown.n_good, unknown.n_unknown) == (0, 1)
    assert (none_came.n_good, none_came.n_unknown) == (0, 1)


def test_a_call_that_is_too_late_in_one_respect_is_late_whatever_else_is_unknown() -> None:
    found = goodput(Story().step(reply(ttft_s=0.5, usage=NO_USAGE)).end(), ttft_s=0.1, itl_mean_s=9.0)

    assert (found.n_good, found.n_unknown, found.n_failed) == (0, 0, 0)


def test_the_rate_is_over_the_time_from_the_first_request_to_the_last_end() -> None:
    story = Story().wait(5.0)
    story.step(reply(ttft_s=0.5, gap_s=0.0, calls=["a"]), tool("a", 1.0)).step(reply(ttft_s=2.0, gap_s=0.0))
    trace = story.wait(7.0).end()

    found = goodput(trace, ttft_s=1.0)

    assert found.duration_s == 0.501 + 1.0 + 2.001
    assert found.goodput_per_s == 1 / found.duration_s
    assert (found.calls_per_s, found.fraction_good) == (2 / found.duration_s, 0.5)
    assert goodput(trace, ttft_s=1.0, duration_s=10).goodput_per_s == 0.1


def runs_a_minute_apart() -> list[Trace]:
    return [Story(f"run-{n}", minutes=n).step(reply(ttft_s=0.5, gap_s=0.0)).end() for n in (1, 0, 2)]


def test_several_runs_lie_on_the_wall_clock_as_they_started() -> None:
    found = goodput(runs_a_minute_apart(), e2e_s=1.0)

    assert found.duration_s == 120 + 0.501
    assert (found.n_good, found.n_calls) == (3, 3)


def test_a_lab_gives_the_same() -> None:
    with Lab() as lab:
        for trace in runs_a_minute_apart():
            keep(lab, trace)

        assert goodput(lab, e2e_s=1.0) == goodput(runs_a_minute_apart(), e2e_s=1.0)
        assert goodput(lab, e2e_s=1.0, runs=["run-2"]).duration_s == 0.501


def test_side_calls_are_no_requests_and_tries_in_vain_are() -> None:
    story = Story().step(reply(purpose="approval"), reply(n_chunks=0, complete=False), reply(usage=tokens(9, 4)))

    found = goodput(story.end(), ttft_s=1.0)

    assert (found.n_calls, found.n_good, found.n_failed) == (2, 1, 1)


def test_nothing_measured_has_no_rate_and_is_not_zero() -> None:
    found = goodput(Lab(), ttft_s=1.0)

    assert (found.n_calls, found.duration_s, found.goodput_per_s, found.fraction_good) == (0, None, None, None)
    assert "no rate" in repr(found)


def test_calls_that_took_no_time_have_no_rate() -> None:
    found = goodput(trace_of_case(CASES["a call that never connected"]), ttft_s=1.0)

    assert (found.duration_s, found.goodput_per_s, found.fraction_good) == (0.0, None, 0.0)


def test_it_says_what_it_found() -> None:
    found = goodput(trace_of(3), ttft_s=0.35, e2e_s=2, duration_s=4)

    told = "1 of 3 calls good (0.25 a second; 0 failed, 0 unknown) under ttft_s ≤ 0.35, e2e_s ≤ 2, as agentlab measures"
    assert repr(found) == told
    assert isinstance(found, Goodput)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "goodput needs a limit; `agentlab` takes ttft_s, itl_mean_s, e2e_s"),
        ({"tpot_s": 1.0}, "`agentlab` has no limit of tpot_s; it takes ttft_s, itl_mean_s, e2e_s"),
        ({"itl_mean_s": 1.0, "definition": "vllm"}, "`vllm` has no limit of itl_mean_s; it takes ttft_s, tpot_s"),
        ({"ttft_s": 1.0, "definition": "guidellm"}, "`guidellm` defines no goodput; these do: agentlab, vllm, aiperf"),
        ({"ttft_s": 0}, "`ttft_s` takes a number of seconds above 0, not 0"),
        ({"ttft_s": "1"}, "`ttft_s` takes a number of seconds above 0, not '1'"),
        ({"ttft_s": float("nan")}, "`ttft_s` takes a number of seconds above 0, not nan"),
        ({"ttft_s": 1.0, "duration_s": -1}, "`duration_s` takes a number of seconds above 0"),
    ],
)
def test_wrong_input_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        goodput(trace_of(1), **wrong)
