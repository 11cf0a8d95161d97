from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from agentlab.analysis.definitions import DEFINITIONS, formulas
from agentlab.analysis.gaps import gaps_df
from agentlab.analysis.latency_columns import DEFINITION_NAMES, LATENCY, TRANSPORT
from agentlab.analysis.latency_frames import definitions_df, latency_df
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.models.reply import ReplyBuilder
from agentlab.trace.chunks import Chunk
from agentlab.trace.usage import Usage
from tests.analysis.definition_cases import CASES, trace_of_case
from tests.factories import Story, reply, tool, trace_of
from tests.lab.test_lab import keep

SPANS = {
    **{name: f"{name}_s" for name in ("ttfb", "ttft", "ttfot", "ttfa", "tpot", "e2e")},
    "itl": "itl_mean_s",
    "close": "close_overhead_s",
}
"""Columns by their short names in the tables."""
TAKING_GAPS = ("agentlab", "vllm", "aiperf", "otel")


def known(value: Any) -> Any:
    return None if pd.isna(value) else value


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    """All cases at once, under all definitions, so that a neighbour's events would show."""
    traces = [trace_of_case(case, run_id=name) for name, case in CASES.items()]
    return latency_df(traces, definition=DEFINITION_NAMES).set_index(["run_id", "definition"])


@pytest.mark.parametrize("definition", DEFINITION_NAMES)
@pytest.mark.parametrize("name", CASES)
def test_a_log_has_the_known_answer(name: str, definition: str, measured: pd.DataFrame) -> None:
    answer, row = CASES[name].answer(definition), measured.loc[(name, definition)]

    expected = {column: None if answer[head] is None else answer[head] / 1e9 for head, column in SPANS.items()}
    assert {column: known(row[column]) for column in SPANS.values()} == expected
    assert known(row["timed_tokens"]) == answer["tokens"]
    assert row["complete"] == CASES[name].complete


@pytest.mark.parametrize("definition", TAKING_GAPS)
@pytest.mark.parametrize("name", CASES)
def test_a_log_has_the_known_gaps(name: str, definition: Any, measured: pd.DataFrame) -> None:
    gaps_ns = CASES[name].gaps_ns(definition)
    assert gaps_ns is not None

    frame = gaps_df(trace_of_case(CASES[name]), definition=definition)

    assert frame["icl_s"].tolist() == [gap_ns / 1e9 for gap_ns in gaps_ns]
    row = measured.loc[(name, definition)]
    assert row["n_gaps"] == len(gaps_ns)
    assert known(row["icl_max_s"]) == (max(gaps_ns) / 1e9 if gaps_ns else None)


@pytest.mark.parametrize("name", CASES)
def test_who_takes_no_gaps_has_none(name: str, measured: pd.DataFrame) -> None:
    for definition in set(DEFINITION_NAMES) - set(TAKING_GAPS):
        assert CASES[name].gaps_ns(definition) is None
        gaps = measured.loc[(name, definition), ["n_gaps", "icl_p50_s", "icl_p99_s", "icl_max_s"]]
        assert gaps.isna().all()


def test_every_definition_has_a_case_in_which_it_differs_from_ours(measured: pd.DataFrame) -> None:
    times = measured[["ttft_s", "itl_mean_s", "tpot_s", "e2e_s"]].astype("float64")

    for definition in set(DEFINITION_NAMES) - {"agentlab"}:
        ours, theirs = times.xs("agentlab", level=1), times.xs(definition, level=1)
        assert not ours.equals(theirs), definition


def test_percentiles_of_the_gaps_of_a_call_lie_on_the_line_between_two(measured: pd.DataFrame) -> None:
    row = measured.loc[("reasoning first", "vllm")]  # gaps 0, 12, 20, 20, 20

    assert row["icl_p50_s"] == 0.020
    assert row["icl_p99_s"] == 0.020
    row = measured.loc[("a role-only first chunk", "agentlab")]  # gaps 20, 40
    assert (row["icl_p50_s"], row["icl_p99_s"]) == (0.030, 0.0398)
    row = measured.loc[("several events in one read", "agentlab")]  # gaps 0, 0, 30
    assert (row["icl_p50_s"], row["icl_max_s"]) == (0.0, 0.030)


