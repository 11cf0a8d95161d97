"""What an approver has allowed for good: later calls that need no question, as far as the scope reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentlab import clock
from agentlab.agent.approval import Condition, Scope, call_hash


@dataclass(slots=True)
class Grant:
    """One "always allow"."""

    tool: str
    call_hash: str
    """Of the call that was approved."""
    scope: Scope
    by: str
    granted_ns: int
    uses_left: int | None

    def covers(self, tool: str, arguments: Mapping[str, Any], now_ns: int) -> bool:
        """Whether this call needs no question."""
        lifetime_s = self.scope.lifetime_s
        if tool != self.tool or self.uses_left == 0:
            return False
        if lifetime_s is not None and now_ns - self.granted_ns > lifetime_s * 1e9:
            return False
        if self.scope.kind == "exact":
            return call_hash(tool, arguments) == self.call_hash
        return all(Condition.parse(text).holds(arguments) for text in self.scope.where)


class Grants:
    """The grants of one agent; they live as long as it does, and pass from run to run."""

    def __init__(self) -> None:
        self._grants: list[Grant] = []

    def add(self, tool: str, arguments: Mapping[str, Any], scope: Scope, by: str) -> None:
        """Remember what was allowed."""
        grant = Grant(tool, call_hash(tool, arguments), scope, by, clock.monotonic_ns(), scope.uses)
        self._grants.append(grant)

    def use(self, tool: str, arguments: Mapping[str, Any]) -> Grant | None:
        """The grant that covers this call, one use of it taken; None when there is none."""
        now_ns = clock.monotonic_ns()
        for grant in self._grants:
            if grant.covers(tool, arguments, now_ns):
                if grant.uses_left is not None:
                    grant.uses_left -= 1
                return grant
        return None

    def clear(self) -> None:
        """Forget them all: every call is asked about again."""
        self._grants.clear()

    def __len__(self) -> int:
        return len(self._grants)

    def __repr__(self) -> str:
        told = ", ".join(f"{g.tool} ({g.scope.kind})" for g in self._grants)
        return f"<Grants: {told or 'none'}>"
