"""Approval: which tool calls run, and who says so.

    ApprovalPolicy(
        rules=(
            ApprovalRule(tool="search", decide="approve"),
            ApprovalRule(tool="pay", where=("amount > 100",), decide="ask"),
            ApprovalRule(tool_glob="delete_*", decide="deny", reason="nothing is deleted here"),
        ),
        unattended="deny",
    )

A policy is data: an ordered chain of rules. Each rule decides or hands on to the next; when none decides, the answer is
no. Who is asked (`approver`) stands in `approvers`.
"""

from __future__ import annotations

import fnmatch
import hashlib
import operator
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import orjson
from pydantic import Field, model_validator

from agentlab.errors import InputError
from agentlab.messages.parts import Value

Verdict: TypeAlias = Literal["approve", "deny", "ask", "respond", "stop", "escalate"]
Unattended: TypeAlias = Literal["deny", "approve", "pause"]

DENIED = "the call was not approved"


def call_hash(tool: str, arguments: Mapping[str, Any]) -> str:
    """What a decision is bound to: the tool's name and its arguments in canonical form."""
    canonical = orjson.dumps([tool, arguments], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


class Scope(Value):
    """How far an "always allow" reaches: exact arguments, a pattern of them, or the tool."""

    kind: Literal["exact", "pattern", "tool"] = "exact"
    where: tuple[str, ...] = ()
    """Of a pattern: conditions on the arguments, such as `path under notes`."""
    uses: int | None = Field(default=None, ge=1)
    """How often it holds; None: without a limit."""
    lifetime_s: float | None = Field(default=None, gt=0)
    """How long it holds [s]; None: as long as the agent lives."""

    @model_validator(mode="after")
    def _pattern_has_conditions(self) -> Scope:
        if (self.kind == "pattern") != bool(self.where):
            raise ValueError("a pattern needs conditions in `where`, and only a pattern has them")
        for text in self.where:
            Condition.parse(text)
        return self


class Decision(Value):
    """What the approver said of one call."""

    action: Literal["approve", "edit", "deny", "respond", "escalate", "stop"]
    arguments: dict[str, Any] | None = None
    """Of an edit: what the tool gets instead."""
    reason: str | None = None
    """Of a denial or a stop: why; the model reads it."""
    response: str | None = None
    """Of a response: what the model reads in the place of the tool's return."""
    always: Scope | None = None
    """Of an approval: later calls that need no question any more."""

    @model_validator(mode="after")
    def _fits_its_action(self) -> Decision:
        for field, action in (("arguments", "edit"), ("response", "respond")):
            if (getattr(self, field) is not None) != (self.action == action):
                raise ValueError(
                    f"`{field}` goes with action '{action}' and with no other; the action is {self.action!r}"
                )
        if self.always is not None and self.action != "approve":
            raise ValueError(f"`always` goes with action 'approve'; the action is {self.action!r}")
        return self


class Condition(Value):
    """A condition on one argument: `amount > 100`, `path under notes`, `to in ["ann", "bob"]`."""

    argument: str
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "under", "like", "contains"]
    value: Any

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition. The value is JSON; a bare word is text.

        Raises:
            InputError: It is no condition.
        """
        match = _CONDITION.fullmatch(text)
        if match is None or match["value"].startswith(("<", ">", "=", "!")):
            raise InputError(
                f"{text!r} is no condition; write an argument, one of ==, !=, <, <=, >, >=, in, not in, under, like, "
                "contains, and a value, such as `amount > 100`"
            )
        return cls(argument=match["argument"], op=" ".join(match["op"].split()), value=_value(match["value"]))

    def holds(self, arguments: Mapping[str, Any]) -> bool:
        """Whether it is true of these arguments. False where the argument is missing or cannot be compared."""
        if self.argument not in arguments:
            return False
        try:
            return bool(_OPERATORS[self.op](arguments[self.argument], self.value))
        except TypeError:
            return False


class ApprovalRule(Value):
    """One link of the chain: which calls it is about, and what it says of them."""

    tool: str | None = None
    """Exactly this tool."""
    tool_glob: str | None = None
    """Tools whose name fits the pattern, such as `delete_*`. Neither: every tool."""
    where: tuple[str, ...] = ()
    """Conditions on the arguments; all must hold."""
    decide: Verdict
    reason: str | None = None
    """Of a denial or a stop: why; the model reads it."""
    response: str | None = None
    """Of `respond`: what the model reads in the place of the tool's return."""

    @model_validator(mode="after")
    def _is_whole(self) -> ApprovalRule:
        if self.tool is not None and self.tool_glob is not None:
            raise ValueError("give `tool` or `tool_glob`, not both")
        if (self.response is not None) != (self.decide == "respond"):
            raise ValueError("`response` goes with decide='respond', and that needs it")
        for text in self.where:
            Condition.parse(text)
        return self

    def matches(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the rule is about this call."""
        if self.tool is not None and self.tool != tool:
            return False
        if self.tool_glob is not None and not fnmatch.fnmatchcase(tool, self.tool_glob):
            return False
        return all(Condition.parse(text).holds(arguments) for text in self.where)


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _under(path: object, folder: object) -> bool:
    """Whether a path lies in a folder or below, by its text alone: `..` is resolved, links are not followed."""
    if not isinstance(path, str) or not isinstance(folder, str) or "\x00" in path:
        return False
    inside, outside = _plain_path(path), _plain_path(folder)
    if outside == ".":
        return not inside.startswith(("/", "..", "~")) and not re.match(r"[A-Za-z]:", inside)
    return inside == outside or inside.startswith(outside.rstrip("/") + "/")


def _plain_path(path: str) -> str:
    return posixpath.normpath(re.sub(r"[\\/]+", "/", path))


_CONDITION = re.compile(
    r"\s*(?P<argument>\w+)\s*(?P<op>==|!=|<=|>=|<|>|\bnot\s+in\b|\bin\b|\bunder\b|\blike\b|\bcontains\b)\s*(?P<value>.+?)\s*"
)

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, among: value in among,
    "not in": lambda value, among: value not in among,
    "under": _under,
    "like": lambda value, pattern: isinstance(value, str) and fnmatch.fnmatchcase(value, str(pattern)),
    "contains": lambda value, part: part in value,
}
