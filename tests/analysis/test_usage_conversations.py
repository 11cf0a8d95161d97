"""Real conversations, told again as runs: every reply of the model is a step. Skipped where the files are not there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentlab.analysis.context import context_df
from agentlab.analysis.usage import ledger, usage_df
from agentlab.lab.lab import Lab
from agentlab.messages.message import Message
from agentlab.trace.events import MessageAdded
from agentlab.trace.trace import Trace
from tests.analysis.test_frames import rows
from tests.factories import Story, reply, tokens
from tests.lab.test_lab import keep

FOLDER = Path(__file__).parents[2].parent / "shared" / "agent_files"
LONG, SHORT = "memgpt_agent_with_convo.af", "test_basic_agent_with_blocks_tools_messages_v2.af"

pytestmark = pytest.mark.skipif(not (FOLDER / LONG).exists(), reason="no agent files beside the repository")


def stored(name: str) -> list[dict[str, Any]]:
    """The messages of the file's agent, as they are stored."""
    data = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    messages: list[dict[str, Any]] = data.get("agents", [data])[0]["messages"]
    return messages


def text_of(message: dict[str, Any]) -> str:
    return "\n\n".join(part["text"] for part in message["content"] or ())


def size_of(message: dict[str, Any]) -> int:
    """Characters that the model reads."""
    functions = [call["function"] for call in message["tool_calls"] or ()]
    return len(text_of(message)) + sum(len(f["name"]) + len(f["arguments"]) for f in functions)


def part_of(message: dict[str, Any]) -> str:
    return "heartbeat" if '"type": "heartbeat"' in text_of(message) else str(message["role"])


def told(name: str) -> Trace:
    """The conversation as a run. The provider counts a token for every three characters, and one more."""
    story = Story(question="")
    story.events = story.events[:1]
    system: str | None = None
    sources = {"system": "system", "user": "input", "heartbeat": "heartbeat", "assistant": "model", "tool": "tool"}
    prompts = iter(sizes(name))
    for message in stored(name):
        if message["role"] == "assistant":
            read = sum(next(prompts).values())
            story._messages = Trace(story.events).n_messages
            story.step(reply(usage=tokens(read // 3 + 1, size_of(message) // 3 + 1)), finished=False)
            story.events.pop()  # the message that the story makes up
        given = {k: v for k, v in message.items() if k in Message.model_fields and v is not None}
        source = sources[part_of(message)]
        replaces = system if source == "system" else None
        event = story.emit(MessageAdded, message=Message.model_validate(given), source=source, replaces=replaces)
        if source == "system" and isinstance(event, MessageAdded):
            system = event.message.id
    return story.end()


def sizes(name: str) -> list[Counter[str]]:
    """What each reply of the model had before it, by part: a new system message takes the place of the old one."""
    context: list[dict[str, Any]] = []
    found = []
    for message in stored(name):
        if message["role"] == "assistant":
            found.append(Counter[str]())
            for each in context:
                found[-1][part_of(each)] += size_of(each)
        if message["role"] == "system":
            context = [each for each in context if each["role"] != "system"]
        context.append(message)
    return found


@pytest.mark.parametrize("name", [LONG, SHORT])
def test_the_context_of_a_stored_conversation_grows_as_it_was_stored(name: str) -> None:
    frame = context_df(told(name), tokenizer=len)

    by_step: list[dict[str, int]] = [{} for _ in sizes(name)]
    for step, part, n in rows(frame, "step", "part", "tokens"):
        by_step[step - 1][part] = n
    assert by_step == [dict(each) for each in sizes(name)]
    assert ledger(told(name)).problems.empty


def test_figures_of_the_long_conversation() -> None:
    """Counted out of the file by other means."""
    trace = told(LONG)

    frame = context_df(trace, tokenizer=len)
    last = frame[frame["step"] == 28].set_index("part")
    tools = usage_df(trace, by="tool", tokenizer=len)
    run = usage_df(trace, by="run")

    characters = {"system": 7446, "user": 3793, "heartbeat": 832, "assistant": 11343, "tool": 2320}
    assert last["tokens"].to_dict() == characters
    assert last["n_items"].to_dict() == {"system": 1, "user": 25, "heartbeat": 4, "assistant": 27, "tool": 27}
    assert rows(tools, "tool", "n_calls", "return_tokens", "reread_tokens") == [
        ("send_message", 23, 1976, 24888),
        ("core_memory_replace", 3, 258, 4042),
        ("core_memory_append", 2, 172, 1204),
    ]
    assert rows(run, "n_calls", "input_tokens", "output_tokens") == [(28, 152388, 3875)]


@pytest.mark.parametrize("name", [LONG, SHORT])
def test_the_scaled_parts_of_each_prompt_add_up_to_the_providers_count(name: str) -> None:
    trace = told(name)

    scaled = context_df(trace).groupby("step")["scaled_tokens"].sum()

    assert scaled.tolist() == pytest.approx(trace.steps_df()["input_tokens"].dropna().tolist())
    by_role = usage_df(trace, by="role")
    assert by_role["scaled_tokens"].sum() == pytest.approx(usage_df(trace, by="run")["input_tokens"][0])
    assert by_role["n_missing"].sum() == 0


def test_a_stored_conversation_is_the_same_out_of_a_lab() -> None:
    with Lab() as lab:
        keep(lab, told(LONG))

        assert context_df(lab).equals(context_df(told(LONG)))
