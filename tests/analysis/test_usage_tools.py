from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agentlab.analysis.tokenizers import TokenCounter
from agentlab.analysis.usage import usage_df
from agentlab.errors import InputError
from agentlab.trace.events import ModelCalled, RunStarted, ToolSpec
from agentlab.trace.trace import Trace
from tests import factories
from tests.analysis.test_frames import rename, rows
from tests.factories import Story, reply

READ = ("first_read_tokens", "reread_tokens")


def told() -> Trace:
    """Three steps: two tools side by side, one of them again, and an answer."""
    story = Story()
    story.step(reply(calls=["search", "count"]), factories.tool("search"), factories.tool("count", text="nine cats"))
    story.step(reply(calls=["search"]), factories.tool("search", text="none"))
    return story.step(reply()).end()


def test_what_comes_back_is_read_in_every_later_prompt() -> None:
    frame = usage_df(told(), by="tool", tokenizer=len)

    # search: 8 characters read in steps 2 and 3, then 4 in step 3; count: 9 in steps 2 and 3
    names = ("tool", "n_calls", "n_returns", "return_tokens", *READ)
    assert rows(frame, *names) == [("search", 2, 2, 12, 12, 8), ("count", 1, 1, 9, 9, 9)]
    # `search{"n":1}` in two prompts, `search{"n":3}` in one; `count{"n":2}` in two
    assert rows(frame, "argument_tokens", "argument_prompt_tokens") == [(26, 39), (12, 24)]


def test_what_no_prompt_had_was_written_and_not_read() -> None:
    story = Story().step(reply(calls=["search"]), factories.tool("search"))

    frame = usage_df(story.end("max_steps"), by="tool", tokenizer=len)

    assert rows(frame, "return_tokens", *READ, "argument_tokens", "argument_prompt_tokens") == [(8, 0, 0, 13, 0)]


def test_a_call_without_an_answer_is_a_call() -> None:
    story = Story().step(reply(calls=["search"]), factories.tool("search", returns=False), finished=False)

    assert rows(usage_df(story.trace(), by="tool"), "n_calls", "n_returns", "return_tokens") == [(1, 0, 0)]


def test_a_tool_that_is_offered_and_never_called_costs_its_definition() -> None:
    story = Story().step(reply()).step(reply())
    spec = ToolSpec(name="delete", description="Deletes.", parameters={})
    story.events = [_offering(event, spec) for event in story.events]

    (row,) = usage_df(story.end(), by="tool", tokenizer=len).to_dict("records")

    one = len('{"name":"delete","description":"Deletes.","parameters":{}}')
    assert (row["tool"], row["n_calls"], row["schema_prompt_tokens"], row["source"]) == (
        "delete",
        0,
        2 * one,
        "tokenizer",
    )


def _offering(event: Any, spec: ToolSpec) -> Any:
    if isinstance(event, RunStarted):
        return event.model_copy(update={"tools": (spec,)})
    return event.model_copy(update={"tools": ("delete",)}) if isinstance(event, ModelCalled) else event


def test_tools_of_several_runs_are_added_or_stand_by_run() -> None:
    runs = [rename(told(), "run-a"), rename(told(), "run-b")]

    assert rows(usage_df(runs, by="tool", tokenizer=len), "tool", "n_calls", "reread_tokens") == [
        ("search", 4, 16),
        ("count", 2, 18),
    ]
    by_run = usage_df(runs, by=("run", "tool"), tokenizer=len)
    assert rows(by_run, "run_id", "tool", "n_calls", "reread_tokens") == [
        ("run-a", "search", 2, 8),
        ("run-a", "count", 1, 9),
        ("run-b", "search", 2, 8),
        ("run-b", "count", 1, 9),
    ]


def test_parts_of_prompts_by_tool_and_by_role_agree() -> None:
    by_tool, by_role = (usage_df(told(), by=by, tokenizer=len) for by in ("tool", "role"))

    tokens = by_role.set_index("part")["tokens"]
    assert by_tool["first_read_tokens"].sum() + by_tool["reread_tokens"].sum() == tokens["tool"]
    assert by_tool["argument_prompt_tokens"].sum() == tokens["assistant"]


def test_a_text_that_comes_again_is_counted_once() -> None:
    seen: list[str] = []

    def counting(text: str) -> int:
        seen.append(text)
        return len(text.split())

    usage_df(told(), by="role", tokenizer=counting)

    assert sorted(seen) == sorted(set(seen))


class Encoding:
    """As those of tiktoken: special tokens in a text are an error, unless it is encoded as ordinary text."""

    def encode(self, text: str) -> list[int]:
        raise ValueError("disallowed special token")

    def encode_ordinary(self, text: str) -> list[int]:
        return list(range(len(text) // 2))


class Tokens:
    """As those of tokenizers: an object with a length."""

    def encode(self, text: str) -> str:
        return text


def test_tokenizers_of_libraries_are_taken_as_they_are() -> None:
    first = ("return_tokens", "source")

    assert rows(usage_df(told(), by="tool", tokenizer=Encoding()), *first)[0] == (6, "tokenizer")
    assert rows(usage_df(told(), by="tool", tokenizer=Tokens()), *first)[0] == (12, "tokenizer")


@pytest.mark.parametrize("tokenizer", ["cl100k_base", 4, ["a"]])
def test_what_cannot_count_is_refused(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="`tokenizer` takes a function from a text to its number of tokens"):
        usage_df(told(), by="tool", tokenizer=tokenizer)


@pytest.mark.parametrize("given", [-1, 1.5, None, True, "3", [1, 2]])
def test_a_count_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="it has to give the number of its tokens"):
        usage_df(told(), by="role", tokenizer=lambda _: given)


def test_tokens_of_texts_and_of_none() -> None:
    import pyarrow as pa

    texts = pa.chunked_array([["", "cats", "five!"], [None, "cats"]], pa.string())

    np.testing.assert_array_equal(TokenCounter().counts(texts), [0, 1, 2, np.nan, 1])
    np.testing.assert_array_equal(TokenCounter(len).counts(texts), [0, 4, 5, np.nan, 4])
    assert TokenCounter(lambda text: np.int64(len(text))).counts(texts)[1] == 4