def test_cumulative_usage_counts_once() -> None:
    builder = ReplyBuilder()
    for n in range(1, 6):
        builder.add(Chunk(n, 36, content="x", usage=Usage(input_tokens=7, output_tokens=n, source="provider")))

    assert builder.build().usage.output_tokens == 5 == CASES["usage so far with every chunk"].output_tokens


def test_letta_times_a_run_from_the_users_message_whatever_was_tried_in_vain() -> None:
    story = Story().wait(0.5)
    story.step(reply(n_chunks=0, ttft_s=0.2, complete=False), reply(calls=["a"], ttft_s=0.3), tool("a", 1.0))
    story.step(reply("Two.", ttft_s=0.4))

    frame = latency_df(story.end(), definition="letta")

    # 0.5 s idle, 0.201 s of a call that failed before a token, 0.3 s to the first token of the next.
    assert [known(value) for value in frame["ttft_s"]] == [1.001, None, None]
    run_s = 0.5 + 0.201 + (0.3 + 0.03 + 0.001) + 1.0 + (0.4 + 0.03 + 0.001)
    assert [known(value) for value in frame["e2e_s"]] == [pytest.approx(run_s), None, None]


def test_letta_knows_no_end_of_a_run_that_has_not_ended() -> None:
    frame = latency_df(Story().step(reply()).trace(), definition="letta")

    assert frame["ttft_s"].tolist() == [0.5]
    assert frame["e2e_s"].isna().all()


def test_side_calls_are_rows_and_the_runs_first_token_is_not_theirs() -> None:
    story = Story().step(reply(purpose="approval", ttft_s=0.1), reply(ttft_s=0.2))

    frame = latency_df(story.end(), definition=["agentlab", "letta"])

    assert frame["purpose"].tolist() == ["approval", "approval", "step", "step"]
    assert frame["definition"].tolist() == ["agentlab", "letta"] * 2
    assert [known(value) for value in frame["ttft_s"]] == [0.1, None, 0.2, pytest.approx(0.1 + 0.031 + 0.2)]


def test_a_call_without_an_answer_has_a_row_of_unknowns() -> None:
    frame = latency_df(Story().step(reply(comes=False), finished=False).trace(), definition=DEFINITION_NAMES)

    numbers = [c.name for c in LATENCY if c.unit in ("s", "tokens", "tokens/s")] + ["n_gaps", "complete"]
    assert len(frame) == len(DEFINITION_NAMES)
    assert frame[numbers].isna().all(axis=None)


def test_rates_are_ours_alone_and_the_inverse_of_the_mean(measured: pd.DataFrame) -> None:
    row = measured.loc[("a role-only first chunk", "agentlab")]

    assert row["tokens_per_s_decode"] == 1 / 0.015
    assert row["tokens_per_s_e2e"] == 5 / 0.09
    others = measured.drop("agentlab", level=1)
    assert others[["tokens_per_s_decode", "tokens_per_s_e2e", *(c.name for c in TRANSPORT)]].isna().all(axis=None)


def test_ttft_by_definition_side_by_side() -> None:
    frame = definitions_df(trace_of_case(CASES["a role-only first chunk"]))

    assert list(frame.columns) == ["run_id", "step", "call", "purpose", *(f"{d}_ttft_s" for d in DEFINITION_NAMES)]
    assert frame.iloc[0, 4:].tolist() == [0.030, 0.010, 0.030, 0.030, 0.010, 0.030]


def test_only_those_who_have_a_measure_stand_side_by_side() -> None:
    frame = definitions_df(trace_of_case(CASES["one token"]), measure="tpot_s")

    assert list(frame.columns[4:]) == ["vllm_tpot_s", "guidellm_tpot_s"]
    assert [known(value) for value in frame.iloc[0, 4:]] == [None, 0.025]
    assert definitions_df([], measure="tpot_s").dtypes.equals(frame.dtypes)


