"""The frames, the picture and the live view as methods: `run.steps_df()`, `lab.messages_df()`, `run.view()`.

The work is done by `agentlab.analysis` and `agentlab.widgets`, floors above. Nothing here imports them: `_HOMES` says
by name where each view lives, and it is loaded with the first call, so a run that nobody looks at never loads pandas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from agentlab.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from agentlab.lab.listing import RunInfo
    from agentlab.widgets.compare_view import CompareView
    from agentlab.widgets.lab_browser import LabBrowser
    from agentlab.widgets.trace_view import TraceView

Plot: TypeAlias = Literal["waterfall", "ttft_ecdf", "tokens_by_step", "token_gaps", "context_growth", "cost_vs_success"]
"""The pictures of runs."""

_HOMES = {
    "runs_df": "agentlab.analysis.frames",
    "steps_df": "agentlab.analysis.frames",
    "messages_df": "agentlab.analysis.frames",
    "tool_calls_df": "agentlab.analysis.frames",
    "approvals_df": "agentlab.analysis.frames",
    "chunks_df": "agentlab.analysis.frames",
    "events_df": "agentlab.analysis.frames",
    "to_parquet": "agentlab.analysis.export",
    "latency_df": "agentlab.analysis.latency_frames",
    "definitions_df": "agentlab.analysis.latency_frames",
    "gaps_df": "agentlab.analysis.gaps",
    "usage_df": "agentlab.analysis.usage",
    "context_df": "agentlab.analysis.context",
    "ledger": "agentlab.analysis.usage",
    **dict.fromkeys(get_args(Plot), "agentlab.analysis.plots"),
    "CompareView": "agentlab.widgets.compare_view",
    "LabBrowser": "agentlab.widgets.lab_browser",
    "TraceView": "agentlab.widgets.trace_view",
    "view_in_lab": "agentlab.widgets.trace_view",
}
"""Where each view lives. The only place in the lower rooms that names `analysis` and `widgets`."""


def view(name: str) -> Any:
    """The function behind a view, loaded now."""
    return getattr(import_module(_HOMES[name]), name)


class Frames:
    """The frames of whatever inherits this: a run, a trace, a lab.

    Each takes the keywords of the function of its name: `columns`, `where`, `limit`, `engine` and others.
    """

    def runs_df(self, **query: Any) -> Any:
        """One row a run: status, times, tokens, counts."""
        return view("runs_df")(self, **query)

    def steps_df(self, **query: Any) -> Any:
        """One row a step: first-token times, tokens, tool time, the decision."""
        return view("steps_df")(self, **query)

    def messages_df(self, **query: Any) -> Any:
        """One row a message, in the order in which they joined the conversation."""
        return view("messages_df")(self, **query)

    def tool_calls_df(self, **query: Any) -> Any:
        """One row a tool call: arguments, outcome, duration."""
        return view("tool_calls_df")(self, **query)

    def approvals_df(self, **query: Any) -> Any:
        """One row a decision about a tool call, and one for each call that waits."""
        return view("approvals_df")(self, **query)

    def chunks_df(self, **query: Any) -> Any:
        """One row a server-sent event of the model's replies: arrival, kind, size."""
        return view("chunks_df")(self, **query)

    def events_df(self, **query: Any) -> Any:
        """One row an event: what happened, when, to which call or message, and all that was recorded of it."""
        return view("events_df")(self, **query)

    def to_parquet(self, folder: str | Path) -> Path:
        """Write all frames into a folder of Parquet files, for other tools and for `messages_df("folder")`.

        For other tools, a message that a run took over from its parent stands in the rows of both (source `history`).

        Args:
            folder: Where; an older export there is replaced, anything else refused.
        """
        written: Path = view("to_parquet")(self, folder)
        return written

    def latency_df(self, definition: str | Sequence[str] = "agentlab", **settings: Any) -> Any:
        """One row a model call: its latencies, as we, vLLM, guidellm, aiperf, OTel or Letta measure them.

        Settings are those of `latency_df`.
        """
        return view("latency_df")(self, definition=definition, **settings)

    def definitions_df(self, measure: str = "ttft_s", **settings: Any) -> pd.DataFrame:
        """One row a model call: one measure by everybody's definition side by side."""
        frame: pd.DataFrame = view("definitions_df")(self, measure=measure, **settings)
        return frame

    def gaps_df(self, definition: str = "agentlab", **settings: Any) -> Any:
        """One row a gap between two chunks of a reply; settings as those of `gaps_df`."""
        return view("gaps_df")(self, definition=definition, **settings)

    def usage_df(self, by: str | Sequence[str] = "call", **settings: Any) -> pd.DataFrame:
        """The token ledger, or totals of it by step, run, model, tool or role; settings as those of `usage_df`."""
        frame: pd.DataFrame = view("usage_df")(self, by=by, **settings)
        return frame

    def context_df(self, **settings: Any) -> Any:
        """One row a step and part of its prompt: how the context grew; settings as those of `context_df`."""
        return view("context_df")(self, **settings)

    def ledger(self, **settings: Any) -> Any:
        """The token ledger: totals, costs, and what does not hold among the counts; settings as those of `ledger`."""
        return view("ledger")(self, **settings)

    def plot(self, kind: Plot = "ttft_ecdf", ax: Axes | None = None, **settings: Any) -> Axes:
        """A picture, by the name of its function in `agentlab`.

        Args:
            kind: `ttft_ecdf`, `tokens_by_step`, `token_gaps`, `context_growth` or `cost_vs_success`; of one run also
                `waterfall`.
            ax: Where to draw; a new figure when not given.
            settings: Those of the function, such as `by="variant"`.

        Raises:
            InputError: There is no such picture.
        """
        if kind not in get_args(Plot):
            raise InputError(f"there is no plot {kind!r:.80}; there are {', '.join(get_args(Plot))}")
        axes: Axes = view(kind)(self, ax=ax, **settings)
        return axes


