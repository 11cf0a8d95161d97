"""Tool-call deltas as endpoints write them, numbered so that a reader can trust index, id and name.

Endpoints differ: some leave out the index or the id, some use one index for several calls, some repeat the name with
every piece. What comes out: calls are numbered from 0 in the order they began, and the first delta of a call has its
id, made up where the endpoint gave none.
"""

from __future__ import annotations

from typing import Any

import orjson

from agentlab import clock
from agentlab.trace.chunks import ToolCallDelta


class _Call:
    """One call while its pieces arrive."""

    __slots__ = ("arguments", "given_id", "index", "name")

    def __init__(self, index: int, given_id: str | None) -> None:
        self.index = index
        self.given_id = given_id
        self.name = ""
        self.arguments: list[str] = []

    @property
    def is_whole(self) -> bool:
        """True when the arguments so far are complete JSON."""
        try:
            orjson.loads("".join(self.arguments))
        except orjson.JSONDecodeError:
            return False
        return True


class ToolCallNumbers:
    """Numbers the deltas of one reply."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at_index: dict[int, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def delta(self, wire: dict[str, Any]) -> ToolCallDelta:
        """One element of a delta's `tool_calls`, cleaned."""
        given_id, index = str(wire.get("id") or "") or None, wire.get("index")
        function = wire.get("function") or {}
        name, arguments = function.get("name") or "", _text(function.get("arguments"))
        call = self._find(index, given_id, name)
        is_new = call is None
        if call is None:
            call = self._begin(index, given_id)
        new_name = "" if name == call.name else name
        call.name += new_name
        if arguments:
            call.arguments.append(arguments)
        id_ = (given_id or clock.new_call_id()) if is_new else None
        return ToolCallDelta(call.index, id_, new_name or None, arguments)

    def _find(self, index: int | None, given_id: str | None, name: str) -> _Call | None:
        """The open call that a delta belongs to; None: it begins a new one."""
        if index is not None:
            call = self._at_index.get(index)
        elif given_id is not None:
            call = next((c for c in self._calls if c.given_id == given_id), None)
        else:
            call = self._calls[-1] if self._calls else None
        if call is None:
            return None
        if given_id is not None and given_id != call.given_id:
            # A late id on a call that began without one names that call, unless it comes with a name of its own.
            return call if call.given_id is None and not name else None
        if given_id is None and name and call.arguments and (name != call.name or call.is_whole):
            return None
        return call

    def _begin(self, index: int | None, given_id: str | None) -> _Call:
        call = _Call(len(self._calls), given_id)
        self._calls.append(call)
        self._at_index[call.index if index is None else index] = call
        return call


def _text(arguments: Any) -> str:
    """Arguments as JSON text; some endpoints send the object itself."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return orjson.dumps(arguments).decode()
