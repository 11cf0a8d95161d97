"""Events as columns, straight from their JSON: no event and no message is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pyarrow as pa

from agentlab.errors import StoreError
from agentlab.trace.events import EVENT_TYPES

_PURPOSE = " purpose"
"""Where a reply notes the purpose of the call that it answers; no event has a field of this name."""

_OWN = ("run_id", "step", "seq", "t_ns", "type", _PURPOSE)
"""What is not told again in `data`."""

_OUTCOMES = {
    "approval_decided": "action",
    "tool_returned": "status",
    "error_raised": "code",
    "continuation_decided": "stop_reason",
    "run_finished": "stop_reason",
}
"""The field of each type that says what came of it."""

Raw = dict[str, Any]


def event_columns(texts: Iterable[tuple[str, str]], names: Iterable[str]) -> dict[str, pa.Array]:
    """The columns of events, but for their times: those are `t_ns`, from the first event of the run [ns].

    Types that this version does not know are left out.

    Args:
        texts: For each run JSON arrays of its events, in order.
        names: The columns that are needed.

    Raises:
        StoreError: The text of a run holds no events.
    """
    wanted = {name: _COLUMNS[name] for name in names if name in _COLUMNS}
    found: dict[str, list[Any]] = {name: [] for name in ("run_id", "t_ns", *wanted)}
    zeros_ns: dict[str, int] = {}
    purposes: dict[tuple[str, int], str] = {}
    for run_id, text in texts:
        try:
            for raw in orjson.loads(text):
                zero_ns = zeros_ns.setdefault(run_id, raw["t_ns"])
                if raw["type"] not in EVENT_TYPES:
                    continue
                _note_purpose(raw, purposes)
                found["run_id"].append(run_id)
                found["t_ns"].append(raw["t_ns"] - zero_ns)
                for name, value in wanted.items():
                    found[name].append(value(raw))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise StoreError(f"the events of {run_id} are damaged: {exc!r:.80}") from exc
    kinds = {"step": pa.int64(), "seq": pa.int64(), "t_ns": pa.int64()}
    return {name: pa.array(values, kinds.get(name, pa.string())) for name, values in found.items()}


def _note_purpose(raw: Raw, purposes: dict[tuple[str, int], str]) -> None:
    """Note the purpose of a call, also with the reply that answers it."""
    run_id = raw["run_id"]
    if raw["type"] == "model_called":
        raw[_PURPOSE] = purposes[run_id, raw["seq"]] = purposes[run_id, -1] = raw.get("purpose", "step")
    elif raw["type"] == "model_replied":
        called = raw.get("called_seq")
        raw[_PURPOSE] = purposes.get((run_id, -1 if called is None else called))


def _outcome(raw: Raw) -> Any:
    field = _OUTCOMES.get(raw["type"])
    return None if field is None else raw.get(field)


def _data(raw: Raw) -> str:
    return orjson.dumps({name: value for name, value in raw.items() if name not in _OWN}).decode()


def _of_message(field: str) -> Callable[[Raw], Any]:
    return lambda raw: raw["message"].get(field) if raw["type"] == "message_added" else None


_COLUMNS: dict[str, Callable[[Raw], Any]] = {
    "step": lambda raw: raw["step"],
    "seq": lambda raw: raw["seq"],
    "type": lambda raw: raw["type"],
    "call_id": lambda raw: raw.get("call_id"),
    "tool": lambda raw: raw.get("tool"),
    "message_id": _of_message("id"),
    "role": _of_message("role"),
    "purpose": lambda raw: raw.get(_PURPOSE),
    "outcome": _outcome,
    "data": _data,
}
