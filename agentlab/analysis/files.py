"""A file or a folder as what frames can be made of: traces (`*.jsonl`), labs (SQLite) and exports (Parquet)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from agentlab.analysis.parquet import Export
from agentlab.errors import AgentLabError, InputError, StoreError
from agentlab.lab.lab import Lab
from agentlab.trace.events import Event
from agentlab.trace.reading import read_lines
from agentlab.trace.trace import Trace

_SQLITE = b"SQLite format 3\0"
_BESIDE_A_LAB = ("-wal", "-shm", "-journal")
"""Ends of the names of files that SQLite keeps beside a database."""


def open_path(path: Path) -> Iterator[Trace | Lab | Export]:
    """What is at a path. In a folder each file counts, but for hidden ones; exports may lie in it as folders.

    Raises:
        InputError: There is nothing, or something else; named with what was seen.
        StoreError: A file of the right kind cannot be read.
    """
    try:
        whole = path.expanduser()
        inside = sorted(whole.iterdir()) if whole.is_dir() and not Export.is_at(whole) else None
    except (OSError, RuntimeError) as exc:
        raise InputError(f"{str(path)!r:.80} cannot be read: {exc}") from exc
    if inside is not None:
        yield from chain.from_iterable(_open(each) for each in inside if not _is_to_be_overlooked(each))
    else:
        yield from _open(whole)


def _open(path: Path) -> Iterator[Trace | Lab | Export]:
    if Export.is_at(path):
        yield Export(path)
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder without an export of agentlab; name it itself, if its files are meant")
    beginning = _beginning(path)
    if beginning.startswith(_SQLITE):
        yield Lab(path)
    elif path.suffix == ".jsonl":
        yield from _traces(path)
    elif beginning.startswith(b"PAR1"):
        raise InputError(f"{path} is a single Parquet file; name the folder that `lab.to_parquet` made")
    else:
        seen = f"begins with {beginning[:20]!r}" if beginning else "is empty"
        raise InputError(f"{path} is no trace (*.jsonl), no lab and no export: it {seen}; take it out of the folder")


def _beginning(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{str(path)!r} is neither a file nor a folder")  # to open a pipe would wait for ever
        with path.open("rb") as file:
            return file.read(len(_SQLITE))
    except FileNotFoundError as exc:
        raise InputError(f"there is no file or folder {str(path)!r}") from exc
    except (OSError, ValueError) as exc:
        raise InputError(f"{str(path)!r} cannot be read: {exc}") from exc


def _traces(path: Path) -> Iterator[Trace]:
    """The traces of a file of events; usually one."""
    runs: dict[str, list[Event]] = {}
    for event in read_lines(str(path), path.read_bytes().splitlines(keepends=True)):
        runs.setdefault(event.run_id, []).append(event)
    for run_id, events in runs.items():
        try:
            yield Trace(events)
        except AgentLabError as exc:
            raise StoreError(f"{path}: the events of {run_id} do not make a trace: {exc}") from exc


def _is_to_be_overlooked(path: Path) -> bool:
    """A hidden file, or one that SQLite keeps beside a lab."""
    beside = (path.with_name(path.name.removesuffix(end)) for end in _BESIDE_A_LAB if path.name.endswith(end))
    return path.name.startswith(".") or any(lab.is_file() for lab in beside)
