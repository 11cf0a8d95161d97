"""A run shown in the terminal while it happens, and its steps as a table.

Text from models and tools is shown as text: no markup, no control characters.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentlab.agent.run import Run
from agentlab.messages.envelopes import unpack_user_text
from agentlab.trace.events import (
    ContinuationDecided,
    ErrorRaised,
    Event,
    MessageAdded,
    ModelDelta,
    ModelReplied,
    RunFinished,
    RunStarted,
    StepStarted,
    ToolReturned,
    ToolStarted,
)
from agentlab.trace.instants import Instants
from agentlab.trace.safe import in_one_line, visible
from agentlab.trace.trace import Trace
from agentlab.trace.words import count, seconds

_LINE_CHARS = 400


async def show_live(run: Run, console: Console) -> None:
    """Print each event of the run as it comes, the model's words token by token, to the end."""
    screen = _Screen(console)
    async for event in run:
        screen.show(event)


def steps_table(trace: Trace) -> Table:
    """The steps of a run: tools, first token, tokens, times."""
    table = Table(
        title=f"{len(trace.steps)} steps, stop reason: {trace.stop_reason or trace.status}", title_style="bold"
    )
    table.add_column("step", justify="right")
    table.add_column("tool calls")
    for name in ("TTFT", "model", "tools", "tokens in", "tokens out"):
        table.add_column(name, justify="right")
    for step in trace.steps:
        calls = ", ".join(_call_name(call.tool, call.status) for call in step.tool_calls)
        table.add_row(
            str(step.number),
            Text(in_one_line(calls, _LINE_CHARS)),
            seconds(step.ttft_s),
            seconds(_sum_s([c.interval_ns for c in step.model_calls])),
            seconds(_sum_s([c.interval_ns for c in step.tool_calls])),
            count(step.usage.input_tokens),
            count(step.usage.output_tokens),
        )
    table.add_section()
    usage = trace.usage
    table.add_row("all", "", "", "", "", count(usage.input_tokens), count(usage.output_tokens), style="bold")
    return table


def _call_name(tool: str, status: str) -> str:
    return tool if status == "success" else f"{tool} ({status})"


def _sum_s(intervals_ns: list[tuple[int, int] | None]) -> float | None:
    known = [end - start for start, end in filter(None, intervals_ns)]
    return sum(known) / 1e9 if known else None


class _Screen:
    """Prints events; remembers whether the model's words are in the middle of a line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._mid_line = False

    def show(self, event: Event) -> None:
        show = _SHOWS.get(event.type)
        if show is not None:
            show(self, event)

    def _line(self, *parts: tuple[str, str]) -> None:
        if self._mid_line:
            self._console.print()
            self._mid_line = False
        self._console.print(Text.assemble(*parts))

    def run_started(self, event: RunStarted) -> None:
        tools = ", ".join(tool.name for tool in event.tools)
        self._line(("model  ", "dim"), (in_one_line(f"{event.provider}/{event.model}"), "bold"))
        self._line(("tools  ", "dim"), (in_one_line(tools, _LINE_CHARS), ""))

    def message_added(self, event: MessageAdded) -> None:
        if event.source == "input":
            self._line(("user   ", "dim"), (_spoken(event.message.text), "bold"))

    def step_started(self, event: StepStarted) -> None:
        self._line((f"\nstep {event.step}", "bold cyan"))

    def model_delta(self, event: ModelDelta) -> None:
        words = event.tool_name and f"{event.tool_name} "
        text = Text(visible(f"{event.reasoning}{event.content}{words}{event.tool_args}"), style="dim")
        if text:
            if not self._mid_line:
                self._console.print("  ", end="")
            self._mid_line = True
            self._console.print(text, end="", soft_wrap=True)

    def model_replied(self, event: ModelReplied) -> None:
        instants, usage = Instants.of(event.chunks), event.usage
        figures = f"TTFT {seconds(instants.ttft_s)}, {count(usage.input_tokens)} → {count(usage.output_tokens)} tokens"
        self._line(("  model  ", "dim"), (figures, "" if event.complete else "red"))

    def tool_started(self, event: ToolStarted) -> None:
        self._line(("  call   ", "dim"), (in_one_line(f"{event.tool} {event.arguments}", _LINE_CHARS), "yellow"))

    def tool_returned(self, event: ToolReturned) -> None:
        good = event.status == "success"
        text = in_one_line(event.text or "", _LINE_CHARS)
        self._line(("  return " if good else "  failed ", "dim" if good else "red"), (text, "green" if good else "red"))

    def continuation_decided(self, event: ContinuationDecided) -> None:
        decision = "go on" if event.go_on else f"stop: {event.stop_reason}"
        self._line(("  next   ", "dim"), (decision, "dim"))

    def error_raised(self, event: ErrorRaised) -> None:
        self._line((in_one_line(f"{event.error_type}: {event.message}", _LINE_CHARS), "bold red"))

    def run_finished(self, event: RunFinished) -> None:
        self._line(("", ""))


def _spoken(text: str) -> str:
    return in_one_line(unpack_user_text(text), _LINE_CHARS)


_SHOWS = {name: show for name, show in vars(_Screen).items() if not name.startswith("_") and name != "show"}
