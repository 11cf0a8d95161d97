"""Runs of a lab found by what their list says of them: filtered, sorted and a page at a time, without their events.

SQLite does all of it, so a page of a lab with 100,000 runs costs about as much as one of a small lab.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

import sqlalchemy as sa

from agentlab.errors import InputError
from agentlab.lab.owner import Owner
from agentlab.lab.store import Store

SortKey: TypeAlias = Literal["status", "started", "agent", "model", "asked", "tags", "steps", "run"]
"""Columns to sort by."""

WAITS = "waits"
"""Status of a run some call of which waits for a decision, whether a process writes it or not."""

_STATUS = (
    "CASE WHEN stop_reason IS NOT NULL THEN stop_reason"
    " WHEN run_key IN (SELECT value FROM json_each(:waiting)) THEN 'waits'"
    " WHEN paused THEN 'paused'"
    " WHEN owner IN (SELECT value FROM json_each(:alive)) THEN 'running'"
    " ELSE 'interrupted' END"
)
_STEPS = "(SELECT last_step FROM journal WHERE journal.run_key = runs.run_key ORDER BY journal.first_seq DESC LIMIT 1)"
_RANK = (
    "CASE status WHEN 'waits' THEN 0 WHEN 'running' THEN 1 WHEN 'paused' THEN 2 WHEN 'interrupted' THEN 3 ELSE 4 END"
)
_ORDERS: dict[str, tuple[str, ...]] = {
    "status": (_RANK, "status"),
    "started": ("started_at",),
    "agent": ("agent_name COLLATE NOCASE",),
    "model": ("model COLLATE NOCASE",),
    "asked": ("title COLLATE NOCASE",),
    "tags": ("tags",),
    "steps": ("n_steps",),
    "run": ("run_id",),
}
_SEARCHED = ("run_id", "title", "agent_name", "model")
_NAMES_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, and in what order.

    Raises:
        InputError: It is to be sorted by something that is no column.
    """

    status: str | None = None
    """`waits`, `running`, `paused`, `interrupted`, or a stop reason."""
    agent: str | None = None
    model: str | None = None
    tag: str | None = None
    """`name=value`, or a piece of a name or a value."""
    text: str | None = None
    """In the id, the question, the agent's or the model's name; ASCII letters in any case."""
    sort: SortKey | None = None
    """None: runs that wait first, then the newest first."""
    descending: bool = False

    def __post_init__(self) -> None:
        if self.sort is not None and self.sort not in get_args(SortKey):
            raise InputError(f"runs are not sorted by {self.sort!r}; columns are {', '.join(get_args(SortKey))}")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """What a list says of a run."""

    run_id: str
    status: str
    n_pending: int
    """Calls that wait for a decision."""
    started_at: datetime | None
    """Wall time, UTC."""
    agent_name: str | None
    model: str | None
    title: str | None
    """The beginning of what the user asked."""
    tags: dict[str, str]
    n_steps: int


@dataclass(frozen=True, slots=True)
class Found:
    """A page of runs."""

    runs: list[FoundRun]
    n_found: int
    """All that the query fits."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What there is to filter by."""

    statuses: list[tuple[str, int]]
    """With how many runs have each; those that need somebody first."""
    agents: list[str]
    models: list[str]


