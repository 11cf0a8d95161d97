"""What a page is asked about a call that waits, and what its answer decides.

A page shows and sends plain data; here it becomes a decision, or an error that says in plain words what is wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from agentlab.agent.approval import Condition, Decision, Scope
from agentlab.agent.desk import PendingCall
from agentlab.agent.masking import masked, masked_schema, restored
from agentlab.errors import InputError
from agentlab.trace.safe import in_one_line, visible
from agentlab.trace.trace import Trace
from agentlab.trace.words import as_json

ACTIONS = ("approve", "edit", "deny", "respond", "escalate", "stop")
"""What can be done with a call that waits."""

_CONDITION_CHARS = 120
_PROPOSALS = 8


def ask_of(
    call: PendingCall,
    position: int = 1,
    of: int = 1,
    *,
    rule: str | None = None,
    asked_s: float | None = None,
    can: Sequence[str] = ACTIONS,
) -> dict[str, Any]:
    """What a page needs to ask about a call, as JSON would have it. Nothing in it can hide or act.

    Args:
        call: The call.
        position: Its place among those that wait, from 1.
        of: How many wait.
        rule: Why somebody is asked; the call's own word when not given.
        asked_s: How long ago it was asked [s].
        can: What may be done with it.
    """
    call_hash = call.call_hash
    key = (call.run_id, call.call_id, call_hash, call.description, orjson.dumps(call.parameters))
    return {
        "call_id": call.call_id,
        "call_hash": call_hash,
        **_lasting(_Known(key, call)),
        "rule": in_one_line(call.rule if rule is None else rule),
        "asked_s": asked_s,
        "queue": [position, of],
        "can": list(can),
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """A call, known again by all that is shown of it."""

    key: tuple[object, ...]
    call: PendingCall = field(compare=False)


@lru_cache(maxsize=32)
def _lasting(known: _Known) -> dict[str, Any]:
    """What stays as it is while a call waits: long texts take a while to be made fit to look at."""
    call = known.call
    return {
        "tool": in_one_line(call.tool),
        "description": visible(call.description),
        "arguments_json": as_json(masked(call.arguments)),
        "schema": masked_schema(schema_of(call)),
        "patterns": patterns_of(call.arguments),
    }


def asks_in(trace: Trace, pending: Sequence[PendingCall], now_ns: int | None = None) -> list[dict[str, Any]]:
    """What a page is asked about the calls of a run that wait, in their order.

    Args:
        trace: The run's, which knows why and when each was asked.
        pending: The calls.
        now_ns: The time of the run [ns]; None: nobody knows how long they have waited.
    """
    asks = []
    for position, call in enumerate(pending, start=1):
        record = trace.tool_calls.get(call.call_id)
        requested = None if record is None else record.requested
        asked_s = None if requested is None or now_ns is None else (now_ns - requested.t_ns) / 1e9
        rule = call.rule or ("" if requested is None else requested.rule)
        asks.append(ask_of(call, position, len(pending), rule=rule, asked_s=asked_s))
    return asks


def schema_of(call: PendingCall) -> dict[str, Any]:
    """The JSON schema of the call's arguments; where nobody knows it, that of any object."""
    return dict(call.parameters) if call.parameters else {"type": "object"}


def patterns_of(arguments: Mapping[str, Any]) -> list[list[str]]:
    """Proposals for "always allow": conditions that hold for this call, those that reach further first.

    What is not shown as it is (a key, a hidden character) is in none of them.
    """
    seen = masked(arguments)
    plain = {name: value for name, value in arguments.items() if name.isidentifier() and seen.get(name) == value}
    folders = [f"{name} under {_json(folder)}" for name, value in plain.items() if (folder := _folder(value))]
    exact = [f"{name} == {_json(value)}" for name, value in plain.items() if isinstance(value, str | int | float)]
    texts = [text for text in (*folders, *exact) if len(text) <= _CONDITION_CHARS]
    return [[text] for text in texts if Condition.parse(text).holds(arguments)][:_PROPOSALS]  # `..` may climb out


def decision_from(message: Mapping[str, Any], call: PendingCall) -> Decision:
    """What a page's `decide` message says of this call.

    Edited arguments that still are what was shown become the original ones: a key that the page never saw, a hidden
    character that nobody touched, a number's kind.

    Raises:
        InputError: The message cannot be read; the text says why, for the person.
    """
    action = message.get("action")
    if action not in ACTIONS:
        raise InputError(f"{in_one_line(repr(action))} is nothing that can be decided; there are {', '.join(ACTIONS)}")
    arguments = _edited(_text(message, "arguments_json"), call) if action == "edit" else None
    response = _text(message, "response") if action == "respond" else None
    always = _scope(message["always"]) if message.get("always") is not None else None
    try:
        decision = Decision(
            action=action, arguments=arguments, reason=_reason(message), response=response, always=always
        )
    except ValidationError as exc:
        raise InputError(_problem(exc)) from exc
    is_unchanged = arguments is not None and _canonical(arguments) == _canonical(call.arguments)
    return Decision(action="approve") if is_unchanged else decision


def _edited(text: str, call: PendingCall) -> dict[str, Any]:
    arguments = restored(_arguments(text), call.arguments)
    try:
        orjson.dumps(arguments)
    except TypeError as exc:
        raise InputError(f"these arguments cannot be written as JSON: {exc}") from exc
    return arguments


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)  # whole numbers stay what they are
    except (ValueError, RecursionError) as exc:
        raise InputError(f"the arguments are not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise InputError("the arguments must be a JSON object: { … }")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number that JSON can hold")
    return value


def _canonical(arguments: Mapping[str, Any]) -> bytes:
    return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)


def _scope(always: Any) -> Scope:
    if not isinstance(always, dict) or always.keys() - {"kind", "where", "uses"}:
        raise InputError("`always` must say `kind`, and perhaps `where` and `uses`")
    try:
        return Scope.model_validate(always, strict=False)
    except ValidationError as exc:
        raise InputError(_problem(exc)) from exc


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise InputError(f"the page sent no `{name}`")
    return value


def _reason(message: Mapping[str, Any]) -> str | None:
    return None if message.get("reason") is None else _text(message, "reason")


def _problem(error: ValidationError) -> str:
    return "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors(include_url=False))


def _folder(value: Any) -> str | None:
    """The folder of what looks like a path; None for anything else."""
    if not isinstance(value, str) or "/" not in value.strip("/") or "://" in value or any(c.isspace() for c in value):
        return None
    folder = value.rstrip("/").rpartition("/")[0]
    return folder if folder.strip("./~") else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
