from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from agentlab import Agent, DropOldest, ScriptedModel, Summarize, call, fail, frozen, tool
from agentlab.analysis.context import context_df
from agentlab.analysis.usage import ledger, usage_df
from agentlab.errors import ContextWindowError
from agentlab.lab.lab import Lab
from agentlab.messages.message import Message
from agentlab.messages.parts import ImagePart, TextPart, UrlImage
from agentlab.trace.events import ContextCompacted, ModelCalled, RunStarted, ToolSpec
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests import factories
from tests.analysis.test_frames import rows
from tests.factories import Story, reply, tokens, traces
from tests.lab.test_lab import keep

SYSTEM, QUESTION, ANSWER, CALL, RETURN = 15, 14, 9, 13, 8
"""Characters of `You count cats.`, `How many cats?`, `Two cats.`, `search{"n":1}` and `two cats`."""


def parts(source: Any, **settings: Any) -> dict[int, dict[str, Any]]:
    """By step, what the parts had of tokens."""
    frame = context_df(source, **settings)
    found: dict[int, dict[str, Any]] = {}
    for step, part, n in rows(frame, "step", "part", "tokens"):
        found.setdefault(step, {})[part] = n
    return found


def test_each_part_of_each_prompt_by_a_tokenizer() -> None:
    story = Story().step(reply(calls=["search"]), factories.tool("search"))
    story.say("user", "Go on.", source="heartbeat")
    story.step(reply())

    assert parts(story.end(), tokenizer=len) == {
        1: {"system": SYSTEM, "user": QUESTION},
        2: {"system": SYSTEM, "user": QUESTION, "heartbeat": 6, "assistant": CALL, "tool": RETURN},
    }


def test_an_estimate_is_a_token_for_every_four_characters_begun_and_says_so() -> None:
    frame = context_df(Story().step(reply()).end())

    assert rows(frame, "part", "n_items", "tokens", "source") == [
        ("system", 1, 4, "estimated"),
        ("user", 1, 4, "estimated"),
    ]
    assert context_df(Story().step(reply()).end(), tokenizer=len)["source"].tolist() == ["tokenizer"] * 2


def test_the_scaled_parts_add_up_to_what_the_provider_counted() -> None:
    frame = context_df(Story().step(reply(usage=tokens(58, 4))).step(reply(usage=NO_USAGE)).end(), tokenizer=len)

    assert rows(frame, "step", "part", "scaled_tokens") == [
        (1, "system", 30.0),  # 15 of 29 characters, and 58 tokens
        (1, "user", 28.0),
        (2, "system", None),
        (2, "user", None),
        (2, "assistant", None),
    ]


def test_parallel_calls_and_returns_are_all_in_the_next_prompt() -> None:
    story = Story().step(
        reply(calls=["search", "count"]), factories.tool("search"), factories.tool("count", text="9 cats")
    )

    frame = context_df(story.step(reply()).end(), tokenizer=len)

    second = frame[frame["step"] == 2].set_index("part")
    assert second["n_items"].to_dict() == {"system": 1, "user": 1, "assistant": 1, "tool": 2}
    assert second["tokens"]["assistant"] == len('search{"n":1}count{"n":2}')
    assert second["tokens"]["tool"] == len("two cats9 cats")


def test_tool_definitions_take_tokens_in_each_prompt_that_offers_them() -> None:
    specs = [ToolSpec(name=name, description="Finds.", parameters={}) for name in ("search", "count")]
    story = Story().step(reply()).step(reply())
    story.events = [_offering(event, specs) for event in story.events]

    one = len('{"name":"search","description":"Finds.","parameters":{}}')
    assert [found["tool_schemas"] for found in parts(story.end(), tokenizer=len).values()] == [2 * one - 1, one]


def _offering(event: Any, specs: list[ToolSpec]) -> Any:
    if isinstance(event, RunStarted):
        return event.model_copy(update={"tools": tuple(specs)})
    if isinstance(event, ModelCalled):
        return event.model_copy(update={"tools": ("search", "count") if event.step == 1 else ("search",)})
    return event


def test_a_tool_that_was_offered_and_is_not_known_cannot_be_measured() -> None:
    story = Story().step(reply())
    story.events = [_offering(event, []) for event in story.events]

    frame = context_df(story.end())

    assert rows(frame, "part", "n_items", "tokens", "source", "scaled_tokens")[1] == (
        "tool_schemas",
        2,
        None,
        "missing",
        None,
    )


