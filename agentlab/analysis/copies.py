"""Copies of a run in several places: how far each has come, and whether they are copies at all.

Runs in `frozen` get the same ids from the same seed. Two of them under one id are no copies, and none may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agentlab.analysis.columns import columns_of
from agentlab.analysis.latency import NS_PER_S
from agentlab.analysis.parquet import Export
from agentlab.analysis.tables import LabTables, TraceTables, run_id_of
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace

_BEGINNING = ("started_at", "agent", "model", "provider", "protocol", "clock", "parent_run_id", "tags")
_END = ("stop_reason", "wall_s", "n_messages", "n_errors")
_FACTS = ("run_id", "n_events", *_BEGINNING, *_END)


@dataclass(frozen=True)
class Copy:
    """A run as one place has it."""

    facts: Mapping[str, Any]
    """Columns of `runs_df`; None where the place does not know."""

    @property
    def n_events(self) -> int:
        """How far it has come; 0 where that is not known."""
        return self.facts["n_events"] or 0

    def goes_on_as(self, longer: Copy) -> bool:
        """Whether the other may be the same run, no shorter. A run that is over has no further events."""
        if not self.n_events:
            return True
        grew = self.n_events < longer.n_events
        if grew and self.facts["stop_reason"] is not None:
            return False
        pairs = [(self.facts[name], longer.facts[name]) for name in (_BEGINNING if grew else (*_BEGINNING, *_END))]
        return all(one == other for one, other in pairs if one is not None and other is not None)


def copies_in(store: Sequence[Trace] | Lab | Export, run_ids: Sequence[str]) -> dict[str, Copy]:
    """These runs as a store has them."""
    if not run_ids:
        return {}
    if isinstance(store, Export):
        columns = [column for column in columns_of("runs") if column.name in _FACTS]
        rows = [row for table in store.batches("runs", columns, run_ids) for row in table.to_pylist()]
    else:
        wanted = set(run_ids)
        tables = (
            LabTables(store, run_ids)
            if isinstance(store, Lab)
            else TraceTables([trace for trace in store if run_id_of(trace) in wanted])
        )
        rows = [
            {**row, "agent": row["agent_name"], "wall_s": row["last_ns"] / NS_PER_S}
            for row in tables.table("runs").to_pylist()
        ]
    return {row["run_id"]: Copy({name: row[name] for name in _FACTS}) for row in rows}


def need_copies(run_id: str, copies: Iterable[Copy]) -> None:
    """Raises InputError where they are not all of one run."""
    in_order = sorted(copies, key=lambda copy: copy.n_events)
    if not all(shorter.goes_on_as(longer) for shorter, longer in pairwise(in_order)):
        _refuse(run_id)


def longer_of(run_id: str, one: Trace, other: Trace) -> Trace:
    """The trace with more events, of two of one run.

    Raises:
        InputError: They are of two runs.
    """
    shorter, longer = sorted((one, other), key=len)
    if one is not other and not _text(longer).startswith(_text(shorter).removesuffix("]")):
        _refuse(run_id)
    return longer


def _text(trace: Trace) -> str:
    return "".join(text for _, text in TraceTables([trace]).event_texts())


def _refuse(run_id: str) -> None:
    raise InputError(
        f"two different runs are called {run_id:.60}: runs in `frozen` get the same ids from the same seed; "
        "give each block a seed of its own"
    )
