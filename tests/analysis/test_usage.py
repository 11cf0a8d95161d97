from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Judge, Price, ScriptedModel, call, cut, frozen, tool
from agentlab.analysis.ledger import Ledger
from agentlab.analysis.prompt_parts import Prompts
from agentlab.analysis.usage import ledger, usage_df
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.trace.chunks import Chunk, ChunkKind
from agentlab.trace.trace import Trace
from agentlab.trace.usage import COUNTS, NO_USAGE, Usage
from agentlab.trace.words import MISSING
from tests import factories
from tests.analysis.test_frames import only_row, rename, rows
from tests.factories import Story, reply, tokens, traces
from tests.lab.test_lab import keep

PRICES = {"tiny-1": Price(input_usd=1, output_usd=10)}
"""A dollar for a million tokens of input."""


@tool
def search(q: str) -> str:
    """Search the boxes.

    Args:
        q: What for.
    """
    return f"two {q}"


def told() -> Trace:
    """Two steps; the second has a call that judges, one that was cut, and one that was made again."""
    story = Story()
    first = tokens(100, 10, cached_tokens=40, reasoning_tokens=4)
    story.step(reply(calls=["search"], usage=first), factories.tool("search"))
    judged = reply(purpose="approval", usage=tokens(50, 1, cached_tokens=0))
    return story.step(judged, reply(complete=False), reply(usage=tokens(130, 20, cached_tokens=100))).end()