def test_a_system_message_that_replaces_another_is_in_its_place() -> None:
    story = Story().step(reply())
    new = story.say("system", "You count dogs and cats.", source="system")
    story.events[-1] = story.events[-1].model_copy(update={"replaces": "message-run-1-1"})
    trace = story.step(reply()).end()

    assert [found["system"] for found in parts(trace, tokenizer=len).values()] == [SYSTEM, len(new.text)]


def test_compaction_makes_the_context_smaller_and_a_summary_is_a_part_of_its_own() -> None:
    story = Story().step(reply()).step(reply())
    note = Message(id="note", role="user", content=(TextPart(text="Cats were counted."),))
    story.emit(ContextCompacted, how="summary", removed=("message-run-1-2", "message-run-1-3"), summary=note)
    story.step(reply())
    story.emit(ContextCompacted, how="drop", removed=("note", "message-run-1-4"))
    story.step(reply())

    assert parts(story.end(), tokenizer=len) == {
        1: {"system": SYSTEM, "user": QUESTION},
        2: {"system": SYSTEM, "user": QUESTION, "assistant": ANSWER},
        3: {"system": SYSTEM, "summary": 18, "assistant": ANSWER},
        4: {"system": SYSTEM, "assistant": ANSWER},
    }


def test_of_several_calls_of_a_step_the_last_prompt_counts_and_in_totals_each() -> None:
    story = Story().step(reply(complete=False), reply("Two cats."))

    assert rows(context_df(story.end(), tokenizer=len), "step", "part", "tokens") == [
        (1, "system", SYSTEM),
        (1, "user", QUESTION),
    ]
    by_role = usage_df(story.trace(), by="role", tokenizer=len)
    assert rows(by_role, "part", "n_prompts", "n_items", "tokens", "n_missing", "scaled_tokens") == [
        ("system", 2, 2, 2 * SYSTEM, 1, None),
        ("user", 2, 2, 2 * QUESTION, 1, None),
    ]
    assert by_role["known_scaled_tokens"].sum() == pytest.approx(100)


def test_of_prompts_that_nobody_counted_no_share_is_known() -> None:
    by_role = usage_df(Story().step(reply(usage=NO_USAGE)).end(), by="role")

    names = ("n_missing", "scaled_tokens", "known_scaled_tokens")
    assert rows(by_role, *names) == [(1, None, None), (1, None, None)]


def test_side_calls_are_no_part_of_the_context() -> None:
    story = Story().step(reply(purpose="approval")).step(reply())

    assert list(parts(story.end())) == [2]
    assert rows(usage_df(story.trace(), by="role"), "part", "n_prompts") == [
        ("system", 1),
        ("user", 1),
        ("assistant", 1),
    ]


def test_a_picture_cannot_be_measured_and_does_not_count_as_nothing() -> None:
    story = Story()
    picture = ImagePart(source=UrlImage(url="https://example.org/cat.png"))
    story.say("user", source="input", content=(picture, TextPart(text="What is it?")))

    frame = context_df(story.step(reply()).end())

    assert rows(frame, "part", "n_items", "tokens", "source", "scaled_tokens") == [
        ("system", 1, 4, "estimated", None),
        ("user", 2, None, "missing", None),
    ]


def test_what_a_fork_inherits_is_history_and_paid_for_again() -> None:
    story = Story("run-2")
    story.say("assistant", "One cat.", source="history")
    story.events[2] = story.events[2].model_copy(update={"source": "history"})

    assert parts(story.step(reply()).end(), tokenizer=len) == {1: {"system": SYSTEM, "history": QUESTION + 8}}


async def test_a_run_that_goes_on_reads_its_history_in_each_prompt() -> None:
    looking = Agent(ScriptedModel([call("look", q="cats"), "Two."]), [look], system="Count.")
    with frozen(seed=1):
        first = await looking.run("How many?")
        second = await Agent(ScriptedModel(["", "", "Two, as I said."]), [look], system="Count.").run(
            "Sure?", history=first
        )

    assert second.runs_df()["parent_run_id"].tolist() == [first.id]
    told = len("How many?") + len('look{"q":"cats"}') + len("two cats") + len("Two.")
    found = context_df(second, tokenizer=len).set_index("part")
    assert found["tokens"].drop("tool_schemas").to_dict() == {"system": 6, "history": told, "user": 5}
    assert found["n_items"]["history"] == 4
    assert ledger([first, second]).problems.empty
    by_run = usage_df([first, second], by=("run", "tool"), tokenizer=len).set_index("run_id")
    assert by_run["n_calls"].to_dict() == {first.id: 1, second.id: 0}
    assert by_run["return_tokens"].to_dict() == {first.id: 8, second.id: 0}
    assert by_run["first_read_tokens"].to_dict() == {first.id: 8, second.id: 8}


