"""The handle of a run: await it, watch it, decide its calls, cancel it, look at it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from collections.abc import Callable, Generator
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from agentlab.agent.approval import Decision, Scope
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.front_end import outer_run, screen_for
from agentlab.agent.loop import CANCELLED, FAILED, Loop
from agentlab.agent.protocol import spoken_text
from agentlab.agent.state import RunState
from agentlab.agent.wanted import need_decision
from agentlab.errors import ApprovalError, RunError
from agentlab.messages.message import Message
from agentlab.trace.events import ErrorRaised, RunFinished, StopReason
from agentlab.trace.recorder import Following
from agentlab.trace.steps import Step
from agentlab.trace.trace import RunStatus, Trace
from agentlab.trace.usage import Usage
from agentlab.trace.views import FrameViews

_ENDED_BY_ERROR = frozenset({"error", "llm_api_error", "invalid_llm_response", "context_window", "no_tool_allowed"})


_living: WeakValueDictionary[str, Run] = WeakValueDictionary()
"""The runs of this process that somebody has, or that go on; of one that was resumed, what it goes on as."""


def living_run(run_id: str) -> Run | None:
    """The run of this id that goes on in this process; None when none does."""
    run = _living.get(run_id)
    return run if run is not None and run.trace.live else None


class Run(FrameViews):
    """The steps from one input to a stop reason.

    Where an event loop runs (a notebook, a server) it starts at once: `await run` gives it back when it is over,
    `async for event in run` watches it. In a script `run.wait()` does it all.

    A run whose model fails ends with a stop reason that says so and does not raise: see `stop_reason` and `error`.
    A run that waits for decisions nobody can take now is `paused`: `agent.resume(run)` goes on.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._recorder = state.recorder
        self._context = contextvars.copy_context()  # the clock in force here stays in force to the end
        self._inner: WeakSet[Run] = WeakSet()
        """Runs that tools of this one have started. What they ask is asked here."""
        outer = outer_run.get()
        if isinstance(outer, Run):
            outer._inner.add(self)
            state.desk.listeners.add(outer._state.desk.listeners.tell)
        self._context.run(outer_run.set, self)
        self._task: asyncio.Task[None] | None = None
        self._over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._resumed_as: Run | None = None
        _living[self.id] = self
        if _running_loop() is not None:
            self._start()

    @property
    def id(self) -> str:
        """The run's id."""
        return self._recorder.run_id

    @property
    def run_id(self) -> str:
        """The run's id, by the name that frames and labs give it."""
        return self.id

    @property
    def trace(self) -> Trace:
        """All that happened so far."""
        return self._recorder.trace

    @property
    def status(self) -> RunStatus:
        """`running`, `paused`, `finished` or `interrupted`."""
        return self.trace.status

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it ended; None while it has not."""
        return self.trace.stop_reason

    @property
    def error(self) -> ErrorRaised | None:
        """What ended it, when that was an error."""
        errors = self.trace.errors
        return errors[-1] if errors and self.stop_reason in _ENDED_BY_ERROR else None

    @property
    def resumed_as(self) -> Run | None:
        """The run that goes on with this one, which was paused; its calls must not run twice."""
        return self._resumed_as

    @resumed_as.setter
    def resumed_as(self, run: Run) -> None:
        self._resumed_as = run
        self._state.desk.listeners.tell()

    @property
    def messages(self) -> list[Message]:
        """The conversation as it stands."""
        return self.trace.messages

    @property
    def steps(self) -> list[Step]:
        """The steps so far."""
        return self.trace.steps

    @property
    def usage(self) -> Usage:
        """Tokens of all steps; a count that one call lacks is None."""
        return self.trace.usage

    @property
    def text(self) -> str | None:
        """What the agent told the user last; None when it has said nothing."""
        return spoken_text(self.trace)

    @property
    def pending(self) -> list[PendingCall]:
        """Tool calls that wait for a person's decision now; of a paused run, those that it stopped at.

        None of a run that was resumed: they are those of `resumed_as`.
        Calls of the runs that its tools have started are among them: they bear another `run_id`.
        """
        if self._resumed_as is not None:
            return []
        own = self._state.waiting_calls() if self.status == "paused" else self._state.desk.pending
        return own + [call for inner in list(self._inner) for call in inner.pending]

    def decide(self, call_id: str, decision: Decision, *, by: str = "person", call_hash: str | None = None) -> bool:
        """Decide a call that waits, from any thread; False when the same decision was there already.

        Args:
            call_id: The call, from `pending`.
            decision: What to do with it.
            by: Who decides, for the trace.
            call_hash: Hash of the call that was looked at; another call under this id is then refused.

        Raises:
            InputError: It is no decision.
            ApprovalError: No such call waits, or somebody decided otherwise before.
            ToolArgumentError: Edited arguments break the tool's schema; the call still waits.
        """
        need_decision(decision)
        for inner in list(self._inner):
            if any(call.call_id == call_id for call in inner.pending):
                return inner.decide(call_id, decision, by=by, call_hash=call_hash)
        if self.trace.stop_reason is not None:
            raise ApprovalError(f"the run has ended ({self.trace.stop_reason}): nothing is decided any more")
        if self._resumed_as is not None:
            raise ApprovalError(f"run `{self.id}` was resumed: decide its calls at its `resumed_as`")
        return self._state.decide(call_id, decision, by, call_hash)

    def on_pending(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever a call begins or ceases to wait, or the run is resumed; what ends that.

        Args:
            listener: Takes nothing, and looks at `pending` and `resumed_as`. It is called on any thread and must be
                quick; what it raises is logged.
        """
        return self._state.desk.listeners.add(listener)

    def seen(self) -> None:
        """Tell that a page shows the run and can answer; from any thread, at least every second while a call waits.

        Without it, a cell that waits for the run asks by itself.
        """
        self._state.presence.seen()
        for inner in list(self._inner):
            inner.seen()

    def approve(self, call_id: str, *, always: Scope | None = None, by: str = "person") -> bool:
        """Let the call run; with a scope, later ones like it too."""
        return self.decide(call_id, Decision(action="approve", always=always), by=by)

    def edit(self, call_id: str, arguments: dict[str, Any], *, by: str = "person") -> bool:
        """Let the call run with other arguments; the model is told."""
        return self.decide(call_id, Decision(action="edit", arguments=arguments), by=by)

    def deny(self, call_id: str, reason: str | None = None, *, by: str = "person") -> bool:
        """Do not let the call run; the model reads why, and goes on."""
        return self.decide(call_id, Decision(action="deny", reason=reason), by=by)

    def respond(self, call_id: str, text: str, *, by: str = "person") -> bool:
        """Answer in the tool's place."""
        return self.decide(call_id, Decision(action="respond", response=text), by=by)

    def decided_since(self) -> dict[str, Answer]:
        """Of a paused run: the decisions that were taken since, by call id."""
        return dict(self._state.left)

    def now_ns(self) -> int:
        """The time of the run [ns], in which its events stand."""
        return self._recorder.now_ns()

    def when_over(self, act: Callable[[], None]) -> None:
        """Have something done when the run is over or paused, before anybody who waits for it is woken."""
        self._over.add_done_callback(lambda _: act())

    def cancel(self) -> None:
        """Stop as soon as possible, with stop reason `cancelled`. From any thread; harmless when it is over already."""
        task = self._task
        if task is None:
            self._end("cancelled")
        elif _running_loop() is task.get_loop():
            task.cancel()
        elif not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    def wait(self) -> Run:
        """Run to the end, in a script; the run itself.

        Raises:
            RunError: An event loop is running here, as in a notebook: use `await run`.
        """
        if _running_loop() is not None:
            raise RunError("an event loop is running here (a notebook, a server): use `await run` instead of `wait()`")
        if self.trace.live:
            self._context.copy().run(asyncio.run, self._join())
        return self

    def __await__(self) -> Generator[Any, None, Run]:
        return self._join().__await__()

    def __aiter__(self) -> Following:
        self._start()
        return self.follow()

    def follow(self) -> Following:
        """A reader of its events, from the first to the last, in this thread's loop, wherever the run is running."""
        return self._recorder.follow()

    def __repr__(self) -> str:
        return repr(self.trace)

    def __str__(self) -> str:
        return str(self.trace)

    def _repr_mimebundle_(self, **kinds: object) -> dict[str, str]:
        return self.trace._repr_mimebundle_()

    def _repr_html_(self) -> str:
        return self.trace._repr_html_()

    def _ipython_display_(self) -> None:
        """Nothing, in a cell that shows the run already; else what a notebook does by itself."""
        screen = self._state.presence.screen
        if screen is None or not screen.is_in_this_cell():
            raise NotImplementedError

    def show(self) -> Run:
        """Let a notebook show the run from its first event to its last; elsewhere nothing happens."""
        presence = self._state.presence
        if presence.screen is None:
            presence.screen = screen_for(self, attended=presence.attended)
        return self

    def _start(self) -> asyncio.Task[None]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                Loop(self._state).run(), name=self.id, context=self._context.copy()
            )
            self._task.add_done_callback(self._settle)
        return self._task

    def _settle(self, task: asyncio.Task[None]) -> None:
        """Runs before anybody who waits is woken."""
        try:
            self._end("cancelled" if task.cancelled() else "error")
        finally:
            self._over.set_result(None)

    def _end(self, stop_reason: StopReason) -> None:
        """Close the books; a run that was cancelled before its first line has not done so itself."""
        if self.trace.status in ("running", "interrupted") and self.trace.live:
            text = CANCELLED if stop_reason == "cancelled" else FAILED
            self._state.conversation.answer_open_calls(text, "RunError")
            self._recorder.emit(RunFinished, stop_reason=stop_reason)
        if self.trace.live:
            self._recorder.close()

    async def _join(self) -> Run:
        if self.trace.live:
            with self._state.presence.awaited():
                await self._be_over()
        if self._state.presence.screen is not None:
            self._state.presence.screen.awaited()
        return self

    async def _be_over(self) -> None:
        task = self._start()
        if task.get_loop() is not asyncio.get_running_loop():  # another thread's: its tasks cannot be awaited here
            await asyncio.wrap_future(self._over)
            return
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # The waiting code was cancelled (an interrupted cell): the run ends in order first.
            task.cancel()
            await asyncio.wait({task})
            raise


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
