"""Real conversations, as a server stored them; skipped where the files are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentlab import compat
from agentlab.formats.openai_chat import from_openai, to_openai
from agentlab.formats.plain_chat import to_plain_chat
from agentlab.messages.history import lint, mend
from agentlab.messages.message import Message

FOLDER = Path(__file__).parents[2].parent / "shared" / "agent_files"
FILES = sorted(FOLDER.glob("*.af"))

pytestmark = pytest.mark.skipif(not FILES, reason="no agent files beside the repository")


def read(path: Path) -> list[tuple[list[Message], list[Message]]]:
    """By agent: all stored messages, and those in context."""
    data = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for agent in data.get("agents", [data]):
        stored = [_message(m) for m in agent["messages"]]
        ids = agent.get("in_context_message_ids")
        places = [agent_ids(agent).index(i) for i in ids] if ids else agent.get("in_context_message_indices", [])
        found.append((stored, [stored[n] for n in places]))
    return found


def agent_ids(agent: dict[str, Any]) -> list[str]:
    return [m.get("id") for m in agent["messages"]]


def _message(given: dict[str, Any]) -> Message:
    return Message.model_validate({k: v for k, v in given.items() if k in Message.model_fields and v is not None})


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_stored_conversation_is_written_read_and_mended(path):
    for stored, in_context in read(path):
        for history in (stored, in_context):
            chat = to_openai(history)

            assert len(from_openai(chat)) == len(chat)
            assert to_plain_chat(history) != []
            assert compat.convert_in_context_letta_messages_to_openai(history) != []
            assert lint(mend(history)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_what_is_in_context_is_clean_and_what_is_stored_only_has_new_memory_in_the_way(path):
    for stored, in_context in read(path):
        assert lint(in_context) == []
        assert {p.kind for p in lint(stored)} <= {"late_return"}
        assert sorted(m.id for m in mend(stored)) == sorted(m.id for m in stored)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_person_sees_what_was_said(path):
    for _, in_context in read(path):
        spoken = [
            json.loads(c.function.arguments).get("message")
            for m in in_context
            for c in m.tool_calls or ()
            if c.function.name == "send_message"
        ]
        texts = [e["content"] for e in to_plain_chat(in_context) if e["role"] == "assistant"]

        assert [t for t in texts if t in spoken] == spoken