@tool
def look(q: str) -> str:
    """Look into the boxes.

    Args:
        q: What for.
    """
    return f"two {q}"


@pytest.mark.parametrize("policy", [DropOldest(keep_fraction=0.5), Summarize(keep_fraction=0.5)])
async def test_the_context_of_a_real_run_shrinks_with_its_compaction(policy: Any) -> None:
    def script(request: Any) -> Any:
        if not request.tools:
            return "Cats, so far."
        if len(request.messages) > 7:
            return fail(ContextWindowError("too long"))
        return call("look", q=f"cats {request.turn}") if request.turn < 6 else "Done."

    with frozen(seed=1):
        run = await Agent(ScriptedModel(script), [look], system="Count.", compaction=policy).run("?")

    assert run.stop_reason == "end_turn"
    assert any(event.type == "context_compacted" for event in run.trace)
    assert ledger(run).problems.empty
    frame = context_df(run)
    items = frame[frame["part"] != "tool_schemas"].groupby("step")["n_items"].sum()
    assert items.tolist() == run.steps_df()["n_context_messages"].tolist()  # of the call after the compaction
    read = frame[(frame["step"] == frame["step"].max()) & (frame["part"] != "tool_schemas")]["n_items"].sum()
    assert read < len(run.messages_df()) - 1
    assert ("summary" in frame["part"].tolist()) == isinstance(policy, Summarize)


@settings(max_examples=60)
@given(traces())
def test_the_parts_are_those_of_the_messages_that_the_trace_would_send(trace: Trace) -> None:
    expected = {}
    for n, event in enumerate(trace.events):
        if isinstance(event, ModelCalled) and event.purpose == "step":
            messages = Trace(trace.events[:n]).messages
            sizes = {
                role: sum(_size(m) for m in messages if m.role == role)
                for role in ("system", "user", "assistant", "tool")
            }
            here = {m.role for m in messages}
            expected[event.step] = {role: size for role, size in sizes.items() if role in here}

    assert parts(trace, tokenizer=len) == expected
    assert ledger(trace).problems.empty


def _size(message: Message) -> int:
    return len(message.text) + sum(len(c.function.name + c.function.arguments) for c in message.tool_calls or ())


@settings(max_examples=15)
@given(traces())
def test_a_lab_and_its_trace_have_the_same_context(trace: Trace) -> None:
    with Lab() as lab:
        keep(lab, trace)

        pd.testing.assert_frame_equal(context_df(lab), context_df(trace))


def test_runs_do_not_read_what_others_said() -> None:
    one, two = Story("run-1").step(reply()).step(reply()).end(), Story("run-2", question="?").step(reply()).end()

    both = context_df([one, two], tokenizer=len)

    pd.testing.assert_frame_equal(
        both[both["run_id"] == "run-2"].reset_index(drop=True), context_df(two, tokenizer=len)
    )
    assert context_df([one, two], runs=["run-2"], tokenizer=len)["tokens"].tolist() == [SYSTEM, 1]


def test_an_empty_lab_has_an_empty_context() -> None:
    nothing, something = context_df(Lab()), context_df(Story().step(reply()).end())

    assert len(nothing) == 0
    pd.testing.assert_series_equal(nothing.dtypes.astype(str), something.dtypes.astype(str))
    assert not np.any([len(usage_df([], by=by)) for by in ("tool", "role")])  # type: ignore[arg-type]


def test_a_run_without_a_model_call_has_no_context() -> None:
    assert context_df(Story().end()).empty


def test_the_context_is_read_like_other_frames() -> None:
    trace = Story().step(reply()).step(reply()).end()

    some = context_df(
        trace, tokenizer=len, columns=["tokens", "step"], where={"part": "user"}, offset=1, engine="pyarrow"
    )

    assert some.to_pydict() == {"tokens": [QUESTION], "step": [2]}