def test_a_lab_gives_the_same_as_the_traces() -> None:
    traces = [trace_of(5, "run-a"), trace_of(3, "run-b", minutes=1)]
    with Lab() as lab:
        for trace in traces:
            keep(lab, trace)

        for definition in DEFINITION_NAMES:
            pd.testing.assert_frame_equal(
                latency_df(lab, definition=definition), latency_df(traces, definition=definition)
            )
        pd.testing.assert_frame_equal(gaps_df(lab), gaps_df(traces))


def test_frames_are_read_by_columns_rows_and_pages_like_all_others() -> None:
    trace, four = trace_of(5), ("vllm", "agentlab", "letta", "otel")
    whole = latency_df(trace, definition=four)

    some = latency_df(
        trace,
        definition=four,
        columns=["definition", "ttft_s"],
        where={"definition": ["otel", "vllm"]},
        offset=1,
        limit=3,
    )
    expected = whole.loc[whole["definition"].isin(["otel", "vllm"]), ["definition", "ttft_s"]].iloc[1:4]
    pd.testing.assert_frame_equal(some, expected.reset_index(drop=True))
    assert gaps_df(trace, where={"step": 2, "icl_s": (">", 0)}, engine="pyarrow").num_rows == 3


def test_only_what_is_asked_for_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("agentlab.analysis.latency_frames.Gaps.of", never)

    assert latency_df(trace_of(2), columns=["ttft_s"])["ttft_s"].tolist() == [0.3, 0.4]
    with pytest.raises(AssertionError):
        latency_df(trace_of(2), columns=["icl_max_s"])


def test_formulas_name_what_a_definition_measures_and_nothing_else(measured: pd.DataFrame) -> None:
    told = formulas()

    assert list(told.columns) == list(DEFINITION_NAMES) == list(DEFINITIONS)
    columns = {c.name for c in LATENCY} - {c.name for c in TRANSPORT}
    for name in DEFINITION_NAMES:
        given = measured.xs(name, level=1)
        filled = {column for column in columns & set(given.columns) if given[column].notna().any()}
        gaps = {"icl_s"} if filled & {"n_gaps"} else set()
        filled -= {"step", "call", "purpose", "model", "complete", "usage_source"}
        filled -= {"n_gaps", "icl_p50_s", "icl_p99_s", "icl_max_s"}
        assert filled | gaps == set(told.index[told[name].notna()]), name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("vLLM", "there is no definition 'vLLM'; there are agentlab, vllm, guidellm"),
        (None, "there is no definition None"),
        ({"vllm"}, "there is no definition {'vllm'}"),
        ([], "`definition` takes one or several"),
        (["vllm", "vllm"], "`definition` takes one or several"),
        (["agentlab", 3], "there is no definition 3"),
    ],
)
def test_an_unknown_definition_is_told(wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        latency_df(trace_of(1), definition=wrong)


def test_an_unknown_measure_is_told() -> None:
    for wrong in ("ttft", "icl_s", "timed_tokens", "connect_s"):
        with pytest.raises(InputError, match=f"no definition has the measure '{wrong}'; there are ttfb_s, ttft_s"):
            definitions_df(trace_of(1), measure=wrong)


def test_gaps_of_who_takes_none_are_told() -> None:
    with pytest.raises(
        InputError, match="`guidellm` takes no gaps between chunks; these do: agentlab, vllm, aiperf, otel"
    ):
        gaps_df(trace_of(1), definition="guidellm")


def test_gaps_tell_where_they_are() -> None:
    frame = gaps_df(trace_of_case(CASES["empty deltas"]))

    assert frame[["step", "call", "event", "offset_s", "icl_s"]].to_numpy().tolist() == [[1, 1, 4, 0.030, 0.010]]
