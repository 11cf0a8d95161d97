"""Messages that a run took over from the run it goes on from, and how frames count them.

A run with a parent begins with the parent's conversation: rows with source `history`. Each message counts once: where
it joined first, as long as that run is in the source, and in `runs=`, too. When the parent is not there, the history
stays: no other row tells of it; of several runs that go on from such a parent the first keeps it. `where=` picks rows
after that, and so gives rows that the whole frame has. A run that was given a list of messages has no parent, and its
history is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Inherited: TypeAlias = Literal["once", "each"]
"""`once`: each message counts once. `each`: with every run that has it in its conversation."""

NEEDED = ("run_id", "seq", "message_id", "source")
"""Columns of messages that tell."""


def _none() -> pa.Array:
    return pa.array([], pa.string())


@dataclass(frozen=True)
class Shared:
    """Messages that are counted with another run."""

    keys: pa.Array = field(default_factory=_none)
    """Run and number of each."""
    run_ids: pa.Array = field(default_factory=_none)
    """The run of each."""

    @classmethod
    def of(cls, children: Iterator[pa.Table], others: Iterator[pa.Table]) -> Shared:
        """What the runs share.

        Args:
            children: Messages of the runs with a parent, with the columns of `NEEDED`.
            others: Those of all runs.
        """
        inherited = [table.filter(pc.field("source") == "history") for table in children]
        if not sum(table.num_rows for table in inherited):
            return cls()
        history = pa.concat_tables(inherited).combine_chunks()
        elsewhere = _owned(history["message_id"], others)
        first = pc.index_in(history["message_id"], value_set=history["message_id"].combine_chunks())
        is_first = pc.equal(first, pa.array(range(len(history)), pa.int32()))
        shared = history.filter(pc.or_(elsewhere, pc.invert(is_first)))
        return cls(_keys(shared), shared["run_id"].combine_chunks())

    def without(self, messages: pa.Table) -> pa.Table:
        """The messages that count here; with the columns of `NEEDED`."""
        if not len(self.keys):
            return messages
        return messages.filter(pc.invert(pc.is_in(_keys(messages), value_set=self.keys)))

    def counted(self, runs: pa.Table) -> pa.Table:
        """The runs with as many messages as count with them."""
        if not len(self.keys):
            return runs
        per_run = self.run_ids.value_counts()
        place = pc.index_in(runs["run_id"], value_set=per_run.field("values"))
        fewer = pc.fill_null(per_run.field("counts").take(place.combine_chunks()), 0)
        at = runs.column_names.index("n_messages")
        return runs.set_column(at, runs.schema.field(at), pc.subtract(runs["n_messages"], fewer))


def _owned(message_ids: pa.ChunkedArray, others: Iterator[pa.Table]) -> pa.ChunkedArray:
    """Which of the messages joined first in another run."""
    wanted = pc.unique(message_ids)
    found = [_own_among(table, wanted) for table in others]
    return pc.is_in(message_ids, value_set=pa.concat_arrays([_none(), *found]))


def _own_among(table: pa.Table, wanted: pa.Array) -> pa.Array:
    own = table.filter((pc.field("source") != "history") & pc.field("message_id").isin(wanted))
    return own["message_id"].combine_chunks()


def _keys(messages: pa.Table) -> pa.Array:
    joined = pc.binary_join_element_wise(pc.cast(messages["seq"], pa.string()), messages["run_id"], " ")
    return joined.combine_chunks()