@dataclass
class Finder:
    """Finds runs in a store, and remembers of runs that have not ended which of their calls wait."""

    store: Store
    _pending: dict[int, tuple[int, frozenset[str]]] = field(default_factory=dict)
    """By run key: the number of events that was looked at, and the calls that waited then."""

    def find(self, query: RunQuery, *, limit: int, offset: int = 0) -> Found:
        """A page of the runs that a query fits."""
        with self.store.reading() as db:
            pending, facts = self._unfinished(db)
            where, values = _conditions(query)
            order = ", ".join([*_order(query), "started_at DESC", "run_key DESC"])
            # only what a row is sorted by goes through the sorting; the rest is read of one page
            sorted_by = f", {_STEPS} AS n_steps" if query.sort == "steps" else ""
            listed = f"(SELECT *, {_STATUS} AS status{sorted_by} FROM runs) AS runs"  # noqa: S608  # our own names
            fitting = f"FROM {listed} WHERE {where}"
            page = f"SELECT run_key {fitting} ORDER BY {order} LIMIT :limit OFFSET :offset"
            of_page = "run_key IN (SELECT value FROM json_each(:keys))"
            whole = f"SELECT *, {_STEPS} AS the_steps FROM {listed} WHERE {of_page}"  # noqa: S608  # the same
            keys = [row["run_key"] for row in _all(db, page, {**facts, **values, "limit": limit, "offset": offset})]
            rows = {row["run_key"]: row for row in _all(db, whole, {**facts, "keys": json.dumps(keys)})}
            n_found = _all(db, f"SELECT COUNT(*) AS n {fitting}", {**facts, **values})[0]["n"]
        return Found([_found(rows[key], pending) for key in keys], n_found)

    def choices(self) -> Choices:
        """What there is to filter by."""
        with self.store.reading() as db:
            _, facts = self._unfinished(db)
            counts = f"SELECT {_STATUS} AS status, COUNT(*) AS n FROM runs GROUP BY 1 ORDER BY {_RANK}, 1"  # noqa: S608  # the same
            statuses = [(row["status"], row["n"]) for row in _all(db, counts, facts)]
            agents, models = (
                [row["name"] for row in _all(db, _NAMES.format(name), {"limit": _NAMES_AT_MOST})]
                for name in ("agent_name", "model")
            )
        return Choices(statuses, agents, models)

    def _unfinished(self, db: sa.Connection) -> tuple[dict[int, frozenset[str]], dict[str, str]]:
        """The calls that wait, by run key; and what `_STATUS` needs to know."""
        rows = _all(db, _OPEN, {})
        owners = {row["owner"] for row in rows if row["owner"] is not None}
        alive = {owner for owner in owners if Owner.read(owner).is_alive()}
        could = {row["run_key"]: row for row in rows if row["paused"] or row["owner"] in alive}
        self._pending = {key: kept for key, kept in self._pending.items() if key in could}
        known = {key: kept[0] for key, kept in self._pending.items()}
        changed = [key for key, row in could.items() if known.get(key) != row["n_events"]]
        calls = _undecided(db, changed)
        for key in changed:
            self._pending[key] = (could[key]["n_events"], calls.get(key, frozenset()))
        left = _answered(db, [row["run_id"] for key, row in could.items() if self._pending[key][1]])
        waiting = {
            key: still
            for key, (_, called) in self._pending.items()
            if (still := called - left.get(could[key]["run_id"], set()))
        }
        return waiting, {"waiting": json.dumps(list(waiting)), "alive": json.dumps(list(alive))}


_OPEN = (
    "SELECT run_key, run_id, paused, owner, (SELECT first_seq + n_events FROM journal"
    " WHERE journal.run_key = runs.run_key ORDER BY first_seq DESC LIMIT 1) AS n_events"
    " FROM runs WHERE stop_reason IS NULL AND (paused OR owner IS NOT NULL)"
)
_ASKING = (
    "SELECT DISTINCT run_key FROM journal WHERE run_key IN (SELECT value FROM json_each(:keys))"
    " AND instr(events, '\"approval_requested\"') > 0"
)
_CALL_EVENTS = (
    "SELECT journal.run_key AS run_key, json_extract(event.value, '$.type') AS kind,"
    " json_extract(event.value, '$.call_id') AS call_id, json_extract(event.value, '$.action') AS action"
    " FROM journal, json_each(journal.events) AS event"
    " WHERE journal.run_key IN (SELECT value FROM json_each(:keys))"
    " AND kind IN ('approval_requested', 'approval_decided', 'tool_returned')"
    " ORDER BY journal.run_key, journal.first_seq, event.key"
)
_LEFT = "SELECT run_id, call_id FROM answers WHERE run_id IN (SELECT value FROM json_each(:ids))"
_NAMES = "SELECT DISTINCT {0} AS name FROM runs WHERE {0} IS NOT NULL ORDER BY {0} COLLATE NOCASE LIMIT :limit"


