"""One case: its input decoded, its function called in the frozen world, its outcome normalised and compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import agentlab.clock
from agentlab import compat
from agentlab.formats.reference_chat import message_to_reference
from agentlab.messages.message import Message
from tests.conformance.streams import DRIVERS, VALUES

USUAL_CLOCK = "2026-01-02T03:04:05Z"

NOT_ARGUMENTS = {"fetch"}
"""Keys of an input that describe the world around the call. Nothing is ever fetched here."""


@dataclass(frozen=True)
class Outcome:
    """How a case went."""

    function: str
    case: str
    status: Literal["passed", "failed", "quirk"]
    expected: Any
    actual: Any
    quirk: str | None = None


def read_cases(path: Path) -> list[dict[str, Any]]:
    """The cases of a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def replay(case: dict[str, Any]) -> Outcome:
    """Run a case. A quirk is told, and never fails: there we may do better."""
    expected = {key: case[key] for key in ("output", "error") if key in case}
    actual = _run(case)
    if "quirk" in case:
        return Outcome(case["function"], case["case"], "quirk", expected, actual, case["quirk"])
    status: Literal["passed", "failed"] = "passed" if _comparable(expected) == _comparable(actual) else "failed"
    return Outcome(case["function"], case["case"], status, _comparable(expected), _comparable(actual))


def _run(case: dict[str, Any]) -> dict[str, Any]:
    given = {key: _decoded(value) for key, value in case["input"].items() if key not in NOT_ARGUMENTS}
    if "in_context_messages" in given:
        given["in_context_messages"] = [Message.model_validate(m) for m in given["in_context_messages"]]
    before = _snapshot(given)
    with agentlab.clock.frozen(at=case.get("clock", USUAL_CLOCK)):
        try:
            outcome: dict[str, Any] = {"output": _call(case["function"], given)}
        except Exception as exc:  # noqa: BLE001 - any of them is an outcome to compare
            outcome = {"error": _error(exc)}
    if _snapshot(given) != before:
        outcome["inputs_changed"] = given
    return _with_placeholders(outcome, set(_strings(case["input"])))


def _call(function: str, given: dict[str, Any]) -> dict[str, Any]:
    if function in DRIVERS:
        return DRIVERS[function](**given)
    return WRITERS[function](getattr(compat, function)(**given))


def _error(exc: Exception) -> dict[str, Any]:
    error: dict[str, Any] = {"type": type(exc).__name__, "message": str(exc)}
    if isinstance(exc, compat.ChatRequestError):
        error |= {"type": "HTTPException", "status_code": exc.status_code}
    return error


def _write_messages(result: Message | list[Message]) -> dict[str, Any]:
    messages = result if isinstance(result, list) else [result]
    return {
        "messages": [m.model_dump(mode="json", exclude_none=True) for m in messages],
        "openai": [message_to_reference(m) for m in messages],
    }


WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "convert_in_context_letta_messages_to_openai": lambda chat: {"openai_messages": chat},
    "create_approval_request_message_from_llm_response": _write_messages,
    "create_approval_response_message_from_input": _write_messages,
    "create_assistant_messages_from_openai_response": _write_messages,
    "create_heartbeat_system_message": _write_messages,
    "create_input_messages": _write_messages,
    "create_letta_messages_from_llm_response": _write_messages,
    "create_parallel_tool_messages_from_llm_response": _write_messages,
    "get_user_message_from_chat_completions_request": lambda given: {
        "message_creates": [m.model_dump(mode="json", exclude_none=True) for m in given]
    },
}
"""By function: how its result is written for the comparison."""


class _Raising:
    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError(self.text)


DECODERS: dict[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$raises_on_iteration": _Raising,
    "$set": set,
    **VALUES,
}


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(v) for v in value]
    if not isinstance(value, dict):
        return value
    for key, decode in DECODERS.items():
        if value.keys() == {key}:
            return decode(_decoded(value[key]))
    return {key: _decoded(v) for key, v in value.items()}


def _snapshot(given: dict[str, Any]) -> dict[str, Any]:
    return {key: copy.deepcopy(v) for key, v in given.items() if not _holds_raising(v)}


def _holds_raising(value: Any) -> bool:
    return isinstance(value, _Raising) or (isinstance(value, dict) and any(map(_holds_raising, value.values())))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _with_placeholders(outcome: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Ids that were not in the input become placeholders, numbered by first appearance."""
    output = outcome.get("output", {})
    found: dict[str, str] = {}

    def number(value: str, kind: str) -> str:
        if value in known:
            return value
        taken = sum(1 for v in found.values() if v.startswith(f"<{kind}"))
        return found.setdefault(value, f"<{kind}-{taken + 1}>")

    for message in output.get("messages", ()):
        message["id"] = number(message["id"], "message-id")
        for holder, key in _call_id_places(message):
            holder[key] = number(holder[key], "generated-id")
    for entry in filter(None, output.get("openai", ())):
        for holder, key in _call_id_places(entry):
            if holder[key] in found:
                holder[key] = found[holder[key]].replace(">", ":29>")
    return outcome


def _call_id_places(message: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for call in message.get("tool_calls", ()):
        yield call, "id"
    for holder in (message, *message.get("tool_returns", ()), *message.get("approvals", ())):
        if "tool_call_id" in holder:
            yield holder, "tool_call_id"


def _comparable(outcome: dict[str, Any]) -> Any:
    """What has to be equal: JSON arguments as values, of errors that there is one."""
    if "error" in outcome:
        error = outcome["error"]
        told = {key: error[key] for key in ("status_code", "message")} if "status_code" in error else "raises"
        return {"error": told, "inputs_changed": outcome.get("inputs_changed")}
    output = {key: value for key, value in outcome["output"].items() if key != "inputs_after"}
    return {"output": _parsed(output), "inputs_changed": outcome.get("inputs_changed")}


def _parsed(value: Any) -> Any:
    if isinstance(value, list):
        return [_parsed(v) for v in value]
    if isinstance(value, dict):
        return {k: json.loads(v) if k == "arguments" and _is_json(v) else _parsed(v) for k, v in value.items()}
    return value


def _is_json(value: Any) -> bool:
    try:
        json.loads(value)
    except (TypeError, ValueError):
        return False
    return True