class FrameViews(Frames):
    """The frames of one run, and its picture."""

    def plot(self, kind: Plot = "waterfall", ax: Axes | None = None, **settings: Any) -> Axes:
        """A picture: the waterfall of model, tool, human and idle time by step, or another by its name.

        Args:
            kind: `waterfall`, `tokens_by_step`, `context_growth`, `token_gaps`, `ttft_ecdf` or `cost_vs_success`.
            ax: Where to draw; a new figure when not given.
            settings: Those of the function of this name in `agentlab`.

        Raises:
            InputError: There is no such picture.
        """
        return super().plot(kind, ax, **settings)

    def view(self) -> TraceView:
        """The trace as a widget: every step to open, search and filter; a run that goes on is shown as it goes."""
        widget: TraceView = view("TraceView")(self)
        return widget

    def at(self, row: Mapping[str, Any] | pd.Series) -> TraceView:
        """The widget, at what a row of a frame is about: `run.at(run.messages_df().iloc[7])`.

        Args:
            row: A row of a frame of messages, tool calls, approvals, steps or chunks.

        Raises:
            InputError: It is of another run.
        """
        widget: TraceView = view("TraceView")(self, at=row)
        return widget

    def diff(self, other: Any) -> CompareView:
        """This run and another side by side, with their first difference marked; settings above, totals below.

        Args:
            other: A run or a trace.

        Raises:
            InputError: It is something else.
        """
        widget: CompareView = view("CompareView")(self, other)
        return widget


class LabViews(Frames):
    """The frames of the runs of a lab, and views of them."""

    def view(self, run: str | RunInfo) -> TraceView:
        """A run as a widget; one that has not ended is followed, and its calls that wait are decided there.

        Args:
            run: Its id, the beginning of its id, or its entry in `runs()`.

        Raises:
            InputError: No run has such an id, or several have.
        """
        widget: TraceView = view("view_in_lab")(self, run)
        return widget

    def browse(self) -> LabBrowser:
        """The runs in a table to look through: sort and filter them, open one, compare two."""
        widget: LabBrowser = view("LabBrowser")(self)
        return widget
