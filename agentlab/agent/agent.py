"""An agent: a model, tools, and the settings that decide how they work together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError

from agentlab import clock
from agentlab.agent.approval_policy import ApprovalPolicy, policy_in_force
from agentlab.agent.compaction import Compaction, NoCompaction
from agentlab.agent.differences import AgentDiffersWarning, differences_between
from agentlab.agent.front_end import prepare_screen
from agentlab.agent.grants import Grants
from agentlab.agent.heartbeat import HeartbeatPolicy
from agentlab.agent.heartbeats import OnRequest, asks_for_cost
from agentlab.agent.inbox import RunStore
from agentlab.agent.limits import Limits, Retries
from agentlab.agent.memory import Memory
from agentlab.agent.protocol import Memgpt, Native, TalkProtocol
from agentlab.agent.run import Run
from agentlab.agent.settings import AgentSettings, collect_tools
from agentlab.agent.state import RunState
from agentlab.agent.tool_rule_kinds import Rule
from agentlab.agent.tool_rules import ToolRules
from agentlab.agent.tools import Tool
from agentlab.agent.wanted import need, need_tags
from agentlab.errors import ConversationError, InputError, RunError
from agentlab.messages import builders, envelopes
from agentlab.messages import history as conversations
from agentlab.messages.message import Message
from agentlab.models.base import ChatModel, ModelParams
from agentlab.trace.events import RunResumed, RunStarted
from agentlab.trace.recorder import Recorder
from agentlab.trace.trace import Trace
from agentlab.version import __version__

Input: TypeAlias = str | Message | Sequence[Message]
History: TypeAlias = "Run | Trace | Sequence[Message]"


class Agent:
    """A model with tools. Starting a run never changes the agent; only its memory, where it has one, learns.

    Args:
        model: Who answers.
        tools: Functions with type hints, or what `@tool` made of them.
        system: The system message; None: what the protocol needs to be understood.
        memory: Blocks of text that stand in the system message, with tools to edit them.
        protocol: `native` (text ends the turn, tool calls go on) or `memgpt` (every reply is a tool call,
            `send_message` speaks to the user, `request_heartbeat` asks for another step).
        inner_thoughts: In `memgpt`: every tool gets a first argument in which the model thinks.
        heartbeat: Decides after each step whether there is another one.
        rules: Which tools may be called when, and what ends the run.
        approval: Which calls run and who says so; None: all run, but for those that a rule sends to a person.
        max_steps: The most steps of one run.
        limits: The most tokens, seconds and dollars of one run.
        retries: How often faults of the model are forgiven.
        compaction: What is done when the conversation is longer than the model's window.
        context_window_tokens: What the model can read at once; None: what the model says of itself, if it does.
        params: Sampling settings, such as `{"temperature": 0}`.
        parallel_tool_calls: Whether the model may ask for several calls in one reply.
        timezone: IANA name of the zone of the times that the model reads.
        tool_return_limit_chars: Longer tool returns are cut, with a note; None: never.
        name: What traces call it.

    Raises:
        InputError: A setting cannot be used; the text says which.
    """

    def __init__(
        self,
        model: ChatModel,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        *,
        system: str | None = None,
        memory: Memory | Mapping[str, str] | None = None,
        protocol: Literal["native", "memgpt"] = "native",
        inner_thoughts: bool = False,
        heartbeat: HeartbeatPolicy | None = None,
        rules: ToolRules | Sequence[Rule] = (),
        approval: ApprovalPolicy | None = None,
        max_steps: int = 50,
        limits: Limits | None = None,
        retries: Retries | None = None,
        compaction: Compaction | None = None,
        context_window_tokens: int | None = None,
        params: ModelParams | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        timezone: str = "UTC",
        tool_return_limit_chars: int | None = 50_000,
        name: str = "agent",
    ) -> None:
        need("model", model, _is_model, "OpenAIModel('gpt-5-mini'), LocalModel() or ScriptedModel([...])")
        need("tools", tools, _is_list, "a list of functions, such as [search]")
        need("system", system, lambda x: x is None or isinstance(x, str), "text, or None")
        need("memory", memory, _is_memory, "a Memory, or labels and texts such as {'human': 'Name: Ann'}")
        need(
            "heartbeat",
            heartbeat,
            lambda x: x is None or isinstance(x, HeartbeatPolicy),
            "a policy such as OnRequest()",
        )
        need("approval", approval, lambda x: x is None or isinstance(x, ApprovalPolicy), "an ApprovalPolicy(...)")
        need("limits", limits, lambda x: x is None or isinstance(x, Limits), "Limits(tokens=20_000) or the like")
        need("max_steps", max_steps, lambda x: type(x) is int, "a whole number")
        if max_steps < 1:
            raise InputError(f"max_steps is {max_steps}; a run needs at least 1")
        envelopes.time_text(clock.now(), timezone)  # an unknown zone is told here, not in the middle of a run
        if heartbeat is not None and asks_for_cost(heartbeat) and (limits is None or limits.price is None):
            raise InputError("a budget of the cost needs the price of tokens: limits=Limits(price=Price(...))")
        talk = _protocol(protocol, inner_thoughts=inner_thoughts)
        blocks = Memory(memory) if isinstance(memory, Mapping) else memory
        found = collect_tools(tools, blocks, talk)
        ruled = rules if isinstance(rules, ToolRules) else ToolRules(*rules)
        parameters = {name: tool.spec.parameters["properties"] for name, tool in found.items()}
        ruled.check(parameters, text_ends=not talk.demands_call)
        if approval is not None:
            approval.check(found)
        self.grants = Grants()
        """What approvers have allowed for good."""
        self._settings = AgentSettings(
            name=name,
            model=model,
            system=talk.default_system() if system is None else system,
            tools=found,
            offered={name: talk.offer(tool, terminal=ruled.ends(name)) for name, tool in found.items()},
            memory=blocks,
            protocol=talk,
            heartbeat=heartbeat or OnRequest(),
            rules=ruled,
            approval=approval,
            limits=limits or Limits(),
            retries=retries or Retries(),
            compaction=compaction or NoCompaction(),
            params=_params(params),
            max_steps=max_steps,
            timezone=timezone,
            tool_return_limit_chars=tool_return_limit_chars,
            parallel_tool_calls=_parallel(parallel_tool_calls, protocol, ruled),
            context_window_tokens=context_window_tokens or getattr(model, "context_window_tokens", None),
        )

    @property
    def name(self) -> str:
        """What traces call it."""
        return self._settings.name

    @property
    def model(self) -> ChatModel:
        """Who answers."""
        return self._settings.model

    @property
    def protocol(self) -> TalkProtocol:
        """How it talks with its model."""
        return self._settings.protocol

    @property
    def timezone(self) -> str:
        """IANA name of the zone of the times that the model reads."""
        return self._settings.timezone

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All tools, also those of memory and protocol."""
        return tuple(self._settings.tools.values())

    @property
    def memory(self) -> Memory | None:
        """The memory blocks, where there are any."""
        return self._settings.memory

    def run(
        self,
        input: Input,  # noqa: A002  # the word of the field
        *,
        history: History | None = None,
        lab: RunStore | None = None,
        tags: Mapping[str, str] | None = None,
        show: bool = True,
    ) -> Run:
        """Start a run: at once where an event loop runs, else with `run.wait()`.

        Args:
            input: What the user says: text, a message, or several messages.
            history: A run or messages whose conversation goes on.
            lab: Where the run is kept; in memory only when not given.
            tags: Labels, for finding and grouping runs.
            show: In a notebook: show the run as it goes. Only the first few runs of a cell are shown.

        Raises:
            InputError: The input is empty, no provider would accept the history, or a tag is no text.
        """
        need_tags(tags)
        run_id = clock.new_run_id()
        messages, earlier = self._input_messages(input), _messages_of(history)
        _refuse_broken(earlier)
        if show:
            prepare_screen()
        settings = self._settings_in_force()
        state = self._state(settings, run_id, Trace(live=True), lab)
        state.recorder.emit(
            RunStarted,
            started_at=clock.now(),
            clock=clock.clock().kind,
            agentlab_version=__version__,
            agent_name=settings.name,
            model=settings.model.name,
            provider=settings.model.provider,
            protocol=settings.protocol.name,
            settings=settings.as_data(),
            tools=tuple(settings.offered.values()),
            parent_run_id=_run_id_of(history),
            tags=dict(tags or {}),
        )
        state.conversation.begin(earlier, messages)
        state.recorder.flush()
        return Run(state).show() if show else Run(state)

    def resume(self, paused: Run | Trace, *, lab: RunStore | None = None, show: bool = True) -> Run:
        """Go on with a run that was paused, or whose process ended: its calls that wait are decided and run.

        Args:
            paused: The run, or its trace.
            lab: Where the run is kept.
            show: In a notebook: show the run as it goes.

        Raises:
            RunError: The run is over, is still running, or was resumed before.
        """
        need(
            "paused",
            paused,
            lambda x: isinstance(x, Run | Trace),
            "a run or its trace; of a lab, lab.resume(run_id, agent)",
        )
        trace = paused.trace if isinstance(paused, Run) else paused
        if trace.status in ("finished", "running"):
            raise RunError(f"run `{trace.run_id}` is {trace.status}: only a paused or interrupted run can be resumed")
        if isinstance(paused, Run) and paused.resumed_as is not None:
            raise RunError(f"run `{trace.run_id}` was resumed before: go on with its `resumed_as`")
        settings = self._settings_in_force()
        differences = differences_between(trace.started, settings)
        chosen_here = () if policy_in_force() is None else ("approval",)
        if unexpected := differences_between(trace.started, settings, but=chosen_here):
            told = "; ".join(unexpected)
            warnings.warn(f"the agent differs from the recorded one: {told}", AgentDiffersWarning, stacklevel=2)
        state = self._state(settings, trace.run_id, Trace(trace.events, live=True), lab)
        state.take_up()
        if isinstance(paused, Run):
            state.left = paused.decided_since()
        state.recorder.emit(RunResumed, resumed_at=clock.now(), differences=differences)
        state.recorder.flush()
        run = Run(state)
        if isinstance(paused, Run):
            paused.resumed_as = run
        return run.show() if show else run

    def to_yaml(self) -> str:
        """The settings and policies as YAML. Model and tools are only named in it: they are code, and stay outside."""
        from agentlab.agent.yaml_settings import settings_to_yaml  # the YAML library is loaded by who needs it

        return settings_to_yaml(self._settings)

    @classmethod
    def from_yaml(
        cls,
        text: str,
        *,
        model: ChatModel,
        tools: Sequence[Tool | Callable[..., Any]] = (),
        functions: Sequence[Callable[..., Any]] = (),
        models: Sequence[ChatModel] = (),
    ) -> Agent:
        """An agent from what `to_yaml` wrote.

        Args:
            text: The YAML.
            model: Who answers.
            tools: The functions of its tools.
            functions: Those that approvers call, found by name.
            models: Those that judge tool calls, found by name.

        Raises:
            InputError: The text is no such YAML, or names a tool, function or model that was not given.
        """
        from agentlab.agent.yaml_settings import settings_from_yaml

        return cls(model, tools, **settings_from_yaml(text, tools=tools, functions=functions, models=models))

    def _settings_in_force(self) -> AgentSettings:
        """The settings of a run that begins now: in a block of `approval`, with its policy."""
        policy = policy_in_force()
        if policy is None:
            return self._settings
        policy.check(self._settings.tools)
        return replace(self._settings, approval=policy)

    def _state(self, settings: AgentSettings, run_id: str, trace: Trace, lab: RunStore | None) -> RunState:
        recorder = Recorder(run_id, trace, None if lab is None else lab.journal(run_id))
        return RunState(settings, recorder, self.grants, lab)

    def __repr__(self) -> str:
        settings = self._settings
        tools = ", ".join(settings.tools)
        return (
            f"<Agent {settings.name!r}: {settings.model.provider}/{settings.model.name}, {settings.protocol.name}, "
            f"tools: {tools or 'none'}>"
        )

    def _input_messages(self, given: Input) -> list[Message]:
        if isinstance(given, str):
            if not given.strip():
                raise InputError("the prompt is empty; say what the agent shall do")
            text = self._settings.protocol.user_text(given, self._settings.timezone)
            return [builders.user_message(text)]
        need("input", given, lambda x: isinstance(x, Message) or _is_list(x), "text, a message, or a list of messages")
        messages = [given] if isinstance(given, Message) else list(given)
        if not messages:
            raise InputError("the list of input messages is empty; give at least one user message")
        for message in messages:
            if not isinstance(message, Message):
                raise InputError(f"input holds {type(message).__name__}: give text or messages made by the builders")
        return messages


