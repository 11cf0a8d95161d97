"""Messages built and converted a second, against the reference's figures for the same work."""

from __future__ import annotations

from collections.abc import Iterator

from agentlab.formats.openai_chat import to_openai
from agentlab.formats.plain_chat import to_plain_chat
from agentlab.messages import envelopes
from agentlab.messages.builders import Links, system_message, user_message
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.message import Message
from agentlab.messages.parts import ReasoningPart
from agentlab.messages.steps import parallel_messages, said_messages, step_messages
from tests.benchmarks.figures import Figure, cpu_seconds

REFERENCE_STEP = 58_000
"""Messages a second: a step of assistant, tool and heartbeat message."""
REFERENCE_PARALLEL = 12_700
"""Messages a second: eight calls in one assistant message, their returns in one tool message."""
REFERENCE_CONVERTER = 287_000
"""Messages a second: a conversation as a person sees it."""

TARGET = 2.0
ROUNDS = 400
ZONE = "America/Los_Angeles"
LINKS: Links = {"agent_id": "agent-1", "model": "tiny-1", "run_id": "run-1", "step_id": "step-1"}
THOUGHT = ReasoningPart(is_native=True, reasoning="The user asks for cats, so a search is due.")


def run() -> Iterator[Figure]:
    """Rates of the builders and the converter, as ratios to the reference's."""
    yield _ratio("one step", step, REFERENCE_STEP, ROUNDS)
    yield _ratio("eight parallel calls", parallel, REFERENCE_PARALLEL, ROUNDS // 4)
    history = conversation(turns=100)
    yield _ratio("converter, plain chat", lambda: to_plain_chat(history), REFERENCE_CONVERTER, 4, len(history))
    rate, detail = _rate(lambda: to_openai(history), 4, len(history))
    yield Figure("converter, chat form", rate / 1000, "k/s", None, higher_is_better=True, detail=detail)
    rate, detail = _rate(parallel_one_by_one, ROUNDS // 4, 9)
    yield Figure("eight parallel calls, one message a return", rate / 1000, "k/s", None, True, detail)


def step() -> list[Message]:
    """One step, built from scratch."""
    call = tool_call("search", {"query": "cats", "limit": 3}, request_heartbeat=True)
    answer = tool_return(call.id, envelopes.tool_return("Found two cats.", timezone=ZONE))
    heartbeat = envelopes.heartbeat(envelopes.HEARTBEAT_SUCCESS, timezone=ZONE)
    return step_messages([THOUGHT], [call], [answer], heartbeat=heartbeat, **LINKS)


def parallel() -> list[Message]:
    """Eight calls and their returns, in two messages."""
    calls = [tool_call("search", {"query": "cats", "page": n}) for n in range(8)]
    returns = [tool_return(c.id, envelopes.tool_return("Found two cats.", timezone=ZONE)) for c in calls]
    return parallel_messages([THOUGHT], calls, returns, **LINKS)


def parallel_one_by_one() -> list[Message]:
    """Eight calls and their returns, as the loop keeps them."""
    calls = [tool_call("search", {"query": "cats", "page": n}) for n in range(8)]
    returns = [tool_return(c.id, envelopes.tool_return("Found two cats.", timezone=ZONE)) for c in calls]
    return step_messages([THOUGHT], calls, returns, **LINKS)


def conversation(turns: int) -> list[Message]:
    """A MemGPT-style conversation: a question, a search with its heartbeat, a spoken answer; six messages a turn."""
    messages = [system_message("You are helpful.", **LINKS)]
    for n in range(turns):
        messages.append(user_message(envelopes.user_message(f"Question {n}: how many cats?", timezone=ZONE), **LINKS))
        messages += step()
        messages += said_messages(f"Answer {n}: two.", timezone=ZONE, **LINKS)
    return messages


def _ratio(name: str, work: object, reference: int, rounds: int, size: int | None = None) -> Figure:
    rate, detail = _rate(work, rounds, size)
    text = f"{detail}, reference {reference / 1000:.3g} k/s"
    return Figure(f"{name}, against the reference", rate / reference, "x", TARGET, True, text)


def _rate(work: object, rounds: int, size: int | None = None) -> tuple[float, str]:
    assert callable(work)
    size = size or len(work())

    def repeat() -> None:
        for _ in range(rounds):
            work()

    rate = size * rounds / cpu_seconds(repeat, repeats=40)
    return rate, f"{rate / 1000:.4g} k messages/s"
