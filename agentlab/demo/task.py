"""The agent of the demonstration and its task, on the embedded model or on a script."""

from __future__ import annotations

from agentlab.agent.agent import Agent
from agentlab.agent.memory import Memory
from agentlab.agent.tool_rule_kinds import ExitLoop
from agentlab.demo.tools import calculate, days_between, read_column
from agentlab.messages import builders
from agentlab.messages.calls import tool_call
from agentlab.messages.message import Message
from agentlab.models.base import ChatModel
from agentlab.models.local import LocalModel
from agentlab.models.scripted import ScriptedModel, call
from agentlab.models.tool_schema import SchemaTools

TASK = "What is the highest temperature?"

_EXAMPLES = (
    (
        "What is the mean pressure?",
        "pressure",
        "1013, 1009, 1004, 1011, 1015",
        "mean",
        "1010.4",
        "The mean pressure is {}.",
    ),
    ("What is the highest light?", "light", "310, 295, 120, 330, 340", "max", "340", "The highest light is {}."),
)
"""Two worked tasks about other columns: models of this size follow examples better than words."""


def demo_agent(model: ChatModel) -> Agent:
    """An agent with three tools and a memory block, talking by `memgpt`."""
    return Agent(
        model,
        [read_column, calculate, days_between],
        protocol="memgpt",
        rules=[ExitLoop(tool="send_message")],
        memory=Memory({"human": "Name: Ada. Likes short answers."}),
        max_steps=6,
        params={"temperature": 0, "max_tokens": 200},
        name="weather",
    )


def examples() -> list[Message]:
    """The worked tasks as a conversation."""
    return [message for example in _EXAMPLES for message in _worked(*example)]


def embedded_model() -> LocalModel:
    """The embedded model, with the worked tasks before every conversation.

    Raises:
        InputError: The extra `local` is not installed; the text names the command that brings it.
    """
    return LocalModel(tools=SchemaTools(examples=examples(), open_envelopes=True))


def served_agent() -> Agent:
    """The demonstration's agent on the embedded model, for `agentlab serve`."""
    return demo_agent(embedded_model())


def scripted_model() -> ScriptedModel:
    """What the embedded model does when it does well, as a script."""
    return ScriptedModel(
        [
            call("read_column", column="temperature", heartbeat=True),
            call("calculate", expression="max(21.5, 22.0, 20.9, 23.1, 22.5)", heartbeat=True),
            call("send_message", message="The highest temperature is 23.1."),
        ],
        ttft_s=0.15,
        gap_s=0.02,
    )


def _worked(question: str, column: str, values: str, function: str, result: str, answer: str) -> list[Message]:
    steps: list[tuple[str, dict[str, object], str | None]] = [
        ("read_column", {"column": column, "request_heartbeat": True}, values),
        ("calculate", {"expression": f"{function}({values})", "request_heartbeat": True}, result),
        ("send_message", {"message": answer.format(result)}, None),
    ]
    messages = [builders.user_message(question)]
    for name, arguments, returned in steps:
        made = tool_call(name, arguments)
        messages.append(builders.assistant_message("", [made]))
        if returned is not None:
            messages.append(builders.tool_message(made.id, name, returned))
    return messages
