"""What the prompts of a run were made of: which pieces of the conversation each model call read, and how long they are.

A piece joins the conversation with one event and leaves it with another, so the calls that read it stand in one row
between two places. All of it is done on columns; no message is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.grouping import floats, rows_where
from agentlab.analysis.latency import Floats, Ints
from agentlab.analysis.sources import Tables
from agentlab.analysis.tokenizers import TokenCounter
from agentlab.analysis.usage_columns import PARTS

_EVENTS_PER_RUN = 2**40

READ_OF_PROMPTS = (
    *("runs", "model_calls", "messages", "messages.text"),
    *("requested_calls", "compactions", "tool_specs"),
)
"""The packs that prompts are put together from."""

Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pieces:
    """Pieces of conversations, one a row: a message's text, a call in it, a summary."""

    table: pa.Table
    """Columns `run_id`, `seq` and `left_seq` (when it joined and left), `part`, `kind`, `tool`, `inherited`."""
    tokens: Floats
    """NaN where they cannot be measured."""

    @property
    def inherited(self) -> Flags:
        """Which were part of an earlier run's conversation already."""
        flags: Flags = self.table["inherited"].to_numpy()
        return flags

    def where(self, column: str, word: str) -> Flags:
        """Which rows have this word."""
        return rows_where(self.table[column], word)


@dataclass(frozen=True)
class Spans:
    """For each piece the calls that read it: from `begin` up to `end`, without it."""

    begin: Ints
    end: Ints

    @property
    def n_prompts(self) -> Ints:
        """How many calls read it."""
        return self.end - self.begin