def _is_model(value: object) -> bool:
    return all(hasattr(value, name) for name in ("name", "provider", "stream")) and not isinstance(value, type)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_memory(value: object) -> bool:
    if value is None or isinstance(value, Memory):
        return True
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


def _params(given: ModelParams | Mapping[str, Any] | None) -> ModelParams:
    if isinstance(given, ModelParams):
        return given
    need("params", given, lambda x: x is None or isinstance(x, Mapping), "settings such as {'temperature': 0}")
    try:
        return ModelParams(**(given or {}))
    except ValidationError as exc:
        told = "; ".join(f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in exc.errors(include_url=False))
        known = ", ".join(ModelParams.model_fields)
        raise InputError(f"params cannot be used: {told}. There are: {known}") from exc


def _protocol(name: str, *, inner_thoughts: bool) -> TalkProtocol:
    if name == "memgpt":
        return Memgpt(inner_thoughts=inner_thoughts)
    if name != "native":
        raise InputError(f"protocol is {name!r}; it takes 'native' or 'memgpt'")
    if inner_thoughts:
        raise InputError("inner thoughts are an argument of `memgpt` tools; set protocol='memgpt' to have them")
    return Native()


def _parallel(wanted: bool | None, protocol: str, rules: ToolRules) -> bool:
    """Several calls in one reply: by default in `native`, where no rule depends on their order."""
    return protocol == "native" and not rules.in_order if wanted is None else wanted


def _messages_of(history: History | None) -> list[Message]:
    if history is None:
        return []
    need("history", history, lambda x: isinstance(x, (Run, Trace)) or _is_list(x), "a run, a trace, or messages")
    trace = history.trace if isinstance(history, Run) else history
    if isinstance(trace, Trace) and trace.waiting:
        calls = ", ".join(f"`{record.call_id}` ({record.tool})" for record in trace.waiting)
        how = "decide and await it" if trace.status == "running" else "decide and resume it"
        raise ConversationError(f"the run waits for a decision on {calls}: {how} before its conversation goes on")
    if isinstance(trace, Trace) and trace.status == "running":
        raise ConversationError(f"run `{trace.run_id}` is still running: await it before its conversation goes on")
    return list(history.messages if isinstance(history, (Run, Trace)) else history)


def _run_id_of(history: History | None) -> str | None:
    if isinstance(history, Run):
        return history.id
    return history.run_id if isinstance(history, Trace) else None


def _refuse_broken(messages: Sequence[Message]) -> None:
    problems = conversations.lint(messages)
    if problems:
        told = "; ".join(str(problem) for problem in problems[:3])
        raise ConversationError(f"a provider would refuse this history: {told}. `history.mend(messages)` repairs it")
