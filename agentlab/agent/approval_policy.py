"""The approval policy of an agent: the chain of rules, who is asked, and what happens when nobody can answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from pydantic import Field, ValidationError

from agentlab.agent.approval import ApprovalRule, Condition, Unattended, Verdict
from agentlab.agent.approvers import AnyApprover, Ask
from agentlab.agent.tools import Tool
from agentlab.agent.wanted import need
from agentlab.errors import InputError
from agentlab.messages.parts import Value
from agentlab.models.base import ChatModel


class Judgement(Value):
    """What the rules say of a call."""

    verdict: Verdict
    """Never `escalate`: the last word of the chain is `deny`."""
    rule: str
    """Which rule it was, in words."""
    reason: str | None = None
    response: str | None = None


class ApprovalPolicy(Value):
    """Which calls run and who says so. Rules are asked in order; where none decides, the call is denied."""

    rules: tuple[ApprovalRule, ...] = ()
    approvers: tuple[AnyApprover, ...] = Field(default=(Ask(),), min_length=1)
    """Who is asked by `ask`, in order: each may answer or hand on; where all hand on, the call is denied."""
    unattended: Unattended = "deny"
    """What happens when no approver can answer (nobody is there, or not in time)."""
    denial_text: str = "The call was denied by {by}. Reason: {reason}"
    """What the model reads of a denial; `{by}`, `{tool}` and `{reason}` are filled in."""
    no_reason: str = "none was given"
    """What stands for `{reason}` when there is none."""

    def judge(self, tool: str, arguments: Mapping[str, Any]) -> Judgement:
        """What the chain says of a call with these arguments."""
        for number, rule in enumerate(self.rules, start=1):
            if rule.decide != "escalate" and rule.matches(tool, arguments):
                return Judgement(verdict=rule.decide, rule=f"rule {number}", reason=rule.reason, response=rule.response)
        return Judgement(verdict="deny", rule="no rule", reason="no rule of the approval policy allows it")

    def check(self, tools: Mapping[str, Tool]) -> None:
        """Refuse a rule on an argument that its tool does not take: it never holds, and a denial would let all pass.

        Raises:
            InputError: There is such a rule, for one of these tools.
        """
        for number, rule in enumerate(self.rules, start=1):
            if rule.tool is None or rule.tool not in tools:
                continue
            schema = tools[rule.tool].spec.parameters
            asked = [Condition.parse(text).argument for text in rule.where]
            odd = [name for name in asked if name not in schema["properties"]]
            if odd and not schema.get("additionalProperties"):
                taken = ", ".join(schema["properties"]) or "none"
                raise InputError(
                    f"rule {number} of the approval policy has a condition on `{odd[0]}`, which `{rule.tool}` does not "
                    f"take; its arguments: {taken}"
                )

    def names(self, tool: str) -> bool:
        """Some rule is about this tool by its name."""
        return any(rule.tool == tool for rule in self.rules)

    def to_yaml(self) -> str:
        """The policy as YAML. Functions and models of approvers are only named in it: they are code."""
        from agentlab.agent.plain_yaml import write_yaml  # the YAML library is loaded by who needs it

        return write_yaml(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_yaml(
        cls, text: str, *, functions: Sequence[Callable[..., Any]] = (), models: Sequence[ChatModel] = ()
    ) -> ApprovalPolicy:
        """A policy from what `to_yaml` wrote, or from what somebody wrote by hand.

        Args:
            text: The YAML.
            functions: Those that approvers call, found by name.
            models: Those that judge tool calls, found by name.

        Raises:
            InputError: The text is no such YAML, or names a function or model that was not given.
        """
        from agentlab.agent.plain_yaml import problems, read_yaml

        try:
            policy = cls.model_validate(read_yaml(text))
        except ValidationError as exc:
            raise InputError(f"this YAML does not describe an approval policy: {problems(exc)}") from exc
        return policy.with_code(functions, models)

    def with_code(self, functions: Sequence[Callable[..., Any]], models: Sequence[ChatModel]) -> ApprovalPolicy:
        """The policy with the functions and models of its approvers, of which data hold only the names."""
        by_name = {getattr(f, "__name__", type(f).__name__): f for f in functions}
        judges = {model.name: model for model in models}
        approvers = tuple(approver.with_code(by_name, judges) for approver in self.approvers)
        return self.model_copy(update={"approvers": approvers})

    def tell_denial(self, tool: str, by: str, reason: str | None) -> str:
        """What the model reads of a denial."""
        return (
            self.denial_text.replace("{tool}", tool).replace("{by}", by).replace("{reason}", reason or self.no_reason)
        )


ASK_ALWAYS = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),))
"""Somebody is asked about every call."""

_in_force: ContextVar[ApprovalPolicy | None] = ContextVar("agentlab_approval", default=None)


@contextlib.contextmanager
def approval(policy: ApprovalPolicy) -> Iterator[ApprovalPolicy]:
    """Runs started in this block follow this policy in the place of their agent's.

    Raises:
        InputError: It is no policy.
    """
    need("approval", policy, lambda x: isinstance(x, ApprovalPolicy), "an ApprovalPolicy")
    token = _in_force.set(policy)
    try:
        yield policy
    finally:
        _in_force.reset(token)


def policy_in_force() -> ApprovalPolicy | None:
    """The policy of the block; None outside of one, where each agent has its own."""
    return _in_force.get()
