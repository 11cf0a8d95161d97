"""Tool rules: which tools may be called when, and what a call means for the end of the run.

    rules = ToolRules(RunFirst("plan"), ChildTools("plan", children=("search",)), ExitLoop("send_message"))

Rules are data. They look at the calls that really ran, each once, and at what the tools really returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from agentlab.agent.tool_rule_kinds import (
    AnyRule,
    ChildTools,
    Conditional,
    ContinueLoop,
    ExitLoop,
    MaxCount,
    ParentLast,
    RequiredBeforeExit,
    RequiresApproval,
    Rule,
    RunFirst,
)
from agentlab.errors import InputError
from agentlab.messages.envelopes import AUTOMATED
from agentlab.messages.parts import Value


class PastCall(Value):
    """A call that ran: what the rules look back on."""

    tool: str
    success: bool
    returned: str | None = None


class Offer(Value):
    """What may be called now."""

    tools: tuple[str, ...]
    demanded: bool
    """A rule demands that one of them is called."""
    arguments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tool to arguments that stand in for the model's."""
    because: tuple[str, ...] = ()
    """The rules that narrow the choice, in words."""


class ToolRules(Value):
    """A set of rules, and what they say at each point of a run."""

    rules: tuple[AnyRule, ...] = ()

    def __init__(self, *rules: Rule, **fields: Any) -> None:
        super().__init__(**({"rules": rules} if rules else {}), **fields)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # a set of rules is gone through rule by rule
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    @property
    def in_order(self) -> bool:
        """Some rule depends on the order of calls, so they run one after the other."""
        return any(isinstance(rule, (RunFirst, ChildTools, ParentLast, Conditional, MaxCount)) for rule in self.rules)

    def offer(self, available: Sequence[str], past: Sequence[PastCall]) -> Offer:
        """What may be called after these calls."""
        first = self._of(RunFirst)
        if first and not past:
            names = [rule.tool for rule in first]
            return Offer(
                tools=tuple(name for name in available if name in names),
                demanded=True,
                arguments={rule.tool: rule.arguments for rule in first if rule.arguments},
                because=tuple(rule.describe() for rule in first),
            )
        return self._offer_after(available, past)

    def ends(self, tool: str) -> bool:
        """The run ends after this tool."""
        return any(rule.tool == tool for rule in self._of(ExitLoop))

    def goes_on(self, called: Sequence[str]) -> str | None:
        """Why there must be another step after these calls; None when no rule says so."""
        for rule in self.rules:
            follows = bool(called) and rule.tool == called[-1] and isinstance(rule, _FOLLOWED)
            if follows or (isinstance(rule, ContinueLoop) and rule.tool in called):
                return f"{AUTOMATED}{rule.describe()}"
        return None

    def uncalled(self, available: Iterable[str], past: Sequence[PastCall]) -> tuple[str, ...]:
        """Tools that must still be called before the end, and may be."""
        called = {call.tool for call in past if call.success}
        used_up = {rule.tool for rule in self._of(MaxCount) if _is_used_up(rule, past)}
        names = dict.fromkeys(rule.tool for rule in self._of(RequiredBeforeExit))
        return tuple(name for name in names if name in set(available) - called - used_up)

    def needs_approval(self, tool: str) -> bool:
        """A person must approve each call of this tool."""
        return any(rule.tool == tool for rule in self._of(RequiresApproval))

    def describe(self) -> str:
        """The rules in words for the model; empty when there is none."""
        if not self.rules:
            return ""
        lines = "\n".join(f"- {rule.describe()}" for rule in self.rules)
        return f"<tool_usage_rules>\n{lines}\n</tool_usage_rules>"

    def check(self, tools: Mapping[str, Iterable[str]], *, text_ends: bool) -> None:
        """Return when the rules can be kept with these tools.

        Args:
            tools: Tool to the names of its parameters.
            text_ends: A reply of text ends the turn, where no rule demands a call.

        Raises:
            InputError: A rule names an unknown tool or parameter, calls would follow each other without an end, or a
                demanded tool can never be called.
        """
        self._check_names(tools)
        self._check_exits(tools, text_ends=text_ends)
        self._check_reach(tools)

    def _of(self, kind: type[Any]) -> list[Any]:
        return [rule for rule in self.rules if isinstance(rule, kind)]

    def _offer_after(self, available: Sequence[str], past: Sequence[PastCall]) -> Offer:
        allowed, because, demanded = set(available), [], False
        arguments: dict[str, dict[str, Any]] = {}
        last = past[-1] if past else None
        for rule in self.rules:
            narrowed = self._narrow(rule, allowed, last, past)
            if narrowed is None:
                continue
            if narrowed != allowed:
                because.append(rule.describe())
            allowed = narrowed
            if last is not None and rule.tool == last.tool and not isinstance(rule, MaxCount):
                demanded = True
                arguments |= rule.arguments if isinstance(rule, ChildTools) else {}
        return Offer(
            tools=tuple(name for name in available if name in allowed),
            demanded=demanded,
            arguments=arguments,
            because=tuple(because),
        )

    @staticmethod
    def _narrow(rule: Rule, allowed: set[str], last: PastCall | None, past: Sequence[PastCall]) -> set[str] | None:
        """What the rule leaves of the allowed tools; None when it has no say now."""
        just_called = last is not None and last.tool == rule.tool
        if isinstance(rule, ChildTools) and just_called:
            return allowed & set(rule.children)
        if isinstance(rule, Conditional) and just_called:
            following = rule.next_tools(last.returned if last else None)
            return None if following is None else allowed & set(following)
        if isinstance(rule, ParentLast):
            return allowed & set(rule.children) if just_called else allowed - set(rule.children)
        if isinstance(rule, MaxCount) and _is_used_up(rule, past):
            return allowed - {rule.tool}
        return None

    def _check_names(self, tools: Mapping[str, Iterable[str]]) -> None:
        for rule in self.rules:
            unknown = [name for name in rule.named if name not in tools]
            if unknown:
                raise InputError(f"rule {rule.kind!r} names the tool `{unknown[0]}`; there are: {', '.join(tools)}")
            given = {rule.tool: rule.arguments} if isinstance(rule, RunFirst) else getattr(rule, "arguments", {})
            for tool, arguments in given.items():
                odd = [name for name in arguments if name not in set(tools[tool])]
                if odd:
                    raise InputError(f"rule {rule.kind!r} fills in `{odd[0]}`, which `{tool}` does not take")

    def _check_exits(self, tools: Iterable[str], *, text_ends: bool) -> None:
        following = {tool: self._following(tool, tools) for tool in tools}
        held = self._demands_another if text_ends else lambda tool: self.goes_on([tool]) is not None
        ending = {tool for tool in following if self.ends(tool) or not held(tool)}
        for tool in following:
            if not ending & _reachable([tool], following):
                raise InputError(
                    f"after `{tool}` the rules demand one call after another without an end; "
                    "add `ExitLoop` for one of them, or leave one without a next tool"
                )

    def _check_reach(self, tools: Iterable[str]) -> None:
        following = {tool: self._following(tool, tools) for tool in tools}
        first = [rule.tool for rule in self._of(RunFirst)]
        reached = _reachable(first or self._free(tools), following)
        for rule in self._of(RequiredBeforeExit):
            if rule.tool not in reached:
                raise InputError(f"`{rule.tool}` is required before the end, and the rules never let it be called")

    def _demands_another(self, tool: str) -> bool:
        """A rule demands another call directly after this tool, whatever it returns."""
        rules = [rule for rule in self.rules if rule.tool == tool and isinstance(rule, _FOLLOWED)]
        return any(not (isinstance(rule, Conditional) and rule.is_open) for rule in rules)

    def _following(self, tool: str, tools: Iterable[str]) -> set[str]:
        """Tools that may be called directly after this one."""
        found = set() if self._demands_another(tool) else set(self._free(tools))
        for rule in self.rules:
            if rule.tool == tool and isinstance(rule, _FOLLOWED):
                found |= set(rule.named[1:])
        return found

    def _free(self, tools: Iterable[str]) -> list[str]:
        """Tools that may be called without a certain one before."""
        bound = {child for rule in self._of(ParentLast) for child in rule.children}
        return [tool for tool in tools if tool not in bound]


NO_RULES = ToolRules()

_FOLLOWED = (ChildTools, ParentLast, Conditional)
"""Rules that say what may be called directly after their tool."""


def _is_used_up(rule: MaxCount, past: Sequence[PastCall]) -> bool:
    return sum(call.tool == rule.tool for call in past) >= rule.max_count


def _reachable(start: Iterable[str], following: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        tool = waiting.pop()
        if tool not in reached:
            reached.add(tool)
            waiting.extend(following.get(tool, ()))
    return reached