def test_each_call_has_its_counts_and_who_counted_them() -> None:
    names = ("step", "call", "purpose", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")

    assert rows(usage_df(told()), *names, "usage_source") == [
        (1, 1, "step", 100, 40, 10, 4, "provider"),
        (2, 1, "approval", 50, 0, 1, None, "provider"),
        (2, 2, "step", None, None, None, None, "missing"),
        (2, 3, "step", 130, 100, 20, None, "provider"),
    ]


def test_every_number_has_its_source() -> None:
    trace = Story().step(reply(usage=tokens(100, None, cached_tokens=40, source="tokenizer"))).end()

    assert rows(usage_df(trace, by="number"), "count", "tokens", "source") == [
        ("input_tokens", 100, "tokenizer"),
        ("cached_tokens", 40, "tokenizer"),
        ("cache_write_tokens", None, "missing"),
        ("output_tokens", None, "missing"),
        ("reasoning_tokens", None, "missing"),
        ("total_tokens", None, "missing"),
    ]


def test_a_sum_that_lacks_a_part_is_not_known_and_says_what_it_lacks() -> None:
    step = rows(usage_df(told(), by="step"), "step", "purpose", "n_calls", "n_missing", "input_tokens", "total_tokens")
    run = usage_df(told(), by="run")
    names = ("n_calls", "n_missing", "input_tokens", "known_input_tokens", "known_output_tokens", "usage_source")

    assert step == [
        (1, "step", 1, 0, 100, 110),
        (2, "step", 2, 1, None, None),
        (2, "approval", 1, 0, 50, 51),
    ]
    assert rows(run, "purpose", *names) == [
        ("step", 3, 1, None, 230, 30, "missing"),
        ("approval", 1, 0, 50, 50, 1, "provider"),
    ]


def test_a_part_that_one_call_did_not_report_is_unknown_of_the_sum_alone() -> None:
    story = Story().step(reply(usage=tokens(100, 10, cached_tokens=40))).step(reply(usage=tokens(50, 5)))

    row = only_row(usage_df(story.end(), by="run"))

    assert (row["input_tokens"], row["cached_tokens"], row["total_tokens"], row["n_missing"]) == (150, None, 165, 0)


def test_where_nothing_is_known_there_is_no_lower_bound_either() -> None:
    row = only_row(usage_df(Story().step(reply(usage=NO_USAGE)).end(), by="run", prices=PRICES))

    names = ("input_tokens", "known_input_tokens", "known_output_tokens", "cost_usd", "known_cost_usd")
    assert [row[name] for name in names] == [None] * 5
    assert (row["n_calls"], row["n_missing"], row["n_unpriced"]) == (1, 1, 1)


def test_a_run_and_a_step_without_a_call_have_a_row_without_numbers() -> None:
    trace = Story().step(error="ToolError").end("error")

    for by in ("run", "step"):
        row = only_row(usage_df(trace, by=by))
        assert (row["purpose"], row["n_calls"], row["n_missing"], row["usage_source"]) == ("step", 0, 0, "missing")
        assert (row["input_tokens"], row["known_input_tokens"], row["cost_usd"]) == (None, None, None)
    assert usage_df(trace, by="model").empty


def test_totals_by_model_go_over_all_runs_and_by_run_and_model_over_each() -> None:
    runs = [rename(told(), "run-a"), rename(told(), "run-b")]
    names = ("provider", "model", "purpose", "n_calls", "known_input_tokens")

    assert rows(usage_df(runs, by="model"), *names) == [
        ("scripted", "tiny-1", "step", 6, 460),
        ("scripted", "tiny-1", "approval", 2, 100),
    ]
    assert rows(usage_df(runs, by=("run", "model")), "run_id", *names) == [
        ("run-a", "scripted", "tiny-1", "step", 3, 230),
        ("run-a", "scripted", "tiny-1", "approval", 1, 50),
        ("run-b", "scripted", "tiny-1", "step", 3, 230),
        ("run-b", "scripted", "tiny-1", "approval", 1, 50),
    ]
    assert rows(usage_df(runs, by="purpose", runs=["run-b"]), "purpose", "n_calls") == [("step", 3), ("approval", 1)]


@settings(max_examples=40)
@given(st.lists(traces(), max_size=3))
def test_the_sums_of_the_calls_are_those_of_the_traces_and_of_the_other_frames(drawn: list[Trace]) -> None:
    drawn = [rename(trace, f"run-{n}") for n, trace in enumerate(drawn)]

    by_run = usage_df(drawn, by="run")

    for trace in drawn:
        for purpose, usage in (("step", trace.usage), ("approval", trace.side_usage)):
            found = by_run[(by_run["run_id"] == trace.run_id) & (by_run["purpose"] == purpose)]
            assert [_usage_of(row) for row in found.to_dict("records")] in ([usage], [])
            assert len(found) == (purpose == "step" or bool(trace.side_calls))
    steps = by_run[by_run["purpose"] == "step"].reset_index(drop=True)
    if drawn:
        frames = pd.concat([trace.runs_df() for trace in drawn], ignore_index=True)
        pd.testing.assert_frame_equal(steps[list(COUNTS)], frames[list(COUNTS)])


def _usage_of(row: dict[Any, Any]) -> Usage:
    known = {name: None if pd.isna(row[name]) else int(row[name]) for name in COUNTS}
    return Usage(**known, source=row["usage_source"])


@settings(max_examples=12)
@given(st.lists(traces(), max_size=2))
@pytest.mark.parametrize("by", ["call", "number", "step", "run", "model", "tool", "role", ("run", "tool")])
def test_a_lab_has_the_ledger_of_its_traces(by: Any, drawn: list[Trace]) -> None:
    drawn = [rename(trace, f"run-{n}") for n, trace in enumerate(drawn)]
    with Lab() as lab:
        for trace in drawn:
            keep(lab, trace)

        pd.testing.assert_frame_equal(usage_df(lab, by=by), usage_df(drawn, by=by))


@pytest.mark.parametrize("by", ["role", ("run", "role")])
def test_the_roles_of_a_large_lab_are_summed_some_runs_at_a_time(by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [rename(told(), f"run-{n}") for n in range(3)]
    with Lab() as lab:
        for trace in drawn:
            keep(lab, trace)
        monkeypatch.setattr("agentlab.lab.reader._GROUP_BYTES", 1)
        made = Prompts.__init__
        n_runs: list[int] = []

        def counted(prompts: Prompts, *arguments: Any) -> None:
            made(prompts, *arguments)
            n_runs.append(len(prompts.runs))

        monkeypatch.setattr(Prompts, "__init__", counted)
        pd.testing.assert_frame_equal(usage_df(lab, by=by), usage_df(drawn, by=by))

    assert n_runs == [1, 1, 1, 3]


@pytest.mark.parametrize("by", ["call", "number", "step", "run", "model", "purpose", "tool", "role", ("run", "role")])
def test_an_empty_lab_has_an_empty_ledger_of_the_same_columns(by: Any) -> None:
    nothing, something = usage_df(Lab(), by=by), usage_df(told(), by=by)

    assert len(nothing) == 0
    assert len(something) > 0
    pd.testing.assert_series_equal(nothing.dtypes.astype(str), something.dtypes.astype(str))


@pytest.mark.parametrize("by", ["cat", ("run", "step"), ("run", "run"), (), None, ("run", "model", "tool"), 3])
def test_totals_that_do_not_exist_are_told(by: Any) -> None:
    with pytest.raises(InputError, match=r"`by` is .*; it takes 'call', 'number', 'step', 'run'"):
        usage_df(told(), by=by)


async def test_a_cut_stream_is_missing_and_never_zero() -> None:
    with frozen(seed=1):
        run = await Agent(ScriptedModel([call("search", q="cats"), cut("Two cats are there.", after=2)]), [search]).run(
            "?"
        )

    assert run.stop_reason == "llm_api_error"
    first, last = usage_df(run).to_dict("records")
    assert first["input_tokens"] > 0
    assert pd.isna(last["input_tokens"])
    assert pd.isna(last["output_tokens"])
    assert last["usage_source"] == "missing"
    row = run.usage_df(by="run").iloc[0]
    assert (row["n_calls"], row["n_missing"]) == (2, 1)
    assert pd.isna(row["input_tokens"])
    assert row["known_input_tokens"] == first["input_tokens"]


class Counting:
    """A model whose server counts up with every chunk, as some do."""

    name, provider = "counting", "test"

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        for n, text in enumerate(("Two ", "cats ", "are there."), start=1):
            usage = Usage(input_tokens=30, output_tokens=n, total_tokens=30 + n, source="provider")
            yield Chunk(n, ChunkKind.CONTENT | ChunkKind.USAGE, content=text, usage=usage)
        yield Chunk(9, ChunkKind.DONE, finish_reason="stop")


async def test_of_usage_that_counts_up_with_every_chunk_the_last_is_taken_and_nothing_is_added() -> None:
    run = await Agent(Counting()).run("How many?")

    row = only_row(run.usage_df())
    assert (row["input_tokens"], row["output_tokens"], row["total_tokens"]) == (30, 3, 33)
    assert run.ledger().problems.empty


async def test_what_a_judge_used_stands_apart_from_the_steps() -> None:
    judge = Judge(ScriptedModel(["APPROVE"], name="judge"))
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(judge,))
    script = ScriptedModel([call("search", q="cats"), "Two cats."], name="worker")
    prices = {"worker": Price(input_usd=1, output_usd=1), "judge": Price(input_usd=1000, output_usd=1000)}

    run = await Agent(script, [search], approval=policy).run("How many?")
    books = run.ledger(prices=prices)

    by_model = books.by("model").set_index("model")
    assert by_model["purpose"].to_dict() == {"worker": "step", "judge": "approval"}
    steps, side = run.usage, run.trace.side_usage
    assert side.total_tokens
    assert by_model["total_tokens"].to_dict() == {"worker": steps.total_tokens, "judge": side.total_tokens}
    assert by_model["cost_usd"]["judge"] == pytest.approx(side.total_tokens * 1e-3)
    by_run = books.by("run").set_index("purpose")
    assert by_run["cost_usd"]["step"] == pytest.approx((steps.total_tokens or 0) * 1e-6)
    assert books.problems.empty


async def test_a_run_that_goes_on_from_another_books_its_own_calls_only() -> None:
    first = await Agent(ScriptedModel(["One."])).run("First?")
    second = await Agent(ScriptedModel(["", "Two."])).run("Second?", history=first)

    assert second.runs_df()["parent_run_id"].tolist() == [first.id]
    assert usage_df([first, second], by="run")["n_calls"].tolist() == [1, 1]
    assert usage_df([first, second, first], by="run")["n_calls"].tolist() == [1, 1]


def test_a_ledger_shows_itself() -> None:
    books = ledger(told(), prices=PRICES)

    assert repr(books) == "<Ledger of 1 run, 4 model calls>"
    lines = [line.replace(MISSING, "?").split() for line in str(books).splitlines()]
    assert " ".join(lines[1]) == "model for calls input of it cached output of it reasoning cost [USD] source"
    assert " ".join(lines[2]) == "scripted/tiny-1 step 3 at least 230 ? at least 30 ? at least 0.000530 missing"
    assert " ".join(lines[3]) == "scripted/tiny-1 approval 1 50 0 1 ? 0.000060 provider"
    assert "Calls without known input or output: 1." in str(books)
    assert "<td" in books._repr_html_()
    assert "at least 230" in books._repr_html_()


def test_an_empty_ledger_shows_itself() -> None:
    assert repr(ledger([])) == "<Ledger of 0 runs, 0 model calls>"
    assert "Ledger of 0 runs" in ledger([])._repr_html_()
    assert len(str(ledger(Lab())).splitlines()) == 2


def test_hostile_names_of_models_are_no_html() -> None:
    story = Story().step(reply())
    story.events = [
        event.model_copy(update={"model": "<script>alert(1)</script>\u202e"}) if hasattr(event, "model") else event
        for event in story.events
    ]

    books = ledger(story.end())

    assert "<script" not in books._repr_html_()
    assert "&lt;script&gt;" in books._repr_html_()
    assert "\u202e" not in str(books)
    assert isinstance(books, Ledger)
