"""A lab: where runs are kept, in a file or in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pyarrow as pa

from agentlab.agent.approval import Decision
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.wanted import need, need_decision
from agentlab.errors import ApprovalError, InputError, StoreError
from agentlab.lab.deciding import answers_for, answers_to, check_decision, leave_answer, waiting_in, without_keys
from agentlab.lab.encode import encode
from agentlab.lab.finding import Finder
from agentlab.lab.journal import LabJournal
from agentlab.lab.listing import SHOWN, RunInfo, listing_html
from agentlab.lab.reader import LogRow, Moment, Reader
from agentlab.lab.store import Store
from agentlab.trace.events import Event
from agentlab.trace.redact import Redactor
from agentlab.trace.safe import as_html
from agentlab.trace.trace import RunStatus, Trace
from agentlab.trace.views import LabViews

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent, Input
    from agentlab.agent.run import Run

_NAMED_IDS = 5


class Lab(LabViews):
    """Keeps runs, each event as it happens; several processes may write to one file at once.

        lab = Lab("lab.db")
        run = lab.run(agent, "What is in the box?")
        lab.runs(), lab.trace("3f2a"), lab.steps_df()

    Args:
        path: The file, made when it is not there; None: in memory, gone with the process.
        redactor: Takes keys and tokens out of what is written. `Redactor(extra=[...])` knows yours too.

    Raises:
        NotALabError: The file is something else, and is left as it is.
        NewerSchemaError: A later agentlab wrote it.
        StoreError: The file cannot be opened.
    """

    def __init__(self, path: str | Path | None = None, *, redactor: Redactor | None = None) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self._store = Store(None if self.path is None else self.path.absolute())
        self._reader = Reader(self._store)
        self._redactor = redactor or Redactor()
        self._journals: WeakSet[LabJournal] = WeakSet()

    def as_kept(self, event: Event) -> Event:
        """The event as it is written down, without keys and tokens."""
        return encode([event], self._redactor)[0][0]

    def journal(self, run_id: str) -> LabJournal:
        """A journal for a run: a new one, or one that nobody writes any more.

        Raises:
            StoreError: The run is being written, here or by another process.
        """
        journal = LabJournal(self._store, self._redactor, run_id)
        self._journals.add(journal)
        return journal

    def run(self, agent: Agent, input: Input, **settings: Any) -> Run:  # noqa: A002  # the word of `Agent.run`
        """Start a run of the agent that is kept here; arguments as those of `Agent.run`."""
        return agent.run(input, lab=self, **settings)

    def runs(self) -> list[RunInfo]:
        """The runs, newest first."""
        return self._reader.listing()

    def trace(self, run: str | RunInfo) -> Trace:
        """The trace of a run, as far as it is written.

        Args:
            run: Its id, the beginning of its id (with or without `run-`), or its entry in `runs()`.

        Raises:
            InputError: No run has such an id, or several have.
        """
        run_id = self._find(run)
        trace = Trace(self._reader.events(run_id))
        if trace.stop_reason is None:
            trace.live = any(info.status == "running" for info in self._reader.listing(run_id=run_id))
        return trace

    def events_after(self, run_id: str, seq: int) -> list[Event]:
        """What has happened in a run since the event of this number; only that is read."""
        return self._reader.events(run_id, after=seq)

    def finder(self) -> Finder:
        """What finds runs by status, agent, model, tag or text, a page at a time."""
        return Finder(self._store)

    def pending(self) -> list[PendingCall]:
        """Tool calls of all runs that wait for a decision, oldest run first."""
        return [call for trace in self._undecided() for call in waiting_in(trace, self.answers(trace.run_id))]

    def decide(
        self,
        call_id: str,
        decision: Decision,
        *,
        by: str = "person",
        call_hash: str | None = None,
        run_id: str | None = None,
    ) -> bool:
        """Decide a call that waits, whichever process runs it; False when the same decision was there already.

        A run that still lives in some process takes it up at once, a paused one when it is resumed.

        Args:
            call_id: The call, from `pending()`.
            decision: What to do with it.
            by: Who decides, for the trace.
            call_hash: Hash of the call that was looked at; another call under this id is then refused.
            run_id: The run it belongs to, where several have a call of this id.

        Raises:
            InputError: It is no decision.
            ApprovalError: No such call waits, somebody decided otherwise before, or it needs a key, which no lab keeps.
            ToolArgumentError: Edited arguments break the tool's schema; the call still waits.
        """
        need_decision(decision)
        for trace in self._undecided():
            if run_id not in (None, trace.run_id):
                continue
            if (known := self.answers(trace.run_id).get(call_id)) is not None:
                return known.repeats(call_id, without_keys(decision, self._redactor))
            for call in waiting_in(trace, ()):
                if call.call_id == call_id:
                    check_decision(call, decision, call_hash, trace, self._redactor)
                    first = self.leave_answer(trace.run_id, call_id, decision, by)
                    return first == Answer(decision, by) or first.repeats(call_id, decision)
        waiting = ", ".join(call.call_id for call in self.pending()) or "none"
        raise ApprovalError(f"no call `{call_id}` waits for a decision in {self._store}; waiting: {waiting}")

    def resume(self, run: str | RunInfo, agent: Agent) -> Run:
        """Go on with a run that was paused, or whose process ended, with its agent given again.

        Raises:
            RunError: The run is over, or is still running.
        """
        return agent.resume(self.trace(run), lab=self)

    def answers(self, run_id: str) -> dict[str, Answer]:
        """The decisions that were left for a run, by call id."""
        return answers_for(self._store, run_id)

    def answers_to(self, call_id: str) -> dict[str, Answer]:
        """The decisions that were left on calls of this id, by run id."""
        return answers_to(self._store, call_id)

    def leave_answer(self, run_id: str, call_id: str, decision: Decision, by: str) -> Answer:
        """Leave a decision for a run, without its keys; the one that counts. Of two at once the first one stays."""
        return leave_answer(self._store, run_id, call_id, Answer(decision, by), self._redactor)

    def delete(self, run: str | RunInfo) -> None:
        """Remove a run, for good.

        Args:
            run: Its whole id, or its entry in `runs()`.

        Raises:
            InputError: No run has this id.
            StoreError: The run is being written.
        """
        run_id = run.run_id if isinstance(run, RunInfo) else run
        found = self._reader.listing(run_id=run_id)
        if not found:
            raise InputError(f"there is no run {run_id!r} in {self._store}; to delete one, give its whole id")
        if found[0].status == "running":
            raise StoreError(f"{run_id} is still being written; wait until it has ended, or cancel it")
        self._store.delete(run_id)

    def rebuild(self) -> int:
        """Make again, from the events, all that frames are read from; the number of runs."""
        return self._reader.rebuild()

    def columns(
        self,
        table: str,
        run_ids: Sequence[str] | None = None,
        *,
        texts: Collection[str] | None = None,
        moment: Moment | None = None,
    ) -> pa.Table:
        """What frames are made of, straight from the file; oldest run first. `messages_df` and others read better.

        Args:
            table: `runs`, `steps`, `model_calls`, `tool_calls`, `approvals`, `messages`, `requested_calls`,
                `compactions` or `tool_specs`.
            run_ids: Only these runs.
            texts: Of the long texts in it (`pack.APART`) only these; the others are not read.
            moment: An empty dictionary, the same one for several tables, has them fit together while runs grow.
        """
        return self._reader.table(table, run_ids, texts, moment)

    def chunk_logs(self, run_ids: Sequence[str] | None = None) -> list[LogRow]:
        """The packed chunk logs of all model calls; oldest run first."""
        return self._reader.chunk_logs(run_ids)

    def event_texts(self, run_ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The journal as it is written: for each run JSON arrays of its events, in order; oldest run first."""
        return self._reader.event_texts(run_ids)

    def statuses(self, run_ids: Sequence[str] | None = None) -> dict[str, RunStatus]:
        """How each run stands, by id; oldest first."""
        return self._reader.statuses(run_ids)

    def families(self) -> list[tuple[str, str | None]]:
        """Each run and the run whose conversation it took up, if it did; oldest first."""
        return self._reader.families()

    def groups(self, run_ids: Sequence[str], parts: Collection[str], *, logs: bool = False) -> Iterator[list[str]]:
        """The runs in groups that fit into the memory: `parts` of `pack.part_names` and chunk logs will be read."""
        return self._reader.groups(run_ids, parts, logs=logs)

    def close(self) -> None:
        """Write what the journals of this process still hold, and let go of the file."""
        if not self._store.closed:
            for journal in list(self._journals):
                journal.close()
        self._store.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self._reader.count()

    def __bool__(self) -> bool:
        return True  # an empty lab is a lab: `if lab:` asks whether there is one

    def __iter__(self) -> Iterator[RunInfo]:
        return iter(self.runs())

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else repr(str(self.path))
        if self._store.closed:
            return f"<Lab {where}, closed>"
        n_runs = len(self)
        return f"<Lab {where}, {n_runs:,} {'run' if n_runs == 1 else 'runs'}>"

    def _repr_html_(self) -> str:
        if self._store.closed:
            return f"<p>{as_html(repr(self)[1:-1])}</p>"
        return listing_html(repr(self)[1:-1], self._reader.listing(limit=SHOWN), len(self))

    def _undecided(self) -> Iterator[Trace]:
        """Runs that have not ended, oldest first."""
        for info in reversed(self._reader.listing()):
            if info.status != "finished":
                yield Trace(self._reader.events(info.run_id))

    def _find(self, run: str | RunInfo) -> str:
        if isinstance(run, RunInfo):
            return run.run_id
        need("run", run, lambda x: isinstance(x, str), "the id of a run of this lab, or its entry in `lab.runs()`")
        if not run:
            raise InputError("the run's id is empty; `lab.runs()` lists them")
        found = self._reader.ids_starting_with(run, _NAMED_IDS + 1)
        if run in found or len(found) == 1:
            return run if run in found else found[0]
        if not found:
            raise InputError(f"there is no run {run!r} in {self._store}; `lab.runs()` lists those that are")
        named = ", ".join(found[:_NAMED_IDS]) + (", …" if len(found) > _NAMED_IDS else "")
        raise InputError(f"several runs begin with {run!r}: {named}; give more of the id")