class Prompts:
    """The prompts of the steps of a source. Those of side calls are not kept, and are not among them."""

    def __init__(self, tables: Tables, counter: TokenCounter) -> None:
        self._tables, self.counter = tables, counter
        self.runs = tables.table("runs")
        calls = tables.table("model_calls")
        self.calls = calls.filter(pa.array(rows_where(calls["purpose"], "step")))
        """The model calls, in the order in which they were made."""

    @cached_property
    def _said(self) -> pa.Table:
        return self._tables.table("messages", ("text",))

    @cached_property
    def pieces(self) -> Pieces:
        """All that was ever part of a conversation."""
        rows = pa.concat_tables([self._messages(), self._requested_calls(), self._summaries()]).combine_chunks()
        tokens = self.counter.counts(rows["text"])
        unmeasured = rows["unmeasured"].to_numpy()
        return Pieces(rows.drop_columns(["text", "unmeasured"]), np.where(unmeasured, np.nan, tokens))

    @cached_property
    def spans(self) -> Spans:
        """Which calls read each piece."""
        rows = self.pieces.table
        called = self._keys(self.calls, "called_seq")
        joined, left = self._keys(rows, "seq"), self._keys(rows, "left_seq")
        return Spans(np.searchsorted(called, joined, "right"), np.searchsorted(called, left, "left"))

    @cached_property
    def n_items(self) -> Ints:
        """Messages, or tool definitions, in each part of each prompt; shape (calls, parts)."""
        counted = ~self.pieces.where("kind", "call")  # a call stands in a message, which counts already
        n_items = self._over_calls(counted.astype(np.float64)).astype(np.int64)
        n_items[:, PARTS.index("tool_schemas")] = [len(offer) for offer in self.offers]
        return n_items

    @cached_property
    def tokens(self) -> Floats:
        """Tokens of each part of each prompt; shape (calls, parts). NaN where something in it cannot be measured."""
        tokens = self.pieces.tokens
        unmeasured = np.isnan(tokens)
        total = self._over_calls(np.where(unmeasured, 0.0, tokens))
        total[self._over_calls(unmeasured.astype(np.float64)) > 0] = np.nan
        total[:, PARTS.index("tool_schemas")] = [sum(offer.values()) for offer in self.offers]
        return total

    @cached_property
    def scaled_tokens(self) -> Floats:
        """The provider's `input_tokens`, shared among the parts in proportion to `tokens`; shape (calls, parts)."""
        whole = self.tokens.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(whole > 0, floats(self.calls["input_tokens"]) / whole, np.nan)
        return np.asarray(self.tokens * factor[:, None])

    @cached_property
    def offers(self) -> list[Mapping[str, float]]:
        """For each call the tokens of the tools that it was told of, by name."""
        specs = self._tables.table("tool_specs")
        names = zip(specs["run_id"].to_pylist(), specs["tool"].to_pylist(), strict=True)
        tokens = dict(zip(names, self.counter.counts(specs["spec"]).tolist(), strict=True))
        seen: dict[tuple[str, str], Mapping[str, float]] = {}
        for run_id, offered in (keys := _pairs(self.calls, "run_id", "offered")):
            if (run_id, offered) not in seen:
                told = orjson.loads(offered)
                seen[run_id, offered] = {name: tokens.get((run_id, name), np.nan) for name in told}
        return [seen[key] for key in keys]

    def _over_calls(self, values: Floats) -> Floats:
        """Sums over the pieces of each part that each call read; shape (calls, parts)."""
        part = pc.index_in(self.pieces.table["part"], value_set=pa.array(PARTS)).to_numpy()
        change = np.zeros((len(self.calls) + 1, len(PARTS)))
        np.add.at(change, (self.spans.begin, part), values)
        np.add.at(change, (self.spans.end, part), -values)
        return np.asarray(np.cumsum(change, axis=0)[:-1])

    def _keys(self, rows: pa.Table, column: str) -> Ints:
        """Places of events among those of all runs; of none: after the last of its run."""
        run = pc.index_in(rows["run_id"], value_set=self.runs["run_id"].combine_chunks()).to_numpy().astype(np.int64)
        seq = pc.fill_null(rows[column], _EVENTS_PER_RUN - 1).to_numpy()
        return np.asarray(run * _EVENTS_PER_RUN + seq)

    def _messages(self) -> pa.Table:
        """The texts of messages. What has a picture, or a return that is no text, cannot be measured."""
        table = self._said
        returns = pc.is_in(table["role"], value_set=pa.array(["tool", "approval"]))
        unknown = pc.and_(pc.and_(returns, pc.is_null(table["text"])), pc.equal(table["n_tool_calls"], 0))
        tool = pc.equal(table["role"], "tool")
        return _piece_table(
            table,
            part=_parts(table),
            kind=pc.if_else(tool, "return", "message"),
            tool=pc.if_else(
                tool, pc.coalesce(self._tools_of_returns(table), table["name"]), pa.scalar(None, pa.string())
            ),
            inherited=pc.equal(table["source"], "history"),
            text=pc.fill_null(table["text"], ""),
            unmeasured=pc.or_(unknown, pc.greater(table["n_images"], 0)),
        )

    def _requested_calls(self) -> pa.Table:
        """Calls in messages: the tool's name and the arguments."""
        table, messages = self._tables.table("requested_calls"), self._said
        at = pa.array(np.searchsorted(self._keys(messages, "seq"), self._keys(table, "seq")))
        inherited = pc.equal(messages["source"].combine_chunks().take(at), "history")
        return _piece_table(
            table.append_column("left_seq", messages["left_seq"].combine_chunks().take(at)),
            part=pc.if_else(inherited, "history", "assistant"),
            kind="call",
            tool=table["tool"],
            inherited=inherited,
            text=pc.binary_join_element_wise(table["tool"], table["arguments"], ""),
            unmeasured=False,
        )

    def _summaries(self) -> pa.Table:
        table = self._tables.table("compactions")
        table = table.filter(pc.equal(table["how"], "summary"))
        text = table["summary"]
        silent = pc.is_null(text)
        return _piece_table(
            table,
            part="summary",
            kind="message",
            tool=None,
            inherited=False,
            text=text.fill_null(""),
            unmeasured=silent,
        )

    def _tools_of_returns(self, messages: pa.Table) -> pa.Array:
        """The tool whose call each message answers, as that call names it."""
        calls = self._tables.table("requested_calls")
        named = dict(zip(_pairs(calls, "run_id", "call_id"), calls["tool"].to_pylist(), strict=True))
        return pa.array([named.get(key) for key in _pairs(messages, "run_id", "call_id")], pa.string())


def _parts(messages: pa.Table) -> Any:
    """The part that each message is: by where it came from, where that says it, else by who speaks."""
    asks = pc.and_(pc.equal(messages["role"], "approval"), pc.greater(messages["n_tool_calls"], 0))
    by_role = pc.if_else(asks, "assistant", pc.replace_substring(messages["role"], "approval", "tool"))
    by_source = pc.is_in(messages["source"], value_set=pa.array(["history", "system", "heartbeat"]))
    return pc.if_else(by_source, messages["source"], by_role)


def _piece_table(table: pa.Table, **columns: Any) -> pa.Table:
    kinds = {"part": pa.string(), "kind": pa.string(), "tool": pa.string(), "text": pa.string()}
    arrays = [table["run_id"], table["seq"], table["left_seq"]]
    for name, value in columns.items():
        whole = isinstance(value, pa.Array | pa.ChunkedArray)
        arrays.append(value if whole else pa.repeat(pa.scalar(value, kinds.get(name, pa.bool_())), len(table)))
    return pa.Table.from_arrays(arrays, names=["run_id", "seq", "left_seq", *columns])


def _pairs(table: pa.Table, *columns: str) -> list[tuple[Any, Any]]:
    first, second = (table[name].to_pylist() for name in columns)
    return list(zip(first, second, strict=True))
