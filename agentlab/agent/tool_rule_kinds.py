"""The kinds of tool rules: each says one thing about one tool, as data and in words for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import Field, field_validator, model_validator

from agentlab.errors import InputError
from agentlab.messages.parts import Value
from agentlab.trace.safe import in_one_line


class Rule(Value):
    """Base of the rules; each is about one tool."""

    kind: str
    tool: str

    def __init__(self, tool: str | None = None, /, *rest: object, **fields: Any) -> None:
        if rest:
            named = ", ".join(f"{name}=…" for name in type(self).model_fields if name not in ("kind", "tool"))
            wanted = f"what comes after it by name: {named}" if named else "nothing after it"
            raise InputError(f"{type(self).__name__} takes one tool, and {wanted}; not {in_one_line(repr(rest[0]))}")
        super().__init__(**({"tool": tool} if tool is not None else {}), **fields)

    @property
    def named(self) -> tuple[str, ...]:
        """Every tool that the rule names."""
        return (self.tool,)

    def describe(self) -> str:
        """The rule in words for the model."""
        raise NotImplementedError


class RunFirst(Rule):
    """Before any other call only this tool (and others that run first) may be called."""

    kind: Literal["run_first"] = "run_first"
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments that stand in for the model's."""

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"Call `{self.tool}` first."


class ChildTools(Rule):
    """Directly after the tool only its children may be called, and one of them must be."""

    kind: Literal["constrain_child_tools"] = "constrain_child_tools"
    children: tuple[str, ...] = Field(min_length=1)
    arguments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Child to arguments that stand in for the model's."""

    @model_validator(mode="after")
    def _fills_in_for_its_children(self) -> ChildTools:
        others = set(self.arguments) - set(self.children)
        if others:
            raise ValueError(f"arguments are given for {min(others)!r}, which is none of the children")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """Every tool that the rule names."""
        return (self.tool, *self.children)

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"Directly after `{self.tool}` call {_one_of(self.children)}."


class ParentLast(Rule):
    """The children may be called only directly after the tool, and then only they."""

    kind: Literal["parent_last_tool"] = "parent_last_tool"
    children: tuple[str, ...] = Field(min_length=1)

    @property
    def named(self) -> tuple[str, ...]:
        """Every tool that the rule names."""
        return (self.tool, *self.children)

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"Call {_one_of(self.children)} directly after `{self.tool}` and at no other time."


class Conditional(Rule):
    """What the tool returned picks the next tool."""

    kind: Literal["conditional"] = "conditional"
    outputs: dict[str, str] = Field(min_length=1)
    """Return to next tool. Returns and keys are compared as truth values, numbers or texts, whichever they read as."""
    default: str | None = None
    """Next tool when nothing matches; None: any tool."""
    strict: bool = False
    """Nothing may be called when nothing matches: the run stops and says so."""

    @field_validator("outputs", mode="before")
    @classmethod
    def _keys_differ(cls, outputs: Any) -> Any:
        if not isinstance(outputs, dict):
            return outputs
        read = [_as_read(key) for key in outputs]
        twice = [key for key in read if read.count(key) > 1]
        if twice:
            raise ValueError(f"two keys read as {twice[0]!r}")
        return dict(zip(read, outputs.values(), strict=True))

    @property
    def is_open(self) -> bool:
        """Some return leaves the choice free."""
        return self.default is None and not self.strict

    @property
    def named(self) -> tuple[str, ...]:
        """Every tool that the rule names."""
        return (self.tool, *self.outputs.values(), *([self.default] if self.default else []))

    def next_tools(self, returned: str | None) -> tuple[str, ...] | None:
        """What may be called now; None: anything."""
        tool = self.outputs.get(_as_read(returned or ""), self.default)
        if tool is not None:
            return (tool,)
        return () if self.strict else None

    def describe(self) -> str:
        """The rule in words for the model."""
        cases = "; ".join(f"{key!r}: `{tool}`" for key, tool in self.outputs.items())
        rest = f"; otherwise `{self.default}`" if self.default else ""
        return f"After `{self.tool}` its return says what to call: {cases}{rest}."


class MaxCount(Rule):
    """The tool may be called so many times in a run."""

    kind: Literal["max_count_per_step"] = "max_count_per_step"
    max_count: int = Field(ge=1)

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"Call `{self.tool}` at most {self.max_count} times."


class ExitLoop(Rule):
    """The run ends after the tool."""

    kind: Literal["exit_loop"] = "exit_loop"

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"`{self.tool}` ends your turn."


class ContinueLoop(Rule):
    """There is always another step after the tool."""

    kind: Literal["continue_loop"] = "continue_loop"

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"You always get another step after `{self.tool}`."


class RequiredBeforeExit(Rule):
    """The run may not end by itself before the tool was called with success."""

    kind: Literal["required_before_exit"] = "required_before_exit"

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"Call `{self.tool}` at least once before your turn ends."


class RequiresApproval(Rule):
    """A person must approve each call of the tool."""

    kind: Literal["requires_approval"] = "requires_approval"

    def describe(self) -> str:
        """The rule in words for the model."""
        return f"A person must approve each call of `{self.tool}`."


AnyRule: TypeAlias = Annotated[
    RunFirst
    | ChildTools
    | ParentLast
    | Conditional
    | MaxCount
    | ExitLoop
    | ContinueLoop
    | RequiredBeforeExit
    | RequiresApproval,
    Field(discriminator="kind"),
]


def _as_read(value: object) -> str:
    """A return or a key in the form in which it is compared: `true`, `7` for 7.0, other text as it is."""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    try:
        number = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if not isinstance(number, (int, float)):
        return text
    return str(int(number)) if number == number // 1 else str(number)


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)