def _undecided(db: sa.Connection, keys: Sequence[int]) -> dict[int, frozenset[str]]:
    """The calls of some runs about which somebody was asked, and that nobody has decided."""
    if not keys:
        return {}
    asking = [row["run_key"] for row in _all(db, _ASKING, {"keys": json.dumps(list(keys))})]
    open_calls: dict[int, set[str]] = {}
    for row in _all(db, _CALL_EVENTS, {"keys": json.dumps(asking)}):
        calls = open_calls.setdefault(row["run_key"], set())
        if row["kind"] == "approval_requested":
            calls.add(row["call_id"])
        elif row["action"] != "escalate":
            calls.discard(row["call_id"])
    return {key: frozenset(calls) for key, calls in open_calls.items()}


def _answered(db: sa.Connection, run_ids: Sequence[str]) -> dict[str, set[str]]:
    """The calls for which a decision was left that the run has not taken up."""
    found: dict[str, set[str]] = {}
    if run_ids:
        for row in _all(db, _LEFT, {"ids": json.dumps(list(run_ids))}):
            found.setdefault(row["run_id"], set()).add(row["call_id"])
    return found


def _conditions(query: RunQuery) -> tuple[str, dict[str, str]]:
    parts, values = ["1"], dict[str, str]()
    for column, value in (("status", query.status), ("agent_name", query.agent), ("model", query.model)):
        if value:
            parts.append(f"{column} = :the_{column}")
            values[f"the_{column}"] = value
    if query.text and query.text.strip():
        values["text"] = _pattern(query.text.strip())
        parts.append("(" + " OR ".join(f"{column} LIKE :text ESCAPE '\\'" for column in _SEARCHED) + ")")
    if query.tag and query.tag.strip():
        name, sign, value = query.tag.strip().partition("=")
        test = "tag.key = :tag_name AND tag.value = :tag_value"
        if not sign:
            test = "tag.key LIKE :tag ESCAPE '\\' OR tag.value LIKE :tag ESCAPE '\\'"
        values |= {"tag_name": name.strip(), "tag_value": value.strip()} if sign else {"tag": _pattern(name)}
        parts.append(f"EXISTS (SELECT 1 FROM json_each(COALESCE(tags, '{{}}')) AS tag WHERE {test})")  # noqa: S608  # our own names
    return " AND ".join(parts), values


def _pattern(text: str) -> str:
    for letter in "\\%_":
        text = text.replace(letter, f"\\{letter}")
    return f"%{text}%"


def _order(query: RunQuery) -> Iterable[str]:
    if query.sort is None:
        return ["status != 'waits'"]
    direction = "DESC" if query.descending else "ASC"
    return [f"{expression} {direction} NULLS LAST" for expression in _ORDERS[query.sort]]


def _all(db: sa.Connection, sql: str, values: dict[str, Any]) -> list[Any]:
    return list(db.execute(sa.text(sql), values).mappings())


def _found(row: Any, pending: dict[int, frozenset[str]]) -> FoundRun:
    tags = json.loads(row["tags"] or "{}")
    return FoundRun(
        run_id=row["run_id"],
        status=row["status"],
        n_pending=len(pending.get(row["run_key"], ())),
        started_at=None if row["started_at"] is None else datetime.fromisoformat(row["started_at"]),
        agent_name=row["agent_name"],
        model=row["model"],
        title=row["title"],
        tags={str(name): str(value) for name, value in tags.items()},
        n_steps=row["the_steps"] or 0,
    )
